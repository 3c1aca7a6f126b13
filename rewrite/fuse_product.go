package rewrite

import (
	"math"
	"slices"

	"github.com/recur-ml/recur/onnx"
)

// products joins MatMul, Gemm and Conv with the bias that is added to them and
// the activation that follows.
func (s *fuseSite) products() {
	for _, n := range s.graph.Nodes {
		if !s.plain(n) || !s.isFloat(n.Outputs[0]) {
			continue
		}
		switch n.OpType {
		case "MatMul":
			s.product(n, "FusedMatMul", s.matMulBias)
		case "Gemm":
			s.product(n, "FusedGemm", s.gemmBias)
		case "Conv":
			s.product(n, "FusedConv", s.convBias)
		}
	}
}

// product joins a node with what follows. bias gives the inputs of the fused
// operator for a constant that is added to the node's output, nil where it
// cannot be taken in.
func (s *fuseSite) product(n *onnx.Node, op string, bias func(n *onnx.Node, name string) []string) {
	if !s.may(op) {
		return
	}
	inputs, last, attrs := n.Inputs, n, slices.Clone(n.Attributes)
	var taken []*onnx.Node
	if add := s.reader(n.Outputs[0]); add != nil && add.OpType == "Add" && s.plain(add) && len(add.Inputs) == 2 && !s.keepsState(add) {
		other := add.Inputs[0]
		if other == n.Outputs[0] {
			other = add.Inputs[1]
		}
		if in := bias(n, other); in != nil {
			inputs, last, taken = in, add, append(taken, add)
		}
	}
	if next := s.reader(last.Outputs[0]); next != nil && s.plain(next) && next.Inputs[0] == last.Outputs[0] {
		if f, ok := s.mappingOf(next); ok {
			last, taken, attrs = next, append(taken, next), append(attrs, f.attributes()...)
		}
	}
	if len(taken) == 0 {
		return
	}
	for _, t := range taken {
		s.gone[t] = true
	}
	s.become(n, op, inputs, last.Outputs[0], attrs)
}

// matMulBias takes a constant with an element for each column. Where A is of
// unknown rank, a B of two dimensions tells that there are columns.
func (s *fuseSite) matMulBias(n *onnx.Node, name string) []string {
	t, _ := s.constantFloats(name)
	y := s.typeOf(n.Outputs[0]).Shape
	if b := s.typeOf(n.Inputs[1]).Shape; !y.Ranked() && len(b) == 2 {
		y = b[1:]
	}
	if t == nil || len(y) == 0 || !isRow(t.Shape(), len(y), y[len(y)-1]) {
		return nil
	}
	return []string{n.Inputs[0], n.Inputs[1], name}
}

// isRow reports whether a constant of a shape has an element for each column of
// a tensor of a rank, and adds no dimension to that.
func isRow(shape []int, rank int, columns onnx.Dim) bool {
	last := len(shape) - 1
	if last < 0 || len(shape) > rank || !columns.Known() || shape[last] != columns.Value {
		return false
	}
	return !slices.ContainsFunc(shape[:last], func(d int) bool { return d != 1 })
}

// gemmBias takes a constant with an element for each column, where the product
// is not scaled and has nothing added to it yet.
func (s *fuseSite) gemmBias(n *onnx.Node, name string) []string {
	t, _ := s.constantFloats(name)
	y := s.typeOf(n.Outputs[0]).Shape
	if t == nil || input(n, 2) != "" || n.Attr("alpha") != nil && n.Attr("alpha").Float != 1 ||
		n.Attr("beta") != nil && n.Attr("beta").Float != 1 || len(y) != 2 || !isRow(t.Shape(), 2, y[1]) {
		return nil
	}
	return []string{n.Inputs[0], n.Inputs[1], name}
}

// convBias takes a constant with an element for each channel, where Conv has no
// bias: it adds one after the products, as Add does. With none it adds 0, which
// makes a sum of -0 a 0; a bias of -0 would leave it.
func (s *fuseSite) convBias(n *onnx.Node, name string) []string {
	t, v := s.constantFloats(name)
	y := s.typeOf(n.Outputs[0]).Shape
	if t == nil || input(n, 2) != "" || len(y) < 3 || !y[1].Known() || t.Len() != y[1].Value || len(v) == 0 {
		return nil
	}
	shape := t.Shape()
	channels := len(shape) - (len(y) - 1) // the axis of the channels
	if channels < 0 || channels > 1 {
		return nil
	}
	for i, d := range shape {
		if i != channels && d != 1 || i == channels && d != y[1].Value {
			return nil
		}
	}
	if slices.ContainsFunc(v, func(x float32) bool { return math.Float32bits(x) == 1<<31 }) {
		return nil
	}
	flat, err := t.WithShape([]int{t.Len()})
	if err != nil {
		return nil
	}
	return []string{n.Inputs[0], n.Inputs[1], s.constantOf(name+"/channels", flat)}
}
