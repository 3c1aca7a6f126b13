package ops

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// movedTypes has a type of each width that the schemas of all movement
// operators allow, and types whose bits a conversion would change.
var movedTypes = []onnx.DataType{
	onnx.Bool, onnx.Int8, onnx.Uint16, onnx.Float16, onnx.Float, onnx.Int32, onnx.Double, onnx.Uint64, onnx.Complex64, onnx.Complex128, onnx.String,
}

// bitPattern makes a tensor of arbitrary bits: NaNs of any payload are among
// them.
func bitPattern(r *rand.Rand, d onnx.DataType, shape []int) *onnx.Tensor {
	t, err := onnx.NewZeros(d, shape)
	if err != nil {
		panic(err)
	}
	for i := range t.Strings() {
		t.Strings()[i] = fmt.Sprintf("s%d\xff", r.IntN(1000))
	}
	mask := byte(0xff)
	switch {
	case d == onnx.Bool:
		mask = 1
	case d.Bits() == 4 && d != onnx.Int4:
		mask = 15
	case d == onnx.Uint2:
		mask = 3
	}
	for i := range t.Bytes() {
		t.Bytes()[i] = byte(r.Uint32()) & mask
		if d == onnx.Int4 || d == onnx.Int2 {
			w := 8 - d.Bits()
			t.Bytes()[i] = byte(int8(t.Bytes()[i]<<w) >> w)
		}
	}
	return t
}

// picked makes the tensor whose element i is element from(index of i) of x, or
// zero where that is negative.
func picked(x *onnx.Tensor, shape []int, from func(index []int) int) *onnx.Tensor {
	t, err := onnx.NewZeros(x.DataType(), shape)
	if err != nil {
		panic(err)
	}
	if t.Len() == 0 {
		return t
	}
	for i, index := range allIndices(shape) {
		k := from(index)
		switch size := x.DataType().Size(); {
		case k < 0:
		case size == 0:
			t.Strings()[i] = x.Strings()[k]
		default:
			copy(t.Bytes()[i*size:(i+1)*size], x.Bytes()[k*size:(k+1)*size])
		}
	}
	return t
}

func sameElements(a, b *onnx.Tensor) bool {
	return a.DataType() == b.DataType() && slices.Equal(a.Shape(), b.Shape()) &&
		slices.Equal(a.Bytes(), b.Bytes()) && slices.Equal(a.Strings(), b.Strings())
}

// linear is the place of an index in a shape.
func linear(shape, index []int) int {
	at := 0
	for i, n := range shape {
		at = at*n + index[i]
	}
	return at
}

// movement is a node that moves elements of its first input.
type movement struct {
	name   string
	node   *onnx.Node
	opset  int
	shape  []int        // of the first input
	rest   []onnx.Value // the other inputs
	result []int
	from   func(index []int) int
}

func (m movement) run(t *testing.T, types []onnx.DataType) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	for _, d := range types {
		x := bitPattern(r, d, m.shape)
		out, err := compute(t, m.node, m.opset, append([]onnx.Value{x}, m.rest...)...)
		if err != nil {
			t.Errorf("%s of %v: %v", m.name, x, err)
			return
		}
		if want := picked(x, m.result, m.from); !sameElements(tensorOf(out[0]), want) {
			t.Errorf("%s of %v: got %v, want %v, or other elements", m.name, x, out[0], want)
			return
		}
	}
}

func randomShape(r *rand.Rand, rank, most int) []int {
	s := make([]int, rank)
	for i := range s {
		s[i] = 1 + r.IntN(most)
	}
	return s
}

func TestTranspose(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	every := []onnx.DataType{onnx.Int4, onnx.Uint2, onnx.Float8E8M0, onnx.Float4E2M1, onnx.BFloat16}
	for range 60 {
		shape := randomShape(r, r.IntN(6), 5)
		if r.IntN(8) == 0 && len(shape) > 0 {
			shape[r.IntN(len(shape))] = 0
		}
		perm := r.Perm(len(shape))
		n := node("Transpose", 1, "perm", ints64(perm))
		if r.IntN(4) == 0 {
			n = node("Transpose", 1)
			for i := range perm {
				perm[i] = len(perm) - 1 - i
			}
		}
		result := make([]int, len(shape))
		for i, p := range perm {
			result[i] = shape[p]
		}
		movement{fmt.Sprintf("perm %v", perm), n, 25, shape, nil, result, func(index []int) int {
			src := make([]int, len(shape))
			for i, p := range perm {
				src[p] = index[i]
			}
			return linear(shape, src)
		}}.run(t, append(slices.Clone(every), movedTypes...))
	}
}

