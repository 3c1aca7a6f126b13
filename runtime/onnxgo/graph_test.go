package onnxgo_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	goonnx "github.com/owulveryck/onnx-go"
	gonum "gonum.org/v1/gonum/graph"
	"gorgonia.org/tensor"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
	"github.com/recur-ml/recur/runtime/onnxgo"
)

// decode decodes a model into a backend of its opset.
func decode(t *testing.T, m *onnx.Model, options ...onnxgo.Option) (*goonnx.Model, *onnxgo.Backend) {
	t.Helper()
	data, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	b := onnxgo.New(append([]onnxgo.Option{onnxgo.Opset(int(m.OpsetImports[0].Version))}, options...)...)
	g := goonnx.NewModel(b)
	if err := g.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	return g, b
}

func vec(v ...float32) *tensor.Dense { return dense([]int{len(v)}, v) }

func dense[T any](shape []int, v []T) *tensor.Dense {
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(v))
}

func set(t *testing.T, g *goonnx.Model, name string, x tensor.Tensor) {
	t.Helper()
	if err := carrier(t, g, name).SetTensor(x); err != nil {
		t.Fatal(err)
	}
}

func carrier(t *testing.T, g *goonnx.Model, name string) goonnx.DataCarrier {
	t.Helper()
	n, ok := g.GetNodeByName(name)
	if !ok {
		t.Fatalf("no node %q", name)
	}
	return n.(goonnx.DataCarrier)
}

func run(t *testing.T, b *onnxgo.Backend) {
	t.Helper()
	if err := b.Run(); err != nil {
		t.Fatal(err)
	}
}

func wantData(t *testing.T, g *goonnx.Model, name string, shape []int, data any) {
	t.Helper()
	got := carrier(t, g, name).GetTensor()
	if got == nil {
		t.Fatalf("%s has no tensor", name)
	}
	if !slices.Equal(got.Shape(), shape) || fmt.Sprint(got.Data()) != fmt.Sprint(data) {
		t.Errorf("%s = %v %v, want %v %v", name, got.Shape(), got.Data(), shape, data)
	}
}

func floats(name string, dims ...int) onnx.ValueInfo {
	return onnx.ValueInfo{Name: name, Type: onnx.TensorType(onnx.Float, onnx.FixedShape(dims...))}
}

func op(name, inputs, outputs string, attributes ...*onnx.Attribute) *onnx.Node {
	n := &onnx.Node{OpType: name, Outputs: strings.Split(outputs, ","), Attributes: attributes}
	if inputs != "none" {
		n.Inputs = strings.Split(inputs, ",")
	}
	return n
}

func model(opset int64, inputs, outputs []onnx.ValueInfo, nodes ...*onnx.Node) *onnx.Model {
	return &onnx.Model{
		IRVersion: 4, OpsetImports: []onnx.OpsetImport{{Version: opset}},
		Graph: &onnx.Graph{Name: "test", Inputs: inputs, Outputs: outputs, Nodes: nodes},
	}
}

// A recurrent model leaves out optional inputs and outputs: the nameless node
// then leads to itself.
func TestRecurrent(t *testing.T) {
	hidden := &onnx.Attribute{Name: "hidden_size", Type: onnx.AttrInt, Int: 1}
	m := model(7,
		[]onnx.ValueInfo{floats("x", 3, 1, 1), floats("w", 1, 1, 1), floats("r", 1, 1, 1), floats("h0", 1, 1, 1)},
		[]onnx.ValueInfo{floats("y_h", 1, 1, 1), floats("h2", 1, 1, 1)},
		op("RNN", "x,w,r,,,h0", ",y_h", hidden),
		op("RNN", "x,w,r", "y2,h2", hidden),
	)
	g, b := decode(t, m)
	x := []float32{0.5, -1, 2}
	for i, data := range [][]float32{x, {0.25}, {0.5}, {0.75}} {
		if err := g.SetInput(i, dense([]int{len(data), 1, 1}, data)); err != nil {
			t.Fatal(err)
		}
	}
	run(t, b)
	for name, h := range map[string]float64{"y_h": 0.75, "h2": 0} {
		for _, v := range x {
			h = math.Tanh(0.25*float64(v) + 0.5*h)
		}
		got := carrier(t, g, name).GetTensor()
		if !slices.Equal(got.Shape(), []int{1, 1, 1}) {
			t.Fatalf("%s has shape %v", name, got.Shape())
		}
		if d := float64(got.Data().([]float32)[0]) - h; math.Abs(d) > 1e-6 {
			t.Errorf("%s = %v, want %v", name, got.Data(), h)
		}
	}
}

