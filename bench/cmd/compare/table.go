package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/recur-ml/recur/bench"
)

// equal is how far from 1 a ratio may be and still mean nothing.
const equal = 0.1

// markdown writes the report as tables.
func (r *report) markdown() string {
	var b strings.Builder
	clock := "time that passes"
	if r.Clock == "cpu" {
		clock = "processor time of the computing thread"
	}
	fmt.Fprintf(&b, "%s: %s, %d CPUs, GOMAXPROCS %d, %s; recur %s (engine %s, %s) and ONNX Runtime %s; %s.\n", r.Date, orUnknown(r.CPU), r.CPUs,
		r.GOMAXPROCS, r.Platform, r.Revision, r.Engine, r.Go, r.ORT, clock)
	if r.Peak > 0 {
		fmt.Fprintf(&b, "Peak: %.0f GFLOP/s of float32 multiply-adds on one core, measured between the rows.\n", r.Peak)
	}
	r.section(&b, bench.Operators, "One thread: operators")
	r.section(&b, bench.Models, "One thread: whole models")
	r.folded(&b, enginesGroup, "One thread: recur with another engine")
	r.section(&b, threadsGroup, "Several threads, a process for each engine")
	r.section(&b, callersGroup, "Callers side by side on one session, each on one thread: time from result to result")
	r.folded(&b, bench.Forms, "One thread: other forms of the recurrent operators")
	r.folded(&b, bench.Growth, "One thread: how time grows with batch (B), time steps (T) and units (H)")
	r.folded(&b, bench.Images, "One thread: convolutions of images (C channels, O outputs, K kernel, S stride, G groups)")
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "\n%s\n", n)
	}
	return b.String()
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown processor"
	}
	return s
}

// column is a column of a table: its head and how it shows a result.
type column struct {
	head string
	show func(*result) string
}

// section writes the table of one group, without columns that are empty.
func (r *report) section(b *strings.Builder, group, title string) {
	var rows []*result
	for _, x := range r.Results {
		if x.Group == group {
			rows = append(rows, x)
		}
	}
	if len(rows) == 0 {
		return
	}
	columns := []column{
		{"recur ms", func(x *result) string { return digits(x.Recur) }},
		{"ORT ms", func(x *result) string { return digits(x.ORT) }},
		{"ORT / recur", func(x *result) string { return x.verdict() }},
		{"GFLOP/s", func(x *result) string { return unless(x.GFLOPS == 0, "%.0f", x.GFLOPS) }},
		{"of peak", func(x *result) string { return unless(x.OfPeak == 0, "%.0f %%", x.OfPeak*100) }},
		{"difference", func(x *result) string { return unless(group == threadsGroup, "%.0e", x.Difference) }},
		{"allocs", func(x *result) string {
			return unless(group == threadsGroup || group == callersGroup, "%d", x.Allocs)
		}},
		{"load ms, recur / ORT", func(x *result) string {
			return unless(x.RecurLoad == 0, "%s / %s", digits(x.RecurLoad), digits(x.ORTLoad))
		}},
		{"MiB, recur / ORT", func(x *result) string { return unless(x.RecurRSS == 0, "%.0f / %.0f", x.RecurRSS, x.ORTRSS) }},
		{"onnx-go ms", func(x *result) string { return unless(x.OnnxGo == 0, "%s", digits(x.OnnxGo)) }},
	}
	var shown []column
	for _, c := range columns {
		for _, x := range rows {
			if c.show(x) != "" {
				shown = append(shown, c)
				break
			}
		}
	}
	if title != "" {
		fmt.Fprintf(b, "\n**%s**\n", title)
	}
	b.WriteString("\n| model |")
	for _, c := range shown {
		fmt.Fprintf(b, " %s |", c.head)
	}
	b.WriteString("\n| --- |" + strings.Repeat(" ---: |", len(shown)) + "\n")
	for _, x := range rows {
		fmt.Fprintf(b, "| %s |", x.label())
		for _, c := range shown {
			fmt.Fprintf(b, " %s |", c.show(x))
		}
		b.WriteByte('\n')
	}
}

// folded writes a section that a reader opens.
func (r *report) folded(b *strings.Builder, group, title string) {
	var table strings.Builder
	r.section(&table, group, "")
	if table.Len() > 0 {
		fmt.Fprintf(b, "\n<details><summary>%s</summary>\n%s\n</details>\n", title, table.String())
	}
}

func (r *result) label() string {
	switch {
	case r.Engine != "":
		return fmt.Sprintf("%s, %s", r.Name, r.Engine)
	case r.Callers > 0:
		return fmt.Sprintf("%s, %d", r.Name, r.Callers)
	case r.Threads > 1:
		return fmt.Sprintf("%s, %d threads", r.Name, r.Threads)
	}
	if r.Model != "" {
		return fmt.Sprintf("%s (%s)", r.Name, r.Model)
	}
	return r.Name
}

// verdict writes the ratio and its range; within a tenth of 1 it is "equal".
func (r *result) verdict() string {
	word := fmt.Sprintf("%.2f", r.Ratio)
	if r.Ratio > 1-equal && r.Ratio < 1+equal {
		word = "equal"
	}
	return fmt.Sprintf("%s (%.2f to %.2f)", word, r.Least, r.Most)
}

// digits writes a time with three significant digits.
func digits(ms float64) string {
	switch {
	case ms >= 100:
		return fmt.Sprintf("%.0f", ms)
	case ms >= 10:
		return fmt.Sprintf("%.1f", ms)
	case ms >= 1:
		return fmt.Sprintf("%.2f", ms)
	case ms >= 0.1:
		return fmt.Sprintf("%.3f", ms)
	}
	return fmt.Sprintf("%.4f", ms)
}

func unless(empty bool, format string, args ...any) string {
	if empty {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

// The lines of a document between which the tables stand.
const (
	beginMark = "<!-- bench: begin -->"
	endMark   = "<!-- bench: end -->"
)

// rewrite puts the text between the marks of a file.
func rewrite(path, text string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(old), beginMark+"\n")
	_, after, ok2 := strings.Cut(rest, endMark)
	if !ok || !ok2 {
		return fmt.Errorf("%s: want the lines %s and %s", path, beginMark, endMark)
	}
	return os.WriteFile(path, []byte(before+beginMark+"\n"+text+endMark+after), 0o644)
}
