package verify

import (
	"fmt"
	"math"
	"strconv"

	"github.com/recur-ml/recur/onnx"
)

// rules are how elements of one type are compared and written.
type rules struct {
	judge func(got, want *onnx.Tensor, tol Tolerance) func(i int) (excess float64, wrong bool)
	text  func(t *onnx.Tensor, i int) string
}

var elements = map[onnx.DataType]rules{
	onnx.Float:          floats(func(v float32) float64 { return float64(v) }),
	onnx.Double:         floats(func(v float64) float64 { return v }),
	onnx.Float16:        floats(widened[onnx.F16]),
	onnx.BFloat16:       floats(widened[onnx.BF16]),
	onnx.Float8E4M3FN:   floats(widened[onnx.F8E4M3]),
	onnx.Float8E4M3FNUZ: floats(widened[onnx.F8E4M3UZ]),
	onnx.Float8E5M2:     floats(widened[onnx.F8E5M2]),
	onnx.Float8E5M2FNUZ: floats(widened[onnx.F8E5M2UZ]),
	onnx.Float8E8M0:     floats(widened[onnx.F8E8M0]),
	onnx.Float4E2M1:     floats(widened[onnx.F4E2M1]),
	onnx.Complex64:      complexes(func(v complex64) complex128 { return complex128(v) }),
	onnx.Complex128:     complexes(func(v complex128) complex128 { return v }),
	onnx.Int8:           integers[int8](),
	onnx.Int16:          integers[int16](),
	onnx.Int32:          integers[int32](),
	onnx.Int64:          integers[int64](),
	onnx.Uint8:          integers[uint8](),
	onnx.Uint16:         integers[uint16](),
	onnx.Uint32:         integers[uint32](),
	onnx.Uint64:         integers[uint64](),
	onnx.Int4:           integers[onnx.I4](),
	onnx.Uint4:          integers[onnx.U4](),
	onnx.Int2:           integers[onnx.I2](),
	onnx.Uint2:          integers[onnx.U2](),
	onnx.Bool:           equals(func(v bool) string { return strconv.FormatBool(v) }),
	onnx.String:         equals(shortQuote),
}

// text writes element i.
func text(t *onnx.Tensor, i int) string { return elements[t.DataType()].text(t, i) }

func widened[T interface{ Float32() float32 }](v T) float64 { return float64(v.Float32()) }

func floats[T onnx.Element](number func(T) float64) rules {
	bits := 32
	if onnx.TypeOf[T]() == onnx.Double {
		bits = 64
	}
	return rules{
		judge: func(got, want *onnx.Tensor, tol Tolerance) func(int) (float64, bool) {
			g, w := onnx.Elements[T](got), onnx.Elements[T](want)
			return func(i int) (float64, bool) { return judgeFloat(number(g[i]), number(w[i]), tol) }
		},
		text: func(t *onnx.Tensor, i int) string {
			return strconv.FormatFloat(number(onnx.Elements[T](t)[i]), 'g', -1, bits)
		},
	}
}

func complexes[T onnx.Element](number func(T) complex128) rules {
	return rules{
		judge: func(got, want *onnx.Tensor, tol Tolerance) func(int) (float64, bool) {
			g, w := onnx.Elements[T](got), onnx.Elements[T](want)
			return func(i int) (float64, bool) {
				a, b := number(g[i]), number(w[i])
				re, wrongRe := judgeFloat(real(a), real(b), tol)
				im, wrongIm := judgeFloat(imag(a), imag(b), tol)
				return math.Max(re, im), wrongRe || wrongIm
			}
		},
		text: func(t *onnx.Tensor, i int) string { return fmt.Sprint(onnx.Elements[T](t)[i]) },
	}
}

type integer interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | onnx.I4 | onnx.U4 | onnx.I2 | onnx.U2
}

func integers[T interface {
	onnx.Element
	integer
}]() rules {
	return rules{
		judge: func(got, want *onnx.Tensor, tol Tolerance) func(int) (float64, bool) {
			g, w := onnx.Elements[T](got), onnx.Elements[T](want)
			return func(i int) (float64, bool) {
				off := distance(g[i], w[i])
				return float64(off), off > tol.Int
			}
		},
		text: func(t *onnx.Tensor, i int) string { return fmt.Sprint(onnx.Elements[T](t)[i]) },
	}
}

// distance gives |a - b|, which may be more than a T can hold.
func distance[T integer](a, b T) uint64 {
	if a < b {
		a, b = b, a
	}
	return uint64(a) - uint64(b)
}

func equals[T interface {
	onnx.Element
	comparable
}](text func(T) string) rules {
	return rules{
		judge: func(got, want *onnx.Tensor, _ Tolerance) func(int) (float64, bool) {
			g, w := onnx.Elements[T](got), onnx.Elements[T](want)
			return func(i int) (float64, bool) { return 0, g[i] != w[i] }
		},
		text: func(t *onnx.Tensor, i int) string { return text(onnx.Elements[T](t)[i]) },
	}
}

// shortQuote writes a string on one line, its beginning if it is long.
func shortQuote(s string) string {
	const most = 60
	if len(s) > most {
		return strconv.Quote(s[:most]) + "..."
	}
	return strconv.Quote(s)
}
