package main

import (
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// operator is an operator of two operands: f puts a op b in a; t and u are to
// compute in.
type operator struct {
	name, doc string
	f         func(s *constSet, a, b, t, u reg.VecPhysical)
}

// binaries writes dst = a op b over slices, and with a scalar in b's place, or
// in a's.
func (m *machine) binaries() {
	plain := func(f func(...Op)) func(s *constSet, a, b, t, u reg.VecPhysical) {
		return func(_ *constSet, a, b, _, _ reg.VecPhysical) { f(b, a, a) }
	}
	extreme := func(f func(...Op), most bool) func(s *constSet, a, b, t, u reg.VecPhysical) {
		return func(s *constSet, a, b, t, u reg.VecPhysical) {
			f(a, b, t)
			f(b, a, u)
			if most {
				VANDPS(u, t, t)
			} else {
				VORPS(u, t, t)
			}
			VADDPS(b, a, u)
			if s.m.lanes == 16 {
				VCMPPS(Imm(noNumber), b, a, reg.K1)
				VMOVAPS(u, reg.K1, t)
				VMOVAPS(t, a)
				return
			}
			VCMPPS(Imm(noNumber), b, a, a)
			VBLENDVPS(a, u, t, a)
		}
	}
	for _, op := range []operator{
		{"add", "a[i] + b[i]", plain(VADDPS)}, {"sub", "a[i] - b[i]", plain(VSUBPS)},
		{"mul", "a[i] * b[i]", plain(VMULPS)}, {"div", "a[i] / b[i]", plain(VDIVPS)},
		{"max", "max(a[i], b[i])", extreme(VMAXPS, true)}, {"min", "min(a[i], b[i])", extreme(VMINPS, false)},
		{"prelu", "a[i], times b[i] where a[i] < 0", func(s *constSet, a, b, t, u reg.VecPhysical) {
			VMULPS(b, a, t)
			VXORPS(u, u, u)
			s.blend(less, a, u, t, a, u)
		}},
	} {
		m.binary(op, "")
		m.binary(op, "VS")
		if op.name == "sub" || op.name == "div" || op.name == "prelu" {
			m.binary(op, "SV")
		}
	}
}

// binary writes an operator of two slices, or of one and a scalar: the second
// operand of VS, the first of SV.
func (m *machine) binary(op operator, form string) {
	args, doc := "dst, a, b *float32, n int", op.doc
	switch form {
	case "VS":
		args, doc = "dst, a *float32, s float32, n int", strings.ReplaceAll(doc, "b[i]", "s")
	case "SV":
		args, doc = "dst *float32, s float32, b *float32, n int", strings.ReplaceAll(doc, "a[i]", "s")
	}
	m.head(op.name+form, args, " is, for n vectors of elements,",
		"\tfor i := range dst {", "\t\tdst[i] = "+doc, "\t}")
	dst, a, b, n, i := reg.RDI, reg.RSI, reg.RDX, reg.RCX, reg.RAX
	Load(Param("dst"), dst)
	s := m.regs[12]
	if form == "SV" {
		broadcast("s", s)
	} else {
		Load(Param("a"), a)
	}
	if form == "VS" {
		broadcast("s", s)
	} else {
		Load(Param("b"), b)
	}
	Load(Param("n"), n)
	XORQ(i, i)
	set := &constSet{m: m}
	for _, k := range []int{4, 1} {
		Label(label("turn%d", k))
		CMPQ(n, Imm(uint64(k)))
		JLT(LabelRef(label("under%d", k)))
		for j := range k {
			if form == "SV" {
				VMOVAPS(s, m.regs[j])
			} else {
				VMOVUPS(at(j*m.bytes(), a, i, 1), m.regs[j])
			}
			if form != "VS" {
				VMOVUPS(at(j*m.bytes(), b, i, 1), m.regs[4+j])
			}
		}
		for j := range k {
			if form == "VS" {
				op.f(set, m.regs[j], s, m.regs[8+j], m.regs[13])
			} else {
				op.f(set, m.regs[j], m.regs[4+j], m.regs[8+j], m.regs[13])
			}
		}
		for j := range k {
			VMOVUPS(m.regs[j], at(j*m.bytes(), dst, i, 1))
		}
		ADDQ(U32(k*m.bytes()), i)
		SUBQ(Imm(uint64(k)), n)
		JMP(LabelRef(label("turn%d", k)))
		Label(label("under%d", k))
	}
	end()
}
