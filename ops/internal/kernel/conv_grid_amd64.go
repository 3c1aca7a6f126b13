//go:build amd64 && !noasm

package kernel

// The callers of this file's functions look after the lengths: assembly sees
// no slice.

// convGridWork bounds the multiplications of one call of assembly, which cannot
// be interrupted.
const convGridWork = 1 << 22

func convGrid(l Level, y, w, x []float32, g Grid, t Taps, bias []float32) {
	depth := len(t.Offsets)
	most := max(1, convGridWork/(convGridColumns*depth)) // rows of a call
	high, part := max(1, most/g.Rows), g
	for p := 0; p < g.Planes; p += high {
		part.Planes = min(high, g.Planes-p)
		for r := 0; r < g.Rows; r += most {
			part.Rows = min(most, g.Rows-r)
			convGridStrips(l, y[p*g.Area+r*g.Span:], w[p*depth:], x[p*g.Lead+r*g.Step:], part, t, bias[p:])
		}
	}
}

// convGridColumns is how many columns a call of assembly computes at most.
const convGridColumns = 64

func convGridStrips(l Level, y, w, x []float32, g Grid, t Taps, bias []float32) {
	unit, most, slide := l.Lanes(), 4, t.slides(g.Step) // most units are in a strip, as many as registers have sums for
	switch {
	case slide && l == AVX512 && t.Square == 7:
		unit, most = unit/2, 6
	case slide && l == AVX512:
		unit, most = unit/2, 8
	case slide:
		most = (9 - t.Square) / 2 // 3, 2, 1
	}
	left := (g.N + unit - 1) / unit
	strips := (left + most - 1) / most
	for j := 0; left > 0; strips-- {
		units := (left + strips - 1) / strips
		vectors := (units*unit + l.Lanes() - 1) / l.Lanes()
		mask := &laneMasks[16-min(g.N-j-(vectors-1)*l.Lanes(), l.Lanes())]
		if slide {
			convSlide(l, t.Square, units, &y[j], &w[0], &x[j], &g, &bias[0], mask)
		} else {
			convGridStrip(l, vectors, &y[j], &w[0], &x[j], &g, &t, &bias[0], mask)
		}
		j += units * unit
		left -= units
	}
}

// next is how far it is from behind the rows of a plane to the next plane, in the
// result and in the input.
func (g *Grid) next() (y, x int) { return g.Area - g.Rows*g.Span, g.Lead - g.Rows*g.Step }

// slides reports whether terms are a square for which there is a loop, over rows
// that are step apart.
func (t *Taps) slides(step int) bool {
	s := t.Square
	return (s == 3 || s == 5 || s == 7) && len(t.Offsets) == s*s && t.Reach == (s-1)*(step+1)
}

