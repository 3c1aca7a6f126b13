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
