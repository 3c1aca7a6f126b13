package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(
		Op{Name: "LayerNormalization", Since: []int{17}, Infer: inferLayerNorm, Build: buildLayerNorm},
		Op{Name: "RMSNormalization", Since: []int{23}, Infer: inferRMSNorm, Build: buildRMSNorm},
		Op{Name: "InstanceNormalization", Since: []int{1, 6, 22}, Infer: inferInstanceNorm, Build: buildInstanceNorm},
		Op{Name: "GroupNormalization", Since: []int{21}, Infer: inferGroupNorm, Build: buildGroupNorm},
		Op{Name: "MeanVarianceNormalization", Since: []int{9, 13}, Infer: inferMVN, Build: buildMVN},
		Op{Name: "LpNormalization", Since: []int{1, 22}, Infer: inferLpNorm, Build: buildLpNorm},
		Op{Name: "LRN", Since: []int{1, 13}, Infer: inferLRN, Build: buildLRN},
	)
}

// Sums over elements run in float64, whatever the type.

// sameShape infers an output of the first input's type and shape.
func sameShape(n *Node) { n.SetTensor(0, n.Elem(0), n.Shape(0)) }

// stashType reads the type that a normalization's sums are to have at least:
// they have more than any.
func stashType(n *Node) (onnx.DataType, error) {
	d := onnx.DataType(n.Int("stash_type", 1))
	if !d.IsFloat() {
		return d, onnx.Errorf(onnx.ErrType, "stash_type is %v, want a floating-point type", d)
	}
	return d, nil
}

// rowNorm brings runs of consecutive elements to mean 0 and variance 1, or with
// rms set, to a mean square of 1, and scales them:
//
//	y = (x - mean) / sqrt(variance + epsilon) * scale + bias
type rowNorm struct {
	eps         float64
	rms         bool
	x, y        onnx.DataType
	stash       onnx.DataType // of outputs 1 and 2, mean and 1/sqrt(variance + epsilon)
	axis        int64         // of a layer normalization
	groups      int64         // of a group normalization; 0: each channel is a group
	channelwise bool          // scale and bias have an element for each channel
	level       Level
}

// zeroth is the list of input 0.
var zeroth = [...]int{0}

type rowNormKernel[T floating] struct{ rowNorm }

func newRowNorm(n *Node, r rowNorm) Kernel {
	r.x, r.level = n.Elem(0), n.Level()
	if r.y == onnx.Undefined {
		r.y = r.x
	}
	if anyDouble(n) {
		return &rowNormKernel[float64]{r}
	}
	return &rowNormKernel[float32]{r}
}

// rowNormLocal is a normalization while it runs, kept for a frame.
type rowNormLocal[T floating] struct {
	k           *rowNorm
	x, y        []T
	scale, bias []T // bias may be nil
	mean, inv   []T // nil where not wanted
	size        int // of a run
	rows        int // runs
	period      int // elements after which scale and bias repeat
	plane       int // elements of a channel; 0 where scale and bias go by element
	stat        []int
	job         func(lo, hi int)
}

func (k *rowNormKernel[T]) Run(c *Ctx, in, out []onnx.Value) error {
	xt, scale, bias := in[0].(*onnx.Tensor), in[1].(*onnx.Tensor), tensorIn(in, 2)
	loc := Local[rowNormLocal[T]](c)
	loc.k = &k.rowNorm
	var err error
	if k.channelwise {
		err = loc.byChannel(c, xt, scale, bias)
	} else {
		err = loc.byElement(c, xt, scale, bias)
	}
	if err != nil {
		return err
	}
	if loc.x, err = readReal[T](c, xt); err != nil {
		return err
	}
	var stats [2]*onnx.Tensor
	for i, dst := range []*[]T{&loc.mean, &loc.inv} {
		if *dst = nil; 1+i < len(out) && c.Wants(1+i) {
			if stats[i], *dst, err = newReal[T](c, 1+i, k.stash, loc.stat); err != nil {
				return err
			}
		}
	}
	var over []int // a row is written after it is read, but scale and bias serve all rows
	if in[0] != in[1] && (bias == nil || in[0] != in[2]) {
		over = zeroth[:]
	}
	t, y, err := newReal[T](c, 0, k.y, xt.Shape(), over...)
	if err != nil {
		return err
	}
	loc.y = y
	if loc.job == nil {
		loc.job = loc.doRows
	}
	if len(y) == 0 && loc.mean == nil && loc.inv == nil {
		loc.rows = 0 // it may be a product that does not fit an int
	}
	c.Parallel(loc.rows, grainOf(8*loc.size), loc.job)
	for i, s := range [][]T{loc.mean, loc.inv} {
		if stats[i] != nil {
			if err := storeReal(c, stats[i], s); err != nil {
				return err
			}
		}
	}
	loc.x, loc.y, loc.scale, loc.bias, loc.mean, loc.inv = nil, nil, nil, nil, nil, nil
	return storeReal(c, t, y)
}

