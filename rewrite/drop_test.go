package rewrite

import (
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// TestDropKeepsDefaults: an input that has a default must not need a value for
// being without effect.
func TestDropKeepsDefaults(t *testing.T) {
	f := onnx.TensorType(onnx.Float, onnx.FixedShape(1))
	value := func(name string) *onnx.Initializer {
		return &onnx.Initializer{Name: name, Tensor: onnx.MustTensor([]int{1}, []float32{1})}
	}
	m := &onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 14}}, Graph: &onnx.Graph{Name: "g",
		Nodes:        []*onnx.Node{{OpType: "Relu", Inputs: []string{"x"}, Outputs: []string{"y"}}},
		Inputs:       []onnx.ValueInfo{{Name: "x", Type: f}, {Name: "unused", Type: f}},
		Outputs:      []onnx.ValueInfo{{Name: "y", Type: f}},
		Initializers: []*onnx.Initializer{value("unused"), value("dead")}}}
	got, err := Apply(m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if i := got.Graph.Initializers; len(i) != 1 || i[0].Name != "unused" {
		t.Errorf("%d initializers are left, want the one that is an input's default", len(i))
	}
}
