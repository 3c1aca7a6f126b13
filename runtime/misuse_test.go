package runtime_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
	rt "github.com/recur-ml/recur/runtime"
)

// negation is the model y = -x, for any number of elements.
func negation() *onnx.Model {
	return modelOf(&onnx.Graph{Name: "g",
		Inputs:  []onnx.ValueInfo{value("x", onnx.Float, "n")},
		Outputs: []onnx.ValueInfo{value("y", onnx.Float, "n")},
		Nodes:   []*onnx.Node{op("Neg", "x", "y")}})
}

// wantError demands an error of a kind that tells something, and is not laid
// to the engine.
func wantError(t *testing.T, name string, err, kind error, text string) {
	t.Helper()
	if !errors.Is(err, kind) || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: got %v, want %v with %q", name, err, kind, text)
	}
	if kind != rt.ErrInternal && errors.Is(err, rt.ErrInternal) {
		t.Errorf("%s: a fault of the engine: %v", name, err)
	}
}

func TestMisusedLoad(t *testing.T) {
	_, err := rt.LoadModel(nil)
	wantError(t, "no model", err, onnx.ErrMalformed, "no model")
	_, err = rt.LoadFS(nil, "m.onnx")
	wantError(t, "no file system", err, onnx.ErrMalformed, "no file system")
	_, err = rt.LoadModel(negation(), rt.WithPasses("nothing"))
	wantError(t, "an unknown pass", err, onnx.ErrUnsupported, `no rewrite pass "nothing"`)
	if _, err = rt.LoadModel(negation(), nil, rt.WithRegistry(nil), rt.WithThreads(-1)); err != nil {
		t.Errorf("options that say nothing: %v", err)
	}
	m := negation()
	m.Graph.Outputs[0] = value("y", onnx.Int64, "n")
	_, err = rt.LoadModel(m)
	wantError(t, "an output that is declared wrong", err, onnx.ErrType, `graph output "y" is a tensor(float), declared as a tensor(int64)`)
	var none rt.Session
	_, err = none.Run(t.Context(), nil)
	wantError(t, "a session that was not loaded", err, rt.ErrClosed, "")
	_, err = none.Stream()
	wantError(t, "a stream of one that was not loaded", err, rt.ErrClosed, "")
	_, err = none.StatePairs()
	wantError(t, "states of one that was not loaded", err, rt.ErrClosed, "")
	_, err = none.EstimateMemory(nil)
	wantError(t, "an estimate of one that was not loaded", err, rt.ErrClosed, "")
}

// TestMisusedValues gives inputs that have holes.
func TestMisusedValues(t *testing.T) {
	s := load(t, negation())
	x := onnx.MustTensor([]int{2}, []float32{1, 2})
	inItself := onnx.NewSequence(x)
	inItself.Items[0] = inItself
	for name, v := range map[string]onnx.Value{
		"a nil tensor":        (*onnx.Tensor)(nil),
		"a nil sequence":      (*onnx.Sequence)(nil),
		"a nil element":       &onnx.Sequence{Items: []onnx.Value{nil}},
		"a nil tensor within": &onnx.Sequence{Items: []onnx.Value{(*onnx.Tensor)(nil)}},
		"a nil optional":      &onnx.Optional{Value: (*onnx.Tensor)(nil)},
		"a nil map":           (*onnx.Map)(nil),
		"an empty map":        &onnx.Map{},
		"a nil sparse tensor": (*onnx.SparseTensor)(nil),
		"an optional":         &onnx.Optional{Elem: x.Type(), Value: x},
	} {
		_, err := s.Run(t.Context(), onnx.Values{"x": v})
		wantError(t, name, err, onnx.ErrType, `input "x"`)
	}
	_, err := s.Run(t.Context(), onnx.Values{"x": &onnx.SparseTensor{}})
	wantError(t, "an empty sparse tensor", err, onnx.ErrMalformed, `input "x"`)
	_, err = s.Run(t.Context(), onnx.Values{"x": inItself})
	wantError(t, "a sequence that holds itself", err, onnx.ErrLimit, "nesting")
}

