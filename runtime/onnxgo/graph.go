package onnxgo

import (
	"cmp"
	"fmt"
	"slices"

	goonnx "github.com/owulveryck/onnx-go"
	gonum "gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/iterator"
	"gorgonia.org/tensor"

	"github.com/recur-ml/recur/onnx"
)

// graph is what onnx-go's decoder builds: a node for each value, and for each
// application of an operator an edge from each of its outputs to each of its
// inputs, weighted with the input's position.
//
// The decoder makes a new node wherever a list of the model mentions a value,
// so that an input that is an output too has two. They are one value here.
// Two edges may join the same nodes (x*x), and an edge may join a node to
// itself (the nameless node is every absent input and output).
type graph struct {
	nodes  []*node // by ID; nil for one that has not been added
	byName map[string]*value
	values []*value // in the order of their first nodes
	calls  []*call
	edges  map[int64][]edge // by the ID of the node that they come from

	prepared      int   // the number of calls that prepare has seen
	firstComputed int64 // the first node that belongs to a computed value
}

// value is what nodes of one name stand for.
type value struct {
	name   string
	absent bool // the nameless one
	nodes  []*node
	call   *call // that computes it, nil for inputs and initializers
	read   bool  // by some call; see prepare

	input  tensor.Tensor // what the user set
	result tensor.Tensor // what the last run gave
}

// node is a node of the graph: a Namer and DataCarrier of onnx-go.
type node struct {
	id     int64
	graph  *graph
	value  *value
	early  bool // added before the first edge
	joined bool // by some edge
	// decoded is what the decoder set: zeros of the declared type and shape,
	// or the data of an initializer. times counts its doing so.
	decoded tensor.Tensor
	times   int
}

// call is an application of an operator.
type call struct {
	op      goonnx.Operation
	inputs  []*value
	outputs []*value
}

type edge struct {
	from, to *node
	weight   float64
}

func (e edge) From() gonum.Node         { return e.from }
func (e edge) To() gonum.Node           { return e.to }
func (e edge) Weight() float64          { return e.weight }
func (e edge) ReversedEdge() gonum.Edge { return edge{e.to, e.from, e.weight} }

func (g *graph) init() {
	g.byName = map[string]*value{}
	g.edges = map[int64][]edge{}
}

// forget drops the results of the last run.
func (g *graph) forget() {
	for _, v := range g.values {
		v.result = nil
	}
}

// ID gives the node's number, which counts from 0.
func (n *node) ID() int64 { return n.id }

// GetName gives the name of the node's value.
func (n *node) GetName() string { return n.value.name }

// SetName says which value the node stands for; the empty name is an absent
// one.
func (n *node) SetName(name string) {
	g := n.graph
	g.drop(n)
	v := g.byName[name]
	if v == nil {
		v = &value{name: name, absent: name == ""}
		g.byName[name] = v
		g.values = append(g.values, v)
	}
	v.nodes = append(v.nodes, n)
	n.value = v
}

// drop takes the node away from its value, and the value with its last node.
func (g *graph) drop(n *node) {
	v := n.value
	v.nodes = slices.DeleteFunc(v.nodes, func(o *node) bool { return o == n })
	if len(v.nodes) == 0 {
		delete(g.byName, v.name)
		g.values = slices.DeleteFunc(g.values, func(o *value) bool { return o == v })
	}
}

// SetTensor gives the node's value a tensor, of which it keeps no copy. It
// fails for one that an operator computes.
func (n *node) SetTensor(t tensor.Tensor) error {
	if t == nil {
		return fmt.Errorf("onnxgo: %w", onnx.Errorf(onnx.ErrType, "value %q: no tensor", n.value.name))
	}
	if len(n.graph.calls) == 0 { // the decoder sets tensors before it applies operators
		n.decoded = t
		n.times++
		return nil
	}
	if !n.early && !n.joined { // the decoder is at work again
		return fmt.Errorf("onnxgo: %w", onnx.Errorf(onnx.ErrMalformed, "value %q of another model; a backend holds one", n.value.name))
	}
	if c := n.value.call; c != nil {
		return fmt.Errorf("onnxgo: %w", onnx.Errorf(onnx.ErrMalformed, "value %q cannot be set: %s computes it", n.value.name, c.op.Name))
	}
	n.value.input = t
	return nil
}

// GetTensor gives what the last Run computed, what SetTensor set, or what the
// decoder found; nil when there is none of them.
func (n *node) GetTensor() tensor.Tensor {
	switch v := n.value; {
	case v.result != nil:
		return v.result
	case v.input != nil:
		return v.input
	}
	return n.decoded
}

// NewNode makes a node that AddNode may add.
func (g *graph) NewNode() gonum.Node {
	n := &node{id: int64(len(g.nodes)), graph: g}
	g.nodes = append(g.nodes, nil)
	name := fmt.Sprintf("node %d", n.id)
	for g.byName[name] != nil {
		name += "'"
	}
	n.value = &value{name: name, nodes: []*node{n}}
	g.byName[name] = n.value
	g.values = append(g.values, n.value)
	return n
}

