package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/recur-ml/recur/onnx"
)

// inputReader reads the values that -i flags name for a model's inputs.
type inputReader struct {
	c      *cli
	known  []onnx.ValueInfo // everything that a run of the model accepts
	shapes *shapeFlags
	cast   bool  // convert element types
	most   int64 // bytes of a file
	values onnx.Values
}

// read takes one -i flag: NAME=SOURCE, or a SOURCE that names the inputs itself.
func (r *inputReader) read(flag string) error {
	name, source, ok := r.split(flag)
	if !ok {
		return r.readAll(flag)
	}
	i := slices.IndexFunc(r.known, func(v onnx.ValueInfo) bool { return v.Name == name })
	if i < 0 {
		return hintf("input %q: no such input; the model has %s", name, names(r.known))
	}
	if source == "" {
		return hintf("-i %s: nothing after the =; want a file, -, or JSON", flag)
	}
	v, err := r.value(r.known[i], source)
	if errors.As(err, new(*fs.PathError)) { // it says the file itself
		return fmt.Errorf("input %q: %w", name, err)
	}
	if err != nil {
		return fmt.Errorf("input %q: %s: %w", name, source, err)
	}
	return r.set(r.known[i], v)
}

func (r *inputReader) set(info onnx.ValueInfo, v onnx.Value) error {
	if _, twice := r.values[info.Name]; twice {
		return usagef("input %q is given twice", info.Name)
	}
	if t, ok := v.(*onnx.Tensor); ok && info.Type.Kind == onnx.KindTensor && t.DataType() != info.Type.Elem {
		if !r.cast {
			return fmt.Errorf("input %q: element type %v, model wants %v (--cast converts)", info.Name, t.DataType(), info.Type.Elem)
		}
		converted, err := cast(t, info.Type.Elem)
		if err != nil {
			return fmt.Errorf("input %q: %w", info.Name, err)
		}
		v = converted
	}
	r.values[info.Name] = v
	return nil
}

// split cuts a flag at the "=" that ends the name of an input, else at the
// first one. A flag that is a file's name as it stands is not cut.
func (r *inputReader) split(flag string) (name, source string, ok bool) {
	for i := range flag {
		if flag[i] == '=' && slices.ContainsFunc(r.known, func(v onnx.ValueInfo) bool { return v.Name == flag[:i] }) {
			return flag[:i], flag[i+1:], true
		}
	}
	if _, err := os.Stat(flag); err == nil {
		return "", "", false
	}
	return strings.Cut(flag, "=")
}

// value reads one input from a file, from stdin, or from JSON on the command line.
func (r *inputReader) value(info onnx.ValueInfo, source string) (onnx.Value, error) {
	path, key := source, ""
	if i := strings.LastIndex(strings.ToLower(source), ".npz:"); i >= 0 {
		path, key = source[:i+4], source[i+5:]
	}
	data, err := r.bytes(path)
	if err != nil && source != "-" && isLiteral(source) {
		return r.json(info, []byte(source))
	}
	if err != nil {
		return nil, err
	}
	return r.decode(info, path, key, data)
}

// decode reads an input from what a file holds.
func (r *inputReader) decode(info onnx.ValueInfo, path, key string, data []byte) (onnx.Value, error) {
	switch formatOf(path, data) {
	case "npz":
		arrays, err := onnx.ReadNPZ(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return nil, err
		}
		return pick(arrays, key, info.Name)
	case "npy":
		return onnx.ReadNPY(bytes.NewReader(data))
	case "pb":
		return decodeProto(info.Type.Kind, data)
	case "csv":
		return r.csv(info, data)
	case "json":
		return r.json(info, data)
	}
	return nil, usagef("unknown kind of file; want .npz, .npy, .pb, .json or .csv")
}

