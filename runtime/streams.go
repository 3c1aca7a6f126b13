package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// RunStreams computes one frame of each of several streams; inputs and results
// are those of [Stream.Run], in the order of the streams. Where it can it puts
// the rows of several streams into one run of the model: those of streams of
// the same options whose inputs and states have the same shapes, but for the
// axis of the rows, and whose other inputs have the same elements. The rest
// run one after the other: a model without a free dimension for the rows, one
// with an operator that looks across rows, an output that has no row for each.
// The results are those of each stream alone, bit for bit, as long as the model
// treats each row of a batch by itself.
//
// No stream advances unless all do. A stream that is given twice, or that
// another call runs, is an error that matches ErrBusy.
func (s *Session) RunStreams(ctx context.Context, streams []*Stream, inputs []onnx.Values) (results []onnx.Values, err error) {
	if len(streams) != len(inputs) {
		return nil, onnx.Errorf(onnx.ErrShape, "%d streams and the inputs of %d", len(streams), len(inputs))
	}
	for i, st := range streams {
		err := error(nil)
		switch {
		case st == nil:
			err = errors.New("it is nil")
		case st.session != s:
			err = errors.New("it is of another session")
		case !st.mu.TryLock():
			err = ErrBusy
		}
		if err != nil {
			for _, locked := range streams[:i] {
				locked.mu.Unlock()
			}
			return nil, inStream(i, err)
		}
	}
	defer func() {
		for _, st := range streams {
			st.mu.Unlock()
		}
	}()
	b, _ := s.batchers.Get().(*batcher)
	if b == nil {
		b = newBatcher(s)
	}
	defer b.finish()
	defer contain(&err, func() string { return "streams" })
	b.ctx, b.streams, b.inputs = ctx, streams, inputs
	b.results = make([]onnx.Values, len(streams))
	if err := b.run(); err != nil {
		return nil, err
	}
	for _, st := range streams {
		st.commit()
	}
	return b.results, nil
}

func inStream(i int, err error) error { return fmt.Errorf("stream %d: %w", i, err) }

// batcher is what one call of RunStreams owns. A session keeps finished ones
// for later calls.
type batcher struct {
	session *Session
	ctx     context.Context
	streams []*Stream
	inputs  []onnx.Values
	results []onnx.Values

	rows    []int // by stream
	done    []bool
	group   []int // streams that run together
	tooMuch bool  // together, they exceed a limit
	in, out onnx.Values
	gather  []gathered     // by input of the session
	scatter []*onnx.Tensor // by output: what the last run made
	shape   []int
}

// gathered is the rows of several streams, and memory for them.
type gathered struct {
	tensor onnx.Tensor
	data   []byte
	strs   []string
	shape  []int
}

func newBatcher(s *Session) *batcher {
	return &batcher{session: s, in: onnx.Values{}, out: onnx.Values{},
		gather: make([]gathered, len(s.params)), scatter: make([]*onnx.Tensor, len(s.outputs))}
}

// finish keeps the batcher, without what belongs to the caller.
func (b *batcher) finish() {
	b.ctx, b.streams, b.inputs, b.results = nil, nil, nil, nil
	clear(b.in)
	clear(b.out)
	for i := range b.gather {
		clear(b.gather[i].strs)
	}
	b.session.batchers.Put(b)
}

// run computes all streams and leaves their new states in next.
func (b *batcher) run() error {
	n := len(b.streams)
	b.rows = slices.Grow(b.rows[:0], n)[:n]
	b.done = slices.Grow(b.done[:0], n)[:n]
	clear(b.done)
	for i, st := range b.streams {
		if err := st.begin(b.inputs[i]); err != nil {
			return inStream(i, err)
		}
		b.rows[i] = b.countRows(i)
	}
	for i := range b.streams {
		if b.done[i] {
			continue
		}
		b.group = append(b.group[:0], i)
		for k := i + 1; k < n && b.rows[i] >= 0; k++ {
			if !b.done[k] && b.rows[k] >= 0 && b.together(i, k) {
				b.group = append(b.group, k)
			}
		}
		if err := b.runGroup(); err != nil {
			return err
		}
		for _, k := range b.group {
			b.done[k] = true
		}
	}
	return nil
}

