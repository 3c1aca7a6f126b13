package onnx

import (
	goruntime "runtime"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// EncodeTensor writes a tensor as a TensorProto of that name, as Encode does.
func EncodeTensor(t *Tensor, name string) ([]byte, error) {
	return encode(func(e *encoder) { e.tensor(t, name) })
}

func (e *encoder) initializer(init *Initializer) {
	t := init.Tensor
	if e.tensorHead(t) {
		e.tensorData(t, init.Name, init.Doc)
		e.properties(16, init.Metadata)
	}
	e.unknown(init.Unknown)
}

func (e *encoder) tensor(t *Tensor, name string) {
	if e.tensorHead(t) {
		e.tensorData(t, name, "")
	}
}

// tensorHead writes what comes before the elements, false when there is no
// tensor.
func (e *encoder) tensorHead(t *Tensor) bool {
	if t == nil || !t.dtype.Valid() {
		e.fail(Errorf(ErrMalformed, "no tensor"))
		return false
	}
	e.dims(1, t.shape)
	e.int(2, int64(t.dtype))
	return true
}

func (e *encoder) dims(num protowire.Number, shape []int) {
	for _, d := range shape {
		e.int(num, int64(d))
	}
}

func (e *encoder) tensorData(t *Tensor, name, doc string) {
	if t.dtype == String {
		e.strings(fieldString, t.strs)
	}
	e.text(8, name)
	if t.ext == nil && t.dtype != String {
		e.elements(t)
	}
	e.text(12, doc)
	if t.ext != nil {
		e.external(t.ext)
	}
}

// elements writes raw_data. Packed elements are packed once only.
func (e *encoder) elements(t *Tensor) {
	e.begin(fieldRaw, rawLen(t.dtype, t.n))
	if e.out != nil {
		e.raw(t.FileBytes())
		goruntime.KeepAlive(t)
	}
}

func (e *encoder) external(x *ExternalData) {
	e.property(13, "location", x.Location)
	if x.Offset != 0 {
		e.property(13, "offset", strconv.FormatInt(x.Offset, 10))
	}
	if x.Length >= 0 {
		e.property(13, "length", strconv.FormatInt(x.Length, 10))
	}
	if x.Checksum != "" {
		e.property(13, "checksum", x.Checksum)
	}
	e.int(14, 1)
}

// sparse writes a SparseTensorProto, whose name is that of its values.
func (e *encoder) sparse(s *SparseTensor, name string) {
	if s == nil {
		e.fail(Errorf(ErrMalformed, "no sparse tensor"))
		return
	}
	e.message(1, func() { e.tensor(s.Values, name) })
	e.message(2, func() { e.tensor(s.Indices, "") })
	e.dims(3, s.Dims)
}
