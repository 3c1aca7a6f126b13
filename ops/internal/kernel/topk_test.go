package kernel

import (
	"math"
	"testing"
)

// paceAfter stops once so many elements have gone by.
type paceAfter struct{ left, looks int }

func (p *paceAfter) Stop(elements int) bool {
	p.looks++
	p.left -= elements
	return p.left < 0
}

// TestTopKStops: sorting all of a long row, which takes far longer than one look
// at it, ends early too, while the heap is made and while it is taken apart.
func TestTopKStops(t *testing.T) {
	x := make([]float32, 1<<18)
	for i := range x {
		x[i] = float32(i * 7919 % len(x))
	}
	best := make([]int64, len(x))
	whole := &paceAfter{left: math.MaxInt}
	if !TopK(best, x, true, whole) {
		t.Fatal("stopped by nobody")
	}
	if whole.looks < 200 {
		t.Errorf("%d looks in the course of it", whole.looks)
	}
	for i, at := range best {
		if x[at] != float32(len(x)-1-i) {
			t.Fatalf("element %d is %v", i, x[at])
		}
	}
	for _, left := range []int{0, 1 << 20, 2 << 20} {
		if p := (&paceAfter{left: left}); TopK(best, x, true, p) || p.looks > left>>13+1 {
			t.Errorf("stopped after %d elements: %d looks", left, p.looks)
		}
	}
}
