package onnx

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/recur-ml/recur/internal/brief"
)

// namedTensor is a TensorProto: the tensor, and what only initializers keep.
type namedTensor struct {
	name     string
	doc      string
	tensor   *Tensor
	metadata []Property
	unknown  []byte
}

func (d *decoder) initializer(b []byte) (*Initializer, error) {
	t, err := d.tensor(b)
	if err != nil {
		return nil, err
	}
	return &Initializer{Name: t.name, Tensor: t.tensor, Doc: t.doc, Span: d.span(b), Metadata: t.metadata, Unknown: t.unknown}, nil
}

// The fields of TensorProto that hold elements.
const (
	fieldFloat  = 4
	fieldInt32  = 5
	fieldString = 6
	fieldInt64  = 7
	fieldRaw    = 9
	fieldDouble = 10
	fieldUint64 = 11
)

// fieldOf gives the field of TensorProto that holds a type's elements when
// raw_data does not.
func fieldOf(t DataType) int {
	switch t {
	case Float, Complex64:
		return fieldFloat
	case Double, Complex128:
		return fieldDouble
	case Int64:
		return fieldInt64
	case Uint32, Uint64:
		return fieldUint64
	case String:
		return fieldString
	}
	return fieldInt32
}

// elementFields are the elements of a TensorProto as its fields hold them.
type elementFields struct {
	raw     []byte
	floats  []byte // of 4 bytes
	doubles []byte // of 8 bytes
	ints    []int64
	strs    []string
	has     int // the field that is not empty, 0 if all are
	hasRaw  bool
	ext     *ExternalData
}

// decodedTensor is a tensor of a file in one piece of memory.
type decodedTensor struct {
	Tensor
	lazyData
}

// lies says where the elements lie as raw_data has them.
func (t *decodedTensor) lies(raw []byte) {
	t.lazyData.raw = raw
	t.lazy = &t.lazyData
}

func (d *decoder) tensor(b []byte) (namedTensor, error) {
	tensor := &decodedTensor{}
	out := namedTensor{tensor: &tensor.Tensor}
	dims := d.dims[:0]
	var e elementFields
	location := int64(0)
	w := &wire{rest: b}
	w.fault(d.charge(unsafe.Sizeof(out) + unsafe.Sizeof(*tensor)))
	for w.next() {
		switch w.num {
		case 1:
			w.fault(d.charge(uintptr(len(w.val)) * 8))
			dims = w.varints(dims)
		case 2:
			out.tensor.dtype = DataType(w.varint())
		case 3:
			w.fault(Errorf(ErrUnsupported, "a tensor in segments"))
		case fieldFloat:
			e.floats = w.fixed32(e.floats)
			e.saw(w, fieldFloat)
		case fieldDouble:
			e.doubles = w.fixed64(e.doubles)
			e.saw(w, fieldDouble)
		case fieldInt32, fieldInt64, fieldUint64:
			w.fault(d.charge(uintptr(len(w.val)) * 8))
			e.ints = w.varints(e.ints)
			e.saw(w, int(w.num))
		case fieldString:
			e.strs = append(e.strs, d.str(w))
			e.saw(w, fieldString)
		case 8:
			out.name = d.str(w)
		case fieldRaw:
			e.raw, e.hasRaw = w.message(), true
		case 12:
			out.doc = d.text(w)
		case 13:
			e.ext = d.externalEntry(w, e.ext)
		case 14:
			location = w.varint()
		case 16:
			out.metadata = d.property(w, out.metadata)
		default:
			out.unknown = append(out.unknown, w.raw...)
		}
	}
	d.dims = dims
	if w.err == nil {
		w.err = d.elements(tensor, dims, &e, location == 1)
	}
	if w.err != nil {
		if out.name != "" {
			return namedTensor{}, &placedError{fmt.Sprintf("%q", brief.Name(out.name)), w.err}
		}
		return namedTensor{}, w.err
	}
	return out, nil
}

// saw notes that a typed field has elements.
func (e *elementFields) saw(w *wire, field int) {
	if len(w.val) > 1 || w.typ != 2 { // an empty packed field does not count
		if e.has != 0 && e.has != field {
			w.fault(Errorf(ErrMalformed, "elements in fields %d and %d", e.has, field))
		}
		e.has = field
	}
}

func (d *decoder) externalEntry(w *wire, ext *ExternalData) *ExternalData {
	if ext == nil {
		ext = &ExternalData{Length: -1}
	}
	var key, value string
	in := &wire{rest: w.message()}
	for in.next() {
		switch in.num {
		case 1:
			key = d.str(in)
		case 2:
			value = d.str(in)
		}
	}
	w.fault(in.err)
	w.fault(ext.set(key, value))
	return ext
}

