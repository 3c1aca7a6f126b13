package main

import (
	"cmp"
	"math"
	"slices"
)

// The layout of a diagram: boxes in layers from top to bottom such that edges
// point down (longest path), ordered within a layer so that few edges cross
// (barycenters), and placed so that edges are straight where they can be
// (least squares). An edge that passes layers runs through points in them;
// edges of one source share these.

const (
	boxGap   = 22.0 // between boxes of a layer
	pointGap = 10.0 // between an edge that passes and what stands beside it
	layerGap = 34.0
	// stateRoom is what the ways of states take above and below a loop's body.
	stateRoom = 26.0
)

// stop is a box, or a point of a passing edge, in a layer.
type stop struct {
	box      *box // nil for a point
	layer    int
	order    int
	x        float64 // of the centre
	w        float64
	up, down []*stop
}

type layout struct {
	d      *diagram
	stops  map[*box]*stop
	layers [][]*stop
	passes map[*box][]*stop // the points of a source's long edges, by layer
}

// arrange sets the places of a diagram's boxes, and of all within them, the
// paths of its edges, and its size.
func (d *diagram) arrange() {
	for _, b := range d.boxes {
		b.measure()
	}
	if len(d.boxes) == 0 {
		return
	}
	l := &layout{d: d, stops: map[*box]*stop{}, passes: map[*box][]*stop{}}
	l.assignLayers()
	l.addPoints()
	l.orderLayers()
	l.placeStops()
	l.finish()
}

// assignLayers puts each box below all that it depends on, and those that
// depend on nothing right above what needs them.
func (l *layout) assignLayers() {
	into := map[*box]int{}
	next := map[*box][]*box{}
	for _, e := range l.d.edges {
		into[e.to]++
		next[e.from] = append(next[e.from], e.to)
	}
	var ready []*box
	for _, b := range l.d.boxes {
		l.stops[b] = &stop{box: b, w: b.w}
		if into[b] == 0 {
			ready = append(ready, b)
		}
	}
	sources := len(ready)
	for i := 0; i < len(ready); i++ {
		for _, to := range next[ready[i]] {
			l.stops[to].layer = max(l.stops[to].layer, l.stops[ready[i]].layer+1)
			if into[to]--; into[to] == 0 {
				ready = append(ready, to)
			}
		}
	}
	for _, b := range ready[:sources] {
		if len(next[b]) == 0 {
			continue
		}
		least := math.MaxInt
		for _, to := range next[b] {
			least = min(least, l.stops[to].layer)
		}
		l.stops[b].layer = max(least-1, 0)
	}
	deepest := 0
	for _, s := range l.stops {
		deepest = max(deepest, s.layer)
	}
	l.layers = make([][]*stop, deepest+1)
	for _, b := range l.d.boxes {
		s := l.stops[b]
		l.layers[s.layer] = append(l.layers[s.layer], s)
	}
}

// addPoints connects the stops of neighbouring layers.
func (l *layout) addPoints() {
	for _, e := range l.d.edges {
		from, to := l.stops[e.from], l.stops[e.to]
		if to.layer <= from.layer {
			continue // a cycle, which a graph has none of
		}
		last := from
		points := l.passes[e.from]
		for k := from.layer + 1; k < to.layer; k++ {
			i := k - from.layer - 1
			if i == len(points) {
				p := &stop{layer: k, w: 2}
				last.down, p.up = append(last.down, p), append(p.up, last)
				points = append(points, p)
				l.layers[k] = append(l.layers[k], p)
			}
			last = points[i]
		}
		l.passes[e.from] = points
		last.down, to.up = append(last.down, to), append(to.up, last)
	}
}

