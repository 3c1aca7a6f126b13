package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(Op{Name: "Slice", Since: []int{1, 10, 11, 13}, Infer: inferSlice, Build: buildSlice})
}

// slicing takes ranges of elements along axes.
type slicing struct {
	attr                bool // version 1: starts, ends and axes are attributes
	starts, ends, taken []int64
}

func readSlice(n *Node) *slicing {
	k := &slicing{attr: n.Since < 10}
	if k.attr {
		k.starts, k.ends, k.taken = n.Ints("starts"), n.Ints("ends"), n.Ints("axes")
		return k
	}
	n.Has(3)
	n.Has(4)
	return k
}

// sliceAxis is the range of one axis: n elements from start on, step apart.
type sliceAxis struct{ start, step, n int }

// cutAxis gives the range that start, end and step mean for an axis of the
// given size. Negative places count from the end, and all are brought into
// the axis.
func cutAxis(start, end, step int64, size int) (sliceAxis, error) {
	n := int64(size)
	if start < 0 {
		start += n
	}
	if end < 0 {
		end += n
	}
	switch {
	case step == 0:
		return sliceAxis{}, onnx.Errorf(onnx.ErrShape, "a step of 0")
	case step > 0:
		start, end = min(max(start, 0), n), min(max(end, 0), n)
		if end <= start {
			return sliceAxis{0, 1, 0}, nil
		}
		step = min(step, n)
		return sliceAxis{int(start), int(step), int((end-start-1)/step + 1)}, nil
	}
	step = max(step, -max(n, 1))
	start, end = min(max(start, 0), n-1), min(max(end, -1), n-1)
	if start <= end {
		return sliceAxis{0, 1, 0}, nil
	}
	return sliceAxis{int(start), int(step), int((start-end-1)/-step + 1)}, nil
}

// known gives starts, ends, axes and steps as far as inference knows
// them; axes and steps are nil when they are left out.
func (k *slicing) known(n *Node) (starts, ends *Content, axes, steps []int64, ok bool) {
	if k.attr {
		return knownContent(k.starts), knownContent(k.ends), k.taken, nil, true
	}
	starts, ends, ok = n.Content(1), n.Content(2), true
	if n.Has(3) {
		axes, ok = n.ConstInts(3)
	}
	if n.Has(4) && ok {
		steps, ok = n.ConstInts(4)
	}
	return starts, ends, axes, steps, ok
}

func knownContent(list []int64) *Content {
	c := &Content{}
	for _, v := range list {
		c.Elems = append(c.Elems, Int(v))
	}
	return c
}

func inferSlice(n *Node) error {
	k := readSlice(n)
	in := n.Shape(0)
	n.SetTensor(0, n.Elem(0), nil)
	if err := n.Err(); err != nil || !in.Ranked() {
		return err
	}
	starts, ends, axes, steps, ok := k.known(n)
	if !ok {
		n.SetTensor(0, n.Elem(0), onnx.UnknownShape(len(in)))
		return nil
	}
	count := -1
	for _, c := range []*Content{starts, ends} {
		if c != nil {
			if count >= 0 && count != len(c.Elems) {
				return onnx.Errorf(onnx.ErrShape, "%d starts and %d ends", len(starts.Elems), len(ends.Elems))
			}
			count = len(c.Elems)
		}
	}
	if count < 0 {
		count = len(axes)
		if axes == nil {
			n.SetTensor(0, n.Elem(0), onnx.UnknownShape(len(in)))
			return nil
		}
	}
	if err := checkSliceLists(count, axes, steps, len(in)); err != nil {
		return err
	}
	out := in.Clone()
	content := contentAt(n, 0)
	for i := range count {
		axis := i
		if axes != nil {
			axis, _ = Axis(axes[i], len(in))
		}
		step := int64(1)
		if steps != nil {
			step = steps[i]
		}
		var err error
		if out[axis], err = slicedDim(in[axis], symAt(starts, i), symAt(ends, i), step); err != nil {
			return err
		}
		content = slicedContent(content, symAt(starts, i), symAt(ends, i), step)
	}
	n.SetTensor(0, n.Elem(0), out)
	n.SetContent(0, content)
	return nil
}

func symAt(c *Content, i int) Sym {
	if c == nil {
		return Sym{}
	}
	return c.Elems[i]
}

// checkSliceLists holds the lists against each other.
func checkSliceLists(count int, axes, steps []int64, rank int) error {
	if axes != nil && len(axes) != count || steps != nil && len(steps) != count {
		return onnx.Errorf(onnx.ErrShape, "%d starts, %d axes, %d steps: want the same number or none", count, len(axes), len(steps))
	}
	if axes == nil && count > rank {
		return onnx.Errorf(onnx.ErrShape, "%d starts, the input has rank %d", count, rank)
	}
	_, err := axisSetOf(axes, rank)
	return err
}

