package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "RoiAlign", Since: []int{10, 16, 22}, Infer: inferRoiAlign, Build: buildRoiAlign},
		Op{Name: "MaxRoiPool", Since: []int{1, 22}, Infer: inferMaxRoiPool, Build: buildMaxRoiPool},
	)
}

// Regions of interest: X is [batch, channels, height, width]; the output is
// [regions, channels, height, width] of the pooled size.

// inferRois infers the output of pooled sizes; width is that of a row of rois.
func inferRois(n *Node, rois onnx.Shape, width int, height, wide int64) error {
	x := n.Shape(0)
	if x != nil && len(x) != 4 {
		return onnx.Errorf(onnx.ErrShape, "X is %v, want [batch, channels, height, width]", x)
	}
	if rois != nil && (len(rois) != 2 || rois[1].Known() && rois[1].Value != width) {
		return onnx.Errorf(onnx.ErrShape, "rois is %v, want [regions %d]", rois, width)
	}
	if height < 1 || wide < 1 || height > maxWindow || wide > maxWindow {
		return onnx.Errorf(onnx.ErrShape, "the pooled size is %d by %d, want positive sizes", height, wide)
	}
	out := onnx.UnknownShape(4)
	if rois != nil {
		out[0] = rois[0]
	}
	if x != nil {
		out[1] = x[1]
	}
	out[2], out[3] = onnx.Fixed(int(height)), onnx.Fixed(int(wide))
	n.SetTensor(0, n.Elem(0), out)
	return nil
}

func inferRoiAlign(n *Node) error {
	return inferRois(n, n.Shape(1), 4, n.Int("output_height", 1), n.Int("output_width", 1))
}

// roiAlign samples each bin of a region at a grid of points, by bilinear
// interpolation, and takes their average, or the greatest of the weighed
// neighbours of all points.
type roiAlign struct {
	largest       bool // mode max
	height, width int
	sampling      int
	scale         float64
	offset        float64 // 0.5 where coordinates are those of centres of pixels
	atLeastOne    bool    // regions are at least one pixel wide
}

func buildRoiAlign(n *Node) (Kernel, error) {
	r := roiAlign{height: int(n.Int("output_height", 1)), width: int(n.Int("output_width", 1)), scale: float64(n.Float("spatial_scale", 1)), atLeastOne: true}
	sampling := n.Int("sampling_ratio", 0)
	if sampling < 0 || sampling > 1<<14 {
		return nil, onnx.Errorf(onnx.ErrShape, "sampling_ratio is %d, want 0..%d", sampling, 1<<14)
	}
	r.sampling = int(sampling)
	switch mode := n.Str("mode", "avg"); mode {
	case "avg", "max":
		r.largest = mode == "max"
	default:
		return nil, onnx.Errorf(onnx.ErrMalformed, "mode %q, want avg or max", mode)
	}
	if n.Since >= 16 {
		switch mode := n.Str("coordinate_transformation_mode", "half_pixel"); mode {
		case "half_pixel":
			r.offset, r.atLeastOne = 0.5, false
		case "output_half_pixel":
		default:
			return nil, onnx.Errorf(onnx.ErrMalformed, "coordinate_transformation_mode %q, want half_pixel or output_half_pixel", mode)
		}
	}
	if n.Elem(0) == onnx.Double {
		return &roiAlignKernel[float64]{r}, nil
	}
	return &roiAlignKernel[float32]{r}, nil
}

type roiAlignKernel[T floating] struct{ roiAlign }

// corner is one of the four neighbours of a point, with its weight.
type corner struct {
	at int
	w  float64
}

// corners gives the neighbours of a point; ok is false more than a pixel
// outside.
func corners(y, x float64, height, width int) (c [4]corner, ok bool) {
	if !(y >= -1 && y <= float64(height) && x >= -1 && x <= float64(width)) {
		return c, false
	}
	y0, y1, fy := between(y, height)
	x0, x1, fx := between(x, width)
	return [4]corner{{y0*width + x0, (1 - fy) * (1 - fx)}, {y0*width + x1, (1 - fy) * fx}, {y1*width + x0, fy * (1 - fx)}, {y1*width + x1, fy * fx}}, true
}

