package onnx

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// msg builds an encoded message: pairs of field number and value. An int is a
// varint, a string or []byte a length-delimited field, a float32 a fixed32.
func msg(fields ...any) []byte {
	var b []byte
	for i := 0; i < len(fields); i += 2 {
		num := protowire.Number(fields[i].(int))
		switch v := fields[i+1].(type) {
		case int:
			b = protowire.AppendTag(b, num, protowire.VarintType)
			b = protowire.AppendVarint(b, uint64(int64(v)))
		case int64:
			b = protowire.AppendTag(b, num, protowire.VarintType)
			b = protowire.AppendVarint(b, uint64(v))
		case string:
			b = protowire.AppendTag(b, num, protowire.BytesType)
			b = protowire.AppendString(b, v)
		case []byte:
			b = protowire.AppendTag(b, num, protowire.BytesType)
			b = protowire.AppendBytes(b, v)
		case float32:
			b = protowire.AppendTag(b, num, protowire.Fixed32Type)
			b = protowire.AppendFixed32(b, math.Float32bits(v))
		}
	}
	return b
}

// modelOf wraps a graph.
func modelOf(graph []byte) []byte { return msg(1, 8, 7, graph, 8, msg(2, 17)) }

func TestDecodeModel(t *testing.T) {
	weight := msg(1, 2, 2, int(Float), 8, "w", 9, []byte{0, 0, 128, 63, 0, 0, 0, 64})
	node := msg(1, "x", 1, "", 2, "y", 3, "n", 4, "Foo", 7, "com.acme",
		5, msg(1, "alpha", 2, float32(0.5), 20, 1), 5, msg(1, "axes", 8, 3, 8, -1, 20, 7))
	graph := msg(1, node, 2, "g", 5, weight,
		11, msg(1, "x", 2, msg(1, msg(1, 1, 2, msg(1, msg(2, "batch"), 1, msg(1, 7), 1, msg())))),
		12, msg(1, "y", 2, msg(1, msg(1, 1))))
	data := append(modelOf(graph), msg(8, msg(1, "ai.onnx.ml", 2, 3), 99, "later")...)
	m, err := Decode(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := []OpsetImport{{"", 17}, {"ai.onnx.ml", 3}}; m.IRVersion != 8 || !reflect.DeepEqual(m.OpsetImports, want) {
		t.Errorf("ir %d, opsets %v, want 8, %v", m.IRVersion, m.OpsetImports, want)
	}
	if want := msg(99, "later"); string(m.Unknown) != string(want) {
		t.Errorf("unknown fields %x, want %x", m.Unknown, want)
	}
	n := m.Graph.Nodes[0]
	if n.Describe(0) != `node "n" (com.acme:Foo)` || !reflect.DeepEqual(n.Inputs, []string{"x", ""}) {
		t.Errorf("node %v with inputs %q", n.Describe(0), n.Inputs)
	}
	if a := n.Attr("alpha"); a == nil || a.Type != AttrFloat || a.Float != 0.5 {
		t.Errorf("alpha is %+v", a)
	}
	if a := n.Attr("axes"); a == nil || !reflect.DeepEqual(a.Ints, []int64{3, -1}) {
		t.Errorf("axes are %+v", a)
	}
	if s := m.Graph.Inputs[0].Type.String(); s != "tensor(float) [batch 7 ?]" {
		t.Errorf("input is %s", s)
	}
	if s := m.Graph.Outputs[0].Type.String(); s != "tensor(float) [...]" {
		t.Errorf("output without a shape is %s, want unknown rank", s)
	}
	w := m.Graph.Initializers[0]
	if got, err := Data[float32](w.Tensor); err != nil || !reflect.DeepEqual(got, []float32{1, 2}) {
		t.Errorf("weight %v, %v", got, err)
	}
	if got := data[w.Span.Start:w.Span.End]; string(got) != string(weight) {
		t.Errorf("span %v holds %x, want %x", w.Span, got, weight)
	}
}

// TestDecodeTensorFields goes through every element type in both of the forms
// that a file may choose.
func TestDecodeTensorFields(t *testing.T) {
	typed := map[DataType]func(raw []byte) []byte{}
	ints := func(field, width int, signed bool) func([]byte) []byte {
		return func(raw []byte) []byte {
			var b []byte
			for ; len(raw) > 0; raw = raw[width:] {
				v := int64(0)
				for i := width - 1; i >= 0; i-- {
					v = v<<8 | int64(raw[i])
				}
				if signed {
					v = v << (64 - 8*width) >> (64 - 8*width)
				}
				b = protowire.AppendVarint(b, uint64(v))
			}
			return msg(field, b)
		}
	}
	for d := Float; d.Valid(); d++ {
		switch d {
		case String:
			continue
		case Float, Complex64:
			typed[d] = func(raw []byte) []byte { return msg(4, raw) }
		case Double, Complex128:
			typed[d] = func(raw []byte) []byte { return msg(10, raw) }
		case Int64:
			typed[d] = ints(7, 8, true)
		case Uint64:
			typed[d] = ints(11, 8, false)
		case Uint32:
			typed[d] = ints(11, 4, false)
		case Int8, Int16, Int32:
			typed[d] = ints(5, d.Size(), true)
		default:
			typed[d] = ints(5, d.Size(), false)
		}
	}
	for d, field := range typed {
		const n = 5
		raw := make([]byte, rawLen(d, n))
		for i := range raw {
			raw[i] = byte(i*37 + 1)
			if d == Bool {
				raw[i] &= 1
			}
		}
		if d.Bits() == 4 {
			raw[2] &= 0xf
		}
		if d.Bits() == 2 {
			raw[1] &= 3
		}
		fromRaw, err := DecodeTensor(msg(1, n, 2, int(d), 9, raw))
		if err != nil {
			t.Errorf("%v in raw_data: %v", d, err)
			continue
		}
		fromField, err := DecodeTensor(append(msg(1, n, 2, int(d)), field(raw)...))
		if err != nil {
			t.Errorf("%v in its field: %v", d, err)
			continue
		}
		if string(fromRaw.Bytes()) != string(fromField.Bytes()) {
			t.Errorf("%v: %x in raw_data, %x in its field", d, fromRaw.Bytes(), fromField.Bytes())
		}
		if string(fromRaw.FileBytes()) != string(raw) {
			t.Errorf("%v: FileBytes %x, want %x", d, fromRaw.FileBytes(), raw)
		}
	}
	s, err := DecodeTensor(msg(1, 2, 2, int(String), 6, "a", 6, "\xff"))
	if err != nil || !reflect.DeepEqual(s.Strings(), []string{"a", "\xff"}) {
		t.Errorf("strings %v, %v", s, err)
	}
}

func TestDecodeRejects(t *testing.T) {
	tensor := func(fields ...any) []byte { return modelOf(msg(5, msg(fields...))) }
	deep := msg(2, "leaf")
	for range 40 {
		deep = msg(1, msg(4, "If", 5, msg(1, "then_branch", 6, deep, 20, 5)))
	}
	for _, c := range []struct {
		name string
		data []byte
		kind error
		text string
	}{
		{"nothing", nil, ErrMalformed, "empty"},
		{"truncated", modelOf(msg(2, "g"))[:5], ErrMalformed, "field 7"},
		{"a wrong wire type", msg(7, 1), ErrMalformed, "field 7 has wire type 0, want 2"},
		{"two graphs", append(modelOf(msg()), modelOf(msg())...), ErrMalformed, "twice"},
		{"too few bytes", tensor(1, 1000000, 2, 1, 8, "w", 9, "1234"), ErrMalformed, `initializer 0: "w": raw_data has 4 bytes, float[1000000] takes 4000000`},
		{"too many elements", tensor(1, 1, 2, 7, 7, 1, 7, 2), ErrMalformed, "2 elements in field 7"},
		{"elements of another type", tensor(1, 1, 2, 1, 7, 1), ErrMalformed, "field 7, want field 4"},
		{"elements twice", tensor(1, 1, 2, 7, 7, 1, 9, "12345678"), ErrMalformed, "both in raw_data"},
		{"a number that does not fit", tensor(1, 1, 2, 3, 5, 128), ErrMalformed, "no int8"},
		{"no data type", tensor(1, 1, 9, "1234"), ErrType, "data_type 0"},
		{"a future data type", tensor(1, 1, 2, 99, 9, "1234"), ErrType, "data_type 99"},
		{"a negative dimension", tensor(1, -2, 2, 1), ErrShape, "dims[0] is -2"},
		{"overflowing dimensions", tensor(1, 1<<30, 1, 1<<30, 1, 1<<30, 2, 1), ErrShape, "too many elements"},
		{"an enormous claim", tensor(1, 1<<28, 1, 7, 2, 11), ErrLimit, "bytes of tensors"},
		{"raw strings", tensor(1, 1, 2, 8, 9, "a"), ErrMalformed, "raw_data of a string"},
		{"segments", tensor(1, 1, 2, 1, 3, msg(1, 0)), ErrUnsupported, "segments"},
		{"external without location", tensor(1, 1, 2, 1, 14, 1), ErrMalformed, "no location"},
		{"external with a strange key", tensor(1, 1, 2, 1, 14, 1, 13, msg(1, "basepath", 2, "/")), ErrMalformed, `"basepath"`},
		{"external with a negative offset", tensor(1, 1, 2, 1, 14, 1, 13, msg(1, "offset", 2, "-1")), ErrMalformed, "offset"},
		{"external and in the file", tensor(1, 1, 2, 1, 14, 1, 13, msg(1, "location", 2, "x"), 9, "1234"), ErrMalformed, "both"},
		{"deep subgraphs", modelOf(deep), ErrLimit, "depth of subgraphs"},
	} {
		_, err := Decode(c.data, nil)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: error %v, want %v with %q", c.name, err, c.kind, c.text)
		}
	}
}

