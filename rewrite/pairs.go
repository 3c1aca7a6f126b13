package rewrite

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/recur-ml/recur/onnx"
)

// Pair is a state that a model hands to its next call: what comes out of
// Output goes into Input.
type Pair struct{ Output, Input string }

// String writes the pair as it is named by hand: "hn=h".
func (p Pair) String() string { return p.Output + "=" + p.Input }

// ErrAmbiguous is matched by an error about states of which more than one
// pairing is possible; it lists them.
var ErrAmbiguous = errors.New("ambiguous state pairs")

// FindPairs finds the states of a model without functions by the topology of
// its graph. An output and an input are a pair when they are of the same
// element type, their shapes agree, and
//
//   - the states Y_h, Y_c of RNN, GRU and LSTM nodes (or present_state) that
//     reach the output are those of the nodes whose initial_h, initial_c (or
//     past_state) come from the input, in the same order; both are followed through operators that only move data, the
//     branches of If and additions of zero; or
//   - the output is the input with elements overwritten (ScatterND), or pushed
//     on by new ones (Concat and Slice). Such a cache is also read by another
//     output, depends on another input, and is left out when it is not clear.
//
// outputs gives the types of the graph's outputs as far as they are known; nil
// means what is declared. When the states of nodes fit several outputs or
// inputs, the error matches ErrAmbiguous.
func FindPairs(m *onnx.Model, outputs []onnx.Type) ([]Pair, error) {
	f := &pairing{lineage: newLineage(m), model: m, outputs: outputs, symbols: map[string]bool{}}
	if outputs == nil {
		for _, o := range m.Graph.Outputs {
			f.outputs = append(f.outputs, o.Type)
		}
	}
	for _, in := range m.Graph.Inputs {
		for _, d := range in.Type.Shape {
			f.symbols[d.Name] = d.Name != ""
		}
	}
	for _, o := range m.Graph.Outputs {
		f.leaves = append(f.leaves, f.trace(f.top, o.Name, 0))
	}
	f.readInitial()
	pairs, err := f.recurrentPairs()
	if err != nil {
		return nil, err
	}
	return f.inOrder(append(pairs, f.caches(pairs)...)), nil
}

// pairing is the search for pairs.
type pairing struct {
	*lineage
	model   *onnx.Model
	outputs []onnx.Type
	symbols map[string]bool      // dimensions that inputs name
	leaves  [][]leaf             // by output
	fed     map[string][]carried // by input
	isFed   map[piece]bool
	initial map[finalState][]leaf
	pieces  map[finalState][2][][]int // how a state is cut up: towards outputs, and from inputs
}

// piece is a part of a state, 0 where that is whole.
type piece struct {
	state finalState
	part  int
}

// carried is a piece of a state, and where in an input or output it lies.
type carried struct {
	piece
	at      []int
	choices []choice
}

// readInitial follows the initial states of all recurrent nodes back.
func (f *pairing) readInitial() {
	f.initial = map[finalState][]leaf{}
	f.pieces = map[finalState][2][][]int{}
	f.fed, f.isFed = map[string][]carried{}, map[piece]bool{}
	for _, r := range f.recurrent {
		for _, p := range portsOf(r.node) {
			if in := inputOf(r.node, p.in); in != "" {
				f.initial[finalState{r.node, p}] = f.trace(r.place, in, 0)
			}
		}
	}
	note := func(s finalState, side int, key []int) {
		p := f.pieces[s]
		if !slices.ContainsFunc(p[side], func(o []int) bool { return slices.Equal(o, key) }) {
			p[side] = append(p[side], key)
			slices.SortFunc(p[side], slices.Compare)
		}
		f.pieces[s] = p
	}
	for _, leaves := range f.leaves {
		for _, o := range leaves {
			if o.kind == stateLeaf {
				note(f.root(o.state), 0, o.cuts)
			}
		}
	}
	for s, leaves := range f.initial {
		for _, i := range leaves {
			if i.kind == inputLeaf {
				note(s, 1, i.parts)
			}
		}
	}
	for _, r := range f.recurrent {
		for _, p := range portsOf(r.node) {
			s := finalState{r.node, p}
			for _, i := range f.initial[s] {
				if i.kind == inputLeaf && !i.touched {
					c := carried{piece{s, f.rank(s, 1, i.parts)}, i.cuts, i.choices}
					f.fed[i.name] = append(f.fed[i.name], c)
					f.isFed[c.piece] = true
				}
			}
		}
	}
}

