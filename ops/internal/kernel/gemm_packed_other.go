//go:build !amd64 || noasm

package kernel

func packedVectors(*PackedB, []float32, int, []float32, int, int, int, int, int) {}
