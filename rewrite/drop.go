package rewrite

import (
	"slices"
	"sync"

	"github.com/recur-ml/recur/onnx"
)

// drop removes what no output of the model depends on: nodes, initializers,
// and outputs of If, Loop and Scan with what computes them.
func drop(s *state) error {
	d := dropper{s.model.OpsetImports}
	for {
		dropGraph(s.model.Graph)
		if !d.outputs(s.model.Graph) {
			return nil
		}
	}
}

// dropper takes outputs that nobody reads from nodes.
type dropper struct{ imports []onnx.OpsetImport }

// outputs does so for the nodes of a graph of which dropGraph left the live
// part, and reports whether a body lost an output: then more may be dead.
func (d dropper) outputs(g *onnx.Graph) bool {
	read := sync.OnceValue(func() map[string]bool { return outputsRead(g) })
	lost := false
	for _, n := range g.Nodes {
		lost = d.trim(n, read) || lost
		for _, sub := range n.Subgraphs() {
			lost = d.outputs(sub) || lost
		}
		if len(n.Outputs) == 1 {
			continue // the node would be dead
		}
		for i, o := range n.Outputs {
			if !read()[o] && d.optional(n, i) {
				n.Outputs[i] = ""
			}
		}
	}
	return lost
}

// outputsRead tells of the outputs of nodes that have several whether anything
// reads them.
func outputsRead(g *onnx.Graph) map[string]bool {
	read := map[string]bool{}
	for _, n := range g.Nodes {
		if len(n.Outputs) == 1 {
			continue
		}
		for _, o := range n.Outputs {
			read[o] = false
		}
	}
	markOutputs(g, read)
	return read
}

// markOutputs marks those of the given names that a graph reads, or the graphs
// within.
func markOutputs(g *onnx.Graph, read map[string]bool) {
	mark := func(name string) {
		if _, ok := read[name]; ok {
			read[name] = true
		}
	}
	for _, o := range g.Outputs {
		mark(o.Name)
	}
	for _, n := range g.Nodes {
		for _, in := range n.Inputs {
			mark(in)
		}
		for _, sub := range n.Subgraphs() {
			markOutputs(sub, read)
		}
	}
}

// optional reports whether a node may leave output i out, which not all that
// it does not need to compute may be: an operator with a list of outputs wants
// them all to have names.
func (d dropper) optional(n *onnx.Node, i int) bool {
	opset := n.Opset
	for _, imp := range d.imports {
		if opset == 0 && imp.Domain == n.Domain {
			opset = imp.Version
		}
	}
	s := onnx.LookupSchema(n.Domain, n.OpType, int(opset))
	return s != nil && s.Output(i) != nil && s.Output(i).Option == onnx.OptionalFormal
}

// trim takes outputs that nobody reads from an If, and the stacked ones from a
// Loop or Scan, together with those of the bodies. States stay: they have a
// place among the inputs too.
func (d dropper) trim(n *onnx.Node, read func() map[string]bool) bool {
	var bodies []*onnx.Graph
	first, shift := 0, 0 // the first output that may go, and how much later its place is among the bodies'
	switch l := loopOf(n); {
	case n.OpType == "If" && n.Domain == "":
		bodies = n.Subgraphs()
	case l != nil:
		bodies, first, shift = []*onnx.Graph{l.body}, l.states, l.bodyOut
	default:
		return false
	}
	total := len(n.Outputs)
	for _, b := range bodies {
		total = max(total, len(b.Outputs)-shift)
	}
	gone := false
	for i := total - 1; i >= first; i-- {
		if i < len(n.Outputs) && (len(n.Outputs) == 1 || n.Outputs[i] != "" && read()[n.Outputs[i]]) {
			continue
		}
		for _, b := range bodies {
			if k := i + shift; k < len(b.Outputs) {
				b.Outputs = slices.Delete(slices.Clone(b.Outputs), k, k+1)
			}
		}
		if i < len(n.Outputs) {
			n.Outputs = slices.Delete(n.Outputs, i, i+1)
		}
		for _, name := range []string{"scan_output_axes", "scan_output_directions"} {
			if a := n.Attr(name); a != nil && i-first < len(a.Ints) {
				c := *a
				c.Ints = slices.Delete(slices.Clone(a.Ints), i-first, i-first+1)
				n.Attributes[slices.Index(n.Attributes, a)] = &c
			}
		}
		gone = true
	}
	return gone
}

// dropGraph removes dead nodes and initializers of a graph, and gives the
// names that it captures from outside.
func dropGraph(g *onnx.Graph) map[string]bool {
	live := make(map[string]bool, len(g.Nodes))
	for _, o := range g.Outputs {
		live[o.Name] = true
	}
	maker := producers(g)
	kept := make(map[*onnx.Node]bool, len(g.Nodes))
	var work []string
	for name := range live {
		work = append(work, name)
	}
	for len(work) > 0 {
		name := work[len(work)-1]
		work = work[:len(work)-1]
		n := maker[name]
		if n == nil || kept[n] {
			continue
		}
		kept[n] = true
		need := append([]string(nil), n.Inputs...)
		for _, sub := range n.Subgraphs() {
			for c := range dropGraph(sub) {
				need = append(need, c)
			}
		}
		for _, in := range need {
			if in != "" && !live[in] {
				live[in] = true
				work = append(work, in)
			}
		}
	}
	nodes := g.Nodes[:0:0]
	for _, n := range g.Nodes {
		if kept[n] {
			nodes = append(nodes, n)
		}
	}
	g.Nodes = nodes
	input := map[string]bool{} // an input that nobody reads keeps its default: without, it would have to be given
	for _, v := range g.Inputs {
		input[v.Name] = true
	}
	inits := g.Initializers[:0:0]
	for _, i := range g.Initializers {
		if live[i.Name] || input[i.Name] {
			inits = append(inits, i)
		}
	}
	g.Initializers = inits
	sparse := g.SparseInitializers[:0:0]
	for _, i := range g.SparseInitializers {
		if live[i.Name] || input[i.Name] {
			sparse = append(sparse, i)
		}
	}
	g.SparseInitializers = sparse
	captured := live
	for name := range maker {
		delete(captured, name)
	}
	for name := range input {
		delete(captured, name)
	}
	for _, i := range g.Initializers {
		delete(captured, i.Name)
	}
	for _, i := range g.SparseInitializers {
		delete(captured, i.Name)
	}
	return captured
}
