package rewrite_test

import (
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/rewrite"
)

// The sizes of the tests' layers.
const (
	steps, rows, columns, units = 5, 3, 3, 4
)

// stepCell is a cell's step in nodes: x, h and c become hn and cn.
type stepCell struct {
	name   string
	nodes  string
	memory bool // has c
	want   string
}

var weightShapes = map[string][]int{
	"K": {columns, 16}, "R": {units, 16}, "bias": {16}, "K1": {columns, 4}, "R1": {units, 4}, "bias1": {4},
	"K3": {columns, 12}, "R3": {units, 12}, "bias3": {12}, "rbias3": {12}, "KR": {columns + units, 16},
	"KR2": {columns + units, 8}, "bias2": {8}, "KR1": {columns + units, 4}, "pi": {4}, "pf": {4}, "po": {4}, "gamma": {4},
}

const lstmGates = `
a = MatMul(x, K)
b = MatMul(h, R)
ab = Add(a, b)
s = Add(ab, bias)
i, f, g, o = Split(s) axis=-1
`

const lstmRest = `
fc = Mul(sf, c)
ig = Mul(si, tg)
cn = Add(fc, ig)
tc = Tanh(cn)
hn = Mul(so, tc)
`

const gruAfter = `
xp = MatMul(x, K3)
xb = Add(xp, bias3)
hp = MatMul(h, R3)
hb = Add(hp, rbias3)
xz, xr, xh = Split(xb) axis=-1
hz, hr, hh = Split(hb) axis=1
az = Add(xz, hz)
ar = Add(xr, hr)
r = Sigmoid(ar)
z = Sigmoid(az)
rh = Mul(r, hh)
ah = Add(xh, rh)
n = Tanh(ah)
`

