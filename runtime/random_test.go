package runtime_test

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/rewrite"
	rt "github.com/recur-ml/recur/runtime"
)

var (
	graphs    = flag.Int("graphs", 300, "random graphs to try")
	graphSeed = flag.Uint64("graph", 0, "the one random graph to try; 0: as many as -graphs says")
)

// tensorOf names a float tensor of a random graph.
type tensorOf struct {
	name  string
	shape []int
}

// grower makes a valid random graph, one operator after another. All values in
// sight are float tensors whose elements stay within a few units.
type grower struct {
	*rand.Rand
	top    *grower // of the model's graph
	outer  []tensorOf
	values []tensorOf
	nodes  []*onnx.Node
	inits  []*onnx.Initializer
	inputs []onnx.ValueInfo
	in     onnx.Values
	serial *int
	depth  int
	// jumps says that results hang on comparisons, so that rounding may change
	// them altogether.
	jumps *bool
}

func newGrower(seed uint64) *grower {
	g := &grower{Rand: rand.New(rand.NewPCG(seed, 0)), in: onnx.Values{}, serial: new(int), jumps: new(bool)}
	g.top = g
	return g
}

func (g *grower) name(prefix string) string {
	*g.serial++
	return fmt.Sprint(prefix, *g.serial)
}

func (g *grower) bool() bool { return g.IntN(2) == 0 }

func (g *grower) floats(shape ...int) *onnx.Tensor {
	n, _ := onnx.NumElements(shape)
	return f32(append([]int{}, shape...), floats(n, func(int) float32 { return float32(g.NormFloat64() / 2) })...)
}

// constant makes an initializer, or a Constant.
func (g *grower) constant(t *onnx.Tensor) string {
	name := g.name("k")
	if g.IntN(4) == 0 {
		g.nodes = append(g.nodes, op("Constant", "", name, tensorAttr("value", t)))
		return name
	}
	g.inits = append(g.inits, initOf(name, t))
	return name
}

func (g *grower) ints(v ...int64) string { return g.constant(i64([]int{len(v)}, v...)) }

// input makes an input of the model.
func (g *grower) input(t *onnx.Tensor) string {
	name := g.name("x")
	typ := t.Type()
	for i, d := range typ.Shape {
		switch g.IntN(3) {
		case 0:
			typ.Shape[i] = onnx.Dim{Value: -1, Name: fmt.Sprint("n", d.Value)}
		case 1:
			typ.Shape[i] = onnx.UnknownDim
		}
	}
	if g.IntN(6) == 0 {
		typ.Shape = nil
	}
	g.top.inputs = append(g.top.inputs, onnx.ValueInfo{Name: name, Type: typ})
	g.top.in[name] = t
	return name
}

// some gives a value in sight.
func (g *grower) some() tensorOf {
	n := len(g.values) + len(g.outer)
	if i := g.IntN(n); i < len(g.outer) && g.IntN(3) > 0 || len(g.values) == 0 {
		return g.outer[i%len(g.outer)]
	}
	return g.values[len(g.values)-1-g.IntN(min(len(g.values), 6))] // a recent one
}

// someOf gives a value of a rank, made from another where needed.
func (g *grower) someOf(rank int) tensorOf {
	for range 8 {
		if v := g.some(); len(v.shape) == rank {
			return v
		}
	}
	v := g.some()
	shape := make([]int, rank)
	for i := range shape {
		shape[i] = 1
	}
	total := size(v.shape)
	for i := range shape {
		for d := 5; d > 1 && i < rank-1; d-- {
			if total%d == 0 && g.bool() {
				shape[i], total = d, total/d
				break
			}
		}
	}
	if rank > 0 {
		shape[rank-1] = total
	} else if total != 1 {
		return g.add(op("ReduceMean", v.name, g.name("v"), intAttr("keepdims", 0)), nil)
	}
	return g.add(op("Reshape", v.name+" "+g.ints(wide(shape)...), g.name("v")), shape)
}

func size(shape []int) int { n, _ := onnx.NumElements(shape); return n }

func wide(shape []int) []int64 {
	out := make([]int64, len(shape))
	for i, d := range shape {
		out[i] = int64(d)
	}
	return out
}

