package ops

import "github.com/recur-ml/recur/onnx"

func init() {
	register(
		Op{Name: "Optional", Since: []int{15, 28}, Infer: inferOptional, Build: buildOptional},
		Op{Name: "OptionalGetElement", Since: []int{15, 18, 28}, Infer: inferOptionalGetElement, Build: plainBuild(runOptionalGetElement)},
		Op{Name: "OptionalHasElement", Since: []int{15, 18, 28}, Infer: inferOptionalHasElement, Build: buildWithInput(0, runOptionalHasElement)},
	)
}

// optionalType is the type of the element of an Optional: its input's, or
// what the attribute type says.
func optionalType(n *Node) (onnx.Type, error) {
	a := n.typed("type", onnx.AttrTypeProto)
	if err := n.Err(); err != nil {
		return onnx.Type{}, err
	}
	var declared onnx.Type
	if a != nil && a.TypeProto != nil {
		declared = withoutShapes(*a.TypeProto)
	}
	if !n.Has(0) {
		if !declared.Known() {
			return onnx.Type{}, onnx.Errorf(onnx.ErrMalformed, `neither an input nor the attribute "type" is given`)
		}
		if declared.Kind != onnx.KindTensor && declared.Kind != onnx.KindSequence {
			return onnx.Type{}, onnx.Errorf(onnx.ErrType, "type is %s, want a tensor or a sequence", declared.Name())
		}
		return declared, nil
	}
	t := n.In(0).Type
	if !declared.Known() || !t.Known() {
		return t, nil
	}
	if _, err := mergeTypes(t, declared); err != nil {
		return onnx.Type{}, onnx.Errorf(onnx.ErrType, "the attribute type differs from the input's: %v", err)
	}
	return t, nil
}

// withoutShapes is a type of which only kinds and element types are known.
func withoutShapes(t onnx.Type) onnx.Type {
	t.Shape = nil
	if t.Of != nil {
		of := withoutShapes(*t.Of)
		t.Of = &of
	}
	return t
}

func inferOptional(n *Node) error {
	t, err := optionalType(n)
	if err == nil {
		n.Set(0, onnx.OptionalType(t))
	}
	return err
}

func buildOptional(n *Node) (Kernel, error) {
	t, err := optionalType(n)
	if err != nil {
		return nil, err
	}
	if !n.Has(0) {
		empty := &onnx.Optional{Elem: t}
		return KernelFunc(func(_ *Ctx, _, out []onnx.Value) error {
			out[0] = empty
			return nil
		}), nil
	}
	return KernelFunc(runOptional), nil
}

func runOptional(c *Ctx, in, out []onnx.Value) error {
	if in[0] == nil {
		return onnx.Errorf(onnx.ErrType, "input has no value")
	}
	out[0] = &onnx.Optional{Elem: withoutShapes(in[0].Type()), Value: c.Own(in[0])}
	return nil
}

func inferOptionalGetElement(n *Node) error {
	t := n.In(0).Type
	switch {
	case t.Kind != onnx.KindOptional:
		n.Set(0, t)
	case t.Of != nil:
		n.Set(0, *t.Of)
	}
	return nil
}

func runOptionalGetElement(_ *Ctx, in, out []onnx.Value) error {
	out[0] = in[0]
	if o, ok := in[0].(*onnx.Optional); ok {
		out[0] = o.Value
	}
	if out[0] == nil {
		return onnx.Errorf(onnx.ErrMalformed, "the optional is empty: it has no element to get")
	}
	return nil
}

func inferOptionalHasElement(n *Node) error {
	n.SetTensor(0, onnx.Bool, onnx.Shape{})
	return nil
}

func runOptionalHasElement(c *Ctx, in, out []onnx.Value) error {
	has := len(in) > 0 && in[0] != nil
	if has {
		if o, ok := in[0].(*onnx.Optional); ok {
			has = o.Value != nil
		}
	}
	t, err := c.New(0, onnx.Bool, nil)
	if err != nil {
		return err
	}
	onnx.Elements[bool](t)[0] = has
	return nil
}
