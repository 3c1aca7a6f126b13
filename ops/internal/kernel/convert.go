package kernel

import (
	"math"
	"math/bits"
	"unsafe"
)

// ToInteger truncates towards zero. What does not fit, NaN included, gives
// what amd64's conversions give, on every machine: the least int64 (for
// int64 and uint32) or the least int32 (for narrower types), cut to the
// type's bits; for uint64, the int64 result from 2^63 down and 2^63 above.
func ToInteger[T Integer](x float64) T {
	var z T
	unsigned := ^z > 0
	switch size := unsafe.Sizeof(z); {
	case unsigned && size == 8:
		if x >= 1<<63 {
			if x < 1<<64 {
				return T(uint64(x))
			}
			top := uint64(1) << 63
			return T(top)
		}
		return T(toInt64(x))
	case size == 8, unsigned && size == 4:
		return T(toInt64(x))
	}
	return T(toInt32(x))
}

func toInt64(x float64) int64 {
	if x >= -(1<<63) && x < 1<<63 {
		return int64(x)
	}
	return math.MinInt64
}

func toInt32(x float64) int32 {
	if x > -(1<<31)-1 && x < 1<<31 {
		return int32(x)
	}
	return math.MinInt32
}

// Odd32 rounds to float32 so that a further rounding, to fewer bits, gives
// what one rounding from x would: an inexact result is the neighbour whose
// last bit is 1. Infinities and NaN stay.
func Odd32(x float64) float32 {
	f := float32(x)
	if float64(f) == x || x != x {
		return f
	}
	b := math.Float32bits(f)
	if b&1 == 0 { // rounded to an even one: the other neighbour is odd
		if math.Abs(float64(f)) > math.Abs(x) {
			b--
		} else {
			b++
		}
	}
	return math.Float32frombits(b)
}

// OddInt64 is Odd32 for an integer.
func OddInt64(v int64) float32 {
	if v < 0 {
		return -OddUint64(-uint64(v))
	}
	return OddUint64(uint64(v))
}

// OddUint64 is Odd32 for an integer.
func OddUint64(v uint64) float32 {
	if n := bits.Len64(v) - 53; n > 0 {
		sticky := v & (1<<n - 1)
		v &^= 1<<n - 1
		if sticky != 0 {
			v |= 1 << n
		}
	}
	return Odd32(float64(v))
}

// Convert is Go's conversion of each element: integers lose upper bits, what
// becomes floating point is rounded once. Floating point does not become
// integer by it; see Truncate.
func Convert[F, T Number](dst []T, src []F) {
	src = src[:len(dst)]
	for i, x := range src {
		dst[i] = T(x)
	}
}

// Truncate applies ToInteger.
func Truncate[F Float, T Integer](dst []T, src []F) {
	src = src[:len(dst)]
	for i, x := range src {
		dst[i] = ToInteger[T](float64(x))
	}
}

// NonZero is x != 0; NaN is not zero.
func NonZero[T comparable](dst []bool, src []T) {
	var zero T
	src = src[:len(dst)]
	for i, x := range src {
		dst[i] = x != zero
	}
}

// LowBits keeps the lower bits of each byte, with copies of the topmost of
// them above it where they are signed.
func LowBits(x []uint8, bits int, signed bool) {
	shift := 8 - bits
	for i, v := range x {
		v <<= shift
		if signed {
			v = uint8(int8(v) >> shift)
		} else {
			v >>= shift
		}
		x[i] = v
	}
}
