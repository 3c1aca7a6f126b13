package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "Concat", Since: []int{1, 4, 11, 13}, Infer: inferConcat, Build: buildConcat},
		Op{Name: "Split", Since: []int{1, 2, 11, 13, 18}, Infer: inferSplit, Build: buildSplit},
	)
}

// concatAxis reads the axis; version 1 has a default of 1.
func concatAxis(n *Node) (int64, error) {
	if !n.HasAttr("axis") && n.Since > 1 {
		return 0, onnx.Errorf(onnx.ErrMalformed, "attribute axis is missing")
	}
	return n.Int("axis", 1), n.Err()
}

func inferConcat(n *Node) error {
	axis, err := concatAxis(n)
	if err != nil {
		return err
	}
	d := onnx.Undefined
	var out onnx.Shape
	for i := range n.NumInputs() {
		if !n.Has(i) {
			return onnx.Errorf(onnx.ErrMalformed, "inputs[%d] is missing", i)
		}
		if d == onnx.Undefined {
			d = n.Elem(i)
		}
		if s := n.Shape(i); out == nil {
			out = s.Clone()
		}
	}
	if out == nil {
		n.SetTensor(0, d, nil)
		return nil
	}
	a, err := Axis(axis, len(out))
	if err != nil {
		return err
	}
	var along []onnx.Dim
	for i := range n.NumInputs() {
		s := n.Shape(i)
		if !s.Ranked() {
			along = append(along, onnx.UnknownDim)
			continue
		}
		if len(s) != len(out) {
			return onnx.Errorf(onnx.ErrShape, "inputs[%d] has rank %d, another one %d", i, len(s), len(out))
		}
		along = append(along, s[a])
		for k := range s {
			if k == a {
				continue
			}
			if out[k], err = mergeDims(out[k], s[k]); err != nil {
				return onnx.Errorf(onnx.ErrShape, "inputs[%d] is of shape %v, which does not fit the others in dimension %d: %v", i, s, k, err)
			}
		}
	}
	out[a] = sumDims(along)
	n.SetTensor(0, d, out)
	if len(out) == 1 {
		n.SetContent(0, concatContent(n))
	}
	return nil
}

// sumDims adds dimensions. A single symbol survives among zeros.
func sumDims(dims []onnx.Dim) onnx.Dim {
	known, rest, unknown := 0, onnx.UnknownDim, 0
	for _, d := range dims {
		if !d.Known() {
			rest = d
			unknown++
			continue
		}
		if known += d.Value; known < 0 {
			return onnx.UnknownDim
		}
	}
	switch {
	case unknown == 0:
		return onnx.Fixed(known)
	case unknown == 1 && known == 0:
		return rest
	}
	return onnx.UnknownDim
}

// concatContent joins the contents of the inputs; those whose length alone is
// known count as unknown elements.
func concatContent(n *Node) *Content {
	out := &Content{}
	if s := n.Out(0).Type.Shape; len(s) == 1 && s[0].Known() {
		if s[0].Value > maxContent {
			return nil
		}
		out.Elems = make([]Sym, 0, s[0].Value)
	}
	for i := range n.NumInputs() {
		c := contentAt(n, i)
		if c == nil {
			s := n.Shape(i)
			if len(s) != 1 || !s[0].Known() || s[0].Value > maxContent {
				return nil
			}
			c = &Content{Elems: make([]Sym, s[0].Value)}
		}
		if c.Scalar {
			return nil
		}
		if out.Elems = append(out.Elems, c.Elems...); len(out.Elems) > maxContent {
			return nil
		}
	}
	return out
}

func buildConcat(n *Node) (Kernel, error) {
	axis, err := concatAxis(n)
	return &concat{axis}, err
}

type concat struct{ axis int64 }

