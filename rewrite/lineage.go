package rewrite

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
)

// place is a graph and the graphs around it, in which a name is looked up.
type place struct {
	graph *onnx.Graph
	outer *place
	made  map[string]made
	inits map[string]*onnx.Tensor // constants, by name
	input map[string]bool         // values that come from outside
}

// made says which output of which node a value is.
type made struct {
	node  *onnx.Node
	index int
}

// finalState is what a recurrent node hands to its next call, such as Y_h.
type finalState struct {
	node *onnx.Node
	port port
}

// leaf is a place that elements of a value come from, followed back through
// operators that only move data.
type leaf struct {
	kind  leafKind
	state finalState // of a stateLeaf
	name  string     // of an inputLeaf: the graph input
	// parts and cuts say, outermost first, which part of a Concat the elements
	// are on the way from the value, and where they are cut from what they come
	// from.
	parts, cuts []int
	choices     []choice
	touched     bool // some elements were overwritten on the way
}

type leafKind uint8

const (
	dataLeaf  leafKind = iota // computed
	constLeaf                 // the same in every run
	inputLeaf                 // an input of the model
	stateLeaf                 // the final state of a recurrent node
)

// choice is a way taken at an If or a Where.
type choice struct {
	node *onnx.Node
	way  int
}

// Bounds on the work: what is beyond them counts as computed.
const (
	maxLeaves  = 256
	maxTurns   = 64   // parts, cuts and choices of a leaf
	maxLineage = 2000 // operators on the way
)

// lineage follows the values of a model back.
type lineage struct {
	overridable bool // an initializer that is also an input is only a default
	top         *place
	places      map[*onnx.Graph]*place
	recurrent   []placedNode
	memo        map[valueKey][]leaf
	zeros       map[valueKey]bool
}

type placedNode struct {
	node  *onnx.Node
	place *place
}

type valueKey struct {
	graph *onnx.Graph
	name  string
}

func newLineage(m *onnx.Model) *lineage {
	l := &lineage{overridable: m.IRVersion >= 4, places: map[*onnx.Graph]*place{}, memo: map[valueKey][]leaf{}, zeros: map[valueKey]bool{}}
	l.top = l.enter(m.Graph, nil)
	return l
}

// enter records the definitions of a graph and of the graphs within.
func (l *lineage) enter(g *onnx.Graph, outer *place) *place {
	p := &place{graph: g, outer: outer, made: map[string]made{}, inits: map[string]*onnx.Tensor{}, input: map[string]bool{}}
	l.places[g] = p
	for _, i := range g.Initializers {
		p.inits[i.Name] = i.Tensor
	}
	for _, v := range g.Inputs {
		if p.inits[v.Name] == nil || outer != nil || l.overridable {
			p.input[v.Name] = true
		}
	}
	for _, n := range g.Nodes {
		for i, o := range n.Outputs {
			if o != "" {
				p.made[o] = made{n, i}
			}
		}
		if portsOf(n) != nil {
			l.recurrent = append(l.recurrent, placedNode{n, p})
		}
		for _, sub := range n.Subgraphs() {
			l.enter(sub, p)
		}
	}
	return p
}

// port is where a node takes a state, and where it gives the next one.
type port struct{ in, out int }

// portsOf lists the states of a recurrent node; none for another one.
func portsOf(n *onnx.Node) []port {
	switch canonical(n.Domain) {
	case "":
		switch n.OpType {
		case "RNN", "GRU":
			return hiddenState
		case "LSTM":
			return hiddenAndCell
		case "CausalConvWithState", "LinearAttention":
			return pastState
		}
	case "com.microsoft":
		if n.OpType == "DynamicQuantizeLSTM" {
			return hiddenAndCell
		}
	}
	return nil
}

var (
	hiddenAndCell = []port{{5, 1}, {6, 2}} // initial_h, Y_h; initial_c, Y_c
	hiddenState   = hiddenAndCell[:1]
	pastState     = []port{{3, 1}} // past_state, present_state
)

func inputOf(n *onnx.Node, i int) string {
	if i < len(n.Inputs) {
		return n.Inputs[i]
	}
	return ""
}

// define finds the graph that a name means a value of, nil when there is none.
func (p *place) define(name string) *place {
	for ; p != nil; p = p.outer {
		if _, ok := p.made[name]; ok || p.input[name] || p.inits[name] != nil {
			return p
		}
	}
	return nil
}

