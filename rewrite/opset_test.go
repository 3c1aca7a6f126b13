package rewrite_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/rewrite"
	rt "github.com/recur-ml/recur/runtime"
)

func attrOf(name string, v any) *onnx.Attribute {
	a := &onnx.Attribute{Name: name}
	switch v := v.(type) {
	case int:
		a.Type, a.Int = onnx.AttrInt, int64(v)
	case float64:
		a.Type, a.Float = onnx.AttrFloat, float32(v)
	case string:
		a.Type, a.String = onnx.AttrString, v
	case []int64:
		a.Type, a.Ints = onnx.AttrInts, v
	case []float32:
		a.Type, a.Floats = onnx.AttrFloats, v
	case *onnx.Tensor:
		a.Type, a.Tensor = onnx.AttrTensor, v
	case *onnx.Graph:
		a.Type, a.Graph = onnx.AttrGraph, v
	default:
		panic(fmt.Sprintf("attribute of type %T", v))
	}
	return a
}

// op makes a node from "Op a b -> y z"; "_" is an absent name. attrs alternates
// names and values.
func op(text string, attrs ...any) *onnx.Node {
	left, right, _ := strings.Cut(text, "->")
	words := strings.Fields(left)
	n := &onnx.Node{OpType: words[0], Inputs: words[1:], Outputs: strings.Fields(right)}
	n.Name = "the_" + n.OpType
	for _, list := range [][]string{n.Inputs, n.Outputs} {
		for i, name := range list {
			if name == "_" {
				list[i] = ""
			}
		}
	}
	for i := 0; i < len(attrs); i += 2 {
		n.Attributes = append(n.Attributes, attrOf(attrs[i].(string), attrs[i+1]))
	}
	return n
}

func declared(name string, d onnx.DataType, dims ...int) onnx.ValueInfo {
	return onnx.ValueInfo{Name: name, Type: onnx.TensorType(d, onnx.FixedShape(dims...))}
}

func floats(name string, dims ...int) onnx.ValueInfo { return declared(name, onnx.Float, dims...) }

// opsetCase is a model that moves between two opsets and back.
type opsetCase struct {
	name     string
	from, to int
	inputs   []onnx.ValueInfo
	consts   map[string]*onnx.Tensor
	nodes    []*onnx.Node
	outputs  string // names
	ops      string // operators of the moved model's graph but Constants, "" for any
	refused  string // a part of the reason
}

func (c *opsetCase) model() *onnx.Model {
	m := &onnx.Model{IRVersion: int64(max(4, onnx.IRVersionFor(c.from))), OpsetImports: []onnx.OpsetImport{{Version: int64(c.from)}},
		Graph: &onnx.Graph{Name: "g", Nodes: c.nodes, Inputs: c.inputs}}
	for _, o := range strings.Fields(c.outputs) {
		m.Graph.Outputs = append(m.Graph.Outputs, onnx.ValueInfo{Name: o, Type: onnx.TensorType(onnx.Float, nil)})
		if name, ok := strings.CutPrefix(o, "bool:"); ok {
			m.Graph.Outputs[len(m.Graph.Outputs)-1] = onnx.ValueInfo{Name: name, Type: onnx.TensorType(onnx.Bool, nil)}
		}
		if name, ok := strings.CutPrefix(o, "int64:"); ok {
			m.Graph.Outputs[len(m.Graph.Outputs)-1] = onnx.ValueInfo{Name: name, Type: onnx.TensorType(onnx.Int64, nil)}
		}
	}
	for name, t := range c.consts {
		m.Graph.Initializers = append(m.Graph.Initializers, &onnx.Initializer{Name: name, Tensor: t})
	}
	return m
}

