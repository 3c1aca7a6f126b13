package ops

import (
	"math"
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(
		Op{Name: "QuantizeLinear", Since: []int{10, 13, 19, 21, 23, 24, 25, 28}, Infer: inferQuantize, Build: buildQuantize},
		Op{Name: "DequantizeLinear", Since: []int{10, 13, 19, 21, 23, 24, 25, 28}, Infer: inferDequantize, Build: buildDequantize},
		Op{Name: "DynamicQuantizeLinear", Since: []int{11}, Infer: inferDynamicQuantize,
			Build: func(n *Node) (Kernel, error) { return KernelFunc(runDynamicQuantize), nil }},
	)
}

// quantization is how scales and zero points belong to elements: one pair for
// all, or one for each position of an axis, or one for each block of
// blockSize positions of an axis.
type quantization struct {
	axis, blockSize int64
}

func readQuantization(n *Node) quantization {
	q := quantization{axis: 1}
	if n.Since >= 13 {
		q.axis = n.Int("axis", 1)
	}
	if n.Since >= 21 {
		if q.blockSize = n.Int("block_size", 0); q.blockSize < 0 {
			n.fail(onnx.ErrMalformed, "block_size is %d, want 0 or more", q.blockSize)
		}
	}
	return q
}

// typeAttr reads an attribute that names an element type; Undefined when it is
// not set or 0.
func typeAttr(n *Node, name string) onnx.DataType {
	d := n.Int(name, 0)
	if d < 0 || d > math.MaxInt32 || d != 0 && !onnx.DataType(d).Valid() {
		n.fail(onnx.ErrType, "attribute %q is %d, want an element type", name, d)
		return onnx.Undefined
	}
	return onnx.DataType(d)
}

// quantSpans says which elements have which scale.
type quantSpans struct {
	outer, size, inner int // the tensor, its axis in the middle
	block              int // positions of the axis that share a scale, 0 when all elements do
	blocked            bool
}

// spans holds the shapes against each other.
func (q quantization) spans(x, scale, zero *onnx.Tensor) (quantSpans, error) {
	all := quantSpans{outer: 1, size: 1, inner: x.Len()}
	if zero != nil && (zero.Len() != scale.Len() || scale.Rank() > 1 && !slices.Equal(zero.Shape(), scale.Shape())) {
		return all, onnx.Errorf(onnx.ErrShape, "the zero point is %v, the scale %v, want equal shapes", zero, scale)
	}
	if scale.Rank() == 0 || scale.Len() == 1 && scale.Rank() == 1 && q.blockSize == 0 {
		return all, nil
	}
	axis, err := Axis(q.axis, x.Rank())
	if err != nil {
		return all, err
	}
	e := extentAt(x.Shape(), axis)
	s := quantSpans{outer: e.outer, size: e.red, inner: e.inner, block: 1}
	if q.blockSize == 0 {
		if scale.Rank() != 1 || scale.Len() != e.red {
			return all, onnx.Errorf(onnx.ErrShape, "the scale is %v, want a scalar or %d elements for axis %d of %v", scale, e.red, axis, x)
		}
		return s, nil
	}
	s.blocked = true
	s.block = int(min(q.blockSize, int64(max(1, e.red))))
	ok := scale.Rank() == x.Rank()
	for i := 0; ok && i < x.Rank(); i++ {
		want := x.Shape()[i]
		if i == axis {
			want = ceilDiv(want, s.block)
		}
		ok = scale.Shape()[i] == want
	}
	if !ok {
		return all, onnx.Errorf(onnx.ErrShape, "the scale is %v, want one for each block of %d along axis %d of %v", scale, q.blockSize, axis, x)
	}
	return s, nil
}

