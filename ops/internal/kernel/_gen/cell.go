package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// cells writes what the recurrent operators do between sums and states, a
// vector of units of some rows. A sigmoid is (tanh(x/2) + 1) / 2; quotients
// are brought to one denominator.
func (m *machine) cells() {
	m.lstm(false)
	m.lstm(true)
	m.gru()
	m.gruReset()
	m.gruBlend()
	m.rnn()
}

// broadcast puts a parameter into all lanes.
func broadcast(name string, to reg.VecPhysical) {
	a, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(a.Addr, to)
}

// limit clamps x to a parameter and its negative, with two registers.
func (s *constSet) limit(name string, high, low reg.VecPhysical, x ...reg.VecPhysical) {
	broadcast(name, high)
	s.m.negate(high, low, s)
	clamp(x, low, high)
}

// negate is to = -from.
func (m *machine) negate(from, to reg.VecPhysical, s *constSet) {
	sign := s.get("Sign")
	if m.lanes == 8 {
		VXORPS(sign, from, to)
	} else {
		VPXORD(sign, from, to)
	}
}

// halve is x = x/2.
func (s *constSet) halve(x ...reg.VecPhysical) {
	half := s.get("Half")
	for _, v := range x {
		VMULPS(half, v, v)
	}
}

func (m *machine) head(name, args, doc string, lines ...string) {
	TEXT(name+m.name, NOSPLIT, "func("+args+")")
	Doc(append([]string{name + m.name + doc, ""}, lines...)...)
	Pragma("noescape")
}

// rowLoop repeats f for each row; next goes to the next one.
func rowLoop(rows reg.GPPhysical, f, next func()) {
	TESTQ(rows, rows)
	JZ(LabelRef("done"))
	Label("row")
	f()
	next()
	DECQ(rows)
	JNZ(LabelRef("row"))
	Label("done")
	end()
}

var cellNames = append([]string{"Sign", "Half", "Bound", "LowBound"}, tanhNames...)

func (m *machine) lstm(peepholes bool) {
	name, more, add := "lstm", "", func(string) string { return "" }
	if peepholes {
		name, more = "lstmPeep", ", p *float32, part, along int"
		add = func(s string) string { return s }
	}
	m.head(name, "sums *float32, span, gate int, c, h *float32, pitch, rows int, sigmoidLimit, tanhLimit float32"+more,
		" is, for the units of a vector, with clip(x) = the bound of x to the limit",
		"\tfor r := range rows {",
		"\t\ts, c, h := sums[r*span:], c[r*pitch:], h[r*pitch:]"+add(", p[r*along:]"),
		"\t\ti := sigmoid(clip(s[0]"+add(" + p[0]*c[0]")+"))",
		"\t\tf := sigmoid(clip(s[3*gate]"+add(" + p[2*part]*c[0]")+"))",
		"\t\tc[0] = f*c[0] + i*tanh(clip(s[gate]))",
		"\t\to := sigmoid(clip(s[2*gate]"+add(" + p[part]*c[0]")+"))",
		"\t\th[0] = o * tanh(c[0])",
		"\t}")
	sums, span, gate, gate3, c, h, pitch, rows := reg.RDI, reg.RSI, reg.RBX, reg.RDX, reg.R8, reg.R9, reg.R10, reg.RCX
	p, part, along := reg.R11, reg.R12, reg.R13
	Load(Param("sums"), sums)
	loadBytes("span", span)
	loadBytes("gate", gate)
	LEAQ(at(0, gate, gate, 2), gate3)
	Load(Param("c"), c)
	Load(Param("h"), h)
	loadBytes("pitch", pitch)
	Load(Param("rows"), rows)
	if peepholes {
		Load(Param("p"), p)
		loadBytes("part", part)
		loadBytes("along", along)
	}
	s := m.load(14, cellNames...)
	x, sq, num := m.regs[:4], m.regs[4:8], m.regs[8:12]
	high, low := m.regs[12], m.regs[13]
	f, i, g, o := 0, 1, 2, 3
	rowLoop(rows, func() {
		VMOVUPS(at(0, sums, nil, 0), x[i])
		VMOVUPS(at(0, sums, gate, 1), x[g])
		VMOVUPS(at(0, sums, gate, 2), x[o])
		VMOVUPS(at(0, sums, gate3, 1), x[f])
		n, sigmoids := 4, vecs{x[f], x[i], x[o]}
		if peepholes {
			n, sigmoids = 3, sigmoids[:2]
			VMOVUPS(at(0, c, nil, 0), sq[0])
			VFMADD231PS(at(0, p, nil, 0), sq[0], x[i])
			VFMADD231PS(at(0, p, part, 2), sq[0], x[f])
		}
		s.halve(sigmoids...)
		s.limit("sigmoidLimit", high, low, sigmoids...)
		s.limit("tanhLimit", high, low, x[g])
		s.quotient(x[:n], sq[:n], num[:n])
		// c = (pf*c*D + N*qf) / (2*D*qf), N = pi*pg and D = qi*qg, where
		// pf and pi have been increased by their denominators.
		VADDPS(x[f], num[f], num[f])
		VADDPS(x[i], num[i], num[i])
		VMULPS(num[g], num[i], num[i])
		VMULPS(x[g], x[i], x[i])
		VMULPS(at(0, c, nil, 0), num[f], num[f])
		VMULPS(x[f], num[i], num[i])
		VFMADD231PS(num[f], x[i], num[i])
		VMULPS(x[f], x[i], x[i])
		VADDPS(x[i], x[i], x[i])
		VDIVPS(x[i], num[i], x[i])
		VMOVUPS(x[i], at(0, c, nil, 0))
		// h = po*pt / (2*qo*qt)
		t := i
		if peepholes { // o is computed with tanh(c), and in the place of f
			VMOVAPS(x[o], x[f])
			o = f
			VFMADD231PS(at(0, p, part, 1), x[t], x[o])
			s.halve(x[o])
			s.limit("sigmoidLimit", high, low, x[o])
		}
		VMOVUPS(constant("Bound"), high)
		VMOVUPS(constant("LowBound"), low)
		clamp(vecs{x[t]}, low, high)
		if peepholes {
			s.quotient(x[:2], sq[:2], num[:2])
		} else {
			s.quotient(x[t:t+1], sq[t:t+1], num[t:t+1])
		}
		VADDPS(x[o], num[o], num[o])
		VADDPS(x[o], x[o], x[o])
		VMULPS(num[t], num[o], num[o])
		VMULPS(x[t], x[o], x[o])
		VDIVPS(x[o], num[o], x[o])
		VMOVUPS(x[o], at(0, h, nil, 0))
	}, func() {
		ADDQ(span, sums)
		ADDQ(pitch, c)
		ADDQ(pitch, h)
		if peepholes {
			ADDQ(along, p)
		}
	})
}

