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
}

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
	s.h, s.next, s.c, s.reset = part(r.h, r.size[dimH]), part(r.next, r.size[dimH]), part(r.c, r.size[dimH]), part(r.reset, r.size[dimH])
	s.x, s.sums = part(r.x, r.block*r.size[dimI]), part(r.sums, r.block*r.weights.panels*r.weights.span)
	for round := r.sorted; len(round) > 0; round = round[min(r.units, len(round)):] {
		for _, row := range round[min(lo, len(round)):min(hi, len(round))] {
			if r.length(int(row)) > 0 {
				s.rows = append(s.rows, row)
			}
		}
	}
	return s
}

// walk computes all steps of the rows, in blocks: the product with W of a
// block's steps at once, then step after step. Each sum is stored between the
// two and taken up again, so the cut changes no bit.
func (s *strand[T]) walk() {
	s.start()
	for len(s.rows) > 0 {
		steps, total := s.gather()
		if !s.multiplyX(total) {
			return
		}
		first := 0
		for range steps {
			n := len(s.rows)
			if !s.advance(first, n, total) {
				return
			}
			first += n
		}
	}
}

// start brings the initial states.
func (s *strand[T]) start() {
	hidden := s.size[dimH]
	s.quantizer, _ = s.cells[s.d].(quantizer[T])
	s.all = len(s.rows)
	for i, row := range s.rows {
		s.initial(s.h[i*hidden:][:hidden], inH, row)
		if s.cellState {
			s.initial(s.c[i*hidden:][:hidden], inC, row)
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
// each the rows that then still run. It gives the number of steps and of rows
// of s.x.
func (s *strand[T]) gather() (steps, total int) {
	input := s.size[dimI]
	live, room := len(s.rows), s.block*cap(s.rows)
	for live > 0 && total+live <= room {
		for i, row := range s.rows[:live] {
			s.codec.load(s.x[(total+i)*input:][:input], s.in[inX], s.time(row, s.step+steps)*s.xTime+int(row)*s.xRow)
		}
		total += live
		steps++
		for live > 0 && s.length(int(s.rows[live-1])) == s.step+steps {
			live--
		}
	}
	return steps, total
}

// panelSums gives the sums of a panel in a block of total rows, from row first
// on. A block's sums lie panel by panel, for each row a span.
func (s *strand[T]) panelSums(panel, first, total int) []T {
	return s.sums[(panel*total+first)*s.weights.span:]
}

// multiplyX starts the sums of a block from the bias and adds the product with
// W. It reports whether to go on.
func (s *strand[T]) multiplyX(total int) bool {
	span := s.weights.span
	for p := range s.weights.panels {
		bias := s.weights.bias[(s.d*s.weights.panels+p)*span:][:span]
		sums := s.panelSums(p, 0, total)
		for i := range total {
			copy(sums[i*span:], bias)
		}
		if !s.multiply(0, p, total, sums, s.x) {
			return false
		}
	}
	return true
}

// multiply adds product k of a panel's units to the sums of some rows. It
// reports false when the run was cancelled.
func (s *strand[T]) multiply(k, panel, rows int, sums, operand []T) bool {
	product := s.form.products[k]
	depth, width := product.depth(&s.size), len(product.gates)*s.weights.lanes
	w := s.weights.panel[(s.d*s.weights.panels+panel)*s.weights.stride+s.weights.at[k]:]
	kernel.MulAdd(sums[product.at*s.weights.lanes:], s.weights.span, operand, depth, rows, depth, w, width)
	if s.work += rows * depth * width; s.work < stopWork {
		return true
	}
	s.work = 0
	return s.ctx.Err() == nil
}

// advance computes a step of the n rows that still run, whose sums begin at
// row first of a block of total.
func (s *strand[T]) advance(first, n, total int) bool {
	cell, hidden := s.cells[s.d], s.size[dimH]
	p := gatePanel[T]{span: s.weights.span, lanes: s.weights.lanes, rows: n, hidden: hidden,
		h: s.h, next: s.next, c: s.c, reset: s.reset}
	if all := s.weights.peepholes; all != nil {
		p.peepholes = all[s.d*3*hidden:][:3*hidden]
	}
	if s.quantizer != nil {
		p.scale = s.quantizer.quantize(s.reset[:n*hidden], s.h[:s.all*hidden])
	}
	for phase, product := range s.form.products[1:] {
		operand := s.h
		if product.of == ofReset {
			operand = s.reset
		}
		for i := range s.weights.panels {
			p.sums = s.panelSums(i, first, total)
			if !s.multiply(1+phase, i, n, p.sums, operand) {
				return false
			}
			p.first = i * p.lanes
			p.units = min(p.lanes, hidden-p.first)
			cell.point(phase, p)
		}
	}
	s.h, s.next = s.next, s.h
	s.write()
	s.step++
	return true
}

// write stores what the step gave: Y, and the last states of the rows that are
// finished, which are then let go.
func (s *strand[T]) write() {
	hidden := s.size[dimH]
	if y := s.out[outY]; y != nil {
		for i, row := range s.rows {
			at := s.time(row, s.step)*s.yTime + s.d*s.yDirection + int(row)*s.yRow
			s.codec.store(y, at, s.h[i*hidden:][:hidden])
		}
	}
	for n := len(s.rows) - 1; n >= 0 && s.length(int(s.rows[n])) == s.step+1; n-- {
		at := s.d*s.stateDirection + int(s.rows[n])*s.stateRow
		if t := s.out[outH]; t != nil {
			s.codec.store(t, at, s.h[n*hidden:][:hidden])
		}
		if t := s.out[outC]; t != nil {
			s.codec.store(t, at, s.c[n*hidden:][:hidden])
		}
		if s.quantizer != nil { // which sees it in both buffers from now on
			copy(s.next[n*hidden:][:hidden], s.h[n*hidden:])
		}
		s.rows = s.rows[:n]
	}
}
