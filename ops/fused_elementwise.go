package ops

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

// fusedDomain is the domain of the operators that passes put in the place of
// several nodes.
const fusedDomain = "ai.recur"

func init() {
	register(Op{Domain: fusedDomain, Name: "Elementwise", Since: []int{1}, Types: []onnx.DataType{onnx.Float},
		Infer: inferElementwise, Build: buildElementwise, Schema: elementwiseSchema()})
}

// elementwiseSchema describes Elementwise: the inputs are broadcast together,
// and steps lists what is computed of them, a step after the other. A step is
// "Op a b alpha=v beta=v", with as many operands as the operator has: the
// number of an input, or the number of inputs and that of an earlier step. The
// last step gives the output. alpha and beta are an activation's attributes, of
// Clip the bounds.
func elementwiseSchema() *onnx.Schema {
	float := onnx.TensorTypes(onnx.Float)
	return &onnx.Schema{
		Domain: fusedDomain, Name: "Elementwise", Since: 1,
		MinInputs: 1, MaxInputs: onnx.Unbounded, MinOutputs: 1, MaxOutputs: 1,
		TypeVars:   []onnx.TypeConstraint{{Name: "T", Types: float}},
		Inputs:     []onnx.Formal{{Name: "X", Option: onnx.Variadic, Homogeneous: true, MinArity: 1, TypeVar: "T", Types: float}},
		Outputs:    []onnx.Formal{{Name: "Y", TypeVar: "T", Types: float}},
		Attributes: []onnx.AttrSchema{{Name: "steps", Type: onnx.AttrStrings, Required: true}},
	}
}

func inferElementwise(n *Node) error {
	shapes := make([]onnx.Shape, n.NumInputs())
	for i := range shapes {
		shapes[i] = n.Shape(i)
	}
	shape, err := BroadcastShapes(shapes...)
	if err != nil {
		return err
	}
	n.SetTensor(0, onnx.Float, shape)
	return nil
}

// elementwiseStep is a step of an Elementwise: a function of one operand or of
// two. Its loops are those of the operator alone.
type elementwiseStep struct {
	one  func(dst, src []float32)
	two  *zip[float32, float32]
	a, b int // values: inputs, then results of steps; b is a where there is one operand
	slot int // the block of scratch memory for the result; -1 for the output
	// scaled tells that this is a product, which the next step, a sum, alone reads.
	scaled bool
}

// elementwise is the kernel of Elementwise. It walks through the result in
// blocks that stay in the cache from the first step to the last.
type elementwise struct {
	steps  []elementwiseStep
	slots  int // blocks that steps need
	inputs int
	reuse  []int
	fixed  []bool // by input: a constant
	level  Level
}

func buildElementwise(n *Node) (Kernel, error) {
	k := &elementwise{inputs: n.NumInputs(), level: n.Level()}
	lines := n.Strs("steps")
	if len(lines) == 0 {
		return nil, onnx.Errorf(onnx.ErrMalformed, "steps is empty, want one or more")
	}
	for i := range k.inputs {
		k.reuse, k.fixed = append(k.reuse, i), append(k.fixed, n.Const(i) != nil)
	}
	for i, line := range lines {
		s, err := parseStep(n.Level(), line, k.inputs+i)
		if err != nil {
			return nil, onnx.Errorf(onnx.ErrMalformed, "steps[%d], %q: %v", i, line, err)
		}
		k.steps = append(k.steps, s)
	}
	k.assign()
	k.pair(lines)
	return k, nil
}

// pair finds products that only the sum behind them reads.
func (k *elementwise) pair(lines []string) {
	reads := make([]int, len(k.steps))
	for _, s := range k.steps {
		for _, v := range []int{s.a, s.b} {
			if v >= k.inputs {
				reads[v-k.inputs]++
			}
		}
	}
	for i := range len(k.steps) - 1 {
		v, next := k.inputs+i, &k.steps[i+1]
		k.steps[i].scaled = reads[i] == 1 && (next.a == v || next.b == v) &&
			strings.Fields(lines[i])[0] == "Mul" && strings.Fields(lines[i+1])[0] == "Add"
	}
}

