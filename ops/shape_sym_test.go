package ops

import (
	"fmt"
	"math"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// dims makes a shape of integers and symbols; nil is an unknown dimension.
func dims(list ...any) onnx.Shape {
	s := onnx.Shape{}
	for _, d := range list {
		switch d := d.(type) {
		case int:
			s = append(s, onnx.Fixed(d))
		case string:
			s = append(s, onnx.Dim{Value: -1, Name: d})
		default:
			s = append(s, onnx.UnknownDim)
		}
	}
	return s
}

// TestSymbolicShapes: what inference says of output 0, its shape and its elements.
func TestSymbolicShapes(t *testing.T) {
	x := func(list ...any) Info { return Info{Type: onnx.TensorType(onnx.Float, dims(list...))} }
	ints := func(list ...any) Info { return known(onnx.Int64, list...) }
	is := func(v onnx.Value) Info { return ConstInfo(v) }
	unranked := Info{Type: onnx.TensorType(onnx.Float, nil)}
	someInts := func(n int) Info { return Info{Type: onnx.TensorType(onnx.Int64, dims(n))} }
	num := func(v any) Info {
		c := known(onnx.Int64, v)
		c.Type.Shape, c.Content.Scalar = onnx.Shape{}, true
		return c
	}
	for _, c := range []struct {
		op    string
		attrs []any
		in    []Info
		want  string // shape, and after a slash the elements
	}{
		{"Shape", nil, []Info{x("n", 20, nil)}, "[3] / [n 20 ?]"},
		{"Shape", []any{"start", 1}, []Info{x("n", 20)}, "[1] / [20]"},
		{"Shape", nil, []Info{unranked}, "[?]"},
		{"Size", nil, []Info{x("n", 1)}, "[] / [n]"},
		{"Size", nil, []Info{x("n", 2)}, "[] / [?]"},
		{"Size", nil, []Info{x("n", 0)}, "[] / [0]"},
		{"Identity", nil, []Info{ints("n", 2)}, "[2] / [n 2]"},

		{"Reshape", nil, []Info{x("n", "t", 6), ints("n", "t", 2, 3)}, "[n t 2 3]"},
		{"Reshape", nil, []Info{x("n", "t", 6), is(vec[int64](0, 0, 2, -1))}, "[n t 2 3]"},
		{"Reshape", nil, []Info{x("n", 4, 6), is(vec[int64](0, -1))}, "[n 24]"},
		{"Reshape", nil, []Info{x("n", 4, 6), is(vec[int64](-1, 24))}, "[n 24]"},
		{"Reshape", nil, []Info{x("n", 4, 6), is(vec[int64](-1, 12))}, "[? 12]"},
		{"Reshape", nil, []Info{x("n", "t", 6), ints("n", -1)}, "[n ?]"},
		{"Reshape", nil, []Info{x("n", "t", 6), ints("n", -1, 6)}, "[n t 6]"},
		{"Reshape", nil, []Info{x("n", "t", 6), ints("t", -1)}, "[? ?]"}, // t may be 0, which copies n
		{"Reshape", nil, []Info{x(nil, 6), ints("n", "t", 6)}, "[n t 6]"},
		{"Reshape", nil, []Info{unranked, ints(nil, 0, 6)}, "[? ? 6]"},
		{"Reshape", nil, []Info{unranked, someInts(2)}, "[? ?]"},
		{"Reshape", nil, []Info{ints("n"), is(vec[int64]())}, "[] / [n]"},
		{"Reshape", nil, []Info{num("n"), is(vec[int64](-1))}, "[1] / [n]"},
		{"Flatten", []any{"axis", 1}, []Info{x("n", 3, 4)}, "[n 12]"},
		{"Flatten", []any{"axis", 2}, []Info{x("n", 3, 4)}, "[? 4]"},
		{"Squeeze", nil, []Info{x("n", 1, 4), is(vec[int64](1))}, "[n 4]"},
		{"Squeeze", nil, []Info{x("n", 1, 4)}, "[...]"},
		{"Squeeze", nil, []Info{x("n", 1, 4), someInts(1)}, "[? ?]"},
		{"Squeeze", nil, []Info{ints("n"), is(vec[int64](0))}, "[] / [n]"},
		{"Unsqueeze", nil, []Info{x("n", 4), is(vec[int64](1, -1))}, "[n 1 4 1]"},
		{"Unsqueeze", nil, []Info{num("n"), is(vec[int64](0))}, "[1] / [n]"},
		{"Unsqueeze", nil, []Info{x("n", 4), someInts(2)}, "[? ? ? ?]"},
		{"Transpose", []any{"perm", []int64{2, 0, 1}}, []Info{x("n", "t", 4)}, "[4 n t]"},
		{"Transpose", nil, []Info{x("n", 4)}, "[4 n]"},
		{"Transpose", []any{"perm", []int64{1, 0}}, []Info{unranked}, "[? ?]"},

		{"Concat", []any{"axis", 0}, []Info{ints("n"), is(vec[int64](5)), someInts(1)}, "[3] / [n 5 ?]"},
		{"Concat", []any{"axis", 1}, []Info{x("n", 2), x(nil, 3)}, "[n 5]"},
		{"Concat", []any{"axis", 0}, []Info{x("n", 2), x("m", 2)}, "[? 2]"},
		{"Concat", []any{"axis", 0}, []Info{x("n", 2), x(0, 2)}, "[n 2]"},
		{"Concat", []any{"axis", 0}, []Info{x("n", nil), unranked}, "[? ?]"},
		{"Split", []any{"axis", 1}, []Info{x("n", 6), ints("h", nil)}, "[n h]"},
		{"Split", []any{"axis", 0, "num_outputs", 2}, []Info{ints("n", 3, "m", 4)}, "[2] / [n 3]"},
		{"Split", []any{"axis", 0, "num_outputs", 2}, []Info{x("n", 3)}, "[? 3]"},
		{"Slice", nil, []Info{ints("n", 3, "m", 4), is(vec[int64](-1)), is(vec[int64](-9)), is(vec[int64](0)), is(vec[int64](-2))}, "[2] / [4 3]"},
		{"Slice", nil, []Info{x("n", 8), is(vec[int64](1)), is(vec[int64](math.MaxInt64)), is(vec[int64](1))}, "[n 7]"},
		{"Slice", nil, []Info{x("n", 8), is(vec[int64](0)), is(vec[int64](math.MaxInt64)), is(vec[int64](0))}, "[n 8]"},
		{"Slice", nil, []Info{x("n", 8), is(vec[int64](0)), ints("n"), is(vec[int64](0))}, "[n 8]"},
		{"Slice", nil, []Info{x("n", 8), is(vec[int64](0)), is(vec[int64](1)), is(vec[int64](0))}, "[? 8]"}, // n may be 0
		{"Slice", nil, []Info{x("n", 8), is(vec[int64](-1)), is(vec[int64](math.MinInt64)), is(vec[int64](0)), is(vec[int64](-1))}, "[n 8]"},
		{"Slice", nil, []Info{x("n", 8), someInts(1), someInts(1), is(vec[int64](0))}, "[? 8]"},
		{"Slice", nil, []Info{x("n", 8), someInts(1), someInts(1), someInts(1)}, "[? ?]"},
		{"Gather", nil, []Info{ints("n", 20, "m"), is(onnx.Scalar[int64](-1))}, "[] / [m]"},
		{"Gather", nil, []Info{ints("n", 20, "m"), is(vec[int64](1, 0))}, "[2] / [20 n]"},
		{"Gather", []any{"axis", 1}, []Info{x("n", 20, 4), Info{Type: onnx.TensorType(onnx.Int64, dims("k"))}}, "[n k 4]"},
		{"GatherND", nil, []Info{x("n", 20, 4), Info{Type: onnx.TensorType(onnx.Int64, dims("k", 2))}}, "[k 4]"},
		{"GatherElements", nil, []Info{ints("n", 20), is(vec[int64](-2))}, "[1] / [n]"},
		{"ScatterElements", nil, []Info{ints("n", 20), is(vec[int64](1)), ints("m")}, "[2] / [n m]"},

		{"ConstantOfShape", []any{"value", vec[int64](7)}, []Info{is(vec[int64](2))}, "[2] / [7 7]"},
		{"ConstantOfShape", nil, []Info{ints("n", 3)}, "[n 3]"},
		{"ConstantOfShape", nil, []Info{someInts(2)}, "[? ?]"},
		{"Expand", nil, []Info{x(1, 4), ints("n", "t", 4)}, "[n t 4]"},
		{"Expand", nil, []Info{x("n", 4), is(vec[int64](1, 1))}, "[n 4]"},
		{"Expand", nil, []Info{num("n"), is(vec[int64](2))}, "[2] / [n n]"},
		{"Tile", nil, []Info{x("n", 4), is(vec[int64](1, 3))}, "[n 12]"},
		{"Tile", nil, []Info{x(1, 4), ints("n", 1)}, "[n 4]"},
		{"Tile", nil, []Info{ints("n", 4), is(vec[int64](2))}, "[4] / [n 4 n 4]"},
		{"Pad", nil, []Info{x("n", 4), is(vec[int64](0, 1, 0, 2))}, "[n 7]"},
		{"Pad", nil, []Info{x("n", 4), is(vec[int64](1, 0, 0, 0))}, "[? 4]"},
		{"Range", nil, []Info{is(onnx.Scalar[int64](0)), num("n"), is(onnx.Scalar[int64](1))}, "[n]"},
		{"Range", nil, []Info{is(onnx.Scalar[int64](4)), num(-1), is(onnx.Scalar[int64](-2))}, "[3] / [4 2 0]"},
		{"Range", nil, []Info{num("m"), num("n"), is(onnx.Scalar[int64](1))}, "[?]"},
		{"OneHot", nil, []Info{Info{Type: onnx.TensorType(onnx.Int64, dims("n", "t"))}, is(onnx.Scalar[int64](9)), x(2)}, "[n t 9]"},
		{"NonZero", nil, []Info{x("n", 4)}, "[2 ?]"},
		{"CenterCropPad", []any{"axes", []int64{1}}, []Info{x("n", 4), ints("w")}, "[n w]"},
		{"DepthToSpace", []any{"blocksize", 2}, []Info{x("n", 8, 3, nil)}, "[n 2 6 ?]"},
	} {
		n := node(c.op, 1, c.attrs...)
		if c.op == "Split" {
			n.Outputs = append(n.Outputs, "o1")
		}
		scope := (&Analysis{Registry: Default(), Opsets: map[string]int{"": 21}, Limits: onnx.Limits{}.WithDefaults()}).NewScope(nil)
		for i, info := range c.in {
			n.Inputs = append(n.Inputs, fmt.Sprintf("i%d", i))
			scope.Set(n.Inputs[i], info)
		}
		got, err := scope.Node(n)
		if err != nil {
			t.Errorf("%s, want %s: %v", c.op, c.want, err)
			continue
		}
		s := got.Out(0).Type.Shape.String()
		if elems := got.Out(0).Content; elems != nil {
			s += fmt.Sprintf(" / %v", elems.Elems)
			if elems.Scalar != (len(got.Out(0).Type.Shape) == 0) {
				t.Errorf("%s: content %v of shape %v", c.op, elems, got.Out(0).Type.Shape)
			}
		}
		if s != c.want {
			t.Errorf("%s %v: got %s, want %s", c.op, c.attrs, s, c.want)
		}
	}
}

func BenchmarkTranspose(b *testing.B) {
	for _, c := range []struct {
		name  string
		shape []int
		perm  []int64
	}{
		{"matrix", []int{512, 512}, []int64{1, 0}},
		{"timeMajor", []int{32, 64, 128}, []int64{1, 0, 2}},
		{"channelsLast", []int{8, 64, 32, 32}, []int64{0, 2, 3, 1}},
	} {
		b.Run(c.name, func(b *testing.B) {
			x, _ := onnx.NewZeros(onnx.Float, c.shape)
			result := make([]int, len(c.shape))
			for i, p := range c.perm {
				result[i] = c.shape[p]
			}
			y, _ := onnx.NewZeros(onnx.Float, result)
			m := &mover{c: NewCtx(&heap{ctx: b.Context()})}
			b.SetBytes(int64(4 * x.Len()))
			for b.Loop() {
				m.start()
				step := y.Len()
				for i, d := range result {
					step /= d
					m.add(d, step, strideAfter(c.shape, int(c.perm[i])))
				}
				if err := m.copy(y, 0, x, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
