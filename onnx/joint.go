package onnx

import (
	goruntime "runtime"
	"sync"
	"sync/atomic"
)

// joint is a tensor's elements as long as nobody has looked at them: runs of
// those of other tensors, one of each in turn.
type joint struct {
	sync.Mutex
	joined atomic.Bool // the elements have been put together
	rows   int         // turns
	parts  []*Tensor
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
	if j := l.join; j != nil && !j.joined.Load() {
		j.Lock()
		defer j.Unlock()
		if !j.joined.Load() {
			l.raw = j.make()
			j.joined.Store(true)
		}
	}
	return l.raw
}

// apart gives the parts that lie one after the other; none when the elements have
// been put together, or lie in another way.
func (t *Tensor) apart() []*Tensor {
	if t.lazy == nil || t.lazy.join == nil {
		return nil
	}
	j := t.lazy.join
	if j.joined.Load() {
		return nil
	}
	j.Lock()
	defer j.Unlock()
	if j.rows != 1 {
		return nil
	}
	return j.parts
}

// Runs gives the bytes of ElementBytes in their order, in pieces: those of a
// tensor that is joined where they lie as yet. They are valid while the tensor is
// reachable.
func (t *Tensor) Runs() [][]byte {
	parts := t.apart()
	if parts == nil {
		return [][]byte{t.ElementBytes()}
	}
	var runs [][]byte
	for _, p := range parts {
		runs = append(runs, p.Runs()...)
	}
	return runs
}

// CopyElements copies elements from number at on to dst, a slice of the type that
// T stands for, until it is full or there are no more. Those of a tensor that is
// joined are copied from where they lie as yet.
func CopyElements[T Element](dst []T, t *Tensor, at int) {
	parts := t.apart()
	if parts == nil {
		copy(dst, Elements[T](t)[at:])
		goruntime.KeepAlive(t)
		return
	}
	for _, p := range parts {
		if at >= p.n {
			at -= p.n
			continue
		}
		n := min(len(dst), p.n-at)
		CopyElements(dst[:n], p, at)
		if dst, at = dst[n:], 0; len(dst) == 0 {
			return
		}
	}
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
