package runtime_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// streamCase is a trained model with recorded frames: arrays "in:NAME" and
// "out:NAME", a frame a row, "final:NAME" and "fixed:NAME".
type streamCase struct {
	State []struct{ Input, Output string }
	Frame string `json:"frame_input"`
	Steps int

	session *rt.Session
	arrays  map[string]*onnx.Tensor
}

func corpusStreams(t *testing.T) map[string]*streamCase {
	root := os.Getenv("RECUR_CORPUS")
	if root == "" {
		t.Skip("RECUR_CORPUS is not set")
	}
	files, err := filepath.Glob(filepath.Join(root, "corpus", "zoo", "*", "*", "stream.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no streams under %s: %v", root, err)
	}
	cases := map[string]*streamCase{}
	for _, file := range files {
		c := &streamCase{}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, c); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(file)
		npz, err := os.ReadFile(filepath.Join(dir, "stream.npz"))
		if err != nil {
			t.Fatal(err)
		}
		if c.arrays, err = onnx.ReadNPZ(bytes.NewReader(npz), int64(len(npz))); err != nil {
			t.Fatal(err)
		}
		if c.session, err = rt.Load(filepath.Join(dir, "model.onnx")); err != nil {
			t.Fatal(err)
		}
		cases[filepath.Base(filepath.Dir(dir))+"/"+filepath.Base(dir)] = c
	}
	return cases
}

// row gives row i of an array.
func row(t *testing.T, a *onnx.Tensor, i int) *onnx.Tensor {
	t.Helper()
	n := a.Len() / a.Shape()[0]
	return onnx.MustTensor(a.Shape()[1:], onnx.Elements[float32](a)[i*n:][:n])
}

func (c *streamCase) frame(t *testing.T, i int) onnx.Values {
	in := onnx.Values{c.Frame: row(t, c.arrays["in:"+c.Frame], i)}
	for name, a := range c.arrays {
		if fixed, ok := strings.CutPrefix(name, "fixed:"); ok {
			in[fixed] = a
		}
	}
	return in
}

// TestStreamCorpus streams trained models, with pairs found by themselves,
// against what another runtime gave for each frame.
func TestStreamCorpus(t *testing.T) {
	const tolerance = 1e-4
	for name, c := range corpusStreams(t) {
		t.Run(name, func(t *testing.T) {
			st := newStream(t, c.session)
			if len(st.Pairs()) != len(c.State) {
				t.Fatalf("pairs %v, want %v", st.Pairs(), c.State)
			}
			for i, p := range c.State {
				if got := st.Pairs()[i]; got.Input != p.Input || got.Output != p.Output {
					t.Errorf("pair %v, want %s=%s", got, p.Output, p.Input)
				}
			}
			compared := 0
			closeTo := func(what string, got onnx.Value, want *onnx.Tensor) {
				g, w := onnx.Elements[float32](got.(*onnx.Tensor)), onnx.Elements[float32](want)
				if len(g) != len(w) {
					t.Fatalf("%s: %v, want %v", what, got, want)
				}
				for i := range w {
					compared++
					if !(math.Abs(float64(g[i]-w[i])) <= tolerance) {
						t.Fatalf("%s, element %d: %v, want %v", what, i, g[i], w[i])
					}
				}
			}
			for i := range c.Steps {
				out := mustRun(t, st, c.frame(t, i))
				for name, v := range out {
					closeTo(name, v, row(t, c.arrays["out:"+name], i))
				}
			}
			state := st.State()
			for _, p := range c.State {
				closeTo(p.Output, state[p.Input], c.arrays["final:"+p.Output])
			}
			if compared < c.Steps {
				t.Errorf("%d elements compared in %d frames", compared, c.Steps)
			}
		})
	}
}

// TestRunStreamsCorpus: streams of trained models that run a few frames apart,
// put into batches, give the bits of each alone.
func TestRunStreamsCorpus(t *testing.T) {
	const n, steps = 5, 8
	for name, c := range corpusStreams(t) {
		t.Run(name, func(t *testing.T) {
			var opts []rt.StreamOption
			if strings.Contains(name, "v5") { // its dimensions have no names
				opts = append(opts, rt.StreamBatch("input=0", "state=1", "output=0"))
			}
			var streams, alone []*rt.Stream
			for range n {
				streams, alone = append(streams, newStream(t, c.session, opts...)), append(alone, newStream(t, c.session, opts...))
			}
			for k := range steps {
				var inputs, want []onnx.Values
				for i := range n {
					in := c.frame(t, (k+7*i)%c.Steps)
					inputs, want = append(inputs, in), append(want, mustRun(t, alone[i], in))
				}
				out, err := c.session.RunStreams(context.Background(), streams, inputs)
				if err != nil {
					t.Fatal(err)
				}
				for i := range n {
					sameBits(t, "outputs", out[i], want[i])
					sameBits(t, "states", streams[i].State(), alone[i].State())
				}
			}
			t.Logf("rows put together: %v", rt.Batches(streams[0]))
		})
	}
}
