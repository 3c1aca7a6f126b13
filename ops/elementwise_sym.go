package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
)

// Arithmetic on contents: what is known of the elements of the result where
// something is known of those of the operands. A symbol stands for the size of
// a dimension, which is not negative. Tensors of float and double have
// contents too where their elements are whole numbers that the type holds
// exactly, for shapes that a model computes in floating point; those of bool
// are 0 and 1.

// wholeLimit is the largest n for which a floating-point type holds all whole
// numbers of -n..n; 0 for other types.
func wholeLimit(d onnx.DataType) int64 {
	switch d {
	case onnx.Float:
		return 1 << 24
	case onnx.Double:
		return 1 << 53
	}
	return 0
}

// contentAt is Node.Content for constants of float, double and bool too.
func contentAt(n *Node, i int) *Content {
	t := n.Const(i)
	if t == nil || t.Rank() > 1 || t.Len() > maxContent || t.External() != nil {
		return n.Content(i)
	}
	c := &Content{Scalar: t.Rank() == 0, Elems: make([]Sym, t.Len())}
	switch t.DataType() {
	case onnx.Bool:
		for k, v := range onnx.Elements[bool](t) {
			c.Elems[k] = symBool(v)
		}
	case onnx.Float:
		for k, v := range onnx.Elements[float32](t) {
			c.Elems[k] = symFloat(float64(v), onnx.Float)
		}
	case onnx.Double:
		for k, v := range onnx.Elements[float64](t) {
			c.Elems[k] = symFloat(v, onnx.Double)
		}
	default:
		return n.Content(i)
	}
	return c
}

func symBool(v bool) Sym {
	if v {
		return Int(1)
	}
	return Int(0)
}

// symFloat gives a whole number; -0 is none, for 1/-0 is not 1/0.
func symFloat(v float64, d onnx.DataType) Sym {
	if !(math.Abs(v) <= float64(wholeLimit(d))) || v != math.Trunc(v) || v == 0 && math.Signbit(v) {
		return Sym{}
	}
	return Int(int64(v))
}

// symFit gives the integer v as an element of the type has it.
func symFit(v int64, d onnx.DataType) Sym {
	switch d {
	case onnx.Int64:
		return Int(v)
	case onnx.Int32:
		return Int(int64(int32(v)))
	}
	if limit := wholeLimit(d); v >= -limit && v <= limit && limit > 0 {
		return Int(v)
	}
	return Sym{}
}

// mapContent applies f to each element.
func mapContent(c *Content, f func(Sym) Sym) *Content {
	if c == nil {
		return nil
	}
	out := &Content{Scalar: c.Scalar, Elems: make([]Sym, len(c.Elems))}
	for i, e := range c.Elems {
		out.Elems[i] = f(e)
	}
	return out
}

// zipContent applies f to the elements of contents that are broadcast
// together; nil when anything is missing.
func zipContent(f func(e []Sym) Sym, operands ...*Content) *Content {
	out := &Content{Scalar: true}
	n := 1
	for _, c := range operands {
		if c == nil {
			return nil
		}
		out.Scalar = out.Scalar && c.Scalar
		if k := len(c.Elems); k != 1 {
			if n != 1 && n != k {
				return nil
			}
			n = k
		}
	}
	if n > maxContent {
		return nil
	}
	e := make([]Sym, len(operands))
	for i := range n {
		for k, c := range operands {
			e[k] = c.Elems[min(i, len(c.Elems)-1)]
		}
		out.Elems = append(out.Elems, f(e))
	}
	return out
}

