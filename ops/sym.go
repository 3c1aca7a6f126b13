package ops

import (
	"strconv"

	"github.com/recur-ml/recur/onnx"
)

// Sym is an integer that is known, or known by a symbol, or not known. The
// contents of small integer tensors (shapes, axes, lengths) are tracked as
// lists of them, so that a shape that a model computes is known at load.
type Sym struct {
	Known bool
	Value int64
	Name  string // the symbol of a dimension; "" when there is none
}

// Int is a known integer.
func Int(v int64) Sym { return Sym{Known: true, Value: v} }

// SymOf gives a dimension as an integer.
func SymOf(d onnx.Dim) Sym {
	if d.Known() {
		return Int(int64(d.Value))
	}
	return Sym{Name: d.Name}
}

// Dim gives the integer as a dimension; a known negative one is unknown.
func (s Sym) Dim() onnx.Dim {
	if s.Known {
		if s.Value < 0 || int64(int(s.Value)) != s.Value {
			return onnx.UnknownDim
		}
		return onnx.Fixed(int(s.Value))
	}
	return onnx.Dim{Value: -1, Name: s.Name}
}

// String gives the integer, the symbol, or "?".
func (s Sym) String() string {
	switch {
	case s.Known:
		return strconv.FormatInt(s.Value, 10)
	case s.Name != "":
		return s.Name
	}
	return "?"
}

// Content is what is known of the elements of an integer tensor of rank 0 or
// 1. Nil is nothing.
type Content struct {
	Scalar bool // rank 0: one element
	Elems  []Sym
}

// maxContent bounds the tensors whose elements are tracked.
const maxContent = 256

// contentOf reads the elements of a small constant of int64 or int32.
func contentOf(t *onnx.Tensor) *Content {
	if t == nil || t.Rank() > 1 || t.Len() > maxContent || t.External() != nil {
		return nil
	}
	d := t.DataType()
	if d != onnx.Int64 && d != onnx.Int32 {
		return nil
	}
	c := &Content{Scalar: t.Rank() == 0}
	if t.Len() > 0 {
		c.Elems = make([]Sym, t.Len())
	}
	if d == onnx.Int64 {
		for i, v := range onnx.Elements[int64](t) {
			c.Elems[i] = Int(v)
		}
		return c
	}
	for i, v := range onnx.Elements[int32](t) {
		c.Elems[i] = Int(int64(v))
	}
	return c
}

// Ints gives the elements when all are known.
func (c *Content) Ints() ([]int64, bool) {
	if c == nil {
		return nil, false
	}
	out := make([]int64, len(c.Elems))
	for i, e := range c.Elems {
		if !e.Known {
			return nil, false
		}
		out[i] = e.Value
	}
	return out, true
}

// Info is what is known of a value at load.
type Info struct {
	Type onnx.Type
	// Const is the value itself when it is a constant.
	Const onnx.Value
	// Content is what is known of a small integer tensor that is not a
	// constant.
	Content *Content
}

// Tensor gives a constant tensor, nil when the value is not one.
func (i Info) Tensor() *onnx.Tensor {
	t, _ := i.Const.(*onnx.Tensor)
	return t
}
