"""Rewrite the corpus' exports with every pass and let ONNX Runtime judge them.

usage: lifted.py RECUR CORPUS OUT

For each .onnx case of corpus/keras and corpus/tf1 it runs `RECUR convert`, writes the model below OUT, and beside it a
verify.json that names the rewritten models and the corpus' inputs and expected outputs. CORPUS/tools/verify_ort.py then runs that."""
import json, os, subprocess, sys

recur, corpus, out = sys.argv[1:4]
written = 0
for part in ("keras", "tf1"):
    base = os.path.join(corpus, "corpus", part)
    with open(os.path.join(base, "verify.json")) as f:
        manifest = json.load(f)
    folder = os.path.join(out, part)
    os.makedirs(folder, exist_ok=True)
    cases = []
    for c in manifest["cases"]:
        if c["format"] != "onnx" or "expect" in c or "may_refuse" in c:
            continue
        name = c["id"].replace("/", "__") + ".onnx"
        subprocess.run([recur, "convert", os.path.join(base, c["model"]), "-o", os.path.join(folder, name), "--passes", "all"],
                       check=True, stderr=subprocess.DEVNULL)

        def moved(value):
            if isinstance(value, dict):
                return dict(value, file=os.path.relpath(os.path.join(base, value["file"]), folder))
            return os.path.relpath(os.path.join(base, value), folder)

        runs = [{k: {n: moved(v) for n, v in r[k].items()} for k in ("in", "out")} for r in c["runs"]]
        cases.append(dict(c, model=name, runs=runs))
    written += len(cases)
    with open(os.path.join(folder, "verify.json"), "w") as f:
        json.dump(dict(manifest, cases=cases, left_out=[]), f)
if written == 0:
    sys.exit("no case")
print(f"{written} models rewritten")
