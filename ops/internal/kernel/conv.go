package kernel

import "unsafe"

// Gather is dst[i] = src[i*step].
func Gather[T any](dst, src []T, step int) {
	if step == 1 {
		copy(dst, src)
		return
	}
	for i := range dst {
		dst[i] = src[i*step]
	}
}

// AddScaled is y[i] += v*x[i*step]; the product is rounded before the sum.
func AddScaled[T Number](y, x []T, step int, v T) {
	if step == 1 {
		x = x[:len(y)]
		for i := range y {
			y[i] += T(v * x[i])
		}
		return
	}
	for i := range y {
		y[i] += T(v * x[i*step])
	}
}

// AddProducts is y[i] += v*x[i*step]; for float32 it rounds once, as Gemm does.
func AddProducts[T Number](y, x []T, step int, v T) {
	if y, ok := any(y).([]float32); ok {
		x, v := any(x).([]float32), float64(any(v).(float32))
		for i, s := range y {
			y[i] = float32(sum(float64(s), v*float64(x[i*step])))
		}
		return
	}
	AddScaled(y, x, step, v)
}

// ScatterProducts is y[i*step] += v*x[i]; for float32 it rounds once, as Gemm
// does.
func ScatterProducts[T Number](y, x []T, step int, v T) {
	if y, ok := any(y).([]float32); ok {
		x, v := any(x).([]float32), float64(any(v).(float32))
		for i, e := range x {
			y[i*step] = float32(sum(float64(y[i*step]), v*float64(e)))
		}
		return
	}
	for i, e := range x {
		y[i*step] += T(v * e)
	}
}

// Interleave is dst[i*step+r] = src[r*span+i] for n of i and rows of r, at most
// step.
func Interleave(dst, src []float32, rows, n, step, span int) {
	switch {
	case rows >= 8 && transposeVectors(words(dst), words(src), 0, 0, Stride{n, step, 1}, Stride{rows, 1, span}):
	default:
		for r := range rows {
			at := r
			for _, v := range src[r*span:][:n] {
				dst[at] = v
				at += step
			}
		}
	}
}

// words are numbers as their bits.
func words(x []float32) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}

// Restride writes the elements of src at the sums of an index of shape times
// strides, in the order of the indices; dst has as many elements as shape.
func Restride[T any](dst, src []T, shape, strides []int) {
	if len(dst) == 0 {
		return
	}
	if len(shape) == 0 {
		dst[0] = src[0]
		return
	}
	last := len(shape) - 1
	pos := make([]int, last)
	n, step := shape[last], strides[last]
	for at := 0; len(dst) > 0; dst = dst[n:] {
		if step == 1 {
			copy(dst[:n], src[at:])
		} else {
			for i := range n {
				dst[i] = src[at+i*step]
			}
		}
		for d := last - 1; d >= 0; d-- {
			pos[d]++
			at += strides[d]
			if pos[d] < shape[d] {
				break
			}
			at -= pos[d] * strides[d]
			pos[d] = 0
		}
	}
}

// Pick writes, for each index of dst in order, the element of src at the sum of
// what the dimensions' lists say for it, or fill where one says less than 0.
func Pick[T any](dst, src []T, index [][]int, fill T) {
	pick(dst, src, index, 0, fill)
}

func pick[T any](dst, src []T, index [][]int, base int, fill T) []T {
	if len(index) == 0 {
		if base >= 0 {
			dst[0] = src[base]
		} else {
			dst[0] = fill
		}
		return dst[1:]
	}
	for _, i := range index[0] {
		if len(index) > 1 {
			at := base + i
			if base < 0 || i < 0 {
				at = -1
			}
			dst = pick(dst, src, index[1:], at, fill)
			continue
		}
		if base < 0 || i < 0 {
			dst[0] = fill
		} else {
			dst[0] = src[base+i]
		}
		dst = dst[1:]
	}
	return dst
}
