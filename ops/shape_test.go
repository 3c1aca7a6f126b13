package ops

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func TestReshapes(t *testing.T) {
	x := of([]int{2, 3, 4}, make([]float32, 24)...)
	for i := range x.Len() {
		onnx.Elements[float32](x)[i] = float32(i)
	}
	to := func(shape ...int) *onnx.Tensor { return of(shape, onnx.Elements[float32](x)...) }
	none := func(shape ...int) *onnx.Tensor { return of[float32](shape) }
	one := of([]int{1, 3, 1}, float32(1), 2, 3)
	in := func(v ...onnx.Value) []onnx.Value { return v }
	runElementCases(t, []elementCase{
		{name: "version 1", op: "Reshape", opset: 1, attrs: []any{"shape", []int64{0, -1}, "consumed_inputs", []int64{0}}, in: in(x), want: to(2, 12)},
		{name: "version 5", op: "Reshape", opset: 5, in: in(x, vec[int64](-1, 0, 2)), want: to(4, 3, 2)},
		{name: "all", op: "Reshape", opset: 13, in: in(x, vec[int64](4, 6)), want: to(4, 6)},
		{name: "scalar", op: "Reshape", opset: 14, in: in(vec[float32](7), vec[int64]()), want: onnx.Scalar[float32](7)},
		{name: "from scalar", op: "Reshape", opset: 14, in: in(onnx.Scalar[float32](7), vec[int64](-1, 1)), want: of([]int{1, 1}, float32(7))},
		{name: "strings", op: "Reshape", opset: 25, in: in(of([]int{2, 1}, "a", "b"), vec[int64](-1)), want: vec("a", "b")},
		{name: "0 is 0", op: "Reshape", opset: 14, attrs: []any{"allowzero", 1}, in: in(none(0, 3), vec[int64](5, 0)), want: none(5, 0)},
		{name: "0 copies", op: "Reshape", opset: 14, in: in(none(0, 3), vec[int64](0, 1, 3)), want: none(0, 1, 3)},
		{name: "rest of nothing", op: "Reshape", opset: 14, in: in(none(0, 6), vec[int64](0, 2, -1)), want: none(0, 2, 3)},
		{name: "no elements", op: "Reshape", opset: 14, in: in(none(4, 0), vec[int64](2, -1)), want: none(2, 0)},
		{name: "twice -1", op: "Reshape", opset: 14, in: in(x, vec[int64](-1, -1)), err: onnx.ErrShape},
		{name: "-2", op: "Reshape", opset: 14, in: in(x, vec[int64](-2, 12)), err: onnx.ErrShape},
		{name: "other number", op: "Reshape", opset: 14, in: in(x, vec[int64](5, 5)), err: onnx.ErrShape},
		{name: "no multiple", op: "Reshape", opset: 14, in: in(x, vec[int64](5, -1)), err: onnx.ErrShape},
		{name: "0 beyond", op: "Reshape", opset: 14, in: in(x, vec[int64](2, 3, 4, 0)), err: onnx.ErrShape},
		{name: "huge", op: "Reshape", opset: 14, in: in(x, vec[int64](1<<62, 1<<62)), err: onnx.ErrShape},
		{name: "0 and -1", op: "Reshape", opset: 14, attrs: []any{"allowzero", 1}, in: in(none(0, 3), vec[int64](0, -1)), err: onnx.ErrShape},

		{name: "default", op: "Flatten", opset: 1, in: in(x), want: to(2, 12)},
		{name: "axis 0", op: "Flatten", opset: 9, attrs: []any{"axis", 0}, in: in(x), want: to(1, 24)},
		{name: "axis rank", op: "Flatten", opset: 11, attrs: []any{"axis", 3}, in: in(x), want: to(24, 1)},
		{name: "negative", op: "Flatten", opset: 13, attrs: []any{"axis", -1}, in: in(x), want: to(6, 4)},
		{name: "negative too early", op: "Flatten", opset: 9, attrs: []any{"axis", -1}, in: in(x), err: onnx.ErrShape},
		{name: "beyond", op: "Flatten", opset: 25, attrs: []any{"axis", 4}, in: in(x), err: onnx.ErrShape},
		{name: "scalar", op: "Flatten", opset: 25, attrs: []any{"axis", 0}, in: in(onnx.Scalar[float32](7)), want: of([]int{1, 1}, float32(7))},

		{name: "all", op: "Squeeze", opset: 1, in: in(one), want: vec[float32](1, 2, 3)},
		{name: "attribute", op: "Squeeze", opset: 11, attrs: []any{"axes", []int64{-1}}, in: in(one), want: of([]int{1, 3}, float32(1), 2, 3)},
		{name: "input", op: "Squeeze", opset: 13, in: in(one, vec[int64](0, -1)), want: vec[float32](1, 2, 3)},
		{name: "no input", op: "Squeeze", opset: 13, in: in(one), want: vec[float32](1, 2, 3)},
		{name: "not 1", op: "Squeeze", opset: 13, in: in(one, vec[int64](1)), err: onnx.ErrShape},
		{name: "axis", op: "Squeeze", opset: 13, in: in(one, vec[int64](3)), err: onnx.ErrShape},
		{name: "twice", op: "Squeeze", opset: 13, in: in(one, vec[int64](0, -3)), err: onnx.ErrShape},

		{name: "attribute", op: "Unsqueeze", opset: 1, attrs: []any{"axes", []int64{0, 2}}, in: in(vec[float32](1, 2, 3)), want: one},
		{name: "input", op: "Unsqueeze", opset: 13, in: in(vec[float32](1, 2, 3), vec[int64](-1, 0)), want: one},
		{name: "scalar", op: "Unsqueeze", opset: 13, in: in(onnx.Scalar("a"), vec[int64](0)), want: vec("a")},
		{name: "axis", op: "Unsqueeze", opset: 13, in: in(vec[float32](1), vec[int64](2)), err: onnx.ErrShape},
		{name: "twice", op: "Unsqueeze", opset: 13, in: in(vec[float32](1), vec[int64](0, -3)), err: onnx.ErrShape},

		{name: "tensor", op: "Identity", opset: 25, in: in(one), want: one},
		{name: "perm", op: "Transpose", opset: 13, attrs: []any{"perm", []int64{0, 0, 1}}, in: in(one), err: onnx.ErrShape},
		{name: "rank", op: "Transpose", opset: 13, attrs: []any{"perm", []int64{0, 1}}, in: in(one), err: onnx.ErrShape},
		{name: "negative", op: "Transpose", opset: 13, attrs: []any{"perm", []int64{0, 1, -1}}, in: in(one), err: onnx.ErrShape},
	})
	seq := onnx.NewSequence(x)
	out, err := compute(t, node("Identity", 1), 14, seq)
	if err != nil || out[0] != onnx.Value(seq) {
		t.Errorf("Identity of a sequence: %v, %v", out, err)
	}
}