// TestDecodeLimits tries each limit at its value and one above.
func TestDecodeLimits(t *testing.T) {
	repeat := func(n int, field int, b []byte) []byte {
		var out []byte
		for range n {
			out = append(out, msg(field, b)...)
		}
		return out
	}
	for _, c := range []struct {
		name   string
		limits Limits
		data   func(n int) []byte
	}{
		{"nodes", Limits{Nodes: 3}, func(n int) []byte { return modelOf(repeat(n, 1, msg(4, "Relu"))) }},
		{"attributes", Limits{Attributes: 3}, func(n int) []byte { return modelOf(msg(1, repeat(n, 5, msg(1, "a", 3, 1, 20, 2)))) }},
		{"functions", Limits{Functions: 3}, func(n int) []byte { return append(modelOf(nil), repeat(n, 25, msg(1, "f"))...) }},
		{"bytes of a string", Limits{StringBytes: 3}, func(n int) []byte { return modelOf(msg(2, strings.Repeat("x", n))) }},
		{"rank", Limits{Rank: 3}, func(n int) []byte {
			return modelOf(msg(5, append(repeat0(n, 1, 1), msg(2, 1, 9, "1234")...)))
		}},
		{"rank of a type", Limits{Rank: 3}, func(n int) []byte {
			return modelOf(msg(11, msg(1, "x", 2, msg(1, msg(1, 1, 2, repeat(n, 1, msg(1, 1)))))))
		}},
		{"tensor bytes", Limits{InitializerBytes: 3}, func(n int) []byte { return modelOf(msg(5, msg(1, n, 2, 3, 9, strings.Repeat("x", n)))) }},
		{"depth", Limits{Depth: 3}, func(n int) []byte {
			g := msg(2, "leaf")
			for range n {
				g = msg(1, msg(4, "If", 5, msg(1, "b", 6, g, 20, 5)))
			}
			return modelOf(g)
		}},
	} {
		if _, err := Decode(c.data(3), &DecodeOptions{c.limits}); err != nil {
			t.Errorf("%s: at the limit: %v", c.name, err)
		}
		_, err := Decode(c.data(4), &DecodeOptions{c.limits})
		var limit *LimitError
		if !errors.As(err, &limit) || limit.Got != 4 || limit.Max != 3 {
			t.Errorf("%s: above the limit: %v, want a LimitError of 4 above 3", c.name, err)
		}
	}
	data := modelOf(msg(2, "g"))
	if _, err := Decode(data, &DecodeOptions{Limits{FileBytes: int64(len(data))}}); err != nil {
		t.Error(err)
	}
	if _, err := Decode(data, &DecodeOptions{Limits{FileBytes: int64(len(data)) - 1}}); !errors.Is(err, ErrLimit) {
		t.Errorf("a file above its limit: %v", err)
	}
}

