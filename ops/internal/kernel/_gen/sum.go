package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// sums writes the sums of float64 in 8 lanes, and the greatest and least
// element.
func (m *machine) sums() {
	m.sum("addValues", "float64(x[i])", func(x, _ reg.VecPhysical, sum reg.VecPhysical) {
		VADDPD(x, sum, sum)
	})
	m.sum("addSquares", "(float64(x[i]) - mean) * (float64(x[i]) - mean)", func(x, mean reg.VecPhysical, sum reg.VecPhysical) {
		VSUBPD(mean, x, x)
		VMULPD(x, x, x)
		VADDPD(x, sum, sum)
	})
	m.extreme("greatest", "max", VMAXPS)
	m.extreme("least", "min", VMINPS)
}

// sum writes the loop that adds a term of each element to the lane of its
// index modulo 8. On 256 bits the lanes are two registers.
func (m *machine) sum(name, term string, f func(x, mean, sum reg.VecPhysical)) {
	m.head(name, "lanes *float64, x *float32, n int, mean float64", " is, for n times 8 elements,",
		"\tfor i := range x {", "\t\tlanes[i%8] += "+term, "\t}")
	lanes, x, n := reg.RDI, reg.RSI, reg.RCX
	Load(Param("lanes"), lanes)
	Load(Param("x"), x)
	Load(Param("n"), n)
	a, err := Param("mean").Resolve()
	if err != nil {
		panic(err)
	}
	mean := m.regs[15]
	VBROADCASTSD(a.Addr, mean)
	parts := 16 / m.lanes
	for p := range parts {
		VMOVUPD(at(p*m.bytes(), lanes, nil, 0), m.regs[p])
	}
	for _, k := range []int{4, 1} {
		Label(label("turn%d", k))
		CMPQ(n, Imm(uint64(k)))
		JLT(LabelRef(label("under%d", k)))
		for i := range k * parts {
			VCVTPS2PD(at(i*m.bytes()/2, x, nil, 0), m.regs[4+i])
			if i%parts == parts-1 {
				for p := range parts {
					f(m.regs[4+i-parts+1+p], mean, m.regs[p])
				}
			}
		}
		ADDQ(U32(k*32), x)
		SUBQ(Imm(uint64(k)), n)
		JMP(LabelRef(label("turn%d", k)))
		Label(label("under%d", k))
	}
	for p := range parts {
		VMOVUPD(m.regs[p], at(p*m.bytes(), lanes, nil, 0))
	}
	end()
}

// extreme writes the loop that finds the greatest or least element: a vector of
// candidates, and one that is NaN where an element of its lane is.
func (m *machine) extreme(name, how string, f func(...Op)) {
	m.head(name, "best, nan *float32, x *float32, n int", " is, for n vectors of elements and their lanes,",
		"\tfor i := range x {", "\t\tbest[i%lanes] = "+how+"(best[i%lanes], x[i]) // of zeros, and beside NaN, any",
		"\t\tif x[i] != x[i] {", "\t\t\tnan[i%lanes] = x[i]", "\t\t}", "\t}")
	best, nan, x, n := reg.RDI, reg.RDX, reg.RSI, reg.RCX
	Load(Param("best"), best)
	Load(Param("nan"), nan)
	Load(Param("x"), x)
	Load(Param("n"), n)
	b, c, v, t := m.regs[0], m.regs[1], m.regs[2], m.regs[3]
	VMOVUPS(at(0, best, nil, 0), b)
	VMOVUPS(at(0, nan, nil, 0), c)
	Label("turn")
	TESTQ(n, n)
	JZ(LabelRef("done"))
	VMOVUPS(at(0, x, nil, 0), v)
	f(v, b, b)
	(&constSet{m: m}).blend(noNumber, v, v, v, c, t)
	ADDQ(U32(m.bytes()), x)
	DECQ(n)
	JMP(LabelRef("turn"))
	Label("done")
	VMOVUPS(b, at(0, best, nil, 0))
	VMOVUPS(c, at(0, nan, nil, 0))
	end()
}
