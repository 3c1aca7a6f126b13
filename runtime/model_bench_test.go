package runtime_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// benchModel measures RunInto on one thread. flop is the number of
// floating-point operations of a run, 0 for not counted.
func benchModel(b *testing.B, s *rt.Session, in onnx.Values, flop float64) {
	b.Helper()
	out, err := s.Run(context.Background(), in)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.RunInto(context.Background(), in, out); err != nil {
			b.Fatal(err)
		}
	}
	if flop > 0 {
		b.ReportMetric(flop*float64(b.N)/b.Elapsed().Seconds()*1e-9, "GF/s")
	}
}

// random makes a tensor of numbers in [-bound, bound).
func random(rng *rand.Rand, bound float64, shape ...int) *onnx.Tensor {
	n, _ := onnx.NumElements(shape)
	return onnx.MustTensor(shape, floats(n, func(int) float32 { return float32((2*rng.Float64() - 1) * bound) }))
}

// recurrentModel is a model of one operator: x and h, and c of an LSTM, in; all
// outputs. attrs are beyond hidden_size.
func recurrentModel(name string, gates, t, batch, in, units int, attrs ...*onnx.Attribute) (*onnx.Model, onnx.Values) {
	rng := rand.New(rand.NewPCG(1, 2))
	bound := 1 / math.Sqrt(float64(units))
	inputs, outputs := "x W R B _ h", "y hn"
	g := &onnx.Graph{
		Inputs:  []onnx.ValueInfo{value("x", onnx.Float, t, batch, in), value("h", onnx.Float, 1, batch, units)},
		Outputs: []onnx.ValueInfo{value("y", onnx.Float, t, 1, batch, units), value("hn", onnx.Float, 1, batch, units)},
		Initializers: []*onnx.Initializer{
			{Name: "W", Tensor: random(rng, bound, 1, gates*units, in)},
			{Name: "R", Tensor: random(rng, bound, 1, gates*units, units)},
			{Name: "B", Tensor: random(rng, bound, 1, 2*gates*units)},
		},
	}
	values := onnx.Values{"x": random(rng, 1, t, batch, in), "h": random(rng, 1, 1, batch, units)}
	if name == "LSTM" {
		inputs, outputs = inputs+" c", outputs+" cn"
		g.Inputs = append(g.Inputs, value("c", onnx.Float, 1, batch, units))
		g.Outputs = append(g.Outputs, value("cn", onnx.Float, 1, batch, units))
		values["c"] = random(rng, 1, 1, batch, units)
	}
	g.Nodes = []*onnx.Node{op(name, inputs, outputs, append(attrs, intAttr("hidden_size", int64(units)))...)}
	return modelOf(g), values
}

func benchRecurrent(b *testing.B, name string, gates int, attrs ...*onnx.Attribute) {
	for _, s := range [][4]int{{28, 150, 28, 150}, {100, 32, 128, 256}, {1, 1, 128, 128}, {100, 1, 128, 256}} {
		t, batch, in, units := s[0], s[1], s[2], s[3]
		b.Run(fmt.Sprintf("T=%d/B=%d/I=%d/H=%d", t, batch, in, units), func(b *testing.B) {
			m, values := recurrentModel(name, gates, t, batch, in, units, attrs...)
			benchModel(b, load(b, m, rt.WithThreads(1)), values, 2*float64(t*batch*gates*units)*float64(in+units))
		})
	}
}

func BenchmarkLSTM(b *testing.B) { benchRecurrent(b, "LSTM", 4) }
func BenchmarkGRU(b *testing.B)  { benchRecurrent(b, "GRU", 3, intAttr("linear_before_reset", 1)) }
func BenchmarkRNN(b *testing.B)  { benchRecurrent(b, "RNN", 1) }

// BenchmarkGRUReset is a GRU whose reset gate comes before the product.
func BenchmarkGRUReset(b *testing.B) { benchRecurrent(b, "GRU", 3) }

// BenchmarkDemo reads digits with the model of recur demo.
func BenchmarkDemo(b *testing.B) {
	data, err := os.ReadFile(filepath.Join("..", "cmd", "recur", "demo", "mnist_rows_lstm.onnx"))
	if err != nil {
		b.Fatal(err)
	}
	s, err := rt.LoadBytes(data, rt.WithThreads(1))
	if err != nil {
		b.Fatal(err)
	}
	for _, batch := range []int{1, 100} {
		b.Run(fmt.Sprintf("B=%d", batch), func(b *testing.B) {
			in := onnx.Values{s.Inputs()[0].Name: random(rand.New(rand.NewPCG(1, 3)), 1, batch, 28, 28)}
			benchModel(b, s, in, 0)
		})
	}
}

// BenchmarkSilero finds speech in one frame of 32 ms.
func BenchmarkSilero(b *testing.B) {
	root := os.Getenv("RECUR_CORPUS")
	if root == "" {
		b.Skip("RECUR_CORPUS is not set")
	}
	for _, version := range []string{"v5.0", "v6.2_silero_vad_16k_op15"} {
		b.Run(version, func(b *testing.B) {
			s, err := rt.Load(filepath.Join(root, "corpus", "zoo", "silero-vad", version, "model.onnx"), rt.WithThreads(1))
			if err != nil {
				b.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(1, 4))
			benchModel(b, s, onnx.Values{"input": random(rng, 1, 1, 512), "state": random(rng, 1, 2, 1, 128), "sr": onnx.Scalar(int64(16000))}, 0)
		})
	}
}

// BenchmarkLoad loads models from memory, on one thread.
func BenchmarkLoad(b *testing.B) {
	files := map[string]string{"demo": filepath.Join("..", "cmd", "recur", "demo", "mnist_rows_lstm.onnx")}
	if root := os.Getenv("RECUR_CORPUS"); root != "" {
		for name, file := range map[string]string{
			"silero-v4": "zoo/silero-vad/v4.0/model.onnx",
			"silero-v5": "zoo/silero-vad/v5.0/model.onnx",
			"silero-v6": "zoo/silero-vad/v6.2_silero_vad_16k_op15/model.onnx",
			"gtcrn":     "zoo/gtcrn/stream__onnx_models__gtcrn/model.onnx",
			"tagger":    "keras/k3_bilstm_tagger/tf2onnx.onnx",
		} {
			files[name] = filepath.Join(root, "corpus", filepath.FromSlash(file))
		}
	}
	for name, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s, err := rt.LoadBytes(data, rt.WithThreads(1))
				if err != nil {
					b.Fatal(err)
				}
				s.Close()
			}
		})
	}
}
