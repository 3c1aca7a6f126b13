package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
	"github.com/recur-ml/recur/rewrite"
)

// ErrClosed is returned by a Session that was closed, or not made by a Load.
var ErrClosed = errors.New("session is closed")

// ErrInternal marks a fault of the engine, not of the model or its inputs: a
// panic that was contained, or a result that contradicts what was inferred.
var ErrInternal = errors.New("internal error")

// Session is a loaded model. It is immutable: any number of goroutines may
// call Run at a time.
type Session struct {
	model   *onnx.Model // after the passes
	prog    *program
	opts    *options
	symbols map[string]int
	inputs  []onnx.ValueInfo
	outputs []onnx.ValueInfo
	params  []input // all inputs of the graph, initializers with defaults included
	repeats bool    // two outputs have one name

	variants variants
	streams  streamConfigs
	batchers sync.Pool // of *batcher
	pool     runPool
	mu       sync.RWMutex // held for reading by each run
	shut     bool
}

// input is an input of the graph and how to bind it.
type input struct {
	onnx.ValueInfo
	slot     int
	optional bool  // an initializer gives its default
	symbols  []int // by axis: the named dimension, -1 without name
}

// Load reads a model from a file and makes it ready to run. What the engine
// cannot honour is refused here: the error is then a *RefusalError, which
// names every node and reason. Other errors match the sentinels of package
// onnx.
func Load(path string, opts ...Option) (*Session, error) {
	o := newOptions(opts)
	m, err := onnx.Load(path, &onnx.DecodeOptions{Limits: o.limits})
	if err != nil {
		return nil, err
	}
	return newSession(m, o, true)
}

// LoadFS is Load from a file system, such as an embed.FS. Models with external
// data cannot be read this way.
func LoadFS(fsys fs.FS, name string, opts ...Option) (*Session, error) {
	o := newOptions(opts)
	m, err := onnx.LoadFS(fsys, name, &onnx.DecodeOptions{Limits: o.limits})
	if err != nil {
		return nil, err
	}
	return newSession(m, o, true)
}

// LoadBytes is Load from memory. The session keeps data, which must not be
// modified.
func LoadBytes(data []byte, opts ...Option) (*Session, error) {
	o := newOptions(opts)
	m, err := onnx.Decode(data, &onnx.DecodeOptions{Limits: o.limits})
	if err != nil {
		return nil, err
	}
	return newSession(m, o, true)
}

// LoadModel makes a model ready to run. The model is not modified; it must not
// be modified while the session is in use.
func LoadModel(m *onnx.Model, opts ...Option) (*Session, error) {
	return newSession(m, newOptions(opts), false)
}

// newSession makes a session of a model, which it takes where own says that
// nobody else has it.
func newSession(m *onnx.Model, o *options, own bool) (s *Session, err error) {
	defer contain(&err, func() string { return "load" })
	if err := o.chooseLevel(); err != nil {
		return nil, err
	}
	if err := onnx.Check(m, onnx.CheckLimits(o.limits)); err != nil {
		return nil, err
	}
	path := m.Path
	if m, err = rewrite.Apply(m, rewrite.Options{Passes: o.passes, Registry: o.registry, Limits: o.limits, Level: o.level, HalfWeights: o.halfWeights, InPlace: own}); err != nil {
		return nil, withPath(path, err)
	}
	prog, symbols, err := compile(m, o)
	if err != nil {
		return nil, err
	}
	s = &Session{model: m, prog: prog, opts: o, symbols: symbols}
	defaults := map[string]bool{}
	for _, init := range m.Graph.Initializers {
		defaults[init.Name] = true
	}
	for i, v := range m.Graph.Inputs {
		in := input{ValueInfo: v, slot: prog.inputs[i], optional: defaults[v.Name]}
		if in.optional && m.IRVersion < 4 {
			continue // a constant, listed among the inputs as the format then demanded
		}
		for _, d := range v.Type.Shape {
			id, ok := symbols[d.Name]
			if !ok {
				id = -1
			}
			in.symbols = append(in.symbols, id)
		}
		s.params = append(s.params, in)
		if !in.optional {
			s.inputs = append(s.inputs, v)
		}
	}
	s.outputs = m.Graph.Outputs
	for i := range s.outputs {
		s.repeats = s.repeats || s.outputIndex(s.outputs[i].Name) != i
	}
	s.variants.begin(s, o.programs)
	return s, nil
}

