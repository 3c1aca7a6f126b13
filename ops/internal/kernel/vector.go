package kernel

// The loops of this file are those of the same name without Vector, at any level.
// They round alike, so every level gives the same bits.

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

// MaxVector is Max.
func MaxVector(l Level, dst, a, b []float32) {
	i := maxVector(l, dst, a, b)
	Max(dst[i:], a[i:], b[i:])
}

// MinVector is Min.
func MinVector(l Level, dst, a, b []float32) {
	i := minVector(l, dst, a, b)
	Min(dst[i:], a[i:], b[i:])
}

// PReluVector is PRelu.
func PReluVector(l Level, dst, a, b []float32) {
	i := preluVector(l, dst, a, b)
	PRelu(dst[i:], a[i:], b[i:])
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

// MaxVectorVS is MaxVS.
func MaxVectorVS(l Level, dst, a []float32, s float32) {
	i := maxVectorVS(l, dst, a, s)
	MaxVS(dst[i:], a[i:], s)
}

// MinVectorVS is MinVS.
func MinVectorVS(l Level, dst, a []float32, s float32) {
	i := minVectorVS(l, dst, a, s)
	MinVS(dst[i:], a[i:], s)
}

// PReluVectorVS is PReluVS.
func PReluVectorVS(l Level, dst, a []float32, s float32) {
	i := preluVectorVS(l, dst, a, s)
	PReluVS(dst[i:], a[i:], s)
}

// SubVectorSV is SubSV.
func SubVectorSV(l Level, dst []float32, s float32, b []float32) {
	i := subVectorSV(l, dst, s, b)
	SubSV(dst[i:], s, b[i:])
}

// DivVectorSV is DivSV.
func DivVectorSV(l Level, dst []float32, s float32, b []float32) {
	i := divVectorSV(l, dst, s, b)
	DivSV(dst[i:], s, b[i:])
}

// PReluVectorSV is PReluSV.
func PReluVectorSV(l Level, dst []float32, s float32, b []float32) {
	i := preluVectorSV(l, dst, s, b)
	PReluSV(dst[i:], s, b[i:])
}

// ReluVector is Relu.
func ReluVector(l Level, dst, src []float32) {
	if l == Go {
		Relu(dst, src)
		return
	}
	reluVector(l, dst, src)
}
