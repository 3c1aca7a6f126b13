package kernel

import "math"

// Quantize is dst = saturate(round(x/scale) + zero), rounded to nearest, ties
// to even, and held between lo and hi. NaN gives lo.
func Quantize[T int8 | uint8 | int16 | uint16](dst []T, x []float32, scale float32, zero int32, lo, hi float64) {
	x = x[:len(dst)]
	z := float64(zero)
	for i, v := range x {
		q := math.RoundToEven(float64(v/scale)) + z
		switch {
		case !(q > lo):
			q = lo
		case q > hi:
			q = hi
		}
		dst[i] = T(int32(q))
	}
}

// Dequantize is dst = (x - zero) * scale: the difference is exact, and rounded
// to float32 before it is multiplied.
func Dequantize[T int8 | uint8 | int16 | uint16 | int32](dst []float32, x []T, scale float32, zero int32) {
	x = x[:len(dst)]
	z := int64(zero)
	for i, v := range x {
		dst[i] = float32(int64(v)-z) * scale
	}
}
