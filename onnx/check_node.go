package onnx

import (
	"fmt"
	"slices"
	"strings"

	"github.com/recur-ml/recur/internal/brief"
)

// node checks one node against its operator's schema or its function.
func (c *checker) node(n *Node, s *scope) {
	domain := canonicalDomain(n.Domain)
	id := functionID{domain, n.OpType, n.Overload}
	if f := c.functions[id]; f != nil {
		c.enter(place{node: n})
		c.attributes(n, s)
		c.inputs(n, s)
		c.call(n, f)
		c.leave()
		c.recordCall(id)
		return
	}
	opset, imported := c.opset(n)
	var schema *Schema
	since := 0
	if latest := LatestOpset(domain); latest > 0 && opset <= int64(latest) {
		schema = LookupSchema(domain, n.OpType, int(opset))
	}
	if schema != nil {
		since = schema.Since
	}
	c.enter(place{node: n, since: since})
	defer c.leave()
	if n.OpType == "" {
		c.add(ErrMalformed, "no op_type")
	}
	if !imported {
		c.add(ErrMalformed, "domain %q is not in opset_import", domainTitle(domain))
	}
	c.attributes(n, s)
	types := c.inputs(n, s)
	if schema != nil && !schema.Deprecated {
		c.signature(n, schema, types)
	}
}

// signature holds a node whose inputs have the given types against a schema.
func (c *checker) signature(n *Node, schema *Schema, types []Type) {
	c.declaredAttributes(n, schema)
	ok := c.arity("input", n.Inputs, schema.Inputs, schema.MinInputs, schema.MaxInputs)
	c.arity("output", n.Outputs, schema.Outputs, schema.MinOutputs, schema.MaxOutputs)
	if !ok {
		return
	}
	if err := schema.BindTypes(types); err != nil {
		c.addError(err)
	}
}

// opset is the version of the node's domain that it means. Producers leave out
// of a function's imports what the model says.
func (c *checker) opset(n *Node) (version int64, imported bool) {
	if n.Opset != 0 {
		return n.Opset, true
	}
	domain := canonicalDomain(n.Domain)
	if version, imported = c.imports[domain]; !imported {
		version, imported = c.outer[domain]
	}
	return version, imported
}

// inputs checks that each input is a value that there is, and gives the types,
// until it is called again.
func (c *checker) inputs(n *Node, s *scope) []Type {
	c.types = c.types[:0]
	for i, name := range n.Inputs {
		t, ok := Type{}, name == ""
		if !ok {
			t, ok = s.lookup(name)
		}
		if !ok {
			c.add(ErrMalformed, "input %d, %q: no such value", i, name)
		}
		c.types = append(c.types, t)
	}
	return c.types
}

// arity checks how many inputs or outputs there are, and that only optional
// ones are absent.
func (c *checker) arity(what string, names []string, formals []Formal, low, high int) bool {
	if len(names) < low || len(names) > high {
		want := fmt.Sprintf("%d..%d", low, high)
		switch high {
		case low:
			want = fmt.Sprint(low)
		case Unbounded:
			want = fmt.Sprintf("%d or more", low)
		}
		c.add(ErrMalformed, "%d %ss, want %s", len(names), what, want)
		return false
	}
	ok := true
	for i, name := range names {
		option := formalAt(formals, i).Option
		if name == "" && option == Variadic && what == "output" {
			continue // a result of a Loop that nobody uses, say
		}
		if name == "" && option != OptionalFormal {
			c.add(ErrMalformed, "%s %s is missing", what, formalName(formals, i))
			ok = false
		}
	}
	return ok
}

