package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
	"github.com/recur-ml/recur/rewrite"
	rt "github.com/recur-ml/recur/runtime"
)

const inspectHelp = `Inspect tells what a model is and wants: versions, inputs and outputs, the
operators with their versions and counts, the parameters, a table of the
recurrent layers, the states that a stream carries from an output to an input,
and what in it is not supported, with the reason.

Nodes of bodies (of If, Loop, Scan) and of model-local functions are counted
where they stand in the file. Layers that the rewrite passes find in loops are
listed too. Unsupported nodes do not change the exit code: that is what
"recur check" is for.`

// report is what recur inspect tells.
type report struct {
	header
	Model      string            `json:"model"`
	IR         int64             `json:"ir"`
	Producer   string            `json:"producer,omitempty"`
	Opsets     map[string]int    `json:"opsets"`
	Graph      string            `json:"graph"`
	Doc        string            `json:"doc,omitempty"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	Inputs     []valueRow        `json:"inputs"`
	Outputs    []valueRow        `json:"outputs"`
	Nodes      int               `json:"nodes"`
	Operators  []operatorRow     `json:"operators"`
	Functions  []string          `json:"functions,omitempty"`
	Parameters parameters        `json:"parameters"`
	Cost       costRow           `json:"multiply_adds"`
	Memory     memoryRow         `json:"memory"`
	Recurrent  []recurrentLayer  `json:"recurrent"`
	Lifted     []recurrentLayer  `json:"recurrent_after_rewriting"` // null when the model cannot be run
	Recurrence []recurrenceRow   `json:"recurrence"`
	Loops      []loopRow         `json:"loops_left,omitempty"`
	States     []stateRow        `json:"state_pairs"`
	StateError string            `json:"state_pairs_error,omitempty"`
	Values     []valueRow        `json:"values,omitempty"`
	Supported  bool              `json:"supported"`
	Refusals   []refusalRow      `json:"refusals,omitempty"`
	Error      string            `json:"error,omitempty"`
}

type valueRow struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Shape []any  `json:"shape"` // sizes, names of dimensions, or null for unknown ones; null for unknown rank
	// Default says that an initializer gives the input's value where a run does not.
	Default bool `json:"default,omitempty"`
	shape   onnx.Shape
	kind    onnx.Kind
}

// stateRow is a state that a stream carries.
type stateRow struct {
	Output string `json:"output"`
	Input  string `json:"input"`
	Type   string `json:"type"`
	shape  onnx.Shape
}

type operatorRow struct {
	Op         string `json:"op"`
	Version    int    `json:"version"` // 0: not one of ONNX's operators
	Count      int    `json:"count"`
	Parameters int64  `json:"parameters,omitempty"`    // elements of the initializers that such nodes are the first to read
	Cost       string `json:"multiply_adds,omitempty"` // as costRow.Formula
}

// costRow tells multiply-adds.
type costRow struct {
	Value   *int64 `json:"value"`   // null where it hangs on dimensions that are not known
	Formula string `json:"formula"` // such as "4 096*batch + 12"
	// Unknown counts nodes that are left out, for nothing is known of their shapes.
	Unknown int `json:"unknown_nodes,omitempty"`
}

// memoryRow tells the memory of a run.
type memoryRow struct {
	Weights int64  `json:"weights"`
	Peak    *int64 `json:"peak"` // null where it hangs on sizes that are not known
	At      string `json:"at,omitempty"`
	Unknown int    `json:"unknown_values,omitempty"`
	Reason  string `json:"reason,omitempty"` // why there is no peak
}

// recurrenceRow counts an operator in the file and in the model that runs.
type recurrenceRow struct {
	Op     string `json:"op"`
	Before int    `json:"before"`
	After  int    `json:"after"`
}

// loopRow is a Loop or Scan that runs as it is.
type loopRow struct {
	Node string `json:"node"`
	Op   string `json:"op"`
	Why  string `json:"why"` // it is no recurrent operator
}

type parameters struct {
	Tensors  int   `json:"tensors"`
	Elements int64 `json:"elements"`
	Bytes    int64 `json:"bytes"`
}

type refusalRow struct {
	Node    string `json:"node"`
	Op      string `json:"op"`
	Version int    `json:"version"`
	Reason  string `json:"reason"`
}

// inspectFlags are the flags of recur inspect.
type inspectFlags struct {
	loadFlags
	json, values, tree, rewritten bool
	svg                           string
	shapes                        []string
}

func (c *cli) inspectCommand() *cobra.Command {
	f := &inspectFlags{}
	cmd := &cobra.Command{
		Use:   "inspect MODEL",
		Short: "Tell what a model is, wants and costs, or draw it",
		Long:  inspectHelp,
		Example: `  recur inspect model.onnx
  recur inspect model.onnx --shape batch=1 --shape steps=100
  recur inspect model.onnx --tree
  recur inspect model.onnx --svg model.svg
  recur inspect model.onnx --json | jq .recurrent`,
		Args:              exactly(1, "one MODEL"),
		ValidArgsFunction: completeModels,
		RunE: func(_ *cobra.Command, args []string) error {
			if f.json && f.tree {
				return usagef("--json and --tree both write to stdout")
			}
			if f.svg == "-" && (f.json || f.tree) {
				return usagef("--svg - writes to stdout, as --json and --tree do")
			}
			if f.json && f.svg != "" {
				return usagef("--json and --svg: one of them")
			}
			return c.inspectModel(args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.json, "json", false, "print JSON")
	flags.BoolVar(&f.values, "shapes", false, "list the type and shape inferred for every value")
	flags.StringArrayVar(&f.shapes, "shape", nil, "shape of an input, x=1,512, or size of a dimension, batch=4 (repeatable)")
	flags.BoolVar(&f.tree, "tree", false, "print the nodes as a tree instead of the report")
	flags.StringVar(&f.svg, "svg", "", "draw the model into this file instead of the report; - is stdout")
	flags.BoolVar(&f.rewritten, "rewritten", false, "show the model as it runs in --tree and --svg")
	cmd.MarkFlagFilename("svg", "svg")
	f.addLimits(flags)
	return cmd
}

func (c *cli) inspectModel(path string, f *inspectFlags) error {
	m, err := c.decode(path, f.limits())
	if err != nil {
		return err
	}
	given, err := f.given(m)
	if err != nil {
		return err
	}
	if f.tree || f.svg != "" {
		return c.show(m, path, given, f)
	}
	r, err := c.inspect(m, path, given, f)
	if err != nil {
		return err
	}
	if f.json {
		return writeJSON(c.out, r)
	}
	return c.printReport(r)
}

// given reads --shape: the types of the inputs of which it tells something, nil
// when there is none.
func (f *inspectFlags) given(m *onnx.Model) (map[string]onnx.Type, error) {
	shapes, err := parseShapes(f.shapes, m.Graph.Inputs)
	if err != nil || len(f.shapes) == 0 {
		return nil, err
	}
	types := map[string]onnx.Type{}
	for _, v := range m.Graph.Inputs {
		t := v.Type
		if shape, ok := shapes.inputs[v.Name]; ok {
			if t.Shape.Ranked() && len(shape) != len(t.Shape) {
				return nil, hintf("--shape %s: %d sizes, the model wants %v", v.Name, len(shape), t.Shape)
			}
			t.Shape = onnx.FixedShape(shape...)
		} else {
			t.Shape = t.Shape.Clone()
			for i, d := range t.Shape {
				if size, ok := shapes.dims[d.Name]; ok && d.Name != "" {
					t.Shape[i] = onnx.Fixed(size)
				}
			}
		}
		types[v.Name] = t
	}
	return types, nil
}

func (c *cli) inspect(m *onnx.Model, path string, given map[string]onnx.Type, f *inspectFlags) (*report, error) {
	limits := f.limits()
	r := &report{header: headerOf("inspect"), States: []stateRow{}, Model: path, IR: m.IRVersion, Producer: m.ProducerName, Graph: m.Graph.Name, Doc: m.Doc,
		Opsets: map[string]int{}, Metadata: map[string]string{}, Operators: countOperators(m), Parameters: countParameters(m)}
	if m.ProducerVersion != "" {
		r.Producer += " " + m.ProducerVersion
	}
	for domain, v := range opsetsOf(m.OpsetImports) {
		r.Opsets[domainTitle(domain)] = v
	}
	for _, p := range m.Metadata {
		r.Metadata[p.Key] = p.Value
	}
	for _, fn := range m.Functions {
		r.Functions = append(r.Functions, qualified(fn.Domain, fn.Name))
	}
	for _, op := range r.Operators {
		r.Nodes += op.Count
	}
	r.Inputs, r.Outputs = graphInputs(m), rows(m.Graph.Outputs)
	scope := analyse(m, limits, given)
	r.Recurrent = recurrentLayers(m, scope)
	if f.values {
		r.Values = inferredValues(m, scope, limits, given)
	}
	r.cost(m, limits, given)
	return r, r.load(m, given, f)
}

// cost counts multiply-adds, of the model with its functions inlined and its
// constants folded where that can be done.
func (r *report) cost(m *onnx.Model, limits onnx.Limits, given map[string]onnx.Type) {
	if onnx.Check(m, onnx.CheckLimits(limits)) == nil {
		if plain, err := rewrite.Apply(m, rewrite.Options{Passes: []string{}, Limits: limits}); err == nil {
			m = plain
		}
	}
	c := costOf(viewModel(m, limits, given))
	r.Cost = costRow{Formula: c.total.String(), Unknown: c.unknown}
	if n, ok := c.total.number(); ok {
		r.Cost.Value = &n
	}
	for i := range r.Operators {
		op := &r.Operators[i]
		if p := c.byOp[opLabel(op.Op, op.Version)]; p != nil {
			op.Cost = p.String()
		}
	}
}

// load tells whether the engine takes the model, and if not, why; what it
// makes of loops; and the memory that a run takes.
func (r *report) load(m *onnx.Model, given map[string]onnx.Type, f *inspectFlags) error {
	r.Memory.Weights = r.Parameters.Bytes
	s, err := rt.LoadModel(m, rt.WithLimits(f.limits()))
	var refused *rt.RefusalError
	switch {
	case errors.As(err, &refused):
		r.Refusals = refusalRows(refused)
		return nil
	case err != nil:
		r.Error = err.Error()
		return nil
	}
	defer s.Close()
	r.Supported = true
	r.Lifted = recurrentLayers(s.Model(), analyse(s.Model(), f.limits(), given))
	r.findStates(s)
	r.findLoops(m, f.limits())
	shapes := map[string][]int{}
	for name, t := range given {
		if dims, ok := t.Shape.Ints(); ok {
			shapes[name] = dims
		}
	}
	e, err := s.EstimateMemory(shapes)
	if err != nil { // a branch that is not taken for these shapes may not allow them
		r.Memory.Reason, _, _ = strings.Cut(err.Error(), "\n")
		return nil
	}
	if r.Memory.Unknown = e.Unknown; e.Unknown == 0 {
		r.Memory.Peak, r.Memory.At = &e.Peak, e.At
	}
	return nil
}

func (r *report) findStates(s *rt.Session) {
	pairs, err := s.StatePairs()
	if err != nil {
		r.StateError = err.Error()
	}
	for _, p := range pairs {
		i := slices.IndexFunc(s.Model().Graph.Inputs, func(v onnx.ValueInfo) bool { return v.Name == p.Input })
		t := s.Model().Graph.Inputs[i].Type
		r.States = append(r.States, stateRow{p.Output, p.Input, t.Name(), t.Shape})
	}
}

// findLoops counts recurrent operators and loops in the file and in the model
// that runs, and tells why loops stay.
func (r *report) findLoops(m *onnx.Model, limits onnx.Limits) {
	before, after, err := rewrite.Recurrences(m, rewrite.Options{Limits: limits})
	if err != nil {
		return
	}
	r.Recurrence = []recurrenceRow{{Op: "RNN"}, {Op: "GRU"}, {Op: "LSTM"}, {Op: "Loop"}, {Op: "Scan"}}
	row := func(kind string) *recurrenceRow {
		i := slices.IndexFunc(r.Recurrence, func(x recurrenceRow) bool { return x.Op == kind })
		return &r.Recurrence[i]
	}
	for _, x := range before {
		row(x.Kind).Before++
	}
	for _, x := range after {
		row(x.Kind).After++
		if x.Why != "" {
			r.Loops = append(r.Loops, loopRow{x.Name, x.Kind, x.Why})
		}
	}
	r.Recurrence = slices.DeleteFunc(r.Recurrence, func(x recurrenceRow) bool { return x.Before == 0 && x.After == 0 })
}

func refusalRows(e *rt.RefusalError) []refusalRow {
	out := make([]refusalRow, len(e.Refusals))
	for i, r := range e.Refusals {
		out[i] = refusalRow{r.Node, r.Op, r.Since, r.Reason}
	}
	return out
}

// sameLayers reports whether two lists have the same layers, whatever the
// names of their nodes.
func sameLayers(a, b []recurrentLayer) bool {
	kinds := map[string]int{}
	kind := func(l recurrentLayer) string {
		return fmt.Sprintf("%s %d %d %s %v", l.Op, l.Input, l.Hidden, l.Direction, l.Activations)
	}
	for _, l := range a {
		kinds[kind(l)]++
	}
	for _, l := range b {
		kinds[kind(l)]--
	}
	for _, n := range kinds {
		if n != 0 {
			return false
		}
	}
	return true
}

func countOperators(m *onnx.Model) []operatorRow {
	weights := map[string]*onnx.Tensor{}
	seen := map[*onnx.Graph]bool{}
	collect := func(g *onnx.Graph) {
		if g == nil || seen[g] {
			return
		}
		seen[g] = true
		for _, init := range g.Initializers {
			weights[init.Name] = init.Tensor
		}
	}
	collect(m.Graph)
	walk(m, func(p placed) {
		collect(p.graph)
		if t := constantOf(p.Node); t != nil && t.Rank() > 0 && t.DataType().IsFloat() {
			weights[p.Outputs[0]] = t
		}
	})
	counts := map[operatorRow]*operatorRow{}
	walk(m, func(p placed) {
		key := operatorRow{Op: qualified(p.Domain, p.OpType), Version: sinceOf(p)}
		if counts[key] == nil {
			counts[key] = &operatorRow{Op: key.Op, Version: key.Version}
		}
		row := counts[key]
		row.Count++
		for _, in := range p.Inputs {
			if t := weights[in]; t != nil {
				row.Parameters += int64(t.Len())
				delete(weights, in)
			}
		}
	})
	out := []operatorRow{}
	for _, op := range counts {
		out = append(out, *op)
	}
	slices.SortFunc(out, func(a, b operatorRow) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Op, b.Op), cmp.Compare(a.Version, b.Version))
	})
	return out
}

// countParameters adds up the initializers of the graph and the graphs within,
// and the floating-point arrays that stand in Constant nodes, as some exporters
// have them.
func countParameters(m *onnx.Model) parameters {
	var p parameters
	seen := map[*onnx.Graph]bool{}
	add := func(g *onnx.Graph) {
		if g == nil || seen[g] {
			return
		}
		seen[g] = true
		for _, init := range g.Initializers {
			p.add(init.Tensor)
		}
		for _, init := range g.SparseInitializers {
			p.add(init.Tensor.Values)
		}
	}
	add(m.Graph)
	walk(m, func(n placed) {
		add(n.graph)
		if t := constantOf(n.Node); t != nil && t.Rank() > 0 && t.DataType().IsFloat() {
			p.add(t)
		}
	})
	return p
}

// constantOf gives the tensor of a Constant node, nil for other nodes.
func constantOf(n *onnx.Node) *onnx.Tensor {
	if n.OpType != "Constant" || qualified(n.Domain, n.OpType) != "Constant" {
		return nil
	}
	if a := n.Attr("value"); a != nil {
		return a.Tensor
	}
	return nil
}

func (p *parameters) add(t *onnx.Tensor) {
	p.Tensors++
	p.Elements += int64(t.Len())
	p.Bytes += (int64(t.Len())*int64(t.DataType().Bits()) + 7) / 8
	for _, s := range t.Strings() {
		p.Bytes += int64(len(s))
	}
}

func graphInputs(m *onnx.Model) []valueRow {
	initialized := map[string]bool{}
	for _, init := range m.Graph.Initializers {
		initialized[init.Name] = true
	}
	out := []valueRow{}
	for _, v := range m.Graph.Inputs {
		if initialized[v.Name] && m.IRVersion < 4 {
			continue // a constant, listed among the inputs as the format then demanded
		}
		row := rowOf(v.Name, v.Type)
		row.Default = initialized[v.Name]
		out = append(out, row)
	}
	return out
}

func rows(list []onnx.ValueInfo) []valueRow {
	out := make([]valueRow, len(list))
	for i, v := range list {
		out[i] = rowOf(v.Name, v.Type)
	}
	return out
}

func rowOf(name string, t onnx.Type) valueRow {
	r := valueRow{Name: name, Type: t.Name(), shape: t.Shape, kind: t.Kind}
	if t.Shape != nil {
		r.Shape = []any{}
	}
	for _, d := range t.Shape {
		switch {
		case d.Known():
			r.Shape = append(r.Shape, d.Value)
		case d.Name != "":
			r.Shape = append(r.Shape, d.Name)
		default:
			r.Shape = append(r.Shape, nil)
		}
	}
	return r
}

// inferredValues lists what nodes of the model's graph give. What a call of a
// function gives is known once functions have been inlined.
func inferredValues(m *onnx.Model, scope *ops.Scope, limits onnx.Limits, given map[string]onnx.Type) []valueRow {
	inlined := scope
	if len(m.Functions) > 0 {
		if r, err := rewrite.Apply(m, rewrite.Options{Passes: []string{}, Limits: limits}); err == nil {
			inlined = analyse(r, limits, given)
		}
	}
	out := []valueRow{}
	for _, n := range m.Graph.Nodes {
		for _, name := range n.Outputs {
			if name == "" {
				continue
			}
			info, _ := scope.Lookup(name)
			if !info.Type.Known() {
				info, _ = inlined.Lookup(name)
			}
			out = append(out, rowOf(name, info.Type))
		}
	}
	return out
}

func sortedMap[V any](m map[string]V, f func(string, V)) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		f(k, m[k])
	}
}
