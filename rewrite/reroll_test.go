package rewrite_test

import (
	"fmt"
	"maps"
	"math/rand"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// unrolled writes a cell step after step over the parts x0, x1... of a
// sequence, in the given order.
func unrolled(c stepCell, order []int) string {
	var b strings.Builder
	state := map[string]string{"h": "H0", "c": "C0"}
	for k, place := range order {
		b.WriteString(unrolledStep(c, k, place, state))
		for _, s := range states(c) {
			state[s] = fmt.Sprintf("%sn_%d", s, k)
		}
	}
	return b.String()
}

// unrolledStep writes step k of a cell, which reads a part of the sequence and
// the states of the given names.
func unrolledStep(c stepCell, k, place int, state map[string]string) string {
	var b strings.Builder
	own := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(c.nodes), "\n") {
		if line == "" {
			continue
		}
		outs, rest, _ := strings.Cut(line, " = ")
		op, rest, _ := strings.Cut(rest, "(")
		args, attrs, _ := strings.Cut(rest, ")")
		var in, out []string
		for _, a := range split(args) {
			switch {
			case a == "x":
				a = fmt.Sprintf("x%d", place)
			case own[a]:
				a = fmt.Sprintf("%s_%d", a, k)
			case state[a] != "":
				a = state[a]
			}
			in = append(in, a)
		}
		for _, o := range split(outs) {
			own[o] = true
			out = append(out, fmt.Sprintf("%s_%d", o, k))
		}
		fmt.Fprintf(&b, "%s = %s(%s)%s\n", strings.Join(out, ", "), op, strings.Join(in, ", "), attrs)
	}
	return b.String()
}

// parts writes the ways to take a sequence of [time, batch, columns] apart.
var parts = map[string]string{
	"Split": "p0, p1, p2, p3, p4 = Split(X) axis=0\n" +
		"x0 = Squeeze(p0, ax0)\nx1 = Squeeze(p1, ax0)\nx2 = Squeeze(p2, ax0)\nx3 = Squeeze(p3, ax0)\nx4 = Squeeze(p4, ax0)\n",
	"Gather": "x0 = Gather(X, n0) axis=0\nx1 = Gather(X, n1) axis=0\nx2 = Gather(X, n2) axis=0\nx3 = Gather(X, n3) axis=0\nx4 = Gather(X, n4) axis=0\n",
	"Split of the second axis": "Xt = Transpose(X) perm=1,0,2\np0, p1, p2, p3, p4 = Split(Xt) axis=1\n" +
		"x0 = Squeeze(p0, ax1)\nx1 = Squeeze(p1, ax1)\nx2 = Squeeze(p2, ax1)\nx3 = Squeeze(p3, ax1)\nx4 = Squeeze(p4, ax1)\n",
}

// sequenceProblem makes a model over X, H0 and C0 with outputs of float.
func sequenceProblem(t *testing.T, text string, outputs ...string) problem {
	t.Helper()
	inits := maps.Clone(numbers)
	maps.Copy(inits, weightsOf(3, weightShapes))
	for k := range steps {
		inits[fmt.Sprintf("n%d", k)] = onnx.Scalar(int64(k))
	}
	inits["full"] = onnx.MustTensor([]int{rows}, []int64{steps, steps, steps})
	inits["part"] = onnx.MustTensor([]int{rows}, []int64{steps, 2, steps})
	batch := onnx.Fixed(rows)
	in := []onnx.ValueInfo{
		{Name: "X", Type: onnx.TensorType(onnx.Float, onnx.FixedShape(steps, rows, columns))},
		{Name: "H0", Type: onnx.TensorType(onnx.Float, onnx.Shape{batch, onnx.Fixed(units)})},
		{Name: "C0", Type: onnx.TensorType(onnx.Float, onnx.Shape{batch, onnx.Fixed(units)})},
	}
	var out []onnx.ValueInfo
	for _, o := range outputs {
		out = append(out, onnx.ValueInfo{Name: o, Type: onnx.TensorType(onnx.Float, nil)})
	}
	r := rand.New(rand.NewSource(8))
	g := graphOf(t, text, inits, in, out)
	return problem{&onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 15}}, Graph: g}, onnx.Values{
		"X": randomTensor(r, []int{steps, rows, columns}), "H0": randomTensor(r, []int{rows, units}), "C0": randomTensor(r, []int{rows, units}),
	}}
}

