package ops

import (
	"math"
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(
		Op{Name: "Attention", Since: []int{23, 24, 25}, Infer: inferAttention, Build: buildAttention},
		Op{Name: "RotaryEmbedding", Since: []int{23}, Infer: inferRotary, Build: buildRotary},
	)
}

// Attention, for each item of a batch and each head h of the queries, with the
// keys and values of head h/(q_heads/kv_heads):
//
//	P = softmax(softcap(scale * Q K^T) + mask),    Y = P V
//	softcap(x) = c * tanh(x/c)
//
// The mask is 0, or minus infinity where a key is out of a query's sight; a
// query that sees no key has P = 0. Q, K and V are [batch, length,
// heads*size], or [batch, heads, length, size]; past_key and past_value come
// before K and V, and are of the second form, as all outputs behind Y are.
//
// Everything is computed in float32, or float64 for tensors of double, and each
// output is rounded once.
type attention struct {
	level           Level
	causal          bool
	qHeads, kvHeads int64
	scale           float32 // 0: 1/sqrt(size)
	softcap         float64
	mode            int64 // of qk_matmul_output: 0 product, 1 after softcap, 2 after mask, 3 softmax
	left, right     int64 // keys in sight before and behind a query's own place; -1: all
	padMask         bool  // a mask that is too short is continued with minus infinity
	elem, elemV     onnx.DataType
}

// Inputs of an Attention, by place.
const (
	attnQ = iota
	attnK
	attnV
	attnMask
	attnPastKey
	attnPastValue
	attnNonpad
)

func readAttention(n *Node) (a attention, err error) {
	a = attention{level: n.Level(), causal: n.Bool("is_causal", false), qHeads: n.Int("q_num_heads", 0), kvHeads: n.Int("kv_num_heads", 0),
		softcap: float64(n.Float("softcap", 0)), mode: n.Int("qk_matmul_output_mode", 0), left: -1, right: -1, padMask: n.Since >= 24,
		elem: n.Elem(attnQ), elemV: n.Elem(attnV)}
	if n.HasAttr("scale") {
		a.scale = n.Float("scale", 0)
	}
	if n.Since >= 25 {
		a.left, a.right = n.Int("left_window_size", -1), n.Int("right_window_size", -1)
	}
	if d := onnx.DataType(n.Int("softmax_precision", 1)); !d.IsFloat() {
		return a, onnx.Errorf(onnx.ErrType, "softmax_precision is %v, want a floating-point type", d)
	}
	if a.mode < 0 || a.mode > 3 {
		return a, onnx.Errorf(onnx.ErrMalformed, "qk_matmul_output_mode is %d, want 0..3", a.mode)
	}
	if a.left < -1 || a.right < -1 {
		return a, onnx.Errorf(onnx.ErrMalformed, "left_window_size is %d, right_window_size %d, want -1 or more", a.left, a.right)
	}
	if a.qHeads < 0 || a.qHeads > maxWindow || a.kvHeads < 0 || a.kvHeads > maxWindow {
		return a, onnx.Errorf(onnx.ErrShape, "q_num_heads is %d, kv_num_heads %d, want positive numbers", a.qHeads, a.kvHeads)
	}
	return a, n.Err()
}

// headed gives batch, heads, length and size of an operand of either form.
func headed(s onnx.Shape, heads int64, name string) (onnx.Shape, error) {
	switch {
	case s == nil:
		return onnx.UnknownShape(4), nil
	case len(s) == 4:
		return s, nil
	case len(s) != 3:
		return nil, onnx.Errorf(onnx.ErrShape, "%s is %v, want three or four dimensions", name, s)
	case heads < 1:
		return nil, onnx.Errorf(onnx.ErrShape, "%s is %v: three dimensions need q_num_heads and kv_num_heads", name, s)
	}
	size := onnx.UnknownDim
	if s[2].Known() {
		if s[2].Value%int(heads) != 0 {
			return nil, onnx.Errorf(onnx.ErrShape, "%s is %v, want its last dimension to be a multiple of the number of heads, %d", name, s, heads)
		}
		size = onnx.Fixed(s[2].Value / int(heads))
	}
	return onnx.Shape{s[0], onnx.Fixed(int(heads)), s[1], size}, nil
}

