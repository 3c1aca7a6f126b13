package main

import (
	"context"
	"errors"
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/rewrite"
	rt "github.com/recur-ml/recur/runtime"
)

// statefulSession loads a model whose hidden states are made inputs and outputs.
func (c *cli) statefulSession(path string, f *loadFlags) (*rt.Session, error) {
	opts, err := f.options()
	if err != nil {
		return nil, err
	}
	m, err := c.decode(path, f.limits())
	if err != nil {
		return nil, err
	}
	if err := onnx.Check(m, onnx.CheckLimits(f.limits().WithDefaults())); err != nil {
		return nil, err
	}
	m, pairs, err := rewrite.ExposeState(m)
	if err != nil {
		return nil, err
	}
	for _, p := range pairs {
		c.logf("carried: %s", clean(p.String()))
	}
	return rt.LoadModel(m, opts...)
}

func newStream(s *rt.Session, f *runFlags) (*rt.Stream, error) {
	if f.frameAxis < 0 {
		return nil, usagef("--frame-axis %d, want 0 or more", f.frameAxis)
	}
	st, err := s.Stream(rt.StreamPairs(f.states...))
	switch {
	case err == nil:
		return st, nil
	case errors.Is(err, rt.ErrStateless) && f.stateful:
		return nil, hintf("%w, nor a recurrent layer that runs forward and keeps its state: --state OUTPUT=INPUT names one", rt.ErrStateless)
	case errors.Is(err, rt.ErrStateless):
		return nil, hintf("%w: --state OUTPUT=INPUT names one, --stateful exposes those of recurrent layers", rt.ErrStateless)
	case errors.Is(err, rt.ErrAmbiguous):
		return nil, hintf("%w with --state", err)
	}
	return nil, hintf("--state: %w", err)
}

func isState(st *rt.Stream, input string) bool {
	return slices.ContainsFunc(st.Pairs(), func(p rt.StatePair) bool { return p.Input == input })
}

// runFrames runs a stream over all frames in the inputs. It gives the stacked
// outputs, and the final states.
func runFrames(ctx context.Context, s *rt.Session, st *rt.Stream, in onnx.Values, f *runFlags) (onnx.Values, error) {
	if err := setStates(st, in); err != nil {
		return nil, err
	}
	cuts, n, err := findFrames(s, in, f.frameAxis)
	if err != nil {
		return nil, err
	}
	wanted := func(name string) bool { return len(f.outputs) == 0 || slices.Contains(f.outputs, name) }
	out := onnx.Values{}
	frame := onnx.Values{}
	for i := range n {
		for name, v := range in {
			frame[name] = v
			if cut, ok := cuts[name]; ok {
				frame[name] = cut.frame(f.frameAxis, i)
			}
		}
		got, err := st.Run(ctx, frame)
		if err != nil {
			return nil, err
		}
		for name, v := range got {
			if wanted(name) {
				if err := stack(out, name, v, f.frameAxis, i, n); err != nil {
					return nil, err
				}
			}
		}
	}
	state := st.State()
	for _, p := range st.Pairs() {
		if wanted(p.Output) {
			out[p.Output] = state[p.Input]
		}
	}
	return out, nil
}

// setStates takes the initial states that are given out of the inputs.
func setStates(st *rt.Stream, in onnx.Values) error {
	state := onnx.Values{}
	for _, p := range st.Pairs() {
		if v := in[p.Input]; v != nil {
			state[p.Input] = v
			delete(in, p.Input)
		}
	}
	if len(state) == 0 {
		return nil
	}
	return st.SetState(state)
}

// frames is an array that holds frames along an axis; with keep, a frame keeps
// that axis, with size 1.
type frames struct {
	*onnx.Tensor
	keep bool
}