// parseStep reads a step, before which there are values.
func parseStep(l Level, line string, values int) (s elementwiseStep, err error) {
	words := strings.Fields(line)
	if len(words) < 2 {
		return s, onnx.Errorf(onnx.ErrMalformed, "want an operator and its operands")
	}
	var operands []int
	numbers := map[string]float32{}
	for _, w := range words[1:] {
		if name, v, ok := strings.Cut(w, "="); ok {
			f, err := strconv.ParseFloat(v, 32)
			if err != nil || name != "alpha" && name != "beta" {
				return s, onnx.Errorf(onnx.ErrMalformed, "%q, want alpha or beta and a number", w)
			}
			numbers[name] = float32(f)
			continue
		}
		v, err := strconv.Atoi(w)
		if err != nil || v < 0 || v >= values {
			return s, onnx.Errorf(onnx.ErrMalformed, "operand %q, want 0..%d", w, values-1)
		}
		operands = append(operands, v)
	}
	want, taken := 1, 0
	if s.two = stepOperator(l, words[0]); s.two != nil {
		want = 2
	} else if s.one, taken = stepFunction(l, words[0], numbers); s.one == nil {
		return s, onnx.Errorf(onnx.ErrUnsupported, "operator %q", words[0])
	}
	if len(operands) != want {
		return s, onnx.Errorf(onnx.ErrMalformed, "%d operands, want %d", len(operands), want)
	}
	if _, beta := numbers["beta"]; len(numbers) > taken || beta && taken < 2 {
		return s, onnx.Errorf(onnx.ErrMalformed, "alpha or beta, which the operator does not have")
	}
	s.a, s.b = operands[0], operands[want-1]
	return s, nil
}

// stepOperator gives the loops of an operator of two operands, nil for others.
func stepOperator(l Level, op string) *zip[float32, float32] {
	switch op {
	case "Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu":
		return zips(l, op)[onnx.Float].(*zip[float32, float32])
	case "Pow":
		vs := func(dst, x []float32, s float32) { kernel.Pow32VS(l, dst, x, float64(s)) }
		return &zip[float32, float32]{kernel.Pow32, vs, kernel.Pow32SV, costlyGrain}
	}
	return nil
}

// stepFunction gives the loop of an operator of one operand, nil for others,
// and how many numbers it has.
func stepFunction(l Level, op string, numbers map[string]float32) (f func(dst, src []float32), taken int) {
	number := func(name string, def float32) float32 {
		if v, ok := numbers[name]; ok {
			return v
		}
		return def
	}
	switch op {
	case "Neg", "Abs", "Relu", "Sigmoid", "Tanh", "Exp", "Log", "Sqrt", "Reciprocal", "HardSwish", "Softplus", "Softsign", "Floor", "Ceil", "Erf", "Sign":
		return maps(l, op)[onnx.Float].(*mapping[float32, float32]).f, 0
	case "LeakyRelu":
		return activationMap[float32](l, op, number("alpha", 0.01), 0).f, 1
	case "Elu":
		return activationMap[float32](l, op, number("alpha", 1), 0).f, 1
	case "HardSigmoid":
		return activationMap[float32](l, op, number("alpha", 0.2), number("beta", 0.5)).f, 2
	case "Clip":
		lo, hi := number("alpha", float32(math.Inf(-1))), number("beta", float32(math.Inf(1)))
		return func(dst, src []float32) { kernel.ClipVector(l, dst, src, lo, hi) }, 2
	}
	return nil, 0
}

