package rewrite

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/recur-ml/recur/internal/brief"
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// What folding may cost. A node that would cost more is left to the run, which
// has limits of its own.
const (
	foldBytes = 256 << 20 // memory of one node
	foldBase  = 64 << 20  // of all results, with foldRatio for each byte of the model's constants
	foldRatio = 4
	foldTime  = 10 * time.Second
)

// fold computes what depends on constants alone, shapes that are known at load
// among it, and puts the branch that is taken in the place of an If whose
// condition is known. A node that is folded becomes an initializer.
func fold(s *state) error {
	return s.foldWithin(foldBase+foldRatio*min(constantBytes(s.model.Graph), math.MaxInt64/foldRatio-foldBase), foldTime)
}

// foldWithin folds as long as the results take no more bytes, and computing
// them no more time, than given.
func (s *state) foldWithin(bytes int64, span time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), span)
	defer cancel()
	f := &folder{state: s, ctx: ctx}
	f.analysis = ops.NewAnalysis(s.registry, s.model, s.limits)
	f.analysis.Level, f.analysis.HalfWeights = s.level, s.halfWeights
	f.most = min(bytes, s.limits.InitializerBytes)
	g := s.model.Graph
	scope, err := f.graph(g, nil)
	if err == nil && scope != nil {
		s.factsOfGraphs[g] = &facts{scope: scope, makers: producers(g), of: s.fingerprint(g)}
	}
	return err
}

type folder struct {
	*state
	ctx      context.Context
	analysis *ops.Analysis
	bytes    int64 // of all new initializers
	most     int64 // bound on them
}

// constantBytes counts the bytes of a graph's initializers and tensors among
// attributes.
func constantBytes(g *onnx.Graph) int64 {
	total := int64(0)
	add := func(t *onnx.Tensor) {
		if t != nil && t.External() == nil {
			total += int64(t.Len()) * int64(max(t.DataType().Size(), 1))
		}
	}
	for _, init := range g.Initializers {
		add(init.Tensor)
	}
	for _, n := range g.Nodes {
		for _, a := range n.Attributes {
			add(a.Tensor)
		}
		for _, sub := range n.Subgraphs() {
			total += constantBytes(sub)
		}
	}
	return total
}

// graph folds a graph, and gives what is known in it, of the model's own or a
// graph without inputs; nil where that is not what inference would find. Of the
// inputs of a body nothing is assumed: a loop may change the shapes that it
// declares.
func (f *folder) graph(g *onnx.Graph, outer *ops.Scope) (*ops.Scope, error) {
	scope := f.analysis.NewScope(outer)
	scope.Enter(g, nil)
	if outer != nil {
		for _, v := range g.Inputs {
			scope.Set(v.Name, ops.Info{})
		}
	}
	nodes, err := onnx.Sort(g)
	if err != nil {
		return nil, err
	}
	var kept []*onnx.Node
	whole := outer == nil || len(g.Inputs) == 0
	lists := [][]*onnx.Node{nodes} // the nodes of spliced branches before the rest
	for len(lists) > 0 {
		last := len(lists) - 1
		if len(lists[last]) == 0 {
			lists = lists[:last]
			continue
		}
		n := lists[last][0]
		lists[last] = lists[last][1:]
		if branch := f.taken(n, scope); branch != nil {
			inner, err := f.splice(g, n, branch, scope)
			if err != nil {
				return nil, err
			}
			lists = append(lists, inner)
			continue
		}
		// Bodies first: to infer the node is to infer what is left of them.
		for _, sub := range n.Subgraphs() {
			inner, err := f.graph(sub, scope)
			if err != nil {
				return nil, err
			}
			if inner != nil {
				scope.SetBranch(sub, inner)
			}
		}
		node, err := scope.Node(n)
		constant := err == nil && f.constant(g, node, scope)
		scope.Release(node)
		if constant {
			continue
		}
		if errors.Is(err, onnx.ErrLimit) {
			return nil, ops.NodeError(n, 0, err)
		}
		whole = whole && (err == nil || errors.Is(err, onnx.ErrUnsupported))
		kept = append(kept, n)
	}
	g.Nodes = kept
	if !whole {
		return nil, nil
	}
	return scope, nil
}

// constant replaces a node by initializers when its outputs are known, and
// reports whether it did.
func (f *folder) constant(g *onnx.Graph, n *ops.Node, scope *ops.Scope) bool {
	values := stated(n)
	if values == nil {
		values = f.contents(n)
	}
	if values == nil {
		values = f.compute(n)
	}
	if values == nil {
		return false
	}
	bytes := int64(0)
	for _, v := range values {
		if t, ok := v.(*onnx.Tensor); ok {
			bytes += int64(t.Len()) * int64(t.DataType().Size())
			for _, s := range t.Strings() {
				bytes += int64(len(s)) + 16
			}
		}
	}
	if bytes > f.most-f.bytes {
		return false
	}
	f.bytes += bytes
	for i, name := range n.Proto.Outputs {
		if name == "" {
			continue
		}
		if n.Out(i).Const != values[i] {
			scope.Set(name, ops.ConstInfo(values[i]))
		}
		g.Initializers = append(g.Initializers, &onnx.Initializer{Name: name, Tensor: values[i].(*onnx.Tensor)})
	}
	return true
}

