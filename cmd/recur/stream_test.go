package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// summer is a model of an RNN node that adds up x: h' = relu(x + h).
func summer() *onnx.Model {
	dim := func(name string) onnx.Dim { return onnx.Dim{Value: -1, Name: name} }
	state := onnx.TensorType(onnx.Float, onnx.Shape{onnx.Fixed(1), dim("batch"), onnx.Fixed(1)})
	return &onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 17}}, Graph: &onnx.Graph{Name: "sum",
		Inputs: []onnx.ValueInfo{
			{Name: "x", Type: onnx.TensorType(onnx.Float, onnx.Shape{dim("time"), dim("batch"), onnx.Fixed(1)})},
			{Name: "gain", Type: onnx.TensorType(onnx.Float, onnx.Shape{})},
			{Name: "state", Type: state},
		},
		Outputs: []onnx.ValueInfo{
			{Name: "y", Type: onnx.TensorType(onnx.Float, onnx.Shape{dim("time"), onnx.Fixed(1), dim("batch"), onnx.Fixed(1)})},
			{Name: "stateN", Type: state},
		},
		Initializers: []*onnx.Initializer{{Name: "one", Tensor: onnx.MustTensor([]int{1, 1, 1}, []float32{1})}},
		Nodes: []*onnx.Node{
			{OpType: "Mul", Inputs: []string{"x", "gain"}, Outputs: []string{"scaled"}},
			{Name: "adder", OpType: "RNN", Inputs: []string{"scaled", "one", "one", "", "", "state"}, Outputs: []string{"y", "stateN"},
				Attributes: []*onnx.Attribute{{Name: "hidden_size", Type: onnx.AttrInt, Int: 1},
					{Name: "activations", Type: onnx.AttrStrings, Strings: []string{"Relu"}}}},
		},
	}}
}

