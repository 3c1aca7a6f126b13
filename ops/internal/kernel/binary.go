// Package kernel has the loops of the operators, over plain slices. A loop
// with several operands takes them of the destination's length, and lets the
// destination be one of them.
package kernel

import (
	"cmp"
	"math"
)

// Signed, Integer, Float and Number group the element types that Go computes
// with.
type (
	Signed interface {
		~int8 | ~int16 | ~int32 | ~int64
	}
	Integer interface {
		Signed | ~uint8 | ~uint16 | ~uint32 | ~uint64
	}
	Float  interface{ ~float32 | ~float64 }
	Number interface{ Integer | Float }
)

// Add is dst = a + b; integers wrap.
func Add[T Number](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

// Sub is dst = a - b; integers wrap.
func Sub[T Number](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] - b[i]
	}
}

// Mul is dst = a * b; integers wrap.
func Mul[T Number](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

// Div is dst = a / b. Integers are truncated towards zero; b has no zero then.
func Div[T Number](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] / b[i]
	}
}

// Max is the greater of a and b, NaN where either is.
func Max[T cmp.Ordered](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = max(a[i], b[i])
	}
}

// Min is the lesser of a and b, NaN where either is.
func Min[T cmp.Ordered](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = min(a[i], b[i])
	}
}

// PRelu is x where x >= 0, else slope * x.
func PRelu[T Number](dst, x, slope []T) {
	x, slope = x[:len(dst)], slope[:len(dst)]
	for i := range dst {
		v := x[i]
		if v < 0 {
			v *= slope[i]
		}
		dst[i] = v
	}
}

// FloorMod is a - floor(a/b)*b, with the sign of b; b has no zero.
func FloorMod[T Integer](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		r := a[i] % b[i]
		if r != 0 && (r < 0) != (b[i] < 0) {
			r += b[i]
		}
		dst[i] = r
	}
}

// TruncMod is a - trunc(a/b)*b, with the sign of a; b has no zero.
func TruncMod[T Integer](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] % b[i]
	}
}

// FloorModFloat is FloorMod for floating point: a zero result has the sign of
// b, and a division by zero is NaN.
func FloorModFloat[T Float](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		y := b[i]
		r := T(math.Mod(float64(a[i]), float64(y)))
		switch {
		case r == 0:
			r = T(math.Copysign(0, float64(y)))
		case (r < 0) != (y < 0):
			r += y
		}
		dst[i] = r
	}
}

// TruncModFloat is C's fmod.
func TruncModFloat[T Float](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = T(math.Mod(float64(a[i]), float64(b[i])))
	}
}

// PowFloat is x to the power of y, computed in float64.
func PowFloat[T Float, E Number](dst, x []T, y []E) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		if y[i] == 2 {
			dst[i] = x[i] * x[i]
			continue
		}
		dst[i] = T(math.Pow(float64(x[i]), float64(y[i])))
	}
}

// PowInt is x to the power of y in the integers, wrapping; for y < 0 it is
// what PowIntFloat gives.
func PowInt[T int32 | int64](dst, x []T, y []int64) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		e := y[i]
		if e < 0 {
			dst[i] = ToInteger[T](math.Pow(float64(x[i]), float64(e)))
			continue
		}
		r, p := T(1), x[i]
		for ; e > 0; e >>= 1 {
			if e&1 != 0 {
				r *= p
			}
			p *= p
		}
		dst[i] = r
	}
}

// PowIntFloat is x to the power of y, computed in float64 and truncated.
func PowIntFloat[T int32 | int64](dst, x []T, y []float64) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = ToInteger[T](math.Pow(float64(x[i]), y[i]))
	}
}

// ShiftLeft is a << b, 0 where b is negative or the number of bits or more.
func ShiftLeft[T Integer](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] << uint64(b[i])
	}
}

// ShiftRight is a >> b, with copies of the sign bit where b is negative or the
// number of bits or more.
func ShiftRight[T Integer](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] >> uint64(b[i])
	}
}

// BitAnd is a & b.
func BitAnd[T Integer](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] & b[i]
	}
}

// BitOr is a | b.
func BitOr[T Integer](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] | b[i]
	}
}

// BitXor is a ^ b.
func BitXor[T Integer](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] ^ b[i]
	}
}

// And is a && b.
func And(dst, a, b []bool) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] && b[i]
	}
}

// Or is a || b.
func Or(dst, a, b []bool) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] || b[i]
	}
}

// Equal is a == b.
func Equal[T comparable](dst []bool, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] == b[i]
	}
}

// NotEqual is a != b.
func NotEqual[T comparable](dst []bool, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] != b[i]
	}
}

// Less is a < b.
func Less[T cmp.Ordered](dst []bool, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] < b[i]
	}
}

// LessOrEqual is a <= b.
func LessOrEqual[T cmp.Ordered](dst []bool, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] <= b[i]
	}
}

// Greater is a > b.
func Greater[T cmp.Ordered](dst []bool, a, b []T) { Less(dst, b, a) }

// GreaterOrEqual is a >= b.
func GreaterOrEqual[T cmp.Ordered](dst []bool, a, b []T) { LessOrEqual(dst, b, a) }
