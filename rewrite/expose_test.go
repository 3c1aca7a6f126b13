package rewrite_test

import (
	"context"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/rewrite"
	rt "github.com/recur-ml/recur/runtime"
)

const inputs, hidden = 2, 3

func tensor(k float64, shape ...int) *onnx.Tensor {
	n, _ := onnx.NumElements(shape)
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(math.Sin(k + 1.3*float64(i)))
	}
	return onnx.MustTensor(shape, data)
}

func layerNode(name, in, out string, attrs ...*onnx.Attribute) *onnx.Node {
	split := func(s string) []string {
		list := strings.Fields(s)
		for i := range list {
			list[i] = strings.TrimPrefix(list[i], "_")
		}
		return list
	}
	return &onnx.Node{OpType: name, Inputs: split(in), Outputs: split(out), Attributes: attrs}
}

func ints(name string, v int64) *onnx.Attribute {
	return &onnx.Attribute{Name: name, Type: onnx.AttrInt, Int: v}
}

func text(name, v string) *onnx.Attribute {
	return &onnx.Attribute{Name: name, Type: onnx.AttrString, String: v}
}

// model has x [time, rows, inputs] and y; a recurrent node reads W, R of the
// given number of gates.
func model(gates, directions int, rows onnx.Dim, nodes ...*onnx.Node) *onnx.Model {
	step := onnx.Dim{Value: -1, Name: "time"}
	return &onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 17}}, Graph: &onnx.Graph{
		Inputs:  []onnx.ValueInfo{{Name: "x", Type: onnx.TensorType(onnx.Float, onnx.Shape{step, rows, onnx.Fixed(inputs)})}},
		Outputs: []onnx.ValueInfo{{Name: "y", Type: onnx.TensorType(onnx.Float, nil)}},
		Initializers: []*onnx.Initializer{
			{Name: "W", Tensor: tensor(1, directions, gates*hidden, inputs)},
			{Name: "R", Tensor: tensor(2, directions, gates*hidden, hidden)},
			{Name: "two", Tensor: onnx.MustTensor([]int{1}, []int64{2})},
			{Name: "one", Tensor: onnx.MustTensor([]int{1}, []int64{1})},
			{Name: "nil", Tensor: onnx.MustTensor([]int{1}, []int64{0})},
			{Name: "H", Tensor: onnx.MustTensor([]int{1}, []int64{hidden})},
		},
		Nodes: nodes,
	}}
}

var (
	batch = onnx.Dim{Value: -1, Name: "batch"}
	size  = ints("hidden_size", hidden)
)

// zeros computes an initial state of zeros from the shape of x.
func zeros() []*onnx.Node {
	return []*onnx.Node{
		layerNode("Shape", "x", "shape"), layerNode("Slice", "shape one two nil", "rows"),
		layerNode("Concat", "one rows H", "wanted", ints("axis", 0)), layerNode("ConstantOfShape", "wanted", "h0"),
	}
}

