package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "SequenceEmpty", Since: []int{11}, Infer: inferSequenceEmpty, Build: buildSequenceEmpty},
		Op{Name: "SequenceConstruct", Since: []int{11}, Infer: inferSequenceConstruct, Build: plainBuild(runSequenceConstruct)},
		Op{Name: "SequenceInsert", Since: []int{11}, Infer: inferSequenceInsert, Build: buildWithInput(2, runSequenceInsert)},
		Op{Name: "SequenceErase", Since: []int{11}, Infer: inferSequenceErase, Build: buildWithInput(1, runSequenceErase)},
		Op{Name: "SequenceAt", Since: []int{11}, Infer: inferSequenceAt, Build: plainBuild(runSequenceAt)},
		Op{Name: "SequenceLength", Since: []int{11}, Infer: inferSequenceLength, Build: plainBuild(runSequenceLength)},
		Op{Name: "SplitToSequence", Since: []int{11, 24}, Infer: inferSplitToSequence, Build: buildSplitToSequence},
		Op{Name: "ConcatFromSequence", Since: []int{11}, Infer: inferConcatFromSequence, Build: buildConcatFromSequence},
	)
}

// plainBuild is the Build of an operator without attributes.
func plainBuild(run KernelFunc) func(*Node) (Kernel, error) {
	return func(*Node) (Kernel, error) { return run, nil }
}

// buildWithInput is plainBuild for a kernel that honours optional input i.
func buildWithInput(i int, run KernelFunc) func(*Node) (Kernel, error) {
	return func(n *Node) (Kernel, error) {
		n.Has(i)
		return run, nil
	}
}

// items gives the type of the elements of sequence input i, as far as known.
func (n *Node) items(i int) onnx.Type {
	if t := n.In(i).Type; t.Kind == onnx.KindSequence && t.Of != nil {
		return *t.Of
	}
	return onnx.TensorType(onnx.Undefined, nil)
}

// itemType is the type that a sequence declares for elements like v: without
// a shape, in which they may differ.
func itemType(v onnx.Value) onnx.Type {
	t := v.Type()
	t.Shape = nil
	return t
}

func sequenceOf(v onnx.Value, name string) (*onnx.Sequence, error) {
	s, ok := v.(*onnx.Sequence)
	if !ok || s == nil {
		return nil, onnx.Errorf(onnx.ErrType, "%s is no sequence", name)
	}
	return s, nil
}

// sequencePosition reads a place in a sequence, counted from the back when negative:
// -n..n-1, and also n where places are between elements.
func sequencePosition(v onnx.Value, n int, between bool) (int, error) {
	p, err := integerOf(v, "position")
	if err != nil {
		return 0, err
	}
	last := n - 1
	if between {
		last = n
	}
	at := p
	if at < 0 {
		at += int64(n)
	}
	if at < 0 || at > int64(last) {
		return 0, onnx.Errorf(onnx.ErrShape, "position %d, the sequence has %d elements: want %d..%d", p, n, -n, last)
	}
	return int(at), nil
}

func sequenceEmptyType(n *Node) (onnx.Type, error) {
	d := onnx.DataType(n.Int("dtype", int64(onnx.Float)))
	if !d.Valid() {
		return onnx.Type{}, onnx.Errorf(onnx.ErrType, "dtype %d is no element type", d)
	}
	return onnx.TensorType(d, nil), nil
}

func inferSequenceEmpty(n *Node) error {
	t, err := sequenceEmptyType(n)
	if err == nil {
		n.Set(0, onnx.SequenceType(t))
	}
	return err
}

func buildSequenceEmpty(n *Node) (Kernel, error) {
	t, err := sequenceEmptyType(n)
	if err != nil {
		return nil, err
	}
	empty := &onnx.Sequence{Elem: t}
	return KernelFunc(func(_ *Ctx, _, out []onnx.Value) error {
		out[0] = empty
		return nil
	}), nil
}

func inferSequenceConstruct(n *Node) error {
	t := n.In(0).Type
	for i := range n.NumInputs() {
		if !n.Has(i) {
			return onnx.Errorf(onnx.ErrMalformed, "inputs[%d] is missing", i)
		}
		var err error
		if t, err = mergeTypes(t, n.In(i).Type); err != nil {
			return onnx.Errorf(onnx.ErrType, "inputs[%d]: %v", i, err)
		}
	}
	if !t.Known() {
		t = onnx.TensorType(onnx.Undefined, nil)
	}
	n.Set(0, onnx.SequenceType(t))
	return nil
}

