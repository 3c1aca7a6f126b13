package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(
		Op{Name: "Gather", Since: []int{1, 11, 13}, Infer: inferGather, Build: buildGather},
		Op{Name: "GatherElements", Since: []int{11, 13}, Infer: inferGatherElements, Build: buildGatherElements},
		Op{Name: "GatherND", Since: []int{11, 12, 13}, Infer: inferGatherND, Build: buildGatherND},
	)
}

func inferGather(n *Node) error {
	axis := n.Int("axis", 0)
	in, index := n.Shape(0), n.Shape(1)
	n.SetTensor(0, n.Elem(0), nil)
	if err := n.Err(); err != nil || !in.Ranked() {
		return err
	}
	a, err := Axis(axis, len(in))
	if err != nil {
		return err
	}
	list := n.Content(1)
	if in[a].Known() {
		if err := checkKnownIndices(list, in[a].Value); err != nil {
			return err
		}
	}
	if !index.Ranked() {
		return nil
	}
	n.SetTensor(0, n.Elem(0), append(onnx.Shape{}, slices.Concat(in[:a], index, in[a+1:])...))
	if c := contentAt(n, 0); c != nil && list != nil && len(in) == 1 {
		n.SetContent(0, gatherContent(c, list))
	}
	return nil
}

// checkKnownIndices checks what is known of indices into an axis.
func checkKnownIndices(list *Content, size int) error {
	if list == nil {
		return nil
	}
	for i, e := range list.Elems {
		if e.Known && (e.Value < -int64(size) || e.Value >= int64(size)) {
			return indexError("indices", []int{len(list.Elems)}, i, e.Value, size)
		}
	}
	return nil
}

func gatherContent(c, list *Content) *Content {
	out := &Content{Scalar: list.Scalar, Elems: make([]Sym, len(list.Elems))}
	for i, e := range list.Elems {
		if !e.Known {
			continue
		}
		at := e.Value
		if at < 0 {
			at += int64(len(c.Elems))
		}
		if at >= 0 && at < int64(len(c.Elems)) {
			out.Elems[i] = c.Elems[at]
		}
	}
	return out
}

func buildGather(n *Node) (Kernel, error) {
	axis := n.Int("axis", 0)
	return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error {
		x, err := inputTensor(in, 0)
		if err != nil {
			return err
		}
		index, err := inputTensor(in, 1)
		if err != nil {
			return err
		}
		return moverOf(c).gather(x, index, axis)
	}), nil
}

// gather makes output 0 of the slices of x that index lists.
func (m *mover) gather(x, index *onnx.Tensor, axis int64) error {
	a, err := Axis(axis, x.Rank())
	if err != nil {
		return err
	}
	s := x.Shape()
	m.shape = append(append(append(m.shape[:0], s[:a]...), index.Shape()...), s[a+1:]...)
	if limit := m.c.Limits().Rank; len(m.shape) > limit {
		return &onnx.LimitError{What: "rank", Got: int64(len(m.shape)), Max: int64(limit)}
	}
	outer, size, inner := split3(s, a)
	if index.Len() == 1 {
		return m.gatherOne(x, index, outer, size, inner)
	}
	at, err := m.indexPlaces(index, "indices", size, inner)
	if err != nil {
		return err
	}
	y, err := m.c.New(0, x.DataType(), m.shape)
	if err != nil || y.Len() == 0 {
		return err
	}
	return m.take(y, x, outer, size*inner, at, inner)
}

// gatherOne is gather for a single index, once m.shape is the output's.
func (m *mover) gatherOne(x, index *onnx.Tensor, outer, size, inner int) error {
	var at [1]int
	if err := placesOf(at[:], index, "indices", size, inner); err != nil {
		return err
	}
	if size == 1 {
		_, err := m.c.View(0, x, m.shape)
		return err
	}
	if outer == 1 && inner > 0 && m.c.part(0, x, at[0], m.shape) {
		return nil
	}
	y, err := m.c.New(0, x.DataType(), m.shape)
	if err != nil || y.Len() == 0 {
		return err
	}
	m.start()
	m.add(outer, inner, size*inner)
	m.add(inner, 1, 1)
	return m.copy(y, 0, x, at[0])
}