// value gives what an input of the model gets in stream i, nil where its
// default stands.
func (b *batcher) value(i, param int) onnx.Value {
	st, name := b.streams[i], b.session.params[param].Name
	for k := range st.config.states {
		if st.config.states[k].Name == name {
			return st.now[k]
		}
	}
	return b.inputs[i][name]
}

// countRows gives the number of a stream's rows, -1 when it runs by itself.
func (b *batcher) countRows(i int) int {
	axes := b.streams[i].config.batch
	if axes == nil {
		return -1
	}
	rows := -1
	for p, axis := range axes.params {
		v := b.value(i, p)
		if v == nil {
			continue
		}
		t, ok := v.(*onnx.Tensor)
		if !ok || t == nil || axis >= t.Rank() {
			return -1
		}
		if axis < 0 {
			continue
		}
		if rows >= 0 && rows != t.Shape()[axis] {
			return -1 // the run will say what is wrong
		}
		rows = t.Shape()[axis]
	}
	given := 0
	for p := range b.session.params {
		if _, ok := b.inputs[i][b.session.params[p].Name]; ok {
			given++
		}
	}
	if given != len(b.inputs[i]) {
		return -1 // nor are there inputs that the model has not
	}
	return rows
}

// together reports whether two streams can share a run.
func (b *batcher) together(i, k int) bool {
	axes := b.streams[i].config.batch
	if b.streams[i].config != b.streams[k].config {
		return false
	}
	for p, axis := range axes.params {
		v, w := b.value(i, p), b.value(k, p)
		if v == nil || w == nil {
			if v != w || axis >= 0 {
				return false // a default of fixed size, or a missing input
			}
			continue
		}
		x, y := v.(*onnx.Tensor), w.(*onnx.Tensor)
		if x.DataType() != y.DataType() || x.Rank() != y.Rank() {
			return false
		}
		for a, size := range x.Shape() {
			if a != axis && size != y.Shape()[a] {
				return false
			}
		}
		if axis < 0 && x != y && (!bytes.Equal(x.Bytes(), y.Bytes()) || !slices.Equal(x.Strings(), y.Strings())) {
			return false
		}
	}
	return true
}

// runGroup computes the streams of the group, in one run if that goes.
func (b *batcher) runGroup() error {
	config := b.streams[b.group[0]].config
	tried := len(b.group) > 1 && !config.apart.Load()
	if tried {
		ok, err := b.runTogether()
		if ok || err != nil {
			return err
		}
	}
	for _, i := range b.group {
		st := b.streams[i]
		out, err := st.compute(b.ctx, b.inputs[i], st.config.plain)
		if err != nil {
			return inStream(i, err)
		}
		b.results[i] = out
	}
	if tried && !b.tooMuch {
		config.apart.Store(true) // the model takes one row, though it declares any number
	}
	return nil
}

// runTogether computes the group in one run. It reports false when that does
// not work out, so that each must run by itself: then an error tells what is
// wrong, and with which stream.
func (b *batcher) runTogether() (bool, error) {
	s := b.session
	axes := b.streams[b.group[0]].config.batch
	b.tooMuch = false
	for _, axis := range axes.outputs {
		if axis < 0 {
			return false, nil
		}
	}
	clear(b.in)
	clear(b.out)
	for p, axis := range axes.params {
		v := b.value(b.group[0], p)
		if v == nil {
			continue
		}
		if axis >= 0 {
			if err := b.gatherRows(p, axis); err != nil {
				b.tooMuch = true // at once; each alone may do
				return false, nil
			}
			v = &b.gather[p].tensor
		}
		b.in[s.params[p].Name] = v
	}
	for i := range s.outputs {
		b.out[s.outputs[i].Name] = nil
		if b.scatter[i] != nil {
			b.out[s.outputs[i].Name] = b.scatter[i]
		}
	}
	if err := s.run(b.ctx, b.in, b.out, true, true); err != nil {
		if errors.Is(err, ErrClosed) || errors.Is(err, ErrInternal) || b.ctx != nil && b.ctx.Err() != nil {
			return false, err
		}
		b.tooMuch = errors.Is(err, onnx.ErrLimit)
		return false, nil
	}
	total := 0
	for _, i := range b.group {
		total += b.rows[i]
	}
	for i, axis := range axes.outputs {
		t, ok := b.out[s.outputs[i].Name].(*onnx.Tensor)
		if !ok || axis >= t.Rank() || t.Shape()[axis] != total {
			return false, nil
		}
		b.scatter[i] = t
	}
	from := 0
	for _, i := range b.group {
		if err := b.scatterRows(i, from, axes); err != nil {
			return false, inStream(i, err)
		}
		from += b.rows[i]
	}
	return true, nil
}

