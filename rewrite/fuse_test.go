package rewrite_test

import (
	"fmt"
	"math"
	"math/rand"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
	"github.com/recur-ml/recur/rewrite"
	"github.com/recur-ml/recur/runtime"
)

// written gives the nodes of a graph, and of those within, as text.
func written(g *onnx.Graph) string {
	var b strings.Builder
	nodes, _ := onnx.Sort(g)
	for _, n := range nodes {
		name := n.OpType
		if n.Domain != "" {
			name = n.Domain + ":" + name
		}
		fmt.Fprintf(&b, "%s = %s(%s)", strings.Join(n.Outputs, ", "), name, strings.Join(n.Inputs, ", "))
		for _, a := range n.Attributes {
			switch a.Type {
			case onnx.AttrFloat:
				fmt.Fprintf(&b, " %s=%g", a.Name, a.Float)
			case onnx.AttrInt:
				fmt.Fprintf(&b, " %s=%d", a.Name, a.Int)
			case onnx.AttrString:
				fmt.Fprintf(&b, " %s=%s", a.Name, a.String)
			case onnx.AttrStrings:
				fmt.Fprintf(&b, " %q", a.Strings)
			}
		}
		b.WriteString("\n")
		for _, sub := range n.Subgraphs() {
			b.WriteString("{\n" + written(sub) + "}\n")
		}
	}
	return b.String()
}

// fuseProblem is a model of X [2, 3, 4], Z of the same shape, V [2, 3, 1], N [n, 4],
// M [n, 4] U [?, 3, ?] and others, with constants.
func fuseProblem(t *testing.T, text string, outputs ...string) problem {
	t.Helper()
	inits := weightsOf(5, map[string][]int{"W": {4, 6}, "b": {6}, "b1": {1, 6}, "b4": {4}, "wide": {1, 1, 1, 6}, "G": {6, 4}, "column": {3, 1},
		"K": {5, 3, 2}, "Kb": {5}, "channels": {1, 5, 1}, "channels2": {5, 1}, "slope": {4}, "G4": {4, 4}, "depth": {3, 1, 2}, "dc": {3, 1}, "k3": {3}, "m3": {3}, "v3": {3}})
	for name, v := range numbers {
		inits[name] = v
	}
	inits["two"], inits["twoInt"] = onnx.Scalar(float32(2)), onnx.Scalar(int64(2))
	inits["s3"] = onnx.MustTensor([]int{3}, []float32{0.5, 0.1, 2})
	inits["i3"], inits["i5"] = onnx.MustTensor([]int{1}, []int64{3}), onnx.MustTensor([]int{1}, []int64{5})
	inits["zeros"] = onnx.MustTensor([]int{4}, make([]float32, 4))
	inits["tiny"] = onnx.Scalar(float32(1e-30))
	tinyK, minus := make([]float32, 5*3*2), make([]float32, 5)
	for i := range tinyK {
		tinyK[i] = 1e-30
	}
	for i := range minus {
		minus[i] = float32(math.Copysign(0, -1))
	}
	inits["tinyK"], inits["minus"] = onnx.MustTensor([]int{5, 3, 2}, tinyK), onnx.MustTensor([]int{1, 5, 1}, minus)
	inits["lo"], inits["hi"] = onnx.Scalar(float32(-0.5)), onnx.Scalar(float32(0.75))
	n := onnx.Dim{Value: -1, Name: "n"}
	in := []onnx.ValueInfo{
		{Name: "X", Type: onnx.TensorType(onnx.Float, onnx.FixedShape(2, 3, 4))},
		{Name: "Z", Type: onnx.TensorType(onnx.Float, onnx.FixedShape(2, 3, 4))},
		{Name: "V", Type: onnx.TensorType(onnx.Float, onnx.FixedShape(2, 3, 1))},
		{Name: "N", Type: onnx.TensorType(onnx.Float, onnx.Shape{n, onnx.Fixed(4)})},
		{Name: "M", Type: onnx.TensorType(onnx.Float, onnx.Shape{n, onnx.Fixed(4)})},
		{Name: "I", Type: onnx.TensorType(onnx.Int64, onnx.FixedShape(2))},
		{Name: "U", Type: onnx.TensorType(onnx.Float, onnx.Shape{onnx.UnknownDim, onnx.Fixed(3), onnx.UnknownDim})},
		{Name: "D", Type: onnx.TensorType(onnx.Double, onnx.FixedShape(2, 2))},
	}
	r := rand.New(rand.NewSource(9))
	values := onnx.Values{"I": onnx.MustTensor([]int{2}, []int64{3, 5}), "D": onnx.MustTensor([]int{2, 2}, []float64{1, 2, 3, 4})}
	for name, shape := range map[string][]int{"X": {2, 3, 4}, "Z": {2, 3, 4}, "V": {2, 3, 1}, "N": {7, 4}, "M": {7, 4}, "U": {2, 3, 9}} {
		values[name] = randomTensor(r, shape)
	}
	var out []onnx.ValueInfo
	for _, o := range outputs {
		out = append(out, onnx.ValueInfo{Name: o, Type: onnx.TensorType(onnx.Float, nil)})
	}
	g := graphOf(t, text, inits, in, out)
	for i, n := range g.Nodes {
		n.Name = fmt.Sprint("n", i)
	}
	return problem{&onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 15}}, Graph: g}, values}
}

