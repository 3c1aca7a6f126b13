package onnx

import "math"

// Float32 converts exactly.
func (f F16) Float32() float32 {
	sign := uint32(f&0x8000) << 16
	exp := uint32(f>>10) & 0x1f
	man := uint32(f & 0x3ff)
	switch exp {
	case 0:
		return math.Float32frombits(sign | math.Float32bits(float32(man)*0x1p-24))
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | man<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | man<<13)
}

// ToF16 rounds to nearest, ties to even; what is too large becomes infinite.
func ToF16(x float32) F16 {
	b := math.Float32bits(x)
	sign := uint16(b >> 16 & 0x8000)
	abs := b & 0x7fffffff
	switch {
	case abs > 0x7f800000:
		return F16(sign | 0x7e00 | uint16(abs>>13&0x1ff))
	case abs >= 0x47800000: // 2^16
		return F16(sign | 0x7c00)
	case abs < 0x38800000: // below 2^-14: a multiple of 2^-24
		return F16(sign | uint16(math.RoundToEven(float64(math.Float32frombits(abs))*0x1p24)))
	}
	abs += 0xfff + abs>>13&1
	return F16(sign | uint16((abs-0x38000000)>>13))
}

// Float32 converts exactly.
func (f BF16) Float32() float32 { return math.Float32frombits(uint32(f) << 16) }

// ToBF16 rounds to nearest, ties to even.
func ToBF16(x float32) BF16 {
	b := math.Float32bits(x)
	if b&0x7fffffff > 0x7f800000 {
		return BF16(b>>16 | 0x40)
	}
	return BF16((b + 0x7fff + b>>16&1) >> 16)
}

// minifloat describes an 8- or 4-bit floating-point format.
type minifloat struct {
	man, bias int
	max       float32 // largest finite value
	inf       int     // code of +Inf, -1 where the format has none
	nan       int     // code of NaN, -1 where the format has none
	uz        bool    // no negative zero; NaN is its code
	table     [256]float32
}

func newMinifloat(bits, man, bias, inf, nan int, uz bool) *minifloat {
	m := &minifloat{man: man, bias: bias, inf: inf, nan: nan, uz: uz}
	half := 1 << (bits - 1)
	for c := range 1 << bits {
		mag := c & (half - 1)
		e, f := mag>>man, mag&(1<<man-1)
		v := math.Ldexp(float64(f), 1-bias-man)
		if e > 0 {
			v = math.Ldexp(float64(f+1<<man), e-bias-man)
		}
		switch {
		case uz && c == nan, !uz && nan >= 0 && (mag == nan || inf >= 0 && mag > inf):
			v = math.NaN()
		case inf >= 0 && mag == inf:
			v = math.Inf(1)
		default:
			m.max = max(m.max, float32(v))
		}
		if c >= half {
			v = -v
			if mag == 0 {
				v = math.Copysign(0, -1)
			}
		}
		if uz && c == nan {
			v = math.NaN()
		}
		m.table[c] = float32(v)
	}
	return m
}

var (
	e4m3   = newMinifloat(8, 3, 7, -1, 0x7f, false)
	e4m3uz = newMinifloat(8, 3, 8, -1, 0x80, true)
	e5m2   = newMinifloat(8, 2, 15, 0x7c, 0x7f, false)
	e5m2uz = newMinifloat(8, 2, 16, -1, 0x80, true)
	e2m1   = newMinifloat(4, 1, 1, -1, -1, false)
)

// encode rounds to nearest, ties to even. Values beyond the largest finite one
// saturate, or become infinite (NaN where there is no infinity).
func (m *minifloat) encode(x float32, saturate bool, signBit uint8) uint8 {
	neg := math.Signbit(float64(x))
	sign := uint8(0)
	if neg {
		sign = signBit
	}
	over := func() uint8 {
		switch {
		case m.inf >= 0:
			return sign | uint8(m.inf)
		case m.uz:
			return uint8(m.nan)
		case m.nan >= 0:
			return sign | uint8(m.nan)
		}
		return sign | m.magnitude(m.max)
	}
	switch {
	case x != x:
		if m.nan < 0 { // float4e2m1 has no NaN; the specification leaves the result open
			return m.magnitude(m.max)
		}
		if m.uz {
			return uint8(m.nan)
		}
		return sign | uint8(m.nan)
	case math.IsInf(float64(x), 0):
		if saturate {
			return sign | m.magnitude(m.max)
		}
		return over()
	}
	a := math.Abs(float64(x))
	frac, exp := math.Frexp(a) // a = frac * 2^exp, frac in [0.5, 1)
	_ = frac
	e := max(exp-1, 1-m.bias)
	r := math.Ldexp(math.RoundToEven(math.Ldexp(a, m.man-e)), e-m.man)
	if r > float64(m.max) {
		if saturate {
			return sign | m.magnitude(m.max)
		}
		return over()
	}
	c := m.magnitude(float32(r))
	if c == 0 && m.uz {
		return 0
	}
	return sign | c
}

// magnitude gives the code of a representable, non-negative value.
func (m *minifloat) magnitude(v float32) uint8 {
	if v == 0 {
		return 0
	}
	frac, exp := math.Frexp(float64(v))
	e := exp - 1
	if e < 1-m.bias {
		return uint8(math.Ldexp(float64(v), m.bias-1+m.man))
	}
	return uint8((e+m.bias)<<m.man | int(math.Ldexp(frac*2-1, m.man)))
}

// Float32 converts exactly.
func (f F8E4M3) Float32() float32 { return e4m3.table[f] }

// Float32 converts exactly.
func (f F8E4M3UZ) Float32() float32 { return e4m3uz.table[f] }

// Float32 converts exactly.
func (f F8E5M2) Float32() float32 { return e5m2.table[f] }

// Float32 converts exactly.
func (f F8E5M2UZ) Float32() float32 { return e5m2uz.table[f] }

// Float32 converts exactly.
func (f F4E2M1) Float32() float32 { return e2m1.table[f&15] }

// Float32 converts exactly.
func (f F8E8M0) Float32() float32 {
	switch f {
	case 0xff:
		return float32(math.NaN())
	case 0:
		return 0x1p-127
	}
	return math.Float32frombits(uint32(f) << 23)
}

// ToF8E4M3 rounds to nearest, ties to even; saturate chooses between the
// largest finite value and NaN for what is too large.
func ToF8E4M3(x float32, saturate bool) F8E4M3 { return F8E4M3(e4m3.encode(x, saturate, 0x80)) }

// ToF8E4M3UZ rounds as ToF8E4M3 does.
func ToF8E4M3UZ(x float32, saturate bool) F8E4M3UZ { return F8E4M3UZ(e4m3uz.encode(x, saturate, 0x80)) }

// ToF8E5M2 rounds to nearest, ties to even; saturate chooses between the
// largest finite value and infinity for what is too large.
func ToF8E5M2(x float32, saturate bool) F8E5M2 { return F8E5M2(e5m2.encode(x, saturate, 0x80)) }

// ToF8E5M2UZ rounds as ToF8E4M3 does.
func ToF8E5M2UZ(x float32, saturate bool) F8E5M2UZ { return F8E5M2UZ(e5m2uz.encode(x, saturate, 0x80)) }

// ToF4E2M1 rounds to nearest, ties to even, and saturates at 6.
func ToF4E2M1(x float32) F4E2M1 { return F4E2M1(e2m1.encode(x, true, 8)) }
