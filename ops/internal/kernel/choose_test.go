package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestCompareVector wants the results of plain loops at every level and length.
func TestCompareVector(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 1))
	for n := range 150 {
		f := [2][]float32{odd(r, n), odd(r, n)}
		var i32 [2][]int32
		var i64 [2][]int64
		for k := range 2 {
			i32[k], i64[k] = make([]int32, n), make([]int64, n)
			for i := range n {
				if r.IntN(3) == 0 {
					f[k][i] = f[0][i]
				}
				i32[k][i] = int32(r.IntN(5)-2) << (30 * r.IntN(2))
				i64[k][i] = int64(r.IntN(5)-2) << (62 * r.IntN(2))
			}
		}
		compareAll(t, f[0], f[1])
		compareAll(t, i32[0], i32[1])
		compareAll(t, i64[0], i64[1])
	}
}

func compareAll[T Comparable](t *testing.T, a, b []T) {
	t.Helper()
	n := len(a)
	for _, l := range vectorLevels() {
		for how := IsEqual; how <= IsGreaterOrEqual; how++ {
			got, want := make([]bool, n+64), make([]bool, n+64)
			CompareVector(l, how, got[:n], a, b)
			CompareVector(Go, how, want[:n], a, b)
			wantTruths(t, fmt.Sprintf("%v %T %d", l, a, how), got, want)
			if n > 0 {
				s := b[n/2]
				CompareVectorVS(l, how, got[:n], a, s)
				CompareVectorVS(Go, how, want[:n], a, s)
				wantTruths(t, fmt.Sprintf("%v %T %d with %v", l, a, how, s), got, want)
			}
		}
	}
}

func wantTruths(t *testing.T, what string, got, want []bool) {
	t.Helper()
	for i, b := range truthBytes(got) {
		if w := truthBytes(want)[i]; b != w {
			t.Fatalf("%s of %d: element %d is %v, want %v", what, len(want), i, b, w)
		}
	}
}

// TestTruths holds the operators of truth values against those of Go.
func TestTruths(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 2))
	for n := range 100 {
		a, b := make([]bool, n), make([]bool, n)
		for i := range n {
			a[i], b[i] = r.IntN(2) == 0, r.IntN(2) == 0
		}
		and, or, xor, not := make([]bool, n), make([]bool, n), make([]bool, n), make([]bool, n)
		And(and, a, b)
		Or(or, a, b)
		Xor(xor, a, b)
		Not(not, a)
		for i := range n {
			if and[i] != (a[i] && b[i]) || or[i] != (a[i] || b[i]) || xor[i] != (a[i] != b[i]) || not[i] == a[i] {
				t.Fatalf("of %v and %v: %v, %v, %v, %v", a[i], b[i], and[i], or[i], xor[i], not[i])
			}
		}
	}
}

// TestWhereVector wants what Where gives, with scalars in any place.
func TestWhereVector(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 3))
	for n := 1; n < 150; n++ {
		cond := make([]bool, n)
		x4, y4 := make([]uint32, n), make([]uint32, n)
		x8, y8 := make([]uint64, n), make([]uint64, n)
		for i := range n {
			cond[i] = r.IntN(2) == 0
			x4[i], y4[i], x8[i], y8[i] = r.Uint32(), r.Uint32(), r.Uint64(), r.Uint64()
		}
		for masks := range 8 {
			c, x, y := masks&1-1, masks>>1&1-1, masks>>2-1
			whereAll(t, cond, x4, y4, c, x, y)
			whereAll(t, cond, x8, y8, c, x, y)
			whereAll(t, cond, []uint16{1, 2, 3}[:1], []uint16{4}, c, 0, 0)
		}
	}
}