// AddNode adds a node that NewNode made. It panics, as gonum wants it to, when
// the node is another graph's or has been added.
func (g *graph) AddNode(u gonum.Node) {
	n, ok := u.(*node)
	if !ok || n.graph != g {
		panic(fmt.Sprintf("onnxgo: node %d is not of this graph", u.ID()))
	}
	if g.nodes[n.id] != nil {
		panic(fmt.Sprintf("onnxgo: node %d has been added", n.id))
	}
	n.early = len(g.edges) == 0
	g.nodes[n.id] = n
}

// NewWeightedEdge makes an edge that SetWeightedEdge may add.
func (g *graph) NewWeightedEdge(from, to gonum.Node, weight float64) gonum.WeightedEdge {
	return edge{from.(*node), to.(*node), weight}
}

// SetWeightedEdge adds an edge that NewWeightedEdge made.
func (g *graph) SetWeightedEdge(e gonum.WeightedEdge) {
	j := e.(edge)
	j.from.joined, j.to.joined = true, true
	g.edges[j.from.id] = append(g.edges[j.from.id], j)
}

// ApplyOperation says that an operator computes the outputs, absent ones
// included, from what their edges lead to.
func (g *graph) ApplyOperation(op goonnx.Operation, outputs ...gonum.Node) error {
	c := &call{op: op}
	named := int64(-1)
	for _, u := range outputs {
		n, ok := u.(*node)
		if !ok || n.graph != g {
			return fmt.Errorf("onnxgo: %s: node %d is not of this graph", op.Name, u.ID())
		}
		v := n.value
		c.outputs = append(c.outputs, v)
		if v.absent {
			continue
		}
		if v.call != nil {
			return fmt.Errorf("onnxgo: %w", onnx.Errorf(onnx.ErrMalformed,
				"value %q is computed by %s and by %s", v.name, v.call.op.Name, op.Name))
		}
		v.call = c
		if named < 0 {
			named = n.id
		}
	}
	if named < 0 {
		return fmt.Errorf("onnxgo: %w", onnx.Errorf(onnx.ErrMalformed, "%s has no output", op.Name))
	}
	// Each output has an edge to each input; one output's are enough.
	edges := slices.Clone(g.edges[named])
	slices.SortStableFunc(edges, func(a, b edge) int { return cmp.Compare(a.weight, b.weight) })
	for i, e := range edges {
		if e.weight != float64(i) {
			return fmt.Errorf("onnxgo: %w", onnx.Errorf(onnx.ErrMalformed,
				"%s: an edge of weight %v where input %d belongs", op.Name, e.weight, i))
		}
		c.inputs = append(c.inputs, e.to.value)
	}
	g.calls = append(g.calls, c)
	return nil
}

// Node gives the node of an ID, nil when there is none.
func (g *graph) Node(id int64) gonum.Node {
	if id < 0 || id >= int64(len(g.nodes)) || g.nodes[id] == nil {
		return nil
	}
	return g.nodes[id]
}

// Nodes gives all nodes.
func (g *graph) Nodes() gonum.Nodes {
	var list []gonum.Node
	for _, n := range g.nodes {
		if n != nil {
			list = append(list, n)
		}
	}
	return nodes(list)
}

// From gives the nodes that edges from a node lead to.
func (g *graph) From(id int64) gonum.Nodes {
	var list []gonum.Node
	for _, e := range g.edges[id] {
		if !slices.Contains(list, gonum.Node(e.to)) {
			list = append(list, e.to)
		}
	}
	return nodes(list)
}

// To gives the nodes from which edges lead to a node.
func (g *graph) To(id int64) gonum.Nodes {
	var list []gonum.Node
	for _, n := range g.nodes {
		if n != nil && g.HasEdgeFromTo(n.id, id) {
			list = append(list, n)
		}
	}
	return nodes(list)
}

func nodes(list []gonum.Node) gonum.Nodes {
	if len(list) == 0 {
		return gonum.Empty
	}
	return iterator.NewOrderedNodes(list)
}

// Edge gives an edge from u to v, nil when there is none.
func (g *graph) Edge(u, v int64) gonum.Edge {
	if e := g.WeightedEdge(u, v); e != nil {
		return e
	}
	return nil
}

// WeightedEdge gives an edge from u to v, nil when there is none; of several,
// that of the least weight.
func (g *graph) WeightedEdge(u, v int64) gonum.WeightedEdge {
	var found gonum.WeightedEdge
	for _, e := range g.edges[u] {
		if e.to.id == v && (found == nil || e.weight < found.Weight()) {
			found = e
		}
	}
	return found
}

// HasEdgeFromTo reports whether an edge leads from u to v.
func (g *graph) HasEdgeFromTo(u, v int64) bool { return g.WeightedEdge(u, v) != nil }

// HasEdgeBetween reports whether an edge joins u and v.
func (g *graph) HasEdgeBetween(u, v int64) bool {
	return g.HasEdgeFromTo(u, v) || g.HasEdgeFromTo(v, u)
}
