package kernel

import "math"

// A softmax is e^(x-m) / sum of e^(x-m), with m the greatest x. The sum is
// that of Lanes; a quotient is the product of the element, rounded to its
// type, with the reciprocal of the sum in float64, rounded once more.

// ExpRow is dst = e^(x-m), and adds the exponentials, before they are rounded,
// to the lanes: x continues a row at a multiple of 8.
func ExpRow[T Float](l *Lanes, dst, x []T, m float64) {
	x = x[:len(dst)]
	for i, v := range x {
		e := expOf(v, m)
		l[i&7] += e
		dst[i] = T(e)
	}
}

// ExpColumns is ExpRow for element r of some columns.
func ExpColumns[T Float](c *Columns, r int, dst, x []T, m *[Width]float64) {
	lane := c[r&7][:len(dst)]
	x = x[:len(dst)]
	for j, v := range x {
		e := expOf(v, m[j])
		lane[j] += e
		dst[j] = T(e)
	}
}

// ScaleRow is x = x*f.
func ScaleRow[T Float](x []T, f float64) {
	for i, v := range x {
		x[i] = T(float64(v) * f)
	}
}

// ScaleColumns is x[j] = x[j]*f[j].
func ScaleColumns[T Float](x []T, f []float64) {
	f = f[:len(x)]
	for j, v := range x {
		x[j] = T(float64(v) * f[j])
	}
}

// LogSoftmaxRow is dst = x - m - log, in x's type; no term is greater than 0, so
// that nothing cancels.
func LogSoftmaxRow[T Float](dst, x []T, m, log T) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = v - m - log
	}
}

// LogSoftmaxColumns is dst[j] = x[j] - m[j] - log[j], in x's type.
func LogSoftmaxColumns[T Float](dst, x []T, m, log *[Width]T) {
	x = x[:len(dst)]
	for j, v := range x {
		dst[j] = v - m[j] - log[j]
	}
}

// LogOf is dst = log(src), within 1e-11 of itself.
func LogOf(dst, src []float64) {
	src = src[:len(dst)]
	for i, v := range src {
		if 1 <= v && v <= math.MaxFloat64 {
			dst[i] = logSeries(v)
		} else {
			dst[i] = math.Log(v)
		}
	}
}
