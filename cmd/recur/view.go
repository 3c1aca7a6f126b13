package main

import (
	"math"
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// view is a graph with what can be known of its values before a run.
type view struct {
	graph *onnx.Graph
	scope *ops.Scope
	nodes []*viewedNode // in an order in which they can run
}

// viewedNode is a node of a view.
type viewedNode struct {
	*onnx.Node
	label  string // "LSTM-14"
	bodies []viewedBody
}

// viewedBody is a graph attribute of a node.
type viewedBody struct {
	name string
	view *view
	// of says what the body's inputs are: the node's input of that place, or -1
	// for the count and condition of a Loop.
	of []int
	// states are the pairs of a state's places among the body's inputs and
	// outputs.
	states [][2]int
}

// viewer makes views of one model.
type viewer struct {
	analysis *ops.Analysis
	visits   int // nodes viewed, bodies that are viewed again included
}

// visitsAgain bounds the views of bodies for better knowledge of states: loops
// nest.
const visitsAgain = 200_000

// viewModel views the model's graph; given replaces the declared types of
// inputs.
func viewModel(m *onnx.Model, limits onnx.Limits, given map[string]onnx.Type) *view {
	v := &viewer{analysis: ops.NewAnalysis(ops.Default(), m, limits)}
	in := make([]ops.Info, len(m.Graph.Inputs))
	replaced := false
	for i, x := range m.Graph.Inputs {
		if t, ok := given[x.Name]; ok {
			in[i], replaced = ops.Info{Type: t}, true
		}
	}
	out := v.graph(m.Graph, nil, nil)
	if replaced {
		scope := v.analysis.NewScope(nil)
		scope.Enter(m.Graph, nil)
		for i, x := range m.Graph.Inputs {
			if in[i].Type.Known() {
				scope.Set(x.Name, in[i])
			}
		}
		out = v.nodes(m.Graph, scope)
	}
	return out
}

func (v *viewer) graph(g *onnx.Graph, outer *ops.Scope, in []ops.Info) *view {
	scope := v.analysis.NewScope(outer)
	scope.Enter(g, in)
	return v.nodes(g, scope)
}

func (v *viewer) nodes(g *onnx.Graph, scope *ops.Scope) *view {
	out := &view{graph: g, scope: scope}
	list, err := onnx.Sort(g)
	if err != nil {
		list = g.Nodes
	}
	for _, n := range list {
		v.visits++
		x := &viewedNode{Node: n, label: qualified(n.Domain, n.OpType)}
		if known, err := scope.Node(n); err == nil {
			x.label = opLabel(x.label, known.Since)
		} else {
			x.label = opLabel(x.label, sinceOf(placed{Node: n, opset: v.opset(n)}))
		}
		for _, a := range n.Attributes {
			if a.Graph != nil {
				x.bodies = append(x.bodies, v.body(n, a.Name, a.Graph, scope))
			}
			for _, sub := range a.Graphs {
				x.bodies = append(x.bodies, viewedBody{name: a.Name, view: v.graph(sub, scope, nil)})
			}
		}
		out.nodes = append(out.nodes, x)
	}
	return out
}

func (v *viewer) opset(n *onnx.Node) int {
	if n.Opset != 0 {
		return int(n.Opset)
	}
	return v.analysis.Opsets[n.Domain]
}

// body views the body of a loop with what its inputs are at first; a shape
// that an iteration changes is not known.
func (v *viewer) body(n *onnx.Node, name string, g *onnx.Graph, scope *ops.Scope) viewedBody {
	b := viewedBody{name: name}
	in := make([]ops.Info, len(g.Inputs))
	switch n.OpType {
	case "Loop":
		b.loop(n, g, in, scope)
	case "Scan":
		b.scan(n, v.opset(n), g, in, scope)
	default:
		b.view = v.graph(g, scope, nil)
		return b
	}
	if v.visits > visitsAgain {
		for _, s := range b.states {
			if s[0] < len(in) {
				in[s[0]].Type.Shape = nil
			}
		}
		b.view = v.graph(g, scope, in)
		return b
	}
	b.view = v.graph(g, scope, in)
	changed := false
	for _, s := range b.states {
		if s[0] < len(in) && s[1] < len(g.Outputs) {
			info, _ := b.view.scope.Lookup(g.Outputs[s[1]].Name)
			if t, ok := common(in[s[0]].Type, info.Type); ok {
				in[s[0]].Type, changed = t, true
			}
		}
	}
	if changed {
		b.view = v.graph(g, scope, in)
	}
	return b
}

func (b *viewedBody) loop(n *onnx.Node, g *onnx.Graph, in []ops.Info, scope *ops.Scope) {
	for i := range g.Inputs {
		if i < 2 {
			b.of = append(b.of, -1)
			continue
		}
		b.of = append(b.of, i)
		in[i] = typeOf(n, i, scope)
		b.states = append(b.states, [2]int{i, i - 1})
	}
}

func (b *viewedBody) scan(n *onnx.Node, opset int, g *onnx.Graph, in []ops.Info, scope *ops.Scope) {
	first := 0 // of the node's inputs
	if opset < 9 {
		first = 1
	}
	scanned := 0
	if a := n.Attr("num_scan_inputs"); a != nil {
		scanned = int(a.Int)
	}
	axes := n.Attr("scan_input_axes")
	states := len(g.Inputs) - scanned
	for i := range g.Inputs {
		b.of = append(b.of, first+i)
		in[i] = typeOf(n, first+i, scope)
		s := in[i].Type.Shape
		if first == 1 && len(s) > 0 {
			s = s[1:]
		}
		if i < states {
			b.states = append(b.states, [2]int{i, i})
		} else if len(s) > 0 {
			axis := 0
			if axes != nil && i-states < len(axes.Ints) {
				axis = int(axes.Ints[i-states])
			}
			if axis < 0 {
				axis += len(s)
			}
			if axis >= 0 && axis < len(s) {
				s = slices.Delete(s.Clone(), axis, axis+1)
			}
		}
		in[i].Type.Shape = s
	}
}

// typeOf is what is known of a node's input without its elements.
func typeOf(n *onnx.Node, i int, scope *ops.Scope) ops.Info {
	if i >= len(n.Inputs) || n.Inputs[i] == "" {
		return ops.Info{}
	}
	info, _ := scope.Lookup(n.Inputs[i])
	return ops.Info{Type: info.Type}
}

// common gives a type that holds for both; ok is false when that is a itself.
func common(a, b onnx.Type) (t onnx.Type, ok bool) {
	if a.Kind != onnx.KindTensor || a.Shape == nil {
		return a, false
	}
	t = a
	if len(a.Shape) != len(b.Shape) || b.Shape == nil {
		t.Shape = nil
		return t, true
	}
	t.Shape = a.Shape.Clone()
	for i, d := range b.Shape {
		if !d.Same(a.Shape[i]) && a.Shape[i] != onnx.UnknownDim {
			t.Shape[i], ok = onnx.UnknownDim, true
		}
	}
	return t, ok
}

// typeOf gives what is known of the type of a value.
func (v *view) typeOf(name string) onnx.Type {
	info, _ := v.scope.Lookup(name)
	return info.Type
}

// shape gives the shape of a node's input, nil when it is not known.
func (v *view) shape(n *viewedNode, i int) onnx.Shape {
	if i >= len(n.Inputs) || n.Inputs[i] == "" {
		return nil
	}
	return v.typeOf(n.Inputs[i]).Shape
}

// steps gives the number of iterations of a Loop or Scan.
func (v *view) steps(n *viewedNode) (poly, bool) {
	switch n.OpType {
	case "Loop":
		if len(n.Inputs) == 0 || n.Inputs[0] == "" {
			return nil, false
		}
		info, _ := v.scope.Lookup(n.Inputs[0])
		if c, err := onnx.Data[int64](info.Const); err == nil && len(c) == 1 && c[0] >= 0 {
			return constant(c[0]), c[0] < math.MaxInt32 // more says that the condition ends it
		}
		if c := info.Content; c != nil && len(c.Elems) == 1 {
			return dimension(c.Elems[0].Dim())
		}
	case "Scan":
		for _, b := range n.bodies {
			if len(b.of) == len(b.states) {
				return nil, false
			}
			place := b.of[len(b.states)] // the first scan input
			s, axis := v.shape(n, place), 0
			if a := n.Attr("scan_input_axes"); a != nil && len(a.Ints) > 0 {
				axis = int(a.Ints[0])
			}
			if len(b.of) > 0 && b.of[0] == 1 { // version 8 has the batch first
				axis = 1
			}
			if axis < 0 {
				axis += len(s)
			}
			if axis >= 0 && axis < len(s) {
				return dimension(s[axis])
			}
		}
	}
	return nil, false
}