func (f *pairing) rank(s finalState, side int, key []int) int {
	return slices.IndexFunc(f.pieces[s][side], func(o []int) bool { return slices.Equal(o, key) })
}

// root goes from a node that continues another one's state to the first of
// the chain.
func (f *pairing) root(s finalState) finalState {
	for range f.recurrent {
		leaves := f.initial[s]
		if len(leaves) == 0 {
			return s
		}
		for _, o := range leaves {
			if o.kind != stateLeaf || o.state != leaves[0].state || len(o.cuts) > 0 || len(o.parts) > 0 || o.touched {
				return s
			}
		}
		s = leaves[0].state
	}
	return s
}

// statesOf lists the states in an output that come from inputs; nil when it
// holds one that begins with what is computed.
func (f *pairing) statesOf(leaves []leaf) []carried {
	var out []carried
	for _, o := range leaves {
		if o.kind != stateLeaf || o.touched {
			continue
		}
		s := f.root(o.state)
		c := carried{piece{s, f.rank(s, 0, o.cuts)}, o.parts, o.choices}
		switch {
		case f.isFed[c.piece]:
			out = append(out, c)
		case slices.ContainsFunc(f.initial[s], func(i leaf) bool { return i.kind != constLeaf }):
			return nil
		}
	}
	return out
}

func (f *pairing) recurrentPairs() ([]Pair, error) {
	var found []Pair
	for i, o := range f.model.Graph.Outputs {
		out := f.statesOf(f.leaves[i])
		for _, in := range f.model.Graph.Inputs {
			if len(out) > 0 && sameStates(out, f.fed[in.Name]) && f.agree(f.outputs[i], in.Type) {
				found = append(found, Pair{o.Name, in.Name})
			}
		}
	}
	var unclear []string
	for i, p := range found {
		for k, q := range found {
			if i != k && (p.Output == q.Output || p.Input == q.Input) {
				unclear = append(unclear, p.String())
				break
			}
		}
	}
	if len(unclear) > 0 {
		return nil, fmt.Errorf("%w: there are %s; name those that are meant", ErrAmbiguous, strings.Join(unclear, ", "))
	}
	return found, nil
}

// sameStates reports whether an output and an input hold the same states in
// the same order.
func sameStates(out, in []carried) bool {
	if len(in) > maxLeaves {
		return false
	}
	given, taken := map[piece][]carried{}, map[piece][]carried{}
	for _, c := range out {
		given[c.piece] = append(given[c.piece], c)
	}
	for _, c := range in {
		taken[c.piece] = append(taken[c.piece], c)
	}
	if len(given) != len(taken) {
		return false
	}
	for a := range given {
		for b := range given {
			// Each way that both take out must lie like each way that they take in.
			order := orders(given[a], given[b]) | orders(taken[a], taken[b])
			if taken[a] == nil || order&(order-1) != 0 {
				return false
			}
		}
	}
	return true
}

// orders gives the set of the orders in which two pieces lie, over all ways
// that can occur in one run: 1 before, 2 at the same place, 4 after.
func orders(a, b []carried) (set int) {
	for _, x := range a {
		for _, y := range b {
			if !exclude(x.choices, y.choices) {
				set |= 1 << (1 + slices.Compare(x.at, y.at))
			}
		}
	}
	return set
}

// exclude reports whether two ways through branches never occur in one run.
func exclude(a, b []choice) bool {
	for _, x := range a {
		for _, y := range b {
			if x.node == y.node && x.way != y.way && x.node.OpType == "If" {
				return true
			}
		}
	}
	return false
}

