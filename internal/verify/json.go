package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/recur-ml/recur/onnx"
)

// Package encoding/json takes a key in any case of letters, the last of two
// equal keys, and null for anything. A manifest that is read so can lose a
// check without a word, hence this stricter reading: a tree of *object,
// []any, string, json.Number, bool and nil.

// object is a JSON object with its keys in the file's order.
type object struct {
	keys   []string
	values map[string]any
}

// maxDepth bounds the nesting of a manifest.
const maxDepth = 32

func parseJSON(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := readJSON(d, 0)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = fmt.Errorf("more follows the value")
		}
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		line := 1 + bytes.Count(data[:min(d.InputOffset(), int64(len(data)))], []byte("\n"))
		return nil, onnx.Errorf(onnx.ErrMalformed, "line %d: %w", line, err)
	}
	return v, nil
}

func readJSON(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := readJSON(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	case json.Delim('{'):
		o := &object{values: map[string]any{}}
		for d.More() {
			token, err := d.Token()
			if err != nil {
				return nil, err
			}
			key := token.(string) // the decoder takes nothing else for a key
			if _, twice := o.values[key]; twice {
				return nil, fmt.Errorf("key %q twice in one object", key)
			}
			o.keys = append(o.keys, key)
			if o.values[key], err = readJSON(d, depth+1); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return o, err
	}
	return token, nil
}

// fields reads an object's keys one by one and keeps the first error; what
// nobody asked for is an error too.
type fields struct {
	what string // of the error's text: "a case"
	o    *object
	read []string
	err  error
}

// fieldsOf begins to read an object.
func fieldsOf(what string, v any) *fields {
	f := &fields{what: what, o: &object{}}
	o, ok := v.(*object)
	if !ok {
		f.fail("%s is %s, want an object", what, jsonKind(v))
		return f
	}
	f.o = o
	return f
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = onnx.Errorf(onnx.ErrMalformed, format, args...)
	}
}

// take gives the value of a key and whether it is there.
func (f *fields) take(key string) (any, bool) {
	f.read = append(f.read, key)
	v, ok := f.o.values[key]
	return v, ok
}

// field gives the value of a key as a T, the zero T where it is absent.
func field[T any](f *fields, key, want string) T {
	v, ok := f.take(key)
	t, fits := v.(T)
	if ok && !fits {
		f.fail("%q is %s, want %s", key, jsonKind(v), want)
	}
	return t
}

func (f *fields) text(key string) string {
	s := field[string](f, key, "a string")
	if _, ok := f.o.values[key]; ok && s == "" {
		f.fail("%q is empty", key)
	}
	return s
}

func (f *fields) flag(key string) bool { return field[bool](f, key, "true or false") }

// number gives a number that is not negative, otherwise where it is absent.
func (f *fields) number(key string, otherwise float64) float64 {
	n := field[json.Number](f, key, "a number")
	if n == "" {
		return otherwise
	}
	v, err := n.Float64()
	if err != nil || v < 0 {
		f.fail("%q is %s, want a number of at least 0", key, n)
	}
	return v
}

// integer gives an integer that is not negative, otherwise where it is absent.
func (f *fields) integer(key string, otherwise int64) int64 {
	n := field[json.Number](f, key, "an integer")
	if n == "" {
		return otherwise
	}
	v, err := n.Int64()
	if err != nil || v < 0 {
		f.fail("%q is %s, want an integer of at least 0", key, n)
	}
	return v
}

func (f *fields) list(key string) []any { return field[[]any](f, key, "an array") }

func (f *fields) require(key string) {
	if _, ok := f.o.values[key]; !ok {
		f.fail("no %q", key)
	}
}

// done gives the first error; a key that was not asked for is one.
func (f *fields) done() error {
	if f.err != nil {
		return f.err
	}
	for _, k := range f.o.keys {
		if !slices.Contains(f.read, k) {
			return onnx.Errorf(onnx.ErrMalformed, "unknown key %q; %s has %s", k, f.what, strings.Join(f.read, ", "))
		}
	}
	return nil
}

func jsonKind(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return fmt.Sprintf("the string %q", v)
	case json.Number:
		return "the number " + v.String()
	case bool:
		return fmt.Sprint(v)
	case []any:
		return "an array"
	}
	return "an object"
}
