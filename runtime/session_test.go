package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
	rt "github.com/recur-ml/recur/runtime"
)

// graphOf makes a model of opset 17 from a graph.
func modelOf(g *onnx.Graph) *onnx.Model {
	return &onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 17}}, Graph: g}
}

// value declares a tensor; a dimension is a size, or a name.
func value(name string, d onnx.DataType, dims ...any) onnx.ValueInfo {
	shape := onnx.Shape{}
	for _, v := range dims {
		switch v := v.(type) {
		case int:
			shape = append(shape, onnx.Fixed(v))
		case string:
			shape = append(shape, onnx.Dim{Value: -1, Name: v})
		}
	}
	return onnx.ValueInfo{Name: name, Type: onnx.TensorType(d, shape)}
}

func op(name string, in, out string, attrs ...*onnx.Attribute) *onnx.Node {
	split := func(s string) []string {
		if s == "" {
			return nil
		}
		list := strings.Split(s, " ")
		for i := range list {
			if list[i] == "_" {
				list[i] = ""
			}
		}
		return list
	}
	return &onnx.Node{OpType: name, Inputs: split(in), Outputs: split(out), Attributes: attrs}
}

func intAttr(name string, v int64) *onnx.Attribute {
	return &onnx.Attribute{Name: name, Type: onnx.AttrInt, Int: v}
}

func graphAttr(name string, g *onnx.Graph) *onnx.Attribute {
	return &onnx.Attribute{Name: name, Type: onnx.AttrGraph, Graph: g}
}

func load(t testing.TB, m *onnx.Model, opts ...rt.Option) *rt.Session {
	t.Helper()
	s, err := rt.LoadModel(m, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func floats(n int, f func(i int) float32) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = f(i)
	}
	return out
}

// tagger is an LSTM over a batch of ragged sequences with a dense layer on
// each step: every kind of memory of a run has a part in it.
func tagger(hidden, features int) *onnx.Model {
	wave := func(shape []int, k float64) *onnx.Tensor {
		n, _ := onnx.NumElements(shape)
		return onnx.MustTensor(shape, floats(n, func(i int) float32 { return float32(math.Sin(k*float64(i)+1) / 3) }))
	}
	return modelOf(&onnx.Graph{
		Inputs:  []onnx.ValueInfo{value("x", onnx.Float, "time", "batch", features), value("lengths", onnx.Int32, "batch")},
		Outputs: []onnx.ValueInfo{value("tags", onnx.Float, "time", "batch", 3), value("state", onnx.Float, 2, "batch", hidden)},
		Initializers: []*onnx.Initializer{
			{Name: "W", Tensor: wave([]int{2, 4 * hidden, features}, 0.7)},
			{Name: "R", Tensor: wave([]int{2, 4 * hidden, hidden}, 1.3)},
			{Name: "B", Tensor: wave([]int{2, 8 * hidden}, 0.9)},
			{Name: "D", Tensor: wave([]int{2 * hidden, 3}, 0.4)},
			{Name: "shape", Tensor: onnx.MustTensor([]int{3}, []int64{0, 0, -1})},
		},
		Nodes: []*onnx.Node{
			op("LSTM", "x W R B lengths", "y state", intAttr("hidden_size", int64(hidden)),
				&onnx.Attribute{Name: "direction", Type: onnx.AttrString, String: "bidirectional"}),
			op("Transpose", "y", "yt", &onnx.Attribute{Name: "perm", Type: onnx.AttrInts, Ints: []int64{0, 2, 1, 3}}),
			op("Reshape", "yt shape", "flat"),
			op("MatMul", "flat D", "logits"),
			op("Softmax", "logits", "tags"),
		},
	})
}

func taggerInputs(time, batch, features int) onnx.Values {
	lengths := make([]int32, batch)
	for i := range lengths {
		lengths[i] = int32((i*7 + 1) % (time + 1))
	}
	return onnx.Values{
		"x":       onnx.MustTensor([]int{time, batch, features}, floats(time*batch*features, func(i int) float32 { return float32(math.Cos(float64(i) * 0.37)) })),
		"lengths": onnx.MustTensor([]int{batch}, lengths),
	}
}

