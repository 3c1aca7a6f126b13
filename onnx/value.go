package onnx

// Value is what flows along the edges of a graph: a *Tensor, *Sequence,
// *Optional, *Map or *SparseTensor. All implementations are in this package.
//
// A value that has been given to a run or come out of one is read-only.
type Value interface {
	// Type describes the value; shapes are fixed.
	Type() Type
	isValue()
}

// Values maps names of a model's inputs or outputs to values.
type Values map[string]Value

// Sequence is an ordered list of values of one type.
type Sequence struct {
	Elem  Type    // the type of the elements; it matters when there are none
	Items []Value // *Tensor, *Sequence, *Map, *Optional or *SparseTensor
	buf   Buffer  // counts the items together; nil: each counts by itself
}

// NewSequence makes a sequence of the items; its element type is that of the
// first item, without its shape.
func NewSequence(items ...Value) *Sequence {
	s := &Sequence{Items: items}
	if len(items) > 0 {
		s.Elem = items[0].Type()
		s.Elem.Shape = nil
	}
	return s
}

// Type gives the sequence's type.
func (s *Sequence) Type() Type { return SequenceType(s.Elem) }
func (s *Sequence) isValue()   {}

// Optional is a value that may be absent.
type Optional struct {
	Elem  Type  // the type of the element; it matters when there is none
	Value Value // nil when absent
}

// Type gives the optional's type.
func (o *Optional) Type() Type { return OptionalType(o.Elem) }
func (o *Optional) isValue()   {}

// Map is a dictionary from integers or strings to numbers or strings, as the
// ai.onnx.ml operators use it. Keys is a tensor of shape [n] of an integer
// type or of strings, Values a tensor of shape [n].
type Map struct {
	Keys   *Tensor
	Values *Tensor
}

// Type gives the map's type; the shape of its values is a scalar's.
func (m *Map) Type() Type {
	return MapType(m.Keys.DataType(), TensorType(m.Values.DataType(), Shape{}))
}
func (m *Map) isValue() {}

// SparseTensor holds the non-zero elements of a tensor in coordinate form.
type SparseTensor struct {
	// Values has shape [n].
	Values *Tensor
	// Indices is int64: of shape [n], linear indices in ascending order, or
	// of shape [n, rank], coordinates in ascending lexicographic order.
	Indices *Tensor
	// Dims is the shape of the dense tensor.
	Dims []int
}

// Type gives the sparse tensor's type.
func (s *SparseTensor) Type() Type {
	return Type{Kind: KindSparseTensor, Elem: s.Values.DataType(), Shape: FixedShape(s.Dims...)}
}
func (s *SparseTensor) isValue() {}
