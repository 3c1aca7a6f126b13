package onnx

import "fmt"

// scope holds the values that a graph's nodes can read, with their types as
// far as they are declared.
type scope struct {
	outer    *scope
	types    map[string]*Type
	declared map[string]*Type // by value_info, for outputs of nodes
}

// anyType is the type of a value of which nothing is declared.
var anyType Type

func newScope(outer *scope, values int) *scope {
	return &scope{outer: outer, types: make(map[string]*Type, values)}
}

// lookup finds a value here or further out.
func (s *scope) lookup(name string) (Type, bool) {
	for ; s != nil; s = s.outer {
		if t, ok := s.types[name]; ok {
			return *t, true
		}
	}
	return Type{}, false
}

// produce adds the output of a node.
func (s *scope) produce(name string) {
	t := s.declared[name]
	if t == nil {
		t = &anyType
	}
	s.types[name] = t
}

// graph checks a graph within the values of outer, nil for the model's own.
func (c *checker) graph(g *Graph, outer *scope) {
	s := newScope(outer, len(g.Inputs)+len(g.Initializers)+len(g.SparseInitializers)+len(g.Nodes))
	s.declared = declaredTypes(g.ValueInfos, g.Outputs)
	c.graphInputs(g, s)
	c.initializers(g, s)
	c.nodes(g.Nodes, s)
	for i, o := range g.Outputs {
		if o.Name == "" {
			c.add(ErrMalformed, "graph output %d has no name", i)
		} else if _, ok := s.lookup(o.Name); !ok {
			c.add(ErrMalformed, "graph output %q: no such value", o.Name)
		}
		c.declaredType("graph output", o)
	}
	for _, v := range g.ValueInfos {
		c.declaredType("value_info", v)
	}
}

// declaredTypes indexes declarations by name. A name that is declared twice
// in different ways counts as not declared.
func declaredTypes(lists ...[]ValueInfo) map[string]*Type {
	count := 0
	for _, list := range lists {
		count += len(list)
	}
	out := make(map[string]*Type, count)
	for _, list := range lists {
		for i := range list {
			v := &list[i]
			if t, dup := out[v.Name]; dup && !t.unifies(v.Type) {
				out[v.Name] = &anyType
				continue
			}
			out[v.Name] = &v.Type
		}
	}
	return out
}

func (c *checker) graphInputs(g *Graph, s *scope) {
	for i, v := range g.Inputs {
		if v.Name == "" {
			c.add(ErrMalformed, "graph input %d has no name", i)
			continue
		}
		if _, dup := s.types[v.Name]; dup {
			c.add(ErrMalformed, "graph input %q is listed twice", v.Name)
		}
		s.types[v.Name] = &g.Inputs[i].Type
		c.declaredType("graph input", v)
		if s.outer == nil && !v.Type.Known() {
			c.add(ErrMalformed, "graph input %q has no type", v.Name)
		}
	}
}

// declaredType checks that a declared type is one of the format's.
func (c *checker) declaredType(what string, v ValueInfo) {
	for t := &v.Type; t != nil && t.Known(); t = t.Of {
		if t.Kind > KindOptional || t.Elem < 0 || t.Elem != Undefined && !t.Elem.Valid() {
			c.add(ErrType, "%s %q: type %s", what, v.Name, t.Name())
			return
		}
		if t.Kind == KindMap && t.Elem != String && !t.Elem.IsInteger() {
			c.add(ErrType, "%s %q: the keys of a map are of type %v, want integers or strings", what, v.Name, t.Elem)
		}
		if len(t.Shape) > c.limits.Rank {
			c.addError(&LimitError{What: "rank", Got: int64(len(t.Shape)), Max: int64(c.limits.Rank), Where: fmt.Sprintf("%s %q", what, v.Name)})
		}
	}
}

