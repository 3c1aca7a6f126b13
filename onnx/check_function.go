package onnx

import (
	"fmt"
	"slices"
)

// functionID is what a node names a function by.
type functionID struct{ domain, name, overload string }

func (id functionID) String() string {
	s := id.domain + ":" + id.name
	if id.overload != "" {
		s += ":" + id.overload
	}
	return s
}

func idOf(f *Function) functionID {
	return functionID{canonicalDomain(f.Domain), f.Name, f.Overload}
}

// checkFunctions checks the model's functions, each by itself, and how they
// call each other.
func (c *checker) checkFunctions(m *Model) {
	c.functions = make(map[functionID]*Function, len(m.Functions))
	c.calls = map[functionID][]functionID{}
	for i, f := range m.Functions {
		if f.Name == "" {
			c.add(ErrMalformed, "function %d has no name", i)
		}
		if c.functions[idOf(f)] != nil {
			c.add(ErrMalformed, "function %q is defined twice", idOf(f))
		}
		c.functions[idOf(f)] = f
	}
	c.outer = c.imports
	for _, f := range m.Functions {
		c.enter(place{kind: "function", name: idOf(f).String()})
		c.function(f)
		c.leave()
	}
	c.imports, c.outer = c.outer, nil
	c.callDepth(m.Functions)
}

func (c *checker) function(f *Function) {
	c.inside = f
	defer func() { c.inside = nil }()
	c.imports = c.readImports(f.OpsetImports)
	s := newScope(nil, len(f.Inputs)+len(f.Nodes))
	s.declared = declaredTypes(f.ValueInfos)
	for _, name := range f.Inputs {
		if _, dup := s.types[name]; dup {
			c.add(ErrMalformed, "input %q is listed twice", name)
		}
		s.types[name] = &anyType
	}
	c.distinct("output", f.Outputs)
	attributes := slices.Clone(f.Attributes)
	for _, a := range f.Defaults {
		attributes = append(attributes, a.Name)
		c.enter(place{kind: "default of attribute", name: a.Name})
		c.attribute(a, nil)
		c.leave()
	}
	c.distinct("attribute", attributes)
	c.nodes(f.Nodes, s)
	for _, o := range f.Outputs {
		if _, ok := s.lookup(o); !ok {
			c.add(ErrMalformed, "output %q: no such value", o)
		}
	}
}

func (c *checker) distinct(what string, names []string) {
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if seen[name] {
			c.add(ErrMalformed, "%s %q is listed twice", what, name)
		}
		seen[name] = true
	}
}

// call holds a node against the function that it calls. Inputs that are left
// out are absent in the function, and so are attributes.
func (c *checker) call(n *Node, f *Function) {
	if len(n.Inputs) > len(f.Inputs) {
		c.add(ErrMalformed, "%d inputs, the function has %d", len(n.Inputs), len(f.Inputs))
	}
	if len(n.Outputs) > len(f.Outputs) {
		c.add(ErrMalformed, "%d outputs, the function has %d", len(n.Outputs), len(f.Outputs))
	}
	for _, a := range n.Attributes {
		if def := f.defaultOf(a.Name); def != nil {
			if a.Type != def.Type && a.RefName == "" {
				c.add(ErrMalformed, "attribute %q: of type %v, the function's default of type %v", a.Name, a.Type, def.Type)
			}
		} else if !slices.Contains(f.Attributes, a.Name) {
			c.add(ErrMalformed, "attribute %q: unknown to the function", a.Name)
		}
	}
}

func (f *Function) defaultOf(name string) *Attribute {
	for _, a := range f.Defaults {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// reference checks an attribute that stands for one of the function's.
func (c *checker) reference(a *Attribute) {
	switch f := c.inside; {
	case f == nil:
		c.add(ErrMalformed, "refers to attribute %q outside a function", a.RefName)
	case f.defaultOf(a.RefName) == nil && !slices.Contains(f.Attributes, a.RefName):
		c.add(ErrMalformed, "refers to %q, which is no attribute of the function", a.RefName)
	}
}

// recordCall notes that the function being checked calls another.
func (c *checker) recordCall(callee functionID) {
	if c.inside != nil {
		caller := idOf(c.inside)
		c.calls[caller] = append(c.calls[caller], callee)
	}
}

// callDepth checks that no function calls itself, directly or through others,
// and that calls do not nest beyond the limit.
func (c *checker) callDepth(functions []*Function) {
	depths := map[functionID]int{} // -1 while on the path
	var path []functionID
	var depth func(id functionID) (int, error)
	depth = func(id functionID) (int, error) {
		if d, known := depths[id]; known {
			if d >= 0 {
				return d, nil
			}
			cycle := append(slices.Clone(path[slices.Index(path, id):]), id)
			return 0, Errorf(ErrMalformed, "functions call themselves: %v", cycle)
		}
		depths[id] = -1
		path = append(path, id)
		deepest := 0
		for _, callee := range c.calls[id] {
			d, err := depth(callee)
			if err != nil {
				return 0, err
			}
			deepest = max(deepest, d+1)
		}
		path = path[:len(path)-1]
		depths[id] = deepest
		return deepest, nil
	}
	for _, f := range functions {
		d, err := depth(idOf(f))
		if err == nil && d >= c.limits.Depth {
			err = &LimitError{What: "depth of function calls", Got: int64(d + 1), Max: int64(c.limits.Depth), Where: fmt.Sprintf("function %q", idOf(f))}
		}
		if err != nil {
			c.addError(err)
			return
		}
	}
}
