package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "Expand", Since: []int{8, 13}, Infer: inferExpand, Build: plainBuild(runExpand)},
		Op{Name: "Tile", Since: []int{1, 6, 13}, Infer: inferTile, Build: buildTile},
	)
}

func inferExpand(n *Node) error {
	target, err := shapeFrom(n, 1)
	if err != nil {
		return err
	}
	out, err := BroadcastShapes(n.Shape(0), target)
	if err != nil {
		return err
	}
	n.SetTensor(0, n.Elem(0), out)
	if c := contentAt(n, 0); c != nil && len(c.Elems) == 1 {
		n.SetContent(0, repeatContent(out, c.Elems[0]))
	} else if c != nil && len(out) == 1 && out[0].Known() && out[0].Value == len(c.Elems) {
		n.SetContent(0, c)
	}
	return nil
}

func runExpand(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	m := moverOf(c)
	sizes, err := m.list(0, in[1], "shape")
	if err != nil {
		return err
	}
	if m.shape, err = sizesOf(m.shape, sizes, "shape", c.Limits().Rank); err != nil {
		return err
	}
	if m.shape, err = broadcastTo(m.shape, x.Shape()); err != nil {
		return err
	}
	if slices.Equal(m.shape, x.Shape()) || x.Len() == 1 && allOnes(m.shape) {
		_, err := c.View(0, x, m.shape)
		return err
	}
	y, err := c.New(0, x.DataType(), m.shape)
	if err != nil || y.Len() == 0 {
		return err
	}
	m.start()
	step, stride := y.Len(), x.Len()
	lead := len(m.shape) - x.Rank()
	for i, d := range m.shape {
		step /= d
		if i < lead || x.Shape()[i-lead] == 1 {
			m.add(d, step, 0)
			continue
		}
		stride /= d
		m.add(d, step, stride)
	}
	return m.copy(y, 0, x, 0)
}

func allOnes(shape []int) bool {
	for _, d := range shape {
		if d != 1 {
			return false
		}
	}
	return true
}

func inferTile(n *Node) error {
	in := n.Shape(0)
	n.SetTensor(0, n.Elem(0), nil)
	if !in.Ranked() {
		if s := n.Shape(1); n.Since >= 6 && len(s) == 1 && s[0].Known() && s[0].Value <= maxKnownRank {
			n.SetTensor(0, n.Elem(0), onnx.UnknownShape(s[0].Value))
		}
		return nil
	}
	if n.Since < 6 {
		n.SetTensor(0, n.Elem(0), onnx.UnknownShape(len(in)))
		return nil
	}
	out := onnx.UnknownShape(len(in))
	repeats := n.Content(1)
	if s := n.Shape(1); len(s) == 1 && s[0].Known() && s[0].Value != len(in) {
		return onnx.Errorf(onnx.ErrShape, "repeats has %d entries, the input has rank %d", s[0].Value, len(in))
	}
	if repeats != nil && len(repeats.Elems) == len(in) {
		for i, r := range repeats.Elems {
			if r.Known && r.Value < 0 {
				return onnx.Errorf(onnx.ErrShape, "repeats[%d] = %d, want at least 0", i, r.Value)
			}
			out[i] = productDim([]onnx.Dim{in[i], r.Dim()})
		}
		if c := contentAt(n, 0); c != nil && len(in) == 1 && repeats.Elems[0].Known && repeats.Elems[0].Value <= maxContent {
			tiled := &Content{}
			for k := int64(0); k < repeats.Elems[0].Value && len(tiled.Elems) <= maxContent; k++ {
				tiled.Elems = append(tiled.Elems, c.Elems...)
			}
			n.SetContent(0, tiled)
		}
	}
	n.SetTensor(0, n.Elem(0), out)
	return nil
}

func buildTile(n *Node) (Kernel, error) {
	if n.Since < 6 {
		return KernelFunc(runTileAxis), nil
	}
	return KernelFunc(runTile), nil
}

func runTile(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	m := moverOf(c)
	repeats, err := m.list(0, in[1], "repeats")
	if err != nil {
		return err
	}
	return m.tile(x, repeats)
}

// runTileAxis is version 1: a number of tiles along an axis, both in the
// data's type.
func runTileAxis(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	m := moverOf(c)
	var v [2]int64
	for i, name := range [...]string{"tiles", "axis"} {
		list, err := m.sizesOfAnyType(in[1+i], name)
		if err != nil {
			return err
		}
		if len(list) != 1 {
			return onnx.Errorf(onnx.ErrShape, "%s has %d elements, want 1", name, len(list))
		}
		v[i] = list[0]
	}
	axis, err := Axis(v[1], x.Rank())
	if err != nil {
		return err
	}
	m.lists[1] = m.lists[1][:0]
	for i := range x.Rank() {
		r := int64(1)
		if i == axis {
			r = v[0]
		}
		m.lists[1] = append(m.lists[1], r)
	}
	return m.tile(x, m.lists[1])
}

// tile makes output 0 of x, repeated along each axis.
func (m *mover) tile(x *onnx.Tensor, repeats []int64) error {
	if len(repeats) != x.Rank() {
		return onnx.Errorf(onnx.ErrShape, "repeats has %d entries, the input has rank %d", len(repeats), x.Rank())
	}
	m.shape = m.shape[:0]
	for i, d := range x.Shape() {
		size, err := mulSizes(d, repeats[i], "repeats")
		if err != nil {
			return onnx.Errorf(onnx.ErrShape, "repeats[%d] = %d does not fit %v", i, repeats[i], slices.Clone(x.Shape()))
		}
		m.shape = append(m.shape, size)
	}
	if slices.Equal(m.shape, x.Shape()) {
		_, err := m.c.View(0, x, m.shape)
		return err
	}
	y, err := m.c.New(0, x.DataType(), m.shape)
	if err != nil || y.Len() == 0 {
		return err
	}
	m.start()
	step, stride := y.Len(), x.Len()
	for i, d := range x.Shape() {
		step /= int(repeats[i])
		m.add(int(repeats[i]), step, 0)
		step, stride = step/d, stride/d
		m.add(d, step, stride)
	}
	return m.copy(y, 0, x, 0)
}
