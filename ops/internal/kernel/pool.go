package kernel

// MaxInto is y[i] = the greater of y[i] and x[i*step], NaN where either is.
func MaxInto[T Number](y, x []T, step int) {
	for i := range y {
		if v := x[i*step]; v > y[i] || v != v {
			y[i] = v
		}
	}
}

// MaxOf gives the greatest of low and the elements of x, NaN where one is.
func MaxOf[T Number](x []T, low T) T {
	for _, v := range x {
		if v > low || v != v {
			low = v
		}
	}
	return low
}
