package runtime

import (
	"cmp"
	"slices"
)

// A program for certain shapes takes the same memory in every run, unless its
// course hangs on values. So one run writes down what it takes and when it gives
// it back, and later ones find a place for each piece in one block, in which
// pieces that are never needed at the same time lie over each other. A run that
// takes something else goes on with buffers of its own.

const (
	// maxPlaces is how many pieces of memory a run may take whose places are
	// planned.
	maxPlaces = 1024
	// maxLayouts is how often a program's layout is made anew when a run took
	// something else: the first runs of a kernel may make what later ones keep.
	maxLayouts = 3
)

// layout says where in a block each piece of memory lies that a run takes, in
// the order in which it takes them. It does not change.
type layout struct {
	pieces []piece
	bytes  int // of the block
}

type piece struct {
	size int // a multiple of alignment
	at   int
	// under lists pieces that were taken before and share some of the memory, the
	// last ones at each place: they must have been given back, as those before
	// them had been when they were taken.
	under []int32
}

// span is the time in which a piece is in use, counted in pieces that have been
// taken or given back.
type span struct{ from, to int }

// recorder writes down what a run takes.
type recorder struct {
	sizes []int
	spans []span
	open  map[*buffer]int // the piece that a buffer is
	clock int
}

func (r *recorder) take(b *buffer, bytes int) {
	if r.clock++; len(r.sizes) > maxPlaces {
		return
	}
	r.open[b] = len(r.sizes)
	r.sizes = append(r.sizes, roundUp(bytes))
	r.spans = append(r.spans, span{from: r.clock})
}

func (r *recorder) give(b *buffer) {
	r.clock++
	if i, ok := r.open[b]; ok {
		r.spans[i].to = r.clock
		delete(r.open, b)
	}
}

func roundUp(bytes int) int { return (max(bytes, 1) + alignment - 1) &^ (alignment - 1) }

// layout places the pieces, the largest first, each as low as it goes without
// touching one that is in use at the same time; nil where there is nothing to
// place, or too much.
func (r *recorder) layout() *layout {
	if len(r.sizes) == 0 || len(r.sizes) > maxPlaces || len(r.open) > 0 {
		return nil
	}
	l := &layout{pieces: make([]piece, len(r.sizes))}
	order := make([]int, len(r.sizes))
	for i, size := range r.sizes {
		order[i], l.pieces[i].size = i, size
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(r.sizes[b], r.sizes[a]) })
	var placed []int // by place
	for _, i := range order {
		at := 0
		for _, k := range placed {
			if r.spans[k].to < r.spans[i].from || r.spans[i].to < r.spans[k].from {
				continue
			}
			if other := &l.pieces[k]; at+r.sizes[i] > other.at {
				at = max(at, other.at+other.size)
			}
		}
		l.pieces[i].at = at
		l.bytes = max(l.bytes, at+r.sizes[i])
		next, _ := slices.BinarySearchFunc(placed, at, func(k, at int) int { return cmp.Compare(l.pieces[k].at, at) })
		placed = slices.Insert(placed, next, i)
	}
	for i := range l.pieces {
		l.pieces[i].under = l.last(i)
	}
	return l
}

// last finds the pieces that were the last ones before piece i in its memory.
func (l *layout) last(i int) (under []int32) {
	p := &l.pieces[i]
	open := [][2]int{{p.at, p.at + p.size}} // of which none is found yet
	for k := i - 1; k >= 0 && len(open) > 0; k-- {
		from, to := l.pieces[k].at, l.pieces[k].at+l.pieces[k].size
		var rest [][2]int
		found := false
		for _, o := range open {
			if to <= o[0] || o[1] <= from {
				rest = append(rest, o)
				continue
			}
			found = true
			if o[0] < from {
				rest = append(rest, [2]int{o[0], from})
			}
			if to < o[1] {
				rest = append(rest, [2]int{to, o[1]})
			}
		}
		if found {
			under, open = append(under, int32(k)), rest
		}
	}
	return under
}

// places are the pieces of a layout as buffers of an arena. They have no memory
// but while they are in use.
type places struct {
	layout  *layout
	buffers []buffer
	next    int // the piece that is taken next
}

// take gives the next piece, in a block, where it is of that size and nobody has
// the memory, else nil.
func (p *places) take(bytes int, block []byte) *buffer {
	if p.next == len(p.buffers) {
		return nil
	}
	piece, b := &p.layout.pieces[p.next], &p.buffers[p.next]
	if piece.size != roundUp(bytes) {
		return nil
	}
	for _, k := range piece.under {
		if p.buffers[k].refs != 0 {
			return nil
		}
	}
	p.next++
	b.refs = 1
	b.data = block[piece.at : piece.at+piece.size : piece.at+piece.size]
	return b
}

// begin prepares the arena for a run of a program: with the places of its layout,
// or to record one.
func (a *arena) begin(v *variant, p *places) {
	a.places, a.record = nil, nil
	l := v.layout.Load()
	if l == nil {
		if v.layouts.Load() < maxLayouts {
			a.record = &recorder{open: map[*buffer]int{}}
		}
		return
	}
	if !a.reserve(l.bytes) {
		return
	}
	if p.layout != l {
		p.layout, p.buffers = l, make([]buffer, len(l.pieces))
		for i := range p.buffers {
			p.buffers[i] = buffer{class: placed, arena: a}
		}
	}
	p.next = 0
	a.places = p
}

// refuseLayout lets all runs of a program take buffers from now on.
func (v *variant) refuseLayout() {
	v.layouts.Store(maxLayouts)
	v.layout.Store(nil)
}

// reserve makes the block at least so large, between two runs, and reports
// whether the budget allows it. The buffers that it stands for are let go of.
func (a *arena) reserve(bytes int) bool {
	if bytes <= len(a.block) {
		return true
	}
	a.trim()
	if a.charge(bytes) != nil {
		return false
	}
	a.block = alignedBytes(bytes)
	return true
}

// end lets go of what begin prepared, after a run that went well. A layout that
// did not fit is made anew, a few times.
func (a *arena) end(v *variant, p *places) {
	switch {
	case a.record != nil:
		v.layouts.Add(1)
		if l := a.record.layout(); l != nil {
			v.layout.CompareAndSwap(nil, l)
		}
	case a.places == nil && p.layout != nil && p.layout == v.layout.Load():
		v.layout.CompareAndSwap(p.layout, nil)
		*p = places{}
	}
	a.places, a.record = nil, nil
}
