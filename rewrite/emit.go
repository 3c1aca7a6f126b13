package rewrite

import (
	"fmt"

	"github.com/recur-ml/recur/onnx"
)

// emitter makes nodes that stand in the place of others.
type emitter struct {
	*state
	graph  *onnx.Graph
	opset  int    // of ai.onnx
	mark   int64  // what Node.Opset says, 0 for the model's import
	lacks  string // the first operator asked for that the opset does not have
	prefix string
	nodes  []*onnx.Node
	inits  []*onnx.Initializer
	lists  map[string]string // initializers of integers, by contents
	finals [][2]string       // values and the names they are to have
}

func (s *state) emitter(g *onnx.Graph, like *onnx.Node) *emitter {
	e := &emitter{state: s, graph: g, opset: s.opsetOf(like), mark: like.Opset, lists: map[string]string{}}
	e.prefix = like.Name
	if e.prefix == "" {
		for _, o := range like.Outputs {
			if o != "" {
				e.prefix = o
				break
			}
		}
	}
	return e
}

// opsetOf is the version of ai.onnx that a node means.
func (s *state) opsetOf(n *onnx.Node) int {
	if n.Opset != 0 {
		return int(n.Opset)
	}
	for _, imp := range s.model.OpsetImports {
		if imp.Domain == "" {
			return int(imp.Version)
		}
	}
	return 0
}

// finish adds the initializers to the graph and gives the nodes.
func (e *emitter) finish() []*onnx.Node {
	e.applyNames()
	e.graph.Initializers = append(e.graph.Initializers, e.inits...)
	return e.nodes
}

// node adds a node with one output and gives that.
func (e *emitter) node(op string, in []string, attrs ...*onnx.Attribute) string {
	return e.multi(op, 1, in, attrs...)[0]
}

// multi adds a node of several outputs. Where the opset does not have the
// operator, lacks says so, and what is made must not be used.
func (e *emitter) multi(op string, outputs int, in []string, attrs ...*onnx.Attribute) []string {
	for len(in) > 0 && in[len(in)-1] == "" {
		in = in[:len(in)-1]
	}
	if e.lacks == "" && onnx.LookupSchema("", op, e.opset) == nil {
		e.lacks = op
	}
	n := &onnx.Node{Name: e.fresh(e.prefix + "/" + op), OpType: op, Inputs: in, Attributes: attrs, Opset: e.mark}
	for range outputs {
		n.Outputs = append(n.Outputs, e.fresh(e.prefix+"/"+op+":0"))
	}
	e.nodes = append(e.nodes, n)
	return n.Outputs
}

// name gives a value its final name: that of the output which it replaces.
func (e *emitter) name(value, final string) {
	e.finals = append(e.finals, [2]string{value, final})
}

// applyNames renames the values that have final names. A second final name of
// a value, and that of a value from elsewhere, is an Identity.
func (e *emitter) applyNames() {
	to := map[string]string{}
	own := map[string]bool{}
	for _, n := range e.nodes {
		for _, o := range n.Outputs {
			own[o] = true
		}
	}
	var more []*onnx.Node
	for _, f := range e.finals {
		value, final := f[0], f[1]
		if own[value] && to[value] == "" {
			to[value] = final
			continue
		}
		if to[value] != "" {
			value = to[value]
		}
		more = append(more, &onnx.Node{Name: e.fresh(e.prefix + "/Identity"), OpType: "Identity", Inputs: []string{value}, Outputs: []string{final}, Opset: e.mark})
	}
	rename(e.nodes, to)
	e.nodes = append(e.nodes, more...)
	e.finals = nil
}

func attrI(name string, v int64) *onnx.Attribute {
	return &onnx.Attribute{Name: name, Type: onnx.AttrInt, Int: v}
}

func attrInts(name string, v ...int64) *onnx.Attribute {
	return &onnx.Attribute{Name: name, Type: onnx.AttrInts, Ints: v}
}

func attrF(name string, v float64) *onnx.Attribute {
	return &onnx.Attribute{Name: name, Type: onnx.AttrFloat, Float: float32(v)}
}

func attrS(name, v string) *onnx.Attribute {
	return &onnx.Attribute{Name: name, Type: onnx.AttrString, String: v}
}

// tensor adds an initializer.
func (e *emitter) tensor(wish string, t *onnx.Tensor) string {
	name := e.fresh(e.prefix + "/" + wish)
	e.inits = append(e.inits, &onnx.Initializer{Name: name, Tensor: t})
	return name
}

// int64s adds an initializer of rank 1.
func (e *emitter) int64s(v ...int64) string {
	key := fmt.Sprint(v)
	if name := e.lists[key]; name != "" {
		return name
	}
	name := e.tensor("axes", onnx.MustTensor([]int{len(v)}, v))
	e.lists[key] = name
	return name
}

