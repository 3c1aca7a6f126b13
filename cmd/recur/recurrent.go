package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// recurrentLayer describes a node that is an RNN, GRU or LSTM.
type recurrentLayer struct {
	Node              string    `json:"node"`
	Op                string    `json:"op"`
	Version           int       `json:"version"`
	Input             int       `json:"input_size"` // -1: not known
	Hidden            int       `json:"hidden_size"`
	Direction         string    `json:"direction"`
	Layout            int64     `json:"layout"`
	LinearBeforeReset bool      `json:"linear_before_reset,omitempty"`
	InputForget       bool      `json:"input_forget,omitempty"`
	Activations       []string  `json:"activations"`
	Alpha             []float32 `json:"activation_alpha,omitempty"`
	Beta              []float32 `json:"activation_beta,omitempty"`
	Clip              *float32  `json:"clip,omitempty"`
	Bias              bool      `json:"bias"`
	Peephole          bool      `json:"peephole,omitempty"`
	Lengths           string    `json:"sequence_lens,omitempty"` // the input's name
	InitialH          string    `json:"initial_h,omitempty"`
	InitialC          string    `json:"initial_c,omitempty"`
	Outputs           []string  `json:"outputs"`
}

// recurrentOps gives for each operator the activations of one direction where
// none are set, and the outputs.
var recurrentOps = map[string]struct{ activations, outputs []string }{
	"RNN":  {[]string{"Tanh"}, []string{"Y", "Y_h"}},
	"GRU":  {[]string{"Sigmoid", "Tanh"}, []string{"Y", "Y_h"}},
	"LSTM": {[]string{"Sigmoid", "Tanh", "Tanh"}, []string{"Y", "Y_h", "Y_c"}},
}

func isRecurrent(n *onnx.Node) bool {
	_, ok := recurrentOps[n.OpType]
	return ok && (n.Domain == "" || n.Domain == "ai.onnx")
}

// recurrentLayers lists the recurrent nodes of a model, functions and bodies
// included.
func recurrentLayers(m *onnx.Model, scope *ops.Scope) []recurrentLayer {
	layers := []recurrentLayer{}
	walk(m, func(p placed) {
		if isRecurrent(p.Node) {
			layers = append(layers, describeLayer(p, scope))
		}
	})
	return layers
}

func describeLayer(p placed, scope *ops.Scope) recurrentLayer {
	op := recurrentOps[p.OpType]
	l := recurrentLayer{Node: p.path, Op: p.OpType, Version: sinceOf(p), Input: -1, Hidden: -1, Direction: "forward",
		Bias: p.input(3) != "", Lengths: p.input(4), InitialH: p.input(5), InitialC: p.input(6), Peephole: p.input(7) != ""}
	if w := p.shape(1, scope); len(w) == 3 {
		l.Input = w[2].Value
	}
	if r := p.shape(2, scope); len(r) == 3 {
		l.Hidden = r[2].Value
	}
	for _, a := range p.Attributes {
		l.read(a)
	}
	directions := 1
	if l.Direction == "bidirectional" {
		directions = 2
	}
	if l.Activations == nil {
		l.Activations = slices.Repeat(op.activations, directions)
	}
	for i, name := range op.outputs {
		if i < len(p.Outputs) && p.Outputs[i] != "" {
			l.Outputs = append(l.Outputs, name)
		}
	}
	return l
}

// read takes an attribute over.
func (l *recurrentLayer) read(a *onnx.Attribute) {
	switch a.Name {
	case "hidden_size":
		l.Hidden = int(a.Int)
	case "direction":
		l.Direction = a.String
	case "layout":
		l.Layout = a.Int
	case "linear_before_reset":
		l.LinearBeforeReset = a.Int != 0
	case "input_forget":
		l.InputForget = a.Int != 0
	case "activations":
		l.Activations = a.Strings
	case "activation_alpha":
		l.Alpha = a.Floats
	case "activation_beta":
		l.Beta = a.Floats
	case "clip":
		l.Clip = &a.Float
	}
}

// input gives the name of input i, "" where it is absent.
func (p placed) input(i int) string {
	if i < len(p.Inputs) {
		return p.Inputs[i]
	}
	return ""
}

// shape finds the shape of input i: of an initializer of the node's graph,
// else what is inferred for a value of the model's graph.
func (p placed) shape(i int, scope *ops.Scope) onnx.Shape {
	if p.graph == nil {
		return nil
	}
	if init := p.inits()[p.input(i)]; init != nil {
		return onnx.FixedShape(init.Tensor.Shape()...)
	}
	info, _ := scope.Lookup(p.input(i))
	return info.Type.Shape
}

// sinceOf gives the version of a node's operator, 0 where ONNX has none.
func sinceOf(p placed) int {
	if s := onnx.LookupSchema(p.Domain, p.OpType, p.opset); s != nil {
		return s.Since
	}
	return 0
}

// remarks writes what is special about a layer in a few words.
func (l *recurrentLayer) remarks() string {
	var out []string
	add := func(when bool, format string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	add(l.LinearBeforeReset, "linear_before_reset")
	add(l.InputForget, "input_forget")
	add(l.Layout != 0, "layout %d", l.Layout)
	add(l.Peephole, "peephole")
	add(!l.Bias, "no bias")
	if l.Clip != nil {
		out = append(out, fmt.Sprintf("clip %g", *l.Clip))
	}
	add(l.Lengths != "", "lengths %q", abridge(l.Lengths, 32))
	add(l.InitialH != "", "initial_h %q", abridge(l.InitialH, 32))
	add(l.InitialC != "", "initial_c %q", abridge(l.InitialC, 32))
	add(len(l.Alpha) > 0, "alpha %v", l.Alpha)
	add(len(l.Beta) > 0, "beta %v", l.Beta)
	return strings.Join(out, ", ")
}