func inferAttention(n *Node) error {
	a, err := readAttention(n)
	if err != nil {
		return err
	}
	var s [3]onnx.Shape
	for i, heads := range []int64{a.qHeads, a.kvHeads, a.kvHeads} {
		if s[i], err = headed(n.Shape(i), heads, n.formal(i, true)); err != nil {
			return err
		}
	}
	q, k, v := s[0], s[1], s[2]
	total := k[2]
	if n.Has(attnPastKey) {
		total = onnx.UnknownDim
		if p := n.Shape(attnPastKey); len(p) == 4 && p[2].Known() && k[2].Known() {
			total = onnx.Fixed(p[2].Value + k[2].Value)
		}
	}
	switch x := n.Shape(attnQ); {
	case x == nil:
		n.SetTensor(0, a.elem, nil)
	case len(x) == 4:
		n.SetTensor(0, a.elem, onnx.Shape{q[0], q[1], q[2], v[3]})
	default:
		size := onnx.UnknownDim
		if v[3].Known() {
			size = onnx.Fixed(v[3].Value * int(a.qHeads))
		}
		n.SetTensor(0, a.elem, onnx.Shape{q[0], q[2], size})
	}
	n.SetTensor(1, n.Elem(attnK), onnx.Shape{k[0], k[1], total, k[3]})
	n.SetTensor(2, a.elemV, onnx.Shape{v[0], v[1], total, v[3]})
	n.SetTensor(3, a.elem, onnx.Shape{q[0], q[1], q[2], total})
	return nil
}

func buildAttention(n *Node) (Kernel, error) {
	a, err := readAttention(n)
	for i := attnMask; i <= attnNonpad; i++ {
		n.Has(i)
	}
	for i := 1; i <= 3; i++ {
		n.Wants(i)
	}
	if n.Has(attnPastKey) != n.Has(attnPastValue) {
		return nil, onnx.Errorf(onnx.ErrMalformed, "past_key and past_value: one is given without the other")
	}
	if anyDouble(n) {
		return &attentionKernel[float64]{a}, err
	}
	return &attentionKernel[float32]{a}, err
}

type attentionKernel[T floating] struct{ attention }

// headView sees an operand by batch, head and place.
type headView[T floating] struct {
	data                      []T
	heads, length, size       int
	batchStep, headStep, step int
}

func (h *headView[T]) at(batch, head int) []T {
	if h.length == 0 || h.size == 0 {
		return nil
	}
	return h.data[batch*h.batchStep+head*h.headStep:]
}

// shapeOf works out the view of an operand; data is read later.
func (h *headView[T]) shapeOf(t *onnx.Tensor, heads int64, name string) error {
	s := t.Shape()
	switch {
	case len(s) == 4:
		h.heads, h.length, h.size = s[1], s[2], s[3]
		h.step, h.headStep = h.size, h.length*h.size
	case len(s) == 3 && heads >= 1 && s[2]%int(heads) == 0:
		h.heads, h.length, h.size = int(heads), s[1], s[2]/int(heads)
		h.step, h.headStep = s[2], h.size
	default:
		return onnx.Errorf(onnx.ErrShape, "%s is %v, want [batch, heads, length, size], or with heads (%d) set [batch, length, heads*size]", name, t, heads)
	}
	h.batchStep = h.heads * h.length * h.size
	return nil
}

// attentionLocal is an Attention while it runs, kept for a frame.
type attentionLocal[T floating] struct {
	k         *attention
	q, key, v headView[T]
	y         headView[T]
	mask      []T // nil where there is none
	maskStep  [4]int
	maskWidth int
	nonpad    []int64 // keys of each item that count; nil: all
	past      int
	scale     T
	scores    []T // of the heads first, first+1, ...
	first     int
	products  []T // output 3, nil where not wanted
	c         *Ctx
	rows      func(lo, hi int)
	group     int
	keys      int
}

