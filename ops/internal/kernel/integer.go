package kernel

// The loops of this file are those without Vector in their name, at any level,
// and give the same bits.

// Arithmetic is an operator of integers whose loops have vectors.
type Arithmetic int

// The operators.
const (
	Plus Arithmetic = iota
	Minus
	Times
	Greatest
	Least
	Quotient
)

// Word are the types of the operands.
type Word interface {
	int32 | int64 | uint32 | uint64
}

// ArithmeticVector is dst = a how b; b has no zero where it divides.
func ArithmeticVector[T Word](l Level, how Arithmetic, dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	i := arithmeticVector(l, how, dst, a, b, 1, 1)
	dst, a, b = dst[i:], a[i:], b[i:]
	switch how {
	case Plus:
		Add(dst, a, b)
	case Minus:
		Sub(dst, a, b)
	case Times:
		Mul(dst, a, b)
	case Greatest:
		Max(dst, a, b)
	case Least:
		Min(dst, a, b)
	default:
		Div(dst, a, b)
	}
}

// ArithmeticVectorVS is dst = a how s.
func ArithmeticVectorVS[T Word](l Level, how Arithmetic, dst, a []T, s T) {
	a = a[:len(dst)]
	i := 0
	if l != Go && len(dst) >= l.Lanes() {
		var block [scalarBlock]T
		Fill(block[:], s)
		i = arithmeticVector(l, how, dst, a, block[:], 1, 0)
	}
	dst, a = dst[i:], a[i:]
	switch how {
	case Plus:
		AddVS(dst, a, s)
	case Minus:
		SubVS(dst, a, s)
	case Times:
		MulVS(dst, a, s)
	case Greatest:
		MaxVS(dst, a, s)
	case Least:
		MinVS(dst, a, s)
	default:
		DivVS(dst, a, s)
	}
}

// ArithmeticVectorSV is dst = s how b.
func ArithmeticVectorSV[T Word](l Level, how Arithmetic, dst []T, s T, b []T) {
	if how != Minus && how != Quotient {
		ArithmeticVectorVS(l, how, dst, b, s)
		return
	}
	b = b[:len(dst)]
	i := 0
	if l != Go && len(dst) >= l.Lanes() {
		var block [scalarBlock]T
		Fill(block[:], s)
		i = arithmeticVector(l, how, dst, block[:], b, 0, 1)
	}
	if dst, b = dst[i:], b[i:]; how == Minus {
		SubSV(dst, s, b)
	} else {
		DivSV(dst, s, b)
	}
}

// ClipIntegers is Clip; the integers that have vectors are those of 32 and 64
// bits with a sign.
func ClipIntegers[T Number](l Level, dst, src []T, lo, hi T) {
	src = src[:len(dst)]
	i := clipVector(l, dst, src, lo, hi)
	Clip(dst[i:], src[i:], lo, hi)
}
