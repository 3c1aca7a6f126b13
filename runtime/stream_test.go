package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

const features, hidden = 3, 4

func weights(name string, k float64, shape ...int) *onnx.Initializer {
	n, _ := onnx.NumElements(shape)
	return &onnx.Initializer{Name: name, Tensor: onnx.MustTensor(shape, floats(n, func(i int) float32 { return float32(math.Sin(k*float64(i)+1) / 2) }))}
}

func intsOf(name string, v ...int64) *onnx.Initializer {
	return &onnx.Initializer{Name: name, Tensor: onnx.MustTensor([]int{len(v)}, v)}
}

func layer(prefix string, gates int) []*onnx.Initializer {
	k := float64(len(prefix)) + float64(gates)
	return []*onnx.Initializer{weights(prefix+"W", 0.7+k, 1, gates*hidden, features), weights(prefix+"R", 1.3+k, 1, gates*hidden, hidden), weights(prefix+"B", 0.4+k, 1, 2*gates*hidden)}
}

func lstm(x, prefix, h, c, out string) *onnx.Node {
	return op("LSTM", fmt.Sprintf("%s %sW %sR %sB _ %s %s", x, prefix, prefix, prefix, h, c), out, intAttr("hidden_size", hidden))
}

var frameInput = value("x", onnx.Float, "time", "batch", features)

// streamLSTM is an LSTM with h and c as inputs and outputs.
func streamLSTM() *onnx.Model {
	return modelOf(&onnx.Graph{
		Inputs: []onnx.ValueInfo{frameInput, value("c", onnx.Float, 1, "batch", hidden), value("h", onnx.Float, 1, "batch", hidden)},
		Outputs: []onnx.ValueInfo{value("cn", onnx.Float, 1, "batch", hidden), value("y", onnx.Float, "time", 1, "batch", hidden),
			value("hn", onnx.Float, 1, "batch", hidden)},
		Initializers: layer("l", 4),
		Nodes:        []*onnx.Node{lstm("x", "l", "h", "c", "y hn cn")},
	})
}

// streamGRU is a GRU whose state has the rows first.
func streamGRU() *onnx.Model {
	return modelOf(&onnx.Graph{
		Inputs:       []onnx.ValueInfo{frameInput, value("state", onnx.Float, "batch", hidden)},
		Outputs:      []onnx.ValueInfo{value("y", onnx.Float, "time", 1, "batch", hidden), value("next", onnx.Float, "batch", hidden)},
		Initializers: append(layer("g", 3), intsOf("zero", 0)),
		Nodes: []*onnx.Node{
			op("Unsqueeze", "state zero", "h0"),
			op("GRU", "x gW gR gB _ h0", "y hn", intAttr("hidden_size", hidden)),
			op("Squeeze", "hn zero", "next"),
		},
	})
}

// packed are two LSTM layers with all their states in one tensor, cut up and
// put together in the given orders.
func packed(in, out string) *onnx.Model {
	second := layer("m2", 4)
	second[0] = weights("m2W", 0.3, 1, 4*hidden, hidden)
	return modelOf(&onnx.Graph{
		Inputs:       []onnx.ValueInfo{frameInput, value("state", onnx.Float, 4, "batch", hidden)},
		Outputs:      []onnx.ValueInfo{value("y", onnx.Float, "time", 1, "batch", hidden), value("stateN", onnx.Float, 4, "batch", hidden)},
		Initializers: append(append(layer("m", 4), second...), intsOf("parts", 1, 1, 1, 1), intsOf("one", 1)),
		Nodes: []*onnx.Node{
			op("Split", "state parts", in, intAttr("axis", 0)),
			lstm("x", "m", "h1", "c1", "y1 h1n c1n"),
			op("Squeeze", "y1 one", "x2"),
			lstm("x2", "m2", "h2", "c2", "y h2n c2n"),
			op("Concat", out, "stateN", intAttr("axis", 0)),
		},
	})
}

