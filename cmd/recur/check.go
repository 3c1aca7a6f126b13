package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

const checkHelp = `Check decodes each model, holds it against the rules of the format and the
definitions of its operators, and tries whether it can be loaded. It writes a
line for each model, and one for each problem with the place: the node, and
the nodes around it.

It ends with 0 when all models can be run, 1 when one is not valid, else 4 when
one exceeds a limit, else 3 when one needs what is not supported.`

// checkRow is what recur check tells of a model.
type checkRow struct {
	Model    string       `json:"model"`
	Verdict  string       `json:"verdict"` // "ok", "malformed", "invalid", "unsupported", "limit"
	Problems []string     `json:"problems,omitempty"`
	Refusals []refusalRow `json:"refusals,omitempty"`
	code     int
}

func (c *cli) checkCommand() *cobra.Command {
	f := &loadFlags{}
	var asJSON bool
	cmd := &cobra.Command{
		Use:               "check MODEL...",
		Short:             "Say whether models are valid and can be run",
		Long:              checkHelp,
		Example:           "  recur check model.onnx\n  recur check models/*.onnx --json",
		Args:              atLeastOne("MODEL"),
		ValidArgsFunction: completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			var rows []checkRow
			code, bad := exitOK, 0
			for _, path := range args {
				if err := cmd.Context().Err(); err != nil {
					return err
				}
				row := c.check(path, f.limits())
				if row.code != exitOK {
					bad++
				}
				code = worse(code, row.code)
				rows = append(rows, row)
				if !asJSON {
					c.printCheck(row)
				}
			}
			if asJSON {
				if err := writeJSON(c.out, struct {
					header
					Models []checkRow `json:"models"`
				}{headerOf("check"), rows}); err != nil {
					return err
				}
			}
			if code == exitOK {
				return nil
			}
			return &statusError{code, fmt.Sprintf("%d of %d models cannot be run", bad, len(args))}
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	f.addLimits(cmd.Flags())
	return cmd
}

// check takes a model through the three steps and tells where it fails.
func (c *cli) check(path string, limits onnx.Limits) checkRow {
	row := checkRow{Model: path}
	m, err := c.decode(path, limits)
	if err != nil {
		return row.failed("malformed", err)
	}
	if err := onnx.Check(m, onnx.CheckLimits(limits)); err != nil {
		return row.failed("invalid", err)
	}
	s, err := rt.LoadModel(m, rt.WithLimits(limits))
	if err != nil {
		return row.failed("invalid", err)
	}
	s.Close()
	row.Verdict = "ok"
	return row
}

// failed records an error; it is a matter of the model unless it is one of
// limits or support.
func (r checkRow) failed(verdict string, err error) checkRow {
	r.Verdict, r.code = verdict, exitCode(err)
	switch r.code {
	case exitLimit:
		r.Verdict = "limit"
	case exitUnsupported:
		r.Verdict = "unsupported"
	case exitUsage:
		r.Verdict = "unreadable"
	}
	var refused *rt.RefusalError
	if errors.As(err, &refused) {
		r.Refusals = refusalRows(refused)
		return r
	}
	r.Problems = strings.Split(err.Error(), "\n")
	return r
}

func (c *cli) printCheck(r checkRow) {
	fmt.Fprintf(c.out, "%s: %s\n", r.Model, r.Verdict)
	for _, p := range r.Problems {
		fmt.Fprintf(c.out, "  %s\n", clean(strings.TrimPrefix(p, r.Model+": ")))
	}
	for _, x := range r.Refusals {
		fmt.Fprintf(c.out, "  node %q (%s): %s\n", x.Node, opLabel(x.Op, x.Version), clean(x.Reason))
	}
}
