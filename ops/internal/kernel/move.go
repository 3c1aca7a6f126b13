package kernel

// Stride is a dimension of a copy: its size, and how far apart its neighbours
// lie in the destination and in the source, in elements.
type Stride struct{ N, Dst, Src int }

// CopyStrided is dst[to + Σ i·Dst] = src[from + Σ i·Src] for all i of dims,
// outermost first. There is at least one dimension, and no size is 0.
func CopyStrided[T any](dst, src []T, to, from int, dims []Stride) {
	d := dims[0]
	switch {
	case len(dims) == 1:
		copyRow(dst, src, to, from, d)
		return
	case len(dims) == 2 && d.Src == 1 && dims[1].Dst == 1:
		copySwapped(dst, src, to, from, d, dims[1])
		return
	case len(dims) == 2 && dims[1].Dst == 1 && dims[1].Src == 1:
		copyRuns(dst, src, to, from, d, dims[1].N)
		return
	}
	for range d.N {
		CopyStrided(dst, src, to, from, dims[1:])
		to += d.Dst
		from += d.Src
	}
}

func copyRow[T any](dst, src []T, to, from int, d Stride) {
	switch {
	case d.Dst == 1 && d.Src == 1:
		copy(dst[to:to+d.N], src[from:from+d.N])
	case d.Dst == 1 && d.Src == 0:
		Fill(dst[to:to+d.N], src[from])
	case d.Dst == 1:
		for i := range dst[to : to+d.N] {
			dst[to+i] = src[from]
			from += d.Src
		}
	default:
		for range d.N {
			dst[to] = src[from]
			to += d.Dst
			from += d.Src
		}
	}
}

// shortRun is the length up to which a loop copies faster than a call.
const shortRun = 8

// copyRuns copies runs of n elements, d.N of them. Short ones are copied as two
// arrays, which may overlap.
func copyRuns[T any](dst, src []T, to, from int, d Stride, n int) {
	switch {
	case n < 4:
		for range d.N {
			a, b := dst[to:to+n], src[from:from+n]
			for i := range a {
				a[i] = b[i]
			}
			to, from = to+d.Dst, from+d.Src
		}
	case n <= 8:
		for range d.N {
			a, b := dst[to:to+n], src[from:from+n]
			first, last := [4]T(b), [4]T(b[n-4:])
			*(*[4]T)(a), *(*[4]T)(a[n-4:]) = first, last
			to, from = to+d.Dst, from+d.Src
		}
	case n <= 16:
		for range d.N {
			a, b := dst[to:to+n], src[from:from+n]
			first, last := [8]T(b), [8]T(b[n-8:])
			*(*[8]T)(a), *(*[8]T)(a[n-8:]) = first, last
			to, from = to+d.Dst, from+d.Src
		}
	default:
		for range d.N {
			copy(dst[to:to+n], src[from:from+n])
			to, from = to+d.Dst, from+d.Src
		}
	}
}

// tile is the side of the squares in which copySwapped goes, so that lines of the
// source and of the destination are used again while they are in a cache.
const tile = 64

// copySwapped transposes: row has Src 1 and col has Dst 1.
func copySwapped[T any](dst, src []T, to, from int, row, col Stride) {
	if a, ok := any(dst).([]uint32); ok && transposeVectors(a, any(src).([]uint32), to, from, row, col) {
		return
	}
	for r := 0; r < row.N; r += tile {
		rows := min(tile, row.N-r)
		for c := 0; c < col.N; c += tile {
			cols := min(tile, col.N-c)
			i := 0
			for ; i+4 <= rows; i += 4 {
				at := to + (r+i)*row.Dst + c
				a0, a1 := dst[at:][:cols], dst[at+row.Dst:][:cols]
				a2, a3 := dst[at+2*row.Dst:][:cols], dst[at+3*row.Dst:][:cols]
				at = from + r + i + c*col.Src
				for j := range a0 {
					s := src[at : at+4 : at+4]
					a0[j], a1[j], a2[j], a3[j] = s[0], s[1], s[2], s[3]
					at += col.Src
				}
			}
			for ; i < rows; i++ {
				a := dst[to+(r+i)*row.Dst+c:][:cols]
				at := from + r + i + c*col.Src
				for j := range a {
					a[j] = src[at]
					at += col.Src
				}
			}
		}
	}
}

// fillBlock is how many elements Fill doubles up to before it repeats them.
const fillBlock = 1 << 12

// Fill is dst[i] = v.
func Fill[T any](dst []T, v T) {
	if len(dst) <= shortRun {
		for i := range dst {
			dst[i] = v
		}
		return
	}
	dst[0] = v
	for n := 1; n < len(dst); {
		n += copy(dst[n:], dst[:min(n, fillBlock)])
	}
}

// Take copies runs of n elements: run j of dst is that which begins at at[j]
// in src.
func Take[T any](dst, src []T, at []int, n int) {
	if n == 1 {
		dst = dst[:len(at)]
		for j, i := range at {
			dst[j] = src[i]
		}
		return
	}
	for j, i := range at {
		copy(dst[j*n:(j+1)*n], src[i:i+n])
	}
}

// Put copies runs of n elements: run j of src goes to where at[j] says in dst,
// in order.
func Put[T any](dst, src []T, at []int, n int) {
	for j, i := range at {
		copy(dst[i:i+n], src[j*n:(j+1)*n])
	}
}

// TakeAt is dst[j] = src[from + j·step + at[j]].
func TakeAt[T any](dst, src []T, from, step int, at []int) {
	dst = dst[:len(at)]
	for j, i := range at {
		dst[j] = src[from+i]
		from += step
	}
}

// PutAt is dst[to + j·step + at[j]] = src[j], in order.
func PutAt[T any](dst, src []T, to, step int, at []int) {
	src = src[:len(at)]
	for j, i := range at {
		dst[to+i] = src[j]
		to += step
	}
}

// FoldAt is dst[to + j·step + at[j]] = f(that, src[j]), in order.
func FoldAt[T any](f func(a, b T) T, dst, src []T, to, step int, at []int) {
	src = src[:len(at)]
	for j, i := range at {
		dst[to+i] = f(dst[to+i], src[j])
		to += step
	}
}

// FoldRuns is Put with dst = f(dst, src) for each element.
func FoldRuns[T any](f func(a, b T) T, dst, src []T, at []int, n int) {
	for j, i := range at {
		a, b := dst[i:i+n], src[j*n:(j+1)*n]
		for k := range a {
			a[k] = f(a[k], b[k])
		}
	}
}

// CopyMapped is dst[i...] = src[from + Σ at[k][i_k]], with dst in row-major
// order of the dimensions, whose sizes are the lengths of the lists in at. It
// returns how many elements it wrote. The places lo..hi-1 of the last list follow
// each other, and only the first of them is looked at.
func CopyMapped[T any](dst, src []T, from int, at [][]int, lo, hi int) int {
	if row := at[0]; len(at) == 1 {
		TakeAt(dst[:lo], src, from, 0, row[:lo])
		if lo < hi {
			copy(dst[lo:hi], src[from+row[lo]:][:hi-lo])
		}
		TakeAt(dst[hi:], src, from, 0, row[hi:])
		return len(row)
	}
	n := 0
	for _, i := range at[0] {
		n += CopyMapped(dst[n:], src, from+i, at[1:], lo, hi)
	}
	return n
}
