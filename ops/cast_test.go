package ops

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func castCase(name string, opset int, in, want *onnx.Tensor, attrs ...any) elementCase {
	return elementCase{name: name, op: "Cast", opset: opset, attrs: append([]any{"to", int(want.DataType())}, attrs...), in: []onnx.Value{in}, want: want}
}

func TestCast(t *testing.T) {
	numbers := vec(-1.5, 0, 2.9, 300, inf32, nan32)
	runElementCases(t, []elementCase{
		castCase("to double", 9, vec[float32](0.1), vec(float64(float32(0.1)))),
		castCase("overflow", 9, vec(1e300, -1e300, 1e-300), vec(inf32, -inf32, 0)),
		castCase("truncates", 13, vec(-1.9, 1.9, -0.5), vec[int64](-1, 1, 0)),
		castCase("outside int32", 13, numbers, vec[int32](-1, 0, 2, 300, math.MinInt32, math.MinInt32)),
		castCase("outside uint8", 13, numbers, vec[uint8](255, 0, 2, 44, 0, 0)),
		castCase("large uint64", 13, vec(float64(1<<63)), vec[uint64](1<<63)),
		castCase("negative to uint64", 13, vec(-1.), vec[uint64](math.MaxUint64)),
		castCase("integer loses bits", 13, vec[int16](200, -129), vec[int8](-56, 127)),
		castCase("unsigned", 6, vec[int32](-1), vec[uint64](math.MaxUint64)),
		castCase("truth", 6, numbers, vec(true, false, true, true, true, true)),
		castCase("truth of int64", 6, vec[int64](0, 1<<40), vec(false, true)),
		castCase("from truth", 9, vec(true, false), vec[float32](1, 0)),
		castCase("from truth", 9, vec(true, false), vec[int64](1, 0)),
		castCase("int64 to float", 9, vec[int64](1<<24+1, 1<<60+1), vec[float32](1<<24, 1<<60)),
		castCase("uint64 to float", 9, vec[uint64](1<<63+1<<39+1), vec[float32](1<<63+1<<40)),
		castCase("float16", 9, vec[float32](65504, 65519.99, 65520, 1e-8, 2049), vec[onnx.F16](0x7bff, 0x7bff, 0x7c00, 0, 0x6800)),
		castCase("float16 to int8", 9, vec(onnx.ToF16(-3.5)), vec[int8](-3)),
		castCase("bfloat16", 13, vec[float32](1.00390625, 1.01171875, inf32), vec[onnx.BF16](0x3f80, 0x3f82, 0x7f80)),
		castCase("bfloat16 to float16", 13, vec(onnx.ToBF16(3)), vec(onnx.ToF16(3))),
		castCase("int4", 21, vec[float32](-9, -8, 7, 8), vec[onnx.I4](7, -8, 7, -8)),
		castCase("uint4", 21, vec[int32](-1, 16, 15), vec[onnx.U4](15, 0, 15)),
		castCase("from int4", 21, vec[onnx.I4](-8, 7), vec[float32](-8, 7)),
		castCase("int4 to uint4", 21, vec[onnx.I4](-8, 7), vec[onnx.U4](8, 7)),
		castCase("int2", 25, vec[int8](-3, 1, 2), vec[onnx.I2](1, 1, -2)),
		castCase("uint2", 25, vec(onnx.ToF16(5)), vec[onnx.U2](1)),
		castCase("float4e2m1", 23, vec(0.25, 0.26, 5, -7, inf32, nan32), vec[onnx.F4E2M1](0, 1, 6, 15, 7, 8)),
		castCase("float8e4m3fn", 19, vec(448, 1e6, -inf32, nan32), vec[onnx.F8E4M3](0x7e, 0x7e, 0xfe, 0x7f)),
		castCase("float8e4m3fn, not saturated", 19, vec(448, 1e6, -inf32, nan32), vec[onnx.F8E4M3](0x7e, 0x7f, 0xff, 0x7f), "saturate", 0),
		castCase("float8e5m2, not saturated", 21, vec(57344, 1e6, -inf32), vec[onnx.F8E5M2](0x7b, 0x7c, 0xfc), "saturate", 0),
		castCase("float8e5m2fnuz", 19, vec(float32(math.Copysign(0, -1)), 1e6), vec[onnx.F8E5M2UZ](0, 0x7f)),
		castCase("float8 to float8", 19, vec[onnx.F8E5M2](0x3c), vec[onnx.F8E4M3](0x38)),
		{name: "first", op: "Cast", opset: 1, attrs: []any{"to", "INT32"}, in: []onnx.Value{vec(1.5)}, want: vec[int32](1)},
		{name: "no such name", op: "Cast", opset: 1, attrs: []any{"to", "INT33"}, in: []onnx.Value{vec(1.5)}, err: onnx.ErrType},
		{name: "no such type", op: "Cast", opset: 13, attrs: []any{"to", 99}, in: []onnx.Value{vec(1.5)}, err: onnx.ErrType},
		{name: "no type", op: "Cast", opset: 13, in: []onnx.Value{vec(1.5)}, err: onnx.ErrType},
		{name: "type beyond 32 bits", op: "Cast", opset: 13, attrs: []any{"to", int64(1)<<32 + 1}, in: []onnx.Value{vec(1.5)}, err: onnx.ErrType},
		{name: "not in this version", op: "Cast", opset: 9, attrs: []any{"to", int(onnx.BFloat16)}, in: []onnx.Value{vec(1.5)}, err: onnx.ErrType},
		{name: "complex", op: "Cast", opset: 13, attrs: []any{"to", int(onnx.Complex64)}, in: []onnx.Value{vec(1.5)}, err: onnx.ErrType},
		{name: "like", op: "CastLike", opset: 15, in: []onnx.Value{vec(1.5, 2), vec[int8](0)}, want: vec[int8](1, 2)},
		{name: "like strings", op: "CastLike", opset: 19, in: []onnx.Value{vec(1.5, 2), vec("")}, want: vec("1.5", "2")},
		{name: "same type", op: "CastLike", opset: 19, in: []onnx.Value{vec("x"), vec("")}, want: vec("x")},
	})
}

