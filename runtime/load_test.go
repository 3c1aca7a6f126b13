package runtime_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"unsafe"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
	rt "github.com/recur-ml/recur/runtime"
)

// TestNestedBranchesAreInferredOnce loads branches within branches and counts
// how often their nodes are inferred: a few times, however deep they stand.
func TestNestedBranchesAreInferredOnce(t *testing.T) {
	for name, passes := range map[string][]rt.Option{"all": nil, "none": {rt.WithPasses()}} {
		for _, depth := range []int{1, 12} {
			count := 0
			r := ops.Default().Clone()
			err := r.Register(ops.Op{Domain: "test", Name: "Count", Since: []int{1},
				Infer: func(n *ops.Node) error { count++; n.Set(0, n.In(0).Type); return nil },
				Build: func(n *ops.Node) (ops.Kernel, error) {
					return ops.KernelFunc(func(c *ops.Ctx, in, out []onnx.Value) error { out[0] = in[0]; return nil }), nil
				}})
			if err != nil {
				t.Fatal(err)
			}
			var nodes []*onnx.Node
			result := ""
			for d := range depth {
				branch := func(side string) *onnx.Graph {
					out := fmt.Sprint(side, d)
					counted := op("Count", "x", out)
					counted.Domain = "test"
					g := &onnx.Graph{Name: out, Nodes: append([]*onnx.Node{counted}, nodes...), Outputs: []onnx.ValueInfo{{Name: out}}}
					if side == "else" || result == "" {
						g.Nodes = g.Nodes[:1]
					} else {
						g.Outputs[0].Name = result
					}
					return g
				}
				then, other := branch("then"), branch("else")
				result = fmt.Sprint("y", d)
				nodes = []*onnx.Node{op("If", "c", result, graphAttr("then_branch", then), graphAttr("else_branch", other))}
			}
			m := modelOf(&onnx.Graph{Name: "g", Nodes: nodes, Inputs: []onnx.ValueInfo{value("c", onnx.Bool), value("x", onnx.Float, 2)}, Outputs: []onnx.ValueInfo{value(result, onnx.Float, 2)}})
			m.OpsetImports = append(m.OpsetImports, onnx.OpsetImport{Domain: "test", Version: 1})
			s := load(t, m, append(passes, rt.WithRegistry(r))...)
			out, err := s.Run(t.Context(), onnx.Values{"c": onnx.Scalar(true), "x": f32([]int{2}, 3, 4)})
			if got, _ := onnx.Data[float32](out[result]); err != nil || len(got) != 2 || got[1] != 4 {
				t.Errorf("%v, %v, want [3 4]", got, err)
			}
			if nodes := 2 * depth; count > 5*nodes {
				t.Errorf("passes %s: %d nodes at depths up to %d are inferred %d times", name, nodes, depth, count)
			}
		}
	}
}

