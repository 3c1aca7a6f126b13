package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(
		Op{Name: "MaxPool", Since: []int{1, 8, 10, 11, 12, 22}, Infer: inferPool, Build: buildMaxPool},
		Op{Name: "AveragePool", Since: []int{1, 7, 10, 11, 19, 22}, Infer: inferPool, Build: buildAveragePool},
		Op{Name: "LpPool", Since: []int{1, 2, 11, 18, 22}, Infer: inferPool, Build: buildLpPool},
		Op{Name: "GlobalMaxPool", Since: []int{1, 22}, Infer: inferGlobalPool, Build: buildGlobal(globalMax[float64], globalMax[float32])},
		Op{Name: "GlobalAveragePool", Since: []int{1, 22}, Infer: inferGlobalPool, Build: buildGlobal(globalMean[float64], globalMean[float32])},
		Op{Name: "GlobalLpPool", Since: []int{1, 2, 22}, Infer: inferGlobalPool, Build: buildGlobalLp},
	)
}

// Pools: X is [batch, channels, spatial...]. The padding takes no part, but in
// an average with count_include_pad, where it counts as zeros. What a last
// place reaches beyond the padding, by ceil_mode, never counts.

func readPool(n *Node) (window, error) {
	w, err := readWindow(n)
	if err != nil {
		return w, err
	}
	if w.kernel == nil {
		return w, onnx.Errorf(onnx.ErrMalformed, "kernel_shape is missing")
	}
	w.ceil = n.Bool("ceil_mode", false)
	return w, nil
}

func inferPool(n *Node) error {
	w, err := readPool(n)
	if err != nil {
		return err
	}
	out := onnx.UnknownShape(2 + len(w.kernel))
	if x := n.Shape(0); x != nil {
		if len(x) != len(out) {
			return onnx.Errorf(onnx.ErrShape, "X is %v, want %d dimensions for kernel_shape %v", x, len(out), w.kernel)
		}
		copy(out, x[:2])
		for i, k := range w.kernel {
			if out[2+i], err = w.slideDim(i, x[2+i], k); err != nil {
				return err
			}
		}
	}
	n.SetTensor(0, n.Elem(0), out)
	n.SetTensor(1, onnx.Int64, out)
	return nil
}

// pool slides a window over the planes of a tensor.
type pool[T kernel.Number] struct {
	win window
	// plane computes one output plane y of the plane x.
	plane       func(l *poolLocal[T], y, x []T, plane int)
	columnMajor bool // in the indices of a MaxPool
	includePad  bool
	p           float64
}

// poolLocal is a pool while it runs, kept for a frame.
type poolLocal[T kernel.Number] struct {
	places
	k      *pool[T]
	x, y   []T
	index  []int64 // nil where not wanted
	shape  []int
	c      *Ctx
	planes func(lo, hi int)
}

// poolElement is a type that pools take.
type poolElement interface {
	float32 | float64 | int8 | uint8
}

type poolKernel[T poolElement] struct{ pool[T] }

func (k *poolKernel[T]) Run(c *Ctx, in, out []onnx.Value) error {
	xt := in[0].(*onnx.Tensor)
	s := xt.Shape()
	if len(s) != 2+len(k.win.kernel) {
		return onnx.Errorf(onnx.ErrShape, "X is %v, want %d dimensions for kernel_shape %v", xt, 2+len(k.win.kernel), k.win.kernel)
	}
	loc := Local[poolLocal[T]](c)
	if err := loc.lay(&k.win, s[2:], k.win.kernel); err != nil {
		return err
	}
	loc.shape = append(append(loc.shape[:0], s[:2]...), loc.out...)
	t, err := c.New(0, onnx.TypeOf[T](), loc.shape)
	if err != nil {
		return err
	}
	loc.index = nil
	if len(out) > 1 && c.Wants(1) {
		it, err := c.New(1, onnx.Int64, loc.shape)
		if err != nil {
			return err
		}
		loc.index = onnx.Elements[int64](it)
	}
	if t.Len() == 0 {
		return nil
	}
	loc.k, loc.c = &k.pool, c
	loc.x, loc.y = onnx.Elements[T](xt), onnx.Elements[T](t)
	if loc.planes == nil {
		loc.planes = loc.doPlanes
	}
	c.Parallel(s[0]*s[1], grainOf(4*loc.taps*loc.outSize), loc.planes)
	loc.c, loc.x, loc.y, loc.index = nil, nil, nil, nil
	return c.Err()
}

func (l *poolLocal[T]) doPlanes(lo, hi int) {
	for i := lo; i < hi && l.c.Err() == nil; i++ {
		l.k.plane(l, l.y[i*l.outSize:][:l.outSize], l.x[i*l.inSize:][:l.inSize], i)
	}
}

