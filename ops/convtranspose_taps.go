package ops

import (
	"slices"

	"github.com/recur-ml/recur/ops/internal/kernel"
)

// transposeTaps is a ConvTranspose of float32 by its phases. The input is read
// where it lies, or where places reach beyond it, from a copy with zeros
// around it.
type transposeTaps struct {
	*transposeLocal[float32]
	level Level
	// What the layout depends on: the spatial sizes of the input and of the
	// result, the kernel, the elements cut off, strides and dilations; of one
	// dimension where one can stand for all.
	size, to, kernel, cut, step, wide []int
	key, laidFor                      []int
	phases                            []phase
	laid                              []laidPhase
	low, padded                       []int // zeros before the input, and its size with all of them
	pitch, toPitch                    []int // the distances of neighbours in the copy, and in the result
	plane                             int   // the copy's size, of one channel
	whole                             bool  // each result is in a phase
	rests                             int   // of a phase, at most
	most                              int   // rests times places of a row at a time
	deep                              bool
	index                             []int
	bias                              []float32
	own                               phaseWeights // of a run
	weights, room, sums               []float32
	points                            [][]float32
	image, first, planes              int // what the threads work on: an image, its first group, planes of the input

	doRows, doPoints, doPlanes func(lo, hi int)
}

// laidPhase is a phase over tensors of given sizes.
type laidPhase struct {
	*phase
	at    kernel.Taps
	place []int // the first place, in each dimension: an index divided by the stride
	count []int // of places
	x     int   // where taps are for the first place
	w     int   // where the weights begin
	bias  int   // and the bias of each group's rows
}

// tapped computes the result, unless the plain loop must: where the copy of the
// input would be too large; and where weights are not finite, which would make
// NaN of the zeros around the input.
func (l *transposeLocal[T]) tapped(c *Ctx, k *convTranspose[T]) (done bool, err error) {
	f, ok := any(l).(*transposeLocal[float32])
	if !ok || k.level == kernel.Go || l.channels == 0 {
		return false, nil
	}
	t := &f.fast
	if t.transposeLocal == nil {
		t.transposeLocal = f
		t.doRows, t.doPoints, t.doPlanes = t.computeRows, t.computePoints, t.computePlanes
	}
	t.level = k.level
	if !t.lay() {
		return false, nil
	}
	defer func() { t.weights, t.points, t.room, t.sums = nil, nil, nil, nil }()
	if k.packed.points != nil && !t.deep && t.pointsPay() {
		if t.points = k.packed.points.get().groups; t.points == nil {
			return false, nil
		}
		return true, t.images(c)
	}
	w := &t.own
	if k.packed.rows != nil {
		w = k.packed.rows.get()
	} else {
		if w.rows, err = Scratch[float32](c, len(t.w)); err != nil {
			return false, err
		}
		w.arrange(t.phases, t.w, t.group, t.channels, t.outputs, t.taps)
	}
	if t.weights, t.own.rows = w.rows, nil; !w.finite {
		return false, nil
	}
	return true, t.images(c)
}

// pointsPay reports whether vectors of outputs and rests are better than vectors
// of places. Either may be fuller; results that a vector holds side by side but
// that belong apart are stored one by one, which takes as long as some
// multiplications.
func (t *transposeTaps) pointsPay() bool {
	const (
		storeApart = 3 * 16 // one at a time
		storePairs = 4      // beside each other
		storeRun   = 16     // in a run of runLength
		runLength  = 8
	)
	rows, points := 0, 0
	for i := range t.laid {
		p := &t.laid[i]
		last := len(p.count) - 1
		m, n, depth := t.outputs*p.rests, p.count[last], t.channels*p.terms
		storeRows, storePoints := 0, storeApart
		switch {
		case t.step[last] == 2 && p.rests == 2:
			storeRows = storePairs
		case t.step[last] > 1:
			storeRows = storeApart
		}
		if p.rests >= runLength {
			storePoints = storeRun
		}
		k := t.together(p)
		rows += p.lines() * m * (ceilDiv(laneWork(t.level, k*n), k)*depth + n*storeRows)
		points += p.lines() * n * (laneWork(t.level, m)*depth + m*storePoints)
	}
	return points < rows
}

