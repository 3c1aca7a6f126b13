package ops

import (
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	for _, row := range []struct {
		name  string
		least bool
	}{{"ArgMax", false}, {"ArgMin", true}} {
		register(
			Op{Name: row.name, Since: []int{1, 11}, Infer: inferArg,
				Build: func(n *Node) (Kernel, error) { return buildArg(n, row.least, false) }},
			Op{Name: row.name, Since: []int{12, 13}, Infer: inferArg,
				Build: func(n *Node) (Kernel, error) {
					return buildArg(n, row.least, n.Bool("select_last_index", false))
				}},
		)
	}
}

// argKernel finds the position of the greatest or least element along an axis.
// NaN is greater, and less, than everything else.
type argKernel struct {
	axis              int64
	keep, least, last bool
	level             Level
}

func inferArg(n *Node) error {
	in := n.Shape(0)
	if !in.Ranked() {
		n.SetTensor(0, onnx.Int64, nil)
		return nil
	}
	axis, err := Axis(n.Int("axis", 0), len(in))
	if err != nil {
		return err
	}
	out := in.Clone()
	if n.Bool("keepdims", true) {
		out[axis] = onnx.Fixed(1)
	} else {
		out = append(out[:axis], out[axis+1:]...)
	}
	n.SetTensor(0, onnx.Int64, out)
	return nil
}

func buildArg(n *Node, least, last bool) (Kernel, error) {
	k := &argKernel{axis: n.Int("axis", 0), keep: n.Bool("keepdims", true), least: least, last: last, level: n.Level()}
	return widenFrom(n, 0, k), nil
}

func (k *argKernel) Run(c *Ctx, in, out []onnx.Value) error {
	x := in[0].(*onnx.Tensor)
	axis, err := Axis(k.axis, x.Rank())
	if err != nil {
		return err
	}
	var buf [8]int
	shape := append(buf[:0], x.Shape()[:axis]...)
	if k.keep {
		shape = append(shape, 1)
	}
	shape = append(shape, x.Shape()[axis+1:]...)
	y, err := c.New(0, onnx.Int64, shape)
	if err != nil || y.Len() == 0 {
		return err
	}
	e := extentAt(x.Shape(), axis)
	if e.red == 0 {
		return onnx.Errorf(onnx.ErrShape, "axis %d of an input of shape %v has no elements to choose from", axis, append([]int(nil), x.Shape()...))
	}
	run := argLoops[x.DataType()]
	if run == nil {
		return onnx.Errorf(onnx.ErrType, "element type %v", x.DataType())
	}
	return run(c, k, x, onnx.Elements[int64](y), e)
}

// extentAt gives the extent of one axis of a shape.
func extentAt(shape []int, axis int) reduceExtent {
	outer, n, inner := split3(shape, axis)
	return reduceExtent{outer, n, inner}
}

// argLoops finds positions among elements of a type.
var argLoops = [...]func(c *Ctx, k *argKernel, x *onnx.Tensor, y []int64, e reduceExtent) error{
	onnx.Float:  argRun[float32],
	onnx.Double: argRun[float64],
	onnx.Int8:   argRun[int8],
	onnx.Int16:  argRun[int16],
	onnx.Int32:  argRun[int32],
	onnx.Int64:  argRun[int64],
	onnx.Uint8:  argRun[uint8],
	onnx.Uint16: argRun[uint16],
	onnx.Uint32: argRun[uint32],
	onnx.Uint64: argRun[uint64],
	onnx.Int2:   nil,
}

// argJob is what the threads of an argKernel share.
type argJob[T reducible] struct {
	reduceExtent
	c   *Ctx
	k   *argKernel
	x   []T
	y   []int64
	run func(lo, hi int)
}

func argRun[T reducible](c *Ctx, k *argKernel, x *onnx.Tensor, y []int64, e reduceExtent) error {
	j := Local[argJob[T]](c)
	if j.run == nil {
		j.run = j.span
	}
	j.reduceExtent, j.c, j.k, j.x, j.y = e, c, k, onnx.Elements[T](x), y
	c.Parallel(e.units(), e.grain(), j.run)
	j.c, j.x, j.y = nil, nil, nil
	return c.Err()
}

func (j *argJob[T]) span(lo, hi int) {
	p := pace{c: j.c}
	for i := lo; i < hi; i++ {
		x, y, w := j.at(i)
		if j.inner == 1 {
			if f, ok := any(j).(*argJob[float32]); ok {
				j.y[y] = int64(kernel.ArgVector(j.k.level, f.x[x:x+j.red], j.k.least, j.k.last))
			} else {
				j.y[y] = int64(kernel.ArgRow(j.x[x:x+j.red], j.k.least, j.k.last))
			}
			if p.Stop(j.red) {
				return
			}
			continue
		}
		best := j.y[y : y+w]
		clear(best)
		for r := 1; r < j.red; r++ {
			for col := range best {
				if kernel.Beyond(j.x[x+r*j.inner+col], j.x[x+int(best[col])*j.inner+col], j.k.least, j.k.last) {
					best[col] = int64(r)
				}
			}
			if p.Stop(w) {
				return
			}
		}
	}
}
