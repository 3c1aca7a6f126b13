package runtime

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// run is what one call of Run owns: its memory, and the frames of the model's
// graph and of the bodies in it. A session keeps finished ones for later calls.
type run struct {
	ctx     context.Context
	done    <-chan struct{} // of ctx, nil for one that is never cancelled
	arena   arena
	threads int
	limits  onnx.Limits
	serial  uint64       // of the calls of Run that it has served
	symbols []int        // sizes of the named dimensions, -1 while not known
	given   []onnx.Value // the caller's inputs, by parameter; nil where the default stands
	key     []uint64     // what a program may take for granted of them
	chosen  *variant     // the program of this run
	frames  []*variantFrame
	current *variantFrame  // the one of the chosen program
	top     *frame         // and its frame
	outputs int64          // bytes charged for outputs
	into    []*onnx.Tensor // the caller's tensors by output, for RunInto
	wanted  []bool         // by output, for RunInto: it is in the caller's map
	loose   bool           // those that do not fit are passed over

	profile *Profile      // nil: nothing is measured
	nested  time.Duration // of the steps within the one that runs
}

// frame is an activation of a program: the values in its slots. It is the
// ops.Engine of the kernels that it runs.
type frame struct {
	prog *program
	run  *run
	top  bool

	vals   []onnx.Value   // by slot
	heads  []onnx.Tensor  // by slot: headers of intermediate tensors
	fresh  []*onnx.Tensor // by slot, top only: a new tensor for the caller
	locals []any          // by step
	draws  []drawn        // by step, once one has drawn random numbers
	bodies [][]*bodyFrame

	counters []*nodeCounter // by step, nil without a profile

	ctx     *ops.Ctx
	index   int // the step that runs
	step    *step
	in, out []onnx.Value
	spare   []onnx.Tensor // headers of outputs that nobody wants
	scratch []*buffer
	stacks  []stack
	// stacking says that the step has appended to some of stacks.
	stacking bool
}

// drawn counts how often a step has drawn random numbers in a run.
type drawn struct{ serial, n uint64 }

// bodyFrame is a body within a frame, and the holders of its results.
type bodyFrame struct {
	frame   *frame
	outer   *frame
	results [2]ops.Results
}

// stack is a scan output in the making.
type stack struct {
	ops.Stack
	buf *buffer
}

// variantFrame is the frame of one of a session's programs.
type variantFrame struct {
	variant *variant
	frame   *frame
	places  places
}

func newRun(s *Session) *run {
	r := &run{threads: s.opts.threads, limits: s.opts.limits, profile: s.opts.profile, symbols: make([]int, len(s.symbols)),
		given: make([]onnx.Value, len(s.params)), into: make([]*onnx.Tensor, len(s.prog.outputs)), wanted: make([]bool, len(s.prog.outputs))}
	r.arena.budget = s.opts.limits.RunBytes
	return r
}

// enter makes a program the one that runs, and puts the inputs into its slots.
func (r *run) enter(v *variant) {
	r.chosen, r.current = v, nil
	for _, f := range r.frames {
		if f.variant == v {
			r.current = f
		}
	}
	if r.current == nil {
		r.frames = slices.DeleteFunc(r.frames, func(f *variantFrame) bool { return f.variant.gone.Load() })
		r.current = &variantFrame{variant: v, frame: newFrame(v.prog, r)}
		r.current.frame.top = true
		r.current.frame.fresh = make([]*onnx.Tensor, v.prog.slots)
		r.frames = append(r.frames, r.current)
	}
	r.top = r.current.frame
	r.arena.begin(v, &r.current.places)
	for i, slot := range v.slots {
		if x := r.given[i]; x != nil && slot >= 0 {
			r.top.vals[slot] = x
		}
	}
}

