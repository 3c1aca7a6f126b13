package onnx

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// maxMessage is what a protobuf message may take.
	maxMessage = math.MaxInt32
	// maxMessages bounds messages in messages, so that a graph, type or value
	// that holds itself does not go on for ever. Other readers take 100.
	maxMessages = 1000
)

// encode runs write twice: the first time counts bytes, the second writes them
// into memory of the right size.
func encode(write func(*encoder)) ([]byte, error) {
	e := &encoder{}
	write(e)
	if e.err == nil && e.size > maxMessage {
		e.err = &LimitError{What: "bytes of an encoded message", Got: e.size, Max: maxMessage}
	}
	if e.err != nil {
		return nil, e.err
	}
	e.out = make([]byte, 0, e.size)
	write(e)
	return e.out, e.err
}

// encoder writes the fields of messages, in the order of their numbers as other
// writers do. While out is nil it only counts.
type encoder struct {
	out     []byte
	size    int64
	lengths []int64 // of the messages, in the order in which they begin
	next    int     // message of lengths to be written
	depth   int     // of the message that is being counted
	imports map[string]int64
	err     error
}

// fail notes the first error.
func (e *encoder) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

// within names the place of errors that f notes.
func (e *encoder) within(p place, f func()) {
	before := e.err
	f()
	if e.err != nil && before == nil {
		e.err = &placedError{p.String(), e.err}
	}
}

// begin writes the head of a field of n bytes.
func (e *encoder) begin(num protowire.Number, n int64) {
	if e.out == nil {
		e.size += int64(protowire.SizeTag(num)+protowire.SizeVarint(uint64(n))) + n
		return
	}
	e.out = protowire.AppendTag(e.out, num, protowire.BytesType)
	e.out = protowire.AppendVarint(e.out, uint64(n))
}

// message writes a field whose content f writes.
func (e *encoder) message(num protowire.Number, f func()) {
	if e.out != nil {
		n := e.lengths[e.next]
		e.next++
		e.begin(num, n)
		f()
		return
	}
	if e.err != nil {
		return
	}
	if e.depth == maxMessages {
		e.fail(&LimitError{What: "depth of encoded messages", Got: maxMessages + 1, Max: maxMessages})
		return
	}
	e.depth++
	defer func() { e.depth-- }()
	i := len(e.lengths)
	e.lengths = append(e.lengths, 0)
	start := e.size
	f()
	n := e.size - start
	e.lengths[i] = n
	e.size = start
	e.begin(num, n)
}

func (e *encoder) bytes(num protowire.Number, b []byte) {
	e.begin(num, int64(len(b)))
	e.raw(b)
}

// raw writes encoded fields; the bytes of a message have been counted.
func (e *encoder) raw(b []byte) {
	if e.out != nil {
		e.out = append(e.out, b...)
	}
}

// unknown writes fields that were kept as they stood.
func (e *encoder) unknown(b []byte) {
	e.size += int64(len(b))
	e.raw(b)
}

func (e *encoder) string(num protowire.Number, s string) {
	e.begin(num, int64(len(s)))
	if e.out != nil {
		e.out = append(e.out, s...)
	}
}

// text writes a string that is not empty.
func (e *encoder) text(num protowire.Number, s string) {
	if s != "" {
		e.string(num, s)
	}
}

func (e *encoder) int(num protowire.Number, v int64) {
	if e.out == nil {
		e.size += int64(protowire.SizeTag(num) + protowire.SizeVarint(uint64(v)))
		return
	}
	e.out = protowire.AppendTag(e.out, num, protowire.VarintType)
	e.out = protowire.AppendVarint(e.out, uint64(v))
}

// number writes an integer that is not zero.
func (e *encoder) number(num protowire.Number, v int64) {
	if v != 0 {
		e.int(num, v)
	}
}

func (e *encoder) float(num protowire.Number, v float32) {
	if e.out == nil {
		e.size += int64(protowire.SizeTag(num) + protowire.SizeFixed32())
		return
	}
	e.out = protowire.AppendTag(e.out, num, protowire.Fixed32Type)
	e.out = protowire.AppendFixed32(e.out, math.Float32bits(v))
}

func (e *encoder) strings(num protowire.Number, list []string) {
	for _, s := range list {
		e.string(num, s)
	}
}

func (e *encoder) messages(num protowire.Number, list [][]byte) {
	for _, b := range list {
		e.bytes(num, b)
	}
}

func (e *encoder) properties(num protowire.Number, list []Property) {
	for _, p := range list {
		e.property(num, p.Key, p.Value)
	}
}

func (e *encoder) property(num protowire.Number, key, value string) {
	e.message(num, func() {
		e.string(1, key)
		e.string(2, value)
	})
}
