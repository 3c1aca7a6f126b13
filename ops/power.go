package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

// inferPow gives the output the type of the base.
func inferPow(n *Node) error {
	shape, err := binaryShape(n)
	n.SetTensor(0, n.Elem(0), shape)
	return err
}

// power is the kernel of Pow. Integers to the power of integers are computed
// in integers; everything else in float64, and rounded once.
type power struct {
	fit    fitting
	axis   int64
	axisOn bool
	level  Level
}

func buildPow(n *Node) (Kernel, error) {
	k := &power{level: n.Level()}
	if n.Since < 7 {
		k.axis, k.axisOn = n.Int("axis", 0), n.HasAttr("axis")
		k.fit = fitEqual
		if n.Bool("broadcast", false) {
			k.fit = fitSuffix
		}
	}
	return k, nil
}

func (k *power) Run(c *Ctx, in, out []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	y, err := inputTensor(in, 1)
	if err != nil {
		return err
	}
	var dims [8]int
	shape, tail, err := k.fit.shape(dims[:0], x, y, k.axisOn, k.axis)
	if err != nil {
		return err
	}
	d := x.DataType()
	if y.Len() == 1 && slices.Equal(shape, x.Shape()) && (d == onnx.Float || d == onnx.Double) {
		return powScalar(c, k.level, x, y)
	}
	t, err := c.New(0, d, shape, 0)
	if err != nil || t.Len() == 0 {
		return err
	}
	switch whole := y.DataType().IsInteger(); {
	case d == onnx.Float && y.DataType() == onnx.Float:
		return powZip(c, t, x, y, tail, onnx.Float, kernel.Pow32)
	case d == onnx.Float:
		return powZip(c, t, x, y, tail, onnx.Double, kernel.PowFloat[float32])
	case d == onnx.Double:
		return powZip(c, t, x, y, tail, onnx.Double, kernel.PowFloat[float64])
	case d == onnx.Int32 && whole:
		return powZip(c, t, x, y, tail, onnx.Int64, kernel.PowInt[int32])
	case d == onnx.Int64 && whole:
		return powZip(c, t, x, y, tail, onnx.Int64, kernel.PowInt[int64])
	case d == onnx.Int32:
		return powZip(c, t, x, y, tail, onnx.Double, kernel.PowIntFloat[int32])
	case d == onnx.Int64:
		return powZip(c, t, x, y, tail, onnx.Double, kernel.PowIntFloat[int64])
	}
	wide, err := scratchTensor(c, onnx.Double, t.Shape())
	if err != nil {
		return err
	}
	if err := powZip(c, wide, x, y, tail, onnx.Double, kernel.PowFloat[float64]); err != nil {
		return err
	}
	return convertAll(t, wide)
}

// powZip computes t with a loop over operands of the type d, to which x and y
// are converted.
func powZip[T, U onnx.Element](c *Ctx, t, x, y *onnx.Tensor, tail int, d onnx.DataType, vv func(dst []U, x, y []T)) error {
	x, err := convertedTo(c, x, d)
	if err != nil {
		return err
	}
	if y, err = convertedTo(c, y, d); err != nil {
		return err
	}
	z := zip[T, U]{vv: vv, grain: costlyGrain}
	return z.zip(c, t, x, y, tail)
}

// convertedTo gives t in another element type, in scratch memory.
func convertedTo(c *Ctx, t *onnx.Tensor, d onnx.DataType) (*onnx.Tensor, error) {
	if t.DataType() == d {
		return t, nil
	}
	out, err := scratchTensor(c, d, t.Shape())
	if err != nil {
		return nil, err
	}
	return out, convertAll(out, t)
}

func convertAll(dst, src *onnx.Tensor) error {
	f := newConverter(src.DataType(), dst.DataType(), rounding{saturate: true})
	if f == nil {
		return noLoop(src.DataType())
	}
	return f(dst, src, 0, src.Len())
}

// powScalarRun is the argument block of float or double to the power of a
// scalar.
type powScalarRun struct {
	c        *Ctx
	level    Level
	dst, src *onnx.Tensor
	y        float64
	f        func(lo, hi int)
}

func powScalar(c *Ctx, l Level, x, y *onnx.Tensor) error {
	r := Local[powScalarRun](c)
	if r.f == nil {
		r.f = r.run
	}
	if err := r.exponent(y); err != nil {
		return err
	}
	t, err := newOver(c, x.DataType(), x)
	if err != nil {
		return err
	}
	r.c, r.level, r.dst, r.src = c, l, t, x
	c.Parallel(t.Len(), costlyGrain, r.f)
	r.c, r.dst, r.src = nil, nil, nil
	return cancelled(c, t.Len())
}

func (r *powScalarRun) exponent(y *onnx.Tensor) error {
	switch y.DataType() {
	case onnx.Float:
		r.y = float64(onnx.Elements[float32](y)[0])
	case onnx.Double:
		r.y = onnx.Elements[float64](y)[0]
	default:
		v := []float64{0}
		if err := convertAll(onnx.MustTensor(y.Shape(), v), y); err != nil {
			return err
		}
		r.y = v[0]
	}
	return nil
}

func (r *powScalarRun) run(lo, hi int) {
	for ; lo < hi; lo += cancelEvery {
		end := min(lo+cancelEvery, hi)
		if r.src.DataType() == onnx.Float {
			kernel.Pow32VS(r.level, onnx.Elements[float32](r.dst)[lo:end], onnx.Elements[float32](r.src)[lo:end], r.y)
		} else {
			kernel.PowFloatVS(onnx.Elements[float64](r.dst)[lo:end], onnx.Elements[float64](r.src)[lo:end], r.y)
		}
		if end < hi && r.c.Err() != nil {
			return
		}
	}
}