// assign gives each step's result a block of scratch memory until its last use.
func (k *elementwise) assign() {
	last := make([]int, len(k.steps)) // the last step that reads the result of one
	for i, s := range k.steps {
		for _, v := range []int{s.a, s.b} {
			if v >= k.inputs {
				last[v-k.inputs] = i
			}
		}
	}
	var busy []int // by block, the step until whose end it is held
	for i := range k.steps {
		if i == len(k.steps)-1 {
			k.steps[i].slot = -1
			break
		}
		at := slices.IndexFunc(busy, func(until int) bool { return until < i })
		if at < 0 {
			at, busy = len(busy), append(busy, 0)
		}
		busy[at], k.steps[i].slot = max(last[i], i), at
	}
	k.slots = len(busy)
}

// The walk of an Elementwise: rows as long as elementwiseRow are cut into
// blocks, and what is broadcast along them stays a scalar; shorter ones are put
// together in blocks, and what is broadcast is repeated, but what is broadcast
// along rows as long as elementwiseShort stays a number of each row. Threads take
// elementwiseGrain blocks at least.
const (
	elementwiseRow   = 256
	elementwiseShort = 16
	elementwiseBlock = 2048
	elementwiseGrain = 8
)

// elementwiseRun is what an Elementwise keeps for a frame: how the operands of
// certain shapes lie, and the arguments of the run.
type elementwiseRun struct {
	known  []int // the shapes that the rest was made for: ranks and dimensions
	shape  []int
	n      int
	dims   []elementwiseDim // innermost first
	lies   []lie            // of the values
	strips int              // blocks of a row, 0 where rows are put together
	rows   int              // rows of a block, 0 where it may begin and end within one
	blocks int
	spread int         // inputs whose elements are put in scratch memory
	kept   [][]float32 // by input: what is kept of it, for all of the result

	k       *elementwise
	c       *Ctx
	dst     []float32
	in      [][]float32
	scratch []float32
	values  int         // blocks of scratch memory of a range
	views   [][]float32 // of the values, for each range
	index   []int       // a place in the result, for each range
	f       func(lo, hi int)
}

// elementwiseDim is a dimension of the result, with the strides of the inputs.
type elementwiseDim struct {
	size    int
	strides []int
}

// lie says how the elements of a value lie in a block.
type lie uint8

const (
	lieFull   lie = iota // an element for each of the result
	lieScalar            // one element
	lieRow               // a row of the operand, at a stride of 1
	lieSpread            // repeated in scratch memory
	lieKept              // repeated once, of a constant where the result is a single block
	lieEach              // one element for each row of the block, in scratch memory
)

// rank orders lies: a scalar is broadcast to numbers of rows, and those are to
// elements.
func (l lie) rank() int {
	switch l {
	case lieScalar:
		return 0
	case lieEach:
		return 1
	}
	return 2
}

func (k *elementwise) Run(c *Ctx, in, _ []onnx.Value) error {
	r := Local[elementwiseRun](c)
	if err := r.lay(k, in); err != nil {
		return err
	}
	out, err := c.New(0, onnx.Float, r.shape, k.reuse...)
	if err != nil || r.n == 0 {
		return err
	}
	ranges := (r.blocks + elementwiseGrain - 1) / elementwiseGrain
	if r.scratch, err = Scratch[float32](c, ranges*r.values*min(elementwiseBlock, r.n)); err != nil {
		return err
	}
	if r.f == nil {
		r.f = r.run
	}
	if values := len(r.lies); len(r.views) < ranges*values {
		r.views = make([][]float32, ranges*values)
	}
	if rank := len(r.dims); len(r.index) < ranges*rank {
		r.index = make([]int, ranges*rank)
	}
	r.k, r.c, r.dst = k, c, onnx.Elements[float32](out)
	c.Parallel(r.blocks, elementwiseGrain, r.f)
	n := r.n
	r.release()
	return cancelled(c, n)
}

// release lets go of the tensors of a run.
func (r *elementwiseRun) release() {
	r.c, r.dst, r.scratch = nil, nil, nil
	clear(r.in)
	clear(r.views)
}

