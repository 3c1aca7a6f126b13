package ops

import (
	"math"
	"math/bits"
	"unsafe"

	"github.com/recur-ml/recur/onnx"
)

// Kernel computes a node. It was built from the node's attributes, is shared
// by all runs of a session, and holds no state of a run.
//
// in has the node's inputs, nil where absent; they are read-only. out has a
// place for each output: New and View fill theirs, or the kernel sets one to
// any value (an input, an element of a sequence, a body's result). Outputs
// that are not wanted may stay nil.
type Kernel interface {
	Run(c *Ctx, in, out []onnx.Value) error
}

// KernelFunc is a Kernel that is a function.
type KernelFunc func(c *Ctx, in, out []onnx.Value) error

// Run calls f.
func (f KernelFunc) Run(c *Ctx, in, out []onnx.Value) error { return f(c, in, out) }

// Ctx is a kernel's way to memory, threads and bodies while it runs. It must
// not be kept after Run returns. Only Parallel may be called with functions
// that run on other goroutines; they may call Err and nothing else.
type Ctx struct {
	eng  Engine
	out  []onnx.Value
	rank int // the most that the limits allow
	dims [8]int
}

// NewCtx makes a Ctx over an engine. Engines call it, kernels are given one.
func NewCtx(eng Engine) *Ctx { return &Ctx{eng: eng, rank: eng.Limits().Rank} }

// Bind tells the Ctx the outputs of the node that runs next.
func (c *Ctx) Bind(out []onnx.Value) { c.out = out }

// Engine is what runs kernels: the runtime, or the folding of constants. A
// slice that is given to a method is not kept.
type Engine interface {
	// New makes output i. reuse is a set of inputs, as bits, of which one
	// may be overwritten.
	New(i int, d onnx.DataType, shape []int, reuse uint64) (*onnx.Tensor, error)
	// View makes output i a tensor of another shape over the elements of t.
	View(i int, t *onnx.Tensor, shape []int) (*onnx.Tensor, error)
	// Part makes output i the elements of t from one on, as many as the shape
	// has; nil where the engine would rather have them copied.
	Part(i int, t *onnx.Tensor, from int, shape []int) *onnx.Tensor
	// Own gives t a header of its own, for a value that goes into a sequence.
	Own(t *onnx.Tensor) *onnx.Tensor
	// Append grows output i, a stack along a new first axis, by t. reserve is
	// the number of elements of that axis that will follow, if known.
	Append(i int, t *onnx.Tensor, reserve int) error
	Scratch(bytes int) ([]byte, error)
	// Alloc gives memory with a count of one. The Buffer is nil where the
	// garbage collector's memory is given.
	Alloc(bytes int) ([]byte, onnx.Buffer, error)
	Parallel(n, grain int, f func(lo, hi int))
	Err() error
	Wants(i int) bool
	Local() *any
	// Draw gives the number of the run's step, and how often it was called
	// before for this node in this run.
	Draw() (step, n uint64)
	Body(name string) Body
	Limits() onnx.Limits
	OutType(i int) onnx.Type
}

// Body is the graph attribute of a control-flow node, compiled.
type Body interface {
	// Results gives holder k, 0 or 1, for the body's outputs. What a holder
	// holds stays valid until the holder is given to Run again or the kernel
	// returns. Holders let a loop feed one iteration's results to the next.
	Results(k int) *Results
	// Run computes the body. in are the body's formal inputs; captured values
	// come by themselves.
	Run(in []onnx.Value, r *Results) error
	NumInputs() int
	NumOutputs() int
}

// Results holds a body's outputs.
type Results struct {
	Values []onnx.Value
	// Heads are the headers that an engine uses for Values.
	Heads []onnx.Tensor
}

// New makes output i a tensor of the given type and shape. Its elements are
// undefined: the kernel writes all of them (Strings are empty). The memory is
// the engine's, or the caller's own buffer; it is charged to the budget of the
// run before it is taken. reuse names inputs that the kernel allows to be
// overwritten by the output: those whose element j it does not read after it
// has written element j. An error matches onnx.ErrShape or onnx.ErrLimit.
func (c *Ctx) New(i int, d onnx.DataType, shape []int, reuse ...int) (*onnx.Tensor, error) {
	if err := c.checkRank(shape); err != nil {
		return nil, err
	}
	mask := uint64(0)
	for _, k := range reuse {
		mask |= 1 << k
	}
	t, err := c.eng.New(i, d, c.keep(shape), mask)
	if err != nil {
		return nil, err
	}
	c.out[i] = t
	return t, nil
}

