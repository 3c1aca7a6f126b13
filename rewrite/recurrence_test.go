package rewrite_test

import (
	"context"
	"fmt"
	"math"
	"math/rand"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/rewrite"
	"github.com/recur-ml/recur/runtime"
)

// The models of these tests are written as text, a line for a node:
//
//	y, z = Split(x) axis=-1
//
// A line "body NAME(inputs) -> (outputs)" begins a nested graph of that name,
// which an attribute body=NAME puts in a node; "end" ends it.

// weightsOf makes constants of pseudo-random elements: shapes by name.
func weightsOf(seed int64, shapes map[string][]int) map[string]*onnx.Tensor {
	names := make([]string, 0, len(shapes))
	for n := range shapes {
		names = append(names, n)
	}
	slices.Sort(names)
	r := rand.New(rand.NewSource(seed))
	out := map[string]*onnx.Tensor{}
	for _, n := range names {
		out[n] = randomTensor(r, shapes[n])
	}
	return out
}

func randomTensor(r *rand.Rand, shape []int) *onnx.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(r.NormFloat64() * 0.7)
	}
	return onnx.MustTensor(shape, data)
}

// numbers are the constants that all models may use.
var numbers = map[string]*onnx.Tensor{
	"zero": onnx.Scalar(int32(0)), "one": onnx.Scalar(int32(1)), "two": onnx.Scalar(int32(2)), "f0": onnx.Scalar(float32(0)), "f1": onnx.Scalar(float32(1)),
	"f3": onnx.Scalar(float32(3)), "f6": onnx.Scalar(float32(6)), "sixth": onnx.Scalar(float32(1) / 6), "fT": onnx.Scalar(float32(5)),
	"T": onnx.Scalar(int64(5)), "true": onnx.Scalar(true), "half": onnx.Scalar(float32(0.5)), "fifth": onnx.Scalar(float32(0.2)),
	"ax0": onnx.MustTensor([]int{1}, []int64{0}), "ax1": onnx.MustTensor([]int{1}, []int64{1}), "ax2": onnx.MustTensor([]int{1}, []int64{2}),
	"i0": onnx.MustTensor([]int{1}, []int64{0}), "i4": onnx.MustTensor([]int{1}, []int64{4}), "i8": onnx.MustTensor([]int{1}, []int64{8}), "i12": onnx.MustTensor([]int{1}, []int64{12}),
	"last": onnx.MustTensor([]int{1}, []int64{-1}), "end": onnx.MustTensor([]int{1}, []int64{math.MaxInt32}), "col": onnx.MustTensor([]int{2}, []int64{-1, 1}),
	"first": onnx.MustTensor([]int{1}, []int64{math.MinInt32}), "h4": onnx.MustTensor([]int{1}, []int64{4}), "small": onnx.Scalar(float32(0.3)),
}

func graphOf(t *testing.T, text string, inits map[string]*onnx.Tensor, inputs, outputs []onnx.ValueInfo) *onnx.Graph {
	t.Helper()
	g := &onnx.Graph{Name: "g", Inputs: inputs, Outputs: outputs}
	bodies := map[string]*onnx.Graph{}
	at := g
	var around []*onnx.Graph
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case line == "end":
			at, around = around[len(around)-1], around[:len(around)-1]
		case strings.HasPrefix(line, "body "):
			name, rest, _ := strings.Cut(line[5:], "(")
			in, out, _ := strings.Cut(strings.TrimSuffix(rest, ")"), ") -> (")
			around = append(around, at)
			at = &onnx.Graph{Name: name}
			bodies[name] = at
			for _, v := range split(in) {
				n, kind, _ := strings.Cut(v, ":")
				at.Inputs = append(at.Inputs, onnx.ValueInfo{Name: n, Type: bodyType(kind)})
			}
			for _, v := range split(out) {
				n, kind, _ := strings.Cut(v, ":")
				at.Outputs = append(at.Outputs, onnx.ValueInfo{Name: n, Type: bodyType(kind)})
			}
		default:
			at.Nodes = append(at.Nodes, nodeOf(t, line, bodies))
		}
	}
	names := make([]string, 0, len(inits))
	for n := range inits {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		g.Initializers = append(g.Initializers, &onnx.Initializer{Name: n, Tensor: inits[n]})
	}
	return g
}

// bodyType reads a type of a body's value: f float of unknown shape, i32, i64,
// b for scalars.
func bodyType(s string) onnx.Type {
	scalar := onnx.Shape{}
	switch s {
	case "i32":
		return onnx.TensorType(onnx.Int32, scalar)
	case "i64":
		return onnx.TensorType(onnx.Int64, scalar)
	case "b":
		return onnx.TensorType(onnx.Bool, scalar)
	}
	return onnx.TensorType(onnx.Float, nil)
}

