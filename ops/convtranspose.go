package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(
		Op{Name: "ConvTranspose", Since: []int{1, 11, 22}, Infer: inferConvTranspose, Build: buildConvTranspose},
	)
}

// ConvTranspose: X is [batch, channels, spatial...], W is [channels,
// outputs/group, kernel...], B is [outputs].

// transposeAttrs are the attributes of a ConvTranspose.
type transposeAttrs struct {
	win           window
	group         int64
	outputPadding []int
	outputShape   []int // spatial sizes alone
}

func readTranspose(n *Node) (a transposeAttrs, err error) {
	if a.win, err = readWindow(n); err != nil {
		return a, err
	}
	a.group = n.Int("group", 1)
	if a.outputPadding, err = sizesAttr(n, "output_padding", 0); err != nil {
		return a, err
	}
	if a.outputShape, err = sizesAttr(n, "output_shape", 0); err != nil {
		return a, err
	}
	return a, a.check(a.win.rank())
}

// check holds the lists' lengths against the number of spatial dimensions.
func (a *transposeAttrs) check(rank int) error {
	if err := a.win.check(rank); err != nil || rank < 0 {
		return err
	}
	if a.outputPadding != nil && len(a.outputPadding) != rank {
		return onnx.Errorf(onnx.ErrShape, "output_padding %v has %d elements, want %d", a.outputPadding, len(a.outputPadding), rank)
	}
	if n := len(a.outputShape); a.outputShape != nil && n != rank && n != rank+2 {
		return onnx.Errorf(onnx.ErrShape, "output_shape %v has %d elements, want %d", a.outputShape, n, rank)
	}
	return nil
}

// trimmed gives the attributes with an output_shape of spatial sizes alone: it
// may list batch and channels too.
func (a *transposeAttrs) trimmed(rank int) transposeAttrs {
	b := *a
	if len(b.outputShape) == rank+2 {
		b.outputShape = b.outputShape[2:]
	}
	return b
}

// spread gives the output's size in spatial dimension i, for an input of the
// given size and a kernel of size k, and how many elements are cut off before it.
func (a *transposeAttrs) spread(i, size, k int) (out, begin int, err error) {
	stride, extra := at(a.win.strides, i, 1), at(a.outputPadding, i, 0)
	reach := (k-1)*at(a.win.dilations, i, 1) + 1
	if size == 0 {
		return 0, 0, onnx.Errorf(onnx.ErrShape, "spatial dimension %d of X is empty", i)
	}
	if size > maxWindow {
		return 0, 0, onnx.Errorf(onnx.ErrShape, "spatial dimension %d of X is %d, want at most %d", i, size, maxWindow)
	}
	full := stride*(size-1) + extra + reach
	switch {
	case a.outputShape != nil:
		out = a.outputShape[i]
	case a.win.autoPad == "SAME_UPPER" || a.win.autoPad == "SAME_LOWER":
		out = size * stride
	case a.win.autoPad == "VALID" || a.win.pads == nil:
		return full, 0, nil
	default:
		begin = a.win.pads[i]
		out = full - begin - a.win.pads[len(a.win.pads)/2+i]
		if out < 0 {
			return 0, 0, onnx.Errorf(onnx.ErrShape, "spatial dimension %d of the output: %d elements less pads %d and %d", i, full, begin, full-begin-out)
		}
		return out, begin, nil
	}
	pad := max(full-out, 0)
	begin = pad / 2
	if a.win.autoPad != "SAME_UPPER" {
		begin = pad - pad/2
	}
	return out, begin, nil
}

