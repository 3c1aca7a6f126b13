package ops

import (
	"cmp"
	"math"
	"slices"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(Op{Name: "Unique", Since: []int{11, 28}, Infer: inferUnique, Build: buildUnique})
}

// unique finds the different elements of a tensor, or the different slices
// along an axis, in ascending order or in that of their first appearance.
// Slices are ordered by their first element that differs, complex numbers by
// their real parts first, and NaN is one value that stands behind all others.
type unique struct {
	axis   int64
	flat   bool
	sorted bool
}

func inferUnique(n *Node) error {
	in := n.Shape(0)
	n.SetTensor(0, n.Elem(0), onnx.UnknownShape(1))
	if axis := n.Int("axis", 0); n.HasAttr("axis") {
		n.SetTensor(0, n.Elem(0), nil)
		if in.Ranked() {
			a, err := Axis(axis, len(in))
			if err != nil {
				return err
			}
			out := in.Clone()
			out[a] = onnx.UnknownDim
			n.SetTensor(0, n.Elem(0), out)
		}
	}
	for i := 1; i < 4; i++ {
		n.SetTensor(i, onnx.Int64, onnx.UnknownShape(1))
	}
	return n.Err()
}

func buildUnique(n *Node) (Kernel, error) {
	switch s := n.Int("sorted", 1); s {
	case 0, 1:
	default:
		return nil, onnx.Errorf(onnx.ErrMalformed, "sorted is %d, want 0 or 1", s)
	}
	for i := 1; i < 4; i++ {
		n.Wants(i)
	}
	return &unique{n.Int("axis", 0), !n.HasAttr("axis"), n.Bool("sorted", true)}, nil
}

// orderKeys gives for each element one number, for complex ones two, that
// compare as the elements do.
func orderKeys(c *Ctx, t *onnx.Tensor) (keys []uint64, per int, err error) {
	per = 1
	if d := t.DataType(); d == onnx.Complex64 || d == onnx.Complex128 {
		per = 2
	}
	if keys, err = Scratch[uint64](c, per*t.Len()); err != nil {
		return nil, 0, err
	}
	switch t.DataType() {
	case onnx.String:
		stringKeys(c, keys, t.Strings())
	case onnx.Complex64:
		for i, v := range cells[[2]float32](t) {
			keys[2*i], keys[2*i+1] = uniqueKey(float64(v[0])), uniqueKey(float64(v[1]))
		}
	case onnx.Complex128:
		for i, v := range cells[[2]float64](t) {
			keys[2*i], keys[2*i+1] = uniqueKey(v[0]), uniqueKey(v[1])
		}
	case onnx.Uint64:
		copy(keys, onnx.Elements[uint64](t))
	default:
		for i := range keys {
			if f, ok := floatAt(t, i); ok {
				keys[i] = uniqueKey(f)
				continue
			}
			v, ok := integerAt(t, i)
			if !ok {
				return nil, 0, noLoop(t.DataType())
			}
			keys[i] = uint64(v) ^ 1<<63
		}
	}
	return keys, per, c.Err()
}

// floatAt is numberAt for floating-point elements alone.
func floatAt(t *onnx.Tensor, i int) (float64, bool) {
	if !t.DataType().IsFloat() {
		return 0, false
	}
	return numberAt(t, i)
}

// uniqueKey orders floating-point numbers; -0 is 0.
func uniqueKey(f float64) uint64 {
	switch {
	case f != f:
		return math.MaxUint64
	case f == 0:
		f = 0
	}
	b := math.Float64bits(f)
	if b>>63 != 0 {
		return ^b
	}
	return b | 1<<63
}

// sortPaced sorts as slices.SortFunc does, where a comparison costs as much as
// that many elements. After the run was cancelled it compares nothing and ends
// soon, in any order.
func sortPaced[T any](c *Ctx, list []T, cost int, compare func(a, b T) int) {
	p, stopped := pace{c: c}, false
	slices.SortFunc(list, func(a, b T) int {
		if stopped = stopped || p.Stop(cost); stopped {
			return 0
		}
		return compare(a, b)
	})
}

