package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"runtime/pprof"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	rt "github.com/recur-ml/recur/runtime"
)

// nodesShown is how many nodes a profile for people lists, the costliest.
const nodesShown = 12

// profileRow is an operator, or a node, in a profile. Times and calls are those
// of one run; a node's time is without the nodes of its bodies.
type profileRow struct {
	Node  string  `json:"node,omitempty"`
	Op    string  `json:"op"`
	Nodes int     `json:"nodes,omitempty"` // of the operator
	Calls float64 `json:"calls"`
	MS    float64 `json:"ms"`
	Share float64 `json:"share"` // of all nodes' time, 0 to 1
}

// profileReport is a profile by operator and by node, the costliest first.
type profileReport struct {
	Operators []profileRow `json:"operators"`
	Nodes     []profileRow `json:"nodes"`
}

// reportProfile divides what a profile counted among the runs that it counted.
func reportProfile(p *rt.Profile, runs int) *profileReport {
	var all time.Duration
	list := p.Nodes()
	for _, n := range list {
		all += n.Self
	}
	row := func(op string, calls int64, self time.Duration) profileRow {
		r := profileRow{Op: op, Calls: float64(calls) / float64(runs), MS: milliseconds(self) / float64(runs)}
		if all > 0 {
			r.Share = float64(self) / float64(all)
		}
		return r
	}
	r := &profileReport{Operators: []profileRow{}, Nodes: []profileRow{}}
	ops := map[string]profileRow{}
	for _, n := range list {
		one := row(n.Op, n.Calls, n.Self)
		sum := ops[n.Op]
		ops[n.Op] = profileRow{Op: n.Op, Nodes: sum.Nodes + 1, Calls: sum.Calls + one.Calls, MS: sum.MS + one.MS, Share: sum.Share + one.Share}
		one.Node = n.Name
		r.Nodes = append(r.Nodes, one)
	}
	sortedMap(ops, func(_ string, row profileRow) { r.Operators = append(r.Operators, row) })
	slices.SortStableFunc(r.Operators, func(a, b profileRow) int { return cmp.Compare(b.MS, a.MS) })
	return r
}

// print writes the tables for people.
func (r *profileReport) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "MS\tSHARE\tCALLS\tNODES\t  OPERATOR\n")
	for _, o := range r.Operators {
		fmt.Fprintf(w, "%.4f\t%.1f%%\t%s\t%d\t  %s\n", o.MS, o.Share*100, calls(o.Calls), o.Nodes, o.Op)
	}
	fmt.Fprint(w, "\nMS\tSHARE\tCALLS\t  NODE\n")
	for _, n := range r.Nodes[:min(nodesShown, len(r.Nodes))] {
		fmt.Fprintf(w, "%.4f\t%.1f%%\t%s\t  %s (%s)\n", n.MS, n.Share*100, calls(n.Calls), abridge(clean(n.Node), 60), n.Op)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if more := len(r.Nodes) - nodesShown; more > 0 {
		fmt.Fprintf(out, "and %d nodes more\n", more)
	}
	return nil
}

func calls(n float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", n), ".0") }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// withPprof calls f and writes a profile of the processor time that it took, in
// pprof's format, to a file; with an empty path it only calls f.
func withPprof(path string, f func() error) error {
	if path == "" {
		return f()
	}
	if err := checkFolder(path); err != nil {
		return fmt.Errorf("--pprof: %w", err)
	}
	var b bytes.Buffer
	if err := pprof.StartCPUProfile(&b); err != nil {
		return fmt.Errorf("--pprof: %w", err)
	}
	err := f()
	pprof.StopCPUProfile()
	if err != nil {
		return err
	}
	return writeFile(path, func(w io.Writer) error {
		_, err := w.Write(b.Bytes())
		return err
	})
}