// between gives the indices around a position and its distance from the first.
func between(v float64, size int) (lo, hi int, f float64) {
	v = max(v, 0)
	lo = int(v)
	if lo >= size-1 {
		return size - 1, size - 1, 0
	}
	return lo, lo + 1, v - float64(lo)
}

func (k *roiAlignKernel[T]) Run(c *Ctx, in, _ []onnx.Value) error {
	xt, rt, it := in[0].(*onnx.Tensor), in[1].(*onnx.Tensor), in[2].(*onnx.Tensor)
	s := xt.Shape()
	if len(s) != 4 || rt.Rank() != 2 || rt.Shape()[1] != 4 || it.Rank() != 1 || it.Len() != rt.Shape()[0] {
		return onnx.Errorf(onnx.ErrShape, "X is %v, rois is %v, batch_indices is %v, want [batch channels height width], [regions 4] and [regions]", xt, rt, it)
	}
	x, err := readReal[T](c, xt)
	if err != nil {
		return err
	}
	rois, err := readReal[T](c, rt)
	if err != nil {
		return err
	}
	out, y, err := newReal[T](c, 0, xt.DataType(), []int{it.Len(), s[1], k.height, k.width})
	if err != nil {
		return err
	}
	plane, bins := s[2]*s[3], k.height*k.width
	if len(y) > 0 && plane == 0 {
		return onnx.Errorf(onnx.ErrShape, "X is %v, which has no pixels", xt)
	}
	for r, item := range onnx.Elements[int64](it) {
		if item < 0 || item >= int64(s[0]) {
			return onnx.Errorf(onnx.ErrShape, "batch_indices[%d] is %d, want 0..%d", r, item, s[0]-1)
		}
		if len(y) == 0 {
			continue
		}
		g, err := k.grid(rois[4*r:][:4])
		if err != nil {
			return err
		}
		for bin := range bins {
			if err := c.Err(); err != nil {
				return err
			}
			for ch := range s[1] {
				y[(r*s[1]+ch)*bins+bin] = 0
			}
			k.sample(c, g, bin, s, x[int(item)*s[1]*plane:], y[r*s[1]*bins+bin:], bins)
		}
	}
	return storeReal(c, out, y)
}

// roiGrid is where a region's bins lie and how they are sampled.
type roiGrid struct {
	top, left, binHeight, binWidth float64
	rows, cols                     int
}

func (k *roiAlign) grid(roi any) (g roiGrid, err error) {
	var v [4]float64
	switch r := roi.(type) {
	case []float32:
		for i := range v {
			v[i] = float64(r[i])
		}
	case []float64:
		copy(v[:], r)
	}
	for i := range v {
		v[i] = v[i]*k.scale - k.offset
	}
	g.left, g.top = v[0], v[1]
	w, h := v[2]-v[0], v[3]-v[1]
	if k.atLeastOne {
		w, h = max(w, 1), max(h, 1)
	}
	g.binHeight, g.binWidth = h/float64(k.height), w/float64(k.width)
	g.rows, g.cols = k.sampling, k.sampling
	if k.sampling == 0 {
		rows, cols := math.Ceil(g.binHeight), math.Ceil(g.binWidth)
		if !(rows <= 1<<14 && cols <= 1<<14) {
			return g, onnx.Errorf(onnx.ErrShape, "a region of %v by %v pixels, want bins of at most %d", h, w, 1<<14)
		}
		g.rows, g.cols = max(int(rows), 0), max(int(cols), 0)
	}
	return g, nil
}

// sample computes one bin of all channels, whose planes lie one behind the
// other in x; results lie step apart in y.
func (k *roiAlignKernel[T]) sample(c *Ctx, g roiGrid, bin int, s []int, x, y []T, step int) {
	plane := s[2] * s[3]
	first := true
	for iy := range g.rows {
		if c.Err() != nil {
			return
		}
		py := g.top + float64(bin/k.width)*g.binHeight + (float64(iy)+0.5)*g.binHeight/float64(g.rows)
		for ix := range g.cols {
			px := g.left + float64(bin%k.width)*g.binWidth + (float64(ix)+0.5)*g.binWidth/float64(g.cols)
			near, ok := corners(py, px, s[2], s[3])
			for ch := range s[1] {
				src := x[ch*plane:][:plane]
				dst := &y[ch*step]
				if !k.largest {
					if ok {
						v := 0.0
						for _, n := range near {
							v += n.w * float64(src[n.at])
						}
						*dst += T(v)
					}
					continue
				}
				v := 0.0
				if ok {
					v = math.Inf(-1)
					for _, n := range near {
						v = max(v, n.w*float64(src[n.at]))
					}
				}
				if first || T(v) > *dst {
					*dst = T(v)
				}
			}
			first = false
		}
	}
	if !k.largest {
		for ch := range s[1] {
			y[ch*step] /= T(max(g.rows*g.cols, 1))
		}
	}
}