// TestMisusedStreams gives RunStreams no stream, and WithStep no context.
func TestMisusedStreams(t *testing.T) {
	s := load(t, negation())
	_, err := s.RunStreams(t.Context(), []*rt.Stream{nil}, []onnx.Values{nil})
	if err == nil || errors.Is(err, rt.ErrInternal) || !strings.Contains(err.Error(), "stream 0") {
		t.Errorf("no stream: %v", err)
	}
	var no context.Context // Run takes that too
	_, err = s.Run(rt.WithStep(no, 3), nil)
	wantError(t, "a step of no context", err, onnx.ErrShape, "is missing")
}

func TestCancelledBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := modelOf(&onnx.Graph{Name: "g", Inputs: []onnx.ValueInfo{value("x", onnx.Float, 1)}, Outputs: []onnx.ValueInfo{value("x", onnx.Float, 1)}})
	_, err := load(t, m).Run(ctx, onnx.Values{"x": onnx.MustTensor([]int{1}, []float32{1})})
	wantError(t, "a graph without nodes", err, context.Canceled, "")
}

// TestSharedOutputs gives RunInto tensors that it would read and write at once.
func TestSharedOutputs(t *testing.T) {
	m := negation()
	m.Graph.Outputs = append(m.Graph.Outputs, value("z", onnx.Float, "n"), value("y", onnx.Float, "n"))
	m.Graph.Nodes = append(m.Graph.Nodes, op("Exp", "y", "z"))
	s := load(t, m)
	memory := []float32{1, 2, 3, 4}
	at := func(i int) *onnx.Tensor { return onnx.MustTensor([]int{2}, memory[i:i+2]) }
	x := onnx.MustTensor([]int{2}, []float32{1, 2})
	same := at(0)
	for name, c := range map[string]struct{ in, out onnx.Values }{
		"one tensor for two outputs": {onnx.Values{"x": x}, onnx.Values{"y": same, "z": same}},
		"two that overlap":           {onnx.Values{"x": x}, onnx.Values{"y": at(0), "z": at(1)}},
		"the input":                  {onnx.Values{"x": x}, onnx.Values{"y": x}},
		"one that overlaps an input": {onnx.Values{"x": at(1)}, onnx.Values{"z": at(2)}},
	} {
		wantError(t, name, s.RunInto(t.Context(), c.in, c.out), onnx.ErrShape, "shares memory")
	}
	if err := s.RunInto(t.Context(), onnx.Values{"x": x}, onnx.Values{"y": at(0), "z": at(2)}); err != nil || memory[0] != -1 || memory[1] != -2 {
		t.Errorf("neighbours: %v, %v", memory, err)
	}
}

// TestOutputWithinAnInput gives RunInto a tensor that stands in a sequence, or
// is part of a map or an optional, among the inputs: it would be written to.
func TestOutputWithinAnInput(t *testing.T) {
	item := f32([]int{2}, 1, 2)
	seq := onnx.SequenceType(onnx.TensorType(onnx.Float, nil))
	g := &onnx.Graph{Name: "g", Inputs: []onnx.ValueInfo{{Name: "s", Type: seq}}, Outputs: []onnx.ValueInfo{value("y", onnx.Float, "n")},
		Nodes: []*onnx.Node{op("ConcatFromSequence", "s", "y", &onnx.Attribute{Name: "axis", Type: onnx.AttrInt})}}
	s := load(t, modelOf(g))
	both := f32([]int{4}, 1, 2, 3, 4)
	half, err := onnx.NewTensor([]int{2}, onnx.Elements[float32](both)[2:])
	if err != nil {
		t.Fatal(err)
	}
	err = s.RunInto(t.Context(), onnx.Values{"s": onnx.NewSequence(half, item)}, onnx.Values{"y": both})
	wantError(t, "an element of a sequence", err, onnx.ErrShape, `shares memory with input "s"`)
	g = &onnx.Graph{Name: "g", Inputs: []onnx.ValueInfo{{Name: "o", Type: onnx.OptionalType(onnx.TensorType(onnx.Float, nil))}},
		Outputs: []onnx.ValueInfo{value("y", onnx.Float, "n")}, Nodes: []*onnx.Node{op("OptionalGetElement", "o", "y")}}
	s = load(t, modelOf(g))
	err = s.RunInto(t.Context(), onnx.Values{"o": &onnx.Optional{Elem: item.Type(), Value: item}}, onnx.Values{"y": item})
	wantError(t, "what an optional holds", err, onnx.ErrShape, `shares memory with input "o"`)
}

