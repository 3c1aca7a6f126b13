package onnx

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
)

// tensorsIn finds every tensor that a model's fields lead to.
func tensorsIn(v reflect.Value, found map[*Tensor]bool) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if t, ok := v.Interface().(*Tensor); ok && t != nil {
			found[t] = true
		} else if !v.IsNil() {
			tensorsIn(v.Elem(), found)
		}
	case reflect.Slice:
		for i := range v.Len() {
			tensorsIn(v.Index(i), found)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			tensorsIn(v.Field(i), found)
		}
	}
}

// positions is a model with a tensor of its own, made by next, in every
// position that the format has.
func positions(next func(DataType) *Tensor) *Model {
	sparse := func() *SparseTensor {
		return &SparseTensor{Values: next(Float), Indices: next(Int64), Dims: []int{2}}
	}
	attributes := func(body *Graph) []*Attribute {
		list := []*Attribute{
			{Name: "t", Type: AttrTensor, Tensor: next(Float)},
			{Name: "ts", Type: AttrTensors, Tensors: []*Tensor{next(Int4), next(Double)}},
			{Name: "s", Type: AttrSparseTensor, SparseTensor: sparse()},
			{Name: "ss", Type: AttrSparseTensors, SparseTensors: []*SparseTensor{sparse(), sparse()}},
		}
		if body != nil {
			list = append(list, &Attribute{Name: "g", Type: AttrGraph, Graph: body}, &Attribute{Name: "gs", Type: AttrGraphs, Graphs: []*Graph{{}, body}})
		}
		return list
	}
	graph := func(body *Graph) *Graph {
		return &Graph{
			Nodes:              []*Node{{OpType: "Constant", Attributes: attributes(nil)}, {OpType: "If", Attributes: attributes(body)}},
			Initializers:       []*Initializer{{Name: "a", Tensor: next(Float)}, {Name: "b", Tensor: next(BFloat16)}},
			SparseInitializers: []*SparseInitializer{{Name: "c", Tensor: sparse()}},
		}
	}
	return &Model{
		IRVersion: 10, OpsetImports: []OpsetImport{{"", 20}}, Graph: graph(graph(graph(nil))),
		Functions: []*Function{{Name: "f", Domain: "d", Nodes: []*Node{{OpType: "If", Attributes: attributes(graph(nil))}}, Defaults: attributes(graph(nil))}},
		// a position, but one that is kept as it is
		TrainingInfo: [][]byte{msg(1, msg(5, msg(1, 1, 2, 1, 13, msg(1, "location", 2, "../no such file"), 14, 1)))},
	}
}

func TestEachTensor(t *testing.T) {
	for name, m := range map[string]*Model{"everything": everything(), "positions": positions(func(d DataType) *Tensor { return must(NewZeros(d, []int{1})) })} {
		want, got := map[*Tensor]bool{}, map[*Tensor]bool{}
		tensorsIn(reflect.ValueOf(m), want)
		m.eachTensor(func(t *Tensor) error {
			got[t] = true
			return nil
		})
		if len(want) < 10 || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %d tensors visited of %d", name, len(got), len(want))
		}
	}
}

