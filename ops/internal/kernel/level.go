package kernel

import "slices"

// Level is a set of instructions that the loops of float32 may use. Within a
// level the results of a loop depend on its operands alone; between levels
// they differ in roundings.
type Level int

// The levels. The loops of plain Go serve every machine, and are what the
// others are held against.
const (
	Go     Level = iota
	AVX2         // 256 bits, with FMA
	AVX512       // 512 bits: F, BW, DQ and VL
)

func (l Level) String() string { return [...]string{"go", "avx2", "avx512"}[l] }

// levels are those of this machine, the best first.
var levels = append(machineLevels(), Go)

// Levels lists the levels that this machine has, the best first.
func Levels() []Level { return slices.Clone(levels) }

// Lanes is how many float32 a vector of the level holds; 1 for plain Go.
func (l Level) Lanes() int { return [...]int{1, 8, 16}[l] }

// depthMost bounds the depth of one call of assembly, which cannot be
// interrupted.
const depthMost = 1 << 16

// Strip is how many columns of a panel of weights lie together at a level: a
// panel of width columns is one strip after the other, each with its columns
// of one row after the other.
func (l Level) Strip(width int) int {
	switch {
	case l == Go || width%16 != 0:
		return width
	case l == AVX2:
		return 16
	}
	for s := 64; ; s -= 16 {
		if width%s == 0 {
			return s
		}
	}
}
