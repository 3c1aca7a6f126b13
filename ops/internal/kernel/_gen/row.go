package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A function of this file does many rows of one length, which lie one after the
// other. What a row has behind its last whole vector goes through a vector with
// a mask: the loads of the other lanes do not happen, and their sums stay. But what
// loads the next row waits for such a store, even where its mask leaves that row
// alone; so functions that store, of rows as long as a vector, do the last vector's
// elements twice where they can.

// tailMask has as many ones as a mask can have, and then zeros.
func tailMask() Mem {
	if m, ok := constants["tail mask"]; ok {
		return m
	}
	m := GLOBL("tailMask", RODATA|NOPTR)
	for i := range 16 {
		v := uint32(0)
		if i < 8 {
			v = 1<<32 - 1
		}
		DATA(4*i, U32(v))
	}
	constants["tail mask"] = m
	return m
}

// maskOf makes a mask of the first t lanes, K2 or the vector v; t and g are
// spoiled.
func (m *machine) maskOf(t, g reg.GPPhysical, v reg.VecPhysical) {
	if m.lanes == 16 {
		MOVQ(t, reg.RCX)
		MOVQ(U32(1), g)
		SHLQ(reg.CL, g)
		DECQ(g)
		KMOVW(g.As32(), reg.K2)
		return
	}
	LEAQ(tailMask(), g)
	NEGQ(t)
	VMOVUPS(Mem{Base: g, Index: t, Scale: 4, Disp: 32}, v)
}

// loadFirst loads the lanes of the mask; the others are zero.
func (m *machine) loadFirst(from Mem, v, to reg.VecPhysical) {
	if m.lanes == 16 {
		VMOVUPS_Z(from, reg.K2, to)
	} else {
		VMASKMOVPS(from, v, to)
	}
}

func (m *machine) storeFirst(x, v reg.VecPhysical, to Mem) {
	if m.lanes == 16 {
		VMOVUPS(x, reg.K2, to)
	} else {
		VMASKMOVPS(x, v, to)
	}
}

// half is a register's lower half, quarter that of 256 bits.
func half(r reg.VecPhysical) reg.VecPhysical {
	if r.Size() == 64 {
		return r.AsY().(reg.VecPhysical)
	}
	return r.AsX().(reg.VecPhysical)
}

func xmm(r reg.VecPhysical) reg.VecPhysical { return r.AsX().(reg.VecPhysical) }

// lanesSum makes the sum of 8 lanes in the lowest element of s[0], as
// Lanes.Sum has it.
func (m *machine) lanesSum(s []reg.VecPhysical, t reg.VecPhysical) {
	y, ty := s[0].AsY().(reg.VecPhysical), t.AsY().(reg.VecPhysical)
	if m.lanes == 16 {
		VEXTRACTF64X4(Imm(1), s[0], ty)
		VADDPD(ty, y, y)
	} else {
		VADDPD(s[1], s[0], s[0])
	}
	if m.lanes == 16 {
		VEXTRACTF64X2(Imm(1), y, xmm(t))
	} else {
		VEXTRACTF128(Imm(1), y, xmm(t))
	}
	VADDPD(xmm(t), xmm(y), xmm(y))
	VPERMILPD(Imm(1), xmm(y), xmm(t))
	VADDSD(xmm(t), xmm(y), xmm(y))
}

// wideTerm makes the term of elements of float64 of them.
type wideTerm struct {
	name, doc string
	f         func(x, mean reg.VecPhysical)
}

func (m *machine) terms() []wideTerm {
	return []wideTerm{
		{"Values", "float64(x[i])", func(_, _ reg.VecPhysical) {}},
		{"Squares", "(float64(x[i]) - mean) * (float64(x[i]) - mean)", func(x, mean reg.VecPhysical) {
			VSUBPD(mean, x, x)
			VMULPD(x, x, x)
		}},
		{"Magnitudes", "|float64(x[i])|", func(x, mean reg.VecPhysical) { VANDPD(mean, x, x) }},
	}
}

// rows writes the functions, the sums of 256 bits alone: see accumulate.
func rows() {
	for _, t := range avx2.terms() {
		avx2.sumRows(t)
		avx2.sumColumns(t)
	}
	each((*machine).rowFunctions)()
}

func (m *machine) rowFunctions() {
	m.extremeRows("greatestRows", "max", VMAXPS, true)
	m.extremeRows("leastRows", "min", VMINPS, false)
	m.expRows("expRows", true)
	m.expRows("expSumRows", false)
	m.rowMaps()
	m.expColumns()
}

