package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// newFactor makes an operand of rows with weights for sums at..at+width-1.
func newFactor(r *rand.Rand, rows, depth, at, width int, numbers func(*rand.Rand, int) []float32) *Factor {
	f := &Factor{Pitch: depth + r.IntN(20), Depth: depth, At: at, Width: width, W: numbers(r, depth*width)}
	f.A = numbers(r, rows*f.Pitch)
	return f
}

// TestPair: sums of a bias and two products are those of MulAdd for one after
// the other, to the bit.
func TestPair(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 1))
	for _, l := range vectorLevels() {
		if l != AVX512 {
			continue
		}
		for _, c := range []struct{ width, x, hAt, h int }{{16, 16, 0, 16}, {32, 32, 0, 32}, {64, 64, 0, 64}, {64, 48, 16, 48}, {48, 48, 16, 32}} {
			for range 400 {
				rows := 1 + r.IntN(30)
				x := newFactor(r, rows, r.IntN(40), 0, c.x, odd)
				h := newFactor(r, rows, 1+r.IntN(40), c.hAt, c.h, odd)
				if !l.HasPair(c.width, x, h) {
					t.Fatalf("%v has no pair %+v", l, c)
				}
				span, bias := c.width+16*r.IntN(3), odd(r, c.width)
				got := odd(r, rows*span)
				want := slices.Clone(got)
				for i := range rows {
					copy(want[i*span:], bias)
				}
				for _, f := range []*Factor{x, h} {
					MulAdd(l, want[f.At:], span, f.A, f.Pitch, rows, f.Depth, f.W, f.Width)
				}
				MulAddPair(l, got, span, bias, rows, x, h)
				if i := unlike(got, want); i >= 0 {
					t.Fatalf("%v %+v, %d rows of %d and %d: sum %d is %g, want %g", l, c, rows, x.Depth, h.Depth, i, got[i], want[i])
				}
			}
		}
		for _, none := range [][2]Factor{{{At: 16, Width: 48}, {Width: 64}}, {{Width: 60}, {Width: 60}}, {{Width: 64, Depth: depthMost + 1}, {Width: 64}}} {
			if l.HasPair(64, &none[0], &none[1]) {
				t.Errorf("%v has a pair %+v", l, none)
			}
		}
	}
}

// BenchmarkPair is a panel of a step of many rows, and as two products.
func BenchmarkPair(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, l := range vectorLevels() {
		if l != AVX512 {
			continue
		}
		for _, c := range []struct{ width, x, hAt, h int }{{32, 32, 0, 32}, {64, 64, 0, 64}, {64, 48, 16, 48}} {
			for _, size := range []struct{ rows, x, h int }{{150, 28, 150}, {32, 128, 256}} {
				x := newFactor(r, size.rows, size.x, 0, c.x, normal)
				h := newFactor(r, size.rows, size.h, c.hAt, c.h, normal)
				if !l.HasPair(c.width, x, h) {
					continue
				}
				bias, sums := normal(r, c.width), normal(r, size.rows*c.width)
				work := 2 * float64(size.rows) * float64(size.x*c.x+size.h*c.h)
				run := func(name string, f func()) {
					b.Run(fmt.Sprintf("%v/width%d_h%d/rows%d_x%d_h%d/%s", l, c.width, c.h, size.rows, size.x, size.h, name), func(b *testing.B) {
						for b.Loop() {
							f()
						}
						b.ReportMetric(work*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GF/s")
					})
				}
				run("pair", func() { MulAddPair(l, sums, c.width, bias, size.rows, x, h) })
				run("two", func() {
					for i := range size.rows {
						copy(sums[i*c.width:], bias)
					}
					for _, f := range []*Factor{x, h} {
						MulAdd(l, sums[f.At:], c.width, f.A, f.Pitch, size.rows, f.Depth, f.W, f.Width)
					}
				})
			}
		}
	}
}