// TestReshapeEmptyBatch: a computed size of 0 is 0 where nothing else fits.
func TestReshapeEmptyBatch(t *testing.T) {
	out, err := computeKnowing(t, node("Reshape", 1), 14, knowNothing, []onnx.Value{of[float32]([]int{3, 0}), vec[int64](0, 3)})
	if err != nil || fmt.Sprint(tensorOf(out[0]).Shape()) != "[0 3]" {
		t.Errorf("got %v, %v", out, err)
	}
}

func TestShapeAndSize(t *testing.T) {
	x := of([]int{2, 3, 0}, []float32{}...)
	runElementCases(t, []elementCase{
		{name: "all", op: "Shape", opset: 1, in: []onnx.Value{x}, want: vec[int64](2, 3, 0)},
		{name: "strings", op: "Shape", opset: 13, in: []onnx.Value{vec("a", "b")}, want: vec[int64](2)},
		{name: "scalar", op: "Shape", opset: 25, in: []onnx.Value{onnx.Scalar[int64](1)}, want: vec[int64]()},
		{name: "from", op: "Shape", opset: 15, attrs: []any{"start", -2}, in: []onnx.Value{x}, want: vec[int64](3, 0)},
		{name: "to", op: "Shape", opset: 15, attrs: []any{"end", -1}, in: []onnx.Value{x}, want: vec[int64](2, 3)},
		{name: "clamped", op: "Shape", opset: 15, attrs: []any{"start", -9, "end", 9}, in: []onnx.Value{x}, want: vec[int64](2, 3, 0)},
		{name: "crossed", op: "Shape", opset: 15, attrs: []any{"start", 2, "end", 1}, in: []onnx.Value{x}, want: vec[int64]()},
		{name: "0", op: "Size", opset: 1, in: []onnx.Value{x}, want: onnx.Scalar[int64](0)},
		{name: "2", op: "Size", opset: 25, in: []onnx.Value{vec("a", "b")}, want: onnx.Scalar[int64](2)},
		{name: "1", op: "Size", opset: 13, in: []onnx.Value{onnx.Scalar[complex64](1)}, want: onnx.Scalar[int64](1)},
	})
}

