package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// besideCase is a product of a row and one beside it.
type besideCase struct {
	depth, width, panels, gap      int // of the row's product
	of, columns, others, last, far int // depth, width, panels, last panel and gap of the one beside
}

// newBeside makes the product beside of a case, and what MulAdd makes of it.
func (c *besideCase) newBeside(l Level, r *rand.Rand) (b *Beside, want []float32) {
	span := c.others*c.far + c.last + r.IntN(20)
	x := odd(r, BesideRows*c.of)
	b = &Beside{Sums: odd(r, BesideRows*span), Span: span, Gap: c.far, Depth: c.of, X: make([]float32, BesideRows*c.of),
		W: odd(r, c.of*(c.others*c.columns+c.last)), Width: c.columns, Panels: c.others, Last: c.last}
	for i, v := range x {
		b.X[i%c.of*BesideRows+i/c.of] = v
	}
	want = slices.Clone(b.Sums)
	for p := range c.others {
		MulAdd(l, want[p*c.far:], span, x, c.of, BesideRows, c.of, b.W[p*c.of*c.columns:], c.columns)
	}
	MulAdd(l, want[c.others*c.far:], span, x, c.of, BesideRows, c.of, b.W[c.others*c.of*c.columns:], c.last)
	return b, want
}

// Both products are those of MulAdd to the bit, however many rows it takes until
// the one beside is complete.
func TestBeside(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 5))
	for _, l := range vectorLevels() {
		if !l.HasBeside() {
			continue
		}
		for range 3000 {
			c := besideCase{depth: 1 + r.IntN(70), width: 16 * (1 + r.IntN(4)), panels: 1 + r.IntN(9),
				of: 1 + r.IntN(70), columns: 16 * (1 + r.IntN(4)), others: r.IntN(5), last: 16 * r.IntN(4)}
			c.gap, c.far = c.width+16*r.IntN(2), c.columns+16*r.IntN(2)
			b, want := c.newBeside(l, r)
			for step := range 1 + r.IntN(4) {
				a, w, sums := odd(r, c.depth), odd(r, c.depth*c.width*c.panels), odd(r, c.panels*c.gap)
				alone := slices.Clone(sums)
				MulAddPanels(l, alone, c.gap, 0, a, 0, 1, c.depth, w, c.width, c.panels)
				MulAddPanelsBeside(l, sums, c.gap, a, w, c.width, c.panels, b)
				if i := unlike(sums, alone); i >= 0 {
					t.Fatalf("%v %+v step %d: sum %d of the row is %g, alone %g", l, c, step, i, sums[i], alone[i])
				}
			}
			b.Rest()
			if i := unlike(b.Sums, want); i >= 0 || b.Left() {
				t.Fatalf("%v %+v: sum %d beside is %g, alone %g, left %v", l, c, i, b.Sums[i], want[i], b.Left())
			}
		}
	}
}

// unlike is the first place where two slices are not the same, -1 if none.
func unlike(a, b []float32) int {
	for i := range a {
		if !same(a[i], b[i]) {
			return i
		}
	}
	return -1
}

// BenchmarkBeside is a step of one row of recurrent weights, with a sixteenth of
// the block's product with W beside it and before it.
func BenchmarkBeside(b *testing.B) {
	const hidden, input = 256, 128
	r := rand.New(rand.NewPCG(1, 2))
	for _, l := range vectorLevels() {
		if !l.HasBeside() {
			continue
		}
		for _, width := range []int{32, 48, 64} {
			panels := hidden / 16
			if width == 32 {
				panels /= 2
			}
			a, weights := normal(r, hidden), normal(r, hidden*panels*width)
			x, v := normal(r, BesideRows*(input+16)), normal(r, input*panels*width)
			sums := normal(r, BesideRows*panels*width)
			side := Beside{Sums: sums, Span: panels * width, Gap: width, X: x, Depth: input, W: v, Width: width, Panels: panels}
			b.Run(fmt.Sprintf("%v/width%d/beside", l, width), func(b *testing.B) {
				for i := range b.N {
					if i%BesideRows == 0 {
						side.Rest()
						side.column, side.k = 0, 0
					}
					MulAddPanelsBeside(l, sums, width, a, weights, width, panels, &side)
				}
			})
			b.Run(fmt.Sprintf("%v/width%d/before", l, width), func(b *testing.B) {
				for i := range b.N {
					for p := 0; p < panels && i%BesideRows == 0; p++ {
						MulAdd(l, sums[p*width:], panels*width, x, input+16, BesideRows, input, v[p*input*width:], width)
					}
					MulAddPanels(l, sums, width, 0, a, 0, 1, hidden, weights, width, panels)
				}
			})
		}
	}
}

// normal makes n numbers.
func normal(r *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(r.NormFloat64())
	}
	return s
}
