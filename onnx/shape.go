package onnx

import (
	"strconv"
	"strings"

	"github.com/recur-ml/recur/internal/brief"
)

// Dim is one dimension of a declared or inferred shape.
type Dim struct {
	Value int    // the size, or -1 when it is not known
	Name  string // the dimension's symbol (dim_param); "" when it has none
}

// Fixed is a dimension of known size.
func Fixed(n int) Dim { return Dim{Value: n} }

// UnknownDim is a dimension of which nothing is known.
var UnknownDim = Dim{Value: -1}

// Known reports whether the size is known.
func (d Dim) Known() bool { return d.Value >= 0 }

// Same reports whether both dimensions are certainly equal: the same size, or
// the same symbol.
func (d Dim) Same(o Dim) bool {
	if d.Known() || o.Known() {
		return d.Value == o.Value
	}
	return d.Name != "" && d.Name == o.Name
}

// String gives the size, the symbol in a form fit for messages, or "?".
func (d Dim) String() string {
	switch {
	case d.Known():
		return strconv.Itoa(d.Value)
	case d.Name != "":
		return brief.Word(d.Name)
	}
	return "?"
}

// Shape is a shape with symbolic dimensions. A nil Shape has unknown rank;
// a scalar's shape is empty and not nil.
type Shape []Dim

// FixedShape is the shape of the given sizes; a negative size is unknown.
func FixedShape(dims ...int) Shape {
	s := make(Shape, len(dims))
	for i, n := range dims {
		s[i] = Dim{Value: max(n, -1)}
	}
	return s
}

// UnknownShape is a shape of the given rank of which nothing else is known.
func UnknownShape(rank int) Shape {
	s := make(Shape, rank)
	for i := range s {
		s[i] = UnknownDim
	}
	return s
}

// Ranked reports whether the rank is known.
func (s Shape) Ranked() bool { return s != nil }

// Ints gives the sizes and true when every one is known.
func (s Shape) Ints() ([]int, bool) {
	if s == nil {
		return nil, false
	}
	out := make([]int, len(s))
	for i, d := range s {
		if !d.Known() {
			return nil, false
		}
		out[i] = d.Value
	}
	return out, true
}

// Clone copies the shape; nil stays nil.
func (s Shape) Clone() Shape {
	if s == nil {
		return nil
	}
	return append(Shape{}, s...)
}

// String writes the shape as "[batch 20]", and "[...]" for unknown rank.
func (s Shape) String() string {
	if s == nil {
		return "[...]"
	}
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = d.String()
	}
	return "[" + strings.Join(parts, " ") + "]"
}
