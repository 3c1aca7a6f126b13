package rewrite

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// engineDomain is the domain of the operators that only this engine has.
const (
	engineDomain  = "ai.recur"
	engineVersion = 1
)

// fuse joins nodes into operators of domain ai.recur, which compute a result
// while it is in cache instead of walking over it once a node: a product or a
// convolution with the bias that is added to it and the activation that
// follows, and trees of elementwise operators. Only float32 is fused. No bit of
// a result changes: each step rounds as the operator that it was.
//
// A value goes away when nothing but the nodes that are joined reads it, so
// that outputs, and what a nested graph reads, keep their names.
func fuse(s *state) error {
	f := &fuser{state: s, lineage: newLineage(s.model)}
	for _, op := range []string{"FusedMatMul", "FusedGemm", "FusedConv", "Elementwise"} {
		if _, _, err := s.registry.Lookup(engineDomain, op, engineVersion); err == nil {
			f.have = append(f.have, op)
		}
	}
	if len(f.have) == 0 {
		return nil
	}
	if err := f.graph(ops.NewAnalysis(s.registry, s.model, s.limits), s.model.Graph, nil); err != nil {
		return err
	}
	if !f.fused {
		return nil
	}
	f.importDomain()
	return drop(s)
}

// fuser is the pass at work.
type fuser struct {
	*state
	*lineage
	have  []string // operators of the registry that nodes may become
	fused bool
}

// importDomain adds the domain of the fused operators to the model's imports.
func (f *fuser) importDomain() {
	m := f.model
	if !slices.ContainsFunc(m.OpsetImports, func(i onnx.OpsetImport) bool { return i.Domain == engineDomain }) {
		m.OpsetImports = append(m.OpsetImports, onnx.OpsetImport{Domain: engineDomain, Version: engineVersion})
	}
}

// graph fuses a graph and those within, whose values it knows by facts.
func (f *fuser) graph(a *ops.Analysis, g *onnx.Graph, outer *facts) error {
	known, err := f.factsOf(a, g, outer)
	if err != nil {
		return err
	}
	site := &fuseSite{fuser: f, facts: known, graph: g, place: f.places[g], uses: readers(g), gone: map[*onnx.Node]bool{}}
	for _, o := range g.Outputs {
		site.uses[o.Name] = append(site.uses[o.Name], nil)
	}
	site.products()
	site.norms()
	site.trees()
	if len(site.gone) > 0 {
		f.fused = true
		g.Nodes = slices.DeleteFunc(g.Nodes, func(n *onnx.Node) bool { return site.gone[n] })
	}
	for _, n := range g.Nodes {
		for _, sub := range n.Subgraphs() {
			if err := f.graph(a, sub, known); err != nil {
				return err
			}
		}
	}
	return nil
}

// fuseSite is a graph in which nodes are fused. Its nodes are in order.
type fuseSite struct {
	*fuser
	*facts
	graph *onnx.Graph
	place *place
	uses  map[string][]*onnx.Node // nil stands for an output of the graph, or a nested graph
	gone  map[*onnx.Node]bool     // nodes that others have taken in
	inits []*onnx.Initializer
}

// may reports whether nodes may become an operator.
func (f *fuser) may(op string) bool { return slices.Contains(f.have, op) }

// reader gives the only node that reads a value, nil where there are others or
// the value must stay.
func (s *fuseSite) reader(name string) *onnx.Node {
	if u := s.uses[name]; len(u) == 1 {
		return u[0]
	}
	return nil
}

// isFloat reports whether a value is certainly a tensor of float32.
func (s *fuseSite) isFloat(name string) bool {
	t := s.typeOf(name)
	return t.Kind == onnx.KindTensor && t.Elem == onnx.Float
}

// plain reports whether a node is an operator of ai.onnx with one output, in
// opset 7 or later, where operands broadcast as they do today.
func (s *fuseSite) plain(n *onnx.Node) bool {
	return n.Domain == "" && len(n.Outputs) == 1 && n.Outputs[0] != "" && s.opsetOf(n) >= 7
}

// keepsState reports whether the origin of a state is read off a node: where
// zero is added to one, what is added to is still the state, and zeros are no
// state at all. See FindPairs.
func (s *fuseSite) keepsState(n *onnx.Node) bool {
	if s.lineage.zero(s.place, n.Outputs[0], 0) {
		return true
	}
	return (n.OpType == "Add" || n.OpType == "Sub") && slices.ContainsFunc(n.Inputs, func(in string) bool { return s.lineage.zero(s.place, in, 0) })
}

// become turns a node into an operator of this engine that gives the outputs
// of another one.
func (s *fuseSite) become(n *onnx.Node, op string, inputs []string, output string, attrs []*onnx.Attribute) {
	n.Domain, n.OpType, n.Inputs, n.Attributes, n.Opset = engineDomain, op, inputs, attrs, 0
	for _, i := range s.model.OpsetImports {
		if i.Domain == engineDomain && i.Version != engineVersion {
			n.Opset = engineVersion
		}
	}
	n.Outputs = []string{output}
	s.makers[output] = n
}

// constantFloats gives the elements of a constant of float32, nil when the
// value is none.
func (s *fuseSite) constantFloats(name string) (*onnx.Tensor, []float32) {
	t := s.info(name).Tensor()
	if t == nil || t.External() != nil || t.DataType() != onnx.Float {
		return nil, nil
	}
	return t, onnx.Elements[float32](t)
}
