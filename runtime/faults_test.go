package runtime_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	goruntime "runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// The tests of this file let one thing fail at a time, at every place where it
// can: memory, the context, what is read. Each time the result is an error, and
// what is left works as before.

// medley has every kind of memory that a run takes: intermediate tensors, views,
// values computed in place, scratch, packed weights, bodies with captures,
// states and growing scan outputs, strings, sequences, an optional, and outputs
// of each kind.
func medley() *onnx.Model {
	weights := func(k float64, shape ...int) *onnx.Tensor {
		n, _ := onnx.NumElements(shape)
		return f32(shape, floats(n, func(i int) float32 { return float32(math.Sin(k*float64(i)+1) / 2) })...)
	}
	hidden := intAttr("hidden_size", 5)
	loop := body("i c s", "c2 s2 row", op("MatMul", "s square", "p"), op("Add", "p start", "q"), op("Tanh", "q", "s2"), op("ReduceSum", "s2 last", "row"), op("Identity", "c", "c2"))
	while := body("i2 c3 seq", "c4 seq2", op("SequenceAt", "seq zero", "head"), op("Add", "head head", "twice"), op("SequenceInsert", "seq twice", "seq2"), op("Less", "i2 two", "c4"))
	scan := body("sum e", "sum2 e2", op("Add", "sum e", "sum2"), op("Mul", "sum2 half", "e2"))
	return &onnx.Model{IRVersion: 9, OpsetImports: []onnx.OpsetImport{{Version: 20}}, Graph: &onnx.Graph{Name: "medley",
		Inputs: []onnx.ValueInfo{value("x", onnx.Float, "time", "batch", 4), value("lengths", onnx.Int32, "batch"), value("trips", onnx.Int64), value("names", onnx.String, "n")},
		Outputs: []onnx.ValueInfo{{Name: "tags"}, {Name: "state"}, {Name: "rows"}, {Name: "list"}, {Name: "greeting"}, {Name: "scanned"}, {Name: "best"},
			{Name: "gated"}, {Name: "unique"}},
		Initializers: []*onnx.Initializer{
			initOf("W", weights(0.7, 1, 20, 4)), initOf("R", weights(1.3, 1, 20, 5)), initOf("B", weights(0.9, 1, 40)),
			initOf("GW", weights(0.5, 2, 15, 4)), initOf("GR", weights(1.1, 2, 15, 5)),
			initOf("square", weights(0.3, 5, 5)), initOf("last", i64([]int{1}, -1)), initOf("true", onnx.Scalar(true)),
			initOf("zero", i64(nil, 0)), initOf("two", i64(nil, 2)), initOf("half", onnx.Scalar[float32](0.5)), initOf("hello", onnx.MustTensor([]int{1}, []string{"hello "})),
			initOf("kernel", weights(0.2, 3, 5, 2)), initOf("three", i64([]int{1}, 3)), initOf("flat", i64([]int{1}, -1)), initOf("limit", onnx.Scalar[float32](0.1)),
		},
		Nodes: []*onnx.Node{
			op("LSTM", "x W R B lengths", "Y Y_h", hidden),
			op("GRU", "x GW GR _ lengths", "_ gated", hidden, strAttr("direction", "bidirectional")),
			op("Squeeze", "Y_h zero1", "state"),
			op("Identity", "state", "start"),
			op("Loop", "trips true start", "_ rows", graphAttr("body", loop)),
			op("Transpose", "Y", "Yt", intsAttr("perm", 2, 1, 3, 0)), // batch, 1, hidden, time
			op("Squeeze", "Yt one1", "channels"),
			op("Conv", "channels kernel", "conv", intsAttr("pads", 1, 0)),
			op("Softmax", "conv", "tags", intAttr("axis", 1)),
			op("SequenceConstruct", "state start", "pair"),
			op("Loop", "trips true pair", "list", graphAttr("body", while)),
			op("StringConcat", "hello names", "greeting"),
			op("Scan", "start x5", "_ scanned", graphAttr("body", scan), intAttr("num_scan_inputs", 1)),
			op("Squeeze", "Y one1", "x5"),
			op("Reshape", "tags flat", "line"),
			op("TopK", "line three", "best places"),
			op("Greater", "line limit", "big"),
			op("Compress", "line big", "some"),
			op("Unique", "some", "unique"),
		},
	}}
}

func medleyModel() *onnx.Model {
	m := medley()
	m.Graph.Initializers = append(m.Graph.Initializers, initOf("zero1", i64([]int{1}, 0)), initOf("one1", i64([]int{1}, 1)))
	return m
}

