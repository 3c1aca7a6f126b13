package runtime_test

import (
	"errors"
	"testing"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// TestCopiesAreCharged: what a model passes through is copied for the caller,
// and the copy is charged to the budget of the run, whatever its kind.
func TestCopiesAreCharged(t *testing.T) {
	const n = 1 << 16
	keys, floats, indices := make([]int64, n), make([]float32, n), make([]int64, n)
	for i := range keys {
		keys[i], indices[i] = int64(i), int64(i)
	}
	tensor := onnx.MustTensor([]int{n}, floats)
	for name, c := range map[string]struct {
		of onnx.Type
		in onnx.Value
	}{
		"tensor":   {onnx.TensorType(onnx.Float, nil), tensor},
		"sequence": {onnx.SequenceType(onnx.TensorType(onnx.Float, nil)), &onnx.Sequence{Elem: onnx.TensorType(onnx.Float, nil), Items: []onnx.Value{tensor}}},
		"optional": {onnx.OptionalType(onnx.TensorType(onnx.Float, nil)), &onnx.Optional{Elem: onnx.TensorType(onnx.Float, nil), Value: tensor}},
		"map":      {onnx.MapType(onnx.Int64, onnx.TensorType(onnx.Float, onnx.Shape{})), &onnx.Map{Keys: onnx.MustTensor([]int{n}, keys), Values: tensor}},
		"sparse": {onnx.Type{Kind: onnx.KindSparseTensor, Elem: onnx.Float}, &onnx.SparseTensor{Values: tensor,
			Indices: onnx.MustTensor([]int{n}, indices), Dims: []int{2 * n}}},
	} {
		t.Run(name, func(t *testing.T) {
			m := &onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 17}}, Graph: &onnx.Graph{Name: "g",
				Inputs:  []onnx.ValueInfo{{Name: "x", Type: c.of}},
				Outputs: []onnx.ValueInfo{{Name: "x", Type: c.of}}}}
			for _, budget := range []int64{1 << 16, 1 << 21} {
				s, err := rt.LoadModel(m, rt.WithLimits(onnx.Limits{RunBytes: budget}))
				if err != nil {
					t.Fatal(err)
				}
				for range 3 { // nothing is charged twice
					_, err = s.Run(t.Context(), onnx.Values{"x": c.in})
					if (budget < 4*n) != errors.Is(err, onnx.ErrLimit) || budget > 4*n && err != nil {
						t.Errorf("a budget of %d: %v", budget, err)
					}
				}
				s.Close()
			}
		})
	}
}
