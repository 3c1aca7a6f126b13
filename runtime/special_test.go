package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
	rt "github.com/recur-ml/recur/runtime"
)

// rated is a model like many that record speech: an If on the rate takes one of
// two scales, an initial state of zeros is made for the batch, and the result
// is brought to a shape that is computed.
func rated() *onnx.Model {
	branch := func(scale float32) *onnx.Graph {
		b := body("", "r", op("Mul", "x k", "r"))
		b.Initializers = []*onnx.Initializer{initOf("k", f32([]int{1}, scale))}
		return b
	}
	return modelOf(&onnx.Graph{
		Inputs: []onnx.ValueInfo{value("x", onnx.Float, "batch", "n"), value("rate", onnx.Int64), value("gain", onnx.Float, "g")},
		Initializers: []*onnx.Initializer{initOf("fast", i64(nil, 16000)), initOf("zero", i64([]int{1}, 0)), initOf("two", i64([]int{1}, 2)),
			initOf("first", i64(nil, 0)), initOf("gain", f32([]int{1}, 1)), initOf("rest", i64([]int{1}, -1))},
		Outputs: []onnx.ValueInfo{value("y", onnx.Float, "batch", "m"), value("z", onnx.Float, "batch", 2)},
		Nodes: []*onnx.Node{
			op("Equal", "rate fast", "is"),
			op("If", "is", "scaled", graphAttr("then_branch", branch(2)), graphAttr("else_branch", branch(3))),
			op("Mul", "scaled gain", "loud"),
			op("Shape", "x", "dims"), op("Gather", "dims first", "b"), op("Unsqueeze", "b zero", "b1"),
			op("Concat", "b1 two", "zdims", intAttr("axis", 0)), op("ConstantOfShape", "zdims", "z0"),
			op("Concat", "b1 rest", "ydims", intAttr("axis", 0)), op("Reshape", "loud ydims", "y"),
			op("ReduceMean", "y", "mean"), op("Add", "z0 mean", "z"),
		}})
}

func ratedInputs(batch, n int, rate int64) onnx.Values {
	return onnx.Values{"x": f32([]int{batch, n}, floats(batch*n, func(i int) float32 { return float32(i%7) - 2.5 })...), "rate": i64(nil, rate)}
}