func (k *attentionKernel[T]) Run(c *Ctx, in, out []onnx.Value) error {
	l := Local[attentionLocal[T]](c)
	defer func() { *l = attentionLocal[T]{rows: l.rows} }()
	l.k, l.c = &k.attention, c
	q := in[attnQ].(*onnx.Tensor)
	if err := l.operands(c, in, out); err != nil {
		return err
	}
	batch := q.Shape()[0]
	if err := l.readMask(c, tensorIn(in, attnMask), batch); err != nil {
		return err
	}
	if t := tensorIn(in, attnNonpad); t != nil {
		l.nonpad = onnx.Elements[int64](t)
		if t.Rank() != 1 || t.Len() != batch {
			return onnx.Errorf(onnx.ErrShape, "nonpad_kv_seqlen is %v, want [%d]", t, batch)
		}
		for i, n := range l.nonpad {
			if n < 0 || n > int64(l.keys) {
				return onnx.Errorf(onnx.ErrShape, "nonpad_kv_seqlen[%d] is %d, want 0..%d", i, n, l.keys)
			}
		}
	}
	// scale is applied to the product: sqrt(scale) to each side is the same
	if l.scale = T(k.scale); k.scale == 0 {
		l.scale = T(1 / math.Sqrt(float64(l.q.size)))
	}
	l.y = l.q
	l.y.size = l.v.size
	shape := []int{batch, l.q.length, l.q.heads * l.v.size}
	l.y.step, l.y.headStep = l.q.heads*l.v.size, l.v.size
	if q.Rank() == 4 {
		shape = []int{batch, l.q.heads, l.q.length, l.v.size}
		l.y.step, l.y.headStep = l.v.size, l.q.length*l.v.size
	}
	l.y.batchStep = l.q.heads * l.q.length * l.v.size
	t, y, err := newReal[T](c, 0, k.elem, shape)
	if err != nil {
		return err
	}
	l.y.data = y
	clear(y)
	var product *onnx.Tensor
	if len(out) > 3 && c.Wants(3) {
		if product, l.products, err = newReal[T](c, 3, k.elem, []int{batch, l.q.heads, l.q.length, l.keys}); err != nil {
			return err
		}
	}
	if err := l.compute(c, batch*l.q.heads); err != nil {
		return err
	}
	if product != nil {
		if err := storeReal(c, product, l.products); err != nil {
			return err
		}
	}
	return storeReal(c, t, y)
}

// operands reads Q, and K and V behind what is past, and makes the outputs
// that hold the latter.
func (l *attentionLocal[T]) operands(c *Ctx, in, out []onnx.Value) error {
	q, key, v := in[attnQ].(*onnx.Tensor), in[attnK].(*onnx.Tensor), in[attnV].(*onnx.Tensor)
	if err := l.q.shapeOf(q, l.k.qHeads, "Q"); err != nil {
		return err
	}
	if err := l.key.shapeOf(key, l.k.kvHeads, "K"); err != nil {
		return err
	}
	if err := l.v.shapeOf(v, l.k.kvHeads, "V"); err != nil {
		return err
	}
	kv := l.key.heads
	if q.Shape()[0] != key.Shape()[0] || q.Shape()[0] != v.Shape()[0] || l.q.size != l.key.size || l.v.heads != kv || l.v.length != l.key.length ||
		kv == 0 || l.q.heads%kv != 0 {
		return onnx.Errorf(onnx.ErrShape, "Q is %v (%d heads), K is %v, V is %v (%d heads): want one batch, one size of Q and K, one length of K and V, and a multiple of their heads", q, l.q.heads, key, v, kv)
	}
	l.group = l.q.heads / kv
	var err error
	if l.q.data, err = readReal[T](c, q); err != nil {
		return err
	}
	if err := l.key.join(c, out, 1, key, tensorIn(in, attnPastKey), q.Shape()[0]); err != nil {
		return err
	}
	if err := l.v.join(c, out, 2, v, tensorIn(in, attnPastValue), q.Shape()[0]); err != nil {
		return err
	}
	if l.key.length != l.v.length {
		return onnx.Errorf(onnx.ErrShape, "past_key gives %d keys, past_value %d values, want as many", l.key.length, l.v.length)
	}
	if p := tensorIn(in, attnPastKey); p != nil {
		l.past = p.Shape()[2]
	}
	l.keys = l.key.length
	return nil
}