// orderLayers sweeps down and up, each time ordering a layer by the mean place
// of its neighbours, and keeps the order with the fewest crossings.
func (l *layout) orderLayers() {
	number := func() {
		for _, layer := range l.layers {
			for i, s := range layer {
				s.order = i
			}
		}
	}
	number()
	best, fewest := l.copyOrder(), l.crossings()
	for sweep := 0; sweep < 24 && fewest > 0; sweep++ {
		down := sweep%2 == 0
		for k := range l.layers {
			if !down {
				k = len(l.layers) - 1 - k
			}
			layer := l.layers[k]
			mean := map[*stop]float64{}
			for _, s := range layer {
				near := s.up
				if !down {
					near = s.down
				}
				mean[s] = float64(s.order)
				if len(near) > 0 {
					sum := 0.0
					for _, n := range near {
						sum += (float64(n.order) + 0.5) / float64(len(l.layers[n.layer]))
					}
					mean[s] = sum / float64(len(near)) * float64(len(layer))
				}
			}
			slices.SortStableFunc(layer, func(a, b *stop) int { return cmp.Compare(mean[a], mean[b]) })
			for i, s := range layer {
				s.order = i
			}
		}
		if n := l.crossings(); n < fewest {
			best, fewest = l.copyOrder(), n
		}
	}
	l.layers = best
	number()
}

func (l *layout) copyOrder() [][]*stop {
	out := make([][]*stop, len(l.layers))
	for i, layer := range l.layers {
		out[i] = slices.Clone(layer)
	}
	return out
}

// crossings counts pairs of edges between neighbouring layers that cross: the
// inversions among their lower ends.
func (l *layout) crossings() int {
	total := 0
	for k := range l.layers {
		if k+1 == len(l.layers) {
			break
		}
		counts := make([]int, len(l.layers[k+1])+1) // a Fenwick tree over lower places
		edges := 0
		for _, s := range l.layers[k] {
			lower := make([]int, len(s.down))
			for i, t := range s.down {
				lower[i] = t.order
			}
			slices.Sort(lower)
			for _, o := range lower { // those before that end to the right
				seen := 0
				for i := o + 1; i > 0; i -= i & -i {
					seen += counts[i]
				}
				total += edges - seen
			}
			for _, o := range lower {
				for i := o + 1; i < len(counts); i += i & -i {
					counts[i]++
				}
				edges++
			}
		}
	}
	return total
}

// placeStops moves each layer to where its neighbours want it, as far as the
// stops beside leave room.
func (l *layout) placeStops() {
	for _, layer := range l.layers {
		l.place(layer, func(s *stop) (float64, bool) { return 0, false })
	}
	for sweep := range 16 {
		for k := range l.layers {
			if sweep%2 == 1 {
				k = len(l.layers) - 1 - k
			}
			l.place(l.layers[k], func(s *stop) (float64, bool) {
				near := s.up
				switch {
				case sweep >= 12:
					near = append(slices.Clone(s.up), s.down...)
				case sweep%2 == 1:
					near = s.down
				}
				if len(near) == 0 {
					return s.x, sweep > 0
				}
				sum := 0.0
				for _, n := range near {
					sum += n.x
				}
				return sum / float64(len(near)), true
			})
		}
	}
}

// place solves, for a layer in its order, the least squares problem of being
// near the wanted places with the gaps between (by pooling neighbours that push
// each other).
func (l *layout) place(layer []*stop, want func(*stop) (float64, bool)) {
	type pool struct {
		first, last int
		sum, weight float64 // of wanted places, offsets taken off
	}
	offset := make([]float64, len(layer)) // of a centre from that of the first
	for i := 1; i < len(layer); i++ {
		gap := boxGap
		if layer[i].box == nil || layer[i-1].box == nil {
			gap = pointGap
		}
		offset[i] = offset[i-1] + layer[i-1].w/2 + gap + layer[i].w/2
	}
	middle := 0.0
	if n := len(layer); n > 0 {
		middle = offset[n-1] / 2
	}
	var pools []pool
	for i, s := range layer {
		x, known := want(s)
		weight := 1.0
		switch {
		case !known:
			x, weight = offset[i]-middle, 0.01
		case s.box == nil:
			weight = 8
		}
		p := pool{i, i, weight * (x - offset[i]), weight}
		for len(pools) > 0 {
			q := pools[len(pools)-1]
			if q.sum/q.weight <= p.sum/p.weight {
				break
			}
			p = pool{q.first, p.last, q.sum + p.sum, q.weight + p.weight}
			pools = pools[:len(pools)-1]
		}
		pools = append(pools, p)
	}
	for _, p := range pools {
		for i := p.first; i <= p.last; i++ {
			layer[i].x = p.sum/p.weight + offset[i]
		}
	}
}

