package kernel

import (
	"syscall"
	"unsafe"
)

// hugePage is the size of a large page.
const hugePage = 2 << 20

// preferHugePages asks for large pages where whole ones fit into memory that
// nobody has touched. A system that has none refuses, which changes nothing.
func preferHugePages(b []byte) {
	past := int(uintptr(unsafe.Pointer(unsafe.SliceData(b))) % hugePage)
	if from := (hugePage - past) % hugePage; len(b)-from >= 2*hugePage {
		_ = syscall.Madvise(b[from:][:(len(b)-from)/hugePage*hugePage], syscall.MADV_HUGEPAGE)
	}
}
