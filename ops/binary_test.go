package ops

import (
	"fmt"
	"math"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

var (
	inf32 = float32(math.Inf(1))
	nan32 = float32(math.NaN())
)

func TestArithmetic(t *testing.T) {
	f := func(v ...float32) *onnx.Tensor { return vec(v...) }
	runElementCases(t, []elementCase{
		{name: "float", op: "Add", opset: 14, in: []onnx.Value{f(1, 2), f(0.5, -2)}, want: f(1.5, 0)},
		{name: "scalar left", op: "Sub", opset: 7, in: []onnx.Value{onnx.Scalar[float32](1), f(0.5, -2)}, want: f(0.5, 3)},
		{name: "scalar right", op: "Sub", opset: 13, in: []onnx.Value{f(0.5, -2), f(1)}, want: f(-0.5, -3)},
		{name: "uint8 wraps", op: "Add", opset: 14, in: []onnx.Value{vec[uint8](250, 1), vec[uint8](10, 2)}, want: vec[uint8](4, 3)},
		{name: "int8 wraps", op: "Mul", opset: 14, in: []onnx.Value{vec[int8](100, -3), vec[int8](2)}, want: vec[int8](-56, -6)},
		{name: "truncates", op: "Div", opset: 14, in: []onnx.Value{vec[int32](-7, 7, -7, 7), vec[int32](2, -2, -2, 2)}, want: vec[int32](-3, -3, 3, 3)},
		{name: "least integer", op: "Div", opset: 14, in: []onnx.Value{vec[int64](math.MinInt64), vec[int64](-1)}, want: vec[int64](math.MinInt64)},
		{name: "by zero", op: "Div", opset: 14, in: []onnx.Value{f(1, -1, 0), f(0)}, want: f(inf32, -inf32, nan32)},
		{name: "scalar by", op: "Div", opset: 14, in: []onnx.Value{onnx.Scalar[float32](6), f(1, 4)}, want: f(6, 1.5)},
		{name: "integer by zero", op: "Div", opset: 14, in: []onnx.Value{vec[uint16](1, 2), vec[uint16](1, 0)}, err: onnx.ErrMalformed},
		{name: "nothing by zero", op: "Div", opset: 14, in: []onnx.Value{of([]int{0}, []int32{}...), vec[int32](0)}, want: of([]int{0}, []int32{}...)},
		{name: "float16 rounds once", op: "Add", opset: 14, in: []onnx.Value{vec(onnx.ToF16(2048)), vec(onnx.ToF16(1))}, want: vec(onnx.ToF16(2048))},
		{name: "bfloat16", op: "Mul", opset: 13, in: []onnx.Value{vec(onnx.ToBF16(3)), vec(onnx.ToBF16(-0.5))}, want: vec(onnx.ToBF16(-1.5))},
		{name: "types differ", op: "Add", opset: 14, in: []onnx.Value{f(1), vec(1.)}, err: onnx.ErrType},
	})
}

// TestOldBroadcast: before opset 7 broadcasting was asked for, and the second
// operand stood at an axis.
func TestOldBroadcast(t *testing.T) {
	a := of([]int{2, 3, 2}, 0., 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
	yes := of([]int{2, 2}, true, true, false, false)
	for _, opset := range []int{1, 6} {
		runElementCases(t, []elementCase{
			{name: "equal shapes", op: "Sub", opset: opset, in: []onnx.Value{a, a}, want: of([]int{2, 3, 2}, make([]float64, 12)...)},
			{name: "suffix", op: "Sub", opset: opset, attrs: []any{"broadcast", 1}, in: []onnx.Value{a, of([]int{3, 2}, 0., 1, 2, 3, 4, 5)},
				want: of([]int{2, 3, 2}, 0., 0, 0, 0, 0, 0, 6, 6, 6, 6, 6, 6)},
			{name: "middle", op: "Add", opset: opset, attrs: []any{"broadcast", 1, "axis", 1}, in: []onnx.Value{a, vec(10., 20, 30)},
				want: of([]int{2, 3, 2}, 10., 11, 22, 23, 34, 35, 16, 17, 28, 29, 40, 41)},
			{name: "first", op: "Mul", opset: opset, attrs: []any{"broadcast", 1, "axis", 0}, in: []onnx.Value{a, vec(1., 2)},
				want: of([]int{2, 3, 2}, 0., 1, 2, 3, 4, 5, 12, 14, 16, 18, 20, 22)},
			{name: "first two", op: "Add", opset: opset, attrs: []any{"broadcast", 1, "axis", 0}, in: []onnx.Value{a, of([]int{2, 3}, 0., 10, 20, 30, 40, 50)},
				want: of([]int{2, 3, 2}, 0., 1, 12, 13, 24, 25, 36, 37, 48, 49, 60, 61)},
			{name: "one element of greater rank", op: "Div", opset: opset, attrs: []any{"broadcast", 1}, in: []onnx.Value{vec(2., 4), of([]int{1, 1}, 2.)}, want: vec(1., 2)},
			{name: "not asked for", op: "Add", opset: opset, in: []onnx.Value{a, vec(1.)}, err: onnx.ErrShape},
			{name: "does not fit", op: "Add", opset: opset, attrs: []any{"broadcast", 1, "axis", 2}, in: []onnx.Value{a, of([]int{3, 2}, 0., 1, 2, 3, 4, 5)}, err: onnx.ErrShape},
			{name: "other size", op: "Add", opset: opset, attrs: []any{"broadcast", 1, "axis", 0}, in: []onnx.Value{a, vec(1., 2, 3)}, err: onnx.ErrShape},
			{name: "negative axis", op: "Add", opset: opset, attrs: []any{"broadcast", 1, "axis", -5}, in: []onnx.Value{a, vec(1., 2)}, err: onnx.ErrShape},
		})
	}
	runElementCases(t, []elementCase{
		{name: "consumed_inputs", op: "Add", opset: 1, attrs: []any{"consumed_inputs", []int64{0, 0}}, in: []onnx.Value{vec(1.), vec(2.)}, want: vec(3.)},
		{name: "axis", op: "And", opset: 1, attrs: []any{"broadcast", 1, "axis", 0}, in: []onnx.Value{yes, vec(false, true)}, want: of([]int{2, 2}, false, false, false, false)},
		{name: "axis", op: "Equal", opset: 1, attrs: []any{"broadcast", 1, "axis", 0}, in: []onnx.Value{of([]int{2, 2}, int32(1), 2, 3, 4), vec(int32(1), 4)}, want: of([]int{2, 2}, true, false, false, true)},
		{name: "axis", op: "Greater", opset: 1, attrs: []any{"broadcast", 1}, in: []onnx.Value{of([]int{2, 2}, 1., 2, 3, 4), vec(1., 2)}, want: of([]int{2, 2}, false, false, true, true)},
		{name: "axis", op: "Pow", opset: 1, attrs: []any{"broadcast", 1, "axis", 0}, in: []onnx.Value{of([]int{2, 2}, 1., 2, 3, 4), vec(1., 2)}, want: of([]int{2, 2}, 1., 2, 9, 16)},
	})
}

func TestMod(t *testing.T) {
	x, y := vec[int32](-7, 7, -7, 7, 0), vec[int32](3, 3, -3, -3, 5)
	fx, fy := vec(-7.5, 7.5, -7.5, 7.5), vec(2., 2, -2, -2)
	runElementCases(t, []elementCase{
		{name: "floor", op: "Mod", opset: 10, in: []onnx.Value{x, y}, want: vec[int32](2, 1, -1, -2, 0)},
		{name: "trunc", op: "Mod", opset: 13, attrs: []any{"fmod", 1}, in: []onnx.Value{x, y}, want: vec[int32](-1, 1, -1, 1, 0)},
		{name: "scalar", op: "Mod", opset: 13, in: []onnx.Value{x, vec[int32](4)}, want: vec[int32](1, 3, 1, 3, 0)},
		{name: "fmod", op: "Mod", opset: 13, attrs: []any{"fmod", 1}, in: []onnx.Value{fx, fy}, want: vec(-1.5, 1.5, -1.5, 1.5)},
		{name: "floating floor", op: "Mod", opset: 28, in: []onnx.Value{fx, fy}, want: vec(0.5, 1.5, -1.5, -0.5)},
		{name: "infinite divisor", op: "Mod", opset: 28, in: []onnx.Value{vec[float32](1, -1, nan32, inf32, 1), vec(inf32, inf32, 1, 1, 0)}, want: vec(1, inf32, nan32, nan32, nan32)},
		{name: "floating floor of old", op: "Mod", opset: 13, in: []onnx.Value{fx, fy}, err: onnx.ErrMalformed},
		{name: "by zero", op: "Mod", opset: 13, in: []onnx.Value{x, vec[int32](0)}, err: onnx.ErrMalformed},
		{name: "fmod 2", op: "Mod", opset: 13, attrs: []any{"fmod", 2}, in: []onnx.Value{x, y}, err: onnx.ErrMalformed},
	})
}

func TestPow(t *testing.T) {
	x := vec[float32](-2, 0, 2, 3)
	runElementCases(t, []elementCase{
		{name: "two", op: "Pow", opset: 7, in: []onnx.Value{x, vec[float32](2)}, want: vec[float32](4, 0, 4, 9)},
		{name: "three", op: "Pow", opset: 13, in: []onnx.Value{x, onnx.Scalar[int64](3)}, want: vec[float32](-8, 0, 8, 27)},
		{name: "half", op: "Pow", opset: 15, in: []onnx.Value{vec[float32](4, 2, -1, 0), onnx.Scalar(0.5)}, want: vec(2, float32(math.Sqrt2), nan32, 0)},
		{name: "minus one", op: "Pow", opset: 15, in: []onnx.Value{x, onnx.Scalar[float32](-1)}, want: vec(-0.5, inf32, 0.5, float32(1)/3)},
		{name: "each", op: "Pow", opset: 15, in: []onnx.Value{x, vec[int32](3, 0, -1, 2)}, want: vec[float32](-8, 1, 0.5, 9)},
		{name: "double", op: "Pow", opset: 15, in: []onnx.Value{vec(2., 3), vec(0.5, 1.5)}, want: vec(math.Sqrt2, 5.196152422706632), rtol: 1e-15},
		{name: "integers", op: "Pow", opset: 12, in: []onnx.Value{vec[int64](3, -3, 10), vec[int64](39, 3, 0)}, want: vec[int64](4052555153018976267, -27, 1)},
		{name: "integer wraps", op: "Pow", opset: 12, in: []onnx.Value{vec[int32](2, 3), vec[uint8](31, 21)}, want: vec(int32(math.MinInt32), int32(10460353203-2*(1<<32)))},
		{name: "integer to a fraction", op: "Pow", opset: 12, in: []onnx.Value{vec[int32](10, 16), vec[float32](0.5)}, want: vec[int32](3, 4)},
		{name: "integer to the minus one", op: "Pow", opset: 12, in: []onnx.Value{vec[int64](2, 1), vec[int64](-1)}, want: vec[int64](0, 1)},
		{name: "float16 of float", op: "Pow", opset: 12, in: []onnx.Value{vec(onnx.ToF16(3)), vec[float32](4)}, want: vec(onnx.ToF16(81))},
		{name: "float of float16", op: "Pow", opset: 12, in: []onnx.Value{x, vec(onnx.ToF16(2), onnx.ToF16(2), onnx.ToF16(3), onnx.ToF16(0))}, want: vec[float32](4, 0, 8, 1)},
		{name: "column and row", op: "Pow", opset: 15, in: []onnx.Value{of([]int{2, 1}, 2., 3), vec(1., 2, 3)}, want: of([]int{2, 3}, 2., 4, 8, 3, 9, 27)},
	})
}

func TestVariadic(t *testing.T) {
	a, b, c := vec[float32](1, 5, 3), vec[float32](4, 2, 3), onnx.Scalar[float32](2.5)
	runElementCases(t, []elementCase{
		{name: "one", op: "Sum", opset: 1, in: []onnx.Value{a}, want: a},
		{name: "two", op: "Sum", opset: 6, in: []onnx.Value{a, b}, want: vec[float32](5, 7, 6)},
		{name: "three", op: "Sum", opset: 8, in: []onnx.Value{a, b, c}, want: vec[float32](7.5, 9.5, 8.5)},
		{name: "one twice", op: "Sum", opset: 13, in: []onnx.Value{a, b, a}, want: vec[float32](6, 12, 9)},
		{name: "mean", op: "Mean", opset: 13, in: []onnx.Value{c, a, b}, want: vec[float32](2.5, float32(9.5/3), float32(8.5/3)), rtol: 1e-7},
		{name: "min", op: "Min", opset: 8, in: []onnx.Value{c, a, b}, want: vec[float32](1, 2, 2.5)},
		{name: "max", op: "Max", opset: 13, in: []onnx.Value{a, c, b}, want: vec[float32](4, 5, 3)},
		{name: "NaN", op: "Max", opset: 13, in: []onnx.Value{vec(nan32, 1), vec(1, nan32)}, want: vec(nan32, nan32)},
		{name: "uint64", op: "Max", opset: 12, in: []onnx.Value{vec[uint64](1<<63, 1), vec[uint64](2)}, want: vec[uint64](1<<63, 2)},
		{name: "float16", op: "Mean", opset: 8, in: []onnx.Value{vec(onnx.ToF16(2048)), vec(onnx.ToF16(3)), vec(onnx.ToF16(1))}, want: vec(onnx.ToF16(684))},
		{name: "row and column", op: "Sum", opset: 8, in: []onnx.Value{vec(1., 2), of([]int{2, 1}, 10., 20), of([]int{2, 1, 1}, 100., 200)},
			want: of([]int{2, 2, 2}, 111., 112, 121, 122, 211, 212, 221, 222)},
		{name: "no broadcasting", op: "Sum", opset: 6, in: []onnx.Value{a, c}, err: onnx.ErrShape},
		{name: "no broadcasting", op: "Min", opset: 1, in: []onnx.Value{a, vec[float32](1)}, err: onnx.ErrShape},
	})
}

func TestBits(t *testing.T) {
	runElementCases(t, []elementCase{
		{name: "left", op: "BitShift", opset: 11, attrs: []any{"direction", "LEFT"}, in: []onnx.Value{vec[uint8](1, 0x81, 5), vec[uint8](3, 1, 8)}, want: vec[uint8](8, 2, 0)},
		{name: "right", op: "BitShift", opset: 11, attrs: []any{"direction", "RIGHT"}, in: []onnx.Value{vec[uint64](1<<63, 4), vec[uint64](63, 64)}, want: vec[uint64](1, 0)},
		{name: "signed right", op: "BitShift", opset: 28, attrs: []any{"direction", "RIGHT"}, in: []onnx.Value{vec[int8](-128, -1, 64, -5, 5), vec[int8](1, 7, 2, -1, 8)}, want: vec[int8](-64, -1, 16, -1, 0)},
		{name: "signed left", op: "BitShift", opset: 28, attrs: []any{"direction", "LEFT"}, in: []onnx.Value{vec[int16](-1, 3, 3), vec[int16](15, -1, 16)}, want: vec[int16](-32768, 0, 0)},
		{name: "sideways", op: "BitShift", opset: 11, attrs: []any{"direction", "UP"}, in: []onnx.Value{vec[uint8](1), vec[uint8](3)}, err: onnx.ErrMalformed},
		{name: "and", op: "BitwiseAnd", opset: 18, in: []onnx.Value{vec[int32](12, -1), vec[int32](10)}, want: vec[int32](8, 10)},
		{name: "or", op: "BitwiseOr", opset: 18, in: []onnx.Value{vec[uint16](12, 1), vec[uint16](10)}, want: vec[uint16](14, 11)},
		{name: "xor", op: "BitwiseXor", opset: 18, in: []onnx.Value{vec[int8](12, -1), vec[int8](10, 1)}, want: vec[int8](6, -2)},
		{name: "not", op: "BitwiseNot", opset: 18, in: []onnx.Value{vec[uint8](0, 0xf0)}, want: vec[uint8](0xff, 0x0f)},
	})
}

func TestPRelu(t *testing.T) {
	x := of([]int{1, 2, 2}, -1., 2, -3, -4)
	runElementCases(t, []elementCase{
		{name: "one slope", op: "PRelu", opset: 1, in: []onnx.Value{x, vec(0.5)}, want: of([]int{1, 2, 2}, -0.5, 2, -1.5, -2)},
		{name: "a slope a channel", op: "PRelu", opset: 6, in: []onnx.Value{x, vec(0.5, 10)}, want: of([]int{1, 2, 2}, -0.5, 2, -30, -40)},
		{name: "a slope each", op: "PRelu", opset: 6, in: []onnx.Value{x, of([]int{1, 2, 2}, 1., 2, 3, 4)}, want: of([]int{1, 2, 2}, -1., 2, -9, -16)},
		{name: "channels", op: "PRelu", opset: 6, in: []onnx.Value{x, vec(1., 2, 3)}, err: onnx.ErrShape},
		{name: "a slope a column", op: "PRelu", opset: 7, in: []onnx.Value{x, vec(0.5, 10)}, want: of([]int{1, 2, 2}, -0.5, 2, -1.5, -40)},
		{name: "a slope a row", op: "PRelu", opset: 16, in: []onnx.Value{x, of([]int{2, 1}, 0.5, 10)}, want: of([]int{1, 2, 2}, -0.5, 2, -30, -40)},
		{name: "int32", op: "PRelu", opset: 9, in: []onnx.Value{vec[int32](-2, 3), vec[int32](5)}, want: vec[int32](-10, 3)},
		{name: "NaN", op: "PRelu", opset: 9, in: []onnx.Value{vec(nan32), vec[float32](5)}, want: vec(nan32)},
	})
}

// TestManyElements: a loop that is cut for threads gives what one does not.
func TestManyElements(t *testing.T) {
	n := 3*cheapGrain + 7
	x, want := make([]int32, n), make([]int32, n)
	for i := range x {
		x[i], want[i] = int32(i), int32(i%7)
	}
	runElementCases(t, []elementCase{{name: fmt.Sprint(n), op: "Mod", opset: 13, in: []onnx.Value{vec(x...), vec[int32](7)}, want: vec(want...)}})

	a, b := onnx.MustTensor([]int{n}, x), vec[int32](7)
	out := onnx.MustTensor([]int{n}, make([]int32, n))
	r := zipRun[int32, int32]{loop: zips(testLevel, "FloorMod")[onnx.Int32].(*zip[int32, int32]), dst: onnx.Elements[int32](out), a: x, b: []int32{7}}
	r.walk.set(out.Shape(), 0, a, b)
	r.block = repeated
	r.repeat = make([]int32, (n/cheapGrain+1)*repeated)
	for lo := n / cheapGrain * cheapGrain; lo >= 0; lo -= cheapGrain {
		r.run(lo, min(lo+cheapGrain, n))
	}
	if d := differ(out, vec(want...), 0, 0); d != "" {
		t.Error(d)
	}
}