// finish sets coordinates from the upper left corner, and the edges' paths.
func (l *layout) finish() {
	left, right := math.Inf(1), math.Inf(-1)
	for _, layer := range l.layers {
		for _, s := range layer {
			left, right = min(left, s.x-s.w/2), max(right, s.x+s.w/2)
		}
	}
	tops, bottoms := make([]float64, len(l.layers)), make([]float64, len(l.layers))
	y := 0.0
	if len(l.d.states) > 0 {
		y = stateRoom
	}
	for k, layer := range l.layers {
		tops[k] = y
		height := 0.0
		for _, s := range layer {
			s.x -= left
			if s.box != nil {
				s.box.x, s.box.y = s.x-s.box.w/2, y
				height = max(height, s.box.h)
			}
		}
		y += height
		bottoms[k] = y
		y += layerGap
	}
	l.d.w, l.d.h = right-left, y-layerGap
	if len(l.d.states) > 0 {
		l.d.h += stateRoom
	}
	ports := l.ports()
	for _, e := range l.d.edges {
		from, to := l.stops[e.from], l.stops[e.to]
		if to.layer <= from.layer {
			continue
		}
		e.path = [][2]float64{{from.x, from.box.y + from.box.h}, {from.x, bottoms[from.layer]}}
		last := from
		for _, p := range l.passes[e.from][:to.layer-from.layer-1] {
			e.path = append(e.path, [2]float64{p.x, tops[p.layer]}, [2]float64{p.x, bottoms[p.layer]})
			last = p
		}
		e.path = append(e.path, [2]float64{ports[to][last], tops[to.layer]})
	}
	l.feedback(tops, bottoms)
}

// ports spreads the edges into a box over its upper side, in the order of
// where they come from.
func (l *layout) ports() map[*stop]map[*stop]float64 {
	out := map[*stop]map[*stop]float64{}
	for _, s := range l.stops {
		from := slices.Clone(s.up)
		slices.SortFunc(from, func(a, b *stop) int { return cmp.Or(cmp.Compare(a.x, b.x), cmp.Compare(a.order, b.order)) })
		room := min(s.w*0.6, 26*float64(max(len(from)-1, 0)))
		out[s] = map[*stop]float64{}
		for i, f := range from {
			x := s.x
			if len(from) > 1 {
				x += room * (float64(i)/float64(len(from)-1) - 0.5)
			}
			if f.box == nil && len(from) == 1 || math.Abs(f.x-s.x) < s.w*0.3 && len(from) == 1 {
				x = min(max(f.x, s.x-s.w*0.3), s.x+s.w*0.3) // straight down
			}
			out[s][f] = x
		}
	}
	return out
}

// feedback leads the states of a loop back from the outputs to the inputs:
// below the output's layer, on the right of everything, above the input's.
func (l *layout) feedback(tops, bottoms []float64) {
	right := l.d.w
	for i, f := range l.d.states {
		track := 4 * float64(i%4)
		x := right + 14 + 8*float64(i)
		from, to := l.stops[f.from], l.stops[f.to]
		below, above := bottoms[from.layer]+7+track, tops[to.layer]-12-track
		f.path = [][2]float64{{from.x, f.from.y + f.from.h}, {from.x, below}, {x, below}, {x, above}, {to.x, above}, {to.x, f.to.y}}
		l.d.w = x + 6
	}
}
