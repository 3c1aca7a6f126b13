package ops

import (
	"errors"
	"math"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func TestOptimizers(t *testing.T) {
	one := func(v float64) onnx.Value { return onnx.MustTensor([]int{1}, []float64{v}) }
	count := func(v int64) onnx.Value { return onnx.Scalar(v) }
	for _, c := range []struct {
		op    string
		attrs []any
		in    []onnx.Value
		want  []float64
	}{
		// r = 0.5/(1+2*0.5) = 0.25, g = 3+0.5*2 = 4, h = 9+16 = 25, x = 2 - 0.25*4/(5+0.25)
		{"Adagrad", []any{"decay_factor", 0.5, "norm_coefficient", 0.5, "epsilon", 0.25},
			[]onnx.Value{onnx.Scalar(0.5), count(2), one(2), one(3), one(9)}, []float64{2 - 1/5.25, 25}},
		// g = 4, v = 0.5*2 + 0.5*4 = 3, h = 0.75*4 + 0.25*16 = 7,
		// r = 0.5*sqrt(1-0.75)/(1-0.5) = 0.5
		{"Adam", []any{"alpha", 0.5, "beta", 0.75, "norm_coefficient", 0.5, "norm_coefficient_post", 0.5, "epsilon", 0.25},
			[]onnx.Value{onnx.Scalar(float32(0.5)), count(1), one(2), one(3), one(2), one(4)}, []float64{0.5 * (2 - 0.5*3/(math.Sqrt(7)+0.25)), 3, 7}},
		{"Adam", []any{"alpha", 0.5, "beta", 0.75, "epsilon", 0.25},
			[]onnx.Value{onnx.Scalar(float32(0.5)), count(0), one(2), one(4), one(2), one(4)}, []float64{2 - 0.5*3/(math.Sqrt(7)+0.25), 3, 7}},
		{"Momentum", []any{"alpha", 0.5, "beta", 0.25, "norm_coefficient", 0.5, "mode", "standard"},
			[]onnx.Value{onnx.Scalar(0.5), count(1), one(2), one(3), one(6)}, []float64{2 - 0.5*4, 4}},
		{"Momentum", []any{"alpha", 0.5, "beta", 0.25, "norm_coefficient", 0.0, "mode", "nesterov"},
			[]onnx.Value{onnx.Scalar(0.5), count(0), one(2), one(4), one(6)}, []float64{2 - 0.5*(4+0.5*7), 7}},
		// two tensors
		{"Momentum", []any{"alpha", 1.0, "beta", 1.0, "norm_coefficient", 0.0, "mode", "standard"},
			[]onnx.Value{onnx.Scalar(1.0), count(1), one(1), one(2), one(10), one(20), one(100), one(200)}, []float64{-109, -218, 110, 220}},
	} {
		n := node(c.op, len(c.want), c.attrs...)
		n.Domain = previewTraining
		out, err := compute(t, n, 1, c.in...)
		if err != nil {
			t.Errorf("%s: %v", c.op, err)
			continue
		}
		for i, want := range c.want {
			if d := differ(out[i], one(want), 1e-14, 0); d != "" {
				t.Errorf("%s: output %d: %s", c.op, i, d)
			}
		}
	}
	bad := node("Adagrad", 2)
	bad.Domain = previewTraining
	if _, err := compute(t, bad, 1, onnx.Scalar(0.5), count(1), one(1), onnx.MustTensor([]int{2}, []float64{1, 2}), one(1)); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("a gradient of another shape: error %v, want %v", err, onnx.ErrShape)
	}
	if _, err := compute(t, bad, 1, onnx.Scalar(0.5), count(1), one(1), one(1)); !errors.Is(err, onnx.ErrMalformed) {
		t.Errorf("no state: error %v, want %v", err, onnx.ErrMalformed)
	}
}
