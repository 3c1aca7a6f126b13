package onnx

// DecodeTensor reads an encoded TensorProto, as ONNX's test data has it. The
// tensor views data where it lies. An error matches ErrMalformed, ErrType,
// ErrShape or ErrLimit.
func DecodeTensor(data []byte) (*Tensor, error) {
	t, err := newDecoder(data, nil).tensor(data)
	if err != nil {
		return nil, err
	}
	return t.tensor, nil
}

// DecodeSequence reads an encoded SequenceProto, as DecodeTensor does.
func DecodeSequence(data []byte) (*Sequence, error) {
	return newDecoder(data, nil).sequence(data, 0)
}

// DecodeOptional reads an encoded OptionalProto, as DecodeTensor does. One
// without a value, or with a tensor of no element type, is empty.
func DecodeOptional(data []byte) (*Optional, error) {
	return newDecoder(data, nil).optional(data, 0)
}

// kinds gives the kind of value behind an elem_type of SequenceProto and
// OptionalProto, which number them alike.
var kinds = [...]Kind{KindUnknown, KindTensor, KindSparseTensor, KindSequence, KindMap, KindOptional}

func (d *decoder) kind(w *wire) Kind {
	v := w.varint()
	if v < 0 || v >= int64(len(kinds)) {
		w.fault(Errorf(ErrMalformed, "elem_type %d, want 0..%d", v, len(kinds)-1))
		return KindUnknown
	}
	return kinds[v]
}

// nested reads the value in a field of SequenceProto or OptionalProto, whose
// fields 3 to 7 are alike; nil for another field.
func (d *decoder) nested(w *wire, depth int) Value {
	if depth >= d.limits.Depth {
		w.fault(&LimitError{What: "depth of a value", Got: int64(depth) + 1, Max: int64(d.limits.Depth)})
		return nil
	}
	var v Value
	var err error
	switch w.num {
	case 3:
		var t namedTensor
		if t, err = d.tensor(w.message()); err == nil {
			v = t.tensor
		}
	case 4:
		var s namedSparse
		if s, err = d.sparse(w.message()); err == nil {
			err = s.tensor.Check()
			v = s.tensor
		}
	case 5:
		v, err = d.sequence(w.message(), depth+1)
	case 6:
		v, err = d.mapProto(w.message(), depth+1)
	case 7:
		v, err = d.optional(w.message(), depth+1)
	default:
		return nil
	}
	w.fault(err)
	if err != nil {
		return nil
	}
	return v
}

func (d *decoder) sequence(b []byte, depth int) (*Sequence, error) {
	s := &Sequence{}
	w := &wire{rest: b}
	kind := KindUnknown
	for w.next() {
		if w.num == 2 {
			kind = d.kind(w)
			continue
		}
		if v := d.nested(w, depth); v != nil && w.err == nil {
			s.Items = append(s.Items, v)
		}
		if w.err != nil {
			return nil, &placedError{"sequence", w.err}
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	s.Elem.Kind = kind
	for i, v := range s.Items {
		t := v.Type()
		t.Shape = nil
		if kind != KindUnknown && t.Kind != kind {
			return nil, Errorf(ErrType, "element %d of the sequence is a %v, elem_type says %v", i, t.Kind, kind)
		}
		if i > 0 && t.Name() != s.Elem.Name() {
			return nil, Errorf(ErrType, "element %d of the sequence is a %s, the first one a %s", i, t.Name(), s.Elem.Name())
		}
		s.Elem = t
	}
	return s, nil
}

func (d *decoder) optional(b []byte, depth int) (*Optional, error) {
	o := &Optional{}
	w := &wire{rest: b}
	for w.next() {
		switch {
		case w.num == 2:
			o.Elem.Kind = d.kind(w)
		case w.num == 3 && undefinedTensor(w):
		default:
			if v := d.nested(w, depth); v != nil {
				once(w, o.Value != nil, "the value")
				o.Value = v
			}
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	if o.Value != nil {
		kind := o.Elem.Kind
		o.Elem = o.Value.Type()
		o.Elem.Shape = nil
		if kind != KindUnknown && kind != o.Elem.Kind {
			return nil, Errorf(ErrType, "the optional holds a %v, elem_type says %v", o.Elem.Kind, kind)
		}
	}
	return o, nil
}

// undefinedTensor reports whether a field is a tensor of no element type,
// which stands for an absent value.
func undefinedTensor(w *wire) bool {
	in := &wire{rest: w.message()}
	typ := int64(0)
	for in.next() {
		if in.num == 2 {
			typ = in.varint()
		}
	}
	return in.err == nil && typ == 0
}

func (d *decoder) mapProto(b []byte, depth int) (*Map, error) {
	var keyType DataType
	var keys []int64
	var strs []string
	var values *Sequence
	w := &wire{rest: b}
	for w.next() {
		switch w.num {
		case 2:
			keyType = DataType(w.varint())
		case 3:
			keys = w.varints(keys)
			w.fault(d.charge(uintptr(len(w.val)) * 8))
		case 4:
			strs = append(strs, d.str(w))
		case 5:
			s, err := d.sequence(w.message(), depth+1)
			w.fault(err)
			values = s
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	m := &Map{}
	switch {
	case keyType == String && keys == nil:
		m.Keys = MustTensor([]int{len(strs)}, strs)
	case keyType.IsInteger() && keyType.Bits() >= 8 && strs == nil:
		raw, err := narrowInts(keyType, keys)
		if err != nil {
			return nil, err
		}
		t := &Tensor{dtype: keyType, lazy: &lazyData{raw: raw}}
		t.setShape([]int{len(keys)}, len(keys))
		m.Keys = t
	default:
		return nil, Errorf(ErrType, "keys of a map of type %v, with %d integers and %d strings", keyType, len(keys), len(strs))
	}
	return m, d.mapValues(m, values)
}

// mapValues joins the values of a map, tensors of one element each.
func (d *decoder) mapValues(m *Map, values *Sequence) error {
	n := m.Keys.Len()
	if values == nil || len(values.Items) != n {
		return Errorf(ErrMalformed, "a map of %d keys with another number of values", n)
	}
	if n == 0 {
		m.Values = MustTensor([]int{0}, []float32{})
		return nil
	}
	var raw []byte
	var strs []string
	for i, v := range values.Items {
		t, ok := v.(*Tensor)
		if !ok || t.Len() != 1 || t.External() != nil {
			return Errorf(ErrUnsupported, "value %d of a map is a %v, want a tensor of one element", i, v.Type())
		}
		raw = append(raw, t.Bytes()...)
		strs = append(strs, t.Strings()...)
	}
	t := &Tensor{dtype: values.Items[0].(*Tensor).dtype}
	t.setShape([]int{n}, n)
	if t.dtype == String {
		t.strs = strs
	} else {
		t.data = AlignedBytes(len(raw))
		copy(t.data, raw)
	}
	m.Values = t
	return nil
}
