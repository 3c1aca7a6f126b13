package runtime

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/recur-ml/recur/onnx"
)

// streamConfig is what all streams of one session and the same options share.
type streamConfig struct {
	pairs  []StatePair
	states []streamState // by pair
	plain  []string      // the outputs that are no states
	batch  *batchAxes    // nil: rows cannot be put together
	apart  atomic.Bool   // it turned out that they cannot
}

// streamState is the input of a state.
type streamState struct {
	*input
	initial *onnx.Tensor // the model's default, nil where it has none
	axis    int          // of the rows, -1 when that is not known
}

// batchAxes says where the rows of a batch are.
type batchAxes struct {
	params  []int // by input of the session: the axis, -1 where all rows share it
	outputs []int // by output: the axis, -1 when that is not known
}

// streamConfigs keeps what was found for a model, by the options.
type streamConfigs struct {
	mu    sync.Mutex
	known map[string]*streamConfig
}

func (s *Session) streamConfig(o *streamOptions) (*streamConfig, error) {
	key := fmt.Sprintf("%q %q", o.pairs, o.batch)
	s.streams.mu.Lock()
	defer s.streams.mu.Unlock()
	if c := s.streams.known[key]; c != nil {
		return c, nil
	}
	c, err := s.newStreamConfig(o)
	if err != nil {
		return nil, err
	}
	if s.streams.known == nil {
		s.streams.known = map[string]*streamConfig{}
	}
	if len(s.streams.known) < maxConfigs {
		s.streams.known[key] = c
	}
	return c, nil
}

// maxConfigs bounds how many sets of options a session remembers.
const maxConfigs = 64

func (s *Session) newStreamConfig(o *streamOptions) (*streamConfig, error) {
	c := &streamConfig{}
	var err error
	if len(o.pairs) > 0 {
		c.pairs, err = s.namedPairs(o.pairs)
	} else if c.pairs, err = s.StatePairs(); err == nil && len(c.pairs) == 0 {
		err = fmt.Errorf("%w: no output of the model is found to carry a state that an input takes; name them, or expose the state of the model's recurrent nodes", ErrStateless)
	}
	if err != nil {
		return nil, err
	}
	for _, p := range c.pairs {
		in := s.param(p.Input)
		state := streamState{input: in, axis: -1}
		if in.optional {
			state.initial = s.initializer(p.Input)
		}
		c.states = append(c.states, state)
	}
	for _, out := range s.outputs {
		if !c.carries(out.Name) {
			c.plain = append(c.plain, out.Name)
		}
	}
	if c.batch, err = s.findRows(c, o.batch); err != nil {
		return nil, err
	}
	for k := range c.states {
		if c.batch != nil {
			c.states[k].axis = c.batch.params[s.paramIndex(c.states[k].Name)]
		}
	}
	return c, nil
}

// carries reports whether an output is a state's.
func (c *streamConfig) carries(output string) bool {
	return slices.ContainsFunc(c.pairs, func(p StatePair) bool { return p.Output == output })
}

func (c *streamConfig) names() string {
	list := make([]onnx.ValueInfo, len(c.states))
	for i := range c.states {
		list[i] = c.states[i].ValueInfo
	}
	return quoted(list)
}

// rows gives the number of rows in the inputs, 1 when they do not say.
func (c *streamConfig) rows(s *Session, inputs onnx.Values) int {
	for i := range s.params {
		t, ok := inputs[s.params[i].Name].(*onnx.Tensor)
		if axis := c.batch.params[i]; ok && t != nil && axis >= 0 && axis < t.Rank() {
			return t.Shape()[axis]
		}
	}
	return 1
}

func (s *Session) paramIndex(name string) int {
	return slices.IndexFunc(s.params, func(p input) bool { return p.Name == name })
}

func (s *Session) param(name string) *input {
	if i := s.paramIndex(name); i >= 0 {
		return &s.params[i]
	}
	return nil
}

func (s *Session) initializer(name string) *onnx.Tensor {
	for _, i := range s.model.Graph.Initializers {
		if i.Name == name {
			return i.Tensor
		}
	}
	return nil
}

