package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/recur-ml/recur/onnx"
)

// Tensors of more elements than fullElements are abridged: of each axis the
// first and last edgeItems are shown.
const (
	fullElements = 200
	edgeItems    = 3
)

// printValue writes a value for people.
func printValue(b *strings.Builder, name string, v onnx.Value, full bool) {
	switch v := v.(type) {
	case *onnx.Tensor:
		fmt.Fprintf(b, "%s  %v%s\n", name, v, statistics(v))
		printTensor(b, v, full)
	case *onnx.Sequence:
		fmt.Fprintf(b, "%s  %s of %d\n", name, v.Type().Name(), len(v.Items))
		for i, item := range v.Items {
			printValue(b, fmt.Sprintf("%s[%d]", name, i), item, full)
		}
	case *onnx.Optional:
		if v.Value == nil {
			fmt.Fprintf(b, "%s  %s, absent\n", name, v.Type().Name())
			return
		}
		printValue(b, name+"?", v.Value, full)
	case *onnx.Map:
		fmt.Fprintf(b, "%s  %s of %d\n", name, v.Type().Name(), v.Keys.Len())
		printValue(b, name+".keys", v.Keys, full)
		printValue(b, name+".values", v.Values, full)
	case *onnx.SparseTensor:
		fmt.Fprintf(b, "%s  %v\n", name, v.Type())
		printValue(b, name+".indices", v.Indices, full)
		printValue(b, name+".values", v.Values, full)
	}
}

// statistics gives least, greatest and mean element of a numeric tensor, and
// how many are not finite.
func statistics(t *onnx.Tensor) string {
	e, err := elementsOf(t.DataType())
	if err != nil || e.number == nil || t.DataType() == onnx.Bool || t.Len() < 2 {
		return ""
	}
	low, high, sum, finite := math.Inf(1), math.Inf(-1), 0.0, 0
	for i := range t.Len() {
		v := e.number(t, i)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		low, high, sum, finite = min(low, v), max(high, v), sum+v, finite+1
	}
	s := ""
	if finite > 0 {
		s = fmt.Sprintf("  min %.6g  max %.6g  mean %.6g", low, high, sum/float64(finite))
	}
	if bad := t.Len() - finite; bad > 0 {
		s += fmt.Sprintf("  not finite %d", bad)
	}
	return s
}

// printTensor writes the elements in nested brackets, columns aligned.
func printTensor(b *strings.Builder, t *onnx.Tensor, full bool) {
	e, err := elementsOf(t.DataType())
	if err != nil {
		return
	}
	p := &tensorPrinter{b: b, t: t, edge: edgeItems, text: func(i int) string { return shortText(t, e, i) }}
	if full || t.Len() <= fullElements {
		p.edge = t.Len()
	}
	p.axis(0, 0, func(i int) { p.width = max(p.width, utf8.RuneCountInString(p.text(i))) }, false)
	b.WriteString("  ")
	p.axis(0, 0, func(i int) {
		s := p.text(i)
		b.WriteString(strings.Repeat(" ", p.width-utf8.RuneCountInString(s)) + s)
	}, true)
	b.WriteByte('\n')
}

// shortText writes an element in few digits.
func shortText(t *onnx.Tensor, e *elements, i int) string {
	switch {
	case t.DataType() == onnx.String:
		return strconv.Quote(t.Strings()[i])
	case t.DataType().IsFloat():
		return strconv.FormatFloat(e.number(t, i), 'g', 6, 64)
	}
	return e.text(t, i)
}

type tensorPrinter struct {
	b     *strings.Builder
	t     *onnx.Tensor
	edge  int
	width int
	text  func(int) string
}

// axis visits the elements below an axis that begin at start; with write set
// it also writes the brackets.
func (p *tensorPrinter) axis(axis, start int, element func(int), write bool) {
	shape := p.t.Shape()
	if axis == len(shape) {
		element(start)
		return
	}
	put := func(s string) {
		if write {
			p.b.WriteString(s)
		}
	}
	stride := 1
	for _, n := range shape[axis+1:] {
		stride *= n
	}
	last := axis == len(shape)-1
	put("[")
	for i := 0; i < shape[axis]; i++ {
		if i > 0 && last {
			put(" ")
		} else if i > 0 {
			put("\n   " + strings.Repeat(" ", axis))
		}
		if i == p.edge && shape[axis] > 2*p.edge {
			put("...")
			i = shape[axis] - p.edge - 1
			continue
		}
		p.axis(axis+1, start+i*stride, element, write)
	}
	put("]")
}