func (e *emitter) squeeze(x string, axis int64) string {
	if e.opset < 13 {
		return e.node("Squeeze", []string{x}, attrInts("axes", axis))
	}
	return e.node("Squeeze", []string{x, e.int64s(axis)})
}

func (e *emitter) unsqueeze(x string, axis int64) string {
	if e.opset < 13 {
		return e.node("Unsqueeze", []string{x}, attrInts("axes", axis))
	}
	return e.node("Unsqueeze", []string{x, e.int64s(axis)})
}

func (e *emitter) transpose(x string, perm ...int64) string {
	return e.node("Transpose", []string{x}, attrInts("perm", perm...))
}

// slice takes lo..hi-1 of an axis.
func (e *emitter) slice(x string, axis, lo, hi int64) string {
	if e.opset < 10 {
		return e.node("Slice", []string{x}, attrInts("axes", axis), attrInts("starts", lo), attrInts("ends", hi))
	}
	return e.node("Slice", []string{x, e.int64s(lo), e.int64s(hi), e.int64s(axis)})
}

func (e *emitter) cast(x string, to onnx.DataType) string {
	return e.node("Cast", []string{x}, attrI("to", int64(to)))
}

func (e *emitter) concat(axis int64, in ...string) string {
	if len(in) == 1 {
		return in[0]
	}
	return e.node("Concat", in, attrI("axis", axis))
}

// split cuts an axis into parts.
func (e *emitter) split(x string, axis int64, sizes ...int64) []string {
	if e.opset < 13 {
		return e.multi("Split", len(sizes), []string{x}, attrI("axis", axis), attrInts("split", sizes...))
	}
	return e.multi("Split", len(sizes), []string{x, e.int64s(sizes...)}, attrI("axis", axis))
}

// scalar adds a constant of a floating-point type.
func (e *emitter) scalar(elem onnx.DataType, v float64) string {
	return e.tensor("number", floatTensor(elem, nil, v))
}

// floatTensor makes a tensor of a floating-point type with equal elements.
func floatTensor(elem onnx.DataType, shape []int, v float64) *onnx.Tensor {
	t, err := onnx.NewZeros(elem, shape)
	if err != nil {
		panic(err) // shapes and types come from tensors
	}
	for i := range t.Len() {
		setFloat(t, i, v)
	}
	return t
}

// setFloat writes an element, rounded to the tensor's type.
func setFloat(t *onnx.Tensor, i int, v float64) {
	switch t.DataType() {
	case onnx.Float:
		onnx.Elements[float32](t)[i] = float32(v)
	case onnx.Double:
		onnx.Elements[float64](t)[i] = v
	case onnx.Float16:
		onnx.Elements[onnx.F16](t)[i] = onnx.ToF16(float32(v))
	case onnx.BFloat16:
		onnx.Elements[onnx.BF16](t)[i] = onnx.ToBF16(float32(v))
	}
}

// sumOver adds along an axis, which is left out.
func (e *emitter) sumOver(x string, axis int64) string {
	if e.opset < 13 {
		return e.node("ReduceSum", []string{x}, attrInts("axes", axis), attrI("keepdims", 0))
	}
	return e.node("ReduceSum", []string{x, e.int64s(axis)}, attrI("keepdims", 0))
}

// views materializes a constant as an initializer.
func (e *emitter) view(v *view) (string, error) {
	if v.source != "" && !v.inner && !v.negated && v.rank() == v.tensor.Rank() && v.len() == v.tensor.Len() && increasing(v.axes) {
		return v.source, nil
	}
	shape := make([]int, v.rank())
	ranges := make([][2]int, v.rank())
	for i := range shape {
		shape[i] = v.size(i)
		ranges[i] = [2]int{0, shape[i]}
	}
	a, err := assemble(v.tensor.DataType(), shape...)
	if err != nil {
		return "", err
	}
	a.put(v, false, ranges...)
	i := a.initializer(e.fresh(e.prefix + "/constant"))
	e.inits = append(e.inits, i)
	return i.Name, nil
}

func increasing(axes []int) bool {
	for i, a := range axes {
		if a != i {
			return false
		}
	}
	return true
}

// oneEach gives an initial state of a shape as [1, B, H]: the operator wants a
// row for each row of x, [T, B, I], where a loop or steps broadcast one.
func (e *emitter) oneEach(name string, have onnx.Shape, batch onnx.Dim, hidden int, x string) string {
	if len(have) != 2 || !have[0].Same(batch) || have[1].Value != hidden {
		rows := e.slice(e.node("Shape", []string{x}), 0, 1, 2)
		name = e.node("Expand", []string{name, e.concat(0, rows, e.int64s(int64(hidden)))})
	}
	return e.unsqueeze(name, 0)
}