func (m *machine) gru() {
	m.head("gru", "sums *float32, span, gate int, h, next *float32, pitch, rows int, sigmoidLimit, tanhLimit float32",
		" is, for the units of a vector, with clip(x) = the bound of x to the limit",
		"\tfor r := range rows {",
		"\t\ts, h, next := sums[r*span:], h[r*pitch:], next[r*pitch:]",
		"\t\tz, r := sigmoid(clip(s[gate])), sigmoid(clip(s[2*gate]))",
		"\t\tn := tanh(clip(s[0] + r*s[3*gate]))",
		"\t\tnext[0] = (1-z)*n + z*h[0]",
		"\t}")
	sums, span, gate, gate3, h, next, pitch, rows := reg.RDI, reg.RSI, reg.RBX, reg.RDX, reg.R8, reg.R9, reg.R10, reg.RCX
	Load(Param("sums"), sums)
	loadBytes("span", span)
	loadBytes("gate", gate)
	LEAQ(at(0, gate, gate, 2), gate3)
	Load(Param("h"), h)
	Load(Param("next"), next)
	loadBytes("pitch", pitch)
	Load(Param("rows"), rows)
	s := m.load(14, cellNames...)
	x, sq, num := m.regs[:4], m.regs[4:8], m.regs[8:12]
	high, low := m.regs[12], m.regs[13]
	z, r, n := 0, 1, 2
	rowLoop(rows, func() {
		VMOVUPS(at(0, sums, gate, 1), x[z])
		VMOVUPS(at(0, sums, gate, 2), x[r])
		s.halve(x[z], x[r])
		s.limit("sigmoidLimit", high, low, x[z], x[r])
		s.quotient(x[:2], sq[:2], num[:2])
		VADDPS(x[r], num[r], num[r])
		VADDPS(x[r], x[r], x[r])
		VDIVPS(x[r], num[r], num[r])
		VMOVUPS(at(0, sums, gate3, 1), x[n])
		VFMADD213PS(at(0, sums, nil, 0), num[r], x[n])
		s.limit("tanhLimit", high, low, x[n])
		s.quotient(x[n:n+1], sq[n:n+1], num[n:n+1])
		m.blend(x, num, sq[0], h, next)
	}, func() {
		ADDQ(span, sums)
		ADDQ(pitch, h)
		ADDQ(pitch, next)
	})
}

// blend is next = n + z*(h - n) of z = (num[0]+x[0])/(2*x[0]) and
// n = num[2]/x[2], over one denominator.
func (m *machine) blend(x, num vecs, t reg.VecPhysical, h, next reg.GPPhysical) {
	z, n := 0, 2
	VADDPS(x[z], num[z], num[z])
	VADDPS(x[z], x[z], x[z])
	VMOVUPS(at(0, h, nil, 0), t)
	VFMSUB213PS(num[n], x[n], t) // h*qn - pn
	VMULPS(x[z], num[n], num[n])
	VFMADD231PS(t, num[z], num[n])
	VMULPS(x[z], x[n], x[n])
	VDIVPS(x[n], num[n], x[n])
	VMOVUPS(x[n], at(0, next, nil, 0))
}