// TestTransposeLarge has tiles, tails of tiles and several spans.
func TestTransposeLarge(t *testing.T) {
	for _, c := range []struct{ shape, perm []int }{
		{[]int{257, 300}, []int{1, 0}}, {[]int{3, 130, 5, 70}, []int{0, 3, 2, 1}}, {[]int{40, 33, 64}, []int{1, 0, 2}}, {[]int{70, 33, 40}, []int{2, 0, 1}},
	} {
		result := make([]int, len(c.shape))
		for i, p := range c.perm {
			result[i] = c.shape[p]
		}
		src := make([]int, len(c.shape))
		movement{fmt.Sprintf("%v by %v", c.shape, c.perm), node("Transpose", 1, "perm", ints64(c.perm)), 21, c.shape, nil, result, func(index []int) int {
			for i, p := range c.perm {
				src[p] = index[i]
			}
			return linear(c.shape, src)
		}}.run(t, []onnx.DataType{onnx.Float})
	}
}

// sliceList lists the indices that a Python slice of a list takes.
func sliceList(start, end, step, n int) []int {
	var all []int
	if start < 0 {
		start += n
	}
	if end < 0 {
		end += n
	}
	if step > 0 {
		for i := max(start, 0); i < min(end, n); i += step {
			all = append(all, i)
		}
		return all
	}
	for i := max(min(start, n-1), 0); i > max(end, -1) && n > 0; i += step {
		all = append(all, i)
	}
	return all
}

func TestSlice(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 120 {
		shape := randomShape(r, 1+r.IntN(4), 5)
		rank := len(shape)
		axes := r.Perm(rank)[:1+r.IntN(rank)]
		var starts, ends, named, steps []int64
		result, list := slices.Clone(shape), make([][]int, rank)
		for i, n := range shape {
			list[i] = sliceList(0, n, 1, n)
		}
		for _, a := range axes {
			start, end, step := r.IntN(14)-7, r.IntN(14)-7, []int{1, 1, 2, 3, -1, -2, 9, -9}[r.IntN(8)]
			list[a] = sliceList(start, end, step, shape[a])
			result[a] = len(list[a])
			starts, ends, steps = append(starts, int64(start)), append(ends, int64(end)), append(steps, int64(step))
			if r.IntN(2) == 0 {
				a -= rank
			}
			named = append(named, int64(a))
		}
		from := func(index []int) int {
			src := make([]int, rank)
			for i, k := range index {
				src[i] = list[i][k]
			}
			return linear(shape, src)
		}
		name := fmt.Sprintf("axes %v starts %v ends %v steps %v", named, starts, ends, steps)
		movement{name, node("Slice", 1), 13, shape, []onnx.Value{vec(starts...), vec(ends...), vec(named...), vec(steps...)}, result, from}.run(t, movedTypes)
	}
	const far = 1<<63 - 1
	tail := func(shape []int, axis, first int) func([]int) int {
		return func(index []int) int {
			src := slices.Clone(index)
			src[axis] += first
			return linear(shape, src)
		}
	}
	movement{"old", node("Slice", 1, "starts", []int64{1, -3}, "ends", []int64{far, far}), 1, []int{3, 4}, nil, []int{2, 3}, func(i []int) int { return (i[0]+1)*4 + i[1] + 1 }}.run(t, movedTypes)
	movement{"old axes", node("Slice", 1, "axes", []int64{1}, "starts", []int64{2}, "ends", []int64{-1}), 9, []int{3, 4}, nil, []int{3, 1}, tail([]int{3, 4}, 1, 2)}.run(t, movedTypes)
	movement{"int32", node("Slice", 1), 10, []int{4}, []onnx.Value{vec[int32](-2), vec[int32](1<<31 - 1)}, []int{2}, tail([]int{4}, 0, 2)}.run(t, movedTypes)
	movement{"reversed", node("Slice", 1), 13, []int{4}, []onnx.Value{vec[int64](far), vec[int64](-far - 1), vec[int64](0), vec[int64](-1)}, []int{4}, func(i []int) int { return 3 - i[0] }}.run(t, movedTypes)
	movement{"least step", node("Slice", 1), 13, []int{4}, []onnx.Value{vec[int64](3), vec[int64](-far), vec[int64](0), vec[int64](-far - 1)}, []int{1}, func([]int) int { return 3 }}.run(t, movedTypes)
	movement{"none", node("Slice", 1), 13, []int{0, 3}, []onnx.Value{vec[int64](0), vec[int64](-1), vec[int64](0), vec[int64](-1)}, []int{0, 3}, nil}.run(t, movedTypes)
	x := vec[float32](1, 2, 3)
	runElementCases(t, []elementCase{
		{name: "step 0", op: "Slice", opset: 13, in: []onnx.Value{x, vec[int64](0), vec[int64](1), vec[int64](0), vec[int64](0)}, err: onnx.ErrShape},
		{name: "axis", op: "Slice", opset: 13, in: []onnx.Value{x, vec[int64](0), vec[int64](1), vec[int64](1)}, err: onnx.ErrShape},
		{name: "axis twice", op: "Slice", opset: 13, in: []onnx.Value{x, vec[int64](0, 0), vec[int64](1, 1), vec[int64](0, -1)}, err: onnx.ErrShape},
		{name: "ends", op: "Slice", opset: 13, in: []onnx.Value{x, vec[int64](0), vec[int64](1, 1)}, err: onnx.ErrShape},
		{name: "steps", op: "Slice", opset: 13, in: []onnx.Value{x, vec[int64](0), vec[int64](1), vec[int64](0), vec[int64](1, 1)}, err: onnx.ErrShape},
		{name: "starts of rank 2", op: "Slice", opset: 13, in: []onnx.Value{x, of([]int{1, 1}, int64(0)), vec[int64](1)}, err: onnx.ErrShape},
		{name: "more starts than axes", op: "Slice", opset: 1, attrs: []any{"starts", []int64{0, 0}, "ends", []int64{1, 1}}, in: []onnx.Value{x}, err: onnx.ErrShape},
	})
}

