package rewrite

import "slices"

// cell is a step of a recurrent operator, found in expressions.
type cell struct {
	op          string // RNN, GRU or LSTM
	functions   []function
	gates       []gate // in the operator's order
	inputs      []*expr
	hidden      int
	afterReset  bool // linear_before_reset
	inputForget bool
	// The new output, which the operator's Y holds, and for LSTM the new cell
	// state.
	output, memory *expr
}

// function is an activation function with its numbers.
type function struct {
	name        string
	alpha, beta float64
}

// The functions that the recurrent operators know.
var cellFunctions = map[string]bool{
	"Relu": true, "Tanh": true, "Sigmoid": true, "Affine": true, "LeakyRelu": true, "ThresholdedRelu": true,
	"ScaledTanh": true, "HardSigmoid": true, "Elu": true, "Softsign": true, "Softplus": true,
}

// gate is what one gate adds up: products of the inputs and of the state with
// constant matrices, and constants.
type gate struct {
	inputs   map[*expr]*view
	state    *view
	bias     []*expr // constants
	inner    []*expr // constants within the product with the reset gate
	peephole *view
}

// matcher looks for a cell with given states.
type matcher struct {
	*algebra
	h, c *expr // the states; c nil but for LSTM
	// free reports whether an expression may be an input of the cell.
	free   func(*expr) bool
	inputs []*expr // in the order in which they are found
	hidden int
}

// activated takes an activation function off; without one it is Affine.
func activated(e *expr) (function, *expr, bool) {
	if e.kind == exprUnary {
		return function{e.name, e.alpha, e.beta}, e.args[0], cellFunctions[e.name]
	}
	return function{"Affine", 1, 0}, e, e.kind == exprSum || e.kind == exprMatMul
}

// terms lists what a sum adds up.
func terms(e *expr) []*expr {
	if e.kind == exprSum {
		return e.args
	}
	return []*expr{e}
}

// factors splits a product.
func factors(e *expr) []*expr {
	if e.kind == exprProd {
		return e.args
	}
	return []*expr{e}
}

// without gives the product of all factors of e but one; nil when that is not
// one of them.
func (a *algebra) without(e, factor *expr) *expr {
	f := factors(e)
	i := slices.Index(f, factor)
	if i < 0 || len(f) < 2 {
		return nil
	}
	return a.prod(slices.Delete(slices.Clone(f), i, i+1)...)
}

// constFactor splits a product of one expression and one constant vector.
func constFactor(e *expr) (*expr, *view) {
	f := factors(e)
	if len(f) != 2 {
		return nil, nil
	}
	for i, x := range f {
		if x.kind == exprConst && x.k != nil && x.k.rank() >= 1 {
			return f[1-i], x.k
		}
	}
	return nil, nil
}

// vector gives a constant of one row as a view of rank 1; nil when e is none.
func (m *matcher) vector(v *view) *view {
	for v.rank() > 1 && v.size(0) == 1 {
		v = v.squeeze(0)
	}
	if v.rank() == 1 && v.size(0) == m.hidden {
		return v
	}
	return nil
}

// gate reads what a gate adds up. memory is the cell state that a peephole may
// see; reset, which may be nil, is the gate that the state may be multiplied
// by before its product; within says that the product is multiplied by it.
func (m *matcher) gate(e, memory, reset *expr, within bool) (*gate, bool) {
	g := &gate{inputs: map[*expr]*view{}}
	for _, t := range terms(e) {
		if !m.term(g, t, memory, reset, within) {
			return nil, false
		}
	}
	return g, true
}

func (m *matcher) term(g *gate, t, memory, reset *expr, within bool) bool {
	switch t.kind {
	case exprConst:
		if t.k != nil && t.k.rank() > 0 && m.vector(t.k) == nil && t.k.len() != 1 {
			return false
		}
		g.bias = append(g.bias, t)
		return true
	case exprMatMul:
		if t.k.size(1) != m.hidden {
			return false
		}
		arg := t.args[0]
		switch {
		case arg == m.h && (reset == nil), reset != nil && !within && arg == m.prod(reset, m.h):
			if g.state != nil || t.k.size(0) != m.hidden {
				return false
			}
			g.state = t.k
			return true
		case m.free(arg):
			if g.inputs[arg] != nil {
				return false
			}
			g.inputs[arg] = t.k
			if !slices.Contains(m.inputs, arg) {
				m.inputs = append(m.inputs, arg)
			}
			return true
		}
		return false
	case exprProd:
		if reset != nil && within {
			inner := m.without(t, reset)
			if inner == nil || g.state != nil {
				return false
			}
			for _, x := range terms(inner) {
				switch {
				case x.kind == exprConst && (x.k == nil || x.k.rank() == 0 || m.vector(x.k) != nil):
					g.inner = append(g.inner, x)
				case x.kind == exprMatMul && x.args[0] == m.h && g.state == nil && x.k.size(0) == m.hidden && x.k.size(1) == m.hidden:
					g.state = x.k
				default:
					return false
				}
			}
			return g.state != nil
		}
		if x, k := constFactor(t); memory != nil && x == memory && g.peephole == nil && m.vector(k) != nil {
			g.peephole = m.vector(k)
			return true
		}
	}
	return false
}

// attempt runs a match that may fail after it has seen inputs.
func (m *matcher) attempt(f func() *cell) *cell {
	before := m.inputs
	c := f()
	if c == nil {
		m.inputs = before
		return nil
	}
	c.inputs, c.hidden = m.inputs, m.hidden
	if len(c.inputs) == 0 {
		return nil
	}
	return c
}

