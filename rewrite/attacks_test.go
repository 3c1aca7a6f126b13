package rewrite

import (
	"math"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// TestBrokenTranspositionsStay: a perm that is none must not be taken for one
// that changes nothing, nor be followed.
func TestBrokenTranspositionsStay(t *testing.T) {
	for _, perm := range [][]int64{{0, 0}, {0, 1, 3}, {5, 7}, {-1, 0}, {0, 1, 1}} {
		m := &onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 14}}, Graph: &onnx.Graph{Name: "g",
			Nodes: []*onnx.Node{
				{OpType: "Transpose", Inputs: []string{"x"}, Outputs: []string{"t"}, Attributes: []*onnx.Attribute{attrInts("perm", perm...)}},
				{OpType: "Transpose", Inputs: []string{"t"}, Outputs: []string{"y"}, Attributes: []*onnx.Attribute{attrInts("perm", 1, 0)}},
				{OpType: "Transpose", Inputs: []string{"w"}, Outputs: []string{"z"}, Attributes: []*onnx.Attribute{attrInts("perm", perm...)}},
			},
			Inputs:       []onnx.ValueInfo{{Name: "x", Type: onnx.TensorType(onnx.Float, nil)}},
			Outputs:      []onnx.ValueInfo{{Name: "y"}, {Name: "z"}},
			Initializers: []*onnx.Initializer{{Name: "w", Tensor: onnx.MustTensor([]int{1, 2}, []float32{1, 2})}}}}
		got, err := Apply(m, Options{})
		if err != nil {
			t.Errorf("perm %v: %v", perm, err)
			continue
		}
		broken := 0
		for _, n := range got.Graph.Nodes {
			if a := n.Attr("perm"); a != nil && !isPermutation(a.Ints) {
				broken++
			}
		}
		if broken != 2 {
			t.Errorf("perm %v: %d of two broken transpositions are left", perm, broken)
		}
	}
}

// TestEmptyViews: a tensor without elements may be as long as it likes in
// another direction.
func TestEmptyViews(t *testing.T) {
	x, err := onnx.NewZeros(onnx.Float, []int{2, math.MaxInt32, 0, 3})
	if err != nil {
		t.Fatal(err)
	}
	v := &view{tensor: x, ranges: [][2]int{{0, 2}, {0, math.MaxInt32}, {0, 0}, {0, 3}}, axes: allAxes(4)}
	if n := len(v.offsets()); n != 0 {
		t.Errorf("%d elements, want none", n)
	}
	if len(v.floats()) != 0 || !v.zero() {
		t.Error("some element is not zero")
	}
}
