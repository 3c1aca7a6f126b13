package ops

import (
	"math/rand/v2"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "Dropout", Since: []int{1, 6, 12, 13, 22}, Random: true, Infer: inferDropout, Build: buildDropout},
		Op{Name: "Dropout", Since: []int{7, 10}, Infer: inferDropout, Build: buildDropout},
	)
}

// dropout passes its input through, except in training: then it sets each
// element to zero with a probability of ratio, and multiplies the others by
// 1 / (1 - ratio). Versions 7 and 10 know no training; in versions 1 and 6 an
// attribute, from 12 on an input says whether it is on.
type dropout struct {
	ratio    float64
	training bool
	random   *generator
	boolMask bool // the mask is of bool, before version 10 of the data's type
	wide     Kernel
}

func inferDropout(n *Node) error {
	n.SetTensor(0, n.Elem(0), n.Shape(0))
	mask := n.Elem(0)
	if n.Since >= 10 {
		mask = onnx.Bool
	}
	n.SetTensor(1, mask, n.Shape(0))
	return nil
}

func buildDropout(n *Node) (Kernel, error) {
	k := &dropout{ratio: 0.5, boolMask: n.Since >= 10, random: newGenerator(n)}
	switch {
	case n.Since < 12:
		k.ratio = float64(n.Float("ratio", 0.5))
		if n.Since < 7 {
			k.training = !n.Bool("is_test", false)
		}
		if n.Since == 1 {
			n.Attr("consumed_inputs")
		}
	default:
		n.Has(1)
		n.Has(2)
	}
	n.Wants(1)
	k.wide = Widen(KernelFunc(k.drop))
	return k, n.Err()
}

func (k *dropout) Run(c *Ctx, in, out []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	training, ratio := k.training, k.ratio
	if len(in) > 2 && in[2] != nil {
		if training, err = scalarOf[bool](in[2], "training_mode"); err != nil {
			return err
		}
	}
	if training {
		if ratio, err = k.ratioOf(in); err != nil {
			return err
		}
	}
	if training && ratio > 0 {
		if isNarrow(x.DataType()) {
			return k.wide.Run(c, in, out)
		}
		return k.drop(c, in, out)
	}
	out[0] = x
	if !c.Wants(1) {
		return nil
	}
	mask, err := k.newMask(c, x)
	if err != nil || mask.Len() == 0 {
		return err
	}
	return fillElements(c, mask, oneOf(mask.DataType()))
}

func (k *dropout) newMask(c *Ctx, x *onnx.Tensor) (*onnx.Tensor, error) {
	if k.boolMask {
		return c.New(1, onnx.Bool, x.Shape())
	}
	return c.New(1, x.DataType(), x.Shape())
}

// ratioOf gives the probability that an element is dropped.
func (k *dropout) ratioOf(in []onnx.Value) (float64, error) {
	ratio := k.ratio
	if len(in) > 1 && in[1] != nil {
		t, ok := in[1].(*onnx.Tensor)
		if !ok || t.Len() != 1 {
			return 0, onnx.Errorf(onnx.ErrShape, "ratio is no scalar")
		}
		if isNarrow(t.DataType()) {
			var f [1]float32
			WidenTo(f[:], t)
			ratio = float64(f[0])
		} else if ratio, ok = numberAt(t, 0); !ok {
			return 0, onnx.Errorf(onnx.ErrType, "ratio is of type %v", t.DataType())
		}
	}
	if !(ratio >= 0 && ratio < 1) {
		return 0, onnx.Errorf(onnx.ErrMalformed, "ratio is %v, want at least 0 and less than 1", ratio)
	}
	return ratio, nil
}

// drop is the training mode, for float and double.
func (k *dropout) drop(c *Ctx, in, _ []onnx.Value) error {
	x := in[0].(*onnx.Tensor)
	ratio, err := k.ratioOf(in)
	if err != nil {
		return err
	}
	y, err := c.New(0, x.DataType(), x.Shape(), 0)
	if err != nil {
		return err
	}
	var mask *onnx.Tensor
	if c.Wants(1) {
		if mask, err = k.newMask(c, x); err != nil {
			return err
		}
	}
	if x.DataType() == onnx.Double {
		return dropElements(c, onnx.Elements[float64](y), onnx.Elements[float64](x), mask, ratio, k.random.next(c))
	}
	return dropElements(c, onnx.Elements[float32](y), onnx.Elements[float32](x), mask, ratio, k.random.next(c))
}

func dropElements[T float32 | float64](c *Ctx, dst, src []T, mask *onnx.Tensor, ratio float64, r *rand.Rand) error {
	scale := T(1 / (1 - ratio))
	var kept []bool
	var ones []T
	switch {
	case mask == nil:
	case mask.DataType() == onnx.Bool:
		kept = onnx.Elements[bool](mask)
	default:
		ones = cells[T](mask)
	}
	for i, v := range src {
		keep := r.Float64() >= ratio
		if keep {
			dst[i] = v * scale
		} else {
			dst[i] = 0
		}
		if kept != nil {
			kept[i] = keep
		}
		if ones != nil {
			ones[i] = 0
			if keep {
				ones[i] = 1
			}
		}
		if i%cancelEvery == cancelEvery-1 {
			if err := c.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}
