package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/recur-ml/recur/onnx"
)

// jsonValue is a value that says its type itself, as --json writes it.
type jsonValue struct {
	Type     string          `json:"type"`
	Shape    []int           `json:"shape"`
	Data     json.RawMessage `json:"data"`
	Sequence []jsonValue     `json:"sequence"`
	Optional *jsonValue      `json:"optional"`
}

// json reads a tensor from nested arrays, whose element type is the input's,
// or from an object {"type", "shape", "data"}; a sequence from an array of
// such.
func (r *inputReader) json(info onnx.ValueInfo, text []byte) (onnx.Value, error) {
	trimmed := bytes.TrimSpace(text)
	if len(trimmed) > 0 && trimmed[0] == '{' {
		var v jsonValue
		d := json.NewDecoder(bytes.NewReader(trimmed))
		d.DisallowUnknownFields()
		if err := d.Decode(&v); err != nil {
			return nil, onnx.Errorf(onnx.ErrMalformed, "JSON: %w", err)
		}
		return v.value(info.Type)
	}
	switch info.Type.Kind {
	case onnx.KindTensor:
		return r.jsonTensor(info, trimmed)
	case onnx.KindOptional:
		if string(trimmed) == "null" {
			return &onnx.Optional{Elem: elemOf(info.Type)}, nil
		}
		v, err := r.json(onnx.ValueInfo{Name: info.Name, Type: elemOf(info.Type)}, trimmed)
		return &onnx.Optional{Elem: elemOf(info.Type), Value: v}, err
	case onnx.KindSequence:
		var items []json.RawMessage
		if err := json.Unmarshal(trimmed, &items); err != nil {
			return nil, onnx.Errorf(onnx.ErrMalformed, "JSON: want an array of the sequence's elements: %w", err)
		}
		seq := &onnx.Sequence{Elem: elemOf(info.Type)}
		for i, item := range items {
			v, err := r.json(onnx.ValueInfo{Type: seq.Elem}, item)
			if err != nil {
				return nil, fmt.Errorf("element %d: %w", i, err)
			}
			seq.Items = append(seq.Items, v)
		}
		return seq, nil
	}
	return nil, onnx.Errorf(onnx.ErrType, "an input of type %s cannot be given as JSON", info.Type.Name())
}

func elemOf(t onnx.Type) onnx.Type {
	if t.Of == nil {
		return onnx.Type{}
	}
	return *t.Of
}

func (r *inputReader) jsonTensor(info onnx.ValueInfo, text []byte) (onnx.Value, error) {
	shape, texts, err := flatten(text)
	if err != nil {
		return nil, err
	}
	if r.shapes != nil {
		if given, ok := r.shapes.inputs[info.Name]; ok {
			shape = given
		}
	}
	return makeTensor(info.Type.Elem, shape, texts)
}

// value makes the value that an object describes; fallback gives the element
// type where it does not say.
func (v *jsonValue) value(fallback onnx.Type) (onnx.Value, error) {
	switch {
	case v.Sequence != nil || fallback.Kind == onnx.KindSequence:
		seq := &onnx.Sequence{Elem: elemOf(fallback)}
		for i := range v.Sequence {
			item, err := v.Sequence[i].value(seq.Elem)
			if err != nil {
				return nil, fmt.Errorf("element %d: %w", i, err)
			}
			seq.Items = append(seq.Items, item)
		}
		return seq, nil
	case v.Optional != nil:
		item, err := v.Optional.value(elemOf(fallback))
		return &onnx.Optional{Elem: elemOf(fallback), Value: item}, err
	case fallback.Kind == onnx.KindOptional && v.Data == nil:
		return &onnx.Optional{Elem: elemOf(fallback)}, nil
	}
	elem := fallback.Elem
	if v.Type != "" {
		var err error
		if elem, err = onnx.ParseDataType(v.Type); err != nil {
			return nil, err
		}
	}
	shape, texts, err := flatten(v.Data)
	if err != nil {
		return nil, err
	}
	if v.Shape != nil {
		shape = v.Shape
	}
	return makeTensor(elem, shape, texts)
}

// flatten reads nested arrays: their shape, and the elements as texts.
func flatten(text []byte) ([]int, []string, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, nil, onnx.Errorf(onnx.ErrMalformed, "JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, nil, onnx.Errorf(onnx.ErrMalformed, "JSON: more than one value")
	}
	shape := []int{}
	for a, ok := v.([]any); ok; a, ok = a[0].([]any) {
		shape = append(shape, len(a))
		if len(a) == 0 {
			break
		}
	}
	var texts []string
	err := gather(v, shape, &texts)
	return shape, texts, err
}

