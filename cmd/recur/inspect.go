package main

import (
	"cmp"
	"errors"
	"maps"
	"slices"

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
	Recurrent  []recurrentLayer  `json:"recurrent"`
	Lifted     []recurrentLayer  `json:"recurrent_after_rewriting,omitempty"`
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
	Op      string `json:"op"`
	Version int    `json:"version"` // 0: not one of ONNX's operators
	Count   int    `json:"count"`
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

func (c *cli) inspectCommand() *cobra.Command {
	f := &loadFlags{}
	var asJSON, shapes bool
	cmd := &cobra.Command{
		Use:   "inspect MODEL",
		Short: "Tell what a model is, what it wants, and what is not supported",
		Long:  inspectHelp,
		Example: `  recur inspect model.onnx
  recur inspect model.onnx --shapes
  recur inspect model.onnx --json | jq .recurrent`,
		Args:              exactly(1, "one MODEL"),
		ValidArgsFunction: completeModels,
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := c.inspect(args[0], f, shapes)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.out, r)
			}
			return c.printReport(r)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&shapes, "shapes", false, "list the type and shape inferred for every value")
	f.addLimits(cmd.Flags())
	return cmd
}

func (c *cli) inspect(path string, f *loadFlags, shapes bool) (*report, error) {
	m, err := c.decode(path, f.limits())
	if err != nil {
		return nil, err
	}
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
	scope := analyse(m, f.limits(), nil)
	r.Recurrent = recurrentLayers(m, scope)
	if shapes {
		r.Values = inferredValues(m, scope, f.limits())
	}
	return r, r.load(m, f)
}

// load tells whether the engine takes the model, and if not, why.
func (r *report) load(m *onnx.Model, f *loadFlags) error {
	s, err := rt.LoadModel(m, rt.WithLimits(f.limits()))
	var refused *rt.RefusalError
	switch {
	case errors.As(err, &refused):
		r.Refusals = refusalRows(refused)
	case err != nil:
		r.Error = err.Error()
	default:
		r.Supported = true
		r.Lifted = newLayers(r.Recurrent, recurrentLayers(s.Model(), analyse(s.Model(), f.limits(), nil)))
		r.findStates(s)
		return s.Close()
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

func refusalRows(e *rt.RefusalError) []refusalRow {
	out := make([]refusalRow, len(e.Refusals))
	for i, r := range e.Refusals {
		out[i] = refusalRow{r.Node, r.Op, r.Since, r.Reason}
	}
	return out
}

// newLayers gives the layers of a rewritten model that its original lacks.
// Inlining moves layers of functions; only a greater number of an operator's
// layers shows that more were found.
func newLayers(old, now []recurrentLayer) []recurrentLayer {
	if len(now) <= len(old) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(now), func(l recurrentLayer) bool {
		return slices.ContainsFunc(old, func(o recurrentLayer) bool { return o.Node == l.Node && o.Op == l.Op })
	})
}

func countOperators(m *onnx.Model) []operatorRow {
	counts := map[operatorRow]int{}
	walk(m, func(p placed) {
		counts[operatorRow{Op: qualified(p.Domain, p.OpType), Version: sinceOf(p)}]++
	})
	out := []operatorRow{}
	for op, n := range counts {
		op.Count = n
		out = append(out, op)
	}
	slices.SortFunc(out, func(a, b operatorRow) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Op, b.Op), cmp.Compare(a.Version, b.Version))
	})
	return out
}

// countParameters adds up the initializers of the graph and the graphs within.
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
	walk(m, func(n placed) { add(n.graph) })
	return p
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
func inferredValues(m *onnx.Model, scope *ops.Scope, limits onnx.Limits) []valueRow {
	inlined := scope
	if len(m.Functions) > 0 {
		if r, err := rewrite.Apply(m, rewrite.Options{Passes: []string{}, Limits: limits}); err == nil {
			inlined = analyse(r, limits, nil)
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
