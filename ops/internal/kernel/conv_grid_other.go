//go:build !amd64 || noasm

package kernel

func convGrid(Level, []float32, []float32, []float32, Grid, Taps, []float32)    {}
func padRows(Level, []float32, []float32, Lines)                                {}
func dealRows(Level, []float32, []float32, []float32, Lines)                    {}
func interleaveRows(Level, []float32, int, []float32, []float32, int, int, int) {}
