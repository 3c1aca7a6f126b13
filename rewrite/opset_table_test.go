package rewrite

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// signature writes what a schema says of a node's form, without element types.
func signature(s *onnx.Schema) string {
	var b strings.Builder
	for _, list := range [][]onnx.Formal{s.Inputs, s.Outputs} {
		for i, f := range list {
			if i > 0 || f.Option != onnx.Variadic {
				fmt.Fprintf(&b, "%d ", f.Option)
			}
		}
		b.WriteString("| ")
	}
	var attrs []string
	for _, a := range s.Attributes {
		text := fmt.Sprintf("%s %v %v", a.Name, a.Type, a.Required)
		if d := a.Default; d != nil {
			text += fmt.Sprintf(" = %v %v %q", d.Int, d.Float, d.String)
		}
		attrs = append(attrs, text)
	}
	slices.Sort(attrs)
	return b.String() + strings.Join(attrs, ", ")
}

// TestBoundaries: a boundary at which an operator's attributes, inputs or
// outputs change is in the table, and the table has no other operators.
func TestBoundaries(t *testing.T) {
	var last *onnx.Schema
	known := map[boundary]bool{}
	compared := 0
	for s := range onnx.Schemas() {
		if s.Domain != "" {
			continue
		}
		known[boundary{s.Name, s.Since}] = true
		if last != nil && last.Name == s.Name && signature(last) != signature(s) {
			compared++
			_, listed := boundaries[boundary{s.Name, s.Since}]
			// Of these, optional inputs of old schemas read otherwise, and MinMax arities.
			if !listed {
				t.Errorf("%s changes with opset %d, and has no crossing:\n%s\n%s", s.Name, s.Since, signature(last), signature(s))
			}
		}
		last = s
	}
	for b := range boundaries {
		if !known[b] {
			t.Errorf("a crossing for %s-%d, which is no version", b.op, b.version)
		}
	}
	if compared < 100 {
		t.Errorf("%d boundaries compared, want more than 100", compared)
	}
}
