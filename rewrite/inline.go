package rewrite

import (
	"fmt"
	"math"

	"github.com/recur-ml/recur/internal/brief"
	"github.com/recur-ml/recur/onnx"
)

type functionKey struct{ domain, name, overload string }

// inline replaces calls of functions, those within functions and bodies
// included. A function overrides an operator of the same name.
func inline(s *state) error {
	if len(s.model.Functions) == 0 {
		return nil
	}
	in := &inliner{state: s, functions: map[functionKey]*onnx.Function{}, imports: map[string]int64{}}
	for _, f := range s.model.Functions {
		in.functions[functionKey{f.Domain, f.Name, f.Overload}] = f
	}
	for _, imp := range s.model.OpsetImports {
		in.imports[imp.Domain] = imp.Version
	}
	s.model.Functions = nil
	return in.graph(s.model.Graph, 0, 0)
}

type inliner struct {
	*state
	functions map[functionKey]*onnx.Function
	imports   map[string]int64 // the model's
	nodes     int
	parts     int // of what was copied
}

// partsPerNode bounds what calls copy, in parts of nodes and of graphs, in
// relation to the limit on nodes: a node may have any number of inputs.
const partsPerNode = 16

func (in *inliner) graph(g *onnx.Graph, depth, nesting int) error {
	nodes, err := in.list(g.Nodes, depth, nesting)
	g.Nodes = nodes
	return err
}

// list gives the nodes with every call replaced. depth counts the calls around
// them, nesting the graphs.
func (in *inliner) list(nodes []*onnx.Node, depth, nesting int) ([]*onnx.Node, error) {
	if nesting > in.limits.Depth {
		return nil, &onnx.LimitError{What: "depth of subgraphs after inlining functions", Got: int64(nesting), Max: int64(in.limits.Depth)}
	}
	if depth > in.limits.Depth {
		return nil, &onnx.LimitError{What: "depth of function calls", Got: int64(depth), Max: int64(in.limits.Depth)}
	}
	var out []*onnx.Node
	for _, n := range nodes {
		// A call counts as a node: functions may hold nothing but calls.
		if in.nodes++; in.nodes > in.limits.Nodes {
			return nil, &onnx.LimitError{What: "nodes after inlining functions", Got: int64(in.nodes), Max: int64(in.limits.Nodes)}
		}
		f := in.functions[functionKey{n.Domain, n.OpType, n.Overload}]
		if f == nil {
			for _, g := range n.Subgraphs() {
				if err := in.graph(g, depth, nesting+1); err != nil {
					return nil, err
				}
			}
			out = append(out, n)
			continue
		}
		body, err := in.call(n, f)
		if err != nil {
			return nil, fmt.Errorf("call of function %s:%s in node %q: %w", brief.Name(f.Domain), brief.Name(f.Name), brief.Name(n.Name), err)
		}
		if body, err = in.list(body, depth+1, nesting); err != nil {
			return nil, err
		}
		out = append(out, body...)
	}
	return out, nil
}

// call gives the nodes of f for one call: with the call's values for its
// inputs and outputs, its attributes for references to them, and fresh names
// for the rest.
func (in *inliner) call(n *onnx.Node, f *onnx.Function) ([]*onnx.Node, error) {
	if len(n.Inputs) > len(f.Inputs) || len(n.Outputs) > len(f.Outputs) {
		return nil, onnx.Errorf(onnx.ErrMalformed, "%d inputs and %d outputs, the function has %d and %d", len(n.Inputs), len(n.Outputs), len(f.Inputs), len(f.Outputs))
	}
	prefix := brief.Name(n.Name)
	if prefix == "" {
		prefix = brief.Name(f.Name)
	}
	names := map[string]string{}
	for i, name := range f.Inputs {
		names[name] = ""
		if i < len(n.Inputs) {
			names[name] = n.Inputs[i]
		}
	}
	var tail []*onnx.Node // outputs that are inputs of the function
	for i, name := range f.Outputs {
		if i >= len(n.Outputs) || n.Outputs[i] == "" {
			continue
		}
		if _, taken := names[name]; taken {
			tail = append(tail, &onnx.Node{Name: in.fresh(prefix + "/output"), OpType: "Identity", Inputs: []string{names[name]}, Outputs: []string{n.Outputs[i]}, Opset: in.defaultOpset(f)})
			continue
		}
		names[name] = n.Outputs[i]
	}
	attrs := map[string]*argument{}
	for _, a := range f.Defaults {
		attrs[a.Name] = &argument{Attribute: a, of: f}
	}
	for _, a := range n.Attributes {
		attrs[a.Name] = &argument{Attribute: a}
	}
	if err := in.countNodes(f.Nodes); err != nil {
		return nil, err
	}
	body := make([]*onnx.Node, len(f.Nodes))
	for i, node := range f.Nodes {
		c := cloneNode(node)
		if c.Name != "" {
			c.Name = brief.Name(prefix + "/" + c.Name)
		}
		for _, o := range c.Outputs {
			if _, ok := names[o]; !ok && o != "" {
				names[o] = in.fresh(prefix + "/" + o)
			}
		}
		if err := in.bind(c, f, attrs); err != nil {
			return nil, err
		}
		for _, g := range c.Subgraphs() {
			in.freshen(g, prefix)
		}
		body[i] = c
	}
	rename(body, names)
	if err := in.place(body, attrs, prefix); err != nil {
		return nil, err
	}
	return append(body, tail...), nil
}

// argument is the value of a function's attribute in a call.
type argument struct {
	*onnx.Attribute
	of *onnx.Function // whose default it is, nil for one that the call gives
}

