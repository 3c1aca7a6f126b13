package rewrite

import (
	"fmt"
	"math"

	"github.com/recur-ml/recur/onnx"
)

// reader evaluates the nodes of a graph into expressions.
type reader struct {
	*algebra
	env    map[string]*expr
	opset  int
	outer  *facts         // of the graph around
	inputs map[string]int // sequences that are read, by the value's name
	seqs   []string       // their names
	// integers of rank 0 that are constants, by expression
	whole map[*expr]int64
	// inside knows the types of the nodes' own values; nil for a loop's body,
	// where they may change from step to step.
	inside *facts
}

// lookup gives the expression of a value.
func (r *reader) lookup(name string) *expr {
	if name == "" {
		return nil
	}
	if e := r.env[name]; e != nil {
		return e
	}
	e := r.captured(name)
	r.env[name] = e
	return e
}

// captured gives the expression of a value from outside.
func (r *reader) captured(name string) *expr {
	if k := r.outer.constant(name); k != nil {
		return r.fixed(k)
	}
	t := r.outer.typeOf(name)
	if t.Elem == r.elem && r.zeros && r.outer.zero(name) {
		return r.number(0)
	}
	e := expr{kind: exprOuter, name: name, width: -1, rank: -1}
	if t.Shape != nil {
		e.rank = len(t.Shape)
		e.width = 1
		if e.rank > 0 {
			e.width = t.Shape[e.rank-1].Value
		}
	}
	return r.intern(e)
}

// fixed gives the expression of a constant.
func (r *reader) fixed(k *view) *expr {
	t := k.tensor
	if t.DataType() == r.elem || t.DataType() == onnx.Int64 || t.DataType() == onnx.Int32 || t.DataType() == onnx.Float {
		e := r.constant(k)
		if v, ok := wholeOf(t); ok {
			r.whole[e] = v
		}
		return e
	}
	return r.intern(expr{kind: exprOpaque, name: "constant", k: k, width: k.last(), rank: k.rank()})
}

// wholeOf gives the value of a tensor of one element that holds an integer.
func wholeOf(t *onnx.Tensor) (int64, bool) {
	if t.Len() != 1 || t.External() != nil {
		return 0, false
	}
	switch t.DataType() {
	case onnx.Int64:
		return onnx.Elements[int64](t)[0], true
	case onnx.Int32:
		return int64(onnx.Elements[int32](t)[0]), true
	case onnx.Float:
		v := onnx.Elements[float32](t)[0]
		return int64(v), v == float32(int64(v)) && math.Abs(float64(v)) < 1<<24
	}
	return 0, false
}

// nodes evaluates nodes, which are in order.
func (r *reader) nodes(list []*onnx.Node) {
	for _, n := range list {
		out := r.node(n)
		for i, name := range n.Outputs {
			if name == "" {
				continue
			}
			if i < len(out) && out[i] != nil {
				r.env[name] = out[i]
			} else {
				var args []*expr
				for _, in := range n.Inputs {
					if e := r.lookup(in); e != nil {
						args = append(args, e)
					}
				}
				for _, sub := range n.Subgraphs() {
					for _, in := range captures(sub) {
						args = append(args, r.lookup(in))
					}
				}
				r.env[name] = r.unknown(n, name, args)
			}
		}
	}
}

// unknown is a value that is not understood.
func (r *reader) unknown(n *onnx.Node, name string, args []*expr) *expr {
	e := expr{kind: exprOpaque, name: fmt.Sprintf("%s of %s", name, n.OpType), args: args, width: -1, rank: -1}
	if r.inside != nil {
		if s := r.inside.typeOf(name).Shape; s != nil {
			if e.rank, e.width = len(s), 1; e.rank > 0 {
				e.width = s[e.rank-1].Value
			}
		}
	}
	return r.intern(e)
}

