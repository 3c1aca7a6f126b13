package rewrite_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/rewrite"
)

// bigGraphs are graphs of about n nodes that passes must look at.
var bigGraphs = map[string]func(n int) (text string, outputs []string){
	"a chain of sums": func(n int) (string, []string) {
		var b strings.Builder
		b.WriteString("a0 = MatMul(H0, R1)\nb0 = MatMul(H0, R1)\ns0 = Add(a0, b0)\n")
		for i := range n {
			fmt.Fprintf(&b, "s%d = Add(s%d, %s)\n", i+1, i, []string{"a0", "C0", "H0"}[i%3])
		}
		return b.String(), []string{fmt.Sprintf("s%d", n)}
	},
	"a sum of many products": func(n int) (string, []string) {
		var b strings.Builder
		b.WriteString("s0 = MatMul(H0, R1)\n")
		for i := range n / 3 {
			fmt.Fprintf(&b, "t%d = Tanh(s%d)\na%d = MatMul(t%d, R1)\ns%d = Add(s%d, a%d)\n", i, i, i, i, i+1, i, i)
		}
		return b.String(), []string{fmt.Sprintf("s%d", n/3)}
	},
	"a chain of products": func(n int) (string, []string) {
		var b strings.Builder
		b.WriteString("a0 = MatMul(H0, R1)\nb0 = MatMul(H0, R1)\ns0 = Mul(a0, b0)\n")
		for i := range n {
			fmt.Fprintf(&b, "s%d = Mul(s%d, %s)\n", i+1, i, []string{"a0", "C0", "H0"}[i%3])
		}
		return b.String(), []string{fmt.Sprintf("s%d", n)}
	},
	"shared factors, cut": func(n int) (string, []string) {
		var b strings.Builder
		b.WriteString("a0 = MatMul(H0, R1)\ns0 = MatMul(a0, R1)\n")
		for i := range n / 3 {
			fmt.Fprintf(&b, "t%d = Tanh(s%d)\nu%d = Sigmoid(s%d)\ns%d = Mul(t%d, u%d)\n", i, i, i, i, i+1, i, i)
		}
		fmt.Fprintf(&b, "y = Slice(s%d, i0, ax1, ax1)\n", n/3)
		return b.String(), []string{"y"}
	},
	"shared sums, cut": func(n int) (string, []string) {
		var b strings.Builder
		b.WriteString("a0 = MatMul(H0, R1)\ns0 = MatMul(a0, R1)\n")
		for i := range n / 3 {
			fmt.Fprintf(&b, "t%d = Tanh(s%d)\nu%d = Sigmoid(s%d)\ns%d = Add(t%d, u%d)\n", i, i, i, i, i+1, i, i)
		}
		fmt.Fprintf(&b, "y = Slice(s%d, i0, ax1, ax1)\n", n/3)
		return b.String(), []string{"y"}
	},
	"many layers": func(n int) (string, []string) {
		var b strings.Builder
		b.WriteString("W = Unsqueeze(Wt, ax0)\nWt = Transpose(K1) perm=1,0\nRw = Unsqueeze(R1, ax0)\n")
		var outs []string
		for i := range n / 4 {
			fmt.Fprintf(&b, "z%[1]d = Tanh(X)\nx%[1]d = Slice(z%[1]d, last, first, ax0, last)\nY%[1]d = RNN(x%[1]d, W, Rw) hidden_size=4\nV%[1]d = RNN(z%[1]d, W, Rw) hidden_size=4\n", i)
			outs = append(outs, fmt.Sprintf("Y%d", i), fmt.Sprintf("V%d", i))
		}
		return b.String(), outs
	},
	"an unrolled layer": func(n int) (string, []string) {
		var b strings.Builder
		b.WriteString("q0 = Identity(H0)\n")
		for i := range n / 6 {
			fmt.Fprintf(&b, "p%[1]d = Slice(X, k%[1]d, k%[2]d, ax0)\nx%[1]d = Squeeze(p%[1]d, ax0)\na%[1]d = MatMul(x%[1]d, K1)\nb%[1]d = MatMul(q%[1]d, R1)\nc%[1]d = Add(a%[1]d, b%[1]d)\nq%[2]d = Tanh(c%[1]d)\n", i, i+1)
		}
		return b.String(), []string{fmt.Sprintf("q%d", n/6)}
	},
	"many short unrolled layers": func(n int) (string, []string) {
		var b strings.Builder
		b.WriteString("x0 = Gather(X, n0) axis=0\nx1 = Gather(X, n1) axis=0\na0 = MatMul(x0, K1)\na1 = MatMul(x1, K1)\n")
		var outs []string
		for i := range n / 8 {
			fmt.Fprintf(&b, "g%[1]d = Tanh(H0)\nb%[1]d = MatMul(g%[1]d, R1)\nc%[1]d = Add(a0, b%[1]d)\nq%[1]d = Tanh(c%[1]d)\n", i)
			fmt.Fprintf(&b, "bb%[1]d = MatMul(q%[1]d, R1)\ncc%[1]d = Add(a1, bb%[1]d)\nqq%[1]d = Tanh(cc%[1]d)\n", i)
			outs = append(outs, fmt.Sprintf("qq%d", i))
		}
		return b.String(), outs
	},
	"many loops": func(n int) (string, []string) {
		var b strings.Builder
		var outs []string
		for i := range n / 6 {
			fmt.Fprintf(&b, "body step%[1]d(it:i64, c:b, h) -> (c2, hn, y)\nx = Gather(X, it) axis=0\na = MatMul(x, K1)\nb = MatMul(h, R1)\ns = Add(a, b)\nhn = Tanh(s)\ny = Identity(hn)\nc2 = Identity(c)\nend\nh_%[1]d, Y%[1]d = Loop(T, true, H0) body=step%[1]d\n", i)
			outs = append(outs, fmt.Sprintf("Y%d", i))
		}
		return strings.ReplaceAll(b.String(), "(c2, hn, y)", "(c2:b, hn, y)"), outs
	},
}