// namedPairs reads pairs that are given by hand.
func (s *Session) namedPairs(list []string) ([]StatePair, error) {
	var pairs []StatePair
	for _, text := range list {
		p, err := s.namedPair(text)
		if err != nil {
			return nil, err
		}
		for _, q := range pairs {
			if q.Output == p.Output || q.Input == p.Input {
				return nil, onnx.Errorf(onnx.ErrMalformed, "state pairs %q and %q share a name", q.String(), text)
			}
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

func (s *Session) namedPair(text string) (StatePair, error) {
	p, ok := StatePair{}, false
	for i := range text { // names may hold "=" themselves
		if text[i] == '=' && s.outputIndex(text[:i]) >= 0 && s.param(text[i+1:]) != nil {
			p, ok = StatePair{Output: text[:i], Input: text[i+1:]}, true
		}
	}
	if !ok {
		out, in, cut := strings.Cut(text, "=")
		switch {
		case !cut:
			return p, onnx.Errorf(onnx.ErrMalformed, "state pair %q: want OUTPUT=INPUT", text)
		case s.outputIndex(out) < 0:
			return p, onnx.Errorf(onnx.ErrMalformed, "state pair %q: no output %q; the model has %s", text, out, quoted(s.outputs))
		}
		return p, onnx.Errorf(onnx.ErrMalformed, "state pair %q: no input %q; the model has %s", text, in, quoted(s.inputs))
	}
	in, out := s.param(p.Input).Type, s.outputType(s.outputIndex(p.Output))
	if in.Kind != onnx.KindTensor {
		return p, onnx.Errorf(onnx.ErrType, "state pair %q: input %q is a %s, want a tensor", text, p.Input, in.Name())
	}
	if out.Known() && (out.Kind != in.Kind || out.Elem != onnx.Undefined && out.Elem != in.Elem) {
		return p, onnx.Errorf(onnx.ErrType, "state pair %q: output %q is a %s, input %q a %s", text, p.Output, out.Name(), p.Input, in.Name())
	}
	if out.Shape.Ranked() && in.Shape.Ranked() && !meets(out.Shape, in.Shape) {
		return p, onnx.Errorf(onnx.ErrShape, "state pair %q: output %q has shape %v, input %q wants %v", text, p.Output, out.Shape, p.Input, in.Shape)
	}
	return p, nil
}

// meets reports whether two shapes can be equal.
func meets(a, b onnx.Shape) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Known() && b[i].Known() && a[i].Value != b[i].Value {
			return false
		}
	}
	return true
}

// findRows finds the axes of the rows; nil when it is not certain that rows
// can be put together.
func (s *Session) findRows(c *streamConfig, given []string) (*batchAxes, error) {
	axes := map[string]int{}
	symbol := ""
	for _, text := range given {
		name, axis, ok := s.namedAxis(text)
		switch {
		case ok:
			axes[name] = axis
		case s.hasSymbol(text) && symbol == "":
			symbol = text
		default:
			return nil, onnx.Errorf(onnx.ErrMalformed, "batch %q: want the name of one dimension of the inputs, or VALUE=AXIS", text)
		}
	}
	if len(given) == 0 {
		symbol = c.commonSymbol()
	}
	if symbol == "" && len(axes) == 0 || s.looksAcrossRows() {
		return nil, nil
	}
	b := &batchAxes{}
	for _, p := range s.params {
		axis, ok := axes[p.Name]
		if !ok {
			if axis = axisOf(p.Type.Shape, symbol); axis == twice {
				return nil, nil
			}
		}
		b.params = append(b.params, axis)
	}
	for i, o := range s.outputs {
		axis, ok := axes[o.Name]
		if !ok {
			axis = axisOf(s.outputType(i).Shape, symbol)
		}
		if !ok && axis < 0 {
			axis = axisOf(o.Type.Shape, symbol)
		}
		for _, p := range c.pairs {
			if p.Output == o.Name {
				axis = b.params[s.paramIndex(p.Input)]
			}
		}
		b.outputs = append(b.outputs, max(axis, -1))
	}
	for _, p := range c.pairs {
		if b.params[s.paramIndex(p.Input)] < 0 {
			return nil, nil
		}
	}
	return b, nil
}

// namedAxis reads "VALUE=AXIS".
func (s *Session) namedAxis(text string) (name string, axis int, ok bool) {
	i := strings.LastIndexByte(text, '=')
	if i < 0 {
		return "", 0, false
	}
	axis, err := strconv.Atoi(text[i+1:])
	name = text[:i]
	return name, axis, err == nil && axis >= 0 && (s.param(name) != nil || s.outputIndex(name) >= 0)
}

func (s *Session) hasSymbol(name string) bool {
	_, ok := s.symbols[name]
	return ok
}

// commonSymbol gives the one named dimension that all states have, "" when
// there is none or are several.
func (c *streamConfig) commonSymbol() string {
	count := map[string]int{}
	for _, state := range c.states {
		for _, d := range state.Type.Shape {
			if !d.Known() && d.Name != "" {
				count[d.Name]++
			}
		}
	}
	found := ""
	for name, n := range count {
		if n != len(c.states) {
			continue
		}
		if found != "" {
			return ""
		}
		found = name
	}
	return found
}

// twice is the axis of a symbol that a shape has more than once.
const twice = -2

func axisOf(shape onnx.Shape, symbol string) int {
	found := -1
	for axis, d := range shape {
		if symbol != "" && !d.Known() && d.Name == symbol {
			if found >= 0 {
				return twice
			}
			found = axis
		}
	}
	return found
}

// looksAcrossRows reports whether an operator of the model is known to make a
// row's result depend on the other rows of a batch, or on chance.
func (s *Session) looksAcrossRows() bool {
	var in func(g *onnx.Graph) bool
	in = func(g *onnx.Graph) bool {
		for _, n := range g.Nodes {
			switch n.OpType {
			case "DynamicQuantizeLinear", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul":
				return true
			case "BatchNormalization", "Dropout":
				if a := n.Attr("training_mode"); a != nil && a.Int != 0 || len(n.Inputs) > 2 && n.OpType == "Dropout" {
					return true
				}
			}
			opset := int(n.Opset)
			for _, imp := range s.model.OpsetImports {
				if opset == 0 && imp.Domain == n.Domain {
					opset = int(imp.Version)
				}
			}
			if op, _, err := s.opts.registry.Lookup(n.Domain, n.OpType, opset); err == nil && op.Random {
				return true
			}
			if slices.ContainsFunc(n.Subgraphs(), in) {
				return true
			}
		}
		return false
	}
	return in(s.model.Graph)
}
