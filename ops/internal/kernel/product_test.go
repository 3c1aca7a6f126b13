package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// vectorLevels are the levels of this machine but plain Go.
func vectorLevels() []Level { return levels[:len(levels)-1] }

// odd makes n numbers; one in ten is a special one.
func odd(r *rand.Rand, n int) []float32 {
	special := []float32{0, float32(math.Copysign(0, -1)), 1e-42, -3e-45, 1e38, -1e38, 1e-20,
		float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}
	s := make([]float32, n)
	for i := range s {
		if s[i] = float32(r.NormFloat64()); r.IntN(200) == 0 {
			s[i] = special[r.IntN(len(special))]
		}
	}
	return s
}

// same tells whether two numbers are the same bits, or both NaN.
func same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

// fused is s + a*b rounded once: through float64, which is exact but for a
// tie that only exact arithmetic finds.
func fused(a, b, s float32) float32 {
	wide := float64(a)*float64(b) + float64(s)
	tie := math.Float64bits(wide)<<35 == 1<<63 // where wide itself may have been rounded to it
	if finite := math.Abs(wide) <= math.MaxFloat64; finite && wide != 0 && (tie || math.Abs(wide) < 0x1p-120) {
		return fma32(a, b, s)
	}
	return float32(wide)
}

// packStrips lays a panel of weights out as MulAdd wants it.
func packStrips(l Level, w []float32, depth, width int) []float32 {
	s, out := l.Strip(width), make([]float32, depth*width)
	for k := range depth {
		for u := range width {
			out[u/s*depth*s+k*s+u%s] = w[k*width+u]
		}
	}
	return out
}

// checkProduct holds MulAdd at a level against its loop, to the bit: whole,
// cut along depth, each row alone, and a row over several panels.
func checkProduct(t *testing.T, l Level, r *rand.Rand, rows, depth, width int) {
	t.Helper()
	span, pitch := width+r.IntN(3)*16, depth+r.IntN(20)
	a, w, start := odd(r, rows*pitch+1), odd(r, depth*width), odd(r, rows*span+1)
	want := append([]float32(nil), start...)
	for i := range rows {
		for u := range width {
			for k := range depth {
				want[i*span+u] = fused(a[i*pitch+k], w[k*width+u], want[i*span+u])
			}
		}
	}
	packed := packStrips(l, w, depth, width)
	got := map[string][]float32{}
	for _, name := range []string{"whole", "cut", "row by row", "panels"} {
		got[name] = append([]float32(nil), start...)
	}
	MulAdd(l, got["whole"], span, a, pitch, rows, depth, packed, width)
	cut := r.IntN(depth + 1)
	MulAdd(l, got["cut"], span, a, pitch, rows, cut, packStrips(l, w[:cut*width], cut, width), width)
	MulAdd(l, got["cut"], span, a[cut:], pitch, rows, depth-cut, packStrips(l, w[cut*width:], depth-cut, width), width)
	for i := range rows {
		MulAdd(l, got["row by row"][i*span:], 1, a[i*pitch:], 1, 1, depth, packed, width)
		MulAddPanels(l, got["panels"][i*span:], width, 0, a[i*pitch:], 0, 1, depth, packed, width, 1)
	}
	for name, g := range got {
		for i := range g {
			if !same(g[i], want[i]) {
				t.Fatalf("%v %s, rows %d depth %d width %d span %d: sum %d is %v, want %v", l, name, rows, depth, width, span, i, g[i], want[i])
			}
		}
	}
}

func TestProducts(t *testing.T) {
	for _, l := range vectorLevels() {
		r := rand.New(rand.NewPCG(3, 4))
		for _, width := range []int{16, 32, 48, 64, 80, 128, 192} {
			for rows := 1; rows <= 27; rows += 1 + rows/8 {
				for _, depth := range []int{1, 2, 3, 4, 5, 8, 19} {
					checkProduct(t, l, r, rows, depth, width)
				}
			}
		}
		checkProduct(t, l, r, 2, depthMost+3, 16)
		checkProduct(t, l, r, 1, depthMost+3, 32)
	}
}

// TestPanels holds rows over several panels against each row of each panel
// alone.
func TestPanels(t *testing.T) {
	for _, l := range Levels() {
		r := rand.New(rand.NewPCG(5, 6))
		for _, width := range []int{7, 16, 32, 48, 64} {
			for _, panels := range []int{1, 2, 3, 5, 8} {
				for rows := 1; rows <= fewMost+1; rows++ {
					for _, gap := range []int{width, width + 16} {
						checkPanels(t, l, r, rows, 1+r.IntN(40), width, panels, gap)
					}
				}
			}
		}
	}
}

func checkPanels(t *testing.T, l Level, r *rand.Rand, rows, depth, width, panels, gap int) {
	t.Helper()
	span, pitch := panels*gap+r.IntN(2)*16, depth+r.IntN(20)
	a, w, start := odd(r, rows*pitch), odd(r, panels*depth*width), odd(r, rows*span)
	got, want := append([]float32(nil), start...), start
	MulAddPanels(l, got, gap, span, a, pitch, rows, depth, w, width, panels)
	for i := range rows {
		for p := range panels {
			MulAdd(l, want[i*span+p*gap:], width, a[i*pitch:], depth, 1, depth, w[p*depth*width:], width)
		}
	}
	for i := range want {
		if !same(got[i], want[i]) {
			t.Fatalf("%v rows %d depth %d width %d panels %d gap %d: sum %d is %v, want %v", l, rows, depth, width, panels, gap, i, got[i], want[i])
		}
	}
}

func FuzzProducts(f *testing.F) {
	f.Add(uint64(1), uint8(3), uint8(5), uint8(2))
	f.Fuzz(func(t *testing.T, seed uint64, rows, depth, width uint8) {
		r := rand.New(rand.NewPCG(seed, 7))
		for _, l := range vectorLevels() {
			checkProduct(t, l, r, 1+int(rows)%40, 1+int(depth), 16*(1+int(width)%13))
		}
	})
}

func BenchmarkMulAdd(b *testing.B) {
	for _, c := range []struct{ rows, depth, width int }{{1, 256, 64}, {2, 256, 96}, {3, 256, 64}, {4, 256, 96}, {8, 256, 64}, {32, 256, 64}, {32, 256, 48}, {32, 256, 32}, {32, 1024, 64}} {
		for _, l := range Levels() {
			b.Run(fmt.Sprintf("rows=%d/depth=%d/width=%d/%v", c.rows, c.depth, c.width, l), func(b *testing.B) {
				r := rand.New(rand.NewPCG(1, 1))
				pitch := c.depth + 16
				a, w, s := make([]float32, c.rows*pitch), make([]float32, c.depth*c.width), make([]float32, c.rows*c.width)
				for _, v := range [][]float32{a, w} {
					for i := range v {
						v[i] = r.Float32() / 1000
					}
				}
				b.ReportAllocs()
				for b.Loop() {
					MulAdd(l, s, c.width, a, pitch, c.rows, c.depth, w, c.width)
				}
				b.ReportMetric(float64(2*c.rows*c.depth*c.width)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GF/s")
			})
		}
	}
}