// expColumns writes e^(x - m) of rows of whole vectors, where each column has an
// m of its own.
func (m *machine) expColumns() {
	m.head("expColumns", "y, x *float32, rows, strideY, strideX, vectors int, m *float32", " is, for rows of vectors of elements, which lie stride apart,",
		"\tfor r := range rows {", "\t\tfor j := range columns {", "\t\t\ty[r*strideY+j] = exp(x[r*strideX+j] - m[j])", "\t\t}", "\t}")
	y, x, rows, strideY, strideX, vectors, most := reg.RDI, reg.RSI, reg.RDX, reg.RBX, reg.R8, reg.R9, reg.R10
	i, left := reg.R11, reg.RCX // exps has EAX
	Load(Param("y"), y)
	Load(Param("x"), x)
	Load(Param("rows"), rows)
	Load(Param("strideY"), strideY)
	Load(Param("strideX"), strideX)
	Load(Param("vectors"), vectors)
	Load(Param("m"), most)
	SHLQ(Imm(2), strideY)
	SHLQ(Imm(2), strideX)
	e := m.exps(m.regs[expRegs:]...)
	Label("row")
	TESTQ(rows, rows)
	JZ(LabelRef("done"))
	XORQ(i, i)
	MOVQ(vectors, left)
	_, rare := e.walk(&expWalk{left: left, unit: 1,
		load: func(k int, to reg.VecPhysical) {
			VMOVUPS(at(k*m.bytes(), x, i, 1), to)
			VSUBPS(at(k*m.bytes(), most, i, 1), to, to)
		},
		keep: func(k int, _ bool) { VMOVUPS(e.p, at(k*m.bytes(), y, i, 1)) },
		advance: func(k int) {
			ADDQ(U32(k*m.bytes()), i)
			SUBQ(Imm(uint64(k)), left)
		},
	})
	ADDQ(strideX, x)
	ADDQ(strideY, y)
	DECQ(rows)
	JMP(LabelRef("row"))
	Label("done")
	end()
	rare()
}

// accumulate adds to a sum what is multiplied by 1, which rounds as an addition
// does. Additions are for the units that make float64 of float32, and while such
// a product costs nothing beside that, an addition doubles it, as 512 bits do.
func accumulate(x, one, sum reg.VecPhysical) { VFMADD231PD(one, x, sum) }

// widen loads part p of 8 elements, of those of the mask where tail is set.
func (m *machine) widen(from Mem, p int, tail bool, mask, to reg.VecPhysical) {
	from.Disp += p * m.bytes() / 2
	if !tail {
		VCVTPS2PD(from, to)
		return
	}
	part := xmm(mask)
	if p == 1 {
		VEXTRACTF128(Imm(1), mask, xmm(to))
		part = xmm(to)
	}
	VMASKMOVPS(from, part, xmm(to))
	VCVTPS2PD(xmm(to), to)
}

// addTail adds part p of the terms of a mask to a sum.
func addTail(x, sum reg.VecPhysical, p int, mask, t reg.VecPhysical) {
	VADDPD(x, sum, x)
	if p == 0 {
		VPMOVSXDQ(xmm(mask), t)
	} else {
		VEXTRACTF128(Imm(1), mask, xmm(t))
		VPMOVSXDQ(xmm(t), t)
	}
	VBLENDVPD(t, x, sum, sum)
}