func runSequenceConstruct(c *Ctx, in, out []onnx.Value) error {
	s := &onnx.Sequence{Items: make([]onnx.Value, len(in))}
	for i, v := range in {
		t, ok := v.(*onnx.Tensor)
		if !ok {
			return onnx.Errorf(onnx.ErrType, "inputs[%d] is no tensor", i)
		}
		if i == 0 {
			s.Elem = itemType(t)
		} else if t.DataType() != s.Elem.Elem {
			return onnx.Errorf(onnx.ErrType, "inputs[%d] is of %v, inputs[0] of %v", i, t.DataType(), s.Elem.Elem)
		}
		s.Items[i] = c.Own(t)
	}
	out[0] = s
	return nil
}

func inferSequenceInsert(n *Node) error {
	t, err := mergeTypes(n.items(0), n.In(1).Type)
	if err != nil {
		return onnx.Errorf(onnx.ErrType, "tensor does not fit into the sequence: %v", err)
	}
	if !t.Known() {
		t = onnx.TensorType(onnx.Undefined, nil)
	}
	n.Set(0, onnx.SequenceType(t))
	return nil
}

// itemList is the items of sequences of which each is the one before and a
// tensor more: they share it, so that a loop that grows a sequence copies no
// list, and counts no item, in every iteration. It holds each item once.
type itemList struct {
	items []onnx.Value
	refs  int
}

// Retain counts one more holder of a sequence over the list.
func (l *itemList) Retain() { l.refs++ }

// Release counts one holder less; the last one lets go of the items.
func (l *itemList) Release() {
	if l.refs--; l.refs > 0 {
		return
	}
	for _, item := range l.items {
		if b := item.(*onnx.Tensor).Buffer(); b != nil {
			b.Release()
		}
	}
	l.items = nil
}

// add puts a tensor behind the others.
func (l *itemList) add(t *onnx.Tensor) {
	if b := t.Buffer(); b != nil {
		b.Retain()
	}
	l.items = append(l.items, t)
}

// listOf gives the list that s is the whole of, else a new one of its items;
// nil when these are no tensors.
func listOf(s *onnx.Sequence) *itemList {
	if l, ok := s.Buffer().(*itemList); ok && len(l.items) == len(s.Items) {
		return l
	}
	for _, item := range s.Items {
		if t, ok := item.(*onnx.Tensor); !ok || t == nil {
			return nil
		}
	}
	l := &itemList{items: make([]onnx.Value, 0, 2*len(s.Items)+2)}
	for _, item := range s.Items {
		l.add(item.(*onnx.Tensor))
	}
	return l
}

// runSequenceInsert leaves the old sequence as it is, which may have other
// holders.
func runSequenceInsert(c *Ctx, in, out []onnx.Value) error {
	s, err := sequenceOf(in[0], "input_sequence")
	if err != nil {
		return err
	}
	t, ok := in[1].(*onnx.Tensor)
	if !ok {
		return onnx.Errorf(onnx.ErrType, "tensor: want a tensor")
	}
	if s.Elem.Elem != onnx.Undefined && s.Elem.Elem != t.DataType() {
		return onnx.Errorf(onnx.ErrType, "tensor is of %v, the sequence of %v", t.DataType(), s.Elem.Elem)
	}
	at := len(s.Items)
	if len(in) > 2 && in[2] != nil {
		if at, err = sequencePosition(in[2], len(s.Items), true); err != nil {
			return err
		}
	}
	if n := len(s.Items); at == n {
		if l := listOf(s); l != nil {
			l.add(c.Own(t).(*onnx.Tensor))
			out[0] = onnx.CountedSequence(itemType(t), l.items[:n+1:n+1], l)
			return nil
		}
	}
	items := make([]onnx.Value, 0, len(s.Items)+1)
	items = append(items, s.Items[:at]...)
	items = append(items, c.Own(t))
	items = append(items, s.Items[at:]...)
	out[0] = &onnx.Sequence{Elem: itemType(t), Items: items}
	return nil
}

func inferSequenceErase(n *Node) error {
	n.Set(0, onnx.SequenceType(n.items(0)))
	return nil
}

