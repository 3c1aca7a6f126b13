//go:build amd64 && !noasm

package kernel

import "unsafe"

// arithmeticVector does whole units and gives how many elements that are, none
// where there is no loop; an operand whose step is 0 is a block of scalars.
// Sums, differences and products of unsigned numbers have the bits of signed
// ones.
func arithmeticVector[T Word](l Level, how Arithmetic, dst, a, b []T, stepA, stepB int) int {
	var z T
	four := unsafe.Sizeof(z) == 4
	if unsigned := ^z > 0; unsigned && how > Times || !four && how == Quotient {
		return 0
	}
	i := 0
	for n := wholeVectors(l, len(dst)); n > 0; n = wholeVectors(l, len(dst)-i) {
		d, x, y := unsafe.Pointer(&dst[i]), unsafe.Pointer(&a[i*stepA]), unsafe.Pointer(&b[i*stepB])
		switch {
		case four && l == AVX2:
			arithmetic32AVX2((*int32)(d), (*int32)(x), (*int32)(y), n, stepA, stepB, int(how))
		case four:
			arithmetic32AVX512((*int32)(d), (*int32)(x), (*int32)(y), n, stepA, stepB, int(how))
		case l == AVX2:
			arithmetic64AVX2((*int64)(d), (*int64)(x), (*int64)(y), n, stepA, stepB, int(how))
		default:
			arithmetic64AVX512((*int64)(d), (*int64)(x), (*int64)(y), n, stepA, stepB, int(how))
		}
		i += n * l.Lanes()
	}
	return i
}

// clipVector does whole units of the integers that have a loop.
func clipVector[T Number](l Level, dst, src []T, lo, hi T) int {
	i := 0
	for n := wholeVectors(l, len(dst)); n > 0; n = wholeVectors(l, len(dst)-i) {
		d, s := unsafe.Pointer(&dst[i]), unsafe.Pointer(&src[i])
		switch lo := any(lo).(type) {
		case int32:
			if l == AVX2 {
				clip32AVX2((*int32)(d), (*int32)(s), n, lo, int32(hi))
			} else {
				clip32AVX512((*int32)(d), (*int32)(s), n, lo, int32(hi))
			}
		case int64:
			if l == AVX2 {
				clip64AVX2((*int64)(d), (*int64)(s), n, lo, int64(hi))
			} else {
				clip64AVX512((*int64)(d), (*int64)(s), n, lo, int64(hi))
			}
		default:
			return 0
		}
		i += n * l.Lanes()
	}
	return i
}
