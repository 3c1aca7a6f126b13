package kernel

// ConvGrid computes rows of n places of a plane. Rows of places are step apart
// in the input, as are the rows of a square of terms:
//
//	y[r*span+j] = bias + sum over k of w[k] * x[r*step+t.Offsets[k]+j]
func ConvGrid(l Level, y []float32, span int, w, x []float32, step int, t Taps, bias float32, rows, n int) {
	depth := len(t.Offsets)
	if rows == 0 || n == 0 {
		return
	}
	if l != Go && 0 < depth && depth <= ConvTermsMost {
		_, _, _ = y[(rows-1)*span+n-1], w[depth-1], x[(rows-1)*step+t.Reach+n-1]
		convGrid(l, y, span, w, x, step, t, bias, rows, n)
		return
	}
	for r := range rows {
		convRow(y[r*span:][:n], w[:depth], x[r*step:], t.Offsets, bias)
	}
}

// rowsWork bounds the elements that one call of assembly moves.
const rowsWork = 1 << 20

// PadRows copies rows of n elements that follow each other in x to room, where
// they are pitch apart, n at least.
func PadRows(l Level, room []float32, pitch int, x []float32, rows, n int) {
	if rows == 0 || n == 0 {
		return
	}
	if l != Go && n <= rowsWork {
		_, _ = room[(rows-1)*pitch+n-1], x[rows*n-1]
		padRows(l, room, pitch, x, rows, n)
		return
	}
	for r := range rows {
		copy(room[r*pitch:][:n], x[r*n:])
	}
}

// DealRows is PadRows that takes elements of even index to even, side by side,
// and those of odd index to odd.
func DealRows(l Level, even, odd []float32, pitch int, x []float32, rows, n int) {
	if rows == 0 || n == 0 {
		return
	}
	if l != Go && 1 < n && n <= rowsWork {
		_, _, _ = even[(rows-1)*pitch+(n+1)/2-1], odd[(rows-1)*pitch+n/2-1], x[rows*n-1]
		dealRows(l, even, odd, pitch, x, rows, n)
		return
	}
	for r := range rows {
		row := x[r*n:][:n]
		Gather(even[r*pitch:][:(n+1)/2], row, 2)
		if n > 1 {
			Gather(odd[r*pitch:][:n/2], row[1:], 2)
		}
	}
}

// InterleaveRows is, for rows of a and of b that are step apart,
//
//	y[r*span+2*i], y[r*span+2*i+1] = a[r*step+i], b[r*step+i]    r<rows, i<n
func InterleaveRows(l Level, y []float32, span int, a, b []float32, step, rows, n int) {
	if rows == 0 || n == 0 {
		return
	}
	if l != Go && n <= rowsWork {
		_, _, _ = y[(rows-1)*span+2*n-1], a[(rows-1)*step+n-1], b[(rows-1)*step+n-1]
		interleaveRows(l, y, span, a, b, step, rows, n)
		return
	}
	for r := range rows {
		to := y[r*span:][:2*n]
		for i, v := range a[r*step:][:n] {
			to[2*i], to[2*i+1] = v, b[r*step+i]
		}
	}
}
