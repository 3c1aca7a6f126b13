package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(
		Op{Name: "Pad", Since: []int{1, 2, 11, 13, 18, 19, 21, 23, 24, 25}, Infer: inferPad, Build: buildPad},
		Op{Name: "CenterCropPad", Since: []int{18}, Infer: inferCenterCropPad, Build: buildCenterCropPad},
	)
}

// padMode says what stands beyond the edges of a tensor.
type padMode uint8

const (
	padConstant padMode = iota
	padReflect          // the elements mirrored at the outermost one
	padEdge             // the outermost element
	padWrap             // the elements from the other end
)

// padding is a Pad's attributes.
type padding struct {
	mode  padMode
	attr  bool          // before version 11: pads and value are attributes
	pads  []int64       // all begins, then all ends
	value *onnx.Tensor  // one float32
	fill  *onnx.Tensor  // value in the data's type, where that is known at load
	elem  onnx.DataType // that type
}

func readPad(n *Node) (*padding, error) {
	k := &padding{attr: n.Since < 11}
	switch mode := n.Str("mode", "constant"); {
	case mode == "constant":
	case mode == "reflect":
		k.mode = padReflect
	case mode == "edge":
		k.mode = padEdge
	case mode == "wrap" && n.Since >= 19:
		k.mode = padWrap
	default:
		return nil, onnx.Errorf(onnx.ErrMalformed, "mode %q, want constant, reflect, edge, or from version 19 wrap", mode)
	}
	switch {
	case n.Since == 1:
		k.pads = n.Ints("paddings")
	case k.attr:
		k.pads = n.Ints("pads")
	default:
		n.Has(2)
		n.Has(3)
		return k, n.Err()
	}
	k.value = onnx.Scalar(n.Float("value", 0))
	if k.elem = n.Elem(0); k.elem != onnx.Undefined {
		var err error
		if k.fill, err = castFloat(k.value, k.elem); err != nil {
			return nil, err
		}
	}
	return k, n.Err()
}

// castFloat gives a float32 scalar in a floating-point type.
func castFloat(v *onnx.Tensor, d onnx.DataType) (*onnx.Tensor, error) {
	out, err := onnx.NewZeros(d, nil)
	if err != nil {
		return nil, err
	}
	switch f := onnx.Elements[float32](v); {
	case d == onnx.Float:
		onnx.Elements[float32](out)[0] = f[0]
	case d == onnx.Double:
		onnx.Elements[float64](out)[0] = float64(f[0])
	case isNarrow(d):
		NarrowTo(out, f)
	default:
		return nil, onnx.Errorf(onnx.ErrUnsupported, "element type %v", d)
	}
	return out, nil
}

func inferPad(n *Node) error {
	k, err := readPad(n)
	if err != nil {
		return err
	}
	in := n.Shape(0)
	n.SetTensor(0, n.Elem(0), nil)
	if !in.Ranked() {
		return nil
	}
	pads := knownContent(k.pads)
	if !k.attr {
		pads = n.Content(1)
	}
	axes, axesKnown := []int64(nil), true
	if !k.attr && n.Has(3) {
		axes, axesKnown = n.ConstInts(3)
	}
	if pads == nil || !axesKnown {
		n.SetTensor(0, n.Elem(0), onnx.UnknownShape(len(in)))
		return nil
	}
	if err := checkPads(len(pads.Elems), axes, len(in)); err != nil {
		return err
	}
	out := in.Clone()
	count := len(pads.Elems) / 2
	for i := range count {
		axis := i
		if axes != nil {
			axis, _ = Axis(axes[i], len(in))
		}
		begin, end := pads.Elems[i], pads.Elems[count+i]
		d := in[axis]
		switch {
		case !begin.Known || !end.Known:
			out[axis] = onnx.UnknownDim
		case begin.Value == 0 && end.Value == 0:
		case !d.Known():
			out[axis] = onnx.UnknownDim
		default:
			p, err := padAxis(begin.Value, end.Value, d.Value)
			if err != nil {
				return err
			}
			out[axis] = onnx.Fixed(p.out)
		}
	}
	n.SetTensor(0, n.Elem(0), out)
	return nil
}

// checkPads holds the number of pads against the axes.
func checkPads(pads int, axes []int64, rank int) error {
	count := rank
	if axes != nil {
		count = len(axes)
		if _, err := axisSetOf(axes, rank); err != nil {
			return err
		}
	}
	if pads != 2*count {
		return onnx.Errorf(onnx.ErrShape, "%d pads, want %d for %d axes", pads, 2*count, count)
	}
	return nil
}

// paddedAxis is an axis of a Pad: the input's elements from..from+n-1 become
// those at to..to+n-1 of out. Negative pads cut.
type paddedAxis struct{ from, to, n, out int }

func padAxis(begin, end int64, size int) (paddedAxis, error) {
	const most = int64(^uint(0)>>1) / 4
	if begin > most || end > most || begin < -int64(size) || end < -int64(size) || int64(size)+begin+end < 0 {
		return paddedAxis{}, onnx.Errorf(onnx.ErrShape, "pads %d and %d do not fit an axis of %d", begin, end, size)
	}
	p := paddedAxis{from: int(max(-begin, 0)), to: int(max(begin, 0)), out: size + int(begin+end)}
	p.n = size - p.from - int(max(-end, 0))
	return p, nil
}

