package kernel

import "math"

// The loops of this file do many rows of float32 of one length n, which lie one
// after the other, at a level. What a row gives depends on its own elements
// alone. But for the exponentials every level gives the same bits.

// RowsMost is how many rows a call does at most.
const RowsMost = 128

// longRow is the length from which on a row goes through loops by itself, in
// pieces: assembly cannot be interrupted.
const longRow = 1 << 17

// noMeans are the means of sums of squares that are taken from zero.
var noMeans [RowsMost]float64

// SumRows sums the terms of each row in Lanes. Of Square the terms are
// (x-means[r])^2; without means, x^2.
func SumRows(l Level, t Term, dst []float64, x []float32, n int, means []float64) {
	x = x[:len(dst)*n]
	if means == nil {
		means = noMeans[:]
	}
	means = means[:len(dst)]
	if l != Go && len(x) > 0 && n < longRow {
		sumRows(t, dst, x, n, means)
		return
	}
	for r := range dst {
		row := x[r*n:][:n]
		var lanes Lanes
		lanes.Clear(t)
		switch t {
		case Value:
			AddValuesRow(l, &lanes, row)
		case Square:
			AddSquaresRow(l, &lanes, row, means[r])
		default:
			AddRow(t, &lanes, row, 0)
		}
		dst[r] = lanes.Sum(t)
	}
}

// MomentsRows gives the mean and the population variance of each row, NaN of no
// elements.
func MomentsRows(l Level, mean, variance []float64, x []float32, n int) {
	SumRows(l, Value, mean, x, n, nil)
	for r := range mean {
		mean[r] /= float64(n)
	}
	SumRows(l, Square, variance, x, n, mean)
	for r := range variance {
		variance[r] /= float64(n)
	}
}

// ExtremeRows gives the greatest element of each row, or the least; rows are not
// empty.
func ExtremeRows(l Level, dst, x []float32, n int, most bool) {
	x = x[:len(dst)*n]
	if l != Go && len(x) > 0 && n < longRow {
		extremeRows(l, dst, x, n, most)
		return
	}
	for r := range dst {
		row := x[r*n:][:n]
		dst[r] = extreme(l, row[0], row, most)
	}
}

// expPiece is the length of the pieces of a long row whose sums of exponentials
// are added one after the other.
const expPiece = 1 << 16

// ExpPiece is the length of the pieces in which exponentials of n elements are
// summed.
func ExpPiece(n int) int {
	if n < longRow {
		return n
	}
	return expPiece
}

// ExpRows is y = e^(x-m[r]) with the sums of it. Without y there are the sums
// alone. At a level of vectors a sum is that of ExpGroups.
func ExpRows(l Level, y, x []float32, n int, m []float32, sums []float64) {
	x, m = x[:len(sums)*n], m[:len(sums)]
	if y != nil {
		y = y[:len(x)]
	}
	if l != Go && len(x) > 0 && n < longRow {
		expRows(l, y, x, n, m, sums)
		return
	}
	for r := range sums {
		sums[r] = 0
		var row []float32
		if y != nil {
			row = y[r*n:][:n]
		}
		AddExpRow(l, row, x[r*n:][:n], m[r], &sums[r])
	}
}

// AddExpRow is ExpRows of a part of a row that begins at a piece; what its pieces
// sum to is added to sum, one after the other.
func AddExpRow(l Level, y, x []float32, m float32, sum *float64) {
	var piece [1]float64
	shift := [1]float32{m}
	for i := 0; i < len(x); i += expPiece {
		part := x[i:min(i+expPiece, len(x))]
		var e []float32
		if y != nil {
			e = y[i:][:len(part)]
		}
		if l == Go {
			piece[0] = plainExpRow(e, part, m)
		} else {
			expRows(l, e, part, len(part), shift[:], piece[:])
		}
		*sum += piece[0]
	}
}

