package ops

import "github.com/recur-ml/recur/onnx"

func init() {
	register(Op{Name: "SequenceMap", Since: []int{17}, Infer: inferSequenceMap, Build: buildSequenceMap})
}

// sequenceMapInfos infers the body for one element of each sequence; tensors
// are the same for all elements.
func sequenceMapInfos(n *Node) (in, out []Info, err error) {
	for i := range n.NumInputs() {
		if !n.Has(i) {
			return nil, nil, onnx.Errorf(onnx.ErrMalformed, "input %d is missing", i)
		}
		info := n.In(i)
		if i == 0 || info.Type.Kind == onnx.KindSequence {
			info = Info{Type: n.items(i)}
		}
		in = append(in, info)
	}
	g := n.GraphAttr("body")
	if err := n.Err(); err != nil {
		return nil, nil, err
	}
	if len(g.Inputs) != len(in) {
		return nil, nil, onnx.Errorf(onnx.ErrMalformed, "the body has %d inputs, the node %d", len(g.Inputs), len(in))
	}
	if n.NumOutputs() > len(g.Outputs) {
		return nil, nil, onnx.Errorf(onnx.ErrMalformed, "the node has %d outputs, the body %d", n.NumOutputs(), len(g.Outputs))
	}
	out, err = n.InferBody("body", in)
	return in, out, err
}

func inferSequenceMap(n *Node) error {
	_, out, err := sequenceMapInfos(n)
	if err != nil {
		return err
	}
	for i := range n.NumOutputs() {
		t := out[i].Type
		if t.Known() && t.Kind != onnx.KindTensor {
			return onnx.Errorf(onnx.ErrType, "output %d of the body is a %s, want a tensor", i, t.Name())
		}
		if !t.Known() {
			t = onnx.TensorType(onnx.Undefined, nil)
		}
		n.Set(i, onnx.SequenceType(t))
	}
	return nil
}

func buildSequenceMap(n *Node) (Kernel, error) {
	in, _, err := sequenceMapInfos(n)
	if err != nil {
		return nil, err
	}
	if err := n.Body("body", in); err != nil {
		return nil, err
	}
	return KernelFunc(runSequenceMap), nil
}

func runSequenceMap(c *Ctx, in, out []onnx.Value) error {
	first, err := sequenceOf(in[0], "input_sequence")
	if err != nil {
		return err
	}
	length := len(first.Items)
	for i, v := range in {
		if s, ok := v.(*onnx.Sequence); ok && len(s.Items) != length {
			return onnx.Errorf(onnx.ErrShape, "sequence input %d has %d elements, the first one %d", i, len(s.Items), length)
		}
	}
	if err := reserveItems(c, length); err != nil {
		return err
	}
	results := make([]*onnx.Sequence, len(out))
	for k := range results {
		results[k] = &onnx.Sequence{Items: make([]onnx.Value, 0, length)}
		if of := c.OutType(k).Of; of != nil {
			results[k].Elem = withoutShapes(*of)
		}
		out[k] = results[k]
	}
	args := make([]onnx.Value, len(in))
	body := c.Body("body")
	for j := range length {
		if err := c.Err(); err != nil {
			return err
		}
		for i, v := range in {
			args[i] = v
			if s, ok := v.(*onnx.Sequence); ok {
				args[i] = s.Items[j]
			}
		}
		r := body.Results(0)
		if err := body.Run(args, r); err != nil {
			return onnx.Errorf(err, "element %d: %v", j, err)
		}
		for k, s := range results {
			if !c.Wants(k) {
				continue
			}
			t, ok := r.Values[k].(*onnx.Tensor)
			if !ok {
				return onnx.Errorf(onnx.ErrType, "output %d of the body is no tensor", k)
			}
			if s.Elem.Elem == onnx.Undefined {
				s.Elem = itemType(t)
			}
			s.Items = append(s.Items, c.Own(t))
		}
	}
	return nil
}
