package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "MatMulInteger", Since: []int{10}, Infer: inferMatMulInteger, Build: buildMatMulInteger},
		Op{Name: "ConvInteger", Since: []int{10}, Infer: inferConvInteger, Build: buildConvInteger},
		Op{Name: "QLinearMatMul", Since: []int{10, 21}, Infer: inferQLinearMatMul, Build: buildQLinearMatMul},
		Op{Name: "QLinearConv", Since: []int{10}, Infer: inferQLinearConv, Build: buildQLinearConv},
	)
}

// Products of 8-bit integers: each operand less its zero point, summed in
// int32, which wraps.

// side says which of a product's operands a zero point or scale belongs to: a
// vector of them goes by the rows of the left one, the columns of the right
// one, or the first dimension of a convolution's weights.
type side int

const (
	leftSide side = iota
	rightSide
	weightSide
)

// alongside gives the shape in which a zero point or scale of the given shape
// is broadcast to its operand.
func (s side) alongside(shape []int, rank int) []int {
	if len(shape) != 1 || shape[0] == 1 {
		return shape
	}
	switch s {
	case leftSide:
		return []int{shape[0], 1}
	case weightSide:
		out := []int{shape[0]}
		for range rank - 1 {
			out = append(out, 1)
		}
		return out
	}
	return shape
}

// stretch calls f for each element of an operand with the index of its zero
// point or scale, which is broadcast from shape to the operand's.
func stretch(shape, operand []int, f func(i, at int)) error {
	if len(shape) > len(operand) {
		if n, err := onnx.NumElements(shape); err != nil || n != 1 {
			return onnx.Errorf(onnx.ErrShape, "a zero point or scale is %v, its operand %v", append([]int(nil), shape...), append([]int(nil), operand...))
		}
		shape = nil
	}
	step := make([]int, len(operand))
	size := 1
	for d := len(shape) - 1; d >= 0; d-- {
		k := len(operand) - len(shape) + d
		if shape[d] != 1 && shape[d] != operand[k] {
			return onnx.Errorf(onnx.ErrShape, "a zero point or scale is %v, its operand %v", append([]int(nil), shape...), append([]int(nil), operand...))
		}
		if shape[d] != 1 {
			step[k] = size
		}
		size *= shape[d]
	}
	n, err := onnx.NumElements(operand)
	if err != nil || n == 0 {
		return err
	}
	w := groupWalk{shape: operand, step: step, pos: make([]int, len(operand))}
	w.walk(f)
	return nil
}

// widenBytes converts elements of int8 or uint8.
func widenBytes(dst []int32, t *onnx.Tensor) {
	if t.DataType() == onnx.Int8 {
		for i, v := range onnx.Elements[int8](t) {
			dst[i] = int32(v)
		}
		return
	}
	for i, v := range onnx.Elements[uint8](t) {
		dst[i] = int32(v)
	}
}

// lessZero writes an operand less its zero point, which may be nil.
func lessZero(dst []int32, t, zero *onnx.Tensor, s side) error {
	widenBytes(dst, t)
	if zero == nil {
		return nil
	}
	if zero.Len() == 1 {
		var z [1]int32
		if widenBytes(z[:], zero); z[0] != 0 {
			for i := range dst {
				dst[i] -= z[0]
			}
		}
		return nil
	}
	z := make([]int32, zero.Len())
	widenBytes(z, zero)
	return stretch(s.alongside(zero.Shape(), t.Rank()), t.Shape(), func(i, at int) { dst[i] -= z[at] })
}

// integerOperand gives an operand less its zero point: what was made of it at
// load, or a copy for this run.
func integerOperand(c *Ctx, packed []int32, t, zero *onnx.Tensor, s side) ([]int32, error) {
	if packed != nil {
		return packed, nil
	}
	dst, err := Scratch[int32](c, t.Len())
	if err != nil {
		return nil, err
	}
	return dst, lessZero(dst, t, zero, s)
}

