package kernel

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

// ScatterScaled is y[i*step] += v*x[i]; the product is rounded before the sum.
func ScatterScaled[T Number](y, x []T, step int, v T) {
	if step == 1 {
		AddScaled(y[:len(x)], x, 1, v)
		return
	}
	for i, e := range x {
		y[i*step] += T(v * e)
	}
}

// CopyStrided writes the elements of src at the sums of an index of shape times
// strides, in the order of the indices; dst has as many elements as shape.
func CopyStrided[T any](dst, src []T, shape, strides []int) {
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
