package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// arithmetics are the operators of integers, in the order of kernel.Arithmetic.
var arithmetics = []struct {
	doc string
	f   func(m *machine, size int, a, b, t, u reg.VecPhysical) // a = a op b; t and u are to compute in
}{
	{"+", func(m *machine, size int, a, b, _, _ reg.VecPhysical) { pick(size, VPADDD, VPADDQ)(b, a, a) }},
	{"-", func(m *machine, size int, a, b, _, _ reg.VecPhysical) { pick(size, VPSUBD, VPSUBQ)(b, a, a) }},
	{"*", (*machine).multiply},
	{"max", func(m *machine, size int, a, b, t, _ reg.VecPhysical) { m.greatest(size, a, b, t) }},
	{"min", func(m *machine, size int, a, b, t, _ reg.VecPhysical) { m.least(size, a, b, t) }},
	{"/", (*machine).divide},
}

// pick is the instruction for elements of 4 bytes, or of 8.
func pick(size int, four, eight func(...Op)) func(...Op) {
	if size == 4 {
		return four
	}
	return eight
}

// multiply is a = a * b. Without an instruction for 64 bits the product of the
// lower halves is added to the products across, 2^32 times.
func (m *machine) multiply(size int, a, b, t, u reg.VecPhysical) {
	switch {
	case size == 4:
		VPMULLD(b, a, a)
	case m.lanes == 16:
		VPMULLQ(b, a, a)
	default:
		VPSHUFD(Imm(0b10110001), b, t)
		VPMULLD(t, a, t)
		VPSRLQ(Imm(32), t, u)
		VPADDD(t, u, u)
		VPSLLQ(Imm(32), u, u)
		VPMULUDQ(b, a, a)
		VPADDQ(u, a, a)
	}
}

// greatest is a = max(a, b).
func (m *machine) greatest(size int, a, b, t reg.VecPhysical) {
	if size == 4 || m.lanes == 16 {
		pick(size, VPMAXSD, VPMAXSQ)(b, a, a)
		return
	}
	VPCMPGTQ(a, b, t)
	VBLENDVPD(t, b, a, a)
}

// least is a = min(a, b).
func (m *machine) least(size int, a, b, t reg.VecPhysical) {
	if size == 4 || m.lanes == 16 {
		pick(size, VPMINSD, VPMINSQ)(b, a, a)
		return
	}
	VPCMPGTQ(b, a, t)
	VBLENDVPD(t, b, a, a)
}

// divide is a = a / b of 32 bits, rounded towards zero. The quotient of float64
// that is nearest to a fraction of such numbers lies on the same side of every
// integer; that of the least number and -1 becomes the least number.
func (m *machine) divide(_ int, a, b, t, u reg.VecPhysical) {
	high := func(x, to reg.VecPhysical) {
		if m.lanes == 16 {
			VEXTRACTI64X4(Imm(1), x, half(to))
		} else {
			VEXTRACTI128(Imm(1), x, half(to))
		}
	}
	high(a, t)
	high(b, u)
	for _, v := range []reg.VecPhysical{t, u} {
		VCVTDQ2PD(half(v), v)
	}
	VDIVPD(u, t, t)
	VCVTDQ2PD(half(a), a)
	VCVTDQ2PD(half(b), u)
	VDIVPD(u, a, a)
	if m.lanes == 16 {
		VCVTTPD2DQ(a, half(a))
		VCVTTPD2DQ(t, half(t))
		VINSERTI64X4(Imm(1), half(t), a, a)
	} else {
		VCVTTPD2DQY(a, half(a))
		VCVTTPD2DQY(t, half(t))
		VINSERTI128(Imm(1), half(t), a, a)
	}
}

// integers writes the arithmetic of integers.
func (m *machine) integers() {
	for _, size := range []int{4, 8} {
		m.arithmetic(size)
		m.clipIntegers(size)
	}
}

