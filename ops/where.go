package ops

import (
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(Op{Name: "Where", Since: []int{9, 16}, Infer: inferWhere, Build: buildWhere})
}

func inferWhere(n *Node) error {
	shape, err := BroadcastShapes(n.Shape(0), n.Shape(1), n.Shape(2))
	if err != nil {
		return err
	}
	d := n.Elem(1)
	if d == onnx.Undefined {
		d = n.Elem(2)
	}
	n.SetTensor(0, d, shape)
	cond := contentAt(n, 0)
	if cond == nil && n.Shape(0).Ranked() && len(n.Shape(0)) == 0 {
		cond = &Content{Scalar: true, Elems: []Sym{{}}}
	}
	n.SetContent(0, zipContent(symWhere, cond, contentAt(n, 1), contentAt(n, 2)))
	return nil
}

// symWhere chooses; without a known condition what both choices have is left.
func symWhere(e []Sym) Sym {
	switch cond, x, y := e[0], e[1], e[2]; {
	case cond.Known && cond.Value != 0, x == y:
		return x
	case cond.Known:
		return y
	}
	return Sym{}
}

func buildWhere(n *Node) (Kernel, error) { return &whereKernel{n.Level()}, nil }

// whereKernel is the kernel of Where, at a level.
type whereKernel struct{ level Level }

func (k *whereKernel) Run(c *Ctx, in, out []onnx.Value) error {
	var t [3]*onnx.Tensor
	for i := range t {
		var err error
		if t[i], err = inputTensor(in, i); err != nil {
			return err
		}
	}
	cond, x, y := t[0], t[1], t[2]
	d := x.DataType()
	if cond.DataType() != onnx.Bool || y.DataType() != d {
		return onnx.Errorf(onnx.ErrType, "element types %v, %v and %v, want bool and two equal ones", cond.DataType(), d, y.DataType())
	}
	var dims [8]int
	shape, err := Broadcast(dims[:0], cond, x, y)
	if err != nil {
		return err
	}
	o, err := c.New(0, d, shape, 1, 2)
	if err != nil {
		return err
	}
	switch {
	case d == onnx.String:
		return where[string](c, k.level, o, cond, x, y)
	case d.Size() == 1:
		return where[uint8](c, k.level, o, cond, x, y)
	case d.Size() == 2:
		return where[uint16](c, k.level, o, cond, x, y)
	case d.Size() == 4:
		return where[uint32](c, k.level, o, cond, x, y)
	case d.Size() == 8:
		return where[uint64](c, k.level, o, cond, x, y)
	}
	return where[complex128](c, k.level, o, cond, x, y)
}

// whereRun is the argument block of Where.
type whereRun[T onnx.Element] struct {
	c     *Ctx
	level Level
	walk  walk
	dst   []T
	cond  []bool
	x, y  []T
	f     func(lo, hi int)
}

func where[T onnx.Element](c *Ctx, l Level, out, cond, x, y *onnx.Tensor) error {
	r := Local[whereRun[T]](c)
	if r.f == nil {
		r.f = r.run
	}
	r.c, r.level = c, l
	r.dst, r.cond, r.x, r.y = onnx.Elements[T](out), onnx.Elements[bool](cond), onnx.Elements[T](x), onnx.Elements[T](y)
	r.walk.set(out.Shape(), 0, cond, x, y)
	c.Parallel(r.walk.n, cheapGrain, r.f)
	n := r.walk.n
	r.c, r.dst, r.cond, r.x, r.y = nil, nil, nil, nil, nil
	return cancelled(c, n)
}

// run computes the elements lo..hi-1 of the result.
func (r *whereRun[T]) run(lo, hi int) {
	d := &r.walk.dims[0]
	row, col := lo/d.size, lo%d.size
	for looked := lo; lo < hi; {
		n := min(d.size-col, hi-lo, cancelEvery)
		at := r.walk.at(row)
		for k := range at {
			at[k] += col * d.stride[k]
		}
		// A stride is 0 or 1, and -stride the mask of an index.
		kernel.WhereVector(r.level, r.dst[lo:lo+n], r.cond[at[0]:], r.x[at[1]:], r.y[at[2]:], -d.stride[0], -d.stride[1], -d.stride[2])
		lo += n
		if col += n; col == d.size {
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
