package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// erf(x) is x + x*S(x*x) for |x| <= erfBound, and past it 1 - e^(t*L(t)) with
// t = |x|, up to erfTop, and the sign of x; both are least-squares fits. e^y is
// 2^n * G(r) with y = (n+r)*ln 2 and |r| <= 1/2; G has the least greatest relative
// error, 7.4e-8 of what is no greater than 0.2 there.
const (
	erfBound = 0.925
	erfTop   = 3.95
)

var (
	erfS = []float64{0.12837914796455596, -0.3761248173938211, 0.11281686670598148, -0.02676182848226405,
		0.004986065556799088, -0.0005954264658507976}
	erfL = []float64{-1.1285517594714947, -0.6356252151007488, -0.10526281601480919, 0.022674265060625965,
		-0.002930238297857682, 4.9616763459147105e-05, 4.557515653498429e-05, -4.937710102541619e-06}
)

var powerG = []float64{1.00000007165436494, 0.693146967066871788, 0.240221197249757378, 0.0555071326991302708, 0.0096755413004367488,
	0.00132764731306717927}

// log(1+f) is f - f*f/2 + f^3*G(f) for sqrt(1/2) <= 1+f < sqrt(2), with the
// coefficients of Cephes' logf.
var logG = []float64{3.3333331174e-1, -2.4999993993e-1, 2.0000714765e-1, -1.6668057665e-1, 1.4249322787e-1,
	-1.2420140846e-1, 1.1676998740e-1, -1.1514610310e-1, 7.0376836292e-2}

// predicates of VCMPPS that are false of NaN, but for notLess.
const (
	less     = 17
	greater  = 30
	equal    = 0
	unequal  = 12
	notLess  = 5 // or NaN
	noNumber = 3 // either is NaN
)

// spares is how many registers of 32 hold constants that are loaded before
// each use.
const spares = 4

// body is what a function over slices computes: registers in groups of one
// width, of which the first holds the elements and gets the results, and the
// function's parameters.
type body struct {
	*constSet
	groups []vecs
	param  [2]reg.VecPhysical
	src    reg.GPPhysical
}

// blend is dst = yes where a is so against b, by a predicate.
func (s *constSet) blend(predicate uint64, a, b Op, yes, dst, tmp reg.VecPhysical) {
	if s.m.lanes == 16 {
		VCMPPS(Imm(predicate), b, a, reg.K1)
		VMOVAPS(yes, reg.K1, dst)
		return
	}
	VCMPPS(Imm(predicate), b, a, tmp)
	VBLENDVPS(tmp, yes, dst, dst)
}

// round is dst = x rounded: 0 to the nearest, ties to even, 1 down, 2 up.
func (s *constSet) round(mode uint64, x, dst reg.VecPhysical) {
	if s.m.lanes == 16 {
		VRNDSCALEPS(Imm(8|mode), x, dst)
	} else {
		VROUNDPS(Imm(8|mode), x, dst)
	}
}

// polynomial is p = c0 + x*(c1 + x*(...)), of the constants of a name.
func (s *constSet) polynomial(name string, degree int, x, p vecs) {
	c := s.get(fmt.Sprint(name, degree))
	for i := range x {
		VMOVAPS(c, p[i])
	}
	for k := degree - 1; k >= 0; k-- {
		c := s.get(fmt.Sprint(name, k))
		for i := range x {
			VFMADD213PS(c, x[i], p[i])
		}
	}
}

// mapped writes dst = f(src) over n vectors, in turns of width vectors; params
// says how many numbers a function has.
func (m *machine) mapped(name, doc string, params, width int, names []string, f func(b *body)) {
	args := "dst, src *float32, n int"
	if params > 0 {
		args += ", alpha, beta float32"
	}
	m.head(name, args, " is, for n vectors of elements,",
		"\tfor i := range dst {", "\t\tdst[i] = "+doc, "\t}")
	dst, src, n := reg.RDI, reg.RSI, reg.RCX
	Load(Param("dst"), dst)
	Load(Param("src"), src)
	Load(Param("n"), n)
	b := &body{src: src}
	free := m.regs
	if params > 0 {
		last := len(free) - 2
		b.param = [2]reg.VecPhysical{free[last], free[last+1]}
		free = free[:last]
		broadcast("alpha", b.param[0])
		broadcast("beta", b.param[1])
	}
	if m.lanes == 8 {
		b.constSet = m.load(12)
		b.spare = free[12:]
	} else {
		kept := len(free) - spares - 2
		b.constSet = m.load(12, names[:min(len(names), kept-12)]...)
		b.spare, b.temp = free[kept+2:], [2]reg.VecPhysical(free[kept:])
	}
	for _, k := range []int{width, 1} {
		Label(label("turn%d", k))
		CMPQ(n, Imm(uint64(k)))
		JLT(LabelRef(label("under%d", k)))
		b.groups = nil
		for g := 0; g < 12; g += width {
			b.groups = append(b.groups, m.regs[g:g+k])
		}
		for i := range k {
			VMOVUPS(at(i*m.bytes(), src, nil, 0), m.regs[i])
		}
		f(b)
		for i := range k {
			VMOVUPS(m.regs[i], at(i*m.bytes(), dst, nil, 0))
		}
		ADDQ(U32(k*m.bytes()), src)
		ADDQ(U32(k*m.bytes()), dst)
		SUBQ(Imm(uint64(k)), n)
		JMP(LabelRef(label("turn%d", k)))
		Label(label("under%d", k))
	}
	end()
}