// initializers checks a graph's constants. That each must be an input of the
// graph too, as it had to before IR version 4, is not asked: files break that
// rule, and nothing hangs on it.
func (c *checker) initializers(g *Graph, s *scope) {
	if len(g.Initializers)+len(g.SparseInitializers) == 0 {
		return
	}
	inputs := make(map[string]Type, len(g.Inputs))
	for _, v := range g.Inputs {
		inputs[v.Name] = v.Type
	}
	seen := make(map[string]bool, len(g.Initializers)+len(g.SparseInitializers))
	one := func(kind, name string, t Type) {
		switch {
		case name == "":
			c.add(ErrMalformed, "%s of type %v has no name", kind, t)
			return
		case seen[name]:
			c.add(ErrMalformed, "%s %q is listed twice", kind, name)
		}
		seen[name] = true
		if declared, ok := inputs[name]; ok {
			c.agree(kind, name, t, declared)
		}
		s.types[name] = &t
	}
	for _, init := range g.Initializers {
		one("initializer", init.Name, init.Tensor.Type())
	}
	for _, init := range g.SparseInitializers {
		if err := init.Tensor.Check(); err != nil {
			c.enter(place{kind: "sparse initializer", name: init.Name})
			c.addError(err)
			c.leave()
			continue
		}
		// Nodes read its dense form.
		one("sparse initializer", init.Name, TensorType(init.Tensor.Values.DataType(), FixedShape(init.Tensor.Dims...)))
	}
}

// agree holds an initializer against the graph input that it is a default of.
func (c *checker) agree(kind, name string, t, declared Type) {
	if !declared.unifies(t) {
		c.add(ErrType, "%s %q is %s, the graph input of that name %s", kind, name, t.Name(), declared.Name())
		return
	}
	if !fits(t.Shape, declared.Shape) {
		c.add(ErrShape, "%s %q has shape %v, the graph input of that name %v", kind, name, t.Shape, declared.Shape)
	}
}

// fits reports whether a fixed shape is one that a declared shape allows.
func fits(fixed, declared Shape) bool {
	if !declared.Ranked() {
		return true
	}
	if len(fixed) != len(declared) {
		return false
	}
	for i, d := range declared {
		if d.Known() && d.Value != fixed[i].Value {
			return false
		}
	}
	return true
}

// nodes checks the nodes of a graph or function in the order in which they can
// run, adding their outputs to the scope.
func (c *checker) nodes(nodes []*Node, s *scope) {
	producer, unique := c.uniqueOutputs(nodes, s)
	order, err := nodes, error(nil)
	if unique {
		order, err = sortProducers(nodes, producer)
	}
	if err != nil {
		c.addError(err)
		order = nodes
	}
	sorted := unique && err == nil
	if !sorted { // every name counts as known, so that one fault is told once
		for _, n := range nodes {
			for _, o := range n.Outputs {
				if _, ok := s.types[o]; !ok && o != "" {
					s.produce(o)
				}
			}
		}
	}
	for _, n := range order {
		c.node(n, s)
		if !sorted {
			continue
		}
		for _, o := range n.Outputs {
			if o == "" {
				continue
			}
			if _, shadows := s.outer.lookup(o); shadows {
				c.add(ErrMalformed, "%s: output %q is the name of a value of an enclosing graph", n.Describe(0), o)
			}
			s.produce(o)
		}
	}
}

// uniqueOutputs checks that no two nodes, and no node and a graph input or
// initializer, give a value of one name, and gives the node that makes each.
func (c *checker) uniqueOutputs(nodes []*Node, s *scope) (producer map[string]int, unique bool) {
	producer, unique = make(map[string]int, len(nodes)), true
	for i, n := range nodes {
		for _, o := range n.Outputs {
			if o == "" {
				continue
			}
			if first, dup := producer[o]; dup {
				c.add(ErrMalformed, "value %q is an output of %s and of %s", o, nodes[first].Describe(0), n.Describe(0))
				unique = false
			} else if _, taken := s.types[o]; taken {
				c.add(ErrMalformed, "value %q is an output of %s and an input or initializer of the graph", o, n.Describe(0))
				unique = false
			}
			producer[o] = i
		}
	}
	return producer, unique
}
