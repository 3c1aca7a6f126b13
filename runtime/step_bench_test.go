package runtime_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// chain is a model of n nodes, each of which does next to nothing.
func chain(n int, node func(in, out string) *onnx.Node) *onnx.Model {
	g := &onnx.Graph{Inputs: []onnx.ValueInfo{value("v0", onnx.Float, 1, 4)}, Outputs: []onnx.ValueInfo{value("y", onnx.Float)}}
	g.Outputs[0].Type.Shape = nil
	for i := range n {
		out := fmt.Sprint("v", i+1)
		if i == n-1 {
			out = "y"
		}
		g.Nodes = append(g.Nodes, node(fmt.Sprint("v", i), out))
	}
	return modelOf(g)
}

// BenchmarkStep gives what a node costs besides its arithmetic.
func BenchmarkStep(b *testing.B) {
	const n = 100
	turn := 0
	for name, node := range map[string]func(in, out string) *onnx.Node{
		"Neg": func(in, out string) *onnx.Node { return op("Neg", in, out) },
		"Flatten": func(in, out string) *onnx.Node {
			if turn++; turn%2 == 1 {
				return op("Flatten", in, out, intAttr("axis", 0))
			}
			return op("Flatten", in, out, intAttr("axis", 2))
		},
	} {
		b.Run(name, func(b *testing.B) {
			s := load(b, chain(n, node), rt.WithThreads(1), rt.WithPasses())
			benchmarkInto(b, s, onnx.Values{"v0": f32([]int{1, 4}, 1, 2, 3, 4)})
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/node")
		})
	}
}

// BenchmarkPrograms gives a small model's run, by the general program and by
// the one for its shapes.
func BenchmarkPrograms(b *testing.B) {
	for name, most := range map[string]int{"general": 0, "special": rt.DefaultPrograms} {
		b.Run(name, func(b *testing.B) {
			benchmarkInto(b, load(b, rated(), rt.WithThreads(1), rt.WithPrograms(most)), ratedInputs(2, 4, 16000))
		})
	}
}

// BenchmarkIteration gives what an iteration of a loop of one node costs.
func BenchmarkIteration(b *testing.B) {
	const n = 1000
	m := modelOf(&onnx.Graph{
		Inputs:  []onnx.ValueInfo{value("n", onnx.Int64), value("s0", onnx.Float, 2)},
		Outputs: []onnx.ValueInfo{value("s", onnx.Float, 2)},
		Nodes:   []*onnx.Node{op("Loop", "n _ s0", "s", graphAttr("body", body("i c s", "c s2", op("Neg", "s", "s2"))))},
	})
	benchmarkInto(b, load(b, m, rt.WithThreads(1), rt.WithPasses()), onnx.Values{"n": i64(nil, n), "s0": f32([]int{2}, 1, 2)})
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/iteration")
}

// benchmarkInto runs a session in its steady state.
func benchmarkInto(b *testing.B, s *rt.Session, in onnx.Values) {
	ctx := context.Background()
	var out onnx.Values
	for range 3 {
		var err error
		if out, err = s.Run(ctx, in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.RunInto(ctx, in, out); err != nil {
			b.Fatal(err)
		}
	}
}