// contain turns a panic into an error.
func contain(err *error, where func() string) {
	if r := recover(); r != nil {
		stack := debug.Stack()
		if p, ok := r.(*workerPanic); ok {
			r, stack = p.value, p.stack
		}
		*err = fmt.Errorf("%s: %w: %v\n%s", where(), ErrInternal, r, stack)
	}
}

// Inputs lists what Run wants: names, element types and shapes, with -1 and
// the dimension's name for what may vary. The slice must not be modified.
func (s *Session) Inputs() []onnx.ValueInfo { return s.inputs }

// Outputs lists what Run gives, as the model declares it. The slice must not
// be modified.
func (s *Session) Outputs() []onnx.ValueInfo { return s.outputs }

// Model gives the model as it runs, after the rewrite passes. It must not be
// modified.
func (s *Session) Model() *onnx.Model { return s.model }

// Close waits for running calls to end and makes later ones fail with
// ErrClosed, those that come while it waits among them. Closing twice is
// harmless, and a session that is not closed is left to the garbage collector.
// The error is nil.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut = true
	s.pool.clear()
	s.variants.list.Store(nil)
	return nil
}

// Run computes the model's outputs; with names, only those are returned. The
// inputs are only read, and may be shared by any number of calls; the outputs
// are the caller's. ctx, which may be nil, cancels the run between nodes,
// iterations and blocks of time steps.
//
// An error about the inputs or names matches onnx.ErrShape or onnx.ErrType; one
// that exceeds the budget of memory, onnx.ErrLimit.
func (s *Session) Run(ctx context.Context, inputs onnx.Values, names ...string) (onnx.Values, error) {
	for _, n := range names {
		if s.outputIndex(n) < 0 {
			return nil, s.noOutput(n)
		}
	}
	out := make(onnx.Values, len(s.outputs))
	if err := s.run(ctx, inputs, out, false, false); err != nil {
		return nil, err
	}
	if len(names) > 0 {
		for n := range out {
			if !slices.Contains(names, n) {
				delete(out, n)
			}
		}
	}
	return out, nil
}

// RunInto is Run with tensors for the outputs, each of exactly the resulting
// element type and shape, else the error matches onnx.ErrShape. Outputs that
// are not in the map are computed and dropped; one whose value is nil is set
// to a new value, as is a sequence. In its steady state it allocates nothing,
// as long as the model has no strings, sequences or loops of unknown length, but
// for the little that each start of threads beside the caller's takes.
// After an error the outputs' elements are undefined. Tensors that share memory
// with an input or with each other are an error, which matches onnx.ErrShape.
func (s *Session) RunInto(ctx context.Context, inputs, outputs onnx.Values) error {
	return s.run(ctx, inputs, outputs, true, false)
}

func (s *Session) noOutput(name string) error {
	return onnx.Errorf(onnx.ErrShape, "output %q: no such output; the model has %s", name, quoted(s.outputs))
}

func (s *Session) outputIndex(name string) int {
	for i := range s.outputs {
		if s.outputs[i].Name == name {
			return i
		}
	}
	return -1
}