func TestExpandAndTile(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 60 {
		shape := randomShape(r, r.IntN(4), 3)
		lead := r.IntN(2)
		result := append(randomShape(r, lead, 3), shape...)
		target := slices.Clone(result)
		for i, n := range shape {
			switch {
			case n == 1:
				result[lead+i] = r.IntN(4)
				target[lead+i] = result[lead+i]
			case r.IntN(2) == 0:
				target[lead+i] = 1
			}
		}
		for len(target) > 0 && lead == 0 && target[0] == 1 { // ranks need not agree
			target = target[1:]
		}
		movement{fmt.Sprintf("expand to %v", target), node("Expand", 1), 13, shape, []onnx.Value{vec(ints64(target)...)}, result, func(index []int) int {
			return elementAt(shape, index)
		}}.run(t, movedTypes)

		repeats := make([]int, len(shape))
		tiled := slices.Clone(shape)
		for i := range repeats {
			repeats[i] = r.IntN(4)
			tiled[i] *= repeats[i]
		}
		movement{fmt.Sprintf("tile by %v", repeats), node("Tile", 1), 13, shape, []onnx.Value{vec(ints64(repeats)...)}, tiled, func(index []int) int {
			src := slices.Clone(index)
			for i := range src {
				src[i] %= shape[i]
			}
			return linear(shape, src)
		}}.run(t, movedTypes)
	}
	x := of([]int{2, 2}, float32(1), 2, 3, 4)
	runElementCases(t, []elementCase{
		{name: "old", op: "Tile", opset: 1, in: []onnx.Value{x, vec[float32](2), vec[float32](1)}, want: of([]int{2, 4}, float32(1), 2, 1, 2, 3, 4, 3, 4)},
		{name: "old fraction", op: "Tile", opset: 1, in: []onnx.Value{x, vec[float32](1.5), vec[float32](1)}, err: onnx.ErrShape},
		{name: "old axis", op: "Tile", opset: 1, in: []onnx.Value{x, vec[float32](2), vec[float32](2)}, err: onnx.ErrShape},
		{name: "repeats", op: "Tile", opset: 13, in: []onnx.Value{x, vec[int64](1)}, err: onnx.ErrShape},
		{name: "negative", op: "Tile", opset: 13, in: []onnx.Value{x, vec[int64](1, -1)}, err: onnx.ErrShape},
		{name: "too large", op: "Tile", opset: 13, in: []onnx.Value{x, vec[int64](1<<62, 1<<62)}, err: onnx.ErrShape},
		{name: "expand against", op: "Expand", opset: 13, in: []onnx.Value{x, vec[int64](3, 1)}, err: onnx.ErrShape},
		{name: "expand negative", op: "Expand", opset: 13, in: []onnx.Value{x, vec[int64](-1, 1)}, err: onnx.ErrShape},
		{name: "expand too large", op: "Expand", opset: 13, in: []onnx.Value{x, vec[int64](1<<62, 2, 2)}, err: onnx.ErrShape},
	})
}

