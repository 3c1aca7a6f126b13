package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "Scan", Since: []int{8, 9, 11, 16, 19, 21, 23, 24, 25}, Infer: inferScan, Build: buildScan},
	)
}

// scanSpec is a Scan's attributes and the numbers that follow from them.
type scanSpec struct {
	first       int // the first state among the node's inputs: 1 in version 8
	lead        int // axes before the scanned one that the body does not see: the batch of version 8
	states      int
	scanIns     int
	scanOuts    int
	inAxes      []int64
	outAxes     []int64
	inReversed  []bool
	outReversed []bool
}

func readScan(n *Node) (*scanSpec, error) {
	s := &scanSpec{scanIns: int(n.Int("num_scan_inputs", 0))}
	inDirs, outDirs := "scan_input_directions", "scan_output_directions"
	if n.Since == 8 {
		s.first, s.lead = 1, 1
		inDirs, outDirs = "directions", ""
	}
	s.states = n.NumInputs() - s.first - s.scanIns
	if s.scanIns < 1 || s.states < 0 {
		return nil, onnx.Errorf(onnx.ErrMalformed, "num_scan_inputs is %d, with %d inputs", s.scanIns, n.NumInputs()-s.first)
	}
	g := n.GraphAttr("body")
	if err := n.Err(); err != nil {
		return nil, err
	}
	s.scanOuts = len(g.Outputs) - s.states
	if s.scanOuts < 0 || len(g.Inputs) != s.states+s.scanIns || n.NumOutputs() > len(g.Outputs) {
		return nil, onnx.Errorf(onnx.ErrMalformed, "%d states and %d scan inputs, %d outputs; the body has %d inputs and %d outputs",
			s.states, s.scanIns, n.NumOutputs(), len(g.Inputs), len(g.Outputs))
	}
	var err error
	if s.inReversed, err = directions(n, inDirs, s.scanIns); err != nil {
		return nil, err
	}
	s.outReversed = make([]bool, s.scanOuts)
	s.inAxes, s.outAxes = make([]int64, s.scanIns), make([]int64, s.scanOuts)
	if n.Since > 8 {
		if s.outReversed, err = directions(n, outDirs, s.scanOuts); err != nil {
			return nil, err
		}
		if s.inAxes, err = axes(n, "scan_input_axes", s.scanIns); err != nil {
			return nil, err
		}
		if s.outAxes, err = axes(n, "scan_output_axes", s.scanOuts); err != nil {
			return nil, err
		}
	}
	return s, n.Err()
}

func directions(n *Node, name string, count int) ([]bool, error) {
	out := make([]bool, count)
	list := n.Ints(name)
	if list != nil && len(list) != count {
		return nil, onnx.Errorf(onnx.ErrMalformed, "%s has %d entries, want %d", name, len(list), count)
	}
	for i, v := range list {
		if v != 0 && v != 1 {
			return nil, onnx.Errorf(onnx.ErrMalformed, "%s[%d] is %d, want 0 (forward) or 1 (reverse)", name, i, v)
		}
		out[i] = v == 1
	}
	return out, nil
}

func axes(n *Node, name string, count int) ([]int64, error) {
	list := n.Ints(name)
	if list == nil {
		return make([]int64, count), nil
	}
	if len(list) != count {
		return nil, onnx.Errorf(onnx.ErrMalformed, "%s has %d entries, want %d", name, len(list), count)
	}
	return list, nil
}

// infos infers the body. length is the number of iterations, as far as known.
func (s *scanSpec) infos(n *Node) (in, out []Info, length onnx.Dim, err error) {
	length = onnx.UnknownDim
	var states, elems []Info
	for i := range s.states {
		t := n.In(s.first + i).Type
		if s.lead > 0 && t.Shape.Ranked() {
			if len(t.Shape) == 0 {
				return nil, nil, length, onnx.Errorf(onnx.ErrShape, "state %d is a scalar, want a batch axis", i)
			}
			t.Shape = t.Shape[1:]
		}
		states = append(states, Info{Type: t})
	}
	for i := range s.scanIns {
		t := n.In(s.first + s.states + i).Type
		if t.Known() && t.Kind != onnx.KindTensor {
			return nil, nil, length, onnx.Errorf(onnx.ErrType, "scan input %d is a %s, want a tensor", i, t.Name())
		}
		if t.Shape.Ranked() {
			axis, err := Axis(s.inAxes[i], len(t.Shape)-s.lead)
			if err != nil {
				return nil, nil, length, onnx.Errorf(onnx.ErrShape, "scan input %d: %v", i, err)
			}
			d := t.Shape[s.lead+axis]
			switch {
			case !length.Known():
				if d.Known() || length.Name == "" {
					length = d
				}
			case d.Known() && d.Value != length.Value:
				return nil, nil, length, onnx.Errorf(onnx.ErrShape, "scan input %d has %d elements to scan, another one %d", i, d.Value, length.Value)
			}
			t.Shape = slices.Delete(t.Shape.Clone(), s.lead+axis, s.lead+axis+1)[s.lead:]
		}
		elems = append(elems, Info{Type: t})
	}
	in, out, err = loopBody(n, "body", nil, states, elems, 0)
	return in, out, length, err
}