// packOperand makes a constant operand less its constant zero point at load;
// nil where one of them is not constant.
func packOperand(n *Node, operand, zero int, s side) ([]int32, error) {
	t, z := n.Const(operand), n.Const(zero)
	if t == nil || n.Has(zero) && z == nil {
		return nil, nil
	}
	dst := make([]int32, t.Len())
	return dst, lessZero(dst, t, z, s)
}

func inferMatMulInteger(n *Node) error {
	shape, err := matmulShape(n.Shape(0), n.Shape(1))
	n.SetTensor(0, onnx.Int32, shape)
	return err
}

func buildMatMulInteger(n *Node) (Kernel, error) {
	n.Has(2)
	packed, err := packOperand(n, 1, 3, rightSide)
	return &matmulInteger{packed}, err
}

type matmulInteger struct {
	packed []int32 // B less its zero point, where constant
}

func (k *matmulInteger) Run(c *Ctx, in, _ []onnx.Value) error {
	a, b := in[0].(*onnx.Tensor), in[1].(*onnx.Tensor)
	loc := Local[matmulLocal[int32]](c)
	if err := loc.fit(a.Shape(), b.Shape()); err != nil {
		return err
	}
	t, err := c.New(0, onnx.Int32, loc.shape)
	if err != nil {
		return err
	}
	return multiplyIntegers(c, &loc.product, onnx.Elements[int32](t), a, tensorIn(in, 2), b, tensorIn(in, 3), k.packed)
}

// multiplyIntegers multiplies 8-bit operands less their zero points.
func multiplyIntegers(c *Ctx, p *product[int32], y []int32, a, zeroA, b, zeroB *onnx.Tensor, packed []int32) error {
	var err error
	clear(y)
	p.y = y
	if p.a, err = integerOperand(c, nil, a, zeroA, leftSide); err != nil {
		return err
	}
	if p.b, err = integerOperand(c, packed, b, zeroB, rightSide); err != nil {
		return err
	}
	return p.run(c)
}

func inferConvInteger(n *Node) error {
	return inferConvOf(n, n.Shape(0), n.Shape(1), nil, onnx.Int32)
}

func buildConvInteger(n *Node) (Kernel, error) {
	win, err := readWindow(n)
	if err != nil {
		return nil, err
	}
	n.Has(2)
	packed, err := packOperand(n, 1, 3, weightSide)
	return &convInteger{conv[int32]{win: win, group: n.Int("group", 1), level: n.Level()}, packed}, err
}

type convInteger struct {
	conv[int32]
	packed []int32 // the weights less their zero point, where constant
}

func (k *convInteger) Run(c *Ctx, in, _ []onnx.Value) error {
	x, w := in[0].(*onnx.Tensor), in[1].(*onnx.Tensor)
	loc := Local[convLocal[int32]](c)
	if err := loc.fit(&k.conv, x, w, nil); err != nil {
		return err
	}
	t, err := c.New(0, onnx.Int32, loc.shape)
	if err != nil {
		return err
	}
	if z := tensorIn(in, 2); z != nil && z.Len() != 1 {
		return onnx.Errorf(onnx.ErrShape, "x_zero_point is %v, want one element", z)
	}
	if loc.x, err = integerOperand(c, nil, x, tensorIn(in, 2), weightSide); err != nil {
		return err
	}
	if loc.w, err = integerOperand(c, k.packed, w, tensorIn(in, 3), weightSide); err != nil {
		return err
	}
	loc.b, loc.y = nil, onnx.Elements[int32](t)
	return loc.run(c, &k.conv)
}

// Quantized products. An operand stands for (element - zero point) * scale;
// the result is divided by its scale, rounded to nearest with ties to even,
// and moved by its zero point.

func inferQLinearMatMul(n *Node) error {
	shape, err := matmulShape(n.Shape(0), n.Shape(3))
	n.SetTensor(0, n.Elem(7), shape)
	return err
}