// padList lists, for each element of an axis that is padded, the input's
// element that stands there, -1 for the constant. It walks outwards.
func padList(mode string, begin, end, n int) []int {
	list := sliceList(max(-begin, 0), n-max(-end, 0), 1, n)
	own := slices.Clone(list)
	next := func(back bool, k int) int { // element k beyond an edge of own
		m := len(own)
		switch mode {
		case "edge":
			k = 0
		case "wrap":
			if k %= m; !back {
				return own[k]
			}
			return own[m-1-k]
		case "reflect":
			if m == 1 {
				return own[0]
			}
			for k, at, step := k+1, 0, 1; ; k-- { // to and fro
				if k == 0 {
					if back {
						return own[at]
					}
					return own[m-1-at]
				}
				if at+step < 0 || at+step >= m {
					step = -step
				}
				at += step
			}
		default:
			return -1
		}
		if back {
			return own[k]
		}
		return own[m-1-k]
	}
	for k := range max(begin, 0) {
		list = append([]int{next(true, k)}, list...)
	}
	for k := range max(end, 0) {
		list = append(list, next(false, k))
	}
	return list
}

func TestPad(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 120 {
		shape := randomShape(r, 1+r.IntN(3), 4)
		rank := len(shape)
		mode := []string{"constant", "reflect", "edge", "wrap"}[r.IntN(4)]
		axes := r.Perm(rank)[:1+r.IntN(rank)]
		result, list := slices.Clone(shape), make([][]int, rank)
		for i, n := range shape {
			list[i] = sliceList(0, n, 1, n)
		}
		var begins, ends, named []int64
		for _, a := range axes {
			begin, end := r.IntN(9)-1, r.IntN(9)
			if shape[a] == 1 {
				begin = max(begin, 0)
			}
			list[a] = padList(mode, begin, end, shape[a])
			result[a] = len(list[a])
			begins, ends, named = append(begins, int64(begin)), append(ends, int64(end)), append(named, int64(a-rank))
		}
		movement{fmt.Sprintf("%s %v %v along %v", mode, begins, ends, named), node("Pad", 1, "mode", mode), 25, shape,
			[]onnx.Value{vec(append(begins, ends...)...), nil, vec(named...)}, result, func(index []int) int {
				src := make([]int, rank)
				for i, k := range index {
					if src[i] = list[i][k]; src[i] < 0 {
						return -1
					}
				}
				return linear(shape, src)
			}}.run(t, movedTypes)
	}
	x := vec[float32](1, 2, 3)
	runElementCases(t, []elementCase{
		{name: "version 1", op: "Pad", opset: 1, attrs: []any{"paddings", []int64{1, 2}, "value", 0.5}, in: []onnx.Value{x}, want: vec[float32](.5, 1, 2, 3, .5, .5)},
		{name: "version 2", op: "Pad", opset: 2, attrs: []any{"pads", []int64{1, -1}, "value", 0.5}, in: []onnx.Value{vec[float64](1, 2, 3)}, want: vec[float64](.5, 1, 2)},
		{name: "float16", op: "Pad", opset: 2, attrs: []any{"pads", []int64{1, 0}, "value", 0.5}, in: []onnx.Value{vec[onnx.F16](1)}, want: vec[onnx.F16](0x3800, 1)},
		{name: "value", op: "Pad", opset: 11, in: []onnx.Value{x, vec[int64](0, 1), onnx.Scalar[float32](9)}, want: vec[float32](1, 2, 3, 9)},
		{name: "string", op: "Pad", opset: 13, in: []onnx.Value{vec("a"), vec[int64](1, 1), onnx.Scalar("x")}, want: vec("x", "a", "x")},
		{name: "all cut", op: "Pad", opset: 13, in: []onnx.Value{x, vec[int64](-3, 1), onnx.Scalar[float32](9)}, want: vec[float32](9)},
		{name: "wrap too early", op: "Pad", opset: 18, attrs: []any{"mode", "wrap"}, in: []onnx.Value{x, vec[int64](1, 1)}, err: onnx.ErrMalformed},
		{name: "pads", op: "Pad", opset: 13, in: []onnx.Value{x, vec[int64](1)}, err: onnx.ErrShape},
		{name: "too far", op: "Pad", opset: 13, in: []onnx.Value{x, vec[int64](-2, -2)}, err: onnx.ErrShape},
		{name: "too large", op: "Pad", opset: 13, in: []onnx.Value{x, vec[int64](1<<63-1, 1)}, err: onnx.ErrShape},
		{name: "nothing to reflect", op: "Pad", opset: 13, attrs: []any{"mode", "reflect"}, in: []onnx.Value{vec[float32](), vec[int64](1, 1)}, err: onnx.ErrShape},
	})
}

