package ops

import (
	"slices"
	"unsafe"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

// Operators that move elements without looking at them are written over the
// width of an element: 1, 2, 4, 8 or 16 bytes, or a string.

// byWidth has a function for each width.
type byWidth[F any] struct{ w1, w2, w4, w8, w16, str F }

// of finds the function for the elements of a type.
func (b *byWidth[F]) of(d onnx.DataType) F {
	switch d.Size() {
	case 1:
		return b.w1
	case 2:
		return b.w2
	case 4:
		return b.w4
	case 8:
		return b.w8
	case 16:
		return b.w16
	}
	return b.str
}

// wide is an element of 16 bytes.
type wide = [2]uint64

// cells gives a tensor's elements as words of their width, or strings.
func cells[T any](t *onnx.Tensor) []T {
	if t.DataType() == onnx.String {
		s := t.Strings()
		return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(s))), len(s))
	}
	b := t.ElementBytes()
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), t.Len())
}

// moveGrain is how many elements are worth a thread of their own.
const moveGrain = 1 << 15

// mover is what a node that moves elements keeps for a frame: the arguments of
// the copy that is being made, and lists that are used again.
type mover struct {
	c        *Ctx
	dst, src *onnx.Tensor
	to, from int
	dims     []kernel.Stride
	empty    bool
	cut      int // the dimension that threads divide
	unit     int // elements for each step along it
	f        func(lo, hi int)
	first    []kernel.Stride // dims of the call that has the first steps

	// What a plan says for tensors of the shape known.
	known   []int
	planned bool
	making  making
	place   int // where the output begins in the source

	takes    *taking
	shape    []int
	lists    [4][]int64
	places   []int
	maps     [][]int
	settings []sliceAxis
}

func moverOf(c *Ctx) *mover {
	m := Local[mover](c)
	m.c = c
	return m
}

// making is how an output is made of a tensor: all of it has the shape m.shape.
type making uint8

const (
	makeCopy making = iota // the copy m.dims from m.place on
	makePart               // so, or without one: its elements lie in one piece
	makeView               // all elements as they lie
	makeNone               // there are no elements
)

// plan begins a plan for tensors of a shape, which serves again where nothing
// else tells what the output is: a copy.
func (m *mover) plan(shape []int) {
	m.known = append(m.known[:0], shape...)
	m.planned, m.making, m.place = true, makeCopy, 0
}

// forgetPlan makes isPlanned false, for a plan that is not completed.
func (m *mover) forgetPlan() { m.planned = false }

// isPlanned reports whether the plan is for tensors of this shape.
func (m *mover) isPlanned(shape []int) bool { return m.planned && slices.Equal(m.known, shape) }

// cutOut makes output 0 of a tensor as the plan says.
func (m *mover) cutOut(x *onnx.Tensor) error {
	switch {
	case m.making == makeView:
		_, err := m.c.View(0, x, m.shape)
		return err
	case m.making == makePart && m.c.part(0, x, m.place, m.shape):
		return nil
	}
	y, err := m.c.New(0, x.DataType(), m.shape)
	if err != nil || m.making == makeNone {
		return err
	}
	return m.copy(y, 0, x, m.place)
}

// start begins a new copy, without dimensions.
func (m *mover) start() { m.dims, m.empty = m.dims[:0], false }

// add gives the copy a further dimension, within those that it has. One that
// continues the last one is joined to it.
func (m *mover) add(n, dst, src int) {
	switch {
	case n == 0:
		m.empty = true
		return
	case n == 1:
		return
	}
	if k := len(m.dims) - 1; k >= 0 && m.dims[k].Dst == n*dst && m.dims[k].Src == n*src {
		m.dims[k] = kernel.Stride{N: m.dims[k].N * n, Dst: dst, Src: src}
		return
	}
	m.dims = append(m.dims, kernel.Stride{N: n, Dst: dst, Src: src})
}

var copyLoops = byWidth[func(m *mover, to, from int, dims []kernel.Stride)]{
	copyLoop[uint8], copyLoop[uint16], copyLoop[uint32], copyLoop[uint64], copyLoop[wide], copyLoop[string],
}

func copyLoop[T any](m *mover, to, from int, dims []kernel.Stride) {
	kernel.CopyStrided(cells[T](m.dst), cells[T](m.src), to, from, dims)
}

// copy makes the copy, from element from of src to element to of dst.
func (m *mover) copy(dst *onnx.Tensor, to int, src *onnx.Tensor, from int) error {
	if m.empty {
		return nil
	}
	if len(m.dims) == 0 {
		m.dims = append(m.dims, kernel.Stride{N: 1, Dst: 1, Src: 1})
	}
	m.swap()
	total, last := 1, len(m.dims)-1
	m.cut = last
	for i, d := range m.dims {
		total *= d.N
		if i < last && (m.cut == last || d.N > m.dims[m.cut].N) {
			m.cut = i
		}
	}
	m.dst, m.to, m.src, m.from = dst, to, src, from
	n := m.dims[m.cut].N
	m.unit = total / n
	if m.f == nil {
		m.f = m.span
	}
	if total <= moveGrain {
		copyLoops.of(dst.DataType())(m, to, from, m.dims)
	} else {
		m.c.Parallel(n, max(1, moveGrain/m.unit), m.f)
	}
	m.dst, m.src = nil, nil
	return cancelled(m.c, total)
}