// saved writes a model as model.onnx into a folder.
func saved(t testing.TB, dir string, m *Model) string {
	t.Helper()
	data, err := Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "model.onnx")
	write(t, path, data)
	return path
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestExternalPositions reads external data in every position, and refuses a
// bad path in every position.
func TestExternalPositions(t *testing.T) {
	dir := t.TempDir()
	var file []byte
	external := func(m *Model, spoil int) *Model {
		file = file[:0]
		at := 0
		m.eachTensor(func(x *Tensor) error {
			if x.ext == nil {
				b := x.FileBytes()
				ext := ExternalData{Location: "sub/w.bin", Offset: int64(len(file)), Length: int64(len(b))}
				if at == spoil {
					ext.Location = "sub/../../w.bin"
				}
				file = append(file, b...)
				at++
				x.ext, x.data, x.lazy = &ext, nil, nil
			}
			return nil
		})
		return m
	}
	count := 0
	again := func() *Model {
		count = 0
		return positions(func(d DataType) *Tensor {
			x := must(NewZeros(d, []int{1}))
			x.Bytes()[0] = byte(count % 8)
			count++
			return x
		})
	}
	path := saved(t, dir, external(again(), -1))
	os.Mkdir(filepath.Join(dir, "sub"), 0o755)
	write(t, filepath.Join(dir, "sub", "w.bin"), file)
	m, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := unlike(m, again()); d != "" {
		t.Errorf("loaded, it differs at %s", d)
	}
	if got := len(m.TrainingInfo); got != 1 {
		t.Errorf("%d training_info, want 1", got)
	}
	for i := range count {
		if _, err := Load(saved(t, dir, external(again(), i)), nil); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), `"sub/../../w.bin"`) {
			t.Errorf("tensor %d outside the folder: %v", i, err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFS(fstest.MapFS{"m.onnx": {Data: data}}, "m.onnx", nil); !errors.Is(err, ErrUnsupported) {
		t.Errorf("from a file system: %v, want an error that matches ErrUnsupported", err)
	}
}

// external is a model with one weight of 3 floats, and an entry for each pair.
func external(pairs ...string) []byte {
	w := msg(1, 3, 2, int(Float), 8, "w", 14, 1)
	for i := 0; i < len(pairs); i += 2 {
		w = append(w, msg(13, msg(1, pairs[i], 2, pairs[i+1]))...)
	}
	return modelOf(msg(5, w))
}

func TestExternalRejects(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "model")
	for _, d := range []string{dir, filepath.Join(dir, "sub"), filepath.Join(top, "other")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	content := []byte("....0123456789ab....")
	for _, name := range []string{"model/w.bin", "model/sub/w.bin", "secret", "other/secret"} {
		write(t, filepath.Join(top, name), content)
	}
	link := func(f func(string, string) error, old, name string) {
		if err := f(old, filepath.Join(dir, name)); err != nil {
			t.Logf("no links here: %v", err)
		}
	}
	link(os.Symlink, "sub/w.bin", "inner")
	link(os.Symlink, "../secret", "outer")
	link(os.Symlink, filepath.Join(top, "secret"), "absolute")
	link(os.Symlink, "../other", "folder")
	link(os.Symlink, "outer", "chain")
	link(os.Symlink, "loop", "loop")
	link(os.Link, filepath.Join(top, "secret"), "hard")
	pipe(t, filepath.Join(dir, "pipe"))
	sum := fmt.Sprintf("%x", sha1.Sum(content))
	for _, c := range []struct {
		name  string
		pairs []string
		kind  error // nil: it loads
		text  string
	}{
		{"range", []string{"location", "w.bin", "offset", "4", "length", "12"}, nil, ""},
		{"to the end", []string{"location", "./sub//w.bin", "offset", "8"}, nil, ""},
		{"checksum", []string{"location", "w.bin", "offset", "4", "checksum", strings.ToUpper(sum)}, nil, ""},
		{"link inside", []string{"location", "inner"}, nil, ""},
		{"..", []string{"location", "../secret"}, ErrMalformed, "not a path within"},
		{"hidden ..", []string{"location", "sub/../../secret"}, ErrMalformed, "not a path within"},
		{"absolute", []string{"location", filepath.ToSlash(filepath.Join(top, "secret"))}, ErrMalformed, "not a path within"},
		{"zero", []string{"location", "w.bin\x00"}, ErrMalformed, ""},
		{"the folder", []string{"location", "."}, ErrMalformed, "regular"},
		{"a folder", []string{"location", "sub"}, ErrMalformed, "regular"},
		{"pipe", []string{"location", "pipe"}, ErrMalformed, "regular"},
		{"link out", []string{"location", "outer"}, ErrMalformed, "escapes"},
		{"absolute link", []string{"location", "absolute"}, ErrMalformed, "escapes"},
		{"link to a link", []string{"location", "chain"}, ErrMalformed, "escapes"},
		{"link of a folder", []string{"location", "folder/secret"}, ErrMalformed, "escapes"},
		{"loop", []string{"location", "loop"}, ErrMalformed, ""},
		{"hard link", []string{"location", "hard"}, ErrMalformed, "2 names"},
		{"missing", []string{"location", "missing"}, fs.ErrNotExist, `external data "missing"`},
		{"no location", []string{"offset", "0"}, ErrMalformed, "no location"},
		{"key", []string{"location", "w.bin", "basepath", "/"}, ErrMalformed, `"basepath"`},
		{"offset", []string{"location", "w.bin", "offset", "-1"}, ErrMalformed, "offset"},
		{"large offset", []string{"location", "w.bin", "offset", "9223372036854775807"}, ErrMalformed, "of a file of 20"},
		{"too large", []string{"location", "w.bin", "offset", "9223372036854775808"}, ErrMalformed, "offset"},
		{"end", []string{"location", "w.bin", "offset", "9"}, ErrMalformed, "12 bytes at offset 9 of a file of 20"},
		{"short", []string{"location", "w.bin", "length", "8"}, ErrMalformed, "length 8, float[3] takes 12"},
		{"long", []string{"location", "w.bin", "length", "16"}, ErrMalformed, "length 16"},
		{"empty", []string{"location", "w.bin", "length", "0"}, ErrMalformed, "length 0"},
		{"another checksum", []string{"location", "w.bin", "checksum", strings.Repeat("0", 40)}, ErrMalformed, sum},
		{"no checksum", []string{"location", "w.bin", "checksum", "xyz"}, ErrMalformed, "hexadecimal"},
	} {
		if strings.Contains(c.name, "link") || c.name == "loop" || c.name == "pipe" {
			if _, err := os.Lstat(filepath.Join(dir, c.pairs[1])); err != nil {
				continue // the platform has none
			}
		}
		path := filepath.Join(dir, "model.onnx")
		write(t, path, external(c.pairs...))
		m, err := Load(path, nil)
		if c.kind != nil {
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), `"w"`) {
				t.Errorf("%s: %v, want %v and %q", c.name, err, c.kind, c.text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		offset := 0
		if len(c.pairs) > 2 {
			fmt.Sscan(c.pairs[3], &offset)
		}
		w := m.Graph.Initializers[0].Tensor
		if got := w.FileBytes(); !bytes.Equal(got, content[offset:offset+12]) || w.External() != nil {
			t.Errorf("%s: read %q", c.name, got)
		}
	}
}

// TestExternalLimits has tensors that only their claims make large, and files
// whose holes make them large.
func TestExternalLimits(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "w.bin"), make([]byte, 100))
	graph := func(n int) *Model {
		m := &Model{IRVersion: 8, Graph: &Graph{}}
		for i := range n {
			m.Graph.Initializers = append(m.Graph.Initializers, &Initializer{Name: fmt.Sprint(i), Tensor: outside(Float, []int{25}, ExternalData{Location: "w.bin", Length: -1})})
		}
		return m
	}
	if err := loadExternal(dir, graph(3), Limits{InitializerBytes: 300}); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if err := loadExternal(dir, graph(3), Limits{InitializerBytes: 299}); !errors.Is(err, ErrLimit) {
		t.Errorf("above the limit: %v", err)
	}
	m := graph(1)
	m.Graph.Initializers[0].Tensor.ext.Checksum = strings.Repeat("0", 40)
	if err := os.Truncate(filepath.Join(dir, "w.bin"), 1000); err != nil {
		t.Fatal(err)
	}
	if err := loadExternal(dir, m, Limits{InitializerBytes: 999}); !errors.Is(err, ErrLimit) {
		t.Errorf("a checksum of a file above the limit: %v", err)
	}
	m = graph(1)
	m.Graph.Initializers[0].Tensor.ext.Offset = -1
	if err := loadExternal(dir, m, Limits{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("a negative offset: %v", err)
	}
	m = graph(1)
	m.Graph.Initializers[0].Tensor.ext.Length = -2
	if err := loadExternal(dir, m, Limits{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("a negative length: %v", err)
	}
	m = graph(1)
	m.Graph.Initializers[0].Tensor.dtype = String
	if err := loadExternal(dir, m, Limits{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("strings: %v", err)
	}
}

// TestMapped reads a file that is large enough to be mapped, at an aligned and
// another offset, and looks at views after the model has gone.
func TestMapped(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "w.bin"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(mapFrom + 1); err != nil { // a hole
		t.Fatal(err)
	}
	f.WriteAt([]byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0x40}, 4096)
	f.WriteAt([]byte{0, 0, 0x40, 0x40, 0, 0, 0x80, 0x40}, mapFrom-7)
	m := &Model{IRVersion: 8, Graph: &Graph{}}
	for _, offset := range []int64{4096, mapFrom - 7} {
		m.Graph.Initializers = append(m.Graph.Initializers, &Initializer{Name: fmt.Sprint(offset),
			Tensor: outside(Float, []int{2}, ExternalData{Location: "w.bin", Offset: offset, Length: 8})})
	}
	m, err = Load(saved(t, dir, m), nil)
	if err != nil {
		t.Fatal(err)
	}
	var views [][]float32
	for _, init := range m.Graph.Initializers {
		v, err := Data[float32](init.Tensor)
		if err != nil {
			t.Fatal(err)
		}
		views = append(views, v)
	}
	m = nil
	for range 3 {
		goruntime.GC()
	}
	if got := fmt.Sprint(views); got != "[[1 2] [3 4]]" {
		t.Errorf("read %s, want [[1 2] [3 4]]", got)
	}
}

// TestMappedModel has the elements in the model's own file.
func TestMappedModel(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 64 MiB")
	}
	large := must(NewZeros(Uint8, []int{mapFrom}))
	large.Bytes()[mapFrom-1] = 9
	path := saved(t, t.TempDir(), &Model{IRVersion: 8, Graph: &Graph{Initializers: []*Initializer{{Name: "w", Tensor: large}, {Name: "v", Tensor: Scalar(3.0)}}}})
	m, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	w, v := m.Graph.Initializers[0].Tensor, m.Graph.Initializers[1].Tensor
	m, large = nil, nil
	for range 3 {
		goruntime.GC()
	}
	if got := w.Bytes(); len(got) != mapFrom || got[mapFrom-1] != 9 || Elements[float64](v)[0] != 3 {
		t.Errorf("%v and %v have other elements", w, v)
	}
	if goruntime.GOOS == "linux" && w.lazy.mapping == nil {
		t.Error("the file was not mapped")
	}
}

// TestMappedTensorIsUsedLast copies tensors that nothing else holds out of their
// mapped files, while memory is collected.
func TestMappedTensorIsUsedLast(t *testing.T) {
	if testing.Short() {
		t.Skip("copies 64 MiB several times")
	}
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "w.bin"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(mapFrom); err != nil { // a hole
		t.Fatal(err)
	}
	path := saved(t, dir, &Model{IRVersion: 8, Graph: &Graph{Initializers: []*Initializer{{Name: "w", Tensor: outside(Uint8, []int{mapFrom}, ExternalData{Location: "w.bin", Length: mapFrom})}}}})
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				goruntime.GC()
			}
		}
	})
	tensor := func() *Tensor {
		m, err := Load(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return m.Graph.Initializers[0].Tensor
	}
	for range 3 {
		if c := tensor().Clone(); c.Bytes()[mapFrom-1] != 0 {
			t.Error("a clone has other elements")
		}
		if b, err := EncodeTensor(tensor(), "w"); err != nil || b[len(b)/2] != 0 {
			t.Errorf("%d bytes, %v", len(b), err)
		}
		var b bytes.Buffer
		b.Grow(mapFrom + 200)
		if err := WriteNPY(&b, tensor()); err != nil {
			t.Error(err)
		}
	}
	close(done)
	wait.Wait()
}