// lay works out the phases, the copy of the input and the taps; it reports
// false where they would be too large.
func (t *transposeTaps) lay() bool {
	t.flatten()
	t.key = append(t.key[:0], t.group, t.channels, t.outputs)
	for _, list := range [...][]int{t.size, t.to, t.kernel, t.cut, t.step, t.wide} {
		t.key = append(t.key, list...)
	}
	if slices.Equal(t.key, t.laidFor) {
		return t.plane > 0
	}
	t.laidFor, t.plane = append(t.laidFor[:0], t.key...), 0
	t.deep = deepTranspose(t.group, t.outputs)
	t.phases = phasesOf(t.kernel, t.step, t.wide, t.deep)
	t.laid = make([]laidPhase, len(t.phases))
	t.layPlaces()
	plane, ok := t.layCopy()
	if !ok {
		return false
	}
	w, bias := 0, 0
	t.most = 0
	for i := range t.laid {
		p := &t.laid[i]
		t.most = max(t.most, p.rests*t.together(p)*min(p.count[len(p.count)-1], placesMost))
		if t.channels*p.terms > kernel.ConvTermsMost {
			return false
		}
		t.layTaps(p, plane)
		p.w = w
		w += t.group * t.outputs * p.rests * t.channels * p.terms
		if i > 0 && t.laid[i-1].rests != p.rests {
			bias += t.group * t.outputs * t.laid[i-1].rests
		}
		p.bias = bias
	}
	t.plane = plane
	return true
}

// flatten sets the sizes; where each result is of the element at its index,
// those are one row.
func (t *transposeTaps) flatten() {
	t.size, t.to, t.kernel = append(t.size[:0], t.out...), append(t.to[:0], t.in...), append(t.kernel[:0], t.places.kernel...)
	t.cut, t.step, t.wide = append(t.cut[:0], t.begin...), append(t.step[:0], t.stride...), append(t.wide[:0], t.dilate...)
	t.index = grow(t.index, len(t.to))
	if t.taps != 1 || !slices.Equal(t.size, t.to) {
		return
	}
	for d := range t.cut {
		if t.cut[d] != 0 || t.step[d] != 1 {
			return
		}
	}
	t.size, t.to, t.kernel = append(t.size[:0], t.outSize), append(t.to[:0], t.inSize), append(t.kernel[:0], 1)
	t.cut, t.step, t.wide = append(t.cut[:0], 0), append(t.step[:0], 1), append(t.wide[:0], 1)
}

// layPlaces works out where the places of each phase are, and whether each
// result has one.
func (t *transposeTaps) layPlaces() {
	rank := len(t.to)
	last := rank - 1
	t.rests, t.whole = 0, true
	for i := range t.laid {
		p := &t.laid[i]
		p.phase = &t.phases[i]
		p.place, p.count = make([]int, rank), make([]int, rank)
		for d, r := range p.rest {
			end := t.cut[d] + t.to[d] - r
			if d == last {
				r += p.rests - 1
			}
			p.place[d] = ceilDiv(max(0, t.cut[d]-r), t.step[d])
			p.count[d] = max(0, ceilDiv(end, t.step[d])-p.place[d])
		}
		t.rests = max(t.rests, p.rests)
	}
	for d, k := range t.kernel {
		t.whole = t.whole && len(restsOf(k, t.step[d], t.wide[d])) == t.step[d]
	}
}

// layCopy works out the zeros around the input that the phases' places reach,
// and gives the size of a plane with them.
func (t *transposeTaps) layCopy() (plane int, ok bool) {
	rank := len(t.to)
	t.low, t.padded = grow(t.low, rank), grow(t.padded, rank)
	t.pitch, t.toPitch = grow(t.pitch, rank), grow(t.toPitch, rank)
	plane, to, around := 1, 1, false
	for d := rank - 1; d >= 0; d-- {
		low, high := 0, 0
		for i := range t.laid {
			p := &t.laid[i]
			if p.count[d] == 0 {
				continue
			}
			for j := d; j < len(p.back); j += rank {
				low = max(low, p.back[j]-p.place[d])
				high = max(high, p.place[d]+p.count[d]-p.back[j]-t.size[d])
			}
		}
		around = around || low+high > 0
		t.low[d], t.padded[d] = low, low+t.size[d]+high
		t.pitch[d], t.toPitch[d] = plane, to
		if t.padded[d] > roomMost/plane {
			return 0, false
		}
		plane *= t.padded[d]
		to *= t.to[d]
	}
	if around && plane > roomRatio*(t.inSize+t.outSize) || plane > roomMost/(t.channels*t.group) {
		return 0, false
	}
	return plane, true
}

