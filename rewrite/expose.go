package rewrite

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// ExposeState gives a copy of a model that onnx.Check has accepted, in which
// the states that its recurrent nodes keep to themselves are inputs and outputs,
// and the pairs that were added. Where a node of the model's own graph (calls
// of functions are replaced by their bodies first) has an initial_h or an
// initial_c that is absent, zero or another constant, it is given an input
// NAME_h_in or NAME_c_in, and Y_h or Y_c becomes the output NAME_h_out or
// NAME_c_out unless it is one already. NAME is the node's name, else that of
// its first output; a name that is taken gets a number.
//
// The new input has the constant for its default, or zeros where their shape
// is known; elsewhere a run must give it, as a stream does. A model of an IR
// version below 4, which knows no defaults, becomes one of version 4, without
// the inputs that were only the names of initializers.
//
// Without names, the nodes are those that run forward: what a frame's backward
// pass ends with is nothing that the next frame's could begin with. Names of
// nodes choose others. An error matches onnx.ErrMalformed when there is no such
// node, or it has no state of that kind.
func ExposeState(m *onnx.Model, nodes ...string) (*onnx.Model, []Pair, error) {
	s := &state{model: cloneModel(m), registry: ops.Default(), limits: onnx.Limits{}.WithDefaults(), names: map[string]bool{}}
	s.collect(s.model.Graph)
	if err := inline(s); err != nil {
		return nil, nil, err
	}
	e := &exposure{state: s, lineage: newLineage(s.model), scope: ops.NewAnalysis(s.registry, s.model, s.limits).NewScope(nil)}
	e.scope.Enter(s.model.Graph, nil)
	sorted, err := onnx.Sort(s.model.Graph)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range sorted {
		e.scope.Node(n) // what cannot be inferred stays unknown
	}
	found := map[string]bool{}
	for _, r := range e.recurrent {
		name := stateName(r.node)
		if r.place != e.top || portsOf(r.node)[0] != hiddenState[0] || len(nodes) > 0 && !slices.Contains(nodes, name) || len(nodes) == 0 && direction(r.node) != "forward" {
			continue
		}
		before := len(e.pairs)
		if err := e.node(r.node); err != nil {
			return nil, nil, err
		}
		found[name] = found[name] || len(e.pairs) > before
	}
	for _, name := range nodes {
		if !found[name] {
			return nil, nil, onnx.Errorf(onnx.ErrMalformed, "no recurrent node %q with a hidden state in the model's graph", name)
		}
	}
	return s.model, e.pairs, nil
}

type exposure struct {
	*state
	*lineage
	scope *ops.Scope
	pairs []Pair
}

// stateName is what the states of a node are named after.
func stateName(n *onnx.Node) string {
	for _, name := range append([]string{n.Name}, n.Outputs...) {
		if name != "" {
			return name
		}
	}
	return n.OpType
}

func direction(n *onnx.Node) string {
	if a := n.Attr("direction"); a != nil && a.String != "" {
		return a.String
	}
	return "forward"
}

// node exposes the states of a node that are hidden.
func (e *exposure) node(n *onnx.Node) error {
	name := stateName(n)
	for k, p := range portsOf(n) {
		initial, hidden := e.hidden(n, p)
		if !hidden {
			continue
		}
		t, err := e.stateType(n, initial)
		if err != nil {
			return ops.NodeError(n, 0, err)
		}
		base := name + "_" + []string{"h", "c"}[k]
		in := onnx.ValueInfo{Name: e.fresh(base + "_in"), Type: t}
		for len(n.Inputs) <= p.in {
			n.Inputs = append(n.Inputs, "")
		}
		n.Inputs[p.in] = in.Name
		e.addInput(in, initial)
		e.pairs = append(e.pairs, Pair{Output: e.output(n, p, base+"_out", t), Input: in.Name})
	}
	return nil
}

