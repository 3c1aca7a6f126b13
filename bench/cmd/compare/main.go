// Command compare runs the same models on the same inputs in recur and in ONNX
// Runtime and writes tables.
//
// Both compute in this process, on one thread, with outputs that are allocated
// before. Their results are held against each other; a difference beyond the
// tolerance ends the program with exit code 1. Then they take turns in short
// slices: two calls that are not measured, then at least three that are. The
// ratio is the median of those of the pairs of slices, with its range; within a
// tenth of 1 it is written "equal".
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/recur-ml/recur/bench"
	"github.com/recur-ml/recur/bench/internal/ort"
	"github.com/recur-ml/recur/bench/internal/timing"
	rt "github.com/recur-ml/recur/runtime"
)

func main() {
	if err := compare(); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// request is what the command line asks for.
type request struct {
	config
	rows    *regexp.Regexp
	corpus  string
	smoke   bool
	engines []string
	threads []int
	callers []int
	json    bool
	readme  string
	list    bool
	onnxgo  bool
	child   string
	from    string
}

func parse() (*request, error) {
	q := &request{config: config{effort: timing.Effort{Calls: 3}}}
	pattern := flag.String("rows", ".*", "regular expression that whole names of rows match")
	flag.BoolVar(&q.list, "list", false, "list the rows' names and end")
	flag.StringVar(&q.library, "lib", os.Getenv("ORT_LIB"), "ONNX Runtime's shared library (or ORT_LIB)")
	flag.StringVar(&q.corpus, "corpus", os.Getenv("RECUR_CORPUS"), "folder with models of others (or RECUR_CORPUS); without, their rows are left out")
	flag.IntVar(&q.effort.Passes, "passes", 7, "pairs of slices of each row")
	slice := flag.Duration("slice", 40*time.Millisecond, "shortest slice")
	flag.BoolVar(&q.cpu, "cpu", false, "measure processor time of the thread in place of time that passes, for a loaded machine; several threads and callers are then left out")
	flag.BoolVar(&q.memory, "memory", true, "measure resident memory, in processes of their own")
	flag.Float64Var(&q.tolerance, "tolerance", 1e-4, "greatest difference of outputs a and b, times 1+|b|, of rows that have no looser one")
	engines := flag.String("engines", strings.Join(slower(), ","), "recur's engines beyond the fastest with which operators and whole models are measured too, separated by commas")
	threads := flag.String("threads", "2", "numbers of threads beyond one, separated by commas")
	callers := flag.String("callers", "1,2,4", "numbers of callers side by side, separated by commas")
	flag.BoolVar(&q.json, "json", false, "print JSON in place of tables")
	flag.StringVar(&q.readme, "readme", "", "put the tables into this file, between the lines "+beginMark+" and "+endMark)
	flag.BoolVar(&q.onnxgo, "onnxgo", false, "measure onnx-go's own backend too, where it can run a row")
	flag.StringVar(&q.from, "from", "", "measure nothing: make the tables of this file, which -json wrote")
	flag.BoolVar(&q.smoke, "smoke", false, "a few small rows, measured in no time: does it all work?")
	flag.StringVar(&q.child, "child", "", "what a process that this program starts is to run")
	flag.Parse()
	if flag.NArg() > 0 {
		return nil, fmt.Errorf("arguments that are no flags: %q", flag.Args())
	}
	q.effort.Slice = slice.Seconds()
	if q.smoke {
		q.effort = timing.Effort{Passes: 2, Slice: 0.001, Calls: 3}
		*callers = "2"
	}
	if q.cpu && !timing.HaveCPU {
		return nil, fmt.Errorf("-cpu: the processor time of a thread cannot be read here")
	}
	if q.effort.Passes < 1 {
		return nil, fmt.Errorf("-passes %d, want 1 or more", q.effort.Passes)
	}
	if q.cpu {
		*threads, *callers = "", ""
	}
	q.engines = strings.FieldsFunc(*engines, func(r rune) bool { return r == ',' })
	for _, e := range q.engines {
		if !slices.Contains(rt.Engines(), e) {
			return nil, fmt.Errorf("-engines: %q, want some of %s", e, strings.Join(rt.Engines(), ", "))
		}
	}
	var err error
	if q.threads, err = integers(*threads); err != nil {
		return nil, fmt.Errorf("-threads: %w", err)
	}
	if q.callers, err = integers(*callers); err != nil {
		return nil, fmt.Errorf("-callers: %w", err)
	}
	q.rows, err = regexp.Compile("^(?:" + *pattern + ")$")
	return q, err
}

// slower gives the engines of vector code that this machine has beside the fastest.
func slower() []string {
	return slices.DeleteFunc(rt.Engines()[1:], func(e string) bool { return e == "go" })
}

// integers reads a list of positive numbers.
func integers(list string) ([]int, error) {
	var out []int
	for _, f := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' }) {
		n, err := strconv.Atoi(f)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is no positive number", f)
		}
		out = append(out, n)
	}
	return out, nil
}