// layTaps works out where the terms of a phase are.
func (t *transposeTaps) layTaps(p *laidPhase, plane int) {
	rank := len(t.to)
	p.x = 0
	for d := range rank {
		far := 0
		for j := d; j < len(p.back); j += rank {
			far = max(far, p.back[j])
		}
		p.x += (p.place[d] + t.low[d] - far) * t.pitch[d]
		t.index[d] = far
	}
	p.at = kernel.Taps{Offsets: make([]int, 0, t.channels*p.terms)}
	for ch := range t.channels {
		for j := range p.terms {
			at := ch * plane
			for d, back := range p.back[j*rank:][:rank] {
				at += (t.index[d] - back) * t.pitch[d]
			}
			p.at.Offsets = append(p.at.Offsets, at)
			p.at.Reach = max(p.at.Reach, at)
		}
	}
}

// spreadBias makes the bias of each row of a phase: an output's, once for each
// rest.
func (t *transposeTaps) spreadBias() {
	end := &t.laid[len(t.laid)-1]
	n := end.bias + t.group*t.outputs*end.rests
	if n += 63; n > len(t.bias) { // a strip of points may reach beyond
		t.bias = make([]float32, n)
	}
	if t.b == nil {
		clear(t.bias)
		return
	}
	for i := range t.laid {
		p := &t.laid[i]
		if i > 0 && p.bias == t.laid[i-1].bias {
			continue
		}
		to := t.bias[p.bias:]
		for _, v := range t.b {
			for r := range p.rests {
				to[r] = 0 + v
			}
			to = to[p.rests:]
		}
	}
}

// images goes through the images and their groups; where each group has one
// output, all groups at a time.
func (t *transposeTaps) images(c *Ctx) (err error) {
	groups := 1 // at a time
	if t.deep {
		groups = t.group
	}
	t.planes = groups * t.channels
	if t.plane != t.outSize {
		if t.room, err = Scratch[float32](c, t.planes*t.plane); err != nil {
			return err
		}
		clear(t.room)
	}
	if t.step[len(t.step)-1] > 1 && t.points == nil {
		if t.sums, err = Scratch[float32](c, groups*t.outputs*t.most); err != nil {
			return err
		}
	}
	t.spreadBias()
	if !t.whole {
		t.fill()
	}
	grain := grainOf(t.channels * t.taps * t.outSize)
	for i := 0; i < len(t.y)/(t.outputs*t.inSize); i += groups {
		t.image, t.first = i/t.group, i%t.group
		x := t.x[i*t.channels*t.outSize:][:t.planes*t.outSize]
		if t.plane == t.outSize {
			t.room = x
		} else {
			padPlanes(t.level, t.room, x, t.planes, t.plane, 1, 0, t.size, t.low, t.pitch, t.index)
		}
		switch {
		case t.deep:
			c.Parallel(t.group, grain, t.doPlanes)
		case t.points != nil:
			c.Parallel((t.outputs*t.rests+63)/64, max(1, grain/64), t.doPoints)
		default:
			c.Parallel(t.outputs, grain, t.doRows)
		}
		if err := c.Err(); err != nil {
			return err
		}
	}
	return nil
}

// fill sets all results to those without a term.
func (t *transposeTaps) fill() {
	for i := 0; i < len(t.y); i += t.inSize {
		v := float32(0)
		if t.b != nil {
			v += t.b[i/t.inSize%(t.group*t.outputs)]
		}
		kernel.Fill(t.y[i:][:t.inSize], v)
	}
}

