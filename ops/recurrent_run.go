package ops

import (
	"math"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/recur-ml/recur/internal/fault"
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

// recurrentCore computes a node with sums and states of type T.
type recurrentCore[T singleOrDouble] struct {
	*recurrent
	form   gateForm
	cells  []recurrentCell[T] // one a direction
	packed *gateWeights[T]    // nil when the weights come with a run
	codecs [3]floatCodec[T]   // of T, float16 and bfloat16
	early  bool               // a test wants reversed rows to start in the padding
	shared bool               // and the second direction to have the first one's weights
}

func newRecurrentCore[T singleOrDouble](r *recurrent, newCell func(*recurrent, []activation) recurrentCell[T]) *recurrentCore[T] {
	k := &recurrentCore[T]{recurrent: r, form: r.form(r),
		codecs: [...]floatCodec[T]{codecOf[T](onnx.TypeOf[T]()), codecOf[T](onnx.Float16), codecOf[T](onnx.BFloat16)},
		early:  fault.Is(fault.Start),
		shared: fault.Is(fault.SecondWeights),
	}
	for d := range r.directions() {
		k.cells = append(k.cells, newCell(r, r.activations[d*len(r.recurrentOp.activations):]))
	}
	return k
}

// codecFor gives the codec of an element type.
func (k *recurrentCore[T]) codecFor(d onnx.DataType) floatCodec[T] {
	switch d {
	case onnx.Float16:
		return k.codecs[1]
	case onnx.BFloat16:
		return k.codecs[2]
	}
	return k.codecs[0]
}

const (
	// dealt is the number of rows that a thread is given at least: the tile
	// of the product loops.
	dealt = 4
	// blockBytes is about what the operands and sums of a block of time steps
	// may take, so that they stay in the cache between a block's product with
	// W and the steps.
	blockBytes = 256 << 10
	// stopWork is the number of multiplications after which a thread looks
	// whether the run was cancelled.
	stopWork = 1 << 20
)

// threadWork is the number of multiplications that make it worth while to wake
// a thread. Tests change it.
var threadWork = 1 << 18

// recurrentRun is one call of a node.
//
// The rows of the batch are sorted by length, the longest first, so that those
// that are still running are always the first ones. They are dealt to units of
// at most four rows like cards, unit u taking rows u, u+units, u+2*units, ...
// of the sorted list: whatever units a thread gets, its share of the long rows
// is fair, and taken round by round its rows are sorted again.
type recurrentRun[T singleOrDouble] struct {
	*recurrentCore[T]
	ctx     *Ctx
	size    recurrentSizes
	codec   floatCodec[T]
	weights *gateWeights[T]
	own     gateWeights[T] // when they were not packed at load

	in    [recurrentInputs]*onnx.Tensor
	out   [recurrentOutputs]*onnx.Tensor
	lens  []int32 // nil: every row has length T
	units int     // of a direction

	// Distances in elements from one time, row or direction to the next.
	xTime, xRow              int
	yTime, yRow, yDirection  int
	stateRow, stateDirection int

	// Memory. Unit u of direction d owns dealt rows of each, from row
	// dealt*(d*units+u) on; of x and sums a row is block time steps.
	sorted, rows      []int64 // sorted is of the whole batch
	h, next, c, reset []T
	x, sums           []T
	block             int

	compute func(lo, hi int) // the method of that name
}

// Run computes the node.
func (k *recurrentCore[T]) Run(c *Ctx, in, _ []onnx.Value) error {
	r := Local[recurrentRun[T]](c)
	if r.compute == nil {
		r.compute = r.computeUnits
	}
	r.recurrentCore, r.ctx = k, c
	defer r.forget()
	if err := r.bind(in); err != nil {
		return err
	}
	if err := r.makeOutputs(); err != nil {
		return err
	}
	if err := r.bringWeights(); err != nil {
		return err
	}
	if err := r.allocate(); err != nil {
		return err
	}
	r.clearRest()
	r.sortRows()
	work := dealt * r.size[dimT] * r.weights.panels * r.weights.stride // of a unit
	c.Parallel(r.directions()*r.units, 1+threadWork/max(work, 1), r.compute)
	return c.Err()
}

// forget lets go of what the run held.
func (r *recurrentRun[T]) forget() { *r = recurrentRun[T]{compute: r.compute} }

// bind takes the inputs and checks all of them.
func (r *recurrentRun[T]) bind(in []onnx.Value) error {
	var shapes [recurrentInputs][]int
	for i := range min(r.inputs(), len(in)) {
		if in[i] == nil {
			continue
		}
		t, ok := in[i].(*onnx.Tensor)
		if !ok {
			return onnx.Errorf(onnx.ErrType, "%s is %s, want a tensor", recurrentInputNames[i], in[i].Type().Name())
		}
		want := onnx.Int32
		if i != inLens {
			want = in[inX].(*onnx.Tensor).DataType()
		}
		if t.DataType() != want {
			return onnx.Errorf(onnx.ErrType, "%s has elements of %v, want %v", recurrentInputNames[i], t.DataType(), want)
		}
		if shapes[i] = t.Shape(); shapes[i] == nil {
			shapes[i] = []int{}
		}
		if r.has[i] {
			r.in[i] = t
		}
	}
	var err error
	if r.size, err = r.measure(&shapes); err != nil {
		return err
	}
	if limit := r.ctx.Limits().TimeSteps; r.size[dimT] > limit {
		return &onnx.LimitError{What: "time steps", Got: int64(r.size[dimT]), Max: int64(limit)}
	}
	if t := r.in[inLens]; t != nil {
		r.lens = onnx.Elements[int32](t)
		for b, l := range r.lens {
			if err := checkRowLength(b, int64(l), r.size[dimT]); err != nil {
				return err
			}
		}
	}
	if r.size[dimB] > math.MaxInt/16 { // no memory holds a state of so many rows
		return &onnx.LimitError{What: "batch_size", Got: int64(r.size[dimB]), Max: math.MaxInt / 16}
	}
	r.codec = r.codecFor(r.in[inX].DataType())
	r.units = (r.size[dimB] + dealt - 1) / dealt
	r.stride()
	return nil
}

// stride sets the distances; layout 1 changes nothing else.
func (r *recurrentRun[T]) stride() {
	steps, batch, input, hidden, directions := r.size[dimT], r.size[dimB], r.size[dimI], r.size[dimH], r.size[dimD]
	if r.batchFirst {
		r.xTime, r.xRow = input, steps*input
		r.yDirection, r.yTime, r.yRow = hidden, directions*hidden, steps*directions*hidden
		r.stateDirection, r.stateRow = hidden, directions*hidden
		return
	}
	r.xRow, r.xTime = input, batch*input
	r.yRow, r.yDirection, r.yTime = hidden, batch*hidden, directions*batch*hidden
	r.stateRow, r.stateDirection = hidden, batch*hidden
}

func (r *recurrentRun[T]) length(row int) int {
	if r.lens == nil {
		return r.size[dimT]
	}
	return int(r.lens[row])
}

// makeOutputs makes the wanted outputs.
func (r *recurrentRun[T]) makeOutputs() error {
	sequence := [4]int{r.size[dimT], r.size[dimD], r.size[dimB], r.size[dimH]}
	state := [3]int{r.size[dimD], r.size[dimB], r.size[dimH]}
	if r.batchFirst {
		sequence = [4]int{r.size[dimB], r.size[dimT], r.size[dimD], r.size[dimH]}
		state = [3]int{r.size[dimB], r.size[dimD], r.size[dimH]}
	}
	for i := range r.outputs() {
		if !r.ctx.Wants(i) {
			continue
		}
		shape := state[:]
		if i == outY {
			shape = sequence[:]
		}
		t, err := r.ctx.New(i, r.in[inX].DataType(), shape)
		if err != nil {
			return err
		}
		if r.silent[i] {
			clear(t.Bytes())
			continue
		}
		r.out[i] = t
	}
	return nil
}

// bringWeights finds the weights as packed at load, or packs those of the run.
func (r *recurrentRun[T]) bringWeights() error {
	if r.weights = r.packed; r.weights != nil {
		return nil
	}
	w, src, directions := &r.own, r.packing(&r.in, &r.size), r.size[dimD]
	w.lay(&r.form, &r.size)
	var err error
	takeScratch(r.ctx, &err, &src.line, max(r.size[dimI], r.size[dimH]))
	takeScratch(r.ctx, &err, &w.panel, directions, w.panels, w.stride)
	takeScratch(r.ctx, &err, &w.bias, directions, w.panels, w.span)
	if src.p != nil {
		takeScratch(r.ctx, &err, &w.peepholes, src.p.Len())
	}
	for i := 0; err == nil && i < directions*w.panels; i++ {
		src.pack(w, i/w.panels, i%w.panels)
		err = r.ctx.Err()
	}
	if err == nil && src.p != nil {
		src.packPeepholes(w)
	}
	r.weights = w
	return err
}

// takeScratch makes dst a slice of Scratch, of a product of sizes, unless err tells
// that one before it failed.
func takeScratch[T onnx.Element](c *Ctx, err *error, dst *[]T, sizes ...int) {
	if *err != nil {
		return
	}
	n := 1
	for _, s := range sizes {
		hi, lo := bits.Mul64(uint64(n), uint64(s))
		if hi != 0 || lo > math.MaxInt {
			*err = &onnx.LimitError{What: "scratch elements", Got: math.MaxInt64, Max: math.MaxInt}
			return
		}
		n = int(lo)
	}
	*dst, *err = Scratch[T](c, n)
}

// allocate takes the memory of all units.
func (r *recurrentRun[T]) allocate() error {
	rows, hidden, input := r.directions()*r.units*dealt, r.size[dimH], r.size[dimI]
	sums := r.weights.panels * r.weights.span
	perRow := (sums + input) * int(unsafe.Sizeof(T(0)))
	r.block = max(1, min(r.size[dimT], blockBytes/perRow/max(r.units*dealt, 1)))
	var err error
	takeScratch(r.ctx, &err, &r.h, rows, hidden)
	takeScratch(r.ctx, &err, &r.next, rows, hidden)
	if r.cellState {
		takeScratch(r.ctx, &err, &r.c, rows, hidden)
	}
	if len(r.form.products) > 2 {
		takeScratch(r.ctx, &err, &r.reset, rows, hidden)
	}
	takeScratch(r.ctx, &err, &r.x, rows, r.block, input)
	takeScratch(r.ctx, &err, &r.sums, rows, r.block, sums)
	takeScratch(r.ctx, &err, &r.sorted, r.size[dimB])
	takeScratch(r.ctx, &err, &r.rows, rows)
	return err
}

// clearRest clears what no step writes: Y past a row's end, and all of a row
// of length 0, whose Y_h and Y_c are zero even where there is an initial
// state.
func (r *recurrentRun[T]) clearRest() {
	if r.lens == nil && r.size[dimT] > 0 {
		return
	}
	for row := range r.size[dimB] {
		for d := range r.directions() {
			for t := r.length(row); t < r.size[dimT] && r.out[outY] != nil; t++ {
				r.zero(outY, t*r.yTime+d*r.yDirection+row*r.yRow)
			}
			if r.length(row) == 0 {
				r.zero(outH, d*r.stateDirection+row*r.stateRow)
				r.zero(outC, d*r.stateDirection+row*r.stateRow)
			}
		}
	}
}

// zero clears H elements of an output.
func (r *recurrentRun[T]) zero(i, at int) {
	if t := r.out[i]; t != nil {
		size := t.DataType().Size()
		clear(t.Bytes()[at*size:][:r.size[dimH]*size])
	}
}

// sortRows sorts the rows of the batch by length, the longest first.
func (r *recurrentRun[T]) sortRows() {
	for i := range r.sorted {
		r.sorted[i] = int64(i)
	}
	if r.lens != nil {
		slices.SortStableFunc(r.sorted, func(a, b int64) int { return int(r.lens[b]) - int(r.lens[a]) })
	}
}

// computeUnits computes units lo..hi-1 of all directions' units.
func (r *recurrentRun[T]) computeUnits(lo, hi int) {
	for lo < hi {
		d := lo / r.units
		end := min(hi, (d+1)*r.units)
		s := r.strand(d, lo-d*r.units, end-d*r.units)
		s.walk()
		lo = end
	}
}

// strand is what one thread computes at a time: some rows of a direction, all
// their steps.
type strand[T singleOrDouble] struct {
	*recurrentRun[T]
	d    int
	rows []int64 // those still running, the longest first
	step int
	// The states and block operands of the rows.
	h, next, c, reset []T
	x, sums           []T
	work              int // multiplications since the last look at ctx
}

// strand takes the rows of units lo..hi-1 of direction d.
func (r *recurrentRun[T]) strand(d, lo, hi int) strand[T] {
	from, rows := (d*r.units+lo)*dealt, (hi-lo)*dealt
	part := func(all []T, row int) []T {
		if all == nil {
			return nil
		}
		return all[from*row:][:rows*row]
	}
	s := strand[T]{recurrentRun: r, d: d, rows: r.rows[from : from : from+rows]}
	s.h, s.next, s.c, s.reset = part(r.h, r.size[dimH]), part(r.next, r.size[dimH]), part(r.c, r.size[dimH]), part(r.reset, r.size[dimH])
	s.x, s.sums = part(r.x, r.block*r.size[dimI]), part(r.sums, r.block*r.weights.panels*r.weights.span)
	for round := r.sorted; len(round) > 0; round = round[min(r.units, len(round)):] {
		for _, row := range round[min(lo, len(round)):min(hi, len(round))] {
			if r.length(int(row)) > 0 {
				s.rows = append(s.rows, row)
			}
		}
	}
	return s
}

// walk computes all steps of the rows, in blocks: the product with W of a
// block's steps at once, then step after step. Each sum is stored between the
// two and taken up again, so the cut changes no bit.
func (s *strand[T]) walk() {
	s.start()
	for len(s.rows) > 0 {
		steps, total := s.gather()
		if !s.multiplyX(total) {
			return
		}
		first := 0
		for range steps {
			n := len(s.rows)
			if !s.advance(first, n, total) {
				return
			}
			first += n
		}
	}
}

// start brings the initial states.
func (s *strand[T]) start() {
	hidden := s.size[dimH]
	for i, row := range s.rows {
		s.initial(s.h[i*hidden:][:hidden], inH, row)
		if s.cellState {
			s.initial(s.c[i*hidden:][:hidden], inC, row)
		}
	}
}

func (s *strand[T]) initial(dst []T, i int, row int64) {
	if s.in[i] == nil {
		clear(dst)
		return
	}
	s.codec.load(dst, s.in[i], s.d*s.stateDirection+int(row)*s.stateRow)
}

// time is the place in X and Y that a row's step has. A reversed row starts at
// its own last element.
func (s *strand[T]) time(row int64, step int) int {
	switch {
	case !s.reverse[s.d]:
		return step
	case s.early:
		return s.size[dimT] - 1 - step
	}
	return s.length(int(row)) - 1 - step
}

// gather copies what the next steps read of X to s.x, step after step, for
// each the rows that then still run. It gives the number of steps and of rows
// of s.x.
func (s *strand[T]) gather() (steps, total int) {
	input := s.size[dimI]
	live, room := len(s.rows), s.block*cap(s.rows)
	for live > 0 && total+live <= room {
		for i, row := range s.rows[:live] {
			s.codec.load(s.x[(total+i)*input:][:input], s.in[inX], s.time(row, s.step+steps)*s.xTime+int(row)*s.xRow)
		}
		total += live
		steps++
		for live > 0 && s.length(int(s.rows[live-1])) == s.step+steps {
			live--
		}
	}
	return steps, total
}

// panelSums gives the sums of a panel in a block of total rows, from row first
// on. A block's sums lie panel by panel, for each row a span.
func (s *strand[T]) panelSums(panel, first, total int) []T {
	return s.sums[(panel*total+first)*s.weights.span:]
}

// multiplyX starts the sums of a block from the bias and adds the product with
// W. It reports whether to go on.
func (s *strand[T]) multiplyX(total int) bool {
	span := s.weights.span
	for p := range s.weights.panels {
		bias := s.weights.bias[(s.d*s.weights.panels+p)*span:][:span]
		sums := s.panelSums(p, 0, total)
		for i := range total {
			copy(sums[i*span:], bias)
		}
		if !s.multiply(0, p, total, sums, s.x) {
			return false
		}
	}
	return true
}

// multiply adds product k of a panel's units to the sums of some rows. It
// reports false when the run was cancelled.
func (s *strand[T]) multiply(k, panel, rows int, sums, operand []T) bool {
	product := s.form.products[k]
	depth, width := product.depth(&s.size), len(product.gates)*s.weights.lanes
	w := s.weights.panel[(s.d*s.weights.panels+panel)*s.weights.stride+s.weights.at[k]:]
	kernel.MulAdd(sums[product.at*s.weights.lanes:], s.weights.span, operand, depth, rows, depth, w, width)
	if s.work += rows * depth * width; s.work < stopWork {
		return true
	}
	s.work = 0
	return s.ctx.Err() == nil
}

// advance computes a step of the n rows that still run, whose sums begin at
// row first of a block of total.
func (s *strand[T]) advance(first, n, total int) bool {
	cell, hidden := s.cells[s.d], s.size[dimH]
	p := gatePanel[T]{span: s.weights.span, lanes: s.weights.lanes, rows: n, hidden: hidden,
		h: s.h, next: s.next, c: s.c, reset: s.reset}
	if all := s.weights.peepholes; all != nil {
		p.peepholes = all[s.d*3*hidden:][:3*hidden]
	}
	for phase, product := range s.form.products[1:] {
		operand := s.h
		if product.of == ofReset {
			operand = s.reset
		}
		for i := range s.weights.panels {
			p.sums = s.panelSums(i, first, total)
			if !s.multiply(1+phase, i, n, p.sums, operand) {
				return false
			}
			p.first = i * p.lanes
			p.units = min(p.lanes, hidden-p.first)
			cell.point(phase, p)
		}
	}
	s.h, s.next = s.next, s.h
	s.write()
	s.step++
	return true
}

// write stores what the step gave: Y, and the last states of the rows that are
// finished, which are then let go.
func (s *strand[T]) write() {
	hidden := s.size[dimH]
	if y := s.out[outY]; y != nil {
		for i, row := range s.rows {
			at := s.time(row, s.step)*s.yTime + s.d*s.yDirection + int(row)*s.yRow
			s.codec.store(y, at, s.h[i*hidden:][:hidden])
		}
	}
	for n := len(s.rows) - 1; n >= 0 && s.length(int(s.rows[n])) == s.step+1; n-- {
		at := s.d*s.stateDirection + int(s.rows[n])*s.stateRow
		if t := s.out[outH]; t != nil {
			s.codec.store(t, at, s.h[n*hidden:][:hidden])
		}
		if t := s.out[outC]; t != nil {
			s.codec.store(t, at, s.c[n*hidden:][:hidden])
		}
		s.rows = s.rows[:n]
	}
}
