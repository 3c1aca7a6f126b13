package rewrite

import (
	"fmt"

	"github.com/recur-ml/recur/onnx"
)

// dense gives sparse initializers their dense form, in which operators read
// them.
func dense(s *state) error {
	return denseGraph(s.model.Graph, s.limits)
}

func denseGraph(g *onnx.Graph, limits onnx.Limits) error {
	for _, sparse := range g.SparseInitializers {
		t, err := sparse.Tensor.Dense()
		if err != nil {
			return fmt.Errorf("sparse initializer %q: %w", sparse.Name, err)
		}
		if n := int64(len(t.Bytes())); n > limits.InitializerBytes {
			return &onnx.LimitError{What: "bytes of tensors", Got: n, Max: limits.InitializerBytes, Where: fmt.Sprintf("sparse initializer %q", sparse.Name)}
		}
		g.Initializers = append(g.Initializers, &onnx.Initializer{Name: sparse.Name, Tensor: t})
	}
	g.SparseInitializers = nil
	for _, n := range g.Nodes {
		for _, sub := range n.Subgraphs() {
			if err := denseGraph(sub, limits); err != nil {
				return err
			}
		}
	}
	return nil
}
