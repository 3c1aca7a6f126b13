"""Makes the models and the data of the tests: python make.py, in this folder.

Outputs are ONNX Runtime's. Needs numpy, onnx and onnxruntime.
"""

import json

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

rng = np.random.default_rng(7)


def save(name, nodes, inputs, outputs, initializers=(), opset=17, domains=(), check=True):
    graph = h.make_graph(nodes, name, inputs, outputs, list(initializers))
    imports = [h.make_opsetid("", opset)] + [h.make_opsetid(d, 1) for d in domains]
    model = h.make_model(graph, opset_imports=imports, ir_version=8, producer_name="make.py")
    if check:
        onnx.checker.check_model(model)
    onnx.save(model, name + ".onnx")
    return name + ".onnx"


def info(name, elem, shape):
    return h.make_tensor_value_info(name, elem, shape)


def weights(name, shape):
    return numpy_helper.from_array(rng.normal(0, 0.5, shape).astype(np.float32), name)


save("add", [h.make_node("Add", ["x", "y"], ["sum"], name="plus")],
     [info("x", T.FLOAT, ["batch", 3]), info("y", T.FLOAT, ["batch", 3])], [info("sum", T.FLOAT, ["batch", 3])])

# Tokens, embedded, through a bidirectional LSTM with peepholes and lengths.
lstm = save("tagger", [
    h.make_node("Gather", ["table", "tokens"], ["embedded"], name="embed"),
    h.make_node("LSTM", ["embedded", "W", "R", "B", "lengths", "", "", "P"], ["", "state"], name="lstm_1",
                hidden_size=3, direction="bidirectional", clip=5.0),
], [info("tokens", T.INT64, ["steps", "batch"]), info("lengths", T.INT32, ["batch"])], [info("state", T.FLOAT, [2, "batch", 3])],
    [weights("table", (9, 2)), weights("W", (2, 12, 2)), weights("R", (2, 12, 3)), weights("B", (2, 24)), weights("P", (2, 9))])
tokens = rng.integers(0, 9, (5, 2))
lengths = np.array([5, 3], np.int32)
state, = onnxruntime.InferenceSession(lstm).run(None, {"tokens": tokens, "lengths": lengths})
np.savez("tagger.npz", tokens=tokens, lengths=lengths, state=state)

# One input and output of each of several types.
kinds = {"half": T.FLOAT16, "int": T.INT64, "flag": T.BOOL, "text": T.STRING, "small": T.INT8}
save("types", [h.make_node("Identity", [k], [k + "_out"]) for k in kinds],
     [info(k, e, ["n"]) for k, e in kinds.items()], [info(k + "_out", e, ["n"]) for k, e in kinds.items()])

save("scalar", [h.make_node("Identity", ["x"], ["y"])], [info("x", T.DOUBLE, [])], [info("y", T.DOUBLE, [])])

# The sum of 1..n, by a Loop.
body = h.make_graph([
    h.make_node("Add", ["i", "one"], ["i1"]),
    h.make_node("Add", ["sum", "i1"], ["sum_out"]),
    h.make_node("Identity", ["cond"], ["cond_out"]),
], "body", [info("i", T.INT64, []), info("cond", T.BOOL, []), info("sum", T.INT64, [])],
    [info("cond_out", T.BOOL, []), info("sum_out", T.INT64, [])])
save("loop", [h.make_node("Loop", ["n", "", "zero"], ["total"], name="loop_1", body=body)],
     [info("n", T.INT64, [])], [info("total", T.INT64, [])],
     [numpy_helper.from_array(np.int64(0), "zero"), numpy_helper.from_array(np.int64(1), "one")])

sequence = h.make_tensor_sequence_value_info("list", T.FLOAT, ["n"])
save("sequence", [h.make_node("SequenceAt", ["list", "at"], ["item"])], [sequence, info("at", T.INT64, [])], [info("item", T.FLOAT, ["n"])])

save("foreign", [h.make_node("Foo", ["x"], ["y"], name="foo_1", domain="com.acme")],
     [info("x", T.FLOAT, [1])], [info("y", T.FLOAT, [1])], domains=["com.acme"], check=False)

save("invalid", [h.make_node("Add", ["x", "nowhere"], ["y"], name="plus")],
     [info("x", T.FLOAT, [1])], [info("y", T.FLOAT, [1])], check=False)

# A function that calls Relu, and a model that calls the function.
function = h.make_function("local", "Gate", ["a"], ["b"], [h.make_node("Relu", ["a"], ["b"], name="relu_1")], [h.make_opsetid("", 17)])
graph = h.make_graph([h.make_node("Gate", ["x"], ["y"], name="gate_1", domain="local")], "calls",
                     [info("x", T.FLOAT, ["n"])], [info("y", T.FLOAT, ["n"])])
onnx.save(h.make_model(graph, functions=[function], ir_version=8, opset_imports=[h.make_opsetid("", 17), h.make_opsetid("local", 1)]), "function.onnx")


def value(key):
    return {"file": "tagger.npz", "key": key}


run = {"in": {"tokens": value("tokens"), "lengths": value("lengths")}, "out": {"state": value("state")}}
wrong = {"in": run["in"], "out": {"state": {"file": "wrong.npz", "key": "state"}}}
np.savez("wrong.npz", state=state + np.float32(0.5))
foreign = {"id": "foreign", "model": "foreign.onnx", "format": "onnx", "tags": ["custom"], "runs": [{"in": {}, "out": {}}]}


def manifest(name, cases):
    with open(name, "w") as f:
        json.dump({"version": 1, "about": "cases of the command's tests", "rtol": 1e-4, "atol": 1e-5, "cases": cases}, f, indent=1)
        f.write("\n")


good = {"id": "tagger", "model": "tagger.onnx", "format": "onnx", "tags": ["lstm", "recurrent"], "runs": [run]}
manifest("good.json", [good, dict(foreign, id="foreign/expected", expect="error")])
manifest("refused.json", [good, foreign])
manifest("allowed.json", [good, dict(foreign, may_refuse="the operator is not ONNX's")])
manifest("bad.json", [good, {"id": "tagger/wrong", "model": "tagger.onnx", "format": "onnx", "tags": ["lstm"], "runs": [wrong]}])
