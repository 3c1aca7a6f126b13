package runtime

import (
	"errors"
	"math"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// TestEstimateMemory: two values of 4*n bytes are alive while a Relu runs, and
// a Reshape takes nothing.
func TestEstimateMemory(t *testing.T) {
	f := onnx.TensorType(onnx.Float, onnx.Shape{{Value: -1, Name: "n"}})
	node := func(op, in, out string) *onnx.Node {
		return &onnx.Node{Name: op, OpType: op, Inputs: []string{in}, Outputs: []string{out}}
	}
	m := &onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 14}}, Graph: &onnx.Graph{Name: "g",
		Nodes: []*onnx.Node{node("Relu", "x", "a"), node("Tanh", "a", "b"), node("Sigmoid", "b", "c"),
			{OpType: "Concat", Name: "Concat", Inputs: []string{"c", "c", "c"}, Outputs: []string{"d"}, Attributes: []*onnx.Attribute{{Name: "axis", Type: onnx.AttrInt}}},
			{OpType: "Unsqueeze", Inputs: []string{"d", "axes"}, Outputs: []string{"y"}}},
		Inputs:       []onnx.ValueInfo{{Name: "x", Type: f}},
		Outputs:      []onnx.ValueInfo{{Name: "y", Type: onnx.TensorType(onnx.Float, nil)}},
		Initializers: []*onnx.Initializer{{Name: "axes", Tensor: onnx.MustTensor([]int{1}, []int64{0})}}}}
	s, err := LoadModel(m, WithPasses())
	if err != nil {
		t.Fatal(err)
	}
	e, err := s.EstimateMemory(map[string][]int{"x": {1000}})
	if err != nil || e.Peak != 16000 || e.At != `node "Concat" (Concat-13)` || e.Unknown != 0 {
		t.Errorf("%+v, %v; want a peak of 16000 bytes in Concat", e, err)
	}
	if e, err := s.EstimateMemory(nil); err != nil || e.Unknown != 5 || e.Peak != 0 {
		t.Errorf("%+v, %v; want 5 values of unknown size", e, err)
	}
	if e, err := s.EstimateMemory(map[string][]int{"x": {math.MaxInt / 8}}); err != nil || e.Peak < math.MaxInt/4 {
		t.Errorf("%+v, %v; want no overflow", e, err)
	}
	if _, err := s.EstimateMemory(map[string][]int{"x": {2, 3}}); err != nil && !errors.Is(err, onnx.ErrShape) {
		t.Errorf("error %v", err)
	}
}

// TestEstimateRefuses: shapes that a run would not take are an error, and so is
// the name of an input that there is not.
func TestEstimateRefuses(t *testing.T) {
	shape := onnx.Shape{{Value: -1, Name: "n"}, {Value: 3}}
	in := func(name string) onnx.ValueInfo {
		return onnx.ValueInfo{Name: name, Type: onnx.TensorType(onnx.Float, shape)}
	}
	m := &onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 14}}, Graph: &onnx.Graph{Name: "g",
		Nodes:   []*onnx.Node{{OpType: "Concat", Inputs: []string{"a", "b"}, Outputs: []string{"y"}, Attributes: []*onnx.Attribute{{Name: "axis", Type: onnx.AttrInt}}}},
		Inputs:  []onnx.ValueInfo{in("a"), in("b")},
		Outputs: []onnx.ValueInfo{{Name: "y", Type: onnx.TensorType(onnx.Float, nil)}}}}
	s, err := LoadModel(m)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		shapes map[string][]int
		good   bool
	}{
		"as declared":              {map[string][]int{"a": {2, 3}, "b": {2, 3}}, true},
		"a size that is not known": {map[string][]int{"a": {-1, 3}, "b": {2, -1}}, true},
		"one that is not there":    {map[string][]int{"c": {2, 3}}, false},
		"another rank":             {map[string][]int{"a": {2}}, false},
		"another size":             {map[string][]int{"a": {2, 4}}, false},
		"one name, two sizes":      {map[string][]int{"a": {2, 3}, "b": {5, 3}}, false},
	} {
		e, err := s.EstimateMemory(c.shapes)
		if good := err == nil; good != c.good || !good && !errors.Is(err, onnx.ErrShape) {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}
