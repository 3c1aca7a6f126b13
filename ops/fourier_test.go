package ops

import (
	"errors"
	"math"
	"math/cmplx"
	"slices"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// naiveDFT is the definition.
func naiveDFT(x []complex128, inverse bool) []complex128 {
	n, sign := float64(len(x)), -1.0
	if inverse {
		sign = 1
	}
	out := make([]complex128, len(x))
	for k := range out {
		for j, v := range x {
			out[k] += v * cmplx.Rect(1, sign*2*math.Pi*math.Mod(float64(j)*float64(k), n)/n)
		}
		if inverse {
			out[k] /= complex(n, 0)
		}
	}
	return out
}

func TestDFT(t *testing.T) {
	for _, size := range []int{1, 2, 3, 4, 5, 6, 7, 8, 12, 15, 16, 31, 100} {
		x := as(small(int64(size), 2, size, 3, 2), onnx.Double)
		f := toReal(x)
		for _, inverse := range []bool{false, true} {
			for _, length := range []int{-1, size, size + 2, max(size-1, 1)} {
				in, n := []onnx.Value{x, nil, onnx.Scalar[int64](-3)}, size
				if length > 0 {
					in[1], n = onnx.Scalar(int64(length)), length
				}
				flag := 0
				if inverse {
					flag = 1
				}
				out, err := compute(t, node("DFT", 1, "inverse", flag), 20, in...)
				if err != nil {
					t.Fatal(err)
				}
				want := make([]float64, 2*n*3*2)
				for o := range 2 {
					for i := range 3 {
						line := make([]complex128, n)
						for j := range min(n, size) {
							p := ((o*size+j)*3 + i) * 2
							line[j] = complex(f[p], f[p+1])
						}
						for j, v := range naiveDFT(line, inverse) {
							p := ((o*n+j)*3 + i) * 2
							want[p], want[p+1] = real(v), imag(v)
						}
					}
				}
				near(t, out[0], []int{2, n, 3, 2}, want, 1e-9)
			}
		}
	}
	// one side of a real signal, and back
	for _, size := range []int{5, 8} {
		x := as(small(1, 1, size, 1), onnx.Double)
		half, err := compute(t, node("DFT", 1, "onesided", 1, "axis", 1), 17, x)
		if err != nil {
			t.Fatal(err)
		}
		if s := half[0].(*onnx.Tensor).Shape(); !slices.Equal(s, []int{1, size/2 + 1, 2}) {
			t.Fatalf("one side of %d is %v", size, s)
		}
		back, err := compute(t, node("DFT", 1, "onesided", 1, "inverse", 1), 20, half[0], onnx.Scalar(int64(size)))
		if err != nil {
			t.Fatal(err)
		}
		near(t, back[0], []int{1, size, 1}, toReal(x), 1e-12)
	}
	for i, c := range []struct {
		n  *onnx.Node
		in []onnx.Value
	}{
		{node("DFT", 1), []onnx.Value{small(1, 2, 3, 3)}},
		{node("DFT", 1), []onnx.Value{small(1, 2, 3, 1), nil, onnx.Scalar[int64](2)}},
		{node("DFT", 1), []onnx.Value{small(1, 2, 3, 1), onnx.Scalar[int64](0)}},
		{node("DFT", 1), []onnx.Value{small(1, 2, 0, 1)}},
		{node("DFT", 1, "onesided", 1), []onnx.Value{small(1, 2, 3, 2)}},
	} {
		if _, err := compute(t, c.n, 20, c.in...); !errors.Is(err, onnx.ErrShape) {
			t.Errorf("case %d: error %v, want ErrShape", i, err)
		}
	}
}

func TestSTFT(t *testing.T) {
	x := small(1, 2, 10, 1)
	w := onnx.MustTensor([]int{6}, []float32{1, 2, 3, 3, 2, 1})
	for _, onesided := range []int{0, 1} {
		bins := 6
		if onesided == 1 {
			bins = 4
		}
		out, err := compute(t, node("STFT", 1, "onesided", onesided), 17, x, onnx.Scalar[int64](2), w, onnx.Scalar[int64](6))
		if err != nil {
			t.Fatal(err)
		}
		var want []float64
		for b := range 2 {
			for f := range 3 {
				line := make([]complex128, 6)
				for j := range line {
					line[j] = complex(toReal(x)[b*10+2*f+j]*toReal(w)[j], 0)
				}
				for _, v := range naiveDFT(line, false)[:bins] {
					want = append(want, real(v), imag(v))
				}
			}
		}
		near(t, out[0], []int{2, 3, bins, 2}, want, 1e-5)
	}
	for i, in := range [][]onnx.Value{
		{x, onnx.Scalar[int64](0), w},
		{x, onnx.Scalar[int64](1)},
		{x, onnx.Scalar[int64](1), nil, onnx.Scalar[int64](11)},
		{x, onnx.Scalar[int64](1), w, onnx.Scalar[int64](5)},
		{small(1, 1, 10, 2), onnx.Scalar[int64](1), w},
	} {
		if _, err := compute(t, node("STFT", 1), 17, in...); !errors.Is(err, onnx.ErrShape) {
			t.Errorf("case %d: error %v, want ErrShape", i, err)
		}
	}
}

func TestWindows(t *testing.T) {
	for _, c := range []struct {
		n    *onnx.Node
		size int64
		want []float64
	}{
		{node("HannWindow", 1), 4, []float64{0, .5, 1, .5}},
		{node("HannWindow", 1, "periodic", 0), 5, []float64{0, .5, 1, .5, 0}},
		{node("HannWindow", 1, "periodic", 0), 1, []float64{1}},
		{node("HannWindow", 1), 0, nil},
		{node("HammingWindow", 1), 2, []float64{4. / 46, 1}},
		{node("BlackmanWindow", 1), 4, []float64{0, .34, 1, .34}},
		{node("HannWindow", 1, "output_datatype", 11), 2, []float64{0, 1}},
		{node("HannWindow", 1, "output_datatype", 7), 4, []float64{0, 0, 1, 0}},
	} {
		out, err := compute(t, c.n, 17, onnx.Scalar(c.size))
		if err != nil {
			t.Fatal(err)
		}
		near(t, out[0], []int{int(c.size)}, c.want, 1e-7)
	}
	if _, err := compute(t, node("HannWindow", 1), 17, onnx.Scalar[int32](-1)); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("size -1: %v", err)
	}
	if _, err := compute(t, node("HannWindow", 1, "output_datatype", 8), 17, onnx.Scalar[int32](1)); !errors.Is(err, onnx.ErrType) {
		t.Errorf("strings: %v", err)
	}
	in := []onnx.Value{onnx.Scalar[int64](2), onnx.Scalar[int64](8), onnx.Scalar[int64](8), onnx.Scalar[float32](0), onnx.Scalar[float32](4)}
	out, err := compute(t, node("MelWeightMatrix", 1), 17, in...)
	if err != nil {
		t.Fatal(err)
	}
	// the edges are almost 0, 1, 2 and 3 Hz, times 9/8, rounded down
	near(t, out[0], []int{5, 2}, []float64{0, 0, 1, 0, 0, 1, 0, 0, 0, 0}, 0)
	in[2] = onnx.Scalar[int64](0)
	if _, err := compute(t, node("MelWeightMatrix", 1), 17, in...); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("sample_rate 0: %v", err)
	}
}
