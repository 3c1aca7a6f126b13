package kernel

import (
	"math/rand/v2"
	"testing"
)

// TestMulAdd holds every tiling against the loop of the doc comment, to the
// bit, whole and cut along depth.
func TestMulAdd(t *testing.T) {
	testMulAdd[float32](t)
	testMulAdd[float64](t)
}

func testMulAdd[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(n int) []T {
		s := make([]T, n)
		for i := range s {
			s[i] = T(rng.NormFloat64())
		}
		return s
	}
	for _, width := range []int{1, 2, 3, 7, 8, 16, 24, 32} {
		for rows := range 10 {
			for _, depth := range []int{0, 1, 2, 7, 20} {
				span, pitch := width+8, depth+3
				a, w, start := random(rows*pitch+depth), random(depth*width), random((rows+1)*span)
				want := append([]T(nil), start...)
				for r := range rows {
					for u := range width {
						for k := range depth {
							want[r*span+u] += T(a[r*pitch+k] * w[k*width+u])
						}
					}
				}
				whole := append([]T(nil), start...)
				MulAdd(Go, whole, span, a, pitch, rows, depth, w, width)
				pieces := append([]T(nil), start...)
				cut := depth / 2
				MulAdd(Go, pieces, span, a, pitch, rows, cut, w, width)
				MulAdd(Go, pieces, span, a[cut:], pitch, rows, depth-cut, w[cut*width:], width)
				for i := range want {
					if whole[i] != want[i] || pieces[i] != want[i] {
						t.Fatalf("%T width %d rows %d depth %d: sum %d is %v whole and %v in pieces, want %v", want, width, rows, depth, i, whole[i], pieces[i], want[i])
					}
				}
			}
		}
	}
}
