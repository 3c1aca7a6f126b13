package ops

import (
	"github.com/recur-ml/recur/internal/fault"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

var lstmOp = recurrentOp{
	name:        "LSTM",
	since:       []int{1, 7, 14, 22},
	gates:       4,
	activations: []string{"Sigmoid", "Tanh", "Tanh"},
	cellState:   true,
	attributes:  lstmAttributes,
	form:        lstmForm,
	cell32:      newLSTM[float32],
	cell64:      newLSTM[float64],
}

func init() { register(lstmOp.row()) }

func lstmAttributes(n *Node, r *recurrent) {
	r.inputForget = n.Bool("input_forget", false) && !fault.Is(fault.InputForget)
}

// The gates as W, R and B have them, the parts of P, and the sums of a unit:
// f last, since input_forget has none.
const (
	lstmI, lstmO, lstmF, lstmC = 0, 1, 2, 3

	lstmPi, lstmPo, lstmPf = 0, 1, 2

	lstmSumI, lstmSumC, lstmSumO, lstmSumF = 0, 1, 2, 3
)

func lstmForm(r *recurrent) gateForm {
	gates := []int{lstmI, lstmC, lstmO, lstmF}
	if r.inputForget {
		gates = gates[:lstmSumF]
	}
	form := gateForm{
		lanes:    8,
		products: []gateProduct{{of: ofX, gates: gates}, {of: ofH, gates: gates}},
	}
	for _, g := range gates {
		form.sums = append(form.sums, gateSum{g, g})
	}
	return form
}

// lstmCell is
//
//	i   = f( clip( X_t·Wiᵀ + H_{t-1}·Riᵀ + Pi ⊙ C_{t-1} + Wbi + Rbi ) )
//	ft  = f( clip( X_t·Wfᵀ + H_{t-1}·Rfᵀ + Pf ⊙ C_{t-1} + Wbf + Rbf ) )    input_forget = 0
//	ft  = 1 − i                                                            input_forget ≠ 0
//	c   = g( clip( X_t·Wcᵀ + H_{t-1}·Rcᵀ + Wbc + Rbc ) )
//	C_t = ft ⊙ C_{t-1} + i ⊙ c
//	o   = f( clip( X_t·Woᵀ + H_{t-1}·Roᵀ + Po ⊙ C_t + Wbo + Rbo ) )
//	H_t = o ⊙ h(C_t)
type lstmCell[T singleOrDouble] struct {
	clip        T
	f, g, h     func([]T)
	inputForget bool
	fused       bool
}

func newLSTM[T singleOrDouble](r *recurrent, f []activation) recurrentCell[T] {
	return &lstmCell[T]{
		clip: T(r.clip),
		f:    activationLoop[T](r.level, f[0]), g: activationLoop[T](r.level, f[1]), h: activationLoop[T](r.level, f[2]),
		inputForget: r.inputForget,
		fused:       !r.inputForget && areFused[T](r.level, f, "Sigmoid", "Tanh", "Tanh"),
	}
}

func (l *lstmCell[T]) point(_ int, p gatePanel[T]) {
	if l.fused {
		c := p.fused(l.clip, p.c, p.next)
		kernel.LSTM(p.level, &c)
		return
	}
	for row := range p.rows {
		c, h := p.of(p.c, row), p.of(p.next, row)
		i := l.gate(&p, row, lstmSumI, lstmPi, c)
		f := h // free until the end
		if l.inputForget {
			for u, v := range i {
				f[u] = 1 - v
			}
		} else {
			f = l.gate(&p, row, lstmSumF, lstmPf, c)
		}
		g := p.sum(row, lstmSumC)
		clipSums(g, l.clip)
		l.g(g)
		kernel.Mix(c, f, i, g)
		o := l.gate(&p, row, lstmSumO, lstmPo, c)
		copy(h, c)
		l.h(h)
		kernel.Mul(h, o, h)
	}
}

// gate makes i, f or o of its sum; part is its peepholes' place in P.
func (l *lstmCell[T]) gate(p *gatePanel[T], row, sum, part int, c []T) []T {
	v := p.sum(row, sum)
	if p.peepholes != nil {
		kernel.AddMul(v, p.peephole(row, part), c)
	}
	clipSums(v, l.clip)
	l.f(v)
	return v
}
