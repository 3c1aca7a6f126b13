// Command compare runs the same models on recur and on ONNX Runtime, in one
// process, and writes a table.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"time"

	"github.com/recur-ml/recur/bench"
	"github.com/recur-ml/recur/bench/internal/ort"
	"github.com/recur-ml/recur/bench/internal/timing"
)

func main() {
	if err := compare(); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func compare() error {
	c := &config{effort: timing.Effort{Calls: 3}}
	pattern := flag.String("rows", ".*", "regular expression that whole names of rows match")
	flag.StringVar(&c.library, "lib", os.Getenv("ORT_LIB"), "ONNX Runtime's shared library (or ORT_LIB)")
	corpus := flag.String("corpus", os.Getenv("RECUR_CORPUS"), "folder of models of others (or RECUR_CORPUS)")
	flag.IntVar(&c.effort.Passes, "passes", 7, "pairs of slices of each row")
	slice := flag.Duration("slice", 40*time.Millisecond, "shortest slice")
	flag.BoolVar(&c.cpu, "cpu", false, "measure processor time of the thread in place of time that passes, for a loaded machine")
	flag.Float64Var(&c.tolerance, "tolerance", 1e-4, "greatest difference of outputs a and b, times 1+|b|")
	flag.Parse()
	c.effort.Slice = slice.Seconds()
	wanted, err := regexp.Compile("^(?:" + *pattern + ")$")
	if err != nil {
		return err
	}
	if err := ort.Init(c.library); err != nil {
		return err
	}
	runtime.LockOSThread()
	peak := measurePeak(c)
	fmt.Printf("ONNX Runtime %s, peak %.1f GFLOP/s\n", ort.Version(), peak*1e-9)
	for _, row := range bench.Rows(*corpus) {
		if !wanted.MatchString(row.Name) {
			continue
		}
		r, err := measure(c, row, peak)
		if err != nil {
			return fmt.Errorf("%s: %w", row.Name, err)
		}
		fmt.Printf("%-36s recur %9.4f ms  ORT %9.4f ms  ratio %5.2f (%.2f to %.2f) %7.1f GF/s %3.0f%%  diff %.1e  allocs %.1f\n", r.Name, r.Recur, r.ORT, r.Ratio, r.Least, r.Most, r.GFLOPS, r.OfPeak*100, r.Difference, r.Allocs)
	}
	return nil
}
