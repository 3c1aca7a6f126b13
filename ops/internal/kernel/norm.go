package kernel

import "math"

// Sum adds in float64 with four accumulators, one for each index modulo 4.
func Sum[T Number](x []T) float64 {
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(x); i += 4 {
		v := x[i : i+4 : i+4]
		s0 += float64(v[0])
		s1 += float64(v[1])
		s2 += float64(v[2])
		s3 += float64(v[3])
	}
	for ; i < len(x); i++ {
		s0 += float64(x[i])
	}
	return (s0 + s1) + (s2 + s3)
}

// SumSquares adds (x[i]-mean)^2 as Sum does.
func SumSquares[T Number](x []T, mean float64) float64 {
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(x); i += 4 {
		v := x[i : i+4 : i+4]
		d0, d1, d2, d3 := float64(v[0])-mean, float64(v[1])-mean, float64(v[2])-mean, float64(v[3])-mean
		s0 += d0 * d0
		s1 += d1 * d1
		s2 += d2 * d2
		s3 += d3 * d3
	}
	for ; i < len(x); i++ {
		d := float64(x[i]) - mean
		s0 += d * d
	}
	return (s0 + s1) + (s2 + s3)
}

// Moments gives the mean and the population variance, NaN of no elements.
func Moments[T Number](x []T) (mean, variance float64) {
	n := float64(len(x))
	mean = Sum(x) / n
	return mean, SumSquares(x, mean) / n
}

// Standardize is y[i] = (x[i]-mean) * factor.
func Standardize[T Float](y, x []T, mean, factor T) {
	x = x[:len(y)]
	for i := range y {
		y[i] = (x[i] - mean) * factor
	}
}

// Affine is y[i] = x[i]*factor + offset; the product is rounded before the sum.
func Affine[T Float](y, x []T, factor, offset T) {
	x = x[:len(y)]
	for i := range y {
		y[i] = T(x[i]*factor) + offset
	}
}

// AffineRows is y[i] = x[i]*factor[i] + offset[i]; the product is rounded
// before the sum.
func AffineRows[T Float](y, x, factor, offset []T) {
	x, factor, offset = x[:len(y)], factor[:len(y)], offset[:len(y)]
	for i := range y {
		y[i] = T(x[i]*factor[i]) + offset[i]
	}
}

// SumPowers adds |x[i*step]|^p for i < n in float64, in order.
func SumPowers[T Float](x []T, step, n int, p float64) float64 {
	s := 0.0
	for i := range n {
		v := math.Abs(float64(x[i*step]))
		switch p {
		case 1:
			s += v
		case 2:
			s += v * v
		default:
			s += math.Pow(v, p)
		}
	}
	return s
}

// Root is s^(1/p).
func Root(s, p float64) float64 {
	switch p {
	case 1:
		return s
	case 2:
		return math.Sqrt(s)
	}
	return math.Pow(s, 1/p)
}
