package ops

import (
	"math"
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(
		Op{Name: "Resize", Since: []int{10, 11, 13, 18, 19}, Infer: inferResize, Build: buildResize},
		Op{Name: "Upsample", Since: []int{1, 7, 9}, Infer: inferResize, Build: buildResize},
	)
}

// resize interpolates along each axis in turn. An output index x of an axis
// stands for a position in the input, by coordinate; the elements around it are
// weighed by the mode, and one outside the input is the nearest inside, or with
// excludeOutside does not count.
type resize struct {
	mode           string // nearest, linear or cubic
	coordinate     string
	rounding       string // of nearest: floor, ceil, round_prefer_floor, round_prefer_ceil, or simple
	cubic          float64
	excludeOutside bool
	antialias      bool
	extrapolation  float32
	policy         string // keep_aspect_ratio_policy
	axes           []int64
	scales         []float32 // of attributes; nil where they are an input
	scalesIn       int       // the inputs' places, -1 where there are none
	sizesIn, roiIn int
}

// simple rounds up where the axis shrinks, else down: what the versions did
// that had no nearest_mode.
const simple = "simple"

func readResize(n *Node) (r resize, err error) {
	r = resize{mode: n.Str("mode", "nearest"), coordinate: "asymmetric", rounding: simple, cubic: -0.75, policy: "stretch", scalesIn: 1, sizesIn: -1, roiIn: -1}
	upsample := n.Proto.OpType == "Upsample"
	switch {
	case upsample && n.Since == 1:
		r.scalesIn, r.scales = -1, []float32{1, 1, n.Float("height_scale", 1), n.Float("width_scale", 1)}
	case upsample && n.Since == 7:
		r.scalesIn, r.scales = -1, n.Floats("scales")
	case !upsample && n.Since >= 11:
		r.roiIn, r.scalesIn, r.sizesIn = 1, 2, 3
		r.coordinate = n.Str("coordinate_transformation_mode", "half_pixel")
		r.rounding = n.Str("nearest_mode", "round_prefer_floor")
		r.cubic = float64(n.Float("cubic_coeff_a", -0.75))
		r.excludeOutside = n.Bool("exclude_outside", false)
		r.extrapolation = n.Float("extrapolation_value", 0)
		if n.Since >= 18 {
			r.antialias = n.Bool("antialias", false)
			r.axes = n.Ints("axes")
			r.policy = n.Str("keep_aspect_ratio_policy", "stretch")
		}
	}
	if upsample && r.mode == "bilinear" {
		r.mode = "linear"
	}
	choices := []struct {
		name, value string
		of          []string
	}{
		{"mode", r.mode, []string{"nearest", "linear", "cubic"}},
		{"coordinate_transformation_mode", r.coordinate, []string{"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"}},
		{"nearest_mode", r.rounding, []string{"floor", "ceil", "round_prefer_floor", "round_prefer_ceil", simple}},
		{"keep_aspect_ratio_policy", r.policy, []string{"stretch", "not_larger", "not_smaller"}},
	}
	if n.Since < 11 {
		choices[0].of = choices[0].of[:2]
	}
	for _, c := range choices {
		if !slices.Contains(c.of, c.value) {
			return r, onnx.Errorf(onnx.ErrMalformed, "%s %q, want one of %q", c.name, c.value, c.of)
		}
	}
	if d := n.Elem(0); r.mode != "nearest" && (d == onnx.String || d == onnx.Bool) {
		return r, onnx.Errorf(onnx.ErrUnsupported, "mode %s for elements of %v: there is nothing between two of them", r.mode, d)
	}
	return r, n.Err()
}

func inferResize(n *Node) error {
	r, err := readResize(n)
	if err != nil {
		return err
	}
	x := n.Shape(0)
	if x == nil {
		n.SetTensor(0, n.Elem(0), nil)
		return nil
	}
	axes, err := r.along(len(x))
	if err != nil {
		return err
	}
	out := onnx.UnknownShape(len(x))
	for d := range x {
		if !slices.Contains(axes, d) {
			out[d] = x[d]
		}
	}
	n.SetTensor(0, n.Elem(0), out)
	scales := r.scales
	if t := n.Const(r.scalesIn); r.scalesIn >= 0 && t != nil && t.External() == nil {
		scales = onnx.Elements[float32](t)
	}
	if r.sizesIn >= 0 && n.Has(r.sizesIn) {
		return r.inferSizes(n, axes, out)
	}
	if len(scales) == 0 {
		return nil
	}
	if len(scales) != len(axes) {
		return onnx.Errorf(onnx.ErrShape, "scales has %d elements, want %d", len(scales), len(axes))
	}
	for i, d := range axes {
		switch {
		case scales[i] == 1:
			out[d] = x[d]
		case x[d].Known():
			size, err := scaled(x[d].Value, scales[i])
			if err != nil {
				return err
			}
			out[d] = onnx.Fixed(size)
		}
	}
	return nil
}

