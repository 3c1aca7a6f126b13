package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

var functions32 = []struct {
	name  string
	plain func(float32) float32
	f     func(l Level, dst, src []float32)
	limit float64 // the greatest relative error
	least float64 // results of less than this may be 0
}{
	{"exp", Exp32, Exp, 1.2e-7, 0},
	{"sigmoid", Sigmoid32, Sigmoid, 2e-7, 0x1p-125},
	{"tanh", Tanh32, Tanh, 4e-7, 0},
	{"relu", func(x float32) float32 { y := []float32{x}; Relu(y, y); return y[0] }, ReluVector, 0, 0},
}

// TestFunctions holds the functions of vectors against the plain ones over
// numbers of every size, and each element against itself alone.
func TestFunctions(t *testing.T) {
	var x []float32
	for b := uint64(0); b < 1<<32; b += 40_009 {
		x = append(x, math.Float32frombits(uint32(b)))
	}
	for v := float32(-110); v < 110; v += 0.0137 {
		x = append(x, v)
	}
	for _, v := range []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), 88.7, 88.73, -87.4, -103.9, -104.1, 7.9053, 9} {
		x = append(x, float32(v))
	}
	for _, f := range functions32 {
		for _, l := range vectorLevels() {
			got := make([]float32, len(x))
			f.f(l, got, x)
			worst := 0.0
			for i, v := range x {
				want := f.plain(v)
				if same(got[i], want) || math.Abs(float64(want)) < f.least && got[i] == 0 {
					continue
				}
				d := math.Abs(float64(got[i]) - float64(want))
				if d > 0x1p-149 { // a unit of the smallest numbers
					worst = max(worst, d/math.Abs(float64(want)))
				}
				if math.IsInf(float64(want), 0) || want == 0 || !(d <= f.limit*math.Abs(float64(want))) && d > 0x1p-149 {
					t.Fatalf("%s %v: of %v it is %v, want %v", f.name, l, v, got[i], want)
				}
			}
			t.Logf("%s %v: relative error %.2g", f.name, l, worst)
			for n := range 70 {
				at, part := 7*n, make([]float32, n)
				f.f(l, part, x[at:at+n])
				for i := range part {
					if !same(part[i], got[at+i]) {
						t.Fatalf("%s %v: element %d of %d is %v, %v among more", f.name, l, i, n, part[i], got[at+i])
					}
				}
			}
		}
	}
}

// TestOperators holds the operators of vectors against the plain ones.
func TestOperators(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 8))
	for _, l := range vectorLevels() {
		for n := range 150 {
			a, b := odd(r, n), odd(r, n)
			for i, o := range []struct {
				v, plain func(dst []float32)
			}{
				{func(d []float32) { AddVector(l, d, a, b) }, func(d []float32) { Add(d, a, b) }},
				{func(d []float32) { SubVector(l, d, a, b) }, func(d []float32) { Sub(d, a, b) }},
				{func(d []float32) { MulVector(l, d, a, b) }, func(d []float32) { Mul(d, a, b) }},
				{func(d []float32) { DivVector(l, d, a, b) }, func(d []float32) { Div(d, a, b) }},
				{func(d []float32) { AddVectorVS(l, d, a, 3) }, func(d []float32) { AddVS(d, a, 3) }},
				{func(d []float32) { SubVectorVS(l, d, a, 3) }, func(d []float32) { SubVS(d, a, 3) }},
				{func(d []float32) { MulVectorVS(l, d, a, 3) }, func(d []float32) { MulVS(d, a, 3) }},
				{func(d []float32) { DivVectorVS(l, d, a, 3) }, func(d []float32) { DivVS(d, a, 3) }},
				{func(d []float32) { MaxVector(l, d, a, b) }, func(d []float32) { Max(d, a, b) }},
				{func(d []float32) { MinVector(l, d, a, b) }, func(d []float32) { Min(d, a, b) }},
				{func(d []float32) { PReluVector(l, d, a, b) }, func(d []float32) { PRelu(d, a, b) }},
				{func(d []float32) { MaxVectorVS(l, d, a, 0) }, func(d []float32) { MaxVS(d, a, 0) }},
				{func(d []float32) { MinVectorVS(l, d, a, 0) }, func(d []float32) { MinVS(d, a, 0) }},
				{func(d []float32) { PReluVectorVS(l, d, a, 3) }, func(d []float32) { PReluVS(d, a, 3) }},
				{func(d []float32) { SubVectorSV(l, d, 3, b) }, func(d []float32) { SubSV(d, 3, b) }},
				{func(d []float32) { DivVectorSV(l, d, 3, b) }, func(d []float32) { DivSV(d, 3, b) }},
				{func(d []float32) { PReluVectorSV(l, d, -3, b) }, func(d []float32) { PReluSV(d, -3, b) }},
			} {
				got, want := make([]float32, n), make([]float32, n)
				o.v(got)
				o.plain(want)
				for k := range want {
					if !same(got[k], want[k]) {
						t.Fatalf("%v operator %d of %d elements: %v, want %v", l, i, n, got[k], want[k])
					}
				}
			}
		}
	}
}

