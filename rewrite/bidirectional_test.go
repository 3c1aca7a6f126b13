package rewrite_test

import (
	"fmt"
	"testing"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
	"github.com/recur-ml/recur/rewrite"
)

// directed describes an RNN: its output, direction and initial state.
type directed struct {
	out, direction, state string
	clip                  bool
}

// directions makes a model of RNN nodes over one sequence, and a node Count.
func directions(list ...directed) *onnx.Model {
	g := &onnx.Graph{Name: "g",
		Inputs:       []onnx.ValueInfo{{Name: "X", Type: onnx.TensorType(onnx.Float, onnx.FixedShape(3, 1, 2))}},
		Outputs:      []onnx.ValueInfo{{Name: "counted"}},
		Initializers: []*onnx.Initializer{{Name: "W", Tensor: tensor(0.5, 1, 2, 2)}, {Name: "R", Tensor: tensor(0.25, 1, 2, 2)}},
		Nodes:        []*onnx.Node{{OpType: "Count", Domain: "test", Inputs: []string{"X"}, Outputs: []string{"counted"}}}}
	for _, l := range list {
		n := &onnx.Node{Name: l.out, OpType: "RNN", Inputs: []string{"X", "W", "R", "", "", l.state}, Outputs: []string{"", l.out},
			Attributes: []*onnx.Attribute{ints("hidden_size", 2), text("direction", l.direction)}}
		if l.state == "" {
			n.Inputs = n.Inputs[:3]
		}
		if l.clip {
			n.Attributes = append(n.Attributes, &onnx.Attribute{Name: "clip", Type: onnx.AttrFloat, Float: 1})
		}
		g.Nodes = append(g.Nodes, n)
		g.Outputs = append(g.Outputs, onnx.ValueInfo{Name: l.out})
	}
	return &onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 17}, {Domain: "test", Version: 1}}, Graph: g}
}

// joinedOf applies the pass and gives the number of operators of both directions
// and how often the graph was inferred.
func joinedOf(t *testing.T, m *onnx.Model) (joined, inferred int) {
	t.Helper()
	r := ops.Default().Clone()
	err := r.Register(ops.Op{Domain: "test", Name: "Count", Since: []int{1},
		Infer: func(n *ops.Node) error { inferred++; n.Set(0, n.In(0).Type); return nil },
		Build: func(n *ops.Node) (ops.Kernel, error) { return nil, fmt.Errorf("not to be run") }})
	if err != nil {
		t.Fatal(err)
	}
	if err := onnx.Check(m); err != nil {
		t.Fatal(err)
	}
	m, err = rewrite.Apply(m, rewrite.Options{Registry: r, Passes: []string{"bidirectional"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := onnx.Check(m); err != nil {
		t.Error(err)
	}
	for _, n := range m.Graph.Nodes {
		if a := n.Attr("direction"); a != nil && a.String == "bidirectional" {
			joined++
		}
	}
	return joined, inferred
}

// TestManyPairs has many operators to join: the graph is not inferred for each.
func TestManyPairs(t *testing.T) {
	const n = 300
	var list []directed
	for i := range n {
		list = append(list, directed{out: fmt.Sprint("f", i), direction: "forward"}, directed{out: fmt.Sprint("b", i), direction: "reverse"})
	}
	joined, inferred := joinedOf(t, directions(list...))
	if joined != n || inferred > 10 {
		t.Errorf("%d of %d pairs are joined, by inferring the graph %d times", joined, n, inferred)
	}
}

// TestPairsWouldReadOneAnother has two pairs of which either could be joined, and
// both could not: each would need what the other gives.
func TestPairsWouldReadOneAnother(t *testing.T) {
	joined, _ := joinedOf(t, directions(
		directed{"s", "forward", "", false},
		directed{"f1", "forward", "s", true}, directed{"f2", "forward", "f1", false},
		directed{"b2", "reverse", "s", false}, directed{"b1", "reverse", "b2", true}))
	if joined != 1 {
		t.Errorf("%d pairs are joined, want 1", joined)
	}
}
