package onnx

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// wantError checks that err matches kind and has the text; a nil kind wants none.
func wantError(t *testing.T, err error, kind error, text string) {
	t.Helper()
	switch {
	case kind == nil && err != nil:
		t.Errorf("got error %q, want none", err)
	case kind != nil && err == nil:
		t.Errorf("got no error, want %q", text)
	case kind != nil && (!errors.Is(err, kind) || err.Error() != text):
		t.Errorf("got error %q (matches %v: %v), want %q", err, kind, errors.Is(err, kind), text)
	}
}

func tensorInfo(name string, elem DataType, dims ...int) ValueInfo {
	return ValueInfo{Name: name, Type: TensorType(elem, FixedShape(dims...))}
}

func opNode(op, in, out string, attrs ...*Attribute) *Node {
	return &Node{Name: strings.ToLower(op), OpType: op, Inputs: splitNames(in), Outputs: splitNames(out), Attributes: attrs}
}

// splitNames reads names with blanks between; "_" is an absent one.
func splitNames(names string) []string {
	out := strings.Fields(names)
	for i := range out {
		if out[i] == "_" {
			out[i] = ""
		}
	}
	return out
}

func intAttr(name string, v int64) *Attribute { return &Attribute{Name: name, Type: AttrInt, Int: v} }
func graphAttr(name string, g *Graph) *Attribute {
	return &Attribute{Name: name, Type: AttrGraph, Graph: g}
}
func testInitializer(name string, t *Tensor) *Initializer { return &Initializer{Name: name, Tensor: t} }

// testModel has the nodes between input x and output y, both float [2 3], and
// initializer w; functions can be added.
func testModel(nodes ...*Node) *Model {
	return &Model{IRVersion: 8, OpsetImports: []OpsetImport{{"", 17}}, Graph: &Graph{
		Name:         "g",
		Inputs:       []ValueInfo{tensorInfo("x", Float, 2, 3)},
		Outputs:      []ValueInfo{{Name: "y"}},
		Initializers: []*Initializer{testInitializer("w", MustTensor([]int{3}, []float32{1, 2, 3}))},
		Nodes:        nodes,
	}}
}

func testModelAt(opset int64, nodes ...*Node) *Model {
	m := testModel(nodes...)
	m.OpsetImports[0].Version = opset
	return m
}

// testBranch is the graph of an If or Loop body.
func testBranch(out string, nodes ...*Node) *Graph {
	return &Graph{Name: "branch", Outputs: []ValueInfo{{Name: out}}, Nodes: nodes}
}

func ifNode(out string, then, els *Graph) *Node {
	return opNode("If", "c", out, graphAttr("then_branch", then), graphAttr("else_branch", els))
}

func withCondition(m *Model) *Model {
	m.Graph.Inputs = append(m.Graph.Inputs, tensorInfo("c", Bool))
	return m
}