// swap brings the dimension along which the source is contiguous next to the
// innermost one, along which the destination is.
func (m *mover) swap() {
	last := len(m.dims) - 1
	if m.dims[last].Src == 1 || m.dims[last].Dst != 1 {
		return
	}
	for i, d := range m.dims[:last] {
		if d.Src == 1 {
			copy(m.dims[i:last], m.dims[i+1:last])
			m.dims[last-1] = d
			return
		}
	}
}

// span copies the steps lo..hi-1 along the dimension that is cut.
func (m *mover) span(lo, hi int) {
	var dims []kernel.Stride
	if lo == 0 { // one call alone has the first steps
		m.first = append(m.first[:0], m.dims...)
		dims = m.first
	} else {
		dims = slices.Clone(m.dims)
	}
	d := &dims[m.cut]
	loop := copyLoops.of(m.dst.DataType())
	block := max(1, 8*cancelEvery/m.unit)
	for ; lo < hi; lo += block {
		d.N = min(block, hi-lo)
		loop(m, m.to+lo*d.Dst, m.from+lo*d.Src, dims)
		if lo+block < hi && m.c.Err() != nil {
			return
		}
	}
}

// taking is a copy of runs whose places in the source are listed.
type taking struct {
	c        *Ctx
	dst, src *onnx.Tensor
	at       []int // where the runs begin, within a block of the source
	run      int   // elements of a run
	block    int   // elements of a block of the source
	f        func(lo, hi int)
}

var takeLoops = byWidth[func(t *taking, to, from int, at []int)]{
	takeLoop[uint8], takeLoop[uint16], takeLoop[uint32], takeLoop[uint64], takeLoop[wide], takeLoop[string],
}

func takeLoop[T any](t *taking, to, from int, at []int) {
	kernel.Take(cells[T](t.dst)[to:], cells[T](t.src)[from:], at, t.run)
}

// take copies, from each of outer blocks of the source, the runs of run
// elements that begin at the given places of the block. They fill dst.
func (m *mover) take(dst, src *onnx.Tensor, outer, block int, at []int, run int) error {
	if dst.Len() == 0 {
		return nil
	}
	if m.takes == nil {
		m.takes = &taking{}
		m.takes.f = m.takes.span
	}
	t := m.takes
	t.c, t.dst, t.src, t.at, t.run, t.block = m.c, dst, src, at, run, block
	m.c.Parallel(outer*len(at), max(1, moveGrain/run), t.f)
	t.dst, t.src, t.at = nil, nil, nil
	return cancelled(m.c, dst.Len())
}

// span copies the runs lo..hi-1 of the destination.
func (t *taking) span(lo, hi int) {
	loop := takeLoops.of(t.dst.DataType())
	most := max(1, 8*cancelEvery/t.run)
	for lo < hi {
		o, j := lo/len(t.at), lo%len(t.at)
		n := min(hi-lo, len(t.at)-j, most)
		loop(t, lo*t.run, o*t.block, t.at[j:j+n])
		if lo += n; lo < hi && n*t.run >= cancelEvery && t.c.Err() != nil {
			return
		}
	}
}

var fillLoops = byWidth[func(dst *onnx.Tensor, lo, hi int, v *onnx.Tensor)]{
	fillLoop[uint8], fillLoop[uint16], fillLoop[uint32], fillLoop[uint64], fillLoop[wide], fillLoop[string],
}

func fillLoop[T any](dst *onnx.Tensor, lo, hi int, v *onnx.Tensor) {
	kernel.Fill(cells[T](dst)[lo:hi], cells[T](v)[0])
}

