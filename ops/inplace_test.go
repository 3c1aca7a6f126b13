package ops

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// overEngine makes output 0 over input 0 where the kernel allows it.
type overEngine struct {
	heap
	over bool
}

func (e *overEngine) New(i int, d onnx.DataType, shape []int, reuse uint64) (*onnx.Tensor, error) {
	x := e.in[0].(*onnx.Tensor)
	if i == 0 && reuse&1 != 0 && x.DataType() == d && slices.Equal(x.Shape(), shape) {
		e.over = true
		return x, nil
	}
	return e.heap.New(i, d, shape, reuse)
}

// TestInPlace wants the same results from kernels that write over their first
// input, and that they do, but where it has a second use.
func TestInPlace(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 1))
	random := func(shape ...int) *onnx.Tensor {
		x := make([]float32, elements(shape))
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return onnx.MustTensor(shape, x)
	}
	square := random(9, 9)
	exponents := onnx.MustTensor([]int{3, 300}, slices.Repeat([]float32{2, 0.5, 3}, 300))
	for _, c := range []struct {
		op     string
		opset  int
		in     []onnx.Value
		attrs  []any
		remain bool
	}{
		{op: "LayerNormalization", opset: 17, in: []onnx.Value{random(50, 300), random(300), random(300)}},
		{op: "LayerNormalization", opset: 17, in: []onnx.Value{random(50, 300), random(300)}},
		{op: "LayerNormalization", opset: 17, in: []onnx.Value{square, square}, attrs: []any{"axis", 0}, remain: true},
		{op: "RMSNormalization", opset: 23, in: []onnx.Value{random(3, 30, 17), random(17)}},
		{op: "InstanceNormalization", opset: 6, in: []onnx.Value{random(2, 140, 5, 5), random(140), random(140)}},
		{op: "GroupNormalization", opset: 21, in: []onnx.Value{random(2, 12, 7, 3), random(12), random(12)}, attrs: []any{"num_groups", 4}},
		{op: "Softmax", opset: 13, in: []onnx.Value{random(40, 33)}},
		{op: "LogSoftmax", opset: 13, in: []onnx.Value{random(40, 333)}},
		{op: "LogSoftmax", opset: 13, in: []onnx.Value{random(40, 33, 70)}, attrs: []any{"axis", 1}},
		{op: "Pow", opset: 15, in: []onnx.Value{random(3, 300), exponents}},
		{op: "Pow", opset: 15, in: []onnx.Value{random(3, 300), onnx.Scalar(float32(3))}},
		{op: "Celu", opset: 12, in: []onnx.Value{random(3000)}, attrs: []any{"alpha", float32(1.5)}},
		{op: "Gelu", opset: 20, in: []onnx.Value{random(3000)}, attrs: []any{"approximate", "tanh"}},
	} {
		want, err := compute(t, node(c.op, 1, c.attrs...), c.opset, c.in...)
		if err != nil {
			t.Fatal(err)
		}
		p := node(c.op, 1, c.attrs...)
		scope := (&Analysis{Registry: Default(), Opsets: map[string]int{"": c.opset}, Limits: onnx.Limits{}.WithDefaults(), Level: testLevel}).NewScope(nil)
		for i, v := range c.in {
			name := fmt.Sprintf("i%d", i)
			p.Inputs = append(p.Inputs, name)
			scope.Set(name, Info{Type: v.Type()})
		}
		n, err := scope.Node(p)
		if err != nil {
			t.Fatal(err)
		}
		k, err := n.Build(nil)
		if err != nil {
			t.Fatal(err)
		}
		e := &overEngine{heap: heap{ctx: t.Context(), node: n, in: c.in}}
		ctx, out := NewCtx(e), make([]onnx.Value, 1)
		ctx.Bind(out)
		if err := k.Run(ctx, c.in, out); err != nil {
			t.Fatal(err)
		}
		if e.over == c.remain {
			t.Errorf("%s: it is computed in place: %v, want %v", c.op, e.over, !c.remain)
		}
		if d := differ(out[0], want[0], 0, 0); d != "" {
			t.Errorf("%s in place: %s", c.op, d)
		}
	}
}
