package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// unlike tells where two models or values differ, "" when they do not. Spans
// and paths do not count, nor does it where a tensor's elements lie.
func unlike(a, b any) string { return unlikeAt("", reflect.ValueOf(a), reflect.ValueOf(b)) }

func unlikeAt(at string, a, b reflect.Value) string {
	if a.IsValid() != b.IsValid() {
		return fmt.Sprintf("%s: %v and %v", at, a, b)
	}
	if !a.IsValid() {
		return ""
	}
	if a.Type() != b.Type() {
		return fmt.Sprintf("%s: %v and %v", at, a.Type(), b.Type())
	}
	if t, ok := a.Interface().(*Tensor); ok {
		return unlikeTensors(at, t, b.Interface().(*Tensor))
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			if a.IsNil() != b.IsNil() {
				return at + ": one is nil"
			}
			return ""
		}
		return unlikeAt(at, a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			name := a.Type().Field(i).Name
			if name == "Span" || name == "Path" || !a.Type().Field(i).IsExported() {
				continue
			}
			if d := unlikeAt(at+"."+name, a.Field(i), b.Field(i)); d != "" {
				return d
			}
		}
		return ""
	case reflect.Slice:
		if a.Len() != b.Len() || a.Type() == reflect.TypeFor[Shape]() && a.IsNil() != b.IsNil() {
			return fmt.Sprintf("%s: %v and %v", at, a, b)
		}
		for i := range a.Len() {
			if d := unlikeAt(fmt.Sprintf("%s[%d]", at, i), a.Index(i), b.Index(i)); d != "" {
				return d
			}
		}
		return ""
	case reflect.Float32:
		if math.Float32bits(float32(a.Float())) == math.Float32bits(float32(b.Float())) {
			return ""
		}
	}
	if !reflect.DeepEqual(a.Interface(), b.Interface()) {
		return fmt.Sprintf("%s: %v and %v", at, a, b)
	}
	return ""
}

func unlikeTensors(at string, a, b *Tensor) string {
	if a == nil || b == nil {
		if a != b {
			return at + ": one is nil"
		}
		return ""
	}
	if a.String() != b.String() || !reflect.DeepEqual(a.External(), b.External()) {
		return fmt.Sprintf("%s: %v %+v and %v %+v", at, a, a.External(), b, b.External())
	}
	if !bytes.Equal(a.FileBytes(), b.FileBytes()) || fmt.Sprintf("%q", a.Strings()) != fmt.Sprintf("%q", b.Strings()) {
		return at + ": elements differ"
	}
	return ""
}

// outside makes a tensor whose elements lie in a file.
func outside(dtype DataType, shape []int, x ExternalData) *Tensor {
	n, err := NumElements(shape)
	if err != nil {
		panic(err)
	}
	t := &Tensor{dtype: dtype, ext: &x}
	t.setShape(shape, n)
	return t
}

