package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

const runHelp = `Run computes the outputs of a model, once.

Inputs are given by name, each from a file:

  -i NAME=x.npy         a NumPy array
  -i NAME=x.npz:KEY     an array of an .npz; without KEY the one called NAME, or the only one
  -i NAME=x.pb          a TensorProto (SequenceProto, OptionalProto), as ONNX's test data has them
  -i NAME=x.json        nested arrays, or {"type": "float", "shape": [2], "data": [1, 2]}
  -i NAME=x.csv         a table; a first line of column names is passed over
  -i NAME='[[1, 2]]'    JSON on the command line
  -i NAME=-             stdin, in any of these formats
  -i all.npz            every input that is an array there; also a .json object

With --random SEED the inputs that are not given are made: floating-point
elements in [-1, 1), integers in [0, 4), the lengths of a recurrent operator
full. A dimension of unknown size is 1 unless --shape says otherwise, by input
(--shape x=1,512) or by the dimension's name (--shape batch=4).

With --stream the inputs hold many frames, and the model's state is carried from
each to the next: an array with an axis more than the model wants has the frames
on its first axis (--frame-axis names another), the others go with every frame.
Where none has more, the arrays are cut along that axis of theirs, as far as the
model leaves its size open. The outputs are stacked; those of states are the last
ones. A state whose input is not given begins as zeros. recur inspect lists the
states that are found; --state OUTPUT=INPUT names them by hand; --stateful first
makes the hidden states of recurrent layers inputs and outputs.

With --profile stderr gets a table of the operators and nodes and the time that
each took, memory that a first run makes included; recur bench measures without.
--pprof FILE writes where the processor's time went, for "go tool pprof".

Without -o the outputs are printed; a large one is abridged. -o OUT.npz holds
all outputs, .npy and .pb one, .json any; "-o -" writes an .npz to stdout.`

type runFlags struct {
	loadFlags
	inputs  []string
	outputs []string
	shapes  []string
	out     string
	seed    uint64
	json    bool
	full    bool
	cast    bool
	timeout time.Duration
	profile bool
	pprof   string

	stream    bool
	frameAxis int
	states    []string
	stateful  bool
}

func (c *cli) runCommand() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:   "run MODEL [-i NAME=FILE]... [-o OUT]",
		Short: "Compute a model's outputs",
		Long:  runHelp,
		Example: `  recur run model.onnx -i x=in.npy -i lengths='[7, 5]' -o out.npz
  recur run model.onnx -i inputs.npz --json
  recur run model.onnx --random 1 --shape batch=8 --timeout 10s
  recur run vad.onnx --stream -i input=frames.npy -i sr=16000 -o speech.npz`,
		Args:              exactly(1, "one MODEL"),
		ValidArgsFunction: completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			random := cmd.Flags().Changed("random")
			for _, name := range []string{"frame-axis", "state", "stateful"} {
				if cmd.Flags().Changed(name) && !f.stream {
					return usagef("--%s goes with --stream", name)
				}
			}
			return c.runModel(cmd.Context(), args[0], f, random)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.inputs, "input", "i", nil, "an input, NAME=FILE; or a FILE that names them (repeatable)")
	flags.StringVarP(&f.out, "out", "o", "", "write the outputs to this .npz, .npy, .pb or .json")
	flags.StringArrayVar(&f.outputs, "output", nil, "name of an output that is wanted (repeatable; default: all)")
	flags.Uint64Var(&f.seed, "random", 0, "make the inputs that are not given, from this seed")
	flags.StringArrayVar(&f.shapes, "shape", nil, "shape of an input, x=1,512, or size of a dimension, batch=4 (repeatable)")
	flags.BoolVar(&f.cast, "cast", false, "convert the inputs' element types to what the model wants")
	flags.BoolVar(&f.json, "json", false, "print the outputs as JSON")
	flags.BoolVar(&f.full, "full", false, "print every element")
	flags.BoolVar(&f.stream, "stream", false, "run the model frame by frame and carry its state")
	flags.IntVar(&f.frameAxis, "frame-axis", 0, "axis of the inputs on which the frames are")
	flags.StringArrayVar(&f.states, "state", nil, "a state to carry, OUTPUT=INPUT (repeatable; default: those that are found)")
	flags.BoolVar(&f.stateful, "stateful", false, "carry the hidden states of recurrent layers too")
	flags.DurationVar(&f.timeout, "timeout", 0, "give up the run after this time, such as 30s; loading is not counted")
	flags.BoolVar(&f.profile, "profile", false, "print the time of each operator to stderr")
	flags.StringVar(&f.pprof, "pprof", "", "write a CPU profile to this file")
	f.add(flags)
	return cmd
}

