package ops

import (
	"errors"
	"math"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func TestLosses(t *testing.T) {
	f := func(shape []int, v ...float64) *onnx.Tensor { return onnx.MustTensor(shape, v) }
	x := f([]int{2, 3}, -1, -2, -3, -4, -5, -6)
	deep := f([]int{1, 2, 3}, -1, -2, -3, -4, -5, -6)
	w := f([]int{3}, 1, 10, 100)
	labels := onnx.MustTensor([]int{2}, []int64{2, 1})
	nan := math.NaN()
	for _, c := range []struct {
		name  string
		attrs []any
		in    []onnx.Value
		want  *onnx.Tensor
	}{
		{"mean", nil, []onnx.Value{x, labels}, f(nil, 4)},
		{"sum", []any{"reduction", "sum"}, []onnx.Value{x, labels}, f(nil, 8)},
		{"none", []any{"reduction", "none"}, []onnx.Value{x, labels}, f([]int{2}, 3, 5)},
		{"weights, mean", nil, []onnx.Value{x, labels, w}, f(nil, 350.0/110)},
		{"weights, none", []any{"reduction", "none"}, []onnx.Value{x, labels, w}, f([]int{2}, 300, 50)},
		{"ignored", []any{"ignore_index", 2, "reduction", "none"}, []onnx.Value{x, labels}, f([]int{2}, 0, 5)},
		{"ignored, mean", []any{"ignore_index", -7}, []onnx.Value{x, onnx.MustTensor([]int{2}, []int32{-7, 0}), w}, f(nil, 4)},
		{"all ignored, mean", []any{"ignore_index", 1}, []onnx.Value{x, onnx.MustTensor([]int{2}, []int32{1, 1})}, f(nil, nan)},
		{"more dimensions", []any{"reduction", "none"}, []onnx.Value{deep, onnx.MustTensor([]int{1, 3}, []int64{0, 1, 0})}, f([]int{1, 3}, 1, 5, 3)},
		{"no rows", []any{"reduction", "sum"}, []onnx.Value{f([]int{0, 3}), onnx.MustTensor([]int{0}, []int64{})}, f(nil, 0)},
	} {
		out, err := compute(t, node("NegativeLogLikelihoodLoss", 1, c.attrs...), 13, c.in...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if d := differ(out[0], c.want, 1e-14, 0); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
	for _, c := range []struct {
		name string
		in   []onnx.Value
	}{
		{"label too large", []onnx.Value{x, onnx.MustTensor([]int{2}, []int64{0, 3})}},
		{"negative label", []onnx.Value{x, onnx.MustTensor([]int{2}, []int64{0, -1})}},
		{"labels of another batch", []onnx.Value{x, onnx.MustTensor([]int{1}, []int64{0})}},
		{"labels of another rank", []onnx.Value{x, onnx.MustTensor([]int{2, 1}, []int64{0, 0})}},
		{"weights of another length", []onnx.Value{x, labels, f([]int{2}, 1, 2)}},
		{"rank 1", []onnx.Value{w, onnx.Scalar(int64(1))}},
	} {
		if _, err := compute(t, node("NegativeLogLikelihoodLoss", 1), 13, c.in...); !errors.Is(err, onnx.ErrShape) {
			t.Errorf("%s: error %v, want %v", c.name, err, onnx.ErrShape)
		}
	}
	if _, err := compute(t, node("NegativeLogLikelihoodLoss", 1, "reduction", "max"), 13, x, labels); !errors.Is(err, onnx.ErrMalformed) {
		t.Errorf("reduction max: error %v, want %v", err, onnx.ErrMalformed)
	}
}

func TestSoftmaxCrossEntropyLoss(t *testing.T) {
	ln := math.Log
	x := onnx.MustTensor([]int{1, 2, 2}, []float64{ln(1), ln(3), ln(3), ln(1)})
	labels := onnx.MustTensor([]int{1, 2}, []int32{0, 0})
	logp := onnx.MustTensor([]int{1, 2, 2}, []float64{ln(0.25), ln(0.75), ln(0.75), ln(0.25)})
	out, err := compute(t, node("SoftmaxCrossEntropyLoss", 2, "reduction", "none"), 13, x, labels)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []*onnx.Tensor{onnx.MustTensor([]int{1, 2}, []float64{-ln(0.25), -ln(0.75)}), logp} {
		if d := differ(out[i], want, 1e-14, 1e-15); d != "" {
			t.Errorf("output %d: %s", i, d)
		}
	}
	half := onnx.MustTensor([]int{1, 2}, []onnx.F16{onnx.ToF16(3), onnx.ToF16(3)})
	out, err = compute(t, node("SoftmaxCrossEntropyLoss", 1), 13, half, onnx.MustTensor([]int{1}, []int64{1}))
	if err != nil {
		t.Fatal(err)
	}
	if d := differ(out[0], onnx.Scalar(onnx.ToF16(float32(ln(2)))), 0, 0); d != "" {
		t.Error(d)
	}
}
