package runtime_test

import (
	"context"
	"testing"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// TestHalfWeights: with the option a session gives, at every engine and number
// of threads, the bits of a model whose R was rounded to float16; without it,
// those of the model, whether or not another session of it has the option. A
// session whose layer depends on constants alone gives them too.
func TestHalfWeights(t *testing.T) {
	m, in := recurrentModel("LSTM", 4, 5, 3, 20, 40)
	rounded := *m
	g := *m.Graph
	rounded.Graph = &g
	g.Initializers = nil
	for _, i := range m.Graph.Initializers {
		if i.Name == "R" {
			data := append([]float32{}, onnx.Elements[float32](i.Tensor)...)
			for k, v := range data {
				data[k] = onnx.ToF16(v).Float32()
			}
			i = &onnx.Initializer{Name: "R", Tensor: onnx.MustTensor(i.Tensor.Shape(), data)}
		}
		g.Initializers = append(g.Initializers, i)
	}
	constant := *m
	all := *m.Graph
	constant.Graph, all.Inputs = &all, nil
	for name, v := range in {
		all.Initializers = append(all.Initializers[:len(all.Initializers):len(all.Initializers)], &onnx.Initializer{Name: name, Tensor: v.(*onnx.Tensor)})
	}
	run := func(m *onnx.Model, in onnx.Values, opts ...rt.Option) []float32 {
		t.Helper()
		out, err := load(t, m, opts...).Run(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		y, err := onnx.Data[float32](out["y"])
		if err != nil {
			t.Fatal(err)
		}
		return y
	}
	for _, name := range rt.Engines() {
		engine := rt.WithEngine(name)
		exact, want := run(m, in, engine), run(&rounded, in, engine)
		same := func(what string, got, want []float32) {
			t.Helper()
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%s, %s: y[%d] is %v, want %v", name, what, i, got[i], want[i])
					return
				}
			}
		}
		same("one thread", run(m, in, engine, rt.WithHalfWeights(), rt.WithThreads(1)), want)
		same("two threads", run(m, in, engine, rt.WithHalfWeights(), rt.WithThreads(2)), want)
		same("all constant", run(&constant, nil, engine, rt.WithHalfWeights()), want)
		same("without the option", run(m, in, engine), exact)
		moved := false
		for i := range want {
			moved = moved || want[i] != exact[i]
		}
		if !moved {
			t.Errorf("%s: rounding changes nothing", name)
		}
	}
}

// TestHalfWeightsOfRuns: weights that a caller may replace are rounded as well,
// so that a program in which they are constants gives the same bits.
func TestHalfWeightsOfRuns(t *testing.T) {
	for _, replaceable := range [][]string{{"B"}, {"W", "R", "B"}} {
		m, in := recurrentModel("LSTM", 4, 5, 3, 20, 40)
		want, err := load(t, m, rt.WithHalfWeights()).Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range replaceable {
			for _, i := range m.Graph.Initializers {
				if i.Name == name {
					shape := i.Tensor.Shape()
					m.Graph.Inputs = append(m.Graph.Inputs, value(name, onnx.Float, shape[0], shape[1]))
					if len(shape) == 3 {
						m.Graph.Inputs[len(m.Graph.Inputs)-1] = value(name, onnx.Float, shape[0], shape[1], shape[2])
					}
				}
			}
		}
		for _, engine := range rt.Engines() {
			s := load(t, m, rt.WithHalfWeights(), rt.WithEngine(engine))
			first, err := s.Run(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if engine == rt.Engines()[0] {
				sameValues(t, "constants", first, want)
			}
			for range 4 {
				again, err := s.Run(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				sameValues(t, engine, again, first)
			}
		}
	}
}
