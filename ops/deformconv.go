package ops

import (
	"math"
	"slices"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "DeformConv", Since: []int{19, 22}, Infer: inferDeformConv, Build: buildDeformConv},
	)
}

// DeformConv is a convolution of two spatial dimensions whose taps are moved:
// offset is [batch, offset_group*taps*2, height, width], a step down and one to
// the right for each tap and place, and mask, [batch, offset_group*taps,
// height, width], weighs what lies there. Between elements it is interpolated;
// outside there are zeros.

func inferDeformConv(n *Node) error {
	if g := n.Int("offset_group", 1); g < 1 || g > maxWindow {
		return onnx.Errorf(onnx.ErrShape, "offset_group is %d, want 1 or more", g)
	}
	for _, i := range []int{0, 1} {
		if s := n.Shape(i); s != nil && len(s) != 4 {
			return onnx.Errorf(onnx.ErrUnsupported, "%s is %v: a convolution of other than two spatial dimensions", n.formal(i, true), s)
		}
	}
	return inferConvOf(n, n.Shape(0), n.Shape(1), n.Shape(3), n.Elem(0))
}

func buildDeformConv(n *Node) (Kernel, error) {
	win, err := readWindow(n)
	if err != nil {
		return nil, err
	}
	n.Has(3)
	n.Has(4)
	group, offsets := n.Int("group", 1), int(n.Int("offset_group", 1))
	return forReal(n.Elem(0), &deformConv[float64]{conv[float64]{win: win, group: group, level: n.Level()}, offsets}, &deformConv[float32]{conv[float32]{win: win, group: group, level: n.Level()}, offsets}), nil
}

type deformConv[T floating] struct {
	conv   conv[T]
	groups int // of offsets
}

// deformLocal is a DeformConv while it runs.
type deformLocal[T floating] struct {
	convLocal[T]
	offset, mask []T // mask is nil where there is none
	groups       int
}

func (k *deformConv[T]) Run(c *Ctx, in, _ []onnx.Value) error {
	x, w, off, b, mask := in[0].(*onnx.Tensor), in[1].(*onnx.Tensor), in[2].(*onnx.Tensor), tensorIn(in, 3), tensorIn(in, 4)
	if x.Rank() != 4 {
		return onnx.Errorf(onnx.ErrShape, "X is %v, want [batch channels height width]", x)
	}
	var l deformLocal[T]
	if err := l.fit(&k.conv, x, w, b); err != nil {
		return err
	}
	l.groups = k.groups
	if x.Shape()[1]%l.groups != 0 {
		return onnx.Errorf(onnx.ErrShape, "X is %v, want a number of channels that is a multiple of offset_group, %d", x, l.groups)
	}
	if want := []int{l.batch, l.groups * l.taps * 2, l.out[0], l.out[1]}; !slices.Equal(off.Shape(), want) {
		return onnx.Errorf(onnx.ErrShape, "offset is %v, want %v", off, want)
	}
	if want := []int{l.batch, l.groups * l.taps, l.out[0], l.out[1]}; mask != nil && !slices.Equal(mask.Shape(), want) {
		return onnx.Errorf(onnx.ErrShape, "mask is %v, want %v", mask, want)
	}
	t, err := c.New(0, onnx.TypeOf[T](), l.shape)
	if err != nil || t.Len() == 0 {
		return err
	}
	l.x, l.w, l.y, l.offset = onnx.Elements[T](x), onnx.Elements[T](w), onnx.Elements[T](t), onnx.Elements[T](off)
	if mask != nil {
		l.mask = onnx.Elements[T](mask)
	}
	outputs := l.group * l.outputs
	for i := range l.batch * outputs {
		y := l.y[i*l.outSize:][:l.outSize]
		clear(y)
		if b != nil {
			for j := range y {
				y[j] = onnx.Elements[T](b)[i%outputs]
			}
		}
	}
	depth := l.channels * l.taps
	if l.col, err = Scratch[T](c, depth*l.outSize); err != nil || depth == 0 {
		return err
	}
	p := &l.product
	p.level = k.conv.level
	for i := range l.batch * l.group {
		for r := range depth {
			if err := c.Err(); err != nil {
				return err
			}
			l.moved(l.col[r*l.outSize:][:l.outSize], i/l.group, i%l.group*l.channels+r/l.taps, r%l.taps)
		}
		p.y, p.a, p.b = l.y[i*l.outputs*l.outSize:], l.w[i%l.group*l.outputs*depth:], l.col
		p.m, p.n, p.k = l.outputs, l.outSize, depth
		p.ldy, p.ars, p.acs, p.ldb = l.outSize, depth, 1, l.outSize
		if err := p.run(c); err != nil {
			return err
		}
	}
	return nil
}

// moved writes what a tap of a channel meets at each place.
func (l *deformLocal[T]) moved(dst []T, item, channel, tap int) {
	channels := l.channels * l.group
	x := l.x[(item*channels+channel)*l.inSize:][:l.inSize]
	g := item*l.groups + channel/(channels/l.groups)
	down := l.offset[(g*l.taps+tap)*2*l.outSize:][:l.outSize]
	right := l.offset[((g*l.taps+tap)*2+1)*l.outSize:][:l.outSize]
	row, col := tap/l.kernel[1]*l.dilate[0]-l.begin[0], tap%l.kernel[1]*l.dilate[1]-l.begin[1]
	for i := range dst {
		y := float64(i/l.out[1]*l.stride[0]+row) + float64(down[i])
		z := float64(i%l.out[1]*l.stride[1]+col) + float64(right[i])
		v := bilinear(x, y, z, l.in[0], l.in[1])
		if l.mask != nil {
			v *= float64(l.mask[(g*l.taps+tap)*l.outSize+i])
		}
		dst[i] = T(v)
	}
}

// bilinear interpolates a plane that is surrounded by zeros.
func bilinear[T floating](x []T, row, col float64, height, width int) float64 {
	if !(row > -1 && row < float64(height) && col > -1 && col < float64(width)) {
		return 0
	}
	r, c := math.Floor(row), math.Floor(col)
	fr, fc := row-r, col-c
	v := 0.0
	for i, wr := range [2]float64{1 - fr, fr} {
		for j, wc := range [2]float64{1 - fc, fc} {
			if p, q := int(r)+i, int(c)+j; p >= 0 && p < height && q >= 0 && q < width {
				v += wr * wc * float64(x[p*width+q])
			}
		}
	}
	return v
}