// each calls f for stretches of elements that have one scale: where they begin,
// how many there are, and the place of the scale.
func (s quantSpans) each(c *Ctx, f func(at, n, scale int)) error {
	if s.block == 0 {
		for at := 0; at < s.inner; at += reduceBlock {
			if err := c.Err(); err != nil {
				return err
			}
			f(at, min(reduceBlock, s.inner-at), 0)
		}
		return nil
	}
	p := pace{c: c}
	blocks := ceilDiv(s.size, s.block)
	for o := range s.outer {
		for b := range blocks {
			first := b * s.block
			n := min(s.block, s.size-first)
			at := (o*s.size + first) * s.inner
			switch {
			case !s.blocked:
				f(at, s.inner, b)
			case s.inner == 1:
				f(at, n, o*blocks+b)
			default:
				for k := range n * s.inner {
					f(at+k, 1, (o*blocks+b)*s.inner+k%s.inner)
				}
			}
			if p.Stop(n * s.inner) {
				return c.Err()
			}
		}
	}
	return nil
}

// float32Of gives the elements of a tensor as float32: as they are, or
// converted in scratch memory.
func float32Of(c *Ctx, t *onnx.Tensor) ([]float32, error) {
	if t.DataType() == onnx.Float {
		return onnx.Elements[float32](t), nil
	}
	out, err := Scratch[float32](c, t.Len())
	if err != nil {
		return nil, err
	}
	switch {
	case isNarrow(t.DataType()):
		WidenTo(out, t)
	case t.DataType() == onnx.Int32:
		for i, v := range onnx.Elements[int32](t) {
			out[i] = float32(v)
		}
	default:
		return nil, onnx.Errorf(onnx.ErrType, "element type %v", t.DataType())
	}
	return out, nil
}

// int32Of gives element i of a small integer tensor.
func int32Of(t *onnx.Tensor, i int) int32 {
	switch t.DataType() {
	case onnx.Int8, onnx.Int4, onnx.Int2:
		return int32(onnx.Elements[int8](t)[i])
	case onnx.Uint8, onnx.Uint4, onnx.Uint2:
		return int32(onnx.Elements[uint8](t)[i])
	case onnx.Int16:
		return int32(onnx.Elements[int16](t)[i])
	case onnx.Uint16:
		return int32(onnx.Elements[uint16](t)[i])
	case onnx.Int32:
		return onnx.Elements[int32](t)[i]
	}
	return 0
}

// quantizeKernel is QuantizeLinear: y = saturate(x / scale + zero).
type quantizeKernel struct {
	quantization
	to        onnx.DataType // Undefined: that of the zero point
	precision onnx.DataType // of the division; Undefined: that of the scale
	saturate  bool
}

func quantizedType(n *Node) onnx.DataType {
	to := onnx.Undefined
	if n.Since >= 21 {
		to = typeAttr(n, "output_dtype")
	}
	switch zero := n.Elem(2); {
	case !n.Has(2) && to == onnx.Undefined:
		return onnx.Uint8
	case !n.Has(2) || zero == onnx.Undefined:
		return to
	case to != onnx.Undefined && to != zero:
		n.fail(onnx.ErrType, "output_dtype is %v, the zero point is of type %v", to, zero)
		return to
	default:
		return zero
	}
}

func inferQuantize(n *Node) error {
	n.SetTensor(0, quantizedType(n), n.Shape(0))
	return nil
}

func buildQuantize(n *Node) (Kernel, error) {
	k := &quantizeKernel{quantization: readQuantization(n), to: quantizedType(n), saturate: true}
	if n.Since >= 19 {
		k.saturate = n.Bool("saturate", true)
	}
	if n.Since >= 23 {
		switch k.precision = typeAttr(n, "precision"); k.precision {
		case onnx.Undefined, onnx.Float, onnx.Float16, onnx.BFloat16:
		default:
			return nil, onnx.Errorf(onnx.ErrUnsupported, "precision %v, want float, float16 or bfloat16", k.precision)
		}
	}
	if k.to != onnx.Undefined && quantizeLoops[k.to] == nil {
		return nil, onnx.Errorf(onnx.ErrUnsupported, "output_dtype %v", k.to)
	}
	return k, n.Err()
}