// gatherRows joins an input of the group's streams along an axis.
func (b *batcher) gatherRows(param, axis int) error {
	g := &b.gather[param]
	first := b.value(b.group[0], param).(*onnx.Tensor)
	g.shape = append(g.shape[:0], first.Shape()...)
	g.shape[axis] = 0
	for _, i := range b.group {
		g.shape[axis] += b.rows[i]
	}
	dtype := first.DataType()
	size, err := ops.TensorBytes(dtype, g.shape)
	if err != nil {
		return err
	}
	if int64(size) > b.session.opts.limits.RunBytes {
		return onnx.ErrLimit
	}
	n, err := onnx.NumElements(g.shape)
	if err != nil {
		return err
	}
	if dtype == onnx.String {
		g.strs = slices.Grow(g.strs[:0], n)[:n]
		g.tensor.Reset(dtype, g.shape, nil, g.strs, nil)
	} else {
		if cap(g.data) < size {
			g.data = onnx.AlignedBytes(size)
		}
		g.tensor.Reset(dtype, g.shape, g.data[:size], nil, nil)
	}
	from := 0
	for _, i := range b.group {
		moveRows(&g.tensor, from, b.value(i, param).(*onnx.Tensor), 0, b.rows[i], axis)
		from += b.rows[i]
	}
	return nil
}

// scatterRows gives a stream its rows of the outputs, from the given one on.
func (b *batcher) scatterRows(i, from int, axes *batchAxes) error {
	s, st := b.session, b.streams[i]
	result := make(onnx.Values, len(st.config.plain))
	for o, axis := range axes.outputs {
		src := b.scatter[o]
		name := s.outputs[o].Name
		state := slices.IndexFunc(st.config.pairs, func(p StatePair) bool { return p.Output == name })
		var dst *onnx.Tensor
		if state >= 0 {
			dst = st.next[state]
		}
		if dst == nil || !sameBut(dst, src, axis, b.rows[i]) {
			b.shape = append(b.shape[:0], src.Shape()...)
			b.shape[axis] = b.rows[i]
			var err error
			if dst, err = onnx.NewZeros(src.DataType(), b.shape); err != nil {
				return err
			}
		}
		moveRows(dst, 0, src, from, b.rows[i], axis)
		if state >= 0 {
			st.next[state] = dst
		} else {
			result[name] = dst
		}
	}
	b.results[i] = result
	return nil
}

// sameBut reports whether t has the type and shape of src with the given size
// on an axis.
func sameBut(t, src *onnx.Tensor, axis, size int) bool {
	if t.DataType() != src.DataType() || t.Rank() != src.Rank() {
		return false
	}
	for a, n := range src.Shape() {
		if a == axis {
			n = size
		}
		if t.Shape()[a] != n {
			return false
		}
	}
	return true
}

// moveRows copies n rows along an axis, from one place of src to one of dst.
func moveRows(dst *onnx.Tensor, to int, src *onnx.Tensor, from, n, axis int) {
	outer, inner := 1, 1
	for a, size := range src.Shape() {
		switch {
		case a < axis:
			outer *= size
		case a > axis:
			inner *= size
		}
	}
	if src.DataType() == onnx.String {
		moveBlocks(dst.Strings(), to, dst.Shape()[axis], src.Strings(), from, src.Shape()[axis], n, outer, inner)
		return
	}
	moveBlocks(dst.Bytes(), to, dst.Shape()[axis], src.Bytes(), from, src.Shape()[axis], n, outer, inner*src.DataType().Size())
}

func moveBlocks[T any](dst []T, to, dstRows int, src []T, from, srcRows, n, outer, inner int) {
	for o := range outer {
		copy(dst[(o*dstRows+to)*inner:][:n*inner], src[(o*srcRows+from)*inner:][:n*inner])
	}
}