// byElement lays a layer's runs: the dimensions from axis on. Scale and bias
// are broadcast to x.
func (l *rowNormLocal[T]) byElement(c *Ctx, x, scale, bias *onnx.Tensor) error {
	axis, err := Axis(l.k.axis, x.Rank())
	if err != nil {
		return err
	}
	l.plane, l.size, l.rows = 0, 1, 1
	l.stat = append(l.stat[:0], x.Shape()...)
	for d, n := range x.Shape() {
		if d < axis {
			l.rows *= n
		} else {
			l.size *= n
			l.stat[d] = 1
		}
	}
	l.period = l.size
	inner := x.Shape()[axis:]
	for _, t := range []*onnx.Tensor{scale, bias} {
		if t != nil && significant(t.Shape()) > len(inner) {
			l.period, inner = x.Len(), x.Shape()
		}
	}
	if l.scale, err = expanded[T](c, scale, inner, "scale"); err != nil {
		return err
	}
	if l.bias = nil; bias != nil {
		l.bias, err = expanded[T](c, bias, inner, "bias")
	}
	return err
}

// significant is the rank of a shape without leading ones.
func significant(s []int) int {
	for len(s) > 0 && s[0] == 1 {
		s = s[1:]
	}
	return len(s)
}

// expanded broadcasts a tensor to a shape: its elements as they lie where it
// has that shape, else a copy.
func expanded[T floating](c *Ctx, t *onnx.Tensor, shape []int, name string) ([]T, error) {
	src, err := readReal[T](c, t)
	if err != nil {
		return nil, err
	}
	s := t.Shape()
	s = s[len(s)-significant(s):]
	if len(s) > len(shape) {
		return nil, onnx.Errorf(onnx.ErrShape, "%s is %v, which cannot be broadcast to %v", name, t, append([]int(nil), shape...))
	}
	same := len(s) == len(shape)
	for i, d := range s {
		want := shape[len(shape)-len(s)+i]
		if d != want && d != 1 {
			return nil, onnx.Errorf(onnx.ErrShape, "%s is %v, which cannot be broadcast to %v", name, t, append([]int(nil), shape...))
		}
		same = same && d == want
	}
	n, err := onnx.NumElements(shape)
	if err != nil || same || n == len(src) {
		return src, err
	}
	dst, err := Scratch[T](c, n)
	if err != nil {
		return nil, err
	}
	for i := range dst {
		at, step, rest := 0, 1, i
		for d := len(s) - 1; d >= 0; d-- {
			w := shape[len(shape)-len(s)+d]
			if s[d] != 1 {
				at += rest % w * step
			}
			step *= s[d]
			rest /= w
		}
		dst[i] = src[at]
	}
	return dst, nil
}

