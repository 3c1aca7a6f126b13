package runtime_test

import (
	"context"
	"testing"
	"time"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/rewrite"
	rt "github.com/recur-ml/recur/runtime"
)

// FuzzStream exposes the state of whatever model the bytes are, and streams it
// alone and in a batch: the result is an error or outputs, never a fault of the
// engine, and what is exposed is a valid model.
func FuzzStream(f *testing.F) {
	seedGoldens(f)
	for _, c := range streamed {
		data, err := onnx.Encode(c.model())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, uint8(1))
	}
	limits := onnx.Limits{Nodes: 200, InitializerBytes: 1 << 20, FileBytes: 1 << 14, RunBytes: 16 << 20, LoopIterations: 100, TimeSteps: 1000}
	f.Fuzz(func(t *testing.T, data []byte, size uint8) {
		start := time.Now()
		defer func() {
			if d := time.Since(start); d > 10*time.Second {
				t.Errorf("%v, with a deadline of 200 ms for the runs", d)
			}
		}()
		m, err := onnx.Decode(data, &onnx.DecodeOptions{Limits: limits})
		if err != nil || onnx.Check(m, onnx.CheckLimits(limits.WithDefaults())) != nil {
			return
		}
		exposed, pairs, err := rewrite.ExposeState(m)
		if err != nil {
			return
		}
		if err := onnx.Check(exposed, onnx.CheckLimits(limits.WithDefaults())); err != nil {
			t.Errorf("exposed: %v", err)
		}
		s, err := rt.LoadModel(exposed, rt.WithLimits(limits), rt.WithThreads(1))
		if err != nil {
			wantNoFault(t, err)
			return
		}
		a, err := s.Stream()
		if err != nil {
			wantNoFault(t, err)
			if len(pairs) > 0 && err != nil {
				t.Logf("%v were exposed, yet: %v", pairs, err)
			}
			return
		}
		b, err := s.Stream()
		if err != nil {
			t.Fatal(err)
		}
		in := onnx.Values{}
		for _, v := range s.Inputs() {
			in[v.Name] = made(v.Type, int(size%5), 0)
			if in[v.Name] == nil {
				return
			}
		}
		for _, p := range a.Pairs() {
			delete(in, p.Input)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		for range 2 {
			if _, err := a.Run(ctx, in); err != nil {
				wantNoFault(t, err)
			}
			if _, err := s.RunStreams(ctx, []*rt.Stream{a, b}, []onnx.Values{in, in}); err != nil {
				wantNoFault(t, err)
			}
		}
	})
}