func buildQLinearMatMul(n *Node) (Kernel, error) {
	if !n.Elem(0).IsInteger() || !n.Elem(3).IsInteger() || !n.Elem(7).IsInteger() {
		return KernelFunc(runQLinearFloat), nil
	}
	packed, err := packOperand(n, 3, 5, rightSide)
	return &qlinearMatMul{packed}, err
}

type qlinearMatMul struct {
	packed []int32 // b less its zero point, where constant
}

func (k *qlinearMatMul) Run(c *Ctx, in, _ []onnx.Value) error {
	a, b, zero := in[0].(*onnx.Tensor), in[3].(*onnx.Tensor), in[7].(*onnx.Tensor)
	loc := Local[matmulLocal[int32]](c)
	if err := loc.fit(a.Shape(), b.Shape()); err != nil {
		return err
	}
	t, err := c.New(0, zero.DataType(), loc.shape)
	if err != nil {
		return err
	}
	sums, err := Scratch[int32](c, t.Len())
	if err != nil {
		return err
	}
	if err := multiplyIntegers(c, &loc.product, sums, a, in[2].(*onnx.Tensor), b, in[5].(*onnx.Tensor), k.packed); err != nil {
		return err
	}
	factor, err := qlinearFactors(c, in, loc.shape, a.Rank(), b.Rank())
	if err != nil {
		return err
	}
	zeros, err := outputZeros(c, zero, loc.shape)
	if err != nil {
		return err
	}
	requantize(t, sums, factor, zeros)
	return nil
}