// lay finds out how the inputs lie, unless they have the shapes that they had
// before.
func (r *elementwiseRun) lay(k *elementwise, in []onnx.Value) error {
	same, at := len(r.in) == k.inputs, 0
	if !same {
		r.in = make([][]float32, k.inputs)
	}
	for i := range r.in {
		t, err := inputTensor(in, i)
		if err != nil {
			return err
		}
		if t.DataType() != onnx.Float {
			return onnx.Errorf(onnx.ErrType, "input %d is of %v, want %v", i, t.DataType(), onnx.Float)
		}
		r.in[i] = onnx.Elements[float32](t)
		s := t.Shape()
		same = same && at < len(r.known) && r.known[at] == len(s) && at+1+len(s) <= len(r.known) && slices.Equal(r.known[at+1:at+1+len(s)], s)
		at += 1 + len(s)
	}
	if same && at == len(r.known) {
		return nil
	}
	return r.layNew(k, in)
}

func (r *elementwiseRun) layNew(k *elementwise, in []onnx.Value) error {
	r.known, r.shape = r.known[:0], r.shape[:0]
	for i, v := range in {
		var err error
		if r.shape, err = broadcastTo(r.shape, v.(*onnx.Tensor).Shape()); err != nil {
			return onnx.Errorf(onnx.ErrShape, "input %d: %v", i, err)
		}
	}
	n, err := onnx.NumElements(r.shape)
	if err != nil {
		return err
	}
	r.n, r.dims = n, r.dims[:0]
	step := make([]int, len(in))
	for i := range step {
		step[i] = 1
	}
	for i := 1; i <= len(r.shape); i++ {
		size := r.shape[len(r.shape)-i]
		if size == 1 {
			continue
		}
		d := elementwiseDim{size, make([]int, len(in))}
		for j, v := range in {
			if s := v.(*onnx.Tensor).Shape(); i <= len(s) && s[len(s)-i] != 1 {
				d.strides[j] = step[j]
				step[j] *= size
			}
		}
		if !r.merge(d) {
			r.dims = append(r.dims, d)
		}
	}
	if len(r.dims) == 0 {
		r.dims = append(r.dims, elementwiseDim{1, make([]int, len(in))})
	}
	if r.layValues(k, in, true); r.lies[len(r.lies)-1] == lieEach {
		r.layValues(k, in, false) // no step reads an input of whole rows
	}
	r.keep(k)
	for _, v := range in {
		s := v.(*onnx.Tensor).Shape()
		r.known = append(append(r.known, len(s)), s...)
	}
	return nil
}

// merge makes d part of the dimension within it where every input goes on in d
// as it did there.
func (r *elementwiseRun) merge(d elementwiseDim) bool {
	if len(r.dims) == 0 {
		return false
	}
	last := &r.dims[len(r.dims)-1]
	for j, s := range d.strides {
		if s != last.strides[j]*last.size {
			return false
		}
	}
	last.size *= d.size
	return true
}

// layValues decides how blocks are cut, and how values lie in them; each allows
// numbers of rows.
func (r *elementwiseRun) layValues(k *elementwise, in []onnx.Value, each bool) {
	inner := &r.dims[0]
	r.strips, r.rows, r.blocks = 0, 0, (r.n+elementwiseBlock-1)/elementwiseBlock
	switch {
	case len(r.dims) == 1:
	case each && elementwiseShort <= inner.size && inner.size <= elementwiseBlock/2 && (inner.size < elementwiseRow || r.perRow(in)):
		r.rows = elementwiseBlock / inner.size
		r.blocks = (r.n/inner.size + r.rows - 1) / r.rows
	case inner.size >= elementwiseRow:
		r.strips = (inner.size + elementwiseBlock - 1) / elementwiseBlock
		r.blocks = r.n / max(inner.size, 1) * r.strips
	}
	r.lies, r.spread = r.lies[:0], 0
	for j, v := range in {
		switch t := v.(*onnx.Tensor); {
		case t.Len() == r.n && r.n > 1:
			r.lies = append(r.lies, lieFull)
		case t.Len() == 1, r.strips > 0 && inner.strides[j] == 0:
			r.lies = append(r.lies, lieScalar)
		case r.strips > 0:
			r.lies = append(r.lies, lieRow)
		case r.rows > 0 && inner.strides[j] == 0:
			r.lies = append(r.lies, lieEach)
			r.spread++
		default:
			r.lies = append(r.lies, lieSpread)
			r.spread++
		}
	}
	for _, s := range k.steps {
		l := r.lies[s.a]
		if b := r.lies[s.b]; b.rank() > l.rank() {
			l = b
		}
		if l.rank() == 2 {
			l = lieSpread
		}
		r.lies = append(r.lies, l)
	}
	r.values = k.slots + r.spread
}

