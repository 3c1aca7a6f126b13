package ops

import (
	"math"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// functionCase is an operator of one input, its attributes, and the function
// that it computes, written by its definition in float64.
type functionCase struct {
	op     string
	opset  int
	attrs  []any
	f      func(x float64) float64
	domain [2]float64
}

// testFunctions holds operators against their definitions at points spread
// over the domain: in double, in float within about half a unit in the last place,
// and in float16 exactly as the float result rounds.
func testFunctions(t *testing.T, cases []functionCase) {
	const points = 400
	for _, c := range cases {
		t.Run(c.op, func(t *testing.T) {
			x64, x32, x16 := make([]float64, points), make([]float32, points), make([]onnx.F16, points)
			for i := range x64 {
				x := c.domain[0] + (c.domain[1]-c.domain[0])*float64(i)/(points-1)
				x16[i] = onnx.ToF16(float32(x))
				x32[i] = float32(x)
				x64[i] = x
			}
			run := func(x *onnx.Tensor) *onnx.Tensor {
				out, err := compute(t, node(c.op, 1, c.attrs...), c.opset, x)
				if err != nil {
					t.Fatal(err)
				}
				return out[0].(*onnx.Tensor)
			}
			want64, want32 := make([]float64, points), make([]float64, points)
			for i := range x64 {
				want64[i], want32[i] = c.f(x64[i]), c.f(float64(x32[i]))
			}
			if d := differ(run(vec(x64...)), vec(want64...), 1e-13, 1e-15); d != "" {
				t.Errorf("double: %s", d)
			}
			ulps := 0.52
			_, vectors := float32Loops[c.op]
			switch c.op {
			case "Elu", "Selu", "Celu", "Gelu":
				vectors = true
			case "Softsign", "HardSwish":
				ulps = 2 // computed in float32
			}
			if vectors && testLevel.Lanes() > 1 {
				ulps = 6 // see the loops of package kernel
			}
			got := onnx.Elements[float32](run(vec(x32...)))
			for i, g := range got {
				if w := want32[i]; g != g && w != w || float64(g) == w || math.Abs(float64(g)-w) <= ulps*ulp32(w) {
					continue
				}
				t.Fatalf("float: %s(%v) is %v, want %v", c.op, x32[i], g, want32[i])
			}
			for i, g := range onnx.Elements[onnx.F16](run(vec(x16...))) {
				if w := onnx.ToF16(float32(c.f(float64(x16[i].Float32())))); g != w && g != w+1 && g != w-1 && g.Float32() != w.Float32() {
					t.Fatalf("float16: %s(%v) is %v, want %v", c.op, x16[i].Float32(), g.Float32(), w.Float32())
				}
			}
		})
	}
}

// ulp32 is the distance from x to the next float32 number.
func ulp32(x float64) float64 {
	a := float32(math.Abs(x))
	return float64(math.Nextafter32(a, float32(math.Inf(1)))) - float64(a)
}

func TestFunctions(t *testing.T) {
	testFunctions(t, []functionCase{
		{op: "Sqrt", opset: 13, f: math.Sqrt, domain: [2]float64{0, 50}},
		{op: "Exp", opset: 13, f: math.Exp, domain: [2]float64{-9, 9}},
		{op: "Log", opset: 13, f: math.Log, domain: [2]float64{1e-3, 30}},
		{op: "Reciprocal", opset: 13, f: func(x float64) float64 { return 1 / x }, domain: [2]float64{0.1, 9}},
		{op: "Floor", opset: 6, f: math.Floor, domain: [2]float64{-5, 5}},
		{op: "Ceil", opset: 1, f: math.Ceil, domain: [2]float64{-5, 5}},
		{op: "Erf", opset: 13, f: func(x float64) float64 { return 1 - math.Erfc(x) }, domain: [2]float64{0.5, 4}},
		{op: "Sin", opset: 22, f: math.Sin, domain: [2]float64{-20, 20}},
		{op: "Cos", opset: 7, f: math.Cos, domain: [2]float64{-20, 20}},
		{op: "Tan", opset: 7, f: func(x float64) float64 { return math.Sin(x) / math.Cos(x) }, domain: [2]float64{-1.5, 1.5}},
		{op: "Asin", opset: 7, f: func(x float64) float64 { return math.Atan2(x, math.Sqrt((1-x)*(1+x))) }, domain: [2]float64{-1, 1}},
		{op: "Acos", opset: 7, f: func(x float64) float64 { return math.Atan2(math.Sqrt((1-x)*(1+x)), x) }, domain: [2]float64{-1, 1}},
		{op: "Atan", opset: 7, f: func(x float64) float64 { return math.Atan2(x, 1) }, domain: [2]float64{-9, 9}},
		{op: "Sinh", opset: 9, f: func(x float64) float64 { return (math.Exp(x) - math.Exp(-x)) / 2 }, domain: [2]float64{1, 9}},
		{op: "Cosh", opset: 9, f: func(x float64) float64 { return (math.Exp(x) + math.Exp(-x)) / 2 }, domain: [2]float64{-9, 9}},
		{op: "Tanh", opset: 13, f: func(x float64) float64 { return -math.Expm1(-2*x) / (1 + math.Exp(-2*x)) }, domain: [2]float64{-4, 9}},
		{op: "Asinh", opset: 9, f: func(x float64) float64 { return math.Log(x + math.Sqrt(x*x+1)) }, domain: [2]float64{1, 9}},
		{op: "Acosh", opset: 9, f: func(x float64) float64 { return math.Log(x + math.Sqrt(x*x-1)) }, domain: [2]float64{1.5, 9}},
		{op: "Atanh", opset: 9, f: func(x float64) float64 { return (math.Log1p(x) - math.Log1p(-x)) / 2 }, domain: [2]float64{-0.9, 0.9}},
	})
}

func TestUnaryValues(t *testing.T) {
	minus0 := float32(math.Copysign(0, -1))
	runElementCases(t, []elementCase{
		{name: "float", op: "Neg", opset: 1, in: []onnx.Value{vec[float32](1, -2, inf32)}, want: vec(-1, 2, -inf32)},
		{name: "least", op: "Neg", opset: 6, in: []onnx.Value{vec[int8](-128, 5)}, want: vec[int8](-128, -5)},
		{name: "int64", op: "Abs", opset: 13, in: []onnx.Value{vec[int64](-3, 3, 0)}, want: vec[int64](3, 3, 0)},
		{name: "uint64", op: "Abs", opset: 6, in: []onnx.Value{vec[uint64](1 << 63)}, want: vec[uint64](1 << 63)},
		{name: "float", op: "Sign", opset: 9, in: []onnx.Value{vec(-2, 0, 5, nan32, inf32)}, want: vec(-1, 0, 1, nan32, 1)},
		{name: "uint8", op: "Sign", opset: 13, in: []onnx.Value{vec[uint8](0, 200)}, want: vec[uint8](0, 1)},
		{name: "halves to even", op: "Round", opset: 11, in: []onnx.Value{vec[float32](0.5, 1.5, 2.5, -0.5, -1.5, 2.4)}, want: vec(0, 2, 2, minus0, -2, 2)},
		{name: "double", op: "Round", opset: 22, in: []onnx.Value{vec(0.49999999999999994, 4503599627370497.)}, want: vec(0., 4503599627370497)},
		{name: "int32", op: "Erf", opset: 9, in: []onnx.Value{vec[int32](-9, 0, 1, 9)}, want: vec[int32](-1, 0, 0, 1)},
		{name: "edges", op: "Sqrt", opset: 6, in: []onnx.Value{vec(-1, 0, inf32)}, want: vec(nan32, 0, inf32)},
		{name: "edges", op: "Log", opset: 13, in: []onnx.Value{vec(-1, 0, inf32)}, want: vec(nan32, -inf32, inf32)},
		{name: "edges", op: "Exp", opset: 13, in: []onnx.Value{vec(-inf32, 200, nan32)}, want: vec(0, inf32, nan32)},
		{name: "edges", op: "Tanh", opset: 13, in: []onnx.Value{vec(-inf32, 200, nan32)}, want: vec(-1, 1, nan32)},
		{name: "scalar", op: "Exp", opset: 13, in: []onnx.Value{onnx.Scalar(0.)}, want: onnx.Scalar(1.)},
		{name: "empty", op: "Exp", opset: 13, in: []onnx.Value{of([]int{2, 0}, []float32{}...)}, want: of([]int{2, 0}, []float32{}...)},
		{name: "consumed_inputs", op: "Exp", opset: 1, attrs: []any{"consumed_inputs", []int64{0}}, in: []onnx.Value{vec(0.)}, want: vec(1.)},
		{name: "bool", op: "Not", opset: 1, in: []onnx.Value{vec(true, false)}, want: vec(false, true)},
	})
}
