// Command _gen writes the assembly of package kernel, one file a part: go
// generate there runs it for each. Each function stands for the Go loop in its
// comment.
package main

import (
	"flag"
	"fmt"
	"log"
	"maps"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// parts are the files.
var parts = map[string]func(){
	"level":     cpu,
	"transpose": transpose8,
	"product":   each((*machine).products),
	"function":  each((*machine).functions),
	"cell":      each((*machine).cells),
	"binary":    each((*machine).binaries),
	"map":       each((*machine).maps),
	"sum":       each((*machine).sums),
	"row":       rows,
	"choose":    each((*machine).chooseFunctions),
	"conv":      each((*machine).convolutions),
	"grid":      each((*machine).grids),
	"half":      halves,
	"beside":    besides,
	"pair":      pairs,
	"integer":   each((*machine).integers),
}

// each writes a part for every machine.
func each(part func(*machine)) func() {
	return func() {
		part(&avx2)
		part(&avx512)
	}
}

func main() {
	name := flag.String("part", "", "the part to write")
	flag.Parse()
	part := parts[*name]
	if part == nil {
		log.Fatalf("-part %q: want one of %v", *name, slices.Sorted(maps.Keys(parts)))
	}
	ConstraintExpr("amd64,!noasm")
	part()
	Generate()
}

// machine is a set of instructions: the vectors of a level.
type machine struct {
	name  string
	lanes int // float32 of a vector
	regs  []reg.VecPhysical
	tiles []tile
}

// tile is the shape of a block of sums that registers hold: vectors wide, and
// up to rows high.
type tile struct{ vectors, rows int }

var avx2 = machine{
	name:  "AVX2",
	lanes: 8,
	regs: []reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
		reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15},
	tiles: []tile{{2, 6}},
}

var avx512 = machine{
	name:  "AVX512",
	lanes: 16,
	regs: []reg.VecPhysical{reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
		reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
		reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31},
	tiles: []tile{{1, 12}, {2, 12}, {3, 8}, {4, 6}},
}

// narrow512 is avx512 with vectors of eight: all registers, and tiles of the
// same widths.
var narrow512 = machine{
	name:  avx512.name,
	lanes: 8,
	regs: append(slices.Clone(avx2.regs), reg.Y16, reg.Y17, reg.Y18, reg.Y19, reg.Y20, reg.Y21, reg.Y22, reg.Y23,
		reg.Y24, reg.Y25, reg.Y26, reg.Y27, reg.Y28, reg.Y29, reg.Y30, reg.Y31),
	tiles: []tile{{2, 12}, {4, 12}, {6, 8}, {8, 6}},
}

// bytes is the size of a vector.
func (m *machine) bytes() int { return 4 * m.lanes }

// at is the memory at a base, with an index times scale (nil for none).
func at(disp int, base, index reg.Register, scale uint8) Mem {
	return Mem{Base: base, Index: index, Scale: scale, Disp: disp}
}

// cpu writes what tells the machine's instructions.
func cpu() {
	TEXT("cpuid", NOSPLIT, "func(leaf, sub uint32) (eax, ebx, ecx, edx uint32)")
	Doc("cpuid is the instruction of that name.")
	Load(Param("leaf"), reg.EAX)
	Load(Param("sub"), reg.ECX)
	CPUID()
	for i, r := range []reg.Register{reg.EAX, reg.EBX, reg.ECX, reg.EDX} {
		Store(r, ReturnIndex(i))
	}
	RET()

	TEXT("xgetbv", NOSPLIT, "func() (eax uint32)")
	Doc("xgetbv gives the low half of XCR0: the registers whose contents the operating system keeps.")
	XORL(reg.ECX, reg.ECX)
	XGETBV()
	Store(reg.EAX, ReturnIndex(0))
	RET()
}

// loadInts loads parameters of type int that count elements, and makes bytes
// of them.
func loadBytes(name string, r reg.GPPhysical) {
	Load(Param(name), r)
	SHLQ(Imm(2), r)
}

func end() {
	VZEROUPPER()
	RET()
}

func label(format string, args ...any) string { return fmt.Sprintf(format, args...) }