func TestConstants(t *testing.T) {
	x := of([]int{1, 2}, onnx.F8E5M2(3), 4)
	sparse := func(s *onnx.SparseTensor) *onnx.Node {
		n := node("Constant", 1)
		n.Attributes = append(n.Attributes, &onnx.Attribute{Name: "sparse_value", Type: onnx.AttrSparseTensor, SparseTensor: s})
		return n
	}
	for _, c := range []struct {
		node  *onnx.Node
		opset int
		want  *onnx.Tensor
	}{
		{node("Constant", 1, "value", vec[float32](1, 2)), 1, vec[float32](1, 2)},
		{node("Constant", 1, "value", x), 19, x},
		{node("Constant", 1, "value_int", 7), 12, onnx.Scalar[int64](7)},
		{node("Constant", 1, "value_ints", []int64{7, 8}), 13, vec[int64](7, 8)},
		{node("Constant", 1, "value_float", 1.5), 12, onnx.Scalar[float32](1.5)},
		{node("Constant", 1, "value_floats", []float32{}), 25, vec[float32]()},
		{node("Constant", 1, "value_string", "a\xff"), 12, onnx.Scalar("a\xff")},
		{node("Constant", 1, "value_strings", []string{"a", ""}), 12, vec("a", "")},
		{sparse(&onnx.SparseTensor{Values: vec[float32](5, 6), Indices: vec[int64](1, 5), Dims: []int{2, 3}}), 11, of([]int{2, 3}, float32(0), 5, 0, 0, 0, 6)},
		{sparse(&onnx.SparseTensor{Values: vec[int64](5, 6), Indices: of([]int{2, 2}, int64(0), 2, 1, 0), Dims: []int{2, 3}}), 13, of([]int{2, 3}, int64(0), 0, 5, 6, 0, 0)},
	} {
		out, err := compute(t, c.node, c.opset)
		if err != nil {
			t.Errorf("%v: %v", c.node.Attributes[0], err)
		} else if d := differ(out[0], c.want, 0, 0); d != "" {
			t.Errorf("%s: %s", c.node.Attributes[0].Name, d)
		}
	}
	one := vec[int8](1)
	runElementCases(t, []elementCase{
		{name: "none", op: "Constant", opset: 13, err: onnx.ErrMalformed},
		{name: "two", op: "Constant", opset: 13, attrs: []any{"value_int", 1, "value_float", 1.0}, err: onnx.ErrMalformed},
		{name: "zeros", op: "ConstantOfShape", opset: 9, in: []onnx.Value{vec[int64](1, 2)}, want: of([]int{1, 2}, float32(0), 0)},
		{name: "scalar", op: "ConstantOfShape", opset: 9, in: []onnx.Value{vec[int64]()}, want: onnx.Scalar[float32](0)},
		{name: "int8", op: "ConstantOfShape", opset: 25, attrs: []any{"value", one}, in: []onnx.Value{vec[int64](3)}, want: vec[int8](1, 1, 1)},
		{name: "int64", op: "ConstantOfShape", opset: 21, attrs: []any{"value", vec[int64](-1)}, in: []onnx.Value{vec[int64](2)}, want: vec[int64](-1, -1)},
		{name: "float8", op: "ConstantOfShape", opset: 20, attrs: []any{"value", vec[onnx.F8E4M3](9)}, in: []onnx.Value{vec[int64](2)}, want: vec[onnx.F8E4M3](9, 9)},
		{name: "nothing", op: "ConstantOfShape", opset: 9, in: []onnx.Value{vec[int64](0, 3)}, want: of[float32]([]int{0, 3})},
		{name: "negative", op: "ConstantOfShape", opset: 9, in: []onnx.Value{vec[int64](-1)}, err: onnx.ErrShape},
		{name: "huge", op: "ConstantOfShape", opset: 9, in: []onnx.Value{vec[int64](1<<62, 4)}, err: onnx.ErrShape},
		{name: "two values", op: "ConstantOfShape", opset: 9, attrs: []any{"value", vec[int64](1, 2)}, in: []onnx.Value{vec[int64](1)}, err: onnx.ErrShape},
		{name: "scalar of sizes", op: "ConstantOfShape", opset: 9, attrs: []any{"value", one}, in: []onnx.Value{of([]int{1, 1}, int64(1))}, err: onnx.ErrShape},
	})
}

