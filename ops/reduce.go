package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

// reduction is what a Reduce operator computes of the elements that fall
// together.
type reduction int

const (
	reduceSum reduction = iota
	reduceMean
	reduceMax
	reduceMin
	reduceProd
	reduceSumSquare
	reduceL1
	reduceL2
	reduceLogSum
	reduceLogSumExp
)

func init() {
	reduceRows("ReduceSum", reduceSum, []int{1, 11}, []int{13})
	reduceRows("ReduceMean", reduceMean, []int{1, 11, 13}, []int{18})
	reduceRows("ReduceMax", reduceMax, []int{1, 11, 12, 13}, []int{18, 20})
	reduceRows("ReduceMin", reduceMin, []int{1, 11, 12, 13}, []int{18, 20})
	reduceRows("ReduceProd", reduceProd, []int{1, 11, 13}, []int{18})
	reduceRows("ReduceSumSquare", reduceSumSquare, []int{1, 11, 13}, []int{18})
	reduceRows("ReduceL1", reduceL1, []int{1, 11, 13}, []int{18})
	reduceRows("ReduceL2", reduceL2, []int{1, 11, 13}, []int{18})
	reduceRows("ReduceLogSum", reduceLogSum, []int{1, 11, 13}, []int{18, 28})
	reduceRows("ReduceLogSumExp", reduceLogSumExp, []int{1, 11, 13}, []int{18, 28})
}

// reduceRows registers an operator: the versions in attr have the axes as an
// attribute, those in input as an input.
func reduceRows(name string, kind reduction, attr, input []int) {
	for _, row := range []struct {
		since     []int
		fromInput bool
	}{{attr, false}, {input, true}} {
		register(Op{Name: name, Since: row.since,
			Infer: func(n *Node) error { return inferReduce(n, kind, row.fromInput) },
			Build: func(n *Node) (Kernel, error) { return buildReduce(n, kind, row.fromInput) },
		})
	}
}

// reduceKernel computes a Reduce operator. Sums of floating-point elements are
// those of kernel.Lanes, in the row-major order of the reduced dimensions;
// integers wrap, and what is no integer is truncated.
type reduceKernel struct {
	kind      reduction
	keep      bool    // the reduced dimensions stay, with size 1
	noop      bool    // no axes mean none, not all
	fromInput bool    // the axes are input 1
	axes      []int64 // where they are not
	level     Level
}

func reduceOptions(n *Node, kind reduction, fromInput bool) *reduceKernel {
	k := &reduceKernel{kind: kind, fromInput: fromInput, keep: n.Bool("keepdims", true), level: n.Level()}
	if fromInput {
		k.noop = n.Bool("noop_with_empty_axes", false)
	} else {
		k.axes = n.Ints("axes")
	}
	return k
}

func buildReduce(n *Node, kind reduction, fromInput bool) (Kernel, error) {
	k := reduceOptions(n, kind, fromInput)
	if fromInput {
		n.Has(1)
	}
	return widenFrom(n, 0, k), nil
}

// widenFrom puts Widen around a kernel whose input i may be of a type that is
// computed in float32.
func widenFrom(n *Node, i int, k Kernel) Kernel {
	if d := n.Elem(i); d == onnx.Undefined || isNarrow(d) {
		return Widen(k)
	}
	return k
}

func inferReduce(n *Node, kind reduction, fromInput bool) error {
	k := reduceOptions(n, kind, fromInput)
	in := n.Shape(0)
	axes, known := k.axes, true
	if fromInput && n.Has(1) {
		axes, known = n.ConstInts(1)
	}
	if !known {
		n.SetTensor(0, n.Elem(0), reducedUnknown(in, n.Shape(1), k.keep))
		return nil
	}
	if !in.Ranked() {
		if len(axes) == 0 && !k.noop && !k.keep {
			in = onnx.Shape{}
		}
		n.SetTensor(0, n.Elem(0), in)
		return nil
	}
	mask, err := reducedAxes(nil, axes, len(in), k.noop)
	if err != nil {
		return err
	}
	out := onnx.Shape{}
	for i, d := range in {
		switch {
		case !mask[i]:
			out = append(out, d)
		case k.keep:
			out = append(out, onnx.Fixed(1))
		}
	}
	n.SetTensor(0, n.Elem(0), out)
	if c := n.Content(0); c != nil && (len(mask) == 0 || len(mask) == 1 && mask[0]) && (n.Elem(0) == onnx.Int64 || n.Elem(0) == onnx.Int32) {
		n.SetContent(0, reduceContent(kind, n.Elem(0), c, len(out) == 0))
	}
	return nil
}

