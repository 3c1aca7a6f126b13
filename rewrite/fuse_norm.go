package rewrite

import (
	"math"
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// norms writes BatchNormalization with constants as the product and the sum
// that it computes, for a tree to take in. Factor and offset of a channel are
// what the operator makes of its inputs, in float64 rounded once:
//
//	factor = scale / sqrt(var + epsilon)
//	offset = B - mean*factor
func (s *fuseSite) norms() {
	if !s.may("Elementwise") {
		return
	}
	var nodes []*onnx.Node
	for _, n := range s.graph.Nodes {
		if factor, offset := s.affine(n); factor != nil {
			nodes = append(nodes, s.scale(n, factor, offset))
		}
		nodes = append(nodes, n)
	}
	s.graph.Nodes = nodes
}

// scale turns a BatchNormalization into an Add, and gives the Mul before it.
func (s *fuseSite) scale(n *onnx.Node, factor, offset *onnx.Tensor) *onnx.Node {
	x, y := n.Inputs[0], n.Outputs[0]
	mul := &onnx.Node{Name: s.fresh(n.Label() + "/scale"), OpType: "Mul", Inputs: []string{x, s.constantOf(y+"/factor", factor)}, Outputs: []string{s.fresh(y + "/scaled")}, Opset: n.Opset}
	scaled := mul.Outputs[0]
	n.OpType, n.Attributes, n.Inputs = "Add", nil, []string{scaled, s.constantOf(y+"/offset", offset)}
	s.scope.Set(scaled, ops.Info{Type: s.typeOf(y)})
	s.makers[scaled] = mul
	s.uses[scaled] = []*onnx.Node{n}
	for i, u := range s.uses[x] {
		if u == n {
			s.uses[x][i] = mul
		}
	}
	return mul
}

// constantOf adds an initializer, and gives its name.
func (s *fuseSite) constantOf(wish string, t *onnx.Tensor) string {
	name := s.fresh(wish)
	s.graph.Initializers = append(s.graph.Initializers, &onnx.Initializer{Name: name, Tensor: t})
	s.scope.Set(name, ops.ConstInfo(t))
	return name
}

// affine gives factor and offset of a BatchNormalization as tensors that
// broadcast to its input, nil where they are not known or not of float32.
func (s *fuseSite) affine(n *onnx.Node) (factor, offset *onnx.Tensor) {
	if n.OpType != "BatchNormalization" || !s.plain(n) || s.opsetOf(n) < 9 || len(n.Inputs) != 5 || attrInt(n, "training_mode", 0) != 0 || !s.isFloat(n.Inputs[0]) {
		return nil, nil
	}
	x := s.typeOf(n.Inputs[0]).Shape
	if len(x) < 2 || !x[1].Known() || x[1].Value == 0 {
		return nil, nil
	}
	var p [4][]float32 // scale, B, mean, var
	for i := range p {
		if _, p[i] = s.constantFloats(n.Inputs[1+i]); len(p[i]) != x[1].Value {
			return nil, nil
		}
	}
	epsilon := float32(1e-5)
	for _, a := range n.Attributes {
		switch a.Name {
		case "epsilon":
			epsilon = a.Float
		case "momentum", "training_mode":
		default:
			return nil, nil
		}
	}
	shape := slices.Repeat([]int{1}, len(x)-1)
	shape[0] = x[1].Value
	f, o := make([]float32, shape[0]), make([]float32, shape[0])
	for i := range f {
		v := float64(p[0][i]) / math.Sqrt(float64(p[3][i])+float64(epsilon))
		f[i], o[i] = float32(v), float32(float64(p[1][i])-float64(float64(p[2][i])*v))
	}
	return onnx.MustTensor(shape, f), onnx.MustTensor(shape, o)
}