// findFrames tells which inputs hold frames, and how many.
func findFrames(s *rt.Session, in onnx.Values, axis int) (map[string]frames, int, error) {
	cuts := map[string]frames{}
	declared := map[string]onnx.Shape{}
	for _, v := range s.Model().Graph.Inputs {
		declared[v.Name] = v.Type.Shape
	}
	for name, v := range in {
		if t, ok := v.(*onnx.Tensor); ok && declared[name].Ranked() && t.Rank() == len(declared[name])+1 && axis < t.Rank() {
			cuts[name] = frames{t, false}
		}
	}
	if len(cuts) == 0 {
		for name, v := range in {
			t, ok := v.(*onnx.Tensor)
			if !ok || axis >= t.Rank() || t.Shape()[axis] == 1 {
				continue
			}
			if d := declared[name]; !d.Ranked() || axis < len(d) && (!d[axis].Known() || d[axis].Value == 1) {
				cuts[name] = frames{t, true}
			}
		}
	}
	n, first := 0, ""
	for _, name := range sorted(cuts) {
		size := cuts[name].Shape()[axis]
		if first != "" && size != n {
			return nil, 0, onnx.Errorf(onnx.ErrShape, "%d frames in input %q, %d in %q", n, first, size, name)
		}
		n, first = size, name
	}
	if len(cuts) == 0 {
		return cuts, 1, nil
	}
	if n == 0 {
		return nil, 0, onnx.Errorf(onnx.ErrShape, "no frames in input %q: shape %v", first, cuts[first].Shape())
	}
	return cuts, n, nil
}

// frame gives frame i.
func (f frames) frame(axis, i int) *onnx.Tensor {
	shape := slices.Clone(f.Shape())
	rows := shape[axis]
	if shape[axis] = 1; !f.keep {
		shape = slices.Delete(shape, axis, axis+1)
	}
	t, err := onnx.NewZeros(f.DataType(), shape)
	if err != nil {
		panic(err) // a part of a tensor is one
	}
	outer, inner := around(f.Shape(), axis)
	copyRows(t.Strings(), 1, 0, f.Strings(), rows, i, outer, inner)
	copyRows(t.Bytes(), 1, 0, f.Bytes(), rows, i, outer, inner*f.DataType().Size())
	return t
}

// stack puts frame i of n of an output into the array of all.
func stack(out onnx.Values, name string, v onnx.Value, axis, i, n int) error {
	t, ok := v.(*onnx.Tensor)
	if !ok {
		return onnx.Errorf(onnx.ErrType, "output %q: values of type %s cannot be stacked; --output chooses others", name, v.Type().Name())
	}
	axis = min(axis, t.Rank())
	shape := slices.Insert(slices.Clone(t.Shape()), axis, n)
	all, ok := out[name].(*onnx.Tensor)
	if !ok {
		if err := affordable(shape, t.DataType()); err != nil {
			return err
		}
		var err error
		if all, err = onnx.NewZeros(t.DataType(), shape); err != nil {
			return err
		}
		out[name] = all
	}
	if !slices.Equal(all.Shape(), shape) {
		return onnx.Errorf(onnx.ErrShape, "output %q: frame %d has shape %v, those before another: they cannot be stacked; --output chooses others", name, i, t.Shape())
	}
	outer, inner := around(shape, axis)
	copyRows(all.Strings(), n, i, t.Strings(), 1, 0, outer, inner)
	copyRows(all.Bytes(), n, i, t.Bytes(), 1, 0, outer, inner*t.DataType().Size())
	return nil
}

// around multiplies the sizes before an axis, and those after it.
func around(shape []int, axis int) (outer, inner int) {
	outer, inner = 1, 1
	for a, size := range shape {
		switch {
		case a < axis:
			outer *= size
		case a > axis:
			inner *= size
		}
	}
	return outer, inner
}

// copyRows copies row "from" of src, of srcRows, to row "to" of dst, for every
// index before the axis of the rows.
func copyRows[T any](dst []T, dstRows, to int, src []T, srcRows, from, outer, inner int) {
	if len(dst) == 0 || len(src) == 0 {
		return
	}
	for o := range outer {
		copy(dst[(o*dstRows+to)*inner:][:inner], src[(o*srcRows+from)*inner:])
	}
}
