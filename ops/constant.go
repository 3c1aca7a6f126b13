package ops

import (
	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "Constant", Since: []int{1, 9, 11, 12, 13, 19, 21, 23, 24, 25}, Infer: inferConstant, Build: buildConstant},
		Op{Name: "ConstantOfShape", Since: []int{9, 20, 21, 23, 24, 25}, Infer: inferConstantOfShape, Build: buildConstantOfShape},
	)
}

// readConstant gives a Constant's value: dense, or sparse.
func readConstant(n *Node) (*onnx.Tensor, *onnx.SparseTensor, error) {
	var dense []*onnx.Tensor
	if t := n.TensorAttr("value"); t != nil {
		dense = append(dense, t)
	}
	if n.HasAttr("value_float") {
		dense = append(dense, onnx.Scalar(n.Float("value_float", 0)))
	}
	if v := n.Floats("value_floats"); v != nil {
		dense = append(dense, onnx.MustTensor([]int{len(v)}, v))
	}
	if n.HasAttr("value_int") {
		dense = append(dense, onnx.Scalar(n.Int("value_int", 0)))
	}
	if v := n.Ints("value_ints"); v != nil {
		dense = append(dense, onnx.MustTensor([]int{len(v)}, v))
	}
	if n.HasAttr("value_string") {
		dense = append(dense, onnx.Scalar(n.Str("value_string", "")))
	}
	if v := n.Strs("value_strings"); v != nil {
		dense = append(dense, onnx.MustTensor([]int{len(v)}, v))
	}
	var sparse *onnx.SparseTensor
	if a := n.typed("sparse_value", onnx.AttrSparseTensor); a != nil {
		sparse = a.SparseTensor
	}
	if err := n.Err(); err != nil {
		return nil, nil, err
	}
	count := len(dense)
	if sparse != nil {
		count++
	}
	if count != 1 {
		return nil, nil, onnx.Errorf(onnx.ErrMalformed, "%d values, want one of the attributes value, sparse_value and value_*", count)
	}
	if sparse == nil {
		return dense[0], nil, nil
	}
	if err := sparse.Check(); err != nil {
		return nil, nil, err
	}
	if sparse.Values.External() != nil || sparse.Indices.External() != nil {
		return nil, nil, onnx.Errorf(onnx.ErrMalformed, "attribute %q: external data has not been read", "sparse_value")
	}
	return nil, sparse, nil
}

func inferConstant(n *Node) error {
	dense, sparse, err := readConstant(n)
	switch {
	case err != nil:
		return err
	case sparse != nil:
		n.SetTensor(0, sparse.Values.DataType(), onnx.FixedShape(sparse.Dims...))
	default:
		n.SetInfo(0, ConstInfo(dense))
	}
	return nil
}

func buildConstant(n *Node) (Kernel, error) {
	dense, sparse, err := readConstant(n)
	if err != nil {
		return nil, err
	}
	if sparse != nil {
		return &sparseConstant{sparse}, nil
	}
	return KernelFunc(func(_ *Ctx, _, out []onnx.Value) error {
		out[0] = dense
		return nil
	}), nil
}

// sparseConstant makes a sparse tensor dense.
type sparseConstant struct{ t *onnx.SparseTensor }

func (k *sparseConstant) Run(c *Ctx, _, _ []onnx.Value) error {
	s := k.t
	y, err := c.New(0, s.Values.DataType(), s.Dims)
	if err != nil {
		return err
	}
	zeroElements(y)
	index := onnx.Elements[int64](s.Indices)
	if s.Indices.Rank() == 1 {
		for i, at := range index {
			copyElements(y, int(at), s.Values, i, 1)
		}
		return nil
	}
	rank := len(s.Dims)
	for i := range s.Values.Len() {
		at := 0
		for axis, d := range s.Dims {
			at = at*d + int(index[i*rank+axis])
		}
		copyElements(y, at, s.Values, i, 1)
	}
	return nil
}

// readFill gives the value of a ConstantOfShape.
func readFill(n *Node) (*onnx.Tensor, error) {
	t := n.TensorAttr("value")
	switch {
	case n.Err() != nil:
		return nil, n.Err()
	case t == nil:
		return onnx.Scalar[float32](0), nil
	case t.Len() != 1:
		return nil, onnx.Errorf(onnx.ErrShape, "value is of shape %v, want one element", t.Shape())
	}
	return t, nil
}

