package ops

import "github.com/recur-ml/recur/ops/internal/kernel"

// stopWork is the number of multiplications after which a thread looks whether
// the run was cancelled.
const stopWork = 1 << 20

// strand is what one thread computes at a time: some rows of a direction, all
// their steps.
type strand[T singleOrDouble] struct {
	*recurrentRun[T]
	d    int
	rows []int64 // those still running, the longest first
	step int
	// The states and block operands of the rows.
	h, next, c, reset []T
	x, sums           []T
	work              int // multiplications since the last look at ctx
	// Where the cell is a quantizer: it, and the number of rows at the start.
	quantizer quantizer[T]
	all       int

	pairs    bool   // many rows have the products with W and R computed together
	team     *team  // who computes it together; nil: one thread alone
	own      uint64 // the leader's shares, a bit each
	computed uint64 // shares that the leader has computed itself
	job

	beside kernel.Beside // what is computed beside the steps of a row that is alone
}

// job says what is computed of all panels.
type job struct {
	phase  int  // of the step, productX for the block's product with W
	first  int  // where the sums of the step begin, in rows of the block's
	n      int  // rows
	turned bool // h and next have changed places since the first step
}

// productX is before the phases of a block's steps.
const productX = -1

// strand takes the rows of units lo..hi-1 of direction d.
func (r *recurrentRun[T]) strand(d, lo, hi int) strand[T] {
	from, rows := (d*r.units+lo)*dealt, (hi-lo)*dealt
	part := func(all []T, row int) []T {
		if all == nil {
			return nil
		}
		return all[from*row:][:rows*row]
	}
	s := strand[T]{recurrentRun: r, d: d, rows: r.rows[from : from : from+rows]}
	s.h, s.next, s.c, s.reset = part(r.h, r.pitch), part(r.next, r.pitch), part(r.c, r.pitch), part(r.reset, r.pitch)
	s.x, s.sums = part(r.x, r.block*r.xPitch), part(r.sums, r.block*r.weights.row)
	for round := r.sorted; len(round) > 0; round = round[min(r.units, len(round)):] {
		for _, row := range round[min(lo, len(round)):min(hi, len(round))] {
			if r.length(int(row)) > 0 {
				s.rows = append(s.rows, row)
			}
		}
	}
	return s
}

// fewRows is the number of rows below which the product with W is done for
// several steps at once: a step alone would have too few to be fast.
const fewRows = 5

// walk computes all steps of the rows. Many rows are computed panel by panel,
// a step at a time. Few are computed in blocks: the product with W of a
// block's steps at once, then step after step. Each sum is stored between two
// products and taken up again, so the cut changes no bit.
func (s *strand[T]) walk() {
	s.start()
	for len(s.rows) > 0 {
		if len(s.rows) >= fewRows {
			if !s.advanceMany() {
				return
			}
			continue
		}
		if s.alone() {
			s.walkAlone()
			return
		}
		steps, total := s.gather(s.block * cap(s.rows))
		if !s.compute(productX, 0, total) {
			return
		}
		first := 0
		for range steps {
			n := len(s.rows)
			if !s.advance(first, n) {
				return
			}
			first += n
		}
	}
}

// start brings the initial states.
func (s *strand[T]) start() {
	hidden := s.size[dimH]
	if s.quantizing {
		s.quantizer = s.cells[s.d].(quantizer[T])
	}
	s.all = len(s.rows)
	s.pairs = s.all >= fewRows && s.hasPairs()
	for i, row := range s.rows {
		s.initial(s.h[i*s.pitch:][:hidden], inH, row)
		if s.cellState {
			s.initial(s.c[i*s.pitch:][:hidden], inC, row)
		}
	}
}

func (s *strand[T]) initial(dst []T, i int, row int64) {
	if s.in[i] == nil {
		clear(dst)
		return
	}
	s.codec.load(dst, s.in[i], s.d*s.stateDirection+int(row)*s.stateRow)
}

