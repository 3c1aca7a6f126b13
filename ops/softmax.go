package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

// normalizer is what an operator of the softmax family makes of a row.
type normalizer int

const (
	toSoftmax normalizer = iota
	toLogSoftmax
	toHardmax
)

func init() {
	for _, row := range []struct {
		name string
		kind normalizer
	}{{"Softmax", toSoftmax}, {"LogSoftmax", toLogSoftmax}, {"Hardmax", toHardmax}} {
		register(
			Op{Name: row.name, Since: []int{1, 11}, Infer: func(n *Node) error { return inferSoftmax(n, 1) },
				Build: func(n *Node) (Kernel, error) { return buildSoftmax(n, row.kind, 1, true) }},
			Op{Name: row.name, Since: []int{13}, Infer: func(n *Node) error { return inferSoftmax(n, -1) },
				Build: func(n *Node) (Kernel, error) { return buildSoftmax(n, row.kind, -1, false) }},
		)
	}
}

// softmaxKernel computes an operator of the softmax family along an axis. Until
// version 13 a row is everything from the axis on.
type softmaxKernel struct {
	kind   normalizer
	axis   int64
	coerce bool
	level  Level
}

func inferSoftmax(n *Node, axis int64) error {
	in := n.Shape(0)
	if in.Ranked() {
		if _, err := Axis(n.Int("axis", axis), len(in)); err != nil {
			return err
		}
	}
	n.SetTensor(0, n.Elem(0), in)
	return nil
}

func buildSoftmax(n *Node, kind normalizer, axis int64, coerce bool) (Kernel, error) {
	return widenFrom(n, 0, &softmaxKernel{kind: kind, axis: n.Int("axis", axis), coerce: coerce, level: n.Level()}), nil
}

func (k *softmaxKernel) Run(c *Ctx, in, out []onnx.Value) error {
	x := in[0].(*onnx.Tensor)
	axis, err := Axis(k.axis, x.Rank())
	if err != nil {
		return err
	}
	y, err := c.New(0, x.DataType(), x.Shape(), 0)
	if err != nil || y.Len() == 0 {
		return err
	}
	e := extentAt(x.Shape(), axis)
	if k.coerce {
		e.red, e.inner = e.red*e.inner, 1
	}
	switch x.DataType() {
	case onnx.Float:
		return softmaxRun(c, k, onnx.Elements[float32](x), onnx.Elements[float32](y), e)
	case onnx.Double:
		return softmaxRun(c, k, onnx.Elements[float64](x), onnx.Elements[float64](y), e)
	}
	return onnx.Errorf(onnx.ErrType, "element type %v", x.DataType())
}

// softmaxJob is what the threads of a softmaxKernel share.
type softmaxJob[T float32 | float64] struct {
	reduceExtent
	c     *Ctx
	kind  normalizer
	level Level
	x, y  []T
	run   func(lo, hi int)
}

func softmaxRun[T float32 | float64](c *Ctx, k *softmaxKernel, x, y []T, e reduceExtent) error {
	j := Local[softmaxJob[T]](c)
	if j.run == nil {
		j.run = j.span
	}
	j.reduceExtent, j.c, j.kind, j.level, j.x, j.y = e, c, k.kind, k.level, x, y
	c.Parallel(e.units(), max(1, e.grain()/4), j.run)
	j.c, j.x, j.y = nil, nil, nil
	return c.Err()
}

func (j *softmaxJob[T]) span(lo, hi int) {
	p := pace{c: j.c}
	if f, ok := any(j).(*softmaxJob[float32]); ok && j.manyRows() {
		if f.shortRows(hi - lo) {
			softmaxApart(f, &p, lo, hi)
		} else {
			softmaxRows(f, &p, lo, hi, nil)
		}
		return
	}
	var b softmaxBlock[T]
	for i := lo; i < hi; i++ {
		at, _, w := j.at(i)
		stopped := false
		if j.inner == 1 {
			stopped = j.row(&p, at)
		} else {
			stopped = j.columns(&p, &b, at, w)
		}
		if stopped {
			return
		}
	}
}

// manyRows tells whether rows are computed together: at a level of vectors, but
// for rows so long that each is worth looks at the context.
func (j *softmaxJob[T]) manyRows() bool {
	return j.level != kernel.Go && j.inner == 1 && j.kind != toHardmax && 0 < j.red && j.red <= reduceBlock
}

// cachedRows is how many rows of n elements stay in the cache while they pass
// through several loops, readRows how many are worth a call of one loop.
func cachedRows(n int) int { return min(max(1, 4096/max(n, 1)), kernel.RowsMost) }
func readRows(n int) int   { return min(max(1, 1<<16/max(n, 1)), kernel.RowsMost) }

// apartLeast is of how many elements the exponentials are kept apart at least.
const apartLeast = 1024