func medleyInputs() onnx.Values {
	const time, batch = 4, 2
	return onnx.Values{
		"x":       f32([]int{time, batch, 4}, floats(time*batch*4, func(i int) float32 { return float32(math.Cos(float64(i) * 0.37)) })...),
		"lengths": onnx.MustTensor([]int{batch}, []int32{4, 2}),
		"trips":   i64(nil, 3),
		"names":   onnx.MustTensor([]int{2}, []string{"world", "again"}),
	}
}

func sameValues(t *testing.T, what string, got, want onnx.Values) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d outputs, want %d", what, len(got), len(want))
	}
	for name, v := range want {
		if !sameValue(got[name], v) {
			t.Errorf("%s: output %q differs", what, name)
		}
	}
}

// noneLeft wants no buffer in use when all runs are at rest, and no more
// goroutines than before.
func noneLeft(t *testing.T, s *rt.Session, goroutines int) {
	t.Helper()
	if n := rt.LiveBuffers(s); n > 0 {
		t.Errorf("%d buffers are in use after the runs", n)
	}
	if n := rt.UsedBytes(s); n > 0 {
		t.Errorf("%d bytes are charged after the runs", n)
	}
	for range 100 {
		if goruntime.NumGoroutine() <= goroutines {
			return
		}
		goruntime.Gosched()
		time.Sleep(time.Millisecond) // workers that have just ended
	}
	t.Errorf("%d goroutines, %d before", goruntime.NumGoroutine(), goroutines)
}

// TestFaultMemory gives the run every budget up to what it needs.
func TestFaultMemory(t *testing.T) {
	m, in := medleyModel(), medleyInputs()
	plain := load(t, m)
	want, err := plain.Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	goroutines := goruntime.NumGoroutine()
	noneLeft(t, plain, goroutines)
	step := int64(64)
	if testing.Short() {
		step = 1024
	}
	fits := 0
	for budget := int64(1); fits < 3; budget += step {
		s := load(t, m, rt.WithLimits(onnx.Limits{RunBytes: budget}), rt.WithThreads(1+int(budget/step)%2))
		for _, into := range []bool{false, true} {
			out := onnx.Values{}
			var err error
			if into {
				for name, v := range want {
					if x, ok := v.(*onnx.Tensor); ok {
						out[name], _ = onnx.NewZeros(x.DataType(), x.Shape())
					} else {
						out[name] = nil
					}
				}
				err = s.RunInto(t.Context(), in, out)
			} else {
				out, err = s.Run(t.Context(), in)
			}
			var limit *onnx.LimitError
			switch {
			case err == nil:
				sameValues(t, fmt.Sprint("a budget of ", budget), out, want)
				if !into {
					fits++
				}
			case !errors.As(err, &limit) || limit.Max != budget || limit.Got <= budget:
				t.Errorf("a budget of %d: %v", budget, err)
			}
			noneLeft(t, s, goroutines)
		}
		if budget > 1<<24 {
			t.Fatal("no budget suffices")
		}
	}
}

// lookedAt is a context that is cancelled at the k-th look at it.
type lookedAt struct {
	context.Context
	left atomic.Int64
}

func (c *lookedAt) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// TestFaultContext cancels the run at each look that it takes at its context.
func TestFaultContext(t *testing.T) {
	in := medleyInputs()
	s := load(t, medleyModel(), rt.WithThreads(2))
	want, err := s.Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	goroutines := goruntime.NumGoroutine()
	looks := int64(0)
	for k := int64(0); ; k++ {
		ctx := &lookedAt{Context: t.Context()}
		ctx.left.Store(k)
		out, err := s.Run(ctx, in)
		if err == nil {
			sameValues(t, fmt.Sprint("not cancelled within ", k, " looks"), out, want)
			looks = k
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled at look %d: %v", k, err)
		}
		if out != nil {
			t.Errorf("cancelled at look %d, and there are outputs", k)
		}
		noneLeft(t, s, goroutines)
		if out, err = s.Run(t.Context(), in); err != nil {
			t.Fatalf("after being cancelled at look %d: %v", k, err)
		}
		sameValues(t, fmt.Sprint("after being cancelled at look ", k), out, want)
		noneLeft(t, s, goroutines)
	}
	if looks < 30 {
		t.Errorf("the run looked at its context %d times", looks)
	}
}

// failing gives the first n bytes and then an error of its own.
type failing struct {
	data []byte
	n    int
	at   int64
}

var errBroken = errors.New("the wire is cut")

