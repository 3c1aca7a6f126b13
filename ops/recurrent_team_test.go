package ops

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// dealing is an engine that cuts into as many parts as it has threads, and
// runs them at the same time. The caller's own is the last where late is set.
type dealing struct {
	*pooled
	threads int
	late    bool
	cancel  *atomic.Int64 // looks until the run is cancelled
}

func (e dealing) Parallel(n, _ int, f func(lo, hi int)) {
	size := (n + e.threads - 1) / e.threads
	var wg sync.WaitGroup
	for lo := size; lo < n; lo += size {
		wg.Go(func() { f(lo, min(lo+size, n)) })
		if e.late {
			runtime.Gosched()
		}
	}
	f(0, min(size, n))
	wg.Wait()
}

func (e dealing) Err() error {
	if e.cancel != nil && e.cancel.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// smallTeams lets teams form for the smallest runs.
func smallTeams() (restore func()) {
	share, team := shareWork, teamWork
	shareWork, teamWork = 1, 0
	return func() { shareWork, teamWork = share, team }
}

// teamNode is a node whose strand is cut, and its inputs.
func teamNode(op string, direction string, lbr, t, b, i, h int, ragged bool) (*onnx.Node, []onnx.Value) {
	attrs := []any{"hidden_size", h, "direction", direction}
	if op == "GRU" {
		attrs = append(attrs, "linear_before_reset", lbr)
	}
	outputs := 2
	if op == "LSTM" {
		outputs = 3
	}
	in := benchmarkInputs(op, t, b, i, h)
	if direction == "bidirectional" {
		for k := inW; k <= inB; k++ {
			one := tensorOf(in[k])
			two, _ := onnx.NewZeros(onnx.Float, append([]int{2}, one.Shape()[1:]...))
			copy(two.Bytes(), one.Bytes())
			copy(two.Bytes()[len(one.Bytes()):], one.Bytes())
			in[k] = two
		}
	}
	if ragged {
		lens, _ := onnx.NewZeros(onnx.Int32, []int{b})
		rng := rand.New(rand.NewPCG(4, 2))
		for k := range b {
			onnx.Elements[int32](lens)[k] = int32(1 + rng.IntN(t))
		}
		in = append(in, lens)
	}
	return node(op, outputs, attrs...), in
}

// teamCtx is a context of that engine, in no time of rest.
func teamCtx(e Engine) *Ctx {
	resting.until.Store(0)
	return NewCtx(e)
}

// forEachTeam runs a test for operators, rows, directions and lengths.
func forEachTeam(f func(what string, n *onnx.Node, in []onnx.Value, cut bool)) {
	for _, op := range []struct {
		name string
		lbr  int
	}{{"RNN", 0}, {"GRU", 0}, {"GRU", 1}, {"LSTM", 0}} {
		for _, b := range []int{1, 2, 3, 4, 7} {
			for _, direction := range []string{"forward", "reverse", "bidirectional"} {
				for _, ragged := range []bool{false, true} {
					n, in := teamNode(op.name, direction, op.lbr, 6, b, 5, 70, ragged)
					what := fmt.Sprintf("%s linear_before_reset %d %s B=%d ragged %v", op.name, op.lbr, direction, b, ragged)
					f(what, n, in, b <= dealt && direction != "bidirectional")
				}
			}
		}
	}
}

// TestRecurrentTeam: two, three and as many threads as there are shares give
// the bits that one gives, whoever leads.
func TestRecurrentTeam(t *testing.T) {
	defer smallTeams()()
	defer func(l Level) { testLevel = l }(testLevel)
	for _, testLevel = range Levels() {
		forEachTeam(func(what string, n *onnx.Node, in []onnx.Value, cut bool) {
			one := newRunner(t, n, 14, in, true).run(t, in)
			for _, threads := range []int{1, 2, 3, sharesMost} {
				r := newRunner(t, n, 14, in, true)
				r.c = teamCtx(dealing{pooled: &pooled{heap: r.e}, threads: threads, late: threads == 3})
				out := r.run(t, in)
				if formed := r.e.local.(*recurrentRun[float32]).team.state.Load() == closed; formed != cut {
					t.Errorf("%s at level %v, %d threads: cut %v", what, testLevel, threads, formed)
				}
				for i := range one {
					if string(tensorOf(out[i]).Bytes()) != string(tensorOf(one[i]).Bytes()) {
						t.Errorf("%s at level %v, %d threads: output %d: not the same bits", what, testLevel, threads, i)
					}
				}
			}
		})
	}
}

// TestRecurrentTeamCancel: a team stops, whoever sees that it must, and the
// next run on the same frame is whole.
func TestRecurrentTeamCancel(t *testing.T) {
	defer smallTeams()()
	n, in := teamNode("GRU", "forward", 0, 400, 3, 16, 128, false)
	r := newRunner(t, n, 14, in, true)
	want := r.run(t, in)
	for looks := range 9 {
		left := &atomic.Int64{}
		left.Store(int64(looks))
		pool := &pooled{heap: r.e}
		r.c = teamCtx(dealing{pooled: pool, threads: 2, cancel: left})
		r.c.Bind(make([]onnx.Value, 2))
		if err := r.k.Run(r.c, in, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("after %d looks: got %v, want context.Canceled", looks, err)
		}
		if left.Load() < -5 {
			t.Errorf("%d looks after the cancellation", -left.Load()-1)
		}
		r.c = teamCtx(dealing{pooled: &pooled{heap: r.e}, threads: 2})
		for i, got := range r.run(t, in) {
			if string(tensorOf(got).Bytes()) != string(tensorOf(want[i]).Bytes()) {
				t.Errorf("after %d looks: output %d: not the same bits", looks, i)
			}
		}
	}
}

// panicking is a cell that fails on a thread that helps.
type panicking struct {
	recurrentCell[float32]
	left *atomic.Int64
}

func (c panicking) point(phase int, p gatePanel[float32]) {
	if c.left.Add(-1) == 0 {
		panic("cell")
	}
	c.recurrentCell.point(phase, p)
}

// TestRecurrentTeamPanic: who fails leaves nobody waiting.
func TestRecurrentTeamPanic(t *testing.T) {
	defer smallTeams()()
	n, in := teamNode("LSTM", "forward", 0, 50, 1, 8, 64, false)
	for at := range 40 {
		r := newRunner(t, n, 14, in, true)
		left := &atomic.Int64{}
		left.Store(int64(1 + 5*at))
		core := r.k.(*recurrentKernel).single
		core.cells[0] = panicking{core.cells[0], left}
		r.c = teamCtx(catching{dealing{pooled: &pooled{heap: r.e}, threads: 2}})
		r.c.Bind(make([]onnx.Value, 3))
		if err := r.k.Run(r.c, in, nil); err != nil {
			t.Error(err)
		}
	}
}

// napping is a cell that finds the processors taken, and sees whether its team
// breaks up for it.
type napping struct {
	recurrentCell[float32]
	team    func() *team
	brokeUp *atomic.Bool
}

func (c napping) point(phase int, p gatePanel[float32]) {
	if t := c.team(); t.state.Load() == closed {
		c.brokeUp.Store(true)
	} else {
		t.naps.Store(napsMost)
	}
	c.recurrentCell.point(phase, p)
}

// TestRecurrentTeamBreaksUp: a run that lost its time with a team goes on
// without, in the same bits.
func TestRecurrentTeamBreaksUp(t *testing.T) {
	defer smallTeams()()
	n, in := teamNode("LSTM", "forward", 0, 30, 2, 8, 64, true)
	r := newRunner(t, n, 14, in, true)
	want := r.run(t, in)
	var brokeUp atomic.Bool
	core := r.k.(*recurrentKernel).single
	core.cells[0] = napping{core.cells[0], func() *team { return r.e.local.(*recurrentRun[float32]).team }, &brokeUp}
	r.c = teamCtx(dealing{pooled: &pooled{heap: r.e}, threads: 2})
	for i, got := range r.run(t, in) {
		if string(tensorOf(got).Bytes()) != string(tensorOf(want[i]).Bytes()) {
			t.Errorf("output %d: not the same bits", i)
		}
	}
	if !brokeUp.Load() {
		t.Error("the team did not break up")
	}
}

// TestRecurrentTeamQuantized: a cell that looks across all units is not cut.
func TestRecurrentTeamQuantized(t *testing.T) {
	defer smallTeams()()
	rng := rand.New(rand.NewPCG(8, 5))
	for i := range 12 {
		c := drawQuantized(rng, i&1 != 0, i&2 != 0, i&4 != 0)
		n, in := c.node()
		r := newRunner(t, n, 1, in, true)
		want := r.run(t, in)
		r.c = teamCtx(dealing{pooled: &pooled{heap: r.e}, threads: 2})
		for k, got := range r.run(t, in) {
			if string(tensorOf(got).Bytes()) != string(tensorOf(want[k]).Bytes()) {
				t.Errorf("%s, lens %v: output %d: not the same bits", c.direction, c.lens, k)
			}
		}
		if r.e.local.(*recurrentRun[float64]).team.state.Load() != 0 {
			t.Errorf("%s: a team formed", c.direction)
		}
	}
}

// catching is an engine that lets nothing go past a part.
type catching struct{ dealing }

func (e catching) Parallel(n, grain int, f func(lo, hi int)) {
	e.dealing.Parallel(n, grain, func(lo, hi int) {
		defer func() { _ = recover() }()
		f(lo, hi)
	})
}

// TestRecurrentTeamSleep: with one processor for all threads, each wait ends
// in sleep or in giving way, and the run in the same bits.
func TestRecurrentTeamSleep(t *testing.T) {
	defer smallTeams()()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	n, in := teamNode("GRU", "forward", 0, 100, 2, 16, 64, false)
	r := newRunner(t, n, 14, in, true)
	want := r.run(t, in)
	r.c = teamCtx(dealing{pooled: &pooled{heap: r.e}, threads: 3, late: true})
	for i, got := range r.run(t, in) {
		if string(tensorOf(got).Bytes()) != string(tensorOf(want[i]).Bytes()) {
			t.Errorf("output %d: not the same bits", i)
		}
	}
}

// serial is an engine that says it has two threads and runs one part after the
// other, the caller's last.
type serial struct{ *pooled }

func (serial) Parallel(n, _ int, f func(lo, hi int)) {
	f(n/2, n)
	f(0, n/2)
}

// TestRecurrentTeamAllocations: a team takes nothing from the garbage
// collector.
func TestRecurrentTeamAllocations(t *testing.T) {
	defer smallTeams()()
	for _, b := range []int{1, 2, 4} {
		n, in := teamNode("LSTM", "forward", 0, 6, b, 8, 64, b == 2)
		r := newRunner(t, n, 14, in, true)
		pool := &pooled{heap: r.e}
		r.c = teamCtx(serial{pool})
		r.c.Bind(make([]onnx.Value, 3))
		run := func() {
			pool.next = 0
			if err := r.k.Run(r.c, in, nil); err != nil {
				t.Fatal(err)
			}
		}
		run()
		if n := testing.AllocsPerRun(20, run); n != 0 {
			t.Errorf("B=%d: %v allocations a run", b, n)
		}
	}
}

// TestLull: runs that lose time keep teams from forming, each time for twice as
// long, and runs that go well forgive.
func TestLull(t *testing.T) {
	var r lull
	r.count(napsMost - 1)
	r.count(0)
	r.count(1)
	if r.now() {
		t.Error("a run that lost little was followed by rest")
	}
	last := int64(0)
	for range 12 {
		r.count(napsMost)
		if !r.now() {
			t.Fatal("a run that lost much was not followed by rest")
		}
		length := r.length.Load()
		if want := min(max(2*last, int64(lullLeast)), int64(lullMost)); length != want {
			t.Errorf("rest of %d ns after one of %d, want %d", length, last, want)
		}
		last = length
	}
	for range 50 {
		r.count(0)
	}
	if got := r.length.Load(); got > last/100 {
		t.Errorf("rest of %d ns after 50 runs that went well, was %d", got, last)
	}
	r.until.Store(1)
	if r.now() {
		t.Error("a rest does not end")
	}
}

// stopped is an engine whose second thread never gets a processor.
type stopped struct{ *pooled }

func (stopped) Parallel(n, _ int, f func(lo, hi int)) { f(0, n/2) }

// TestRecurrentTeamAlone: a leader to whom nobody comes computes everything,
// and after a few such runs there is no team.
func TestRecurrentTeamAlone(t *testing.T) {
	defer smallTeams()()
	n, in := teamNode("LSTM", "forward", 0, 12, 2, 16, 64, true)
	r := newRunner(t, n, 14, in, true)
	want := r.run(t, in)
	r.c = teamCtx(stopped{&pooled{heap: r.e}})
	for runs := 0; !resting.now(); runs++ {
		if runs > 2 {
			t.Fatal("teams still form after runs to which nobody came")
		}
		for i, got := range r.run(t, in) {
			if string(tensorOf(got).Bytes()) != string(tensorOf(want[i]).Bytes()) {
				t.Errorf("output %d: not the same bits", i)
			}
		}
	}
}

// BenchmarkRecurrentTeam is one row's strand on one thread and on two.
func BenchmarkRecurrentTeam(b *testing.B) {
	for _, h := range []int{256, 1024} {
		for threads := 1; threads <= 2; threads++ {
			b.Run(fmt.Sprintf("H%d/threads=%d", h, threads), func(b *testing.B) {
				n, in := teamNode("LSTM", "forward", 0, 100, 1, 128, h, false)
				r := newRunner(b, n, 14, in, true)
				pool := &pooled{heap: r.e}
				r.c = teamCtx(dealing{pooled: pool, threads: threads})
				r.c.Bind(make([]onnx.Value, 3))
				b.ReportAllocs()
				for b.Loop() {
					pool.next = 0
					if err := r.k.Run(r.c, in, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
