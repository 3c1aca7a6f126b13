package onnx

// Buffer is memory that an engine wants back. Each tensor over it counts; the
// engine that made the buffer reuses it when nothing counts any more.
type Buffer interface {
	Retain()
	Release()
}

// Reset makes t, whatever it was, a tensor of the given type and shape over
// data (in the machine's byte order, aligned, of the right length) or, for
// strings, over strs. It allocates nothing for ranks up to 6. buf may be nil.
//
// Reset is for engines, which keep the headers of intermediate tensors from
// one run to the next. A tensor that somebody else holds must not be reset.
func (t *Tensor) Reset(dtype DataType, shape []int, data []byte, strs []string, buf Buffer) {
	n := 1
	for _, d := range shape {
		n *= d
	}
	t.setShape(shape, n)
	t.dtype, t.data, t.strs, t.lazy, t.ext, t.buf = dtype, data, strs, nil, nil, buf
}

// ResetView makes t a tensor of the given shape over the elements of src,
// which it must have as many of. The buffer is not retained.
func (t *Tensor) ResetView(src *Tensor, shape []int) {
	dtype, data, strs, lazy, ext, buf := src.dtype, src.data, src.strs, src.lazy, src.ext, src.buf
	n := 1
	for _, d := range shape {
		n *= d
	}
	t.setShape(shape, n)
	t.dtype, t.data, t.strs, t.lazy, t.ext, t.buf = dtype, data, strs, lazy, ext, buf
}

// Buffer gives the counted memory behind the tensor, nil when it is the
// garbage collector's.
func (t *Tensor) Buffer() Buffer { return t.buf }

// CountedSequence makes a sequence whose items' memory buf counts: whoever holds
// the sequence holds buf, and buf holds the items. It is for engines.
func CountedSequence(elem Type, items []Value, buf Buffer) *Sequence {
	return &Sequence{Elem: elem, Items: items, buf: buf}
}

// Buffer gives what counts the items together, nil when each counts by itself.
func (s *Sequence) Buffer() Buffer { return s.buf }
