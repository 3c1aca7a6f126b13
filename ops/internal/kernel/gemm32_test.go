package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestGemm32RoundsOnce sums large terms that cancel: the result is the float32
// nearest to the exact one, in every shape of block and from both layouts of b.
func TestGemm32RoundsOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ m, n, k int }{{1, 1, 300}, {2, 5, 257}, {3, gemm32Cols + 3, 64}, {5, 4, 1}, {2, 2*gemm32Cols + 1, 33}} {
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
		Gemm(y, c.n, a, c.k, 1, b, c.n, c.m, c.n, c.k)
		GemmT(z, c.n, a, c.k, bt, c.k, c.m, c.n, c.k)
		for i := range c.m {
			for j := range c.n {
				sum := 0.0
				for p := range c.k {
					sum += float64(a[i*c.k+p]) * float64(b[p*c.n+j])
				}
				for name, got := range map[string]float32{"Gemm": y[i*c.n+j], "GemmT": z[i*c.n+j]} {
					if math.Abs(float64(got)-sum) > math.Abs(sum)*0x1p-23 {
						t.Fatalf("%s %v: element %d %d is %v, want %v", name, c, i, j, got, sum)
					}
				}
			}
		}
	}
}