// shortRows tells whether the exponentials of some rows are to be kept apart from
// the results: those of rows of less than a vector are stored with a mask, and what
// loads the next row, to scale it, would wait until that is in the cache.
func (j *softmaxJob[T]) shortRows(rows int) bool {
	return j.level == kernel.AVX512 && j.kind == toSoftmax && j.red < j.level.Lanes() && rows*j.red >= apartLeast
}

// softmaxApart is softmaxRows of short rows.
func softmaxApart(j *softmaxJob[float32], p *pace, lo, hi int) {
	var block [16 * kernel.RowsMost]float32
	softmaxRows(j, p, lo, hi, block[:])
}

// softmaxRows computes the rows lo..hi-1. The exponentials of a softmax are in
// block meanwhile, or with none where the results will be.
func softmaxRows(j *softmaxJob[float32], p *pace, lo, hi int, block []float32) {
	var most, factor [kernel.RowsMost]float32 // factor, or logarithm
	var sums [kernel.RowsMost]float64
	for rows := cachedRows(j.red); lo < hi; lo += rows {
		k := min(rows, hi-lo)
		x, y := j.x[lo*j.red:][:k*j.red], j.y[lo*j.red:][:k*j.red]
		kernel.ExtremeRows(j.level, most[:k], x, j.red, true)
		if j.kind == toSoftmax {
			e := y
			if block != nil {
				e = block[:len(y)]
			}
			kernel.ExpRows(j.level, e, x, j.red, most[:k], sums[:k])
			for r, s := range sums[:k] {
				factor[r] = float32(1 / s)
			}
			kernel.ScaleRows(j.level, y, e, j.red, factor[:k])
		} else {
			kernel.ExpRows(j.level, nil, x, j.red, most[:k], sums[:k])
			kernel.LogOf(sums[:k], sums[:k])
			for r, v := range sums[:k] {
				factor[r] = float32(v)
			}
			kernel.LogSoftmaxRows(j.level, y, x, j.red, most[:k], factor[:k])
		}
		if p.Stop(2 * len(x)) {
			return
		}
	}
}

func (j *softmaxJob[T]) row(p *pace, at int) (stopped bool) {
	x, y := j.x[at:at+j.red], j.y[at:at+j.red]
	if j.kind == toHardmax {
		best := kernel.ArgRow(x, false, false)
		clear(y)
		y[best] = 1
		return p.Stop(len(x))
	}
	if f, ok := any(j).(*softmaxJob[float32]); ok && j.kind == toSoftmax && j.level != kernel.Go {
		return softmaxVectors(f, p, at)
	}
	most := kernel.FoldRow(kernel.FoldMax, x[0], x)
	m := float64(most)
	var lanes kernel.Lanes
	lanes.Clear(kernel.Exp1)
	for r := 0; r < len(x); r += reduceBlock {
		end := min(len(x), r+reduceBlock)
		if j.kind == toSoftmax {
			kernel.ExpRow(&lanes, y[r:end], x[r:end], m)
		} else {
			kernel.AddRow(kernel.Exp1, &lanes, x[r:end], m)
		}
		if p.Stop(2 * (end - r)) {
			return true
		}
	}
	sum := lanes.Sum(kernel.Exp1)
	if j.kind == toSoftmax {
		kernel.ScaleRow(y, 1/sum)
	} else {
		kernel.LogSoftmaxRow(y, x, most, T(math.Log(sum)))
	}
	return false
}

// softmaxVectors makes a softmax of the row at a place, at a level of vectors.
func softmaxVectors(j *softmaxJob[float32], p *pace, at int) (stopped bool) {
	x, y := j.x[at:at+j.red], j.y[at:at+j.red]
	m, sum := kernel.MaxRow(j.level, x[0], x), 0.0
	for r := 0; r < len(x); r += reduceBlock {
		end := min(len(x), r+reduceBlock)
		kernel.AddExpRow(j.level, y[r:end], x[r:end], m, &sum)
		if p.Stop(2 * (end - r)) {
			return true
		}
	}
	kernel.MulVectorVS(j.level, y, y, float32(1/sum))
	return false
}

// softmaxColumns is softmaxVectors for w columns; each has the bits of a row.
func softmaxColumns(j *softmaxJob[float32], p *pace, sums *kernel.Columns, at, w int) (stopped bool) {
	var most, f [kernel.Width]float32
	copy(most[:w], j.x[at:])
	for r := 1; r < j.red; r++ {
		kernel.MaxVector(j.level, most[:w], most[:], j.x[at+r*j.inner:])
	}
	var total [kernel.Width]float64
	if addExpColumns(j.level, p, sums, &total, j.y[at:], j.x[at:], j.red, j.inner, most[:w]) {
		return true
	}
	for k, v := range total[:w] {
		f[k] = float32(1 / v)
	}
	for r := range j.red {
		y := j.y[at+r*j.inner:][:w]
		kernel.MulVector(j.level, y, y, f[:])
	}
	return false
}

