package onnx

// Kind is the kind of a value.
type Kind uint8

// The kinds of values. KindUnknown stands for a type that is not known.
const (
	KindUnknown Kind = iota
	KindTensor
	KindSparseTensor
	KindSequence
	KindMap
	KindOptional
)

// String gives the word that the schemas use, "tensor" for one.
func (k Kind) String() string {
	switch k {
	case KindTensor:
		return "tensor"
	case KindSparseTensor:
		return "sparse_tensor"
	case KindSequence:
		return "seq"
	case KindMap:
		return "map"
	case KindOptional:
		return "optional"
	}
	return "unknown"
}

// Type is what is known of a value before a run: of a graph's inputs by
// declaration, of everything else by inference. The zero Type knows nothing.
type Type struct {
	Kind Kind
	// Elem is the element type of a tensor or sparse tensor (Undefined when
	// not known), and the key type of a map.
	Elem DataType
	// Shape is the shape of a tensor or sparse tensor; nil for unknown rank.
	Shape Shape
	// Of is the type of a sequence's or optional's element, and of a map's
	// values; nil when it is not known.
	Of *Type
	// Denotation is the type's semantic tag, as in the file.
	Denotation string
}

// TensorType is the type of a tensor; a nil shape is one of unknown rank.
func TensorType(elem DataType, shape Shape) Type {
	return Type{Kind: KindTensor, Elem: elem, Shape: shape}
}

// SequenceType is the type of a sequence of elements of type of.
func SequenceType(of Type) Type { return Type{Kind: KindSequence, Of: &of} }

// OptionalType is the type of an optional value of type of.
func OptionalType(of Type) Type { return Type{Kind: KindOptional, Of: &of} }

// MapType is the type of a map.
func MapType(key DataType, value Type) Type { return Type{Kind: KindMap, Elem: key, Of: &value} }

// Known reports whether anything is known of the type.
func (t Type) Known() bool { return t.Kind != KindUnknown }

// Name writes the type without its shape as the schemas do:
// "tensor(float)", "seq(tensor(int64))", "map(string,tensor(float))".
func (t Type) Name() string {
	of := "?"
	if t.Of != nil {
		of = t.Of.Name()
	}
	switch t.Kind {
	case KindTensor, KindSparseTensor:
		return t.Kind.String() + "(" + t.Elem.String() + ")"
	case KindSequence, KindOptional:
		return t.Kind.String() + "(" + of + ")"
	case KindMap:
		return "map(" + t.Elem.String() + "," + of + ")"
	}
	return "unknown"
}

// String writes the type with its shape: "tensor(float) [batch 20]".
func (t Type) String() string {
	if t.Kind == KindTensor || t.Kind == KindSparseTensor {
		return t.Name() + " " + t.Shape.String()
	}
	return t.Name()
}
