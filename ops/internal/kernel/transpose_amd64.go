//go:build amd64 && !noasm

package kernel

import "unsafe"

// transposeVectors is copySwapped for elements of 4 bytes in blocks of 8 rows
// of 8. It reports whether it did anything: that takes AVX2, and at least one
// block.
func transposeVectors(dst, src []uint32, to, from int, row, col Stride) bool {
	rows, cols := row.N/8*8, col.N/8*8
	if len(levels) == 1 || rows == 0 || cols == 0 {
		return false
	}
	// Row r of dst is at to + r*row.Dst, and column c of it comes from
	// from + c*col.Src + r.
	last := to + (row.N-1)*row.Dst + col.N - 1
	_ = dst[last]
	_ = src[from+(col.N-1)*col.Src+row.N-1]
	for r := 0; r < rows; r += tile {
		high := min(tile, rows-r)
		for c := 0; c < cols; c += 8 {
			d, s := &dst[to+r*row.Dst+c], &src[from+r+c*col.Src]
			transpose8((*float32)(unsafe.Pointer(d)), row.Dst, (*float32)(unsafe.Pointer(s)), col.Src, high/8)
		}
	}
	for r := range row.N {
		c := cols
		if r >= rows {
			c = 0
		}
		a, at := dst[to+r*row.Dst:][:col.N], from+r+c*col.Src
		for ; c < col.N; c++ {
			a[c] = src[at]
			at += col.Src
		}
	}
	return true
}
