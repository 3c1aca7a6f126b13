package ops

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// team lets several threads compute the panels of one strand, where there are
// too few rows to deal: each phase of a step is cut into shares of panels, and
// no phase begins before all shares of the one before are done.
//
// The first thread that comes leads: it walks the strand, and what others do
// not take of a phase it does by itself. It waits for shares that are being
// computed, never for a thread that has not come. The others help from when
// they are given a processor until the leader closes. A thread takes its own
// shares first, so that their weights stay in its cache.
//
// Who waits for longer than a phase takes waits for a thread that has no
// processor, often because a system that woke one of them put it where the
// other ran. It sleeps for a moment, which lets the other one go on, and
// begins anew wherever there is room. Where that happens often, others have
// the processors: the team breaks up, and none is formed for a while.
type team struct {
	led    atomic.Bool
	helped atomic.Bool // another thread came
	naps   atomic.Int64

	// state counts the phases that have begun, above a bit for each share of
	// the last that is taken. Who takes one may read the job, which holds
	// until the share is done. The two are read together: one cache line.
	_     [64]byte
	state atomic.Uint64
	job   job

	_    [64]byte
	done atomic.Uint64 // shares of all phases
	_    [64]byte
}

const (
	sharesMost = 16
	allTaken   = 1<<sharesMost - 1
	closed     = math.MaxUint64

	// patience is how often a thread looks, at some nanosecond each, whether
	// others have done their part, and once more for every so many
	// multiplications of the whole: longer than that takes.
	patience    = 1 << 14
	patienceFor = 64
	// nap is then the time between looks, and napsMost how often it may pass
	// before a run goes on without a team, or several runs in turn.
	nap      = 20 * time.Microsecond
	napsMost = 8
)

// shareWork is the number of multiplications of a phase that make a share,
// teamWork that of a run that make it worth while to wake a thread. Tests
// change them.
var (
	shareWork = 1 << 15
	teamWork  = 1 << 22
)

// open makes the team ready for a run.
func (t *team) open() {
	t.led.Store(false)
	t.helped.Store(false)
	t.naps.Store(0)
	t.state.Store(allTaken)
	t.done.Store(0)
}

// begin begins a phase, of which the leader takes shares, and gives its number.
func (t *team) begin(j job, shares uint64) uint64 {
	phase := t.state.Load()>>sharesMost + 1
	t.job = j
	t.state.Store(phase<<sharesMost | shares)
	return phase
}

// take takes free shares of the phase: the caller's own, or else one of some.
// It gives 0 when there is none, and reports whether another phase may come.
func (t *team) take(own, some uint64) (shares uint64, more bool) {
	for {
		state := t.state.Load()
		if shares = own &^ state; shares == 0 {
			shares = some &^ state
			shares &= -shares
		}
		if shares == 0 || t.state.CompareAndSwap(state, state|shares) {
			return shares, state != closed
		}
	}
}

// cut chooses the shares of a run, 1 or less where a team does not pay: where
// there are several units to deal, or the cell looks across all units.
func (r *recurrentRun[T]) cut() int {
	w, rows := r.weights, min(dealt, r.size[dimB])
	if r.quantizing || r.directions()*r.units != 1 || rows*r.size[dimT]*w.work() < teamWork || resting.now() {
		return 1
	}
	least := math.MaxInt // of the phases
	for i := range r.form.products[1:] {
		least = min(least, r.multiplications(1+i, rows))
	}
	shares := min(sharesMost, w.panels, least/shareWork)
	if shares < 2 {
		return 1
	}
	r.perShare = (w.panels + shares - 1) / shares
	return (w.panels + r.perShare - 1) / r.perShare
}

// multiplications counts those of product k for some rows.
func (r *recurrentRun[T]) multiplications(k, rows int) int {
	p := &r.form.products[k]
	return rows * p.depth(&r.size) * len(p.gates) * r.weights.lanes * r.weights.panels
}

// wait is one wait of a thread for others: how many looks are left.
type wait int

// newWait begins a wait in the job.
func (s *strand[T]) newWait() wait {
	return wait(patience + s.multiplications(1+s.phase, s.n)/patienceFor)
}

