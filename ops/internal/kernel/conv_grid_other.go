//go:build !amd64 || noasm

package kernel

func convGrid(Level, []float32, int, []float32, []float32, int, Taps, float32, int, int) {}
func padRows(Level, []float32, int, []float32, int, int)                                 {}
func dealRows(Level, []float32, []float32, int, []float32, int, int)                     {}
func interleaveRows(Level, []float32, int, []float32, []float32, int, int, int)          {}