// TestMisbehavedKernels registers operators that break the contract: the error
// names the node, and the session lives on.
func TestMisbehavedKernels(t *testing.T) {
	type run = func(c *ops.Ctx, in, out []onnx.Value) error
	make1 := func(i int, d onnx.DataType, n int) run {
		return func(c *ops.Ctx, in, out []onnx.Value) error { _, err := c.New(i, d, []int{n}); return err }
	}
	give := func(v onnx.Value) run {
		return func(c *ops.Ctx, in, out []onnx.Value) error { out[0] = v; return nil }
	}
	mine := errors.New("mine")
	for _, c := range []struct {
		name     string
		run      run
		inferred bool
		want     error
	}{
		{"nothing", func(*ops.Ctx, []onnx.Value, []onnx.Value) error { return nil }, true, onnx.ErrUnsupported},
		{"a wrong shape", make1(0, onnx.Float, 3), true, rt.ErrInternal},
		{"a wrong type", make1(0, onnx.Double, 2), true, rt.ErrInternal},
		{"a wrong type, not inferred", make1(0, onnx.Double, 2), false, onnx.ErrType},
		{"a sequence, not inferred", give(onnx.NewSequence()), false, onnx.ErrType},
		{"a nil tensor", give((*onnx.Tensor)(nil)), true, rt.ErrInternal},
		{"a nil tensor, not inferred", give((*onnx.Tensor)(nil)), false, rt.ErrInternal},
		{"a nil sequence", give((*onnx.Sequence)(nil)), false, rt.ErrInternal},
		{"an output that is not there", make1(5, onnx.Float, 2), true, rt.ErrInternal},
		{"a negative size", make1(0, onnx.Float, -2), true, onnx.ErrShape},
		{"no element type", make1(0, onnx.Undefined, 2), true, onnx.ErrType},
		{"a panic beside", func(c *ops.Ctx, _, _ []onnx.Value) error {
			c.Parallel(100, 1, func(lo, hi int) { panic("boom") })
			return nil
		}, true, rt.ErrInternal},
		{"an error", func(*ops.Ctx, []onnx.Value, []onnx.Value) error { return mine }, true, mine},
	} {
		s := withCustom(t, c.run, c.inferred)
		for range 2 {
			_, err := s.Run(t.Context(), onnx.Values{"x": onnx.MustTensor([]int{2}, []float32{1, 2})})
			wantError(t, c.name, err, c.want, "")
			if err != nil && c.want != onnx.ErrType && !strings.Contains(err.Error(), `node "mine" (test:Custom-1)`) {
				t.Errorf("%s: the error does not name the node: %v", c.name, err)
			}
		}
	}
}

// withCustom loads y = custom(x), where custom runs a function.
func withCustom(t *testing.T, run func(c *ops.Ctx, in, out []onnx.Value) error, inferred bool, opts ...rt.Option) *rt.Session {
	t.Helper()
	r := ops.Default().Clone()
	if err := r.Register(ops.Op{Domain: "test", Name: "Custom", Since: []int{1},
		Infer: func(n *ops.Node) error {
			if inferred {
				n.Set(0, n.In(0).Type)
			}
			return nil
		},
		Build: func(*ops.Node) (ops.Kernel, error) { return ops.KernelFunc(run), nil }}); err != nil {
		t.Fatal(err)
	}
	m := negation()
	m.Graph.Inputs[0] = value("x", onnx.Float, 2)
	m.Graph.Nodes[0] = &onnx.Node{Name: "mine", Domain: "test", OpType: "Custom", Inputs: []string{"x"}, Outputs: []string{"y"}}
	m.OpsetImports = append(m.OpsetImports, onnx.OpsetImport{Domain: "test", Version: 1})
	return load(t, m, append(opts, rt.WithRegistry(r))...)
}