// trace gives the leaves of a value, each once.
func (l *lineage) trace(p *place, name string, depth int) []leaf {
	opaque := []leaf{{kind: dataLeaf}}
	p = p.define(name)
	if p == nil || depth > maxLineage {
		return opaque
	}
	if p.input[name] {
		if p == l.top {
			return []leaf{{kind: inputLeaf, name: name}}
		}
		return opaque
	}
	m, ok := p.made[name]
	if !ok {
		return []leaf{{kind: constLeaf}}
	}
	key := valueKey{p.graph, name}
	if known, ok := l.memo[key]; ok {
		return known
	}
	out := l.follow(p, m, depth+1)
	if len(out) == 0 || len(out) > maxLeaves || slices.ContainsFunc(out, leaf.tooLong) {
		out = opaque
	}
	l.memo[key] = out
	return out
}

// follow gives the leaves of an output of a node; nil when it is computed.
func (l *lineage) follow(p *place, m made, depth int) []leaf {
	n := m.node
	for _, p := range portsOf(n) {
		if p.out == m.index {
			return []leaf{{kind: stateLeaf, state: finalState{n, p}}}
		}
	}
	if canonical(n.Domain) != "" {
		return nil
	}
	switch n.OpType {
	case "Identity", "Squeeze", "Unsqueeze", "Reshape", "Flatten", "Transpose", "Expand":
		return l.trace(p, inputOf(n, 0), depth)
	case "Concat":
		var out []leaf
		for i, in := range n.Inputs {
			for _, f := range l.trace(p, in, depth) {
				f.parts = append([]int{i}, f.parts...)
				out = append(out, f)
			}
			if len(out) > maxLeaves {
				return nil
			}
		}
		return unique(out)
	case "Split":
		return cut(l.trace(p, inputOf(n, 0), depth), m.index)
	case "Slice", "Gather":
		from := l.cutOf(p, n)
		if from == nil {
			return nil
		}
		return cut(l.trace(p, inputOf(n, 0), depth), from...)
	case "Scatter", "ScatterElements", "ScatterND", "TensorScatter":
		out := []leaf{{kind: dataLeaf}}
		for _, f := range l.trace(p, inputOf(n, 0), depth) {
			f.touched = true
			out = append(out, f)
		}
		return out
	case "Where":
		return unique(append(chosen(l.trace(p, inputOf(n, 1), depth), n, 0), chosen(l.trace(p, inputOf(n, 2), depth), n, 1)...))
	case "Add":
		for i := range n.Inputs {
			if l.zero(p, inputOf(n, 1-i), depth) {
				return l.trace(p, n.Inputs[i], depth)
			}
		}
	case "Sub":
		if l.zero(p, inputOf(n, 1), depth) {
			return l.trace(p, inputOf(n, 0), depth)
		}
	case "If":
		var out []leaf
		for way, g := range n.Subgraphs() {
			if m.index >= len(g.Outputs) {
				return nil
			}
			out = append(out, chosen(l.trace(l.places[g], g.Outputs[m.index].Name, depth), n, way)...)
		}
		return unique(out)
	}
	if l.constant(p, m) != nil || l.zero(p, n.Outputs[m.index], depth) {
		return []leaf{{kind: constLeaf}}
	}
	return nil
}

// cut puts a cut before those of the leaves; nil stays nil.
func cut(leaves []leaf, from ...int) []leaf {
	out := make([]leaf, len(leaves))
	for i, f := range leaves {
		f.cuts = append(slices.Clone(f.cuts), from...)
		out[i] = f
	}
	return out
}

func chosen(leaves []leaf, n *onnx.Node, way int) []leaf {
	out := make([]leaf, len(leaves))
	for i, f := range leaves {
		f.choices = append([]choice{{n, way}}, f.choices...)
		out[i] = f
	}
	return out
}

func (f leaf) tooLong() bool { return len(f.parts)+len(f.cuts)+len(f.choices) > maxTurns }

func unique(leaves []leaf) []leaf {
	var out []leaf
	for _, f := range leaves {
		same := func(o leaf) bool {
			return o.kind == f.kind && o.state == f.state && o.name == f.name && o.touched == f.touched &&
				slices.Equal(o.parts, f.parts) && slices.Equal(o.cuts, f.cuts) && slices.Equal(o.choices, f.choices)
		}
		if !slices.ContainsFunc(out, same) {
			out = append(out, f)
		}
	}
	return out
}

// fromEnd is added to positions counted from the end, so that they come after
// those counted from the start.
const fromEnd = 1 << 29