// reducedUnknown gives the shape after a reduction along axes that are not
// known.
func reducedUnknown(in, axes onnx.Shape, keep bool) onnx.Shape {
	if !in.Ranked() {
		return nil
	}
	if keep {
		out := in.Clone()
		for i, d := range out {
			if d.Value != 1 {
				out[i] = onnx.UnknownDim
			}
		}
		return out
	}
	if len(axes) == 1 && axes[0].Value > 0 && axes[0].Value <= len(in) {
		return onnx.UnknownShape(len(in) - axes[0].Value)
	}
	return nil
}

// reduceContent computes a reduction of all of a small integer tensor.
func reduceContent(kind reduction, d onnx.DataType, c *Content, scalar bool) *Content {
	result := func(s Sym) *Content { return &Content{Scalar: scalar, Elems: []Sym{s}} }
	fold, ok := map[reduction]kernel.Fold{reduceSum: kernel.FoldSum, reduceProd: kernel.FoldProduct, reduceMax: kernel.FoldMax, reduceMin: kernel.FoldMin}[kind]
	if !ok || len(c.Elems) == 0 {
		return nil
	}
	if len(c.Elems) == 1 {
		return result(c.Elems[0])
	}
	acc, symbol := c.Elems[0], Sym{}
	if neutral, ok := map[kernel.Fold]int64{kernel.FoldSum: 0, kernel.FoldProduct: 1}[fold]; ok {
		acc = Int(neutral) // a symbol among neutral elements stays
	}
	for _, e := range c.Elems {
		switch {
		case e.Known && acc.Known:
			acc.Value = kernel.FoldRow(fold, acc.Value, []int64{e.Value})
		case e.Known, symbol != Sym{}, e.Name == "", fold == kernel.FoldMax, fold == kernel.FoldMin:
			return nil
		default:
			symbol = e
		}
	}
	if d == onnx.Int32 && acc.Known {
		acc.Value = int64(int32(acc.Value))
	}
	if symbol == (Sym{}) {
		return result(acc)
	}
	if fold == kernel.FoldProduct && acc.Value == 1 || fold == kernel.FoldSum && acc.Value == 0 {
		return result(symbol)
	}
	return nil
}

// reducedAxes marks the axes, appending to mask[:0] a value for each dimension.
func reducedAxes(mask []bool, axes []int64, rank int, noop bool) ([]bool, error) {
	mask = mask[:0]
	for range rank {
		mask = append(mask, len(axes) == 0 && !noop)
	}
	for _, a := range axes {
		i, err := Axis(a, rank)
		if err != nil {
			return nil, err
		}
		if mask[i] {
			return nil, onnx.Errorf(onnx.ErrShape, "axis %d is listed twice in axes", i)
		}
		mask[i] = true
	}
	return mask, nil
}

func (k *reduceKernel) Run(c *Ctx, in, out []onnx.Value) error {
	x := in[0].(*onnx.Tensor)
	axes := k.axes
	if k.fromInput && len(in) > 1 && in[1] != nil {
		var err error
		if axes, err = onnx.Data[int64](in[1]); err != nil {
			return err
		}
	}
	l := Local[reduceLocal](c)
	mask, err := reducedAxes(l.mask, axes, x.Rank(), k.noop)
	if err != nil {
		return err
	}
	l.mask, l.level = mask, k.level
	var shapeBuf [8]int
	shape := shapeBuf[:0]
	for i, d := range x.Shape() {
		switch {
		case !mask[i]:
			shape = append(shape, d)
		case k.keep:
			shape = append(shape, 1)
		}
	}
	y, err := c.New(0, x.DataType(), shape)
	if err != nil || y.Len() == 0 {
		return err
	}
	run := reduceLoops[x.DataType()]
	if run == nil {
		return onnx.Errorf(onnx.ErrType, "element type %v", x.DataType())
	}
	return run(c, l, k.kind, x, y)
}

