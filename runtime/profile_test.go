package runtime_test

import (
	"sync"
	"testing"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// countedLoop is a Loop of n iterations around an Add.
func countedLoop(n int64) *onnx.Model {
	body := &onnx.Graph{
		Inputs:  []onnx.ValueInfo{value("i", onnx.Int64), value("c", onnx.Bool), value("v", onnx.Float, 2)},
		Outputs: []onnx.ValueInfo{value("c2", onnx.Bool), value("w", onnx.Float, 2)},
		Nodes:   []*onnx.Node{op("Identity", "c", "c2"), {Name: "inner", OpType: "Add", Inputs: []string{"v", "v"}, Outputs: []string{"w"}}},
	}
	loop := op("Loop", "n true x", "y", graphAttr("body", body))
	loop.Name = "around"
	return modelOf(&onnx.Graph{
		Inputs:       []onnx.ValueInfo{value("x", onnx.Float, 2)},
		Outputs:      []onnx.ValueInfo{value("y", onnx.Float, 2)},
		Initializers: []*onnx.Initializer{{Name: "n", Tensor: onnx.Scalar(n)}, {Name: "true", Tensor: onnx.Scalar(true)}},
		Nodes:        []*onnx.Node{loop},
	})
}

func TestProfile(t *testing.T) {
	const iterations, runs, callers = 5, 20, 4
	p := &rt.Profile{}
	s := load(t, countedLoop(iterations), rt.WithProfile(p), rt.WithPasses())
	if list := p.Nodes(); len(list) != 0 {
		t.Errorf("before a run: %v, want nothing", list)
	}
	x := onnx.Values{"x": onnx.MustTensor([]int{2}, []float32{1, 2})}
	var wait sync.WaitGroup
	for range callers {
		wait.Go(func() {
			for range runs {
				if _, err := s.Run(t.Context(), x); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	nodes := map[string]rt.NodeProfile{}
	var self int64
	for _, n := range p.Nodes() {
		nodes[n.Name] = n
		self += int64(n.Self)
		if n.Self < 0 || n.Self > n.Total {
			t.Errorf("%s: self %v of total %v", n.Name, n.Self, n.Total)
		}
	}
	around, inner := nodes["around"], nodes["inner"]
	if around.Op != "Loop-16" || around.Calls != runs*callers {
		t.Errorf("%+v, want %d calls of Loop-16", around, runs*callers)
	}
	if inner.Op != "Add-14" || inner.Calls != runs*callers*iterations {
		t.Errorf("%+v, want %d calls of Add-14", inner, runs*callers*iterations)
	}
	if inner.Self != inner.Total || around.Self == around.Total {
		t.Errorf("self and total: %+v, %+v", around, inner)
	}
	if self != int64(around.Total) {
		t.Errorf("all nodes together take %d ns, the loop with its body %d ns", self, around.Total)
	}
	p.Reset()
	if list := p.Nodes(); len(list) != 0 {
		t.Errorf("after Reset: %v, want nothing", list)
	}
	mustCompute(t, s, x)
	if list := p.Nodes(); len(list) < 2 {
		t.Errorf("after Reset and a run: %v, want the loop and its nodes", list)
	}
}

func mustCompute(t *testing.T, s *rt.Session, in onnx.Values) {
	t.Helper()
	if _, err := s.Run(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

// A run that fails within a body leaves nothing behind that a later one counts.
func TestProfileAfterAFailure(t *testing.T) {
	p := &rt.Profile{}
	s := load(t, countedLoop(100), rt.WithProfile(p), rt.WithPasses(), rt.WithLimits(onnx.Limits{LoopIterations: 10}))
	x := onnx.Values{"x": onnx.MustTensor([]int{2}, []float32{1, 2})}
	for range 2 {
		if _, err := s.Run(t.Context(), x); err == nil {
			t.Fatal("no error of a loop beyond its limit")
		}
	}
	for _, n := range p.Nodes() {
		if n.Self < 0 || n.Self > n.Total {
			t.Errorf("%+v", n)
		}
	}
}

func TestProfileAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates and empties pools at random")
	}
	s := load(t, tagger(8, 3), rt.WithProfile(&rt.Profile{}), rt.WithThreads(1))
	in := taggerInputs(5, 2, 3)
	out, err := s.Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(20, func() {
		if err := s.RunInto(t.Context(), in, out); err != nil {
			t.Fatal(err)
		}
	}); n >= 1 {
		t.Errorf("%v allocations a run, want none", n)
	}
}
