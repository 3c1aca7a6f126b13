package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// printReport writes a report for people.
func (c *cli) printReport(r *report) error {
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	var opsets []string
	sortedMap(r.Opsets, func(domain string, v int) { opsets = append(opsets, fmt.Sprintf("%s %d", domain, v)) })
	fmt.Fprintf(w, "model\t%s\n", clean(r.Model))
	if r.Graph != "" {
		fmt.Fprintf(w, "graph\t%s\n", clean(r.Graph))
	}
	if r.Producer != "" {
		fmt.Fprintf(w, "producer\t%s\n", clean(r.Producer))
	}
	fmt.Fprintf(w, "IR version\t%d\n", r.IR)
	fmt.Fprintf(w, "opsets\t%s\n", clean(strings.Join(opsets, ", ")))
	fmt.Fprintf(w, "parameters\t%d in %d tensors, %s\n", r.Parameters.Elements, r.Parameters.Tensors, formatBytes(r.Parameters.Bytes))
	fmt.Fprintf(w, "nodes\t%d\n", r.Nodes)
	fmt.Fprintf(w, "multiply-adds\t%s\n", clean(r.Cost.text()))
	if r.Supported {
		fmt.Fprintf(w, "memory of a run\t%s\n", clean(r.Memory.text()))
	}
	sortedMap(r.Metadata, func(k, v string) { fmt.Fprintf(w, "metadata\t%s = %s\n", clean(k), abridge(clean(v), 60)) })
	printRows(w, "inputs", r.Inputs)
	printRows(w, "outputs", r.Outputs)
	fmt.Fprint(w, "\noperators\n  TYPE\tCOUNT\tPARAMETERS\tMULTIPLY-ADDS\n")
	for _, op := range r.Operators {
		parameters := ""
		if op.Parameters > 0 {
			parameters = grouped(op.Parameters)
		}
		fmt.Fprintf(w, "  %s\t%d\t%s\t%s\n", opLabel(op.Op, op.Version), op.Count, parameters, clean(op.Cost))
	}
	if len(r.Functions) > 0 {
		fmt.Fprintf(w, "\nfunctions\t%s\n", clean(strings.Join(r.Functions, ", ")))
	}
	printRecurrence(w, r)
	if r.Lifted == nil || sameLayers(r.Recurrent, r.Lifted) {
		printLayers(w, "recurrent layers", r.Recurrent)
	} else {
		printLayers(w, "recurrent layers in the file", r.Recurrent)
		printLayers(w, "recurrent layers as it runs", r.Lifted)
	}
	printStates(w, r)
	printRows(w, "values", r.Values)
	fmt.Fprintln(w)
	printSupport(w, r)
	return w.Flush()
}

func printRows(w io.Writer, title string, rows []valueRow) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for _, v := range rows {
		shape := ""
		if v.kind.String() == "tensor" || v.kind.String() == "sparse_tensor" {
			shape = clean(v.shape.String())
		}
		if v.Default {
			shape += " (has a default)"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\n", clean(v.Name), v.Type, shape)
	}
}

func printLayers(w io.Writer, title string, layers []recurrentLayer) {
	if len(layers) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n  NODE\tTYPE\tINPUT\tHIDDEN\tDIRECTION\tACTIVATIONS\tOUTPUTS\tREMARKS\n", title)
	for _, l := range layers {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", clean(l.Node), opLabel(l.Op, l.Version), size(l.Input), size(l.Hidden),
			clean(l.Direction), clean(strings.Join(l.Activations, " ")), strings.Join(l.Outputs, " "), clean(l.remarks()))
	}
}

func printStates(w io.Writer, r *report) {
	if r.StateError != "" {
		fmt.Fprintf(w, "\nstate pairs\t%s\n", clean(r.StateError))
	}
	if len(r.States) == 0 {
		return
	}
	fmt.Fprint(w, "\nstate pairs\n  OUTPUT\tINPUT\tTYPE\tSHAPE\n")
	for _, p := range r.States {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", clean(p.Output), clean(p.Input), p.Type, clean(p.shape.String()))
	}
}

// printRecurrence sets the counts of recurrent operators and loops side by
// side, and tells why loops stay.
func printRecurrence(w io.Writer, r *report) {
	if len(r.Recurrence) > 0 {
		fmt.Fprint(w, "\nrecurrence\n  TYPE\tIN THE FILE\tAS IT RUNS\n")
	}
	for _, x := range r.Recurrence {
		fmt.Fprintf(w, "  %s\t%d\t%d\n", x.Op, x.Before, x.After)
	}
	if len(r.Loops) > 0 {
		fmt.Fprint(w, "\nloops that stay\n  NODE\tTYPE\tWHY\n")
	}
	for _, x := range r.Loops {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", clean(abridge(x.Node, 48)), x.Op, clean(x.Why))
	}
}

func (r costRow) text() string {
	text := r.Formula
	switch {
	case r.Unknown == 1:
		text += ", without 1 node of unknown shapes (give --shape)"
	case r.Unknown > 1:
		text += fmt.Sprintf(", without %d nodes of unknown shapes (give --shape)", r.Unknown)
	}
	return text
}

func (r memoryRow) text() string {
	text := formatBytes(r.Weights) + " of weights"
	switch {
	case r.Reason != "":
		return text + "; values: not known: " + abridge(r.Reason, 160)
	case r.Peak == nil:
		return text + fmt.Sprintf("; values: %d of unknown size (give --shape)", r.Unknown)
	}
	text += "; values: " + formatBytes(*r.Peak) + " at most"
	if r.At != "" {
		text += ", in " + r.At
	}
	return text
}

func printSupport(w io.Writer, r *report) {
	switch {
	case r.Supported:
		fmt.Fprintln(w, "supported\tyes")
	case r.Error != "":
		fmt.Fprintf(w, "supported\tno\n  %s\n", strings.ReplaceAll(r.Error, "\n", "\n  "))
	default:
		count := fmt.Sprintf("%d nodes are", len(r.Refusals))
		if len(r.Refusals) == 1 {
			count = "1 node is"
		}
		fmt.Fprintf(w, "supported\tno, %s refused\n  NODE\tTYPE\tREASON\n", count)
		for _, x := range r.Refusals {
			fmt.Fprintf(w, "  %s\t%s\t%s\n", clean(x.Node), opLabel(x.Op, x.Version), clean(x.Reason))
		}
	}
}

// opLabel writes "LSTM-14", and the name alone where the version is not known.
func opLabel(op string, version int) string {
	if version > 0 {
		op += "-" + strconv.Itoa(version)
	}
	return clean(op)
}

func size(n int) string {
	if n < 0 {
		return "?"
	}
	return strconv.Itoa(n)
}

// clean replaces control characters in names that a file chose, which could
// otherwise steer the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// cleanLines is clean for a text of several lines.
func cleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		parts := strings.Split(l, "\t")
		for k, p := range parts {
			parts[k] = clean(p)
		}
		lines[i] = strings.Join(parts, "\t")
	}
	return strings.Join(lines, "\n")
}

// abridge cuts a text to n characters.
func abridge(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "..."
	}
	return s
}