func TestCheckAccepts(t *testing.T) {
	functions := testModel(&Node{OpType: "Twice", Domain: "my", Inputs: []string{"x"}, Outputs: []string{"y"}, Attributes: []*Attribute{intAttr("to", 1)}})
	functions.Functions = []*Function{{Domain: "my", Name: "Twice", Inputs: []string{"a", "b"}, Outputs: []string{"r"}, Attributes: []string{"to"},
		OpsetImports: []OpsetImport{{"", 13}},
		Nodes: []*Node{opNode("Add", "a a", "s"), opNode("Cast", "s", "r",
			&Attribute{Name: "to", Type: AttrInt, RefName: "to"})}}}
	override := testModel(opNode("Relu", "x x x", "y"))
	override.Functions = []*Function{{Name: "Relu", Inputs: []string{"a", "b", "c"}, Outputs: []string{"a"}}}
	old := testModel(opNode("Relu", "x", "y", &Attribute{Name: "consumed_inputs", Type: AttrInts, Ints: []int64{0}}))
	old.IRVersion, old.OpsetImports = 1, nil
	old.Graph.Initializers = nil
	defaults := testModel(opNode("Add", "x w", "y"))
	defaults.Graph.Inputs = append(defaults.Graph.Inputs, ValueInfo{Name: "w", Type: TensorType(Float, Shape{{-1, "n"}})})
	aliases := testModel(&Node{OpType: "Relu", Domain: "ai.onnx", Inputs: []string{"x"}, Outputs: []string{"y"}})
	aliases.OpsetImports = []OpsetImport{{"ai.onnx", 17}, {"", 17}}
	custom := testModel(&Node{OpType: "Foo", Domain: "my", Inputs: []string{"x", ""}, Outputs: []string{"", "y"}, Attributes: []*Attribute{intAttr("any", 1)}})
	custom.OpsetImports = append(custom.OpsetImports, OpsetImport{"my", 1})
	oldInitializer := testModelAt(5, opNode("Tanh", "x", "y"))
	oldInitializer.IRVersion = 3
	future := testModel(opNode("Relu", "x", "y", intAttr("new", 1)))
	future.OpsetImports[0].Version = 99

	for _, c := range []struct {
		name string
		m    *Model
	}{
		{"chain", testModel(opNode("Relu", "x", "h"), opNode("Add", "h w", "y"))},
		{"initializer that is no input", oldInitializer},
		{"Resize-11 by sizes", testModelAt(12, opNode("Shape", "x", "s"), opNode("Resize", "x _ _ s", "y"))},
		{"any order", testModel(opNode("Add", "h w", "y"), opNode("Relu", "x", "h"))},
		{"captured before it is made", withCondition(testModel(ifNode("y", testBranch("a", opNode("Relu", "h", "a")), testBranch("b", opNode("Neg", "h", "b"))), opNode("Relu", "x", "h")))},
		{"branch output named as the If's", withCondition(testModel(ifNode("y", testBranch("y", opNode("Relu", "x", "y")), testBranch("y", opNode("Neg", "x", "y")))))},
		{"branch gives an outer value", withCondition(testModel(ifNode("y", testBranch("x"), testBranch("w"))))},
		{"initializer hides an outer value", withCondition(testModel(ifNode("y", testBranch("x"), &Graph{Outputs: []ValueInfo{{Name: "x"}}, Initializers: []*Initializer{testInitializer("x", Scalar(float32(1)))}})))},
		{"function", functions},
		{"function overrides operator", override},
		{"no imports", old},
		{"default of an input", defaults},
		{"two names of one domain", aliases},
		{"custom operator", custom},
		{"opset that is not known", future},
		{"deprecated operator", testModel(opNode("Upsample", "x w", "y", intAttr("anything", 1)))},
		{"experimental operator", testModel(opNode("ConstantFill", "x", "y", intAttr("anything", 1)))},
		{"producer's own attribute", testModel(opNode("Relu", "x", "y", intAttr("__mark", 1)))},
		{"types of other values", testModel(opNode("Shape", "x", "s"), opNode("Expand", "x s", "y"))},
		{"trailing absent input", testModel(opNode("Clip", "x _ _", "y"))},
		{"absent variadic list", testModel(opNode("Dropout", "x", "y _"))},
	} {
		t.Run(c.name, func(t *testing.T) { wantError(t, Check(c.m), nil, "") })
	}
}

