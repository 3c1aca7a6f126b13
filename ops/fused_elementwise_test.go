package ops

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// computeAt runs a node at a level, with all types known.
func computeAt(t testing.TB, l Level, n *onnx.Node, opset int, in ...onnx.Value) ([]onnx.Value, error) {
	t.Helper()
	a := &Analysis{Registry: Default(), Opsets: map[string]int{n.Domain: opset}, Limits: onnx.Limits{}.WithDefaults(), Level: l}
	scope, c := a.NewScope(nil), *n
	c.Inputs = nil
	for i, v := range in {
		c.Inputs = append(c.Inputs, fmt.Sprintf("i%d", i))
		scope.Set(c.Inputs[i], Info{Type: v.Type()})
	}
	built, err := scope.Node(&c)
	if err != nil {
		return nil, err
	}
	k, err := built.Build(nil)
	if err != nil {
		return nil, err
	}
	return Exec(context.Background(), built, k, in, a.Limits)
}

func elementwiseNode(steps ...string) *onnx.Node {
	n := node("Elementwise", 1, "steps", steps)
	n.Domain = fusedDomain
	return n
}

// numbers32 makes a tensor of numbers among which some are special.
func numbers32(r *rand.Rand, shape ...int) *onnx.Tensor {
	size, _ := onnx.NumElements(shape)
	v := make([]float32, size)
	special := []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 1, -1, 1e-40, 3e38}
	for i := range v {
		if v[i] = float32(r.NormFloat64() * 3); r.IntN(20) == 0 {
			v[i] = special[r.IntN(len(special))]
		}
	}
	return onnx.MustTensor(shape, v)
}

// stepByStep computes steps with a node for each.
func stepByStep(t *testing.T, l Level, steps []string, in []onnx.Value) onnx.Value {
	t.Helper()
	values := append([]onnx.Value(nil), in...)
	for _, line := range steps {
		words := strings.Fields(line)
		n := node(words[0], 1)
		var operands []onnx.Value
		for _, w := range words[1:] {
			if name, v, ok := strings.Cut(w, "="); ok {
				f, _ := strconv.ParseFloat(v, 32)
				if words[0] == "Clip" {
					operands = append(operands, onnx.Scalar(float32(f)))
				} else {
					n.Attributes = append(n.Attributes, attr(name, f))
				}
				continue
			}
			v, _ := strconv.Atoi(w)
			operands = append(operands, values[v])
		}
		out, err := computeAt(t, l, n, 22, operands...)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		values = append(values, out[0])
	}
	return values[len(values)-1]
}

var elementwiseSteps = [][]string{
	{"Add 0 1"},
	{"Mul 0 1", "Add 2 1", "Relu 3"},
	{"Sub 1 0", "Div 0 2", "Sigmoid 3", "Mul 4 0"},
	{"Max 0 1", "Min 2 0", "Neg 3", "Abs 4", "Sign 5", "Add 6 6"},
	{"Pow 0 1", "Tanh 2"},
	{"Exp 0", "Log 1", "Sqrt 2", "Reciprocal 3", "Add 4 5"},
	{"LeakyRelu 0 alpha=0.125", "Elu 1 alpha=0.5", "PRelu 2 3"},
	{"HardSigmoid 0 alpha=0.25 beta=0.375", "HardSwish 1", "Mul 2 3", "Clip 4 alpha=-2.5 beta=3"},
	{"Softplus 0", "Softsign 1", "Add 2 3", "Floor 4", "Ceil 2", "Erf 6", "Sub 5 7"},
	{"LeakyRelu 1", "Elu 2", "HardSigmoid 3", "PRelu 0 4"},
	{"Mul 1 0", "Add 1 2"},
	{"Neg 1", "Mul 0 2", "Add 3 1", "Mul 4 1", "Add 5 5"},
	{"Exp 0", "Mul 2 1", "Add 1 3", "Mul 4 1", "Add 2 5", "Sub 1 6"},
	{"Mul 0 1", "Add 2 0", "Mul 3 3", "Add 4 1"},
	{"Add 1 1", "Mul 2 1", "Add 3 0"},
	{"Mul 0 1", "Add 2 1", "Mul 3 2"},
	{"Tanh 1", "Mul 0 2", "Add 3 2"},
}

