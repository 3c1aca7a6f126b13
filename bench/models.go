package bench

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/recur-ml/recur/onnx"
)

// recurrent says what a generated model with one recurrent operator is.
type recurrent struct {
	op         string // LSTM, GRU or RNN
	t, b, i, h int    // time steps, batch, input size, hidden size
	both       bool   // bidirectional
	lengths    bool   // with sequence_lens, half of the time steps on average
	peepholes  bool
	clip       float32 // 0: none
	reset      bool    // GRU with linear_before_reset 0
}

// gates is the number of gates, each of which has h rows of weights.
func (r recurrent) gates() int { return map[string]int{"LSTM": 4, "GRU": 3, "RNN": 1}[r.op] }

func (r recurrent) directions() int {
	if r.both {
		return 2
	}
	return 1
}

// steps is the number of time steps of all rows that are computed.
func (r recurrent) steps() int {
	if !r.lengths {
		return r.t * r.b
	}
	n := 0
	for _, l := range r.sequenceLens() {
		n += int(l)
	}
	return n
}

// flop counts a multiplication and an addition for each weight, row and step.
func (r recurrent) flop() float64 {
	return 2 * float64(r.steps()*r.directions()) * float64(r.gates()*r.h) * float64(r.i+r.h)
}

// sequenceLens gives lengths from 1 to t, evenly spread and in no order: half
// of the longest on average.
func (r recurrent) sequenceLens() []int32 {
	lengths := make([]int32, r.b)
	for k := range lengths {
		lengths[k] = int32(1 + (r.t-1)*k/max(r.b-1, 1))
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	rng.Shuffle(len(lengths), func(a, b int) { lengths[a], lengths[b] = lengths[b], lengths[a] })
	lengths[0], lengths[indexOfMax(lengths)] = int32(r.t), lengths[0]
	return lengths
}

func indexOfMax(list []int32) int {
	at := 0
	for k, v := range list {
		if v > list[at] {
			at = k
		}
	}
	return at
}

// String names the model's row of the table.
func (r recurrent) String() string {
	op := map[string]string{"LSTM": "lstm", "GRU": "gru", "RNN": "rnn"}[r.op]
	s := fmt.Sprintf("%s/T%d_B%d_I%d_H%d", op, r.t, r.b, r.i, r.h)
	for _, v := range []struct {
		on   bool
		name string
	}{{r.both, "_bi"}, {r.reset, "_lbr0"}, {r.peepholes, "_peepholes"}, {r.clip != 0, "_clip"}, {r.lengths, "_ragged"}} {
		if v.on {
			s += v.name
		}
	}
	return s
}

// model makes the model: weights and biases uniform in ±1/sqrt(h), initial
// states and lengths as inputs, all outputs wanted.
func (r recurrent) model() *onnx.Model {
	g, d := r.gates(), r.directions()
	w := newWeights(1 / math.Sqrt(float64(r.h)))
	n := &onnx.Node{OpType: r.op, Name: "layer", Inputs: []string{"X", "W", "R", "B", "", "initial_h"}, Outputs: []string{"Y", "Y_h"},
		Attributes: []*onnx.Attribute{{Name: "hidden_size", Type: onnx.AttrInt, Int: int64(r.h)}}}
	w.add("W", d, g*r.h, r.i)
	w.add("R", d, g*r.h, r.h)
	w.add("B", d, 2*g*r.h)
	state := onnx.TensorType(onnx.Float, onnx.FixedShape(d, r.b, r.h))
	inputs := []onnx.ValueInfo{{Name: "X", Type: onnx.TensorType(onnx.Float, onnx.FixedShape(r.t, r.b, r.i))}, {Name: "initial_h", Type: state}}
	outputs := []onnx.ValueInfo{{Name: "Y", Type: onnx.TensorType(onnx.Float, onnx.FixedShape(r.t, d, r.b, r.h))}, {Name: "Y_h", Type: state}}
	if r.lengths {
		n.Inputs[4] = "sequence_lens"
		inputs = append(inputs, onnx.ValueInfo{Name: "sequence_lens", Type: onnx.TensorType(onnx.Int32, onnx.FixedShape(r.b))})
	}
	if r.op == "LSTM" {
		n.Inputs = append(n.Inputs, "initial_c")
		n.Outputs = append(n.Outputs, "Y_c")
		inputs = append(inputs, onnx.ValueInfo{Name: "initial_c", Type: state})
		outputs = append(outputs, onnx.ValueInfo{Name: "Y_c", Type: state})
	}
	if r.peepholes {
		w.add("P", d, 3*r.h)
		n.Inputs = append(n.Inputs, "P")
	}
	if r.both {
		n.Attributes = append(n.Attributes, &onnx.Attribute{Name: "direction", Type: onnx.AttrString, String: "bidirectional"})
	}
	if r.clip != 0 {
		n.Attributes = append(n.Attributes, &onnx.Attribute{Name: "clip", Type: onnx.AttrFloat, Float: r.clip})
	}
	if r.op == "GRU" && !r.reset {
		n.Attributes = append(n.Attributes, &onnx.Attribute{Name: "linear_before_reset", Type: onnx.AttrInt, Int: 1})
	}
	return w.model(n, inputs, outputs)
}

// inputs makes random ones.
func (r recurrent) inputs(m *onnx.Model) onnx.Values {
	v := randomInputs(m.Graph, nil)
	if r.lengths {
		v["sequence_lens"] = onnx.MustTensor([]int{r.b}, r.sequenceLens())
	}
	return v
}

// matMul makes Y = A*B of n x n matrices, B constant.
func matMul(n int) *onnx.Model {
	w := newWeights(1 / math.Sqrt(float64(n)))
	w.add("B", n, n)
	square := onnx.TensorType(onnx.Float, onnx.FixedShape(n, n))
	return w.model(&onnx.Node{OpType: "MatMul", Name: "product", Inputs: []string{"A", "B"}, Outputs: []string{"Y"}},
		[]onnx.ValueInfo{{Name: "A", Type: square}}, []onnx.ValueInfo{{Name: "Y", Type: square}})
}

// elementwise makes Y = op(X) over n elements.
func elementwise(op string, n int) *onnx.Model {
	list := onnx.TensorType(onnx.Float, onnx.FixedShape(n))
	return newWeights(0).model(&onnx.Node{OpType: op, Name: "function", Inputs: []string{"X"}, Outputs: []string{"Y"}},
		[]onnx.ValueInfo{{Name: "X", Type: list}}, []onnx.ValueInfo{{Name: "Y", Type: list}})
}

// convolution says what a generated model with one convolution of an image is.
// A Conv has its padding around it that keeps the size at stride 1, a
// ConvTranspose has none.
type convolution struct {
	transpose         bool
	channels, outputs int
	size              int // of the image: height and width
	kernel            int // height and width
	stride, group     int // 0: 1
}

func (c convolution) steps() int  { return max(c.stride, 1) }
func (c convolution) groups() int { return max(c.group, 1) }

func (c convolution) pad() int {
	if c.transpose {
		return 0
	}
	return (c.kernel - 1) / 2
}

// outSize is the height and width of the result.
func (c convolution) outSize() int {
	if c.transpose {
		return (c.size-1)*c.steps() + c.kernel
	}
	return (c.size+2*c.pad()-c.kernel)/c.steps() + 1
}

// flop counts a multiplication and an addition for each weight and place.
func (c convolution) flop() float64 {
	places := c.outSize()
	if c.transpose {
		places = c.size
	}
	return 2 * float64(places*places) * float64(c.kernel*c.kernel) * float64(c.channels*c.outputs/c.groups())
}

// String names the model's row of the table.
func (c convolution) String() string {
	name := "conv"
	if c.transpose {
		name = "convtranspose"
	}
	s := fmt.Sprintf("%s/C%d_O%d_%dx%d_K%dx%d", name, c.channels, c.outputs, c.size, c.size, c.kernel, c.kernel)
	if c.steps() > 1 {
		s += fmt.Sprintf("_S%d", c.steps())
	}
	if c.groups() > 1 {
		s += fmt.Sprintf("_G%d", c.groups())
	}
	return s
}

// model makes the model, with a bias.
func (c convolution) model() *onnx.Model {
	w := newWeights(1 / math.Sqrt(float64(c.channels/c.groups()*c.kernel*c.kernel)))
	op, shape := "Conv", []int{c.outputs, c.channels / c.groups(), c.kernel, c.kernel}
	if c.transpose {
		op, shape = "ConvTranspose", []int{c.channels, c.outputs / c.groups(), c.kernel, c.kernel}
	}
	w.add("W", shape...)
	w.add("B", c.outputs)
	list := func(name string, n ...int) *onnx.Attribute {
		a := &onnx.Attribute{Name: name, Type: onnx.AttrInts}
		for _, v := range n {
			a.Ints = append(a.Ints, int64(v))
		}
		return a
	}
	p, s := c.pad(), c.steps()
	n := &onnx.Node{OpType: op, Name: "layer", Inputs: []string{"X", "W", "B"}, Outputs: []string{"Y"}, Attributes: []*onnx.Attribute{
		list("pads", p, p, p, p), list("strides", s, s), {Name: "group", Type: onnx.AttrInt, Int: int64(c.groups())}}}
	image := func(name string, channels, size int) []onnx.ValueInfo {
		return []onnx.ValueInfo{{Name: name, Type: onnx.TensorType(onnx.Float, onnx.FixedShape(1, channels, size, size))}}
	}
	return w.model(n, image("X", c.channels, c.size), image("Y", c.outputs, c.outSize()))
}

// weights collects the random initializers of a model.
type weights struct {
	rng   *rand.Rand
	bound float64
	list  []*onnx.Initializer
}

func newWeights(bound float64) *weights {
	return &weights{rng: rand.New(rand.NewPCG(seed, 1)), bound: bound}
}

func (w *weights) add(name string, shape ...int) {
	w.list = append(w.list, &onnx.Initializer{Name: name, Tensor: uniform(w.rng, w.bound, shape)})
}

// model makes one of a single node.
func (w *weights) model(n *onnx.Node, inputs, outputs []onnx.ValueInfo) *onnx.Model {
	return &onnx.Model{IRVersion: 8, ProducerName: "recur bench", OpsetImports: []onnx.OpsetImport{{Version: 14}},
		Graph: &onnx.Graph{Name: n.OpType, Nodes: []*onnx.Node{n}, Inputs: inputs, Outputs: outputs, Initializers: w.list}}
}

// uniform makes a tensor of numbers in [-bound, bound).
func uniform(rng *rand.Rand, bound float64, shape []int) *onnx.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32((2*rng.Float64() - 1) * bound)
	}
	return onnx.MustTensor(shape, data)
}
