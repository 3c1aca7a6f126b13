package ops

import "github.com/recur-ml/recur/onnx"

// BroadcastShapes gives the shape that ONNX's multidirectional broadcasting
// makes of several, with symbols kept: a dimension of 1 yields to any other,
// two known ones must agree, and an unknown one against a known one above 1
// is that one. The result is nil when the rank of any is unknown.
func BroadcastShapes(shapes ...onnx.Shape) (onnx.Shape, error) {
	rank := 0
	for _, s := range shapes {
		if !s.Ranked() {
			return nil, nil
		}
		rank = max(rank, len(s))
	}
	out := make(onnx.Shape, rank)
	for i := range out {
		out[i] = onnx.Fixed(1)
	}
	for _, s := range shapes {
		for j, d := range s {
			o := &out[rank-len(s)+j]
			switch {
			case d.Known() && d.Value == 1 || d.Same(*o):
			case o.Known() && o.Value == 1:
				*o = d
			case d.Known() && o.Known():
				return nil, onnx.Errorf(onnx.ErrShape, "shapes %v cannot be broadcast together: %v against %v in dimension %d", shapes, o, d, rank-len(s)+j)
			case d.Known():
				*o = d
			case o.Known():
			default:
				*o = onnx.UnknownDim
			}
		}
	}
	return out, nil
}

// Broadcast gives the shape that broadcasting makes of the shapes of tensors,
// appended to dst[:0].
func Broadcast(dst []int, tensors ...*onnx.Tensor) ([]int, error) {
	rank := 0
	for _, t := range tensors {
		rank = max(rank, t.Rank())
	}
	dst = dst[:0]
	for i := range rank {
		d := 1
		for _, t := range tensors {
			j := i - rank + t.Rank()
			if j < 0 {
				continue
			}
			switch n := t.Shape()[j]; {
			case n == 1 || n == d:
			case d == 1:
				d = n
			default:
				return nil, onnx.Errorf(onnx.ErrShape, "shapes cannot be broadcast together: %d against %d in dimension %d of %d", d, n, i, rank)
			}
		}
		dst = append(dst, d)
	}
	return dst, nil
}
