package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(Op{Name: "ReverseSequence", Since: []int{10, 28}, Infer: inferReverseSequence, Build: buildReverseSequence})
}

// reverseSequence reverses the first elements along the time axis, as many in
// each batch entry as its length says.
type reverseSequence struct{ time, batch int }

func readReverseSequence(n *Node) (*reverseSequence, error) {
	k := &reverseSequence{int(n.Int("time_axis", 0)), int(n.Int("batch_axis", 1))}
	if k.time&^1 != 0 || k.batch != 1-k.time {
		return nil, onnx.Errorf(onnx.ErrMalformed, "time_axis is %d, batch_axis %d: want 0 and 1 or 1 and 0", k.time, k.batch)
	}
	return k, n.Err()
}

func inferReverseSequence(n *Node) error {
	k, err := readReverseSequence(n)
	if err != nil {
		return err
	}
	in, lens := n.Shape(0), n.Shape(1)
	n.SetTensor(0, n.Elem(0), in)
	if in.Ranked() && len(in) < 2 {
		return onnx.Errorf(onnx.ErrShape, "input is of shape %v, want at least rank 2", in)
	}
	if lens.Ranked() {
		if len(lens) != 1 {
			return onnx.Errorf(onnx.ErrShape, "sequence_lens is of shape %v, want rank 1", lens)
		}
		if in.Ranked() {
			if _, err := mergeDims(in[k.batch], lens[0]); err != nil {
				return onnx.Errorf(onnx.ErrShape, "sequence_lens has %v elements, the batch is %v", lens[0], in[k.batch])
			}
		}
	}
	return nil
}

func buildReverseSequence(n *Node) (Kernel, error) { return readReverseSequence(n) }

func (k *reverseSequence) Run(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	if x.Rank() < 2 {
		return onnx.Errorf(onnx.ErrShape, "input is of shape %v, want at least rank 2", slices.Clone(x.Shape()))
	}
	m := moverOf(c)
	lens, err := m.list(0, in[1], "sequence_lens")
	if err != nil {
		return err
	}
	batch, time := x.Shape()[k.batch], x.Shape()[k.time]
	if len(lens) != batch {
		return onnx.Errorf(onnx.ErrShape, "sequence_lens has %d elements, the batch is %d", len(lens), batch)
	}
	for b, l := range lens {
		if l < 0 || l > int64(time) {
			return onnx.Errorf(onnx.ErrShape, "sequence_lens[%d] = %d, want 0..%d", b, l, time)
		}
	}
	y, err := c.New(0, x.DataType(), x.Shape())
	if err != nil || y.Len() == 0 {
		return err
	}
	_, _, inner := split3(x.Shape(), 1)
	step, row := strideAfter(x.Shape(), k.time), strideAfter(x.Shape(), k.batch)
	for b, l := range lens {
		n := int(l)
		m.start()
		m.add(n, step, -step)
		m.add(inner, 1, 1)
		if err := m.copy(y, b*row, x, b*row+(n-1)*step); err != nil {
			return err
		}
		m.start()
		m.add(time-n, step, step)
		m.add(inner, 1, 1)
		if err := m.copy(y, b*row+n*step, x, b*row+n*step); err != nil {
			return err
		}
	}
	return nil
}