// time is the place in X and Y that a row's step has. A reversed row starts at
// its own last element.
func (s *strand[T]) time(row int64, step int) int {
	switch {
	case !s.reverse[s.d]:
		return step
	case s.early:
		return s.size[dimT] - 1 - step
	}
	return s.length(int(row)) - 1 - step
}

// gather copies what the next steps read of X to s.x, step after step, for
// each the rows that then still run, as many steps as have no more than room
// rows. It gives the number of steps and of rows of s.x.
func (s *strand[T]) gather(room int) (steps, total int) {
	input := s.size[dimI]
	live := len(s.rows)
	for live > 0 && total+live <= room {
		for i, row := range s.rows[:live] {
			s.codec.load(s.x[(total+i)*s.xPitch:][:input], s.in[inX], s.time(row, s.step+steps)*s.xTime+int(row)*s.xRow)
		}
		total += live
		steps++
		for live > 0 && s.length(int(s.rows[live-1])) == s.step+steps {
			live--
		}
	}
	return steps, total
}

// bias is what the sums of a panel start from.
func (s *strand[T]) bias(panel int) []T {
	w := s.weights
	return w.bias[(s.d*w.panels+panel)*w.span:][:len(s.form.sums)*w.lanesOf(panel)]
}

// begin puts the bias of a panel into rows of sums that are gap apart.
func (s *strand[T]) begin(panel int, sums []T, gap, rows int) {
	bias := s.bias(panel)
	for i := range rows {
		copy(sums[i*gap:], bias)
	}
}

// compute does what a job says of all panels, with the team where there is
// one. It reports whether to go on.
func (s *strand[T]) compute(phase, first, n int) bool {
	s.phase, s.first, s.n = phase, first, n
	if s.team != nil {
		return s.together()
	}
	return s.part(0, s.weights.panels)
}

// part does the job for panels lo..hi-1.
func (s *strand[T]) part(lo, hi int) bool {
	if s.phase == productX {
		return s.multiplyX(lo, hi)
	}
	return s.computePhase(lo, hi)
}

// multiplyX makes the sums of a block's rows of bias and product with W. The
// sums of a row lie together, panel by panel.
func (s *strand[T]) multiplyX(lo, hi int) bool {
	span, gap := s.weights.span, s.weights.row
	if s.n == 1 {
		copy(s.sums[lo*span:hi*span], s.weights.bias[(s.d*s.weights.panels+lo)*span:])
		return s.multiplyPanels(0, lo, hi, 1, s.sums)
	}
	for p := lo; p < hi; p++ {
		s.begin(p, s.sums[p*span:], gap, s.n)
		if !s.multiply(0, p, s.n, s.sums[p*span:], gap) {
			return false
		}
	}
	return true
}

// operand gives what product k multiplies, and the distance of its rows.
func (s *strand[T]) operand(k int) ([]T, int) {
	switch s.form.products[k].of {
	case ofX:
		return s.x, s.xPitch
	case ofReset:
		return s.reset, s.pitch
	}
	return s.h, s.pitch
}

// multiply adds product k of a panel's units to the sums of some rows, which
// are gap apart. It reports false when the run was cancelled.
func (s *strand[T]) multiply(k, panel, rows int, sums []T, gap int) bool {
	product := &s.form.products[k]
	lanes := s.weights.lanesOf(panel)
	depth, width := product.depth(&s.size), len(product.gates)*lanes
	operand, pitch := s.operand(k)
	if s.weights.kept(product) == 1 {
		kernel.MulAddHalf(s.weights.level, any(sums[product.at*lanes:]).([]float32), gap, any(operand).([]float32), pitch, rows, depth,
			s.weights.halfOf(s.d, k, panel), width)
		return s.worked(rows * depth * width)
	}
	kernel.MulAdd(s.weights.level, sums[product.at*lanes:], gap, operand, pitch, rows, depth, s.weights.of(s.d, k, panel), width)
	return s.worked(rows * depth * width)
}

