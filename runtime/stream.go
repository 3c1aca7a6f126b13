package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// ErrBusy is matched by the error of a Stream that is used while another call
// runs it.
var ErrBusy = errors.New("stream is in use")

// ErrStateless is matched by the error of Stream for a model in which no state
// pairs are found and none are named.
var ErrStateless = errors.New("no state pairs")

// Stream runs a model frame by frame and carries its state from each frame to
// the next: the state of one speaker, one user, one sensor. It belongs to one
// goroutine at a time; the session serves any number of streams. Nothing needs
// to be closed.
type Stream struct {
	session *Session
	config  *streamConfig

	mu    sync.Mutex
	begun bool
	now   []*onnx.Tensor // by state; all of them the stream's own
	next  []*onnx.Tensor // what a run makes; before, memory that it may write to
	in    onnx.Values
	out   onnx.Values
}

// StreamOption changes how a Stream is made.
type StreamOption func(*streamOptions)

type streamOptions struct {
	pairs []string
	batch []string
}

// StreamPairs names the states by hand, each as "OUTPUT=INPUT"; then no others
// are carried.
func StreamPairs(pairs ...string) StreamOption {
	return func(o *streamOptions) { o.pairs = append(o.pairs, pairs...) }
}

// StreamBatch says where RunStreams finds the rows of a batch: the name of a
// dimension, or "VALUE=AXIS" for inputs and outputs whose dimension has no
// name. Without, it is the one named dimension that all states' inputs share.
func StreamBatch(dims ...string) StreamOption {
	return func(o *streamOptions) { o.batch = append(o.batch, dims...) }
}

// Stream makes a stream at its beginning. The states that it carries are those
// of StatePairs, or those that StreamPairs names. An error matches
// ErrAmbiguous, ErrStateless, or is about what the options name.
func (s *Session) Stream(opts ...StreamOption) (*Stream, error) {
	if s.model == nil {
		return nil, ErrClosed
	}
	o := &streamOptions{}
	for _, opt := range opts {
		if opt != nil {
			opt(o)
		}
	}
	c, err := s.streamConfig(o)
	if err != nil {
		return nil, withPath(s.model.Path, err)
	}
	n := len(c.states)
	return &Stream{session: s, config: c, now: make([]*onnx.Tensor, n), next: make([]*onnx.Tensor, n), in: onnx.Values{}, out: onnx.Values{}}, nil
}

// Pairs lists the states that the stream carries. The slice must not be
// modified.
func (st *Stream) Pairs() []StatePair { return st.config.pairs }

// Run computes one frame. The inputs are the model's without those of the
// states; without names, the outputs are the model's without those of the
// states, and with names those. A run that fails or is cancelled leaves the
// state as it was. While another call runs the stream the error matches
// ErrBusy; others are those of [Session.Run].
//
// The first frame's initial states are zeros, or the model's own defaults. A
// dimension of theirs that is not fixed has the size of the dimension of that
// name among the inputs given, else 1; SetState gives others.
func (st *Stream) Run(ctx context.Context, inputs onnx.Values, names ...string) (onnx.Values, error) {
	if !st.mu.TryLock() {
		return nil, ErrBusy
	}
	defer st.mu.Unlock()
	if len(names) == 0 {
		names = st.config.plain
	}
	for _, n := range names {
		if st.session.outputIndex(n) < 0 {
			return nil, onnx.Errorf(onnx.ErrShape, "output %q: no such output; the model has %s", n, quoted(st.session.outputs))
		}
	}
	out, err := st.compute(ctx, inputs, names)
	if err != nil {
		return nil, err
	}
	st.commit()
	return out, nil
}

// compute runs a frame, and leaves the new states in next.
func (st *Stream) compute(ctx context.Context, inputs onnx.Values, names []string) (onnx.Values, error) {
	c := st.config
	defer clear(st.in)
	defer clear(st.out)
	if err := st.begin(inputs); err != nil {
		return nil, withPath(st.session.model.Path, err)
	}
	for name, v := range inputs {
		st.in[name] = v
	}
	for _, n := range names {
		st.out[n] = nil
	}
	for k, p := range c.pairs {
		st.in[p.Input] = st.now[k]
		st.out[p.Output] = nil
		if st.next[k] != nil {
			st.out[p.Output] = st.next[k]
		}
	}
	if err := st.session.run(ctx, st.in, st.out, true, true); err != nil {
		return nil, err
	}
	for k, p := range c.pairs {
		t, ok := st.out[p.Output].(*onnx.Tensor)
		if !ok {
			return nil, withPath(st.session.model.Path, onnx.Errorf(onnx.ErrType, "output %q is a %s, no tensor", p.Output, st.out[p.Output].Type().Name()))
		}
		st.next[k] = t
	}
	result := make(onnx.Values, len(names))
	for _, n := range names {
		v := st.out[n]
		if c.carries(n) {
			v = v.(*onnx.Tensor).Clone() // the stream keeps the other one
		}
		result[n] = v
	}
	return result, nil
}

// commit makes the new states the current ones.
func (st *Stream) commit() {
	st.now, st.next = st.next, st.now
	st.begun = true
}

