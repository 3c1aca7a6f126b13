package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/recur-ml/recur/internal/verify"
	rt "github.com/recur-ml/recur/runtime"
)

const verifyHelp = `Verify runs test cases and compares what the models give with what they must.

A PATH is a verify.json, or a folder that is searched for files of that name. A
folder without any is searched for ONNX's own layout: a model.onnx beside
test_data_set_N/input_K.pb and output_K.pb.

A verify.json lists cases:

  {"version": 1, "about": "what this is", "rtol": 0.001, "atol": 1e-05,
   "cases": [
    {"id": "lstm_7", "model": "lstm_7/model.onnx", "format": "onnx", "tags": ["lstm"],
     "runs": [{"in": {"X": "lstm_7/x.npy"},
               "out": {"Y": {"file": "lstm_7/out.npz", "key": "Y"}}}]}]}

An output must have the kind, the element type and the shape that is expected;
floating-point elements may be off by atol + rtol*|expected|. A run that does
not belong to a sequence is made twice, and must give the same bits.

A case has passed, failed or been refused: a refusal is an error that says
what of the model is not supported or not valid. There is a line for each case
that has not passed, and at the end

  N passed, N failed, N refused

It ends with 0 when a case ran, none failed, and each that was refused has
"may_refuse"; with 1 when one failed; with 2 when there is no case; with 3 when
one was refused that has not, or all were.`

type verifyFlags struct {
	loadFlags
	rtol, atol float64
	format     string
	run        string
	tags       []string
	json       string
	engine     string
	timeout    time.Duration
}

func (c *cli) verifyCommand() *cobra.Command {
	f := &verifyFlags{}
	cmd := &cobra.Command{
		Use:   "verify PATH...",
		Short: "Run test cases and compare the results",
		Long:  verifyHelp,
		Example: `  recur verify testdata
  recur verify cases/verify.json --tags lstm,reverse --json results.json
  recur verify cases --run '^gru_' --passes none --threads 1`,
		Args: atLeastOne("PATH"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.verify(cmd, args, f) },
	}
	flags := cmd.Flags()
	flags.Float64Var(&f.rtol, "rtol", 0, "relative tolerance, in place of the cases' own")
	flags.Float64Var(&f.atol, "atol", 0, "absolute tolerance, in place of the cases' own")
	flags.StringVar(&f.format, "format", "", "only cases of this format of models: "+strings.Join(verify.Formats(), ", "))
	flags.StringVar(&f.run, "run", "", "only cases whose id matches this regular expression")
	flags.StringSliceVar(&f.tags, "tags", nil, "only cases that have all of these tags")
	flags.StringVar(&f.json, "json", "", "write every case and its result to this file as JSON (- for stdout)")
	flags.StringVar(&f.engine, "engine", rt.Engines()[0], "what computes: "+strings.Join(rt.Engines(), ", "))
	flags.DurationVar(&f.timeout, "timeout", 0, "a call of a model that takes longer has failed, such as 30s")
	f.add(flags)
	return cmd
}

func (c *cli) verify(cmd *cobra.Command, paths []string, f *verifyFlags) error {
	runner, err := f.runner(cmd)
	if err != nil {
		return err
	}
	chosen, err := f.choose(paths)
	if err != nil {
		return err
	}
	p := c.newVerifyPrinter(chosen, f.json == "-")
	results, err := runVerify(cmd.Context(), runner, chosen, p)
	if err != nil {
		return err
	}
	outcome := p.close()
	if err := c.verifyJSON(f.json, results); err != nil {
		return err
	}
	return outcome
}

// runner makes the runner that the flags describe.
func (f *verifyFlags) runner(cmd *cobra.Command) (*verify.Runner, error) {
	opts, err := f.options()
	if err != nil {
		return nil, err
	}
	if !slices.Contains(rt.Engines(), f.engine) {
		return nil, usagef("--engine: no engine %q; there is %s", f.engine, strings.Join(rt.Engines(), ", "))
	}
	r := &verify.Runner{Options: append(opts, rt.WithEngine(f.engine)), Limits: f.limits(), Timeout: f.timeout}
	if f.timeout < 0 {
		return nil, usagef("--timeout %v, want a positive time", f.timeout)
	}
	for _, tolerance := range []struct {
		name  string
		value *float64
		to    **float64
	}{{"rtol", &f.rtol, &r.Rtol}, {"atol", &f.atol, &r.Atol}} {
		if !cmd.Flags().Changed(tolerance.name) {
			continue
		}
		if !(*tolerance.value >= 0) || math.IsInf(*tolerance.value, 0) {
			return nil, usagef("--%s %v, want a number of at least 0", tolerance.name, *tolerance.value)
		}
		*tolerance.to = tolerance.value
	}
	return r, nil
}

