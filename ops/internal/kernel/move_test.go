package kernel

import (
	"fmt"
	"testing"
)

// TestCopyRuns copies runs of every short length, and some longer ones.
func TestCopyRuns(t *testing.T) {
	testCopyRuns(t, func(i int) uint8 { return uint8(i) })
	testCopyRuns(t, func(i int) uint32 { return uint32(i) })
	testCopyRuns(t, func(i int) [2]uint64 { return [2]uint64{uint64(i), 1} })
	testCopyRuns(t, func(i int) string { return fmt.Sprint(i) })
}

func testCopyRuns[T comparable](t *testing.T, element func(i int) T) {
	t.Helper()
	const runs = 3
	for n := 1; n <= 40; n++ {
		src, dst := make([]T, 2*runs*n), make([]T, 1+runs*(n+2))
		for i := range src {
			src[i] = element(1 + i)
		}
		want := make([]T, len(dst))
		for r := range runs {
			copy(want[1+r*(n+2):], src[r*(2*n-1):][:n])
		}
		CopyStrided(dst, src, 1, 0, []Stride{{runs, n + 2, 2*n - 1}, {n, 1, 1}})
		for i := range dst {
			if dst[i] != want[i] {
				t.Fatalf("runs of %d %T: element %d is %v, want %v", n, dst[0], i, dst[i], want[i])
			}
		}
	}
}