// begin checks that the inputs leave the states out, and gives a stream at its
// beginning its initial states.
func (st *Stream) begin(inputs onnx.Values) error {
	for _, p := range st.config.pairs {
		if _, given := inputs[p.Input]; given {
			return onnx.Errorf(onnx.ErrShape, "input %q: the stream carries it; SetState sets it", p.Input)
		}
	}
	if st.begun {
		return nil
	}
	for k := range st.config.states {
		state := &st.config.states[k]
		shape, err := st.initialShape(state, inputs)
		if err != nil {
			return err
		}
		if t := st.now[k]; t == nil || !slices.Equal(t.Shape(), shape) {
			bytes, err := ops.TensorBytes(state.Type.Elem, shape)
			if limit := st.session.opts.limits.RunBytes; err == nil && int64(bytes) > limit {
				err = &onnx.LimitError{What: "bytes of the state", Got: int64(bytes), Max: limit, Where: fmt.Sprintf("input %q", state.Name)}
			}
			if err == nil {
				st.now[k], err = onnx.NewZeros(state.Type.Elem, shape)
			}
			if err != nil {
				return err
			}
		}
		clear(st.now[k].Bytes())
		clear(st.now[k].Strings())
		if d := state.initial; d != nil && slices.Equal(d.Shape(), shape) {
			copy(st.now[k].Bytes(), d.Bytes())
			copy(st.now[k].Strings(), d.Strings())
		} else if d != nil && !isZero(d) {
			return onnx.Errorf(onnx.ErrShape, "input %q: the default has shape %v, the inputs want %v; SetState gives another", state.Name, d.Shape(), shape)
		}
	}
	return nil
}

// initialShape finds the shape of an initial state by what is declared, and by
// the inputs.
func (st *Stream) initialShape(state *streamState, inputs onnx.Values) ([]int, error) {
	if !state.Type.Shape.Ranked() {
		return nil, onnx.Errorf(onnx.ErrShape, "input %q: the model does not declare the state's rank; SetState gives the initial one", state.Name)
	}
	shape := make([]int, len(state.Type.Shape))
	for axis, d := range state.Type.Shape {
		switch size, ok := st.sizeOf(d.Name, inputs); {
		case d.Known():
			shape[axis] = d.Value
		case ok:
			shape[axis] = size
		case axis == state.axis:
			shape[axis] = st.config.rows(st.session, inputs)
		default:
			shape[axis] = 1
		}
	}
	return shape, nil
}

// sizeOf finds the size of a named dimension in the inputs.
func (st *Stream) sizeOf(name string, inputs onnx.Values) (int, bool) {
	if name == "" {
		return 0, false
	}
	for i := range st.session.params {
		p := &st.session.params[i]
		t, ok := inputs[p.Name].(*onnx.Tensor)
		if !ok || t == nil || t.Rank() != len(p.Type.Shape) {
			continue
		}
		for axis, d := range p.Type.Shape {
			if d.Name == name {
				return t.Shape()[axis], true
			}
		}
	}
	return 0, false
}

// Reset puts the stream back to its beginning, after a run in progress.
func (st *Stream) Reset() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.begun = false
}

// State gives copies of the states by the names of their inputs, after a run in
// progress. It is nil at the stream's beginning.
func (st *Stream) State() onnx.Values {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.begun {
		return nil
	}
	out := onnx.Values{}
	for k, p := range st.config.pairs {
		out[p.Input] = st.now[k].Clone()
	}
	return out
}

// SetState replaces all states by copies of the values, which are named as
// State names them; nil puts the stream back to its beginning. An error
// matches onnx.ErrShape or ErrType, or ErrBusy; the state is then as it was.
func (st *Stream) SetState(values onnx.Values) error {
	if !st.mu.TryLock() {
		return ErrBusy
	}
	defer st.mu.Unlock()
	if values == nil {
		st.begun = false
		return nil
	}
	for name := range values {
		if !slices.ContainsFunc(st.config.pairs, func(p StatePair) bool { return p.Input == name }) {
			return onnx.Errorf(onnx.ErrShape, "state %q: no such state; the stream carries %s", name, st.config.names())
		}
	}
	now := make([]*onnx.Tensor, len(st.now))
	for k := range st.config.states {
		state := &st.config.states[k]
		t, ok := values[state.Name].(*onnx.Tensor)
		if !ok || t == nil {
			return onnx.Errorf(onnx.ErrShape, "state %q is missing; the stream carries %s", state.Name, st.config.names())
		}
		if t.DataType() != state.Type.Elem {
			return onnx.Errorf(onnx.ErrType, "state %q is a tensor(%v), the model wants a %s", state.Name, t.DataType(), state.Type.Name())
		}
		if !allows(state.Type.Shape, t.Shape()) {
			return onnx.Errorf(onnx.ErrShape, "state %q: shape %v, the model wants %v", state.Name, t.Shape(), state.Type.Shape)
		}
		now[k] = t.Clone()
	}
	st.now, st.begun = now, true
	return nil
}

// allows reports whether a declared shape admits a tensor's.
func allows(want onnx.Shape, have []int) bool {
	if !want.Ranked() {
		return true
	}
	if len(want) != len(have) {
		return false
	}
	for axis, d := range want {
		if d.Known() && d.Value != have[axis] {
			return false
		}
	}
	return true
}

func isZero(t *onnx.Tensor) bool {
	return !slices.ContainsFunc(t.Bytes(), func(b byte) bool { return b != 0 }) &&
		!slices.ContainsFunc(t.Strings(), func(s string) bool { return s != "" })
}
