package ops

import (
	"errors"
	"math"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// stats gives mean and population variance of the elements that keep accepts.
func stats(f []float64, keep func(i int) bool) (mean, variance float64) {
	n := 0.0
	for i, v := range f {
		if keep(i) {
			mean += v
			n++
		}
	}
	mean /= n
	for i, v := range f {
		if keep(i) {
			variance += (v - mean) * (v - mean) / n
		}
	}
	return mean, variance
}

func TestLayerNormalization(t *testing.T) {
	for _, d := range []onnx.DataType{onnx.Float, onnx.Double} {
		for _, scale := range [][]int{{3, 4}, {4}, {1}, {3, 1}, {1, 1, 4}, {2, 1, 1}, {2, 3, 4}, {}} {
			x, s, b := as(small(1, 2, 3, 4), d), as(small(2, scale...), d), as(small(3, scale...), d)
			out, err := compute(t, node("LayerNormalization", 3, "axis", -2, "epsilon", 0.5), 17, x, s, b)
			if err != nil {
				t.Fatalf("%v: %v", scale, err)
			}
			fx, want, means, invs := toReal(x), make([]float64, 24), make([]float64, 2), make([]float64, 2)
			for i := range want {
				m, v := stats(fx, func(j int) bool { return j/12 == i/12 })
				k, pos := 0, []int{i / 12, i / 4 % 3, i % 4}
				for q, w := range scale {
					k = k*w + pos[3-len(scale)+q]%w
				}
				means[i/12], invs[i/12] = m, 1/math.Sqrt(v+0.5)
				want[i] = (fx[i]-m)/math.Sqrt(v+0.5)*toReal(s)[k] + toReal(b)[k]
			}
			near(t, out[0], []int{2, 3, 4}, want, 1e-5)
			near(t, out[1], []int{2, 1, 1}, means, 1e-6)
			near(t, out[2], []int{2, 1, 1}, invs, 1e-6)
		}
	}
	h := as(onnx.MustTensor([]int{1, 2}, []float32{1, 3}), onnx.Float16)
	out, err := compute(t, node("LayerNormalization", 2, "epsilon", 0.0), 17, h, as(onnx.MustTensor([]int{2}, []float32{2, 3}), onnx.Float16))
	if err != nil {
		t.Fatal(err)
	}
	near(t, out[0], []int{1, 2}, []float64{-2, 3}, 0)
	near(t, out[1], []int{1, 1}, []float64{2}, 0)
	if out[1].Type().Elem != onnx.Float || out[0].Type().Elem != onnx.Float16 {
		t.Errorf("types %v, %v", out[0], out[1])
	}
	for _, c := range []struct {
		axis     int
		x, scale []int
	}{{3, []int{2, 3, 4}, []int{4}}, {-1, []int{2, 3, 4}, []int{3}}, {-1, []int{2, 4}, []int{2, 2, 4}}, {-1, nil, nil}} {
		if _, err := compute(t, node("LayerNormalization", 1, "axis", c.axis), 17, small(1, c.x...), small(2, c.scale...)); !errors.Is(err, onnx.ErrShape) {
			t.Errorf("%v: error %v, want ErrShape", c, err)
		}
	}
	for _, x := range [][]int{{0, 3}, {2, 0}} {
		if _, err := compute(t, node("LayerNormalization", 2), 17, small(1, x...), small(2, x[1])); err != nil {
			t.Errorf("%v: %v", x, err)
		}
	}
}

func TestRMSNormalization(t *testing.T) {
	x := onnx.MustTensor([]int{2, 2}, []float32{3, 4, 0, 2})
	s := onnx.MustTensor([]int{2}, []float64{2, 1})
	out, err := compute(t, node("RMSNormalization", 1, "epsilon", 0.0), 23, x, s)
	if err != nil {
		t.Fatal(err)
	}
	near(t, out[0], []int{2, 2}, []float64{6 / math.Sqrt(12.5), 4 / math.Sqrt(12.5), 0, 2 / math.Sqrt(2)}, 1e-12)
	if out[0].Type().Elem != onnx.Double {
		t.Errorf("type %v, want the scale's", out[0])
	}
}

func TestChannelNorms(t *testing.T) {
	for _, d := range []onnx.DataType{onnx.Float, onnx.Double} {
		x, s, b := as(small(1, 2, 4, 3, 2), d), as(small(2, 4), d), as(small(3, 4), d)
		fx := toReal(x)
		for _, c := range []struct {
			n     *onnx.Node
			opset int
			size  int // elements of a group
		}{
			{node("InstanceNormalization", 1, "epsilon", 0.25), 6, 6},
			{node("InstanceNormalization", 1, "epsilon", 0.25, "consumed_inputs", []int64{0}), 1, 6},
			{node("GroupNormalization", 1, "epsilon", 0.25, "num_groups", 2), 21, 12},
			{node("GroupNormalization", 1, "epsilon", 0.25, "num_groups", 1), 21, 24},
		} {
			out, err := compute(t, c.n, c.opset, x, s, b)
			if err != nil {
				t.Fatal(err)
			}
			want := make([]float64, len(fx))
			for i := range want {
				m, v := stats(fx, func(j int) bool { return j/c.size == i/c.size })
				want[i] = (fx[i]-m)/math.Sqrt(v+0.25)*toReal(s)[i/6%4] + toReal(b)[i/6%4]
			}
			near(t, out[0], x.Shape(), want, 1e-5)
		}
	}
	for _, n := range []*onnx.Node{node("GroupNormalization", 1, "num_groups", 3), node("GroupNormalization", 1, "num_groups", 0)} {
		if _, err := compute(t, n, 21, small(1, 2, 4, 3), small(2, 4), small(3, 4)); !errors.Is(err, onnx.ErrShape) {
			t.Errorf("error %v, want ErrShape", err)
		}
	}
	if _, err := compute(t, node("InstanceNormalization", 1), 6, small(1, 2, 4, 3), small(2, 3), small(3, 4)); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("error %v, want ErrShape", err)
	}
	if _, err := compute(t, node("InstanceNormalization", 1), 6, small(1, 0, 4, 3), small(2, 4), small(3, 4)); err != nil {
		t.Error(err)
	}
}

