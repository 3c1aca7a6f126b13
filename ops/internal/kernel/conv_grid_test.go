package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// squareTaps are side*side terms over rows that are step apart.
func squareTaps(side, step int) Taps {
	t := Taps{Square: side, Reach: (side - 1) * (step + 1)}
	for k := range side {
		for i := range side {
			t.Offsets = append(t.Offsets, k*step+i)
		}
	}
	return t
}

func TestConvGrid(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	check := func(l Level, taps Taps, step, rows, n int) {
		depth := len(taps.Offsets)
		g := Grid{Planes: rng.IntN(4), Rows: rows, N: n, Span: n + rng.IntN(3), Step: step, Lead: rng.IntN(200)}
		g.Area = rows*g.Span + rng.IntN(20)
		odd := rng.IntN(2) == 0
		w, _, bias, _ := convCase(rng, max(g.Planes, 1), depth, 1, 1, odd)
		x, _, _, _ := convCase(rng, 3*g.Lead+max(rows-1, 0)*step+taps.Reach+n, 1, 1, 1, odd)
		got, want := fenced(3*g.Area+40), fenced(3*g.Area+40)
		ConvGrid(l, got, w, x, g, taps, bias)
		ConvGrid(Go, want, w, x, g, taps, bias)
		sameConv(t, fmt.Sprintf("%v: %+v, %d terms, square %d", l, g, depth, taps.Square), got, want)
	}
	for _, l := range vectorLevels() {
		for n := range 140 {
			for _, rows := range []int{0, 1, 2, 3, 4, 5, 7, 9} {
				_, _, _, taps := convCase(rng, 1, 1+rng.IntN(12), 1, 1, false)
				check(l, taps, rng.IntN(50), rows, n)
				for side := 2; side <= 7; side++ {
					step := n + side - 1 + rng.IntN(3)
					check(l, squareTaps(side, step), step, rows, n)
				}
			}
		}
		check(l, squareTaps(3, 9), 9, convGridRows+30, 5)
		other := squareTaps(3, 9)
		other.Reach = 30
		other.Offsets[8] = 30 // no square
		check(l, other, 9, 5, 5)
	}
}

// convGridRows is more rows of 9 terms than a call of assembly computes.
const convGridRows = 1 << 13

func TestMoveRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, l := range vectorLevels() {
		for n := range 100 {
			a := Lines{Planes: rng.IntN(4), Rows: rng.IntN(5), N: n}
			switch n { // in more than one call
			case 98:
				a.Planes, a.Rows = 3, 12000
			case 99:
				a.Planes, a.Rows = 3000, 4
			}
			a.Pitch = n + 8 + rng.IntN(5)
			a.Area = a.Rows*a.Pitch + rng.IntN(30)
			x, _, _, _ := convCase(rng, max(a.Planes*a.Rows*n, 1), 1, 1, 1, true)
			what := fmt.Sprintf("%v: %+v", l, a)
			size := 2*(a.Planes*a.Area) + 300
			check := func(how string, f func(l Level, y []float32)) {
				t.Helper()
				got, want := fenced(size), fenced(size)
				f(l, got)
				f(Go, want)
				sameConv(t, what+", "+how, got, want)
			}
			check("padded", func(l Level, y []float32) { PadRows(l, y[1:], x, a) })
			check("dealt", func(l Level, y []float32) { DealRows(l, y[3:], y[7+(n+1)/2:], x, a) })
			check("dealt far apart", func(l Level, y []float32) { DealRows(l, y, y[size/2:], x, a) })
			rows := a.Planes * a.Rows / 2
			check("interleaved", func(l Level, y []float32) { InterleaveRows(l, y, 2*a.Pitch, x, x[rows*n:], n, rows, n) })
		}
	}
}

func BenchmarkConvGrid(b *testing.B) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, l := range Levels() {
		for _, side := range []int{3, 5} {
			for _, square := range []bool{true, false} {
				for _, n := range []int{7, 14, 28, 56} {
					b.Run(fmt.Sprintf("%v/%dx%d/square %v/%d", l, side, side, square, n), func(b *testing.B) {
						g := Grid{Planes: max(1, 2048/(n*n)), Rows: n, N: n, Span: n, Step: n + side - 1, Area: n * n}
						g.Lead = g.Step * g.Step
						taps := squareTaps(side, g.Step)
						if !square {
							taps.Square = 0
						}
						w, x, bias, _ := convCase(rng, g.Planes, side*side, g.Planes*g.Lead, 1, false)
						y := make([]float32, g.Planes*g.Area)
						b.ReportAllocs()
						for b.Loop() {
							ConvGrid(l, y, w, x, g, taps, bias)
						}
						b.ReportMetric(2*float64(g.Planes*side*side*n*n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
					})
				}
			}
		}
	}
}
