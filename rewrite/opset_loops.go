package rewrite

import (
	"fmt"
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// Recurrent operators and Scan.

func upGRU3(m *move) {
	if a := m.node.Attr("direction"); a != nil && a.String == "foward" {
		m.set("direction", "forward")
	}
}

func downGRU3(m *move) {
	onlyDefault("linear_before_reset")(m)
	if !m.wants(1) {
		for len(m.node.Outputs) < 2 {
			m.node.Outputs = append(m.node.Outputs, "")
		}
		m.node.Outputs[1] = m.value("Y_h", ops.Info{})
	}
	m.set("direction", m.direction())
}

func (m *move) direction() string {
	if a := m.node.Attr("direction"); a != nil {
		return a.String
	}
	return "forward"
}

// downOutputSequence says that Y is wanted.
func downOutputSequence(m *move) {
	if m.wants(0) {
		m.set("output_sequence", 1)
	}
}

// downLayout transposes what layout 1 has batch first.
func downLayout(m *move) {
	if m.takeInt("layout", 0) == 0 {
		return
	}
	swap := []int64{1, 0, 2}
	for _, i := range []int{0, 5, 6} { // X, initial_h, initial_c
		if m.has(i) {
			m.insert(i, onnx.UnknownShape(3), "Transpose", "perm", swap)
		}
	}
	for i := range m.node.Outputs {
		switch {
		case !m.wants(i):
		case i == 0:
			m.append(i, "Transpose", "perm", []int64{2, 0, 1, 3}) // from [steps, directions, batch, hidden]
		default:
			m.append(i, "Transpose", "perm", swap)
		}
	}
}

// upScan writes Scan-8, which scans each row of a batch by itself, as a Scan
// over the rows of a Scan over the sequence.
func upScan(m *move) {
	if m.has(0) {
		m.fail("sequence_lens")
		return
	}
	body := m.take("body")
	if body == nil || body.Graph == nil {
		m.fail("there is no body")
		return
	}
	scanned := m.peekInt("num_scan_inputs", 0)
	inputs := m.node.Inputs[1:]
	inner := &onnx.Node{Name: m.fresh(m.node.Label() + "/row"), OpType: "Scan", Attributes: []*onnx.Attribute{body, attribute("num_scan_inputs", scanned)}}
	if a := m.take("directions"); a != nil {
		inner.Attributes = append(inner.Attributes, attribute("scan_input_directions", a.Ints))
	}
	outer := &onnx.Graph{Name: m.fresh(m.node.Label() + "/rows"), Nodes: []*onnx.Node{inner}}
	for i := range inputs {
		v := onnx.ValueInfo{Name: m.fresh(fmt.Sprintf("%s/row_in_%d", m.node.Label(), i))}
		if i < len(body.Graph.Inputs) {
			v.Type = body.Graph.Inputs[i].Type
			v.Type.Shape = nil
		}
		inner.Inputs, outer.Inputs = append(inner.Inputs, v.Name), append(outer.Inputs, v)
	}
	for i := range m.node.Outputs {
		v := onnx.ValueInfo{Name: m.fresh(fmt.Sprintf("%s/row_out_%d", m.node.Label(), i))}
		if i < len(body.Graph.Outputs) {
			v.Type = body.Graph.Outputs[i].Type
			v.Type.Shape = nil
		}
		inner.Outputs, outer.Outputs = append(inner.Outputs, v.Name), append(outer.Outputs, v)
	}
	m.node.Inputs = slices.Clone(inputs)
	m.set("num_scan_inputs", int64(len(inputs)))
	m.set("body", outer)
}

// downScan gives every value a batch of one row.
func downScan(m *move) {
	for _, name := range []string{"scan_input_axes", "scan_output_axes", "scan_output_directions"} {
		if a := m.take(name); a != nil && slices.ContainsFunc(a.Ints, func(v int64) bool { return v != 0 }) {
			m.fail("%s %v", name, a.Ints)
		}
	}
	if a := m.take("scan_input_directions"); a != nil {
		m.set("directions", a.Ints)
	}
	for i := range m.node.Inputs {
		s := m.shape(i)
		if s.Ranked() {
			s = append(onnx.Shape{onnx.Fixed(1)}, s...)
		}
		m.insert(i, s, "Unsqueeze", "axes", []int64{0})
	}
	for i := range m.node.Outputs {
		if m.wants(i) {
			m.append(i, "Squeeze", "axes", []int64{0})
		}
	}
	m.node.Inputs = slices.Insert(m.node.Inputs, 0, "")
}