// run computes outputs: all, or with into those that are in the map. With
// loose, a tensor there that does not fit is replaced by a new one.
func (s *Session) run(ctx context.Context, inputs, outputs onnx.Values, into, loose bool) error {
	if !s.mu.TryRLock() { // only Close locks
		return ErrClosed
	}
	defer s.mu.RUnlock()
	if s.shut || s.prog == nil {
		return ErrClosed
	}
	if ctx == nil {
		ctx = context.Background()
	}
	r := s.pool.get()
	if r == nil {
		r = newRun(s)
	}
	r.serial++
	// A run that fails is not used again: what it holds is the garbage
	// collector's.
	err := s.compute(ctx, r, inputs, outputs, into, loose, false)
	if err == nil {
		return nil
	}
	if v := r.chosen; v != nil && r.arena.block != nil && errors.Is(err, onnx.ErrLimit) && ctx.Err() == nil {
		// A block stays whole until the end of a run, where buffers are let go
		// of when the budget wants it.
		v.refuseLayout()
		r = newRun(s)
		if err = s.compute(ctx, r, inputs, outputs, into, loose, false); err == nil {
			return nil
		}
	}
	if v := r.chosen; v != nil && v != s.variants.general && ctx.Err() == nil {
		// What the general program says of the inputs counts.
		if err = s.compute(ctx, newRun(s), inputs, outputs, into, loose, true); err == nil {
			s.variants.fail(v)
			return nil
		}
	}
	return withPath(s.model.Path, err)
}

// compute binds a run's values, and walks the steps of the program for them: of
// the general one where that is asked for.
func (s *Session) compute(ctx context.Context, r *run, inputs, outputs onnx.Values, into, loose, general bool) (err error) {
	busy.Add(1)
	defer busy.Add(-1)
	defer contain(&err, func() string {
		if r.top != nil && r.top.step != nil {
			return ops.NodeError(r.top.step.node, r.top.step.since, errors.New("stopped")).Error()
		}
		return "run"
	})
	r.ctx, r.done, r.loose, r.chosen, r.top = ctx, ctx.Done(), loose, nil, nil
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.bind(r, inputs); err != nil {
		return err
	}
	if into {
		if err := s.bindOutputs(r, outputs); err != nil {
			return err
		}
	}
	v := s.variants.general
	if !general {
		v = s.choose(r)
	}
	r.enter(v)
	timed := v == s.variants.general && s.variants.most > 0
	var start time.Time
	if timed {
		start = time.Now()
	}
	if err := r.top.walk(); err != nil {
		return err
	}
	if timed {
		s.variants.ran.Add(int64(time.Since(start)))
	}
	r.top.step = nil
	if err := s.deliver(r, outputs, into); err != nil {
		return err
	}
	s.finish(r)
	return nil
}

// finish empties a run and keeps it for a later call. One that a kernel left
// memory taken in is given up: that would add up.
func (s *Session) finish(r *run) {
	f := r.top
	f.clear()
	clear(f.in)
	clear(f.out)
	for _, slot := range f.prog.outputs {
		f.fresh[slot] = nil
	}
	clear(r.into)
	clear(r.given)
	r.ctx, r.done = nil, nil
	r.arena.used -= r.outputs
	r.outputs = 0
	if r.arena.live == 0 {
		r.arena.end(r.chosen, &r.current.places)
		s.pool.put(r)
	}
}

// bind checks the inputs and takes them down, by parameter.
func (s *Session) bind(r *run, inputs onnx.Values) error {
	for i := range r.symbols {
		r.symbols[i] = -1
	}
	found := 0
	for i := range s.params {
		p := &s.params[i]
		v, ok := inputs[p.Name]
		if !ok || v == nil {
			if ok {
				found++
			}
			if p.optional {
				continue
			}
			return onnx.Errorf(onnx.ErrShape, "input %q is missing; the model wants %s", p.Name, quoted(s.inputs))
		}
		found++
		if err := s.checkInput(r, p, v); err != nil {
			return err
		}
		r.given[i] = v
	}
	if found == len(inputs) {
		return nil
	}
	for name := range inputs {
		known := false
		for i := range s.params {
			known = known || s.params[i].Name == name
		}
		if !known {
			return onnx.Errorf(onnx.ErrShape, "input %q: no such input; the model has %s", name, quoted(s.inputs))
		}
	}
	return nil
}

