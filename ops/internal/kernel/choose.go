package kernel

// The loops of this file are those without Vector in their name, at any level,
// and give the same bits.

// Comparison is a way to compare.
type Comparison int

// The comparisons; only the second is true of NaN.
const (
	IsEqual Comparison = iota
	IsUnequal
	IsLess
	IsLessOrEqual
	IsGreater
	IsGreaterOrEqual
)

// Comparable are the types whose comparisons have vectors.
type Comparable interface{ float32 | int32 | int64 }

// CompareVector is dst = a how b.
func CompareVector[T Comparable](l Level, how Comparison, dst []bool, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	i := compareVector(l, how, dst, a, b, 1)
	dst, a, b = dst[i:], a[i:], b[i:]
	switch how {
	case IsEqual:
		Equal(dst, a, b)
	case IsUnequal:
		for i := range dst {
			dst[i] = a[i] != b[i]
		}
	case IsLess:
		Less(dst, a, b)
	case IsLessOrEqual:
		LessOrEqual(dst, a, b)
	case IsGreater:
		Greater(dst, a, b)
	default:
		GreaterOrEqual(dst, a, b)
	}
}

// CompareVectorVS is dst = a how s.
func CompareVectorVS[T Comparable](l Level, how Comparison, dst []bool, a []T, s T) {
	a = a[:len(dst)]
	i := 0
	if l != Go && len(dst) >= l.Lanes() {
		var block [scalarBlock]T
		Fill(block[:], s)
		i = compareVector(l, how, dst, a, block[:], 0)
	}
	dst, a = dst[i:], a[i:]
	switch how {
	case IsEqual:
		EqualVS(dst, a, s)
	case IsUnequal:
		for i, v := range a {
			dst[i] = v != s
		}
	case IsLess:
		LessVS(dst, a, s)
	case IsLessOrEqual:
		LessOrEqualVS(dst, a, s)
	case IsGreater:
		GreaterVS(dst, a, s)
	default:
		GreaterOrEqualVS(dst, a, s)
	}
}

// scalarBlock is how often a scalar operand is repeated for the loops of vectors.
const scalarBlock = 64

// WhereVector is Where.
func WhereVector[T any](l Level, dst []T, cond []bool, x, y []T, maskC, maskX, maskY int) {
	if l != Go && maskC == -1 && len(dst) >= l.Lanes() {
		var blockX, blockY [scalarBlock]T
		vx, vy := x, y
		if maskX == 0 {
			vx = blockX[:]
			Fill(vx, x[0])
		}
		if maskY == 0 {
			vy = blockY[:]
			Fill(vy, y[0])
		}
		i := whereVector(l, dst, cond, vx, vy, -maskX, -maskY)
		dst, cond, x, y = dst[i:], cond[i:], x[i&maskX:], y[i&maskY:]
		if len(dst) == 0 {
			return
		}
	}
	Where(dst, cond, x, y, maskC, maskX, maskY)
}

// Conversion is a conversion whose loops have vectors.
type Conversion int

// The conversions.
const (
	FloatsToInts32 Conversion = iota
	FloatsToInts64
	FloatsToBytes
	FloatsToHalves
	FloatsToDoubles
	DoublesToFloats
	HalvesToFloats
	Ints32ToFloats
	Ints32ToInts64
	Ints64ToFloats
	Ints64ToInts32
	BytesToFloats
	BytesToInts64
)

// ConvertVector is a conversion, of which plain is the loop.
func ConvertVector[F, T any](l Level, c Conversion, plain func(dst []T, src []F), dst []T, src []F) {
	src = src[:len(dst)]
	i := convertVector(l, c, dst, src)
	plain(dst[i:], src[i:])
}
