package ops

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recur-ml/recur/onnx"
)

func formsInUse() int {
	packedForms.Lock()
	defer packedForms.Unlock()
	return len(packedForms.m)
}

// TestPackedOnce wants one form for many callers, another for another layout,
// content, shape or level, and none once nobody has one.
func TestPackedOnce(t *testing.T) {
	runtime.GC()
	w := onnx.MustTensor([]int{2, 3}, []float32{1, 2, 3, 4, 5, 6})
	var packs atomic.Int64
	pack := func() *[1000]float32 { packs.Add(1); time.Sleep(time.Millisecond); return new([1000]float32) }
	key := keyOf("test", Levels()[0], []*onnx.Tensor{w})
	got := make([]*[1000]float32, 16)
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() { got[i] = packedOnce(key, pack) })
	}
	all.Wait()
	for _, p := range got {
		if p != got[0] {
			t.Fatal("two forms of one operand")
		}
	}
	if n := packs.Load(); n != 1 {
		t.Errorf("packed %d times, want once", n)
	}
	flat, _ := w.WithShape([]int{3, 2})
	for name, other := range map[string]packedKey{
		"layout":  keyOf("other", Levels()[0], []*onnx.Tensor{w}),
		"level":   keyOf("test", Levels()[0]+1, []*onnx.Tensor{w}),
		"shape":   keyOf("test", Levels()[0], []*onnx.Tensor{flat}),
		"content": keyOf("test", Levels()[0], []*onnx.Tensor{onnx.MustTensor([]int{2, 3}, []float32{1, 2, 3, 4, 5, 7})}),
		"number":  keyOf("test", Levels()[0], []*onnx.Tensor{w, w}),
	} {
		if other == key {
			t.Errorf("another %s has the same key", name)
		}
	}
	empty, zeros := onnx.MustTensor([]int{8, 0}, []uint8{}), onnx.MustTensor([]int{8}, make([]uint8, 8))
	if keyOf("test", Levels()[0], []*onnx.Tensor{empty}) == keyOf("test", Levels()[0], []*onnx.Tensor{zeros}) {
		t.Error("a dimension of 0 is taken for eight bytes of 0")
	}
	runtime.KeepAlive(got)
	clear(got)
	have := func() bool {
		packedForms.Lock()
		defer packedForms.Unlock()
		return packedForms.m[key] != nil
	}
	for range 100 {
		if runtime.GC(); !have() {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if have() {
		t.Errorf("the form is still there, of %d", formsInUse())
	}
	if packedOnce(key, pack); packs.Load() != 2 {
		t.Error("a form that is gone was not packed again")
	}
}

// TestPackedPanics wants a form that could not be packed to leave nothing.
func TestPackedPanics(t *testing.T) {
	key := keyOf("panics", 0, nil)
	func() {
		defer func() { _ = recover() }()
		packedOnce(key, func() *int { panic("no") })
	}()
	if got := *packedOnce(key, func() *int { return new(int) }); got != 0 {
		t.Error(got)
	}
}

// TestPackHook wants the packing of the model's own graph to be handed over, that
// of a body to wait, and a kernel not to care.
func TestPackHook(t *testing.T) {
	runtime.GC()
	w := onnx.MustTensor([]int{2, 3}, []float32{11, 12, 13, 14, 15, 16})
	var packs []func()
	a := &Analysis{Level: testLevel, Pack: func(pack func()) { packs = append(packs, pack) }}
	done := 0
	pack := func() *int { done++; return new(int) }
	top, body := &Node{scope: a.NewScope(nil)}, &Node{scope: a.NewScope(a.NewScope(nil))}
	first := newPacked(top, "hook", pack, w)
	newPacked(body, "hook of a body", pack, w)
	if done != 0 || len(packs) != 1 {
		t.Fatalf("packed %d times, %d handed over; want 0 and 1", done, len(packs))
	}
	packs[0]()
	if done != 1 || first.value.Load() == nil {
		t.Errorf("packed %d times, want once", done)
	}
	if packs[0](); done != 1 {
		t.Error("packed again")
	}
}