var stepCells = []stepCell{
	{"rnn", "a = MatMul(x, K1)\nb = MatMul(h, R1)\nab = Add(a, bias1)\ns = Add(ab, b)\nhn = Tanh(s)", false, "RNN"},
	{"linear rnn without bias", "a = MatMul(x, K1)\nb = MatMul(h, R1)\nhn = Add(a, b)", false, "RNN"},
	{"rnn of a joined product", "xh = Concat(x, h) axis=1\na = MatMul(xh, KR1)\nhn = LeakyRelu(a) alpha=0.3", false, "RNN"},
	{"leaky rnn in parts", "a = MatMul(x, K1)\nb = MatMul(h, R1)\ns = Add(a, b)\nq = Mul(s, small)\nhn = Max(s, q)", false, "RNN"},
	{"elu rnn", "a = MatMul(x, K1)\nb = MatMul(h, R1)\ns = Add(a, b)\nhn = Elu(s) alpha=0.5", false, "RNN"},
	{"selu rnn", "a = MatMul(x, K1)\nb = MatMul(h, R1)\ns = Add(a, b)\nhn = Selu(s)", false, ""},
	{"lstm", lstmGates + "si = Sigmoid(i)\nsf = Sigmoid(f)\ntg = Tanh(g)\nso = Sigmoid(o)" + lstmRest, true, "LSTM"},
	{"lstm of TensorFlow 1", `
xh = Concat(x, h) axis=1
pre = MatMul(xh, KR)
s = Add(pre, bias)
i, g, f, o = Split(s) axis=1
fb = Add(f, f1)
si = Sigmoid(i)
sf = Sigmoid(fb)
tg = Tanh(g)
so = Sigmoid(o)` + lstmRest, true, "LSTM"},
	{"lstm with peepholes", lstmGates + `
qi = Mul(c, pi)
qf = Mul(pf, c)
ii = Add(i, qi)
ff = Add(f, qf)
si = Sigmoid(ii)
sf = Sigmoid(ff)
tg = Tanh(g)
fc = Mul(sf, c)
ig = Mul(si, tg)
cn = Add(fc, ig)
qo = Mul(cn, po)
oo = Add(o, qo)
so = Sigmoid(oo)
tc = Tanh(cn)
hn = Mul(so, tc)`, true, "LSTM"},
	{"coupled lstm", lstmGates + "si = Sigmoid(i)\nsf = Sub(f1, si)\ntg = Tanh(g)\nso = Sigmoid(o)" + lstmRest, true, "LSTM"},
	{"lstm with Keras 3's hard_sigmoid and relu", lstmGates + `
i3 = Add(i, f3)
ic = Clip(i3, f0, f6)
si = Mul(ic, sixth)
f33 = Add(f, f3)
fm = Min(f33, f6)
fx = Max(fm, f0)
sf = Div(fx, f6)
o3 = Add(o, f3)
oc = Clip(o3, f0, f6)
so = Mul(oc, sixth)
tg = Relu(g)
fc = Mul(sf, c)
ig = Mul(si, tg)
cn = Add(fc, ig)
tc = Relu(cn)
hn = Mul(so, tc)`, true, "LSTM"},
	{"lstm with Keras 2's hard_sigmoid in parts", lstmGates + `
i2 = Mul(i, fifth)
i3 = Add(i2, half)
si = Clip(i3, f0, f1)
f2 = Mul(fifth, f)
f33 = Add(half, f2)
sf = Clip(f33, f0, f1)
so = HardSigmoid(o) alpha=0.2 beta=0.5
tg = Softsign(g)
fc = Mul(sf, c)
ig = Mul(si, tg)
cn = Add(fc, ig)
hn = Mul(so, cn)`, true, "LSTM"},
	{"lstm with a clipped cell", lstmGates + `
si = Sigmoid(i)
sf = Sigmoid(f)
tg = Tanh(g)
so = Sigmoid(o)
fc = Mul(sf, c)
ig = Mul(si, tg)
cu = Add(fc, ig)
cn = Clip(cu, f0, half)
tc = Tanh(cn)
hn = Mul(so, tc)`, true, ""},
	{"lstm with different gate functions", lstmGates + "si = Sigmoid(i)\nsf = HardSigmoid(f)\ntg = Tanh(g)\nso = Sigmoid(o)" + lstmRest, true, ""},
	{"gru, reset after", gruAfter + "zh = Mul(z, h)\nu = Sub(f1, z)\nun = Mul(u, n)\nhn = Add(zh, un)", false, "GRU"},
	{"gru, the other orientation", gruAfter + "zn = Mul(z, n)\nu = Sub(f1, z)\nuh = Mul(u, h)\nhn = Add(zn, uh)", false, "GRU"},
	{"gru, reset before", `
xh = Concat(x, h) axis=1
pre = MatMul(xh, KR2)
pb = Add(pre, bias2)
s = Sigmoid(pb)
r, z = Split(s) axis=1
rh = Mul(r, h)
xrh = Concat(x, rh) axis=1
q = MatMul(xrh, KR1)
qb = Add(q, bias1)
n = Tanh(qb)
zh = Mul(z, h)
u = Sub(f1, z)
un = Mul(u, n)
hn = Add(zh, un)`, false, "GRU"},
	{"gru with a scaled candidate", gruAfter + "nn = Mul(n, gamma)\nzh = Mul(z, h)\nu = Sub(f1, z)\nun = Mul(u, nn)\nhn = Add(zh, un)", false, ""},
}

// loopForm writes a cell as a loop of a kind.
type loopForm struct {
	name  string
	write func(c stepCell) string // the model's text
	kind  string                  // Loop or Scan
}

func states(c stepCell) (list []string) {
	if c.memory {
		return []string{"c", "h"}
	}
	return []string{"h"}
}

