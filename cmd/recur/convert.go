package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/rewrite"
)

const convertHelp = `Convert writes a model as a new .onnx file that other runtimes run too.

With --opset the model is moved to another version of ONNX's operators, newer
or older: attributes become inputs or inputs attributes, defaults that changed
are written out, and where an older version has no such operator or attribute,
others take its place. A node that cannot be written that way is refused by
name, with the reason, and no file is written; what is not known of shapes is a
frequent one: give the model's inputs shapes, or fold them with --passes.

With --passes the model is rewritten as for a run: calls of functions are
inlined, constants computed, dead nodes dropped ("none" leaves all that as it
is), and the optional passes that are named are applied, such as those that
find the recurrent layer in a loop. "all" leaves out the passes that write
operators of domain ai.recur, which no other runtime has: the pass fuse is
applied only where it is named.

What was done is told on stderr. External data is taken into the file.`

// convertFlags are the flags of recur convert.
type convertFlags struct {
	loadFlags
	out   string
	opset int
	json  bool
}

// conversion is what recur convert tells.
type conversion struct {
	header
	Model   string      `json:"model"`
	Out     string      `json:"out"`
	Before  modelSize   `json:"before"`
	After   modelSize   `json:"after"`
	Passes  []string    `json:"passes"` // those applied, required ones included
	Changes []changeRow `json:"changes"`
}

// modelSize is a model in numbers.
type modelSize struct {
	Opset     int   `json:"opset"`
	IR        int64 `json:"ir"`
	Nodes     int   `json:"nodes"`
	Functions int   `json:"functions"`
	Bytes     int64 `json:"bytes,omitempty"` // of the file that is written
}

// changeRow is a node that the move to another opset wrote in another way.
type changeRow struct {
	Node  string `json:"node"`
	Op    string `json:"op"`
	From  int    `json:"from"`
	To    int    `json:"to"` // 0: other operators take its place
	Nodes int    `json:"nodes"`
}

func (c *cli) convertCommand() *cobra.Command {
	f := &convertFlags{}
	cmd := &cobra.Command{
		Use:   "convert MODEL -o OUT.onnx",
		Short: "Write a model for another opset, or rewritten, as a new file",
		Long:  convertHelp,
		Example: `  recur convert old.onnx -o new.onnx --opset 21
  recur convert model.onnx -o plain.onnx --passes all
  recur convert model.onnx -o small.onnx --opset 13 --json | jq .changes`,
		Args:              exactly(1, "one MODEL"),
		ValidArgsFunction: completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("opset") && (f.opset < 1 || f.opset > onnx.LatestOpset("")) {
				return usagef("--opset %d, want 1..%d", f.opset, onnx.LatestOpset(""))
			}
			return c.convert(cmd.Context(), args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.out, "out", "o", "", "the file to write; - is stdout")
	flags.IntVar(&f.opset, "opset", 0, fmt.Sprintf("version of ai.onnx to write the model for, 1..%d (default: its own)", onnx.LatestOpset("")))
	flags.StringSliceVar(&f.passes, "passes", []string{"none"}, "rewrite the model: "+passChoices())
	flags.BoolVar(&f.json, "json", false, "print what was done as JSON")
	f.addLimits(flags)
	complete(cmd, "passes", append([]string{"all", "none"}, optionalPasses()...))
	return cmd
}

// complete offers fixed values for a flag.
func complete(cmd *cobra.Command, flag string, values []string) {
	cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

func (c *cli) convert(ctx context.Context, path string, f *convertFlags) error {
	switch {
	case f.out == "":
		return hintf("want -o OUT.onnx, the file to write")
	case f.out == "-" && terminal(c.out) > 0:
		return usagef("-o -: will not write a model to a terminal; redirect it")
	case f.out == "-" && f.json:
		return usagef("-o - and --json both write to stdout")
	}
	m, err := c.decode(path, f.limits())
	if err != nil {
		return err
	}
	if err := onnx.Check(m, onnx.CheckLimits(f.limits())); err != nil {
		return err
	}
	r := &conversion{header: headerOf("convert"), Model: path, Out: f.out, Before: sizeOf(m), Passes: []string{}, Changes: []changeRow{}}
	if m, err = r.rewrite(m, f); err != nil {
		return err
	}
	data, err := onnx.Encode(m)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := ctx.Err(); err != nil { // interrupted meanwhile
		return err
	}
	r.After = sizeOf(m)
	r.After.Bytes = int64(len(data))
	write := func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
	if f.out == "-" {
		err = write(c.out)
	} else {
		err = writeFile(f.out, write)
	}
	if err != nil {
		return err
	}
	c.printConversion(r)
	if f.json {
		return writeJSON(c.out, r)
	}
	return nil
}

// rewrite applies the passes and moves the model between opsets.
func (r *conversion) rewrite(m *onnx.Model, f *convertFlags) (*onnx.Model, error) {
	passes, err := parsePasses(f.passes)
	if err != nil {
		return nil, err
	}
	if passes == nil {
		passes = plainPasses()
	}
	opset := f.opset
	if len(passes) > 0 {
		if m, err = rewrite.Apply(m, rewrite.Options{Passes: passes, Limits: f.limits()}); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Model, err)
		}
		nameOutputs(m)
		for _, p := range rewrite.Passes() {
			if p.Required || slices.Contains(passes, p.Name) {
				r.Passes = append(r.Passes, p.Name)
			}
		}
		if opset == 0 && hasOwnOpsets(m) {
			opset = r.Before.Opset // inlined nodes may mean another one
		}
	}
	if opset != 0 {
		moved, changes, err := rewrite.Opset(m, opset, rewrite.Options{Limits: f.limits()})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Model, err)
		}
		m = moved
		for _, x := range changes {
			r.Changes = append(r.Changes, changeRow(x))
		}
	}
	return m, onnx.Check(m, onnx.CheckLimits(f.limits()))
}

