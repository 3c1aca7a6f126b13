package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// grids writes the loops of convolutions of single planes, row by row, and those
// that lay planes out for them.
func (m *machine) grids() {
	for v := 1; v <= 4; v++ {
		m.convGrid(columns{vectors: v})
	}
	for _, side := range []int{3, 5, 7} {
		most := (len(m.regs) - 2) / (side + 1) // the mask and a factor are in registers, too
		most = min(most, 4)
		for v := 1; v <= most; v++ {
			if m.lanes == 16 {
				m.convSlide(side, columns{vectors: v, half: true})
			}
			m.convSlide(side, columns{vectors: v})
		}
	}
	m.padRows()
	m.dealRows()
	m.interleaveRows()
}

// columns are neighbours that a block of vectors computes. The last vector may be
// half of one.
type columns struct {
	vectors int
	half    bool
}

// lanes is how many there are.
func (c columns) lanes(m *machine) int {
	n := c.vectors * m.lanes
	if c.half {
		n -= m.lanes / 2
	}
	return n
}

// of is the register for vector v.
func (c columns) of(v int, r reg.VecPhysical) reg.VecPhysical {
	if c.half && v == c.vectors-1 {
		return r.AsY().(reg.VecPhysical)
	}
	return r
}

// convGrid is a convolution of a plane: rows of places, with terms at the offsets
// of a list.
func (m *machine) convGrid(c columns) {
	name := label("convGrid%d%s", c.lanes(m), m.name)
	TEXT(name, NOSPLIT, "func(y *float32, span int, w *float32, x *float32, step int, offsets *int, depth int, bias *float32, mask *int32, rows int, planes int, nextY int, nextX int)")
	Doc(label("%s is, for depth, rows and planes >= 1 and the columns of %d vectors, of", name, c.vectors),
		"the last those that mask has, with fma rounding once, from a sum of 0,",
		"",
		"\tfor p := range planes {",
		"\t\tfor range rows {",
		"\t\t\tfor j := range columns {",
		"\t\t\t\tfor k := range depth {",
		"\t\t\t\t\tsum = fma(w[p*depth+k], x[offsets[k]+j], sum)",
		"\t\t\t\t}",
		"\t\t\t\ty[j] = bias[p] + sum",
		"\t\t\t}",
		"\t\t\ty, x = y[span:], x[step:]",
		"\t\t}",
		"\t\ty, x = y[nextY:], x[nextX:]",
		"\t}")
	Pragma("noescape")
	to, span, w, x, step := reg.RDI, reg.RSI, reg.RAX, reg.RDX, reg.RBX
	offsets, depth, bias, rows, k, o, step3, planes := reg.R8, reg.RCX, reg.R9, reg.R10, reg.R11, reg.R12, reg.R13, reg.R15
	Load(Param("mask"), o)
	load, store := m.lastMask(o)
	Load(Param("y"), to)
	loadBytes("span", span)
	Load(Param("w"), w)
	Load(Param("x"), x)
	loadBytes("step", step)
	LEAQ(at(0, step, step, 2), step3)
	Load(Param("offsets"), offsets)
	Load(Param("depth"), depth)
	Load(Param("bias"), bias)
	Load(Param("planes"), planes)
	high := 4
	if m.lanes == 8 && c.vectors == 4 {
		high = 2
	}
	column, spread := m.regs[high*c.vectors], m.regs[high*c.vectors+1]
	Label("plane")
	Load(Param("rows"), rows)
	Label("rows")
	CMPQ(rows, Imm(uint64(high)))
	JGE(LabelRef(label("tile%d", high)))
	for r := high - 1; r >= 1; r-- {
		CMPQ(rows, Imm(uint64(r)))
		JEQ(LabelRef(label("tile%d", r)))
	}
	nextPlane(to, x, o)
	LEAQ(at(0, w, depth, 4), w)
	ADDQ(Imm(4), bias)
	DECQ(planes)
	JNZ(LabelRef("plane"))
	end()
	for r := high; r >= 1; r-- {
		Label(label("tile%d", r))
		acc := m.regs[:r*c.vectors]
		for _, v := range acc {
			VXORPS(v.AsX(), v.AsX(), v.AsX())
		}
		XORQ(k, k)
		Label(label("terms%d", r))
		MOVQ(at(0, offsets, k, 8), o)
		LEAQ(at(0, x, o, 4), o)
		VBROADCASTSS(at(0, w, k, 4), spread)
		for i := range r {
			for v := range c.vectors {
				mem := []Mem{at(v*m.bytes(), o, nil, 0), at(v*m.bytes(), o, step, 1), at(v*m.bytes(), o, step, 2), at(v*m.bytes(), o, step3, 1)}[i]
				if v+1 < c.vectors {
					VFMADD231PS(mem, spread, acc[i*c.vectors+v])
				} else {
					load(mem, column)
					VFMADD231PS(column, spread, acc[i*c.vectors+v])
				}
			}
		}
		INCQ(k)
		CMPQ(k, depth)
		JLT(LabelRef(label("terms%d", r)))
		VBROADCASTSS(at(0, bias, nil, 0), spread)
		for i := range r {
			m.storeRow(c, acc[i*c.vectors:], spread, to, store)
			ADDQ(span, to)
			ADDQ(step, x)
		}
		SUBQ(Imm(uint64(r)), rows)
		JMP(LabelRef("rows"))
	}
}

