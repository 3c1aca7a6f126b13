package kernel

// The loops of this file are those of the same name without Vector, at a level
// of vectors. They round alike, so every level gives the same bits.

// AddVector is Add.
func AddVector(l Level, dst, a, b []float32) {
	i := addVector(l, dst, a, b)
	Add(dst[i:], a[i:], b[i:])
}

// SubVector is Sub.
func SubVector(l Level, dst, a, b []float32) {
	i := subVector(l, dst, a, b)
	Sub(dst[i:], a[i:], b[i:])
}

// MulVector is Mul.
func MulVector(l Level, dst, a, b []float32) {
	i := mulVector(l, dst, a, b)
	Mul(dst[i:], a[i:], b[i:])
}

// DivVector is Div.
func DivVector(l Level, dst, a, b []float32) {
	i := divVector(l, dst, a, b)
	Div(dst[i:], a[i:], b[i:])
}

// AddVectorVS is AddVS.
func AddVectorVS(l Level, dst, a []float32, s float32) {
	i := addVectorVS(l, dst, a, s)
	AddVS(dst[i:], a[i:], s)
}

// SubVectorVS is SubVS.
func SubVectorVS(l Level, dst, a []float32, s float32) {
	i := subVectorVS(l, dst, a, s)
	SubVS(dst[i:], a[i:], s)
}

// MulVectorVS is MulVS.
func MulVectorVS(l Level, dst, a []float32, s float32) {
	i := mulVectorVS(l, dst, a, s)
	MulVS(dst[i:], a[i:], s)
}

// DivVectorVS is DivVS.
func DivVectorVS(l Level, dst, a []float32, s float32) {
	i := divVectorVS(l, dst, a, s)
	DivVS(dst[i:], a[i:], s)
}

// ReluVector is Relu.
func ReluVector(l Level, dst, src []float32) { reluVector(l, dst, src) }

// ClipVector is Clip.
func ClipVector(l Level, dst, src []float32, lo, hi float32) { Clip(dst, src, lo, hi) }
