package ops

// Arithmetic of sizes and shapes that operators of several families need.

// elements multiplies sizes, which are those of a tensor that exists.
func elements(sizes []int) int {
	n := 1
	for _, d := range sizes {
		n *= d
	}
	return n
}

// split3 gives the product of the sizes before an axis, its size, and the
// product of those after it.
func split3(shape []int, axis int) (outer, n, inner int) {
	return elements(shape[:axis]), shape[axis], elements(shape[axis+1:])
}

// strideAfter is the number of elements that lie within a step along an axis.
func strideAfter(shape []int, axis int) int { return elements(shape[axis+1:]) }

// ceilDiv is the least whole number that is not below a/b; a is not negative
// and b is positive.
func ceilDiv(a, b int) int { return (a + b - 1) / b }