func newFrame(p *program, r *run) *frame {
	f := &frame{prog: p, run: r,
		vals: make([]onnx.Value, p.slots), heads: make([]onnx.Tensor, p.slots),
		locals: make([]any, len(p.steps)), bodies: make([][]*bodyFrame, len(p.steps)),
		in: make([]onnx.Value, p.maxIn), out: make([]onnx.Value, p.maxOut),
		spare: make([]onnx.Tensor, p.maxOut), stacks: make([]stack, p.maxOut)}
	f.ctx = ops.NewCtx(f)
	f.counters = r.profile.counters(p)
	for _, c := range p.consts {
		f.vals[c.slot] = c.value
	}
	for i := range p.steps {
		for _, b := range p.steps[i].bodies {
			f.bodies[i] = append(f.bodies[i], &bodyFrame{outer: f, frame: newFrame(b.prog, r)})
		}
	}
	return f
}

// walk runs the steps.
func (f *frame) walk() error {
	for i := range f.prog.steps {
		if f.run.done != nil {
			if err := f.run.ctx.Err(); err != nil {
				return err
			}
		}
		f.index, f.step = i, &f.prog.steps[i]
		var err error
		if f.counters != nil {
			err = f.timed(f.counters[i])
		} else {
			err = f.one(f.step)
		}
		if err != nil {
			return ops.NodeError(f.step.node, f.step.since, err)
		}
	}
	return nil
}

func (f *frame) one(s *step) error {
	if s.view != nil && f.review(s) {
		return nil
	}
	in, out := f.in[:len(s.in)], f.out[:len(s.out)]
	for k, slot := range s.in {
		if slot >= 0 {
			in[k] = f.vals[slot]
		} else {
			in[k] = nil
		}
	}
	clear(out)
	f.ctx.Bind(out)
	if err := s.kernel.Run(f.ctx, in, out); err != nil {
		return err
	}
	if f.stacking {
		f.finishStacks()
	}
	for i, slot := range s.out {
		if err := f.adopt(i, slot, out[i]); err != nil {
			return err
		}
	}
	if len(f.scratch) > 0 {
		for _, b := range f.scratch {
			b.Release()
		}
		f.scratch = f.scratch[:0]
	}
	for _, b := range f.bodies[f.index] {
		b.drop(0)
		b.drop(1)
	}
	for _, slot := range s.free {
		f.drop(slot)
	}
	return nil
}

// review makes the output of a step that is a view, and reports false for an
// input that the kernel is to look at.
func (f *frame) review(s *step) bool {
	t, ok := f.vals[s.in[0]].(*onnx.Tensor)
	if !ok || t == nil || !slices.Equal(t.Shape(), s.view.in) || s.types[0].Elem != t.DataType() {
		return false
	}
	slot := s.out[0]
	head := &f.heads[slot]
	retain(t)
	head.ResetView(t, s.view.out)
	f.vals[slot] = head
	for _, slot := range s.free {
		f.drop(slot)
	}
	return true
}

// drop empties a slot.
func (f *frame) drop(slot int) {
	if v := f.vals[slot]; v != nil {
		release(v)
		f.vals[slot] = nil
	}
}

// adopt puts output i of the step into its slot, after holding it against
// what was inferred.
func (f *frame) adopt(i, slot int, v onnx.Value) error {
	if slot < 0 {
		if v != nil && v == &f.spare[i] {
			release(v)
		} else if l, ok := v.(*onnx.Sequence); ok && l != nil && l.Buffer() != nil {
			retain(v) // it holds its items though nobody wants it
			release(v)
		}
		return nil
	}
	t, ok := v.(*onnx.Tensor)
	if !ok || t == nil {
		return f.adoptOther(i, slot, v)
	}
	if !f.step.checks[i].allows(t) || len(f.step.symbols) > 0 && !f.symbolsHold(i, t) {
		return fmt.Errorf("%w: output %d is %v, inferred was %v", ErrInternal, i, t, f.step.types[i])
	}
	switch {
	case t == &f.heads[slot] || f.top && t == f.fresh[slot]:
		f.vals[slot] = v
	default: // a value of somebody else, whose header may change
		retain(v)
		f.heads[slot].ResetView(t, t.Shape())
		f.vals[slot] = &f.heads[slot]
	}
	return nil
}