// log is x = log(x) for numbers of at least 2^-126, with further registers.
func (s *constSet) log(x, e, z, p vecs) {
	c := s.get("SqrtHalf")
	for i := range x {
		VPSUBD(c, x[i], e[i])
		VPSRAD(Imm(23), e[i], e[i])
		VPSLLD(Imm(23), e[i], z[i])
		VPSUBD(z[i], x[i], x[i])
		VCVTDQ2PS(e[i], e[i])
	}
	c = s.get("One")
	for i := range x {
		VSUBPS(c, x[i], x[i])
		VMULPS(x[i], x[i], z[i])
	}
	s.polynomial("G", len(logG)-1, x, p)
	for i := range x {
		VMULPS(x[i], p[i], p[i])
		VMULPS(z[i], p[i], p[i])
	}
	lo, half := s.get("Ln2Lo"), s.get("Half")
	for i := range x {
		VFMADD231PS(lo, e[i], p[i])
		VFNMADD231PS(half, z[i], p[i])
	}
	hi := s.get("Ln2Hi")
	for i := range x {
		VADDPS(p[i], x[i], x[i])
		VFMADD231PS(hi, e[i], x[i])
	}
}

var (
	expNames   = []string{"Log2e", "Ln2Hi", "Ln2Lo", "Steps16", "T16", "TLow16", "F016", "F116", "One"}
	expm1Names = []string{"Log2e", "Ln2Hi", "Ln2Lo", "E0", "E1", "E2", "E3", "E4", "One"}
	logNames   = []string{"SqrtHalf", "Half", "G0", "G1", "G2", "G3", "G4", "G5", "G6", "G7", "G8"}
)

