//go:build !amd64 || noasm

package kernel

func convRows(Level, []float32, int, []float32, int, []float32, Taps, []float32, int, int) {}
func convPointSums(Level, []float32, []float32, int, Taps, []float32, []float32, int, int) {}