// captures lists the values that a graph reads from outside.
func captures(g *onnx.Graph) []string {
	own := g.Defined()
	var out []string
	seen := map[string]bool{"": true}
	add := func(name string) {
		if !own[name] && !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	for _, n := range g.Nodes {
		for _, in := range n.Inputs {
			add(in)
		}
		for _, sub := range n.Subgraphs() {
			for _, c := range captures(sub) {
				add(c)
			}
		}
	}
	for _, o := range g.Outputs {
		add(o.Name)
	}
	return out
}

// node evaluates a node; nil, or nil for an output, is what is not understood.
func (r *reader) node(n *onnx.Node) []*expr {
	if n.Domain != "" {
		return nil
	}
	in := make([]*expr, len(n.Inputs))
	for i, name := range n.Inputs {
		in[i] = r.lookup(name)
	}
	has := func(k int) bool {
		if len(in) < k {
			return false
		}
		for _, e := range in[:k] {
			if e == nil {
				return false
			}
		}
		return true
	}
	one := func(e *expr) []*expr {
		if e == nil {
			return nil
		}
		return []*expr{e}
	}
	switch n.OpType {
	case "Constant":
		if a := n.Attr("value"); a != nil && a.Tensor != nil && a.Tensor.External() == nil {
			return one(r.fixed(viewOf("", a.Tensor)))
		}
		return nil
	}
	if !has(1) {
		return nil
	}
	x := in[0]
	if n.OpType == "If" {
		return r.either(n, x)
	}
	switch n.OpType {
	case "Identity":
		return one(x)
	case "Tanh", "Sigmoid", "Relu", "Softsign", "Softplus":
		return one(r.unary(n.OpType, 0, 0, x))
	case "LeakyRelu":
		return one(r.unary(n.OpType, attrFloat(n, "alpha", 0.01), 0, x))
	case "ThresholdedRelu", "Elu":
		return one(r.unary(n.OpType, attrFloat(n, "alpha", 1), 0, x))
	case "HardSigmoid":
		return one(r.unary(n.OpType, attrFloat(n, "alpha", 0.2), attrFloat(n, "beta", 0.5), x))
	case "Neg":
		return one(r.neg(x))
	case "Not":
		return one(r.not(x))
	case "Cast":
		return one(r.cast(n, x))
	case "Clip":
		lo, hi, ok := r.bounds(n, in)
		if !ok {
			return nil
		}
		return one(r.clip(x, lo, hi))
	case "Min", "Max":
		if len(in) == 2 && has(2) {
			return one(r.extreme(n.OpType == "Max", x, in[1]))
		}
	case "Split":
		return r.split(n, in)
	case "Slice":
		return one(r.sliceNode(n, in))
	case "Squeeze", "Unsqueeze":
		return one(r.squeeze(n, in))
	case "Reshape":
		return one(r.reshape(n, in))
	case "ReduceMax", "ReduceMin":
		// Over all of a list: that is what the shortest or longest row is.
		if axes, ok := listArg(n, in, "axes", 1); ok && x.rank == 1 && len(axes) <= 1 && attrInt(n, "keepdims", 1) == 0 {
			return one(r.intern(expr{kind: exprOpaque, name: n.OpType, args: []*expr{x}, width: 1}))
		}
	case "Tile", "Expand":
		// A mask column that is repeated over the columns.
		if has(2) && x.rank == 2 && isMask(x) {
			return one(x)
		}
	case "Transpose":
		if a := n.Attr("perm"); x.kind == exprConst && x.k != nil && a != nil && len(a.Ints) == x.rank && isPermutation(a.Ints) {
			return one(r.constant(x.k.permute(a.Ints)))
		}
	case "Concat":
		a := n.Attr("axis")
		if a == nil || !has(len(in)) {
			return nil
		}
		for _, e := range in {
			if e.rank < 1 || a.Int != -1 && int(a.Int) != e.rank-1 || e.rank != x.rank {
				return nil
			}
		}
		return one(r.concat(in))
	}
	if !has(2) {
		return nil
	}
	y := in[1]
	switch n.OpType {
	case "Add", "Sub", "Mul", "Div":
		return one(r.arithmetic(n.OpType, x, y))
	case "Sum":
		if has(len(in)) && r.numeric(in...) {
			return one(r.sum(in...))
		}
	case "MatMul":
		if y.kind == exprConst && y.k != nil && y.k.rank() == 2 && x.rank == 2 && r.numeric(x, y) {
			return one(r.matMul(x, y.k))
		}
	case "Gemm":
		return one(r.gemm(n, in))
	case "Gather":
		return one(r.gather(n, x, y))
	case "Where":
		if has(3) && x.rank == 2 && r.numeric(y, in[2]) {
			return one(r.choose(x, y, in[2]))
		}
	case "Less":
		return one(r.less(x, y))
	case "Greater":
		return one(r.less(y, x))
	case "GreaterOrEqual":
		return one(r.not(r.less(x, y)))
	case "LessOrEqual":
		return one(r.not(r.less(y, x)))
	case "And":
		args := canonicalArgs([]*expr{x, y})
		if x == y {
			return one(x)
		}
		return one(r.intern(expr{kind: exprAnd, args: args, width: 1, rank: max(x.rank, y.rank)}))
	}
	return nil
}

// either evaluates both branches of an If. Where one branch gives what the
// other one gives whenever its condition holds, that is the If's output.
func (r *reader) either(n *onnx.Node, cond *expr) []*expr {
	holds, fails := n.Attr("then_branch"), n.Attr("else_branch")
	if holds == nil || fails == nil || holds.Graph == nil || fails.Graph == nil {
		return nil
	}
	x, y := r.branch(holds.Graph), r.branch(fails.Graph)
	if cond.kind == exprNot {
		cond, x, y = cond.args[0], y, x
	}
	if len(x) < len(n.Outputs) || len(y) < len(n.Outputs) {
		return nil
	}
	out := make([]*expr, len(n.Outputs))
	for i := range out {
		out[i] = r.settled(cond, x[i], y[i])
	}
	return out
}

// branch gives the outputs of a nested graph without inputs.
func (r *reader) branch(g *onnx.Graph) []*expr {
	nodes, err := onnx.Sort(g)
	if err != nil || len(g.Inputs) > 0 {
		return nil
	}
	hidden := map[string]*expr{}
	own := g.Defined()
	for name := range own {
		hidden[name] = r.env[name]
		delete(r.env, name)
	}
	for _, init := range g.Initializers {
		if init.Tensor.External() == nil && init.Tensor.DataType() != onnx.String {
			r.env[init.Name] = r.fixed(innerView(init.Name, init.Tensor))
		}
	}
	r.nodes(nodes)
	var out []*expr
	for _, o := range g.Outputs {
		out = append(out, r.lookup(o.Name))
	}
	for name := range own {
		if delete(r.env, name); hidden[name] != nil {
			r.env[name] = hidden[name]
		}
	}
	return out
}

// settled gives the value that is x where t < bound holds and y where it does
// not, for bounds that are the longest or the shortest of the lengths that a
// choice in x or y compares with t; nil when it is not such a one.
func (r *reader) settled(cond, x, y *expr) *expr {
	if x == y {
		return x
	}
	if cond.kind != exprLess || cond.args[1].kind != exprOpaque {
		return nil
	}
	bound := cond.args[1]
	choice, other, side := x, y, 2 // no row is as long as that: all keep what they have
	if bound.name == "ReduceMin" {
		choice, other, side = y, x, 1 // every row is longer
	} else if bound.name != "ReduceMax" {
		return nil
	}
	if choice.kind != exprSelect || choice.args[side] != other || choice.args[0].kind != exprColumn {
		return nil
	}
	m := choice.args[0].args[0]
	if m.kind != exprLess || m.args[1] != bound.args[0] {
		return nil
	}
	t, ok1 := r.whole[m.args[0]]
	u, ok2 := r.whole[cond.args[0]]
	if m.args[0] != cond.args[0] && !(ok1 && ok2 && t == u) {
		return nil
	}
	return choice
}

// isMask reports whether e is a mask as far as that shows.
func isMask(e *expr) bool {
	switch e.kind {
	case exprNot, exprColumn, exprLess, exprAnd:
		return true
	case exprInput:
		return e.name == "bool"
	}
	return false
}

// numeric reports whether expressions may be of the cell's element type: a
// constant tells its type.
func (r *reader) numeric(args ...*expr) bool {
	for _, e := range args {
		if e.kind == exprConst && e.k != nil && e.k.tensor.DataType() != r.elem || e.kind == exprCounter {
			return false
		}
	}
	return true
}

func attrFloat(n *onnx.Node, name string, def float32) float64 {
	if a := n.Attr(name); a != nil {
		return float64(a.Float)
	}
	return float64(def)
}

func attrInt(n *onnx.Node, name string, def int64) int64 {
	if a := n.Attr(name); a != nil {
		return a.Int
	}
	return def
}

// cast follows casts of masks and of counters; of other numbers it is not
// understood.
func (r *reader) cast(n *onnx.Node, x *expr) *expr {
	to := onnx.DataType(attrInt(n, "to", 0))
	switch {
	case isMask(x) && to == r.elem:
		return r.flag(x)
	case x.kind == exprOuter && r.outer.typeOf(x.name).Elem == onnx.Bool && to == r.elem && x.rank == 2:
		return r.flag(x)
	case x.kind == exprCounter && (to == onnx.Float || to == onnx.Double || to == onnx.Int64 || to == onnx.Int32):
		return x
	case x.kind == exprOuter && (x.rank == 0 || x.rank == 1) && !isFloat(r.outer.typeOf(x.name).Elem) && r.outer.typeOf(x.name).Elem != onnx.Bool && (to == onnx.Float || to == onnx.Double || to == onnx.Int64 || to == onnx.Int32):
		return x
	case x.kind == exprOpaque && (x.name == "ReduceMax" || x.name == "ReduceMin") && (to == onnx.Float || to == onnx.Int32 || to == onnx.Int64):
		return x // of integers: as exact as a comparison of lengths
	case x.kind == exprConst && x.k != nil && x.k.tensor.DataType() == to:
		return x
	case x.k != nil && isFloat(x.k.tensor.DataType()) && to == r.elem && isFloat(to):
		shape := make([]int, x.k.rank())
		for i := range shape {
			shape[i] = x.k.size(i)
		}
		t := floatTensor(to, shape, 0)
		for i, v := range x.k.floats() {
			setFloat(t, i, v)
		}
		return r.fixed(viewOf("", t))
	}
	if v, ok := r.whole[x]; ok && x.rank == 0 {
		var e *expr
		switch to {
		case onnx.Int64:
			e = r.fixed(viewOf("", onnx.Scalar(v)))
		case onnx.Int32:
			e = r.fixed(viewOf("", onnx.Scalar(int32(v))))
		case onnx.Float:
			e = r.fixed(viewOf("", onnx.Scalar(float32(v))))
		}
		return e
	}
	return nil
}

// bounds reads what Clip bounds by: attributes before version 11, inputs from
// there on.
func (r *reader) bounds(n *onnx.Node, in []*expr) (lo, hi float64, ok bool) {
	lo, hi = math.Inf(-1), math.Inf(1)
	if r.opset < 11 {
		if a := n.Attr("min"); a != nil {
			lo = float64(a.Float)
		}
		if a := n.Attr("max"); a != nil {
			hi = float64(a.Float)
		}
		return lo, hi, true
	}
	for i, b := range []*float64{&lo, &hi} {
		if i+1 < len(in) && in[i+1] != nil {
			if *b, ok = isNumber(in[i+1]); !ok {
				return 0, 0, false
			}
		}
	}
	return lo, hi, r.numeric(in[0])
}

// extreme is the larger or the smaller of two.
func (r *reader) extreme(larger bool, x, y *expr) *expr {
	if !r.numeric(x, y) {
		return nil
	}
	if _, ok := isNumber(x); ok {
		x, y = y, x
	}
	if v, ok := isNumber(y); ok {
		if larger {
			return r.clip(x, v, math.Inf(1))
		}
		return r.clip(x, math.Inf(-1), v)
	}
	// The larger of x and alpha*x is LeakyRelu for alpha between 0 and 1.
	if larger {
		for range 2 {
			x, y = y, x
			if y.kind != exprProd {
				continue
			}
			for _, t := range y.args {
				if alpha, ok := isNumber(t); ok && alpha > 0 && alpha < 1 && r.prod(r.number(alpha), x) == y {
					return r.unary("LeakyRelu", alpha, 0, x)
				}
			}
		}
	}
	return nil
}

func (r *reader) arithmetic(op string, x, y *expr) *expr {
	if x.kind == exprCounter || y.kind == exprCounter {
		if op == "Add" && y.kind == exprCounter {
			x, y = y, x
		}
		v, ok := r.whole[y]
		if x.kind != exprCounter || !ok || y.rank != 0 {
			return nil
		}
		switch op {
		case "Add":
			return r.counter(x.index + int(v))
		case "Sub":
			return r.counter(x.index - int(v))
		}
		return nil
	}
	if !r.numeric(x, y) {
		return nil
	}
	switch op {
	case "Add":
		return r.sum(x, y)
	case "Sub":
		if v, ok := isNumber(x); ok && v == 1 {
			return r.oneMinus(y)
		}
		return r.sub(x, y)
	case "Mul":
		return r.prod(x, y)
	}
	if v, ok := isNumber(y); ok && v != 0 {
		return r.prod(x, r.number(1/v))
	}
	return nil
}

func (r *reader) counter(offset int) *expr {
	return r.intern(expr{kind: exprCounter, index: offset, width: 1})
}

func (r *reader) gemm(n *onnx.Node, in []*expr) *expr {
	x, y := in[0], in[1]
	if y.kind != exprConst || y.k == nil || y.k.rank() != 2 || x.rank != 2 || attrInt(n, "transA", 0) != 0 || !r.numeric(in...) {
		return nil
	}
	k := y.k
	if attrInt(n, "transB", 0) != 0 {
		k = k.swapLast()
	}
	e := r.matMul(x, k)
	if alpha := attrFloat(n, "alpha", 1); alpha != 1 {
		e = r.prod(r.number(alpha), e)
	}
	if len(in) > 2 && in[2] != nil {
		c := in[2]
		if beta := attrFloat(n, "beta", 1); beta != 1 {
			c = r.prod(r.number(beta), c)
		}
		e = r.sum(e, c)
	}
	return e
}

// gather reads the step of a sequence that the counter points at, or row i of
// a constant.
func (r *reader) gather(n *onnx.Node, x, at *expr) *expr {
	axis := int(attrInt(n, "axis", 0))
	if v, ok := r.whole[at]; ok && r.inside != nil && at.rank == 0 && x.kind != exprConst && x.rank > 1 {
		if axis < 0 {
			axis += x.rank
		}
		size := r.sizeOf(x, axis, n.Inputs[0])
		if v < 0 {
			v += int64(size)
		}
		if axis < x.rank-1 && v >= 0 && v < int64(size) {
			return r.step(x, axis, int(v), n.Inputs[0])
		}
		return nil
	}
	if axis != 0 {
		return nil
	}
	if x.kind == exprConst && x.k != nil && x.k.rank() > 0 && at.rank == 0 {
		if v, ok := r.whole[at]; ok {
			if v < 0 {
				v += int64(x.k.size(0))
			}
			if v >= 0 && v < int64(x.k.size(0)) {
				return r.constant(x.k.slice(0, int(v), int(v)+1).squeeze(0))
			}
		}
		return nil
	}
	if at.kind != exprCounter || at.index != 0 || x.kind != exprOuter {
		return nil
	}
	if at.rank == 1 { // one step as a list of steps
		return r.row(r.input(x.name))
	}
	return r.input(x.name)
}

// row is a step with an axis of size 1 before it.
func (r *reader) row(step *expr) *expr {
	e := expr{kind: exprOpaque, name: "row", args: []*expr{step}, width: step.width, rank: -1}
	if step.rank >= 0 {
		e.rank = step.rank + 1
	}
	return r.intern(e)
}

// input is the step of a sequence.
func (r *reader) input(name string) *expr {
	i, ok := r.inputs[name]
	if !ok {
		i = len(r.seqs)
		r.inputs[name] = i
		r.seqs = append(r.seqs, name)
	}
	t := r.outer.typeOf(name)
	e := expr{kind: exprInput, index: i, width: -1, rank: -1}
	if t.Elem == onnx.Bool {
		e.name = "bool"
	}
	if s := r.outer.shapeOf(name); len(s) > 0 {
		e.rank = len(s) - 1
		e.width = 1
		if e.rank > 0 {
			e.width = s[e.rank].Value
		}
	}
	return r.intern(e)
}

// ints gives the elements of a constant list of integers.
func ints(e *expr) ([]int64, bool) {
	if e == nil || e.kind != exprConst || e.k == nil || e.k.rank() > 1 {
		return nil, false
	}
	var out []int64
	for _, o := range e.k.offsets() {
		switch e.k.tensor.DataType() {
		case onnx.Int64:
			out = append(out, onnx.Elements[int64](e.k.tensor)[o])
		case onnx.Int32:
			out = append(out, int64(onnx.Elements[int32](e.k.tensor)[o]))
		default:
			return nil, false
		}
	}
	return out, true
}

// listArg reads a list that is an attribute in old versions and input i in
// newer ones; nil and true when it is not given.
func listArg(n *onnx.Node, in []*expr, attr string, i int) ([]int64, bool) {
	if a := n.Attr(attr); a != nil {
		return a.Ints, true
	}
	if i < len(in) && in[i] != nil {
		return ints(in[i])
	}
	return nil, true
}

// part takes lo..hi-1 of an axis.
func (r *reader) part(x *expr, axis, lo, hi int) *expr {
	if x.rank < 1 {
		return nil
	}
	if axis < 0 {
		axis += x.rank
	}
	if x.kind == exprConst && x.k != nil && axis >= 0 && axis < x.rank && lo >= 0 && lo <= hi && hi <= x.k.size(axis) {
		return r.constant(x.k.slice(axis, lo, hi))
	}
	if r.inside != nil && axis < x.rank-1 && hi == lo+1 {
		return r.intern(expr{kind: exprOpaque, name: "slab", args: []*expr{x}, index: lo, hi: axis, width: x.width, rank: x.rank})
	}
	if axis != x.rank-1 || lo < 0 || lo >= hi || x.width >= 0 && hi > x.width {
		return nil
	}
	return r.algebra.slice(x, lo, hi)
}

// extent is the size of an axis, -1 when it is not known.
func extent(x *expr, axis int) int {
	if axis < 0 {
		axis += x.rank
	}
	switch {
	case x.rank < 1 || axis < 0 || axis >= x.rank:
		return -1
	case x.kind == exprConst && x.k != nil:
		return x.k.size(axis)
	case axis == x.rank-1:
		return x.width
	}
	return -1
}

// step is the part at a place on an axis, which is left out, of the element type
// of a value.
func (r *reader) step(x *expr, axis, place int, of string) *expr {
	e := expr{kind: exprInput, args: []*expr{x}, index: place, hi: axis, width: x.width, rank: x.rank - 1}
	if r.inside.typeOf(of).Elem == onnx.Bool {
		e.name = "bool"
	}
	return r.intern(e)
}

// sizeOf is the size of an axis, -1 when it is not known.
func (r *reader) sizeOf(x *expr, axis int, name string) int {
	if n := extent(x, axis); n >= 0 || r.inside == nil {
		return n
	}
	if axis < 0 {
		axis += x.rank
	}
	if s := r.inside.typeOf(name).Shape; axis >= 0 && axis < len(s) {
		return s[axis].Value
	}
	return -1
}

func (r *reader) split(n *onnx.Node, in []*expr) []*expr {
	x := in[0]
	axis := int(attrInt(n, "axis", 0))
	size := r.sizeOf(x, axis, n.Inputs[0])
	parts, ok := listArg(n, in, "split", 1)
	if !ok || size < 0 {
		return nil
	}
	if parts == nil {
		k := len(n.Outputs)
		each := (size + k - 1) / k
		for i := range k {
			parts = append(parts, int64(min(each, size-i*each)))
		}
	}
	var out []*expr
	at := 0
	for _, p := range parts {
		out = append(out, r.part(x, axis, at, at+int(p))) // nil for one that is empty
		at += int(p)
	}
	return out
}

func (r *reader) sliceNode(n *onnx.Node, in []*expr) *expr {
	starts, ok1 := listArg(n, in, "starts", 1)
	ends, ok2 := listArg(n, in, "ends", 2)
	axes, ok3 := listArg(n, in, "axes", 3)
	steps, ok4 := listArg(n, in, "steps", 4)
	if !ok1 || !ok2 || !ok3 || !ok4 || len(starts) != len(ends) {
		return nil
	}
	x := in[0]
	if x.rank < 1 {
		return nil
	}
	for i := range starts {
		axis := int64(i)
		if axes != nil {
			axis = axes[i]
		}
		if axis < 0 {
			axis += int64(x.rank)
		}
		if steps != nil && steps[i] != 1 {
			return nil
		}
		if starts[i] == 0 && ends[i] >= math.MaxInt32 {
			continue
		}
		size := r.sizeOf(x, int(axis), n.Inputs[0])
		lo, hi := starts[i], ends[i]
		if size < 0 {
			return nil
		}
		if lo < 0 {
			lo += int64(size)
		}
		if hi < 0 {
			hi += int64(size)
		}
		lo, hi = max(lo, 0), min(hi, int64(size))
		if x = r.part(x, int(axis), int(lo), int(hi)); x == nil {
			return nil
		}
	}
	return x
}

// squeeze leaves out or adds axes of constants, and makes columns of masks.
func (r *reader) squeeze(n *onnx.Node, in []*expr) *expr {
	axes, ok := listArg(n, in, "axes", 1)
	x := in[0]
	if !ok || len(axes) != 1 || x.rank < 0 {
		return nil
	}
	axis := int(axes[0])
	if n.OpType == "Squeeze" {
		if axis < 0 {
			axis += x.rank
		}
		if x.kind == exprConst && x.k != nil && axis >= 0 && axis < x.rank && x.k.size(axis) == 1 {
			return r.constant(x.k.squeeze(axis))
		}
		if x.kind == exprOpaque && x.name == "row" && axis == 0 {
			return x.args[0]
		}
		if x.kind == exprOpaque && x.name == "slab" && axis == x.hi {
			return r.step(x.args[0], x.hi, x.index, n.Inputs[0])
		}
		return nil
	}
	if axis < 0 {
		axis += x.rank + 1
	}
	switch {
	case x.kind == exprConst && x.k != nil && axis >= 0 && axis <= x.rank:
		return r.constant(x.k.unsqueeze(axis))
	case isMask(x) && x.rank == 1 && axis == 1:
		return r.column(x)
	case x.kind == exprCounter && x.rank == 0 && axis == 0:
		return r.intern(expr{kind: exprCounter, index: x.index, hi: 1, width: 1, rank: 1})
	}
	return nil
}

func (r *reader) reshape(n *onnx.Node, in []*expr) *expr {
	if len(in) < 2 {
		return nil
	}
	shape, ok := ints(in[1])
	if !ok || len(shape) != 2 || shape[0] != -1 || shape[1] != 1 {
		return nil
	}
	if x := in[0]; isMask(x) && x.rank == 1 {
		return r.column(x)
	}
	return nil
}
