package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// besideRows is the number of rows of a product that is computed beside that of
// a single row, one term for every two of the row's.
const besideRows = 16

// besides writes, for each shape of tile, the product of one row that has
// another one computed beside it. One row waits for its weights most of the
// time; the multiplications of many rows with few weights fit in there. That
// takes the registers of AVX-512: with 16 of them the few rows that fit read
// their weights so often that nothing was gained.
func besides() {
	for _, t := range avx512.tiles {
		avx512.besideProduct(t)
	}
}

// besideProduct is the product of one row with as many strips of weights as
// rowProduct takes at a time, and a vector of sums of besideRows rows.
func (m *machine) besideProduct(t tile) {
	width, n := t.vectors*m.lanes, m.rowStrips(t)
	TEXT(fmt.Sprintf("mulAddBeside%d%s", width, m.name), NOSPLIT,
		"func(sums *float32, gap int, a *float32, depth int, w *float32, lead int, y *float32, span int, x, v *float32, step, terms int)")
	Doc(fmt.Sprintf("mulAddBeside%d%s is, with fma rounding once,", width, m.name),
		"",
		fmt.Sprintf("\tfor s := range %d {", n),
		fmt.Sprintf("\t\tfor u := range %d {", width),
		"\t\t\tfor k := range depth {",
		fmt.Sprintf("\t\t\t\tsums[s*gap+u] = fma(a[k], w[s*lead+k*%d+u], sums[s*gap+u])", width),
		"\t\t\t}",
		"\t\t}",
		"\t}",
		fmt.Sprintf("\tfor r := range %d {", besideRows),
		fmt.Sprintf("\t\tfor u := range %d {", m.lanes),
		"\t\t\tfor k := range terms {",
		fmt.Sprintf("\t\t\t\ty[r*span+u] = fma(x[k*%d+r], v[k*step+u], y[r*span+u])", besideRows),
		"\t\t\t}",
		"\t\t}",
		"\t}")
	Pragma("noescape")
	wk, lead, lead3, ak, depth := reg.R10, reg.R11, reg.R12, reg.RAX, reg.RCX
	x, v, step, terms, p, by, both := reg.R8, reg.R9, reg.RBX, reg.RDX, reg.RDI, reg.RSI, reg.R13
	acc, free := m.regs[:n*t.vectors], m.regs[n*t.vectors:]
	other, free := free[:besideRows], free[besideRows:]
	eachSum := func(f func(Mem, reg.VecPhysical)) {
		Load(Param("sums"), p)
		loadBytes("gap", by)
		for s := range n {
			for i := range t.vectors {
				f(at(i*m.bytes(), p, nil, 0), acc[s*t.vectors+i])
			}
			if s+1 < n {
				ADDQ(by, p)
			}
		}
		Load(Param("y"), p)
		loadBytes("span", by)
		for r := range besideRows {
			f(at(0, p, nil, 0), other[r])
			if r+1 < besideRows {
				ADDQ(by, p)
			}
		}
	}
	term := func(u int) {
		VBROADCASTSS(at(4*u, ak, nil, 0), free[0])
		for s := range n {
			for i := range t.vectors {
				VFMADD231PS(times(u*width*4+i*m.bytes(), wk, lead, lead3, s), free[0], acc[s*t.vectors+i])
			}
		}
	}
	advance := func(terms int) {
		ADDQ(Imm(uint64(4*terms)), ak)
		ADDQ(U32(uint32(terms*4*width)), wk)
	}
	// The weights of a column are a line here and a line there, which the
	// processor does not see coming.
	otherTerm := func() {
		PREFETCHT0(at(0, v, step, 8))
		VMOVUPS(at(0, v, nil, 0), free[1])
		for r := range besideRows {
			VFMADD231PS_BCST(at(4*r, x, nil, 0), free[1], other[r])
		}
		ADDQ(Imm(4*besideRows), x)
		ADDQ(step, v)
	}
	Load(Param("a"), ak)
	Load(Param("w"), wk)
	loadBytes("lead", lead)
	LEAQ(at(0, lead, lead, 2), lead3)
	Load(Param("x"), x)
	Load(Param("v"), v)
	loadBytes("step", step)
	eachSum(func(mem Mem, v reg.VecPhysical) { VMOVUPS(mem, v) })
	Load(Param("depth"), depth)
	Load(Param("terms"), terms)
	MOVQ(depth, both)
	SHRQ(Imm(1), both)
	CMPQ(both, terms)
	CMOVQGT(terms, both)
	SUBQ(both, terms)
	SUBQ(both, depth)
	SUBQ(both, depth)
	TESTQ(both, both)
	JZ(LabelRef("alone"))
	Label("both")
	term(0)
	term(1)
	advance(2)
	otherTerm()
	DECQ(both)
	JNZ(LabelRef("both"))
	Label("alone")
	TESTQ(terms, terms)
	JZ(LabelRef("row"))
	Label("others")
	otherTerm()
	DECQ(terms)
	JNZ(LabelRef("others"))
	Label("row")
	SHRQ(Imm(1), depth)
	JCC(LabelRef("even"))
	term(0)
	advance(1)
	Label("even")
	TESTQ(depth, depth)
	JZ(LabelRef("store"))
	Label("terms")
	term(0)
	term(1)
	advance(2)
	DECQ(depth)
	JNZ(LabelRef("terms"))
	Label("store")
	eachSum(func(mem Mem, v reg.VecPhysical) { VMOVUPS(v, mem) })
	end()
}
