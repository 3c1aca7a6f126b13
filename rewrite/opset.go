package rewrite

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/recur-ml/recur/internal/brief"
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// OpsetChange is a node that Opset wrote in another way. A node that means the
// same in both opsets as it stands is none.
type OpsetChange struct {
	Node  string // its name, or that of its first output
	Op    string
	From  int // the operator's version
	To    int // the version in the new opset, 0 where other operators take its place
	Nodes int // nodes that take its place
}

// OpsetRefusal is a node that has no form in the wanted opset.
type OpsetRefusal struct {
	Node   string
	Op     string
	Since  int // the operator's version, 0 where it is not known
	Reason string
}

// OpsetError lists the nodes that keep a model from being moved to another
// opset. It matches onnx.ErrUnsupported.
type OpsetError struct {
	Opset    int
	Refusals []OpsetRefusal
}

// Error names every node and the reason.
func (e *OpsetError) Error() string {
	var b strings.Builder
	count := fmt.Sprintf("%d nodes have", len(e.Refusals))
	if len(e.Refusals) == 1 {
		count = "1 node has"
	}
	fmt.Fprintf(&b, "%s no form in opset %d", count, e.Opset)
	for _, r := range e.Refusals {
		op := brief.Word(r.Op)
		if r.Since > 0 {
			op = fmt.Sprintf("%s-%d", op, r.Since)
		}
		fmt.Fprintf(&b, "\n  node %q (%s): %s", brief.Name(r.Node), op, r.Reason)
	}
	return b.String()
}

// Unwrap makes errors.Is(err, onnx.ErrUnsupported) true.
func (e *OpsetError) Unwrap() error { return onnx.ErrUnsupported }

// Opset gives a copy of a model that onnx.Check has accepted, written for
// another opset of ai.onnx, upwards or downwards; other domains stay as they
// are. Every node goes through the changes of its operator one version after
// the other: attributes become inputs or inputs attributes, and what a version
// means by default or cannot say is written out with other operators. The copy
// shares tensors with m. Nodes that mean an opset of their own, as those of
// functions that were inlined do, are brought to the wanted one as well.
//
// A node that cannot be written in the wanted opset, or only if more were known
// of its inputs, is refused; the error is an *OpsetError that lists all. Calls
// of functions whose bodies cannot be moved by themselves are inlined.
func Opset(m *onnx.Model, opset int, o Options) (*onnx.Model, []OpsetChange, error) {
	if latest := onnx.LatestOpset(""); opset < 1 || opset > latest {
		return nil, nil, onnx.Errorf(onnx.ErrUnsupported, "opset %d of ai.onnx, want 1..%d", opset, latest)
	}
	c := newOpsetConverter(m, opset, o)
	if err := c.functions(); err != nil {
		c = newOpsetConverter(m, opset, o)
		if err := inline(c.state); err != nil {
			return nil, nil, fmt.Errorf("pass inline: %w", err)
		}
		c.calls = nil
	}
	place := c.place(c.model.OpsetImports)
	before := map[string]bool{}
	place.failures(c.model.Graph, nil, func(n *onnx.Node, _ error) { before[n.Outputs[0]] = true })
	if err := place.graph(c.model.Graph, nil); err != nil {
		return nil, nil, err
	}
	if len(c.refusals) == 0 {
		c.finish(m)
		c.verify(before)
	}
	if len(c.refusals) > 0 {
		return nil, nil, &OpsetError{opset, c.refusals}
	}
	return c.model, c.changes, nil
}

type opsetConverter struct {
	*state
	target   int
	changes  []OpsetChange
	refusals []OpsetRefusal
	calls    map[functionKey]bool // the model's own functions
}

func newOpsetConverter(m *onnx.Model, opset int, o Options) *opsetConverter {
	c := &opsetConverter{state: newState(m, o), target: opset, calls: map[functionKey]bool{}}
	for _, f := range c.model.Functions {
		c.calls[functionKey{f.Domain, f.Name, f.Overload}] = true
		c.collect(&onnx.Graph{Nodes: f.Nodes})
	}
	return c
}

