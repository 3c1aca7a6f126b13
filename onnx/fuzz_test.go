package onnx

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// seedModels adds small models of the corpus, where there is one, and a few
// made here.
func seedModels(f *testing.F) {
	f.Add(modelOf(msg(1, msg(1, "x", 2, "y", 4, "Relu"), 11, msg(1, "x", 2, msg(1, msg(1, 1))), 12, msg(1, "y"))))
	f.Add(modelOf(msg(5, msg(1, 2, 2, 1, 8, "w", 9, "12345678"))))
	f.Add(modelOf(msg(15, msg(1, msg(1, 1, 2, 1, 8, "s", 4, float32(1)), 2, msg(1, 1, 2, 7, 7, 0), 3, 4))))
	root := os.Getenv("RECUR_CORPUS")
	if root == "" {
		return
	}
	n := 0
	filepath.WalkDir(filepath.Join(root, "conformance"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".onnx") {
			return nil
		}
		if info, err := d.Info(); err != nil || info.Size() > 4096 {
			return nil
		}
		if n++; n%7 != 0 { // a sample is enough: many cases are alike
			return nil
		}
		if data, err := os.ReadFile(path); err == nil {
			f.Add(data)
		}
		return nil
	})
}

var fuzzLimits = Limits{Nodes: 1000, InitializerBytes: 1 << 20, FileBytes: 1 << 16}

// FuzzDecode wants an error or a model from any bytes, and never a panic; a
// model's tensors must be readable.
func FuzzDecode(f *testing.F) {
	seedModels(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Decode(data, &DecodeOptions{fuzzLimits})
		if err != nil {
			return
		}
		if m.Graph == nil {
			return
		}
		for _, init := range m.Graph.Initializers {
			if x := init.Tensor; x.External() == nil && x.DataType() != String {
				if got, want := len(x.Bytes()), x.Len()*x.DataType().Size(); got != want {
					t.Errorf("%v has %d bytes, want %d", x, got, want)
				}
			}
			if s := init.Span; s.Start < 0 || s.End > int64(len(data)) || s.Start > s.End {
				t.Errorf("span %v of %d bytes", s, len(data))
			}
		}
	})
}

// FuzzCheck wants an error or nothing from Check for whatever decodes, and an
// order of the nodes for what it accepts.
func FuzzCheck(f *testing.F) {
	seedModels(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Decode(data, &DecodeOptions{fuzzLimits})
		if err != nil {
			return
		}
		if Check(m, CheckLimits(fuzzLimits)) != nil {
			return
		}
		if _, err := Sort(m.Graph); err != nil {
			t.Errorf("a checked graph cannot be sorted: %v", err)
		}
	})
}