// adoptOther is adopt for what is no tensor.
func (f *frame) adoptOther(i, slot int, v onnx.Value) error {
	if v == nil {
		return onnx.Errorf(onnx.ErrUnsupported, "output %d was not computed", i)
	}
	if _, nothing := v.(*onnx.Tensor); nothing {
		return fmt.Errorf("%w: output %d is a nil tensor", ErrInternal, i)
	}
	if want := f.step.types[i]; want.Known() && v.Type().Kind != want.Kind {
		return fmt.Errorf("%w: output %d is a %v, inferred was %v", ErrInternal, i, v.Type(), want)
	}
	retain(v)
	f.vals[slot] = v
	return nil
}

// symbolsHold reports whether the named dimensions of output i have the sizes
// that they have in the model's inputs.
func (f *frame) symbolsHold(i int, t *onnx.Tensor) bool {
	for _, c := range f.step.symbols {
		if size := f.run.symbols[c.symbol]; c.out == i && size >= 0 && t.Shape()[c.axis] != size {
			return false
		}
	}
	return true
}

// finishStacks makes tensors of the scan outputs of a step.
func (f *frame) finishStacks() {
	f.stacking = false
	for i := range f.step.out {
		if f.stacks[i].buf != nil || f.stacks[i].Len() > 0 {
			f.finishStack(i)
		}
	}
}

func (f *frame) finishStack(i int) {
	s := &f.stacks[i]
	shape, data, strs := s.Result()
	slot := f.step.out[i]
	head := &f.spare[i]
	if slot >= 0 {
		head = &f.heads[slot]
	}
	var buf onnx.Buffer
	if s.buf != nil {
		buf = s.buf
	}
	head.Reset(s.DataType, shape, data, strs, buf)
	f.out[i] = head
	s.buf = nil
	s.Clear()
}

// Engine.

func (f *frame) New(i int, d onnx.DataType, shape []int, reuse uint64) (*onnx.Tensor, error) {
	bytes, err := ops.TensorBytes(d, shape)
	if err != nil {
		return nil, err
	}
	slot := f.step.out[i]
	if slot >= 0 && f.top && f.prog.isOutput[slot] {
		return f.newOutput(slot, d, shape, bytes)
	}
	head := &f.spare[i]
	if slot >= 0 {
		head = &f.heads[slot]
	}
	if f.out[i] == onnx.Value(head) { // made twice
		release(head)
	}
	if d == onnx.String {
		if err := f.run.arena.charge(bytes); err != nil {
			return nil, err
		}
		f.run.outputs += int64(bytes)
		n, _ := onnx.NumElements(shape)
		head.Reset(d, shape, nil, make([]string, n), nil)
		return head, nil
	}
	buf := f.reusable(reuse&f.step.dies, bytes)
	if buf == nil {
		if buf, err = f.run.arena.get(bytes); err != nil {
			return nil, err
		}
	}
	head.Reset(d, shape, buf.data[:bytes], nil, buf)
	return head, nil
}

// reusable finds an input of the set that dies here and has a buffer of its
// own that fits, and counts the output as its second holder.
func (f *frame) reusable(set uint64, bytes int) *buffer {
	if bytes == 0 {
		return nil
	}
	for k := 0; set != 0; k, set = k+1, set>>1 {
		if set&1 == 0 {
			continue
		}
		t, ok := f.in[k].(*onnx.Tensor)
		if !ok {
			continue
		}
		b, ok := t.Buffer().(*buffer)
		if !ok || b.refs != 1 || len(t.Bytes()) != bytes || &t.Bytes()[0] != &b.data[0] {
			continue
		}
		b.Retain()
		return b
	}
	return nil
}

