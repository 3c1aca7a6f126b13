//go:build amd64 && !noasm

package kernel

import "unsafe"

// besideStrips is how many strips of a width have a product beside them at a
// time.
func besideStrips(width int) int {
	if width > 32 {
		return 2
	}
	return 4
}

// mulAddBeside adds the products of a with besideStrips strips of weights to
// sums that begin gap apart, and the next terms of b, most or fewer.
func mulAddBeside(width int, sums []float32, gap int, a, w []float32, b *Beside, most int) {
	y, x, v, step, terms := b.next(most)
	s, e, r, lead := &sums[0], unsafe.SliceData(a), &w[0], len(a)*width
	switch width {
	case 16:
		mulAddBeside16AVX512(s, gap, e, len(a), r, lead, &y[0], b.Span, &x[0], &v[0], step, terms)
	case 32:
		mulAddBeside32AVX512(s, gap, e, len(a), r, lead, &y[0], b.Span, &x[0], &v[0], step, terms)
	case 48:
		mulAddBeside48AVX512(s, gap, e, len(a), r, lead, &y[0], b.Span, &x[0], &v[0], step, terms)
	case 64:
		mulAddBeside64AVX512(s, gap, e, len(a), r, lead, &y[0], b.Span, &x[0], &v[0], step, terms)
	}
}
