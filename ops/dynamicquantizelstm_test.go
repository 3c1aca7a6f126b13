package ops

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// quantizedCase is an LSTM with 8-bit weights.
type quantizedCase struct {
	recurrentCase
	signed         bool
	w8, r8         []int // [D, K, 4*H]
	wZero, rZero   []int // [D] or [D, 4*H]
	wScale, rScale []float32
}

func drawQuantized(rng *rand.Rand, signed, channels, ragged bool) *quantizedCase {
	c := &quantizedCase{recurrentCase: recurrentCase{op: "LSTM", opset: 1, elem: onnx.Float, t: 5, b: 3, i: 6, h: 9,
		direction: []string{"forward", "reverse", "bidirectional"}[rng.IntN(3)], outputs: []bool{true, true, true}}, signed: signed}
	D := c.directions()
	draw := func(n int) []int {
		s := make([]int, n)
		for i := range s {
			s[i] = rng.IntN(256)
			if signed {
				s[i] -= 128
			}
		}
		return s
	}
	n := D
	if channels {
		n = D * 4 * c.h
	}
	scales := func() []float32 {
		s := make([]float32, n)
		for i := range s {
			s[i] = 0.002 + 0.004*rng.Float32()
		}
		return s
	}
	normal := func(n int) []float64 {
		s := make([]float64, n)
		for i := range s {
			s[i] = float64(float32(rng.NormFloat64()))
		}
		return s
	}
	c.w8, c.r8, c.wZero, c.rZero = draw(D*c.i*4*c.h), draw(D*c.h*4*c.h), draw(n), draw(n)
	c.wScale, c.rScale = scales(), scales()
	c.x, c.bias, c.h0, c.c0, c.p = normal(c.t*c.b*c.i), normal(D*8*c.h), normal(D*c.b*c.h), normal(D*c.b*c.h), normal(D*3*c.h)
	if ragged {
		c.lens = []int32{2, 4, 0}
	}
	return c
}

// channelOf gives element [d, j] of a tensor of [D] or [D, width].
func channelOf[T any](s []T, d, j, directions, width int) T {
	if len(s) == directions {
		return s[d]
	}
	return s[d*width+j]
}

// bytes makes a tensor of the case's 8-bit type.
func (c *quantizedCase) bytes(v []int, shape ...int) onnx.Value {
	if c.signed {
		s := make([]int8, len(v))
		for i, x := range v {
			s[i] = int8(x)
		}
		return onnx.MustTensor(shape, s)
	}
	s := make([]uint8, len(v))
	for i, x := range v {
		s[i] = uint8(x)
	}
	return onnx.MustTensor(shape, s)
}

func (c *quantizedCase) node() (*onnx.Node, []onnx.Value) {
	c.recurrentCase.w, c.recurrentCase.r = nil, nil
	n, in := c.recurrentCase.node()
	n.OpType, n.Domain = "DynamicQuantizeLSTM", "com.microsoft"
	D, width := c.directions(), 4*c.h
	in[inW], in[inR] = c.bytes(c.w8, D, c.i, width), c.bytes(c.r8, D, c.h, width)
	shape := []int{D, width}
	if len(c.wZero) == D {
		shape = shape[:1]
	}
	return n, append(in, onnx.MustTensor(shape, c.wScale), c.bytes(c.wZero, shape...), onnx.MustTensor(shape, c.rScale), c.bytes(c.rZero, shape...))
}

