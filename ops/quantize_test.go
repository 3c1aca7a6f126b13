package ops

import (
	"errors"
	"math"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func TestQuantizeLinear(t *testing.T) {
	f := func(shape []int, v ...float32) *onnx.Tensor { return onnx.MustTensor(shape, v) }
	half := func(v ...float32) *onnx.Tensor {
		out := make([]onnx.F16, len(v))
		for i := range v {
			out[i] = onnx.ToF16(v[i])
		}
		return onnx.MustTensor([]int{len(v)}, out)
	}
	nan := float32(math.NaN())
	for _, c := range []struct {
		name  string
		opset int
		attrs []any
		in    []onnx.Value
		want  *onnx.Tensor
	}{
		{"uint8, ties to even", 10, nil, []onnx.Value{f([]int{6}, 1, 3, 5, 1000, -1000, nan), f(nil, 2)}, onnx.MustTensor([]int{6}, []uint8{0, 2, 2, 255, 0, 0})},
		{"int8", 10, nil, []onnx.Value{f([]int{3}, 1, -300, 300), f(nil, 1), onnx.Scalar(int8(10))}, onnx.MustTensor([]int{3}, []int8{11, -128, 127})},
		{"int32 input", 13, nil, []onnx.Value{onnx.MustTensor([]int{2}, []int32{7, -9}), f(nil, 2), onnx.Scalar(int8(0))}, onnx.MustTensor([]int{2}, []int8{4, -4})},
		{"scalar for rank 0", 13, nil, []onnx.Value{f(nil, 9), f(nil, 3)}, onnx.Scalar(uint8(3))},
		{"axis 1", 13, nil, []onnx.Value{f([]int{2, 2}, 4, 4, 8, 8), f([]int{2}, 2, 4), onnx.MustTensor([]int{2}, []uint8{0, 100})}, onnx.MustTensor([]int{2, 2}, []uint8{2, 101, 4, 102})},
		{"axis -2", 13, []any{"axis", -2}, []onnx.Value{f([]int{2, 2}, 4, 4, 8, 8), f([]int{2}, 2, 4), onnx.MustTensor([]int{2}, []uint8{0, 100})}, onnx.MustTensor([]int{2, 2}, []uint8{2, 2, 102, 102})},
		{"blocks of the last axis", 21, []any{"block_size", 2, "output_dtype", int(onnx.Int16)}, []onnx.Value{f([]int{2, 3}, 10, 20, 30, 40, 50, 60), f([]int{2, 2}, 1, 2, 5, 10)}, onnx.MustTensor([]int{2, 3}, []int16{10, 20, 15, 8, 10, 6})},
		{"blocks of the first axis", 21, []any{"axis", 0, "block_size", 2}, []onnx.Value{f([]int{3, 2}, 10, 20, 30, 40, 50, 60), f([]int{2, 2}, 1, 2, 5, 10), onnx.MustTensor([]int{2, 2}, []int8{0, 1, 2, 3})}, onnx.MustTensor([]int{3, 2}, []int8{10, 11, 30, 21, 12, 9})},
		{"uint4", 21, []any{"output_dtype", int(onnx.Uint4)}, []onnx.Value{f([]int{3}, -1, 7, 99), f(nil, 1)}, onnx.MustTensor([]int{3}, []onnx.U4{0, 7, 15})},
		{"int4", 21, nil, []onnx.Value{f([]int{3}, -99, 7, 99), f(nil, 1), onnx.Scalar(onnx.I4(-1))}, onnx.MustTensor([]int{3}, []onnx.I4{-8, 6, 7})},
		{"int2", 25, nil, []onnx.Value{f([]int{3}, -99, 0, 99), f(nil, 1), onnx.Scalar(onnx.I2(0))}, onnx.MustTensor([]int{3}, []onnx.I2{-2, 0, 1})},
		{"uint16", 21, nil, []onnx.Value{f([]int{2}, 1e6, 3), f(nil, 1), onnx.Scalar(uint16(7))}, onnx.MustTensor([]int{2}, []uint16{65535, 10})},
		{"float8 saturates", 19, nil, []onnx.Value{f([]int{2}, 1000, 2), f(nil, 2), onnx.Scalar(onnx.F8E4M3(0))}, onnx.MustTensor([]int{2}, []onnx.F8E4M3{0x7e, 0x38})},
		{"float8 does not", 19, []any{"saturate", 0}, []onnx.Value{f([]int{2}, 1e6, 2), f(nil, 2), onnx.Scalar(onnx.F8E5M2(0))}, onnx.MustTensor([]int{2}, []onnx.F8E5M2{0x7c, 0x3c})},
		{"float4", 23, []any{"output_dtype", int(onnx.Float4E2M1)}, []onnx.Value{f([]int{3}, 1, 20, -3), f(nil, 2)}, onnx.MustTensor([]int{3}, []onnx.F4E2M1{1, 7, 11})},
		// 5/3.334 is 1.4997, and in float16 1.5.
		{"float16 divides in float16", 19, nil, []onnx.Value{half(5, 1), onnx.Scalar(onnx.ToF16(3.3333)), onnx.Scalar(int8(0))}, onnx.MustTensor([]int{2}, []int8{2, 0})},
		{"precision float16", 23, []any{"precision", int(onnx.Float16)}, []onnx.Value{f([]int{1}, 2.4999), f(nil, 1), onnx.Scalar(int8(0))}, onnx.MustTensor([]int{1}, []int8{2})},
		{"precision float16 rounds up", 23, []any{"precision", int(onnx.Float16)}, []onnx.Value{f([]int{1}, 1.4999), f(nil, 1), onnx.Scalar(int8(0))}, onnx.MustTensor([]int{1}, []int8{2})},
		{"no elements", 13, nil, []onnx.Value{f([]int{0, 2}), f([]int{2}, 2, 4)}, onnx.MustTensor([]int{0, 2}, []uint8{})},
	} {
		out, err := compute(t, node("QuantizeLinear", 1, c.attrs...), c.opset, c.in...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if d := differ(out[0], c.want, 0, 0); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestDequantizeLinear(t *testing.T) {
	f := func(shape []int, v ...float32) *onnx.Tensor { return onnx.MustTensor(shape, v) }
	for _, c := range []struct {
		name  string
		opset int
		attrs []any
		in    []onnx.Value
		want  *onnx.Tensor
	}{
		{"uint8", 10, nil, []onnx.Value{onnx.MustTensor([]int{3}, []uint8{0, 128, 255}), f(nil, 2), onnx.Scalar(uint8(128))}, f([]int{3}, -256, 0, 254)},
		{"int32", 13, nil, []onnx.Value{onnx.MustTensor([]int{2}, []int32{math.MinInt32, 5}), f(nil, 0.5)}, f([]int{2}, -1<<30, 2.5)},
		{"axis", 13, []any{"axis", 0}, []onnx.Value{onnx.MustTensor([]int{2, 2}, []int8{1, 2, 3, 4}), f([]int{2}, 1, 10), onnx.MustTensor([]int{2}, []int8{0, 1})}, f([]int{2, 2}, 1, 2, 20, 30)},
		{"blocks", 21, []any{"axis", 1, "block_size", 2}, []onnx.Value{onnx.MustTensor([]int{1, 3}, []onnx.I4{1, -2, 3}), f([]int{1, 2}, 1, 10)}, f([]int{1, 3}, 1, -2, 30)},
		{"float8", 19, nil, []onnx.Value{onnx.MustTensor([]int{2}, []onnx.F8E4M3{0x38, 0x7e}), f(nil, 2)}, f([]int{2}, 2, 896)},
		{"float16 scale", 19, nil, []onnx.Value{onnx.MustTensor([]int{2}, []int8{3, -4}), onnx.Scalar(onnx.ToF16(0.5))}, onnx.MustTensor([]int{2}, []onnx.F16{onnx.ToF16(1.5), onnx.ToF16(-2)})},
		{"output_dtype", 23, []any{"output_dtype", int(onnx.BFloat16)}, []onnx.Value{onnx.MustTensor([]int{1}, []int8{3}), f(nil, 0.5)}, onnx.MustTensor([]int{1}, []onnx.BF16{onnx.ToBF16(1.5)})},
		{"power-of-two scale", 24, []any{"output_dtype", int(onnx.Float)}, []onnx.Value{onnx.MustTensor([]int{1}, []onnx.F4E2M1{7}), onnx.Scalar(onnx.F8E8M0(128))}, f([]int{1}, 12)},
		{"uint2", 25, nil, []onnx.Value{onnx.MustTensor([]int{2}, []onnx.U2{3, 0}), f(nil, 2), onnx.Scalar(onnx.U2(1))}, f([]int{2}, 4, -2)},
	} {
		out, err := compute(t, node("DequantizeLinear", 1, c.attrs...), c.opset, c.in...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if d := differ(out[0], c.want, 0, 0); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestQuantizeErrors(t *testing.T) {
	x := onnx.MustTensor([]int{2, 3}, make([]float32, 6))
	scale := func(shape ...int) *onnx.Tensor {
		n, _ := onnx.NumElements(shape)
		return onnx.MustTensor(shape, make([]float32, n))
	}
	for _, c := range []struct {
		name  string
		attrs []any
		in    []onnx.Value
		want  error
	}{
		{"axis out of range", []any{"axis", 2}, []onnx.Value{x, scale(3)}, onnx.ErrShape},
		{"scale of another length", nil, []onnx.Value{x, scale(2)}, onnx.ErrShape},
		{"scale of rank 2 without blocks", nil, []onnx.Value{x, scale(2, 3)}, onnx.ErrShape},
		{"wrong number of blocks", []any{"block_size", 2}, []onnx.Value{x, scale(2, 1)}, onnx.ErrShape},
		{"negative block size", []any{"block_size", -1}, []onnx.Value{x, scale(2, 1)}, onnx.ErrMalformed},
		{"zero point of another shape", nil, []onnx.Value{x, scale(3), onnx.Scalar(int8(0))}, onnx.ErrShape},
		{"output_dtype against zero point", []any{"output_dtype", int(onnx.Uint8)}, []onnx.Value{x, scale(), onnx.Scalar(int8(0))}, onnx.ErrType},
		{"no such output type", []any{"output_dtype", int(onnx.Float)}, []onnx.Value{x, scale()}, onnx.ErrUnsupported},
		{"no type", []any{"output_dtype", 99}, []onnx.Value{x, scale()}, onnx.ErrType},
	} {
		if _, err := compute(t, node("QuantizeLinear", 1, c.attrs...), 21, c.in...); !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.want)
		}
	}
	if _, err := compute(t, node("DequantizeLinear", 1), 24, onnx.MustTensor([]int{1}, []int8{1}), onnx.Scalar(onnx.F8E8M0(1))); !errors.Is(err, onnx.ErrType) {
		t.Errorf("a scale of float8e8m0 without output_dtype: error %v, want %v", err, onnx.ErrType)
	}
}

func TestDynamicQuantizeLinear(t *testing.T) {
	for _, c := range []struct {
		in    []float32
		want  []uint8
		scale float32
		zero  uint8
	}{
		// range -1..1.55, scale 0.01, zero point 100
		{[]float32{-1, 0, 1.55, 0.5}, []uint8{0, 100, 255, 150}, 0.01, 100},
		{[]float32{2.55, 1}, []uint8{255, 100}, 0.01, 0},
		{[]float32{-2.55, -1}, []uint8{0, 155}, 0.01, 255},
		{[]float32{0, 0}, []uint8{0, 0}, 1, 0},
		{nil, nil, 1, 0},
	} {
		out, err := compute(t, node("DynamicQuantizeLinear", 3), 11, onnx.MustTensor([]int{len(c.in)}, c.in))
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []*onnx.Tensor{onnx.MustTensor([]int{len(c.in)}, c.want), onnx.Scalar(c.scale), onnx.Scalar(c.zero)} {
			if d := differ(out[i], want, 1e-6, 0); d != "" {
				t.Errorf("%v: output %d: %s", c.in, i, d)
			}
		}
	}
}

func TestQuantizeAllocations(t *testing.T) {
	x := onnx.MustTensor([]int{4, 10}, make([]float32, 40))
	scale, zero := onnx.Scalar(float32(1)), onnx.Scalar(uint8(1))
	q := onnx.MustTensor([]int{4, 10}, make([]uint8, 40))
	for _, a := range []float64{
		steadyAllocs(t, node("QuantizeLinear", 1), 21, x, scale, zero),
		steadyAllocs(t, node("DequantizeLinear", 1), 21, q, scale, zero),
		steadyAllocs(t, node("DynamicQuantizeLinear", 3), 11, x),
	} {
		if a != 0 {
			t.Errorf("%v allocations", a)
		}
	}
}
