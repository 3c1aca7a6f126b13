package rewrite

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
)

// hoist takes values that a Loop or Scan carries unchanged out of it: the body
// reads the value from outside instead, and what the loop gives for it is that
// value. Exporters carry the weights of a recurrent layer this way.
func hoist(s *state) error {
	s.hoistGraph(s.model.Graph)
	return nil
}

func (s *state) hoistGraph(g *onnx.Graph) {
	var nodes []*onnx.Node
	for _, n := range g.Nodes {
		for _, sub := range n.Subgraphs() {
			s.hoistGraph(sub)
		}
		l := loopOf(n)
		if l == nil || l.endless() {
			nodes = append(nodes, n)
			continue
		}
		after := s.hoistLoop(l)
		nodes = append(append(nodes, n), after...)
	}
	g.Nodes = nodes
}

// loop is a Loop, or a Scan of version 9 or later, with the places of its
// states in the lists of the node and of its body.
type loop struct {
	node               *onnx.Node
	body               *onnx.Graph
	states             int
	nodeIn             int // the first state among the node's inputs
	bodyIn, bodyOut    int // the first state among the body's inputs and outputs
	scanIns, scanInIdx int // scan inputs, and the first one among the body's inputs
}

// loopOf describes a loop node; nil when n is none, or lacks what it needs.
func loopOf(n *onnx.Node) *loop {
	if n.Domain != "" {
		return nil
	}
	a := n.Attr("body")
	if a == nil || a.Graph == nil {
		return nil
	}
	switch n.OpType {
	case "Loop":
		l := &loop{node: n, body: a.Graph, states: len(n.Inputs) - 2, nodeIn: 2, bodyIn: 2, bodyOut: 1}
		if l.states < 0 || len(a.Graph.Inputs) != 2+l.states || len(a.Graph.Outputs) < 1+l.states {
			return nil
		}
		return l
	case "Scan":
		k := n.Attr("num_scan_inputs")
		if k == nil || n.Attr("directions") != nil || len(n.Inputs) > 0 && len(n.Inputs) == len(a.Graph.Inputs)+1 { // version 8
			return nil
		}
		l := &loop{node: n, body: a.Graph, states: len(n.Inputs) - int(k.Int), scanIns: int(k.Int)}
		l.scanInIdx = l.states
		if l.states < 0 || len(a.Graph.Inputs) != len(n.Inputs) || len(a.Graph.Outputs) < l.states {
			return nil
		}
		return l
	}
	return nil
}

// endless reports whether nothing ends a loop: without it, what it gives would
// be had without running it, and no limit would be met.
func (l *loop) endless() bool {
	return l.node.OpType == "Loop" && l.node.Inputs[0] == "" && through(producers(l.body), l.body.Outputs[0].Name) == l.body.Inputs[1].Name
}

// hoistLoop removes the invariant states of a loop and gives nodes that stand
// for what it gave for them.
func (s *state) hoistLoop(l *loop) []*onnx.Node {
	makers := producers(l.body)
	own := l.body.Defined()
	var after []*onnx.Node
	for i := l.states - 1; i >= 0; i-- {
		inner := l.body.Inputs[l.bodyIn+i].Name
		outer := l.node.Inputs[l.nodeIn+i]
		if outer == "" || own[outer] || through(makers, l.body.Outputs[l.bodyOut+i].Name) != inner {
			continue
		}
		if i < len(l.node.Outputs) {
			if o := l.node.Outputs[i]; o != "" {
				after = append(after, &onnx.Node{Name: s.fresh(o + "/hoisted"), OpType: "Identity", Inputs: []string{outer}, Outputs: []string{o}, Opset: l.node.Opset})
			}
			l.node.Outputs = slices.Delete(l.node.Outputs, i, i+1)
		}
		l.node.Inputs = slices.Delete(l.node.Inputs, l.nodeIn+i, l.nodeIn+i+1)
		l.body.Inputs = slices.Delete(l.body.Inputs, l.bodyIn+i, l.bodyIn+i+1)
		l.body.Outputs = slices.Delete(l.body.Outputs, l.bodyOut+i, l.bodyOut+i+1)
		l.states--
		to := map[string]string{inner: outer}
		rename(l.body.Nodes, to)
		for k := range l.body.Outputs {
			if l.body.Outputs[k].Name == inner {
				l.body.Outputs[k].Name = outer
			}
		}
	}
	return after
}

// producers maps the values of a graph to the nodes that make them.
func producers(g *onnx.Graph) map[string]*onnx.Node {
	m := make(map[string]*onnx.Node, len(g.Nodes))
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			if o != "" {
				m[o] = n
			}
		}
	}
	return m
}

// through follows a value back over Identity nodes.
func through(makers map[string]*onnx.Node, name string) string {
	for n := makers[name]; n != nil && n.OpType == "Identity" && n.Domain == "" && len(n.Inputs) == 1; n = makers[name] {
		name = n.Inputs[0]
	}
	return name
}