func TestCheckRefuses(t *testing.T) {
	with := func(m *Model, change func(m *Model)) *Model { change(m); return m }
	relu := func() *Model { return testModel(opNode("Relu", "x", "y")) }
	sparse := func(s *SparseTensor) *Model {
		return with(relu(), func(m *Model) {
			m.Graph.SparseInitializers = []*SparseInitializer{{Name: "s", Tensor: s}}
		})
	}
	function := func(f ...*Function) *Model {
		return with(relu(), func(m *Model) { m.Functions = f })
	}
	calls := func(name string, nodes ...*Node) *Function {
		return &Function{Domain: "my", Name: name, Inputs: []string{"a"}, Outputs: []string{"r"}, Attributes: []string{"k"}, Nodes: nodes}
	}
	my := func(n *Node) *Node { n.Domain = "my"; return n }

	for _, c := range []struct {
		name string
		m    *Model
		kind error
		want string
	}{
		{"no model", nil, ErrMalformed, `no model`},
		{"no graph", &Model{}, ErrMalformed, `the model has no graph`},
		{"no ir_version", with(relu(), func(m *Model) { m.IRVersion = 0; m.Graph.Initializers = nil }), ErrMalformed, `ir_version 0, want 1..14`},
		{"new ir_version", with(relu(), func(m *Model) { m.IRVersion = 99 }), ErrUnsupported, `ir_version 99, want 1..14`},
		{"path", with(relu(), func(m *Model) { m.IRVersion = 99; m.Path = "m.onnx" }), ErrUnsupported, `m.onnx: ir_version 99, want 1..14`},
		{"no imports", with(relu(), func(m *Model) { m.OpsetImports = nil }), ErrMalformed, `no opset_import, which ir_version 8 demands`},
		{"two versions", with(relu(), func(m *Model) { m.OpsetImports = []OpsetImport{{"", 13}, {"ai.onnx", 14}} }), ErrMalformed, `opset_import: versions 13 and 14 of domain "ai.onnx"`},
		{"version 0", with(relu(), func(m *Model) { m.OpsetImports = append(m.OpsetImports, OpsetImport{"my", 0}) }), ErrMalformed, `opset_import: version 0 of domain "my", want 1 or more`},
		{"domain not imported", testModel(my(opNode("Foo", "x", "y"))), ErrMalformed, `node "foo" (my:Foo): domain "my" is not in opset_import`},
		{"no op_type", testModel(&Node{Name: "n", Inputs: []string{"x"}, Outputs: []string{"y"}}), ErrMalformed, `node "n" (): no op_type`},
		{"missing node", testModel(nil), ErrMalformed, `node 0 is missing`},

		{"unknown attribute", testModel(&Node{Name: "lstm_1", OpType: "LSTM", Inputs: splitNames("x x x"), Outputs: splitNames("y"), Attributes: []*Attribute{intAttr("x", 1)}}), ErrMalformed, `node "lstm_1" (LSTM-14): attribute "x": unknown`},
		{"attribute's type", testModel(opNode("Softmax", "x", "y", &Attribute{Name: "axis", Type: AttrFloat})), ErrMalformed, `node "softmax" (Softmax-13): attribute "axis": of type float, want int`},
		{"required attribute", testModel(opNode("Cast", "x", "y")), ErrMalformed, `node "cast" (Cast-13): attribute "to": required and not set`},
		{"attribute twice", testModel(opNode("Softmax", "x", "y", intAttr("axis", 1), intAttr("axis", 0))), ErrMalformed, `node "softmax" (Softmax-13): attribute "axis": set twice`},
		{"attribute without type", testModel(opNode("Softmax", "x", "y", &Attribute{Name: "axis"})), ErrMalformed, `node "softmax" (Softmax-13): attribute "axis": type 0 is none of the format's`},
		{"attribute without tensor", testModel(opNode("Constant", "", "y", &Attribute{Name: "value", Type: AttrTensor})), ErrMalformed, `node "constant" (Constant-13): attribute "value": no value of type tensor`},
		{"attribute without name", testModel(my(opNode("Foo", "x", "y", intAttr("", 1))), opNode("Relu", "x", "z")), ErrMalformed, "node \"foo\" (my:Foo): domain \"my\" is not in opset_import\nnode \"foo\" (my:Foo): attribute \"\": attribute 0 has no name"},
		{"reference outside a function", testModel(opNode("Softmax", "x", "y", &Attribute{Name: "axis", Type: AttrInt, RefName: "k"})), ErrMalformed, `node "softmax" (Softmax-13): attribute "axis": refers to attribute "k" outside a function`},
		{"unnamed node", testModel(&Node{OpType: "Cast", Inputs: splitNames("x"), Outputs: splitNames("_ y")}), ErrMalformed, "node of output \"y\" (Cast-13): attribute \"to\": required and not set\nnode of output \"y\" (Cast-13): 2 outputs, want 1"},

		{"too few inputs", testModel(opNode("LSTM", "x w", "y")), ErrMalformed, `node "lstm" (LSTM-14): 2 inputs, want 3..8`},
		{"too few of a list", testModel(opNode("Concat", "", "y", intAttr("axis", 0))), ErrMalformed, `node "concat" (Concat-13): 0 inputs, want 1 or more`},
		{"absent input", testModel(opNode("LSTM", "x _ w", "y")), ErrMalformed, `node "lstm" (LSTM-14): input W is missing`},
		{"absent Resize-10 scales", testModelAt(10, opNode("Resize", "x _", "y")), ErrMalformed, `node "resize" (Resize-10): input scales is missing`},
		{"absent in a list", testModel(opNode("Concat", "x _", "y", intAttr("axis", 0))), ErrMalformed, `node "concat" (Concat-13): input inputs[1] is missing`},
		{"too many outputs", testModel(opNode("Relu", "x", "y z")), ErrMalformed, `node "relu" (Relu-14): 2 outputs, want 1`},
		{"absent output", testModel(opNode("TopK", "x k", "_ y"), opNode("Constant", "", "k", intAttr("value_int", 1))), ErrMalformed, `node "topk" (TopK-11): output Values is missing`},
		{"no such value", testModel(opNode("Add", "x q", "y")), ErrMalformed, `node "add" (Add-14): input 1, "q": no such value`},
		{"no such output", testModel(), ErrMalformed, `graph output "y": no such value`},
		{"unnamed output", with(relu(), func(m *Model) { m.Graph.Outputs = []ValueInfo{{}} }), ErrMalformed, `graph output 0 has no name`},
		{"element type", with(testModel(opNode("LSTM", "x x x _ w", "y")), func(m *Model) {}), ErrType, `node "lstm" (LSTM-14): input sequence_lens is tensor(float), want T1: tensor(int32)`},
		{"element types agree", with(testModel(opNode("Relu", "x", "h"), opNode("Add", "x h", "y")), func(m *Model) { m.Graph.ValueInfos = []ValueInfo{tensorInfo("h", Double)} }), ErrType, `node "add" (Add-14): input B is tensor(double), want the type of input A, tensor(float)`},

		{"output twice", testModel(opNode("Relu", "x", "y"), opNode("Neg", "x", "y")), ErrMalformed, `value "y" is an output of node "relu" (Relu) and of node "neg" (Neg)`},
		{"output is an input", testModel(opNode("Relu", "w", "x"), opNode("Neg", "x", "y")), ErrMalformed, `value "x" is an output of node "relu" (Relu) and an input or initializer of the graph`},
		{"cycle", testModel(opNode("Add", "x b", "a"), opNode("Relu", "a", "b"), opNode("Neg", "b", "y")), ErrMalformed, `nodes form a cycle: node "add" (Add) reads from node "relu" (Relu) reads from node "add" (Add)`},
		{"cycle through a capture", withCondition(testModel(ifNode("h", testBranch("a", opNode("Relu", "y", "a")), testBranch("b", opNode("Neg", "x", "b"))), opNode("Relu", "h", "y"))), ErrMalformed, `nodes form a cycle: node "if" (If) reads from node "relu" (Relu) reads from node "if" (If)`},
		{"shadowing", withCondition(testModel(opNode("Relu", "x", "h"), opNode("Relu", "h", "h2"), ifNode("y", testBranch("h", opNode("Neg", "x", "h")), testBranch("h2")))), ErrMalformed, `node "if" (If-16): attribute "then_branch": node "neg" (Neg): output "h" is the name of a value of an enclosing graph`},
		{"body", withCondition(testModel(ifNode("y", testBranch("x"), testBranch("a", opNode("Relu", "q", "a"))))), ErrMalformed, `node "if" (If-16): attribute "else_branch": node "relu" (Relu-14): input 0, "q": no such value`},
		{"sibling branch", withCondition(testModel(ifNode("y", testBranch("a", opNode("Relu", "x", "a")), testBranch("b", opNode("Relu", "a", "b"))))), ErrMalformed, `node "if" (If-16): attribute "else_branch": node "relu" (Relu-14): input 0, "a": no such value`},

		{"input twice", with(relu(), func(m *Model) { m.Graph.Inputs = append(m.Graph.Inputs, tensorInfo("x", Float, 2, 3)) }), ErrMalformed, `graph input "x" is listed twice`},
		{"unnamed input", with(relu(), func(m *Model) { m.Graph.Inputs = append(m.Graph.Inputs, tensorInfo("", Float)) }), ErrMalformed, `graph input 1 has no name`},
		{"untyped input", with(relu(), func(m *Model) { m.Graph.Inputs[0].Type = Type{} }), ErrMalformed, `graph input "x" has no type`},
		{"unknown element type", with(relu(), func(m *Model) { m.Graph.ValueInfos = []ValueInfo{tensorInfo("v", 77)} }), ErrType, `value_info "v": type tensor(data type 77)`},
		{"map's key", with(relu(), func(m *Model) {
			m.Graph.ValueInfos = []ValueInfo{{Name: "v", Type: MapType(Float, tensorInfo("", Float).Type)}}
		}), ErrType, `value_info "v": the keys of a map are of type float, want integers or strings`},
		{"rank", with(relu(), func(m *Model) { m.Graph.ValueInfos = []ValueInfo{tensorInfo("v", Float, make([]int, 33)...)} }), ErrLimit, `value_info "v": rank: 33 exceeds the limit of 32`},
		{"initializer twice", with(relu(), func(m *Model) { m.Graph.Initializers = append(m.Graph.Initializers, m.Graph.Initializers[0]) }), ErrMalformed, `initializer "w" is listed twice`},
		{"unnamed initializer", with(relu(), func(m *Model) { m.Graph.Initializers[0].Name = "" }), ErrMalformed, `initializer of type tensor(float) [3] has no name`},
		{"empty initializer", with(relu(), func(m *Model) { m.Graph.Initializers[0].Tensor = nil }), ErrMalformed, `initializer 0 has no tensor`},
		{"initializer's type", with(relu(), func(m *Model) { m.Graph.Inputs = append(m.Graph.Inputs, tensorInfo("w", Double, 3)) }), ErrType, `initializer "w" is tensor(float), the graph input of that name tensor(double)`},
		{"initializer's shape", with(relu(), func(m *Model) { m.Graph.Inputs = append(m.Graph.Inputs, tensorInfo("w", Float, 4)) }), ErrShape, `initializer "w" has shape [3], the graph input of that name [4]`},

		{"sparse order", sparse(&SparseTensor{Values: MustTensor([]int{2}, []float32{1, 2}), Indices: MustTensor([]int{2}, []int64{4, 4}), Dims: []int{2, 3}}), ErrMalformed, `sparse initializer "s": index of value 1 is not above that of value 0`},
		{"sparse shape", sparse(&SparseTensor{Values: MustTensor([]int{2}, []float32{1, 2}), Indices: MustTensor([]int{1}, []int64{4}), Dims: []int{2, 3}}), ErrShape, `sparse initializer "s": indices have shape [1], want [2] or [2 2]`},

		{"sparse attribute", testModel(opNode("Constant", "", "y", &Attribute{Name: "sparse_value", Type: AttrSparseTensor, SparseTensor: &SparseTensor{}})), ErrMalformed, `node "constant" (Constant-13): attribute "sparse_value": a sparse tensor without values or indices`},
		{"a graph missing in a list", testModel(opNode("Relu", "x", "y", &Attribute{Name: "__graphs", Type: AttrGraphs, Graphs: []*Graph{nil}})), ErrMalformed, `node "relu" (Relu-14): attribute "__graphs": no value of type graphs`},
		{"body in a list", testModel(opNode("Relu", "x", "y", &Attribute{Name: "__graphs", Type: AttrGraphs, Graphs: []*Graph{testBranch("q")}})), ErrMalformed, `node "relu" (Relu-14): attribute "__graphs": graph output "q": no such value`},
		{"opset of a node's own", testModel(&Node{OpType: "Squeeze", Opset: 11, Inputs: splitNames("x x"), Outputs: splitNames("y")}), ErrMalformed, `node of output "y" (Squeeze-11): 2 inputs, want 1`},

		{"missing function", function(nil), ErrMalformed, `function 0 is missing`},
		{"unnamed function", function(&Function{Domain: "my", Overload: "o"}), ErrMalformed, `function 0 has no name`},
		{"function's outputs twice", function(&Function{Domain: "my", Name: "F", Overload: "o", Inputs: splitNames("a"), Outputs: splitNames("a a")}), ErrMalformed, `function "my:F:o": output "a" is listed twice`},
		{"function's attribute twice", function(&Function{Domain: "my", Name: "F", Attributes: []string{"k"}, Defaults: []*Attribute{intAttr("k", 1)}}), ErrMalformed, `function "my:F": attribute "k" is listed twice`},
		{"function's default", function(&Function{Domain: "my", Name: "F", Defaults: []*Attribute{{Name: "k", Type: AttrTensor}}}), ErrMalformed, `function "my:F": default of attribute "k": no value of type tensor`},
		{"call against default", with(function(&Function{Domain: "my", Name: "F", Inputs: splitNames("a"), Outputs: splitNames("a"), Defaults: []*Attribute{intAttr("k", 1)}}), func(m *Model) {
			m.Graph.Nodes = []*Node{my(opNode("F", "x", "y", &Attribute{Name: "k", Type: AttrFloat}))}
		}), ErrMalformed, `node "f" (my:F): attribute "k": of type float, the function's default of type int`},
		{"function twice", function(calls("F", opNode("Relu", "a", "r")), calls("F", opNode("Relu", "a", "r"))), ErrMalformed, `function "my:F" is defined twice`},
		{"function's output", function(calls("F")), ErrMalformed, `function "my:F": output "r": no such value`},
		{"function's captures", function(calls("F", opNode("Relu", "x", "r"))), ErrMalformed, `function "my:F": node "relu" (Relu-14): input 0, "x": no such value`},
		{"function's input twice", function(&Function{Domain: "my", Name: "F", Inputs: splitNames("a a"), Outputs: splitNames("a")}), ErrMalformed, `function "my:F": input "a" is listed twice`},
		{"function's reference", function(calls("F", opNode("Softmax", "a", "r", &Attribute{Name: "axis", Type: AttrInt, RefName: "q"}))), ErrMalformed, `function "my:F": node "softmax" (Softmax-13): attribute "axis": refers to "q", which is no attribute of the function`},
		{"recursion", function(calls("F", my(opNode("G", "a", "r"))), calls("G", my(opNode("F", "a", "r")))), ErrMalformed, `functions call themselves: [my:F my:G my:F]`},
		{"recursion in a body", function(calls("F", ifNode("r", testBranch("q", my(opNode("F", "a", "q"))), testBranch("a")), opNode("Cast", "a", "c", intAttr("to", int64(Bool))))), ErrMalformed, `functions call themselves: [my:F my:F]`},
		{"call's inputs", with(function(calls("F", opNode("Relu", "a", "r"))), func(m *Model) { m.Graph.Nodes = []*Node{my(opNode("F", "x x", "y z"))} }), ErrMalformed, "node \"f\" (my:F): 2 inputs, the function has 1\nnode \"f\" (my:F): 2 outputs, the function has 1"},
		{"call's attribute", with(function(calls("F", opNode("Relu", "a", "r"))), func(m *Model) { m.Graph.Nodes = []*Node{my(opNode("F", "x", "y", intAttr("q", 1)))} }), ErrMalformed, `node "f" (my:F): attribute "q": unknown to the function`},
	} {
		t.Run(c.name, func(t *testing.T) { wantError(t, Check(c.m), c.kind, c.want) })
	}
}

