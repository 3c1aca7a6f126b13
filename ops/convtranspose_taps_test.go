package ops

import (
	"fmt"
	"math"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// transposeCases are transposed convolutions for each way to compute them.
var transposeCases = []struct {
	name  string
	x, w  []int
	group int
	attrs []any
}{
	{"elements", []int{2, 5, 6, 7}, []int{5, 9, 1, 1}, 1, nil},
	{"elements of groups", []int{2, 6, 40}, []int{6, 5, 1}, 2, nil},
	{"elements that are spread", []int{2, 3, 9}, []int{3, 4, 1}, 1, []any{"strides", []int64{3}}},
	{"elements of a larger output", []int{2, 3, 5, 4}, []int{3, 2, 1, 1}, 1, []any{"output_padding", []int64{2, 1}}},
	{"rows", []int{2, 5, 40}, []int{5, 7, 3}, 1, nil},
	{"rows less pads", []int{2, 5, 40}, []int{5, 7, 3}, 1, []any{"pads", []int64{2, 1}, "dilations", []int64{2}}},
	{"rows less more than the taps reach", []int{2, 3, 30}, []int{3, 2, 3}, 1, []any{"pads", []int64{7, 5}}},
	{"two rests", []int{2, 6, 33}, []int{6, 8, 5}, 1, []any{"strides", []int64{2}, "pads", []int64{2, 2}}},
	{"two rests with the same taps", []int{2, 6, 17}, []int{6, 13, 4}, 1, []any{"strides", []int64{2}, "pads", []int64{1, 1}}},
	{"rests of which some have a tap more", []int{2, 5, 11}, []int{5, 3, 11}, 1, []any{"strides", []int64{4}, "pads", []int64{3, 2}, "output_padding", []int64{3}}},
	{"rests without taps", []int{2, 5, 11}, []int{5, 3, 2}, 1, []any{"strides", []int64{5}, "dilations", []int64{2}}},
	{"a stride and a dilation with a common factor", []int{2, 3, 9}, []int{3, 4, 4}, 1, []any{"strides", []int64{4}, "dilations", []int64{6}, "pads", []int64{1, 3}}},
	{"a stride and a dilation without", []int{2, 3, 9}, []int{3, 4, 4}, 1, []any{"strides", []int64{3}, "dilations", []int64{4}, "pads", []int64{5, 0}}},
	{"a plane", []int{2, 3, 6, 17}, []int{3, 13, 3, 2}, 1, []any{"strides", []int64{2, 1}, "pads", []int64{1, 0, 2, 1}}},
	{"a plane of rests", []int{1, 4, 5, 6}, []int{4, 3, 4, 4}, 2, []any{"strides", []int64{2, 2}, "pads", []int64{1, 1, 1, 1}}},
	{"a plane of many rests", []int{2, 2, 5, 6}, []int{2, 3, 5, 7}, 1, []any{"strides", []int64{3, 4}, "auto_pad", "SAME_UPPER"}},
	{"a plane of a given size", []int{2, 2, 5, 6}, []int{2, 3, 3, 3}, 1, []any{"strides", []int64{3, 2}, "output_shape", []int64{17, 16}}},
	{"a solid", []int{2, 2, 3, 4, 5}, []int{2, 3, 2, 3, 4}, 1, []any{"strides", []int64{1, 2, 3}, "dilations", []int64{2, 1, 1}, "auto_pad", "SAME_LOWER"}},
	{"groups", []int{3, 6, 50}, []int{6, 5, 4}, 2, []any{"pads", []int64{3, 0}}},
	{"planes", []int{2, 6, 9, 11}, []int{6, 1, 3, 3}, 6, []any{"pads", []int64{1, 1, 1, 1}, "dilations", []int64{1, 2}}},
	{"planes of rests", []int{2, 6, 9, 11}, []int{6, 1, 4, 4}, 6, []any{"strides", []int64{2, 2}, "pads", []int64{1, 1, 1, 1}}},
	{"lines that follow each other", []int{2, 5, 6, 14}, []int{5, 7, 2, 2}, 1, []any{"strides", []int64{2, 2}}},
	{"lines that follow each other cut off", []int{2, 5, 6, 9}, []int{5, 3, 2, 2}, 1, []any{"strides", []int64{2, 2}, "pads", []int64{1, 1, 0, 1}}},
	{"lines that follow each other with three rests", []int{2, 5, 6, 9}, []int{5, 3, 3, 3}, 1, []any{"strides", []int64{3, 3}}},
	{"lines of planes that follow each other", []int{2, 6, 5, 9}, []int{6, 1, 2, 2}, 6, []any{"strides", []int64{2, 2}}},
	{"lines of a solid that follow each other", []int{1, 2, 3, 4, 5}, []int{2, 3, 2, 2, 2}, 1, []any{"strides", []int64{2, 2, 2}}},
	{"more lines than are computed together", []int{1, 2, 70, 100}, []int{2, 1, 1, 2}, 1, []any{"strides", []int64{1, 2}}},
	{"planes of channels", []int{2, 6, 20}, []int{6, 1, 5}, 3, []any{"strides", []int64{2}}},
	{"one output of many rests", []int{1, 30, 5}, []int{30, 1, 48}, 1, []any{"strides", []int64{16}}},
	{"long", []int{1, 1, 5000}, []int{1, 2, 2}, 1, []any{"strides", []int64{2}}},
	{"a kernel far from itself", []int{1, 2, 3}, []int{2, 4, 2}, 1, []any{"dilations", []int64{500}}},
}

// TestConvTransposeBits: every level gives the same bits, whether or not the
// weights are constants; and an image in a batch those of the image alone.
func TestConvTransposeBits(t *testing.T) {
	for _, c := range transposeCases {
		x, w, b := random32(1, c.x...), random32(2, c.w...), random32(3, c.w[1]*c.group)
		n := node("ConvTranspose", 1, append([]any{"group", c.group}, c.attrs...)...)
		known := []Info{{Type: x.Type()}, {Type: w.Type()}, {Type: b.Type()}}
		plain := frameOf(t, Level(0), n, 11, known...)(x, w, b).(*onnx.Tensor).Clone()
		for _, l := range Levels() {
			for i, info := range []Info{known[1], ConstInfo(w)} {
				run := frameOf(t, l, n, 11, known[0], info, known[2])
				if got := run(x, w, b).(*onnx.Tensor); string(got.Bytes()) != string(plain.Bytes()) {
					t.Errorf("%s at %v, constant weights %v: not the bits of plain Go", c.name, l, i == 1)
				}
				alone := append([]int{1}, c.x[1:]...)
				v := onnx.Elements[float32](x)
				last := onnx.MustTensor(alone, v[len(v)-len(v)/c.x[0]:])
				free := Info{Type: onnx.TensorType(onnx.Float, nil)}
				got := frameOf(t, l, n, 11, free, info, known[2])(last, w, b).(*onnx.Tensor).Bytes()
				if want := plain.Bytes(); string(got) != string(want[len(want)-len(got):]) {
					t.Errorf("%s at %v: an image alone differs from one in a batch", c.name, l)
				}
			}
		}
	}
}

// TestConvTransposeSpecial: infinities, NaN and zeros of either sign, in the
// weights too, where they must not meet the zeros around the input.
func TestConvTransposeSpecial(t *testing.T) {
	inf, nan, minus := float32(math.Inf(1)), float32(math.NaN()), float32(math.Copysign(0, -1))
	for _, c := range transposeCases {
		for _, in := range []string{"x", "w", "b"} {
			tensors := map[string]*onnx.Tensor{"x": random32(1, c.x...), "w": random32(2, c.w...), "b": random32(3, c.w[1]*c.group)}
			v := onnx.Elements[float32](tensors[in])
			for i := range v {
				switch i % 5 {
				case 0:
					v[i] = []float32{inf, -inf, nan}[i/5%3]
				case 1:
					v[i] = minus
				case 2:
					v[i] = 0x1p-149
				}
			}
			if in == "b" { // sums that are rounded to -0
				for i := range onnx.Elements[float32](tensors["x"]) {
					onnx.Elements[float32](tensors["x"])[i] = 0x1p-100
				}
				for i := range onnx.Elements[float32](tensors["w"]) {
					onnx.Elements[float32](tensors["w"])[i] = -0x1p-100
				}
			}
			x, w, b := tensors["x"], tensors["w"], tensors["b"]
			n := node("ConvTranspose", 1, append([]any{"group", c.group}, c.attrs...)...)
			free := Info{Type: onnx.TensorType(onnx.Float, nil)}
			want := frameOf(t, Level(0), n, 11, free, free, free)(x, w, b).(*onnx.Tensor).Clone()
			for _, l := range Levels() {
				for _, info := range []Info{free, ConstInfo(w)} {
					got := frameOf(t, l, n, 11, free, info, free)(x, w, b)
					if i := bitsDiffer(onnx.Elements[float32](got.(*onnx.Tensor)), onnx.Elements[float32](want)); i >= 0 {
						t.Errorf("%s at %v, special %s: element %d is %v, want %v", c.name, l, in, i, onnx.Elements[float32](got.(*onnx.Tensor))[i], onnx.Elements[float32](want)[i])
					}
				}
			}
		}
	}
}

// bitsDiffer gives the first index at which numbers differ, in the sign of 0
// too, but not in which NaN; else -1.
func bitsDiffer(a, b []float32) int {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) && (a[i] == a[i] || b[i] == b[i]) {
			return i
		}
	}
	return -1
}

