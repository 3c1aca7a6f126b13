package runtime

import (
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/rewrite"
)

// StatePair is a state that a model hands to its next call: what comes out of
// Output goes into Input.
type StatePair = rewrite.Pair

// ErrAmbiguous is matched by an error of StatePairs and Stream about states of
// which more than one pairing is possible; it lists them.
var ErrAmbiguous = rewrite.ErrAmbiguous

// StatePairs lists the states that the model takes and gives, as found by the
// topology of its graph: see [rewrite.FindPairs]. There are none where the
// model keeps its state to itself; [rewrite.ExposeState] changes that. An
// error matches ErrAmbiguous.
func (s *Session) StatePairs() (pairs []StatePair, err error) {
	if s.model == nil {
		return nil, ErrClosed
	}
	defer contain(&err, func() string { return "state pairs" })
	types := make([]onnx.Type, len(s.outputs))
	for i := range types {
		types[i] = s.outputType(i)
	}
	pairs, err = rewrite.FindPairs(s.model, types)
	return pairs, withPath(s.model.Path, err)
}

// outputType gives what is known of an output: what was inferred, and what the
// model declares where that says more.
func (s *Session) outputType(i int) onnx.Type {
	declared := s.outputs[i].Type
	t := s.inferred(s.prog.outputs[i])
	if !t.Known() || t.Elem == onnx.Undefined {
		return declared
	}
	if !t.Shape.Ranked() {
		t.Shape = declared.Shape
	}
	if len(t.Shape) != len(declared.Shape) {
		return t
	}
	t.Shape = t.Shape.Clone()
	for axis, d := range t.Shape {
		if !d.Known() && d.Name == "" {
			t.Shape[axis] = declared.Shape[axis]
		}
	}
	return t
}

// inferred gives what load knew of the value in a slot of the model's graph.
func (s *Session) inferred(slot int) onnx.Type {
	for i := range s.prog.steps {
		for k, out := range s.prog.steps[i].out {
			if out == slot {
				return s.prog.steps[i].types[k]
			}
		}
	}
	for i := range s.params {
		if s.params[i].slot == slot {
			return s.params[i].Type
		}
	}
	return onnx.Type{}
}
