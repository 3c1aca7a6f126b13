package ops

import (
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

// product computes a batch of matrix products y = a*b on the threads of a run.
// It lives in a kernel's Local, so that a run allocates nothing.
type product[T element] struct {
	level    Level
	y, a, b  []T
	m, n, k  int
	ldy      int  // stride of y's rows
	ars, acs int  // strides of a's rows and columns
	ldb      int  // stride of b's rows
	transB   bool // b is n rows of k; then acs is 1
	// packed is b in place of b, for the only product of float32; nil for none.
	packed *kernel.PackedB
	// fresh says that y, all of which is computed, holds nothing.
	fresh bool
	// finish, which may be nil, gets each part of y once it is complete: rows of w
	// columns one after the other, from row i of all products' rows and column j on.
	finish func(i, j, w int, y []T)
	// The batch: its dimensions, and the strides of a and b along them.
	dims, as, bs []int

	direct bool        // b is read where it lies
	terms  kernel.Taps // its rows

	c                  *Ctx
	rows, cols, strips func(lo, hi int)
}

// mulGrain is the number of multiplications that make a thread worth its start.
const mulGrain = 1 << 17

// mulSlice is the number of multiplications after which a run's context is
// looked at.
const mulSlice = 1 << 21

// vectorSlice is mulSlice at a level of vectors: enough rows to make use of
// blocks.
const vectorSlice = 1 << 26

// finishBlock is about the number of sums that are finished together: they are
// still in the second-level cache.
const finishBlock = 1 << 17

// grainOf is how many items of a given cost go to a thread at least.
func grainOf(cost int) int { return max(1, mulGrain/max(cost, 1)) }

// run adds the products to y; with packed or fresh, it sets y to them.
func (p *product[T]) run(c *Ctx) error {
	batch := elements(p.dims)
	if batch == 0 || p.m == 0 || p.n == 0 {
		return nil
	}
	if p.rows == nil {
		p.rows, p.cols, p.strips = p.doRows, p.doCols, p.doStrips
	}
	if p.choose(); p.fresh && !p.direct && p.packed == nil {
		clear(p.y)
	}
	if p.k == 0 {
		if p.packed != nil {
			clear(p.y)
		}
		p.complete(0, batch*p.m, 0, p.n)
		return c.Err()
	}
	p.c = c
	switch {
	case p.packed != nil && p.m < 4:
		step := p.packed.Step()
		c.Parallel((p.n+step-1)/step, grainOf(p.m*p.k*step), p.strips)
	case batch == 1 && p.m < 4:
		c.Parallel(p.n, max(64, grainOf(p.m*p.k)), p.cols)
	default:
		c.Parallel(batch*p.m, grainOf(p.n*p.k), p.rows)
	}
	p.c, p.y, p.a, p.b, p.packed = nil, nil, nil, nil, nil
	return c.Err()
}

// choose decides how vectors of float32 go about it, which changes no sum.
func (p *product[T]) choose() {
	p.direct = false
	if !p.fresh || p.acs != 1 || p.level == kernel.Go || onnx.TypeOf[T]() != onnx.Float || p.k == 0 {
		return
	}
	if p.n == 1 && p.m >= 8 && p.finish == nil && !p.transB && p.ldb == 1 {
		// The column times the rows of a is one row of results.
		p.a, p.b, p.as, p.bs, p.packed = p.b, p.a, p.bs, p.as, nil
		p.m, p.n, p.ldb, p.ars, p.transB = 1, p.m, p.ars, p.k, true
		p.ldy = p.n
	}
	if p.packed == nil && !p.transB && p.level.Direct(p.m, p.n, p.k) {
		p.direct = true
		p.terms.Step(p.k, p.ldb)
	}
}

// multiply computes a part of a product: rows of a by w columns of b.
func (p *product[T]) multiply(y, a, b []T, rows, w int) {
	switch {
	case p.direct:
		y, _ := any(y).([]float32)
		a, _ := any(a).([]float32)
		b, _ := any(b).([]float32)
		kernel.DirectProduct(p.level, y, p.ldy, a, p.ars, b, p.terms, rows, w)
	case p.transB:
		kernel.GemmT(p.level, y, p.ldy, a, p.ars, b, p.ldb, rows, w, p.k)
	default:
		kernel.Gemm(p.level, y, p.ldy, a, p.ars, p.acs, b, p.ldb, rows, w, p.k)
	}
}

// doStrips computes strips lo..hi-1 of the columns of a product with a packed
// operand.
func (p *product[T]) doStrips(lo, hi int) {
	width := p.packed.Step()
	step := max(1, vectorSlice/(p.m*p.k*width))
	for ; lo < hi && p.c.Err() == nil; lo += step {
		p.doPacked(0, p.m, lo*width, min(min(lo+step, hi)*width, p.n))
	}
}

// doPacked computes a part of the product with a packed operand.
func (p *product[T]) doPacked(i, rows, from, to int) {
	y, _ := any(p.y).([]float32)
	a, _ := any(p.a).([]float32)
	finish, _ := any(p.finish).(func(i, j, w int, y []float32))
	p.packed.Product(y, p.ldy, a, p.ars, p.acs, i, rows, from, to, finish)
}

// complete finishes columns from..to-1 of rows of y.
func (p *product[T]) complete(i, rows, from, to int) {
	if p.finish == nil {
		return
	}
	if to-from == p.ldy {
		p.finish(i, from, p.ldy, p.y[i*p.ldy:(i+rows)*p.ldy])
		return
	}
	for ; rows > 0; i, rows = i+1, rows-1 {
		p.finish(i, from, to-from, p.y[i*p.ldy+from:i*p.ldy+to])
	}
}

// doCols computes columns lo..hi-1 of the only product.
func (p *product[T]) doCols(lo, hi int) {
	step := max(64, mulSlice/(p.m*p.k))
	for ; lo < hi && p.c.Err() == nil; lo += step {
		w := min(step, hi-lo)
		at := lo
		if p.transB {
			at *= p.ldb
		}
		p.multiply(p.y[lo:], p.a, p.b[at:], p.m, w)
		p.complete(0, p.m, lo, lo+w)
	}
}

// doRows computes rows lo..hi-1 of all products' rows, one product's after the
// other's.
func (p *product[T]) doRows(lo, hi int) {
	slice := mulSlice
	if p.level != kernel.Go && onnx.TypeOf[T]() == onnx.Float {
		slice = vectorSlice
	}
	step := max(2, slice/(p.n*p.k))
	for lo < hi && p.c.Err() == nil {
		batch, i := lo/p.m, lo%p.m
		rows := min(step, p.m-i, hi-lo)
		if p.packed != nil {
			p.doPacked(lo, rows, 0, p.n)
			lo += rows
			continue
		}
		if p.finish != nil {
			rows = min(rows, max(2, finishBlock/p.n))
		}
		ao, bo, rest := 0, 0, batch
		for d := len(p.dims) - 1; d >= 0; d-- {
			x := rest % p.dims[d]
			rest /= p.dims[d]
			ao += x * p.as[d]
			bo += x * p.bs[d]
		}
		p.multiply(p.y[lo*p.ldy:], p.a[ao+i*p.ars:], p.b[bo:], rows, p.n)
		p.complete(lo, rows, 0, p.n)
		lo += rows
	}
}
