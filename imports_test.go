package recur_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/recur-ml/recur"

// order is the way that imports may go: a package may import those before it.
var order = []string{"internal/fault", "internal/brief", "onnx", "ops", "rewrite", "runtime", "internal/verify", "cmd/recur"}

// TestImports keeps imports going one way, and what an embedder gets small:
// the standard library, protobuf's wire format and gonum.
func TestImports(t *testing.T) {
	for i, name := range order {
		deps := dependencies(t, module+"/"+name)
		for _, d := range deps {
			own, ok := strings.CutPrefix(d, module+"/")
			if !ok {
				if i < len(order)-1 && isOutside(d) && !allowedOutside(name, d) {
					t.Errorf("%s depends on %s", name, d)
				}
				continue
			}
			if own == onnxgo {
				t.Errorf("%s depends on %s, which is for users of onnx-go alone", name, own)
			}
			later := slices.IndexFunc(order, func(o string) bool { return o == own || strings.HasPrefix(own, o+"/") })
			switch {
			case later > i:
				t.Errorf("%s depends on %s, which comes after it", name, own)
			case later < 0 && i < len(order)-1:
				t.Errorf("%s depends on %s, which has no place in the order", name, own)
			}
		}
	}
}

// onnxgo is in the order after runtime, with nothing after it: what it needs of
// onnx-go and of gorgonia's tensors is in nothing else.
const onnxgo = "runtime/onnxgo"

func TestImportsOfOnnxgo(t *testing.T) {
	before := order[:slices.Index(order, "runtime")+1]
	foreign := false
	for _, d := range dependencies(t, module+"/"+onnxgo) {
		own, ok := strings.CutPrefix(d, module+"/")
		switch {
		case ok && own != onnxgo && !slices.ContainsFunc(before, func(o string) bool { return o == own || strings.HasPrefix(own, o+"/") }):
			t.Errorf("%s depends on %s", onnxgo, own)
		case strings.HasPrefix(d, "gorgonia.org/gorgonia"), strings.HasPrefix(d, "github.com/stretchr/"), strings.HasSuffix(d, "/testbackend"):
			t.Errorf("%s depends on %s", onnxgo, d)
		}
		foreign = foreign || d == "github.com/owulveryck/onnx-go"
	}
	if !foreign {
		t.Errorf("%s does not depend on onnx-go", onnxgo)
	}
}

// isOutside reports whether a package is not of the standard library.
func isOutside(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return strings.Contains(first, ".") && !strings.HasPrefix(path, "vendor/")
}

func allowedOutside(name, path string) bool {
	if strings.HasPrefix(path, "google.golang.org/protobuf/") {
		return path == "google.golang.org/protobuf/encoding/protowire" || strings.Contains(path, "/internal/")
	}
	return name != "onnx" && strings.HasPrefix(path, "gonum.org/v1/gonum/")
}

func dependencies(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", pkg).Output()
	if err != nil {
		t.Fatalf("go list %s: %v", pkg, err)
	}
	return strings.Fields(string(out))
}
