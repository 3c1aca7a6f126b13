//go:build amd64 && !noasm

package kernel

// call does n vectors. Every function is named, since what is called through a
// variable would make its arguments escape.
func (f vectorMap) call(l Level, dst, src *float32, n int, alpha, beta float32) {
	if l == AVX2 {
		f.callAVX2(dst, src, n, alpha, beta)
	} else {
		f.callAVX512(dst, src, n, alpha, beta)
	}
}

func (f vectorMap) callAVX2(dst, src *float32, n int, alpha, beta float32) {
	switch f {
	case mapSqrt:
		sqrtAVX2(dst, src, n)
	case mapReciprocal:
		reciprocalAVX2(dst, src, n)
	case mapCube:
		cubeAVX2(dst, src, n)
	case mapAbs:
		absAVX2(dst, src, n)
	case mapNeg:
		negAVX2(dst, src, n)
	case mapSign:
		signAVX2(dst, src, n)
	case mapRound:
		roundAVX2(dst, src, n)
	case mapFloor:
		floorAVX2(dst, src, n)
	case mapCeil:
		ceilAVX2(dst, src, n)
	case mapSoftsign:
		softsignAVX2(dst, src, n)
	case mapHardSwish:
		hardSwishAVX2(dst, src, n)
	case mapLog:
		logAVX2(dst, src, n)
	case mapSoftplus:
		softplusAVX2(dst, src, n)
	case mapErf:
		erfAVX2(dst, src, n)
	case mapGelu:
		geluAVX2(dst, src, n)
	case mapGeluTanh:
		geluTanhAVX2(dst, src, n)
	case mapLeakyRelu:
		leakyReluAVX2(dst, src, n, alpha, beta)
	case mapHardSigmoid:
		hardSigmoidAVX2(dst, src, n, alpha, beta)
	case mapClip:
		clipAVX2(dst, src, n, alpha, beta)
	case mapElu:
		eluAVX2(dst, src, n, alpha, beta)
	}
}

func (f vectorMap) callAVX512(dst, src *float32, n int, alpha, beta float32) {
	switch f {
	case mapSqrt:
		sqrtAVX512(dst, src, n)
	case mapReciprocal:
		reciprocalAVX512(dst, src, n)
	case mapCube:
		cubeAVX512(dst, src, n)
	case mapAbs:
		absAVX512(dst, src, n)
	case mapNeg:
		negAVX512(dst, src, n)
	case mapSign:
		signAVX512(dst, src, n)
	case mapRound:
		roundAVX512(dst, src, n)
	case mapFloor:
		floorAVX512(dst, src, n)
	case mapCeil:
		ceilAVX512(dst, src, n)
	case mapSoftsign:
		softsignAVX512(dst, src, n)
	case mapHardSwish:
		hardSwishAVX512(dst, src, n)
	case mapLog:
		logAVX512(dst, src, n)
	case mapSoftplus:
		softplusAVX512(dst, src, n)
	case mapErf:
		erfAVX512(dst, src, n)
	case mapGelu:
		geluAVX512(dst, src, n)
	case mapGeluTanh:
		geluTanhAVX512(dst, src, n)
	case mapLeakyRelu:
		leakyReluAVX512(dst, src, n, alpha, beta)
	case mapHardSigmoid:
		hardSigmoidAVX512(dst, src, n, alpha, beta)
	case mapClip:
		clipAVX512(dst, src, n, alpha, beta)
	case mapElu:
		eluAVX512(dst, src, n, alpha, beta)
	}
}

// run is dst = f(src). What is no whole vector goes through the same formula
// in a vector of its own.
func (f vectorMap) run(l Level, dst, src []float32, alpha, beta float32) {
	src = src[:len(dst)]
	for n := wholeVectors(l, len(dst)); n > 0; n = wholeVectors(l, len(dst)) {
		f.call(l, &dst[0], &src[0], n, alpha, beta)
		dst, src = dst[n*l.Lanes():], src[n*l.Lanes():]
	}
	if len(dst) > 0 {
		var rest [16]float32
		copy(rest[:], src)
		f.call(l, &rest[0], &rest[0], 1, alpha, beta)
		copy(dst, rest[:])
	}
}

// addLanes adds the elements of x, or the squares of their distances from mean,
// to the lanes, and gives how many it did.
func addLanes(l Level, lanes *Lanes, x []float32, mean float64, square bool) int {
	i := 0
	for n := min(len(x)/8, 2*vectorMost); n > 0; n = min((len(x)-i)/8, 2*vectorMost) {
		switch {
		case square && l == AVX2:
			addSquaresAVX2(&lanes[0], &x[i], n, mean)
		case square:
			addSquaresAVX512(&lanes[0], &x[i], n, mean)
		case l == AVX2:
			addValuesAVX2(&lanes[0], &x[i], n, mean)
		default:
			addValuesAVX512(&lanes[0], &x[i], n, mean)
		}
		i += 8 * n
	}
	return i
}

// extremeVector finds the greatest or least element of whole vectors of x, of
// which there is at least one, and gives how many elements it looked at. Of
// zeros it may give any; ok says that no element is NaN.
func extremeVector(l Level, x []float32, most bool) (best float32, done int, ok bool) {
	var lanes, nan [16]float32
	width := l.Lanes()
	copy(lanes[:width], x)
	for n := wholeVectors(l, len(x)); n > 0; n = wholeVectors(l, len(x)-done) {
		switch {
		case most && l == AVX2:
			greatestAVX2(&lanes[0], &nan[0], &x[done], n)
		case most:
			greatestAVX512(&lanes[0], &nan[0], &x[done], n)
		case l == AVX2:
			leastAVX2(&lanes[0], &nan[0], &x[done], n)
		default:
			leastAVX512(&lanes[0], &nan[0], &x[done], n)
		}
		done += n * width
	}
	best = lanes[0]
	for i, v := range lanes[:width] {
		if nan[i] != nan[i] {
			return 0, 0, false
		}
		if most && v > best || !most && v < best {
			best = v
		}
	}
	return best, done, true
}