func TestExposeState(t *testing.T) {
	frozen := model(3, 1, onnx.Fixed(2), layerNode("GRU", "x W R _ _ h0", "y", size))
	frozen.Graph.Initializers = append(frozen.Graph.Initializers, &onnx.Initializer{Name: "h0", Tensor: tensor(3, 1, 2, hidden)})
	old := model(4, 1, onnx.Fixed(2), layerNode("LSTM", "x W R", "y", size))
	old.IRVersion = 3
	for _, i := range old.Graph.Initializers {
		old.Graph.Inputs = append(old.Graph.Inputs, onnx.ValueInfo{Name: i.Name, Type: i.Tensor.Type()})
	}
	partly := model(4, 1, batch, layerNode("LSTM", "x W R _ _ h0", "y hn cn", size), layerNode("Relu", "cn", "c_relu"))
	partly.Graph.Nodes[0].Name = "layer"
	state := onnx.TensorType(onnx.Float, onnx.Shape{onnx.Fixed(1), batch, onnx.Fixed(hidden)})
	partly.Graph.Inputs = append(partly.Graph.Inputs, onnx.ValueInfo{Name: "h0", Type: state})
	partly.Graph.Outputs = append(partly.Graph.Outputs, onnx.ValueInfo{Name: "hn", Type: state}, onnx.ValueInfo{Name: "c_relu", Type: state})
	already := model(3, 1, batch, layerNode("GRU", "x W R", "y hn", size))
	already.Graph.Outputs = append(already.Graph.Outputs, onnx.ValueInfo{Name: "hn", Type: state})
	taken := model(3, 1, batch, layerNode("GRU", "x W R", "y", size), layerNode("Relu", "y", "y_h_in"), layerNode("Relu", "y", "y_h_out"))
	inner := model(3, 1, batch, &onnx.Node{Name: "call", Domain: "local", OpType: "Layer", Inputs: []string{"x", "W", "R"}, Outputs: []string{"y"}})
	inner.OpsetImports = append(inner.OpsetImports, onnx.OpsetImport{Domain: "local", Version: 1})
	inner.Functions = []*onnx.Function{{Domain: "local", Name: "Layer", Inputs: []string{"a", "b", "c"}, Outputs: []string{"d"},
		OpsetImports: []onnx.OpsetImport{{Version: 17}}, Nodes: []*onnx.Node{layerNode("GRU", "a b c", "d", size)}}}

	for _, c := range []struct {
		name       string
		model      *onnx.Model
		pairs      string
		hasDefault bool
	}{
		{"LSTM", model(4, 1, batch, layerNode("LSTM", "x W R", "y", size)), "y_h_out=y_h_in y_c_out=y_c_in", false},
		{"rows known", model(4, 1, onnx.Fixed(2), layerNode("LSTM", "x W R", "y", size)), "y_h_out=y_h_in y_c_out=y_c_in", true},
		{"zeros", model(3, 1, batch, append(zeros(), layerNode("GRU", "x W R _ _ h0", "y", size))...), "y_h_out=y_h_in", false},
		{"frozen", frozen, "y_h_out=y_h_in", true},
		{"IR version 3", old, "y_h_out=y_h_in y_c_out=y_c_in", true},
		{"the other state", partly, "layer_c_out=layer_c_in", false},
		{"output there", already, "hn=y_h_in", false},
		{"names taken", taken, "y_h_out_2=y_h_in_1", false},
		{"function", inner, "y_h_out=y_h_in", false},
		{"backward", model(3, 1, batch, layerNode("GRU", "x W R", "y", size, text("direction", "reverse"))), "", false},
		{"bidirectional", model(3, 2, batch, layerNode("GRU", "x W R", "y", size, text("direction", "bidirectional"))), "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(c.model.Graph.Inputs)
			m, pairs, err := rewrite.ExposeState(c.model)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, p := range pairs {
				names = append(names, p.String())
			}
			if got := strings.Join(names, " "); got != c.pairs {
				t.Fatalf("pairs %q, want %q", got, c.pairs)
			}
			if len(c.model.Graph.Inputs) != before {
				t.Error("the model given was modified")
			}
			if err := onnx.Check(m); err != nil {
				t.Fatal(err)
			}
			if len(pairs) == 0 {
				return
			}
			compareExposed(t, c.model, m, c.hasDefault)
		})
	}
}

// compareExposed: with its defaults or zeros the exposed model gives what the
// first one does, and streamed in three pieces, what that gives at once.
func compareExposed(t *testing.T, m, exposed *onnx.Model, hasDefault bool) {
	t.Helper()
	const steps, rows = 6, 2
	whole, err := rt.LoadModel(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := rt.LoadModel(exposed)
	if err != nil {
		t.Fatal(err)
	}
	in := onnx.Values{"x": tensor(5, steps, rows, inputs)}
	for _, v := range whole.Inputs()[1:] { // a state that was there before
		in[v.Name] = tensor(7, 1, rows, hidden)
		clear(onnx.Elements[float32](in[v.Name].(*onnx.Tensor)))
	}
	want, err := whole.Run(context.Background(), in, "y")
	if err != nil {
		t.Fatal(err)
	}
	y := onnx.Elements[float32](want["y"].(*onnx.Tensor))
	if hasDefault {
		got, err := s.Run(context.Background(), in, "y")
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(onnx.Elements[float32](got["y"].(*onnx.Tensor)), y) {
			t.Error("with its defaults, the model gives something else")
		}
	}
	st, err := s.Stream()
	if err != nil {
		t.Fatal(err)
	}
	var streamed []float32
	x := onnx.Elements[float32](in["x"].(*onnx.Tensor))
	for len(x) > 0 {
		n := 2 * rows * inputs
		out, err := st.Run(context.Background(), onnx.Values{"x": onnx.MustTensor([]int{2, rows, inputs}, x[:n])}, "y")
		if err != nil {
			t.Fatal(err)
		}
		streamed = append(streamed, onnx.Elements[float32](out["y"].(*onnx.Tensor))...)
		x = x[n:]
	}
	if !reflect.DeepEqual(streamed, y) {
		t.Errorf("streamed %v\nat once %v", streamed, y)
	}
}

func TestExposeStateByName(t *testing.T) {
	m := model(3, 2, batch, layerNode("GRU", "x W R", "y", size, text("direction", "bidirectional")))
	_, pairs, err := rewrite.ExposeState(m, "y")
	if err != nil || len(pairs) != 1 {
		t.Errorf("pairs %v, error %v; want the layer that was named", pairs, err)
	}
	if _, _, err := rewrite.ExposeState(m, "y", "nope"); !errors.Is(err, onnx.ErrMalformed) || !strings.Contains(err.Error(), `"nope"`) {
		t.Errorf("unknown node: %v", err)
	}
}
