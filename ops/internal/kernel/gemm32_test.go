package kernel

import (
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
		Gemm(y, c.n, a, c.k, 1, b, c.n, c.m, c.n, c.k)
		GemmT(z, c.n, a, c.k, bt, c.k, c.m, c.n, c.k)
		for i := range c.m {
			for j := range c.n {
				sum := float32(0)
				for p := range c.k {
					sum = fma32(a[i*c.k+p], b[p*c.n+j], sum)
				}
				want := float32(i*c.n+j) + sum
				for name, got := range map[string]float32{"Gemm": y[i*c.n+j], "GemmT": z[i*c.n+j]} {
					if math.Float32bits(got) != math.Float32bits(want) {
						t.Fatalf("%s %v: element %d %d is %v, want %v", name, c, i, j, got, want)
					}
				}
			}
		}
	}
}