// place puts the graphs among the arguments where nodes of a function refer to
// them, a copy each. Their names are the caller's: the function's have been
// replaced before.
func (in *inliner) place(nodes []*onnx.Node, attrs map[string]*argument, prefix string) error {
	for _, n := range nodes {
		for i, a := range n.Attributes {
			if a.RefName != "" {
				c, err := in.copyOf(attrs[a.RefName], prefix)
				if err != nil {
					return err
				}
				c.Name = a.Name
				n.Attributes[i] = c
				continue
			}
			graphs := a.Graphs
			if a.Graph != nil {
				graphs = append(graphs[:len(graphs):len(graphs)], a.Graph)
			}
			for _, g := range graphs {
				if err := in.place(g.Nodes, attrs, prefix); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// copyOf copies an argument with graphs. Those of a function's default mean the
// opsets of the function; their nodes may not refer to graphs among the
// arguments, which could be themselves.
func (in *inliner) copyOf(v *argument, prefix string) (*onnx.Attribute, error) {
	c := &onnx.Attribute{Type: v.Type, Doc: v.Doc, Unknown: v.Unknown}
	one := func(g *onnx.Graph) (*onnx.Graph, error) {
		if err := in.countGraph(g); err != nil {
			return nil, err
		}
		g = cloneGraph(g)
		if v.of != nil {
			for _, n := range g.Nodes {
				if err := in.bind(n, v.of, nil); err != nil {
					return nil, err
				}
			}
		}
		in.freshen(g, prefix)
		return g, nil
	}
	var err error
	if v.Graph != nil {
		if c.Graph, err = one(v.Graph); err != nil {
			return nil, err
		}
	}
	for _, g := range v.Graphs {
		if g, err = one(g); err != nil {
			return nil, err
		}
		c.Graphs = append(c.Graphs, g)
	}
	return c, nil
}

// countNodes counts what is about to be copied.
func (in *inliner) countNodes(nodes []*onnx.Node) error {
	for _, n := range nodes {
		if err := in.count(1 + len(n.Inputs) + len(n.Outputs) + len(n.Attributes)); err != nil {
			return err
		}
		for _, g := range n.Subgraphs() {
			if err := in.countGraph(g); err != nil {
				return err
			}
		}
	}
	return nil
}

func (in *inliner) countGraph(g *onnx.Graph) error {
	values := len(g.Inputs) + len(g.Outputs) + len(g.ValueInfos) + len(g.Initializers) + len(g.SparseInitializers)
	if err := in.count(partsPerNode/2*values + 1); err != nil {
		return err
	}
	return in.countNodes(g.Nodes)
}

func (in *inliner) count(parts int) error {
	in.parts += parts
	if most := min(in.limits.Nodes, math.MaxInt/partsPerNode) * partsPerNode; in.parts > most {
		return &onnx.LimitError{What: "parts of nodes after inlining functions", Got: int64(in.parts), Max: int64(most)}
	}
	return nil
}

// freshen gives the values that a body of a function defines, and the bodies in
// it, fresh names: a name of the caller's that comes in for one of the
// function's must not mean them.
func (in *inliner) freshen(g *onnx.Graph, prefix string) {
	names := map[string]string{}
	for name := range g.Defined() {
		names[name] = in.fresh(prefix + "/" + name)
	}
	for i := range g.Inputs {
		g.Inputs[i].Name = names[g.Inputs[i].Name]
	}
	for i, init := range g.Initializers {
		c := *init
		c.Name = names[init.Name]
		g.Initializers[i] = &c
	}
	for i, init := range g.SparseInitializers {
		c := *init
		c.Name = names[init.Name]
		g.SparseInitializers[i] = &c
	}
	for _, list := range [][]onnx.ValueInfo{g.ValueInfos, g.Outputs} {
		for i := range list {
			if to, own := names[list[i].Name]; own {
				list[i].Name = to
			}
		}
	}
	rename(g.Nodes, names)
	for _, n := range g.Nodes {
		for _, sub := range n.Subgraphs() {
			in.freshen(sub, prefix)
		}
	}
}

// bind replaces references to the function's attributes by values, graphs
// excepted, drops those that the call leaves unset, and records which opset the
// node means; in the graphs within too.
func (in *inliner) bind(n *onnx.Node, f *onnx.Function, attrs map[string]*argument) error {
	kept := n.Attributes[:0]
	for _, a := range n.Attributes {
		if a.RefName == "" {
			kept = append(kept, a)
			continue
		}
		v := attrs[a.RefName]
		if v == nil {
			continue
		}
		if a.Type != onnx.AttrUndefined && v.Type != a.Type {
			return onnx.Errorf(onnx.ErrType, "attribute %q is of type %v, node %q wants %v", a.RefName, v.Type, n.Name, a.Type)
		}
		if v.Graph != nil || len(v.Graphs) > 0 {
			kept = append(kept, &onnx.Attribute{Name: a.Name, RefName: a.RefName})
			continue
		}
		c := *v.Attribute
		c.Name = a.Name
		kept = append(kept, &c)
	}
	n.Attributes = kept
	if n.Opset == 0 {
		for _, imp := range f.OpsetImports {
			if imp.Domain == n.Domain && imp.Version != in.imports[n.Domain] {
				n.Opset = imp.Version
			}
		}
	}
	for _, g := range n.Subgraphs() {
		for _, inner := range g.Nodes {
			if err := in.bind(inner, f, attrs); err != nil {
				return err
			}
		}
	}
	return nil
}

// defaultOpset is the version of ai.onnx that a function imports, where the
// model imports another or none.
func (in *inliner) defaultOpset(f *onnx.Function) int64 {
	for _, imp := range f.OpsetImports {
		if imp.Domain == "" && imp.Version != in.imports[""] {
			return imp.Version
		}
	}
	if in.imports[""] == 0 {
		return int64(onnx.LatestOpset(""))
	}
	return 0
}
