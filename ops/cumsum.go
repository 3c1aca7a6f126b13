package ops

import (
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	for _, row := range []struct {
		name    string
		since   []int
		product bool
	}{{"CumSum", []int{11, 14}, false}, {"CumProd", []int{26}, true}} {
		register(Op{Name: row.name, Since: row.since, Infer: inferCumulative,
			Build: func(n *Node) (Kernel, error) {
				k := &cumulativeKernel{product: row.product, exclusive: n.Bool("exclusive", false), reverse: n.Bool("reverse", false)}
				return widenFrom(n, 0, k), nil
			}})
	}
}

// cumulativeKernel computes running sums or products along an axis, in order
// from the start, or with reverse from the end. Integers wrap; floating-point
// ones are accumulated in float64, and each result is rounded once.
type cumulativeKernel struct {
	product, exclusive, reverse bool
}

func inferCumulative(n *Node) error {
	in := n.Shape(0)
	if s := n.Shape(1); len(s) > 1 || len(s) == 1 && s[0].Known() && s[0].Value != 1 {
		return onnx.Errorf(onnx.ErrShape, "axis is of shape %v, want a scalar", s)
	}
	if axis, ok := n.ConstInts(1); ok && in.Ranked() && len(axis) == 1 {
		if _, err := Axis(axis[0], len(in)); err != nil {
			return err
		}
	}
	n.SetTensor(0, n.Elem(0), in)
	return nil
}

// axisInput reads an axis that is an input, an int32 or int64 of one element.
func axisInput(v onnx.Value, rank int) (int, error) {
	t, ok := v.(*onnx.Tensor)
	if !ok || t.Len() != 1 || t.Rank() > 1 {
		return 0, onnx.Errorf(onnx.ErrShape, "axis is %v, want a scalar", v)
	}
	switch t.DataType() {
	case onnx.Int32:
		return Axis(int64(onnx.Elements[int32](t)[0]), rank)
	case onnx.Int64:
		return Axis(onnx.Elements[int64](t)[0], rank)
	}
	return 0, onnx.Errorf(onnx.ErrType, "axis is of type %v, want int32 or int64", t.DataType())
}

func (k *cumulativeKernel) Run(c *Ctx, in, out []onnx.Value) error {
	x := in[0].(*onnx.Tensor)
	axis, err := axisInput(in[1], x.Rank())
	if err != nil {
		return err
	}
	y, err := c.New(0, x.DataType(), x.Shape(), 0)
	if err != nil || y.Len() == 0 {
		return err
	}
	run := cumulativeLoops[x.DataType()]
	if run == nil {
		return onnx.Errorf(onnx.ErrType, "element type %v", x.DataType())
	}
	return run(c, k, x, y, extentAt(x.Shape(), axis))
}

// cumulativeLoops has the loop of each element type.
var cumulativeLoops = [...]func(c *Ctx, k *cumulativeKernel, x, y *onnx.Tensor, e reduceExtent) error{
	onnx.Float:  cumulativeRun[float32, float64],
	onnx.Double: cumulativeRun[float64, float64],
	onnx.Int32:  cumulativeRun[int32, int32],
	onnx.Int64:  cumulativeRun[int64, int64],
	onnx.Uint32: cumulativeRun[uint32, uint32],
	onnx.Uint64: cumulativeRun[uint64, uint64],
	onnx.Int2:   nil,
}

// cumulativeJob is what the threads of a cumulativeKernel share; A is the type
// of the accumulators.
type cumulativeJob[T reducible, A kernel.Number] struct {
	reduceExtent
	c    *Ctx
	k    *cumulativeKernel
	x, y []T
	run  func(lo, hi int)
}

func cumulativeRun[T reducible, A kernel.Number](c *Ctx, k *cumulativeKernel, x, y *onnx.Tensor, e reduceExtent) error {
	j := Local[cumulativeJob[T, A]](c)
	if j.run == nil {
		j.run = j.span
	}
	j.reduceExtent, j.c, j.k, j.x, j.y = e, c, k, onnx.Elements[T](x), onnx.Elements[T](y)
	c.Parallel(e.units(), e.grain(), j.run)
	j.c, j.x, j.y = nil, nil, nil
	return c.Err()
}

func (j *cumulativeJob[T, A]) span(lo, hi int) {
	p := pace{c: j.c}
	var block [kernel.Width]A
	for i := lo; i < hi; i++ {
		at, _, w := j.at(i)
		acc := block[:w]
		clear(acc)
		if j.k.product {
			for k := range acc {
				acc[k] = 1
			}
		}
		for r := range j.red {
			if j.k.reverse {
				r = j.red - 1 - r
			}
			x, y := j.x[at+r*j.inner:][:w], j.y[at+r*j.inner:][:w]
			if j.k.product {
				kernel.RunningProduct(acc, y, x, j.k.exclusive)
			} else {
				kernel.RunningSum(acc, y, x, j.k.exclusive)
			}
			if p.Stop(w) {
				return
			}
		}
	}
}