func split(s string) []string {
	var out []string
	for _, x := range strings.Split(s, ",") {
		if x = strings.TrimSpace(x); x != "" {
			out = append(out, x)
		}
	}
	return out
}

func nodeOf(t *testing.T, line string, bodies map[string]*onnx.Graph) *onnx.Node {
	t.Helper()
	outs, rest, ok := strings.Cut(line, " = ")
	op, rest, ok2 := strings.Cut(rest, "(")
	args, attrs, ok3 := strings.Cut(rest, ")")
	if !ok || !ok2 || !ok3 {
		t.Fatalf("line %q", line)
	}
	n := &onnx.Node{OpType: op, Outputs: split(outs)}
	for _, a := range strings.Split(args, ",") {
		if a = strings.TrimSpace(a); a == "_" {
			a = ""
		}
		n.Inputs = append(n.Inputs, a)
	}
	for _, a := range strings.Fields(attrs) {
		name, value, _ := strings.Cut(a, "=")
		at := &onnx.Attribute{Name: name}
		switch {
		case bodies[value] != nil:
			at.Type, at.Graph = onnx.AttrGraph, bodies[value]
		case name == "perm" || name == "axes" || strings.HasPrefix(name, "scan_"):
			at.Type = onnx.AttrInts
			for _, p := range strings.Split(value, ",") {
				k, _ := strconv.Atoi(p)
				at.Ints = append(at.Ints, int64(k))
			}
		case name == "alpha" || name == "beta" || name == "momentum" || name == "seed":
			f, _ := strconv.ParseFloat(value, 32)
			at.Type, at.Float = onnx.AttrFloat, float32(f)
		default:
			k, err := strconv.Atoi(value)
			if err != nil {
				t.Fatalf("attribute %q", a)
			}
			at.Type, at.Int = onnx.AttrInt, int64(k)
		}
		n.Attributes = append(n.Attributes, at)
	}
	return n
}

// problem is a model with values for its inputs.
type problem struct {
	model *onnx.Model
	in    onnx.Values
}

func (p problem) run(t *testing.T, m *onnx.Model) onnx.Values {
	t.Helper()
	b, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtime.LoadBytes(b, runtime.WithPasses())
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	out, err := s.Run(context.Background(), p.in)
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	return out
}

// operators counts the operators of a kind, "Loop" for one, in all graphs.
func operators(g *onnx.Graph, kinds ...string) map[string]int {
	out := map[string]int{}
	for _, n := range g.Nodes {
		if slices.Contains(kinds, n.OpType) {
			out[n.OpType]++
		}
		for _, a := range n.Attributes {
			if a.Graph != nil {
				for k, v := range operators(a.Graph, kinds...) {
					out[k] += v
				}
			}
		}
	}
	return out
}

var recurrentKinds = []string{"Loop", "Scan", "If", "RNN", "GRU", "LSTM"}

// check rewrites a model with the passes (nil: all), holds the numbers against
// the original's, and rewrites it once more, which must change nothing.
func (p problem) check(t *testing.T, passes []string, want string) *onnx.Model {
	t.Helper()
	if err := onnx.Check(p.model); err != nil {
		t.Fatalf("the test's model: %v", err)
	}
	m, err := rewrite.Apply(p.model, rewrite.Options{Passes: passes, Left: func(n *onnx.Node, why string) { t.Logf("%s left: %s", n.OpType, why) }})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(operators(m.Graph, recurrentKinds...)); got != "map["+want+"]" {
		t.Errorf("operators: %s, want %s", got, want)
	}
	expected, got := p.run(t, p.model), p.run(t, m)
	for name, v := range expected {
		compare(t, name, got[name], v)
	}
	again, err := rewrite.Apply(m, rewrite.Options{Passes: passes})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := len(again.Graph.Nodes), len(m.Graph.Nodes); a != b {
		t.Errorf("a second rewriting gives %d nodes for %d", a, b)
	}
	return m
}

func compare(t *testing.T, name string, got, want onnx.Value) {
	t.Helper()
	g, err1 := onnx.Data[float32](got)
	w, err2 := onnx.Data[float32](want)
	if err1 != nil || err2 != nil {
		t.Errorf("%s: %v, %v", name, err1, err2)
		return
	}
	if a, b := got.(*onnx.Tensor).Shape(), want.(*onnx.Tensor).Shape(); !slices.Equal(a, b) {
		t.Errorf("%s: shape %v, want %v", name, a, b)
		return
	}
	for i := range w {
		if math.Abs(float64(g[i]-w[i])) > 1e-5 {
			t.Errorf("%s[%d] = %v, want %v", name, i, g[i], w[i])
			return
		}
	}
}
