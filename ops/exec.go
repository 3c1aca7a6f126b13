package ops

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/recur-ml/recur/onnx"
)

// Exec runs one kernel on memory of the garbage collector, within a budget of
// bytes. It serves the folding of constants and tests; it has no bodies.
func Exec(ctx context.Context, n *Node, k Kernel, in []onnx.Value, limits onnx.Limits) (out []onnx.Value, err error) {
	e := &heap{ctx: ctx, node: n, in: in, limits: limits, stacks: map[int]*Stack{}}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("internal error: %v", r)
		}
	}()
	out = make([]onnx.Value, len(n.out))
	c := NewCtx(e)
	c.Bind(out)
	if err := k.Run(c, in, out); err != nil {
		return nil, err
	}
	for i, s := range e.stacks {
		out[i] = onnx.MustTensor([]int{0}, []float32{})
		t := &onnx.Tensor{}
		shape, data, strs := s.Result()
		t.Reset(s.DataType, shape, data, strs, nil)
		out[i] = t
	}
	return out, nil
}

// heap is the Engine of Exec.
type heap struct {
	ctx    context.Context
	node   *Node
	in     []onnx.Value
	limits onnx.Limits
	used   int64
	local  any
	draws  uint64
	stacks map[int]*Stack
}

func (h *heap) charge(bytes int) error {
	if most := h.limits.RunBytes; most > 0 && int64(bytes) > most-h.used {
		return &onnx.LimitError{What: "run memory", Got: h.used + min(int64(bytes), math.MaxInt64-h.used), Max: most}
	}
	h.used += int64(bytes)
	return nil
}

func (h *heap) New(_ int, d onnx.DataType, shape []int, _ uint64) (*onnx.Tensor, error) {
	bytes, err := TensorBytes(d, shape)
	if err == nil {
		err = h.charge(bytes)
	}
	if err != nil {
		return nil, err
	}
	return onnx.NewZeros(d, shape)
}

// TensorBytes is what a tensor's elements cost: their bytes, or for strings
// the bytes of the string headers. An error matches onnx.ErrShape or
// onnx.ErrType.
func TensorBytes(d onnx.DataType, shape []int) (int, error) {
	size := d.Size()
	if d == onnx.String {
		size = 16
	}
	if size == 0 {
		return 0, onnx.Errorf(onnx.ErrType, "%v is no element type", d)
	}
	n, err := onnx.NumElements(shape)
	if err != nil {
		return 0, err
	}
	if n > int(^uint(0)>>1)/size {
		return 0, onnx.Errorf(onnx.ErrShape, "shape %v of %v takes more bytes than the machine addresses", append([]int(nil), shape...), d)
	}
	return n * size, nil
}

func (h *heap) View(_ int, t *onnx.Tensor, shape []int) (*onnx.Tensor, error) {
	return t.WithShape(shape)
}
func (h *heap) Part(_ int, t *onnx.Tensor, from int, shape []int) *onnx.Tensor {
	return t.Part(from, shape)
}

// joinedLeast is how many bytes are worth being put together later.
const joinedLeast = 4 << 10

func (h *heap) Joined(_ int, d onnx.DataType, shape []int, rows int, parts []onnx.Value) (*onnx.Tensor, error) {
	bytes, err := TensorBytes(d, shape)
	if err != nil || bytes < joinedLeast {
		return nil, err
	}
	list := make([]*onnx.Tensor, len(parts))
	for i, p := range parts {
		list[i] = p.(*onnx.Tensor)
	}
	t := onnx.Joined(d, shape, rows, list)
	if t == nil {
		return nil, nil
	}
	return t, h.charge(bytes)
}

func (h *heap) Own(t *onnx.Tensor) *onnx.Tensor { return t }
func (h *heap) Append(i int, t *onnx.Tensor, reserve int) error {
	s := h.stacks[i]
	if s == nil {
		s = &Stack{}
		h.stacks[i] = s
	}
	return s.Append(t, reserve, func(n int) ([]byte, error) {
		return onnx.AlignedBytes(n), h.charge(n)
	})
}
func (h *heap) Scratch(bytes int) ([]byte, error) {
	if err := h.charge(bytes); err != nil {
		return nil, err
	}
	return onnx.AlignedBytes(bytes), nil
}
func (h *heap) Alloc(bytes int) ([]byte, onnx.Buffer, error) {
	b, err := h.Scratch(bytes)
	return b, nil, err
}
func (h *heap) Parallel(n, _ int, f func(lo, hi int)) { f(0, n) }
func (h *heap) Err() error                            { return h.ctx.Err() }
func (h *heap) Wants(i int) bool                      { return h.node.Wants(i) }
func (h *heap) Local() *any                           { return &h.local }
func (h *heap) Draw() (step, n uint64)                { h.draws++; return 0, h.draws - 1 }
func (h *heap) Body(name string) Body                 { panic("no body " + name + " here") }
func (h *heap) Limits() onnx.Limits                   { return h.limits.WithDefaults() }
func (h *heap) OutType(i int) onnx.Type               { return h.node.Out(i).Type }

// Stack is a growing tensor: equal shapes stacked along a new first axis.
type Stack struct {
	DataType onnx.DataType
	shape    []int // count first
	data     []byte
	strs     []string
	used     int
}

// maxReserve bounds the bytes that are taken ahead of need: a loop may end
// before its trip count.
const maxReserve = 16 << 20

// Append copies t to the end. alloc gives memory of a number of bytes.
func (s *Stack) Append(t *onnx.Tensor, reserve int, alloc func(bytes int) ([]byte, error)) error {
	if len(s.shape) == 0 {
		s.DataType = t.DataType()
		s.shape = append(append(s.shape, 0), t.Shape()...)
	}
	if t.DataType() != s.DataType || !slices.Equal(t.Shape(), s.shape[1:]) {
		return onnx.Errorf(onnx.ErrShape, "scan output: an element is %v, the ones before it %v%v", t, s.DataType, s.shape[1:])
	}
	if s.DataType == onnx.String {
		s.strs = append(s.strs, t.Strings()...)
		s.shape[0]++
		return nil
	}
	b := t.Bytes()
	if need := s.used + len(b); need > len(s.data) {
		size := max(2*len(s.data), need)
		if len(b) > 0 && reserve <= maxReserve/len(b) {
			size = need + reserve*len(b)
		}
		if size > 0 {
			grown, err := alloc(size)
			if err != nil {
				return err
			}
			copy(grown, s.data[:s.used])
			s.data = grown
		}
	}
	copy(s.data[s.used:], b)
	s.used += len(b)
	s.shape[0]++
	return nil
}

// Result gives the shape and elements of the stack.
func (s *Stack) Result() (shape []int, data []byte, strs []string) {
	return s.shape, s.data[:s.used], s.strs
}

// Len is the number of stacked tensors.
func (s *Stack) Len() int {
	if len(s.shape) == 0 {
		return 0
	}
	return s.shape[0]
}

// Clear empties the stack; its memory is no longer its own.
func (s *Stack) Clear() { *s = Stack{shape: s.shape[:0]} }