// reference computes the case step by step over all rows, as the
// definition has it. Rows of length 0 and what is past a row's end are zero.
func (c *quantizedCase) reference() [3][]float64 {
	D, T, B, I, H := c.directions(), c.t, c.b, c.i, c.h
	out := [3][]float64{make([]float64, T*D*B*H), make([]float64, D*B*H), make([]float64, D*B*H)}
	length := func(b int) int {
		if c.lens == nil {
			return T
		}
		return int(c.lens[b])
	}
	longest := 0
	for b := range B {
		longest = max(longest, length(b))
	}
	quantize := func(all []float64) (scale, zero float64, integer func(float64) int) {
		lo, hi := float32(0), float32(0)
		for _, v := range all {
			lo, hi = min(lo, float32(v)), max(hi, float32(v))
		}
		s := (hi - lo) / 255
		if s == 0 {
			s = 1
		}
		z := math.RoundToEven(float64(-lo / s))
		return float64(s), z, func(v float64) int {
			return int(math.Max(0, math.Min(255, math.RoundToEven(float64(float32(v)/s))+z)) - z)
		}
	}
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	xScale, _, xInteger := quantize(c.x[:longest*B*I])
	for d := range D {
		h, cell := append([]float64{}, c.h0[d*B*H:][:B*H]...), append([]float64{}, c.c0[d*B*H:][:B*H]...)
		for s := range longest {
			var states []float64 // finished rows keep theirs
			for b := range B {
				if length(b) > 0 {
					states = append(states, h[b*H:][:H]...)
				}
			}
			hScale, _, hInteger := quantize(states)
			next := append([]float64{}, h...)
			for b := range B {
				if s >= length(b) {
					continue
				}
				t := s
				if c.direction == "reverse" || d == 1 {
					t = length(b) - 1 - s
				}
				for u := range H {
					sum := func(gate int) float64 {
						j := gate*H + u
						x, r := 0, 0
						for k := range I {
							x += xInteger(c.x[(t*B+b)*I+k]) * (c.w8[(d*I+k)*4*H+j] - channelOf(c.wZero, d, j, D, 4*H))
						}
						for k := range H {
							r += hInteger(h[b*H+k]) * (c.r8[(d*H+k)*4*H+j] - channelOf(c.rZero, d, j, D, 4*H))
						}
						return float64(x)*xScale*float64(channelOf(c.wScale, d, j, D, 4*H)) + float64(r)*hScale*float64(channelOf(c.rScale, d, j, D, 4*H)) +
							c.bias[d*8*H+j] + c.bias[d*8*H+4*H+j]
					}
					old := cell[b*H+u]
					i := sigmoid(sum(0) + c.p[d*3*H+u]*old)
					f := sigmoid(sum(2) + c.p[d*3*H+2*H+u]*old)
					new := f*old + i*math.Tanh(sum(3))
					cell[b*H+u] = new
					next[b*H+u] = sigmoid(sum(1)+c.p[d*3*H+H+u]*new) * math.Tanh(new)
				}
				copy(out[0][((t*D+d)*B+b)*H:], next[b*H:][:H])
				copy(out[1][(d*B+b)*H:], next[b*H:][:H])
				copy(out[2][(d*B+b)*H:], cell[b*H:][:H])
			}
			h = next
		}
	}
	return out
}

func TestDynamicQuantizeLSTM(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 8))
	for i := range 40 {
		c := drawQuantized(rng, i&1 != 0, i&2 != 0, i&4 != 0)
		n, in := c.node()
		got, err := compute(t, n, 1, in...)
		if err != nil {
			t.Fatal(err)
		}
		ref := c.reference()
		for k, v := range got {
			want := c.tensor(ref[k], tensorOf(v).Shape()...)
			if d := differ(v, want, 1e-6, 1e-6); d != "" {
				t.Errorf("signed %v, by channel %v, lens %v, %s: output %d: %s", c.signed, len(c.wZero) > 2, c.lens, c.direction, k, d)
			}
		}
	}
}

func TestDynamicQuantizeLSTMRefusals(t *testing.T) {
	c := drawQuantized(rand.New(rand.NewPCG(5, 8)), false, false, false)
	c.direction = "forward"
	tests := []struct {
		name string
		at   int
		v    onnx.Value
		kind error
		text string
	}{
		{"W not transposed", inW, onnx.MustTensor([]int{1, 36, 6}, make([]uint8, 36*6)), onnx.ErrShape, "W has shape [1 36 6], want [1 6 36] (input_size=6, 4*hidden_size=36)"},
		{"scale", inWScale, onnx.MustTensor([]int{2}, []float32{1, 1}), onnx.ErrShape, "W_scale has shape [2], want [1] or [1 36]"},
		{"zero point", inRZero, onnx.MustTensor([]int{1, 35}, make([]uint8, 35)), onnx.ErrShape, "R_zero_point has shape [1 35], want [1] or [1 36]"},
		{"types", inRZero, onnx.MustTensor([]int{1}, []int8{0}), onnx.ErrType, ""},
		{"float weights", inW, onnx.MustTensor([]int{1, 6, 36}, make([]float32, 36*6)), onnx.ErrType, ""},
		{"length", inLens, onnx.MustTensor([]int{3}, []int32{5, 6, 0}), onnx.ErrShape, "sequence_lens[1] = 6, want 0..5"},
	}
	for len(c.wZero) != 1 || len(c.w8) != 6*36 {
		c = drawQuantized(rand.New(rand.NewPCG(rand.Uint64(), 8)), false, false, false)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, in := c.node()
			in[tt.at] = tt.v
			if _, err := computeKnowing(t, n, 1, knowValue, in); !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v, want %v: %q", err, tt.kind, tt.text)
			}
		})
	}
	n, in := c.node()
	if _, err := computeKnowing(t, n, 1, knowShape, in); !errors.Is(err, onnx.ErrUnsupported) || !strings.Contains(err.Error(), "W is not a constant") {
		t.Errorf("weights as inputs: got %v, want a refusal", err)
	}
}