func gather(v any, shape []int, texts *[]string) error {
	switch v := v.(type) {
	case []any:
		if len(shape) == 0 || len(v) != shape[0] {
			return onnx.Errorf(onnx.ErrShape, "JSON: arrays of different lengths do not make a tensor")
		}
		for _, item := range v {
			if err := gather(item, shape[1:], texts); err != nil {
				return err
			}
		}
		return nil
	case json.Number:
		*texts = append(*texts, v.String())
	case bool:
		*texts = append(*texts, strconv.FormatBool(v))
	case string:
		*texts = append(*texts, v)
	default:
		return onnx.Errorf(onnx.ErrMalformed, "JSON: want arrays of numbers, strings or booleans")
	}
	if len(shape) != 0 {
		return onnx.Errorf(onnx.ErrShape, "JSON: arrays of different depths do not make a tensor")
	}
	return nil
}

// makeTensor parses texts; the shape must have as many elements.
func makeTensor(elem onnx.DataType, shape []int, texts []string) (onnx.Value, error) {
	e, err := elementsOf(elem)
	if err != nil {
		return nil, err
	}
	n, err := onnx.NumElements(shape)
	if err != nil {
		return nil, err
	}
	if n != len(texts) {
		return nil, onnx.Errorf(onnx.ErrShape, "shape %v has %d elements, %d are given", shape, n, len(texts))
	}
	return e.parse(shape, texts)
}

// jsonFields cuts an object of values by input name.
func jsonFields(data []byte) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, onnx.Errorf(onnx.ErrMalformed, "JSON: want an object of values by input name: %w", err)
	}
	return fields, nil
}

// csv reads a table of elements; lines that begin with # are comments, and a
// first line that has no numbers where there should be some is a header.
func (r *inputReader) csv(info onnx.ValueInfo, data []byte) (onnx.Value, error) {
	if info.Type.Kind != onnx.KindTensor {
		return nil, onnx.Errorf(onnx.ErrType, "an input of type %s cannot be given as CSV", info.Type.Name())
	}
	reader := csv.NewReader(bytes.NewReader(data))
	reader.Comment, reader.TrimLeadingSpace = '#', true
	rows, err := reader.ReadAll()
	if err != nil {
		return nil, onnx.Errorf(onnx.ErrMalformed, "CSV: %w", err)
	}
	if len(rows) > 1 && info.Type.Elem != onnx.String {
		if _, err := makeTensor(info.Type.Elem, []int{len(rows[0])}, rows[0]); err != nil {
			rows = rows[1:]
		}
	}
	if len(rows) == 0 {
		return nil, onnx.Errorf(onnx.ErrMalformed, "CSV: no rows")
	}
	shape, ok := r.shapes.inputs[info.Name]
	if !ok {
		if shape, err = tableShape(len(rows), len(rows[0]), info.Type.Shape); err != nil {
			return nil, err
		}
	}
	return makeTensor(info.Type.Elem, shape, slices.Concat(rows...))
}

// tableShape fits a table to a declared shape: one row or column to a vector,
// a row for each element of the first axis where the other axes take a row's
// length, a row for each time step where the batch is 1.
func tableShape(rows, cols int, want onnx.Shape) ([]int, error) {
	fits := func(d onnx.Dim, n int) bool { return !d.Known() || d.Value == n }
	switch {
	case !want.Ranked() || len(want) == 2:
		return []int{rows, cols}, nil
	case len(want) == 0 && rows*cols == 1:
		return []int{}, nil
	case len(want) == 1 && (rows == 1 || cols == 1):
		return []int{rows * cols}, nil
	case len(want) > 2:
		if inner, ok := want[1:].Ints(); ok {
			if n, err := onnx.NumElements(inner); err == nil && n == cols && fits(want[0], rows) {
				return append([]int{rows}, inner...), nil
			}
		}
		if len(want) == 3 && fits(want[2], cols) {
			if want[1].Value == 1 && fits(want[0], rows) {
				return []int{rows, 1, cols}, nil
			}
			if fits(want[0], 1) && fits(want[1], rows) {
				return []int{1, rows, cols}, nil
			}
		}
	}
	return nil, onnx.Errorf(onnx.ErrShape, "a table of %d rows and %d columns does not fit shape %v; say how with --shape NAME=SIZE,...", rows, cols, want)
}