func TestGraphs(t *testing.T) {
	half := &onnx.Attribute{Name: "value", Type: onnx.AttrTensor, Tensor: onnx.MustTensor([]int{2}, []float32{0.5, 1})}
	axis := &onnx.Attribute{Name: "axis", Type: onnx.AttrInt, Int: 0}
	x := []onnx.ValueInfo{floats("x", 2)}
	y := []onnx.ValueInfo{floats("y", 2)}
	withInfo := model(9, x, y, op("Neg", "x", "m"), op("Abs", "m", "y"))
	withInfo.Graph.ValueInfos = []onnx.ValueInfo{floats("x", 2), floats("m", 2), floats("y", 2)}
	unsorted := model(9, x, y, op("Abs", "m", "y"), op("Neg", "x", "m"))
	tests := []struct {
		name  string
		model *onnx.Model
		want  map[string][]float32
	}{
		{"an input read twice", model(9, x, y, op("Sub", "x,x", "y")), map[string][]float32{"y": {0, 0}}},
		{"order of inputs", model(9, x, y, op("Abs", "x", "a"), op("Sub", "a,x", "y")), map[string][]float32{"y": {0, 4}}},
		{"several outputs", model(9, x, []onnx.ValueInfo{floats("p", 1), floats("q", 1)}, op("Split", "x", "p,q", axis)), map[string][]float32{"p": {1}, "q": {-2}}},
		{"an output that is read", model(9, x, []onnx.ValueInfo{floats("m", 2), floats("y", 2)}, op("Neg", "x", "m"), op("Abs", "m", "y")),
			map[string][]float32{"m": {-1, 2}, "y": {1, 2}}},
		{"an input that is an output", model(9, x, []onnx.ValueInfo{floats("x", 2), floats("y", 2)}, op("Neg", "x", "y")), map[string][]float32{"x": {1, -2}, "y": {-1, 2}}},
		{"declared values", withInfo, map[string][]float32{"m": {-1, 2}, "y": {1, 2}}},
		{"nodes without inputs", model(9, x, y, op("Constant", "none", "c", half), op("Constant", "none", "d", half), op("Mul", "c,d", "e"), op("Add", "e,x", "y")),
			map[string][]float32{"y": {1.25, -1}}},
		{"nodes in another order", unsorted, map[string][]float32{"y": {1, 2}}},
		{"an output not wanted", model(7, x, y, op("Dropout", "x", "y,mask")), map[string][]float32{"y": {1, -2}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, b := decode(t, tt.model)
			if err := g.SetInput(0, vec(1, -2)); err != nil {
				t.Fatal(err)
			}
			run(t, b)
			for name, want := range tt.want {
				got := carrier(t, g, name).GetTensor()
				if got == nil {
					t.Fatalf("%s has no tensor", name)
				}
				data, ok := got.Data().([]float32)
				if !ok {
					data = []float32{got.Data().(float32)}
				}
				if !slices.Equal(got.Shape(), []int{len(want)}) || !slices.Equal(data, want) {
					t.Errorf("%s = %v %v, want %v", name, got.Shape(), data, want)
				}
			}
		})
	}
}