func TestReroll(t *testing.T) {
	forward, backward := []int{0, 1, 2, 3, 4}, []int{4, 3, 2, 1, 0}
	stack := "u0 = Unsqueeze(hn_0, ax1)\nu1 = Unsqueeze(hn_1, ax1)\nu2 = Unsqueeze(hn_2, ax1)\nu3 = Unsqueeze(hn_3, ax1)\nu4 = Unsqueeze(hn_4, ax1)\n" +
		"Y = Concat(u0, u1, u2, u3, u4) axis=1\n"
	for name, cut := range parts {
		for _, c := range stepCells {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				want := ""
				if c.want != "" {
					want = c.want + ":1"
				}
				sequenceProblem(t, cut+unrolled(c, forward)+stack, "Y", "hn_4").check(t, nil, want)
				sequenceProblem(t, cut+unrolled(c, backward), "hn_1", "hn_4").check(t, nil, want)
				sequenceProblem(t, cut+unrolled(c, []int{1, 2, 3}), "hn_2").check(t, nil, want)
				// Steps out of order are not one sequence.
				sequenceProblem(t, cut+unrolled(c, []int{2, 0}), "hn_1").check(t, nil, "")
			})
		}
	}
	t.Run("a middle cell state is used too", func(t *testing.T) {
		sequenceProblem(t, parts["Split"]+unrolled(stepCells[6], forward), "cn_2", "hn_4", "cn_4").check(t, nil, "LSTM:1")
	})
}

// limitedSteps writes a cell step after step for rows of given lengths: from
// its length on a row keeps its states and shows zeros. With branches an If
// spares the choice where all rows or none go on.
func limitedSteps(c stepCell, branches bool) string {
	var b strings.Builder
	b.WriteString("zeros = Mul(H0, f0)\nz0 = Expand(f0, hshape)\nhshape = Shape(H0)\nlongest = ReduceMax(lens) keepdims=0\nshortest = ReduceMin(lens) keepdims=0\n")
	state := map[string]string{"h": "H0", "c": "C0"}
	for k := range steps {
		body := strings.TrimSpace(unrolledStep(c, k, k, state))
		var results, choices, fresh, old []string
		for _, s := range append(states(c), "y") {
			from, before := fmt.Sprintf("%sn_%d", s, k), state[s]
			if s == "y" {
				from, before = fmt.Sprintf("hn_%d", k), "z0"
			}
			results = append(results, fmt.Sprintf("%s_at_%d", s, k))
			choices = append(choices, fmt.Sprintf("%s_c_%d = Where(m_%d, %s, %s)", s, k, k, from, before))
			fresh = append(fresh, fmt.Sprintf("%s_f_%d = Identity(%s)", s, k, from))
			old = append(old, fmt.Sprintf("%s_o_%d = Identity(%s)", s, k, before))
		}
		names := func(kind string) string {
			var out []string
			for _, s := range append(states(c), "y") {
				out = append(out, fmt.Sprintf("%s_%s_%d", s, kind, k))
			}
			return strings.Join(out, ", ")
		}
		mask := fmt.Sprintf("d_%[1]d = LessOrEqual(lens, t%[1]d)\ndc_%[1]d = Reshape(d_%[1]d, col)\nm_%[1]d = Not(dc_%[1]d)\n", k)
		if !branches {
			fmt.Fprintf(&b, "%s\n%s%s\n", body, mask, strings.ReplaceAll(strings.Join(choices, "\n"), "_c_", "_at_"))
		} else {
			fmt.Fprintf(&b, "body all%d() -> (%s)\n%s\nend\n", k, names("f"), strings.Join(fresh, "\n"))
			fmt.Fprintf(&b, "body some%d() -> (%s)\n%s%s\nend\n", k, names("c"), mask, strings.Join(choices, "\n"))
			fmt.Fprintf(&b, "body step%d() -> (%s)\n%s\ngo_%d = Greater(shortest, t%d)\n%s = If(go_%d) then_branch=all%d else_branch=some%d\nend\n", k, names("r"), body, k, k, names("r"), k, k, k)
			fmt.Fprintf(&b, "body stay%d() -> (%s)\n%s\nend\n", k, names("o"), strings.Join(old, "\n"))
			fmt.Fprintf(&b, "over_%d = LessOrEqual(longest, t%d)\n%s = If(over_%d) then_branch=stay%d else_branch=step%d\n", k, k, strings.Join(results, ", "), k, k, k)
		}
		for _, s := range states(c) {
			state[s] = fmt.Sprintf("%s_at_%d", s, k)
		}
	}
	return b.String()
}

