package timing

import (
	"math"
	"runtime"
	"slices"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{4, 1}, 2.5}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 3, 2, 1}, 2.5}} {
		in := slices.Clone(c.values)
		if got := Median(c.values); got != c.want || !slices.Equal(in, c.values) {
			t.Errorf("median of %v is %v, want %v", in, got, c.want)
		}
	}
}

// fake is a clock that functions move.
type fake struct{ now float64 }

func (f *fake) clock() float64 { return f.now }

func TestCompare(t *testing.T) {
	var f fake
	var order []byte
	calls := 0
	took := func(name byte, seconds float64) func() {
		return func() {
			if len(order) == 0 || order[len(order)-1] != name {
				order = append(order, name)
			}
			f.now += seconds
			calls++
		}
	}
	p := Effort{Passes: 3, Slice: 0.1, Calls: 3}.Compare(f.clock, took('a', 0.01), took('b', 0.2))
	if ratio, least, most := p.Ratio(); math.Abs(ratio-20) > 1e-9 || math.Abs(least-20) > 1e-9 || math.Abs(most-20) > 1e-9 {
		t.Errorf("ratio %v (%v to %v), want 20", ratio, least, most)
	}
	if string(order) != "abab" { // who comes first changes: a b, b a, a b
		t.Errorf("order %s, want a b b a a b", order)
	}
	if n := 3 * (2 + 10 + 2 + 3); calls < n || calls > n+3 {
		t.Errorf("%d calls, want about %d", calls, n)
	}
}

// Short calls are timed in groups: what reading the clock takes is then little.
func TestGroups(t *testing.T) {
	var f fake
	readings := 0
	clock := func() float64 { readings++; return f.now }
	calls := 0
	got := Effort{Slice: 0.01, Calls: 3}.Time(clock, func() { f.now += 1e-6; calls++ })
	if math.Abs(got-1e-6) > 1e-12 {
		t.Errorf("%v seconds a call, want 1e-6", got)
	}
	if readings > calls/10 {
		t.Errorf("%d readings of the clock for %d calls", readings, calls)
	}
}

func TestCPU(t *testing.T) {
	if !HaveCPU {
		t.Skip("no clock of a thread's processor time")
	}
	runtime.LockOSThread() // it is that thread's clock
	defer runtime.UnlockOSThread()
	a := CPU()
	x := 1.0
	for range 10_000_000 {
		x *= 1.0000001
	}
	if b := CPU(); b <= a || math.IsNaN(x) {
		t.Errorf("work took %v seconds of processor time", b-a)
	}
}
