package kernel

import (
	"testing"
	"unsafe"
)

// TestWeights: memory of any size begins a cache line, is zero, and has no room
// that an append could take.
func TestWeights(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 1000, 1 << 20, 3<<20 + 7} {
		single, half := Weights[float32](n), Weights[uint16](n)
		if len(single) != n || cap(single) != n || len(half) != n || cap(half) != n {
			t.Fatalf("%d: %d of %d and %d of %d", n, len(single), cap(single), len(half), cap(half))
		}
		if uintptr(unsafe.Pointer(unsafe.SliceData(single)))%64 != 0 && n > 0 || uintptr(unsafe.Pointer(unsafe.SliceData(half)))%64 != 0 && n > 0 {
			t.Errorf("%d: not at a cache line", n)
		}
		for i, v := range single {
			if v != 0 {
				t.Fatalf("%d: element %d is %g", n, i, v)
			}
		}
	}
}