// TestFuse: what is joined, and what is not. Lines of the wanted text that are
// left out are not looked at.
func TestFuse(t *testing.T) {
	for _, c := range []struct{ name, text, outputs, want string }{
		{"a dense layer", "p = MatMul(X, W)\ns = Add(p, b)\nY = Relu(s)", "Y", "Y = ai.recur:FusedMatMul(X, W, b) activation=Relu"},
		{"a dense layer with the bias first", "p = MatMul(X, W)\nY = Add(b, p)", "Y", "Y = ai.recur:FusedMatMul(X, W, b)"},
		{"a bias of ones before", "p = MatMul(X, W)\ns = Add(p, b1)\nY = Elu(s) alpha=0.5", "Y", "Y = ai.recur:FusedMatMul(X, W, b1) activation=Elu activation_alpha=0.5"},
		{"a bias of a higher rank", "p = MatMul(X, W)\nY = Add(p, wide)", "Y", "p = MatMul(X, W)\nY = Add(p, wide)"},
		{"a bias a row", "p = MatMul(X, W)\nY = Add(p, column)", "Y", "p = MatMul(X, W)\nY = Add(p, column)"},
		{"a sum of products", "p = MatMul(X, W)\nq = MatMul(Z, W)\ns = Add(p, q)\nY = Tanh(s)", "Y", `p = MatMul(X, W)
q = MatMul(Z, W)
Y = ai.recur:Elementwise(p, q) ["Add 0 1" "Tanh 2"]`},
		{"a product that is an output", "p = MatMul(X, W)\nY = Relu(p)", "p Y", "p = MatMul(X, W)\nY = Relu(p)"},
		{"a product with two readers", "p = MatMul(X, W)\ns = Add(p, b)\nY = Relu(s)\nQ = Abs(s)", "Y Q", "s = ai.recur:FusedMatMul(X, W, b)\nY = Relu(s)\nQ = Abs(s)"},
		{"an activation alone", "p = MatMul(N, W)\nY = HardSigmoid(p)", "Y", "Y = ai.recur:FusedMatMul(N, W) activation=HardSigmoid activation_alpha=0.2 activation_beta=0.5"},
		{"clipped", "p = MatMul(N, W)\nY = Clip(p, lo, hi)", "Y", "Y = ai.recur:FusedMatMul(N, W) activation=Clip activation_alpha=-0.5 activation_beta=0.75"},
		{"clipped on one side", "p = MatMul(N, W)\nY = Clip(p, _, hi)", "Y", "Y = ai.recur:FusedMatMul(N, W) activation=Clip activation_alpha=-3.4028235e+38 activation_beta=0.75"},
		{"clipped by what is computed", "p = MatMul(N, W)\nm = ReduceMax(X) keepdims=0\nY = Clip(p, lo, m)", "Y", "p = MatMul(N, W)"},
		{"Gemm", "p = Gemm(N, G, b) transB=1\nY = Sigmoid(p)", "Y", "Y = ai.recur:FusedGemm(N, G, b) transB=1 activation=Sigmoid"},
		{"Gemm and a bias", "p = Gemm(N, W)\ns = Add(p, b1)\nY = Sigmoid(s)", "Y", "Y = ai.recur:FusedGemm(N, W, b1) activation=Sigmoid"},
		{"Gemm and a second bias", "p = Gemm(N, W, b)\ns = Add(p, b1)\nY = Sigmoid(s)", "Y", "p = Gemm(N, W, b)"},
		{"Gemm that scales", "p = Gemm(N, W) alpha=0.3\ns = Add(p, b1)\nY = Sigmoid(s)", "Y", "p = Gemm(N, W) alpha=0.3"},
		{"Conv", "p = Conv(X, K, Kb)\nY = LeakyRelu(p)", "Y", "Y = ai.recur:FusedConv(X, K, Kb) activation=LeakyRelu activation_alpha=0.01"},
		{"Conv and a bias", "p = Conv(X, K)\ns = Add(p, channels)\nY = Relu(s)", "Y", "Y = ai.recur:FusedConv(X, K, channels/channels) activation=Relu"},
		{"Conv and a bias of a lower rank", "p = Conv(X, K)\nY = Add(channels2, p)", "Y", "Y = ai.recur:FusedConv(X, K, channels2/channels)"},
		{"Conv whose sums vanish, and a bias of -0", "x = Mul(X, tiny)\np = Conv(x, tinyK)\nY = Add(p, minus)", "Y", "p = Conv(x, tinyK)\nY = Add(p, minus)"},
		{"Conv of groups", "p = Conv(X, depth) group=3\nY = Add(p, dc)", "Y", "Y = ai.recur:FusedConv(X, depth, dc/channels) group=3"},
		{"doubles", "p = MatMul(D, D)\nq = Relu(p)\nY = Cast(q) to=1", "Y", "p = MatMul(D, D)\nq = Relu(p)\nY = Cast(q) to=1"},

		{"a chain", "a = Neg(X)\nb_ = Exp(a)\nY = Add(b_, f1)", "Y", `Y = ai.recur:Elementwise(X, f1) ["Neg 0" "Exp 2" "Add 3 1"]`},
		{"Swish", "a = Sigmoid(X)\nY = Mul(a, X)", "Y", `Y = ai.recur:Elementwise(X) ["Sigmoid 0" "Mul 1 0"]`},
		{"two ways that meet", "a = Sigmoid(X)\nb_ = Neg(a)\nc = Abs(a)\nd = Sub(b_, c)\nY = Mul(d, a)", "Y", `Y = ai.recur:Elementwise(X) ["Sigmoid 0" "Neg 1" "Abs 1" "Sub 2 3" "Mul 4 1"]`},
		{"a value that is read elsewhere", "a = Sigmoid(X)\nb_ = Neg(a)\nY = Mul(b_, X)\nQ = MatMul(a, W)", "Y Q", `Y = ai.recur:Elementwise(a, X) ["Neg 0" "Mul 2 1"]`},
		{"an output inside", "a = Sigmoid(X)\nY = Mul(a, X)", "a Y", "a = Sigmoid(X)\nY = Mul(a, X)"},
		{"a smaller value inside", "a = Exp(V)\nY = Mul(a, X)", "Y", "a = Exp(V)\nY = Mul(a, X)"},
		{"a smaller value outside", "a = Exp(X)\nc = Mul(V, a)\nY = Add(c, b4)", "Y", `Y = ai.recur:Elementwise(X, V, b4) ["Exp 0" "Mul 1 3" "Add 4 2"]`},
		{"sizes by name", "a = Sub(N, M)\nc = Mul(a, a)\nY = Sqrt(c)", "Y", `Y = ai.recur:Elementwise(N, M) ["Sub 0 1" "Mul 2 2" "Sqrt 3"]`},
		{"numbers", "a = LeakyRelu(X) alpha=0.3\nc = Elu(a)\nd = HardSigmoid(c) alpha=0.1\ne = Clip(d, lo, hi)\nY = PRelu(e, slope)", "Y",
			`Y = ai.recur:Elementwise(X, slope) ["LeakyRelu 0 alpha=0.3" "Elu 2 alpha=1" "HardSigmoid 3 alpha=0.1 beta=0.5" "Clip 4 alpha=-0.5 beta=0.75" "PRelu 5 1"]`},
		{"powers", "a = Pow(X, two)\nY = Sqrt(a)", "Y", `Y = ai.recur:Elementwise(X, two) ["Pow 0 1" "Sqrt 2"]`},
		{"powers of another type", "a = Pow(X, twoInt)\nY = Sqrt(a)", "Y", `Y = ai.recur:Elementwise(X, twoInt/float) ["Pow 0 1" "Sqrt 2"]`},
		{"parts of one size", "c = Conv(U, K)\na = Slice(c, i0, ax2, ax1)\ne = Slice(c, i3, i5, ax1)\nd = Mul(a, a)\ng = Mul(e, e)\nh = Add(d, g)\nY = Sqrt(h)", "Y", `Y = ai.recur:Elementwise(a, e) ["Mul 0 0" "Mul 1 1" "Add 2 3" "Sqrt 4"]`},
		{"a normalization", "a = BatchNormalization(X, k3, m3, v3, s3)\nY = PRelu(a, column)", "Y", `Y = ai.recur:Elementwise(X, a/factor, a/offset, column) ["Mul 0 1" "Add 4 2" "PRelu 5 3"]`},
		{"a normalization alone", "Y = BatchNormalization(X, k3, m3, v3, s3) momentum=1", "Y", `Y = ai.recur:Elementwise(X, Y/factor, Y/offset) ["Mul 0 1" "Add 3 2"]`},
		{"a normalization with what is computed", "m = ReduceMax(V) axes=0,2 keepdims=0\nY = BatchNormalization(X, k3, m, v3, s3)", "Y", "Y = BatchNormalization(X, k3, m, v3, s3)"},
		{"integers", "a = Add(I, I)\nc = Mul(a, I)\nY = Cast(c) to=1", "Y", "a = Add(I, I)\nc = Mul(a, I)\nY = Cast(c) to=1"},
		{"one node", "Y = Tanh(X)", "Y", "Y = Tanh(X)"},
		{"zeros that are added", "h = Tanh(X)\nY = Add(h, zeros)", "Y", "h = Tanh(X)\nY = Add(h, zeros)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := fuseProblem(t, c.text, strings.Fields(c.outputs)...)
			m := p.fuse(t)
			got := written(m.Graph)
			for _, line := range strings.Split(c.want, "\n") {
				if !slices.Contains(strings.Split(got, "\n"), line) {
					t.Errorf("there is no %q in\n%s", line, got)
				}
			}
		})
	}
}