// TestCheckNothing: an option that is nil says nothing, as for a load.
func TestCheckNothing(t *testing.T) {
	if err := Check(&Model{}, nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v, want an error that matches ErrMalformed", err)
	}
	for _, g := range []*Graph{nil, {Nodes: []*Node{nil}}} {
		if _, err := Sort(g); !errors.Is(err, ErrMalformed) {
			t.Errorf("Sort gives %v, want an error that matches ErrMalformed", err)
		}
	}
}

func TestCheckLimits(t *testing.T) {
	nested := testBranch("x")
	for range 5 {
		nested = testBranch("q", ifNode("q", nested, testBranch("x")))
	}
	deep := withCondition(testModel(ifNode("y", nested, testBranch("x"))))
	endless := testBranch("q")
	endless.Nodes = []*Node{ifNode("q", endless, endless)}
	chain := testModel(opNode("Relu", "x", "y"))
	for i := range 5 {
		body := &Node{Domain: "my", OpType: fmt.Sprint("F", i+1), Inputs: splitNames("a"), Outputs: splitNames("r")}
		if i == 4 {
			body = opNode("Relu", "a", "r")
		}
		chain.Functions = append(chain.Functions, &Function{Domain: "my", Name: fmt.Sprint("F", i), Inputs: splitNames("a"), Outputs: splitNames("r"), Nodes: []*Node{body}})
	}
	typed := testModel(opNode("Relu", "x", "y"))
	loop := SequenceType(Type{})
	loop.Of = &loop
	typed.Graph.ValueInfos = []ValueInfo{{Name: "v", Type: loop}, {Name: "v", Type: loop}}
	for _, c := range []struct {
		name string
		m    *Model
		l    Limits
		want string // "" accepts
	}{
		{"within", deep, Limits{Depth: 6}, ""},
		{"depth", deep, Limits{Depth: 5}, "depth of subgraphs: 6 exceeds the limit of 5"},
		{"nodes", deep, Limits{Nodes: 5}, "nodes: 6 exceeds the limit of 5"},
		{"a graph within itself", testModel(ifNode("y", endless, endless)), Limits{}, "depth of subgraphs: 33 exceeds the limit of 32"},
		{"a type within itself", typed, Limits{}, `value "v": depth of a type: 33 exceeds the limit of 32`},
		{"attributes", deep, Limits{Attributes: 1}, `node "if" (If): attributes: 2 exceeds the limit of 1`},
		{"functions", chain, Limits{Functions: 4}, "functions: 5 exceeds the limit of 4"},
		{"calls within", chain, Limits{Depth: 5}, ""},
		{"calls", chain, Limits{Depth: 4}, `function "my:F0": depth of function calls: 5 exceeds the limit of 4`},
	} {
		t.Run(c.name, func(t *testing.T) {
			kind := ErrLimit
			if c.want == "" {
				kind = nil
			}
			wantError(t, Check(c.m, CheckLimits(c.l)), kind, c.want)
		})
	}
}

