package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// checkPacked holds a product with a packed operand against Gemm at level Go,
// to the bit, whole and cut along rows and columns.
func checkPacked(t *testing.T, l Level, r *rand.Rand, m, n, k int) {
	t.Helper()
	ars, ldb, ldy := k+r.IntN(3), n+r.IntN(5), n+r.IntN(3)
	if r.IntN(3) == 0 {
		ars = (k + 127) &^ 127
	}
	a, b := odd(r, m*ars+k), odd(r, k*ldb+n)
	ta, tb := make([]float32, len(a)+k*m), make([]float32, n*(k+1))
	for p := range k {
		for i := range m {
			ta[p*m+i] = a[i*ars+p]
		}
		for j := range n {
			tb[j*(k+1)+p] = b[p*ldb+j]
		}
	}
	want := make([]float32, m*ldy)
	Gemm(Go, want, ldy, a, ars, 1, b, ldb, m, n, k)
	seen := make([]int, m*n)
	count := func(i, j, w int, y []float32) {
		for u := range y {
			seen[(i+u/w)*n+j+u%w]++
		}
	}
	check := func(name string, got []float32) {
		t.Helper()
		for i := range want {
			if i%ldy >= n {
				if got[i] != 7 {
					t.Fatalf("%v %s %dx%dx%d: wrote past the row", l, name, m, n, k)
				}
			} else if !same(got[i], want[i]) {
				t.Fatalf("%v %s %dx%dx%d: element %d is %v, want %v", l, name, m, n, k, i, got[i], want[i])
			}
		}
	}
	fresh := func() []float32 {
		y := make([]float32, m*ldy)
		for i := range y {
			y[i] = 7
		}
		return y
	}
	packed := PackB(l, b, ldb, k, n, false)
	y := fresh()
	packed.Product(y, ldy, a, ars, 1, 0, m, 0, n, count)
	check("whole", y)
	for i, c := range seen {
		if c != 1 {
			t.Fatalf("%v %dx%dx%d: element %d finished %d times", l, m, n, k, i, c)
		}
	}
	y = fresh()
	PackB(l, tb, k+1, k, n, true).Product(y, ldy, ta, 1, m, 0, m, 0, n, nil)
	check("transposed", y)
	y = fresh()
	cut := r.IntN(n/packed.Step()+1) * packed.Step()
	for i := range m {
		packed.Product(y, ldy, a, ars, 1, i, 1, 0, cut, nil)
		packed.Product(y, ldy, a, ars, 1, i, 1, cut, n, nil)
	}
	check("cut", y)
	if l != Go && k > 0 {
		y = fresh()
		var rows Taps
		rows.Step(k, ldb)
		DirectProduct(l, y, ldy, a, ars, b, rows, m, n)
		check("direct", y)
	}
}

func TestPackedProduct(t *testing.T) {
	for _, l := range Levels() {
		r := rand.New(rand.NewPCG(8, 9))
		for _, m := range []int{1, 2, 3, 5, 12, 13, 97} {
			for _, n := range []int{1, 7, 16, 17, 32, 40, 48, 63, 65, 130, 530} {
				checkPacked(t, l, r, m, n, 1+r.IntN(20))
			}
		}
		checkPacked(t, l, r, 4, 33, 600)
		checkPacked(t, l, r, 30, 100, 530)
		checkPacked(t, l, r, 3, 5, 0)
		checkPacked(t, l, r, 0, 5, 3)
	}
}

func BenchmarkPackedProduct(b *testing.B) {
	for _, c := range [][3]int{{1, 1024, 1024}, {1, 64, 64}, {4, 512, 512}, {64, 256, 256}, {512, 512, 512}, {1024, 1024, 1024}} {
		for _, l := range vectorLevels() {
			b.Run(fmt.Sprintf("%v/m=%d/k=%d/n=%d", l, c[0], c[1], c[2]), func(b *testing.B) {
				m, k, n := c[0], c[1], c[2]
				a, w, y := make([]float32, m*k), make([]float32, k*n), make([]float32, m*n)
				for _, s := range [][]float32{a, w} {
					for i := range s {
						s[i] = rand.Float32() - 0.5
					}
				}
				p := PackB(l, w, n, k, n, false)
				b.ReportAllocs()
				for b.Loop() {
					p.Product(y, n, a, k, 1, 0, m, 0, n, nil)
				}
				b.ReportMetric(float64(2*m*n*k)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GF/s")
			})
		}
	}
}