func writeModel(t *testing.T, dir, name string, m *onnx.Model) string {
	t.Helper()
	data, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRunStream(t *testing.T) {
	dir := t.TempDir()
	sum := writeModel(t, dir, "sum.onnx", summer())
	m := summer()
	m.Graph.Inputs, m.Graph.Outputs = m.Graph.Inputs[:2], m.Graph.Outputs[:1]
	m.Graph.Nodes[1].Inputs, m.Graph.Nodes[1].Outputs = m.Graph.Nodes[1].Inputs[:3], m.Graph.Nodes[1].Outputs[:1]
	hidden := writeModel(t, dir, "hidden.onnx", m)
	m = summer()
	m.Graph.Outputs = append(m.Graph.Outputs, onnx.ValueInfo{Name: "again", Type: m.Graph.Outputs[1].Type})
	m.Graph.Nodes = append(m.Graph.Nodes, &onnx.Node{OpType: "Identity", Inputs: []string{"stateN"}, Outputs: []string{"again"}})
	ambiguous := writeModel(t, dir, "ambiguous.onnx", m)
	frames, gain := "x=[[[[1]]],[[[2]]],[[[3]]]]", "gain=1"
	npz := filepath.Join(dir, "out.npz")
	stream := func(model string, more ...string) []string {
		return slices.Concat([]string{"run", model, "--stream", "-i", gain}, more)
	}
	runCases(t, []commandCase{
		{name: "frames", args: stream(sum, "-i", frames), out: []string{"y  float[3 1 1 1 1]", "[[[[[1]]]]", "[[[[3]]]]", "[[[[6]]]]]", "stateN  float[1 1 1]", "[[[6]]]"}},
		{name: "frames on another axis", args: stream(sum, "-i", "x=[[[[1],[2],[3]]]]", "--frame-axis", "2"), out: []string{"y  float[1 1 3 1 1]", "6"}},
		{name: "an array that is cut", args: stream(sum, "-i", "x=[[[1],[10]],[[2],[20]],[[3],[30]]]"), out: []string{"y  float[3 1 1 2 1]", "[30]", "[60]", "stateN  float[1 2 1]"}},
		{name: "one frame", args: stream(sum, "-i", "x=[[[4]]]"), out: []string{"[[[[[4]]]]]", "stateN"}},
		{name: "CSV", stdin: "1\n2\n3\n", args: stream(sum, "-i", "x=-", "--shape", "x=3,1,1,1"), out: []string{"y  float[3 1 1 1 1]", "[[[6]]]"}},
		{name: "initial state", args: stream(sum, "-i", frames, "-i", "state=[[[10]]]"), out: []string{"11", "13", "16", "stateN", "16"}},
		{name: "named by hand", args: stream(sum, "-i", frames, "--state", "stateN=state"), out: []string{"[[[[[1]]]]", "6"}},
		{name: "one output", args: stream(sum, "-i", frames, "--output", "stateN"), out: []string{"stateN  float[1 1 1]", "6"}},
		{name: "to a file", args: stream(sum, "-i", frames, "-o", npz)},
		{name: "from that file", args: []string{"run", sum, "--stream", "-i", gain, "-i", "x=[[[1]]]", "-i", "state=" + npz + ":stateN"}, out: []string{"7"}},
		{name: "random", args: []string{"run", sum, "--stream", "--random", "1", "--shape", "x=5,1,2,1"}, out: []string{"y  float[5 1 1 2 1]", "stateN  float[1 2 1]"}},
		{name: "hidden state", args: stream(hidden, "-i", frames), code: exitUsage, silent: true, err: []string{"--state OUTPUT=INPUT", "--stateful"}},
		{name: "exposed", args: stream(hidden, "-i", frames, "--stateful"), out: []string{"[[[[6]]]]]", "adder_h_out  float[1 1 1]", "6"}, err: []string{"carried: adder_h_out=adder_h_in"}},
		{name: "nothing to expose", args: []string{"run", "testdata/add.onnx", "--stream", "--random", "1", "--stateful"}, code: exitUsage, silent: true, err: []string{"nor a recurrent layer"}},
		{name: "ambiguous", args: stream(ambiguous, "-i", frames), code: exitUsage, silent: true, err: []string{"stateN=state, again=state", "--state"}},
		{name: "chosen", args: stream(ambiguous, "-i", frames, "--state", "again=state"), out: []string{"stateN  float[3 1 1 1]", "again  float[1 1 1]"}},
		{name: "unknown state", args: stream(sum, "-i", frames, "--state", "nope=state"), code: exitUsage, silent: true, err: []string{`--state: `, `no output "nope"`}},
		{name: "wrong initial state", args: stream(sum, "-i", frames, "-i", "state=[[1]]"), code: exitMismatch, silent: true, err: []string{`state "state": shape [1 1]`}},
		{name: "no frames", args: stream(sum, "-i", `x={"type":"float","shape":[0,1,1,1],"data":[]}`), code: exitMismatch, silent: true, err: []string{"no frames"}},
		{name: "numbers of frames", args: []string{"run", sum, "--stream", "-i", frames, "-i", "gain=[1,2]"}, code: exitMismatch, silent: true, err: []string{`2 frames in input "gain", 3 in "x"`}},
		{name: "bad frame", args: stream(sum, "-i", "x=[[[[1,2]]]]"), code: exitMismatch, silent: true, err: []string{"shape [1 1 2]"}},
		{name: "missing input", args: []string{"run", sum, "--stream", "-i", frames}, code: exitUsage, silent: true, err: []string{`input "gain"`}},
		{name: "negative axis", args: stream(sum, "-i", frames, "--frame-axis", "-1"), code: exitUsage, silent: true, err: []string{"--frame-axis"}},
		{name: "without --stream", args: []string{"run", sum, "--stateful", "-i", frames}, code: exitUsage, silent: true, err: []string{"--stateful goes with --stream"}},
		{name: "inspect", args: []string{"inspect", sum}, out: []string{"state pairs", "OUTPUT", "INPUT", "stateN", "state", "tensor(float)", "[1 batch 1]"}},
		{name: "inspect JSON", args: []string{"inspect", sum, "--json"}, out: []string{`"state_pairs": [`, `"output": "stateN"`, `"input": "state"`}},
		{name: "inspect ambiguous", args: []string{"inspect", ambiguous}, out: []string{"state pairs", "ambiguous", "stateN=state, again=state"}},
	})
}
