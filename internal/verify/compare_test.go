package verify

import (
	"math"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func vector[T onnx.Element](v ...T) *onnx.Tensor { return onnx.MustTensor([]int{len(v)}, v) }

func TestCompare(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	f := func(v ...float64) *onnx.Tensor { return vector(v...) }
	half := func(v ...float32) *onnx.Tensor {
		h := make([]onnx.F16, len(v))
		for i := range v {
			h[i] = onnx.ToF16(v[i])
		}
		return vector(h...)
	}
	list := func(v ...onnx.Value) *onnx.Sequence { return onnx.NewSequence(v...) }
	absent, present := &onnx.Optional{}, &onnx.Optional{Value: f(1)}
	dict := func(keys []int64, values ...float64) *onnx.Map {
		return &onnx.Map{Keys: vector(keys...), Values: f(values...)}
	}
	sparse := func(at int64, v float64) *onnx.SparseTensor {
		return &onnx.SparseTensor{Dims: []int{4}, Indices: vector(at), Values: f(v)}
	}
	for _, c := range []struct {
		name      string
		got, want onnx.Value
		tol       Tolerance
		says      string // "" for equal
	}{
		// Kinds, types and shapes.
		{"another type", vector[float32](1), f(1), Tolerance{Atol: 9}, "type float, want double"},
		{"int32 for int64", vector[int32](1), vector[int64](1), Tolerance{}, "type int32, want int64"},
		{"bool for uint8", vector(true), vector[uint8](1), Tolerance{}, "type bool, want uint8"},
		{"[1] for a scalar", f(1), onnx.Scalar(1.0), Tolerance{}, "shape [1], want []"},
		{"a scalar for [1]", onnx.Scalar(1.0), f(1), Tolerance{}, "shape [], want [1]"},
		{"[2 1] for [1 2]", onnx.MustTensor([]int{2, 1}, []int8{1, 2}), onnx.MustTensor([]int{1, 2}, []int8{1, 2}), Tolerance{}, "shape [2 1], want [1 2]"},
		{"[0 2] for [0 3]", onnx.MustTensor([]int{0, 2}, []int8{}), onnx.MustTensor([]int{0, 3}, []int8{}), Tolerance{}, "shape [0 2], want [0 3]"},
		{"nothing", onnx.MustTensor([]int{0, 3}, []int8{}), onnx.MustTensor([]int{0, 3}, []int8{}), Tolerance{}, ""},
		{"scalars", onnx.Scalar(1.0), onnx.Scalar(1.5), Tolerance{}, "[] is 1, want 1.5; 1 of 1 differ"},
		{"type before shape", vector[float32](1, 2), f(1), Tolerance{}, "type float, want double"},
		{"without numbers", f(1, nan), f(2, 3), Tolerance{SkipNumbers: true}, ""},
		{"without numbers, but a type", vector[int8](1), f(2), Tolerance{SkipNumbers: true}, "type int8, want double"},
		{"without numbers, but a shape", f(1), f(2, 3), Tolerance{SkipNumbers: true}, "shape [1], want [2]"},

		// Floating point.
		{"equal", f(1, -2, 0), f(1, -2, 0), Tolerance{}, ""},
		{"zeros of both signs", f(math.Copysign(0, -1)), f(0), Tolerance{}, ""},
		{"at the absolute edge", f(1.5), f(1), Tolerance{Atol: 0.5}, ""},
		{"beyond the absolute edge", f(math.Nextafter(1.5, 2)), f(1), Tolerance{Atol: 0.5}, "[0] is 1.5000000000000002, want 1; 1 of 1 differ"},
		{"at the relative edge", f(6), f(4), Tolerance{Rtol: 0.5}, ""},
		{"relative to what is wanted", f(4), f(6), Tolerance{Rtol: 0.25}, "[0] is 4, want 6; 1 of 1 differ"},
		{"relative to a negative", f(-6), f(-4), Tolerance{Rtol: 0.5}, ""},
		{"at the sum", f(7), f(4), Tolerance{Rtol: 0.5, Atol: 1}, ""},
		{"beyond the sum", f(7.5), f(4), Tolerance{Rtol: 0.5, Atol: 1}, "7.5"},
		{"relative to zero", f(1e-300), f(0), Tolerance{Rtol: 1}, "[0] is 1e-300, want 0"},
		{"NaNs", f(nan), f(nan), Tolerance{}, ""},
		{"NaN for a number", f(nan), f(1), Tolerance{Atol: inf}, "[0] is NaN, want 1"},
		{"a number for NaN", f(1), f(nan), Tolerance{Atol: inf}, "[0] is 1, want NaN"},
		{"infinities", f(inf, -inf), f(inf, -inf), Tolerance{}, ""},
		{"the other infinity", f(-inf), f(inf), Tolerance{Atol: inf}, "[0] is -Inf, want +Inf"},
		{"infinity for a number", f(inf), f(math.MaxFloat64), Tolerance{Atol: inf}, "[0] is +Inf"},
		{"a number for infinity", f(math.MaxFloat64), f(inf), Tolerance{Rtol: 1}, "want +Inf"},
		{"NaN for infinity", f(nan), f(inf), Tolerance{Atol: inf}, "[0] is NaN"},
		{"a distance beyond all numbers", f(math.MaxFloat64), f(-math.MaxFloat64), Tolerance{Rtol: 1}, "1 of 1 differ"},
		{"float32", vector[float32](0.1), vector[float32](0.25), Tolerance{Atol: 0.125}, "[0] is 0.1, want 0.25"},
		{"the worst of several", onnx.MustTensor([]int{2, 2}, []float64{1, 5, 3, 9}), onnx.MustTensor([]int{2, 2}, []float64{1, 6, 7, 8}), Tolerance{}, "[1 0] is 3, want 7; 3 of 4 differ"},
		{"the worst beyond what is allowed", f(105, 2), f(100, 0), Tolerance{Rtol: 0.04}, "[1] is 2, want 0; 2 of 2 differ"},
		{"not finite is worst", f(1e9, nan, inf), f(0, 0, 0), Tolerance{}, "[1] is NaN, want 0; 3 of 3 differ"},
		{"float16", half(1, 2), half(1, 2.001953125), Tolerance{Atol: 0.002}, ""},
		{"float16 beyond", half(1, 2), half(1, 2.001953125), Tolerance{Atol: 0.0019}, "[1] is 2, want 2.0019531"},
		{"float16 NaN", vector(onnx.F16(0x7e00)), vector(onnx.F16(0xfe01)), Tolerance{}, ""},
		{"bfloat16", vector(onnx.ToBF16(3)), vector(onnx.ToBF16(3.5)), Tolerance{}, "[0] is 3, want 3.5"},
		{"float8", vector(onnx.ToF8E4M3(1, true)), vector(onnx.ToF8E4M3(1.125, true)), Tolerance{Atol: 0.125}, ""},
		{"float8 NaN", vector(onnx.F8E5M2(0x7f)), vector(onnx.F8E5M2(0x7e)), Tolerance{}, ""},
		{"float8 infinity", vector(onnx.F8E5M2(0x7c)), vector(onnx.F8E5M2(0xfc)), Tolerance{Atol: inf}, "+Inf, want -Inf"},
		{"float4", vector(onnx.ToF4E2M1(6)), vector(onnx.ToF4E2M1(4)), Tolerance{Atol: 1}, "[0] is 6, want 4"},
		{"complex", vector(complex(1, 2)), vector(complex(1, 2.5)), Tolerance{Atol: 0.5}, ""},
		{"an imaginary part", vector(complex(1, 2)), vector(complex(1, 2.5)), Tolerance{Atol: 0.25}, "[0] is (1+2i), want (1+2.5i)"},
		{"a real part", vector[complex64](complex(1, 2)), vector[complex64](complex(3, 2)), Tolerance{Atol: 1}, "1 of 1 differ"},

		// Integers, bools and strings.
		{"integers", vector[int64](1, 2), vector[int64](1, 3), Tolerance{Atol: 9, Rtol: 9}, "[1] is 2, want 3; 1 of 2 differ"},
		{"integers apart", vector[int8](1, 2), vector[int8](3, 2), Tolerance{Int: 2}, ""},
		{"integers too far apart", vector[uint8](0, 255), vector[uint8](2, 252), Tolerance{Int: 2}, "[1] is 255, want 252; 1 of 2 differ"},
		{"integers beyond float64", vector[int64](1<<60 + 1), vector[int64](1 << 60), Tolerance{}, "1152921504606846977, want 1152921504606846976"},
		{"the whole range", vector[int64](math.MinInt64), vector[int64](math.MaxInt64), Tolerance{Int: math.MaxInt64}, "1 of 1 differ"},
		{"unsigned, near the top", vector[uint64](math.MaxUint64), vector[uint64](math.MaxUint64 - 1), Tolerance{Int: 1}, ""},
		{"int4", vector(onnx.I4(-8)), vector(onnx.I4(7)), Tolerance{Int: 14}, "[0] is -8, want 7"},
		{"bools", vector(true, false), vector(true, true), Tolerance{Int: 1, Atol: 1}, "[1] is false, want true; 1 of 2 differ"},
		{"strings", vector("a", "\xff"), vector("a", "\xff"), Tolerance{}, ""},
		{"other bytes", vector("é"), vector("e\u0301"), Tolerance{Int: 1, Atol: 1}, `[0] is "é"`},

		// Sequences, optionals, maps.
		{"a sequence for a tensor", list(f(1)), f(1), Tolerance{}, "kind sequence, want tensor"},
		{"an optional for a tensor", present, f(1), Tolerance{}, "kind optional, want tensor"},
		{"a tensor for an optional", f(1), present, Tolerance{}, "kind tensor, want optional"},
		{"sequences", list(f(1), f(2, 3)), list(f(1), f(2, 3.5)), Tolerance{Atol: 0.5}, ""},
		{"a shorter sequence", list(f(1)), list(f(1), f(2)), Tolerance{}, "length 1, want 2"},
		{"an item", list(f(1), f(2, 3)), list(f(1), f(2, 3.5)), Tolerance{}, "item 1: [1] is 3, want 3.5; 1 of 2 differ"},
		{"an item's type", list(vector[float32](1)), list(f(1)), Tolerance{}, "item 0: type float, want double"},
		{"empty sequences", &onnx.Sequence{Elem: f(1).Type()}, list(), Tolerance{}, ""},
		{"an item of an item", list(list(f(1))), list(list(f(2))), Tolerance{}, "item 0 item 0: [0] is 1"},
		{"both absent", &onnx.Optional{Elem: f(1).Type()}, absent, Tolerance{}, ""},
		{"absent", absent, present, Tolerance{}, "optional empty, want holds a tensor"},
		{"present", present, absent, Tolerance{SkipNumbers: true}, "optional holds a tensor, want empty"},
		{"both present", present, &onnx.Optional{Value: f(2)}, Tolerance{}, "optional: [0] is 1, want 2"},
		{"an optional of another kind", present, &onnx.Optional{Value: list(f(1))}, Tolerance{}, "optional: kind tensor, want sequence"},
		{"maps in another order", dict([]int64{1, 2}, 10, 20), dict([]int64{2, 1}, 20, 10), Tolerance{}, ""},
		{"a map's value", dict([]int64{1, 2}, 10, 20), dict([]int64{2, 1}, 21, 10), Tolerance{}, "key 2: [] is 20, want 21"},
		{"a map's keys", dict([]int64{1, 2}, 10, 20), dict([]int64{1, 3}, 10, 20), Tolerance{Int: 5}, "keys: [] is 2, want 3"},
		{"a map's size", dict([]int64{1, 2}, 10, 20), dict([]int64{1}, 10), Tolerance{}, "length 2, want 1"},
		{"sparse tensors", sparse(1, 2), sparse(1, 2.5), Tolerance{Atol: 0.5}, ""},
		{"a sparse tensor's indices", sparse(1, 2), sparse(2, 2), Tolerance{Int: 1}, "indices: [0] is 1, want 2"},
		{"a sparse tensor's values", sparse(1, 2), sparse(1, 3), Tolerance{}, "values: [0] is 2, want 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			if m := Compare(c.got, c.want, c.tol); m != nil {
				got = m.String()
			}
			if !strings.Contains(got, c.says) || (got == "") != (c.says == "") {
				t.Errorf("%q, want %q", got, c.says)
			}
		})
	}
}