// opsetPlace is the model's graph, or the body of a function: where nodes mean
// the same imports.
type opsetPlace struct {
	*opsetConverter
	analysis *ops.Analysis
	opset    int // the imported one
}

func (c *opsetConverter) place(imports []onnx.OpsetImport) *opsetPlace {
	m := *c.model
	m.OpsetImports = imports
	p := &opsetPlace{opsetConverter: c, analysis: ops.NewAnalysis(c.registry, &m, c.limits)}
	p.opset = p.analysis.Opsets[""]
	return p
}

// functions moves the bodies of functions, of whose inputs nothing is known.
func (c *opsetConverter) functions() error {
	for _, f := range c.model.Functions {
		p := c.place(slices.Clone(f.OpsetImports))
		if p.opset == 0 {
			continue
		}
		scope := p.analysis.NewScope(nil)
		for _, in := range f.Inputs {
			scope.Set(in, ops.Info{})
		}
		nodes, err := p.nodes(&onnx.Graph{Nodes: f.Nodes}, scope)
		if err != nil {
			return err
		}
		f.Nodes, f.OpsetImports = nodes, importing(f.OpsetImports, c.target)
	}
	if len(c.refusals) > 0 {
		return &OpsetError{c.target, c.refusals}
	}
	return nil
}

// importing gives the imports with another version of ai.onnx.
func importing(imports []onnx.OpsetImport, opset int) []onnx.OpsetImport {
	out := slices.Clone(imports)
	for i := range out {
		if out[i].Domain == "" {
			out[i].Version = int64(opset)
			return out
		}
	}
	return append(out, onnx.OpsetImport{Version: int64(opset)})
}

// scope begins the inference of a graph. Of the inputs of a body their element
// types are taken as declared, not their shapes, which a loop may change.
func (p *opsetPlace) scope(g *onnx.Graph, outer *ops.Scope) *ops.Scope {
	scope := p.analysis.NewScope(outer)
	scope.Enter(g, nil)
	if outer != nil {
		for _, v := range g.Inputs {
			t := v.Type
			t.Shape = nil
			scope.Set(v.Name, ops.Info{Type: t})
		}
	}
	return scope
}

func (p *opsetPlace) graph(g *onnx.Graph, outer *ops.Scope) error {
	nodes, err := p.nodes(g, p.scope(g, outer))
	g.Nodes = nodes
	return err
}

// nodes moves the nodes of a graph, graphs within first.
func (p *opsetPlace) nodes(g *onnx.Graph, scope *ops.Scope) ([]*onnx.Node, error) {
	nodes, err := onnx.Sort(g)
	if err != nil {
		return nil, err
	}
	var out []*onnx.Node
	for _, n := range nodes {
		scope.Node(n) // on an error its outputs are unknown
		for _, sub := range n.Subgraphs() {
			if err := p.graph(sub, scope); err != nil {
				return nil, err
			}
		}
		out = append(out, p.node(n, scope)...)
	}
	return out, nil
}

// node gives what takes a node's place; the node itself when it is refused.
func (p *opsetPlace) node(n *onnx.Node, scope *ops.Scope) []*onnx.Node {
	if p.calls[functionKey{n.Domain, n.OpType, n.Overload}] {
		return []*onnx.Node{n}
	}
	if n.Domain != "" {
		if n.Opset != 0 && n.Opset != int64(p.analysis.Opsets[n.Domain]) {
			p.refuse(n, 0, fmt.Sprintf("it means version %d of domain %q, of which the model imports %d", n.Opset, n.Domain, p.analysis.Opsets[n.Domain]))
		}
		n.Opset = 0
		return []*onnx.Node{n}
	}
	level := int(n.Opset)
	if level == 0 {
		level = p.opset
	}
	since := 0
	if s := onnx.LookupSchema("", n.OpType, level); s != nil {
		since = s.Since
	}
	label, op := n.Label(), n.OpType
	out, rewritten, err := p.climb(n, level, scope)
	if err != nil {
		p.refuse(n, since, err.Error())
		return []*onnx.Node{n}
	}
	if rewritten {
		change := OpsetChange{Node: label, Op: op, From: since, Nodes: len(out)}
		if s := onnx.LookupSchema("", op, p.target); s != nil && slices.ContainsFunc(out, func(n *onnx.Node) bool { return n.OpType == op }) {
			change.To = s.Since
		}
		p.changes = append(p.changes, change)
	}
	return out
}

