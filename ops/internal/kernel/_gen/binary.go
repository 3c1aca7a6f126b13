package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// binaries writes dst = a op b over slices, and with a scalar in b's place.
func (m *machine) binaries() {
	for _, op := range []struct {
		name, sign string
		f          func(...Op)
	}{{"add", "+", VADDPS}, {"sub", "-", VSUBPS}, {"mul", "*", VMULPS}, {"div", "/", VDIVPS}} {
		m.binary(op.name, op.sign, op.f, false)
		m.binary(op.name, op.sign, op.f, true)
	}
}

func (m *machine) binary(name, sign string, f func(...Op), scalar bool) {
	args, by := "dst, a, b *float32, n int", "b[i]"
	if scalar {
		name, args, by = name+"VS", "dst, a *float32, s float32, n int", "s"
	}
	m.head(name, args, " is, for n vectors of elements,",
		"\tfor i := range dst {", fmt.Sprintf("\t\tdst[i] = a[i] %s %s", sign, by), "\t}")
	dst, a, b, n, i := reg.RDI, reg.RSI, reg.RDX, reg.RCX, reg.RAX
	Load(Param("dst"), dst)
	Load(Param("a"), a)
	s := m.regs[4]
	if scalar {
		broadcast("s", s)
	} else {
		Load(Param("b"), b)
	}
	Load(Param("n"), n)
	XORQ(i, i)
	for _, k := range []int{4, 1} {
		Label(label("turn%d", k))
		CMPQ(n, Imm(uint64(k)))
		JLT(LabelRef(label("under%d", k)))
		for j := range k {
			VMOVUPS(at(j*m.bytes(), a, i, 1), m.regs[j])
		}
		for j := range k {
			if scalar {
				f(s, m.regs[j], m.regs[j])
			} else {
				f(at(j*m.bytes(), b, i, 1), m.regs[j], m.regs[j])
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
