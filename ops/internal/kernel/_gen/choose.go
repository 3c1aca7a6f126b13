package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A unit is as many elements of any size as a vector has of float32. An operand
// whose step is 0 is a block of equal elements, which is used again and again.

// unitsOnce is how many units the inner loops do in a turn, which is how long
// such a block is.
const unitsOnce = 4

// comparisons are the ways to compare, in the order of kernel.Comparison, with
// the predicates of VCMPPS and of VPCMPD.
var comparisons = []struct {
	doc            string
	float, integer uint64
}{
	{"==", equal, 0}, {"!=", 4, 4}, {"<", less, 1}, {"<=", 18, 2}, {">", greater, 6}, {">=", 29, 5},
}

// chooseFunctions writes comparisons, choices and conversions.
func (m *machine) chooseFunctions() {
	m.compare("compareFloats", "float32", 4, func(how int, a, b, t reg.VecPhysical, k reg.OpmaskPhysical) bool {
		if m.lanes == 16 {
			VCMPPS(Imm(comparisons[how].float), b, a, k)
		} else {
			VCMPPS(Imm(comparisons[how].float), b, a, t)
		}
		return false
	})
	m.compare("compareInts32", "int32", 4, func(how int, a, b, t reg.VecPhysical, k reg.OpmaskPhysical) bool {
		if m.lanes == 16 {
			VPCMPD(Imm(comparisons[how].integer), b, a, k)
			return false
		}
		switch comparisons[how].doc {
		case "==", "!=":
			VPCMPEQD(b, a, t)
		case "<", ">=":
			VPCMPGTD(a, b, t)
		default:
			VPCMPGTD(b, a, t)
		}
		return how == 1 || how == 3 || how == 5
	})
	m.choose4()
	if m.lanes == 16 {
		m.compare("compareInts64", "int64", 8, func(how int, a, b, t reg.VecPhysical, k reg.OpmaskPhysical) bool {
			VPCMPQ(Imm(comparisons[how].integer), b, a, k)
			return false
		})
		m.choose8()
	}
	m.conversions()
}

// compare writes dst = a how b. one puts a vector's results in k or t, and
// reports whether they are inverted.
func (m *machine) compare(name, typ string, size int, one func(how int, a, b, t reg.VecPhysical, k reg.OpmaskPhysical) (inverted bool)) {
	m.head(name, "dst *bool, a, b *"+typ+", n, step, how int", " is, for n units of elements,",
		"\tfor i := range dst {", "\t\tdst[i] = a[i] how b[i*step] // ==, !=, <, <=, >, >=", "\t}")
	dst, a, b, n, step, how, i, ib := reg.RDI, reg.RSI, reg.RDX, reg.RCX, reg.RBX, reg.RAX, reg.R8, reg.R9
	Load(Param("dst"), dst)
	Load(Param("a"), a)
	Load(Param("b"), b)
	Load(Param("n"), n)
	Load(Param("step"), step)
	Load(Param("how"), how)
	unit := m.lanes * size
	IMUL3Q(U32(unit), step, step)
	XORQ(i, i)
	XORQ(ib, ib)
	r := m.regs
	ones := r[15]
	VMOVUPS(constant("ByteOnes"), ones)
	vectors := unit / m.bytes()
	for h := range comparisons {
		Label(label("how%d", h))
		if h+1 < len(comparisons) {
			CMPQ(how, Imm(uint64(h)))
			JNE(LabelRef(label("how%d", h+1)))
		}
		for _, k := range []int{unitsOnce, 1} {
			Label(label("turn%d_%d", h, k))
			CMPQ(n, Imm(uint64(k)))
			JLT(LabelRef(label("under%d_%d", h, k)))
			for u := range k {
				inverted := false
				for v := range vectors {
					x, y, t := r[2*(u*vectors+v)%8], r[2*(u*vectors+v)%8+1], r[8+(u*vectors+v)%4]
					disp := u*unit + v*m.bytes()
					VMOVUPS(at(disp, a, i, 1), x)
					VMOVUPS(at(disp, b, ib, 1), y)
					inverted = one(h, x, y, t, []reg.OpmaskPhysical{reg.K1, reg.K2}[v])
				}
				to := Mem{Base: dst, Disp: u * m.lanes}
				t := r[8+u*vectors%4]
				if m.lanes == 16 {
					if vectors == 2 {
						KUNPCKBW(reg.K1, reg.K2, reg.K1)
					}
					VMOVDQU8_Z(xmm(ones), reg.K1, xmm(t))
					VMOVUPS(xmm(t), to)
					continue
				}
				VEXTRACTF128(Imm(1), t, xmm(r[12]))
				VPACKSSDW(xmm(r[12]), xmm(t), xmm(t))
				VPACKSSWB(xmm(t), xmm(t), xmm(t))
				if inverted {
					VPANDN(xmm(ones), xmm(t), xmm(t))
				} else {
					VPAND(xmm(ones), xmm(t), xmm(t))
				}
				VMOVQ(xmm(t), to)
			}
			ADDQ(U32(k*m.lanes), dst)
			ADDQ(U32(k*unit), i)
			for range k {
				ADDQ(step, ib)
			}
			SUBQ(Imm(uint64(k)), n)
			JMP(LabelRef(label("turn%d_%d", h, k)))
			Label(label("under%d_%d", h, k))
		}
		JMP(LabelRef("done"))
	}
	Label("done")
	end()
}