// plainExpRow is y = e^(x-m); it gives the sum in Lanes.
func plainExpRow(y, x []float32, m float32) float64 {
	var lanes Lanes
	lanes.Clear(Exp1)
	for i, v := range x {
		e := Exp32(v - m)
		if y != nil {
			y[i] = e
		}
		lanes[i&7] += float64(e)
	}
	return lanes.Sum(Exp1)
}

// ExpGroups adds exponentials of rows of w columns to the lanes of the columns. Of
// the rows, as many as four vectors have elements are a group, and those that are
// at one place of their vectors are added as float32 first. The rows begin at a
// group.
func ExpGroups(l Level, c *Columns, e []float32, rows, stride, w int) {
	var sums [16 * Width]float32
	vector := l.Lanes()
	for first := 0; first < rows; first += 4 * vector {
		places := min(vector, rows-first)
		for place := range places {
			sum := sums[place*w:][:w]
			copy(sum, e[(first+place)*stride:])
			for r := first + place + vector; r < min(first+4*vector, rows); r += vector {
				AddVector(l, sum, sum, e[r*stride:])
			}
		}
		AddColumnRows(l, Value, c, sums[:], places, w, w)
	}
}

// rowMap is a function of the elements of rows.
type rowMap int

const (
	mapScaleRows rowMap = iota
	mapAffineRows
	mapNormChannels
	mapLogRows
)

// ScaleRows is dst = x*f[r].
func ScaleRows(l Level, dst, x []float32, n int, f []float32) {
	x, dst = x[:len(f)*n], dst[:len(f)*n]
	if l != Go && len(x) > 0 && n < longRow {
		mapRows(mapScaleRows, l, dst, x, n, f, nil, nil, nil)
		return
	}
	for r, v := range f {
		MulVectorVS(l, dst[r*n:][:n], x[r*n:], v)
	}
}

// AffineChannels is dst = x*f[r] + o[r]; the product is rounded before the sum.
func AffineChannels(l Level, dst, x []float32, n int, f, o []float32) {
	x, dst, o = x[:len(f)*n], dst[:len(f)*n], o[:len(f)]
	if l != Go && len(x) > 0 && n < longRow {
		mapRows(mapAffineRows, l, dst, x, n, f, o, nil, nil)
		return
	}
	for r, v := range f {
		AffineRow(l, dst[r*n:][:n], x[r*n:], v, o[r])
	}
}

// NormChannels is dst = (x-mean[r])*inv[r]*scale[r] + bias[r]; each operation is
// rounded.
func NormChannels(l Level, dst, x []float32, n int, mean, inv, scale, bias []float32) {
	rows := len(mean)
	x, dst = x[:rows*n], dst[:rows*n]
	inv, scale, bias = inv[:rows], scale[:rows], bias[:rows]
	if l != Go && len(x) > 0 && n < longRow {
		mapRows(mapNormChannels, l, dst, x, n, mean, inv, scale, bias)
		return
	}
	for r := range rows {
		y := dst[r*n:][:n]
		StandardizeRow(l, y, x[r*n:], mean[r], inv[r])
		AffineRow(l, y, y, scale[r], bias[r])
	}
}

// NormRows is dst = (x-mean[r])*inv[r]*scale + bias, with elements of scale and
// bias that all rows have in common; each operation is rounded. bias may be nil.
func NormRows(l Level, dst, x []float32, n int, mean, inv, scale, bias []float32) {
	rows := len(mean)
	x, dst = x[:rows*n], dst[:rows*n]
	inv, scale = inv[:rows], scale[:n]
	if bias != nil {
		bias = bias[:n]
	}
	if l != Go && len(x) > 0 && n < longRow {
		normRows(l, dst, x, n, mean, inv, scale, bias)
		return
	}
	for r := range rows {
		y := dst[r*n:][:n]
		StandardizeRow(l, y, x[r*n:], mean[r], inv[r])
		if bias == nil {
			MulVector(l, y, y, scale)
		} else {
			AffineVector(l, y, y, scale, bias)
		}
	}
}

