package ops

import (
	"slices"
	"strings"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(
		Op{Name: "Einsum", Since: []int{12, 28}, Infer: inferEinsum, Build: buildEinsum},
	)
}

// einsum is an equation taken apart: a list of labels for each operand and for
// the result. A label is a letter, or ellipsis for all dimensions that the
// three dots stand for.
type einsum struct {
	terms [][]rune
	out   []rune
	level Level
}

const ellipsis = '.'

// parseEinsum reads an equation such as "bij,bjk->bik". Without an arrow the
// result has the dimensions of the dots, then the labels that occur once, in
// the order of the alphabet (capitals first).
func parseEinsum(n *Node) (*einsum, error) {
	text := n.Str("equation", "")
	if err := n.Err(); err != nil {
		return nil, err
	}
	bad := func(format string, args ...any) (*einsum, error) {
		return nil, onnx.Errorf(onnx.ErrMalformed, "equation %q: "+format, append([]any{text}, args...)...)
	}
	left, right, arrow := strings.Cut(strings.ReplaceAll(text, " ", ""), "->")
	e := &einsum{}
	count := map[rune]int{}
	for _, term := range strings.Split(left, ",") {
		labels, ok := einsumLabels(term)
		if !ok {
			return bad("term %q, want letters and at most one ...", term)
		}
		e.terms = append(e.terms, labels)
		for _, l := range labels {
			count[l]++
		}
	}
	if len(e.terms) != n.NumInputs() {
		return bad("%d terms for %d inputs", len(e.terms), n.NumInputs())
	}
	if !arrow {
		for l, k := range count {
			if k == 1 && l != ellipsis {
				e.out = append(e.out, l)
			}
		}
		slices.Sort(e.out)
		if count[ellipsis] > 0 {
			e.out = slices.Insert(e.out, 0, ellipsis)
		}
		return e, nil
	}
	var ok bool
	if e.out, ok = einsumLabels(right); !ok {
		return bad("result %q, want letters and at most one ...", right)
	}
	for i, l := range e.out {
		if slices.Contains(e.out[:i], l) {
			return bad("label %q occurs twice in the result", l)
		}
		if count[l] == 0 && l != ellipsis {
			return bad("label %q of the result is in no term", l)
		}
	}
	if count[ellipsis] > 0 && !slices.Contains(e.out, ellipsis) {
		return bad("a term has ..., the result has not")
	}
	return e, nil
}

func einsumLabels(term string) ([]rune, bool) {
	if strings.Count(term, "...") > 1 {
		return nil, false
	}
	labels := []rune(strings.Replace(term, "...", string(rune(1)), 1))
	for i, l := range labels {
		switch {
		case l == 1:
			labels[i] = ellipsis
		case (l < 'a' || l > 'z') && (l < 'A' || l > 'Z'):
			return nil, false
		}
	}
	return labels, true
}

// spell gives the labels of a term for an operand of the given rank, with the
// dots replaced by the labels -1, -2, ... of dimensions counted from the last.
func spell(term []rune, rank int) ([]rune, error) {
	dots := slices.Index(term, ellipsis)
	if dots < 0 {
		if len(term) != rank {
			return nil, onnx.Errorf(onnx.ErrShape, "term %q has %d labels for an input of rank %d", string(term), len(term), rank)
		}
		return term, nil
	}
	hidden := rank - len(term) + 1
	if hidden < 0 {
		return nil, onnx.Errorf(onnx.ErrShape, "term %q has %d labels for an input of rank %d", string(term), len(term)-1, rank)
	}
	return withDots(term, dots, hidden), nil
}

func withDots(term []rune, dots, hidden int) []rune {
	out := slices.Clone(term[:dots])
	for k := hidden; k > 0; k-- {
		out = append(out, rune(-k))
	}
	return append(out, term[dots+1:]...)
}

// result gives the labels of the result when the dots stand for the given
// number of dimensions.
func (e *einsum) result(hidden int) []rune {
	if dots := slices.Index(e.out, ellipsis); dots >= 0 {
		return withDots(e.out, dots, hidden)
	}
	return e.out
}

func inferEinsum(n *Node) error {
	e, err := parseEinsum(n)
	if err != nil {
		return err
	}
	dims := map[rune]onnx.Shape{}
	hidden := 0
	for i, term := range e.terms {
		s := n.Shape(i)
		if s == nil && slices.Contains(term, ellipsis) {
			n.SetTensor(0, n.Elem(0), nil)
			return nil
		}
		if s == nil {
			s = onnx.UnknownShape(len(term))
		}
		labels, err := spell(term, len(s))
		if err != nil {
			return err
		}
		if slices.Contains(term, ellipsis) {
			hidden = max(hidden, len(labels)-len(term)+1)
		}
		for k, l := range labels {
			d := onnx.Shape{s[k]}
			if had, ok := dims[l]; ok {
				if d, err = BroadcastShapes(had, d); err != nil {
					return onnx.Errorf(onnx.ErrShape, "input %d: label %q is %v, elsewhere %v", i, l, s[k], had[0])
				}
			}
			dims[l] = d
		}
	}
	shape := onnx.Shape{}
	for _, l := range e.result(hidden) {
		if d, ok := dims[l]; ok {
			shape = append(shape, d[0])
		} else {
			shape = append(shape, onnx.UnknownDim)
		}
	}
	n.SetTensor(0, n.Elem(0), shape)
	return nil
}

