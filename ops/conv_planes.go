package ops

import "github.com/recur-ml/recur/ops/internal/kernel"

// Where each of several groups has one output, a plane of the result depends on
// the group's planes of the input alone. One after the other they are laid out
// in a room that stays in cache.

// planeShares is how many rooms there are at most: threads work on as many
// planes at a time.
const planeShares = 16

// planes computes a convolution of groups of one output each.
func (t *convTaps) planes(c *Ctx) error {
	total := t.batch * t.group
	t.shares = min(total, planeShares)
	t.padded = !t.inPlace()
	if t.padded {
		room := t.channels * t.plane
		if room > roomMost/t.shares {
			t.shares = 1
		}
		var err error
		if t.room, err = Scratch[float32](c, t.shares*room); err != nil {
			return err
		}
		defer func() { t.room = nil }()
	}
	c.Parallel(t.shares, ceilDiv(grainOf(t.channels*t.taps*t.outSize)*t.shares, total), t.doPlanes)
	return c.Err()
}

// computePlanes computes shares lo..hi-1 of the planes of all images.
func (t *convTaps) computePlanes(lo, hi int) {
	var at [maxInlineRank]int
	index := at[:]
	if len(t.in) > len(index) {
		index = make([]int, len(t.in))
	}
	total, size := t.batch*t.group, t.channels*t.inSize
	var room []float32
	if t.padded {
		room = t.room[lo*t.channels*t.plane:][:t.channels*t.plane]
		clear(room)
	}
	for p := lo * total / t.shares; p < hi*total/t.shares; p++ {
		x := t.x[p*size:][:size]
		if t.padded {
			t.padPlanes(t.product.level, room, x, t.channels, index)
			x = room
		}
		y := t.y[p*t.outSize:][:t.outSize]
		if !t.computePlane(y, x, p%t.group) {
			return
		}
		t.activation.apply(y)
	}
}

// computePlane computes a plane of a group from its input, x. It reports whether
// it did: it ends when the run does.
func (t *convTaps) computePlane(y, x []float32, group int) bool {
	depth := len(t.terms.Offsets)
	w := t.w[group*depth:][:depth]
	last := len(t.out) - 1
	rows, step := 1, 0 // that lie evenly apart
	if last > 0 && t.rows > 1 {
		rows, step = t.out[last-1], t.stride[last-1]*t.pitch[last-1]
	}
	for r := 0; r < t.rows; r += rows {
		from := x[t.row(r):]
		for j := 0; j < t.width; j += placesMost {
			if t.c.Err() != nil {
				return false
			}
			kernel.ConvGrid(t.product.level, y[r*t.width+j:], t.width, w, from[j:], step, t.terms, t.wide[group], rows, min(placesMost, t.width-j))
		}
	}
	return true
}