// AddRows is dst = x + e of rows as long as e, one after the other.
func AddRows(l Level, dst, x, e []float32) {
	if n := len(e); n > 0 && 2*n <= len(dst) && 2*n <= rowBlock/2 {
		addShortRows(l, dst, x, e)
		return
	}
	addEach(l, dst, x, e)
}

// addShortRows is AddRows with e so many times that a row of it is worth a call.
func addShortRows(l Level, dst, x, e []float32) {
	var room [rowBlock / 2]float32
	n := len(e)
	rows := room[:min(len(room), len(dst))/n*n]
	copy(rows, e)
	for ; n < len(rows); n *= 2 {
		copy(rows[n:], rows[:n])
	}
	addEach(l, dst, x, rows)
}

func addEach(l Level, dst, x, e []float32) {
	for len(dst) > 0 {
		n := min(len(e), len(dst))
		AddVector(l, dst[:n], x, e[:n])
		dst, x = dst[n:], x[n:]
	}
}

// LogSoftmaxRows is dst = x - m[r] - log[r]; each operation is rounded.
func LogSoftmaxRows(l Level, dst, x []float32, n int, m, log []float32) {
	x, dst, log = x[:len(m)*n], dst[:len(m)*n], log[:len(m)]
	if l != Go && len(x) > 0 && n < longRow {
		mapRows(mapLogRows, l, dst, x, n, m, log, nil, nil)
		return
	}
	for r := range m {
		LogSoftmaxRow(dst[r*n:][:n], x[r*n:], m[r], log[r])
	}
}

// AddColumnRows adds the terms of rows of w columns, which continue them at a
// multiple of 8 and lie stride elements apart, to the lanes of the columns. The
// term is Value, Square or Abs1.
func AddColumnRows(l Level, t Term, c *Columns, x []float32, rows, stride, w int) {
	if rows == 0 || w == 0 {
		return
	}
	x = x[:(rows-1)*stride+w]
	done := 0
	if l != Go {
		done = addColumnRows(t, c, x, rows, stride, w, 0)
	}
	if done < w {
		c.addRows(t, x, rows, stride, done, w)
	}
}

// SumColumns is AddColumnRows of all rows of w columns, and sums them.
func SumColumns(l Level, t Term, c *Columns, x []float32, rows, stride, w int) {
	done := 0
	if l != Go && rows > 0 && w > 0 {
		x = x[:(rows-1)*stride+w]
		done = addColumnRows(t, c, x, rows, stride, w, 1)
	}
	if done < w {
		c.clear(t, rows, done, w)
		c.addRows(t, x, rows, stride, done, w)
		c.sum(t, rows, done, w)
	}
}

// addRows adds the terms of columns from..to-1 of rows.
func (c *Columns) addRows(t Term, x []float32, rows, stride, from, to int) {
	for r := range rows {
		lane, row := c[r&7][from:to], x[r*stride+from:]
		switch t {
		case Value:
			for j := range lane {
				lane[j] += float64(row[j])
			}
		case Square:
			for j := range lane {
				f := float64(row[j])
				lane[j] += float64(f * f) // the conversion forbids a fused multiply-add
			}
		default:
			for j := range lane {
				lane[j] += math.Abs(float64(row[j]))
			}
		}
	}
}

// ExpColumnRows is y = e^(x-m[j]) of rows of len(m) columns, which lie stride apart.
func ExpColumnRows(l Level, y, x []float32, rows, strideY, strideX int, m []float32) {
	if rows == 0 || len(m) == 0 {
		return
	}
	y, x = y[:(rows-1)*strideY+len(m)], x[:(rows-1)*strideX+len(m)]
	done := 0
	if l != Go {
		done = expColumns(l, y, x, rows, strideY, strideX, m)
	}
	if done == len(m) {
		return
	}
	for r := range rows {
		row := y[r*strideY+done:][:len(m)-done]
		SubVector(l, row, x[r*strideX+done:], m[done:])
		Exp(l, row, row)
	}
}
