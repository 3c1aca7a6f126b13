package rewrite

import (
	"testing"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// factsModel is y = Neg(Add(x, k)), and an If with a branch that captures y.
func factsModel() *onnx.Model {
	branch := func(op string) *onnx.Graph {
		return &onnx.Graph{Name: op, Nodes: []*onnx.Node{{OpType: op, Inputs: []string{"y"}, Outputs: []string{op}}}, Outputs: []onnx.ValueInfo{{Name: op}}}
	}
	return &onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 17}}, Graph: &onnx.Graph{
		Name:         "g",
		Inputs:       []onnx.ValueInfo{{Name: "x", Type: onnx.TensorType(onnx.Float, onnx.FixedShape(2))}, {Name: "c", Type: onnx.TensorType(onnx.Bool, onnx.FixedShape())}},
		Initializers: []*onnx.Initializer{{Name: "k", Tensor: onnx.Scalar(float32(1))}},
		Outputs:      []onnx.ValueInfo{{Name: "z"}},
		Nodes: []*onnx.Node{
			{OpType: "Add", Inputs: []string{"x", "k"}, Outputs: []string{"a"}},
			{OpType: "Neg", Inputs: []string{"a"}, Outputs: []string{"y"}},
			{OpType: "If", Inputs: []string{"c"}, Outputs: []string{"z"}, Attributes: []*onnx.Attribute{
				{Name: "then_branch", Type: onnx.AttrGraph, Graph: branch("Abs")}, {Name: "else_branch", Type: onnx.AttrGraph, Graph: branch("Relu")},
				{Name: "of_no_meaning", Type: onnx.AttrInts, Ints: []int64{1, 2}}}},
		}}}
}

// TestFactsOf wants what is known of a graph to be found again, and anew after
// any change.
func TestFactsOf(t *testing.T) {
	for name, change := range map[string]func(*onnx.Model){
		"nothing":                    func(*onnx.Model) {},
		"an opset":                   func(m *onnx.Model) { m.OpsetImports[0].Version = 18 },
		"an operator":                func(m *onnx.Model) { m.Graph.Nodes[1].OpType = "Exp" },
		"a domain":                   func(m *onnx.Model) { m.Graph.Nodes[1].Domain = "mine" },
		"a node's opset":             func(m *onnx.Model) { m.Graph.Nodes[1].Opset = 9 },
		"an input of a node":         func(m *onnx.Model) { m.Graph.Nodes[1].Inputs[0] = "x" },
		"an output of a node":        func(m *onnx.Model) { m.Graph.Nodes[0].Outputs[0] = "b" },
		"one name for two":           func(m *onnx.Model) { m.Graph.Nodes[0].Inputs = []string{"xk"} },
		"a node":                     func(m *onnx.Model) { m.Graph.Nodes = m.Graph.Nodes[1:] },
		"the order of nodes":         func(m *onnx.Model) { n := m.Graph.Nodes; n[0], n[1] = n[1], n[0] },
		"a shape":                    func(m *onnx.Model) { m.Graph.Inputs[0].Type.Shape = onnx.FixedShape(3) },
		"a rank":                     func(m *onnx.Model) { m.Graph.Inputs[1].Type.Shape = nil },
		"an element type":            func(m *onnx.Model) { m.Graph.Inputs[0].Type.Elem = onnx.Double },
		"a constant":                 func(m *onnx.Model) { m.Graph.Initializers[0].Tensor = onnx.Scalar(float32(1)) },
		"a constant's name":          func(m *onnx.Model) { m.Graph.Initializers[0].Name = "l" },
		"an output of the graph":     func(m *onnx.Model) { m.Graph.Outputs[0].Name = "y" },
		"an attribute":               func(m *onnx.Model) { m.Graph.Nodes[2].Attributes[2].Ints[1] = 3 },
		"an attribute's name":        func(m *onnx.Model) { m.Graph.Nodes[2].Attributes[2].Name = "other" },
		"a branch":                   func(m *onnx.Model) { m.Graph.Nodes[2].Attributes[1].Graph.Nodes[0].OpType = "Exp" },
		"what a branch reads":        func(m *onnx.Model) { m.Graph.Nodes[2].Attributes[1].Graph.Nodes[0].Inputs[0] = "x" },
		"the outputs of a branch":    func(m *onnx.Model) { m.Graph.Nodes[2].Attributes[1].Graph.Outputs[0].Name = "y" },
		"an initializer in a branch": func(m *onnx.Model) { b := m.Graph.Nodes[2].Attributes[0].Graph; b.Initializers = m.Graph.Initializers },
	} {
		t.Run(name, func(t *testing.T) {
			s := newState(factsModel(), Options{})
			a := ops.NewAnalysis(s.registry, s.model, s.limits)
			f, err := s.factsOf(a, s.model.Graph, nil)
			if err != nil {
				t.Fatal(err)
			}
			branch := s.model.Graph.Nodes[2].Attributes[1].Graph
			inner, err := s.factsOf(a, branch, f)
			if err != nil {
				t.Fatal(err)
			}
			if got := inner.typeOf("Relu"); got.Elem != onnx.Float || len(got.Shape) != 1 || got.Shape[0].Value != 2 {
				t.Errorf("a value of the branch is %v", got)
			}
			change(s.model)
			again, err := s.factsOf(a, s.model.Graph, nil)
			if err != nil {
				t.Fatal(err)
			}
			if same := again == f; same != (name == "nothing") {
				t.Errorf("the facts are the same: %v", same)
			}
			within, err := s.factsOf(a, branch, again)
			if err != nil {
				t.Fatal(err)
			}
			if same := within == inner; same != (name == "nothing") {
				t.Errorf("the facts of the branch are the same: %v", same)
			}
			if k, known := within.info("k").Tensor(), name != "a constant's name"; (k != nil) != known {
				t.Errorf("the constant is %v", k)
			}
		})
	}
}