func inferGatherElements(n *Node) error {
	axis := n.Int("axis", 0)
	in, index := n.Shape(0), n.Shape(1)
	out := index
	if !out.Ranked() && in.Ranked() {
		out = onnx.UnknownShape(len(in))
	}
	n.SetTensor(0, n.Elem(0), out)
	if in.Ranked() {
		a, err := Axis(axis, len(in))
		if err != nil {
			return err
		}
		if err := checkElementIndices(in, index, a); err != nil {
			return err
		}
	}
	if c, list := contentAt(n, 0), n.Content(1); c != nil && list != nil && len(in) == 1 {
		n.SetContent(0, gatherContent(c, list))
	}
	return n.Err()
}

// checkElementIndices holds what is known of the indices' shape against the
// data's: the ranks are equal, and but for the axis no size is greater.
func checkElementIndices(in, index onnx.Shape, axis int) error {
	if !index.Ranked() {
		return nil
	}
	if len(in) != len(index) {
		return onnx.Errorf(onnx.ErrShape, "indices have rank %d, the data has %d", len(index), len(in))
	}
	for i, d := range index {
		if i != axis && d.Known() && in[i].Known() && d.Value > in[i].Value {
			return onnx.Errorf(onnx.ErrShape, "indices are of shape %v, which exceeds the data's %v in dimension %d", index, in, i)
		}
	}
	return nil
}

// elementWalk goes through the rows of an index tensor: all of its dimensions
// but the last.
type elementWalk struct {
	axis      int // of the data
	step      int // of the data, from one element of a row to the next: 0 where the axis is the last
	row, rows int
	pos       []int
}

// elementPlaces checks indices of one number for each element, and gives for
// each what it adds to the place in the data. The walk then gives where rows
// begin in the data, but for the indices.
func (m *mover) elementPlaces(x, index *onnx.Tensor, axis int64) (w elementWalk, at []int, err error) {
	if w.axis, err = Axis(axis, x.Rank()); err != nil {
		return w, nil, err
	}
	if index.Rank() != x.Rank() {
		return w, nil, onnx.Errorf(onnx.ErrShape, "indices have rank %d, the data has %d", index.Rank(), x.Rank())
	}
	for i, d := range index.Shape() {
		if i != w.axis && d > x.Shape()[i] {
			return w, nil, onnx.Errorf(onnx.ErrShape, "indices are of shape %v, which exceeds the data's %v in dimension %d", slices.Clone(index.Shape()), slices.Clone(x.Shape()), i)
		}
	}
	if index.Len() == 0 {
		return w, nil, nil
	}
	last := x.Rank() - 1
	if w.axis != last {
		w.step = 1
	}
	w.row = index.Shape()[last]
	w.rows = index.Len() / w.row
	m.places = m.places[:0]
	for range last {
		m.places = append(m.places, 0)
	}
	w.pos = m.places
	at, err = m.indexPlaces(index, "indices", x.Shape()[w.axis], strideAfter(x.Shape(), w.axis))
	return w, at, err
}

// next goes to the next row and gives its beginning in the data.
func (w *elementWalk) next(from int, x, index *onnx.Tensor) int {
	stride := x.Shape()[len(w.pos)]
	for i := len(w.pos) - 1; i >= 0; i-- {
		step := stride
		if i == w.axis {
			step = 0
		}
		stride *= x.Shape()[i]
		from += step
		if w.pos[i]++; w.pos[i] < index.Shape()[i] {
			return from
		}
		from -= w.pos[i] * step
		w.pos[i] = 0
	}
	return from
}

var takeAtLoops = byWidth[func(m *mover, w elementWalk, y, x, index *onnx.Tensor, at []int) error]{
	takeAtLoop[uint8], takeAtLoop[uint16], takeAtLoop[uint32], takeAtLoop[uint64], takeAtLoop[wide], takeAtLoop[string],
}

func takeAtLoop[T any](m *mover, w elementWalk, y, x, index *onnx.Tensor, at []int) error {
	dst, src := cells[T](y), cells[T](x)
	from := 0
	p := pace{c: m.c}
	for r := range w.rows {
		lo := r * w.row
		kernel.TakeAt(dst[lo:lo+w.row], src, from, w.step, at[lo:lo+w.row])
		from = w.next(from, x, index)
		if p.Stop(w.row) {
			return m.c.Err()
		}
	}
	return nil
}

func buildGatherElements(n *Node) (Kernel, error) {
	axis := n.Int("axis", 0)
	return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error {
		x, err := inputTensor(in, 0)
		if err != nil {
			return err
		}
		index, err := inputTensor(in, 1)
		if err != nil {
			return err
		}
		m := moverOf(c)
		w, at, err := m.elementPlaces(x, index, axis)
		if err != nil {
			return err
		}
		y, err := c.New(0, x.DataType(), index.Shape())
		if err != nil || y.Len() == 0 {
			return err
		}
		return takeAtLoops.of(x.DataType())(m, w, y, x, index, at)
	}), nil
}