// selected writes the choice between new and old states by a mask column m.
func selected(c stepCell, arithmetic bool) string {
	var b strings.Builder
	if arithmetic {
		b.WriteString("nm = Not(m)\nmf = Cast(m) to=1\nnf = Cast(nm) to=1\n")
	}
	for _, s := range append(states(c), "p") {
		fresh := s
		if s == "p" {
			fresh = "h"
		}
		if arithmetic {
			fmt.Fprintf(&b, "%[1]s_a = Mul(mf, %[2]sn)\n%[1]s_b = Mul(%[1]s, nf)\n%[1]s_s = Add(%[1]s_a, %[1]s_b)\n", s, fresh)
		} else {
			fmt.Fprintf(&b, "%[1]s_s = Where(m, %[2]sn, %[1]s)\n", s, fresh)
		}
	}
	return b.String()
}

const dynamicSteps = `
shape = Shape(X)
n1 = Slice(shape, i0, ax1, ax0)
M = Squeeze(n1, ax0)
Mf = Cast(M) to=1
go = Less(f0, Mf)
`

var loopForms = []loopForm{
	{"Loop of known length", func(c stepCell) string {
		in, out := signature(c, "")
		return fmt.Sprintf(`
body step(it:i64, cond:b, time:i32%s) -> (cond2:b, time2:i32%s, hn)
x = Gather(X, time) axis=0
%s
time2 = Add(time, one)
a1 = Cast(time2) to=1
a2 = Cast(it) to=1
l1 = Less(a1, fT)
l2 = Less(a2, fT)
cond2 = And(l1, l2)
end
time_last%s, Y = Loop(T, true, zero%s) body=step
`, in, out, c.nodes, finals(c), initials(c))
	}, "Loop"},
	{"Loop of unknown length", func(c stepCell) string {
		in, out := signature(c, "")
		return dynamicSteps + fmt.Sprintf(`
body step(it:i64, cond:b, time:i32%s) -> (cond2:b, time2:i32%s, hn)
x = Gather(X, time) axis=0
%s
time2 = Add(time, one)
a1 = Cast(time2) to=1
Mc = Cast(M) to=1
cond2 = Less(a1, Mc)
end
time_last%s, Y = Loop(_, go, zero%s) body=step
`, in, out, c.nodes, finals(c), initials(c))
	}, "Loop"},
	{"Scan", func(c stepCell) string {
		in, out := signature(c, "")
		return fmt.Sprintf(`
body step(time:i32%s, x:f) -> (time2:i32%s, hn)
%s
time2 = Add(time, one)
end
time_last%s, Y = Scan(zero%s, X) body=step num_scan_inputs=1
`, in, out, c.nodes, finals(c), initials(c))
	}, "Scan"},
	{"Scan backwards", func(c stepCell) string {
		in, out := signature(c, "")
		return fmt.Sprintf(`
body step(time:i32%s, x:f) -> (time2:i32%s, hn)
%s
time2 = Add(time, one)
end
time_last%s, Y = Scan(zero%s, X) body=step num_scan_inputs=1 scan_input_directions=1 scan_output_directions=1
`, in, out, c.nodes, finals(c), initials(c))
	}, "Scan"},
	{"Scan with lengths, zeros beyond", func(c stepCell) string {
		in, out := signature(c, "_s")
		return fmt.Sprintf(`
body step(time:i32%s, x:f) -> (time2:i32%s, y)
%s
done = GreaterOrEqual(time, lengths)
dm = Reshape(done, col)
m = Not(dm)
p = Identity(f0)
%s
y = Where(m, hn, f0)
time2 = Add(time, one)
end
time_last%s, Y = Scan(zero%s, X) body=step num_scan_inputs=1
`, in, out, c.nodes, selected(c, true), finals(c), initials(c))
	}, "Scan"},
	{"Loop with a mask, repeating the output", func(c stepCell) string {
		in, out := signature(c, "_s")
		return fmt.Sprintf(`
zeros = Mul(H0, f0)
body step(it:i64, cond:b, time:i32, p%s) -> (cond2:b, time2:i32, p_s%s, y)
x = Gather(X, time) axis=0
m = Gather(mask, time) axis=0
%s
%s
y = Identity(p_s)
time2 = Add(time, one)
a1 = Cast(time2) to=1
cond2 = Less(a1, fT)
end
time_last, P_last%s, Y = Loop(T, true, zero, zeros%s) body=step
`, in, out, c.nodes, selected(c, true), finals(c), initials(c))
	}, "Loop"},
	{"Loop with a mask, zeros where it does not hold", func(c stepCell) string {
		in, out := signature(c, "_s")
		return fmt.Sprintf(`
body step(it:i64, cond:b, time:i32%s) -> (cond2:b, time2:i32%s, y)
x = Gather(X, time) axis=0
m = Gather(mask, time) axis=0
p = Identity(f0)
%s
%s
y = Where(m, hn, f0)
time2 = Add(time, one)
a1 = Cast(time2) to=1
cond2 = Less(a1, fT)
end
time_last%s, Y = Loop(T, true, zero%s) body=step
`, in, out, c.nodes, selected(c, false), finals(c), initials(c))
	}, "Loop"},
	{"Loop with a mask over reversed sequences, repeating the output", func(c stepCell) string {
		in, out := signature(c, "_s")
		return fmt.Sprintf(reversedInputs+`
zeros = Mul(H0, f0)
body step(it:i64, cond:b, time:i32, p%s) -> (cond2:b, time2:i32, p_s%s, y)
x = Gather(Xr, time) axis=0
m = Gather(Mr, time) axis=0
%s
%s
y = Identity(p_s)
time2 = Add(time, one)
cond2 = Less(time2, T32)
end
time_last, P_last%s, Yr = Loop(T64, true, zero, zeros%s) body=step
Y = Slice(Yr, last, first, ax0, last)
`, in, out, c.nodes, selected(c, true), finals(c), initials(c))
	}, "Loop"},
	{"Loop with a mask over reversed sequences, zeros where it does not hold", func(c stepCell) string {
		in, out := signature(c, "_s")
		return fmt.Sprintf(reversedInputs+`
body step(it:i64, cond:b, time:i32%s) -> (cond2:b, time2:i32%s, y)
x = Gather(Xr, time) axis=0
m = Gather(Mr, time) axis=0
p = Identity(f0)
%s
%s
y = Where(m, hn, f0)
time2 = Add(time, one)
cond2 = Less(time2, T32)
end
time_last%s, Y = Loop(T64, true, zero%s) body=step
`, in, out, c.nodes, selected(c, false), finals(c), initials(c))
	}, "Loop"},
	{"Loop with lengths that ends at the longest row", func(c stepCell) string {
		in, out := signature(c, "_s")
		return fmt.Sprintf(reversedInputs+`
lens = Div(lengths, two)
max = ReduceMax(lens) keepdims=0
most = Max(one, max)
longest = Min(T32, most)
c1 = Less(zero, T32)
c2 = Less(zero, longest)
c3 = And(c1, c2)
body step(it:i64, cond:b, time:i32, limit:i32, ends:i32%s) -> (cond2:b, time2:i32, limit, ends%s, y)
x = Gather(X, time) axis=0
done = GreaterOrEqual(time, ends)
dm = Reshape(done, col)
m = Not(dm)
p = Identity(f0)
%s
%s
y = Where(m, hn, f0)
time2 = Add(time, one)
g1 = Cast(time2) to=1
g2 = Cast(limit) to=1
a1 = Less(g1, g2)
g3 = Cast(it) to=1
g4 = Cast(T32) to=1
a2 = Less(g3, g4)
cond2 = And(a1, a2)
end
time_last, limit_last, ends_last%s, Y = Loop(T64, c3, zero, longest, lens%s) body=step
`, in, out, c.nodes, selected(c, true), finals(c), initials(c))
	}, "Loop"},
}