// values draws inputs: integers in 0..2, numbers in [-2, 2).
func (c *opsetCase) values() onnx.Values {
	r := rand.New(rand.NewPCG(1, 2))
	out := onnx.Values{}
	for _, v := range c.inputs {
		dims, _ := v.Type.Shape.Ints()
		n, _ := onnx.NumElements(dims)
		switch v.Type.Elem {
		case onnx.Float:
			list := make([]float32, n)
			for i := range list {
				list[i] = r.Float32()*4 - 2
			}
			out[v.Name] = onnx.MustTensor(dims, list)
		case onnx.Int64:
			list := make([]int64, n)
			for i := range list {
				list[i] = int64(r.IntN(5) - 2)
			}
			out[v.Name] = onnx.MustTensor(dims, list)
		case onnx.Bool:
			list := make([]bool, n)
			for i := range list {
				list[i] = r.IntN(2) == 0
			}
			out[v.Name] = onnx.MustTensor(dims, list)
		}
	}
	return out
}

func runModel(t *testing.T, m *onnx.Model, in onnx.Values) onnx.Values {
	t.Helper()
	s, err := rt.LoadModel(m)
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sameBytes(t *testing.T, what string, got, want onnx.Values) {
	t.Helper()
	for name, w := range want {
		g, ok := got[name].(*onnx.Tensor)
		w := w.(*onnx.Tensor)
		if !ok || g.DataType() != w.DataType() || !slices.Equal(g.Shape(), w.Shape()) || !slices.Equal(g.Bytes(), w.Bytes()) {
			t.Errorf("%s: output %q is %v, want %v", what, name, got[name], w)
		}
	}
}

func TestOpset(t *testing.T) {
	f := func(dims []int, list ...float32) *onnx.Tensor { return onnx.MustTensor(dims, list) }
	ints := func(list ...int64) *onnx.Tensor { return onnx.MustTensor([]int{len(list)}, list) }
	body := &onnx.Graph{Name: "body", Inputs: []onnx.ValueInfo{declared("i", onnx.Int64), declared("go", onnx.Bool), floats("h_in", 2, 3)},
		Nodes:   []*onnx.Node{op("Clip h_in low high -> clipped"), op("Softmax clipped -> soft", "axis", -1), op("Add soft x -> h_out"), op("Identity go -> go_on")},
		Outputs: []onnx.ValueInfo{declared("go_on", onnx.Bool), floats("h_out", 2, 3), floats("soft", 2, 3)}}
	branch := func(name, act string) *onnx.Graph {
		return &onnx.Graph{Name: name, Nodes: []*onnx.Node{op("Unsqueeze x axes -> " + name + "_u"), op(act + " " + name + "_u -> " + name + "_y")},
			Outputs: []onnx.ValueInfo{floats(name+"_y", 1, 2, 3)}}
	}
	scan8 := &onnx.Graph{Name: "cell", Inputs: []onnx.ValueInfo{floats("s", 3), floats("v", 3)},
		Nodes: []*onnx.Node{op("Add s v -> s2"), op("Mul s2 s -> e")}, Outputs: []onnx.ValueInfo{floats("s2", 3), floats("e", 3)}}
	lstm := func(in, out string, attrs ...any) *onnx.Node {
		return op("LSTM x w r _ _ "+in+" -> "+out, append(attrs, "hidden_size", 2)...)
	}
	lstmInputs := []onnx.ValueInfo{floats("x", 2, 5, 3), floats("w", 1, 8, 3), floats("r", 1, 8, 2), floats("h", 2, 1, 2), floats("c", 2, 1, 2)}
	for _, c := range []opsetCase{
		{name: "bodies of a loop", from: 13, to: 11, inputs: []onnx.ValueInfo{floats("x", 2, 3)}, outputs: "last all", ops: "Loop",
			consts: map[string]*onnx.Tensor{"n": onnx.Scalar(int64(3)), "true": onnx.Scalar(true), "low": onnx.Scalar(float32(-1)), "high": onnx.Scalar(float32(1))},
			nodes:  []*onnx.Node{op("Loop n true x -> last all", "body", body)}},
		{name: "branches of an If", from: 13, to: 11, inputs: []onnx.ValueInfo{floats("x", 2, 3), declared("b", onnx.Bool)}, outputs: "y", ops: "If",
			consts: map[string]*onnx.Tensor{"axes": ints(0)},
			nodes:  []*onnx.Node{op("If b -> y", "then_branch", branch("then", "Relu"), "else_branch", branch("else", "Tanh"))}},
		{name: "Scan with a batch", from: 8, to: 21, inputs: []onnx.ValueInfo{floats("h", 2, 3), floats("x", 2, 4, 3)}, outputs: "last all", ops: "Scan",
			nodes: []*onnx.Node{op("Scan _ h x -> last all", "body", scan8, "num_scan_inputs", 1)}},
		{name: "Scan reversed", from: 8, to: 9, inputs: []onnx.ValueInfo{floats("h", 2, 3), floats("x", 2, 4, 3)}, outputs: "last all", ops: "Scan",
			nodes: []*onnx.Node{op("Scan _ h x -> last all", "body", scan8, "num_scan_inputs", 1, "directions", []int64{1})}},
		{name: "Scan without a batch", from: 21, to: 8, inputs: []onnx.ValueInfo{floats("h", 3), floats("x", 4, 3)}, outputs: "last all", ops: "Unsqueeze Unsqueeze Scan Squeeze Squeeze",
			nodes: []*onnx.Node{op("Scan h x -> last all", "body", scan8, "num_scan_inputs", 1, "scan_input_directions", []int64{1})}},
		{name: "Scan that stacks along another axis", from: 9, to: 8, inputs: []onnx.ValueInfo{floats("h", 3), floats("x", 4, 3)}, outputs: "last all", refused: "scan_output_axes [1]",
			nodes: []*onnx.Node{op("Scan h x -> last all", "body", scan8, "num_scan_inputs", 1, "scan_output_axes", []int64{1})}},
		{name: "layout", from: 22, to: 7, inputs: lstmInputs, outputs: "y yh yc", ops: "Transpose Transpose Transpose LSTM Transpose Transpose Transpose",
			nodes: []*onnx.Node{lstm("h c", "y yh yc", "layout", 1)}},
		{name: "layout, some outputs", from: 14, to: 1, inputs: lstmInputs, outputs: "yh", ops: "Transpose Transpose Transpose LSTM Transpose",
			nodes: []*onnx.Node{lstm("h c", "_ yh", "layout", 1)}},
		{name: "layout 0", from: 14, to: 3, inputs: lstmInputs[:3], outputs: "y", ops: "LSTM", nodes: []*onnx.Node{lstm("", "y", "layout", 0)}},
		{name: "GRU", from: 22, to: 1, inputs: []onnx.ValueInfo{floats("x", 4, 2, 3), floats("w", 1, 6, 3), floats("r", 1, 6, 2)}, outputs: "y", ops: "GRU",
			nodes: []*onnx.Node{op("GRU x w r -> y", "hidden_size", 2)}},
		{name: "GRU reset after", from: 22, to: 1, inputs: []onnx.ValueInfo{floats("x", 4, 2, 3), floats("w", 1, 6, 3), floats("r", 1, 6, 2)}, outputs: "y", refused: `"linear_before_reset" came with opset 3`,
			nodes: []*onnx.Node{op("GRU x w r -> y", "hidden_size", 2, "linear_before_reset", 1)}},
		{name: "Softmax of an inner axis, up", from: 11, to: 21, inputs: []onnx.ValueInfo{floats("x", 2, 3, 4)}, outputs: "y", ops: "Shape Flatten Softmax Reshape",
			nodes: []*onnx.Node{op("Softmax x -> y", "axis", 1)}},
		{name: "Softmax of the last axis", from: 9, to: 13, inputs: []onnx.ValueInfo{floats("x", 2, 3)}, outputs: "y", ops: "Softmax", nodes: []*onnx.Node{op("Softmax x -> y")}},
		{name: "Softmax of an inner axis, down", from: 13, to: 1, inputs: []onnx.ValueInfo{floats("x", 2, 3, 4)}, outputs: "y", ops: "Transpose LogSoftmax Transpose",
			nodes: []*onnx.Node{op("LogSoftmax x -> y", "axis", -2)}},
		{name: "broadcast by axis", from: 6, to: 14, inputs: []onnx.ValueInfo{floats("x", 2, 3, 4), floats("b", 3)}, outputs: "y", ops: "Unsqueeze Sub",
			nodes: []*onnx.Node{op("Sub x b -> y", "broadcast", 1, "axis", 1)}},
		{name: "broadcast of a scalar", from: 6, to: 7, inputs: []onnx.ValueInfo{floats("x", 2, 3), floats("b", 1)}, outputs: "y", ops: "Pow",
			nodes: []*onnx.Node{op("Abs x -> a"), op("Pow a b -> y", "broadcast", 1, "axis", 0)}[:2]},
		{name: "broadcast, down", from: 14, to: 6, inputs: []onnx.ValueInfo{floats("x", 2, 3, 4), floats("b", 3, 1)}, outputs: "y", ops: "Squeeze Div",
			nodes: []*onnx.Node{op("Div x b -> y")}},
		{name: "broadcast of the first operand, down", from: 14, to: 6, inputs: []onnx.ValueInfo{floats("x", 4), floats("b", 3, 4)}, outputs: "y", ops: "Add",
			nodes: []*onnx.Node{op("Add x b -> y")}},
		{name: "broadcast of both, down", from: 14, to: 6, inputs: []onnx.ValueInfo{floats("x", 3, 1), floats("b", 1, 4)}, outputs: "y", refused: "need the broadcasting of opset 7",
			nodes: []*onnx.Node{op("Add x b -> y")}},
		{name: "Sum", from: 13, to: 6, inputs: []onnx.ValueInfo{floats("x", 3), floats("b", 2, 3)}, outputs: "y", refused: "broadcasting of opset 8", nodes: []*onnx.Node{op("Sum x b -> y")}},
		{name: "GreaterOrEqual", from: 16, to: 11, inputs: []onnx.ValueInfo{floats("x", 3), floats("b", 3)}, outputs: "bool:y", ops: "Greater Equal Or", nodes: []*onnx.Node{op("GreaterOrEqual x b -> y")}},
		{name: "slopes of channels", from: 6, to: 16, inputs: []onnx.ValueInfo{floats("x", 2, 3, 4), floats("s", 3)}, outputs: "y", ops: "Unsqueeze PRelu", nodes: []*onnx.Node{op("PRelu x s -> y")}},
		{name: "slopes of channels, down", from: 16, to: 6, inputs: []onnx.ValueInfo{floats("x", 2, 3, 4), floats("s", 3, 1)}, outputs: "y", ops: "Squeeze PRelu", nodes: []*onnx.Node{op("PRelu x s -> y")}},
		{name: "Clip with bounds that vary", from: 13, to: 8, inputs: []onnx.ValueInfo{floats("x", 5), floats("low")}, outputs: "y", ops: "Max Min",
			consts: map[string]*onnx.Tensor{"high": onnx.Scalar(float32(0.5))}, nodes: []*onnx.Node{op("Clip x low high -> y")}},
		{name: "Clip with one bound that varies", from: 13, to: 8, inputs: []onnx.ValueInfo{floats("x", 5), floats("high")}, outputs: "y", ops: "Clip Min",
			nodes: []*onnx.Node{op("Clip x _ high -> y")}},
		{name: "Clip without bounds", from: 1, to: 13, inputs: []onnx.ValueInfo{floats("x", 5)}, outputs: "y", ops: "Clip", nodes: []*onnx.Node{op("Clip x -> y", "max", 0.25)}},
		{name: "Clip from constants", from: 13, to: 6, inputs: []onnx.ValueInfo{floats("x", 5)}, outputs: "y", ops: "Clip",
			consts: map[string]*onnx.Tensor{"low": onnx.Scalar(float32(-0.5))}, nodes: []*onnx.Node{op("Clip x low -> y")}},
		{name: "mask of a Dropout", from: 7, to: 22, inputs: []onnx.ValueInfo{floats("x", 5)}, outputs: "y mask", ops: "Dropout Cast", nodes: []*onnx.Node{op("Dropout x -> y mask", "ratio", 0.3)}},
		{name: "mask of a Dropout, down", from: 22, to: 7, inputs: []onnx.ValueInfo{floats("x", 5)}, outputs: "y bool:mask", ops: "Dropout Cast",
			consts: map[string]*onnx.Tensor{"ratio": onnx.Scalar(float32(0.3))}, nodes: []*onnx.Node{op("Dropout x ratio -> y mask")}},
		{name: "Dropout that trains", from: 13, to: 11, inputs: []onnx.ValueInfo{floats("x", 5), declared("train", onnx.Bool)}, outputs: "y", refused: "training_mode",
			nodes: []*onnx.Node{op("Dropout x _ train -> y")}},
		{name: "Resize", from: 10, to: 19, inputs: []onnx.ValueInfo{floats("x", 1, 1, 2, 3)}, outputs: "y", ops: "Resize",
			consts: map[string]*onnx.Tensor{"s": f([]int{4}, 1, 1, 2, 3)}, nodes: []*onnx.Node{op("Resize x s -> y")}},
		{name: "Resize that shrinks", from: 10, to: 13, inputs: []onnx.ValueInfo{floats("x", 1, 1, 6, 9)}, outputs: "y", ops: "Resize",
			consts: map[string]*onnx.Tensor{"s": f([]int{4}, 1, 1, 0.4, 0.3)}, nodes: []*onnx.Node{op("Resize x s -> y")}},
		{name: "Resize to sizes", from: 19, to: 11, inputs: []onnx.ValueInfo{floats("x", 1, 1, 2, 3)}, outputs: "y", ops: "Resize",
			consts: map[string]*onnx.Tensor{"s": ints(1, 1, 5, 4)}, nodes: []*onnx.Node{op("Resize x _ _ s -> y", "mode", "linear")}},
		{name: "Upsample", from: 1, to: 13, inputs: []onnx.ValueInfo{floats("x", 1, 1, 2, 3)}, outputs: "y", ops: "Resize",
			nodes: []*onnx.Node{op("Upsample x -> y", "height_scale", 2.0, "width_scale", 2.0, "mode", "bilinear")}},
		{name: "Upsample, down", from: 9, to: 1, inputs: []onnx.ValueInfo{floats("x", 1, 1, 2, 3)}, outputs: "y", ops: "Upsample",
			consts: map[string]*onnx.Tensor{"s": f([]int{4}, 1, 1, 2, 3)}, nodes: []*onnx.Node{op("Upsample x s -> y", "mode", "linear")}},
		{name: "reductions", from: 21, to: 11, inputs: []onnx.ValueInfo{floats("x", 2, 3)}, outputs: "y z n", ops: "ReduceMean ReduceSum Identity",
			consts: map[string]*onnx.Tensor{"a": ints(-1)},
			nodes:  []*onnx.Node{op("ReduceMean x a -> y", "keepdims", 0), op("ReduceSum x -> z"), op("ReduceMax x -> n", "noop_with_empty_axes", 1)}},
		{name: "axes that are not known", from: 21, to: 11, inputs: []onnx.ValueInfo{floats("x", 2, 3), declared("a", onnx.Int64, 1)}, outputs: "y", refused: "axes is not a constant",
			nodes: []*onnx.Node{op("ReduceMean x a -> y")}},
		{name: "uneven Split", from: 18, to: 2, inputs: []onnx.ValueInfo{floats("x", 5, 2)}, outputs: "a b c", ops: "Split", nodes: []*onnx.Node{op("Split x -> a b c", "num_outputs", 3)}},
		{name: "even Split", from: 2, to: 18, inputs: []onnx.ValueInfo{floats("x", 6, 2)}, outputs: "a b c", ops: "Split", nodes: []*onnx.Node{op("Split x -> a b c")}},
		{name: "Slice", from: 13, to: 1, inputs: []onnx.ValueInfo{floats("x", 3, 5)}, outputs: "y", ops: "Slice",
			consts: map[string]*onnx.Tensor{"s": ints(1), "e": ints(-1), "a": ints(-1)}, nodes: []*onnx.Node{op("Slice x s e a -> y")}},
		{name: "Pad of an axis", from: 21, to: 1, inputs: []onnx.ValueInfo{floats("x", 3, 5)}, outputs: "y", ops: "Pad",
			consts: map[string]*onnx.Tensor{"p": ints(1, 2), "a": ints(-1), "v": onnx.Scalar(float32(7))}, nodes: []*onnx.Node{op("Pad x p v a -> y")}},
		{name: "range of a Shape", from: 15, to: 11, inputs: []onnx.ValueInfo{floats("x", 3, 5, 7)}, outputs: "int64:y", ops: "Shape Slice", nodes: []*onnx.Node{op("Shape x -> y", "start", 1, "end", -1)}},
		{name: "TopK", from: 24, to: 1, inputs: []onnx.ValueInfo{floats("x", 3, 5)}, outputs: "y int64:i", ops: "TopK", consts: map[string]*onnx.Tensor{"k": ints(2)}, nodes: []*onnx.Node{op("TopK x k -> y i")}},
		{name: "Tile", from: 13, to: 5, inputs: []onnx.ValueInfo{floats("x", 2, 3)}, outputs: "y", ops: "Tile Tile Identity", consts: map[string]*onnx.Tensor{"r": ints(2, 3)}, nodes: []*onnx.Node{op("Tile x r -> y")}},
		{name: "OneHot of negative indices", from: 9, to: 11, inputs: []onnx.ValueInfo{declared("i", onnx.Int64, 6)}, outputs: "y", ops: "Less Where OneHot",
			consts: map[string]*onnx.Tensor{"d": onnx.Scalar(int64(3)), "v": f([]int{2}, 0, 1)}, nodes: []*onnx.Node{op("OneHot i d v -> y")}},
		{name: "Gemm without C", from: 13, to: 6, inputs: []onnx.ValueInfo{floats("a", 2, 3), floats("b", 3, 4)}, outputs: "y", ops: "Gemm", nodes: []*onnx.Node{op("Gemm a b -> y")}},
		{name: "kinds of Constant", from: 13, to: 8, inputs: []onnx.ValueInfo{floats("x", 2)}, outputs: "y", ops: "Add",
			nodes: []*onnx.Node{op("Constant -> c", "value_floats", []float32{1, 2}), op("Add x c -> y")}},
		{name: "BatchNormalization", from: 15, to: 1, inputs: []onnx.ValueInfo{floats("x", 2, 3), floats("s", 3), floats("b", 3), floats("m", 3)}, outputs: "y", ops: "BatchNormalization",
			consts: map[string]*onnx.Tensor{"v": f([]int{3}, 1, 2, 3)}, nodes: []*onnx.Node{op("BatchNormalization x s b m v -> y")}},
		{name: "Cast", from: 24, to: 1, inputs: []onnx.ValueInfo{floats("x", 4)}, outputs: "int64:y", ops: "Cast", nodes: []*onnx.Node{op("Cast x -> y", "to", 7)}},
		{name: "element type", from: 13, to: 6, inputs: []onnx.ValueInfo{declared("x", onnx.Int64, 4)}, outputs: "int64:y", refused: "tensor(int64)", nodes: []*onnx.Node{op("Relu x -> y")}},
		{name: "no such operator", from: 17, to: 16, inputs: []onnx.ValueInfo{floats("x", 2, 3), floats("s", 3)}, outputs: "y", refused: "the operator begins with opset 17",
			nodes: []*onnx.Node{op("LayerNormalization x s -> y")}},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t) })
	}
}