// TestPrograms: a program for shapes that come again has fewer steps, and
// gives the bits of the general one.
func TestPrograms(t *testing.T) {
	s, general := load(t, rated(), rt.WithThreads(1)), load(t, rated(), rt.WithThreads(1), rt.WithPrograms(0))
	check := func(in onnx.Values) {
		t.Helper()
		for range 3 {
			got, err := s.Run(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			want, err := general.Run(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			sameValues(t, fmt.Sprint(in), got, want)
		}
	}
	for batch := range 3 {
		for _, rate := range []int64{16000, 8000} {
			check(ratedInputs(batch, 4, rate))
		}
	}
	in := ratedInputs(2, 4, 16000)
	in["gain"] = f32([]int{4}, 1, 2, 3, 4)
	check(in)
	if n, refused := rt.Programs(s); n != 5 || refused != 0 { // none for the empty batch
		t.Errorf("%d programs, %d refused, want 5 and 0", n, refused)
	}
	if all, few := rt.Steps(s); few == 0 || few*2 > all {
		t.Errorf("%d steps of %d are left, want at most half", few, all)
	}
	if n, _ := rt.Programs(general); n > 0 {
		t.Errorf("%d programs, none was wanted", n)
	}
}

// TestDefaultOfAnotherShape: the shape of an input's default is no promise.
func TestDefaultOfAnotherShape(t *testing.T) {
	s := load(t, modelOf(&onnx.Graph{
		Inputs:       []onnx.ValueInfo{value("gain", onnx.Float, "g")},
		Initializers: []*onnx.Initializer{initOf("gain", f32([]int{1}, 3))},
		Outputs:      []onnx.ValueInfo{value("y", onnx.Float, "g")},
		Nodes:        []*onnx.Node{op("Mul", "gain gain", "y")},
	}), rt.WithThreads(1))
	for range 3 {
		for _, c := range []struct{ in, want onnx.Values }{
			{onnx.Values{}, onnx.Values{"y": f32([]int{1}, 9)}},
			{onnx.Values{"gain": f32([]int{2}, 1, 2)}, onnx.Values{"y": f32([]int{2}, 1, 4)}},
		} {
			got, err := s.Run(t.Context(), c.in)
			if err != nil {
				t.Fatal(err)
			}
			sameValues(t, "y", got, c.want)
		}
	}
}

// TestProgramsAreFew: shapes that keep changing do not make programs for ever,
// and an input whose value keeps changing is left out.
func TestProgramsAreFew(t *testing.T) {
	s := load(t, rated(), rt.WithThreads(1))
	for i := range 2000 {
		if _, err := s.Run(t.Context(), ratedInputs(1+i*i%101, 3, 16000)); err != nil {
			t.Fatal(err)
		}
	}
	if n, refused := rt.Programs(s); n+refused > rt.DefaultPrograms {
		t.Errorf("%d programs are kept", n+refused)
	}
	if n := rt.Made(s); n > 100 {
		t.Errorf("%d programs were made in 2000 runs", n)
	}
	s = load(t, rated(), rt.WithThreads(1), rt.WithPrograms(2))
	for i := range int64(100) {
		if _, err := s.Run(t.Context(), ratedInputs(2, 3, 15990+i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := rt.Made(s); n != 1 {
		t.Errorf("%d programs were made for one shape and a value that changes, want 1", n)
	}
}

// TestProgramErrors: what is wrong with inputs is said in the same words.
func TestProgramErrors(t *testing.T) {
	m := modelOf(&onnx.Graph{
		Inputs:       []onnx.ValueInfo{value("x", onnx.Float, "n", 2), value("i", onnx.Int64, "k"), value("shape", onnx.Int64, "r"), value("w", onnx.Float, "n")},
		Initializers: []*onnx.Initializer{},
		Outputs:      []onnx.ValueInfo{value("y", onnx.Float)},
		Nodes:        []*onnx.Node{op("Gather", "x i", "g"), op("Reshape", "g shape", "y")},
	})
	m.Graph.Outputs[0].Type.Shape = nil
	s, general := load(t, m, rt.WithThreads(1)), load(t, m, rt.WithThreads(1), rt.WithPrograms(0))
	in := func(n int, shape []int64, i ...int64) onnx.Values {
		return onnx.Values{"x": f32([]int{3, 2}, 1, 2, 3, 4, 5, 6), "w": f32([]int{n}, make([]float32, n)...), "i": i64([]int{len(i)}, i...), "shape": i64([]int{len(shape)}, shape...)}
	}
	for _, in := range []onnx.Values{
		in(3, []int64{2, 2}, 0, 1), in(3, []int64{2, 2}, 0, 7), in(3, []int64{3, 2}, 0, 1), in(4, []int64{2, 2}, 0, 1), in(3, []int64{-1, -1}, 0, 1), in(3, []int64{1, -1}, 0, -9),
	} {
		want, failed := general.Run(t.Context(), in)
		for range 4 {
			got, err := s.Run(t.Context(), in)
			if fmt.Sprint(err) != fmt.Sprint(failed) || err != nil && !sameSentinel(err, failed) {
				t.Fatalf("%v: %v, want %v", in, err, failed)
			}
			if err == nil {
				sameValues(t, fmt.Sprint(in), got, want)
			}
		}
	}
}

// TestProgramThatFails: where the general program computes what one for the
// shapes did not, that one is not tried again.
func TestProgramThatFails(t *testing.T) {
	r, tried := testRegistry(), 0
	if err := r.Register(ops.Op{Domain: "test", Name: "Open", Since: []int{1},
		Infer: func(n *ops.Node) error { n.Set(0, n.In(0).Type); return nil },
		Build: func(n *ops.Node) (ops.Kernel, error) {
			fixed := n.Shape(0)[0].Known()
			return ops.KernelFunc(func(_ *ops.Ctx, in, out []onnx.Value) error {
				if fixed {
					tried++
					return errors.New("does not do fixed shapes")
				}
				out[0] = in[0]
				return nil
			}), nil
		}}); err != nil {
		t.Fatal(err)
	}
	m := modelOf(&onnx.Graph{
		Inputs:  []onnx.ValueInfo{value("x", onnx.Float, "n")},
		Outputs: []onnx.ValueInfo{value("y", onnx.Float, "n")},
		Nodes:   []*onnx.Node{{Domain: "test", OpType: "Open", Inputs: []string{"x"}, Outputs: []string{"y"}}},
	})
	m.OpsetImports = append(m.OpsetImports, onnx.OpsetImport{Domain: "test", Version: 1})
	s := load(t, m, rt.WithThreads(1), rt.WithRegistry(r))
	in := onnx.Values{"x": f32([]int{2}, 1, 2)}
	for range 10 {
		got, err := s.Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		sameValues(t, "Open", got, onnx.Values{"y": in["x"]})
	}
	if tried != 1 {
		t.Errorf("the program for the shapes was tried %d times, want once", tried)
	}
}

func sameSentinel(a, b error) bool {
	for _, e := range []error{onnx.ErrShape, onnx.ErrType, onnx.ErrLimit, onnx.ErrMalformed, onnx.ErrUnsupported} {
		if errors.Is(a, e) != errors.Is(b, e) {
			return false
		}
	}
	return true
}

// TestProgramBudget: the budget of a run holds for the programs too.
func TestProgramBudget(t *testing.T) {
	m := modelOf(&onnx.Graph{
		Inputs:       []onnx.ValueInfo{value("x", onnx.Float, "n")},
		Initializers: []*onnx.Initializer{initOf("many", i64([]int{1}, 100000))},
		Outputs:      []onnx.ValueInfo{value("y", onnx.Float, "n")},
		Nodes:        []*onnx.Node{op("Shape", "x", "n"), op("Concat", "many n", "d", intAttr("axis", 0)), op("Expand", "x d", "e"), op("ReduceMax", "e", "y", intsAttr("axes", 0), intAttr("keepdims", 0))},
	})
	s := load(t, m, rt.WithLimits(onnx.Limits{RunBytes: 1 << 20}), rt.WithThreads(1))
	for range 4 {
		_, err := s.Run(t.Context(), onnx.Values{"x": f32([]int{8}, make([]float32, 8)...)})
		if !errors.Is(err, onnx.ErrLimit) || !strings.Contains(err.Error(), "Expand") {
			t.Fatalf("%v, want a limit at Expand", err)
		}
	}
}

// TestProgramAllocations: runs of shapes that have a program allocate nothing
// but outputs.
func TestProgramAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates and empties pools at random")
	}
	s := load(t, rated(), rt.WithThreads(1))
	in := ratedInputs(2, 4, 8000)
	steadyAllocations(t, s, in, 0)
	if n, _ := rt.Programs(s); n != 1 {
		t.Errorf("%d programs, want 1", n)
	}
}

// steadyAllocations counts what Run and RunInto allocate once all is warm.
func steadyAllocations(t *testing.T, s *rt.Session, in onnx.Values, into float64) {
	t.Helper()
	ctx := context.Background()
	var out onnx.Values
	for range 3 {
		var err error
		if out, err = s.Run(ctx, in); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(50, func() {
		if _, err := s.Run(ctx, in); err != nil {
			t.Fatal(err)
		}
	}); n > 2+3*float64(len(out))+into {
		t.Errorf("Run: %v allocations, want at most 2 and 3 an output", n)
	}
	if n := testing.AllocsPerRun(50, func() {
		if err := s.RunInto(ctx, in, out); err != nil {
			t.Fatal(err)
		}
	}); n > into {
		t.Errorf("RunInto: %v allocations, want %v", n, into)
	}
}
