package runtime

import (
	"math/rand"
	"testing"
)

// TestLayout wants pieces that are in use at the same time apart, those whose
// memory a piece takes over listed, and a block that is little more than what is
// in use at most.
func TestLayout(t *testing.T) {
	rng := rand.New(rand.NewSource(3))
	worst := 0.0
	for range 300 {
		r := &recorder{open: map[*buffer]int{}}
		var held []*buffer
		sizes := map[*buffer]int{}
		live, most := 0, 0
		for range 1 + rng.Intn(120) {
			if len(held) > 0 && rng.Intn(9) < len(held) {
				i := rng.Intn(len(held))
				live -= sizes[held[i]]
				r.give(held[i])
				held[i] = held[len(held)-1]
				held = held[:len(held)-1]
				continue
			}
			b := &buffer{}
			n := rng.Intn(1 << (6 + rng.Intn(10)))
			r.take(b, n)
			sizes[b] = roundUp(n)
			live += roundUp(n)
			most = max(most, live)
			held = append(held, b)
		}
		for _, b := range held {
			r.give(b)
		}
		l := r.layout()
		if l == nil {
			t.Fatal("no layout")
		}
		for i, p := range l.pieces {
			if p.at%alignment != 0 || p.size%alignment != 0 || p.at+p.size > l.bytes {
				t.Fatalf("piece %d lies at %d to %d of %d", i, p.at, p.at+p.size, l.bytes)
			}
			for k, o := range l.pieces[:i] {
				over := p.at < o.at+o.size && o.at < p.at+p.size
				if over && r.spans[i].from <= r.spans[k].to && r.spans[k].from <= r.spans[i].to {
					t.Fatalf("pieces %d and %d are in use together, and lie over each other", k, i)
				}
			}
		}
		holdLonger(t, rng, l, r.spans)
		worst = max(worst, float64(l.bytes)/float64(most))
	}
	if worst > 1.5 {
		t.Errorf("a block of %.2f times what is in use at most", worst)
	}
}

// holdLonger takes the pieces of a layout in turn and gives back some of them
// later than the layout expects: none may be taken while another that shares its
// memory is held.
func holdLonger(t *testing.T, rng *rand.Rand, l *layout, spans []span) {
	t.Helper()
	p := places{layout: l, buffers: make([]buffer, len(l.pieces))}
	block := make([]byte, l.bytes)
	for i := range l.pieces {
		for k := range i {
			if spans[k].to < spans[i].from && rng.Intn(8) > 0 {
				p.buffers[k].refs = 0
			}
		}
		free := true
		for k, o := range l.pieces[:i] {
			free = free && (p.buffers[k].refs == 0 || l.pieces[i].at >= o.at+o.size || o.at >= l.pieces[i].at+l.pieces[i].size)
		}
		b := p.take(l.pieces[i].size, block)
		if b != nil != free {
			t.Fatalf("piece %d is taken: %v, its memory is free: %v", i, b != nil, free)
		}
		if b == nil {
			return
		}
	}
}

// TestLayoutLimits wants no layout of a run that took nothing, kept something, or
// took too much.
func TestLayoutLimits(t *testing.T) {
	r := &recorder{open: map[*buffer]int{}}
	if r.layout() != nil {
		t.Error("a layout of nothing")
	}
	b := &buffer{}
	r.take(b, 10)
	if r.layout() != nil {
		t.Error("a layout of what is in use for ever")
	}
	r.give(b)
	for range maxPlaces - 1 {
		r.take(b, 10)
		r.give(b)
	}
	if l := r.layout(); l == nil || l.bytes != alignment {
		t.Errorf("%v, want a block of one piece", l)
	}
	for range 2 {
		r.take(b, 10)
		r.give(b)
	}
	if r.layout() != nil {
		t.Error("a layout of too much")
	}
}

// TestPlacesTaken wants a piece only where it has the size that the layout says,
// and nobody has the memory.
func TestPlacesTaken(t *testing.T) {
	r, first, second := &recorder{open: map[*buffer]int{}}, &buffer{}, &buffer{}
	for _, b := range []*buffer{first, second} {
		r.take(b, 100)
		r.give(b)
	}
	v := &variant{}
	v.layout.Store(r.layout())
	for name, c := range map[string]struct {
		bytes int
		held  bool
		block bool
	}{
		"as recorded": {100, false, true}, "rounded": {128, false, true}, "another size": {129, false, false}, "while the first is held": {100, true, false},
	} {
		a, p := arena{budget: 1 << 20}, places{}
		a.begin(v, &p)
		x, err := a.get(100)
		if err != nil || x.class != placed {
			t.Fatal("the first piece is not in the block: ", err)
		}
		if !c.held {
			x.Release()
		}
		y, err := a.get(c.bytes)
		if err != nil {
			t.Fatal(err)
		}
		if got := y.class == placed; got != c.block {
			t.Errorf("%s: in the block: %v, want %v", name, got, c.block)
		}
		if c.held {
			x.Release()
		}
		y.Release()
		if a.live != 0 || a.lent != 0 {
			t.Errorf("%s: %d buffers and %d pieces are in use", name, a.live, a.lent)
		}
	}
}

// Block gives the bytes of the block of a run that is at rest, and those of its
// free buffers.
func Block(s *Session) (block, free int) {
	r := s.pool.get()
	defer s.pool.put(r)
	for _, list := range r.arena.free {
		for _, b := range list {
			free += len(b.data)
		}
	}
	return len(r.arena.block), free
}

// Layouts gives how many layouts the latest program of a session has had, and
// whether it has one.
func Layouts(s *Session) (made int, has bool) {
	v := s.variants.general
	if list := s.variants.list.Load(); list != nil {
		v = (*list)[len(*list)-1]
	}
	return int(v.layouts.Load()), v.layout.Load() != nil
}