// fuse applies all passes, and holds the results to the last bit against those
// without the pass fuse: with fused operators that are made of those that they
// stand for, and with the engines' own. The pass must change nothing the second
// time.
func (p problem) fuse(t *testing.T) *onnx.Model {
	t.Helper()
	if err := onnx.Check(p.model); err != nil {
		t.Fatalf("the test's model: %v", err)
	}
	o := rewrite.Options{Registry: composed(t)}
	m, err := rewrite.Apply(p.model, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := onnx.Check(m); err != nil {
		t.Fatalf("after the passes: %v", err)
	}
	again, err := rewrite.Apply(m, o)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := written(again.Graph), written(m.Graph); a != b {
		t.Errorf("a second rewriting gives\n%sfor\n%s", a, b)
	}
	for _, engine := range runtime.Engines() {
		e := runtime.WithEngine(engine)
		want := p.loadAndRun(t, e, runtime.WithPasses(rest()...))
		for kind, got := range map[string]onnx.Values{"composed": p.loadAndRun(t, e, runtime.WithRegistry(o.Registry)), "fused": p.loadAndRun(t, e)} {
			for name, v := range want {
				if !slices.Equal(got[name].(*onnx.Tensor).Bytes(), v.(*onnx.Tensor).Bytes()) {
					t.Errorf("%s, %s: %s: %v, want %v", engine, kind, name, got[name], v)
				}
			}
		}
	}
	return m
}

func (p problem) loadAndRun(t *testing.T, opts ...runtime.Option) onnx.Values {
	t.Helper()
	s, err := runtime.LoadModel(p.model, opts...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Run(t.Context(), p.in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// rest lists the optional passes but fuse.
func rest() []string {
	var names []string
	for _, p := range rewrite.Passes() {
		if !p.Required && p.Name != "fuse" {
			names = append(names, p.Name)
		}
	}
	return names
}

// composed gives a registry in which the fused operators are models of the
// operators that they stand for.
func composed(t *testing.T) *ops.Registry {
	t.Helper()
	r := ops.NewRegistry()
	seen := map[*ops.Op]bool{}
	for _, e := range ops.Default().Entries() {
		if e.Domain != "ai.recur" && !seen[e.Op] {
			seen[e.Op] = true
			if err := r.Register(*e.Op); err != nil {
				t.Fatal(err)
			}
		}
	}
	infer := func(n *ops.Node) error {
		n.SetTensor(0, onnx.Float, nil)
		return nil
	}
	for _, name := range []string{"FusedMatMul", "FusedGemm", "FusedConv", "Elementwise"} {
		if err := r.Register(ops.Op{Domain: "ai.recur", Name: name, Since: []int{1}, Infer: infer, Build: buildComposed}); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// buildComposed makes a kernel that runs a model of plain operators.
func buildComposed(n *ops.Node) (ops.Kernel, error) {
	g := &onnx.Graph{Name: "composed", Outputs: []onnx.ValueInfo{{Name: "Y", Type: onnx.TensorType(onnx.Float, nil)}}}
	values := make([]string, n.NumInputs())
	for i := range values {
		values[i] = fmt.Sprint("v", i)
		g.Inputs = append(g.Inputs, onnx.ValueInfo{Name: values[i], Type: onnx.TensorType(onnx.Float, nil)})
	}
	add := func(op string, attrs []*onnx.Attribute, inputs ...string) {
		v := fmt.Sprint("v", len(values))
		g.Nodes = append(g.Nodes, &onnx.Node{OpType: op, Inputs: inputs, Outputs: []string{v}, Attributes: attrs})
		values = append(values, v)
	}
	function := func(op string, alpha, beta *onnx.Attribute, in string) {
		if op != "Clip" {
			add(op, slices.DeleteFunc([]*onnx.Attribute{alpha, beta}, func(a *onnx.Attribute) bool { return a == nil }), in)
			return
		}
		for i, a := range []*onnx.Attribute{alpha, beta} {
			g.Initializers = append(g.Initializers, &onnx.Initializer{Name: fmt.Sprint(len(values), "bound", i), Tensor: onnx.Scalar(a.Float)})
		}
		add(op, nil, in, fmt.Sprint(len(values), "bound0"), fmt.Sprint(len(values), "bound1"))
	}
	number := func(name string, v float32) *onnx.Attribute {
		return &onnx.Attribute{Name: name, Type: onnx.AttrFloat, Float: v}
	}
	if steps := n.Strs("steps"); steps != nil {
		for _, step := range steps {
			words := strings.Fields(step)
			var in []string
			bounds := map[string]*onnx.Attribute{}
			for _, w := range words[1:] {
				if name, v, ok := strings.Cut(w, "="); ok {
					f, err := strconv.ParseFloat(v, 32)
					if err != nil {
						return nil, err
					}
					bounds[name] = number(name, float32(f))
					continue
				}
				i, err := strconv.Atoi(w)
				if err != nil || i >= len(values) {
					return nil, fmt.Errorf("step %q", step)
				}
				in = append(in, values[i])
			}
			if len(in) == 2 {
				add(words[0], nil, in...)
			} else {
				function(words[0], bounds["alpha"], bounds["beta"], in[0])
			}
		}
	} else {
		var attrs []*onnx.Attribute
		var alpha, beta *onnx.Attribute
		activation := ""
		for _, a := range n.Proto.Attributes {
			switch n.Attr(a.Name); a.Name {
			case "activation":
				activation = a.String
			case "activation_alpha":
				alpha = number("alpha", a.Float)
			case "activation_beta":
				beta = number("beta", a.Float)
			default:
				attrs = append(attrs, a)
			}
		}
		op, in := strings.TrimPrefix(n.Proto.OpType, "Fused"), slices.Clone(values)
		if op == "MatMul" {
			in = in[:2]
		}
		bias := len(values) == 3
		add(op, attrs, in...)
		if op == "MatMul" && bias {
			add("Add", nil, values[len(values)-1], values[2])
		}
		if activation != "" {
			function(activation, alpha, beta, values[len(values)-1])
		}
	}
	g.Nodes[len(g.Nodes)-1].Outputs[0] = "Y"
	s, err := runtime.LoadModel(&onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 15}}, Graph: g}, runtime.WithPasses(), runtime.WithEngine(n.Level().String()))
	if err != nil {
		return nil, err
	}
	return ops.KernelFunc(func(c *ops.Ctx, in, out []onnx.Value) error {
		values := onnx.Values{}
		for i, v := range in {
			values[fmt.Sprint("v", i)] = v
		}
		y, err := s.Run(nil, values)
		if err == nil {
			out[0] = y["Y"]
		}
		return err
	}), nil
}

// TestFuseWithin: bodies are fused too, what they read from outside stays, and
// the model imports the domain once.
func TestFuseWithin(t *testing.T) {
	for _, c := range []struct{ name, text, outputs, want string }{
		{"a loop", "body step(i:i64, c:b, h:f) -> (c, g, y:f)\np = MatMul(h, G4)\ns = Add(p, b4)\ng = Tanh(s)\na = Neg(g)\ny = Exp(a)\nend\nYl, Y = Loop(T, _, N) body=step", "Y Yl",
			"g = ai.recur:FusedMatMul(h, G4, b4) activation=Tanh\ny = ai.recur:Elementwise(g) [\"Neg 0\" \"Exp 1\"]"},
		{"what a body reads", "a = Neg(X)\nc = Exp(a)\nbody then() -> (p)\np = Abs(a)\nend\nbody other() -> (q)\nq = Abs(c)\nend\nk = ReduceMax(X) keepdims=0\nk1 = Greater(k, f0)\nY = If(k1) then_branch=then else_branch=other", "Y",
			"a = Neg(X)\nc = Exp(a)"},
		{"a branch", "a = Neg(X)\nbody then() -> (p)\np0 = Exp(a)\np = Abs(p0)\nend\nbody other() -> (q)\nq = Identity(Z)\nend\nk = ReduceMax(X) keepdims=0\nk1 = Greater(k, f0)\nY = If(k1) then_branch=then else_branch=other", "Y",
			"a = Neg(X)\np = ai.recur:Elementwise(a) [\"Exp 0\" \"Abs 1\"]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := fuseProblem(t, c.text, strings.Fields(c.outputs)...)
			m := p.fuse(t)
			got := written(m.Graph)
			for _, line := range strings.Split(c.want, "\n") {
				if !slices.Contains(strings.Split(got, "\n"), line) {
					t.Errorf("there is no %q in\n%s", line, got)
				}
			}
			want := 1
			if !strings.Contains(got, "ai.recur") {
				want = 0
			}
			if have := len(m.OpsetImports) - 1; have != want {
				t.Errorf("imports %v", m.OpsetImports)
			}
		})
	}
}

// TestFuseNames: a fused node has the name of the node of which it gives the
// result or the product, so that messages lead to the model's own.
func TestFuseNames(t *testing.T) {
	m := fuseProblem(t, "p = MatMul(X, W)\ns = Add(p, b)\nq = Relu(s)\na = Neg(q)\nc = Exp(a)\nY = Abs(c)", "Y").fuse(t)
	if a, b := m.Graph.Nodes[0].Name, m.Graph.Nodes[1].Name; a != "n0" || b != "n5" {
		t.Errorf("nodes %q and %q, want n0 and n5", a, b)
	}
}

// TestFuseWithoutOperators: a registry without the operators keeps the nodes.
func TestFuseWithoutOperators(t *testing.T) {
	p := fuseProblem(t, "a = Neg(X)\nY = Exp(a)", "Y")
	r := ops.NewRegistry()
	for _, name := range []string{"Neg", "Exp"} {
		op, _, err := ops.Default().Lookup("", name, 15)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Register(*op); err != nil {
			t.Fatal(err)
		}
	}
	m, err := rewrite.Apply(p.model, rewrite.Options{Registry: r})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Graph.Nodes) != 2 || len(m.OpsetImports) != 1 {
		t.Errorf("%s, imports %v", written(m.Graph), m.OpsetImports)
	}
}

// TestFuseKeepsStates: pairs of states are the same with and without the pass.
func TestFuseKeepsStates(t *testing.T) {
	text := "h = Unsqueeze(N, ax0)\nx = Transpose(X) perm=1,0,2\nYs, H = RNN(x, Wr, Rr, _, _, h) hidden_size=4\nH1 = Squeeze(H, ax0)\nS = Add(H1, zeros)\na = Squeeze(Ys, ax1)\nb_ = Neg(a)\nY = Exp(b_)"
	p := fuseProblem(t, text, "Y", "S")
	for name, v := range weightsOf(4, map[string][]int{"Wr": {1, 4, 4}, "Rr": {1, 4, 4}}) {
		p.model.Graph.Initializers = append(p.model.Graph.Initializers, &onnx.Initializer{Name: name, Tensor: v})
	}
	p.in["N"] = onnx.MustTensor([]int{2, 4}, make([]float32, 8))
	p.in["M"] = p.in["N"]
	m := p.fuse(t)
	if got := written(m.Graph); !strings.Contains(got, "S = Add(H1, zeros)") || !strings.Contains(got, "Y = ai.recur:Elementwise(a)") {
		t.Errorf("got\n%s", got)
	}
	var all [2][]runtime.StatePair
	for i, o := range []runtime.Option{runtime.WithPasses(rest()...), runtime.WithRegistry(composed(t))} {
		s, err := runtime.LoadModel(p.model, o)
		if err != nil {
			t.Fatal(err)
		}
		if all[i], err = s.StatePairs(); err != nil {
			t.Fatal(err)
		}
	}
	if len(all[0]) != 1 || !slices.Equal(all[0], all[1]) {
		t.Errorf("pairs %v without the pass, %v with it", all[0], all[1])
	}
}
