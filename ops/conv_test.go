package ops

import (
	"errors"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// geometry is a window for the naive references: one entry for each spatial
// dimension.
type geometry struct {
	strides, dilations, begin, end []int
}

func ones(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = 1
	}
	return s
}

// indices calls f with every index of a shape.
func indices(shape []int, f func(pos []int)) {
	n, _ := onnx.NumElements(shape)
	pos := make([]int, len(shape))
	for i := range n {
		split(pos, shape, i)
		f(pos)
	}
}

// naiveConv walks over outputs, channels and taps with full indices.
func naiveConv(x, w, b *onnx.Tensor, group int, g geometry) ([]int, []float64) {
	xs, ws := x.Shape(), w.Shape()
	fx, fw := toReal(x), toReal(w)
	shape := []int{xs[0], ws[0]}
	for d := range xs[2:] {
		shape = append(shape, (xs[2+d]+g.begin[d]+g.end[d]-g.dilations[d]*(ws[2+d]-1)-1)/g.strides[d]+1)
	}
	var out []float64
	indices(shape, func(o []int) {
		s := 0.0
		if b != nil {
			s = toReal(b)[o[1]]
		}
		indices(ws[1:], func(k []int) {
			xi := o[0]*xs[1] + o[1]/(ws[0]/group)*ws[1] + k[0]
			wi := o[1]*ws[1] + k[0]
			for d := range xs[2:] {
				p := o[2+d]*g.strides[d] - g.begin[d] + k[1+d]*g.dilations[d]
				if p < 0 || p >= xs[2+d] {
					return
				}
				xi, wi = xi*xs[2+d]+p, wi*ws[2+d]+k[1+d]
			}
			s += fx[xi] * fw[wi]
		})
		out = append(out, s)
	})
	return shape, out
}

func ints64(s []int) []int64 {
	out := make([]int64, len(s))
	for i, v := range s {
		out[i] = int64(v)
	}
	return out
}

