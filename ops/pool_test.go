package ops

import (
	"errors"
	"math"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// naivePool gives, for each output element, the elements under the window, the
// indices of these within the tensor, and how many taps lie in input or padding.
func naivePool(x *onnx.Tensor, kernel []int, g geometry, ceil bool, f func(v []float64, at []int, taps int)) []int {
	s := x.Shape()
	shape := append([]int{}, s[:2]...)
	for d, n := range s[2:] {
		room := float64(n+g.begin[d]+g.end[d]-g.dilations[d]*(kernel[d]-1)-1) / float64(g.strides[d])
		o := int(math.Floor(room)) + 1
		if ceil {
			o = int(math.Ceil(room)) + 1
			if (o-1)*g.strides[d] >= n+g.begin[d] {
				o--
			}
		}
		shape = append(shape, o)
	}
	fx := toReal(x)
	indices(shape, func(o []int) {
		var v []float64
		var at []int
		taps := 0
		indices(kernel, func(k []int) {
			i, in, pad := o[0]*s[1]+o[1], true, true
			for d := range kernel {
				p := o[2+d]*g.strides[d] + k[d]*g.dilations[d] - g.begin[d]
				in = in && p >= 0 && p < s[2+d]
				pad = pad && p < s[2+d]+g.end[d]
				i = i*s[2+d] + p
			}
			if pad {
				taps++
			}
			if in {
				v, at = append(v, fx[i]), append(at, i)
			}
		})
		f(v, at, taps)
	})
	return shape
}

func TestPools(t *testing.T) {
	for i, c := range []struct {
		x, k, strides, dilations, pads []int
		ceil                           int
	}{
		{[]int{2, 3, 9}, []int{3}, []int{1}, []int{1}, []int{0, 0}, 0},
		{[]int{2, 3, 9}, []int{2}, []int{3}, []int{1}, []int{1, 0}, 1},
		{[]int{1, 2, 4, 4}, []int{3, 3}, []int{2, 2}, []int{1, 1}, []int{0, 0, 0, 0}, 1},
		{[]int{1, 2, 5, 6}, []int{3, 2}, []int{2, 3}, []int{2, 1}, []int{1, 0, 2, 1}, 1},
		{[]int{1, 1, 2, 2}, []int{1, 1}, []int{3, 3}, []int{1, 1}, []int{0, 0, 0, 0}, 1},
		{[]int{2, 1, 3, 4, 5}, []int{2, 2, 2}, []int{1, 2, 1}, []int{1, 1, 2}, []int{1, 0, 1, 0, 1, 1}, 0},
		{[]int{0, 1, 3}, []int{2}, []int{1}, []int{1}, []int{0, 0}, 0},
	} {
		rank := len(c.k)
		g := geometry{c.strides, c.dilations, c.pads[:rank], c.pads[rank:]}
		attrs := []any{"kernel_shape", ints64(c.k), "strides", ints64(c.strides), "dilations", ints64(c.dilations), "pads", ints64(c.pads), "ceil_mode", c.ceil}
		with := func(more ...any) []any { return append(append([]any{}, attrs...), more...) }
		var maxima, index, mean, meanPad, lp []float64
		x := small(1, c.x...)
		shape := naivePool(x, c.k, g, c.ceil == 1, func(v []float64, at []int, taps int) {
			m, mi, sum, sq := math.Inf(-1), -1.0, 0.0, 0.0
			for i, e := range v {
				if e > m {
					m, mi = e, float64(at[i])
				}
				sum, sq = sum+e, sq+e*e
			}
			maxima, index = append(maxima, m), append(index, mi)
			mean, meanPad, lp = append(mean, sum/float64(len(v))), append(meanPad, sum/float64(taps)), append(lp, math.Sqrt(sq))
		})
		for _, d := range []onnx.DataType{onnx.Float, onnx.Double} {
			x := as(x, d)
			out, err := compute(t, node("MaxPool", 2, attrs...), 12, x)
			if err != nil {
				t.Fatalf("case %d: %v", i, err)
			}
			near(t, out[0], shape, maxima, 0)
			near(t, out[1], shape, index, 0)
			if out, err = compute(t, node("MaxPool", 1, attrs...), 12, x); err != nil {
				t.Fatal(err)
			}
			near(t, out[0], shape, maxima, 0)
			if out, err = compute(t, node("AveragePool", 1, attrs...), 19, x); err != nil {
				t.Fatal(err)
			}
			near(t, out[0], shape, mean, 1e-6)
			if out, err = compute(t, node("AveragePool", 1, with("count_include_pad", 1)...), 19, x); err != nil {
				t.Fatal(err)
			}
			near(t, out[0], shape, meanPad, 1e-6)
			if out, err = compute(t, node("LpPool", 1, attrs...), 18, x); err != nil {
				t.Fatal(err)
			}
			near(t, out[0], shape, lp, 1e-5)
		}
	}
}

func TestMaxPoolDetails(t *testing.T) {
	x := onnx.MustTensor([]int{1, 2, 2, 3}, []float32{1, 9, 3, 4, 5, 6, 0, 0, 0, 0, 0, 7})
	out, err := compute(t, node("MaxPool", 2, "kernel_shape", []int64{2, 3}, "storage_order", 1), 8, x)
	if err != nil {
		t.Fatal(err)
	}
	near(t, out[0], []int{1, 2, 1, 1}, []float64{9, 7}, 0)
	near(t, out[1], []int{1, 2, 1, 1}, []float64{2, 11}, 0)
	i8 := onnx.MustTensor([]int{1, 1, 3}, []int8{-128, -5, -7})
	if out, err = compute(t, node("MaxPool", 2, "kernel_shape", []int64{2}, "pads", []int64{1, 0}), 12, i8); err != nil {
		t.Fatal(err)
	}
	near(t, out[0], []int{1, 1, 3}, []float64{-128, -5, -5}, 0)
	near(t, out[1], []int{1, 1, 3}, []float64{0, 1, 1}, 0)
	h := as(onnx.MustTensor([]int{1, 1, 3}, []float32{1, float32(nan()), 2}), onnx.Float16)
	if out, err = compute(t, node("MaxPool", 2, "kernel_shape", []int64{2}, "auto_pad", "SAME_UPPER"), 12, h); err != nil {
		t.Fatal(err)
	}
	near(t, out[0], []int{1, 1, 3}, []float64{nan(), nan(), 2}, 0)
	near(t, out[1], []int{1, 1, 3}, []float64{1, 1, 2}, 0)
	for i, n := range []*onnx.Node{
		node("MaxPool", 1, "kernel_shape", []int64{2, 2}),
		node("MaxPool", 1, "kernel_shape", []int64{5}),
		node("MaxPool", 1, "kernel_shape", []int64{0}),
		node("MaxPool", 1, "kernel_shape", []int64{2}, "strides", []int64{0}),
	} {
		if _, err := compute(t, n, 12, i8); !errors.Is(err, onnx.ErrShape) {
			t.Errorf("case %d: error %v, want ErrShape", i, err)
		}
	}
}

func TestGlobalPools(t *testing.T) {
	x := onnx.MustTensor([]int{1, 2, 2, 2}, []float32{1, -2, 3, 4, 0, 0, 3, 4})
	for _, c := range []struct {
		n     *onnx.Node
		opset int
		want  []float64
	}{
		{node("GlobalAveragePool", 1), 1, []float64{1.5, 1.75}},
		{node("GlobalMaxPool", 1), 22, []float64{4, 4}},
		{node("GlobalLpPool", 1), 2, []float64{math.Sqrt(30), 5}},
		{node("GlobalLpPool", 1, "p", 1), 2, []float64{10, 7}},
		{node("GlobalLpPool", 1, "p", 3.0), 1, []float64{math.Cbrt(100), math.Cbrt(91)}},
	} {
		for _, d := range []onnx.DataType{onnx.Float, onnx.Double} {
			out, err := compute(t, c.n, c.opset, as(x, d))
			if err != nil {
				t.Fatal(err)
			}
			near(t, out[0], []int{1, 2, 1, 1}, c.want, 1e-6)
		}
	}
	if _, err := compute(t, node("GlobalMaxPool", 1), 1, small(1, 3)); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("error %v, want ErrShape", err)
	}
}
