package runtime_test

import (
	"fmt"
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
