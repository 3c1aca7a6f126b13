package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// convTiles are the shapes of the blocks of sums of a convolution.
func (m *machine) convTiles() []tile {
	if m.lanes == 8 {
		return []tile{{1, 6}, {2, 6}}
	}
	return m.tiles
}

// convolutions writes the loops of convolutions: along a row of places, and at
// single places.
func (m *machine) convolutions() {
	for _, t := range m.convTiles() {
		m.convRows(t)
		m.convPoints(t)
	}
}

// lastMask is the last vector's mask: a predicate, or a vector of AVX2.
func (m *machine) lastMask(p reg.GPPhysical) (load, store func(mem Mem, v reg.VecPhysical)) {
	last := m.regs[len(m.regs)-1]
	if m.lanes == 8 {
		VMOVUPS(at(0, p, nil, 0), last)
		return func(mem Mem, v reg.VecPhysical) { VMASKMOVPS(mem, last, v) },
			func(mem Mem, v reg.VecPhysical) { VMASKMOVPS(v, last, mem) }
	}
	VMOVUPS(at(0, p, nil, 0), last)
	VPMOVD2M(last, reg.K1)
	return func(mem Mem, v reg.VecPhysical) { VMOVUPS_Z(mem, reg.K1, v) },
		func(mem Mem, v reg.VecPhysical) { VMOVUPS(v, reg.K1, mem) }
}

// convRows is the product of rows of weights with elements of the input that
// lie at the offsets of a list.
func (m *machine) convRows(t tile) {
	name := fmt.Sprintf("convRows%d%s", t.vectors*m.lanes, m.name)
	TEXT(name, NOSPLIT, "func(y *float32, span int, w *float32, pitch int, x *float32, offsets *int, depth int, bias *float32, mask *int32, rows int)")
	Doc(fmt.Sprintf("%s is, for 1 <= rows <= %d and the columns of %d vectors, of the", name, t.rows, t.vectors),
		"last those that mask has, with fma rounding once, from a sum of 0,",
		"",
		"\tfor r := range rows {",
		"\t\tfor j := range columns {",
		"\t\t\tfor k := range depth {",
		"\t\t\t\tsum = fma(w[r*pitch+k], x[offsets[k]+j], sum)",
		"\t\t\t}",
		"\t\t\ty[r*span+j] = bias[r] + sum",
		"\t\t}",
		"\t}")
	Pragma("noescape")
	pitch, x, offsets, depth, to := reg.RBX, reg.RSI, reg.RDI, reg.RCX, reg.R10
	w := []reg.GPPhysical{reg.RAX, reg.RDX, reg.R8, reg.R9} // rows 0, 3, 6, 9
	o, o2 := reg.R11, reg.R12
	Load(Param("mask"), o)
	load, store := m.lastMask(o)
	Load(Param("w"), w[0])
	loadBytes("pitch", pitch)
	Load(Param("x"), x)
	Load(Param("offsets"), offsets)
	Load(Param("depth"), depth)
	LEAQ(at(0, pitch, pitch, 2), o)
	for i := 1; 3*i < t.rows; i++ {
		LEAQ(at(0, w[i-1], o, 1), w[i])
	}
	Load(Param("rows"), o)
	for r := 1; r < t.rows; r++ {
		CMPQ(o, Imm(uint64(r)))
		JEQ(LabelRef(label("tile%d", r)))
	}
	for r := t.rows; r >= 1; r-- {
		Label(label("tile%d", r))
		acc := m.regs[:r*t.vectors]
		columns := m.regs[len(acc):][:t.vectors]
		spread := m.regs[len(acc)+t.vectors : len(m.regs)-1]
		spread = spread[:min(len(spread), 4)]
		for _, v := range acc {
			VXORPS(v.AsX(), v.AsX(), v.AsX())
		}
		term := func(u int, o reg.GPPhysical) {
			for v, c := range columns {
				mem := at(v*m.bytes(), x, o, 4)
				if v+1 < t.vectors {
					VMOVUPS(mem, c)
				} else {
					load(mem, c)
				}
			}
			for i := range r {
				row := at(4*u, w[i/3], nil, 0)
				if i%3 > 0 {
					row = at(4*u, w[i/3], pitch, uint8(i%3))
				}
				s := spread[i%len(spread)]
				VBROADCASTSS(row, s)
				for v := range t.vectors {
					VFMADD231PS(columns[v], s, acc[i*t.vectors+v])
				}
			}
		}
		advance := func(n int) {
			ADDQ(Imm(uint64(8*n)), offsets)
			for i := 0; 3*i < r; i++ {
				ADDQ(Imm(uint64(4*n)), w[i])
			}
		}
		SUBQ(Imm(2), depth)
		JLT(LabelRef(label("rest%d", r)))
		Label(label("terms%d", r))
		MOVQ(at(0, offsets, nil, 0), o)
		MOVQ(at(8, offsets, nil, 0), o2)
		term(0, o)
		term(1, o2)
		advance(2)
		SUBQ(Imm(2), depth)
		JGE(LabelRef(label("terms%d", r)))
		Label(label("rest%d", r))
		ADDQ(Imm(2), depth)
		JZ(LabelRef(label("store%d", r)))
		MOVQ(at(0, offsets, nil, 0), o)
		term(0, o)
		Label(label("store%d", r))
		Load(Param("y"), to)
		loadBytes("span", pitch)
		Load(Param("bias"), o)
		for i := range r {
			VBROADCASTSS(at(4*i, o, nil, 0), spread[0])
			for v := range t.vectors {
				a := acc[i*t.vectors+v]
				VADDPS(a, spread[0], a)
				mem := at(v*m.bytes(), to, nil, 0)
				if v+1 < t.vectors {
					VMOVUPS(a, mem)
				} else {
					store(mem, a)
				}
			}
			if i+1 < r {
				ADDQ(pitch, to)
			}
		}
		end()
	}
}

