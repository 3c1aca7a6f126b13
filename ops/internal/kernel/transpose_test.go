package kernel

import (
	"fmt"
	"testing"
)

// TestTransposeBlocks wants of elements of 4 bytes what the plain loop gives of
// others, and nothing written around.
func TestTransposeBlocks(t *testing.T) {
	for _, n := range [][2]int{{1, 1}, {8, 8}, {7, 9}, {9, 7}, {8, 70}, {70, 8}, {64, 64}, {65, 129}, {200, 17}} {
		rows, cols := n[0], n[1]
		src4, src8 := make([]uint32, rows*cols+20), make([]uint64, rows*cols+20)
		for i := range src4 {
			src4[i], src8[i] = uint32(i), uint64(i)
		}
		dst4, dst8 := make([]uint32, rows*(cols+3)+9), make([]uint64, rows*(cols+3)+9)
		dims := []Stride{{rows, cols + 3, 1}, {cols, 1, rows}}
		CopyStrided(dst4, src4, 4, 11, dims)
		CopyStrided(dst8, src8, 4, 11, dims)
		for i, v := range dst8 {
			if dst4[i] != uint32(v) {
				t.Fatalf("%v: element %d is %d, want %d", n, i, dst4[i], v)
			}
		}
	}
}

func BenchmarkTranspose(b *testing.B) {
	for _, n := range []int{32, 256, 1024} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			src, dst := make([]uint32, n*n), make([]uint32, n*n)
			dims := []Stride{{n, n, 1}, {n, 1, n}}
			b.ReportAllocs()
			for b.Loop() {
				CopyStrided(dst, src, 0, 0, dims)
			}
			b.ReportMetric(float64(b.N)*float64(8*n*n)/float64(b.Elapsed().Nanoseconds()), "GB/s")
		})
	}
}
