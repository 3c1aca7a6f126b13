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
	cells  []recurrentCell[T]      // one a direction
	packed *packed[gateWeights[T]] // nil when the weights come with a run
	elem   onnx.DataType           // of the weights that are packed
	fixed  recurrentSizes          // what their shapes tell
	codecs [3]floatCodec[T]        // of T, float16 and bfloat16
	early  bool                    // a test wants reversed rows to start in the padding
	shared bool                    // and the second direction to have the first one's weights

	quantizing bool // the cells are quantizers
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
)

// threadWork is the number of multiplications that make it worth while to wake
// a thread. Tests change it.
var threadWork = 5 << 20

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
	pitch, xPitch     int // from one row of a state, of x, to the next

	compute func(lo, hi int) // the method computeUnits

	// Where several threads compute one strand.
	team             *team
	meeting          func(lo, hi int) // the method meet
	shares, perShare int              // of a phase, panels of one
	told             strand[T]        // the leader's, before the first phase
}

// Run computes the node.
func (k *recurrentCore[T]) Run(c *Ctx, in, _ []onnx.Value) error {
	r := Local[recurrentRun[T]](c)
	if r.compute == nil {
		r.compute, r.meeting, r.team = r.computeUnits, r.meet, &team{}
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
	if r.shares = r.cut(); r.shares > 1 {
		r.team.open()
		c.Parallel(r.shares, 1, r.meeting)
		return c.Err()
	}
	units, grain := r.directions()*r.units, 1+threadWork/max(1, dealt*r.size[dimT]*r.weights.work())
	if r.quantizing {
		grain = units
	}
	c.Parallel(units, grain, r.compute)
	return c.Err()
}

// forget lets go of what the run held.
func (r *recurrentRun[T]) forget() {
	*r = recurrentRun[T]{compute: r.compute, meeting: r.meeting, team: r.team}
}

// bind takes the inputs and checks all of them.
func (r *recurrentRun[T]) bind(in []onnx.Value) error {
	if !r.bindFitting(in) {
		if err := r.bindAny(in); err != nil {
			return err
		}
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

// bindFitting takes the inputs beside weights that are packed, where all of them
// fit these, and reports whether they do. bindAny says what is wrong.
func (r *recurrentRun[T]) bindFitting(in []onnx.Value) bool {
	x, ok := in[inX].(*onnx.Tensor)
	if r.packed == nil || !ok || x.Rank() != 3 || x.DataType() != r.elem || x.Shape()[2] != r.fixed[dimI] {
		return false
	}
	r.size = r.fixed
	r.size[dimT], r.size[dimB] = x.Shape()[0], x.Shape()[1]
	state := [3]int{r.size[dimD], r.size[dimB], r.size[dimH]}
	if r.batchFirst {
		r.size[dimT], r.size[dimB] = r.size[dimB], r.size[dimT]
		state[0], state[1] = r.size[dimB], state[0]
	}
	r.in[inX] = x
	for _, i := range [...]int{inLens, inH, inC} {
		if i >= len(in) || in[i] == nil {
			continue
		}
		t, ok := in[i].(*onnx.Tensor)
		switch {
		case !ok:
			return false
		case i == inLens && (t.DataType() != onnx.Int32 || t.Rank() != 1 || t.Len() != r.size[dimB]):
			return false
		case i != inLens && (t.DataType() != r.elem || !slices.Equal(t.Shape(), state[:])):
			return false
		case r.has[i]:
			r.in[i] = t
		}
	}
	return true
}

// bindAny is bind for any inputs.
func (r *recurrentRun[T]) bindAny(in []onnx.Value) error {
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
	r.size, err = r.measure(&shapes)
	return err
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
	if r.packed != nil {
		r.weights = r.packed.get()
		return nil
	}
	w, src, directions := &r.own, r.packing(&r.in, &r.size), r.size[dimD]
	w.lay(&r.form, &r.size, r.level)
	var err error
	takeScratch(r.ctx, &err, &src.line, max(r.size[dimI], r.size[dimH]))
	takeScratch(r.ctx, &err, &w.panel, directions, w.stride[0])
	takeScratch(r.ctx, &err, &w.bias, directions, w.panels, w.span)
	if src.p != nil {
		takeScratch(r.ctx, &err, &w.peepholes, directions, 3, w.units)
	}
	// Rounded as constants are, for a program in which these are constants may
	// serve the next run; but for this run alone float16 is not worth making.
	w.rounded = err == nil && r.half && src.fitHalf()
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
	rows, hidden, input := r.directions()*r.units*dealt, r.weights.units, r.size[dimI]
	if r.weights.level != kernel.Go {
		hidden, input = apart(hidden), apart(input)
	}
	r.pitch, r.xPitch = hidden, input
	sums := r.weights.row
	perRow := (sums + input) * int(unsafe.Sizeof(T(0)))
	r.block = max(1, min(r.size[dimT], blockBytes/perRow/max(r.units*dealt, 1)))
	if r.size[dimB] == 1 && r.size[dimT] >= besideSteps && r.hasBeside() {
		r.block = max(r.block, besideBlock)
	}
	var m slab
	state, other := m.piece(unsafe.Sizeof(T(0)), rows, hidden), m.piece(unsafe.Sizeof(T(0)), rows, hidden)
	var c, reset extent
	if r.cellState {
		c = m.piece(unsafe.Sizeof(T(0)), rows, hidden)
	}
	if r.form.products[len(r.form.products)-1].of == ofReset {
		reset = m.piece(unsafe.Sizeof(T(0)), rows, hidden)
	}
	xs := m.piece(unsafe.Sizeof(T(0)), rows*r.block, input)
	all := m.piece(unsafe.Sizeof(T(0)), rows*r.block, sums)
	batch, some := m.piece(8, r.size[dimB], 1), m.piece(8, rows, 1)
	if err := m.take(r.ctx); err != nil {
		return err
	}
	r.h, r.next, r.c, r.reset = pieceOf[T](&m, state), pieceOf[T](&m, other), pieceOf[T](&m, c), pieceOf[T](&m, reset)
	r.x, r.sums = pieceOf[T](&m, xs), pieceOf[T](&m, all)
	r.sorted, r.rows = pieceOf[int64](&m, batch), pieceOf[int64](&m, some)
	return nil
}

// apart rounds the length of a row up so that rows begin cache lines, and not
// ones that a cache has in the same place.
func apart(n int) int {
	if n = (n + 15) &^ 15; n%128 == 0 {
		n += 16
	}
	return n
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