// stringKeys numbers strings in their order.
func stringKeys(c *Ctx, keys []uint64, s []string) {
	order := make([]int, len(s))
	for i := range order {
		order[i] = i
	}
	sortPaced(c, order, 4, func(a, b int) int { return cmp.Compare(s[a], s[b]) })
	k := uint64(0)
	for i, j := range order {
		if i > 0 && s[j] != s[order[i-1]] {
			k++
		}
		keys[j] = k
	}
}

// uniqueGroups is what a Unique found. A group is a different element.
type uniqueGroups struct {
	first, group, count []int64 // where each group first stands; each slice's group; the groups' sizes
}

// find groups n slices; key gives the order of element j, of length, in slice i.
func (u *unique) find(c *Ctx, n, length int, key func(i, j int) uint64) (g uniqueGroups, err error) {
	order, err := Scratch[int64](c, n)
	if err != nil {
		return g, err
	}
	for i := range order {
		order[i] = int64(i)
	}
	compare := func(a, b int64) int {
		for j := range length {
			if d := cmp.Compare(key(int(a), j), key(int(b), j)); d != 0 {
				return d
			}
		}
		return 0
	}
	sortPaced(c, order, 4+length, func(a, b int64) int { return cmp.Or(compare(a, b), cmp.Compare(a, b)) })
	if err := c.Err(); err != nil {
		return g, err
	}
	if g.group, err = Scratch[int64](c, n); err != nil {
		return g, err
	}
	if g.first, err = Scratch[int64](c, n); err != nil {
		return g, err
	}
	if g.count, err = Scratch[int64](c, n); err != nil {
		return g, err
	}
	k := -1
	for i, at := range order {
		if i == 0 || compare(order[i-1], at) != 0 {
			k++
			g.first[k], g.count[k] = at, 0
		}
		g.group[at] = int64(k)
		g.count[k]++
	}
	g.first, g.count = g.first[:k+1], g.count[:k+1]
	if !u.sorted {
		return g, g.byAppearance(c)
	}
	return g, c.Err()
}

// byAppearance brings the groups into the order of their first elements.
func (g *uniqueGroups) byAppearance(c *Ctx) error {
	first, err := Scratch[int64](c, len(g.first))
	if err != nil {
		return err
	}
	count, err := Scratch[int64](c, len(g.first))
	if err != nil {
		return err
	}
	rank, err := Scratch[int64](c, len(g.first))
	if err != nil {
		return err
	}
	next := 0
	for at, k := range g.group {
		if g.first[k] == int64(at) {
			first[next], count[next], rank[k] = int64(at), g.count[k], int64(next)
			next++
		}
	}
	for at, k := range g.group {
		g.group[at] = rank[k]
	}
	g.first, g.count = first, count
	return c.Err()
}

func (u *unique) Run(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	m := moverOf(c)
	m.shape = append(m.shape[:0], x.Len())
	axis := 0
	if !u.flat {
		if axis, err = Axis(u.axis, x.Rank()); err != nil {
			return err
		}
		m.shape = append(m.shape[:0], x.Shape()...)
	}
	outer, n, inner := split3(m.shape, axis)
	keys, per, err := orderKeys(c, x)
	if err != nil {
		return err
	}
	inner *= per
	g, err := u.find(c, n, outer*inner, func(i, j int) uint64 {
		return keys[j/inner*n*inner+i*inner+j%inner]
	})
	if err != nil {
		return err
	}
	inner /= per
	if c.Wants(0) {
		if err := m.pick(x, axis, outer, n, inner, g.first); err != nil {
			return err
		}
	}
	for i, list := range [][]int64{g.first, g.group, g.count} {
		if !c.Wants(1 + i) {
			continue
		}
		y, err := c.New(1+i, onnx.Int64, []int{len(list)})
		if err != nil {
			return err
		}
		copy(onnx.Elements[int64](y), list)
	}
	return nil
}

// pick makes output 0 of the slices of x that are listed.
func (m *mover) pick(x *onnx.Tensor, axis, outer, n, inner int, list []int64) error {
	buf, err := Scratch[int64](m.c, len(list))
	if err != nil {
		return err
	}
	at := intsOver(buf)
	for i, k := range list {
		at[i] = int(k) * inner
	}
	m.shape[axis] = len(list)
	y, err := m.c.New(0, x.DataType(), m.shape)
	if err != nil {
		return err
	}
	return m.take(y, x, outer, n*inner, at, inner)
}