// nextPlane moves on to a plane by the parameters nextY and nextX.
func nextPlane(y, x, free reg.GPPhysical) {
	Load(Param("nextY"), free)
	LEAQ(at(0, y, free, 4), y)
	Load(Param("nextX"), free)
	LEAQ(at(0, x, free, 4), x)
}

// storeRow stores sums with the bias added.
func (m *machine) storeRow(c columns, acc []reg.VecPhysical, bias reg.VecPhysical, to reg.GPPhysical, store func(Mem, reg.VecPhysical)) {
	for v := range c.vectors {
		a := c.of(v, acc[v])
		VADDPS(a, c.of(v, bias), a)
		mem := at(v*m.bytes(), to, nil, 0)
		if v+1 < c.vectors {
			VMOVUPS(a, mem)
		} else {
			store(mem, a)
		}
	}
}

// convSlide is a convolution of a plane by side x side taps that lie side by
// side, at stride 1: each row of the input is read once, for all rows of places
// that it is under.
func (m *machine) convSlide(side int, c columns) {
	name := label("convSlide%dx%d%s", side, c.lanes(m), m.name)
	TEXT(name, NOSPLIT, "func(y *float32, span int, w *float32, x *float32, step int, bias *float32, mask *int32, rows int, planes int, nextY int, nextX int)")
	Doc(label("%s is, for rows and planes >= 1 and %d columns, of the last vector those", name, c.lanes(m)),
		"that mask has, with fma rounding once, from a sum of 0,",
		"",
		"\tfor p := range planes {",
		"\t\tfor range rows {",
		"\t\t\tfor j := range columns {",
		label("\t\t\t\tfor k := range %d {", side),
		label("\t\t\t\t\tfor l := range %d {", side),
		label("\t\t\t\t\t\tsum = fma(w[p*%d+k*%d+l], x[k*step+j+l], sum)", side*side, side),
		"\t\t\t\t\t}",
		"\t\t\t\t}",
		"\t\t\t\ty[j] = bias[p] + sum",
		"\t\t\t}",
		"\t\t\ty, x = y[span:], x[step:]",
		"\t\t}",
		"\t\ty, x = y[nextY:], x[nextX:]",
		"\t}")
	Pragma("noescape")
	to, span, w, x, step, bias, rows, o := reg.RDI, reg.RSI, reg.RAX, reg.RDX, reg.RBX, reg.R9, reg.R10, reg.R12
	planes, above := reg.R8, reg.R11
	Load(Param("mask"), o)
	load, store := m.lastMask(o)
	Load(Param("y"), to)
	loadBytes("span", span)
	Load(Param("w"), w)
	Load(Param("x"), x)
	loadBytes("step", step)
	Load(Param("bias"), bias)
	Load(Param("planes"), planes)
	IMUL3Q(Imm(uint64(side-1)), step, above) // rows of the input that are read more than there are of places
	free := m.regs
	take := func(n int) []reg.VecPhysical {
		r := free[:n]
		free = free[n:]
		return r
	}
	// acc holds the sums of the rows of places that have been under 0, 1, ..
	// rows of taps.
	acc := make([][]reg.VecPhysical, side)
	for i := range acc {
		acc[i] = take(c.vectors)
	}
	column, spread := take(c.vectors), take(1)[0]
	var weights []reg.VecPhysical
	if len(free) > side*side {
		weights = take(side * side)
	}
	// row adds a row of the input to the sums of the places that it is under
	// for the first tap rows.
	row := func(under int) {
		for _, a := range acc[0] {
			VXORPS(a.AsX(), a.AsX(), a.AsX())
		}
		for l := range side {
			for v, r := range column {
				mem := at(v*m.bytes()+4*l, x, nil, 0)
				if v+1 < c.vectors {
					VMOVUPS(mem, r)
				} else {
					load(mem, c.of(v, r))
				}
			}
			for k := range under {
				s := spread
				if weights != nil {
					s = weights[k*side+l]
				} else {
					VBROADCASTSS(at(4*(k*side+l), w, nil, 0), s)
				}
				for v, r := range column {
					VFMADD231PS(c.of(v, r), c.of(v, s), c.of(v, acc[k][v]))
				}
			}
		}
		ADDQ(step, x)
	}
	shift := func() {
		for k := side - 1; k > 0; k-- {
			for v := range acc[k] {
				VMOVAPS(c.of(v, acc[k-1][v]), c.of(v, acc[k][v]))
			}
		}
	}
	Label("plane")
	Load(Param("rows"), rows)
	for i, r := range weights {
		VBROADCASTSS(at(4*i, w, nil, 0), r)
	}
	for i := range side - 1 {
		row(i + 1)
		shift()
	}
	Label("rows")
	row(side)
	VBROADCASTSS(at(0, bias, nil, 0), spread)
	m.storeRow(c, acc[side-1], spread, to, store)
	ADDQ(span, to)
	shift()
	DECQ(rows)
	JNZ(LabelRef("rows"))
	SUBQ(above, x)
	nextPlane(to, x, o)
	ADDQ(Imm(uint64(4*side*side)), w)
	ADDQ(Imm(4), bias)
	DECQ(planes)
	JNZ(LabelRef("plane"))
	end()
}

