package kernel

// Factor is an operand of rows and the weights that it is multiplied with, a
// panel as for MulAdd.
type Factor struct {
	A            []float32
	Pitch, Depth int // from row to row, and the elements of one
	W            []float32
	At, Width    int // the sums to which the product adds
}

// HasPair reports whether MulAddPair computes sums of a width from products
// that add to those: to all, or as in a GRU. With the tiles of AVX2 it gains
// nothing.
func (l Level) HasPair(width int, x, h *Factor) bool {
	return l == AVX512 && x.Depth <= depthMost && h.Depth <= depthMost && pairOf(width, x, h) != noPair
}

// MulAddPair makes rows of sums, which begin span apart, of a bias and two
// products, one after the other: what MulAdd makes of rows of bias for x and
// then for h, to the bit, without the ways to memory and back.
func MulAddPair(l Level, sums []float32, span int, bias []float32, rows int, x, h *Factor) {
	width, form := len(bias), pairOf(len(bias), x, h)
	most := stripRows(l, width)
	blocks := (rows + most - 1) / most
	for b, r := 0, 0; b < blocks; b++ {
		n := (rows - r) / (blocks - b)
		pair(form, width, sums[r*span:][:(n-1)*span+width], span, bias, n, x.rows(r, n), h.rows(r, n))
		r += n
	}
}

// pairForm is to which sums the products of a pair add.
type pairForm int

const (
	noPair    pairForm = iota
	pairAll            // both to all
	pairGRU            // of four gates' sums x to the first three, h to the last
	pairReset          // of three gates' sums x to all, h to the last two
)

// pairOf gives the form of a width and what is added to it.
func pairOf(width int, x, h *Factor) pairForm {
	switch {
	case x.At != 0:
	case x.Width == width && h.At == 0 && h.Width == width && (width == 16 || width == 32 || width == 64):
		return pairAll
	case width == 64 && x.Width == 48 && h.At == 16 && h.Width == 48:
		return pairGRU
	case width == 48 && x.Width == 48 && h.At == 16 && h.Width == 32:
		return pairReset
	}
	return noPair
}

// rows is the operand's n rows from row r on, whose elements are all there.
func (f *Factor) rows(r, n int) Factor {
	s := *f
	if s.Depth > 0 {
		s.A, s.W = f.A[r*f.Pitch:][:(n-1)*f.Pitch+f.Depth], f.W[:f.Depth*f.Width]
	}
	return s
}
