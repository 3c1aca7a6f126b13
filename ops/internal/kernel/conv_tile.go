package kernel

// The products of convolutions take the input where it lies: a list of offsets
// says, for each term of a sum, where the element for place 0 is; those for the
// next places follow it. Sums are those of gemm32: from 0, term by term, each
// rounded once; the bias is added at the end.

// Taps are the terms of the sums of a convolution.
type Taps struct {
	Offsets []int // of the elements of the input, at place 0
	Reach   int   // the greatest of them
	// Square is the side of a square of terms that follow each other: Square of
	// them side by side, and then those one row of the input further. 0: no such.
	Square int
}

// ConvTermsMost bounds the depth of a call of assembly; deeper sums are left to
// the plain loops.
const ConvTermsMost = 1 << 18

// ConvRows computes n places of rows of outputs:
//
//	y[r*span+j] = bias[r] + sum over k of w[r*pitch+k] * x[t.Offsets[k]+j]
func ConvRows(l Level, y []float32, span int, w []float32, pitch int, x []float32, t Taps, bias []float32, rows, n int) {
	depth := len(t.Offsets)
	if rows == 0 || n == 0 {
		return
	}
	if l != Go && 0 < depth && depth <= ConvTermsMost {
		_, _, _, _ = y[(rows-1)*span+n-1], w[(rows-1)*pitch+depth-1], x[t.Reach+n-1], bias[rows-1]
		convRows(l, y, span, w, pitch, x, t, bias, rows, n)
		return
	}
	for r := range rows {
		convRow(y[r*span:][:n], w[r*pitch:][:depth], x, t.Offsets, bias[r])
	}
}

// convRow is a row of ConvRows.
func convRow(y, w, x []float32, offsets []int, bias float32) {
	var sums [gemm32Cols]float32
	for j := 0; j < len(y); j += gemm32Cols {
		s := sums[:min(gemm32Cols, len(y)-j)]
		clear(s)
		for k, v := range w {
			a := float64(v)
			for i, e := range x[offsets[k]+j:][:len(s)] {
				s[i] = float32(sum(float64(s[i]), a*float64(e)))
			}
		}
		for i, v := range s {
			y[j+i] = bias + v
		}
	}
}

// PointStrips are the widths of the strips of outputs that ConvPointSums works on:
// the number of full ones, their width, and that of a last one, 0 for none.
func (l Level) PointStrips(outputs int) (full, width, last int) {
	lanes := l.Lanes()
	width = 64
	if l == AVX2 {
		width = 16
	}
	last = (outputs%width + lanes - 1) / lanes * lanes
	return outputs / width, width, last
}

// PackPoints lays weights, rows of depth for each output, out for ConvPointSums:
// strip after strip of outputs, in each the weights of term after term, and 0
// for the outputs that there are not. dst is a multiple of the level's lanes
// of outputs long.
func PackPoints(l Level, dst, w []float32, outputs int) {
	if outputs == 0 {
		return
	}
	depth := len(w) / outputs
	full, width, last := l.PointStrips(outputs)
	for o := 0; o < outputs; o += width {
		s := width
		if o == full*width {
			s = last
		}
		strip := dst[o*depth:][:s*depth]
		for u := range s {
			for k := range depth {
				v := float32(0)
				if o+u < outputs {
					v = w[(o+u)*depth+k]
				}
				strip[k*s+u] = v
			}
		}
	}
}

// ConvPointSums computes a strip of outputs, width of them, a width that
// PointStrips gives, at n places that are step apart in the input, by weights that
// PackPoints has laid out:
//
//	y[p*width+o] = bias[o] + sum over k of w[o, k] * x[p*step+t.Offsets[k]]
//
// It is for a level of vectors.
func ConvPointSums(l Level, y, x []float32, step int, t Taps, w, bias []float32, width, n int) {
	if n == 0 {
		return
	}
	_, _, _, _ = y[n*width-1], x[(n-1)*step+t.Reach], w[len(t.Offsets)*width-1], bias[width-1]
	convPointSums(l, y, x, step, t, w, bias, width, n)
}

// TurnSums takes what ConvPointSums has computed to where an output's results
// lie side by side, for the first keep outputs:
//
//	y[o*span+p] = sums[p*width+o]
func TurnSums(y []float32, span int, sums []float32, width, keep, n int) {
	if keep == 0 || n == 0 {
		return
	}
	if span == 1 {
		copy(y[:keep], sums)
		return
	}
	copySwapped(words(y), words(sums), 0, 0, Stride{keep, span, 1}, Stride{n, 1, width})
}