func TestRange(t *testing.T) {
	in := func(a, b, c *onnx.Tensor) []onnx.Value { return []onnx.Value{a, b, c} }
	s := onnx.Scalar[float32]
	h, b := func(x float32) *onnx.Tensor { return onnx.Scalar(onnx.ToF16(x)) }, func(x float32) *onnx.Tensor { return onnx.Scalar(onnx.ToBF16(x)) }
	runElementCases(t, []elementCase{
		{name: "float", op: "Range", opset: 11, in: in(s(1), s(2.1), s(.25)), want: vec[float32](1, 1.25, 1.5, 1.75, 2)},
		{name: "down", op: "Range", opset: 11, in: in(s(1), s(-1), s(-.5)), want: vec[float32](1, .5, 0, -.5)},
		{name: "none", op: "Range", opset: 11, in: in(s(1), s(0), s(1)), want: vec[float32]()},
		{name: "double", op: "Range", opset: 11, in: in(onnx.Scalar(0.), onnx.Scalar(1.), onnx.Scalar(.5)), want: vec(0, .5)},
		{name: "int16", op: "Range", opset: 11, in: in(onnx.Scalar[int16](10), onnx.Scalar[int16](3), onnx.Scalar[int16](-3)), want: vec[int16](10, 7, 4)},
		{name: "int32", op: "Range", opset: 11, in: in(onnx.Scalar[int32](0), onnx.Scalar[int32](4), onnx.Scalar[int32](3)), want: vec[int32](0, 3)},
		{name: "int64", op: "Range", opset: 11, in: in(onnx.Scalar[int64](math.MinInt64), onnx.Scalar[int64](math.MaxInt64), onnx.Scalar[int64](math.MaxInt64)), want: vec[int64](math.MinInt64, -1, math.MaxInt64-1)},
		{name: "rank 1", op: "Range", opset: 11, in: in(vec[int64](0), vec[int64](2), vec[int64](1)), want: vec[int64](0, 1)},
		{name: "float16", op: "Range", opset: 27, in: in(h(1), h(2), h(.5)), want: vec(onnx.ToF16(1), onnx.ToF16(1.5))},
		{name: "bfloat16", op: "Range", opset: 27, attrs: []any{"stash_type", 11}, in: in(b(1), b(2), b(.5)), want: vec(onnx.ToBF16(1), onnx.ToBF16(1.5))},
		{name: "stash", op: "Range", opset: 27, attrs: []any{"stash_type", 7}, in: in(b(1), b(2), b(.5)), err: onnx.ErrMalformed},
		{name: "no step", op: "Range", opset: 11, in: in(s(1), s(2), s(0)), err: onnx.ErrMalformed},
		{name: "no step", op: "Range", opset: 11, in: in(onnx.Scalar[int64](0), onnx.Scalar[int64](2), onnx.Scalar[int64](0)), err: onnx.ErrMalformed},
		{name: "infinite", op: "Range", opset: 11, in: in(s(1), s(float32(math.Inf(1))), s(1)), err: onnx.ErrShape},
		{name: "NaN", op: "Range", opset: 11, in: in(s(1), s(float32(math.NaN())), s(1)), err: onnx.ErrShape},
		{name: "huge", op: "Range", opset: 11, in: in(onnx.Scalar[int64](math.MinInt64), onnx.Scalar[int64](math.MaxInt64), onnx.Scalar[int64](1)), err: onnx.ErrShape},
		{name: "two", op: "Range", opset: 11, in: in(vec[int64](0, 1), vec[int64](2), vec[int64](1)), err: onnx.ErrShape},
	})
}

