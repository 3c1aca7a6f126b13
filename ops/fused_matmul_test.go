package ops

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// recurNode is a node of an operator of ai.recur.
func recurNode(op string, attrs ...any) *onnx.Node {
	n := node(op, 1, attrs...)
	n.Domain = "ai.recur"
	return n
}

// fusedCases are activations as attributes of a fused operator, and the node
// that does the same alone.
var fusedCases = []struct {
	attrs []any
	alone *onnx.Node
	in    []onnx.Value
}{
	{nil, nil, nil},
	{[]any{"activation", "Relu"}, node("Relu", 1), nil},
	{[]any{"activation", "Sigmoid"}, node("Sigmoid", 1), nil},
	{[]any{"activation", "Tanh"}, node("Tanh", 1), nil},
	{[]any{"activation", "Softplus"}, node("Softplus", 1), nil},
	{[]any{"activation", "Softsign"}, node("Softsign", 1), nil},
	{[]any{"activation", "HardSwish"}, node("HardSwish", 1), nil},
	{[]any{"activation", "LeakyRelu"}, node("LeakyRelu", 1), nil},
	{[]any{"activation", "LeakyRelu", "activation_alpha", 0.3}, node("LeakyRelu", 1, "alpha", 0.3), nil},
	{[]any{"activation", "Elu", "activation_alpha", 1.5}, node("Elu", 1, "alpha", 1.5), nil},
	{[]any{"activation", "HardSigmoid"}, node("HardSigmoid", 1), nil},
	{[]any{"activation", "HardSigmoid", "activation_alpha", 0.1, "activation_beta", 0.7}, node("HardSigmoid", 1, "alpha", 0.1, "beta", 0.7), nil},
	{[]any{"activation", "Clip", "activation_alpha", -1.0, "activation_beta", 2.0}, node("Clip", 1), []onnx.Value{onnx.Scalar(float32(-1)), onnx.Scalar(float32(2))}},
	{[]any{"activation", "Clip", "activation_alpha", float32(math.Inf(-1)), "activation_beta", 2.0}, node("Clip", 1),
		[]onnx.Value{onnx.Scalar(float32(math.Inf(-1))), onnx.Scalar(float32(2))}},
}

// one runs a node and gives its output.
func one(t *testing.T, n *onnx.Node, in ...onnx.Value) onnx.Value {
	t.Helper()
	opset := 20
	if n.Domain != "" {
		opset = 1
	}
	out, err := compute(t, n, opset, in...)
	if err != nil {
		t.Fatal(n.OpType, err)
	}
	return out[0]
}

// noisy32 makes numbers of which some are special.
func noisy32(shape ...int) *onnx.Tensor {
	x := zeros32(shape...)
	v := onnx.Elements[float32](x)
	for i := range v {
		v[i] = float32(math.Sin(float64(i * i)))
	}
	if len(v) > 40 {
		v[7], v[31] = float32(math.Inf(1)), float32(math.NaN())
	}
	return x
}

// TestFusedProducts holds fused products against the operators that they stand
// for, to the bit.
func TestFusedProducts(t *testing.T) {
	for _, s := range [][3]int{{1, 5, 3}, {1, 40, 130}, {3, 9, 33}, {30, 20, 600}, {100, 3, 48}, {2, 0, 4}, {0, 3, 4}} {
		m, k, n := s[0], s[1], s[2]
		a, b, c := noisy32(2, m, k), noisy32(k, n), noisy32(1, n)
		batch := noisy32(2, k, n)
		flat, at, bt := noisy32(m, k), noisy32(k, m), noisy32(n, k)
		plain := one(t, node("MatMul", 1), a, b)
		sums := one(t, node("Add", 1), plain, c)
		each := one(t, node("Add", 1), one(t, node("MatMul", 1), a, batch), c)
		gemm := one(t, node("Gemm", 1, "alpha", 0.5, "beta", 2.0, "transB", 1), flat, bt, c)
		dense := one(t, node("Gemm", 1, "transA", 1), at, b, c)
		for _, f := range fusedCases {
			alone := func(x onnx.Value) onnx.Value {
				if f.alone == nil {
					return x
				}
				return one(t, f.alone, append([]onnx.Value{x}, f.in...)...)
			}
			for name, pair := range map[string][2]onnx.Value{
				"MatMul":         {one(t, recurNode("FusedMatMul", f.attrs...), a, b), alone(plain)},
				"MatMul and C":   {one(t, recurNode("FusedMatMul", f.attrs...), a, b, c), alone(sums)},
				"MatMul batch":   {one(t, recurNode("FusedMatMul", f.attrs...), a, batch, c), alone(each)},
				"Gemm":           {one(t, recurNode("FusedGemm", append([]any{"alpha", 0.5, "beta", 2.0, "transB", 1}, f.attrs...)...), flat, bt, c), alone(gemm)},
				"Gemm from left": {one(t, recurNode("FusedGemm", append([]any{"transA", 1}, f.attrs...)...), at, b, c), alone(dense)},
			} {
				if d := differ(pair[0], pair[1], 0, 0); d != "" {
					t.Errorf("%s %v %v: %s", name, s, f.attrs, d)
				}
			}
		}
	}
}

