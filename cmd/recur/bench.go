package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

const benchHelp = `Bench runs a model again and again and prints how long a run takes: least, mean
and percentiles; how many runs a second there are; what a run allocates; and
which operators the time goes to.

Inputs that are not given by -i (see recur run --help) are made from --seed:
floating-point elements in [-1, 1), integers in [0, 4), the lengths of a
recurrent operator full. A dimension of unknown size is 1 unless --shape says
otherwise, by input (--shape x=1,512) or by the dimension's name (--shape
batch=4). Outputs are computed into memory that is allocated before.

Runs of the first --warmup are not counted. With --concurrency N, N callers
share the session; then a latency is what one of them sees, and the throughput
is that of all. A percentile is the least latency that at least that part of the
runs does not exceed. The profile is taken in runs of its own, in a quarter of
--duration, so that it does not disturb the latencies; --no-profile leaves them
out. --pprof FILE writes where the processor's time goes, for "go tool pprof".`

type benchFlags struct {
	runFlags    // shapes, inputs, seed, cast, json, and those of a load
	engine      string
	duration    time.Duration
	warmup      time.Duration
	concurrency int
	noProfile   bool
}

func (c *cli) benchCommand() *cobra.Command {
	f := &benchFlags{}
	cmd := &cobra.Command{
		Use:   "bench MODEL",
		Short: "Measure how fast a model runs",
		Long:  benchHelp,
		Example: `  recur bench model.onnx --threads 1
  recur bench vad.onnx --shape input=1,512 -i sr=16000 --duration 10s
  recur bench model.onnx --shape batch=32 --concurrency 4 --json`,
		Args:              exactly(1, "one MODEL"),
		ValidArgsFunction: completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.bench(cmd.Context(), args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&f.duration, "duration", 3*time.Second, "how long to measure")
	flags.DurationVar(&f.warmup, "warmup", 200*time.Millisecond, "how long to run before")
	flags.IntVar(&f.concurrency, "concurrency", 1, "callers at a time")
	flags.StringArrayVar(&f.shapes, "shape", nil, "shape of an input, x=1,512, or size of a dimension, batch=4 (repeatable)")
	flags.StringArrayVarP(&f.inputs, "input", "i", nil, "an input, NAME=FILE or NAME=JSON (repeatable)")
	flags.BoolVar(&f.cast, "cast", false, "convert the inputs' element types to what the model wants")
	flags.Uint64Var(&f.seed, "seed", 1, "of the inputs that are not given")
	flags.StringVar(&f.engine, "engine", "", "of "+strings.Join(rt.Engines(), ", ")+" (default: the first)")
	flags.BoolVar(&f.json, "json", false, "print JSON")
	flags.BoolVar(&f.noProfile, "no-profile", false, "do not measure the operators")
	flags.StringVar(&f.pprof, "pprof", "", "write a CPU profile of the measured runs to this file")
	f.add(flags)
	return cmd
}

// benchReport is what recur bench tells. Times are of runs that were measured,
// one after the other or, with several callers, as each of them sees it.
type benchReport struct {
	header
	Model       string       `json:"model"`
	Engine      string       `json:"engine"`
	Threads     int          `json:"threads"`
	Concurrency int          `json:"concurrency"`
	Inputs      []benchInput `json:"inputs"`
	LoadMS      float64      `json:"load_ms"`
	FirstMS     float64      `json:"first_ms"` // the first run, which makes its memory
	Runs        int          `json:"runs"`
	Seconds     float64      `json:"seconds"`
	Throughput  float64      `json:"throughput"` // runs a second
	latencies
	Allocs     uint64         `json:"allocs"` // of a run, in the steady state
	AllocBytes uint64         `json:"alloc_bytes"`
	PeakBytes  int64          `json:"peak_resident_bytes,omitempty"` // of this process up to the end of the measured runs
	Profile    *profileReport `json:"profile,omitempty"`
}

type benchInput struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Shape []int  `json:"shape,omitzero"` // [] of a scalar, not there of what is no tensor
}

// latencies sums up the times of runs, in milliseconds.
type latencies struct {
	Min  float64 `json:"min_ms"`
	Mean float64 `json:"mean_ms"`
	P50  float64 `json:"p50_ms"`
	P90  float64 `json:"p90_ms"`
	P95  float64 `json:"p95_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p999_ms"`
	Max  float64 `json:"max_ms"`
}