func TestOneHotEyeLike(t *testing.T) {
	off := vec[float32](2, 5)
	depth := onnx.Scalar[int64](3)
	runElementCases(t, []elementCase{
		{name: "last", op: "OneHot", opset: 11, in: []onnx.Value{vec[int64](0, -1, 3), depth, off}, want: of([]int{3, 3}, float32(5), 2, 2, 2, 2, 5, 2, 2, 2)},
		{name: "first", op: "OneHot", opset: 11, attrs: []any{"axis", 0}, in: []onnx.Value{vec[int32](0, -1), vec[float32](3), off}, want: of([]int{3, 2}, float32(5), 2, 2, 2, 2, 5)},
		{name: "middle", op: "OneHot", opset: 11, attrs: []any{"axis", -2}, in: []onnx.Value{of([]int{1, 2}, uint8(0), 1), onnx.Scalar[uint8](2), vec("n", "y")}, want: of([]int{1, 2, 2}, "y", "n", "n", "y")},
		{name: "negative too early", op: "OneHot", opset: 9, in: []onnx.Value{vec[int64](-1), depth, off}, want: of([]int{1, 3}, float32(2), 2, 2)},
		{name: "fractions", op: "OneHot", opset: 11, in: []onnx.Value{vec[float32](1.9, float32(math.NaN())), onnx.Scalar(2.5), vec[int8](0, 1)}, want: of([]int{2, 2}, int8(0), 1, 0, 0)},
		{name: "scalar", op: "OneHot", opset: 11, in: []onnx.Value{onnx.Scalar[int64](1), depth, vec(false, true)}, want: vec(false, true, false)},
		{name: "large index", op: "OneHot", opset: 11, in: []onnx.Value{vec[uint64](1<<63 + 1), depth, vec(false, true)}, want: of([]int{1, 3}, false, false, false)},
		{name: "bfloat16", op: "OneHot", opset: 28, in: []onnx.Value{vec[int64](1), onnx.Scalar[int64](2), vec[onnx.BF16](1, 2)}, want: of([]int{1, 2}, onnx.BF16(1), 2)},
		{name: "depth", op: "OneHot", opset: 11, in: []onnx.Value{vec[int64](1), onnx.Scalar[int64](0), off}, err: onnx.ErrShape},
		{name: "huge depth", op: "OneHot", opset: 11, in: []onnx.Value{vec[int64](1, 2), onnx.Scalar[int64](1 << 62), off}, err: onnx.ErrShape},
		{name: "axis", op: "OneHot", opset: 11, attrs: []any{"axis", 2}, in: []onnx.Value{vec[int64](1), depth, off}, err: onnx.ErrShape},
		{name: "values", op: "OneHot", opset: 11, in: []onnx.Value{vec[int64](1), depth, vec[float32](1)}, err: onnx.ErrShape},

		{name: "square", op: "EyeLike", opset: 9, in: []onnx.Value{of([]int{2, 2}, int32(5), 6, 7, 8)}, want: of([]int{2, 2}, int32(1), 0, 0, 1)},
		{name: "above", op: "EyeLike", opset: 9, attrs: []any{"k", 1, "dtype", int(onnx.Double)}, in: []onnx.Value{of([]int{2, 3}, make([]float32, 6)...)}, want: of([]int{2, 3}, float64(0), 1, 0, 0, 0, 1)},
		{name: "below", op: "EyeLike", opset: 22, attrs: []any{"k", -1, "dtype", int(onnx.BFloat16)}, in: []onnx.Value{of([]int{2, 2}, make([]bool, 4)...)}, want: of([]int{2, 2}, onnx.BF16(0), 0, onnx.ToBF16(1), 0)},
		{name: "far", op: "EyeLike", opset: 9, attrs: []any{"k", int64(math.MaxInt64)}, in: []onnx.Value{of([]int{1, 2}, true, true)}, want: of([]int{1, 2}, false, false)},
		{name: "rank", op: "EyeLike", opset: 9, in: []onnx.Value{vec[float32](1)}, err: onnx.ErrShape},
		{name: "type", op: "EyeLike", opset: 9, attrs: []any{"dtype", int(onnx.String)}, in: []onnx.Value{of([]int{1, 1}, true)}, err: onnx.ErrUnsupported},
	})
}

