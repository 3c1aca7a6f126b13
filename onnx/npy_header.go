package onnx

import (
	"slices"
	"strconv"
	"strings"
)

// parseNPYHeader reads the dictionary of an .npy file: exactly the keys descr,
// fortran_order and shape, in any order.
func parseNPYHeader(text string) (*npyHeader, error) {
	p := &literal{rest: text}
	h := &npyHeader{}
	var seen []string
	p.want("{")
	for p.err == nil && !p.take("}") {
		key := p.str()
		if slices.Contains(seen, key) {
			p.fail("the key %q twice", key)
		}
		seen = append(seen, key)
		p.want(":")
		switch key {
		case "descr":
			h.item = p.descr()
		case "fortran_order":
			h.fortran = p.bool()
		case "shape":
			h.shape = p.shape()
		default:
			p.fail("the key %q", key)
		}
		if !p.take(",") {
			p.want("}")
			break
		}
	}
	if p.space(); p.err == nil && p.rest != "" {
		p.fail("%.20q after the dictionary", p.rest)
	}
	if p.err == nil && len(seen) != 3 {
		p.fail("the keys %q only", seen)
	}
	return h, p.err
}

// literal reads the part of Python's literals that headers use.
type literal struct {
	rest string
	err  error
}

func (p *literal) fail(format string, args ...any) { p.failAs(ErrMalformed, format, args...) }

func (p *literal) failAs(kind error, format string, args ...any) {
	if p.err == nil {
		p.err = Errorf(kind, "header has "+format, args...)
	}
}

func (p *literal) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// take takes a word if it is next.
func (p *literal) take(word string) bool {
	p.space()
	rest, ok := strings.CutPrefix(p.rest, word)
	p.rest = rest
	return ok
}

func (p *literal) want(word string) {
	if !p.take(word) {
		p.fail("%.20q, want %q", p.rest, word)
	}
}

// str reads a string without escapes.
func (p *literal) str() string {
	for _, quote := range []string{"'", `"`} {
		if p.take(quote) {
			s, rest, ok := strings.Cut(p.rest, quote)
			if !ok || strings.ContainsAny(s, "\\\n") {
				p.fail("a string that does not end or has escapes: %.20q", p.rest)
			}
			p.rest = rest
			return s
		}
	}
	p.fail("%.20q, want a string", p.rest)
	return ""
}

func (p *literal) bool() bool {
	if p.take("True") {
		return true
	}
	p.want("False")
	return false
}

// shape reads a tuple of sizes, which Python 2 wrote with an L.
func (p *literal) shape() []int {
	shape := []int{}
	p.want("(")
	for p.err == nil && !p.take(")") {
		shape = append(shape, p.size())
		if p.take(",") {
			continue
		}
		if p.want(")"); len(shape) == 1 {
			p.fail("a number in brackets, want a tuple")
		}
		break
	}
	return shape
}

func (p *literal) size() int {
	p.space()
	end := 0
	for end < len(p.rest) && p.rest[end] >= '0' && p.rest[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(p.rest[:end])
	if err != nil || end > 1 && p.rest[0] == '0' {
		p.fail("%.20q, want a size", p.rest)
	}
	p.rest = strings.TrimPrefix(p.rest[end:], "L")
	return n
}

// descr reads an element type such as '<f4': byte order, kind, size.
func (p *literal) descr() npyItem {
	if p.take("[") {
		p.failAs(ErrType, "a type of several fields")
		return npyItem{}
	}
	s := p.str()
	if p.err != nil {
		return npyItem{}
	}
	it := npyItem{big: !littleEndian}
	name := strings.TrimLeft(s, "<>=|")
	switch order := s[:len(s)-len(name)]; order {
	case "<", ">":
		it.big = order == ">"
	case "", "=", "|":
	default:
		p.fail("the type %q", s)
	}
	if name == "" {
		p.fail("the type %q", s)
		return it
	}
	it.kind = name[0]
	size, err := strconv.ParseUint(name[1:], 10, 31)
	switch t, known := npyTypes[name]; {
	case known:
		it.typ, it.size = t, int(size)
	case it.kind == 'S' && err == nil:
		it.typ, it.size = String, int(size)
	case it.kind == 'U' && err == nil && size < 1<<29:
		it.typ, it.size = String, 4*int(size)
	case it.kind == 'O':
		p.failAs(ErrType, "pickled objects")
	default:
		p.failAs(ErrType, "the type %q", s)
	}
	return it
}
