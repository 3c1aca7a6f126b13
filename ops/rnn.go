package ops

import "github.com/recur-ml/recur/ops/internal/kernel"

var rnnOp = recurrentOp{
	name:        "RNN",
	since:       []int{1, 7, 14, 22},
	gates:       1,
	activations: []string{"Tanh"},
	form:        rnnForm,
	cell32:      newRNN[float32],
	cell64:      newRNN[float64],
}

func init() { register(rnnOp.row()) }

func rnnForm(*recurrent) gateForm {
	return gateForm{
		lanes: 16,
		sums:  []gateSum{{0, 0}},
		products: []gateProduct{
			{of: ofX, gates: []int{0}},
			{of: ofH, gates: []int{0}},
		},
	}
}

// rnnCell is
//
//	H_t = f( clip( X_t·Wᵀ + H_{t-1}·Rᵀ + Wb + Rb ) )
type rnnCell[T singleOrDouble] struct {
	clip  T
	f     func([]T)
	fused bool
}

func newRNN[T singleOrDouble](r *recurrent, f []activation) recurrentCell[T] {
	return &rnnCell[T]{clip: T(r.clip), f: activationLoop[T](r.level, f[0]), fused: areFused[T](r.level, f, "Tanh")}
}

func (l *rnnCell[T]) point(_ int, p gatePanel[T]) {
	if l.fused {
		c := p.fused(l.clip, p.h, p.next)
		kernel.RNN(p.level, &c)
		return
	}
	for row := range p.rows {
		h := p.of(p.next, row)
		copy(h, p.sum(row, 0))
		clipSums(h, l.clip)
		l.f(h)
	}
}
