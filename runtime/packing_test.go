package runtime_test

import (
	"fmt"
	goruntime "runtime"
	"sync"
	"testing"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// TestLazyPacking: weights that the first runs pack, several at a time, give the
// bits of those that the load packs on any number of threads.
func TestLazyPacking(t *testing.T) {
	for _, name := range []string{"LSTM", "MatMul"} {
		m, in := recurrentModel("LSTM", 4, 3, 2, 5, 7)
		if name == "MatMul" {
			m = modelOf(&onnx.Graph{
				Inputs:  []onnx.ValueInfo{value("x", onnx.Float, "n", 40)},
				Outputs: []onnx.ValueInfo{value("y", onnx.Float, "n", 30)},
				Initializers: []*onnx.Initializer{initOf("a", f32([]int{40, 50}, floats(2000, func(i int) float32 { return float32(i%13) - 6 })...)),
					initOf("b", f32([]int{50, 30}, floats(1500, func(i int) float32 { return float32(i%7) - 3 })...))},
				Nodes: []*onnx.Node{op("MatMul", "x a", "h"), op("MatMul", "h b", "y")},
			})
			in = onnx.Values{"x": f32([]int{9, 40}, floats(360, func(i int) float32 { return float32(i%5) - 2 })...)}
		}
		want, err := load(t, m, rt.WithThreads(1)).Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for kind, opts := range map[string][]rt.Option{"lazy": {rt.WithLazyPacking()}, "four threads": {rt.WithThreads(4)}} {
			s := load(t, m, opts...)
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					got, err := s.Run(t.Context(), in)
					if err != nil {
						t.Error(err)
						return
					}
					sameValues(t, fmt.Sprint(name, " ", kind), got, want)
				})
			}
			all.Wait()
		}
	}
}

// TestLazyPackingLoads: a load that leaves the packing does not take the memory
// for it; the first run does.
func TestLazyPackingLoads(t *testing.T) {
	m, in := recurrentModel("LSTM", 4, 1, 1, 250, 250)
	const weights = 4 * 4 * (250 + 250) * 250 // bytes of W and R
	taken := func(f func()) uint64 {
		var a, b goruntime.MemStats
		goruntime.ReadMemStats(&a)
		f()
		goruntime.ReadMemStats(&b)
		return b.TotalAlloc - a.TotalAlloc
	}
	var s *rt.Session
	if n := taken(func() { s = load(t, m, rt.WithThreads(1), rt.WithLazyPacking()) }); n >= weights {
		t.Errorf("the load takes %d bytes, the weights are %d", n, weights)
	}
	if n := taken(func() {
		if _, err := s.Run(t.Context(), in); err != nil {
			t.Error(err)
		}
	}); n < weights {
		t.Errorf("the first run takes %d bytes, the weights are %d", n, weights)
	}
}
