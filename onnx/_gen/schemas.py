"""Writes ../schemas.txt: the schema of every version of every ONNX operator.

    pip install onnx==1.23.2
    python schemas.py            # rewrites schemas.txt
    python schemas.py --check    # exit status 1 when schemas.txt is stale

The output depends on the version of onnx alone. Its lines, fields separated
by tabs (schema_text.go reads them):

    release  VERSION IR DOMAIN=OPSET...
    types    TYPE TYPE ...            the next set of types, counted from 0
    op       DOMAIN NAME SINCE FLAGS  d: deprecated, f: has a function body
    attr     NAME TYPE NEED [DEFAULT] of the op above; NEED: r or o
    in       NAME TYPE OPTION         TYPE: a type variable or a type
    out      NAME TYPE OPTION         OPTION: s, o, v; v with MIN, and * when
                                      the types may differ from each other
    var      NAME SET                 the types that a type variable allows
"""

import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import defs, helper

WANT = "1.23.2"
OUT = pathlib.Path(__file__).resolve().parent.parent / "schemas.txt"
OPTION = {
    defs.OpSchema.FormalParameterOption.Single: "s",
    defs.OpSchema.FormalParameterOption.Optional: "o",
    defs.OpSchema.FormalParameterOption.Variadic: "v",
}
UNBOUNDED = 2**31 - 1
TABLE_DOMAINS = ["ai.onnx", "ai.onnx.ml", "ai.onnx.preview.training"]


def scalar(value):
    """One element of a default: a number, or a quoted string."""
    if isinstance(value, bytes):
        return json.dumps(value.decode("utf-8"))
    if isinstance(value, float):
        return str(np.float32(value))
    return str(value)


def default(attr):
    value = helper.get_attribute_value(attr)
    if attr.type in (onnx.AttributeProto.INT, onnx.AttributeProto.FLOAT, onnx.AttributeProto.STRING):
        return [scalar(value)]
    if attr.type in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS, onnx.AttributeProto.STRINGS):
        return [" ".join(scalar(v) for v in value)]
    raise SystemExit(f"default of attribute {attr.name}: type {attr.type} has no notation yet")


def formal(kind, f):
    option = OPTION[f.option]
    if option == "v":
        option += str(f.min_arity) + ("" if f.is_homogeneous else "*")
    return [kind, f.name, f.type_str.replace(" ", ""), option]


def arity(formals):
    """The least and greatest number of inputs or outputs, as schema.go derives them."""
    low, high = 0, len(formals)
    for i, f in enumerate(formals):
        option = OPTION[f.option]
        if option == "s":
            low = i + 1
        if option == "v":
            low, high = i + f.min_arity, UNBOUNDED
    return low, high


def lines():
    schemas = sorted(defs.get_all_schemas_with_history(), key=lambda s: (s.domain, s.name, s.since_version))
    for version, ir, *opsets in helper.VERSION_TABLE:
        yield ["release", version, str(ir)] + [f"{d}={n}" for d, n in zip(TABLE_DOMAINS, opsets)]

    names = lambda var: tuple(sorted(t.replace(" ", "") for t in var.allowed_type_strs))
    sets = sorted({names(v) for s in schemas for v in s.type_constraints})
    for types in sets:
        yield ["types", " ".join(types)]
    number = {types: i for i, types in enumerate(sets)}

    for s in schemas:
        for formals, low, high in ((s.inputs, s.min_input, s.max_input), (s.outputs, s.min_output, s.max_output)):
            if arity(formals) != (low, high):
                raise SystemExit(f"{s.name}-{s.since_version}: arity {low}..{high} does not follow from the formals")
        function = s.has_function or s.has_context_dependent_function
        flags = ("d" if s.deprecated else "") + ("f" if function else "")
        yield ["op", s.domain or "ai.onnx", s.name, str(s.since_version), flags or "-"]
        for _, a in sorted(s.attributes.items()):
            kind = a.type.name.lower()
            has = a.default_value.type != onnx.AttributeProto.UNDEFINED
            yield ["attr", a.name, kind, "r" if a.required else "o"] + (default(a.default_value) if has else [])
        for f in s.inputs:
            yield formal("in", f)
        for f in s.outputs:
            yield formal("out", f)
        for v in sorted(s.type_constraints, key=lambda v: v.type_param_str):
            yield ["var", v.type_param_str, str(number[names(v)])]


def main():
    if onnx.__version__ != WANT:
        raise SystemExit(f"onnx {onnx.__version__} is installed, want {WANT}")
    text = f"# Made by _gen/schemas.py from onnx {WANT}; not to be edited.\n"
    for fields in lines():
        if any("\t" in f or "\n" in f for f in fields):
            raise SystemExit(f"a field holds a separator: {fields}")
        text += "\t".join(fields) + "\n"
    if "--check" in sys.argv[1:]:
        if OUT.read_text() != text:
            raise SystemExit(f"{OUT.name} is stale: run _gen/schemas.py")
        return
    OUT.write_text(text)


if __name__ == "__main__":
    main()