// branched is an LSTM in each branch of an If, of which one starts from zeros
// whatever the state is.
func branched() *onnx.Model {
	out := func(names ...string) (list []onnx.ValueInfo) {
		for _, n := range names {
			list = append(list, onnx.ValueInfo{Name: n, Type: onnx.TensorType(onnx.Float, nil)})
		}
		return list
	}
	then := &onnx.Graph{Outputs: out("ty", "ts"), Initializers: []*onnx.Initializer{intsOf("t0", 0), intsOf("t1", 1), intsOf("t2", 2)}, Nodes: []*onnx.Node{
		op("Slice", "state t1 t2 t0", "tc"),
		op("Slice", "state t0 t1 t0", "th"),
		lstm("x", "b", "th", "tc", "ty thn tcn"),
		op("Concat", "thn tcn", "tboth", intAttr("axis", 0)),
		op("Identity", "tboth", "ts"),
	}}
	other := &onnx.Graph{Outputs: out("ey", "es"), Nodes: []*onnx.Node{
		lstm("x", "b", "_", "_", "ey ehn ecn"),
		op("Concat", "ehn ecn", "es", intAttr("axis", 0)),
	}}
	// state + 0*rate, which some exporters write.
	return modelOf(&onnx.Graph{
		Inputs:       []onnx.ValueInfo{frameInput, value("state", onnx.Float, 2, "batch", hidden), value("keep", onnx.Bool), value("rate", onnx.Int64)},
		Outputs:      []onnx.ValueInfo{value("y", onnx.Float, "time", 1, "batch", hidden), value("stateN", onnx.Float, 2, "batch", hidden)},
		Initializers: append(layer("b", 4), &onnx.Initializer{Name: "nothing", Tensor: onnx.Scalar[int64](0)}),
		Nodes: []*onnx.Node{
			op("If", "keep", "y both", graphAttr("then_branch", then), graphAttr("else_branch", other)),
			op("Mul", "rate nothing", "off"),
			op("Cast", "off", "offset", intAttr("to", int64(onnx.Float))),
			op("Add", "both offset", "stateN"),
		},
	})
}

// inFunction is streamLSTM with its layer in a function.
func inFunction() *onnx.Model {
	m := streamLSTM()
	m.OpsetImports = append(m.OpsetImports, onnx.OpsetImport{Domain: "local", Version: 1})
	call := &onnx.Node{Domain: "local", OpType: "Layer", Inputs: []string{"x", "lW", "lR", "lB", "h", "c"}, Outputs: []string{"y", "hn", "cn"}}
	m.Functions = []*onnx.Function{{Domain: "local", Name: "Layer", Inputs: []string{"x", "w", "r", "b", "h", "c"}, Outputs: []string{"y", "hn", "cn"},
		OpsetImports: []onnx.OpsetImport{{Version: 17}},
		Nodes:        []*onnx.Node{op("LSTM", "x w r b _ h c", "y hn cn", intAttr("hidden_size", hidden))}}}
	m.Graph.Nodes = []*onnx.Node{call}
	return m
}

// chained is one GRU layer in two nodes, the second of which goes on where the
// first one ends.
func chained() *onnx.Model {
	m := streamGRU()
	m.Graph.Nodes = append([]*onnx.Node{op("GRU", "x gW gR gB _ h0", "_ between", intAttr("hidden_size", hidden))}, m.Graph.Nodes...)
	m.Graph.Nodes[2].Inputs[5] = "between"
	return m
}

// cached keeps the last two frames in an input that is pushed on, and counts
// in one that is written to.
func cached() *onnx.Model {
	return modelOf(&onnx.Graph{
		Inputs: []onnx.ValueInfo{value("x", onnx.Float, 1, features), value("cache", onnx.Float, 2, features), value("sums", onnx.Float, 4), value("at", onnx.Int64, 1, 1)},
		Outputs: []onnx.ValueInfo{value("y", onnx.Float, features), value("cacheN", onnx.Float, 2, features), value("sumsN", onnx.Float, 4),
			value("seen", onnx.Float, 1)},
		Initializers: []*onnx.Initializer{intsOf("zero", 0), intsOf("one", 1), intsOf("big", math.MaxInt64)},
		Nodes: []*onnx.Node{
			op("Concat", "cache x", "all", intAttr("axis", 0)),
			op("Slice", "all one big zero", "cacheN"),
			op("ReduceSum", "all zero", "y", intAttr("keepdims", 0)),
			op("ReduceSum", "y", "total", intAttr("keepdims", 0)),
			op("Unsqueeze", "total zero", "one_total"),
			op("ScatterND", "sums at one_total", "sumsN"),
			op("ReduceSum", "sums zero", "seen"),
		},
	})
}