// fillElements sets the elements of dst to the only one of v.
func fillElements(c *Ctx, dst, v *onnx.Tensor) error {
	loop := fillLoops.of(dst.DataType())
	const block = 16 * cancelEvery
	for lo := 0; lo < dst.Len(); lo += block {
		hi := min(lo+block, dst.Len())
		loop(dst, lo, hi, v)
		if hi < dst.Len() {
			if err := c.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// zeroElements sets the elements to zero, false or "".
func zeroElements(t *onnx.Tensor) {
	clear(t.Bytes())
	clear(t.Strings())
}

// sameMemory reports whether an output was laid over an input.
func sameMemory(a, b *onnx.Tensor) bool {
	return a.Len() > 0 && a.DataType() != onnx.String && &a.ElementBytes()[0] == &b.ElementBytes()[0]
}

// copyAll copies the elements of a tensor of the same size, unless they are
// the same memory.
func (m *mover) copyAll(dst, src *onnx.Tensor) error {
	if sameMemory(dst, src) {
		return nil
	}
	m.start()
	m.add(dst.Len(), 1, 1)
	return m.copy(dst, 0, src, 0)
}

// list reads integers of an int64 or int32 tensor of rank 1 (or 0). k is the
// place of the list in the mover, for those that must be converted.
func (m *mover) list(k int, v onnx.Value, name string) ([]int64, error) {
	t, ok := v.(*onnx.Tensor)
	if !ok || t == nil {
		return nil, onnx.Errorf(onnx.ErrType, "%s is no tensor", name)
	}
	if t.Rank() > 1 {
		return nil, onnx.Errorf(onnx.ErrShape, "%s has shape %v, want rank 1", name, append([]int(nil), t.Shape()...))
	}
	switch t.DataType() {
	case onnx.Int64:
		if t.Len() == 0 {
			return []int64{}, nil // nil is an absent one
		}
		return onnx.Elements[int64](t), nil
	case onnx.Int32:
		m.lists[k] = m.lists[k][:0]
		for _, x := range onnx.Elements[int32](t) {
			m.lists[k] = append(m.lists[k], int64(x))
		}
		return m.lists[k], nil
	}
	return nil, onnx.Errorf(onnx.ErrType, "%s is of type %v, want int64 or int32", name, t.DataType())
}

// indexError says that an index of an input is out of range. at counts the
// elements of the input in row-major order.
func indexError(name string, shape []int, at int, index int64, size int) error {
	pos := make([]int, len(shape))
	for i := len(shape) - 1; i >= 0; i-- {
		pos[i] = at % max(shape[i], 1)
		at /= max(shape[i], 1)
	}
	if size == 0 {
		return onnx.Errorf(onnx.ErrShape, "%s%v = %d, the axis has no elements", name, pos, index)
	}
	return onnx.Errorf(onnx.ErrShape, "%s%v = %d, want %d..%d", name, pos, index, -size, size-1)
}

// indexPlaces reads indices into an axis of the given size, and gives them
// multiplied by step.
func (m *mover) indexPlaces(t *onnx.Tensor, name string, size, step int) ([]int, error) {
	at, err := Scratch[int64](m.c, t.Len())
	if err != nil {
		return nil, err
	}
	places := intsOver(at)
	return places, placesOf(places, t, name, size, step)
}

// placesOf is indexPlaces into a list of that length.
func placesOf(places []int, t *onnx.Tensor, name string, size, step int) error {
	bad := -1
	switch t.DataType() {
	case onnx.Int64:
		bad = placeIndices(places, onnx.Elements[int64](t), size, step)
	case onnx.Int32:
		bad = placeIndices(places, onnx.Elements[int32](t), size, step)
	default:
		return onnx.Errorf(onnx.ErrType, "%s is of type %v, want int64 or int32", name, t.DataType())
	}
	if bad >= 0 {
		return indexError(name, t.Shape(), bad, indexAt(t, bad), size)
	}
	return nil
}

// intsOver uses memory for int64 as such for int.
func intsOver(b []int64) []int {
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*int)(unsafe.Pointer(&b[0])), len(b))
}

// placeIndices gives the first index that is out of range, -1 when there is none.
func placeIndices[T int32 | int64](places []int, index []T, size, step int) int {
	for j, v := range index {
		i := int64(v)
		if i < 0 {
			i += int64(size)
		}
		if uint64(i) >= uint64(size) {
			return j
		}
		places[j] = int(i) * step
	}
	return -1
}

// indexAt gives element i of an int32 or int64 tensor.
func indexAt(t *onnx.Tensor, i int) int64 {
	if t.DataType() == onnx.Int32 {
		return int64(onnx.Elements[int32](t)[i])
	}
	return onnx.Elements[int64](t)[i]
}

// mulSizes multiplies sizes of which none is negative; an error matches
// onnx.ErrShape.
func mulSizes(a int, b int64, what string) (int, error) {
	if b < 0 {
		return 0, onnx.Errorf(onnx.ErrShape, "%s is %d, want at least 0", what, b)
	}
	if a > 0 && b > int64(^uint(0)>>1)/int64(a) {
		return 0, onnx.Errorf(onnx.ErrShape, "%d times %s %d is too large", a, what, b)
	}
	return a * int(b), nil
}

// mergeDims gives the dimension that two which must agree have.
func mergeDims(a, b onnx.Dim) (onnx.Dim, error) {
	switch {
	case a.Known() && b.Known() && a.Value != b.Value:
		return a, onnx.Errorf(onnx.ErrShape, "%v against %v", a, b)
	case a.Known() || !b.Known() && a.Name != "":
		return a, nil
	}
	return b, nil
}