func (k *concat) Run(c *Ctx, in, _ []onnx.Value) error {
	first, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	axis, err := Axis(k.axis, first.Rank())
	if err != nil {
		return err
	}
	m := moverOf(c)
	m.shape = append(m.shape[:0], first.Shape()...)
	for i := 1; i < len(in); i++ {
		x, err := inputTensor(in, i)
		if err != nil {
			return err
		}
		if x.DataType() != first.DataType() {
			return onnx.Errorf(onnx.ErrType, "inputs[%d] is of type %v, the first one of %v", i, x.DataType(), first.DataType())
		}
		fits := x.Rank() == first.Rank()
		for a, d := range x.Shape() {
			fits = fits && (a == axis || d == m.shape[a])
		}
		if !fits {
			return onnx.Errorf(onnx.ErrShape, "inputs[%d] is of shape %v, the first one of %v: want the same but in dimension %d", i, slices.Clone(x.Shape()), slices.Clone(first.Shape()), axis)
		}
		if m.shape[axis] += x.Shape()[axis]; m.shape[axis] < 0 {
			return onnx.Errorf(onnx.ErrShape, "the inputs are too large together")
		}
	}
	if len(in) == 1 {
		_, err := c.View(0, first, m.shape)
		return err
	}
	outer, total, inner := split3(m.shape, axis)
	if done, err := c.joined(0, first.DataType(), m.shape, outer, in); done || err != nil {
		return err
	}
	y, err := c.New(0, first.DataType(), m.shape)
	if err != nil || y.Len() == 0 {
		return err
	}
	at := 0
	for _, v := range in {
		x := v.(*onnx.Tensor)
		n := x.Shape()[axis] * inner
		m.start()
		m.add(outer, total*inner, n)
		m.add(n, 1, 1)
		if err := m.copy(y, at, x, 0); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// splitting cuts a tensor along an axis.
type splitting struct {
	axis    int64
	sizes   []int64 // before version 13: an attribute
	outputs int     // of equal size, when there are no sizes
	uneven  bool    // version 18: the last one may be smaller
	attr    bool
}

func readSplit(n *Node) (*splitting, error) {
	k := &splitting{axis: n.Int("axis", 0), outputs: n.NumOutputs(), attr: n.Since < 13}
	if k.attr {
		k.sizes = n.Ints("split")
	}
	if n.Since == 1 || n.Since >= 13 {
		given := n.Has(1)
		if n.Since == 1 && given && k.sizes != nil {
			return nil, onnx.Errorf(onnx.ErrMalformed, "both the attribute and the input split")
		}
		if n.Since >= 18 {
			if given == n.HasAttr("num_outputs") {
				return nil, onnx.Errorf(onnx.ErrMalformed, "want either the input split or the attribute num_outputs")
			}
			if num := n.Int("num_outputs", int64(k.outputs)); num != int64(k.outputs) {
				return nil, onnx.Errorf(onnx.ErrMalformed, "num_outputs is %d, the node has %d outputs", num, k.outputs)
			}
			k.uneven = true
		}
	}
	return k, n.Err()
}

// size gives the number of elements of output i of an axis that is cut evenly.
func (k *splitting) size(i, total int) (int, error) {
	part := ceilDiv(total, k.outputs)
	switch {
	case part*k.outputs == total:
		return part, nil
	case !k.uneven:
		return 0, onnx.Errorf(onnx.ErrShape, "%d elements cannot be split evenly into %d outputs", total, k.outputs)
	case part*(k.outputs-1) > total:
		return 0, onnx.Errorf(onnx.ErrShape, "%d elements cannot be split into %d outputs of %d, but for the last", total, k.outputs, part)
	case i == k.outputs-1:
		return total - part*i, nil
	}
	return part, nil
}

func inferSplit(n *Node) error {
	k, err := readSplit(n)
	if err != nil {
		return err
	}
	in := n.Shape(0)
	var sizes []Sym
	known := true // where the cuts are, or that they are even
	switch {
	case k.sizes != nil:
		for _, s := range k.sizes {
			sizes = append(sizes, Int(s))
		}
	case n.Has(1):
		c := contentAt(n, 1)
		if known = c != nil && !c.Scalar; known {
			sizes = c.Elems
		}
	}
	if sizes != nil && len(sizes) != n.NumOutputs() {
		return onnx.Errorf(onnx.ErrShape, "split has %d entries, the node %d outputs", len(sizes), n.NumOutputs())
	}
	content := contentAt(n, 0)
	if !in.Ranked() {
		for i := range n.NumOutputs() {
			n.SetTensor(i, n.Elem(0), nil)
		}
		return nil
	}
	axis, err := Axis(k.axis, len(in))
	if err != nil {
		return err
	}
	total, at := in[axis], 0
	if list, ok := (&Content{Elems: sizes}).Ints(); ok && sizes != nil && total.Known() {
		if err := checkSplitParts(list, total.Value); err != nil {
			return err
		}
	}
	for i := range n.NumOutputs() {
		d := onnx.UnknownDim
		switch {
		case sizes != nil:
			d = sizes[i].Dim()
		case known && total.Known():
			size, err := k.size(i, total.Value)
			if err != nil {
				return err
			}
			d = onnx.Fixed(size)
		case known && n.NumOutputs() == 1:
			d = total
		}
		out := in.Clone()
		out[axis] = d
		n.SetTensor(i, n.Elem(0), out)
		if !d.Known() {
			content = nil
		}
		if content != nil && len(in) == 1 && at+d.Value <= len(content.Elems) {
			n.SetContent(i, &Content{Elems: content.Elems[at : at+d.Value]})
			at += d.Value
		}
	}
	return nil
}

func buildSplit(n *Node) (Kernel, error) { return readSplit(n) }

func (k *splitting) Run(c *Ctx, in, out []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	axis, err := Axis(k.axis, x.Rank())
	if err != nil {
		return err
	}
	m := moverOf(c)
	sizes := k.sizes
	if len(in) > 1 && in[1] != nil {
		if sizes, err = m.sizesOfAnyType(in[1], "split"); err != nil {
			return err
		}
	}
	outer, total, inner := split3(x.Shape(), axis)
	if sizes != nil {
		if len(sizes) != len(out) {
			return onnx.Errorf(onnx.ErrShape, "split has %d entries, the node %d outputs", len(sizes), len(out))
		}
		if err := checkSplitParts(sizes, total); err != nil {
			return err
		}
	}
	m.shape = append(m.shape[:0], x.Shape()...)
	at := 0
	for i := range out {
		var size int
		if sizes != nil {
			size = int(sizes[i])
		} else if size, err = k.size(i, total); err != nil {
			return err
		}
		if c.Wants(i) {
			if err := m.part(i, x, axis, outer, total, inner, at, size); err != nil {
				return err
			}
		}
		at += size
	}
	return nil
}

// part makes output i of the elements at..at+size-1 of an axis. m.shape is the
// shape of x but for that axis.
func (m *mover) part(i int, x *onnx.Tensor, axis, outer, total, inner, at, size int) error {
	m.shape[axis] = size
	if size == total {
		_, err := m.c.View(i, x, m.shape)
		return err
	}
	if outer == 1 && size > 0 && m.c.part(i, x, at*inner, m.shape) {
		return nil
	}
	y, err := m.c.New(i, x.DataType(), m.shape)
	if err != nil {
		return err
	}
	m.start()
	m.add(outer, size*inner, total*inner)
	m.add(size*inner, 1, 1)
	return m.copy(y, 0, x, at*inner)
}

// sizesOfAnyType is list for sizes that version 1 of Split has in the data's
// type.
func (m *mover) sizesOfAnyType(v onnx.Value, name string) ([]int64, error) {
	t, ok := v.(*onnx.Tensor)
	if ok && t.DataType().IsFloat() && t.Rank() <= 1 {
		m.lists[0] = m.lists[0][:0]
		for i := range t.Len() {
			f, _ := numberAt(t, i)
			if f != float64(int64(f)) {
				return nil, onnx.Errorf(onnx.ErrShape, "%s[%d] = %v, want a whole number", name, i, f)
			}
			m.lists[0] = append(m.lists[0], int64(f))
		}
		return m.lists[0], nil
	}
	return m.list(0, v, name)
}

// numberAt gives an element of a real numeric tensor, and whether it has one.
// Integers beyond 2^53 are rounded.
func numberAt(t *onnx.Tensor, i int) (float64, bool) {
	switch t.DataType() {
	case onnx.Float:
		return float64(onnx.Elements[float32](t)[i]), true
	case onnx.Double:
		return onnx.Elements[float64](t)[i], true
	case onnx.Float16:
		return float64(onnx.Elements[onnx.F16](t)[i].Float32()), true
	case onnx.BFloat16:
		return float64(onnx.Elements[onnx.BF16](t)[i].Float32()), true
	}
	v, ok := integerAt(t, i)
	return float64(v), ok
}

// integerAt gives an element of an integer or bool tensor, and whether it has
// one that int64 holds.
func integerAt(t *onnx.Tensor, i int) (int64, bool) {
	switch t.DataType() {
	case onnx.Int64:
		return onnx.Elements[int64](t)[i], true
	case onnx.Int32:
		return int64(onnx.Elements[int32](t)[i]), true
	case onnx.Int16:
		return int64(onnx.Elements[int16](t)[i]), true
	case onnx.Int8, onnx.Int4, onnx.Int2:
		return int64(onnx.Elements[int8](t)[i]), true
	case onnx.Uint64:
		v := onnx.Elements[uint64](t)[i]
		return int64(v), v <= 1<<63-1
	case onnx.Uint32:
		return int64(onnx.Elements[uint32](t)[i]), true
	case onnx.Uint16:
		return int64(onnx.Elements[uint16](t)[i]), true
	case onnx.Uint8, onnx.Bool, onnx.Uint4, onnx.Uint2:
		return int64(onnx.Elements[uint8](t)[i]), true
	}
	return 0, false
}
