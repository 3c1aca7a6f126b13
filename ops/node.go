package ops

import (
	"fmt"
	"strings"

	"github.com/recur-ml/recur/onnx"
)

// Node is a node of a graph as Infer and Build see it: attributes, what is
// known of the inputs, and the outputs' types to be set or, in Build, to be
// read.
//
// The methods that read attributes give an error through Err, which the caller
// of Infer and Build looks at, so that an Infer need not check each one.
type Node struct {
	Op    *Op
	Since int // the operator's version
	Opset int // the imported opset
	Proto *onnx.Node

	in, out  []Info
	infos    []Info // both
	schema   *onnx.Schema
	err      error
	building bool
	seenAttr []bool // attributes that Build read
	seenIn   []bool // optional inputs that Build asked for
	seenOut  []bool
	packedOf []*onnx.Tensor // constants of which the kernel has a layout of its own
	scope    *Scope         // where the node stands
	compile  CompileBody    // set in Build
}

// CompileBody compiles the graph attribute name of a node for inputs of which
// the given is known, so that Ctx.Body finds it.
type CompileBody func(name string, g *onnx.Graph, in []Info) error

// Name describes the node for messages: `node "lstm_1" (LSTM-14)`.
func (n *Node) Name() string { return n.Proto.Describe(n.Since) }

// fail records the first error.
func (n *Node) fail(kind error, format string, args ...any) {
	if n.err == nil {
		n.err = onnx.Errorf(kind, format, args...)
	}
}

// Err gives the first error that reading the node met.
func (n *Node) Err() error { return n.err }

// Attr finds an attribute and counts it as read; nil when it is not set. Most
// callers want Int, Float and their kin.
func (n *Node) Attr(name string) *onnx.Attribute {
	if n.building {
		for i, a := range n.Proto.Attributes {
			n.seenAttr[i] = n.seenAttr[i] || a.Name == name
		}
	}
	return n.Proto.Attr(name)
}

func (n *Node) typed(name string, want onnx.AttributeType) *onnx.Attribute {
	a := n.Attr(name)
	if a != nil && a.Type != want {
		n.fail(onnx.ErrType, "attribute %q is of type %v, want %v", name, a.Type, want)
		return nil
	}
	return a
}

// HasAttr reports whether an attribute is set; it counts as read.
func (n *Node) HasAttr(name string) bool { return n.Attr(name) != nil }

// Int reads an attribute, def when it is not set.
func (n *Node) Int(name string, def int64) int64 {
	if a := n.typed(name, onnx.AttrInt); a != nil {
		return a.Int
	}
	return def
}

// Bool reads an int attribute; any value but 0 is true.
func (n *Node) Bool(name string, def bool) bool {
	if a := n.typed(name, onnx.AttrInt); a != nil {
		return a.Int != 0
	}
	return def
}

// Float reads an attribute, def when it is not set.
func (n *Node) Float(name string, def float32) float32 {
	if a := n.typed(name, onnx.AttrFloat); a != nil {
		return a.Float
	}
	return def
}

// Str reads a string attribute, def when it is not set.
func (n *Node) Str(name, def string) string {
	if a := n.typed(name, onnx.AttrString); a != nil {
		return a.String
	}
	return def
}

// Ints reads an attribute, nil when it is not set. A list that is set is not nil.
func (n *Node) Ints(name string) []int64 {
	if a := n.typed(name, onnx.AttrInts); a != nil {
		return append([]int64{}, a.Ints...)
	}
	return nil
}

// Floats reads an attribute, nil when it is not set.
func (n *Node) Floats(name string) []float32 {
	if a := n.typed(name, onnx.AttrFloats); a != nil {
		return append([]float32{}, a.Floats...)
	}
	return nil
}

// Strs reads a list of strings, nil when it is not set.
func (n *Node) Strs(name string) []string {
	if a := n.typed(name, onnx.AttrStrings); a != nil {
		return append([]string{}, a.Strings...)
	}
	return nil
}

// TensorAttr reads an attribute, nil when it is not set.
func (n *Node) TensorAttr(name string) *onnx.Tensor {
	if a := n.typed(name, onnx.AttrTensor); a != nil {
		if a.Tensor != nil && a.Tensor.External() != nil {
			n.fail(onnx.ErrMalformed, "attribute %q: external data %q has not been read", name, a.Tensor.External().Location)
		}
		return a.Tensor
	}
	return nil
}

// GraphAttr reads a graph attribute; one that is not set is an error.
func (n *Node) GraphAttr(name string) *onnx.Graph {
	a := n.typed(name, onnx.AttrGraph)
	if a == nil || a.Graph == nil {
		n.fail(onnx.ErrMalformed, "attribute %q (a graph) is missing", name)
		return &onnx.Graph{}
	}
	return a.Graph
}

// NumInputs is the number of inputs in the node's list, absent ones included.
func (n *Node) NumInputs() int { return len(n.in) }

// NumOutputs is the number of outputs in the node's list, unwanted ones included.
func (n *Node) NumOutputs() int { return len(n.out) }

