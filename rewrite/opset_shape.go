package rewrite

import (
	"math"
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// Operators of shapes, indices and data movement.

// upConcat writes the default of version 1 out.
func upConcat(m *move) {
	if m.node.Attr("axis") == nil {
		m.set("axis", 1)
	}
}

// downGather11 refuses indices that count from the end; those that are not
// known are taken for what the older version demands.
func downGather11(m *move) {
	if list, ok := m.knownInts(1); ok && slices.ContainsFunc(list, negative) {
		m.fail("negative indices came with opset 11")
	}
	absoluteAxis("axis")(m)
}

// upOneHot keeps negative indices from counting from the end.
func upOneHot(m *move) {
	d := m.elem(0)
	if list, ok := m.knownInts(0); ok && !slices.ContainsFunc(list, negative) {
		return
	}
	var none *onnx.Tensor // an index that is outside of any depth
	switch d {
	case onnx.Uint8, onnx.Uint16, onnx.Uint32, onnx.Uint64:
		return
	case onnx.Int64:
		none = onnx.Scalar(int64(math.MaxInt64))
	case onnx.Int32:
		none = onnx.Scalar(int32(math.MaxInt32))
	default:
		m.fail("indices of element type %v may count from the end from opset 11 on", d)
		return
	}
	zero := m.constant("zero", m.scalar(0, d))
	outside := m.constant("outside", none)
	below := m.value("below", ops.Info{})
	index := m.value("index", ops.Info{})
	m.before = append(m.before, m.helper("Less", []string{m.node.Inputs[0], zero}, below), m.helper("Where", []string{below, outside, m.node.Inputs[0]}, index))
	m.node.Inputs[0] = index
}

// downOneHot refuses indices that may count from the end: before opset 11 a
// negative one is outside.
func downOneHot(m *move) {
	list, known := m.knownInts(0)
	switch m.elem(0) {
	case onnx.Uint8, onnx.Uint16, onnx.Uint32, onnx.Uint64:
	default:
		if !known || slices.ContainsFunc(list, negative) {
			m.fail("indices that count from the end came with opset 11")
		}
	}
}

// Up to opset 12, Softmax and its kin flatten their input to two dimensions at
// an axis, by default 1, and work on the rows; then they work along an axis,
// by default the last.

func upSoftmax(m *move) {
	axis := m.takeInt("axis", 1)
	s := m.shape(0)
	if s.Ranked() && fromFront([]int64{axis}, len(s))[0] == int64(len(s))-1 {
		m.set("axis", -1)
		return
	}
	shape := m.value("shape", ops.Info{})
	m.before = append(m.before, m.helper("Shape", []string{m.node.Inputs[0]}, shape))
	m.insert(0, onnx.UnknownShape(2), "Flatten", "axis", axis)
	m.set("axis", -1)
	out := m.node.Outputs[0]
	m.node.Outputs[0] = m.value("rows", ops.Info{})
	back := m.helper("Reshape", []string{m.node.Outputs[0], shape}, out)
	if m.target >= 14 { // a size of 0 in the shape means 0
		back.Opset = int64(m.target)
		back.Attributes = append(back.Attributes, attribute("allowzero", 1))
	}
	m.after = append(m.after, back)
}

func downSoftmax(m *move) {
	axis := m.takeInt("axis", -1)
	if axis == -1 {
		m.set("axis", -1)
		return
	}
	rank := m.rank(0)
	if axis = fromFront([]int64{axis}, rank)[0]; axis == int64(rank)-1 {
		m.set("axis", -1)
		return
	}
	perm := make([]int64, rank)
	for i := range perm {
		perm[i] = int64(i)
	}
	if m.err != nil || axis < 0 || axis >= int64(rank) {
		m.fail("axis %d of rank %d", axis, rank)
		return
	}
	perm[axis], perm[rank-1] = perm[rank-1], perm[axis]
	m.insert(0, onnx.UnknownShape(rank), "Transpose", "perm", perm)
	m.set("axis", rank-1)
	m.append(0, "Transpose", "perm", perm)
}

func upReshape(m *move) {
	m.take("consumed_inputs")
	var shape []int64
	if a := m.take("shape"); a != nil {
		shape = a.Ints
	}
	m.setInput(1, m.constantInts("shape", shape...))
}

func downReshape(m *move) {
	m.set("shape", m.ints(1, "shape"))
	m.cutInputs(1)
}

func downAllowZero(m *move) {
	if m.takeInt("allowzero", 0) == 0 {
		return
	}
	if list, ok := m.knownInts(1); !ok || slices.Contains(list, 0) {
		m.fail("allowzero, with sizes of the shape that are 0 or not known")
	}
}

func upSlice(m *move) {
	for i, name := range []string{"starts", "ends", "axes"} {
		if a := m.take(name); a != nil {
			m.setInput(1+i, m.constantInts(name, a.Ints...))
		}
	}
}

func downSlice(m *move) {
	for i, name := range []string{"starts", "ends", "axes", "steps"} {
		if !m.has(1 + i) {
			continue
		}
		list := m.ints(1+i, name)
		if name != "steps" {
			m.set(name, list)
		} else if slices.ContainsFunc(list, func(s int64) bool { return s != 1 }) {
			m.fail("steps %v", list)
		}
	}
	m.cutInputs(1)
}

// downSlice11 counts axes from the front.
func downSlice11(m *move) {
	if steps, ok := m.knownInts(4); ok && slices.ContainsFunc(steps, negative) {
		m.fail("negative steps came with opset 11")
	}
	if axes, ok := m.knownInts(3); ok && slices.ContainsFunc(axes, negative) {
		axes = fromFront(axes, m.rank(0))
		if m.elem(3) == onnx.Int32 {
			short := make([]int32, len(axes))
			for i, a := range axes {
				short[i] = int32(a)
			}
			m.setInput(3, m.constant("axes", onnx.MustTensor([]int{len(short)}, short)))
		} else {
			m.setInput(3, m.constantInts("axes", axes...))
		}
	}
}

// upSplit2 makes the optional input split an attribute.
func upSplit2(m *move) {
	if !m.has(1) {
		return
	}
	t := m.tensor(1)
	if t == nil {
		m.fail("split is not a constant")
		return
	}
	var sizes []int64
	switch t.DataType() {
	case onnx.Float:
		for _, v := range onnx.Elements[float32](t) {
			sizes = append(sizes, int64(v))
		}
	case onnx.Double:
		for _, v := range onnx.Elements[float64](t) {
			sizes = append(sizes, int64(v))
		}
	default:
		sizes = m.ints(1, "split")
	}
	m.set("split", sizes)
	m.cutInputs(1)
}

func upSplit(m *move) {
	if a := m.take("split"); a != nil {
		m.setInput(1, m.constantInts("split", a.Ints...))
	}
}

func downSplit(m *move) {
	if m.has(1) {
		m.set("split", m.ints(1, "split"))
	}
	m.cutInputs(1)
}

func upSplit18(m *move) {
	if !m.has(1) {
		m.cutInputs(1)
		m.set("num_outputs", len(m.node.Outputs))
	}
}

// downSplit18 writes the sizes out, unless they are equal: then nothing needs
// to be said.
func downSplit18(m *move) {
	if m.node.Attr("num_outputs") == nil {
		return
	}
	m.take("num_outputs")
	axis := int(fromFront([]int64{m.peekInt("axis", 0)}, m.rank(0))[0])
	s, n := m.shape(0), len(m.node.Outputs)
	if m.err != nil || axis < 0 || axis >= len(s) || !s[axis].Known() {
		m.fail("the size of axis %d is not known, and so not whether the last output is smaller", axis)
		return
	}
	size := s[axis].Value
	if size%n == 0 {
		return
	}
	part := (size + n - 1) / n
	sizes := slices.Repeat([]int64{int64(part)}, n)
	sizes[n-1] = int64(size - part*(n-1))
	m.setInput(1, m.constantInts("split", sizes...))
}

func upTile(m *move) {
	rank := m.rank(0)
	values := [2]int64{}
	for i, what := range []string{"tiles", "axis"} {
		v, ok := m.float(1 + i)
		if list, whole := m.knownInts(1 + i); whole && len(list) == 1 {
			v, ok = float32(list[0]), true
		}
		if !ok {
			m.fail("%s is not a constant", what)
		}
		values[i] = int64(v)
	}
	if m.err != nil || values[1] < 0 || values[1] >= int64(rank) {
		m.fail("axis %d of rank %d", values[1], rank)
		return
	}
	repeats := slices.Repeat([]int64{1}, rank)
	repeats[values[1]] = values[0]
	m.cutInputs(1)
	m.setInput(1, m.constantInts("repeats", repeats...))
}

// downTile makes a node for each axis that is repeated.
func downTile(m *move) {
	repeats, d := m.ints(1, "repeats"), m.element(0)
	m.gone = true
	from := m.node.Inputs[0]
	for axis, n := range repeats {
		if n == 1 || m.err != nil {
			continue
		}
		to := m.value("tiled", ops.Info{Type: onnx.TensorType(d, nil)})
		tiles, along := m.constant("tiles", m.scalar(float64(n), d)), m.constant("axis", m.scalar(float64(axis), d))
		m.before = append(m.before, m.helper("Tile", []string{from, tiles, along}, to))
		from = to
	}
	m.after = append(m.after, m.helper("Identity", []string{from}, m.node.Outputs[0]))
}

func upTopK(m *move) {
	m.setInput(1, m.constantInts("k", m.takeInt("k", 0)))
}

func downTopK(m *move) {
	if k := m.ints(1, "k"); len(k) == 1 {
		m.set("k", k[0])
	}
	m.cutInputs(1)
}

// downShape takes the range of axes out of a whole shape.
func downShape(m *move) {
	start, end := m.takeInt("start", 0), m.node.Attr("end")
	m.take("end")
	if start == 0 && end == nil {
		return
	}
	last := int64(math.MaxInt64)
	if end != nil {
		last = end.Int
	}
	out := m.node.Outputs[0]
	m.node.Outputs[0] = m.value("shape", ops.Info{Type: onnx.TensorType(onnx.Int64, onnx.UnknownShape(1))})
	starts, ends, axes := m.constantInts("starts", start), m.constantInts("ends", last), m.constantInts("axes", 0)
	m.after = append(m.after, m.helper("Slice", []string{m.node.Outputs[0], starts, ends, axes}, out))
}

func upPad(m *move) {
	var pads []int64
	if a := m.take("pads"); a != nil {
		pads = a.Ints
	}
	m.setInput(1, m.constantInts("pads", pads...))
	if a := m.take("value"); a != nil && a.Float != 0 {
		m.setInput(2, m.constant("value", m.scalar(float64(a.Float), m.element(0))))
	}
}

func downPad(m *move) {
	m.set("pads", m.ints(1, "pads"))
	if m.has(2) {
		v, ok := m.float(2)
		if !ok {
			m.fail("constant_value is not a constant that a float attribute holds")
		}
		m.set("value", v)
	}
	m.cutInputs(1)
}

// downPadAxes says the pads of all axes.
func downPadAxes(m *move) {
	if !m.has(3) {
		m.cutInputs(3)
		return
	}
	rank, pads := m.rank(0), m.ints(1, "pads")
	axes := fromFront(m.ints(3, "axes"), rank)
	all := make([]int64, 2*rank)
	for i, a := range axes {
		if a < 0 || a >= int64(rank) || len(pads) != 2*len(axes) {
			m.fail("%d pads for axes %v", len(pads), axes)
			return
		}
		all[a], all[rank+int(a)] = pads[i], pads[len(axes)+i]
	}
	m.setInput(1, m.constantInts("pads", all...))
	if m.cutInputs(3); !m.has(2) {
		m.cutInputs(2)
	}
}

func upDFT(m *move) {
	m.setInput(2, m.constant("axis", onnx.Scalar(m.takeInt("axis", 1))))
}

func downDFT(m *move) {
	axis := []int64{-2}
	if m.has(2) {
		axis = m.ints(2, "axis")
	}
	if m.cutInputs(2); !m.has(1) {
		m.cutInputs(1)
	}
	if len(axis) == 1 {
		m.set("axis", axis[0])
	}
}