// join reads an operand behind what is past of it. Where output i is wanted, it
// gets the whole, bit by bit.
func (h *headView[T]) join(c *Ctx, out []onnx.Value, i int, t, past *onnx.Tensor, batch int) error {
	wanted := i < len(out) && c.Wants(i)
	before := 0
	if past != nil {
		s := past.Shape()
		if len(s) != 4 || s[0] != batch || s[1] != h.heads || s[3] != h.size || past.DataType() != t.DataType() {
			return onnx.Errorf(onnx.ErrShape, "what is past is %v, want %v[%d %d ? %d]", past, t.DataType(), batch, h.heads, h.size)
		}
		before = s[2]
	}
	var err error
	if past == nil && !wanted {
		h.data, err = readReal[T](c, t)
		return err
	}
	shape := [4]int{batch, h.heads, before + h.length, h.size}
	var whole *onnx.Tensor
	if wanted {
		whole, err = c.New(i, t.DataType(), shape[:])
	} else {
		whole, err = scratchTensor(c, t.DataType(), shape[:])
	}
	if err != nil {
		return err
	}
	w := t.DataType().Size()
	dst, src := whole.Bytes(), t.Bytes()
	for b := range batch {
		for head := range h.heads {
			if past != nil {
				n := before * h.size * w
				p := (b*h.heads + head) * n
				copy(dst[:n], past.Bytes()[p:p+n])
				dst = dst[n:]
			}
			for j := range h.length {
				p := (b*h.batchStep + head*h.headStep + j*h.step) * w
				copy(dst[:h.size*w], src[p:])
				dst = dst[h.size*w:]
			}
		}
	}
	if err := h.shapeOf(whole, 0, "the whole"); err != nil {
		return err
	}
	h.data, err = readReal[T](c, whole)
	return err
}

// readMask reads the mask as numbers, and its strides along the four dimensions
// that it is broadcast to.
func (l *attentionLocal[T]) readMask(c *Ctx, t *onnx.Tensor, batch int) error {
	l.mask = nil
	if t == nil {
		return nil
	}
	full := [4]int{batch, l.q.heads, l.q.length, l.keys}
	s := t.Shape()
	if len(s) > 4 || len(s) == 0 {
		return onnx.Errorf(onnx.ErrShape, "attn_mask is %v, want one to four dimensions", t)
	}
	step := 1
	l.maskStep, l.maskWidth = [4]int{}, l.keys
	for d := len(s) - 1; d >= 0; d-- {
		k := 4 - len(s) + d
		switch {
		case k == 3 && l.k.padMask && s[d] <= full[k]:
			l.maskStep[k], l.maskWidth = step, s[d]
		case s[d] == full[k]:
			l.maskStep[k] = step
		case s[d] != 1:
			return onnx.Errorf(onnx.ErrShape, "attn_mask is %v, which cannot be broadcast to %v", t, full)
		}
		step *= s[d]
	}
	mask, err := Scratch[T](c, max(t.Len(), 1))
	if err != nil {
		return err
	}
	l.mask = mask
	if t.DataType() == onnx.Bool {
		for i, on := range onnx.Elements[bool](t) {
			if mask[i] = 0; !on {
				mask[i] = T(math.Inf(-1))
			}
		}
		return nil
	}
	wide, err := Scratch[float64](c, t.Len())
	if err != nil {
		return err
	}
	realIO[t.DataType()].load(wide, t)
	for i, v := range wide {
		mask[i] = T(v)
	}
	return nil
}

// scoreElements is how many scores are held at a time, at least those of one
// head.
const scoreElements = 1 << 20

// compute goes over the heads of all items, some at a time.
func (l *attentionLocal[T]) compute(c *Ctx, heads int) error {
	if l.q.length == 0 || heads == 0 || l.keys == 0 {
		return nil
	}
	each, err := onnx.NumElements([]int{l.q.length, l.keys})
	if err != nil {
		return err
	}
	block := min(heads, max(1, scoreElements/each))
	if l.scores, err = Scratch[T](c, block*each); err != nil {
		return err
	}
	if l.rows == nil {
		l.rows = l.doRows
	}
	for l.first = 0; l.first < heads; l.first += block {
		n := min(block, heads-l.first)
		c.Parallel(n*l.q.length, grainOf(l.keys*(l.q.size+l.v.size)), l.rows)
		if err := c.Err(); err != nil {
			return err
		}
	}
	return nil
}

