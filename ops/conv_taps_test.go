package ops

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// random32 makes numbers around 0.
func random32(seed uint64, shape ...int) *onnx.Tensor {
	r := rand.New(rand.NewPCG(seed, 1))
	x := zeros32(shape...)
	for i := range onnx.Elements[float32](x) {
		onnx.Elements[float32](x)[i] = r.Float32()*2 - 1
	}
	return x
}

// convCases are convolutions for each way to compute them.
var convCases = []struct {
	name  string
	x, w  []int
	attrs []any
}{
	{"rows", []int{2, 5, 40}, []int{7, 5, 3}, nil},
	{"rows with padding", []int{2, 5, 40}, []int{7, 5, 3}, []any{"pads", []int64{2, 1}, "dilations", []int64{2}}},
	{"rows of a plane", []int{2, 3, 6, 33}, []int{13, 3, 3, 2}, []any{"pads", []int64{1, 0, 2, 1}, "strides", []int64{2, 1}}},
	{"rows of groups", []int{3, 6, 50}, []int{10, 3, 4}, []any{"group", 2, "pads", []int64{3, 0}}},
	{"elements", []int{2, 5, 6, 7}, []int{9, 5, 1, 1}, nil},
	{"points", []int{2, 5, 4}, []int{150, 5, 3}, []any{"pads", []int64{1, 1}}},
	{"points that are apart", []int{2, 3, 64}, []int{70, 3, 16}, []any{"strides", []int64{8}}},
	{"points of groups", []int{2, 4, 9}, []int{66, 2, 3}, []any{"group", 2, "strides", []int64{2}}},
	{"points of a plane", []int{2, 3, 7, 5}, []int{17, 3, 3, 3}, []any{"strides", []int64{2, 2}, "pads", []int64{1, 1, 1, 1}}},
	{"planes", []int{2, 6, 9, 11}, []int{6, 1, 3, 3}, []any{"group", 6, "pads", []int64{1, 1, 1, 1}, "dilations", []int64{1, 2}}},
	{"planes of channels", []int{2, 6, 20}, []int{3, 2, 5}, []any{"group", 3}},
	{"planes that are apart", []int{2, 6, 20}, []int{6, 1, 5}, []any{"group", 6, "strides", []int64{2}}},
	{"planes of a plane that are apart", []int{2, 6, 9, 12}, []int{6, 1, 3, 3}, []any{"group", 6, "strides", []int64{2, 2}, "pads", []int64{1, 1, 1, 1}}},
	{"planes that are apart with dilations", []int{2, 4, 5, 30}, []int{4, 1, 2, 5}, []any{"group", 4, "strides", []int64{1, 3}, "dilations", []int64{2, 2}, "pads", []int64{0, 2, 1, 4}}},
	{"planes of fewer elements than the stride", []int{2, 4, 3}, []int{4, 1, 2}, []any{"group", 4, "strides", []int64{5}, "pads", []int64{2, 9}}},
	{"planes under 3 x 3", []int{3, 20, 14, 40}, []int{20, 1, 3, 3}, []any{"group", 20, "pads", []int64{1, 1, 1, 1}}},
	{"planes under 5 x 5", []int{2, 3, 9, 75}, []int{3, 1, 5, 5}, []any{"group", 3, "pads", []int64{2, 2, 2, 2}}},
	{"planes under 7 x 7", []int{2, 3, 9, 75}, []int{3, 1, 7, 7}, []any{"group", 3, "pads", []int64{3, 3, 3, 3}}},
	{"planes under 5 x 5 without padding", []int{1, 3, 9, 20}, []int{3, 1, 5, 5}, []any{"group", 3}},
	{"planes under 3 x 3 with strides down", []int{1, 3, 9, 20}, []int{3, 1, 3, 3}, []any{"group", 3, "strides", []int64{2, 1}}},
	{"planes of a body", []int{2, 3, 4, 6, 9}, []int{3, 1, 2, 3, 3}, []any{"group", 3, "pads", []int64{1, 1, 1, 0, 1, 1}, "strides", []int64{2, 1, 1}}},
	{"planes of elements", []int{2, 3, 4, 6}, []int{3, 1, 1, 1}, []any{"group", 3}},
	{"planes with padding behind them", []int{2, 3, 7, 6}, []int{3, 1, 2, 2}, []any{"group", 3, "pads", []int64{0, 0, 1, 1}, "strides", []int64{2, 2}}},
	{"planes in odd padding", []int{2, 3, 7, 9}, []int{3, 1, 4, 4}, []any{"group", 3, "pads", []int64{3, 3, 0, 2}, "strides", []int64{2, 2}}},
	{"a kernel in much padding", []int{1, 2, 3}, []int{4, 2, 2}, []any{"pads", []int64{200, 200}, "strides", []int64{300}}},
}

