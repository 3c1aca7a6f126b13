package rewrite

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
)

// maxViews bounds the changes of shape that are looked through.
const maxViews = 20

// moved reads a node that gives the elements of a tensor with the axes in
// another order: a Transpose, or a Concat of all that the tensor was cut into.
// Axis i of the result is axis perm[i] of the tensor.
func (f *facts) moved(n *onnx.Node) (x string, perm []int64, ok bool) {
	if n == nil || n.Domain != "" {
		return "", nil, false
	}
	switch n.OpType {
	case "Transpose":
		p := n.Attr("perm")
		if p == nil || !isPermutation(p.Ints) {
			return "", nil, false
		}
		return n.Inputs[0], p.Ints, true
	case "Concat":
		return f.restacked(n)
	}
	return "", nil, false
}

// restacked reads a Concat of the pieces of a tensor that are one thick along
// an axis, all of them in their order: what was unstacked along the one axis is
// stacked along the same or another.
func (f *facts) restacked(n *onnx.Node) (x string, perm []int64, ok bool) {
	out := f.typeOf(n.Outputs[0]).Shape
	to := int(attrInt(n, "axis", 0))
	if to < 0 {
		to += len(out)
	}
	if len(n.Inputs) < 2 || to < 0 || to >= len(out) {
		return "", nil, false
	}
	from := 0
	for k, in := range n.Inputs {
		root, axis, place := f.piece(in, to)
		if root == "" || place != k || k > 0 && (root != x || axis != from) {
			return "", nil, false
		}
		x, from = root, axis
	}
	shape := f.typeOf(x).Shape
	if !shape[from].Known() || shape[from].Value != len(n.Inputs) {
		return "", nil, false
	}
	for i := range shape {
		if i != from {
			perm = append(perm, int64(i))
		}
	}
	return x, slices.Insert(perm, to, int64(from)), true
}

// piece reads a value that is a piece of a tensor, one thick along an axis
// which lies at axis to of the value; the other axes are in their order. It
// gives the tensor, its axis and the piece's place there; "" for anything else.
func (f *facts) piece(name string, to int) (x string, axis, place int) {
	y := f.typeOf(name).Shape
	if to >= len(y) || !y[to].Known() || y[to].Value != 1 {
		return "", 0, 0
	}
	n := f.makers[name]
	for range maxViews {
		if n == nil || !f.isView(n) || !f.certain(n, y) {
			break
		}
		name = n.Inputs[0]
		n = f.makers[name]
	}
	axis, place = f.cut(n, name)
	if axis < 0 {
		return "", 0, 0
	}
	s := f.typeOf(n.Inputs[0]).Shape
	if len(s) != len(y) || !sameKnown(slices.Delete(s.Clone(), axis, axis+1), slices.Delete(y.Clone(), to, to+1)) {
		return "", 0, 0
	}
	return n.Inputs[0], axis, place
}

// cut reads a node that cuts pieces that are one thick out of its input, and
// gives along which axis and where; -1 for another node.
func (f *facts) cut(n *onnx.Node, output string) (axis, place int) {
	if n == nil || n.Domain != "" || len(n.Inputs) == 0 {
		return -1, 0
	}
	s := f.typeOf(n.Inputs[0]).Shape
	switch a := attrInt(n, "axis", 0); n.OpType {
	case "Split":
		axis = int(a)
		if axis < 0 {
			axis += len(s)
		}
		if part := f.typeOf(output).Shape; axis < 0 || axis >= len(part) || !part[axis].Known() || part[axis].Value != 1 {
			return -1, 0
		}
		// A part before this one may be of another size, or empty.
		for _, o := range n.Outputs {
			part := f.typeOf(o).Shape
			if o == output {
				return axis, place
			}
			if axis >= len(part) || !part[axis].Known() {
				return -1, 0
			}
			place += part[axis].Value
		}
	case "Gather":
		if k := f.info(input(n, 1)).Tensor(); k != nil && k.Len() == 1 && k.Rank() < 2 {
			axis = int(a)
			if axis < 0 {
				axis += len(s)
			}
			if v, ok := f.list(n, 1, ""); ok && axis >= 0 && axis < len(s) && v[0] >= 0 {
				return axis, int(v[0])
			}
		}
	case "Slice":
		starts, ok1 := f.list(n, 1, "starts")
		ends, ok2 := f.list(n, 2, "ends")
		axes, ok3 := f.list(n, 3, "axes")
		if !ok1 || !ok2 || !ok3 || len(starts) != 1 || len(ends) != 1 || len(axes) != 1 || input(n, 4) != "" && !f.one(n.Inputs[4]) {
			return -1, 0
		}
		if axes[0] < 0 {
			axes[0] += int64(len(s))
		}
		if axes[0] >= 0 && axes[0] < int64(len(s)) && starts[0] >= 0 && ends[0] == starts[0]+1 {
			return int(axes[0]), int(starts[0])
		}
	}
	return -1, 0
}

// one reports whether a value is a constant of one element that is 1.
func (f *facts) one(name string) bool {
	k := f.info(name).Tensor()
	if k == nil || k.External() != nil {
		return false
	}
	v, ok := ints(&expr{kind: exprConst, k: viewOf("", k)})
	return ok && len(v) == 1 && v[0] == 1
}