// add adds a node whose first output is a float tensor of a shape.
func (g *grower) add(n *onnx.Node, shape []int) tensorOf {
	g.nodes = append(g.nodes, n)
	for _, o := range n.Outputs {
		if o != "" {
			v := tensorOf{o, slices.Clone(shape)}
			g.values = append(g.values, v)
			return v
		}
	}
	panic("no output")
}

// squash keeps values small.
func (g *grower) squash(v tensorOf) tensorOf {
	return g.add(op(pick(g.Rand, []string{"Tanh", "Sigmoid", "Softsign", "Erf"}), v.name, g.name("v")), v.shape)
}

var growths []func(g *grower)

func init() {
	growths = append(growths, plainGrowths...)
	growths = append(growths, recurrentGrowth, recurrentGrowth, ifGrowth, loopGrowth, loopGrowth, scanGrowth)
}

// plainGrowths add operators without graphs in them.
var plainGrowths = []func(g *grower){
	func(g *grower) { // one input
		v := g.some()
		g.add(op(pick(g.Rand, []string{"Tanh", "Sigmoid", "Relu", "Neg", "Abs", "Softsign", "Erf", "Elu", "Softplus", "LeakyRelu", "HardSigmoid", "Identity", "Cos", "Atan"}), v.name, g.name("v")), v.shape)
	},
	func(g *grower) { // two, broadcast
		a := g.some()
		shape := slices.Clone(a.shape)
		for i := range shape {
			if g.IntN(3) == 0 {
				shape[i] = 1
			}
		}
		b := tensorOf{shape: shape[g.IntN(len(shape)+1):]}
		if b.name = g.constant(g.floats(b.shape...)); g.IntN(3) > 0 {
			if c := g.some(); slices.Equal(c.shape, a.shape) {
				b = c
			}
		}
		if g.bool() {
			a.name, b.name = b.name, a.name
		}
		g.squash(g.add(op(pick(g.Rand, []string{"Add", "Sub", "Mul", "Max", "Min"}), a.name+" "+b.name, g.name("v")), a.shape))
	},
	func(g *grower) { // division, powers
		v := g.some()
		d := g.add(op("Exp", g.squash(v).name, g.name("v")), v.shape)
		g.squash(g.add(op("Div", v.name+" "+d.name, g.name("v")), v.shape))
		g.add(op("Sqrt", d.name, g.name("v")), v.shape)
	},
	func(g *grower) { // a choice
		*g.jumps = true
		a := g.some()
		c := g.name("c")
		g.nodes = append(g.nodes, op(pick(g.Rand, []string{"Greater", "LessOrEqual"}), a.name+" "+g.constant(g.floats()), c))
		g.add(op("Where", c+" "+a.name+" "+g.constant(g.floats()), g.name("v")), a.shape)
	},
	func(g *grower) { // Transpose
		v := g.some()
		perm := g.Perm(len(v.shape))
		shape, list := make([]int, len(perm)), make([]int64, len(perm))
		for i, p := range perm {
			shape[i], list[i] = v.shape[p], int64(p)
		}
		g.add(op("Transpose", v.name, g.name("v"), intsAttr("perm", list...)), shape)
	},
	func(g *grower) { g.someOf(g.IntN(5)) },
	func(g *grower) { // a shape that is computed
		v := g.someOf(1 + g.IntN(4))
		s, lead, all := g.name("s"), g.name("s"), g.name("s")
		g.nodes = append(g.nodes, op("Shape", v.name, s), op("Gather", s+" "+g.ints(0), lead), op("Concat", lead+" "+g.ints(-1), all, intAttr("axis", 0)))
		if v.shape[0] == 0 {
			return
		}
		g.add(op("Reshape", v.name+" "+all, g.name("v")), []int{v.shape[0], size(v.shape[1:])})
	},
	func(g *grower) { // Unsqueeze and Squeeze
		v := g.some()
		at := g.IntN(len(v.shape) + 1)
		u := g.add(op("Unsqueeze", v.name+" "+g.ints(int64(at)), g.name("v")), slices.Insert(slices.Clone(v.shape), at, 1))
		if g.bool() {
			g.add(op("Squeeze", u.name+" "+g.ints(int64(at-len(u.shape))), g.name("v")), v.shape)
		}
	},
	func(g *grower) { // Slice
		v := g.someOf(1 + g.IntN(3))
		axis := g.IntN(len(v.shape))
		d := v.shape[axis]
		if d == 0 {
			return
		}
		from := g.IntN(d)
		to := from + 1 + g.IntN(d-from)
		step := 1 + g.IntN(2)
		shape := slices.Clone(v.shape)
		shape[axis] = (to-from-1)/step + 1
		in := fmt.Sprint(v.name, " ", g.ints(int64(from)), " ", g.ints(int64(to)), " ", g.ints(int64(axis)), " ", g.ints(int64(step)))
		if g.bool() { // backwards: all from its end
			shape[axis] = d
			in = fmt.Sprint(v.name, " ", g.ints(-1), " ", g.ints(math.MinInt64), " ", g.ints(int64(axis)), " ", g.ints(-1))
		}
		g.add(op("Slice", in, g.name("v")), shape)
	},
	func(g *grower) { // Concat and Split
		v := g.someOf(1 + g.IntN(3))
		axis := g.IntN(len(v.shape))
		shape := slices.Clone(v.shape)
		shape[axis] *= 2
		other := g.squash(v)
		c := g.add(op("Concat", v.name+" "+other.name, g.name("v"), intAttr("axis", int64(axis))), shape)
		a, b := g.name("v"), g.name("v")
		n := op("Split", c.name, a+" "+b, intAttr("axis", int64(axis)))
		n.Attributes = append(n.Attributes, intAttr("num_outputs", 2))
		g.add(n, v.shape)
		g.values = append(g.values, tensorOf{b, slices.Clone(v.shape)})
	},
	func(g *grower) { // Gather
		v := g.someOf(1 + g.IntN(3))
		axis := g.IntN(len(v.shape))
		if v.shape[axis] == 0 {
			return
		}
		idx := make([]int64, 1+g.IntN(3))
		for i := range idx {
			idx[i] = int64(g.IntN(2*v.shape[axis]) - v.shape[axis])
		}
		shape := slices.Clone(v.shape)
		shape[axis] = len(idx)
		g.add(op("Gather", v.name+" "+g.ints(idx...), g.name("v"), intAttr("axis", int64(axis))), shape)
	},
	func(g *grower) { // Expand, Tile, Pad
		v := g.someOf(1 + g.IntN(2))
		if size(v.shape) > 200 {
			return
		}
		shape := slices.Clone(v.shape)
		switch g.IntN(3) {
		case 0:
			shape = append([]int{1 + g.IntN(3)}, shape...)
			g.add(op("Expand", v.name+" "+g.ints(wide(shape)...), g.name("v")), shape)
		case 1:
			times := make([]int64, len(shape))
			for i := range times {
				times[i] = int64(1 + g.IntN(2))
				shape[i] *= int(times[i])
			}
			g.add(op("Tile", v.name+" "+g.ints(times...), g.name("v")), shape)
		case 2:
			pads := make([]int64, 2*len(shape))
			for i := range pads {
				pads[i] = int64(g.IntN(2))
				shape[i%len(shape)] += int(pads[i])
			}
			g.add(op("Pad", v.name+" "+g.ints(pads...)+" "+g.constant(g.floats()), g.name("v")), shape)
		}
	},
	func(g *grower) { // reductions
		v := g.someOf(1 + g.IntN(3))
		axis, keep := g.IntN(len(v.shape)), g.IntN(2)
		if v.shape[axis] == 0 {
			return
		}
		shape := slices.Clone(v.shape)
		shape[axis] = 1
		if keep == 0 {
			shape = slices.Delete(shape, axis, axis+1)
		}
		g.squash(g.add(op(pick(g.Rand, []string{"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceLogSumExp", "ReduceSumSquare"}), v.name+" "+g.ints(int64(axis)), g.name("v"), intAttr("keepdims", int64(keep))), shape))
	},
	func(g *grower) { // along an axis
		v := g.someOf(1 + g.IntN(3))
		axis := int64(g.IntN(len(v.shape)))
		switch g.IntN(4) {
		case 0:
			g.add(op("Softmax", v.name, g.name("v"), intAttr("axis", axis)), v.shape)
		case 1:
			g.squash(g.add(op("CumSum", v.name+" "+g.constant(i64(nil, axis)), g.name("v"), intAttr("reverse", int64(g.IntN(2)))), v.shape))
		case 2:
			g.squash(g.add(op("LogSoftmax", v.name, g.name("v"), intAttr("axis", axis)), v.shape))
		case 3:
			d := v.shape[len(v.shape)-1]
			if d < 2 {
				return
			}
			g.squash(g.add(op("LayerNormalization", v.name+" "+g.constant(g.floats(d))+" "+g.constant(g.floats(d)), g.name("v"), floatAttr("epsilon", 0.1)), v.shape))
		}
	},
	func(g *grower) { // places of the greatest
		*g.jumps = true
		v := g.someOf(1 + g.IntN(2))
		axis := g.IntN(len(v.shape))
		if v.shape[axis] == 0 {
			return
		}
		shape := slices.Clone(v.shape)
		shape[axis] = 1
		at, k := g.name("a"), g.name("v")
		g.nodes = append(g.nodes, op("ArgMax", v.name, at, intAttr("axis", int64(axis))))
		g.squash(g.add(op("Cast", at, g.name("v"), intAttr("to", int64(onnx.Float))), shape))
		g.add(op("TopK", v.name+" "+g.ints(1), k+" "+g.name("a"), intAttr("axis", int64(axis))), shape)
	},
	func(g *grower) { // products
		v := g.someOf(2 + g.IntN(2))
		d, n := v.shape[len(v.shape)-1], 1+g.IntN(6)
		shape := slices.Clone(v.shape)
		shape[len(shape)-1] = n
		if len(shape) == 2 && g.bool() {
			g.squash(g.add(op("Gemm", v.name+" "+g.constant(g.floats(n, d))+" "+g.constant(g.floats(n)), g.name("v"), intAttr("transB", 1), floatAttr("alpha", 0.5)), shape))
			return
		}
		p := g.add(op("MatMul", v.name+" "+g.constant(g.floats(d, n)), g.name("v")), shape)
		if g.bool() {
			p = g.add(op("Add", p.name+" "+g.constant(g.floats(n)), g.name("v")), shape)
		}
		g.squash(p)
	},
	func(g *grower) { // Conv
		v := g.someOf(3)
		c, w := v.shape[1], v.shape[2]
		k, n := 1+g.IntN(3), 1+g.IntN(3)
		if c == 0 || w+2 < k || w == 0 {
			return
		}
		g.squash(g.add(op("Conv", v.name+" "+g.constant(g.floats(n, c, k))+" "+g.constant(g.floats(n)), g.name("v"), intsAttr("pads", 1, 1)), []int{v.shape[0], n, w + 3 - k}))
	},
	func(g *grower) { // sequences
		v := g.someOf(1 + g.IntN(3))
		axis := g.IntN(len(v.shape))
		if v.shape[axis] == 0 {
			return
		}
		q := g.name("q")
		g.nodes = append(g.nodes, op("SplitToSequence", v.name+" "+g.constant(i64(nil, 1)), q, intAttr("axis", int64(axis))))
		one := slices.Clone(v.shape)
		one[axis] = 1
		item := g.add(op("SequenceAt", q+" "+g.constant(i64(nil, -1)), g.name("v")), one)
		q2 := g.name("q")
		g.nodes = append(g.nodes, op("SequenceInsert", q+" "+g.squash(item).name+" "+g.constant(i64(nil, 0)), q2))
		all := slices.Clone(v.shape)
		all[axis]++
		g.add(op("ConcatFromSequence", q2, g.name("v"), intAttr("axis", int64(axis))), all)
	},
	func(g *grower) { // doubles in between
		v := g.some()
		d, e := g.name("d"), g.name("d")
		g.nodes = append(g.nodes, op("Cast", v.name, d, intAttr("to", int64(onnx.Double))), op("Tanh", d, e))
		g.add(op("Cast", e, g.name("v"), intAttr("to", int64(onnx.Float))), v.shape)
	},
	func(g *grower) { // what is known at load
		shape := []int{1 + g.IntN(3), 1 + g.IntN(3)}
		a, b := g.constant(g.floats(shape...)), g.constant(g.floats(shape...))
		g.squash(g.add(op("Mul", a+" "+b, g.name("v")), shape))
	},
}