// sumRows writes the sums of the terms of rows, four rows at a time: each adds
// to its own lanes, of which one sum alone would wait for the one before.
func (m *machine) sumRows(term wideTerm) {
	m.head("sum"+term.name+"Rows", "dst *float64, x *float32, rows, n int, means *float64", " is, for rows of n elements, in lanes,",
		"\tfor r := range rows {", "\t\tmean := means[r]", "\t\tfor i := range n {",
		"\t\t\tlanes[i%8] += "+term.doc, "\t\t}", "\t\tdst[r] = sum(lanes)", "\t}")
	dst, x, rows, n, means := reg.RDI, reg.RSI, reg.RDX, reg.RBX, reg.R11
	row, three, at8, left, t, g := reg.R8, reg.R9, reg.R10, reg.R12, reg.R13, reg.RAX
	Load(Param("dst"), dst)
	Load(Param("x"), x)
	Load(Param("rows"), rows)
	Load(Param("n"), n)
	Load(Param("means"), means)
	const parts = 2 // registers of 8 lanes
	r := m.regs
	mean, tmp, one, mask := r[8:12], r[12:14], r[14], r[15]
	VMOVUPS(constant("One64"), one)
	MOVQ(n, t)
	ANDQ(Imm(7), t)
	m.maskOf(t, g, mask)
	MOVQ(n, row)
	SHLQ(Imm(2), row)
	LEAQ(Mem{Base: row, Index: row, Scale: 2}, three)
	if term.name == "Magnitudes" {
		VMOVUPS(constant("Magnitude64"), mean[0])
	}
	for _, k := range []int{4, 1} {
		Label(label("rows%d", k))
		CMPQ(rows, Imm(uint64(k)))
		JLT(LabelRef(label("end%d", k)))
		VMOVUPS(constant("NegZero64"), r[0])
		for i := 1; i < k*parts; i++ {
			VMOVAPS(r[0], r[i])
		}
		arg := func(j int) reg.VecPhysical {
			if term.name == "Squares" {
				return mean[j]
			}
			return mean[0]
		}
		if term.name == "Squares" {
			for j := range k {
				VBROADCASTSD(at(8*j, means, nil, 0), mean[j])
			}
			ADDQ(Imm(uint64(8*k)), means)
		}
		MOVQ(x, at8)
		step := func(tail bool) {
			for j := range k {
				from := []Mem{at(0, at8, nil, 0), at(0, at8, row, 1), at(0, at8, row, 2), at(0, at8, three, 1)}[j]
				for p := range parts {
					v, sum := tmp[p], r[j*parts+p]
					m.widen(from, p, tail, mask, v)
					term.f(v, arg(j))
					switch {
					case tail:
						addTail(v, sum, p, mask, tmp[1-p])
					case k == 1: // one sum waits for the one before
						VADDPD(v, sum, sum)
					default:
						accumulate(v, one, sum)
					}
				}
			}
		}
		MOVQ(n, left)
		SHRQ(Imm(3), left)
		JZ(LabelRef(label("tail%d", k)))
		Label(label("turn%d", k))
		step(false)
		ADDQ(Imm(32), at8)
		DECQ(left)
		JNZ(LabelRef(label("turn%d", k)))
		Label(label("tail%d", k))
		TESTQ(U32(7), n)
		JZ(LabelRef(label("sum%d", k)))
		step(true)
		Label(label("sum%d", k))
		if k == 4 {
			m.lanesSums(r[:8], tmp[0])
			VMOVUPD(r[0], at(0, dst, nil, 0))
			LEAQ(Mem{Base: x, Index: row, Scale: 4}, x)
		} else {
			m.lanesSum(r, tmp[0])
			VMOVSD(xmm(r[0]), at(0, dst, nil, 0))
			ADDQ(row, x)
		}
		ADDQ(Imm(uint64(8*k)), dst)
		SUBQ(Imm(uint64(k)), rows)
		JMP(LabelRef(label("rows%d", k)))
		Label(label("end%d", k))
	}
	end()
}

// lanesSums is lanesSum of four times 8 lanes, two registers each; s[0] gets the
// sums.
func (m *machine) lanesSums(s []reg.VecPhysical, t reg.VecPhysical) {
	for j := range 4 {
		VADDPD(s[2*j+1], s[2*j], s[2*j])
	}
	for j := 0; j < 8; j += 4 { // of two rows the lower halves, and the upper ones
		VPERM2F128(Imm(0x20), s[j+2], s[j], t)
		VPERM2F128(Imm(0x31), s[j+2], s[j], s[j])
		VADDPD(t, s[j], s[j])
	}
	VHADDPD(s[4], s[0], s[0])
	VPERMPD(Imm(0b11011000), s[0], s[0])
}

