package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
)

// window is how a kernel slides over the spatial dimensions, those after the
// batch and the channel: the attributes that convolutions and pools share.
type window struct {
	kernel    []int // nil where it comes from the weights
	strides   []int // nil is 1 everywhere
	dilations []int // nil is 1 everywhere
	pads      []int // all begins, then all ends; nil is 0 everywhere
	autoPad   string
	ceil      bool
}

// maxWindow bounds kernel sizes, strides, dilations and pads, so that sums and
// products of two stay within an int.
const maxWindow = 1<<31 - 1

// readWindow reads the attributes; the caller reads ceil_mode.
func readWindow(n *Node) (w window, err error) {
	w.autoPad = n.Str("auto_pad", "NOTSET")
	for _, a := range []struct {
		name string
		dst  *[]int
		low  int64
	}{{"kernel_shape", &w.kernel, 1}, {"strides", &w.strides, 1}, {"dilations", &w.dilations, 1}, {"pads", &w.pads, 0}} {
		if *a.dst, err = sizesAttr(n, a.name, a.low); err != nil {
			return w, err
		}
	}
	switch w.autoPad {
	case "NOTSET", "":
		w.autoPad = "NOTSET"
	case "VALID", "SAME_UPPER", "SAME_LOWER":
		if slices.ContainsFunc(w.pads, func(p int) bool { return p != 0 }) {
			return w, onnx.Errorf(onnx.ErrMalformed, "pads %v are set along with auto_pad %s, want one of them", w.pads, w.autoPad)
		}
	default:
		return w, onnx.Errorf(onnx.ErrMalformed, "auto_pad %q, want NOTSET, VALID, SAME_UPPER or SAME_LOWER", w.autoPad)
	}
	return w, w.check(w.rank())
}

// sizesAttr reads a list of integers of low..maxWindow.
func sizesAttr(n *Node, name string, low int64) ([]int, error) {
	list := n.Ints(name)
	if list == nil {
		return nil, n.Err()
	}
	out := make([]int, len(list))
	for i, v := range list {
		if v < low || v > maxWindow {
			return nil, onnx.Errorf(onnx.ErrShape, "%s %v: element %d is %d, want %d..%d", name, list, i, v, low, maxWindow)
		}
		out[i] = int(v)
	}
	return out, nil
}

// rank is the number of spatial dimensions as far as the attributes tell it,
// -1 where they do not.
func (w *window) rank() int {
	switch {
	case w.kernel != nil:
		return len(w.kernel)
	case w.strides != nil:
		return len(w.strides)
	case w.dilations != nil:
		return len(w.dilations)
	case w.pads != nil:
		return len(w.pads) / 2
	}
	return -1
}

// check holds the lists' lengths against the number of spatial dimensions.
func (w *window) check(rank int) error {
	if rank < 0 {
		return nil
	}
	for _, a := range []struct {
		name string
		list []int
		want int
	}{{"kernel_shape", w.kernel, rank}, {"strides", w.strides, rank}, {"dilations", w.dilations, rank}, {"pads", w.pads, 2 * rank}} {
		if a.list != nil && len(a.list) != a.want {
			return onnx.Errorf(onnx.ErrShape, "%s %v has %d elements, want %d (for %d spatial dimensions)", a.name, a.list, len(a.list), a.want, rank)
		}
	}
	return nil
}

// at gives element i of a list, def where there is none.
func at(list []int, i, def int) int {
	if list == nil {
		return def
	}
	return list[i]
}

// slide gives, for spatial dimension i of the given size, the number of places
// of a kernel of size k, and how far the first reaches before the input and
// the last behind it.
func (w *window) slide(i, size, k int) (out, begin, end int, err error) {
	stride, reach := at(w.strides, i, 1), (k-1)*at(w.dilations, i, 1)+1
	switch w.autoPad {
	case "SAME_UPPER", "SAME_LOWER":
		if size == 0 {
			return 0, 0, 0, nil
		}
		out = (size-1)/stride + 1
		pad := max((out-1)*stride+reach-size, 0)
		begin, end = pad/2, pad-pad/2
		if w.autoPad == "SAME_LOWER" {
			begin, end = end, begin
		}
		return out, begin, end, nil
	case "NOTSET":
		begin, end = at(w.pads, i, 0), 0
		if w.pads != nil {
			end = w.pads[len(w.pads)/2+i]
		}
	}
	room := size + begin + end - reach
	if room < 0 {
		return 0, 0, 0, onnx.Errorf(onnx.ErrShape, "spatial dimension %d: a kernel that reaches over %d does not fit into %d elements with pads %d and %d", i, reach, size, begin, end)
	}
	out = room/stride + 1
	if w.ceil && room%stride != 0 && out*stride < size+begin {
		out++ // the last place may reach beyond the end, but not start there
	}
	return out, begin, end, nil
}

