package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/recur-ml/recur/onnx"
)

// shapeFlags are the --shape flags: whole shapes of inputs, and sizes of
// named dimensions.
type shapeFlags struct {
	inputs map[string][]int
	dims   map[string]int
}

// parseShapes reads flags such as "x=1,512" and "batch=4" for a model of the
// given inputs.
func parseShapes(flags []string, inputs []onnx.ValueInfo) (*shapeFlags, error) {
	s := &shapeFlags{map[string][]int{}, map[string]int{}}
	symbols := dimNames(inputs)
	for _, flag := range flags {
		name, list, ok := cutLast(flag, "=")
		if !ok {
			return nil, usagef("--shape %q, want NAME=SIZE,SIZE,...", flag)
		}
		shape, err := parseShape(list)
		if err != nil {
			return nil, usagef("--shape %q: %v", flag, err)
		}
		switch {
		case slices.ContainsFunc(inputs, func(v onnx.ValueInfo) bool { return v.Name == name }):
			s.inputs[name] = shape
		case !slices.Contains(symbols, name):
			return nil, hintf("--shape %q: no input or dimension of that name; the model has inputs %s and dimensions %s", name, names(inputs), quotedList(symbols))
		case len(shape) != 1:
			return nil, usagef("--shape %q: %q is a dimension, want one size", flag, name)
		default:
			s.dims[name] = shape[0]
		}
	}
	return s, nil
}

// parseShape reads "1,512"; the empty text is a scalar's shape.
func parseShape(list string) ([]int, error) {
	shape := []int{}
	if strings.TrimSpace(list) == "" {
		return shape, nil
	}
	for _, f := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == 'x' || r == ' ' }) {
		n, err := strconv.Atoi(f)
		if err != nil || n < 0 {
			return nil, onnx.Errorf(onnx.ErrShape, "%q is no size", f)
		}
		shape = append(shape, n)
	}
	return shape, nil
}

// of gives the shape to make an input's tensor with: unknown dimensions that
// no flag names are 1.
func (s *shapeFlags) of(v onnx.ValueInfo, declared onnx.Shape) ([]int, error) {
	if shape, ok := s.inputs[v.Name]; ok {
		return shape, nil
	}
	if !declared.Ranked() {
		return nil, hintf("input %q: the model does not say its rank; give --shape %s=SIZE,SIZE,...", v.Name, v.Name)
	}
	shape := make([]int, len(declared))
	for i, d := range declared {
		size, named := s.dims[d.Name]
		switch {
		case d.Known():
			shape[i] = d.Value
		case named && d.Name != "":
			shape[i] = size
		default:
			shape[i] = 1
		}
	}
	return shape, nil
}

// learn takes the sizes of named dimensions from a value that is given.
func (s *shapeFlags) learn(v onnx.ValueInfo, value onnx.Value) {
	t, ok := value.(*onnx.Tensor)
	if !ok || len(t.Shape()) != len(v.Type.Shape) {
		return
	}
	for i, d := range v.Type.Shape {
		if _, known := s.dims[d.Name]; d.Name != "" && !known {
			s.dims[d.Name] = t.Shape()[i]
		}
	}
}

// dimNames lists the named dimensions of the inputs.
func dimNames(inputs []onnx.ValueInfo) []string {
	var out []string
	for _, v := range inputs {
		for _, d := range v.Type.Shape {
			if d.Name != "" && !slices.Contains(out, d.Name) {
				out = append(out, d.Name)
			}
		}
	}
	return out
}

// names writes the names of values for a message.
func names(list []onnx.ValueInfo) string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = v.Name
	}
	return quotedList(out)
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
