package kernel

import "math"

// vectorMap is a function of one operand at a level of vectors.
type vectorMap int

const (
	mapSqrt vectorMap = iota
	mapReciprocal
	mapCube
	mapAbs
	mapNeg
	mapSign
	mapRound
	mapFloor
	mapCeil
	mapSoftsign
	mapHardSwish
	mapLog
	mapSoftplus
	mapErf
	mapGelu
	mapGeluTanh
	mapLeakyRelu
	mapHardSigmoid
	mapClip
	mapElu
)

// or runs the plain loop at level Go, and the level's own elsewhere.
func (m vectorMap) or(plain func(dst, src []float32), l Level, dst, src []float32) {
	if l == Go {
		plain(dst, src)
		return
	}
	m.run(l, dst, src, 0, 0)
}

// Plain loops that are made of a function of float64.
var (
	plainRound    = MapFloat[float32](math.RoundToEven)
	plainFloor    = MapFloat[float32](math.Floor)
	plainCeil     = MapFloat[float32](math.Ceil)
	plainSoftplus = MapFloat[float32](Softplus)
	plainErf      = MapFloat[float32](math.Erf)
	plainGelu     = MapFloat[float32](Gelu)
	plainGeluTanh = MapFloat[float32](GeluTanh)
)

// The loops of this file are those of the same name without Vector. But for the
// ones that say so they round alike, so every level gives the same bits.

// SqrtVector is Sqrt.
func SqrtVector(l Level, dst, src []float32) { mapSqrt.or(Sqrt, l, dst, src) }

// ReciprocalVector is Reciprocal.
func ReciprocalVector(l Level, dst, src []float32) { mapReciprocal.or(Reciprocal, l, dst, src) }

// CubeVector is Cube.
func CubeVector(l Level, dst, src []float32) { mapCube.or(Cube, l, dst, src) }

// AbsVector is Abs.
func AbsVector(l Level, dst, src []float32) { mapAbs.or(Abs, l, dst, src) }

// NegVector is Neg.
func NegVector(l Level, dst, src []float32) { mapNeg.or(Neg, l, dst, src) }

// SignVector is Sign.
func SignVector(l Level, dst, src []float32) { mapSign.or(Sign, l, dst, src) }

// RoundVector is math.RoundToEven.
func RoundVector(l Level, dst, src []float32) { mapRound.or(plainRound, l, dst, src) }

// FloorVector is math.Floor.
func FloorVector(l Level, dst, src []float32) { mapFloor.or(plainFloor, l, dst, src) }

// CeilVector is math.Ceil.
func CeilVector(l Level, dst, src []float32) { mapCeil.or(plainCeil, l, dst, src) }

// SoftsignVector is Softsign32.
func SoftsignVector(l Level, dst, src []float32) { mapSoftsign.or(Softsign32, l, dst, src) }

// HardSwishVector is HardSwish32.
func HardSwishVector(l Level, dst, src []float32) { mapHardSwish.or(HardSwish32, l, dst, src) }

// LogVector is Log32, or the level's own formula, which is within 1.5e-7 of the
// result.
func LogVector(l Level, dst, src []float32) { mapLog.or(logs, l, dst, src) }

// SoftplusVector is Softplus, or the level's own formula, which is within 4e-7 of
// the result.
func SoftplusVector(l Level, dst, src []float32) { mapSoftplus.or(plainSoftplus, l, dst, src) }

// ErfVector is math.Erf, or the level's own formula, which is within 2e-7 of the
// result.
func ErfVector(l Level, dst, src []float32) { mapErf.or(plainErf, l, dst, src) }

// GeluVector is Gelu, or the level's own formula, which is within 2e-7 times x of
// the result.
func GeluVector(l Level, dst, src []float32) { mapGelu.or(plainGelu, l, dst, src) }

// GeluTanhVector is GeluTanh, or the level's own formula, which is within 4e-7
// times x of the result.
func GeluTanhVector(l Level, dst, src []float32) { mapGeluTanh.or(plainGeluTanh, l, dst, src) }