func TestFusedProductErrors(t *testing.T) {
	a, b := zeros32(2, 3), zeros32(3, 4)
	for _, c := range []struct {
		n    *onnx.Node
		in   []onnx.Value
		want error
	}{
		{recurNode("FusedMatMul", "activation", "Cos"), []onnx.Value{a, b}, onnx.ErrUnsupported},
		{recurNode("FusedMatMul"), []onnx.Value{a, b, zeros32(3)}, onnx.ErrShape},
		{recurNode("FusedMatMul"), []onnx.Value{a, b, zeros32(2, 4)}, onnx.ErrShape},
		{recurNode("FusedMatMul"), []onnx.Value{a, b, zeros32(4, 1)}, onnx.ErrShape},
		{recurNode("FusedMatMul"), []onnx.Value{a}, onnx.ErrMalformed},
		{recurNode("FusedMatMul"), []onnx.Value{a, as(b, onnx.Double)}, onnx.ErrType},
		{recurNode("FusedMatMul", "alpha", 1.0), []onnx.Value{a, b}, onnx.ErrUnsupported},
		{recurNode("FusedGemm"), []onnx.Value{a, a}, onnx.ErrShape},
		{recurNode("FusedGemm", "broadcast", 1), []onnx.Value{a, b}, onnx.ErrUnsupported},
	} {
		if _, err := compute(t, c.n, 1, c.in...); !errors.Is(err, c.want) {
			t.Errorf("%s of %v: error %v, want %v", c.n.OpType, c.in, err, c.want)
		}
	}
}

// productOf builds a node of which input 1 is a constant, and runs it once.
func productOf(tb testing.TB, level Level, n *onnx.Node, in ...onnx.Value) func() {
	tb.Helper()
	var known []Info
	for i, v := range in {
		if known = append(known, Info{Type: v.Type()}); i == 1 {
			known[i] = ConstInfo(v)
		}
	}
	opset := 13
	if n.Domain != "" {
		opset = 1
	}
	run := frameOf(tb, level, n, opset, known...)
	run(in...)
	return func() { run(in...) }
}

// TestPackedProductAllocations wants none in a run after the first.
func TestPackedProductAllocations(t *testing.T) {
	for _, rows := range []int{1, 3, 20} {
		for _, n := range []*onnx.Node{node("MatMul", 1), node("Gemm", 1), recurNode("FusedMatMul", "activation", "Tanh"), recurNode("FusedGemm", "activation", "Clip")} {
			in := []onnx.Value{zeros32(rows, 70), zeros32(70, 45)}
			if n.OpType != "MatMul" {
				in = append(in, zeros32(45))
			}
			if a := testing.AllocsPerRun(5, productOf(t, testLevel, n, in...)); a != 0 {
				t.Errorf("%s of %d rows: %v allocations a run", n.OpType, rows, a)
			}
		}
	}
}

func BenchmarkConstantProduct(b *testing.B) {
	for _, level := range Levels() {
		for _, s := range [][3]int{{1, 128, 128}, {1, 1024, 1024}, {4, 512, 512}, {64, 256, 256}, {256, 512, 512}} {
			for _, n := range []*onnx.Node{node("MatMul", 1), node("Gemm", 1), recurNode("FusedGemm", "activation", "Relu")} {
				b.Run(fmt.Sprintf("%s/%v/m=%d/k=%d/n=%d", n.OpType, level, s[0], s[1], s[2]), func(b *testing.B) {
					in := []onnx.Value{zeros32(s[0], s[1]), zeros32(s[1], s[2])}
					if n.OpType != "MatMul" {
						in = append(in, zeros32(s[2]))
					}
					run := productOf(b, level, n, in...)
					b.ReportAllocs()
					for b.Loop() {
						run()
					}
					b.ReportMetric(float64(2*s[0]*s[1]*s[2])*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GF/s")
				})
			}
		}
	}
}
