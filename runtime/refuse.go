package runtime

import (
	"errors"
	"fmt"
	"strings"

	"github.com/recur-ml/recur/internal/brief"
	"github.com/recur-ml/recur/onnx"
)

// RefusalError lists every node that keeps a model from being loaded. It
// matches the sentinels of its refusals: onnx.ErrUnsupported for what the
// engine does not compute, ErrShape, ErrType or ErrMalformed for what no
// engine could.
type RefusalError struct {
	Model    string // the model's path, "" when it was not a file
	Refusals []Refusal
}

// Refusal is one node that was refused.
type Refusal struct {
	Node   string // the node's name, or that of its first output
	Op     string // operator, with its domain unless that is ai.onnx: "com.acme:Foo"
	Since  int    // the operator's version, 0 when it is not known
	Reason string
	Err    error
}

// maxListed bounds the nodes that a message names.
const maxListed = 20

// Error names the nodes, those of one operator and reason together.
func (e *RefusalError) Error() string {
	type group struct {
		what  string
		nodes []string
	}
	var groups []*group
	byWhat := map[string]*group{}
	for _, r := range e.Refusals {
		op := brief.Word(r.Op)
		if r.Since > 0 {
			op = fmt.Sprintf("%s-%d", op, r.Since)
		}
		what := r.Reason
		if !strings.Contains(what, op) {
			what = op + ": " + what
		}
		g := byWhat[what]
		if g == nil {
			g = &group{what: what}
			byWhat[what] = g
			groups = append(groups, g)
		}
		g.nodes = append(g.nodes, r.Node)
	}
	var b strings.Builder
	if e.Model != "" {
		b.WriteString(e.Model + ": ")
	}
	nodes := "nodes"
	if len(e.Refusals) == 1 {
		nodes = "node"
	}
	fmt.Fprintf(&b, "%d %s refused: ", len(e.Refusals), nodes)
	for i, g := range groups {
		if i == maxListed {
			fmt.Fprintf(&b, ", and %d more", len(groups)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s (%d: ", g.what, len(g.nodes))
		for j, n := range g.nodes {
			if j == 5 {
				b.WriteString(", ...")
				break
			}
			if j > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%q", brief.Name(n))
		}
		b.WriteString(")")
	}
	return b.String()
}

// Unwrap gives the causes.
func (e *RefusalError) Unwrap() []error {
	var out []error
	for _, kind := range []error{onnx.ErrUnsupported, onnx.ErrShape, onnx.ErrType, onnx.ErrMalformed, onnx.ErrLimit} {
		for _, r := range e.Refusals {
			if errors.Is(r.Err, kind) {
				out = append(out, r.Err)
				break
			}
		}
	}
	return out
}

func refuse(p *onnx.Node, since int, err error) Refusal {
	op := p.OpType
	if p.Domain != "" {
		op = p.Domain + ":" + op
	}
	return Refusal{Node: p.Label(), Op: op, Since: since, Reason: err.Error(), Err: err}
}