func runSequenceErase(_ *Ctx, in, out []onnx.Value) error {
	s, err := sequenceOf(in[0], "input_sequence")
	if err != nil {
		return err
	}
	at := len(s.Items) - 1
	if len(in) > 1 && in[1] != nil {
		if at, err = sequencePosition(in[1], len(s.Items), false); err != nil {
			return err
		}
	}
	if at < 0 {
		return onnx.Errorf(onnx.ErrShape, "the sequence is empty")
	}
	items := make([]onnx.Value, 0, len(s.Items)-1)
	items = append(append(items, s.Items[:at]...), s.Items[at+1:]...)
	out[0] = &onnx.Sequence{Elem: s.Elem, Items: items}
	return nil
}

func inferSequenceAt(n *Node) error {
	n.Set(0, n.items(0))
	return nil
}

func runSequenceAt(_ *Ctx, in, out []onnx.Value) error {
	s, err := sequenceOf(in[0], "input_sequence")
	if err != nil {
		return err
	}
	at, err := sequencePosition(in[1], len(s.Items), false)
	if err != nil {
		return err
	}
	out[0] = s.Items[at]
	return nil
}

func inferSequenceLength(n *Node) error {
	n.SetTensor(0, onnx.Int64, onnx.Shape{})
	return nil
}

func runSequenceLength(c *Ctx, in, out []onnx.Value) error {
	s, err := sequenceOf(in[0], "input_sequence")
	if err != nil {
		return err
	}
	t, err := c.New(0, onnx.Int64, nil)
	if err != nil {
		return err
	}
	onnx.Elements[int64](t)[0] = int64(len(s.Items))
	return nil
}

// splitToSequence cuts a tensor along an axis: without the input split into
// slices of size 1, of which keepdims = 0 drops the axis; with a scalar into
// parts of that size, the last one smaller; with a list into parts of those
// sizes.
type splitToSequence struct {
	axis int64
	keep bool
}

func readSplitToSequence(n *Node) *splitToSequence {
	return &splitToSequence{axis: n.Int("axis", 0), keep: n.Bool("keepdims", true)}
}

func inferSplitToSequence(n *Node) error {
	s := readSplitToSequence(n)
	t := onnx.TensorType(n.Elem(0), nil)
	shape := n.Shape(0).Clone()
	if shape.Ranked() {
		axis, err := Axis(s.axis, len(shape))
		if err != nil {
			return err
		}
		size := shape[axis]
		shape[axis] = onnx.UnknownDim
		switch {
		case !n.Has(1) && !s.keep:
			shape = slices.Delete(shape, axis, axis+1)
		case !n.Has(1):
			shape[axis] = onnx.Fixed(1)
		default:
			if lengths, ok := n.ConstInts(1); ok {
				d, err := splitPartSize(lengths, n.Content(1).Scalar, size)
				if err != nil {
					return err
				}
				shape[axis] = d
			}
		}
		t.Shape = shape
	}
	n.Set(0, onnx.SequenceType(t))
	return nil
}

// splitPartSize is the size that all parts of a dimension have, if they have one.
func splitPartSize(lengths []int64, scalar bool, size onnx.Dim) (onnx.Dim, error) {
	if scalar {
		if lengths[0] <= 0 {
			return onnx.UnknownDim, onnx.Errorf(onnx.ErrShape, "split is %d, want at least 1", lengths[0])
		}
		if size.Known() && int64(size.Value)%lengths[0] == 0 {
			return onnx.Fixed(int(lengths[0])), nil
		}
		return onnx.UnknownDim, nil
	}
	if size.Known() {
		if err := checkSplitParts(lengths, size.Value); err != nil {
			return onnx.UnknownDim, err
		}
	}
	for _, l := range lengths {
		if l != lengths[0] || l < 0 || int64(int(l)) != l {
			return onnx.UnknownDim, nil
		}
	}
	if len(lengths) == 0 {
		return onnx.UnknownDim, nil
	}
	return onnx.Fixed(int(lengths[0])), nil
}

func checkSplitParts(lengths []int64, size int) error {
	left := int64(size)
	for i, l := range lengths {
		if l < 0 || l > left {
			return onnx.Errorf(onnx.ErrShape, "split[%d] is %d, %d of %d elements are left", i, l, left, size)
		}
		left -= l
	}
	if left != 0 {
		return onnx.Errorf(onnx.ErrShape, "the parts of split sum to %d, the axis has %d elements", int64(size)-left, size)
	}
	return nil
}