func inferScan(n *Node) error {
	s, err := readScan(n)
	if err != nil {
		return err
	}
	in, out, length, err := s.infos(n)
	if err != nil {
		return err
	}
	batch := onnx.UnknownDim
	for i := s.first; s.lead > 0 && i < n.NumInputs(); i++ {
		if sh := n.Shape(i); len(sh) > 0 && !batch.Known() {
			batch = sh[0]
		}
	}
	lead := func(t onnx.Type) onnx.Type {
		if s.lead == 0 {
			return t
		}
		return stackedType(t, batch, 0)
	}
	for i := range n.NumOutputs() {
		if i < s.states {
			n.Set(i, lead(in[i].Type))
			continue
		}
		t, axis := out[i].Type, 0
		if t.Shape.Ranked() {
			if axis, err = Axis(s.outAxes[i-s.states], len(t.Shape)+1); err != nil {
				return onnx.Errorf(onnx.ErrShape, "scan output %d: %v", i-s.states, err)
			}
		}
		n.Set(i, lead(stackedType(t, length, axis)))
	}
	return nil
}

func buildScan(n *Node) (Kernel, error) {
	s, err := readScan(n)
	if err != nil {
		return nil, err
	}
	in, _, _, err := s.infos(n)
	if err != nil {
		return nil, err
	}
	if err := n.Body("body", in); err != nil {
		return nil, err
	}
	n.Has(0) // version 8: sequence_lens
	return &scan{spec: s, declared: n.GraphAttr("body").Outputs}, nil
}

type scan struct {
	spec     *scanSpec
	declared []onnx.ValueInfo // the body's outputs
}

// scanLocal is what a Scan keeps for a frame.
type scanLocal struct {
	args  []onnx.Value
	elems []onnx.Tensor // the slices of the scan inputs
	rows  []onnx.Tensor // version 8: the states of one batch row
	shape []int
	outs  []*onnx.Tensor
}

func (l *scanLocal) release() {
	for i := range l.elems {
		Release(&l.elems[i])
	}
	clear(l.args)
	clear(l.outs)
}

func (s *scan) Run(c *Ctx, in, out []onnx.Value) error {
	sp := s.spec
	loc := Local[scanLocal](c)
	if loc.elems == nil {
		loc.elems = make([]onnx.Tensor, sp.scanIns)
		loc.rows = make([]onnx.Tensor, sp.states)
		loc.args = make([]onnx.Value, sp.states+sp.scanIns)
		loc.outs = make([]*onnx.Tensor, sp.states+sp.scanOuts)
	}
	defer loc.release()
	length, batch, err := s.sizes(in)
	if err != nil {
		return err
	}
	if limit := c.Limits().LoopIterations; int64(length) > limit {
		return &onnx.LimitError{What: "scan iterations", Got: int64(length), Max: limit}
	}
	if sp.lead == 0 {
		copy(loc.args, in[:sp.states])
		if err := s.iterate(c, loc, in, 0, length, length); err != nil {
			return err
		}
		for i := range min(sp.states, len(out)) {
			out[i] = loc.args[i]
		}
		return nil
	}
	return s.batched(c, loc, in, length, batch)
}

