package main

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// randomInputs fills in the inputs that values lacks. Equal seeds give equal
// values whatever else is given: floating-point elements in [-1, 1), integers
// in [0, 4), and for the lengths of a recurrent operator full ones.
func randomInputs(m *onnx.Model, inputs []onnx.ValueInfo, values onnx.Values, shapes *shapeFlags, seed uint64, limits onnx.Limits) error {
	given := map[string]bool{}
	for _, info := range inputs {
		if v := values[info.Name]; v != nil {
			shapes.learn(info, v)
			given[info.Name] = true
		}
	}
	for _, info := range inputs {
		if values[info.Name] != nil {
			continue
		}
		v, err := randomValue(info, info.Type, shapes, stream(seed, info.Name))
		if err != nil {
			return fmt.Errorf("input %q: %w", info.Name, err)
		}
		values[info.Name] = v
	}
	return fullLengths(m, given, values, limits)
}

// stream gives the uniform numbers of one input.
func stream(seed uint64, name string) func() float64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64())).Float64
}

func randomValue(info onnx.ValueInfo, t onnx.Type, shapes *shapeFlags, uniform func() float64) (onnx.Value, error) {
	switch t.Kind {
	case onnx.KindTensor:
		shape, err := shapes.of(info, t.Shape)
		if err != nil {
			return nil, err
		}
		e, err := elementsOf(t.Elem)
		if err != nil {
			return nil, err
		}
		if err := affordable(shape, t.Elem); err != nil {
			return nil, err
		}
		return e.draw(shape, uniform)
	case onnx.KindSequence:
		seq := &onnx.Sequence{Elem: elemOf(t)}
		for range 2 {
			v, err := randomValue(info, seq.Elem, shapes, uniform)
			if err != nil {
				return nil, err
			}
			seq.Items = append(seq.Items, v)
		}
		return seq, nil
	case onnx.KindOptional:
		v, err := randomValue(info, elemOf(t), shapes, uniform)
		return &onnx.Optional{Elem: elemOf(t), Value: v}, err
	}
	return nil, onnx.Errorf(onnx.ErrType, "there are no random values of type %s; give it with -i", t.Name())
}

// affordable holds a tensor's size against the memory that a run may take.
func affordable(shape []int, elem onnx.DataType) error {
	n, err := onnx.NumElements(shape)
	if err != nil {
		return err
	}
	size, most := int64(max(elem.Size(), 1)), rt.DefaultRunBytes()
	if int64(n) > most/size {
		return &onnx.LimitError{What: "random elements", Got: int64(n), Max: most / size}
	}
	return nil
}

// unknownLengths is the error about lengths that cannot be made.
func unknownLengths(input string) error {
	return hintf("input %q: the number of time steps is not known before a run; give the lengths with -i", input)
}

// fullLengths gives each input that is the sequence_lens of a recurrent
// operator, and is not given, the number of time steps for every row.
func fullLengths(m *onnx.Model, given map[string]bool, values onnx.Values, limits onnx.Limits) error {
	types := map[string]onnx.Type{}
	for name, v := range values {
		types[name] = v.Type()
	}
	scope := analyse(m, limits, types)
	for _, n := range m.Graph.Nodes {
		if !isRecurrent(n) || len(n.Inputs) < 5 {
			continue
		}
		name := n.Inputs[4]
		old, ok := values[name].(*onnx.Tensor)
		if !ok || given[name] || old.DataType() != onnx.Int32 {
			continue
		}
		x, _ := scope.Lookup(n.Inputs[0])
		if len(x.Type.Shape) != 3 {
			return unknownLengths(name)
		}
		steps, batch := x.Type.Shape[0], x.Type.Shape[1]
		if a := n.Attr("layout"); a != nil && a.Int == 1 {
			steps, batch = batch, steps
		}
		if !steps.Known() || !batch.Known() {
			return unknownLengths(name)
		}
		lengths := make([]int32, batch.Value)
		for i := range lengths {
			lengths[i] = int32(steps.Value)
		}
		t, err := onnx.NewTensor([]int{batch.Value}, lengths)
		if err != nil {
			return err
		}
		values[name] = t
	}
	return nil
}
