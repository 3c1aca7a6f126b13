package rewrite

import "github.com/recur-ml/recur/onnx"

// drop removes what no output of the model depends on.
func drop(s *state) error {
	dropGraph(s.model.Graph)
	return nil
}

// dropGraph removes dead nodes and initializers of a graph, and gives the
// names that it captures from outside. Outputs of the nodes that stay are
// marked as not wanted where nobody reads them.
func dropGraph(g *onnx.Graph) map[string]bool {
	live := map[string]bool{}
	for _, o := range g.Outputs {
		live[o.Name] = true
	}
	maker := map[string]*onnx.Node{}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			if o != "" {
				maker[o] = n
			}
		}
	}
	kept := map[*onnx.Node]bool{}
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
		for _, sub := range subgraphs(n) {
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
		if !kept[n] {
			continue
		}
		for i, o := range n.Outputs {
			if !live[o] {
				n.Outputs[i] = ""
			}
		}
		nodes = append(nodes, n)
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
	own := definitions(g)
	captured := map[string]bool{}
	for name := range live {
		if !own[name] {
			captured[name] = true
		}
	}
	return captured
}