func convGridStrip(l Level, vectors int, y, w, x *float32, g *Grid, t *Taps, bias *float32, mask *int32) {
	offsets, depth := &t.Offsets[0], len(t.Offsets)
	nextY, nextX := g.next()
	if l == AVX2 {
		switch vectors {
		case 1:
			convGrid8AVX2(y, g.Span, w, x, g.Step, offsets, depth, bias, mask, g.Rows, g.Planes, nextY, nextX)
		case 2:
			convGrid16AVX2(y, g.Span, w, x, g.Step, offsets, depth, bias, mask, g.Rows, g.Planes, nextY, nextX)
		case 3:
			convGrid24AVX2(y, g.Span, w, x, g.Step, offsets, depth, bias, mask, g.Rows, g.Planes, nextY, nextX)
		case 4:
			convGrid32AVX2(y, g.Span, w, x, g.Step, offsets, depth, bias, mask, g.Rows, g.Planes, nextY, nextX)
		}
		return
	}
	switch vectors {
	case 1:
		convGrid16AVX512(y, g.Span, w, x, g.Step, offsets, depth, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 2:
		convGrid32AVX512(y, g.Span, w, x, g.Step, offsets, depth, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 3:
		convGrid48AVX512(y, g.Span, w, x, g.Step, offsets, depth, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 4:
		convGrid64AVX512(y, g.Span, w, x, g.Step, offsets, depth, bias, mask, g.Rows, g.Planes, nextY, nextX)
	}
}

// convSlide computes units of 8 columns.
func convSlide(l Level, side, units int, y, w, x *float32, g *Grid, bias *float32, mask *int32) {
	switch {
	case l == AVX2 && side == 3:
		convSlide3AVX2(units, y, w, x, g, bias, mask)
	case l == AVX2 && side == 5:
		convSlide5AVX2(units, y, w, x, g, bias, mask)
	case l == AVX2:
		nextY, nextX := g.next()
		convSlide7x8AVX2(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case side == 3:
		convSlide3AVX512(units, y, w, x, g, bias, mask)
	case side == 5:
		convSlide5AVX512(units, y, w, x, g, bias, mask)
	default:
		convSlide7AVX512(units, y, w, x, g, bias, mask)
	}
}

func convSlide3AVX2(units int, y, w, x *float32, g *Grid, bias *float32, mask *int32) {
	nextY, nextX := g.next()
	switch units {
	case 1:
		convSlide3x8AVX2(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 2:
		convSlide3x16AVX2(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 3:
		convSlide3x24AVX2(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	}
}

func convSlide5AVX2(units int, y, w, x *float32, g *Grid, bias *float32, mask *int32) {
	nextY, nextX := g.next()
	switch units {
	case 1:
		convSlide5x8AVX2(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 2:
		convSlide5x16AVX2(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	}
}

func convSlide3AVX512(units int, y, w, x *float32, g *Grid, bias *float32, mask *int32) {
	nextY, nextX := g.next()
	switch units {
	case 1:
		convSlide3x8AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 2:
		convSlide3x16AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 3:
		convSlide3x24AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 4:
		convSlide3x32AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 5:
		convSlide3x40AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 6:
		convSlide3x48AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 7:
		convSlide3x56AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 8:
		convSlide3x64AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	}
}

func convSlide5AVX512(units int, y, w, x *float32, g *Grid, bias *float32, mask *int32) {
	nextY, nextX := g.next()
	switch units {
	case 1:
		convSlide5x8AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 2:
		convSlide5x16AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 3:
		convSlide5x24AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 4:
		convSlide5x32AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 5:
		convSlide5x40AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 6:
		convSlide5x48AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 7:
		convSlide5x56AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 8:
		convSlide5x64AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	}
}

func convSlide7AVX512(units int, y, w, x *float32, g *Grid, bias *float32, mask *int32) {
	nextY, nextX := g.next()
	switch units {
	case 1:
		convSlide7x8AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 2:
		convSlide7x16AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 3:
		convSlide7x24AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 4:
		convSlide7x32AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 5:
		convSlide7x40AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	case 6:
		convSlide7x48AVX512(y, g.Span, w, x, g.Step, bias, mask, g.Rows, g.Planes, nextY, nextX)
	}
}

// parts calls f for parts that a call may move: their lines, and the indices of
// the first in the copy and in what is copied.
func (a Lines) parts(f func(part Lines, to, from int)) {
	most := max(1, rowsWork/a.N) // rows
	high, part := max(1, most/a.Rows), a
	for p := 0; p < a.Planes; p += high {
		part.Planes = min(high, a.Planes-p)
		for r := 0; r < a.Rows; r += most {
			part.Rows = min(most, a.Rows-r)
			f(part, p*a.Area+r*a.Pitch, (p*a.Rows+r)*a.N)
		}
	}
}

// next is how far it is from behind the rows of a plane to the next plane.
func (a Lines) next() int { return a.Area - a.Rows*a.Pitch }

func padRows(l Level, room, x []float32, a Lines) {
	_, rest := convStrip(l, a.N, a.N)
	mask := &laneMasks[16-rest]
	a.parts(func(p Lines, to, from int) {
		if l == AVX2 {
			padRowsAVX2(&room[to], p.Pitch, &x[from], p.N, mask, p.Rows, p.Planes, p.next())
		} else {
			padRowsAVX512(&room[to], p.Pitch, &x[from], p.N, mask, p.Rows, p.Planes, p.next())
		}
	})
}

// pairMasks are masks for rest elements of two vectors, and for half of them
// each: more of the first where they are odd.
func pairMasks(l Level, rest int) (pair, half [2]*int32) {
	mask := func(n int) *int32 { return &laneMasks[16-min(max(n, 0), l.Lanes())] }
	return [2]*int32{mask(rest), mask(rest - l.Lanes())}, [2]*int32{mask((rest + 1) / 2), mask(rest / 2)}
}

func dealRows(l Level, even, odd, x []float32, a Lines) {
	size := 2 * l.Lanes()
	blocks := (a.N + size - 1) / size
	pair, half := pairMasks(l, a.N-(blocks-1)*size)
	masks := [4]*int32{pair[0], pair[1], half[0], half[1]}
	a.parts(func(p Lines, to, from int) {
		if l == AVX2 {
			dealRowsAVX2(&even[to], &odd[to], p.Pitch, &x[from], p.N, blocks, &masks, p.Rows, p.Planes, p.next())
		} else {
			dealRowsAVX512(&even[to], &odd[to], p.Pitch, &x[from], p.N, blocks, &masks, p.Rows, p.Planes, p.next())
		}
	})
}

func interleaveRows(l Level, y []float32, span int, a, b []float32, step, rows, n int) {
	blocks := (n + l.Lanes() - 1) / l.Lanes()
	pair, half := pairMasks(l, 2*(n-(blocks-1)*l.Lanes()))
	masks := [4]*int32{half[0], half[1], pair[0], pair[1]}
	high := max(1, rowsWork/n)
	for r := 0; r < rows; r += high {
		m := min(high, rows-r)
		if l == AVX2 {
			interleaveRowsAVX2(&y[r*span], span, &a[r*step], &b[r*step], step, blocks, &masks, m)
		} else {
			interleaveRowsAVX512(&y[r*span], span, &a[r*step], &b[r*step], step, blocks, &masks, m)
		}
	}
}