// everything is a model with every field that a file can hold.
func everything() *Model {
	sparse := &SparseTensor{Values: MustTensor([]int{1}, []float32{3}), Indices: MustTensor([]int{1}, []int64{5}), Dims: []int{2, 4}}
	tensor := TensorType(Float, Shape{{Value: -1, Name: "batch"}, Fixed(0), UnknownDim})
	scalar := TensorType(String, Shape{})
	unranked := TensorType(Int64, nil)
	body := &Graph{Name: "body", Nodes: []*Node{{OpType: "Identity", Inputs: []string{"x"}, Outputs: []string{"b"}}},
		Outputs: []ValueInfo{{Name: "b"}}, Initializers: []*Initializer{{Name: "inner", Tensor: Scalar(F16(1))}}}
	empty, _ := NewZeros(Double, []int{3, 0})
	attrs := []*Attribute{
		{Name: "f", Type: AttrFloat, Float: float32(math.Copysign(0, -1))},
		{Name: "i", Type: AttrInt, Doc: "zero, yet set"},
		{Name: "s", Type: AttrString, String: "\xff\x00"},
		{Name: "none", Type: AttrString},
		{Name: "t", Type: AttrTensor, Tensor: MustTensor([]int{3}, []I4{-8, 7, 1})},
		{Name: "g", Type: AttrGraph, Graph: body},
		{Name: "floats", Type: AttrFloats, Floats: []float32{1, float32(math.Inf(-1)), 0}},
		{Name: "ints", Type: AttrInts, Ints: []int64{-1, 0, math.MaxInt64}},
		{Name: "no ints", Type: AttrInts},
		{Name: "strings", Type: AttrStrings, Strings: []string{"", "b"}},
		{Name: "tensors", Type: AttrTensors, Tensors: []*Tensor{Scalar(true), MustTensor([]int{2}, []string{"", "é"})}},
		{Name: "graphs", Type: AttrGraphs, Graphs: []*Graph{body, {}}},
		{Name: "sparse", Type: AttrSparseTensor, SparseTensor: sparse},
		{Name: "sparses", Type: AttrSparseTensors, SparseTensors: []*SparseTensor{sparse, sparse}},
		{Name: "type", Type: AttrTypeProto, TypeProto: &tensor},
		{Name: "types", Type: AttrTypeProtos, TypeProtos: []*Type{&scalar, &unranked}, Unknown: msg(77, 1)},
	}
	optional, sequence := OptionalType(SequenceType(unranked)), SequenceType(tensor)
	return &Model{
		IRVersion: 10, OpsetImports: []OpsetImport{{"", 21}, {"com.acme", 2}}, ProducerName: "p", ProducerVersion: "1.2", Domain: "org.example",
		ModelVersion: -3, Doc: "doc", Metadata: []Property{{"k", "v"}, {"empty", ""}}, TrainingInfo: [][]byte{msg(1, msg(2, "g")), {}},
		Configuration: [][]byte{msg(1, "dev")}, Unknown: msg(99, "later", 100, 7),
		Functions: []*Function{{Domain: "com.acme", Name: "F", Overload: "o", Inputs: []string{"a"}, Outputs: []string{"c", "d"}, Attributes: []string{"alpha"},
			Defaults: []*Attribute{{Name: "beta", Type: AttrInt, Int: -1}}, OpsetImports: []OpsetImport{{"", 20}}, Doc: "d", Metadata: []Property{{"a", "b"}},
			Nodes:      []*Node{{OpType: "Relu", Opset: 20, Inputs: []string{"a"}, Outputs: []string{"c"}, Attributes: []*Attribute{{Name: "x", Type: AttrFloat, RefName: "alpha"}}}},
			ValueInfos: []ValueInfo{{Name: "c", Type: tensor}}, Unknown: msg(50, "u")}},
		Graph: &Graph{
			Name: "g", Doc: "graph", Metadata: []Property{{"x", "y"}}, QuantizationAnnotations: [][]byte{msg(1, "w")}, Unknown: msg(60, 1),
			Nodes: []*Node{
				{Name: "n", OpType: "Op", Domain: "com.acme", Overload: "o", Inputs: []string{"", "x", ""}, Outputs: []string{"y", ""}, Attributes: attrs,
					Doc: "node", Metadata: []Property{{"m", "n"}}, DeviceConfigurations: [][]byte{msg(1, "dev")}, Unknown: msg(70, "z")},
			},
			Inputs: []ValueInfo{
				{Name: "x", Type: tensor, Doc: "in", Metadata: []Property{{"q", "r"}}, Unknown: msg(9, "u")},
				{Name: "s", Type: sequence}, {Name: "o", Type: optional},
				{Name: "m", Type: MapType(String, TensorType(Float, nil))},
				{Name: "sp", Type: Type{Kind: KindSparseTensor, Elem: Float, Shape: FixedShape(2, 3), Denotation: "TENSOR"}},
			},
			Outputs:    []ValueInfo{{Name: "y"}, {Name: "z", Type: scalar}},
			ValueInfos: []ValueInfo{{Name: "v", Type: unranked}},
			Initializers: []*Initializer{
				{Name: "w", Tensor: MustTensor([]int{2, 2}, []float32{1, 2, 3, 4}), Doc: "weight", Metadata: []Property{{"location", "x"}}, Unknown: msg(40, "v")},
				{Name: "strings", Tensor: MustTensor([]int{2}, []string{"\xff", ""})},
				{Name: "packed", Tensor: MustTensor([]int{5}, []U2{0, 1, 2, 3, 1})},
				{Name: "empty", Tensor: empty},
				{Name: "outside", Tensor: outside(Float, []int{3}, ExternalData{Location: "w.bin", Offset: 4096, Length: 12, Checksum: strings.Repeat("a", 40)})},
				{Name: "outside too", Tensor: outside(Int64, []int{3}, ExternalData{Location: "sub/w.bin", Length: -1})},
			},
			SparseInitializers: []*SparseInitializer{{Name: "sparse", Tensor: sparse, Unknown: msg(30, 2)}},
		},
	}
}

