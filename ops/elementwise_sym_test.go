package ops

import (
	"fmt"
	"slices"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// known makes the Info of an integer tensor of which the given is known:
// integers, symbols as strings, and nil for an unknown one.
func known(d onnx.DataType, elems ...any) Info {
	c := &Content{}
	for _, e := range elems {
		switch e := e.(type) {
		case int64:
			c.Elems = append(c.Elems, Int(e))
		case int:
			c.Elems = append(c.Elems, Int(int64(e)))
		case string:
			c.Elems = append(c.Elems, Sym{Name: e})
		default:
			c.Elems = append(c.Elems, Sym{})
		}
	}
	return Info{Type: onnx.TensorType(d, onnx.FixedShape(len(elems))), Content: c}
}

// inferContent infers the content of a node's output.
func inferContent(t *testing.T, n *onnx.Node, in ...Info) string {
	t.Helper()
	a := &Analysis{Registry: Default(), Opsets: map[string]int{"": 21}, Limits: onnx.Limits{}.WithDefaults(), Level: testLevel}
	scope := a.NewScope(nil)
	for i, info := range in {
		name := fmt.Sprintf("i%d", i)
		n.Inputs = append(n.Inputs, name)
		scope.Set(name, info)
	}
	node, err := scope.Node(n)
	if err != nil {
		t.Fatal(err)
	}
	c := node.Out(0).Content
	if c == nil {
		return "nothing"
	}
	return fmt.Sprint(c.Elems)
}

func TestSymbolicContents(t *testing.T) {
	const i64, i32, f32, f64, boolean = onnx.Int64, onnx.Int32, onnx.Float, onnx.Double, onnx.Bool
	is := func(v onnx.Value) Info { return ConstInfo(v) }
	cases := []struct {
		op    string
		attrs []any
		in    []Info
		want  string
	}{
		{"Add", nil, []Info{known(i64, 2, "n", nil), known(i64, 0)}, "[2 n ?]"},
		{"Add", nil, []Info{known(i64, 2, "n"), known(i64, 3)}, "[5 ?]"},
		{"Add", nil, []Info{known(i32, 1<<31-1), known(i32, 1)}, "[-2147483648]"},
		{"Sub", nil, []Info{known(i64, "n", "n", 5, "n"), known(i64, "n", "m", 7, 0)}, "[0 ? -2 n]"},
		{"Mul", nil, []Info{known(i64, 1, "n", 6), is(vec[int64](2))}, "[2 ? 12]"},
		{"Mul", nil, []Info{known(i64, "n"), is(onnx.Scalar[int64](1))}, "[n]"},
		{"Mul", nil, []Info{known(f32, 3, 0), is(vec(float32(2)))}, "[6 ?]"},
		{"Mul", nil, []Info{known(f32, 3), is(vec(float32(0.5)))}, "[?]"},
		{"Mul", nil, []Info{known(f32, 5000), known(f32, 5000)}, "[?]"},
		{"Div", nil, []Info{known(i64, 7, -7, "n", 1), known(i64, 2, 2, 1, 0)}, "[3 -3 n ?]"},
		{"Div", nil, []Info{known(f32, 7, 8), known(f32, 2, 2)}, "[? 4]"},
		{"Mod", nil, []Info{known(i64, -7, "n"), known(i64, 3)}, "[2 ?]"},
		{"Max", nil, []Info{known(i64, "n", "n", 4, "n"), known(i64, 0, -1, 7, 3)}, "[n n 7 ?]"},
		{"Min", nil, []Info{known(i64, "n", "n", 4, "n"), known(i64, 0, -1, 7, "n")}, "[0 -1 4 n]"},
		{"Sum", nil, []Info{known(f32, 1, 2), known(f32, 3), known(f32, 10)}, "[14 15]"},
		{"Neg", nil, []Info{known(i64, 3, "n")}, "[-3 ?]"},
		{"Abs", nil, []Info{known(i64, -3, "n")}, "[3 n]"},
		{"Floor", nil, []Info{known(f32, 3, nil)}, "[3 ?]"},
		{"Cast", []any{"to", int(i32)}, []Info{known(i64, 3, "n", int64(1)<<40)}, "[3 n 0]"},
		{"Cast", []any{"to", int(f32)}, []Info{known(i64, 3, "n", 1<<24+1)}, "[3 ? ?]"},
		{"Cast", []any{"to", int(f64)}, []Info{known(i64, 3, "n", 1<<24+1)}, "[3 n 16777217]"},
		{"Cast", []any{"to", int(i64)}, []Info{known(f64, 3, "n")}, "[3 n]"},
		{"Cast", []any{"to", int(boolean)}, []Info{known(i64, 3, 0, "n")}, "[1 0 ?]"},
		{"Equal", nil, []Info{known(i64, 3, "n", "n", "n", -1), known(i64, 3, -1, "n", "m", -1)}, "[1 0 1 ? 1]"},
		{"Less", nil, []Info{known(i64, 3, "n", -1), known(i64, 4, -1, "n")}, "[1 0 1]"},
		{"And", nil, []Info{known(boolean, 1, nil, 1), known(boolean, 0, 0, 1)}, "[0 0 1]"},
		{"Not", nil, []Info{known(boolean, 1, 0, nil)}, "[0 1 ?]"},
		{"Where", nil, []Info{known(boolean, 1, 0, nil, nil), known(i64, "n", 2, 3, 4), known(i64, 5, "m", 3, 5)}, "[n m 3 ?]"},
		{"Where", nil, []Info{is(vec(true, false)), known(i64, "n"), known(i64, 1)}, "[n 1]"},
		{"Clip", nil, []Info{known(i64, "n", 9, -4), is(onnx.Scalar[int64](0))}, "[n 9 0]"},
		{"Pow", nil, []Info{known(i64, 2), known(i64, 3)}, "nothing"},
	}
	for _, c := range cases {
		t.Run(c.op, func(t *testing.T) {
			if got := inferContent(t, node(c.op, 1, c.attrs...), c.in...); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestUnrelatedUnknowns: two unknown elements are not the same one.
func TestUnrelatedUnknowns(t *testing.T) {
	cond := known(onnx.Bool, nil)
	if got := inferContent(t, node("Where", 1), cond, known(onnx.Int64, nil), known(onnx.Int64, nil)); got != "[?]" {
		t.Errorf("got %s, want [?]", got)
	}
	if got := inferContent(t, node("Equal", 1), known(onnx.Int64, nil), known(onnx.Int64, nil)); got != "[?]" {
		t.Errorf("got %s, want [?]", got)
	}
}

// TestElementwiseShapes infers shapes with symbols.
func TestElementwiseShapes(t *testing.T) {
	dims := func(d ...any) onnx.Shape {
		s := onnx.Shape{}
		for _, e := range d {
			switch e := e.(type) {
			case int:
				s = append(s, onnx.Fixed(e))
			case string:
				s = append(s, onnx.Dim{Value: -1, Name: e})
			}
		}
		return s
	}
	cases := []struct {
		op    string
		opset int
		attrs []any
		in    []onnx.Shape
		want  onnx.Shape
	}{
		{"Add", 14, nil, []onnx.Shape{dims("b", 1, 3), dims("t", 1)}, dims("b", "t", 3)},
		{"Add", 14, nil, []onnx.Shape{dims("b", 3), nil}, nil},
		{"Add", 6, []any{"broadcast", 1, "axis", 0}, []onnx.Shape{dims("b", 3), dims("b")}, dims("b", 3)},
		{"Add", 6, []any{"broadcast", 1}, []onnx.Shape{dims("b", 3), nil}, dims("b", 3)},
		{"Add", 6, nil, []onnx.Shape{nil, dims("b", 3)}, dims("b", 3)},
		{"PRelu", 16, nil, []onnx.Shape{dims("b", 3), dims(3)}, dims("b", 3)},
		{"Sum", 6, nil, []onnx.Shape{dims("b", 3), dims(2, 3), nil}, dims(2, 3)},
		{"Mean", 13, nil, []onnx.Shape{dims("b", 3), dims("b", 1), dims()}, dims("b", 3)},
		{"Tanh", 13, nil, []onnx.Shape{dims("b", 3)}, dims("b", 3)},
	}
	for _, c := range cases {
		t.Run(c.op, func(t *testing.T) {
			a := &Analysis{Registry: Default(), Opsets: map[string]int{"": c.opset}, Limits: onnx.Limits{}.WithDefaults(), Level: testLevel}
			scope, p := a.NewScope(nil), node(c.op, 1, c.attrs...)
			for i, s := range c.in {
				name := fmt.Sprintf("i%d", i)
				p.Inputs = append(p.Inputs, name)
				scope.Set(name, Info{Type: onnx.TensorType(onnx.Float, s)})
			}
			n, err := scope.Node(p)
			if err != nil {
				t.Fatal(err)
			}
			if got := n.Out(0).Type.Shape; !slices.Equal(got, c.want) || got.Ranked() != c.want.Ranked() {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
