package ops

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// attr makes an attribute from a Go value.
func attr(name string, v any) *onnx.Attribute {
	a := &onnx.Attribute{Name: name}
	switch v := v.(type) {
	case int:
		a.Type, a.Int = onnx.AttrInt, int64(v)
	case int64:
		a.Type, a.Int = onnx.AttrInt, v
	case float32:
		a.Type, a.Float = onnx.AttrFloat, v
	case float64:
		a.Type, a.Float = onnx.AttrFloat, float32(v)
	case string:
		a.Type, a.String = onnx.AttrString, v
	case []int64:
		a.Type, a.Ints = onnx.AttrInts, v
	case []float32:
		a.Type, a.Floats = onnx.AttrFloats, v
	case []string:
		a.Type, a.Strings = onnx.AttrStrings, v
	case *onnx.Tensor:
		a.Type, a.Tensor = onnx.AttrTensor, v
	case *onnx.Graph:
		a.Type, a.Graph = onnx.AttrGraph, v
	default:
		panic(fmt.Sprintf("attribute of type %T", v))
	}
	return a
}

// node makes a node of ai.onnx with as many outputs as asked for; inputs are
// named i0, i1, ... by compute. attrs alternates names and values.
func node(op string, outputs int, attrs ...any) *onnx.Node {
	n := &onnx.Node{Name: "test", OpType: op}
	for i := range outputs {
		n.Outputs = append(n.Outputs, fmt.Sprintf("o%d", i))
	}
	for i := 0; i < len(attrs); i += 2 {
		n.Attributes = append(n.Attributes, attr(attrs[i].(string), attrs[i+1]))
	}
	return n
}

// knowledge says how much of the inputs inference is told.
type knowledge int

const (
	knowNothing knowledge = iota // types alone
	knowRank                     // dimensions by name
	knowShape
	knowValue
)

// compute runs a node on inputs, nil where absent, four times: with more and
// more known at load. The outputs must be the same each time, and what was
// inferred must hold for them.
func compute(t *testing.T, n *onnx.Node, opset int, in ...onnx.Value) ([]onnx.Value, error) {
	t.Helper()
	var first []onnx.Value
	var firstErr error
	for know := knowNothing; know <= knowValue; know++ {
		out, err := computeKnowing(t, n, opset, know, in)
		if know == knowNothing {
			first, firstErr = out, err
			continue
		}
		if (err == nil) != (firstErr == nil) {
			if err != nil && errors.Is(firstErr, onnx.ErrUnsupported) || firstErr != nil && errors.Is(firstErr, onnx.ErrUnsupported) {
				first, firstErr = out, err // what must be known at load is now known
				continue
			}
			t.Errorf("%s: error %v when %d is known, %v when nothing is", n.OpType, err, know, firstErr)
			continue
		}
		for i := range out {
			if d := differ(out[i], first[i], 0, 0); d != "" {
				t.Errorf("%s: output %d when %d is known against nothing: %s", n.OpType, i, know, d)
			}
		}
	}
	return first, firstErr
}

func computeKnowing(t *testing.T, p *onnx.Node, opset int, know knowledge, in []onnx.Value) ([]onnx.Value, error) {
	t.Helper()
	a := &Analysis{Registry: Default(), Opsets: map[string]int{p.Domain: opset, "": opset}, Limits: onnx.Limits{}.WithDefaults(), Level: testLevel}
	scope := a.NewScope(nil)
	c := *p
	c.Inputs = nil
	for i, v := range in {
		if v == nil {
			c.Inputs = append(c.Inputs, "")
			continue
		}
		name := fmt.Sprintf("i%d", i)
		c.Inputs = append(c.Inputs, name)
		info := Info{Type: v.Type()}
		switch know {
		case knowNothing:
			info.Type.Shape = nil
		case knowRank:
			for k := range info.Type.Shape {
				info.Type.Shape[k] = onnx.Dim{Value: -1, Name: fmt.Sprintf("d%d_%d", i, k)}
			}
		case knowValue:
			info = ConstInfo(v)
		}
		scope.Set(name, info)
	}
	n, err := scope.Node(&c)
	if err != nil {
		return nil, err
	}
	k, err := n.Build(nil)
	if err != nil {
		return nil, err
	}
	out, err := Exec(context.Background(), n, k, in, a.Limits)
	if err != nil {
		return nil, err
	}
	for i, v := range out {
		if p.Outputs[i] == "" {
			continue
		}
		if v == nil {
			t.Errorf("%s: output %d was not computed", p.OpType, i)
			continue
		}
		checkInferred(t, p.OpType, i, n.Out(i), v)
	}
	return out, nil
}

