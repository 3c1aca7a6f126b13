package ops

import (
	"fmt"
	"slices"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// fixedEngine gives the same memory in every run.
type fixedEngine struct {
	Engine
	out     *onnx.Tensor
	scratch []byte
	used    int
	local   any
}

func (*fixedEngine) Limits() onnx.Limits { return onnx.DefaultLimits() }

func (e *fixedEngine) New(_ int, d onnx.DataType, shape []int, _ uint64) (*onnx.Tensor, error) {
	if e.out == nil || !slices.Equal(e.out.Shape(), shape) {
		var err error
		if e.out, err = onnx.NewZeros(d, shape); err != nil {
			return nil, err
		}
	}
	return e.out, nil
}

func (e *fixedEngine) Scratch(n int) ([]byte, error) {
	if e.used+n > len(e.scratch) {
		e.scratch = onnx.AlignedBytes(2*(e.used+n) + 64)
	}
	b := e.scratch[e.used : e.used+n]
	e.used += (n + 7) / 8 * 8
	return b, nil
}

func (e *fixedEngine) Parallel(n, _ int, f func(lo, hi int)) { f(0, n) }
func (e *fixedEngine) Err() error                            { return nil }
func (e *fixedEngine) Local() *any                           { return &e.local }

// repeatRun prepares a node to be run again and again.
func repeatRun(tb testing.TB, n *onnx.Node, opset int, in ...onnx.Value) func() {
	tb.Helper()
	var known []Info
	for _, v := range in {
		known = append(known, Info{Type: v.Type()})
	}
	run := frameOf(tb, testLevel, n, opset, known...)
	run(in...)
	return func() { run(in...) }
}

// frameOf builds a node of inputs of which something is known, and gives what
// runs it in one frame. Outputs of one shape share memory.
func frameOf(tb testing.TB, level Level, n *onnx.Node, opset int, known ...Info) func(in ...onnx.Value) onnx.Value {
	tb.Helper()
	a := &Analysis{Registry: Default(), Opsets: map[string]int{"": opset, n.Domain: opset}, Limits: onnx.Limits{}.WithDefaults(), Level: level}
	scope, m := a.NewScope(nil), *n
	m.Inputs = nil
	for i, info := range known {
		m.Inputs = append(m.Inputs, fmt.Sprintf("i%d", i))
		scope.Set(m.Inputs[i], info)
	}
	inferred, err := scope.Node(&m)
	if err != nil {
		tb.Fatal(err)
	}
	k, err := inferred.Build(nil)
	if err != nil {
		tb.Fatal(err)
	}
	e := &fixedEngine{}
	c, out := NewCtx(e), make([]onnx.Value, 1)
	c.Bind(out)
	return func(in ...onnx.Value) onnx.Value {
		e.used = 0
		if err := k.Run(c, in, out); err != nil {
			tb.Fatal(err)
		}
		return out[0]
	}
}

func zeros32(shape ...int) *onnx.Tensor {
	n, _ := onnx.NumElements(shape)
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i%17)/8 - 1
	}
	return onnx.MustTensor(shape, v)
}

// repeatedNodes are frequent uses of the operators.
var repeatedNodes = []struct {
	name string
	node func() *onnx.Node
	in   []onnx.Value
}{
	{"Add/same", func() *onnx.Node { return node("Add", 1) }, []onnx.Value{zeros32(8, 32, 64), zeros32(8, 32, 64)}},
	{"Add/scalar", func() *onnx.Node { return node("Add", 1) }, []onnx.Value{zeros32(8, 32, 64), zeros32()}},
	{"Mul/row", func() *onnx.Node { return node("Mul", 1) }, []onnx.Value{zeros32(8, 32, 64), zeros32(64)}},
	{"Mul/column", func() *onnx.Node { return node("Mul", 1) }, []onnx.Value{zeros32(8, 32, 64), zeros32(8, 32, 1)}},
	{"Sub/middle", func() *onnx.Node { return node("Sub", 1) }, []onnx.Value{zeros32(8, 32, 64), zeros32(8, 1, 64)}},
	{"PRelu/column", func() *onnx.Node { return node("PRelu", 1) }, []onnx.Value{zeros32(8, 32, 64), zeros32(32, 1)}},
	{"Less/scalar", func() *onnx.Node { return node("Less", 1) }, []onnx.Value{zeros32(8, 32, 64), zeros32(1)}},
	{"Sum/three", func() *onnx.Node { return node("Sum", 1) }, []onnx.Value{zeros32(8, 32, 64), zeros32(64), zeros32(8, 32, 64)}},
	{"Mean/two", func() *onnx.Node { return node("Mean", 1) }, []onnx.Value{zeros32(8, 32, 64), zeros32(8, 32, 64)}},
	{"Where/column", func() *onnx.Node { return node("Where", 1) }, []onnx.Value{of([]int{32, 1}, make([]bool, 32)...), zeros32(8, 32, 64), zeros32()}},
	{"Pow/two", func() *onnx.Node { return node("Pow", 1) }, []onnx.Value{zeros32(8, 32, 64), onnx.Scalar[float32](2)}},
	{"Clip", func() *onnx.Node { return node("Clip", 1) }, []onnx.Value{zeros32(8, 32, 64), zeros32(), onnx.Scalar[float32](1)}},
	{"Cast/int64", func() *onnx.Node { return node("Cast", 1, "to", int(onnx.Int64)) }, []onnx.Value{zeros32(8, 32, 64)}},
	{"Relu", func() *onnx.Node { return node("Relu", 1) }, []onnx.Value{zeros32(8, 32, 64)}},
	{"Sigmoid", func() *onnx.Node { return node("Sigmoid", 1) }, []onnx.Value{zeros32(8, 32, 64)}},
	{"Tanh", func() *onnx.Node { return node("Tanh", 1) }, []onnx.Value{zeros32(8, 32, 64)}},
	{"Elu", func() *onnx.Node { return node("Elu", 1) }, []onnx.Value{zeros32(8, 32, 64)}},
	{"Gelu", func() *onnx.Node { return node("Gelu", 1) }, []onnx.Value{zeros32(8, 32, 64)}},
	{"Softplus", func() *onnx.Node { return node("Softplus", 1) }, []onnx.Value{zeros32(8, 32, 64)}},
}

// TestElementwiseAllocations wants none in a run after the first.
func TestElementwiseAllocations(t *testing.T) {
	for _, c := range repeatedNodes {
		t.Run(c.name, func(t *testing.T) {
			if n := testing.AllocsPerRun(5, repeatRun(t, c.node(), 20, c.in...)); n != 0 {
				t.Errorf("%v allocations a run", n)
			}
		})
	}
}

func BenchmarkElementwise(b *testing.B) {
	for _, c := range repeatedNodes {
		b.Run(c.name, func(b *testing.B) {
			run := repeatRun(b, c.node(), 20, c.in...)
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
		})
	}
}