func buildSplitToSequence(n *Node) (Kernel, error) {
	n.Has(1)
	return readSplitToSequence(n), nil
}

// itemBytes is about what an element of a sequence costs besides its data.
const itemBytes = 256

// reserveItems holds the number of items that a kernel is about to make
// against the run's budget.
func reserveItems(c *Ctx, n int) error {
	if n <= 1024 {
		return nil
	}
	if n > int(^uint(0)>>1)/itemBytes {
		return &onnx.LimitError{What: "elements of a sequence", Got: int64(n), Max: int64(^uint(0)>>1) / itemBytes}
	}
	_, err := Scratch[byte](c, n*itemBytes)
	return err
}

func (s *splitToSequence) Run(c *Ctx, in, out []onnx.Value) error {
	x, ok := in[0].(*onnx.Tensor)
	if !ok {
		return onnx.Errorf(onnx.ErrType, "input is no tensor")
	}
	axis, err := Axis(s.axis, x.Rank())
	if err != nil {
		return err
	}
	size := x.Shape()[axis]
	keep, each := s.keep, int64(1)
	var lengths []int64
	if len(in) > 1 && in[1] != nil {
		keep = true
		split, ok := in[1].(*onnx.Tensor)
		if !ok {
			return onnx.Errorf(onnx.ErrType, "split is no tensor")
		}
		switch split.Rank() {
		case 0:
			if each, err = integerOf(split, "split"); err != nil {
				return err
			}
			if each <= 0 {
				return onnx.Errorf(onnx.ErrShape, "split is %d, want at least 1", each)
			}
		case 1:
			if lengths, err = splitLengths(split); err != nil {
				return err
			}
			if err := checkSplitParts(lengths, size); err != nil {
				return err
			}
		default:
			return onnx.Errorf(onnx.ErrShape, "split is %v, want a scalar or a list", split)
		}
	}
	parts := len(lengths)
	if lengths == nil {
		parts = int((int64(size) + min(each, int64(size)+1) - 1) / min(each, int64(size)+1))
	}
	if err := reserveItems(c, parts); err != nil {
		return err
	}
	items := make([]onnx.Value, 0, parts)
	for at := 0; len(items) < parts; {
		n := int(min(each, int64(size-at)))
		if lengths != nil {
			n = int(lengths[len(items)])
		}
		if len(items)&1023 == 0 {
			if err := c.Err(); err != nil {
				return err
			}
		}
		item, err := sequencePart(c, x, axis, at, n, keep)
		if err != nil {
			return err
		}
		items = append(items, item)
		at += n
	}
	out[0] = &onnx.Sequence{Elem: itemType(x), Items: items}
	return nil
}

// splitLengths reads a tensor of int32 or int64; the result is not nil.
func splitLengths(v onnx.Value) ([]int64, error) {
	if t, ok := v.(*onnx.Tensor); ok && t.DataType() == onnx.Int32 {
		out := make([]int64, t.Len())
		for i, x := range onnx.Elements[int32](t) {
			out[i] = int64(x)
		}
		return out, nil
	}
	d, err := onnx.Data[int64](v)
	if d == nil {
		d = []int64{}
	}
	return d, err
}

// sequencePart gives n elements of an axis as a tensor that a sequence may keep: a
// view where they are contiguous. Without keep, n is 1 and the axis goes.
func sequencePart(c *Ctx, x *onnx.Tensor, axis, at, n int, keep bool) (*onnx.Tensor, error) {
	outer, count, inner := split3(x.Shape(), axis)
	shape := slices.Clone(x.Shape())
	shape[axis] = n
	if !keep {
		shape = slices.Delete(shape, axis, axis+1)
	}
	if outer == 1 || n == count {
		from, to := at*inner, (at+n)*inner
		if n == count {
			from, to = 0, x.Len()
		}
		t := &onnx.Tensor{}
		if x.DataType() == onnx.String {
			t.Reset(onnx.String, shape, nil, x.Strings()[from:to:to], nil)
		} else {
			size := x.DataType().Size()
			t.Reset(x.DataType(), shape, x.Bytes()[from*size:to*size:to*size], nil, x.Buffer())
		}
		return t, nil
	}
	t, err := ownTemp(c, x.DataType(), shape)
	if err != nil {
		return nil, err
	}
	for o := range outer {
		copyElements(t, o*n*inner, x, (o*count+at)*inner, n*inner)
	}
	return t, nil
}

