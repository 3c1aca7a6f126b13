package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

// realIO reads and writes elements as float64, for operators that interpolate:
// a complex number as two, an integer truncated and brought into its range.
var realIO = map[onnx.DataType]realReader{
	onnx.Float:      {1, loadNumbers[float32], storeFloats[float32]},
	onnx.Double:     {1, loadNumbers[float64], storeFloats[float64]},
	onnx.Float16:    {1, loadNarrow, storeNarrow},
	onnx.BFloat16:   {1, loadNarrow, storeNarrow},
	onnx.Int8:       {1, loadNumbers[int8], storeIntegers[int8](math.MinInt8, math.MaxInt8)},
	onnx.Int16:      {1, loadNumbers[int16], storeIntegers[int16](math.MinInt16, math.MaxInt16)},
	onnx.Int32:      {1, loadNumbers[int32], storeIntegers[int32](math.MinInt32, math.MaxInt32)},
	onnx.Int64:      {1, loadNumbers[int64], storeIntegers[int64](math.MinInt64, math.MaxInt64)},
	onnx.Uint8:      {1, loadNumbers[uint8], storeIntegers[uint8](0, math.MaxUint8)},
	onnx.Uint16:     {1, loadNumbers[uint16], storeIntegers[uint16](0, math.MaxUint16)},
	onnx.Uint32:     {1, loadNumbers[uint32], storeIntegers[uint32](0, math.MaxUint32)},
	onnx.Uint64:     {1, loadNumbers[uint64], storeIntegers[uint64](0, math.MaxUint64)},
	onnx.Complex64:  {2, loadComplex[complex64], storeComplex[complex64]},
	onnx.Complex128: {2, loadComplex[complex128], storeComplex[complex128]},
}

type realReader struct {
	parts int // numbers of an element
	load  func(dst []float64, t *onnx.Tensor)
	store func(t *onnx.Tensor, src []float64)
}

func loadNumbers[T element](dst []float64, t *onnx.Tensor) {
	for i, v := range onnx.Elements[T](t) {
		dst[i] = float64(v)
	}
}

func storeFloats[T floating](t *onnx.Tensor, src []float64) {
	for i, v := range src {
		onnx.Elements[T](t)[i] = T(v)
	}
}

// storeIntegers truncates towards zero; NaN becomes 0.
func storeIntegers[T interface {
	kernel.Integer
	element
}](low, high T) func(t *onnx.Tensor, src []float64) {
	return func(t *onnx.Tensor, src []float64) {
		dst := onnx.Elements[T](t)
		for i, v := range src {
			switch {
			case v != v:
				dst[i] = 0
			case v >= float64(high):
				dst[i] = high
			case v <= float64(low):
				dst[i] = low
			default:
				dst[i] = kernel.ToInteger[T](v)
			}
		}
	}
}

func loadNarrow(dst []float64, t *onnx.Tensor) {
	switch t.DataType() {
	case onnx.Float16:
		for i, v := range onnx.Elements[onnx.F16](t) {
			dst[i] = float64(v.Float32())
		}
	case onnx.BFloat16:
		for i, v := range onnx.Elements[onnx.BF16](t) {
			dst[i] = float64(v.Float32())
		}
	}
}

// storeNarrow rounds once.
func storeNarrow(t *onnx.Tensor, src []float64) {
	switch t.DataType() {
	case onnx.Float16:
		for i, v := range src {
			onnx.Elements[onnx.F16](t)[i] = onnx.ToF16(kernel.Odd32(v))
		}
	case onnx.BFloat16:
		for i, v := range src {
			onnx.Elements[onnx.BF16](t)[i] = onnx.ToBF16(kernel.Odd32(v))
		}
	}
}

func loadComplex[T complex64 | complex128](dst []float64, t *onnx.Tensor) {
	for i, v := range onnx.Elements[T](t) {
		z := complex128(v)
		dst[2*i], dst[2*i+1] = real(z), imag(z)
	}
}

func storeComplex[T complex64 | complex128](t *onnx.Tensor, src []float64) {
	dst := onnx.Elements[T](t)
	for i := range dst {
		dst[i] = T(complex(src[2*i], src[2*i+1]))
	}
}
