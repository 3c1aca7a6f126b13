package rewrite

import (
	"bytes"
	"slices"

	"github.com/recur-ml/recur/onnx"
)

// maxEqual bounds the nodes that are looked at to prove two values equal, and
// the elements of constants that are compared.
const maxEqual = 200

// equal reports whether two values are certainly equal: made by equal nodes of
// equal values.
func (f *facts) equal(x, y string) bool {
	return (&comparison{facts: f, known: map[[2]string]bool{}}).values(x, y)
}

type comparison struct {
	*facts
	known  map[[2]string]bool // what was compared; false while it is being compared
	looked int
}

func (c *comparison) values(x, y string) bool {
	if x == y {
		return true
	}
	if x == "" || y == "" {
		return false
	}
	if same, done := c.known[[2]string{x, y}]; done {
		return same
	}
	if c.looked++; c.looked > maxEqual {
		return false
	}
	c.known[[2]string{x, y}] = false
	same := c.compare(x, y)
	c.known[[2]string{x, y}] = same
	return same
}

func (c *comparison) compare(x, y string) bool {
	if s, t := c.info(x).Tensor(), c.info(y).Tensor(); s != nil && t != nil {
		return equalTensors(s, t)
	}
	n, m := c.maker(x), c.maker(y)
	if n == nil || m == nil || n.Domain != "" || m.Domain != "" || n.OpType != m.OpType || n.Opset != m.Opset ||
		len(n.Inputs) != len(m.Inputs) || len(n.Outputs) != len(m.Outputs) || slices.Index(n.Outputs, x) != slices.Index(m.Outputs, y) ||
		!deterministic[n.OpType] || !equalAttributes(n, m) {
		return false
	}
	for i := range n.Inputs {
		if !c.values(n.Inputs[i], m.Inputs[i]) {
			return false
		}
	}
	return true
}

// deterministic lists the operators that stand around masked and bidirectional
// layers: each gives the same for the same.
var deterministic = func() map[string]bool {
	set := map[string]bool{}
	for _, op := range []string{"Add", "And", "Cast", "Concat", "ConstantOfShape", "CumSum", "Equal", "Expand", "Gather",
		"Greater", "Identity", "Less", "Max", "Min", "Mul", "Not", "NotEqual", "Or", "ReduceMax", "ReduceMin", "ReduceSum",
		"Reshape", "ReverseSequence", "ScatterElements", "Shape", "Slice", "Split", "Squeeze", "Sub", "Tile", "Transpose",
		"Unsqueeze", "Where"} {
		set[op] = true
	}
	return set
}()

func equalTensors(s, t *onnx.Tensor) bool {
	if s == t {
		return true
	}
	if s.DataType() != t.DataType() || !slices.Equal(s.Shape(), t.Shape()) || s.External() != nil || t.External() != nil || s.Len() > maxEqual {
		return false
	}
	if s.DataType() == onnx.String {
		return false
	}
	return bytes.Equal(s.ElementBytes(), t.ElementBytes())
}

// equalAttributes reports whether two nodes have the same attributes; false
// also for those of kinds that no operator in question has.
func equalAttributes(n, m *onnx.Node) bool {
	if len(n.Attributes) != len(m.Attributes) {
		return false
	}
	for _, a := range n.Attributes {
		b := m.Attr(a.Name)
		if b == nil || a.Type != b.Type {
			return false
		}
		switch a.Type {
		case onnx.AttrInt:
			if a.Int != b.Int {
				return false
			}
		case onnx.AttrInts:
			if !slices.Equal(a.Ints, b.Ints) {
				return false
			}
		case onnx.AttrFloat:
			if a.Float != b.Float {
				return false
			}
		case onnx.AttrString:
			if a.String != b.String {
				return false
			}
		case onnx.AttrTensor:
			if a.Tensor == nil || b.Tensor == nil || !equalTensors(a.Tensor, b.Tensor) {
				return false
			}
		default:
			return false
		}
	}
	return true
}
