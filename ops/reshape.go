package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "Reshape", Since: []int{1, 5, 13, 14, 19, 21, 23, 24, 25}, Infer: inferReshape, Build: buildReshape},
		Op{Name: "Flatten", Since: []int{1, 9, 11, 13, 21, 23, 24, 25}, Infer: inferFlatten, Build: buildFlatten},
		Op{Name: "Squeeze", Since: []int{1, 11, 13, 21, 23, 24, 25}, Infer: inferSqueeze, Build: buildSqueeze},
		Op{Name: "Unsqueeze", Since: []int{1, 11, 13, 21, 23, 24, 25}, Infer: inferUnsqueeze, Build: buildUnsqueeze},
	)
}

// reshape gives a tensor another shape. In the list of sizes, 0 takes that of
// the input's dimension at the same place, unless allowZero, and -1 takes what
// is left.
type reshape struct {
	sizes     []int64 // version 1: an attribute
	fromAttr  bool
	allowZero bool
	zeros     axisSet // where a 0 was known at load, which so is no computed size
}

func readReshape(n *Node) *reshape {
	k := &reshape{fromAttr: n.Since < 5}
	if k.fromAttr {
		n.Attr("consumed_inputs")
		k.sizes = n.Ints("shape")
	}
	if n.Since >= 14 {
		k.allowZero = n.Bool("allowzero", false)
	}
	return k
}

func inferReshape(n *Node) error {
	k := readReshape(n)
	if err := n.Err(); err != nil {
		return err
	}
	target := &Content{}
	if k.fromAttr {
		for _, s := range k.sizes {
			target.Elems = append(target.Elems, Int(s))
		}
	} else if target = n.Content(1); target == nil || target.Scalar {
		s, err := shapeFrom(n, 1)
		n.SetTensor(0, n.Elem(0), s)
		return err
	}
	shape, err := k.infer(n.Shape(0), target.Elems)
	if err != nil {
		return err
	}
	n.SetTensor(0, n.Elem(0), shape)
	n.SetContent(0, reshapeContent(contentAt(n, 0), shape))
	return nil
}

// reshapeContent keeps a content where the new shape has rank 0 or 1.
func reshapeContent(c *Content, shape onnx.Shape) *Content {
	if c == nil || shape == nil || len(shape) > 1 {
		return nil
	}
	return &Content{Scalar: len(shape) == 0, Elems: c.Elems}
}

// infer gives the shape that the sizes make of a shape. A size that is known
// by a symbol may turn out to be 0, and then means the input's dimension.
func (k *reshape) infer(in onnx.Shape, sizes []Sym) (onnx.Shape, error) {
	out := make(onnx.Shape, len(sizes))
	rest := -1          // the place of -1
	certain := true     // what the sizes are is certain, but for -1
	var left []onnx.Dim // the input's dimensions that -1 stands for, times those of by
	if in.Ranked() {
		left = slices.Clone([]onnx.Dim(in))
	}
	by := 1
	for i, s := range sizes {
		same := i < len(in) && (s.Known && s.Value == 0 || !s.Known && SymOf(in[i]) == s && s.Name != "")
		switch {
		case s.Known && s.Value == -1:
			if rest >= 0 {
				return nil, onnx.Errorf(onnx.ErrShape, "shape has -1 at %d and at %d", rest, i)
			}
			rest = i
			out[i] = onnx.UnknownDim
		case s.Known && s.Value < -1:
			return nil, onnx.Errorf(onnx.ErrShape, "shape[%d] = %d, want at least -1", i, s.Value)
		case k.allowZero && s.Known && s.Value == 0:
			out[i] = onnx.Fixed(0)
			by = 0
		case s.Known && s.Value == 0 && in.Ranked() && i >= len(in):
			return nil, onnx.Errorf(onnx.ErrShape, "shape[%d] = 0, the input has rank %d", i, len(in))
		case s.Known && s.Value == 0 && !in.Ranked():
			out[i], certain = onnx.UnknownDim, false
		case same: // cancels where it stands
			out[i] = in[i]
			left[i] = onnx.Fixed(1)
		case s.Known:
			out[i] = s.Dim()
			if by > 0 && s.Value > int64(^uint(0)>>1)/int64(by) {
				return nil, onnx.Errorf(onnx.ErrShape, "shape %v has too many elements", sizes)
			}
			by *= int(s.Value)
		default:
			out[i], certain = s.Dim(), false
		}
	}
	if rest < 0 {
		return out, k.fits(in, left, out, by, certain)
	}
	if !certain || by == 0 {
		for i, s := range sizes { // which may be 0, and then another size
			if !s.Known && !(i < len(in) && SymOf(in[i]) == s) {
				out[i] = onnx.UnknownDim
			}
		}
		return out, nil
	}
	if !in.Ranked() {
		return out, nil
	}
	d, err := quotient(left, by)
	out[rest] = d
	return out, err
}

