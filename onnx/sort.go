package onnx

import (
	"iter"
	"slices"
	"strings"
)

// Sort gives the nodes of a graph in an order in which each stands after the
// nodes whose outputs it reads, itself or in the graphs of its attributes. The
// graph's own order is kept where it will do; the graph is not modified. An
// error matches ErrMalformed: two nodes give a value of the same name, nodes form
// a cycle, which it names, or one is nil.
func Sort(g *Graph) ([]*Node, error) {
	if g == nil {
		return nil, Errorf(ErrMalformed, "no graph")
	}
	if i := slices.Index(g.Nodes, nil); i >= 0 {
		return nil, Errorf(ErrMalformed, "node %d is missing", i)
	}
	return sortNodes(g.Nodes)
}

func sortNodes(nodes []*Node) ([]*Node, error) {
	producer := make(map[string]int, len(nodes))
	for i, n := range nodes {
		for _, o := range n.Outputs {
			if o == "" {
				continue
			}
			if first, dup := producer[o]; dup {
				return nil, Errorf(ErrMalformed, "value %q is an output of %s and of %s", o, nodes[first].Describe(0), n.Describe(0))
			}
			producer[o] = i
		}
	}
	return sortProducers(nodes, producer)
}

// sortProducers sorts nodes of which producer gives the one that makes a value.
func sortProducers(nodes []*Node, producer map[string]int) ([]*Node, error) {
	s := &sorter{nodes: nodes, producer: producer, order: make([]*Node, 0, len(nodes))}
	if s.sorted() {
		return append(s.order, nodes...), nil
	}
	s.state = make([]visit, len(nodes))
	for i := range nodes {
		if s.state[i] == visitNone {
			if err := s.visit(i); err != nil {
				return nil, err
			}
		}
	}
	return s.order, nil
}

// sorted reports whether the nodes certainly stand in order: a name that a graph
// within defines for itself counts as read too.
func (s *sorter) sorted() bool {
	for i, n := range s.nodes {
		if s.early(n, i) {
			return false
		}
	}
	return true
}

// early reports whether a node, or one of the graphs within, reads a name that
// node i or a later one of those to be sorted gives.
func (s *sorter) early(n *Node, i int) bool {
	for _, in := range n.Inputs {
		if k, ok := s.producer[in]; ok && k >= i {
			return true
		}
	}
	for _, a := range n.Attributes {
		if a.Graph != nil && s.earlyIn(a.Graph, i) {
			return true
		}
		for _, g := range a.Graphs {
			if g != nil && s.earlyIn(g, i) {
				return true
			}
		}
	}
	return false
}

func (s *sorter) earlyIn(g *Graph, i int) bool {
	for _, n := range g.Nodes {
		if s.early(n, i) {
			return true
		}
	}
	for _, o := range g.Outputs {
		if k, ok := s.producer[o.Name]; ok && k >= i {
			return true
		}
	}
	return false
}

type visit uint8

const (
	visitNone visit = iota
	visitOpen       // on the path
	visitDone       // in the order
)

// sorter walks the dependencies depth first, with a stack of its own: chains
// of nodes may be as long as the file.
type sorter struct {
	nodes    []*Node
	producer map[string]int
	state    []visit
	order    []*Node
	path     []pending
}

// pending is a node on the path and the dependencies still to be walked.
type pending struct {
	node int
	deps []int
}

func (s *sorter) visit(root int) error {
	s.push(root)
	for len(s.path) > 0 {
		top := &s.path[len(s.path)-1]
		if len(top.deps) == 0 {
			s.state[top.node] = visitDone
			s.order = append(s.order, s.nodes[top.node])
			s.path = s.path[:len(s.path)-1]
			continue
		}
		next := top.deps[0]
		top.deps = top.deps[1:]
		switch s.state[next] {
		case visitNone:
			s.push(next)
		case visitOpen:
			return s.cycle(next)
		}
	}
	return nil
}

func (s *sorter) push(i int) {
	var deps []int
	for name := range s.nodes[i].Reads() {
		if j, ok := s.producer[name]; ok && s.state[j] != visitDone {
			deps = append(deps, j)
		}
	}
	s.state[i] = visitOpen
	s.path = append(s.path, pending{i, deps})
}

// cycle names the nodes from start to the end of the path, the last of which
// reads from start.
func (s *sorter) cycle(start int) error {
	i := len(s.path) - 1
	for s.path[i].node != start {
		i--
	}
	const most = 8
	var names []string
	for k, p := range s.path[i:] {
		if k == most {
			names = append(names, "...")
			break
		}
		names = append(names, s.nodes[p.node].Describe(0))
	}
	names = append(names, s.nodes[start].Describe(0))
	return Errorf(ErrMalformed, "nodes form a cycle: %s", strings.Join(names, " reads from "))
}

// Reads gives each name that the node reads from the scope it stands in: its
// inputs, and what the graphs of its attributes capture. A name may come
// several times.
func (n *Node) Reads() iter.Seq[string] {
	return func(yield func(string) bool) { n.reads(yield) }
}

func (n *Node) reads(yield func(string) bool) bool {
	for _, in := range n.Inputs {
		if in != "" && !yield(in) {
			return false
		}
	}
	for _, g := range n.Subgraphs() {
		if !g.captures(yield) {
			return false
		}
	}
	return true
}

// captures gives each name that a graph reads and does not define.
func (g *Graph) captures(yield func(string) bool) bool {
	local := g.Defined()
	free := func(name string) bool { return local[name] || yield(name) }
	for _, n := range g.Nodes {
		if !n.reads(free) {
			return false
		}
	}
	for _, o := range g.Outputs {
		if o.Name != "" && !free(o.Name) {
			return false
		}
	}
	return true
}

// Defined gives the names that the graph itself defines: of its inputs, its
// initializers, and the outputs of its nodes.
func (g *Graph) Defined() map[string]bool {
	names := make(map[string]bool, len(g.Inputs)+len(g.Initializers)+len(g.SparseInitializers)+len(g.Nodes))
	for _, v := range g.Inputs {
		names[v.Name] = true
	}
	for _, v := range g.Initializers {
		names[v.Name] = true
	}
	for _, v := range g.SparseInitializers {
		names[v.Name] = true
	}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			if o != "" {
				names[o] = true
			}
		}
	}
	return names
}

// Subgraphs lists the graphs in the node's attributes.
func (n *Node) Subgraphs() []*Graph {
	count := 0
	for _, a := range n.Attributes {
		if a.Graph != nil {
			count++
		}
		count += len(a.Graphs)
	}
	if count == 0 {
		return nil
	}
	list := make([]*Graph, 0, count)
	for _, a := range n.Attributes {
		list = a.appendSubgraphs(list)
	}
	return list
}

// subgraphs lists the graphs in an attribute.
func (a *Attribute) subgraphs() []*Graph {
	if a.Graph == nil && len(a.Graphs) == 0 {
		return nil
	}
	return a.appendSubgraphs(make([]*Graph, 0, 1+len(a.Graphs)))
}

func (a *Attribute) appendSubgraphs(list []*Graph) []*Graph {
	if a.Graph != nil {
		list = append(list, a.Graph)
	}
	for _, g := range a.Graphs {
		if g != nil {
			list = append(list, g)
		}
	}
	return list
}
