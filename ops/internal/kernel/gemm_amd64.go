//go:build amd64 && !noasm

package kernel

// gemmRoom is what a product copies its operands to, block by block: gemmRows
// rows of a, a strip of b, and sums. The copies give rows a distance that is
// good for the caches, b the layout of strips.
type gemmRoom struct {
	a    [gemmRows * gemmPitch]float32
	b    [gemmTerms * gemmStrip]float32
	sums [gemmRows * gemmColumns]float32
}

const (
	gemmRows    = 96
	gemmTerms   = 256
	gemmColumns = 256
	gemmStrip   = 64 // the widest
	gemmPitch   = gemmTerms + 16
)

// gemmRooms are those that nobody uses. Unlike a sync.Pool it keeps them, so
// that no run after the first allocates.
var gemmRooms = make(chan *gemmRoom, 16)

func takeRoom() *gemmRoom {
	select {
	case r := <-gemmRooms:
		return r
	default:
		return new(gemmRoom)
	}
}

func giveRoom(r *gemmRoom) {
	select {
	case gemmRooms <- r:
	default:
	}
}

// gemmVectors is gemm32 at a level of vectors, or with transposed, GemmT.
func gemmVectors(l Level, y []float32, ldy int, a []float32, ars, acs int, b []float32, ldb, m, n, k int, transposed bool) {
	room := takeRoom()
	defer giveRoom(room)
	for j := 0; j < n; j += gemmColumns {
		w, at := min(gemmColumns, n-j), j
		if transposed {
			at *= ldb
		}
		for i := 0; i < m; i += gemmRows {
			h := min(gemmRows, m-i)
			room.block(l, a[i*ars:], ars, acs, b[at:], ldb, h, w, k, transposed)
			for r := range h {
				row := y[(i+r)*ldy+j:][:w]
				s := room.sums[r*gemmColumns:][:w]
				for u := addVector(l, row, row, s); u < w; u++ {
					row[u] += s[u]
				}
			}
		}
	}
}

// block makes the sums of a block of rows and columns.
func (g *gemmRoom) block(l Level, a []float32, ars, acs int, b []float32, ldb, m, n, k int, transposed bool) {
	// Few rows do not pay for copies of b, whose rows then serve as they lie.
	whole := 0
	if !transposed && m <= 12 {
		whole = n &^ 15
	}
	wide := (n + 15) &^ 15
	for r := range m {
		clear(g.sums[r*gemmColumns:][:wide])
	}
	for p := 0; p < k; p += gemmTerms {
		d := min(gemmTerms, k-p)
		x, pitch := a[p*acs:], ars
		if acs != 1 || m > 2 && ars%128 == 0 {
			g.takeA(x, ars, acs, m, d)
			x, pitch = g.a[:], gemmPitch
		}
		if whole > 0 {
			g.direct(l, x, pitch, b[p*ldb:], ldb, m, whole, d)
		}
		for u := whole; u < wide; {
			s := min(gemmStrip, wide-u)
			if l == AVX2 {
				s = 16
			}
			strip := g.b[:d*s]
			if transposed {
				takeTransposed(strip, s, b[u*ldb+p:], ldb, min(s, n-u), d)
			} else {
				takeStrip(strip, s, b[p*ldb+u:], ldb, min(s, n-u), d)
			}
			if m == 1 {
				row(l, s, &g.sums[u], s, &x[0], d, &strip[0], 0, s, 1)
			} else {
				tiles(l, s, g.sums[u:], gemmColumns, x, pitch, m, d, strip, s)
			}
			u += s
		}
	}
}

// direct adds the products with n columns of b, a multiple of 16.
func (g *gemmRoom) direct(l Level, a []float32, pitch int, b []float32, ldb, m, n, d int) {
	_ = b[(d-1)*ldb+n-1]
	for u := 0; u < n; {
		s := min(gemmStrip, n-u)
		if l == AVX2 {
			s = 16
		}
		if m > 1 {
			tiles(l, s, g.sums[u:], gemmColumns, a, pitch, m, d, b[u:], ldb)
			u += s
			continue
		}
		strips := (n - u) / s
		_ = a[d-1]
		row(l, s, &g.sums[u], s, &a[0], d, &b[u], s, ldb, strips)
		u += strips * s
	}
}

// takeA copies d columns of m rows.
func (g *gemmRoom) takeA(a []float32, ars, acs, m, d int) {
	if acs == 1 {
		for r := range m {
			copy(g.a[r*gemmPitch:][:d], a[r*ars:])
		}
		return
	}
	for p := range d {
		x, to := a[p*acs:], g.a[p:]
		for r := range m {
			to[r*gemmPitch] = x[r*ars]
		}
	}
}

// takeStrip copies w columns of d rows to a strip of s columns, 0 past w.
func takeStrip(dst []float32, s int, b []float32, ldb, w, d int) {
	for p := range d {
		to := dst[p*s:][:s]
		copy(to[:w], b[p*ldb:])
		clear(to[w:])
	}
}

// takeTransposed makes a strip of s columns of d elements of w rows, 0 past w.
func takeTransposed(dst []float32, s int, b []float32, ldb, w, d int) {
	u, full := 0, d&^7
	for ; u+8 <= w && full > 0; u += 8 {
		_, _ = b[(u+7)*ldb+full-1], dst[(full-1)*s+u+7]
		transpose8(&dst[u], s, &b[u*ldb], ldb, full/8)
	}
	for r := range w {
		from := 0
		if r < u {
			from = full
		}
		for p, v := range b[r*ldb+from:][:d-from] {
			dst[(from+p)*s+r] = v
		}
	}
	if w < s {
		for p := range d {
			clear(dst[p*s+w:][:s-w])
		}
	}
}
