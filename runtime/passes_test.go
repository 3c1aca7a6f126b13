package runtime_test

import (
	"testing"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

func intsAttribute(name string, v ...int64) *onnx.Attribute {
	return &onnx.Attribute{Name: name, Type: onnx.AttrInts, Ints: v}
}

// samePasses wants all passes to give what none gives.
func samePasses(t *testing.T, build func() *onnx.Model, in onnx.Values) {
	t.Helper()
	want, err := load(t, build(), rt.WithPasses()).Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := load(t, build()).Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	sameValues(t, "with passes", got, want)
}

// TestRestackedAndRead: pieces that are stacked again make a transposition of
// their source, which has other readers too.
func TestRestackedAndRead(t *testing.T) {
	build := func() *onnx.Model {
		return modelOf(&onnx.Graph{
			Inputs:       []onnx.ValueInfo{value("x", onnx.Float, 2, 2, 2)},
			Outputs:      []onnx.ValueInfo{value("y", onnx.Float, 2, 2, 2), value("z", onnx.Float, 1, 2, 2)},
			Initializers: []*onnx.Initializer{initOf("k0", i64([]int{1}, 0)), initOf("k1", i64([]int{1}, 1))},
			Nodes: []*onnx.Node{
				op("Transpose", "x", "t", intsAttribute("perm", 1, 0, 2)), op("Neg", "t", "r"), op("Split", "r", "a b", intAttr("axis", 0)),
				op("Squeeze", "a k0", "a1"), op("Squeeze", "b k0", "b1"), op("Unsqueeze", "a1 k1", "a2"), op("Unsqueeze", "b1 k1", "b2"),
				op("Concat", "a2 b2", "c", intAttr("axis", 1)), op("Neg", "c", "y"), op("Neg", "a", "z"),
			}})
	}
	samePasses(t, build, onnx.Values{"x": f32([]int{2, 2, 2}, 1, 2, 3, 4, 5, 6, 7, 8)})
}

// TestSharedAttribute: a function's attributes serve all its calls, of whatever
// rank, and the caller's model stays as it is.
func TestSharedAttribute(t *testing.T) {
	build := func() *onnx.Model {
		m := modelOf(&onnx.Graph{
			Inputs:  []onnx.ValueInfo{value("x", onnx.Float, 2, 2), value("z", onnx.Float, 2, 2, 2)},
			Outputs: []onnx.ValueInfo{value("y", onnx.Float, 2, 2), value("q", onnx.Float, 2, 2, 2)},
			Nodes:   []*onnx.Node{{OpType: "F", Domain: "my", Inputs: []string{"x"}, Outputs: []string{"y"}}, {OpType: "F", Domain: "my", Inputs: []string{"z"}, Outputs: []string{"q"}}}})
		m.OpsetImports = []onnx.OpsetImport{{Version: 9}, {Domain: "my", Version: 1}}
		m.Functions = []*onnx.Function{{Domain: "my", Name: "F", Inputs: []string{"v"}, Outputs: []string{"w"}, OpsetImports: []onnx.OpsetImport{{Version: 9}}, Nodes: []*onnx.Node{
			op("Slice", "v", "a", intsAttribute("starts", 0), intsAttribute("ends", 1), intsAttribute("axes", -1)),
			op("Slice", "v", "b", intsAttribute("starts", 1), intsAttribute("ends", 2), intsAttribute("axes", -1)),
			op("Concat", "a b", "w", intAttr("axis", -1)),
		}}}
		return m
	}
	samePasses(t, build, onnx.Values{"x": f32([]int{2, 2}, 1, 2, 3, 4), "z": f32([]int{2, 2, 2}, 1, 2, 3, 4, 5, 6, 7, 8)})
	m := build()
	load(t, m)
	if got := m.Functions[0].Nodes[0].Attributes[2].Ints[0]; got != -1 {
		t.Errorf("the model's axes are %d now, were -1", got)
	}
}