func TestCastStrings(t *testing.T) {
	runElementCases(t, []elementCase{
		castCase("of float", 9, vec(0.1, 3, -1e-7, 1e20, 123456.78, inf32, -inf32, nan32), vec("0.1", "3", "-1e-07", "1e+20", "123456.78", "INF", "-INF", "NaN")),
		castCase("of double", 9, vec(0.1, 314.15926), vec("0.1", "314.15926")),
		castCase("of integers", 9, vec[int64](-5, math.MaxInt64), vec("-5", "9223372036854775807")),
		castCase("of uint64", 9, vec[uint64](math.MaxUint64), vec("18446744073709551615")),
		castCase("of truth", 9, vec(true, false), vec("1", "0")),
		castCase("of float16", 13, vec(onnx.ToF16(0.5)), vec("0.5")),
		castCase("to float", 9, vec("3.14", " 1e-5", "1E8", "+INF", "inf", "-Inf", "nan", "1e99"), vec(3.14, 1e-5, 1e8, inf32, inf32, -inf32, nan32, inf32)),
		castCase("to double", 9, vec("0.1"), vec(0.1)),
		castCase("to int64", 9, vec("9223372036854775807", "-12", "100.5"), vec[int64](math.MaxInt64, -12, 100)),
		castCase("to uint64", 9, vec("18446744073709551615"), vec[uint64](math.MaxUint64)),
		castCase("to int8", 9, vec("300"), vec[int8](44)),
		castCase("to truth", 9, vec("1", "0", "True", "false"), vec(true, false, true, false)),
		castCase("to bfloat16", 13, vec("1.0"), vec[onnx.BF16](0x3f80)),
		castCase("to float8", 19, vec("0.5", "1e9"), vec[onnx.F8E4M3](0x30, 0x7e)),
		castCase("to int4", 21, vec("-8", "9"), vec[onnx.I4](-8, -7)),
		{name: "no number", op: "Cast", opset: 9, attrs: []any{"to", int(onnx.Float)}, in: []onnx.Value{vec("1", "Hello World!")}, err: onnx.ErrMalformed},
		{name: "no integer", op: "Cast", opset: 9, attrs: []any{"to", int(onnx.Int32)}, in: []onnx.Value{vec("")}, err: onnx.ErrMalformed},
	})
}

