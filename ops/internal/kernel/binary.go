// Package kernel has the loops of the operators, over plain slices. A loop
// with several operands takes them of the destination's length, and lets the
// destination be one of them. Names that end in VS take a scalar as their
// second operand, those in SV as their first.
package kernel

import (
	"cmp"
	"encoding/binary"
	"math"
	"unsafe"
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

// AddVS is dst = a + s.
func AddVS[T Number](dst, a []T, s T) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] = a[i] + s
	}
}

// SubVS is dst = a - s.
func SubVS[T Number](dst, a []T, s T) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] = a[i] - s
	}
}

// SubSV is dst = s - b.
func SubSV[T Number](dst []T, s T, b []T) {
	b = b[:len(dst)]
	for i := range dst {
		dst[i] = s - b[i]
	}
}

// MulVS is dst = a * s.
func MulVS[T Number](dst, a []T, s T) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] = a[i] * s
	}
}

// DivVS is dst = a / s; an integer s is not zero.
func DivVS[T Number](dst, a []T, s T) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] = a[i] / s
	}
}

// DivSV is dst = s / b. Integers are truncated towards zero; b has no zero then.
func DivSV[T Number](dst []T, s T, b []T) {
	b = b[:len(dst)]
	for i := range dst {
		dst[i] = s / b[i]
	}
}

// MaxVS is the greater of a and s, NaN where either is.
func MaxVS[T cmp.Ordered](dst, a []T, s T) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] = max(a[i], s)
	}
}

// MinVS is the lesser of a and s, NaN where either is.
func MinVS[T cmp.Ordered](dst, a []T, s T) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] = min(a[i], s)
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

// PReluVS is PRelu with one slope.
func PReluVS[T Number](dst, x []T, slope T) {
	x = x[:len(dst)]
	for i, v := range x {
		if v < 0 {
			v *= slope
		}
		dst[i] = v
	}
}

// PReluSV is PRelu of one x.
func PReluSV[T Number](dst []T, x T, slope []T) {
	slope = slope[:len(dst)]
	for i, s := range slope {
		v := x
		if v < 0 {
			v *= s
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

// PowFloat is x to the power of y, rounded once.
func PowFloat[T Float](dst []T, x, y []float64) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = T(pow(x[i], y[i]))
	}
}

// PowFloatVS is x to the power of s, computed in float64 and rounded once.
func PowFloatVS[T Float](dst, x []T, s float64) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = T(pow(float64(v), s))
	}
}

// Pow32 is x to the power of y, computed in float64 and rounded once.
func Pow32(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = float32(pow32(float64(x[i]), float64(y[i])))
	}
}

// Pow32VS is Pow32 with one exponent, at any level.
func Pow32VS(l Level, dst, x []float32, s float64) {
	switch s {
	case 2:
		MulVector(l, dst, x, x)
	case 3:
		CubeVector(l, dst, x)
	case -1:
		ReciprocalVector(l, dst, x)
	default:
		x = x[:len(dst)]
		for i, v := range x {
			dst[i] = float32(pow32(float64(v), s))
		}
	}
}

// Pow32SV is Pow32 of one base.
func Pow32SV(dst []float32, s float32, y []float32) {
	y = y[:len(dst)]
	for i, e := range y {
		dst[i] = float32(pow32(float64(s), float64(e)))
	}
}

// Cube is x*x*x, computed in float64 and rounded once.
func Cube(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		f := float64(v)
		dst[i] = float32(f * f * f)
	}
}

// pow is math.Pow, with the frequent exponents made fast.
func pow(x, y float64) float64 {
	switch {
	case y == 2:
		return x * x
	case y == 3:
		return x * x * x
	case y == 0.5:
		return powHalf(x)
	}
	return math.Pow(x, y)
}

// wholeMost is the greatest exponent with which products are made.
const wholeMost = 16

// pow32 is pow of numbers of float32, within 2e-9 of the result where that is a
// number of float32.
func pow32(x, y float64) float64 {
	n := 0
	if -wholeMost <= y && y <= wholeMost {
		n = int(y)
	}
	switch {
	case y == float64(n):
		return powWhole(x, n)
	case y == 0.5:
		return powHalf(x)
	case y == -0.5:
		return 1 / powHalf(x)
	case !(0 < x && x <= math.MaxFloat32 && math.Abs(y) <= math.MaxFloat32):
		return math.Pow(x, y)
	}
	t := y * logSeries(x)
	switch {
	case t > expTop:
		return math.Inf(1)
	case t < expLow:
		return 0
	}
	s, p := expm1(t)
	return s + s*p
}

// powWhole is x to the power of n, |n| <= wholeMost, of products of float64.
func powWhole(x float64, n int) float64 {
	r := 1.0
	for e := max(n, -n); e > 0; e >>= 1 {
		if e&1 != 0 {
			r *= x
		}
		x *= x
	}
	if n < 0 {
		return 1 / r
	}
	return r
}