func sameBits(t *testing.T, what string, got, want onnx.Values) {
	t.Helper()
	for name, w := range want {
		g, ok := got[name].(*onnx.Tensor)
		if !ok || fmt.Sprint(g.Shape()) != fmt.Sprint(w.(*onnx.Tensor).Shape()) || string(g.Bytes()) != string(w.(*onnx.Tensor).Bytes()) {
			t.Errorf("%s: output %q differs", what, name)
		}
	}
}

// TestManyGoroutines runs inputs of several sizes on one session at a time
// from 8 goroutines; each result is that of a single caller, and no result
// changes later.
func TestManyGoroutines(t *testing.T) {
	m := tagger(10, 4)
	s := load(t, m, rt.WithThreads(2))
	single := load(t, m, rt.WithThreads(1))
	var inputs, want []onnx.Values
	for i := range 5 {
		in := taggerInputs(1+3*i, 1+2*i, 4)
		out, err := single.Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		inputs, want = append(inputs, in), append(want, out)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			var kept []onnx.Values
			for i := range 20 {
				k := (g + i) % len(inputs)
				out, err := s.Run(t.Context(), inputs[k])
				if err != nil {
					t.Error(err)
					return
				}
				kept = append(kept, out)
			}
			for i, out := range kept {
				sameBits(t, "a run beside others", out, want[(g+i)%len(want)])
			}
		})
	}
	wg.Wait()
}

func TestRunIntoIsRun(t *testing.T) {
	s := load(t, tagger(6, 3))
	in := taggerInputs(5, 4, 3)
	want, err := s.Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	into := onnx.Values{}
	for name, v := range want {
		into[name], _ = onnx.NewZeros(onnx.Float, v.(*onnx.Tensor).Shape())
	}
	for range 3 {
		if err := s.RunInto(t.Context(), in, into); err != nil {
			t.Fatal(err)
		}
		sameBits(t, "RunInto", into, want)
	}
	into["state"], _ = onnx.NewZeros(onnx.Float, []int{2, 4, 5})
	if err := s.RunInto(t.Context(), in, into); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("a tensor of the wrong shape: %v", err)
	}
	delete(into, "state")
	if err := s.RunInto(t.Context(), in, into); err != nil {
		t.Errorf("an output that is not asked for: %v", err)
	}
	into["nothing"] = nil
	if err := s.RunInto(t.Context(), in, into); err == nil {
		t.Error("an output that the model does not have was accepted")
	}
}

// TestAllocations counts what a steady state allocates.
func TestAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates and empties pools at random")
	}
	s := load(t, tagger(16, 8), rt.WithThreads(1))
	in := taggerInputs(10, 2, 8)
	out, err := s.Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if n := testing.AllocsPerRun(50, func() {
		if _, err := s.Run(ctx, in); err != nil {
			t.Fatal(err)
		}
	}); n > 2+3*2 {
		t.Errorf("Run: %v allocations, want at most 2 and 3 an output", n)
	}
	if n := testing.AllocsPerRun(50, func() {
		if err := s.RunInto(ctx, in, out); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("RunInto: %v allocations, want none", n)
	}
}

