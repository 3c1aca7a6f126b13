package rewrite

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// writer emits the operators of a loop.
type writer struct {
	*recurrence
	*emitter
	*packing
	values map[*expr]string // of all steps, [T, B, columns]; packed where there is a mask
	read   map[int]string   // sequences, cut to the number of steps
	starts map[int]string   // states before the first step that are parts of others
	end    string           // the number of steps, [1], where sequences are cut to it
	// A masked loop that goes forward over reversed sequences is an operator
	// that goes backward over the sequences themselves: what the loop gives is
	// reversed.
	turned bool
}

// emit makes the nodes that stand in for the loop.
func (r *recurrence) emit(g *onnx.Graph) ([]*onnx.Node, error) {
	e := r.lifter.emitter(g, r.loop.node)
	w := &writer{recurrence: r, emitter: e, packing: &packing{emitter: e}, values: map[*expr]string{}, read: map[int]string{}, starts: map[int]string{}}
	w.emitter.opset = r.reader.opset
	w.turn()
	if err := w.prepareMask(); err != nil {
		return nil, err
	}
	for _, c := range r.cells {
		if err := w.cell(c); err != nil {
			return nil, err
		}
	}
	for k, e := range r.outs {
		if name := r.outName(k); r.uses[name] > 0 && (r.more == nil || !slices.Contains(r.more.outs, k)) {
			v, err := w.output(e)
			if err != nil {
				return nil, err
			}
			w.name(v, name)
		}
	}
	if r.more != nil {
		if err := w.scan(r.more); err != nil {
			return nil, err
		}
	}
	for i := range r.loop.states {
		if !r.wanted(i) {
			continue
		}
		name := output(r.loop.node, i)
		v, err := w.final(i)
		if err != nil {
			return nil, err
		}
		w.name(v, name)
	}
	if w.lacks != "" {
		return nil, because("opset %d has no %s, which the operator would need", w.emitter.opset, w.lacks)
	}
	return w.finish(), nil
}

// whole reports whether the loop makes as many steps as a sequence has.
func (w *writer) whole(name string) bool {
	if len(w.limits) == 0 {
		return true
	}
	s := w.outer.typeOf(name).Shape
	return len(w.limits) == 1 && len(s) > 0 && (bound{sym: w.steps}).same(bound{sym: ops.SymOf(s[0])})
}

// sequence gives a sequence of as many steps as the loop makes.
func (w *writer) sequence(i int) string {
	if w.read[i] != "" {
		return w.read[i]
	}
	name := w.seqs[i]
	if w.whole(name) {
		w.read[i] = name
		return name
	}
	if w.steps.Known {
		w.read[i] = w.slice(name, 0, 0, w.steps.Value)
		return w.read[i]
	}
	if w.emitter.opset < 10 {
		return "" // Slice has constant bounds only
	}
	zero := w.int64s(0)
	w.read[i] = w.node("Slice", []string{name, zero, w.stepCount(), zero})
	return w.read[i]
}

// stepCount is the number of steps, [1]: the least of the limits, at least 0.
func (w *writer) stepCount() string {
	if w.end != "" {
		return w.end
	}
	if w.steps.Known {
		return w.int64s(w.steps.Value)
	}
	for _, l := range w.limits {
		n := ""
		if l.sym.Known {
			n = w.int64s(l.sym.Value)
		} else {
			n = w.node("Reshape", []string{w.cast(l.root, onnx.Int64), w.int64s(1)})
		}
		if w.end != "" {
			n = w.node("Where", []string{w.node("Less", []string{n, w.end}), n, w.end})
		}
		w.end = n
	}
	zero := w.int64s(0)
	w.end = w.node("Where", []string{w.node("Less", []string{w.end, zero}), zero, w.end})
	return w.end
}

// time is the number of steps of a sequence, as far as it is known.
func (w *writer) time(i int) onnx.Dim {
	if w.steps.Known {
		return w.steps.Dim()
	}
	if s := w.outer.typeOf(w.seqs[i]).Shape; len(s) > 0 && w.whole(w.seqs[i]) {
		return s[0]
	}
	return onnx.UnknownDim
}

// turn finds whether all sequences of a masked loop are reversed ones, and if
// so takes the sequences themselves.
func (w *writer) turn() {
	if w.maskInput() == nil {
		return
	}
	sources := map[int]string{}
	perms := map[int][]int64{}
	for i, name := range w.seqs {
		root, perm := w.outer.origin(name)
		n := w.outer.makers[root]
		fl, ok := w.outer.flipOf(n)
		if !ok || fl.lengths != "" || fl.axis != int(perm[0]) || !w.whole(name) {
			return
		}
		sources[i], perms[i] = n.Inputs[0], perm
	}
	w.turned = true
	for i, x := range sources {
		if !slices.IsSorted(perms[i]) {
			x = w.transpose(x, perms[i]...)
		}
		w.read[i] = x
	}
}