// fits checks that the number of elements stays, where it is known. in may be
// of unknown rank; a size of it that is 0 leaves everything possible.
func (k *reshape) fits(in onnx.Shape, left []onnx.Dim, out onnx.Shape, by int, certain bool) error {
	if !in.Ranked() || !certain {
		return nil
	}
	for _, d := range in {
		if d.Known() && d.Value == 0 || !d.Known() {
			return nil
		}
	}
	if n := productDim(left); n.Known() && n.Value != by {
		return onnx.Errorf(onnx.ErrShape, "a shape of %v cannot become %v", in, out)
	}
	return nil
}

// quotient gives the product of dimensions divided by a number.
func quotient(dims []onnx.Dim, by int) (onnx.Dim, error) {
	known, rest, unknown := 1, onnx.Fixed(1), 0
	for _, d := range dims {
		switch {
		case !d.Known():
			rest = d
			unknown++
		case d.Value > 0 && known > int(^uint(0)>>1)/d.Value:
			return onnx.UnknownDim, nil
		default:
			known *= d.Value
		}
	}
	switch {
	case known == 0:
		return onnx.Fixed(0), nil
	case unknown == 0 && known%by != 0:
		return onnx.UnknownDim, onnx.Errorf(onnx.ErrShape, "%d elements are not a multiple of %d", known, by)
	case unknown == 0:
		return onnx.Fixed(known / by), nil
	case unknown == 1 && known == by:
		return rest, nil
	}
	return onnx.UnknownDim, nil
}

func buildReshape(n *Node) (Kernel, error) {
	k := readReshape(n)
	if c := n.Content(1); c != nil {
		for i, e := range c.Elems {
			if e.Known && e.Value == 0 {
				k.zeros.add(i)
			}
		}
	}
	return viewing(n, k), nil
}

func (k *reshape) Run(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	m := moverOf(c)
	sizes := k.sizes
	if !k.fromAttr {
		if sizes, err = m.list(0, in[1], "shape"); err != nil {
			return err
		}
	}
	if limit := c.Limits().Rank; len(sizes) > limit {
		return &onnx.LimitError{What: "rank", Got: int64(len(sizes)), Max: int64(limit)}
	}
	if m.shape, err = k.resolve(m.shape[:0], x, sizes); err != nil {
		return err
	}
	if x.Len() == 0 && !k.fromAttr {
		k.takeInferred(m.shape, sizes, c.OutType(0).Shape)
	}
	_, err = c.View(0, x, m.shape)
	return err
}

// takeInferred takes a size that was computed, and is 0 though the input's at its
// place is not, for what inference says that it is: an empty batch, most often.
func (k *reshape) takeInferred(dst []int, sizes []int64, inferred onnx.Shape) {
	for i, s := range sizes {
		if s == 0 && !k.zeros.has(i) && len(inferred) == len(sizes) && inferred[i].Known() && inferred[i].Value == 0 {
			dst[i] = 0
		}
	}
}

