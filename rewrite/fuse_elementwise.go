package rewrite

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/recur-ml/recur/onnx"
)

// Bounds on a fused tree: what it keeps in cache grows with its inputs and
// steps.
const (
	maxTreeInputs = 16
	maxTreeSteps  = 32
)

// elementwise lists the operators of fused trees that have no numbers, and how
// many operands they take; mappingOf knows the others.
var elementwise = map[string]int{
	"Add": 2, "Sub": 2, "Mul": 2, "Div": 2, "Max": 2, "Min": 2, "Pow": 2, "PRelu": 2,
	"Neg": 1, "Abs": 1, "Exp": 1, "Log": 1, "Sqrt": 1, "Reciprocal": 1, "Floor": 1, "Ceil": 1, "Erf": 1, "Sign": 1,
}

// trees joins elementwise nodes. Inner values have the shape of the result, so
// that no step is done more often than before; what comes in from outside may
// be broadcast.
func (s *fuseSite) trees() {
	if !s.may("Elementwise") {
		return
	}
	t := &treeSite{fuseSite: s, extents: extents{facts: s.facts, of: map[string]int{}, shapes: map[string]int{}}, order: map[*onnx.Node]int{}}
	var steps []*onnx.Node
	for i, n := range s.graph.Nodes {
		if !s.gone[n] && t.eligible(n) {
			t.order[n] = i
			t.extents.result(n)
			steps = append(steps, n)
		}
	}
	for _, n := range slices.Backward(steps) {
		if !s.gone[n] {
			t.grow(n)
		}
	}
}

// treeSite is a graph in which trees are looked for.
type treeSite struct {
	*fuseSite
	extents extents
	order   map[*onnx.Node]int // the places of nodes that may be steps
}

// operands gives the inputs of a step, without the bounds of Clip, which
// become numbers.
func operands(n *onnx.Node) []string {
	if k, ok := elementwise[n.OpType]; ok {
		return n.Inputs[:k]
	}
	return n.Inputs[:1]
}

// eligible reports whether a node may be a step of a tree.
func (t *treeSite) eligible(n *onnx.Node) bool {
	if !t.plain(n) || t.keepsState(n) {
		return false
	}
	if k, ok := elementwise[n.OpType]; !ok {
		if _, ok := t.mappingOf(n); !ok {
			return false
		}
	} else if len(n.Inputs) != k || len(n.Attributes) > 0 {
		return false
	}
	for i, in := range operands(n) {
		if !t.isFloat(in) && !(n.OpType == "Pow" && i == 1 && t.exponent(in) != nil) {
			return false
		}
	}
	return n.OpType != "PRelu" || t.extents.fits(n.Inputs[1], n.Inputs[0])
}

// exponent gives a constant of another type than float32 as one of float32 when
// that is the same float64, in which powers are computed, nil when it is not.
func (s *fuseSite) exponent(name string) *onnx.Tensor {
	k := s.facts.constant(name)
	if k == nil || k.tensor.Len() != 1 {
		return nil
	}
	var v float64
	switch t := k.tensor; t.DataType() {
	case onnx.Int64:
		v = float64(onnx.Elements[int64](t)[0])
	case onnx.Int32:
		v = float64(onnx.Elements[int32](t)[0])
	case onnx.Double:
		v = onnx.Elements[float64](t)[0]
	default:
		return nil
	}
	if float64(float32(v)) != v {
		return nil
	}
	return onnx.MustTensor(k.tensor.Shape(), []float32{float32(v)})
}

// grow finds the tree of which a node gives the result, and puts it in the
// node's place where it has two nodes or more.
func (t *treeSite) grow(root *onnx.Node) {
	in := map[*onnx.Node]bool{root: true}
	members := []*onnx.Node{root}
	for grown := true; grown; {
		grown = false
		for _, n := range members {
			for _, v := range operands(n) {
				if m := t.inner(v, root, in); m != nil && len(members) < maxTreeSteps && len(outsideOf(append(members, m))) <= maxTreeInputs {
					in[m], grown = true, true
					members = append(members, m)
				}
			}
		}
	}
	if len(members) < 2 {
		return
	}
	slices.SortFunc(members, func(a, b *onnx.Node) int { return t.order[a] - t.order[b] })
	t.put(root, members)
}

// inner gives the node of which a value is an inner one of a tree: all that
// read it are in the tree, and it has the shape of the result.
func (t *treeSite) inner(v string, root *onnx.Node, in map[*onnx.Node]bool) *onnx.Node {
	m := t.makers[v]
	if _, step := t.order[m]; !step || in[m] || t.gone[m] || t.extents.of[v] != t.extents.of[root.Outputs[0]] {
		return nil
	}
	for _, r := range t.uses[v] {
		if r == nil || !in[r] {
			return nil
		}
	}
	return m
}

