package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// window says to which of a tile's vectors of sums a product adds.
type window struct{ at, vectors int }

// pairShape is a tile of sums that two products add to, one after the other.
type pairShape struct {
	tile
	x, h window
}

// alike is a shape whose products add to all sums.
func alike(t tile) pairShape {
	all := window{0, t.vectors}
	return pairShape{t, all, all}
}

// pairs writes the products of inputs and states with their weights: for all
// sums of an operator's panel, and for the two forms of a GRU.
func pairs() {
	for _, i := range []int{0, 1, 3} {
		t := avx512.tiles[i]
		avx512.pair(fmt.Sprint(16*t.vectors), alike(t))
	}
	avx512.pair("GRU", pairShape{avx512.tiles[3], window{0, 3}, window{1, 3}})
	avx512.pair("Reset", pairShape{avx512.tiles[2], window{0, 3}, window{1, 2}})
}

// pair is the sum of a bias and two products, for some rows.
func (m *machine) pair(name string, s pairShape) {
	name = fmt.Sprintf("mulAddPair%s%s", name, m.name)
	width := func(w window) int { return w.vectors * m.lanes }
	TEXT(name, NOSPLIT, "func(sums *float32, span int, bias, x *float32, xPitch, xDepth int, xw, h *float32, hPitch, hDepth int, hw *float32, rows int)")
	doc := []string{
		fmt.Sprintf("%s is, for 1 <= rows <= %d, with fma rounding once,", name, s.rows),
		"",
		"\tfor r := range rows {",
		fmt.Sprintf("\t\tcopy(sums[r*span:][:%d], bias)", s.vectors*m.lanes),
	}
	for _, p := range []struct {
		name string
		window
	}{{"x", s.x}, {"h", s.h}} {
		doc = append(doc,
			fmt.Sprintf("\t\tfor k := range %sDepth {", p.name),
			fmt.Sprintf("\t\t\tfor u := range %d {", width(p.window)),
			fmt.Sprintf("\t\t\t\tsums[r*span+%d+u] = fma(%s[r*%sPitch+k], %sw[k*%d+u], sums[r*span+%d+u])",
				p.at*m.lanes, p.name, p.name, p.name, width(p.window), p.at*m.lanes),
			"\t\t\t}",
			"\t\t}")
	}
	Doc(append(doc, "\t}")...)
	Pragma("noescape")
	sums, span, x := reg.RDI, reg.RSI, reg.R13
	Load(Param("rows"), x)
	for r := 1; r < s.rows; r++ {
		CMPQ(x, Imm(uint64(r)))
		JEQ(LabelRef(label("tile%d", r)))
	}
	for r := s.rows; r >= 1; r-- {
		Label(label("tile%d", r))
		acc := m.regs[:r*s.vectors]
		Load(Param("bias"), x)
		for v := range s.vectors {
			VMOVUPS(at(v*m.bytes(), x, nil, 0), acc[v])
		}
		for i := s.vectors; i < len(acc); i++ {
			VMOVAPS(acc[i%s.vectors], acc[i])
		}
		m.pairTerms("x", s, s.x, r)
		m.pairTerms("h", s, s.h, r)
		Load(Param("sums"), sums)
		loadBytes("span", span)
		for i, v := range acc {
			if i > 0 && i%s.vectors == 0 {
				ADDQ(span, sums)
			}
			VMOVUPS(v, at(i%s.vectors*m.bytes(), sums, nil, 0))
		}
		end()
	}
}

// pairTerms adds the product of an operand, x or h, of r rows.
func (m *machine) pairTerms(name string, s pairShape, to window, r int) {
	pitch, w, depth, x := reg.RBX, reg.R10, reg.RCX, reg.R13
	a := []reg.GPPhysical{reg.RAX, reg.RDX, reg.R8, reg.R9} // rows 0, 3, 6, 9
	sum := func(i, v int) reg.VecPhysical { return m.regs[i*s.vectors+to.at+v] }
	free := m.regs[r*s.vectors:]
	weights, spread := free[:to.vectors], free[to.vectors:]
	spread = spread[:min(len(spread), 4)]
	bytes := to.vectors * m.bytes()
	Load(Param(name), a[0])
	loadBytes(name+"Pitch", pitch)
	Load(Param(name+"Depth"), depth)
	Load(Param(name+"w"), w)
	if r > 3 {
		LEAQ(at(0, pitch, pitch, 2), x)
		for i := 1; 3*i < r; i++ {
			LEAQ(at(0, a[i-1], x, 1), a[i])
		}
	}
	term := func(u int) {
		for v, vector := range weights {
			VMOVUPS(at(u*bytes+v*m.bytes(), w, nil, 0), vector)
		}
		for i := range r {
			from := at(4*u, a[i/3], nil, 0)
			if i%3 > 0 {
				from = at(4*u, a[i/3], pitch, uint8(i%3))
			}
			element := spread[i%len(spread)]
			VBROADCASTSS(from, element)
			for v, vector := range weights {
				VFMADD231PS(vector, element, sum(i, v))
			}
		}
	}
	advance := func(n int) {
		for i := 0; 3*i < r; i++ {
			ADDQ(Imm(uint64(4*n)), a[i])
		}
		ADDQ(U32(uint32(n*bytes)), w)
	}
	MOVQ(depth, x)
	SHRQ(Imm(2), x)
	JZ(LabelRef(label("%sRest%d", name, r)))
	Label(label("%sTerms%d", name, r))
	for u := range unroll {
		term(u)
	}
	advance(unroll)
	DECQ(x)
	JNZ(LabelRef(label("%sTerms%d", name, r)))
	Label(label("%sRest%d", name, r))
	ANDQ(Imm(unroll-1), depth)
	JZ(LabelRef(label("%sDone%d", name, r)))
	Label(label("%sTerm%d", name, r))
	term(0)
	advance(1)
	DECQ(depth)
	JNZ(LabelRef(label("%sTerm%d", name, r)))
	Label(label("%sDone%d", name, r))
}
