package main

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/recur-ml/recur/onnx"
)

// jsonOf gives a value for encoding/json, in the form that -i reads.
func jsonOf(v onnx.Value) (any, error) {
	switch v := v.(type) {
	case *onnx.Tensor:
		e, err := elementsOf(v.DataType())
		if err != nil {
			return nil, err
		}
		data := make([]any, v.Len())
		for i := range data {
			data[i] = e.json(v, i)
		}
		return map[string]any{"type": v.DataType().String(), "shape": v.Shape(), "data": data}, nil
	case *onnx.Sequence:
		items := make([]any, len(v.Items))
		for i, item := range v.Items {
			var err error
			if items[i], err = jsonOf(item); err != nil {
				return nil, err
			}
		}
		return map[string]any{"sequence": items}, nil
	case *onnx.Optional:
		if v.Value == nil {
			return map[string]any{"optional": nil}, nil
		}
		item, err := jsonOf(v.Value)
		return map[string]any{"optional": item}, err
	case *onnx.Map:
		return jsonFieldsOf("map", map[string]onnx.Value{"keys": v.Keys, "values": v.Values}, nil)
	case *onnx.SparseTensor:
		return jsonFieldsOf("sparse", map[string]onnx.Value{"indices": v.Indices, "values": v.Values}, v.Dims)
	}
	return nil, onnx.Errorf(onnx.ErrType, "no JSON for a value of type %T", v)
}

func jsonFieldsOf(kind string, fields map[string]onnx.Value, shape []int) (any, error) {
	out := map[string]any{}
	if shape != nil {
		out["shape"] = shape
	}
	for name, v := range fields {
		var err error
		if out[name], err = jsonOf(v); err != nil {
			return nil, err
		}
	}
	return map[string]any{kind: out}, nil
}

func jsonValues(values onnx.Values) (map[string]any, error) {
	out := map[string]any{}
	for name, v := range values {
		j, err := jsonOf(v)
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", name, err)
		}
		out[name] = j
	}
	return out, nil
}

// save writes outputs to a file whose name says the format, or as .npz to
// stdout where the path is "-".
func (c *cli) save(path string, values onnx.Values) error {
	if path == "-" {
		if terminal(c.out) > 0 {
			return usagef("-o -: will not write an .npz to a terminal; redirect it")
		}
		return writeNPZ(c.out, values)
	}
	write, err := writerFor(path, values)
	if err != nil {
		return err
	}
	return writeFile(path, write)
}

// writerFor chooses how to write values by a file's name.
func writerFor(path string, values onnx.Values) (func(io.Writer) error, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".npz":
		return func(w io.Writer) error { return writeNPZ(w, values) }, nil
	case ".json":
		return func(w io.Writer) error {
			j, err := jsonValues(values)
			if err != nil {
				return err
			}
			return writeJSON(w, j)
		}, nil
	case ".npy", ".pb":
		v, err := single(path, values)
		if err != nil {
			return nil, err
		}
		if strings.EqualFold(filepath.Ext(path), ".pb") {
			return func(w io.Writer) error { return writeProto(w, v) }, nil
		}
		t, ok := v.(*onnx.Tensor)
		if !ok {
			return nil, onnx.Errorf(onnx.ErrType, "%s: an output of type %s has no .npy; write .pb or .json", path, v.Type().Name())
		}
		return func(w io.Writer) error { return onnx.WriteNPY(w, t) }, nil
	}
	return nil, hintf("-o %s: unknown kind of file; want .npz, .npy, .pb or .json", path)
}

// single gives the only value.
func single(path string, values onnx.Values) (onnx.Value, error) {
	if len(values) != 1 {
		return nil, hintf("-o %s holds one output, the model has %s; choose with --output NAME, or write .npz", path, quotedList(sorted(values)))
	}
	for _, v := range values {
		return v, nil
	}
	return nil, nil
}

func writeNPZ(w io.Writer, values onnx.Values) error {
	tensors := map[string]*onnx.Tensor{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		t, ok := values[name].(*onnx.Tensor)
		if !ok {
			return onnx.Errorf(onnx.ErrType, "output %q: a value of type %s does not go into an .npz; write .json", name, values[name].Type().Name())
		}
		tensors[name] = t
	}
	return onnx.WriteNPZ(w, tensors)
}