// farEnd is an end that is taken to lie beyond every axis.
const farEnd = math.MaxInt32

// slicedDim gives the size of a range of a dimension. A symbol survives where
// the range is certainly all of it.
func slicedDim(d onnx.Dim, start, end Sym, step int64) (onnx.Dim, error) {
	if step == 0 {
		return d, onnx.Errorf(onnx.ErrShape, "a step of 0")
	}
	if d.Known() && start.Known && end.Known {
		r, err := cutAxis(start.Value, end.Value, step, d.Value)
		return onnx.Fixed(r.n), err
	}
	far := end.Known && end.Value >= farEnd || !end.Known && end.Name != "" && end.Name == d.Name
	switch {
	case d.Known() && d.Value == 0:
		return d, nil
	case start.Known && start.Value == 0 && step == 1 && far:
		return d, nil
	case start.Known && start.Value == -1 && step == -1 && end.Known && end.Value < -farEnd:
		return d, nil
	case start.Known && end.Known && step > 0 && start.Value < 0 == (end.Value < 0) && end.Value <= start.Value:
		return onnx.Fixed(0), nil
	}
	return onnx.UnknownDim, nil
}

// slicedContent takes a range of a content of rank 1.
func slicedContent(c *Content, start, end Sym, step int64) *Content {
	if c == nil || c.Scalar || !start.Known || !end.Known {
		return nil
	}
	r, err := cutAxis(start.Value, end.Value, step, len(c.Elems))
	if err != nil {
		return nil
	}
	out := &Content{}
	for i := range r.n {
		out.Elems = append(out.Elems, c.Elems[r.start+i*r.step])
	}
	return out
}

func buildSlice(n *Node) (Kernel, error) { return readSlice(n), nil }

func (k *slicing) Run(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	m := moverOf(c)
	starts, ends, axes := k.starts, k.ends, k.taken
	var steps []int64
	if !k.attr {
		if starts, err = m.list(0, in[1], "starts"); err != nil {
			return err
		}
		if ends, err = m.list(1, in[2], "ends"); err != nil {
			return err
		}
		if len(in) > 3 && in[3] != nil {
			if axes, err = m.list(2, in[3], "axes"); err != nil {
				return err
			}
		}
		if len(in) > 4 && in[4] != nil {
			if steps, err = m.list(3, in[4], "steps"); err != nil {
				return err
			}
		}
	}
	return m.slice(x, starts, ends, axes, steps)
}

// slice makes output 0 of ranges of x.
func (m *mover) slice(x *onnx.Tensor, starts, ends, axes, steps []int64) error {
	s := x.Shape()
	if len(starts) != len(ends) {
		return onnx.Errorf(onnx.ErrShape, "%d starts and %d ends", len(starts), len(ends))
	}
	if err := checkSliceLists(len(starts), axes, steps, len(s)); err != nil {
		return err
	}
	m.settings = m.settings[:0]
	for _, d := range s {
		m.settings = append(m.settings, sliceAxis{0, 1, d})
	}
	for i, start := range starts {
		axis, step := i, int64(1)
		if axes != nil {
			axis, _ = Axis(axes[i], len(s))
		}
		if steps != nil {
			step = steps[i]
		}
		var err error
		if m.settings[axis], err = cutAxis(start, ends[i], step, s[axis]); err != nil {
			return onnx.Errorf(onnx.ErrShape, "steps[%d] = 0", i)
		}
	}
	m.shape = m.shape[:0]
	whole := true
	for axis, r := range m.settings {
		m.shape = append(m.shape, r.n)
		whole = whole && r == sliceAxis{0, 1, s[axis]}
	}
	if whole {
		_, err := m.c.View(0, x, m.shape)
		return err
	}
	if from, run := m.run(s); run && m.c.part(0, x, from, m.shape) {
		return nil
	}
	y, err := m.c.New(0, x.DataType(), m.shape)
	if err != nil || y.Len() == 0 {
		return err
	}
	m.start()
	from, step, stride := 0, y.Len(), x.Len()
	for axis, r := range m.settings {
		step /= r.n
		stride /= s[axis]
		from += r.start * stride
		m.add(r.n, step, r.step*stride)
	}
	return m.copy(y, 0, x, from)
}

// run reports whether what m.settings take of a tensor of shape s lies in one
// piece, in order, and gives the place where it begins.
func (m *mover) run(s []int) (from int, ok bool) {
	inner, cut := 1, false
	for axis := len(s) - 1; axis >= 0; axis-- {
		r := m.settings[axis]
		if r.n == 0 || cut && r.n != 1 || r.n > 1 && r.step != 1 {
			return 0, false
		}
		from += r.start * inner
		inner *= s[axis]
		cut = cut || r.n != s[axis]
	}
	return from, true
}
