package ops

import (
	"fmt"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// weightsOf gives the weights as a node of float32 has them.
func weightsOf(r *runner) *gateWeights[float32] { return r.k.(*recurrentKernel).single.packed.get() }

// TestRecurrentShared: nodes of one form with the same weights have them once;
// another form, level or content has its own.
func TestRecurrentShared(t *testing.T) {
	defer func(l Level) { testLevel = l }(testLevel)
	in := benchmarkInputs("GRU", 2, 1, 8, 16)
	build := func(in []onnx.Value, attrs ...any) *gateWeights[float32] {
		return weightsOf(newRunner(t, node("GRU", 2, append(attrs, "hidden_size", 16)...), 14, in, true))
	}
	first := build(in)
	copied := append([]onnx.Value{}, in...)
	for i, v := range in {
		copied[i] = onnx.MustTensor(v.(*onnx.Tensor).Shape(), append([]float32{}, onnx.Elements[float32](v.(*onnx.Tensor))...))
	}
	for what, same := range map[string]*gateWeights[float32]{
		"node":      build(in),
		"model":     build(copied),
		"direction": build(in, "direction", "reverse"),
	} {
		if same != first {
			t.Errorf("another %s has weights of its own", what)
		}
	}
	onnx.Elements[float32](copied[inR].(*onnx.Tensor))[3]++
	others := map[string]*gateWeights[float32]{
		"form":    build(in, "linear_before_reset", 1),
		"content": build(copied),
		"bias":    build(in[:inB]),
	}
	own := testLevel
	for _, testLevel = range Levels() {
		if testLevel != own {
			others[fmt.Sprint("level ", testLevel)] = build(in)
		}
	}
	for what, other := range others {
		if other == first {
			t.Errorf("another %s has the same weights", what)
		}
	}
}
