package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(
		Op{Name: "Scatter", Since: []int{9}, Infer: inferScatterElements, Build: buildScatterElements},
		Op{Name: "ScatterElements", Since: []int{11, 13, 16, 18}, Infer: inferScatterElements, Build: buildScatterElements},
		Op{Name: "ScatterND", Since: []int{11, 13, 16, 18}, Infer: inferScatterND, Build: buildScatterND},
		Op{Name: "TensorScatter", Since: []int{24}, Infer: inferTensorScatter, Build: buildTensorScatter},
	)
}

// scatterFold says how an update is joined with what is there; a nil one
// replaces it. The functions hold for one element type.
type scatterFold interface {
	elements(m *mover, w elementWalk, y, index, updates *onnx.Tensor, at []int) error
	runs(m *mover, y, updates *onnx.Tensor, at []int, run int) error
}

// foldOf is a scatterFold by a function of two elements.
type foldOf[T any] struct{ f func(a, b T) T }

func (k foldOf[T]) elements(m *mover, w elementWalk, y, index, updates *onnx.Tensor, at []int) error {
	dst, src := cells[T](y), cells[T](updates)
	to := 0
	p := pace{c: m.c}
	for r := range w.rows {
		lo := r * w.row
		if k.f == nil {
			kernel.PutAt(dst, src[lo:lo+w.row], to, w.step, at[lo:lo+w.row])
		} else {
			kernel.FoldAt(k.f, dst, src[lo:lo+w.row], to, w.step, at[lo:lo+w.row])
		}
		to = w.next(to, y, index)
		if p.Stop(w.row) {
			return m.c.Err()
		}
	}
	return nil
}