// TestElementwiseOfSteps wants of Elementwise the bits of its steps, each in a
// node of its own.
func TestElementwiseOfSteps(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 7))
	for _, shapes := range [][2][]int{
		{{7}, {7}}, {{3, 5}, {3, 5}}, {{}, {}}, {{1, 1}, {1}}, {{2, 3000}, {2, 3000}}, {{5000}, {}}, {{3, 4}, {1}},
		{{9, 33, 17}, {17}}, {{9, 33, 17}, {33, 1}}, {{9, 33, 17}, {9, 1, 17}}, {{2, 6, 2500}, {1, 6, 1}}, {{4, 300}, {300}},
		{{3, 2, 700}, {3, 1, 700}}, {{0, 4}, {4}}, {{64, 64, 5}, {64, 5}}, {{1, 300, 1}, {1, 300, 1}},
		{{2, 150, 49}, {150, 1}}, {{3, 7, 300}, {7, 1}}, {{2, 5, 1000}, {2, 1, 1}}, {{3, 4, 16}, {4, 1}},
	} {
		for _, l := range Levels() {
			x, y := numbers32(r, shapes[0]...), numbers32(r, shapes[1]...)
			for _, steps := range elementwiseSteps {
				out, err := computeAt(t, l, elementwiseNode(steps...), 1, x, y)
				if err != nil {
					t.Fatal(err)
				}
				want := stepByStep(t, l, steps, []onnx.Value{x, y}).(*onnx.Tensor)
				if want.Len() != out[0].(*onnx.Tensor).Len() {
					continue // of one input
				}
				if d := differ(out[0], want, 0, 0); d != "" {
					t.Fatalf("%v, shapes %v, %v: %s", l, shapes, steps, d)
				}
			}
		}
	}
}

// TestElementwiseBroadcast wants a result of the shape of all inputs together.
func TestElementwiseBroadcast(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 8))
	in := []onnx.Value{numbers32(r, 40, 1, 9), numbers32(r, 30, 1), numbers32(r, 1), numbers32(r, 9), numbers32(r, 40, 30, 9)}
	steps := []string{"Add 0 1", "Mul 5 2", "Exp 3", "Div 6 7", "Sub 4 8"}
	out, err := compute(t, elementwiseNode(steps...), 1, in...)
	if err != nil {
		t.Fatal(err)
	}
	if d := differ(out[0], stepByStep(t, testLevel, steps, in), 0, 0); d != "" {
		t.Error(d)
	}
	out, err = compute(t, elementwiseNode("Add 0 1"), 1, in[0], in[1])
	if err != nil {
		t.Fatal(err)
	}
	if d := differ(out[0], stepByStep(t, testLevel, []string{"Add 0 1"}, in[:2]), 0, 0); d != "" {
		t.Error(d)
	}
}

// TestElementwiseOfRows wants steps that read numbers of rows alone repeated along
// the rows of an input that no step reads.
func TestElementwiseOfRows(t *testing.T) {
	y := []float32{-1, 2, -3, 4}
	out, err := compute(t, elementwiseNode("Relu 1", "Sub 2 1"), 1, onnx.MustTensor([]int{2, 4, 40}, make([]float32, 320)), onnx.MustTensor([]int{4, 1}, y))
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range onnx.Elements[float32](out[0].(*onnx.Tensor)) {
		v := y[i/40%4]
		if want := max(v, 0) - v; got != want {
			t.Fatalf("element %d is %v, want %v", i, got, want)
		}
	}
}

// TestElementwiseKept wants what is kept of a small result's constants to be
// theirs alone: other inputs differ from run to run.
func TestElementwiseKept(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 9))
	steps := []string{"Mul 0 1", "Add 3 2", "Sub 4 1"}
	for _, shape := range [][]int{{3}, {5, 1}} {
		y, z := numbers32(r, shape...), numbers32(r, shape...)
		run := frameOf(t, testLevel, elementwiseNode(steps...), 1, Info{Type: numbers32(r, 5, 3).Type()}, ConstInfo(y), Info{Type: z.Type()})
		for range 3 {
			x, z := numbers32(r, 5, 3), numbers32(r, shape...)
			if d := differ(run(x, y, z), stepByStep(t, testLevel, steps, []onnx.Value{x, y, z}), 0, 0); d != "" {
				t.Errorf("%v: %s", shape, d)
			}
		}
	}
}

func TestElementwiseRefused(t *testing.T) {
	x := onnx.Scalar[float32](1)
	for _, steps := range [][]string{
		{}, {""}, {"Add"}, {"Add 0"}, {"Add 0 0 0"}, {"Add 0 1"}, {"Neg -1"}, {"Neg 0", "Neg 3"}, {"Neg x"}, {"Sin 0"},
		{"Neg 0 alpha=1"}, {"Elu 0 beta=1"}, {"Elu 0 alpha=x"}, {"Elu 0 gamma=1"},
	} {
		if _, err := computeAt(t, testLevel, elementwiseNode(steps...), 1, x); !errors.Is(err, onnx.ErrMalformed) {
			t.Errorf("%q: error %v", steps, err)
		}
	}
}

// TestElementwiseMemory wants no allocation in a run after the first.
func TestElementwiseMemory(t *testing.T) {
	for _, shapes := range [][2][]int{{{8, 32, 64}, {64}}, {{8, 32, 64}, {32, 1}}, {{2, 8, 600}, {8, 1}}, {{4}, {4}}} {
		n := elementwiseNode("Add 0 1", "Sigmoid 2", "Mul 0 3", "PRelu 4 1")
		if got := testing.AllocsPerRun(5, repeatRun(t, n, 1, zeros32(shapes[0]...), zeros32(shapes[1]...))); got != 0 {
			t.Errorf("%v: %v allocations a run", shapes, got)
		}
	}
}
