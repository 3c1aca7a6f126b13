package ops

import (
	"errors"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func TestEinsum(t *testing.T) {
	sum := func(f func(i, j, k int) float64, ni, nj, nk int) (out []float64) {
		for i := range ni {
			for j := range nj {
				s := 0.0
				for k := range nk {
					s += f(i, j, k)
				}
				out = append(out, s)
			}
		}
		return out
	}
	for _, d := range []onnx.DataType{onnx.Float, onnx.Double, onnx.Int32, onnx.Int8, onnx.Uint64} {
		a, b := as(small(1, 3, 4), d), as(small(2, 4, 2), d)
		fa, fb := toReal(a), toReal(b)
		for _, c := range []struct {
			eq    string
			in    []onnx.Value
			shape []int
			want  []float64
		}{
			{"ij,jk->ik", []onnx.Value{a, b}, []int{3, 2}, sum(func(i, j, k int) float64 { return fa[i*4+k] * fb[k*2+j] }, 3, 2, 4)},
			{"ij , jk", []onnx.Value{a, b}, []int{3, 2}, sum(func(i, j, k int) float64 { return fa[i*4+k] * fb[k*2+j] }, 3, 2, 4)},
			{"ij,jk->ki", []onnx.Value{a, b}, []int{2, 3}, sum(func(i, j, k int) float64 { return fa[j*4+k] * fb[k*2+i] }, 2, 3, 4)},
			{"ij->ji", []onnx.Value{a}, []int{4, 3}, sum(func(i, j, _ int) float64 { return fa[j*4+i] }, 4, 3, 1)},
			{"ji", []onnx.Value{a}, []int{4, 3}, sum(func(i, j, _ int) float64 { return fa[j*4+i] }, 4, 3, 1)},
			{"ij->i", []onnx.Value{a}, []int{3}, sum(func(i, _, k int) float64 { return fa[i*4+k] }, 3, 1, 4)},
			{"...j->...", []onnx.Value{a}, []int{3}, sum(func(i, _, k int) float64 { return fa[i*4+k] }, 3, 1, 4)},
			{"ij->", []onnx.Value{a}, []int{}, sum(func(_, _, k int) float64 { return fa[k] }, 1, 1, 12)},
			{"ij,ij->ij", []onnx.Value{a, a}, []int{3, 4}, sum(func(i, j, _ int) float64 { return fa[i*4+j] * fa[i*4+j] }, 3, 4, 1)},
			{"ij,kj->ik", []onnx.Value{a, a}, []int{3, 3}, sum(func(i, j, k int) float64 { return fa[i*4+k] * fa[j*4+k] }, 3, 3, 4)},
		} {
			out, err := compute(t, node("Einsum", 1, "equation", c.eq), 12, c.in...)
			if err != nil {
				t.Fatalf("%s: %v", c.eq, err)
			}
			if d == onnx.Int8 { // sums wrap
				for i := range c.want {
					c.want[i] = float64(int8(int64(c.want[i])))
				}
			}
			near(t, out[0], c.shape, c.want, 0)
		}
	}
	// batches, dots that are broadcast, diagonals, three operands, empty sums
	x, y := small(3, 5, 2, 3), small(4, 1, 3, 4)
	out, err := compute(t, node("Einsum", 1, "equation", "...ij,...jk"), 12, x, y)
	if err != nil {
		t.Fatal(err)
	}
	shape, want := naiveMatMul(x, y)
	near(t, out[0], shape, want, 0)
	m := onnx.MustTensor([]int{2, 2}, []float32{1, 2, 3, 4})
	v := onnx.MustTensor([]int{2}, []float32{10, 100})
	for _, c := range []struct {
		eq    string
		in    []onnx.Value
		shape []int
		want  []float64
	}{
		{"ii->i", []onnx.Value{m}, []int{2}, []float64{1, 4}},
		{"ii", []onnx.Value{m}, []int{}, []float64{5}},
		{"ij,i,j->", []onnx.Value{m, v, v}, []int{}, []float64{100 + 2000 + 3000 + 40000}},
		{"i,j->ij", []onnx.Value{v, v}, []int{2, 2}, []float64{100, 1000, 1000, 10000}},
		{"ij,i,i->ij", []onnx.Value{m, v, v}, []int{2, 2}, []float64{100, 200, 30000, 40000}},
		{"ij,jk->ik", []onnx.Value{small(1, 2, 0), small(1, 0, 2)}, []int{2, 2}, []float64{0, 0, 0, 0}},
		{"ij,j->i", []onnx.Value{m, onnx.MustTensor([]int{1}, []float32{2})}, []int{2}, []float64{6, 14}},
		{"...->...", []onnx.Value{onnx.Scalar[float32](7)}, []int{}, []float64{7}},
		{",ij->ij", []onnx.Value{onnx.Scalar[float32](2), m}, []int{2, 2}, []float64{2, 4, 6, 8}},
	} {
		out, err := compute(t, node("Einsum", 1, "equation", c.eq), 12, c.in...)
		if err != nil {
			t.Fatalf("%s: %v", c.eq, err)
		}
		near(t, out[0], c.shape, c.want, 0)
	}
	for _, c := range []struct {
		eq   string
		want error
	}{{"ij,jk->ik", onnx.ErrMalformed}, {"i1", onnx.ErrMalformed}, {"ij->ijk", onnx.ErrMalformed}, {"ij->ii", onnx.ErrMalformed}, {"ijk", onnx.ErrShape}, {"......", onnx.ErrMalformed}, {"...i->i", onnx.ErrMalformed}, {"..ij", onnx.ErrMalformed}, {"ijk...", onnx.ErrShape}} {
		if _, err := compute(t, node("Einsum", 1, "equation", c.eq), 12, m); !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", c.eq, err, c.want)
		}
	}
	if _, err := compute(t, node("Einsum", 1, "equation", "ij,jk"), 12, m, small(1, 3, 2)); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("unequal sizes: error %v", err)
	}
}

func TestDet(t *testing.T) {
	x := onnx.MustTensor([]int{3, 2, 2}, []float32{1, 2, 3, 4, 0, 2, 3, 0, 2, 4, 1, 2})
	for _, d := range []onnx.DataType{onnx.Float, onnx.Double, onnx.Float16} {
		out, err := compute(t, node("Det", 1), 22, as(x, d))
		if err != nil {
			t.Fatal(err)
		}
		near(t, out[0], []int{3}, []float64{-2, -6, 0}, 1e-6)
	}
	out, err := compute(t, node("Det", 1), 11, onnx.MustTensor([]int{3, 3}, []float64{2, 0, 1, 1, 3, 2, 1, 1, 1}))
	if err != nil {
		t.Fatal(err)
	}
	near(t, out[0], []int{}, []float64{0}, 1e-12)
	if _, err := compute(t, node("Det", 1), 11, small(1, 2, 3)); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("error %v, want ErrShape", err)
	}
}
