//go:build amd64 && !noasm

package kernel

// The callers of this file's functions look after the lengths: assembly sees
// no slice.

// convGridWork bounds the multiplications of one call of assembly, which cannot
// be interrupted.
const convGridWork = 1 << 22

func convGrid(l Level, y []float32, span int, w, x []float32, step int, t Taps, bias float32, rows, n int) {
	unit, most, slide := l.Lanes(), 4, t.slides(step)
	switch {
	case slide && l == AVX512:
		unit, most = unit/2, 2*most
	case slide && t.Square == 3:
		most = 3
	case slide:
		most = 2
	}
	high := max(1, convGridWork/(64*len(t.Offsets)))
	for r := 0; r < rows; r += high {
		m := min(high, rows-r)
		left := (n + unit - 1) / unit
		strips := (left + most - 1) / most
		for j := 0; left > 0; strips-- {
			units := (left + strips - 1) / strips
			vectors := (units*unit + l.Lanes() - 1) / l.Lanes()
			mask := &laneMasks[16-min(n-j-(vectors-1)*l.Lanes(), l.Lanes())]
			to, from := &y[r*span+j], &x[r*step+j]
			if slide {
				convSlide(l, t.Square, units, to, span, &w[0], from, step, &bias, mask, m)
			} else {
				convGridStrip(l, vectors, to, span, &w[0], from, step, &t.Offsets[0], len(t.Offsets), &bias, mask, m)
			}
			j += units * unit
			left -= units
		}
	}
}

// slides reports whether terms are a square for which there is a loop, over rows
// that are step apart.
func (t *Taps) slides(step int) bool {
	s := t.Square
	return (s == 3 || s == 5) && len(t.Offsets) == s*s && t.Reach == (s-1)*(step+1)
}

func convGridStrip(l Level, vectors int, y *float32, span int, w, x *float32, step int, offsets *int, depth int, bias *float32, mask *int32, rows int) {
	if l == AVX2 {
		switch vectors {
		case 1:
			convGrid8AVX2(y, span, w, x, step, offsets, depth, bias, mask, rows)
		case 2:
			convGrid16AVX2(y, span, w, x, step, offsets, depth, bias, mask, rows)
		case 3:
			convGrid24AVX2(y, span, w, x, step, offsets, depth, bias, mask, rows)
		case 4:
			convGrid32AVX2(y, span, w, x, step, offsets, depth, bias, mask, rows)
		}
		return
	}
	switch vectors {
	case 1:
		convGrid16AVX512(y, span, w, x, step, offsets, depth, bias, mask, rows)
	case 2:
		convGrid32AVX512(y, span, w, x, step, offsets, depth, bias, mask, rows)
	case 3:
		convGrid48AVX512(y, span, w, x, step, offsets, depth, bias, mask, rows)
	case 4:
		convGrid64AVX512(y, span, w, x, step, offsets, depth, bias, mask, rows)
	}
}

// convSlide computes units of 8 columns.
func convSlide(l Level, side, units int, y *float32, span int, w, x *float32, step int, bias *float32, mask *int32, rows int) {
	switch {
	case l == AVX2 && side == 3:
		convSlide3AVX2(units, y, span, w, x, step, bias, mask, rows)
	case l == AVX2 && units == 1:
		convSlide5x8AVX2(y, span, w, x, step, bias, mask, rows)
	case l == AVX2:
		convSlide5x16AVX2(y, span, w, x, step, bias, mask, rows)
	case side == 3:
		convSlide3AVX512(units, y, span, w, x, step, bias, mask, rows)
	default:
		convSlide5AVX512(units, y, span, w, x, step, bias, mask, rows)
	}
}

func convSlide3AVX2(units int, y *float32, span int, w, x *float32, step int, bias *float32, mask *int32, rows int) {
	switch units {
	case 1:
		convSlide3x8AVX2(y, span, w, x, step, bias, mask, rows)
	case 2:
		convSlide3x16AVX2(y, span, w, x, step, bias, mask, rows)
	case 3:
		convSlide3x24AVX2(y, span, w, x, step, bias, mask, rows)
	}
}