// keep repeats the constants of a small result once for all runs.
func (r *elementwiseRun) keep(k *elementwise) {
	r.kept = make([][]float32, len(r.in))
	if r.blocks != 1 {
		return
	}
	pos := make([]int, len(r.dims))
	for j := range r.in {
		if r.lies[j] == lieSpread && k.fixed[j] {
			r.kept[j] = make([]float32, r.n)
			r.repeat(r.kept[j], pos, j, 0)
			r.lies[j] = lieKept
			r.values--
			r.spread--
		}
	}
}

// perRow tells whether all that is broadcast is so along rows.
func (r *elementwiseRun) perRow(in []onnx.Value) bool {
	for j, v := range in {
		if n := v.(*onnx.Tensor).Len(); n != r.n && n > 1 && r.dims[0].strides[j] != 0 {
			return false
		}
	}
	return true
}

// run computes the blocks lo..hi-1. Each range has its own part of the scratch
// memory, since ranges are elementwiseGrain blocks apart.
func (r *elementwiseRun) run(lo, hi int) {
	part := lo / elementwiseGrain
	size := min(elementwiseBlock, r.n)
	memory := r.scratch[part*r.values*size:]
	values := r.views[part*len(r.lies):][:len(r.lies)]
	pos := r.index[part*len(r.dims):][:len(r.dims)]
	for b := lo; b < hi; b++ {
		from, n := b*elementwiseBlock, 0
		switch {
		case r.rows > 0:
			n = r.rows * r.dims[0].size
			from = b * n
			n = min(n, r.n-from)
		case r.strips == 0:
			n = min(elementwiseBlock, r.n-from)
		default:
			inner := r.dims[0].size
			from = b/r.strips*inner + b%r.strips*elementwiseBlock
			n = min(elementwiseBlock, inner-b%r.strips*elementwiseBlock)
		}
		r.operands(values, pos, memory, from, n, size)
		r.steps(values, memory[r.spread*size:], from, n, size)
		if b%32 == 31 && b+1 < hi && r.c.Err() != nil {
			return
		}
	}
}

// operands finds the elements of the inputs for the elements from.. of the
// result.
func (r *elementwiseRun) operands(values [][]float32, pos []int, memory []float32, from, n, size int) {
	spread := 0
	for j, x := range r.in {
		switch r.lies[j] {
		case lieFull:
			values[j] = x[from : from+n]
		case lieScalar:
			at := 0
			if len(x) > 1 {
				at = r.place(j, from)
			}
			values[j] = x[at : at+1]
		case lieRow:
			at := r.place(j, from)
			values[j] = x[at : at+n]
		case lieKept:
			values[j] = r.kept[j]
		default:
			values[j] = memory[spread*size:][:r.length(j, n)]
			r.repeat(values[j], pos, j, from)
			spread++
		}
	}
}

// place is where element i of the result lies in input j.
func (r *elementwiseRun) place(j, i int) int {
	at := 0
	for k := range r.dims {
		d := &r.dims[k]
		at += i % d.size * d.strides[j]
		i /= d.size
	}
	return at
}

// length is how many elements value v has in a block of n.
func (r *elementwiseRun) length(v, n int) int {
	switch r.lies[v] {
	case lieScalar:
		return 1
	case lieEach:
		return n / r.dims[0].size
	}
	return n
}

