package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// e^x over slices is 2^floor(n) * (T + (TLow + T*r) * (1 + r*F(r))), where n has
// as many bits behind the point as a vector has lanes to look up T and TLow of
// them, the rounded 2^(i/lanes) and what the rounding left out, and
// x = n*ln 2 + r, |r| <= ln 2 / (2 lanes). F has the least greatest relative
// error of results, 1.6e-9 of 512 bits and 2.6e-8 of 256.
//
// Its steps wait for each other some forty cycles long, in which a processor could
// do ten vectors, but not hold as many instructions that wait. So a loop has four
// vectors halfway: it finishes the first and takes up the next in its place, then
// the second, and so on.

// expAhead is how many vectors are halfway.
const expAhead = 4

// expRegs is how many registers, from the first on, the functions of this file
// have: r and n of each vector that is halfway, and some to compute in.
const expRegs = 2*expAhead + 4

// exps computes exponentials. Constants that are not in registers are read from
// memory where they are used.
type exps struct {
	m     *machine
	r, n  vecs
	p     reg.VecPhysical // gets the results
	t     [2]reg.VecPhysical
	most  reg.VecPhysical // of what see has seen
	fixed map[string]reg.VecPhysical
}

// expConstants are the constants, those first that are used most.
var expConstants = []string{"Steps", "T", "TLow", "One", "F0", "Log2e", "Ln2Hi", "Ln2Lo", "F1", "WholeSteps"}

// constant is a constant, which may have a value of its own for the machine.
func (e *exps) constant(name string) Mem {
	switch name {
	case "Steps", "T", "TLow", "F0", "F1", "WholeSteps":
		name += label("%d", e.m.lanes)
	}
	return constant(name)
}

// exps loads as many constants as there are registers free.
func (m *machine) exps(free ...reg.VecPhysical) *exps {
	e := &exps{m: m, r: m.regs[:expAhead], n: m.regs[expAhead : 2*expAhead], p: m.regs[2*expAhead],
		t: [2]reg.VecPhysical(m.regs[2*expAhead+1:]), most: m.regs[2*expAhead+3], fixed: map[string]reg.VecPhysical{}}
	for i, name := range expConstants[:min(len(free), len(expConstants))] {
		e.fixed[name] = free[i]
		VMOVUPS(e.constant(name), free[i])
	}
	return e
}

// get is a constant as an operand.
func (e *exps) get(name string) Op {
	if r, ok := e.fixed[name]; ok {
		return r
	}
	return e.constant(name)
}

// set loads a constant.
func (e *exps) set(name string, to reg.VecPhysical) {
	if r, ok := e.fixed[name]; ok {
		VMOVAPS(r, to)
		return
	}
	VMOVUPS(e.constant(name), to)
}

// begin makes r of x, in its place, and n, as an integer of the last bits of what
// it is added to; by itself it is in t[0].
func (e *exps) begin(x, n reg.VecPhysical) {
	e.set("Steps", n)
	VFMADD231PS(e.get("Log2e"), x, n)
	VSUBPS(e.get("Steps"), n, e.t[0])
	VFNMADD231PS(e.get("Ln2Hi"), e.t[0], x)
	VFNMADD231PS(e.get("Ln2Lo"), e.t[0], x)
}

// factor is r = e^x / 2^floor(n).
func (e *exps) factor(r, n reg.VecPhysical) {
	t, f := e.t[0], e.t[1]
	VPERMPS(e.get("T"), n, t)
	VPERMPS(e.get("TLow"), n, e.p)
	e.set("F1", f)
	VFMADD213PS(e.get("F0"), r, f)
	VFMADD231PS(t, r, e.p)
	VFMADD213PS(e.get("One"), f, r)
	VFMADD213PS(t, e.p, r)
}

// finish is p = e^x of r and n, which are spoiled.
func (e *exps) finish(r, n reg.VecPhysical) {
	e.factor(r, n)
	VPSLLD(e.shift(), n, n)
	e.m.and(e.get("WholeSteps"), n)
	VPADDD(n, r, e.p)
}

// shift brings the whole part of n to where an exponent is.
func (e *exps) shift() Op { return Imm(map[int]uint64{8: 20, 16: 19}[e.m.lanes]) }

// all is p = e^x of any x; r and n are spoiled. 2^n may be subnormal, or too great.
func (e *exps) all(x, n reg.VecPhysical) {
	VMOVUPS(constant("ExpTop"), e.p)
	VMINPS(x, e.p, x) // NaN stays
	VMOVUPS(constant("ExpLow"), e.p)
	VMAXPS(x, e.p, x)
	e.begin(x, n)
	if e.m.lanes == 16 {
		VMOVAPS(e.t[0], e.most)
		e.factor(x, n)
		VSCALEFPS(e.most, x, e.p)
		return
	}
	e.factor(x, n)
	VMOVAPS(x, e.p)
	VPSLLD(e.shift(), n, n)
	VPSRAD(Imm(23), n, n) // 2^n in two factors
	VPSRAD(Imm(1), n, x)
	VPSUBD(x, n, n)
	for _, v := range []reg.VecPhysical{x, n} {
		VPADDD(constant("Bias"), v, v)
		VPSLLD(Imm(23), v, v)
		VMULPS(v, e.p, e.p)
	}
}

// see takes note of an x in most: its bits without the sign, twice.
func (e *exps) see(x reg.VecPhysical, first bool) {
	if first {
		VPADDD(x, x, e.most)
		return
	}
	VPADDD(x, x, e.p)
	VPMAXUD(e.p, e.most, e.most)
}