// quantizeJob is what a stretch of elements needs.
type quantizeJob struct {
	y, zero   *onnx.Tensor
	x, scales []float32
	zeros     []float32 // for floating-point types
	precision onnx.DataType
	loop      quantizeLoop
	saturate  bool
	span      func(at, n, scale int)
}

func (k *quantizeKernel) Run(c *Ctx, in, out []onnx.Value) error {
	x, scale := in[0].(*onnx.Tensor), in[1].(*onnx.Tensor)
	var zero *onnx.Tensor
	to := k.to
	if len(in) > 2 && in[2] != nil {
		zero = in[2].(*onnx.Tensor)
		if to == onnx.Undefined {
			to = zero.DataType()
		}
	}
	s, err := k.spans(x, scale, zero)
	if err != nil {
		return err
	}
	y, err := c.New(0, to, x.Shape())
	if err != nil || y.Len() == 0 {
		return err
	}
	j := Local[quantizeJob](c)
	if j.span == nil {
		j.span = j.stretch
	}
	*j = quantizeJob{y: y, zero: zero, precision: k.precision, loop: quantizeLoops[to], saturate: k.saturate, span: j.span}
	if j.loop == nil || zero != nil && zero.DataType() != to {
		return onnx.Errorf(onnx.ErrType, "output type %v with a zero point %v", to, zero)
	}
	if j.x, err = float32Of(c, x); err != nil {
		return err
	}
	if j.scales, err = float32Of(c, scale); err != nil {
		return err
	}
	if zero != nil && isNarrow(to) {
		if j.zeros, err = float32Of(c, zero); err != nil {
			return err
		}
	}
	if j.precision == onnx.Undefined {
		j.precision = scale.DataType()
	}
	return s.each(c, j.span)
}

func (j *quantizeJob) stretch(at, n, scale int) {
	x := j.x[at : at+n]
	s := j.scales[scale]
	if j.precision == onnx.Float16 || j.precision == onnx.BFloat16 {
		var buf [64]float32
		for ; len(x) > 0; x, at = x[min(len(x), len(buf)):], at+len(buf) {
			part := buf[:min(len(x), len(buf))]
			s := roundTo(j.precision, s)
			for i := range part {
				part[i] = roundTo(j.precision, roundTo(j.precision, x[i])/s)
			}
			j.loop(j, at, part, 1, scale)
		}
		return
	}
	j.loop(j, at, x, s, scale)
}

// roundTo rounds to a 16-bit type and back.
func roundTo(d onnx.DataType, v float32) float32 {
	if d == onnx.Float16 {
		return onnx.ToF16(v).Float32()
	}
	return onnx.ToBF16(v).Float32()
}

// quantizeLoop quantizes x to the output's elements from at on, with a scale
// and the zero point of that place.
type quantizeLoop func(j *quantizeJob, at int, x []float32, scale float32, place int)

var quantizeLoops [onnx.Int2 + 1]quantizeLoop

func init() {
	quantizeLoops = [onnx.Int2 + 1]quantizeLoop{
		onnx.Int8:           quantizeInts[int8](-128, 127),
		onnx.Uint8:          quantizeInts[uint8](0, 255),
		onnx.Int16:          quantizeInts[int16](math.MinInt16, math.MaxInt16),
		onnx.Uint16:         quantizeInts[uint16](0, math.MaxUint16),
		onnx.Int4:           quantizeInts[int8](-8, 7),
		onnx.Uint4:          quantizeInts[uint8](0, 15),
		onnx.Int2:           quantizeInts[int8](-2, 1),
		onnx.Uint2:          quantizeInts[uint8](0, 3),
		onnx.Float8E4M3FN:   quantizeFloats(onnx.ToF8E4M3),
		onnx.Float8E4M3FNUZ: quantizeFloats(onnx.ToF8E4M3UZ),
		onnx.Float8E5M2:     quantizeFloats(onnx.ToF8E5M2),
		onnx.Float8E5M2FNUZ: quantizeFloats(onnx.ToF8E5M2UZ),
		onnx.Float4E2M1:     quantizeFloats(func(x float32, _ bool) onnx.F4E2M1 { return onnx.ToF4E2M1(x) }),
	}
}

