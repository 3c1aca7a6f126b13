package main

import (
	"sync"
	"time"

	"github.com/recur-ml/recur/bench"
	"github.com/recur-ml/recur/bench/internal/timing"
	rt "github.com/recur-ml/recur/runtime"
)

// measureCallers compares how many runs a second several callers of one session
// get, each run on one thread. The milliseconds of the result are those between
// two runs' ends.
func measureCallers(c *config, row *bench.Row, callers int) (*result, error) {
	s, ours, theirs, err := loadBoth(row, rt.Engines()[0])
	if err != nil {
		return nil, err
	}
	defer ours.close()
	defer theirs.close()
	r := &result{Name: row.Name, Group: callersGroup, Threads: 1, Callers: callers}
	if r.Difference, err = difference(s, ours, theirs, max(c.tolerance, row.Tolerance)); err != nil {
		return nil, err
	}
	a, b := []func(){must(ours.run)}, []func(){must(theirs.run)}
	for range callers - 1 {
		x, err := ours.another(s)
		if err != nil {
			return nil, err
		}
		y, err := theirs.another(s)
		if err != nil {
			return nil, err
		}
		defer y.call.Close()
		a, b = append(a, must(x.run)), append(b, must(y.run))
	}
	var p timing.Pair
	for range c.effort.Passes {
		p.A = append(p.A, secondsPerRun(a, c.effort.Slice))
		p.B = append(p.B, secondsPerRun(b, c.effort.Slice))
	}
	r.set(p)
	return r, nil
}

// secondsPerRun lets all callers run side by side for a slice.
func secondsPerRun(callers []func(), slice float64) float64 {
	counts := make([]int, len(callers))
	for _, run := range callers {
		run()
		run()
	}
	var wait sync.WaitGroup
	start := time.Now()
	for i, run := range callers {
		wait.Go(func() {
			for n := 0; n < 3 || time.Since(start).Seconds() < slice; n++ {
				run()
				counts[i]++
			}
		})
	}
	wait.Wait()
	took, runs := time.Since(start).Seconds(), 0
	for _, n := range counts {
		runs += n
	}
	return took / float64(runs)
}
