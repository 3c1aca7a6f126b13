package runtime_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// FuzzRun decodes, loads and runs whatever the bytes say, on inputs that are
// made to fit: the result is an error or outputs, within small limits, and
// never a fault of the engine.
func FuzzRun(f *testing.F) {
	seedGoldens(f)
	limits := onnx.Limits{Nodes: 200, InitializerBytes: 1 << 20, FileBytes: 1 << 14, RunBytes: 16 << 20, LoopIterations: 100, TimeSteps: 1000}
	f.Fuzz(func(t *testing.T, data []byte, size uint8) {
		s, err := rt.LoadBytes(data, rt.WithLimits(limits), rt.WithThreads(1))
		if err != nil {
			wantNoFault(t, err)
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		in := onnx.Values{}
		for _, v := range s.Inputs() {
			x := made(v.Type, int(size%5), 0)
			if x == nil {
				return
			}
			in[v.Name] = x
		}
		start := time.Now()
		first, err := s.Run(ctx, in)
		if d := time.Since(start); d > patience*10*time.Second {
			t.Errorf("a run of %v, with a deadline of 200 ms", d)
		}
		if err != nil {
			wantNoFault(t, err)
			return
		}
		if _, err := s.Run(ctx, in); err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, onnx.ErrLimit) {
			t.Errorf("the second run failed: %v; the first gave %d outputs", err, len(first))
		}
	})
}

func wantNoFault(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, rt.ErrInternal) || strings.Contains(err.Error(), "internal error") {
		t.Errorf("a fault of the engine: %v", err)
	}
}

// made is a value of a type; unknown dimensions get the given size.
func made(typ onnx.Type, size, depth int) onnx.Value {
	if depth > 4 {
		return nil
	}
	switch typ.Kind {
	case onnx.KindTensor:
		var shape []int
		n := 1
		for _, d := range typ.Shape {
			if !d.Known() {
				d = onnx.Fixed(size)
			}
			if n *= max(d.Value, 1); n > 1<<16 {
				return nil
			}
			shape = append(shape, d.Value)
		}
		x, err := onnx.NewZeros(typ.Elem, shape)
		if err != nil {
			return nil
		}
		for i := range x.Bytes() {
			x.Bytes()[i] = byte(i*size) & 1
		}
		return x
	case onnx.KindSequence, onnx.KindOptional:
		if typ.Of == nil {
			return nil
		}
		item := made(*typ.Of, size, depth+1)
		if item == nil {
			return nil
		}
		if typ.Kind == onnx.KindOptional {
			return &onnx.Optional{Elem: *typ.Of, Value: item}
		}
		return &onnx.Sequence{Elem: *typ.Of, Items: []onnx.Value{item, item}}
	}
	return nil
}

// seedGoldens adds small models of the repository's goldens.
func seedGoldens(f *testing.F) {
	paths, err := filepath.Glob("../testdata/goldens/*.tar.gz")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no goldens: %v", err)
	}
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			f.Fatal(err)
		}
		z, err := gzip.NewReader(file)
		if err != nil {
			f.Fatal(err)
		}
		t := tar.NewReader(z)
		for n := 0; ; {
			h, err := t.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				f.Fatal(err)
			}
			if !strings.HasSuffix(h.Name, ".onnx") || h.Size > 2048 {
				continue
			}
			if n++; n%9 != 0 { // a sample is enough: many cases are alike
				continue
			}
			data, err := io.ReadAll(t)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data, uint8(n))
		}
		file.Close()
	}
}
