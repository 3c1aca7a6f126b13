//go:build !linux

package timing

// HaveCPU tells that CPU does not work here.
const HaveCPU = false

// CPU is Wall.
func CPU() float64 { return Wall() }
