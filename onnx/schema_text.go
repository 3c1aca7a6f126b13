package onnx

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// schemaParser reads schemas.txt, whose lines _gen/schemas.py describes.
type schemaParser struct {
	table *schemaTable
	sets  []typeSet
	types map[string]*TypeSet // of formals that have a type and no variable
	op    *Schema
	list  []Type // scratch
}

// typeSet is a set of types, and once it is asked for, read.
type typeSet struct {
	text string
	set  *TypeSet
}

// schemaBlock is the lines of one schema.
type schemaBlock struct {
	text   string // that of the operator first
	line   int32  // of the first one
	since  int32
	schema atomic.Pointer[Schema] // when they have been read
}

// parseSchemas reads a table and all schemas in it.
func parseSchemas(text string) (*schemaTable, error) {
	t, err := indexSchemas(text)
	if err != nil {
		return nil, err
	}
	for i := range t.blocks {
		if _, err := t.read(&t.blocks[i]); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// indexSchemas reads what there is in a table; the schemas are read when they
// are asked for: a model uses few.
func indexSchemas(text string) (*schemaTable, error) {
	const mark = "op\t"
	t := &schemaTable{byName: map[schemaKey]schemaVersions{}, latest: map[string]int{}}
	t.blocks = make([]schemaBlock, 0, strings.Count(text, "\n"+mark)+1)
	t.parser = &schemaParser{table: t, types: map[string]*TypeSet{}}
	line, at, begin := 0, 0, -1 // begin is where the block begins whose lines follow
	end := func() {
		if begin >= 0 {
			t.blocks[len(t.blocks)-1].text = text[begin:at]
		}
		begin = -1
	}
	for l := range strings.Lines(text) {
		line++
		var err error
		switch {
		case strings.HasPrefix(l, mark):
			end()
			begin = at
			err = t.add(l, line)
		case strings.HasPrefix(l, "release\t") || strings.HasPrefix(l, "types\t") || begin < 0:
			end()
			err = t.parser.text(l)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		at += len(l)
	}
	end()
	return t, nil
}

// add adds a version of an operator, of which there is the first line. Those of
// one operator stand together.
func (t *schemaTable) add(l string, line int) error {
	var buf [8]string
	f := appendFields(buf[:0], strings.TrimSuffix(l, "\n"))
	key, since, err := operatorOf(f)
	if err != nil {
		return err
	}
	v, more := t.byName[key]
	if !more {
		v.first = len(t.blocks)
	}
	if v.first+v.count != len(t.blocks) || more && int(t.blocks[len(t.blocks)-1].since) >= since {
		return Errorf(ErrMalformed, "version %d of %s is out of order", since, key.name)
	}
	v.count++
	t.byName[key] = v
	t.blocks = append(t.blocks, schemaBlock{line: int32(line), since: int32(since)})
	t.latest[key.domain] = max(t.latest[key.domain], since)
	return nil
}

// operatorOf reads the fields that begin a schema.
func operatorOf(f []string) (schemaKey, int, error) {
	if len(f) < schemaFields["op"] {
		return schemaKey{}, 0, Errorf(ErrMalformed, "%d fields of kind %q", len(f), f[0])
	}
	since, err := strconv.Atoi(f[3])
	return schemaKey{canonicalDomain(f[1]), f[2]}, since, err
}

// read gives a schema, which it reads unless that has been done.
func (t *schemaTable) read(b *schemaBlock) (*Schema, error) {
	if s := b.schema.Load(); s != nil {
		return s, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := b.schema.Load(); s != nil {
		return s, nil
	}
	line := b.line - 1
	for l := range strings.Lines(b.text) {
		line++
		if err := t.parser.text(l); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
	s := t.parser.op
	t.parser.op = nil
	if err := s.finish(); err != nil {
		return nil, err
	}
	b.schema.Store(s)
	return s, nil
}

func appendFields(out []string, line string) []string {
	for f := range strings.SplitSeq(line, "\t") {
		out = append(out, f)
	}
	return out
}

// schemaFields is the least number of fields of each kind of line.
var schemaFields = map[string]int{"release": 3, "types": 2, "op": 5, "attr": 4, "in": 4, "out": 4, "var": 3}

// text reads a line, unless it is empty or a comment.
func (p *schemaParser) text(l string) error {
	if l = strings.TrimSuffix(l, "\n"); l == "" || l[0] == '#' {
		return nil
	}
	var buf [8]string
	return p.line(appendFields(buf[:0], l))
}

func (p *schemaParser) line(f []string) error {
	want, ok := schemaFields[f[0]]
	if !ok || len(f) < want {
		return Errorf(ErrMalformed, "%d fields of kind %q", len(f), f[0])
	}
	switch f[0] {
	case "release":
		return p.release(f[1], f[2], f[3:])
	case "types":
		p.sets = append(p.sets, typeSet{text: f[1]})
		return nil
	case "op":
		key, since, err := operatorOf(f)
		p.op = &Schema{Domain: key.domain, Name: key.name, Since: since, Deprecated: strings.Contains(f[4], "d"), Function: strings.Contains(f[4], "f")}
		return err
	}
	if p.op == nil {
		return Errorf(ErrMalformed, "%s line before the first operator", f[0])
	}
	switch f[0] {
	case "attr":
		return p.attribute(f[1], f[2], f[3], f[4:])
	case "in":
		return p.formal(&p.op.Inputs, f[1], f[2], f[3])
	case "out":
		return p.formal(&p.op.Outputs, f[1], f[2], f[3])
	}
	return p.typeVar(f[1], f[2])
}

func (p *schemaParser) release(version, ir string, opsets []string) error {
	r := Release{Version: version, Opsets: map[string]int{}}
	var err error
	if r.IRVersion, err = strconv.Atoi(ir); err != nil {
		return err
	}
	for _, o := range opsets {
		domain, n, _ := strings.Cut(o, "=")
		v, err := strconv.Atoi(n)
		if err != nil {
			return err
		}
		domain = canonicalDomain(domain)
		r.Opsets[domain] = v
		p.table.latest[domain] = max(p.table.latest[domain], v)
	}
	p.table.releases = append(p.table.releases, r)
	return nil
}

func (p *schemaParser) attribute(name, typ, need string, def []string) error {
	t := slices.Index(attrTypeNames[:], typ)
	if t < 0 {
		return Errorf(ErrMalformed, "attribute %q: type %q", name, typ)
	}
	a := AttrSchema{Name: name, Type: AttributeType(t), Required: need == "r"}
	if len(def) > 0 {
		d, err := parseDefault(name, a.Type, def[0])
		if err != nil {
			return err
		}
		a.Default = d
	}
	p.op.Attributes = append(p.op.Attributes, a)
	return nil
}

// parseDefault reads a number, a quoted string, or a list of them with blanks
// between.
func parseDefault(name string, t AttributeType, text string) (a *Attribute, err error) {
	a = &Attribute{Name: name, Type: t}
	switch t {
	case AttrInt:
		a.Int, err = strconv.ParseInt(text, 10, 64)
	case AttrFloat:
		var v float64
		v, err = strconv.ParseFloat(text, 32)
		a.Float = float32(v)
	case AttrString:
		a.String, err = strconv.Unquote(text)
	case AttrInts:
		for s := range strings.FieldsSeq(text) {
			var v int64
			if v, err = strconv.ParseInt(s, 10, 64); err != nil {
				return nil, err
			}
			a.Ints = append(a.Ints, v)
		}
	case AttrStrings:
		for text != "" && err == nil {
			var s string
			if s, err = strconv.QuotedPrefix(text); err == nil {
				text = strings.TrimPrefix(text[len(s):], " ")
				s, err = strconv.Unquote(s)
				a.Strings = append(a.Strings, s)
			}
		}
	default:
		err = Errorf(ErrMalformed, "default of type %v", t)
	}
	return a, err
}

func (p *schemaParser) formal(list *[]Formal, name, typ, option string) error {
	f := Formal{Name: name, Homogeneous: true}
	switch rest := option[1:]; option[0] {
	case 's':
	case 'o':
		f.Option = OptionalFormal
	case 'v':
		f.Option = Variadic
		arity, mixed := strings.CutSuffix(rest, "*")
		f.Homogeneous = !mixed
		var err error
		if f.MinArity, err = strconv.Atoi(arity); err != nil {
			return err
		}
	default:
		return Errorf(ErrMalformed, "option %q", option)
	}
	if strings.Contains(typ, "(") {
		f.Types = p.types[typ]
		if f.Types == nil {
			f.Types = p.parseTypes(typ)
			p.types[typ] = f.Types
		}
	} else {
		f.TypeVar = typ
	}
	*list = append(*list, f)
	return nil
}

func (p *schemaParser) typeVar(name, set string) error {
	n, err := strconv.Atoi(set)
	if err != nil || n < 0 || n >= len(p.sets) {
		return Errorf(ErrMalformed, "set of types %q of %d", set, len(p.sets))
	}
	if p.sets[n].set == nil {
		p.sets[n].set = p.parseTypes(p.sets[n].text)
	}
	p.op.TypeVars = append(p.op.TypeVars, TypeConstraint{name, p.sets[n].set})
	return nil
}

// parseTypes reads types with blanks between, and leaves out those that no tensor
// here can have.
func (p *schemaParser) parseTypes(text string) *TypeSet {
	p.list = p.list[:0]
	for name := range strings.FieldsSeq(text) {
		if t, ok := parseType(name); ok {
			p.list = append(p.list, t)
		}
	}
	return NewTypeSet(p.list...)
}

// leftOut lists inputs that a schema wants once and that files give an empty
// name to where they do not apply.
var leftOut = []struct {
	op     string
	since  int
	inputs []string
}{
	// "roi" serves one mode only, and one of "scales" and "sizes" is enough;
	// Resize-13 then said so.
	{"Resize", 11, []string{"roi", "scales"}},
}

// finish gives the formals the types of their variables, derives how many
// there may be, and applies leftOut.
func (s *Schema) finish() error {
	for _, list := range [][]Formal{s.Inputs, s.Outputs} {
		for i := range list {
			if f := &list[i]; f.TypeVar != "" {
				if f.Types = s.typesOf(f.TypeVar); f.Types == nil {
					return Errorf(ErrMalformed, "%s-%d: no type variable %q", s.Name, s.Since, f.TypeVar)
				}
			}
		}
	}
	s.MinInputs, s.MaxInputs = arity(s.Inputs)
	s.MinOutputs, s.MaxOutputs = arity(s.Outputs)
	for _, l := range leftOut {
		if s.Domain != "" || s.Name != l.op || s.Since != l.since {
			continue
		}
		for i := range s.Inputs {
			if slices.Contains(l.inputs, s.Inputs[i].Name) {
				s.Inputs[i].Option = OptionalFormal
			}
		}
	}
	return nil
}

func (s *Schema) typesOf(typeVar string) *TypeSet {
	for _, v := range s.TypeVars {
		if v.Name == typeVar {
			return v.Types
		}
	}
	return nil
}

func arity(list []Formal) (low, high int) {
	high = len(list)
	for i, f := range list {
		switch f.Option {
		case Single:
			low = i + 1
		case Variadic:
			low, high = i+f.MinArity, Unbounded
		}
	}
	return low, high
}