// Runs may change the inputs' data, length and rank, and leave earlier results
// alone.
func TestRunsAgain(t *testing.T) {
	m := model(9, []onnx.ValueInfo{floats("x", 2)}, []onnx.ValueInfo{floats("y", 2)}, op("Add", "x,w", "y"))
	m.Graph.Initializers = []*onnx.Initializer{{Name: "w", Tensor: onnx.MustTensor([]int{1}, []float32{10})}}
	g, b := decode(t, m, onnxgo.Runtime(rt.WithThreads(1)))
	x := vec(1, 2)
	set(t, g, "x", x)
	run(t, b)
	wantData(t, g, "y", []int{2}, []float32{11, 12})
	first := carrier(t, g, "y").GetTensor()

	x.Data().([]float32)[0] = 5
	run(t, b)
	wantData(t, g, "y", []int{2}, []float32{15, 12})
	if got := first.Data().([]float32); !slices.Equal(got, []float32{11, 12}) {
		t.Errorf("the second run changed the first one's result to %v", got)
	}
	first.Data().([]float32)[0] = 99
	if got := x.Data().([]float32); !slices.Equal(got, []float32{5, 2}) {
		t.Errorf("the result aliases the input: %v", got)
	}

	set(t, g, "x", vec(1, 2, 3))
	run(t, b)
	wantData(t, g, "y", []int{3}, []float32{11, 12, 13})
	set(t, g, "x", dense([]int{1, 2}, []float32{7, 8}))
	run(t, b)
	wantData(t, g, "y", []int{1, 2}, []float32{17, 18})
	set(t, g, "w", vec(20))
	run(t, b)
	wantData(t, g, "y", []int{1, 2}, []float32{27, 28})
}

// An initializer is told from an input that was not set, whether or not the
// model lists it among the inputs.
func TestInitializers(t *testing.T) {
	w := &onnx.Initializer{Name: "w", Tensor: onnx.MustTensor([]int{2}, []float32{0, 0})}
	x, lw, y := floats("x", 2), floats("w", 2), floats("y", 2)
	tests := []struct {
		name   string
		inputs []onnx.ValueInfo
		info   []onnx.ValueInfo
	}{
		{"not listed", []onnx.ValueInfo{x}, nil},
		{"listed last", []onnx.ValueInfo{x, lw}, nil},
		{"listed first", []onnx.ValueInfo{lw, x}, nil},
		{"with declared values", []onnx.ValueInfo{x}, []onnx.ValueInfo{floats("m", 2), x, lw}},
		{"listed, with declared values", []onnx.ValueInfo{lw, x}, []onnx.ValueInfo{lw, x, floats("m", 2)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := model(9, tt.inputs, []onnx.ValueInfo{y}, op("Abs", "x", "m"), op("Add", "m,w", "y"))
			m.Graph.Initializers = []*onnx.Initializer{w}
			m.Graph.ValueInfos = tt.info
			g, b := decode(t, m)
			if err := b.Run(); !errors.Is(err, onnx.ErrShape) || !strings.Contains(err.Error(), `input "x" has not been set`) {
				t.Errorf("without input: %v", err)
			}
			set(t, g, "x", vec(1, -2))
			run(t, b)
			wantData(t, g, "y", []int{2}, []float32{1, 2})
			set(t, g, "w", vec(1, 1))
			run(t, b)
			wantData(t, g, "y", []int{2}, []float32{2, 3})
		})
	}
}

// onnx-go drops the domain of a node.
func TestMachineLearningDomain(t *testing.T) {
	m := model(9, []onnx.ValueInfo{floats("x", 2)}, []onnx.ValueInfo{floats("y", 2)},
		&onnx.Node{OpType: "Binarizer", Domain: "ai.onnx.ml", Inputs: []string{"x"}, Outputs: []string{"y"},
			Attributes: []*onnx.Attribute{{Name: "threshold", Type: onnx.AttrFloat, Float: 1.5}}})
	m.OpsetImports = append(m.OpsetImports, onnx.OpsetImport{Domain: "ai.onnx.ml", Version: 1})
	g, b := decode(t, m)
	set(t, g, "x", vec(1, 2))
	run(t, b)
	wantData(t, g, "y", []int{2}, []float32{0, 1})
}