func inferGatherND(n *Node) error {
	batch := 0
	if n.Since >= 12 {
		batch = int(n.Int("batch_dims", 0))
	}
	in, index := n.Shape(0), n.Shape(1)
	n.SetTensor(0, n.Elem(0), nil)
	if err := n.Err(); err != nil {
		return err
	}
	if index.Ranked() && (len(index) == 0 || batch < 0 || batch >= len(index)) {
		return onnx.Errorf(onnx.ErrShape, "indices have rank %d, batch_dims is %d", len(index), batch)
	}
	if !in.Ranked() || !index.Ranked() || !index[len(index)-1].Known() {
		return nil
	}
	depth := index[len(index)-1].Value
	if depth > len(in)-batch {
		return onnx.Errorf(onnx.ErrShape, "indices of %d numbers after %d batch dimensions, the data has rank %d", depth, batch, len(in))
	}
	out := slices.Concat(index[:len(index)-1], in[batch+depth:])
	for i := range batch {
		d, err := mergeDims(in[i], index[i])
		if err != nil {
			return onnx.Errorf(onnx.ErrShape, "batch dimension %d: %v", i, err)
		}
		out[i] = d
	}
	n.SetTensor(0, n.Elem(0), append(onnx.Shape{}, out...))
	return nil
}

func buildGatherND(n *Node) (Kernel, error) {
	batch := 0
	if n.Since >= 12 {
		batch = int(n.Int("batch_dims", 0))
	}
	return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error {
		x, err := inputTensor(in, 0)
		if err != nil {
			return err
		}
		index, err := inputTensor(in, 1)
		if err != nil {
			return err
		}
		m := moverOf(c)
		depth, err := checkTuples(x, index, batch)
		if err != nil {
			return err
		}
		at, run, err := m.tuplePlaces(x, index, batch, depth)
		if err != nil {
			return err
		}
		m.shape = append(append(m.shape[:0], index.Shape()[:index.Rank()-1]...), x.Shape()[batch+depth:]...)
		y, err := c.New(0, x.DataType(), m.shape)
		if err != nil || y.Len() == 0 {
			return err
		}
		return m.take(y, x, 1, x.Len(), at, run)
	}), nil
}

// checkTuples checks the shape of an index tensor whose last dimension holds
// tuples, and gives their length.
func checkTuples(x, index *onnx.Tensor, batch int) (depth int, err error) {
	if index.Rank() == 0 || batch < 0 || batch >= index.Rank() {
		return 0, onnx.Errorf(onnx.ErrShape, "indices have rank %d, batch_dims is %d", index.Rank(), batch)
	}
	depth = index.Shape()[index.Rank()-1]
	if depth > x.Rank()-batch {
		return 0, onnx.Errorf(onnx.ErrShape, "indices of %d numbers after %d batch dimensions, the data has rank %d", depth, batch, x.Rank())
	}
	for i := range batch {
		if x.Shape()[i] != index.Shape()[i] {
			return 0, onnx.Errorf(onnx.ErrShape, "batch dimension %d: the data has %d, indices %d", i, x.Shape()[i], index.Shape()[i])
		}
	}
	return depth, nil
}

// tuplePlaces gives the places in x of the slices that tuples of indices mean,
// and the number of elements of a slice.
func (m *mover) tuplePlaces(x, index *onnx.Tensor, batch, depth int) (at []int, run int, err error) {
	tuples := elements(index.Shape()[:index.Rank()-1])
	outer, run := elements(x.Shape()[:batch]), elements(x.Shape()[batch+depth:])
	buf, err := Scratch[int64](m.c, tuples)
	if err != nil || tuples == 0 {
		return nil, run, err
	}
	at = intsOver(buf)
	index64, err := onnx.Data[int64](index)
	if err != nil {
		return nil, run, err
	}
	block := x.Len() / max(outer, 1)
	each := tuples / max(outer, 1)
	for j := range at {
		place, stride := 0, run
		for k := depth - 1; k >= 0; k-- {
			size := x.Shape()[batch+k]
			v := index64[j*depth+k]
			i := v
			if i < 0 {
				i += int64(size)
			}
			if uint64(i) >= uint64(size) {
				return nil, run, indexError("indices", index.Shape(), j*depth+k, v, size)
			}
			place += int(i) * stride
			stride *= size
		}
		at[j] = j/max(each, 1)*block + place
	}
	return at, run, nil
}
