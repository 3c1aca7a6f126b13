package verify

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"github.com/recur-ml/recur/onnx"
)

// Tolerance says how far a result may be from what is expected.
type Tolerance struct {
	// Rtol and Atol are for floating-point elements:
	// |got - want| <= Atol + Rtol*|want|.
	Rtol, Atol float64
	// Int is how far integers may be apart.
	Int uint64
	// SkipNumbers leaves the elements unread: kinds, element types and shapes
	// are checked alone.
	SkipNumbers bool
}

// Mismatch is a difference between a value and what is expected of it.
type Mismatch struct {
	Output string // the output's name
	// Inside is the place in a sequence, an optional or a map, "" for the
	// value itself.
	Inside string
	// What is compared: "output", "kind", "type", "length", "shape" or
	// "element".
	What string
	// Index is the element that is farthest off, beyond what is tolerated.
	Index     []int
	Got, Want string
	// Differ counts the elements that differ, of Of.
	Differ, Of int
}

// String says the difference in a line, without the output's name.
func (m *Mismatch) String() string {
	s := ""
	if m.Inside != "" {
		s = m.Inside + ": "
	}
	if m.What != "element" {
		return fmt.Sprintf("%s%s %s, want %s", s, m.What, m.Got, m.Want)
	}
	return fmt.Sprintf("%s%v is %s, want %s; %d of %d differ", s, m.Index, m.Got, m.Want, m.Differ, m.Of)
}

// within puts the difference inside of another value.
func (m *Mismatch) within(place string) *Mismatch {
	if m == nil {
		return nil
	}
	if m.Inside != "" {
		place += " " + m.Inside
	}
	m.Inside = place
	return m
}

// differ makes a Mismatch of something other than elements.
func differ(what string, got, want any) *Mismatch {
	return &Mismatch{What: what, Got: fmt.Sprint(got), Want: fmt.Sprint(want)}
}

// Compare holds a value against what is expected, by kind, element type, shape
// and elements in this order; nil means that it is right. A NaN equals a NaN
// and an infinity itself, whatever the tolerance. The parts of complex numbers
// are compared each, elements of sequences one after the other.
func Compare(got, want onnx.Value, tol Tolerance) *Mismatch {
	if g, w := got.Type().Kind, want.Type().Kind; g != w {
		return differ("kind", kindName(g), kindName(w))
	}
	switch want := want.(type) {
	case *onnx.Tensor:
		return compareTensors(got.(*onnx.Tensor), want, tol)
	case *onnx.Sequence:
		return compareSequences(got.(*onnx.Sequence), want, tol)
	case *onnx.Optional:
		return compareOptionals(got.(*onnx.Optional), want, tol)
	case *onnx.Map:
		return compareMaps(got.(*onnx.Map), want, tol)
	case *onnx.SparseTensor:
		return compareSparse(got.(*onnx.SparseTensor), want, tol)
	}
	return differ("kind", fmt.Sprintf("%T", got), "one of ONNX")
}

func kindName(k onnx.Kind) string {
	switch k {
	case onnx.KindSequence:
		return "sequence"
	case onnx.KindSparseTensor:
		return "sparse tensor"
	}
	return k.String()
}

func compareSequences(got, want *onnx.Sequence, tol Tolerance) *Mismatch {
	if len(got.Items) != len(want.Items) {
		return differ("length", len(got.Items), len(want.Items))
	}
	for i := range want.Items {
		if m := Compare(got.Items[i], want.Items[i], tol); m != nil {
			return m.within(fmt.Sprintf("item %d", i))
		}
	}
	return nil
}

func compareOptionals(got, want *onnx.Optional, tol Tolerance) *Mismatch {
	if got.Value == nil || want.Value == nil {
		if g, w := fullness(got), fullness(want); g != w {
			return differ("optional", g, w)
		}
		return nil
	}
	return Compare(got.Value, want.Value, tol).within("optional")
}

func fullness(o *onnx.Optional) string {
	if o.Value == nil {
		return "empty"
	}
	return "holds a " + kindName(o.Value.Type().Kind)
}

// compareMaps wants equal keys in any order, with equal values.
func compareMaps(got, want *onnx.Map, tol Tolerance) *Mismatch {
	if got.Keys.DataType() != want.Keys.DataType() {
		return differ("type", got.Keys.DataType(), want.Keys.DataType()).within("keys")
	}
	if got.Keys.Len() != want.Keys.Len() {
		return differ("length", got.Keys.Len(), want.Keys.Len())
	}
	byKey := sortedByKey(got)
	for i, k := range sortedByKey(want) {
		if m := compareTensors(element(got.Keys, byKey[i]), element(want.Keys, k), Tolerance{}); m != nil {
			return m.within("keys")
		}
		if m := compareTensors(element(got.Values, byKey[i]), element(want.Values, k), tol); m != nil {
			return m.within("key " + text(want.Keys, k))
		}
	}
	return nil
}