// maps writes the functions of one operand that are not among the activations
// of recurrent operators.
func (m *machine) maps() {
	m.exactMaps()
	m.geluTanh()
	m.mapped("log", "log(src[i])", 0, 2, append([]string{"Ln2Hi", "Ln2Lo", "One"}, logNames...), func(b *body) {
		x, y, e, z, p, t := b.groups[0], b.groups[1], b.groups[2], b.groups[3], b.groups[4], b.groups[5]
		least, scale := b.get("Least"), b.get("Scale23")
		for i := range x { // 2^23 times what is subnormal
			VMOVAPS(x[i], y[i])
			VMULPS(scale, x[i], p[i])
			b.blend(less, x[i], least, p[i], y[i], t[i])
		}
		b.log(y, e, z, p)
		least, shift := b.get("Least"), b.get("Log23")
		for i := range x {
			VSUBPS(shift, y[i], p[i])
			b.blend(less, x[i], least, p[i], y[i], t[i])
		}
		zero, low, nan, top := b.get("Zero"), b.get("MinusInf"), b.get("NaN"), b.get("Inf")
		for i := range x {
			b.blend(equal, x[i], zero, low, y[i], t[i])
			b.blend(less, x[i], zero, nan, y[i], t[i])
			b.blend(notLess, x[i], top, x[i], y[i], t[i])
			VMOVAPS(y[i], x[i])
		}
	})
	m.mapped("elu", "beta * src[i] where src[i] > 0, else alpha * (exp(src[i]) - 1)", 2, 2, expm1Names, func(b *body) {
		x, y, n, p, t := b.groups[0], b.groups[1], b.groups[2], b.groups[3], b.groups[4]
		zero, low := b.get("Zero"), b.get("EluLow")
		for i := range x {
			VMINPS(x[i], zero, y[i])
			VMAXPS(y[i], low, y[i])
		}
		b.expm1(y, n, p)
		zero = b.get("Zero")
		for i := range x {
			VMULPS(b.param[0], y[i], y[i])
			VMULPS(b.param[1], x[i], p[i])
			b.blend(greater, x[i], zero, p[i], y[i], t[i])
			VMOVAPS(y[i], x[i])
		}
	})
	m.mapped("softplus", "log(1 + exp(src[i]))", 0, 2, append([]string{"Sign", "ExpLow", "Zero"}, append(expNames, logNames[:8]...)...), func(b *body) {
		x, y, n, p, u, t := b.groups[0], b.groups[1], b.groups[2], b.groups[3], b.groups[4], b.groups[5]
		sign, low := b.get("Sign"), b.get("ExpLow")
		for i := range x {
			VORPS(sign, x[i], y[i])
			VMAXPS(y[i], low, y[i])
		}
		b.exp(y, n, p, true)
		one := b.get("One")
		for i := range x { // y becomes what the rounding of 1 + e left out, divided
			VADDPS(one, y[i], u[i])
			VSUBPS(one, u[i], n[i])
			VSUBPS(n[i], y[i], y[i])
			VDIVPS(u[i], y[i], y[i])
		}
		b.log(u, n, p, t)
		zero := b.get("Zero")
		for i := range x {
			VADDPS(u[i], y[i], y[i])
			VMAXPS(x[i], zero, x[i])
			VADDPS(y[i], x[i], x[i])
		}
	})
	m.mapped("erf", "erf(src[i])", 0, 4, erfNames("Erf"), func(b *body) {
		x, p := b.groups[0], b.groups[2]
		b.erf("Erf", func() {
			for i := range x {
				VFMADD213PS(x[i], x[i], p[i])
			}
		})
		for i := range x {
			VMOVAPS(p[i], x[i])
		}
	})
	m.mapped("gelu", "src[i] * (1/2 + erf(src[i]/sqrt 2)/2)", 0, 4, erfNames("Gelu"), func(b *body) {
		x, p := b.groups[0], b.groups[2]
		b.erf("Gelu", func() {
			for i := range x {
				VMULPS(x[i], p[i], p[i])
			}
		})
		half := b.get("Half")
		for i := range x {
			VADDPS(half, p[i], x[i])
			VMULPS(b.at(i), x[i], x[i])
		}
	})
}

// erfNames are the constants of erf, those first that are to be kept.
func erfNames(of string) []string {
	names := []string{"Whole", "Magnitude", "Sign"}
	for _, n := range []string{"L7", "L6", "L5", "L4", "L3", "L2", "L1", "L0", "G5", "G4", "G3"} {
		names = append(names, of+n)
	}
	return names
}

// geluTanh is x / (1 + e^(-2u)) with u = sqrt(2/pi) * (x + 0.044715 x^3).
func (m *machine) geluTanh() {
	names := append([]string{"GeluCube", "GeluFactor", "SigmoidLow", "SigmoidTop"}, expNames...)
	m.mapped("geluTanh", "src[i]/2 * (1 + tanh(sqrt(2/pi) * (src[i] + 0.044715 * src[i]^3)))", 0, 4, names, func(b *body) {
		x, y, n := b.groups[0], b.groups[1], b.groups[2]
		cube, factor := b.get("GeluCube"), b.get("GeluFactor")
		for i := range x {
			VMULPS(x[i], x[i], y[i])
			VMULPS(cube, y[i], y[i])
			VADDPS(factor, y[i], y[i])
			VMULPS(x[i], y[i], x[i])
		}
		clamp(x, b.get("SigmoidLow"), b.get("SigmoidTop"))
		b.exp(x, n, y, false)
		one := b.get("One")
		for i := range x {
			VADDPS(one, x[i], x[i])
			VMOVUPS(at(i*m.bytes(), b.src, nil, 0), y[i])
			VDIVPS(x[i], y[i], x[i])
		}
	})
}

// at is the memory of vector i of the elements.
func (b *body) at(i int) Mem { return at(i*b.m.bytes(), b.src, nil, 0) }