func TestCheckTellsAll(t *testing.T) {
	var nodes []*Node
	for i := range 25 {
		nodes = append(nodes, opNode("Relu", fmt.Sprint("q", i), fmt.Sprint("h", i)))
	}
	err := Check(testModel(append(nodes, opNode("Relu", "x", "y"))...))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 21 || lines[20] != "and 5 more problems" {
		t.Errorf("got %d lines, the last one %q", len(lines), lines[len(lines)-1])
	}
	var all *CheckError
	if !errors.As(err, &all) || len(all.Problems) != 20 || all.More != 5 {
		t.Errorf("got %+v", all)
	}
}

func TestSparseCheck(t *testing.T) {
	values := MustTensor([]int{2}, []float32{1, 2})
	for _, c := range []struct {
		name string
		s    *SparseTensor
		kind error
		want string
	}{
		{"linear", &SparseTensor{values, MustTensor([]int{2}, []int64{0, 5}), []int{2, 3}}, nil, ""},
		{"coordinates", &SparseTensor{values, MustTensor([]int{2, 2}, []int64{0, 2, 1, 0}), []int{2, 3}}, nil, ""},
		{"none", &SparseTensor{MustTensor([]int{0}, []float32{}), MustTensor([]int{0}, []int64{}), []int{0, 3}}, nil, ""},
		{"no values", &SparseTensor{Indices: values}, ErrMalformed, "a sparse tensor without values or indices"},
		{"rank of values", &SparseTensor{Scalar(float32(1)), MustTensor([]int{1}, []int64{0}), []int{2}}, ErrShape, "values have shape [], want rank 1"},
		{"type of indices", &SparseTensor{values, MustTensor([]int{2}, []int32{0, 1}), []int{2}}, ErrType, "indices are of type int32, want int64"},
		{"negative", &SparseTensor{values, MustTensor([]int{2}, []int64{-1, 1}), []int{2}}, ErrMalformed, "index -1 of value 0, want 0..1"},
		{"outside", &SparseTensor{values, MustTensor([]int{2, 2}, []int64{0, 2, 0, 3}), []int{2, 3}}, ErrMalformed, "index 3 of value 1, want 0..2"},
		{"order", &SparseTensor{values, MustTensor([]int{2, 2}, []int64{1, 0, 0, 2}), []int{2, 3}}, ErrMalformed, "index of value 1 is not above that of value 0"},
		{"sizes", &SparseTensor{values, MustTensor([]int{2}, []int64{0, 1}), []int{-2}}, ErrShape, "shape [-2] has a negative size"},
		{"rank of indices", &SparseTensor{values, MustTensor([]int{2, 3}, make([]int64, 6)), []int{2, 3}}, ErrShape, "indices have shape [2 3], want [2] or [2 2]"},
	} {
		t.Run(c.name, func(t *testing.T) { wantError(t, c.s.Check(), c.kind, c.want) })
	}
}
