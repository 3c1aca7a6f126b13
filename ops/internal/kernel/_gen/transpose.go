package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// transpose8 turns blocks of 8 rows of 8.
func transpose8() {
	TEXT("transpose8", NOSPLIT, "func(dst *float32, dstStep int, src *float32, srcStep, blocks int)")
	Doc("transpose8 is, with AVX2,", "",
		"\tfor u := range 8 {",
		"\t\tfor p := range 8 * blocks {",
		"\t\t\tdst[p*dstStep+u] = src[u*srcStep+p]",
		"\t\t}",
		"\t}")
	Pragma("noescape")
	dst, to, src, from, n, from3, hi, to3, low := reg.RDI, reg.RSI, reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.R8, reg.R9, reg.R10
	Load(Param("dst"), dst)
	loadBytes("dstStep", to)
	Load(Param("src"), src)
	loadBytes("srcStep", from)
	Load(Param("blocks"), n)
	LEAQ(at(0, from, from, 2), from3)
	LEAQ(at(0, to, to, 2), to3)
	LEAQ(at(0, src, from, 4), hi)
	lines := func(a, b, step, step3 reg.Register) []Mem {
		var m []Mem
		for _, base := range []reg.Register{a, b} {
			m = append(m, at(0, base, nil, 0), at(0, base, step, 1), at(0, base, step, 2), at(0, base, step3, 1))
		}
		return m
	}
	y := avx2.regs
	Label("block")
	for i, m := range lines(src, hi, from, from3) {
		VMOVUPS(m, y[i])
	}
	for i := 0; i < 8; i += 2 { // pairs of rows
		VUNPCKLPS(y[i+1], y[i], y[8+i])
		VUNPCKHPS(y[i+1], y[i], y[9+i])
	}
	for i := 0; i < 8; i += 4 { // fours of rows: columns 0 4, 1 5, 2 6, 3 7
		VSHUFPS(Imm(0x44), y[10+i], y[8+i], y[i])
		VSHUFPS(Imm(0xee), y[10+i], y[8+i], y[i+1])
		VSHUFPS(Imm(0x44), y[11+i], y[9+i], y[i+2])
		VSHUFPS(Imm(0xee), y[11+i], y[9+i], y[i+3])
	}
	for i := range 4 {
		VPERM2F128(Imm(0x20), y[4+i], y[i], y[8+i])
		VPERM2F128(Imm(0x31), y[4+i], y[i], y[12+i])
	}
	LEAQ(at(0, dst, to, 4), low)
	for i, m := range lines(dst, low, to, to3) {
		VMOVUPS(y[8+i], m)
	}
	ADDQ(Imm(32), src)
	ADDQ(Imm(32), hi)
	LEAQ(at(0, dst, to, 8), dst)
	DECQ(n)
	JNZ(LabelRef("block"))
	end()
}
