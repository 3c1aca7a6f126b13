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

// TestDropTrimsBodies: an output of a loop that nobody reads goes with what
// computes it, and what stays has a name.
func TestDropTrimsBodies(t *testing.T) {
	f, b, i := onnx.TensorType(onnx.Float, onnx.FixedShape(1)), onnx.TensorType(onnx.Bool, onnx.Shape{}), onnx.TensorType(onnx.Int64, onnx.Shape{})
	info := func(name string, t onnx.Type) onnx.ValueInfo { return onnx.ValueInfo{Name: name, Type: t} }
	body := &onnx.Graph{Name: "b", Inputs: []onnx.ValueInfo{info("i", i), info("c", b), info("v", f)},
		Outputs: []onnx.ValueInfo{info("c2", b), info("v2", f), info("s1", f), info("s2", f)},
		Nodes: []*onnx.Node{
			{OpType: "Identity", Inputs: []string{"c"}, Outputs: []string{"c2"}},
			{OpType: "Relu", Inputs: []string{"v"}, Outputs: []string{"v2"}},
			{OpType: "Neg", Inputs: []string{"v"}, Outputs: []string{"s1"}},
			{OpType: "Abs", Inputs: []string{"v"}, Outputs: []string{"s2"}},
		}}
	m := &onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 14}}, Graph: &onnx.Graph{Name: "g",
		Inputs: []onnx.ValueInfo{info("x", f), info("n", i)}, Outputs: []onnx.ValueInfo{info("stack2", onnx.TensorType(onnx.Float, nil))},
		Nodes: []*onnx.Node{{OpType: "Loop", Inputs: []string{"n", "", "x"}, Outputs: []string{"last", "stack1", "stack2"},
			Attributes: []*onnx.Attribute{{Name: "body", Type: onnx.AttrGraph, Graph: body}}}}}}
	got, err := Apply(m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := got.Graph.Nodes[0]
	if len(n.Outputs) != 2 || n.Outputs[0] != "last" || n.Outputs[1] != "stack2" {
		t.Errorf("the loop gives %q, want the state and the second stack", n.Outputs)
	}
	left := n.Attr("body").Graph
	if len(left.Outputs) != 3 || left.Outputs[2].Name != "s2" || len(left.Nodes) != 3 {
		t.Errorf("the body gives %v by %d nodes, want condition, state and s2 by three", left.Outputs, len(left.Nodes))
	}
	if len(body.Outputs) != 4 || len(m.Graph.Nodes[0].Outputs) != 3 {
		t.Error("the model that was given was changed")
	}
}