// TestEveryTypeHasRules keeps the table of element types complete.
func TestEveryTypeHasRules(t *testing.T) {
	for d := onnx.DataType(1); d.Valid(); d++ {
		v, err := onnx.NewZeros(d, []int{2})
		if err != nil {
			t.Fatal(err)
		}
		if m := Compare(v, v.Clone(), Tolerance{}); m != nil {
			t.Errorf("%v: zeros differ: %v", d, m)
		}
		if text(v, 1) == "" {
			t.Errorf("%v: an element has no text", d)
		}
	}
}

func TestIdentical(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b onnx.Value
		says string
	}{
		{"equal", vector[float32](1, 2), vector[float32](1, 2), ""},
		{"NaNs of other bits", vector(onnx.F16(0x7e00)), vector(onnx.F16(0x7e01)), "[0] is NaN"},
		{"zeros of both signs", vector(0.0), vector(math.Copysign(0, -1)), "[0] is 0, want -0"},
		{"strings", vector("a", "b"), vector("a", "c"), `[1] is "b", want "c"; 1 of 2 differ`},
		{"shapes", vector[int8](1), onnx.Scalar(int8(1)), "shape [1], want []"},
		{"sequences", onnx.NewSequence(vector[int8](1)), onnx.NewSequence(vector[int8](2)), "item 0: [0] is 1"},
		{"optionals", &onnx.Optional{Value: vector(1.0)}, &onnx.Optional{Value: vector(2.0)}, "optional: [0] is 1"},
		{"absent optionals", &onnx.Optional{}, &onnx.Optional{}, ""},
		{"maps", &onnx.Map{Keys: vector("a"), Values: vector(1.0)}, &onnx.Map{Keys: vector("a"), Values: vector(2.0)}, "values: [0]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			if m := identical(c.a, c.b); m != nil {
				got = m.String()
			}
			if !strings.Contains(got, c.says) || (got == "") != (c.says == "") {
				t.Errorf("%q, want %q", got, c.says)
			}
		})
	}
}