// TestRerollLengths: unrolled steps of rows of given lengths.
func TestRerollLengths(t *testing.T) {
	stack := "u0 = Unsqueeze(y_at_0, ax0)\nu1 = Unsqueeze(y_at_1, ax0)\nu2 = Unsqueeze(y_at_2, ax0)\nu3 = Unsqueeze(y_at_3, ax0)\nu4 = Unsqueeze(y_at_4, ax0)\n" +
		"Y = Concat(u0, u1, u2, u3, u4) axis=0\n"
	for _, branches := range []bool{false, true} {
		for _, c := range stepCells {
			t.Run(fmt.Sprintf("branches %v/%s", branches, c.name), func(t *testing.T) {
				want := ""
				if c.want != "" {
					want = c.want + ":1"
				} else if branches {
					want = "If:10"
				}
				outputs := []string{"Y", "y_at_2", "h_at_4"}
				if c.memory {
					outputs = append(outputs, "c_at_4")
				}
				p := sequenceProblem(t, parts["Split"]+limitedSteps(c, branches)+stack, outputs...)
				g := p.model.Graph
				g.Inputs = append(g.Inputs, onnx.ValueInfo{Name: "lens", Type: onnx.TensorType(onnx.Int32, onnx.FixedShape(rows))})
				for k := range steps {
					g.Initializers = append(g.Initializers, &onnx.Initializer{Name: fmt.Sprintf("t%d", k), Tensor: onnx.Scalar(int32(k))})
				}
				for _, lens := range [][]int32{{3, 0, 9}, {5, 5, 5}, {0, 0, 0}, {2, 4, 3}} {
					p.in["lens"] = onnx.MustTensor([]int{rows}, lens)
					p.check(t, nil, want)
				}
			})
		}
	}
}

// maskedSteps writes a cell step after step, in the given order, where a mask of
// every step and row chooses between the new states and the old ones. Where a
// step does not count it shows zeros, or if it repeats what the last one has
// shown. With padding the mask tells the steps that do not count.
func maskedSteps(c stepCell, order []int, repeats, padding bool) string {
	var b strings.Builder
	b.WriteString("z0 = Expand(f0, hshape)\nhshape = Shape(H0)\n" +
		"k0, k1, k2, k3, k4 = Split(mask) axis=0\n")
	state := map[string]string{"h": "H0", "c": "C0"}
	before := "z0"
	for k, place := range order {
		b.WriteString(strings.TrimSpace(unrolledStep(c, k, place, state)))
		fmt.Fprintf(&b, "\nm_%d = Squeeze(k%d, ax0)\n", k, place)
		for _, s := range append(states(c), "y") {
			fresh, old := fmt.Sprintf("%sn_%d", s, k), state[s]
			if s == "y" {
				fresh, old = fmt.Sprintf("hn_%d", k), before
			}
			if padding {
				fresh, old = old, fresh
			}
			fmt.Fprintf(&b, "%s_at_%d = Where(m_%d, %s, %s)\n", s, k, k, fresh, old)
		}
		for _, s := range states(c) {
			state[s] = fmt.Sprintf("%s_at_%d", s, k)
		}
		if repeats {
			before = fmt.Sprintf("y_at_%d", k)
		}
	}
	return b.String()
}