// stated gives the output of a Constant with one attribute, its value.
func stated(n *ops.Node) []onnx.Value {
	p := n.Proto
	if p.OpType != "Constant" || p.Domain != "" || len(p.Attributes) != 1 || len(p.Outputs) != 1 || n.Out(0).Tensor() == nil {
		return nil
	}
	return []onnx.Value{n.Out(0).Const}
}

// contents gives the outputs when inference knows the elements of all.
func (f *folder) contents(n *ops.Node) []onnx.Value {
	var values []onnx.Value
	for i, name := range n.Proto.Outputs {
		if name == "" {
			continue
		}
		c := n.Out(i).Content
		ints, ok := c.Ints()
		if !ok {
			return nil
		}
		if values == nil {
			values = make([]onnx.Value, n.NumOutputs())
		}
		shape := []int{len(ints)}
		if c.Scalar {
			shape = nil
		}
		switch n.Out(i).Type.Elem {
		case onnx.Int64:
			values[i] = onnx.MustTensor(shape, ints)
		case onnx.Int32:
			short := make([]int32, len(ints))
			for k, v := range ints {
				short[k] = int32(v)
			}
			values[i] = onnx.MustTensor(shape, short)
		default:
			return nil
		}
	}
	if values == nil {
		values = make([]onnx.Value, n.NumOutputs())
	}
	return values
}

// compute runs a node whose inputs are all constants; nil when they are not,
// or it fails, or costs too much: then it stays, and a run will tell.
func (f *folder) compute(n *ops.Node) []onnx.Value {
	if n.Op.Random || len(n.Proto.Subgraphs()) > 0 || f.ctx.Err() != nil {
		return nil
	}
	for i, name := range n.Proto.Inputs {
		v := n.In(i).Const
		if t, ok := v.(*onnx.Tensor); name != "" && (v == nil || ok && t.External() != nil) {
			return nil
		}
	}
	in := make([]onnx.Value, n.NumInputs())
	for i := range in {
		in[i] = n.In(i).Const
	}
	k, err := n.Build(nil)
	if err != nil {
		return nil
	}
	limits := f.limits
	limits.RunBytes = foldBytes
	if most := f.limits.RunBytes; most > 0 {
		limits.RunBytes = min(most, foldBytes)
	}
	values, err := ops.Exec(f.ctx, n, k, in, limits)
	if err != nil {
		return nil
	}
	for i, name := range n.Proto.Outputs {
		if _, ok := values[i].(*onnx.Tensor); name != "" && !ok {
			return nil // sequences have no initializers
		}
	}
	return values
}

// taken gives the branch that an If takes, nil when that is not known.
func (f *folder) taken(n *onnx.Node, scope *ops.Scope) *onnx.Graph {
	if n.OpType != "If" || n.Domain != "" || len(n.Inputs) != 1 {
		return nil
	}
	info, _ := scope.Lookup(n.Inputs[0])
	cond, err := onnx.Data[bool](info.Const)
	if err != nil || len(cond) != 1 {
		return nil
	}
	name := "else_branch"
	if cond[0] {
		name = "then_branch"
	}
	a := n.Attr(name)
	if a == nil || a.Graph == nil || len(a.Graph.Outputs) < len(n.Outputs) {
		return nil
	}
	return a.Graph
}

// splice gives the nodes of a branch to stand for its If in g; the branch's
// initializers become g's. Values get fresh names, for branches and the graph
// around may use the same ones.
func (f *folder) splice(g *onnx.Graph, n *onnx.Node, branch *onnx.Graph, scope *ops.Scope) ([]*onnx.Node, error) {
	prefix := brief.Name(n.Label())
	names := map[string]string{}
	for name := range branch.Defined() {
		names[name] = f.fresh(prefix + "/" + name)
	}
	for _, init := range branch.Initializers {
		c := *init
		c.Name = names[init.Name]
		g.Initializers = append(g.Initializers, &c)
		scope.Set(c.Name, ops.ConstInfo(c.Tensor))
	}
	for _, init := range branch.SparseInitializers {
		c := *init
		c.Name = names[init.Name]
		g.SparseInitializers = append(g.SparseInitializers, &c)
		scope.Set(c.Name, ops.ConstInfo(c.Tensor))
	}
	nodes, err := onnx.Sort(branch)
	if err != nil {
		return nil, err
	}
	rename(nodes, names)
	for i, o := range n.Outputs {
		if o == "" {
			continue
		}
		from := branch.Outputs[i].Name
		if r, ok := names[from]; ok {
			from = r
		}
		nodes = append(nodes, &onnx.Node{Name: f.fresh(prefix + "/output"), OpType: "Identity", Inputs: []string{from}, Outputs: []string{o}, Opset: n.Opset})
	}
	return nodes, nil
}