// prepareMask makes what packing and unpacking need.
func (w *writer) prepareMask() error {
	if l := w.lengths(); l != nil {
		x := w.sequence(0)
		if x == "" {
			return because("opset %d cannot cut a sequence", w.emitter.opset)
		}
		w.count = w.clipLengths(l.name, x, w.time(0))
		return nil
	}
	m := w.maskInput()
	if m == nil {
		return nil
	}
	flat := w.sequence(m.index) // [T, B] or [T, B, 1]; masks need opset 11
	if m.rank == 2 {
		flat = w.squeeze(flat, 2)
	}
	if w.negated {
		flat = w.node("Not", []string{flat})
	}
	w.prepare(flat, w.turned)
	return nil
}

// value computes an expression for all steps at once; for packed ones where
// there is a mask.
func (w *writer) value(e *expr) (string, error) {
	if v := w.values[e]; v != "" {
		return v, nil
	}
	v, err := w.compute(e)
	if err == nil && v == "" {
		err = because("opset %d lacks what it takes", w.emitter.opset)
	}
	w.values[e] = v
	return v, err
}

func (w *writer) compute(e *expr) (string, error) {
	if c := w.cellOf(e); c != nil {
		return w.squeeze(c.outputs.y, 1), nil
	}
	var args []string
	part, rest := w.regroup(e)
	if part != nil {
		v, err := w.value(part.output)
		if err != nil {
			return "", err
		}
		args = append(args, v)
	}
	for _, x := range rest {
		v, err := w.value(x)
		if err != nil {
			return "", err
		}
		args = append(args, v)
	}
	fold := func(op string) string {
		v := args[0]
		for _, x := range args[1:] {
			v = w.node(op, []string{v, x})
		}
		return v
	}
	switch e.kind {
	case exprInput:
		x := w.sequence(e.index)
		if x == "" {
			return "", nil
		}
		return w.pack(x), nil
	case exprOuter:
		return e.name, nil
	case exprConst:
		if e.k == nil {
			return w.scalar(w.elem, e.alpha), nil
		}
		return w.view(e.k)
	case exprSum:
		return fold("Add"), nil
	case exprProd:
		return fold("Mul"), nil
	case exprMatMul:
		k, err := w.view(e.k)
		if err != nil {
			return "", err
		}
		return w.node("MatMul", []string{args[0], k}), nil
	case exprConcat:
		return w.beside(e.args, args)
	case exprSlice:
		return w.slice(args[0], 2, int64(e.index), int64(e.hi)), nil
	case exprUnary:
		var attrs []*onnx.Attribute
		switch e.name {
		case "LeakyRelu", "Elu", "ThresholdedRelu":
			attrs = append(attrs, attrF("alpha", e.alpha))
		case "HardSigmoid":
			attrs = append(attrs, attrF("alpha", e.alpha), attrF("beta", e.beta))
		}
		return w.node(e.name, args, attrs...), nil
	}
	return "", because("an expression of kind %d", e.kind)
}

// beside puts values of all steps side by side. Those that are the same at
// every step are repeated.
func (w *writer) beside(list []*expr, values []string) (string, error) {
	var steps, rows string
	like := slices.IndexFunc(list, w.stepwise)
	for i, e := range list {
		if w.stepwise(e) {
			continue
		}
		switch {
		case steps != "":
		case like >= 0:
			size := w.node("Shape", []string{values[like]})
			steps, rows = w.slice(size, 0, 0, 1), w.slice(size, 0, 1, 2)
		case len(w.limits) == 0:
			return "", because("no sequence is read step by step")
		default:
			if e.rank != 2 || !w.everyRow(e) {
				return "", because("the number of rows is not known")
			}
			steps, rows = w.stepCount(), w.slice(w.node("Shape", []string{values[i]}), 0, 0, 1)
		}
		if e.width < 1 {
			return "", because("an input of unknown width")
		}
		values[i] = w.node("Expand", []string{values[i], w.concat(0, steps, rows, w.int64s(int64(e.width)))})
	}
	return w.concat(2, values...), nil
}

// everyRow reports whether a value from outside has as many rows as the states
// that are lifted.
func (w *writer) everyRow(e *expr) bool {
	if e.kind != exprOuter {
		return slices.ContainsFunc(e.args, w.everyRow)
	}
	have := w.outer.typeOf(e.name).Shape
	for _, c := range w.cells {
		s := w.outer.typeOf(w.vars[c.h].initial).Shape
		if len(have) != 2 || len(s) != 2 || !have[0].Same(s[0]) && (!s[0].Known() || s[0].Value != 1) {
			return false
		}
	}
	return true
}

