package onnx

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestSchemaVersions(t *testing.T) {
	for _, c := range []struct {
		domain, name string
		want         []int
	}{
		{"", "LSTM", []int{1, 7, 14, 22}},
		{"", "GRU", []int{1, 3, 7, 14, 22}},
		{"ai.onnx", "RNN", []int{1, 7, 14, 22}},
		{"", "Upsample", []int{1, 7, 9, 10}},
		{"ai.onnx.ml", "LabelEncoder", []int{1, 2, 4}},
		{"ai.onnx.preview.training", "Adam", []int{1}},
		{"", "LabelEncoder", []int{}},
		{"com.example", "LSTM", []int{}},
	} {
		if got := SchemaVersions(c.domain, c.name); !slices.Equal(got, c.want) {
			t.Errorf("SchemaVersions(%q, %q) = %v, want %v", c.domain, c.name, got, c.want)
		}
	}
}

func TestLookupSchema(t *testing.T) {
	for _, c := range []struct {
		domain, name string
		opset, since int // since 0: none
		deprecated   bool
	}{
		{"", "GRU", 0, 0, false},
		{"", "GRU", 1, 1, false},
		{"", "GRU", 2, 1, false},
		{"", "GRU", 13, 7, false},
		{"", "GRU", 1000, 22, false},
		{"", "Einsum", 11, 0, false},
		{"", "Upsample", 9, 9, false},
		{"", "Upsample", 13, 10, true},
		{"ai.onnx.ml", "Scaler", 5, 1, false},
	} {
		s := LookupSchema(c.domain, c.name, c.opset)
		switch {
		case s == nil && c.since != 0, s != nil && s.Since != c.since, s != nil && s.Deprecated != c.deprecated:
			t.Errorf("LookupSchema(%q, %q, %d) = %+v, want since %d", c.domain, c.name, c.opset, s, c.since)
		}
	}
}

func TestSchemaCounts(t *testing.T) {
	versions, operators := map[string]int{}, map[string]map[string]bool{}
	var last *Schema
	for s := range Schemas() {
		versions[s.Domain]++
		if operators[s.Domain] == nil {
			operators[s.Domain] = map[string]bool{}
		}
		operators[s.Domain][s.Name] = true
		if last != nil && fmt.Sprintf("%s %s %03d", last.Domain, last.Name, last.Since) >= fmt.Sprintf("%s %s %03d", s.Domain, s.Name, s.Since) {
			t.Errorf("%s-%d comes after %s-%d", s.Name, s.Since, last.Name, last.Since)
		}
		last = s
	}
	want := map[string]int{"": 629, "ai.onnx.ml": 25, "ai.onnx.preview": 1, "ai.onnx.preview.training": 4}
	if !reflect.DeepEqual(versions, want) {
		t.Errorf("versions by domain: %v, want %v", versions, want)
	}
	for domain, n := range map[string]int{"": 203, "ai.onnx.ml": 19} {
		if got := len(operators[domain]); got != n {
			t.Errorf("domain %q has %d operators, want %d", domain, got, n)
		}
	}
}

func TestSchemaFormals(t *testing.T) {
	for _, c := range []struct {
		name           string
		opset          int
		inputs, output string // "min..max"
		attributes     string
	}{
		{"LSTM", 14, "3..8", "0..3", "activation_alpha activation_beta activations clip direction hidden_size input_forget layout"},
		{"LSTM", 1, "3..8", "0..3", "activation_alpha activation_beta activations clip direction hidden_size input_forget output_sequence"},
		{"Squeeze", 11, "1..1", "1..1", "axes"},
		{"Squeeze", 13, "1..2", "1..1", ""},
		{"Loop", 11, "2..∞", "1..∞", "body"},
		{"Scan", 8, "2..∞", "1..∞", "body directions num_scan_inputs"},
		{"If", 16, "1..1", "1..∞", "else_branch then_branch"},
		{"SequenceMap", 17, "1..∞", "1..∞", "body"},
		{"Constant", 13, "0..0", "1..1", "sparse_value value value_float value_floats value_int value_ints value_string value_strings"},
	} {
		s := LookupSchema("", c.name, c.opset)
		var attrs []string
		for _, a := range s.Attributes {
			attrs = append(attrs, a.Name)
		}
		in, out := arityText(s.MinInputs, s.MaxInputs), arityText(s.MinOutputs, s.MaxOutputs)
		if got := strings.Join(attrs, " "); in != c.inputs || out != c.output || got != c.attributes {
			t.Errorf("%s-%d: inputs %s, outputs %s, attributes %q; want %s, %s, %q", c.name, c.opset, in, out, got, c.inputs, c.output, c.attributes)
		}
	}
}

func arityText(low, high int) string {
	if high == Unbounded {
		return fmt.Sprintf("%d..∞", low)
	}
	return fmt.Sprintf("%d..%d", low, high)
}

