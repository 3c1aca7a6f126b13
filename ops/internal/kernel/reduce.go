package kernel

import (
	"math"
	"unsafe"
)

// Sums are accumulated in float64 in 8 lanes: element r of the reduced axis
// goes to lane r mod 8, each lane in the order of r, and the lanes are added as
// ((0+4)+(2+6)) + ((1+5)+(3+7)). So the order depends on the number of
// elements alone, and it is the same whether the elements lie together (a row)
// or apart (a column). Lanes start at -0, which changes no other summand.
// Exponentials of float32 at a level of vectors are added as ExpGroups says.

// Term says what a lane sums of each element x.
type Term int

// The terms. Product is no sum: lane 0 multiplies all elements in order.
const (
	Value   Term = iota // x
	Square              // x*x
	Abs1                // |x|
	Exp1                // e^(x-m)
	Product             // x, multiplied
)

// Width is how many columns a block of Columns has at most.
const Width = 64

// Lanes are the partial sums of one row.
type Lanes [8]float64

// Columns are the partial sums of up to Width columns, lane by lane.
type Columns [8][Width]float64

var negZero = math.Copysign(0, -1)

// start gives the value that leaves the first summand or factor as it is.
func (t Term) start() float64 {
	if t == Product {
		return 1
	}
	return negZero
}

// Clear starts a row.
func (l *Lanes) Clear(t Term) {
	for i := range l {
		l[i] = t.start()
	}
}

// Sum ends a row.
func (l *Lanes) Sum(t Term) float64 {
	if t == Product {
		return l[0]
	}
	return ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]))
}

// AddRow adds the terms of x, which continues a row at a multiple of 8, to the
// lanes: l[i mod 8] += term(x[i]).
func AddRow[T Number](t Term, l *Lanes, x []T, m float64) {
	switch t {
	case Value:
		addValues(l, x)
	case Square:
		for i, v := range x {
			f := float64(v)
			l[i&7] += float64(f * f) // the conversion forbids a fused multiply-add
		}
	case Abs1:
		for i, v := range x {
			l[i&7] += math.Abs(float64(v))
		}
	case Exp1:
		for i, v := range x {
			l[i&7] += expOf(v, m)
		}
	case Product:
		p := l[0]
		for _, v := range x {
			p *= float64(v)
		}
		l[0] = p
	}
}

func addValues[T Number](l *Lanes, x []T) {
	a, b, c, d, e, f, g, h := l[0], l[1], l[2], l[3], l[4], l[5], l[6], l[7]
	for ; len(x) >= 8; x = x[8:] {
		v := x[:8:8]
		a += float64(v[0])
		b += float64(v[1])
		c += float64(v[2])
		d += float64(v[3])
		e += float64(v[4])
		f += float64(v[5])
		g += float64(v[6])
		h += float64(v[7])
	}
	*l = Lanes{a, b, c, d, e, f, g, h}
	for i, v := range x {
		l[i] += float64(v)
	}
}

// expOf is e^(x-m) for x <= m, within 1e-9 of itself for elements of 4 bytes.
func expOf[T Number](x T, m float64) float64 {
	d := float64(x) - m
	if unsafe.Sizeof(x) > 4 || d > 0 || d < -700 || d != d {
		return math.Exp(d)
	}
	s, p := expm1(d)
	return s + s*p
}

// Clear starts w columns of red elements each; with none they are ended, too.
func (c *Columns) Clear(t Term, red, w int) { c.clear(t, red, 0, w) }

func (c *Columns) clear(t Term, red, from, to int) {
	first, start := c[0][from:to], t.start()
	for j := range first {
		first[j] = start
	}
	for l := 1; l < min(red, len(c)); l++ {
		copy(c[l][from:to], first)
	}
}

// Sum ends the columns; their sums are c[0][:w].
func (c *Columns) Sum(t Term, red, w int) { c.sum(t, red, 0, w) }

func (c *Columns) sum(t Term, red, from, end int) {
	if t == Product {
		return
	}
	for half := 4; half >= 1; half /= 2 {
		for l := half; l < min(2*half, red); l++ {
			to, from := c[l-half][from:end], c[l][from:end]
			for j := range to {
				to[j] += from[j]
			}
		}
	}
}

