package ops

import (
	"math"
	"slices"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "If", Since: []int{1, 11, 13, 16, 19, 21, 23, 24, 25}, Infer: inferIf, Build: buildIf},
		Op{Name: "Loop", Since: []int{1, 11, 13, 16, 19, 21, 23, 24, 25}, Infer: inferLoop, Build: buildLoop},
	)
}

// mergeTypes gives what is certain of a value that has one type or the other.
// Kinds and element types must agree where both are known.
func mergeTypes(a, b onnx.Type) (onnx.Type, error) {
	if !a.Known() || !b.Known() {
		return onnx.Type{}, nil
	}
	if a.Kind != b.Kind || a.Elem != b.Elem && a.Elem != onnx.Undefined && b.Elem != onnx.Undefined {
		return onnx.Type{}, onnx.Errorf(onnx.ErrType, "%s against %s", a.Name(), b.Name())
	}
	out := onnx.Type{Kind: a.Kind, Elem: a.Elem}
	if out.Elem == onnx.Undefined {
		out.Elem = b.Elem
	}
	if a.Of != nil && b.Of != nil {
		of, err := mergeTypes(*a.Of, *b.Of)
		if err != nil {
			return onnx.Type{}, err
		}
		out.Of = &of
	}
	out.Shape = mergeShapes(a.Shape, b.Shape)
	return out, nil
}

// mergeShapes keeps the dimensions that are the same in both shapes.
func mergeShapes(a, b onnx.Shape) onnx.Shape {
	if !a.Ranked() || !b.Ranked() || len(a) != len(b) {
		return nil
	}
	out := a.Clone()
	for i := range out {
		if !out[i].Same(b[i]) {
			out[i] = onnx.UnknownDim
		}
	}
	return out
}

func inferIf(n *Node) error {
	then, err := n.InferBody("then_branch", nil)
	if err != nil {
		return err
	}
	other, err := n.InferBody("else_branch", nil)
	if err != nil {
		return err
	}
	if len(then) != len(other) || n.NumOutputs() > len(then) {
		return onnx.Errorf(onnx.ErrMalformed, "the node has %d outputs, then_branch %d, else_branch %d", n.NumOutputs(), len(then), len(other))
	}
	for i := range n.NumOutputs() {
		t, err := mergeTypes(then[i].Type, other[i].Type)
		if err != nil {
			return onnx.Errorf(onnx.ErrType, "output %d of the branches differs: %v", i, err)
		}
		n.Set(i, t)
	}
	return nil
}

func buildIf(n *Node) (Kernel, error) {
	for _, branch := range []string{"then_branch", "else_branch"} {
		if err := n.Body(branch, nil); err != nil {
			return nil, err
		}
	}
	return KernelFunc(runIf), nil
}

func runIf(c *Ctx, in, out []onnx.Value) error {
	cond, err := scalarOf[bool](in[0], "cond")
	if err != nil {
		return err
	}
	name := "else_branch"
	if cond {
		name = "then_branch"
	}
	body := c.Body(name)
	r := body.Results(0)
	if err := body.Run(nil, r); err != nil {
		return err
	}
	copy(out, r.Values)
	return nil
}

// The body of a Loop: inputs (iteration, condition, states...), outputs
// (condition, states..., scans...).

// loopBody infers the body of a loop whose states feed back: what is claimed
// of a state holds before the first and after every iteration. before and
// after are the body's other inputs; firstOut is the place of the first state
// among the body's outputs.
func loopBody(n *Node, name string, before, states, after []Info, firstOut int) (in, out []Info, err error) {
	states = slices.Clone(states)
	for i := range states {
		states[i] = Info{Type: states[i].Type}
	}
	for round := 0; ; round++ {
		in = slices.Concat(before, states, after)
		if out, err = n.InferBody(name, in); err != nil {
			return nil, nil, err
		}
		if len(out) < firstOut+len(states) {
			return nil, nil, onnx.Errorf(onnx.ErrMalformed, "the body has %d outputs, want at least %d", len(out), firstOut+len(states))
		}
		stable := true
		for i := range states {
			was, is := states[i].Type, out[firstOut+i].Type
			if !is.Known() { // an operator that is missing: reported when the body is compiled
				continue
			}
			if wraps(was, is) {
				is = onnx.OptionalType(is)
			}
			t, err := mergeTypes(was, is)
			if err != nil {
				return nil, nil, onnx.Errorf(onnx.ErrType, "state %d enters an iteration and leaves it with different types: %v", i, err)
			}
			if sameType(t, was) {
				continue
			}
			if round >= 3 {
				t.Shape = nil
			}
			states[i].Type, stable = t, false
		}
		if stable {
			return in, out, nil
		}
	}
}