// inferSizes sets the dimensions that the sizes input gives.
func (r *resize) inferSizes(n *Node, axes []int, out onnx.Shape) error {
	c := n.Content(r.sizesIn)
	if c == nil || len(c.Elems) == 0 {
		return nil
	}
	if len(c.Elems) != len(axes) {
		return onnx.Errorf(onnx.ErrShape, "sizes has %d elements, want %d", len(c.Elems), len(axes))
	}
	if r.policy == "stretch" {
		for i, d := range axes {
			out[d] = c.Elems[i].Dim()
		}
		return nil
	}
	sizes, ok := c.Ints()
	in, known := n.Shape(0).Ints()
	if !ok || !known {
		return nil
	}
	p := resizePlan{out: slices.Clone(in), scale: make([]float32, len(in))}
	if err := p.bySizes(r, in, axes, sizes); err != nil {
		return err
	}
	for d, v := range p.out {
		out[d] = onnx.Fixed(v)
	}
	return nil
}

// along gives the axes that scales and sizes list, all of them by default.
func (r *resize) along(rank int) ([]int, error) {
	var axes []int
	if r.axes == nil {
		for d := range rank {
			axes = append(axes, d)
		}
		return axes, nil
	}
	for _, a := range r.axes {
		axis, err := Axis(a, rank)
		if err != nil {
			return nil, err
		}
		if slices.Contains(axes, axis) {
			return nil, onnx.Errorf(onnx.ErrShape, "axes %v name %d twice", r.axes, axis)
		}
		axes = append(axes, axis)
	}
	return axes, nil
}

// scaled is a size times a scale, rounded down.
func scaled(size int, scale float32) (int, error) {
	v := math.Floor(float64(float32(size) * scale))
	if !(scale > 0) || !(v < 1<<53) {
		return 0, onnx.Errorf(onnx.ErrShape, "scale %v of %d elements, want a positive number and a size that fits", scale, size)
	}
	return int(v), nil
}

// resizePlan is what a run works out: for each dimension the output's size, the
// scale, and the length of the resized axis that the formulas of the
// coordinates use, which need not be a whole number.
type resizePlan struct {
	out        []int
	scale      []float32
	length     []float32
	start, end []float64 // the region of tf_crop_and_resize
}

func (p *resizePlan) bySizes(r *resize, in, axes []int, sizes []int64) error {
	if len(sizes) != len(axes) {
		return onnx.Errorf(onnx.ErrShape, "sizes has %d elements, want %d", len(sizes), len(axes))
	}
	best := math.Inf(1)
	if r.policy == "not_smaller" {
		best = 0
	}
	for i, d := range axes {
		if sizes[i] < 0 || sizes[i] >= 1<<53 || in[d] == 0 && sizes[i] != 0 {
			return onnx.Errorf(onnx.ErrShape, "sizes[%d] is %d for %d elements", i, sizes[i], in[d])
		}
		p.out[d], p.scale[d] = int(sizes[i]), 1
		if in[d] > 0 {
			s := float64(sizes[i]) / float64(in[d])
			p.scale[d] = float32(s)
			if r.policy == "not_smaller" {
				best = max(best, s)
			} else {
				best = min(best, s)
			}
		}
	}
	if r.policy == "stretch" || math.IsInf(best, 1) {
		return nil
	}
	for _, d := range axes {
		v := math.Floor(best*float64(in[d]) + 0.5)
		if v >= 1<<53 {
			return onnx.Errorf(onnx.ErrShape, "sizes %v of %v elements do not fit", sizes, in)
		}
		p.out[d], p.scale[d] = int(v), float32(best)
	}
	return nil
}