// reduceLocal is what a node keeps for its runs: the marked dimensions and the
// job of its element type.
type reduceLocal struct {
	mask  []bool
	level Level
	job   any
}

// jobOf gives the job of type J.
func jobOf[J any](l *reduceLocal) *J {
	if j, ok := l.job.(*J); ok {
		return j
	}
	j := new(J)
	l.job = j
	return j
}

// reduceLoops reduces elements of a type along l.mask. Bools are bytes of 0 and 1.
var reduceLoops = [...]func(c *Ctx, l *reduceLocal, kind reduction, x, y *onnx.Tensor) error{
	onnx.Float:  reduceFloats[float32],
	onnx.Double: reduceFloats[float64],
	onnx.Int8:   reduceInts[int8],
	onnx.Int16:  reduceInts[int16],
	onnx.Int32:  reduceInts[int32],
	onnx.Int64:  reduceInts[int64],
	onnx.Uint8:  reduceInts[uint8],
	onnx.Uint16: reduceInts[uint16],
	onnx.Uint32: reduceInts[uint32],
	onnx.Uint64: reduceInts[uint64],
	onnx.Bool:   reduceInts[uint8],
	// The other types have no loops; the last entry sets the table's length.
	onnx.Int2: nil,
}

type reducible interface {
	float32 | float64 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
}

func reduceFloats[T interface {
	float32 | float64
	reducible
}](c *Ctx, l *reduceLocal, kind reduction, x, y *onnx.Tensor) error {
	switch kind {
	case reduceMax:
		return reduceFold(c, l, kernel.FoldMax, T(math.Inf(-1)), x, y)
	case reduceMin:
		return reduceFold(c, l, kernel.FoldMin, T(math.Inf(1)), x, y)
	}
	job := jobOf[sumJob[T]](l)
	if job.round == nil {
		job.round = func(v float64) T { return T(v) }
	}
	return job.reduce(c, l, kind, x, y)
}

func reduceInts[T interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
	reducible
}](c *Ctx, l *reduceLocal, kind reduction, x, y *onnx.Tensor) error {
	least, most := integerRange[T]()
	switch kind {
	case reduceSum:
		return reduceFold(c, l, kernel.FoldSum, T(0), x, y)
	case reduceSumSquare:
		return reduceFold(c, l, kernel.FoldSquare, T(0), x, y)
	case reduceL1:
		return reduceFold(c, l, kernel.FoldAbs, T(0), x, y)
	case reduceProd:
		return reduceFold(c, l, kernel.FoldProduct, T(1), x, y)
	case reduceMax:
		if x.DataType() == onnx.Bool {
			least = 0
		}
		return reduceFold(c, l, kernel.FoldMax, least, x, y)
	case reduceMin:
		if x.DataType() == onnx.Bool {
			most = 1
		}
		return reduceFold(c, l, kernel.FoldMin, most, x, y)
	case reduceMean:
		return reduceIntMean[T](c, l, x, y)
	}
	job := jobOf[sumJob[T]](l)
	if job.round == nil {
		job.round = kernel.ToInteger[T]
	}
	return job.reduce(c, l, kind, x, y)
}

// integerRange gives the least and the greatest value of a type.
func integerRange[T kernel.Integer]() (least, most T) {
	if ^T(0) > 0 {
		return 0, ^T(0)
	}
	most = 1
	for most<<1 > 0 {
		most = most<<1 | 1
	}
	return ^most, most
}

