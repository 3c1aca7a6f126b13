//go:build amd64 && !noasm

package kernel

// packedVectors is PackedB.add at a level of vectors, for m up to packedRows.
func packedVectors(b *PackedB, y []float32, ldy int, a []float32, ars, acs, m, lo, hi int) {
	if m == 1 && acs == 1 {
		b.addRow(y, a[:b.k], lo, hi)
		return
	}
	// Many rows come in blocks of terms, so that a strip of them serves all
	// tiles from the first-level cache. Copies of them have a distance that
	// suits it, and lie in few pages.
	terms := b.k
	copied := acs != 1 || ars > gemmTerms && (m > stripRows(b.level, b.width) && hi-lo >= 64 || m > 2 && ars%128 == 0)
	if copied {
		terms = gemmTerms
	}
	whole := b.n - b.n%16
	if hi > whole && !copied && b.k <= ConvTermsMost { // the last strip is filled up
		from := whole / b.width * b.width
		b.addRagged(y[from:], ldy, a, ars, m, from)
		if hi = from; lo == hi {
			return
		}
	}
	var room *gemmRoom
	if copied || lo+(hi-lo)/b.width*b.width < hi {
		room = takeRoom()
		defer giveRoom(room)
	}
	for p := 0; p < b.k; p += terms {
		d := min(terms, b.k-p)
		x, pitch := a[p*acs:], ars
		if copied {
			room.takeA(x, ars, acs, m, d)
			x, pitch = room.a[:], gemmPitch
		}
		for j := lo; j < hi; j += b.width {
			s := b.stripAt(j)
			w := b.elements[j*b.k+p*s:]
			if j+s <= hi {
				tiles(b.level, s, y[j:], ldy, x, pitch, m, d, w, s)
				continue
			}
			room.take(y[j:], ldy, s, m, hi-j)
			tiles(b.level, s, room.sums[:], gemmColumns, x, pitch, m, d, w, s)
			for r := range m {
				copy(y[r*ldy+j:][:hi-j], room.sums[r*gemmColumns:])
			}
		}
	}
}

// addRagged is add for the last strip, which begins at column j and is not a
// multiple of 16 wide: the columns that there are of its vectors.
func (b *PackedB) addRagged(y []float32, ldy int, a []float32, lda, m, j int) {
	n := b.n - j
	_, _ = y[(m-1)*ldy+n-1], a[(m-1)*lda+b.k-1]
	DirectProduct(b.level, y, ldy, a, lda, b.elements[j*b.k:], b.ragged, m, n)
}

// take copies w columns of m rows of sums, zeros past them up to s.
func (g *gemmRoom) take(y []float32, ldy, s, m, w int) {
	for r := range m {
		to := g.sums[r*gemmColumns:][:s]
		copy(to[:w], y[r*ldy:])
		clear(to[w:])
	}
}

// addRow is add for one row.
func (b *PackedB) addRow(y, a []float32, lo, hi int) {
	if whole := (hi - lo) / b.width; whole > 0 {
		mulAddRow(b.level, y[lo:], b.width, a, b.elements[lo*b.k:], whole, b.width)
		lo += whole * b.width
	}
	if lo == hi {
		return
	}
	var sums [64]float32
	s := b.stripAt(lo)
	copy(sums[:], y[lo:hi])
	mulAddRow(b.level, sums[:s], s, a, b.elements[lo*b.k:], 1, s)
	copy(y[lo:hi], sums[:])
}
