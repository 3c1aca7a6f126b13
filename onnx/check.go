package onnx

import (
	"fmt"
	"strings"

	"github.com/recur-ml/recur/internal/brief"
)

// CheckOption changes what Check holds a model against.
type CheckOption func(*checker)

// CheckLimits sets the limits; without it they are DefaultLimits.
func CheckLimits(l Limits) CheckOption {
	return func(c *checker) { c.limits = l.WithDefaults() }
}

// Check holds a model against the format's rules and the operators' schemas:
// domains are imported, names are defined once and before use in some order of
// the nodes, attributes, inputs and outputs are what the schemas declare,
// declared element types are allowed, functions do not recurse. Operators that
// have no schema, or that the schemas deprecate, are left to whoever runs the
// model.
//
// The error tells every problem found, up to a number, one a line:
// `model.onnx: node "lstm_1" (LSTM-14): attribute "x": unknown`. It matches
// ErrMalformed, ErrType, ErrShape, ErrUnsupported or ErrLimit, as its parts do.
func Check(m *Model, opts ...CheckOption) error {
	c := &checker{limits: DefaultLimits()}
	for _, o := range opts {
		if o != nil {
			o(c)
		}
	}
	c.model(m)
	if len(c.problems) == 0 {
		return nil
	}
	return &CheckError{Problems: c.problems, More: c.more}
}

// maxProblems bounds what Check tells.
const maxProblems = 20

// CheckError lists what Check found wrong with a model. It matches what its
// problems match.
type CheckError struct {
	Problems []error
	More     int // problems found beyond those
}

// Error gives the problems, one a line.
func (e *CheckError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Error()
	}
	if e.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more problems", e.More))
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the problems to errors.Is and errors.As.
func (e *CheckError) Unwrap() []error { return e.Problems }

// checker collects the problems of one model.
type checker struct {
	limits    Limits
	path      string
	where     []place // what is being checked, outermost first
	problems  []error
	more      int
	imports   imports // of the model, or of the function being checked
	outer     imports // of the model, while a function is checked
	functions map[functionID]*Function
	calls     map[functionID][]functionID // functions that a function calls
	inside    *Function                   // being checked; nil in the model's graph
	types     []Type                      // of the inputs of the node being checked
}

// add records a problem of the current place.
func (c *checker) add(kind error, format string, args ...any) {
	c.addError(Errorf(kind, format, brief.Args(args)...))
}

func (c *checker) addError(err error) {
	if len(c.problems) >= maxProblems {
		c.more++
		return
	}
	var at []string
	if c.path != "" {
		at = append(at, c.path)
	}
	for _, p := range c.where {
		at = append(at, p.String())
	}
	if len(at) > 0 {
		err = &placedError{strings.Join(at, ": "), err}
	}
	c.problems = append(c.problems, err)
}

// placedError puts a place before an error.
type placedError struct {
	place string
	err   error
}

func (e *placedError) Error() string { return e.place + ": " + e.err.Error() }
func (e *placedError) Unwrap() error { return e.err }

// place is a node, or something of which kind and name tell enough.
type place struct {
	kind, name string
	node       *Node
	since      int
}

func (p place) String() string {
	if p.node != nil {
		return p.node.Describe(p.since)
	}
	return fmt.Sprintf("%s %q", p.kind, brief.Name(p.name))
}

// enter adds a place; leave takes it back.
func (c *checker) enter(p place) { c.where = append(c.where, p) }
func (c *checker) leave()        { c.where = c.where[:len(c.where)-1] }

func (c *checker) model(m *Model) {
	if m == nil {
		c.add(ErrMalformed, "no model")
		return
	}
	c.path = m.Path
	if m.Graph == nil {
		c.add(ErrMalformed, "the model has no graph")
		return
	}
	if err := c.bound(m); err != nil {
		c.addError(err)
		return // what follows relies on these limits
	}
	newest := Releases()[len(Releases())-1].IRVersion
	switch {
	case m.IRVersion < 1:
		c.add(ErrMalformed, "ir_version %d, want 1..%d", m.IRVersion, newest)
	case m.IRVersion > int64(newest):
		c.add(ErrUnsupported, "ir_version %d, want 1..%d", m.IRVersion, newest)
	}
	if len(m.OpsetImports) == 0 && m.IRVersion >= 3 {
		c.add(ErrMalformed, "no opset_import, which ir_version %d demands", m.IRVersion)
	}
	c.imports = c.readImports(m.OpsetImports)
	if len(m.OpsetImports) == 0 {
		c.imports[""] = 1 // what files meant before there were imports
	}
	c.checkFunctions(m)
	c.graph(m.Graph, nil)
}

