package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/rewrite"
	rt "github.com/recur-ml/recur/runtime"
)

// loadFlags are the flags that say how a model is loaded and run.
type loadFlags struct {
	threads    int
	passes     []string
	half       bool
	memory     byteSize
	file       byteSize
	weights    byteSize
	nodes      int
	iterations int64
	steps      int
	measured   *rt.Profile // nil: nothing is measured
}

func (f *loadFlags) add(flags *pflag.FlagSet) {
	flags.IntVar(&f.threads, "threads", 0, "threads that a run computes on (default: one a core)")
	flags.StringSliceVar(&f.passes, "passes", []string{"all"}, "optional rewrite passes: "+passChoices())
	flags.BoolVar(&f.half, "half-weights", false, "round recurrent weights to float16 and store them so: less to read, and less exact")
	f.addLimits(flags)
}

func (f *loadFlags) addLimits(flags *pflag.FlagSet) {
	flags.Var(&f.memory, "max-memory", "memory that one run may take, such as 1GiB")
	flags.Var(&f.file, "max-file", "size of a model file")
	flags.Var(&f.weights, "max-weights", "size of all tensors in a model")
	flags.IntVar(&f.nodes, "max-nodes", 0, "nodes of a model")
	flags.Int64Var(&f.iterations, "max-iterations", 0, "iterations of one Loop or Scan")
	flags.IntVar(&f.steps, "max-steps", 0, "time steps of a recurrent operator")
}

func (f *loadFlags) limits() onnx.Limits {
	return onnx.Limits{RunBytes: int64(f.memory), FileBytes: int64(f.file), InitializerBytes: int64(f.weights),
		Nodes: f.nodes, LoopIterations: f.iterations, TimeSteps: f.steps}
}

// options turns the flags into the runtime's options.
func (f *loadFlags) options() ([]rt.Option, error) {
	if f.threads < 0 {
		return nil, usagef("--threads %d, want 0 or more", f.threads)
	}
	opts := []rt.Option{rt.WithThreads(f.threads), rt.WithLimits(f.limits())}
	if f.measured != nil {
		opts = append(opts, rt.WithProfile(f.measured))
	}
	if f.half {
		opts = append(opts, rt.WithHalfWeights())
	}
	passes, err := parsePasses(f.passes)
	if err != nil {
		return nil, err
	}
	if passes != nil {
		opts = append(opts, rt.WithPasses(passes...))
	}
	return opts, nil
}

// parsePasses reads --passes; nil means all.
func parsePasses(list []string) ([]string, error) {
	if len(list) == 0 || slices.Equal(list, []string{"all"}) {
		return nil, nil
	}
	if slices.Equal(list, []string{"none"}) {
		return []string{}, nil
	}
	for _, name := range list {
		if !slices.ContainsFunc(rewrite.Passes(), func(p rewrite.Pass) bool { return p.Name == name }) {
			return nil, usagef("--passes: no pass %q; want %s", name, passChoices())
		}
	}
	return list, nil
}

// passChoices says what --passes takes.
func passChoices() string {
	if names := optionalPasses(); len(names) > 0 {
		return "all, none, or of " + strings.Join(names, ", ")
	}
	return "all or none (no pass is optional)"
}

func optionalPasses() []string {
	var names []string
	for _, p := range rewrite.Passes() {
		if !p.Required {
			names = append(names, p.Name)
		}
	}
	return names
}

// decode reads a model from a file, or from stdin where the path is "-".
func (c *cli) decode(path string, limits onnx.Limits) (*onnx.Model, error) {
	o := &onnx.DecodeOptions{Limits: limits}
	if path != "-" {
		return onnx.Load(path, o)
	}
	most := limits.WithDefaults().FileBytes
	if most < math.MaxInt64 {
		most++ // so that Decode sees what is too much
	}
	in, err := c.stdin()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(in, most))
	if err != nil {
		return nil, fmt.Errorf("stdin: %w", err)
	}
	m, err := onnx.Decode(data, o)
	if err != nil {
		return nil, fmt.Errorf("stdin: %w", err)
	}
	m.Path = "stdin"
	return m, nil
}
