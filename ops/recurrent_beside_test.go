package ops

import (
	"fmt"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// TestRecurrentBeside: rows that are alone, from the start or when the others
// have ended, have the bits that they have where no product is computed beside
// another.
func TestRecurrentBeside(t *testing.T) {
	defer func(l Level, steps, least int) { testLevel, besideSteps, besideLeast = l, steps, least }(testLevel, besideSteps, besideLeast)
	besideLeast = 0
	for _, testLevel = range Levels() {
		for _, op := range []struct {
			name string
			lbr  int
		}{{"RNN", 0}, {"GRU", 0}, {"GRU", 1}, {"LSTM", 0}} {
			for _, size := range []struct{ t, b, i, h int }{{24, 1, 9, 17}, {33, 1, 40, 40}, {47, 1, 20, 150}, {70, 3, 64, 70}, {90, 9, 30, 33}, {200, 2, 40, 150}} {
				for _, direction := range []string{"forward", "reverse", "bidirectional"} {
					n, in := teamNode(op.name, direction, op.lbr, size.t, size.b, size.i, size.h, size.b > 1)
					if size.b > 1 { // one row goes on when the others have ended
						lens := onnx.Elements[int32](in[inLens].(*onnx.Tensor))
						for b := range lens {
							lens[b] = int32(size.t / (2 + b))
						}
						lens[1] = int32(size.t)
					}
					what := fmt.Sprintf("%s linear_before_reset %d %s %v at %v", op.name, op.lbr, direction, size, testLevel)
					var out [2][]onnx.Value
					for i, least := range []int{1 << 30, 24} {
						besideSteps = least
						out[i] = newRunner(t, n, 22, in, true).run(t, in)
					}
					for i := range out[0] {
						if d := differ(out[1][i], out[0][i], 0, 0); d != "" {
							t.Errorf("%s: output %d: %s", what, i, d)
						}
					}
				}
			}
		}
	}
}

// BenchmarkRecurrentBeside is a row alone, its product with W beside its steps
// and before them.
func BenchmarkRecurrentBeside(b *testing.B) {
	defer func(steps int) { besideSteps = steps }(besideSteps)
	for _, op := range []string{"RNN", "GRU", "LSTM"} {
		for _, size := range []struct{ t, i, h int }{{100, 64, 128}, {100, 128, 256}, {50, 256, 512}} {
			n, in := teamNode(op, "forward", 1, size.t, 1, size.i, size.h, false)
			for name, least := range map[string]int{"beside": 24, "before": 1 << 30} {
				b.Run(fmt.Sprintf("%s/T%d_I%d_H%d/%s", op, size.t, size.i, size.h, name), func(b *testing.B) {
					besideSteps = least
					run := steady(b, n, in)
					b.ReportAllocs()
					for b.Loop() {
						run()
					}
				})
			}
		}
	}
}

// steady gives a run of a node with constant weights that takes the same memory
// each time.
func steady(t testing.TB, n *onnx.Node, in []onnx.Value) (run func()) {
	r := newRunner(t, n, 22, in, true)
	pool := &pooled{heap: r.e}
	r.c = NewCtx(pool)
	out := make([]onnx.Value, len(n.Outputs))
	r.c.Bind(out)
	return func() {
		pool.next = 0
		if err := r.k.Run(r.c, in, out); err != nil {
			t.Fatal(err)
		}
	}
}