func TestBatchNormalization(t *testing.T) {
	for _, shape := range [][]int{{3, 4}, {2, 4, 5}, {2, 4, 2, 3}} {
		for _, d := range []onnx.DataType{onnx.Float, onnx.Double} {
			x, s, b, m := as(small(1, shape...), d), as(small(2, 4), d), as(small(3, 4), d), as(small(4, 4), d)
			v := as(onnx.MustTensor([]int{4}, []float32{1, 0.25, 2, 0}), d)
			fx, plane := toReal(x), x.Len()/shape[0]/4
			for _, c := range []struct {
				n     *onnx.Node
				opset int
				train bool
			}{
				{node("BatchNormalization", 1, "epsilon", 0.5, "is_test", 1), 6, false},
				{node("BatchNormalization", 1, "epsilon", 0.5, "is_test", 1, "consumed_inputs", []int64{0, 0, 0, 1, 1}), 1, false},
				{node("BatchNormalization", 1, "epsilon", 0.5, "spatial", 1), 7, false},
				{node("BatchNormalization", 1, "epsilon", 0.5), 9, false},
				{node("BatchNormalization", 5, "epsilon", 0.5, "momentum", 0.75), 9, true},
				{node("BatchNormalization", 3, "epsilon", 0.5, "momentum", 0.75, "training_mode", 1), 14, true},
				{node("BatchNormalization", 1, "epsilon", 0.5), 15, false},
			} {
				out, err := compute(t, c.n, c.opset, x, s, b, m, v)
				if err != nil {
					t.Fatalf("%d: %v", c.opset, err)
				}
				want, stat := make([]float64, len(fx)), [4][]float64{}
				for i := range stat {
					stat[i] = make([]float64, 4)
				}
				for i := range want {
					ch := i / plane % 4
					mean, variance := toReal(m)[ch], toReal(v)[ch]
					if c.train {
						mean, variance = stats(fx, func(j int) bool { return j/plane%4 == ch })
						stat[0][ch], stat[1][ch] = toReal(m)[ch]*0.75+mean*0.25, toReal(v)[ch]*0.75+variance*0.25
						stat[2][ch], stat[3][ch] = mean, variance
					}
					want[i] = (fx[i]-mean)/math.Sqrt(variance+0.5)*toReal(s)[ch] + toReal(b)[ch]
				}
				near(t, out[0], shape, want, 1e-4)
				for i := 1; i < len(out); i++ {
					near(t, out[i], []int{4}, stat[i-1], 1e-5)
				}
			}
		}
	}
	// spatial 0: each element of an item has statistics of its own
	x := onnx.MustTensor([]int{2, 1, 2}, []float32{1, 2, 5, 6})
	p := func(a, b float32) *onnx.Tensor { return onnx.MustTensor([]int{2}, []float32{a, b}) }
	out, err := compute(t, node("BatchNormalization", 1, "spatial", 0, "epsilon", 0.0), 7, x, p(1, 2), p(0, 1), p(1, 4), p(4, 1))
	if err != nil {
		t.Fatal(err)
	}
	near(t, out[0], []int{2, 1, 2}, []float64{0, -3, 2, 5}, 1e-6)
	// mixed types of version 15
	h := as(onnx.MustTensor([]int{2, 1}, []float32{1, 2}), onnx.Float16)
	one := onnx.MustTensor([]int{1}, []float32{1})
	if out, err = compute(t, node("BatchNormalization", 3, "training_mode", 1, "epsilon", 0.0), 15, h, one, one, one, one); err != nil {
		t.Fatal(err)
	}
	near(t, out[0], []int{2, 1}, []float64{0, 2}, 1e-3)
	near(t, out[1], []int{1}, []float64{1.05}, 1e-6)
	near(t, out[2], []int{1}, []float64{0.925}, 1e-6)
	if _, err := compute(t, node("BatchNormalization", 3), 15, h, one, one, one, one); !errors.Is(err, onnx.ErrMalformed) {
		t.Errorf("running outputs in test mode: %v", err)
	}
	if _, err := compute(t, node("BatchNormalization", 1), 9, x, one, one, one, p(1, 1)); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("var of another length: %v", err)
	}
	if _, err := compute(t, node("BatchNormalization", 1), 9, small(1, 0, 1, 7), one, one, one, one); err != nil {
		t.Error(err)
	}
}

