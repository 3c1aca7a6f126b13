//go:build amd64 && !noasm

package kernel

import "unsafe"

// compareVector does whole units and gives how many elements that are; b is a
// block of scalars where step is 0.
func compareVector[T Comparable](l Level, how Comparison, dst []bool, a, b []T, step int) int {
	var z T
	i := 0
	for n := wholeVectors(l, len(dst)); n > 0; n = wholeVectors(l, len(dst)-i) {
		x, y := unsafe.Pointer(&a[i]), unsafe.Pointer(&b[i*step])
		switch any(z).(type) {
		case float32:
			if l == AVX2 {
				compareFloatsAVX2(&dst[i], (*float32)(x), (*float32)(y), n, step, int(how))
			} else {
				compareFloatsAVX512(&dst[i], (*float32)(x), (*float32)(y), n, step, int(how))
			}
		case int32:
			if l == AVX2 {
				compareInts32AVX2(&dst[i], (*int32)(x), (*int32)(y), n, step, int(how))
			} else {
				compareInts32AVX512(&dst[i], (*int32)(x), (*int32)(y), n, step, int(how))
			}
		default:
			if l == AVX2 {
				return 0
			}
			compareInts64AVX512(&dst[i], (*int64)(x), (*int64)(y), n, step, int(how))
		}
		i += n * l.Lanes()
	}
	return i
}

// whereVector does whole units of elements of 4 bytes or 8.
func whereVector[T any](l Level, dst []T, cond []bool, x, y []T, stepX, stepY int) int {
	var z T
	i := 0
	for n := wholeVectors(l, len(dst)); n > 0; n = wholeVectors(l, len(dst)-i) {
		d, a, b := unsafe.Pointer(&dst[i]), unsafe.Pointer(&x[i*stepX]), unsafe.Pointer(&y[i*stepY])
		switch any(z).(type) {
		case uint32:
			if l == AVX2 {
				choose4AVX2((*uint32)(d), &cond[i], (*uint32)(a), (*uint32)(b), n, stepX, stepY)
			} else {
				choose4AVX512((*uint32)(d), &cond[i], (*uint32)(a), (*uint32)(b), n, stepX, stepY)
			}
		case uint64:
			if l == AVX2 {
				return 0
			}
			choose8AVX512((*uint64)(d), &cond[i], (*uint64)(a), (*uint64)(b), n, stepX, stepY)
		default:
			return 0
		}
		i += n * l.Lanes()
	}
	return i
}

// convertVector does whole units; the types are those of the conversion.
func convertVector[F, T any](l Level, c Conversion, dst []T, src []F) int {
	i := 0
	for n := wholeVectors(l, len(dst)); n > 0; n = wholeVectors(l, len(dst)-i) {
		d, s := unsafe.Pointer(&dst[i]), unsafe.Pointer(&src[i])
		if l == AVX2 {
			if !c.callAVX2(d, s, n) {
				return 0
			}
		} else {
			c.callAVX512(d, s, n)
		}
		i += n * l.Lanes()
	}
	return i
}

// callAVX2 reports whether there is such a conversion.
func (c Conversion) callAVX2(d, s unsafe.Pointer, n int) bool {
	switch c {
	case FloatsToInts32:
		floatsToInts32AVX2((*int32)(d), (*float32)(s), n)
	case FloatsToDoubles:
		floatsToDoublesAVX2((*float64)(d), (*float32)(s), n)
	case DoublesToFloats:
		doublesToFloatsAVX2((*float32)(d), (*float64)(s), n)
	case Ints32ToFloats:
		ints32ToFloatsAVX2((*float32)(d), (*int32)(s), n)
	case Ints32ToInts64:
		ints32ToInts64AVX2((*int64)(d), (*int32)(s), n)
	case BytesToFloats:
		bytesToFloatsAVX2((*float32)(d), (*uint8)(s), n)
	case BytesToInts64:
		bytesToInts64AVX2((*int64)(d), (*uint8)(s), n)
	default:
		return false
	}
	return true
}

func (c Conversion) callAVX512(d, s unsafe.Pointer, n int) {
	switch c {
	case FloatsToInts32:
		floatsToInts32AVX512((*int32)(d), (*float32)(s), n)
	case FloatsToInts64:
		floatsToInts64AVX512((*int64)(d), (*float32)(s), n)
	case FloatsToBytes:
		floatsToBytesAVX512((*uint8)(d), (*float32)(s), n)
	case FloatsToHalves:
		floatsToHalvesAVX512((*uint16)(d), (*float32)(s), n)
	case FloatsToDoubles:
		floatsToDoublesAVX512((*float64)(d), (*float32)(s), n)
	case DoublesToFloats:
		doublesToFloatsAVX512((*float32)(d), (*float64)(s), n)
	case HalvesToFloats:
		halvesToFloatsAVX512((*float32)(d), (*uint16)(s), n)
	case Ints32ToFloats:
		ints32ToFloatsAVX512((*float32)(d), (*int32)(s), n)
	case Ints32ToInts64:
		ints32ToInts64AVX512((*int64)(d), (*int32)(s), n)
	case Ints64ToFloats:
		ints64ToFloatsAVX512((*float32)(d), (*int64)(s), n)
	case Ints64ToInts32:
		ints64ToInts32AVX512((*int32)(d), (*int64)(s), n)
	case BytesToFloats:
		bytesToFloatsAVX512((*float32)(d), (*uint8)(s), n)
	case BytesToInts64:
		bytesToInts64AVX512((*int64)(d), (*uint8)(s), n)
	}
}
