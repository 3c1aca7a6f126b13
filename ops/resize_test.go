package ops

import (
	"errors"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func TestResize(t *testing.T) {
	line := onnx.MustTensor([]int{1, 4}, []float32{1, 2, 4, 8})
	scales := func(s ...float32) *onnx.Tensor { return onnx.MustTensor([]int{len(s)}, s) }
	sizes := func(s ...int64) *onnx.Tensor { return onnx.MustTensor([]int{len(s)}, s) }
	roi := onnx.MustTensor([]int{4}, []float32{0, 0.5, 1, 1.5})
	for i, c := range []struct {
		n     *onnx.Node
		opset int
		in    []onnx.Value
		shape []int
		want  []float64
	}{
		{node("Resize", 1), 10, []onnx.Value{line, scales(1, 1.5)}, []int{1, 6}, []float64{1, 1, 2, 4, 4, 8}},
		{node("Resize", 1), 10, []onnx.Value{line, scales(1, .6)}, []int{1, 2}, []float64{1, 4}},
		{node("Resize", 1, "mode", "linear"), 10, []onnx.Value{line, scales(1, 2)}, []int{1, 8}, []float64{1, 1.5, 2, 3, 4, 6, 8, 8}},
		{node("Upsample", 1, "scales", []float32{2, 1.5}), 7, []onnx.Value{line}, []int{2, 6}, []float64{1, 1, 2, 4, 4, 8, 1, 1, 2, 4, 4, 8}},
		{node("Upsample", 1, "mode", "linear"), 9, []onnx.Value{line, scales(1, 2)}, []int{1, 8}, []float64{1, 1.5, 2, 3, 4, 6, 8, 8}},
		{node("Resize", 1, "coordinate_transformation_mode", "half_pixel", "mode", "linear"), 11, []onnx.Value{line, scales(), scales(1, 2)}, []int{1, 8}, []float64{1, 1.25, 1.75, 2.5, 3.5, 5, 7, 8}},
		{node("Resize", 1, "coordinate_transformation_mode", "align_corners", "mode", "linear"), 13, []onnx.Value{line, nil, nil, sizes(1, 7)}, []int{1, 7}, []float64{1, 1.5, 2, 3, 4, 6, 8}},
		{node("Resize", 1, "coordinate_transformation_mode", "pytorch_half_pixel", "mode", "linear"), 13, []onnx.Value{line, nil, nil, sizes(1, 1)}, []int{1, 1}, []float64{1}},
		{node("Resize", 1, "nearest_mode", "round_prefer_floor"), 13, []onnx.Value{line, nil, nil, sizes(1, 2)}, []int{1, 2}, []float64{1, 4}},
		{node("Resize", 1, "nearest_mode", "round_prefer_ceil"), 13, []onnx.Value{line, nil, nil, sizes(1, 2)}, []int{1, 2}, []float64{2, 8}},
		{node("Resize", 1, "nearest_mode", "floor"), 13, []onnx.Value{line, nil, nil, sizes(1, 2)}, []int{1, 2}, []float64{1, 4}},
		{node("Resize", 1, "nearest_mode", "ceil"), 13, []onnx.Value{line, nil, nil, sizes(1, 2)}, []int{1, 2}, []float64{2, 8}},
		// the cubic filter of -0.5 at distance 1/2: -1/16, 9/16, 9/16, -1/16
		{node("Resize", 1, "mode", "cubic", "cubic_coeff_a", -0.5), 13, []onnx.Value{line, nil, nil, sizes(1, 2)}, []int{1, 2}, []float64{(-1 + 9 + 18 - 4) / 16., (-2 + 36 + 72 - 8) / 16.}},
		{node("Resize", 1, "mode", "cubic", "cubic_coeff_a", -0.5, "exclude_outside", 1), 13, []onnx.Value{line, nil, nil, sizes(1, 2)}, []int{1, 2}, []float64{(9 + 18 - 4) / 17., (-2 + 36 + 72) / 17.}},
		// a triangle twice as wide: 1/8, 3/8, 3/8, 1/8
		{node("Resize", 1, "mode", "linear", "antialias", 1), 18, []onnx.Value{line, nil, nil, sizes(1, 2)}, []int{1, 2}, []float64{(1 + 3 + 6 + 4) / 8., (2 + 12 + 24 + 8) / 8.}},
		{node("Resize", 1, "coordinate_transformation_mode", "tf_crop_and_resize", "mode", "linear", "extrapolation_value", 9.0), 13, []onnx.Value{line, roi, nil, sizes(1, 3)}, []int{1, 3}, []float64{3, 8, 9}},
		{node("Resize", 1, "coordinate_transformation_mode", "tf_crop_and_resize", "extrapolation_value", 9.0), 13, []onnx.Value{line, roi, nil, sizes(1, 3)}, []int{1, 3}, []float64{2, 8, 9}},
		{node("Resize", 1, "axes", []int64{-1}, "keep_aspect_ratio_policy", "not_larger"), 18, []onnx.Value{line, nil, nil, sizes(2)}, []int{1, 2}, []float64{1, 4}},
		{node("Resize", 1, "keep_aspect_ratio_policy", "not_larger"), 18, []onnx.Value{line, nil, nil, sizes(3, 8)}, []int{2, 8}, []float64{1, 1, 2, 2, 4, 4, 8, 8, 1, 1, 2, 2, 4, 4, 8, 8}},
		{node("Resize", 1, "keep_aspect_ratio_policy", "not_smaller"), 18, []onnx.Value{line, nil, nil, sizes(1, 2)}, []int{1, 4}, []float64{1, 2, 4, 8}},
	} {
		for _, d := range []onnx.DataType{onnx.Float, onnx.Double, onnx.Float16} {
			in := append([]onnx.Value{}, c.in...)
			in[0] = as(line, d)
			out, err := compute(t, c.n, c.opset, in...)
			if err != nil {
				t.Fatalf("case %d: %v", i, err)
			}
			tol := 1e-6
			if d == onnx.Float16 {
				tol = 1e-2
			}
			near(t, out[0], c.shape, c.want, tol)
		}
	}
	words := onnx.MustTensor([]int{2}, []string{"a", "b"})
	out, err := compute(t, node("Resize", 1), 13, words, nil, scales(2))
	if err != nil {
		t.Fatal(err)
	}
	if got := out[0].(*onnx.Tensor).Strings(); len(got) != 4 || got[0] != "a" || got[1] != "a" || got[2] != "b" || got[3] != "b" {
		t.Errorf("strings %q", got)
	}
	out, err = compute(t, node("Resize", 1, "mode", "linear"), 13, onnx.MustTensor([]int{2}, []complex64{1 + 2i, 3 + 6i}), nil, scales(2))
	if err != nil {
		t.Fatal(err)
	}
	if got := onnx.Elements[complex64](out[0].(*onnx.Tensor)); got[1] != 1.5+3i {
		t.Errorf("complex %v", got)
	}
	out, err = compute(t, node("Resize", 1, "mode", "cubic"), 13, onnx.MustTensor([]int{4}, []uint8{0, 255, 255, 0}), nil, scales(2))
	if err != nil {
		t.Fatal(err)
	}
	if got := onnx.Elements[uint8](out[0].(*onnx.Tensor)); got[3] != 255 || got[0] != 0 {
		t.Errorf("bytes %v, want the overshoot cut off", got)
	}
	for i, c := range []struct {
		n    *onnx.Node
		in   []onnx.Value
		want error
	}{
		{node("Resize", 1), []onnx.Value{line, nil, scales(2)}, onnx.ErrShape},
		{node("Resize", 1), []onnx.Value{line, nil, scales(1, -1)}, onnx.ErrShape},
		{node("Resize", 1), []onnx.Value{line, nil, scales(1, 1e30)}, onnx.ErrShape},
		{node("Resize", 1), []onnx.Value{line, nil, scales(1, float32(nan()))}, onnx.ErrShape},
		{node("Resize", 1), []onnx.Value{line, nil, nil, sizes(1, -4)}, onnx.ErrShape},
		{node("Resize", 1), []onnx.Value{line}, onnx.ErrShape},
		{node("Resize", 1, "axes", []int64{2}), []onnx.Value{line, nil, scales(2)}, onnx.ErrShape},
		{node("Resize", 1, "axes", []int64{1, -1}), []onnx.Value{line, nil, scales(2, 2)}, onnx.ErrShape},
		{node("Resize", 1, "coordinate_transformation_mode", "tf_crop_and_resize"), []onnx.Value{line, nil, scales(1, 2)}, onnx.ErrShape},
		{node("Resize", 1, "mode", "linear"), []onnx.Value{words, nil, scales(2)}, onnx.ErrUnsupported},
		{node("Resize", 1, "mode", "area"), []onnx.Value{line, nil, scales(1, 2)}, onnx.ErrMalformed},
		{node("Resize", 1, "mode", "linear", "antialias", 1), []onnx.Value{onnx.MustTensor([]int{1}, []float32{1}), nil, scales(1e-30)}, nil},
	} {
		if _, err := compute(t, c.n, 18, c.in...); !errors.Is(err, c.want) {
			t.Errorf("case %d: error %v, want %v", i, err, c.want)
		}
	}
}
