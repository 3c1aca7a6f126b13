package kernel

import "unsafe"

// Weights makes memory for n weights that are read again and again. It begins a
// cache line, and large memory has large pages where the system has them: a
// reader that outruns the caches then seldom waits for the address of a page.
func Weights[T Float | uint16](n int) []T {
	if n == 0 {
		return nil
	}
	const line = 64
	size := int(unsafe.Sizeof(T(0)))
	s := make([]T, n+line/size)
	preferHugePages(unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*size))
	past := int(uintptr(unsafe.Pointer(&s[0]))%line) / size
	return s[(line/size-past)%(line/size):][:n:n]
}