func repeat0(n, field, v int) []byte {
	var out []byte
	for range n {
		out = append(out, msg(field, v)...)
	}
	return out
}

// TestDecodeBoundsMemory gives a file of empty messages, which take two bytes
// each and much more as structures; where addresses have 32 bits, those of
// inputs and outputs are within what a file may take.
func TestDecodeBoundsMemory(t *testing.T) {
	const size = 1 << 20 * (64 / strconv.IntSize)
	for _, field := range []int{1, 5, 15, 11, 13}[:3+strconv.IntSize/64*2] {
		empty := make([]byte, 0, size)
		for len(empty) < size-2 {
			empty = append(empty, msg(field, []byte{})...)
		}
		if _, err := Decode(modelOf(empty), nil); err == nil {
			t.Errorf("%d bytes of empty messages in field %d decode", size, field)
		}
	}
}

func TestDecodeValues(t *testing.T) {
	one := msg(2, int(Int64), 7, 5)
	seq, err := DecodeSequence(msg(1, "s", 2, 1, 3, one, 3, one))
	if err != nil || len(seq.Items) != 2 || seq.Type().Name() != "seq(tensor(int64))" {
		t.Errorf("sequence %v, %v", seq, err)
	}
	if _, err := DecodeSequence(msg(2, 1, 3, one, 3, msg(2, int(Float), 4, float32(1)))); !errors.Is(err, ErrType) {
		t.Errorf("a sequence of two types: %v", err)
	}
	for name, data := range map[string][]byte{"elem_type 0": msg(1, "o"), "a tensor of type 0": msg(2, 1, 3, msg())} {
		if o, err := DecodeOptional(data); err != nil || o.Value != nil {
			t.Errorf("optional with %s: %v, %v", name, o, err)
		}
	}
	o, err := DecodeOptional(msg(2, 3, 5, msg(2, 1, 3, one)))
	if err != nil || o.Type().Name() != "optional(seq(tensor(int64)))" {
		t.Errorf("optional %v, %v", o, err)
	}
	deep := msg(2, 1, 3, one)
	for range 100 {
		deep = msg(2, 3, 5, deep)
	}
	if _, err := DecodeSequence(deep); !errors.Is(err, ErrLimit) {
		t.Errorf("a deep sequence: %v", err)
	}
	m, err := DecodeSequence(msg(2, 4, 6, msg(2, int(String), 4, "k", 5, msg(2, 1, 3, msg(2, 1, 4, float32(2))))))
	if err != nil {
		t.Fatal(err)
	}
	if v := m.Items[0].(*Map); v.Keys.Strings()[0] != "k" || Elements[float32](v.Values)[0] != 2 {
		t.Errorf("map %v", v)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.onnx")
	if err := os.WriteFile(path, modelOf(msg(2, "g")), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, load := range map[string]func() (*Model, error){
		"Load":   func() (*Model, error) { return Load(path, nil) },
		"LoadFS": func() (*Model, error) { return LoadFS(os.DirFS(dir), "m.onnx", nil) },
	} {
		m, err := load()
		if err != nil || m.Graph.Name != "g" || !strings.HasSuffix(m.Path, "m.onnx") {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	if _, err := Load(dir, nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := Load(path, &DecodeOptions{Limits{FileBytes: 3}}); !errors.Is(err, ErrLimit) || !strings.HasPrefix(err.Error(), path) {
		t.Errorf("a file above its limit: %v", err)
	}
	if _, err := Load(filepath.Join(dir, "none"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestDecodedLists wants the lists of a node to be as long as they are: what is
// appended to one must not be in another.
func TestDecodedLists(t *testing.T) {
	long := make([]string, 9)
	for i := range long {
		long[i] = strings.Repeat("x", 30*i) + "y"
	}
	for _, n := range []*Node{
		{OpType: "A"},
		{OpType: "B", Inputs: []string{"a"}},
		{OpType: "C", Outputs: []string{"b"}},
		{OpType: "D", Inputs: []string{"a", "b"}, Outputs: []string{"c"}},
		{OpType: "E", Inputs: long, Outputs: long, Attributes: []*Attribute{{Name: "k", Type: AttrInt}}},
	} {
		data, err := Encode(&Model{IRVersion: 8, Graph: &Graph{Nodes: []*Node{n}}})
		if err != nil {
			t.Fatal(err)
		}
		m, err := Decode(data, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := m.Graph.Nodes[0]
		if !reflect.DeepEqual(got.Inputs, n.Inputs) || !reflect.DeepEqual(got.Outputs, n.Outputs) || len(got.Attributes) != len(n.Attributes) {
			t.Errorf("%s: %q %q %d, want %q %q %d", n.OpType, got.Inputs, got.Outputs, len(got.Attributes), n.Inputs, n.Outputs, len(n.Attributes))
		}
		got.Inputs = append(got.Inputs, "more")
		if !reflect.DeepEqual(got.Outputs, n.Outputs) {
			t.Errorf("%s: the outputs are %q after an input was added", n.OpType, got.Outputs)
		}
	}
}