// qlinearFactors gives a_scale*b_scale/y_scale: one, or one for each element of
// the result.
func qlinearFactors(c *Ctx, in []onnx.Value, shape []int, rankA, rankB int) ([]float32, error) {
	var s [3][]float32
	var at [3][]int
	scalar := true
	for i, k := range [3]int{1, 4, 6} {
		t := in[k].(*onnx.Tensor)
		var err error
		if s[i], err = readReal[float32](c, t); err != nil {
			return nil, err
		}
		if len(s[i]) == 0 {
			return nil, onnx.Errorf(onnx.ErrShape, "a scale is %v, want at least one element", t)
		}
		at[i] = t.Shape()
		scalar = scalar && len(s[i]) == 1
	}
	if scalar {
		out, err := Scratch[float32](c, 1)
		if err == nil {
			out[0] = s[0][0] * s[1][0] / s[2][0]
		}
		return out, err
	}
	n, err := onnx.NumElements(shape)
	if err != nil || n == 0 {
		return nil, err
	}
	out, err := Scratch[float32](c, n)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i] = 1
	}
	sides := [3]side{leftSide, rightSide, leftSide}
	for i := range s {
		apply := func(j, at int) { out[j] *= s[i][at] }
		if i == 2 {
			apply = func(j, at int) { out[j] /= s[i][at] }
		}
		target := sides[i].alongside(at[i], len(shape))
		if len(s[i]) > 1 && (rankA < 2 || rankB < 2) {
			return nil, onnx.Errorf(onnx.ErrShape, "a scale has %d elements, want one for a product with a vector", len(s[i]))
		}
		if err := stretch(target, shape, apply); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// outputZeros gives the zero points of a result: one, or one for each element.
func outputZeros(c *Ctx, zero *onnx.Tensor, shape []int) ([]int32, error) {
	z, err := Scratch[int32](c, max(zero.Len(), 1))
	if err != nil {
		return nil, err
	}
	if zero.Len() == 0 {
		return nil, onnx.Errorf(onnx.ErrShape, "the zero point of the result is %v, want an element", zero)
	}
	if widenBytes(z, zero); len(z) == 1 {
		return z, nil
	}
	n, err := onnx.NumElements(shape)
	if err != nil || n == 0 {
		return nil, err
	}
	out, err := Scratch[int32](c, n)
	if err != nil {
		return nil, err
	}
	return out, stretch(leftSide.alongside(zero.Shape(), len(shape)), shape, func(i, at int) { out[i] = z[at] })
}

// requantize rounds sums*factor and adds the zero point; what does not fit
// becomes the nearest that does. factor and zero have one element or as many
// as there are sums.
func requantize(t *onnx.Tensor, sums []int32, factor []float32, zero []int32) {
	if t.DataType() == onnx.Int8 {
		requantizeTo(onnx.Elements[int8](t), sums, factor, zero, math.MinInt8, math.MaxInt8)
		return
	}
	requantizeTo(onnx.Elements[uint8](t), sums, factor, zero, 0, math.MaxUint8)
}

func requantizeTo[T int8 | uint8](dst []T, sums []int32, factor []float32, zero []int32, lo, hi float64) {
	if len(dst) == 0 {
		return
	}
	f, z := factor[0], float64(zero[0])
	for i, s := range sums {
		if len(factor) > 1 {
			f = factor[i]
		}
		if len(zero) > 1 {
			z = float64(zero[i])
		}
		v := math.RoundToEven(float64(float32(s)*f)) + z
		if v != v {
			v = z
		}
		dst[i] = T(min(max(v, lo), hi))
	}
}

// runQLinearFloat is QLinearMatMul where an operand is of a floating-point type.
func runQLinearFloat(c *Ctx, in, _ []onnx.Value) error {
	a, b, zero := in[0].(*onnx.Tensor), in[3].(*onnx.Tensor), in[7].(*onnx.Tensor)
	loc := Local[matmulLocal[float32]](c)
	if err := loc.fit(a.Shape(), b.Shape()); err != nil {
		return err
	}
	t, err := c.New(0, zero.DataType(), loc.shape)
	if err != nil {
		return err
	}
	p := &loc.product
	if p.y, err = Scratch[float32](c, t.Len()); err != nil {
		return err
	}
	y := p.y
	clear(y)
	if p.a, err = dequantized(c, a, in[1].(*onnx.Tensor), in[2].(*onnx.Tensor), leftSide); err != nil {
		return err
	}
	if p.b, err = dequantized(c, b, in[4].(*onnx.Tensor), in[5].(*onnx.Tensor), rightSide); err != nil {
		return err
	}
	if err := p.run(c); err != nil {
		return err
	}
	scale, err := readReal[float32](c, in[6].(*onnx.Tensor))
	if err != nil {
		return err
	}
	z, err := byteReals(c, zero)
	if err != nil {
		return err
	}
	if len(scale) != 1 || len(z) != 1 {
		return onnx.Errorf(onnx.ErrShape, "y_scale is %v, y_zero_point %v, want one element each", in[6].(*onnx.Tensor), zero)
	}
	for i := range y {
		y[i] /= scale[0]
	}
	if zero.DataType().IsFloat() {
		for i := range y {
			y[i] += z[0]
		}
		NarrowTo(t, y)
		return nil
	}
	lo, hi := 0.0, 255.0
	if zero.DataType() == onnx.Int8 {
		lo, hi = -128, 127
	}
	raw := t.Bytes()
	for i, v := range y {
		q := math.RoundToEven(float64(v)) + float64(z[0])
		if q != q {
			q = float64(z[0])
		}
		raw[i] = byte(int(min(max(q, lo), hi)))
	}
	return nil
}

// byteReals gives the elements of an 8-bit tensor of any type, in memory of the
// run's own.
func byteReals(c *Ctx, t *onnx.Tensor) ([]float32, error) {
	if t.DataType().IsFloat() {
		return readReal[float32](c, t)
	}
	ints, err := Scratch[int32](c, t.Len())
	if err != nil {
		return nil, err
	}
	widenBytes(ints, t)
	out, err := Scratch[float32](c, t.Len())
	if err != nil {
		return nil, err
	}
	for i, v := range ints {
		out[i] = float32(v)
	}
	return out, nil
}

// dequantized gives (t - zero) * scale.
func dequantized(c *Ctx, t, scale, zero *onnx.Tensor, s side) ([]float32, error) {
	out, err := byteReals(c, t)
	if err != nil {
		return nil, err
	}
	z, err := byteReals(c, zero)
	if err != nil {
		return nil, err
	}
	f, err := readReal[float32](c, scale)
	if err != nil {
		return nil, err
	}
	if err := stretch(s.alongside(zero.Shape(), t.Rank()), t.Shape(), func(i, at int) { out[i] -= z[at] }); err != nil {
		return nil, err
	}
	return out, stretch(s.alongside(scale.Shape(), t.Rank()), t.Shape(), func(i, at int) { out[i] *= f[at] })
}

func inferQLinearConv(n *Node) error {
	return inferConvOf(n, n.Shape(0), n.Shape(3), n.Shape(8), n.Elem(7))
}

func buildQLinearConv(n *Node) (Kernel, error) {
	win, err := readWindow(n)
	if err != nil {
		return nil, err
	}
	n.Has(8)
	packed, err := packOperand(n, 3, 5, weightSide)
	return &qlinearConv{conv[int32]{win: win, group: n.Int("group", 1), level: n.Level()}, packed}, err
}

type qlinearConv struct {
	conv[int32]
	packed []int32 // the weights less their zero points, where constant
}

func (k *qlinearConv) Run(c *Ctx, in, _ []onnx.Value) error {
	x, w, b, zero := in[0].(*onnx.Tensor), in[3].(*onnx.Tensor), tensorIn(in, 8), in[7].(*onnx.Tensor)
	loc := Local[convLocal[int32]](c)
	if err := loc.fit(&k.conv, x, w, b); err != nil {
		return err
	}
	scales, err := convScales(in, w.Shape()[0])
	if err != nil {
		return err
	}
	for _, i := range []int{2, 7} {
		if z := in[i].(*onnx.Tensor); z.Len() != 1 {
			return onnx.Errorf(onnx.ErrShape, "a zero point is %v, want one element", z)
		}
	}
	t, err := c.New(0, zero.DataType(), loc.shape)
	if err != nil {
		return err
	}
	sums, err := Scratch[int32](c, t.Len())
	if err != nil {
		return err
	}
	if loc.x, err = integerOperand(c, nil, x, in[2].(*onnx.Tensor), weightSide); err != nil {
		return err
	}
	if loc.w, err = integerOperand(c, k.packed, w, in[5].(*onnx.Tensor), weightSide); err != nil {
		return err
	}
	if loc.b, loc.y = nil, sums; b != nil {
		loc.b = onnx.Elements[int32](b)
	}
	if err := loc.run(c, &k.conv); err != nil {
		return err
	}
	var z [1]int32
	widenBytes(z[:], zero)
	outputs := w.Shape()[0]
	for p := 0; p < len(sums); p += loc.outSize {
		f := scales[p/loc.outSize%outputs]
		part := sums[p : p+loc.outSize]
		if zero.DataType() == onnx.Int8 {
			requantizeTo(onnx.Elements[int8](t)[p:], part, []float32{f}, z[:], math.MinInt8, math.MaxInt8)
		} else {
			requantizeTo(onnx.Elements[uint8](t)[p:], part, []float32{f}, z[:], 0, math.MaxUint8)
		}
	}
	return nil
}

// convScales gives x_scale*w_scale/y_scale for each output channel.
func convScales(in []onnx.Value, outputs int) ([]float32, error) {
	x, w, y := onnx.Elements[float32](in[1].(*onnx.Tensor)), onnx.Elements[float32](in[4].(*onnx.Tensor)), onnx.Elements[float32](in[6].(*onnx.Tensor))
	if len(x) != 1 || len(y) != 1 || len(w) != 1 && len(w) != outputs {
		return nil, onnx.Errorf(onnx.ErrShape, "x_scale, w_scale and y_scale have %d, %d and %d elements, want 1, 1 or %d, and 1", len(x), len(w), len(y), outputs)
	}
	out := make([]float32, outputs)
	for i := range out {
		out[i] = x[0] * w[i%len(w)] / y[0]
	}
	return out, nil
}
