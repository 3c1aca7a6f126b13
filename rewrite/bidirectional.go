package rewrite

import (
	"slices"
	"strings"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// bidirectional joins two operators of opposite directions that read one
// sequence to one of both directions.
func bidirectional(s *state) error {
	a := ops.NewAnalysis(s.registry, s.model, s.limits)
	return s.eachGraph(a, s.model.Graph, nil, func(g *onnx.Graph, f *facts) bool {
		p := &joining{state: s, facts: f, graph: g, gone: map[*onnx.Node]bool{}}
		return p.all()
	})
}

// maxPairs bounds the pairs of operators that are tried for one change, and
// maxSteps the nodes that are walked over for all changes but the first, until
// the graph is inferred again.
const (
	maxPairs = 10_000
	maxSteps = 1_000_000
)

// joining joins operators of one graph. What is known of values holds on: they
// keep their names, and what they are.
type joining struct {
	*state
	facts  *facts
	graph  *onnx.Graph
	makers map[string]*onnx.Node // of the graph as it will be
	inits  map[string]*onnx.Initializer
	gone   map[*onnx.Node]bool
	more   []*onnx.Node
	steps  int // nodes walked over
}

// all joins what can be joined, and reports whether there was any.
func (p *joining) all() bool {
	var forward, backward []*onnx.Node
	for _, n := range p.graph.Nodes {
		if !isCell(n) {
			continue
		}
		switch attrString(n, "direction", "forward") {
		case "forward":
			forward = append(forward, n)
		case "reverse":
			backward = append(backward, n)
		}
	}
	if len(forward) == 0 || len(backward) == 0 {
		return false
	}
	p.makers, p.inits = producers(p.graph), make(map[string]*onnx.Initializer, len(p.graph.Initializers))
	for _, i := range p.graph.Initializers {
		p.inits[i.Name] = i
	}
	p.pairs(forward, backward)
	if len(p.gone) == 0 {
		return false
	}
	p.graph.Nodes = slices.DeleteFunc(p.graph.Nodes, func(n *onnx.Node) bool { return p.gone[n] })
	p.graph.Nodes = append(p.graph.Nodes, p.more...)
	return true
}

func (p *joining) pairs(forward, backward []*onnx.Node) {
	tries := maxPairs
	for _, x := range forward {
		for i, y := range backward {
			if tries--; tries < 0 || len(p.gone) > 0 && p.steps > maxSteps {
				return
			}
			if x.OpType == y.OpType && p.join(x, y) {
				backward = slices.Delete(backward, i, i+1)
				tries = maxPairs
				break
			}
		}
	}
}

// join makes one operator of two, and reports whether it could.
func (p *joining) join(x, y *onnx.Node) bool {
	f := p.facts
	if attrInt(x, "layout", 0) != 0 || attrInt(y, "layout", 0) != 0 || x.Opset != y.Opset || !f.sameSequence(x.Inputs[0], y.Inputs[0]) {
		return false
	}
	for _, name := range []string{"linear_before_reset", "input_forget", "output_sequence"} {
		if (attrInt(x, name, 0) != 0) != (attrInt(y, name, 0) != 0) {
			return false
		}
	}
	if (x.Attr("clip") == nil) != (y.Attr("clip") == nil) || attrFloat(x, "clip", 0) != attrFloat(y, "clip", 0) {
		return false
	}
	lx, ly := input(x, 4), input(y, 4)
	if (lx == "") != (ly == "") || lx != "" && !f.sameLengths(f.lengthRoot(lx), f.lengthRoot(ly)) && !f.equal(lx, ly) {
		return false
	}
	states := []int{5}
	weights := []int{1, 2, 3}
	if x.OpType == "LSTM" {
		states = append(states, 6)
		weights = append(weights, 7)
	}
	for _, i := range states {
		if (input(x, i) == "") != (input(y, i) == "") {
			return false
		}
	}
	if p.reaches(x, y) || p.reaches(y, x) {
		return false
	}
	e := p.emitter(p.graph, x)
	in := []string{x.Inputs[0], "", "", "", lx, "", "", ""}
	for _, i := range weights {
		name, ok := p.joined(e, input(x, i), input(y, i))
		if !ok {
			return false
		}
		in[i] = name
	}
	if r := f.info(input(x, 2)).Tensor().Shape(); r[2] != f.info(input(y, 2)).Tensor().Shape()[2] {
		return false
	}
	fx, ok1 := functionsOf(x)
	fy, ok2 := functionsOf(y)
	if !ok1 || !ok2 {
		return false
	}
	for _, i := range states {
		if input(x, i) != "" {
			in[i] = e.concat(0, input(x, i), input(y, i))
		}
	}
	attrs := []*onnx.Attribute{attrS("direction", "bidirectional")}
	for _, a := range x.Attributes {
		switch a.Name {
		case "direction", "activations", "activation_alpha", "activation_beta":
		default:
			attrs = append(attrs, a)
		}
	}
	attrs = append(attrs, functionAttrs(append(slices.Clone(fx), fy...))...)
	count := 2
	if x.OpType == "LSTM" {
		count = 3
	}
	out := e.multi(x.OpType, count, in, attrs...)
	for i := range count {
		ox, oy := output(x, i), output(y, i)
		if ox == "" && oy == "" {
			continue
		}
		axis := int64(0)
		if i == 0 {
			axis = 1
		}
		both := e.split(out[i], axis, 1, 1)
		for k, o := range []string{ox, oy} {
			if o != "" {
				e.name(both[k], o)
			}
		}
	}
	p.gone[x], p.gone[y] = true, true
	for _, n := range e.finish() {
		p.more = append(p.more, n)
		for _, o := range n.Outputs {
			if o != "" {
				p.makers[o] = n
			}
		}
	}
	return true
}

// sameSequence reports whether two values are certainly equal: the same one,
// or transposed in the same way from values that are equal.
func (f *facts) sameSequence(x, y string) bool {
	if x == y {
		return true
	}
	rx, px := f.origin(x)
	ry, py := f.origin(y)
	return slices.Equal(px, py) && f.equal(rx, ry)
}

// reaches reports whether y depends on x.
func (p *joining) reaches(x, y *onnx.Node) bool {
	seen := map[*onnx.Node]bool{}
	work := []*onnx.Node{y}
	for len(work) > 0 {
		n := work[len(work)-1]
		work = work[:len(work)-1]
		if n == x {
			return true
		}
		p.steps++
		need := n.Inputs
		for _, sub := range n.Subgraphs() {
			need = append(need[:len(need):len(need)], captures(sub)...)
		}
		for _, in := range need {
			if m := p.makers[in]; m != nil && !seen[m] {
				seen[m] = true
				work = append(work, m)
			}
		}
	}
	return false
}

// joined puts two constants one behind the other along the first axis. Of one
// that is absent the elements are zero.
func (p *joining) joined(e *emitter, x, y string) (string, bool) {
	if x == "" && y == "" {
		return "", true
	}
	var shape []int
	var elem onnx.DataType
	for _, name := range []string{x, y} {
		if name == "" {
			continue
		}
		k := p.facts.constant(name)
		if k == nil || k.rank() < 1 || k.size(0) != 1 || shape != nil && (!slices.Equal(shape[1:], k.tensor.Shape()[1:]) || elem != k.tensor.DataType()) {
			return "", false
		}
		shape, elem = slices.Clone(k.tensor.Shape()), k.tensor.DataType()
	}
	shape[0] = 2
	a, err := assemble(elem, shape...)
	if err != nil {
		return "", false
	}
	for d, name := range []string{x, y} {
		if name == "" {
			continue
		}
		k := p.facts.constant(name)
		to := slices.Clone(k.ranges)
		to[0] = [2]int{d, d + 1}
		var known *Binding
		if init := p.inits[name]; init != nil {
			known, _ = BindingOf(init) // one that cannot be read is none
		}
		if known == nil {
			a.put(k, false, to...)
			continue
		}
		k.copyTo(a.tensor, to)
		for _, block := range known.Blocks {
			block.To = slices.Clone(block.To)
			block.To[0] = [2]int{d, d + 1}
			a.binding.Blocks = append(a.binding.Blocks, block)
		}
	}
	return e.assembly("both", a), true
}

// functionsOf reads a node's activation functions with their numbers.
func functionsOf(n *onnx.Node) ([]function, bool) {
	names := map[string][]string{"RNN": {"Tanh"}, "GRU": {"Sigmoid", "Tanh"}, "LSTM": {"Sigmoid", "Tanh", "Tanh"}}[n.OpType]
	if a := n.Attr("activations"); a != nil {
		if len(a.Strings) < len(names) {
			return nil, false
		}
		names = a.Strings[:len(names)]
	}
	var alpha, beta []float32
	if a := n.Attr("activation_alpha"); a != nil {
		alpha = a.Floats
	}
	if a := n.Attr("activation_beta"); a != nil {
		beta = a.Floats
	}
	defaults := map[string][2]float64{"Affine": {1, 0}, "LeakyRelu": {0.01, 0}, "ThresholdedRelu": {1, 0}, "ScaledTanh": {1, 1}, "HardSigmoid": {float64(float32(0.2)), 0.5}, "Elu": {1, 0}}
	var out []function
	for _, name := range names {
		i := slices.IndexFunc(functionNames, func(k string) bool { return strings.EqualFold(k, name) })
		if i < 0 {
			return nil, false
		}
		f := function{functionNames[i], 0, 0}
		if slices.Contains(takesAlpha, f.name) {
			if f.alpha = defaults[f.name][0]; len(alpha) > 0 {
				f.alpha, alpha = float64(alpha[0]), alpha[1:]
			}
		}
		if slices.Contains(takesBeta, f.name) {
			if f.beta = defaults[f.name][1]; len(beta) > 0 {
				f.beta, beta = float64(beta[0]), beta[1:]
			}
		}
		out = append(out, f)
	}
	return out, true
}

// functionNames lists the functions that the recurrent operators know.
var functionNames = func() []string {
	var names []string
	for name := range cellFunctions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}()
