package kernel

import "math"

// The float32 functions of this file compute in float64 and round once, so
// that each is within 0.51 units in the last place, subnormal results
// included. NaN gives NaN.

const (
	log2e  = 1 / math.Ln2
	ln2Hi  = 6.93147180369123816490e-01 // ln 2 in 33 bits: n*ln2Hi is exact
	ln2Lo  = 1.90821492927058770002e-10
	shift  = 0x1.8p52 // added and taken away, it rounds to an integer
	expTop = 89       // e^89 is above the largest float32
	expLow = -104     // e^-104 rounds to zero as a float32
)

// expm1 gives 2^n and p with e^x = 2^n * (1+p), |p| < 0.42, for |x| < 700:
// with x = n*ln 2 + r, p = e^r - 1 by its Taylor series, |r| < 0.3466.
func expm1(x float64) (scale, p float64) {
	k := x*log2e + shift
	n := k - shift
	r := x - n*ln2Hi - n*ln2Lo
	q := 1.0/5040 + r*(1.0/40320)
	q = 1.0/720 + r*q
	q = 1.0/120 + r*q
	q = 1.0/24 + r*q
	q = 1.0/6 + r*q
	q = 1.0/2 + r*q
	return math.Float64frombits(uint64(int64(n)+1023) << 52), r + r*r*q
}

// Exp32 is e^x.
func Exp32(x float32) float32 {
	switch {
	case x > expTop:
		return float32(math.Inf(1))
	case x < expLow:
		return 0
	case x != x:
		return x
	}
	s, p := expm1(float64(x))
	return float32(s + s*p)
}

// Expm1f32 is e^x - 1, accurate near zero.
func Expm1f32(x float32) float32 {
	switch {
	case x > expTop:
		return float32(math.Inf(1))
	case x < -40:
		return -1
	case x != x || x == 0:
		return x
	}
	s, p := expm1(float64(x))
	return float32(s*p + (s - 1))
}

// Sigmoid32 is 1 / (1 + e^-x).
func Sigmoid32(x float32) float32 {
	switch {
	case x > 40:
		return 1
	case x < expLow:
		return 0
	case x != x:
		return x
	}
	s, p := expm1(-float64(x))
	return float32(1 / (1 + s + s*p))
}

// Tanh32 is (e^2x - 1) / (e^2x + 1).
func Tanh32(x float32) float32 {
	switch {
	case x > 20:
		return 1
	case x < -20:
		return -1
	case x != x || x == 0:
		return x
	}
	s, p := expm1(2 * float64(x))
	t := s*p + (s - 1)
	return float32(t / (t + 2))
}

// Log32 is the natural logarithm: -Inf of zero, NaN of what is below. With
// x = 2^k * m, sqrt(1/2) <= m < sqrt(2) and s = (m-1)/(m+1), it is
// k*ln 2 + 2*(s + s^3/3 + s^5/5 + ...).
func Log32(x float32) float32 {
	switch {
	case x < 0 || x != x:
		return float32(math.NaN())
	case x == 0:
		return float32(math.Inf(-1))
	case x > math.MaxFloat32:
		return x
	}
	return float32(logSeries(float64(x)))
}

// logSeries is the logarithm of a normal number, within 1e-11 of itself.
func logSeries(x float64) float64 {
	const sqrtHalf = 0x3fe6a09e667f3bcd // math.Sqrt(0.5)
	b := math.Float64bits(x)
	k := int64(b-sqrtHalf) >> 52
	m := math.Float64frombits(b - uint64(k)<<52)
	s := (m - 1) / (m + 1)
	z := s * s
	q := 1.0/11 + z*(1.0/13)
	q = 1.0/9 + z*q
	q = 1.0/7 + z*q
	q = 1.0/5 + z*q
	q = 1.0/3 + z*q
	return float64(k)*math.Ln2 + 2*(s+s*z*q)
}

// Sigmoid64 is 1 / (1 + e^-x), without overflow.
func Sigmoid64(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}

// Tanh64 is the hyperbolic tangent.
func Tanh64(x float64) float64 { return math.Tanh(x) }

// expMinus1 is e^x - 1, accurate near zero, for a result that is rounded to
// float32.
func expMinus1(x float64) float64 {
	switch {
	case x < -60:
		return -1
	case x > 700 || x != x || x == 0:
		return math.Expm1(x)
	}
	s, p := expm1(x)
	return s*p + (s - 1)
}

// LeakyRelu is x where x >= 0, else alpha * x.
func LeakyRelu[T Float](dst, src []T, alpha T) {
	src = src[:len(dst)]
	for i, x := range src {
		if x < 0 {
			x *= alpha
		}
		dst[i] = x
	}
}

// HardSigmoid is alpha * x + beta within 0..1.
func HardSigmoid[T Float](dst, src []T, alpha, beta T) {
	src = src[:len(dst)]
	for i, x := range src {
		dst[i] = max(0, min(1, T(alpha*x)+beta))
	}
}

// ThresholdedRelu is x where x > alpha, else 0, also of NaN.
func ThresholdedRelu[T Float](dst, src []T, alpha T) {
	src = src[:len(dst)]
	for i, x := range src {
		if !(x > alpha) {
			x = 0
		}
		dst[i] = x
	}
}

// Elu is gamma * x where x > 0, else gamma * alpha * (e^x - 1).
func Elu[T Float](dst, src []T, alpha, gamma float64) {
	var z T
	_, single := any(z).(float32)
	src = src[:len(dst)]
	for i, x := range src {
		switch v := float64(x); {
		case x > 0:
			v *= gamma
			dst[i] = T(v)
		case single:
			dst[i] = T(gamma * alpha * expMinus1(v))
		default:
			dst[i] = T(gamma * alpha * math.Expm1(v))
		}
	}
}

// Celu is max(0, x) + min(0, alpha * (e^(x/alpha) - 1)).
func Celu(x, alpha float64) float64 {
	return max(0, x) + min(0, alpha*math.Expm1(x/alpha))
}

// Softplus is log(1 + e^x).
func Softplus(x float64) float64 {
	if x > 0 {
		return x + math.Log1p(math.Exp(-x))
	}
	return math.Log1p(math.Exp(x))
}

// Softsign is x / (1 + |x|).
func Softsign(x float64) float64 { return x / (1 + math.Abs(x)) }

// HardSwish is x times x/6 + 1/2 within 0..1.
func HardSwish(x float64) float64 { return x * max(0, min(1, x/6+0.5)) }

// Mish is x * tanh(log(1 + e^x)); with e = e^x the tanh is
// (e^2 + 2e) / (e^2 + 2e + 2).
func Mish(x float64) float64 {
	if x > 40 {
		return x
	}
	e := math.Exp(x)
	e *= e + 2
	return x * (e / (e + 2))
}

// Gelu is x/2 * (1 + erf(x/sqrt 2)).
func Gelu(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) }

// GeluTanh is x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))); of
// 1 + tanh(u), the half is the sigmoid of 2u.
func GeluTanh(x float64) float64 {
	const twice = 2 * 0.7978845608028654 // 2 sqrt(2/pi)
	return x * Sigmoid64(twice*(x+0.044715*x*x*x))
}

// Shrink is x + bias below -lambd, x - bias above lambd, else 0, also of NaN.
func Shrink(x, lambd, bias float64) float64 {
	switch {
	case x < -lambd:
		return x + bias
	case x > lambd:
		return x - bias
	}
	return 0
}