// eachTap calls f for every tap and row of places of which some meet the input:
// places lo..hi-1 of row r meet the elements from at on, a stride apart. It ends
// early when the run is cancelled.
func (l *poolLocal[T]) eachTap(f func(r, lo, hi, at int)) {
	var room [4 * maxInlineRank]int
	p, rank := &l.places, len(l.in)
	list := room[:]
	if 4*rank > len(list) {
		list = make([]int, 4*rank)
	}
	taps, pos, first, count := list[:rank], list[rank:2*rank], list[2*rank:3*rank], list[3*rank:4*rank]
	total := 1
	for d := range rank { // a kernel may be much larger than the input
		first[d], count[d] = p.tapsWithin(d)
		total *= count[d]
	}
	rows := p.outSize / p.out[rank-1]
	for k := range total {
		split(taps, count, k)
		for d := range taps {
			taps[d] += first[d]
		}
		lo, hi, start := p.span(rank-1, taps[rank-1])
		if lo >= hi {
			continue
		}
		for r := range rows {
			if off, ok := p.row(r, taps, pos); ok {
				f(r, lo, hi, off+start)
			}
		}
		if k&63 == 63 && l.c.Err() != nil {
			return
		}
	}
}

// tapsWithin gives the first tap of dimension d that lies within the input at
// some place, and how many taps there are from it on that may.
func (p *places) tapsWithin(d int) (first, count int) {
	step := p.dilate[d]
	if off := p.begin[d] - (p.out[d]-1)*p.stride[d]; off > 0 { // of the last place, before the input
		first = ceilDiv(off, step)
	}
	last := min((p.begin[d]+p.in[d]-1)/step, p.kernel[d]-1) // of the first place
	return first, max(last-first+1, 0)
}

// lowest is what a maximum starts from.
func lowest[T poolElement]() T {
	var z T
	switch p := any(&z).(type) {
	case *float32:
		*p = float32(math.Inf(-1))
	case *float64:
		*p = math.Inf(-1)
	case *int8:
		*p = math.MinInt8
	}
	return z
}

// maxPlane gives the maxima, NaN where one is among the elements. An index is
// that of the first of the greatest elements, -1 where there are none.
func maxPlane[T poolElement](l *poolLocal[T], y, x []T, plane int) {
	low := lowest[T]()
	for i := range y {
		y[i] = low
	}
	width, stride := l.out[len(l.out)-1], l.stride[len(l.out)-1]
	if l.index == nil {
		l.eachTap(func(r, lo, hi, at int) {
			kernel.MaxInto(y[r*width+lo:r*width+hi], x[at:], stride)
		})
		return
	}
	index := l.index[plane*l.outSize:][:l.outSize]
	for i := range index {
		index[i] = -1
	}
	l.eachTap(func(r, lo, hi, at int) {
		for o := r*width + lo; o < r*width+hi; o, at = o+1, at+stride {
			if v := x[at]; index[o] < 0 || v > y[o] || v != v && y[o] == y[o] {
				y[o], index[o] = v, int64(at)
			}
		}
	})
	for i, at := range index {
		if at < 0 {
			continue
		}
		if l.k.columnMajor {
			at = int64(l.columnIndex(int(at)))
		}
		index[i] = int64(plane*l.inSize) + at
	}
}

// columnIndex turns the row-major index of a plane's element into the
// column-major one.
func (p *places) columnIndex(i int) int {
	at, size := 0, p.inSize
	for d := len(p.in) - 1; d >= 0; d-- {
		size /= p.in[d]
		at += i % p.in[d] * size
		i /= p.in[d]
	}
	return at
}

// inside counts the taps of place o in dimension d that lie within -before and
// the input's size plus behind.
func (p *places) inside(d, o, before, behind int) int {
	first := o*p.stride[d] - p.begin[d] + before // of the allowed range
	size, step := before+p.in[d]+behind, p.dilate[d]
	lo, hi := 0, 0
	if first < 0 {
		lo = ceilDiv(-first, step)
	}
	if last := size - 1 - first; last >= 0 {
		hi = min(last/step+1, p.kernel[d])
	}
	return max(hi-lo, 0)
}

func averagePlane[T floating](l *poolLocal[T], y, x []T, _ int) {
	clear(y)
	last := len(l.out) - 1
	width, stride := l.out[last], l.stride[last]
	l.eachTap(func(r, lo, hi, at int) {
		kernel.AddScaled(y[r*width+lo:r*width+hi], x[at:], stride, 1)
	})
	for o := range y {
		count := 1
		for d, rest := last, o; d >= 0; d-- {
			before, behind := 0, 0
			if l.k.includePad {
				before, behind = l.begin[d], l.end[d]
			}
			count *= l.inside(d, rest%l.out[d], before, behind)
			rest /= l.out[d]
		}
		if count > 0 {
			y[o] /= T(count)
		}
	}
}

func lpPlane[T floating](l *poolLocal[T], y, x []T, _ int) {
	clear(y)
	last, p := len(l.out)-1, l.k.p
	width, stride := l.out[last], l.stride[last]
	l.eachTap(func(r, lo, hi, at int) {
		for o := r*width + lo; o < r*width+hi; o, at = o+1, at+stride {
			y[o] += T(kernel.SumPowers(x[at:], 1, 1, p))
		}
	})
	for o := range y {
		y[o] = T(kernel.Root(float64(y[o]), p))
	}
}

