package runtime

import "github.com/recur-ml/recur/onnx"

// maxNesting bounds values within values, so that one that holds itself does
// not go on for ever.
const maxNesting = 32

// wellFormed checks what the methods of a value count on: that no part of it is
// missing, and that the parts fit each other. Callers make values by hand.
func wellFormed(v onnx.Value, depth int) error {
	if depth > maxNesting {
		return &onnx.LimitError{What: "nesting of values", Got: int64(depth), Max: maxNesting}
	}
	missing := false
	switch v := v.(type) {
	case nil:
		missing = true
	case *onnx.Tensor:
		if missing = v == nil; !missing && v.External() != nil {
			return onnx.Errorf(onnx.ErrMalformed, "external data %q has not been read", v.External().Location)
		}
	case *onnx.Sequence:
		if missing = v == nil; missing {
			break
		}
		for i, item := range v.Items {
			if err := wellFormed(item, depth+1); err != nil {
				return onnx.Errorf(err, "element %d: %v", i, err)
			}
		}
	case *onnx.Optional:
		if missing = v == nil; !missing && v.Value != nil {
			return wellFormed(v.Value, depth+1)
		}
	case *onnx.Map:
		if missing = v == nil || v.Keys == nil || v.Values == nil; missing {
			break
		}
		if v.Keys.Rank() != 1 || v.Values.Rank() != 1 || v.Keys.Len() != v.Values.Len() {
			return onnx.Errorf(onnx.ErrShape, "a map of %v to %v", v.Keys, v.Values)
		}
	case *onnx.SparseTensor:
		if missing = v == nil; !missing {
			return v.Check()
		}
	}
	if missing {
		return onnx.Errorf(onnx.ErrType, "a value or a part of one is nil")
	}
	return nil
}

// sameElements compares kinds and element types all the way down, where both
// are known.
func sameElements(a, b onnx.Type) bool {
	if !a.Known() || !b.Known() {
		return true
	}
	if a.Kind != b.Kind || a.Elem != b.Elem && a.Elem != onnx.Undefined && b.Elem != onnx.Undefined {
		return false
	}
	return a.Of == nil || b.Of == nil || sameElements(*a.Of, *b.Of)
}

// checkElements holds what is in a well-formed sequence or optional against its
// type: the caller made it.
func checkElements(v onnx.Value, want onnx.Type) error {
	var items []onnx.Value
	switch v := v.(type) {
	case *onnx.Sequence:
		items = v.Items
	case *onnx.Optional:
		if v.Value != nil {
			items = []onnx.Value{v.Value}
		}
	}
	if want.Of == nil {
		return nil
	}
	for i, item := range items {
		if have := item.Type(); !sameElements(have, *want.Of) {
			return onnx.Errorf(onnx.ErrType, "element %d is a %s, want a %s", i, have.Name(), want.Of.Name())
		}
		if err := checkElements(item, *want.Of); err != nil {
			return err
		}
	}
	return nil
}