func bigModel(t *testing.T, name string, n int) *onnx.Model {
	text, outputs := bigGraphs[name](n)
	p := sequenceProblem(t, text, outputs...)
	g := p.model.Graph
	if name == "an unrolled layer" {
		g.Inputs[0].Type.Shape[0] = onnx.Fixed(n / 6)
		for i := range n/6 + 1 {
			g.Initializers = append(g.Initializers, &onnx.Initializer{Name: fmt.Sprintf("k%d", i), Tensor: onnx.MustTensor([]int{1}, []int64{int64(i)})})
		}
	}
	for i, n := range g.Nodes {
		if n.OpType == "RNN" && i%8 > 4 {
			n.Attributes = append(n.Attributes, &onnx.Attribute{Name: "direction", Type: onnx.AttrString, String: "reverse"})
		}
	}
	if err := onnx.Check(p.model); err != nil {
		t.Fatal(err)
	}
	return p.model
}

// TestBigGraphs: what the passes take grows about as the graph does. Four times
// the nodes may take sixteen times as long on a busy machine, and no longer than
// that if it is more than a moment.
func TestBigGraphs(t *testing.T) {
	for name := range bigGraphs {
		t.Run(name, func(t *testing.T) {
			const n = 1500
			var took [2]time.Duration
			for i, size := range []int{n, 4 * n} {
				m := bigModel(t, name, size)
				start := time.Now()
				if _, err := rewrite.Apply(m, rewrite.Options{}); err != nil {
					t.Fatal(err)
				}
				took[i] = time.Since(start)
			}
			t.Logf("%v for %d nodes, %v for %d", took[0], n, took[1], 4*n)
			if took[1] > 16*took[0] && took[1] > 10*time.Second {
				t.Errorf("%v for %d nodes, %v for %d", took[0], n, took[1], 4*n)
			}
		})
	}
}
