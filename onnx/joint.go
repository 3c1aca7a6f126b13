package onnx

import (
	goruntime "runtime"
	"sync"
)

// joint is a tensor's elements as long as nobody has looked at them: runs of
// those of other tensors, one of each in turn.
type joint struct {
	once  sync.Once
	rows  int // turns
	parts []*Tensor
}

// Joined gives the tensor of the given type and shape whose elements are, for
// each of a number of rows, the next of the elements of every part, as many as it
// has a row. They are put together when somebody looks at them: of the weights of
// a branch that is never taken, perhaps never. It is for constants, and gives nil
// where the elements do not lie in a file as in memory.
func Joined(d DataType, shape []int, rows int, parts []*Tensor) *Tensor {
	if !liesAsInMemory(d) {
		return nil
	}
	n := 0
	for _, p := range parts {
		if p.dtype != d || p.ext != nil || p.buf != nil {
			return nil
		}
		n += p.n
	}
	t := &Tensor{dtype: d, lazy: &lazyData{join: &joint{rows: rows, parts: parts}}}
	t.setShape(shape, n)
	return t
}

// bytes gives the elements as the file holds them.
func (l *lazyData) bytes() []byte {
	if l.join != nil {
		l.join.once.Do(func() { l.raw = l.join.make() })
	}
	return l.raw
}

// make joins the parts and lets go of them.
func (j *joint) make() []byte {
	size := 0
	runs := make([][]byte, len(j.parts))
	for i, p := range j.parts {
		runs[i] = p.ElementBytes()
		size += len(runs[i])
	}
	out := AlignedBytes(size)
	at := 0
	for row := range j.rows {
		for _, b := range runs {
			n := len(b) / j.rows
			at += copy(out[at:], b[row*n:][:n])
		}
	}
	goruntime.KeepAlive(j.parts)
	j.parts = nil
	return out
}
