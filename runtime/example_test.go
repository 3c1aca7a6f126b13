package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
	rt "github.com/recur-ml/recur/runtime"
)

// scaled is the model y = 2*x + 1 for any number of elements; a service would
// load a file.
func scaled() *onnx.Model {
	float := onnx.TensorType(onnx.Float, onnx.Shape{{Value: -1, Name: "n"}})
	return &onnx.Model{
		IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 17}},
		Graph: &onnx.Graph{
			Inputs:  []onnx.ValueInfo{{Name: "x", Type: float}},
			Outputs: []onnx.ValueInfo{{Name: "y", Type: float}},
			Initializers: []*onnx.Initializer{
				{Name: "two", Tensor: onnx.Scalar[float32](2)},
				{Name: "one", Tensor: onnx.Scalar[float32](1)},
			},
			Nodes: []*onnx.Node{
				{OpType: "Mul", Inputs: []string{"x", "two"}, Outputs: []string{"2x"}},
				{OpType: "Add", Inputs: []string{"2x", "one"}, Outputs: []string{"y"}},
			},
		},
	}
}

// A model is loaded once and run from any number of goroutines.
func ExampleLoadModel() {
	s, err := rt.LoadModel(scaled()) // or rt.Load("model.onnx")
	if err != nil {
		log.Fatal(err)
	}
	x, err := onnx.NewTensor([]int{3}, []float32{1, 2, 3})
	if err != nil {
		log.Fatal(err)
	}
	out, err := s.Run(context.Background(), onnx.Values{"x": x})
	if err != nil {
		log.Fatal(err)
	}
	y, err := onnx.Data[float32](out["y"])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(y)
	// Output: [3 5 7]
}