// sizes checks the scan inputs and gives the iterations and, in version 8,
// the batch.
func (s *scan) sizes(in []onnx.Value) (length, batch int, err error) {
	sp := s.spec
	length, batch = -1, -1
	for i := range sp.states + sp.scanIns {
		t, ok := in[sp.first+i].(*onnx.Tensor)
		if !ok {
			if i < sp.states && sp.lead == 0 && in[sp.first+i] != nil {
				continue // a state may be any value
			}
			return 0, 0, onnx.Errorf(onnx.ErrType, "input %d is no tensor", sp.first+i)
		}
		if t.Rank() < sp.lead {
			return 0, 0, onnx.Errorf(onnx.ErrShape, "input %d is a scalar, want a batch axis", sp.first+i)
		}
		if sp.lead > 0 {
			if batch >= 0 && batch != t.Shape()[0] {
				return 0, 0, onnx.Errorf(onnx.ErrShape, "input %d has batch %d, another one %d", sp.first+i, t.Shape()[0], batch)
			}
			batch = t.Shape()[0]
		}
		if i < sp.states {
			continue
		}
		axis, err := Axis(sp.inAxes[i-sp.states], t.Rank()-sp.lead)
		if err != nil {
			return 0, 0, onnx.Errorf(onnx.ErrShape, "scan input %d: %v", i-sp.states, err)
		}
		if n := t.Shape()[sp.lead+axis]; length < 0 {
			length = n
		} else if n != length {
			return 0, 0, onnx.Errorf(onnx.ErrShape, "scan input %d has %d elements to scan, another one %d", i-sp.states, n, length)
		}
	}
	return length, batch, nil
}

// iterate runs the body steps times over batch row b; the stacks of the scan
// outputs have room for length elements. loc.args holds the states.
func (s *scan) iterate(c *Ctx, loc *scanLocal, in []onnx.Value, b, steps, length int) error {
	sp := s.spec
	body := c.Body("body")
	for t := range steps {
		if err := c.Err(); err != nil {
			return err
		}
		for i := range sp.scanIns {
			x := in[sp.first+sp.states+i].(*onnx.Tensor)
			at := t
			if sp.inReversed[i] {
				at = steps - 1 - t
			}
			if err := s.slice(c, loc, &loc.elems[i], x, i, b, at); err != nil {
				return err
			}
			loc.args[sp.states+i] = &loc.elems[i]
		}
		r := body.Results(t & 1)
		if err := body.Run(loc.args, r); err != nil {
			return iterationError(int64(t), err)
		}
		copy(loc.args[:sp.states], r.Values[:sp.states])
		for k := range sp.scanOuts {
			if !c.Wants(sp.states + k) {
				continue
			}
			y, ok := r.Values[sp.states+k].(*onnx.Tensor)
			if !ok {
				return onnx.Errorf(onnx.ErrType, "scan output %d is no tensor", k)
			}
			at := t
			if sp.outReversed[k] {
				at = steps - 1 - t
			}
			if err := s.store(c, loc, k, y, in, b, at, length); err != nil {
				return err
			}
		}
	}
	if steps > 0 {
		return nil
	}
	for k := range sp.scanOuts {
		if i := sp.states + k; c.Wants(i) && loc.outs[i] == nil && sp.lead == 0 {
			if err := emptyStack(c, i, sp.outAxes[k], s.declared[i].Type); err != nil {
				return err
			}
		}
	}
	return nil
}

// slice makes t element at of scan input i: a view along the first axis, a
// copy along another.
func (s *scan) slice(c *Ctx, loc *scanLocal, t, x *onnx.Tensor, i, b, at int) error {
	lead := s.spec.lead
	axis, err := Axis(s.spec.inAxes[i], x.Rank()-lead)
	if err != nil {
		return err
	}
	axis += lead
	loc.shape = append(append(loc.shape[:0], x.Shape()[lead:axis]...), x.Shape()[axis+1:]...)
	outer, count, inner := split3(x.Shape(), axis)
	if axis == lead { // one contiguous run
		from := (b*count + at) * inner
		if x.DataType() == onnx.String {
			Release(t)
			t.Reset(onnx.String, loc.shape, nil, x.Strings()[from:from+inner], nil)
			return nil
		}
		size := x.DataType().Size()
		if buf := x.Buffer(); buf != nil {
			buf.Retain()
		}
		Release(t)
		t.Reset(x.DataType(), loc.shape, x.Bytes()[from*size:(from+inner)*size], nil, x.Buffer())
		return nil
	}
	if err := c.Temp(t, x.DataType(), loc.shape); err != nil {
		return err
	}
	for o := range outer {
		copyElements(t, o*inner, x, (o*count+at)*inner, inner)
	}
	return nil
}

