package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestArithmeticVector wants the bits of plain loops at every level and length,
// and nothing written behind them.
func TestArithmeticVector(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 7))
	for n := range 150 {
		arithmeticAll[int32](t, r, n)
		arithmeticAll[int64](t, r, n)
		arithmeticAll[uint32](t, r, n)
		arithmeticAll[uint64](t, r, n)
	}
}

// allSizes makes n numbers of all sizes, the ends of the range among them.
func allSizes[T Word](r *rand.Rand, n int) []T {
	x := make([]T, n)
	for i := range x {
		switch v := T(r.Uint64()); r.IntN(4) {
		case 0:
			x[i] = v
		case 1:
			x[i] = v % 8
		case 2:
			x[i] = ^(v % 3)
		default: // the least and the greatest
			x[i] = 1
			for x[i]*2 > x[i] {
				x[i] *= 2
			}
			x[i] = x[i]*2 - v%2
		}
	}
	return x
}

func arithmeticAll[T Word](t *testing.T, r *rand.Rand, n int) {
	t.Helper()
	a, b := allSizes[T](r, n), allSizes[T](r, n)
	s := T(3)
	if n > 0 {
		s = a[n/2]
	}
	plain := []struct {
		vv func(dst, a, b []T)
		vs func(dst, a []T, s T)
		sv func(dst []T, s T, b []T)
	}{
		{Add[T], AddVS[T], func(dst []T, s T, b []T) { AddVS(dst, b, s) }},
		{Sub[T], SubVS[T], SubSV[T]},
		{Mul[T], MulVS[T], func(dst []T, s T, b []T) { MulVS(dst, b, s) }},
		{Max[T], MaxVS[T], func(dst []T, s T, b []T) { MaxVS(dst, b, s) }},
		{Min[T], MinVS[T], func(dst []T, s T, b []T) { MinVS(dst, b, s) }},
		{Div[T], DivVS[T], DivSV[T]},
	}
	for _, l := range Levels() {
		for how := Plus; how <= Quotient; how++ {
			b, s := slices.Clone(b), s
			if how == Quotient {
				for i, v := range b {
					b[i] = max(v, 1)
					if v+1 < v || v+1 == 0 {
						b[i] = v // -1, or the greatest
					}
				}
				if s == 0 {
					s = 1
				}
			}
			f := plain[how]
			for form, loops := range map[string][2]func(dst []T){
				"vectors":         {func(d []T) { f.vv(d, a, b) }, func(d []T) { ArithmeticVector(l, how, d, a, b) }},
				"with a scalar":   {func(d []T) { f.vs(d, a, s) }, func(d []T) { ArithmeticVectorVS(l, how, d, a, s) }},
				"behind a scalar": {func(d []T) { f.sv(d, s, b) }, func(d []T) { ArithmeticVectorSV(l, how, d, s, b) }},
			} {
				wantWords(t, fmt.Sprintf("%v %T, operator %d, %s", l, a, how, form), n, loops)
			}
		}
		lo, hi := T(1), T(5)
		if n > 1 {
			lo, hi = b[0], b[1] // in any order
		}
		wantWords(t, fmt.Sprintf("%v %T clipped to %d, %d", l, a, lo, hi), n, [2]func(d []T){
			func(d []T) { Clip(d, a, lo, hi) }, func(d []T) { ClipIntegers(l, d, a, lo, hi) }})
	}
}

// wantWords wants of the second loop what the first gives.
func wantWords[T Word](t *testing.T, what string, n int, loops [2]func(dst []T)) {
	t.Helper()
	want, got := make([]T, n+64), make([]T, n+64)
	loops[0](want[:n])
	loops[1](got[:n])
	if !slices.Equal(got, want) {
		t.Fatalf("%s, %d elements: %v, want %v", what, n, got[:n], want[:n])
	}
}

func BenchmarkArithmetic(b *testing.B) {
	const n = 4096
	benchmarkWords[int32](b, n)
	benchmarkWords[int64](b, n)
}

func benchmarkWords[T Word](b *testing.B, n int) {
	x, y, z := make([]T, n), make([]T, n), make([]T, n)
	for i := range y {
		y[i] = T(1 + i%7)
	}
	for how := Plus; how <= Quotient; how++ {
		for _, l := range Levels() {
			b.Run(fmt.Sprintf("%T/%d/%v", x[0], how, l), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					ArithmeticVector(l, how, z, x, y)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/element")
			})
		}
	}
}
