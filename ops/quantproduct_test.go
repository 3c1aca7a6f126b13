package ops

import (
	"errors"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func TestMatMulInteger(t *testing.T) {
	a := onnx.MustTensor([]int{2, 3}, []uint8{11, 7, 3, 10, 6, 2})
	b := onnx.MustTensor([]int{3, 2}, []int8{1, 4, 2, 5, 3, 6})
	u := func(v ...uint8) *onnx.Tensor { return onnx.MustTensor([]int{len(v)}, v) }
	for i, c := range []struct {
		za, zb onnx.Value
		want   []float64
	}{
		{nil, nil, []float64{34, 97, 28, 82}},
		{onnx.Scalar[uint8](12), nil, []float64{-38, -83, -44, -98}},
		{u(12), onnx.Scalar[int8](0), []float64{-38, -83, -44, -98}},
		{u(1, 2), onnx.MustTensor([]int{2}, []int8{1, 2}), []float64{10*0 + 6*1 + 2*2, 10*2 + 6*3 + 2*4, 4*1 + 0*2, 8*2 + 4*3}},
		{onnx.MustTensor([]int{2, 1}, []uint8{1, 2}), onnx.MustTensor([]int{1, 2}, []int8{1, 2}), []float64{10, 46, 4, 28}},
	} {
		out, err := compute(t, node("MatMulInteger", 1), 10, a, b, c.za, c.zb)
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		near(t, out[0], []int{2, 2}, c.want, 0)
	}
	if _, err := compute(t, node("MatMulInteger", 1), 10, a, b, u(1, 2, 3)); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("error %v, want ErrShape", err)
	}
}

func TestConvInteger(t *testing.T) {
	x := onnx.MustTensor([]int{1, 1, 4}, []uint8{2, 3, 4, 5})
	w := onnx.MustTensor([]int{2, 1, 2}, []uint8{1, 2, 10, 10})
	out, err := compute(t, node("ConvInteger", 1, "pads", []int64{1, 0}), 10, x, w, onnx.Scalar[uint8](1), onnx.MustTensor([]int{2}, []uint8{1, 9}))
	if err != nil {
		t.Fatal(err)
	}
	near(t, out[0], []int{1, 2, 4}, []float64{1, 2, 3, 4, 1, 3, 5, 7}, 0)
	if _, err := compute(t, node("ConvInteger", 1), 10, x, w, onnx.MustTensor([]int{2}, []uint8{1, 9})); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("error %v, want ErrShape", err)
	}
}

func TestQLinear(t *testing.T) {
	f := func(v ...float32) *onnx.Tensor { return onnx.MustTensor([]int{len(v)}, v) }
	a := onnx.MustTensor([]int{2, 2}, []uint8{10, 20, 30, 40})
	b := onnx.MustTensor([]int{2, 2}, []uint8{1, 2, 3, 4})
	// (a-10)*0.5 by (b-2)*0.25: sums of integers 10 20; 10 60 - 20...
	sums := []float64{0*-1 + 10*1, 0*0 + 10*2, 20*-1 + 30*1, 20*0 + 30*2}
	for i, c := range []struct {
		sa, sb, sy onnx.Value
		factor     func(i, j int) float64
	}{
		{f(0.5), f(0.25), f(0.5), func(i, j int) float64 { return 0.25 }},
		{f(0.5, 1), f(0.25), f(0.5), func(i, j int) float64 { return 0.25 * float64(1+i) }},
		{f(0.5), f(0.25, 0.5), f(0.5), func(i, j int) float64 { return 0.25 * float64(1+j) }},
	} {
		out, err := compute(t, node("QLinearMatMul", 1), 10, a, c.sa, onnx.Scalar[uint8](10), b, c.sb, onnx.Scalar[uint8](2), c.sy, onnx.Scalar[int8](-3))
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		want := make([]float64, 4)
		for k := range want {
			v := sums[k] * c.factor(k/2, k%2)
			want[k] = float64(int(v+0.5)) - 3
			if v-float64(int(v)) == 0.5 && int(v)%2 == 0 { // ties go to even
				want[k]--
			}
		}
		near(t, out[0], []int{2, 2}, want, 0)
	}
	e4 := func(shape []int, v ...float32) *onnx.Tensor { return as(onnx.MustTensor(shape, v), onnx.Float8E4M3FN) }
	out, err := compute(t, node("QLinearMatMul", 1), 21, e4([]int{1, 2}, 1, 2), f(2), e4(nil, 0), e4([]int{2, 1}, 3, 4), f(0.5), e4(nil, 0), f(0.5), e4(nil, 0))
	if err != nil {
		t.Fatal(err)
	}
	near(t, out[0], []int{1, 1}, []float64{22}, 0)
	x := onnx.MustTensor([]int{1, 1, 3}, []uint8{10, 20, 255})
	w := onnx.MustTensor([]int{2, 1, 1}, []int8{1, 2})
	out, err = compute(t, node("QLinearConv", 1), 10, x, onnx.Scalar[float32](0.5), onnx.Scalar[uint8](10), w, f(1, 0.5), onnx.MustTensor([]int{2}, []int8{0, 1}), onnx.Scalar[float32](0.25), onnx.Scalar[uint8](5), onnx.MustTensor([]int{2}, []int32{1, 0}))
	if err != nil {
		t.Fatal(err)
	}
	near(t, out[0], []int{1, 2, 3}, []float64{7, 27, 255, 5, 15, 250}, 0)
	if _, err = compute(t, node("QLinearConv", 1), 10, x, f(0.5, 1), onnx.Scalar[uint8](10), w, f(1), onnx.Scalar[int8](0), f(1), onnx.Scalar[uint8](5)); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("error %v, want ErrShape", err)
	}
}
