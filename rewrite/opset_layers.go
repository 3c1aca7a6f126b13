package rewrite

import (
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// Normalization, dropout, pooling, resizing.

// upTest drops is_test of a node that does not train; versions 7 to 13 know no
// training by an attribute.
func upTest(m *move) {
	if m.takeInt("is_test", 0) == 0 && !m.wants(1) {
		m.fail("is_test is 0: the node trains")
	}
}

func downBatchNorm7(m *move) {
	test := 1
	for i := 1; i < len(m.node.Outputs); i++ {
		if m.wants(i) {
			test = 0
		}
	}
	m.set("is_test", test)
}

// upSpatial refuses statistics of every element instead of every channel.
func upSpatial(m *move) {
	if m.takeInt("spatial", 1) == 0 && len(m.shape(0)) != 2 {
		m.fail("spatial is 0")
	}
}

// A node trained by having more than one output; now by an attribute.

func upBatchNorm14(m *move) {
	trains := false
	for i := 1; i < len(m.node.Outputs); i++ {
		if m.wants(i) {
			trains = true
			if i > 2 {
				m.fail("output %q, the batch's own statistics, is gone", m.node.Outputs[i])
			}
		}
	}
	m.node.Outputs = m.node.Outputs[:min(3, len(m.node.Outputs))]
	if !trains {
		m.node.Outputs = m.node.Outputs[:1]
		return
	}
	m.set("training_mode", 1)
}

func downBatchNorm14(m *move) {
	if m.takeInt("training_mode", 0) == 0 {
		m.node.Outputs = m.node.Outputs[:1]
		return
	}
	for len(m.node.Outputs) < 5 {
		m.node.Outputs = append(m.node.Outputs, "")
	}
	for i, o := range m.node.Outputs {
		if o == "" {
			m.node.Outputs[i] = m.value("statistics", ops.Info{})
		}
	}
}

// The mask became one of bool.

func upDropoutMask(m *move) {
	if m.wants(1) {
		m.append(1, "Cast", "to", int64(m.element(0)))
	}
}

func downDropoutMask(m *move) {
	if m.wants(1) {
		m.append(1, "Cast", "to", int64(onnx.Bool))
	}
}

func upDropout(m *move) {
	if a := m.take("ratio"); a != nil {
		m.setInput(1, m.constant("ratio", onnx.Scalar(a.Float)))
	}
}

func downDropout(m *move) {
	m.take("seed")
	if m.has(2) {
		training, err := onnx.Data[bool](m.tensor(2))
		if t := m.tensor(2); t == nil || err != nil || len(training) != 1 || training[0] {
			m.fail("training_mode is not known to be false")
		}
	}
	if v, ok := m.float(1); ok {
		m.set("ratio", v)
	}
	m.cutInputs(1)
}

// Scale and bias of groups became those of channels.

func upGroupNorm(m *move) {
	groups := m.peekInt("num_groups", 0)
	x := m.shape(0)
	if len(x) < 2 || !x[1].Known() || groups < 1 {
		m.fail("the number of channels is not known")
		return
	}
	each := int64(x[1].Value) / groups
	for i := 1; i <= 2; i++ {
		t := m.elem(i)
		column := m.value("column", ops.Info{Type: onnx.TensorType(t, onnx.UnknownShape(2))})
		wide := m.value("wide", ops.Info{Type: onnx.TensorType(t, onnx.UnknownShape(2))})
		flat := m.value("channels", ops.Info{Type: onnx.TensorType(t, onnx.UnknownShape(1))})
		asColumn, asWide, all := m.constantInts("shape", -1, 1), m.constantInts("shape", groups, each), m.constantInts("shape", -1)
		m.before = append(m.before, m.helper("Reshape", []string{m.node.Inputs[i], asColumn}, column),
			m.helper("Expand", []string{column, asWide}, wide), m.helper("Reshape", []string{wide, all}, flat))
		m.node.Inputs[i] = flat
	}
}

func downGroupNorm(m *move) {
	m.fail("opset 18 has one scale for each group, which that opset's successors call a mistake")
}

func downMaxPool8(m *move) {
	if m.wants(1) {
		m.fail("output %q, the indices, came with opset 8", m.node.Outputs[1])
	}
	m.node.Outputs = m.node.Outputs[:1]
	m.take("storage_order")
}

func upRoiAlign(m *move) { m.set("coordinate_transformation_mode", "output_half_pixel") }

func downRoiAlign(m *move) {
	a := m.take("coordinate_transformation_mode")
	if a == nil || a.String != "output_half_pixel" {
		m.fail("coordinate_transformation_mode is not output_half_pixel")
	}
}

var gridModes = map[string]string{"bilinear": "linear", "bicubic": "cubic"}

func upGridSample(m *move) {
	mode := "bilinear"
	if a := m.take("mode"); a != nil {
		mode = a.String
	}
	if now, ok := gridModes[mode]; ok {
		mode = now
	}
	m.set("mode", mode)
}

func downGridSample(m *move) {
	if s := m.shape(0); s.Ranked() && len(s) != 4 {
		m.fail("input of rank %d, where opset 16 wants 4", len(s))
	}
	mode := "linear"
	if a := m.take("mode"); a != nil {
		mode = a.String
	}
	for old, now := range gridModes {
		if mode == now {
			mode = old
		}
	}
	m.set("mode", mode)
}

func downOptional(m *move) {
	if !m.has(0) {
		m.fail("an input that is absent came with opset 18")
	}
}

// Upsample and Resize.

func upUpsample7(m *move) {
	var height, width float32
	if a := m.take("height_scale"); a != nil {
		height = a.Float
	}
	if a := m.take("width_scale"); a != nil {
		width = a.Float
	}
	m.set("scales", []float32{1, 1, height, width})
	if a := m.node.Attr("mode"); a != nil && a.String == "bilinear" {
		m.set("mode", "linear")
	}
}

func downUpsample7(m *move) {
	a := m.take("scales")
	if a == nil || len(a.Floats) != 4 || a.Floats[0] != 1 || a.Floats[1] != 1 {
		m.fail("scales that are not those of height and width")
		return
	}
	m.set("height_scale", a.Floats[2])
	m.set("width_scale", a.Floats[3])
	if a := m.node.Attr("mode"); a != nil && a.String == "linear" {
		m.set("mode", "bilinear")
	}
}

func upScales(m *move) {
	var scales []float32
	if a := m.take("scales"); a != nil {
		scales = a.Floats
	}
	m.setInput(1, m.constant("scales", onnx.MustTensor([]int{len(scales)}, scales)))
}

// scales gives a constant input of scales, nil when it is none.
func (m *move) scales(i int) []float32 {
	t := m.tensor(i)
	if t == nil || t.DataType() != onnx.Float {
		return nil
	}
	return onnx.Elements[float32](t)
}

func downScales(m *move) {
	scales := m.scales(1)
	if scales == nil {
		m.fail("scales is not a constant")
	}
	m.set("scales", scales)
	m.cutInputs(1)
}

// rounding gives the nearest_mode that Resize-10 has: up along an axis that
// shrinks, else down. ok is false where one mode does not say that.
func rounding(scales []float32) (mode string, ok bool) {
	grows, shrinks := false, false
	for _, s := range scales {
		grows, shrinks = grows || s > 1, shrinks || s < 1
	}
	if shrinks {
		return "ceil", !grows
	}
	return "floor", scales != nil
}

func upResize(m *move) {
	if a := m.node.Attr("mode"); a == nil || a.String == "nearest" {
		mode, ok := rounding(m.scales(1))
		if !ok {
			m.fail("mode nearest, and it is not known that all axes grow, or that all shrink")
		}
		m.set("nearest_mode", mode)
	}
	m.set("coordinate_transformation_mode", "asymmetric")
	scales := m.node.Inputs[1]
	m.setInput(1, "")
	if m.setInput(2, scales); m.target < 13 {
		spellResize(m)
	}
}

// upResize13 leaves out what is empty: of scales and sizes only one may be there.
func upResize13(m *move) {
	otherThan("coordinate_transformation_mode", "tf_half_pixel_for_nn")(m)
	if m.has(3) && m.has(2) {
		m.node.Inputs[2] = ""
	}
	if t := m.tensor(1); t != nil && t.Len() == 0 {
		m.node.Inputs[1] = ""
	}
}

// spellResize gives the inputs roi and scales, which version 11 wants to be
// there, empty where they are not used.
func spellResize(m *move) {
	for i := 1; i <= 2; i++ {
		if !m.has(i) {
			m.setInput(i, m.constant([...]string{"roi", "scales"}[i-1], onnx.MustTensor([]int{0}, []float32{})))
		}
	}
}

func downResize(m *move) {
	coordinates, nearest := "half_pixel", "round_prefer_floor"
	if a := m.take("coordinate_transformation_mode"); a != nil {
		coordinates = a.String
	}
	if a := m.take("nearest_mode"); a != nil {
		nearest = a.String
	}
	m.take("cubic_coeff_a")       // of mode cubic
	m.take("extrapolation_value") // of tf_crop_and_resize
	onlyDefault("exclude_outside")(m)
	mode := "nearest"
	if a := m.node.Attr("mode"); a != nil {
		mode = a.String
	}
	scales := m.scales(2)
	want, ok := rounding(scales)
	switch {
	case mode == "cubic":
		m.fail("mode cubic came with opset 11")
	case coordinates != "asymmetric":
		m.fail("coordinate_transformation_mode %s, where opset 10 knows asymmetric", coordinates)
	case m.has(3) || !m.has(2) || len(scales) == 0 && scales != nil:
		m.fail("sizes instead of scales came with opset 11")
	case mode == "nearest" && (!ok || nearest != want):
		m.fail("nearest_mode %s, where opset 10 rounds up along axes that shrink, else down", nearest)
	}
	if m.err == nil {
		m.node.Inputs[1] = m.node.Inputs[2]
		m.cutInputs(2)
	}
}
