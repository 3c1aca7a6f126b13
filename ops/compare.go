package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(
		Op{Name: "Equal", Since: []int{1, 7, 11, 13, 19}, Infer: inferRelation, Build: buildBinary},
		Op{Name: "Less", Since: []int{1, 7, 9, 13}, Infer: inferRelation, Build: buildBinary},
		Op{Name: "Greater", Since: []int{1, 7, 9, 13}, Infer: inferRelation, Build: buildBinary},
		Op{Name: "LessOrEqual", Since: []int{12, 16}, Infer: inferRelation, Build: buildBinary},
		Op{Name: "GreaterOrEqual", Since: []int{12, 16}, Infer: inferRelation, Build: buildBinary},
		Op{Name: "IsInf", Since: []int{10, 20}, Infer: inferPredicate, Build: buildIsInf},
		Op{Name: "IsNaN", Since: []int{9, 13, 20}, Infer: inferPredicate, Build: buildIsNaN},
	)
}

func inferRelation(n *Node) error {
	shape, err := binaryShape(n)
	if err != nil {
		return err
	}
	n.SetTensor(0, onnx.Bool, shape)
	n.SetContent(0, zipContent(func(e []Sym) Sym { return symRelation(n.Proto.OpType, e[0], e[1]) }, contentAt(n, 0), contentAt(n, 1)))
	return nil
}

func inferPredicate(n *Node) error {
	n.SetTensor(0, onnx.Bool, n.Shape(0))
	return nil
}

func buildIsInf(n *Node) (Kernel, error) {
	neg, pos := n.Bool("detect_negative", true), n.Bool("detect_positive", true)
	isInf := func(x float64) bool { return pos && math.IsInf(x, 1) || neg && math.IsInf(x, -1) }
	return newUnary(onnx.Bool, predicates(isInf)), nil
}

func buildIsNaN(*Node) (Kernel, error) {
	return newUnary(onnx.Bool, predicates(func(x float64) bool { return x != x })), nil
}

// predicates makes loops of a test of floating-point numbers.
func predicates(f func(float64) bool) *byType[mapper] {
	return &byType[mapper]{
		onnx.Float:  &mapping[float32, bool]{kernel.Map(func(x float32) bool { return f(float64(x)) }), cheapGrain},
		onnx.Double: &mapping[float64, bool]{kernel.Map(f), cheapGrain},
	}
}
