package ops

import (
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

// BroadcastShapes gives the shape that ONNX's multidirectional broadcasting
// makes of several, with symbols kept: a dimension of 1 yields to any other,
// two known ones must agree, and an unknown one against a known one above 1
// is that one. The result is nil when the rank of any is unknown.
func BroadcastShapes(shapes ...onnx.Shape) (onnx.Shape, error) {
	rank := 0
	for _, s := range shapes {
		if !s.Ranked() {
			return nil, nil
		}
		rank = max(rank, len(s))
	}
	out := make(onnx.Shape, rank)
	for i := range out {
		out[i] = onnx.Fixed(1)
	}
	for _, s := range shapes {
		for j, d := range s {
			o := &out[rank-len(s)+j]
			switch {
			case d.Known() && d.Value == 1 || d.Same(*o):
			case o.Known() && o.Value == 1:
				*o = d
			case d.Known() && o.Known():
				return nil, onnx.Errorf(onnx.ErrShape, "shapes %v cannot be broadcast together: %v against %v in dimension %d", shapes, o, d, rank-len(s)+j)
			case d.Known():
				*o = d
			case o.Known():
			default:
				*o = onnx.UnknownDim
			}
		}
	}
	return out, nil
}

// Broadcast gives the shape that broadcasting makes of the shapes of tensors,
// appended to dst[:0].
func Broadcast(dst []int, tensors ...*onnx.Tensor) ([]int, error) {
	rank := 0
	for _, t := range tensors {
		rank = max(rank, t.Rank())
	}
	dst = dst[:0]
	for i := range rank {
		d := 1
		for _, t := range tensors {
			j := i - rank + t.Rank()
			if j < 0 {
				continue
			}
			switch n := t.Shape()[j]; {
			case n == 1 || n == d:
			case d == 1:
				d = n
			default:
				return nil, onnx.Errorf(onnx.ErrShape, "shapes cannot be broadcast together: %d against %d in dimension %d of %d", d, n, i, rank)
			}
		}
		dst = append(dst, d)
	}
	return dst, nil
}

// broadcastTo is Broadcast of two shapes; the result is in dst's memory.
func broadcastTo(dst, s []int) ([]int, error) {
	rank := len(dst)
	for range len(s) - rank {
		dst = append(dst, 1)
	}
	lead := len(dst) - rank
	copy(dst[lead:], dst[:rank])
	for i := range lead {
		dst[i] = 1
	}
	lead = len(dst) - len(s)
	for i, n := range s {
		switch d := &dst[lead+i]; {
		case n == 1 || n == *d:
		case *d == 1:
			*d = n
		default:
			return nil, onnx.Errorf(onnx.ErrShape, "shapes cannot be broadcast together: %d against %d in dimension %d of %d", *d, n, lead+i, len(dst))
		}
	}
	return dst, nil
}

// walk goes through the elements of a result in row-major order, with the
// places that they have in up to three operands that are broadcast to it.
// Neighbouring dimensions that behave alike are taken as one, so that most
// walks are of one or two.
type walk struct {
	n    int       // elements of the result
	dims []walkDim // innermost first; none has size 1 unless it is the only one
}

type walkDim struct {
	size   int
	stride [3]int // of each operand, in elements: 0 where it is broadcast
}

// set prepares the walk for operands that are broadcast to shape. tail is the
// number of dimensions of size 1 that the second one's shape lacks at its end.
func (w *walk) set(shape []int, tail int, operands ...*onnx.Tensor) {
	w.n, w.dims = 1, w.dims[:0]
	step := [3]int{1, 1, 1} // elements of the operand in the dimensions so far
	for i := 1; i <= len(shape); i++ {
		size := shape[len(shape)-i]
		w.n *= size
		if size == 1 {
			continue
		}
		d := walkDim{size: size}
		for k, t := range operands {
			s, j := t.Shape(), i
			if k == 1 {
				j -= tail
			}
			if 0 < j && j <= len(s) && s[len(s)-j] != 1 {
				d.stride[k] = step[k]
				step[k] *= size
			}
		}
		if !w.merge(d) {
			w.dims = append(w.dims, d)
		}
	}
	if len(w.dims) == 0 {
		w.dims = append(w.dims, walkDim{1, [3]int{1, 1, 1}})
	}
}

// merge makes d part of the dimension within it where each operand goes on in
// d as it did there.
func (w *walk) merge(d walkDim) bool {
	if len(w.dims) == 0 {
		return false
	}
	last := &w.dims[len(w.dims)-1]
	for k, s := range d.stride {
		if s != last.stride[k]*last.size {
			return false
		}
	}
	last.size *= d.size
	return true
}

// at gives the places in the operands where a row begins: rows are counted
// over all dimensions but the innermost.
func (w *walk) at(row int) (at [3]int) {
	for i := 1; i < len(w.dims); i++ {
		d := &w.dims[i]
		j := row
		if i+1 < len(w.dims) {
			row, j = row/d.size, row%d.size
		}
		at[0] += j * d.stride[0]
		at[1] += j * d.stride[1]
		at[2] += j * d.stride[2]
	}
	return at
}

// How many elements a thread takes at a time, by their cost, and how many it
// computes before it looks whether the run was cancelled.
const (
	cheapGrain  = 1 << 15
	costlyGrain = 1 << 12
	cancelEvery = 1 << 16
)

// zip is a loop over two operands for one element type. A scalar operand goes
// to vs or sv; where these are nil it is repeated for vv.
type zip[T, U onnx.Element] struct {
	vv    func(dst []U, a, b []T)
	vs    func(dst []U, a []T, s T)
	sv    func(dst []U, s T, b []T)
	grain int
}

// zipper is a zip for some element type.
type zipper interface {
	// zip computes out out of a and b, which have one element type and are
	// broadcast; tail is the number of dimensions of size 1 that b's shape
	// lacks at its end. out may lie over one of them that has as many
	// elements.
	zip(c *Ctx, out, a, b *onnx.Tensor, tail int) error
}

// zipRun is the argument block of a zip.
type zipRun[T, U onnx.Element] struct {
	loop   *zip[T, U]
	c      *Ctx
	walk   walk
	dst    []U
	a, b   []T
	repeat []T // repeated scalars, a block for each grain
	block  int
	f      func(lo, hi int)
}

// repeated is how often a scalar is repeated at most.
const repeated = 256

func (z *zip[T, U]) zip(c *Ctx, out, a, b *onnx.Tensor, tail int) error {
	r := Local[zipRun[T, U]](c)
	if r.f == nil {
		r.f = r.run
	}
	r.walk.set(out.Shape(), tail, a, b)
	n := r.walk.n
	if n == 0 {
		return nil
	}
	r.loop, r.c = z, c
	r.dst, r.a, r.b = onnx.Elements[U](out), onnx.Elements[T](a), onnx.Elements[T](b)
	inner := &r.walk.dims[0]
	if z.vs == nil && inner.stride[1] == 0 || z.sv == nil && inner.stride[0] == 0 {
		var err error
		r.block = min(inner.size, repeated)
		if r.repeat, err = Scratch[T](c, (n+z.grain-1)/z.grain*r.block); err != nil {
			return err
		}
	}
	c.Parallel(n, z.grain, r.f)
	r.c, r.dst, r.a, r.b, r.repeat = nil, nil, nil, nil, nil
	return cancelled(c, n)
}

// run computes the elements lo..hi-1 of the result.
func (r *zipRun[T, U]) run(lo, hi int) {
	inner := r.walk.dims[0].size
	scalar := repeater[T]{at: -1}
	if r.repeat != nil {
		scalar.block = r.repeat[lo/r.loop.grain*r.block:][:r.block]
	}
	row, col := lo/inner, lo%inner
	for looked := lo; lo < hi; {
		n := min(inner-col, hi-lo, cancelEvery)
		at := r.walk.at(row)
		r.inner(r.dst[lo:lo+n], at[0], at[1], col, &scalar)
		lo += n
		if col += n; col == inner {
			row, col = row+1, 0
		}
		if lo-looked >= cancelEvery {
			if r.c.Err() != nil {
				return
			}
			looked = lo
		}
	}
}

// inner computes elements of one row from column col on; the row begins at
// place a and b of the operands.
func (r *zipRun[T, U]) inner(dst []U, a, b, col int, scalar *repeater[T]) {
	n, stride := len(dst), &r.walk.dims[0].stride
	a, b = a+col*stride[0], b+col*stride[1]
	switch z := r.loop; {
	case stride[0] != 0 && stride[1] != 0:
		z.vv(dst, r.a[a:a+n], r.b[b:b+n])
	case stride[0] == 0 && stride[1] == 0:
		z.vv(dst[:1], r.a[a:a+1], r.b[b:b+1])
		kernel.Fill(dst, dst[0])
	case stride[1] == 0 && z.vs != nil:
		z.vs(dst, r.a[a:a+n], r.b[b])
	case stride[0] == 0 && z.sv != nil:
		z.sv(dst, r.a[a], r.b[b:b+n])
	case stride[1] == 0:
		s := scalar.of(r.b, b)
		for i := 0; i < n; i += len(s) {
			k := min(len(s), n-i)
			z.vv(dst[i:i+k], r.a[a+i:a+i+k], s[:k])
		}
	default:
		s := scalar.of(r.a, a)
		for i := 0; i < n; i += len(s) {
			k := min(len(s), n-i)
			z.vv(dst[i:i+k], s[:k], r.b[b+i:b+i+k])
		}
	}
}

// repeater holds one element of an operand many times.
type repeater[T onnx.Element] struct {
	block []T
	at    int // the place of the element
}

// of gives the element of an operand, repeated.
func (s *repeater[T]) of(operand []T, at int) []T {
	if s.at != at {
		kernel.Fill(s.block, operand[at])
		s.at = at
	}
	return s.block
}

// mapping is a loop over one operand for one element type.
type mapping[T, U onnx.Element] struct {
	f     func(dst []U, src []T)
	grain int
}

// mapper is a mapping for some element type.
type mapper interface {
	// run makes output 0 of x, as a tensor of the given type.
	run(c *Ctx, x *onnx.Tensor, d onnx.DataType) error
}

// mapRun is the argument block of a mapping.
type mapRun[T, U onnx.Element] struct {
	loop *mapping[T, U]
	c    *Ctx
	dst  []U
	src  []T
	f    func(lo, hi int)
}

func (m *mapping[T, U]) run(c *Ctx, x *onnx.Tensor, d onnx.DataType) error {
	out, err := newOver(c, d, x)
	if err != nil {
		return err
	}
	r := Local[mapRun[T, U]](c)
	if r.f == nil {
		r.f = r.run
	}
	r.loop, r.c, r.dst, r.src = m, c, onnx.Elements[U](out), onnx.Elements[T](x)
	c.Parallel(len(r.dst), m.grain, r.f)
	r.c, r.dst, r.src = nil, nil, nil
	return cancelled(c, out.Len())
}

func (r *mapRun[T, U]) run(lo, hi int) {
	for ; lo < hi; lo += cancelEvery {
		end := min(lo+cancelEvery, hi)
		r.loop.f(r.dst[lo:end], r.src[lo:end])
		if end < hi && r.c.Err() != nil {
			return
		}
	}
}

// newOver makes output 0 of the shape of input 0, over it where the elements
// have one size.
func newOver(c *Ctx, d onnx.DataType, x *onnx.Tensor) (*onnx.Tensor, error) {
	if d.Size() != x.DataType().Size() {
		return c.New(0, d, x.Shape())
	}
	return c.New(0, d, x.Shape(), 0)
}

// cancelled gives the error of a run that was cancelled while a loop of n
// elements ran, which then may have stopped early.
func cancelled(c *Ctx, n int) error {
	if n <= cancelEvery {
		return nil
	}
	return c.Err()
}

// byType holds a loop for each element type that there is one for.
type byType[L any] [onnx.Int2 + 1]L

// narrowable runs a kernel, through Widen where the first input's type is a
// narrow floating-point one.
type narrowable struct{ k, wide Kernel }

func newNarrowable(k Kernel) Kernel { return &narrowable{k, Widen(k)} }

func (k *narrowable) Run(c *Ctx, in, out []onnx.Value) error {
	if t, ok := in[0].(*onnx.Tensor); ok && isNarrow(t.DataType()) {
		return k.wide.Run(c, in, out)
	}
	return k.k.Run(c, in, out)
}

func noLoop(d onnx.DataType) error {
	return onnx.Errorf(onnx.ErrUnsupported, "element type %v", d)
}

// number groups the element types that Go computes with.
type number interface {
	kernel.Number
	onnx.Element
}

type integer interface {
	kernel.Integer
	onnx.Element
}

type float interface {
	kernel.Float
	onnx.Element
}