func buildMaxPool(n *Node) (Kernel, error) {
	w, err := readPool(n)
	if err != nil {
		return nil, err
	}
	order := int64(0)
	if n.Since >= 8 {
		if order = n.Int("storage_order", 0); order != 0 && order != 1 {
			return nil, onnx.Errorf(onnx.ErrMalformed, "storage_order is %d, want 0 or 1", order)
		}
		n.Wants(1)
	}
	switch n.Elem(0) {
	case onnx.Double:
		return newMaxPool[float64](w, order), nil
	case onnx.Int8:
		return newMaxPool[int8](w, order), nil
	case onnx.Uint8:
		return newMaxPool[uint8](w, order), nil
	case onnx.Float:
		return newMaxPool[float32](w, order), nil
	}
	return Widen(newMaxPool[float32](w, order)), nil
}

func newMaxPool[T poolElement](w window, order int64) Kernel {
	return &poolKernel[T]{pool[T]{win: w, plane: maxPlane[T], columnMajor: order == 1}}
}

func buildAveragePool(n *Node) (Kernel, error) {
	w, err := readPool(n)
	if err != nil {
		return nil, err
	}
	include := n.Since >= 7 && n.Bool("count_include_pad", false)
	return forReal(n.Elem(0),
		&poolKernel[float64]{pool[float64]{win: w, plane: averagePlane[float64], includePad: include}},
		&poolKernel[float32]{pool[float32]{win: w, plane: averagePlane[float32], includePad: include}}), nil
}

// readPower reads p, a float in the first version.
func readPower(n *Node) (float64, error) {
	p := 2.0
	if n.Since == 1 {
		p = float64(n.Float("p", 2))
	} else {
		p = float64(n.Int("p", 2))
	}
	if !(p > 0) || math.IsInf(p, 0) {
		return 0, onnx.Errorf(onnx.ErrMalformed, "p is %v, want a number above 0", p)
	}
	return p, nil
}

func buildLpPool(n *Node) (Kernel, error) {
	w, err := readPool(n)
	if err != nil {
		return nil, err
	}
	p, err := readPower(n)
	if err != nil {
		return nil, err
	}
	return forReal(n.Elem(0),
		&poolKernel[float64]{pool[float64]{win: w, plane: lpPlane[float64], p: p}},
		&poolKernel[float32]{pool[float32]{win: w, plane: lpPlane[float32], p: p}}), nil
}

// Global pools take whole planes.

func inferGlobalPool(n *Node) error {
	x := n.Shape(0).Clone()
	if x != nil && len(x) < 2 {
		return onnx.Errorf(onnx.ErrShape, "X is %v, want [batch, channels, ...]", x)
	}
	for i := 2; i < len(x); i++ {
		x[i] = onnx.Fixed(1)
	}
	n.SetTensor(0, n.Elem(0), x)
	return nil
}

func globalMax[T floating](x []T) T { return kernel.MaxOf(x, T(math.Inf(-1))) }

func globalMean[T floating](x []T) T { return T(kernel.Sum(x) / float64(len(x))) }

func buildGlobal(wide func([]float64) float64, narrow func([]float32) float32) func(*Node) (Kernel, error) {
	return func(n *Node) (Kernel, error) {
		return forReal(n.Elem(0), globalPool[float64]{wide}, globalPool[float32]{narrow}), nil
	}
}

func buildGlobalLp(n *Node) (Kernel, error) {
	p, err := readPower(n)
	if err != nil {
		return nil, err
	}
	return buildGlobal(
		func(x []float64) float64 { return kernel.Root(kernel.SumPowers(x, 1, len(x), p), p) },
		func(x []float32) float32 { return float32(kernel.Root(kernel.SumPowers(x, 1, len(x), p), p)) },
	)(n)
}

type globalPool[T floating] struct{ reduce func(x []T) T }

// globalLocal is a global pool while it runs, kept for a frame.
type globalLocal[T floating] struct {
	x, y   []T
	size   int
	reduce func(x []T) T
	shape  []int
	planes func(lo, hi int)
}

func (k globalPool[T]) Run(c *Ctx, in, _ []onnx.Value) error {
	xt := in[0].(*onnx.Tensor)
	s := xt.Shape()
	if len(s) < 2 {
		return onnx.Errorf(onnx.ErrShape, "X is %v, want [batch, channels, ...]", xt)
	}
	loc := Local[globalLocal[T]](c)
	loc.shape = append(loc.shape[:0], s...)
	for i := 2; i < len(s); i++ {
		loc.shape[i] = 1
	}
	t, err := c.New(0, onnx.TypeOf[T](), loc.shape)
	if err != nil || t.Len() == 0 {
		return err
	}
	loc.x, loc.y, loc.size, loc.reduce = onnx.Elements[T](xt), onnx.Elements[T](t), xt.Len()/t.Len(), k.reduce
	if loc.planes == nil {
		loc.planes = func(lo, hi int) {
			for i := lo; i < hi; i++ {
				loc.y[i] = loc.reduce(loc.x[i*loc.size:][:loc.size])
			}
		}
	}
	c.Parallel(len(loc.y), grainOf(2*loc.size), loc.planes)
	loc.x, loc.y = nil, nil
	return c.Err()
}
