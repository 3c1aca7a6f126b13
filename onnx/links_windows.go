package onnx

import (
	"os"
	"syscall"
)

const openFlags = os.O_RDONLY

// hardLinks counts the names of an open file, 0 when that is not known.
func hardLinks(f *os.File, _ os.FileInfo) uint64 {
	var info syscall.ByHandleFileInformation
	if err := syscall.GetFileInformationByHandle(syscall.Handle(f.Fd()), &info); err != nil {
		return 0
	}
	return uint64(info.NumberOfLinks)
}