// TestRerollMask: unrolled steps of which a mask lets some count.
func TestRerollMask(t *testing.T) {
	stack := "u0 = Unsqueeze(y_at_0, ax1)\nu1 = Unsqueeze(y_at_1, ax1)\nu2 = Unsqueeze(y_at_2, ax1)\nu3 = Unsqueeze(y_at_3, ax1)\nu4 = Unsqueeze(y_at_4, ax1)\n" +
		"Y = Concat(u0, u1, u2, u3, u4) axis=1\n"
	// The first row has no step that counts, the second all.
	mask := []bool{false, true, true, false, true, false, false, true, true, false, true, true, false, true, false}
	not := make([]bool, len(mask))
	for i, m := range mask {
		not[i] = !m
	}
	for k := range 12 {
		repeats, padding, order := k&1 > 0, k&2 > 0, [][]int{{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {0, 1, 3, 2, 4}}[k/4]
		for _, c := range stepCells {
			t.Run(fmt.Sprintf("repeats %v, padding %v, %v/%s", repeats, padding, order, c.name), func(t *testing.T) {
				want := ""
				if c.want != "" && order[2] == 2 {
					want = c.want + ":1"
				}
				outputs := []string{"Y", "y_at_2", "h_at_1", "h_at_4"}
				if c.memory {
					outputs = append(outputs, "c_at_4")
				}
				p := sequenceProblem(t, parts["Split"]+maskedSteps(c, order, repeats, padding)+stack, outputs...)
				g := p.model.Graph
				batch := onnx.Dim{Value: -1, Name: "batch"}
				g.Inputs[0].Type.Shape[1], g.Inputs[1].Type.Shape[0], g.Inputs[2].Type.Shape[0] = batch, batch, batch
				g.Inputs = append(g.Inputs, onnx.ValueInfo{Name: "mask", Type: onnx.TensorType(onnx.Bool, onnx.Shape{onnx.Fixed(steps), batch, onnx.Fixed(1)})})
				p.in["mask"] = onnx.MustTensor([]int{steps, rows, 1}, mask)
				if padding {
					p.in["mask"] = onnx.MustTensor([]int{steps, rows, 1}, not)
				}
				p.check(t, nil, want)
			})
		}
	}
}

// TestReverse: an operator over a reversed sequence goes backwards, unless its
// output is wanted in the order in which it was made.
func TestReverse(t *testing.T) {
	rnn := "W = Unsqueeze(Wr, ax0)\nRw = Unsqueeze(R1, ax0)\nWr = Transpose(K1) perm=1,0\n"
	for _, c := range []struct{ name, text, direction string }{
		{"reversed again", "Xr = ReverseSequence(X, full) time_axis=0 batch_axis=1\nY0, Hl = RNN(Xr, W, Rw) hidden_size=4\nY1 = Squeeze(Y0, ax1)\nY = ReverseSequence(Y1, full) time_axis=0 batch_axis=1\n", "reverse"},
		{"the last step", "Xr = ReverseSequence(X, full) time_axis=0 batch_axis=1\nY0, Hl = RNN(Xr, W, Rw) hidden_size=4\nY1 = Squeeze(Y0, ax1)\nYt = Transpose(Y1) perm=1,0,2\nY = Slice(Yt, last, end, ax1)\n", "reverse"},
		{"by Slice", "Xr = Slice(X, last, first, ax0, last)\nY0, Hl = RNN(Xr, W, Rw) hidden_size=4\nY1 = Squeeze(Y0, ax1)\nY = Slice(Y1, last, first, ax0, last)\n", "reverse"},
		{"the order of the steps is wanted", "Xr = ReverseSequence(X, full) time_axis=0 batch_axis=1\nY0, Hl = RNN(Xr, W, Rw) hidden_size=4\nY = Squeeze(Y0, ax1)\n", "forward"},
		{"reversed otherwise", "Xr = ReverseSequence(X, part) time_axis=0 batch_axis=1\nY0, Hl = RNN(Xr, W, Rw) hidden_size=4\nY1 = Squeeze(Y0, ax1)\nY = ReverseSequence(Y1, full) time_axis=0 batch_axis=1\n", "forward"},
		{"rows shorter", "Xr = ReverseSequence(X, part) time_axis=0 batch_axis=1\nlen = Cast(part) to=6\nY0, Hl = RNN(Xr, W, Rw, _, len) hidden_size=4\nY1 = Squeeze(Y0, ax1)\nY = ReverseSequence(Y1, part) time_axis=0 batch_axis=1\n", "reverse"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := sequenceProblem(t, rnn+c.text, "Y", "Hl").check(t, nil, "RNN:1")
			direction := "forward"
			for _, n := range m.Graph.Nodes {
				if a := n.Attr("direction"); n.OpType == "RNN" && a != nil {
					direction = a.String
				}
			}
			if direction != c.direction {
				t.Errorf("direction %s, want %s", direction, c.direction)
			}
		})
	}
}

