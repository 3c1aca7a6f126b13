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
	// The batch: its dimensions, and the strides of a and b along them.
	dims, as, bs []int

	c          *Ctx
	rows, cols func(lo, hi int)
}

// mulGrain is the number of multiplications that make a thread worth its start.
const mulGrain = 1 << 17

// mulSlice is the number of multiplications after which a run's context is
// looked at.
const mulSlice = 1 << 21

// vectorSlice is mulSlice at a level of vectors: enough rows to make use of
// blocks.
const vectorSlice = 1 << 26

// grainOf is how many items of a given cost go to a thread at least.
func grainOf(cost int) int { return max(1, mulGrain/max(cost, 1)) }

// run adds the products to y.
func (p *product[T]) run(c *Ctx) error {
	batch := elements(p.dims)
	if batch == 0 || p.m == 0 || p.n == 0 || p.k == 0 {
		return nil
	}
	if p.rows == nil {
		p.rows, p.cols = p.doRows, p.doCols
	}
	p.c = c
	if batch == 1 && p.m < 4 {
		c.Parallel(p.n, max(64, grainOf(p.m*p.k)), p.cols)
	} else {
		c.Parallel(batch*p.m, grainOf(p.n*p.k), p.rows)
	}
	p.c, p.y, p.a, p.b = nil, nil, nil, nil
	return c.Err()
}

// doCols computes columns lo..hi-1 of the only product.
func (p *product[T]) doCols(lo, hi int) {
	step := max(64, mulSlice/(p.m*p.k))
	for ; lo < hi && p.c.Err() == nil; lo += step {
		w := min(step, hi-lo)
		if p.transB {
			kernel.GemmT(p.level, p.y[lo:], p.ldy, p.a, p.ars, p.b[lo*p.ldb:], p.ldb, p.m, w, p.k)
		} else {
			kernel.Gemm(p.level, p.y[lo:], p.ldy, p.a, p.ars, p.acs, p.b[lo:], p.ldb, p.m, w, p.k)
		}
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
		ao, bo, rest := 0, 0, batch
		for d := len(p.dims) - 1; d >= 0; d-- {
			x := rest % p.dims[d]
			rest /= p.dims[d]
			ao += x * p.as[d]
			bo += x * p.bs[d]
		}
		y, a := p.y[lo*p.ldy:], p.a[ao+i*p.ars:]
		if p.transB {
			kernel.GemmT(p.level, y, p.ldy, a, p.ars, p.b[bo:], p.ldb, rows, p.n, p.k)
		} else {
			kernel.Gemm(p.level, y, p.ldy, a, p.ars, p.acs, p.b[bo:], p.ldb, rows, p.n, p.k)
		}
		lo += rows
	}
}