// convPoints is the product of the input at a few places with a strip of
// weights.
func (m *machine) convPoints(t tile) {
	width := t.vectors * m.lanes
	name := fmt.Sprintf("convPoints%d%s", width, m.name)
	TEXT(name, NOSPLIT, "func(y *float32, span int, x *float32, step int, offsets *int, depth int, w *float32, bias *float32, points int)")
	Doc(fmt.Sprintf("%s is, for 1 <= points <= %d, with fma rounding once, from a sum of 0,", name, t.rows),
		"",
		"\tfor p := range points {",
		fmt.Sprintf("\t\tfor u := range %d {", width),
		"\t\t\tfor k := range depth {",
		fmt.Sprintf("\t\t\t\tsum = fma(x[p*step+offsets[k]], w[k*%d+u], sum)", width),
		"\t\t\t}",
		"\t\t\ty[p*span+u] = bias[u] + sum",
		"\t\t}",
		"\t}")
	Pragma("noescape")
	step, weights, offsets, depth, to := reg.RBX, reg.RSI, reg.RDI, reg.RCX, reg.R10
	x := []reg.GPPhysical{reg.RAX, reg.RDX, reg.R8, reg.R9} // points 0, 3, 6, 9
	o, o2 := reg.R11, reg.R12
	Load(Param("x"), x[0])
	loadBytes("step", step)
	Load(Param("offsets"), offsets)
	Load(Param("depth"), depth)
	Load(Param("w"), weights)
	LEAQ(at(0, step, step, 2), o)
	for i := 1; 3*i < t.rows; i++ {
		LEAQ(at(0, x[i-1], o, 1), x[i])
	}
	Load(Param("points"), o)
	for r := 1; r < t.rows; r++ {
		CMPQ(o, Imm(uint64(r)))
		JEQ(LabelRef(label("tile%d", r)))
	}
	for r := t.rows; r >= 1; r-- {
		Label(label("tile%d", r))
		acc := m.regs[:r*t.vectors]
		columns := m.regs[len(acc):][:t.vectors]
		spread := m.regs[len(acc)+t.vectors:]
		spread = spread[:min(len(spread), 4)]
		for _, v := range acc {
			VXORPS(v.AsX(), v.AsX(), v.AsX())
		}
		term := func(u int, o reg.GPPhysical) {
			for v, c := range columns {
				VMOVUPS(at(u*width*4+v*m.bytes(), weights, nil, 0), c)
			}
			for i := range r {
				s := spread[i%len(spread)]
				switch i % 3 {
				case 0:
					VBROADCASTSS(at(0, x[i/3], o, 4), s)
					if i+1 < r {
						LEAQ(at(0, x[i/3], o, 4), reg.R13)
					}
				default:
					VBROADCASTSS(at(0, reg.R13, step, uint8(i%3)), s)
				}
				for v := range t.vectors {
					VFMADD231PS(columns[v], s, acc[i*t.vectors+v])
				}
			}
		}
		advance := func(n int) {
			ADDQ(Imm(uint64(8*n)), offsets)
			ADDQ(U32(4*width*n), weights)
		}
		SUBQ(Imm(2), depth)
		JLT(LabelRef(label("rest%d", r)))
		Label(label("terms%d", r))
		MOVQ(at(0, offsets, nil, 0), o)
		MOVQ(at(8, offsets, nil, 0), o2)
		term(0, o)
		term(1, o2)
		advance(2)
		SUBQ(Imm(2), depth)
		JGE(LabelRef(label("terms%d", r)))
		Label(label("rest%d", r))
		ADDQ(Imm(2), depth)
		JZ(LabelRef(label("store%d", r)))
		MOVQ(at(0, offsets, nil, 0), o)
		term(0, o)
		Label(label("store%d", r))
		Load(Param("y"), to)
		loadBytes("span", step)
		Load(Param("bias"), o)
		for v, c := range columns {
			VMOVUPS(at(v*m.bytes(), o, nil, 0), c)
		}
		for i := range r {
			for v := range t.vectors {
				a := acc[i*t.vectors+v]
				VADDPS(a, columns[v], a)
				VMOVUPS(a, at(v*m.bytes(), to, nil, 0))
			}
			if i+1 < r {
				ADDQ(step, to)
			}
		}
		end()
	}
}
