package rewrite

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
)

// liftedCell is a cell with the states of the loop that are its own.
type liftedCell struct {
	*cell
	h, c    int // states; c is -1 but for LSTM
	outputs cellOutputs
}

// solve recognises the cells of a loop and proves that everything that it
// gives can be had from them.
func (r *recurrence) solve() error {
	if len(r.seqs) == 0 && len(r.limits) == 0 {
		return because("no sequence is read step by step")
	}
	if err := r.findMask(); err != nil {
		return err
	}
	for r.findCell() {
	}
	if len(r.cells) == 0 {
		return because("no RNN, GRU or LSTM in it")
	}
	for i := range r.vars {
		s := &r.vars[i]
		if s.role != stateNumbers {
			continue
		}
		s.role = stateCarrier
	}
	var others []int
	for k, e := range r.outs {
		if name := r.outName(k); r.uses[name] > 0 && !r.expressible(e) {
			others = append(others, k)
		}
	}
	if len(others) > 0 {
		if r.more = r.rest(others); r.more == nil {
			return because("output %d of the steps is not made of the cells' outputs", others[0])
		}
	}
	for i := range r.vars {
		s := &r.vars[i]
		if !r.wanted(i) {
			continue
		}
		switch s.role {
		case stateCell, stateConstant, statePacked:
		case stateCarrier:
			if !r.expressible(s.next) {
				return because("state %d is not made of the cells' outputs", i)
			}
		case stateCounter:
			if r.steps.Known {
				continue
			}
			return because("the number of steps is used after it")
		default:
			return because("state %d is not one of a cell", i)
		}
	}
	return nil
}

// wanted reports whether a state is used after the loop.
func (r *recurrence) wanted(i int) bool {
	if p := r.vars[i].parent; p >= 0 {
		i = p
	}
	return r.uses[output(r.loop.node, i)] > 0
}

// outName names what the loop collects from every step.
func (r *recurrence) outName(k int) string { return output(r.loop.node, r.loop.states+k) }

// findMask finds the choice between the new and the old state that all states
// are subject to, if there is one.
func (r *recurrence) findMask() error {
	for i := range r.vars {
		s := &r.vars[i]
		if s.role != stateNumbers {
			continue
		}
		s.fresh = s.next
		if s.next.kind != exprSelect {
			continue
		}
		mask, negated := s.next.args[0], false
		switch s.expr {
		case s.next.args[1]:
			negated = true
			s.fresh = s.next.args[2]
		case s.next.args[2]:
			s.fresh = s.next.args[1]
		default:
			continue
		}
		if r.mask != nil && (r.mask != mask || r.negated != negated) {
			return because("states are subject to different masks")
		}
		r.mask, r.negated = mask, negated
	}
	if r.mask == nil {
		return nil
	}
	if r.lengths() == nil && r.maskInput() == nil {
		return because("the mask is neither a sequence nor a comparison with lengths")
	}
	if r.lengths() == nil && r.opset < 11 {
		return because("a mask needs operators of opset 11")
	}
	if len(r.seqs) == 0 {
		return because("a mask where no sequence is read step by step")
	}
	if r.reverse {
		return because("a mask on a sequence that is scanned backwards")
	}
	return nil
}

// lengths gives the lengths that the number of the step is compared with; nil
// when the mask is not of this kind.
func (r *recurrence) lengths() *expr {
	m := r.mask
	if m == nil || m.kind != exprColumn || r.negated {
		return nil
	}
	m = m.args[0]
	if m.kind != exprLess || m.args[0].kind != exprCounter || m.args[0].index != 0 || m.args[1].kind != exprOuter || m.args[1].rank != 1 {
		return nil
	}
	switch r.outer.typeOf(m.args[1].name).Elem {
	case onnx.Int32, onnx.Int64:
		return m.args[1]
	}
	return nil
}

// maskInput gives the sequence of masks; nil when the mask is not one.
func (r *recurrence) maskInput() *expr {
	m := r.mask
	if m != nil && m.kind == exprColumn {
		m = m.args[0]
		if m.rank != 1 {
			return nil
		}
	} else if m != nil && (m.rank != 2 || m.width != 1) {
		return nil
	}
	if m == nil || m.kind != exprInput || m.name != "bool" {
		return nil
	}
	return m
}

