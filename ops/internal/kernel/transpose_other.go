//go:build !amd64 || noasm

package kernel

func transposeVectors([]uint32, []uint32, int, int, Stride, Stride) bool { return false }
