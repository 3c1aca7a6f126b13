//go:build amd64 && !noasm

package kernel

// The callers of this file's functions look after the lengths: assembly sees
// no slice.

// laneMasks gives a mask of n of up to 16 lanes from element 16-n on.
var laneMasks = [32]int32{-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}

// convStrip is how many of n columns a block takes: the vectors of a block,
// and the lanes of the last.
func convStrip(l Level, n, most int) (vectors, lanes int) {
	all := l.Lanes()
	vectors = min((n+all-1)/all, most)
	return vectors, min(n-(vectors-1)*all, all)
}

// convTileRows is how many rows a block of vectors has at most.
func convTileRows(l Level, vectors int) int {
	if l == AVX2 {
		return 6
	}
	return [...]int{12, 12, 8, 6}[vectors-1]
}

func convRows(l Level, y []float32, span int, w []float32, pitch int, x []float32, t Taps, bias []float32, rows, n int) {
	most := 4
	if l == AVX2 {
		most = 2
	}
	depth := len(t.Offsets)
	for j := 0; j < n; {
		vectors, lanes := convStrip(l, n-j, most)
		mask, high := &laneMasks[16-lanes], convTileRows(l, vectors)
		blocks := (rows + high - 1) / high
		for b, r := 0, 0; b < blocks; b++ {
			m := (rows - r) / (blocks - b)
			convTile(l, vectors, &y[r*span+j], span, &w[r*pitch], pitch, &x[j], &t.Offsets[0], depth, &bias[r], mask, m)
			r += m
		}
		j += (vectors-1)*l.Lanes() + lanes
	}
}

func convTile(l Level, vectors int, y *float32, span int, w *float32, pitch int, x *float32, offsets *int, depth int, bias *float32, mask *int32, rows int) {
	if l == AVX2 {
		if vectors == 1 {
			convRows8AVX2(y, span, w, pitch, x, offsets, depth, bias, mask, rows)
		} else {
			convRows16AVX2(y, span, w, pitch, x, offsets, depth, bias, mask, rows)
		}
		return
	}
	switch vectors {
	case 1:
		convRows16AVX512(y, span, w, pitch, x, offsets, depth, bias, mask, rows)
	case 2:
		convRows32AVX512(y, span, w, pitch, x, offsets, depth, bias, mask, rows)
	case 3:
		convRows48AVX512(y, span, w, pitch, x, offsets, depth, bias, mask, rows)
	case 4:
		convRows64AVX512(y, span, w, pitch, x, offsets, depth, bias, mask, rows)
	}
}

// convPointSums is ConvPointSums.
func convPointSums(l Level, y, x []float32, step int, t Taps, w, bias []float32, width, n int) {
	vectors := width / l.Lanes()
	high := convTileRows(l, vectors)
	blocks := (n + high - 1) / high
	for b, p := 0, 0; b < blocks; b++ {
		m := (n - p) / (blocks - b)
		convPointTile(l, vectors, &y[p*width], width, &x[p*step], step, &t.Offsets[0], len(t.Offsets), &w[0], &bias[0], m)
		p += m
	}
}

func convPointTile(l Level, vectors int, y *float32, span int, x *float32, step int, offsets *int, depth int, w, bias *float32, points int) {
	if l == AVX2 {
		if vectors == 1 {
			convPoints8AVX2(y, span, x, step, offsets, depth, w, bias, points)
		} else {
			convPoints16AVX2(y, span, x, step, offsets, depth, w, bias, points)
		}
		return
	}
	switch vectors {
	case 1:
		convPoints16AVX512(y, span, x, step, offsets, depth, w, bias, points)
	case 2:
		convPoints32AVX512(y, span, x, step, offsets, depth, w, bias, points)
	case 3:
		convPoints48AVX512(y, span, x, step, offsets, depth, w, bias, points)
	case 4:
		convPoints64AVX512(y, span, x, step, offsets, depth, w, bias, points)
	}
}
