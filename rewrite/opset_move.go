package rewrite

import (
	"fmt"
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// move is a node that is taken over one boundary between two versions of its
// operator. A change edits the node, and may put nodes before and after it.
type move struct {
	*opsetPlace
	scope         *ops.Scope
	node          *onnx.Node
	level         int // the opset behind the boundary, which new nodes mean
	before, after []*onnx.Node
	gone          bool // nodes before and after take the node's place
	err           error
}

// fail refuses the node; the first reason counts.
func (m *move) fail(format string, args ...any) {
	if m.err == nil {
		m.err = onnx.Errorf(onnx.ErrUnsupported, format, args...)
	}
}

// take removes an attribute from the node and gives it, nil when it is not
// set. The value of a function's attribute is not known.
func (m *move) take(name string) *onnx.Attribute {
	a := m.node.Attr(name)
	if a == nil {
		return nil
	}
	if a.RefName != "" {
		m.fail("attribute %q is that of a call", name)
	}
	m.node.Attributes = slices.DeleteFunc(slices.Clone(m.node.Attributes), func(x *onnx.Attribute) bool { return x.Name == name })
	return a
}

func (m *move) takeInt(name string, def int64) int64 {
	if a := m.take(name); a != nil {
		return a.Int
	}
	return def
}

// peekInt reads an attribute that stays.
func (m *move) peekInt(name string, def int64) int64 {
	a := m.node.Attr(name)
	if a == nil {
		return def
	}
	if a.RefName != "" {
		m.fail("attribute %q is that of a call", name)
	}
	return a.Int
}

func (m *move) set(name string, v any) {
	m.take(name)
	m.node.Attributes = append(m.node.Attributes, attribute(name, v))
}

// attribute makes an attribute of an int64, float32, string, []int64,
// []float32, *onnx.Tensor or *onnx.Graph.
func attribute(name string, v any) *onnx.Attribute {
	a := &onnx.Attribute{Name: name}
	switch v := v.(type) {
	case int:
		a.Type, a.Int = onnx.AttrInt, int64(v)
	case int64:
		a.Type, a.Int = onnx.AttrInt, v
	case float32:
		a.Type, a.Float = onnx.AttrFloat, v
	case string:
		a.Type, a.String = onnx.AttrString, v
	case []int64:
		a.Type, a.Ints = onnx.AttrInts, v
	case []float32:
		a.Type, a.Floats = onnx.AttrFloats, v
	case *onnx.Tensor:
		a.Type, a.Tensor = onnx.AttrTensor, v
	case *onnx.Graph:
		a.Type, a.Graph = onnx.AttrGraph, v
	default:
		panic(fmt.Sprintf("attribute of type %T", v))
	}
	return a
}

func (m *move) has(i int) bool   { return i < len(m.node.Inputs) && m.node.Inputs[i] != "" }
func (m *move) wants(i int) bool { return i < len(m.node.Outputs) && m.node.Outputs[i] != "" }

// info is what is known of input i.
func (m *move) info(i int) ops.Info {
	if !m.has(i) {
		return ops.Info{}
	}
	info, _ := m.scope.Lookup(m.node.Inputs[i])
	return info
}

func (m *move) shape(i int) onnx.Shape   { return m.info(i).Type.Shape }
func (m *move) elem(i int) onnx.DataType { return m.info(i).Type.Elem }

// rank gives the rank of input i, and refuses the node where it is not known.
func (m *move) rank(i int) int {
	s := m.shape(i)
	if !s.Ranked() {
		m.fail("the rank of input %q is not known", m.node.Inputs[i])
	}
	return len(s)
}

// element gives the element type of input i, and refuses the node where it is
// not known.
func (m *move) element(i int) onnx.DataType {
	d := m.elem(i)
	if d == onnx.Undefined {
		m.fail("the element type of input %q is not known", m.node.Inputs[i])
	}
	return d
}

// tensor gives input i when it is a constant that has been read.
func (m *move) tensor(i int) *onnx.Tensor {
	t := m.info(i).Tensor()
	if t == nil || t.External() != nil {
		return nil
	}
	return t
}

// knownInts gives the elements of an integer input when all are known.
func (m *move) knownInts(i int) ([]int64, bool) {
	if t := m.tensor(i); t != nil {
		switch t.DataType() {
		case onnx.Int64:
			return slices.Clone(onnx.Elements[int64](t)), true
		case onnx.Int32:
			var out []int64
			for _, v := range onnx.Elements[int32](t) {
				out = append(out, int64(v))
			}
			return out, true
		}
	}
	return m.info(i).Content.Ints()
}

// ints gives an input that has to become an attribute.
func (m *move) ints(i int, what string) []int64 {
	list, ok := m.knownInts(i)
	if !ok {
		m.fail("%s is not a constant", what)
	}
	return list
}

// float gives a constant scalar exactly as a float32, the type of attributes.
func (m *move) float(i int) (float32, bool) {
	if !m.has(i) {
		return 0, false
	}
	return m.floatOf(m.node.Inputs[i])
}

func (m *move) floatOf(name string) (float32, bool) {
	info, _ := m.scope.Lookup(name)
	t := info.Tensor()
	if t == nil || t.External() != nil || t.Len() != 1 {
		return 0, false
	}
	switch t.DataType() {
	case onnx.Float:
		return onnx.Elements[float32](t)[0], true
	case onnx.Double:
		v := onnx.Elements[float64](t)[0]
		return float32(v), float64(float32(v)) == v || v != v
	case onnx.Float16:
		return onnx.Elements[onnx.F16](t)[0].Float32(), true
	}
	return 0, false
}

// setInput connects input i.
func (m *move) setInput(i int, name string) {
	for len(m.node.Inputs) <= i {
		m.node.Inputs = append(m.node.Inputs, "")
	}
	m.node.Inputs[i] = name
}

// cutInputs drops the inputs from i on.
func (m *move) cutInputs(i int) {
	m.node.Inputs = m.node.Inputs[:min(i, len(m.node.Inputs))]
}

// value names a new value, of which info is known.
func (m *move) value(wish string, info ops.Info) string {
	name := m.fresh(m.node.Label() + "/" + wish)
	m.scope.Set(name, info)
	return name
}

// constant gives the name of a new constant.
func (m *move) constant(wish string, t *onnx.Tensor) string {
	name := m.value(wish, ops.ConstInfo(t))
	m.before = append(m.before, &onnx.Node{Name: name, OpType: "Constant", Outputs: []string{name}, Attributes: []*onnx.Attribute{attribute("value", t)}})
	return name
}

func (m *move) constantInts(wish string, list ...int64) string {
	return m.constant(wish, onnx.MustTensor([]int{len(list)}, list))
}

// helper makes a node of the opset behind the boundary; attrs alternates names
// and values.
func (m *move) helper(op string, inputs []string, output string, attrs ...any) *onnx.Node {
	n := &onnx.Node{Name: m.fresh(m.node.Label() + "/" + op), OpType: op, Inputs: inputs, Outputs: []string{output}}
	for i := 0; i < len(attrs); i += 2 {
		n.Attributes = append(n.Attributes, attribute(attrs[i].(string), attrs[i+1]))
	}
	return n
}

// insert puts a node between input i and the node.
func (m *move) insert(i int, shape onnx.Shape, op string, attrs ...any) {
	name := m.value(op, ops.Info{Type: onnx.TensorType(m.elem(i), shape)})
	m.before = append(m.before, m.helper(op, []string{m.node.Inputs[i]}, name, attrs...))
	m.node.Inputs[i] = name
}

// append puts a node between the node and output i.
func (m *move) append(i int, op string, attrs ...any) {
	old := m.node.Outputs[i]
	info, _ := m.scope.Lookup(old)
	info.Type.Shape = nil
	m.node.Outputs[i] = m.value(op, ops.Info{Type: info.Type})
	m.after = append(m.after, m.helper(op, []string{m.node.Outputs[i]}, old, attrs...))
}

// scalar makes a constant of rank 0 in an element type; the node is refused
// where there is no such number.
func (m *move) scalar(v float64, d onnx.DataType) *onnx.Tensor {
	switch d {
	case onnx.Float:
		return onnx.Scalar(float32(v))
	case onnx.Double:
		return onnx.Scalar(v)
	case onnx.Float16:
		return onnx.Scalar(onnx.ToF16(float32(v)))
	case onnx.BFloat16:
		return onnx.Scalar(onnx.ToBF16(float32(v)))
	case onnx.Int32:
		return onnx.Scalar(int32(v))
	case onnx.Int64:
		return onnx.Scalar(int64(v))
	case onnx.Uint32:
		return onnx.Scalar(uint32(v))
	case onnx.Uint64:
		return onnx.Scalar(uint64(v))
	}
	m.fail("a constant of element type %v", d)
	return onnx.Scalar(float32(v))
}
