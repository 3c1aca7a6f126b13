package timing

import "slices"

// Effort says how long to measure.
type Effort struct {
	Passes int     // pairs of slices
	Slice  float64 // seconds of a slice; at least Calls calls are in it
	Calls  int
}

// unmeasured calls begin each slice: caches are then those of the function
// that is measured.
const unmeasured = 2

// shortest is the time, in seconds, below which calls are timed in groups.
const shortest = 50e-6

// Time calls f for a slice and gives the median time of a call.
func (e Effort) Time(now Clock, f func()) float64 {
	var one float64
	for range unmeasured {
		t := now()
		f()
		one = now() - t
	}
	group := 1
	if one < shortest {
		group = int(shortest/(one+1e-8)) + 1
	}
	var times []float64
	for began := now(); len(times) < e.Calls || now()-began < e.Slice; {
		t := now()
		for range group {
			f()
		}
		times = append(times, (now()-t)/float64(group))
	}
	return Median(times)
}

// Pair is what two functions took.
type Pair struct {
	A, B []float64 // the median of each slice, seconds a call
}

// Compare alternates slices of a and b, so that both see the same machine.
func (e Effort) Compare(now Clock, a, b func()) Pair {
	var p Pair
	for k := range e.Passes {
		if k%2 == 0 {
			p.A = append(p.A, e.Time(now, a))
			p.B = append(p.B, e.Time(now, b))
		} else {
			p.B = append(p.B, e.Time(now, b))
			p.A = append(p.A, e.Time(now, a))
		}
	}
	return p
}

// Ratio gives B/A, the median over the pairs of slices, and the range.
func (p Pair) Ratio() (median, least, most float64) {
	r := make([]float64, len(p.A))
	for i := range r {
		r[i] = p.B[i] / p.A[i]
	}
	return Median(r), slices.Min(r), slices.Max(r)
}

// Median gives the middle of the values, which are not modified.
func Median(values []float64) float64 {
	v := slices.Clone(values)
	slices.Sort(v)
	n := len(v)
	if n == 0 {
		return 0
	}
	return (v[(n-1)/2] + v[n/2]) / 2
}
