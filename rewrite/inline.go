package rewrite

import (
	"fmt"

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
}

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
	attrs := map[string]*onnx.Attribute{}
	for _, a := range f.Defaults {
		attrs[a.Name] = a
	}
	for _, a := range n.Attributes {
		attrs[a.Name] = a
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
	return append(body, tail...), nil
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

// bind replaces references to the function's attributes by values, drops
// those that the call leaves unset, and records which opset the node means;
// in the graphs within too.
func (in *inliner) bind(n *onnx.Node, f *onnx.Function, attrs map[string]*onnx.Attribute) error {
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
		c := *v
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