// TestLoadTakesItsModel: a model that was decoded for a session is rewritten
// where it is, to the same as a copy.
func TestLoadTakesItsModel(t *testing.T) {
	twice := &onnx.Function{Domain: "my", Name: "Twice", Inputs: []string{"a"}, Outputs: []string{"b"}, OpsetImports: []onnx.OpsetImport{{Domain: "ai.onnx", Version: 17}},
		Nodes: []*onnx.Node{{OpType: "Add", Domain: "ai.onnx", Inputs: []string{"a", "a"}, Outputs: []string{"b"}}}}
	call := func(in, out string) *onnx.Node {
		n := op("Twice", in, out)
		n.Domain = "my"
		return n
	}
	neg := op("Neg", "x", "n")
	neg.Domain = "ai.onnx"
	then := &onnx.Graph{Name: "then", Nodes: []*onnx.Node{call("x", "t")}, Outputs: []onnx.ValueInfo{{Name: "t"}}}
	other := &onnx.Graph{Name: "else", Nodes: []*onnx.Node{neg, call("n", "e")}, Outputs: []onnx.ValueInfo{{Name: "e"}}}
	m := modelOf(&onnx.Graph{Name: "g", Inputs: []onnx.ValueInfo{value("c", onnx.Bool), value("x", onnx.Float, 2)}, Outputs: []onnx.ValueInfo{value("y", onnx.Float, 2)},
		Nodes: []*onnx.Node{op("If", "c", "y", graphAttr("then_branch", then), graphAttr("else_branch", other))}})
	m.OpsetImports = []onnx.OpsetImport{{Domain: "ai.onnx", Version: 17}, {Domain: "my", Version: 1}}
	m.Functions = []*onnx.Function{twice}
	encoded := func(m *onnx.Model) string {
		data, err := onnx.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	data := encoded(m)
	taken, err := rt.LoadBytes([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	copied := load(t, m)
	if encoded(taken.Model()) != encoded(copied.Model()) {
		t.Error("the models that run differ")
	}
	if encoded(m) != data {
		t.Error("the caller's model was modified")
	}
	for _, s := range []*rt.Session{taken, copied} {
		out, err := s.Run(t.Context(), onnx.Values{"c": onnx.Scalar(false), "x": f32([]int{2}, 3, 4)})
		if got, _ := onnx.Data[float32](out["y"]); err != nil || len(got) != 2 || got[1] != -8 {
			t.Errorf("%v, %v, want [-6 -8]", got, err)
		}
	}
}

// TestFunctionsOfGraphs calls functions with graphs for attributes, each used
// several times: one that captures what the caller's values are called, of which
// the function has one of that name, and defaults.
func TestFunctionsOfGraphs(t *testing.T) {
	body := func(nodes ...*onnx.Node) *onnx.Attribute {
		return graphAttr("body", &onnx.Graph{Name: "b", Nodes: nodes, Initializers: []*onnx.Initializer{initOf("k", f32([]int{1}, 3))}, Outputs: []onnx.ValueInfo{{Name: "o"}}})
	}
	ref := func(name string) *onnx.Attribute {
		return &onnx.Attribute{Name: name, Type: onnx.AttrGraph, RefName: "body"}
	}
	for name, c := range map[string]struct {
		given, other *onnx.Attribute
		want         float32
	}{
		"given":    {given: body(op("Neg", "k", "o")), want: -6 + 5},
		"captures": {given: body(op("Mul", "k x", "o")), want: 2*3*5 + 5},
		"default":  {other: body(op("Neg", "k", "o")), want: -6 + 5},
	} {
		f := &onnx.Function{Domain: "my", Name: "F", Inputs: []string{"c", "a"}, Outputs: []string{"y"}, OpsetImports: []onnx.OpsetImport{{Version: 17}},
			Nodes: []*onnx.Node{
				op("If", "c", "u", ref("then_branch"), ref("else_branch")),
				op("Constant", "", "d", &onnx.Attribute{Name: "value", Type: onnx.AttrTensor, Tensor: onnx.Scalar(false)}),
				op("If", "d", "x", ref("then_branch"), ref("else_branch")),
				op("Sum", "u x a", "y"),
			}}
		call := op("F", "c x", "y")
		call.Domain = "my"
		if f.Defaults = []*onnx.Attribute{c.other}; c.other == nil {
			f.Defaults, f.Attributes, call.Attributes = nil, []string{"body"}, []*onnx.Attribute{c.given}
		}
		m := modelOf(&onnx.Graph{Name: "g", Inputs: []onnx.ValueInfo{value("c", onnx.Bool), value("x", onnx.Float, 1)}, Outputs: []onnx.ValueInfo{value("y", onnx.Float, 1)}, Nodes: []*onnx.Node{call}})
		m.OpsetImports = append(m.OpsetImports, onnx.OpsetImport{Domain: "my", Version: 1})
		m.Functions = []*onnx.Function{f}
		before, err := onnx.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, passes := range [][]rt.Option{nil, {rt.WithPasses()}} {
			copied, err := rt.LoadModel(m, passes...)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if after, err := onnx.Encode(m); err != nil || string(after) != string(before) {
				t.Errorf("%s: the caller's model was modified", name)
			}
			taken, err := rt.LoadBytes(before, passes...)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for _, s := range []*rt.Session{copied, taken} {
				out, err := s.Run(t.Context(), onnx.Values{"c": onnx.Scalar(true), "x": f32([]int{1}, 5)})
				if got, _ := onnx.Data[float32](out["y"]); err != nil || len(got) != 1 || got[0] != c.want {
					t.Errorf("%s: %v, %v, want %v", name, got, err, c.want)
				}
			}
		}
	}
}

// TestFunctionsThatGrow loads small models of which functions make large ones: a
// graph that each function uses twice in the one that it gives to the next, and
// a node of many inputs in a function that is called often.
func TestFunctionsThatGrow(t *testing.T) {
	model := func(nodes []*onnx.Node, functions ...*onnx.Function) *onnx.Model {
		m := modelOf(&onnx.Graph{Name: "g", Inputs: []onnx.ValueInfo{value("c", onnx.Bool)}, Outputs: []onnx.ValueInfo{value("y", onnx.Bool)}, Nodes: nodes})
		m.OpsetImports, m.Functions = append(m.OpsetImports, onnx.OpsetImport{Domain: "my", Version: 1}), functions
		for _, f := range functions {
			f.Domain, f.OpsetImports = "my", m.OpsetImports
		}
		return m
	}
	call := func(name, out string, attrs ...*onnx.Attribute) *onnx.Node {
		n := op(name, "c", out, attrs...)
		n.Domain = "my"
		return n
	}
	graph := func(n *onnx.Node) *onnx.Attribute {
		return graphAttr("body", &onnx.Graph{Name: "b", Nodes: []*onnx.Node{n}, Outputs: []onnx.ValueInfo{{Name: n.Outputs[0]}}})
	}
	var doubling []*onnx.Function
	for d := range 30 {
		branch := op("If", "c", "o")
		for _, name := range []string{"then_branch", "else_branch"} {
			branch.Attributes = append(branch.Attributes, &onnx.Attribute{Name: name, Type: onnx.AttrGraph, RefName: "body"})
		}
		f := &onnx.Function{Name: fmt.Sprint("F", d), Inputs: []string{"c"}, Outputs: []string{"o"}, Attributes: []string{"body"}, Nodes: []*onnx.Node{branch}}
		if d < 29 {
			branch.Outputs[0] = "i"
			f.Nodes = []*onnx.Node{call(fmt.Sprint("F", d+1), "o", graph(branch))}
		}
		doubling = append(doubling, f)
	}
	many := op("Xor", "c c", "o")
	wide := &onnx.Node{OpType: "Wide", Domain: "other", Inputs: slices.Repeat([]string{"c"}, 10_000), Outputs: []string{"w"}}
	var calls []*onnx.Node
	for i := range 500 {
		calls = append(calls, call("G", fmt.Sprint("y", i)))
	}
	calls[0].Outputs[0] = "y"
	often := model(calls, &onnx.Function{Name: "G", Inputs: []string{"c"}, Outputs: []string{"o"}, Nodes: []*onnx.Node{wide, many}})
	often.OpsetImports = append(often.OpsetImports, onnx.OpsetImport{Domain: "other", Version: 1})
	for name, m := range map[string]*onnx.Model{"doubling": model([]*onnx.Node{call("F0", "y", graph(op("Not", "c", "n")))}, doubling...), "often": often} {
		if _, err := rt.LoadModel(m, rt.WithLimits(onnx.Limits{Nodes: 5000})); !errors.Is(err, onnx.ErrLimit) {
			t.Errorf("%s: error %v, want one of a limit", name, err)
		}
	}
}

// TestConvBiasIsAligned fuses a bias of another shape into a convolution, which
// lies anywhere in the file: what a caller gets of it is aligned.
func TestConvBiasIsAligned(t *testing.T) {
	g := &onnx.Graph{Name: "g", Inputs: []onnx.ValueInfo{value("x", onnx.Float, 1, 2, 5)}, Outputs: []onnx.ValueInfo{value("y", onnx.Float, 1, 3, 3)},
		Initializers: []*onnx.Initializer{initOf("w", f32([]int{3, 2, 3}, floats(18, func(i int) float32 { return float32(i) })...)), initOf("b", f32([]int{1, 3, 1}, 1, 2, 3))},
		Nodes:        []*onnx.Node{op("Conv", "x w", "v"), op("Add", "v b", "y")}}
	data, err := onnx.Encode(modelOf(g))
	if err != nil {
		t.Fatal(err)
	}
	for at := range 4 {
		s, err := rt.LoadBytes(append(make([]byte, at, len(data)+8), data...)[at:])
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, init := range s.Model().Graph.Initializers {
			v, err := onnx.Data[float32](init.Tensor)
			found = found || len(v) == 3 && init.Tensor.Rank() == 1
			if err != nil || uintptr(unsafe.Pointer(unsafe.SliceData(v)))%4 != 0 {
				t.Errorf("%q lies at %p, %v", init.Name, v, err)
			}
		}
		if !found {
			t.Error("the bias is not one of the convolution")
		}
	}
}

// TestMalformedAroundCells loads models that are refused for a node beside a
// recurrent one, which passes look at before.
func TestMalformedAroundCells(t *testing.T) {
	none := onnx.MustTensor([]int{0}, []float32{})
	for name, n := range map[string]*onnx.Node{
		"a negative axis": op("ReverseSequence", "x l", "v", intAttr("time_axis", -1), intAttr("batch_axis", 0)),
		"no value":        op("ConstantOfShape", "s", "h", tensorAttr("value", none)),
	} {
		cell := op("RNN", "x w w", "y", intAttr("hidden_size", 2))
		if n.Outputs[0] == "h" {
			cell.Inputs = append(cell.Inputs, "", "", "h")
		} else {
			cell.Inputs[0] = "v"
		}
		_, err := rt.LoadModel(modelOf(&onnx.Graph{Name: "g", Inputs: []onnx.ValueInfo{value("x", onnx.Float, 3, 1, 2), value("l", onnx.Int64, 1), value("s", onnx.Int64, 3)}, Outputs: []onnx.ValueInfo{value("y", onnx.Float, 3, 1, 1, 2)},
			Initializers: []*onnx.Initializer{initOf("w", f32([]int{1, 2, 2}, 1, 2, 3, 4))}, Nodes: []*onnx.Node{n, cell}}))
		if err == nil || errors.Is(err, rt.ErrInternal) {
			t.Errorf("%s: error %.300v, want a refusal", name, err)
		}
	}
}
