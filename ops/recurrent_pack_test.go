package ops

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// weightsOf gives the weights as a node of float32 has them.
func weightsOf(r *runner) *gateWeights[float32] { return r.k.(*recurrentKernel).single.packed.get() }

// TestRecurrentShared: nodes of one form with the same weights have them once;
// another form, level or content has its own.
func TestRecurrentShared(t *testing.T) {
	defer func(l Level) { testLevel = l }(testLevel)
	in := benchmarkInputs("GRU", 2, 1, 8, 16)
	build := func(in []onnx.Value, attrs ...any) *gateWeights[float32] {
		return weightsOf(newRunner(t, node("GRU", 2, append(attrs, "hidden_size", 16)...), 14, in, true))
	}
	first := build(in)
	copied := append([]onnx.Value{}, in...)
	for i, v := range in {
		copied[i] = onnx.MustTensor(v.(*onnx.Tensor).Shape(), append([]float32{}, onnx.Elements[float32](v.(*onnx.Tensor))...))
	}
	for what, same := range map[string]*gateWeights[float32]{
		"node":      build(in),
		"model":     build(copied),
		"direction": build(in, "direction", "reverse"),
	} {
		if same != first {
			t.Errorf("another %s has weights of its own", what)
		}
	}
	onnx.Elements[float32](copied[inR].(*onnx.Tensor))[3]++
	others := map[string]*gateWeights[float32]{
		"form":    build(in, "linear_before_reset", 1),
		"content": build(copied),
		"bias":    build(in[:inB]),
	}
	withHalf(func() { others["rounding"] = build(in) })
	own := testLevel
	for _, testLevel = range Levels() {
		if testLevel != own {
			others[fmt.Sprint("level ", testLevel)] = build(in)
		}
	}
	for what, other := range others {
		if other == first {
			t.Errorf("another %s has the same weights", what)
		}
	}
}

// testHalf is Analysis.HalfWeights of runners.
var testHalf bool

// withHalf runs f with half weights.
func withHalf(f func()) {
	defer func(h bool) { testHalf = h }(testHalf)
	testHalf = true
	f()
}

// TestRecurrentHalf holds a node with half weights against one with float32
// whose R was rounded before, to the bit, at every level: each operator with
// all that it has, alone and in batches, and with ragged rows.
func TestRecurrentHalf(t *testing.T) {
	defer func(l Level) { testLevel = l }(testLevel)
	rng := rand.New(rand.NewPCG(7, 7))
	for _, testLevel = range Levels() {
		for _, op := range []string{"RNN", "GRU", "LSTM"} {
			directions := map[int]int{}
			for range 8 {
				for _, b := range []int{1, 3, 5, 32} {
					c := full(op, onnx.Float, rng, 1+rng.IntN(7), b)
					if rng.IntN(2) == 0 {
						c.lens = nil
						for range b {
							c.lens = append(c.lens, int32(rng.IntN(c.t+1)))
						}
					}
					directions[c.directions()]++
					var half []onnx.Value
					withHalf(func() { half = c.run(t) })
					for i, v := range c.r {
						c.r[i] = float64(onnx.ToF16(float32(v)).Float32())
					}
					for i, want := range c.run(t) {
						sameBits(t, c, fmt.Sprintf("%v, batch %d, output %d", testLevel, b, i), half[i], want)
					}
				}
			}
			if directions[1] == 0 || directions[2] == 0 {
				t.Errorf("%s: directions %v, want one and two", op, directions)
			}
		}
	}
}

