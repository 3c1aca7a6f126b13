package ops

import (
	"errors"
	"math"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func TestTopKByHand(t *testing.T) {
	nan := float32(math.NaN())
	k := func(v int64) *onnx.Tensor { return onnx.MustTensor([]int{1}, []int64{v}) }
	x := onnx.MustTensor([]int{2, 4}, []float32{3, 1, 3, 2, -1, 0, nan, 0})
	for _, c := range []struct {
		name    string
		opset   int
		attrs   []any
		in      []onnx.Value
		values  *onnx.Tensor
		indices []int64
	}{
		{"attribute", 1, []any{"k", 2}, []onnx.Value{x}, onnx.MustTensor([]int{2, 2}, []float32{3, 3, nan, 0}), []int64{0, 2, 2, 1}},
		{"input", 10, nil, []onnx.Value{x, k(3)}, onnx.MustTensor([]int{2, 3}, []float32{3, 3, 2, nan, 0, 0}), []int64{0, 2, 3, 2, 1, 3}},
		{"smallest", 11, []any{"largest", 0, "sorted", 0}, []onnx.Value{x, k(4)}, onnx.MustTensor([]int{2, 4}, []float32{1, 2, 3, 3, -1, 0, 0, nan}), []int64{1, 3, 0, 2, 0, 1, 3, 2}},
		{"axis 0", 24, []any{"axis", -2}, []onnx.Value{x, k(1)}, onnx.MustTensor([]int{1, 4}, []float32{3, 1, nan, 2}), []int64{0, 0, 1, 0}},
		{"none", 11, nil, []onnx.Value{x, k(0)}, onnx.MustTensor([]int{2, 0}, []float32{}), []int64{}},
		{"uint64", 11, nil, []onnx.Value{onnx.MustTensor([]int{3}, []uint64{1, 1<<64 - 1, 5}), k(2)}, onnx.MustTensor([]int{2}, []uint64{1<<64 - 1, 5}), []int64{1, 2}},
		{"int8", 11, []any{"largest", 0}, []onnx.Value{onnx.MustTensor([]int{3}, []int8{1, -128, 5}), k(1)}, onnx.MustTensor([]int{1}, []int8{-128}), []int64{1}},
		{"float16, a NaN's payload", 11, nil, []onnx.Value{onnx.MustTensor([]int{3}, []onnx.F16{0x7c01, 0x3c00, 0x4000}), k(2)}, onnx.MustTensor([]int{2}, []onnx.F16{0x7c01, 0x4000}), []int64{0, 2}},
		{"no rows", 11, nil, []onnx.Value{onnx.MustTensor([]int{0, 2}, []float32{}), k(1)}, onnx.MustTensor([]int{0, 1}, []float32{}), []int64{}},
	} {
		out, err := compute(t, node("TopK", 2, c.attrs...), c.opset, c.in...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if d := differ(out[0], c.values, 0, 0); d != "" {
			t.Errorf("%s: values: %s", c.name, d)
		}
		if d := differ(out[1], onnx.MustTensor(c.values.Shape(), c.indices), 0, 0); d != "" {
			t.Errorf("%s: indices: %s", c.name, d)
		}
	}
	for _, v := range []*onnx.Tensor{k(5), k(-1), onnx.MustTensor([]int{2}, []int64{1, 1})} {
		if _, err := compute(t, node("TopK", 2), 11, x, v); !errors.Is(err, onnx.ErrShape) {
			t.Errorf("k %v: error %v, want %v", v, err, onnx.ErrShape)
		}
	}
}

func TestTopKAgainstSort(t *testing.T) {
	const outer, n, inner = 3, 200, 5
	r := rand.New(rand.NewPCG(9, 10))
	x := make([]int32, outer*n*inner)
	for i := range x {
		x[i] = r.Int32N(50)
	}
	for _, k := range []int{1, 7, 100, 200} {
		for largest := range 2 {
			out, err := compute(t, node("TopK", 2, "axis", 1, "largest", largest), 11, onnx.MustTensor([]int{outer, n, inner}, x), onnx.MustTensor([]int{1}, []int64{int64(k)}))
			if err != nil {
				t.Fatal(err)
			}
			got := onnx.Elements[int64](out[1].(*onnx.Tensor))
			for o := range outer {
				for i := range inner {
					want := make([]int, n)
					for j := range want {
						want[j] = j
					}
					at := func(j int) int32 { return x[(o*n+j)*inner+i] }
					sort.SliceStable(want, func(a, b int) bool {
						return largest == 1 && at(want[a]) > at(want[b]) || largest == 0 && at(want[a]) < at(want[b])
					})
					for j := range k {
						if g := got[(o*k+j)*inner+i]; g != int64(want[j]) {
							t.Fatalf("k %d largest %d row %d,%d: index %d is %d, want %d", k, largest, o, i, j, g, want[j])
						}
					}
				}
			}
		}
	}
}
