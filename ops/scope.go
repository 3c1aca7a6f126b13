package ops

import (
	"errors"
	"slices"

	"github.com/recur-ml/recur/onnx"
)

// Analysis is what the scopes of one model share.
type Analysis struct {
	Registry *Registry
	Opsets   map[string]int // imported versions by domain, "" for ai.onnx
	Limits   onnx.Limits
	Level    Level // of the kernels that are built
	// HalfWeights rounds constant recurrent weights of nodes that compute in
	// float32 to float16, those that multiply a state, where all of them are
	// numbers in its range.
	HalfWeights bool
	// Pack, when it is not nil, is given what brings the constant operands of
	// the model's own graph into the layouts of its kernels: to be called by any
	// goroutine, at any time or never. A kernel that needs one does it itself.
	Pack func(pack func())
	// Overridable says that an initializer that is also an input of the model
	// is only that input's default (from IR version 4 on), not a constant.
	Overridable bool
	// Planning keeps the nodes of branches, which are built after they have been
	// inferred with their If.
	Planning  bool
	visits    int // nodes inferred so far, repeated visits of bodies included
	maxVisits int
	types     []onnx.Type // of the inputs of the node that is checked
	spare     []*Node     // that nobody uses any more
}

// NewAnalysis prepares the inference of a model.
func NewAnalysis(r *Registry, m *onnx.Model, limits onnx.Limits) *Analysis {
	a := &Analysis{Registry: r, Opsets: map[string]int{}, Limits: limits.WithDefaults()}
	a.Overridable = m.IRVersion >= 4
	n := min(countNodes(m.Graph), visitsMost)
	a.maxVisits = min(visitsBase+visitsPerNode*n, visitsMost+visitsPerNodeOfMany*n)
	for _, imp := range m.OpsetImports {
		a.Opsets[imp.Domain] = int(imp.Version)
	}
	return a
}

// The work of inference is bounded in relation to the nodes of a model: a body
// is inferred several times, and bodies nest. Large models have few nodes that
// stand deep.
const (
	visitsBase          = 100_000
	visitsPerNode       = 1000
	visitsMost          = 2_000_000
	visitsPerNodeOfMany = 30
)

func countNodes(g *onnx.Graph) int {
	n := len(g.Nodes)
	for _, p := range g.Nodes {
		for _, sub := range p.Subgraphs() {
			n += countNodes(sub)
		}
	}
	return n
}

// Scope holds what is known of the values of a graph: of its own, and by
// looking outward, of those that it captures.
type Scope struct {
	analysis *Analysis
	outer    *Scope
	infos    map[string]Info
	branches map[*onnx.Graph]*Scope // of graphs without inputs that were inferred within
	given    map[*onnx.Graph]*Scope // of such graphs, for the inference of their nodes
	nodes    []*Node                // with Analysis.Planning: of a branch, those that Node gives again
}

// SetBranch gives what is known in a graph without inputs, every node of which
// was inferred, for the next inference here of the node that it belongs to.
func (s *Scope) SetBranch(g *onnx.Graph, inner *Scope) {
	if s.given == nil {
		s.given = map[*onnx.Graph]*Scope{}
	}
	s.given[g] = inner
}

// Branch gives the scope of a graph without inputs, the branch of an If, as it was
// when the node was inferred here, nil when it was not or did not go well. It is
// given once: whoever has it may record more in it.
func (s *Scope) Branch(g *onnx.Graph) *Scope {
	inner := s.branches[g]
	delete(s.branches, g)
	return inner
}

// NewScope makes the scope of a graph within outer, nil for the model's own.
func (a *Analysis) NewScope(outer *Scope) *Scope {
	return &Scope{analysis: a, outer: outer, infos: map[string]Info{}}
}

// Lookup finds what is known of a value, here or further out.
func (s *Scope) Lookup(name string) (Info, bool) {
	for ; s != nil; s = s.outer {
		if info, ok := s.infos[name]; ok {
			return info, true
		}
	}
	return Info{}, false
}

// Set records what is known of a value of this graph.
func (s *Scope) Set(name string, info Info) { s.infos[name] = info }

// Enter records a graph's initializers, and its inputs: as given, or where in
// is nil or knows nothing, as declared.
func (s *Scope) Enter(g *onnx.Graph, in []Info) {
	if len(s.infos) == 0 { // one piece of memory, also for what the nodes give
		s.infos = make(map[string]Info, len(g.Inputs)+len(g.Initializers)+len(g.SparseInitializers)+len(g.Nodes))
	}
	for _, init := range g.Initializers {
		s.Set(init.Name, ConstInfo(init.Tensor))
	}
	for _, init := range g.SparseInitializers {
		s.Set(init.Name, ConstInfo(init.Tensor))
	}
	for i, v := range g.Inputs {
		if i < len(in) && in[i].Type.Known() {
			s.Set(v.Name, in[i])
		} else if def, ok := s.infos[v.Name]; !ok || in != nil {
			s.Set(v.Name, Info{Type: declaredType(v.Type)})
		} else if s.outer == nil && s.analysis.Overridable {
			// What is given in the default's place may have another shape.
			t := declaredType(v.Type)
			if !t.Known() {
				t = onnx.Type{Kind: def.Type.Kind, Elem: def.Type.Elem, Of: def.Type.Of}
			}
			s.Set(v.Name, Info{Type: t})
		}
	}
}