// shapeFrom gives the shape that input i, a list of sizes, says: nil when its
// length is not known.
func shapeFrom(n *Node, i int) (onnx.Shape, error) {
	s := n.Shape(i)
	if s != nil && len(s) != 1 {
		return nil, onnx.Errorf(onnx.ErrShape, "%s is of shape %v, want rank 1", n.formal(i, true), s)
	}
	if c := n.Content(i); c != nil && !c.Scalar {
		out := make(onnx.Shape, len(c.Elems))
		for k, e := range c.Elems {
			if e.Known && e.Value < 0 {
				return nil, onnx.Errorf(onnx.ErrShape, "%s[%d] = %d, want at least 0", n.formal(i, true), k, e.Value)
			}
			out[k] = e.Dim()
		}
		return out, nil
	}
	if len(s) == 1 && s[0].Known() && s[0].Value <= maxKnownRank {
		return onnx.UnknownShape(s[0].Value), nil
	}
	return nil, nil
}

// maxKnownRank bounds the rank that inference takes from the length of a list.
const maxKnownRank = 64

func inferConstantOfShape(n *Node) error {
	value, err := readFill(n)
	if err != nil {
		return err
	}
	shape, err := shapeFrom(n, 0)
	if err != nil {
		return err
	}
	n.SetTensor(0, value.DataType(), shape)
	elem := elementContent(value)
	n.SetContent(0, repeatContent(shape, elem))
	return nil
}

// elementContent gives what inference tracks of a constant's first element.
func elementContent(t *onnx.Tensor) Sym {
	switch t.DataType() {
	case onnx.Int64, onnx.Int32:
		return Int(indexAt(t, 0))
	case onnx.Bool:
		return symBool(onnx.Elements[bool](t)[0])
	case onnx.Float:
		return symFloat(float64(onnx.Elements[float32](t)[0]), onnx.Float)
	case onnx.Double:
		return symFloat(onnx.Elements[float64](t)[0], onnx.Double)
	}
	return Sym{}
}

// repeatContent gives the content of a tensor of equal elements.
func repeatContent(shape onnx.Shape, e Sym) *Content {
	if shape == nil || len(shape) > 1 || e == (Sym{}) {
		return nil
	}
	if len(shape) == 0 {
		return &Content{Scalar: true, Elems: []Sym{e}}
	}
	if !shape[0].Known() || shape[0].Value > maxContent {
		return nil
	}
	c := &Content{Elems: make([]Sym, shape[0].Value)}
	for i := range c.Elems {
		c.Elems[i] = e
	}
	return c
}

func buildConstantOfShape(n *Node) (Kernel, error) {
	value, err := readFill(n)
	if err != nil {
		return nil, err
	}
	return &constantOfShape{value}, nil
}

type constantOfShape struct{ value *onnx.Tensor }

func (k *constantOfShape) Run(c *Ctx, in, _ []onnx.Value) error {
	m := moverOf(c)
	sizes, err := m.list(0, in[0], "input")
	if err != nil {
		return err
	}
	if m.shape, err = sizesOf(m.shape, sizes, "input", c.Limits().Rank); err != nil {
		return err
	}
	y, err := c.New(0, k.value.DataType(), m.shape)
	if err != nil || y.Len() == 0 {
		return err
	}
	return fillElements(c, y, k.value)
}

// sizesOf checks a list of sizes and gives it as a shape, in dst's memory.
func sizesOf(dst []int, sizes []int64, name string, rank int) ([]int, error) {
	if len(sizes) > rank {
		return dst, &onnx.LimitError{What: "rank", Got: int64(len(sizes)), Max: int64(rank)}
	}
	dst = dst[:0]
	for i, s := range sizes {
		if s < 0 || int64(int(s)) != s {
			return dst, onnx.Errorf(onnx.ErrShape, "%s[%d] = %d, want a size of at least 0", name, i, s)
		}
		dst = append(dst, int(s))
	}
	return dst, nil
}
