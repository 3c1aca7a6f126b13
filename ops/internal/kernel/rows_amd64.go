//go:build amd64 && !noasm

package kernel

// The sums of every level are of 256 bits.

func sumRows(t Term, dst []float64, x []float32, n int, means []float64) {
	switch t {
	case Value:
		sumValuesRowsAVX2(&dst[0], &x[0], len(dst), n, &means[0])
	case Square:
		sumSquaresRowsAVX2(&dst[0], &x[0], len(dst), n, &means[0])
	default:
		sumMagnitudesRowsAVX2(&dst[0], &x[0], len(dst), n, &means[0])
	}
}

func extremeRows(l Level, dst, x []float32, n int, most bool) {
	switch {
	case most && l == AVX2:
		greatestRowsAVX2(&dst[0], &x[0], len(dst), n)
	case most:
		greatestRowsAVX512(&dst[0], &x[0], len(dst), n)
	case l == AVX2:
		leastRowsAVX2(&dst[0], &x[0], len(dst), n)
	default:
		leastRowsAVX512(&dst[0], &x[0], len(dst), n)
	}
}

func expRows(l Level, y, x []float32, n int, m []float32, sums []float64) {
	switch {
	case y == nil && l == AVX2:
		expSumRowsAVX2(&x[0], len(sums), n, &m[0], &sums[0])
	case y == nil:
		expSumRowsAVX512(&x[0], len(sums), n, &m[0], &sums[0])
	case l == AVX2:
		expRowsAVX2(&y[0], &x[0], len(sums), n, &m[0], &sums[0])
	default:
		expRowsAVX512(&y[0], &x[0], len(sums), n, &m[0], &sums[0])
	}
}

func mapRows(f rowMap, l Level, dst, x []float32, n int, a, b, c, d []float32) {
	switch {
	case f == mapScaleRows && l == AVX2:
		scaleRowsAVX2(&dst[0], &x[0], len(a), n, &a[0])
	case f == mapScaleRows:
		scaleRowsAVX512(&dst[0], &x[0], len(a), n, &a[0])
	case f == mapAffineRows && l == AVX2:
		affineRowsAVX2(&dst[0], &x[0], len(a), n, &a[0], &b[0])
	case f == mapAffineRows:
		affineRowsAVX512(&dst[0], &x[0], len(a), n, &a[0], &b[0])
	case f == mapLogRows && l == AVX2:
		logRowsAVX2(&dst[0], &x[0], len(a), n, &a[0], &b[0])
	case f == mapLogRows:
		logRowsAVX512(&dst[0], &x[0], len(a), n, &a[0], &b[0])
	case l == AVX2:
		normChannelsAVX2(&dst[0], &x[0], len(a), n, &a[0], &b[0], &c[0], &d[0])
	default:
		normChannelsAVX512(&dst[0], &x[0], len(a), n, &a[0], &b[0], &c[0], &d[0])
	}
}

func normRows(l Level, dst, x []float32, n int, mean, inv, scale, bias []float32) {
	switch {
	case bias == nil && l == AVX2:
		normScaleRowsAVX2(&dst[0], &x[0], len(mean), n, &mean[0], &inv[0], &scale[0])
	case bias == nil:
		normScaleRowsAVX512(&dst[0], &x[0], len(mean), n, &mean[0], &inv[0], &scale[0])
	case l == AVX2:
		normAffineRowsAVX2(&dst[0], &x[0], len(mean), n, &mean[0], &inv[0], &scale[0], &bias[0])
	default:
		normAffineRowsAVX512(&dst[0], &x[0], len(mean), n, &mean[0], &inv[0], &scale[0], &bias[0])
	}
}

// addColumnRows does whole strips of columns, and gives how many columns it did.
// Where whole is 1 it begins and ends them.
func addColumnRows(t Term, c *Columns, x []float32, rows, stride, w, whole int) int {
	strips, narrow := w/16, w%16/4
	switch {
	case strips+narrow == 0:
	case t == Value:
		sumValuesColumnsAVX2(&c[0][0], &x[0], rows, stride, strips, narrow, whole)
	case t == Square:
		sumSquaresColumnsAVX2(&c[0][0], &x[0], rows, stride, strips, narrow, whole)
	default:
		sumMagnitudesColumnsAVX2(&c[0][0], &x[0], rows, stride, strips, narrow, whole)
	}
	return 16*strips + 4*narrow
}

// expColumns does whole vectors of the rows, and gives how many columns it did.
func expColumns(l Level, y, x []float32, rows, strideY, strideX int, m []float32) int {
	n := len(m) / l.Lanes()
	switch {
	case n == 0:
	case l == AVX2:
		expColumnsAVX2(&y[0], &x[0], rows, strideY, strideX, n, &m[0])
	default:
		expColumnsAVX512(&y[0], &x[0], rows, strideY, strideX, n, &m[0])
	}
	return n * l.Lanes()
}