// cell adds the operator of a cell.
func (w *writer) cell(c *liftedCell) error {
	var parts []string
	for _, x := range c.inputs {
		v, err := w.value(x)
		if err != nil {
			return err
		}
		parts = append(parts, v)
	}
	x, err := w.beside(c.inputs, parts)
	if err != nil {
		return err
	}
	in := cellInputs{x: x, lengths: w.count}
	in.initialH = w.initial(c.h, in.x, c.hidden)
	if c.c >= 0 {
		in.initialC = w.initial(c.c, in.x, c.hidden)
	}
	direction := "forward"
	if w.reverse || w.turned {
		direction = "reverse"
	}
	out, err := w.emitter.cell(c.cell, w.elem, in, direction)
	c.outputs = out
	return err
}

// initial gives an initial state as [1, B, H]; "" for zeros.
func (w *writer) initial(state int, x string, hidden int) string {
	s := &w.vars[state]
	if w.outer.zero(s.initial) {
		return ""
	}
	have := w.outer.typeOf(s.initial).Shape.Clone()
	if len(have) == 2 && s.parent >= 0 {
		have[1] = onnx.Fixed(s.hi - s.lo)
	}
	return w.oneEach(w.start(state), have, w.batch(), hidden, x)
}

// start gives a state before the first step, as the loop is given it.
func (w *writer) start(state int) string {
	s := &w.vars[state]
	if s.parent < 0 {
		return s.initial
	}
	if w.starts[state] == "" {
		w.starts[state] = w.slice(s.initial, 1, int64(s.lo), int64(s.hi))
	}
	return w.starts[state]
}

// batch is the number of rows of the sequences, as far as it is known.
func (w *writer) batch() onnx.Dim {
	for i := range w.seqs {
		if s := w.outer.typeOf(w.seqs[i]).Shape; len(s) > 1 && s[1] != onnx.UnknownDim {
			return s[1]
		}
	}
	return onnx.UnknownDim
}

// output gives a value that the loop collects from every step.
func (w *writer) output(e *expr) (string, error) {
	v, err := w.collected(e)
	if err == nil && w.turned {
		v = w.flip(v, 0)
	}
	return v, err
}

// collected is an output in the order of the sequences that are read.
func (w *writer) collected(e *expr) (string, error) {
	if w.mask == nil {
		return w.value(e)
	}
	fresh, old := w.masked(e)
	packed, err := w.value(fresh)
	if err != nil {
		return "", err
	}
	if isZero(old) {
		if w.goal == "" && w.cellOf(fresh) != nil {
			return packed, nil // zero beyond the lengths
		}
		spread := w.spread(packed)
		return w.node("Where", []string{w.counting(packed), spread, w.scalar(w.elem, 0)}), nil
	}
	i, _ := w.repeats(e, old)
	initial := ""
	if w.outer.zero(w.vars[i].initial) {
		initial = w.scalar(w.elem, 0)
	} else {
		initial = w.start(i)
	}
	return w.hold(packed, initial), nil
}

// final gives a state after the last step.
func (w *writer) final(i int) (string, error) {
	s := &w.vars[i]
	switch s.role {
	case stateConstant:
		return s.initial, nil
	case statePacked:
		var parts []string
		for k := range w.vars {
			if w.vars[k].parent != i {
				continue
			}
			v, err := w.final(k)
			if err != nil {
				return "", err
			}
			parts = append(parts, v)
		}
		return w.concat(1, parts...), nil
	case stateCounter:
		v := int64(s.start) + w.steps.Value
		if w.outer.typeOf(s.initial).Elem == onnx.Int32 {
			return w.tensor("count", onnx.Scalar(int32(v))), nil
		}
		return w.tensor("count", onnx.Scalar(v)), nil
	case stateCarrier:
		fresh := s.next
		if w.mask != nil {
			fresh, _ = w.masked(s.next)
		}
		if c := w.cellOf(fresh); c != nil && (w.mask == nil || s.fresh != s.next) {
			return w.kept(w.squeeze(c.outputs.h, 0), i), nil
		}
		all, err := w.output(s.next)
		if err != nil {
			return "", err
		}
		return w.squeeze(w.slice(all, 0, -1, 1<<31-1), 0), nil
	}
	for _, c := range w.cells {
		switch i {
		case c.h:
			return w.kept(w.squeeze(c.outputs.h, 0), i), nil
		case c.c:
			return w.kept(w.squeeze(c.outputs.c, 0), i), nil
		}
	}
	return "", because("state %d", i)
}

// kept puts the initial state in the rows without any step that counts, where
// the operator gives zeros.
func (w *writer) kept(v string, state int) string {
	if w.mask == nil || w.outer.zero(w.vars[state].initial) {
		return v
	}
	return w.node("Where", []string{w.rowsWithout(), w.start(state), v})
}