// outsideOf lists the values that come into a tree from outside.
func outsideOf(members []*onnx.Node) []string {
	own := map[string]bool{}
	for _, n := range members {
		own[n.Outputs[0]] = true
	}
	var list []string
	for _, n := range members {
		for _, v := range operands(n) {
			if !own[v] && !slices.Contains(list, v) {
				list = append(list, v)
			}
		}
	}
	return list
}

// put turns the root of a tree into one node for all of its members.
func (t *treeSite) put(root *onnx.Node, members []*onnx.Node) {
	inputs := outsideOf(members)
	number := map[string]int{}
	for i, name := range inputs {
		number[name] = i
	}
	var steps []string
	for i, n := range members {
		steps = append(steps, t.step(n, number))
		number[n.Outputs[0]] = len(inputs) + i
		t.gone[n] = n != root
	}
	for i, name := range inputs {
		if !t.isFloat(name) {
			inputs[i] = t.constantOf(name+"/float", t.exponent(name))
		}
	}
	t.become(root, "Elementwise", inputs, root.Outputs[0], []*onnx.Attribute{{Name: "steps", Type: onnx.AttrStrings, Strings: steps}})
	delete(t.gone, root)
	delete(t.order, root)
}

// step writes a node as a step: the operator, the numbers of its operands, and
// its own numbers.
func (t *treeSite) step(n *onnx.Node, number map[string]int) string {
	var b strings.Builder
	b.WriteString(n.OpType)
	for _, v := range operands(n) {
		fmt.Fprintf(&b, " %d", number[v])
	}
	if f, ok := t.mappingOf(n); ok {
		for i, v := range []float32{f.alpha, f.beta}[:f.numbers] {
			b.WriteString([]string{" alpha=", " beta="}[i])
			b.WriteString(strconv.FormatFloat(float64(v), 'g', -1, 32))
		}
	}
	return b.String()
}

// extents says which values have the same shape, also where it is not known: a
// function of a value has the value's.
type extents struct {
	facts  *facts
	of     map[string]int // a number for each shape
	shapes map[string]int // the numbers of shapes, written with sizes, symbols, and where a size comes from
	last   int            // number given
}

// extent gives the number of a value's shape.
func (e *extents) extent(name string) int {
	if id, ok := e.of[name]; ok {
		return id
	}
	e.last++
	id := e.last
	if shape := e.facts.typeOf(name).Shape; shape.Ranked() {
		var key strings.Builder
		for axis, d := range shape {
			switch {
			case d.Known():
				fmt.Fprintf(&key, "%d ", d.Value)
			case d.Name != "":
				fmt.Fprintf(&key, "%q ", d.Name)
			default:
				fmt.Fprintf(&key, "%d of %q ", axis, e.origin(name, int64(axis)))
			}
		}
		if known, ok := e.shapes[key.String()]; ok {
			id = known
		} else {
			e.shapes[key.String()] = id
		}
	}
	e.of[name] = id
	return id
}

// origin follows a value back to one that has the same size along an axis.
func (e *extents) origin(name string, axis int64) string {
	for range 20 {
		n := e.facts.makers[name]
		if n == nil || n.Domain != "" || len(n.Outputs) != 1 {
			break
		}
		if n.OpType == "Slice" {
			axes, ok := e.facts.list(n, 3, "axes")
			if !ok || slices.ContainsFunc(axes, func(a int64) bool { return a < 0 || a == axis }) {
				break
			}
		} else if k, ok := elementwise[n.OpType]; n.OpType != "Cast" && (!ok || k != 1) {
			break
		}
		name = n.Inputs[0]
	}
	return name
}

// result numbers the shape of what a step gives.
func (e *extents) result(n *onnx.Node) {
	o, a := n.Outputs[0], n.Inputs[0]
	if len(operands(n)) == 1 || n.OpType == "PRelu" || e.extent(a) == e.extent(n.Inputs[1]) || e.fits(n.Inputs[1], a) {
		e.of[o] = e.extent(a)
	} else if e.fits(a, n.Inputs[1]) {
		e.of[o] = e.extent(n.Inputs[1])
	} else {
		e.extent(o)
	}
}

// fits reports whether a value can certainly be broadcast to the shape of
// another one.
func (e *extents) fits(small, big string) bool {
	s, b := e.facts.typeOf(small).Shape, e.facts.typeOf(big).Shape
	if !s.Ranked() || len(s) > len(b) {
		return false
	}
	for i, d := range s {
		if w := b[len(b)-len(s)+i]; !(d.Known() && d.Value == 1) && !d.Same(w) {
			return false
		}
	}
	return true
}