// TestConvTransposeOfOtherShapes: a frame computes inputs of changing shapes.
func TestConvTransposeOfOtherShapes(t *testing.T) {
	for _, c := range transposeCases {
		w, b := random32(2, c.w...), random32(3, c.w[1]*c.group)
		n := node("ConvTranspose", 1, append([]any{"group", c.group}, c.attrs...)...)
		free := Info{Type: onnx.TensorType(onnx.Float, nil)}
		for _, l := range Levels() {
			run := frameOf(t, l, n, 11, free, ConstInfo(w), free)
			for i := range 6 {
				shape := append([]int(nil), c.x...)
				shape[len(shape)-1-i%2*(len(shape)-3)] += []int{0, 3, 1, 40, 2, 0}[i]
				shape[0] = 1 + i%3
				x := random32(uint64(i), shape...)
				want := frameOf(t, l, n, 11, free, ConstInfo(w), free)(x, w, b)
				if d := differ(run(x, w, b), want, 0, 0); d != "" {
					t.Errorf("%s at %v, run %d of %v: %s", c.name, l, i, shape, d)
				}
			}
		}
	}
}

// TestConvTransposeAllocations wants none in a run after the first.
func TestConvTransposeAllocations(t *testing.T) {
	for _, c := range transposeCases {
		n := node("ConvTranspose", 1, append([]any{"group", c.group}, c.attrs...)...)
		run := productOf(t, testLevel, n, zeros32(c.x...), zeros32(c.w...), zeros32(c.w[1]*c.group))
		if a := testing.AllocsPerRun(5, run); a != 0 {
			t.Errorf("%s: %v allocations a run", c.name, a)
		}
	}
}

