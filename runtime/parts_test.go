package runtime_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
	rt "github.com/recur-ml/recur/runtime"
)

// TestParts takes parts of a value that are not copied where that is small: they
// stay what they are while the value and other parts are computed with in place,
// and after the value has died.
func TestParts(t *testing.T) {
	for _, n := range []int{3, 5000} {
		ints := func(name string, v ...int64) *onnx.Initializer {
			return &onnx.Initializer{Name: name, Tensor: i64([]int{len(v)}, v...)}
		}
		model := modelOf(&onnx.Graph{
			Inputs: []onnx.ValueInfo{value("x", onnx.Float, 1, 4, n)},
			Outputs: []onnx.ValueInfo{value("a", onnx.Float, 1, 2, n), value("b", onnx.Float, 1, n), value("c", onnx.Float, 1, 4, n),
				value("d", onnx.Float, 1, 1, n), value("e", onnx.Float, n, 1, 1), value("f", onnx.Float, 1, 1, n), value("g", onnx.Float, 1, 2, n)},
			Initializers: []*onnx.Initializer{ints("one", 1), ints("two", 2), ints("three", 3), ints("minus", -1), {Name: "i", Tensor: onnx.Scalar(int64(-2))}, {Name: "zero", Tensor: i64([]int{1, 1}, 0)}},
			Nodes: []*onnx.Node{
				op("Neg", "x", "v"),
				op("Slice", "v one three one", "p"), // rows 1 and 2
				op("Gather", "v i", "q", intAttr("axis", 1)),
				op("Split", "v", "s0 s1", intAttr("axis", 1)),
				op("Neg", "p", "a"),
				op("Slice", "p one two one", "r"), // a part of a part
				op("Exp", "q", "b"),
				op("Abs", "v", "c"), // the last to read v
				op("Slice", "s1 minus three one", "u"),
				op("Exp", "u", "d"),
				op("Unsqueeze", "q one", "w"),
				op("Gather", "w zero", "w2", intAttr("axis", 1)),
				op("Transpose", "q", "tq", intsAttr("perm", 1, 0)),
				op("Unsqueeze", "tq two", "tq2"),
				op("Neg", "tq2", "e"),
				op("Neg", "r", "f"),
				op("Neg", "s0", "s0n"),
				op("Neg", "s0n", "g"),
			},
		})
		x := make([]float32, 4*n)
		for i := range x {
			x[i] = float32(i%97) / 8
		}
		in := onnx.Values{"x": f32([]int{1, 4, n}, x...)}
		s := load(t, model, rt.WithPasses(), rt.WithThreads(1))
		for range 4 {
			out, err := s.Run(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			for i := range n {
				at := func(name string, k int) float32 { return onnx.Elements[float32](out[name].(*onnx.Tensor))[k] }
				for _, c := range []struct {
					name string
					k    int
					want float32
				}{{"a", i, x[n+i]}, {"a", n + i, x[2*n+i]}, {"c", 3*n + i, x[3*n+i]}, {"e", i, x[2*n+i]}, {"f", i, x[2*n+i]}, {"g", n + i, -x[n+i]}} {
					if have := at(c.name, c.k); have != c.want {
						t.Fatalf("n = %d: %s[%d] is %v, want %v", n, c.name, c.k, have, c.want)
					}
				}
				if at("b", i) != at("b", i) || at("b", i) > 1 || at("d", i) > 1 {
					t.Fatalf("n = %d: b[%d] is %v, d %v, want e to negative numbers", n, i, at("b", i), at("d", i))
				}
			}
		}
	}
}

// TestKeptOperands runs an Elementwise whose constants are repeated along other
// axes: once for all runs of one shape, and anew for another.
func TestKeptOperands(t *testing.T) {
	build := func(fused bool) *onnx.Model {
		g := &onnx.Graph{
			Inputs:       []onnx.ValueInfo{value("x", onnx.Float, "n", 8, 3)},
			Outputs:      []onnx.ValueInfo{value("y", onnx.Float, "n", 8, 3)},
			Initializers: []*onnx.Initializer{{Name: "k", Tensor: f32([]int{8, 1}, 1, 2, 3, 4, 5, 6, 7, 8)}, {Name: "l", Tensor: f32([]int{3}, .1, .2, .3)}},
			Nodes:        []*onnx.Node{op("Mul", "x k", "v"), op("Add", "v l", "y")},
		}
		if fused {
			n := op("Elementwise", "x k l", "y", &onnx.Attribute{Name: "steps", Type: onnx.AttrStrings, Strings: []string{"Mul 0 1", "Add 3 2"}})
			n.Domain = "ai.recur"
			g.Nodes = []*onnx.Node{n}
		}
		m := modelOf(g)
		m.OpsetImports = append(m.OpsetImports, onnx.OpsetImport{Domain: "ai.recur", Version: 1})
		return m
	}
	for _, programs := range []int{0, rt.DefaultPrograms} {
		plain, fused := load(t, build(false), rt.WithPasses()), load(t, build(true), rt.WithPasses(), rt.WithPrograms(programs))
		for _, n := range []int{1, 2, 1, 1, 1, 1, 300, 1, 2, 2, 0, 2} {
			x := make([]float32, n*24)
			for i := range x {
				x[i] = float32(i) / 7
			}
			in := onnx.Values{"x": f32([]int{n, 8, 3}, x...)}
			want, err := plain.Run(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			have, err := fused.Run(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			sameBits(t, fmt.Sprintf("%d programs, n = %d", programs, n), have, want)
		}
	}
}

// TestViewers looks at which kernels an engine may do without.
func TestViewers(t *testing.T) {
	shape := func(v ...int64) *onnx.Initializer {
		return &onnx.Initializer{Name: "s", Tensor: i64([]int{len(v)}, v...)}
	}
	for name, c := range map[string]struct {
		node  *onnx.Node
		batch any
		want  bool
	}{
		"Reshape":               {op("Reshape", "x s", "y"), 2, true},
		"of an open dimension":  {op("Reshape", "x s", "y"), "n", false},
		"to a shape that comes": {op("Reshape", "x r", "y"), 2, false},
		"Flatten":               {op("Flatten", "x", "y"), 2, true},
		"Transpose":             {op("Transpose", "x", "y", intsAttr("perm", 0, 2, 1)), 2, true},
		"Transpose that moves":  {op("Transpose", "x", "y", intsAttr("perm", 2, 1, 0)), 2, false},
	} {
		viewers := 0
		r := ops.NewRegistry()
		for _, since := range []int{13, 14} {
			o, _, err := ops.Default().Lookup("", c.node.OpType, since)
			if err != nil {
				t.Fatal(err)
			}
			spy := *o
			spy.Build = func(n *ops.Node) (ops.Kernel, error) {
				k, err := o.Build(n)
				if _, ok := k.(ops.Viewer); ok {
					viewers++
				}
				return k, err
			}
			if r.Register(spy) != nil {
				continue // 13 and 14 are in one row
			}
		}
		g := &onnx.Graph{Inputs: []onnx.ValueInfo{value("x", onnx.Float, c.batch, 1, 3), value("r", onnx.Int64, 2)}, Outputs: []onnx.ValueInfo{value("y", onnx.Float)},
			Initializers: []*onnx.Initializer{shape(0, -1)}, Nodes: []*onnx.Node{c.node}}
		g.Outputs[0].Type.Shape = nil
		s := load(t, modelOf(g), rt.WithRegistry(r), rt.WithPasses())
		if viewers > 0 != c.want {
			t.Errorf("%s: a view is known at load: %v, want %v", name, viewers > 0, c.want)
		}
		out, err := s.Run(t.Context(), onnx.Values{"x": f32([]int{2, 1, 3}, 1, 2, 3, 4, 5, 6), "r": i64([]int{2}, 2, 3)})
		if err != nil || out["y"].(*onnx.Tensor).Len() != 6 {
			t.Errorf("%s: %v, %v", name, out, err)
		}
	}
}

// TestSmallParts: a few elements do not hold the large value that they were
// taken from.
func TestSmallParts(t *testing.T) {
	const n, rounds = 1 << 18, 16 // 1 MiB each
	g := &onnx.Graph{
		Inputs:  []onnx.ValueInfo{value("x", onnx.Float, n)},
		Outputs: []onnx.ValueInfo{value("y", onnx.Float, 8*rounds)},
		Initializers: []*onnx.Initializer{
			{Name: "start", Tensor: i64([]int{1}, n/2)}, {Name: "end", Tensor: i64([]int{1}, n/2+8)},
		},
	}
	var parts []string
	for i := range rounds {
		large, part := fmt.Sprintf("large%d", i), fmt.Sprintf("part%d", i)
		g.Nodes = append(g.Nodes, op("Neg", "x", large), op("Slice", large+" start end", part))
		parts = append(parts, part)
	}
	g.Nodes = append(g.Nodes, op("Concat", strings.Join(parts, " "), "y", intAttr("axis", 0)))
	s := load(t, modelOf(g), rt.WithPasses(), rt.WithThreads(1), rt.WithPrograms(0), rt.WithLimits(onnx.Limits{RunBytes: 6 << 20}))
	if _, err := s.Run(t.Context(), onnx.Values{"x": f32([]int{n}, make([]float32, n)...)}); err != nil {
		t.Error(err)
	}
}

// TestSequenceOfParts gathers a few elements of each of many values in a sequence,
// which does not hold the values.
func TestSequenceOfParts(t *testing.T) {
	seq := onnx.Type{Kind: onnx.KindSequence, Of: &onnx.Type{Kind: onnx.KindTensor, Elem: onnx.Float}}
	body := &onnx.Graph{Name: "b",
		Inputs:  []onnx.ValueInfo{value("i", onnx.Int64), value("cin", onnx.Bool), {Name: "s", Type: seq}},
		Outputs: []onnx.ValueInfo{value("cout", onnx.Bool), {Name: "s2", Type: seq}},
		Nodes: []*onnx.Node{
			op("Identity", "cin", "cout"),
			op("Cast", "i", "f", intAttr("to", 1)),
			op("Add", "x f", "v"),
			op("Gather", "v four", "p"),
			op("SequenceInsert", "s p", "s2"),
		}}
	g := &onnx.Graph{Name: "g", Inputs: []onnx.ValueInfo{value("x", onnx.Float, 8192), value("n", onnx.Int64)}, Outputs: []onnx.ValueInfo{value("y", onnx.Float, "k")},
		Initializers: []*onnx.Initializer{{Name: "four", Tensor: i64([]int{1}, 4)}, {Name: "true", Tensor: onnx.Scalar(true)}},
		Nodes: []*onnx.Node{
			op("SequenceEmpty", "", "e"),
			op("Loop", "n true e", "s", graphAttr("body", body)),
			op("ConcatFromSequence", "s", "y", intAttr("axis", 0)),
		}}
	for _, o := range [][]rt.Option{nil, {rt.WithPasses()}} {
		s := load(t, modelOf(g), append(o, rt.WithLimits(onnx.Limits{RunBytes: 32 << 20}))...)
		for range 2 {
			out, err := s.Run(t.Context(), onnx.Values{"x": f32([]int{8192}, make([]float32, 8192)...), "n": onnx.Scalar(int64(3000))})
			if err != nil {
				t.Fatal(err)
			}
			have, _ := onnx.Data[float32](out["y"])
			for i := range have {
				if have[i] != float32(i) {
					t.Fatalf("y[%d] is %v", i, have[i])
				}
			}
		}
	}
}

// TestPartsHaveALayout splits a value in halves whose memory is rounded up where a
// run takes buffers: whether a part is copied does not hang on that, or a layout
// would not fit the runs after the one that it was made of.
func TestPartsHaveALayout(t *testing.T) {
	for _, n := range []int{16 << 10, 37 << 10, 50000, 100000} {
		g := &onnx.Graph{
			Inputs:  []onnx.ValueInfo{value("x", onnx.Float, 2, n)},
			Outputs: []onnx.ValueInfo{value("y", onnx.Float, 1, n)},
			Nodes: []*onnx.Node{op("Neg", "x", "v"), op("Split", "v", "a b", intAttr("axis", 0)), op("ReduceMax", "a", "c"),
				op("Sub", "b c", "d"), op("Mul", "a d", "y")},
		}
		s := load(t, modelOf(g), rt.WithPasses(), rt.WithThreads(1))
		in := onnx.Values{"x": f32([]int{2, n}, make([]float32, 2*n)...)}
		for range 8 {
			if _, err := s.Run(t.Context(), in); err != nil {
				t.Fatal(err)
			}
		}
		if made, has := rt.Layouts(s); made != 1 || !has {
			t.Errorf("n = %d: %d layouts were made, and it has one: %v", n, made, has)
		}
	}
}
