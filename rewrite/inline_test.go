package rewrite

import (
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// TestInlineKeepsNamesApart calls a function whose body has a branch that
// defines a value of the name that the caller passes in.
func TestInlineKeepsNamesApart(t *testing.T) {
	branch := func(nodes ...*onnx.Node) *onnx.Graph {
		return &onnx.Graph{Name: "b", Outputs: []onnx.ValueInfo{{Name: "r"}}, Nodes: nodes}
	}
	node := func(op string, in, out string, in2 ...string) *onnx.Node {
		return &onnx.Node{OpType: op, Inputs: append([]string{in}, in2...), Outputs: []string{out}}
	}
	choice := node("If", "k", "z")
	choice.Attributes = []*onnx.Attribute{
		{Name: "then_branch", Type: onnx.AttrGraph, Graph: branch(node("Exp", "x", "a"), node("Sub", "a", "r", "x"))},
		{Name: "else_branch", Type: onnx.AttrGraph, Graph: branch(node("Neg", "x", "r"))},
	}
	call := node("F", "a", "y", "c")
	call.Domain = "my"
	m := &onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 17}, {Domain: "my", Version: 1}},
		Graph: &onnx.Graph{Name: "g",
			Inputs:  []onnx.ValueInfo{{Name: "a", Type: onnx.TensorType(onnx.Float, onnx.FixedShape(2))}, {Name: "c", Type: onnx.TensorType(onnx.Bool, onnx.Shape{})}},
			Outputs: []onnx.ValueInfo{{Name: "y", Type: onnx.TensorType(onnx.Float, onnx.FixedShape(2))}},
			Nodes:   []*onnx.Node{call}},
		Functions: []*onnx.Function{{Domain: "my", Name: "F", Inputs: []string{"x", "k"}, Outputs: []string{"z"},
			OpsetImports: []onnx.OpsetImport{{Version: 17}}, Nodes: []*onnx.Node{choice}}}}
	if err := onnx.Check(m); err != nil {
		t.Fatal(err)
	}
	out, err := Apply(m, Options{Passes: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	then := out.Graph.Nodes[0].Attr("then_branch").Graph
	exp, sub := then.Nodes[0], then.Nodes[1]
	if exp.Inputs[0] != "a" || exp.Outputs[0] == "a" || sub.Inputs[0] != exp.Outputs[0] || sub.Inputs[1] != "a" || then.Outputs[0].Name != sub.Outputs[0] {
		t.Errorf("the branch is %v -> %v, %v -> %v, and gives %q", exp.Inputs, exp.Outputs, sub.Inputs, sub.Outputs, then.Outputs[0].Name)
	}
	if n := m.Functions[0].Nodes[0].Attributes[0].Graph.Nodes[0]; n.Outputs[0] != "a" {
		t.Error("the model itself was changed")
	}
}