func TestInputErrors(t *testing.T) {
	s := load(t, tagger(6, 3))
	x := func(dims ...int) *onnx.Tensor { v, _ := onnx.NewZeros(onnx.Float, dims); return v }
	lengths := func(n int) *onnx.Tensor { v, _ := onnx.NewZeros(onnx.Int32, []int{n}); return v }
	for _, c := range []struct {
		name string
		in   onnx.Values
		kind error
		text string
	}{
		{"nothing", nil, onnx.ErrShape, `input "x" is missing`},
		{"a wrong name", onnx.Values{"x": x(5, 2, 3), "lengths": lengths(2), "y": x(1)}, onnx.ErrShape, `input "y": no such input; the model has "x", "lengths"`},
		{"a wrong type", onnx.Values{"x": lengths(2), "lengths": lengths(2)}, onnx.ErrType, "tensor(int32)"},
		{"a wrong rank", onnx.Values{"x": x(5, 2), "lengths": lengths(2)}, onnx.ErrShape, "[time batch 3]"},
		{"a wrong size", onnx.Values{"x": x(5, 2, 4), "lengths": lengths(2)}, onnx.ErrShape, "[5 2 4]"},
		{"two batches", onnx.Values{"x": x(5, 2, 3), "lengths": lengths(3)}, onnx.ErrShape, "batch = 2"},
		{"a sequence", onnx.Values{"x": onnx.NewSequence(x(1)), "lengths": lengths(2)}, onnx.ErrType, "seq(tensor(float))"},
		{"a length out of range", onnx.Values{"x": x(5, 2, 3), "lengths": onnx.MustTensor([]int{2}, []int32{1, 6})}, onnx.ErrShape, "sequence_lens[1] = 6, want 0..5"},
	} {
		_, err := s.Run(t.Context(), c.in)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %v with %q", c.name, err, c.kind, c.text)
		}
	}
	if _, err := s.Run(t.Context(), taggerInputs(5, 2, 3), "nothing"); err == nil || !strings.Contains(err.Error(), `"tags", "state"`) {
		t.Errorf("an output that is not there: %v", err)
	}
	out, err := s.Run(t.Context(), taggerInputs(5, 2, 3), "state")
	if err != nil || len(out) != 1 || out["state"] == nil {
		t.Errorf("one output: %v, %v", out, err)
	}
}

// endless is a loop without an end.
func endless() *onnx.Model {
	body := &onnx.Graph{
		Inputs:  []onnx.ValueInfo{value("i", onnx.Int64), value("c", onnx.Bool), value("v", onnx.Float, 2)},
		Outputs: []onnx.ValueInfo{value("c2", onnx.Bool), value("v2", onnx.Float, 2)},
		Nodes:   []*onnx.Node{op("Identity", "c", "c2"), op("Add", "v v", "v2")},
	}
	return modelOf(&onnx.Graph{
		Inputs:       []onnx.ValueInfo{value("x", onnx.Float, 2)},
		Outputs:      []onnx.ValueInfo{value("y", onnx.Float, 2)},
		Initializers: []*onnx.Initializer{{Name: "true", Tensor: onnx.Scalar(true)}},
		Nodes:        []*onnx.Node{op("Loop", "_ true x", "y", graphAttr("body", body))},
	})
}

func TestCancel(t *testing.T) {
	in := onnx.Values{"x": onnx.MustTensor([]int{2}, []float32{1, 2})}
	s := load(t, endless())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Run(ctx, in); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an endless loop under a deadline: %v", err)
	}
	s = load(t, endless(), rt.WithLimits(onnx.Limits{LoopIterations: 1000}))
	if _, err := s.Run(t.Context(), in); !errors.Is(err, onnx.ErrLimit) {
		t.Errorf("an endless loop under a limit: %v", err)
	}
	long := load(t, tagger(64, 8))
	ctx, cancel = context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	big := taggerInputs(20000, 8, 8)
	for i := range onnx.Elements[int32](big["lengths"].(*onnx.Tensor)) {
		onnx.Elements[int32](big["lengths"].(*onnx.Tensor))[i] = 20000
	}
	start := time.Now()
	if _, err := long.Run(ctx, big); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a long recurrence under a deadline: %v", err)
	}
	if d := time.Since(start); d > patience*2*time.Second {
		t.Errorf("the recurrence went on for %v after its deadline", d)
	}
}

// TestBudget tries budgets from nothing up: each run either fits or says that
// it does not, and the session works afterwards.
func TestBudget(t *testing.T) {
	m := tagger(8, 4)
	in := taggerInputs(6, 3, 4)
	want, err := load(t, m).Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	fitted, refused := false, false
	for budget := int64(1); budget < 1<<20; budget = budget*3/2 + 1 {
		s := load(t, m, rt.WithLimits(onnx.Limits{RunBytes: budget}))
		for range 2 {
			out, err := s.Run(t.Context(), in)
			switch {
			case err == nil:
				fitted = true
				sameBits(t, fmt.Sprintf("a budget of %d", budget), out, want)
			case errors.Is(err, onnx.ErrLimit):
				refused = true
				if fitted {
					t.Errorf("a budget of %d does not do, a smaller one did", budget)
				}
			default:
				t.Errorf("a budget of %d: %v", budget, err)
			}
		}
	}
	if !fitted || !refused {
		t.Errorf("fitted %v, refused %v: want both", fitted, refused)
	}
}

