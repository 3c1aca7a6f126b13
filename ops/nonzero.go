package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "NonZero", Since: []int{9, 13}, Infer: inferNonZero, Build: plainBuild(runNonZero)},
		Op{Name: "Compress", Since: []int{9, 11, 28}, Infer: inferCompress, Build: buildCompress},
	)
}

func inferNonZero(n *Node) error {
	shape := onnx.UnknownShape(2)
	if s := n.Shape(0); s.Ranked() {
		shape[0] = onnx.Fixed(len(s))
	}
	n.SetTensor(0, onnx.Int64, shape)
	return nil
}

// signBits are the bits of an element that do not count when it is held
// against zero: -0 is zero.
func signBits(d onnx.DataType) uint64 {
	switch d {
	case onnx.Float:
		return 1 << 31
	case onnx.Double, onnx.Complex128: // of each half
		return 1 << 63
	case onnx.Float16, onnx.BFloat16:
		return 1 << 15
	case onnx.Complex64:
		return 1<<31 | 1<<63
	}
	return 0
}

var nonZeroLoops = byWidth[func(t *onnx.Tensor, lo, hi int, at []int) int]{
	w1:  nonZeroWords[uint8],
	w2:  nonZeroWords[uint16],
	w4:  nonZeroWords[uint32],
	w8:  nonZeroWords[uint64],
	w16: nonZeroWide,
	str: nonZeroStrings,
}

// nonZeroWords finds those of the elements lo..hi-1 that are not zero: it
// counts them, and where at is not nil, lists them there.
func nonZeroWords[T uint8 | uint16 | uint32 | uint64](t *onnx.Tensor, lo, hi int, at []int) int {
	mask := ^T(signBits(t.DataType()))
	n := 0
	for i, v := range cells[T](t)[lo:hi] {
		if v&mask == 0 {
			continue
		}
		if at != nil {
			at[n] = lo + i
		}
		n++
	}
	return n
}

func nonZeroWide(t *onnx.Tensor, lo, hi int, at []int) int {
	mask := ^signBits(t.DataType())
	n := 0
	for i, v := range cells[wide](t)[lo:hi] {
		if (v[0]|v[1])&mask == 0 {
			continue
		}
		if at != nil {
			at[n] = lo + i
		}
		n++
	}
	return n
}

// nonZeroStrings takes "" for zero.
func nonZeroStrings(t *onnx.Tensor, lo, hi int, at []int) int {
	n := 0
	for i, v := range t.Strings()[lo:hi] {
		if v == "" {
			continue
		}
		if at != nil {
			at[n] = lo + i
		}
		n++
	}
	return n
}

// nonZeros lists the elements that are not zero in scratch memory.
func nonZeros(c *Ctx, t *onnx.Tensor) ([]int, error) {
	loop := nonZeroLoops.of(t.DataType())
	const block = 16 * cancelEvery
	n := 0
	for lo := 0; lo < t.Len(); lo += block {
		n += loop(t, lo, min(lo+block, t.Len()), nil)
		if err := c.Err(); err != nil {
			return nil, err
		}
	}
	buf, err := Scratch[int64](c, n)
	if err != nil || n == 0 {
		return nil, err
	}
	at := intsOver(buf)
	for lo, k := 0, 0; k < n; lo += block {
		k += loop(t, lo, min(lo+block, t.Len()), at[k:])
		if err := c.Err(); err != nil {
			return nil, err
		}
	}
	return at, nil
}

func runNonZero(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	at, err := nonZeros(c, x)
	if err != nil {
		return err
	}
	shape := [2]int{x.Rank(), len(at)}
	y, err := c.New(0, onnx.Int64, shape[:])
	if err != nil || y.Len() == 0 {
		return err
	}
	dst := onnx.Elements[int64](y)
	stride := 1
	for axis := x.Rank() - 1; axis >= 0; axis-- {
		size := x.Shape()[axis]
		row := dst[axis*len(at):][:len(at)]
		for i, k := range at {
			row[i] = int64(k / stride % size)
		}
		stride *= size
		if err := c.Err(); err != nil {
			return err
		}
	}
	return nil
}

// compress keeps the slices along an axis, or the elements, for which a
// condition holds.
type compress struct {
	axis int64
	flat bool
}

func inferCompress(n *Node) error {
	in, cond := n.Shape(0), n.Shape(1)
	if cond.Ranked() && len(cond) != 1 {
		return onnx.Errorf(onnx.ErrShape, "condition is of shape %v, want rank 1", cond)
	}
	count, most := onnx.UnknownDim, onnx.UnknownDim
	if t := n.Const(1); t != nil && t.DataType() == onnx.Bool && t.External() == nil {
		count = onnx.Fixed(nonZeroWords[uint8](t, 0, t.Len(), nil))
	}
	if len(cond) == 1 {
		most = cond[0]
	}
	axis := n.Int("axis", 0)
	if !n.HasAttr("axis") {
		n.SetTensor(0, n.Elem(0), onnx.Shape{count})
		return nil
	}
	n.SetTensor(0, n.Elem(0), nil)
	if !in.Ranked() {
		return n.Err()
	}
	a, err := Axis(axis, len(in))
	if err != nil {
		return err
	}
	if most.Known() && in[a].Known() && most.Value > in[a].Value {
		return onnx.Errorf(onnx.ErrShape, "condition has %d elements, the axis %d", most.Value, in[a].Value)
	}
	out := in.Clone()
	out[a] = count
	n.SetTensor(0, n.Elem(0), out)
	return n.Err()
}

func buildCompress(n *Node) (Kernel, error) {
	return &compress{n.Int("axis", 0), !n.HasAttr("axis")}, nil
}

func (k *compress) Run(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	cond, err := inputTensor(in, 1)
	if err != nil {
		return err
	}
	if cond.Rank() != 1 || cond.DataType() != onnx.Bool {
		return onnx.Errorf(onnx.ErrShape, "condition is %v, want bool of rank 1", cond)
	}
	m := moverOf(c)
	m.shape = append(m.shape[:0], x.Len())
	axis := 0
	if !k.flat {
		if axis, err = Axis(k.axis, x.Rank()); err != nil {
			return err
		}
		m.shape = append(m.shape[:0], x.Shape()...)
	}
	outer, size, inner := split3(m.shape, axis)
	if cond.Len() > size {
		return onnx.Errorf(onnx.ErrShape, "condition has %d elements, the axis %d of %v", cond.Len(), size, slices.Clone(x.Shape()))
	}
	at, err := nonZeros(c, cond)
	if err != nil {
		return err
	}
	for i := range at {
		at[i] *= inner
	}
	m.shape[axis] = len(at)
	y, err := c.New(0, x.DataType(), m.shape)
	if err != nil || y.Len() == 0 {
		return err
	}
	return m.take(y, x, outer, size*inner, at, inner)
}