func TestWrongUse(t *testing.T) {
	x := []onnx.ValueInfo{floats("x", 2)}
	y := []onnx.ValueInfo{floats("y", 2)}
	simple := model(9, x, y, op("Abs", "x", "y"))
	ints := model(9, []onnx.ValueInfo{{Name: "n", Type: onnx.TensorType(onnx.Int64, onnx.FixedShape(2))}}, y, op("Cast", "n", "y", &onnx.Attribute{Name: "to", Type: onnx.AttrInt, Int: 1}))
	seq := model(11, x, y, op("SequenceConstruct", "x", "s"), op("SequenceAt", "s,i", "y"))
	seq.Graph.Initializers = []*onnx.Initializer{{Name: "i", Tensor: onnx.Scalar[int64](0)}}
	tests := []struct {
		name string
		err  func(t *testing.T) error
		kind error
		text string
	}{
		{"no model", func(t *testing.T) error { return onnxgo.New().Run() }, onnx.ErrMalformed, "no model has been decoded"},
		{"input not set", func(t *testing.T) error { _, b := decode(t, simple); return b.Run() }, onnx.ErrShape, `input "x" has not been set`},
		{"no tensor", func(t *testing.T) error { g, _ := decode(t, simple); return g.SetInput(0, nil) }, onnx.ErrType, `value "x": no tensor`},
		{"a computed value is set", func(t *testing.T) error { g, _ := decode(t, simple); return carrier(t, g, "y").SetTensor(vec(1)) }, onnx.ErrMalformed, `value "y" cannot be set: Abs computes it`},
		{"type of an input", func(t *testing.T) error {
			g, b := decode(t, simple)
			set(t, g, "x", dense([]int{2}, []int64{1, 2}))
			return b.Run()
		}, onnx.ErrType, `input "x": a tensor of int64[2], the model declares float`},
		{"a number between those of the type", func(t *testing.T) error {
			g, b := decode(t, ints)
			set(t, g, "n", vec(1.5))
			return b.Run()
		}, onnx.ErrType, `input "n": a tensor of float[1], the model declares int64`},
		{"a Go type of no tensor", func(t *testing.T) error {
			g, b := decode(t, simple)
			set(t, g, "x", dense([]int{2}, []uintptr{1, 2}))
			return b.Run()
		}, onnx.ErrType, `input "x": a tensor of uintptr`},
		{"masked elements", func(t *testing.T) error {
			g, b := decode(t, simple)
			set(t, g, "x", tensor.New(tensor.WithShape(2), tensor.WithBacking([]float32{1, 2}, []bool{true, false})))
			return b.Run()
		}, onnx.ErrType, `input "x": a tensor with masked elements`},
		{"opset 0", func(t *testing.T) error {
			g, b := decode(t, simple, onnxgo.Opset(0))
			set(t, g, "x", vec(1))
			return b.Run()
		}, onnx.ErrUnsupported, "opset 0, want 1.."},
		{"opset of the future", func(t *testing.T) error {
			g, b := decode(t, simple, onnxgo.Opset(1000))
			set(t, g, "x", vec(1))
			return b.Run()
		}, onnx.ErrUnsupported, "opset 1000, want 1.."},
		{"an operator that the opset does not have", func(t *testing.T) error {
			g, b := decode(t, seq, onnxgo.Opset(9))
			set(t, g, "x", vec(1))
			return b.Run()
		}, onnx.ErrUnsupported, "SequenceConstruct"},
		{"two models", func(t *testing.T) error {
			_, b := decode(t, simple)
			data, err := onnx.Encode(simple)
			if err != nil {
				t.Fatal(err)
			}
			return goonnx.NewModel(b).UnmarshalBinary(data)
		}, onnx.ErrMalformed, `value "x" of another model; a backend holds one`},
		{"a value computed twice", func(t *testing.T) error {
			data, err := onnx.Encode(model(9, x, y, op("Abs", "x", "y"), op("Neg", "x", "y")))
			if err != nil {
				t.Fatal(err)
			}
			return goonnx.NewModel(onnxgo.New()).UnmarshalBinary(data)
		}, onnx.ErrMalformed, `value "y" is computed by Abs and by Neg`},
		{"an operator that fails", func(t *testing.T) error {
			g, b := decode(t, model(9, append(x, floats("z", 3)), y, op("Add", "x,z", "y")))
			set(t, g, "x", vec(1, 2))
			set(t, g, "z", vec(1, 2, 3))
			return b.Run()
		}, onnx.ErrShape, "Add"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.err(t)
			if !errors.Is(err, tt.kind) || !strings.Contains(fmt.Sprint(err), tt.text) || !strings.HasPrefix(fmt.Sprint(err), "onnxgo: ") {
				t.Errorf("error %v, want one with %q that matches %v", err, tt.text, tt.kind)
			}
		})
	}
}