// checkInferred holds an output against what was inferred of it.
func checkInferred(t *testing.T, op string, i int, info Info, v onnx.Value) {
	t.Helper()
	want, have := info.Type, v.Type()
	if !want.Known() {
		t.Errorf("%s: nothing was inferred for output %d", op, i)
		return
	}
	bad := want.Kind != have.Kind || want.Elem != onnx.Undefined && want.Elem != have.Elem || want.Shape.Ranked() && len(want.Shape) != len(have.Shape)
	if !bad && want.Shape.Ranked() {
		for k, d := range want.Shape {
			bad = bad || d.Known() && d.Value != have.Shape[k].Value
		}
	}
	if bad {
		t.Errorf("%s: output %d is %v, inferred was %v", op, i, have, want)
	}
	if c := contentOf(tensorOf(v)); info.Content != nil && c != nil {
		for k, e := range info.Content.Elems {
			if k >= len(c.Elems) || e.Known && e.Value != c.Elems[k].Value {
				t.Errorf("%s: output %d holds %v, inferred was %v", op, i, c.Elems, info.Content.Elems)
				break
			}
		}
	}
}

func tensorOf(v onnx.Value) *onnx.Tensor {
	t, _ := v.(*onnx.Tensor)
	return t
}

// differ tells how two values differ beyond a tolerance, "" when they do not.
// NaN equals NaN.
func differ(got, want onnx.Value, rtol, atol float64) string {
	g, ok1 := got.(*onnx.Tensor)
	w, ok2 := want.(*onnx.Tensor)
	if !ok1 || !ok2 {
		return differValues(got, want, rtol, atol)
	}
	if g.DataType() != w.DataType() || !slices.Equal(g.Shape(), w.Shape()) {
		return fmt.Sprintf("got %v, want %v", g, w)
	}
	if g.DataType() == onnx.String {
		for i, s := range g.Strings() {
			if s != w.Strings()[i] {
				return fmt.Sprintf("element %d is %q, want %q", i, s, w.Strings()[i])
			}
		}
		return ""
	}
	gf, wf := float64s(g), float64s(w)
	if gf == nil {
		if string(g.Bytes()) != string(w.Bytes()) {
			return fmt.Sprintf("bytes %x, want %x", g.Bytes(), w.Bytes())
		}
		return ""
	}
	for i := range gf {
		a, b := gf[i], wf[i]
		if a == b || a != a && b != b {
			continue
		}
		if !(math.Abs(a-b) <= atol+rtol*math.Abs(b)) || math.IsInf(b, 0) {
			return fmt.Sprintf("element %d of %v is %v, want %v", i, g.Shape(), a, b)
		}
	}
	return ""
}

func differValues(got, want onnx.Value, rtol, atol float64) string {
	switch w := want.(type) {
	case *onnx.Sequence:
		g, ok := got.(*onnx.Sequence)
		if !ok || len(g.Items) != len(w.Items) {
			return fmt.Sprintf("got %v, want %v", got, want)
		}
		for i := range w.Items {
			if d := differ(g.Items[i], w.Items[i], rtol, atol); d != "" {
				return fmt.Sprintf("item %d: %s", i, d)
			}
		}
		return ""
	case *onnx.Map:
		g, ok := got.(*onnx.Map)
		if !ok {
			return fmt.Sprintf("got %v, want %v", got, want)
		}
		return differ(g.Keys, w.Keys, 0, 0) + differ(g.Values, w.Values, rtol, atol)
	case *onnx.Optional:
		g, ok := got.(*onnx.Optional)
		if !ok || (g.Value == nil) != (w.Value == nil) {
			return fmt.Sprintf("got %v, want %v", got, want)
		}
		if w.Value == nil {
			return ""
		}
		return differ(g.Value, w.Value, rtol, atol)
	}
	if got == nil && want == nil {
		return ""
	}
	return fmt.Sprintf("got %v, want %v", got, want)
}

// float64s gives the elements of a numeric tensor as float64, nil for another.
func float64s(t *onnx.Tensor) []float64 {
	switch t.DataType() {
	case onnx.Float:
		return toFloat64(onnx.Elements[float32](t))
	case onnx.Double:
		return toFloat64(onnx.Elements[float64](t))
	case onnx.Int8:
		return toFloat64(onnx.Elements[int8](t))
	case onnx.Int16:
		return toFloat64(onnx.Elements[int16](t))
	case onnx.Int32:
		return toFloat64(onnx.Elements[int32](t))
	case onnx.Uint8:
		return toFloat64(onnx.Elements[uint8](t))
	case onnx.Uint16:
		return toFloat64(onnx.Elements[uint16](t))
	case onnx.Uint32:
		return toFloat64(onnx.Elements[uint32](t))
	}
	if isNarrow(t.DataType()) {
		f := make([]float32, t.Len())
		WidenTo(f, t)
		return toFloat64(f)
	}
	return nil
}

func toFloat64[T int8 | int16 | int32 | uint8 | uint16 | uint32 | float32 | float64](s []T) []float64 {
	out := make([]float64, len(s))
	for i, v := range s {
		out[i] = float64(v)
	}
	return out
}