// TestPanicIsContained registers an operator that panics.
func TestPanicIsContained(t *testing.T) {
	r := ops.Default().Clone()
	for _, name := range []string{"Run", "Build", "Infer"} {
		boom := func(at string) {
			if at == name {
				panic("boom")
			}
		}
		if err := r.Register(ops.Op{Domain: "test", Name: name, Since: []int{1},
			Infer: func(n *ops.Node) error { boom("Infer"); n.Set(0, n.In(0).Type); return nil },
			Build: func(n *ops.Node) (ops.Kernel, error) {
				boom("Build")
				return ops.KernelFunc(func(c *ops.Ctx, in, out []onnx.Value) error { boom("Run"); out[0] = in[0]; return nil }), nil
			}}); err != nil {
			t.Fatal(err)
		}
		m := modelOf(&onnx.Graph{Inputs: []onnx.ValueInfo{value("x", onnx.Float, 1)}, Outputs: []onnx.ValueInfo{value("y", onnx.Float, 1)},
			Nodes: []*onnx.Node{{Name: "bad", Domain: "test", OpType: name, Inputs: []string{"x"}, Outputs: []string{"y"}}}})
		m.OpsetImports = append(m.OpsetImports, onnx.OpsetImport{Domain: "test", Version: 1})
		s, err := rt.LoadModel(m, rt.WithRegistry(r))
		if name == "Run" && err == nil {
			_, err = s.Run(t.Context(), onnx.Values{"x": onnx.MustTensor([]int{1}, []float32{1})})
			if err != nil && !strings.Contains(err.Error(), `"bad"`) {
				t.Errorf("the error does not name the node: %v", err)
			}
		}
		if !errors.Is(err, rt.ErrInternal) {
			t.Errorf("a panic in %s: %v, want ErrInternal", name, err)
		}
	}
}

func TestClose(t *testing.T) {
	s := load(t, tagger(4, 2))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				if _, err := s.Run(t.Context(), taggerInputs(4, 2, 2)); err != nil {
					if !errors.Is(err, rt.ErrClosed) {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	time.Sleep(5 * time.Millisecond)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

// TestRefusalsAreComplete wants every node that is refused in one error.
func TestRefusalsAreComplete(t *testing.T) {
	m := modelOf(&onnx.Graph{
		Inputs:  []onnx.ValueInfo{value("x", onnx.Float, 2)},
		Outputs: []onnx.ValueInfo{value("y", onnx.Float, 2)},
		Nodes: []*onnx.Node{
			{Name: "a", Domain: "com.acme", OpType: "Foo", Inputs: []string{"x"}, Outputs: []string{"f"}},
			{Name: "b", Domain: "com.acme", OpType: "Foo", Inputs: []string{"f"}, Outputs: []string{"g"}},
			{Name: "c", Domain: "com.acme", OpType: "Bar", Inputs: []string{"x"}, Outputs: []string{"h"}},
			op("Add", "g h", "y"),
		},
	})
	m.OpsetImports = append(m.OpsetImports, onnx.OpsetImport{Domain: "com.acme", Version: 1})
	_, err := rt.LoadModel(m)
	var refused *rt.RefusalError
	if !errors.As(err, &refused) || !errors.Is(err, onnx.ErrUnsupported) {
		t.Fatalf("error %v, want a RefusalError", err)
	}
	var nodes []string
	for _, r := range refused.Refusals {
		nodes = append(nodes, r.Node)
	}
	if got := strings.Join(nodes, " "); got != "a b c" && got != "a c" {
		t.Errorf("refused %q, want a, b and c", got)
	}
	if len(refused.Refusals) != 3 {
		t.Errorf("%d refusals, want 3: %v", len(refused.Refusals), err)
	}
}
