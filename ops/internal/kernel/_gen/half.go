package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// halves writes what reads weights of float16. VCVTPH2PS of sixteen takes some
// processors four times as long as of eight, and keeps the product waiting
// even where its weights come from memory.
func halves() {
	for _, m := range []*machine{&avx2, &narrow512} {
		m.widenHalf()
		for _, t := range m.tiles {
			m.rowProductHalf(t)
			m.fewProduct(t, 2)
		}
	}
}

// widenHalf makes float32 of float16.
func (m *machine) widenHalf() {
	TEXT("widenHalf"+m.name, NOSPLIT, "func(dst *float32, src *uint16, n int)")
	Doc(fmt.Sprintf("widenHalf%s is, for a multiple n of 16,", m.name),
		"",
		"\tfor i := range n {",
		"\t\tdst[i] = float32 of the float16 src[i]",
		"\t}")
	Pragma("noescape")
	dst, src, n := reg.RDI, reg.RSI, reg.RCX
	Load(Param("dst"), dst)
	Load(Param("src"), src)
	Load(Param("n"), n)
	SHRQ(Imm(4), n)
	JZ(LabelRef("done"))
	Label("sixteen")
	for v := range 16 / m.lanes {
		VCVTPH2PS(at(v*m.bytes()/2, src, nil, 0), m.regs[v])
		VMOVUPS(m.regs[v], at(v*m.bytes(), dst, nil, 0))
	}
	ADDQ(Imm(32), src)
	ADDQ(Imm(64), dst)
	DECQ(n)
	JNZ(LabelRef("sixteen"))
	Label("done")
	end()
}

// rowProductHalf is rowProduct with weights of float16.
func (m *machine) rowProductHalf(t tile) {
	width, most := t.vectors*m.lanes, m.rowStrips(t)
	TEXT(fmt.Sprintf("mulAddRowHalf%d%s", width, m.name), NOSPLIT, "func(sums *float32, gap int, a *float32, depth int, w *uint16, strips int)")
	Doc(fmt.Sprintf("mulAddRowHalf%d%s is, with fma rounding once and w of float16,", width, m.name),
		"",
		"\tfor s := range strips {",
		fmt.Sprintf("\t\tfor u := range %d {", width),
		"\t\t\tfor k := range depth {",
		fmt.Sprintf("\t\t\t\tsums[s*gap+u] = fma(a[k], float32(w[(s*depth+k)*%d+u]), sums[s*gap+u])", width),
		"\t\t\t}",
		"\t\t}",
		"\t}")
	Pragma("noescape")
	sums, gap, a, w, lead, lead3 := reg.RDI, reg.RSI, reg.RAX, reg.R10, reg.R11, reg.R12
	depth, strips, x, wk, ak := reg.RCX, reg.R13, reg.R8, reg.R9, reg.RDX
	Load(Param("sums"), sums)
	loadBytes("gap", gap)
	Load(Param("a"), a)
	Load(Param("depth"), depth)
	Load(Param("w"), w)
	Load(Param("strips"), strips)
	IMUL3Q(Imm(uint64(2*width)), depth, lead)
	LEAQ(at(0, lead, lead, 2), lead3)
	for n := most; n >= 1; n-- {
		Label(label("strips%d", n))
		CMPQ(strips, Imm(uint64(n)))
		JLT(LabelRef(label("under%d", n)))
		acc := m.regs[:n*t.vectors]
		wide := m.regs[len(acc) : len(m.regs)-2]
		each := func(f func(Mem, reg.VecPhysical)) {
			MOVQ(sums, x)
			for s := range n {
				for v := range t.vectors {
					f(at(v*m.bytes(), x, nil, 0), acc[s*t.vectors+v])
				}
				if s+1 < n {
					ADDQ(gap, x)
				}
			}
		}
		each(func(mem Mem, v reg.VecPhysical) { VMOVUPS(mem, v) })
		MOVQ(w, wk)
		MOVQ(a, ak)
		next := 0
		term := func(u int) {
			to := m.regs[len(m.regs)-1-u%2]
			VBROADCASTSS(at(4*u, ak, nil, 0), to)
			for s := range n {
				for v := range t.vectors {
					mem := m.strip(0, s, wk, lead, lead3)
					mem.Disp += 2*width*u + v*m.bytes()/2
					weights := wide[next%len(wide)]
					next++
					VCVTPH2PS(mem, weights)
					VFMADD231PS(weights, to, acc[s*t.vectors+v])
				}
			}
		}
		advance := func(terms int) {
			ADDQ(U32(uint32(2*width*terms)), wk)
			ADDQ(Imm(uint64(4*terms)), ak)
		}
		MOVQ(depth, x)
		SHRQ(Imm(2), x)
		JZ(LabelRef(label("rest%d", n)))
		Label(label("terms%d", n))
		for u := range unroll {
			term(u)
		}
		advance(unroll)
		DECQ(x)
		JNZ(LabelRef(label("terms%d", n)))
		Label(label("rest%d", n))
		MOVQ(depth, x)
		ANDQ(Imm(unroll-1), x)
		JZ(LabelRef(label("store%d", n)))
		Label(label("term%d", n))
		term(0)
		advance(1)
		DECQ(x)
		JNZ(LabelRef(label("term%d", n)))
		Label(label("store%d", n))
		each(func(mem Mem, v reg.VecPhysical) { VMOVUPS(v, mem) })
		for _, by := range [][2]reg.GPPhysical{{sums, gap}, {w, lead}} {
			if n == 3 {
				ADDQ(by[1], by[0])
			}
			LEAQ(at(0, by[0], by[1], map[int]uint8{1: 1, 2: 2, 3: 2, 4: 4}[n]), by[0])
		}
		SUBQ(Imm(uint64(n)), strips)
		JMP(LabelRef(label("strips%d", n)))
		Label(label("under%d", n))
	}
	end()
}
