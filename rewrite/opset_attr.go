package rewrite

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
)

// Changes that serve several operators.

// as gives the node's operator another name.
func as(op string) func(*move) { return func(m *move) { m.node.OpType = op } }

// renamed gives an attribute another name.
func renamed(old, name string) func(*move) {
	return func(m *move) {
		if a := m.take(old); a != nil {
			c := *a
			c.Name = name
			m.node.Attributes = append(m.node.Attributes, &c)
		}
	}
}

// without drops attributes that say nothing.
func without(names ...string) func(*move) {
	return func(m *move) {
		for _, name := range names {
			m.take(name)
		}
	}
}

// withoutInput refuses a node that has input i.
func withoutInput(i int) func(*move) {
	return func(m *move) {
		if m.has(i) {
			m.fail("input %d, which it has, came with opset %d", i, m.level+1)
		}
		m.cutInputs(i)
	}
}

// onlyDefault drops attributes that have their default, and refuses other
// values.
func onlyDefault(names ...string) func(*move) {
	return func(m *move) {
		s := onnx.LookupSchema("", m.node.OpType, m.level+1)
		for _, name := range names {
			a := m.take(name)
			if a == nil {
				continue
			}
			if a.Type == onnx.AttrInts && name == "dilations" && !slices.ContainsFunc(a.Ints, func(d int64) bool { return d != 1 }) {
				continue
			}
			if d := s.Attribute(name).Default; d == nil || a.Int != d.Int || a.Float != d.Float || a.String != d.String {
				m.fail("attribute %q came with opset %d, and is not the default", name, m.level+1)
			}
		}
	}
}

// otherThan refuses values of a string attribute.
func otherThan(name string, values ...string) func(*move) {
	return func(m *move) {
		if a := m.node.Attr(name); a != nil && (a.RefName != "" || slices.Contains(values, a.String)) {
			m.fail("%s %q, which opset %d does not have", name, a.String, m.level)
		}
	}
}

// absoluteAxis counts negative axes of an attribute from the front.
func absoluteAxis(name string) func(*move) {
	return func(m *move) {
		a := m.node.Attr(name)
		if a == nil || a.RefName == "" && a.Int >= 0 && !slices.ContainsFunc(a.Ints, negative) {
			return
		}
		rank := m.rank(0)
		if m.node.OpType == "Unsqueeze" {
			rank += len(a.Ints)
		}
		if a = m.take(name); a.Type == onnx.AttrInts {
			m.set(name, fromFront(a.Ints, rank))
		} else {
			m.set(name, fromFront([]int64{a.Int}, rank)[0])
		}
	}
}

func negative(v int64) bool { return v < 0 }

func fromFront(axes []int64, rank int) []int64 {
	out := slices.Clone(axes)
	for i, a := range out {
		if a < 0 {
			out[i] += int64(rank)
		}
	}
	return out
}

// upAxes makes the attribute axes an input. No axes at all mean all of them, as
// before.
func upAxes(m *move) {
	if a := m.take("axes"); a != nil && len(a.Ints) > 0 {
		m.setInput(1, m.constantInts("axes", a.Ints...))
	}
}

// downAxes makes the input axes an attribute.
func downAxes(m *move) {
	noop := m.takeInt("noop_with_empty_axes", 0) != 0
	var axes []int64
	if m.has(1) {
		axes = m.ints(1, "axes")
	}
	m.cutInputs(1)
	if len(axes) > 0 {
		m.set("axes", axes)
		return
	}
	if !noop {
		return
	}
	switch m.node.OpType {
	case "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd":
		m.node.OpType, m.node.Attributes = "Identity", nil
	default:
		m.fail("noop_with_empty_axes without axes")
	}
}

// knownDims gives a shape whose sizes are all known.
func knownDims(s onnx.Shape) ([]int, bool) {
	if !s.Ranked() {
		return nil, false
	}
	return s.Ints()
}
