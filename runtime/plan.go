package runtime

import (
	"errors"
	"slices"
	"sync/atomic"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// program is a graph made ready to run: the model's, or a body.
type program struct {
	slots    int
	steps    []step
	inputs   []int // slot of each formal input
	outputs  []int // slot of each graph output
	names    []string
	consts   []constant
	captures []capture // values of the graph around that are used here
	maxIn    int
	maxOut   int
	isOutput []bool     // by slot: values that the caller of a model gets
	lasting  []int      // slots of the program's own values that no step frees
	defaults []constant // those of consts whose slots are inputs
}

// constant is an initializer in its slot.
type constant struct {
	slot  int
	value onnx.Value
}

// capture says that a slot here is a slot of the enclosing program.
type capture struct{ outer, slot int }

// step runs one node.
type step struct {
	node    *onnx.Node
	since   int
	kernel  ops.Kernel
	in, out []int  // slots, -1 where absent
	free    []int  // slots whose last use this is
	dies    uint64 // bit k: input k is in free and is nothing else's here
	types   []onnx.Type
	checks  []outputCheck
	symbols []symbolCheck
	bodies  []body
	view    *view // what makes the output without the kernel, else nil
}

// view says that of an input of a shape the output is a view of another shape.
type view struct{ in, out []int }

// viewOf gives the view that a step's kernel makes, nil where it may make
// something else.
func (s *step) viewOf(rank int) *view {
	k, ok := s.kernel.(ops.Viewer)
	if !ok || len(s.out) != 1 || s.out[0] < 0 || len(s.in) == 0 || s.in[0] < 0 || len(s.symbols) > 0 || len(s.bodies) > 0 {
		return nil
	}
	in, out := k.Viewed()
	if len(out) > rank {
		return nil
	}
	return &view{in, out}
}

// symbolCheck demands that an axis of an output has the size that a named
// dimension of the model's inputs has in this run.
type symbolCheck struct{ out, axis, symbol int }

// outputCheck is what an output's inferred type demands of a tensor. A
// difference is a fault of an operator's inference or kernel.
type outputCheck struct {
	never  bool          // it is no tensor
	elem   onnx.DataType // Undefined: any
	ranked bool
	dims   []int // -1 where any size will do
}

func checkOf(t onnx.Type) outputCheck {
	if !t.Known() {
		return outputCheck{}
	}
	c := outputCheck{never: t.Kind != onnx.KindTensor, elem: t.Elem, ranked: t.Shape.Ranked(), dims: make([]int, 0, len(t.Shape))}
	for _, d := range t.Shape {
		size := -1
		if d.Known() {
			size = d.Value
		}
		c.dims = append(c.dims, size)
	}
	return c
}

func (c *outputCheck) allows(t *onnx.Tensor) bool {
	if c.never || c.elem != onnx.Undefined && c.elem != t.DataType() {
		return false
	}
	if !c.ranked {
		return true
	}
	shape := t.Shape()
	if len(shape) != len(c.dims) {
		return false
	}
	for axis, size := range c.dims {
		if size >= 0 && size != shape[axis] {
			return false
		}
	}
	return true
}

// body is a graph attribute of a step.
type body struct {
	name string
	prog *program
}

// planner makes the programs of one model.
type planner struct {
	analysis *ops.Analysis
	symbols  map[string]int // named dimensions of the model's inputs
	refusals []Refusal
}

// graphPlan is a program in the making.
type graphPlan struct {
	*planner
	prog    *program
	scope   *ops.Scope
	outer   *graphPlan
	slots   map[string]int
	fixed   map[int]bool // slots that are never freed: inputs, constants, captures
	tainted map[string]bool
}

// plan compiles a graph. in says what is known of its inputs; nil means what
// they declare.
func (p *planner) plan(g *onnx.Graph, in []ops.Info, outer *graphPlan) (*program, error) {
	gp := &graphPlan{planner: p, prog: &program{}, outer: outer, slots: make(map[string]int, len(g.Nodes)+len(g.Initializers)+len(g.Inputs)), fixed: map[int]bool{}, tainted: map[string]bool{}}
	if outer == nil {
		gp.scope = p.analysis.NewScope(nil)
		gp.scope.Enter(g, in)
	} else if gp.scope = outer.scope.Branch(g); gp.scope == nil {
		gp.scope = p.analysis.NewScope(outer.scope)
		gp.scope.Enter(g, in)
	}
	for _, init := range g.Initializers {
		gp.constant(init.Name, init.Tensor)
	}
	for _, init := range g.SparseInitializers {
		gp.constant(init.Name, init.Tensor)
	}
	for _, v := range g.Inputs {
		slot, ok := gp.slots[v.Name]
		if !ok {
			slot = gp.slot(v.Name)
			gp.fixed[slot] = true
		}
		gp.prog.inputs = append(gp.prog.inputs, slot)
	}
	nodes, err := onnx.Sort(g)
	if err != nil {
		return nil, err
	}
	gp.prog.steps = make([]step, 0, len(nodes))
	for _, n := range nodes {
		gp.node(n)
	}
	for _, o := range g.Outputs {
		slot := gp.use(o.Name)
		if slot < 0 {
			return nil, onnx.Errorf(onnx.ErrMalformed, "graph output %q: no such value", o.Name)
		}
		if info, _ := gp.scope.Lookup(o.Name); outer == nil && !sameElements(info.Type, o.Type) {
			return nil, onnx.Errorf(onnx.ErrType, "graph output %q is a %s, declared as a %s", o.Name, info.Type.Name(), o.Type.Name())
		}
		gp.prog.outputs = append(gp.prog.outputs, slot)
		gp.prog.names = append(gp.prog.names, o.Name)
	}
	gp.liveness()
	return gp.prog, nil
}

func (gp *graphPlan) constant(name string, v onnx.Value) {
	slot := gp.slot(name)
	gp.fixed[slot] = true
	gp.prog.consts = append(gp.prog.consts, constant{slot, v})
}

func (gp *graphPlan) slot(name string) int {
	s := gp.prog.slots
	gp.prog.slots++
	gp.slots[name] = s
	return s
}

// use finds the slot of a value, capturing it from outside where needed; -1
// when there is no such value.
func (gp *graphPlan) use(name string) int {
	if s, ok := gp.slots[name]; ok {
		return s
	}
	if gp.outer == nil {
		return -1
	}
	o := gp.outer.use(name)
	if o < 0 {
		return -1
	}
	s := gp.slot(name)
	gp.fixed[s] = true
	gp.prog.captures = append(gp.prog.captures, capture{o, s})
	return s
}

// isTainted reports whether a value comes from a refused node, so that its
// type is not known and complaints about that would only repeat the refusal.
func (gp *graphPlan) isTainted(name string) bool {
	for g := gp; g != nil; g = g.outer {
		if _, own := g.slots[name]; own {
			return g.tainted[name]
		}
	}
	return false
}

// node adds a step, or a refusal.
func (gp *graphPlan) node(p *onnx.Node) {
	slots := make([]int, 0, len(p.Inputs)+len(p.Outputs))
	s := step{node: p, in: slots[:0:len(p.Inputs)], out: slots[len(p.Inputs):len(p.Inputs)], types: make([]onnx.Type, 0, len(p.Outputs)), checks: make([]outputCheck, 0, len(p.Outputs))}
	taint := false
	for _, name := range p.Inputs {
		slot := -1
		if name != "" {
			slot = gp.use(name)
			taint = taint || gp.isTainted(name)
		}
		s.in = append(s.in, slot)
	}
	refusals := len(gp.refusals)
	n, err := gp.scope.Node(p)
	if n != nil {
		s.since = n.Since
	}
	if err == nil {
		s.kernel, err = n.Build(func(name string, g *onnx.Graph, in []ops.Info) error {
			prog, err := gp.planner.plan(g, in, gp)
			if err != nil {
				return err
			}
			s.bodies = append(s.bodies, body{name, prog})
			return nil
		})
		n.AlignConstants()
	}
	// Complaints about what a refused node would have given only repeat it.
	if err != nil && (!taint || !gp.scope.HasOperator(p)) && len(gp.refusals) == refusals {
		gp.refusals = append(gp.refusals, refuse(p, s.since, err))
	}
	for i, name := range p.Outputs {
		slot := -1
		if name != "" {
			slot = gp.slot(name)
			gp.tainted[name] = err != nil || taint && !gp.known(name)
		}
		s.out = append(s.out, slot)
		var t onnx.Type
		if err == nil {
			t = n.Out(i).Type
		}
		s.types = append(s.types, t)
		s.checks = append(s.checks, checkOf(t))
		for axis, d := range t.Shape {
			if id, ok := gp.symbols[d.Name]; ok && !d.Known() && d.Name != "" {
				s.symbols = append(s.symbols, symbolCheck{i, axis, id})
			}
		}
	}
	gp.prog.maxIn = max(gp.prog.maxIn, len(s.in))
	gp.prog.maxOut = max(gp.prog.maxOut, len(s.out))
	gp.prog.steps = append(gp.prog.steps, s)
}

func (gp *graphPlan) known(name string) bool {
	info, _ := gp.scope.Lookup(name)
	return info.Type.Known() && info.Type.Elem != onnx.Undefined
}

// liveness finds the step after which each slot is free.
func (gp *graphPlan) liveness() {
	prog := gp.prog
	prog.isOutput = make([]bool, prog.slots)
	for _, s := range prog.outputs {
		prog.isOutput[s] = true
	}
	last := make([]int, prog.slots)
	for i := range last {
		last[i] = -1
	}
	for i := range prog.steps {
		s := &prog.steps[i]
		for _, slot := range s.in {
			if slot >= 0 {
				last[slot] = i
			}
		}
		for _, slot := range s.out {
			if slot >= 0 {
				last[slot] = i
			}
		}
		for _, b := range s.bodies {
			for _, c := range b.prog.captures {
				last[c.outer] = i
			}
		}
	}
	for i := range prog.steps { // what nobody reads is not wanted, whatever its name
		for k, slot := range prog.steps[i].out {
			if slot >= 0 && last[slot] == i && !prog.isOutput[slot] {
				prog.steps[i].out[k] = -1
			}
		}
	}
	for i := range prog.steps {
		prog.steps[i].view = prog.steps[i].viewOf(gp.analysis.Limits.Rank)
	}
	for _, c := range prog.consts {
		if slices.Contains(prog.inputs, c.slot) {
			prog.defaults = append(prog.defaults, c)
		}
	}
	for slot, i := range last {
		if gp.fixed[slot] {
			continue
		}
		if i < 0 || prog.isOutput[slot] {
			prog.lasting = append(prog.lasting, slot)
			continue
		}
		s := &prog.steps[i]
		s.free = append(s.free, slot)
		for k, in := range s.in {
			if in == slot && k < 64 && !s.captured(slot) && !slices.Contains(s.in[k+1:], slot) && !slices.Contains(s.in[:k], slot) {
				s.dies |= 1 << k
			}
		}
	}
}

func (s *step) captured(slot int) bool {
	for _, b := range s.bodies {
		for _, c := range b.prog.captures {
			if c.outer == slot {
				return true
			}
		}
	}
	return false
}

// compile plans a checked and rewritten model.
func compile(m *onnx.Model, o *options) (*program, map[string]int, error) {
	p := &planner{analysis: ops.NewAnalysis(o.registry, m, o.limits), symbols: map[string]int{}}
	p.analysis.Level, p.analysis.HalfWeights, p.analysis.Planning = o.level, o.halfWeights, true
	for _, v := range m.Graph.Inputs {
		for _, d := range v.Type.Shape {
			if _, ok := p.symbols[d.Name]; !ok && d.Name != "" {
				p.symbols[d.Name] = len(p.symbols)
			}
		}
	}
	var packs []func()
	p.analysis.Pack = func(pack func()) { packs = append(packs, pack) }
	prog, err := p.plan(m.Graph, nil, nil)
	if len(p.refusals) > 0 {
		return nil, nil, &RefusalError{Model: m.Path, Refusals: p.refusals}
	}
	if err != nil {
		return nil, nil, withPath(m.Path, err)
	}
	if !o.lazyPacking {
		packAll(o.threads, packs)
	}
	return prog, p.symbols, nil
}

// packAll packs the weights of a program. They differ in size, so that each
// thread takes the next one when it has done one.
func packAll(threads int, packs []func()) {
	var next atomic.Int64
	parallel(threads, min(threads, len(packs)), 1, func(int, int) {
		for i := next.Add(1); i <= int64(len(packs)); i = next.Add(1) {
			packs[i-1]()
		}
	})
}

func withPath(path string, err error) error {
	if path == "" || err == nil {
		return err
	}
	var r *RefusalError
	if errors.As(err, &r) {
		return err // has the path already
	}
	return &pathError{path, err}
}

type pathError struct {
	path string
	err  error
}

func (e *pathError) Error() string { return e.path + ": " + e.err.Error() }
func (e *pathError) Unwrap() error { return e.err }
