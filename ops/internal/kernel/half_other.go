//go:build !amd64 || noasm

package kernel

// HasHalf reports whether a level has instructions for float16.
func (Level) HasHalf() bool { return false }

func widenHalf(Level, []float32, []uint16) int { return 0 }

func mulAddStripsHalf(Level, []float32, int, int, []float32, int, int, int, []uint16, int, int) {}
