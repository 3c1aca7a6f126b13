package main

import (
	"sync"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// analyse infers what can be known of the values of a model's graph; given
// replaces the declared types of inputs. What cannot be inferred is unknown.
func analyse(m *onnx.Model, limits onnx.Limits, given map[string]onnx.Type) *ops.Scope {
	scope := ops.NewAnalysis(ops.Default(), m, limits).NewScope(nil)
	scope.Enter(m.Graph, nil)
	for name, t := range given {
		scope.Set(name, ops.Info{Type: t})
	}
	nodes, err := onnx.Sort(m.Graph)
	if err != nil {
		nodes = m.Graph.Nodes
	}
	for _, n := range nodes {
		scope.Node(n) // on an error its outputs are unknown
	}
	return scope
}

// placed is a node and where it stands.
type placed struct {
	*onnx.Node
	graph *onnx.Graph // nil in a function
	// inits gives the initializers of the graph by name; nil where graph is.
	inits func() map[string]*onnx.Initializer
	// path leads to the node: names of the nodes and attributes around it, or
	// of the function.
	path  string
	opset int // version of the node's domain, 0 where it is not imported
}

// initializersOf indexes the initializers of a graph, when that is asked for.
func initializersOf(g *onnx.Graph) func() map[string]*onnx.Initializer {
	return sync.OnceValue(func() map[string]*onnx.Initializer {
		m := make(map[string]*onnx.Initializer, len(g.Initializers))
		for _, init := range g.Initializers {
			if m[init.Name] == nil {
				m[init.Name] = init
			}
		}
		return m
	})
}

// walk calls f for each node of a model: of its graph, the graphs within, and
// its functions.
func walk(m *onnx.Model, f func(placed)) {
	walkNodes(m.Graph.Nodes, m.Graph, "", opsetsOf(m.OpsetImports), f)
	for _, fn := range m.Functions {
		walkNodes(fn.Nodes, nil, "function "+qualified(fn.Domain, fn.Name)+"/", opsetsOf(fn.OpsetImports), f)
	}
}

func walkNodes(nodes []*onnx.Node, g *onnx.Graph, path string, opsets map[string]int, f func(placed)) {
	inits := initializersOf(g)
	for _, n := range nodes {
		opset := int(n.Opset)
		if opset == 0 {
			opset = opsets[n.Domain]
		}
		f(placed{n, g, inits, path + n.Label(), opset})
		for _, a := range n.Attributes {
			inner := path + n.Label() + "." + a.Name + "/"
			if a.Graph != nil {
				walkNodes(a.Graph.Nodes, a.Graph, inner, opsets, f)
			}
			for _, sub := range a.Graphs {
				walkNodes(sub.Nodes, sub, inner, opsets, f)
			}
		}
	}
}

func opsetsOf(imports []onnx.OpsetImport) map[string]int {
	out := map[string]int{}
	for _, imp := range imports {
		domain := imp.Domain
		if domain == "ai.onnx" {
			domain = ""
		}
		out[domain] = int(imp.Version)
	}
	return out
}

// qualified writes an operator's name with its domain, unless that is ai.onnx.
func qualified(domain, name string) string {
	if domain == "" || domain == "ai.onnx" {
		return name
	}
	return domain + ":" + name
}