func buildPad(n *Node) (Kernel, error) { return readPad(n) }

// padLocal is what a Pad keeps for a frame.
type padLocal struct {
	mover
	axes []paddedAxis
	zero onnx.Tensor
	word [16]byte
	strs [1]string
}

func (k *padding) Run(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	l := Local[padLocal](c)
	m := &l.mover
	m.c = c
	pads, axes := k.pads, []int64(nil)
	fill := k.fill
	if !k.attr {
		if pads, err = m.list(0, in[1], "pads"); err != nil {
			return err
		}
		if len(in) > 3 && in[3] != nil {
			if axes, err = m.list(1, in[3], "axes"); err != nil {
				return err
			}
		}
		if len(in) > 2 && in[2] != nil {
			if fill, err = inputTensor(in, 2); err != nil {
				return err
			}
			if fill.Len() != 1 || fill.DataType() != x.DataType() {
				return onnx.Errorf(onnx.ErrShape, "constant_value is %v, want one element of %v", fill, x.DataType())
			}
		}
	} else if fill == nil || k.elem != x.DataType() {
		if fill, err = castFloat(k.value, x.DataType()); err != nil {
			return err
		}
	}
	if fill == nil {
		fill = l.zeroOf(x.DataType())
	}
	if err := l.place(x.Shape(), pads, axes); err != nil {
		return err
	}
	return l.pad(x, k.mode, fill)
}

// zeroOf gives a scalar zero, false or "".
func (l *padLocal) zeroOf(d onnx.DataType) *onnx.Tensor {
	if d == onnx.String {
		l.zero.Reset(d, nil, nil, l.strs[:], nil)
	} else {
		l.zero.Reset(d, nil, l.word[:d.Size()], nil, nil)
	}
	return &l.zero
}

// place sets the axes and the output's shape.
func (l *padLocal) place(shape []int, pads, axes []int64) error {
	if err := checkPads(len(pads), axes, len(shape)); err != nil {
		return err
	}
	l.axes = l.axes[:0]
	for _, d := range shape {
		l.axes = append(l.axes, paddedAxis{n: d, out: d})
	}
	count := len(pads) / 2
	for i := range count {
		axis := i
		if axes != nil {
			axis, _ = Axis(axes[i], len(shape))
		}
		var err error
		if l.axes[axis], err = padAxis(pads[i], pads[count+i], shape[axis]); err != nil {
			return onnx.Errorf(onnx.ErrShape, "axis %d: %v", axis, err)
		}
	}
	l.shape = l.shape[:0]
	for _, a := range l.axes {
		l.shape = append(l.shape, a.out)
	}
	return nil
}

// pad makes output 0 of x.
func (l *padLocal) pad(x *onnx.Tensor, mode padMode, fill *onnx.Tensor) error {
	same, inside := true, true // all of x and nothing else; nothing but x
	for i, a := range l.axes {
		same = same && a == paddedAxis{n: x.Shape()[i], out: x.Shape()[i]}
		inside = inside && a.n == a.out
	}
	if same {
		_, err := l.c.View(0, x, l.shape)
		return err
	}
	y, err := l.c.New(0, x.DataType(), l.shape)
	if err != nil || y.Len() == 0 {
		return err
	}
	if mode != padConstant && !inside {
		return l.mapped(y, x, mode)
	}
	if !inside {
		if err := fillElements(l.c, y, fill); err != nil {
			return err
		}
	}
	l.start()
	step, stride, to, from := y.Len(), x.Len(), 0, 0
	for i, a := range l.axes {
		step /= a.out
		stride /= max(x.Shape()[i], 1)
		to += a.to * step
		from += a.from * stride
		l.add(a.n, step, stride)
	}
	return l.copy(y, to, x, from)
}

// mapped pads with elements of x: each index of the output along an axis is
// that of an element of the input, whatever the other axes.
func (l *padLocal) mapped(y, x *onnx.Tensor, mode padMode) error {
	total := 0
	for _, a := range l.axes {
		total += a.out
	}
	buf, err := Scratch[int64](l.c, total)
	if err != nil {
		return err
	}
	places := intsOver(buf)
	l.maps = l.maps[:0]
	for i, a := range l.axes {
		if a.n == 0 {
			return onnx.Errorf(onnx.ErrShape, "axis %d of %v has no elements to pad with", i, slices.Clone(x.Shape()))
		}
		stride := strideAfter(x.Shape(), i)
		list := places[:a.out]
		places = places[a.out:]
		if i < len(l.axes)-1 {
			mode.places(list, a, stride, 0)
		} else { // those of the input follow the first of them
			mode.places(list[:a.to+1], a, stride, 0)
			mode.places(list[a.to+a.n:], a, stride, a.to+a.n)
		}
		l.maps = append(l.maps, list)
	}
	defer clear(l.maps)
	rows := l.maps[0]
	block := max(1, 4*cancelEvery/(y.Len()/len(rows)))
	loop := mapLoops.of(x.DataType())
	last := l.axes[len(l.axes)-1]
	inside := [2]int{last.to, last.to + last.n}
	for at, lo := 0, 0; lo < len(rows); lo += block {
		l.maps[0] = rows[lo:min(lo+block, len(rows))]
		if n := len(l.maps[0]); len(l.maps) == 1 {
			inside = [2]int{min(max(last.to-lo, 0), n), min(max(last.to+last.n-lo, 0), n)}
			if first := inside[0]; first < inside[1] {
				mode.places(l.maps[0][first:first+1], last, 1, lo+first)
			}
		}
		at += loop(y, at, x, l.maps, inside)
		if err := l.c.Err(); err != nil {
			return err
		}
	}
	return nil
}