// agree reports whether an output may be of the type of an input.
func (f *pairing) agree(out, in onnx.Type) bool {
	if out.Kind != onnx.KindTensor && out.Known() || in.Kind != onnx.KindTensor || out.Elem != in.Elem && out.Elem != onnx.Undefined {
		return false
	}
	if !out.Shape.Ranked() || !in.Shape.Ranked() {
		return true
	}
	if len(out.Shape) != len(in.Shape) {
		return false
	}
	for i, o := range out.Shape {
		d := in.Shape[i]
		switch {
		case o.Known() && d.Known():
			if o.Value != d.Value {
				return false
			}
		case f.symbols[o.Name] && (d.Known() || d.Name != "" && d.Name != o.Name):
			return false
		}
	}
	return true
}

// caches finds plain caches among the outputs and inputs that have no pair.
func (f *pairing) caches(have []Pair) []Pair {
	taken := map[string]bool{}
	for _, p := range have {
		taken["o"+p.Output], taken["i"+p.Input] = true, true
	}
	inputs := make([]map[string]bool, len(f.leaves)) // by output
	candidates := func(i int) (from []string) {
		for _, in := range f.model.Graph.Inputs {
			if taken["i"+in.Name] || !isCache(f.leaves[i], in.Name) || !f.same(f.outputs[i], in.Type) {
				continue
			}
			for k, o := range f.model.Graph.Outputs {
				if inputs[k] == nil {
					inputs[k] = f.inputsOf(o.Name)
				}
			}
			read := false
			for k := range inputs {
				read = read || k != i && inputs[k][in.Name]
			}
			if read && len(inputs[i]) > 1 {
				from = append(from, in.Name)
			}
		}
		return from
	}
	var found []Pair
	uses := map[string]int{}
	for i, o := range f.model.Graph.Outputs {
		if taken["o"+o.Name] {
			continue
		}
		from := candidates(i)
		for _, in := range from {
			uses[in]++
		}
		if len(from) == 1 {
			found = append(found, Pair{o.Name, from[0]})
		}
	}
	return slices.DeleteFunc(found, func(p Pair) bool { return uses[p.Input] > 1 })
}

// isCache reports whether the leaves are those of an input into which new data
// was put.
func isCache(leaves []leaf, input string) bool {
	kept, fresh := false, false
	for _, o := range leaves {
		switch {
		case o.kind == inputLeaf && o.name == input:
			if !o.touched && (len(o.parts) == 0 || len(o.cuts) == 0) {
				return false
			}
			kept = true
		case o.kind != constLeaf:
			fresh = true
		}
	}
	return kept && fresh
}

// same is agree for values of which nothing else tells that they belong
// together: what both shapes say must be equal, and fixed or named.
func (f *pairing) same(out, in onnx.Type) bool {
	if !f.agree(out, in) || !in.Shape.Ranked() {
		return false
	}
	for i, d := range in.Shape {
		if !d.Known() && (d.Name == "" || out.Shape.Ranked() && !out.Shape[i].Same(d)) {
			return false
		}
	}
	return true
}

// inputsOf gives the inputs of the model that a value depends on.
func (f *pairing) inputsOf(output string) map[string]bool {
	seen, inputs := map[valueKey]bool{}, map[string]bool{}
	type use struct {
		place *place
		name  string
	}
	work := []use{{f.top, output}}
	for len(work) > 0 {
		v := work[len(work)-1]
		work = work[:len(work)-1]
		p := v.place.define(v.name)
		if p == nil || seen[valueKey{p.graph, v.name}] {
			continue
		}
		seen[valueKey{p.graph, v.name}] = true
		if p == f.top && p.input[v.name] {
			inputs[v.name] = true
			continue
		}
		m, ok := p.made[v.name]
		if !ok {
			continue
		}
		for _, in := range m.node.Inputs {
			work = append(work, use{p, in})
		}
		for _, g := range m.node.Subgraphs() {
			// What a body reads, it needs for its outputs.
			for _, o := range g.Outputs {
				work = append(work, use{f.places[g], o.Name})
			}
		}
	}
	return inputs
}

// inOrder sorts pairs by the order of the outputs.
func (f *pairing) inOrder(pairs []Pair) []Pair {
	index := func(p Pair) int {
		return slices.IndexFunc(f.model.Graph.Outputs, func(o onnx.ValueInfo) bool { return o.Name == p.Output })
	}
	slices.SortFunc(pairs, func(a, b Pair) int { return index(a) - index(b) })
	return pairs
}
