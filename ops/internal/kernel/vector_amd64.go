//go:build amd64 && !noasm

package kernel

// vectorMost bounds the vectors of one call of assembly.
const vectorMost = 1 << 13

// wholeVectors is how many vectors the next call does of what is left of n
// elements; none in plain Go.
func wholeVectors(l Level, n int) int {
	if l == Go {
		return 0
	}
	return min(n/l.Lanes(), vectorMost)
}

// vectorFunction is a function of one vector, vectorOperator one of two.
type (
	vectorFunction int
	vectorOperator int
)

const (
	vectorExp vectorFunction = iota
	vectorSigmoid
	vectorTanh
	vectorRelu
)

const (
	vectorAdd vectorOperator = iota
	vectorSub
	vectorMul
	vectorDiv
	vectorMax
	vectorMin
	vectorPRelu
)

// call does n vectors. Every function is named, since what is called through a
// variable would make its arguments escape.
func (f vectorFunction) call(l Level, dst, src *float32, n int) {
	switch {
	case f == vectorExp && l == AVX2:
		expAVX2(dst, src, n)
	case f == vectorExp:
		expAVX512(dst, src, n)
	case f == vectorSigmoid && l == AVX2:
		sigmoidAVX2(dst, src, n)
	case f == vectorSigmoid:
		sigmoidAVX512(dst, src, n)
	case f == vectorTanh && l == AVX2:
		tanhAVX2(dst, src, n)
	case f == vectorTanh:
		tanhAVX512(dst, src, n)
	case l == AVX2:
		reluAVX2(dst, src, n)
	default:
		reluAVX512(dst, src, n)
	}
}

// run is dst = f(src). What is no whole vector goes through the same formula
// in a vector of its own.
func (f vectorFunction) run(l Level, dst, src []float32) {
	src = src[:len(dst)]
	for n := wholeVectors(l, len(dst)); n > 0; n = wholeVectors(l, len(dst)) {
		f.call(l, &dst[0], &src[0], n)
		dst, src = dst[n*l.Lanes():], src[n*l.Lanes():]
	}
	if len(dst) > 0 {
		var rest [16]float32
		copy(rest[:], src)
		f.call(l, &rest[0], &rest[0], 1)
		copy(dst, rest[:])
	}
}

func expVector(l Level, dst, src []float32)     { vectorExp.run(l, dst, src) }
func sigmoidVector(l Level, dst, src []float32) { vectorSigmoid.run(l, dst, src) }
func tanhVector(l Level, dst, src []float32)    { vectorTanh.run(l, dst, src) }
func reluVector(l Level, dst, src []float32)    { vectorRelu.run(l, dst, src) }

func (o vectorOperator) call(l Level, dst, a, b *float32, n int) {
	switch {
	case o == vectorAdd && l == AVX2:
		addAVX2(dst, a, b, n)
	case o == vectorAdd:
		addAVX512(dst, a, b, n)
	case o == vectorSub && l == AVX2:
		subAVX2(dst, a, b, n)
	case o == vectorSub:
		subAVX512(dst, a, b, n)
	case o == vectorMul && l == AVX2:
		mulAVX2(dst, a, b, n)
	case o == vectorMul:
		mulAVX512(dst, a, b, n)
	case o == vectorDiv && l == AVX2:
		divAVX2(dst, a, b, n)
	case o == vectorDiv:
		divAVX512(dst, a, b, n)
	case o == vectorMax && l == AVX2:
		maxAVX2(dst, a, b, n)
	case o == vectorMax:
		maxAVX512(dst, a, b, n)
	case o == vectorMin && l == AVX2:
		minAVX2(dst, a, b, n)
	case o == vectorMin:
		minAVX512(dst, a, b, n)
	case l == AVX2:
		preluAVX2(dst, a, b, n)
	default:
		preluAVX512(dst, a, b, n)
	}
}

func (o vectorOperator) callVS(l Level, dst, a *float32, s float32, n int) {
	switch {
	case o == vectorAdd && l == AVX2:
		addVSAVX2(dst, a, s, n)
	case o == vectorAdd:
		addVSAVX512(dst, a, s, n)
	case o == vectorSub && l == AVX2:
		subVSAVX2(dst, a, s, n)
	case o == vectorSub:
		subVSAVX512(dst, a, s, n)
	case o == vectorMul && l == AVX2:
		mulVSAVX2(dst, a, s, n)
	case o == vectorMul:
		mulVSAVX512(dst, a, s, n)
	case o == vectorDiv && l == AVX2:
		divVSAVX2(dst, a, s, n)
	case o == vectorDiv:
		divVSAVX512(dst, a, s, n)
	case o == vectorMax && l == AVX2:
		maxVSAVX2(dst, a, s, n)
	case o == vectorMax:
		maxVSAVX512(dst, a, s, n)
	case o == vectorMin && l == AVX2:
		minVSAVX2(dst, a, s, n)
	case o == vectorMin:
		minVSAVX512(dst, a, s, n)
	case l == AVX2:
		preluVSAVX2(dst, a, s, n)
	default:
		preluVSAVX512(dst, a, s, n)
	}
}

