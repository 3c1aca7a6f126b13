package verify

import (
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
	rt "github.com/recur-ml/recur/runtime"
)

// isRandom reports whether a loaded model has an operator whose outputs depend
// on more than its inputs.
func isRandom(s Session) bool {
	loaded, ok := s.(*rt.Session)
	if !ok {
		return false
	}
	m := loaded.Model()
	opsets := map[string]int{}
	for _, o := range m.OpsetImports {
		opsets[o.Domain] = int(o.Version)
	}
	return randomGraph(m.Graph, opsets)
}

func randomGraph(g *onnx.Graph, opsets map[string]int) bool {
	for _, n := range g.Nodes {
		opset := opsets[n.Domain]
		if n.Opset != 0 {
			opset = int(n.Opset)
		}
		if op, _, err := ops.Default().Lookup(n.Domain, n.OpType, opset); err == nil && op.Random {
			return true
		}
		for _, sub := range n.Subgraphs() {
			if randomGraph(sub, opsets) {
				return true
			}
		}
	}
	return false
}