// hidden reports whether an initial state is the same in every run, and gives
// the constant, nil for zeros.
func (e *exposure) hidden(n *onnx.Node, p port) (*onnx.Tensor, bool) {
	in := inputOf(n, p.in)
	if in == "" || e.zero(e.top, in, 0) {
		return nil, true
	}
	t := e.constantNamed(e.top, in)
	return t, t != nil
}

// stateType gives the type of a node's states: [directions, rows, hidden], or
// with layout 1 [rows, directions, hidden].
func (e *exposure) stateType(n *onnx.Node, initial *onnx.Tensor) (onnx.Type, error) {
	if initial != nil {
		return initial.Type(), nil
	}
	x, _ := e.scope.Lookup(inputOf(n, 0))
	r, _ := e.scope.Lookup(inputOf(n, 2))
	elem := x.Type.Elem
	if elem == onnx.Undefined {
		elem = r.Type.Elem // of a quantized node it is another, but there X is known
	}
	directions, rows, size := onnx.Fixed(1), onnx.UnknownDim, onnx.UnknownDim
	if direction(n) == "bidirectional" {
		directions = onnx.Fixed(2)
	}
	rowAxis := 1
	if a := n.Attr("layout"); a != nil && a.Int == 1 {
		rowAxis = 0
	}
	if len(x.Type.Shape) == 3 {
		rows = x.Type.Shape[rowAxis]
	}
	if a := n.Attr("hidden_size"); a != nil {
		size = onnx.Fixed(int(a.Int))
	} else if n.OpType != "DynamicQuantizeLSTM" && len(r.Type.Shape) == 3 {
		size = r.Type.Shape[2]
	}
	if elem == onnx.Undefined || !size.Known() {
		return onnx.Type{}, onnx.Errorf(onnx.ErrUnsupported, "element type and hidden size of the state are not known")
	}
	if rowAxis == 0 {
		return onnx.TensorType(elem, onnx.Shape{rows, directions, size}), nil
	}
	return onnx.TensorType(elem, onnx.Shape{directions, rows, size}), nil
}

// addInput adds an input to the graph, with the constant or zeros for its
// default where that can be.
func (e *exposure) addInput(in onnx.ValueInfo, initial *onnx.Tensor) {
	g := e.model.Graph
	if initial == nil {
		shape, known := in.Type.Shape.Ints()
		if bytes, err := ops.TensorBytes(in.Type.Elem, shape); known && err == nil && int64(bytes) <= foldBytes {
			initial, _ = onnx.NewZeros(in.Type.Elem, shape)
		}
	}
	if initial != nil {
		e.allowDefaults()
		g.Initializers = append(g.Initializers, &onnx.Initializer{Name: in.Name, Tensor: initial})
	}
	g.Inputs = append(g.Inputs, in)
}

// allowDefaults brings the model to a version in which an initializer may be
// an input's default.
func (e *exposure) allowDefaults() {
	if e.model.IRVersion >= 4 {
		return
	}
	g := e.model.Graph
	constant := map[string]bool{}
	for _, i := range g.Initializers {
		constant[i.Name] = true
	}
	g.Inputs = slices.DeleteFunc(g.Inputs, func(v onnx.ValueInfo) bool { return constant[v.Name] })
	e.model.IRVersion = 4
}

// output makes a final state an output of the graph, and gives its name.
func (e *exposure) output(n *onnx.Node, p port, wish string, t onnx.Type) string {
	g := e.model.Graph
	for len(n.Outputs) <= p.out {
		n.Outputs = append(n.Outputs, "")
	}
	have := n.Outputs[p.out]
	if have != "" && slices.ContainsFunc(g.Outputs, func(o onnx.ValueInfo) bool { return o.Name == have }) {
		return have
	}
	name := e.fresh(wish)
	if have == "" {
		n.Outputs[p.out] = name
	} else {
		g.Nodes = append(g.Nodes, &onnx.Node{Name: e.fresh(name + "/output"), OpType: "Identity", Inputs: []string{have}, Outputs: []string{name}})
	}
	g.Outputs = append(g.Outputs, onnx.ValueInfo{Name: name, Type: t})
	return name
}