// reduceIntMean is the sum divided by the number of elements, truncated.
func reduceIntMean[T interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
	reducible
}](c *Ctx, l *reduceLocal, x, y *onnx.Tensor) error {
	count := x.Len() / y.Len()
	if count == 0 {
		return onnx.Errorf(onnx.ErrMalformed, "the mean of no elements of type %v: a division by zero", x.DataType())
	}
	if err := reduceFold(c, l, kernel.FoldSum, T(0), x, y); err != nil {
		return err
	}
	signed := ^T(0) < 0
	d := onnx.Elements[T](y)
	for i, v := range d {
		if signed {
			d[i] = T(int64(v) / int64(count))
		} else {
			d[i] = T(uint64(v) / uint64(count))
		}
	}
	return nil
}

// reduceBlock is about how many elements are reduced between two looks at the
// context; it is a multiple of 8.
const reduceBlock = 1 << 18

// reduceExtent is a tensor seen as [outer, red, inner], of which the middle is
// reduced.
type reduceExtent struct{ outer, red, inner int }

// units counts the pieces of work that a reduction is cut into: rows, or
// blocks of columns.
func (e reduceExtent) units() int {
	return e.outer * ceilDiv(e.inner, kernel.Width)
}

// at finds unit i: where its elements begin in the input and the output, and
// how many columns it has.
func (e reduceExtent) at(i int) (x, y, w int) {
	per := ceilDiv(e.inner, kernel.Width)
	o, j := i/per, i%per*kernel.Width
	return o*e.red*e.inner + j, o*e.inner + j, min(kernel.Width, e.inner-j)
}

// grain is how many units are worth a thread of their own.
func (e reduceExtent) grain() int {
	return max(1, (1<<15)/max(1, e.red*min(e.inner, kernel.Width)))
}

// reduceCollapse brings x to the form [outer, red, inner]: as it lies where the
// reduced dimensions are next to each other, else gathered into scratch
// memory, with the reduced dimensions last.
func reduceCollapse[T reducible](c *Ctx, x *onnx.Tensor, mask []bool) ([]T, reduceExtent, error) {
	e := reduceExtent{1, 1, 1}
	data := onnx.Elements[T](x)
	apart := false
	seen, closed := false, false
	for i, d := range x.Shape() {
		switch {
		case d == 1:
		case mask[i] && closed:
			apart = true
		case mask[i]:
			e.red *= d
			seen = true
		case seen:
			e.inner *= d
			closed = true
		default:
			e.outer *= d
		}
	}
	if !seen {
		e.outer, e.inner = 1, e.outer // every element is a column of its own
	}
	if !apart {
		return data, e, nil
	}
	moved, err := Scratch[T](c, x.Len())
	if err != nil {
		return nil, e, err
	}
	e = reduceExtent{1, 1, 1}
	var sizes, strides []int
	for _, reduced := range []bool{false, true} {
		for i, d := range x.Shape() {
			if mask[i] != reduced || d == 1 {
				continue
			}
			stride := 1
			for _, s := range x.Shape()[i+1:] {
				stride *= s
			}
			sizes, strides = append(sizes, d), append(strides, stride)
			if reduced {
				e.red *= d
			} else {
				e.outer *= d
			}
		}
	}
	gatherStrided(moved, data, sizes, strides)
	return moved, e, c.Err()
}

// gatherStrided copies src's elements in the order of sizes, whose dimensions
// lie strides apart.
func gatherStrided[T any](dst, src []T, sizes, strides []int) {
	if len(dst) == 0 {
		return
	}
	last := len(sizes) - 1
	index := make([]int, len(sizes))
	for at, i := 0, 0; i < len(dst); {
		for j := range sizes[last] {
			dst[i+j] = src[at+j*strides[last]]
		}
		i += sizes[last]
		for k := last - 1; k >= 0; k-- {
			index[k]++
			at += strides[k]
			if index[k] < sizes[k] {
				break
			}
			at -= index[k] * strides[k]
			index[k] = 0
		}
	}
}

