package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(
		Op{Name: "Neg", Since: []int{1, 6, 13}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Abs", Since: []int{1, 6, 13}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Sign", Since: []int{9, 13}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Sqrt", Since: []int{1, 6, 13}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Exp", Since: []int{1, 6, 13}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Log", Since: []int{1, 6, 13}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Reciprocal", Since: []int{1, 6, 13}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Floor", Since: []int{1, 6, 13}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Ceil", Since: []int{1, 6, 13}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Round", Since: []int{11, 22}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Erf", Since: []int{9, 13}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Sin", Since: []int{7, 22}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Cos", Since: []int{7, 22}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Tan", Since: []int{7, 22}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Asin", Since: []int{7, 22}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Acos", Since: []int{7, 22}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Atan", Since: []int{7, 22}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Sinh", Since: []int{9, 22}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Cosh", Since: []int{9, 22}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Tanh", Since: []int{1, 6, 13}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Asinh", Since: []int{9, 22}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Acosh", Since: []int{9, 22}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Atanh", Since: []int{9, 22}, Infer: inferUnary, Build: buildUnary},
	)
}

// inferUnary serves every operator whose output has the type and shape of its
// first input.
func inferUnary(n *Node) error {
	d := n.Elem(0)
	n.SetTensor(0, d, n.Shape(0))
	switch op := n.Proto.OpType; op {
	case "Neg", "Abs", "Sign", "Floor", "Ceil", "Round", "Relu", "Not":
		n.SetContent(0, mapContent(contentAt(n, 0), func(s Sym) Sym { return symUnary(op, s, d) }))
	}
	return nil
}

// unary is the kernel of a function of one tensor, element by element.
type unary struct {
	loops *byType[mapper]
	out   onnx.DataType // of the result; Undefined for that of the input
}

// newUnary makes a kernel of loops; narrow floating-point types are computed
// in float32. out is as in unary.
func newUnary(out onnx.DataType, loops *byType[mapper]) Kernel {
	return newNarrowable(&unary{loops, out})
}

func (k *unary) Run(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	d := x.DataType()
	loop := k.loops[d]
	if loop == nil {
		return noLoop(d)
	}
	if k.out != onnx.Undefined {
		d = k.out
	}
	return loop.run(c, x, d)
}

// buildUnary builds the operators that have no attributes but, in their first
// version, consumed_inputs, which says what may be overwritten.
func buildUnary(n *Node) (Kernel, error) {
	n.HasAttr("consumed_inputs")
	return newUnary(onnx.Undefined, maps(n.Level(), n.Proto.OpType)), nil
}

// maps gives the loops of an operator without attributes, at a level.
func maps(l Level, op string) *byType[mapper] {
	t := &byType[mapper]{
		onnx.Int8: integerMap[int8](op), onnx.Int16: integerMap[int16](op), onnx.Int32: integerMap[int32](op), onnx.Int64: integerMap[int64](op),
		onnx.Uint8: integerMap[uint8](op), onnx.Uint16: integerMap[uint16](op), onnx.Uint32: integerMap[uint32](op), onnx.Uint64: integerMap[uint64](op),
		onnx.Float: numberMap[float32](op), onnx.Double: numberMap[float64](op),
	}
	if fast := float32Loops[op]; fast.f != nil {
		t[onnx.Float] = &mapping[float32, float32]{func(dst, src []float32) { fast.f(l, dst, src) }, fast.grain}
	}
	switch op {
	case "Sqrt":
		t[onnx.Double] = &mapping[float64, float64]{kernel.Sqrt[float64], cheapGrain}
	case "Reciprocal":
		t[onnx.Double] = &mapping[float64, float64]{kernel.Reciprocal[float64], cheapGrain}
	}
	f := functions[op]
	if f == nil {
		return t
	}
	if t[onnx.Float] == nil {
		t[onnx.Float] = &mapping[float32, float32]{kernel.MapFloat[float32](f), costlyGrain}
	}
	t[onnx.Double] = &mapping[float64, float64]{kernel.MapFloat[float64](f), costlyGrain}
	return t
}

func floatMaps(f *mapping[float32, float32], d *mapping[float64, float64]) *byType[mapper] {
	return &byType[mapper]{onnx.Float: f, onnx.Double: d}
}

// functions are computed in float64, whatever the type.
var functions = map[string]func(float64) float64{
	"Exp": math.Exp, "Log": math.Log, "Floor": math.Floor, "Ceil": math.Ceil, "Round": math.RoundToEven, "Erf": math.Erf,
	"Sin": math.Sin, "Cos": math.Cos, "Tan": math.Tan, "Asin": math.Asin, "Acos": math.Acos, "Atan": math.Atan,
	"Sinh": math.Sinh, "Cosh": math.Cosh, "Tanh": kernel.Tanh64, "Asinh": math.Asinh, "Acosh": math.Acosh, "Atanh": math.Atanh,
	"Sigmoid": kernel.Sigmoid64, "Softplus": kernel.Softplus, "Softsign": kernel.Softsign, "HardSwish": kernel.HardSwish, "Mish": kernel.Mish,
}

// levelLoop is a loop for float32 that differs between levels.
type levelLoop struct {
	f     func(l Level, dst, src []float32)
	grain int
}

// float32Loops are the loops for float32 that are faster than functions.
var float32Loops = map[string]levelLoop{
	"Neg": {kernel.NegVector, cheapGrain}, "Sign": {kernel.SignVector, cheapGrain}, "Abs": {kernel.AbsVector, cheapGrain}, "Relu": {kernel.ReluVector, cheapGrain},
	"Floor": {kernel.FloorVector, cheapGrain}, "Ceil": {kernel.CeilVector, cheapGrain}, "Round": {kernel.RoundVector, cheapGrain},
	"Sqrt": {kernel.SqrtVector, cheapGrain}, "Reciprocal": {kernel.ReciprocalVector, cheapGrain},
	"Softsign": {kernel.SoftsignVector, cheapGrain}, "HardSwish": {kernel.HardSwishVector, cheapGrain},
	"Exp": {kernel.Exp, costlyGrain}, "Tanh": {kernel.Tanh, costlyGrain}, "Sigmoid": {kernel.Sigmoid, costlyGrain},
	"Log": {kernel.LogVector, costlyGrain}, "Softplus": {kernel.SoftplusVector, costlyGrain}, "Erf": {kernel.ErfVector, costlyGrain},
}

// numberMap gives the loops that are written alike for all numbers.
func numberMap[T number](op string) mapper {
	switch op {
	case "Neg":
		return &mapping[T, T]{kernel.Neg[T], cheapGrain}
	case "Abs":
		return &mapping[T, T]{kernel.Abs[T], cheapGrain}
	case "Sign":
		return &mapping[T, T]{kernel.Sign[T], cheapGrain}
	case "Relu":
		return &mapping[T, T]{kernel.Relu[T], cheapGrain}
	}
	return nil
}

func integerMap[T integer](op string) mapper {
	switch op {
	case "BitwiseNot":
		return &mapping[T, T]{kernel.BitNot[T], cheapGrain}
	case "Erf":
		return &mapping[T, T]{kernel.MapInteger[T](math.Erf), costlyGrain}
	}
	return numberMap[T](op)
}
