package ops

import (
	"errors"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func TestRegister(t *testing.T) {
	row := func(since ...int) Op {
		return Op{Domain: "test", Name: "Op", Since: since, Infer: func(*Node) error { return nil }, Build: func(*Node) (Kernel, error) { return nil, nil }}
	}
	var r Registry // the zero one is empty
	if err := r.Register(row(2)); err != nil {
		t.Fatal(err)
	}
	for name, op := range map[string]Op{
		"no versions":             row(),
		"version 0":               row(0),
		"a negative version":      row(3, -1),
		"a version twice":         row(3, 3),
		"a version that is there": row(1, 2),
		"neither Infer nor Build": {Domain: "test", Name: "Op", Since: []int{3}},
		"no name":                 {Since: []int{3}, Infer: row(3).Infer, Build: row(3).Build},
	} {
		if err := r.Register(op); !errors.Is(err, onnx.ErrMalformed) {
			t.Errorf("%s: got %v, want ErrMalformed", name, err)
		}
	}
	if n := len(r.Entries()); n != 1 {
		t.Errorf("%d entries, want 1: a row that is refused leaves nothing", n)
	}
	if _, since, err := r.Lookup("test", "Op", 7); since != 2 || err != nil {
		t.Errorf("opset 7 means version %d, %v; want 2", since, err)
	}
	if _, _, err := r.Lookup("test", "Op", 1); !errors.Is(err, onnx.ErrUnsupported) {
		t.Errorf("opset 1: %v, want ErrUnsupported", err)
	}
}