// checkRank holds a shape against the limit, which bounds what a step through
// a tensor may cost.
func (c *Ctx) checkRank(shape []int) error {
	if len(shape) > c.rank {
		return &onnx.LimitError{What: "rank", Got: int64(len(shape)), Max: int64(c.rank)}
	}
	return nil
}

// keep copies a shape to where it may escape to without an allocation.
func (c *Ctx) keep(shape []int) []int {
	if len(shape) <= len(c.dims) {
		return c.dims[:copy(c.dims[:], shape)]
	}
	return append([]int(nil), shape...)
}

// View makes output i a tensor of another shape over the elements of t, which
// is an input of the node or comes from one. An error matches onnx.ErrShape
// when the number of elements differs.
func (c *Ctx) View(i int, t *onnx.Tensor, shape []int) (*onnx.Tensor, error) {
	if err := c.checkRank(shape); err != nil {
		return nil, err
	}
	n, err := onnx.NumElements(shape)
	if err != nil {
		return nil, err
	}
	if n != t.Len() {
		return nil, onnx.Errorf(onnx.ErrShape, "shape %v has %d elements, the input %v has %d", append([]int(nil), shape...), n, t.Shape(), t.Len())
	}
	v, err := c.eng.View(i, t, c.keep(shape))
	if err != nil {
		return nil, err
	}
	c.out[i] = v
	return v, nil
}

// part makes output i the elements of t from one on, without a copy. It reports
// whether it did: the engine may rather have them copied.
func (c *Ctx) part(i int, t *onnx.Tensor, from int, shape []int) bool {
	if len(shape) > c.rank {
		return false
	}
	p := c.eng.Part(i, t, from, c.keep(shape))
	if p == nil {
		return false
	}
	c.out[i] = p
	return true
}

// joiner is an engine that puts the elements of outputs together when somebody
// looks at them.
type joiner interface {
	// Joined makes output i the elements that onnx.Joined gives, in the shape; nil
	// where the engine would rather have them copied.
	Joined(i int, d onnx.DataType, shape []int, rows int, parts []onnx.Value) (*onnx.Tensor, error)
}

// joined makes output i of rows of the elements of tensors, as onnx.Joined does.
// It reports whether it did.
func (c *Ctx) joined(i int, d onnx.DataType, shape []int, rows int, parts []onnx.Value) (bool, error) {
	e, ok := c.eng.(joiner)
	if !ok {
		return false, nil
	}
	if err := c.checkRank(shape); err != nil {
		return false, err
	}
	t, err := e.Joined(i, d, c.keep(shape), rows, parts)
	if t == nil || err != nil {
		return false, err
	}
	c.out[i] = t
	return true, nil
}

// Own gives a tensor that may be kept in a sequence, an optional or a map: the
// engine uses the headers of its intermediate tensors again.
func (c *Ctx) Own(v onnx.Value) onnx.Value {
	if t, ok := v.(*onnx.Tensor); ok {
		return c.eng.Own(t)
	}
	return v
}

// Append grows output i, a stack of tensors of one shape along a new first
// axis, by a copy of t. reserve says how many more will follow, 0 when that is
// not known. An error matches onnx.ErrShape when t's shape differs from the
// first one's.
func (c *Ctx) Append(i int, t *onnx.Tensor, reserve int) error { return c.eng.Append(i, t, reserve) }

// Scratch gives n elements of memory until the kernel returns; they are not
// cleared. T must not be string.
func Scratch[T onnx.Element](c *Ctx, n int) ([]T, error) {
	var z T
	size := int(unsafe.Sizeof(z))
	if n == 0 {
		return nil, nil
	}
	if n < 0 || n > int(^uint(0)>>1)/size {
		return nil, &onnx.LimitError{What: "scratch elements", Got: int64(n), Max: int64(^uint(0)>>1) / int64(size)}
	}
	b, err := c.eng.Scratch(n * size)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), n), nil
}

