package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

// Operators that old releases of ONNX had as experimental ones: they have no
// schema, and exporters of opsets below 10 wrote them.
func init() {
	register(
		Op{Name: "ConstantFill", Since: []int{1}, Infer: inferConstantFill, Build: buildConstantFill},
		Op{Name: "ThresholdedRelu", Since: []int{1}, Types: []onnx.DataType{onnx.Float, onnx.Double, onnx.Float16},
			Infer: inferThresholdedRelu1, Build: buildThresholdedRelu1},
	)
}

// inputsOf checks the number of inputs of a node without a schema.
func inputsOf(n *Node, low, high int) error {
	if n.NumInputs() < low || n.NumInputs() > high {
		return onnx.Errorf(onnx.ErrMalformed, "%d inputs, want %d..%d", n.NumInputs(), low, high)
	}
	for i := range n.NumInputs() {
		if !n.Has(i) {
			return onnx.Errorf(onnx.ErrMalformed, "input %d is missing", i)
		}
	}
	return nil
}

func inferThresholdedRelu1(n *Node) error {
	if err := inputsOf(n, 1, 1); err != nil {
		return err
	}
	return inferUnary(n)
}

func buildThresholdedRelu1(n *Node) (Kernel, error) {
	alpha := n.Float("alpha", 1)
	single := &mapping[float32, float32]{func(dst, src []float32) { kernel.ThresholdedRelu(dst, src, alpha) }, cheapGrain}
	double := &mapping[float64, float64]{func(dst, src []float64) { kernel.ThresholdedRelu(dst, src, float64(alpha)) }, cheapGrain}
	return newUnary(onnx.Undefined, floatMaps(single, double)), nil
}

// constantFill makes a tensor of one value. Its shape is the attribute shape
// where there is no input; else the input's elements (input_as_shape 1) or its
// shape, followed by extra_shape.
type constantFill struct {
	value        *onnx.Tensor
	shape, extra []int64
	fromElements bool
}

// fillTypes are the element types that attribute dtype may name; its value is
// a float.
var fillTypes = map[onnx.DataType]func(float32) *onnx.Tensor{
	onnx.Float:  func(v float32) *onnx.Tensor { return onnx.Scalar(v) },
	onnx.Double: func(v float32) *onnx.Tensor { return onnx.Scalar(float64(v)) },
	onnx.Int32:  func(v float32) *onnx.Tensor { return onnx.Scalar(kernel.ToInteger[int32](float64(v))) },
	onnx.Int64:  func(v float32) *onnx.Tensor { return onnx.Scalar(kernel.ToInteger[int64](float64(v))) },
	onnx.Bool:   func(v float32) *onnx.Tensor { return onnx.Scalar(v != 0) },
}

func readConstantFill(n *Node) (*constantFill, error) {
	if err := inputsOf(n, 0, 1); err != nil {
		return nil, err
	}
	k := &constantFill{shape: n.Ints("shape"), extra: n.Ints("extra_shape"), fromElements: n.Bool("input_as_shape", false)}
	d := onnx.DataType(n.Int("dtype", int64(onnx.Float)))
	value := n.Float("value", 0)
	make, ok := fillTypes[d]
	switch {
	case n.Err() != nil:
		return nil, n.Err()
	case !ok:
		return nil, onnx.Errorf(onnx.ErrUnsupported, "dtype is %v, want float, double, int32, int64 or bool", d)
	case n.NumInputs() == 0 && (k.shape == nil || k.extra != nil || k.fromElements):
		return nil, onnx.Errorf(onnx.ErrMalformed, "no input, want shape and neither extra_shape nor input_as_shape")
	case n.NumInputs() == 1 && k.shape != nil:
		return nil, onnx.Errorf(onnx.ErrMalformed, "shape and an input, want one of them")
	case k.fromElements && n.Elem(0) != onnx.Int64 && n.Elem(0) != onnx.Int32 && n.Elem(0) != onnx.Undefined:
		return nil, onnx.Errorf(onnx.ErrType, "input_as_shape with an input of %v, want int64 or int32", n.Elem(0))
	}
	for _, list := range [][]int64{k.shape, k.extra} {
		if i := slices.IndexFunc(list, func(v int64) bool { return v < 0 || int64(int(v)) != v }); i >= 0 {
			return nil, onnx.Errorf(onnx.ErrShape, "size %d is %d, want at least 0", i, list[i])
		}
	}
	k.value = make(value)
	return k, nil
}

func inferConstantFill(n *Node) error {
	k, err := readConstantFill(n)
	if err != nil {
		return err
	}
	var shape onnx.Shape
	switch {
	case n.NumInputs() == 0:
		shape = onnx.Shape{}
	case k.fromElements:
		if shape, err = shapeFrom(n, 0); err != nil {
			return err
		}
	default:
		shape = n.Shape(0).Clone()
	}
	if shape != nil {
		for _, d := range slices.Concat(k.shape, k.extra) {
			shape = append(shape, onnx.Fixed(int(d)))
		}
	}
	n.SetTensor(0, k.value.DataType(), shape)
	n.SetContent(0, repeatContent(shape, elementContent(k.value)))
	return nil
}

func buildConstantFill(n *Node) (Kernel, error) { return readConstantFill(n) }

// Run makes the tensor.
func (k *constantFill) Run(c *Ctx, in, _ []onnx.Value) error {
	m := moverOf(c)
	var err error
	sizes := k.shape
	if len(in) > 0 && k.fromElements {
		if sizes, err = m.list(0, in[0], "input"); err != nil {
			return err
		}
	}
	if m.shape, err = sizesOf(m.shape, sizes, "input", c.Limits().Rank); err != nil {
		return err
	}
	if len(in) > 0 && !k.fromElements {
		x, ok := in[0].(*onnx.Tensor)
		if !ok {
			return onnx.Errorf(onnx.ErrType, "the input is a %s, want a tensor", in[0].Type().Name())
		}
		m.shape = append(m.shape[:0], x.Shape()...)
	}
	for _, d := range k.extra {
		m.shape = append(m.shape, int(d))
	}
	y, err := c.New(0, k.value.DataType(), m.shape)
	if err != nil || y.Len() == 0 {
		return err
	}
	return fillElements(c, y, k.value)
}