// sortedByKey gives the places of a map's keys in the order of their texts.
func sortedByKey(m *onnx.Map) []int {
	texts := make([]string, m.Keys.Len())
	order := make([]int, len(texts))
	for i := range texts {
		texts[i], order[i] = text(m.Keys, i), i
	}
	slices.SortStableFunc(order, func(a, b int) int { return bytes.Compare([]byte(texts[a]), []byte(texts[b])) })
	return order
}

// element gives element i of a tensor of rank 1 as a scalar.
func element(t *onnx.Tensor, i int) *onnx.Tensor {
	s, err := row(t, i)
	if err != nil { // not of rank 1: compared as a whole
		return t
	}
	return s
}

// compareSparse wants the same coordinates in the same form.
func compareSparse(got, want *onnx.SparseTensor, tol Tolerance) *Mismatch {
	if !slices.Equal(got.Dims, want.Dims) {
		return differ("shape", got.Dims, want.Dims)
	}
	indices := tol
	indices.Int = 0
	if m := compareTensors(got.Indices, want.Indices, indices); m != nil {
		return m.within("indices")
	}
	return compareTensors(got.Values, want.Values, tol).within("values")
}

func compareTensors(got, want *onnx.Tensor, tol Tolerance) *Mismatch {
	if got.DataType() != want.DataType() {
		return differ("type", got.DataType(), want.DataType())
	}
	if !slices.Equal(got.Shape(), want.Shape()) {
		return differ("shape", got.Shape(), want.Shape())
	}
	if tol.SkipNumbers {
		return nil
	}
	rules, ok := elements[want.DataType()]
	if !ok {
		return differ("type", want.DataType(), "one that can be compared")
	}
	return worst(got, want, rules.judge(got, want, tol))
}

// worst makes a Mismatch of the element that is farthest off, the first of
// several; nil when all are right.
func worst(got, want *onnx.Tensor, judge func(i int) (excess float64, wrong bool)) *Mismatch {
	at, most, count := -1, 0.0, 0
	for i := range want.Len() {
		excess, wrong := judge(i)
		if !wrong {
			continue
		}
		count++
		if at < 0 || excess > most {
			at, most = i, excess
		}
	}
	if at < 0 {
		return nil
	}
	return &Mismatch{What: "element", Index: indexOf(at, want.Shape()), Got: text(got, at), Want: text(want, at), Differ: count, Of: want.Len()}
}

// indexOf gives the coordinates of an element.
func indexOf(i int, shape []int) []int {
	index := make([]int, len(shape))
	for axis := len(shape) - 1; axis >= 0; axis-- {
		index[axis] = i % shape[axis]
		i /= shape[axis]
	}
	return index
}

// judgeFloat holds a number against what is expected. How far it is off is
// counted beyond the tolerance; what is not finite is off without end.
func judgeFloat(got, want float64, tol Tolerance) (excess float64, wrong bool) {
	switch {
	case got == want || math.IsNaN(got) && math.IsNaN(want):
		return 0, false
	case math.IsNaN(got) || math.IsNaN(want) || math.IsInf(got, 0) || math.IsInf(want, 0):
		return math.Inf(1), true
	}
	off, allowed := math.Abs(got-want), tol.Atol+tol.Rtol*math.Abs(want)
	return off - allowed, !(off <= allowed)
}

// identical compares two results bit by bit; nil means that they are equal.
func identical(a, b onnx.Value) *Mismatch {
	exact := Tolerance{SkipNumbers: true}
	if m := Compare(a, b, exact); m != nil {
		return m
	}
	switch b := b.(type) {
	case *onnx.Tensor:
		return identicalTensors(a.(*onnx.Tensor), b)
	case *onnx.Sequence:
		for i := range b.Items {
			if m := identical(a.(*onnx.Sequence).Items[i], b.Items[i]); m != nil {
				return m.within(fmt.Sprintf("item %d", i))
			}
		}
	case *onnx.Optional:
		if b.Value != nil {
			return identical(a.(*onnx.Optional).Value, b.Value).within("optional")
		}
	case *onnx.Map:
		if m := identicalTensors(a.(*onnx.Map).Keys, b.Keys); m != nil {
			return m.within("keys")
		}
		return identicalTensors(a.(*onnx.Map).Values, b.Values).within("values")
	case *onnx.SparseTensor:
		if m := identicalTensors(a.(*onnx.SparseTensor).Indices, b.Indices); m != nil {
			return m.within("indices")
		}
		return identicalTensors(a.(*onnx.SparseTensor).Values, b.Values).within("values")
	}
	return nil
}

func identicalTensors(a, b *onnx.Tensor) *Mismatch {
	if bytes.Equal(a.Bytes(), b.Bytes()) && slices.Equal(a.Strings(), b.Strings()) {
		return nil
	}
	size := b.DataType().Size()
	return worst(a, b, func(i int) (float64, bool) {
		if b.DataType() == onnx.String {
			return 0, a.Strings()[i] != b.Strings()[i]
		}
		return 0, !bytes.Equal(a.Bytes()[i*size:(i+1)*size], b.Bytes()[i*size:(i+1)*size])
	})
}