func convSlide3AVX512(units int, y *float32, span int, w, x *float32, step int, bias *float32, mask *int32, rows int) {
	switch units {
	case 1, 2:
		convSlide3x16AVX512(y, span, w, x, step, bias, mask, rows)
	case 3:
		convSlide3x24AVX512(y, span, w, x, step, bias, mask, rows)
	case 4:
		convSlide3x32AVX512(y, span, w, x, step, bias, mask, rows)
	case 5:
		convSlide3x40AVX512(y, span, w, x, step, bias, mask, rows)
	case 6:
		convSlide3x48AVX512(y, span, w, x, step, bias, mask, rows)
	case 7:
		convSlide3x56AVX512(y, span, w, x, step, bias, mask, rows)
	case 8:
		convSlide3x64AVX512(y, span, w, x, step, bias, mask, rows)
	}
}

func convSlide5AVX512(units int, y *float32, span int, w, x *float32, step int, bias *float32, mask *int32, rows int) {
	switch units {
	case 1, 2:
		convSlide5x16AVX512(y, span, w, x, step, bias, mask, rows)
	case 3:
		convSlide5x24AVX512(y, span, w, x, step, bias, mask, rows)
	case 4:
		convSlide5x32AVX512(y, span, w, x, step, bias, mask, rows)
	case 5:
		convSlide5x40AVX512(y, span, w, x, step, bias, mask, rows)
	case 6:
		convSlide5x48AVX512(y, span, w, x, step, bias, mask, rows)
	case 7:
		convSlide5x56AVX512(y, span, w, x, step, bias, mask, rows)
	case 8:
		convSlide5x64AVX512(y, span, w, x, step, bias, mask, rows)
	}
}

// rowsMost is how many rows of n elements one call moves.
func rowsMost(n int) int { return max(1, rowsWork/n) }

func padRows(l Level, room []float32, pitch int, x []float32, rows, n int) {
	_, rest := convStrip(l, n, n)
	for high := rowsMost(n); rows > 0; rows -= high {
		m, mask := min(high, rows), &laneMasks[16-rest]
		if l == AVX2 {
			padRowsAVX2(&room[0], pitch, &x[0], n, mask, m)
		} else {
			padRowsAVX512(&room[0], pitch, &x[0], n, mask, m)
		}
		if m < rows {
			room, x = room[m*pitch:], x[m*n:]
		}
	}
}

// pairMasks are masks for rest elements of two vectors, and for half of them
// each: more of the first where they are odd.
func pairMasks(l Level, rest int) (pair, half [2]*int32) {
	mask := func(n int) *int32 { return &laneMasks[16-min(max(n, 0), l.Lanes())] }
	return [2]*int32{mask(rest), mask(rest - l.Lanes())}, [2]*int32{mask((rest + 1) / 2), mask(rest / 2)}
}

func dealRows(l Level, even, odd []float32, pitch int, x []float32, rows, n int) {
	size := 2 * l.Lanes()
	blocks := (n + size - 1) / size
	pair, half := pairMasks(l, n-(blocks-1)*size)
	masks := [4]*int32{pair[0], pair[1], half[0], half[1]}
	for high := rowsMost(n); rows > 0; rows -= high {
		m := min(high, rows)
		if l == AVX2 {
			dealRowsAVX2(&even[0], &odd[0], pitch, &x[0], n, blocks, &masks, m)
		} else {
			dealRowsAVX512(&even[0], &odd[0], pitch, &x[0], n, blocks, &masks, m)
		}
		if m < rows {
			even, odd, x = even[m*pitch:], odd[m*pitch:], x[m*n:]
		}
	}
}

func interleaveRows(l Level, y []float32, span int, a, b []float32, step, rows, n int) {
	blocks := (n + l.Lanes() - 1) / l.Lanes()
	pair, half := pairMasks(l, 2*(n-(blocks-1)*l.Lanes()))
	masks := [4]*int32{half[0], half[1], pair[0], pair[1]}
	for high := rowsMost(n); rows > 0; rows -= high {
		m := min(high, rows)
		if l == AVX2 {
			interleaveRowsAVX2(&y[0], span, &a[0], &b[0], step, blocks, &masks, m)
		} else {
			interleaveRowsAVX512(&y[0], span, &a[0], &b[0], step, blocks, &masks, m)
		}
		if m < rows {
			y, a, b = y[m*span:], a[m*step:], b[m*step:]
		}
	}
}