// reversedInputs reverses the sequences of a model, and makes its number of
// steps.
const reversedInputs = `
Xr = Slice(X, last, first, ax0, last)
Mr = Slice(mask, last, first, ax0, last)
size = Shape(X)
T1 = Slice(size, ax0, ax1, ax0)
T64 = Squeeze(T1, ax0)
T32 = Cast(T64) to=6
`

// signature lists a body's states and what becomes of them.
func signature(c stepCell, suffix string) (in, out string) {
	for _, s := range states(c) {
		in += ", " + s
		if suffix == "" {
			out += ", " + s + "n"
		} else {
			out += ", " + s + suffix
		}
	}
	return in, out
}

func initials(c stepCell) (s string) {
	if c.memory {
		s = ", C0"
	}
	return s + ", H0"
}

func finals(c stepCell) (s string) {
	if c.memory {
		s = ", C_last"
	}
	return s + ", H_last"
}

// layer makes the model of a cell in a form, with inputs X, lengths, mask and
// initial states.
func layer(t *testing.T, c stepCell, form loopForm) problem {
	t.Helper()
	inits := maps.Clone(numbers)
	maps.Copy(inits, weightsOf(3, weightShapes))
	dim := func(name string) onnx.Dim { return onnx.Dim{Value: -1, Name: name} }
	in := []onnx.ValueInfo{
		{Name: "X", Type: onnx.TensorType(onnx.Float, onnx.Shape{dim("time"), dim("batch"), onnx.Fixed(columns)})},
		{Name: "lengths", Type: onnx.TensorType(onnx.Int32, onnx.Shape{dim("batch")})},
		{Name: "mask", Type: onnx.TensorType(onnx.Bool, onnx.Shape{dim("time"), dim("batch"), onnx.Fixed(1)})},
		{Name: "H0", Type: onnx.TensorType(onnx.Float, onnx.Shape{dim("batch"), onnx.Fixed(units)})},
		{Name: "C0", Type: onnx.TensorType(onnx.Float, onnx.Shape{dim("batch"), onnx.Fixed(units)})},
	}
	f := onnx.TensorType(onnx.Float, nil)
	out := []onnx.ValueInfo{{Name: "Y", Type: f}, {Name: "H_last", Type: f}}
	if c.memory {
		out = append(out, onnx.ValueInfo{Name: "C_last", Type: f})
	}
	r := rand.New(rand.NewSource(5))
	mask := make([]bool, steps*rows)
	for i := range mask {
		mask[i] = i%rows != 1 && i%4 != 0 // the second row has no step that counts
	}
	g := graphOf(t, form.write(c), inits, in, out)
	return problem{&onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 15}}, Graph: g}, onnx.Values{
		"X": randomTensor(r, []int{steps, rows, columns}), "lengths": onnx.MustTensor([]int{rows}, []int32{3, 0, 9}),
		"mask": onnx.MustTensor([]int{steps, rows, 1}, mask), "H0": randomTensor(r, []int{rows, units}), "C0": randomTensor(r, []int{rows, units}),
	}}
}