func TestCastE8M0(t *testing.T) {
	tiny, huge := float32(0x1p-130), float32(0x1.8p127)
	in := vec(0, tiny, 0.124, 0.25, 1.1, 1.5, 1.75, huge, inf32, nan32)
	code := func(exponents ...int) *onnx.Tensor {
		var out []onnx.F8E8M0
		for _, e := range exponents {
			out = append(out, onnx.F8E8M0(e+127))
		}
		return vec(out...)
	}
	const nan = 128
	runElementCases(t, []elementCase{
		castCase("up", 24, in, code(-127, -127, -3, -2, 1, 1, 1, 127, 127, nan)),
		castCase("down", 24, in, code(-127, -127, -4, -2, 0, 0, 0, 127, 127, nan), "round_mode", "down"),
		castCase("nearest", 24, in, code(-127, -127, -3, -2, 0, 1, 1, 127, 127, nan), "round_mode", "nearest"),
		castCase("nearest, not saturated", 24, in, code(nan, nan, -3, -2, 0, 1, 1, nan, nan, nan), "round_mode", "nearest", "saturate", 0),
		castCase("of double", 24, vec(1+1e-15), code(1)),
		castCase("to float", 24, code(-127, 0, 127, nan), vec(0x1p-127, 1, 0x1p127, nan32)),
		{name: "sideways", op: "Cast", opset: 24, attrs: []any{"to", int(onnx.Float8E8M0), "round_mode", "left"}, in: []onnx.Value{in}, err: onnx.ErrMalformed},
	})
}

// TestCastRoundsOnce converts what lies close to a tie of the narrow type: a
// first rounding to float32 would put it on the tie.
func TestCastRoundsOnce(t *testing.T) {
	below, above := math.Nextafter(1+0x1p-11, 0), math.Nextafter(1+0x1p-11, 2)
	runElementCases(t, []elementCase{
		castCase("float16 of double", 13, vec(below, 1+0x1p-11, above), vec[onnx.F16](0x3c00, 0x3c00, 0x3c01)),
		castCase("subnormal", 13, vec(0x1p-25, math.Nextafter(0x1p-25, 1), 1e-300), vec[onnx.F16](0, 1, 0)),
		castCase("bfloat16 of int64", 13, vec[int64](1<<40+1<<32, 1<<40+1<<32+1, 1<<40+1<<32-1), vec[onnx.BF16](0x5380, 0x5381, 0x5380)),
		castCase("bfloat16 of uint64", 13, vec[uint64](1<<63+1<<55+1), vec[onnx.BF16](0x5f01)),
		castCase("float8e4m3fn of double", 19, vec(math.Nextafter(1.0625, 0), 1.0625, math.Nextafter(1.0625, 2)), vec[onnx.F8E4M3](0x38, 0x38, 0x39)),
	})
}

// TestOddIntegers holds the conversion of many integers to bfloat16 against
// exact arithmetic.
func TestOddIntegers(t *testing.T) {
	var in []int64
	for shift := range 63 {
		for _, d := range []int64{-2, -1, 0, 1, 2} {
			in = append(in, 1<<shift+d, -(1<<shift + 1<<shift>>8 + d), 1<<shift+1<<shift>>9+d)
		}
	}
	out, err := compute(t, node("Cast", 1, "to", int(onnx.BFloat16)), 13, vec(in...))
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range onnx.Elements[onnx.BF16](out[0].(*onnx.Tensor)) {
		want, _ := new(big.Float).SetPrec(8).SetMode(big.ToNearestEven).SetInt64(in[i]).Float32()
		if got := g.Float32(); got != want {
			t.Errorf("%d became %v, want %v", in[i], got, want)
		}
	}
}

// TestCastAllPairs converts 1 from every type to every other.
func TestCastAllPairs(t *testing.T) {
	s := onnx.LookupSchema("", "Cast", onnx.LatestOpset(""))
	for _, from := range s.Inputs[0].Types.Elems() {
		for _, to := range s.Outputs[0].Types.Elems() {
			if !from.Valid() || !to.Valid() {
				continue
			}
			t.Run(fmt.Sprintf("%v/%v", from, to), func(t *testing.T) {
				x, _ := onnx.NewZeros(from, []int{2})
				if err := newConverter(onnx.Int32, from, rounding{saturate: true, mode: "up"})(x, vec[int32](1, 1), 0, 2); err != nil {
					t.Fatal(err)
				}
				out, err := compute(t, node("Cast", 1, "to", int(to)), s.Since, x)
				if err != nil {
					t.Fatal(err)
				}
				back, err := compute(t, node("Cast", 1, "to", int(onnx.Int32)), s.Since, out[0])
				if err != nil {
					t.Fatal(err)
				}
				if d := differ(back[0], vec[int32](1, 1), 0, 0); d != "" {
					t.Error(d)
				}
			})
		}
	}
}