// erf puts erf(x), or with the constants of Gelu erf(x/sqrt 2)/2, into the third
// group; end makes it of x and of the polynomial S that is there, where |x| is
// small.
func (b *body) erf(of string, end func()) {
	t, y, p := b.groups[0], b.groups[1], b.groups[2]
	magnitude, top := b.get("Magnitude"), b.get(of+"Top")
	for i := range t {
		VANDPS(magnitude, t[i], t[i])
	}
	for i := range t {
		VMINPS(t[i], top, y[i]) // NaN stays
	}
	b.polynomial(of+"L", len(erfL)-1, y, p)
	for i := range t {
		VMULPS(p[i], y[i], y[i])
	}
	whole := b.get("Whole")
	for i := range t {
		VADDPS(whole, y[i], p[i])
	}
	for i := range t {
		VSUBPS(whole, p[i], t[i])
		VSUBPS(t[i], y[i], y[i])
		VPSLLD(Imm(23), p[i], t[i])
	}
	b.polynomial(of+"G", len(powerG)-1, y, p)
	one, sign := b.get(of+"One"), b.get("Sign")
	for i := range t {
		VPADDD(t[i], p[i], y[i])
		VSUBPS(y[i], one, y[i])
		VANDPS(b.at(i), sign, t[i])
		VORPS(t[i], y[i], y[i])
	}
	for i := range t {
		VMOVUPS(b.at(i), t[i])
		VMULPS(t[i], t[i], t[i])
	}
	b.polynomial(of+"S", len(erfS)-1, t, p)
	for i := range t {
		VMOVUPS(b.at(i), t[i])
	}
	end()
	magnitude, bound := b.get("Magnitude"), b.get(of+"Bound")
	for i := range t {
		VANDPS(magnitude, t[i], t[i])
		b.blend(greater, t[i], bound, y[i], p[i], t[i])
	}
}

// expm1 is x = e^x - 1 for -87 < x <= 0.
func (s *constSet) expm1(x, n, p vecs) {
	c := s.get("Log2e")
	for i := range x {
		VMULPS(c, x[i], n[i])
		s.round(0, n[i], n[i])
	}
	for _, name := range []string{"Ln2Hi", "Ln2Lo"} {
		c := s.get(name)
		for i := range x {
			VFNMADD231PS(c, n[i], x[i])
		}
	}
	s.polynomial("E", len(expE)-1, x, p)
	bias := s.get("Bias")
	for i := range x {
		VMULPS(x[i], p[i], p[i])
		VFMADD213PS(x[i], x[i], p[i])
		VCVTPS2DQ(n[i], n[i])
		VPADDD(bias, n[i], n[i])
		VPSLLD(Imm(23), n[i], n[i])
	}
	one := s.get("One")
	for i := range x { // 2^n * p + (2^n - 1)
		VSUBPS(one, n[i], x[i])
		VFMADD231PS(n[i], p[i], x[i])
	}
}

