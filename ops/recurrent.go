package ops

import (
	"github.com/recur-ml/recur/internal/fault"
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

// RNN, GRU and LSTM are one machine with three cells. What they share is here
// and in the files recurrent_*.go: attributes, shapes, directions, lengths,
// layout, initial states, optional outputs, the walk over the time steps.
// rnn.go, gru.go and lstm.go own what is between one state and the next.
//
// T is seq_length, B batch_size, I input_size, H hidden_size, D the number of
// directions, G the number of gates: the blocks of H rows in W and R.

// The places of inputs and outputs. The last two inputs and the last output
// are LSTM's.
const (
	inX = iota
	inW
	inR
	inB
	inLens
	inH
	inC
	inP
	recurrentInputs
)

const (
	outY = iota
	outH
	outC
	recurrentOutputs
)

// recurrentInputNames are the specification's names.
var recurrentInputNames = [recurrentInputs]string{"X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"}
var recurrentOutputNames = [recurrentOutputs]string{"Y", "Y_h", "Y_c"}

// recurrentOp is one of the operators as data.
type recurrentOp struct {
	name        string
	since       []int
	gates       int                         // G
	activations []string                    // the defaults of one direction
	cellState   bool                        // the state has a second half, C
	transposed  bool                        // W is [D, I, G*H], R is [D, H, G*H]
	attributes  func(n *Node, r *recurrent) // reads the operator's own; may be nil
	form        func(r *recurrent) gateForm
	cell32      func(r *recurrent, f []activation) recurrentCell[float32]
	cell64      func(r *recurrent, f []activation) recurrentCell[float64]
}

func (op *recurrentOp) inputs() int {
	if op.cellState {
		return recurrentInputs
	}
	return inC
}

func (op *recurrentOp) outputs() int {
	if op.cellState {
		return recurrentOutputs
	}
	return outC
}

// row makes the operator's row of the table.
func (op *recurrentOp) row() Op {
	return Op{Name: op.name, Since: op.since, Infer: op.infer, Build: op.build}
}

// recurrent is a node as its attributes describe it.
type recurrent struct {
	*recurrentOp
	level       Level        // of the kernel
	half        bool         // Analysis.HalfWeights
	hidden      int          // hidden_size; 0 when only R tells it
	reverse     []bool       // for each direction, whether it starts at the end
	batchFirst  bool         // layout 1
	clip        float32      // 0: none
	activations []activation // of one direction after the other
	// linearBeforeReset and inputForget are GRU's and LSTM's.
	linearBeforeReset, inputForget bool

	has     [recurrentInputs]bool  // the inputs that are connected
	silent  [recurrentOutputs]bool // outputs that a test switched off
	formals [recurrentInputs][]recurrentDim
}

func (r *recurrent) directions() int { return len(r.reverse) }

// maxHidden bounds hidden_size, so that no product of it with the numbers of
// this file overflows; R of such a size has 2^54 elements.
const maxHidden = 1<<27 - 1

// decode reads a node's attributes and asks for its inputs and outputs.
func (op *recurrentOp) decode(n *Node) (*recurrent, error) {
	r := &recurrent{recurrentOp: op, level: n.Level(), half: n.scope.analysis.HalfWeights}
	for i := range op.inputs() {
		r.has[i] = n.Has(i) && !fault.Is(fault.Input(recurrentInputNames[i]))
	}
	for i := range op.outputs() {
		n.Wants(i)
		r.silent[i] = fault.Is(fault.Output(recurrentOutputNames[i]))
	}
	var err error
	if r.reverse, err = parseDirection(n); err != nil {
		return nil, err
	}
	if r.activations, err = parseActivations(n, op.activations, r.directions()); err != nil {
		return nil, err
	}
	if n.HasAttr("hidden_size") {
		h := n.Int("hidden_size", 0)
		if h < 1 || h > maxHidden {
			return nil, onnx.Errorf(onnx.ErrMalformed, "hidden_size is %d, want 1..%d", h, maxHidden)
		}
		r.hidden = int(h)
	}
	if n.HasAttr("clip") {
		r.clip = n.Float("clip", 0)
		if !(r.clip > 0) {
			return nil, onnx.Errorf(onnx.ErrMalformed, "clip is %v, want a number above 0", r.clip)
		}
		if fault.Is(fault.Clip) {
			r.clip = 0
		}
	}
	if n.Since >= 14 {
		layout := n.Int("layout", 0)
		if layout != 0 && layout != 1 {
			return nil, onnx.Errorf(onnx.ErrMalformed, "layout is %d, want 0 or 1", layout)
		}
		r.batchFirst = layout == 1 && !fault.Is(fault.Layout)
	}
	if n.Since < 7 {
		n.Int("output_sequence", 0) // Y may be left out, which its absence says as well
	}
	if op.attributes != nil {
		op.attributes(n, r)
	}
	r.declare()
	return r, n.Err()
}

// parseDirection reads the attribute direction. GRU-1's schema spells its own
// default "foward".
func parseDirection(n *Node) ([]bool, error) {
	back := !fault.Is(fault.Direction)
	switch d := n.Str("direction", "forward"); {
	case d == "forward", d == "foward" && n.Since == 1 && n.Op.Name == "GRU":
		return []bool{false}, nil
	case d == "reverse":
		return []bool{back}, nil
	case d == "bidirectional":
		return []bool{false, back}, nil
	default:
		return nil, onnx.Errorf(onnx.ErrMalformed, "direction is %q, want forward, reverse or bidirectional", d)
	}
}

// infer checks what is known of the shapes and gives those of the outputs.
func (op *recurrentOp) infer(n *Node) error {
	r, err := op.decode(n)
	if err != nil {
		return err
	}
	var shapes [recurrentInputs][]int
	elem := onnx.Undefined
	for i := range op.inputs() {
		if s := n.Shape(i); s.Ranked() {
			shapes[i] = make([]int, len(s))
			for k, d := range s {
				shapes[i][k] = d.Value
			}
		}
		if elem == onnx.Undefined && i != inLens {
			elem = n.Elem(i)
		}
	}
	size, err := r.measure(&shapes)
	if err != nil {
		return err
	}
	if lens, ok := n.ConstInts(inLens); ok && size[dimT] >= 0 {
		for b, l := range lens {
			if err := checkRowLength(b, l, size[dimT]); err != nil {
				return err
			}
		}
	}
	var dims [symbols]onnx.Dim
	for s, v := range size {
		dims[s] = onnx.Dim{Value: v}
	}
	if x := n.Shape(inX); x.Ranked() { // for the names of what is not known
		for k, e := range r.formals[inX] {
			if !dims[e.of].Known() {
				dims[e.of] = x[k]
			}
		}
	}
	state := onnx.Shape{dims[dimD], dims[dimB], dims[dimH]}
	sequence := onnx.Shape{dims[dimT], dims[dimD], dims[dimB], dims[dimH]}
	if r.batchFirst {
		state = onnx.Shape{dims[dimB], dims[dimD], dims[dimH]}
		sequence = onnx.Shape{dims[dimB], dims[dimT], dims[dimD], dims[dimH]}
	}
	n.SetTensor(outY, elem, sequence)
	n.SetTensor(outH, elem, state)
	if op.cellState {
		n.SetTensor(outC, elem, state)
	}
	return nil
}

// build makes the kernel: for the element type of the inputs, or for either
// where that shows only at run.
func (op *recurrentOp) build(n *Node) (Kernel, error) {
	r, err := op.decode(n)
	if err != nil {
		return nil, err
	}
	k := &recurrentKernel{
		single: newRecurrentCore(r, op.cell32),
		double: newRecurrentCore(r, op.cell64),
	}
	if n.Elem(inW) == onnx.Double {
		return k, k.double.packConstants(n)
	}
	return k, k.single.packConstants(n)
}

// recurrentKernel computes 16-bit types as float32: their states are rounded
// only where they are written to an output.
type recurrentKernel struct {
	single *recurrentCore[float32]
	double *recurrentCore[float64]
}

func (k *recurrentKernel) Run(c *Ctx, in, out []onnx.Value) error {
	x, _ := in[inX].(*onnx.Tensor)
	switch {
	case x == nil:
		return onnx.Errorf(onnx.ErrType, "X is not a tensor")
	case x.DataType() == onnx.Double:
		return k.double.Run(c, in, out)
	case x.DataType() == onnx.Float, x.DataType() == onnx.Float16, x.DataType() == onnx.BFloat16:
		return k.single.Run(c, in, out)
	}
	return onnx.Errorf(onnx.ErrType, "X has elements of %v, want a floating-point type of 16 bits or more", x.DataType())
}

// singleOrDouble is what the recurrent operators compute in.
type singleOrDouble interface{ float32 | float64 }

// recurrentCell is what an operator does between its sums and its next state.
type recurrentCell[T singleOrDouble] interface {
	// point computes phase 0, 1, ... of a step for some rows of a panel: what
	// follows product 1, 2, ... of the form.
	point(phase int, p gatePanel[T])
}

// gatePanel is a run of units, the lanes, for some rows of the batch; or for a
// single row of the batch, several such runs, one after the other as if each
// was a row.
type gatePanel[T singleOrDouble] struct {
	level kernel.Level
	sums  []T // a row has lanes of the first sum, of the second, ...
	span  int // from a row of the sums to the next
	lanes int
	rows  int
	// The lanes that a cell computes: those that stand for units, at a level
	// of vectors all, since there the states have room for the ones past H.
	units int

	// The states: h and c before the step (c is to be overwritten), next is h
	// after it, reset is what ofReset says.
	h, next, c, reset []T
	pitch             int // from a row of the states to the next
	scale             T   // what a quantizer gave
	first             int // unit of the first lane
	peepholes         []T // P of the direction: i o f; nil when there is none
	all               int // units of a part of it
	along             int // from a row's units in it to the next row's
}

// sum gives sum j of a row.
func (p *gatePanel[T]) sum(row, j int) []T {
	return p.sums[row*p.span+j*p.lanes:][:p.units]
}

// of gives the panel's units of a row of a state.
func (p *gatePanel[T]) of(state []T, row int) []T {
	return state[row*p.pitch+p.first:][:p.units]
}

// peephole gives the panel's units of part k of P.
func (p *gatePanel[T]) peephole(row, k int) []T {
	return p.peepholes[k*p.all+row*p.along+p.first:][:p.units]
}

// fused gives the panel as the arguments of a fused loop, which reads state and
// writes next.
func (p *gatePanel[T]) fused(clip T, state, next []T) kernel.Cells {
	c := kernel.Cells{
		Sums: any(p.sums).([]float32), Span: p.span, Lanes: p.units,
		State: any(state[p.first:]).([]float32), Next: any(next[p.first:]).([]float32), Pitch: p.pitch, Rows: p.rows,
		Clip: float32(clip), Part: p.all, Along: p.along,
	}
	if p.peepholes != nil {
		c.Peepholes = any(p.peepholes[p.first:]).([]float32)
	}
	return c
}

// quantizer is a cell that wants the operand ofReset made of the whole state
// before each step, looking across all rows: those are then not cut between
// threads.
type quantizer[T singleOrDouble] interface {
	// quantize fills reset, of the rows that still run, and gives the scale
	// of its elements. h has these rows and then, with their last states,
	// those that are finished.
	quantize(reset, h []T) (scale T)
}

// clipSums is the clipping of sums; 0 means none.
func clipSums[T singleOrDouble](v []T, clip T) {
	if clip > 0 {
		kernel.Bound(v, clip)
	}
}