// declaredType is what a declaration binds a value to. The shapes that it gives
// for the elements of a sequence or an optional are left out: elements may
// differ in their sizes, also where the declaration gives these one name.
func declaredType(t onnx.Type) onnx.Type {
	if t.Of != nil {
		of := withoutShapes(*t.Of)
		t.Of = &of
	}
	return t
}

// ConstInfo is everything about a constant.
func ConstInfo(v onnx.Value) Info {
	return Info{Type: v.Type(), Const: v}
}

// Node finds a node's operator, infers its outputs and records them. On an
// error they are recorded as unknown. A node of a branch that was inferred with
// its If is given as it was then.
func (s *Scope) Node(p *onnx.Node) (*Node, error) {
	if len(s.nodes) > 0 && s.nodes[0].Proto == p {
		n := s.nodes[0]
		s.nodes = s.nodes[1:]
		return n, nil
	}
	n, err := s.infer(p)
	if err != nil {
		for _, o := range p.Outputs {
			if o != "" {
				s.Set(o, Info{})
			}
		}
		return nil, err
	}
	for i, o := range p.Outputs {
		if o != "" {
			s.Set(o, n.out[i])
		}
	}
	return n, nil
}

func (s *Scope) infer(p *onnx.Node) (*Node, error) {
	a := s.analysis
	if a.visits++; a.visits > a.maxVisits && a.maxVisits > 0 {
		return nil, &onnx.LimitError{What: "nodes visited by inference", Got: int64(a.visits), Max: int64(a.maxVisits), Where: p.Describe(0)}
	}
	op, since, opset, err := s.operator(p)
	if err != nil {
		return nil, err
	}
	n := a.newNode(len(p.Inputs), len(p.Outputs))
	n.Op, n.Since, n.Opset, n.Proto, n.scope = op, since, opset, p, s
	if n.schema = op.Schema; n.schema == nil {
		n.schema = onnx.LookupSchema(p.Domain, p.OpType, opset)
	}
	for i, name := range p.Inputs {
		if name == "" {
			continue
		}
		info, ok := s.Lookup(name)
		if !ok {
			return nil, onnx.Errorf(onnx.ErrMalformed, "input %d, %q: no such value", i, name)
		}
		n.in[i] = info
	}
	if err := n.checkTypes(); err != nil {
		return nil, err
	}
	if err := op.Infer(n); err != nil {
		return nil, err
	}
	return n, n.err
}

// newNode makes a node, or uses one that was released.
func (a *Analysis) newNode(in, out int) *Node {
	var n *Node
	if last := len(a.spare) - 1; last >= 0 {
		n, a.spare = a.spare[last], a.spare[:last]
	} else {
		n = &Node{}
	}
	if cap(n.infos) < in+out {
		n.infos = make([]Info, in+out)
	}
	n.infos = n.infos[:in+out]
	n.in, n.out = n.infos[:in:in], n.infos[in:]
	return n
}

// Release takes a node back that Node gave: whoever calls it uses it no more. n
// may be nil.
func (s *Scope) Release(n *Node) {
	if n == nil {
		return
	}
	clear(n.infos)
	*n = Node{infos: n.infos}
	s.analysis.spare = append(s.analysis.spare, n)
}

// operator finds the row that serves a node.
func (s *Scope) operator(p *onnx.Node) (op *Op, since, opset int, err error) {
	if opset = int(p.Opset); opset == 0 {
		opset = s.analysis.Opsets[p.Domain]
	}
	if opset == 0 {
		return nil, 0, 0, onnx.Errorf(onnx.ErrUnsupported, "domain %q is not imported by the model", domainName(p.Domain))
	}
	op, since, err = s.analysis.Registry.Lookup(p.Domain, p.OpType, opset)
	return op, since, opset, err
}

// HasOperator reports whether there is a row for a node's operator, whatever
// is known of its inputs.
func (s *Scope) HasOperator(p *onnx.Node) bool {
	_, _, _, err := s.operator(p)
	return err == nil
}

