package runtime_test

import (
	"context"
	"testing"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// BenchmarkStreams computes a frame of each of 64 streams: one after the
// other, and together.
func BenchmarkStreams(b *testing.B) {
	const n = 64
	s := load(b, streamLSTM(), rt.WithThreads(1))
	var streams []*rt.Stream
	var frames []onnx.Values
	for i := range n {
		streams, frames = append(streams, newStream(b, s)), append(frames, frame(i, 0, 1))
	}
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for i := range n {
				mustRun(b, streams[i], frames[i])
			}
		}
	})
	b.Run("together", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.RunStreams(context.Background(), streams, frames); err != nil {
				b.Fatal(err)
			}
		}
	})
}