func TestNonZeroCompress(t *testing.T) {
	minus := math.Copysign(0, -1)
	x := of([]int{2, 3}, float32(1), 2, 3, 4, 5, 6)
	runElementCases(t, []elementCase{
		{name: "float", op: "NonZero", opset: 9, in: []onnx.Value{of([]int{2, 2}, float32(0), 1, float32(minus), float32(math.NaN()))}, want: of([]int{2, 2}, int64(0), 1, 1, 1)},
		{name: "double", op: "NonZero", opset: 13, in: []onnx.Value{vec(0, minus, 2)}, want: of([]int{1, 1}, int64(2))},
		{name: "float16", op: "NonZero", opset: 13, in: []onnx.Value{vec[onnx.F16](0x8000, 1)}, want: of([]int{1, 1}, int64(1))},
		{name: "int16", op: "NonZero", opset: 13, in: []onnx.Value{vec[int16](math.MinInt16, 0)}, want: of([]int{1, 1}, int64(0))},
		{name: "bool", op: "NonZero", opset: 13, in: []onnx.Value{of([]int{1, 1, 3}, true, false, true)}, want: of([]int{3, 2}, int64(0), 0, 0, 0, 0, 2)},
		{name: "string", op: "NonZero", opset: 13, in: []onnx.Value{vec("", "0")}, want: of([]int{1, 1}, int64(1))},
		{name: "complex64", op: "NonZero", opset: 13, in: []onnx.Value{vec(complex(float32(minus), 0), 1i)}, want: of([]int{1, 1}, int64(1))},
		{name: "complex128", op: "NonZero", opset: 13, in: []onnx.Value{vec(complex(0, minus), 1i)}, want: of([]int{1, 1}, int64(1))},
		{name: "scalar", op: "NonZero", opset: 13, in: []onnx.Value{onnx.Scalar[int64](3)}, want: of[int64]([]int{0, 1})},
		{name: "none", op: "NonZero", opset: 13, in: []onnx.Value{vec[int64](0)}, want: of[int64]([]int{1, 0})},

		{name: "axis", op: "Compress", opset: 9, attrs: []any{"axis", 1}, in: []onnx.Value{x, vec(false, true, true)}, want: of([]int{2, 2}, float32(2), 3, 5, 6)},
		{name: "short", op: "Compress", opset: 11, attrs: []any{"axis", -2}, in: []onnx.Value{x, vec(true)}, want: of([]int{1, 3}, float32(1), 2, 3)},
		{name: "flat", op: "Compress", opset: 11, in: []onnx.Value{x, vec(false, true, false, true)}, want: vec[float32](2, 4)},
		{name: "strings", op: "Compress", opset: 11, in: []onnx.Value{vec("a", "b"), vec(false, true)}, want: vec("b")},
		{name: "none", op: "Compress", opset: 28, in: []onnx.Value{x, vec(false)}, want: vec[float32]()},
		{name: "long", op: "Compress", opset: 11, attrs: []any{"axis", 0}, in: []onnx.Value{x, vec(true, true, true)}, err: onnx.ErrShape},
		{name: "long flat", op: "Compress", opset: 11, in: []onnx.Value{vec("a"), vec(true, true)}, err: onnx.ErrShape},
		{name: "rank", op: "Compress", opset: 11, in: []onnx.Value{x, onnx.Scalar(true)}, err: onnx.ErrShape},
	})
}

func TestUnique(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		name                     string
		attrs                    []any
		x, want                  *onnx.Tensor
		indices, inverse, counts []int64
	}{
		{"sorted", nil, vec[float32](2, 1, 1, 3), vec[float32](1, 2, 3), []int64{1, 0, 3}, []int64{1, 0, 0, 2}, []int64{2, 1, 1}},
		{"unsorted", []any{"sorted", 0}, vec[float32](2, 1, 1, 3), vec[float32](2, 1, 3), []int64{0, 1, 3}, []int64{0, 1, 1, 2}, []int64{1, 2, 1}},
		{"NaN", nil, vec(nan, -1, nan, 0, float32(math.Copysign(0, -1))), vec(-1, 0, nan), []int64{1, 3, 0}, []int64{2, 0, 2, 1, 1}, []int64{1, 2, 2}},
		{"flat", nil, of([]int{2, 2}, int8(-1), 3, 3, -128), vec[int8](-128, -1, 3), []int64{3, 0, 1}, []int64{1, 2, 2, 0}, []int64{1, 1, 2}},
		{"strings", nil, vec("b", "a", "b", ""), vec("", "a", "b"), []int64{3, 1, 0}, []int64{2, 1, 2, 0}, []int64{1, 1, 2}},
		{"uint64", nil, vec[uint64](1<<63, 1, 1<<63), vec[uint64](1, 1<<63), []int64{1, 0}, []int64{1, 0, 1}, []int64{1, 2}},
		{"bool", nil, vec(true, false), vec(false, true), []int64{1, 0}, []int64{1, 0}, []int64{1, 1}},
		{"complex", nil, vec[complex64](1i, -1, 1, 1i), vec[complex64](-1, 1i, 1), []int64{1, 0, 2}, []int64{1, 0, 2, 1}, []int64{1, 2, 1}},
		{"rows", []any{"axis", 0}, of([]int{3, 2}, int32(2), 1, 1, 5, 2, 1), of([]int{2, 2}, int32(1), 5, 2, 1), []int64{1, 0}, []int64{1, 0, 1}, []int64{1, 2}},
		{"columns", []any{"axis", -1}, of([]int{2, 3}, float64(2), 1, 2, 3, 9, 3), of([]int{2, 2}, float64(1), 2, 9, 3), []int64{1, 0}, []int64{1, 0, 1}, []int64{1, 2}},
		{"middle", []any{"axis", 1, "sorted", 0}, of([]int{2, 2, 1}, int64(2), 1, 3, 4), of([]int{2, 2, 1}, int64(2), 1, 3, 4), []int64{0, 1}, []int64{0, 1}, []int64{1, 1}},
		{"none", nil, vec[float32](), vec[float32](), nil, nil, nil},
	} {
		out, err := compute(t, node("Unique", 4, c.attrs...), 11, c.x)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for i, want := range []*onnx.Tensor{c.want, vec(c.indices...), vec(c.inverse...), vec(c.counts...)} {
			if d := differ(out[i], want, 0, 0); d != "" {
				t.Errorf("%s: output %d: %s", c.name, i, d)
			}
		}
	}
	_, err := compute(t, node("Unique", 1, "axis", 1), 11, vec[float32](1))
	checkSentinel(t, "axis", err, onnx.ErrShape)
	_, err = compute(t, node("Unique", 1, "sorted", 2), 11, vec[float32](1))
	checkSentinel(t, "sorted", err, onnx.ErrMalformed)
}