// slideDim is slide for a dimension that may be unknown: a symbol is kept where
// the size certainly stays.
func (w *window) slideDim(i int, d onnx.Dim, k int) (onnx.Dim, error) {
	if d.Known() {
		out, _, _, err := w.slide(i, d.Value, k)
		return onnx.Fixed(out), err
	}
	if at(w.strides, i, 1) != 1 {
		return onnx.UnknownDim, nil
	}
	_, begin, end, _ := w.slide(i, k*at(w.dilations, i, 1), k)
	if w.autoPad == "SAME_UPPER" || w.autoPad == "SAME_LOWER" || begin+end == (k-1)*at(w.dilations, i, 1) {
		return d, nil
	}
	return onnx.UnknownDim, nil
}

// places is a window laid over a tensor: what slide gives for each dimension.
// The kernels walk over it.
type places struct {
	in, out []int // spatial sizes
	kernel  []int
	begin   []int // padding before the input
	end     []int // padding behind it
	stride  []int
	dilate  []int

	inSize, outSize, taps int // products
}

// lay lays the window over spatial sizes in, with a kernel of the given sizes.
func (p *places) lay(w *window, in, kernel []int) error {
	rank := len(in)
	if err := w.check(rank); err != nil {
		return err
	}
	p.in, p.kernel = append(p.in[:0], in...), append(p.kernel[:0], kernel...)
	p.out, p.begin, p.end = grow(p.out, rank), grow(p.begin, rank), grow(p.end, rank)
	p.stride, p.dilate = grow(p.stride, rank), grow(p.dilate, rank)
	for i := range rank {
		var err error
		if p.out[i], p.begin[i], p.end[i], err = w.slide(i, in[i], kernel[i]); err != nil {
			return err
		}
		p.stride[i], p.dilate[i] = at(w.strides, i, 1), at(w.dilations, i, 1)
	}
	return p.multiply()
}

// multiply works out the products.
func (p *places) multiply() (err error) {
	if p.inSize, err = onnx.NumElements(p.in); err != nil {
		return err
	}
	if p.outSize, err = onnx.NumElements(p.out); err != nil {
		return err
	}
	p.taps, err = onnx.NumElements(p.kernel)
	return err
}

// span gives the places lo..hi-1 of dimension i at which tap k lies within the
// input, and the input's index for place lo.
func (p *places) span(i, k int) (lo, hi, first int) {
	off := k*p.dilate[i] - p.begin[i] // index at place 0
	s := p.stride[i]
	if off < 0 {
		lo = ceilDiv(-off, s)
	}
	if last := p.in[i] - 1 - off; last >= 0 {
		hi = min(last/s+1, p.out[i])
	}
	return min(lo, hi), hi, off + min(lo, hi)*s
}

// split takes a linear index apart into indices of the dimensions.
func split(dst, dims []int, i int) {
	for d := len(dims) - 1; d >= 0; d-- {
		dst[d] = i % dims[d]
		i /= dims[d]
	}
}

// row gives the offset of the row of the input, along the last dimension, that
// tap taps meets for the row of places with number r; ok is false where that
// lies in the padding. pos is room for the rank of indices.
func (p *places) row(r int, taps, pos []int) (offset int, ok bool) {
	last := len(p.in) - 1
	split(pos[:last], p.out[:last], r)
	for d := range last {
		x := pos[d]*p.stride[d] + taps[d]*p.dilate[d] - p.begin[d]
		if x < 0 || x >= p.in[d] {
			return 0, false
		}
		offset = offset*p.in[d] + x
	}
	return offset * p.in[last], true
}