// TestLift holds every form of a loop, of every cell, against the operator.
func TestLift(t *testing.T) {
	for _, form := range loopForms {
		for _, c := range stepCells {
			t.Run(form.name+"/"+c.name, func(t *testing.T) {
				want := form.kind + ":1"
				if c.want != "" {
					want = c.want + ":1"
				}
				p := layer(t, c, form)
				p.check(t, nil, want)
				p.check(t, []string{"hoist"}, form.kind+":1")
			})
		}
	}
}

// TestLiftOldOpset: an initial state that is repeated for every row takes an
// Expand, which came with opset 8: the loop of an older model stays, and says so.
func TestLiftOldOpset(t *testing.T) {
	for opset, want := range map[int64]string{7: "Loop", 8: "RNN"} {
		p := layer(t, stepCells[0], loopForms[0])
		p.model.OpsetImports[0].Version = opset
		for i, v := range p.model.Graph.Inputs {
			if v.Name == "H0" {
				p.model.Graph.Inputs[i].Type.Shape[0] = onnx.Fixed(1)
			}
		}
		p.in["H0"] = onnx.MustTensor([]int{1, units}, onnx.Elements[float32](p.in["H0"].(*onnx.Tensor))[:units])
		p.check(t, nil, want+":1")
		_, after, err := rewrite.Recurrences(p.model, rewrite.Options{})
		if err != nil || len(after) != 1 || strings.Contains(after[0].Why, "no Expand") != (want == "Loop") {
			t.Errorf("opset %d: %v, %v", opset, after, err)
		}
	}
}