// beyond goes to a label where 2^n may not be normal for any x that was seen. EAX
// is spoiled.
func (e *exps) beyond(to string) {
	if e.m.lanes == 16 {
		VPCMPUD(Imm(6), constant("ExpPlain2"), e.most, reg.K1)
		KORTESTW(reg.K1, reg.K1)
	} else {
		VPSRLD(Imm(1), e.most, e.most)
		VPCMPGTD(constant("ExpPlain"), e.most, e.most)
		VMOVMSKPS(e.most, reg.EAX)
		TESTL(reg.EAX, reg.EAX)
	}
	JNZ(LabelRef(to))
}

// and is x = x & a.
func (m *machine) and(a Op, x reg.VecPhysical) {
	if m.lanes == 16 {
		VPANDD(a, x, x)
	} else {
		VPAND(a, x, x)
	}
}

// xor is x = x ^ a.
func (m *machine) xor(a Op, x reg.VecPhysical) {
	if m.lanes == 16 {
		VPXORD(a, x, x)
	} else {
		VPXOR(a, x, x)
	}
}

// expWalk is a walk over vectors of which there are exponentials.
type expWalk struct {
	left    reg.GPPhysical // how much there is, one more than nothing
	unit    int            // how much a vector is
	load    func(i int, x reg.VecPhysical)
	keep    func(i int, first bool) // does with p what is to be done, and spoils no more than t
	group   func()                  // what is to be done after expAhead vectors
	advance func(vectors int)
	few     func() // begins what is less than expAhead vectors
}

// walk writes the walk as far as there are whole vectors, and one, which writes
// one vector more. What is rare is behind a function's end, where rare writes it.
func (e *exps) walk(w *expWalk) (one func(name string, load func(i int, x reg.VecPhysical), keep func()), rare func()) {
	group := func() {
		if w.group != nil {
			w.group()
		}
		w.advance(expAhead)
	}
	Label("turn")
	CMPQ(w.left, U32(expAhead*w.unit))
	JLT(LabelRef("under"))
	for i := range expAhead {
		w.load(i, e.r[i])
		e.see(e.r[i], i == 0)
		e.begin(e.r[i], e.n[i])
	}
	e.beyond("beyond")
	Label("ahead")
	CMPQ(w.left, U32(2*expAhead*w.unit))
	JLT(LabelRef("finish"))
	for i := range expAhead {
		e.finish(e.r[i], e.n[i])
		w.keep(i, i == 0)
		w.load(expAhead+i, e.r[i])
		e.see(e.r[i], i == 0)
		e.begin(e.r[i], e.n[i])
	}
	group()
	e.beyond("beyond")
	JMP(LabelRef("ahead"))
	Label("finish")
	for i := range expAhead {
		e.finish(e.r[i], e.n[i])
		w.keep(i, i == 0)
	}
	group()
	JMP(LabelRef("turn"))
	Label("under")
	if w.few != nil {
		w.few()
	}
	rares := []func(){func() {
		Label("beyond")
		for i := range expAhead {
			w.load(i, e.r[0])
			e.all(e.r[0], e.n[0])
			w.keep(i, i == 0)
		}
		group()
		JMP(LabelRef("turn"))
	}}
	one = func(name string, load func(i int, x reg.VecPhysical), keep func()) {
		load(0, e.r[0])
		e.see(e.r[0], true)
		e.beyond(name + "_beyond")
		e.begin(e.r[0], e.n[0])
		e.finish(e.r[0], e.n[0])
		Label(name + "_keep")
		keep()
		rares = append(rares, func() {
			Label(name + "_beyond")
			e.all(e.r[0], e.n[0])
			JMP(LabelRef(name + "_keep"))
		})
	}
	Label("turn1")
	CMPQ(w.left, Imm(uint64(w.unit)))
	JLT(LabelRef("under1"))
	one("one", w.load, func() { w.keep(0, false) })
	w.advance(1)
	JMP(LabelRef("turn1"))
	Label("under1")
	return one, func() {
		for _, f := range rares {
			f()
		}
	}
}

// exponentials writes dst = f(e^x) over n vectors, where load loads an x of an
// address, and f has p and the address, and spoils t.
func (m *machine) exponentials(name, doc string, load func(e *exps, from Mem, x reg.VecPhysical), f func(e *exps, from Mem)) {
	m.head(name, "dst, src *float32, n int", " is, for n vectors of elements,",
		"\tfor i := range dst {", "\t\tdst[i] = "+doc, "\t}")
	dst, src, n := reg.RDI, reg.RSI, reg.RCX
	Load(Param("dst"), dst)
	Load(Param("src"), src)
	Load(Param("n"), n)
	e := m.exps(m.regs[expRegs:]...)
	from := func(i int) Mem { return at(i*m.bytes(), src, nil, 0) }
	_, rare := e.walk(&expWalk{left: n, unit: 1,
		load: func(i int, x reg.VecPhysical) { load(e, from(i), x) },
		keep: func(i int, _ bool) {
			f(e, from(i))
			VMOVUPS(e.p, at(i*m.bytes(), dst, nil, 0))
		},
		advance: func(k int) {
			ADDQ(U32(k*m.bytes()), src)
			ADDQ(U32(k*m.bytes()), dst)
			SUBQ(Imm(uint64(k)), n)
		},
	})
	end()
	rare()
}
