package ops

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func TestConcatAndSplit(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 60 {
		shape := randomShape(r, 1+r.IntN(3), 4)
		axis := r.IntN(len(shape))
		var sizes []int64
		total := 0
		for range 1 + r.IntN(4) {
			n := r.IntN(4)
			sizes = append(sizes, int64(n))
			total += n
		}
		shape[axis] = total
		for _, d := range movedTypes {
			x := bitPattern(r, d, shape)
			out, err := compute(t, node("Split", len(sizes), "axis", axis-len(shape)), 13, x, vec(sizes...))
			if err != nil {
				t.Fatalf("split %v along %d by %v: %v", shape, axis, sizes, err)
			}
			at := 0
			for i, y := range out {
				part := slices.Clone(shape)
				part[axis] = int(sizes[i])
				want := picked(x, part, func(index []int) int {
					src := slices.Clone(index)
					src[axis] += at
					return linear(shape, src)
				})
				if !sameElements(tensorOf(y), want) {
					t.Fatalf("split %v along %d by %v: output %d is not as wanted", x, axis, sizes, i)
				}
				at += int(sizes[i])
			}
			back, err := compute(t, node("Concat", 1, "axis", axis), 13, out...)
			if err != nil || !sameElements(tensorOf(back[0]), x) {
				t.Fatalf("concat of %v along %d: %v, want %v; error %v", out, axis, back, x, err)
			}
		}
	}
}

// TestConcatLarge joins constants of which the elements are put together when
// somebody looks at them.
func TestConcatLarge(t *testing.T) {
	a, b := make([]float32, 3*500), make([]float32, 3*300)
	var want []float32
	for i := range 3 {
		for k := range 500 {
			a[i*500+k] = float32(1000*i + k)
		}
		for k := range 300 {
			b[i*300+k] = -float32(1000*i + k)
		}
		want = slices.Concat(want, a[i*500:][:500], b[i*300:][:300])
	}
	in := []onnx.Value{onnx.MustTensor([]int{3, 500}, a), onnx.MustTensor([]int{3, 300}, b)}
	out, err := compute(t, node("Concat", 1, "axis", 1), 13, in...)
	if err != nil {
		t.Fatal(err)
	}
	if d := differ(out[0], onnx.MustTensor([]int{3, 800}, want), 0, 0); d != "" {
		t.Error(d)
	}
}