func TestSchemaDetails(t *testing.T) {
	lstm := LookupSchema("", "LSTM", 14)
	if f := lstm.Input(4); f.Name != "sequence_lens" || f.Option != OptionalFormal || f.TypeVar != "T1" || f.Types.String() != "tensor(int32)" {
		t.Errorf("LSTM-14 input 4 is %+v", f)
	}
	if f := lstm.Input(8); f != nil {
		t.Errorf("LSTM-14 has input 8: %+v", f)
	}
	if f := lstm.Output(2); f.Name != "Y_c" || f.Types.String() != "tensor(float), tensor(float16), tensor(double)" {
		t.Errorf("LSTM-14 output 2 is %+v", f)
	}
	if f := LookupSchema("", "Loop", 16).Input(100); f == nil || f.Name != "v_initial" || f.Homogeneous {
		t.Errorf("Loop-16 input 100 is %+v", f)
	}
	if f := LookupSchema("ai.onnx.ml", "TreeEnsembleClassifier", 3).Output(1); f.TypeVar != "" || f.Types.String() != "tensor(float)" {
		t.Errorf("TreeEnsembleClassifier-3 output 1 is %+v", f)
	}
	if !LookupSchema("", "Celu", 12).Function || LookupSchema("", "LSTM", 14).Function {
		t.Error("want Celu-12 to have a function body, LSTM-14 none")
	}
	for _, c := range []struct {
		op    string
		opset int
		attr  string
		want  AttrSchema
	}{
		{"GRU", 1, "direction", AttrSchema{Type: AttrString, Default: &Attribute{String: "foward"}}},
		{"GRU", 7, "direction", AttrSchema{Type: AttrString, Default: &Attribute{String: "forward"}}},
		{"LSTM", 14, "layout", AttrSchema{Type: AttrInt, Default: &Attribute{}}},
		{"LSTM", 14, "clip", AttrSchema{Type: AttrFloat}},
		{"RNN", 14, "activations", AttrSchema{Type: AttrStrings, Default: &Attribute{Strings: []string{"Tanh", "Tanh"}}}},
		{"MeanVarianceNormalization", 13, "axes", AttrSchema{Type: AttrInts, Default: &Attribute{Ints: []int64{0, 2, 3}}}},
		{"Clip", 6, "max", AttrSchema{Type: AttrFloat, Default: &Attribute{Float: 3.4028235e38}}},
		{"Cast", 13, "to", AttrSchema{Type: AttrInt, Required: true}},
		{"If", 16, "then_branch", AttrSchema{Type: AttrGraph, Required: true}},
	} {
		got := LookupSchema("", c.op, c.opset).Attribute(c.attr)
		c.want.Name = c.attr
		if c.want.Default != nil {
			c.want.Default.Name, c.want.Default.Type = c.attr, c.want.Type
		}
		if got == nil || !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%s-%d %s = %+v, want %+v", c.op, c.opset, c.attr, got, c.want)
		}
	}
	if a := LookupSchema("", "LSTM", 7).Attribute("layout"); a != nil {
		t.Errorf("LSTM-7 has layout: %+v", a)
	}
}

func TestReleases(t *testing.T) {
	for domain, want := range map[string]int{"": 28, "ai.onnx": 28, "ai.onnx.ml": 5, "ai.onnx.preview": 1, "ai.onnx.preview.training": 1, "com.example": 0} {
		if got := LatestOpset(domain); got != want {
			t.Errorf("LatestOpset(%q) = %d, want %d", domain, got, want)
		}
	}
	for opset, want := range map[int]int{1: 3, 8: 3, 9: 4, 14: 7, 17: 8, 21: 10, 28: 14, 99: 14} {
		if got := IRVersionFor(opset); got != want {
			t.Errorf("IRVersionFor(%d) = %d, want %d", opset, got, want)
		}
	}
}

func TestSchemasReadOnceByMany(t *testing.T) {
	var wg sync.WaitGroup
	got := make([]*Schema, 8)
	for i := range got {
		wg.Go(func() { got[i] = LookupSchema("", "LSTM", 14) })
	}
	wg.Wait()
	for _, s := range got {
		if s == nil || s != got[0] {
			t.Fatalf("goroutines got %p and %p", s, got[0])
		}
	}
}

// TestSchemaTypesKnown holds that every type of the schemas is one that a
// value can have, but for the element types named here.
func TestSchemaTypesKnown(t *testing.T) {
	unknown := map[string]bool{}
	for line := range strings.Lines(schemaText) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if f[0] != "types" {
			continue
		}
		for _, name := range strings.Fields(f[1]) {
			typ, ok := parseType(name)
			if !ok {
				unknown[name] = true
			} else if short := strings.NewReplacer(",tensor(", ",", "))", ")").Replace(typ.Name()); typ.Kind == KindMap && short != name || typ.Kind == KindTensor && typ.Name() != name {
				t.Errorf("%q was read as %s", name, typ.Name())
			}
		}
	}
	for name := range unknown {
		if !strings.Contains(name, "float6e") {
			t.Errorf("type %q is not known", name)
		}
	}
}

