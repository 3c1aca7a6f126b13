package ops

import "github.com/recur-ml/recur/ops/internal/kernel"

// Where each of several groups has one output, a plane of the result depends on
// the group's planes of the input alone. A few groups at a time are laid out in a
// room that stays in cache.

const (
	// planeShares is how many rooms there are at most: threads work on as many
	// groups at a time.
	planeShares = 16
	// planeRoom is how many elements a room is for, if one group has no more.
	planeRoom = 1 << 12
)

// planes computes a convolution of groups of one output each.
func (t *convTaps) planes(c *Ctx) error {
	total := t.batch * t.group
	size := t.channels * t.plane // of a group's input
	t.atATime = min(max(1, planeRoom/size), t.group)
	t.shares = min(total/t.atATime, planeShares, roomMost/size)
	t.padded = !t.inPlace()
	if t.padded {
		var err error
		if t.room, err = Scratch[float32](c, t.shares*t.atATime*size); err != nil {
			return err
		}
		defer func() { t.room = nil }()
	}
	c.Parallel(t.shares, ceilDiv(grainOf(t.channels*t.taps*t.outSize)*t.shares, total), t.doPlanes)
	return c.Err()
}

// computePlanes computes shares lo..hi-1 of the groups of all images.
func (t *convTaps) computePlanes(lo, hi int) {
	var at [maxInlineRank]int
	index := at[:]
	if len(t.in) > len(index) {
		index = make([]int, len(t.in))
	}
	total, size := t.batch*t.group, t.channels*t.inSize
	var room []float32
	if t.padded {
		n := t.atATime * t.channels * t.plane
		room = t.room[lo*n:][:n]
		clear(room)
	}
	first, end := lo*total/t.shares, hi*total/t.shares
	for first < end {
		n := min(t.atATime, end-first, t.group-first%t.group)
		x := t.x[first*size:][:n*size]
		if t.padded {
			t.padPlanes(t.product.level, room, x, n*t.channels, index)
			x = room
		}
		y := t.y[first*t.outSize:][:n*t.outSize]
		if !t.computeGroups(y, x, first%t.group, n) {
			return
		}
		t.activation.apply(y)
		first += n
	}
}

// computeGroups computes n groups from one on of an image from their input, x. It
// reports whether it did: it ends when the run does.
func (t *convTaps) computeGroups(y, x []float32, group, n int) bool {
	w := t.w[group*len(t.terms.Offsets):]
	last := len(t.out) - 1
	g := kernel.Grid{Planes: n, Rows: 1, Span: t.width, Area: t.outSize, Lead: t.channels * t.plane}
	if last > 0 && t.rows > 1 { // rows that lie evenly apart
		g.Rows, g.Step = t.out[last-1], t.stride[last-1]*t.pitch[last-1]
	}
	for r := 0; r < t.rows; r += g.Rows {
		from := x[t.row(r):]
		for j := 0; j < t.width; j += placesMost {
			if t.c.Err() != nil {
				return false
			}
			g.N = min(placesMost, t.width-j)
			kernel.ConvGrid(t.product.level, y[r*t.width+j:], w, from[j:], g, t.terms, t.wide[group:])
		}
	}
	return true
}
