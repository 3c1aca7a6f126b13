package onnx

import (
	"errors"
	"testing"
)

func TestDense(t *testing.T) {
	linear := MustTensor([]int{3}, []int64{0, 4, 5})
	coordinates := MustTensor([]int{3, 2}, []int64{0, 0, 1, 1, 1, 2})
	for _, c := range []struct{ values, want *Tensor }{
		{MustTensor([]int{3}, []float32{1, 2, 3}), MustTensor([]int{2, 3}, []float32{1, 0, 0, 0, 2, 3})},
		{MustTensor([]int{3}, []complex128{1, 2i, 3}), MustTensor([]int{2, 3}, []complex128{1, 0, 0, 0, 2i, 3})},
		{MustTensor([]int{3}, []string{"a", "b", "c"}), MustTensor([]int{2, 3}, []string{"a", "", "", "", "b", "c"})},
		{MustTensor([]int{3}, []I4{-8, 7, 1}), MustTensor([]int{2, 3}, []I4{-8, 0, 0, 0, 7, 1})},
		{MustTensor([]int{3}, []bool{true, false, true}), MustTensor([]int{2, 3}, []bool{true, false, false, false, false, true})},
		{MustTensor([]int{3}, []F16{1, 2, 0x8000}), MustTensor([]int{2, 3}, []F16{1, 0, 0, 0, 2, 0x8000})},
	} {
		for _, indices := range []*Tensor{linear, coordinates} {
			got, err := (&SparseTensor{c.values, indices, []int{2, 3}}).Dense()
			if err != nil {
				t.Errorf("%v: %v", c.values, err)
			} else if d := unlikeTensors(c.values.String(), got, c.want); d != "" {
				t.Error(d)
			}
		}
	}
	empty := &SparseTensor{MustTensor([]int{0}, []float32{}), MustTensor([]int{0}, []int64{}), []int{2, 0}}
	if got, err := empty.Dense(); err != nil || got.String() != "float[2 0]" {
		t.Errorf("no elements: %v, %v", got, err)
	}
	scalar := &SparseTensor{MustTensor([]int{1}, []float32{7}), MustTensor([]int{1, 0}, []int64{}), []int{}}
	if got, err := scalar.Dense(); err != nil || unlikeTensors("", got, Scalar(float32(7))) != "" {
		t.Errorf("a scalar: %v, %v", got, err)
	}
}

func TestDenseRejects(t *testing.T) {
	one := MustTensor([]int{1}, []float32{1})
	index := func(shape []int, x ...int64) *Tensor { return MustTensor(shape, x) }
	for _, c := range []struct {
		name string
		s    *SparseTensor
		kind error
	}{
		{"nil", nil, ErrMalformed},
		{"no values", &SparseTensor{nil, index([]int{1}, 0), []int{1}}, ErrMalformed},
		{"beyond", &SparseTensor{one, index([]int{1}, 6), []int{2, 3}}, ErrMalformed},
		{"negative", &SparseTensor{one, index([]int{1}, -1), []int{2, 3}}, ErrMalformed},
		{"column", &SparseTensor{one, index([]int{1, 2}, 0, 3), []int{2, 3}}, ErrMalformed},
		{"rank", &SparseTensor{one, index([]int{1, 1}, 0), []int{2, 3}}, ErrShape},
		{"twice", &SparseTensor{MustTensor([]int{2}, []float32{1, 2}), index([]int{2}, 1, 1), []int{3}}, ErrMalformed},
		{"descending", &SparseTensor{MustTensor([]int{2}, []float32{1, 2}), index([]int{2}, 1, 0), []int{3}}, ErrMalformed},
		{"counts", &SparseTensor{one, index([]int{2}, 0, 1), []int{3}}, ErrShape},
		{"int32", &SparseTensor{one, MustTensor([]int{1}, []int32{0}), []int{3}}, ErrType},
		{"large", &SparseTensor{MustTensor([]int{1}, []complex128{1}), index([]int{1}, 0), []int{1 << 20, 1 << 10}}, ErrLimit},
		{"overflow", &SparseTensor{one, index([]int{1}, 0), []int{1 << 30, 1 << 30, 1 << 30}}, ErrShape},
		{"values outside", &SparseTensor{outside(Float, []int{1}, ExternalData{}), index([]int{1}, 0), []int{3}}, ErrMalformed},
		{"indices outside", &SparseTensor{one, outside(Int64, []int{1}, ExternalData{}), []int{3}}, ErrMalformed},
	} {
		if _, err := c.s.Dense(); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v, want %v", c.name, err, c.kind)
		}
	}
}