// findCell looks for one more cell.
func (r *recurrence) findCell() bool {
	for i := range r.vars {
		h := &r.vars[i]
		if h.role != stateNumbers || h.expr.rank != 2 || h.fresh.kind == exprState || (r.mask != nil && h.fresh == h.next) {
			continue
		}
		for j := range r.vars {
			c := &r.vars[j]
			if j == i || c.role != stateNumbers || c.expr.rank != 2 || (r.mask != nil && c.fresh == c.next) {
				continue
			}
			m := r.matcher(h, c)
			if found := m.lstm(h.fresh, c.fresh); found != nil && !r.missing() {
				h.role, c.role = stateCell, stateCell
				r.cells = append(r.cells, &liftedCell{cell: found, h: i, c: j})
				return true
			}
		}
		m := r.matcher(h, nil)
		found := m.gru(h.fresh)
		if found == nil {
			found = m.rnn(h.fresh)
		}
		if found != nil && !r.missing() {
			h.role = stateCell
			r.cells = append(r.cells, &liftedCell{cell: found, h: i, c: -1})
			return true
		}
	}
	return false
}

// missing reports whether there is no operator of the element type: bfloat16
// came with version 22.
func (r *recurrence) missing() bool { return r.elem == onnx.BFloat16 && r.opset < 22 }

func (r *recurrence) matcher(h, c *loopState) *matcher {
	m := &matcher{algebra: r.algebra, h: h.expr, free: r.free, hidden: h.fresh.width}
	if c != nil {
		m.c = c.expr
	}
	return m
}

// free reports whether an expression can be computed for all steps at once:
// from sequences, constants, and the outputs of cells that are lifted already.
func (r *recurrence) free(e *expr) bool { return r.freeWithin(e, map[*expr]bool{}) }

func (r *recurrence) freeWithin(e *expr, seen map[*expr]bool) bool {
	if ok, done := seen[e]; done {
		return ok
	}
	ok := r.freeNode(e, seen)
	seen[e] = ok
	return ok
}

func (r *recurrence) freeNode(e *expr, seen map[*expr]bool) bool {
	if r.cellOf(e) != nil {
		return true
	}
	switch e.kind {
	case exprInput:
		return e.rank == 2 && r.outer.typeOf(r.seqs[e.index]).Elem == r.elem
	case exprOuter:
		return e.rank >= 0 && e.rank <= 2 && r.outer.typeOf(e.name).Elem == r.elem
	case exprConst:
		return e.k == nil || e.rank <= 2 && e.k.tensor.DataType() == r.elem
	case exprUnary:
		if e.name == "Clip" {
			return false
		}
	case exprSum, exprProd, exprMatMul, exprConcat:
	case exprSlice:
	default:
		return false
	}
	_, args := r.regroup(e)
	for _, x := range args {
		if !r.freeWithin(x, seen) {
			return false
		}
	}
	return true
}

// regroup finds a cell's output in a sum or a product that it was made a part
// of, and gives what is beside it; nil and all arguments when there is none.
func (r *recurrence) regroup(e *expr) (*liftedCell, []*expr) {
	if e.kind != exprSum && e.kind != exprProd {
		return nil, e.args
	}
	for _, c := range r.cells {
		if c.output.kind != e.kind {
			continue
		}
		rest := slices.DeleteFunc(slices.Clone(e.args), func(x *expr) bool { return slices.Contains(c.output.args, x) })
		if len(rest) == len(e.args)-len(c.output.args) {
			return c, rest
		}
	}
	return nil, e.args
}

// cellOf gives the lifted cell whose output an expression is.
func (r *recurrence) cellOf(e *expr) *liftedCell {
	i := slices.IndexFunc(r.cells, func(c *liftedCell) bool { return c.output == e })
	if i < 0 {
		return nil
	}
	return r.cells[i]
}

// masked splits an expression that is subject to the loop's mask: what it is
// at steps that count, and at others.
func (r *recurrence) masked(e *expr) (fresh, old *expr) {
	if e.kind != exprSelect || e.args[0] != r.mask {
		return nil, nil
	}
	if r.negated {
		return e.args[2], e.args[1]
	}
	return e.args[1], e.args[2]
}

// repeats gives the state whose value an expression keeps at the steps that do
// not count: after each step the state is the expression.
func (r *recurrence) repeats(e, old *expr) (int, bool) {
	if old.kind != exprState || r.vars[old.index].next != e {
		return 0, false
	}
	return old.index, true
}

// expressible reports whether a value of each step can be had from the
// operators.
func (r *recurrence) expressible(e *expr) bool {
	if r.mask == nil {
		return r.free(e) && r.stepwise(e)
	}
	fresh, old := r.masked(e)
	if fresh == nil || !r.free(fresh) || !r.stepwise(fresh) {
		return false
	}
	if isZero(old) {
		return true
	}
	_, ok := r.repeats(e, old)
	return ok && (r.opset >= 11)
}

// stepwise reports whether an expression reads a sequence, so that computing
// it for all steps at once gives one value for each.
func (r *recurrence) stepwise(e *expr) bool {
	if c, _ := r.regroup(e); c != nil {
		return true
	}
	return e.kind == exprInput || r.cellOf(e) != nil || slices.ContainsFunc(e.args, r.stepwise)
}
