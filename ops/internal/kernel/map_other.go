//go:build !amd64 || noasm

package kernel

// Without assembly the only level is Go, and nothing here is called.

func (f vectorMap) run(Level, []float32, []float32, float32, float32)        {}
func addLanes(Level, *Lanes, []float32, float64, bool) int                   { return 0 }
func extremeVector(Level, []float32, bool) (best float32, done int, ok bool) { return 0, 0, false }