// newOutput makes a tensor that the caller of the model will own.
func (f *frame) newOutput(slot int, d onnx.DataType, shape []int, bytes int) (*onnx.Tensor, error) {
	for o, s := range f.prog.outputs {
		if t := f.run.into[o]; s == slot && t != nil {
			if t.DataType() != d || !slices.Equal(t.Shape(), shape) {
				if f.run.loose {
					continue
				}
				return nil, onnx.Errorf(onnx.ErrShape, "output %q is %v%v, the tensor given for it is %v", f.prog.names[o], d, append([]int(nil), shape...), t)
			}
			f.fresh[slot] = t
			return t, nil
		}
	}
	if err := f.run.arena.charge(bytes); err != nil {
		return nil, err
	}
	f.run.outputs += int64(bytes)
	t, err := onnx.NewZeros(d, shape)
	f.fresh[slot] = t
	return t, err
}

func (f *frame) View(i int, t *onnx.Tensor, shape []int) (*onnx.Tensor, error) {
	slot := f.step.out[i]
	head := &f.spare[i]
	if slot >= 0 {
		head = &f.heads[slot]
	}
	retain(t)
	head.ResetView(t, shape)
	return head, nil
}

// partMost is how much memory a part of a tensor may hold back without regard to
// what it needs itself.
const partMost = 64 << 10

// Part copies what goes to the caller of the model, strings, and small parts of
// large buffers, which these parts would hold.
func (f *frame) Part(i int, t *onnx.Tensor, from int, shape []int) *onnx.Tensor {
	slot := f.step.out[i]
	if t.DataType() == onnx.String || slot >= 0 && f.top && f.prog.isOutput[slot] {
		return nil
	}
	n := t.DataType().Size()
	from *= n
	for _, d := range shape {
		n *= d
	}
	buf := t.Buffer()
	if b, ok := buf.(*buffer); ok && b.asked > partMost && n < b.asked/2 {
		return nil
	}
	head := &f.spare[i]
	if slot >= 0 {
		head = &f.heads[slot]
	}
	retain(t)
	head.Reset(t.DataType(), shape, t.Bytes()[from:from+n:from+n], nil, buf)
	return head
}

// ownMost is what partMost is for parts that are kept together, of which there
// may be any number: about what one takes beside its elements.
const ownMost = 512

// Own holds the memory behind t until the step's outputs have been taken, so
// that what made t may let go of it: a body that runs again, a Temp. A small part
// of a buffer is copied: a loop may gather parts of any number of them.
func (f *frame) Own(t *onnx.Tensor) *onnx.Tensor {
	own := &onnx.Tensor{}
	b, ok := t.Buffer().(*buffer)
	if ok && b.asked > ownMost && len(t.Bytes()) < b.asked/2 {
		n := len(t.Bytes())
		if c, err := f.run.arena.get(n); err == nil { // else the part will do
			copy(c.data, t.Bytes())
			own.Reset(t.DataType(), t.Shape(), c.data[:n], nil, c)
			f.scratch = append(f.scratch, c)
			return own
		}
	}
	own.ResetView(t, t.Shape())
	if ok {
		b.Retain()
		f.scratch = append(f.scratch, b)
	}
	return own
}

func (f *frame) Append(i int, t *onnx.Tensor, reserve int) error {
	s := &f.stacks[i]
	f.stacking = true
	if t.DataType() == onnx.String {
		bytes := 16 * t.Len()
		if err := f.run.arena.charge(bytes); err != nil {
			return err
		}
		f.run.outputs += int64(bytes)
	}
	return s.Append(t, reserve, func(n int) ([]byte, error) {
		b, err := f.run.arena.get(n)
		if err != nil {
			return nil, err
		}
		old := s.buf
		s.buf = b
		if old != nil {
			f.scratch = append(f.scratch, old)
		}
		return b.data, nil
	})
}

func (f *frame) Scratch(bytes int) ([]byte, error) {
	b, err := f.run.arena.get(bytes)
	if err != nil {
		return nil, err
	}
	f.scratch = append(f.scratch, b)
	return b.data[:bytes], nil
}

func (f *frame) Alloc(bytes int) ([]byte, onnx.Buffer, error) {
	b, err := f.run.arena.get(bytes)
	if err != nil {
		return nil, nil, err
	}
	return b.data[:bytes], b, nil
}