// TestUnalignedOutput gives RunInto a tensor that was decoded where its elements
// are not aligned: a kernel that asks for them in two ways writes to one place.
func TestUnalignedOutput(t *testing.T) {
	s := withCustom(t, func(c *ops.Ctx, in, out []onnx.Value) error {
		y, err := c.New(0, onnx.Float, []int{2})
		if err == nil {
			elements := onnx.Elements[float32](y)
			clear(y.Bytes())
			elements[1] = 5
		}
		return err
	}, true)
	encoded, err := onnx.EncodeTensor(f32([]int{2}, 1, 2), "y")
	if err != nil {
		t.Fatal(err)
	}
	for at := range 4 { // three of them are not aligned
		y, err := onnx.DecodeTensor(append(make([]byte, at, 64), encoded...)[at:])
		if err != nil {
			t.Fatal(err)
		}
		err = s.RunInto(t.Context(), onnx.Values{"x": f32([]int{2}, 1, 2)}, onnx.Values{"y": y})
		if have := onnx.Elements[float32](y); err != nil || have[0] != 0 || have[1] != 5 {
			t.Errorf("%v, %v, want [0 5]", have, err)
		}
	}
}

// TestRunWhileClosing: a call that comes while Close waits for another one fails
// at once; it does not wait with it.
func TestRunWhileClosing(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	s := withCustom(t, func(c *ops.Ctx, in, out []onnx.Value) error {
		close(begun)
		<-release
		out[0] = in[0]
		return nil
	}, true)
	in := onnx.Values{"x": onnx.MustTensor([]int{2}, []float32{1, 2})}
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := s.Run(context.Background(), in); err != nil {
			t.Error(err)
		}
	})
	<-begun
	closed := make(chan struct{})
	wg.Go(func() {
		s.Close()
		close(closed)
	})
	late := make(chan error, 1)
	go func() {
		for {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if _, err := s.Run(ctx, in); !errors.Is(err, context.Canceled) { // Close has begun
				late <- err
				return
			}
		}
	}()
	select {
	case err := <-late:
		wantError(t, "a late call", err, rt.ErrClosed, "")
	case <-time.After(5 * time.Second):
		t.Error("a late call waits")
	}
	select {
	case <-closed:
		t.Error("Close did not wait")
	default:
	}
	close(release)
	wg.Wait()
}

// TestForgottenMemory has a kernel that keeps memory: it must not add up over
// runs until the budget is gone.
func TestForgottenMemory(t *testing.T) {
	s := withCustom(t, func(c *ops.Ctx, in, out []onnx.Value) error {
		out[0] = in[0]
		return c.Temp(&onnx.Tensor{}, onnx.Float, []int{1000})
	}, true, rt.WithLimits(onnx.Limits{RunBytes: 20_000}))
	for i := range 10 {
		if _, err := s.Run(t.Context(), onnx.Values{"x": onnx.MustTensor([]int{2}, []float32{1, 2})}); err != nil {
			t.Fatalf("run %d: %v", i, err)
		}
	}
}

// TestNoKernel has a Build that gives none.
func TestNoKernel(t *testing.T) {
	r := ops.NewRegistry()
	if err := r.Register(ops.Op{Name: "Neg", Since: []int{13},
		Infer: func(*ops.Node) error { return nil },
		Build: func(*ops.Node) (ops.Kernel, error) { return nil, nil }}); err != nil {
		t.Fatal(err)
	}
	_, err := rt.LoadModel(negation(), rt.WithRegistry(r))
	wantError(t, "no kernel", err, onnx.ErrUnsupported, "no kernel")
}

