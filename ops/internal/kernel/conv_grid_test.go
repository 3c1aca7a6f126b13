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
		w, _, bias, _ := convCase(rng, 1, depth, 1, 1, rng.IntN(2) == 0)
		x, _, _, _ := convCase(rng, max(rows-1, 0)*step+taps.Reach+n, 1, 1, 1, rng.IntN(2) == 0)
		span := n + rng.IntN(3)
		got, want := fenced(rows*span+20), fenced(rows*span+20)
		ConvGrid(l, got, span, w, x, step, taps, bias[0], rows, n)
		ConvGrid(Go, want, span, w, x, step, taps, bias[0], rows, n)
		sameConv(t, fmt.Sprintf("%v: %d rows of %d, %d terms, square %d", l, rows, n, depth, taps.Square), got, want)
	}
	for _, l := range vectorLevels() {
		for n := range 140 {
			for _, rows := range []int{0, 1, 2, 3, 4, 5, 7, 9} {
				_, _, _, taps := convCase(rng, 1, 1+rng.IntN(12), 1, 1, false)
				check(l, taps, rng.IntN(50), rows, n)
				for side := 2; side <= 5; side++ {
					step := n + side - 1 + rng.IntN(3)
					check(l, squareTaps(side, step), step, rows, n)
				}
			}
		}
		check(l, squareTaps(3, 9), 9, convGridRows+30, 5) // more than one call computes
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
			rows := 1 + rng.IntN(4)
			if n == 99 {
				rows = 12000 // in more than one call
			}
			pitch := n + rng.IntN(5)
			x, _, _, _ := convCase(rng, max(rows*n, 1), 1, 1, 1, true)
			what := fmt.Sprintf("%v: %d rows of %d", l, rows, n)
			size := rows*2*pitch + 40
			got, want := fenced(size), fenced(size)
			PadRows(l, got, pitch, x, rows, n)
			PadRows(Go, want, pitch, x, rows, n)
			sameConv(t, what+", padded", got, want)
			got, want = fenced(size), fenced(size)
			even, odd := 3, 7+(n+1)/2
			DealRows(l, got[even:], got[odd:], pitch+8, x, min(rows, 4), n)
			DealRows(Go, want[even:], want[odd:], pitch+8, x, min(rows, 4), n)
			sameConv(t, what+", dealt", got, want)
			got, want = fenced(size), fenced(size)
			DealRows(l, got, got[rows*pitch+20:], pitch, x, rows, n)
			DealRows(Go, want, want[rows*pitch+20:], pitch, x, rows, n)
			sameConv(t, what+", dealt far apart", got, want)
			got, want = fenced(size), fenced(size)
			b := x[len(x)/2/max(n, 1)*n:]
			InterleaveRows(l, got, 2*pitch, x, b, n, rows/2, n)
			InterleaveRows(Go, want, 2*pitch, x, b, n, rows/2, n)
			sameConv(t, what+", interleaved", got, want)
		}
	}
}

func BenchmarkConvGrid(b *testing.B) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, l := range Levels() {
		for _, side := range []int{3, 5} {
			for _, square := range []bool{true, false} {
				for _, n := range []int{14, 28, 56} {
					b.Run(fmt.Sprintf("%v/%dx%d/square %v/%d", l, side, side, square, n), func(b *testing.B) {
						step := n + side - 1
						taps := squareTaps(side, step)
						if !square {
							taps.Square = 0
						}
						w, _, _, _ := convCase(rng, 1, side*side, 1, 1, false)
						x, _, _, _ := convCase(rng, step*step, 1, 1, 1, false)
						y := make([]float32, n*n)
						b.ReportAllocs()
						for b.Loop() {
							ConvGrid(l, y, n, w, x, step, taps, 1, n, n)
						}
						b.ReportMetric(2*float64(side*side*n*n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
					})
				}
			}
		}
	}
}
