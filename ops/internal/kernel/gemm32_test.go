package kernel

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// fma32 is a*b+c rounded once, by exact arithmetic.
func fma32(a, b, c float32) float32 {
	x := new(big.Float).SetPrec(200).Mul(big.NewFloat(float64(a)), big.NewFloat(float64(b)))
	f, _ := x.Add(x, big.NewFloat(float64(c))).Float32()
	return f
}

// TestGemm32IsFused holds the loops against exact fused multiply-adds in the
// order of k, in every shape of block and from both layouts of b.
func TestGemm32IsFused(t *testing.T) {
	for _, l := range Levels() {
		testGemm32IsFused(t, l)
	}
}

func testGemm32IsFused(t *testing.T, l Level) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ m, n, k int }{{1, 1, 300}, {2, 5, 37}, {3, gemm32Cols + 3, 6}, {5, 4, 1}, {2, 2*gemm32Cols + 1, 3}} {
		a, b, bt := make([]float32, c.m*c.k), make([]float32, c.k*c.n), make([]float32, c.k*c.n)
		for i := range a {
			a[i] = float32(r.NormFloat64())
		}
		for p := range c.k {
			for j := range c.n {
				v := float32(r.NormFloat64() * 1000)
				b[p*c.n+j], bt[j*c.k+p] = v, v
			}
		}
		y, z := make([]float32, c.m*c.n), make([]float32, c.m*c.n)
		for i := range y {
			y[i] = float32(i)
			z[i] = y[i]
		}
		Gemm(l, y, c.n, a, c.k, 1, b, c.n, c.m, c.n, c.k)
		GemmT(l, z, c.n, a, c.k, bt, c.k, c.m, c.n, c.k)
		for i := range c.m {
			for j := range c.n {
				sum := float32(0)
				for p := range c.k {
					sum = fma32(a[i*c.k+p], b[p*c.n+j], sum)
				}
				want := float32(i*c.n+j) + sum
				for name, got := range map[string]float32{"Gemm": y[i*c.n+j], "GemmT": z[i*c.n+j]} {
					if math.Float32bits(got) != math.Float32bits(want) {
						t.Fatalf("%v %s %v: element %d %d is %v, want %v", l, name, c, i, j, got, want)
					}
				}
			}
		}
	}
}

// checkGemm holds the products at a level against the plain ones, to the bit,
// for both layouts of both operands.
func checkGemm(t *testing.T, l Level, r *rand.Rand, m, n, k int) {
	t.Helper()
	ldy, lda, ldb := n+r.IntN(3), k+r.IntN(3), max(n, k)+r.IntN(9)
	start, a := odd(r, m*ldy), odd(r, max(m, k)*max(lda, m))
	b := odd(r, max(n, k)*ldb)
	for _, kind := range []string{"Gemm", "Gemm of transposed a", "GemmT"} {
		do := func(l Level) []float32 {
			y := append([]float32(nil), start...)
			switch kind {
			case "Gemm":
				Gemm(l, y, ldy, a, lda, 1, b, ldb, m, n, k)
			case "GemmT":
				GemmT(l, y, ldy, a, lda, b, ldb, m, n, k)
			default:
				Gemm(l, y, ldy, a, 1, m, b, ldb, m, n, k)
			}
			return y
		}
		got, want := do(l), do(Go)
		for i := range want {
			if !same(got[i], want[i]) && !(math.Abs(float64(want[i])) < 0x1p-120) {
				t.Fatalf("%v %s m=%d n=%d k=%d: element %d is %v, want %v", l, kind, m, n, k, i, got[i], want[i])
			}
		}
	}
}

// TestSumIsFused: sums that float64 rounds to the middle between two
// float32 go to the side on which they lie.
func TestSumIsFused(t *testing.T) {
	const one, ulp = 1.0, 0x1p-23
	for _, c := range []struct{ s, a, b float64 }{
		{one, ulp/2 + 0x1p-47, 1}, // above the middle
		{one, 0x1p-12, 0x1p-12},   // the middle itself: to even
		{one + ulp, 0x1p-12, 0x1p-12},
		{one, 0x1p-24, 1 + 0x1p-30},
		{-one, -0x1p-12 - 0x1p-35, 0x1p-12 + 0x1p-35},
		{one + ulp, 0x1.000002p-12, 0x1.fffffcp-13},
		{0x1p60, 0x1p18 + 1, 0x1p18}, {0x1p60, 0x1.fffffep17, 0x1p18 + 0x1p-5},
	} {
		s, a, b := float32(c.s), float32(c.a), float32(c.b)
		want := fma32(a, b, s)
		if got := float32(sum(float64(s), float64(a)*float64(b))); got != want {
			t.Errorf("%g + %g * %g = %g, want %g", s, a, b, got, want)
		}
	}
}

func TestGemmLevels(t *testing.T) {
	for _, l := range vectorLevels() {
		r := rand.New(rand.NewPCG(8, 9))
		for _, c := range [][3]int{{1, 1, 1}, {1, 16, 8}, {1, 100, 70}, {2, 33, 129}, {3, 64, 128}, {5, 70, 300}, {12, 130, 17},
			{13, 65, 256}, {40, 96, 255}, {97, 270, 30}, {100, 15, 520}, {4, 256, 512}, {7, 3, 9}, {0, 4, 4}, {4, 0, 4}, {4, 4, 0}} {
			checkGemm(t, l, r, c[0], c[1], c[2])
		}
	}
}

func FuzzGemm(f *testing.F) {
	f.Add(uint64(1), uint8(3), uint16(5), uint16(2))
	f.Fuzz(func(t *testing.T, seed uint64, m uint8, n, k uint16) {
		r := rand.New(rand.NewPCG(seed, 7))
		for _, l := range vectorLevels() {
			checkGemm(t, l, r, int(m)%130, int(n)%300, int(k)%300)
		}
	})
}

func BenchmarkGemm(b *testing.B) {
	for _, c := range [][3]int{{1, 1024, 1024}, {8, 512, 512}, {512, 512, 512}, {1024, 1024, 1024}} {
		m, n, k := c[0], c[1], c[2]
		for _, trans := range []bool{false, true} {
			for _, l := range Levels() {
				if l == Go && m == 1024 {
					continue
				}
				b.Run(fmt.Sprintf("m=%d/n=%d/k=%d/transposed=%v/%v", m, n, k, trans, l), func(b *testing.B) {
					r := rand.New(rand.NewPCG(1, 1))
					x, w, y := make([]float32, m*k), make([]float32, n*k), make([]float32, m*n)
					for _, s := range [][]float32{x, w} {
						for i := range s {
							s[i] = r.Float32() - 0.5
						}
					}
					b.ReportAllocs()
					for b.Loop() {
						if trans {
							GemmT(l, y, n, x, k, w, k, m, n, k)
						} else {
							Gemm(l, y, n, x, k, 1, w, n, m, n, k)
						}
					}
					b.ReportMetric(float64(2*m*n*k)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GF/s")
				})
			}
		}
	}
}
