package kernel

// float32 products are summed in float64 and rounded once: a product of two
// float32 is exact in float64, so that the order of the sum hardly matters and
// small differences of large terms (the bins of a Fourier transform written as
// a convolution) keep their digits.

// gemm32Cols is the columns of a block of float64 sums: the sums of two rows
// stay in the first-level cache.
const gemm32Cols = 128

// gemm32 is Gemm for float32.
func gemm32(y []float32, ldy int, a []float32, ars, acs int, b []float32, ldb, m, n, k int) {
	var s, t [gemm32Cols]float64
	for j := 0; j < n; j += gemm32Cols {
		w := min(gemm32Cols, n-j)
		bb := b[j:]
		i := 0
		for ; i+2 <= m; i += 2 {
			y0, y1 := y[i*ldy+j:][:w], y[(i+1)*ldy+j:][:w]
			widen(s[:w], y0)
			widen(t[:w], y1)
			sums2(s[:w], t[:w], a[i*ars:], a[(i+1)*ars:], acs, bb, ldb, k)
			narrow(y0, s[:w])
			narrow(y1, t[:w])
		}
		if i < m {
			y0 := y[i*ldy+j:][:w]
			widen(s[:w], y0)
			sums1(s[:w], a[i*ars:], acs, bb, ldb, k)
			narrow(y0, s[:w])
		}
	}
}

func widen(dst []float64, src []float32) {
	for i, v := range src {
		dst[i] = float64(v)
	}
}

func narrow(dst []float32, src []float64) {
	for i, v := range src {
		dst[i] = float32(v)
	}
}

// sums1 is s[j] += a[p*acs]*b[p*ldb+j] for p = 0..k-1 in order.
func sums1(s []float64, a []float32, acs int, b []float32, ldb, k int) {
	w := len(s)
	p := 0
	for ; p+2 <= k; p += 2 {
		a0, a1 := float64(a[p*acs]), float64(a[(p+1)*acs])
		b0, b1 := b[p*ldb:][:w], b[(p+1)*ldb:][:w]
		for j := range s {
			s[j] = s[j] + float64(a0*float64(b0[j])) + float64(a1*float64(b1[j]))
		}
	}
	if p < k {
		a0, b0 := float64(a[p*acs]), b[p*ldb:][:w]
		for j := range s {
			s[j] += float64(a0 * float64(b0[j]))
		}
	}
}

// sums2 is sums1 for two rows.
func sums2(s, t []float64, a, c []float32, acs int, b []float32, ldb, k int) {
	w := len(s)
	t = t[:w]
	p := 0
	for ; p+2 <= k; p += 2 {
		a0, a1 := float64(a[p*acs]), float64(a[(p+1)*acs])
		c0, c1 := float64(c[p*acs]), float64(c[(p+1)*acs])
		b0, b1 := b[p*ldb:][:w], b[(p+1)*ldb:][:w]
		for j := range s {
			u, v := float64(b0[j]), float64(b1[j])
			s[j] = s[j] + float64(a0*u) + float64(a1*v)
			t[j] = t[j] + float64(c0*u) + float64(c1*v)
		}
	}
	if p < k {
		a0, c0, b0 := float64(a[p*acs]), float64(c[p*acs]), b[p*ldb:][:w]
		for j := range s {
			u := float64(b0[j])
			s[j] += float64(a0 * u)
			t[j] += float64(c0 * u)
		}
	}
}

// dots32 is dots for float32.
func dots32(y, a, b []float32, ldb int) {
	k := len(a)
	if len(y) == 4 {
		b0, b1, b2, b3 := b[:k], b[ldb:][:k], b[2*ldb:][:k], b[3*ldb:][:k]
		s0, s1, s2, s3 := float64(y[0]), float64(y[1]), float64(y[2]), float64(y[3])
		for p, x := range a {
			v := float64(x)
			s0 += float64(v * float64(b0[p]))
			s1 += float64(v * float64(b1[p]))
			s2 += float64(v * float64(b2[p]))
			s3 += float64(v * float64(b3[p]))
		}
		y[0], y[1], y[2], y[3] = float32(s0), float32(s1), float32(s2), float32(s3)
		return
	}
	for j := range y {
		s, b0 := float64(y[j]), b[j*ldb:][:k]
		for p, x := range a {
			s += float64(float64(x) * float64(b0[p]))
		}
		y[j] = float32(s)
	}
}