func buildEinsum(n *Node) (Kernel, error) {
	e, err := parseEinsum(n)
	if err != nil {
		return nil, err
	}
	e.level = n.Level()
	for i := range e.terms {
		n.Has(i)
	}
	switch n.Elem(0) {
	case onnx.Double:
		return einsumKernel[float64]{e}, nil
	case onnx.Int8:
		return einsumKernel[int8]{e}, nil
	case onnx.Int16:
		return einsumKernel[int16]{e}, nil
	case onnx.Int32:
		return einsumKernel[int32]{e}, nil
	case onnx.Int64:
		return einsumKernel[int64]{e}, nil
	case onnx.Uint8:
		return einsumKernel[uint8]{e}, nil
	case onnx.Uint16:
		return einsumKernel[uint16]{e}, nil
	case onnx.Uint32:
		return einsumKernel[uint32]{e}, nil
	case onnx.Uint64:
		return einsumKernel[uint64]{e}, nil
	case onnx.Float:
		return einsumKernel[float32]{e}, nil
	}
	return Widen(einsumKernel[float32]{e}), nil
}

// einsumKernel contracts the operands from left to right: a label is summed
// over as soon as nothing behind needs it, and each pair is a batch of matrix
// products.
type einsumKernel[T element] struct{ *einsum }

// strided is a tensor seen through its labels: the stride of each, 0 where it
// is broadcast.
type strided[T element] struct {
	data    []T
	labels  []rune
	strides []int
}

// contraction is one run of an Einsum.
type contraction[T element] struct {
	c       *Ctx
	sizes   map[rune]int
	product product[T]
}

func (k einsumKernel[T]) Run(c *Ctx, in, _ []onnx.Value) error {
	x := contraction[T]{c: c, sizes: map[rune]int{}}
	x.product.level = k.level
	hidden := 0
	spelt := make([][]rune, len(k.terms))
	for i, term := range k.terms {
		t := in[i].(*onnx.Tensor)
		labels, err := spell(term, t.Rank())
		if err != nil {
			return err
		}
		spelt[i] = labels
		if slices.Contains(term, ellipsis) {
			hidden = max(hidden, len(labels)-len(term)+1)
		}
		for d, l := range labels {
			n := t.Shape()[d]
			if had, ok := x.sizes[l]; !ok || had == 1 {
				x.sizes[l] = n
			} else if n != 1 && n != had {
				return onnx.Errorf(onnx.ErrShape, "input %d: a dimension is %d, elsewhere %d (term %q)", i, n, had, string(term))
			}
		}
	}
	result := k.result(hidden)
	shape := make([]int, len(result))
	for i, l := range result {
		if _, ok := x.sizes[l]; !ok {
			x.sizes[l] = 1 // dots of a result that stand for nothing
		}
		shape[i] = x.sizes[l]
	}
	t, err := c.New(0, onnx.TypeOf[T](), shape)
	if err != nil || t.Len() == 0 {
		return err
	}
	needed := func(i int) func(l rune) bool { // by the operands from i on, or the result
		return func(l rune) bool {
			return slices.Contains(result, l) || slices.ContainsFunc(spelt[i:], func(s []rune) bool { return slices.Contains(s, l) })
		}
	}
	cur, err := x.sum(x.operand(in[0].(*onnx.Tensor), spelt[0]), needed(1))
	for i := 1; i < len(spelt) && err == nil; i++ {
		later, other := needed(i+1), strided[T]{}
		left := cur.labels
		other, err = x.sum(x.operand(in[i].(*onnx.Tensor), spelt[i]), func(l rune) bool { return later(l) || slices.Contains(left, l) })
		if err == nil {
			cur, err = x.multiply(cur, other, later)
		}
	}
	if err != nil {
		return err
	}
	x.copy(onnx.Elements[T](t), cur, result)
	return c.Err()
}

// operand sees a tensor through its term's labels; a label that occurs twice
// runs along the diagonal.
func (x *contraction[T]) operand(t *onnx.Tensor, labels []rune) strided[T] {
	s := strided[T]{data: onnx.Elements[T](t)}
	step := 1
	for d := len(labels) - 1; d >= 0; d-- {
		n := t.Shape()[d]
		k := slices.Index(s.labels, labels[d])
		if k < 0 {
			k = 0
			s.labels, s.strides = slices.Insert(s.labels, 0, labels[d]), slices.Insert(s.strides, 0, 0)
		}
		if n != 1 {
			s.strides[k] += step
		}
		step *= n
	}
	return s
}

