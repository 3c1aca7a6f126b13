package ops

import (
	"fmt"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// TestExecParts takes parts of a tensor as a file holds it, at every alignment:
// what is in one piece there stays where it lies, and all has the elements of a
// copy.
func TestExecParts(t *testing.T) {
	values := make([]float32, 2*3*4)
	for i := range values {
		values[i] = float32(i)
	}
	plain := onnx.MustTensor([]int{2, 3, 4}, values)
	list := func(v ...int64) onnx.Value { return onnx.MustTensor([]int{len(v)}, v) }
	slice := func(starts, ends, axes, steps onnx.Value) []onnx.Value {
		return []onnx.Value{nil, starts, ends, axes, steps}
	}
	for name, c := range map[string]struct {
		node  *onnx.Node
		in    []onnx.Value
		piece bool
	}{
		"first axis":       {node("Slice", 1), slice(list(1), list(2), list(0), nil), true},
		"second of one":    {node("Slice", 1), slice(list(1, 1), list(2, 3), list(0, 1), nil), true},
		"last of one":      {node("Slice", 1), slice(list(1, 2, 1), list(2, 3, 3), nil, nil), true},
		"single, backward": {node("Slice", 1), slice(list(1), list(0), list(0), list(-1)), true},
		"second of two":    {node("Slice", 1), slice(list(1), list(3), list(1), nil), false},
		"steps":            {node("Slice", 1), slice(list(0, 0), list(1, 3), list(0, 2), list(1, 2)), false},
		"backward":         {node("Slice", 1), slice(list(-1), list(-9), list(0), list(-1)), false},
		"nothing":          {node("Slice", 1), slice(list(1), list(1), list(0), nil), false},
		"split":            {node("Split", 2, "axis", 0), []onnx.Value{nil, list(1, 1)}, true},
		"inner split":      {node("Split", 2, "axis", 1), []onnx.Value{nil, list(1, 2)}, false},
		"empty split":      {node("Split", 2, "axis", 0), []onnx.Value{nil, list(0, 2)}, false},
	} {
		c.in[0] = plain
		want, err := compute(t, c.node, 13, c.in...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for offset := range 4 {
			data, err := onnx.EncodeTensor(plain, "x"+fmt.Sprint("yyyy"[:offset]))
			if err != nil {
				t.Fatal(err)
			}
			x, err := onnx.DecodeTensor(data)
			if err != nil {
				t.Fatal(err)
			}
			c.in[0] = x
			got, err := computeKnowing(t, c.node, 13, knowValue, c.in)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for i := range got {
				if d := differ(got[i], want[i], 0, 0); d != "" {
					t.Errorf("%s at %d: output %d: %s", name, offset, i, d)
				}
			}
			if c.piece && !within(got[0].(*onnx.Tensor).FileBytes(), x.FileBytes()) {
				t.Errorf("%s at %d: what lies in one piece was copied", name, offset)
			}
		}
	}
}

// within reports whether part lies in whole.
func within(part, whole []byte) bool {
	for i := range whole {
		if &whole[i] == &part[0] {
			return true
		}
	}
	return false
}
