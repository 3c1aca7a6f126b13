package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "MaxUnpool", Since: []int{9, 11, 22}, Infer: inferMaxUnpool, Build: buildMaxUnpool},
	)
}

// MaxUnpool writes each element of X to where MaxPool found it: the indices
// count the elements of a tensor of the shape that MaxPool had as its least,
//
//	(size - 1)*stride - pads + kernel
//
// and the rest is 0. A greater output_shape adds zeros at the ends.

func inferMaxUnpool(n *Node) error {
	w, err := readUnpool(n)
	if err != nil {
		return err
	}
	x := n.Shape(0)
	out := onnx.UnknownShape(2 + len(w.kernel))
	if x != nil && len(x) != len(out) {
		return onnx.Errorf(onnx.ErrShape, "X is %v, want %d dimensions for kernel_shape %v", x, len(out), w.kernel)
	}
	switch list, ok := n.ConstInts(2); {
	case ok && len(list) == len(out):
		for i, v := range list {
			out[i] = Int(v).Dim()
		}
	case n.Has(2):
	case x != nil:
		copy(out, x[:2])
		for i, d := range x[2:] {
			if d.Known() {
				size, err := w.unpooled(i, d.Value)
				if err != nil {
					return err
				}
				out[2+i] = onnx.Fixed(size)
			}
		}
	}
	n.SetTensor(0, n.Elem(0), out)
	return nil
}

func readUnpool(n *Node) (w window, err error) {
	w.autoPad = "NOTSET"
	if w.kernel, err = sizesAttr(n, "kernel_shape", 1); err != nil {
		return w, err
	}
	if w.strides, err = sizesAttr(n, "strides", 1); err != nil {
		return w, err
	}
	if w.pads, err = sizesAttr(n, "pads", 0); err != nil {
		return w, err
	}
	if w.kernel == nil {
		return w, onnx.Errorf(onnx.ErrMalformed, "kernel_shape is missing")
	}
	return w, w.check(len(w.kernel))
}

// unpooled gives the least size that MaxPool can have had.
func (w *window) unpooled(i, size int) (int, error) {
	pads := at(w.pads, i, 0) + at(w.pads, len(w.kernel)+i, 0)
	if size > maxWindow {
		return 0, onnx.Errorf(onnx.ErrShape, "spatial dimension %d of X is %d, want at most %d", i, size, maxWindow)
	}
	out := (size-1)*at(w.strides, i, 1) - pads + w.kernel[i]
	if size == 0 {
		out = 0
	}
	if out < 0 {
		return 0, onnx.Errorf(onnx.ErrShape, "spatial dimension %d: %d elements with pads of %d come from %d", i, size, pads, out)
	}
	return out, nil
}

func buildMaxUnpool(n *Node) (Kernel, error) {
	w, err := readUnpool(n)
	n.Has(2)
	return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error { return runMaxUnpool(c, &w, in) }), err
}

func runMaxUnpool(c *Ctx, w *window, in []onnx.Value) error {
	x, it := in[0].(*onnx.Tensor), in[1].(*onnx.Tensor)
	s := x.Shape()
	if len(s) != 2+len(w.kernel) || !slices.Equal(it.Shape(), s) {
		return onnx.Errorf(onnx.ErrShape, "X is %v, I is %v, want one shape of %d dimensions", x, it, 2+len(w.kernel))
	}
	least := slices.Clone(s)
	for i, n := range s[2:] {
		var err error
		if least[2+i], err = w.unpooled(i, n); err != nil {
			return err
		}
	}
	total, err := onnx.NumElements(least)
	if err != nil {
		return err
	}
	shape := least
	if t := tensorIn(in, 2); t != nil {
		list := onnx.Elements[int64](t)
		bad := len(list) != len(s)
		if bad {
			return onnx.Errorf(onnx.ErrShape, "output_shape has %d elements, want %d", len(list), len(s))
		}
		shape = make([]int, len(list))
		for i, v := range list {
			bad = bad || v < int64(least[i]) || int64(int(v)) != v
			shape[i] = int(v)
			if bad {
				break
			}
		}
		if bad {
			return onnx.Errorf(onnx.ErrShape, "output_shape is %v, want at least %v", list, least)
		}
	}
	out, err := c.New(0, x.DataType(), shape)
	if err != nil {
		return err
	}
	dst, src, width := out.Bytes(), x.Bytes(), x.DataType().Size()
	clear(dst)
	pos := make([]int, len(least))
	for i, at := range onnx.Elements[int64](it) {
		if at < 0 || at >= int64(total) {
			return onnx.Errorf(onnx.ErrShape, "I: element %d is %d, want 0..%d", i, at, total-1)
		}
		if i&0xfffff == 0 {
			if err := c.Err(); err != nil {
				return err
			}
		}
		split(pos, least, int(at))
		to := 0
		for d, p := range pos {
			to = to*shape[d] + p
		}
		copy(dst[to*width:][:width], src[i*width:])
	}
	return nil
}