// places gives where the elements of an axis from one on stand in the input.
func (m padMode) places(list []int, a paddedAxis, stride, first int) {
	for j := range list {
		list[j] = (a.from + m.index(first+j-a.to, a.n)) * stride
	}
}

// index gives the element that stands at place j of an axis of n elements.
func (m padMode) index(j, n int) int {
	switch {
	case j >= 0 && j < n:
		return j
	case m == padEdge:
		return min(max(j, 0), n-1)
	case m == padWrap:
		return ((j % n) + n) % n
	case n == 1:
		return 0
	case j < 0 && j > -n:
		return -j
	case j >= n && j < 2*n-1:
		return 2*(n-1) - j
	}
	period := 2 * (n - 1)
	j = ((j % period) + period) % period
	return min(j, period-j)
}

var mapLoops = byWidth[func(y *onnx.Tensor, at int, x *onnx.Tensor, maps [][]int, inside [2]int) int]{
	mapLoop[uint8], mapLoop[uint16], mapLoop[uint32], mapLoop[uint64], mapLoop[wide], mapLoop[string],
}

func mapLoop[T any](y *onnx.Tensor, at int, x *onnx.Tensor, maps [][]int, inside [2]int) int {
	return kernel.CopyMapped(cells[T](y)[at:], cells[T](x), 0, maps, inside[0], inside[1])
}

// centerCropPad brings axes to given sizes by cutting or zero-padding both ends.
type centerCropPad struct {
	axes []int64
}

func inferCenterCropPad(n *Node) error {
	axes := n.Ints("axes")
	in := n.Shape(0)
	n.SetTensor(0, n.Elem(0), nil)
	if err := n.Err(); err != nil || !in.Ranked() {
		return err
	}
	sizes, err := shapeFrom(n, 1)
	if err != nil {
		return err
	}
	out := in.Clone()
	for i := range out {
		if axes == nil {
			out[i] = onnx.UnknownDim
		}
	}
	set, err := axisSetOf(axes, len(in))
	if err != nil {
		return err
	}
	for i := range out {
		if set.has(i) {
			out[i] = onnx.UnknownDim
		}
	}
	if sizes.Ranked() {
		if err := checkCropSizes(len(sizes), axes, len(in)); err != nil {
			return err
		}
		for i, d := range sizes {
			axis := i
			if axes != nil {
				axis, _ = Axis(axes[i], len(in))
			}
			out[axis] = d
		}
	}
	n.SetTensor(0, n.Elem(0), out)
	return nil
}

func checkCropSizes(sizes int, axes []int64, rank int) error {
	want := rank
	if axes != nil {
		want = len(axes)
	}
	if sizes != want {
		return onnx.Errorf(onnx.ErrShape, "shape has %d entries, want %d", sizes, want)
	}
	return nil
}

func buildCenterCropPad(n *Node) (Kernel, error) { return &centerCropPad{n.Ints("axes")}, nil }

func (k *centerCropPad) Run(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	l := Local[padLocal](c)
	l.c = c
	sizes, err := l.list(0, in[1], "shape")
	if err != nil {
		return err
	}
	if err := checkCropSizes(len(sizes), k.axes, x.Rank()); err != nil {
		return err
	}
	l.lists[1] = append(l.lists[1][:0], make([]int64, 2*len(sizes))...)
	pads := l.lists[1]
	for i, size := range sizes {
		axis := i
		if k.axes != nil {
			if axis, err = Axis(k.axes[i], x.Rank()); err != nil {
				return err
			}
		}
		if size < 0 || int64(int(size)) != size {
			return onnx.Errorf(onnx.ErrShape, "shape[%d] = %d, want a size of at least 0", i, size)
		}
		// An odd number is cut or added at the end.
		if d := size - int64(x.Shape()[axis]); d >= 0 {
			pads[i], pads[len(sizes)+i] = d/2, d-d/2
		} else {
			pads[i], pads[len(sizes)+i] = -(-d / 2), d+(-d/2)
		}
	}
	if err := l.place(x.Shape(), pads, k.axes); err != nil {
		return err
	}
	return l.pad(x, padConstant, l.zeroOf(x.DataType()))
}