// repeat writes the elements of input j for those from.. of the result, or one
// for each row of them.
func (r *elementwiseRun) repeat(dst []float32, pos []int, j, from int) {
	at, rest := 0, from
	for k := range r.dims {
		d := &r.dims[k]
		pos[k] = rest % d.size
		at += pos[k] * d.strides[j]
		rest /= d.size
	}
	x, inner := r.in[j], &r.dims[0]
	for i := 0; i < len(dst); {
		n := min(inner.size-pos[0], len(dst)-i)
		switch {
		case r.lies[j] == lieEach:
			n, dst[i] = 1, x[at]
		case inner.strides[j] == 0:
			kernel.Fill(dst[i:i+n], x[at])
		default:
			copy(dst[i:i+n], x[at:at+n])
		}
		i += n
		at -= pos[0] * inner.strides[j]
		pos[0] = 0
		for k := 1; k < len(r.dims); k++ {
			d := &r.dims[k]
			pos[k]++
			at += d.strides[j]
			if pos[k] < d.size {
				break
			}
			at -= d.size * d.strides[j]
			pos[k] = 0
		}
	}
}

// steps computes a block of the result, from the operands in values.
func (r *elementwiseRun) steps(values [][]float32, memory []float32, from, n, size int) {
	for i := 0; i < len(r.k.steps); i++ {
		product := &r.k.steps[i]
		factors := product.scaled && r.factors(product, i)
		if factors {
			i++
		}
		s := &r.k.steps[i]
		v := r.k.inputs + i
		if s.slot < 0 {
			values[v] = r.dst[from : from+n]
		} else {
			values[v] = memory[s.slot*size:][:r.length(v, n)]
		}
		dst := values[v][:r.length(v, n)]
		switch {
		case factors:
			r.affine(dst, values, product, s)
		case s.one != nil:
			s.one(dst, values[s.a])
		default:
			r.apply(s, dst, values[s.a], values[s.b])
		}
		if s.slot < 0 && len(dst) < n {
			kernel.Fill(values[v], dst[0])
		}
	}
}

// factors tells whether step i, a product, and the sum behind it are elements
// times an input's number, and another's added to it: numbers of rows, or
// scalars. Its factor is no result of a step, over which the sum may lie.
func (r *elementwiseRun) factors(product *elementwiseStep, i int) bool {
	factor, offset := product.b, r.k.steps[i+1].offset(r.k.inputs+i)
	if r.lies[factor].rank() == 2 {
		factor = product.a
	}
	return factor < r.k.inputs && r.lies[factor].rank() < 2 && r.lies[offset] == r.lies[factor] && r.lies[r.k.inputs+i].rank() == 2
}

// offset is what a sum adds to value v.
func (s *elementwiseStep) offset(v int) int {
	if s.a == v {
		return s.b
	}
	return s.a
}

// affine computes a product and the sum behind it in one loop.
func (r *elementwiseRun) affine(dst []float32, values [][]float32, product, sum *elementwiseStep) {
	x, factor := product.a, product.b
	if r.lies[factor].rank() == 2 {
		x, factor = factor, x
	}
	offset := sum.a
	if r.lies[offset].rank() == 2 {
		offset = sum.b
	}
	f := values[factor]
	kernel.AffineChannels(r.k.level, dst, values[x], len(dst)/len(f), f, values[offset])
}

// apply computes a step of two operands, of which one may be broadcast to the
// other.
func (r *elementwiseRun) apply(s *elementwiseStep, dst, a, b []float32) {
	ranks := [2]int{r.lies[s.a].rank(), r.lies[s.b].rank()}
	switch width := r.dims[0].size; {
	case ranks[0] == ranks[1]:
		s.two.vv(dst, a, b)
	case ranks[1] == 0:
		s.two.vs(dst, a, b[0])
	case ranks[0] == 0:
		s.two.sv(dst, a[0], b)
	case ranks[1] == 1:
		for row, v := range b {
			s.two.vs(dst[row*width:][:width], a[row*width:][:width], v)
		}
	default:
		for row, v := range a {
			s.two.sv(dst[row*width:][:width], v, b[row*width:][:width])
		}
	}
}
