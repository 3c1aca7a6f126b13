package runtime_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// TestDeclaredShapes: an output's declared shape that certainly is another one
// than that of the result is an error when the model is loaded. What shows at
// a run only is let through.
func TestDeclaredShapes(t *testing.T) {
	two, rows := onnx.Fixed(2), onnx.Dim{Value: -1, Name: "rows"}
	for _, c := range []struct {
		in, declared onnx.Shape
		want         string
	}{
		{onnx.Shape{two, two}, onnx.Shape{two, two}, ""},
		{onnx.Shape{two, two}, onnx.Shape{onnx.UnknownDim, two}, ""},
		{onnx.Shape{two, two}, nil, ""},
		{onnx.Shape{two, two}, onnx.Shape{two, onnx.Fixed(3)}, `graph output "y" is of shape [2 2], declared is [2 3]`},
		{onnx.Shape{two, two}, onnx.Shape{two}, `graph output "y" is of shape [2 2], declared is [2]`},
		{onnx.Shape{rows, two}, onnx.Shape{onnx.Fixed(3), two}, ""}, // the run below has two rows
		{nil, onnx.Shape{onnx.Fixed(3)}, ""},
	} {
		m := &onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 17}}, Graph: &onnx.Graph{Name: "g",
			Inputs:  []onnx.ValueInfo{{Name: "x", Type: onnx.TensorType(onnx.Float, c.in)}},
			Nodes:   []*onnx.Node{{OpType: "Relu", Inputs: []string{"x"}, Outputs: []string{"y"}}},
			Outputs: []onnx.ValueInfo{{Name: "y", Type: onnx.TensorType(onnx.Float, c.declared)}}}}
		s, err := rt.LoadModel(m)
		if c.want != "" {
			if !errors.Is(err, onnx.ErrShape) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v declared as %v: %v, want %s", c.in, c.declared, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v declared as %v: %v", c.in, c.declared, err)
			continue
		}
		x := onnx.MustTensor([]int{2, 2}, []float32{1, -1, 2, -2})
		if _, err := s.Run(t.Context(), onnx.Values{"x": x}); err != nil {
			t.Errorf("%v declared as %v: %v", c.in, c.declared, err)
		}
		s.Close()
	}
}

// TestOutputTwice: a value may be listed as an output more than once; ONNX has
// no rule against it.
func TestOutputTwice(t *testing.T) {
	y := onnx.ValueInfo{Name: "y", Type: onnx.TensorType(onnx.Float, onnx.FixedShape(2))}
	s, err := rt.LoadModel(&onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 17}}, Graph: &onnx.Graph{Name: "g",
		Inputs:  []onnx.ValueInfo{{Name: "x", Type: y.Type}},
		Nodes:   []*onnx.Node{{OpType: "Relu", Inputs: []string{"x"}, Outputs: []string{"y"}}},
		Outputs: []onnx.ValueInfo{y, y}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x := onnx.MustTensor([]int{2}, []float32{1, -1})
	out, err := s.Run(t.Context(), onnx.Values{"x": x})
	if err != nil || len(out) != 1 {
		t.Fatalf("%v, %v", out, err)
	}
	into := onnx.MustTensor([]int{2}, []float32{5, 5})
	if err := s.RunInto(t.Context(), onnx.Values{"x": x}, onnx.Values{"y": into}); err != nil {
		t.Fatal(err)
	}
	for _, v := range []onnx.Value{out["y"], into} {
		if got := onnx.Elements[float32](v.(*onnx.Tensor)); got[0] != 1 || got[1] != 0 {
			t.Errorf("%v, want [1 0]", got)
		}
	}
}