func TestConv(t *testing.T) {
	cases := []struct {
		x, w                     []int
		group                    int
		strides, dilations, pads []int
		auto                     string
		wantBegin, wantEnd       []int // of auto pads
	}{
		{x: []int{2, 3, 7}, w: []int{4, 3, 3}, group: 1},
		{x: []int{2, 3, 7}, w: []int{4, 3, 3}, group: 1, pads: []int{2, 1}, strides: []int{2}},
		{x: []int{1, 1, 9}, w: []int{1, 1, 3}, group: 1, dilations: []int{3}, pads: []int{6, 0}},
		{x: []int{2, 4, 6, 5}, w: []int{6, 2, 3, 2}, group: 2, pads: []int{1, 0, 2, 1}, strides: []int{1, 2}, dilations: []int{2, 1}},
		{x: []int{2, 3, 5, 5}, w: []int{3, 1, 3, 3}, group: 3, pads: []int{1, 1, 1, 1}},
		{x: []int{2, 4, 8}, w: []int{2, 2, 3}, group: 2, pads: []int{1, 1}, strides: []int{3}},
		{x: []int{2, 3, 5, 5}, w: []int{4, 3, 1, 1}, group: 1},
		{x: []int{2, 3, 5, 5}, w: []int{4, 3, 1, 1}, group: 1, strides: []int{2, 2}},
		{x: []int{1, 2, 3, 4, 5}, w: []int{3, 2, 2, 2, 2}, group: 1, pads: []int{1, 0, 1, 0, 1, 1}},
		{x: []int{1, 2, 3, 2, 3, 2, 3}, w: []int{2, 2, 2, 1, 2, 1, 2}, group: 1},
		{x: []int{1, 1, 5, 6}, w: []int{1, 1, 3, 3}, group: 1, auto: "SAME_UPPER", strides: []int{2, 2}, wantBegin: []int{1, 0}, wantEnd: []int{1, 1}},
		{x: []int{1, 1, 5, 6}, w: []int{1, 1, 3, 3}, group: 1, auto: "SAME_LOWER", strides: []int{2, 2}, wantBegin: []int{1, 1}, wantEnd: []int{1, 0}},
		{x: []int{1, 1, 5, 6}, w: []int{1, 1, 3, 3}, group: 1, auto: "VALID", wantBegin: []int{0, 0}, wantEnd: []int{0, 0}},
		{x: []int{0, 3, 7}, w: []int{4, 3, 3}, group: 1},
		{x: []int{1, 2, 40, 900}, w: []int{2, 2, 3, 3}, group: 1, pads: []int{1, 1, 1, 1}},
	}
	for i, c := range cases {
		rank := len(c.x) - 2
		g := geometry{c.strides, c.dilations, make([]int, rank), make([]int, rank)}
		attrs := []any{"group", c.group}
		if c.strides == nil {
			g.strides = ones(rank)
		} else {
			attrs = append(attrs, "strides", ints64(c.strides))
		}
		if c.dilations == nil {
			g.dilations = ones(rank)
		} else {
			attrs = append(attrs, "dilations", ints64(c.dilations))
		}
		if c.pads != nil {
			g.begin, g.end = c.pads[:rank], c.pads[rank:]
			attrs = append(attrs, "pads", ints64(c.pads))
		}
		if c.auto != "" {
			g.begin, g.end = c.wantBegin, c.wantEnd
			attrs = append(attrs, "auto_pad", c.auto)
		}
		for _, d := range []onnx.DataType{onnx.Float, onnx.Double} {
			x, w, b := as(small(1, c.x...), d), as(small(2, c.w...), d), as(small(3, c.w[0]), d)
			for _, bias := range []*onnx.Tensor{nil, b} {
				in := []onnx.Value{x, w}
				if bias != nil {
					in = append(in, bias)
				}
				out, err := compute(t, node("Conv", 1, attrs...), 11, in...)
				if err != nil {
					t.Fatalf("case %d: %v", i, err)
				}
				shape, want := naiveConv(x, w, bias, c.group, g)
				near(t, out[0], shape, want, 0)
			}
		}
	}
	for i, c := range []struct {
		n    *onnx.Node
		x, w []int
		want error
	}{
		{node("Conv", 1), []int{1, 2, 3}, []int{1, 3, 2}, onnx.ErrShape},
		{node("Conv", 1), []int{1, 2}, []int{1, 2}, onnx.ErrShape},
		{node("Conv", 1), []int{1, 2, 3}, []int{1, 2, 5}, onnx.ErrShape},
		{node("Conv", 1, "group", 0), []int{1, 2, 3}, []int{1, 2, 2}, onnx.ErrShape},
		{node("Conv", 1, "group", 2), []int{1, 2, 3}, []int{3, 1, 2}, onnx.ErrShape},
		{node("Conv", 1, "kernel_shape", []int64{3}), []int{1, 2, 3}, []int{1, 2, 2}, onnx.ErrShape},
		{node("Conv", 1, "pads", []int64{1}), []int{1, 2, 3}, []int{1, 2, 2}, onnx.ErrShape},
		{node("Conv", 1, "pads", []int64{-1, 0}), []int{1, 2, 3}, []int{1, 2, 2}, onnx.ErrShape},
		{node("Conv", 1, "strides", []int64{0}), []int{1, 2, 3}, []int{1, 2, 2}, onnx.ErrShape},
		{node("Conv", 1, "strides", []int64{1, 1}), []int{1, 2, 3}, []int{1, 2, 2}, onnx.ErrShape},
		{node("Conv", 1, "auto_pad", "SAME"), []int{1, 2, 3}, []int{1, 2, 2}, onnx.ErrMalformed},
		{node("Conv", 1, "dilations", []int64{1 << 40}), []int{1, 2, 3}, []int{1, 2, 2}, onnx.ErrShape},
		{node("Conv", 1, "pads", []int64{1<<31 - 1, 1<<31 - 1, 1<<31 - 1, 1<<31 - 1}), []int{1, 1, 3, 3}, []int{1, 1, 2, 2}, onnx.ErrShape},
	} {
		if _, err := compute(t, c.n, 11, small(1, c.x...), small(2, c.w...)); !errors.Is(err, c.want) {
			t.Errorf("case %d: error %v, want %v", i, err, c.want)
		}
	}
}