// resolve gives the shape that the sizes make of x's, appended to dst.
func (k *reshape) resolve(dst []int, x *onnx.Tensor, sizes []int64) ([]int, error) {
	rest := -1
	n, left := 1, x.Len() // elements without -1; those of dimensions that were not taken over
	copied := false
	for i, s := range sizes {
		switch {
		case s == -1 && rest >= 0:
			return nil, onnx.Errorf(onnx.ErrShape, "shape has -1 at %d and at %d", rest, i)
		case s == -1:
			rest = i
			dst = append(dst, 1)
			continue
		case s < -1 || int64(int(s)) != s:
			return nil, onnx.Errorf(onnx.ErrShape, "shape[%d] = %d, want at least -1", i, s)
		case s == 0 && !k.allowZero:
			if i >= x.Rank() {
				return nil, onnx.Errorf(onnx.ErrShape, "shape[%d] = 0, the input has rank %d", i, x.Rank())
			}
			s = int64(x.Shape()[i])
			copied = true
		}
		var err error
		if n, err = mulSizes(n, s, "the size"); err != nil {
			return nil, err
		}
		dst = append(dst, int(s))
	}
	if rest < 0 {
		if n != 0 && left == 0 && copied && !k.fromAttr {
			// Nothing fits but to take 0 for what it is: so shapes that a model
			// computes work for an empty batch too.
			for i, s := range sizes {
				if s == 0 && !k.zeros.has(i) {
					dst[i] = 0
				}
			}
		}
		return dst, nil
	}
	if n == 0 { // dimensions that are taken over cancel
		if k.allowZero {
			return nil, onnx.Errorf(onnx.ErrShape, "shape %v has both 0 and -1", slices.Clone(sizes))
		}
		n, left = 1, 1
		for i, d := range x.Shape() {
			if i >= len(sizes) || sizes[i] != 0 {
				left *= d
			}
		}
		for _, s := range sizes {
			if s > 0 {
				n *= int(s)
			}
		}
	}
	if left%n != 0 {
		return nil, onnx.Errorf(onnx.ErrShape, "shape %v has %d elements besides -1, the input %v has %d", slices.Clone(sizes), n, slices.Clone(x.Shape()), left)
	}
	dst[rest] = left / n
	return dst, nil
}

// flattenAxis reads the axis of a Flatten, which may be the rank.
func flattenAxis(axis int64, since, rank int) (int, error) {
	low := 0
	if since >= 11 {
		low = -rank
	}
	if axis < int64(low) || axis > int64(rank) {
		return 0, onnx.Errorf(onnx.ErrShape, "axis %d, want %d..%d", axis, low, rank)
	}
	if axis < 0 {
		axis += int64(rank)
	}
	return int(axis), nil
}

func inferFlatten(n *Node) error {
	axis := n.Int("axis", 1)
	shape := onnx.UnknownShape(2)
	if s := n.Shape(0); s.Ranked() {
		a, err := flattenAxis(axis, n.Since, len(s))
		if err != nil {
			return err
		}
		shape[0], shape[1] = productDim(s[:a]), productDim(s[a:])
	}
	n.SetTensor(0, n.Elem(0), shape)
	return n.Err()
}

func buildFlatten(n *Node) (Kernel, error) {
	axis, since := n.Int("axis", 1), n.Since
	return viewing(n, KernelFunc(func(c *Ctx, in, _ []onnx.Value) error {
		x, err := inputTensor(in, 0)
		if err != nil {
			return err
		}
		a, err := flattenAxis(axis, since, x.Rank())
		if err != nil {
			return err
		}
		shape := [2]int{elements(x.Shape()[:a]), elements(x.Shape()[a:])}
		_, err = c.View(0, x, shape[:])
		return err
	})), nil
}

// axesKernel is a Squeeze or an Unsqueeze.
type axesKernel struct {
	axes      []int64 // before version 13: an attribute
	fromAttr  bool
	unsqueeze bool
}

func readAxes(n *Node) *axesKernel {
	k := &axesKernel{fromAttr: n.Since < 13, unsqueeze: n.Proto.OpType == "Unsqueeze"}
	if k.fromAttr {
		k.axes = n.Ints("axes")
	} else {
		n.Has(1)
	}
	return k
}

// known gives the axes as far as inference knows them: ok is false when it
// does not, axes are nil when there are none.
func (k *axesKernel) known(n *Node) (axes []int64, ok bool) {
	if k.fromAttr {
		return k.axes, true
	}
	if !n.Has(1) {
		return nil, true
	}
	return n.ConstInts(1)
}

// axisSet is a set of axes; it holds the highest rank that Limits lets through.
type axisSet [4]uint64

func (s *axisSet) has(i int) bool { return i < 256 && s[i/64]>>(i%64)&1 != 0 }

func (s *axisSet) add(i int) {
	if i < 256 {
		s[i/64] |= 1 << (i % 64)
	}
}

// axisSetOf collects axes of a tensor of the given rank.
func axisSetOf(axes []int64, rank int) (s axisSet, err error) {
	if rank > 256 {
		return s, &onnx.LimitError{What: "rank", Got: int64(rank), Max: 256}
	}
	for _, a := range axes {
		i, err := Axis(a, rank)
		if err != nil {
			return s, err
		}
		if s.has(i) {
			return s, onnx.Errorf(onnx.ErrShape, "axis %d is listed twice in axes", i)
		}
		s.add(i)
	}
	return s, nil
}

