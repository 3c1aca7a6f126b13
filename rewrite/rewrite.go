// Package rewrite turns a model into another one that computes the same: what
// a session runs, or what a converter writes.
//
// The passes are a table. Required ones prepare a model for the plan; optional
// ones make it faster, and each can be left out by name.
package rewrite

import (
	"fmt"
	"hash/maphash"
	"strings"

	"github.com/recur-ml/recur/internal/brief"
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// Pass is a row of the table of passes.
type Pass struct {
	Name     string
	Doc      string // what it does, in a sentence
	Required bool
	// Private says that the pass writes operators of domain ai.recur, which
	// other runtimes do not have.
	Private bool
	run     func(*state) error
}

var passes = []Pass{
	{Name: "inline", Doc: "replaces calls of model-local functions by their bodies", Required: true, run: inline},
	{Name: "dense", Doc: "gives sparse initializers their dense form, in which operators read them", Required: true, run: dense},
	{Name: "fold", Doc: "computes what depends on constants alone, and replaces an If whose condition is a constant by its branch", Required: true, run: fold},
	{Name: "hoist", Doc: "takes values that a Loop or Scan carries unchanged out of it", run: hoist},
	{Name: "lift", Doc: "replaces a Loop or Scan that computes recurrent cells by RNN, GRU and LSTM nodes", run: lift},
	{Name: "reroll", Doc: "replaces recurrent cells that are written out step after step by one RNN, GRU or LSTM node", run: reroll},
	{Name: "reverse", Doc: "makes an operator go backwards that goes forward over a reversed sequence", run: reverse},
	{Name: "bidirectional", Doc: "joins two recurrent nodes of opposite directions over one sequence to one of both directions", run: bidirectional},
	{Name: "cancel", Doc: "removes transpositions and other movements that undo one another", run: cancel},
	{Name: "drop", Doc: "removes nodes, initializers and optional outputs that nothing uses", Required: true, run: drop},
	{Name: "fuse", Doc: "joins products with their bias and activation, and trees of elementwise operators, to operators of domain ai.recur", Private: true, run: fuse},
}

// Passes lists the passes in the order in which they are applied. The slice
// must not be modified.
func Passes() []Pass { return passes }

// Options says how to rewrite.
type Options struct {
	// Passes names the optional passes to apply; nil means all.
	Passes   []string
	Registry *ops.Registry // nil means ops.Default
	Limits   onnx.Limits
	// Level computes what is constant. A session gives its own, so that its
	// results do not depend on which inputs are constants; the default, plain
	// Go, gives the same model on every machine.
	Level ops.Level
	// HalfWeights rounds the recurrent weights of what is computed here, as
	// runtime.WithHalfWeights does: results do not depend on which inputs are
	// constants.
	HalfWeights bool
	// InPlace says that nobody else has the model: it is rewritten where it is,
	// not in a copy.
	InPlace bool
	// Left, when it is not nil, is told of each Loop and Scan that the pass
	// lift leaves, and why.
	Left func(n *onnx.Node, why string)
}

// state is a model under rewriting.
type state struct {
	model       *onnx.Model
	registry    *ops.Registry
	limits      onnx.Limits
	level       ops.Level
	halfWeights bool
	report      func(*onnx.Node, string)
	names       map[string]bool // every name of a value in the model
	serial      int

	factsOfGraphs map[*onnx.Graph]*facts // what was known last
	seed          maphash.Seed           // of fingerprints
}

// Apply gives a rewritten copy of a model that onnx.Check has accepted. The
// copy shares tensors with m, which is not modified, unless Options.InPlace says
// so. An error names the pass.
func Apply(m *onnx.Model, o Options) (*onnx.Model, error) {
	wanted, err := choose(o.Passes)
	if err != nil {
		return nil, err
	}
	s := newState(m, o)
	for _, p := range passes {
		if !p.Required && !wanted(p.Name) {
			continue
		}
		if err := p.run(s); err != nil {
			return nil, fmt.Errorf("pass %s: %w", p.Name, err)
		}
	}
	return s.model, nil
}

// newState copies a model for rewriting, or takes it.
func newState(m *onnx.Model, o Options) *state {
	if o.InPlace {
		takeModel(m)
	} else {
		m = cloneModel(m)
	}
	s := &state{model: m, registry: o.Registry, limits: o.Limits.WithDefaults(), level: o.Level, halfWeights: o.HalfWeights, report: o.Left,
		names: map[string]bool{}, factsOfGraphs: map[*onnx.Graph]*facts{}, seed: maphash.MakeSeed()}
	if s.registry == nil {
		s.registry = ops.Default()
	}
	s.collect(s.model.Graph)
	return s
}

// left tells of a loop that stays one.
func (s *state) left(n *onnx.Node, why string) {
	if s.report != nil {
		s.report(n, why)
	}
}

// choose reads a list of optional passes.
func choose(names []string) (func(string) bool, error) {
	if names == nil {
		return func(string) bool { return true }, nil
	}
	set := map[string]bool{}
	for _, n := range names {
		found := false
		var all []string
		for _, p := range passes {
			found = found || p.Name == n
			all = append(all, p.Name)
		}
		if !found {
			return nil, onnx.Errorf(onnx.ErrUnsupported, "no rewrite pass %q; there are %s", n, strings.Join(all, ", "))
		}
		set[n] = true
	}
	return func(n string) bool { return set[n] }, nil
}

// collect records the names of values.
func (s *state) collect(g *onnx.Graph) {
	for _, v := range g.Inputs {
		s.names[v.Name] = true
	}
	for _, i := range g.Initializers {
		s.names[i.Name] = true
	}
	for _, i := range g.SparseInitializers {
		s.names[i.Name] = true
	}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			s.names[o] = true
		}
		for _, sub := range n.Subgraphs() {
			s.collect(sub)
		}
	}
}

