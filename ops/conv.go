package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(
		Op{Name: "Conv", Since: []int{1, 11, 22}, Infer: inferConv, Build: buildConv},
	)
}

// Conv: X is [batch, channels, spatial...], W is [outputs, channels/group,
// kernel...], B is [outputs].

func inferConv(n *Node) error { return inferConvOf(n, n.Shape(0), n.Shape(1), n.Shape(2), n.Elem(0)) }

// inferConvOf infers a convolution of the given shapes.
func inferConvOf(n *Node, x, w, b onnx.Shape, elem onnx.DataType) error {
	win, err := readWindow(n)
	if err != nil {
		return err
	}
	group := n.Int("group", 1)
	rank := win.rank()
	for _, s := range []onnx.Shape{w, x} {
		if s != nil {
			if len(s) < 3 {
				return onnx.Errorf(onnx.ErrShape, "X is %v, W is %v, want at least three dimensions each", x, w)
			}
			rank = len(s) - 2
		}
	}
	if rank < 0 {
		n.SetTensor(0, elem, nil)
		return nil
	}
	if x != nil && w != nil && len(x) != len(w) {
		return onnx.Errorf(onnx.ErrShape, "X is %v, W is %v, want equal ranks", x, w)
	}
	if err := win.check(rank); err != nil {
		return err
	}
	out := onnx.UnknownShape(rank + 2)
	if w != nil {
		out[0+1] = w[0]
	}
	if x != nil {
		out[0] = x[0]
	}
	if x != nil && w != nil {
		if err := checkChannels(x[1].Value, w[0].Value, w[1].Value, group); err != nil {
			return err
		}
	}
	if b != nil && (len(b) != 1 || w != nil && b[0].Known() && w[0].Known() && b[0].Value != w[0].Value) {
		return onnx.Errorf(onnx.ErrShape, "B is %v, want one element for each of the %v outputs", b, out[1])
	}
	for i := range rank {
		k := at(win.kernel, i, -1)
		if w != nil && w[2+i].Known() {
			if k >= 0 && k != w[2+i].Value {
				return onnx.Errorf(onnx.ErrShape, "kernel_shape %v, W is %v", win.kernel, w)
			}
			k = w[2+i].Value
		}
		if x == nil || k < 0 {
			continue
		}
		if out[2+i], err = win.slideDim(i, x[2+i], k); err != nil {
			return err
		}
	}
	n.SetTensor(0, elem, out)
	return nil
}

// checkChannels holds channel counts against the group; a negative count is
// not known.
func checkChannels(channels, outputs, perGroup int, group int64) error {
	if group < 1 || group > maxWindow {
		return onnx.Errorf(onnx.ErrShape, "group is %d, want 1 or more", group)
	}
	g := int(group)
	if channels >= 0 && perGroup >= 0 && (channels%g != 0 || channels/g != perGroup) {
		return onnx.Errorf(onnx.ErrShape, "X has %d channels, W wants %d in each of %d groups", channels, perGroup, g)
	}
	if outputs >= 0 && outputs%g != 0 {
		return onnx.Errorf(onnx.ErrShape, "W has %d outputs, want a multiple of the group, %d", outputs, g)
	}
	return nil
}

func buildConv(n *Node) (Kernel, error) {
	k, err := buildConvOf(n)
	if err != nil {
		return nil, err
	}
	return forReal(n.Elem(0), &conv[float64]{win: k.win, group: k.group, level: k.level}, k), nil
}

// buildConvOf builds a convolution of float32.
func buildConvOf(n *Node) (*conv[float32], error) {
	n.Has(2)
	win, err := readWindow(n)
	if err != nil {
		return nil, err
	}
	group := n.Int("group", 1)
	return &conv[float32]{win: win, group: group, level: n.Level(), points: packPoints(n, group)}, nil
}

type conv[T element] struct {
	win        window
	group      int64
	level      Level
	points     *packed[pointWeights] // nil where the weights are no constants
	activation fusedActivation
}

func (k *conv[T]) Run(c *Ctx, in, _ []onnx.Value) error {
	x, w, b := in[0].(*onnx.Tensor), in[1].(*onnx.Tensor), tensorIn(in, 2)
	loc := Local[convLocal[T]](c)
	if err := loc.fit(k, x, w, b); err != nil {
		return err
	}
	t, err := c.New(0, onnx.TypeOf[T](), loc.shape)
	if err != nil {
		return err
	}
	loc.product.level = k.level
	loc.x, loc.w, loc.y = onnx.Elements[T](x), onnx.Elements[T](w), onnx.Elements[T](t)
	if b != nil {
		loc.b = onnx.Elements[T](b)
	}
	return loc.run(c, k)
}

