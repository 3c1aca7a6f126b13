package ops

import (
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(
		Op{Name: "And", Since: []int{1, 7}, Infer: inferLogic, Build: buildBinary},
		Op{Name: "Or", Since: []int{1, 7}, Infer: inferLogic, Build: buildBinary},
		Op{Name: "Xor", Since: []int{1, 7}, Infer: inferLogic, Build: buildBinary},
		Op{Name: "Not", Since: []int{1}, Infer: inferUnary, Build: buildNot},
		Op{Name: "BitwiseNot", Since: []int{18}, Infer: inferUnary, Build: buildUnary},
	)
}

func inferLogic(n *Node) error {
	shape, err := binaryShape(n)
	if err != nil {
		return err
	}
	n.SetTensor(0, onnx.Bool, shape)
	n.SetContent(0, zipContent(func(e []Sym) Sym { return symLogic(n.Proto.OpType, e[0], e[1]) }, contentAt(n, 0), contentAt(n, 1)))
	return nil
}

// symLogic computes And, Or and Xor of truth values that are 0 or 1.
func symLogic(op string, a, b Sym) Sym {
	is := func(s Sym, v int64) bool { return s.Known && s.Value == v }
	switch {
	case op == "And" && (is(a, 0) || is(b, 0)):
		return Int(0)
	case op == "Or" && (is(a, 1) || is(b, 1)):
		return Int(1)
	case !a.Known || !b.Known:
		return Sym{}
	case op == "And":
		return Int(a.Value & b.Value)
	case op == "Or":
		return Int(a.Value | b.Value)
	}
	return Int(a.Value ^ b.Value)
}

func buildNot(*Node) (Kernel, error) {
	return newUnary(onnx.Bool, &byType[mapper]{onnx.Bool: &mapping[bool, bool]{kernel.Not, cheapGrain}}), nil
}
