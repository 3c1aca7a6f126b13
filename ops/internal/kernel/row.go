package kernel

// The loops of this file walk through a row of float32 at a level of vectors;
// the bits are those of plain Go, but for the exponentials.

// rowBlock is how many elements pass through several loops while they are in
// the cache.
const rowBlock = 1024

// StandardizeRow is Standardize.
func StandardizeRow(l Level, y, x []float32, mean, factor float32) {
	for i := 0; i < len(y); i += rowBlock {
		b := y[i:min(i+rowBlock, len(y))]
		SubVectorVS(l, b, x[i:], mean)
		MulVectorVS(l, b, b, factor)
	}
}

// AffineRow is Affine.
func AffineRow(l Level, y, x []float32, factor, offset float32) {
	for i := 0; i < len(y); i += rowBlock {
		b := y[i:min(i+rowBlock, len(y))]
		MulVectorVS(l, b, x[i:], factor)
		AddVectorVS(l, b, b, offset)
	}
}

// AffineVector is AffineRows.
func AffineVector(l Level, y, x, factor, offset []float32) {
	for i := 0; i < len(y); i += rowBlock {
		b := y[i:min(i+rowBlock, len(y))]
		MulVector(l, b, x[i:], factor[i:])
		AddVector(l, b, b, offset[i:])
	}
}

// ArgVector is ArgRow.
func ArgVector(l Level, x []float32, least, last bool) int {
	if l == Go || len(x) < l.Lanes() {
		return ArgRow(x, least, last)
	}
	best, done, ok := extremeVector(l, x, !least)
	for _, v := range x[done:] {
		ok = ok && v == v
		if least && v < best || !least && v > best {
			best = v
		}
	}
	if !ok {
		return ArgRow(x, least, last)
	}
	if last {
		for i := len(x) - 1; i > 0; i-- {
			if x[i] == best {
				return i
			}
		}
		return 0
	}
	for i, v := range x {
		if v == best {
			return i
		}
	}
	return 0
}