func TestStatePairs(t *testing.T) {
	ambiguous := streamGRU()
	ambiguous.Graph.Outputs = append(ambiguous.Graph.Outputs, value("again", onnx.Float, "batch", hidden))
	ambiguous.Graph.Nodes = append(ambiguous.Graph.Nodes, op("Identity", "next", "again"))
	turned := streamLSTM() // c of a step is h of the next: no pair
	turned.Graph.Nodes[0].Inputs[5], turned.Graph.Nodes[0].Inputs[6] = "c", "h"
	hidden := streamLSTM()
	hidden.Graph.Inputs = hidden.Graph.Inputs[:1]
	hidden.Graph.Nodes[0].Inputs = hidden.Graph.Nodes[0].Inputs[:4]
	edited := modelOf(&onnx.Graph{ // an input that is edited is no cache
		Inputs:  []onnx.ValueInfo{value("data", onnx.Float, 4), value("at", onnx.Int64, 1, 1), value("v", onnx.Float, 1)},
		Outputs: []onnx.ValueInfo{value("out", onnx.Float, 4)},
		Nodes:   []*onnx.Node{op("ScatterND", "data at v", "out")},
	})
	for _, c := range []struct {
		name  string
		model *onnx.Model
		want  string
		err   string
	}{
		{"LSTM", streamLSTM(), "cn=c hn=h", ""},
		{"GRU", streamGRU(), "next=state", ""},
		{"packed", packed("h1 h2 c1 c2", "h1n h2n c1n c2n"), "stateN=state", ""},
		{"packed in another order", packed("h1 h2 c1 c2", "h1n c1n h2n c2n"), "", ""},
		{"branches", branched(), "stateN=state", ""},
		{"function", inFunction(), "cn=c hn=h", ""},
		{"chain", chained(), "next=state", ""},
		{"caches", cached(), "cacheN=cache sumsN=sums", ""},
		{"crossed", turned, "cn=h hn=c", ""},
		{"hidden", hidden, "", ""},
		{"edited", edited, "", ""},
		{"ambiguous", ambiguous, "", "next=state, again=state"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pairs, err := load(t, c.model).StatePairs()
			if c.err != "" {
				if !errors.Is(err, rt.ErrAmbiguous) || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want ErrAmbiguous with %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range pairs {
				got = append(got, p.String())
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("pairs %q, want %q", s, c.want)
			}
		})
	}
}

// frame gives step t of one of many sequences.
func frame(sequence, t, rows int) onnx.Values {
	return onnx.Values{"x": onnx.MustTensor([]int{1, rows, features}, floats(rows*features, func(i int) float32 {
		return float32(math.Cos(float64(sequence)*1.7 + float64(t)*0.9 + float64(i)*0.31))
	}))}
}

func with(v onnx.Values, more ...any) onnx.Values {
	for i := 0; i < len(more); i += 2 {
		v[more[i].(string)] = more[i+1].(onnx.Value)
	}
	return v
}

