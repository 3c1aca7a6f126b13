//go:build !amd64 || noasm

package kernel

// Without assembly nothing is done by vectors.

func arithmeticVector[T Word](Level, Arithmetic, []T, []T, []T, int, int) int { return 0 }
func clipVector[T Number](Level, []T, []T, T, T) int                          { return 0 }