// padRows copies rows to where they have room between them.
func (m *machine) padRows() {
	name := "padRows" + m.name
	TEXT(name, NOSPLIT, "func(room *float32, pitch int, x *float32, n int, mask *int32, rows int, planes int, next int)")
	Doc(label("%s is, for n >= 1, of whose last vector mask has the elements, and", name),
		"rows and planes >= 1,",
		"",
		"\tfor range planes {",
		"\t\tfor range rows {",
		"\t\t\tcopy(room, x[:n])",
		"\t\t\troom, x = room[pitch:], x[n:]",
		"\t\t}",
		"\t\troom = room[next:]",
		"\t}")
	Pragma("noescape")
	room, pitch, x, size, rows, n, to, from := reg.RDI, reg.RSI, reg.RAX, reg.RDX, reg.R10, reg.RCX, reg.R8, reg.R12
	planes, next := reg.R9, reg.RBX
	Load(Param("mask"), to)
	load, store := m.lastMask(to)
	Load(Param("room"), room)
	loadBytes("pitch", pitch)
	Load(Param("x"), x)
	loadBytes("n", size)
	Load(Param("planes"), planes)
	loadBytes("next", next)
	v := m.regs[0]
	step := U32(uint32(m.bytes()))
	Label("plane")
	Load(Param("rows"), rows)
	Label("row")
	MOVQ(room, to)
	MOVQ(x, from)
	MOVQ(size, n)
	SUBQ(step, n)
	JLE(LabelRef("tail"))
	Label("vector")
	VMOVUPS(at(0, from, nil, 0), v)
	VMOVUPS(v, at(0, to, nil, 0))
	ADDQ(step, from)
	ADDQ(step, to)
	SUBQ(step, n)
	JG(LabelRef("vector"))
	Label("tail")
	load(at(0, from, nil, 0), v)
	store(at(0, to, nil, 0), v)
	ADDQ(size, x)
	ADDQ(pitch, room)
	DECQ(rows)
	JNZ(LabelRef("row"))
	ADDQ(next, room)
	DECQ(planes)
	JNZ(LabelRef("plane"))
	end()
}