// computeRows computes outputs lo..hi-1 of the group.
func (t *transposeTaps) computeRows(lo, hi int) {
	y := t.y[((t.image*t.group+t.first)*t.outputs+lo)*t.inSize:][:(hi-lo)*t.inSize]
	t.walk(func(p *laidPhase, x, n int, to []float32, span int) {
		rows := (hi - lo) * p.rests
		depth := len(p.at.Offsets)
		row := (t.first*t.outputs + lo) * p.rests
		kernel.ConvRows(t.level, to, span, t.weights[p.w+row*depth:], depth, t.room[x:], p.at, t.bias[p.bias+row:], rows, n)
	}, y, lo, hi)
}

// computePlanes computes groups lo..hi-1, of one output each.
func (t *transposeTaps) computePlanes(lo, hi int) {
	y := t.y[(t.image*t.group+lo)*t.inSize:][:(hi-lo)*t.inSize]
	lead := t.channels * t.plane
	t.walk(func(p *laidPhase, x, n int, to []float32, span int) {
		depth := len(p.at.Offsets)
		g := kernel.Grid{Planes: hi - lo, Rows: 1, N: n, Area: span, Lead: lead}
		kernel.ConvGrid(t.level, to, t.weights[p.w+lo*depth:], t.room[lo*lead+x:], g, p.at, t.bias[p.bias+lo:])
	}, y, lo, hi)
}

// pointsAtATime is a multiple of the height of every block of points.
const pointsAtATime = 24

// computePoints computes strips lo..hi-1, of 64 outputs and rests each, of the
// group.
func (t *transposeTaps) computePoints(lo, hi int) {
	var sums [pointsAtATime * 64]float32
	last := len(t.to) - 1
	y := t.y[(t.image*t.group+t.first)*t.outputs*t.inSize:][:t.outputs*t.inSize]
	for i := range t.laid {
		p := &t.laid[i]
		m, depth := t.outputs*p.rests, len(p.at.Offsets)
		weights, bias := t.points[i*t.group+t.first], t.bias[p.bias+t.first*m:]
		full, width, rest := t.level.PointStrips(m)
		for line := range p.lines() {
			x, at := t.line(p, line)
			first := p.place[last]*t.step[last] + p.rest[last] - t.cut[last]
			for u := lo * 64; u < min(hi*64, m); u += width {
				if t.c.Err() != nil {
					return
				}
				wide := width
				if u == full*width {
					wide = rest
				}
				for j := 0; j < p.count[last]; j += pointsAtATime {
					n := min(pointsAtATime, p.count[last]-j)
					kernel.ConvPointSums(t.level, sums[:], t.room[x+j:], 1, p.at, weights[u*depth:], bias[u:], wide, n)
					for o := u / p.rests; o*p.rests < min(u+wide, m); o++ {
						part := pointsPart{from: max(u-o*p.rests, 0), to: min(u+wide-o*p.rests, p.rests), wide: wide}
						part.spread(y[o*t.inSize+at:][:t.to[last]], sums[o*p.rests+part.from-u:], first+j*t.step[last], t.step[last], n)
					}
				}
			}
		}
	}
}

// pointsPart is rests from..to-1 of an output in a strip of points.
type pointsPart struct{ from, to, wide int }

// spread takes the part's sums of n places to a row of results, from an index on
// for rest 0 of the first place, but for those outside.
func (p pointsPart) spread(row, sums []float32, first, step, n int) {
	first += p.from
	runs := p.to - p.from
	if runs < 8 && first >= 0 && first+(n-1)*step+runs <= len(row) {
		for r := range runs {
			at, to := r, first+r
			for range n {
				row[to] = sums[at]
				at += p.wide
				to += step
			}
		}
		return
	}
	for i := range n {
		s, at := sums[i*p.wide:][:runs], first+i*step
		if at < 0 {
			s, at = s[min(-at, runs):], 0
		}
		if at+len(s) > len(row) {
			s = s[:max(len(row)-at, 0)]
		}
		for r, v := range s {
			row[at+r] = v
		}
	}
}

