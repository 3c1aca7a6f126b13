package rewrite

import (
	"fmt"
	"slices"
	"strings"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// reroll replaces recurrent cells that are written out step after step by one
// operator: cells that share their weights, are chained by their states, and
// read one after the other the steps of one tensor.
func reroll(s *state) error {
	r := &reroller{state: s, analysis: ops.NewAnalysis(s.registry, s.model, s.limits), replaced: map[string]bool{}}
	return r.graph(s.model.Graph, nil)
}

type reroller struct {
	*state
	analysis *ops.Analysis
	// replaced holds the new names of values that operators give now: what
	// made them may live on for values that are used besides.
	replaced map[string]bool
}

// maxReroll bounds the layers of one graph, which are found one at a time: a
// layer's input may be what another one gives.
const maxReroll = 64

func (r *reroller) graph(g *onnx.Graph, outer *facts) error {
	f, err := r.factsOf(r.analysis, g, outer)
	if err != nil {
		return err
	}
	for range changes(g, maxReroll) {
		if !twoProducts(g) || !r.layer(g, f) {
			break
		}
		dropGraph(g)
		if g.Nodes, err = onnx.Sort(g); err != nil {
			return err
		}
		if f, err = r.factsOf(r.analysis, g, outer); err != nil {
			return err
		}
	}
	for _, n := range g.Nodes {
		for _, sub := range n.Subgraphs() {
			if err := r.graph(sub, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// twoProducts reports whether a graph, branches of an If included, has more
// than one matrix product, which an unrolled layer has.
func twoProducts(g *onnx.Graph) bool { return len(products(g, nil)) > 1 }

// products lists the matrix products of a graph and of the branches in it.
func products(g *onnx.Graph, list []*onnx.Node) []*onnx.Node {
	for _, n := range g.Nodes {
		if n.Domain != "" {
			continue
		}
		switch n.OpType {
		case "MatMul", "Gemm":
			list = append(list, n)
		case "If":
			for _, sub := range n.Subgraphs() {
				list = products(sub, list)
			}
		}
	}
	return list
}

// unrolledStep is a cell found in a graph, with the states that it starts from;
// h is nil where there is none, which means zeros. Where rows keep their states
// at steps that do not count, mask tells at which. If that is from a row's
// length on, lengths has those, and place is the number of the step that they
// are compared with; else counts is the step of a sequence of masks.
type unrolledStep struct {
	*cell
	h, c    *expr
	key     string
	mask    *expr
	negated bool // the mask holds at the steps that do not count
	lengths *expr
	place   int64
	counts  *expr
}

// masks reads the mask that a step is subject to, a step of a sequence of
// them; nil when it is none.
func (r *reader) masks(mask *expr) *expr {
	rank := 2
	if mask.kind == exprColumn {
		mask, rank = mask.args[0], 1
	}
	if mask.kind != exprInput || mask.name != "bool" || mask.rank != rank || rank == 2 && mask.width != 1 || r.opset < 11 {
		return nil
	}
	return mask
}

// limit reads the mask that a step is subject to.
func (r *reader) limit(mask *expr) (lengths *expr, place int64, ok bool) {
	if mask.kind != exprColumn || mask.args[0].kind != exprLess {
		return nil, 0, false
	}
	m := mask.args[0]
	if place, ok = r.whole[m.args[0]]; !ok || m.args[1].rank != 1 {
		return nil, 0, false
	}
	return m.args[1], place, true
}

// after is a state of which fresh is the new value of a step that started
// from old.
func (r *reader) after(s *unrolledStep, fresh, old *expr) *expr {
	if s.mask == nil {
		return fresh
	}
	if s.negated {
		return r.choose(s.mask, old, fresh)
	}
	return r.choose(s.mask, fresh, old)
}

// limited gives the step with the mask that e, a choice between the step's new
// state and the one before, applies; nil when it is none.
func (r *reader) limited(s *unrolledStep, e *expr) *unrolledStep {
	c := *s
	c.mask, c.negated = e.args[0], e.args[2] == s.output
	if r.after(&c, s.output, s.h) != e {
		return nil
	}
	var ok bool
	if c.lengths, c.place, ok = r.limit(c.mask); ok && !c.negated {
		return &c
	}
	c.lengths = nil
	if c.counts = r.masks(c.mask); c.counts == nil {
		return nil
	}
	return &c
}

// layer finds one unrolled layer and replaces it.
func (r *reroller) layer(g *onnx.Graph, f *facts) bool {
	read := &reader{algebra: newAlgebra(productType(g, f)), env: map[string]*expr{}, outer: f, inside: f, inputs: map[string]int{}, whole: map[*expr]int64{}}
	if len(g.Nodes) == 0 || !isFloat(read.elem) {
		return false
	}
	if read.opset = r.opsetOf(g.Nodes[0]); read.opset < 7 || read.elem == onnx.BFloat16 && read.opset < 22 {
		return false
	}
	read.nodes(g.Nodes)
	names := map[*expr]string{}
	for name, e := range read.env {
		if old, ok := names[e]; !ok || name < old {
			names[e] = name
		}
	}
	steps := map[*expr][]*unrolledStep{} // by the state that the step leaves
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			e := read.env[o]
			if e == nil || steps[e] != nil {
				continue
			}
			if e.kind != exprSelect {
				steps[e] = read.stepCells(e)
				continue
			}
			for _, fresh := range e.args[1:] {
				for _, s := range read.stepCells(fresh) {
					if s = read.limited(s, e); s != nil && read.opset >= 9 {
						steps[e] = append(steps[e], s)
					}
				}
			}
		}
	}
	followed := map[*unrolledStep]bool{}
	for _, list := range steps {
		for _, s := range list {
			if p := read.before(s, steps); p != nil {
				followed[p] = true
			}
		}
	}
	for _, n := range slices.Backward(g.Nodes) {
		for _, o := range n.Outputs {
			for _, last := range steps[read.env[o]] {
				if followed[last] || r.replaced[o] {
					continue
				}
				if chain := read.chain(last, steps); len(chain) > 1 && r.replace(g, f, n, read, chain, names) {
					return true
				}
			}
		}
	}
	return false
}

// productType is the element type of a graph's matrix products.
func productType(g *onnx.Graph, f *facts) onnx.DataType {
	for _, n := range products(g, nil) {
		for _, in := range n.Inputs {
			if t := f.typeOf(in).Elem; t != onnx.Undefined {
				return t
			}
		}
	}
	return onnx.Undefined
}

// stepFree reports whether an expression may be what an unrolled cell reads:
// a step of a tensor, or an input of the graph.
func (r *reader) stepFree(x *expr) bool {
	return x.rank == 2 && (x.kind == exprInput || x.kind == exprOuter && r.outer.typeOf(x.name).Elem == r.elem && r.outer.maker(x.name) == nil)
}

// stepCells finds the cells that give e.
func (r *reader) stepCells(e *expr) []*unrolledStep {
	if e.width < 1 {
		return nil
	}
	var out []*unrolledStep
	m := &matcher{algebra: r.algebra, hidden: e.width}
	m.free = func(x *expr) bool { return x != m.h && r.stepFree(x) }
	add := func(c *cell) bool {
		if c == nil {
			return false
		}
		out = append(out, &unrolledStep{cell: c, h: m.h, c: m.c, key: c.key()})
		m.inputs = nil
		return true
	}
	for _, h := range productArgs(e, 4) {
		m.h, m.c = h, nil
		if !add(m.gru(e)) {
			add(m.rnn(e))
		}
		if e.kind != exprProd {
			continue
		}
		for _, a := range e.args {
			memory := a
			if a.kind == exprUnary {
				memory = a.args[0]
			}
			if memory.kind != exprSum || len(memory.args) != 2 {
				continue
			}
			for _, p := range memory.args {
				for _, c := range factors(p) {
					if m.c = c; c.kind != exprConst && c != e {
						add(m.lstm(e, memory))
					}
				}
			}
		}
	}
	return out
}

// firstStep finds the step before s where the state is zeros and was left out:
// the same function of the input's product alone.
func (r *reader) firstStep(s *unrolledStep) *unrolledStep {
	if s.op != "RNN" || s.h == nil || s.h.kind == exprState {
		return nil
	}
	f, sum, ok := activated(s.h)
	if !ok || f != s.functions[0] {
		return nil
	}
	m := &matcher{algebra: r.algebra, hidden: s.hidden, free: r.stepFree}
	g, ok := m.gate(sum, nil, nil, false)
	if !ok || g.state != nil || len(m.inputs) != len(s.inputs) {
		return nil
	}
	g.state = s.gates[0].state
	c := &cell{op: "RNN", functions: s.functions, gates: []gate{*g}, inputs: m.inputs, hidden: s.hidden, output: s.h}
	p := &unrolledStep{cell: c, key: c.key()}
	if !r.follows(p, s) {
		return nil
	}
	return p
}

// productArgs lists what is multiplied by matrices near the root of an
// expression, but steps of sequences.
func productArgs(e *expr, depth int) []*expr {
	var out []*expr
	var walk func(e *expr, depth int)
	walk = func(e *expr, depth int) {
		if e.kind == exprMatMul {
			if a := e.args[0]; a.kind != exprInput && a.kind != exprProd && !slices.Contains(out, a) {
				out = append(out, a)
			} else if a.kind == exprProd && !slices.Contains(out, a) {
				out = append(out, a)
				for _, f := range a.args {
					if f.kind != exprUnary && !slices.Contains(out, f) {
						out = append(out, f)
					}
				}
			}
			return
		}
		if depth > 0 && (e.kind == exprSum || e.kind == exprProd || e.kind == exprUnary) {
			for _, x := range e.args {
				walk(x, depth-1)
			}
		}
	}
	walk(e, depth)
	return out
}

// key tells cells of different weights or functions apart.
func (c *cell) key() string {
	var b strings.Builder
	fmt.Fprint(&b, c.op, c.functions, c.afterReset, c.inputForget, len(c.inputs))
	view := func(v *view) {
		if v != nil {
			b.WriteString(v.key())
		}
		b.WriteByte(';')
	}
	for _, g := range c.gates {
		for _, x := range c.inputs {
			view(g.inputs[x])
		}
		view(g.state)
		view(g.peephole)
		for _, list := range [][]*expr{g.bias, g.inner} {
			for _, x := range list {
				fmt.Fprint(&b, x.id, " ")
			}
			b.WriteByte('|')
		}
	}
	return b.String()
}

// follows reports whether next is the step after s.
func (r *reader) follows(s, next *unrolledStep) bool {
	if s.key != next.key || next.h == nil || s.lengths != next.lengths || s.lengths != nil && next.place != s.place+1 ||
		(s.counts == nil) != (next.counts == nil) || s.negated != next.negated {
		return false
	}
	return r.after(s, s.output, s.h) == next.h && (s.c == nil || r.after(s, s.memory, s.c) == next.c)
}

// before gives the step that s follows, nil when there is none.
func (r *reader) before(s *unrolledStep, steps map[*expr][]*unrolledStep) *unrolledStep {
	for _, p := range steps[s.h] {
		if r.follows(p, s) {
			return p
		}
	}
	return nil
}

// chain lists the steps up to last, first one first: as far back as they read
// neighbouring steps of the same tensors, or each an input of the graph.
func (r *reader) chain(last *unrolledStep, steps map[*expr][]*unrolledStep) []*unrolledStep {
	chain := []*unrolledStep{last}
	direction := 0
	for s := last; s.h != nil; {
		p := r.before(s, steps)
		if p == nil {
			p = r.firstStep(s)
		}
		if p == nil {
			break
		}
		d := stride(p, s)
		if d == 0 || direction != 0 && d != direction {
			break
		}
		direction = d
		chain = append(chain, p)
		s = p
	}
	slices.Reverse(chain)
	return chain
}

// stride tells how the inputs of two steps lie to one another: 1 forward, -1
// backward, 2 for inputs of the graph, 0 for anything else.
func stride(p, s *unrolledStep) int {
	d := 0
	for i := range s.inputs {
		x, y := p.inputs[i], s.inputs[i]
		k := 2
		switch {
		case x.kind != y.kind || x.width != y.width:
			return 0
		case x.kind == exprInput:
			if k = y.index - x.index; x.args[0] != y.args[0] || x.hi != y.hi || k != 1 && k != -1 {
				return 0
			}
		}
		if i > 0 && k != d {
			return 0
		}
		d = k
	}
	if x, y := p.counts, s.counts; x != nil && (x.args[0] != y.args[0] || x.hi != y.hi || y.index-x.index != d || d == 2) {
		return 0
	}
	return d
}

// replace puts an operator in the place of a chain of steps.
func (r *reroller) replace(g *onnx.Graph, f *facts, at *onnx.Node, read *reader, chain []*unrolledStep, names map[*expr]string) bool {
	e := r.emitter(g, at)
	first, last := chain[0], chain[len(chain)-1]
	n := len(chain)
	direction := "forward"
	separate := first.inputs[0].kind == exprOuter
	if !separate && chain[1].inputs[0].index < first.inputs[0].index {
		direction = "reverse"
	}
	if first.h != nil && names[first.h] == "" || first.c != nil && names[first.c] == "" {
		return false
	}
	var parts []string
	var batch onnx.Dim
	for i, x := range first.inputs {
		if separate {
			// The operator wants as many rows of each; so do the steps, but
			// for a batch of one that is repeated.
			var rows []string
			for _, s := range chain {
				rows = append(rows, e.unsqueeze(s.inputs[i].name, 0))
			}
			parts = append(parts, e.concat(0, rows...))
			batch = f.typeOf(x.name).Shape[0]
			continue
		}
		source := names[x.args[0]]
		shape := f.typeOf(source).Shape
		if source == "" || len(shape) != 3 || x.hi > 1 || f.typeOf(source).Elem != read.elem {
			return false
		}
		if i == 0 {
			batch = shape[1-x.hi]
		}
		parts = append(parts, e.stretch(f, source, x, last.inputs[i], n))
	}
	in := cellInputs{x: e.concat(2, parts...)}
	p := &packing{emitter: e}
	if m := first.counts; m != nil {
		source := names[m.args[0]]
		if source == "" || m.hi > 1 || len(f.typeOf(source).Shape) != m.rank+1 {
			return false
		}
		mask := e.stretch(f, source, m, last.counts, n)
		if m.rank == 2 {
			mask = e.squeeze(mask, 2)
		}
		if first.negated {
			mask = e.node("Not", []string{mask})
		}
		p.prepare(mask, direction == "reverse")
		in.x, in.lengths = p.pack(in.x), p.count
	}
	if first.lengths != nil {
		name := names[first.lengths]
		if t := f.typeOf(name).Elem; first.place != 0 || direction != "forward" || t != onnx.Int32 && t != onnx.Int64 {
			return false
		}
		in.lengths = e.clipLengths(name, in.x, onnx.Fixed(n))
		p.count = in.lengths
	}
	if first.h != nil {
		in.initialH = e.initialOf(f, names[first.h], batch, first.hidden, in.x)
	}
	if first.c != nil {
		in.initialC = e.initialOf(f, names[first.c], batch, first.hidden, in.x)
	}
	out, err := e.cell(first.cell, read.elem, in, direction)
	if err != nil || e.lacks != "" {
		return false
	}
	rows := &rolled{reroller: r, graph: g, facts: f, emitter: e, packing: p, read: read, names: names, chain: chain, direction: direction}
	rows.outputs(out)
	g.Nodes = append(g.Nodes, e.finish()...)
	return true
}

// stretch gives the steps that a chain reads of a sequence, in their order in
// it: first and last are what its ends read. The steps come first.
func (e *emitter) stretch(f *facts, source string, first, last *expr, n int) string {
	shape := f.typeOf(source).Shape
	lo := min(first.index, last.index)
	if lo != 0 || shape[first.hi].Value != n {
		source = e.slice(source, int64(first.hi), int64(lo), int64(lo+n))
	}
	if first.hi == 1 {
		source = e.transpose(source, []int64{1, 0, 2}[:len(shape)]...)
	}
	return source
}

// initialOf gives an initial state as [1, B, H]; "" for zeros.
func (e *emitter) initialOf(f *facts, name string, batch onnx.Dim, hidden int, x string) string {
	if f.zero(name) {
		return ""
	}
	return e.oneEach(name, f.typeOf(name).Shape, batch, hidden, x)
}

// redefine gives all names of an expression to a new value. What made them
// stays under another name, for nodes that nothing uses are dropped.
func (r *reroller) redefine(g *onnx.Graph, e *emitter, read *reader, old *expr, value string) {
	for _, n := range g.Nodes {
		for i, o := range n.Outputs {
			if o != "" && read.env[o] == old {
				n.Outputs[i] = r.fresh(o + "/unrolled")
				r.replaced[n.Outputs[i]] = true
				e.name(value, o)
			}
		}
	}
}

// lookupSecond gives the expression of a node's second input, nil without one.
func (r *reader) lookupSecond(n *onnx.Node) *expr {
	if len(n.Inputs) < 2 {
		return nil
	}
	return r.lookup(n.Inputs[1])
}