// choose finds the cases that the flags select, in order. None is an error
// that tells which choice left none.
func (f *verifyFlags) choose(paths []string) ([]*verify.Case, error) {
	id, err := regexp.Compile(f.run)
	if err != nil {
		return nil, usagef("--run: %v", err)
	}
	if f.format != "" && !slices.Contains(verify.Formats(), f.format) {
		return nil, usagef("--format: no format %q; there are %s", f.format, strings.Join(verify.Formats(), ", "))
	}
	var all, chosen []*verify.Case
	var failed []error
	seen := map[string]bool{}
	for _, path := range paths {
		manifests, err := verify.Discover(path)
		if err != nil {
			failed = append(failed, err)
		}
		for _, m := range manifests {
			if key := absolute(m.Path); !seen[key] { // named twice, or below another path
				seen[key] = true
				all = append(all, m.Cases...)
			}
		}
	}
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}
	for _, k := range all {
		if id.MatchString(k.ID) && (f.format == "" || k.Format == f.format) && hasAll(k.Tags, f.tags) {
			chosen = append(chosen, k)
		}
	}
	switch {
	case len(all) == 0:
		return nil, hintf("no case found in %s: no verify.json, and no model.onnx beside test_data_set_N", strings.Join(paths, ", "))
	case len(chosen) == 0:
		return nil, hintf("no case found: none of %d cases is chosen by %s%s", len(all), f.choices(), tagHint(all, f.tags))
	}
	return chosen, nil
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func hasAll(have, want []string) bool {
	for _, w := range want {
		if !slices.Contains(have, w) {
			return false
		}
	}
	return true
}

// choices writes the flags that select cases.
func (f *verifyFlags) choices() string {
	var list []string
	for _, s := range []struct{ flag, value string }{{"run", f.run}, {"format", f.format}, {"tags", strings.Join(f.tags, ",")}} {
		if s.value != "" {
			list = append(list, fmt.Sprintf("--%s %s", s.flag, s.value))
		}
	}
	return strings.Join(list, " ")
}

// tagHint names tags that are almost one of those that were asked for.
func tagHint(cases []*verify.Case, want []string) string {
	var like []string
	for _, k := range cases {
		for _, tag := range k.Tags {
			for _, w := range want {
				if tag != w && strings.EqualFold(tag, w) && !slices.Contains(like, tag) {
					like = append(like, tag)
				}
			}
		}
	}
	if like == nil {
		return ""
	}
	return "; did you mean " + quotedList(like) + "?"
}

// runVerify runs the cases one after the other. The error is an interruption.
func runVerify(ctx context.Context, r *verify.Runner, cases []*verify.Case, p *verifyPrinter) ([]verify.Result, error) {
	var results []verify.Result
	for _, k := range cases {
		result := r.Run(ctx, k)
		if err := ctx.Err(); err != nil {
			p.clear()
			return nil, err
		}
		results = append(results, result)
		p.print(&result)
	}
	return results, nil
}

// verifyRow is what --json tells of a case.
type verifyRow struct {
	Manifest  string     `json:"manifest"`
	ID        string     `json:"id"`
	Format    string     `json:"format"`
	Tags      []string   `json:"tags,omitempty"`
	Verdict   string     `json:"verdict"`
	Reason    string     `json:"reason,omitempty"`
	MayRefuse string     `json:"may_refuse,omitempty"`
	Run       *int       `json:"run,omitempty"`
	Outputs   []wrongRow `json:"outputs,omitempty"`
	Seconds   float64    `json:"seconds"`
}

// wrongRow is an output that is wrong.
type wrongRow struct {
	Output string `json:"output"`
	Inside string `json:"inside,omitempty"`
	What   string `json:"what"`
	Index  []int  `json:"index,omitempty"`
	Got    string `json:"got"`
	Want   string `json:"want"`
	Differ int    `json:"differ,omitempty"`
	Of     int    `json:"of,omitempty"`
}

func verifyRowOf(r *verify.Result) verifyRow {
	row := verifyRow{Manifest: r.Case.Manifest.Path, ID: r.Case.ID, Format: r.Case.Format, Tags: r.Case.Tags,
		Verdict: string(r.Verdict), Reason: r.Reason, MayRefuse: r.Case.MayRefuse, Seconds: r.Took.Seconds()}
	if r.Run >= 0 {
		row.Run = &r.Run
	}
	for _, m := range r.Mismatches {
		row.Outputs = append(row.Outputs, wrongRow{m.Output, m.Inside, m.What, m.Index, m.Got, m.Want, m.Differ, m.Of})
	}
	return row
}

// verifyJSON writes all results to a file, or to stdout for "-".
func (c *cli) verifyJSON(path string, results []verify.Result) error {
	if path == "" {
		return nil
	}
	t := tallyOf(results)
	report := struct {
		header
		Passed  int         `json:"passed"`
		Failed  int         `json:"failed"`
		Refused int         `json:"refused"`
		Cases   []verifyRow `json:"cases"`
	}{header: headerOf("verify"), Passed: t.passed, Failed: t.failed, Refused: t.refused}
	for i := range results {
		report.Cases = append(report.Cases, verifyRowOf(&results[i]))
	}
	if path == "-" {
		return writeJSON(c.out, report)
	}
	return writeFile(path, func(w io.Writer) error { return writeJSON(w, report) })
}

// tally counts verdicts.
type tally struct{ passed, failed, refused, allowed int }

func (t *tally) add(r *verify.Result) {
	switch r.Verdict {
	case verify.Passed:
		t.passed++
	case verify.Failed:
		t.failed++
	case verify.Refused:
		t.refused++
		if r.Allowed() {
			t.allowed++
		}
	}
}

func tallyOf(results []verify.Result) tally {
	var t tally
	for i := range results {
		t.add(&results[i])
	}
	return t
}

// status gives the error that the command ends with.
func (t tally) status() error {
	switch {
	case t.failed > 0:
		return &statusError{code: exitMismatch}
	case t.refused > t.allowed:
		return &statusError{code: exitUnsupported}
	case t.passed == 0:
		return &statusError{exitUnsupported, "no case ran: all were refused"}
	}
	return nil
}