// readAll reads a file that names the inputs itself.
func (r *inputReader) readAll(path string) error {
	data, err := r.bytes(path)
	if err != nil {
		return err
	}
	given := map[string]func(onnx.ValueInfo) (onnx.Value, error){}
	switch formatOf(path, data) {
	case "npz":
		arrays, err := onnx.ReadNPZ(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for name, t := range arrays {
			given[name] = func(onnx.ValueInfo) (onnx.Value, error) { return t, nil }
		}
	case "json":
		fields, err := jsonFields(data)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for name, text := range fields {
			given[name] = func(info onnx.ValueInfo) (onnx.Value, error) { return r.json(info, text) }
		}
	default:
		if len(r.known) != 1 {
			return hintf("-i %s: which input is that? Want NAME=%s with one of %s", path, path, names(r.known))
		}
		v, err := r.decode(r.known[0], path, "", data)
		if err != nil {
			return fmt.Errorf("input %q: %s: %w", r.known[0].Name, path, err)
		}
		return r.set(r.known[0], v)
	}
	return r.take(path, given)
}

// take sets the inputs that a file names, and says what it passes over.
func (r *inputReader) take(path string, given map[string]func(onnx.ValueInfo) (onnx.Value, error)) error {
	taken := 0
	for _, info := range r.known {
		get, ok := given[info.Name]
		if !ok {
			continue
		}
		delete(given, info.Name)
		taken++
		v, err := get(info)
		if err != nil {
			return fmt.Errorf("input %q: %s: %w", info.Name, path, err)
		}
		if err := r.set(info, v); err != nil {
			return err
		}
	}
	rest := quotedList(sorted(given))
	if taken == 0 {
		return hintf("%s: none of %s is an input; the model has %s", path, rest, names(r.known))
	}
	if len(given) > 0 {
		r.c.logf("%s: passed over %s: the model has no such input", path, rest)
	}
	return nil
}

// bytes reads a file, or stdin.
func (r *inputReader) bytes(path string) ([]byte, error) {
	var in io.Reader
	if path == "-" {
		stdin, err := r.c.stdin()
		if err != nil {
			return nil, err
		}
		in = stdin
	} else {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, r.most))
	if err == nil && int64(len(data)) == r.most {
		if n, _ := io.ReadFull(in, make([]byte, 1)); n > 0 {
			err = &onnx.LimitError{What: "bytes of a file", Got: r.most + 1, Max: r.most}
		}
	}
	return data, err
}

// formatOf tells a file's format by its name, else by how it begins.
func formatOf(path string, data []byte) string {
	ext := strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), ".")
	text := bytes.TrimSpace(data[:min(len(data), 512)])
	switch {
	case slices.Contains([]string{"npz", "npy", "pb", "csv", "json"}, ext):
		return ext
	case bytes.HasPrefix(data, []byte("PK")):
		return "npz"
	case bytes.HasPrefix(data, []byte("\x93NUMPY")):
		return "npy"
	case len(text) > 0 && strings.ContainsRune("{[\"", rune(text[0])):
		return "json"
	case path == "-" && len(text) > 0 && strings.ContainsRune("+-.0123456789", rune(text[0])):
		return "csv"
	case path == "-" && data != nil:
		return "pb"
	}
	return ""
}

// isLiteral reports whether a source that is no file is a value itself.
func isLiteral(s string) bool {
	return formatOf(s, nil) == "" && s != "" && strings.ContainsRune("[{\"-0123456789", rune(s[0])) || s == "true" || s == "false" || s == "null"
}

// pick chooses an array of an .npz: by key, by the input's name, or the only one.
func pick(arrays map[string]*onnx.Tensor, key, input string) (onnx.Value, error) {
	if t := arrays[key]; t != nil {
		return t, nil
	}
	if t := arrays[input]; t != nil && key == "" {
		return t, nil
	}
	if key == "" && len(arrays) == 1 {
		for _, t := range arrays {
			return t, nil
		}
	}
	if key == "" {
		return nil, hintf("which array? Write FILE.npz:KEY with one of %s", quotedList(sorted(arrays)))
	}
	return nil, hintf("no array %q; there are %s", key, quotedList(sorted(arrays)))
}

func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