func TestDepthAndSpace(t *testing.T) {
	const n, c, h, w, b = 2, 3, 2, 4, 2
	image, depth := []int{n, c, h * b, w * b}, []int{n, c * b * b, h, w}
	for _, mode := range []string{"DCR", "CRD"} {
		channel := func(i, j, ch int) int {
			if mode == "DCR" {
				return (i*b+j)*c + ch
			}
			return (ch*b+i)*b + j
		}
		toImage := func(x []int) int { // the place in depth of an element of the image
			return linear(depth, []int{x[0], channel(x[2]%b, x[3]%b, x[1]), x[2] / b, x[3] / b})
		}
		toDepth := func(x []int) int {
			for _, y := range allIndices(image) {
				if toImage(y) == linear(depth, x) {
					return linear(image, y)
				}
			}
			return -1
		}
		movement{"to space", node("DepthToSpace", 1, "blocksize", b, "mode", mode), 13, depth, nil, image, toImage}.run(t, movedTypes)
		movement{"to depth", node("SpaceToDepth", 1, "blocksize", b, "mode", mode), 28, image, nil, depth, toDepth}.run(t, movedTypes)
		if mode == "DCR" {
			movement{"to space", node("DepthToSpace", 1, "blocksize", b), 1, depth, nil, image, toImage}.run(t, movedTypes)
			movement{"to depth", node("SpaceToDepth", 1, "blocksize", b), 13, image, nil, depth, toDepth}.run(t, movedTypes)
		}
	}
	x := of([]int{1, 2, 1, 3}, float32(1), 2, 3, 4, 5, 6)
	runElementCases(t, []elementCase{
		{name: "channels", op: "DepthToSpace", opset: 13, attrs: []any{"blocksize", 2}, in: []onnx.Value{x}, err: onnx.ErrShape},
		{name: "width", op: "SpaceToDepth", opset: 13, attrs: []any{"blocksize", 2}, in: []onnx.Value{x}, err: onnx.ErrShape},
		{name: "block", op: "SpaceToDepth", opset: 13, attrs: []any{"blocksize", 0}, in: []onnx.Value{x}, err: onnx.ErrMalformed},
		{name: "rank", op: "SpaceToDepth", opset: 13, attrs: []any{"blocksize", 1}, in: []onnx.Value{vec[float32](1)}, err: onnx.ErrShape},
	})
}