// logSoftmaxColumns is softmaxColumns for LogSoftmax.
func logSoftmaxColumns(j *softmaxJob[float32], p *pace, sums *kernel.Columns, at, w int) (stopped bool) {
	var most, log [kernel.Width]float32
	var total [kernel.Width]float64
	copy(most[:w], j.x[at:])
	for r := 1; r < j.red; r++ {
		kernel.MaxVector(j.level, most[:w], most[:], j.x[at+r*j.inner:])
	}
	if addExpColumns(j.level, p, sums, &total, nil, j.x[at:], j.red, j.inner, most[:w]) {
		return true
	}
	kernel.LogOf(total[:w], total[:w])
	for k, v := range total[:w] {
		log[k] = float32(v)
	}
	for r := range j.red {
		kernel.LogSoftmaxColumns(j.y[at+r*j.inner:][:w], j.x[at+r*j.inner:], &most, &log)
	}
	return false
}

// expRowsOnce is how many rows of columns are taken at a time: whole groups of
// kernel.ExpGroups.
const expRowsOnce = 64

// addExpColumns makes e^(x-m) of columns that begin with the elements of x, and
// whose rows lie stride apart, and adds its sums to total. y gets the
// exponentials, unless it is nil.
func addExpColumns(l Level, p *pace, sums *kernel.Columns, total *[kernel.Width]float64, y, x []float32, red, stride int, m []float32) (stopped bool) {
	var block [expRowsOnce * kernel.Width]float32
	w := len(m)
	piece := kernel.ExpPiece(red)
	for from := 0; from < red; from += piece {
		end := min(from+piece, red)
		sums.Clear(kernel.Exp1, end-from, w)
		for r := from; r < end; r += expRowsOnce {
			rows := min(expRowsOnce, end-r)
			e, strideE := block[:], w
			if y != nil {
				e, strideE = y[r*stride:], stride
			}
			kernel.ExpColumnRows(l, e, x[r*stride:], rows, strideE, stride, m)
			kernel.ExpGroups(l, sums, e, rows, strideE, w)
			if p.Stop(2 * rows * w) {
				return true
			}
		}
		sums.Sum(kernel.Exp1, end-from, w)
		for k := range w {
			total[k] += sums[0][k]
		}
	}
	return false
}

// softmaxBlock is the state of a block of columns.
type softmaxBlock[T float32 | float64] struct {
	sums   kernel.Columns
	most   [kernel.Width]T
	log    [kernel.Width]T
	m, f   [kernel.Width]float64
	places [kernel.Width]int
}

func (j *softmaxJob[T]) columns(p *pace, b *softmaxBlock[T], at, w int) (stopped bool) {
	if j.kind == toHardmax {
		return j.hardColumns(p, b, at, w)
	}
	if f, ok := any(j).(*softmaxJob[float32]); ok && j.level != kernel.Go {
		if j.kind == toSoftmax {
			return softmaxColumns(f, p, &b.sums, at, w)
		}
		return logSoftmaxColumns(f, p, &b.sums, at, w)
	}
	most := b.most[:w]
	copy(most, j.x[at:at+w])
	for r := 1; r < j.red; r++ {
		kernel.FoldColumns(kernel.FoldMax, most, j.x[at+r*j.inner:][:w])
	}
	for k, v := range most {
		b.m[k] = float64(v)
	}
	b.sums.Clear(kernel.Exp1, j.red, w)
	for r := range j.red {
		x, y := j.x[at+r*j.inner:][:w], j.y[at+r*j.inner:][:w]
		if j.kind == toSoftmax {
			kernel.ExpColumns(&b.sums, r, y, x, &b.m)
		} else {
			kernel.AddColumns(kernel.Exp1, &b.sums, r, x, &b.m)
		}
		if p.Stop(2 * w) {
			return true
		}
	}
	b.sums.Sum(kernel.Exp1, j.red, w)
	if j.kind == toSoftmax {
		for k := range w {
			b.f[k] = 1 / b.sums[0][k]
		}
	} else {
		for k, v := range b.sums[0][:w] {
			b.log[k] = T(math.Log(v))
		}
	}
	for r := range j.red {
		x, y := j.x[at+r*j.inner:][:w], j.y[at+r*j.inner:][:w]
		if j.kind == toSoftmax {
			kernel.ScaleColumns(y, b.f[:w])
		} else {
			kernel.LogSoftmaxColumns(y, x, &b.most, &b.log)
		}
	}
	return false
}

func (j *softmaxJob[T]) hardColumns(p *pace, b *softmaxBlock[T], at, w int) (stopped bool) {
	places := b.places[:w]
	clear(places)
	for r := 1; r < j.red; r++ {
		for k, best := range places {
			if kernel.Beyond(j.x[at+r*j.inner+k], j.x[at+best*j.inner+k], false, false) {
				places[k] = r
			}
		}
		if p.Stop(w) {
			return true
		}
	}
	for r := range j.red {
		clear(j.y[at+r*j.inner:][:w])
	}
	for k, best := range places {
		j.y[at+best*j.inner+k] = 1
	}
	return false
}
