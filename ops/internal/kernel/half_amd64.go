//go:build amd64 && !noasm

package kernel

// f16c is whether the processor converts float16; leaf 1 of cpuid says it.
var f16c = func() bool {
	_, _, c, _ := cpuid(1, 0)
	return c&(1<<29) != 0
}()

// HasHalf reports whether a level has instructions for float16.
func (l Level) HasHalf() bool { return l != Go && f16c }

// widenWork bounds the elements of one call of assembly.
const widenWork = 1 << 20

// widenHalf does the elements that fill sixteens, and gives their number.
func widenHalf(l Level, dst []float32, src []uint16) int {
	n := len(dst) &^ 15
	for i := 0; i < n; i += widenWork {
		if part := min(widenWork, n-i); l == AVX2 {
			widenHalfAVX2(&dst[i], &src[i], part)
		} else {
			widenHalfAVX512(&dst[i], &src[i], part)
		}
	}
	return n
}

// mulAddStripsHalf is mulAddStrips with weights of float16, for 1 to fewMost
// rows and a depth of 1 to depthMost.
func mulAddStripsHalf(l Level, sums []float32, gap, span int, a []float32, pitch, rows, depth int, w []uint16, strips, width int) {
	a = a[:(rows-1)*pitch+depth]
	most := max(12, rowWork/(rows*depth*width)/12*12)
	for s := 0; s < strips; s += most {
		n := min(most, strips-s)
		y, v := sums[s*gap:][:(rows-1)*span+(n-1)*gap+width], w[s*depth*width:][:n*depth*width]
		if rows == 1 {
			rowHalf(l, width, &y[0], gap, &a[0], depth, &v[0], n)
		} else {
			fewHalf(l, width, &y[0], gap, span, &a[0], pitch, depth, &v[0], depth*width, n, rows)
		}
	}
}

func rowHalf(l Level, width int, sums *float32, gap int, a *float32, depth int, w *uint16, strips int) {
	if l == AVX2 {
		mulAddRowHalf16AVX2(sums, gap, a, depth, w, strips)
		return
	}
	switch width {
	case 16:
		mulAddRowHalf16AVX512(sums, gap, a, depth, w, strips)
	case 32:
		mulAddRowHalf32AVX512(sums, gap, a, depth, w, strips)
	case 48:
		mulAddRowHalf48AVX512(sums, gap, a, depth, w, strips)
	case 64:
		mulAddRowHalf64AVX512(sums, gap, a, depth, w, strips)
	}
}

func fewHalf(l Level, width int, sums *float32, gap, span int, a *float32, pitch, depth int, w *uint16, lead, strips, rows int) {
	if l == AVX2 {
		mulAddFewHalf16AVX2(sums, gap, span, a, pitch, depth, w, lead, strips, rows)
		return
	}
	switch width {
	case 16:
		mulAddFewHalf16AVX512(sums, gap, span, a, pitch, depth, w, lead, strips, rows)
	case 32:
		mulAddFewHalf32AVX512(sums, gap, span, a, pitch, depth, w, lead, strips, rows)
	case 48:
		mulAddFewHalf48AVX512(sums, gap, span, a, pitch, depth, w, lead, strips, rows)
	case 64:
		mulAddFewHalf64AVX512(sums, gap, span, a, pitch, depth, w, lead, strips, rows)
	}
}