// TestFactsOfChangedBranch wants a branch that has changed to be inferred anew,
// though the graph around has not been looked at since.
func TestFactsOfChangedBranch(t *testing.T) {
	s := newState(factsModel(), Options{})
	a := ops.NewAnalysis(s.registry, s.model, s.limits)
	f, err := s.factsOf(a, s.model.Graph, nil)
	if err != nil {
		t.Fatal(err)
	}
	branch := s.model.Graph.Nodes[2].Attributes[1].Graph
	if _, err := s.factsOf(a, branch, f); err != nil {
		t.Fatal(err)
	}
	branch.Nodes[0].OpType = "Shape"
	again, err := s.factsOf(a, branch, f)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.typeOf("Relu").Elem; got != onnx.Int64 {
		t.Errorf("the shape that the branch gives is of %v", got)
	}
}

// TestFactsOfFolded wants what folding a model has found to be what inference
// finds in the folded model.
func TestFactsOfFolded(t *testing.T) {
	m := factsModel()
	g := m.Graph
	g.Initializers = append(g.Initializers, &onnx.Initializer{Name: "l", Tensor: onnx.Scalar(float32(2))})
	g.Nodes = append(g.Nodes, &onnx.Node{OpType: "Mul", Inputs: []string{"k", "l"}, Outputs: []string{"m"}}, &onnx.Node{OpType: "Sub", Inputs: []string{"a", "m"}, Outputs: []string{"n"}})
	s := newState(m, Options{})
	if err := fold(s); err != nil {
		t.Fatal(err)
	}
	g = s.model.Graph
	folded := s.factsOfGraphs[g]
	a := ops.NewAnalysis(s.registry, s.model, s.limits)
	f, err := s.factsOf(a, g, nil)
	if err != nil || f != folded || f == nil {
		t.Fatalf("the facts are %p, %v, want %p", f, err, folded)
	}
	delete(s.factsOfGraphs, g)
	fresh, err := s.factsOf(a, g, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"x", "c", "k", "l", "m", "n", "a", "y", "z"} {
		got, want := folded.info(name), fresh.info(name)
		if got.Type.String() != want.Type.String() || got.Const != want.Const {
			t.Errorf("%q is %v %v, want %v %v", name, got.Type, got.Const, want.Type, want.Const)
		}
		if (folded.makers[name] == nil) != (fresh.makers[name] == nil) {
			t.Errorf("%q is made by %v, want %v", name, folded.makers[name], fresh.makers[name])
		}
	}
	branch := g.Nodes[2].Attributes[0].Graph
	got, err := s.factsOf(a, branch, folded)
	if err != nil {
		t.Fatal(err)
	}
	if inner := got.typeOf("Abs"); inner.Elem != onnx.Float || len(inner.Shape) != 1 {
		t.Errorf("a value of the branch is %v", inner)
	}
}
