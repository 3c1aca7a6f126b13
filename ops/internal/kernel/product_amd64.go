//go:build amd64 && !noasm

package kernel

// The callers of this file's functions look after the lengths: assembly sees
// no slice.

// strips computes the sums of rows with one strip of weights of a width that
// Strip gives.
func strip(l Level, width int, sums *float32, span int, a *float32, pitch, depth int, w *float32, step, rows int) {
	if l == AVX2 {
		mulAdd16AVX2(sums, span, a, pitch, depth, w, step, rows)
		return
	}
	switch width {
	case 16:
		mulAdd16AVX512(sums, span, a, pitch, depth, w, step, rows)
	case 32:
		mulAdd32AVX512(sums, span, a, pitch, depth, w, step, rows)
	case 48:
		mulAdd48AVX512(sums, span, a, pitch, depth, w, step, rows)
	case 64:
		mulAdd64AVX512(sums, span, a, pitch, depth, w, step, rows)
	}
}

// stripRows is how many rows a strip of a width takes at most.
func stripRows(l Level, width int) int {
	if l == AVX2 {
		return 6
	}
	return [...]int{12, 12, 8, 6}[width/16-1]
}

// row computes the sums of one row with strips of weights.
func row(l Level, width int, sums *float32, gap int, a *float32, depth int, w *float32, lead, step, strips int) {
	if l == AVX2 {
		mulAddRow16AVX2(sums, gap, a, depth, w, lead, step, strips)
		return
	}
	switch width {
	case 16:
		mulAddRow16AVX512(sums, gap, a, depth, w, lead, step, strips)
	case 32:
		mulAddRow32AVX512(sums, gap, a, depth, w, lead, step, strips)
	case 48:
		mulAddRow48AVX512(sums, gap, a, depth, w, lead, step, strips)
	case 64:
		mulAddRow64AVX512(sums, gap, a, depth, w, lead, step, strips)
	}
}

// few computes the sums of two to fewMost rows with strips of weights.
func few(l Level, width int, sums *float32, gap, span int, a *float32, pitch, depth int, w *float32, lead, strips, rows int) {
	if l == AVX2 {
		mulAddFew16AVX2(sums, gap, span, a, pitch, depth, w, lead, strips, rows)
		return
	}
	switch width {
	case 16:
		mulAddFew16AVX512(sums, gap, span, a, pitch, depth, w, lead, strips, rows)
	case 32:
		mulAddFew32AVX512(sums, gap, span, a, pitch, depth, w, lead, strips, rows)
	case 48:
		mulAddFew48AVX512(sums, gap, span, a, pitch, depth, w, lead, strips, rows)
	case 64:
		mulAddFew64AVX512(sums, gap, span, a, pitch, depth, w, lead, strips, rows)
	}
}

// tiles computes the sums of any number of rows with a strip, in blocks of
// rows that are as even as they can be. step is the distance from one row of
// the strip to the next.
func tiles(l Level, width int, sums []float32, span int, a []float32, pitch, rows, depth int, w []float32, step int) {
	most := stripRows(l, width)
	blocks := (rows + most - 1) / most
	for k := 0; k < depth; k += depthMost {
		d := min(depthMost, depth-k)
		for b, r := 0, 0; b < blocks; b++ {
			n := (rows - r) / (blocks - b)
			s, x, v := sums[r*span:], a[r*pitch+k:], w[k*step:]
			_, _, _ = s[(n-1)*span+width-1], x[(n-1)*pitch+d-1], v[(d-1)*step+width-1]
			strip(l, width, &s[0], span, &x[0], pitch, d, &v[0], step, n)
			r += n
		}
	}
}

// mulAdd is MulAdd at a level of vectors, for a width of a multiple of 16.
func mulAdd(l Level, sums []float32, span int, a []float32, pitch, rows, depth int, w []float32, width int) {
	s := l.Strip(width)
	n := fewOf(l, rows)
	mulAddStrips(l, sums, s, span, a, pitch, n, depth, w, width/s, s)
	if n == rows {
		return
	}
	sums, a, rows = sums[n*span:], a[n*pitch:], rows-n
	for u := 0; u < width; u += s {
		tiles(l, s, sums[u:], span, a, pitch, rows, depth, w[u*depth:], s)
	}
}

// fewOf is how many of some rows take several strips at a time. With 16
// registers four rows have too few sums for the multiply-adds in flight, so
// where tiles would have to make blocks of four, three are taken away.
func fewOf(l Level, rows int) int {
	switch {
	case rows <= fewMost:
		return rows
	case l == AVX2 && (rows == 8 || rows == 13 || rows == 14):
		return 3
	}
	return 0
}

// rowWork is about the number of multiplications of one call of assembly.
const rowWork = 1 << 20

// mulAddStrips adds the products of up to fewMost rows of a to strips of sums
// that begin gap apart. The strips of weights follow each other.
func mulAddStrips(l Level, sums []float32, gap, span int, a []float32, pitch, rows, depth int, w []float32, strips, width int) {
	if rows == 0 {
		return
	}
	if depth > depthMost {
		for s := range strips {
			tiles(l, width, sums[s*gap:], span, a, pitch, rows, depth, w[s*depth*width:], width)
		}
		return
	}
	a = a[:(rows-1)*pitch+depth]
	most := max(12, rowWork/(rows*depth*width)/12*12)
	for s := 0; s < strips; s += most {
		n := min(most, strips-s)
		y, v := sums[s*gap:][:(rows-1)*span+(n-1)*gap+width], w[s*depth*width:][:n*depth*width]
		if rows == 1 {
			row(l, width, &y[0], gap, &a[0], depth, &v[0], depth*width, width, n)
		} else {
			few(l, width, &y[0], gap, span, &a[0], pitch, depth, &v[0], depth*width, n, rows)
		}
	}
}

// mulAddRow is mulAddStrips of one row.
func mulAddRow(l Level, sums []float32, gap int, a, w []float32, strips, width int) {
	mulAddStrips(l, sums, gap, 0, a, 0, 1, len(a), w, strips, width)
}