func (c *cli) runModel(ctx context.Context, path string, f *runFlags, random bool) error {
	if f.profile {
		f.measured = &rt.Profile{}
	}
	load := c.session
	if f.stateful {
		load = c.statefulSession
	}
	s, err := load(path, &f.loadFlags)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := checkOutputs(s, f); err != nil {
		return err
	}
	var st *rt.Stream
	if f.stream {
		if st, err = newStream(s, f); err != nil {
			return err
		}
	}
	in, err := c.gatherInputs(s, st, f, random)
	if err != nil {
		return err
	}
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.timeout)
		defer cancel()
	}
	start := time.Now()
	var out onnx.Values
	err = withPprof(f.pprof, func() (err error) {
		if st != nil {
			out, err = runFrames(ctx, s, st, in, f)
		} else {
			out, err = s.Run(ctx, in, f.outputs...)
		}
		return err
	})
	took := time.Since(start)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("not done after %v (--timeout): %w", f.timeout, err)
	}
	if err != nil {
		return err
	}
	if f.profile {
		if err := reportProfile(f.measured, 1).print(c.err); err != nil {
			return err
		}
	}
	return c.report(s, path, out, took, f)
}

// session loads a model from a file or stdin.
func (c *cli) session(path string, f *loadFlags) (*rt.Session, error) {
	opts, err := f.options()
	if err != nil {
		return nil, err
	}
	if path != "-" {
		return rt.Load(path, opts...)
	}
	m, err := c.decode(path, f.limits())
	if err != nil {
		return nil, err
	}
	return rt.LoadModel(m, opts...)
}

// checkOutputs finds faults in what is wanted before anything is computed.
func checkOutputs(s *rt.Session, f *runFlags) error {
	declared := onnx.Values{}
	for _, o := range s.Outputs() {
		declared[o.Name] = &onnx.Tensor{}
	}
	for _, name := range f.outputs {
		if declared[name] == nil {
			return hintf("--output %q: no such output; the model has %s", name, names(s.Outputs()))
		}
	}
	if f.out == "" || f.out == "-" {
		return nil
	}
	if len(f.outputs) > 0 {
		for name := range declared {
			if !slices.Contains(f.outputs, name) {
				delete(declared, name)
			}
		}
	}
	if _, err := writerFor(f.out, declared); err != nil {
		return err
	}
	return checkFolder(f.out)
}

// gatherInputs reads what -i names, makes what --random asks for, and wants
// nothing to be missing but the states of a stream, which may be nil.
func (c *cli) gatherInputs(s *rt.Session, st *rt.Stream, f *runFlags, random bool) (onnx.Values, error) {
	inputs := slices.Clone(s.Inputs())
	known := slices.Clone(inputs)
	for _, v := range s.Model().Graph.Inputs { // those with a default may be given too
		if !slices.ContainsFunc(known, func(k onnx.ValueInfo) bool { return k.Name == v.Name }) {
			known = append(known, v)
		}
	}
	shapes, err := parseShapes(f.shapes, known)
	if err != nil {
		return nil, err
	}
	if st != nil {
		inputs = slices.DeleteFunc(inputs, func(v onnx.ValueInfo) bool { return isState(st, v.Name) })
		for i := range known {
			if !isState(st, known[i].Name) {
				known[i].Type.Shape = nil // frames have another one
			}
		}
	}
	r := &inputReader{c: c, known: known, shapes: shapes, cast: f.cast, most: f.limits().WithDefaults().FileBytes, values: onnx.Values{}}
	for _, flag := range f.inputs {
		if err := r.read(flag); err != nil {
			return nil, err
		}
	}
	if random {
		if err := randomInputs(s.Model(), inputs, r.values, shapes, f.seed, f.limits()); err != nil {
			return nil, err
		}
	}
	var missing []string
	for _, v := range inputs {
		if r.values[v.Name] == nil {
			missing = append(missing, fmt.Sprintf("input %q, %v", v.Name, v.Type))
		}
	}
	if len(missing) > 0 {
		return nil, hintf("missing: %s; give each with -i NAME=FILE, or all with --random SEED", strings.Join(missing, "; "))
	}
	return r.values, nil
}

// report writes the outputs where the flags say.
func (c *cli) report(s *rt.Session, path string, out onnx.Values, took time.Duration, f *runFlags) error {
	if f.out != "" {
		if err := c.save(f.out, out); err != nil {
			return err
		}
	}
	switch {
	case f.json && f.out != "-":
		values, err := jsonValues(out)
		if err != nil {
			return err
		}
		return writeJSON(c.out, struct {
			header
			Model   string         `json:"model"`
			Seconds float64        `json:"seconds"`
			Outputs map[string]any `json:"outputs"`
		}{headerOf("run"), path, took.Seconds(), values})
	case f.out == "":
		var b strings.Builder
		for _, o := range s.Outputs() {
			if v := out[o.Name]; v != nil {
				printValue(&b, clean(o.Name), v, f.full)
			}
		}
		fmt.Fprint(c.out, b.String())
	}
	return nil
}

// completeModels lets a shell complete the names of models.
func completeModels(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"onnx"}, cobra.ShellCompDirectiveFilterFileExt
}
