package main

import (
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/recur-ml/recur/internal/verify"
)

// verifyPrinter writes a line for each case that did not pass and, on a
// terminal, how far the run is.
type verifyPrinter struct {
	w     io.Writer
	bar   *progressbar.ProgressBar // nil: none
	many  bool                     // several manifests: an id needs its folder
	tally tally
}

// newVerifyPrinter writes to stdout, or to stderr when stdout is for JSON.
func (c *cli) newVerifyPrinter(cases []*verify.Case, toStderr bool) *verifyPrinter {
	p := &verifyPrinter{w: c.out}
	if toStderr {
		p.w = c.err
	}
	for _, k := range cases {
		p.many = p.many || k.Manifest != cases[0].Manifest
	}
	if !c.plain(c.err) {
		theme := progressbar.ThemeASCII
		if c.utf8() {
			theme = progressbar.ThemeDefault
		}
		p.bar = progressbar.NewOptions(len(cases), progressbar.OptionSetWriter(c.err), progressbar.OptionSetWidth(30),
			progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(barInterval), progressbar.OptionSetDescription("verify"), progressbar.OptionSetTheme(theme))
	}
	return p
}

func (p *verifyPrinter) print(r *verify.Result) {
	p.tally.add(r)
	if r.Verdict != verify.Passed {
		p.clear()
		fmt.Fprintln(p.w, p.line(r))
	}
	if p.bar != nil {
		p.bar.Add(1) // a bar that cannot be drawn is no loss
	}
}

func (p *verifyPrinter) clear() {
	if p.bar != nil {
		p.bar.Clear()
	}
}

// maxReason bounds the length of a line; --json has all.
const maxReason = 600

// barInterval is the least time between two drawings of the bar.
const barInterval = 100 * time.Millisecond

// line says what became of a case: verdict, id, run, and why.
func (p *verifyPrinter) line(r *verify.Result) string {
	id := r.Case.ID
	if p.many {
		id = path.Join(filepath.ToSlash(r.Case.Dir), id)
		if r.Case.Positional { // its id is the folder's name
			id = filepath.ToSlash(r.Case.Dir)
		}
	}
	s := fmt.Sprintf("%-8s %s: ", r.Verdict, clean(id))
	if r.Run >= 0 {
		s += fmt.Sprintf("run %d, ", r.Run)
	}
	s += abridge(oneLine(r.Reason), maxReason)
	if r.Allowed() {
		s += " (may refuse: " + clean(r.Case.MayRefuse) + ")"
	}
	return s
}

// oneLine joins lines; the stack below a panic is left out.
func oneLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "goroutine ") {
			lines = lines[:i]
			break
		}
	}
	for i := range lines {
		lines[i] = clean(strings.TrimSpace(lines[i]))
	}
	return strings.Join(lines, "; ")
}

// close writes the counts and gives the error that the command ends with.
func (p *verifyPrinter) close() error {
	p.clear()
	if _, err := fmt.Fprintf(p.w, "%d passed, %d failed, %d refused\n", p.tally.passed, p.tally.failed, p.tally.refused); err != nil {
		return err
	}
	return p.tally.status()
}