// plan works out sizes and scales of a run.
func (r *resize) plan(c *Ctx, x *onnx.Tensor, in []onnx.Value) (*resizePlan, error) {
	shape := x.Shape()
	axes, err := r.along(len(shape))
	if err != nil {
		return nil, err
	}
	p := &resizePlan{out: slices.Clone(shape), scale: make([]float32, len(shape)), length: make([]float32, len(shape)), start: make([]float64, len(shape)), end: make([]float64, len(shape))}
	for d := range shape {
		p.scale[d], p.end[d] = 1, 1
	}
	scales := r.scales
	if r.scalesIn >= 0 {
		if t := tensorIn(in, r.scalesIn); t != nil {
			scales = onnx.Elements[float32](t)
		}
	}
	var sizes []int64
	if r.sizesIn >= 0 {
		if t := tensorIn(in, r.sizesIn); t != nil {
			sizes = onnx.Elements[int64](t)
		}
	}
	switch {
	case len(sizes) > 0 && len(scales) > 0:
		return nil, onnx.Errorf(onnx.ErrMalformed, "both scales and sizes are given, want one of them")
	case len(sizes) > 0:
		if err := p.bySizes(r, shape, axes, sizes); err != nil {
			return nil, err
		}
		for d, n := range p.out {
			if p.length[d] = float32(n); r.policy != "stretch" {
				p.length[d] = p.scale[d] * float32(shape[d])
			}
		}
	case len(scales) != len(axes):
		return nil, onnx.Errorf(onnx.ErrShape, "scales has %d elements, want %d", len(scales), len(axes))
	default:
		for i, d := range axes {
			if p.out[d], err = scaled(shape[d], scales[i]); err != nil {
				return nil, err
			}
			p.scale[d] = scales[i]
		}
		for d, n := range shape {
			p.length[d] = p.scale[d] * float32(n)
		}
	}
	if r.coordinate != "tf_crop_and_resize" {
		return p, nil
	}
	t := tensorIn(in, r.roiIn)
	if t == nil || t.Rank() != 1 || t.Len() != 2*len(axes) {
		return nil, onnx.Errorf(onnx.ErrShape, "roi is %v, want [%d] for tf_crop_and_resize", describeTensor(t), 2*len(axes))
	}
	roi, err := readReal[float64](c, t)
	if err != nil {
		return nil, err
	}
	for i, d := range axes {
		p.start[d], p.end[d] = roi[i], roi[len(axes)+i]
	}
	return p, nil
}

func describeTensor(t *onnx.Tensor) any {
	if t == nil {
		return "absent"
	}
	return t
}

// keeps reports whether dimension d of the given size stays as it is.
func (r *resize) keeps(p *resizePlan, d, size int) bool {
	return r.coordinate != "tf_half_pixel_for_nn" && p.out[d] == size && p.scale[d] == 1 && p.start[d] == 0 && p.end[d] == 1
}

// position gives the input position of output index x in dimension d. The
// arithmetic is float32's: whole positions come out whole where the scale is
// the nearest float32.
func (r *resize) position(p *resizePlan, d, size, x int) float64 {
	scale, length, n, i := p.scale[d], p.length[d], float32(size), float32(x)
	switch r.coordinate {
	case "asymmetric":
		return float64(i / scale)
	case "align_corners":
		if length == 1 {
			return 0
		}
		return float64(float32(i*(n-1)) / (length - 1))
	case "pytorch_half_pixel":
		if p.out[d] <= 1 {
			return 0
		}
	case "tf_half_pixel_for_nn":
		return float64((i + 0.5) / scale)
	case "half_pixel_symmetric":
		adjustment := float32(p.out[d]) / (scale * n)
		offset := n / 2 * (1 - adjustment)
		return float64(offset + float32((i+0.5)/scale) - 0.5)
	case "tf_crop_and_resize":
		last := float64(size - 1)
		if p.out[d] <= 1 {
			return 0.5 * (p.start[d] + p.end[d]) * last
		}
		return p.start[d]*last + float64(x)*(p.end[d]-p.start[d])*last/float64(p.out[d]-1)
	}
	return float64(float32((i+0.5)/scale) - 0.5)
}