// recurrentGrowth adds a recurrent operator with random attributes.
func recurrentGrowth(g *grower) {
	v := g.someOf(3)
	layout := g.IntN(4) / 3
	steps, batch, in := v.shape[0], v.shape[1], v.shape[2]
	if layout == 1 {
		steps, batch = batch, steps
	}
	if in == 0 || steps > 40 || batch > 40 {
		return
	}
	kind := g.IntN(3)
	name, gates := []string{"RNN", "GRU", "LSTM"}[kind], []int{1, 3, 4}[kind]
	hidden, dirs := 1+g.IntN(5), 1
	attrs := []*onnx.Attribute{intAttr("hidden_size", int64(hidden))}
	if layout == 1 {
		attrs = append(attrs, intAttr("layout", 1))
	}
	switch g.IntN(4) {
	case 0:
		attrs = append(attrs, strAttr("direction", "reverse"))
	case 1:
		dirs = 2
		attrs = append(attrs, strAttr("direction", "bidirectional"))
	}
	if kind == 1 && g.bool() {
		attrs = append(attrs, intAttr("linear_before_reset", 1))
	}
	if kind == 2 && g.IntN(4) == 0 {
		attrs = append(attrs, intAttr("input_forget", 1))
	}
	if g.IntN(4) == 0 {
		attrs = append(attrs, floatAttr("clip", 1.5))
	}
	if g.IntN(4) == 0 {
		var list []string
		for range dirs {
			list = append(list, [][]string{{"Softsign"}, {"HardSigmoid", "Tanh"}, {"Sigmoid", "Softsign", "Tanh"}}[kind]...)
		}
		attrs = append(attrs, &onnx.Attribute{Name: "activations", Type: onnx.AttrStrings, Strings: list})
	}
	ins := []string{v.name, g.constant(g.floats(dirs, gates*hidden, in)), g.constant(g.floats(dirs, gates*hidden, hidden)), "_", "_", "_"}
	if g.bool() {
		ins[3] = g.constant(g.floats(dirs, 2*gates*hidden))
	}
	if g.bool() {
		lengths := make([]int32, batch)
		for i := range lengths {
			lengths[i] = int32(g.IntN(steps + 1))
		}
		if ins[4] = g.constant(onnx.MustTensor([]int{batch}, lengths)); g.bool() {
			ins[4] = g.input(onnx.MustTensor([]int{batch}, lengths))
		}
	}
	state := []int{dirs, batch, hidden}
	if layout == 1 {
		state = []int{batch, dirs, hidden}
	}
	if g.bool() {
		ins[5] = g.constant(g.floats(state...))
	}
	if kind == 2 {
		ins = append(ins, "_", "_")
		if g.bool() {
			ins[6] = g.constant(g.floats(state...))
		}
		if g.IntN(3) == 0 {
			ins[7] = g.constant(g.floats(dirs, 3*hidden))
		}
	}
	y, h := g.name("v"), g.name("v")
	outs := y + " " + h
	g.nodes = append(g.nodes, op(name, strings.Join(ins, " "), outs, attrs...))
	shape := []int{steps, dirs, batch, hidden}
	if layout == 1 {
		shape = []int{batch, steps, dirs, hidden}
	}
	g.values = append(g.values, tensorOf{y, shape}, tensorOf{h, state})
}

