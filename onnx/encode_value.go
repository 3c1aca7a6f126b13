package onnx

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// EncodeValue writes a value as ONNX's test data has it: a TensorProto,
// SparseTensorProto, SequenceProto, OptionalProto or MapProto by its kind.
// Errors match those of Encode.
func EncodeValue(v Value) ([]byte, error) {
	return encode(func(e *encoder) { e.value(v) })
}

// value writes the fields of a value's message.
func (e *encoder) value(v Value) {
	switch v := v.(type) {
	case *Tensor:
		e.tensor(v, "")
	case *SparseTensor:
		e.sparse(v, "")
	case *Sequence:
		e.sequence(v)
	case *Optional:
		e.optional(v)
	case *Map:
		e.mapProto(v)
	default:
		e.fail(Errorf(ErrMalformed, "no value"))
	}
}

// nested writes a value as a field of SequenceProto or OptionalProto.
func (e *encoder) nested(v Value) {
	num := protowire.Number(0)
	switch v.(type) {
	case *Tensor:
		num = 3
	case *SparseTensor:
		num = 4
	case *Sequence:
		num = 5
	case *Map:
		num = 6
	case *Optional:
		num = 7
	default:
		e.fail(Errorf(ErrMalformed, "no value"))
		return
	}
	e.message(num, func() { e.value(v) })
}

// elemKind writes the kind of what a sequence or optional holds.
func (e *encoder) elemKind(k Kind) { e.number(2, int64(slices.Index(kinds[:], k))) }

func (e *encoder) sequence(s *Sequence) {
	if s == nil {
		e.fail(Errorf(ErrMalformed, "no sequence"))
		return
	}
	kind := s.Elem.Kind
	if len(s.Items) > 0 && s.Items[0] != nil {
		kind = kindOf(s.Items[0])
	}
	e.elemKind(kind)
	for i, v := range s.Items {
		if v != nil && kindOf(v) != kind {
			e.fail(Errorf(ErrMalformed, "element %d of a sequence is a %v, the first one a %v", i, kindOf(v), kind))
		}
		e.nested(v)
	}
}

func (e *encoder) optional(o *Optional) {
	switch {
	case o == nil:
		e.fail(Errorf(ErrMalformed, "no optional"))
	case o.Value == nil:
		e.elemKind(o.Elem.Kind)
	default:
		e.elemKind(kindOf(o.Value))
		e.nested(o.Value)
	}
}

// kindOf is the kind of a value's type, for values that lack parts too.
func kindOf(v Value) Kind {
	switch v.(type) {
	case *Tensor:
		return KindTensor
	case *SparseTensor:
		return KindSparseTensor
	case *Sequence:
		return KindSequence
	case *Optional:
		return KindOptional
	case *Map:
		return KindMap
	}
	return KindUnknown
}

// mapProto writes a map's values as a sequence of scalars.
func (e *encoder) mapProto(m *Map) {
	if m == nil || m.Keys == nil || m.Values == nil || m.Keys.n != m.Values.n {
		e.fail(Errorf(ErrMalformed, "a map without as many values as keys"))
		return
	}
	e.int(2, int64(m.Keys.dtype))
	switch keys := m.Keys; {
	case keys.dtype == String:
		e.strings(4, keys.strs)
	case keys.dtype.IsInteger() && keys.dtype.Bits() >= 8 && keys.ext == nil:
		for i := range keys.n {
			e.int(3, integerAt(keys, i))
		}
	default:
		e.fail(Errorf(ErrMalformed, "keys of type %v, want integers or strings", keys.dtype))
	}
	e.message(5, func() {
		e.elemKind(KindTensor)
		for i := range m.Values.n {
			e.message(3, func() { e.tensor(scalarAt(m.Values, i), "") })
		}
	})
}

// integerAt gives an element of an integer tensor.
func integerAt(t *Tensor, i int) int64 {
	switch t.dtype {
	case Int8:
		return int64(Elements[int8](t)[i])
	case Int16:
		return int64(Elements[int16](t)[i])
	case Int32:
		return int64(Elements[int32](t)[i])
	case Uint8:
		return int64(Elements[uint8](t)[i])
	case Uint16:
		return int64(Elements[uint16](t)[i])
	case Uint32:
		return int64(Elements[uint32](t)[i])
	}
	return Elements[int64](t)[i] // the bits of a uint64 are written alike
}

// scalarAt views an element of a tensor; nil when it has not been read.
func scalarAt(t *Tensor, i int) *Tensor {
	if t.ext != nil {
		return nil
	}
	s := &Tensor{dtype: t.dtype}
	s.setShape(nil, 1)
	if t.dtype == String {
		s.strs = t.strs[i : i+1]
		return s
	}
	w := t.dtype.Size()
	s.data = t.Bytes()[i*w : (i+1)*w]
	return s
}