// store puts y into scan output k as element at, in batch row b. The first
// element tells the output's shape.
func (s *scan) store(c *Ctx, loc *scanLocal, k int, y *onnx.Tensor, in []onnx.Value, b, at, length int) error {
	sp := s.spec
	i := sp.states + k
	axis, err := Axis(sp.outAxes[k], y.Rank()+1)
	if err != nil {
		return onnx.Errorf(onnx.ErrShape, "scan output %d: %v", k, err)
	}
	loc.shape = loc.shape[:0]
	if sp.lead > 0 {
		loc.shape = append(loc.shape, in[sp.first].(*onnx.Tensor).Shape()[0])
	}
	axis += sp.lead
	loc.shape = append(loc.shape, y.Shape()[:axis-sp.lead]...)
	loc.shape = append(loc.shape, length)
	loc.shape = append(loc.shape, y.Shape()[axis-sp.lead:]...)
	dst := loc.outs[i]
	if dst == nil {
		if dst, err = c.New(i, y.DataType(), loc.shape); err != nil {
			return err
		}
		if sp.lead > 0 { // rows may be shorter than length: the rest is zero
			clear(dst.Bytes())
		}
		loc.outs[i] = dst
	}
	if dst.DataType() != y.DataType() || !slices.Equal(dst.Shape(), loc.shape) {
		return onnx.Errorf(onnx.ErrShape, "scan output %d: element %d is %v, which does not fit into %v%v", k, at, y, dst.DataType(), append([]int(nil), dst.Shape()...))
	}
	outer, count, inner := split3(dst.Shape(), axis)
	rows := outer
	if sp.lead > 0 {
		rows = outer / max(dst.Shape()[0], 1)
	}
	for o := range rows {
		copyElements(dst, ((b*rows+o)*count+at)*inner, y, o*inner, inner)
	}
	return nil
}

// batched is Scan-8: each row of the batch is scanned on its own, to its own
// length.
func (s *scan) batched(c *Ctx, loc *scanLocal, in []onnx.Value, length, batch int) error {
	sp := s.spec
	var lens []int64
	if in[0] != nil {
		var err error
		if lens, err = onnx.Data[int64](in[0]); err != nil {
			return err
		}
		if len(lens) != batch {
			return onnx.Errorf(onnx.ErrShape, "sequence_lens has %d elements, want %d", len(lens), batch)
		}
	}
	for b := range batch {
		steps := length
		if lens != nil {
			if lens[b] < 0 || lens[b] > int64(length) {
				return onnx.Errorf(onnx.ErrShape, "sequence_lens[%d] = %d, want 0..%d", b, lens[b], length)
			}
			steps = int(lens[b])
		}
		for i := range sp.states {
			x := in[sp.first+i].(*onnx.Tensor)
			_, _, inner := split3(x.Shape(), 0)
			if x.DataType() == onnx.String {
				loc.rows[i].Reset(onnx.String, x.Shape()[1:], nil, x.Strings()[b*inner:(b+1)*inner], nil)
			} else {
				size := x.DataType().Size()
				loc.rows[i].Reset(x.DataType(), x.Shape()[1:], x.Bytes()[b*inner*size:(b+1)*inner*size], nil, x.Buffer())
			}
			loc.args[i] = &loc.rows[i]
		}
		if err := s.iterate(c, loc, in, b, steps, length); err != nil {
			return err
		}
		for i := range sp.states {
			if !c.Wants(i) {
				continue
			}
			t, ok := loc.args[i].(*onnx.Tensor)
			if !ok {
				return onnx.Errorf(onnx.ErrType, "state %d is no tensor", i)
			}
			if err := s.storeState(c, loc, i, t, b, batch); err != nil {
				return err
			}
		}
	}
	for i := range loc.outs { // no row, or none with a step
		if !c.Wants(i) || loc.outs[i] != nil {
			continue
		}
		t, lead := c.OutType(i), []int{batch}
		if i >= sp.states {
			lead = append(lead, length)
		}
		var elem onnx.Shape
		if len(t.Shape) >= len(lead) {
			elem = t.Shape[len(lead):]
		}
		d, err := unseenType(t.Elem, s.declared[i].Type.Elem, i)
		if err != nil {
			return err
		}
		y, err := c.New(i, d, append(lead, unseenSizes(elem, s.declared[i].Type.Shape)...))
		if err != nil {
			return err
		}
		clear(y.Bytes())
	}
	return nil
}

func (s *scan) storeState(c *Ctx, loc *scanLocal, i int, t *onnx.Tensor, b, batch int) error {
	loc.shape = append(append(loc.shape[:0], batch), t.Shape()...)
	dst := loc.outs[i]
	if dst == nil {
		var err error
		if dst, err = c.New(i, t.DataType(), loc.shape); err != nil {
			return err
		}
		loc.outs[i] = dst
	}
	if dst.DataType() != t.DataType() || !slices.Equal(dst.Shape(), loc.shape) {
		return onnx.Errorf(onnx.ErrShape, "state %d is %v in row %d, which does not fit into %v", i, t, b, dst)
	}
	copyElements(dst, b*t.Len(), t, 0, t.Len())
	return nil
}