// foldJob reduces elements in their own type.
type foldJob[T reducible] struct {
	reduceExtent
	c     *Ctx
	fold  kernel.Fold
	level Level
	start T
	x, y  []T
	run   func(lo, hi int)
}

func reduceFold[T reducible](c *Ctx, l *reduceLocal, fold kernel.Fold, start T, x, y *onnx.Tensor) error {
	data, e, err := reduceCollapse[T](c, x, l.mask)
	if err != nil {
		return err
	}
	j := jobOf[foldJob[T]](l)
	if j.run == nil {
		j.run = j.span
	}
	j.reduceExtent, j.c, j.fold, j.level, j.start, j.x, j.y = e, c, fold, l.level, start, data, onnx.Elements[T](y)
	c.Parallel(e.units(), e.grain(), j.run)
	j.c, j.x, j.y = nil, nil, nil
	return c.Err()
}

func (j *foldJob[T]) span(lo, hi int) {
	p := pace{c: j.c}
	if f, ok := any(j).(*foldJob[float32]); ok && manyRows(j.level, j.reduceExtent) {
		for rows := readRows(j.red); lo < hi; lo += rows {
			k := min(rows, hi-lo)
			kernel.ExtremeRows(j.level, f.y[lo:lo+k], f.x[lo*j.red:], j.red, j.fold == kernel.FoldMax)
			if p.Stop(k * j.red) {
				return
			}
		}
		return
	}
	for i := lo; i < hi; i++ {
		x, y, w := j.at(i)
		if j.inner == 1 {
			acc := j.start
			for r := 0; r < j.red; r += reduceBlock {
				end := min(j.red, r+reduceBlock)
				acc = j.foldRow(acc, x+r, x+end)
				if p.Stop(end - r) {
					return
				}
			}
			j.y[y] = acc
			continue
		}
		acc := j.y[y : y+w]
		for k := range acc {
			acc[k] = j.start
		}
		for r := range j.red {
			at := x + r*j.inner
			j.foldColumns(y, at, w)
			if p.Stop(w) {
				return
			}
		}
	}
}

// foldRow combines acc with the elements from..to-1.
func (j *foldJob[T]) foldRow(acc T, from, to int) T {
	f, ok := any(j).(*foldJob[float32])
	switch {
	case ok && j.fold == kernel.FoldMax:
		return T(kernel.MaxRow(j.level, float32(acc), f.x[from:to]))
	case ok && j.fold == kernel.FoldMin:
		return T(kernel.MinRow(j.level, float32(acc), f.x[from:to]))
	}
	return kernel.FoldRow(j.fold, acc, j.x[from:to])
}

// foldColumns combines w results from y on with the elements from at on.
func (j *foldJob[T]) foldColumns(y, at, w int) {
	f, ok := any(j).(*foldJob[float32])
	switch {
	case ok && j.level != kernel.Go && j.fold == kernel.FoldMax:
		kernel.MaxVector(j.level, f.y[y:y+w], f.y[y:], f.x[at:])
	case ok && j.level != kernel.Go && j.fold == kernel.FoldMin:
		kernel.MinVector(j.level, f.y[y:y+w], f.y[y:], f.x[at:])
	default:
		kernel.FoldColumns(j.fold, j.y[y:y+w], j.x[at:at+w])
	}
}

// pace looks at a run's context once in about reduceBlock elements.
type pace struct {
	c    *Ctx
	done int
}

// Stop counts elements that were computed and reports whether the run was
// cancelled.
func (p *pace) Stop(elements int) bool {
	if p.done += elements; p.done < reduceBlock {
		return false
	}
	p.done = 0
	return p.c.Err() != nil
}

// sumJob reduces elements to sums of float64.
type sumJob[T reducible] struct {
	reduceExtent
	c     *Ctx
	kind  reduction
	term  kernel.Term
	level Level
	x, y  []T
	round func(float64) T
	run   func(lo, hi int)
}

// sumTerms has what is summed where that is not the element itself.
var sumTerms = [...]kernel.Term{
	reduceProd:      kernel.Product,
	reduceSumSquare: kernel.Square,
	reduceL1:        kernel.Abs1,
	reduceL2:        kernel.Square,
	reduceLogSumExp: kernel.Exp1,
}

