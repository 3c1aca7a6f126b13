package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestRows wants the same bits from the loops over rows at every level.
func TestRows(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 2))
	for _, n := range []int{0, 1, 5, 8, 15, 16, 17, 40, 100, 1023, 1024, 1025, 3000} {
		x, f, o := make([]float32, n), odd(r, n), odd(r, n)
		for i := range x {
			x[i] = float32(r.IntN(50)) - 20
		}
		if n > 100 {
			x[r.IntN(n)] = float32(math.NaN())
		}
		for _, l := range vectorLevels() {
			for i, c := range []func(l Level, y []float32){
				func(l Level, y []float32) { StandardizeRow(l, y, x, 0.3, 1.7) },
				func(l Level, y []float32) { AffineRow(l, y, x, 0.3, 1.7) },
				func(l Level, y []float32) { AffineVector(l, y, x, f, o) },
				func(l Level, y []float32) {
					for i := range min(len(y), 4) {
						y[i] = float32(ArgVector(l, x, i&1 != 0, i&2 != 0))
					}
				},
			} {
				got, want := make([]float32, n), make([]float32, n)
				c(l, got)
				c(Go, want)
				for k := range want {
					if !same(got[k], want[k]) {
						t.Fatalf("%v, loop %d of %d elements: %v, want %v", l, i, n, got[k], want[k])
					}
				}
			}
		}
	}
}
