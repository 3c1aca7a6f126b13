package rewrite

import (
	"slices"
	"sync"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// cancel removes movements that undo one another: two transpositions, a
// Squeeze after the Unsqueeze of its axis, an Identity. Those that do
// something that could be done for less are made cheaper first: see tidy.
func cancel(s *state) error {
	if err := s.tidy(ops.NewAnalysis(s.registry, s.model, s.limits), s.model.Graph, nil); err != nil {
		return err
	}
	s.cancelGraph(s.model.Graph, true)
	return nil
}

func (s *state) cancelGraph(g *onnx.Graph, top bool) {
	makers := producers(g)
	inits := map[string]*onnx.Tensor{}
	for _, i := range g.Initializers {
		inits[i.Name] = i.Tensor
	}
	for _, v := range g.Inputs { // what a caller may give is no constant
		delete(inits, v.Name)
	}
	isOutput := map[string]bool{}
	for _, o := range g.Outputs {
		isOutput[o.Name] = true
	}
	inner := sync.OnceValue(func() map[string]bool { return nestedNames(g) })
	captured := sync.OnceValue(func() map[string]bool { return nestedReads(g) })
	to := map[string]string{}
	resolve := func(name string) string {
		for to[name] != "" {
			name = to[name]
		}
		return name
	}
	var nodes []*onnx.Node
	for _, n := range g.Nodes {
		for i, in := range n.Inputs {
			n.Inputs[i] = resolve(in)
		}
		if source := s.undone(n, makers, inits); source != "" && len(n.Outputs) == 1 {
			if o := n.Outputs[0]; !isOutput[o] && !(captured()[o] && inner()[source]) {
				to[n.Outputs[0]] = source
				continue
			}
			n.OpType, n.Attributes, n.Inputs = "Identity", nil, []string{source}
		}
		nodes = append(nodes, n)
	}
	g.Nodes = nodes
	for name := range to {
		to[name] = resolve(name)
	}
	for _, n := range g.Nodes {
		for i, in := range n.Inputs { // also of nodes that stand before what they read
			n.Inputs[i] = resolve(in)
		}
		for _, sub := range n.Subgraphs() {
			if len(to) > 0 {
				renaming{to: to}.graph(sub)
			}
			s.cancelGraph(sub, false)
		}
	}
	nameOutputs(g, top)
}

// nameOutputs removes an Identity that only gives an output of a graph its
// name. An output of a nested graph is known by its place, so it may be called
// as what it is; one of the model's keeps its name, which the node that computes
// it then gives.
func nameOutputs(g *onnx.Graph, top bool) {
	if !slices.ContainsFunc(g.Nodes, isIdentity) {
		return
	}
	outputs, inner := map[string]bool{}, nestedNames(g)
	for _, o := range g.Outputs {
		outputs[o.Name] = true
	}
	makers := producers(g)
	to, gone := map[string]string{}, map[*onnx.Node]bool{}
	for _, n := range g.Nodes {
		if !isIdentity(n) {
			continue
		}
		in, out := n.Inputs[0], n.Outputs[0]
		if !outputs[out] || outputs[in] || makers[in] == nil || makers[in].OpType == "Identity" || inner[in] || inner[out] || to[in] != "" {
			continue
		}
		gone[n] = true
		if top {
			to[in] = out
			continue
		}
		to[out] = in
		outputs[in] = true
	}
	if len(gone) == 0 {
		return
	}
	g.Nodes = slices.DeleteFunc(g.Nodes, func(n *onnx.Node) bool { return gone[n] })
	rename(g.Nodes, to)
	if top {
		return
	}
	for i, o := range g.Outputs {
		if name := to[o.Name]; name != "" {
			g.Outputs[i].Name = name
		}
	}
}

func isIdentity(n *onnx.Node) bool {
	return n.OpType == "Identity" && n.Domain == "" && len(n.Inputs) == 1 && len(n.Outputs) == 1
}

// nestedNames gives the names that the graphs within a graph define.
func nestedNames(g *onnx.Graph) map[string]bool {
	into := map[string]bool{}
	addNestedNames(g, into)
	return into
}

func addNestedNames(g *onnx.Graph, into map[string]bool) {
	for _, n := range g.Nodes {
		for _, sub := range n.Subgraphs() {
			for name := range sub.Defined() {
				into[name] = true
			}
			addNestedNames(sub, into)
		}
	}
}

// nestedReads gives the names that the graphs within a graph capture.
func nestedReads(g *onnx.Graph) map[string]bool {
	into := map[string]bool{}
	for _, n := range g.Nodes {
		for _, sub := range n.Subgraphs() {
			for _, c := range captures(sub) {
				into[c] = true
			}
		}
	}
	return into
}

// undone gives the value that a node's output equals, "" when there is none.
// Of two transpositions that do not cancel it makes one.
func (s *state) undone(n *onnx.Node, makers map[string]*onnx.Node, inits map[string]*onnx.Tensor) string {
	if n.Domain != "" || len(n.Inputs) == 0 {
		return ""
	}
	m := makers[n.Inputs[0]]
	switch n.OpType {
	case "Identity":
		return n.Inputs[0]
	case "Transpose":
		p := n.Attr("perm")
		if p == nil || !isPermutation(p.Ints) {
			return ""
		}
		if m != nil && m.OpType == "Transpose" && m.Domain == "" {
			q := m.Attr("perm")
			if q == nil || len(q.Ints) != len(p.Ints) || !isPermutation(q.Ints) {
				return ""
			}
			perm := make([]int64, len(p.Ints))
			for i, k := range p.Ints {
				perm[i] = q.Ints[k]
			}
			n.Attributes = []*onnx.Attribute{attrInts("perm", perm...)}
			n.Inputs = []string{m.Inputs[0]}
			p = n.Attributes[0]
		}
		if slices.IsSorted(p.Ints) {
			return n.Inputs[0]
		}
	case "Squeeze":
		if m == nil || m.OpType != "Unsqueeze" || m.Domain != "" {
			return ""
		}
		x, y := constAxes(n, inits), constAxes(m, inits)
		if len(x) == 1 && x[0] >= 0 && slices.Equal(x, y) {
			return m.Inputs[0]
		}
	}
	return ""
}

// constAxes reads the axes of a Squeeze or Unsqueeze, nil when they are not
// known.
func constAxes(n *onnx.Node, inits map[string]*onnx.Tensor) []int64 {
	if a := n.Attr("axes"); a != nil {
		return a.Ints
	}
	if t := inits[input(n, 1)]; t != nil && t.DataType() == onnx.Int64 && t.External() == nil {
		return onnx.Elements[int64](t)
	}
	return nil
}

// isPermutation reports whether a list holds each of 0..n-1 once.
func isPermutation(perm []int64) bool {
	seen := make([]bool, len(perm))
	for _, k := range perm {
		if k < 0 || k >= int64(len(perm)) || seen[k] {
			return false
		}
		seen[k] = true
	}
	return true
}