// AddColumns adds the terms of element r of each column: c[r mod 8][j] +=
// term(x[j]). m has a value for each column where the term wants it.
func AddColumns[T Number](t Term, c *Columns, r int, x []T, m *[Width]float64) {
	lane := c[r&7][:len(x)]
	switch t {
	case Value:
		for j, v := range x {
			lane[j] += float64(v)
		}
	case Square:
		for j, v := range x {
			f := float64(v)
			lane[j] += float64(f * f)
		}
	case Abs1:
		for j, v := range x {
			lane[j] += math.Abs(float64(v))
		}
	case Exp1:
		for j, v := range x {
			lane[j] += expOf(v, m[j])
		}
	case Product:
		lane = c[0][:len(x)]
		for j, v := range x {
			lane[j] *= float64(v)
		}
	}
}

// Fold says how elements are combined in their own type.
type Fold int

// The folds. Integers wrap; floating-point elements are only compared, and NaN
// wins.
const (
	FoldSum Fold = iota
	FoldSquare
	FoldAbs
	FoldProduct
	FoldMax
	FoldMin
)

// FoldRow combines acc with the elements of x.
func FoldRow[T Number](f Fold, acc T, x []T) T {
	switch f {
	case FoldSum:
		for _, v := range x {
			acc += v
		}
	case FoldSquare:
		for _, v := range x {
			acc += v * v
		}
	case FoldAbs:
		for _, v := range x {
			if v < 0 {
				v = -v
			}
			acc += v
		}
	case FoldProduct:
		for _, v := range x {
			acc *= v
		}
	case FoldMax:
		for _, v := range x {
			acc = max(acc, v)
		}
	case FoldMin:
		for _, v := range x {
			acc = min(acc, v)
		}
	}
	return acc
}

// FoldColumns combines acc[j] with x[j].
func FoldColumns[T Number](f Fold, acc, x []T) {
	acc = acc[:len(x)]
	switch f {
	case FoldSum:
		for j, v := range x {
			acc[j] += v
		}
	case FoldSquare:
		for j, v := range x {
			acc[j] += v * v
		}
	case FoldAbs:
		for j, v := range x {
			if v < 0 {
				v = -v
			}
			acc[j] += v
		}
	case FoldProduct:
		for j, v := range x {
			acc[j] *= v
		}
	case FoldMax:
		for j, v := range x {
			acc[j] = max(acc[j], v)
		}
	case FoldMin:
		for j, v := range x {
			acc[j] = min(acc[j], v)
		}
	}
}

// Beyond reports whether v comes before best in the search for a maximum, or
// with least for a minimum. NaN comes before everything but NaN; last lets
// equals come before, so that the last one is found.
func Beyond[T Number](v, best T, least, last bool) bool {
	if v != v {
		return last || best == best
	}
	if last && v == best {
		return true
	}
	if least {
		return v < best
	}
	return v > best
}

// ArgRow finds the position of the greatest or least element of x, which is
// not empty.
func ArgRow[T Number](x []T, least, last bool) int {
	at := 0
	for i, v := range x[1:] {
		if Beyond(v, x[at], least, last) {
			at = i + 1
		}
	}
	return at
}

// RunningSum adds an element to each of some running sums: acc[j] += x[j], and
// y[j] is the sum after it, or if exclusive, before it.
func RunningSum[T, A Number](acc []A, y, x []T, exclusive bool) {
	y, x = y[:len(acc)], x[:len(acc)]
	for j, a := range acc {
		s := a + A(x[j])
		acc[j] = s
		if exclusive {
			s = a
		}
		y[j] = T(s)
	}
}

// RunningProduct is RunningSum for products.
func RunningProduct[T, A Number](acc []A, y, x []T, exclusive bool) {
	y, x = y[:len(acc)], x[:len(acc)]
	for j, a := range acc {
		s := a * A(x[j])
		acc[j] = s
		if exclusive {
			s = a
		}
		y[j] = T(s)
	}
}