// walk calls f for n places of a phase at a time, whose first term is at x. It
// puts each row of them at to, span apart: where they belong in y, which holds
// rows lo..hi-1 of results, or where walk takes them there.
func (t *transposeTaps) walk(f func(p *laidPhase, x, n int, to []float32, span int), y []float32, lo, hi int) {
	last := len(t.to) - 1
	step := t.step[last]
	for i := range t.laid {
		p := &t.laid[i]
		if t.together(p) > 1 {
			t.walkTogether(f, y, p, lo, hi)
			continue
		}
		for line := range p.lines() {
			x, at := t.line(p, line)
			for j := 0; j < p.count[last]; j += placesMost {
				if t.c.Err() != nil {
					return
				}
				n := min(placesMost, p.count[last]-j)
				if step == 1 {
					f(p, x+j, n, y[at+p.place[last]-t.cut[last]+j:], t.inSize)
					continue
				}
				sums := t.sums[lo*t.most:][:(hi-lo)*p.rests*n]
				f(p, x+j, n, sums, n)
				t.spreadRows(y[at:], sums, p, p.place[last]+j, n, n, hi-lo)
			}
		}
	}
}

// walkTogether is walk for lines of places of which some follow each other in the
// input.
func (t *transposeTaps) walkTogether(f func(p *laidPhase, x, n int, to []float32, span int), y []float32, p *laidPhase, lo, hi int) {
	last := len(t.to) - 1
	n, most := p.count[last], t.together(p)
	for line := 0; line < p.lines(); {
		if t.c.Err() != nil {
			return
		}
		lines := min(most, p.count[last-1]-line%p.count[last-1])
		x, _ := t.line(p, line)
		sums := t.sums[lo*t.most:][:(hi-lo)*p.rests*n*lines]
		f(p, x, n*lines, sums, n*lines)
		for i := range lines {
			_, at := t.line(p, line+i)
			t.spreadRows(y[at:], sums[i*n:], p, p.place[last], n, n*lines, hi-lo)
		}
		line += lines
	}
}

// together is how many lines of places of a phase are computed as one, 1 where
// they do not follow each other in the input, or belong where they are computed.
func (t *transposeTaps) together(p *laidPhase) int {
	last := len(t.to) - 1
	if last == 0 || t.step[last] == 1 || p.count[last] == 0 || t.pitch[last-1] != p.count[last] {
		return 1
	}
	return max(1, min(p.count[last-1], placesMost/p.count[last]))
}

// lines is the number of rows of places.
func (p *laidPhase) lines() int {
	n := 1
	for _, c := range p.count[:len(p.count)-1] {
		n *= c
	}
	return n
}

// line gives where the taps of a line of places are, and where its results
// begin.
func (t *transposeTaps) line(p *laidPhase, line int) (x, to int) {
	x = p.x
	for d := len(t.to) - 2; d >= 0; d-- {
		i := line % p.count[d]
		line /= p.count[d]
		x += i * t.pitch[d]
		to += ((p.place[d]+i)*t.step[d] + p.rest[d] - t.cut[d]) * t.toPitch[d]
	}
	return x, to
}

// spreadRows takes n sums of each rest of rows, which are span apart, from a place
// on, to the results' indices. Some rests of the first place and of the last may lie outside.
func (t *transposeTaps) spreadRows(y, sums []float32, p *laidPhase, place, n, span, rows int) {
	last := len(t.to) - 1
	step, size := t.step[last], t.to[last]
	first := place*step + p.rest[last] - t.cut[last]
	lo, hi := 0, n
	if first < 0 {
		lo = 1
	}
	if first+(n-1)*step+p.rests > size {
		hi = n - 1
	}
	pairs := p.rests == 2 && step == 2
	if pairs && lo < hi {
		kernel.InterleaveRows(t.level, y[first+lo*step:], t.inSize, sums[lo:], sums[span+lo:], 2*span, rows, hi-lo)
	}
	for o := range rows {
		row := y[o*t.inSize:][:size]
		s := sums[o*p.rests*span:]
		if lo < hi && !pairs {
			kernel.Interleave(row[first+lo*step:], s[lo:], p.rests, hi-lo, step, span)
		}
		if lo > 0 {
			spreadPlace(row, s, first, p.rests, span)
		}
		if hi < n {
			spreadPlace(row, s[n-1:], first+(n-1)*step, p.rests, span)
		}
	}
}

// spreadPlace takes the sums of a place's rests, which are span apart, to a row of
// results from an index on, but for those outside.
func spreadPlace(row, sums []float32, at, rests, span int) {
	for r := range rests {
		if i := at + r; 0 <= i && i < len(row) {
			row[i] = sums[r*span]
		}
	}
}