// TestBidirectional: two directions over one sequence become one operator, a
// reversed one that the pass before it turned around included.
func TestBidirectional(t *testing.T) {
	weights := "W = Unsqueeze(Wt, ax0)\nWt = Transpose(K1) perm=1,0\nRw = Unsqueeze(R1, ax0)\nV = Unsqueeze(Vt, ax0)\nVt = Neg(Wt)\nB0 = Concat(bias1, bias1) axis=0\nB = Unsqueeze(B0, ax0)\n"
	back := "Xr = ReverseSequence(X, full) time_axis=0 batch_axis=1\nYb0, Hb = RNN(Xr, V, Rw) hidden_size=4\nYb1 = Squeeze(Yb0, ax1)\nYb = ReverseSequence(Yb1, full) time_axis=0 batch_axis=1\n"
	for _, c := range []struct{ name, text, want string }{
		{"concatenated", "Yf0, Hf = RNN(X, W, Rw, B) hidden_size=4\nYf = Squeeze(Yf0, ax1)\n" + back + "Y = Concat(Yf, Yb) axis=-1\n", "RNN:1"},
		{"a state from outside on one side only", "h = Unsqueeze(H0, ax0)\nYf0, Hf = RNN(X, W, Rw, B, _, h) hidden_size=4\nYf = Squeeze(Yf0, ax1)\n" + back + "Y = Concat(Yf, Yb) axis=-1\n", "RNN:2"},
		{"one starts where the other ends", "Yf0, Hf = RNN(X, W, Rw, B, _, Hb) hidden_size=4\nYf = Squeeze(Yf0, ax1)\n" + back + "Y = Concat(Yf, Yb) axis=-1\n", "RNN:2"},
		{"different sequences", "Z = Tanh(X)\nYf0, Hf = RNN(Z, W, Rw, B) hidden_size=4\nYf = Squeeze(Yf0, ax1)\n" + back + "Y = Concat(Yf, Yb) axis=-1\n", "RNN:2"},
		{"other functions are kept apart", "Yf0, Hf = GRU(X, W3, R33) hidden_size=4\nW3 = Unsqueeze(W3t, ax0)\nW3t = Transpose(K3) perm=1,0\nR33 = Unsqueeze(R3t, ax0)\nR3t = Transpose(R3) perm=1,0\nYf = Squeeze(Yf0, ax1)\n" + back + "Y = Concat(Yf, Yb) axis=-1\n", "GRU:1 RNN:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			sequenceProblem(t, weights+c.text, "Y", "Hf", "Hb").check(t, nil, c.want)
		})
	}
}

// TestCancel: movements that undo one another go, others stay.
func TestCancel(t *testing.T) {
	for _, c := range []struct {
		name, text string
		nodes      int
	}{
		{"two transpositions", "a = Transpose(X) perm=1,0,2\nb = Transpose(a) perm=1,0,2\nY = Relu(b)", 1},
		{"three", "a = Transpose(X) perm=1,2,0\nb = Transpose(a) perm=1,2,0\nc = Transpose(b) perm=1,2,0\nY = Relu(c)", 1},
		{"two that turn", "a = Transpose(X) perm=1,2,0\nb = Transpose(a) perm=1,2,0\nY = Relu(b)", 2},
		{"an output stays", "a = Transpose(X) perm=1,0,2\nY = Transpose(a) perm=1,0,2", 1},
		{"an axis added and left out", "a = Unsqueeze(X, ax1)\nb = Squeeze(a, ax1)\nY = Relu(b)", 1},
		{"another axis", "a = Unsqueeze(H0, ax0)\nb = Transpose(a) perm=1,0,2\nY = Squeeze(b, ax1)", 1},
		{"before what they read", "Y = Relu(b)\nb = Identity(a)\na = Identity(X)", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := sequenceProblem(t, c.text, "Y").check(t, nil, "")
			if n := len(m.Graph.Nodes); n != c.nodes {
				t.Errorf("%d nodes, want %d", n, c.nodes)
			}
		})
	}
}
