package rewrite

import (
	"math"
	"slices"
	"sync"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// reverse makes an operator go backwards that goes forward over a reversed
// sequence and whose output is reversed again, or read at its last step only.
func reverse(s *state) error {
	a := ops.NewAnalysis(s.registry, s.model, s.limits)
	return s.eachGraph(a, s.model.Graph, nil, func(g *onnx.Graph, f *facts) bool {
		uses := sync.OnceValue(func() map[string][]*onnx.Node { return readers(g) })
		for _, n := range g.Nodes {
			if s.turnAround(g, f, n, uses) || s.turnTwice(g, f, n) {
				return true
			}
		}
		return false
	})
}

// changes bounds the changes that a pass makes to a graph, each of which takes
// looking at all nodes: fewer in a graph that is larger than any that layers
// make.
func changes(g *onnx.Graph, most int) int {
	const looks = 500_000
	return min(most, max(8, looks/(len(g.Nodes)+1)))
}

const maxChanges = 1000

// eachGraph applies a change to every graph until it changes nothing more.
func (s *state) eachGraph(a *ops.Analysis, g *onnx.Graph, outer *facts, change func(*onnx.Graph, *facts) bool) error {
	if !recurrent(g) {
		return nil
	}
	var f *facts
	for range changes(g, maxChanges) {
		var err error
		if f, err = s.factsOf(a, g, outer); err != nil {
			return err
		}
		if !change(g, f) {
			break
		}
	}
	for _, n := range g.Nodes {
		for _, sub := range n.Subgraphs() {
			if err := s.eachGraph(a, sub, f, change); err != nil {
				return err
			}
		}
	}
	return nil
}

// recurrent reports whether there is a recurrent operator in a graph or in
// those within.
func recurrent(g *onnx.Graph) bool {
	for _, n := range g.Nodes {
		if isCell(n) || slices.ContainsFunc(n.Subgraphs(), recurrent) {
			return true
		}
	}
	return false
}

// isCell reports whether a node is one of ONNX's own recurrent operators.
func isCell(n *onnx.Node) bool {
	return n.Domain == "" && (n.OpType == "RNN" || n.OpType == "GRU" || n.OpType == "LSTM")
}

func attrString(n *onnx.Node, name, def string) string {
	if a := n.Attr(name); a != nil {
		return a.String
	}
	return def
}

// input gives an input of a node, "" when it is absent.
func input(n *onnx.Node, i int) string {
	if i < len(n.Inputs) {
		return n.Inputs[i]
	}
	return ""
}

// output gives an output of a node, "" when it is not wanted.
func output(n *onnx.Node, i int) string {
	if i < len(n.Outputs) {
		return n.Outputs[i]
	}
	return ""
}

// flip is a reversal of a tensor along an axis: of all of it, or of as many
// steps of each row as lengths say.
type flip struct {
	axis, batch int
	lengths     string // the value that the lengths come from; "" for all
}

// flipOf reads a node that reverses; false when n does not.
func (f *facts) flipOf(n *onnx.Node) (flip, bool) {
	if n == nil || n.Domain != "" {
		return flip{}, false
	}
	switch n.OpType {
	case "ReverseSequence":
		r := flip{axis: int(attrInt(n, "time_axis", 0)), batch: int(attrInt(n, "batch_axis", 1))}
		s := f.typeOf(n.Inputs[0]).Shape
		if r.axis < 0 || r.axis >= len(s) {
			return flip{}, false
		}
		if !f.all(n.Inputs[1], s[r.axis]) {
			r.lengths = f.lengthRoot(n.Inputs[1])
		}
		return r, true
	case "Slice":
		list := func(i int, attr string) []int64 {
			if a := n.Attr(attr); a != nil {
				return a.Ints
			}
			if k := f.info(input(n, i)).Tensor(); k != nil {
				v, _ := ints(&expr{kind: exprConst, k: viewOf("", k)})
				return v
			}
			return nil
		}
		starts, ends, axes, steps := list(1, "starts"), list(2, "ends"), list(3, "axes"), list(4, "steps")
		if len(starts) == 1 && len(ends) == 1 && len(axes) == 1 && len(steps) == 1 && axes[0] >= 0 &&
			steps[0] == -1 && (starts[0] == -1 || starts[0] >= math.MaxInt32) && ends[0] <= -math.MaxInt32 {
			return flip{axis: int(axes[0]), batch: 1 - int(axes[0])}, true
		}
	}
	return flip{}, false
}

// all reports whether lengths are certainly all the size of a dimension.
func (f *facts) all(lengths string, d onnx.Dim) bool {
	want := bound{sym: ops.SymOf(d)}
	if k := f.info(lengths).Tensor(); k != nil {
		if k.DataType() != onnx.Int64 {
			return false
		}
		for _, v := range onnx.Elements[int64](k) {
			if !d.Known() || v != int64(d.Value) {
				return false
			}
		}
		return true
	}
	n := f.maker(lengths)
	if n == nil || n.Domain != "" || n.OpType != "Expand" {
		return false
	}
	return f.boundOf(n.Inputs[0]).same(want)
}

// lengthRoot follows lengths back over casts and over the bounding to 0..T
// that lift puts in.
func (f *facts) lengthRoot(name string) string {
	for range 20 {
		n := f.maker(name)
		if n == nil || n.Domain != "" {
			break
		}
		switch n.OpType {
		case "Cast", "Identity":
			name = n.Inputs[0]
			continue
		case "Where":
			c := f.maker(n.Inputs[0])
			if c != nil && c.OpType == "Less" && (c.Inputs[0] == n.Inputs[2] && c.Inputs[1] == n.Inputs[1] || c.Inputs[1] == n.Inputs[2] && c.Inputs[0] == n.Inputs[1]) {
				name = n.Inputs[2]
				continue
			}
		}
		break
	}
	return name
}

// sameLengths reports whether the roots of two lists of lengths are one value,
// or constants of the same elements.
func (f *facts) sameLengths(x, y string) bool {
	if x == y || x == "" || y == "" {
		return x == y
	}
	kx, ky := f.constant(x), f.constant(y)
	if kx == nil || ky == nil {
		return false
	}
	vx, ok1 := ints(&expr{kind: exprConst, k: kx})
	vy, ok2 := ints(&expr{kind: exprConst, k: ky})
	return ok1 && ok2 && slices.Equal(vx, vy)
}

// origin follows a sequence of [T, B, ...] back over transpositions, and over
// its steps stacked again: the axes of the result are those of the value at the
// given places.
func (f *facts) origin(name string) (string, []int64) {
	perm := []int64{0, 1, 2}
	for range 20 {
		n := f.maker(name)
		if n == nil || n.Domain != "" {
			break
		}
		if n.OpType == "Identity" {
			name = n.Inputs[0]
			continue
		}
		x, p, ok := f.moved(n)
		if !ok || len(p) != 3 {
			break
		}
		for i := range perm {
			perm[i] = p[perm[i]]
		}
		name = x
	}
	return name, perm
}

// turnAround changes one operator, and reports whether it did.
func (s *state) turnAround(g *onnx.Graph, f *facts, n *onnx.Node, uses func() map[string][]*onnx.Node) bool {
	if !isCell(n) || attrString(n, "direction", "forward") != "forward" || attrInt(n, "layout", 0) != 0 {
		return false
	}
	root, perm := f.origin(n.Inputs[0])
	back := f.maker(root)
	fl, ok := f.flipOf(back)
	if !ok || fl.axis != int(perm[0]) || fl.batch != int(perm[1]) || f.makers[root] == nil {
		return false
	}
	lengths := ""
	if l := input(n, 4); l != "" {
		lengths = f.lengthRoot(l)
	}
	if !f.sameLengths(lengths, fl.lengths) {
		return false
	}
	ends, ok := s.ends(g, f, uses(), output(n, 0), lengths)
	if !ok {
		return false
	}
	e := s.emitter(g, n)
	x := back.Inputs[0]
	if !slices.Equal(perm, []int64{0, 1, 2}) {
		x = e.transpose(x, perm...)
	}
	n.Inputs[0] = x
	setAttr(n, attrS("direction", "reverse"))
	for _, end := range ends {
		if _, ok := f.flipOf(end); ok {
			s.forward(g, end)
			continue
		}
		axis := sliceAxis(f, end)
		end.Attributes = nil
		v := e.slice(end.Inputs[0], int64(axis), 0, 1)
		e.name(v, end.Outputs[0])
		end.OpType, end.Inputs, end.Outputs = "Identity", []string{end.Inputs[0]}, []string{s.fresh(end.Outputs[0] + "/forward")}
	}
	g.Nodes = append(g.Nodes, e.finish()...)
	return true
}

// turnTwice lets a node that reverses what is a reversal already pass on what
// that one reads, and reports whether it did.
func (s *state) turnTwice(g *onnx.Graph, f *facts, n *onnx.Node) bool {
	last, ok := f.flipOf(n)
	if !ok || last.lengths != "" || last.axis > 2 {
		return false
	}
	root, perm := f.origin(n.Inputs[0])
	m := f.makers[root]
	first, ok := f.flipOf(m)
	if !ok || first.lengths != "" || first.axis != int(perm[last.axis]) {
		return false
	}
	e := s.emitter(g, n)
	x := m.Inputs[0]
	if !slices.IsSorted(perm) {
		x = e.transpose(x, perm...)
	}
	n.Inputs[0] = x
	s.forward(g, n)
	g.Nodes = append(g.Nodes, e.finish()...)
	return true
}

// ends finds the nodes that a reversed output goes to: reversals of it, and
// slices of its last step. False when it goes anywhere else.
func (s *state) ends(g *onnx.Graph, f *facts, uses map[string][]*onnx.Node, y, lengths string) ([]*onnx.Node, bool) {
	var ends []*onnx.Node
	isOutput := map[string]bool{}
	for _, o := range g.Outputs {
		isOutput[o.Name] = true
	}
	// follow looks at the readers of a value whose time is at an axis.
	var follow func(name string, axis, batch int) bool
	follow = func(name string, axis, batch int) bool {
		if isOutput[name] {
			return false
		}
		for _, n := range uses[name] {
			if n == nil {
				return false // within a nested graph
			}
			if fl, ok := f.flipOf(n); ok && n.Inputs[0] == name {
				if fl.axis != axis || fl.batch != batch || !f.sameLengths(fl.lengths, lengths) {
					return false
				}
				ends = append(ends, n)
				continue
			}
			switch n.OpType {
			case "Shape": // the same either way
			case "Identity":
				if !follow(n.Outputs[0], axis, batch) {
					return false
				}
			case "Transpose":
				p := n.Attr("perm")
				if p == nil || !follow(n.Outputs[0], slices.Index(p.Ints, int64(axis)), slices.Index(p.Ints, int64(batch))) {
					return false
				}
			case "Slice":
				if lengths != "" || sliceAxis(f, n) != axis {
					return false
				}
				ends = append(ends, n)
			default:
				return false
			}
		}
		return true
	}
	if y == "" {
		return nil, true
	}
	if isOutput[y] {
		return nil, false
	}
	for _, n := range uses[y] {
		if n == nil || n.OpType != "Squeeze" || n.Domain != "" || !slices.Equal(f.axesOf(n), []int64{1}) || !follow(n.Outputs[0], 0, 1) {
			return nil, false
		}
	}
	return ends, true
}

// axesOf reads the axes of a Squeeze or Unsqueeze.
func (f *facts) axesOf(n *onnx.Node) []int64 {
	if a := n.Attr("axes"); a != nil {
		return a.Ints
	}
	if t := f.info(input(n, 1)).Tensor(); t != nil && t.DataType() == onnx.Int64 {
		return onnx.Elements[int64](t)
	}
	return nil
}

// sliceAxis gives the axis of which a Slice takes the last place; -1 when it
// does something else.
func sliceAxis(f *facts, n *onnx.Node) int {
	list := func(i int, attr string) []int64 {
		if a := n.Attr(attr); a != nil {
			return a.Ints
		}
		if t := f.info(input(n, i)).Tensor(); t != nil {
			v, _ := ints(&expr{kind: exprConst, k: viewOf("", t)})
			return v
		}
		return nil
	}
	starts, ends, axes, steps := list(1, "starts"), list(2, "ends"), list(3, "axes"), list(4, "steps")
	if len(starts) != 1 || starts[0] != -1 || len(ends) != 1 || ends[0] < math.MaxInt32 || len(axes) != 1 || axes[0] < 0 || len(steps) > 0 && steps[0] != 1 || len(input(n, 4)) > 0 && steps == nil {
		return -1
	}
	return int(axes[0])
}

// readers maps each value to the nodes that read it; nil stands for a node of
// a nested graph.
func readers(g *onnx.Graph) map[string][]*onnx.Node {
	m := make(map[string][]*onnx.Node, len(g.Nodes))
	for _, n := range g.Nodes {
		for i, in := range n.Inputs {
			if in != "" && !slices.Contains(n.Inputs[:i], in) {
				m[in] = append(m[in], n)
			}
		}
		for _, sub := range n.Subgraphs() {
			for _, c := range captures(sub) {
				m[c] = append(m[c], nil)
			}
		}
	}
	return m
}

// forward makes a node pass its first input on.
func (s *state) forward(g *onnx.Graph, n *onnx.Node) {
	n.OpType, n.Domain, n.Attributes, n.Inputs = "Identity", "", nil, n.Inputs[:1]
}

func setAttr(n *onnx.Node, a *onnx.Attribute) {
	n.Attributes = slices.DeleteFunc(slices.Clone(n.Attributes), func(b *onnx.Attribute) bool { return b.Name == a.Name })
	n.Attributes = append(n.Attributes, a)
}