// nearest gives the input index for a position.
func (r *resize) nearest(at float64, scale float32, size int) int {
	switch r.rounding {
	case "floor":
		at = math.Floor(at)
	case "ceil":
		at = math.Ceil(at)
	case "round_prefer_floor":
		at = math.Ceil(at - 0.5)
	case "round_prefer_ceil":
		at = math.Floor(at + 0.5)
	default:
		if scale < 1 {
			at = math.Ceil(at)
		} else {
			at = math.Floor(at)
		}
	}
	return int(min(max(at, 0), float64(size-1)))
}

// taps are the input elements that an output index of an axis weighs.
type taps struct {
	count   int
	index   []int     // count for each output index, clamped to the input
	weight  []float64 // as many
	outside []bool    // for each output index: extrapolated
}

// maxTaps bounds the elements that an antialiasing filter weighs in all.
const maxTaps = 1 << 28

// axisTaps works out the taps of dimension d.
func (r *resize) axisTaps(c *Ctx, p *resizePlan, d, size int) (*taps, error) {
	reach := 1.0 // of the filter, to either side
	if r.mode == "cubic" {
		reach = 2
	}
	squeeze := 1.0
	if r.antialias {
		squeeze = min(float64(p.scale[d]), 1)
	}
	first := int(math.Floor(-reach/squeeze)) + 1
	t := &taps{count: 2 - 2*first}
	if first < -maxWindow || p.out[d] > 0 && t.count > maxTaps/p.out[d] {
		return nil, onnx.Errorf(onnx.ErrShape, "dimension %d: an antialiasing filter of %d elements for each of %d outputs", d, t.count, p.out[d])
	}
	if _, err := Scratch[int64](c, 2*t.count*p.out[d]); err != nil { // charged: the lists are as long
		return nil, err
	}
	t.index, t.weight = make([]int, t.count*p.out[d]), make([]float64, t.count*p.out[d])
	t.outside = make([]bool, p.out[d])
	for x := range p.out[d] {
		at := r.position(p, d, size, x)
		if t.outside[x] = r.outside(at, size); t.outside[x] {
			continue
		}
		base := math.Floor(at)
		sum := 0.0
		for k := range t.count {
			i := base + float64(first+k)
			w := r.filter((i - at) * squeeze)
			if r.excludeOutside && (i < 0 || i >= float64(size)) {
				w = 0
			}
			t.index[x*t.count+k] = int(min(max(i, 0), float64(size-1)))
			t.weight[x*t.count+k] = w
			sum += w
		}
		if r.excludeOutside || r.antialias {
			for k := range t.count {
				t.weight[x*t.count+k] /= sum
			}
		}
	}
	return t, nil
}

// filter is the weight of an element at a distance.
func (r *resize) filter(x float64) float64 {
	x = math.Abs(x)
	a := r.cubic
	switch {
	case r.mode == "linear":
		return max(1-x, 0)
	case x <= 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return ((a*x-5*a)*x+8*a)*x - 4*a
	}
	return 0
}

func buildResize(n *Node) (Kernel, error) {
	r, err := readResize(n)
	if err != nil {
		return nil, err
	}
	for _, i := range []int{r.scalesIn, r.sizesIn, r.roiIn} {
		if i >= 0 {
			n.Has(i)
		}
	}
	return &r, nil
}

func (r *resize) Run(c *Ctx, in, _ []onnx.Value) error {
	x := in[0].(*onnx.Tensor)
	p, err := r.plan(c, x, in)
	if err != nil {
		return err
	}
	t, err := c.New(0, x.DataType(), p.out)
	if err != nil || t.Len() == 0 {
		return err
	}
	if x.Len() == 0 {
		return onnx.Errorf(onnx.ErrShape, "X is %v, which has no elements to make %v of", x, t)
	}
	if r.mode == "nearest" {
		return r.pick(c, p, t, x)
	}
	return r.interpolate(c, p, t, x)
}

