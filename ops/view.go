package ops

import "github.com/recur-ml/recur/onnx"

// Viewer is a kernel whose output is its first input in another shape, which is
// known at load for one shape of that input. An engine may make the output of
// such an input itself: it is what Run does.
type Viewer interface {
	Kernel
	// Viewed gives the two shapes, of as many elements, which must not be
	// modified.
	Viewed() (in, out []int)
}

// viewer is a kernel whose output is a view.
type viewer struct {
	Kernel
	in, out []int
}

func (v *viewer) Viewed() (in, out []int) { return v.in, v.out }

// viewing makes a Viewer of the kernel of a node that gives its first input in
// another shape, where nothing but that input's shape, which is known, tells it.
func viewing(n *Node, k Kernel) Kernel {
	for i := 1; i < n.NumInputs(); i++ {
		if n.Has(i) && n.Const(i) == nil {
			return k
		}
	}
	in, from := n.Shape(0).Ints()
	out, to := n.Out(0).Type.Shape.Ints()
	if !from || !to || n.In(0).Type.Kind != onnx.KindTensor {
		return k
	}
	have, err := onnx.NumElements(in)
	if err != nil {
		return k
	}
	if want, err := onnx.NumElements(out); err != nil || want != have {
		return k
	}
	return &viewer{k, in, out}
}
