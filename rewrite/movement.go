package rewrite

import (
	"math"
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// tidy replaces movements of data by cheaper ones that give the same: a chain
// of changes of shape by one Reshape, a transposition that moves nothing but
// dimensions of size 1 by a Reshape, a stacking of what was unstacked by a
// transposition, and by an Identity what leaves a value as it is: a Cast to its
// own type, a Slice of all, an Expand to its own shape, a Concat of one, a Pad by
// nothing. A ScatterND over a range is a Concat.
// Initial states of zeros, and lengths that are all the number of steps, are
// what a recurrent operator has without them.
//
// Nothing that could fail in a run is lost: a Squeeze whose dimension may not
// be 1, or a Reshape whose sizes may not fit, stays.
func (s *state) tidy(a *ops.Analysis, g *onnx.Graph, outer *facts) error {
	f, err := s.factsOf(a, g, outer)
	if err != nil {
		return err
	}
	t := &tidier{state: s, facts: f, graph: g, uses: readers(g)}
	for _, o := range g.Outputs {
		t.uses[o.Name] = append(t.uses[o.Name], nil)
	}
	for _, n := range g.Nodes {
		if n.Domain == "" {
			before, made := slices.Clone(n.Inputs), len(t.more)
			t.node(n)
			t.scatter(n)
			if !slices.Equal(before, n.Inputs) {
				t.note(n)
			}
			for _, m := range t.more[made:] {
				t.note(m)
			}
		}
		for _, sub := range n.Subgraphs() {
			if err := s.tidy(a, sub, f); err != nil {
				return err
			}
		}
	}
	g.Nodes = append(g.Nodes, t.more...)
	return nil
}

// tidier is a graph whose movements are looked at.
type tidier struct {
	*state
	*facts
	graph *onnx.Graph
	uses  map[string][]*onnx.Node // nil stands for an output of the graph, or a nested graph
	more  []*onnx.Node            // new nodes
}

// note takes down what a node reads now. What it read before may stay in uses:
// a value is then thought to have more readers than it has.
func (t *tidier) note(n *onnx.Node) {
	for _, in := range n.Inputs {
		if in != "" && !slices.Contains(t.uses[in], n) {
			t.uses[in] = append(t.uses[in], n)
		}
	}
}

func (t *tidier) node(n *onnx.Node) {
	if isCell(n) {
		t.cell(n)
		return
	}
	if len(n.Inputs) == 0 || len(n.Outputs) != 1 || n.Outputs[0] == "" {
		return
	}
	if t.idle(n) {
		t.forward(t.graph, n)
		return
	}
	if n.OpType == "Concat" {
		t.restack(n)
	}
	if n.OpType == "Transpose" {
		t.meet(n)
	}
	t.reshape(n)
}

// idle reports whether a node gives its first input as it is.
func (t *tidier) idle(n *onnx.Node) bool {
	x, y := t.typeOf(n.Inputs[0]), t.typeOf(n.Outputs[0])
	if x.Kind != onnx.KindTensor {
		return false
	}
	switch n.OpType {
	case "Cast":
		return x.Elem != onnx.Undefined && attrInt(n, "to", 0) == int64(x.Elem)
	case "Concat":
		return len(n.Inputs) == 1
	case "Expand":
		return sameKnown(x.Shape, y.Shape)
	case "Slice":
		return t.whole(n, x.Shape)
	case "Pad":
		if a := n.Attr("pads"); a != nil {
			return zeros(a.Ints)
		}
		pads, ok := t.list(n, 1, "")
		return ok && zeros(pads)
	}
	return false
}

// restack replaces a Concat of all that a tensor was cut into by a Transpose, or
// by an Identity where it lies as it did.
func (t *tidier) restack(n *onnx.Node) {
	x, perm, ok := t.restacked(n)
	if !ok {
		return
	}
	n.OpType, n.Inputs, n.Attributes = "Transpose", []string{x}, []*onnx.Attribute{attrInts("perm", perm...)}
	if slices.IsSorted(perm) {
		t.forward(t.graph, n)
	}
}

func zeros(list []int64) bool {
	return !slices.ContainsFunc(list, func(v int64) bool { return v != 0 })
}

// list reads integers that are an attribute or a constant input. The slice is the
// caller's.
func (f *facts) list(n *onnx.Node, i int, attr string) ([]int64, bool) {
	if a := n.Attr(attr); a != nil && attr != "" {
		return slices.Clone(a.Ints), true
	}
	k := f.info(input(n, i)).Tensor()
	if k == nil || k.External() != nil {
		return nil, false
	}
	return ints(&expr{kind: exprConst, k: viewOf("", k)})
}

// whole reports whether a Slice takes all of each axis.
func (t *tidier) whole(n *onnx.Node, x onnx.Shape) bool {
	starts, ok1 := t.list(n, 1, "starts")
	ends, ok2 := t.list(n, 2, "ends")
	if !ok1 || !ok2 || !zeros(starts) || !x.Ranked() {
		return false
	}
	axes, ok := t.list(n, 3, "axes")
	if !ok {
		if input(n, 3) != "" {
			return false
		}
		for i := range ends {
			axes = append(axes, int64(i))
		}
	}
	if input(n, 4) != "" {
		steps, ok := t.list(n, 4, "")
		if !ok || slices.ContainsFunc(steps, func(v int64) bool { return v != 1 }) {
			return false
		}
	}
	if len(axes) != len(ends) {
		return false
	}
	for i, end := range ends {
		axis := axes[i]
		if axis < 0 {
			axis += int64(len(x))
		}
		if axis < 0 || axis >= int64(len(x)) || end < math.MaxInt64 && (!x[axis].Known() || end < int64(x[axis].Value)) {
			return false
		}
	}
	return true
}

// sameKnown reports whether two shapes are certainly equal.
func sameKnown(a, b onnx.Shape) bool {
	return a.Ranked() && b.Ranked() && slices.EqualFunc(a, b, onnx.Dim.Same)
}

// cell removes inputs of a recurrent operator that are what it takes without
// them.
func (t *tidier) cell(n *onnx.Node) {
	x := t.typeOf(n.Inputs[0]).Shape
	if len(x) != 3 || attrInt(n, "layout", 0) != 0 {
		return
	}
	r := t.typeOf(input(n, 2)).Shape
	for i := 5; i < min(len(n.Inputs), 7); i++ {
		if h := n.Inputs[i]; h != "" && len(r) == 3 && t.zero(h) && sameKnown(t.typeOf(h).Shape, onnx.Shape{r[0], x[1], r[2]}) {
			n.Inputs[i] = ""
		}
	}
	// Of no steps at all, lengths of 0 give zeros, and none give the initial state.
	stateless := input(n, 5) == "" && input(n, 6) == ""
	if l := input(n, 4); l != "" && (stateless || x[0].Value > 0) && sameKnown(t.typeOf(l).Shape, x[1:2]) && (t.full(n, x[0]) || t.all(l, x[0])) {
		n.Inputs[4] = ""
	}
	for len(n.Inputs) > 3 && n.Inputs[len(n.Inputs)-1] == "" {
		n.Inputs = n.Inputs[:len(n.Inputs)-1]
	}
}

// full reports whether the lengths that a recurrent operator is given are
// constants, all equal to the number of steps.
func (t *tidier) full(n *onnx.Node, steps onnx.Dim) bool {
	lengths, ok := t.list(n, 4, "")
	return ok && steps.Known() && !slices.ContainsFunc(lengths, func(v int64) bool { return v != int64(steps.Value) })
}

// reshape replaces a change of shape, together with those before it, by one
// Reshape, or by an Identity where the shape is that from which they began.
func (t *tidier) reshape(n *onnx.Node) {
	if !t.isView(n) || t.opsetOf(n) < 5 || n.OpType == "Squeeze" && !t.certain(n, nil) {
		return
	}
	y := t.typeOf(n.Outputs[0]).Shape
	root, links := n.Inputs[0], 1
	for m := t.makers[root]; m != nil && t.isView(m) && t.certain(m, y); m = t.makers[root] {
		root = m.Inputs[0]
		if m.OpType != "Identity" {
			links++
		}
	}
	switch x := t.typeOf(root).Shape; {
	case sameKnown(x, y) && (n.OpType != "Reshape" || t.certain(n, y)):
		t.forward(t.graph, n)
		n.Inputs[0] = root
	case links > 1 || n.OpType == "Transpose":
		target, ok := target(y)
		if !ok {
			return
		}
		shape := &onnx.Initializer{Name: t.fresh(n.Outputs[0] + "/shape"), Tensor: onnx.MustTensor([]int{len(target)}, target)}
		t.graph.Initializers = append(t.graph.Initializers, shape)
		t.scope.Set(shape.Name, ops.ConstInfo(shape.Tensor))
		n.OpType, n.Attributes, n.Inputs = "Reshape", nil, []string{root, shape.Name}
	}
}

// target writes a shape as an input of Reshape, which can leave one dimension
// open and takes 0 for something else.
func target(s onnx.Shape) ([]int64, bool) {
	out := make([]int64, len(s))
	open := 0
	for i, d := range s {
		out[i] = int64(d.Value)
		switch {
		case !d.Known():
			out[i] = -1
			open++
		case d.Value == 0:
			return nil, false
		}
	}
	return out, s.Ranked() && open <= 1
}

// isView reports whether a node gives the elements of its first input in their
// order.
func (f *facts) isView(n *onnx.Node) bool {
	if n.Domain != "" || len(n.Outputs) != 1 || n.Outputs[0] == "" || f.typeOf(n.Inputs[0]).Kind != onnx.KindTensor {
		return false
	}
	switch n.OpType {
	case "Identity", "Squeeze", "Unsqueeze", "Reshape", "Flatten":
		return true
	case "Transpose":
		perm, x := n.Attr("perm"), f.typeOf(n.Inputs[0]).Shape
		if perm == nil || len(perm.Ints) != len(x) || !isPermutation(perm.Ints) {
			return false
		}
		var order []int64 // of the dimensions that are not certainly 1
		for _, p := range perm.Ints {
			if !x[p].Known() || x[p].Value != 1 {
				order = append(order, p)
			}
		}
		return slices.IsSorted(order)
	}
	return false
}

// certain reports whether a change of shape cannot fail in a run, or fails
// where a Reshape to the shape y fails too.
func (f *facts) certain(n *onnx.Node, y onnx.Shape) bool {
	x, out := f.typeOf(n.Inputs[0]).Shape, f.typeOf(n.Outputs[0]).Shape
	if !x.Ranked() || !out.Ranked() {
		return false
	}
	switch n.OpType {
	case "Squeeze":
		axes := f.axesOf(n)
		if axes == nil {
			_, known := x.Ints()
			return known
		}
		for _, a := range axes {
			if a < 0 {
				a += int64(len(x))
			}
			if a < 0 || a >= int64(len(x)) || !x[a].Known() || x[a].Value != 1 {
				return false
			}
		}
	case "Reshape":
		if _, known := x.Ints(); known {
			return true
		}
		a, openA := knownElements(out)
		b, openB := knownElements(y)
		switch {
		case openA == 0 && openB == 0:
			return a == b
		case openA <= 1 && openB == 1:
			return openA == 1 && a > 0 && b%a == 0
		}
		return false
	}
	return true
}

// knownElements multiplies the sizes that are known, and counts the others.
func knownElements(s onnx.Shape) (n, open int) {
	n = 1
	for _, d := range s {
		switch {
		case !d.Known():
			open++
		case d.Value > 0 && n > math.MaxInt32/d.Value:
			return 0, len(s) + 2 // too many to tell
		default:
			n *= d.Value
		}
	}
	return n, open
}

// meet brings a transposition together with one before it when only functions
// of single elements lie between: these are computed before both.
func (t *tidier) meet(n *onnx.Node) {
	perm := n.Attr("perm")
	if perm == nil {
		return
	}
	var between []*onnx.Node
	v, reader := n.Inputs[0], n
	for range maxBetween {
		m := t.makers[v]
		if m == nil || m.Domain != "" {
			return
		}
		if m.OpType == "Transpose" {
			if q := m.Attr("perm"); len(between) > 0 && q != nil && len(q.Ints) == len(perm.Ints) && isPermutation(q.Ints) && isPermutation(perm.Ints) {
				t.turn(n, m, between)
			}
			return
		}
		i := t.single(m)
		if u := t.uses[v]; i < 0 || len(u) != 1 || u[0] != reader {
			return
		}
		between = append(between, m)
		v, reader = m.Inputs[i], m
	}
}

// maxBetween bounds the functions that a transposition is moved over.
const maxBetween = 8

// single gives the input of which a node computes a function element by
// element, -1 when it is no such node. Other operands are scalars.
func (t *tidier) single(n *onnx.Node) int {
	if len(n.Outputs) != 1 || t.opsetOf(n) < 7 {
		return -1
	}
	switch n.OpType {
	case "Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "HardSwish", "LeakyRelu", "Elu", "HardSigmoid", "Selu", "Gelu", "Mish",
		"Neg", "Abs", "Exp", "Log", "Sqrt", "Reciprocal", "Floor", "Ceil", "Erf", "Sign", "Not", "Cast":
		return 0
	case "Add", "Sub", "Mul", "Div", "Max", "Min", "Pow":
		if len(n.Inputs) != 2 {
			return -1
		}
		for i, other := range []string{n.Inputs[1], n.Inputs[0]} {
			if s := t.typeOf(other).Shape; s.Ranked() && len(s) == 0 {
				return i
			}
		}
	}
	return -1
}

// turn makes the functions between two transpositions read what the first one
// reads, and the second one do the work of both.
func (t *tidier) turn(n, first *onnx.Node, between []*onnx.Node) {
	last := between[len(between)-1]
	for i, in := range last.Inputs {
		if in == first.Outputs[0] {
			last.Inputs[i] = first.Inputs[0]
		}
	}
	shape := t.typeOf(first.Inputs[0]).Shape
	for _, m := range between {
		info := t.info(m.Outputs[0])
		info.Type.Shape = shape
		t.scope.Set(m.Outputs[0], ops.Info{Type: info.Type})
	}
	p, q := n.Attr("perm").Ints, first.Attr("perm").Ints
	perm := make([]int64, len(p))
	for i, k := range p {
		perm[i] = q[k]
	}
	setAttr(n, attrInts("perm", perm...))
	t.uses[first.Outputs[0]] = slices.DeleteFunc(t.uses[first.Outputs[0]], func(u *onnx.Node) bool { return u == last })
	t.uses[first.Inputs[0]] = append(t.uses[first.Inputs[0]], last)
}
