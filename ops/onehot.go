package ops

import (
	"math"
	"slices"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "OneHot", Since: []int{9, 11, 28}, Infer: inferOneHot, Build: buildOneHot},
		Op{Name: "EyeLike", Since: []int{9, 22}, Infer: inferEyeLike, Build: buildEyeLike},
		Op{Name: "Trilu", Since: []int{14}, Infer: inferTrilu, Build: buildTrilu},
	)
}

func inferOneHot(n *Node) error {
	axis := n.Int("axis", -1)
	in := n.Shape(0)
	if s := n.Shape(2); s.Ranked() && (len(s) != 1 || s[0].Known() && s[0].Value != 2) {
		return onnx.Errorf(onnx.ErrShape, "values is of shape %v, want [2]", s)
	}
	n.SetTensor(0, n.Elem(2), nil)
	if !in.Ranked() {
		return n.Err()
	}
	a, err := Axis(axis, len(in)+1)
	if err != nil {
		return err
	}
	depth := onnx.UnknownDim
	if c := contentAt(n, 1); c != nil && len(c.Elems) == 1 {
		e := c.Elems[0]
		if e.Known && e.Value < 1 {
			return onnx.Errorf(onnx.ErrShape, "depth is %d, want at least 1", e.Value)
		}
		depth = e.Dim()
	}
	n.SetTensor(0, n.Elem(2), slices.Insert(in.Clone(), a, depth))
	return n.Err()
}

// oneHot sets, along a new axis, the element that an index names to one value
// and the others to another. An index outside the axis names none. Negative
// ones count from the end from version 11 on.
type oneHot struct {
	axis    int64
	wrapped bool
}

func buildOneHot(n *Node) (Kernel, error) {
	return &oneHot{n.Int("axis", -1), n.Since >= 11}, nil
}

