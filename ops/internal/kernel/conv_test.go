package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// convCase is a convolution with offsets that overlap, and odd values among
// its operands.
func convCase(rng *rand.Rand, rows, depth, n, step int, odd bool) (w, x, bias []float32, t Taps) {
	fill := func(n int) []float32 {
		s := make([]float32, n)
		for i := range s {
			s[i] = float32(rng.NormFloat64())
			if odd && rng.IntN(40) == 0 {
				s[i] = []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 0}[rng.IntN(4)]
			}
		}
		return s
	}
	for range depth {
		t.Offsets = append(t.Offsets, rng.IntN(60))
	}
	if depth > 0 {
		t.Reach = slices.Max(t.Offsets)
	}
	return fill(rows * depth), fill(t.Reach + max(n-1, 0)*step + 1), fill(rows), t
}

func sameConv(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i, v := range got {
		if math.Float32bits(v) != math.Float32bits(want[i]) && (v == v || want[i] == want[i]) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, v, want[i])
		}
	}
}

// fenced is n elements, and how they look where nothing may be written.
func fenced(n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = 12345
	}
	return s
}

func TestConvLoops(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	widths := []int{1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 100, 131, 300}
	for _, l := range vectorLevels() {
		for _, rows := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 25, 40, 64, 70, 130} {
			for _, depth := range []int{0, 1, 2, 3, 9, 40} {
				n := widths[rng.IntN(len(widths))]
				span := n + rng.IntN(4)
				odd := rng.IntN(2) == 0
				w, x, bias, taps := convCase(rng, rows, depth, n, 1, odd)
				got, want := fenced(rows*span+3), fenced(rows*span+3)
				ConvRows(l, got, span, w, depth, x, taps, bias, rows, n)
				ConvRows(Go, want, span, w, depth, x, taps, bias, rows, n)
				sameConv(t, fmt.Sprintf("%v rows %d depth %d n %d", l, rows, depth, n), got, want)

				if depth == 0 {
					continue
				}
				n, step := 1+rng.IntN(27), 1+rng.IntN(3)
				span = n + rng.IntN(2)
				w, x, bias, taps = convCase(rng, rows, depth, n, step, odd)
				full, width, last := l.PointStrips(rows)
				packed, wide := fenced((full*width+last)*depth), make([]float32, full*width+last)
				PackPoints(l, packed, w, rows)
				copy(wide, bias)
				got, want = fenced(rows*span+3), fenced(rows*span+3)
				convPoints(l, got, span, x, step, taps, packed, wide, rows, n)
				for p := range n {
					for o := range rows {
						convRow(want[o*span+p:][:1], w[o*depth:][:depth], x[p*step:], taps.Offsets, bias[o])
					}
				}
				sameConv(t, fmt.Sprintf("%v points %d outputs %d depth %d", l, n, rows, depth), got, want)
			}
		}
	}
}

// convPoints computes n places of all outputs.
func convPoints(l Level, y []float32, span int, x []float32, step int, t Taps, w, bias []float32, outputs, n int) {
	var sums [27 * 64]float32
	full, width, last := l.PointStrips(outputs)
	for o := 0; o < outputs; o += width {
		wide := width
		if o == full*width {
			wide = last
		}
		ConvPointSums(l, sums[:], x, step, t, w[o*len(t.Offsets):], bias[o:], wide, n)
		TurnSums(y[o*span:], span, sums[:], wide, min(wide, outputs-o), n)
	}
}

func BenchmarkConvRows(b *testing.B) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, l := range Levels() {
		for _, n := range []int{33, 64, 512} {
			b.Run(fmt.Sprintf("%v/%d", l, n), func(b *testing.B) {
				const rows, depth = 48, 144
				w, x, bias, taps := convCase(rng, rows, depth, n, 1, false)
				y := make([]float32, rows*n)
				b.ReportAllocs()
				for b.Loop() {
					ConvRows(l, y, n, w, depth, x, taps, bias, rows, n)
				}
				b.ReportMetric(2*rows*depth*float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
			})
		}
	}
}

func BenchmarkConvPoints(b *testing.B) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, l := range vectorLevels() {
		for _, n := range []int{1, 4} {
			b.Run(fmt.Sprintf("%v/%d", l, n), func(b *testing.B) {
				const outputs, depth = 128, 387
				w, x, bias, taps := convCase(rng, outputs, depth, n, 1, false)
				y, packed := make([]float32, outputs*n), make([]float32, outputs*depth)
				PackPoints(l, packed, w, outputs)
				b.ReportAllocs()
				for b.Loop() {
					convPoints(l, y, n, x, 1, taps, packed, bias, outputs, n)
				}
				b.ReportMetric(2*outputs*depth*float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
			})
		}
	}
}