// wraps reports whether a state is an optional that the body, whose result is
// of type is, fills: its plain result is the optional's element.
func wraps(state, is onnx.Type) bool {
	return state.Kind == onnx.KindOptional && is.Known() && is.Kind != onnx.KindOptional
}

func sameType(a, b onnx.Type) bool {
	if a.Kind != b.Kind || a.Elem != b.Elem || (a.Shape == nil) != (b.Shape == nil) || len(a.Shape) != len(b.Shape) || (a.Of == nil) != (b.Of == nil) {
		return false
	}
	for i := range a.Shape {
		if a.Shape[i] != b.Shape[i] {
			return false
		}
	}
	return a.Of == nil || sameType(*a.Of, *b.Of)
}

// loopInfos infers a Loop's body and returns what is known of its inputs and
// outputs.
func loopInfos(n *Node) (in, out []Info, err error) {
	var states []Info
	for i := 2; i < n.NumInputs(); i++ {
		if !n.Has(i) {
			return nil, nil, onnx.Errorf(onnx.ErrMalformed, "the initial value of state %d is missing", i-2)
		}
		states = append(states, n.In(i))
	}
	before := []Info{
		{Type: onnx.TensorType(onnx.Int64, onnx.Shape{})},
		{Type: onnx.TensorType(onnx.Bool, onnx.Shape{})},
	}
	return loopBody(n, "body", before, states, nil, 1)
}

func inferLoop(n *Node) error {
	in, out, err := loopInfos(n)
	if err != nil {
		return err
	}
	if g := n.GraphAttr("body"); len(g.Inputs) != len(in) {
		return onnx.Errorf(onnx.ErrMalformed, "the body has %d inputs, want %d (iteration, condition, %d states)", len(g.Inputs), len(in), len(in)-2)
	}
	states := len(in) - 2
	if n.NumOutputs() > len(out)-1 {
		return onnx.Errorf(onnx.ErrMalformed, "the node has %d outputs, the body gives %d", n.NumOutputs(), len(out)-1)
	}
	for i := range n.NumOutputs() {
		if i < states {
			t := in[2+i].Type
			if is := out[1+i].Type; wraps(t, is) {
				if is = withoutShapes(is); t.Of != nil {
					is = *t.Of
				}
				t = is
			}
			n.Set(i, t)
			continue
		}
		t := out[1+i].Type
		if t.Known() && t.Kind != onnx.KindTensor {
			return onnx.Errorf(onnx.ErrType, "scan output %d is a %s, want a tensor", i-states, t.Name())
		}
		n.Set(i, stackedType(t, onnx.UnknownDim, 0))
	}
	return nil
}

// stackedType is the type of tensors of type t stacked along a new axis.
func stackedType(t onnx.Type, count onnx.Dim, axis int) onnx.Type {
	if !t.Known() || !t.Shape.Ranked() {
		return onnx.TensorType(t.Elem, nil)
	}
	return onnx.TensorType(t.Elem, slices.Insert(t.Shape.Clone(), axis, count))
}

func buildLoop(n *Node) (Kernel, error) {
	in, out, err := loopInfos(n)
	if err != nil {
		return nil, err
	}
	if err := n.Body("body", in); err != nil {
		return nil, err
	}
	n.Has(0)
	n.Has(1)
	states := len(in) - 2
	wrapped := make([]bool, states)
	for i := range wrapped {
		wrapped[i] = wraps(in[2+i].Type, out[1+i].Type)
	}
	return &loop{states: states, wrapped: wrapped, scans: len(out) - 1 - states, declared: n.GraphAttr("body").Outputs[1+states:]}, nil
}

// loop iterates while the trip count lasts and the condition holds, the
// input's first and then the body's. The specification's table has the body's
// condition ignored where the input is absent; every implementation heeds it,
// as here, and the exporters count on that.
type loop struct {
	states, scans int
	wrapped       []bool           // states that are optionals, where the body gives the element
	declared      []onnx.ValueInfo // of the scan outputs, by the body
}

// loopLocal is what a Loop keeps for a frame.
type loopLocal struct {
	iter, cond onnx.Tensor
	args       []onnx.Value
}

func (l *loopLocal) release() {
	Release(&l.iter)
	Release(&l.cond)
	clear(l.args)
}