// set takes an entry of external_data; keys that are not known are refused.
func (e *ExternalData) set(key, value string) error {
	var number int64
	if key == "offset" || key == "length" {
		if _, err := fmt.Sscanf(value, "%d", &number); err != nil || fmt.Sprint(number) != value || number < 0 {
			return Errorf(ErrMalformed, "external_data %s %q, want a whole number from 0", key, value)
		}
	}
	switch key {
	case "location":
		e.Location = value
	case "offset":
		e.Offset = number
	case "length":
		e.Length = number
	case "checksum":
		e.Checksum = value
	default:
		return Errorf(ErrMalformed, "external_data has the key %q, want location, offset, length or checksum", key)
	}
	return nil
}

// elements gives t its shape and its elements.
func (d *decoder) elements(t *decodedTensor, dims []int64, e *elementFields, external bool) error {
	if !t.dtype.Valid() {
		return Errorf(ErrType, "data_type %d is no element type", int32(t.dtype))
	}
	if len(dims) > d.limits.Rank {
		return &LimitError{What: "rank", Got: int64(len(dims)), Max: int64(d.limits.Rank)}
	}
	shape := make([]int, len(dims))
	for i, v := range dims {
		if v < 0 || int64(int(v)) != v {
			return Errorf(ErrShape, "dims[%d] is %d", i, v)
		}
		shape[i] = int(v)
	}
	n, err := NumElements(shape)
	if err != nil {
		return err
	}
	t.setShape(shape, n)
	if err := d.count(&t.Tensor); err != nil {
		return err
	}
	switch {
	case external:
		return d.outside(&t.Tensor, e)
	case e.ext != nil:
		return Errorf(ErrMalformed, "external_data and no data_location EXTERNAL")
	case e.hasRaw && t.dtype == String:
		return Errorf(ErrMalformed, "raw_data of a string tensor")
	case e.hasRaw && (len(e.raw) > 0 || e.has == 0):
		return fromRaw(t, e)
	}
	return fromTyped(t, e)
}

// count charges a tensor's elements as they will lie in memory. What a file
// holds itself cannot be more than the file; only claims need the bound.
func (d *decoder) count(t *Tensor) error {
	size := int64(max(t.dtype.Size(), 1))
	if int64(t.n) > (d.limits.InitializerBytes-d.bytes)/size {
		return &LimitError{What: "bytes of tensors", Got: saturatingAdd(d.bytes, saturatingMul(int64(t.n), size)), Max: d.limits.InitializerBytes}
	}
	d.bytes += int64(t.n) * size
	return nil
}

func saturatingMul(a, b int64) int64 {
	if a > 0 && b > (1<<63-1)/a {
		return 1<<63 - 1
	}
	return a * b
}

func saturatingAdd(a, b int64) int64 {
	if a > 1<<63-1-b {
		return 1<<63 - 1
	}
	return a + b
}

func (d *decoder) outside(t *Tensor, e *elementFields) error {
	switch {
	case t.dtype == String:
		return Errorf(ErrMalformed, "external data of a string tensor")
	case e.ext == nil || e.ext.Location == "":
		return Errorf(ErrMalformed, "data_location EXTERNAL and no location in external_data")
	case e.hasRaw || e.has != 0:
		return Errorf(ErrMalformed, "elements both in the file and in external data %q", e.ext.Location)
	}
	t.ext = e.ext
	return nil
}

// rawLen is the number of bytes that n elements take in raw_data.
func rawLen(t DataType, n int) int64 {
	bits := int64(t.Bits())
	if bits >= 8 {
		return saturatingMul(int64(n), bits/8)
	}
	per := 8 / bits
	return (int64(n) + per - 1) / per
}

func fromRaw(t *decodedTensor, e *elementFields) error {
	if e.has != 0 {
		return Errorf(ErrMalformed, "elements both in raw_data and in field %d", e.has)
	}
	if want := rawLen(t.dtype, t.n); int64(len(e.raw)) != want {
		return Errorf(ErrMalformed, "raw_data has %d bytes, %v%v takes %d", len(e.raw), t.dtype, t.shape, want)
	}
	t.lies(e.raw)
	return nil
}

