package kernel

// Cells are the arguments of what a recurrent operator with its default
// activations does between sums and next state, at a level of vectors. Each
// function computes Lanes units, a multiple of 8, of some rows; in the loops
// that they stand for
//
//	sigmoid(x) is 1 / (1 + e^-x), clip(x) bounds x to -Clip..Clip,
//	sum(r, j, u) is Sums[r*Span+j*Lanes+u],
//	state(r, u) and next(r, u) are State[r*Pitch+u] and Next[r*Pitch+u],
//	p(r, j, u) is Peepholes[j*Part+r*Along+u].
//
// A sigmoid is computed as (tanh(x/2) + 1) / 2, within 2e-7 of it. NaN gives
// NaN.
type Cells struct {
	Sums        []float32
	Span, Lanes int
	State, Next []float32
	Pitch, Rows int
	Clip        float32 // 0: none
	Peepholes   []float32
	Part, Along int
}

// tanhMost is from where on the formula of tanh takes its argument for this.
const tanhMost = 7.90531110763549805

// tanh is the bound of tanh's argument.
func (c *Cells) tanh() float32 {
	if c.Clip > 0 {
		return min(c.Clip, tanhMost)
	}
	return tanhMost
}

// sigmoid is the bound of half of sigmoid's argument.
func (c *Cells) sigmoid() float32 {
	if c.Clip > 0 {
		return min(c.Clip/2, tanhMost)
	}
	return tanhMost
}

// level is that of the vectors which the lanes fill, at a level.
func (c *Cells) level(l Level) Level {
	if c.Lanes%l.Lanes() != 0 {
		return AVX2
	}
	return l
}

// check makes sure that what the loops for a number of sums read is there.
func (c *Cells) check(sums int) bool {
	if c.Rows == 0 {
		return false
	}
	end := (c.Rows-1)*c.Pitch + c.Lanes
	_, _, _ = c.Sums[(c.Rows-1)*c.Span+sums*c.Lanes-1], c.State[end-1], c.Next[end-1]
	return true
}

// LSTM is
//
//	i := sigmoid(clip(sum(r, 0, u) + p(r, 0, u)*state(r, u)))
//	f := sigmoid(clip(sum(r, 3, u) + p(r, 2, u)*state(r, u)))
//	state(r, u) = f*state(r, u) + i*tanh(clip(sum(r, 1, u)))
//	o := sigmoid(clip(sum(r, 2, u) + p(r, 1, u)*state(r, u)))
//	next(r, u) = o * tanh(state(r, u))
//
// without the terms of p where Peepholes is nil.
func LSTM(l Level, c *Cells) {
	if !c.check(4) {
		return
	}
	if c.Peepholes != nil {
		_ = c.Peepholes[2*c.Part+(c.Rows-1)*c.Along+c.Lanes-1]
	}
	l = c.level(l)
	for u := 0; u < c.Lanes; u += l.Lanes() {
		lstmCell(l, c, u, c.Peepholes)
	}
}

// GRU is
//
//	z, r := sigmoid(clip(sum(r, 1, u))), sigmoid(clip(sum(r, 2, u)))
//	n := tanh(clip(sum(r, 0, u) + r*sum(r, 3, u)))
//	next(r, u) = (1-z)*n + z*state(r, u)
func GRU(l Level, c *Cells) {
	if !c.check(4) {
		return
	}
	l = c.level(l)
	for u := 0; u < c.Lanes; u += l.Lanes() {
		gruCell(l, c, u)
	}
}

// GRUReset is
//
//	next(r, u) = sigmoid(clip(sum(r, 2, u))) * state(r, u)
func GRUReset(l Level, c *Cells) {
	if !c.check(3) {
		return
	}
	l = c.level(l)
	for u := 0; u < c.Lanes; u += l.Lanes() {
		gruResetCell(l, c, u)
	}
}

// GRUBlend is
//
//	z, n := sigmoid(clip(sum(r, 1, u))), tanh(clip(sum(r, 0, u)))
//	next(r, u) = (1-z)*n + z*state(r, u)
func GRUBlend(l Level, c *Cells) {
	if !c.check(2) {
		return
	}
	l = c.level(l)
	for u := 0; u < c.Lanes; u += l.Lanes() {
		gruBlendCell(l, c, u)
	}
}

// RNN is
//
//	next(r, u) = tanh(clip(sum(r, 0, u)))
//
// State is as long as Next, and not read.
func RNN(l Level, c *Cells) {
	if !c.check(1) {
		return
	}
	l = c.level(l)
	for u := 0; u < c.Lanes; u += l.Lanes() {
		rnnCell(l, c, u)
	}
}
