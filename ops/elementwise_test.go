package ops

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// vec makes a tensor of rank 1.
func vec[T onnx.Element](v ...T) *onnx.Tensor { return onnx.MustTensor([]int{len(v)}, v) }

// of makes a tensor.
func of[T onnx.Element](shape []int, v ...T) *onnx.Tensor { return onnx.MustTensor(shape, v) }

// elementCase is a node with its inputs and the output, or the error, wanted.
type elementCase struct {
	name  string
	op    string
	opset int
	attrs []any
	in    []onnx.Value
	want  *onnx.Tensor
	err   error
	rtol  float64
}

func runElementCases(t *testing.T, cases []elementCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s-%d/%s", c.op, c.opset, c.name), func(t *testing.T) {
			out, err := compute(t, node(c.op, 1, c.attrs...), c.opset, c.in...)
			if c.err != nil {
				if !errors.Is(err, c.err) {
					t.Fatalf("got %v and error %v, want error %v", out, err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := differ(out[0], c.want, c.rtol, 0); d != "" {
				t.Error(d)
			}
		})
	}
}

// elementAt gives the place in a tensor of the given shape of the element that
// broadcasting takes for the index of a result of rank len(index).
func elementAt(shape, index []int) int {
	at := 0
	for i, n := range shape {
		j := index[len(index)-len(shape)+i]
		if n == 1 {
			j = 0
		}
		at = at*n + j
	}
	return at
}

// allIndices lists all indices of a shape in row-major order.
func allIndices(shape []int) [][]int {
	out := [][]int{{}}
	for _, n := range shape {
		var next [][]int
		for _, head := range out {
			for i := range n {
				next = append(next, append(slices.Clone(head), i))
			}
		}
		out = next
	}
	return out
}

// broadcastShapes are shapes of a result and of three operands.
var broadcastShapes = [][4][]int{
	{{}, {}, {}, {}},
	{{1}, {1}, {}, {1}},
	{{3}, {3}, {3}, {3}},
	{{3}, {}, {3}, {1}},
	{{3}, {3}, {1}, {}},
	{{2, 3}, {2, 3}, {3}, {2, 1}},
	{{2, 3}, {2, 1}, {3}, {1}},
	{{2, 3}, {1, 3}, {2, 1}, {2, 3}},
	{{2, 3, 4}, {2, 1, 4}, {3, 1}, {2, 3, 1}},
	{{2, 3, 4}, {3, 4}, {2, 3, 1}, {4}},
	{{2, 3, 4}, {1, 3, 1}, {2, 1, 4}, {1, 1, 1}},
	{{2, 3, 4, 5}, {2, 1, 4, 1}, {3, 1, 5}, {4, 1}},
	{{2, 1, 2, 1, 2, 3}, {2, 1, 2, 1, 1, 3}, {2, 1, 2, 1, 2, 1}, {3}},
	{{0, 3}, {0, 3}, {3}, {1, 1}},
	{{2, 0}, {2, 1}, {0}, {}},
	{{3, 700}, {3, 1}, {700}, {3, 700}},
}

func iota64(shape []int, seed uint64) *onnx.Tensor {
	n, _ := onnx.NumElements(shape)
	r := rand.New(rand.NewPCG(seed, 1))
	v := make([]int64, n)
	for i := range v {
		v[i] = r.Int64N(1000) + 1
	}
	return onnx.MustTensor(shape, v)
}

// TestBroadcast holds operators with loops for scalars (Sub), without them
// (Mod), with other output types (Less) and with three operands against index
// arithmetic.
func TestBroadcast(t *testing.T) {
	for _, s := range broadcastShapes {
		a, b := iota64(s[1], 1), iota64(s[2], 2)
		cond := make([]bool, len(onnx.Elements[int64](iota64(s[3], 3))))
		for i := range cond {
			cond[i] = i%3 != 1
		}
		av, bv := onnx.Elements[int64](a), onnx.Elements[int64](b)
		sub, mod, less, where, sum := []int64{}, []int64{}, []bool{}, []int64{}, []float64{}
		all, err := Broadcast(nil, a, b)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range allIndices(all) {
			x, y := av[elementAt(s[1], i)], bv[elementAt(s[2], i)]
			sub, mod, less = append(sub, x-y), append(mod, x%y), append(less, x < y)
		}
		for _, i := range allIndices(s[0]) {
			x, y := av[elementAt(s[1], i)], bv[elementAt(s[2], i)]
			if c := cond[elementAt(s[3], i)]; c {
				where = append(where, x)
			} else {
				where = append(where, y)
			}
			sum = append(sum, float64(x)+float64(y)+float64(b2i(cond[elementAt(s[3], i)])))
		}
		ones := make([]float64, len(cond))
		for i, c := range cond {
			ones[i] = float64(b2i(c))
		}
		runElementCases(t, []elementCase{
			{name: fmt.Sprint(s), op: "Sub", opset: 14, in: []onnx.Value{a, b}, want: of(all, sub...)},
			{name: fmt.Sprint(s), op: "Mod", opset: 13, in: []onnx.Value{a, b}, want: of(all, mod...)},
			{name: fmt.Sprint(s), op: "Less", opset: 13, in: []onnx.Value{a, b}, want: of(all, less...)},
			{name: fmt.Sprint(s), op: "Where", opset: 16, in: []onnx.Value{of(s[3], cond...), a, b}, want: of(s[0], where...)},
			{name: fmt.Sprint(s), op: "Sum", opset: 13, in: []onnx.Value{doubles(a), doubles(b), of(s[3], ones...)}, want: of(s[0], sum...)},
		})
	}
}