func BenchmarkConvTranspose(b *testing.B) {
	for _, s := range []struct {
		name  string
		x, w  []int
		attrs []any
	}{
		{"elements", []int{1, 24, 1, 33}, []int{24, 16, 1, 1}, nil},
		{"one output of many rests", []int{1, 258, 4}, []int{258, 1, 256}, []any{"strides", []int64{128}}},
		{"upsample", []int{1, 128, 50}, []int{128, 64, 16}, []any{"strides", []int64{8}, "pads", []int64{4, 4}}},
		{"image", []int{1, 64, 14, 14}, []int{64, 32, 4, 4}, []any{"strides", []int64{2, 2}, "pads", []int64{1, 1, 1, 1}}},
		{"depthwise", []int{1, 16, 11, 33}, []int{16, 1, 3, 3}, []any{"group", 16, "dilations", []int64{5, 1}, "pads", []int64{10, 1, 10, 1}}},
	} {
		for _, l := range Levels() {
			b.Run(fmt.Sprintf("%s/%v", s.name, l), func(b *testing.B) {
				run := productOf(b, l, node("ConvTranspose", 1, s.attrs...), zeros32(s.x...), zeros32(s.w...))
				b.ReportAllocs()
				for b.Loop() {
					run()
				}
			})
		}
	}
}