// Has reports whether input i is connected. A Build that is to honour an
// optional input asks for it, here or with another method that takes i.
func (n *Node) Has(i int) bool {
	if n.building && i >= 0 && i < len(n.seenIn) {
		n.seenIn[i] = true
	}
	return i >= 0 && i < len(n.in) && n.Proto.Inputs[i] != ""
}

// Wants reports whether output i is connected. A Build that is to give an
// optional output asks for it.
func (n *Node) Wants(i int) bool {
	if n.building && i >= 0 && i < len(n.seenOut) {
		n.seenOut[i] = true
	}
	return i >= 0 && i < len(n.out) && n.Proto.Outputs[i] != ""
}

// In gives what is known of input i; the zero Info when it is absent.
func (n *Node) In(i int) Info {
	if !n.Has(i) {
		return Info{}
	}
	return n.in[i]
}

// Elem gives the element type of input i, Undefined when absent or not known.
func (n *Node) Elem(i int) onnx.DataType { return n.In(i).Type.Elem }

// Shape gives the shape of input i, nil when absent or of unknown rank.
func (n *Node) Shape(i int) onnx.Shape { return n.In(i).Type.Shape }

// Const gives input i when it is a constant tensor, else nil.
func (n *Node) Const(i int) *onnx.Tensor { return n.In(i).Tensor() }

// Content gives what is known of the elements of input i, a small integer
// tensor; nil when nothing is.
func (n *Node) Content(i int) *Content {
	in := n.In(i)
	if t := in.Tensor(); t != nil {
		return contentOf(t)
	}
	return in.Content
}

// ConstInts gives the elements of input i when all are known at load.
func (n *Node) ConstInts(i int) ([]int64, bool) { return n.Content(i).Ints() }

// Out gives what was inferred for output i.
func (n *Node) Out(i int) Info {
	if i < len(n.out) {
		return n.out[i]
	}
	return Info{}
}

// Set gives the type of output i. Outputs that the node does not list are
// passed over.
func (n *Node) Set(i int, t onnx.Type) {
	if i < len(n.out) {
		n.out[i].Type = t
	}
}

// SetTensor gives element type and shape of output i; a nil shape is one of
// unknown rank.
func (n *Node) SetTensor(i int, d onnx.DataType, s onnx.Shape) { n.Set(i, onnx.TensorType(d, s)) }

// SetContent gives what is known of the elements of output i. Of a scalar that
// would not have one element, nothing is: the run will tell.
func (n *Node) SetContent(i int, c *Content) {
	if i < len(n.out) && c != nil && len(c.Elems) <= maxContent && (!c.Scalar || len(c.Elems) == 1) {
		n.out[i].Content = c
	}
}

// SetInfo gives everything that is known of output i.
func (n *Node) SetInfo(i int, info Info) {
	if i < len(n.out) {
		n.out[i] = info
	}
}

// InferBody infers the outputs of the graph attribute name for inputs of
// which the given is known.
func (n *Node) InferBody(name string, in []Info) ([]Info, error) {
	g := n.GraphAttr(name)
	if n.err != nil {
		return nil, n.err
	}
	out, err := n.scope.inferBody(g, in)
	if err != nil {
		return nil, fmt.Errorf("attribute %q: %w", name, err)
	}
	return out, nil
}

// Body compiles the graph attribute name for inputs of which the given is
// known; the kernel then finds it by Ctx.Body. Build calls it.
func (n *Node) Body(name string, in []Info) error {
	g := n.GraphAttr(name)
	if n.err != nil {
		return n.err
	}
	if n.compile == nil {
		return onnx.Errorf(onnx.ErrUnsupported, "a body cannot be compiled here")
	}
	return n.compile(name, g, in)
}

// Axis reads an axis that may be negative and brings it to 0..rank-1.
func Axis(axis int64, rank int) (int, error) {
	a := axis
	if a < 0 {
		a += int64(rank)
	}
	if a < 0 || a >= int64(rank) {
		return 0, onnx.Errorf(onnx.ErrShape, "axis %d, want %d..%d", axis, -rank, rank-1)
	}
	return int(a), nil
}

// unread lists what Build left unread.
func (n *Node) unread() error {
	var left []string
	for i, a := range n.Proto.Attributes {
		if !n.seenAttr[i] {
			left = append(left, fmt.Sprintf("attribute %q", a.Name))
		}
	}
	for i := range n.seenIn {
		if !n.seenIn[i] && n.Proto.Inputs[i] != "" {
			left = append(left, "input "+n.formal(i, true))
		}
	}
	for i := range n.seenOut {
		if !n.seenOut[i] && n.Proto.Outputs[i] != "" {
			left = append(left, "output "+n.formal(i, false))
		}
	}
	if len(left) == 0 {
		return nil
	}
	return onnx.Errorf(onnx.ErrUnsupported, "%s not honoured", strings.Join(left, ", "))
}

// formal gives the schema's name of an input or output, or its position.
func (n *Node) formal(i int, input bool) string {
	if n.schema != nil {
		list := n.schema.Outputs
		if input {
			list = n.schema.Inputs
		}
		if i < len(list) {
			return list[i].Name
		}
	}
	return fmt.Sprint(i)
}
