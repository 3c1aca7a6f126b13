package kernel

import "math"

// float32 products are summed as a vector unit's fused multiply-add sums them:
// each step takes the exact product, adds it, and rounds once to float32.
//
// float64 holds the product of two float32 exactly, and its sum with a third
// is rounded to float32 afterwards. The first of these two roundings shows only
// where it hits the middle between two float32, about once in 2^29 steps: sum
// then looks at what it rounded away.

// gemm32Cols is the columns of a block of sums: those of two rows stay in the
// first-level cache.
const gemm32Cols = 256

// gemm32 is Gemm for float32. The sums start at zero and are added to y at the
// end.
func gemm32(l Level, y []float32, ldy int, a []float32, ars, acs int, b []float32, ldb, m, n, k int) {
	if l != Go && k > 0 {
		gemmVectors(l, y, ldy, a, ars, acs, b, ldb, m, n, k, false)
		return
	}
	var s, t [gemm32Cols]float32
	for j := 0; j < n; j += gemm32Cols {
		w := min(gemm32Cols, n-j)
		bb := b[j:]
		i := 0
		for ; i+2 <= m; i += 2 {
			clear(s[:w])
			clear(t[:w])
			fused2(s[:w], t[:w], a[i*ars:], a[(i+1)*ars:], acs, bb, ldb, k)
			Add(y[i*ldy+j:][:w], y[i*ldy+j:][:w], s[:w])
			Add(y[(i+1)*ldy+j:][:w], y[(i+1)*ldy+j:][:w], t[:w])
		}
		if i < m {
			clear(s[:w])
			fused1(s[:w], a[i*ars:], acs, bb, ldb, k)
			Add(y[i*ldy+j:][:w], y[i*ldy+j:][:w], s[:w])
		}
	}
}

// sum is s + p, as float64 that is to be rounded to float32; so is s, and p is a
// product of two. Rounded, it is that of a fused multiply-add unless that is
// below 2^-126, where middles lie elsewhere. It is written so that it is
// inlined.
func sum(s, p float64) (v float64) {
	v = s + p
	if math.Float64bits(v)<<35 == 1<<63 {
		return offMiddle(s, p)
	}
	return
}

// offMiddle is s + p where that is rounded to the middle between two float32,
// moved to the side on which the sum itself lies. What was rounded away is found
// exactly (Knuth, The Art of Computer Programming 2, 4.2.2, theorem B).
//
//go:noinline
func offMiddle(s, p float64) float64 {
	v := s + p
	q := v - s
	rest := (s - (v - q)) + (p - q)
	if rest == 0 {
		return v
	}
	return math.Nextafter(v, math.Inf(int(math.Copysign(1, rest))))
}

// fused1 is s[j] = a[p*acs]*b[p*ldb+j] + s[j], rounded once, for p = 0..k-1 in
// order.
func fused1(s []float32, a []float32, acs int, b []float32, ldb, k int) {
	w := len(s)
	p := 0
	for ; p+4 <= k; p += 4 {
		a0, a1, a2, a3 := float64(a[p*acs]), float64(a[(p+1)*acs]), float64(a[(p+2)*acs]), float64(a[(p+3)*acs])
		b0, b1, b2, b3 := b[p*ldb:][:w], b[(p+1)*ldb:][:w], b[(p+2)*ldb:][:w], b[(p+3)*ldb:][:w]
		for j := range s {
			v := float32(sum(float64(s[j]), a0*float64(b0[j])))
			v = float32(sum(float64(v), a1*float64(b1[j])))
			v = float32(sum(float64(v), a2*float64(b2[j])))
			s[j] = float32(sum(float64(v), a3*float64(b3[j])))
		}
	}
	for ; p < k; p++ {
		a0, b0 := float64(a[p*acs]), b[p*ldb:][:w]
		for j := range s {
			s[j] = float32(sum(float64(s[j]), a0*float64(b0[j])))
		}
	}
}

// fused2 is fused1 for two rows.
func fused2(s, t, a, c []float32, acs int, b []float32, ldb, k int) {
	w := len(s)
	t = t[:w]
	p := 0
	for ; p+4 <= k; p += 4 {
		a0, a1, a2, a3 := float64(a[p*acs]), float64(a[(p+1)*acs]), float64(a[(p+2)*acs]), float64(a[(p+3)*acs])
		c0, c1, c2, c3 := float64(c[p*acs]), float64(c[(p+1)*acs]), float64(c[(p+2)*acs]), float64(c[(p+3)*acs])
		b0, b1, b2, b3 := b[p*ldb:][:w], b[(p+1)*ldb:][:w], b[(p+2)*ldb:][:w], b[(p+3)*ldb:][:w]
		for j := range s {
			x := float64(b0[j])
			u, v := float32(sum(float64(s[j]), a0*x)), float32(sum(float64(t[j]), c0*x))
			x = float64(b1[j])
			u, v = float32(sum(float64(u), a1*x)), float32(sum(float64(v), c1*x))
			x = float64(b2[j])
			u, v = float32(sum(float64(u), a2*x)), float32(sum(float64(v), c2*x))
			x = float64(b3[j])
			s[j], t[j] = float32(sum(float64(u), a3*x)), float32(sum(float64(v), c3*x))
		}
	}
	for ; p < k; p++ {
		a0, c0, b0 := float64(a[p*acs]), float64(c[p*acs]), b[p*ldb:][:w]
		for j := range s {
			x := float64(b0[j])
			s[j] = float32(sum(float64(s[j]), a0*x))
			t[j] = float32(sum(float64(t[j]), c0*x))
		}
	}
}

// dots32 is dots for float32, with the sums of gemm32.
func dots32(y, a, b []float32, ldb int) {
	k := len(a)
	if len(y) == 4 {
		b0, b1, b2, b3 := b[:k], b[ldb:][:k], b[2*ldb:][:k], b[3*ldb:][:k]
		var s0, s1, s2, s3 float32
		for p, x := range a {
			v := float64(x)
			s0 = float32(sum(float64(s0), v*float64(b0[p])))
			s1 = float32(sum(float64(s1), v*float64(b1[p])))
			s2 = float32(sum(float64(s2), v*float64(b2[p])))
			s3 = float32(sum(float64(s3), v*float64(b3[p])))
		}
		y[0] += s0
		y[1] += s1
		y[2] += s2
		y[3] += s3
		return
	}
	for j := range y {
		s, b0 := float32(0), b[j*ldb:][:k]
		for p, x := range a {
			s = float32(sum(float64(s), float64(x)*float64(b0[p])))
		}
		y[j] += s
	}
}