// checkInput holds a value against its declaration, and its named dimensions
// against those of the inputs before.
func (s *Session) checkInput(r *run, p *input, v onnx.Value) error {
	if err := wellFormed(v, 0); err != nil {
		return onnx.Errorf(err, "input %q: %v", p.Name, err)
	}
	want := p.Type
	t, ok := v.(*onnx.Tensor)
	if !ok {
		have := v.Type()
		if have.Kind != want.Kind || !sameElements(have, want) {
			return onnx.Errorf(onnx.ErrType, "input %q is a %s, the model wants a %s", p.Name, have.Name(), want.Name())
		}
		if err := checkElements(v, want); err != nil {
			return onnx.Errorf(onnx.ErrType, "input %q: %v", p.Name, err)
		}
		return nil
	}
	if want.Kind != onnx.KindTensor || want.Elem != t.DataType() {
		return onnx.Errorf(onnx.ErrType, "input %q is a tensor(%v), the model wants a %s", p.Name, t.DataType(), want.Name())
	}
	if !want.Shape.Ranked() {
		return nil
	}
	good := len(want.Shape) == t.Rank()
	for axis := 0; good && axis < t.Rank(); axis++ {
		d := want.Shape[axis]
		good = !d.Known() || d.Value == t.Shape()[axis]
	}
	if !good {
		return onnx.Errorf(onnx.ErrShape, "input %q: shape %v, the model wants %v", p.Name, t.Shape(), want.Shape)
	}
	for axis, id := range p.symbols {
		if id < 0 || want.Shape[axis].Known() {
			continue
		}
		size := t.Shape()[axis]
		if was := r.symbols[id]; was >= 0 && was != size {
			return onnx.Errorf(onnx.ErrShape, "input %q: shape %v, the model wants %v with %s = %d as in the inputs before", p.Name, t.Shape(), want.Shape, want.Shape[axis].Name, was)
		}
		r.symbols[id] = size
	}
	return nil
}

// bindOutputs takes the caller's tensors for the outputs. One that shares memory
// with an input or another output would be overwritten while it is read.
func (s *Session) bindOutputs(r *run, outputs onnx.Values) error {
	found := 0
	for i := range s.outputs {
		name := s.outputs[i].Name
		v, wanted := outputs[name]
		if r.wanted[i] = wanted; wanted {
			found++
		}
		t, _ := v.(*onnx.Tensor)
		if t == nil {
			continue
		}
		if err := wellFormed(t, 0); err != nil {
			return onnx.Errorf(err, "output %q: %v", name, err)
		}
		t.Bytes() // where kernels write, however they ask for it, is settled before they do
		for k, other := range r.into[:i] {
			if overlap(t, other) && s.outputs[k].Name != name {
				return onnx.Errorf(onnx.ErrShape, "output %q: the tensor shares memory with that of output %q", name, s.outputs[k].Name)
			}
		}
		for k, v := range r.given {
			if overlapsValue(t, v) {
				return onnx.Errorf(onnx.ErrShape, "output %q: the tensor shares memory with input %q", name, s.params[k].Name)
			}
		}
		r.into[i] = t
	}
	if found == len(outputs) && !s.repeats {
		return nil
	}
	for name := range outputs {
		if s.outputIndex(name) < 0 {
			return s.noOutput(name)
		}
	}
	return nil
}

// overlapsValue reports whether a tensor shares memory with a well-formed value
// or a part of it.
func overlapsValue(t *onnx.Tensor, v onnx.Value) bool {
	switch v := v.(type) {
	case *onnx.Tensor:
		return overlap(t, v)
	case *onnx.Sequence:
		return slices.ContainsFunc(v.Items, func(item onnx.Value) bool { return overlapsValue(t, item) })
	case *onnx.Optional:
		return overlapsValue(t, v.Value)
	case *onnx.Map:
		return overlap(t, v.Keys) || overlap(t, v.Values)
	case *onnx.SparseTensor:
		return overlap(t, v.Values) || overlap(t, v.Indices)
	}
	return false
}

// overlap reports whether two tensors share memory.
func overlap(a, b *onnx.Tensor) bool {
	switch {
	case a == nil || b == nil:
		return false
	case a == b:
		return true
	case a.DataType() == onnx.String:
		return overlapping(a.Strings(), b.Strings())
	}
	return overlapping(a.ElementBytes(), b.ElementBytes())
}