// chooseLoop writes dst = x where cond is true, else y; unit chooses one unit.
func (m *machine) chooseLoop(name, typ string, size int, unit func(u int, cond, dst, x, y Mem)) {
	m.head(name, "dst *"+typ+", cond *bool, x, y *"+typ+", n, stepX, stepY int", " is, for n units of elements,",
		"\tfor i := range dst {", "\t\tdst[i] = y[i*stepY]", "\t\tif cond[i] {", "\t\t\tdst[i] = x[i*stepX]", "\t\t}", "\t}")
	dst, cond, x, y, n, sx, sy, ix, iy := reg.RDI, reg.RSI, reg.RDX, reg.RBX, reg.RCX, reg.R8, reg.R9, reg.R10, reg.R11
	Load(Param("dst"), dst)
	Load(Param("cond"), cond)
	Load(Param("x"), x)
	Load(Param("y"), y)
	Load(Param("n"), n)
	Load(Param("stepX"), sx)
	Load(Param("stepY"), sy)
	bytes := m.lanes * size
	IMUL3Q(U32(bytes), sx, sx)
	IMUL3Q(U32(bytes), sy, sy)
	XORQ(ix, ix)
	XORQ(iy, iy)
	for _, k := range []int{unitsOnce, 1} {
		Label(label("turn%d", k))
		CMPQ(n, Imm(uint64(k)))
		JLT(LabelRef(label("under%d", k)))
		for u := range k {
			unit(u, at(u*m.lanes, cond, nil, 0), at(u*bytes, dst, nil, 0), at(u*bytes, x, ix, 1), at(u*bytes, y, iy, 1))
		}
		ADDQ(U32(k*m.lanes), cond)
		ADDQ(U32(k*bytes), dst)
		for range k {
			ADDQ(sx, ix)
			ADDQ(sy, iy)
		}
		SUBQ(Imm(uint64(k)), n)
		JMP(LabelRef(label("turn%d", k)))
		Label(label("under%d", k))
	}
	end()
}

func (m *machine) choose4() {
	m.chooseLoop("choose4", "uint32", 4, func(u int, cond, dst, x, y Mem) {
		v, t, w := m.regs[3*u], m.regs[3*u+1], m.regs[3*u+2]
		VMOVUPS(y, v)
		if m.lanes == 16 {
			VMOVUPS(cond, xmm(t))
			VPTESTMB(xmm(t), xmm(t), reg.K1)
			VMOVUPS(x, reg.K1, v)
		} else {
			VPMOVZXBD(cond, t)
			VPSLLD(Imm(31), t, t)
			VMOVUPS(x, w)
			VBLENDVPS(t, w, v, v)
		}
		VMOVUPS(v, dst)
	})
}

func (m *machine) choose8() {
	m.chooseLoop("choose8", "uint64", 8, func(u int, cond, dst, x, y Mem) {
		v, t := m.regs[3*u], m.regs[3*u+1]
		VMOVUPS(cond, xmm(t))
		VPTESTMB(xmm(t), xmm(t), reg.K1)
		KSHIFTRW(Imm(8), reg.K1, reg.K2)
		for h, k := range []reg.OpmaskPhysical{reg.K1, reg.K2} {
			x, y, dst := x, y, dst
			x.Disp += 64 * h
			y.Disp += 64 * h
			dst.Disp += 64 * h
			VMOVUPD(y, v)
			VMOVUPD(x, k, v)
			VMOVUPD(v, dst)
		}
	})
}

// conversion writes dst = T(src); unit converts one unit.
func (m *machine) conversion(name, from, to string, fromSize, toSize int, unit func(v, t reg.VecPhysical, src, dst Mem)) {
	m.head(name, "dst *"+to+", src *"+from+", n int", " is, for n units of elements,",
		"\tfor i := range dst {", "\t\tdst[i] = the conversion of src[i]", "\t}")
	dst, src, n := reg.RDI, reg.RSI, reg.RCX
	Load(Param("dst"), dst)
	Load(Param("src"), src)
	Load(Param("n"), n)
	for _, k := range []int{unitsOnce, 1} {
		Label(label("turn%d", k))
		CMPQ(n, Imm(uint64(k)))
		JLT(LabelRef(label("under%d", k)))
		for u := range k {
			unit(m.regs[2*u], m.regs[2*u+1], at(u*m.lanes*fromSize, src, nil, 0), at(u*m.lanes*toSize, dst, nil, 0))
		}
		ADDQ(U32(k*m.lanes*fromSize), src)
		ADDQ(U32(k*m.lanes*toSize), dst)
		SUBQ(Imm(uint64(k)), n)
		JMP(LabelRef(label("turn%d", k)))
		Label(label("under%d", k))
	}
	end()
}