// checkTypes holds the inputs' types against the schema and the row.
func (n *Node) checkTypes() error {
	if n.schema != nil {
		if len(n.in) < n.schema.MinInputs || len(n.in) > n.schema.MaxInputs {
			return onnx.Errorf(onnx.ErrMalformed, "%d inputs, want %d..%d", len(n.in), n.schema.MinInputs, n.schema.MaxInputs)
		}
		a := n.scope.analysis
		types := a.types[:0]
		for i := range n.in {
			types = append(types, n.in[i].Type)
		}
		a.types = types
		if err := n.schema.BindTypes(types); err != nil {
			return err
		}
		for i, f := range n.schema.Inputs {
			if f.Option == onnx.Single && (i >= len(n.in) || n.Proto.Inputs[i] == "") {
				return onnx.Errorf(onnx.ErrMalformed, "input %s is missing", f.Name)
			}
		}
	}
	if n.Op.Types != nil && len(n.in) > 0 && n.in[0].Type.Elem != onnx.Undefined {
		for _, d := range n.Op.Types {
			if d == n.in[0].Type.Elem {
				return nil
			}
		}
		return onnx.Errorf(onnx.ErrUnsupported, "element type %v (there are kernels for %v)", n.in[0].Type.Elem, n.Op.Types)
	}
	return nil
}

// Build makes the node's kernel. compile, which may be nil, is called for each
// graph attribute. An error matches onnx.ErrUnsupported when something that is
// set would not be honoured.
func (n *Node) Build(compile CompileBody) (Kernel, error) {
	n.building, n.compile = true, compile
	attrs, in := len(n.Proto.Attributes), len(n.in)
	seen := make([]bool, attrs+in+len(n.out))
	n.seenAttr, n.seenIn, n.seenOut = seen[:attrs], seen[attrs:attrs+in], seen[attrs+in:]
	for i := range n.seenIn {
		n.seenIn[i] = !n.optional(i, true)
	}
	for i := range n.seenOut {
		n.seenOut[i] = !n.optional(i, false)
	}
	k, err := n.Op.Build(n)
	n.building = false
	if err = errors.Join(n.err, err); err != nil {
		if n.err != nil {
			err = n.err
		}
		return nil, err
	}
	if k == nil {
		return nil, onnx.Errorf(onnx.ErrUnsupported, "its Build gives no kernel")
	}
	return k, n.unread()
}

// AlignConstants brings constant inputs that lie unaligned in a file to where
// they are aligned, for kernels that read them in each run: at other addresses
// that is slower. Those that the kernel has packed stay where they are. It is to
// be called after Build.
func (n *Node) AlignConstants() {
	for i := range n.in {
		if t := n.in[i].Tensor(); t != nil && t.External() == nil && !slices.Contains(n.packedOf, t) {
			t.Bytes()
		}
	}
}

// optional reports whether a position's formal is optional, so that a Build
// must ask for it. Without a schema every input counts as given.
func (n *Node) optional(i int, input bool) bool {
	if n.schema == nil {
		return false
	}
	list := n.schema.Outputs
	if input {
		list = n.schema.Inputs
	}
	return i < len(list) && list[i].Option == onnx.OptionalFormal
}

// inferBody infers a nested graph for inputs of which the given is known.
// Nodes that have no operator leave their outputs unknown: compiling the body
// reports them.
func (s *Scope) inferBody(g *onnx.Graph, in []Info) ([]Info, error) {
	inner := s.given[g]
	if inner != nil {
		delete(s.given, g)
	} else {
		inner = s.analysis.NewScope(s)
		if err := inner.inferGraph(g, in); err != nil {
			return nil, err
		}
	}
	if len(g.Inputs) == 0 {
		if s.branches == nil {
			s.branches = map[*onnx.Graph]*Scope{}
		}
		s.branches[g] = inner
	}
	return inner.Outputs(g)
}

func (s *Scope) inferGraph(g *onnx.Graph, in []Info) error {
	s.Enter(g, in)
	protos, err := onnx.Sort(g)
	if err != nil {
		return err
	}
	var nodes []*Node
	keep := s.analysis.Planning && len(g.Inputs) == 0
	for _, p := range protos {
		n, err := s.Node(p)
		if err != nil && !errors.Is(err, onnx.ErrUnsupported) {
			return NodeError(p, 0, err)
		}
		if !keep {
			s.Release(n)
		} else if err == nil {
			nodes = append(nodes, n)
		}
	}
	s.nodes = nodes
	return nil
}

// Outputs gives what is known of a graph's outputs.
func (s *Scope) Outputs(g *onnx.Graph) ([]Info, error) {
	out := make([]Info, len(g.Outputs))
	for i, o := range g.Outputs {
		info, ok := s.Lookup(o.Name)
		if !ok {
			return nil, onnx.Errorf(onnx.ErrMalformed, "graph output %q: no such value", o.Name)
		}
		out[i] = info
	}
	return out, nil
}

// NodeError puts the node's name before an error; since is its operator's
// version, 0 if it is not known.
func NodeError(p *onnx.Node, since int, err error) error {
	return &nodeError{p.Describe(since), err}
}

type nodeError struct {
	name string
	err  error
}

func (e *nodeError) Error() string { return e.name + ": " + e.err.Error() }
func (e *nodeError) Unwrap() error { return e.err }