// fromTyped reads elements of the fields that have a type.
func fromTyped(t *decodedTensor, e *elementFields) error {
	field := fieldOf(t.dtype)
	if e.has != 0 && e.has != field {
		return Errorf(ErrMalformed, "elements of type %v in field %d, want field %d", t.dtype, e.has, field)
	}
	have, want := 0, t.n
	switch field {
	case fieldFloat:
		have = len(e.floats) / 4
		if t.dtype == Complex64 {
			want = 2 * t.n
		}
	case fieldDouble:
		have = len(e.doubles) / 8
		if t.dtype == Complex128 {
			want = 2 * t.n
		}
	case fieldString:
		have = len(e.strs)
	default:
		have = len(e.ints)
		if t.dtype.Bits() < 8 { // each entry is a byte of the packed elements
			want = int(rawLen(t.dtype, t.n))
		}
	}
	if have != want {
		return Errorf(ErrMalformed, "%d elements in field %d, %v%v takes %d", have, field, t.dtype, t.shape, want)
	}
	switch field {
	case fieldFloat:
		t.lies(e.floats)
	case fieldDouble:
		t.lies(e.doubles)
	case fieldString:
		t.strs = e.strs
		if t.strs == nil {
			t.strs = []string{}
		}
	default:
		raw, err := narrowInts(t.dtype, e.ints)
		if err != nil {
			return err
		}
		t.lies(raw)
	}
	return nil
}

// narrowInts gives the bytes that raw_data would hold. A value must fit its
// type; float types and packed ones are bit patterns.
func narrowInts(t DataType, ints []int64) ([]byte, error) {
	size := t.Size()
	raw := make([]byte, 0, len(ints)*size)
	signed := t == Int8 || t == Int16 || t == Int32 || t == Int64
	for i, v := range ints {
		bits := 8 * size
		if bits < 64 {
			low, high := int64(0), int64(1)<<bits-1
			if signed {
				low, high = -(int64(1) << (bits - 1)), int64(1)<<(bits-1)-1
			}
			if t == Bool {
				high = 1
			}
			if v < low || v > high {
				return nil, Errorf(ErrMalformed, "element %d is %d, which is no %v", i, v, t)
			}
		}
		switch size {
		case 1:
			raw = append(raw, byte(v))
		case 2:
			raw = binary.LittleEndian.AppendUint16(raw, uint16(v))
		case 4:
			raw = binary.LittleEndian.AppendUint32(raw, uint32(v))
		default:
			raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
		}
	}
	return raw, nil
}

// namedSparse is a SparseTensorProto; its name is that of its values.
type namedSparse struct {
	name    string
	tensor  *SparseTensor
	unknown []byte
}

func (d *decoder) sparse(b []byte) (namedSparse, error) {
	out := namedSparse{tensor: &SparseTensor{}}
	var dims []int64
	w := &wire{rest: b}
	for w.next() {
		switch w.num {
		case 1:
			once(w, out.tensor.Values != nil, "values")
			t, err := d.tensor(w.message())
			w.in(err, "values")
			if err == nil {
				out.name, out.tensor.Values = t.name, t.tensor
			}
		case 2:
			once(w, out.tensor.Indices != nil, "indices")
			t, err := d.tensor(w.message())
			w.in(err, "indices")
			if err == nil {
				out.tensor.Indices = t.tensor
			}
		case 3:
			w.fault(d.charge(uintptr(len(w.val)) * 8))
			dims = w.varints(dims)
		default:
			out.unknown = append(out.unknown, w.raw...)
		}
	}
	if w.err != nil {
		return out, w.err
	}
	if len(dims) > d.limits.Rank {
		return out, &LimitError{What: "rank", Got: int64(len(dims)), Max: int64(d.limits.Rank)}
	}
	for i, v := range dims {
		if v < 0 || int64(int(v)) != v {
			return out, Errorf(ErrShape, "dims[%d] is %d", i, v)
		}
		out.tensor.Dims = append(out.tensor.Dims, int(v))
	}
	return out, d.countDense(out.tensor)
}

// countDense charges the dense form, in which nodes read it.
func (d *decoder) countDense(s *SparseTensor) error {
	if s.Values == nil || s.Indices == nil {
		return Errorf(ErrMalformed, "a sparse tensor without values or indices")
	}
	n, err := NumElements(s.Dims)
	if err != nil {
		return err
	}
	return d.count(&Tensor{dtype: s.Values.dtype, n: n})
}

func (d *decoder) sparseInitializer(b []byte) (*SparseInitializer, error) {
	s, err := d.sparse(b)
	if err != nil {
		return nil, err
	}
	return &SparseInitializer{Name: s.name, Tensor: s.tensor, Span: d.span(b), Unknown: s.unknown}, nil
}
