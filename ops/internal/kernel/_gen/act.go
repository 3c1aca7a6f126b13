package main

import (
	"fmt"
	"maps"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tanh(x) is x*P(x*x)/Q(x*x) for |x| <= tanhBound; both are divided by Q's
// first coefficient, so that subnormal numbers keep their bits.
const tanhBound = 7.90531110763549805

var (
	tanhP = []float64{4.89352455891786e-03, 6.37261928875436e-04, 1.48572235717979e-05, 5.12229709037114e-08,
		-8.60467152213735e-11, 2.00018790482477e-13, -2.76076847742355e-16}
	tanhQ = []float64{4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06}
)

// exp(x) is 2^n * (1 + r + r*r*E(r)) with x = n*ln 2 + r, |r| <= ln 2 / 2. Of the
// levels with 32 registers n has 4 bits behind the point, of which T and TLow,
// the rounded 2^(i/16) and what the rounding left out, have the powers; then
// it is 2^floor(n) * (T + (TLow + T*r) * (1 + r*F(r))), |r| <= ln 2 / 32. E and F
// have the least greatest relative errors of results, 3.1e-9 and 1.6e-9.
var (
	expE = []float64{0.499999934125347728, 0.166665201078942264, 0.04166839419699293, 0.00836878040599586485, 0.00138144679948613811}
	expF = map[int][]float64{8: {0.500064600672815767, 0.166668587581159872}, 16: {0.500016189711308139, 0.166667185605790652}}
)

// expPlain is up to where e^x and e^-x are normal.
const expPlain = 86.9

// constants of the functions, a vector of each.
var constants = map[string]Mem{}

// wideValues are the constants of 64 bits.
var wideValues = map[string]uint64{"One64": math.Float64bits(1), "NegZero64": 1 << 63, "Magnitude64": 1<<63 - 1, "ByteOnes": 0x0101010101010101}

func constant(name string) Mem {
	if m, ok := constants[name]; ok {
		return m
	}
	m := GLOBL("const"+name, RODATA|NOPTR)
	if v, ok := wideValues[name]; ok {
		for i := range 8 {
			DATA(8*i, U64(v))
		}
		constants[name] = m
		return m
	}
	v := values()[name]
	for i := range 16 {
		if table, ok := tables[name]; ok {
			v = math.Float32bits(table(i))
		}
		DATA(4*i, U32(v))
	}
	constants[name] = m
	return m
}

// tables are the constants whose elements differ.
var tables = map[string]func(i int) float32{
	"T8":     func(i int) float32 { return power(i, 8) },
	"T16":    func(i int) float32 { return power(i, 16) },
	"TLow8":  func(i int) float32 { return float32(math.Exp2(float64(i%8)/8) - float64(power(i, 8))) },
	"TLow16": func(i int) float32 { return float32(math.Exp2(float64(i%16)/16) - float64(power(i, 16))) },
}

// power is 2^(i/steps), rounded, for i modulo steps.
func power(i, steps int) float32 { return float32(math.Exp2(float64(i%steps) / float64(steps))) }

func values() map[string]uint32 {
	f := func(x float64) uint32 { return math.Float32bits(float32(x)) }
	bound := float32(tanhBound)
	v := map[string]uint32{
		"Bound": f(tanhBound), "LowBound": f(-tanhBound), "BoundSquare": math.Float32bits(bound * bound),
		"Half": f(0.5), "One": f(1), "Sign": 1 << 31, "Bias": 127,
		"Whole": f(0x1.8p23), "ExpPlain": f(expPlain), "ExpPlain2": 2 * f(expPlain),
		"Steps8": f(0x1.8p20), "Steps16": f(0x1.8p19), "WholeSteps8": 0x1ff << 23, "WholeSteps16": 0x1ff << 23,
		"Log2e": f(math.Log2E), "Ln2Hi": f(0.693359375), "Ln2Lo": f(-2.12194440e-4),
		"ExpTop": f(89), "ExpLow": f(-104), "SigmoidTop": f(89), "SigmoidLow": f(-87.3), "Zero": 0,
	}
	for i, c := range tanhP {
		v[fmt.Sprint("P", i)] = f(c / tanhQ[0])
	}
	for i, c := range tanhQ {
		v[fmt.Sprint("Q", i)] = f(c / tanhQ[0])
	}
	for lanes, list := range expF {
		for i, c := range list {
			v[label("F%d%d", i, lanes)] = f(c)
		}
	}
	for i, c := range expE {
		v[fmt.Sprint("E", i)] = f(c)
	}
	maps.Copy(v, mapValues(f))
	return v
}

// constSet gives constants in registers: with 32 registers they are loaded
// once, with 16 before each use, into two registers in turn.
type constSet struct {
	m     *machine
	fixed map[string]reg.VecPhysical
	spare []reg.VecPhysical
	next  int
	temp  [2]reg.VecPhysical // with 32 registers, of exp
}

// load makes the set of names that a function uses. Registers from first on
// are its own.
func (m *machine) load(first int, names ...string) *constSet {
	s := &constSet{m: m, fixed: map[string]reg.VecPhysical{}}
	if m.lanes == 8 {
		s.spare = m.regs[first:]
		return s
	}
	s.temp = [2]reg.VecPhysical(m.regs[30:])
	for i, n := range names {
		s.fixed[n] = m.regs[first+i]
		VMOVUPS(constant(n), s.fixed[n])
	}
	return s
}

func (s *constSet) get(name string) reg.VecPhysical {
	if r, ok := s.fixed[name]; ok {
		return r
	}
	if s.spare == nil {
		panic("constant " + name + " is not loaded")
	}
	r := s.spare[s.next%len(s.spare)]
	s.next++
	VMOVUPS(constant(name), r)
	return r
}

var tanhNames = []string{"P0", "P1", "P2", "P3", "P4", "P5", "P6", "Q0", "Q1", "Q2", "Q3"}

type vecs = []reg.VecPhysical

// clamp is x = max(low, min(high, x)); NaN stays.
func clamp(x vecs, low, high reg.VecPhysical) {
	for _, v := range x {
		VMINPS(v, high, v)
	}
	for _, v := range x {
		VMAXPS(v, low, v)
	}
}

// quotient makes numerators p and denominators x of tanh(x) for clamped x; s
// becomes x*x.
func (s *constSet) quotient(x, sq, p vecs) {
	for i := range x {
		VMULPS(x[i], x[i], sq[i])
	}
	c := s.get("P6")
	d := s.get("P5")
	for i := range x {
		VMOVAPS(c, p[i])
	}
	for i := range x {
		VFMADD213PS(d, sq[i], p[i])
	}
	for k := 4; k >= 0; k-- {
		c := s.get(fmt.Sprint("P", k))
		for i := range x {
			VFMADD213PS(c, sq[i], p[i])
		}
	}
	for i := range x {
		VMULPS(x[i], p[i], p[i])
	}
	c = s.get("Q3")
	d = s.get("Q2")
	for i := range x {
		VMOVAPS(c, x[i])
	}
	for i := range x {
		VFMADD213PS(d, sq[i], x[i])
	}
	for k := 1; k >= 0; k-- {
		c := s.get(fmt.Sprint("Q", k))
		for i := range x {
			VFMADD213PS(c, sq[i], x[i])
		}
	}
}

// exp is x = e^x for clamped x, with n and p to compute in. whole says that
// subnormal results and overflow count.
func (s *constSet) exp(x, n, p vecs, whole bool) {
	if s.m.lanes == 16 {
		s.expByTable(x, n, p)
		return
	}
	s.expParts(x, n, p)
	if !whole {
		one := s.get("One")
		for i := range x {
			VPADDD(one, n[i], n[i])
		}
		for i := range x {
			VMULPS(n[i], p[i], x[i])
		}
		return
	}
	bias := s.get("Bias") // 2^n in two factors
	for i := range x {
		VPSRAD(Imm(23), n[i], n[i])
		VPSRAD(Imm(1), n[i], x[i])
		VPSUBD(x[i], n[i], n[i])
		for _, v := range []reg.VecPhysical{x[i], n[i]} {
			VPADDD(bias, v, v)
			VPSLLD(Imm(23), v, v)
			VMULPS(v, p[i], p[i])
		}
		VMOVAPS(p[i], x[i])
	}
}

// expParts makes e^x of two factors, p and 2^n; n is 2^23 times as much, an
// integer.
func (s *constSet) expParts(x, n, p vecs) {
	c, whole := s.get("Log2e"), s.get("Whole")
	for i := range x {
		VMOVAPS(whole, p[i])
		VFMADD231PS(c, x[i], p[i])
		VSUBPS(whole, p[i], n[i])
	}
	for _, name := range []string{"Ln2Hi", "Ln2Lo"} {
		c := s.get(name)
		for i := range x {
			VFNMADD231PS(c, n[i], x[i])
		}
	}
	for i := range x {
		VPSLLD(Imm(23), p[i], n[i])
	}
	// Two halves of the polynomial side by side: one sum would wait for the other.
	// 1 + r*(1 + r*E) would round once more.
	half, square, e1, e3 := s.spare[0], s.spare[1], s.spare[2], s.spare[3]
	VMOVUPS(constant("E1"), e1)
	VMOVUPS(constant("E3"), e3)
	for i := range x {
		VMOVAPS(e1, half)
		VFMADD213PS(constant("E0"), x[i], half)
		VMOVAPS(e3, p[i])
		VFMADD213PS(constant("E2"), x[i], p[i])
		VMULPS(x[i], x[i], square)
		VFMADD231PS(constant("E4"), square, p[i])
		VFMADD213PS(half, square, p[i])
		VFMADD213PS(x[i], square, p[i])
		VADDPS(constant("One"), p[i], p[i])
	}
}

// expByTable is exp of 512 bits.
func (s *constSet) expByTable(x, n, p vecs) {
	c, sixteenths := s.get("Log2e"), s.get("Steps16")
	for i := range x {
		VMOVAPS(sixteenths, p[i])
		VFMADD231PS(c, x[i], p[i])
		VSUBPS(sixteenths, p[i], n[i])
	}
	for _, name := range []string{"Ln2Hi", "Ln2Lo"} {
		c := s.get(name)
		for i := range x {
			VFNMADD231PS(c, n[i], x[i])
		}
	}
	table, low, f0, f1, one := s.get("T16"), s.get("TLow16"), s.get("F016"), s.get("F116"), s.get("One")
	t, q := s.temp[0], s.temp[1]
	for i := range x {
		VPERMPS(table, p[i], t)
		VPERMPS(low, p[i], p[i])
		VMOVAPS(f0, q)
		VFMADD231PS(f1, x[i], q)
		VFMADD231PS(t, x[i], p[i])
		VFMADD213PS(one, q, x[i])
		VFMADD213PS(t, p[i], x[i])
		VSCALEFPS(n[i], x[i], x[i])
	}
}

// vectors writes dst = f(src) over n vectors, four at a time. The arguments of
// f are the elements, and registers to compute in. regs is how many registers
// are f's own.
func (m *machine) vectors(name, doc string, names []string, f func(s *constSet, x, t, u vecs)) {
	TEXT(name+m.name, NOSPLIT, "func(dst, src *float32, n int)")
	Doc(name+m.name+" is, for n vectors of elements,", "",
		"\tfor i := range dst {", "\t\tdst[i] = "+doc, "\t}")
	Pragma("noescape")
	dst, src, n := reg.RDI, reg.RSI, reg.RCX
	Load(Param("dst"), dst)
	Load(Param("src"), src)
	Load(Param("n"), n)
	s := m.load(12, names...)
	for _, k := range []int{4, 1} {
		Label(label("turn%d", k))
		CMPQ(n, Imm(uint64(k)))
		JLT(LabelRef(label("under%d", k)))
		for i := range k {
			VMOVUPS(at(i*m.bytes(), src, nil, 0), m.regs[i])
		}
		x, t, u := m.regs[:k], m.regs[4:4+k], m.regs[8:8+k]
		f(s, x, t, u)
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

// functions writes the activations over slices.
func (m *machine) functions() {
	m.vectors("tanh", "tanh(src[i])", append([]string{"Bound", "LowBound", "BoundSquare", "Sign", "One"}, tanhNames...),
		func(s *constSet, x, t, u vecs) {
			clamp(x, s.get("LowBound"), s.get("Bound"))
			s.quotient(x, t, u)
			for i := range x {
				VDIVPS(x[i], u[i], x[i])
			}
			// At the bounds and past them it is 1 with the sign of x.
			sign, one := s.get("Sign"), s.get("One")
			for i := range x {
				if m.lanes == 8 {
					VANDPS(sign, u[i], u[i])
				} else {
					VPANDD(sign, u[i], u[i])
				}
			}
			for i := range x {
				if m.lanes == 8 {
					VORPS(one, u[i], u[i])
				} else {
					VPORD(one, u[i], u[i])
				}
			}
			limit := s.get("BoundSquare")
			for i := range x {
				if m.lanes == 8 {
					VCMPPS(Imm(13), limit, t[i], t[i]) // >=, false for NaN
					VBLENDVPS(t[i], u[i], x[i], x[i])
				} else {
					VCMPPS(Imm(13), limit, t[i], reg.K1)
					VMOVAPS(u[i], reg.K1, x[i])
				}
			}
		})
	m.exponentials("sigmoid", "1 / (1 + exp(-src[i]))", func(e *exps, from Mem, x reg.VecPhysical) {
		e.set("Sign", x)
		e.m.xor(from, x)
	}, func(e *exps, _ Mem) {
		VADDPS(e.get("One"), e.p, e.p)
		e.set("One", e.t[0])
		VDIVPS(e.p, e.t[0], e.p)
	})
	m.exponentials("exp", "exp(src[i])", func(_ *exps, from Mem, x reg.VecPhysical) { VMOVUPS(from, x) }, func(*exps, Mem) {})
	m.vectors("relu", "the greater of src[i] and 0, NaN of NaN", []string{"Zero"},
		func(s *constSet, x, t, u vecs) {
			zero := s.get("Zero")
			for i := range x {
				VMAXPS(x[i], zero, x[i])
			}
		})
}