func (o vectorOperator) callSV(l Level, dst *float32, s float32, b *float32, n int) {
	switch {
	case o == vectorSub && l == AVX2:
		subSVAVX2(dst, s, b, n)
	case o == vectorSub:
		subSVAVX512(dst, s, b, n)
	case o == vectorDiv && l == AVX2:
		divSVAVX2(dst, s, b, n)
	case o == vectorDiv:
		divSVAVX512(dst, s, b, n)
	case l == AVX2:
		preluSVAVX2(dst, s, b, n)
	default:
		preluSVAVX512(dst, s, b, n)
	}
}

// run is dst = a o b for whole vectors, and gives how many elements it did:
// the rest is the plain loop's, which rounds the same.
func (o vectorOperator) run(l Level, dst, a, b []float32) int {
	a, b = a[:len(dst)], b[:len(dst)]
	i := 0
	for n := wholeVectors(l, len(dst)); n > 0; n = wholeVectors(l, len(dst)-i) {
		o.call(l, &dst[i], &a[i], &b[i], n)
		i += n * l.Lanes()
	}
	return i
}

// runVS is run with a scalar for b.
func (o vectorOperator) runVS(l Level, dst, a []float32, s float32) int {
	a = a[:len(dst)]
	i := 0
	for n := wholeVectors(l, len(dst)); n > 0; n = wholeVectors(l, len(dst)-i) {
		o.callVS(l, &dst[i], &a[i], s, n)
		i += n * l.Lanes()
	}
	return i
}

// runSV is run with a scalar for a.
func (o vectorOperator) runSV(l Level, dst []float32, s float32, b []float32) int {
	b = b[:len(dst)]
	i := 0
	for n := wholeVectors(l, len(dst)); n > 0; n = wholeVectors(l, len(dst)-i) {
		o.callSV(l, &dst[i], s, &b[i], n)
		i += n * l.Lanes()
	}
	return i
}

func addVector(l Level, dst, a, b []float32) int   { return vectorAdd.run(l, dst, a, b) }
func subVector(l Level, dst, a, b []float32) int   { return vectorSub.run(l, dst, a, b) }
func mulVector(l Level, dst, a, b []float32) int   { return vectorMul.run(l, dst, a, b) }
func divVector(l Level, dst, a, b []float32) int   { return vectorDiv.run(l, dst, a, b) }
func maxVector(l Level, dst, a, b []float32) int   { return vectorMax.run(l, dst, a, b) }
func minVector(l Level, dst, a, b []float32) int   { return vectorMin.run(l, dst, a, b) }
func preluVector(l Level, dst, a, b []float32) int { return vectorPRelu.run(l, dst, a, b) }

func addVectorVS(l Level, dst, a []float32, s float32) int   { return vectorAdd.runVS(l, dst, a, s) }
func subVectorVS(l Level, dst, a []float32, s float32) int   { return vectorSub.runVS(l, dst, a, s) }
func mulVectorVS(l Level, dst, a []float32, s float32) int   { return vectorMul.runVS(l, dst, a, s) }
func divVectorVS(l Level, dst, a []float32, s float32) int   { return vectorDiv.runVS(l, dst, a, s) }
func maxVectorVS(l Level, dst, a []float32, s float32) int   { return vectorMax.runVS(l, dst, a, s) }
func minVectorVS(l Level, dst, a []float32, s float32) int   { return vectorMin.runVS(l, dst, a, s) }
func preluVectorVS(l Level, dst, a []float32, s float32) int { return vectorPRelu.runVS(l, dst, a, s) }

func subVectorSV(l Level, dst []float32, s float32, b []float32) int {
	return vectorSub.runSV(l, dst, s, b)
}
func divVectorSV(l Level, dst []float32, s float32, b []float32) int {
	return vectorDiv.runSV(l, dst, s, b)
}
func preluVectorSV(l Level, dst []float32, s float32, b []float32) int {
	return vectorPRelu.runSV(l, dst, s, b)
}