func inferConvTranspose(n *Node) error {
	a, err := readTranspose(n)
	if err != nil {
		return err
	}
	x, w, b := n.Shape(0), n.Shape(1), n.Shape(2)
	rank := a.win.rank()
	for _, s := range []onnx.Shape{w, x} {
		if s != nil {
			if len(s) < 3 {
				return onnx.Errorf(onnx.ErrShape, "X is %v, W is %v, want at least three dimensions each", x, w)
			}
			rank = len(s) - 2
		}
	}
	if rank < 0 {
		n.SetTensor(0, n.Elem(0), nil)
		return nil
	}
	if x != nil && w != nil && len(x) != len(w) {
		return onnx.Errorf(onnx.ErrShape, "X is %v, W is %v, want equal ranks", x, w)
	}
	if err := a.check(rank); err != nil {
		return err
	}
	if a.group < 1 || a.group > maxWindow {
		return onnx.Errorf(onnx.ErrShape, "group is %d, want 1 or more", a.group)
	}
	out := onnx.UnknownShape(rank + 2)
	if w != nil && w[1].Known() && w[1].Value <= maxWindow {
		out[1] = onnx.Fixed(w[1].Value * int(a.group))
	}
	if x != nil {
		out[0] = x[0]
	}
	if x != nil && w != nil && x[1].Known() && w[0].Known() && (x[1].Value != w[0].Value || x[1].Value%int(a.group) != 0) {
		return onnx.Errorf(onnx.ErrShape, "X has %v channels, W wants %v, in %d groups", x[1], w[0], a.group)
	}
	if b != nil && (len(b) != 1 || b[0].Known() && out[1].Known() && b[0].Value != out[1].Value) {
		return onnx.Errorf(onnx.ErrShape, "B is %v, want one element for each of the %v outputs", b, out[1])
	}
	for i := range rank {
		k := at(a.win.kernel, i, -1)
		if w != nil && w[2+i].Known() {
			if k >= 0 && k != w[2+i].Value {
				return onnx.Errorf(onnx.ErrShape, "kernel_shape %v, W is %v", a.win.kernel, w)
			}
			k = w[2+i].Value
		}
		if x == nil || k < 1 {
			continue
		}
		if out[2+i], err = a.spreadDim(i, x[2+i], k, rank); err != nil {
			return err
		}
	}
	n.SetTensor(0, n.Elem(0), out)
	return nil
}

// spreadDim is spread for a dimension that may be unknown; a symbol is kept
// where the size certainly stays.
func (a *transposeAttrs) spreadDim(i int, d onnx.Dim, k, rank int) (onnx.Dim, error) {
	b := a.trimmed(rank)
	if b.outputShape != nil {
		return onnx.Fixed(b.outputShape[i]), nil
	}
	if d.Known() {
		out, _, err := b.spread(i, d.Value, k)
		return onnx.Fixed(out), err
	}
	if at(a.win.strides, i, 1) != 1 || k > maxWindow {
		return onnx.UnknownDim, nil
	}
	const probe = maxWindow
	if out, _, err := b.spread(i, probe, k); err == nil && out == probe {
		return d, nil
	}
	return onnx.UnknownDim, nil
}

func buildConvTranspose(n *Node) (Kernel, error) {
	n.Has(2)
	a, err := readTranspose(n)
	if err != nil {
		return nil, err
	}
	level := n.Level()
	return forReal(n.Elem(0), &convTranspose[float64]{transposeAttrs: a, level: level},
		&convTranspose[float32]{transposeAttrs: a, level: level, packed: packPhases(n, &a)}), nil
}

type convTranspose[T element] struct {
	transposeAttrs
	level  Level
	packed transposePacked
}

// transposeLocal is a ConvTranspose while it runs, kept for a frame. Its places
// are those of the convolution that leads from the output to the input.
type transposeLocal[T element] struct {
	places
	x, w, b, y               []T
	group, channels, outputs int // channels and outputs of one group
	shape                    []int
	c                        *Ctx
	planes                   func(lo, hi int)
	fast                     transposeTaps
}

// Run computes each result from one accumulator, which begins at 0: channel by
// channel the taps in order, of those that meet an element. float32 rounds a
// product and its sum once. The bias is added at the end, to which it is 0 where
// it is -0.
func (k *convTranspose[T]) Run(c *Ctx, in, _ []onnx.Value) error {
	x, w, b := in[0].(*onnx.Tensor), in[1].(*onnx.Tensor), tensorIn(in, 2)
	loc := Local[transposeLocal[T]](c)
	if err := loc.fit(&k.transposeAttrs, x, w, b); err != nil {
		return err
	}
	t, err := c.New(0, onnx.TypeOf[T](), loc.shape)
	if err != nil {
		return err
	}
	if t.Len() == 0 {
		return nil
	}
	if loc.planes == nil {
		loc.planes = loc.doPlanes
	}
	loc.x, loc.w, loc.y, loc.c = onnx.Elements[T](x), onnx.Elements[T](w), onnx.Elements[T](t), c
	if b != nil {
		loc.b = onnx.Elements[T](b)
	}
	defer loc.release()
	if done, err := loc.tapped(c, k); done || err != nil {
		return err
	}
	c.Parallel(x.Shape()[0]*loc.group*loc.outputs, grainOf(loc.channels*loc.taps*loc.outSize), loc.planes)
	return c.Err()
}

