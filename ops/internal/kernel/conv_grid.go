package kernel

// Grid is Planes times Rows times N places of a convolution. Rows are Span apart
// in the result, and Step in the input; planes are Area apart in the result, and
// Lead in the input.
type Grid struct{ Planes, Rows, N, Span, Step, Area, Lead int }

// ConvGrid computes planes, each with its own weights and its own input. The rows
// of a square of terms are Step apart, too:
//
//	y[p*Area+r*Span+j] = bias[p] + sum over k of w[p*depth+k] * x[p*Lead+r*Step+t.Offsets[k]+j]
func ConvGrid(l Level, y, w, x []float32, g Grid, t Taps, bias []float32) {
	depth := len(t.Offsets)
	if g.Planes == 0 || g.Rows == 0 || g.N == 0 {
		return
	}
	if l != Go && 0 < depth && depth <= ConvTermsMost {
		_, _ = y[(g.Planes-1)*g.Area+(g.Rows-1)*g.Span+g.N-1], w[g.Planes*depth-1]
		_, _ = x[(g.Planes-1)*g.Lead+(g.Rows-1)*g.Step+t.Reach+g.N-1], bias[g.Planes-1]
		convGrid(l, y, w, x, g, t, bias)
		return
	}
	for p := range g.Planes {
		for r := range g.Rows {
			convRow(y[p*g.Area+r*g.Span:][:g.N], w[p*depth:][:depth], x[p*g.Lead+r*g.Step:], t.Offsets, bias[p])
		}
	}
}

// rowsWork bounds the elements that one call of assembly moves.
const rowsWork = 1 << 20

// Lines are rows of N elements of planes, which follow each other, and where they
// are copied: planes Area apart, and in each rows Pitch apart.
type Lines struct{ Planes, Rows, N, Pitch, Area int }

// PadRows copies rows to where there is room between them.
func PadRows(l Level, room, x []float32, a Lines) {
	if a.Planes == 0 || a.Rows == 0 || a.N == 0 {
		return
	}
	if l != Go && a.N <= rowsWork {
		_, _ = room[(a.Planes-1)*a.Area+(a.Rows-1)*a.Pitch+a.N-1], x[a.Planes*a.Rows*a.N-1]
		padRows(l, room, x, a)
		return
	}
	for p := range a.Planes {
		for r := range a.Rows {
			copy(room[p*a.Area+r*a.Pitch:][:a.N], x)
			x = x[a.N:]
		}
	}
}

// DealRows is PadRows that takes elements of even index to even, side by side,
// and those of odd index to odd.
func DealRows(l Level, even, odd, x []float32, a Lines) {
	if a.Planes == 0 || a.Rows == 0 || a.N == 0 {
		return
	}
	if l != Go && 1 < a.N && a.N <= rowsWork {
		last := (a.Planes-1)*a.Area + (a.Rows-1)*a.Pitch
		_, _, _ = even[last+(a.N+1)/2-1], odd[last+a.N/2-1], x[a.Planes*a.Rows*a.N-1]
		dealRows(l, even, odd, x, a)
		return
	}
	for p := range a.Planes {
		for r := range a.Rows {
			at := p*a.Area + r*a.Pitch
			Gather(even[at:][:(a.N+1)/2], x, 2)
			if a.N > 1 {
				Gather(odd[at:][:a.N/2], x[1:], 2)
			}
			x = x[a.N:]
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
