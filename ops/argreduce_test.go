package ops

import (
	"errors"
	"math"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func TestArgMaxMin(t *testing.T) {
	nan := float32(math.NaN())
	f := onnx.MustTensor([]int{2, 3}, []float32{2, 5, 5, -1, -1, -4})
	ints := func(shape []int, v ...int64) *onnx.Tensor { return onnx.MustTensor(shape, v) }
	for _, c := range []struct {
		op    string
		opset int
		x     *onnx.Tensor
		attrs []any
		want  *onnx.Tensor
	}{
		{"ArgMax", 1, f, nil, ints([]int{1, 3}, 0, 0, 0)},
		{"ArgMin", 11, f, nil, ints([]int{1, 3}, 1, 1, 1)},
		{"ArgMax", 13, f, []any{"axis", 1}, ints([]int{2, 1}, 1, 0)},
		{"ArgMax", 13, f, []any{"axis", -1, "keepdims", 0, "select_last_index", 1}, ints([]int{2}, 2, 1)},
		{"ArgMin", 12, f, []any{"axis", 1, "keepdims", 0}, ints([]int{2}, 0, 2)},
		{"ArgMax", 13, onnx.MustTensor([]int{2, 2}, []float32{7, 7, 7, 7}), []any{"axis", 0, "select_last_index", 1}, ints([]int{1, 2}, 1, 1)},
		{"ArgMax", 13, onnx.MustTensor([]int{5}, []float32{1, nan, 9, nan, 2}), nil, ints([]int{1}, 1)},
		{"ArgMin", 13, onnx.MustTensor([]int{5}, []float32{1, nan, 9, nan, 2}), []any{"select_last_index", 1}, ints([]int{1}, 3)},
		{"ArgMax", 13, onnx.MustTensor([]int{3}, []uint64{1, 1<<64 - 1, 3}), []any{"keepdims", 0}, ints([]int{}, 1)},
		{"ArgMin", 13, onnx.MustTensor([]int{3}, []int8{1, -128, 3}), []any{"keepdims", 0}, ints([]int{}, 1)},
		{"ArgMax", 13, onnx.MustTensor([]int{2}, []onnx.BF16{onnx.ToBF16(1), onnx.ToBF16(2)}), nil, ints([]int{1}, 1)},
		{"ArgMax", 13, onnx.MustTensor([]int{0, 3}, []float32{}), []any{"axis", 1}, ints([]int{0, 1})},
		{"ArgMax", 13, onnx.MustTensor([]int{2, 2, 2}, []int32{1, 2, 3, 4, 9, 8, 7, 6}), []any{"axis", 1, "keepdims", 0}, ints([]int{2, 2}, 1, 1, 0, 0)},
	} {
		out, err := compute(t, node(c.op, 1, c.attrs...), c.opset, c.x)
		if err != nil {
			t.Errorf("%s-%d of %v %v: %v", c.op, c.opset, c.x, c.attrs, err)
			continue
		}
		if d := differ(out[0], c.want, 0, 0); d != "" {
			t.Errorf("%s-%d of %v %v: %s", c.op, c.opset, c.x, c.attrs, d)
		}
	}
	for _, c := range []struct {
		x    *onnx.Tensor
		axis int
	}{{f, 2}, {f, -3}, {onnx.MustTensor([]int{2, 0}, []float32{}), 1}} {
		if _, err := compute(t, node("ArgMax", 1, "axis", c.axis), 13, c.x); !errors.Is(err, onnx.ErrShape) {
			t.Errorf("axis %d of %v: error %v, want %v", c.axis, c.x, err, onnx.ErrShape)
		}
	}
	x := onnx.MustTensor([]int{8, 9}, make([]float32, 72))
	if a := steadyAllocs(t, node("ArgMax", 1, "axis", 1), 13, x); a != 0 {
		t.Errorf("%v allocations", a)
	}
}