// cellCase is random arguments of a cell.
func cellCase(r *rand.Rand, l Level, sums int, peepholes bool) *Cells {
	lanes := 8 * (1 + r.IntN(4))
	c := &Cells{Lanes: lanes, Rows: 1 + r.IntN(7)}
	c.Span, c.Pitch = sums*lanes+r.IntN(2)*16, lanes+r.IntN(3)*16
	c.Sums, c.State, c.Next = odd(r, c.Rows*c.Span), odd(r, c.Rows*c.Pitch), odd(r, c.Rows*c.Pitch)
	if r.IntN(2) == 0 {
		c.Clip = 0.1 + r.Float32()
	}
	if peepholes {
		c.Part, c.Along = lanes+r.IntN(2)*16, r.IntN(2)*lanes
		c.Peepholes = odd(r, 3*c.Part+c.Rows*c.Along)
	}
	return c
}

// point is a cell's loop in float64, for one unit: it gives the state and next.
type point func(c *Cells, sum func(j int) float64, p func(j int, x float64) float64, state float64) (float64, float64)

func clip64(c *Cells, x float64) float64 {
	if c.Clip > 0 {
		return min(max(x, -float64(c.Clip)), float64(c.Clip))
	}
	return x
}

var cells = []struct {
	name      string
	sums      int
	peepholes bool
	f         func(Level, *Cells)
	point     point
}{
	{"LSTM", 4, false, LSTM, lstmPoint},
	{"LSTM with peepholes", 4, true, LSTM, lstmPoint},
	{"GRU", 4, false, GRU, func(c *Cells, sum func(int) float64, _ func(int, float64) float64, h float64) (float64, float64) {
		z, r := Sigmoid64(clip64(c, sum(1))), Sigmoid64(clip64(c, sum(2)))
		return h, (1-z)*math.Tanh(clip64(c, sum(0)+r*sum(3))) + z*h
	}},
	{"GRUReset", 3, false, GRUReset, func(c *Cells, sum func(int) float64, _ func(int, float64) float64, h float64) (float64, float64) {
		return h, Sigmoid64(clip64(c, sum(2))) * h
	}},
	{"GRUBlend", 3, false, GRUBlend, func(c *Cells, sum func(int) float64, _ func(int, float64) float64, h float64) (float64, float64) {
		z := Sigmoid64(clip64(c, sum(1)))
		return h, (1-z)*math.Tanh(clip64(c, sum(0))) + z*h
	}},
	{"RNN", 1, false, RNN, func(c *Cells, sum func(int) float64, _ func(int, float64) float64, h float64) (float64, float64) {
		return h, math.Tanh(clip64(c, sum(0)))
	}},
}

func lstmPoint(c *Cells, sum func(int) float64, p func(int, float64) float64, s float64) (float64, float64) {
	i, f := Sigmoid64(clip64(c, sum(0)+p(0, s))), Sigmoid64(clip64(c, sum(3)+p(2, s)))
	s = f*s + i*math.Tanh(clip64(c, sum(1)))
	return s, Sigmoid64(clip64(c, sum(2)+p(1, s))) * math.Tanh(s)
}

