package rewrite

import (
	"math"
	"strings"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// Arithmetic, broadcasting, casts, constants, quantization.

// upBroadcast gives the second operand trailing dimensions of size 1 where an
// axis says that its dimensions are not the last ones of the first.
func upBroadcast(m *move) {
	broadcast, axis := m.takeInt("broadcast", 0) != 0, m.take("axis")
	if !broadcast || axis == nil {
		return
	}
	b := m.shape(1)
	if dims, ok := knownDims(b); ok && product(dims) == 1 {
		return // one element fits anywhere
	}
	rank, small := m.rank(0), m.rank(1)
	at := fromFront([]int64{axis.Int}, rank)[0]
	trailing := rank - int(at) - small
	if at < 0 || trailing < 0 {
		m.fail("axis %d for operands of rank %d and %d", axis.Int, rank, small)
	}
	if m.err != nil || trailing == 0 {
		return
	}
	axes := make([]int64, trailing)
	for i := range axes {
		axes[i] = int64(small + i)
	}
	m.insert(1, onnx.UnknownShape(small+trailing), "Unsqueeze", "axes", axes)
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// downBroadcast wants equal shapes, or a second operand whose shape is a part
// of the first one's.
func downBroadcast(m *move) {
	a, b := m.shape(0), m.shape(1)
	switch dims, known := knownDims(b); {
	case sameDims(a, b):
		return
	case known && len(b) <= len(a) && product(dims) == 1 && a.Ranked():
		m.set("broadcast", 1)
		return
	case !a.Ranked() || !b.Ranked():
		m.fail("the shapes of the operands, %v and %v, must be known to be said with the attribute broadcast", a, b)
		return
	}
	if at, ok := placeIn(a, b); ok {
		m.set("broadcast", 1)
		m.set("axis", at)
		m.squeezeOnes(1, a, b)
		return
	}
	if at, ok := placeIn(b, a); ok && m.commutes() {
		m.node.Inputs[0], m.node.Inputs[1] = m.node.Inputs[1], m.node.Inputs[0]
		m.set("broadcast", 1)
		m.set("axis", at)
		m.squeezeOnes(1, b, a)
		return
	}
	m.fail("shapes %v and %v need the broadcasting of opset 7", a, b)
}

func (m *move) commutes() bool {
	switch m.node.OpType {
	case "Add", "Mul", "And", "Or", "Xor", "Equal":
		return true
	}
	return false
}

// sameDims reports whether two shapes are certainly equal.
func sameDims(a, b onnx.Shape) bool {
	if !a.Ranked() || !b.Ranked() || len(a) != len(b) {
		return false
	}
	for i := range a {
		if !a[i].Same(b[i]) {
			return false
		}
	}
	return true
}

// placeIn gives the axis of big at which small's dimensions begin, those of
// size 1 around them left out; ok is false when there is no such place.
func placeIn(big, small onnx.Shape) (axis int, ok bool) {
	if len(small) > len(big) {
		return 0, false
	}
	offset := len(big) - len(small)
	lo, hi := coreOf(small)
	if lo == hi {
		return 0, true
	}
	return offset + lo, sameDims(big[offset+lo:offset+hi], small[lo:hi])
}

// coreOf gives the range of dimensions without those of size 1 at the ends.
func coreOf(s onnx.Shape) (lo, hi int) {
	lo, hi = 0, len(s)
	for lo < hi && s[lo].Value == 1 {
		lo++
	}
	for hi > lo && s[hi-1].Value == 1 {
		hi--
	}
	return lo, hi
}

// squeezeOnes removes the dimensions of size 1 at the ends of an input.
func (m *move) squeezeOnes(i int, big, small onnx.Shape) {
	lo, hi := coreOf(small)
	var axes []int64
	for k := range small {
		if k < lo || k >= hi {
			axes = append(axes, int64(k))
		}
	}
	if len(axes) == 0 {
		return
	}
	m.insert(i, onnx.UnknownShape(hi-lo), "Squeeze", "axes", axes)
}

// downEqualShapes wants operands of one shape.
func downEqualShapes(m *move) {
	for i := 1; i < len(m.node.Inputs); i++ {
		if !sameDims(m.shape(0), m.shape(i)) {
			m.fail("operands of shapes %v and %v need the broadcasting of opset 8", m.shape(0), m.shape(i))
		}
	}
}

// upPRelu gives slopes of channels, the second dimension, trailing dimensions
// of size 1.
func upPRelu(m *move) {
	slope := m.shape(1)
	if dims, ok := knownDims(slope); ok && product(dims) == 1 {
		return
	}
	rank := m.rank(0)
	if m.rank(1) != 1 || rank <= 2 {
		return
	}
	var axes []int64
	for i := 1; i <= rank-2; i++ {
		axes = append(axes, int64(i))
	}
	m.insert(1, onnx.UnknownShape(rank-1), "Unsqueeze", "axes", axes)
}

func downPRelu(m *move) {
	x, slope := m.shape(0), m.shape(1)
	if dims, ok := knownDims(slope); ok && product(dims) == 1 {
		return
	}
	at, ok := placeIn(x, slope)
	lo, hi := coreOf(slope)
	if !x.Ranked() || !slope.Ranked() || !ok || at != 1 || hi-lo != 1 {
		m.fail("slopes of shape %v for %v are none of channels", slope, x)
		return
	}
	m.squeezeOnes(1, x, slope)
}

// downGemmC gives a C of zero.
func downGemmC(m *move) {
	if !m.has(2) {
		m.setInput(2, m.constant("C", m.scalar(0, m.element(0))))
	}
}

// downOrEqual writes a >= b as (a > b) or (a = b).
func downOrEqual(m *move) {
	in := m.node.Inputs
	strict, equal := m.value("strict", ops.Info{}), m.value("equal", ops.Info{})
	m.gone = true
	m.before = append(m.before, m.helper(strings.TrimSuffix(m.node.OpType, "OrEqual"), in, strict), m.helper("Equal", in, equal))
	m.after = append(m.after, m.helper("Or", []string{strict, equal}, m.node.Outputs[0]))
}

// The defaults of Selu's first version have fewer digits.

func upSelu6(m *move) {
	m.take("consumed_inputs")
	m.spell("alpha", 1.6732)
	m.spell("gamma", 1.0507)
}

func downSelu6(m *move) {
	m.spell("alpha", 1.67326319217681884765625)
	m.spell("gamma", 1.05070102214813232421875)
}

// spell sets an attribute that is not set.
func (m *move) spell(name string, v float32) {
	if m.node.Attr(name) == nil {
		m.set(name, v)
	}
}

// The first Clip has no bounds where none are given, later ones the least and
// greatest finite numbers.

func upClip6(m *move) {
	m.take("consumed_inputs")
	m.spell("min", float32(math.Inf(-1)))
	m.spell("max", float32(math.Inf(1)))
}

func downClip6(m *move) {
	m.spell("min", -math.MaxFloat32)
	m.spell("max", math.MaxFloat32)
}

func upClip(m *move) {
	for i, name := range []string{"min", "max"} {
		if a := m.take(name); a != nil {
			m.setInput(1+i, m.constant(name, m.scalar(float64(a.Float), m.element(0))))
		}
	}
}

// downClip makes bounds attributes; where one is no constant, Max and Min bound
// instead.
func downClip(m *move) {
	constant := true
	for i, name := range []string{"min", "max"} {
		if v, ok := m.float(1 + i); ok {
			m.set(name, v)
		} else if m.has(1 + i) {
			constant = false
		}
	}
	if constant {
		m.cutInputs(1)
		return
	}
	if m.target < 8 {
		m.fail("a bound is not a constant")
		return
	}
	m.gone = true
	from := m.node.Inputs[0]
	bound := func(op string, inputs []string, attrs ...any) {
		to := m.value(op, ops.Info{})
		m.before = append(m.before, m.helper(op, inputs, to, attrs...))
		from = to
	}
	if !m.has(1) { // a bound that is absent is the greatest finite number
		bound("Clip", []string{from}, "max", float32(math.Inf(1)))
	}
	if !m.has(2) {
		bound("Clip", []string{from}, "min", float32(math.Inf(-1)))
	}
	for i, op := range []string{"Max", "Min"} {
		if m.has(1 + i) {
			bound(op, []string{from, m.node.Inputs[1+i]})
		}
	}
	m.before[len(m.before)-1].Outputs[0] = m.node.Outputs[0]
}

// Element types by name became numbers.

func upCast6(m *move) {
	a := m.take("to")
	if a == nil {
		return
	}
	d, err := onnx.ParseDataType(a.String)
	if err != nil {
		m.fail("%v", err)
	}
	m.set("to", int64(d))
}

func downCast6(m *move) {
	m.set("to", strings.ToUpper(onnx.DataType(m.takeInt("to", 0)).String()))
}

func downCastLike(m *move) {
	d := m.element(1)
	m.cutInputs(1)
	m.node.OpType = "Cast"
	m.set("to", int64(d))
}

func downSparseConstant(m *move) {
	a := m.take("sparse_value")
	if a == nil {
		return
	}
	t, err := a.SparseTensor.Dense()
	if err != nil {
		m.fail("%v", err)
		return
	}
	m.set("value", t)
}

// downConstant writes every kind of value as a tensor.
func downConstant(m *move) {
	for _, name := range []string{"value_float", "value_floats", "value_int", "value_ints", "value_string", "value_strings"} {
		a := m.take(name)
		if a == nil {
			continue
		}
		var t *onnx.Tensor
		switch name {
		case "value_float":
			t = onnx.Scalar(a.Float)
		case "value_floats":
			t = onnx.MustTensor([]int{len(a.Floats)}, a.Floats)
		case "value_int":
			t = onnx.Scalar(a.Int)
		case "value_ints":
			t = onnx.MustTensor([]int{len(a.Ints)}, a.Ints)
		case "value_string":
			t = onnx.Scalar(a.String)
		default:
			t = onnx.MustTensor([]int{len(a.Strings)}, a.Strings)
		}
		m.set("value", t)
	}
}

// downQuantAxis wants one scale for all elements, for which the axis means
// nothing.
func downQuantAxis(m *move) {
	m.take("axis")
	if dims, ok := knownDims(m.shape(1)); !ok || product(dims) != 1 || len(dims) > 1 {
		m.fail("scales of shape %v, where opset %d has one for all elements", m.shape(1), m.level)
	}
}

// downQuantType drops output_dtype where the zero point says it as well.
func downQuantType(m *move) {
	onlyDefault("block_size")(m)
	d := onnx.DataType(m.takeInt("output_dtype", 0))
	if d != onnx.Undefined && d != onnx.Uint8 && !m.has(2) {
		m.fail("output_dtype %v without a zero point", d)
	}
}

func downDequantType(m *move) {
	d := onnx.DataType(m.takeInt("output_dtype", 0))
	if d != onnx.Undefined && d != m.elem(1) {
		m.fail("output_dtype %v for scales of %v", d, m.elem(1))
	}
}

// upPower makes the exponent of a norm an integer.
func upPower(m *move) {
	if a := m.take("p"); a != nil {
		if a.Float != float32(int64(a.Float)) {
			m.fail("p is %v, and must be an integer", a.Float)
		}
		m.set("p", int64(a.Float))
	}
	if m.node.OpType == "LpPool" && m.node.Attr("kernel_shape") == nil {
		m.fail("there is no kernel_shape")
	}
}

func downPower(m *move) {
	if a := m.take("p"); a != nil {
		m.set("p", float32(a.Int))
	}
}