// byChannel lays the runs of an instance or group normalization: a channel or
// a group of channels of an item.
func (l *rowNormLocal[T]) byChannel(c *Ctx, x, scale, bias *onnx.Tensor) error {
	s := x.Shape()
	if len(s) < 2 {
		return onnx.Errorf(onnx.ErrShape, "X is %v, want [batch, channels, ...]", x)
	}
	groups := s[1]
	if l.k.groups != 0 {
		if l.k.groups < 0 || l.k.groups > int64(maxWindow) || s[1]%int(l.k.groups) != 0 {
			return onnx.Errorf(onnx.ErrShape, "X is %v, want a number of channels that is a multiple of num_groups, %d", x, l.k.groups)
		}
		groups = int(l.k.groups)
	}
	for _, t := range []*onnx.Tensor{scale, bias} {
		if t.Rank() != 1 || t.Len() != s[1] {
			return onnx.Errorf(onnx.ErrShape, "scale and bias: one is %v, want [%d] for X %v", t, s[1], x)
		}
	}
	var err error
	if l.scale, err = readReal[T](c, scale); err != nil {
		return err
	}
	if l.bias, err = readReal[T](c, bias); err != nil {
		return err
	}
	if l.rows, l.size = 0, 0; x.Len() == 0 {
		return nil
	}
	l.rows = s[0] * groups
	l.size = x.Len() / l.rows
	l.plane = l.size / (s[1] / groups)
	l.period = s[1]
	return nil
}

func (l *rowNormLocal[T]) doRows(lo, hi int) {
	if f, ok := any(l).(*rowNormLocal[float32]); ok {
		normalizeRows(f, lo, hi)
		return
	}
	for r := lo; r < hi; r++ {
		x, y := l.x[r*l.size:][:l.size], l.y[r*l.size:][:l.size]
		mean, variance := 0.0, 0.0
		if l.k.rms {
			variance = kernel.SumSquares(x, 0) / float64(len(x))
		} else {
			mean, variance = kernel.Moments(x)
		}
		inv := 1 / math.Sqrt(variance+l.k.eps)
		if l.mean != nil {
			l.mean[r] = T(mean)
		}
		if l.inv != nil {
			l.inv[r] = T(inv)
		}
		kernel.Standardize(y, x, T(mean), T(inv))
		if l.plane > 0 {
			for p := 0; p < l.size; p += l.plane {
				ch := (r*l.size + p) / l.plane % l.period
				kernel.Affine(y[p:p+l.plane], y[p:], l.scale[ch], l.bias[ch])
			}
			continue
		}
		at := r * l.size % max(l.period, 1)
		if l.bias == nil {
			kernel.Mul(y, y, l.scale[at:][:l.size])
		} else {
			kernel.AffineRows(y, y, l.scale[at:], l.bias[at:])
		}
	}
}

// normalizeRows is doRows of float32, in which levels have vectors: as many rows
// at a time as stay in the cache.
func normalizeRows(l *rowNormLocal[float32], lo, hi int) {
	var mean, variance [kernel.RowsMost]float64
	var mean32, inv32 [kernel.RowsMost]float32
	rows := cachedRows(l.size)
	if l.plane == 0 && l.period != l.size {
		rows = 1 // each row has its own part of scale and bias
	}
	for ; lo < hi; lo += rows {
		k := min(rows, hi-lo)
		x, y := l.x[lo*l.size:][:k*l.size], l.y[lo*l.size:][:k*l.size]
		if l.k.rms {
			kernel.SumRows(l.k.level, kernel.Square, variance[:k], x, l.size, nil)
			for r := range variance[:k] {
				variance[r] /= float64(l.size)
			}
		} else {
			kernel.MomentsRows(l.k.level, mean[:k], variance[:k], x, l.size)
		}
		for r, v := range variance[:k] {
			mean32[r], inv32[r] = float32(mean[r]), float32(1/math.Sqrt(v+l.k.eps))
		}
		if l.mean != nil {
			copy(l.mean[lo:], mean32[:k])
		}
		if l.inv != nil {
			copy(l.inv[lo:], inv32[:k])
		}
		if l.plane > 0 {
			normalizePlanes(l, y, x, lo, mean32[:k], inv32[:k])
			continue
		}
		at := lo * l.size % max(l.period, 1)
		var bias []float32
		if l.bias != nil {
			bias = l.bias[at:]
		}
		kernel.NormRows(l.k.level, y, x, l.size, mean32[:k], inv32[:k], l.scale[at:], bias)
	}
}