// exactMaps writes the functions that round as the loops of Go do.
func (m *machine) exactMaps() {
	simple := func(name, doc string, names []string, f func(b *body, x, t reg.VecPhysical)) {
		m.mapped(name, doc, 0, 4, names, func(b *body) {
			for i, x := range b.groups[0] {
				f(b, x, b.groups[1][i])
			}
		})
	}
	simple("sqrt", "sqrt(src[i])", nil, func(b *body, x, _ reg.VecPhysical) { VSQRTPS(x, x) })
	simple("reciprocal", "1 / src[i]", []string{"One"}, func(b *body, x, _ reg.VecPhysical) { VDIVPS(x, b.get("One"), x) })
	m.mapped("cube", "src[i]*src[i]*src[i] of float64", 0, 4, nil, func(b *body) {
		for i, x := range b.groups[0] {
			parts := [2]reg.VecPhysical{b.groups[1][i], b.groups[2][i]}
			for h, v := range parts {
				VCVTPS2PD(behind(b.at(i), h*m.bytes()/2), v)
				VMULPD(v, v, x)
				VMULPD(v, x, v)
			}
			if m.lanes == 16 {
				VCVTPD2PS(parts[0], half(x))
				VCVTPD2PS(parts[1], half(parts[1]))
				VINSERTF64X4(Imm(1), half(parts[1]), x, x)
			} else {
				VCVTPD2PSY(parts[0], half(x))
				VCVTPD2PSY(parts[1], half(parts[1]))
				VINSERTF128(Imm(1), half(parts[1]), x, x)
			}
		}
	})
	simple("abs", "the absolute value of src[i]", []string{"Magnitude"}, func(b *body, x, _ reg.VecPhysical) { VANDPS(b.get("Magnitude"), x, x) })
	simple("neg", "-src[i]", []string{"Sign"}, func(b *body, x, _ reg.VecPhysical) { VXORPS(b.get("Sign"), x, x) })
	m.mapped("sign", "1 where src[i] > 0, -1 where src[i] < 0, else src[i]", 0, 4, []string{"Zero", "One", "MinusOne"}, func(b *body) {
		zero, one, minus := b.get("Zero"), b.get("One"), b.get("MinusOne")
		for i, x := range b.groups[0] {
			t, u := b.groups[1][i], b.groups[2][i]
			VMOVAPS(x, t)
			b.blend(greater, t, zero, one, x, u)
			b.blend(less, t, zero, minus, x, u)
		}
	})
	simple("round", "src[i] rounded, ties to even", nil, func(b *body, x, _ reg.VecPhysical) { b.round(0, x, x) })
	simple("floor", "src[i] rounded down", nil, func(b *body, x, _ reg.VecPhysical) { b.round(1, x, x) })
	simple("ceil", "src[i] rounded up", nil, func(b *body, x, _ reg.VecPhysical) { b.round(2, x, x) })
	simple("softsign", "src[i] / (1 + |src[i]|)", []string{"Magnitude", "One"}, func(b *body, x, t reg.VecPhysical) {
		VANDPS(b.get("Magnitude"), x, t)
		VADDPS(b.get("One"), t, t)
		VDIVPS(t, x, x)
	})
	simple("hardSwish", "src[i] * (max(0, min(6, src[i]+3)) / 6)", []string{"Six", "Three", "Zero"}, func(b *body, x, t reg.VecPhysical) {
		VADDPS(b.get("Three"), x, t)
		VMINPS(t, b.get("Six"), t)
		VMAXPS(t, b.get("Zero"), t)
		VDIVPS(b.get("Six"), t, t)
		VMULPS(t, x, x)
	})
	m.mapped("leakyRelu", "src[i], times alpha where src[i] < 0", 1, 4, []string{"Zero"}, func(b *body) {
		zero := b.get("Zero")
		for i, x := range b.groups[0] {
			t, u := b.groups[1][i], b.groups[2][i]
			VMULPS(b.param[0], x, t)
			b.blend(less, x, zero, t, x, u)
		}
	})
	m.mapped("hardSigmoid", "max(0, min(1, alpha*src[i] + beta))", 2, 4, []string{"One", "Zero"}, func(b *body) {
		one, zero := b.get("One"), b.get("Zero")
		for _, x := range b.groups[0] {
			VMULPS(b.param[0], x, x)
			VADDPS(b.param[1], x, x)
			VMINPS(x, one, x)
			VMAXPS(x, zero, x)
			VADDPS(zero, x, x) // 0 of -0
		}
	})
	// Of operands that are equal, or of which one is NaN, the last one counts: x,
	// to which the bound's zero is added where x may be a zero beneath it.
	m.mapped("clip", "min(max(src[i], alpha), beta), for numbers of which beta is not -0", 2, 4, []string{"Zero", "Sign"}, func(b *body) {
		last := len(b.groups) - 1
		zero, t := b.groups[last][0], b.groups[last-1][0]
		VMOVAPS(b.get("Sign"), zero)
		b.blend(equal, b.param[0], b.get("Zero"), b.param[0], zero, t)
		for _, x := range b.groups[0] {
			VMAXPS(x, b.param[0], x)
			VADDPS(zero, x, x)
			VMINPS(x, b.param[1], x)
		}
	})
}

// mapValues are the constants of the functions of this file.
func mapValues(f func(float64) uint32) map[string]uint32 {
	v := map[string]uint32{
		"Magnitude": 1<<31 - 1, "Three": f(3), "Six": f(6), "EluLow": f(-87),
		"SqrtHalf": f(math.Sqrt2 / 2), "Least": f(0x1p-126), "Scale23": f(1 << 23), "Log23": f(23 * math.Ln2),
		"MinusOne": f(-1), "GeluFactor": f(-2 * math.Sqrt(2/math.Pi)), "GeluCube": f(-2 * math.Sqrt(2/math.Pi) * 0.044715),
		"Inf": f(math.Inf(1)), "MinusInf": f(math.Inf(-1)), "NaN": f(math.NaN()),
	}
	coefficients := func(name string, list []float64, scale, power float64) {
		for i, c := range list {
			v[fmt.Sprint(name, i)] = f(c * scale * math.Pow(power, float64(i)))
		}
	}
	coefficients("G", logG, 1, 1)
	for of, x := range map[string]struct{ whole, unit float64 }{"Erf": {1, 1}, "Gelu": {1. / 2, math.Sqrt2 / 2}} {
		// of x.whole * erf(x.unit*x)
		v[of+"One"], v[of+"Top"], v[of+"Bound"] = f(x.whole), f(erfTop/x.unit), f(erfBound/x.unit)
		coefficients(of+"L", erfL, math.Log2E*x.unit, x.unit)
		coefficients(of+"S", erfS, x.whole*x.unit, x.unit*x.unit)
		coefficients(of+"G", powerG, x.whole, 1)
	}
	v["GeluS0"] = f((1 + erfS[0]) * math.Sqrt2 / 4)
	return v
}
