package rewrite

import (
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// writer emits the operators of a loop.
type writer struct {
	*recurrence
	*emitter
	values map[*expr]string // of all steps, [T, B, columns]; packed where there is a mask
	read   map[int]string   // sequences, cut to the number of steps
	starts map[int]string   // states before the first step that are parts of others
	shape  string           // [T, B]: sizes of the first sequence
	// Of lengths or a mask:
	count   string // steps that count, [B], int32
	mask3   string // [T, B, 1]
	before  string // index of the last counting step at or before each, [T, B], -1 where there is none
	goal    string // where the mask's packing moves each step, [T, B]
	noSteps string // rows without any step that counts, [B, 1]
}

// emit makes the nodes that stand in for the loop.
func (r *recurrence) emit(g *onnx.Graph) ([]*onnx.Node, error) {
	w := &writer{recurrence: r, emitter: r.lifter.emitter(g, r.loop.node), values: map[*expr]string{}, read: map[int]string{}, starts: map[int]string{}}
	w.emitter.opset = r.reader.opset
	if err := w.prepareMask(); err != nil {
		return nil, err
	}
	for _, c := range r.cells {
		if err := w.cell(c); err != nil {
			return nil, err
		}
	}
	for k, e := range r.outs {
		if name := r.outName(k); r.uses[name] > 0 {
			v, err := w.output(e)
			if err != nil {
				return nil, err
			}
			w.name(v, name)
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
	return w.finish(), nil
}

// sequence gives a sequence of as many steps as the loop makes.
func (w *writer) sequence(i int) string {
	if w.read[i] != "" {
		return w.read[i]
	}
	name := w.seqs[i]
	w.read[i] = name
	if w.trip == "" {
		return name
	}
	if s := w.outer.typeOf(name).Shape; len(s) > 0 {
		if (bound{sym: w.steps}).same(bound{sym: ops.SymOf(s[0])}) {
			return name
		}
	}
	if w.emitter.opset < 10 && !w.steps.Known {
		return "" // Slice has constant bounds only
	}
	if w.steps.Known {
		w.read[i] = w.slice(name, 0, 0, w.steps.Value)
		return w.read[i]
	}
	end := w.node("Reshape", []string{w.cast(w.trip, onnx.Int64), w.int64s(1)})
	zero := w.int64s(0)
	w.read[i] = w.node("Slice", []string{name, zero, end, zero})
	return w.read[i]
}

// time is the number of steps of a sequence, as far as it is known.
func (w *writer) time(i int) onnx.Dim {
	if w.steps.Known {
		return w.steps.Dim()
	}
	if s := w.outer.typeOf(w.seqs[i]).Shape; len(s) > 0 {
		return s[0]
	}
	return onnx.UnknownDim
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
	w.mask3 = w.unsqueeze(flat, 2)
	counts := w.cast(flat, onnx.Int64)
	total := w.sumOver(counts, 0)
	w.count = w.cast(total, onnx.Int32)
	axis := w.tensor("axis", onnx.Scalar[int64](0))
	one := w.tensor("one", onnx.Scalar[int64](1))
	w.before = w.node("Sub", []string{w.node("CumSum", []string{counts, axis}), one})
	others := w.node("CumSum", []string{w.cast(w.node("Not", []string{flat}), onnx.Int64), axis})
	after := w.node("Sub", []string{w.node("Add", []string{total, others}), one})
	// Steps that count move to the front, the others behind them.
	w.goal = w.node("Where", []string{flat, w.before, after})
	return nil
}

// clipLengths bounds lengths to 0..T, as the operator wants them, where T is
// the number of steps of x, looked up where it is not known; longer ones mean
// all steps.
func (e *emitter) clipLengths(lengths, x string, t onnx.Dim) string {
	steps := ""
	if t.Known() {
		steps = e.tensor("steps", onnx.Scalar(int64(t.Value)))
	} else {
		steps = e.node("Gather", []string{e.node("Shape", []string{x}), e.tensor("zero", onnx.Scalar[int64](0))}, attrI("axis", 0))
	}
	n := e.cast(lengths, onnx.Int64)
	zero := e.tensor("none", onnx.Scalar[int64](0))
	n = e.node("Where", []string{e.node("Less", []string{n, zero}), zero, n})
	n = e.node("Where", []string{e.node("Less", []string{steps, n}), steps, n})
	return e.cast(n, onnx.Int32)
}

// pack moves the steps of a sequence that count to its front.
func (w *writer) pack(x string) string {
	if w.goal == "" {
		return x
	}
	at := w.node("Expand", []string{w.unsqueeze(w.goal, 2), w.node("Shape", []string{x})})
	return w.node("ScatterElements", []string{x, at, x}, attrI("axis", 0))
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
		return w.concat(2, args...), nil
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
	in := cellInputs{x: w.concat(2, parts...), lengths: w.count}
	in.initialH = w.initial(c.h, in.x, c.hidden)
	if c.c >= 0 {
		in.initialC = w.initial(c.c, in.x, c.hidden)
	}
	direction := "forward"
	if w.reverse {
		direction = "reverse"
	}
	out, err := w.emitter.cell(c.cell, w.elem, in, direction)
	c.outputs = out
	return err
}

// initial gives an initial state as [1, B, H]; "" for zeros. The operator
// wants a row for each row of the batch, where the loop broadcasts.
func (w *writer) initial(state int, x string, hidden int) string {
	s := &w.vars[state]
	if w.outer.zero(s.initial) {
		return ""
	}
	have := w.outer.typeOf(s.initial).Shape.Clone()
	if len(have) == 2 && s.parent >= 0 {
		have[1] = onnx.Fixed(s.hi - s.lo)
	}
	name := w.start(state)
	want := w.batch()
	if len(have) != 2 || !have[0].Same(want) || have[1].Value != hidden {
		rows := w.slice(w.node("Shape", []string{x}), 0, 1, 2)
		name = w.node("Expand", []string{name, w.concat(0, rows, w.int64s(int64(hidden)))})
	}
	return w.unsqueeze(name, 0)
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
	return w.hold(packed, i), nil
}

// counting is the mask as [T, B, 1].
func (w *writer) counting(x string) string {
	if w.mask3 == "" {
		w.positions(x)
		w.mask3 = w.unsqueeze(w.node("Less", []string{w.shape, w.cast(w.count, onnx.Int64)}), 2)
	}
	return w.mask3
}

// positions numbers the steps of x, [T, 1].
func (w *writer) positions(x string) {
	if w.shape != "" {
		return
	}
	steps := w.slice(w.node("Shape", []string{x}), 0, 0, 1)
	ones := w.node("ConstantOfShape", []string{steps}, &onnx.Attribute{Name: "value", Type: onnx.AttrTensor, Tensor: onnx.MustTensor([]int{1}, []int64{1})})
	axis := w.tensor("axis", onnx.Scalar[int64](0))
	one := w.tensor("one", onnx.Scalar[int64](1))
	w.shape = w.unsqueeze(w.node("Sub", []string{w.node("CumSum", []string{ones, axis}), one}), 1)
}

// last gives the index of the last step that counts at or before each, [T, B].
func (w *writer) last(x string) string {
	if w.before == "" {
		w.positions(x)
		one := w.tensor("one", onnx.Scalar[int64](1))
		end := w.node("Sub", []string{w.cast(w.count, onnx.Int64), one})
		w.before = w.node("Where", []string{w.node("Less", []string{w.shape, end}), w.shape, end})
	}
	return w.before
}

// spread moves packed steps back: to each step what belongs to the last step
// that counts.
func (w *writer) spread(packed string) string {
	if w.goal == "" {
		return packed
	}
	return w.gathered(packed)
}

func (w *writer) gathered(packed string) string {
	at := w.last(packed)
	zero := w.tensor("none", onnx.Scalar[int64](0))
	at = w.node("Where", []string{w.node("Less", []string{at, zero}), zero, at})
	at = w.node("Expand", []string{w.unsqueeze(at, 2), w.node("Shape", []string{packed})})
	return w.node("GatherElements", []string{packed, at}, attrI("axis", 0))
}

// hold gives at each step what belongs to the last step that counts, and
// before the first one the state's initial value.
func (w *writer) hold(packed string, state int) string {
	v := w.gathered(packed)
	zero := w.tensor("none", onnx.Scalar[int64](0))
	none := w.unsqueeze(w.node("Less", []string{w.last(packed), zero}), 2)
	initial := ""
	if w.outer.zero(w.vars[state].initial) {
		initial = w.scalar(w.elem, 0)
	} else {
		initial = w.start(state)
	}
	return w.node("Where", []string{none, initial, v})
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
	initial := w.start(state)
	if w.noSteps == "" {
		one := w.tensor("one", onnx.Scalar[int64](1))
		w.noSteps = w.unsqueeze(w.node("Less", []string{w.cast(w.count, onnx.Int64), one}), 1)
	}
	return w.node("Where", []string{w.noSteps, initial, v})
}