// arithmetic writes dst = a how b; division is of 32 bits only.
func (m *machine) arithmetic(size int) {
	typ := fmt.Sprint("int", 8*size)
	m.head(fmt.Sprint("arithmetic", 8*size), "dst, a, b *"+typ+", n, stepA, stepB, how int", " is, for n units of elements,",
		"\tfor i := range dst {", "\t\tdst[i] = a[i*stepA] how b[i*stepB] // +, -, *, max, min, /", "\t}")
	dst, a, b, n, stepA, stepB, how := reg.RDI, reg.RSI, reg.RDX, reg.RCX, reg.RBX, reg.R8, reg.RAX
	ia, ib := reg.R9, reg.R10
	Load(Param("dst"), dst)
	Load(Param("a"), a)
	Load(Param("b"), b)
	Load(Param("n"), n)
	Load(Param("stepA"), stepA)
	Load(Param("stepB"), stepB)
	Load(Param("how"), how)
	unit := m.lanes * size
	IMUL3Q(U32(unit), stepA, stepA)
	IMUL3Q(U32(unit), stepB, stepB)
	XORQ(ia, ia)
	XORQ(ib, ib)
	r := m.regs
	for h, op := range arithmetics {
		if op.doc == "/" && size == 8 {
			break
		}
		Label(label("how%d", h))
		if next := h + 1; next < len(arithmetics) && (size == 4 || arithmetics[next].doc != "/") {
			CMPQ(how, Imm(uint64(h)))
			JNE(LabelRef(label("how%d", next)))
		}
		for _, k := range []int{unitsOnce, 1} {
			Label(label("turn%d_%d", h, k))
			CMPQ(n, Imm(uint64(k)))
			JLT(LabelRef(label("under%d_%d", h, k)))
			for v := range k * unit / m.bytes() {
				x, y, t, u := r[v%4], r[4+v%4], r[8+v%4], r[12+v%4]
				VMOVUPS(at(v*m.bytes(), a, ia, 1), x)
				VMOVUPS(at(v*m.bytes(), b, ib, 1), y)
				op.f(m, size, x, y, t, u)
				VMOVUPS(x, at(v*m.bytes(), dst, nil, 0))
			}
			ADDQ(U32(k*unit), dst)
			for range k {
				ADDQ(stepA, ia)
				ADDQ(stepB, ib)
			}
			SUBQ(Imm(uint64(k)), n)
			JMP(LabelRef(label("turn%d_%d", h, k)))
			Label(label("under%d_%d", h, k))
		}
		JMP(LabelRef("done"))
	}
	Label("done")
	end()
}

// clipIntegers writes dst = src within bounds.
func (m *machine) clipIntegers(size int) {
	typ := fmt.Sprint("int", 8*size)
	m.head(fmt.Sprint("clip", 8*size), "dst, src *"+typ+", n int, lo, hi "+typ, " is, for n units of elements,",
		"\tfor i := range dst {", "\t\tdst[i] = min(max(src[i], lo), hi)", "\t}")
	dst, src, n := reg.RDI, reg.RSI, reg.RCX
	Load(Param("dst"), dst)
	Load(Param("src"), src)
	Load(Param("n"), n)
	r := m.regs
	lo, hi := r[14], r[15]
	for i, to := range []reg.VecPhysical{lo, hi} {
		p, err := Param([]string{"lo", "hi"}[i]).Resolve()
		if err != nil {
			panic(err)
		}
		pick(size, VBROADCASTSS, VPBROADCASTQ)(p.Addr, to)
	}
	unit := m.lanes * size
	for _, k := range []int{unitsOnce, 1} {
		Label(label("turn%d", k))
		CMPQ(n, Imm(uint64(k)))
		JLT(LabelRef(label("under%d", k)))
		for v := range k * unit / m.bytes() {
			x, t := r[v%4], r[8+v%4]
			VMOVUPS(at(v*m.bytes(), src, nil, 0), x)
			m.greatest(size, x, lo, t)
			m.least(size, x, hi, t)
			VMOVUPS(x, at(v*m.bytes(), dst, nil, 0))
		}
		ADDQ(U32(k*unit), src)
		ADDQ(U32(k*unit), dst)
		SUBQ(Imm(uint64(k)), n)
		JMP(LabelRef(label("turn%d", k)))
		Label(label("under%d", k))
	}
	end()
}