func inferSqueeze(n *Node) error {
	k := readAxes(n)
	n.SetTensor(0, n.Elem(0), nil)
	in := n.Shape(0)
	axes, ok := k.known(n)
	if !ok || !in.Ranked() {
		if a := n.Shape(1); !ok && in.Ranked() && len(a) == 1 && a[0].Known() && a[0].Value > 0 && a[0].Value <= len(in) {
			n.SetTensor(0, n.Elem(0), onnx.UnknownShape(len(in)-a[0].Value))
		}
		return n.Err()
	}
	set, err := axisSetOf(axes, len(in))
	if err != nil {
		return err
	}
	out := onnx.Shape{}
	for i, d := range in {
		switch {
		case len(axes) == 0 && !d.Known():
			return nil // it may be 1 or not
		case set.has(i) && d.Known() && d.Value != 1:
			return onnx.Errorf(onnx.ErrShape, "axis %d of %v has size %d, want 1", i, in, d.Value)
		case len(axes) == 0 && d.Value != 1, len(axes) > 0 && !set.has(i):
			out = append(out, d)
		}
	}
	n.SetTensor(0, n.Elem(0), out)
	n.SetContent(0, reshapeContent(contentAt(n, 0), out))
	return n.Err()
}

func buildSqueeze(n *Node) (Kernel, error) { return viewing(n, readAxes(n)), nil }

func inferUnsqueeze(n *Node) error {
	k := readAxes(n)
	n.SetTensor(0, n.Elem(0), nil)
	in := n.Shape(0)
	if !in.Ranked() {
		return n.Err()
	}
	axes, ok := k.known(n)
	if !ok {
		if a := n.Shape(1); len(a) == 1 && a[0].Known() && a[0].Value <= maxKnownRank {
			n.SetTensor(0, n.Elem(0), onnx.UnknownShape(len(in)+a[0].Value))
		}
		return n.Err()
	}
	rank := len(in) + len(axes)
	set, err := axisSetOf(axes, rank)
	if err != nil {
		return err
	}
	out := make(onnx.Shape, 0, rank)
	for i, next := 0, 0; i < rank; i++ {
		if set.has(i) {
			out = append(out, onnx.Fixed(1))
			continue
		}
		out = append(out, in[next])
		next++
	}
	n.SetTensor(0, n.Elem(0), out)
	n.SetContent(0, reshapeContent(contentAt(n, 0), out))
	return n.Err()
}

func buildUnsqueeze(n *Node) (Kernel, error) { return viewing(n, readAxes(n)), nil }

func (k *axesKernel) Run(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	m := moverOf(c)
	axes := k.axes
	if !k.fromAttr && len(in) > 1 && in[1] != nil {
		if axes, err = m.list(0, in[1], "axes"); err != nil {
			return err
		}
	}
	m.shape = m.shape[:0]
	if k.unsqueeze {
		err = m.unsqueeze(x.Shape(), axes)
	} else {
		err = m.squeeze(x.Shape(), axes)
	}
	if err != nil {
		return err
	}
	_, err = c.View(0, x, m.shape)
	return err
}

func (m *mover) squeeze(shape []int, axes []int64) error {
	set, err := axisSetOf(axes, len(shape))
	if err != nil {
		return err
	}
	for i, d := range shape {
		switch {
		case set.has(i) && d != 1:
			return onnx.Errorf(onnx.ErrShape, "axis %d of %v has size %d, want 1", i, slices.Clone(shape), d)
		case set.has(i) || len(axes) == 0 && d == 1:
		default:
			m.shape = append(m.shape, d)
		}
	}
	return nil
}

func (m *mover) unsqueeze(shape []int, axes []int64) error {
	rank := len(shape) + len(axes)
	if limit := m.c.Limits().Rank; rank > limit {
		return &onnx.LimitError{What: "rank", Got: int64(rank), Max: int64(limit)}
	}
	set, err := axisSetOf(axes, rank)
	if err != nil {
		return err
	}
	for i, next := 0, 0; i < rank; i++ {
		if set.has(i) {
			m.shape = append(m.shape, 1)
			continue
		}
		m.shape = append(m.shape, shape[next])
		next++
	}
	return nil
}