// ownTemp makes a tensor over new memory that a sequence may keep.
func ownTemp(c *Ctx, d onnx.DataType, shape []int) (*onnx.Tensor, error) {
	t := &onnx.Tensor{}
	if err := c.Temp(t, d, shape); err != nil {
		return nil, err
	}
	own := c.Own(t).(*onnx.Tensor) // holds the memory until the outputs have been taken
	if own != t {
		Release(t)
	}
	return own, nil
}

// concatFromSequence joins the elements of a sequence along an axis, or with
// newAxis stacks them along one more.
type concatFromSequence struct {
	axis    int64
	newAxis bool
}

func readConcatFromSequence(n *Node) (*concatFromSequence, error) {
	s := &concatFromSequence{axis: n.Int("axis", 0)}
	if !n.HasAttr("axis") {
		return nil, onnx.Errorf(onnx.ErrMalformed, `attribute "axis" is missing`)
	}
	switch v := n.Int("new_axis", 0); v {
	case 0, 1:
		s.newAxis = v == 1
	default:
		return nil, onnx.Errorf(onnx.ErrMalformed, "new_axis is %d, want 0 or 1", v)
	}
	return s, nil
}

// place gives the axis of the result, for elements of the given rank.
func (s *concatFromSequence) place(rank int) (int, error) {
	if s.newAxis {
		rank++
	}
	if rank == 0 {
		return 0, onnx.Errorf(onnx.ErrShape, "the elements are scalars: they can only be stacked along a new axis")
	}
	return Axis(s.axis, rank)
}

func inferConcatFromSequence(n *Node) error {
	s, err := readConcatFromSequence(n)
	if err != nil {
		return err
	}
	item := n.items(0)
	shape := item.Shape.Clone()
	if shape.Ranked() {
		axis, err := s.place(len(shape))
		if err != nil {
			return err
		}
		if s.newAxis {
			shape = slices.Insert(shape, axis, onnx.UnknownDim)
		} else {
			shape[axis] = onnx.UnknownDim
		}
	}
	n.SetTensor(0, item.Elem, shape)
	return nil
}

func buildConcatFromSequence(n *Node) (Kernel, error) { return readConcatFromSequence(n) }

func (s *concatFromSequence) Run(c *Ctx, in, out []onnx.Value) error {
	seq, err := sequenceOf(in[0], "input_sequence")
	if err != nil {
		return err
	}
	if len(seq.Items) == 0 {
		return onnx.Errorf(onnx.ErrShape, "the sequence is empty: the result's shape is not defined")
	}
	var first *onnx.Tensor
	axis, total := 0, 0
	for i, v := range seq.Items {
		t, ok := v.(*onnx.Tensor)
		if !ok {
			return onnx.Errorf(onnx.ErrType, "element %d is no tensor", i)
		}
		if i == 0 {
			first = t
			if axis, err = s.place(t.Rank()); err != nil {
				return err
			}
		}
		if t.DataType() != first.DataType() || t.Rank() != first.Rank() {
			return onnx.Errorf(onnx.ErrShape, "element %d is %v, element 0 %v", i, t, first)
		}
		for k, d := range t.Shape() {
			if d != first.Shape()[k] && (s.newAxis || k != axis) {
				return onnx.Errorf(onnx.ErrShape, "element %d is %v, element 0 %v: they differ in dimension %d", i, t, first, k)
			}
		}
		if s.newAxis {
			total++
			continue
		}
		if total += t.Shape()[axis]; total < 0 {
			return onnx.Errorf(onnx.ErrShape, "the elements have too many elements together")
		}
	}
	shape := slices.Clone(first.Shape())
	if s.newAxis {
		shape = slices.Insert(shape, axis, total)
	} else {
		shape[axis] = total
	}
	y, err := c.New(0, first.DataType(), shape)
	if err != nil {
		return err
	}
	outer, _, inner := split3(shape, axis)
	if y.Len() == 0 {
		return nil
	}
	at := 0
	for i, v := range seq.Items {
		if i&255 == 0 {
			if err := c.Err(); err != nil {
				return err
			}
		}
		t := v.(*onnx.Tensor)
		run := t.Len() / outer
		for o := range outer {
			copyElements(y, o*total*inner+at, t, o*run, run)
		}
		at += run
	}
	return nil
}
