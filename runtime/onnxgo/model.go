package onnxgo

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"github.com/recur-ml/recur/onnx"
)

// signature tells apart what takes different sessions: a graph only grows, and
// a session is made for inputs of certain types and ranks.
type signature struct {
	calls  int
	inputs string
}

func (g *graph) signature(inputs onnx.Values) signature {
	var b strings.Builder
	for _, v := range g.values {
		if x, ok := inputs[v.name].(*onnx.Tensor); ok {
			fmt.Fprintf(&b, "%q:%v:%d ", v.name, x.DataType(), x.Rank())
		}
	}
	return signature{len(g.calls), b.String()}
}

// prepare finds out which values are read, once the calls are known.
func (g *graph) prepare() error {
	if len(g.calls) == 0 {
		return onnx.Errorf(onnx.ErrMalformed, "no model has been decoded")
	}
	if g.prepared == len(g.calls) {
		return nil
	}
	for _, c := range g.calls {
		if c.madeUp() {
			c.inputs = nil
		}
		for _, v := range c.inputs {
			v.read = true
		}
	}
	g.firstComputed = math.MaxInt64
	for _, n := range g.nodes {
		if n != nil && n.value.call != nil {
			g.firstComputed = n.id
			break
		}
	}
	g.prepared = len(g.calls)
	return nil
}

// madeUp reports whether the call's only input is one that the decoder makes
// up for a node of the model that has none.
func (c *call) madeUp() bool {
	if len(c.inputs) != 1 {
		return false
	}
	v := c.inputs[0]
	return v.call == nil && v.decoded() == nil && strings.HasSuffix(v.name, "/input")
}

// given reports whether the value comes from outside, and some call takes it.
func (v *value) given() bool { return v.read && !v.absent && v.call == nil }

// feed gives the tensors of the graph's inputs, and fails when one is missing.
func (g *graph) feed() (onnx.Values, error) {
	inputs := onnx.Values{}
	for _, v := range g.values {
		if !v.given() || g.initializer(v) != nil {
			continue
		}
		if v.input == nil {
			return nil, onnx.Errorf(onnx.ErrShape, "input %q has not been set", v.name)
		}
		t, err := toONNX(v.input)
		if err == nil {
			t, err = asDeclared(t, v.decoded())
		}
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", v.name, err)
		}
		inputs[v.name] = t
	}
	return inputs, nil
}

// decoded is what the decoder set last, nil when it set nothing.
func (v *value) decoded() tensor.Tensor {
	var t tensor.Tensor
	for _, n := range v.nodes {
		if n.decoded != nil {
			t = n.decoded
		}
	}
	return t
}

// initializer gives the value's data when it is an initializer of the model,
// nil when it is an input or the user has set it.
//
// The decoder sets a tensor of zeros for each declared input, intermediate
// value and output, in this order, and then the data of the initializers. So a
// node that it set twice is an initializer that is an input too; another
// initializer's node comes after those of the outputs.
func (g *graph) initializer(v *value) tensor.Tensor {
	if v.input != nil {
		return nil
	}
	for _, n := range v.nodes {
		if n.times > 1 || n.times == 1 && v.nodes[0].id > g.firstComputed {
			return n.decoded
		}
	}
	return nil
}

// model builds the graph as a model of recur, which shares no memory with it.
func (g *graph) model(inputs onnx.Values, opset int) (*onnx.Model, error) {
	if latest := onnx.LatestOpset(""); opset < 1 || opset > latest {
		return nil, onnx.Errorf(onnx.ErrUnsupported, "opset %d, want 1..%d", opset, latest)
	}
	out := &onnx.Graph{Name: "onnx-go", Outputs: g.outputs()}
	m := &onnx.Model{
		IRVersion:    int64(max(onnx.IRVersionFor(opset), 4)), // 4: an initializer need not be an input
		OpsetImports: []onnx.OpsetImport{{Version: int64(opset)}},
		Graph:        out,
	}
	for _, v := range g.values {
		if x, ok := inputs[v.name].(*onnx.Tensor); ok {
			shape := make(onnx.Shape, x.Rank())
			for i := range shape {
				shape[i].Value = -1
			}
			out.Inputs = append(out.Inputs, onnx.ValueInfo{Name: v.name, Type: onnx.TensorType(x.DataType(), shape)})
		} else if data := g.initializer(v); data != nil && v.given() {
			t, err := toONNX(data)
			if err != nil {
				return nil, fmt.Errorf("initializer %q: %w", v.name, err)
			}
			out.Initializers = append(out.Initializers, &onnx.Initializer{Name: v.name, Tensor: t.Clone()})
		}
	}
	for _, c := range g.calls {
		n, err := c.node(opset)
		if err != nil {
			return nil, err
		}
		if n.Domain != "" && len(m.OpsetImports) == 1 {
			m.OpsetImports = append(m.OpsetImports, onnx.OpsetImport{Domain: n.Domain, Version: int64(mlOpset(opset))})
		}
		out.Nodes = append(out.Nodes, n)
	}
	return m, nil
}

