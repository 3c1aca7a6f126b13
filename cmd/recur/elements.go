package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/recur-ml/recur/onnx"
)

// elements reads and writes the elements of one element type as text, JSON and
// numbers.
type elements struct {
	// text gives element i as parse reads it.
	text func(t *onnx.Tensor, i int) string
	// json gives element i for encoding/json.
	json func(t *onnx.Tensor, i int) any
	// number gives element i as a number; nil where there is none.
	number func(t *onnx.Tensor, i int) float64
	// parse makes a tensor from texts, of which there are as many as the shape has.
	parse func(shape []int, texts []string) (*onnx.Tensor, error)
	// draw makes a tensor of elements made from uniform numbers in [0, 1);
	// nil where that means nothing.
	draw func(shape []int, uniform func() float64) (*onnx.Tensor, error)
}

// elementTable has a row for every element type.
var elementTable = map[onnx.DataType]*elements{
	onnx.Float:  floats(func(v float32) float64 { return float64(v) }, func(v float64) float32 { return float32(v) }, 32),
	onnx.Double: floats(func(v float64) float64 { return v }, func(v float64) float64 { return v }, 64),

	onnx.Float16:        smallFloats(onnx.ToF16),
	onnx.BFloat16:       smallFloats(onnx.ToBF16),
	onnx.Float8E4M3FN:   smallFloats(func(v float32) onnx.F8E4M3 { return onnx.ToF8E4M3(v, true) }),
	onnx.Float8E4M3FNUZ: smallFloats(func(v float32) onnx.F8E4M3UZ { return onnx.ToF8E4M3UZ(v, true) }),
	onnx.Float8E5M2:     smallFloats(func(v float32) onnx.F8E5M2 { return onnx.ToF8E5M2(v, true) }),
	onnx.Float8E5M2FNUZ: smallFloats(func(v float32) onnx.F8E5M2UZ { return onnx.ToF8E5M2UZ(v, true) }),
	onnx.Float8E8M0:     scales(),
	onnx.Float4E2M1:     smallFloats(onnx.ToF4E2M1),

	onnx.Int8:   integers[int8](8, math.MinInt8, math.MaxInt8),
	onnx.Int16:  integers[int16](16, math.MinInt16, math.MaxInt16),
	onnx.Int32:  integers[int32](32, math.MinInt32, math.MaxInt32),
	onnx.Int64:  integers[int64](64, math.MinInt64, math.MaxInt64),
	onnx.Uint8:  integers[uint8](8, 0, math.MaxUint8),
	onnx.Uint16: integers[uint16](16, 0, math.MaxUint16),
	onnx.Uint32: integers[uint32](32, 0, math.MaxUint32),
	onnx.Uint64: integers[uint64](64, 0, math.MaxUint64),
	onnx.Int4:   integers[onnx.I4](4, -8, 7),
	onnx.Uint4:  integers[onnx.U4](4, 0, 15),
	onnx.Int2:   integers[onnx.I2](2, -2, 1),
	onnx.Uint2:  integers[onnx.U2](2, 0, 3),

	onnx.Bool: {
		text: func(t *onnx.Tensor, i int) string { return strconv.FormatBool(onnx.Elements[bool](t)[i]) },
		json: func(t *onnx.Tensor, i int) any { return onnx.Elements[bool](t)[i] },
		number: func(t *onnx.Tensor, i int) float64 {
			if onnx.Elements[bool](t)[i] {
				return 1
			}
			return 0
		},
		parse: func(shape []int, texts []string) (*onnx.Tensor, error) {
			return parseAll(shape, texts, strconv.ParseBool)
		},
		draw: func(shape []int, uniform func() float64) (*onnx.Tensor, error) {
			return drawAll(shape, func() bool { return uniform() < 0.5 })
		},
	},
	onnx.String: {
		text: func(t *onnx.Tensor, i int) string { return t.Strings()[i] },
		json: func(t *onnx.Tensor, i int) any { return t.Strings()[i] },
		parse: func(shape []int, texts []string) (*onnx.Tensor, error) {
			return onnx.NewTensor(shape, texts)
		},
		draw: func(shape []int, uniform func() float64) (*onnx.Tensor, error) {
			return drawAll(shape, func() string { return string(rune('a' + int(uniform()*26))) })
		},
	},
	onnx.Complex64:  complexes(func(v complex64) complex128 { return complex128(v) }, func(v complex128) complex64 { return complex64(v) }, 64),
	onnx.Complex128: complexes(func(v complex128) complex128 { return v }, func(v complex128) complex128 { return v }, 128),
}

// elementsOf finds the row of a type. An error matches onnx.ErrType.
func elementsOf(d onnx.DataType) (*elements, error) {
	if e := elementTable[d]; e != nil {
		return e, nil
	}
	return nil, onnx.Errorf(onnx.ErrType, "%v is no element type", d)
}

func floats[T onnx.Element](wide func(T) float64, narrow func(float64) T, bits int) *elements {
	number := func(t *onnx.Tensor, i int) float64 { return wide(onnx.Elements[T](t)[i]) }
	return &elements{
		text:   func(t *onnx.Tensor, i int) string { return strconv.FormatFloat(number(t, i), 'g', -1, bits) },
		json:   func(t *onnx.Tensor, i int) any { return jsonFloat(number(t, i), bits) },
		number: number,
		parse: func(shape []int, texts []string) (*onnx.Tensor, error) {
			return parseAll(shape, texts, func(s string) (T, error) {
				v, err := strconv.ParseFloat(s, bits)
				if err != nil && math.IsInf(v, 0) { // out of range, not malformed: rounds to infinity
					err = nil
				}
				return narrow(v), err
			})
		},
		draw: func(shape []int, uniform func() float64) (*onnx.Tensor, error) {
			return drawAll(shape, func() T { return narrow(uniform()*2 - 1) })
		},
	}
}