func TestEncodeModel(t *testing.T) {
	m := everything()
	data, err := Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if cap(data) != len(data) {
		t.Errorf("%d bytes written, %d counted", len(data), cap(data))
	}
	got, err := Decode(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Functions[0].Nodes[0].Opset = 0 // which the function's import says
	if d := unlike(got, m); d != "" {
		t.Errorf("decoded and original differ at %s", d)
	}
	again, err := Encode(got)
	if err != nil || !bytes.Equal(again, data) {
		t.Errorf("encoded again it has %d bytes, want the same %d; %v", len(again), len(data), err)
	}
}

// TestEncodeFields compares small messages with bytes made by field.
func TestEncodeFields(t *testing.T) {
	for _, c := range []struct {
		name string
		v    Value
		want []byte
	}{
		{"float", MustTensor([]int{1, 2}, []float32{1, -2}), msg(1, 1, 1, 2, 2, 1, 9, "\x00\x00\x80\x3f\x00\x00\x00\xc0")},
		{"scalar", Scalar(int16(-2)), msg(2, 5, 9, "\xfe\xff")},
		{"complex", Scalar(complex(float32(1), -2)), msg(2, 14, 9, "\x00\x00\x80\x3f\x00\x00\x00\xc0")},
		{"int4", MustTensor([]int{3}, []I4{1, -1, 2}), msg(1, 3, 2, 22, 9, "\xf1\x02")},
		{"uint2", MustTensor([]int{5}, []U2{1, 2, 3, 0, 1}), msg(1, 5, 2, 25, 9, "\x39\x01")},
		{"string", MustTensor([]int{2}, []string{"a", ""}), msg(1, 2, 2, 8, 6, "a", 6, "")},
		{"sequence", NewSequence(Scalar(true), Scalar(false)), msg(2, 1, 3, msg(2, 9, 9, "\x01"), 3, msg(2, 9, 9, "\x00"))},
		{"no sequence", &Sequence{Elem: TensorType(Float, nil)}, msg(2, 1)},
		{"nested", NewSequence(NewSequence(), NewSequence()), msg(2, 3, 5, "", 5, "")},
		{"optional", &Optional{Value: Scalar(uint8(7))}, msg(2, 1, 3, msg(2, 2, 9, "\x07"))},
		{"nothing", &Optional{Elem: SequenceType(TensorType(Float, nil))}, msg(2, 3)},
		{"map", &Map{MustTensor([]int{2}, []int32{-1, 2}), MustTensor([]int{2}, []uint8{5, 6})},
			msg(2, 6, 3, -1, 3, 2, 5, msg(2, 1, 3, msg(2, 2, 9, "\x05"), 3, msg(2, 2, 9, "\x06")))},
		{"string map", &Map{MustTensor([]int{1}, []string{"k"}), MustTensor([]int{1}, []string{"v"})},
			msg(2, 8, 4, "k", 5, msg(2, 1, 3, msg(2, 8, 6, "v")))},
		{"sparse", &SparseTensor{MustTensor([]int{1}, []uint8{9}), MustTensor([]int{1}, []int64{2}), []int{4}},
			msg(1, msg(1, 1, 2, 2, 9, "\x09"), 2, msg(1, 1, 2, 7, 9, "\x02\x00\x00\x00\x00\x00\x00\x00"), 3, 4)},
	} {
		got, err := EncodeValue(c.v)
		if err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("%s: got %x, want %x; %v", c.name, got, c.want, err)
		}
	}
}