// sumColumns writes the lanes of columns, of 16 at a time, which lie in one cache
// line, and then of 4. As many registers as there are hold two lanes of them, so
// that the rows are walked through four times, a quarter of them each time.
func (m *machine) sumColumns(term wideTerm) {
	m.head("sum"+term.name+"Columns", "lanes *float64, x *float32, rows, stride, strips, narrow, whole int",
		" is, for rows whose elements lie stride apart, of strips of 16 columns and narrow ones of 4,",
		"\tfor r := range rows {", "\t\tfor j := range columns {", "\t\t\tlanes[r%8][j] += "+term.doc+" // of x[r*stride+j]", "\t\t}", "\t}",
		"", "Where whole is 1 the lanes begin at -0, and lanes[0] gets their sums.")
	lanes, x, rows, stride, strips, whole := reg.RDI, reg.RSI, reg.RDX, reg.RBX, reg.R11, reg.R10
	p, left, eight, from := reg.R8, reg.R9, reg.R12, reg.R13
	Load(Param("whole"), whole)
	Load(Param("lanes"), lanes)
	Load(Param("x"), x)
	Load(Param("rows"), rows)
	Load(Param("stride"), stride)
	SHLQ(Imm(2), stride)
	MOVQ(stride, eight)
	SHLQ(Imm(3), eight)
	arg, one, tmp := m.regs[8], m.regs[9], m.regs[10:16]
	VMOVUPS(constant("One64"), one)
	if term.name == "Magnitudes" {
		VMOVUPS(constant("Magnitude64"), arg)
	} else {
		VXORPS(arg, arg, arg)
	}
	lane := func(r, w int) Mem { return at(512*r+w*m.bytes(), lanes, nil, 0) }
	for _, width := range []int{4, 1} { // of a strip, in registers
		count, once := "strips", 8/width // lanes in registers
		if width == 1 {
			count = "narrow"
		}
		name := func(s string) string { return label("%s%d", s, width) }
		Load(Param(count), strips)
		Label(name("strip"))
		TESTQ(strips, strips)
		JZ(LabelRef(name("done")))
		MOVQ(x, from)
		for first := 0; first < 8; first += once {
			name := func(s string) string { return label("%s%d_%d", s, width, first) }
			sum := func(r, w int) reg.VecPhysical { return m.regs[r*width+w] }
			each := func(f func(sum reg.VecPhysical, lane Mem)) {
				for r := range once {
					for w := range width {
						f(sum(r, w), lane(first+r, w))
					}
				}
			}
			add := func(r int, row Mem) {
				for w := range width {
					v := tmp[(r*width+w)%len(tmp)]
					VCVTPS2PD(behind(row, w*m.bytes()/2), v)
					term.f(v, arg)
					accumulate(v, one, sum(r, w))
				}
			}
			TESTQ(whole, whole)
			JZ(LabelRef(name("load")))
			VMOVUPS(constant("NegZero64"), m.regs[0])
			for _, r := range m.regs[1:8] {
				VMOVAPS(m.regs[0], r)
			}
			JMP(LabelRef(name("begin")))
			Label(name("load"))
			each(func(sum reg.VecPhysical, lane Mem) { VMOVUPD(lane, sum) })
			Label(name("begin"))
			MOVQ(from, p)
			MOVQ(rows, left)
			if first > 0 {
				SUBQ(Imm(uint64(first)), left)
			}
			Label(name("turn"))
			CMPQ(left, Imm(uint64(once)))
			JLT(LabelRef(name("few")))
			if once == 2 {
				add(0, at(0, p, nil, 0))
				add(1, at(0, p, stride, 1))
				ADDQ(eight, p)
			} else {
				for r := range once {
					add(r, at(0, p, nil, 0))
					ADDQ(stride, p)
				}
			}
			SUBQ(Imm(8), left)
			JMP(LabelRef(name("turn")))
			Label(name("few"))
			for r := range once - 1 {
				CMPQ(left, Imm(uint64(r)))
				JLE(LabelRef(name("store")))
				add(r, at(0, p, nil, 0))
				ADDQ(stride, p)
			}
			Label(name("store"))
			each(func(sum reg.VecPhysical, lane Mem) { VMOVUPD(sum, lane) })
			LEAQ(Mem{Base: from, Index: stride, Scale: uint8(once)}, from)
		}
		TESTQ(whole, whole)
		JZ(LabelRef(name("next")))
		for w := range width { // as Lanes.Sum has it
			s := m.regs[:4]
			for r := range 4 {
				VMOVUPD(lane(r, w), s[r])
				VADDPD(lane(r+4, w), s[r], s[r])
			}
			VADDPD(s[2], s[0], s[0])
			VADDPD(s[3], s[1], s[1])
			VADDPD(s[1], s[0], s[0])
			VMOVUPD(s[0], lane(0, w))
		}
		Label(name("next"))
		ADDQ(U32(width*m.bytes()), lanes)
		ADDQ(U32(width*m.bytes()/2), x)
		DECQ(strips)
		JMP(LabelRef(name("strip")))
		Label(name("done"))
	}
	end()
}