func (c *opsetConverter) refuse(n *onnx.Node, since int, reason string) {
	c.refusals = append(c.refusals, OpsetRefusal{n.Label(), n.OpType, since, reason})
}

// climb moves a node of a given opset to the wanted one, version by version of
// its operator, and does the same with the nodes that this brings.
func (p *opsetPlace) climb(n *onnx.Node, level int, scope *ops.Scope) (out []*onnx.Node, rewritten bool, err error) {
	to, change, err := p.next(n, level)
	if err != nil {
		return nil, false, err
	}
	if to == p.target && change == nil {
		n.Opset = 0
		return []*onnx.Node{n}, false, nil
	}
	m := &move{opsetPlace: p, scope: scope, node: n, level: to}
	if change != nil {
		old := cloneNode(n)
		change(m)
		if m.err != nil {
			return nil, false, m.err
		}
		rewritten = !sameNode(old, n)
	}
	list := m.before
	if !m.gone {
		list = append(list, n)
	}
	for _, x := range append(list, m.after...) {
		at := to
		if x != n && x.Opset != 0 {
			at = int(x.Opset)
		}
		moved, again, err := p.climb(x, at, scope)
		if err != nil {
			return nil, false, err
		}
		rewritten = rewritten || again
		out = append(out, moved...)
	}
	return out, rewritten || len(out) > 1 || out[0] != n, nil
}

// sameNode reports whether a node is still what a copy of it says.
func sameNode(a, b *onnx.Node) bool {
	return a.OpType == b.OpType && slices.Equal(a.Inputs, b.Inputs) && slices.Equal(a.Outputs, b.Outputs) &&
		slices.EqualFunc(a.Attributes, b.Attributes, func(x, y *onnx.Attribute) bool {
			return x == y || x.Name == y.Name && x.Graph != nil && y.Graph != nil
		})
}

// next gives the opset that the next step leads to, and what the step changes;
// nil when the node stays as it is.
func (p *opsetPlace) next(n *onnx.Node, level int) (to int, change func(*move), err error) {
	s := onnx.LookupSchema("", n.OpType, level)
	if s == nil {
		return 0, nil, onnx.Errorf(onnx.ErrUnsupported, "opset %d has no operator %s", level, brief.Word(n.OpType))
	}
	if level < p.target {
		for _, v := range onnx.SchemaVersions("", n.OpType) {
			if v <= level || v > p.target {
				continue
			}
			b := boundaries[boundary{n.OpType, v}]
			if b.up == nil && onnx.LookupSchema("", n.OpType, v).Deprecated {
				return 0, nil, onnx.Errorf(onnx.ErrUnsupported, "opset %d deprecates the operator", v)
			}
			return v, b.up, nil
		}
		return p.target, nil, nil
	}
	if s.Since <= p.target {
		return p.target, nil, nil
	}
	b, known := boundaries[boundary{n.OpType, s.Since}]
	if first := onnx.SchemaVersions("", n.OpType)[0]; first == s.Since && (!known || b.down == nil) {
		return 0, nil, onnx.Errorf(onnx.ErrUnsupported, "the operator begins with opset %d", first)
	}
	return s.Since - 1, b.down, nil
}

