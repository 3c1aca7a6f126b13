package runtime_test

import (
	"fmt"
	"testing"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// flattened is what exporters make of a dense layer on each step: the axes of
// batch and time become one, and are two again in a shape that is computed.
func flattened() *onnx.Model {
	return modelOf(&onnx.Graph{
		Inputs:  []onnx.ValueInfo{value("x", onnx.Float, "n", "t", 3)},
		Outputs: []onnx.ValueInfo{value("y", onnx.Float, "n", "t", 3)},
		Initializers: []*onnx.Initializer{initOf("rows", i64([]int{2}, -1, 3)), initOf("three", i64([]int{1}, 3)),
			initOf("first", i64([]int{1}, 0)), initOf("second", i64([]int{1}, 1)), initOf("end", i64([]int{1}, 2))},
		Nodes: []*onnx.Node{
			op("Reshape", "x rows", "flat"), op("Relu", "flat", "r"),
			op("Shape", "x", "dims"), op("Slice", "dims first end", "nt"),
			op("Concat", "nt three", "back", intAttr("axis", 0)), op("Reshape", "r back", "y"),
		}})
}

// TestEmptyReshape: a size that is computed and turns out to be 0 is one, though
// a 0 in the list takes the input's size where it was written there; in the first
// run and in later ones, for which there may be a program.
func TestEmptyReshape(t *testing.T) {
	for name, opts := range map[string][]rt.Option{"all": nil, "no passes": {rt.WithPasses()}, "no programs": {rt.WithPrograms(0)}} {
		s := load(t, flattened(), opts...)
		for range 5 {
			for _, shape := range [][]int{{0, 0, 3}, {0, 2, 3}, {2, 0, 3}, {2, 2, 3}} {
				x, err := onnx.NewZeros(onnx.Float, shape)
				if err != nil {
					t.Fatal(err)
				}
				out, err := s.Run(t.Context(), onnx.Values{"x": x})
				if err != nil {
					t.Fatalf("%s, %v: %v", name, shape, err)
				}
				if got := out["y"].(*onnx.Tensor).Shape(); fmt.Sprint(got) != fmt.Sprint(shape) {
					t.Errorf("%s: y is %v, want %v", name, got, shape)
				}
			}
		}
	}
}