// TestLiftBothDirections: two loops over one masked sequence, of which one
// reads it reversed, become one operator.
func TestLiftBothDirections(t *testing.T) {
	form := loopForms[slices.IndexFunc(loopForms, func(f loopForm) bool { return strings.Contains(f.name, "reversed sequences, repeating") })]
	for _, c := range stepCells {
		if c.want == "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			forward := strings.NewReplacer(reversedInputs, "", "Gather(Xr,", "Gather(X,", "Gather(Mr,", "Gather(mask,", "zeros", "zeros_f",
				"Y = Slice(Yr, last, first, ax0, last)", "", "Yr", "Y_f", "_last", "_last_f").Replace(form.write(c))
			both := loopForm{"", func(c stepCell) string {
				return strings.NewReplacer("Y = ", "Y_b = ", "_last", "_last_b").Replace(form.write(c)) + forward +
					"\nY = Concat(Y_f, Y_b) axis=2\nH_last = Add(H_last_f, H_last_b)\nC_last = Identity(C0)"
			}, "Loop"}
			layer(t, c, both).check(t, nil, c.want+":1")
		})
	}
}

// TestLiftConstantInput: what a cell reads may be the same at every step.
func TestLiftConstantInput(t *testing.T) {
	loop := `
body step(it:i64, cond:b, h) -> (cond2:b, hn, y)
%s
hn = Tanh(s)
y = Identity(hn)
cond2 = Identity(cond)
end
H_last, Y = Loop(T, true, H0) body=step
`
	for _, c := range []struct{ name, cell, want string }{
		{"alone", "a = MatMul(C0, R1)\nb = MatMul(h, R1)\ns = Add(a, b)", "RNN:1"},
		{"beside a sequence", "x = Gather(X, it) axis=0\na = MatMul(C0, R1)\nb = MatMul(h, R1)\nc = MatMul(x, K1)\ns0 = Add(a, b)\ns = Add(s0, c)", "RNN:1"},
		{"one row for all", "x = Gather(X, it) axis=0\nbrow = Unsqueeze(bias1, ax0)\nr0 = Tanh(brow)\na = MatMul(r0, R1)\nb = MatMul(h, R1)\nc = MatMul(x, K1)\ns0 = Add(a, b)\ns = Add(s0, c)", "RNN:1"},
		{"in a function beside a sequence", "x = Gather(X, it) axis=0\nxc = Concat(x, C0) axis=1\nf = Tanh(xc)\na = MatMul(f, KR1)\nb = MatMul(h, R1)\ns = Add(a, b)", "RNN:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			layer(t, stepCells[0], loopForm{"", func(stepCell) string { return fmt.Sprintf(loop, c.cell) }, "Loop"}).check(t, nil, c.want)
		})
	}
}

// TestBindings writes the weights of cells that the passes made operators of
// back into tensors of the sources' shapes: every element must come back, to
// the bit.
func TestBindings(t *testing.T) {
	both := func(c stepCell) string {
		form := loopForms[slices.IndexFunc(loopForms, func(f loopForm) bool { return strings.Contains(f.name, "reversed sequences, zeros") })]
		forward := strings.NewReplacer(reversedInputs, "", "Gather(Xr,", "Gather(X,", "Gather(Mr,", "Gather(mask,", "Y = ", "Y_f = ", ", Y =", ", Y_f =", "_last", "_last_f").Replace(form.write(c))
		return strings.NewReplacer(", Y =", ", Y_b =", "_last", "_last_b").Replace(form.write(c)) + forward +
			"\nY = Concat(Y_f, Y_b) axis=2\nH_last = Add(H_last_f, H_last_b)\nC_last = Identity(C0)"
	}
	for _, c := range stepCells {
		if c.want == "" || c.name == "coupled lstm" { // a quarter of whose weights nothing reads
			continue
		}
		for name, m := range map[string]*onnx.Model{
			"lift":          layer(t, c, loopForms[2]).model,
			"reroll":        sequenceProblem(t, parts["Split"]+unrolled(c, []int{0, 1, 2, 3, 4}), "hn_4").model,
			"bidirectional": layer(t, c, loopForm{"", both, "Loop"}).model,
		} {
			t.Run(name+"/"+c.name, func(t *testing.T) { comeBack(t, m) })
		}
	}
}

