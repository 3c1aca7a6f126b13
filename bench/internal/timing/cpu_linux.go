package timing

import (
	"syscall"
	"unsafe"
)

// HaveCPU tells that CPU works here.
const HaveCPU = true

// threadCPU is CLOCK_THREAD_CPUTIME_ID.
const threadCPU = 3

// CPU is the processor time of the calling thread: what others do on a loaded
// machine is not in it, nor is what other threads do for the caller. The
// goroutine must be locked to its thread.
func CPU() float64 {
	var ts syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadCPU, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		panic(errno)
	}
	return float64(ts.Sec) + float64(ts.Nsec)*1e-9
}
