package runtime_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

func TestEngines(t *testing.T) {
	m := &onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 14}}, Graph: &onnx.Graph{Name: "g"}}
	for _, name := range rt.Engines() {
		if _, err := rt.LoadModel(m, rt.WithEngine(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := rt.LoadModel(m, rt.WithEngine("abacus")); !errors.Is(err, onnx.ErrUnsupported) || !strings.Contains(err.Error(), `engine "abacus"`) {
		t.Errorf("error %v, want one that names the engine", err)
	}
}