// within gives a grower for the graph of an attribute.
func (g *grower) within() *grower {
	return &grower{Rand: g.Rand, top: g.top, outer: append(slices.Clone(g.outer), g.values...), serial: g.serial, jumps: g.jumps, depth: g.depth + 1}
}

func (g *grower) graph(in, out []string) *onnx.Graph {
	return &onnx.Graph{Name: "body", Inputs: anyOf(strings.Join(in, " ")), Outputs: anyOf(strings.Join(out, " ")), Nodes: g.nodes, Initializers: g.inits}
}

// grow adds a few operators to a body.
func (g *grower) grow(n int) {
	for range n {
		pick(g.Rand, growths)(g)
	}
}

// fit gives a value of exactly a shape.
func (g *grower) fit(shape []int) tensorOf {
	for range 6 {
		if v := g.some(); slices.Equal(v.shape, shape) {
			return g.add(op("Identity", v.name, g.name("v")), shape)
		}
	}
	v := g.someOf(0)
	return g.add(op("Add", v.name+" "+g.constant(g.floats(shape...)), g.name("v")), shape)
}

func ifGrowth(g *grower) {
	if g.depth > 2 {
		return
	}
	var cond string
	switch g.IntN(3) {
	case 0:
		cond = g.constant(onnx.Scalar(g.bool()))
	case 1:
		cond = g.input(onnx.Scalar(g.bool()))
	case 2:
		*g.jumps = true
		cond = g.name("c")
		g.nodes = append(g.nodes, op("Greater", g.someOf(0).name+" "+g.constant(g.floats()), cond))
	}
	shape := slices.Clone(g.some().shape)
	var branches [2]*onnx.Graph
	for i := range branches {
		b := g.within()
		b.grow(g.IntN(4))
		branches[i] = b.graph(nil, []string{b.fit(shape).name})
	}
	g.add(op("If", cond, g.name("v"), graphAttr("then_branch", branches[0]), graphAttr("else_branch", branches[1])), shape)
}