func quantizeInts[T int8 | uint8 | int16 | uint16](lo, hi float64) quantizeLoop {
	return func(j *quantizeJob, at int, x []float32, scale float32, place int) {
		zero := int32(0)
		if j.zero != nil {
			zero = int32Of(j.zero, place)
		}
		kernel.Quantize(onnx.Elements[T](j.y)[at:at+len(x)], x, scale, zero, lo, hi)
	}
}

func quantizeFloats[T onnx.Element](round func(x float32, saturate bool) T) quantizeLoop {
	return func(j *quantizeJob, at int, x []float32, scale float32, place int) {
		zero := float32(0)
		if j.zeros != nil {
			zero = j.zeros[place]
		}
		y := onnx.Elements[T](j.y)[at : at+len(x)]
		for i, v := range x {
			v /= scale
			if zero != 0 {
				v += zero
			}
			y[i] = round(v, j.saturate)
		}
	}
}

// dequantizeKernel is DequantizeLinear: y = (x - zero) * scale.
type dequantizeKernel struct {
	quantization
	to onnx.DataType // Undefined: that of the scale
}

func dequantizedType(n *Node) onnx.DataType {
	to := onnx.Undefined
	if n.Since >= 23 {
		to = typeAttr(n, "output_dtype")
	}
	if to == onnx.Undefined {
		to = n.Elem(1)
	}
	switch to {
	case onnx.Undefined, onnx.Float, onnx.Float16, onnx.BFloat16:
	default:
		n.fail(onnx.ErrType, "the output is of type %v, want float, float16 or bfloat16", to)
	}
	return to
}

func inferDequantize(n *Node) error {
	n.SetTensor(0, dequantizedType(n), n.Shape(0))
	return nil
}

func buildDequantize(n *Node) (Kernel, error) {
	n.Has(2)
	return &dequantizeKernel{quantization: readQuantization(n), to: dequantizedType(n)}, n.Err()
}

// dequantizeJob is what a stretch of elements needs.
type dequantizeJob struct {
	x, zero   *onnx.Tensor
	y, scales []float32
	wide      []float32 // x where it is of a floating-point type
	zeros     []float32
	loop      func(j *dequantizeJob, at, n int, scale float32, zero int32)
	span      func(at, n, scale int)
}

func (k *dequantizeKernel) Run(c *Ctx, in, out []onnx.Value) error {
	x, scale := in[0].(*onnx.Tensor), in[1].(*onnx.Tensor)
	var zero *onnx.Tensor
	if len(in) > 2 && in[2] != nil {
		zero = in[2].(*onnx.Tensor)
		if zero.DataType() != x.DataType() {
			return onnx.Errorf(onnx.ErrType, "the zero point is of type %v, x of %v", zero.DataType(), x.DataType())
		}
	}
	s, err := k.spans(x, scale, zero)
	if err != nil {
		return err
	}
	to := k.to
	if to == onnx.Undefined {
		to = scale.DataType()
	}
	y, err := c.New(0, to, x.Shape())
	if err != nil || y.Len() == 0 {
		return err
	}
	j := Local[dequantizeJob](c)
	if j.span == nil {
		j.span = j.stretch
	}
	*j = dequantizeJob{x: x, zero: zero, span: j.span}
	if j.scales, err = float32Of(c, scale); err != nil {
		return err
	}
	if isNarrow(x.DataType()) {
		if j.wide, err = float32Of(c, x); err == nil && zero != nil {
			j.zeros, err = float32Of(c, zero)
		}
		if err != nil {
			return err
		}
	} else if j.loop = dequantizeLoops[x.DataType()]; j.loop == nil {
		return onnx.Errorf(onnx.ErrType, "element type %v", x.DataType())
	}
	if to == onnx.Float {
		j.y = onnx.Elements[float32](y)
		return s.each(c, j.span)
	}
	if j.y, err = Scratch[float32](c, x.Len()); err != nil {
		return err
	}
	if err := s.each(c, j.span); err != nil {
		return err
	}
	NarrowTo(y, j.y)
	return nil
}