func TestReverseSequence(t *testing.T) {
	shape := []int{4, 3, 2}
	lens := []int{4, 1, 0}
	movement{"time first", node("ReverseSequence", 1), 10, shape, []onnx.Value{vec(ints64(lens)...)}, shape, func(i []int) int {
		if i[0] < lens[i[1]] {
			return linear(shape, []int{lens[i[1]] - 1 - i[0], i[1], i[2]})
		}
		return linear(shape, i)
	}}.run(t, movedTypes)
	batch := []int{3, 4}
	movement{"batch first", node("ReverseSequence", 1, "time_axis", 1, "batch_axis", 0), 10, batch, []onnx.Value{vec(ints64(lens)...)}, batch, func(i []int) int {
		if i[1] < lens[i[0]] {
			return i[0]*4 + lens[i[0]] - 1 - i[1]
		}
		return linear(batch, i)
	}}.run(t, movedTypes)
	x := of([]int{2, 1}, float32(1), 2)
	runElementCases(t, []elementCase{
		{name: "axes", op: "ReverseSequence", opset: 10, attrs: []any{"time_axis", 1}, in: []onnx.Value{x, vec[int64](1)}, err: onnx.ErrMalformed},
		{name: "length", op: "ReverseSequence", opset: 10, in: []onnx.Value{x, vec[int64](3)}, err: onnx.ErrShape},
		{name: "negative", op: "ReverseSequence", opset: 10, in: []onnx.Value{x, vec[int64](-1)}, err: onnx.ErrShape},
		{name: "lengths", op: "ReverseSequence", opset: 10, in: []onnx.Value{x, vec[int64](1, 1)}, err: onnx.ErrShape},
		{name: "rank", op: "ReverseSequence", opset: 10, in: []onnx.Value{vec[float32](1), vec[int64](1)}, err: onnx.ErrShape},
	})
}

func TestTriluCenterCropPad(t *testing.T) {
	shape := []int{2, 3, 4}
	for k := int64(-5); k <= 5; k++ {
		for _, upper := range []int{0, 1} {
			movement{fmt.Sprintf("upper %d k %d", upper, k), node("Trilu", 1, "upper", upper), 14, shape, []onnx.Value{onnx.Scalar(k)}, shape, func(i []int) int {
				if d := int64(i[2] - i[1]); upper == 1 && d < k || upper == 0 && d > k {
					return -1
				}
				return linear(shape, i)
			}}.run(t, movedTypes)
		}
	}
	movement{"crop and pad", node("CenterCropPad", 1, "axes", []int64{-1, 0}), 18, shape, []onnx.Value{vec[int64](1, 5)}, []int{5, 3, 1}, func(i []int) int {
		if i[0] < 1 || i[0] > 2 {
			return -1
		}
		return linear(shape, []int{i[0] - 1, i[1], 1})
	}}.run(t, movedTypes)
	movement{"all axes", node("CenterCropPad", 1), 18, []int{5}, []onnx.Value{vec[int32](2)}, []int{2}, func(i []int) int { return i[0] + 1 }}.run(t, movedTypes)
	x := of([]int{1, 2}, float32(1), 2)
	runElementCases(t, []elementCase{
		{name: "rank", op: "Trilu", opset: 14, in: []onnx.Value{vec[float32](1)}, err: onnx.ErrShape},
		{name: "far k", op: "Trilu", opset: 14, in: []onnx.Value{x, onnx.Scalar[int64](1<<63 - 1)}, want: of([]int{1, 2}, float32(0), 0)},
		{name: "sizes", op: "CenterCropPad", opset: 18, in: []onnx.Value{x, vec[int64](1)}, err: onnx.ErrShape},
		{name: "negative", op: "CenterCropPad", opset: 18, in: []onnx.Value{x, vec[int64](1, -1)}, err: onnx.ErrShape},
		{name: "axes twice", op: "CenterCropPad", opset: 18, attrs: []any{"axes", []int64{0, -2}}, in: []onnx.Value{x, vec[int64](1, 1)}, err: onnx.ErrShape},
	})
}

// TestMovementVersions: a row for each version of the family that the schemas have.
func TestMovementVersions(t *testing.T) {
	for _, op := range []string{"Identity", "Constant", "ConstantOfShape", "Shape", "Size", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Concat", "Split",
		"Slice", "Gather", "Expand", "Tile", "Pad", "Range", "ScatterND", "ScatterElements", "Scatter", "GatherElements", "GatherND", "ReverseSequence", "Dropout", "OneHot",
		"EyeLike", "Compress", "NonZero", "DepthToSpace", "SpaceToDepth", "Trilu", "Unique", "CenterCropPad", "TensorScatter", "Col2Im"} {
		for _, v := range onnx.SchemaVersions("", op) {
			if onnx.LookupSchema("", op, v).Deprecated {
				continue
			}
			if _, since, err := Default().Lookup("", op, v); err != nil || since != v {
				t.Errorf("%s-%d: %v", op, v, err)
			}
		}
	}
}