// slab is Scratch of which a kernel wants several pieces at once.
type slab struct {
	bytes  uint64
	memory []byte
}

// extent is a piece of a slab: the bytes before it, and its elements.
type extent struct{ at, n int }

// slabMost is more than there is of anything, and small enough that no sum of
// pieces overflows.
const slabMost = 1 << 58

// piece adds a piece of a times b elements of a size. Each begins a cache line.
// One that no memory holds shows in take.
func (s *slab) piece(size uintptr, a, b int) extent {
	hi, n := bits.Mul64(uint64(a), uint64(b))
	if hi != 0 || n > slabMost || s.bytes > slabMost {
		s.bytes = math.MaxInt64
		return extent{}
	}
	p := extent{int(s.bytes), int(n)}
	s.bytes += (n*uint64(size) + 63) &^ 63
	return p
}

// take takes the memory.
func (s *slab) take(c *Ctx) (err error) {
	if s.bytes > math.MaxInt || s.bytes > slabMost {
		return &onnx.LimitError{What: "scratch bytes", Got: int64(s.bytes), Max: math.MaxInt}
	}
	s.memory, err = Scratch[byte](c, int(s.bytes))
	return err
}

// pieceOf gives the elements of a piece, nil when there are none.
func pieceOf[T onnx.Element](s *slab, p extent) []T {
	if p.n == 0 {
		return nil
	}
	var z T
	b := s.memory[p.at:][:p.n*int(unsafe.Sizeof(z))]
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), p.n)
}

// Temp makes t, a header that the kernel owns, a tensor over new memory with
// undefined elements, for a value that a body may keep. What t was before is
// released; the kernel releases the last one with Release.
func (c *Ctx) Temp(t *onnx.Tensor, d onnx.DataType, shape []int) error {
	Release(t)
	if err := c.checkRank(shape); err != nil {
		return err
	}
	bytes, err := TensorBytes(d, shape)
	if err != nil {
		return err
	}
	if d == onnx.String {
		n, _ := onnx.NumElements(shape)
		t.Reset(d, shape, nil, make([]string, n), nil)
		return nil
	}
	data, buf, err := c.eng.Alloc(bytes)
	if err != nil {
		return err
	}
	t.Reset(d, shape, data, nil, buf)
	return nil
}

// Release gives up a kernel's hold on the memory behind a Temp.
func Release(t *onnx.Tensor) {
	if b := t.Buffer(); b != nil {
		b.Release()
		t.Reset(onnx.Undefined, nil, nil, nil, nil)
	}
}

// Parallel calls f for ranges that cover 0..n-1, each at least grain long (but
// the last), on as many threads as the run may use, and returns when all are
// done. Where the ranges are cut must not change any result.
func (c *Ctx) Parallel(n, grain int, f func(lo, hi int)) {
	if n <= grain {
		if n > 0 {
			f(0, n)
		}
		return
	}
	c.eng.Parallel(n, grain, f)
}

// Err gives the error of the run's context when that is cancelled. Kernels
// that may take long look at it every few milliseconds.
func (c *Ctx) Err() error { return c.eng.Err() }

// Wants reports whether output i is used by anybody.
func (c *Ctx) Wants(i int) bool { return c.eng.Wants(i) }

// Body gives the graph attribute of that name; Node.Body declared it.
func (c *Ctx) Body(name string) Body { return c.eng.Body(name) }

// Limits gives the limits that the run is under.
func (c *Ctx) Limits() onnx.Limits { return c.eng.Limits() }

// OutType gives the inferred type of output i.
func (c *Ctx) OutType(i int) onnx.Type { return c.eng.OutType(i) }

// Local gives the value of type T that belongs to this node in this frame: the
// same one when the frame runs the node again, never shared by two runs at a
// time. It is for argument blocks, and for functions given to Parallel, that
// would else be allocated in every run.
func Local[T any](c *Ctx) *T {
	p := c.eng.Local()
	if v, ok := (*p).(*T); ok {
		return v
	}
	v := new(T)
	*p = v
	return v
}