// elements is the number of elements along labels.
func (x *contraction[T]) elements(labels []rune) (int, error) {
	shape := make([]int, len(labels))
	for i, l := range labels {
		shape[i] = x.sizes[l]
	}
	return onnx.NumElements(shape)
}

// steps gives the strides of s along labels, 0 for those that it has not.
func (s *strided[T]) steps(labels []rune) []int {
	out := make([]int, len(labels))
	for i, l := range labels {
		if k := slices.Index(s.labels, l); k >= 0 {
			out[i] = s.strides[k]
		}
	}
	return out
}

// copy writes the elements of s in the order of labels.
func (x *contraction[T]) copy(dst []T, s strided[T], labels []rune) {
	shape := make([]int, len(labels))
	for i, l := range labels {
		shape[i] = x.sizes[l]
	}
	kernel.Restride(dst, s.data, shape, s.steps(labels))
}

// arranged gives the elements of s in the order of labels: as they lie, or a copy.
func (x *contraction[T]) arranged(s strided[T], labels []rune) ([]T, error) {
	n, err := x.elements(labels)
	if err != nil || n == 0 {
		return nil, err
	}
	if x.lies(s, labels) {
		return s.data[:n], nil
	}
	dst, err := Scratch[T](x.c, n)
	if err == nil {
		x.copy(dst, s, labels)
	}
	return dst, err
}

// lies reports whether the elements lie in the order of labels.
func (x *contraction[T]) lies(s strided[T], labels []rune) bool {
	step := 1
	steps := s.steps(labels)
	for d := len(labels) - 1; d >= 0; d-- {
		n := x.sizes[labels[d]]
		if n != 1 && steps[d] != step {
			return false
		}
		step *= n
	}
	return true
}

// sum adds over the labels that are not needed.
func (x *contraction[T]) sum(s strided[T], needed func(rune) bool) (strided[T], error) {
	var kept, gone []rune
	for _, l := range s.labels {
		if needed(l) {
			kept = append(kept, l)
		} else {
			gone = append(gone, l)
		}
	}
	if len(gone) == 0 {
		return s, nil
	}
	data, err := x.arranged(s, append(slices.Clone(kept), gone...))
	if err != nil {
		return s, err
	}
	rows, err := x.elements(kept)
	if err != nil {
		return s, err
	}
	dst, err := Scratch[T](x.c, rows)
	if err != nil {
		return s, err
	}
	n := len(data) / max(rows, 1)
	for r := range dst {
		dst[r] = 0
		for _, v := range data[r*n : (r+1)*n] {
			dst[r] += v
		}
	}
	return x.dense(dst, kept), x.c.Err()
}

// dense is a tensor that lies in the order of its labels.
func (x *contraction[T]) dense(data []T, labels []rune) strided[T] {
	s := strided[T]{data: data, labels: labels, strides: make([]int, len(labels))}
	step := 1
	for d := len(labels) - 1; d >= 0; d-- {
		if s.strides[d] = step; x.sizes[labels[d]] == 1 {
			s.strides[d] = 0
		}
		step *= x.sizes[labels[d]]
	}
	return s
}

// multiply contracts two tensors over the labels that nothing needs.
func (x *contraction[T]) multiply(a, b strided[T], needed func(rune) bool) (strided[T], error) {
	var batch, rows, cols, depth []rune
	for _, l := range a.labels {
		switch shared := slices.Contains(b.labels, l); {
		case shared && needed(l):
			batch = append(batch, l)
		case shared:
			depth = append(depth, l)
		default:
			rows = append(rows, l)
		}
	}
	for _, l := range b.labels {
		if !slices.Contains(a.labels, l) {
			cols = append(cols, l)
		}
	}
	result := slices.Concat(batch, rows, cols)
	n, err := x.elements(result)
	if err != nil {
		return a, err
	}
	y, err := Scratch[T](x.c, n)
	if err != nil {
		return a, err
	}
	clear(y)
	p := &x.product
	if p.a, err = x.arranged(a, slices.Concat(batch, rows, depth)); err != nil {
		return a, err
	}
	order := slices.Concat(batch, cols, depth)
	if p.transB = x.lies(b, order); !p.transB {
		order = slices.Concat(batch, depth, cols)
	}
	if p.b, err = x.arranged(b, order); err != nil {
		return a, err
	}
	var size [4]int
	for i, l := range [][]rune{batch, rows, cols, depth} {
		if size[i], err = x.elements(l); err != nil {
			return a, err
		}
	}
	p.y, p.m, p.n, p.k = y, size[1], size[2], size[3]
	p.ldy, p.ars, p.acs, p.ldb = p.n, p.k, 1, p.n
	if p.transB {
		p.ldb = p.k
	}
	p.dims, p.as, p.bs = []int{size[0]}, []int{p.m * p.k}, []int{p.k * p.n}
	return x.dense(y, result), p.run(x.c)
}
