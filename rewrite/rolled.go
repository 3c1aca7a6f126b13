package rewrite

import (
	"github.com/recur-ml/recur/onnx"
)

// rolled is a chain of unrolled steps whose operator is there: what the steps
// gave is taken from the operator's outputs.
type rolled struct {
	*reroller
	*facts
	*emitter
	*packing
	graph     *onnx.Graph
	read      *reader
	names     map[*expr]string
	chain     []*unrolledStep
	direction string
	named     map[*expr][]outputPlace // outputs by what they are, once wanted
}

// outputPlace is an output of a node.
type outputPlace struct {
	node   *onnx.Node
	output int
}

// outputs puts the operator's outputs in the place of the steps'.
func (w *rolled) outputs(out cellOutputs) {
	first, last := w.chain[0], w.chain[len(w.chain)-1]
	all := w.emitter.squeeze(out.y, 1)
	if first.mask == nil {
		list := w.each(func(s *unrolledStep) *expr { return s.output })
		w.replace(list[:len(list)-1], all)
		w.redefine(last.output, w.emitter.squeeze(out.h, 0))
		w.stack(list, all)
	} else {
		w.maskedOutputs(all, out)
	}
	if first.c != nil {
		w.redefine(w.read.after(last, last.memory, last.c), w.kept(w.emitter.squeeze(out.c, 0), first.c))
	}
}

// maskedOutputs does so for steps of which some do not count. There a step may
// show zeros, or what the last one that counts has shown: the state before all
// steps, or zeros, where there is none.
func (w *rolled) maskedOutputs(all string, out cellOutputs) {
	first := w.chain[0]
	var zeros []*expr // in the place of an output
	for _, e := range w.choices(first) {
		if old := w.old(first, e); isZero(old) || w.names[old] != "" && w.zero(w.names[old]) {
			zeros = append(zeros, old)
		}
	}
	for _, z := range zeros {
		list := w.each(func(s *unrolledStep) *expr { return w.read.after(s, s.output, z) })
		if w.anyNamed(list) {
			shown := all // zero beyond the lengths
			if w.goal != "" {
				shown = w.emitter.node("Where", []string{w.counting(all), w.spread(all), w.scalar(w.read.elem, 0)})
			}
			w.replace(list, shown)
			w.stack(list, shown)
		}
	}
	states := w.each(func(s *unrolledStep) *expr { return w.read.after(s, s.output, s.h) })
	w.redefine(states[len(states)-1], w.kept(w.emitter.squeeze(out.h, 0), first.h))
	if first.counts == nil {
		return
	}
	w.repeated(states, all, first.h)
	for _, z := range zeros {
		list := []*expr{}
		for k, s := range w.chain {
			before := z
			if k > 0 {
				before = list[k-1]
			}
			list = append(list, w.read.after(s, s.output, before))
		}
		w.repeated(list, all, z)
	}
}

// repeated replaces outputs that repeat what the last step that counts has
// shown.
func (w *rolled) repeated(list []*expr, all string, initial *expr) {
	if !w.anyNamed(list) {
		return
	}
	start := ""
	if initial == nil || isZero(initial) || w.zero(w.names[initial]) {
		start = w.scalar(w.read.elem, 0)
	} else {
		start = w.names[initial]
	}
	held := w.hold(all, start)
	w.replace(list, held)
	w.stack(list, held)
}

// each gives an expression of every step.
func (w *rolled) each(of func(*unrolledStep) *expr) []*expr {
	var list []*expr
	for _, s := range w.chain {
		list = append(list, of(s))
	}
	return list
}

// choices lists what the graph computes of a step's output where the step
// counts, and of something else where it does not, in a fixed order.
func (w *rolled) choices(s *unrolledStep) []*expr {
	var list []*expr
	for e := range w.names {
		if e.kind == exprSelect && e.args[0] == s.mask && (!s.negated && e.args[1] == s.output || s.negated && e.args[2] == s.output) {
			list = append(list, e)
		}
	}
	return canonicalArgs(list)
}

// old is what a choice gives where a step does not count.
func (w *rolled) old(s *unrolledStep, e *expr) *expr {
	if s.negated {
		return e.args[1]
	}
	return e.args[2]
}

// anyNamed reports whether the graph has a value of one of the expressions.
func (w *rolled) anyNamed(list []*expr) bool {
	for _, e := range list {
		if w.names[e] != "" {
			return true
		}
	}
	return false
}

// replace takes outputs of the first steps of the chain from all steps'.
func (w *rolled) replace(list []*expr, all string) {
	n := len(w.chain)
	for k, e := range list {
		if w.names[e] == "" {
			continue
		}
		place := int64(k)
		if w.direction == "reverse" {
			place = int64(n - 1 - k)
		}
		w.redefine(e, w.emitter.squeeze(w.emitter.slice(all, 0, place, place+1), 0))
	}
}

// redefine gives all names of an expression to a new value. What made them
// stays under another name, for nodes that nothing uses are dropped.
func (w *rolled) redefine(old *expr, value string) {
	if w.named == nil {
		w.named = map[*expr][]outputPlace{}
		for _, n := range w.graph.Nodes {
			for i, o := range n.Outputs {
				if e := w.read.env[o]; o != "" && e != nil {
					w.named[e] = append(w.named[e], outputPlace{n, i})
				}
			}
		}
	}
	for _, p := range w.named[old] {
		o := p.node.Outputs[p.output]
		p.node.Outputs[p.output] = w.reroller.fresh(o + "/unrolled")
		w.replaced[p.node.Outputs[p.output]] = true
		w.emitter.name(value, o)
	}
	delete(w.named, old)
}

// kept puts a state from before all steps in the rows without any step, where
// the operator gives zeros.
func (w *rolled) kept(v string, initial *expr) string {
	if w.chain[0].mask == nil || initial == nil || w.zero(w.names[initial]) {
		return v
	}
	return w.emitter.node("Where", []string{w.rowsWithout(), w.names[initial], v})
}

// stack replaces the stacking of outputs of all steps.
func (w *rolled) stack(list []*expr, all string) {
	if w.direction != "forward" {
		return
	}
	for _, n := range w.graph.Nodes {
		if n.OpType != "Concat" || n.Domain != "" || len(n.Inputs) != len(list) {
			continue
		}
		axis := attrInt(n, "axis", 0)
		matches := axis == 0 || axis == 1
		for k, in := range n.Inputs {
			u := w.makers[in]
			if !matches || u == nil || u.OpType != "Unsqueeze" || u.Domain != "" || w.read.lookup(u.Inputs[0]) != list[k] {
				matches = false
				break
			}
			axes, ok := listArg(u, []*expr{nil, w.read.lookupSecond(u)}, "axes", 1)
			matches = ok && len(axes) == 1 && axes[0] == axis
		}
		if !matches {
			continue
		}
		v := all
		if axis == 1 {
			v = w.emitter.transpose(all, 1, 0, 2)
		}
		o := n.Outputs[0]
		n.Outputs[0] = w.reroller.fresh(o + "/unrolled")
		w.emitter.name(v, o)
	}
}