func (f *frame) Parallel(n, grain int, fn func(lo, hi int)) { parallel(f.run.threads, n, grain, fn) }

// Err looks at the context, which costs nothing where it cannot be cancelled.
func (f *frame) Err() error {
	if f.run.done == nil {
		return nil
	}
	return f.run.ctx.Err()
}

func (f *frame) Wants(i int) bool { return i < len(f.step.out) && f.step.out[i] >= 0 }
func (f *frame) Local() *any      { return &f.locals[f.index] }

// Draw counts the draws of random numbers.
func (f *frame) Draw() (step, n uint64) {
	if f.draws == nil {
		f.draws = make([]drawn, len(f.prog.steps))
	}
	d := &f.draws[f.index]
	if d.serial != f.run.serial {
		*d = drawn{serial: f.run.serial}
	}
	d.n++
	return stepOf(f.run.ctx), d.n - 1
}

func (f *frame) Limits() onnx.Limits { return f.run.limits }

// OutType gives the inferred type of output i, with the sizes that named
// dimensions of the model's inputs have in this run.
func (f *frame) OutType(i int) onnx.Type {
	if i >= len(f.step.types) {
		return onnx.Type{}
	}
	t := f.step.types[i]
	for _, c := range f.step.symbols {
		if size := f.run.symbols[c.symbol]; c.out == i && size >= 0 {
			t.Shape = t.Shape.Clone()
			t.Shape[c.axis] = onnx.Fixed(size)
		}
	}
	return t
}

func (f *frame) Body(name string) ops.Body {
	for k, b := range f.step.bodies {
		if b.name == name {
			return f.bodies[f.index][k]
		}
	}
	panic("no body " + name)
}

// Body.

func (b *bodyFrame) NumInputs() int  { return len(b.frame.prog.inputs) }
func (b *bodyFrame) NumOutputs() int { return len(b.frame.prog.outputs) }

func (b *bodyFrame) Results(k int) *ops.Results {
	r := &b.results[k]
	if r.Values == nil {
		r.Values = make([]onnx.Value, b.NumOutputs())
		r.Heads = make([]onnx.Tensor, b.NumOutputs())
	}
	return r
}

// drop gives up what holder k holds.
func (b *bodyFrame) drop(k int) {
	for i, v := range b.results[k].Values {
		if v != nil {
			release(v)
			b.results[k].Values[i] = nil
		}
	}
}

func (b *bodyFrame) Run(in []onnx.Value, r *ops.Results) error {
	f := b.frame
	if len(in) != len(f.prog.inputs) {
		return onnx.Errorf(onnx.ErrMalformed, "the body takes %d inputs, %d were given", len(f.prog.inputs), len(in))
	}
	for k := range b.results {
		if r == &b.results[k] {
			b.drop(k)
		}
	}
	for i, slot := range f.prog.inputs {
		f.vals[slot] = in[i]
	}
	for _, c := range f.prog.captures {
		f.vals[c.slot] = b.outer.vals[c.outer]
	}
	if err := f.walk(); err != nil {
		return err
	}
	for i, slot := range f.prog.outputs {
		v := f.vals[slot]
		if v == nil {
			return onnx.Errorf(onnx.ErrMalformed, "output %d of the body has no value", i)
		}
		retain(v)
		if t, ok := v.(*onnx.Tensor); ok {
			r.Heads[i].ResetView(t, t.Shape())
			v = &r.Heads[i]
		}
		r.Values[i] = v
	}
	f.clear()
	return nil
}

// clear empties the slots of a frame after its activation: its own values are
// released, borrowed ones forgotten. What died on the way has been released.
func (f *frame) clear() {
	for _, slot := range f.prog.inputs {
		f.vals[slot] = nil
	}
	for _, c := range f.prog.captures {
		f.vals[c.slot] = nil
	}
	for _, c := range f.prog.defaults {
		f.vals[c.slot] = c.value
	}
	for _, slot := range f.prog.lasting {
		f.drop(slot)
	}
}
