package rewrite

import (
	"hash/maphash"
	"math"
	"math/bits"
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// facts is what is known of the values of a graph and of those around it.
type facts struct {
	scope  *ops.Scope
	makers map[string]*onnx.Node
	outer  *facts
	of     uint64 // the fingerprint of the graph
}

// factsOf infers a graph, unless that was done before and nothing has changed
// since. The nodes are brought into order.
func (s *state) factsOf(a *ops.Analysis, g *onnx.Graph, outer *facts) (*facts, error) {
	of := s.fingerprint(g)
	if f := s.factsOfGraphs[g]; f != nil && f.outer == outer && f.of == of {
		return f, nil
	}
	nodes, err := onnx.Sort(g)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(nodes, g.Nodes) {
		g.Nodes = nodes
		of = s.fingerprint(g)
	}
	f := &facts{makers: producers(g), outer: outer, of: of}
	if outer == nil {
		f.infer(a.NewScope(nil), g)
	} else if f.scope = outer.scope.Branch(g); f.scope == nil {
		f.infer(a.NewScope(outer.scope), g)
	}
	s.factsOfGraphs[g] = f
	return f, nil
}

// infer fills the scope of a graph. Of the inputs of a body the shapes are left
// open: a loop may change those that it declares.
func (f *facts) infer(scope *ops.Scope, g *onnx.Graph) {
	f.scope = scope
	scope.Enter(g, nil)
	if f.outer != nil {
		for _, v := range g.Inputs {
			scope.Set(v.Name, ops.Info{Type: onnx.Type{Kind: v.Type.Kind, Elem: v.Type.Elem}})
		}
	}
	for _, n := range g.Nodes {
		node, _ := scope.Node(n) // what cannot be inferred is not known
		scope.Release(node)
	}
}

// fingerprint is a number that another graph has too with a chance of about 2^-64:
// it depends on everything that inference reads of a graph and of those within.
func (s *state) fingerprint(g *onnx.Graph) uint64 {
	h := fingerprinter{seed: s.seed, keys: [2]uint64{maphash.String(s.seed, "0"), maphash.String(s.seed, "1") | 1}}
	for _, imp := range s.model.OpsetImports {
		h.text(imp.Domain)
		h.number(uint64(imp.Version))
	}
	h.graph(g)
	return h.sum
}

// fingerprinter hashes numbers one after the other, with keys that nobody knows.
type fingerprinter struct {
	seed maphash.Seed
	keys [2]uint64
	sum  uint64
}

func (h *fingerprinter) number(v uint64) {
	high, low := bits.Mul64(h.sum^v^h.keys[0], h.keys[1])
	h.sum = high ^ low
}

func (h *fingerprinter) text(s string) { h.number(maphash.String(h.seed, s)) }

func (h *fingerprinter) texts(list []string) {
	h.number(uint64(len(list)))
	for _, s := range list {
		h.text(s)
	}
}

// graph adds a graph. Tensors count by where they are: facts hold on to them, so
// that no other comes to be there.
func (h *fingerprinter) graph(g *onnx.Graph) {
	h.number(uint64(len(g.Inputs)))
	for _, v := range g.Inputs {
		h.text(v.Name)
		h.typ(&v.Type)
	}
	h.number(uint64(len(g.Initializers)))
	for _, i := range g.Initializers {
		h.text(i.Name)
		h.number(maphash.Comparable(h.seed, i.Tensor))
	}
	h.number(uint64(len(g.SparseInitializers)))
	for _, i := range g.SparseInitializers {
		h.text(i.Name)
		h.number(maphash.Comparable(h.seed, i.Tensor))
	}
	h.number(uint64(len(g.Outputs)))
	for _, v := range g.Outputs {
		h.text(v.Name)
	}
	h.number(uint64(len(g.Nodes)))
	for _, n := range g.Nodes {
		h.text(n.OpType)
		h.text(n.Domain)
		h.number(uint64(n.Opset))
		h.texts(n.Inputs)
		h.texts(n.Outputs)
		h.number(uint64(len(n.Attributes)))
		for _, a := range n.Attributes {
			h.attribute(a)
		}
	}
}

func (h *fingerprinter) attribute(a *onnx.Attribute) {
	h.text(a.Name)
	h.number(uint64(a.Type))
	switch a.Type {
	case onnx.AttrFloat:
		h.number(uint64(math.Float32bits(a.Float)))
	case onnx.AttrInt:
		h.number(uint64(a.Int))
	case onnx.AttrString:
		h.text(a.String)
	case onnx.AttrInts:
		h.number(uint64(len(a.Ints)))
		for _, v := range a.Ints {
			h.number(uint64(v))
		}
	case onnx.AttrFloats:
		h.number(uint64(len(a.Floats)))
		for _, v := range a.Floats {
			h.number(uint64(math.Float32bits(v)))
		}
	case onnx.AttrStrings:
		h.texts(a.Strings)
	case onnx.AttrTensor:
		h.number(maphash.Comparable(h.seed, a.Tensor))
	case onnx.AttrGraph:
		h.graph(a.Graph)
	case onnx.AttrGraphs:
		h.number(uint64(len(a.Graphs)))
		for _, g := range a.Graphs {
			h.graph(g)
		}
	default: // of which no pass changes the contents
		h.number(maphash.Comparable(h.seed, a))
	}
}

func (h *fingerprinter) typ(t *onnx.Type) {
	h.number(uint64(t.Kind))
	h.number(uint64(t.Elem))
	h.number(uint64(len(t.Shape)))
	if t.Shape == nil {
		h.number(1)
	}
	for _, d := range t.Shape {
		h.number(uint64(d.Value))
		h.text(d.Name)
	}
	if t.Of != nil {
		h.typ(t.Of)
	}
}

func (f *facts) info(name string) ops.Info {
	info, _ := f.scope.Lookup(name)
	return info
}

func (f *facts) typeOf(name string) onnx.Type { return f.info(name).Type }

// shapeOf is the shape of a value as far as it is known; of one whose rank
// shows by how its axes are moved, that of a column too.
func (f *facts) shapeOf(name string) onnx.Shape {
	s := f.typeOf(name).Shape
	n := f.maker(name)
	if n == nil || n.Domain != "" || n.OpType != "Transpose" {
		return s
	}
	p := n.Attr("perm")
	last := func(k int) bool { return p.Ints[k] == int64(len(p.Ints)-1) }
	if p == nil || s != nil && len(s) != len(p.Ints) {
		return s
	}
	u := f.maker(n.Inputs[0])
	if u == nil || u.Domain != "" || u.OpType != "Unsqueeze" || !slices.Equal(f.axesOf(u), []int64{-1}) {
		return s
	}
	if s = s.Clone(); s == nil {
		s = make(onnx.Shape, len(p.Ints))
		for i := range s {
			s[i] = onnx.UnknownDim
		}
	}
	for i := range s {
		if last(i) {
			s[i] = onnx.Fixed(1)
		}
	}
	return s
}

// constant gives a value that is a constant tensor.
func (f *facts) constant(name string) *view {
	t := f.info(name).Tensor()
	if t == nil || t.External() != nil || t.DataType() == onnx.String {
		return nil
	}
	return viewOf(name, t)
}

func (f *facts) maker(name string) *onnx.Node {
	for ; f != nil; f = f.outer {
		if n := f.makers[name]; n != nil {
			return n
		}
	}
	return nil
}

// zero reports whether a value is certainly 0 everywhere.
func (f *facts) zero(name string) bool { return f.zeroWithin(name, new(int)) }

// zeroWithin looks at a bounded number of values.
func (f *facts) zeroWithin(name string, looked *int) bool {
	for ; *looked < 100; *looked++ {
		if k := f.constant(name); k != nil {
			switch k.tensor.DataType() {
			case onnx.Float, onnx.Double, onnx.Float16, onnx.BFloat16:
				return k.zero()
			}
			return false
		}
		n := f.maker(name)
		if n == nil || n.Domain != "" {
			return false
		}
		switch n.OpType {
		case "ConstantOfShape":
			a := n.Attr("value")
			if a == nil || a.Tensor == nil {
				return true
			}
			t := a.Tensor
			return t.Len() == 1 && t.External() == nil && (t.DataType() == onnx.Float && onnx.Elements[float32](t)[0] == 0 ||
				t.DataType() == onnx.Double && onnx.Elements[float64](t)[0] == 0)
		case "Concat":
			for _, in := range n.Inputs[1:] {
				if *looked++; !f.zeroWithin(in, looked) {
					return false
				}
			}
		case "Expand", "Identity", "Unsqueeze", "Squeeze", "Reshape", "Transpose", "Tile", "Slice", "Cast", "Gather", "Flatten":
		default:
			return false
		}
		name = n.Inputs[0]
	}
	return false
}