// imports gives the imported version of each domain, "" for ai.onnx.
type imports map[string]int64

func (c *checker) readImports(list []OpsetImport) imports {
	out := imports{}
	for _, imp := range list {
		domain := canonicalDomain(imp.Domain)
		if imp.Version < 1 {
			c.add(ErrMalformed, "opset_import: version %d of domain %q, want 1 or more", imp.Version, domainTitle(domain))
		}
		if v, dup := out[domain]; dup && v != imp.Version {
			c.add(ErrMalformed, "opset_import: versions %d and %d of domain %q", v, imp.Version, domainTitle(domain))
		}
		out[domain] = imp.Version
	}
	return out
}

func domainTitle(domain string) string {
	if domain == "" {
		return "ai.onnx"
	}
	return domain
}

// bound counts what the rest walks over recursively, so that it needs no
// limits of its own; missing parts end it too.
func (c *checker) bound(m *Model) error {
	b := &bounder{limits: c.limits}
	if n := len(m.Functions); n > c.limits.Functions {
		return &LimitError{What: "functions", Got: int64(n), Max: int64(c.limits.Functions)}
	}
	if n := len(m.OpsetImports); n > c.limits.Functions {
		return &LimitError{What: "domains imported", Got: int64(n), Max: int64(c.limits.Functions)}
	}
	for i, f := range m.Functions {
		if f == nil {
			return Errorf(ErrMalformed, "function %d is missing", i)
		}
		if n := len(f.OpsetImports); n > c.limits.Functions {
			return &LimitError{What: "domains imported", Got: int64(n), Max: int64(c.limits.Functions), Where: fmt.Sprintf("function %d", i)}
		}
		if n := len(f.Attributes) + len(f.Defaults); n > c.limits.Attributes {
			return &LimitError{What: "attributes", Got: int64(n), Max: int64(c.limits.Attributes), Where: fmt.Sprintf("function %d", i)}
		}
		if err := b.nodes(f.Nodes, 0); err != nil {
			return err
		}
		if err := b.attributes(f.Defaults, 0); err != nil {
			return err
		}
		if err := b.types(f.ValueInfos); err != nil {
			return err
		}
	}
	return b.graph(m.Graph, 0)
}

type bounder struct {
	limits Limits
	count  int
}

func (b *bounder) graph(g *Graph, depth int) error {
	if depth > b.limits.Depth {
		return &LimitError{What: "depth of subgraphs", Got: int64(depth), Max: int64(b.limits.Depth)}
	}
	for i, init := range g.Initializers {
		if init == nil || init.Tensor == nil {
			return Errorf(ErrMalformed, "initializer %d has no tensor", i)
		}
	}
	for i, init := range g.SparseInitializers {
		if init == nil || init.Tensor == nil {
			return Errorf(ErrMalformed, "sparse initializer %d has no tensor", i)
		}
	}
	for _, list := range [][]ValueInfo{g.Inputs, g.Outputs, g.ValueInfos} {
		if err := b.types(list); err != nil {
			return err
		}
	}
	return b.nodes(g.Nodes, depth)
}

func (b *bounder) types(list []ValueInfo) error {
	for i := range list {
		depth := 0
		for t := list[i].Type.Of; t != nil; t = t.Of {
			if depth++; depth > b.limits.Depth {
				return &LimitError{What: "depth of a type", Got: int64(depth), Max: int64(b.limits.Depth), Where: fmt.Sprintf("value %q", list[i].Name)}
			}
		}
	}
	return nil
}

func (b *bounder) nodes(nodes []*Node, depth int) error {
	if b.count += len(nodes); b.count > b.limits.Nodes {
		return &LimitError{What: "nodes", Got: int64(b.count), Max: int64(b.limits.Nodes)}
	}
	for i, n := range nodes {
		if n == nil {
			return Errorf(ErrMalformed, "node %d is missing", i)
		}
		if k := len(n.Attributes); k > b.limits.Attributes {
			return &LimitError{What: "attributes", Got: int64(k), Max: int64(b.limits.Attributes), Where: n.Describe(0)}
		}
		if err := b.attributes(n.Attributes, depth); err != nil {
			return err
		}
	}
	return nil
}

func (b *bounder) attributes(list []*Attribute, depth int) error {
	for i, a := range list {
		if a == nil {
			return Errorf(ErrMalformed, "attribute %d is missing", i)
		}
		for _, g := range a.subgraphs() {
			if err := b.graph(g, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}
