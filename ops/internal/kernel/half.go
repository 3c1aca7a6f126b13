package kernel

import (
	"math"
	"sync"
)

// Weights of float16 take half the memory to read, which is what the product
// of a single row waits for. They are made float32 at use, which is exact, and
// the sums are those of MulAdd with the same weights, to the bit.

// halfRoom is how many weights are made float32 at a time for several rows:
// they stay in the first cache.
const halfRoom = 4096

// halfRows is up to how many rows it takes less time to make the weights float32
// in registers, again for each fewMost rows, than once in memory.
const halfRows = 12

var halfRooms = sync.Pool{New: func() any { return new([halfRoom]float32) }}

// MulAddHalf is MulAdd with weights of float16, whose panel is at most halfRoom
// wide.
func MulAddHalf(l Level, sums []float32, span int, a []float32, pitch, rows, depth int, w []uint16, width int) {
	if depth == 0 || rows == 0 {
		return
	}
	strip := l.Strip(width)
	if rows <= halfRows && l.HasHalf() && width%16 == 0 && depth <= depthMost {
		blocks := (rows + fewMost - 1) / fewMost
		for b, r := 0, 0; b < blocks; b++ {
			n := (rows - r) / (blocks - b)
			mulAddStripsHalf(l, sums[r*span:], strip, span, a[r*pitch:], pitch, n, depth, w, width/strip, strip)
			r += n
		}
		return
	}
	room := halfRooms.Get().(*[halfRoom]float32)
	defer halfRooms.Put(room)
	most := halfRoom / strip
	for u := 0; u < width; u += strip {
		for k := 0; k < depth; k += most {
			n := min(most, depth-k)
			wide := room[:n*strip]
			WidenHalf(l, wide, w[u*depth+k*strip:])
			MulAdd(l, sums[u:], span, a[k:], pitch, rows, n, wide, strip)
		}
	}
}

// MulAddPanelsHalf is MulAddPanels with weights of float16, in panels that are
// at most halfRoom wide.
func MulAddPanelsHalf(l Level, sums []float32, gap, span int, a []float32, pitch, rows, depth int, w []uint16, width, panels int) {
	if s := l.Strip(width); l.HasHalf() && 0 < rows && rows <= fewMost && depth > 0 && depth <= depthMost && panels > 0 && (s == width || gap == width) && width%16 == 0 {
		n := width / s
		mulAddStripsHalf(l, sums, gap/n, span, a, pitch, rows, depth, w, panels*n, s)
		return
	}
	for p := range panels {
		MulAddHalf(l, sums[p*gap:], span, a, pitch, rows, depth, w[p*depth*width:], width)
	}
}

// WidenHalf makes float32 of as many float16 as dst has room for.
func WidenHalf(l Level, dst []float32, src []uint16) {
	src = src[:len(dst)]
	i := 0
	if l.HasHalf() {
		i = widenHalf(l, dst, src)
	}
	for ; i < len(dst); i++ {
		dst[i] = wideOf(src[i])
	}
}

// wideOf is the float32 of a float16. A NaN stays one, and is quiet.
func wideOf(h uint16) float32 {
	sign, exponent, fraction := uint32(h&0x8000)<<16, uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exponent {
	case 0: // a multiple of 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	case 0x1f:
		if fraction != 0 {
			fraction |= 0x200
		}
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}