func (j *sumJob[T]) reduce(c *Ctx, l *reduceLocal, kind reduction, x, y *onnx.Tensor) error {
	data, e, err := reduceCollapse[T](c, x, l.mask)
	if err != nil {
		return err
	}
	if j.run == nil {
		j.run = j.span
	}
	j.reduceExtent, j.c, j.kind, j.term, j.level, j.x, j.y = e, c, kind, sumTerms[kind], l.level, data, onnx.Elements[T](y)
	c.Parallel(e.units(), e.grain(), j.run)
	j.c, j.x, j.y = nil, nil, nil
	return c.Err()
}

func (j *sumJob[T]) span(lo, hi int) {
	p := pace{c: j.c}
	if f, ok := any(j).(*sumJob[float32]); ok && manyRows(j.level, j.reduceExtent) && j.term != kernel.Product {
		sumRows(f, &p, lo, hi)
		return
	}
	var sums kernel.Columns
	for i := lo; i < hi; i++ {
		x, y, w := j.at(i)
		stopped := false
		if j.inner == 1 {
			stopped = j.row(&p, x, y)
		} else {
			stopped = j.columns(&p, &sums, x, y, w)
		}
		if stopped {
			return
		}
	}
}

// manyRows tells whether rows are reduced together: at a level of vectors, but
// for rows so long that each is worth looks at the context.
func manyRows(l Level, e reduceExtent) bool {
	return l != kernel.Go && e.inner == 1 && 0 < e.red && e.red <= reduceBlock
}

// sumRows reduces the rows lo..hi-1 of float32.
func sumRows(j *sumJob[float32], p *pace, lo, hi int) {
	var sums, shift [kernel.RowsMost]float64
	var most [kernel.RowsMost]float32
	rows := readRows(j.red)
	if j.term == kernel.Exp1 {
		rows = cachedRows(j.red)
	}
	for ; lo < hi; lo += rows {
		k := min(rows, hi-lo)
		x := j.x[lo*j.red:][:k*j.red]
		if j.term == kernel.Exp1 {
			kernel.ExtremeRows(j.level, most[:k], x, j.red, true)
			for r, m := range most[:k] {
				shift[r] = expShift(m)
				most[r] = float32(shift[r])
			}
			kernel.ExpRows(j.level, nil, x, j.red, most[:k], sums[:k])
		} else {
			kernel.SumRows(j.level, j.term, sums[:k], x, j.red, nil)
		}
		j.finishAll(j.y[lo:lo+k], sums[:k], shift[:k])
		if p.Stop(len(x)) {
			return
		}
	}
}

// row reduces the row at x to the output's element y.
func (j *sumJob[T]) row(p *pace, x, y int) (stopped bool) {
	row := j.x[x : x+j.red]
	m := 0.0
	if j.term == kernel.Exp1 && len(row) > 0 {
		m = expShift(kernel.FoldRow(kernel.FoldMax, row[0], row))
	}
	var lanes kernel.Lanes
	lanes.Clear(j.term)
	for r := 0; r < j.red; r += reduceBlock {
		end := min(j.red, r+reduceBlock)
		j.addRow(&lanes, x+r, x+end, m)
		if p.Stop(end - r) {
			return true
		}
	}
	j.y[y] = j.round(j.finish(lanes.Sum(j.term), m))
	return false
}

// addRow adds the terms of the elements from..to-1 to the lanes.
func (j *sumJob[T]) addRow(lanes *kernel.Lanes, from, to int, m float64) {
	f, ok := any(j).(*sumJob[float32])
	switch {
	case ok && j.term == kernel.Value:
		kernel.AddValuesRow(j.level, lanes, f.x[from:to])
	case ok && j.term == kernel.Square:
		kernel.AddSquaresRow(j.level, lanes, f.x[from:to], 0)
	default:
		kernel.AddRow(j.term, lanes, j.x[from:to], m)
	}
}

