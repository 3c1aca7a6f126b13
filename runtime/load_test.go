package runtime_test

import (
	"fmt"
	"testing"

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
