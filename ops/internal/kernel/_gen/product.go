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
		m.fewProduct(t, 4)
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
	if t.vectors*m.lanes > 32 {
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
		forward(n, sums, gap)
		forward(n, w, lead)
		SUBQ(Imm(uint64(n)), strips)
		JMP(LabelRef(label("strips%d", n)))
		Label(label("under%d", n))
	}
	end()
}

// fewRows is the number of rows that fewProduct takes at most.
const fewRows = 4

// fewStrips is how many strips of a shape some rows take at a time: enough
// sums for the multiply-adds in flight, as far as there are registers.
func (m *machine) fewStrips(t tile, rows int) int {
	if len(m.regs) == 16 { // rows*vectors of 12 sums; four rows halve the three strips
		return map[int]int{2: 3, 3: 2, 4: 3}[rows]
	}
	return max(1, min(4, 7-rows, 16/(rows*t.vectors)))
}

// fewVector is a vector of a strip.
type fewVector struct{ strip, vector int }

// fewGroups cuts the vectors of n strips into groups whose sums fit the
// registers, beside an element of a row and the vectors themselves.
func (m *machine) fewGroups(t tile, rows, n int) [][]fewVector {
	var all []fewVector
	for s := range n {
		for v := range t.vectors {
			all = append(all, fewVector{s, v})
		}
	}
	size := len(all)
	for rows*size+min(rows, size)+1 > len(m.regs) {
		size /= 2
	}
	var groups [][]fewVector
	for ; len(all) > 0; all = all[min(size, len(all)):] {
		groups = append(groups, all[:min(size, len(all))])
	}
	return groups
}

// fewProduct is the product of two to four rows with several strips of
// weights, of float32 or of float16 by their size in bytes.
func (m *machine) fewProduct(t tile, size int) {
	width := t.vectors * m.lanes
	name, of, weight, and := "mulAddFew", "*float32", fmt.Sprintf("w[s*lead+k*%d+u]", width), ""
	if size == 2 {
		name, of, weight, and = "mulAddFewHalf", "*uint16", "float32("+weight+")", " and w of float16"
	}
	name += fmt.Sprint(width) + m.name
	TEXT(name, NOSPLIT, "func(sums *float32, gap, span int, a *float32, pitch, depth int, w "+of+", lead, strips, rows int)")
	Doc(fmt.Sprintf("%s is, for 2 <= rows <= %d, with fma rounding once%s,", name, fewRows, and),
		"",
		"\tfor s := range strips {",
		"\t\tfor r := range rows {",
		fmt.Sprintf("\t\t\tfor u := range %d {", width),
		"\t\t\t\tfor k := range depth {",
		fmt.Sprintf("\t\t\t\t\tsums[r*span+s*gap+u] = fma(a[r*pitch+k], %s, sums[r*span+s*gap+u])", weight),
		"\t\t\t\t}",
		"\t\t\t}",
		"\t\t}",
		"\t}")
	Pragma("noescape")
	g := fewRegisters{sums: reg.RDI, gap: reg.RSI, span: reg.R15, a: reg.RAX, pitch: reg.RBX, w: reg.R10, lead: reg.R11, triple: reg.R12,
		depth: reg.RCX, strips: reg.R13, x: reg.R8, wk: reg.R9, ak: reg.RDX, size: size}
	Load(Param("sums"), g.sums)
	loadBytes("gap", g.gap)
	loadBytes("span", g.span)
	Load(Param("a"), g.a)
	loadBytes("pitch", g.pitch)
	Load(Param("depth"), g.depth)
	Load(Param("w"), g.w)
	loadBytes("lead", g.lead)
	if size == 2 {
		SHRQ(Imm(1), g.lead)
	}
	Load(Param("strips"), g.strips)
	Load(Param("rows"), g.x)
	for rows := 3; rows <= fewRows; rows++ {
		CMPQ(g.x, Imm(uint64(rows)))
		JEQ(LabelRef(label("rows%d", rows)))
	}
	for rows := 2; rows <= fewRows; rows++ {
		Label(label("rows%d", rows))
		by := g.lead
		if rows == 4 {
			by = g.pitch
		}
		LEAQ(at(0, by, by, 2), g.triple)
		for n := m.fewStrips(t, rows); n >= 1; n-- {
			m.fewTile(t, rows, n, &g)
		}
		end()
	}
}

// fewRegisters are those of fewProduct. triple is three times lead, and of four
// rows, which take at most three strips at a time, three times pitch. size is the
// bytes of a weight.
type fewRegisters struct {
	sums, gap, span, a, pitch, w, lead, triple, depth, strips, x, wk, ak reg.GPPhysical

	size int
}