func overlapping[T any](a, b []T) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	first := func(s []T) uintptr { return uintptr(unsafe.Pointer(&s[0])) }
	last := func(s []T) uintptr { return uintptr(unsafe.Pointer(&s[len(s)-1])) }
	return first(a) <= last(b) && first(b) <= last(a)
}

// deliver hands the outputs over. What is not a new tensor of the caller's is
// copied: views, inputs and constants that only pass through.
func (s *Session) deliver(r *run, outputs onnx.Values, into bool) error {
	f := r.top
	for i, slot := range f.prog.outputs {
		name := s.outputs[i].Name
		v := f.vals[slot]
		if into && !r.wanted[i] {
			continue
		}
		if v == nil {
			return onnx.Errorf(onnx.ErrMalformed, "output %q has no value", name)
		}
		if want := &s.outputs[i].Type; want.Kind == onnx.KindTensor {
			if t, ok := v.(*onnx.Tensor); !ok || want.Elem != onnx.Undefined && want.Elem != t.DataType() {
				return onnx.Errorf(onnx.ErrType, "output %q is a %s, the model declares a %s", name, v.Type().Name(), want.Name())
			}
		}
		if dst := r.into[i]; dst != nil && (!r.loose || v == onnx.Value(dst) || fits(dst, v)) {
			if v != onnx.Value(dst) {
				if err := copyInto(name, dst, v); err != nil {
					return err
				}
			}
			continue
		}
		if t, ok := v.(*onnx.Tensor); ok && t == f.fresh[slot] {
			outputs[name] = t
			continue
		}
		c, err := s.copyOut(r, v)
		if err != nil {
			return err
		}
		outputs[name] = c
	}
	return nil
}

func fits(dst *onnx.Tensor, v onnx.Value) bool {
	t, ok := v.(*onnx.Tensor)
	return ok && t.DataType() == dst.DataType() && slices.Equal(t.Shape(), dst.Shape())
}

func copyInto(name string, dst *onnx.Tensor, v onnx.Value) error {
	if !fits(dst, v) {
		return onnx.Errorf(onnx.ErrShape, "output %q is %v, the tensor given for it is %v", name, v, dst)
	}
	t := v.(*onnx.Tensor)
	copy(dst.Bytes(), t.ElementBytes())
	copy(dst.Strings(), t.Strings())
	return nil
}

// copyOut copies a value to memory of the garbage collector, which is charged to
// the budget.
func (s *Session) copyOut(r *run, v onnx.Value) (onnx.Value, error) {
	var err error
	clone := func(t *onnx.Tensor) *onnx.Tensor {
		if err != nil || t == nil {
			return nil
		}
		var bytes int
		if bytes, err = ops.TensorBytes(t.DataType(), t.Shape()); err != nil {
			return nil
		}
		if err = r.arena.charge(bytes); err != nil {
			return nil
		}
		r.outputs += int64(bytes)
		return t.Clone()
	}
	var c onnx.Value
	switch v := v.(type) {
	case *onnx.Tensor:
		c = clone(v)
	case *onnx.Sequence:
		list := &onnx.Sequence{Elem: v.Elem, Items: make([]onnx.Value, len(v.Items))}
		for i, item := range v.Items {
			if list.Items[i], err = s.copyOut(r, item); err != nil {
				return nil, err
			}
		}
		c = list
	case *onnx.Optional:
		some := &onnx.Optional{Elem: v.Elem}
		if v.Value != nil {
			some.Value, err = s.copyOut(r, v.Value)
		}
		c = some
	case *onnx.Map:
		c = &onnx.Map{Keys: clone(v.Keys), Values: clone(v.Values)}
	case *onnx.SparseTensor:
		c = &onnx.SparseTensor{Values: clone(v.Values), Indices: clone(v.Indices), Dims: append([]int(nil), v.Dims...)}
	default:
		err = fmt.Errorf("%w: value of type %T", ErrInternal, v)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func quoted(list []onnx.ValueInfo) string {
	names := make([]string, len(list))
	for i, v := range list {
		names[i] = fmt.Sprintf("%q", v.Name)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