func (l *loop) Run(c *Ctx, in, out []onnx.Value) error {
	trip := int64(math.MaxInt64)
	if in[0] != nil {
		m, err := scalarOf[int64](in[0], "M")
		if err != nil {
			return err
		}
		trip = m
	}
	going := true
	if len(in) > 1 && in[1] != nil {
		v, err := scalarOf[bool](in[1], "cond")
		if err != nil {
			return err
		}
		going = v
	}
	body := c.Body("body")
	loc := Local[loopLocal](c)
	defer loc.release()
	loc.args = append(loc.args[:0], nil, nil)
	loc.args = append(loc.args, in[min(2, len(in)):]...)
	clear(out)
	limit := c.Limits().LoopIterations
	done := int64(0)
	for ; done < trip && going; done++ {
		if done >= limit {
			return &onnx.LimitError{What: "loop iterations", Got: done + 1, Max: limit}
		}
		if err := c.Err(); err != nil {
			return err
		}
		if err := tempScalar(c, &loc.iter, onnx.Int64, done); err != nil {
			return err
		}
		if err := tempScalar(c, &loc.cond, onnx.Bool, going); err != nil {
			return err
		}
		loc.args[0], loc.args[1] = &loc.iter, &loc.cond
		r := body.Results(int(done & 1))
		if err := body.Run(loc.args, r); err != nil {
			return iterationError(done, err)
		}
		var err error
		if going, err = scalarOf[bool](r.Values[0], "the body's condition"); err != nil {
			return err
		}
		for i, v := range r.Values[1 : 1+l.states] {
			if l.wrapped[i] {
				v = &onnx.Optional{Elem: withoutShapes(v.Type()), Value: v}
			}
			loc.args[2+i] = v
		}
		for k := range l.scans {
			if !c.Wants(l.states + k) {
				continue
			}
			t, ok := r.Values[1+l.states+k].(*onnx.Tensor)
			if !ok {
				return onnx.Errorf(onnx.ErrType, "scan output %d is no tensor", k)
			}
			if err := c.Append(l.states+k, t, reserve(trip, done, in)); err != nil {
				return err
			}
		}
	}
	for i := range min(l.states, len(out)) {
		out[i] = loc.args[2+i]
		o, ok := out[i].(*onnx.Optional)
		if !ok || !l.wrapped[i] || !c.Wants(i) {
			continue
		}
		if out[i] = o.Value; o.Value == nil {
			return onnx.Errorf(onnx.ErrMalformed, "output %d: no iteration, and the initial value is an empty optional", i)
		}
	}
	if done == 0 {
		for k := range l.scans {
			if c.Wants(l.states + k) {
				if err := emptyStack(c, l.states+k, 0, l.declared[k].Type); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// reserve is how many iterations certainly follow: none where a condition may
// end the loop.
func reserve(trip, done int64, in []onnx.Value) int {
	if len(in) > 1 && in[1] != nil || trip == math.MaxInt64 || trip-done-1 > math.MaxInt32 {
		return 0
	}
	return int(trip - done - 1)
}

func tempScalar[T int64 | bool](c *Ctx, t *onnx.Tensor, d onnx.DataType, v T) error {
	if err := c.Temp(t, d, nil); err != nil {
		return err
	}
	onnx.Elements[T](t)[0] = v
	return nil
}

// emptyStack makes output i the stack of no tensors along an axis; declared is
// what the body declares of an element.
func emptyStack(c *Ctx, i int, axis int64, declared onnx.Type) error {
	t := c.OutType(i)
	var elem onnx.Shape
	if t.Shape.Ranked() {
		at, err := Axis(axis, len(t.Shape))
		if err != nil {
			return err
		}
		elem = slices.Delete(t.Shape.Clone(), at, at+1)
	}
	shape := unseenSizes(elem, declared.Shape)
	for int64(len(shape)) < max(axis, -axis-1) {
		shape = append(shape, 0) // nobody knows the rank: the least that has the axis
	}
	at, err := Axis(axis, len(shape)+1)
	if err != nil {
		return err
	}
	d, err := unseenType(t.Elem, declared.Elem, i)
	if err != nil {
		return err
	}
	_, err = c.New(i, d, slices.Insert(shape, at, 0))
	return err
}

// unseenSizes gives the shape of a value that no iteration made: what was
// inferred, else what is declared; what neither says counts as 0.
func unseenSizes(inferred, declared onnx.Shape) []int {
	if !inferred.Ranked() {
		inferred = onnx.UnknownShape(len(declared))
	}
	shape := make([]int, len(inferred))
	for k, d := range inferred {
		if !d.Known() && len(declared) == len(inferred) {
			d = declared[k]
		}
		shape[k] = max(d.Value, 0)
	}
	return shape
}

func unseenType(inferred, declared onnx.DataType, i int) (onnx.DataType, error) {
	if inferred == onnx.Undefined {
		inferred = declared
	}
	if inferred == onnx.Undefined {
		return inferred, onnx.Errorf(onnx.ErrType, "output %d: no iteration, and the element type is not known", i)
	}
	return inferred, nil
}

func iterationError(i int64, err error) error {
	return onnx.Errorf(err, "iteration %d: %v", i, err)
}
