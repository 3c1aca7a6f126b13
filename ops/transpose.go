package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(Op{Name: "Transpose", Since: []int{1, 13, 21, 23, 24, 25}, Infer: inferTranspose, Build: buildTranspose})
}

// checkPerm tells whether a permutation fits a rank.
func checkPerm(perm []int64, rank int) error {
	if len(perm) != rank {
		return onnx.Errorf(onnx.ErrShape, "perm has %d entries, the input has rank %d", len(perm), rank)
	}
	for i, p := range perm {
		if p < 0 || p >= int64(rank) {
			return onnx.Errorf(onnx.ErrShape, "perm[%d] = %d, want 0..%d", i, p, rank-1)
		}
		if slices.Contains(perm[:i], p) {
			return onnx.Errorf(onnx.ErrShape, "perm[%d] = %d is listed twice", i, p)
		}
	}
	return nil
}

func inferTranspose(n *Node) error {
	perm := n.Ints("perm")
	in := n.Shape(0)
	if err := n.Err(); err != nil {
		return err
	}
	if !in.Ranked() {
		n.SetTensor(0, n.Elem(0), nil)
		if perm != nil {
			n.SetTensor(0, n.Elem(0), onnx.UnknownShape(len(perm)))
			return checkPerm(perm, len(perm))
		}
		return nil
	}
	if perm != nil {
		if err := checkPerm(perm, len(in)); err != nil {
			return err
		}
	}
	out := make(onnx.Shape, len(in))
	for i := range out {
		out[i] = in[permuted(perm, i, len(in))]
	}
	n.SetTensor(0, n.Elem(0), out)
	n.SetContent(0, reshapeContent(contentAt(n, 0), out))
	return nil
}

// permuted is the input's axis that becomes axis i; without a permutation the
// order is reversed.
func permuted(perm []int64, i, rank int) int {
	if perm == nil {
		return rank - 1 - i
	}
	return int(perm[i])
}

func buildTranspose(n *Node) (Kernel, error) { return &transpose{n.Ints("perm")}, nil }

type transpose struct{ perm []int64 }

func (k *transpose) Run(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	s := x.Shape()
	if k.perm != nil {
		if err := checkPerm(k.perm, len(s)); err != nil {
			return err
		}
	}
	m := moverOf(c)
	m.shape = m.shape[:0]
	last, moved := -1, false // whether axes of more than one element change their order
	for i := range s {
		p := permuted(k.perm, i, len(s))
		m.shape = append(m.shape, s[p])
		if s[p] != 1 {
			moved = moved || p < last
			last = p
		}
	}
	if !moved || x.Len() == 0 {
		_, err := c.View(0, x, m.shape)
		return err
	}
	y, err := c.New(0, x.DataType(), m.shape)
	if err != nil {
		return err
	}
	m.start()
	step := y.Len()
	for i, d := range m.shape {
		step /= d
		m.add(d, step, strideAfter(s, permuted(k.perm, i, len(s))))
	}
	return m.copy(y, 0, x, 0)
}