func whereAll[T comparable](t *testing.T, cond []bool, x, y []T, c, a, b int) {
	t.Helper()
	n := len(cond)
	want := make([]T, n+64)
	Where(want[:n], cond, x, y, c, a, b)
	for _, l := range Levels() {
		got := make([]T, n+64)
		WhereVector(l, got[:n], cond, x, y, c, a, b)
		for i, w := range want {
			if got[i] != w {
				t.Fatalf("%v, %d elements of %T, masks %d, %d, %d: element %d is %v, want %v", l, n, w, c, a, b, i, got[i], w)
			}
		}
	}
}

// TestConvertVector wants the bits of the plain loops.
func TestConvertVector(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 4))
	for n := range 100 {
		f, d := make([]float32, n), make([]float64, n)
		i32, i64, b := make([]int32, n), make([]int64, n), make([]uint8, n)
		for i := range n {
			f[i] = float32(math.Ldexp(r.NormFloat64(), r.IntN(80)-10))
			d[i] = math.Ldexp(r.NormFloat64(), r.IntN(300)-160)
			switch r.IntN(20) {
			case 0:
				f[i], d[i] = float32(math.NaN()), math.NaN()
			case 1:
				f[i], d[i] = float32(math.Inf(-1)), math.Inf(1)
			case 2:
				f[i], d[i] = 1<<31, -1<<31
			case 3:
				f[i], d[i] = -1<<31, math.Copysign(0, -1)
			case 4:
				f[i] = -1 << 63
			}
			i32[i], i64[i], b[i] = int32(r.Uint32()), int64(r.Uint64())>>r.IntN(64), uint8(r.IntN(256))
		}
		convertAll(t, FloatsToInts32, Truncate[float32, int32], f)
		convertAll(t, FloatsToInts64, Truncate[float32, int64], f)
		convertAll(t, FloatsToBytes, Truncate[float32, uint8], f)
		convertAll(t, FloatsToDoubles, Convert[float32, float64], f)
		convertAll(t, DoublesToFloats, Convert[float64, float32], d)
		convertAll(t, Ints32ToFloats, Convert[int32, float32], i32)
		convertAll(t, Ints32ToInts64, Convert[int32, int64], i32)
		convertAll(t, Ints64ToFloats, Convert[int64, float32], i64)
		convertAll(t, Ints64ToInts32, Convert[int64, int32], i64)
		convertAll(t, BytesToFloats, Convert[uint8, float32], b)
		convertAll(t, BytesToInts64, Convert[uint8, int64], b)
	}
}

func convertAll[F, T comparable](t *testing.T, c Conversion, plain func([]T, []F), src []F) {
	t.Helper()
	n := len(src)
	want := make([]T, n+32)
	plain(want[:n], src)
	for _, l := range Levels() {
		got := make([]T, n+32)
		ConvertVector(l, c, plain, got[:n], src)
		for i, w := range want {
			if got[i] != w && (got[i] == got[i] || w == w) {
				t.Fatalf("%v, conversion %d of %v, element %d of %d: %v, want %v", l, c, src[i], i, n, got[i], w)
			}
		}
	}
}

func BenchmarkChoose(b *testing.B) {
	const n = 4096
	f, i64, c, t := make([]float32, n), make([]int64, n), make([]bool, n), make([]bool, n)
	u, v := make([]uint32, n), make([]uint32, n)
	for i := range n {
		f[i], i64[i], c[i] = float32(i%7)-3, int64(i), i%3 == 0
	}
	for name, loop := range map[string]func(l Level){
		"less":    func(l Level) { CompareVector(l, IsLess, t, f, f) },
		"greater": func(l Level) { CompareVectorVS(l, IsGreater, t, f, 1) },
		"where":   func(l Level) { WhereVector(l, u, c, v, v, -1, -1, 0) },
		"convert": func(l Level) { ConvertVector(l, Ints64ToFloats, Convert[int64, float32], f, i64) },
	} {
		for _, l := range Levels() {
			b.Run(fmt.Sprintf("%s/%v", name, l), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					loop(l)
				}
				b.ReportMetric(float64(b.N)*n/float64(b.Elapsed().Nanoseconds()), "G/s")
			})
		}
	}
}