// TestConvSymbol: a convolution that keeps the length keeps its symbol.
func TestConvSymbol(t *testing.T) {
	for _, c := range []struct {
		auto, want string
		pads       []int64
		stride     int64
	}{{"NOTSET", "[N 4 T]", []int64{2, 0}, 1}, {"SAME_UPPER", "[N 4 T]", nil, 1}, {"SAME_UPPER", "[N 4 ?]", nil, 2}, {"VALID", "[N 4 ?]", nil, 1}} {
		attrs := []any{"auto_pad", c.auto, "strides", []int64{c.stride}}
		if c.pads != nil {
			attrs = append(attrs, "pads", c.pads)
		}
		p := node("Conv", 1, attrs...)
		p.Inputs = []string{"x", "w"}
		a := &Analysis{Registry: Default(), Opsets: map[string]int{"": 11}, Limits: onnx.DefaultLimits(), Level: testLevel}
		s := a.NewScope(nil)
		s.Set("x", Info{Type: onnx.TensorType(onnx.Float, onnx.Shape{{Value: -1, Name: "N"}, onnx.Fixed(2), {Value: -1, Name: "T"}})})
		s.Set("w", Info{Type: onnx.TensorType(onnx.Float, onnx.FixedShape(4, 2, 3))})
		n, err := s.Node(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := n.Out(0).Type.Shape.String(); got != c.want {
			t.Errorf("%s, stride %d: %s, want %s", c.auto, c.stride, got, c.want)
		}
	}
}

// naiveTranspose spreads each input element over the outputs.
func naiveTranspose(x, w, b *onnx.Tensor, group int, strides, dilations, begin, spatial []int) []float64 {
	xs, ws := x.Shape(), w.Shape()
	outputs := ws[1] * group
	shape := append([]int{xs[0], outputs}, spatial...)
	n, _ := onnx.NumElements(shape)
	out := make([]float64, n)
	if b != nil {
		plane := n / (xs[0] * outputs)
		for i := range out {
			out[i] = toReal(b)[i/plane%outputs]
		}
	}
	fx, fw := toReal(x), toReal(w)
	indices(xs, func(p []int) {
		xi := 0
		for d, v := range p {
			xi = xi*xs[d] + v
		}
		indices(ws[1:], func(k []int) {
			wi := p[1]
			for d, v := range k {
				wi = wi*ws[1+d] + v
			}
			o := p[0]*outputs + p[1]/(xs[1]/group)*ws[1] + k[0]
			for d := range spatial {
				q := p[2+d]*strides[d] + k[1+d]*dilations[d] - begin[d]
				if q < 0 || q >= spatial[d] {
					return
				}
				o = o*spatial[d] + q
			}
			out[o] += fx[xi] * fw[wi]
		})
	})
	return out
}

func TestConvTranspose(t *testing.T) {
	for i, c := range []struct {
		x, w               []int
		group              int
		strides, dilations []int
		attrs              []any
		begin, out         []int
	}{
		{[]int{2, 3, 4}, []int{3, 2, 3}, 1, []int{1}, []int{1}, nil, []int{0}, []int{6}},
		{[]int{2, 3, 4}, []int{3, 2, 3}, 1, []int{2}, []int{1}, []any{"pads", []int64{1, 0}, "output_padding", []int64{1}}, []int{1}, []int{9}},
		{[]int{1, 4, 3, 4}, []int{4, 3, 2, 3}, 2, []int{2, 1}, []int{1, 2}, nil, []int{0, 0}, []int{6, 8}},
		{[]int{1, 1, 3, 3}, []int{1, 2, 3, 3}, 1, []int{3, 2}, []int{1, 1}, []any{"output_shape", []int64{10, 8}}, []int{0, 0}, []int{10, 8}},
		{[]int{1, 1, 3, 3}, []int{1, 2, 3, 3}, 1, []int{3, 2}, []int{1, 1}, []any{"output_shape", []int64{1, 2, 8, 6}}, []int{1, 1}, []int{8, 6}},
		{[]int{1, 1, 3, 3}, []int{1, 2, 3, 3}, 1, []int{2, 2}, []int{1, 1}, []any{"auto_pad", "SAME_UPPER"}, []int{0, 0}, []int{6, 6}},
		{[]int{1, 1, 3, 3}, []int{1, 2, 3, 3}, 1, []int{2, 2}, []int{1, 1}, []any{"auto_pad", "SAME_LOWER"}, []int{1, 1}, []int{6, 6}},
		{[]int{1, 2, 2, 3, 2}, []int{2, 1, 2, 2, 2}, 1, []int{2, 1, 1}, []int{1, 1, 1}, nil, []int{0, 0, 0}, []int{4, 4, 3}},
	} {
		attrs := append([]any{"group", c.group, "strides", ints64(c.strides), "dilations", ints64(c.dilations)}, c.attrs...)
		for _, d := range []onnx.DataType{onnx.Float, onnx.Double} {
			x, w, b := as(small(1, c.x...), d), as(small(2, c.w...), d), as(small(3, c.w[1]*c.group), d)
			out, err := compute(t, node("ConvTranspose", 1, attrs...), 11, x, w, b)
			if err != nil {
				t.Fatalf("case %d: %v", i, err)
			}
			near(t, out[0], append([]int{c.x[0], c.w[1] * c.group}, c.out...), naiveTranspose(x, w, b, c.group, c.strides, c.dilations, c.begin, c.out), 0)
		}
	}
	for i, n := range []*onnx.Node{
		node("ConvTranspose", 1, "pads", []int64{9, 9}),
		node("ConvTranspose", 1, "output_padding", []int64{1, 1}),
		node("ConvTranspose", 1, "output_shape", []int64{1, 1}),
		node("ConvTranspose", 1, "group", 2),
		node("ConvTranspose", 1, "kernel_shape", []int64{4}),
	} {
		if _, err := compute(t, n, 11, small(1, 1, 3, 4), small(2, 3, 2, 3)); !errors.Is(err, onnx.ErrShape) {
			t.Errorf("case %d: error %v, want ErrShape", i, err)
		}
	}
	if _, err := compute(t, node("ConvTranspose", 1), 11, small(1, 1, 3, 0), small(2, 3, 2, 3)); !errors.Is(err, onnx.ErrShape) {
		t.Errorf("empty input: %v", err)
	}
}