// maskedPair gives the loads and stores of vectors at a distance in bytes that
// have the masks of the list at p, four vectors: first and second of each.
func (m *machine) maskedPair(p reg.GPPhysical) (load, store [2]func(mem Mem, v reg.VecPhysical)) {
	for i := range 4 {
		mask := m.regs[len(m.regs)-1-i]
		MOVQ(at(8*i, p, nil, 0), reg.R13)
		VMOVUPS(at(0, reg.R13, nil, 0), mask)
		k := []reg.Register{reg.K1, reg.K2, reg.K3, reg.K4}[i]
		if m.lanes == 16 {
			VPMOVD2M(mask, k)
		}
		masked := func(mem Mem, v reg.VecPhysical) {
			switch {
			case m.lanes == 8 && i < 2:
				VMASKMOVPS(mem, mask, v)
			case m.lanes == 8:
				VMASKMOVPS(v, mask, mem)
			case i < 2:
				VMOVUPS_Z(mem, k, v)
			default:
				VMOVUPS(v, k, mem)
			}
		}
		if i < 2 {
			load[i] = masked
		} else {
			store[i-2] = masked
		}
	}
	return load, store
}

// plainLoad and plainStore move a whole vector.
func plainLoad(mem Mem, v reg.VecPhysical)  { VMOVUPS(mem, v) }
func plainStore(mem Mem, v reg.VecPhysical) { VMOVUPS(v, mem) }

// order makes a vector of indices, in which f(i) is lane i.
func order(name string, f func(i int) int, r reg.VecPhysical) {
	c := GLOBL(name, RODATA|NOPTR)
	for i := range 16 {
		DATA(4*i, U32(uint32(f(i))))
	}
	VMOVUPS(c, r)
}

// dealRows takes elements of even index and of odd index of rows apart.
func (m *machine) dealRows() {
	name := "dealRows" + m.name
	TEXT(name, NOSPLIT, "func(even *float32, odd *float32, pitch int, x *float32, n int, blocks int, masks *[4]*int32, rows int, planes int, next int)")
	Doc(label("%s is, for n of up to blocks of %d, rows and planes >= 1,", name, 2*m.lanes),
		"",
		"\tfor range planes {",
		"\t\tfor range rows {",
		"\t\t\tfor i := range (n+1)/2 {",
		"\t\t\t\teven[i] = x[2*i]",
		"\t\t\t}",
		"\t\t\tfor i := range n/2 {",
		"\t\t\t\todd[i] = x[2*i+1]",
		"\t\t\t}",
		"\t\t\teven, odd, x = even[pitch:], odd[pitch:], x[n:]",
		"\t\t}",
		"\t\teven, odd = even[next:], odd[next:]",
		"\t}",
		"",
		"where blocks are 1 or more, and masks have the last one's elements: its two",
		"vectors of x, that of even and that of odd.")
	Pragma("noescape")
	even, odd, pitch, x, size, blocks, rows, n := reg.RDI, reg.RSI, reg.RBX, reg.RAX, reg.RDX, reg.R11, reg.R10, reg.RCX
	toEven, toOdd, from, planes, next := reg.R8, reg.R9, reg.R12, reg.R13, reg.R15
	Load(Param("masks"), from)
	load, store := m.maskedPair(from)
	Load(Param("even"), even)
	Load(Param("odd"), odd)
	loadBytes("pitch", pitch)
	Load(Param("x"), x)
	loadBytes("n", size)
	Load(Param("blocks"), blocks)
	Load(Param("planes"), planes)
	loadBytes("next", next)
	a, b, e, o := m.regs[0], m.regs[1], m.regs[2], m.regs[3]
	evens, odds := m.regs[4], m.regs[5]
	if m.lanes == 16 {
		order("evenElements", func(i int) int { return 2 * i }, evens)
		order("oddElements", func(i int) int { return 2*i + 1 }, odds)
	}
	block := func(load, store [2]func(Mem, reg.VecPhysical)) {
		load[0](at(0, from, nil, 0), a)
		load[1](at(m.bytes(), from, nil, 0), b)
		if m.lanes == 16 {
			VMOVAPS(a, e)
			VPERMT2PS(b, evens, e)
			VPERMT2PS(b, odds, a)
			o = a
		} else {
			VSHUFPS(Imm(0x88), b, a, e)
			VSHUFPS(Imm(0xdd), b, a, o)
			VPERMPD(Imm(0xd8), e, e)
			VPERMPD(Imm(0xd8), o, o)
		}
		store[0](at(0, toEven, nil, 0), e)
		store[1](at(0, toOdd, nil, 0), o)
	}
	Label("plane")
	Load(Param("rows"), rows)
	Label("row")
	MOVQ(even, toEven)
	MOVQ(odd, toOdd)
	MOVQ(x, from)
	MOVQ(blocks, n)
	DECQ(n)
	JZ(LabelRef("tail"))
	Label("block")
	block([2]func(Mem, reg.VecPhysical){plainLoad, plainLoad}, [2]func(Mem, reg.VecPhysical){plainStore, plainStore})
	ADDQ(U32(uint32(2*m.bytes())), from)
	ADDQ(U32(uint32(m.bytes())), toEven)
	ADDQ(U32(uint32(m.bytes())), toOdd)
	DECQ(n)
	JNZ(LabelRef("block"))
	Label("tail")
	block(load, store)
	ADDQ(size, x)
	ADDQ(pitch, even)
	ADDQ(pitch, odd)
	DECQ(rows)
	JNZ(LabelRef("row"))
	ADDQ(next, even)
	ADDQ(next, odd)
	DECQ(planes)
	JNZ(LabelRef("plane"))
	end()
}