func (l *transposeLocal[T]) release() { l.x, l.w, l.b, l.y, l.c = nil, nil, nil, nil, nil }

// fit checks the shapes and works out the result's.
func (l *transposeLocal[T]) fit(a *transposeAttrs, x, w, b *onnx.Tensor) error {
	xs, ws := x.Shape(), w.Shape()
	if len(xs) < 3 || len(ws) != len(xs) {
		return onnx.Errorf(onnx.ErrShape, "X is %v, W is %v, want equal ranks of at least 3", x, w)
	}
	rank := len(xs) - 2
	if err := a.check(rank); err != nil {
		return err
	}
	if a.win.kernel != nil && !slices.Equal(a.win.kernel, ws[2:]) {
		return onnx.Errorf(onnx.ErrShape, "kernel_shape %v, W is %v", a.win.kernel, w)
	}
	if a.group < 1 || a.group > maxWindow || ws[1] > maxWindow || ws[0] != xs[1] || ws[0]%int(a.group) != 0 {
		return onnx.Errorf(onnx.ErrShape, "X is %v, W is %v, want W's first size to be X's second, a multiple of the group, %d", x, w, a.group)
	}
	l.group = int(a.group)
	l.channels, l.outputs = xs[1]/l.group, ws[1]
	if b != nil && (b.Rank() != 1 || b.Len() != l.outputs*l.group) {
		return onnx.Errorf(onnx.ErrShape, "B is %v, want [%d]", b, l.outputs*l.group)
	}
	l.out, l.kernel = append(l.out[:0], xs[2:]...), append(l.kernel[:0], ws[2:]...)
	l.in, l.begin, l.stride, l.dilate = grow(l.in, rank), grow(l.begin, rank), grow(l.stride, rank), grow(l.dilate, rank)
	trimmed := a.trimmed(rank)
	for i := range rank {
		if ws[2+i] < 1 || ws[2+i] > maxWindow {
			return onnx.Errorf(onnx.ErrShape, "W is %v, want kernel sizes of 1..%d", w, maxWindow)
		}
		var err error
		if l.in[i], l.begin[i], err = trimmed.spread(i, xs[2+i], ws[2+i]); err != nil {
			return err
		}
		l.stride[i], l.dilate[i] = at(a.win.strides, i, 1), at(a.win.dilations, i, 1)
	}
	l.shape = append(append(l.shape[:0], xs[0], l.outputs*l.group), l.in...)
	return l.multiply()
}

// doPlanes computes output planes lo..hi-1, tap by tap over all places.
func (l *transposeLocal[T]) doPlanes(lo, hi int) {
	var room [2 * maxInlineRank]int
	rank := len(l.in)
	pos := room[:]
	if 2*rank > len(pos) {
		pos = make([]int, 2*rank)
	}
	taps, pos := pos[:rank], pos[rank:2*rank]
	width, stride := l.out[rank-1], l.stride[rank-1]
	for i := lo; i < hi && l.c.Err() == nil; i++ {
		y := l.y[i*l.inSize:][:l.inSize]
		clear(y)
		g, o := i/l.outputs, i%l.outputs // group counted over the batch
		for ch := range l.channels {
			x := l.x[(g*l.channels+ch)*l.outSize:][:l.outSize]
			w := l.w[((g%l.group*l.channels+ch)*l.outputs+o)*l.taps:][:l.taps]
			for k, v := range w {
				split(taps, l.kernel, k)
				begin, end, at := l.span(rank-1, taps[rank-1])
				if begin >= end {
					continue
				}
				for r := range l.outSize / width {
					if off, ok := l.row(r, taps, pos); ok {
						kernel.ScatterProducts(y[off+at:], x[r*width+begin:r*width+end], stride, v)
					}
				}
			}
		}
		var bias T
		if l.b != nil {
			bias += l.b[i%(l.group*l.outputs)]
		}
		kernel.AddVS(y, y, bias)
	}
}