func TestEncodeValue(t *testing.T) {
	sparse := &SparseTensor{MustTensor([]int{1}, []BF16{9}), MustTensor([]int{1, 2}, []int64{0, 2}), []int{1, 4}}
	dict := &Map{MustTensor([]int{3}, []uint64{1, math.MaxUint64, 0}), MustTensor([]int{3}, []float64{1, 2, 3})}
	for _, v := range []Value{
		NewSequence(MustTensor([]int{2}, []F8E4M3{1, 2}), MustTensor([]int{0}, []F8E4M3{})),
		NewSequence(NewSequence(Scalar("a")), NewSequence(Scalar("b"))),
		NewSequence(dict, dict),
		NewSequence(sparse),
		NewSequence(&Optional{Elem: TensorType(Float, nil), Value: Scalar(float32(1))}),
	} {
		data, err := EncodeValue(v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeSequence(data)
		if err != nil {
			t.Errorf("%v: %v", v.Type(), err)
			continue
		}
		if d := unlike(Value(got), v); d != "" {
			t.Errorf("%v: decoded and original differ at %s", v.Type(), d)
		}
	}
	for _, dtype := range []DataType{Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64} {
		keys, _ := NewZeros(dtype, []int{2})
		keys.Bytes()[0] = 3
		v := &Optional{Value: &Map{keys, MustTensor([]int{2}, []int64{4, 5})}}
		data, err := EncodeValue(v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeOptional(data)
		if err != nil {
			t.Errorf("map from %v: %v", dtype, err)
		} else if d := unlike(got.Value, v.Value); d != "" {
			t.Errorf("map from %v: differs at %s", dtype, d)
		}
	}
}

func TestEncodeTensor(t *testing.T) {
	for d := Float; d.Valid(); d++ {
		x, err := NewZeros(d, []int{3, 1})
		if err != nil {
			t.Fatal(err)
		}
		if d == String {
			copy(x.Strings(), []string{"a", "", "\x80"})
		} else {
			x.Bytes()[0] = 1
		}
		data, err := EncodeTensor(x, "name")
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeTensor(data)
		if err != nil {
			t.Errorf("%v: %v", d, err)
		} else if diff := unlikeTensors("", got, x); diff != "" {
			t.Errorf("%v: %s", d, diff)
		}
		if named, err := newDecoder(data, nil).tensor(data); err != nil || named.name != "name" {
			t.Errorf("%v: name %q, want %q; %v", d, named.name, "name", err)
		}
	}
}

func TestEncodeErrors(t *testing.T) {
	model := func(change func(*Model)) *Model {
		m := everything()
		change(m)
		return m
	}
	for _, c := range []struct {
		name string
		m    *Model
		kind error
		text string
	}{
		{"nil", nil, ErrMalformed, "no model"},
		{"opset", model(func(m *Model) { m.Graph.Nodes[0].Opset = 1 }), ErrUnsupported, `node "n" (com.acme:Op): version 1 of domain "com.acme", the model imports 2`},
		{"attribute", model(func(m *Model) { m.Graph.Nodes[0].Attributes[4].Tensor = nil }), ErrMalformed, `node "n" (com.acme:Op): attribute "t": no tensor`},
		{"type", model(func(m *Model) { m.Graph.Nodes[0].Attributes[0].Type = 15 }), ErrMalformed, `attribute type 15`},
		{"initializer", model(func(m *Model) { m.Graph.Initializers[1].Tensor = nil }), ErrMalformed, `initializer "strings": no tensor`},
		{"no initializer", model(func(m *Model) { m.Graph.Initializers[1] = nil }), ErrMalformed, `initializer 1 is missing`},
		{"graph", model(func(m *Model) { m.Graph.Nodes[0].Attributes[5].Graph = nil }), ErrMalformed, `attribute "g": no graph`},
		{"function", model(func(m *Model) { m.Functions[0].Nodes[0] = nil }), ErrMalformed, `function "com.acme:F:o": node 0 is missing`},
	} {
		if _, err := Encode(c.m); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %v and %q", c.name, err, c.kind, c.text)
		}
	}
	for name, v := range map[string]Value{
		"nil": nil, "nil tensor": (*Tensor)(nil), "nil sequence": (*Sequence)(nil), "nil map": (*Map)(nil), "nil optional": (*Optional)(nil), "nil sparse": (*SparseTensor)(nil),
		"mixed":    NewSequence(Scalar(true), NewSequence()),
		"nothing":  &Sequence{Items: []Value{nil}},
		"keys":     &Map{Scalar(float32(1)), Scalar(float32(1))},
		"sizes":    &Map{MustTensor([]int{2}, []int64{1, 2}), MustTensor([]int{1}, []int64{1})},
		"not read": &Map{MustTensor([]int{1}, []int64{1}), outside(Float, []int{1}, ExternalData{Location: "x", Length: -1})},
	} {
		if _, err := EncodeValue(v); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want an error that matches ErrMalformed", name, err)
		}
	}
	huge := outside(String, nil, ExternalData{})
	huge.ext = nil
	long := strings.Repeat("x", 1<<26)
	huge.strs = make([]string, 32)
	for i := range huge.strs {
		huge.strs[i] = long
	}
	huge.setShape([]int{32}, 32)
	if _, err := EncodeTensor(huge, ""); !errors.Is(err, ErrLimit) {
		t.Errorf("2 GiB: %v, want an error that matches ErrLimit", err)
	}
}

