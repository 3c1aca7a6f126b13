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
		"Unsqueeze": func(in, out string) *onnx.Node {
			if turn++; turn%2 == 1 {
				return op("Flatten", in, out, intAttr("axis", 0))
			}
			return op("Flatten", in, out, intAttr("axis", 2))
		},
	} {
		b.Run(name, func(b *testing.B) {
			s := load(b, chain(n, node), rt.WithThreads(1), rt.WithPasses())
			in := onnx.Values{"v0": f32([]int{1, 4}, 1, 2, 3, 4)}
			ctx := context.Background()
			out, err := s.Run(ctx, in)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := s.RunInto(ctx, in, out); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/node")
		})
	}
}
