package ops

import "github.com/recur-ml/recur/onnx"

// floating is a type that floating-point operators compute in: float64 where a
// tensor of double takes part, else float32.
type floating interface{ float32 | float64 }

// readReal gives the elements of a floating-point tensor as T: as they lie, or
// converted in scratch memory.
func readReal[T floating](c *Ctx, t *onnx.Tensor) ([]T, error) {
	d := t.DataType()
	if d == onnx.TypeOf[T]() {
		return onnx.Elements[T](t), nil
	}
	if !d.IsFloat() {
		return nil, onnx.Errorf(onnx.ErrType, "element type %v, want a floating-point type", d)
	}
	dst, err := Scratch[T](c, t.Len())
	if err != nil {
		return nil, err
	}
	switch d {
	case onnx.Float:
		castReal(dst, onnx.Elements[float32](t))
	case onnx.Double:
		castReal(dst, onnx.Elements[float64](t))
	default:
		if f, ok := any(dst).([]float32); ok {
			WidenTo(f, t)
			return dst, nil
		}
		f, err := Scratch[float32](c, t.Len())
		if err != nil {
			return nil, err
		}
		WidenTo(f, t)
		castReal(dst, f)
	}
	return dst, nil
}

func castReal[D, S floating](dst []D, src []S) {
	for i, v := range src {
		dst[i] = D(v)
	}
}

// newReal makes output i of any floating-point type and gives memory for its
// elements as T. The kernel writes that and calls storeReal.
func newReal[T floating](c *Ctx, i int, d onnx.DataType, shape []int, reuse ...int) (*onnx.Tensor, []T, error) {
	t, err := c.New(i, d, shape, reuse...)
	if err != nil {
		return nil, nil, err
	}
	if d == onnx.TypeOf[T]() {
		return t, onnx.Elements[T](t), nil
	}
	dst, err := Scratch[T](c, t.Len())
	return t, dst, err
}

// storeReal rounds elements that newReal gave to the tensor's type, once.
func storeReal[T floating](c *Ctx, t *onnx.Tensor, src []T) error {
	switch d := t.DataType(); {
	case d == onnx.TypeOf[T]():
	case d == onnx.Float:
		castReal(onnx.Elements[float32](t), src)
	case d == onnx.Double:
		castReal(onnx.Elements[float64](t), src)
	default:
		f, ok := any(src).([]float32)
		if !ok {
			var err error
			if f, err = Scratch[float32](c, len(src)); err != nil {
				return err
			}
			for i, v := range src {
				f[i] = float32(v)
			}
		}
		NarrowTo(t, f)
	}
	return nil
}

// anyDouble reports whether an input of the node is a tensor of double.
func anyDouble(n *Node) bool {
	for i := range n.NumInputs() {
		if n.Elem(i) == onnx.Double {
			return true
		}
	}
	return false
}

// forReal picks the kernel for a floating-point type; 16-bit ones go through
// the one for float32.
func forReal(d onnx.DataType, double, single Kernel) Kernel {
	switch d {
	case onnx.Double:
		return double
	case onnx.Float:
		return single
	}
	return Widen(single)
}