// cutOf says where a Slice or a Gather begins, nil when that is not constant
// or the order of the elements changes.
func (l *lineage) cutOf(p *place, n *onnx.Node) []int {
	var from []int64
	switch {
	case n.OpType == "Gather":
		from = l.ints(p, inputOf(n, 1))
		if len(from) == 0 {
			return nil
		}
		for i := 1; i < len(from); i++ {
			if from[i] != from[i-1]+1 {
				return nil
			}
		}
		from = from[:1]
	case n.Attr("starts") != nil:
		from = n.Attr("starts").Ints
	default:
		from = l.ints(p, inputOf(n, 1))
		if steps := inputOf(n, 4); steps != "" {
			list := l.ints(p, steps)
			if list == nil || slices.ContainsFunc(list, func(s int64) bool { return s != 1 }) {
				return nil
			}
		}
	}
	if from == nil {
		return nil
	}
	out := make([]int, len(from))
	for i, v := range from {
		out[i] = int(min(max(v, -fromEnd), fromEnd-1))
		if v < 0 {
			out[i] += 2 * fromEnd
		}
	}
	return out
}

// ints gives the elements of a constant of integers, nil when it is none.
func (l *lineage) ints(p *place, name string) []int64 {
	t := l.constantNamed(p, name)
	if t == nil || t.External() != nil {
		return nil
	}
	switch t.DataType() {
	case onnx.Int64:
		return onnx.Elements[int64](t)
	case onnx.Int32:
		out := make([]int64, t.Len())
		for i, v := range onnx.Elements[int32](t) {
			out[i] = int64(v)
		}
		return out
	}
	return nil
}

// constantNamed gives a value that is the same in every run, nil when it is
// not known to be.
func (l *lineage) constantNamed(p *place, name string) *onnx.Tensor {
	p = p.define(name)
	if p == nil || p.input[name] {
		return nil
	}
	if m, ok := p.made[name]; ok {
		return l.constant(p, m)
	}
	return p.inits[name]
}

// constant gives the tensor of a Constant node.
func (l *lineage) constant(_ *place, m made) *onnx.Tensor {
	if m.node.OpType != "Constant" || canonical(m.node.Domain) != "" || len(m.node.Attributes) != 1 {
		return nil
	}
	switch a := m.node.Attributes[0]; a.Name {
	case "value":
		return a.Tensor
	case "value_int":
		return onnx.Scalar(a.Int)
	case "value_ints":
		return onnx.MustTensor([]int{len(a.Ints)}, a.Ints)
	case "value_float":
		return onnx.Scalar(a.Float)
	case "value_floats":
		return onnx.MustTensor([]int{len(a.Floats)}, a.Floats)
	}
	return nil
}

// zero reports whether a value is zero throughout in every run.
func (l *lineage) zero(p *place, name string, depth int) bool {
	p = p.define(name)
	if p == nil || p.input[name] || depth > maxLineage {
		return false
	}
	key := valueKey{p.graph, name}
	if known, ok := l.zeros[key]; ok {
		return known
	}
	is := false
	if m, ok := p.made[name]; ok {
		is = l.zeroNode(p, m, depth+1)
	} else {
		is = zeroTensor(p.inits[name])
	}
	l.zeros[key] = is
	return is
}

func (l *lineage) zeroNode(p *place, m made, depth int) bool {
	n := m.node
	if canonical(n.Domain) != "" {
		return false
	}
	all := func(inputs []string) bool {
		return len(inputs) > 0 && !slices.ContainsFunc(inputs, func(in string) bool { return !l.zero(p, in, depth) })
	}
	switch n.OpType {
	case "Constant":
		return zeroTensor(l.constant(p, m))
	case "ConstantOfShape":
		v := n.Attr("value")
		return v == nil || zeroTensor(v.Tensor)
	case "Identity", "Squeeze", "Unsqueeze", "Reshape", "Flatten", "Transpose", "Expand", "Tile", "Slice", "Gather", "Split", "Cast", "CastLike":
		return l.zero(p, inputOf(n, 0), depth)
	case "Concat", "Add", "Sub":
		return all(n.Inputs)
	case "Mul": // of floats, a zero times infinity is none
		for _, in := range n.Inputs {
			if t := l.constantNamed(p, in); t != nil && (t.DataType() == onnx.Int64 || t.DataType() == onnx.Int32) && zeroTensor(t) {
				return true
			}
		}
		return all(n.Inputs)
	case "Where":
		return len(n.Inputs) == 3 && all(n.Inputs[1:])
	case "If":
		for _, g := range n.Subgraphs() {
			if m.index >= len(g.Outputs) || !l.zero(l.places[g], g.Outputs[m.index].Name, depth) {
				return false
			}
		}
		return true
	}
	return false
}

func zeroTensor(t *onnx.Tensor) bool {
	if t == nil || t.External() != nil || t.DataType() == onnx.String {
		return false
	}
	return !slices.ContainsFunc(t.ElementBytes(), func(b byte) bool { return b != 0 })
}
