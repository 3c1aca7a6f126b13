package ops

import (
	"errors"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func TestMaxUnpool(t *testing.T) {
	x := onnx.MustTensor([]int{1, 1, 2}, []float32{5, 6})
	at := onnx.MustTensor([]int{1, 1, 2}, []int64{1, 2})
	for _, d := range []onnx.DataType{onnx.Float, onnx.Double, onnx.Float16} {
		out, err := compute(t, node("MaxUnpool", 1, "kernel_shape", []int64{2}, "strides", []int64{2}), 11, as(x, d), at)
		if err != nil {
			t.Fatal(err)
		}
		near(t, out[0], []int{1, 1, 4}, []float64{0, 5, 6, 0}, 0)
	}
	// two rows of two within two rows of three
	x, at = onnx.MustTensor([]int{1, 1, 1, 1}, []float32{7}), onnx.MustTensor([]int{1, 1, 1, 1}, []int64{2})
	out, err := compute(t, node("MaxUnpool", 1, "kernel_shape", []int64{2, 2}), 9, x, at, onnx.MustTensor([]int{4}, []int64{1, 1, 2, 3}))
	if err != nil {
		t.Fatal(err)
	}
	near(t, out[0], []int{1, 1, 2, 3}, []float64{0, 0, 0, 7, 0, 0}, 0)
	for _, bad := range []int64{-1, 4} {
		if _, err := compute(t, node("MaxUnpool", 1, "kernel_shape", []int64{2, 2}), 9, x, onnx.MustTensor([]int{1, 1, 1, 1}, []int64{bad})); !errors.Is(err, onnx.ErrShape) {
			t.Errorf("index %d: error %v, want ErrShape", bad, err)
		}
	}
}

func TestRois(t *testing.T) {
	x := onnx.MustTensor([]int{1, 1, 2, 4}, []float32{0, 1, 2, 3, 4, 5, 6, 7})
	zero := onnx.MustTensor([]int{1}, []int64{0})
	roi := onnx.MustTensor([]int{1, 4}, []float32{0, 0, 4, 2})
	for _, c := range []struct {
		n     *onnx.Node
		opset int
		want  []float64
	}{
		{node("RoiAlign", 1, "output_width", 2, "sampling_ratio", 2), 16, []float64{2.5, 4.5}},
		{node("RoiAlign", 1, "output_width", 2, "sampling_ratio", 2, "mode", "max"), 16, []float64{5, 7}},
		{node("RoiAlign", 1, "output_width", 2, "sampling_ratio", 1), 10, []float64{5, 7}},
		{node("RoiAlign", 1, "output_width", 2, "sampling_ratio", 1, "coordinate_transformation_mode", "output_half_pixel"), 22, []float64{5, 7}},
	} {
		for _, d := range []onnx.DataType{onnx.Float, onnx.Double} {
			out, err := compute(t, c.n, c.opset, as(x, d), as(roi, d), zero)
			if err != nil {
				t.Fatal(err)
			}
			near(t, out[0], []int{1, 1, 1, 2}, c.want, 1e-6)
		}
	}
	if _, err := compute(t, node("RoiAlign", 1), 16, x, roi, onnx.MustTensor([]int{1}, []int64{1})); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("item 1 of 1: error %v", err)
	}
	if _, err := compute(t, node("RoiAlign", 1), 16, x, onnx.MustTensor([]int{1, 4}, []float32{0, 0, 1e9, float32(nan())}), zero); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("a region beyond measure: error %v", err)
	}
	out, err := compute(t, node("MaxRoiPool", 1, "pooled_shape", []int64{1, 2}), 1, x, onnx.MustTensor([]int{2, 5}, []float32{0, 0, 0, 3, 1, 0, 9, 9, 12, 12}))
	if err != nil {
		t.Fatal(err)
	}
	near(t, out[0], []int{2, 1, 1, 2}, []float64{5, 7, 0, 0}, 0)
	if _, err := compute(t, node("MaxRoiPool", 1, "pooled_shape", []int64{1, 2}), 1, x, onnx.MustTensor([]int{1, 5}, []float32{-1, 0, 0, 3, 1})); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("item -1: error %v", err)
	}
}

