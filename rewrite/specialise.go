package rewrite

import (
	"fmt"
	"slices"
	"time"

	"github.com/recur-ml/recur/onnx"
)

// What folding for one set of inputs may cost: the results stay in memory beside
// those of others, and a caller waits.
const (
	specialBytes = 1 << 20
	specialTime  = 200 * time.Millisecond
)

// specialised names the optional passes that find more to do once shapes are
// known, and that change no bit of any result.
var specialised = []string{"cancel", "fuse"}

// Specialise gives a copy of a model that Apply gave, for inputs of which more
// is known: their shapes are those that m declares, and the inputs that values
// names are constants. A nil value makes the input's default one. What depends
// on shapes alone is computed, and each If that they decide is replaced by its
// branch. The results of the copy are those of m, bit for bit.
func Specialise(m *onnx.Model, o Options, values map[string]*onnx.Tensor) (*onnx.Model, error) {
	wanted, err := choose(o.Passes)
	if err != nil {
		return nil, err
	}
	s := newState(m, o)
	s.fix(values)
	if err := s.foldWithin(specialBytes, specialTime); err != nil {
		return nil, fmt.Errorf("pass fold: %w", err)
	}
	for _, p := range passes {
		again := slices.Contains(specialised, p.Name) && wanted(p.Name)
		if !again && p.Name != "drop" {
			continue
		}
		if err := p.run(s); err != nil {
			return nil, fmt.Errorf("pass %s: %w", p.Name, err)
		}
	}
	return s.model, nil
}

// fix makes inputs constants, and takes the defaults of the others away: these
// are given.
func (s *state) fix(values map[string]*onnx.Tensor) {
	g := s.model.Graph
	overridable := map[string]bool{}
	if s.model.IRVersion >= 4 {
		for _, v := range g.Inputs {
			overridable[v.Name] = true
		}
	}
	g.Inputs = slices.DeleteFunc(g.Inputs, func(v onnx.ValueInfo) bool {
		_, ok := values[v.Name]
		return ok
	})
	g.Initializers = slices.DeleteFunc(g.Initializers, func(i *onnx.Initializer) bool {
		v, ok := values[i.Name]
		return v != nil || overridable[i.Name] && !ok
	})
	for name, v := range values {
		if v != nil {
			g.Initializers = append(g.Initializers, &onnx.Initializer{Name: name, Tensor: v})
		}
	}
}