// extremeRows writes the greatest or least element of each row, NaN where one
// is. Of zeros the greatest is 0 where any is, the least -0: the sign is what
// the signs of all elements have in common, or any has.
func (m *machine) extremeRows(name, how string, f func(...Op), most bool) {
	m.head(name, "dst, x *float32, rows, n int", " is, for rows of n elements, of which there is one at least,",
		"\tfor r := range rows {", "\t\tdst[r] = x[r*n]", "\t\tfor _, v := range x[r*n:][:n] {",
		"\t\t\tdst[r] = "+how+"(dst[r], v)", "\t\t}", "\t}")
	dst, x, rows, n := reg.RDI, reg.RSI, reg.RDX, reg.RBX
	left, t, g := reg.R8, reg.R9, reg.RAX
	Load(Param("dst"), dst)
	Load(Param("x"), x)
	Load(Param("rows"), rows)
	Load(Param("n"), n)
	r := m.regs
	best, signs, nan, mask := r[0:2], r[2], r[3], r[4]
	v, tmp := r[5:7], r[7]
	combine := func(a, to reg.VecPhysical) {
		if most {
			VANDPS(a, to, to)
		} else {
			VORPS(a, to, to)
		}
	}
	unordered := func(a, b reg.VecPhysical) {
		if m.lanes == 16 {
			VCMPPS(Imm(noNumber), a, b, reg.K1)
			KORW(reg.K1, reg.K3, reg.K3)
		} else {
			VCMPPS(Imm(noNumber), a, b, tmp)
			VORPS(tmp, nan, nan)
		}
	}
	MOVQ(n, t)
	ANDQ(Imm(uint64(m.lanes-1)), t)
	m.maskOf(t, g, mask)
	Label("row")
	TESTQ(rows, rows)
	JZ(LabelRef("done"))
	VBROADCASTSS(at(0, x, nil, 0), best[0])
	VMOVAPS(best[0], best[1])
	VMOVAPS(best[0], signs)
	if m.lanes == 16 {
		KXORW(reg.K3, reg.K3, reg.K3)
	} else {
		VXORPS(nan, nan, nan)
	}
	MOVQ(n, left)
	Label("turn")
	CMPQ(left, U32(2*m.lanes))
	JLT(LabelRef("under"))
	for i := range 2 {
		VMOVUPS(at(i*m.bytes(), x, nil, 0), v[i])
		f(v[i], best[i], best[i])
		combine(v[i], signs)
	}
	unordered(v[0], v[1])
	ADDQ(U32(2*m.bytes()), x)
	SUBQ(U32(2*m.lanes), left)
	JMP(LabelRef("turn"))
	Label("under")
	CMPQ(left, Imm(uint64(m.lanes)))
	JLT(LabelRef("tail"))
	VMOVUPS(at(0, x, nil, 0), v[0])
	f(v[0], best[0], best[0])
	combine(v[0], signs)
	unordered(v[0], v[0])
	ADDQ(U32(m.bytes()), x)
	SUBQ(U32(m.lanes), left)
	Label("tail")
	TESTQ(left, left)
	JZ(LabelRef("fold"))
	if m.lanes == 16 { // the lanes behind the row keep an element of it
		VMOVAPS(best[1], v[0])
		VMOVUPS(at(0, x, nil, 0), reg.K2, v[0])
	} else {
		VMASKMOVPS(at(0, x, nil, 0), mask, v[0])
		VBLENDVPS(mask, v[0], best[1], v[0])
	}
	f(v[0], best[0], best[0])
	unordered(v[0], v[0])
	if m.lanes == 16 {
		if most {
			VANDPS(v[0], signs, reg.K2, signs)
		} else {
			VORPS(v[0], signs, reg.K2, signs)
		}
	} else {
		VMOVAPS(signs, tmp)
		combine(v[0], tmp)
		VBLENDVPS(mask, tmp, signs, signs)
	}
	LEAQ(Mem{Base: x, Index: left, Scale: 4}, x)
	Label("fold")
	f(best[1], best[0], best[0])
	fold := func(a reg.VecPhysical, op func(x, to reg.VecPhysical)) {
		y, ty := a.AsY().(reg.VecPhysical), tmp.AsY().(reg.VecPhysical)
		if m.lanes == 16 {
			VEXTRACTF64X4(Imm(1), a, ty)
			op(ty, y)
		}
		VEXTRACTF128(Imm(1), y, xmm(tmp))
		op(xmm(tmp), xmm(a))
		for _, shuffle := range []uint64{0b01001110, 0b10110001} {
			VPERMILPS(Imm(shuffle), xmm(a), xmm(tmp))
			op(xmm(tmp), xmm(a))
		}
	}
	fold(best[0], func(x, to reg.VecPhysical) { f(x, to, to) })
	fold(signs, combine)
	VXORPS(xmm(tmp), xmm(tmp), xmm(tmp))
	VCMPPS(Imm(equal), xmm(tmp), xmm(best[0]), xmm(tmp))
	VPSRLD(Imm(31), xmm(signs), xmm(signs))
	VPSLLD(Imm(31), xmm(signs), xmm(signs))
	VBLENDVPS(xmm(tmp), xmm(signs), xmm(best[0]), xmm(best[0]))
	if m.lanes == 16 {
		KORTESTW(reg.K3, reg.K3)
	} else {
		VPTEST(nan, nan)
	}
	JZ(LabelRef("store"))
	VMOVUPS(constant("NaN"), xmm(best[0]))
	Label("store")
	VMOVSS(xmm(best[0]), at(0, dst, nil, 0))
	ADDQ(Imm(4), dst)
	DECQ(rows)
	JMP(LabelRef("row"))
	Label("done")
	end()
}

