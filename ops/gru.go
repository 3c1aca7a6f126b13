package ops

import (
	"github.com/recur-ml/recur/internal/fault"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

var gruOp = recurrentOp{
	name:        "GRU",
	since:       []int{1, 3, 7, 14, 22},
	gates:       3,
	activations: []string{"Sigmoid", "Tanh"},
	attributes:  gruAttributes,
	form:        gruForm,
	cell32:      newGRU[float32],
	cell64:      newGRU[float64],
}

func init() { register(gruOp.row()) }

func gruAttributes(n *Node, r *recurrent) {
	if n.Since >= 3 {
		r.linearBeforeReset = n.Bool("linear_before_reset", false) && !fault.Is(fault.Reset)
	}
}

// The gates as W, R and B have them, and the sums of a unit: the candidate's,
// those of z and r, and with linear_before_reset the candidate's recurrent
// part, which is multiplied by r before it is added.
const (
	gruZ, gruR, gruH = 0, 1, 2

	gruSumH, gruSumZ, gruSumR, gruSumRecurrent = 0, 1, 2, 3
)

func gruForm(r *recurrent) gateForm {
	z, reset := gateSum{gruZ, gruZ}, gateSum{gruR, gruR}
	x := gateProduct{of: ofX, gates: []int{gruH, gruZ, gruR}, at: gruSumH}
	if r.linearBeforeReset {
		return gateForm{
			lanes: 8,
			sums:  []gateSum{{w: gruH, r: -1}, z, reset, {w: -1, r: gruH}},
			products: []gateProduct{x,
				{of: ofH, gates: []int{gruZ, gruR, gruH}, at: gruSumZ},
			},
		}
	}
	return gateForm{
		lanes: 8,
		sums:  []gateSum{{w: gruH, r: gruH}, z, reset},
		products: []gateProduct{x,
			{of: ofH, gates: []int{gruZ, gruR}, at: gruSumZ},
			{of: ofReset, gates: []int{gruH}, at: gruSumH},
		},
	}
}

// gruCell is
//
//	z = f( clip( X_t·Wzᵀ + H_{t-1}·Rzᵀ + Wbz + Rbz ) )
//	r = f( clip( X_t·Wrᵀ + H_{t-1}·Rrᵀ + Wbr + Rbr ) )
//	h = g( clip( X_t·Whᵀ + (r ⊙ H_{t-1})·Rhᵀ + Rbh + Wbh ) )      linear_before_reset = 0
//	h = g( clip( X_t·Whᵀ + r ⊙ (H_{t-1}·Rhᵀ + Rbh) + Wbh ) )      linear_before_reset ≠ 0
//	H_t = (1 − z) ⊙ h + z ⊙ H_{t-1}
//
// With linear_before_reset = 0 the reset state of all units must be there
// before the candidate's product: phase 0 makes it, phase 1 does the rest.
type gruCell[T singleOrDouble] struct {
	clip              T
	f, g              func([]T)
	linearBeforeReset bool
	fused             bool
}

func newGRU[T singleOrDouble](r *recurrent, f []activation) recurrentCell[T] {
	return &gruCell[T]{
		clip: T(r.clip),
		f:    activationLoop[T](r.level, f[0]), g: activationLoop[T](r.level, f[1]),
		linearBeforeReset: r.linearBeforeReset,
		fused:             areFused[T](r.level, f, "Sigmoid", "Tanh"),
	}
}

func (l *gruCell[T]) point(phase int, p gatePanel[T]) {
	if l.fused {
		l.pointFused(phase, &p)
		return
	}
	for row := range p.rows {
		switch {
		case l.linearBeforeReset:
			l.gates(&p, row)
			kernel.AddMul(p.sum(row, gruSumH), p.sum(row, gruSumR), p.sum(row, gruSumRecurrent))
			l.blend(&p, row)
		case phase == 0:
			l.gates(&p, row)
			kernel.Mul(p.of(p.reset, row), p.sum(row, gruSumR), p.of(p.h, row))
		default:
			l.blend(&p, row)
		}
	}
}

// pointFused is point in one loop.
func (l *gruCell[T]) pointFused(phase int, p *gatePanel[T]) {
	if !l.linearBeforeReset && phase == 0 {
		c := p.fused(l.clip, p.h, p.reset)
		kernel.GRUReset(p.level, &c)
		return
	}
	c := p.fused(l.clip, p.h, p.next)
	if l.linearBeforeReset {
		kernel.GRU(p.level, &c)
	} else {
		kernel.GRUBlend(p.level, &c)
	}
}

// gates makes z and r of their sums.
func (l *gruCell[T]) gates(p *gatePanel[T], row int) {
	z, r := p.sum(row, gruSumZ), p.sum(row, gruSumR)
	clipSums(z, l.clip)
	clipSums(r, l.clip)
	l.f(z)
	l.f(r)
}

// blend makes the candidate of its sum, and the new state.
func (l *gruCell[T]) blend(p *gatePanel[T], row int) {
	h := p.sum(row, gruSumH)
	clipSums(h, l.clip)
	l.g(h)
	kernel.Blend(p.of(p.next, row), p.sum(row, gruSumZ), h, p.of(p.h, row))
}