// summarize sorts the times, of which there is at least one.
func summarize(times []time.Duration) latencies {
	slices.Sort(times)
	var sum time.Duration
	for _, t := range times {
		sum += t
	}
	at := func(permille int) float64 { return milliseconds(percentile(times, permille)) }
	return latencies{Min: milliseconds(times[0]), Mean: milliseconds(sum) / float64(len(times)), P50: at(500), P90: at(900), P95: at(950),
		P99: at(990), P999: at(999), Max: milliseconds(times[len(times)-1])}
}

// percentile gives the least of the sorted values that at least permille
// thousandths of them do not exceed.
func percentile(sorted []time.Duration, permille int) time.Duration {
	rank := (len(sorted)*permille + 999) / 1000
	return sorted[max(rank, 1)-1]
}

func (c *cli) bench(ctx context.Context, path string, f *benchFlags) error {
	if f.duration <= 0 || f.warmup < 0 {
		return usagef("--duration %v, --warmup %v: want more than no time, and no less", f.duration, f.warmup)
	}
	if f.concurrency < 1 {
		return usagef("--concurrency %d, want 1 or more", f.concurrency)
	}
	if f.engine != "" && !slices.Contains(rt.Engines(), f.engine) {
		return hintf("--engine %q: there is %s", f.engine, quotedList(rt.Engines()))
	}
	opts, err := f.options()
	if err != nil {
		return err
	}
	opts = append(opts, rt.WithEngine(f.engine))
	start := time.Now()
	m, err := c.decode(path, f.limits())
	if err != nil {
		return err
	}
	s, err := rt.LoadModel(m, opts...)
	if err != nil {
		return err
	}
	defer s.Close()
	r := &benchReport{header: headerOf("bench"), Model: path, Engine: f.engine, Threads: f.threads, Concurrency: f.concurrency,
		LoadMS: milliseconds(time.Since(start))}
	if r.Engine == "" {
		r.Engine = rt.Engines()[0]
	}
	if r.Threads == 0 {
		r.Threads = goruntime.GOMAXPROCS(0)
	}
	in, err := c.gatherInputs(s, nil, &f.runFlags, true)
	if err != nil {
		return err
	}
	r.describe(s, in)
	callers, err := r.start(ctx, s, in)
	if err != nil {
		return err
	}
	if err := r.measure(ctx, callers, f); err != nil {
		return err
	}
	if !f.noProfile {
		if r.Profile, err = profileRuns(ctx, m, in, f, opts); err != nil {
			return err
		}
	}
	if f.json {
		return writeJSON(c.out, r)
	}
	return c.printBench(r)
}

// describe lists the inputs as they are run.
func (r *benchReport) describe(s *rt.Session, in onnx.Values) {
	for _, info := range s.Inputs() {
		b := benchInput{Name: info.Name, Type: in[info.Name].Type().Name()}
		if t, ok := in[info.Name].(*onnx.Tensor); ok {
			b.Shape = t.Shape()
		}
		r.Inputs = append(r.Inputs, b)
	}
}

// caller runs the session on inputs that are shared, with outputs of its own.
type caller struct {
	session *rt.Session
	in, out onnx.Values
}

func (k *caller) run(ctx context.Context) error { return k.session.RunInto(ctx, k.in, k.out) }

// start runs the model once for each caller, which makes its outputs.
func (r *benchReport) start(ctx context.Context, s *rt.Session, in onnx.Values) ([]*caller, error) {
	callers := make([]*caller, r.Concurrency)
	for i := range callers {
		start := time.Now()
		out, err := s.Run(ctx, in)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			r.FirstMS = milliseconds(time.Since(start))
		}
		callers[i] = &caller{s, in, out}
	}
	return callers, nil
}

// measure runs the callers side by side.
func (r *benchReport) measure(ctx context.Context, callers []*caller, f *benchFlags) error {
	if _, _, err := runAll(ctx, callers, f.warmup); err != nil {
		return err
	}
	if err := r.allocations(ctx, callers[0], f.duration); err != nil {
		return err
	}
	return withPprof(f.pprof, func() error {
		times, took, err := runAll(ctx, callers, f.duration)
		if err != nil {
			return err
		}
		r.Runs, r.Seconds, r.Throughput = len(times), took.Seconds(), float64(len(times))/took.Seconds()
		r.latencies = summarize(times)
		r.PeakBytes = peakResident()
		return nil
	})
}