func TestDropout(t *testing.T) {
	x := vec(onnx.F16(0x7e01), 1) // a NaN with a payload
	for _, c := range []struct {
		opset int
		attrs []any
		rest  []onnx.Value
		mask  *onnx.Tensor
	}{
		{1, []any{"is_test", 1, "consumed_inputs", []int64{0}}, nil, vec(onnx.ToF16(1), onnx.ToF16(1))},
		{6, []any{"is_test", 1}, nil, vec(onnx.ToF16(1), onnx.ToF16(1))},
		{7, nil, nil, vec(onnx.ToF16(1), onnx.ToF16(1))},
		{10, nil, nil, vec(true, true)},
		{12, nil, nil, vec(true, true)},
		{13, []any{"seed", 3}, []onnx.Value{onnx.Scalar[float32](.5)}, vec(true, true)},
		{22, nil, []onnx.Value{onnx.Scalar[float64](.5), onnx.Scalar(false)}, vec(true, true)},
		{22, nil, []onnx.Value{onnx.Scalar[float64](0), onnx.Scalar(true)}, vec(true, true)},
	} {
		out, err := compute(t, node("Dropout", 2, c.attrs...), c.opset, append([]onnx.Value{x}, c.rest...)...)
		if err != nil {
			t.Errorf("opset %d: %v", c.opset, err)
			continue
		}
		if !sameElements(tensorOf(out[0]), x) || !sameElements(tensorOf(out[1]), c.mask) {
			t.Errorf("opset %d: got %v", c.opset, out)
		}
	}
}

func TestDropoutTraining(t *testing.T) {
	data := make([]float32, 10000)
	for i := range data {
		data[i] = 1 + float32(i%7)
	}
	for _, in := range [][]onnx.Value{
		{vec(data...), onnx.Scalar[float32](.25), onnx.Scalar(true)},
		{as(vec(data...), onnx.Double), onnx.Scalar(onnx.ToF16(.25)), onnx.Scalar(true)},
		{as(vec(data...), onnx.BFloat16), onnx.Scalar[float64](.25), onnx.Scalar(true)},
	} {
		out, err := computeKnowing(t, node("Dropout", 2, "seed", 5), 13, knowNothing, in)
		if err != nil {
			t.Fatal(err)
		}
		y, mask, dropped := float64s(tensorOf(out[0])), onnx.Elements[bool](tensorOf(out[1])), 0
		for i, keep := range mask {
			want := float64(data[i]) / .75
			if !keep {
				want, dropped = 0, dropped+1
			}
			if math.Abs(y[i]-want) > want/200 {
				t.Fatalf("element %d is %v, want %v (kept %v)", i, y[i], want, keep)
			}
		}
		if dropped < 2300 || dropped > 2700 {
			t.Errorf("%d of 10000 dropped, want about 2500", dropped)
		}
	}
	_, err := compute(t, node("Dropout", 1), 13, vec[float32](1), onnx.Scalar[float32](1), onnx.Scalar(true))
	checkSentinel(t, "ratio 1", err, onnx.ErrMalformed)
	out, err := computeKnowing(t, node("Dropout", 2, "ratio", 0.5), 6, knowNothing, []onnx.Value{vec(data...)})
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.
	for _, m := range float64s(tensorOf(out[1])) {
		sum += m
	}
	if sum < 4700 || sum > 5300 {
		t.Errorf("version 6 in training: %v of 10000 kept, want about 5000", sum)
	}
}