// normalizePlanes normalizes rows, of which the first is row lo, whose scale and
// bias go by channel: plane by plane.
func normalizePlanes(l *rowNormLocal[float32], y, x []float32, lo int, mean, inv []float32) {
	var m, f, scale, bias [kernel.RowsMost]float32
	each := l.size / l.plane // planes of a row
	n := len(mean) * each
	for p := 0; p < n; {
		k := min(n-p, kernel.RowsMost)
		for i := range k {
			ch := (lo*each + p + i) % l.period
			m[i], f[i] = mean[(p+i)/each], inv[(p+i)/each]
			scale[i], bias[i] = l.scale[ch], l.bias[ch]
		}
		kernel.NormChannels(l.k.level, y[p*l.plane:], x[p*l.plane:], l.plane, m[:k], f[:k], scale[:k], bias[:k])
		p += k
	}
}

func inferLayerNorm(n *Node) error {
	sameShape(n)
	stash, err := stashType(n)
	if err != nil {
		return err
	}
	shape := n.Shape(0).Clone()
	if shape != nil {
		axis, err := Axis(n.Int("axis", -1), len(shape))
		if err != nil {
			return err
		}
		for d := axis; d < len(shape); d++ {
			shape[d] = onnx.Fixed(1)
		}
	}
	n.SetTensor(1, stash, shape)
	n.SetTensor(2, stash, shape)
	return broadcastsTo(n, 1, 2)
}

// broadcastsTo fails where inputs certainly do not broadcast to the first one.
func broadcastsTo(n *Node, inputs ...int) error {
	x := n.Shape(0)
	for _, i := range inputs {
		s := n.Shape(i)
		if x == nil || s == nil {
			continue
		}
		for len(s) > len(x) && s[0].Known() && s[0].Value == 1 {
			s = s[1:]
		}
		bad := len(s) > len(x)
		for k := 0; k < len(s) && !bad; k++ {
			d, o := s[k], x[len(x)-len(s)+k]
			bad = d.Known() && o.Known() && d.Value != 1 && d.Value != o.Value
		}
		if bad && len(s) > len(x) && !s[0].Known() {
			bad = false
		}
		if bad {
			return onnx.Errorf(onnx.ErrShape, "%s is %v, which cannot be broadcast to %v", n.formal(i, true), n.Shape(i), x)
		}
	}
	return nil
}

func buildLayerNorm(n *Node) (Kernel, error) {
	stash, err := stashType(n)
	n.Has(2)
	n.Wants(1)
	n.Wants(2)
	return newRowNorm(n, rowNorm{eps: float64(n.Float("epsilon", 1e-5)), axis: n.Int("axis", -1), stash: stash}), err
}

func inferRMSNorm(n *Node) error {
	n.SetTensor(0, n.Elem(1), n.Shape(0))
	if s := n.Shape(0); s != nil {
		if _, err := Axis(n.Int("axis", -1), len(s)); err != nil {
			return err
		}
	}
	return broadcastsTo(n, 1)
}

func buildRMSNorm(n *Node) (Kernel, error) {
	_, err := stashType(n)
	return newRowNorm(n, rowNorm{eps: float64(n.Float("epsilon", 1e-5)), axis: n.Int("axis", -1), rms: true, y: n.Elem(1)}), err
}

// inferChannels infers a normalization whose scale and bias go by channel.
func inferChannels(n *Node) error {
	sameShape(n)
	x := n.Shape(0)
	if x != nil && len(x) < 2 {
		return onnx.Errorf(onnx.ErrShape, "X is %v, want [batch, channels, ...]", x)
	}
	for i := 1; i <= 2; i++ {
		s := n.Shape(i)
		if s != nil && (len(s) != 1 || x != nil && s[0].Known() && x[1].Known() && s[0].Value != x[1].Value) {
			return onnx.Errorf(onnx.ErrShape, "%s is %v, want one element for each channel of X %v", n.formal(i, true), s, x)
		}
	}
	return nil
}

func inferInstanceNorm(n *Node) error { return inferChannels(n) }