// doRows computes queries lo..hi-1, counted from those of head first.
func (l *attentionLocal[T]) doRows(lo, hi int) {
	for r := lo; r < hi && l.c.Err() == nil; r++ {
		all, i := l.first+r/l.q.length, r%l.q.length
		batch, head := all/l.q.heads, all%l.q.heads
		x := l.scores[r*l.keys:][:l.keys]
		clear(x)
		if q := l.q.at(batch, head); q != nil {
			kernel.GemmT(l.k.level, x, l.keys, q[i*l.q.step:], l.q.step, l.key.at(batch, head/l.group), l.key.step, 1, l.keys, l.q.size)
		}
		var keep []T
		if l.products != nil {
			keep = l.products[(all*l.q.length+i)*l.keys:][:l.keys]
		}
		for j := range x {
			x[j] *= l.scale
		}
		if keep != nil && l.k.mode == 0 {
			copy(keep, x)
		}
		if s := l.k.softcap; s != 0 {
			for j, v := range x {
				x[j] = T(s * math.Tanh(float64(v)/s))
			}
		}
		if keep != nil && l.k.mode == 1 {
			copy(keep, x)
		}
		seen := l.addMask(x, batch, head, i)
		if keep != nil && l.k.mode == 2 {
			copy(keep, x)
		}
		if !seen {
			clear(x)
		} else {
			softmaxOf(x)
		}
		if keep != nil && l.k.mode == 3 {
			copy(keep, x)
		}
		if v := l.v.at(batch, head/l.group); seen && v != nil {
			y := l.y.data[batch*l.y.batchStep+head*l.y.headStep+i*l.y.step:]
			kernel.Gemm(l.k.level, y, l.y.step, x, l.keys, 1, v, l.v.step, 1, l.v.size, l.keys)
		}
	}
}

// addMask adds all masks to the scores of a query, and reports whether any key
// is in its sight.
func (l *attentionLocal[T]) addMask(x []T, batch, head, i int) (seen bool) {
	off := l.past
	limit := len(x)
	if l.nonpad != nil {
		limit = int(l.nonpad[batch])
		off = limit - l.q.length
	}
	place := i + off
	lo, hi := 0, limit // keys in sight
	if l.k.causal {
		hi = min(hi, place+1)
	}
	if l.k.right >= 0 && l.k.right < int64(len(x)) {
		hi = min(hi, place+1+int(l.k.right))
	}
	if l.k.left >= 0 && l.k.left < int64(math.MaxInt32) {
		lo = max(lo, place-int(l.k.left))
	}
	var mask []T
	if l.mask != nil {
		mask = l.mask[batch*l.maskStep[0]+head*l.maskStep[1]+i*l.maskStep[2]:]
		hi = min(hi, l.maskWidth)
	}
	none := T(math.Inf(-1))
	for j := range x {
		if j < lo || j >= hi {
			x[j] += none
			continue
		}
		if mask != nil {
			m := mask[j*l.maskStep[3]]
			if x[j] += m; m == none {
				continue
			}
		}
		seen = true
	}
	return seen
}

// softmaxOf brings a row to its softmax.
func softmaxOf[T floating](x []T) {
	top := float64(kernel.MaxOf(x, T(math.Inf(-1))))
	var lanes kernel.Lanes
	lanes.Clear(kernel.Exp1)
	kernel.ExpRow(&lanes, x, x, top)
	kernel.ScaleRow(x, 1/lanes.Sum(kernel.Exp1))
}

// RotaryEmbedding turns the pairs (a, b) of the first rotary_embedding_dim
// elements of each head by an angle of their place:
//
//	a' = cos*a - sin*b,    b' = sin*a + cos*b
//
// Pairs are neighbours where interleaved, else halves apart. The caches are
// [places, dim/2], or without position_ids [batch, length, dim/2].
type rotary struct {
	interleaved bool
	heads, dim  int64
}

