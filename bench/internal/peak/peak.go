// Package peak measures how many floating-point operations a second one core
// of the machine can do at most: independent chains of fused multiply-adds of
// float32 in registers, in assembly.
package peak

/*
#cgo CFLAGS: -O2
#include <stdint.h>

#if defined(__x86_64__)

// Each of 16 chains multiplies and adds n times; the results are read, so that
// nothing can be left out. The registers hold zeros: no value slows the units.
__attribute__((target("avx512f"))) static void fma512(int64_t n) {
	__asm__ volatile(
		"vpxorq %%zmm16, %%zmm16, %%zmm16\n\t"
		".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n\t"
		"vpxorq %%zmm\\r, %%zmm\\r, %%zmm\\r\n\t"
		".endr\n\t"
		"1:\n\t"
		".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n\t"
		"vfmadd231ps %%zmm16, %%zmm16, %%zmm\\r\n\t"
		".endr\n\t"
		"dec %0\n\t"
		"jnz 1b\n\t"
		"vzeroupper\n\t"
		: "+r"(n) : : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
		"xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16");
}

__attribute__((target("avx2,fma"))) static void fma256(int64_t n) {
	__asm__ volatile(
		"vpxor %%ymm15, %%ymm15, %%ymm15\n\t"
		".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13\n\t"
		"vpxor %%ymm\\r, %%ymm\\r, %%ymm\\r\n\t"
		".endr\n\t"
		"1:\n\t"
		".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13\n\t"
		"vfmadd231ps %%ymm15, %%ymm15, %%ymm\\r\n\t"
		".endr\n\t"
		"dec %0\n\t"
		"jnz 1b\n\t"
		"vzeroupper\n\t"
		: "+r"(n) : : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
		"xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

// bench_fma runs n rounds of the widest chains and gives the operations of a
// round, a multiply-add being two; 0 where there are none.
int bench_fma(int64_t n) {
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f")) {
		fma512(n);
		return 16 * 16 * 2;
	}
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
		fma256(n);
		return 14 * 8 * 2;
	}
	return 0;
}

#elif defined(__aarch64__)

int bench_fma(int64_t n) {
	__asm__ volatile(
		"movi v31.4s, #0\n\t"
		".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23\n\t"
		"movi v\\r\\().4s, #0\n\t"
		".endr\n\t"
		"1:\n\t"
		".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23\n\t"
		"fmla v\\r\\().4s, v31.4s, v31.4s\n\t"
		".endr\n\t"
		"subs %0, %0, #1\n\t"
		"b.ne 1b\n\t"
		: "+r"(n) : : "cc", "memory", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12",
		"v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v31");
	return 24 * 4 * 2;
}

#else

int bench_fma(int64_t n) { return 0; }

#endif
*/
import "C"

// rounds make one call about a millisecond long.
const rounds = 100_000

// FLOP does a millisecond of multiply-adds and gives their number, each of
// which is two operations; 0 where the machine has no loop here.
func FLOP() float64 { return float64(C.bench_fma(rounds)) * rounds }
