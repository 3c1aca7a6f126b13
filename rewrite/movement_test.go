package rewrite_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/runtime"
)

// TestTidy: movements are done for less, or not at all, where that cannot be
// told apart.
func TestTidy(t *testing.T) {
	for _, c := range []struct{ name, text, outputs, want string }{
		{"a chain of shapes", "a = Unsqueeze(X, ax0)\nc = Unsqueeze(a, ax0)\nd = Neg(c)\nY = Identity(d)", "Y", "c = Reshape(X, c/shape)\nY = Neg(c)\n"},
		{"and back", "a = Unsqueeze(X, ax2)\nc = Reshape(a, to24)\nd = Reshape(c, to234)\nY = Neg(d)", "Y", "Y = Neg(X)\n"},
		{"a row on its side", "a = Transpose(V) perm=0,2,1\nY = Neg(a)", "Y", "a = Reshape(V, a/shape)\nY = Neg(a)\n"},
		{"a real transposition", "a = Transpose(X) perm=0,2,1\nY = Neg(a)", "Y", "a = Transpose(X)\nY = Neg(a)\n"},
		{"an open dimension", "a = Unsqueeze(N, ax0)\nc = Unsqueeze(a, ax1)\nY = Neg(c)", "Y", "c = Reshape(N, c/shape)\nY = Neg(c)\n"},
		{"a column that may not be one", "a = Squeeze(N, ax0)\nc = Unsqueeze(a, ax0)\nY = Neg(c)", "Y", "a = Squeeze(N, ax0)\nc = Unsqueeze(a, ax0)\nY = Neg(c)\n"},
		{"sizes that may not fit", "a = Reshape(N, by28)\nc = Reshape(a, by4)\nY = Neg(c)", "Y", "a = Reshape(N, by28)\nc = Reshape(a, by4)\nY = Neg(c)\n"},
		{"sizes that fit", "a = Reshape(N, by4)\nc = Reshape(a, by28)\nY = Neg(c)", "Y", "c = Reshape(N, by28)\nY = Neg(c)\n"},
		{"its own type", "a = Cast(X) to=1\nY = Neg(a)", "Y", "Y = Neg(X)\n"},
		{"another type", "a = Cast(X) to=10\nc = Cast(a) to=1\nY = Neg(c)", "Y", "a = Cast(X) to=10\nc = Cast(a) to=1\nY = Neg(c)\n"},
		{"a slice of all", "a = Slice(X, i0, end, ax2)\nc = Slice(a, i0, max, ax0)\nY = Neg(c)", "Y", "Y = Neg(X)\n"},
		{"a slice of what may be more", "a = Slice(N, i0, i4, ax0)\nY = Neg(a)", "Y", "a = Slice(N, i0, i4, ax0)\nY = Neg(a)\n"},
		{"a slice backwards", "a = Slice(X, last, first, ax1, last)\nY = Neg(a)", "Y", "a = Slice(X, last, first, ax1, last)\nY = Neg(a)\n"},
		{"steps stacked again", "a, c, d = Split(X) axis=1\na2 = Squeeze(a, ax1)\nc2 = Squeeze(c, ax1)\nd2 = Squeeze(d, ax1)\na3 = Unsqueeze(a2, ax0)\nc3 = Unsqueeze(c2, ax0)\nd3 = Unsqueeze(d2, ax0)\ne = Concat(a3, c3, d3) axis=0\nY = Neg(e)", "Y", "e = Transpose(X)\nY = Neg(e)\n"},
		{"parts put together as they were", "a, c, d = Split(X) axis=1\ne = Concat(a, c, d) axis=-2\nY = Neg(e)", "Y", "Y = Neg(X)\n"},
		{"parts in another order", "a, c, d = Split(X) axis=1\ne = Concat(a, d, c) axis=1\nY = Neg(e)", "Y", "a, c, d = Split(X) axis=1\ne = Concat(a, d, c) axis=1\nY = Neg(e)\n"},
		{"some of the parts", "a, c, d = Split(X) axis=1\ne = Concat(a, c) axis=1\nY = Neg(e)", "Y", "a, c, d = Split(X) axis=1\ne = Concat(a, c) axis=1\nY = Neg(e)\n"},
		{"thicker parts", "a, c = Split(X) axis=2\ne = Concat(a, c) axis=0\nY = Neg(e)", "Y", "a, c = Split(X) axis=2\ne = Concat(a, c) axis=0\nY = Neg(e)\n"},
		{"parts turned", "a, c = Split(X) axis=0\na2 = Transpose(a) perm=0,2,1\nc2 = Transpose(c) perm=0,2,1\ne = Concat(a2, c2) axis=0\nY = Neg(e)", "Y", "a, c = Split(X) axis=0\na2 = Transpose(a)\nc2 = Transpose(c)\ne = Concat(a2, c2) axis=0\nY = Neg(e)\n"},
		{"rows gathered and sliced", "a = Gather(X, at0) axis=0\na1 = Unsqueeze(a, ax1)\nc = Slice(X, ax1, ax2, i0)\nc1 = Squeeze(c, ax0)\nc2 = Unsqueeze(c1, ax1)\ne = Concat(a1, c2) axis=1\nY = Neg(e)", "Y", "e = Transpose(X)\nY = Neg(e)\n"},
		{"columns of an open dimension", "a, c, d, g = Split(N) axis=1\na1 = Unsqueeze(a, ax0)\nc1 = Unsqueeze(c, ax0)\nd1 = Unsqueeze(d, ax0)\ng1 = Unsqueeze(g, ax0)\ne = Concat(a1, c1, d1, g1) axis=2\nY = Neg(e)", "Y", "a, c, d, g = Split(N) axis=1\na1 = Unsqueeze(a, ax0)\nc1 = Unsqueeze(c, ax0)\nd1 = Unsqueeze(d, ax0)\ng1 = Unsqueeze(g, ax0)\ne = Concat(a1, c1, d1, g1) axis=2\nY = Neg(e)\n"},
		{"one part", "a = Concat(X) axis=1\nY = Neg(a)", "Y", "Y = Neg(X)\n"},
		{"no padding", "a = Pad(X, none)\nY = Neg(a)", "Y", "Y = Neg(X)\n"},
		{"its own shape", "a = Expand(X, to234)\nY = Neg(a)", "Y", "Y = Neg(X)\n"},
		{"a wider shape", "a = Expand(V, to234)\nY = Neg(a)", "Y", "a = Expand(V, to234)\nY = Neg(a)\n"},
		{"over functions", "a = Transpose(X) perm=2,0,1\nc = Relu(a)\nd = Add(f3, c)\nY = Transpose(d) perm=1,2,0", "Y", "c = Relu(X)\nY = Add(f3, c)\n"},
		{"over functions that others read", "a = Transpose(X) perm=2,0,1\nc = Relu(a)\nY = Transpose(c) perm=1,2,0\nZ1 = Neg(c)", "Y Z1", "a = Transpose(X)\nc = Relu(a)\nY = Transpose(c)\nZ1 = Neg(c)\n"},
		{"over a row", "a = Transpose(X) perm=0,2,1\nc = Add(a, row3)\nY = Transpose(c) perm=0,2,1", "Y", "a = Transpose(X)\nc = Add(a, row3)\nY = Transpose(c)\n"},
		{"zeros at first", "s = Shape(N)\nr = Slice(s, i0, ax1, i0)\nd = Concat(ax1, r, h4) axis=0\nh = Expand(f0, d)\nx = Unsqueeze(N, ax0)\nYs, Y = RNN(x, Wr, Rr, _, _, h) hidden_size=4", "Y", "x = Unsqueeze(N, ax0)\n, Y = RNN(x, Wr, Rr) hidden_size=4\n"},
		{"zeros of a size that is not known", "d = Cast(I) to=7\ns = Concat(ax1, d) axis=0\nh = Expand(f0, s)\nx = Unsqueeze(N, ax0)\nYs, Y = RNN(x, Wr, Rr, _, _, h) hidden_size=4", "Y", "s = Concat(ax1, I) axis=0\nh = Expand(f0, s)\nx = Unsqueeze(N, ax0)\n, Y = RNN(x, Wr, Rr, , , h) hidden_size=4\n"},
		{"all steps", "x = Transpose(X) perm=1,0,2\nYs, Y = GRU(x, Wg, Rg, _, full3) hidden_size=4", "Y", "x = Transpose(X)\n, Y = GRU(x, Wg, Rg) hidden_size=4\n"},
		{"some steps", "x = Transpose(X) perm=1,0,2\nYs, Y = GRU(x, Wg, Rg, _, some) hidden_size=4", "Y", "x = Transpose(X)\n, Y = GRU(x, Wg, Rg, , some) hidden_size=4\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := fuseProblem(t, c.text, strings.Fields(c.outputs)...)
			more := weightsOf(4, map[string][]int{"Wr": {1, 4, 4}, "Rr": {1, 4, 4}, "Wg": {1, 12, 4}, "Rg": {1, 12, 4}, "row3": {3}})
			for name, v := range map[string][]int64{"to24": {24}, "to234": {2, 3, 4}, "by28": {-1, 28}, "by4": {-1, 4}, "max": {1<<63 - 1}, "none": {0, 0, 0, 0, 0, 0}} {
				more[name] = onnx.MustTensor([]int{len(v)}, v)
			}
			more["at0"] = onnx.Scalar(int64(0))
			more["full3"], more["some"] = onnx.MustTensor([]int{2}, []int32{3, 3}), onnx.MustTensor([]int{2}, []int32{3, 2})
			for name, v := range more {
				p.model.Graph.Initializers = append(p.model.Graph.Initializers, &onnx.Initializer{Name: name, Tensor: v})
			}
			p.in["I"] = onnx.MustTensor([]int{2}, []int64{7, 4})
			if strings.Contains(c.name, "may not be one") {
				p.in["N"], p.in["M"] = weightsOf(1, map[string][]int{"N": {1, 4}})["N"], weightsOf(1, map[string][]int{"M": {1, 4}})["M"]
			}
			m := p.checkBits(t)
			if got := written(m.Graph); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
}

// checkBits applies the passes but fuse, and holds the results to the last bit
// against those without any.
func (p problem) checkBits(t *testing.T) *onnx.Model {
	t.Helper()
	s, err := runtime.LoadModel(p.model, runtime.WithPasses(rest()...))
	if err != nil {
		t.Fatal(err)
	}
	want := p.loadAndRun(t, runtime.WithPasses())
	got := p.loadAndRun(t, runtime.WithPasses(rest()...))
	for name, v := range want {
		if !slices.Equal(got[name].(*onnx.Tensor).Bytes(), v.(*onnx.Tensor).Bytes()) || !slices.Equal(got[name].(*onnx.Tensor).Shape(), v.(*onnx.Tensor).Shape()) {
			t.Errorf("%s: %v, want %v", name, got[name], v)
		}
	}
	return s.Model()
}

// TestBidirectionalRestacked: two directions over one sequence, which one reads
// transposed and the other taken apart and stacked again, become one operator.
func TestBidirectionalRestacked(t *testing.T) {
	p := fuseProblem(t, `
x = Transpose(X) perm=1,0,2
Ya, Ha = GRU(x, Wa, Ra) hidden_size=4
a, c, d = Split(X) axis=1
a2 = Squeeze(a, ax1)
c2 = Squeeze(c, ax1)
d2 = Squeeze(d, ax1)
a3 = Unsqueeze(a2, ax0)
c3 = Unsqueeze(c2, ax0)
d3 = Unsqueeze(d2, ax0)
e = Concat(a3, c3, d3) axis=0
r = Slice(e, last, first, i0, last)
Yr, Hb = GRU(r, Wb, Rb) hidden_size=4
q = Squeeze(Yr, ax1)
Yb = Slice(q, last, first, i0, last)
`, "Ya", "Yb", "Ha", "Hb")
	for name, v := range weightsOf(4, map[string][]int{"Wa": {1, 12, 4}, "Ra": {1, 12, 4}, "Wb": {1, 12, 4}, "Rb": {1, 12, 4}}) {
		p.model.Graph.Initializers = append(p.model.Graph.Initializers, &onnx.Initializer{Name: name, Tensor: v})
	}
	p.check(t, nil, "GRU:1")
}

// TestTidyKeepsFailures: what fails in a run without the passes fails with them.
func TestTidyKeepsFailures(t *testing.T) {
	p := fuseProblem(t, "a = Squeeze(N, ax0)\nc = Unsqueeze(a, ax0)\nY = Neg(c)", "Y")
	for _, passes := range [][]string{nil, rest()} {
		s, err := runtime.LoadModel(p.model, runtime.WithPasses(passes...))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Run(t.Context(), p.in); err == nil {
			t.Errorf("passes %v: no error", passes)
		}
	}
}

// TestScatterOfARange: a ScatterND over a range of an axis, element by element,
// is a Concat; others stay.
func TestScatterOfARange(t *testing.T) {
	shape := []int{2, 3, 40}
	box := func(lo, hi [3]int64) []int64 {
		var out []int64
		for i := lo[0]; i < hi[0]; i++ {
			for j := lo[1]; j < hi[1]; j++ {
				for k := lo[2]; k < hi[2]; k++ {
					out = append(out, i, j, k)
				}
			}
		}
		return out
	}
	turned := box([3]int64{0, 0, 0}, [3]int64{2, 3, 20})
	copy(turned[3:], turned[:3])
	for _, c := range []struct {
		name    string
		indices []int64
		want    string
	}{
		{"the middle", box([3]int64{0, 0, 5}, [3]int64{2, 3, 25}), "Slice Reshape Slice Concat"},
		{"the beginning", box([3]int64{0, 0, 0}, [3]int64{2, 3, 20}), "Reshape Slice Concat"},
		{"the end", box([3]int64{1, 0, 0}, [3]int64{2, 3, 40}), "Slice Reshape Concat"},
		{"all", box([3]int64{0, 0, 0}, [3]int64{2, 3, 40}), "Reshape Concat"},
		{"a corner", box([3]int64{0, 1, 0}, [3]int64{2, 3, 20}), "ScatterND"},
		{"one twice", turned, "ScatterND"},
		{"few", box([3]int64{0, 0, 7}, [3]int64{2, 3, 9}), "ScatterND"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tuples := len(c.indices) / 3
			inits := weightsOf(2, map[string][]int{"u": {tuples}})
			inits["i"] = onnx.MustTensor([]int{tuples, 3}, c.indices)
			g := graphOf(t, "y = ScatterND(x, i, n)\nn = Neg(u0)\nY = Tanh(y)", inits,
				[]onnx.ValueInfo{{Name: "x", Type: onnx.TensorType(onnx.Float, onnx.FixedShape(shape...))}, {Name: "u0", Type: onnx.TensorType(onnx.Float, onnx.FixedShape(tuples))}},
				[]onnx.ValueInfo{{Name: "Y", Type: onnx.TensorType(onnx.Float, nil)}})
			p := problem{&onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 15}}, Graph: g}, onnx.Values{"x": weightsOf(1, map[string][]int{"x": shape})["x"], "u0": inits["u"]}}
			var ops []string
			nodes, _ := onnx.Sort(p.checkBits(t).Graph)
			for _, n := range nodes {
				ops = append(ops, n.OpType)
			}
			slices.Sort(ops)
			want := strings.Fields(c.want + " Neg Tanh")
			if slices.Sort(want); c.want == "Reshape Concat" {
				want = []string{"Neg", "Reshape", "Tanh"}
			}
			if !slices.Equal(ops, want) {
				t.Errorf("got %v, want %v", ops, want)
			}
		})
	}
}