func TestParseSchemasRefuses(t *testing.T) {
	for _, text := range []string{
		"what\tx", "op\tai.onnx\tAdd", "op\tai.onnx\tAdd\tx\t-", "in\tX\tT\ts", "release\t1.0\tx",
		"op\td\tAdd\t1\t-\nin\tX\tT\ts", "op\td\tAdd\t1\t-\nin\tX\tT\tq", "op\td\tAdd\t1\t-\nvar\tT\t0",
		"op\td\tAdd\t1\t-\nin\tX\ttensor(float)\tvx", "op\td\tAdd\t1\t-\nattr\ta\tnumber\to",
		"op\td\tAdd\t1\t-\nattr\ta\tint\to\tx", "op\td\tAdd\t1\t-\nattr\ta\ttensor\to\tx", "op\td\tAdd\t1\t-\nattr\ta\tints\to\t1 x",
		"op\td\tAdd\t1\t-\nattr\ta\tstrings\to\t\"x\" y", "release\t1.0\t3\tai.onnx=x",
		"op\td\tAdd\t1\t-\nop\td\tSub\t1\t-\nop\td\tAdd\t2\t-", "op\td\tAdd\t2\t-\nop\td\tAdd\t2\t-",
	} {
		if _, err := parseSchemas(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestTypeSet(t *testing.T) {
	set := NewTypeSet(TensorType(Float, nil), SequenceType(TensorType(Int64, nil)), MapType(String, TensorType(Float, nil)))
	for _, c := range []struct {
		typ  Type
		want bool
	}{
		{Type{}, true},
		{TensorType(Float, FixedShape(2)), true},
		{TensorType(Double, nil), false},
		{TensorType(Undefined, nil), true},
		{TensorType(99, nil), false},
		{TensorType(-1, nil), false},
		{SequenceType(TensorType(Int64, nil)), true},
		{SequenceType(TensorType(Int32, nil)), false},
		{SequenceType(Type{}), true},
		{Type{Kind: KindSequence}, true},
		{OptionalType(TensorType(Float, nil)), false},
		{MapType(String, TensorType(Float, Shape{})), true},
		{MapType(Int64, TensorType(Float, nil)), false},
	} {
		if got := set.Allows(c.typ); got != c.want {
			t.Errorf("Allows(%s) = %v, want %v", c.typ.Name(), got, c.want)
		}
	}
	var all *TypeSet
	if !all.Allows(TensorType(Float, nil)) || all.Types() != nil || all.Elems() != nil || all.String() != "any type" {
		t.Error("a nil set does not hold everything")
	}
	if got := TensorTypes(Double, Float).Elems(); !slices.Equal(got, []DataType{Float, Double}) {
		t.Errorf("Elems = %v", got)
	}
}

func TestBindTypes(t *testing.T) {
	f, d, i64, i32 := TensorType(Float, nil), TensorType(Double, nil), TensorType(Int64, nil), TensorType(Int32, nil)
	none := Type{}
	many := make([]Type, 1000)
	for i := range many {
		many[i] = f
	}
	for _, c := range []struct {
		name  string
		op    string
		opset int
		in    []Type
		err   string // "" accepts
		kind  error
	}{
		{"LSTM float", "LSTM", 14, []Type{f, f, f, none, i32, f, f, f}, "", nil},
		{"LSTM mixed", "LSTM", 14, []Type{f, f, d}, "input R is tensor(double), want the type of input X, tensor(float)", ErrType},
		{"LSTM lengths", "LSTM", 14, []Type{f, f, f, none, i64}, "input sequence_lens is tensor(int64), want T1: tensor(int32)", ErrType},
		{"LSTM kind", "LSTM", 14, []Type{SequenceType(f)}, "input X is seq(tensor(float)), want T: tensor(float), tensor(float16), tensor(double)", ErrType},
		{"unknown first", "Add", 14, []Type{none, d}, "", nil},
		{"unknown element", "Add", 14, []Type{TensorType(Undefined, nil), d}, "", nil},
		{"too many", "Add", 14, []Type{f, f, f}, "input 2: there are 2 at most", ErrMalformed},
		{"homogeneous variadic", "Concat", 13, []Type{f, f, i64}, "input inputs[2] is tensor(int64), want the type of input inputs[0], tensor(float)", ErrType},
		{"long variadic", "Concat", 13, many, "", nil},
		{"mixed variadic", "Loop", 16, []Type{i64, TensorType(Bool, nil), f, d, i32}, "", nil},
		{"two variables", "Gather", 13, []Type{f, i64}, "", nil},
		{"old version", "Add", 1, []Type{i64, i64}, "input A is tensor(int64), want T: tensor(float), tensor(float16), tensor(double)", ErrType},
		{"old add, int64 from 6", "Add", 6, []Type{i64, i64}, "", nil},
		{"sequence", "SequenceAt", 11, []Type{SequenceType(f), i64}, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := LookupSchema("", c.op, c.opset).BindTypes(c.in)
			wantError(t, err, c.kind, c.err)
		})
	}
}

func BenchmarkParseSchemas(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseSchemas(schemaText); err != nil {
			b.Fatal(err)
		}
	}
}