// TestConvBits: every level gives the same bits, whether or not the weights are
// constants; and an image in a batch those of the image alone.
func TestConvBits(t *testing.T) {
	for _, c := range convCases {
		x, w, b := random32(1, c.x...), random32(2, c.w...), random32(3, c.w[0])
		n := node("Conv", 1, c.attrs...)
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

// TestConvOfOtherShapes: a frame computes inputs of changing shapes.
func TestConvOfOtherShapes(t *testing.T) {
	for _, c := range convCases {
		w, b := random32(2, c.w...), random32(3, c.w[0])
		n := node("Conv", 1, c.attrs...)
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

// TestFusedConv: a convolution with an activation has the bits of both alone.
func TestFusedConv(t *testing.T) {
	for _, c := range convCases {
		x, w, b := random32(1, c.x...), random32(2, c.w...), random32(3, c.w[0])
		for _, f := range fusedCases {
			want := one(t, node("Conv", 1, c.attrs...), x, w, b)
			if f.alone != nil {
				want = one(t, f.alone, append([]onnx.Value{want}, f.in...)...)
			}
			got := one(t, recurNode("FusedConv", append(append([]any(nil), c.attrs...), f.attrs...)...), x, w, b)
			if d := differ(got, want, 0, 0); d != "" {
				t.Errorf("%s with %v: %s", c.name, f.attrs, d)
			}
		}
	}
}

// TestConvAllocations wants none in a run after the first.
func TestConvAllocations(t *testing.T) {
	for _, c := range convCases {
		for _, n := range []*onnx.Node{node("Conv", 1, c.attrs...), recurNode("FusedConv", append([]any{"activation", "Relu"}, c.attrs...)...)} {
			run := productOf(t, testLevel, n, zeros32(c.x...), zeros32(c.w...), zeros32(c.w[0]))
			if a := testing.AllocsPerRun(5, run); a != 0 {
				t.Errorf("%s, %s: %v allocations a run", n.OpType, c.name, a)
			}
		}
	}
}

func BenchmarkConv(b *testing.B) {
	for _, s := range []struct {
		name  string
		x, w  []int
		attrs []any
	}{
		{"stft", []int{1, 1, 640}, []int{258, 1, 256}, []any{"strides", []int64{128}}},
		{"few places", []int{1, 128, 4}, []int{64, 128, 3}, []any{"pads", []int64{1, 1}}},
		{"long", []int{1, 64, 1000}, []int{64, 64, 3}, []any{"pads", []int64{1, 1}}},
		{"image", []int{1, 32, 56, 56}, []int{32, 32, 3, 3}, []any{"pads", []int64{1, 1, 1, 1}}},
		{"depthwise", []int{1, 64, 56, 56}, []int{64, 1, 3, 3}, []any{"group", 64, "pads", []int64{1, 1, 1, 1}}},
		{"depthwise apart", []int{1, 64, 56, 56}, []int{64, 1, 3, 3}, []any{"group", 64, "pads", []int64{1, 1, 1, 1}, "strides", []int64{2, 2}}},
		{"depthwise small", []int{1, 512, 7, 7}, []int{512, 1, 3, 3}, []any{"group", 512, "pads", []int64{1, 1, 1, 1}}},
	} {
		for _, l := range Levels() {
			b.Run(fmt.Sprintf("%s/%v", s.name, l), func(b *testing.B) {
				run := productOf(b, l, node("Conv", 1, s.attrs...), zeros32(s.x...), zeros32(s.w...))
				b.ReportAllocs()
				for b.Loop() {
					run()
				}
			})
		}
	}
}