func (f *failing) Read(p []byte) (int, error) {
	k, err := f.ReadAt(p, f.at)
	f.at += int64(k)
	return k, err
}

func (f *failing) ReadAt(p []byte, at int64) (int, error) {
	if at >= int64(f.n) {
		return 0, errBroken
	}
	k := copy(p, f.data[at:f.n])
	if k < len(p) {
		return k, errBroken
	}
	return k, nil
}

// brokenFS has one file, which fails from byte n on.
type brokenFS struct {
	fstest.MapFS
	n int
}

type brokenFile struct {
	fs.File
	r failing
}

func (f *brokenFile) Read(p []byte) (int, error) { return f.r.Read(p) }

func (b brokenFS) Open(name string) (fs.File, error) {
	f, err := b.MapFS.Open(name)
	if err != nil {
		return nil, err
	}
	return &brokenFile{f, failing{data: b.MapFS[name].Data, n: b.n}}, nil
}

// TestFaultModelFile cuts a model off at each byte, and lets the reading of it
// fail there.
func TestFaultModelFile(t *testing.T) {
	data, err := onnx.Encode(medleyModel())
	if err != nil {
		t.Fatal(err)
	}
	step := 1
	if testing.Short() {
		step = 17
	}
	for n := 0; n < len(data); n += step {
		if s, err := rt.LoadBytes(slices.Clip(data[:n])); err == nil {
			t.Errorf("a model of %d bytes, cut off after %d, was loaded: %v", len(data), n, s.Outputs())
		} else if !isSentinel(err) {
			t.Errorf("cut off after %d bytes: %v", n, err)
		}
	}
	for n := 0; n < len(data); n += 31 {
		if _, err := rt.LoadFS(brokenFS{fstest.MapFS{"m.onnx": {Data: data}}, n}, "m.onnx"); !errors.Is(err, errBroken) {
			t.Errorf("a model of which reading fails after %d bytes: %v", n, err)
		}
	}
	s, err := rt.LoadFS(brokenFS{fstest.MapFS{"m.onnx": {Data: data}}, len(data)}, "m.onnx")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context(), medleyInputs()); err != nil {
		t.Error(err)
	}
}

// TestFaultArrays cuts arrays off at each byte, and lets reading and writing
// fail there.
func TestFaultArrays(t *testing.T) {
	x := f32([]int{2, 3}, 1, 2, 3, 4, 5, 6)
	names := onnx.MustTensor([]int{2}, []string{"one", "two"})
	for _, c := range []struct {
		name  string
		write func(io.Writer) error
		read  func(data []byte, n int) error
	}{
		{"npy", func(w io.Writer) error { return onnx.WriteNPY(w, x) },
			func(data []byte, n int) error { _, err := onnx.ReadNPY(&failing{data: data, n: n}); return err }},
		{"npy of strings", func(w io.Writer) error { return onnx.WriteNPY(w, names) },
			func(data []byte, n int) error { _, err := onnx.ReadNPY(&failing{data: data, n: n}); return err }},
		{"npz", func(w io.Writer) error { return onnx.WriteNPZ(w, map[string]*onnx.Tensor{"x": x, "names": names}) },
			func(data []byte, n int) error {
				_, err := onnx.ReadNPZ(&failing{data: data, n: n}, int64(len(data)))
				return err
			}},
	} {
		var b bytes.Buffer
		if err := c.write(&b); err != nil {
			t.Fatal(err)
		}
		data := b.Bytes()
		if err := c.read(data, len(data)); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		for n := range len(data) {
			if err := c.read(data, n); !errors.Is(err, errBroken) {
				t.Errorf("%s: reading fails after %d bytes of %d: %v", c.name, n, len(data), err)
			}
			if err := c.write(&full{left: n}); !errors.Is(err, errFull) {
				t.Errorf("%s: writing fails after %d bytes of %d: %v", c.name, n, len(data), err)
			}
			var err error
			if c.name == "npz" {
				_, err = onnx.ReadNPZ(bytes.NewReader(data[:n]), int64(n))
			} else {
				_, err = onnx.ReadNPY(bytes.NewReader(data[:n]))
			}
			if !errors.Is(err, onnx.ErrMalformed) {
				t.Errorf("%s: cut off after %d bytes of %d: %v", c.name, n, len(data), err)
			}
		}
	}
}

// full is a disk with room for some bytes.
type full struct{ left int }

var errFull = errors.New("no space left")

func (f *full) Write(p []byte) (int, error) {
	if n := f.left; n < len(p) {
		f.left = 0
		return n, errFull
	}
	f.left -= len(p)
	return len(p), nil
}
