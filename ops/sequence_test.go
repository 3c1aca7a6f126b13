package ops

import (
	"errors"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func f32(shape []int, data ...float32) *onnx.Tensor { return onnx.MustTensor(shape, data) }

func emptySequence(d onnx.DataType) *onnx.Sequence {
	return &onnx.Sequence{Elem: onnx.TensorType(d, nil)}
}

type sequenceCase struct {
	name  string
	node  *onnx.Node
	opset int
	in    []onnx.Value
	want  onnx.Value
	err   error
}

func runSequenceCases(t *testing.T, cases []sequenceCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			out, err := compute(t, c.node, c.opset, c.in...)
			if c.err != nil {
				if !errors.Is(err, c.err) {
					t.Fatalf("error %v, want one that matches %v", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := differ(out[0], c.want, 0, 0); d != "" {
				t.Error(d)
			}
			if s, ok := out[0].(*onnx.Sequence); ok && s.Elem.Elem != c.want.(*onnx.Sequence).Elem.Elem {
				t.Errorf("a sequence of %v, want one of %v", s.Elem, c.want.(*onnx.Sequence).Elem)
			}
		})
	}
}

func TestSequenceLists(t *testing.T) {
	a, b, c := f32([]int{2}, 1, 2), f32([]int{1, 2}, 3, 4), f32(nil, 5)
	abc := onnx.NewSequence(a, b, c)
	words := onnx.NewSequence(onnx.Scalar("x"), onnx.Scalar("y"))
	runSequenceCases(t, []sequenceCase{
		{"empty", node("SequenceEmpty", 1), 11, nil, emptySequence(onnx.Float), nil},
		{"empty of strings", node("SequenceEmpty", 1, "dtype", 8), 11, nil, emptySequence(onnx.String), nil},
		{"empty of nothing", node("SequenceEmpty", 1, "dtype", 77), 11, nil, nil, onnx.ErrType},
		{"construct", node("SequenceConstruct", 1), 11, []onnx.Value{a, b, c}, abc, nil},
		{"construct mixed", node("SequenceConstruct", 1), 11, []onnx.Value{a, onnx.Scalar(int64(1))}, nil, onnx.ErrType},
		{"insert at the end", node("SequenceInsert", 1), 11, []onnx.Value{abc, a}, onnx.NewSequence(a, b, c, a), nil},
		{"insert at -1", node("SequenceInsert", 1), 11, []onnx.Value{abc, a, onnx.Scalar(int32(-1))}, onnx.NewSequence(a, b, a, c), nil},
		{"insert at -n", node("SequenceInsert", 1), 11, []onnx.Value{abc, c, onnx.Scalar(int64(-3))}, onnx.NewSequence(c, a, b, c), nil},
		{"insert at n", node("SequenceInsert", 1), 11, []onnx.Value{abc, c, onnx.MustTensor([]int{1}, []int64{3})}, onnx.NewSequence(a, b, c, c), nil},
		{"insert beyond", node("SequenceInsert", 1), 11, []onnx.Value{abc, c, onnx.Scalar(int64(4))}, nil, onnx.ErrShape},
		{"insert far before", node("SequenceInsert", 1), 11, []onnx.Value{abc, c, onnx.Scalar(int64(-1 << 63))}, nil, onnx.ErrShape},
		{"insert into an empty one", node("SequenceInsert", 1), 11, []onnx.Value{emptySequence(onnx.Float), a, onnx.Scalar(int64(0))}, onnx.NewSequence(a), nil},
		{"insert another type", node("SequenceInsert", 1), 11, []onnx.Value{abc, onnx.Scalar("s")}, nil, onnx.ErrType},
		{"insert a string", node("SequenceInsert", 1), 11, []onnx.Value{words, onnx.Scalar("z"), onnx.Scalar(int64(1))}, onnx.NewSequence(onnx.Scalar("x"), onnx.Scalar("z"), onnx.Scalar("y")), nil},
		{"erase the last", node("SequenceErase", 1), 11, []onnx.Value{abc}, onnx.NewSequence(a, b), nil},
		{"erase at -3", node("SequenceErase", 1), 11, []onnx.Value{abc, onnx.Scalar(int64(-3))}, onnx.NewSequence(b, c), nil},
		{"erase at n", node("SequenceErase", 1), 11, []onnx.Value{abc, onnx.Scalar(int64(3))}, nil, onnx.ErrShape},
		{"erase from an empty one", node("SequenceErase", 1), 11, []onnx.Value{emptySequence(onnx.Float)}, nil, onnx.ErrShape},
		{"at 1", node("SequenceAt", 1), 11, []onnx.Value{abc, onnx.Scalar(int32(1))}, b, nil},
		{"at -1", node("SequenceAt", 1), 11, []onnx.Value{words, onnx.Scalar(int64(-1))}, onnx.Scalar("y"), nil},
		{"at n", node("SequenceAt", 1), 11, []onnx.Value{abc, onnx.Scalar(int64(3))}, nil, onnx.ErrShape},
		{"at two places", node("SequenceAt", 1), 11, []onnx.Value{abc, onnx.MustTensor([]int{2}, []int64{0, 1})}, nil, onnx.ErrShape},
		{"length", node("SequenceLength", 1), 11, []onnx.Value{abc}, onnx.Scalar(int64(3)), nil},
		{"length 0", node("SequenceLength", 1), 11, []onnx.Value{emptySequence(onnx.Int8)}, onnx.Scalar(int64(0)), nil},
	})
}

// TestSequenceInsertKeepsTheOld: what was there before stays as it was.
func TestSequenceInsertKeepsTheOld(t *testing.T) {
	a := f32([]int{1}, 1)
	items := make([]onnx.Value, 1, 8)
	items[0] = a
	old := &onnx.Sequence{Elem: onnx.TensorType(onnx.Float, nil), Items: items}
	for _, v := range []float32{2, 3} {
		out, err := compute(t, node("SequenceInsert", 1), 11, old, f32([]int{1}, v))
		if err != nil {
			t.Fatal(err)
		}
		if d := differ(out[0], onnx.NewSequence(a, f32([]int{1}, v)), 0, 0); d != "" {
			t.Error(d)
		}
	}
	if len(old.Items) != 1 || items[:2][1] != nil {
		t.Error("the old sequence was written to")
	}
}

func TestSplitToSequence(t *testing.T) {
	x := f32([]int{2, 3}, 1, 2, 3, 4, 5, 6)
	ints := func(v ...int64) *onnx.Tensor { return onnx.MustTensor([]int{len(v)}, v) }
	cols := onnx.NewSequence(f32([]int{2, 1}, 1, 4), f32([]int{2, 1}, 2, 5), f32([]int{2, 1}, 3, 6))
	words := onnx.MustTensor([]int{3}, []string{"a", "b", "c"})
	bytes := onnx.MustTensor([]int{2, 2}, []uint8{1, 2, 3, 4})
	var cases []sequenceCase
	for _, opset := range []int{11, 24} {
		cases = append(cases, []sequenceCase{
			{"ones", node("SplitToSequence", 1), opset, []onnx.Value{x}, onnx.NewSequence(f32([]int{1, 3}, 1, 2, 3), f32([]int{1, 3}, 4, 5, 6)), nil},
			{"ones, axis dropped", node("SplitToSequence", 1, "keepdims", 0), opset, []onnx.Value{x}, onnx.NewSequence(f32([]int{3}, 1, 2, 3), f32([]int{3}, 4, 5, 6)), nil},
			{"columns", node("SplitToSequence", 1, "axis", -1), opset, []onnx.Value{x}, cols, nil},
			{"columns, axis dropped", node("SplitToSequence", 1, "axis", 1, "keepdims", 0), opset, []onnx.Value{x}, onnx.NewSequence(f32([]int{2}, 1, 4), f32([]int{2}, 2, 5), f32([]int{2}, 3, 6)), nil},
			{"keepdims without effect", node("SplitToSequence", 1, "axis", 1, "keepdims", 0), opset, []onnx.Value{x, onnx.Scalar(int64(1))}, cols, nil},
			{"pairs and a rest", node("SplitToSequence", 1, "axis", 1), opset, []onnx.Value{x, onnx.Scalar(int32(2))}, onnx.NewSequence(f32([]int{2, 2}, 1, 2, 4, 5), f32([]int{2, 1}, 3, 6)), nil},
			{"more than there is", node("SplitToSequence", 1, "axis", 1), opset, []onnx.Value{x, onnx.Scalar(int64(1 << 62))}, onnx.NewSequence(x), nil},
			{"sizes", node("SplitToSequence", 1, "axis", 1), opset, []onnx.Value{x, ints(2, 0, 1)}, onnx.NewSequence(f32([]int{2, 2}, 1, 2, 4, 5), f32([]int{2, 0}), f32([]int{2, 1}, 3, 6)), nil},
			{"one size", node("SplitToSequence", 1, "axis", 1), opset, []onnx.Value{x, ints(3)}, onnx.NewSequence(x), nil},
			{"strings", node("SplitToSequence", 1), opset, []onnx.Value{words, ints(1, 2)}, onnx.NewSequence(onnx.MustTensor([]int{1}, []string{"a"}), onnx.MustTensor([]int{2}, []string{"b", "c"})), nil},
			{"bytes", node("SplitToSequence", 1, "axis", 1, "keepdims", 0), opset, []onnx.Value{bytes}, onnx.NewSequence(onnx.MustTensor([]int{2}, []uint8{1, 3}), onnx.MustTensor([]int{2}, []uint8{2, 4})), nil},
			{"nothing", node("SplitToSequence", 1), opset, []onnx.Value{f32([]int{0, 2})}, emptySequence(onnx.Float), nil},
			{"nothing in pairs", node("SplitToSequence", 1), opset, []onnx.Value{f32([]int{0, 2}), onnx.Scalar(int64(2))}, emptySequence(onnx.Float), nil},
			{"sizes too small", node("SplitToSequence", 1, "axis", 1), opset, []onnx.Value{x, ints(1, 1)}, nil, onnx.ErrShape},
			{"sizes too large", node("SplitToSequence", 1, "axis", 1), opset, []onnx.Value{x, ints(1, 1<<62)}, nil, onnx.ErrShape},
			{"negative size", node("SplitToSequence", 1, "axis", 1), opset, []onnx.Value{x, ints(4, -1)}, nil, onnx.ErrShape},
			{"zero", node("SplitToSequence", 1, "axis", 1), opset, []onnx.Value{x, onnx.Scalar(int64(0))}, nil, onnx.ErrShape},
			{"axis", node("SplitToSequence", 1, "axis", 2), opset, []onnx.Value{x}, nil, onnx.ErrShape},
			{"scalar", node("SplitToSequence", 1), opset, []onnx.Value{onnx.Scalar(float32(1))}, nil, onnx.ErrShape},
		}...)
	}
	bf := onnx.MustTensor([]int{2}, []onnx.BF16{0x7fc1, 2})
	cases = append(cases, sequenceCase{"bfloat16", node("SplitToSequence", 1, "keepdims", 0), 24, []onnx.Value{bf}, onnx.NewSequence(onnx.Scalar(onnx.BF16(0x7fc1)), onnx.Scalar(onnx.BF16(2))), nil})
	runSequenceCases(t, cases)
}

func TestConcatFromSequence(t *testing.T) {
	a, b := f32([]int{2, 1}, 1, 2), f32([]int{2, 2}, 3, 4, 5, 6)
	v := onnx.NewSequence(f32([]int{2}, 1, 2), f32([]int{2}, 3, 4), f32([]int{2}, 5, 6))
	words := onnx.NewSequence(onnx.Scalar("a"), onnx.Scalar("b"))
	runSequenceCases(t, []sequenceCase{
		{"last axis", node("ConcatFromSequence", 1, "axis", -1), 11, []onnx.Value{onnx.NewSequence(a, b)}, f32([]int{2, 3}, 1, 3, 4, 2, 5, 6), nil},
		{"first axis", node("ConcatFromSequence", 1, "axis", 0), 11, []onnx.Value{v}, f32([]int{6}, 1, 2, 3, 4, 5, 6), nil},
		{"new first axis", node("ConcatFromSequence", 1, "axis", 0, "new_axis", 1), 11, []onnx.Value{v}, f32([]int{3, 2}, 1, 2, 3, 4, 5, 6), nil},
		{"new last axis", node("ConcatFromSequence", 1, "axis", -1, "new_axis", 1), 11, []onnx.Value{v}, f32([]int{2, 3}, 1, 3, 5, 2, 4, 6), nil},
		{"new axis -2", node("ConcatFromSequence", 1, "axis", -2, "new_axis", 1), 11, []onnx.Value{v}, f32([]int{3, 2}, 1, 2, 3, 4, 5, 6), nil},
		{"scalars", node("ConcatFromSequence", 1, "axis", 0, "new_axis", 1), 11, []onnx.Value{words}, onnx.MustTensor([]int{2}, []string{"a", "b"}), nil},
		{"nothing in them", node("ConcatFromSequence", 1, "axis", 1), 11, []onnx.Value{onnx.NewSequence(f32([]int{0, 1}), f32([]int{0, 2}))}, f32([]int{0, 3}), nil},
		{"scalars without a new axis", node("ConcatFromSequence", 1, "axis", 0), 11, []onnx.Value{words}, nil, onnx.ErrShape},
		{"empty", node("ConcatFromSequence", 1, "axis", 0), 11, []onnx.Value{emptySequence(onnx.Float)}, nil, onnx.ErrShape},
		{"different sizes", node("ConcatFromSequence", 1, "axis", 0), 11, []onnx.Value{onnx.NewSequence(a, b)}, nil, onnx.ErrShape},
		{"different ranks", node("ConcatFromSequence", 1, "axis", 0), 11, []onnx.Value{onnx.NewSequence(a, f32([]int{2}, 1, 2))}, nil, onnx.ErrShape},
		{"different sizes, stacked", node("ConcatFromSequence", 1, "axis", 1, "new_axis", 1), 11, []onnx.Value{onnx.NewSequence(a, b)}, nil, onnx.ErrShape},
		{"axis", node("ConcatFromSequence", 1, "axis", 1), 11, []onnx.Value{v}, nil, onnx.ErrShape},
	})
}

func TestOptional(t *testing.T) {
	a := f32([]int{2}, 1, 2)
	seq := onnx.NewSequence(a)
	full := func(v onnx.Value) *onnx.Optional { return &onnx.Optional{Elem: withoutShapes(v.Type()), Value: v} }
	none := &onnx.Optional{Elem: onnx.TensorType(onnx.Float, nil)}
	typed := func(ty onnx.Type) *onnx.Node {
		n := node("Optional", 1)
		n.Attributes = []*onnx.Attribute{{Name: "type", Type: onnx.AttrTypeProto, TypeProto: &ty}}
		return n
	}
	float := onnx.TensorType(onnx.Float, nil)
	var cases []sequenceCase
	for _, opset := range []int{15, 18, 28} {
		cases = append(cases, []sequenceCase{
			{"of a tensor", node("Optional", 1), opset, []onnx.Value{a}, full(a), nil},
			{"of a sequence", node("Optional", 1), opset, []onnx.Value{seq}, full(seq), nil},
			{"of nothing", typed(float), opset, nil, none, nil},
			{"of a typed tensor", typed(float), opset, []onnx.Value{a}, full(a), nil},
			{"of another type", typed(onnx.SequenceType(float)), opset, []onnx.Value{a}, nil, onnx.ErrType},
			{"of no type", node("Optional", 1), opset, nil, nil, onnx.ErrMalformed},
			{"element", node("OptionalGetElement", 1), opset, []onnx.Value{full(a)}, a, nil},
			{"sequence", node("OptionalGetElement", 1), opset, []onnx.Value{full(seq)}, seq, nil},
			{"element of none", node("OptionalGetElement", 1), opset, []onnx.Value{none}, nil, onnx.ErrMalformed},
			{"has", node("OptionalHasElement", 1), opset, []onnx.Value{full(a)}, onnx.Scalar(true), nil},
			{"has none", node("OptionalHasElement", 1), opset, []onnx.Value{none}, onnx.Scalar(false), nil},
		}...)
	}
	for _, opset := range []int{18, 28} {
		cases = append(cases, []sequenceCase{
			{"tensor passes", node("OptionalGetElement", 1), opset, []onnx.Value{a}, a, nil},
			{"sequence passes", node("OptionalGetElement", 1), opset, []onnx.Value{seq}, seq, nil},
			{"tensor is there", node("OptionalHasElement", 1), opset, []onnx.Value{a}, onnx.Scalar(true), nil},
			{"absent", node("OptionalHasElement", 1), opset, []onnx.Value{nil}, onnx.Scalar(false), nil},
			{"no input", node("OptionalHasElement", 1), opset, nil, onnx.Scalar(false), nil},
		}...)
	}
	cases = append(cases,
		sequenceCase{"tensor before 18", node("OptionalGetElement", 1), 15, []onnx.Value{a}, nil, onnx.ErrType},
		sequenceCase{"tensor before 18, has", node("OptionalHasElement", 1), 15, []onnx.Value{a}, nil, onnx.ErrType},
	)
	runSequenceCases(t, cases)
}
