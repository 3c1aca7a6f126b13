package rewrite

import (
	"fmt"
	"math"
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// lift replaces a Loop or Scan that computes RNN, GRU or LSTM cells step by
// step by these operators. What is not exactly an operator's mathematics stays
// a loop; where a step only makes it of the cells' outputs, a loop of its own.
//
// Where the trip count is 0 a loop gives its initial states; the operators'
// final states are zeros then.
func lift(s *state) error {
	l := &lifter{state: s, analysis: ops.NewAnalysis(s.registry, s.model, s.limits)}
	return l.graph(s.model.Graph, nil)
}

type lifter struct {
	*state
	analysis *ops.Analysis
}

func (l *lifter) graph(g *onnx.Graph, outer *facts) error {
	if !hasLoop(g) {
		return nil
	}
	f, err := l.factsOf(l.analysis, g, outer)
	if err != nil {
		return err
	}
	uses := map[string]int{}
	countUses(g, uses)
	var nodes []*onnx.Node
	for _, n := range g.Nodes {
		if lp := loopOf(n); lp != nil {
			made, why := l.loop(g, f, lp, uses)
			if why == "" {
				nodes = append(nodes, made...)
				continue
			}
			l.left(n, why)
		}
		for _, sub := range n.Subgraphs() {
			if err := l.graph(sub, f); err != nil {
				return err
			}
		}
		nodes = append(nodes, n)
	}
	g.Nodes = nodes
	return nil
}

// hasLoop reports whether a graph, or one within it, has a Loop or Scan.
func hasLoop(g *onnx.Graph) bool {
	for _, n := range g.Nodes {
		if n.Domain == "" && (n.OpType == "Loop" || n.OpType == "Scan") {
			return true
		}
		for _, sub := range n.Subgraphs() {
			if hasLoop(sub) {
				return true
			}
		}
	}
	return false
}

// countUses counts how often each value is read, by nested graphs and as an
// output too.
func countUses(g *onnx.Graph, uses map[string]int) {
	for _, n := range g.Nodes {
		for _, in := range n.Inputs {
			uses[in]++
		}
		for _, sub := range n.Subgraphs() {
			countUses(sub, uses)
		}
	}
	for _, o := range g.Outputs {
		uses[o.Name]++
	}
}

// unliftable is why a loop stays a loop.
type unliftable string

func (u unliftable) Error() string { return string(u) }

func because(format string, args ...any) error { return unliftable(fmt.Sprintf(format, args...)) }

// loop gives the nodes that stand in for a loop, or says why there are none.
func (l *lifter) loop(g *onnx.Graph, f *facts, lp *loop, uses map[string]int) ([]*onnx.Node, string) {
	r, err := l.read(f, lp)
	if err == nil {
		r.uses = uses
		if err = r.solve(); err == nil {
			var nodes []*onnx.Node
			if nodes, err = r.emit(g); err == nil {
				if r.more != nil {
					l.left(r.more.written, "its cells have become operators, and this is what each step makes of them")
				}
				return nodes, ""
			}
		}
	}
	return nil, err.Error()
}

// recurrence is a loop in its own terms: sequences that are read a step at a
// time, states, and sequences that are written.
type recurrence struct {
	*reader
	lifter  *lifter
	loop    *loop
	reverse bool
	limits  []bound // the least of these is the number of steps; none: that of the sequences
	steps   ops.Sym // the number of steps, as far as it is known
	vars    []loopState
	outs    []*expr // scan outputs
	uses    map[string]int
	mask    *expr // holds at the steps that count, nil for all
	negated bool  // the mask holds at the steps that do not count
	cells   []*liftedCell
	more    *leftover // what is computed of the cells' outputs, nil for nothing
}

// loopState is a value that the loop carries.
type loopState struct {
	role    stateRole
	initial string
	expr    *expr // before the step
	next    *expr // after it
	fresh   *expr // after a step that counts
	start   int   // of a counter
	// A state that is a part of the columns of another one, which the loop
	// carries: parent is -1 for the loop's own states.
	parent, lo, hi int
}

type stateRole uint8

const (
	stateOther    stateRole = iota // not numbers of the cell
	stateCounter                   // start + number of the step
	stateConstant                  // never changes
	stateNumbers                   // numbers
	stateCell                      // h or c of a lifted cell
	stateCarrier                   // an output that is carried along to be repeated
	statePacked                    // states side by side, which are states of their own
)

// maxStates bounds the states of a loop: an expression has a bit for each.
const maxStates = 60

// read evaluates a loop's body.
func (l *lifter) read(f *facts, lp *loop) (*recurrence, error) {
	if lp.states > maxStates {
		return nil, because("%d states", lp.states)
	}
	opset := l.opsetOf(lp.node)
	if opset < 7 {
		return nil, because("opset %d", opset)
	}
	r := &recurrence{lifter: l, loop: lp}
	if err := r.directions(); err != nil {
		return nil, err
	}
	nodes, err := onnx.Sort(lp.body)
	if err != nil {
		return nil, err
	}
	counters, widths := r.counters(f), map[int][]int{}
	for {
		r.evaluate(f, nodes, counters, widths, opset)
		wrong := r.packed(widths)
		for i := range r.vars {
			if s := &r.vars[i]; s.role == stateCounter && (s.next.kind != exprCounter || s.next.index != s.start+1) {
				counters[i], wrong = false, true
			}
		}
		if !wrong {
			break
		}
	}
	return r, r.trips()
}

// directions reads which way a Scan goes: all its sequences the same one.
func (r *recurrence) directions() error {
	n := r.loop.node
	if n.OpType == "Loop" {
		return nil
	}
	forward, backward := 0, 0
	for _, name := range []string{"scan_input_directions", "scan_output_directions"} {
		count := r.loop.scanIns
		if name == "scan_output_directions" {
			count = len(r.loop.body.Outputs) - r.loop.states
		}
		a := n.Attr(name)
		if a == nil {
			forward += count
			continue
		}
		for _, d := range a.Ints {
			if d == 0 {
				forward++
			} else {
				backward++
			}
		}
	}
	if forward > 0 && backward > 0 {
		return because("sequences are scanned in both directions")
	}
	r.reverse = backward > 0
	for _, name := range []string{"scan_input_axes", "scan_output_axes"} {
		if a := n.Attr(name); a != nil {
			for _, x := range a.Ints {
				if x != 0 {
					return because("a sequence is scanned along axis %d", x)
				}
			}
		}
	}
	return nil
}

// counters tells which states may be counters: integers of rank 0 that start
// at a constant.
func (r *recurrence) counters(f *facts) map[int]bool {
	out := map[int]bool{}
	for i := range r.loop.states {
		k := f.constant(r.loop.node.Inputs[r.loop.nodeIn+i])
		if k == nil || k.rank() != 0 {
			continue
		}
		if t := k.tensor.DataType(); t == onnx.Int32 || t == onnx.Int64 {
			out[i] = true
		}
	}
	return out
}

// packed finds states that are several side by side, and adds the widths of
// their parts; false when there are no more.
func (r *recurrence) packed(widths map[int][]int) bool {
	found := false
	for i := range r.loop.states {
		s := &r.vars[i]
		if s.role != stateNumbers || widths[i] != nil || s.expr.rank != 2 {
			continue
		}
		next := s.next
		if next.kind == exprSelect {
			if next = next.args[1]; next == s.expr {
				next = s.next.args[2]
			}
		}
		if next.kind != exprConcat || next.width != s.expr.width || len(r.vars)+len(next.args) > maxStates {
			continue
		}
		list := []int{}
		for _, p := range next.args {
			list = append(list, p.width)
		}
		if !slices.Contains(list, -1) {
			widths[i], found = list, true
		}
	}
	return found
}

// evaluate reads the body with the given states taken for counters, and with
// those that have widths for several side by side.
func (r *recurrence) evaluate(f *facts, nodes []*onnx.Node, counters map[int]bool, widths map[int][]int, opset int) {
	lp := r.loop
	elem := onnx.Undefined
	for i := range lp.states {
		if t := f.typeOf(lp.node.Inputs[lp.nodeIn+i]); isFloat(t.Elem) && (t.Shape == nil || len(t.Shape) > 0) {
			elem = t.Elem
			break
		}
	}
	a := newAlgebra(elem)
	a.zeros = true
	r.reader = &reader{algebra: a, env: map[string]*expr{}, opset: opset, outer: f, inputs: map[string]int{}, whole: map[*expr]int64{}}
	for _, init := range lp.body.Initializers {
		if init.Tensor.External() == nil && init.Tensor.DataType() != onnx.String {
			r.env[init.Name] = r.fixed(innerView(init.Name, init.Tensor))
		}
	}
	makers := producers(lp.body)
	if lp.node.OpType == "Loop" {
		r.env[lp.body.Inputs[0].Name] = r.counter(0)
		if c := lp.node.Inputs[1]; c != "" {
			r.env[lp.body.Inputs[1].Name] = r.lookup(c)
		} else {
			r.env[lp.body.Inputs[1].Name] = r.fixed(viewOf("", onnx.Scalar(true)))
		}
	}
	r.vars = make([]loopState, lp.states)
	for i := range r.vars {
		s := &r.vars[i]
		s.parent = -1
		in := lp.body.Inputs[lp.bodyIn+i].Name
		s.initial = lp.node.Inputs[lp.nodeIn+i]
		info := f.info(s.initial)
		switch {
		case through(makers, lp.body.Outputs[lp.bodyOut+i].Name) == in:
			s.role = stateConstant
			r.env[in] = r.captured(s.initial)
			continue
		case counters[i]:
			s.role = stateCounter
			v, _ := wholeOf(info.Tensor())
			s.start = int(v)
			r.env[in] = r.counter(s.start)
			continue
		case isFloat(info.Type.Elem):
			s.role = stateNumbers
		}
		shape := info.Type.Shape
		if shape == nil {
			shape = lp.body.Inputs[lp.bodyIn+i].Type.Shape
		}
		e := expr{kind: exprState, index: i, width: -1, rank: -1}
		if shape != nil {
			if e.rank, e.width = len(shape), 1; e.rank > 0 {
				e.width = shape[e.rank-1].Value
			}
		}
		s.expr = r.intern(e)
		r.env[in] = s.expr
	}
	for i := range lp.states {
		if widths[i] == nil {
			continue
		}
		var parts []*expr
		at := 0
		for _, n := range widths[i] {
			e := r.intern(expr{kind: exprState, index: len(r.vars), width: n, rank: 2})
			parts = append(parts, e)
			r.vars = append(r.vars, loopState{role: stateNumbers, initial: r.vars[i].initial, expr: e, parent: i, lo: at, hi: at + n})
			at += n
		}
		r.vars[i].role, r.vars[i].expr = statePacked, r.concat(parts)
		r.env[lp.body.Inputs[lp.bodyIn+i].Name] = r.vars[i].expr
	}
	for k := range lp.scanIns {
		r.env[lp.body.Inputs[lp.scanInIdx+k].Name] = r.input(lp.node.Inputs[lp.states+k])
	}
	r.nodes(nodes)
	for i := range r.vars {
		s := &r.vars[i]
		if s.parent < 0 {
			s.next = r.lookup(lp.body.Outputs[lp.bodyOut+i].Name)
		} else {
			s.next = r.slice(r.vars[s.parent].next, s.lo, s.hi)
		}
	}
	r.outs = nil
	for _, o := range lp.body.Outputs[lp.bodyOut+lp.states:] {
		r.outs = append(r.outs, r.lookup(o.Name))
	}
}

func isFloat(d onnx.DataType) bool {
	return d == onnx.Float || d == onnx.Double || d == onnx.Float16 || d == onnx.BFloat16
}

// bound is an integer from outside the loop: what is known of it, and the
// value that it was cast or reshaped from.
type bound struct {
	sym  ops.Sym
	root string
}

func (b bound) same(o bound) bool {
	if b.sym.Known || o.sym.Known {
		return b.sym.Known && o.sym.Known && b.sym.Value == o.sym.Value
	}
	return b.sym.Name != "" && b.sym.Name == o.sym.Name || b.root != "" && b.root == o.root
}

// boundOf follows an integer to where it comes from.
func (f *facts) boundOf(name string) bound {
	b := bound{root: name}
	for range 100 {
		b.root = name
		info := f.info(name)
		if t := info.Tensor(); t != nil {
			if v, ok := wholeOf(t); ok {
				b.sym = ops.Int(v)
			}
			return b
		}
		if c := info.Content; c != nil && len(c.Elems) == 1 && (c.Elems[0].Known || c.Elems[0].Name != "") {
			b.sym = c.Elems[0]
			return b
		}
		n := f.maker(name)
		if n == nil || n.Domain != "" {
			return b
		}
		switch n.OpType {
		case "Cast", "Identity", "Squeeze", "Unsqueeze", "Reshape":
			name = n.Inputs[0]
		default:
			return b
		}
	}
	return b
}

// bound gives an expression as an integer from outside.
func (r *recurrence) bound(e *expr) (bound, bool) {
	if v, ok := r.whole[e]; ok {
		return bound{sym: ops.Int(v)}, true
	}
	if e.kind == exprOuter {
		return r.outer.boundOf(e.name), true
	}
	return bound{}, false
}

// trips proves how many steps the loop makes.
func (r *recurrence) trips() error {
	n := r.loop.node
	if n.OpType == "Scan" {
		return nil
	}
	var least []bound // the number of steps is the least of these
	add := func(b bound) {
		if !slices.ContainsFunc(least, b.same) {
			least = append(least, b)
		}
	}
	// What the condition bounds after the first step.
	var after [2][]bound
	if err := r.condition(r.lookup(r.loop.body.Outputs[0].Name), &after); err != nil {
		return err
	}
	if m := n.Inputs[0]; m != "" {
		b := r.outer.boundOf(m)
		// One that no tensor reaches is as good as none.
		if !b.sym.Known || b.sym.Value < math.MaxInt32 || len(after[0])+len(after[1]) == 0 {
			add(b)
		}
	}
	bounded := len(least)
	for _, b := range after[1] {
		add(b)
	}
	if len(least) == 0 {
		return because("the number of steps is not bounded")
	}
	for _, b := range after[0] {
		if !slices.ContainsFunc(least, b.same) {
			return because("the number of steps cannot be told from the condition")
		}
	}
	// A bound of the condition holds for the first step if the first condition
	// says so.
	var proved []bound
	if c := n.Inputs[1]; c != "" {
		if err := r.starts(c, least, &proved); err != nil {
			return err
		}
	}
	for _, b := range least[bounded:] {
		if (!b.sym.Known || b.sym.Value < 1) && !slices.ContainsFunc(proved, b.same) {
			return because("the first step is made whatever the condition says")
		}
	}
	return r.setSteps(least)
}

// setSteps takes the least of the bounds for the number of steps.
func (r *recurrence) setSteps(least []bound) error {
	var fixed *bound
	for i, b := range least {
		if b.sym.Known {
			if b.sym.Value < 1 {
				return because("it makes no step")
			}
			if fixed == nil || b.sym.Value < fixed.sym.Value {
				fixed = &least[i]
			}
			continue
		}
		if t := r.outer.typeOf(b.root).Elem; t != onnx.Int32 && t != onnx.Int64 {
			return because("the number of steps is of type %v", t)
		}
		r.limits = append(r.limits, b)
		r.steps = b.sym
	}
	if fixed != nil {
		r.limits = append(r.limits, *fixed)
		r.steps = fixed.sym
	}
	if len(r.limits) > 1 {
		r.steps = ops.Sym{}
	}
	return nil
}

// condition reads what is to hold for the loop to go on after a step, number i:
// i + k < b. Such a b is put in list k.
func (r *recurrence) condition(e *expr, after *[2][]bound) error {
	switch {
	case e.kind == exprAnd:
		for _, x := range e.args {
			if err := r.condition(x, after); err != nil {
				return err
			}
		}
		return nil
	case isTrue(e):
		return nil
	case e.kind == exprLess && e.args[0].kind == exprCounter && (e.args[0].index == 0 || e.args[0].index == 1):
		if b, ok := r.bound(e.args[1]); ok {
			k := e.args[0].index
			after[k] = append(after[k], b)
			return nil
		}
	}
	return because("the condition depends on more than the number of the step")
}

// starts proves that a loop's first condition is that there is a step to make:
// it holds where each of some bounds is above 0. These are added to proved.
func (r *recurrence) starts(name string, least []bound, proved *[]bound) error {
	for range 10 {
		if t := r.outer.info(name).Tensor(); t != nil && t.DataType() == onnx.Bool && t.Len() == 1 && t.External() == nil && onnx.Elements[bool](t)[0] {
			return nil
		}
		n := r.outer.maker(name)
		if n == nil || n.Domain != "" {
			break
		}
		switch n.OpType {
		case "Identity":
			name = n.Inputs[0]
			continue
		case "And":
			if err := r.starts(n.Inputs[0], least, proved); err != nil || n.Inputs[0] == n.Inputs[1] {
				return err
			}
			name = n.Inputs[1]
			continue
		case "Less":
			zero, b := r.outer.boundOf(n.Inputs[0]), r.outer.boundOf(n.Inputs[1])
			if zero.sym.Known && zero.sym.Value == 0 && slices.ContainsFunc(least, b.same) {
				*proved = append(*proved, b)
				return nil
			}
		}
		break
	}
	return because("whether the first step is made is not known")
}

// isTrue reports whether e is a constant that holds.
func isTrue(e *expr) bool {
	if e.k == nil || e.k.tensor.DataType() != onnx.Bool {
		return false
	}
	for _, o := range e.k.offsets() {
		if !onnx.Elements[bool](e.k.tensor)[o] {
			return false
		}
	}
	return true
}