// expRows writes e^(x - m) of rows with the sums of it; whole says that the
// exponentials are kept. Elements of four vectors that are at one place are added
// as float32, and those sums in lanes: to make float64 of each costs a third of
// what e^x does.
func (m *machine) expRows(name string, keep bool) {
	args, doc := "x *float32, rows, n int, m *float32, sums *float64", []string{
		"\tfor r := range rows {", "\t\tfor i := range n {", "\t\t\te := exp(x[r*n+i] - m[r])",
		label("\t\t\tgroups[i/%d][i%%%d] += e", 4*m.lanes, m.lanes)}
	if keep {
		args, doc = "y, "+args, append(doc, "\t\t\ty[r*n+i] = e")
	}
	m.head(name, args, " is, for rows of n elements,", append(doc, "\t\t}", "\t\tfor _, group := range groups {", "\t\t\tfor i, e := range group {",
		"\t\t\t\tlanes[i%8] += float64(e)", "\t\t\t}", "\t\t}", "\t\tsums[r] = sum(lanes)", "\t}")...)
	y, x, rows, n, most, sums := reg.RDI, reg.RSI, reg.RDX, reg.RBX, reg.R10, reg.R11
	left, t, g := reg.R8, reg.R9, reg.RAX
	if keep {
		Load(Param("y"), y)
	}
	Load(Param("x"), x)
	Load(Param("rows"), rows)
	Load(Param("n"), n)
	Load(Param("m"), most)
	Load(Param("sums"), sums)
	mask, group, mRow := m.regs[1], m.regs[expRegs], m.regs[expRegs+1] // mask where one vector is done
	free := m.regs[expRegs+2:]
	var sum []reg.VecPhysical // of 256 bits they are in memory, with registers for the way
	var lanes Mem
	if m.lanes == 16 {
		sum, free = free[:1], free[1:]
	} else {
		lanes = AllocLocal(64)
	}
	e := m.exps(free...)
	remainder := func() {
		MOVQ(n, t)
		ANDQ(Imm(uint64(m.lanes-1)), t)
		m.maskOf(t, g, mask)
	}
	if m.lanes == 16 {
		remainder()
	}
	Label("row")
	TESTQ(rows, rows)
	JZ(LabelRef("done"))
	VBROADCASTSS(at(0, most, nil, 0), mRow)
	if m.lanes == 16 {
		VMOVUPS(constant("NegZero64"), sum[0])
	} else {
		VMOVUPS(constant("NegZero64"), group)
		VMOVUPS(group, lanes)
		VMOVUPS(group, behind(lanes, 32))
	}
	addGroup := func() {
		low, high := e.t[0], e.t[1]
		if m.lanes == 16 {
			VCVTPS2PD(half(group), low)
			VEXTRACTF64X4(Imm(1), group, half(high))
			VCVTPS2PD(half(high), high)
			VADDPD(low, sum[0], sum[0])
			VADDPD(high, sum[0], sum[0])
			return
		}
		VCVTPS2PD(xmm(group), low)
		VEXTRACTF128(Imm(1), group, xmm(high))
		VCVTPS2PD(xmm(high), high)
		VADDPD(lanes, low, low)
		VADDPD(behind(lanes, 32), high, high)
		VMOVUPS(low, lanes)
		VMOVUPS(high, behind(lanes, 32))
	}
	MOVQ(n, left)
	one, rare := e.walk(&expWalk{left: left, unit: m.lanes,
		load: func(i int, to reg.VecPhysical) {
			VMOVUPS(at(i*m.bytes(), x, nil, 0), to)
			VSUBPS(mRow, to, to)
		},
		keep: func(i int, first bool) {
			if keep {
				VMOVUPS(e.p, at(i*m.bytes(), y, nil, 0))
			}
			if first {
				VMOVAPS(e.p, group)
			} else {
				VADDPS(e.p, group, group)
			}
		},
		group: addGroup,
		advance: func(k int) {
			ADDQ(U32(k*m.bytes()), x)
			if keep {
				ADDQ(U32(k*m.bytes()), y)
			}
			SUBQ(U32(k*m.lanes), left)
		},
		few: func() {
			TESTQ(left, left)
			JZ(LabelRef("sum"))
			VXORPS(group.AsY(), group.AsY(), group.AsY())
		},
	})
	TESTQ(left, left)
	JZ(LabelRef("last"))
	if m.lanes == 8 {
		remainder()
	}
	one("tail", func(_ int, to reg.VecPhysical) {
		m.loadFirst(at(0, x, nil, 0), mask, to)
		VSUBPS(mRow, to, to)
	}, func() {
		if keep {
			m.storeFirst(e.p, mask, at(0, y, nil, 0))
		}
		if m.lanes == 16 {
			VADDPS(e.p, group, reg.K2, group)
		} else {
			VANDPS(mask, e.p, e.p)
			VADDPS(e.p, group, group)
		}
	})
	LEAQ(Mem{Base: x, Index: left, Scale: 4}, x)
	if keep {
		LEAQ(Mem{Base: y, Index: left, Scale: 4}, y)
	}
	Label("last")
	addGroup()
	Label("sum")
	if m.lanes == 8 {
		sum = e.r[0:2]
		VMOVUPS(lanes, sum[0])
		VMOVUPS(behind(lanes, 32), sum[1])
	}
	m.lanesSum(sum, e.t[0])
	VMOVSD(xmm(sum[0]), at(0, sums, nil, 0))
	ADDQ(Imm(4), most)
	ADDQ(Imm(8), sums)
	DECQ(rows)
	JMP(LabelRef("row"))
	Label("done")
	end()
	rare()
}