// worked counts multiplications, and reports false when the run was cancelled.
func (s *strand[T]) worked(n int) bool {
	if s.work += n; s.work < stopWork {
		return true
	}
	s.work = 0
	return s.ctx.Err() == nil
}

// panel prepares what the cell is told of n rows.
func (s *strand[T]) panel(n int) gatePanel[T] {
	p := gatePanel[T]{level: s.weights.level, span: s.weights.span, lanes: s.weights.lanes, rows: n,
		h: s.h, next: s.next, c: s.c, reset: s.reset, pitch: s.pitch, all: s.weights.units}
	if w := s.weights; w.peepholes != nil {
		p.peepholes = w.peepholes[s.d*3*w.units:][:3*w.units]
	}
	if s.quantizer != nil {
		p.scale = s.quantizer.quantize(s.reset[:n*s.pitch], s.h[:s.all*s.pitch])
	}
	return p
}

// place lets p be panel i.
func (s *strand[T]) place(p *gatePanel[T], i int, sums []T) {
	p.sums, p.first, p.lanes = sums, i*s.weights.lanes, s.weights.lanesOf(i)
	p.units = min(p.lanes, s.weights.units-p.first)
}

// advanceMany computes a step of all rows that still run, panel by panel. The
// sums of a panel lie together, and where nothing comes back to them they
// give way to the next panel's.
func (s *strand[T]) advanceMany() bool {
	n, span := len(s.rows), s.weights.span
	s.gather(n)
	cell, p := s.cells[s.d], s.panel(n)
	keep := 0
	if len(s.form.products) > 2 {
		keep = n * span
	}
	for phase := range s.form.products[1:] {
		for i := range s.weights.panels {
			sums := s.sums[i*keep:]
			if !s.multiplyMany(phase, i, n, sums) {
				return false
			}
			s.place(&p, i, sums)
			cell.point(phase, p)
		}
	}
	s.end()
	return true
}

// multiplyMany makes the sums of a phase for a panel of many rows.
func (s *strand[T]) multiplyMany(phase, panel, n int, sums []T) bool {
	span := s.weights.span
	switch {
	case phase > 0:
	case s.pairs:
		x, h, bias := s.factor(0, panel), s.factor(1, panel), s.bias(panel)
		kernel.MulAddPair(s.weights.level, any(sums).([]float32), span, any(bias).([]float32), n, &x, &h)
		return s.worked(n * (x.Depth*x.Width + h.Depth*h.Width))
	default:
		s.begin(panel, sums, span, n)
		if !s.multiply(0, panel, n, sums, span) {
			return false
		}
	}
	return s.multiply(1+phase, panel, n, sums, span)
}

// hasPairs reports whether the first two products of all panels are computed
// together.
func (s *strand[T]) hasPairs() bool {
	if s.weights.level == kernel.Go || s.weights.half {
		return false
	}
	for _, panel := range [...]int{0, s.weights.panels - 1} {
		x, h := s.factor(0, panel), s.factor(1, panel)
		if !s.weights.level.HasPair(len(s.bias(panel)), &x, &h) {
			return false
		}
	}
	return true
}

// factor is product k of a panel, for kernel.MulAddPair.
func (s *strand[T]) factor(k, panel int) kernel.Factor {
	product, lanes := &s.form.products[k], s.weights.lanesOf(panel)
	operand, pitch := s.operand(k)
	return kernel.Factor{A: any(operand).([]float32), Pitch: pitch, Depth: product.depth(&s.size), W: any(s.weights.of(s.d, k, panel)).([]float32),
		At: product.at * lanes, Width: len(product.gates) * lanes}
}

// advance computes a step of the n rows that still run, few, whose sums begin
// at row first of a block.
func (s *strand[T]) advance(first, n int) bool {
	for phase := range s.form.products[1:] {
		if !s.compute(phase, first, n) {
			return false
		}
	}
	s.end()
	return true
}