// TestRecurrentHalfWide is TestRecurrentHalf for layers of several panels, and
// says that float32 is not kept beside float16, and how far the results move.
func TestRecurrentHalfWide(t *testing.T) {
	defer func(l Level) { testLevel = l }(testLevel)
	for _, testLevel = range Levels() {
		for _, op := range []string{"RNN", "GRU", "LSTM"} {
			for lbr := range 2 {
				attrs := []any{"hidden_size", 150}
				if op == "GRU" {
					attrs = append(attrs, "linear_before_reset", lbr)
				}
				p := node(op, 2, attrs...)
				for _, b := range []int{1, 3, 32} {
					in := benchmarkInputs(op, 9, b, 28, 150)
					plain := newRunner(t, p, 14, in, true).run(t, in)
					var got []onnx.Value
					withHalf(func() {
						r := newRunner(t, p, 14, in, true)
						if w := weightsOf(r); testLevel.HasHalf() && (len(w.halves) < gatesOf[op]*150*150 || w.stride[0] != len(w.panel) || len(w.panel) > gatesOf[op]*28*192) {
							t.Errorf("%s: %d weights of float16, %d of float32", op, len(w.halves), len(w.panel))
						}
						got = r.run(t, in)
					})
					if d := differ(got[0], plain[0], 0, 1e-3); d != "" {
						t.Errorf("%s: from float32: %s", op, d)
					}
					rounded := append([]onnx.Value{}, in...)
					var r []float32
					for _, v := range onnx.Elements[float32](in[inR].(*onnx.Tensor)) {
						r = append(r, onnx.ToF16(v).Float32())
					}
					rounded[inR] = onnx.MustTensor(in[inR].(*onnx.Tensor).Shape(), r)
					for i, want := range newRunner(t, p, 14, rounded, true).run(t, rounded) {
						if d := differ(got[i], want, 0, 0); d != "" {
							t.Errorf("%s at %v, linear_before_reset %d, batch %d, output %d: %s", op, testLevel, lbr, b, i, d)
						}
					}
				}
			}
		}
	}
}

// TestRecurrentHalfRange: one weight that float16 has no number near keeps the
// node in float32, a constant and one that comes with a run; W does not matter.
func TestRecurrentHalfRange(t *testing.T) {
	p := node("LSTM", 2, "hidden_size", 16)
	for _, c := range []struct {
		input     int
		v         float32
		constants bool
		rounded   bool
	}{
		{inR, 65504, true, true}, {inR, -65504, true, true}, {inR, 65505, true, false}, {inR, -1e30, true, false},
		{inR, float32(math.NaN()), true, false}, {inR, float32(math.Inf(1)), true, false},
		{inW, 1e30, true, true}, {inR, 65505, false, false}, {inR, float32(math.NaN()), false, false},
	} {
		in := benchmarkInputs("LSTM", 2, 1, 8, 16)
		onnx.Elements[float32](in[c.input].(*onnx.Tensor))[77] = c.v
		withHalf(func() {
			r := newRunner(t, p, 14, in, c.constants)
			got := c.constants && weightsOf(r).rounded
			if got != c.rounded {
				t.Errorf("with %v in input %d, constant %v: rounded %v", c.v, c.input, c.constants, got)
			}
			half := r.run(t, in)
			testHalf = false
			if plain := newRunner(t, p, 14, in, c.constants).run(t, in); !c.rounded {
				for i := range half {
					if d := differ(half[i], plain[i], 0, 0); d != "" {
						t.Errorf("with %v: output %d: %s", c.v, i, d)
					}
				}
			}
		})
	}
}

// TestRecurrentHalfAllocations: half weights, one row and several, take nothing
// from the garbage collector.
func TestRecurrentHalfAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector empties pools")
	}
	for _, op := range []string{"RNN", "GRU", "LSTM"} {
		for _, b := range []int{1, 3, 9} {
			in := benchmarkInputs(op, 6, b, 28, 100)
			var r *runner
			withHalf(func() { r = newRunner(t, node(op, 2, "hidden_size", 100), 14, in, true) })
			pool := &pooled{heap: r.e}
			r.c = NewCtx(pool)
			out := make([]onnx.Value, 2)
			r.c.Bind(out)
			run := func() {
				pool.next = 0
				if err := r.k.Run(r.c, in, out); err != nil {
					t.Fatal(err)
				}
			}
			run()
			if n := testing.AllocsPerRun(20, run); n != 0 {
				t.Errorf("%s, batch %d: %v allocations a run", op, b, n)
			}
		}
	}
}

func benchmarkHalf(b *testing.B, op string, attrs ...any) {
	withHalf(func() { benchmarkRecurrent(b, op, attrs...) })
}

func BenchmarkRNNHalf(b *testing.B)  { benchmarkHalf(b, "RNN") }
func BenchmarkGRUHalf(b *testing.B)  { benchmarkHalf(b, "GRU", "linear_before_reset", 1) }
func BenchmarkGRU0Half(b *testing.B) { benchmarkHalf(b, "GRU") }
func BenchmarkLSTMHalf(b *testing.B) { benchmarkHalf(b, "LSTM") }
