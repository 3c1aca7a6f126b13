package ops

import (
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// small gives a float32 tensor of small multiples of 1/4: sums of their
// products are exact.
func small(seed int64, shape ...int) *onnx.Tensor {
	n, _ := onnx.NumElements(shape)
	r := rand.New(rand.NewSource(seed))
	d := make([]float32, n)
	for i := range d {
		d[i] = float32(r.Intn(33)-16) / 4
	}
	return onnx.MustTensor(shape, d)
}

// as converts a float32 tensor to another element type; unsigned integers take
// absolute values.
func as(t *onnx.Tensor, d onnx.DataType) *onnx.Tensor {
	out, err := onnx.NewZeros(d, t.Shape())
	if err != nil {
		panic(err)
	}
	src := onnx.Elements[float32](t)
	for i, v := range src {
		switch d {
		case onnx.Float:
			onnx.Elements[float32](out)[i] = v
		case onnx.Double:
			onnx.Elements[float64](out)[i] = float64(v)
		case onnx.Int32:
			onnx.Elements[int32](out)[i] = int32(v)
		case onnx.Int64:
			onnx.Elements[int64](out)[i] = int64(v)
		case onnx.Int8:
			onnx.Elements[int8](out)[i] = int8(v)
		case onnx.Uint8:
			onnx.Elements[uint8](out)[i] = uint8(max(v, -v))
		case onnx.Uint32:
			onnx.Elements[uint32](out)[i] = uint32(max(v, -v))
		case onnx.Uint64:
			onnx.Elements[uint64](out)[i] = uint64(max(v, -v))
		default:
			NarrowTo(out, src)
			return out
		}
	}
	return out
}

// toReal gives the elements of any numeric tensor as float64.
func toReal(t *onnx.Tensor) []float64 {
	switch t.DataType() {
	case onnx.Int64:
		out := make([]float64, t.Len())
		for i, v := range onnx.Elements[int64](t) {
			out[i] = float64(v)
		}
		return out
	case onnx.Uint64:
		out := make([]float64, t.Len())
		for i, v := range onnx.Elements[uint64](t) {
			out[i] = float64(v)
		}
		return out
	}
	return float64s(t)
}

// near fails unless a tensor has the given shape and elements.
func near(t *testing.T, got onnx.Value, shape []int, want []float64, tol float64) {
	t.Helper()
	g := tensorOf(got)
	if g == nil || !slices.Equal(g.Shape(), shape) {
		t.Fatalf("got %v, want shape %v", got, shape)
	}
	for i, v := range toReal(g) {
		if w := want[i]; !(v == w || v != v && w != w || v-w <= tol && w-v <= tol) {
			t.Fatalf("element %d of %v is %v, want %v", i, g, v, w)
		}
	}
}

// naiveMatMul multiplies in float64, index by index of the result.
func naiveMatMul(a, b *onnx.Tensor) ([]int, []float64) {
	sa, sb := append([]int{}, a.Shape()...), append([]int{}, b.Shape()...)
	row, col := len(sa) == 1, len(sb) == 1
	if row {
		sa = []int{1, sa[0]}
	}
	if col {
		sb = []int{sb[0], 1}
	}
	m, k, n := sa[len(sa)-2], sa[len(sa)-1], sb[len(sb)-1]
	rank := max(len(sa), len(sb)) - 2
	batch := make([]int, rank)
	dim := func(s []int, d int) int {
		if i := d - rank + len(s) - 2; i >= 0 {
			return s[i]
		}
		return 1
	}
	total := 1
	for d := range batch {
		batch[d] = dim(sa, d)
		if batch[d] == 1 {
			batch[d] = dim(sb, d)
		}
		total *= batch[d]
	}
	fa, fb := toReal(a), toReal(b)
	var out []float64
	for x := range total {
		pos := make([]int, rank)
		split(pos, batch, x)
		ia, ib := 0, 0
		for d := range pos {
			ia = ia*dim(sa, d) + pos[d]%dim(sa, d)
			ib = ib*dim(sb, d) + pos[d]%dim(sb, d)
		}
		for i := range m {
			for j := range n {
				s := 0.0
				for p := range k {
					s += fa[(ia*m+i)*k+p] * fb[(ib*k+p)*n+j]
				}
				out = append(out, s)
			}
		}
	}
	shape := batch
	if !row {
		shape = append(shape, m)
	}
	if !col {
		shape = append(shape, n)
	}
	return shape, out
}

func TestMatMul(t *testing.T) {
	cases := [][2][]int{
		{{2, 3}, {3, 4}}, {{3}, {3}}, {{3}, {3, 2}}, {{2, 3}, {3}}, {{5, 2, 3}, {3, 4}},
		{{2, 3}, {5, 3, 4}}, {{5, 2, 3}, {5, 3, 4}}, {{2, 1, 2, 3}, {1, 4, 3, 2}}, {{3}, {2, 3, 2}}, {{4, 2, 3}, {3}},
		{{0, 3}, {3, 4}}, {{2, 0}, {0, 4}}, {{2, 3}, {3, 0}}, {{0, 2, 3}, {1, 3, 4}}, {{1, 2, 3}, {0, 3, 4}},
		{{7, 300}, {300, 9}}, {{1, 513}, {513, 600}}, {{3, 7}, {7, 1030}},
	}
	for _, c := range cases {
		for _, d := range []onnx.DataType{onnx.Float, onnx.Double, onnx.Int32, onnx.Int64, onnx.Uint32, onnx.Uint64} {
			a, b := as(small(1, c[0]...), d), as(small(2, c[1]...), d)
			out, err := compute(t, node("MatMul", 1), 13, a, b)
			if err != nil {
				t.Fatalf("%v: %v", c, err)
			}
			shape, want := naiveMatMul(a, b)
			near(t, out[0], shape, want, 0)
		}
	}
	for _, d := range []onnx.DataType{onnx.Float16, onnx.BFloat16} {
		a := as(onnx.MustTensor([]int{1, 3}, []float32{1, 2, 0.5}), d)
		b := as(onnx.MustTensor([]int{3, 1}, []float32{3, 0.25, -2}), d)
		out, err := compute(t, node("MatMul", 1), 13, a, b)
		if err != nil {
			t.Fatal(err)
		}
		near(t, out[0], []int{1, 1}, []float64{2.5}, 0)
	}
	for _, c := range [][2][]int{{{2, 3}, {4, 2}}, {{2, 2, 3}, {3, 3, 2}}, {{}, {2}}} {
		if _, err := compute(t, node("MatMul", 1), 13, small(1, c[0]...), small(2, c[1]...)); !errors.Is(err, onnx.ErrShape) {
			t.Errorf("%v: error %v, want ErrShape", c, err)
		}
	}
}

// TestMatMulRows: a row's result has the same bits alone and among others, and
// whatever the blocking.
func TestMatMulRows(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	noise := func(shape ...int) *onnx.Tensor {
		n, _ := onnx.NumElements(shape)
		d := make([]float32, n)
		for i := range d {
			d[i] = float32(r.NormFloat64())
		}
		return onnx.MustTensor(shape, d)
	}
	a, b := noise(5, 700), noise(700, 530)
	all, err := compute(t, node("MatMul", 1), 13, a, b)
	if err != nil {
		t.Fatal(err)
	}
	bt := make([]float32, b.Len())
	for i, v := range onnx.Elements[float32](b) {
		bt[i%530*700+i/530] = v
	}
	gemm, err := compute(t, node("Gemm", 1, "transB", 1), 13, a, onnx.MustTensor([]int{530, 700}, bt))
	if err != nil {
		t.Fatal(err)
	}
	if d := differ(gemm[0], all[0], 0, 0); d != "" {
		t.Errorf("Gemm against MatMul: %s", d)
	}
	for i := range 5 {
		row, err := compute(t, node("MatMul", 1), 13, onnx.MustTensor([]int{700}, onnx.Elements[float32](a)[i*700:][:700]), b)
		if err != nil {
			t.Fatal(err)
		}
		want := onnx.MustTensor([]int{530}, onnx.Elements[float32](all[0].(*onnx.Tensor))[i*530:][:530])
		if d := differ(row[0], want, 0, 0); d != "" {
			t.Errorf("row %d: %s", i, d)
		}
	}
}

func TestGemm(t *testing.T) {
	for _, d := range []onnx.DataType{onnx.Float, onnx.Double, onnx.Int32, onnx.Int64, onnx.Uint32, onnx.Uint64} {
		for mask := range 4 {
			for _, bias := range [][]int{nil, {}, {1}, {4}, {3, 1}, {1, 4}, {3, 4}} {
				sa, sb := []int{3, 5}, []int{5, 4}
				if mask&1 != 0 {
					sa = []int{5, 3}
				}
				if mask&2 != 0 {
					sb = []int{4, 5}
				}
				a, b := as(small(1, sa...), d), as(small(2, sb...), d)
				in := []onnx.Value{a, b}
				var fc []float64
				if bias != nil {
					c := as(small(3, bias...), d)
					in, fc = append(in, c), toReal(c)
				}
				out, err := compute(t, node("Gemm", 1, "alpha", 2.0, "beta", 3.0, "transA", mask&1, "transB", mask>>1), 13, in...)
				if err != nil {
					t.Fatal(err)
				}
				fa, fb := toReal(a), toReal(b)
				want := make([]float64, 12)
				for i := range 3 {
					for j := range 4 {
						s := 0.0
						for p := range 5 {
							x, y := fa[(i*5+p)%15], fb[p*4+j]
							if mask&1 != 0 {
								x = fa[p*3+i]
							}
							if mask&2 != 0 {
								y = fb[j*5+p]
							}
							s += x * y
						}
						s *= 2
						switch {
						case len(fc) == 12:
							s += 3 * fc[i*4+j]
						case len(fc) == 4:
							s += 3 * fc[j]
						case len(fc) == 3:
							s += 3 * fc[i]
						case len(fc) == 1:
							s += 3 * fc[0]
						}
						want[i*4+j] = s
					}
				}
				near(t, out[0], []int{3, 4}, want, 0)
			}
		}
	}
	one, nan := small(1, 1, 1), onnx.MustTensor([]int{1}, []float32{float32(nan())})
	out, err := compute(t, node("Gemm", 1, "beta", 0.0), 9, one, one, nan)
	if err != nil {
		t.Fatal(err)
	}
	near(t, out[0], []int{1, 1}, []float64{toReal(one)[0] * toReal(one)[0]}, 0)
	// fractions of integers are truncated
	i3 := onnx.MustTensor([]int{1, 1}, []int32{3})
	if out, err = compute(t, node("Gemm", 1, "alpha", 0.5, "beta", 0.5), 9, i3, i3, i3); err != nil {
		t.Fatal(err)
	}
	near(t, out[0], []int{1, 1}, []float64{6}, 0)
	for _, c := range []struct {
		opset int
		n     *onnx.Node
		s     [3][]int
		want  error
	}{
		{6, node("Gemm", 1), [3][]int{{2, 3}, {3, 4}, {4}}, onnx.ErrShape},
		{6, node("Gemm", 1, "broadcast", 1), [3][]int{{2, 3}, {3, 4}, {4}}, nil},
		{7, node("Gemm", 1), [3][]int{{2, 3}, {3, 4}, {2}}, onnx.ErrShape},
		{7, node("Gemm", 1), [3][]int{{2, 3}, {2, 4}, {4}}, onnx.ErrShape},
		{7, node("Gemm", 1), [3][]int{{2, 3, 1}, {3, 4}, {4}}, onnx.ErrShape},
		{7, node("Gemm", 1), [3][]int{{2, 3}, {3, 4}, {1, 2, 4}}, onnx.ErrShape},
		{7, node("Gemm", 1), [3][]int{{0, 3}, {3, 4}, {4}}, nil},
		{7, node("Gemm", 1), [3][]int{{2, 0}, {0, 4}, {4}}, nil},
	} {
		_, err := compute(t, c.n, c.opset, small(1, c.s[0]...), small(2, c.s[1]...), small(3, c.s[2]...))
		if !errors.Is(err, c.want) {
			t.Errorf("Gemm-%d of %v: error %v, want %v", c.opset, c.s, err, c.want)
		}
	}
}

func nan() float64 { z := 0.0; return z / z }

func BenchmarkMatMul(b *testing.B) {
	for _, s := range [][3]int{{1, 512, 512}, {64, 256, 256}, {256, 512, 512}} {
		b.Run(fmt.Sprintf("m=%d/k=%d/n=%d", s[0], s[1], s[2]), func(b *testing.B) {
			x, w := small(1, s[0], s[1]), small(2, s[1], s[2])
			var p product[float32]
			y := make([]float32, s[0]*s[2])
			c := NewCtx(&heap{ctx: b.Context()})
			for b.Loop() {
				p.y, p.a, p.b = y, onnx.Elements[float32](x), onnx.Elements[float32](w)
				p.m, p.k, p.n, p.ldy, p.ars, p.acs, p.ldb = s[0], s[1], s[2], s[2], s[1], 1, s[2]
				if err := p.run(c); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(2*s[0]*s[1]*s[2])*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GF/s")
		})
	}
}