// MaxRoiPool: rois is [regions, 5]: the item of the batch, then left, top,
// right and bottom, which are rounded to pixels. A bin without pixels is 0.

func pooledShape(n *Node) (h, w int64, err error) {
	p := n.Ints("pooled_shape")
	if len(p) != 2 {
		return 0, 0, onnx.Errorf(onnx.ErrShape, "pooled_shape is %v, want height and width", p)
	}
	return p[0], p[1], nil
}

func inferMaxRoiPool(n *Node) error {
	h, w, err := pooledShape(n)
	if err != nil {
		return err
	}
	return inferRois(n, n.Shape(1), 5, h, w)
}

func buildMaxRoiPool(n *Node) (Kernel, error) {
	h, w, err := pooledShape(n)
	scale := n.Float("spatial_scale", 1)
	if n.Elem(0) == onnx.Double {
		return &maxRoiPool[float64]{int(h), int(w), float64(scale)}, err
	}
	return &maxRoiPool[float32]{int(h), int(w), float64(scale)}, err
}

type maxRoiPool[T floating] struct {
	height, width int
	scale         float64
}

func (k *maxRoiPool[T]) Run(c *Ctx, in, _ []onnx.Value) error {
	xt, rt := in[0].(*onnx.Tensor), in[1].(*onnx.Tensor)
	s := xt.Shape()
	if len(s) != 4 || rt.Rank() != 2 || rt.Shape()[1] != 5 {
		return onnx.Errorf(onnx.ErrShape, "X is %v, rois is %v, want [batch channels height width] and [regions 5]", xt, rt)
	}
	x, err := readReal[T](c, xt)
	if err != nil {
		return err
	}
	rois, err := readReal[T](c, rt)
	if err != nil {
		return err
	}
	out, y, err := newReal[T](c, 0, xt.DataType(), []int{rt.Shape()[0], s[1], k.height, k.width})
	if err != nil || len(y) == 0 {
		return err
	}
	plane := s[2] * s[3]
	at := 0
	for r := range rt.Shape()[0] {
		roi := rois[5*r:][:5]
		item := int64(roi[0])
		if !(roi[0] >= 0) || item >= int64(s[0]) {
			return onnx.Errorf(onnx.ErrShape, "rois[%d] is in item %v, want 0..%d", r, roi[0], s[0]-1)
		}
		var edge [4]float64
		for i := range edge {
			edge[i] = math.Round(min(max(float64(roi[1+i])*k.scale, -maxWindow), maxWindow))
			if edge[i] != edge[i] {
				return onnx.Errorf(onnx.ErrShape, "rois[%d] is %v, want numbers", r, roi)
			}
		}
		for ch := range s[1] {
			if err := c.Err(); err != nil {
				return err
			}
			src := x[(int(item)*s[1]+ch)*plane:][:plane]
			for ph := range k.height {
				top, bottom := roiBin(ph, k.height, edge[1], edge[3], s[2])
				for pw := range k.width {
					left, right := roiBin(pw, k.width, edge[0], edge[2], s[3])
					v := T(math.Inf(-1))
					for i := top; i < bottom; i++ {
						for j := left; j < right; j++ {
							v = max(v, src[i*s[3]+j])
						}
					}
					if top >= bottom || left >= right {
						v = 0
					}
					y[at] = v
					at++
				}
			}
		}
	}
	return storeReal(c, out, y)
}

// roiBin gives the pixels lo..hi-1 of bin i of n between two edges.
func roiBin(i, n int, first, last float64, size int) (lo, hi int) {
	bin := max(last-first+1, 1) / float64(n)
	lo = int(math.Floor(float64(i)*bin) + first)
	hi = int(math.Ceil(float64(i+1)*bin) + first)
	return min(max(lo, 0), size), min(max(hi, 0), size)
}