func loopGrowth(g *grower) {
	if g.depth > 1 {
		return
	}
	trips := int64(g.IntN(4))
	m := g.constant(i64(nil, trips))
	if g.bool() {
		m = g.input(i64(nil, trips))
	}
	cond := "_"
	if g.bool() {
		cond = g.constant(onnx.Scalar(true))
	}
	state := g.some()
	b := g.within()
	i, c, s := g.name("i"), g.name("c"), g.name("v")
	b.values = append(b.values, tensorOf{s, state.shape})
	b.grow(g.IntN(4))
	next := b.squash(tensorOf{b.fit(state.shape).name, state.shape})
	row := b.some()
	same := op("Identity", c, g.name("c"))
	b.nodes = append(b.nodes, same)
	rowOut := b.add(op("Identity", row.name, g.name("v")), row.shape)
	y, ys := g.name("v"), g.name("v")
	g.nodes = append(g.nodes, op("Loop", m+" "+cond+" "+state.name, y+" "+ys, graphAttr("body", b.graph([]string{i, c, s}, []string{same.Outputs[0], next.name, rowOut.name}))))
	g.values = append(g.values, tensorOf{y, slices.Clone(state.shape)})
	if trips > 0 { // else the sizes hang on what is known at load
		g.values = append(g.values, tensorOf{ys, append([]int{int(trips)}, row.shape...)})
	}
}

