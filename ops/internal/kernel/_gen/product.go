package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// products writes the matrix products for each shape of tile.
func (m *machine) products() {
	for _, t := range m.tiles {
		m.product(t)
		m.rowProduct(t)
	}
}

// unroll is the number of terms of a sum in one turn of the inner loops.
const unroll = 4

// product is the product of some rows with a strip of weights.
func (m *machine) product(t tile) {
	width := t.vectors * m.lanes
	TEXT(fmt.Sprintf("mulAdd%d%s", width, m.name), NOSPLIT, "func(sums *float32, span int, a *float32, pitch, depth int, w *float32, step, rows int)")
	Doc(fmt.Sprintf("mulAdd%d%s is, for 1 <= rows <= %d, with fma rounding once,", width, m.name, t.rows),
		"",
		"\tfor r := range rows {",
		fmt.Sprintf("\t\tfor u := range %d {", width),
		"\t\t\tfor k := range depth {",
		"\t\t\t\tsums[r*span+u] = fma(a[r*pitch+k], w[k*step+u], sums[r*span+u])",
		"\t\t\t}",
		"\t\t}",
		"\t}")
	Pragma("noescape")
	sums, span, pitch, w, step, step3 := reg.RDI, reg.RSI, reg.RBX, reg.R10, reg.R11, reg.R12
	a := []reg.GPPhysical{reg.RAX, reg.RDX, reg.R8, reg.R9} // rows 0, 3, 6, 9
	depth, x := reg.RCX, reg.R13
	Load(Param("sums"), sums)
	loadBytes("span", span)
	Load(Param("a"), a[0])
	loadBytes("pitch", pitch)
	Load(Param("depth"), depth)
	Load(Param("w"), w)
	loadBytes("step", step)
	LEAQ(at(0, step, step, 2), step3)
	LEAQ(at(0, pitch, pitch, 2), x)
	for i := 1; 3*i < t.rows; i++ {
		LEAQ(at(0, a[i-1], x, 1), a[i])
	}
	Load(Param("rows"), x)
	for r := 1; r < t.rows; r++ {
		CMPQ(x, Imm(uint64(r)))
		JEQ(LabelRef(label("tile%d", r)))
	}
	for r := t.rows; r >= 1; r-- {
		Label(label("tile%d", r))
		acc := m.regs[:r*t.vectors]
		weights := m.regs[len(acc):][:t.vectors]
		spread := m.regs[len(acc)+t.vectors:]
		spread = spread[:min(len(spread), 4)]
		eachSum := func(f func(Mem, reg.VecPhysical)) {
			MOVQ(sums, x)
			for i := range r {
				for v := range t.vectors {
					f(at(v*m.bytes(), x, nil, 0), acc[i*t.vectors+v])
				}
				if i+1 < r {
					ADDQ(span, x)
				}
			}
		}
		term := func(u int) {
			for v, to := range weights {
				VMOVUPS(m.strip(v, u, w, step, step3), to)
			}
			for i := range r {
				row := at(4*u, a[i/3], nil, 0)
				if i%3 > 0 {
					row = at(4*u, a[i/3], pitch, uint8(i%3))
				}
				to := spread[i%len(spread)]
				VBROADCASTSS(row, to)
				for v := range t.vectors {
					VFMADD231PS(weights[v], to, acc[i*t.vectors+v])
				}
			}
		}
		advance := func(n int) {
			for i := 0; 3*i < r; i++ {
				ADDQ(Imm(uint64(4*n)), a[i])
			}
			if n == 1 {
				ADDQ(step, w)
			} else {
				LEAQ(at(0, w, step, uint8(n)), w)
			}
		}
		eachSum(func(mem Mem, v reg.VecPhysical) { VMOVUPS(mem, v) })
		MOVQ(depth, x)
		SHRQ(Imm(2), x)
		JZ(LabelRef(label("rest%d", r)))
		Label(label("terms%d", r))
		for u := range unroll {
			term(u)
		}
		advance(unroll)
		DECQ(x)
		JNZ(LabelRef(label("terms%d", r)))
		Label(label("rest%d", r))
		MOVQ(depth, x)
		ANDQ(Imm(unroll-1), x)
		JZ(LabelRef(label("store%d", r)))
		Label(label("term%d", r))
		term(0)
		advance(1)
		DECQ(x)
		JNZ(LabelRef(label("term%d", r)))
		Label(label("store%d", r))
		eachSum(func(mem Mem, v reg.VecPhysical) { VMOVUPS(v, mem) })
		end()
	}
}

// strip is vector v of row u of the weights.
func (m *machine) strip(v, u int, w, step, step3 reg.GPPhysical) Mem {
	switch u {
	case 0:
		return at(v*m.bytes(), w, nil, 0)
	case 3:
		return at(v*m.bytes(), w, step3, 1)
	}
	return at(v*m.bytes(), w, step, uint8(u))
}

// rowStrips is how many strips of a shape a single row takes at a time: enough
// sums for the multiply-adds in flight.
func (m *machine) rowStrips(t tile) int {
	if t.vectors > 2 {
		return 2
	}
	return 4
}

// rowProduct is the product of one row with several strips of weights.
func (m *machine) rowProduct(t tile) {
	width, most := t.vectors*m.lanes, m.rowStrips(t)
	TEXT(fmt.Sprintf("mulAddRow%d%s", width, m.name), NOSPLIT, "func(sums *float32, gap int, a *float32, depth int, w *float32, lead, step, strips int)")
	Doc(fmt.Sprintf("mulAddRow%d%s is, with fma rounding once,", width, m.name),
		"",
		"\tfor s := range strips {",
		fmt.Sprintf("\t\tfor u := range %d {", width),
		"\t\t\tfor k := range depth {",
		"\t\t\t\tsums[s*gap+u] = fma(a[k], w[s*lead+k*step+u], sums[s*gap+u])",
		"\t\t\t}",
		"\t\t}",
		"\t}")
	Pragma("noescape")
	sums, gap, a, w, lead, lead3, step := reg.RDI, reg.RSI, reg.RAX, reg.R10, reg.R11, reg.R12, reg.RBX
	depth, strips, x, wk, ak := reg.RCX, reg.R13, reg.R8, reg.R9, reg.RDX
	Load(Param("sums"), sums)
	loadBytes("gap", gap)
	Load(Param("a"), a)
	Load(Param("depth"), depth)
	Load(Param("w"), w)
	loadBytes("lead", lead)
	loadBytes("step", step)
	Load(Param("strips"), strips)
	LEAQ(at(0, lead, lead, 2), lead3)
	for n := most; n >= 1; n-- {
		Label(label("strips%d", n))
		CMPQ(strips, Imm(uint64(n)))
		JLT(LabelRef(label("under%d", n)))
		acc := m.regs[:n*t.vectors]
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
		term := func(u int) {
			to := m.regs[len(m.regs)-1-u%2]
			VBROADCASTSS(at(4*u, ak, nil, 0), to)
			for s := range n {
				for v := range t.vectors {
					VFMADD231PS(m.strip(v, s, wk, lead, lead3), to, acc[s*t.vectors+v])
				}
			}
			ADDQ(step, wk)
		}
		MOVQ(depth, x)
		SHRQ(Imm(1), x)
		JZ(LabelRef(label("rest%d", n)))
		Label(label("terms%d", n))
		term(0)
		term(1)
		ADDQ(Imm(8), ak)
		DECQ(x)
		JNZ(LabelRef(label("terms%d", n)))
		Label(label("rest%d", n))
		TESTQ(U32(1), depth)
		JZ(LabelRef(label("store%d", n)))
		term(0)
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