func (c *opsetCase) test(t *testing.T) {
	m := c.model()
	before, _ := onnx.Encode(m)
	if err := onnx.Check(m); err != nil && c.refused == "" {
		t.Fatal(err)
	}
	moved, changes, err := rewrite.Opset(m, c.to, rewrite.Options{})
	if c.refused != "" {
		if !errors.Is(err, onnx.ErrUnsupported) || !strings.Contains(err.Error(), c.refused) {
			t.Fatalf("error %v, want one about %q", err, c.refused)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if after, _ := onnx.Encode(m); !slices.Equal(before, after) {
		t.Error("the model was modified")
	}
	var got []string
	for _, n := range moved.Graph.Nodes {
		if n.OpType != "Constant" {
			got = append(got, n.OpType)
		}
	}
	if c.ops != "" && !strings.HasSuffix(strings.Join(got, " "), c.ops) {
		t.Errorf("operators %v, want %s", got, c.ops)
	}
	if len(changes) == 0 && len(got) > 1 && c.ops != "" {
		t.Logf("no change is reported")
	}
	data, err := onnx.Encode(moved)
	if err != nil {
		t.Fatal(err)
	}
	again, err := onnx.Decode(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	in := c.values()
	want := runModel(t, m, in)
	sameBytes(t, fmt.Sprintf("opset %d", c.to), runModel(t, again, in), want)
	back, _, err := rewrite.Opset(again, c.from, rewrite.Options{})
	if err != nil {
		t.Logf("not back: %v", err)
		return
	}
	sameBytes(t, fmt.Sprintf("back in opset %d", c.from), runModel(t, back, in), want)
}

// TestOpsetOfModel: what is around the nodes.
func TestOpsetOfModel(t *testing.T) {
	c := opsetCase{from: 13, inputs: []onnx.ValueInfo{floats("x", 2, 3)}, outputs: "y",
		consts: map[string]*onnx.Tensor{"axes": onnx.MustTensor([]int{1}, []int64{0}), "other": onnx.Scalar(float32(1))},
		nodes:  []*onnx.Node{op("Unsqueeze x axes -> u"), op("Mul u other -> y")}}
	m := c.model()
	m.OpsetImports = append(m.OpsetImports, onnx.OpsetImport{Domain: "local", Version: 1})
	m.IRVersion = 8
	m.Functions = []*onnx.Function{{Domain: "local", Name: "F", Inputs: []string{"a"}, Outputs: []string{"b"}, OpsetImports: []onnx.OpsetImport{{Version: 13}},
		Nodes: []*onnx.Node{op("Neg a -> b")}}}
	m.Graph.Nodes = append(m.Graph.Nodes, &onnx.Node{OpType: "F", Domain: "local", Inputs: []string{"y"}, Outputs: []string{"z"}})
	m.Graph.Outputs[0].Name = "z"
	moved, changes, err := rewrite.Opset(m, 11, rewrite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(changes) != 1 || changes[0].Op != "Unsqueeze" || changes[0].From != 13 || changes[0].To != 11 {
		t.Errorf("changes %+v", changes)
	}
	if len(moved.Functions) != 1 || moved.Functions[0].OpsetImports[0].Version != 11 || moved.IRVersion != 8 {
		t.Errorf("%d functions, IR version %d, want the function and the 8 that it needs", len(moved.Functions), moved.IRVersion)
	}
	if i := moved.Graph.Initializers; len(i) != 1 || i[0].Name != "other" {
		t.Errorf("%d initializers are left, want the one that is still read", len(i))
	}
	if up, _, err := rewrite.Opset(m, 23, rewrite.Options{}); err != nil || int(up.IRVersion) != onnx.IRVersionFor(23) || up.OpsetImports[0].Version != 23 {
		t.Errorf("up: %+v, %v", up, err)
	}
	m.Functions[0].Nodes = []*onnx.Node{op("Clip a -> b"), op("Clip a b -> c")}[:1]
	m.Functions[0].OpsetImports[0].Version = 6
	m.Functions[0].Nodes[0].Attributes = []*onnx.Attribute{attrOf("min", 0.5)}
	inlined, _, err := rewrite.Opset(m, 21, rewrite.Options{})
	if err != nil || len(inlined.Functions) != 0 {
		t.Fatalf("%v; a function that cannot be moved by itself must be inlined", err)
	}
	in := c.values()
	sameBytes(t, "inlined", runModel(t, inlined, in), runModel(t, m, in))
	for _, n := range inlined.Graph.Nodes {
		if n.Opset != 0 {
			t.Errorf("node %q means opset %d of its own", n.Name, n.Opset)
		}
	}
	if _, _, err := rewrite.Opset(m, 99, rewrite.Options{}); !errors.Is(err, onnx.ErrUnsupported) {
		t.Errorf("opset 99: %v", err)
	}
}
