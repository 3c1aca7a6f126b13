package runtime_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// growing is a loop of n iterations that puts a tensor behind a sequence, and
// gives that and another sequence made from the same beginning.
func growing() *onnx.Model {
	seq := func(name string) onnx.ValueInfo {
		return onnx.ValueInfo{Name: name, Type: onnx.SequenceType(onnx.TensorType(onnx.Float, nil))}
	}
	b := body("i c s", "c s2", op("Cast", "i", "f", intAttr("to", int64(onnx.Float))), op("Add", "f x", "v"), op("SequenceInsert", "s v", "s2"),
		op("SequenceInsert", "s x", "unused"), op("SequenceInsert", "s2 x", "other"), op("SequenceLength", "other", "l"))
	b.Inputs[2] = seq("s")
	return modelOf(&onnx.Graph{
		Inputs:  []onnx.ValueInfo{value("n", onnx.Int64), value("x", onnx.Float, 2)},
		Outputs: []onnx.ValueInfo{seq("all"), seq("less"), seq("more")},
		Nodes: []*onnx.Node{op("SequenceEmpty", "", "e"), op("SequenceInsert", "e x", "s0"), op("Loop", "n _ s0", "all", graphAttr("body", b)),
			op("SequenceErase", "all", "less"), op("SequenceInsert", "less x", "more")},
	})
}

// TestGrowingSequence: sequences that share their items each have their own.
func TestGrowingSequence(t *testing.T) {
	s := load(t, growing(), rt.WithThreads(1))
	for _, n := range []int64{0, 1, 2, 7, 7, 7, 300} {
		out, err := s.Run(t.Context(), onnx.Values{"n": i64(nil, n), "x": f32([]int{2}, 1, 2)})
		if err != nil {
			t.Fatal(err)
		}
		item := func(i int64) string {
			if i == 0 {
				return "[1 2]"
			}
			return fmt.Sprint([]float32{float32(i), float32(i + 1)})
		}
		check := func(name string, want []string) {
			items := out[name].(*onnx.Sequence).Items
			if len(items) != len(want) {
				t.Fatalf("%d: %s has %d items, want %d", n, name, len(items), len(want))
			}
			for i, v := range items {
				if got := fmt.Sprint(onnx.Elements[float32](v.(*onnx.Tensor))); got != want[i] {
					t.Errorf("%d: item %d of %s is %s, want %s", n, i, name, got, want[i])
				}
			}
		}
		var want []string
		for i := range n + 1 {
			want = append(want, item(i))
		}
		check("all", want)
		check("less", want[:n])
		check("more", append(want[:n:n], "[1 2]"))
		if n := rt.LiveBuffers(s); n > 0 {
			t.Errorf("%d buffers are in use after the run", n)
		}
	}
}

// TestGrowingSequenceIsLinear: ten times the iterations take about ten times as
// long, not a hundred.
func TestGrowingSequenceIsLinear(t *testing.T) {
	if raceDetector || testing.Short() {
		t.Skip("it takes time")
	}
	m := growing()
	m.Graph.Nodes[2].Attributes[0].Graph.Nodes = m.Graph.Nodes[2].Attributes[0].Graph.Nodes[:3]
	s := load(t, m, rt.WithThreads(1))
	took := func(n int64) time.Duration {
		best := time.Hour
		for range 3 {
			start := time.Now()
			if _, err := s.Run(t.Context(), onnx.Values{"n": i64(nil, n), "x": f32([]int{2}, 1, 2)}); err != nil {
				t.Fatal(err)
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	if a, b := took(2000), took(20000); b > 40*a {
		t.Errorf("2000 iterations take %v, 20000 take %v", a, b)
	}
}