func newStream(t testing.TB, s *rt.Session, opts ...rt.StreamOption) *rt.Stream {
	t.Helper()
	st, err := s.Stream(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func mustRun(t testing.TB, st *rt.Stream, in onnx.Values, names ...string) onnx.Values {
	t.Helper()
	out, err := st.Run(context.Background(), in, names...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// streamed are models whose frames are steps, and the inputs that go with each.
var streamed = []struct {
	name  string
	model func() *onnx.Model
	more  []any
}{
	{"LSTM", streamLSTM, nil},
	{"GRU", streamGRU, nil},
	{"packed", func() *onnx.Model { return packed("h1 h2 c1 c2", "h1n h2n c1n c2n") }, nil},
	{"branches", branched, []any{"keep", onnx.Scalar(true), "rate", onnx.Scalar[int64](16000)}},
	{"function", inFunction, nil},
}

// TestStreamSteps: T frames of a stream are one run over T steps, bit for bit.
func TestStreamSteps(t *testing.T) {
	const steps, rows = 7, 2
	for _, c := range streamed {
		t.Run(c.name, func(t *testing.T) {
			s := load(t, c.model())
			st := newStream(t, s)
			var x, y []float32
			for k := range steps {
				in := frame(3, k, rows)
				x = append(x, onnx.Elements[float32](in["x"].(*onnx.Tensor))...)
				out := mustRun(t, st, with(in, c.more...))
				if len(out) != 1 {
					t.Fatalf("%d outputs, want y alone", len(out))
				}
				y = append(y, onnx.Elements[float32](out["y"].(*onnx.Tensor))...)
			}
			all := with(onnx.Values{"x": onnx.MustTensor([]int{steps, rows, features}, x)}, c.more...)
			for _, p := range st.Pairs() {
				for _, in := range s.Inputs() {
					if in.Name == p.Input {
						shape := make([]int, len(in.Type.Shape))
						for i, d := range in.Type.Shape {
							shape[i] = d.Value
							if !d.Known() {
								shape[i] = rows
							}
						}
						zeros, err := onnx.NewZeros(onnx.Float, shape)
						if err != nil {
							t.Fatal(err)
						}
						all[p.Input] = zeros
					}
				}
			}
			want, err := s.Run(context.Background(), all)
			if err != nil {
				t.Fatal(err)
			}
			state := st.State()
			for _, p := range st.Pairs() {
				sameBits(t, p.Output, onnx.Values{"state": state[p.Input]}, onnx.Values{"state": want[p.Output]})
			}
			sameBits(t, "y", onnx.Values{"y": onnx.MustTensor([]int{steps, 1, rows, hidden}, y)}, onnx.Values{"y": want["y"]})
		})
	}
}

// TestStreamState: a state that is taken out and put into another stream goes
// on in the same way, and Reset begins anew.
func TestStreamState(t *testing.T) {
	s := load(t, streamLSTM())
	a, b := newStream(t, s), newStream(t, s)
	if st := a.State(); st != nil {
		t.Errorf("state %v at the beginning, want nil", st)
	}
	first := mustRun(t, a, frame(1, 0, 1))
	saved := a.State()
	if err := b.SetState(saved); err != nil {
		t.Fatal(err)
	}
	clear(onnx.Elements[float32](saved["h"].(*onnx.Tensor))) // the streams have copies
	want := mustRun(t, a, frame(1, 1, 1))
	sameBits(t, "restored", mustRun(t, b, frame(1, 1, 1)), want)
	out := mustRun(t, b, frame(1, 2, 1), "hn", "y")
	if len(out) != 2 {
		t.Fatalf("%d outputs, want hn and y", len(out))
	}
	sameBits(t, "a state that is asked for", onnx.Values{"h": b.State()["h"]}, onnx.Values{"h": out["hn"]})
	clear(onnx.Elements[float32](out["hn"].(*onnx.Tensor)))
	if h := b.State()["h"].(*onnx.Tensor); onnx.Elements[float32](h)[0] == 0 {
		t.Error("the output given away is the stream's own state")
	}
	b.Reset()
	sameBits(t, "reset", mustRun(t, b, frame(1, 0, 1)), first)
	if err := b.SetState(nil); err != nil {
		t.Fatal(err)
	}
	if b.State() != nil {
		t.Error("SetState(nil) left a state")
	}
	mustRun(t, b, frame(1, 0, 3)) // another number of rows, at the beginning
	if _, err := b.Run(context.Background(), frame(1, 0, 2)); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("another number of rows later: %v, want ErrShape", err)
	}
}

// TestStreamFailure: a run that fails or is cancelled does not advance.
func TestStreamFailure(t *testing.T) {
	s := load(t, streamLSTM())
	st, other := newStream(t, s), newStream(t, s)
	for _, st := range []*rt.Stream{st, other} {
		mustRun(t, st, frame(1, 0, 1))
	}
	before := st.State()
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	ctx := context.Background()
	bad := onnx.Values{"x": onnx.MustTensor([]int{1, 1, 2}, []float32{1, 2})}
	if _, err := st.Run(cancelled, frame(1, 1, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := st.Run(ctx, bad); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("bad shape: %v", err)
	}
	if _, err := s.RunStreams(cancelled, []*rt.Stream{st, other}, []onnx.Values{frame(1, 1, 1), frame(2, 1, 1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("streams, cancelled: %v", err)
	}
	if _, err := s.RunStreams(ctx, []*rt.Stream{st, other}, []onnx.Values{frame(1, 1, 1), bad}); !errors.Is(err, onnx.ErrShape) || !strings.Contains(err.Error(), "stream 1") {
		t.Errorf("streams, bad shape: %v", err)
	}
	if _, err := s.RunStreams(ctx, []*rt.Stream{st, st}, []onnx.Values{frame(1, 1, 1), frame(1, 1, 1)}); !errors.Is(err, rt.ErrBusy) {
		t.Errorf("a stream twice: %v", err)
	}
	sameBits(t, "state", st.State(), before)
	sameBits(t, "next", mustRun(t, st, frame(1, 1, 1)), mustRun(t, other, frame(1, 1, 1)))
}

func TestStreamErrors(t *testing.T) {
	s := load(t, streamLSTM())
	for _, c := range []struct {
		name string
		opts []rt.StreamOption
		want string
	}{
		{"no equals sign", []rt.StreamOption{rt.StreamPairs("hn")}, "OUTPUT=INPUT"},
		{"no such output", []rt.StreamOption{rt.StreamPairs("nope=h")}, `no output "nope"; the model has "cn", "y", "hn"`},
		{"no such input", []rt.StreamOption{rt.StreamPairs("hn=nope")}, `no input "nope"; the model has "x", "c", "h"`},
		{"shapes", []rt.StreamOption{rt.StreamPairs("y=h")}, `output "y" has shape`},
		{"twice", []rt.StreamOption{rt.StreamPairs("hn=h", "cn=h")}, "share"},
		{"batch", []rt.StreamOption{rt.StreamBatch("rows")}, `batch "rows"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := s.Stream(c.opts...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	if _, err := load(t, scaled()).Stream(); !errors.Is(err, rt.ErrStateless) {
		t.Errorf("a model without state: %v", err)
	}
	st := newStream(t, s)
	ctx := context.Background()
	h := onnx.MustTensor([]int{1, 1, hidden}, make([]float32, hidden))
	if _, err := st.Run(ctx, with(frame(1, 0, 1), "h", h)); err == nil || !strings.Contains(err.Error(), "carries") {
		t.Errorf("a state among the inputs: %v", err)
	}
	if _, err := st.Run(ctx, frame(1, 0, 1), "nope"); err == nil || !strings.Contains(err.Error(), "nope") {
		t.Errorf("unknown output: %v", err)
	}
	for _, c := range []struct {
		values onnx.Values
		want   error
	}{
		{onnx.Values{"h": h}, onnx.ErrShape},
		{onnx.Values{"h": h, "c": h, "x": h}, onnx.ErrShape},
		{onnx.Values{"h": h, "c": onnx.MustTensor([]int{1, hidden}, make([]float32, hidden))}, onnx.ErrShape},
		{onnx.Values{"h": h, "c": onnx.MustTensor([]int{1, 1, hidden}, make([]float64, hidden))}, onnx.ErrType},
	} {
		if err := st.SetState(c.values); !errors.Is(err, c.want) {
			t.Errorf("SetState(%v): %v, want %v", c.values, err, c.want)
		}
	}
	if _, err := s.RunStreams(ctx, []*rt.Stream{st}, nil); err == nil {
		t.Error("streams without inputs")
	}
	foreign := newStream(t, load(t, streamLSTM()))
	if _, err := s.RunStreams(ctx, []*rt.Stream{st, foreign}, []onnx.Values{frame(1, 0, 1), frame(1, 0, 1)}); err == nil || !strings.Contains(err.Error(), "another session") {
		t.Errorf("a stream of another session: %v", err)
	}
	mustRun(t, st, frame(1, 0, 1)) // nothing is left locked
	s.Close()
	if _, err := st.Run(ctx, frame(1, 0, 1)); !errors.Is(err, rt.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestStreamNamed: pairs by hand carry what topology does not find, here a
// state that grows.
func TestStreamNamed(t *testing.T) {
	m := modelOf(&onnx.Graph{
		Inputs:  []onnx.ValueInfo{value("x", onnx.Float, 1), value("past", onnx.Float, "seen")},
		Outputs: []onnx.ValueInfo{value("present", onnx.Float, "total"), value("sum", onnx.Float, 1)},
		Nodes:   []*onnx.Node{op("Concat", "past x", "present", intAttr("axis", 0)), op("ReduceSum", "present", "sum")},
	})
	s := load(t, m)
	if _, err := s.Stream(); !errors.Is(err, rt.ErrStateless) {
		t.Fatalf("found by itself: %v", err)
	}
	st := newStream(t, s, rt.StreamPairs("present=past"))
	if err := st.SetState(onnx.Values{"past": onnx.MustTensor([]int{0}, []float32{})}); err != nil {
		t.Fatal(err)
	}
	for k := range 5 {
		out := mustRun(t, st, onnx.Values{"x": onnx.MustTensor([]int{1}, []float32{float32(k + 1)})}, "present", "sum")
		if got, want := onnx.Elements[float32](out["sum"].(*onnx.Tensor))[0], float32((k+1)*(k+2)/2); got != want || out["present"].(*onnx.Tensor).Len() != k+1 {
			t.Errorf("step %d: sum %v, want %v; state %v", k, got, want, out["present"])
		}
	}
}

func TestStreamCaches(t *testing.T) {
	st := newStream(t, load(t, cached()))
	for k, want := range []float32{1, 3, 6, 9, 12} {
		in := onnx.Values{"x": onnx.MustTensor([]int{1, features}, []float32{float32(k + 1), 0, 0}), "at": onnx.MustTensor([]int{1, 1}, []int64{int64(k % 4)})}
		out := mustRun(t, st, in)
		if got := onnx.Elements[float32](out["y"].(*onnx.Tensor))[0]; got != want {
			t.Errorf("frame %d: %v, want %v", k, got, want)
		}
	}
}

// TestStreamDefault: a state whose input has a default begins with it.
func TestStreamDefault(t *testing.T) {
	m := streamGRU()
	m.Graph.Initializers = append(m.Graph.Initializers, weights("state", 0.3, 2, hidden))
	s := load(t, m)
	st := newStream(t, s)
	out := mustRun(t, st, frame(1, 0, 2))
	want, err := s.Run(context.Background(), frame(1, 0, 2), "y")
	if err != nil {
		t.Fatal(err)
	}
	sameBits(t, "default", out, want)
	st.Reset()
	sameBits(t, "default again", mustRun(t, st, frame(1, 0, 2)), want)
	st.Reset()
	if _, err := st.Run(context.Background(), frame(1, 0, 3)); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("a default that does not fit: %v", err)
	}
}

// TestRunStreams: streams that arrive in any order and number, put together
// into batches, give what each gives alone, bit for bit.
func TestRunStreams(t *testing.T) {
	const n, steps = 64, 6
	ctx := context.Background()
	for _, c := range append(streamed, struct {
		name  string
		model func() *onnx.Model
		more  []any
	}{"no free dimension", func() *onnx.Model {
		m := streamLSTM()
		for i := range m.Graph.Inputs {
			m.Graph.Inputs[i].Type.Shape = m.Graph.Inputs[i].Type.Shape.Clone()
			m.Graph.Inputs[i].Type.Shape[1] = onnx.UnknownDim
		}
		return m
	}, nil}) {
		t.Run(c.name, func(t *testing.T) {
			s := load(t, c.model())
			rng := rand.New(rand.NewPCG(1, 2))
			alone, together := make([]*rt.Stream, n), make([]*rt.Stream, n)
			want := make([][]onnx.Values, n)
			rows := make([]int, n)
			for i := range n {
				alone[i], together[i] = newStream(t, s), newStream(t, s)
				if rows[i] = 1; i%9 == 0 && c.name != "no free dimension" {
					rows[i] = 2
				}
				for k := range steps {
					want[i] = append(want[i], mustRun(t, alone[i], with(frame(i, k, rows[i]), c.more...)))
				}
			}
			at := make([]int, n)
			for left := n * steps; left > 0; {
				var streams []*rt.Stream
				var inputs []onnx.Values
				var who []int
				for _, i := range rng.Perm(n) {
					if at[i] < steps && rng.IntN(3) > 0 {
						streams, who = append(streams, together[i]), append(who, i)
						inputs = append(inputs, with(frame(i, at[i], rows[i]), c.more...))
					}
				}
				out, err := s.RunStreams(ctx, streams, inputs)
				if err != nil {
					t.Fatal(err)
				}
				for k, i := range who {
					sameBits(t, fmt.Sprintf("stream %d, step %d", i, at[i]), out[k], want[i][at[i]])
					if len(out[k]) != len(want[i][at[i]]) {
						t.Errorf("%d outputs, want %d", len(out[k]), len(want[i][at[i]]))
					}
					at[i]++
				}
				left -= len(who)
			}
			if got, want := rt.Batches(together[0]), c.name != "no free dimension"; got != want {
				t.Errorf("rows are put together: %v, want %v", got, want)
			}
			for i := range n {
				sameBits(t, fmt.Sprintf("state of stream %d", i), together[i].State(), alone[i].State())
			}
		})
	}
}

// TestRunStreamsApart: what differs between streams keeps them apart.
func TestRunStreamsApart(t *testing.T) {
	s := load(t, branched())
	yes, no := onnx.Scalar(true), onnx.Scalar(false)
	rate := onnx.Scalar[int64](8000)
	var streams []*rt.Stream
	var inputs, want []onnx.Values
	for i := range 6 {
		keep := yes
		if i%2 == 1 {
			keep = no
		}
		steps := 1 + i/4
		x, err := onnx.NewZeros(onnx.Float, []int{steps, 1, features})
		if err != nil {
			t.Fatal(err)
		}
		copy(onnx.Elements[float32](x), []float32{float32(i), 1, -1})
		in := onnx.Values{"x": x, "keep": keep, "rate": rate}
		a := newStream(t, s)
		mustRun(t, a, with(frame(i, 0, 1), "keep", yes, "rate", rate))
		b := newStream(t, s)
		if err := b.SetState(a.State()); err != nil {
			t.Fatal(err)
		}
		want = append(want, mustRun(t, a, in))
		streams, inputs = append(streams, b), append(inputs, in)
	}
	out, err := s.RunStreams(context.Background(), streams, inputs)
	if err != nil {
		t.Fatal(err)
	}
	for i := range out {
		sameBits(t, fmt.Sprint("stream ", i), out[i], want[i])
	}
}

// TestRunStreamsBatch: the axes of the rows by hand.
func TestRunStreamsBatch(t *testing.T) {
	m := streamLSTM()
	for _, list := range [][]onnx.ValueInfo{m.Graph.Inputs, m.Graph.Outputs} {
		for i := range list {
			list[i].Type.Shape = list[i].Type.Shape.Clone()
			for k, d := range list[i].Type.Shape {
				if d.Name == "batch" {
					list[i].Type.Shape[k] = onnx.UnknownDim
				}
			}
		}
	}
	s := load(t, m)
	batch := rt.StreamBatch("x=1", "h=1", "c=1", "y=2")
	one, two, single := newStream(t, s, batch), newStream(t, s, batch), newStream(t, s)
	want := mustRun(t, newStream(t, s, batch), frame(5, 0, 3))
	out, err := s.RunStreams(context.Background(), []*rt.Stream{one, two, single}, []onnx.Values{frame(5, 0, 3), frame(6, 0, 2), frame(7, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	sameBits(t, "three rows", out[0], want)
	if shape := two.State()["h"].(*onnx.Tensor).Shape(); shape[1] != 2 {
		t.Errorf("state of shape %v, want two rows", shape)
	}
}

// TestStreamGuard: concurrent use is an error, never a wrong state.
func TestStreamGuard(t *testing.T) {
	s := load(t, streamGRU(), rt.WithThreads(1))
	shared, want := newStream(t, s), newStream(t, s)
	var done sync.WaitGroup
	var mu sync.Mutex
	ran := 0
	for range 4 {
		done.Add(1)
		go func() {
			defer done.Done()
			for range 50 {
				_, err := shared.Run(context.Background(), frame(1, 0, 1))
				switch {
				case err == nil:
					mu.Lock()
					ran++
					mu.Unlock()
				case !errors.Is(err, rt.ErrBusy):
					t.Error(err)
				}
				shared.State()
			}
		}()
	}
	for i := range 4 { // other streams of the session go on meanwhile
		done.Add(1)
		go func() {
			defer done.Done()
			a, b := newStream(t, s), newStream(t, s)
			for k := range 20 {
				if _, err := s.RunStreams(context.Background(), []*rt.Stream{a, b}, []onnx.Values{frame(i, k, 1), frame(i+9, k, 1)}); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	done.Wait()
	for range ran {
		mustRun(t, want, frame(1, 0, 1))
	}
	sameBits(t, "state", shared.State(), want.State())
}

func TestStreamAllocations(t *testing.T) {
	s := load(t, streamLSTM(), rt.WithThreads(1))
	st := newStream(t, s)
	in := frame(1, 0, 1)
	mustRun(t, st, in)
	mustRun(t, st, in)
	least := math.Inf(1) // the race detector makes pools forget now and then
	for range 30 {
		least = min(least, testing.AllocsPerRun(1, func() { mustRun(t, st, in) }))
	}
	if least > 4 { // the output and the map of outputs
		t.Errorf("%v allocations a frame, want at most 4", least)
	}
}
