//go:build amd64 && !noasm

package kernel

import "unsafe"

// pair computes a block of rows, no more than stripRows.
func pair(form pairForm, width int, sums []float32, span int, bias []float32, rows int, x, h Factor) {
	s, b := &sums[0], &bias[0]
	a, v, c, w := unsafe.SliceData(x.A), unsafe.SliceData(x.W), unsafe.SliceData(h.A), unsafe.SliceData(h.W)
	switch {
	case form == pairGRU:
		mulAddPairGRUAVX512(s, span, b, a, x.Pitch, x.Depth, v, c, h.Pitch, h.Depth, w, rows)
	case form == pairReset:
		mulAddPairResetAVX512(s, span, b, a, x.Pitch, x.Depth, v, c, h.Pitch, h.Depth, w, rows)
	case width == 16:
		mulAddPair16AVX512(s, span, b, a, x.Pitch, x.Depth, v, c, h.Pitch, h.Depth, w, rows)
	case width == 32:
		mulAddPair32AVX512(s, span, b, a, x.Pitch, x.Depth, v, c, h.Pitch, h.Depth, w, rows)
	case width == 64:
		mulAddPair64AVX512(s, span, b, a, x.Pitch, x.Depth, v, c, h.Pitch, h.Depth, w, rows)
	}
}