func (k foldOf[T]) runs(m *mover, y, updates *onnx.Tensor, at []int, run int) error {
	dst, src := cells[T](y), cells[T](updates)
	block := max(1, 8*cancelEvery/run)
	for lo := 0; lo < len(at); lo += block {
		hi := min(lo+block, len(at))
		if k.f == nil {
			kernel.Put(dst, src[lo*run:], at[lo:hi], run)
		} else {
			kernel.FoldRuns(k.f, dst, src[lo*run:], at[lo:hi], run)
		}
		if hi < len(at) {
			if err := m.c.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// replacing has the fold that replaces, for each width.
var replacing = byWidth[scatterFold]{foldOf[uint8]{}, foldOf[uint16]{}, foldOf[uint32]{}, foldOf[uint64]{}, foldOf[wide]{}, foldOf[string]{}}

// reductions of scatter operators by element type. Each sum and product is
// rounded to the type, in the order of the updates. For bool, add and max are
// or, mul and min are and.
var (
	scatterAdd = byType[scatterFold]{
		onnx.Float: foldOf[float32]{addTwo[float32]}, onnx.Double: foldOf[float64]{addTwo[float64]},
		onnx.Float16: foldOf[onnx.F16]{narrowFold(addTwo[float32], onnx.ToF16)}, onnx.BFloat16: foldOf[onnx.BF16]{narrowFold(addTwo[float32], onnx.ToBF16)},
		onnx.Int8: foldOf[int8]{addTwo[int8]}, onnx.Int16: foldOf[int16]{addTwo[int16]}, onnx.Int32: foldOf[int32]{addTwo[int32]}, onnx.Int64: foldOf[int64]{addTwo[int64]},
		onnx.Uint8: foldOf[uint8]{addTwo[uint8]}, onnx.Uint16: foldOf[uint16]{addTwo[uint16]}, onnx.Uint32: foldOf[uint32]{addTwo[uint32]}, onnx.Uint64: foldOf[uint64]{addTwo[uint64]},
		onnx.Complex64: foldOf[complex64]{addTwo[complex64]}, onnx.Complex128: foldOf[complex128]{addTwo[complex128]},
		onnx.Bool: foldOf[bool]{orTwo},
	}
	scatterMul = byType[scatterFold]{
		onnx.Float: foldOf[float32]{mulTwo[float32]}, onnx.Double: foldOf[float64]{mulTwo[float64]},
		onnx.Float16: foldOf[onnx.F16]{narrowFold(mulTwo[float32], onnx.ToF16)}, onnx.BFloat16: foldOf[onnx.BF16]{narrowFold(mulTwo[float32], onnx.ToBF16)},
		onnx.Int8: foldOf[int8]{mulTwo[int8]}, onnx.Int16: foldOf[int16]{mulTwo[int16]}, onnx.Int32: foldOf[int32]{mulTwo[int32]}, onnx.Int64: foldOf[int64]{mulTwo[int64]},
		onnx.Uint8: foldOf[uint8]{mulTwo[uint8]}, onnx.Uint16: foldOf[uint16]{mulTwo[uint16]}, onnx.Uint32: foldOf[uint32]{mulTwo[uint32]}, onnx.Uint64: foldOf[uint64]{mulTwo[uint64]},
		onnx.Complex64: foldOf[complex64]{mulTwo[complex64]}, onnx.Complex128: foldOf[complex128]{mulTwo[complex128]},
		onnx.Bool: foldOf[bool]{andTwo},
	}
	scatterMin = byType[scatterFold]{
		onnx.Float: foldOf[float32]{minTwo[float32]}, onnx.Double: foldOf[float64]{minTwo[float64]},
		onnx.Float16: foldOf[onnx.F16]{narrowFold(minTwo[float32], onnx.ToF16)}, onnx.BFloat16: foldOf[onnx.BF16]{narrowFold(minTwo[float32], onnx.ToBF16)},
		onnx.Int8: foldOf[int8]{minTwo[int8]}, onnx.Int16: foldOf[int16]{minTwo[int16]}, onnx.Int32: foldOf[int32]{minTwo[int32]}, onnx.Int64: foldOf[int64]{minTwo[int64]},
		onnx.Uint8: foldOf[uint8]{minTwo[uint8]}, onnx.Uint16: foldOf[uint16]{minTwo[uint16]}, onnx.Uint32: foldOf[uint32]{minTwo[uint32]}, onnx.Uint64: foldOf[uint64]{minTwo[uint64]},
		onnx.Bool: foldOf[bool]{andTwo},
	}
	scatterMax = byType[scatterFold]{
		onnx.Float: foldOf[float32]{maxTwo[float32]}, onnx.Double: foldOf[float64]{maxTwo[float64]},
		onnx.Float16: foldOf[onnx.F16]{narrowFold(maxTwo[float32], onnx.ToF16)}, onnx.BFloat16: foldOf[onnx.BF16]{narrowFold(maxTwo[float32], onnx.ToBF16)},
		onnx.Int8: foldOf[int8]{maxTwo[int8]}, onnx.Int16: foldOf[int16]{maxTwo[int16]}, onnx.Int32: foldOf[int32]{maxTwo[int32]}, onnx.Int64: foldOf[int64]{maxTwo[int64]},
		onnx.Uint8: foldOf[uint8]{maxTwo[uint8]}, onnx.Uint16: foldOf[uint16]{maxTwo[uint16]}, onnx.Uint32: foldOf[uint32]{maxTwo[uint32]}, onnx.Uint64: foldOf[uint64]{maxTwo[uint64]},
		onnx.Bool: foldOf[bool]{orTwo},
	}
)

func addTwo[T kernel.Number | complex64 | complex128](a, b T) T { return a + b }
func mulTwo[T kernel.Number | complex64 | complex128](a, b T) T { return a * b }
func minTwo[T kernel.Number](a, b T) T                          { return min(a, b) }
func maxTwo[T kernel.Number](a, b T) T                          { return max(a, b) }
func orTwo(a, b bool) bool                                      { return a || b }
func andTwo(a, b bool) bool                                     { return a && b }

// narrowFold makes a function of a 16-bit type out of one of float32.
func narrowFold[T interface{ Float32() float32 }](f func(a, b float32) float32, round func(float32) T) func(a, b T) T {
	return func(a, b T) T { return round(f(a.Float32(), b.Float32())) }
}

// scattering is a scatter operator's attributes.
type scattering struct {
	axis      int64
	reduction string
}

// readReduction reads the attribute of the versions that have it: none, add
// and mul from 16, min and max from 18.
func readReduction(n *Node) (string, error) {
	if n.Since < 16 {
		return "none", nil
	}
	switch r := n.Str("reduction", "none"); {
	case r == "none" || r == "add" || r == "mul", n.Since >= 18 && (r == "min" || r == "max"):
		return r, n.Err()
	default:
		return "", onnx.Errorf(onnx.ErrMalformed, "reduction %q, want none, add, mul, or from version 18 min, max", r)
	}
}

// foldFor finds what joins elements of a type; an error matches
// onnx.ErrUnsupported where the type has no such operation.
func (k *scattering) foldFor(d onnx.DataType) (scatterFold, error) {
	var table *byType[scatterFold]
	switch k.reduction {
	case "add":
		table = &scatterAdd
	case "mul":
		table = &scatterMul
	case "min":
		table = &scatterMin
	case "max":
		table = &scatterMax
	default:
		return replacing.of(d), nil
	}
	if f := table[d]; f != nil {
		return f, nil
	}
	return nil, onnx.Errorf(onnx.ErrUnsupported, "reduction %q of %v", k.reduction, d)
}

func (k *scattering) check(n *Node) error {
	if d := n.Elem(0); d != onnx.Undefined {
		_, err := k.foldFor(d)
		return err
	}
	return nil
}

func inferScatterElements(n *Node) error {
	in := n.Shape(0)
	n.SetTensor(0, n.Elem(0), in)
	axis := n.Int("axis", 0)
	if _, err := readReduction(n); err != nil {
		return err
	}
	if !in.Ranked() {
		return n.Err()
	}
	a, err := Axis(axis, len(in))
	if err != nil {
		return err
	}
	for i := 1; i <= 2; i++ {
		if err := checkElementIndices(in, n.Shape(i), a); err != nil {
			return err
		}
	}
	if err := fitUpdates(n.Shape(1), n.Shape(2)); err != nil {
		return err
	}
	if n.Since < 16 || n.Str("reduction", "none") == "none" {
		n.SetContent(0, scatterContent(contentAt(n, 0), n.Content(1), contentAt(n, 2)))
	}
	return n.Err()
}

// fitUpdates checks that the shapes of indices and updates can be the same.
func fitUpdates(index, updates onnx.Shape) error {
	if !index.Ranked() || !updates.Ranked() {
		return nil
	}
	fits := len(index) == len(updates)
	for i := 0; fits && i < len(index); i++ {
		_, err := mergeDims(index[i], updates[i])
		fits = err == nil
	}
	if !fits {
		return onnx.Errorf(onnx.ErrShape, "updates are of shape %v, want %v as the indices", updates, index)
	}
	return nil
}

// scatterContent puts updates into a content of rank 1.
func scatterContent(c, list, updates *Content) *Content {
	if c == nil || c.Scalar || list == nil || updates == nil || len(updates.Elems) != len(list.Elems) {
		return nil
	}
	out := &Content{Elems: slices.Clone(c.Elems)}
	for i, e := range list.Elems {
		at := e.Value
		if at < 0 {
			at += int64(len(out.Elems))
		}
		if !e.Known || at < 0 || at >= int64(len(out.Elems)) {
			return nil
		}
		out.Elems[at] = updates.Elems[i]
	}
	return out
}

func buildScatterElements(n *Node) (Kernel, error) {
	r, err := readReduction(n)
	if err != nil {
		return nil, err
	}
	k := &scattering{axis: n.Int("axis", 0), reduction: r}
	return &scatterElements{k}, k.check(n)
}

type scatterElements struct{ *scattering }

// scatterOperands gives a scatter operator's inputs.
func scatterOperands(in []onnx.Value) (x, index, updates *onnx.Tensor, err error) {
	if x, err = inputTensor(in, 0); err != nil {
		return
	}
	if index, err = inputTensor(in, 1); err != nil {
		return
	}
	if updates, err = inputTensor(in, 2); err != nil {
		return
	}
	if updates.DataType() != x.DataType() {
		err = onnx.Errorf(onnx.ErrType, "updates are of type %v, the data of %v", updates.DataType(), x.DataType())
	}
	return
}

func (k *scatterElements) Run(c *Ctx, in, _ []onnx.Value) error {
	x, index, updates, err := scatterOperands(in)
	if err != nil {
		return err
	}
	fold, err := k.foldFor(x.DataType())
	if err != nil {
		return err
	}
	m := moverOf(c)
	w, at, err := m.elementPlaces(x, index, k.axis)
	if err != nil {
		return err
	}
	if !slices.Equal(index.Shape(), updates.Shape()) {
		return onnx.Errorf(onnx.ErrShape, "updates are of shape %v, want %v as the indices", slices.Clone(updates.Shape()), slices.Clone(index.Shape()))
	}
	y, err := c.New(0, x.DataType(), x.Shape(), 0)
	if err != nil {
		return err
	}
	if err := m.copyAll(y, x); err != nil || index.Len() == 0 {
		return err
	}
	return fold.elements(m, w, y, index, updates, at)
}

func inferScatterND(n *Node) error {
	in, index, updates := n.Shape(0), n.Shape(1), n.Shape(2)
	n.SetTensor(0, n.Elem(0), in)
	if _, err := readReduction(n); err != nil {
		return err
	}
	if index.Ranked() && len(index) == 0 {
		return onnx.Errorf(onnx.ErrShape, "indices are a scalar, want at least rank 1")
	}
	if !in.Ranked() || !index.Ranked() || !index[len(index)-1].Known() {
		return n.Err()
	}
	depth := index[len(index)-1].Value
	if depth > len(in) {
		return onnx.Errorf(onnx.ErrShape, "indices of %d numbers, the data has rank %d", depth, len(in))
	}
	want := slices.Concat(index[:len(index)-1], in[depth:])
	return fitUpdates(append(onnx.Shape{}, want...), updates)
}

func buildScatterND(n *Node) (Kernel, error) {
	r, err := readReduction(n)
	if err != nil {
		return nil, err
	}
	k := &scattering{reduction: r}
	return &scatterND{k}, k.check(n)
}

type scatterND struct{ *scattering }

func (k *scatterND) Run(c *Ctx, in, _ []onnx.Value) error {
	x, index, updates, err := scatterOperands(in)
	if err != nil {
		return err
	}
	fold, err := k.foldFor(x.DataType())
	if err != nil {
		return err
	}
	m := moverOf(c)
	depth, err := checkTuples(x, index, 0)
	if err != nil {
		return err
	}
	m.shape = append(append(m.shape[:0], index.Shape()[:index.Rank()-1]...), x.Shape()[depth:]...)
	if !slices.Equal(m.shape, updates.Shape()) {
		return onnx.Errorf(onnx.ErrShape, "updates are of shape %v, want %v", slices.Clone(updates.Shape()), slices.Clone(m.shape))
	}
	at, run, err := m.tuplePlaces(x, index, 0, depth)
	if err != nil {
		return err
	}
	y, err := c.New(0, x.DataType(), x.Shape(), 0)
	if err != nil {
		return err
	}
	if err := m.copyAll(y, x); err != nil || updates.Len() == 0 {
		return err
	}
	return fold.runs(m, y, updates, at, run)
}

// tensorScatter writes new entries into a cache: for each batch from its own
// place on along the axis, past whose end it goes on at the beginning when
// circular.
type tensorScatter struct {
	axis     int64
	circular bool
}

func readTensorScatter(n *Node) (*tensorScatter, error) {
	k := &tensorScatter{axis: n.Int("axis", -2)}
	switch mode := n.Str("mode", "linear"); mode {
	case "linear":
	case "circular":
		k.circular = true
	default:
		return nil, onnx.Errorf(onnx.ErrMalformed, "mode %q, want linear or circular", mode)
	}
	n.Has(2)
	return k, n.Err()
}

func inferTensorScatter(n *Node) error {
	k, err := readTensorScatter(n)
	if err != nil {
		return err
	}
	n.SetTensor(0, n.Elem(0), n.Shape(0))
	if s := n.Shape(0); s.Ranked() {
		_, err = k.place(len(s))
	}
	return err
}

// place gives the axis, which is not that of the batch.
func (k *tensorScatter) place(rank int) (int, error) {
	axis, err := Axis(k.axis, rank)
	if err == nil && axis == 0 {
		err = onnx.Errorf(onnx.ErrShape, "axis %d is that of the batch", k.axis)
	}
	return axis, err
}

func buildTensorScatter(n *Node) (Kernel, error) { return readTensorScatter(n) }

func (k *tensorScatter) Run(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	update, err := inputTensor(in, 1)
	if err != nil {
		return err
	}
	axis, err := k.place(x.Rank())
	if err != nil {
		return err
	}
	fits := update.Rank() == x.Rank() && update.DataType() == x.DataType()
	for i := 0; fits && i < x.Rank(); i++ {
		fits = update.Shape()[i] == x.Shape()[i] || i == axis && update.Shape()[i] < x.Shape()[i]
	}
	if !fits {
		return onnx.Errorf(onnx.ErrShape, "update is %v, which does not fit into the cache, %v, along axis %d", update, x, axis)
	}
	m := moverOf(c)
	var from []int64
	if len(in) > 2 && in[2] != nil {
		if from, err = m.list(0, in[2], "write_indices"); err != nil {
			return err
		}
		if len(from) != x.Shape()[0] {
			return onnx.Errorf(onnx.ErrShape, "write_indices has %d elements, the batch is %d", len(from), x.Shape()[0])
		}
	}
	y, err := c.New(0, x.DataType(), x.Shape(), 0)
	if err != nil {
		return err
	}
	if err := m.copyAll(y, x); err != nil || update.Len() == 0 {
		return err
	}
	for b := range x.Shape()[0] {
		at := int64(0)
		if from != nil {
			at = from[b]
		}
		if err := k.write(m, y, update, axis, b, at); err != nil {
			return err
		}
	}
	return nil
}

// write puts the update of batch b into the cache from place at on.
func (k *tensorScatter) write(m *mover, y, update *onnx.Tensor, axis, b int, at int64) error {
	_, size, inner := split3(y.Shape(), axis)
	n := update.Shape()[axis]
	switch last := int64(size - n); {
	case at >= 0 && k.circular:
		at %= int64(size)
	case at < 0 || at > last:
		return onnx.Errorf(onnx.ErrShape, "write_indices[%d] = %d, want 0..%d for an update of %d", b, at, last, n)
	}
	rows := elements(y.Shape()[1:axis])
	first := min(n, size-int(at)) // before the cache's end
	to, from := b*rows*size*inner, b*rows*n*inner
	for _, part := range [2][3]int{{int(at), 0, first}, {0, first, n - first}} {
		m.start()
		m.add(rows, size*inner, n*inner)
		m.add(part[2]*inner, 1, 1)
		if err := m.copy(y, to+part[0]*inner, update, from+part[1]*inner); err != nil {
			return err
		}
	}
	return nil
}
