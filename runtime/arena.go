package runtime

import (
	"math"
	"math/bits"
	"unsafe"

	"github.com/recur-ml/recur/onnx"
)

// arena hands out the memory of one run and takes it back for the next tensor
// or the next run. It belongs to one goroutine at a time.
type arena struct {
	free   [classes][]*buffer
	used   int64 // bytes taken from the process: buffers, in use or free, the block, and outputs
	budget int64
	live   int // buffers in use

	block  []byte    // in which the pieces of layouts lie
	lent   int       // pieces of it in use
	places *places   // of the run's program, nil when it has none or took something else
	record *recorder // of a run whose layout is wanted, else nil
}

// buffer is a piece of an arena, counted by the values over it.
type buffer struct {
	data  []byte // aligned to alignment bytes
	asked int    // bytes that it was taken for, of which data may have more
	class int
	refs  int
	arena *arena
}

// Retain counts one more value over the buffer.
func (b *buffer) Retain() { b.refs++ }

// Release counts one value less; the last one gives the buffer back.
func (b *buffer) Release() {
	b.refs--
	if b.refs < 0 {
		panic("buffer released twice")
	}
	if b.refs == 0 {
		if poison {
			for i := range b.data {
				b.data[i] = 0xa5
			}
		}
		a := b.arena
		a.live--
		if a.record != nil {
			a.record.give(b)
		}
		if b.class == placed {
			a.lent--
			b.data = nil
			return
		}
		a.free[b.class] = append(a.free[b.class], b)
	}
}

// poison makes Release overwrite what nobody holds, so that tests see a value
// that outlived its memory.
var poison bool

// Buffers come in classes of sizes, four to a power of two, so that at most a
// fifth of one is wasted and a size that changes a little finds one again.
const (
	alignment = 64
	classes   = 4 * 58
	placed    = -1 // in place of a class: a piece of the block
)

// classOf gives the smallest class that holds n bytes, and its size.
func classOf(n int) (class, size int) {
	n = max(n, alignment)
	top := bits.Len(uint(n-1)) - 1 // 2^top <= n-1 < 2^(top+1)
	step := 1 << max(top-2, 0)
	size = (n + step - 1) / step * step
	quarter := (size - 1) >> max(top-2, 0) & 3
	return (top-5)*4 + quarter, size
}

// charge counts bytes against the budget before they are taken.
func (a *arena) charge(n int) error {
	if int64(n) > a.budget-a.used {
		a.trim()
	}
	if int64(n) > a.budget-a.used {
		return &onnx.LimitError{What: "run memory", Got: a.used + min(int64(n), math.MaxInt64-a.used), Max: a.budget}
	}
	a.used += int64(n)
	return nil
}

// trim gives the free buffers to the garbage collector, and the block when no
// run has or wants a piece of it.
func (a *arena) trim() {
	for i, list := range a.free {
		for _, b := range list {
			a.used -= int64(len(b.data))
		}
		a.free[i] = nil
	}
	if a.places == nil && a.lent == 0 {
		a.used -= int64(len(a.block))
		a.block = nil
	}
}

// get takes a buffer of at least n bytes, with a count of one.
func (a *arena) get(n int) (*buffer, error) {
	if a.places != nil {
		if b := a.places.take(n, a.block); b != nil {
			a.live++
			a.lent++
			b.asked = n
			return b, nil
		}
		a.places = nil
	}
	b, err := a.getFree(n)
	if err != nil {
		return nil, err
	}
	a.live++
	b.asked = n
	if a.record != nil {
		a.record.take(b, n)
	}
	return b, nil
}

// getFree takes a free buffer, or makes one.
func (a *arena) getFree(n int) (*buffer, error) {
	class, size := classOf(n)
	if size < n { // beyond the largest power of two
		return nil, &onnx.LimitError{What: "run memory", Got: int64(n), Max: a.budget}
	}
	if list := a.free[class]; len(list) > 0 {
		b := list[len(list)-1]
		a.free[class] = list[:len(list)-1]
		b.refs = 1
		return b, nil
	}
	if err := a.charge(size); err != nil {
		return nil, err
	}
	return &buffer{data: alignedBytes(size), class: class, refs: 1, arena: a}, nil
}

// alignedBytes makes a slice that begins at a multiple of alignment.
func alignedBytes(n int) []byte {
	raw := make([]byte, n+alignment)
	skip := int(-uintptr(unsafe.Pointer(&raw[0])) & (alignment - 1))
	return raw[skip : skip+n : skip+n]
}

// retain counts one more holder of every buffer behind a value.
func retain(v onnx.Value) {
	if t, ok := v.(*onnx.Tensor); ok {
		if b := t.Buffer(); b != nil {
			b.Retain()
		}
		return
	}
	visit(v, onnx.Buffer.Retain)
}

// release counts one holder less of every buffer behind a value.
func release(v onnx.Value) {
	if t, ok := v.(*onnx.Tensor); ok {
		if b := t.Buffer(); b != nil {
			b.Release()
		}
		return
	}
	visit(v, onnx.Buffer.Release)
}

func visit(v onnx.Value, f func(onnx.Buffer)) {
	switch v := v.(type) {
	case *onnx.Tensor:
		if b := v.Buffer(); b != nil {
			f(b)
		}
	case *onnx.Sequence:
		if b := v.Buffer(); b != nil {
			f(b)
			return
		}
		for _, item := range v.Items {
			visit(item, f)
		}
	case *onnx.Optional:
		if v.Value != nil {
			visit(v.Value, f)
		}
	case *onnx.Map:
		visit(v.Keys, f)
		visit(v.Values, f)
	case *onnx.SparseTensor:
		visit(v.Values, f)
		visit(v.Indices, f)
	}
}