func scanGrowth(g *grower) {
	if g.depth > 1 {
		return
	}
	state, x := g.some(), g.someOf(1+g.IntN(3))
	b := g.within()
	s, e := g.name("v"), g.name("v")
	axis := g.IntN(len(x.shape))
	elem := slices.Delete(slices.Clone(x.shape), axis, axis+1)
	if x.shape[axis] == 0 {
		return
	}
	b.values = append(b.values, tensorOf{s, state.shape}, tensorOf{e, elem})
	b.grow(1 + g.IntN(3))
	next := b.squash(tensorOf{b.fit(state.shape).name, state.shape})
	row := b.some()
	rowOut := b.add(op("Identity", row.name, g.name("v")), row.shape)
	y, ys := g.name("v"), g.name("v")
	attrs := []*onnx.Attribute{graphAttr("body", b.graph([]string{s, e}, []string{next.name, rowOut.name})), intAttr("num_scan_inputs", 1), intsAttr("scan_input_axes", int64(axis))}
	if g.bool() {
		attrs = append(attrs, intsAttr("scan_input_directions", 1))
	}
	at := g.IntN(len(row.shape) + 1)
	attrs = append(attrs, intsAttr("scan_output_axes", int64(at)), intsAttr("scan_output_directions", int64(g.IntN(2))))
	g.nodes = append(g.nodes, op("Scan", state.name+" "+x.name, y+" "+ys, attrs...))
	g.values = append(g.values, tensorOf{y, slices.Clone(state.shape)}, tensorOf{ys, slices.Insert(slices.Clone(row.shape), at, x.shape[axis])})
}

