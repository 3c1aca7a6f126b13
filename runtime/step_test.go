package runtime_test

import (
	"context"
	"sync"
	"testing"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// randomLoop draws two numbers at each of three iterations, and two outside.
func randomLoop() *onnx.Model {
	draw := func(name string) *onnx.Node {
		return &onnx.Node{Name: "draw", OpType: "RandomNormal", Outputs: []string{name}, Attributes: []*onnx.Attribute{
			{Name: "shape", Type: onnx.AttrInts, Ints: []int64{2}}, {Name: "seed", Type: onnx.AttrFloat, Float: 3}}}
	}
	f, b, i := onnx.TensorType(onnx.Float, nil), onnx.TensorType(onnx.Bool, onnx.Shape{}), onnx.TensorType(onnx.Int64, onnx.Shape{})
	body := &onnx.Graph{Name: "body", Inputs: []onnx.ValueInfo{{Name: "i", Type: i}, {Name: "c", Type: b}},
		Nodes:   []*onnx.Node{draw("inner"), {OpType: "Identity", Inputs: []string{"c"}, Outputs: []string{"c2"}}},
		Outputs: []onnx.ValueInfo{{Name: "c2", Type: b}, {Name: "inner", Type: f}}}
	g := &onnx.Graph{Name: "g",
		Initializers: []*onnx.Initializer{{Name: "three", Tensor: onnx.Scalar(int64(3))}, {Name: "yes", Tensor: onnx.Scalar(true)}},
		Nodes: []*onnx.Node{draw("outer"), {OpType: "Loop", Inputs: []string{"three", "yes"}, Outputs: []string{"all"},
			Attributes: []*onnx.Attribute{{Name: "body", Type: onnx.AttrGraph, Graph: body}}}},
		Outputs: []onnx.ValueInfo{{Name: "outer", Type: f}, {Name: "all", Type: f}}}
	return &onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 15}}, Graph: g}
}

// TestRandomKeys: numbers depend on the seed, the node, the iteration and the
// step, and on nothing else.
func TestRandomKeys(t *testing.T) {
	load := func() *rt.Session {
		s, err := rt.LoadModel(randomLoop())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	s := load()
	draw := func(ctx context.Context, s *rt.Session) [8]float32 {
		out, err := s.Run(ctx, nil)
		if err != nil {
			t.Error(err)
			return [8]float32{}
		}
		var all [8]float32
		copy(all[:], onnx.Elements[float32](out["outer"].(*onnx.Tensor)))
		copy(all[2:], onnx.Elements[float32](out["all"].(*onnx.Tensor)))
		return all
	}
	want := draw(t.Context(), s)
	seen := map[float32]bool{}
	for _, v := range want {
		if seen[v] {
			t.Errorf("%v: a number twice", want)
		}
		seen[v] = true
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 20 {
				if got := draw(t.Context(), s); got != want {
					t.Errorf("another run gives %v, want %v", got, want)
				}
			}
		}()
	}
	wg.Wait()
	if got := draw(t.Context(), load()); got != want {
		t.Errorf("another session gives %v, want %v", got, want)
	}
	if got := draw(rt.WithStep(t.Context(), 0), s); got != want {
		t.Errorf("step 0 gives %v, want %v", got, want)
	}
	next := draw(rt.WithStep(t.Context(), 1), s)
	for _, v := range next {
		if seen[v] {
			t.Errorf("step 1 gives %v, step 0 %v", next, want)
		}
	}
	if got := draw(rt.WithStep(t.Context(), 1), s); got != next {
		t.Errorf("step 1 gives %v, then %v", next, got)
	}
}
