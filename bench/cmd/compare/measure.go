package main

import (
	"fmt"
	"runtime"

	"github.com/recur-ml/recur/bench"
	"github.com/recur-ml/recur/bench/internal/peak"
	"github.com/recur-ml/recur/bench/internal/timing"
	rt "github.com/recur-ml/recur/runtime"
)

// config is how to measure.
type config struct {
	effort    timing.Effort
	cpu       bool
	memory    bool
	tolerance float64
	library   string
}

func (c *config) clock() timing.Clock {
	if c.cpu {
		return timing.CPU
	}
	return timing.Wall
}

// result is a measured row.
type result struct {
	Name       string  `json:"name"`
	Model      string  `json:"model,omitempty"` // where the name does not tell
	Group      string  `json:"group"`
	Engine     string  `json:"engine,omitempty"` // of recur, where it is not the fastest
	Threads    int     `json:"threads"`
	Callers    int     `json:"callers,omitempty"`
	Recur      float64 `json:"recur_ms"` // the median of the slices' medians
	ORT        float64 `json:"ort_ms"`
	Ratio      float64 `json:"ratio"` // ORT/recur, the median of the pairs of slices
	Least      float64 `json:"ratio_min"`
	Most       float64 `json:"ratio_max"`
	FLOP       float64 `json:"flop,omitempty"`
	GFLOPS     float64 `json:"gflops,omitempty"`
	OfPeak     float64 `json:"of_peak,omitempty"` // 0 to 1
	Difference float64 `json:"max_abs_difference"`
	Allocs     uint64  `json:"allocs"` // of recur, a run
	AllocBytes uint64  `json:"alloc_bytes"`
	RecurLoad  float64 `json:"recur_load_ms,omitempty"`
	ORTLoad    float64 `json:"ort_load_ms,omitempty"`
	RecurRSS   float64 `json:"recur_rss_mib,omitempty"`
	ORTRSS     float64 `json:"ort_rss_mib,omitempty"`
	OnnxGo     float64 `json:"onnxgo_ms,omitempty"`
}

// The groups of results beyond those of the rows.
const (
	enginesGroup = "engines"
	threadsGroup = "threads"
	callersGroup = "callers"
)

func (r *result) set(p timing.Pair) {
	r.Recur, r.ORT = timing.Median(p.A)*1e3, timing.Median(p.B)*1e3
	r.Ratio, r.Least, r.Most = p.Ratio()
	if r.FLOP > 0 {
		r.GFLOPS = r.FLOP / r.Recur * 1e-6
	}
}

// measurePeak gives the operations a second that one core does at most.
func measurePeak(c *config) float64 {
	flop := peak.FLOP()
	if flop == 0 {
		return 0
	}
	return flop / timing.Effort{Slice: 0.02, Calls: 5}.Time(c.clock(), func() { peak.FLOP() })
}

// loadBoth loads a row's model into recur, with the engine of that name, and into
// ONNX Runtime, on one thread, and runs it.
func loadBoth(row *bench.Row, engine string) (*subject, *recurEngine, *ortEngine, error) {
	data, err := row.Model()
	if err != nil {
		return nil, nil, nil, err
	}
	s, err := newSubject(data, row)
	if err != nil {
		return nil, nil, nil, err
	}
	ours, err := newRecur(s, 1, engine)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("recur: %w", err)
	}
	theirs, err := newORT(s, 1)
	if err != nil {
		ours.close()
		return nil, nil, nil, fmt.Errorf("ONNX Runtime: %w", err)
	}
	return s, ours, theirs, nil
}

// measure compares both engines on a row, in this process on one thread.
func measure(c *config, row *bench.Row) (*result, error) {
	r, s, err := measureEngine(c, row, rt.Engines()[0])
	if err != nil {
		return nil, err
	}
	if r.RecurLoad, r.ORTLoad, err = loadTimes(s); err != nil {
		return nil, err
	}
	if c.memory && row.Group != bench.Growth {
		return r, measureMemory(c, s, r)
	}
	return r, nil
}