// convLocal is a convolution while it runs, kept for a frame.
type convLocal[T element] struct {
	places
	x, w, b, y                      []T // b is nil where there is no bias
	batch, group, channels, outputs int // channels and outputs of one group
	shape                           []int
	c                               *Ctx
	product                         product[T]
	col                             []T // the part of the input under the kernel: [channels*taps, tile]
	colX                            []T // the image and group that col is made of
	first, tile                     int // places of col
	fill, direct, finish            func(lo, hi int)
	activation                      fusedActivation // of float32
	fast                            convTaps
}

// fit checks the shapes and works out the result's.
func (l *convLocal[T]) fit(k *conv[T], x, w, b *onnx.Tensor) error {
	xs, ws := x.Shape(), w.Shape()
	if len(xs) < 3 || len(ws) != len(xs) {
		return onnx.Errorf(onnx.ErrShape, "X is %v, W is %v, want equal ranks of at least 3", x, w)
	}
	if err := checkChannels(xs[1], ws[0], ws[1], k.group); err != nil {
		return err
	}
	if b != nil && (b.Rank() != 1 || b.Len() != ws[0]) {
		return onnx.Errorf(onnx.ErrShape, "B is %v, want [%d]", b, ws[0])
	}
	if k.win.kernel != nil && !slices.Equal(k.win.kernel, ws[2:]) {
		return onnx.Errorf(onnx.ErrShape, "kernel_shape %v, W is %v", k.win.kernel, w)
	}
	for _, s := range ws[2:] {
		if s < 1 || s > maxWindow {
			return onnx.Errorf(onnx.ErrShape, "W is %v, want kernel sizes of 1..%d", w, maxWindow)
		}
	}
	if err := l.lay(&k.win, xs[2:], ws[2:]); err != nil {
		return err
	}
	l.batch, l.group, l.channels, l.outputs = xs[0], int(k.group), ws[1], ws[0]/int(k.group)
	l.shape = append(append(l.shape[:0], xs[0], ws[0]), l.out...)
	return nil
}

// run computes each output element from one accumulator: channel by channel the
// taps in order. float32 adds the bias at the end, whichever way is taken.
func (l *convLocal[T]) run(c *Ctx, k *conv[T]) error {
	if l.outSize == 0 || len(l.y) == 0 {
		return nil
	}
	if l.fill == nil {
		l.fill, l.direct, l.finish = l.doFill, l.doDirect, l.doFinish
	}
	l.c, l.activation = c, k.activation
	defer l.release()
	if done, err := l.tapped(c, k); done || err != nil {
		return err
	}
	if err := l.plainly(c); err != nil || l.activation.loop == nil {
		return err
	}
	c.Parallel(len(l.y), mulGrain/8, l.finish)
	return c.Err()
}

// doFinish applies the activation to elements lo..hi-1 of the result.
func (l *convLocal[T]) doFinish(lo, hi int) {
	if y, ok := any(l.y).([]float32); ok {
		l.activation.apply(y[lo:hi])
	}
}

// plainly computes sums of rows that are copied under the kernel, or of planes.
func (l *convLocal[T]) plainly(c *Ctx) error {
	if l.deep() && l.channels > 0 {
		c.Parallel(l.batch*l.group, grainOf(l.channels*l.taps*l.outSize), l.direct)
		return c.Err()
	}
	for i := range l.batch * l.group * l.outputs {
		y := l.y[i*l.outSize:][:l.outSize]
		if l.b == nil {
			clear(y)
		} else {
			kernel.Fill(y, l.b[i%(l.group*l.outputs)])
		}
	}
	if l.channels == 0 {
		return nil
	}
	return l.lowered(c)
}

// deep reports whether each of several groups has one output: then there is no
// product of matrices.
func (l *convLocal[T]) deep() bool { return l.outputs == 1 && l.group > 1 }

func (l *convLocal[T]) release() {
	l.c, l.x, l.w, l.b, l.y, l.col, l.colX = nil, nil, nil, nil, nil, nil, nil
}

// colElements is the size of the copy of the input under the kernel that one
// round of a convolution works on.
const colElements = 1 << 18

