package ops

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func TestScatter(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	for range 40 {
		shape := randomShape(r, 1+r.IntN(3), 4)
		axis := r.IntN(len(shape))
		elements := slices.Clone(shape)
		for i, d := range shape {
			elements[i] = 1 + r.IntN(d)
		}
		n, _ := onnx.NumElements(elements)
		list := make([]int64, n)
		for i := range list {
			list[i] = int64(r.IntN(2*shape[axis]) - shape[axis])
		}
		index := onnx.MustTensor(elements, list)
		depth := 1 + r.IntN(len(shape))
		tuples := make([]int64, 2*depth)
		for i := range tuples {
			d := shape[i%depth]
			tuples[i] = int64(r.IntN(2*d) - d)
		}
		for _, d := range movedTypes {
			x, updates := bitPattern(r, d, shape), bitPattern(r, d, elements)
			want := x.Clone()
			for i, at := range allIndices(elements) {
				at[axis] = (int(list[i]) + shape[axis]) % shape[axis]
				copyElements(want, linear(shape, at), updates, i, 1)
			}
			for op, opset := range map[string]int{"Scatter": 9, "ScatterElements": 18} {
				out, err := compute(t, node(op, 1, "axis", axis-len(shape)), opset, x, index, updates)
				if err != nil || !sameElements(tensorOf(out[0]), want) {
					t.Fatalf("%s of %v at %v along %d: %v, error %v", op, x, list, axis, out, err)
				}
			}
			updates = bitPattern(r, d, append([]int{2}, shape[depth:]...))
			want = x.Clone()
			run := updates.Len() / 2
			for k := range 2 {
				at := 0
				for j := range depth {
					at = at*shape[j] + (int(tuples[k*depth+j])+shape[j])%shape[j]
				}
				copyElements(want, at*run, updates, k*run, run)
			}
			out, err := compute(t, node("ScatterND", 1), 13, x, onnx.MustTensor([]int{2, depth}, tuples), updates)
			if err != nil || !sameElements(tensorOf(out[0]), want) {
				t.Fatalf("ScatterND of %v at %v: %v, error %v", x, tuples, out, err)
			}
		}
	}
}

func TestScatterReductions(t *testing.T) {
	index := vec[int64](1, 1, -1)
	half := onnx.ToF16(0.5)
	bf := onnx.ToBF16
	var cases []elementCase
	add := func(reduction string, x, updates, want *onnx.Tensor, err error) {
		cases = append(cases,
			elementCase{name: reduction, op: "ScatterElements", opset: 18, attrs: []any{"reduction", reduction}, in: []onnx.Value{x, index, updates}, want: want, err: err},
			elementCase{name: reduction, op: "ScatterND", opset: 18, attrs: []any{"reduction", reduction}, in: []onnx.Value{x, of([]int{3, 1}, int64(1), 1, -1), updates}, want: want, err: err})
	}
	add("add", vec[float32](1, 2, 3), vec[float32](10, 20, 30), vec[float32](1, 32, 33), nil)
	add("mul", vec[float64](1, 2, 3), vec[float64](10, 20, 30), vec[float64](1, 400, 90), nil)
	add("max", vec[int8](1, 2, 3), vec[int8](-10, 20, -30), vec[int8](1, 20, 3), nil)
	add("min", vec[uint64](1, 2, 3), vec[uint64](10, 0, 30), vec[uint64](1, 0, 3), nil)
	add("add", vec[uint8](1, 250, 3), vec[uint8](10, 20, 30), vec[uint8](1, 24, 33), nil)
	add("add", vec(half, half, half), vec(half, half, half), vec(half, onnx.ToF16(1.5), onnx.ToF16(1)), nil)
	add("max", vec(bf(1), bf(2), bf(3)), vec(bf(4), bf(-1), bf(-1)), vec(bf(1), bf(4), bf(3)), nil)
	add("add", vec[complex64](1, 2i, 3), vec[complex64](1, 1, 1i), vec[complex64](1, 2+2i, 3+1i), nil)
	add("mul", vec[complex128](1, 2i, 3), vec[complex128](1i, 1, 1i), vec[complex128](1, -2, 3i), nil)
	add("add", vec(false, false, true), vec(false, true, true), vec(false, true, true), nil)
	add("mul", vec(true, true, true), vec(true, false, true), vec(true, false, true), nil)
	add("min", vec(true, true, true), vec(true, false, true), vec(true, false, true), nil)
	add("max", vec(false, false, false), vec(false, false, true), vec(false, false, true), nil)
	add("add", vec("a", "b", "c"), vec("d", "e", "f"), nil, onnx.ErrUnsupported)
	add("min", vec[complex64](1, 2, 3), vec[complex64](1, 2, 3), nil, onnx.ErrUnsupported)
	add("sum", vec[float32](1, 2, 3), vec[float32](1, 2, 3), nil, onnx.ErrMalformed)
	x, one := vec[float32](1, 2), vec[float32](1)
	runElementCases(t, append(cases, []elementCase{
		{name: "max too early", op: "ScatterElements", opset: 16, attrs: []any{"reduction", "max"}, in: []onnx.Value{x, vec[int64](0), one}, err: onnx.ErrMalformed},
		{name: "beyond", op: "ScatterElements", opset: 18, in: []onnx.Value{x, vec[int64](2), one}, err: onnx.ErrShape},
		{name: "updates", op: "ScatterElements", opset: 18, in: []onnx.Value{x, vec[int64](0), x}, err: onnx.ErrShape},
		{name: "axis", op: "ScatterElements", opset: 18, attrs: []any{"axis", -2}, in: []onnx.Value{x, vec[int64](0), one}, err: onnx.ErrShape},
		{name: "nothing", op: "ScatterElements", opset: 18, in: []onnx.Value{x, vec[int64](), vec[float32]()}, want: x},
		{name: "beyond", op: "ScatterND", opset: 18, in: []onnx.Value{x, of([]int{1, 1}, int64(-3)), one}, err: onnx.ErrShape},
		{name: "updates", op: "ScatterND", opset: 18, in: []onnx.Value{x, of([]int{1, 1}, int64(0)), x}, err: onnx.ErrShape},
		{name: "deep", op: "ScatterND", opset: 18, in: []onnx.Value{x, of([]int{1, 2}, int64(0), 0), one}, err: onnx.ErrShape},
		{name: "empty tuples", op: "ScatterND", opset: 18, in: []onnx.Value{x, of[int64]([]int{1, 0}), of([]int{1, 2}, float32(3), 4)}, want: vec[float32](3, 4)},
	}...))
}

