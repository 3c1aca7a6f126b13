//go:build unix

package onnx

import (
	"os"
	"syscall"
)

// openFlags lets a pipe or device that took the place of a file be opened and
// refused without waiting for its other end.
const openFlags = os.O_RDONLY | syscall.O_NONBLOCK

// hardLinks counts the names of an open file, 0 when that is not known.
func hardLinks(_ *os.File, info os.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Nlink)
	}
	return 0
}
