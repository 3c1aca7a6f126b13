package kernel

// The products of this file keep one accumulator for each element of y, which
// starts as what y holds and takes its terms in the order of k; gemm32.go
// has those of float32. Products are
// rounded before they are added, on every machine, so that no blocking of rows
// or columns changes a bit.

const (
	gemmCols  = 512 // columns of a block: a row of it stays in the first-level cache
	gemmDepth = 256 // rows of b of a block: the block stays in the second-level cache
)

// Gemm is
//
//	y[i*ldy+j] += sum over p<k of a[i*ars+p*acs] * b[p*ldb+j]    i<m, j<n
//
// Integers wrap; float32 is summed as gemm32.go says, the same at every level.
func Gemm[T Number](l Level, y []T, ldy int, a []T, ars, acs int, b []T, ldb, m, n, k int) {
	if y, ok := any(y).([]float32); ok {
		gemm32(l, y, ldy, any(a).([]float32), ars, acs, any(b).([]float32), ldb, m, n, k)
		return
	}
	for j := 0; j < n; j += gemmCols {
		w := min(gemmCols, n-j)
		for p := 0; p < k; p += gemmDepth {
			d := min(gemmDepth, k-p)
			bb := b[p*ldb+j:]
			i := 0
			for ; i+2 <= m; i += 2 {
				axpy2(y[i*ldy+j:][:w], y[(i+1)*ldy+j:][:w], a[i*ars+p*acs:], a[(i+1)*ars+p*acs:], acs, bb, ldb, d)
			}
			if i < m {
				axpy1(y[i*ldy+j:][:w], a[i*ars+p*acs:], acs, bb, ldb, d)
			}
		}
	}
}

// axpy1 is y[j] += a[p*acs]*b[p*ldb+j] for p = 0..k-1 in order.
func axpy1[T Number](y, a []T, acs int, b []T, ldb, k int) {
	w := len(y)
	p := 0
	for ; p+4 <= k; p += 4 {
		a0, a1, a2, a3 := a[p*acs], a[(p+1)*acs], a[(p+2)*acs], a[(p+3)*acs]
		b0, b1, b2, b3 := b[p*ldb:][:w], b[(p+1)*ldb:][:w], b[(p+2)*ldb:][:w], b[(p+3)*ldb:][:w]
		for j := range y {
			s := y[j] + T(a0*b0[j])
			s += T(a1 * b1[j])
			s += T(a2 * b2[j])
			y[j] = s + T(a3*b3[j])
		}
	}
	for ; p < k; p++ {
		a0, b0 := a[p*acs], b[p*ldb:][:w]
		for j := range y {
			y[j] += T(a0 * b0[j])
		}
	}
}

// axpy2 is axpy1 for two rows.
func axpy2[T Number](y, z, a, c []T, acs int, b []T, ldb, k int) {
	w := len(y)
	z = z[:w]
	p := 0
	for ; p+4 <= k; p += 4 {
		a0, a1, a2, a3 := a[p*acs], a[(p+1)*acs], a[(p+2)*acs], a[(p+3)*acs]
		c0, c1, c2, c3 := c[p*acs], c[(p+1)*acs], c[(p+2)*acs], c[(p+3)*acs]
		b0, b1, b2, b3 := b[p*ldb:][:w], b[(p+1)*ldb:][:w], b[(p+2)*ldb:][:w], b[(p+3)*ldb:][:w]
		for j := range y {
			v := b0[j]
			s, t := y[j]+T(a0*v), z[j]+T(c0*v)
			v = b1[j]
			s, t = s+T(a1*v), t+T(c1*v)
			v = b2[j]
			s, t = s+T(a2*v), t+T(c2*v)
			v = b3[j]
			y[j], z[j] = s+T(a3*v), t+T(c3*v)
		}
	}
	for ; p < k; p++ {
		a0, c0, b0 := a[p*acs], c[p*acs], b[p*ldb:][:w]
		for j := range y {
			v := b0[j]
			y[j] += T(a0 * v)
			z[j] += T(c0 * v)
		}
	}
}

// GemmT is Gemm for a transposed b:
//
//	y[i*ldy+j] += sum over p<k of a[i*lda+p] * b[j*ldb+p]    i<m, j<n
func GemmT[T Number](l Level, y []T, ldy int, a []T, lda int, b []T, ldb, m, n, k int) {
	if y, ok := any(y).([]float32); ok && l != Go && k > 0 {
		gemmVectors(l, y, ldy, any(a).([]float32), lda, 1, any(b).([]float32), ldb, m, n, k, true)
		return
	}
	for j := 0; j < n; j += 4 {
		for i := range m {
			dots(y[i*ldy+j:i*ldy+min(j+4, n)], a[i*lda:][:k], b[j*ldb:], ldb)
		}
	}
}

// dots adds the products of the row a with up to four rows of b.
func dots[T Number](y, a, b []T, ldb int) {
	if y, ok := any(y).([]float32); ok {
		dots32(y, any(a).([]float32), any(b).([]float32), ldb)
		return
	}
	k := len(a)
	if len(y) == 4 {
		b0, b1, b2, b3 := b[:k], b[ldb:][:k], b[2*ldb:][:k], b[3*ldb:][:k]
		s0, s1, s2, s3 := y[0], y[1], y[2], y[3]
		for p, v := range a {
			s0 += T(v * b0[p])
			s1 += T(v * b1[p])
			s2 += T(v * b2[p])
			s3 += T(v * b3[p])
		}
		y[0], y[1], y[2], y[3] = s0, s1, s2, s3
		return
	}
	for j := range y {
		s, b0 := y[j], b[j*ldb:][:k]
		for p, v := range a {
			s += T(v * b0[p])
		}
		y[j] = s
	}
}
