package ops

import (
	"errors"
	"math"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func TestCumulative(t *testing.T) {
	f := func(shape []int, v ...float32) *onnx.Tensor { return onnx.MustTensor(shape, v) }
	axis := func(v int32) *onnx.Tensor { return onnx.Scalar(v) }
	x := f([]int{2, 3}, 1, 2, 3, 4, 5, 6)
	for _, c := range []struct {
		op    string
		opset int
		x     *onnx.Tensor
		axis  *onnx.Tensor
		attrs []any
		want  *onnx.Tensor
	}{
		{"CumSum", 11, x, axis(1), nil, f([]int{2, 3}, 1, 3, 6, 4, 9, 15)},
		{"CumSum", 14, x, axis(0), nil, f([]int{2, 3}, 1, 2, 3, 5, 7, 9)},
		{"CumSum", 14, x, axis(-1), []any{"exclusive", 1}, f([]int{2, 3}, 0, 1, 3, 0, 4, 9)},
		{"CumSum", 14, x, axis(1), []any{"reverse", 1}, f([]int{2, 3}, 6, 5, 3, 15, 11, 6)},
		{"CumSum", 14, x, onnx.MustTensor([]int{1}, []int64{1}), []any{"reverse", 1, "exclusive", 1}, f([]int{2, 3}, 5, 3, 0, 11, 6, 0)},
		{"CumSum", 14, onnx.MustTensor([]int{2}, []int32{math.MaxInt32, 1}), axis(0), nil, onnx.MustTensor([]int{2}, []int32{math.MaxInt32, math.MinInt32})},
		{"CumSum", 14, onnx.MustTensor([]int{2}, []uint64{1 << 63, 5}), axis(0), nil, onnx.MustTensor([]int{2}, []uint64{1 << 63, 1<<63 + 5})},
		{"CumSum", 14, onnx.MustTensor([]int{2}, []onnx.F16{onnx.ToF16(1.5), onnx.ToF16(2)}), axis(0), nil, onnx.MustTensor([]int{2}, []onnx.F16{onnx.ToF16(1.5), onnx.ToF16(3.5)})},
		{"CumSum", 14, f([]int{0, 2}), axis(0), nil, f([]int{0, 2})},
		{"CumProd", 26, x, axis(1), nil, f([]int{2, 3}, 1, 2, 6, 4, 20, 120)},
		{"CumProd", 26, x, axis(0), []any{"exclusive", 1}, f([]int{2, 3}, 1, 1, 1, 1, 2, 3)},
		{"CumProd", 26, onnx.MustTensor([]int{3}, []float64{2, 3, 4}), axis(0), []any{"reverse", 1}, onnx.MustTensor([]int{3}, []float64{24, 12, 4})},
	} {
		out, err := compute(t, node(c.op, 1, c.attrs...), c.opset, c.x, c.axis)
		if err != nil {
			t.Errorf("%s of %v %v: %v", c.op, c.x, c.attrs, err)
			continue
		}
		if d := differ(out[0], c.want, 0, 0); d != "" {
			t.Errorf("%s of %v %v: %s", c.op, c.x, c.attrs, d)
		}
	}
	for _, bad := range []*onnx.Tensor{axis(2), axis(-3), onnx.MustTensor([]int{2}, []int32{0, 1}), onnx.MustTensor([]int{0}, []int64{})} {
		if _, err := compute(t, node("CumSum", 1), 14, x, bad); !errors.Is(err, onnx.ErrShape) {
			t.Errorf("axis %v: error %v, want %v", bad, err, onnx.ErrShape)
		}
	}
	if a := steadyAllocs(t, node("CumSum", 1), 14, x, axis(1)); a != 0 {
		t.Errorf("%v allocations", a)
	}
}

// Each running sum is the exact one, rounded once.
func TestCumSumAccuracy(t *testing.T) {
	x, want := make([]float32, 3000), make([]float32, 3000)
	for i := range x {
		x[i], want[i] = 0.1, float32(float64(i+1)*float64(float32(0.1)))
	}
	out, err := compute(t, node("CumSum", 1), 14, onnx.MustTensor([]int{3000}, x), onnx.Scalar(int64(0)))
	if err != nil {
		t.Fatal(err)
	}
	if d := differ(out[0], onnx.MustTensor([]int{3000}, want), 6e-8, 0); d != "" {
		t.Error(d)
	}
}
