package onnx

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// TypeSet is a set of types, shapes left aside. A nil set holds every type.
type TypeSet struct {
	tensors uint64 // bit d: tensors of DataType d
	others  []Type // every other kind
}

// NewTypeSet makes a set; shapes of the types do not count.
func NewTypeSet(types ...Type) *TypeSet {
	s := &TypeSet{}
	for _, t := range types {
		if t.Kind == KindTensor && t.Elem.Valid() {
			s.tensors |= 1 << t.Elem
		} else {
			s.others = append(s.others, t)
		}
	}
	return s
}

// TensorTypes makes the set of the tensors of the given element types.
func TensorTypes(elems ...DataType) *TypeSet {
	s := &TypeSet{}
	for _, d := range elems {
		s.tensors |= 1 << d
	}
	return s
}

// Allows reports whether t may be one of the set, as far as t is known.
func (s *TypeSet) Allows(t Type) bool {
	switch {
	case s == nil || !t.Known():
		return true
	case t.Kind == KindTensor && t.Elem == Undefined:
		return s.tensors != 0
	case t.Kind == KindTensor:
		return t.Elem.Valid() && s.tensors>>t.Elem&1 != 0
	}
	for _, o := range s.others {
		if t.unifies(o) {
			return true
		}
	}
	return false
}

// Elems lists the element types of the tensors in the set, in numeric order.
func (s *TypeSet) Elems() []DataType {
	if s == nil {
		return nil
	}
	var out []DataType
	for left := s.tensors; left != 0; left &= left - 1 {
		out = append(out, DataType(bits.TrailingZeros64(left)))
	}
	return out
}

// Types lists the set, tensors first; nil for the set of all.
func (s *TypeSet) Types() []Type {
	if s == nil {
		return nil
	}
	var out []Type
	for _, d := range s.Elems() {
		out = append(out, TensorType(d, nil))
	}
	return append(out, s.others...)
}

// String writes the set as "tensor(float), tensor(double)".
func (s *TypeSet) String() string {
	if s == nil {
		return "any type"
	}
	var names []string
	for _, t := range s.Types() {
		names = append(names, t.Name())
	}
	return strings.Join(names, ", ")
}

// unifies reports whether t and o may be one type: whether no part that is
// known of both differs. Shapes are left aside.
func (t Type) unifies(o Type) bool {
	if !t.Known() || !o.Known() {
		return true
	}
	if t.Kind != o.Kind || t.Elem != o.Elem && t.Elem != Undefined && o.Elem != Undefined {
		return false
	}
	return t.Of == nil || o.Of == nil || t.Of.unifies(*o.Of)
}

// BindTypes holds the types of a node's inputs against the schema: each must
// be one that its formal allows, and those of one type variable must agree.
// What is not known of a type, or the zero Type of an absent input, passes. An
// error matches ErrType, or ErrMalformed for an input that the schema does not
// have.
func (s *Schema) BindTypes(inputs []Type) error {
	var buf [16]binding
	bound := buf[:0]
	for i, t := range inputs {
		f := s.Input(i)
		if f == nil {
			return Errorf(ErrMalformed, "input %d: there are %d at most", i, s.MaxInputs)
		}
		if !f.Types.Allows(t) {
			return Errorf(ErrType, "input %s is %s, want %s", s.inputName(i), t.Name(), f.wants())
		}
		if !t.Known() || f.Option == Variadic && !f.Homogeneous {
			continue
		}
		k := slices.IndexFunc(bound, func(b binding) bool { return b.formal.sameType(f) })
		switch {
		case k < 0:
			bound = append(bound, binding{f, i})
		case !t.unifies(inputs[bound[k].input]):
			first := bound[k].input
			return Errorf(ErrType, "input %s is %s, want the type of input %s, %s", s.inputName(i), t.Name(), s.inputName(first), inputs[first].Name())
		case inputs[bound[k].input].Elem == Undefined:
			bound[k].input = i // it may say more
		}
	}
	return nil
}

// binding is the first input of which the formal, or one of the same type
// variable, has a type that is known.
type binding struct {
	formal *Formal
	input  int
}

// sameType reports whether values of two homogeneous formals have one type.
func (f *Formal) sameType(o *Formal) bool {
	return f == o || f.TypeVar != "" && f.TypeVar == o.TypeVar
}

func (f *Formal) wants() string {
	if f.TypeVar == "" {
		return f.Types.String()
	}
	return fmt.Sprintf("%s: %v", f.TypeVar, f.Types)
}

// inputName writes "X", or "inputs[2]" for an entry of a variadic input.
func (s *Schema) inputName(i int) string { return formalName(s.Inputs, i) }

func formalName(list []Formal, i int) string {
	f := formalAt(list, i)
	switch {
	case f == nil:
		return fmt.Sprint(i)
	case f.Option == Variadic:
		return fmt.Sprintf("%s[%d]", f.Name, i-len(list)+1)
	}
	return f.Name
}

// parseType reads a type as the schemas write it, such as "seq(tensor(int64))"
// or "map(string,float)". Element types that are not known here give ok false.
func parseType(s string) (t Type, ok bool) {
	head, rest, found := strings.Cut(s, "(")
	if !found || !strings.HasSuffix(rest, ")") {
		d, err := ParseDataType(s) // the values of a map are written without "tensor"
		return TensorType(d, nil), err == nil
	}
	inner := rest[:len(rest)-1]
	switch head {
	case "tensor", "sparse_tensor":
		kind := KindTensor
		if head != "tensor" {
			kind = KindSparseTensor
		}
		d, err := ParseDataType(inner)
		return Type{Kind: kind, Elem: d}, err == nil
	case "seq":
		of, ok := parseType(inner)
		return SequenceType(of), ok
	case "optional":
		of, ok := parseType(inner)
		return OptionalType(of), ok
	case "map":
		key, value, _ := strings.Cut(inner, ",")
		d, err := ParseDataType(key)
		of, ok := parseType(value)
		return MapType(d, of), ok && err == nil
	}
	return Type{}, false
}