// powHalf is x to the power of 1/2, which is the square root but for -0 and -Inf.
func powHalf(x float64) float64 {
	switch {
	case x == 0:
		return 0
	case x < -math.MaxFloat64:
		return -x
	}
	return math.Sqrt(x)
}

// PowInt is x to the power of y in the integers, wrapping; for y < 0 it is
// what PowIntFloat gives.
func PowInt[T int32 | int64](dst []T, x, y []int64) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		e := y[i]
		if e < 0 {
			dst[i] = ToInteger[T](math.Pow(float64(x[i]), float64(e)))
			continue
		}
		r, p := T(1), T(x[i])
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
func PowIntFloat[T int32 | int64](dst []T, x, y []float64) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = ToInteger[T](math.Pow(x[i], y[i]))
	}
}

// ShiftLeft is a << b, 0 where b is negative or the number of bits or more.
func ShiftLeft[T Integer](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] << uint64(b[i]) // a negative b is a great number
	}
}

// ShiftRight is a >> b, only copies of the sign bit where b is negative or the
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

// Truth values are bytes of 0 and 1, so that eight of them are one operation.

func truthBytes(b []bool) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(b))), len(b))
}

// word is 8 truth values from place i on.
func word(b []byte, i int) uint64       { return binary.LittleEndian.Uint64(b[i : i+8]) }
func putWord(b []byte, i int, v uint64) { binary.LittleEndian.PutUint64(b[i:i+8], v) }

// And is a && b.
func And(dst, a, b []bool) {
	d, x, y := truthBytes(dst), truthBytes(a[:len(dst)]), truthBytes(b[:len(dst)])
	for ; len(d) >= 32 && len(x) >= 32 && len(y) >= 32; d, x, y = d[32:], x[32:], y[32:] {
		putWord(d, 0, word(x, 0)&word(y, 0))
		putWord(d, 8, word(x, 8)&word(y, 8))
		putWord(d, 16, word(x, 16)&word(y, 16))
		putWord(d, 24, word(x, 24)&word(y, 24))
	}
	for i := range d {
		d[i] = x[i] & y[i]
	}
}

// Or is a || b.
func Or(dst, a, b []bool) {
	d, x, y := truthBytes(dst), truthBytes(a[:len(dst)]), truthBytes(b[:len(dst)])
	for ; len(d) >= 32 && len(x) >= 32 && len(y) >= 32; d, x, y = d[32:], x[32:], y[32:] {
		putWord(d, 0, word(x, 0)|word(y, 0))
		putWord(d, 8, word(x, 8)|word(y, 8))
		putWord(d, 16, word(x, 16)|word(y, 16))
		putWord(d, 24, word(x, 24)|word(y, 24))
	}
	for i := range d {
		d[i] = x[i] | y[i]
	}
}

// Equal is a == b.
func Equal[T comparable](dst []bool, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] == b[i]
	}
}

// EqualVS is a == s.
func EqualVS[T comparable](dst []bool, a []T, s T) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] = a[i] == s
	}
}

// Xor is a != b.
func Xor(dst, a, b []bool) {
	d, x, y := truthBytes(dst), truthBytes(a[:len(dst)]), truthBytes(b[:len(dst)])
	for ; len(d) >= 32 && len(x) >= 32 && len(y) >= 32; d, x, y = d[32:], x[32:], y[32:] {
		putWord(d, 0, word(x, 0)^word(y, 0))
		putWord(d, 8, word(x, 8)^word(y, 8))
		putWord(d, 16, word(x, 16)^word(y, 16))
		putWord(d, 24, word(x, 24)^word(y, 24))
	}
	for i := range d {
		d[i] = x[i] ^ y[i]
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

// LessVS is a < s.
func LessVS[T cmp.Ordered](dst []bool, a []T, s T) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] = a[i] < s
	}
}

// LessOrEqualVS is a <= s.
func LessOrEqualVS[T cmp.Ordered](dst []bool, a []T, s T) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] = a[i] <= s
	}
}

// GreaterVS is a > s.
func GreaterVS[T cmp.Ordered](dst []bool, a []T, s T) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] = a[i] > s
	}
}

// GreaterOrEqualVS is a >= s.
func GreaterOrEqualVS[T cmp.Ordered](dst []bool, a []T, s T) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] = a[i] >= s
	}
}

// Where is x where cond is true, else y. An operand with mask 0 has one
// element, which stands for all; one with mask -1 is of dst's length.
func Where[T any](dst []T, cond []bool, x, y []T, maskC, maskX, maskY int) {
	if maskC&maskX&maskY == -1 {
		cond, x, y = cond[:len(dst)], x[:len(dst)], y[:len(dst)]
		for i := range dst {
			v := y[i]
			if cond[i] {
				v = x[i]
			}
			dst[i] = v
		}
		return
	}
	for i := range dst {
		v := y[i&maskY]
		if cond[i&maskC] {
			v = x[i&maskX]
		}
		dst[i] = v
	}
}