// load loads a vector of weights.
func (g *fewRegisters) load(from Mem, to reg.VecPhysical) {
	if g.size == 2 {
		VCVTPH2PS(from, to)
		return
	}
	VMOVUPS(from, to)
}

// fewTile computes n strips of some rows at a time, while there are as many.
func (m *machine) fewTile(t tile, rows, n int, g *fewRegisters) {
	name := func(part string) string { return label("rows%d_"+part+"%d", rows, n) }
	Label(name("strips"))
	CMPQ(g.strips, Imm(uint64(n)))
	JLT(LabelRef(name("under")))
	for i, group := range m.fewGroups(t, rows, n) {
		m.fewGroup(t, rows, group, g, func(part string) string { return name(fmt.Sprintf("%s%d_", part, i)) })
	}
	forward(n, g.sums, g.gap)
	forward(n, g.w, g.lead)
	SUBQ(Imm(uint64(n)), g.strips)
	JMP(LabelRef(name("strips")))
	Label(name("under"))
}

// fewGroup computes a group of vectors of some rows.
func (m *machine) fewGroup(t tile, rows int, group []fewVector, g *fewRegisters, name func(string) string) {
	bytes := m.lanes * g.size
	width := t.vectors * bytes
	acc := func(r, i int) reg.VecPhysical { return m.regs[r*len(group)+i] }
	free := m.regs[rows*len(group):]
	each := func(f func(Mem, reg.VecPhysical)) {
		MOVQ(g.sums, g.x)
		strip := 0
		for i, v := range group {
			for ; strip < v.strip; strip++ {
				ADDQ(g.gap, g.x)
			}
			for r := range min(rows, 3) {
				f(times(v.vector*m.bytes(), g.x, g.span, nil, r), acc(r, i))
			}
		}
		if rows < 4 {
			return
		}
		MOVQ(g.sums, g.x)
		ADDQ(g.span, g.x)
		LEAQ(at(0, g.x, g.span, 2), g.x)
		for i, v := range group {
			f(times(v.vector*m.bytes(), g.x, g.gap, nil, v.strip), acc(3, i))
		}
	}
	weight := func(u int, v fewVector) Mem {
		return times(u*width+v.vector*bytes, g.wk, g.lead, g.triple, v.strip)
	}
	element := func(u, r int) Mem { return times(4*u, g.ak, g.pitch, g.triple, r) }
	term := func(u int) {
		if len(group) <= rows { // weights stay in registers, elements come one after the other
			for i, v := range group {
				g.load(weight(u, v), free[i])
			}
			spread := free[len(group):]
			for r := range rows {
				to := spread[r%len(spread)]
				VBROADCASTSS(element(u, r), to)
				for i := range group {
					VFMADD231PS(free[i], to, acc(r, i))
				}
			}
			return
		}
		for r := range rows {
			VBROADCASTSS(element(u, r), free[r])
		}
		weights := free[rows:]
		for i, v := range group {
			to := weights[i%min(len(weights), 4)]
			g.load(weight(u, v), to)
			for r := range rows {
				VFMADD231PS(to, free[r], acc(r, i))
			}
		}
	}
	each(func(mem Mem, v reg.VecPhysical) { VMOVUPS(mem, v) })
	MOVQ(g.w, g.wk)
	MOVQ(g.a, g.ak)
	MOVQ(g.depth, g.x)
	SHRQ(Imm(1), g.x)
	JZ(LabelRef(name("rest")))
	Label(name("terms"))
	term(0)
	term(1)
	ADDQ(Imm(8), g.ak)
	ADDQ(U32(2*width), g.wk)
	DECQ(g.x)
	JNZ(LabelRef(name("terms")))
	Label(name("rest"))
	TESTQ(U32(1), g.depth)
	JZ(LabelRef(name("store")))
	term(0)
	Label(name("store"))
	each(func(mem Mem, v reg.VecPhysical) { VMOVUPS(v, mem) })
}

// times is disp bytes past base plus n <= 3 times a distance; triple is three
// times the distance.
func times(disp int, base, distance, triple reg.GPPhysical, n int) Mem {
	switch n {
	case 0:
		return at(disp, base, nil, 0)
	case 3:
		return at(disp, base, triple, 1)
	}
	return at(disp, base, distance, uint8(n))
}

// forward moves p by n <= 4 times a distance.
func forward(n int, p, by reg.GPPhysical) {
	if n == 3 {
		ADDQ(by, p)
		n = 2
	}
	LEAQ(at(0, p, by, uint8(n)), p)
}