// A refused operator is the error that users of onnx-go know, too.
func TestNotImplemented(t *testing.T) {
	g, b := decode(t, model(9, []onnx.ValueInfo{floats("x", 2)}, []onnx.ValueInfo{floats("y", 2)}, op("NoSuchOperator", "x", "y")))
	set(t, g, "x", vec(1, 2))
	err := b.Run()
	var theirs *goonnx.ErrNotImplemented
	var ours *rt.RefusalError
	if !errors.As(err, &theirs) || theirs.Operator != "NoSuchOperator" {
		t.Errorf("%v is no ErrNotImplemented of that operator", err)
	}
	if !errors.As(err, &ours) && !errors.Is(err, onnx.ErrUnsupported) {
		t.Errorf("%v is no error of recur", err)
	}
}

// The backend is a graph of gonum's that keeps every edge.
func TestGraphQueries(t *testing.T) {
	g, b := decode(t, model(9, []onnx.ValueInfo{floats("x", 2)}, []onnx.ValueInfo{floats("y", 2)}, op("Mul", "x,x", "m"), op("Sub", "x,m", "y")))
	id := func(name string) int64 {
		n, ok := g.GetNodeByName(name)
		if !ok {
			t.Fatalf("no node %q", name)
		}
		if got := n.(goonnx.Namer).GetName(); got != name {
			t.Errorf("node %q is called %q", name, got)
		}
		return n.ID()
	}
	x, m, y := id("x"), id("m"), id("y")
	ids := func(list gonum.Nodes) (out []int64) {
		for list.Next() {
			out = append(out, list.Node().ID())
		}
		return out
	}
	for _, tt := range []struct {
		what string
		got  []int64
		want []int64
	}{
		{"nodes", ids(b.Nodes()), []int64{x, y, m}},
		{"from y", ids(b.From(y)), []int64{x, m}},
		{"from m", ids(b.From(m)), []int64{x}},
		{"from x", ids(b.From(x)), nil},
		{"to x", ids(b.To(x)), []int64{y, m}},
		{"to y", ids(b.To(y)), nil},
	} {
		if !slices.Equal(tt.got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.what, tt.got, tt.want)
		}
	}
	if !b.HasEdgeFromTo(y, m) || b.HasEdgeFromTo(m, y) || !b.HasEdgeBetween(m, y) || b.Edge(m, y) != nil || b.Node(99) != nil || b.Node(-1) != nil {
		t.Error("wrong edges")
	}
	if e := b.WeightedEdge(y, m); e == nil || e.Weight() != 1 || e.ReversedEdge().From().ID() != m {
		t.Errorf("edge %v", e)
	}
}
