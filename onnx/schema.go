package onnx

import (
	_ "embed"
	"iter"
	"math"
	"sort"
	"sync"
)

// Schema is the signature of one version of an operator: what ONNX's
// specification says of its attributes, inputs and outputs. The schemas that
// this package gives are shared and must not be modified.
type Schema struct {
	Domain     string // "" for ai.onnx
	Name       string
	Since      int  // the opset that brought this version
	Deprecated bool // from Since on, models may no longer use the operator
	Function   bool // the specification defines it by other operators too

	Inputs, Outputs []Formal
	// MinInputs and its kin bound the length of a node's lists, absent
	// entries included; Unbounded stands for no upper bound.
	MinInputs, MaxInputs   int
	MinOutputs, MaxOutputs int

	Attributes []AttrSchema     // by name
	TypeVars   []TypeConstraint // by name
}

// Unbounded is the MaxInputs or MaxOutputs of a variadic list.
const Unbounded = math.MaxInt32

// Option says how often a formal input or output may be given.
type Option uint8

// The options of a formal input or output.
const (
	Single         Option = iota // exactly once
	OptionalFormal               // once or not at all
	Variadic                     // MinArity times or more; it is the last of its list
)

// Formal is an input or output as a schema declares it.
type Formal struct {
	Name   string
	Option Option
	// Homogeneous says that all values of a variadic formal have one type.
	Homogeneous bool
	MinArity    int // of a variadic formal
	// TypeVar names the type variable, "" where Types is a type by itself:
	// formals of one variable have one type.
	TypeVar string
	Types   *TypeSet // the allowed types; nil allows all
}

// AttrSchema is an attribute as a schema declares it.
type AttrSchema struct {
	Name     string
	Type     AttributeType
	Required bool
	// Default is the value where a node does not set the attribute; nil when
	// the schema names none. GRU-1, LSTM-1 and RNN-1 have the specification's
	// misspelt direction "foward".
	Default *Attribute
}

// TypeConstraint is a type variable and what it may stand for.
type TypeConstraint struct {
	Name  string
	Types *TypeSet
}

// Input gives the formal of a node's input i, the variadic one for all from
// its position on; nil when there is no such input.
func (s *Schema) Input(i int) *Formal { return formalAt(s.Inputs, i) }

// Output gives the formal of a node's output i, as Input does.
func (s *Schema) Output(i int) *Formal { return formalAt(s.Outputs, i) }

func formalAt(list []Formal, i int) *Formal {
	if n := len(list); i >= n && n > 0 && list[n-1].Option == Variadic {
		i = n - 1
	}
	if i < 0 || i >= len(list) {
		return nil
	}
	return &list[i]
}

// Attribute finds an attribute's declaration, nil when there is none.
func (s *Schema) Attribute(name string) *AttrSchema {
	i := sort.Search(len(s.Attributes), func(i int) bool { return s.Attributes[i].Name >= name })
	if i < len(s.Attributes) && s.Attributes[i].Name == name {
		return &s.Attributes[i]
	}
	return nil
}

// LookupSchema finds the version of an operator that a model means which
// imports the given opset of the domain: the greatest one not above it. It is
// nil when ONNX has none. A version that deprecates the operator is given too,
// with Deprecated set. "ai.onnx" and "" are the same domain.
func LookupSchema(domain, name string, opset int) *Schema {
	t := schemas()
	versions := t.versions(domain, name)
	i := sort.Search(len(versions), func(i int) bool { return int(versions[i].since) > opset })
	if i == 0 {
		return nil
	}
	return t.mustRead(&versions[i-1])
}

func (t *schemaTable) mustRead(b *schemaBlock) *Schema {
	s, err := t.read(b)
	if err != nil {
		panic("onnx: schemas.txt: " + err.Error()) // a test reads them all
	}
	return s
}

// SchemaVersions lists the opsets in which an operator's definition changed,
// in ascending order; it is empty for an operator that ONNX does not have.
func SchemaVersions(domain, name string) []int {
	versions := schemas().versions(domain, name)
	out := make([]int, len(versions))
	for i := range versions {
		out[i] = int(versions[i].since)
	}
	return out
}

// Schemas gives every version of every operator of ONNX, by domain, name and
// version.
func Schemas() iter.Seq[*Schema] {
	return func(yield func(*Schema) bool) {
		t := schemas()
		for i := range t.blocks {
			if !yield(t.mustRead(&t.blocks[i])) {
				return
			}
		}
	}
}

// LatestOpset is the newest version of a domain that the schemas describe, 0
// for a domain that is not ONNX's.
func LatestOpset(domain string) int { return schemas().latest[canonicalDomain(domain)] }

// Release is a release of ONNX and what it brought.
type Release struct {
	Version   string // such as "1.23.0"
	IRVersion int
	Opsets    map[string]int // the newest opset of each domain, "" for ai.onnx
}

// Releases lists ONNX's releases in their order. It must not be modified.
func Releases() []Release { return schemas().releases }

// IRVersionFor is the IR version of the first release that has the given
// opset of ai.onnx: the least one that a model of that opset should declare.
// For an opset that is not known it is that of the newest release.
func IRVersionFor(opset int) int {
	releases := schemas().releases
	for _, r := range releases {
		if r.Opsets[""] >= opset {
			return r.IRVersion
		}
	}
	return releases[len(releases)-1].IRVersion
}

// canonicalDomain writes "ai.onnx" as "".
func canonicalDomain(domain string) string {
	if domain == "ai.onnx" {
		return ""
	}
	return domain
}

// schemaTable is schemas.txt, of which the schemas are read as they are asked
// for.
type schemaTable struct {
	blocks   []schemaBlock
	byName   map[schemaKey]schemaVersions
	latest   map[string]int
	releases []Release

	mu     sync.Mutex // held while schemas are read
	parser *schemaParser
}

type schemaKey struct{ domain, name string }

// schemaVersions is where the schemas of an operator are, in ascending order of
// versions.
type schemaVersions struct{ first, count int }

func (t *schemaTable) versions(domain, name string) []schemaBlock {
	v := t.byName[schemaKey{canonicalDomain(domain), name}]
	return t.blocks[v.first:][:v.count]
}

//go:generate python3 _gen/schemas.py

//go:embed schemas.txt
var schemaText string

// schemas is the table of this package.
var schemas = sync.OnceValue(func() *schemaTable {
	t, err := indexSchemas(schemaText)
	if err != nil {
		panic("onnx: schemas.txt: " + err.Error()) // a test reads it
	}
	return t
})
