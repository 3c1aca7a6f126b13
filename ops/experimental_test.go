package ops

import (
	"errors"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func TestConstantFill(t *testing.T) {
	shape := onnx.MustTensor([]int{2}, []int64{2, 3})
	for _, c := range []struct {
		name  string
		attrs []any
		in    []onnx.Value
		want  *onnx.Tensor
		err   error
	}{
		{"the input's elements", []any{"input_as_shape", 1, "value", 2.5}, []onnx.Value{shape}, onnx.MustTensor([]int{2, 3}, []float32{2.5, 2.5, 2.5, 2.5, 2.5, 2.5}), nil},
		{"the input's shape and more", []any{"extra_shape", []int64{1, 2}, "dtype", 7, "value", 3.9}, []onnx.Value{shape}, onnx.MustTensor([]int{2, 1, 2}, []int64{3, 3, 3, 3}), nil},
		{"the attribute", []any{"shape", []int64{2}, "dtype", 9, "value", 1.0}, nil, onnx.MustTensor([]int{2}, []bool{true, true}), nil},
		{"nothing to go by", nil, nil, nil, onnx.ErrMalformed},
		{"two shapes", []any{"shape", []int64{2}}, []onnx.Value{shape}, nil, onnx.ErrMalformed},
		{"a negative size", []any{"shape", []int64{-1}}, nil, nil, onnx.ErrShape},
		{"a negative element", []any{"input_as_shape", 1}, []onnx.Value{onnx.MustTensor([]int{1}, []int64{-1})}, nil, onnx.ErrShape},
		{"a shape of floats", []any{"input_as_shape", 1}, []onnx.Value{onnx.MustTensor([]int{1}, []float32{1})}, nil, onnx.ErrType},
		{"a type of strings", []any{"shape", []int64{1}, "dtype", 8}, nil, nil, onnx.ErrUnsupported},
	} {
		out, err := compute(t, node("ConstantFill", 1, c.attrs...), 6, c.in...)
		if c.err != nil {
			if !errors.Is(err, c.err) {
				t.Errorf("%s: error %v, want %v", c.name, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if d := differ(out[0], c.want, 0, 0); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestThresholdedRelu1(t *testing.T) {
	x := onnx.MustTensor([]int{4}, []float64{-1, 0.5, 1, 1.5})
	for _, c := range []struct {
		attrs []any
		want  []float64
	}{
		{nil, []float64{0, 0, 0, 1.5}},
		{[]any{"alpha", 0.25}, []float64{0, 0.5, 1, 1.5}},
	} {
		out, err := compute(t, node("ThresholdedRelu", 1, c.attrs...), 8, x)
		if err != nil {
			t.Fatal(err)
		}
		if d := differ(out[0], onnx.MustTensor([]int{4}, c.want), 0, 0); d != "" {
			t.Error(d)
		}
	}
	if _, err := compute(t, node("ThresholdedRelu", 1), 8, onnx.MustTensor([]int{1}, []int32{1})); !errors.Is(err, onnx.ErrUnsupported) {
		t.Errorf("integers: %v", err)
	}
}
