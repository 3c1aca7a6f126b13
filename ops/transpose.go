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

func buildTranspose(n *Node) (Kernel, error) {
	k := &transpose{n.Ints("perm")}
	var m mover
	if s, ok := n.Shape(0).Ints(); ok && m.planTranspose(s, k.perm) == nil && m.making == makeView {
		return viewing(n, k), nil
	}
	return k, nil
}

type transpose struct{ perm []int64 }

func (k *transpose) Run(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	m := moverOf(c)
	if !m.isPlanned(x.Shape()) {
		if err := m.planTranspose(x.Shape(), k.perm); err != nil {
			return err
		}
	}
	return m.cutOut(x)
}

// planTranspose finds out how a tensor of shape s is transposed.
func (m *mover) planTranspose(s []int, perm []int64) error {
	m.forgetPlan()
	if perm != nil {
		if err := checkPerm(perm, len(s)); err != nil {
			return err
		}
	}
	m.shape = m.shape[:0]
	last, moved := -1, false // whether axes of more than one element change their order
	for i := range s {
		p := permuted(perm, i, len(s))
		m.shape = append(m.shape, s[p])
		if s[p] != 1 {
			moved = moved || p < last
			last = p
		}
	}
	m.plan(s)
	step := elements(s)
	if !moved || step == 0 {
		m.making = makeView
		return nil
	}
	m.start()
	for i, d := range m.shape {
		step /= d
		m.add(d, step, strideAfter(s, permuted(perm, i, len(s))))
	}
	return nil
}