// comeBack rewrites a model, and inverts what was done to its initializers.
func comeBack(t *testing.T, model *onnx.Model) {
	t.Helper()
	m, err := rewrite.Apply(model, rewrite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]*onnx.Tensor{}
	for _, i := range model.Graph.Initializers {
		sources[i.Name] = i.Tensor
	}
	restored := map[string]*onnx.Tensor{}
	for _, i := range m.Graph.Initializers {
		b, err := rewrite.BindingOf(i)
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			continue
		}
		for _, k := range b.Blocks {
			if k.Source == "" || restored[k.Source] != nil {
				continue
			}
			if restored[k.Source], err = onnx.NewZeros(onnx.Float, sources[k.Source].Shape()); err != nil {
				t.Fatal(err)
			}
		}
		for name, into := range restored {
			if err := b.Restore(i.Tensor, name, into); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(restored) == 0 {
		t.Fatal("no binding names a source")
	}
	for name, got := range restored {
		if string(got.Bytes()) != string(sources[name].Bytes()) {
			t.Errorf("%s does not come back as it was", name)
		}
	}
}

// TestLiftPacked: two states that a loop carries as one, side by side.
func TestLiftPacked(t *testing.T) {
	form := loopForm{"", func(c stepCell) string {
		return fmt.Sprintf(`
CH0 = Concat(C0, H0) axis=1
body step(time:i32, ch, x:f) -> (time2:i32, chs, y)
c, h = Split(ch) axis=1
%s
chn = Concat(cn, hn) axis=1
done = GreaterOrEqual(time, lengths)
dm = Reshape(done, col)
m = Not(dm)
chs = Where(m, chn, ch)
y = Where(m, hn, f0)
time2 = Add(time, one)
end
time_last, CH_last, Y = Scan(zero, CH0, X) body=step num_scan_inputs=1
C_last, H_last = Split(CH_last) axis=1
`, c.nodes)
	}, "Scan"}
	for _, c := range stepCells {
		if c.memory && c.want != "" {
			t.Run(c.name, func(t *testing.T) { layer(t, c, form).check(t, nil, "LSTM:1") })
		}
	}
}

// TestLiftInnerConstants: constants of the body's own are constants outside
// too, for weights and for what is left of the step.
func TestLiftInnerConstants(t *testing.T) {
	form := loopForm{"", func(c stepCell) string {
		return fmt.Sprintf(`
body step(time:i32, h, x:f) -> (time2:i32, hn, y)
%s
hg = Mul(hn, gamma)
y = Add(hg, x1)
x1 = MatMul(x, K1)
time2 = Add(time, one)
end
time_last, H_last, Y = Scan(zero, H0, X) body=step num_scan_inputs=1
`, c.nodes)
	}, "Scan"}
	p := layer(t, stepCells[0], form)
	g := p.model.Graph
	body := g.Nodes[0].Attr("body").Graph
	for _, name := range []string{"gamma", "K1", "R1"} {
		for i, init := range g.Initializers {
			if init.Name == name {
				body.Initializers = append(body.Initializers, init)
				g.Initializers = append(g.Initializers[:i:i], g.Initializers[i+1:]...)
				break
			}
		}
	}
	p.check(t, nil, "RNN:1")
}