func (k *oneHot) Run(c *Ctx, in, _ []onnx.Value) error {
	var t [3]*onnx.Tensor
	for i := range t {
		var err error
		if t[i], err = inputTensor(in, i); err != nil {
			return err
		}
	}
	index, values := t[0], t[2]
	if t[1].Len() != 1 {
		return onnx.Errorf(onnx.ErrShape, "depth has %d elements, want 1", t[1].Len())
	}
	depth, ok := wholeAt(t[1], 0)
	if !ok || depth < 1 || int64(int(depth)) != depth {
		return onnx.Errorf(onnx.ErrShape, "depth is %d, want at least 1", depth)
	}
	if values.Len() != 2 || values.Rank() != 1 {
		return onnx.Errorf(onnx.ErrShape, "values is of shape %v, want [2]", slices.Clone(values.Shape()))
	}
	axis, err := Axis(k.axis, index.Rank()+1)
	if err != nil {
		return err
	}
	m := moverOf(c)
	m.shape = append(append(append(m.shape[:0], index.Shape()[:axis]...), int(depth)), index.Shape()[axis:]...)
	if limit := c.Limits().Rank; len(m.shape) > limit {
		return &onnx.LimitError{What: "rank", Got: int64(len(m.shape)), Max: int64(limit)}
	}
	y, err := c.New(0, values.DataType(), m.shape)
	if err != nil || y.Len() == 0 {
		return err
	}
	if err := fillElements(c, y, values); err != nil { // by the first one, off
		return err
	}
	_, _, inner := split3(m.shape, axis)
	for j := range index.Len() {
		i, ok := wholeAt(index, j)
		if ok && i < 0 && k.wrapped {
			i += depth
		}
		if ok && i >= 0 && i < depth {
			copyElements(y, (j/inner*int(depth)+int(i))*inner+j%inner, values, 1, 1)
		}
		if j%cancelEvery == cancelEvery-1 {
			if err := c.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// wholeAt gives an element as an integer, truncated towards zero, and whether
// it has one.
func wholeAt(t *onnx.Tensor, i int) (int64, bool) {
	if v, ok := integerAt(t, i); ok || !t.DataType().IsFloat() {
		return v, ok
	}
	f, ok := numberAt(t, i)
	if !ok || !(math.Abs(f) < 1<<63) {
		return 0, false
	}
	return int64(f), true
}

// eyeType is the element type of an EyeLike's output.
func eyeType(n *Node) (onnx.DataType, error) {
	if !n.HasAttr("dtype") {
		return n.Elem(0), n.Err()
	}
	d := onnx.DataType(n.Int("dtype", 0))
	if oneOf(d) == nil {
		return d, onnx.Errorf(onnx.ErrUnsupported, "dtype %v", d)
	}
	return d, n.Err()
}

func inferEyeLike(n *Node) error {
	d, err := eyeType(n)
	if err != nil {
		return err
	}
	s := n.Shape(0)
	switch {
	case !s.Ranked():
		s = onnx.UnknownShape(2)
	case len(s) != 2:
		return onnx.Errorf(onnx.ErrShape, "input is of shape %v, want rank 2", s)
	}
	n.SetTensor(0, d, s)
	return nil
}

// oneOf gives the scalar 1 of an element type, nil when it has none.
func oneOf(d onnx.DataType) *onnx.Tensor {
	switch {
	case d == onnx.Float:
		return onnx.Scalar[float32](1)
	case d == onnx.Double:
		return onnx.Scalar[float64](1)
	case isNarrow(d) && d != onnx.Float8E8M0:
		t, _ := onnx.NewZeros(d, nil)
		NarrowTo(t, []float32{1})
		return t
	case d.IsInteger() || d == onnx.Bool:
		t, _ := onnx.NewZeros(d, nil)
		if b := t.Bytes(); littleEndianHost() {
			b[0] = 1
		} else {
			b[len(b)-1] = 1
		}
		return t
	}
	return nil
}

func littleEndianHost() bool {
	return onnx.Scalar[uint16](1).Bytes()[0] == 1
}

func buildEyeLike(n *Node) (Kernel, error) {
	d, err := eyeType(n)
	if err != nil {
		return nil, err
	}
	k, same := n.Int("k", 0), !n.HasAttr("dtype")
	one := oneOf(d)
	return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error {
		x, err := inputTensor(in, 0)
		if err != nil {
			return err
		}
		one := one
		if same && d != x.DataType() {
			one = oneOf(x.DataType())
		}
		if one == nil {
			return noLoop(x.DataType())
		}
		return eye(c, x.Shape(), one, k)
	}), nil
}

// eye makes output 0: ones where column - row = k, zeros elsewhere.
func eye(c *Ctx, shape []int, one *onnx.Tensor, k int64) error {
	if len(shape) != 2 {
		return onnx.Errorf(onnx.ErrShape, "input is of shape %v, want rank 2", slices.Clone(shape))
	}
	y, err := c.New(0, one.DataType(), shape)
	if err != nil {
		return err
	}
	zeroElements(y)
	rows, cols := int64(shape[0]), int64(shape[1])
	if rows == 0 || cols == 0 || k <= -rows || k >= cols {
		return nil
	}
	for row := max(0, -k); row < min(rows, cols-k); row++ {
		copyElements(y, int(row*cols+row+k), one, 0, 1)
	}
	return c.Err()
}

func inferTrilu(n *Node) error {
	s := n.Shape(0)
	if s.Ranked() && len(s) < 2 {
		return onnx.Errorf(onnx.ErrShape, "input is of shape %v, want at least rank 2", s)
	}
	n.Bool("upper", true)
	n.SetTensor(0, n.Elem(0), s)
	return n.Err()
}

func buildTrilu(n *Node) (Kernel, error) {
	n.Has(1)
	return &trilu{n.Bool("upper", true)}, nil
}

// trilu keeps the elements of each matrix on and above a diagonal, or on and
// below it, and sets the others to zero.
type trilu struct{ upper bool }

func (t *trilu) Run(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	if x.Rank() < 2 {
		return onnx.Errorf(onnx.ErrShape, "input is of shape %v, want at least rank 2", slices.Clone(x.Shape()))
	}
	k := int64(0)
	if len(in) > 1 && in[1] != nil {
		if k, err = scalarOf[int64](in[1], "k"); err != nil {
			return err
		}
	}
	y, err := c.New(0, x.DataType(), x.Shape(), 0)
	if err != nil || y.Len() == 0 {
		return err
	}
	m := moverOf(c)
	if err := m.copyAll(y, x); err != nil {
		return err
	}
	rows, cols := x.Shape()[x.Rank()-2], x.Shape()[x.Rank()-1]
	k = min(max(k, -int64(rows)), int64(cols)) // as far as any further
	p := pace{c: c}
	for r := range y.Len() / cols {
		first := r%rows + int(k) // the diagonal's column
		lo, hi := 0, min(max(first, 0), cols)
		if !t.upper {
			lo, hi = min(max(first+1, 0), cols), cols
		}
		zeroRange(y, r*cols+lo, r*cols+hi)
		if p.Stop(cols) {
			return c.Err()
		}
	}
	return nil
}

// zeroRange sets the elements lo..hi-1 to zero, false or "".
func zeroRange(t *onnx.Tensor, lo, hi int) {
	if t.DataType() == onnx.String {
		clear(t.Strings()[lo:hi])
		return
	}
	size := t.DataType().Size()
	clear(t.Bytes()[lo*size : hi*size])
}
