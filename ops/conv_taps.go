package ops

import (
	"fmt"
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

// Convolutions of float32 at a level of vectors read the input where it lies,
// or where it has padding, from a copy with that around it: a term of a sum is
// then at one distance from the first, whatever the place.

// pointWeights are the weights of each group, as kernel.PackPoints lays them
// out.
type pointWeights struct{ groups [][]float32 }

// packPoints is for Build: it lays constant weights out when a convolution
// first wants them so, which depends on the input; nil where they are no
// constants.
func packPoints(n *Node, group int64) *packed[pointWeights] {
	of := n.constants(1)
	if of == nil || of[0].DataType() != onnx.Float || of[0].Rank() < 3 || group < 1 || n.Level() == kernel.Go {
		return nil
	}
	w, level := of[0], n.Level()
	outputs := w.Shape()[0] / int(group)
	if outputs == 0 || w.Len() == 0 || w.Shape()[0]%int(group) != 0 {
		return nil
	}
	return newPackedLater(n, fmt.Sprintf("points of %d groups", group), func() *pointWeights {
		p := &pointWeights{make([][]float32, group)}
		data := onnx.Elements[float32](w)
		depth := w.Len() / w.Shape()[0]
		full, width, last := level.PointStrips(outputs)
		for g := range p.groups {
			p.groups[g] = make([]float32, (full*width+last)*depth)
			kernel.PackPoints(level, p.groups[g], data[g*outputs*depth:][:outputs*depth], outputs)
		}
		return p
	}, w)
}

// convTaps is a convolution of float32 whose terms are at fixed distances.
type convTaps struct {
	*convLocal[float32]
	terms  kernel.Taps // those of a place
	laid   []int       // what terms depend on: channels, plane, pitch, kernel and dilations
	key    []int
	pitch  []int // of the copy of the input with its padding: the distance of neighbours
	plane  int   // its size, of one channel
	room   []float32
	rest   int // how far apart rests of the stride lie in a dealt row
	dealt  int // the stride by which the copy's rows are dealt out: elements that are it apart lie side by side
	width  int // places of a row: those along the last dimension, or all
	rows   int
	wide   []float32 // the bias of a group, or zeros
	points [][]float32
	// What the threads work on: an image and a group; or shares of all planes.
	image, from int
	shares      int
	atATime     int // groups
	padded      bool
	index       []int

	doRows, doPoints, doPlanes func(lo, hi int)
}

// roomRatio bounds the copy of the input with its padding by the elements that
// there are anyway.
const roomRatio = 8

// roomMost bounds the elements of an image that is read where it lies.
const roomMost = 1 << 30

// tapped computes the convolution, unless another way is better for it.
func (l *convLocal[T]) tapped(c *Ctx, k *conv[T]) (done bool, err error) {
	f, ok := any(l).(*convLocal[float32])
	if !ok || k.level == kernel.Go || l.channels == 0 {
		return false, nil
	}
	t := &f.fast
	if t.convLocal == nil {
		t.convLocal = f
		t.doRows, t.doPoints, t.doPlanes = t.computeRows, t.computePoints, t.computePlanes
	}
	deep := l.deep()
	step := l.stride[len(l.in)-1]
	t.dealt = 1
	if deep || k.points == nil || t.dealingPays(k.level) {
		t.dealt = step
	}
	if !t.lay() {
		return false, nil
	}
	byRow := step == t.dealt
	byPoint := k.points != nil && !deep && t.dealt == 1 && t.pointsPay(k.level, byRow)
	if !byRow && !byPoint {
		return false, nil
	}
	t.bias(deep)
	if deep {
		return true, t.planes(c)
	}
	if byPoint {
		t.points = k.points.get().groups
	}
	return true, t.images(c, byPoint)
}

// lay works out the copy of the input, the rows of places and the taps; it
// reports false where they would be too large.
func (t *convTaps) lay() bool {
	rank := len(t.in)
	t.pitch, t.index = grow(t.pitch, rank), grow(t.index, 2*rank)
	padded := !t.inPlace()
	size := 1
	for d := rank - 1; d >= 0; d-- {
		t.pitch[d] = size
		n := t.in[d]
		if padded {
			n += t.begin[d] + t.end[d]
		}
		if d == rank-1 {
			n = ceilDiv(n, t.dealt) * t.dealt
			t.rest = n / t.dealt
		}
		if n == 0 || n > roomMost/size {
			return false
		}
		size *= n
	}
	t.plane = size
	depth, most := t.channels*t.taps, roomRatio*(t.inSize+t.outSize)
	if padded && size > most || size > roomMost/(t.channels*t.group) || depth > kernel.ConvTermsMost {
		return false
	}
	t.width = t.out[rank-1]
	if t.plain() {
		t.width = t.outSize
	}
	t.rows = t.outSize / t.width
	t.key = append(append(append(append(t.key[:0], t.channels, t.plane, t.dealt), t.pitch...), t.kernel...), t.dilate...)
	if slices.Equal(t.key, t.laid) {
		return true
	}
	t.laid = append(t.laid[:0], t.key...)
	t.terms.Offsets, t.terms.Reach, t.terms.Square = t.terms.Offsets[:0], 0, t.square()
	for i := range depth {
		split(t.index[:rank], t.kernel, i%t.taps)
		at := i / t.taps * size
		for d, tap := range t.index[:rank-1] {
			at += tap * t.dilate[d] * t.pitch[d]
		}
		along := t.index[rank-1] * t.dilate[rank-1]
		at += along%t.dealt*t.rest + along/t.dealt
		t.terms.Offsets = append(t.terms.Offsets, at)
		t.terms.Reach = max(t.terms.Reach, at)
	}
	return true
}

// square is the side of the kernel where its terms lie side by side and it is a
// square of one plane, 0 elsewhere.
func (t *convTaps) square() int {
	last := len(t.kernel) - 1
	if last < 1 || t.channels != 1 || t.dealt != 1 || t.dilate[last] != 1 || t.dilate[last-1] != 1 {
		return 0
	}
	side := t.kernel[last]
	if t.kernel[last-1] != side || t.taps != side*side {
		return 0
	}
	return side
}

// inPlace reports whether the input is read where it lies.
func (t *convTaps) inPlace() bool {
	if t.dealt > 1 {
		return false
	}
	for d := range t.in {
		if t.begin[d] != 0 || t.end[d] != 0 {
			return false
		}
	}
	return true
}

// bias makes the bias of all outputs, each group's as wide as vectors unless
// all are computed at a time.
func (t *convTaps) bias(deep bool) {
	wide := (t.outputs + 63) &^ 63
	if deep {
		wide = 1
	}
	if n := t.group * wide; cap(t.wide) < n {
		t.wide = make([]float32, n)
	} else {
		t.wide = t.wide[:n]
	}
	if t.b == nil {
		return
	}
	for g := range t.group {
		copy(t.wide[g*wide:], t.b[g*t.outputs:][:t.outputs])
	}
}

// images goes through the images, and their groups.
func (t *convTaps) images(c *Ctx, byPoint bool) error {
	padded := !t.inPlace()
	if padded {
		var err error
		if t.room, err = Scratch[float32](c, t.channels*t.plane); err != nil {
			return err
		}
		clear(t.room)
	}
	defer func() { t.room, t.points = nil, nil }()
	grain := grainOf(t.channels * t.taps * t.outSize)
	for i := range t.batch * t.group {
		t.image, t.from = i/t.group, i%t.group
		x := t.x[i*t.channels*t.inSize:][:t.channels*t.inSize]
		if padded {
			t.padPlanes(t.product.level, t.room, x, t.channels, t.index)
		} else {
			t.room = x
		}
		if byPoint {
			strips, batches := t.pointParts()
			c.Parallel(strips*batches, max(1, ceilDiv(grain*batches, pointOutputs)), t.doPoints)
		} else {
			c.Parallel(t.outputs, max(12, grain), t.doRows)
		}
		if err := c.Err(); err != nil {
			return err
		}
	}
	return nil
}

// padPlanes copies planes of the input to where they lie in room. index is room
// for indices.
func (t *convTaps) padPlanes(l Level, room, x []float32, planes int, index []int) {
	padPlanes(l, room, x, planes, t.plane, t.dealt, t.rest, t.in, t.begin, t.pitch, index)
}

// padPlanes copies planes of the given sizes to where they lie in room, whose
// planes are plane apart, behind low elements in each dimension. Rows are dealt
// out by a stride, rests of it rest apart. index is room for indices.
func padPlanes(l Level, room, x []float32, planes, plane, dealt, rest int, size, low, pitch, index []int) {
	last := len(size) - 1
	n := size[last]
	if n == 0 || len(x) == 0 {
		return
	}
	lines := kernel.Lines{Planes: planes, Rows: 1, N: n, Area: plane}
	outer := max(0, last-1) // dimensions of groups of rows that lie evenly apart
	if last > 0 {
		lines.Rows, lines.Pitch = size[last-1], pitch[last-1]
	}
	first := 0
	for d, b := range low[:last] {
		first += b * pitch[d]
	}
	per := len(x) / planes / n / lines.Rows
	if per == 1 {
		padLines(l, room[first:], x, lines, dealt, rest, low[last])
		return
	}
	lines.Planes = 1
	for p := range planes {
		for o := range per {
			at := p*plane + first
			split(index[:outer], size[:outer], o)
			for d, i := range index[:outer] {
				at += i * pitch[d]
			}
			padLines(l, room[at:], x, lines, dealt, rest, low[last])
			x = x[lines.Rows*n:]
		}
	}
}

// padLines copies lines, behind low elements each.
func padLines(l Level, to, x []float32, lines kernel.Lines, dealt, rest, low int) {
	switch dealt {
	case 1:
		kernel.PadRows(l, to[low:], x, lines)
	case 2:
		even, odd := low%2*rest+low/2, (low+1)%2*rest+(low+1)/2
		kernel.DealRows(l, to[even:], to[odd:], x, lines)
	default:
		for p := range lines.Planes {
			for r := range lines.Rows {
				deal(to[p*lines.Area+r*lines.Pitch:], x[:lines.N], dealt, rest, low)
				x = x[lines.N:]
			}
		}
	}
}

// deal copies a row, behind low elements, to where those that are dealt apart
// lie side by side.
func deal(to, row []float32, dealt, rest, low int) {
	for i := range min(dealt, len(row)) {
		at := low + i
		kernel.Gather(to[at%dealt*rest+at/dealt:][:ceilDiv(len(row)-i, dealt)], row[i:], dealt)
	}
}

// row is where row r of places begins in the input.
func (t *convTaps) row(r int) int {
	at := 0
	for d := len(t.out) - 2; d >= 0 && r > 0; d-- {
		at += r % t.out[d] * t.stride[d] * t.pitch[d]
		r /= t.out[d]
	}
	return at
}

// placesMost bounds the places of one call of a kernel, so that a run's context
// is looked at.
const placesMost = 1 << 12

// walk calls f for parts of the rows: the index of the input for the first
// place, that of the output, and the number of places.
func (t *convTaps) walk(f func(x, y, n int)) {
	step := t.stride[len(t.stride)-1] / t.dealt
	for r := range t.rows {
		x := t.row(r)
		for j := 0; j < t.width; j += placesMost {
			if t.c.Err() != nil {
				return
			}
			f(x+j*step, r*t.width+j, min(placesMost, t.width-j))
		}
	}
}

// computeRows computes outputs lo..hi-1 of the group.
func (t *convTaps) computeRows(lo, hi int) {
	depth := len(t.terms.Offsets)
	first := t.from*t.outputs + lo
	y := t.y[(t.image*t.group*t.outputs+first)*t.outSize:][:(hi-lo)*t.outSize]
	w, bias := t.w[first*depth:], t.wide[t.from*(len(t.wide)/t.group)+lo:]
	t.walk(func(x, at, n int) {
		kernel.ConvRows(t.product.level, y[at:], t.outSize, w, depth, t.room[x:], t.terms, bias, hi-lo, n)
	})
	t.activation.apply(y)
}
