package ops

import (
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(
		Op{Name: "Sigmoid", Since: []int{1, 6, 13}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Relu", Since: []int{1, 6, 13, 14}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "HardSwish", Since: []int{14, 22}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Softplus", Since: []int{1, 22}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Softsign", Since: []int{1, 22}, Infer: inferUnary, Build: buildUnary},
		Op{Name: "Mish", Since: []int{18, 22}, Infer: inferUnary, Build: buildUnary},

		Op{Name: "LeakyRelu", Since: []int{1, 6, 16}, Infer: inferUnary, Build: buildActivation},
		Op{Name: "Elu", Since: []int{1, 6, 22}, Infer: inferUnary, Build: buildActivation},
		Op{Name: "Selu", Since: []int{1, 6, 22}, Infer: inferUnary, Build: buildActivation},
		Op{Name: "Celu", Since: []int{12, 28}, Infer: inferUnary, Build: buildActivation},
		Op{Name: "HardSigmoid", Since: []int{1, 6, 22}, Infer: inferUnary, Build: buildActivation},
		Op{Name: "ThresholdedRelu", Since: []int{10, 22}, Infer: inferUnary, Build: buildActivation},
		Op{Name: "Swish", Since: []int{24}, Infer: inferUnary, Build: buildActivation},
		Op{Name: "Gelu", Since: []int{20}, Infer: inferUnary, Build: buildGelu},
		Op{Name: "Shrink", Since: []int{9}, Infer: inferUnary, Build: buildShrink},
	)
}

// floatOrDefault reads an attribute, the schema's default when it is not set:
// versions differ in it.
func floatOrDefault(n *Node, name string) float32 {
	if n.schema != nil {
		if a := n.schema.Attribute(name); a != nil && a.Default != nil {
			return n.Float(name, a.Default.Float)
		}
	}
	return n.Float(name, 0)
}

// buildActivation builds the activations with numbers as attributes.
func buildActivation(n *Node) (Kernel, error) {
	n.HasAttr("consumed_inputs")
	alpha := floatOrDefault(n, "alpha")
	second := float32(0)
	switch n.Proto.OpType {
	case "Selu":
		second = floatOrDefault(n, "gamma")
	case "HardSigmoid":
		second = floatOrDefault(n, "beta")
	}
	return newUnary(onnx.Undefined, floatMaps(activationMap[float32](n.Level(), n.Proto.OpType, alpha, second), activationMap[float64](kernel.Go, n.Proto.OpType, alpha, second))), nil
}

// activationMap gives the loop of an activation with the attributes alpha and
// gamma or beta, at a level.
func activationMap[T float](l Level, op string, alpha, second float32) *mapping[T, T] {
	m := &mapping[T, T]{grain: costlyGrain}
	a, b := float64(alpha), float64(second)
	if f, ok := any(m).(*mapping[float32, float32]); ok && l != kernel.Go {
		switch op {
		case "LeakyRelu":
			f.f = func(dst, src []float32) { kernel.LeakyReluVector(l, dst, src, alpha) }
		case "HardSigmoid":
			f.f = func(dst, src []float32) { kernel.HardSigmoidVector(l, dst, src, alpha, second) }
		case "Elu":
			f.f = func(dst, src []float32) { kernel.EluVector(l, dst, src, a, 1) }
		case "Selu":
			f.f = func(dst, src []float32) { kernel.EluVector(l, dst, src, a, b) }
		case "Celu":
			f.f = func(dst, src []float32) { kernel.CeluVector(l, dst, src, alpha) }
		}
		if f.f != nil {
			return m
		}
	}
	switch op {
	case "LeakyRelu":
		m.grain = cheapGrain
		m.f = func(dst, src []T) { kernel.LeakyRelu(dst, src, T(alpha)) }
	case "HardSigmoid":
		m.grain = cheapGrain
		m.f = func(dst, src []T) { kernel.HardSigmoid(dst, src, T(alpha), T(second)) }
	case "ThresholdedRelu":
		m.grain = cheapGrain
		m.f = func(dst, src []T) { kernel.ThresholdedRelu(dst, src, T(alpha)) }
	case "Elu":
		m.f = func(dst, src []T) { kernel.Elu(dst, src, a, 1) }
	case "Selu":
		m.f = func(dst, src []T) { kernel.Elu(dst, src, a, b) }
	case "Celu":
		m.f = kernel.MapFloat[T](func(x float64) float64 { return kernel.Celu(x, a) })
	case "Swish":
		m.f = kernel.MapFloat[T](func(x float64) float64 { return x * kernel.Sigmoid64(a*x) })
	}
	return m
}

func buildGelu(n *Node) (Kernel, error) {
	l, f := n.Level(), kernel.Gelu
	narrow := &mapping[float32, float32]{func(dst, src []float32) { kernel.GeluVector(l, dst, src) }, costlyGrain}
	switch a := n.Str("approximate", "none"); a {
	case "none":
	case "tanh":
		f = kernel.GeluTanh
		narrow.f = func(dst, src []float32) { kernel.GeluTanhVector(l, dst, src) }
	default:
		return nil, onnx.Errorf(onnx.ErrMalformed, "approximate is %q, want none or tanh", a)
	}
	return newUnary(onnx.Undefined, floatMaps(narrow, &mapping[float64, float64]{kernel.MapFloat[float64](f), costlyGrain})), nil
}

func buildShrink(n *Node) (Kernel, error) {
	lambd, bias := float64(floatOrDefault(n, "lambd")), float64(floatOrDefault(n, "bias"))
	f := func(x float64) float64 { return kernel.Shrink(x, lambd, bias) }
	return newUnary(onnx.Undefined, &byType[mapper]{
		onnx.Float: &mapping[float32, float32]{kernel.MapFloat[float32](f), cheapGrain}, onnx.Double: &mapping[float64, float64]{kernel.MapFloat[float64](f), cheapGrain},
		onnx.Int8: shrinkMap[int8](f), onnx.Int16: shrinkMap[int16](f), onnx.Int32: shrinkMap[int32](f), onnx.Int64: shrinkMap[int64](f),
		onnx.Uint8: shrinkMap[uint8](f), onnx.Uint16: shrinkMap[uint16](f), onnx.Uint32: shrinkMap[uint32](f), onnx.Uint64: shrinkMap[uint64](f),
	}), nil
}

func shrinkMap[T integer](f func(float64) float64) mapper {
	return &mapping[T, T]{kernel.MapInteger[T](f), cheapGrain}
}
