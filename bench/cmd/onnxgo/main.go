// Command onnxgo times a model in github.com/owulveryck/onnx-go, on the gorgonia
// backend that it comes with, for cmd/compare: a process of its own, as the
// backend's libraries would count in the memory of the others.
//
//	onnxgo MODEL.onnx INPUTS.npz SECONDS
//
// It prints {"ms": ..., "difference": ...}: the median time of a run and the
// greatest absolute difference of its first output from recur's. What the
// backend cannot do ends it with exit code 1 and a message.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"

	onnxgo "github.com/owulveryck/onnx-go"
	"github.com/owulveryck/onnx-go/backend/x/gorgonnx"
	"gorgonia.org/tensor"

	"github.com/recur-ml/recur/bench/internal/timing"
	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: onnxgo MODEL.onnx INPUTS.npz SECONDS")
	}
	data, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	file, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	arrays, err := onnx.ReadNPZ(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return err
	}
	slice, err := strconv.ParseFloat(args[2], 64)
	if err != nil {
		return err
	}
	s, err := rt.LoadBytes(data)
	if err != nil {
		return err
	}
	graph := gorgonnx.NewGraph()
	model := onnxgo.NewModel(graph)
	if err := model.UnmarshalBinary(data); err != nil {
		return err
	}
	values := onnx.Values{}
	for i, in := range s.Inputs() {
		t := arrays[in.Name]
		values[in.Name] = t
		x, err := onnx.Data[float32](t)
		if err != nil {
			return err
		}
		if err := model.SetInput(i, tensor.New(tensor.WithShape(t.Shape()...), tensor.WithBacking(append([]float32(nil), x...)))); err != nil {
			return err
		}
	}
	want, err := s.Run(context.Background(), values)
	if err != nil {
		return err
	}
	if err := graph.Run(); err != nil {
		return err
	}
	most, err := difference(model, want[s.Outputs()[0].Name])
	if err != nil {
		return err
	}
	ms := timing.Effort{Slice: slice, Calls: 5}.Time(timing.Wall, func() {
		if err := graph.Run(); err != nil {
			panic(err)
		}
	}) * 1e3
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{"ms": ms, "difference": most})
}

func difference(model *onnxgo.Model, want onnx.Value) (float64, error) {
	w, err := onnx.Data[float32](want)
	if err != nil {
		return 0, err
	}
	out, err := model.GetOutputTensors()
	if err != nil {
		return 0, err
	}
	got, ok := out[0].Data().([]float32)
	if !ok || len(got) != len(w) {
		return 0, fmt.Errorf("output %v, want %d elements of float32", out[0].Shape(), len(w))
	}
	most := 0.0
	for i := range w {
		d := math.Abs(float64(got[i]) - float64(w[i]))
		if d != d {
			return 0, fmt.Errorf("element %d is %v, recur gives %v", i, got[i], w[i])
		}
		most = max(most, d)
	}
	return most, nil
}
