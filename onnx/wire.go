package onnx

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// wire walks over the fields of one encoded message. After next has returned
// true, num, typ and raw describe a field; the methods below read its value
// and note an error when it has another wire type than they want.
type wire struct {
	rest []byte
	num  protowire.Number
	typ  protowire.Type
	raw  []byte // the field, tag included
	val  []byte // what follows the tag
	err  error
}

func (w *wire) next() bool {
	if w.err != nil || len(w.rest) == 0 {
		return false
	}
	num, typ, n := protowire.ConsumeTag(w.rest)
	if n < 0 {
		w.err = Errorf(ErrMalformed, "broken field tag")
		return false
	}
	m := protowire.ConsumeFieldValue(num, typ, w.rest[n:])
	if m < 0 {
		w.err = Errorf(ErrMalformed, "field %d is truncated or broken", num)
		return false
	}
	w.num, w.typ = num, typ
	w.raw, w.val = w.rest[:n+m], w.rest[n:n+m]
	w.rest = w.rest[n+m:]
	return true
}

// want reports whether the field has the given wire type.
func (w *wire) want(t protowire.Type) bool {
	if w.typ != t && w.err == nil {
		w.err = Errorf(ErrMalformed, "field %d has wire type %d, want %d", w.num, w.typ, t)
	}
	return w.err == nil
}

// message gives the bytes of a length-delimited field. They have the capacity
// of what they were cut from, which offset relies on.
func (w *wire) message() []byte {
	if !w.want(protowire.BytesType) {
		return nil
	}
	b, _ := protowire.ConsumeBytes(w.val)
	return b
}

func (w *wire) varint() int64 {
	if !w.want(protowire.VarintType) {
		return 0
	}
	v, _ := protowire.ConsumeVarint(w.val)
	return int64(v)
}

func (w *wire) float() float32 {
	if !w.want(protowire.Fixed32Type) {
		return 0
	}
	v, _ := protowire.ConsumeFixed32(w.val)
	return math.Float32frombits(v)
}

// fault notes an error of what a field holds.
func (w *wire) fault(err error) {
	if w.err == nil {
		w.err = err
	}
}

// in is fault with the field's place before the error.
func (w *wire) in(err error, format string, args ...any) {
	if err != nil && w.err == nil {
		w.err = &placedError{fmt.Sprintf(format, args...), err}
	}
}

// varints appends the elements of a repeated integer field, packed or not.
func (w *wire) varints(dst []int64) []int64 {
	if w.typ != protowire.BytesType {
		return append(dst, w.varint())
	}
	b := w.message()
	if dst == nil && len(b) > 0 {
		n := 0
		for _, c := range b {
			if c < 0x80 {
				n++
			}
		}
		dst = make([]int64, 0, n)
	}
	for len(b) > 0 {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			w.fault(Errorf(ErrMalformed, "field %d: broken packed integers", w.num))
			return dst
		}
		dst = append(dst, int64(v))
		b = b[n:]
	}
	return dst
}

// fixed32 appends the bytes of a repeated 4-byte field, packed or not.
func (w *wire) fixed32(dst []byte) []byte { return w.fixed(dst, protowire.Fixed32Type, 4) }

// fixed64 is fixed32 for 8 bytes.
func (w *wire) fixed64(dst []byte) []byte { return w.fixed(dst, protowire.Fixed64Type, 8) }

func (w *wire) fixed(dst []byte, t protowire.Type, size int) []byte {
	if w.typ == t {
		return append(dst, w.val...)
	}
	b := w.message()
	if len(b)%size != 0 {
		w.fault(Errorf(ErrMalformed, "field %d: %d bytes of packed numbers of %d", w.num, len(b), size))
		return dst
	}
	if dst == nil {
		return b[:len(b):len(b)] // without room, so that appending does not write into the file
	}
	return append(dst, b...)
}