func TestBitCast(t *testing.T) {
	bits := func(name string, in, want *onnx.Tensor) elementCase {
		return elementCase{name: name, op: "BitCast", opset: 26, attrs: []any{"to", int(want.DataType())}, in: []onnx.Value{in}, want: want}
	}
	runElementCases(t, []elementCase{
		bits("float to int32", vec[float32](1, -2), vec[int32](0x3f800000, -0x40000000)),
		bits("int64 to double", vec[int64](0x3ff0000000000000), vec(1.)),
		bits("complex64 to uint64", of([]int{1, 1}, complex64(1)), of([]int{1, 1}, uint64(0x3f800000))),
		bits("uint4 to int4", vec[onnx.U4](15, 7), vec[onnx.I4](-1, 7)),
		bits("int4 to float4", vec[onnx.I4](-1, 7), vec[onnx.F4E2M1](15, 7)),
		bits("int2 to uint2", vec[onnx.I2](-1), vec[onnx.U2](3)),
		bits("uint8 to bool", vec[uint8](0, 1, 2), vec(false, true, true)),
		bits("float16 to bfloat16", vec[onnx.F16](0x3c00), vec[onnx.BF16](0x3c00)),
		bits("scalar", onnx.Scalar[uint8](200), onnx.Scalar[int8](-56)),
		bits("same", vec[int8](1), vec[int8](1)),
		{name: "other width", op: "BitCast", opset: 26, attrs: []any{"to", int(onnx.Int64)}, in: []onnx.Value{vec[int32](1)}, err: onnx.ErrType},
		{name: "int4 to int8", op: "BitCast", opset: 26, attrs: []any{"to", int(onnx.Int8)}, in: []onnx.Value{vec[onnx.I4](1)}, err: onnx.ErrType},
		{name: "to string", op: "BitCast", opset: 26, attrs: []any{"to", int(onnx.String)}, in: []onnx.Value{vec[int32](1)}, err: onnx.ErrType},
	})
}

// TestHalvesAtLevels wants the bits of plain Go from the conversions between
// float16 and float32 at every level: of all halves, and of numbers of all sizes
// and those beside the middle between two halves.
func TestHalvesAtLevels(t *testing.T) {
	halves, floats := make([]onnx.F16, 1<<16), make([]float32, 0, 3<<16)
	for i := range halves {
		halves[i] = onnx.F16(i)
		f := halves[i].Float32()
		floats = append(floats, f, math.Nextafter32(f, 0), math.Float32frombits(math.Float32bits(f)+0x1000), math.Float32frombits(math.Float32bits(f)+0xfff))
	}
	for b := uint64(0); b < 1<<32; b += 130_003 {
		floats = append(floats, math.Float32frombits(uint32(b)))
	}
	for _, l := range kernel.Levels() {
		wide, narrow := onnx.MustTensor([]int{len(halves)}, make([]float32, len(halves))), onnx.MustTensor([]int{len(floats)}, make([]onnx.F16, len(floats)))
		if err := newConverter(onnx.Float16, onnx.Float, rounding{level: l})(wide, onnx.MustTensor([]int{len(halves)}, halves), 0, len(halves)); err != nil {
			t.Fatal(err)
		}
		for i, h := range halves {
			got, want := onnx.Elements[float32](wide)[i], h.Float32()
			if math.Float32bits(got) != math.Float32bits(want) && (got == got || want == want) {
				t.Fatalf("%v: half %#x is %v, want %v", l, uint16(h), got, want)
			}
		}
		if err := newConverter(onnx.Float, onnx.Float16, rounding{level: l})(narrow, onnx.MustTensor([]int{len(floats)}, floats), 0, len(floats)); err != nil {
			t.Fatal(err)
		}
		for i, f := range floats {
			if got, want := onnx.Elements[onnx.F16](narrow)[i], onnx.ToF16(f); got != want {
				t.Fatalf("%v: %v becomes half %#x, want %#x", l, f, uint16(got), uint16(want))
			}
		}
	}
}
