package main

import (
	"fmt"
	"runtime"

	"github.com/recur-ml/recur/bench"
	"github.com/recur-ml/recur/bench/internal/peak"
	"github.com/recur-ml/recur/bench/internal/timing"
)

// config is how to measure.
type config struct {
	effort    timing.Effort
	cpu       bool
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
	Name       string   `json:"name"`
	Group      string   `json:"group"`
	Labels     []string `json:"labels,omitempty"`
	Threads    int      `json:"threads"`
	Recur      float64  `json:"recur_ms"` // the median of the slices' medians
	ORT        float64  `json:"ort_ms"`
	Ratio      float64  `json:"ratio"` // ORT/recur, the median of the pairs
	Least      float64  `json:"ratio_min"`
	Most       float64  `json:"ratio_max"`
	GFLOPS     float64  `json:"gflops,omitempty"`
	OfPeak     float64  `json:"of_peak,omitempty"` // 0..1
	Difference float64  `json:"max_abs_difference"`
	Allocs     float64  `json:"allocs"`
	AllocBytes float64  `json:"alloc_bytes"`
	RecurLoad  float64  `json:"recur_load_ms"`
	ORTLoad    float64  `json:"ort_load_ms"`
	RecurRSS   float64  `json:"recur_rss_mib,omitempty"`
	ORTRSS     float64  `json:"ort_rss_mib,omitempty"`
}

// measurePeak gives the operations a second that one core does at most.
func measurePeak(c *config) float64 {
	flop := peak.FLOP()
	if flop == 0 {
		return 0
	}
	e := timing.Effort{Passes: 1, Slice: 0.05, Calls: 20}
	return flop / e.Time(c.clock(), func() { peak.FLOP() })
}

// measure compares both engines on a row, in this process on one thread.
func measure(c *config, row *bench.Row, peak float64) (*result, error) {
	data, err := row.Model()
	if err != nil {
		return nil, err
	}
	s, err := newSubject(data, row.Inputs)
	if err != nil {
		return nil, err
	}
	ours, err := newRecur(s, 1)
	if err != nil {
		return nil, fmt.Errorf("recur: %w", err)
	}
	defer ours.close()
	theirs, err := newORT(s, 1)
	if err != nil {
		return nil, fmt.Errorf("ONNX Runtime: %w", err)
	}
	defer theirs.close()

	r := &result{Name: row.Name, Group: row.Group, Labels: row.Labels, Threads: 1,
		RecurLoad: ours.load.Seconds() * 1e3, ORTLoad: theirs.session.LoadTime.Seconds() * 1e3}
	if err := ours.run(); err != nil {
		return nil, fmt.Errorf("recur: %w", err)
	}
	if r.Difference, err = difference(s, ours, theirs, c.tolerance); err != nil {
		return nil, err
	}
	p := c.effort.Compare(c.clock(), must(ours.run), must(theirs.run))
	r.Recur, r.ORT = timing.Median(p.A)*1e3, timing.Median(p.B)*1e3
	r.Ratio, r.Least, r.Most = p.Ratio()
	if row.FLOP > 0 {
		r.GFLOPS = row.FLOP / r.Recur * 1e-6
		if peak > 0 {
			r.OfPeak = r.GFLOPS * 1e9 / peak
		}
	}
	r.Allocs, r.AllocBytes = allocations(must(ours.run))
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

// allocations counts what a call allocates in its steady state.
func allocations(f func()) (count, bytes float64) {
	const calls = 5
	f()
	var a, b runtime.MemStats
	runtime.ReadMemStats(&a)
	for range calls {
		f()
	}
	runtime.ReadMemStats(&b)
	return float64(b.Mallocs-a.Mallocs) / calls, float64(b.TotalAlloc-a.TotalAlloc) / calls
}
