package runtime

import (
	"math"
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// Estimate is what the plan says of the memory of a run. Weights and the
// caller's inputs are not in it, nor what kernels take for themselves.
type Estimate struct {
	// Peak is the greatest number of bytes that values take at a time, outputs
	// included. A run takes more where sizes are rounded up, and less where a
	// kernel overwrites an input that dies.
	Peak int64
	At   string // the node that runs then
	// Unknown counts the values whose size is not known before a run; they are
	// left out.
	Unknown int
}

// EstimateMemory estimates what a run takes for inputs of the given shapes by
// name; the others, and named dimensions that no shape tells, are as declared. A
// negative size is one that is not known. An error, which matches onnx.ErrShape
// most often, says that the model does not take such inputs.
func (s *Session) EstimateMemory(shapes map[string][]int) (Estimate, error) {
	if s.model == nil {
		return Estimate{}, ErrClosed
	}
	if err := s.checkShapes(shapes); err != nil {
		return Estimate{}, withPath(s.model.Path, err)
	}
	m := *s.model
	g := *m.Graph
	m.Graph = &g
	g.Inputs = slices.Clone(g.Inputs)
	sizes := map[string]onnx.Dim{}
	for _, v := range g.Inputs {
		shape, ok := shapes[v.Name]
		if !ok || len(shape) != len(v.Type.Shape) {
			continue
		}
		for i, d := range v.Type.Shape {
			if d.Name != "" && shape[i] >= 0 {
				sizes[d.Name] = onnx.Fixed(shape[i])
			}
		}
	}
	for i := range g.Inputs {
		v := &g.Inputs[i]
		if shape, ok := shapes[v.Name]; ok {
			v.Type.Shape = onnx.FixedShape(shape...)
			continue
		}
		v.Type.Shape = v.Type.Shape.Clone()
		for k, d := range v.Type.Shape {
			if known, ok := sizes[d.Name]; ok && d.Name != "" {
				v.Type.Shape[k] = known
			}
		}
	}
	prog, _, err := compile(&m, s.opts)
	if err != nil {
		return Estimate{}, err
	}
	var e Estimate
	e.Peak = e.walk(prog, 0, true)
	return e, nil
}

// checkShapes holds shapes of inputs against what the model declares.
func (s *Session) checkShapes(shapes map[string][]int) error {
	inputs := s.model.Graph.Inputs
	for name := range shapes {
		if !slices.ContainsFunc(inputs, func(v onnx.ValueInfo) bool { return v.Name == name }) {
			return onnx.Errorf(onnx.ErrShape, "input %q: no such input; the model has %s", name, quoted(inputs))
		}
	}
	sizes := map[string]int{}
	for _, v := range inputs {
		shape, ok := shapes[v.Name]
		if !ok || !v.Type.Shape.Ranked() {
			continue
		}
		good := len(shape) == len(v.Type.Shape)
		for i := 0; good && i < len(shape); i++ {
			d := v.Type.Shape[i]
			if shape[i] < 0 {
				continue
			}
			good = !d.Known() || d.Value == shape[i]
			if d.Known() || d.Name == "" {
				continue
			}
			if was, ok := sizes[d.Name]; ok && was != shape[i] {
				return onnx.Errorf(onnx.ErrShape, "input %q: shape %v, the model wants %v with %s = %d as in the inputs before", v.Name, shape, v.Type.Shape, d.Name, was)
			}
			sizes[d.Name] = shape[i]
		}
		if !good {
			return onnx.Errorf(onnx.ErrShape, "input %q: shape %v, the model wants %v", v.Name, shape, v.Type.Shape)
		}
	}
	return nil
}

// walk gives the most bytes that the values of a program take while others take
// outer.
func (e *Estimate) walk(p *program, outer int64, top bool) (peak int64) {
	sizes := make([]int64, p.slots)
	live := outer
	for i := range p.steps {
		s := &p.steps[i]
		during, made := live, int64(0)
		for k, slot := range s.out {
			if slot < 0 {
				continue
			}
			n, ok := bytesOf(s.types[k])
			if !ok {
				e.Unknown++
			}
			sizes[slot] = n
			made = saturated(made, n)
		}
		if !aliases(s.node) {
			during = saturated(live, made)
		}
		for _, b := range s.bodies {
			during = max(during, e.walk(b.prog, saturated(live, made), false))
		}
		if during > peak {
			if peak = during; top {
				e.At = s.node.Describe(s.since)
			}
		}
		live = saturated(live, made)
		for _, slot := range s.free {
			live -= sizes[slot]
		}
	}
	return max(peak, live)
}

// saturated adds numbers of bytes; sizes that a file chose may be absurd.
func saturated(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// aliases reports whether a node's output is its input in another shape.
func aliases(n *onnx.Node) bool {
	if n.Domain != "" {
		return false
	}
	switch n.OpType {
	case "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze":
		return true
	}
	return false
}

// bytesOf gives the size of a value in memory when it is known.
func bytesOf(t onnx.Type) (int64, bool) {
	dims, ok := t.Shape.Ints()
	if t.Kind != onnx.KindTensor || !t.Shape.Ranked() || !ok {
		return 0, false
	}
	n, err := ops.TensorBytes(t.Elem, dims)
	return int64(n), err == nil
}