func TestConcatSplitVersions(t *testing.T) {
	x := of([]int{2, 4}, float32(1), 2, 3, 4, 5, 6, 7, 8)
	left, right := of([]int{2, 2}, float32(1), 2, 5, 6), of([]int{2, 2}, float32(3), 4, 7, 8)
	runElementCases(t, []elementCase{
		{name: "default axis 1", op: "Concat", opset: 1, in: []onnx.Value{left, right}, want: x},
		{name: "no axis", op: "Concat", opset: 4, in: []onnx.Value{left, right}, err: onnx.ErrMalformed},
		{name: "one input", op: "Concat", opset: 13, attrs: []any{"axis", -1}, in: []onnx.Value{x}, want: x},
		{name: "axis", op: "Concat", opset: 13, attrs: []any{"axis", 2}, in: []onnx.Value{x, x}, err: onnx.ErrShape},
		{name: "rank", op: "Concat", opset: 13, attrs: []any{"axis", 0}, in: []onnx.Value{x, vec[float32](1)}, err: onnx.ErrShape},
		{name: "sizes", op: "Concat", opset: 13, attrs: []any{"axis", 0}, in: []onnx.Value{x, left}, err: onnx.ErrShape},
		{name: "scalars", op: "Concat", opset: 13, attrs: []any{"axis", 0}, in: []onnx.Value{onnx.Scalar[float32](1), onnx.Scalar[float32](1)}, err: onnx.ErrShape},
	})
	for _, c := range []struct {
		opset int
		attrs []any
		split onnx.Value
		outs  int
		err   error
		want  []int // sizes along axis 1
	}{
		{1, []any{"axis", 1}, nil, 2, nil, []int{2, 2}},
		{1, []any{"axis", 1, "split", []int64{1, 3}}, nil, 2, nil, []int{1, 3}},
		{1, []any{"axis", 1}, vec[float32](3, 1), 2, nil, []int{3, 1}},
		{2, []any{"axis", -1, "split", []int64{1, 3}}, nil, 2, nil, []int{1, 3}},
		{2, []any{"axis", 1}, nil, 3, onnx.ErrShape, nil},
		{11, []any{"axis", 1, "split", []int64{1, 1}}, nil, 2, onnx.ErrShape, nil},
		{11, []any{"axis", 1, "split", []int64{1, 3}}, nil, 3, onnx.ErrShape, nil},
		{13, []any{"axis", 1}, nil, 4, nil, []int{1, 1, 1, 1}},
		{13, []any{"axis", 1}, vec[int64](5, -1), 2, onnx.ErrShape, nil},
		{18, []any{"axis", 1, "num_outputs", 3}, nil, 3, nil, []int{2, 2, 0}},
		{18, []any{"axis", 1, "num_outputs", 2}, nil, 2, nil, []int{2, 2}},
		{18, []any{"axis", 1, "num_outputs", 2}, nil, 3, onnx.ErrMalformed, nil},
		{18, []any{"axis", 1}, nil, 2, onnx.ErrMalformed, nil},
		{18, []any{"axis", 1, "num_outputs", 2}, vec[int64](2, 2), 2, onnx.ErrMalformed, nil},
		{18, []any{"axis", 1}, vec[int64](0, 4), 2, nil, []int{0, 4}},
	} {
		in := []onnx.Value{x}
		if c.split != nil {
			in = append(in, c.split)
		}
		name := fmt.Sprintf("Split-%d %v", c.opset, c.attrs)
		out, err := compute(t, node("Split", c.outs, c.attrs...), c.opset, in...)
		switch {
		case c.err != nil:
			checkSentinel(t, name, err, c.err)
			continue
		case err != nil:
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, y := range out {
			if n := tensorOf(y).Shape()[1]; n != c.want[i] {
				t.Errorf("%s: output %d has %d columns, want %d", name, i, n, c.want[i])
			}
		}
	}
	out, err := compute(t, node("Split", 3, "num_outputs", 3), 18, vec[int64](1, 2, 3, 4, 5, 6, 7))
	if err != nil || differ(out[2], vec[int64](7), 0, 0) != "" || differ(out[0], vec[int64](1, 2, 3), 0, 0) != "" {
		t.Errorf("7 into 3: %v, %v", out, err)
	}
	_, err = compute(t, node("Split", 4, "num_outputs", 4), 18, vec[int64](1, 2, 3, 4, 5))
	checkSentinel(t, "5 into 4", err, onnx.ErrShape)
}

func TestGather(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 60 {
		shape := randomShape(r, 1+r.IntN(3), 4)
		axis := r.IntN(len(shape))
		ishape := randomShape(r, r.IntN(3), 3)
		n, _ := onnx.NumElements(ishape)
		list := make([]int64, n)
		for i := range list {
			list[i] = int64(r.IntN(2*shape[axis]) - shape[axis])
		}
		result := slices.Concat(shape[:axis], ishape, shape[axis+1:])
		movement{fmt.Sprintf("%v along %d", list, axis), node("Gather", 1, "axis", axis-len(shape)), 13, shape, []onnx.Value{onnx.MustTensor(ishape, list)}, result, func(index []int) int {
			k := int(list[linear(ishape, index[axis:axis+len(ishape)])])
			return linear(shape, slices.Concat(index[:axis], []int{(k + shape[axis]) % shape[axis]}, index[axis+len(ishape):]))
		}}.run(t, movedTypes)

		elements := slices.Clone(shape)
		for i, d := range shape {
			if elements[i] = 1 + r.IntN(d); i == axis {
				elements[i] = r.IntN(4)
			}
		}
		n, _ = onnx.NumElements(elements)
		short := make([]int32, n)
		for i := range short {
			short[i] = int32(r.IntN(2*shape[axis]) - shape[axis])
		}
		movement{fmt.Sprintf("elements %v along %d", short, axis), node("GatherElements", 1, "axis", axis), 11, shape, []onnx.Value{onnx.MustTensor(elements, short)}, elements, func(index []int) int {
			src := slices.Clone(index)
			src[axis] = (int(short[linear(elements, index)]) + shape[axis]) % shape[axis]
			return linear(shape, src)
		}}.run(t, movedTypes)

		batch := r.IntN(len(shape))
		depth := r.IntN(len(shape) - batch + 1)
		tuples := append(slices.Clone(shape[:batch]), randomShape(r, r.IntN(2), 3)...)
		ishape = append(slices.Clone(tuples), depth)
		n, _ = onnx.NumElements(ishape)
		list = make([]int64, n)
		for i := range list {
			d := shape[batch+i%depth]
			list[i] = int64(r.IntN(2*d) - d)
		}
		movement{fmt.Sprintf("tuples %v after %d", list, batch), node("GatherND", 1, "batch_dims", batch), 13, shape, []onnx.Value{onnx.MustTensor(ishape, list)},
			slices.Concat(tuples, shape[batch+depth:]), func(index []int) int {
				src := slices.Clone(index[:batch])
				for k := range depth {
					d := shape[batch+k]
					src = append(src, (int(list[linear(tuples, index)*depth+k])+d)%d)
				}
				return linear(shape, append(src, index[len(tuples):]...))
			}}.run(t, movedTypes)
	}
	x := of([]int{2, 3}, float32(1), 2, 3, 4, 5, 6)
	runElementCases(t, []elementCase{
		{name: "beyond", op: "Gather", opset: 13, in: []onnx.Value{x, vec[int64](2)}, err: onnx.ErrShape},
		{name: "before", op: "Gather", opset: 13, in: []onnx.Value{x, vec[int32](-3)}, err: onnx.ErrShape},
		{name: "axis", op: "Gather", opset: 13, attrs: []any{"axis", 2}, in: []onnx.Value{x, vec[int64](0)}, err: onnx.ErrShape},
		{name: "of nothing", op: "Gather", opset: 13, in: []onnx.Value{vec[float32](), vec[int64](0)}, err: onnx.ErrShape},
		{name: "nothing", op: "Gather", opset: 1, in: []onnx.Value{x, vec[int64]()}, want: of[float32]([]int{0, 3})},
		{name: "scalar", op: "Gather", opset: 13, in: []onnx.Value{onnx.Scalar[float32](1), vec[int64](0)}, err: onnx.ErrShape},
		{name: "beyond", op: "GatherElements", opset: 13, in: []onnx.Value{x, of([]int{1, 1}, int64(2))}, err: onnx.ErrShape},
		{name: "rank", op: "GatherElements", opset: 13, in: []onnx.Value{x, vec[int64](0)}, err: onnx.ErrShape},
		{name: "size", op: "GatherElements", opset: 13, in: []onnx.Value{x, of([]int{1, 4}, int64(0), 0, 0, 0)}, err: onnx.ErrShape},
		{name: "beyond", op: "GatherND", opset: 13, in: []onnx.Value{x, of([]int{1, 2}, int64(0), 3)}, err: onnx.ErrShape},
		{name: "deep", op: "GatherND", opset: 13, in: []onnx.Value{x, of([]int{1, 3}, int64(0), 0, 0)}, err: onnx.ErrShape},
		{name: "scalar", op: "GatherND", opset: 13, in: []onnx.Value{x, onnx.Scalar[int64](0)}, err: onnx.ErrShape},
		{name: "batch", op: "GatherND", opset: 12, attrs: []any{"batch_dims", 1}, in: []onnx.Value{x, of([]int{3, 1}, int64(0), 0, 0)}, err: onnx.ErrShape},
		{name: "all batch", op: "GatherND", opset: 12, attrs: []any{"batch_dims", 1}, in: []onnx.Value{x, vec[int64](0)}, err: onnx.ErrShape},
	})
	_, err := computeKnowing(t, node("Gather", 1, "axis", 0), 13, knowNothing, []onnx.Value{x, of([]int{2, 2}, int64(0), 1, 1, 2)})
	if want := "indices[1 1] = 2, want -2..1"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestGatherLarge has several spans of runs.
func TestGatherLarge(t *testing.T) {
	shape := []int{3, 700, 40}
	list := make([]int64, 900)
	for i := range list {
		list[i] = int64(i * 577 % 700)
	}
	movement{"large", node("Gather", 1, "axis", 1), 13, shape, []onnx.Value{vec(list...)}, []int{3, 900, 40}, func(i []int) int {
		return (i[0]*700+int(list[i[1]]))*40 + i[2]
	}}.run(t, []onnx.DataType{onnx.Float})
}