func buildInstanceNorm(n *Node) (Kernel, error) {
	if n.Since == 1 {
		n.Ints("consumed_inputs")
	}
	return newRowNorm(n, rowNorm{eps: float64(n.Float("epsilon", 1e-5)), channelwise: true}), nil
}

func inferGroupNorm(n *Node) error {
	g := n.Int("num_groups", 0)
	if x := n.Shape(0); g < 1 || len(x) > 1 && x[1].Known() && int64(x[1].Value)%g != 0 {
		return onnx.Errorf(onnx.ErrShape, "num_groups is %d, want a divisor of the channels of X %v", g, x)
	}
	return inferChannels(n)
}

func buildGroupNorm(n *Node) (Kernel, error) {
	_, err := stashType(n)
	return newRowNorm(n, rowNorm{eps: float64(n.Float("epsilon", 1e-5)), channelwise: true, groups: n.Int("num_groups", 0)}), err
}

// MeanVarianceNormalization: (X - mean) / (sqrt(variance) + 1e-9), over axes.

func mvnAxes(n *Node) []int64 {
	if a := n.Ints("axes"); a != nil {
		return a
	}
	return []int64{0, 2, 3}
}

func inferMVN(n *Node) error {
	sameShape(n)
	if s := n.Shape(0); s != nil {
		for _, a := range mvnAxes(n) {
			if _, err := Axis(a, len(s)); err != nil {
				return err
			}
		}
	}
	return nil
}

func buildMVN(n *Node) (Kernel, error) {
	axes, elem := mvnAxes(n), n.Elem(0)
	if elem == onnx.Double {
		return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error { return runMVN[float64](c, in[0].(*onnx.Tensor), axes) }), nil
	}
	return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error { return runMVN[float32](c, in[0].(*onnx.Tensor), axes) }), nil
}

func runMVN[T floating](c *Ctx, t *onnx.Tensor, axes []int64) error {
	shape := t.Shape()
	step := make([]int, len(shape)) // of an element's group, 0 along axes
	for i := range step {
		step[i] = 1
	}
	for _, a := range axes {
		axis, err := Axis(a, len(shape))
		if err != nil {
			return err
		}
		step[axis] = 0
	}
	groups := 1
	for d := len(shape) - 1; d >= 0; d-- {
		if step[d] != 0 {
			step[d] = groups
			groups *= shape[d]
		}
	}
	x, err := readReal[T](c, t)
	if err != nil {
		return err
	}
	out, y, err := newReal[T](c, 0, t.DataType(), shape)
	if err != nil || len(x) == 0 {
		return err
	}
	mean, err := Scratch[float64](c, groups)
	if err != nil {
		return err
	}
	dev, err := Scratch[float64](c, groups)
	if err != nil {
		return err
	}
	clear(mean)
	clear(dev)
	count := float64(len(x) / groups)
	w := groupWalk{shape: shape, step: step, pos: make([]int, len(shape))}
	w.walk(func(i, g int) { mean[g] += float64(x[i]) })
	for g := range mean {
		mean[g] /= count
	}
	if err := c.Err(); err != nil {
		return err
	}
	w.walk(func(i, g int) { d := float64(x[i]) - mean[g]; dev[g] += d * d })
	for g := range dev {
		dev[g] = 1 / (math.Sqrt(dev[g]/count) + 1e-9)
	}
	w.walk(func(i, g int) { y[i] = T((float64(x[i]) - mean[g]) * dev[g]) })
	return storeReal(c, out, y)
}

// groupWalk goes over the elements of a tensor along with the number of the
// group that each belongs to: the sum of its indices times step.
type groupWalk struct {
	shape, step, pos []int
}

func (w *groupWalk) walk(f func(i, group int)) {
	clear(w.pos)
	g := 0
	for i := range elements(w.shape) {
		f(i, g)
		for d := len(w.pos) - 1; d >= 0; d-- {
			w.pos[d]++
			g += w.step[d]
			if w.pos[d] < w.shape[d] {
				break
			}
			g -= w.pos[d] * w.step[d]
			w.pos[d] = 0
		}
	}
}

// LpNormalization: X / (sum of |X|^p)^(1/p) along an axis; zeros stay zeros.