// CeluVector is Celu, or made of the level's own formula of Elu, within 6e-7 of
// the result.
func CeluVector(l Level, dst, src []float32, alpha float32) {
	if l == Go || !(alpha > 0) {
		plainCelu(dst, src, alpha)
		return
	}
	var block [rowBlock]float32
	for i := 0; i < len(dst); i += rowBlock {
		x := src[i:min(i+rowBlock, len(dst))]
		e, y := block[:len(x)], dst[i:]
		DivVectorVS(l, e, x, alpha)
		EluVector(l, e, e, float64(alpha), 1)
		MinVectorVS(l, e, e, 0)
		ReluVector(l, y[:len(x)], x)
		AddVector(l, y[:len(x)], y, e)
	}
}

func plainCelu(dst, src []float32, alpha float32) {
	src = src[:len(dst)]
	for i, x := range src {
		dst[i] = float32(Celu(float64(x), float64(alpha)))
	}
}

// LeakyReluVector is LeakyRelu.
func LeakyReluVector(l Level, dst, src []float32, alpha float32) {
	if l == Go {
		LeakyRelu(dst, src, alpha)
		return
	}
	mapLeakyRelu.run(l, dst, src, alpha, 0)
}

// HardSigmoidVector is HardSigmoid.
func HardSigmoidVector(l Level, dst, src []float32, alpha, beta float32) {
	if l == Go {
		HardSigmoid(dst, src, alpha, beta)
		return
	}
	mapHardSigmoid.run(l, dst, src, alpha, beta)
}

// ClipVector is Clip.
func ClipVector(l Level, dst, src []float32, lo, hi float32) {
	if l == Go || lo != lo || hi != hi || hi == 0 && math.Signbit(float64(hi)) {
		Clip(dst, src, lo, hi)
		return
	}
	mapClip.run(l, dst, src, lo, hi)
}

// EluVector is Elu, or the level's own formula, which is within 4e-7 of the
// result.
func EluVector(l Level, dst, src []float32, alpha, gamma float64) {
	if l == Go {
		Elu(dst, src, alpha, gamma)
		return
	}
	mapElu.run(l, dst, src, float32(alpha*gamma), float32(gamma))
}

func logs(dst, src []float32) {
	src = src[:len(dst)]
	for i, x := range src {
		dst[i] = Log32(x)
	}
}

// Softsign32 is x / (1 + |x|) in float32.
func Softsign32(dst, src []float32) {
	src = src[:len(dst)]
	for i, x := range src {
		dst[i] = x / (1 + math.Float32frombits(math.Float32bits(x)&^(1<<31)))
	}
}

// HardSwish32 is x times x+3 within 0..6, over 6, in float32.
func HardSwish32(dst, src []float32) {
	src = src[:len(dst)]
	for i, x := range src {
		dst[i] = x * (max(0, min(6, x+3)) / 6)
	}
}

// extreme is the greatest or the least of acc and the elements of x, which is
// not empty, as FoldRow has it.
func extreme(l Level, acc float32, x []float32, most bool) float32 {
	fold, at := FoldMin, 0
	if most {
		fold = FoldMax
	}
	if l != Go && len(x) >= l.Lanes() {
		if best, done, ok := extremeVector(l, x, most); ok && best != 0 {
			acc, at = FoldRow(fold, acc, []float32{best}), done
		}
	}
	return FoldRow(fold, acc, x[at:])
}

// MaxRow is FoldRow of FoldMax.
func MaxRow(l Level, acc float32, x []float32) float32 { return extreme(l, acc, x, true) }

// MinRow is FoldRow of FoldMin.
func MinRow(l Level, acc float32, x []float32) float32 { return extreme(l, acc, x, false) }

// AddValuesRow is AddRow of Value.
func AddValuesRow(l Level, lanes *Lanes, x []float32) {
	at := 0
	if l != Go {
		at = addLanes(l, lanes, x, 0, false)
	}
	AddRow(Value, lanes, x[at:], 0)
}

// AddSquaresRow adds (x[i]-mean)^2 to the lanes; x continues a row at a
// multiple of 8.
func AddSquaresRow(l Level, lanes *Lanes, x []float32, mean float64) {
	at := 0
	if l != Go {
		at = addLanes(l, lanes, x, mean, true)
	}
	for i, v := range x[at:] {
		d := float64(v) - mean
		lanes[i&7] += float64(d * d) // the conversion forbids a fused multiply-add
	}
}