// plainPasses lists the optional passes that write operators which other
// runtimes have too.
func plainPasses() []string {
	var names []string
	for _, p := range rewrite.Passes() {
		if !p.Required && !p.Private {
			names = append(names, p.Name)
		}
	}
	return names
}

// nameOutputs names the outputs that nobody reads and that a file must name all
// the same: the passes have left them blank.
func nameOutputs(m *onnx.Model) {
	taken := map[string]bool{}
	walk(m, func(p placed) {
		for _, o := range p.Outputs {
			taken[o] = true
		}
		for _, in := range p.Inputs {
			taken[in] = true
		}
	})
	walk(m, func(p placed) {
		s := onnx.LookupSchema(p.Domain, p.OpType, p.opset)
		if s == nil {
			return
		}
		for i, o := range p.Outputs {
			formal := s.Output(i)
			if o != "" || formal == nil || formal.Option == onnx.OptionalFormal {
				continue
			}
			name := p.Node.Label() + "/" + formal.Name
			for taken[name] {
				name += "_"
			}
			taken[name] = true
			p.Outputs[i] = name
		}
	})
}

// hasOwnOpsets reports whether a node means another opset than the model.
func hasOwnOpsets(m *onnx.Model) bool {
	own := false
	walk(m, func(p placed) { own = own || p.Opset != 0 })
	return own
}

func sizeOf(m *onnx.Model) modelSize {
	s := modelSize{Opset: opsetsOf(m.OpsetImports)[""], IR: m.IRVersion, Functions: len(m.Functions)}
	walk(m, func(placed) { s.Nodes++ })
	return s
}

// printConversion tells what was done.
func (c *cli) printConversion(r *conversion) {
	fmt.Fprintf(c.err, "%s: wrote %s, %s\n", clean(r.Model), clean(r.Out), formatBytes(r.After.Bytes))
	change := func(what string, before, after int) {
		if before != after {
			fmt.Fprintf(c.err, "  %s %d -> %d\n", what, before, after)
		}
	}
	change("opset", r.Before.Opset, r.After.Opset)
	change("IR version", int(r.Before.IR), int(r.After.IR))
	change("nodes", r.Before.Nodes, r.After.Nodes)
	change("functions", r.Before.Functions, r.After.Functions)
	type kind struct {
		from, to string
	}
	counts := map[kind]int{}
	for _, x := range r.Changes {
		to := "other operators"
		if x.To > 0 {
			to = opLabel(x.Op, x.To)
		}
		if x.To > 0 && x.Nodes > 1 {
			to += fmt.Sprintf(" and %d more", x.Nodes-1)
		}
		counts[kind{opLabel(x.Op, x.From), to}]++
	}
	kinds := make([]kind, 0, len(counts))
	for k := range counts {
		kinds = append(kinds, k)
	}
	slices.SortFunc(kinds, func(a, b kind) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	for _, k := range kinds {
		fmt.Fprintf(c.err, "  %s -> %s  (%d)\n", k.from, k.to, counts[k])
	}
}
