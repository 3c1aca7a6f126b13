package rewrite

import (
	"math"

	"github.com/recur-ml/recur/onnx"
)

// mapping is an operator of one tensor with up to two numbers.
type mapping struct {
	name        string
	alpha, beta float32
	numbers     int // how many of them it has
}

// mappingOf reads a node as a function with numbers that are known at load;
// false when it is none.
func (s *fuseSite) mappingOf(n *onnx.Node) (mapping, bool) {
	f := mapping{name: n.OpType}
	attrs := 0 // those that are understood
	number := func(name string, def float32) float32 {
		f.numbers++
		if a := n.Attr(name); a != nil && a.Type == onnx.AttrFloat {
			attrs++
			return a.Float
		}
		return def
	}
	if len(n.Inputs) == 0 {
		return f, false
	}
	switch n.OpType {
	case "Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "HardSwish":
	case "LeakyRelu":
		f.alpha = number("alpha", 0.01)
	case "Elu":
		f.alpha = number("alpha", 1)
	case "HardSigmoid":
		f.alpha, f.beta = number("alpha", 0.2), number("beta", 0.5)
	case "Clip":
		if s.opsetOf(n) < 11 {
			f.alpha, f.beta = number("min", -math.MaxFloat32), number("max", math.MaxFloat32)
			break
		}
		f.alpha, f.beta, f.numbers = -math.MaxFloat32, math.MaxFloat32, 2
		for i, to := range []*float32{&f.alpha, &f.beta} {
			if name := input(n, i+1); name != "" {
				_, v := s.constantFloats(name)
				if len(v) != 1 {
					return f, false
				}
				*to = v[0]
			}
		}
	default:
		return f, false
	}
	if f.alpha != f.alpha || f.beta != f.beta || len(n.Attributes) != attrs {
		return f, false
	}
	return f, n.OpType == "Clip" || len(n.Inputs) == 1
}

// attributes writes the function as those of a fused operator.
func (f mapping) attributes() []*onnx.Attribute {
	out := []*onnx.Attribute{attrS("activation", f.name)}
	for i, v := range []float32{f.alpha, f.beta}[:f.numbers] {
		out = append(out, attrF([]string{"activation_alpha", "activation_beta"}[i], float64(v)))
	}
	return out
}