// TestCol2Im holds Col2Im against the count of the blocks that cover a place.
func TestCol2Im(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	for range 20 {
		h, w := 3+r.IntN(4), 3+r.IntN(4)
		kh, kw := 1+r.IntN(2), 1+r.IntN(3)
		s, d, p := 1+r.IntN(2), 1, r.IntN(2)
		if kw < 3 {
			d = 1 + r.IntN(2)
		}
		ch, cw := (h+2*p-d*(kh-1)-1)/s+1, (w+2*p-d*(kw-1)-1)/s+1
		const n, c = 2, 2
		shape := []int{n, c * kh * kw, ch * cw}
		size := n * c * kh * kw * ch * cw
		data := make([]int32, size)
		for i := range data {
			data[i] = int32(r.IntN(100))
		}
		want := make([]int32, n*c*h*w)
		for _, i := range allIndices([]int{n, c, kh, kw, ch, cw}) {
			y, x := i[4]*s-p+i[2]*d, i[5]*s-p+i[3]*d
			if y >= 0 && y < h && x >= 0 && x < w {
				want[linear([]int{n, c, h, w}, []int{i[0], i[1], y, x})] += data[linear([]int{n, c, kh, kw, ch, cw}, i)]
			}
		}
		out, err := compute(t, node("Col2Im", 1, "strides", []int64{int64(s), int64(s)}, "dilations", []int64{int64(d), int64(d)}, "pads", []int64{int64(p), int64(p), int64(p), int64(p)}), 18,
			of(shape, data...), vec(int64(h), int64(w)), vec(int64(kh), int64(kw)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := differ(out[0], of([]int{n, c, h, w}, want...), 0, 0); diff != "" {
			t.Fatal(diff)
		}
	}
	x := of([]int{1, 2, 2}, onnx.ToF16(1), onnx.ToF16(2), onnx.ToF16(3), onnx.ToF16(4))
	runElementCases(t, []elementCase{
		{name: "overlap", op: "Col2Im", opset: 18, in: []onnx.Value{x, vec[int64](3), vec[int64](2)}, want: of([]int{1, 1, 3}, onnx.ToF16(1), onnx.ToF16(5), onnx.ToF16(4))},
		{name: "columns", op: "Col2Im", opset: 18, in: []onnx.Value{x, vec[int64](4), vec[int64](2)}, err: onnx.ErrShape},
		{name: "block", op: "Col2Im", opset: 18, in: []onnx.Value{x, vec[int64](4), vec[int64](3)}, err: onnx.ErrShape},
		{name: "no block", op: "Col2Im", opset: 18, in: []onnx.Value{x, vec[int64](3), vec[int64](0)}, err: onnx.ErrShape},
		{name: "rank", op: "Col2Im", opset: 18, in: []onnx.Value{x, vec[int64](3, 1), vec[int64](2)}, err: onnx.ErrShape},
		{name: "strides", op: "Col2Im", opset: 18, attrs: []any{"strides", []int64{0}}, in: []onnx.Value{x, vec[int64](3), vec[int64](2)}, err: onnx.ErrShape},
		{name: "strings", op: "Col2Im", opset: 18, in: []onnx.Value{of([]int{1, 1, 1}, "a"), vec[int64](1), vec[int64](1)}, err: onnx.ErrUnsupported},
	})
}

// hasty is an engine whose run is cancelled after some looks.
type hasty struct {
	*heap
	left int
}

func (e *hasty) Err() error {
	if e.left--; e.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestUniqueCancel: a run looks at the context while it sorts, and ends soon.
func TestUniqueCancel(t *testing.T) {
	const n = 1 << 17
	numbers, words := make([]float32, n), make([]string, n)
	for i := range n {
		numbers[i] = float32(i * 7919 % n)
		words[i] = strconv.Itoa(i * 7919 % n)
	}
	for name, x := range map[string]onnx.Value{"numbers": vec(numbers...), "strings": vec(words...)} {
		r := newRunner(t, node("Unique", 1), 11, []onnx.Value{x}, true)
		look := func(left int) (looks int, err error) {
			e := &hasty{heap: r.e, left: left}
			c, out := NewCtx(e), make([]onnx.Value, 1)
			c.Bind(out)
			err = r.k.Run(c, []onnx.Value{x}, out)
			return left - e.left, err
		}
		looks, err := look(math.MaxInt)
		if err != nil || looks < 20 {
			t.Errorf("%s: %d looks, %v", name, looks, err)
		}
		if again, err := look(looks / 2); !errors.Is(err, context.Canceled) || again > looks/2+5 {
			t.Errorf("%s: %d looks of %d, %v", name, again, looks, err)
		}
	}
}
