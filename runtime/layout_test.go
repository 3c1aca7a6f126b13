package runtime_test

import (
	"fmt"
	"testing"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// shrinking is a model whose steps take less and less memory, so that no buffer
// suits a later step.
func shrinking() *onnx.Model {
	m := modelOf(&onnx.Graph{
		Inputs:       []onnx.ValueInfo{value("x", onnx.Float, "n", 64)},
		Outputs:      []onnx.ValueInfo{value("y", onnx.Float)},
		Initializers: []*onnx.Initializer{initOf("last", i64(nil, 1)), initOf("axis", i64([]int{1}, 1)), initOf("from", i64([]int{1}, 1)), initOf("c", i64([]int{1}, 330)), initOf("d", i64([]int{1}, 250)), initOf("e", i64([]int{1}, 180))},
		Nodes: []*onnx.Node{
			op("Concat", "x x x x x x x", "a", intAttr("axis", 1)), op("Slice", "a from c axis", "b"),
			op("CumSum", "b last", "s"), op("Slice", "s from d axis", "t"), op("CumSum", "t last", "u"), op("Slice", "u from e axis", "v"), op("CumSum", "v last", "y"),
		}})
	m.Graph.Outputs[0].Type.Shape = nil
	return m
}

// TestLayoutOfRuns: runs of a program take one block that is smaller than
// buffers of their own, with the bits of the general program.
func TestLayoutOfRuns(t *testing.T) {
	m := shrinking()
	s, general := load(t, m, rt.WithThreads(1)), load(t, m, rt.WithThreads(1), rt.WithPrograms(0))
	in := func(n int) onnx.Values {
		return onnx.Values{"x": f32([]int{n, 64}, floats(64*n, func(i int) float32 { return float32(i%11) - 4.5 })...)}
	}
	want := map[int]onnx.Values{}
	for n := 20; n < 23; n++ {
		out, err := general.Run(t.Context(), in(n))
		if err != nil {
			t.Fatal(err)
		}
		want[n] = out
	}
	for i := range 40 {
		n := 20 + i%3
		got, err := s.Run(t.Context(), in(n))
		if err != nil {
			t.Fatal(err)
		}
		sameValues(t, fmt.Sprint(n), got, want[n])
	}
	block, free := rt.Block(s)
	_, separate := rt.Block(general)
	if block == 0 || free > 0 || block*4 > separate*3 {
		t.Errorf("a block of %d bytes and buffers of %d, %d without", block, free, separate)
	}
	if n := rt.LiveBuffers(s); n != 0 {
		t.Errorf("%d buffers are in use", n)
	}
}

// TestLayoutAndBudget: a run of the general program may take all of the budget
// after runs that took the block.
func TestLayoutAndBudget(t *testing.T) {
	m := shrinking()
	in := func(n int) onnx.Values { return onnx.Values{"x": f32([]int{n, 64}, make([]float32, 64*n)...)} }
	tight := rt.WithLimits(onnx.Limits{RunBytes: need(t, m, in(50))})
	for _, n := range []int{20, 49} {
		s := load(t, m, rt.WithThreads(1), tight)
		for range 10 {
			if _, err := s.Run(t.Context(), in(n)); err != nil {
				t.Fatal(err)
			}
		}
		if block, _ := rt.Block(s); block == 0 {
			t.Fatal("there is no block")
		}
		if _, err := s.Run(t.Context(), in(50)); err != nil {
			t.Errorf("after runs of %d rows: %v", n, err)
		}
	}
}

// TestLayoutWithinBudget: what is enough for the first run is enough for those
// that have a layout, with the outputs; and the program stays.
func TestLayoutWithinBudget(t *testing.T) {
	for _, rows := range []any{64, "n"} {
		m := modelOf(&onnx.Graph{
			Inputs: []onnx.ValueInfo{value("x", onnx.Float, rows, 64)}, Outputs: []onnx.ValueInfo{value("y", onnx.Float)},
			Initializers: []*onnx.Initializer{initOf("zero", i64(nil, 0)), initOf("reps", i64([]int{2}, 16, 1)), initOf("ax", i64([]int{1}, 0))},
			Nodes: []*onnx.Node{op("Tile", "x reps", "a"), op("CumSum", "a zero", "b"), op("ReduceSum", "b ax", "c", intAttr("keepdims", 1)),
				op("Tile", "c reps", "d"), op("Tile", "d reps", "y")}})
		m.Graph.Outputs[0].Type.Shape = nil
		s := load(t, m, rt.WithThreads(1), rt.WithLimits(onnx.Limits{RunBytes: 262400}))
		for i := range 12 {
			if _, err := s.Run(t.Context(), onnx.Values{"x": f32([]int{64, 64}, make([]float32, 4096)...)}); err != nil {
				t.Fatalf("rows %v, run %d: %v", rows, i, err)
			}
		}
		if running, refused := rt.Programs(s); rows == "n" && (running != 1 || refused != 0) {
			t.Errorf("%d programs run, %d are refused; want 1 and none", running, refused)
		}
	}
}

// need gives the budget that a run of the general program takes.
func need(t *testing.T, m *onnx.Model, in onnx.Values) int64 {
	t.Helper()
	s := load(t, m, rt.WithThreads(1), rt.WithPrograms(0))
	out, err := s.Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	_, buffers := rt.Block(s)
	for _, v := range out {
		buffers += len(v.(*onnx.Tensor).Bytes())
	}
	return int64(buffers)
}

// TestLayoutOfTrips: a loop of another number of trips takes other memory; its
// runs go on with buffers of their own, and layouts are given up.
func TestLayoutOfTrips(t *testing.T) {
	b := body("i c s", "c2 s2 scan", op("Identity", "c", "c2"), op("Concat", "s s", "ss", intAttr("axis", 0)),
		op("ReduceMax", "ss", "s2", intAttr("keepdims", 1)), op("Mul", "s2 s2", "q"), op("Add", "q s2", "scan"))
	m := modelOf(&onnx.Graph{
		Inputs:  []onnx.ValueInfo{value("trips", onnx.Float), value("x", onnx.Float, 1)},
		Outputs: []onnx.ValueInfo{value("y", onnx.Float)},
		Nodes:   []*onnx.Node{op("Cast", "trips", "n", intAttr("to", int64(onnx.Int64))), op("Loop", "n _ x", "last all", graphAttr("body", b)), op("Neg", "all", "y")},
	})
	m.Graph.Outputs[0].Type.Shape = nil
	s, general := load(t, m, rt.WithThreads(1)), load(t, m, rt.WithThreads(1), rt.WithPasses(), rt.WithPrograms(0))
	for i := range 30 {
		in := onnx.Values{"trips": f32(nil, float32(1+i)), "x": f32([]int{1}, 0.5)}
		got, err := s.Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		want, err := general.Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		sameValues(t, fmt.Sprint(i), got, want)
		if n := rt.LiveBuffers(s); n != 0 {
			t.Fatalf("%d buffers are in use", n)
		}
	}
	if made, has := rt.Layouts(s); made != 3 || has {
		t.Errorf("%d layouts were made, has one: %v; want 3 and none", made, has)
	}
}
