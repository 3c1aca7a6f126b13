//go:build !amd64 || noasm

package kernel

// Without assembly nothing is done by vectors.

func compareVector[T Comparable](Level, Comparison, []bool, []T, []T, int) int { return 0 }
func whereVector[T any](Level, []T, []bool, []T, []T, int, int) int            { return 0 }
func convertVector[F, T any](Level, Conversion, []T, []F) int                  { return 0 }