func TestMovementAllocations(t *testing.T) {
	x := small(1, 8, 6, 4)
	for _, c := range []struct {
		node  *onnx.Node
		opset int
		in    []onnx.Value
	}{
		{node("Identity", 1), 25, []onnx.Value{x}},
		{node("Transpose", 1, "perm", []int64{2, 0, 1}), 25, []onnx.Value{x}},
		{node("Concat", 1, "axis", 1), 13, []onnx.Value{x, x}},
		{node("Split", 2, "axis", 1), 13, []onnx.Value{x}},
		{node("Slice", 1), 13, []onnx.Value{x, vec[int64](1), vec[int64](5), vec[int64](0), vec[int64](2)}},
		{node("Gather", 1, "axis", 0), 13, []onnx.Value{x, of([]int{2, 2}, int64(1), 0, 3, 2)}},
		{node("Expand", 1), 13, []onnx.Value{of([]int{2, 1}, float32(1), 2), vec[int64](3, 2, 4)}},
		{node("Tile", 1), 13, []onnx.Value{x, vec[int64](1, 2, 1)}},
		{node("Pad", 1), 25, []onnx.Value{x, vec[int64](1, 0, 1, 0, 0, 0)}},
		{node("Pad", 1, "mode", "reflect"), 25, []onnx.Value{x, vec[int64](1, 0, 1, 0, 0, 0)}},
		{node("Shape", 1), 25, []onnx.Value{x}},
		{node("ConstantOfShape", 1), 25, []onnx.Value{vec[int64](3, 4)}},
		{node("ReverseSequence", 1), 10, []onnx.Value{x, vec[int64](1, 2, 3, 4, 5, 6)}},
		{node("ScatterND", 1), 18, []onnx.Value{x, of([]int{1, 2}, int64(1), 2), small(2, 1, 4)}},
		{node("ScatterElements", 1, "reduction", "add"), 18, []onnx.Value{x, of([]int{1, 1, 2}, int64(1), 2), small(2, 1, 1, 2)}},
		{node("GatherElements", 1), 13, []onnx.Value{x, of([]int{1, 1, 2}, int64(1), 2)}},
		{node("GatherND", 1), 13, []onnx.Value{x, of([]int{1, 2}, int64(1), 2)}},
		{node("OneHot", 1), 11, []onnx.Value{vec[int64](1, 2), onnx.Scalar[int64](4), vec[float32](0, 1)}},
		{node("Compress", 1, "axis", 0), 11, []onnx.Value{x, vec(true, false, true)}},
		{node("Range", 1), 11, []onnx.Value{onnx.Scalar[int64](0), onnx.Scalar[int64](9), onnx.Scalar[int64](1)}},
	} {
		if n := steadyAllocs(t, c.node, c.opset, c.in...); n > 0 {
			t.Errorf("%s: %v allocations", c.node.OpType, n)
		}
	}
}

func checkSentinel(t *testing.T, name string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", name, err, want)
	}
}

// TestPadLong pads a row that is written in several blocks.
func TestPadLong(t *testing.T) {
	const n, begin, end = 9*cancelEvery + 5, 3, 6*cancelEvery + 1
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i)
	}
	for mode, index := range map[string]func(j int) int{
		"reflect": func(j int) int {
			if j < 0 {
				return -j
			}
			return min(j, 2*(n-1)-j)
		},
		"edge": func(j int) int { return min(max(j, 0), n-1) },
		"wrap": func(j int) int { return (j + n) % n },
	} {
		want := make([]float32, begin+n+end)
		for j := range want {
			want[j] = float32(index(j - begin))
		}
		runElementCases(t, []elementCase{{name: mode, op: "Pad", opset: 19, attrs: []any{"mode", mode}, in: []onnx.Value{vec(x...), vec[int64](begin, end)}, want: vec(want...)}})
	}
}