// symArith computes an arithmetic operator on two integers, or on whole
// numbers in a floating-point type.
func symArith(op string, a, b Sym, d onnx.DataType) Sym {
	same := a.Name != "" && a.Name == b.Name
	isInt := func(s Sym, v int64) bool { return s.Known && s.Value == v }
	switch op {
	case "Add":
		switch {
		case isInt(a, 0):
			return b
		case isInt(b, 0):
			return a
		case a.Known && b.Known:
			return symFit(a.Value+b.Value, d)
		}
	case "Sub":
		switch {
		case same:
			return Int(0)
		case isInt(b, 0):
			return a
		case a.Known && b.Known:
			return symFit(a.Value-b.Value, d)
		}
	case "Mul":
		switch {
		case isInt(a, 1):
			return b
		case isInt(b, 1):
			return a
		case a.Known && b.Known:
			return symProduct(a.Value, b.Value, d)
		}
	case "Div":
		switch {
		case isInt(b, 1):
			return a
		case !a.Known || !b.Known || b.Value == 0:
		case !d.IsFloat():
			return symFit(a.Value/b.Value, d)
		case a.Value%b.Value == 0 && a.Value != 0:
			return symFit(a.Value/b.Value, d)
		}
	case "Mod":
		if a.Known && b.Known && b.Value != 0 && !d.IsFloat() {
			r := a.Value % b.Value
			if r != 0 && (r < 0) != (b.Value < 0) {
				r += b.Value
			}
			return symFit(r, d)
		}
	case "Min", "Max":
		return symMinMax(a, b, op == "Max")
	}
	return Sym{}
}

// symProduct multiplies; a zero of a floating-point type may be -0 and is not
// given.
func symProduct(a, b int64, d onnx.DataType) Sym {
	if !d.IsFloat() {
		return symFit(a*b, d)
	}
	if a == 0 || b == 0 || math.Abs(float64(a)*float64(b)) > float64(wholeLimit(d)) {
		return Sym{}
	}
	return symFit(a*b, d)
}

func symMinMax(a, b Sym, greater bool) Sym {
	order, ok := symCompare(a, b)
	switch {
	case !ok && a.Known && a.Value == 0 && b.Name != "", !ok && b.Known && b.Value == 0 && a.Name != "":
		if a.Known == greater { // 0 against a size: the lesser, or equal
			return b
		}
		return a
	case !ok:
		return Sym{}
	case order >= 0 == greater:
		return a
	}
	return b
}

// symCompare gives the sign of a - b where it is certain.
func symCompare(a, b Sym) (int, bool) {
	switch {
	case a.Known && b.Known && a.Value < b.Value, a.Known && a.Value < 0 && b.Name != "":
		return -1, true
	case a.Known && b.Known && a.Value > b.Value, b.Known && b.Value < 0 && a.Name != "":
		return 1, true
	case a.Known && b.Known, a.Name != "" && a.Name == b.Name:
		return 0, true
	}
	return 0, false
}

// symRelation computes a comparison.
func symRelation(op string, a, b Sym) Sym {
	order, ok := symCompare(a, b)
	if !ok {
		return Sym{}
	}
	switch op {
	case "Equal":
		return symBool(order == 0)
	case "Less":
		return symBool(order < 0)
	case "LessOrEqual":
		return symBool(order <= 0)
	case "Greater":
		return symBool(order > 0)
	case "GreaterOrEqual":
		return symBool(order >= 0)
	}
	return Sym{}
}

// symUnary computes a function of one integer or whole number.
func symUnary(op string, a Sym, d onnx.DataType) Sym {
	switch op {
	case "Floor", "Ceil", "Round", "Relu":
		if op != "Relu" || !a.Known || a.Value >= 0 {
			return a
		}
		return Int(0)
	case "Abs":
		if !a.Known || a.Value >= 0 {
			return a
		}
		return symFit(-a.Value, d)
	case "Neg":
		if a.Known && (a.Value != 0 || !d.IsFloat()) {
			return symFit(-a.Value, d)
		}
	case "Sign":
		if a.Known {
			return Int(int64(min(max(a.Value, -1), 1)))
		}
	case "Not":
		if a.Known {
			return Int(1 - a.Value)
		}
	}
	return Sym{}
}

// symCast converts an integer, whole number or truth value. A symbol survives
// where the type holds every size; int32 counts as such.
func symCast(a Sym, from, to onnx.DataType) Sym {
	switch {
	case to == onnx.Bool && a.Known:
		return symBool(a.Value != 0)
	case to == onnx.Bool:
		return Sym{}
	case a.Known:
		return symFit(a.Value, to)
	case from != onnx.Bool && (to == onnx.Int64 || to == onnx.Int32 || to == onnx.Double):
		return a
	case from == to:
		return a
	}
	return Sym{}
}
