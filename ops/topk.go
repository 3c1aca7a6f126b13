package ops

import (
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(
		Op{Name: "TopK", Since: []int{1}, Infer: func(n *Node) error { return inferTopK(n, true) }, Build: func(n *Node) (Kernel, error) {
			k := n.Int("k", 0)
			if k < 0 {
				return nil, onnx.Errorf(onnx.ErrMalformed, "k is %d, want 0 or more", k)
			}
			return &topKKernel{axis: n.Int("axis", -1), k: k, largest: true}, nil
		}},
		Op{Name: "TopK", Since: []int{10}, Infer: func(n *Node) error { return inferTopK(n, false) }, Build: func(n *Node) (Kernel, error) {
			return &topKKernel{axis: n.Int("axis", -1), fromInput: true, largest: true}, nil
		}},
		Op{Name: "TopK", Since: []int{11, 24}, Infer: func(n *Node) error { return inferTopK(n, false) }, Build: func(n *Node) (Kernel, error) {
			n.Bool("sorted", true) // any order will do without it; ours is the sorted one
			return &topKKernel{axis: n.Int("axis", -1), fromInput: true, largest: n.Bool("largest", true)}, nil
		}},
	)
}

// topKKernel gives the k greatest or least elements along an axis, the first
// of them first, and where they are. Among equals the lower index comes first;
// NaN is greater than everything else.
type topKKernel struct {
	axis, k   int64
	fromInput bool // k is input 1
	largest   bool
}

func inferTopK(n *Node, fromAttr bool) error {
	in := n.Shape(0)
	var out onnx.Shape
	if in.Ranked() {
		axis, err := Axis(n.Int("axis", -1), len(in))
		if err != nil {
			return err
		}
		k := Sym{}
		if fromAttr {
			k = Int(n.Int("k", 0))
		} else if c := n.Content(1); c != nil && len(c.Elems) == 1 {
			k = c.Elems[0]
		}
		if k.Known {
			if err := checkK(k.Value, in[axis]); err != nil {
				return err
			}
		}
		out = in.Clone()
		out[axis] = k.Dim()
	}
	n.SetTensor(0, n.Elem(0), out)
	n.SetTensor(1, onnx.Int64, out)
	return nil
}

func checkK(k int64, d onnx.Dim) error {
	if k < 0 || d.Known() && k > int64(d.Value) {
		return onnx.Errorf(onnx.ErrShape, "k is %d, want 0..%v, the size of the axis", k, d)
	}
	return nil
}

func (k *topKKernel) Run(c *Ctx, in, out []onnx.Value) error {
	x := in[0].(*onnx.Tensor)
	axis, err := Axis(k.axis, x.Rank())
	if err != nil {
		return err
	}
	count := k.k
	if k.fromInput {
		if count, err = scalarOf[int64](in[1], "K"); err != nil {
			return err
		}
	}
	e := extentAt(x.Shape(), axis)
	if err := checkK(count, onnx.Fixed(e.red)); err != nil {
		return err
	}
	var buf [8]int
	shape := append(buf[:0], x.Shape()...)
	shape[axis] = int(count)
	values, err := c.New(0, x.DataType(), shape)
	if err != nil {
		return err
	}
	indices, err := c.New(1, onnx.Int64, shape)
	if err != nil || indices.Len() == 0 {
		return err
	}
	if err := k.find(c, x, e, onnx.Elements[int64](indices), int(count)); err != nil {
		return err
	}
	switch x.DataType().Size() {
	case 1:
		topKValues[uint8](values, x, indices, e, int(count))
	case 2:
		topKValues[uint16](values, x, indices, e, int(count))
	case 4:
		topKValues[uint32](values, x, indices, e, int(count))
	case 8:
		topKValues[uint64](values, x, indices, e, int(count))
	}
	return nil
}

// find writes the indices [outer, k, inner] of the elements.
func (k *topKKernel) find(c *Ctx, x *onnx.Tensor, e reduceExtent, indices []int64, count int) error {
	if isNarrow(x.DataType()) {
		wide, err := Scratch[float32](c, x.Len())
		if err != nil {
			return err
		}
		WidenTo(wide, x)
		return topK(c, wide, e, indices, count, k.largest)
	}
	run := topKLoops[x.DataType()]
	if run == nil {
		return onnx.Errorf(onnx.ErrType, "element type %v", x.DataType())
	}
	return run(c, x, e, indices, count, k.largest)
}

// topKLoops finds indices among elements of a type.
var topKLoops = [...]func(c *Ctx, x *onnx.Tensor, e reduceExtent, indices []int64, k int, largest bool) error{
	onnx.Float:  topKOf[float32],
	onnx.Double: topKOf[float64],
	onnx.Int8:   topKOf[int8],
	onnx.Int16:  topKOf[int16],
	onnx.Int32:  topKOf[int32],
	onnx.Int64:  topKOf[int64],
	onnx.Uint8:  topKOf[uint8],
	onnx.Uint16: topKOf[uint16],
	onnx.Uint32: topKOf[uint32],
	onnx.Uint64: topKOf[uint64],
	onnx.Int2:   nil,
}

func topKOf[T reducible](c *Ctx, x *onnx.Tensor, e reduceExtent, indices []int64, k int, largest bool) error {
	return topK(c, onnx.Elements[T](x), e, indices, k, largest)
}

func topK[T reducible](c *Ctx, x []T, e reduceExtent, indices []int64, k int, largest bool) error {
	heap, err := Scratch[int64](c, k)
	if err != nil {
		return err
	}
	var apart []T // the elements of a row that do not lie together
	if e.inner > 1 {
		if apart, err = Scratch[T](c, e.red); err != nil {
			return err
		}
	}
	p := pace{c: c}
	for o := range e.outer {
		for i := range e.inner {
			row := apart
			if e.inner == 1 {
				row = x[o*e.red:][:e.red]
			} else {
				for r := range row {
					row[r] = x[(o*e.red+r)*e.inner+i]
				}
			}
			if !kernel.TopK(heap, row, largest, &p) {
				return c.Err()
			}
			for r, at := range heap {
				indices[(o*k+r)*e.inner+i] = at
			}
		}
	}
	return nil
}

// topKValues copies the elements that indices names; T has their size.
func topKValues[T uint8 | uint16 | uint32 | uint64](values, x, indices *onnx.Tensor, e reduceExtent, k int) {
	src, dst, at := onnx.Elements[T](x), onnx.Elements[T](values), onnx.Elements[int64](indices)
	for n := range dst {
		o, i := n/(k*e.inner), n%e.inner
		dst[n] = src[(o*e.red+int(at[n]))*e.inner+i]
	}
}