func TestTensorScatter(t *testing.T) {
	past := of([]int{2, 3, 2}, int32(1), 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
	update := of([]int{2, 2, 2}, int32(-1), -2, -3, -4, -5, -6, -7, -8)
	runElementCases(t, []elementCase{
		{name: "linear", op: "TensorScatter", opset: 24, in: []onnx.Value{past, update, vec[int64](1, 0)}, want: of([]int{2, 3, 2}, int32(1), 2, -1, -2, -3, -4, -5, -6, -7, -8, 11, 12)},
		{name: "from 0", op: "TensorScatter", opset: 24, attrs: []any{"axis", 1}, in: []onnx.Value{past, update}, want: of([]int{2, 3, 2}, int32(-1), -2, -3, -4, 5, 6, -5, -6, -7, -8, 11, 12)},
		{name: "circular", op: "TensorScatter", opset: 24, attrs: []any{"mode", "circular"}, in: []onnx.Value{past, update, vec[int64](2, 4)}, want: of([]int{2, 3, 2}, int32(-3), -4, 3, 4, -1, -2, 7, 8, -5, -6, -7, -8)},
		{name: "last axis", op: "TensorScatter", opset: 24, attrs: []any{"axis", -1}, in: []onnx.Value{past, of([]int{2, 3, 1}, int32(-1), -2, -3, -4, -5, -6), vec[int64](1, 0)}, want: of([]int{2, 3, 2}, int32(1), -1, 3, -2, 5, -3, -4, 8, -5, 10, -6, 12)},
		{name: "beyond", op: "TensorScatter", opset: 24, in: []onnx.Value{past, update, vec[int64](2, 0)}, err: onnx.ErrShape},
		{name: "negative", op: "TensorScatter", opset: 24, attrs: []any{"mode", "circular"}, in: []onnx.Value{past, update, vec[int64](-1, 0)}, err: onnx.ErrShape},
		{name: "batch axis", op: "TensorScatter", opset: 24, attrs: []any{"axis", 0}, in: []onnx.Value{past, update}, err: onnx.ErrShape},
		{name: "mode", op: "TensorScatter", opset: 24, attrs: []any{"mode", "ring"}, in: []onnx.Value{past, update}, err: onnx.ErrMalformed},
		{name: "indices", op: "TensorScatter", opset: 24, in: []onnx.Value{past, update, vec[int64](1)}, err: onnx.ErrShape},
		{name: "too long", op: "TensorScatter", opset: 24, in: []onnx.Value{update, past}, err: onnx.ErrShape},
	})
}
