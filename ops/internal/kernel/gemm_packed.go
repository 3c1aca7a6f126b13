package kernel

// PackedB is the right operand of products, copied into the order in which
// they read it: strips of columns, one after the other, each with its columns
// of one row after the other's. The last strip is filled up with zeros to a
// multiple of 16 columns. At level Go there is one strip, as wide as the
// matrix. It is not changed after PackB, so that any number may read it.
type PackedB struct {
	level    Level
	k, n     int
	width    int // columns of a strip, but for the last
	elements []float32
	ragged   Taps // the rows of a last strip that is filled up
}

// packedColumns and gemmRows are the sides of a block of sums: it stays in the
// second-level cache until it is finished.
const packedColumns = 512

// packedWidth is the width of a strip of packed columns at a level of vectors:
// the tile of as many sums as registers hold that reads least.
func packedWidth(l Level) int {
	if l == AVX2 {
		return 16
	}
	return 32
}

// PackB packs a matrix of k rows and n columns, b[p*ldb+j], or with transposed
// b[j*ldb+p].
func PackB(l Level, b []float32, ldb, k, n int, transposed bool) *PackedB {
	w := &PackedB{level: l, k: k, n: n, width: n}
	wide := n
	if l != Go {
		w.width, wide = packedWidth(l), (n+15)&^15
	}
	if k == 0 || n == 0 {
		return w
	}
	w.elements = Weights[float32](k * wide)
	if n != wide {
		w.ragged.Step(k, w.stripAt(n/w.width*w.width))
	}
	for j := 0; j < n; j += w.width {
		s, cols := w.stripAt(j), min(w.width, n-j)
		to := w.elements[j*k:][:k*s]
		if !transposed {
			for p := range k {
				copy(to[p*s:][:cols], b[p*ldb+j:])
			}
			continue
		}
		for u := range cols {
			for p, v := range b[(j+u)*ldb:][:k] {
				to[p*s+u] = v
			}
		}
	}
	return w
}

// stripAt is the width of the strip that begins at column j.
func (b *PackedB) stripAt(j int) int {
	if b.level == Go {
		return b.n
	}
	return min(b.width, (b.n-j+15)&^15)
}

// Depth and Columns are k and n.
func (b *PackedB) Depth() int   { return b.k }
func (b *PackedB) Columns() int { return b.n }

// Step is what the first column of a part of a product must be a multiple of.
func (b *PackedB) Step() int {
	if b.level == Go {
		return 1
	}
	return b.width
}

// Product is
//
//	y[i*ldy+j] = 0 + sum over p<k of a[i*ars+p*acs] * b[p, j]    top<=i<top+m, lo<=j<hi
//
// with the sums of Gemm, from zero in the order of p. lo is a multiple of
// Step, and hi too or n. finish, which may be nil, gets the results of a block
// while it is in cache, each once: y then holds rows of w columns one after the
// other, from row i and column j on. It may change them, and what it does must not
// depend on where blocks are cut.
func (b *PackedB) Product(y []float32, ldy int, a []float32, ars, acs, top, m, lo, hi int, finish func(i, j, w int, y []float32)) {
	for j := lo; j < hi; j += packedColumns {
		w := min(packedColumns, hi-j)
		for i := top; i < top+m; i += packedRows {
			h := min(packedRows, top+m-i)
			joined := w == ldy // the rows of the block follow each other
			if joined {
				clear(y[i*ldy:][:h*ldy])
			} else {
				for r := range h {
					clear(y[(i+r)*ldy+j:][:w])
				}
			}
			if b.k > 0 {
				b.add(y[i*ldy:], ldy, a[i*ars:], ars, acs, h, j, j+w)
			}
			if joined {
				b.complete(y[i*ldy:][:h*ldy], i, j, w, finish)
				continue
			}
			for r := range h {
				b.complete(y[(i+r)*ldy+j:][:w], i+r, j, w, finish)
			}
		}
	}
}

// complete adds sums to 0 as Gemm does, so that one of -0 becomes 0, and finishes
// them.
func (b *PackedB) complete(sums []float32, i, j, w int, finish func(i, j, w int, y []float32)) {
	if b.level != Go {
		AddVectorVS(b.level, sums, sums, 0)
	}
	if finish != nil {
		finish(i, j, w, sums)
	}
}

// packedRows is the height of a block of sums, whose part of a stays in the
// second-level cache: a multiple of the height of every tile.
const packedRows = 96

// add adds sums to y, which holds zeros.
func (b *PackedB) add(y []float32, ldy int, a []float32, ars, acs, m, lo, hi int) {
	if b.level == Go {
		gemm32(Go, y[lo:], ldy, a, ars, acs, b.elements[lo:], b.n, m, hi-lo, b.k)
		return
	}
	packedVectors(b, y, ldy, a, ars, acs, m, lo, hi)
}
