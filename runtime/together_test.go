package runtime_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

var together = flag.Duration("together", 0, "how long goroutines share each session; 0: a moment")

// TestTogether: eight goroutines on one session get what a single caller gets,
// while shapes change and programs for them come and go.
func TestTogether(t *testing.T) {
	models := map[string]struct {
		session *rt.Session
		inputs  []onnx.Values
	}{}
	add := func(name string, s *rt.Session, inputs ...onnx.Values) {
		models[name] = struct {
			session *rt.Session
			inputs  []onnx.Values
		}{s, inputs}
	}
	var ragged []onnx.Values
	for i := range 6 {
		ragged = append(ragged, taggerInputs(3+i, 1+i%3, 8))
	}
	add("LSTM", load(t, tagger(16, 8), rt.WithThreads(2)), ragged...)
	var changing []onnx.Values
	for i := range 24 {
		changing = append(changing, ratedInputs(1+i%12, 3, 8000*int64(1+i%2)))
	}
	add("shapes", load(t, rated(), rt.WithThreads(1), rt.WithPrograms(4)), changing...)
	if root := os.Getenv("RECUR_CORPUS"); root != "" {
		s, in := silero(t, root)
		add("silero", s, in...)
	}
	span := *together
	if span == 0 {
		span = 300 * time.Millisecond
	}
	for name, m := range models {
		t.Run(name, func(t *testing.T) { shareSession(t, m.session, m.inputs, span) })
	}
}

// TestTogetherTeam is TestTogether where the threads of a run meet in each step,
// with more threads than the machine has processors.
func TestTogetherTeam(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(16))
	m, in := recurrentModel("LSTM", 4, 24, 1, 32, 256)
	inputs := []onnx.Values{in}
	rng := rand.New(rand.NewPCG(5, 5))
	for range 2 {
		inputs = append(inputs, onnx.Values{"x": random(rng, 1, 24, 1, 32), "h": in["h"], "c": in["c"]})
	}
	s, err := rt.LoadModel(m, rt.WithThreads(2))
	if err != nil {
		t.Fatal(err)
	}
	shareSession(t, s, inputs, max(*together, 300*time.Millisecond))
}

// shareSession runs the inputs in any order on eight goroutines.
func shareSession(t *testing.T, s *rt.Session, inputs []onnx.Values, span time.Duration) {
	alone, err := rt.LoadModel(s.Model(), rt.WithThreads(1), rt.WithPrograms(0))
	if err != nil {
		t.Fatal(err)
	}
	var want []onnx.Values
	for _, in := range inputs {
		out, err := alone.Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, out)
	}
	end := time.Now().Add(span)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(g)))
			var into []onnx.Values
			for _, out := range want {
				fresh := onnx.Values{}
				for name, v := range out {
					x := v.(*onnx.Tensor)
					fresh[name], _ = onnx.NewZeros(x.DataType(), x.Shape())
				}
				into = append(into, fresh)
			}
			for time.Now().Before(end) {
				i := r.IntN(len(inputs))
				got, err := into[i], error(nil)
				if r.IntN(2) == 0 {
					err = s.RunInto(t.Context(), inputs[i], got)
				} else {
					got, err = s.Run(t.Context(), inputs[i])
				}
				if err != nil {
					t.Error(err)
					return
				}
				for name, v := range want[i] {
					if !sameValue(got[name], v) {
						t.Errorf("goroutine %d, inputs %d: output %q differs", g, i, name)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	if _, refused := rt.Programs(s); refused > 0 {
		t.Errorf("%d programs were refused", refused)
	}
}

// silero loads a trained model, with frames at both of its rates.
func silero(t testing.TB, root string) (*rt.Session, []onnx.Values) {
	t.Helper()
	s, err := rt.Load(filepath.Join(root, "corpus", "zoo", "silero-vad", "v5.0", "model.onnx"), rt.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	var inputs []onnx.Values
	for i := range 4 {
		rate, n := int64(16000), 512
		if i%2 == 1 {
			rate, n = 8000, 256
		}
		state, _ := onnx.NewZeros(onnx.Float, []int{2, 1, 128})
		inputs = append(inputs, onnx.Values{"input": f32([]int{1, n}, floats(n, func(k int) float32 { return float32((k*7919+i*31)%1000)/1000 - 0.5 })...), "state": state, "sr": i64(nil, rate)})
	}
	return s, inputs
}

// TestSteadyAllocations: recurrent operators and trained models allocate
// nothing but outputs once they are warm.
func TestSteadyAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates and empties pools at random")
	}
	const hidden, features = 8, 5
	for name, gates := range map[string]int{"RNN": 1, "GRU": 3, "LSTM": 4} {
		for _, both := range []int{1, 2} {
			t.Run(fmt.Sprint(name, both), func(t *testing.T) {
				weights := func(dims ...int) *onnx.Tensor {
					n, _ := onnx.NumElements(dims)
					return f32(dims, floats(n, func(i int) float32 { return float32(i%11)/11 - 0.5 })...)
				}
				direction := &onnx.Attribute{Name: "direction", Type: onnx.AttrString, String: []string{"forward", "bidirectional"}[both-1]}
				g := &onnx.Graph{
					Inputs:       []onnx.ValueInfo{value("x", onnx.Float, "t", "b", features), value("lengths", onnx.Int32, "b")},
					Initializers: []*onnx.Initializer{initOf("w", weights(both, gates*hidden, features)), initOf("r", weights(both, gates*hidden, hidden)), initOf("bias", weights(both, 2*gates*hidden))},
					Outputs:      []onnx.ValueInfo{value("y", onnx.Float, "t", both, "b", hidden), value("h", onnx.Float, both, "b", hidden)},
					Nodes:        []*onnx.Node{op(name, "x w r bias lengths", "y h", intAttr("hidden_size", hidden), direction)},
				}
				s := load(t, modelOf(g), rt.WithThreads(1))
				steadyAllocations(t, s, onnx.Values{"x": weights(6, 3, features), "lengths": onnx.MustTensor([]int{3}, []int32{6, 2, 4})}, 0)
			})
		}
	}
	if root := os.Getenv("RECUR_CORPUS"); root != "" {
		s, in := silero(t, root)
		for i := range in {
			t.Run(fmt.Sprint("silero", i), func(t *testing.T) { steadyAllocations(t, s, in[i], 0) })
		}
		demo, err := rt.Load(filepath.Join(root, "corpus", "demo", "mnist_rows_lstm.onnx"), rt.WithThreads(1))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1, 100} {
			x, _ := onnx.NewZeros(onnx.Float, []int{n, 28, 28})
			t.Run(fmt.Sprint("demo", n), func(t *testing.T) {
				steadyAllocations(t, demo, onnx.Values{demo.Inputs()[0].Name: x}, 0)
			})
		}
	}
}