// runAll lets every caller run for a time, at least once. It gives the time of
// each run and what all took together.
func runAll(ctx context.Context, callers []*caller, d time.Duration) (times []time.Duration, took time.Duration, err error) {
	lists, failed := make([][]time.Duration, len(callers)), make([]error, len(callers))
	var wait sync.WaitGroup
	start := time.Now()
	for i, k := range callers {
		wait.Go(func() {
			for len(lists[i]) == 0 || time.Since(start) < d {
				began := time.Now()
				if failed[i] = k.run(ctx); failed[i] != nil {
					return
				}
				lists[i] = append(lists[i], time.Since(began))
			}
		})
	}
	wait.Wait()
	return slices.Concat(lists...), time.Since(start), errors.Join(failed...)
}

// allocations counts what a run allocates once its memory is there: the least of
// a few runs, as what others in the process allocate is counted too, and the
// garbage collector may take the memory that is kept between runs.
func (r *benchReport) allocations(ctx context.Context, k *caller, most time.Duration) error {
	const runs = 5
	start := time.Now()
	for i := 0; i < runs && (i == 0 || time.Since(start) < most); i++ {
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		if err := k.run(ctx); err != nil {
			return err
		}
		goruntime.ReadMemStats(&after)
		if n := after.Mallocs - before.Mallocs; i == 0 || n < r.Allocs {
			r.Allocs, r.AllocBytes = n, after.TotalAlloc-before.TotalAlloc
		}
	}
	return nil
}

// profileRuns measures the operators in a session of its own.
func profileRuns(ctx context.Context, m *onnx.Model, in onnx.Values, f *benchFlags, opts []rt.Option) (*profileReport, error) {
	p := &rt.Profile{}
	s, err := rt.LoadModel(m, append(slices.Clone(opts), rt.WithProfile(p))...)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	out, err := s.Run(ctx, in)
	if err != nil {
		return nil, err
	}
	one := []*caller{{s, in, out}}
	if _, _, err := runAll(ctx, one, f.warmup/4); err != nil {
		return nil, err
	}
	p.Reset()
	times, _, err := runAll(ctx, one, f.duration/4)
	if err != nil {
		return nil, err
	}
	return reportProfile(p, len(times)), nil
}

// peakResident is the most memory that this process has held, in bytes; 0 where
// the system does not tell.
func peakResident() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// printBench writes a report for people.
func (c *cli) printBench(r *benchReport) error {
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "model\t%s\n", clean(r.Model))
	fmt.Fprintf(w, "engine\t%s, threads %d, callers %d\n", r.Engine, r.Threads, r.Concurrency)
	for _, in := range r.Inputs {
		shape := ""
		if in.Shape != nil {
			shape = fmt.Sprint(" ", in.Shape)
		}
		fmt.Fprintf(w, "input\t%s  %s%s\n", clean(in.Name), in.Type, shape)
	}
	fmt.Fprintf(w, "load\t%.2f ms, first run %.4g ms\n", r.LoadMS, r.FirstMS)
	fmt.Fprintf(w, "runs\t%d in %.2f s\n", r.Runs, r.Seconds)
	fmt.Fprintf(w, "throughput\t%.5g runs/s\n", r.Throughput)
	fmt.Fprintf(w, "latency\tmin %.4g ms  mean %.4g  p50 %.4g  p90 %.4g  p95 %.4g  p99 %.4g  p99.9 %.4g  max %.4g\n",
		r.Min, r.Mean, r.P50, r.P90, r.P95, r.P99, r.P999, r.Max)
	fmt.Fprintf(w, "allocations\t%d a run, %s\n", r.Allocs, formatBytes(int64(r.AllocBytes)))
	if r.PeakBytes > 0 {
		fmt.Fprintf(w, "memory\t%s resident at most\n", formatBytes(r.PeakBytes))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if r.Profile == nil {
		return nil
	}
	fmt.Fprintln(c.out)
	return r.Profile.print(c.out)
}
