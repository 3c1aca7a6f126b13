package ops

import (
	"math"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func TestActivations(t *testing.T) {
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	single := func(x float64) float64 { return float64(float32(x)) }
	around := [2]float64{-8, 8}
	testFunctions(t, []functionCase{
		{op: "Sigmoid", opset: 13, f: sigmoid, domain: around},
		{op: "Softplus", opset: 1, f: func(x float64) float64 { return math.Log1p(math.Exp(x)) }, domain: around},
		{op: "Softsign", opset: 22, f: func(x float64) float64 { return x / (1 + math.Abs(x)) }, domain: around},
		{op: "HardSwish", opset: 14, f: func(x float64) float64 {
			return x * math.Max(0, math.Min(1, x/6+0.5))
		}, domain: around},
		{op: "Mish", opset: 18, f: func(x float64) float64 { return x * math.Tanh(math.Log1p(math.Exp(x))) }, domain: around},
		{op: "Relu", opset: 14, f: func(x float64) float64 { return math.Max(x, 0) }, domain: around},
		{op: "Elu", opset: 6, attrs: []any{"alpha", 1.5}, f: func(x float64) float64 {
			return math.Max(x, 0) + math.Min(0, 1.5*math.Expm1(x))
		}, domain: around},
		{op: "Selu", opset: 6, f: func(x float64) float64 {
			const alpha, gamma = 1.67326319217681884765625, 1.05070102214813232421875
			if x > 0 {
				return gamma * x
			}
			return gamma * (alpha*math.Exp(x) - alpha)
		}, domain: [2]float64{-8, 8}},
		{op: "Selu", opset: 1, f: func(x float64) float64 {
			if x > 0 {
				return single(1.0507) * x
			}
			return single(1.0507) * single(1.6732) * math.Expm1(x)
		}, domain: around},
		{op: "Celu", opset: 28, attrs: []any{"alpha", 2.}, f: func(x float64) float64 {
			return math.Max(0, x) + math.Min(0, 2*math.Expm1(x/2))
		}, domain: around},
		{op: "Swish", opset: 24, attrs: []any{"alpha", 0.5}, f: func(x float64) float64 { return x * sigmoid(x/2) }, domain: around},
		{op: "Gelu", opset: 20, f: func(x float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) }, domain: [2]float64{-1, 8}},
		{op: "Gelu", opset: 20, attrs: []any{"approximate", "tanh"}, f: func(x float64) float64 {
			return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		}, domain: [2]float64{-1, 8}},
	})
}

func TestActivationValues(t *testing.T) {
	x := vec[float32](-4, -1, 0, 1, 4)
	runElementCases(t, []elementCase{
		{name: "default", op: "LeakyRelu", opset: 6, in: []onnx.Value{x}, want: vec[float32](-0.04, -0.01, 0, 1, 4), rtol: 1e-6},
		{name: "alpha", op: "LeakyRelu", opset: 16, attrs: []any{"alpha", 0.5}, in: []onnx.Value{x}, want: vec[float32](-2, -0.5, 0, 1, 4)},
		{name: "first", op: "LeakyRelu", opset: 1, attrs: []any{"alpha", 0.5, "consumed_inputs", []int64{0}}, in: []onnx.Value{x}, want: vec[float32](-2, -0.5, 0, 1, 4)},
		{name: "default", op: "HardSigmoid", opset: 6, in: []onnx.Value{x}, want: vec[float32](0, 0.3, 0.5, 0.7, 1), rtol: 1e-6},
		{name: "alpha beta", op: "HardSigmoid", opset: 22, attrs: []any{"alpha", 0.25, "beta", 0.25}, in: []onnx.Value{x}, want: vec[float32](0, 0, 0.25, 0.5, 1)},
		{name: "NaN", op: "HardSigmoid", opset: 22, in: []onnx.Value{vec(nan32)}, want: vec(nan32)},
		{name: "default", op: "ThresholdedRelu", opset: 10, in: []onnx.Value{x}, want: vec[float32](0, 0, 0, 0, 4)},
		{name: "alpha", op: "ThresholdedRelu", opset: 22, attrs: []any{"alpha", -2.}, in: []onnx.Value{x}, want: vec[float32](0, -1, 0, 1, 4)},
		{name: "default", op: "Shrink", opset: 9, in: []onnx.Value{vec[float32](-2, -0.5, 0.25, 0.75)}, want: vec[float32](-2, 0, 0, 0.75)},
		{name: "bias", op: "Shrink", opset: 9, attrs: []any{"lambd", 1.5, "bias", 0.5}, in: []onnx.Value{x}, want: vec[float32](-3.5, 0, 0, 0, 3.5)},
		{name: "int32", op: "Shrink", opset: 9, attrs: []any{"lambd", 1.5, "bias", 1.5}, in: []onnx.Value{vec[int32](-4, -1, 0, 2, 4)}, want: vec[int32](-2, 0, 0, 0, 2)},
		{name: "int8", op: "Relu", opset: 14, in: []onnx.Value{vec[int8](-4, 0, 7)}, want: vec[int8](0, 0, 7)},
		{name: "far", op: "Softplus", opset: 1, in: []onnx.Value{vec(-inf32, -1000, 1000, inf32)}, want: vec(0, 0, 1000, inf32)},
		{name: "far", op: "Sigmoid", opset: 13, in: []onnx.Value{vec(-inf32, -1000, 1000, inf32, nan32)}, want: vec(0, 0, 1, 1, nan32)},
		{name: "far", op: "Mish", opset: 18, in: []onnx.Value{vec(1e20, inf32)}, want: vec(1e20, inf32)},
		{name: "far", op: "Elu", opset: 6, in: []onnx.Value{vec(-inf32, -1000, 1000, inf32, nan32)}, want: vec(-1, -1, 1000, inf32, nan32)},
		{name: "far", op: "Celu", opset: 12, in: []onnx.Value{vec(-inf32, -1000, 1000, inf32, nan32)}, want: vec(-1, -1, 1000, inf32, nan32)},
		{name: "far", op: "Gelu", opset: 20, in: []onnx.Value{vec[float32](-1000, 1000)}, want: vec[float32](0, 1000)},
		{name: "far", op: "Gelu", opset: 20, attrs: []any{"approximate", "tanh"}, in: []onnx.Value{vec[float32](-1e30, 1e30)}, want: vec[float32](0, 1e30)},
		{name: "other", op: "Gelu", opset: 20, attrs: []any{"approximate", "sigmoid"}, in: []onnx.Value{x}, err: onnx.ErrMalformed},
	})
}
