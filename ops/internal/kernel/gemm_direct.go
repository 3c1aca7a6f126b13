package kernel

// directRows is how many rows a call of the loops gets at most.
const directRows = 96

// noBias is what DirectProduct adds to its rows.
var noBias [directRows]float32

// Step makes the terms of a right operand of k rows that are step apart.
func (t *Taps) Step(k, step int) {
	if t.Reach == (k-1)*step && len(t.Offsets) == k {
		return
	}
	t.Offsets, t.Reach = t.Offsets[:0], (k-1)*step
	for i := range k {
		t.Offsets = append(t.Offsets, i*step)
	}
}

// Direct reports whether DirectProduct is faster than Gemm at a level of
// vectors. Copies of the right operand pay only where its rows are too many and
// far apart for the caches. One row of results reads each element once, and in a
// large operand Gemm reads longer runs of them.
func (l Level) Direct(m, n, k int) bool {
	most := 1 << 21
	switch {
	case m == 1:
		most = 1 << 17
	case l == AVX2:
		most = 1 << 18
	}
	return k <= ConvTermsMost && n <= most/k
}

// DirectProduct is Gemm with nothing in y, by a right operand that is read where
// it lies: t are its rows.
//
//	y[i*ldy+j] = 0 + sum over p<k of a[i*lda+p] * b[t.Offsets[p]+j]    i<m, j<n
func DirectProduct(l Level, y []float32, ldy int, a []float32, lda int, b []float32, t Taps, m, n int) {
	if l != Go && n < AVX512.Lanes() {
		l = AVX2 // what vectors of 512 bits would have beside n columns costs as much as they
	}
	for i := 0; i < m; i += directRows {
		ConvRows(l, y[i*ldy:], ldy, a[i*lda:], lda, b, t, noBias[:], min(directRows, m-i), n)
	}
}
