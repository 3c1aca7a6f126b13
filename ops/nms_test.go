package ops

import (
	"errors"
	"math"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func TestNonMaxSuppression(t *testing.T) {
	// Unit squares: 0 and 1 overlap by 0.9/1.1, 2 and 3 likewise, 4 stands alone.
	boxes := []float32{0, 0, 1, 1, 0, 0.1, 1, 1.1, 0, 10, 1, 11, 1, 11.1, 0, 10.1, 0, 100, 1, 101}
	center := []float32{0.5, 0.5, 1, 1, 0.5, 0.6, 1, 1, 0.5, 10.5, 1, 1, 0.5, 10.6, 1, 1, 0.5, 100.5, 1, 1}
	scores := []float32{0.9, 0.75, 0.6, 0.95, 0.5}
	f := func(shape []int, v ...float32) onnx.Value { return onnx.MustTensor(shape, v) }
	limit := func(v int64) onnx.Value { return onnx.MustTensor([]int{1}, []int64{v}) }
	for _, c := range []struct {
		name  string
		attrs []any
		in    []onnx.Value
		want  []int64
	}{
		{"by overlap", nil, []onnx.Value{f([]int{1, 5, 4}, boxes...), f([]int{1, 1, 5}, scores...), limit(3), f(nil, 0.5)}, []int64{0, 0, 3, 0, 0, 0, 0, 0, 4}},
		{"centres", []any{"center_point_box", 1}, []onnx.Value{f([]int{1, 5, 4}, center...), f([]int{1, 1, 5}, scores...), limit(3), f(nil, 0.5)}, []int64{0, 0, 3, 0, 0, 0, 0, 0, 4}},
		{"and score", nil, []onnx.Value{f([]int{1, 5, 4}, boxes...), f([]int{1, 1, 5}, scores...), limit(3), f(nil, 0.5), f(nil, 0.5)}, []int64{0, 0, 3, 0, 0, 0}},
		{"a high threshold keeps all", nil, []onnx.Value{f([]int{1, 5, 4}, boxes...), f([]int{1, 1, 5}, scores...), limit(9), f(nil, 0.9)}, []int64{0, 0, 3, 0, 0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 4}},
		{"a limit", nil, []onnx.Value{f([]int{1, 5, 4}, boxes...), f([]int{1, 1, 5}, scores...), limit(1)}, []int64{0, 0, 3}},
		{"no limit given is none", nil, []onnx.Value{f([]int{1, 5, 4}, boxes...), f([]int{1, 1, 5}, scores...)}, nil},
		{"two classes, equal scores", nil, []onnx.Value{f([]int{1, 2, 4}, boxes[8:16]...), f([]int{1, 2, 2}, 1, 1, 1, 2), limit(2), f(nil, 0.5)}, []int64{0, 0, 0, 0, 1, 1}},
		{"two batches", nil, []onnx.Value{f([]int{2, 1, 4}, boxes[:8]...), f([]int{2, 1, 1}, 1, 1), limit(2)}, []int64{0, 0, 0, 1, 0, 0}},
		{"no boxes", nil, []onnx.Value{f([]int{1, 0, 4}), f([]int{1, 3, 0}), limit(2)}, nil},
		{"no boxes of many classes", nil, []onnx.Value{f([]int{math.MaxInt32, 0, 4}), f([]int{math.MaxInt32, math.MaxInt32, 0}), limit(2)}, nil},
	} {
		out, err := compute(t, node("NonMaxSuppression", 1, c.attrs...), 11, c.in...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if d := differ(out[0], onnx.MustTensor([]int{len(c.want) / 3, 3}, c.want), 0, 0); d != "" {
			t.Errorf("%s: %s, %v", c.name, d, onnx.Elements[int64](out[0].(*onnx.Tensor)))
		}
	}
	if _, err := compute(t, node("NonMaxSuppression", 1), 11, f([]int{1, 2, 4}, boxes[:8]...), f([]int{1, 1, 1}, 1)); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("scores of another number of boxes: error %v, want %v", err, onnx.ErrShape)
	}
}