func inferLpNorm(n *Node) error {
	sameShape(n)
	if s := n.Shape(0); s != nil {
		_, err := Axis(n.Int("axis", -1), len(s))
		return err
	}
	return nil
}

func buildLpNorm(n *Node) (Kernel, error) {
	axis, p := n.Int("axis", -1), n.Int("p", 2)
	if p != 1 && p != 2 {
		return nil, onnx.Errorf(onnx.ErrMalformed, "p is %d, want 1 or 2", p)
	}
	if n.Elem(0) == onnx.Double {
		return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error {
			return runLpNorm[float64](c, in[0].(*onnx.Tensor), axis, float64(p))
		}), nil
	}
	return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error {
		return runLpNorm[float32](c, in[0].(*onnx.Tensor), axis, float64(p))
	}), nil
}

func runLpNorm[T floating](c *Ctx, t *onnx.Tensor, a int64, p float64) error {
	axis, err := Axis(a, t.Rank())
	if err != nil {
		return err
	}
	x, err := readReal[T](c, t)
	if err != nil {
		return err
	}
	out, y, err := newReal[T](c, 0, t.DataType(), t.Shape(), 0)
	if err != nil || len(x) == 0 {
		return err
	}
	_, n, inner := split3(t.Shape(), axis)
	for o := 0; o < len(x); o += n * inner {
		if err := c.Err(); err != nil {
			return err
		}
		for i := o; i < o+inner; i++ {
			norm := kernel.Root(kernel.SumPowers(x[i:], inner, n, p), p)
			if norm == 0 {
				norm = 1
			}
			for k := range n {
				y[i+k*inner] = T(float64(x[i+k*inner]) / norm)
			}
		}
	}
	return storeReal(c, out, y)
}

// LRN: X / (bias + alpha/size * sum of X^2 over size neighbouring channels)^beta.

func inferLRN(n *Node) error {
	sameShape(n)
	if s := n.Shape(0); s != nil && len(s) < 2 {
		return onnx.Errorf(onnx.ErrShape, "X is %v, want [batch, channels, ...]", s)
	}
	if size := n.Int("size", 0); size < 1 || size > maxWindow {
		return onnx.Errorf(onnx.ErrShape, "size is %d, want 1 or more", size)
	}
	return nil
}

type lrn struct {
	size              int
	alpha, beta, bias float64
}

func buildLRN(n *Node) (Kernel, error) {
	l := lrn{int(n.Int("size", 0)), float64(n.Float("alpha", 1e-4)), float64(n.Float("beta", 0.75)), float64(n.Float("bias", 1))}
	if n.Elem(0) == onnx.Double {
		return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error { return runLRN[float64](c, &l, in[0].(*onnx.Tensor)) }), nil
	}
	return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error { return runLRN[float32](c, &l, in[0].(*onnx.Tensor)) }), nil
}

func runLRN[T floating](c *Ctx, l *lrn, t *onnx.Tensor) error {
	s := t.Shape()
	if len(s) < 2 {
		return onnx.Errorf(onnx.ErrShape, "X is %v, want [batch, channels, ...]", t)
	}
	x, err := readReal[T](c, t)
	if err != nil {
		return err
	}
	out, y, err := newReal[T](c, 0, t.DataType(), s)
	if err != nil || len(x) == 0 {
		return err
	}
	channels := s[1]
	plane := len(x) / (s[0] * channels)
	factor, err := Scratch[float64](c, plane)
	if err != nil {
		return err
	}
	for r := range s[0] * channels {
		if err := c.Err(); err != nil {
			return err
		}
		ch := r % channels
		clear(factor)
		for k := max(0, ch-(l.size-1)/2); k <= min(channels-1, ch+l.size/2); k++ {
			for i, v := range x[(r-ch+k)*plane:][:plane] {
				factor[i] += float64(v) * float64(v)
			}
		}
		for i, v := range x[r*plane:][:plane] {
			y[r*plane+i] = T(float64(v) * math.Pow(l.bias+l.alpha/float64(l.size)*factor[i], -l.beta))
		}
	}
	return storeReal(c, out, y)
}