// randomModel makes a model and inputs for it.
func randomModel(seed uint64) (*onnx.Model, onnx.Values, bool) {
	g := newGrower(seed)
	for range 1 + g.IntN(3) {
		shape := make([]int, 1+g.IntN(3))
		for i := range shape {
			shape[i] = 1 + g.IntN(5)
		}
		g.values = append(g.values, tensorOf{g.input(g.floats(shape...)), shape})
	}
	for range 4 + g.IntN(12) {
		pick(g.Rand, growths)(g)
		for len(g.values) > 0 && size(g.values[len(g.values)-1].shape) > 4000 { // not larger
			g.values = g.values[:len(g.values)-1]
		}
	}
	m := &onnx.Model{IRVersion: 9, OpsetImports: []onnx.OpsetImport{{Version: 20}}, Graph: &onnx.Graph{Name: "random", Nodes: g.nodes, Initializers: g.inits, Inputs: g.inputs}}
	outs := map[string]bool{}
	for range 1 + g.IntN(4) {
		v := g.some()
		if !outs[v.name] {
			outs[v.name] = true
			m.Graph.Outputs = append(m.Graph.Outputs, onnx.ValueInfo{Name: v.name})
		}
	}
	g.Shuffle(len(m.Graph.Nodes), func(i, j int) { m.Graph.Nodes[i], m.Graph.Nodes[j] = m.Graph.Nodes[j], m.Graph.Nodes[i] })
	return m, g.in, *g.jumps
}

// inDouble gives the model with doubles for floats.
func inDouble(m *onnx.Model, in onnx.Values) (*onnx.Model, onnx.Values) {
	double := func(t *onnx.Tensor) *onnx.Tensor {
		if t == nil || t.DataType() != onnx.Float {
			return t
		}
		out, _ := onnx.NewZeros(onnx.Double, t.Shape())
		for i, v := range onnx.Elements[float32](t) {
			onnx.Elements[float64](out)[i] = float64(v)
		}
		return out
	}
	var graph func(g *onnx.Graph) *onnx.Graph
	graph = func(g *onnx.Graph) *onnx.Graph {
		c := *g
		c.Initializers, c.Nodes, c.Inputs = nil, nil, slices.Clone(g.Inputs)
		for _, init := range g.Initializers {
			c.Initializers = append(c.Initializers, initOf(init.Name, double(init.Tensor)))
		}
		for i := range c.Inputs {
			if c.Inputs[i].Type.Elem == onnx.Float {
				c.Inputs[i].Type.Elem = onnx.Double
			}
		}
		for _, n := range g.Nodes {
			k := *n
			k.Attributes = nil
			for _, a := range n.Attributes {
				b := *a
				b.Tensor = double(a.Tensor)
				if a.Graph != nil {
					b.Graph = graph(a.Graph)
				}
				if n.OpType == "Cast" && a.Int == int64(onnx.Float) {
					b.Int = int64(onnx.Double)
				}
				k.Attributes = append(k.Attributes, &b)
			}
			c.Nodes = append(c.Nodes, &k)
		}
		return &c
	}
	c := *m
	c.Graph = graph(m.Graph)
	inputs := onnx.Values{}
	for name, v := range in {
		inputs[name] = double(v.(*onnx.Tensor))
	}
	return &c, inputs
}

// near compares floats, or doubles with floats, to a tolerance.
func near(a, b onnx.Value, rtol, atol float64) bool {
	numbers := func(v onnx.Value) ([]float64, []int) {
		t, ok := v.(*onnx.Tensor)
		if !ok {
			return nil, nil
		}
		switch t.DataType() {
		case onnx.Double:
			return onnx.Elements[float64](t), t.Shape()
		case onnx.Float:
			out := make([]float64, t.Len())
			for i, x := range onnx.Elements[float32](t) {
				out[i] = float64(x)
			}
			return out, t.Shape()
		}
		return nil, nil
	}
	x, sx := numbers(a)
	y, sy := numbers(b)
	if len(x) != len(y) || !slices.Equal(sx, sy) {
		return false
	}
	for i := range x {
		if x[i] != y[i] && !(math.Abs(x[i]-y[i]) <= atol+rtol*math.Abs(y[i])) && !(math.IsNaN(x[i]) && math.IsNaN(y[i])) {
			return false
		}
	}
	return true
}