func smallFloats[T interface {
	onnx.Element
	Float32() float32
}](narrow func(float32) T) *elements {
	return floats(func(v T) float64 { return float64(v.Float32()) }, func(v float64) T { return narrow(float32(v)) }, 32)
}

// scales is the row of float8e8m0, which has positive numbers only.
func scales() *elements {
	e := smallFloats(toE8M0)
	e.draw = func(shape []int, uniform func() float64) (*onnx.Tensor, error) {
		return drawAll(shape, func() onnx.F8E8M0 { return toE8M0(float32(uniform()) + 0.5) })
	}
	return e
}

// toE8M0 rounds to the nearest power of two; what has none becomes NaN.
func toE8M0(v float32) onnx.F8E8M0 {
	if !(v > 0) || math.IsInf(float64(v), 0) {
		return 0xff
	}
	e := math.Round(math.Log2(float64(v)))
	return onnx.F8E8M0(min(max(e, -127), 127) + 127)
}

type integer interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
	onnx.Element
}

func integers[T integer](bits int, low int64, high uint64) *elements {
	return &elements{
		text:   func(t *onnx.Tensor, i int) string { return fmt.Sprintf("%d", onnx.Elements[T](t)[i]) },
		json:   func(t *onnx.Tensor, i int) any { return onnx.Elements[T](t)[i] },
		number: func(t *onnx.Tensor, i int) float64 { return float64(onnx.Elements[T](t)[i]) },
		parse: func(shape []int, texts []string) (*onnx.Tensor, error) {
			return parseAll(shape, texts, func(s string) (T, error) {
				if high > math.MaxInt64 {
					v, err := strconv.ParseUint(whole(s), 10, 64)
					return T(v), err
				}
				v, err := strconv.ParseInt(whole(s), 10, 64)
				if err == nil && (v < low || v > int64(high)) {
					err = strconv.ErrRange
				}
				return T(v), err
			})
		},
		draw: func(shape []int, uniform func() float64) (*onnx.Tensor, error) {
			n := min(float64(high)+1, 4)
			return drawAll(shape, func() T { return T(uniform() * n) })
		},
	}
}

// whole writes a number such as 1.0 or 1e3 without point and exponent, where
// it is an integer that a float64 holds exactly.
func whole(s string) string {
	if !strings.ContainsAny(s, ".eE") {
		return s
	}
	if v, err := strconv.ParseFloat(s, 64); err == nil && v == math.Trunc(v) && math.Abs(v) <= 1<<53 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return s
}

func complexes[T onnx.Element](wide func(T) complex128, narrow func(complex128) T, bits int) *elements {
	return &elements{
		text: func(t *onnx.Tensor, i int) string {
			return strconv.FormatComplex(wide(onnx.Elements[T](t)[i]), 'g', -1, bits)
		},
		json: func(t *onnx.Tensor, i int) any {
			return strconv.FormatComplex(wide(onnx.Elements[T](t)[i]), 'g', -1, bits)
		},
		parse: func(shape []int, texts []string) (*onnx.Tensor, error) {
			return parseAll(shape, texts, func(s string) (T, error) {
				v, err := strconv.ParseComplex(s, bits)
				return narrow(v), err
			})
		},
		draw: func(shape []int, uniform func() float64) (*onnx.Tensor, error) {
			return drawAll(shape, func() T { return narrow(complex(uniform()*2-1, uniform()*2-1)) })
		},
	}
}

func parseAll[T onnx.Element](shape []int, texts []string, parse func(string) (T, error)) (*onnx.Tensor, error) {
	data := make([]T, len(texts))
	for i, s := range texts {
		v, err := parse(strings.TrimSpace(s))
		if err != nil {
			return nil, onnx.Errorf(onnx.ErrType, "element %d: %q is no %v", i, s, onnx.TypeOf[T]())
		}
		data[i] = v
	}
	return onnx.NewTensor(shape, data)
}

func drawAll[T onnx.Element](shape []int, draw func() T) (*onnx.Tensor, error) {
	n, err := onnx.NumElements(shape)
	if err != nil {
		return nil, err
	}
	data := make([]T, n)
	for i := range data {
		data[i] = draw()
	}
	return onnx.NewTensor(shape, data)
}

// cast converts a tensor's elements through their text, so that each is
// rounded once and what does not fit is an error.
func cast(t *onnx.Tensor, to onnx.DataType) (*onnx.Tensor, error) {
	from, err := elementsOf(t.DataType())
	if err != nil {
		return nil, err
	}
	target, err := elementsOf(to)
	if err != nil {
		return nil, err
	}
	texts := make([]string, t.Len())
	for i := range texts {
		texts[i] = from.text(t, i)
	}
	return target.parse(t.Shape(), texts)
}

// jsonFloat gives a number that encoding/json accepts: what JSON has no number
// for becomes one of the strings "NaN", "+Inf", "-Inf", which the commands
// read back.
func jsonFloat(v float64, bits int) any {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return shortNumber{v, bits}
}

// shortNumber writes a number with as few digits as identify it among the
// numbers of its width.
type shortNumber struct {
	v    float64
	bits int
}

// MarshalJSON writes the number.
func (n shortNumber) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, n.v, 'g', -1, n.bits), nil
}