// outputs lists the computed values that the model declares. onnx-go does not
// tell its outputs from declared intermediate values. In a graph that declares
// none they are the values that nothing reads.
func (g *graph) outputs() []onnx.ValueInfo {
	var declared, roots []onnx.ValueInfo
	for _, v := range g.values {
		if v.absent || v.call == nil {
			continue
		}
		info := onnx.ValueInfo{Name: v.name}
		early := slices.ContainsFunc(v.nodes, func(n *node) bool { return n.early })
		if v.decoded() != nil || early && !v.read {
			declared = append(declared, info)
		}
		if !v.read {
			roots = append(roots, info)
		}
	}
	if len(declared) == 0 {
		return roots
	}
	return declared
}

// mlDomain holds the operators of traditional machine learning.
const mlDomain = "ai.onnx.ml"

// mlOpset is the version of ai.onnx.ml that came with an opset of ai.onnx.
func mlOpset(opset int) int {
	version := 1
	for _, r := range onnx.Releases() {
		if r.Opsets[""] <= opset {
			version = max(version, r.Opsets[mlDomain])
		}
	}
	return version
}

// node gives the call as a node of the model.
func (c *call) node(opset int) (*onnx.Node, error) {
	n := &onnx.Node{OpType: c.op.Name}
	if onnx.LookupSchema("", c.op.Name, opset) == nil && onnx.LookupSchema(mlDomain, c.op.Name, mlOpset(opset)) != nil {
		n.Domain = mlDomain
	}
	for _, v := range c.inputs {
		n.Inputs = append(n.Inputs, v.reference())
	}
	for _, v := range c.outputs {
		n.Outputs = append(n.Outputs, v.reference())
	}
	for _, name := range sortedKeys(c.op.Attributes) {
		a, err := attribute(name, c.op.Attributes[name])
		if err != nil {
			return nil, fmt.Errorf("%s: attribute %q: %w", n.Describe(0), name, err)
		}
		n.Attributes = append(n.Attributes, a)
	}
	return n, nil
}

// reference is the value's name in the model.
func (v *value) reference() string {
	if v.absent {
		return ""
	}
	return v.name
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// attribute gives an attribute as onnx-go's decoder holds it.
func attribute(name string, v any) (*onnx.Attribute, error) {
	a := &onnx.Attribute{Name: name}
	switch v := v.(type) {
	case float32:
		a.Type, a.Float = onnx.AttrFloat, v
	case int64:
		a.Type, a.Int = onnx.AttrInt, v
	case string:
		a.Type, a.String = onnx.AttrString, v
	case []float32:
		a.Type, a.Floats = onnx.AttrFloats, slices.Clone(v)
	case []int64:
		a.Type, a.Ints = onnx.AttrInts, slices.Clone(v)
	case []string:
		a.Type, a.Strings = onnx.AttrStrings, slices.Clone(v)
	case tensor.Tensor:
		t, err := toONNX(v)
		if err != nil {
			return nil, err
		}
		a.Type, a.Tensor = onnx.AttrTensor, t.Clone()
	case struct{}:
		return nil, onnx.Errorf(onnx.ErrUnsupported, "the model does not say its type, and onnx-go drops its value")
	default:
		return nil, onnx.Errorf(onnx.ErrUnsupported, "a value of type %T", v)
	}
	return a, nil
}