// rnn matches h' = f(x·W + h·R + b).
func (m *matcher) rnn(next *expr) *cell {
	return m.attempt(func() *cell {
		f, s, ok := activated(next)
		if !ok {
			return nil
		}
		g, ok := m.gate(s, nil, nil, false)
		if !ok || g.state == nil {
			return nil
		}
		return &cell{op: "RNN", functions: []function{f}, gates: []gate{*g}, output: next}
	})
}

// gru matches h' = z*h + (1-z)*n.
func (m *matcher) gru(next *expr) *cell {
	if next.kind != exprSum || len(next.args) != 2 {
		return nil
	}
	for i, p := range next.args {
		z := m.without(p, m.h)
		if z == nil {
			continue
		}
		other := next.args[1-i]
		// h' = n + z*(h - n) and h' = h + u*(n - h) are not of this form.
		w := m.oneMinus(z)
		for _, f := range factors(other) {
			if f != w {
				continue
			}
			if n := m.without(other, w); n != nil {
				if c := m.attempt(func() *cell { return m.gruOf(next, z, n) }); c != nil {
					return c
				}
			}
		}
	}
	return nil
}

// gruOf matches a GRU with the update gate z and the candidate n.
func (m *matcher) gruOf(next, z, n *expr) *cell {
	negated := false
	if z.kind != exprUnary {
		// z = 1 - u, and 1 - f(x) = f(-x) for the functions that are
		// symmetrical about 1/2.
		u := m.oneMinus(z)
		if u.kind != exprUnary || u.name != "Sigmoid" && (u.name != "HardSigmoid" || u.beta != 0.5) {
			return nil
		}
		z, negated = u, true
	}
	f, zs, ok := activated(z)
	if !ok {
		return nil
	}
	zg, ok := m.gate(zs, nil, nil, false)
	if !ok || zg.state == nil {
		return nil
	}
	if negated {
		zg = m.negated(zg)
	}
	g, ns, ok := activated(n)
	if !ok {
		return nil
	}
	for _, reset := range resets(ns, f.name, m.h) {
		rf, rs, ok := activated(reset)
		if !ok || rf != f {
			continue
		}
		for _, within := range []bool{false, true} {
			before := m.inputs
			rg, ok := m.gate(rs, nil, nil, false)
			if !ok || rg.state == nil {
				m.inputs = before
				continue
			}
			ng, ok := m.gate(ns, nil, reset, within)
			if !ok || ng.state == nil {
				m.inputs = before
				continue
			}
			return &cell{op: "GRU", functions: []function{f, g}, gates: []gate{*zg, *rg, *ng}, afterReset: within, output: next}
		}
	}
	return nil
}

// resets lists what may be the reset gate in the sum of a candidate: factors
// that are the wanted function of something.
func resets(sum *expr, name string, h *expr) []*expr {
	var out []*expr
	look := func(e *expr) {
		for _, f := range factors(e) {
			if f.kind == exprUnary && f.name == name && f != h && !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	for _, t := range terms(sum) {
		switch t.kind {
		case exprProd:
			look(t)
		case exprMatMul:
			if t.args[0].kind == exprProd {
				look(t.args[0])
			}
		}
	}
	return out
}

// negated changes the sign of all that a gate adds up.
func (m *matcher) negated(g *gate) *gate {
	out := &gate{inputs: map[*expr]*view{}, state: g.state.negate()}
	for x, k := range g.inputs {
		out.inputs[x] = k.negate()
	}
	for _, b := range g.bias {
		if b.k == nil {
			out.bias = append(out.bias, m.number(-b.alpha))
		} else {
			out.bias = append(out.bias, m.constant(b.k.negate()))
		}
	}
	return out
}

// lstm matches c' = f*c + i*g and h' = o*a(c').
func (m *matcher) lstm(next, memory *expr) *cell {
	if next.kind != exprProd || len(next.args) != 2 || memory.kind != exprSum || len(memory.args) != 2 {
		return nil
	}
	for k, a := range next.args {
		hf := function{"Affine", 1, 0}
		if a.kind == exprUnary && a.args[0] == memory {
			hf = function{a.name, a.alpha, a.beta}
		} else if a != memory {
			continue
		}
		if !cellFunctions[hf.name] {
			continue
		}
		o := next.args[1-k]
		for j, kept := range memory.args {
			f := m.without(kept, m.c)
			if f == nil {
				continue
			}
			added := factors(memory.args[1-j])
			if len(added) != 2 {
				continue
			}
			for i := range added {
				c := m.attempt(func() *cell { return m.lstmOf(memory, o, added[i], f, added[1-i], hf) })
				if c != nil {
					c.output, c.memory = next, memory
					return c
				}
			}
		}
	}
	return nil
}

func (m *matcher) lstmOf(memory, o, i, f, g *expr, hf function) *cell {
	of, os, ok1 := activated(o)
	inf, is, ok2 := activated(i)
	gf, gs, ok3 := activated(g)
	if !ok1 || !ok2 || !ok3 || of != inf {
		return nil
	}
	coupled := f == m.oneMinus(i)
	ff, fs := inf, is
	if !coupled {
		var ok bool
		if ff, fs, ok = activated(f); !ok || ff != inf {
			return nil
		}
	}
	c := &cell{op: "LSTM", functions: []function{inf, gf, hf}, inputForget: coupled}
	states := 0
	for k, s := range []*expr{is, os, fs, gs} {
		if k == 2 && coupled {
			c.gates = append(c.gates, gate{inputs: map[*expr]*view{}})
			continue
		}
		seen := []*expr{m.c, memory, m.c, nil}[k]
		g, ok := m.gate(s, seen, nil, false)
		if !ok {
			return nil
		}
		if g.state != nil {
			states++
		}
		c.gates = append(c.gates, *g)
	}
	if states == 0 {
		return nil
	}
	return c
}