// attributes checks what holds of any node's attributes, and the graphs and
// sparse tensors among them.
func (c *checker) attributes(n *Node, s *scope) {
	for i, a := range n.Attributes {
		c.enter(place{kind: "attribute", name: a.Name})
		if a.Name == "" {
			c.add(ErrMalformed, "attribute %d has no name", i)
		}
		if slices.IndexFunc(n.Attributes, func(b *Attribute) bool { return b.Name == a.Name }) != i {
			c.add(ErrMalformed, "set twice")
		}
		if a.RefName != "" {
			c.reference(a)
		} else {
			c.attribute(a, s)
		}
		c.leave()
	}
}

// attribute checks a value that is given in place.
func (c *checker) attribute(a *Attribute, s *scope) {
	if a.Type <= AttrUndefined || a.Type > AttrTypeProtos {
		c.add(ErrMalformed, "type %d is none of the format's", a.Type)
		return
	}
	if !a.complete() {
		c.add(ErrMalformed, "no value of type %v", a.Type)
		return
	}
	switch a.Type {
	case AttrGraph:
		c.graph(a.Graph, s)
	case AttrGraphs:
		for _, g := range a.Graphs {
			c.graph(g, s)
		}
	case AttrSparseTensor:
		c.sparse(a.SparseTensor)
	case AttrSparseTensors:
		for _, t := range a.SparseTensors {
			c.sparse(t)
		}
	}
}

func (c *checker) sparse(t *SparseTensor) {
	if err := t.Check(); err != nil {
		c.addError(err)
	}
}

// complete reports whether what the attribute's type demands is there.
func (a *Attribute) complete() bool {
	switch a.Type {
	case AttrTensor:
		return a.Tensor != nil
	case AttrGraph:
		return a.Graph != nil
	case AttrSparseTensor:
		return a.SparseTensor != nil
	case AttrTypeProto:
		return a.TypeProto != nil
	case AttrTensors:
		return noneNil(a.Tensors)
	case AttrGraphs:
		return noneNil(a.Graphs)
	case AttrSparseTensors:
		return noneNil(a.SparseTensors)
	case AttrTypeProtos:
		return noneNil(a.TypeProtos)
	}
	return true
}

func noneNil[T any](list []*T) bool {
	for _, p := range list {
		if p == nil {
			return false
		}
	}
	return true
}

// declaredAttributes holds the attributes against the schema. Names that
// begin with "__" are the producer's own and pass.
func (c *checker) declaredAttributes(n *Node, schema *Schema) {
	for _, a := range n.Attributes {
		want := schema.Attribute(a.Name)
		switch {
		case want != nil && a.Type != want.Type && a.Type != AttrUndefined:
			c.add(ErrMalformed, "attribute %q: of type %v, want %v", a.Name, a.Type, want.Type)
		case want == nil && !strings.HasPrefix(a.Name, "__"):
			c.add(ErrMalformed, "attribute %q: unknown", a.Name)
		}
	}
	for _, want := range schema.Attributes {
		if want.Required && n.Attr(want.Name) == nil {
			c.add(ErrMalformed, "attribute %q: required and not set", want.Name)
		}
	}
}

// Label is the node's name, else that of its first output, "" when it has
// neither.
func (n *Node) Label() string {
	name := n.Name
	for _, o := range n.Outputs {
		if name == "" {
			name = o
		}
	}
	return name
}

// Describe names the node in messages: `node "lstm_1" (LSTM-14)`, or by its
// first output when it has no name. since is the operator's version, 0 if it
// is not known.
func (n *Node) Describe(since int) string {
	form := "node %q (%s)"
	if n.Name == "" && n.Label() != "" {
		form = "node of output %q (%s)"
	}
	return fmt.Sprintf(form, brief.Name(n.Label()), n.Operator(since))
}

// Operator names the node's operator: "LSTM-14", "com.x:Foo-1". since is its
// version, 0 if it is not known.
func (n *Node) Operator(since int) string {
	op := brief.Word(n.OpType)
	if n.Domain != "" && n.Domain != "ai.onnx" {
		op = brief.Word(n.Domain) + ":" + op
	}
	if since > 0 {
		op = fmt.Sprintf("%s-%d", op, since)
	}
	return op
}