func TestGridSample(t *testing.T) {
	x := onnx.MustTensor([]int{1, 1, 4}, []float32{1, 2, 4, 8})
	grid := onnx.MustTensor([]int{1, 3, 1}, []float32{-1, 0, 1.5})
	for _, c := range []struct {
		n    *onnx.Node
		want []float64
	}{
		{node("GridSample", 1), []float64{0.5, 3, 0}},
		{node("GridSample", 1, "align_corners", 1), []float64{1, 3, 2}},
		{node("GridSample", 1, "padding_mode", "border"), []float64{1, 3, 8}},
		{node("GridSample", 1, "padding_mode", "reflection"), []float64{1, 3, 6}},
		{node("GridSample", 1, "mode", "nearest", "padding_mode", "reflection"), []float64{1, 4, 8}},
		{node("GridSample", 1, "mode", "nearest"), []float64{1, 4, 0}},
		{node("GridSample", 1, "mode", "cubic", "padding_mode", "border"), []float64{0.90625, -0.09375 + 0.59375*2 + 0.59375*4 - 0.09375*8, 8}},
	} {
		for _, d := range []onnx.DataType{onnx.Float, onnx.Double} {
			out, err := compute(t, c.n, 20, as(x, d), grid)
			if err != nil {
				t.Fatal(err)
			}
			near(t, out[0], []int{1, 1, 3}, c.want, 1e-6)
		}
	}
	out, err := compute(t, node("GridSample", 1, "mode", "nearest"), 20, onnx.MustTensor([]int{1, 1, 2}, []string{"a", "b"}), onnx.MustTensor([]int{1, 2, 1}, []float32{.5, float32(nan())}))
	if err != nil {
		t.Fatal(err)
	}
	if s := out[0].(*onnx.Tensor).Strings(); s[0] != "b" || s[1] != "" {
		t.Errorf("strings %q", s)
	}
	if _, err := compute(t, node("GridSample", 1), 20, x, small(1, 1, 3, 2)); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("two coordinates for one dimension: error %v", err)
	}
	theta := onnx.MustTensor([]int{1, 2, 3}, []float32{1, 0, 10, 0, 2, 20})
	size := onnx.MustTensor([]int{4}, []int64{1, 1, 1, 2})
	if out, err = compute(t, node("AffineGrid", 1), 20, theta, size); err != nil {
		t.Fatal(err)
	}
	near(t, out[0], []int{1, 1, 2, 2}, []float64{9.5, 20, 10.5, 20}, 1e-6)
	if out, err = compute(t, node("AffineGrid", 1, "align_corners", 1), 20, theta, size); err != nil {
		t.Fatal(err)
	}
	near(t, out[0], []int{1, 1, 2, 2}, []float64{9, 20, 11, 20}, 1e-6)
}

// TestDeformConv: without offsets it is a convolution; whole offsets move a tap.
func TestDeformConv(t *testing.T) {
	x, w, b := small(1, 2, 4, 4, 3), small(2, 2, 2, 2, 2), small(3, 2)
	shape := []int{2, 2 * 4 * 2, 3, 2}
	zero, _ := onnx.NewZeros(onnx.Float, shape)
	want, err := compute(t, node("Conv", 1, "group", 2), 11, x, w, b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := compute(t, node("DeformConv", 1, "group", 2, "offset_group", 2), 19, x, w, zero, b)
	if err != nil {
		t.Fatal(err)
	}
	if d := differ(got[0], want[0], 0, 0); d != "" {
		t.Error(d)
	}
	one := onnx.MustTensor([]int{1, 1, 1, 2}, []float32{3, 5})
	got, err = compute(t, node("DeformConv", 1), 19, one, onnx.MustTensor([]int{1, 1, 1, 1}, []float32{2}),
		onnx.MustTensor([]int{1, 2, 1, 2}, []float32{0, 0, 0.5, -1}), nil, onnx.MustTensor([]int{1, 1, 1, 2}, []float32{1, 10}))
	if err != nil {
		t.Fatal(err)
	}
	near(t, got[0], []int{1, 1, 1, 2}, []float64{8, 60}, 1e-6)
	if _, err := compute(t, node("DeformConv", 1, "group", 2), 19, x, w, zero, b); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("offsets of another size: error %v", err)
	}
}
