package kernel

// The loops of the recurrent operators. Bit equality between their paths is
// promised (a row alone and in a batch, a sequence whole and in pieces), so
// every sum has one accumulator, and every product that is added to something
// is written T(x * y): an explicit conversion rounds, where Go may otherwise
// fuse product and sum on some machines (arm64, ppc64, riscv64, s390x) and
// not in every place.

// MulAdd adds the products of rows of a with a panel of weights to rows of
// sums:
//
//	for r := range rows {
//		for u := range width {
//			s := sums[r*span+u]
//			for k := range depth {
//				s += T(a[r*pitch+k] * w[k*width+u])
//			}
//			sums[r*span+u] = s
//		}
//	}
//
// Each sum is one accumulator that takes its products in the order of k and
// comes from and goes back to memory unrounded, so a product may be cut along
// k, rows or width without changing a bit. Widths of a multiple of 8 are fast.
//
// At a level of vectors, which float32 has with widths of a multiple of 16,
// product and sum are one fused multiply-add, and w lies in the strips of
// Level.Strip.
func MulAdd[T Float](l Level, sums []T, span int, a []T, pitch, rows, depth int, w []T, width int) {
	if depth == 0 || rows == 0 {
		return
	}
	if l != Go && width%16 == 0 {
		if sums, ok := any(sums).([]float32); ok {
			mulAdd(l, sums, span, any(a).([]float32), pitch, rows, depth, any(w).([]float32), width)
			return
		}
	}
	r := 0
	for ; r+4 <= rows; r += 4 {
		mulAdd4(sums[r*span:], span, a[r*pitch:], pitch, depth, w, width)
	}
	for ; r < rows; r++ {
		mulAdd1(sums[r*span:], a[r*pitch:][:depth], w, width)
	}
}

// fewMost is the number of rows that take several strips of weights at a time
// at most.
const fewMost = 4

// MulAddPanels is MulAdd of several panels, which follow each other in w; in a
// row of sums theirs begin gap apart.
func MulAddPanels[T Float](l Level, sums []T, gap, span int, a []T, pitch, rows, depth int, w []T, width, panels int) {
	if s := l.Strip(width); 0 < rows && rows <= fewMost && depth > 0 && panels > 0 && l != Go && (s == width || gap == width) && width%16 == 0 {
		if sums, ok := any(sums).([]float32); ok {
			n := width / s
			mulAddStrips(l, sums, gap/n, span, any(a).([]float32), pitch, rows, depth, any(w).([]float32), panels*n, s)
			return
		}
	}
	for p := range panels {
		MulAdd(l, sums[p*gap:], span, a, pitch, rows, depth, w[p*depth*width:], width)
	}
}

// mulAdd4 is MulAdd for four rows, two sums of each at a time.
func mulAdd4[T Float](sums []T, span int, a []T, pitch, depth int, w []T, width int) {
	a0, a1, a2, a3 := a[:depth], a[pitch:][:depth], a[2*pitch:][:depth], a[3*pitch:][:depth]
	s0, s1, s2, s3 := sums[:width], sums[span:][:width], sums[2*span:][:width], sums[3*span:][:width]
	for u := 0; u+2 <= width; u += 2 {
		p0, q0, p1, q1 := s0[u], s0[u+1], s1[u], s1[u+1]
		p2, q2, p3, q3 := s2[u], s2[u+1], s3[u], s3[u+1]
		at := u
		for k, x0 := range a0 {
			v := (*[2]T)(w[at:])
			x1, x2, x3 := a1[k], a2[k], a3[k]
			p0 += T(x0 * v[0])
			q0 += T(x0 * v[1])
			p1 += T(x1 * v[0])
			q1 += T(x1 * v[1])
			p2 += T(x2 * v[0])
			q2 += T(x2 * v[1])
			p3 += T(x3 * v[0])
			q3 += T(x3 * v[1])
			at += width
		}
		s0[u], s0[u+1], s1[u], s1[u+1] = p0, q0, p1, q1
		s2[u], s2[u+1], s3[u], s3[u+1] = p2, q2, p3, q3
	}
	if last := width - 1; width%2 != 0 {
		s0[last] = mulAddOne(s0[last], a0, w, last, width)
		s1[last] = mulAddOne(s1[last], a1, w, last, width)
		s2[last] = mulAddOne(s2[last], a2, w, last, width)
		s3[last] = mulAddOne(s3[last], a3, w, last, width)
	}
}

// mulAdd1 is MulAdd for one row, eight sums at a time.
func mulAdd1[T Float](sums, a, w []T, width int) {
	u := 0
	for ; u+8 <= width; u += 8 {
		s := (*[8]T)(sums[u:])
		s0, s1, s2, s3, s4, s5, s6, s7 := s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]
		at := u
		for _, x := range a {
			v := (*[8]T)(w[at:])
			s0 += T(x * v[0])
			s1 += T(x * v[1])
			s2 += T(x * v[2])
			s3 += T(x * v[3])
			s4 += T(x * v[4])
			s5 += T(x * v[5])
			s6 += T(x * v[6])
			s7 += T(x * v[7])
			at += width
		}
		s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7] = s0, s1, s2, s3, s4, s5, s6, s7
	}
	for ; u < width; u++ {
		sums[u] = mulAddOne(sums[u], a, w, u, width)
	}
}

// mulAddOne is MulAdd for one row and the sum of column u.
func mulAddOne[T Float](sum T, a, w []T, u, width int) T {
	for k, x := range a {
		sum += T(x * w[k*width+u])
	}
	return sum
}

// Bound brings the elements of v to [-limit, limit]; NaN stays.
func Bound[T Float](v []T, limit T) { Clip(v, v, -limit, limit) }

// AddMul is dst = dst + x * y.
func AddMul[T Float](dst, x, y []T) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] += T(x[i] * y[i])
	}
}

// Blend is dst = (1 - z) * x + z * y, the new state of a GRU.
func Blend[T Float](dst, z, x, y []T) {
	z, x, y = z[:len(dst)], x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = T((1-z[i])*x[i]) + T(z[i]*y[i])
	}
}

// Mix is dst = f * dst + i * g, the new cell state of an LSTM.
func Mix[T Float](dst, f, i, g []T) {
	f, i, g = f[:len(dst)], i[:len(dst)], g[:len(dst)]
	for u := range dst {
		dst[u] = T(f[u]*dst[u]) + T(i[u]*g[u])
	}
}