// TestEncodeCorpus writes the corpus' models and values and reads them again.
func TestEncodeCorpus(t *testing.T) {
	root := os.Getenv("RECUR_CORPUS")
	if root == "" {
		t.Skip("RECUR_CORPUS is not set")
	}
	models, tensors := 0, 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		ext := filepath.Ext(path)
		if err != nil || d.IsDir() || ext != ".onnx" && ext != ".pb" {
			return err
		}
		if info, err := d.Info(); err != nil || info.Size() > 4<<20 && testing.Short() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if ext == ".onnx" {
			models += reencode(t, path, data, func(b []byte) (any, error) { return Decode(b, nil) },
				func(m any) ([]byte, error) { return Encode(m.(*Model)) })
		} else if strings.Contains(path, "test_data_set") {
			tensors += reencode(t, path, data, func(b []byte) (any, error) { return DecodeTensor(b) },
				func(v any) ([]byte, error) { return EncodeValue(v.(*Tensor)) })
		}
		return nil
	})
	if err != nil || models < 1000 || tensors < 1000 {
		t.Errorf("%d models, %d tensors, %v; want 1000 of each", models, tensors, err)
	}
}

// reencode gives 1 for what decodes, whether or not it differs afterwards.
func reencode(t *testing.T, path string, data []byte, decode func([]byte) (any, error), encode func(any) ([]byte, error)) int {
	t.Helper()
	want, err := decode(data)
	if err != nil {
		return 0
	}
	b, err := encode(want)
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return 1
	}
	got, err := decode(b)
	if err != nil {
		t.Errorf("%s: written again: %v", path, err)
	} else if d := unlike(got, want); d != "" {
		t.Errorf("%s: written again it differs at %s", path, d)
	}
	return 1
}

// FuzzEncode wants every model that decodes to be written, and the bytes to be
// the same after they were read. (Decoded and written it may have lost fields of
// attributes that their type does not name.)
func FuzzEncode(f *testing.F) {
	seedModels(f)
	if data, err := Encode(everything()); err == nil {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Decode(data, &DecodeOptions{fuzzLimits})
		if err != nil {
			return
		}
		out, err := Encode(m)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("decoded, not written: %v", err)
			}
			return
		}
		if len(out) == 0 { // of nothing but zeros; Decode wants something
			return
		}
		got, err := Decode(out, nil)
		if err != nil {
			t.Fatalf("written, not decoded: %v", err)
		}
		again, err := Encode(got)
		if err != nil || !bytes.Equal(again, out) {
			t.Errorf("written again: %x, want %x; %v", again, out, err)
		}
	})
}

// TestEncodeCycles: what holds itself, which only a program can make, has no end.
func TestEncodeCycles(t *testing.T) {
	m := &Model{IRVersion: 8, Graph: &Graph{Name: "g"}}
	branch := func(name string) *Attribute { return &Attribute{Name: name, Type: AttrGraph, Graph: m.Graph} }
	m.Graph.Nodes = []*Node{{OpType: "If", Inputs: []string{"c"}, Outputs: []string{"y"}, Attributes: []*Attribute{branch("then_branch"), branch("else_branch")}}}
	if _, err := Encode(m); !errors.Is(err, ErrLimit) || len(err.Error()) > 20_000 {
		t.Errorf("a graph in itself: %.200v", err)
	}
	list := NewSequence(NewSequence())
	list.Items[0] = list
	list.Items = append(list.Items, list)
	if _, err := EncodeValue(list); !errors.Is(err, ErrLimit) {
		t.Errorf("a sequence in itself: %v", err)
	}
	of := SequenceType(Type{})
	of.Of = &of
	m.Graph = &Graph{Name: "g", Inputs: []ValueInfo{{Name: "x", Type: of}}}
	if _, err := Encode(m); !errors.Is(err, ErrLimit) {
		t.Errorf("a type of itself: %v", err)
	}
}