// computePhase does a phase of a step of few rows.
func (s *strand[T]) computePhase(lo, hi int) bool {
	w := s.weights
	cell, p, gap := s.cells[s.d], s.panel(s.n), w.row
	block := s.sums[s.first*gap:]
	if !s.multiplyPanels(1+s.phase, lo, hi, s.n, block) {
		return false
	}
	if s.n == 1 && w.level != kernel.Go {
		// Each panel as a row of its own.
		p.pitch, p.along = w.lanes, w.lanes
		for i := lo; i < hi; i += p.rows {
			p.rows = max(1, min(hi, w.full())-i)
			s.place(&p, i, block[i*w.span:])
			cell.point(s.phase, p)
		}
		return true
	}
	p.span = gap
	for i := lo; i < hi; i++ {
		s.place(&p, i, block[i*w.span:])
		cell.point(s.phase, p)
	}
	return true
}

// turnWork is about how many weights a piece of a product with a step's panels
// has. Odd steps take the pieces from the last to the first, which find the
// weights that the step before read last still in the cache.
const turnWork = 1 << 16

// multiplyPanels is multiply of panels lo..hi-1, whose sums lie together in a
// row.
func (s *strand[T]) multiplyPanels(k, lo, hi, rows int, sums []T) bool {
	w, product := s.weights, &s.form.products[k]
	depth, width := product.depth(&s.size), len(product.gates)*w.lanes
	operand, pitch := s.operand(k)
	least := 4 // panels that the kernel's loops leave nothing of
	if rows > 1 {
		least = 12
	}
	some := max(least, turnWork/max(depth*width, 1)/least*least)
	full := min(hi, w.full())
	for done := lo; done < full; done += some {
		n := min(some, full-done)
		p := done
		if s.turned {
			p = lo + full - done - n
		}
		to := sums[p*w.span+product.at*w.lanes:]
		switch {
		case w.kept(product) == 1:
			kernel.MulAddPanelsHalf(w.level, any(to).([]float32), w.span, w.row, any(operand).([]float32), pitch, rows, depth,
				w.halfOf(s.d, k, p), width, n)
		case s.beside.Left():
			kernel.MulAddPanelsBeside(w.level, any(to).([]float32), w.span, any(operand[:depth]).([]float32), any(w.of(s.d, k, p)).([]float32), width, n, &s.beside)
		default:
			kernel.MulAddPanels(w.level, to, w.span, w.row, operand, pitch, rows, depth, w.of(s.d, k, p), width, n)
		}
		if !s.worked(n * rows * depth * width) {
			return false
		}
	}
	return full == hi || s.multiply(k, full, rows, sums[full*w.span:], w.row)
}

// end goes to the next step.
func (s *strand[T]) end() {
	s.h, s.next = s.next, s.h
	s.turned = !s.turned
	s.write()
	s.step++
}

// write stores what the step gave: Y, and the last states of the rows that are
// finished, which are then let go.
func (s *strand[T]) write() {
	hidden := s.size[dimH]
	if y := s.out[outY]; y != nil {
		for i, row := range s.rows {
			at := s.time(row, s.step)*s.yTime + s.d*s.yDirection + int(row)*s.yRow
			s.codec.store(y, at, s.h[i*s.pitch:][:hidden])
		}
	}
	for n := len(s.rows) - 1; n >= 0 && s.length(int(s.rows[n])) == s.step+1; n-- {
		at := s.d*s.stateDirection + int(s.rows[n])*s.stateRow
		if t := s.out[outH]; t != nil {
			s.codec.store(t, at, s.h[n*s.pitch:][:hidden])
		}
		if t := s.out[outC]; t != nil {
			s.codec.store(t, at, s.c[n*s.pitch:][:hidden])
		}
		if s.quantizer != nil { // which sees it in both buffers from now on
			copy(s.next[n*s.pitch:][:hidden], s.h[n*s.pitch:])
		}
		s.rows = s.rows[:n]
	}
}