func (j *dequantizeJob) stretch(at, n, scale int) {
	if j.loop != nil {
		zero := int32(0)
		if j.zero != nil {
			zero = int32Of(j.zero, scale)
		}
		j.loop(j, at, n, j.scales[scale], zero)
		return
	}
	y, x, s := j.y[at:at+n], j.wide[at:at+n], j.scales[scale]
	zero := float32(0)
	if j.zeros != nil {
		zero = j.zeros[scale]
	}
	for i, v := range x {
		if zero != 0 {
			v -= zero
		}
		y[i] = v * s
	}
}

var dequantizeLoops = [...]func(j *dequantizeJob, at, n int, scale float32, zero int32){
	onnx.Int8:   dequantizeInts[int8],
	onnx.Uint8:  dequantizeInts[uint8],
	onnx.Int16:  dequantizeInts[int16],
	onnx.Uint16: dequantizeInts[uint16],
	onnx.Int32:  dequantizeInts[int32],
	onnx.Int4:   dequantizeInts[int8],
	onnx.Uint4:  dequantizeInts[uint8],
	onnx.Int2:   dequantizeInts[int8],
	onnx.Uint2:  dequantizeInts[uint8],
}

func dequantizeInts[T int8 | uint8 | int16 | uint16 | int32](j *dequantizeJob, at, n int, scale float32, zero int32) {
	kernel.Dequantize(j.y[at:at+n], onnx.Elements[T](j.x)[at:at+n], scale, zero)
}

func inferDynamicQuantize(n *Node) error {
	n.SetTensor(0, onnx.Uint8, n.Shape(0))
	n.SetTensor(1, onnx.Float, onnx.Shape{})
	n.SetTensor(2, onnx.Uint8, onnx.Shape{})
	return nil
}

// runDynamicQuantize quantizes to uint8 with a scale and a zero point of the
// tensor's own range, which is made to include 0:
//
//	scale = (max - min) / 255
//	zero  = saturate(round(0 - min/scale))
//
// A tensor of zeros has scale 1, so that it can be brought back.
func runDynamicQuantize(c *Ctx, in, out []onnx.Value) error {
	t := in[0].(*onnx.Tensor)
	x := onnx.Elements[float32](t)
	y, err := c.New(0, onnx.Uint8, t.Shape())
	if err != nil {
		return err
	}
	scale, err := c.New(1, onnx.Float, nil)
	if err != nil {
		return err
	}
	zero, err := c.New(2, onnx.Uint8, nil)
	if err != nil {
		return err
	}
	lo := kernel.FoldRow(kernel.FoldMin, 0, x)
	hi := kernel.FoldRow(kernel.FoldMax, 0, x)
	s := (hi - lo) / 255
	if s == 0 {
		s = 1
	}
	z := onnx.Elements[uint8](zero)
	kernel.Quantize(z, []float32{-lo}, s, 0, 0, 255)
	onnx.Elements[float32](scale)[0] = s
	q := onnx.Elements[uint8](y)
	for at := 0; at < len(x); at += reduceBlock {
		if err := c.Err(); err != nil {
			return err
		}
		end := min(len(x), at+reduceBlock)
		kernel.Quantize(q[at:end], x[at:end], s, int32(z[0]), 0, 255)
	}
	return nil
}