// checkCells holds a cell against its loop, and each row against itself alone.
func checkCells(t *testing.T, r *rand.Rand) {
	for _, l := range vectorLevels() {
		for _, k := range cells {
			c := cellCase(r, l, k.sums, k.peepholes)
			before := *c
			before.State, before.Next = append([]float32(nil), c.State...), append([]float32(nil), c.Next...)
			k.f(l, c)
			for row := range c.Rows {
				one := before
				one.State, one.Next, one.Sums = append([]float32(nil), before.State[row*c.Pitch:]...), append([]float32(nil), before.Next[row*c.Pitch:]...), before.Sums[row*c.Span:]
				if c.Peepholes != nil {
					one.Peepholes = c.Peepholes[row*c.Along:]
				}
				one.Rows = 1
				k.f(l, &one)
				for u := range c.Lanes {
					state, next := k.point(c, func(j int) float64 { return float64(c.Sums[row*c.Span+j*c.Lanes+u]) },
						func(j int, x float64) float64 {
							if c.Peepholes == nil {
								return 0
							}
							return float64(c.Peepholes[j*c.Part+row*c.Along+u]) * x
						}, float64(before.State[row*c.Pitch+u]))
					gotState, gotNext := c.State[row*c.Pitch+u], c.Next[row*c.Pitch+u]
					if !same(gotState, one.State[u]) || !same(gotNext, one.Next[u]) {
						t.Fatalf("%v %s: row %d alone gives %v %v, with others %v %v", l, k.name, row, one.State[u], one.Next[u], gotState, gotNext)
					}
					if s := before.State[row*c.Pitch+u]; s > 1e3 || s < -1e3 {
						continue // 0 times it is the error of a sigmoid times it
					}
					if k.name == "GRU" {
						reset, product := Sigmoid64(float64(c.Sums[row*c.Span+2*c.Lanes+u])), c.Sums[row*c.Span+3*c.Lanes+u]
						if reset < 0x1p-125 && (product > 1e30 || product < -1e30) {
							continue // so is what the loop makes of less than that, which may be some 1e-38
						}
					}
					if !near(gotState, state) || !near(gotNext, next) {
						t.Fatalf("%v %s, clip %v: unit %d of row %d is %v %v, want %v %v", l, k.name, c.Clip, u, row, gotState, gotNext, state, next)
					}
				}
			}
		}
	}
}

// near allows the formulas' errors, and any result where numbers near the
// greatest meet.
func near(got float32, want float64) bool {
	if math.Abs(want) > 1e30 || want != want {
		return !(math.Abs(float64(got)) < 1e29)
	}
	return math.Abs(float64(got)-want) <= 2e-6*(1+math.Abs(want))
}

func TestCells(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 9))
	for range 300 {
		checkCells(t, r)
	}
}

func FuzzCells(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { checkCells(t, rand.New(rand.NewPCG(seed, 3))) })
}

func BenchmarkFunctions(b *testing.B) {
	for _, f := range functions32 {
		for _, n := range []int{1024, 4096, 1 << 20} {
			for _, l := range Levels() {
				b.Run(fmt.Sprintf("%s/n=%d/%v", f.name, n, l), func(b *testing.B) {
					x, y := make([]float32, n), make([]float32, n)
					for i := range x {
						x[i] = float32(i%2400)/100 - 12
					}
					b.ReportAllocs()
					for b.Loop() {
						if l == Go {
							for i, v := range x {
								y[i] = f.plain(v)
							}
						} else {
							f.f(l, y, x)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/element")
				})
			}
		}
	}
}

func BenchmarkCells(b *testing.B) {
	for _, k := range cells {
		for _, l := range vectorLevels() {
			b.Run(fmt.Sprintf("%s/%v", k.name, l), func(b *testing.B) {
				c := cellCase(rand.New(rand.NewPCG(1, 1)), l, k.sums, k.peepholes)
				c.Lanes, c.Rows, c.Pitch, c.Span = l.Lanes(), 32, 16, 64
				for _, s := range []*[]float32{&c.Sums, &c.State, &c.Next} {
					*s = make([]float32, c.Rows*c.Span)
				}
				if k.peepholes {
					c.Part, c.Along, c.Peepholes = 16, 0, make([]float32, 64)
				}
				b.ReportAllocs()
				for b.Loop() {
					k.f(l, c)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(c.Rows*c.Lanes), "ns/unit")
			})
		}
	}
}
