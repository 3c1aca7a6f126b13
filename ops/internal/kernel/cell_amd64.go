//go:build amd64 && !noasm

package kernel

func lstmCell(l Level, c *Cells, at int, peepholes []float32) {
	s, st, next := &c.Sums[at], &c.State[at], &c.Next[at]
	switch {
	case peepholes == nil && l == AVX2:
		lstmAVX2(s, c.Span, c.Lanes, st, next, c.Pitch, c.Rows, c.sigmoid(), c.tanh())
	case peepholes == nil:
		lstmAVX512(s, c.Span, c.Lanes, st, next, c.Pitch, c.Rows, c.sigmoid(), c.tanh())
	case l == AVX2:
		lstmPeepAVX2(s, c.Span, c.Lanes, st, next, c.Pitch, c.Rows, c.sigmoid(), c.tanh(), &peepholes[at], c.Part, c.Along)
	default:
		lstmPeepAVX512(s, c.Span, c.Lanes, st, next, c.Pitch, c.Rows, c.sigmoid(), c.tanh(), &peepholes[at], c.Part, c.Along)
	}
}

func gruCell(l Level, c *Cells, at int) {
	s, st, next := &c.Sums[at], &c.State[at], &c.Next[at]
	if l == AVX2 {
		gruAVX2(s, c.Span, c.Lanes, st, next, c.Pitch, c.Rows, c.sigmoid(), c.tanh())
	} else {
		gruAVX512(s, c.Span, c.Lanes, st, next, c.Pitch, c.Rows, c.sigmoid(), c.tanh())
	}
}

func gruResetCell(l Level, c *Cells, at int) {
	s, st, next := &c.Sums[2*c.Lanes+at], &c.State[at], &c.Next[at]
	if l == AVX2 {
		gruResetAVX2(s, c.Span, st, next, c.Pitch, c.Rows, c.sigmoid())
	} else {
		gruResetAVX512(s, c.Span, st, next, c.Pitch, c.Rows, c.sigmoid())
	}
}

func gruBlendCell(l Level, c *Cells, at int) {
	s, st, next := &c.Sums[at], &c.State[at], &c.Next[at]
	if l == AVX2 {
		gruBlendAVX2(s, c.Span, c.Lanes, st, next, c.Pitch, c.Rows, c.sigmoid(), c.tanh())
	} else {
		gruBlendAVX512(s, c.Span, c.Lanes, st, next, c.Pitch, c.Rows, c.sigmoid(), c.tanh())
	}
}

func rnnCell(l Level, c *Cells, at int) {
	s, next := &c.Sums[at], &c.Next[at]
	if l == AVX2 {
		rnnAVX2(s, c.Span, next, c.Pitch, c.Rows, c.tanh())
	} else {
		rnnAVX512(s, c.Span, next, c.Pitch, c.Rows, c.tanh())
	}
}
