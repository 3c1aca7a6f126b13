package kernel

// Beside is a product of some rows with panels of weights that is computed
// beside those of a single row. A single row reads each weight for one
// multiplication, and waits for the cache most of the time; the product of many
// rows with few weights is all multiplications. Done together they take little
// longer than the longer one. Each sum is that of MulAdd to the bit.
//
// Row r begins at Sums[r*Span]. Its sums of panel p begin Gap after those of
// panel p-1 and are Width, of the panel after the last one Last, which may be 0.
type Beside struct {
	Sums      []float32
	Span, Gap int
	X         []float32 // element k of row r is X[k*BesideRows+r]
	Depth     int       // elements of a row
	W         []float32 // as for MulAddPanels
	Width     int
	Panels    int
	Last      int

	column, k int // what comes next: columns of BesideLanes, and elements that it has done
}

// The rows of a product beside another, and the columns of it that are computed
// at a time.
const (
	BesideRows  = 16
	besideLanes = 16
)

// columns is the number of columns, in vectors.
func (b *Beside) columns() int { return (b.Panels*b.Width + b.Last) / besideLanes }

// Left reports whether something is left to compute.
func (b *Beside) Left() bool { return b.Depth > 0 && b.column < b.columns() }

// next gives the next terms of a column, most or fewer: its sums, the elements,
// and the weights with the distance from one term's to the next.
func (b *Beside) next(most int) (sums, x, w []float32, step, terms int) {
	panel := b.column * besideLanes / b.Width
	u, step := b.column*besideLanes-panel*b.Width, b.Width
	if panel >= b.Panels {
		panel, u, step = b.Panels, b.column*besideLanes-b.Panels*b.Width, b.Last
	}
	terms = min(most, b.Depth-b.k)
	sums = b.Sums[panel*b.Gap+u:][:(BesideRows-1)*b.Span+besideLanes]
	x = b.X[b.k*BesideRows:][:terms*BesideRows]
	w = b.W[panel*b.Depth*b.Width+b.k*step+u:][:(terms-1)*step+besideLanes]
	if b.k += terms; b.k == b.Depth {
		b.column, b.k = b.column+1, 0
	}
	return sums, x, w, step, terms
}

// HasBeside reports whether a level computes products beside others. The
// registers of AVX2 are too few: there it gains nothing.
func (l Level) HasBeside() bool { return l == AVX512 }

// besideDepth is the depth to which a row has products beside it: one call of
// assembly is one walk along it.
const besideDepth = 1 << 13

// MulAddPanelsBeside is MulAddPanels of one row, with as much of b beside it as
// goes into the time. The level has to have it, and the widths of the panels,
// b's too, to be strips.
func MulAddPanelsBeside(l Level, sums []float32, gap int, a, w []float32, width, panels int, b *Beside) {
	some, depth, p := besideStrips(width), len(a), 0
	for ; p+some <= panels && b.Left() && 2 <= depth && depth <= besideDepth; p += some {
		mulAddBeside(width, sums[p*gap:][:(some-1)*gap+width], gap, a, w[p*depth*width:][:some*depth*width], b, depth/2)
	}
	MulAddPanels(l, sums[p*gap:], gap, 0, a, 0, 1, depth, w[p*depth*width:], width, panels-p)
}

// Rest computes what is left of it.
func (b *Beside) Rest() {
	var none [2 * besideLanes]float32
	for b.Left() {
		mulAddBeside(besideLanes, none[:], 0, nil, none[:], b, besideDepth)
	}
}
