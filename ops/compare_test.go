package ops

import (
	"math"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func TestCompare(t *testing.T) {
	a, b := vec(1, 2, 3, nan32), vec(3, 2, 1, nan32)
	f16 := func(v ...float32) *onnx.Tensor {
		var out []onnx.F16
		for _, x := range v {
			out = append(out, onnx.ToF16(x))
		}
		return vec(out...)
	}
	runElementCases(t, []elementCase{
		{name: "float", op: "Equal", opset: 11, in: []onnx.Value{a, b}, want: vec(false, true, false, false)},
		{name: "float", op: "Less", opset: 13, in: []onnx.Value{a, b}, want: vec(true, false, false, false)},
		{name: "float", op: "LessOrEqual", opset: 12, in: []onnx.Value{a, b}, want: vec(true, true, false, false)},
		{name: "float", op: "Greater", opset: 7, in: []onnx.Value{a, b}, want: vec(false, false, true, false)},
		{name: "float", op: "GreaterOrEqual", opset: 16, in: []onnx.Value{a, b}, want: vec(false, true, true, false)},
		{name: "scalar right", op: "Less", opset: 9, in: []onnx.Value{a, onnx.Scalar[float32](2)}, want: vec(true, false, false, false)},
		{name: "scalar left", op: "Less", opset: 9, in: []onnx.Value{onnx.Scalar[float32](2), a}, want: vec(false, false, true, false)},
		{name: "scalar left", op: "LessOrEqual", opset: 16, in: []onnx.Value{onnx.Scalar[float32](2), a}, want: vec(false, true, true, false)},
		{name: "scalar left", op: "Greater", opset: 13, in: []onnx.Value{onnx.Scalar[float32](2), a}, want: vec(true, false, false, false)},
		{name: "scalar left", op: "GreaterOrEqual", opset: 12, in: []onnx.Value{onnx.Scalar[float32](2), a}, want: vec(true, true, false, false)},
		{name: "uint64", op: "Greater", opset: 9, in: []onnx.Value{vec[uint64](1<<63, 1), vec[uint64](2)}, want: vec(true, false)},
		{name: "float16", op: "Less", opset: 9, in: []onnx.Value{f16(1, 3), f16(2)}, want: vec(true, false)},
		{name: "bfloat16", op: "Equal", opset: 13, in: []onnx.Value{vec(onnx.ToBF16(1)), vec(onnx.ToBF16(1))}, want: vec(true)},
		{name: "minus zero", op: "Equal", opset: 11, in: []onnx.Value{vec(0.), vec(math.Copysign(0, -1))}, want: vec(true)},
		{name: "bool", op: "Equal", opset: 7, in: []onnx.Value{vec(true, false), vec(true, true)}, want: vec(true, false)},
		{name: "bool scalar", op: "Equal", opset: 7, in: []onnx.Value{vec(true, false), onnx.Scalar(false)}, want: vec(false, true)},
		{name: "strings", op: "Equal", opset: 19, in: []onnx.Value{vec("a", "", "b\xff"), vec("a", "x", "b\xff")}, want: vec(true, false, true)},
		{name: "string scalar", op: "Equal", opset: 19, in: []onnx.Value{onnx.Scalar("a"), of([]int{1, 3}, "a", "", "b")}, want: of([]int{1, 3}, true, false, false)},
	})
}

func TestPredicates(t *testing.T) {
	x := vec(-inf32, inf32, nan32, 1, 0)
	e5m2 := vec(onnx.F8E5M2(0x7c), onnx.F8E5M2(0xfc), onnx.F8E5M2(0x7e), onnx.F8E5M2(0))
	runElementCases(t, []elementCase{
		{name: "both", op: "IsInf", opset: 10, in: []onnx.Value{x}, want: vec(true, true, false, false, false)},
		{name: "negative", op: "IsInf", opset: 10, attrs: []any{"detect_positive", 0}, in: []onnx.Value{x}, want: vec(true, false, false, false, false)},
		{name: "positive", op: "IsInf", opset: 20, attrs: []any{"detect_negative", 0}, in: []onnx.Value{x}, want: vec(false, true, false, false, false)},
		{name: "float8e5m2", op: "IsInf", opset: 20, in: []onnx.Value{e5m2}, want: vec(true, true, false, false)},
		{name: "float8e5m2", op: "IsNaN", opset: 20, in: []onnx.Value{e5m2}, want: vec(false, false, true, false)},
		{name: "float8e4m3fn", op: "IsNaN", opset: 20, in: []onnx.Value{vec(onnx.F8E4M3(0x7f), onnx.F8E4M3(0xff), onnx.F8E4M3(0x7e))}, want: vec(true, true, false)},
		{name: "float", op: "IsNaN", opset: 9, in: []onnx.Value{x}, want: vec(false, false, true, false, false)},
		{name: "double", op: "IsNaN", opset: 13, in: []onnx.Value{vec(math.NaN(), 1)}, want: vec(true, false)},
	})
}

func TestLogic(t *testing.T) {
	a, b := vec(false, false, true, true), vec(false, true, false, true)
	column, row := of([]int{2, 1}, false, true), vec(false, true)
	runElementCases(t, []elementCase{
		{name: "each", op: "And", opset: 7, in: []onnx.Value{a, b}, want: vec(false, false, false, true)},
		{name: "each", op: "Or", opset: 7, in: []onnx.Value{a, b}, want: vec(false, true, true, true)},
		{name: "each", op: "Xor", opset: 7, in: []onnx.Value{a, b}, want: vec(false, true, true, false)},
		{name: "scalar", op: "Or", opset: 7, in: []onnx.Value{a, onnx.Scalar(true)}, want: vec(true, true, true, true)},
		{name: "column and row", op: "Xor", opset: 7, in: []onnx.Value{column, row}, want: of([]int{2, 2}, false, true, true, false)},
		{name: "old", op: "Or", opset: 1, in: []onnx.Value{a, b}, want: vec(false, true, true, true)},
		{name: "old without broadcast", op: "Or", opset: 1, in: []onnx.Value{column, row}, err: onnx.ErrShape},
	})
}

func TestWhere(t *testing.T) {
	cond := vec(true, false, true)
	payload := math.Float32frombits(0x7f800001) // a signalling NaN keeps its bits
	runElementCases(t, []elementCase{
		{name: "strings", op: "Where", opset: 9, in: []onnx.Value{cond, vec("a", "b", "c"), onnx.Scalar("-")}, want: vec("a", "-", "c")},
		{name: "bool", op: "Where", opset: 9, in: []onnx.Value{cond, vec(false, true, true), vec(true, false, false)}, want: vec(false, false, true)},
		{name: "int16", op: "Where", opset: 9, in: []onnx.Value{cond, vec[int16](1, 2, 3), vec[int16](-1, -2, -3)}, want: vec[int16](1, -2, 3)},
		{name: "bfloat16", op: "Where", opset: 16, in: []onnx.Value{cond, vec[onnx.BF16](1, 2, 3), vec[onnx.BF16](4)}, want: vec[onnx.BF16](1, 4, 3)},
		{name: "complex", op: "Where", opset: 9, in: []onnx.Value{cond, vec[complex128](1i, 2, 3), vec[complex128](4)}, want: vec[complex128](1i, 4, 3)},
		{name: "scalar condition", op: "Where", opset: 9, in: []onnx.Value{onnx.Scalar(false), vec[int64](1), vec[int64](4, 5)}, want: vec[int64](4, 5)},
	})
	out, err := compute(t, node("Where", 1), 16, cond, vec(payload, payload, 1), vec[float32](0))
	if err != nil {
		t.Fatal(err)
	}
	if b := math.Float32bits(onnx.Elements[float32](out[0].(*onnx.Tensor))[0]); b != 0x7f800001 {
		t.Errorf("a NaN of bits 7f800001 became %x", b)
	}
}

func TestClip(t *testing.T) {
	x := vec(-inf32, -2, 0.5, 3, inf32, nan32)
	f16 := vec(onnx.ToF16(-inf32), onnx.ToF16(7))
	runElementCases(t, []elementCase{
		{name: "no bounds", op: "Clip", opset: 1, in: []onnx.Value{x}, want: x},
		{name: "one bound", op: "Clip", opset: 1, attrs: []any{"min", -1., "consumed_inputs", []int64{0}}, in: []onnx.Value{x}, want: vec(-1, -1, 0.5, 3, inf32, nan32)},
		{name: "defaults", op: "Clip", opset: 6, in: []onnx.Value{x}, want: vec(-math.MaxFloat32, -2, 0.5, 3, math.MaxFloat32, nan32)},
		{name: "attributes", op: "Clip", opset: 6, attrs: []any{"min", -1., "max", 1.}, in: []onnx.Value{x}, want: vec(-1, -1, 0.5, 1, 1, nan32)},
		{name: "defaults", op: "Clip", opset: 11, in: []onnx.Value{x}, want: vec(-math.MaxFloat32, -2, 0.5, 3, math.MaxFloat32, nan32)},
		{name: "defaults of float16", op: "Clip", opset: 13, in: []onnx.Value{f16}, want: vec(onnx.ToF16(-65504), onnx.ToF16(7))},
		{name: "float16", op: "Clip", opset: 11, in: []onnx.Value{f16, onnx.Scalar(onnx.ToF16(-1)), onnx.Scalar(onnx.ToF16(2))}, want: vec(onnx.ToF16(-1), onnx.ToF16(2))},
		{name: "min alone", op: "Clip", opset: 12, in: []onnx.Value{vec[int8](-100, 5), onnx.Scalar[int8](-3)}, want: vec[int8](-3, 5)},
		{name: "max alone", op: "Clip", opset: 13, in: []onnx.Value{vec[uint64](1<<63, 5), nil, onnx.Scalar[uint64](7)}, want: vec[uint64](7, 5)},
		{name: "min above max", op: "Clip", opset: 13, in: []onnx.Value{vec[int32](1, 9), onnx.Scalar[int32](5), onnx.Scalar[int32](3)}, want: vec[int32](3, 3)},
		{name: "bounds of all int64", op: "Clip", opset: 12, in: []onnx.Value{vec[int64](math.MinInt64, math.MaxInt64)}, want: vec[int64](math.MinInt64, math.MaxInt64)},
		{name: "one element", op: "Clip", opset: 13, in: []onnx.Value{vec[int32](1, 9), vec[int32](5)}, want: vec[int32](5, 9)},
		{name: "two minima", op: "Clip", opset: 13, in: []onnx.Value{vec[int32](1, 9), vec[int32](5, 6)}, err: onnx.ErrShape},
	})
}