// rowMaps writes the functions that change the elements of rows by numbers of
// their row, or by those of a row that all have in common.
func (m *machine) rowMaps() {
	m.rowMap("scaleRows", "x[r*n+i] * a[r]", 1, 0, func(x, _ reg.VecPhysical, p []reg.VecPhysical) { VMULPS(p[0], x, x) })
	m.rowMap("affineRows", "x[r*n+i]*a[r] + b[r]", 2, 0, func(x, _ reg.VecPhysical, p []reg.VecPhysical) {
		VMULPS(p[0], x, x)
		VADDPS(p[1], x, x)
	})
	m.rowMap("normScaleRows", "(x[r*n+i] - a[r]) * b[r] * e[i]", 2, 1, func(x, _ reg.VecPhysical, p []reg.VecPhysical) {
		VSUBPS(p[0], x, x)
		VMULPS(p[1], x, x)
		VMULPS(p[2], x, x)
	})
	m.rowMap("normAffineRows", "(x[r*n+i]-a[r])*b[r]*e[i] + f[i]", 2, 2, func(x, _ reg.VecPhysical, p []reg.VecPhysical) {
		VSUBPS(p[0], x, x)
		VMULPS(p[1], x, x)
		VMULPS(p[2], x, x)
		VADDPS(p[3], x, x)
	})
	m.rowMap("normChannels", "(x[r*n+i]-a[r])*b[r]*c[r] + d[r]", 4, 0, func(x, _ reg.VecPhysical, p []reg.VecPhysical) {
		VSUBPS(p[0], x, x)
		VMULPS(p[1], x, x)
		VMULPS(p[2], x, x)
		VADDPS(p[3], x, x)
	})
	m.rowMap("logRows", "x[r*n+i] - a[r] - b[r]", 2, 0, func(x, _ reg.VecPhysical, p []reg.VecPhysical) {
		VSUBPS(p[0], x, x)
		VSUBPS(p[1], x, x)
	})
}