// behind is memory further on.
func behind(a Mem, bytes int) Mem {
	a.Disp += bytes
	return a
}

// conversions writes the conversions: for 256 bits those that have instructions.
func (m *machine) conversions() {
	m.conversion("floatsToInts32", "float32", "int32", 4, 4, func(v, _ reg.VecPhysical, src, dst Mem) {
		VCVTTPS2DQ(src, v)
		VMOVUPS(v, dst)
	})
	m.conversion("ints32ToFloats", "int32", "float32", 4, 4, func(v, _ reg.VecPhysical, src, dst Mem) {
		VCVTDQ2PS(src, v)
		VMOVUPS(v, dst)
	})
	m.conversion("floatsToDoubles", "float32", "float64", 4, 8, func(v, t reg.VecPhysical, src, dst Mem) {
		VCVTPS2PD(src, v)
		VCVTPS2PD(behind(src, m.bytes()/2), t)
		VMOVUPD(v, dst)
		VMOVUPD(t, behind(dst, m.bytes()))
	})
	m.conversion("doublesToFloats", "float64", "float32", 8, 4, func(v, t reg.VecPhysical, src, dst Mem) {
		if m.lanes == 16 {
			VCVTPD2PS(src, half(v))
			VCVTPD2PS(behind(src, m.bytes()), half(t))
		} else {
			VCVTPD2PSY(src, half(v))
			VCVTPD2PSY(behind(src, m.bytes()), half(t))
		}
		VMOVUPS(half(v), dst)
		VMOVUPS(half(t), behind(dst, m.bytes()/2))
	})
	m.conversion("ints32ToInts64", "int32", "int64", 4, 8, func(v, t reg.VecPhysical, src, dst Mem) {
		VPMOVSXDQ(src, v)
		VPMOVSXDQ(behind(src, m.bytes()/2), t)
		VMOVUPD(v, dst)
		VMOVUPD(t, behind(dst, m.bytes()))
	})
	m.conversion("bytesToFloats", "uint8", "float32", 1, 4, func(v, _ reg.VecPhysical, src, dst Mem) {
		VPMOVZXBD(src, v)
		VCVTDQ2PS(v, v)
		VMOVUPS(v, dst)
	})
	m.conversion("bytesToInts64", "uint8", "int64", 1, 8, func(v, t reg.VecPhysical, src, dst Mem) {
		VPMOVZXBQ(src, v)
		VPMOVZXBQ(behind(src, m.lanes/2), t)
		VMOVUPD(v, dst)
		VMOVUPD(t, behind(dst, m.bytes()))
	})
	if m.lanes == 8 {
		return
	}
	m.conversion("floatsToInts64", "float32", "int64", 4, 8, func(v, t reg.VecPhysical, src, dst Mem) {
		VCVTTPS2QQ(src, v)
		VCVTTPS2QQ(behind(src, 32), t)
		VMOVUPD(v, dst)
		VMOVUPD(t, behind(dst, 64))
	})
	m.conversion("ints64ToFloats", "int64", "float32", 8, 4, func(v, t reg.VecPhysical, src, dst Mem) {
		VCVTQQ2PS(src, half(v))
		VCVTQQ2PS(behind(src, 64), half(t))
		VMOVUPS(half(v), dst)
		VMOVUPS(half(t), behind(dst, 32))
	})
	m.conversion("ints64ToInts32", "int64", "int32", 8, 4, func(v, t reg.VecPhysical, src, dst Mem) {
		VMOVUPD(src, v)
		VMOVUPD(behind(src, 64), t)
		VPMOVQD(v, dst)
		VPMOVQD(t, behind(dst, 32))
	})
	m.conversion("floatsToBytes", "float32", "uint8", 4, 1, func(v, _ reg.VecPhysical, src, dst Mem) {
		VCVTTPS2DQ(src, v)
		VPMOVDB(v, dst)
	})
	m.conversion("floatsToHalves", "float32", "uint16", 4, 2, func(v, _ reg.VecPhysical, src, dst Mem) {
		VMOVUPS(src, v)
		VCVTPS2PH(Imm(0), v, dst)
	})
	m.conversion("halvesToFloats", "uint16", "float32", 2, 4, func(v, _ reg.VecPhysical, src, dst Mem) {
		VCVTPH2PS(src, v)
		VMOVUPS(v, dst)
	})
}
