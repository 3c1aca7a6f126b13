//go:build amd64 && !noasm

package kernel

// machineLevels asks the processor for its instructions, and whether the
// operating system keeps the registers that they need.
func machineLevels() []Level {
	const (
		fma, osxsave, avx  = 1 << 12, 1 << 27, 1 << 28 // leaf 1, ecx
		avx2bit            = 1 << 5                    // leaf 7, ebx
		avx512f, avx512dq  = 1 << 16, 1 << 17
		avx512bw, avx512vl = 1 << 30, 1 << 31
		ymmState           = 1<<1 | 1<<2        // XCR0
		zmmState           = 1<<5 | 1<<6 | 1<<7 // mask registers, both parts of zmm
		basic              = fma | osxsave | avx
		wide               = avx512f | avx512dq | avx512bw | avx512vl
	)
	if last, _, _, _ := cpuid(0, 0); last < 7 {
		return nil
	}
	_, _, c, _ := cpuid(1, 0)
	_, b, _, _ := cpuid(7, 0)
	if c&basic != basic || b&avx2bit == 0 {
		return nil
	}
	kept := xgetbv()
	if kept&ymmState != ymmState {
		return nil
	}
	if b&wide != wide || kept&zmmState != zmmState {
		return []Level{AVX2}
	}
	return []Level{AVX512, AVX2}
}