// fresh makes a name that no value has, from a wish. Names that are put
// together from others do not grow without bound.
func (s *state) fresh(wish string) string {
	wish = brief.Name(wish)
	name := wish
	for s.names[name] || name == "" {
		s.serial++
		name = fmt.Sprintf("%s_%d", wish, s.serial)
	}
	s.names[name] = true
	return name
}

// cloneModel copies a model down to the nodes, with ai.onnx written as "" and
// the import that a file of before imports means.
func cloneModel(m *onnx.Model) *onnx.Model {
	c := *m
	c.Graph = cloneGraph(m.Graph)
	c.OpsetImports = modelImports(m.OpsetImports)
	c.Functions = make([]*onnx.Function, len(m.Functions))
	for i, f := range m.Functions {
		g := *f
		g.Domain = canonical(f.Domain)
		g.OpsetImports = canonicalImports(f.OpsetImports)
		g.Nodes = make([]*onnx.Node, len(f.Nodes))
		for k, n := range f.Nodes {
			g.Nodes[k] = cloneNode(n)
		}
		c.Functions[i] = &g
	}
	return &c
}

// takeModel writes a model as cloneModel does, where it is.
func takeModel(m *onnx.Model) {
	m.OpsetImports = modelImports(m.OpsetImports)
	for _, f := range m.Functions {
		f.Domain, f.OpsetImports = canonical(f.Domain), canonicalImports(f.OpsetImports)
		takeNodes(f.Nodes)
	}
	takeNodes(m.Graph.Nodes)
}

func takeNodes(nodes []*onnx.Node) {
	for _, n := range nodes {
		n.Domain = canonical(n.Domain)
		for _, g := range n.Subgraphs() {
			takeNodes(g.Nodes)
		}
	}
}

func modelImports(list []onnx.OpsetImport) []onnx.OpsetImport {
	if len(list) == 0 {
		return []onnx.OpsetImport{{Version: 1}}
	}
	return canonicalImports(list)
}

func canonicalImports(list []onnx.OpsetImport) []onnx.OpsetImport {
	out := make([]onnx.OpsetImport, len(list))
	for i, imp := range list {
		out[i] = onnx.OpsetImport{Domain: canonical(imp.Domain), Version: imp.Version}
	}
	return out
}

func canonical(domain string) string {
	if domain == "ai.onnx" {
		return ""
	}
	return domain
}

// cloneGraph copies a graph and the graphs within, down to the nodes; tensors
// are shared.
func cloneGraph(g *onnx.Graph) *onnx.Graph {
	c := *g
	c.Nodes = make([]*onnx.Node, len(g.Nodes))
	for i, n := range g.Nodes {
		c.Nodes[i] = cloneNode(n)
	}
	c.Inputs = append([]onnx.ValueInfo(nil), g.Inputs...)
	c.Outputs = append([]onnx.ValueInfo(nil), g.Outputs...)
	c.ValueInfos = append([]onnx.ValueInfo(nil), g.ValueInfos...)
	c.Initializers = append([]*onnx.Initializer(nil), g.Initializers...)
	c.SparseInitializers = append([]*onnx.SparseInitializer(nil), g.SparseInitializers...)
	return &c
}

func cloneNode(n *onnx.Node) *onnx.Node {
	c := *n
	c.Domain = canonical(n.Domain)
	c.Inputs = append([]string(nil), n.Inputs...)
	c.Outputs = append([]string(nil), n.Outputs...)
	c.Attributes = make([]*onnx.Attribute, len(n.Attributes))
	for i, a := range n.Attributes {
		c.Attributes[i] = a
		if a.Graph == nil && len(a.Graphs) == 0 {
			continue
		}
		b := *a
		if a.Graph != nil {
			b.Graph = cloneGraph(a.Graph)
		}
		b.Graphs = nil
		for _, g := range a.Graphs {
			b.Graphs = append(b.Graphs, cloneGraph(g))
		}
		c.Attributes[i] = &b
	}
	return &c
}

// renaming says which names are replaced where: not those that one of the graphs
// around defines anew.
type renaming struct {
	to     map[string]string
	hidden []*ownNames
}

// ownNames are the names that a graph defines, which a renaming from around it
// leaves as they are.
type ownNames struct {
	graph *onnx.Graph
	names map[string]bool // when they have been asked for
}

func (o *ownNames) has(name string) bool {
	if o.names == nil {
		o.names = o.graph.Defined()
	}
	return o.names[name]
}

func (r renaming) of(name string) string {
	to, ok := r.to[name]
	if !ok || name == "" {
		return name
	}
	for _, own := range r.hidden {
		if own.has(name) {
			return name
		}
	}
	return to
}

// rename replaces the names of values in nodes, and in the graphs within as
// far as these do not define a name anew.
func rename(nodes []*onnx.Node, to map[string]string) {
	if len(to) > 0 {
		renaming{to: to}.nodes(nodes)
	}
}

func (r renaming) nodes(nodes []*onnx.Node) {
	for _, n := range nodes {
		for i, name := range n.Inputs {
			n.Inputs[i] = r.of(name)
		}
		for i, name := range n.Outputs {
			n.Outputs[i] = r.of(name)
		}
		for _, g := range n.Subgraphs() {
			r.graph(g)
		}
	}
}

// graph renames what a nested graph captures; names that it defines itself are
// its own.
func (r renaming) graph(g *onnx.Graph) {
	inner := renaming{r.to, append(r.hidden[:len(r.hidden):len(r.hidden)], &ownNames{graph: g})}
	inner.nodes(g.Nodes)
	for i := range g.Outputs {
		g.Outputs[i].Name = inner.of(g.Outputs[i].Name)
	}
}
