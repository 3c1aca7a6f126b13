package ops

import (
	"crypto/sha256"
	endian "encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/recur-ml/recur/onnx"
)

// packed is a constant operand of a node in the layout that its kernel reads,
// a P. The process has it once for all nodes and sessions that want the same
// content in the same layout, for as long as one of them is reachable.
type packed[P any] struct {
	pack func() *P

	once  sync.Once
	value atomic.Pointer[P]
}

// constants gives inputs of a node where all of them are constants whose
// elements have been read, else nil.
func (n *Node) constants(inputs ...int) []*onnx.Tensor {
	out := make([]*onnx.Tensor, len(inputs))
	for i, input := range inputs {
		t := n.Const(input)
		if t == nil || t.External() != nil {
			return nil
		}
		out[i] = t
	}
	return out
}

// newPacked is for Build: pack makes the layout of that name from the constants
// of, which are all that it depends on beside the node's level. In the model's
// own graph it runs at once, or when Analysis.Pack says; in a body, which may
// never run, when get is called first. What it makes is shared, and must not be
// modified.
func newPacked[P any](n *Node, layout string, pack func() *P, of ...*onnx.Tensor) *packed[P] {
	p := newPackedLater(n, layout, pack, of...)
	switch a := n.scope.analysis; {
	case n.scope.outer != nil:
	case a.Pack != nil:
		a.Pack(func() { p.get() })
	default:
		p.get()
	}
	return p
}

// newPackedLater is newPacked for a layout that a run may not want: pack runs
// when get is called first.
func newPackedLater[P any](n *Node, layout string, pack func() *P, of ...*onnx.Tensor) *packed[P] {
	level := n.Level()
	n.packedOf = append(n.packedOf, of...)
	return &packed[P]{pack: func() *P { return packedOnce(keyOf(layout, level, of), pack) }}
}

// packedAlready is a form that a node has to itself.
func packedAlready[P any](form *P) *packed[P] {
	p := &packed[P]{}
	p.value.Store(form)
	return p
}

// get gives the packed form. Callers at the same time wait for the first one.
func (p *packed[P]) get() *P {
	if v := p.value.Load(); v != nil {
		return v
	}
	p.once.Do(p.fill)
	return p.value.Load()
}

func (p *packed[P]) fill() {
	p.value.Store(p.pack())
	p.pack = nil // and with it the tensors
}

// packedKey is the digest of everything that a packed form depends on.
type packedKey [sha256.Size]byte

func keyOf(layout string, level Level, of []*onnx.Tensor) (key packedKey) {
	h := sha256.New()
	var head []byte
	number := func(v int) { head = endian.LittleEndian.AppendUint64(head, uint64(v)) }
	number(len(layout))
	head = append(head, layout...)
	number(int(level))
	for _, t := range of {
		number(int(t.DataType()))
		number(t.Rank())
		for _, d := range t.Shape() {
			number(d)
		}
		h.Write(head)
		for _, run := range t.Runs() {
			h.Write(run)
		}
		head = head[:0]
	}
	h.Write(head)
	runtime.KeepAlive(of)
	h.Sum(key[:0])
	return key
}

// packedForms are the forms that are in use, by what they depend on. The types
// of a form follow from its layout.
var packedForms = struct {
	sync.Mutex
	m map[packedKey]any // *packedForm[P]
}{m: map[packedKey]any{}}

// packedForm leads to a form without keeping it.
type packedForm[P any] struct {
	callers int // of packedOnce that are at it; guarded by packedForms

	sync.Mutex // held while it is packed
	form       weak.Pointer[P]
}

// packedOnce finds a form, or packs it.
func packedOnce[P any](key packedKey, pack func() *P) *P {
	f := enterForm[P](key)
	defer leaveForm(key, f)
	f.Lock()
	defer f.Unlock()
	if p := f.form.Value(); p != nil {
		return p
	}
	p := pack()
	f.form = weak.Make(p)
	runtime.AddCleanup(p, func(key packedKey) { dropForm[P](key) }, key)
	return p
}

func enterForm[P any](key packedKey) *packedForm[P] {
	packedForms.Lock()
	defer packedForms.Unlock()
	f, ok := packedForms.m[key].(*packedForm[P])
	if !ok {
		f = &packedForm[P]{}
		packedForms.m[key] = f
	}
	f.callers++
	return f
}

func leaveForm[P any](key packedKey, f *packedForm[P]) {
	packedForms.Lock()
	defer packedForms.Unlock()
	f.callers--
	if f.callers == 0 && f.form.Value() == nil {
		delete(packedForms.m, key)
	}
}

// dropForm forgets a form that nobody has any more, unless another has been
// packed in its place.
func dropForm[P any](key packedKey) {
	packedForms.Lock()
	defer packedForms.Unlock()
	f, ok := packedForms.m[key].(*packedForm[P])
	if ok && f.callers == 0 && f.form.Value() == nil {
		delete(packedForms.m, key)
	}
}