func compare() error {
	q, err := parse()
	if err != nil {
		return err
	}
	if q.child != "" {
		return child(q.child)
	}
	if q.from != "" {
		return q.again()
	}
	rows := q.selected()
	if q.list {
		for _, row := range rows {
			fmt.Println(row.Name)
		}
		return nil
	}
	if len(rows) == 0 {
		return fmt.Errorf("no row's name matches -rows (-list lists them)")
	}
	if err := ort.Init(q.library); err != nil {
		return err
	}
	r := newReport(&q.config)
	if err := q.measureAll(r, rows); err != nil {
		return err
	}
	return q.write(r)
}

// again writes a report of an earlier run.
func (q *request) again() error {
	data, err := os.ReadFile(q.from)
	if err != nil {
		return err
	}
	r := &report{}
	if err := json.Unmarshal(data, r); err != nil {
		return fmt.Errorf("%s: %w", q.from, err)
	}
	return q.write(r)
}

// write writes a report where and as the command line says.
func (q *request) write(r *report) error {
	if q.readme != "" {
		if err := rewrite(q.readme, r.markdown()); err != nil {
			return err
		}
	}
	if q.json {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", " ")
		return e.Encode(r)
	}
	if q.readme != "" {
		return nil
	}
	_, err := fmt.Print(r.markdown())
	return err
}

func (q *request) selected() []*bench.Row {
	var rows []*bench.Row
	for _, row := range bench.Rows(q.corpus) {
		if q.rows.MatchString(row.Name) && (!q.smoke || row.Small) {
			rows = append(rows, row)
		}
	}
	return rows
}

// measureAll fills the report.
func (q *request) measureAll(r *report, rows []*bench.Row) error {
	var missing []string
	for _, row := range rows {
		runtime.LockOSThread()
		r.Peak = max(r.Peak, measurePeak(&q.config)*1e-9)
		x, err := measure(&q.config, row)
		runtime.UnlockOSThread()
		if bench.Missing(err) {
			missing = append(missing, row.Name)
			continue
		}
		if err := r.add(x, row, err); err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		r.Notes = append(r.Notes, "Left out, as their models are not there: "+strings.Join(missing, ", ")+".")
	}
	for _, engine := range q.engines {
		for _, row := range rows {
			if row.Group != bench.Operators && row.Group != bench.Models || bench.Missing(rowError(row)) {
				continue
			}
			runtime.LockOSThread()
			x, err := measureOther(&q.config, row, engine)
			runtime.UnlockOSThread()
			if err := r.add(x, row, err); err != nil {
				return err
			}
		}
	}
	if err := q.measureOnnxGo(r, rows); err != nil {
		return err
	}
	for _, row := range rows {
		if bench.Missing(rowError(row)) {
			continue
		}
		for _, n := range q.threads {
			if n > 1 && row.Threads {
				x, err := measureThreads(&q.config, row, n)
				if err := r.add(x, row, err); err != nil {
					return err
				}
			}
		}
		for _, n := range q.callers {
			if row.Callers || q.smoke {
				x, err := measureCallers(&q.config, row, n)
				if err := r.add(x, row, err); err != nil {
					return err
				}
			}
		}
	}
	for _, x := range r.Results {
		if r.Peak > 0 && x.Threads == 1 {
			x.OfPeak = x.GFLOPS / r.Peak
		}
	}
	return nil
}

func rowError(row *bench.Row) error {
	_, err := row.Model()
	return err
}

// add appends a result and says so on stderr.
func (r *report) add(x *result, row *bench.Row, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", row.Name, err)
	}
	r.Results = append(r.Results, x)
	fmt.Fprintf(os.Stderr, "%-40s recur %9s ms  ORT %9s ms  ORT/recur %5.2f (%.2f to %.2f)  %5.0f GFLOP/s  difference %.0e  allocs %d\n",
		x.label(), digits(x.Recur), digits(x.ORT), x.Ratio, x.Least, x.Most, x.GFLOPS, x.Difference, x.Allocs)
	return nil
}
