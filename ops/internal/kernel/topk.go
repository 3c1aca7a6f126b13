package kernel

// Pace lets a long loop end early: Stop counts the elements that it went
// through and says whether to end.
type Pace interface{ Stop(elements int) bool }

// TopK writes the positions of the len(best) greatest (or least) elements of x
// to best, the first of them first. Equals are in the order of their
// positions, and NaN is greater than everything else. It is false when p
// stopped it. The time is of the order of len(x) * log(len(best)).
func TopK[T Number](best []int64, x []T, largest bool, p Pace) bool {
	if len(best) == 0 {
		return true
	}
	// A heap, the last of the best at its root.
	for i := range best {
		best[i] = int64(i)
	}
	const (
		stretch = 1 << 14
		sinks   = 1 << 10 // of a heap that may be large, between looks at p
	)
	for i := len(best)/2 - 1; i >= 0; i-- {
		sink(best, i, x, largest)
		if i%sinks == 0 && p.Stop(8*sinks) {
			return false
		}
	}
	for lo := len(best); lo < len(x); lo += stretch {
		hi := min(len(x), lo+stretch)
		for i := lo; i < hi; i++ {
			if before(x, int64(i), best[0], largest) {
				best[0] = int64(i)
				sink(best, 0, x, largest)
			}
		}
		if p.Stop(4 * (hi - lo)) {
			return false
		}
	}
	for n := len(best) - 1; n > 0; n-- {
		best[0], best[n] = best[n], best[0]
		sink(best[:n], 0, x, largest)
		if n%sinks == 0 && p.Stop(8*sinks) {
			return false
		}
	}
	return !p.Stop(8 * min(len(best), sinks))
}

// before reports whether element i comes before element j.
func before[T Number](x []T, i, j int64, largest bool) bool {
	a, b := x[i], x[j]
	if largest {
		a, b = b, a
	}
	switch { // now: does a come before b in ascending order
	case a < b || b != b && a == a:
		return true
	case a == b || a != a && b != b:
		return i < j
	}
	return false
}

// sink restores the heap h below i.
func sink[T Number](h []int64, i int, x []T, largest bool) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && before(x, h[child], h[child+1], largest) {
			child++
		}
		if !before(x, h[i], h[child], largest) {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}