// RunInto writes into tensors that the caller keeps, and allocates nothing.
func ExampleSession_RunInto() {
	s, err := rt.LoadModel(scaled())
	if err != nil {
		log.Fatal(err)
	}
	x := onnx.MustTensor([]int{2}, []float32{0, 0})
	y := onnx.MustTensor([]int{2}, []float32{0, 0})
	in, out := onnx.Values{"x": x}, onnx.Values{"y": y}
	for range 2 {
		if err := s.RunInto(context.Background(), in, out); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(onnx.Elements[float32](y))
	// Output: [1 1]
}

// An operator of one's own is a row in a registry: how its outputs are typed,
// and how its kernel is built from the node's attributes.
func ExampleWithRegistry() {
	registry := ops.Default().Clone()
	err := registry.Register(ops.Op{
		Domain: "com.example", Name: "AddConstant", Since: []int{1},
		Infer: func(n *ops.Node) error {
			n.Set(0, n.In(0).Type)
			return nil
		},
		Build: func(n *ops.Node) (ops.Kernel, error) {
			value := n.Float("value", 0) // an attribute that nobody reads fails the load
			return ops.KernelFunc(func(c *ops.Ctx, in, out []onnx.Value) error {
				x, err := onnx.Data[float32](in[0])
				if err != nil {
					return err
				}
				y, err := c.New(0, onnx.Float, in[0].(*onnx.Tensor).Shape(), 0) // may overwrite input 0 where that dies
				if err != nil {
					return err
				}
				dst := onnx.Elements[float32](y)
				for i, v := range x {
					dst[i] = v + value
				}
				return nil
			}), nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	m := scaled()
	m.OpsetImports = append(m.OpsetImports, onnx.OpsetImport{Domain: "com.example", Version: 1})
	m.Graph.Nodes[1] = &onnx.Node{Domain: "com.example", OpType: "AddConstant", Inputs: []string{"2x"}, Outputs: []string{"y"},
		Attributes: []*onnx.Attribute{{Name: "value", Type: onnx.AttrFloat, Float: 10}}}
	s, err := rt.LoadModel(m, rt.WithRegistry(registry))
	if err != nil {
		log.Fatal(err)
	}
	out, err := s.Run(context.Background(), onnx.Values{"x": onnx.MustTensor([]int{2}, []float32{1, 2})})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(onnx.Elements[float32](out["y"].(*onnx.Tensor)))
	// Output: [12 14]
}

// recurrent is an RNN node that adds up x, with its state as input and output,
// for any number of rows.
func recurrent() *onnx.Model {
	rows := onnx.Dim{Value: -1, Name: "batch"}
	constant := func(name string, shape []int, data ...float32) *onnx.Initializer {
		return &onnx.Initializer{Name: name, Tensor: onnx.MustTensor(shape, data)}
	}
	return &onnx.Model{
		IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 17}},
		Graph: &onnx.Graph{
			Inputs: []onnx.ValueInfo{
				{Name: "x", Type: onnx.TensorType(onnx.Float, onnx.Shape{onnx.Fixed(1), rows, onnx.Fixed(1)})},
				{Name: "state", Type: onnx.TensorType(onnx.Float, onnx.Shape{onnx.Fixed(1), rows, onnx.Fixed(1)})},
			},
			Outputs: []onnx.ValueInfo{
				{Name: "y", Type: onnx.TensorType(onnx.Float, onnx.Shape{onnx.Fixed(1), onnx.Fixed(1), rows, onnx.Fixed(1)})},
				{Name: "stateN", Type: onnx.TensorType(onnx.Float, onnx.Shape{onnx.Fixed(1), rows, onnx.Fixed(1)})},
			},
			Initializers: []*onnx.Initializer{constant("W", []int{1, 1, 1}, 1), constant("R", []int{1, 1, 1}, 1)},
			Nodes: []*onnx.Node{{OpType: "RNN", Inputs: []string{"x", "W", "R", "", "", "state"}, Outputs: []string{"y", "stateN"},
				Attributes: []*onnx.Attribute{
					{Name: "hidden_size", Type: onnx.AttrInt, Int: 1},
					{Name: "activations", Type: onnx.AttrStrings, Strings: []string{"Relu"}},
				}}},
		},
	}
}

// A stream carries the state of one sequence from frame to frame.
func ExampleSession_Stream() {
	s, err := rt.LoadModel(recurrent()) // h' = relu(x + h)
	if err != nil {
		log.Fatal(err)
	}
	st, err := s.Stream() // one speaker, one user, one sensor
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("carried:", st.Pairs())
	for _, v := range []float32{1, 2, 3} {
		out, err := st.Run(context.Background(), onnx.Values{"x": onnx.MustTensor([]int{1, 1, 1}, []float32{v})})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(onnx.Elements[float32](out["y"].(*onnx.Tensor)))
	}
	// Output:
	// carried: [stateN=state]
	// [1]
	// [3]
	// [6]
}

// Frames of many streams that have arrived are computed in one run; each gives
// what it gives alone.
func ExampleSession_RunStreams() {
	s, err := rt.LoadModel(recurrent())
	if err != nil {
		log.Fatal(err)
	}
	var streams []*rt.Stream
	var frames []onnx.Values
	for i := range 3 {
		st, err := s.Stream()
		if err != nil {
			log.Fatal(err)
		}
		streams = append(streams, st)
		frames = append(frames, onnx.Values{"x": onnx.MustTensor([]int{1, 1, 1}, []float32{float32(i + 1)})})
	}
	for range 2 {
		out, err := s.RunStreams(context.Background(), streams, frames)
		if err != nil {
			log.Fatal(err)
		}
		for i := range out {
			fmt.Println("stream", i, onnx.Elements[float32](out[i]["y"].(*onnx.Tensor)))
		}
	}
	// Output:
	// stream 0 [1]
	// stream 1 [2]
	// stream 2 [3]
	// stream 0 [2]
	// stream 1 [4]
	// stream 2 [6]
}

// Limits bound what a model or an input that one does not trust may cost.
func ExampleWithLimits() {
	s, err := rt.LoadModel(scaled(), rt.WithLimits(onnx.Limits{RunBytes: 1 << 20}))
	if err != nil {
		log.Fatal(err)
	}
	x, err := onnx.NewZeros(onnx.Float, []int{1 << 20})
	if err != nil {
		log.Fatal(err)
	}
	_, err = s.Run(context.Background(), onnx.Values{"x": x})
	var limit *onnx.LimitError
	if errors.As(err, &limit) {
		fmt.Println(limit.What, "is limited to", limit.Max, "bytes")
	}
	// Output: run memory is limited to 1048576 bytes
}

// What the engine does not honour is refused when the model is loaded.
func ExampleRefusalError() {
	m := scaled()
	m.OpsetImports = append(m.OpsetImports, onnx.OpsetImport{Domain: "com.acme", Version: 1})
	m.Graph.Nodes[1] = &onnx.Node{Name: "last", Domain: "com.acme", OpType: "Foo", Inputs: []string{"2x"}, Outputs: []string{"y"}}
	_, err := rt.LoadModel(m)
	fmt.Println(err)
	fmt.Println(errors.Is(err, onnx.ErrUnsupported))
	// Output:
	// 1 node refused: operator com.acme:Foo in opset 1 (1: "last")
	// true
}
