package ops

import "github.com/recur-ml/recur/ops/internal/kernel"

// pointsPay reports whether vectors of outputs are better than vectors of
// places, as they are fuller or there are more of them side by side. The former
// have to be turned over in the end.
func (t *convTaps) pointsPay(l Level, byRow bool) bool {
	const turn = 12 // multiplications of a lane
	depth := len(t.terms.Offsets)
	rows := laneWork(l, t.width) * depth * t.outputs
	points := (laneWork(l, t.outputs)*depth + turn*t.outputs) * t.width
	return !byRow || points < rows
}

// dealingPays reports whether vectors of places are so much fuller than vectors of
// outputs that the input should be dealt out for them.
func (t *convTaps) dealingPays(l Level) bool {
	width := t.out[len(t.out)-1]
	return 2*laneWork(l, width)*t.outputs < laneWork(l, t.outputs)*width
}

// laneWork is the work on n elements side by side, in multiplications of a lane.
// A vector that is alone waits for its factors.
func laneWork(l Level, n int) int {
	vectors := ceilDiv(n, l.Lanes())
	most := 4
	if l == kernel.AVX2 {
		most = 2
	}
	work := vectors * l.Lanes()
	if vectors%most == 1 {
		work += l.Lanes() * 3 / 8
	}
	return work
}

// pointPlaces is how many places are computed before their results are turned
// over: whole rows of places where a few make up that many.
func (t *convTaps) pointPlaces() int {
	switch {
	case t.width <= pointsMost:
		return pointsMost / t.width * t.width
	default:
		return pointsMost * 3 / 4
	}
}

// pointsMost is the greatest number of places that are turned over at a time,
// pointOutputs that of outputs.
const (
	pointsMost   = 64
	pointOutputs = 64
)

// pointParts are the parts that threads may work on: strips of outputs, and of
// each batches of places.
func (t *convTaps) pointParts() (strips, batches int) {
	return ceilDiv(t.outputs, pointOutputs), ceilDiv(t.outSize, t.pointPlaces())
}

// fewPoints is a number of places for which less room than that of most is
// cleared.
const fewPoints = 8

// computePoints computes parts lo..hi-1.
func (t *convTaps) computePoints(lo, hi int) {
	if t.outSize <= fewPoints {
		var sums [fewPoints * pointOutputs]float32
		t.computeParts(lo, hi, sums[:])
	} else {
		var sums [pointsMost * pointOutputs]float32
		t.computeParts(lo, hi, sums[:])
	}
}

// computeParts computes parts lo..hi-1 with room for the results of one.
func (t *convTaps) computeParts(lo, hi int, sums []float32) {
	places := t.pointPlaces()
	_, batches := t.pointParts()
	depth := len(t.terms.Offsets)
	bias := t.wide[t.from*(len(t.wide)/t.group):]
	y := t.y[(t.image*t.group+t.from)*t.outputs*t.outSize:][:t.outputs*t.outSize]
	full, width, last := t.product.level.PointStrips(t.outputs)
	for part := lo; part < hi; part++ {
		first := part / batches * pointOutputs
		p := part % batches * places
		n := min(places, t.outSize-p)
		for u := first; u < min(first+pointOutputs, t.outputs); u += width {
			if t.c.Err() != nil {
				return
			}
			wide := width
			if u == full*width {
				wide = last
			}
			t.pointSums(sums, t.points[t.from][u*depth:], bias[u:], wide, p, n)
			keep := min(wide, t.outputs-u)
			kernel.TurnSums(y[u*t.outSize+p:], t.outSize, sums, wide, keep, n)
			if n == t.outSize {
				t.activation.apply(y[u*n:][:keep*n])
				continue
			}
			for o := u; o < u+keep; o++ {
				t.activation.apply(y[o*t.outSize+p:][:n])
			}
		}
	}
}

// pointSums computes n places from p on for a strip of weights.
func (t *convTaps) pointSums(sums, weights, bias []float32, wide, p, n int) {
	step := t.stride[len(t.stride)-1]
	for n > 0 {
		r, c := p/t.width, p%t.width
		m := min(t.width-c, n)
		kernel.ConvPointSums(t.product.level, sums, t.room[t.row(r)+c*step:], step, t.terms, weights, bias, wide, m)
		sums = sums[m*wide:]
		p += m
		n -= m
	}
}