// unfused lists the optional passes but those that fuse nodes, which change no
// bit.
func unfused() []string {
	var names []string
	for _, p := range rewrite.Passes() {
		if !p.Required && !p.Private {
			names = append(names, p.Name)
		}
	}
	return names
}

// checkRandom holds the ways to compute a random graph against each other.
func checkRandom(t *testing.T, seed uint64) {
	t.Helper()
	m, in, jumps := randomModel(seed)
	run := func(m *onnx.Model, in onnx.Values, what string, opts ...rt.Option) (*rt.Session, onnx.Values) {
		s, err := rt.LoadModel(m, opts...)
		if err != nil {
			t.Errorf("graph %d, %s: loading: %.1000v", seed, what, err)
			return nil, nil
		}
		out, err := s.Run(t.Context(), in)
		if err != nil {
			t.Errorf("graph %d, %s: %.1000v", seed, what, err)
			return nil, nil
		}
		return s, out
	}
	s, want := run(m, in, "all passes", rt.WithThreads(1))
	if s == nil {
		return
	}
	all := func(what string, got onnx.Values, same func(a, b onnx.Value) bool) {
		for name, v := range want {
			if got != nil && !same(got[name], v) {
				t.Errorf("graph %d, %s: output %q differs: %v and %v", seed, what, name, got[name], v)
			}
		}
	}
	again, err := s.Run(t.Context(), in)
	if err != nil {
		t.Errorf("graph %d, again: %v", seed, err)
	}
	all("again", again, sameValue)
	into := onnx.Values{}
	for name, v := range want {
		x := v.(*onnx.Tensor)
		into[name], _ = onnx.NewZeros(x.DataType(), x.Shape())
	}
	if err := s.RunInto(t.Context(), in, into); err != nil {
		t.Errorf("graph %d, RunInto: %v", seed, err)
	}
	all("RunInto", into, sameValue)
	if n := rt.LiveBuffers(s); n > 0 {
		t.Errorf("graph %d: %d buffers are in use after the runs", seed, n)
	}
	if _, n := rt.Programs(s); n > 0 {
		t.Errorf("graph %d: its shapes have no program of their own", seed)
	}
	_, got := run(m, in, "two threads", rt.WithThreads(2))
	all("two threads", got, sameValue)
	_, got = run(m, in, "nothing fused", rt.WithThreads(1), rt.WithPasses(unfused()...))
	all("nothing fused", got, sameValue)
	_, got = run(m, in, "no passes", rt.WithThreads(1), rt.WithPasses())
	if !jumps {
		all("no passes", got, func(a, b onnx.Value) bool { return near(a, b, 1e-5, 1e-5) })
	}
	data, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	file, err := rt.LoadBytes(data, rt.WithThreads(1))
	if err != nil {
		t.Errorf("graph %d, from a file: %.1000v", seed, err)
		return
	}
	if got, err = file.Run(t.Context(), in); err != nil {
		t.Errorf("graph %d, from a file: %.1000v", seed, err)
	}
	all("from a file", got, sameValue)
	if jumps {
		return
	}
	dm, din := inDouble(m, in)
	d, err := rt.LoadModel(dm, rt.WithThreads(1))
	if err != nil {
		if !errors.Is(err, onnx.ErrUnsupported) {
			t.Errorf("graph %d, in double: %.1000v", seed, err)
		}
		return
	}
	if got, err = d.Run(t.Context(), din); err != nil {
		t.Errorf("graph %d, in double: %.1000v", seed, err)
	}
	all("in double", got, func(a, b onnx.Value) bool { return near(a, b, 1e-3, 1e-3) })
}

// TestRandomGraphs computes random graphs in every way there is: the results
// are the same, to the last bit where nothing but the way is other.
func TestRandomGraphs(t *testing.T) {
	if *graphSeed != 0 {
		checkRandom(t, *graphSeed)
		return
	}
	n := *graphs
	if testing.Short() {
		n /= 4
	}
	for seed := range uint64(n) {
		checkRandom(t, seed+1)
	}
}

// FuzzGraph is TestRandomGraphs for as long as one likes.
func FuzzGraph(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(checkRandom)
}