// interleaveRows puts the elements of two rows beside each other.
func (m *machine) interleaveRows() {
	name := "interleaveRows" + m.name
	TEXT(name, NOSPLIT, "func(y *float32, span int, a *float32, b *float32, step int, blocks int, masks *[4]*int32, rows int)")
	Doc(label("%s is, for n of up to blocks of %d and rows >= 1,", name, m.lanes),
		"",
		"\tfor r := range rows {",
		"\t\tfor i := range n {",
		"\t\t\ty[r*span+2*i], y[r*span+2*i+1] = a[r*step+i], b[r*step+i]",
		"\t\t}",
		"\t}",
		"",
		"where blocks are 1 or more, and masks have the last one's elements: those of",
		"a and of b, and its two vectors of y.")
	Pragma("noescape")
	y, span, a, b, step, blocks, rows, n := reg.RDI, reg.RSI, reg.RAX, reg.RDX, reg.RBX, reg.R11, reg.R10, reg.RCX
	to, fromA, fromB := reg.R8, reg.R9, reg.R12
	Load(Param("masks"), to)
	load, store := m.maskedPair(to)
	Load(Param("y"), y)
	loadBytes("span", span)
	Load(Param("a"), a)
	Load(Param("b"), b)
	loadBytes("step", step)
	Load(Param("blocks"), blocks)
	Load(Param("rows"), rows)
	va, vb, low, high := m.regs[0], m.regs[1], m.regs[2], m.regs[3]
	lows, highs := m.regs[4], m.regs[5]
	if m.lanes == 16 {
		order("lowPairs", func(i int) int { return i/2 + i%2*16 }, lows)
		order("highPairs", func(i int) int { return 8 + i/2 + i%2*16 }, highs)
	}
	block := func(load, store [2]func(Mem, reg.VecPhysical)) {
		load[0](at(0, fromA, nil, 0), va)
		load[1](at(0, fromB, nil, 0), vb)
		first, second := low, high
		if m.lanes == 16 {
			VMOVAPS(va, low)
			VPERMT2PS(vb, lows, low)
			VPERMT2PS(vb, highs, va)
			second = va
		} else {
			VUNPCKLPS(vb, va, low)
			VUNPCKHPS(vb, va, high)
			VPERM2F128(Imm(0x20), high, low, va)
			VPERM2F128(Imm(0x31), high, low, vb)
			first, second = va, vb
		}
		store[0](at(0, to, nil, 0), first)
		store[1](at(m.bytes(), to, nil, 0), second)
	}
	Label("row")
	MOVQ(y, to)
	MOVQ(a, fromA)
	MOVQ(b, fromB)
	MOVQ(blocks, n)
	DECQ(n)
	JZ(LabelRef("tail"))
	Label("block")
	block([2]func(Mem, reg.VecPhysical){plainLoad, plainLoad}, [2]func(Mem, reg.VecPhysical){plainStore, plainStore})
	ADDQ(U32(uint32(m.bytes())), fromA)
	ADDQ(U32(uint32(m.bytes())), fromB)
	ADDQ(U32(uint32(2*m.bytes())), to)
	DECQ(n)
	JNZ(LabelRef("block"))
	Label("tail")
	block(load, store)
	ADDQ(step, a)
	ADDQ(step, b)
	ADDQ(span, y)
	DECQ(rows)
	JNZ(LabelRef("row"))
	end()
}
