package recur_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/recur-ml/recur/internal/verify"
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/rewrite"
	rt "github.com/recur-ml/recur/runtime"
)

// movedSession is a model that is moved to another opset when it is run: then
// all inputs but the first are constants, which attributes can be made of.
type movedSession struct {
	*rt.Session
	model *onnx.Model
	opset int
}

func (s *movedSession) Run(ctx context.Context, inputs onnx.Values, names ...string) (onnx.Values, error) {
	m := *s.model
	g := *m.Graph
	m.Graph = &g
	g.Inputs = nil
	rest := onnx.Values{}
	for i, v := range s.model.Graph.Inputs {
		t, ok := inputs[v.Name].(*onnx.Tensor)
		if i == 0 || !ok {
			g.Inputs = append(g.Inputs, v)
			if inputs[v.Name] != nil {
				rest[v.Name] = inputs[v.Name]
			}
			continue
		}
		g.Initializers = append(g.Initializers, &onnx.Initializer{Name: v.Name, Tensor: t})
	}
	moved, err := move(&m, s.opset)
	if err != nil {
		return nil, err
	}
	session, err := rt.LoadModel(moved)
	if err != nil {
		return nil, fmt.Errorf("%w (%v)", errMoved, err)
	}
	return session.Run(ctx, rest, names...)
}

// errMoved is a fault of a moved model.
var errMoved = errors.New("the model that was moved cannot be loaded")

// move goes through a file, as the command does.
func move(m *onnx.Model, opset int) (*onnx.Model, error) {
	moved, _, err := rewrite.Opset(m, opset, rewrite.Options{})
	if err != nil {
		return nil, err
	}
	data, err := onnx.Encode(moved)
	if err != nil {
		return nil, err
	}
	again, err := onnx.Decode(data, nil)
	if err != nil {
		return nil, fmt.Errorf("%w (%v)", errMoved, err)
	}
	if err := onnx.Check(again); err != nil {
		return nil, fmt.Errorf("%w (%v)", errMoved, err)
	}
	return again, nil
}

// TestOpsets moves the models of the goldens to other opsets: what is not
// refused must give what it gave.
func TestOpsets(t *testing.T) {
	targets := []int{onnx.LatestOpset(""), 17, 13, 10, 7}
	if testing.Short() {
		targets = []int{onnx.LatestOpset(""), 13, 7}
	}
	for _, opset := range targets {
		t.Run(fmt.Sprint(opset), func(t *testing.T) {
			moved := 0
			for _, s := range goldens(t) {
				for _, c := range s.cases {
					if c.ExpectError {
						continue
					}
					r := verify.Runner{Again: -1, Load: func(path string) (verify.Session, error) {
						m, err := onnx.Load(path, nil)
						if err != nil {
							return nil, err
						}
						session, err := rt.LoadModel(m)
						return &movedSession{session, m, opset}, err
					}}
					switch res := r.Run(t.Context(), c); res.Verdict {
					case verify.Passed:
						moved++
					case verify.Failed:
						t.Errorf("%s %s: %s", s.name, c.ID, res.Reason)
					default:
						t.Logf("%s %s: %s", s.name, c.ID, res.Reason)
					}
				}
			}
			t.Logf("%d moved", moved)
		})
	}
}

// TestOpsetsOfCorpus moves the real models of the tree that RECUR_CORPUS names.
func TestOpsetsOfCorpus(t *testing.T) {
	root := os.Getenv("RECUR_CORPUS")
	if root == "" {
		t.Skip("RECUR_CORPUS is not set: goldens only")
	}
	for _, opset := range []int{onnx.LatestOpset(""), 15, 11, 7} {
		for _, s := range suitesIn(t, root, filepath.Join(root, "corpus")) {
			passed := 0
			for _, c := range s.cases {
				if c.ExpectError || slices.Contains(c.Tags, "slow") {
					continue
				}
				refused := false
				r := verify.Runner{Again: -1, Load: func(path string) (verify.Session, error) {
					m, err := onnx.Load(path, nil)
					if err != nil {
						return nil, err
					}
					session, err := rt.LoadModel(m)
					if refused = err != nil; err != nil {
						return nil, err
					}
					session.Close()
					moved, err := move(m, opset)
					if refused = err != nil && !errors.Is(err, errMoved); err != nil {
						return nil, err
					}
					return rt.LoadModel(moved)
				}}
				switch res := r.Run(t.Context(), c); {
				case res.Verdict == verify.Passed:
					passed++
				case !refused && !res.Allowed():
					t.Errorf("opset %d, %s %s: %s", opset, s.name, c.ID, res.Reason)
				}
			}
			t.Logf("opset %d, %s: %d of %d moved", opset, s.name, passed, len(s.cases))
		}
	}
}
