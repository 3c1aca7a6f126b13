package rewrite_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/rewrite"
)

// TestFindPairs looks at the shape of graphs alone; none is run.
func TestFindPairs(t *testing.T) {
	state := func(name string, dims ...int) onnx.ValueInfo {
		return onnx.ValueInfo{Name: name, Type: onnx.TensorType(onnx.Float, onnx.FixedShape(dims...))}
	}
	index := func(name string, v ...int64) *onnx.Initializer {
		return &onnx.Initializer{Name: name, Tensor: onnx.MustTensor([]int{len(v)}, v)}
	}
	axis := ints("axis", 0)
	// two takes a state s of two layers apart as told, and puts the new ones
	// together as told.
	two := func(take []*onnx.Node, give ...*onnx.Node) *onnx.Graph {
		return &onnx.Graph{
			Inputs:       []onnx.ValueInfo{state("x", 1, 1, 3), state("s", 2, 1, 3)},
			Outputs:      []onnx.ValueInfo{state("n", 2, 1, 3)},
			Initializers: []*onnx.Initializer{index("last", -1), index("first", 0), index("end", 9), index("second", 1), index("back", -1)},
			Nodes: append(append(take,
				layerNode("GRU", "x W1 R1 _ _ a", "y1 an"), layerNode("GRU", "x W2 R2 _ _ b", "y2 bn")), give...),
		}
	}
	gathers := func(a, b string) []*onnx.Node {
		return []*onnx.Node{layerNode("Gather", "s "+a, "a"), layerNode("Gather", "s "+b, "b")}
	}
	concat := func(in string) *onnx.Node { return layerNode("Concat", in, "n", axis) }
	both := func(a, b string) *onnx.Node {
		return layerNode("If", "flag", "n", &onnx.Attribute{Name: "then_branch", Type: onnx.AttrGraph, Graph: &onnx.Graph{Outputs: []onnx.ValueInfo{{Name: "t"}},
			Nodes: []*onnx.Node{layerNode("Concat", a, "t", axis)}}},
			&onnx.Attribute{Name: "else_branch", Type: onnx.AttrGraph, Graph: &onnx.Graph{Outputs: []onnx.ValueInfo{{Name: "e"}},
				Nodes: []*onnx.Node{layerNode("Concat", b, "e", axis)}}})
	}
	split := []*onnx.Node{layerNode("Split", "s", "a b", axis)}
	long := two(gathers("first", "second"), layerNode("Concat", "an bn", "l0", axis))
	for i := range 5000 {
		long.Nodes = append(long.Nodes, layerNode("Identity", fmt.Sprint("l", i), fmt.Sprint("l", i+1)))
	}
	long.Outputs = []onnx.ValueInfo{state("l5000", 2, 1, 3)}
	wide := two(gathers("first", "second"), layerNode("Concat", "an bn", "w0", axis))
	for i := range 40 { // twice as many parts each
		wide.Nodes = append(wide.Nodes, layerNode("Concat", fmt.Sprintf("w%d w%d", i, i), fmt.Sprint("w", i+1), axis))
	}
	wide.Outputs = []onnx.ValueInfo{state("w40", 2, 1, 3)}

	for _, c := range []struct {
		name  string
		graph *onnx.Graph
		want  string
	}{
		{"gathered", two(gathers("first", "second"), concat("an bn")), "n=s"},
		{"counted from the end", two(gathers("first", "last"), concat("an bn")), "n=s"},
		{"swapped", two(gathers("second", "first"), concat("an bn")), ""},
		{"swapped twice", two(gathers("second", "first"), concat("bn an")), "n=s"},
		{"one layer twice", two(gathers("first", "second"), concat("an an")), ""},
		{"sliced", two([]*onnx.Node{layerNode("Slice", "s first second first", "a"), layerNode("Slice", "s second end first", "b")}, concat("an bn")), "n=s"},
		{"sliced backward", two([]*onnx.Node{layerNode("Slice", "s first second first back", "a"), layerNode("Slice", "s second end first", "b")}, concat("an bn")), ""},
		{"a position that is computed", two(gathers("first", "x"), concat("an bn")), ""},
		{"split", two(split, concat("an bn")), "n=s"},
		{"in both branches", two(split, both("an bn", "an bn")), "n=s"},
		{"another order in a branch", two(split, both("an bn", "bn an")), ""},
		{"changed on the way", two(split, layerNode("Relu", "an", "r"), concat("r bn")), ""},
		{"another shape", func() *onnx.Graph { g := two(split, concat("an bn")); g.Outputs[0] = state("n", 2, 3); return g }(), ""},
		{"another type", func() *onnx.Graph {
			g := two(split, concat("an bn"))
			g.Outputs[0].Type.Elem = onnx.Double
			return g
		}(), ""},
		{"directions apart", &onnx.Graph{ // one state in two inputs and outputs
			Inputs:       []onnx.ValueInfo{state("x", 1, 1, 3), state("f", 1, 1, 3), state("b", 1, 1, 3)},
			Outputs:      []onnx.ValueInfo{state("bn", 1, 1, 3), state("fn", 1, 1, 3)},
			Initializers: []*onnx.Initializer{index("first", 0), index("second", 1), index("end", 9)},
			Nodes: []*onnx.Node{layerNode("Concat", "f b", "h", axis), layerNode("GRU", "x W R _ _ h", "y hn", text("direction", "bidirectional")),
				layerNode("Slice", "hn first second first", "fn"), layerNode("Slice", "hn second end first", "bn")},
		}, "bn=b fn=f"},
		{"past_state", &onnx.Graph{
			Inputs:  []onnx.ValueInfo{state("x", 1, 2, 1), state("past", 1, 2, 3)},
			Outputs: []onnx.ValueInfo{state("y", 1, 2, 1), state("present", 1, 2, 3)},
			Nodes:   []*onnx.Node{layerNode("CausalConvWithState", "x W _ past", "y present")},
		}, "present=past"},
		{"a longer way than is followed", long, ""},
		{"more parts than are followed", wide, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			pairs, err := rewrite.FindPairs(&onnx.Model{IRVersion: 8, Graph: c.graph}, nil)
			var got []string
			for _, p := range pairs {
				got = append(got, p.String())
			}
			if s := strings.Join(got, " "); err != nil || s != c.want {
				t.Errorf("pairs %q, error %v; want %q", s, err, c.want)
			}
		})
	}
}