func (m *machine) gruReset() {
	m.head("gruReset", "sums *float32, span int, h, reset *float32, pitch, rows int, sigmoidLimit float32",
		" is, for the units of a vector, with clip(x) = the bound of x to the limit",
		"\tfor r := range rows {",
		"\t\treset[r*pitch] = sigmoid(clip(sums[r*span])) * h[r*pitch]",
		"\t}")
	sums, span, h, reset, pitch, rows := reg.RDI, reg.RSI, reg.R8, reg.R9, reg.R10, reg.RCX
	Load(Param("sums"), sums)
	loadBytes("span", span)
	Load(Param("h"), h)
	Load(Param("reset"), reset)
	loadBytes("pitch", pitch)
	Load(Param("rows"), rows)
	s := m.load(14, cellNames...)
	x, sq, num := m.regs[:1], m.regs[4:5], m.regs[8:9]
	high, low := m.regs[12], m.regs[13]
	rowLoop(rows, func() {
		VMOVUPS(at(0, sums, nil, 0), x[0])
		s.halve(x[0])
		s.limit("sigmoidLimit", high, low, x[0])
		s.quotient(x, sq, num)
		VADDPS(x[0], num[0], num[0])
		VADDPS(x[0], x[0], x[0])
		VMULPS(at(0, h, nil, 0), num[0], num[0])
		VDIVPS(x[0], num[0], x[0])
		VMOVUPS(x[0], at(0, reset, nil, 0))
	}, func() {
		ADDQ(span, sums)
		ADDQ(pitch, h)
		ADDQ(pitch, reset)
	})
}

func (m *machine) gruBlend() {
	m.head("gruBlend", "sums *float32, span, gate int, h, next *float32, pitch, rows int, sigmoidLimit, tanhLimit float32",
		" is, for the units of a vector, with clip(x) = the bound of x to the limit",
		"\tfor r := range rows {",
		"\t\ts, h, next := sums[r*span:], h[r*pitch:], next[r*pitch:]",
		"\t\tz, n := sigmoid(clip(s[gate])), tanh(clip(s[0]))",
		"\t\tnext[0] = (1-z)*n + z*h[0]",
		"\t}")
	sums, span, gate, h, next, pitch, rows := reg.RDI, reg.RSI, reg.RBX, reg.R8, reg.R9, reg.R10, reg.RCX
	Load(Param("sums"), sums)
	loadBytes("span", span)
	loadBytes("gate", gate)
	Load(Param("h"), h)
	Load(Param("next"), next)
	loadBytes("pitch", pitch)
	Load(Param("rows"), rows)
	s := m.load(14, cellNames...)
	pair := func(first int) vecs { return vecs{m.regs[first], m.regs[first+2]} }
	high, low := m.regs[12], m.regs[13]
	rowLoop(rows, func() {
		VMOVUPS(at(0, sums, gate, 1), m.regs[0])
		VMOVUPS(at(0, sums, nil, 0), m.regs[2])
		s.halve(m.regs[0])
		s.limit("sigmoidLimit", high, low, m.regs[0])
		s.limit("tanhLimit", high, low, m.regs[2])
		s.quotient(pair(0), pair(4), pair(8))
		m.blend(m.regs[:4], m.regs[8:12], m.regs[4], h, next)
	}, func() {
		ADDQ(span, sums)
		ADDQ(pitch, h)
		ADDQ(pitch, next)
	})
}

func (m *machine) rnn() {
	m.head("rnn", "sums *float32, span int, h *float32, pitch, rows int, tanhLimit float32",
		" is, for the units of a vector, with clip(x) = the bound of x to the limit",
		"\tfor r := range rows {",
		"\t\th[r*pitch] = tanh(clip(sums[r*span]))",
		"\t}")
	sums, span, h, pitch, rows := reg.RDI, reg.RSI, reg.R9, reg.R10, reg.RCX
	Load(Param("sums"), sums)
	loadBytes("span", span)
	Load(Param("h"), h)
	loadBytes("pitch", pitch)
	Load(Param("rows"), rows)
	s := m.load(14, cellNames...)
	x, sq, num := m.regs[:1], m.regs[4:5], m.regs[8:9]
	high, low := m.regs[12], m.regs[13]
	rowLoop(rows, func() {
		VMOVUPS(at(0, sums, nil, 0), x[0])
		s.limit("tanhLimit", high, low, x[0])
		s.quotient(x, sq, num)
		VDIVPS(x[0], num[0], x[0])
		VMOVUPS(x[0], at(0, h, nil, 0))
	}, func() {
		ADDQ(span, sums)
		ADDQ(pitch, h)
	})
}