// again passes the time between two looks. It reports whether it is worth
// while to go on.
func (w *wait) again(t *team) bool {
	if *w > 0 {
		*w--
		return true
	}
	time.Sleep(nap)
	return t.naps.Add(1) < napsMost
}

// loss is what a run counts for that lost time with the team, in naps.
func (t *team) loss() int64 {
	if !t.helped.Load() { // but a thread was woken, and must be waited for
		return napsMost / 2
	}
	return t.naps.Load()
}

// meet is what each thread of a team does; shares lo..hi-1 are its own.
func (r *recurrentRun[T]) meet(lo, hi int) {
	own := uint64(1)<<hi - uint64(1)<<lo
	if !r.team.led.CompareAndSwap(false, true) {
		r.help(own)
		return
	}
	defer r.team.state.Store(closed)
	s := r.strand(0, 0, 1)
	if hi-lo < r.shares {
		s.team, s.own = r.team, own
	}
	r.told = s
	s.walk()
	if s.own != 0 {
		resting.count(r.team.loss())
	}
}

// help computes shares until the leader closes.
func (r *recurrentRun[T]) help(own uint64) {
	r.team.helped.Store(true)
	var s strand[T]
	all := uint64(1)<<r.shares - 1
	// The leader may be at all of a block's product with W, alone.
	alone := r.multiplications(0, r.block*min(dealt, r.size[dimB]))
	for w := wait(patience + alone/patienceFor); w.again(r.team); {
		shares, more := r.team.take(own, all)
		if !more {
			return
		}
		if shares != 0 {
			if s.team == nil {
				s = r.told
			}
			s.help(shares)
			w = s.newWait()
		}
	}
}

// help computes shares that a helper took. Where it stops, since the run was
// cancelled, the leader will find that out by itself.
func (s *strand[T]) help(shares uint64) {
	defer s.team.done.Add(uint64(bits.OnesCount64(shares))) // in a panic too: the leader waits for it
	if s.turned != s.team.job.turned {
		s.h, s.next = s.next, s.h
	}
	s.job = s.team.job
	s.computeShares(shares)
}

// together is compute with a team.
func (s *strand[T]) together() bool {
	t, all := s.team, uint64(1)<<s.shares-1
	own := all
	if t.helped.Load() {
		own = s.own
	}
	total := t.begin(s.job, own) * uint64(s.shares)
	for shares := own; shares != 0; shares, _ = t.take(0, all) {
		if !s.computeShares(shares) {
			return false
		}
		s.computed += uint64(bits.OnesCount64(shares))
	}
	for w := s.newWait(); s.computed+t.done.Load() < total; {
		w.again(t)
	}
	if t.naps.Load() >= napsMost {
		t.state.Store(closed)
		s.team = nil
	}
	return true
}

// computeShares computes shares, runs of neighbours at a time.
func (s *strand[T]) computeShares(shares uint64) bool {
	for shares != 0 {
		lo := bits.TrailingZeros64(shares)
		hi := lo + bits.TrailingZeros64(^(shares >> lo))
		if !s.part(lo*s.perShare, min(hi*s.perShare, s.weights.panels)) {
			return false
		}
		shares &^= uint64(1)<<hi - 1
	}
	return true
}

// lull is the time for which no team forms after runs whose threads napped
// often: processors are wanted by others. It doubles each time, and shrinks
// with each run that went well.
type lull struct {
	until, length atomic.Int64 // nanoseconds, until is since the start of the process
	naps          atomic.Int64 // of late
}

const lullLeast, lullMost = time.Millisecond, time.Second / 4

var (
	resting lull
	started = time.Now()
)

// now reports whether it is such a time.
func (l *lull) now() bool {
	until := l.until.Load()
	return until != 0 && int64(time.Since(started)) < until
}

// count takes note of a run.
func (l *lull) count(naps int64) {
	length := l.length.Load()
	switch {
	case naps == 0:
		if l.naps.Load() > 0 {
			l.naps.Add(-1)
		}
		l.length.Store(length - length/8)
	case l.naps.Add(naps) >= napsMost:
		length = min(max(2*length, int64(lullLeast)), int64(lullMost))
		l.naps.Store(0)
		l.length.Store(length)
		l.until.Store(int64(time.Since(started)) + length)
	}
}