// measureOther is measure with another engine than the fastest: of its runs
// alone.
func measureOther(c *config, row *bench.Row, engine string) (*result, error) {
	r, _, err := measureEngine(c, row, engine)
	if err != nil {
		return nil, err
	}
	r.Group, r.Engine = enginesGroup, engine
	return r, nil
}

// measureEngine compares the runs of recur, with the engine of that name, with
// ONNX Runtime's.
func measureEngine(c *config, row *bench.Row, engine string) (*result, *subject, error) {
	s, ours, theirs, err := loadBoth(row, engine)
	if err != nil {
		return nil, nil, err
	}
	defer ours.close()
	defer theirs.close()
	r := &result{Name: row.Name, Model: row.What, Group: row.Group, Threads: 1, FLOP: row.FLOP}
	if err := ours.run(); err != nil { // into tensors that are there already
		return nil, nil, fmt.Errorf("recur: %w", err)
	}
	if r.Difference, err = difference(s, ours, theirs, max(c.tolerance, row.Tolerance)); err != nil {
		return nil, nil, err
	}
	r.set(c.effort.Compare(c.clock(), must(ours.run), must(theirs.run)))
	r.Allocs, r.AllocBytes = allocations(must(ours.run))
	return r, s, nil
}

// loadTimes gives the milliseconds in which each engine loads the model again,
// the median of a few.
func loadTimes(s *subject) (ours, theirs float64, err error) {
	const times = 3
	var a, b []float64
	for range times {
		x, err := newRecur(s, 1, rt.Engines()[0])
		if err != nil {
			return 0, 0, err
		}
		a = append(a, x.load.Seconds()*1e3)
		x.close()
		y, err := newORT(s, 1)
		if err != nil {
			return 0, 0, err
		}
		b = append(b, y.session.LoadTime.Seconds()*1e3)
		y.close()
	}
	return timing.Median(a), timing.Median(b), nil
}

func measureMemory(c *config, s *subject, r *result) error {
	f, err := newFamily(s)
	if err != nil {
		return err
	}
	defer f.remove()
	ours, err := f.run("recur", c.library, 1, 0)
	if err != nil {
		return err
	}
	theirs, err := f.run("ort", c.library, 1, 0)
	if err != nil {
		return err
	}
	r.RecurRSS, r.ORTRSS = ours.RSS, theirs.RSS
	return nil
}

// measureThreads compares both engines on several threads, each slice in a
// process of its own: a thread pool that waits by spinning would take a core
// from the other engine.
func measureThreads(c *config, row *bench.Row, threads int) (*result, error) {
	data, err := row.Model()
	if err != nil {
		return nil, err
	}
	s, err := newSubject(data, row)
	if err != nil {
		return nil, err
	}
	f, err := newFamily(s)
	if err != nil {
		return nil, err
	}
	defer f.remove()
	var p timing.Pair
	slice := 5 * c.effort.Slice
	for range min(c.effort.Passes, 5) {
		ours, err := f.run("recur", c.library, threads, slice)
		if err != nil {
			return nil, err
		}
		theirs, err := f.run("ort", c.library, threads, slice)
		if err != nil {
			return nil, err
		}
		p.A, p.B = append(p.A, ours.MS*1e-3), append(p.B, theirs.MS*1e-3)
	}
	r := &result{Name: row.Name, Group: threadsGroup, Threads: threads, FLOP: row.FLOP}
	r.set(p)
	return r, nil
}

// must makes a function of a run that has succeeded before.
func must(run func() error) func() {
	return func() {
		if err := run(); err != nil {
			panic(err)
		}
	}
}

// allocations counts what a call allocates in its steady state: the least of a
// few calls, as the garbage collector may take what is kept between them.
func allocations(f func()) (count, bytes uint64) {
	const calls = 4
	for i := range calls {
		var a, b runtime.MemStats
		runtime.ReadMemStats(&a)
		f()
		runtime.ReadMemStats(&b)
		if n := b.Mallocs - a.Mallocs; i == 0 || n < count {
			count, bytes = n, b.TotalAlloc-a.TotalAlloc
		}
	}
	return count, bytes
}