// rowMap writes dst = f(x) with numbers of each row, and elements that rows have
// in common.
func (m *machine) rowMap(name, doc string, numbers, common int, f func(x, t reg.VecPhysical, p []reg.VecPhysical)) {
	args := "dst, x *float32, rows, n int"
	for i := range numbers {
		args += ", " + string("abcd"[i]) + " *float32"
	}
	for i := range common {
		args += ", " + string("ef"[i]) + " *float32"
	}
	m.head(name, args, " is, for rows of n elements,",
		"\tfor r := range rows {", "\t\tfor i := range n {", "\t\t\tdst[r*n+i] = "+doc, "\t\t}", "\t}")
	dst, x, rows, n, i := reg.RDI, reg.RSI, reg.RDX, reg.RBX, reg.R8
	t, g, left := reg.R9, reg.RAX, reg.RCX
	pointers := []reg.GPPhysical{reg.R10, reg.R11, reg.R12, reg.R13}
	shared := []reg.GPPhysical{reg.R15, reg.R9}
	Load(Param("dst"), dst)
	Load(Param("x"), x)
	Load(Param("rows"), rows)
	Load(Param("n"), n)
	r := m.regs
	mask := r[15]
	MOVQ(n, t)
	ANDQ(Imm(uint64(m.lanes-1)), t)
	m.maskOf(t, g, mask)
	for k := range numbers {
		Load(Param(string("abcd"[k])), pointers[k])
	}
	for k := range common {
		Load(Param(string("ef"[k])), shared[k])
	}
	// Where the last vector of a row begins, less than 0 where there is none or it
	// is one of the others.
	last, ending := g, r[8]
	MOVQ(n, last)
	ANDQ(Imm(uint64(m.lanes-1)), last)
	JZ(LabelRef("even"))
	MOVQ(n, last)
	Label("even")
	SUBQ(Imm(uint64(m.lanes)), last)
	SHLQ(Imm(2), last)
	p := r[10:14]
	Label("row")
	TESTQ(rows, rows)
	JZ(LabelRef("done"))
	for k := range numbers {
		VBROADCASTSS(at(0, pointers[k], nil, 0), p[k])
		ADDQ(Imm(4), pointers[k])
	}
	XORQ(i, i)
	MOVQ(n, left)
	TESTQ(last, last)
	JLT(LabelRef("turn4"))
	VMOVUPS(at(0, x, last, 1), ending) // before it is written, where dst is x
	q := append([]reg.VecPhysical(nil), p[:numbers]...)
	for c := range common {
		VMOVUPS(at(0, shared[c], last, 1), r[4+c])
		q = append(q, r[4+c])
	}
	f(ending, r[9], q)
	step := func(k int, tail bool) {
		for j := range k {
			if tail {
				m.loadFirst(at(0, x, i, 1), mask, r[j])
			} else {
				VMOVUPS(at(j*m.bytes(), x, i, 1), r[j])
			}
		}
		for j := range k {
			q := append([]reg.VecPhysical(nil), p[:numbers]...)
			for c := range common {
				e := r[4+2*(j%2)+c]
				if tail {
					m.loadFirst(at(0, shared[c], i, 1), mask, e)
				} else {
					VMOVUPS(at(j*m.bytes(), shared[c], i, 1), e)
				}
				q = append(q, e)
			}
			f(r[j], r[4+j], q)
		}
		for j := range k {
			if tail {
				m.storeFirst(r[j], mask, at(0, dst, i, 1))
			} else {
				VMOVUPS(r[j], at(j*m.bytes(), dst, i, 1))
			}
		}
	}
	for _, k := range []int{4, 1} {
		Label(label("turn%d", k))
		CMPQ(left, U32(k*m.lanes))
		JLT(LabelRef(label("under%d", k)))
		step(k, false)
		ADDQ(U32(k*m.bytes()), i)
		SUBQ(U32(k*m.lanes), left)
		JMP(LabelRef(label("turn%d", k)))
		Label(label("under%d", k))
	}
	TESTQ(left, left)
	JZ(LabelRef("next"))
	TESTQ(last, last)
	JLT(LabelRef("masked"))
	VMOVUPS(ending, at(0, dst, last, 1))
	JMP(LabelRef("next"))
	Label("masked")
	step(1, true)
	Label("next")
	LEAQ(Mem{Base: x, Index: n, Scale: 4}, x)
	LEAQ(Mem{Base: dst, Index: n, Scale: 4}, dst)
	DECQ(rows)
	JMP(LabelRef("row"))
	Label("done")
	end()
}