func TestOtherNorms(t *testing.T) {
	x := small(1, 2, 3, 2, 2)
	fx := toReal(x)
	out, err := compute(t, node("MeanVarianceNormalization", 1), 13, x)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float64, len(fx))
	for i := range want {
		m, v := stats(fx, func(j int) bool { return j/4%3 == i/4%3 })
		want[i] = (fx[i] - m) / math.Sqrt(v)
	}
	near(t, out[0], x.Shape(), want, 1e-5)
	if out, err = compute(t, node("MeanVarianceNormalization", 1, "axes", []int64{-1, 0}), 9, as(x, onnx.Double)); err != nil {
		t.Fatal(err)
	}
	for i := range want {
		m, v := stats(fx, func(j int) bool { return j/2%6 == i/2%6 })
		want[i] = (fx[i] - m) / (math.Sqrt(v) + 1e-9)
	}
	near(t, out[0], x.Shape(), want, 1e-12)
	if _, err := compute(t, node("MeanVarianceNormalization", 1), 13, small(1, 2, 3)); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("axes beyond the rank: %v", err)
	}

	v := onnx.MustTensor([]int{2, 3}, []float32{3, 0, -1, -4, 0, 3})
	for _, c := range []struct {
		axis, p int
		want    []float64
	}{
		{0, 2, []float64{.6, 0, -1 / math.Sqrt(10), -.8, 0, 3 / math.Sqrt(10)}},
		{-1, 1, []float64{.75, 0, -.25, -4. / 7, 0, 3. / 7}},
	} {
		if out, err = compute(t, node("LpNormalization", 1, "axis", c.axis, "p", c.p), 1, v); err != nil {
			t.Fatal(err)
		}
		near(t, out[0], []int{2, 3}, c.want, 1e-6)
	}
	if _, err := compute(t, node("LpNormalization", 1, "p", 3), 1, v); !errors.Is(err, onnx.ErrMalformed) {
		t.Errorf("p = 3: %v", err)
	}

	for size := 1; size <= 4; size++ {
		if out, err = compute(t, node("LRN", 1, "size", size, "alpha", 0.5, "beta", 0.75, "bias", 2.0), 13, x); err != nil {
			t.Fatal(err)
		}
		for i := range want {
			s, ch := 0.0, i/4%3
			for k := range 3 {
				if k >= ch-(size-1)/2 && k <= ch+int(math.Ceil(float64(size-1)/2)) {
					s += fx[i+(k-ch)*4] * fx[i+(k-ch)*4]
				}
			}
			want[i] = fx[i] / math.Pow(2+0.5/float64(size)*s, 0.75)
		}
		near(t, out[0], x.Shape(), want, 1e-6)
	}
}