// pick copies the nearest elements.
func (r *resize) pick(c *Ctx, p *resizePlan, t, x *onnx.Tensor) error {
	index := make([][]int, x.Rank())
	step := 1
	for d := x.Rank() - 1; d >= 0; d-- {
		size := x.Shape()[d]
		if _, err := Scratch[int64](c, p.out[d]); err != nil { // charged: the list is as long
			return err
		}
		index[d] = make([]int, p.out[d])
		for i := range index[d] {
			switch at := r.position(p, d, size, i); {
			case r.keeps(p, d, size):
				index[d][i] = i * step
			case r.outside(at, size):
				index[d][i] = -1
			default:
				index[d][i] = r.nearest(at, p.scale[d], size) * step
			}
		}
		step *= size
	}
	switch d := x.DataType(); d.Size() {
	case 0:
		pickElements(onnx.Elements[string](t), x, index, "")
	case 1:
		pickElements(onnx.Elements[uint8](t), x, index, fillBits[uint8](d, r.extrapolation))
	case 2:
		pickElements(onnx.Elements[uint16](t), x, index, fillBits[uint16](d, r.extrapolation))
	case 4:
		pickElements(onnx.Elements[uint32](t), x, index, fillBits[uint32](d, r.extrapolation))
	case 8:
		pickElements(onnx.Elements[uint64](t), x, index, fillBits[uint64](d, r.extrapolation))
	case 16:
		pickElements(onnx.Elements[complex128](t), x, index, complex(float64(r.extrapolation), 0))
	}
	return c.Err()
}

func pickElements[T onnx.Element](dst []T, x *onnx.Tensor, index [][]int, fill T) {
	kernel.Pick(dst, onnx.Elements[T](x), index, fill)
}

// fillBits gives the bits of a number as an element of the type.
func fillBits[T uint8 | uint16 | uint32 | uint64](d onnx.DataType, v float32) T {
	t, err := onnx.NewZeros(d, nil)
	if err != nil {
		return 0
	}
	if io, ok := realIO[d]; ok {
		var parts [2]float64
		parts[0] = float64(v)
		io.store(t, parts[:io.parts])
	} else if d == onnx.Bool {
		onnx.Elements[bool](t)[0] = v != 0
	}
	return onnx.Elements[T](t)[0]
}

// outside reports whether a position of tf_crop_and_resize is extrapolated.
func (r *resize) outside(at float64, size int) bool {
	return r.coordinate == "tf_crop_and_resize" && !(at >= 0 && at <= float64(size-1))
}

// interpolate weighs elements axis by axis, in float64.
func (r *resize) interpolate(c *Ctx, p *resizePlan, t, x *onnx.Tensor) error {
	io := realIO[x.DataType()]
	cur, err := Scratch[float64](c, io.parts*x.Len())
	if err != nil {
		return err
	}
	io.load(cur, x)
	sizes := slices.Clone(x.Shape())
	outside := make([][]bool, len(sizes))
	for d, size := range sizes {
		if r.keeps(p, d, size) {
			continue
		}
		ts, err := r.axisTaps(c, p, d, size)
		if err != nil {
			return err
		}
		outside[d] = ts.outside
		outer, inner := 1, io.parts
		for _, n := range sizes[:d] {
			outer *= n
		}
		for _, n := range sizes[d+1:] {
			inner *= n
		}
		n, err := onnx.NumElements([]int{outer, p.out[d], inner})
		if err != nil {
			return err
		}
		next, err := Scratch[float64](c, n)
		if err != nil {
			return err
		}
		if err := ts.apply(c, next, cur, outer, size, inner); err != nil {
			return err
		}
		sizes[d], cur = p.out[d], next
	}
	if r.coordinate == "tf_crop_and_resize" {
		pos := make([]int, len(sizes))
		for i := range t.Len() {
			split(pos, sizes, i)
			for d, at := range pos {
				if outside[d] != nil && outside[d][at] {
					cur[i*io.parts] = float64(r.extrapolation)
					clear(cur[i*io.parts+1 : (i+1)*io.parts])
					break
				}
			}
		}
	}
	io.store(t, cur)
	return nil
}

// apply weighs along the middle one of three dimensions.
func (t *taps) apply(c *Ctx, dst, src []float64, outer, size, inner int) error {
	n := len(t.outside)
	for o := range outer {
		for i := range n {
			if i%64 == 0 {
				if err := c.Err(); err != nil {
					return err
				}
			}
			row := dst[(o*n+i)*inner:][:inner]
			clear(row)
			for q, w := range t.weight[i*t.count:][:t.count] {
				if w != 0 {
					kernel.AddScaled(row, src[(o*size+t.index[i*t.count+q])*inner:][:inner], 1, w)
				}
			}
		}
	}
	return nil
}