// columns reduces w columns at x to the output's elements from y on.
func (j *sumJob[T]) columns(p *pace, sums *kernel.Columns, x, y, w int) (stopped bool) {
	if f, ok := any(j).(*sumJob[float32]); ok && j.level != kernel.Go && j.term != kernel.Product && j.red > 0 {
		return sumColumns(f, p, sums, x, y, w)
	}
	var m [kernel.Width]float64
	if j.term == kernel.Exp1 && j.red > 0 {
		most := j.y[y : y+w]
		copy(most, j.x[x:x+w])
		for r := 1; r < j.red; r++ {
			at := x + r*j.inner
			kernel.FoldColumns(kernel.FoldMax, most, j.x[at:at+w])
		}
		for k, v := range most {
			m[k] = expShift(v)
		}
	}
	sums.Clear(j.term, j.red, w)
	for r := range j.red {
		at := x + r*j.inner
		kernel.AddColumns(j.term, sums, r, j.x[at:at+w], &m)
		if p.Stop(w) {
			return true
		}
	}
	sums.Sum(j.term, j.red, w)
	for k := range w {
		j.y[y+k] = j.round(j.finish(sums[0][k], m[k]))
	}
	return false
}

// sumColumns is columns of float32 at a level of vectors.
func sumColumns(j *sumJob[float32], p *pace, sums *kernel.Columns, x, y, w int) (stopped bool) {
	var shift [kernel.Width]float64
	result := j.y[y : y+w]
	if j.term == kernel.Exp1 {
		copy(result, j.x[x:])
		for r := 1; r < j.red; r++ {
			kernel.MaxVector(j.level, result, result, j.x[x+r*j.inner:])
		}
		for k, v := range result {
			shift[k] = expShift(v)
			result[k] = float32(shift[k])
		}
		var total [kernel.Width]float64
		if addExpColumns(j.level, p, sums, &total, nil, j.x[x:], j.red, j.inner, result) {
			return true
		}
		j.finishAll(result, total[:w], shift[:w])
		return false
	}
	if block := reduceBlock / kernel.Width; j.red <= block {
		kernel.SumColumns(j.level, j.term, sums, j.x[x:], j.red, j.inner, w)
		if p.Stop(j.red * w) {
			return true
		}
	} else {
		sums.Clear(j.term, j.red, w)
		for r := 0; r < j.red; r += block {
			rows := min(block, j.red-r)
			kernel.AddColumnRows(j.level, j.term, sums, j.x[x+r*j.inner:], rows, j.inner, w)
			if p.Stop(rows * w) {
				return true
			}
		}
		sums.Sum(j.term, j.red, w)
	}
	j.finishAll(result, sums[0][:w], shift[:w])
	return false
}

// expShift is the number that is taken from the exponents of a sum so that
// none overflows: their maximum, 0 where that is infinite.
func expShift[T reducible](most T) float64 {
	if m := float64(most); !math.IsInf(m, 0) {
		return m
	}
	return 0
}

// finish makes the result of the sum s of a row whose exponents were shifted
// by m.
func (j *sumJob[T]) finish(s, m float64) float64 {
	if j.red == 0 && j.kind != reduceProd {
		s = 0
	}
	switch j.kind {
	case reduceMean:
		return s / float64(j.red)
	case reduceL2:
		return math.Sqrt(s)
	case reduceLogSum:
		return math.Log(s)
	case reduceLogSumExp:
		return math.Log(s) + m
	}
	return s
}

// finishAll is finish of many sums of elements, of which there is one at least.
func (j *sumJob[T]) finishAll(y []float32, sums, shift []float64) {
	switch j.kind {
	case reduceSum, reduceL1, reduceSumSquare:
		for i, s := range sums {
			y[i] = float32(s)
		}
	case reduceMean:
		n := float64(j.red)
		for i, s := range sums {
			y[i] = float32(s / n)
		}
	default:
		for i, s := range sums {
			y[i] = float32(j.finish(s, shift[i]))
		}
	}
}