func inferRotary(n *Node) error {
	sameShape(n)
	if s := n.Shape(0); s != nil && len(s) != 3 && len(s) != 4 {
		return onnx.Errorf(onnx.ErrShape, "X is %v, want three or four dimensions", s)
	}
	return nil
}

func buildRotary(n *Node) (Kernel, error) {
	r := &rotary{n.Bool("interleaved", false), n.Int("num_heads", 0), n.Int("rotary_embedding_dim", 0)}
	n.Has(3)
	if r.heads < 0 || r.heads > maxWindow || r.dim < 0 || r.dim > maxWindow || r.dim%2 != 0 {
		return nil, onnx.Errorf(onnx.ErrShape, "num_heads is %d, rotary_embedding_dim %d, want none below 0 and an even dimension", r.heads, r.dim)
	}
	return r, nil
}

func (k *rotary) Run(c *Ctx, in, _ []onnx.Value) error {
	t := in[0].(*onnx.Tensor)
	var h headView[float32]
	if err := h.shapeOf(t, k.heads, "X"); err != nil {
		return err
	}
	batch := t.Shape()[0]
	dim := int(k.dim)
	if dim == 0 {
		dim = h.size
	}
	if dim > h.size || dim%2 != 0 {
		return onnx.Errorf(onnx.ErrShape, "X is %v: heads of %d elements, of which %d are to turn, want an even number that fits", t, h.size, dim)
	}
	cos, sin := in[1].(*onnx.Tensor), in[2].(*onnx.Tensor)
	positions := tensorIn(in, 3)
	if !slices.Equal(cos.Shape(), sin.Shape()) {
		return onnx.Errorf(onnx.ErrShape, "cos_cache is %v, sin_cache %v, want one shape", cos, sin)
	}
	var ids []int64
	s := cos.Shape()
	if positions == nil {
		if len(s) != 3 || s[0] != batch || s[1] != h.length || s[2] != dim/2 {
			return onnx.Errorf(onnx.ErrShape, "the caches are %v, want [%d %d %d] without position_ids", cos, batch, h.length, dim/2)
		}
	} else {
		if len(s) != 2 || s[1] != dim/2 {
			return onnx.Errorf(onnx.ErrShape, "the caches are %v, want [places %d] with position_ids", cos, dim/2)
		}
		if ps := positions.Shape(); len(ps) != 2 || ps[0] != batch || ps[1] != h.length {
			return onnx.Errorf(onnx.ErrShape, "position_ids is %v, want [%d %d]", positions, batch, h.length)
		}
		ids = onnx.Elements[int64](positions)
		for i, p := range ids {
			if p < 0 || p >= int64(s[0]) {
				return onnx.Errorf(onnx.ErrShape, "position_ids: element %d is %d, want 0..%d", i, p, s[0]-1)
			}
		}
	}
	fc, err := readReal[float32](c, cos)
	if err != nil {
		return err
	}
	fs, err := readReal[float32](c, sin)
	if err != nil {
		return err
	}
	x, err := readReal[float32](c, t)
	if err != nil {
		return err
	}
	out, y, err := newReal[float32](c, 0, t.DataType(), t.Shape())
	if err != nil {
		return err
	}
	copy(y, x)
	if len(y) == 0 {
		return nil
	}
	half := dim / 2
	for b := range batch {
		if err := c.Err(); err != nil {
			return err
		}
		for j := range h.length {
			place := b*h.length + j
			if ids != nil {
				place = int(ids[place])
			}
			cs, sn := fc[place*half:][:half], fs[place*half:][:half]
			for head := range h.heads {
				row := y[b*h.batchStep+head*h.headStep+j*h.step:][:dim]
				for p := range half {
					i, q := p, p+half
					if k.interleaved {
						i, q = 2*p, 2*p+1
					}
					u, v := row[i], row[q]
					row[i] = float32(cs[p]*u) - float32(sn[p]*v)
					row[q] = float32(sn[p]*u) + float32(cs[p]*v)
				}
			}
		}
	}
	return storeReal(c, out, y)
}
