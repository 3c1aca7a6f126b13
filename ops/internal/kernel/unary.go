package kernel

import "math"

// Map makes a loop of a function.
func Map[T, U any](f func(T) U) func(dst []U, src []T) {
	return func(dst []U, src []T) {
		src = src[:len(dst)]
		for i, x := range src {
			dst[i] = f(x)
		}
	}
}

// MapFloat makes a loop of a function of float64: each result is rounded once.
func MapFloat[T Float](f func(float64) float64) func(dst, src []T) {
	return func(dst, src []T) {
		src = src[:len(dst)]
		for i, x := range src {
			dst[i] = T(f(float64(x)))
		}
	}
}

// MapInteger makes a loop of a function of float64: each result is truncated.
func MapInteger[T Integer](f func(float64) float64) func(dst, src []T) {
	return func(dst, src []T) {
		src = src[:len(dst)]
		for i, x := range src {
			dst[i] = ToInteger[T](f(float64(x)))
		}
	}
}

// Neg is -x; the least integer stays.
func Neg[T Number](dst, src []T) {
	src = src[:len(dst)]
	for i, x := range src {
		dst[i] = -x
	}
}

// Abs is |x|; the least integer stays.
func Abs[T Number](dst, src []T) {
	src = src[:len(dst)]
	for i, x := range src {
		if x < 0 {
			x = -x
		} else if x == 0 {
			x = 0 // of -0
		}
		dst[i] = x
	}
}

// Sign is 1, 0 or -1, and NaN of NaN.
func Sign[T Number](dst, src []T) {
	src = src[:len(dst)]
	one := T(1)
	for i, x := range src {
		switch {
		case x > 0:
			x = one
		case x < 0:
			x = -one
		}
		dst[i] = x
	}
}

// Relu is the greater of x and 0, and NaN of NaN.
func Relu[T Number](dst, src []T) {
	src = src[:len(dst)]
	for i, x := range src {
		if x < 0 {
			x = 0
		}
		dst[i] = x
	}
}

// Sqrt is the square root, NaN below zero.
func Sqrt[T Float](dst, src []T) {
	src = src[:len(dst)]
	for i, x := range src {
		dst[i] = T(math.Sqrt(float64(x)))
	}
}

// Reciprocal is 1 / x.
func Reciprocal[T Float](dst, src []T) {
	src = src[:len(dst)]
	for i, x := range src {
		dst[i] = 1 / x
	}
}

// Not is !x.
func Not(dst, src []bool) {
	d, x := truthBytes(dst), truthBytes(src[:len(dst)])
	const ones = 0x0101010101010101
	for ; len(d) >= 32 && len(x) >= 32; d, x = d[32:], x[32:] {
		putWord(d, 0, word(x, 0)^ones)
		putWord(d, 8, word(x, 8)^ones)
		putWord(d, 16, word(x, 16)^ones)
		putWord(d, 24, word(x, 24)^ones)
	}
	for i, v := range x {
		d[i] = v ^ 1
	}
}

// BitNot is ^x.
func BitNot[T Integer](dst, src []T) {
	src = src[:len(dst)]
	for i, x := range src {
		dst[i] = ^x
	}
}

// Clip is the lesser of hi and the greater of lo and x, NaN where any is.
func Clip[T Number](dst, src []T, lo, hi T) {
	src = src[:len(dst)]
	for i, x := range src {
		dst[i] = min(max(x, lo), hi)
	}
}

// Exp applies Exp32, or at a level of vectors the level's own formula, which
// is within 1e-7 of the result.
func Exp(l Level, dst, src []float32) {
	src = src[:len(dst)]
	if l != Go {
		expVector(l, dst, src)
		return
	}
	for i, x := range src {
		dst[i] = Exp32(x)
	}
}

// Sigmoid applies Sigmoid32, or at a level of vectors the level's own formula,
// which is within 2e-7 of the result; below 2^-126 it may be 0.
func Sigmoid(l Level, dst, src []float32) {
	src = src[:len(dst)]
	if l != Go {
		sigmoidVector(l, dst, src)
		return
	}
	for i, x := range src {
		dst[i] = Sigmoid32(x)
	}
}

// Tanh applies Tanh32, or at a level of vectors the level's own formula, which
// is within 4e-7 of the result.
func Tanh(l Level, dst, src []float32) {
	src = src[:len(dst)]
	if l != Go {
		tanhVector(l, dst, src)
		return
	}
	for i, x := range src {
		dst[i] = Tanh32(x)
	}
}