func doubles(t *onnx.Tensor) *onnx.Tensor {
	var v []float64
	for _, x := range onnx.Elements[int64](t) {
		v = append(v, float64(x))
	}
	return onnx.MustTensor(t.Shape(), v)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestBroadcastErrors wants shapes that do not fit refused.
func TestBroadcastErrors(t *testing.T) {
	a, b := of([]int{2, 3}, 1., 2, 3, 4, 5, 6), vec(1., 2)
	yes := of([]int{2}, true, false)
	runElementCases(t, []elementCase{
		{name: "Add", op: "Add", opset: 14, in: []onnx.Value{a, b}, err: onnx.ErrShape},
		{name: "Max", op: "Max", opset: 13, in: []onnx.Value{a, b}, err: onnx.ErrShape},
		{name: "Less", op: "Less", opset: 13, in: []onnx.Value{a, b}, err: onnx.ErrShape},
		{name: "Where", op: "Where", opset: 16, in: []onnx.Value{yes, a, a}, err: onnx.ErrShape},
		{name: "PRelu", op: "PRelu", opset: 16, in: []onnx.Value{vec(1., 2), of([]int{1, 2}, 1., 2)}, err: onnx.ErrShape},
		{name: "PRelu greater slope", op: "PRelu", opset: 16, in: []onnx.Value{vec(1.), vec(1., 2)}, err: onnx.ErrShape},
		{name: "Pow", op: "Pow", opset: 15, in: []onnx.Value{a, b}, err: onnx.ErrShape},
		{name: "zero against two", op: "Add", opset: 14, in: []onnx.Value{of([]int{0}, []float32{}...), vec[float32](1, 2)}, err: onnx.ErrShape},
	})
}

// elementwiseOps are the operators of this family.
var elementwiseOps = []string{
	"Add", "Sub", "Mul", "Div", "Mod", "Pow", "Min", "Max", "Sum", "Mean", "PRelu", "Neg", "Abs", "Sign", "Sqrt", "Exp", "Log", "Reciprocal", "Floor",
	"Ceil", "Round", "Erf", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Tanh", "Asinh", "Acosh", "Atanh", "Sigmoid", "Relu", "LeakyRelu",
	"Elu", "Selu", "Celu", "HardSigmoid", "HardSwish", "Softplus", "Softsign", "ThresholdedRelu", "Gelu", "Mish", "Swish", "Shrink", "Equal", "Greater",
	"GreaterOrEqual", "Less", "LessOrEqual", "IsInf", "IsNaN", "And", "Or", "Xor", "Not", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor",
	"BitwiseNot", "Where", "Clip", "Cast", "CastLike", "BitCast",
}

// TestEveryVersionAndType runs each operator in each version with each element
// type that the version's schema allows for the first input of numbers.
func TestEveryVersionAndType(t *testing.T) {
	for _, op := range elementwiseOps {
		for _, since := range onnx.SchemaVersions("", op) {
			s := onnx.LookupSchema("", op, since)
			if s.Deprecated {
				continue
			}
			main := 0
			if op == "Where" {
				main = 1
			}
			for _, d := range s.Inputs[main].Types.Elems() {
				if !d.Valid() {
					continue // types of 6 bits, which have no tensors here
				}
				t.Run(fmt.Sprintf("%s-%d/%v", op, since, d), func(t *testing.T) { everyVersion(t, s, d) })
			}
		}
	}
}

func everyVersion(t *testing.T, s *onnx.Schema, d onnx.DataType) {
	one := func(n int) *onnx.Tensor {
		x, err := onnx.NewZeros(d, []int{n})
		if err != nil {
			t.Fatal(err)
		}
		if d != onnx.String && d != onnx.Complex64 && d != onnx.Complex128 {
			if err := newConverter(onnx.Int8, d, rounding{saturate: true, mode: "up"})(x, onnx.MustTensor([]int{n}, slices.Repeat([]int8{1}, n)), 0, n); err != nil {
				t.Fatal(err)
			}
		}
		return x
	}
	var in []onnx.Value
	var attrs []any
	for range max(s.MinInputs, 1) {
		in = append(in, one(3))
	}
	switch s.Name {
	case "Where":
		in[0] = vec(true, false, true)
	case "Min", "Max", "Sum", "Mean":
		in = append(in, one(3))
	case "Clip":
		if s.Since >= 11 {
			in = append(in, one(1), one(1))
		}
	case "Cast":
		if attrs = []any{"to", int(onnx.Float)}; s.Since == 1 {
			attrs = []any{"to", "FLOAT"}
		}
		if d == onnx.String {
			in[0] = vec("1", "2", "-3.5")
		}
	case "Pow":
		if !s.Inputs[1].Types.Allows(onnx.TensorType(d, nil)) {
			in[1] = vec[int8](1, 1, 1)
		}
	case "CastLike":
		in[0] = vec[float32](1, 2, 3)
	case "BitCast":
		attrs = []any{"to", int(d)}
	case "BitShift":
		attrs = []any{"direction", "LEFT"}
	case "Mod":
		if d.IsFloat() {
			attrs = []any{"fmod", 1}
		}
	}
	out, err := compute(t, node(s.Name, 1, attrs...), s.Since, in...)
	if err != nil {
		t.Fatal(err)
	}
	if n := out[0].(*onnx.Tensor).Len(); n != 3 {
		t.Errorf("%d elements, want 3", n)
	}
}