// TestDefaults gives and leaves out an input that has a default.
func TestDefaults(t *testing.T) {
	m := negation()
	m.Graph.Inputs = append(m.Graph.Inputs, value("d", onnx.Float, 1))
	m.Graph.Outputs = append(m.Graph.Outputs, value("d", onnx.Float, 1))
	m.Graph.Initializers = []*onnx.Initializer{{Name: "d", Tensor: onnx.MustTensor([]int{1}, []float32{100})}}
	m.Graph.Nodes[0] = op("Add", "x d", "y")
	s := load(t, m)
	if n := len(s.Inputs()); n != 1 {
		t.Errorf("%d inputs must be given, want 1", n)
	}
	x := []float32{1, 2}
	for _, d := range []float32{100, 5, 100} { // the default stays what it is
		in := onnx.Values{"x": onnx.MustTensor([]int{2}, x)}
		if d != 100 {
			in["d"] = onnx.MustTensor([]int{1}, []float32{d})
		}
		out, err := s.Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		y, def := onnx.Elements[float32](out["y"].(*onnx.Tensor)), onnx.Elements[float32](out["d"].(*onnx.Tensor))
		if y[0] != 1+d || y[1] != 2+d || def[0] != d {
			t.Errorf("got %v and %v, want x + %v", y, def, d)
		}
		def[0] = -1 // the caller's, not the model's
	}
}

// TestOutputsAreTheCallers passes an input through and overwrites it later.
func TestOutputsAreTheCallers(t *testing.T) {
	m := negation()
	m.Graph.Outputs = []onnx.ValueInfo{value("y", onnx.Float, "n"), value("x", onnx.Float, "n"), value("v", onnx.Float, "n")}
	m.Graph.Nodes = append(m.Graph.Nodes, op("Identity", "y", "v"))
	s := load(t, m)
	x := []float32{1, 2}
	out, err := s.Run(t.Context(), onnx.Values{"x": onnx.MustTensor([]int{2}, x)})
	if err != nil {
		t.Fatal(err)
	}
	x[0] = 9
	onnx.Elements[float32](out["v"].(*onnx.Tensor))[0] = 9
	for name, want := range map[string]float32{"x": 1, "y": -1} {
		if got := onnx.Elements[float32](out[name].(*onnx.Tensor))[0]; got != want {
			t.Errorf("output %q became %v, was %v", name, got, want)
		}
	}
}

// TestCancelsAndClose runs one session from many goroutines whose contexts are
// cancelled at any moment, and closes it in the midst: each call gives the right
// numbers, or the error of its context or of Close.
func TestCancelsAndClose(t *testing.T) {
	m := tagger(8, 4)
	in := taggerInputs(40, 3, 4)
	want, err := load(t, m).Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	s := load(t, m, rt.WithThreads(2))
	done := 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration((g*31+i*17)%400)*time.Microsecond)
				if i%5 == 0 {
					ctx = t.Context()
				}
				out, err := s.Run(ctx, in)
				cancel()
				switch {
				case err == nil:
					sameBits(t, "a run among cancelled ones", out, want)
					mu.Lock()
					done++
					if done == 200 {
						go s.Close()
					}
					mu.Unlock()
				case errors.Is(err, rt.ErrClosed):
					return
				case !errors.Is(err, context.DeadlineExceeded):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestUnknownOutputs gives RunInto and Run names that the model does not have,
// one of them beside an output that the model lists twice.
func TestUnknownOutputs(t *testing.T) {
	out := value("y", onnx.Float, 2)
	for name, outputs := range map[string][]onnx.ValueInfo{"once": {out}, "twice": {out, out}} {
		g := &onnx.Graph{Inputs: []onnx.ValueInfo{value("x", onnx.Float, 2)}, Outputs: outputs, Nodes: []*onnx.Node{op("Neg", "x", "y")}}
		s := load(t, modelOf(g), rt.WithThreads(1))
		in := onnx.Values{"x": f32([]int{2}, 1, 2)}
		for _, into := range []onnx.Values{{"z": nil}, {"y": nil, "z": nil}, {"y": f32([]int{2}, 0, 0), "z": f32([]int{2}, 0, 0)}} {
			wantError(t, name, s.RunInto(t.Context(), in, into), onnx.ErrShape, `output "z": no such output; the model has "y"`)
		}
		_, err := s.Run(t.Context(), in, "z")
		wantError(t, name, err, onnx.ErrShape, `output "z": no such output; the model has "y"`)
		y := f32([]int{2}, 0, 0)
		if err := s.RunInto(t.Context(), in, onnx.Values{"y": y}); err != nil || onnx.Elements[float32](y)[1] != -2 {
			t.Errorf("%s: after that %v, y is %v", name, err, onnx.Elements[float32](y))
		}
	}
}