// lowered computes the convolution as matrix products: the weights
// [outputs, channels*taps] by the input under the kernel [channels*taps, places].
func (l *convLocal[T]) lowered(c *Ctx) error {
	depth := l.channels * l.taps
	plain := l.plain()
	l.tile = l.outSize
	if !plain {
		l.tile = min(l.outSize, max(64, colElements/depth))
		var err error
		if l.col, err = Scratch[T](c, depth*l.tile); err != nil {
			return err
		}
	}
	for i := range l.batch * l.group {
		g := i % l.group
		l.colX = l.x[i*l.channels*l.inSize:][:l.channels*l.inSize]
		y := l.y[i*l.outputs*l.outSize:][:l.outputs*l.outSize]
		w := l.w[g*l.outputs*depth:][:l.outputs*depth]
		for l.first = 0; l.first < l.outSize; l.first += l.tile {
			width := min(l.tile, l.outSize-l.first)
			p := &l.product
			p.y, p.a, p.b = y[l.first:], w, l.colX
			if !plain {
				c.Parallel(depth, max(1, mulGrain/4/width), l.fill)
				p.b = l.col
			}
			p.m, p.n, p.k = l.outputs, width, depth
			p.ldy, p.ars, p.acs, p.ldb = l.outSize, depth, 1, l.tile
			if err := p.run(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// plain reports whether the kernel is one element that visits every one of the
// input: then that lies under the kernel as it is.
func (l *convLocal[T]) plain() bool {
	for d := range l.in {
		if l.kernel[d] != 1 || l.stride[d] != 1 || l.begin[d] != 0 || l.end[d] != 0 {
			return false
		}
	}
	return true
}

// doFill makes rows lo..hi-1 of col: for a channel and a tap, the elements of
// the input that the places first..first+tile-1 meet, 0 in the padding.
func (l *convLocal[T]) doFill(lo, hi int) {
	var room [2 * maxInlineRank]int
	rank := len(l.in)
	pos := room[:]
	if 2*rank > len(pos) {
		pos = make([]int, 2*rank)
	}
	taps, pos := pos[:rank], pos[rank:2*rank]
	width := l.out[rank-1]
	stop := min(l.first+l.tile, l.outSize)
	for r := lo; r < hi; r++ {
		split(taps, l.kernel, r%l.taps)
		x := l.colX[r/l.taps*l.inSize:][:l.inSize]
		dst := l.col[r*l.tile:]
		begin, end, at := l.span(rank-1, taps[rank-1])
		for p := l.first; p < stop; {
			row, col := p/width, p%width
			n := min(width-col, stop-p)
			seg := dst[p-l.first:][:n]
			off, ok := l.row(row, taps, pos)
			p += n
			// places a..b-1 of the row lie in the input and in the segment
			a, b := max(begin, col), min(end, col+n)
			if !ok || a >= b {
				clear(seg)
				continue
			}
			clear(seg[:a-col])
			clear(seg[b-col:])
			kernel.Gather(seg[a-col:b-col], x[off+at+(a-begin)*l.stride[rank-1]:], l.stride[rank-1])
		}
	}
}

// maxInlineRank is the number of spatial dimensions up to which indices need no
// memory of their own.
const maxInlineRank = 4

// doDirect computes the output planes lo..hi-1 where each group has one output:
// tap by tap over all places, which is the order of the matrix products.
func (l *convLocal[T]) doDirect(lo, hi int) {
	var room [2 * maxInlineRank]int
	rank := len(l.in)
	pos := room[:]
	if 2*rank > len(pos) {
		pos = make([]int, 2*rank)
	}
	taps, pos := pos[:rank], pos[rank:2*rank]
	width, stride := l.out[rank-1], l.stride[rank-1]
	for i := lo; i < hi && l.c.Err() == nil; i++ {
		y := l.y[i*l.outSize:][:l.outSize]
		clear(y)
		w := l.w[i%l.group*l.channels*l.taps:][:l.channels*l.taps]
		for k, v := range w {
			split(taps, l.kernel, k%l.taps)
			x := l.x[(i*l.channels+k/l.taps)*l.inSize:][:l.inSize]
			begin, end, at := l.span(rank-1, taps[rank-1])
			if begin >= end {
				continue
			}
			for r := range l.outSize / width {
				if off, ok := l.row(r, taps, pos); ok {
					kernel.AddProducts(y[r*width+begin:r*width+end], x[off+at:], stride, v)
				}
			}
		}
		if l.b != nil {
			kernel.AddVS(y, y, l.b[i%l.group])
		}
	}
}