// finish brings the rest of the model in line with its nodes: imports, the IR
// version, no opset of a node's own, no constants that became attributes.
func (c *opsetConverter) finish(old *onnx.Model) {
	m := c.model
	from := 0
	for _, imp := range m.OpsetImports {
		if imp.Domain == "" {
			from = int(imp.Version)
		}
	}
	m.OpsetImports = importing(m.OpsetImports, c.target)
	if want := int64(onnx.IRVersionFor(c.target)); c.target < from {
		m.IRVersion = min(m.IRVersion, max(want, c.leastIR()))
	} else {
		m.IRVersion = max(m.IRVersion, want)
	}
	was := map[string]bool{}
	readNames(old.Graph, was)
	is := map[string]bool{}
	readNames(m.Graph, is)
	sweep(m.Graph, func(name string) bool { return was[name] && !is[name] })
}

// leastIR is the first IR version that has what the model uses besides
// operators. It is not below 4: before, every initializer is an input too.
func (c *opsetConverter) leastIR() int64 {
	least := int64(4)
	for _, f := range c.model.Functions {
		least = max(least, 8)
		if f.Overload != "" {
			least = 10
		}
	}
	return least
}

// readNames collects the names that nodes and outputs of a graph read, graphs
// within included.
func readNames(g *onnx.Graph, into map[string]bool) {
	for _, o := range g.Outputs {
		into[o.Name] = true
	}
	for _, n := range g.Nodes {
		for _, in := range n.Inputs {
			into[in] = true
		}
		for _, sub := range n.Subgraphs() {
			readNames(sub, into)
		}
	}
}

// sweep removes constants of the given names.
func sweep(g *onnx.Graph, dead func(string) bool) {
	input := map[string]bool{}
	for _, v := range g.Inputs {
		input[v.Name] = true
	}
	g.Initializers = slices.DeleteFunc(g.Initializers, func(i *onnx.Initializer) bool { return dead(i.Name) && !input[i.Name] })
	g.Nodes = slices.DeleteFunc(g.Nodes, func(n *onnx.Node) bool {
		return n.OpType == "Constant" && n.Domain == "" && len(n.Outputs) == 1 && dead(n.Outputs[0])
	})
	for _, n := range g.Nodes {
		for _, sub := range n.Subgraphs() {
			sweep(sub, dead)
		}
	}
}

// verify refuses what inference finds wrong in the result that it did not find
// before: element types that the operators of the wanted opset do not take.
func (c *opsetConverter) verify(before map[string]bool) {
	c.place(c.model.OpsetImports).failures(c.model.Graph, nil, func(n *onnx.Node, err error) {
		if before[n.Outputs[0]] {
			return
		}
		since := 0
		if s := onnx.LookupSchema(n.Domain, n.OpType, c.target); s != nil {
			since = s.Since
		}
		c.refuse(n, since, err.Error())
	})
	if len(c.refusals) > 0 {
		return
	}
	if err := onnx.Check(c.model, onnx.CheckLimits(c.limits)); err != nil {
		c.refusals = append(c.refusals, OpsetRefusal{Node: c.model.Graph.Name, Op: "graph", Reason: err.Error()})
	}
}

// failures reports the nodes that inference has complaints about, other than
// that it does not know the operator, or that too much would have to be
// inferred.
func (p *opsetPlace) failures(g *onnx.Graph, outer *ops.Scope, report func(*onnx.Node, error)) {
	scope := p.scope(g, outer)
	nodes, err := onnx.Sort(g)
	if err != nil {
		return
	}
	for _, n := range nodes {
		_, err := scope.Node(n)
		if err != nil && !errors.Is(err, onnx.ErrUnsupported) && !errors.Is(err, onnx.ErrLimit) && len(n.Outputs) > 0 {
			report(n, err)
		}
		for _, sub := range n.Subgraphs() {
			p.failures(sub, scope, report)
		}
	}
}
