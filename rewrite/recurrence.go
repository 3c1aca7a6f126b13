package rewrite

import (
	"github.com/recur-ml/recur/onnx"
)

// Recurrence is a place of a model where something is computed step after
// step: a recurrent operator or a loop.
type Recurrence struct {
	Kind string // the operator: Loop, Scan, RNN, GRU or LSTM
	Name string // the node's name, or that of its first output
	// Why tells, for a Loop or Scan, why it cannot be a recurrent operator.
	Why string
}

// Recurrences lists the recurrences of a model, as they stand (before), and
// after the passes have made operators of loops and of cells that are written
// out. An error is one of Apply.
func Recurrences(m *onnx.Model, o Options) (before, after []Recurrence, err error) {
	whys := map[*onnx.Node]string{} // by the node, whose outputs a later pass may blank
	left := o.Left
	o.Left = func(n *onnx.Node, why string) {
		whys[n] = why
		if left != nil {
			left(n, why)
		}
	}
	r, err := Apply(m, o)
	if err != nil {
		return nil, nil, err
	}
	return recurrences(m.Graph, nil, nil), recurrences(r.Graph, whys, nil), nil
}

func recurrences(g *onnx.Graph, whys map[*onnx.Node]string, list []Recurrence) []Recurrence {
	for _, n := range g.Nodes {
		if canonical(n.Domain) == "" {
			switch n.OpType {
			case "Loop", "Scan":
				list = append(list, Recurrence{n.OpType, n.Label(), whys[n]})
			case "RNN", "GRU", "LSTM":
				list = append(list, Recurrence{Kind: n.OpType, Name: n.Label()})
			}
		}
		for _, sub := range n.Subgraphs() {
			list = recurrences(sub, whys, list)
		}
	}
	return list
}
