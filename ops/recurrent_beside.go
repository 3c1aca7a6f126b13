package ops

import "github.com/recur-ml/recur/ops/internal/kernel"

// besideSteps is the least number of steps that a row is alone for to have its
// product with W computed beside its steps. besideLeast and besideMost bound the
// weights that it multiplies in a step: few come from the cache as fast as they
// are used, and where they come from farther away than a core's cache, W has to
// be brought in their way. Tests change the first two.
var (
	besideSteps = kernel.BesideRows + 8
	besideLeast = 1 << 14
)

const besideMost = 1 << 20

// besideBlock is the block that this takes: of a strand's four rows each as
// many make two halves, and a line of X.
const besideBlock = 2*kernel.BesideRows/dealt + 1

// hasBeside reports whether the product with W of a single row is better
// computed beside its steps. They hide no more than their own multiplications,
// and of a small input there is little to hide.
func (r *recurrentRun[T]) hasBeside() bool {
	w, input, hidden := r.weights, r.size[dimI], r.size[dimH]
	if !w.level.HasBeside() || w.half || r.quantizing || input > hidden || input < hidden/8 {
		return false
	}
	if n := r.gates * hidden * hidden; n < besideLeast || n > besideMost {
		return false
	}
	for _, p := range r.form.products {
		if width := len(p.gates) * w.lanes; w.level.Strip(width) != width {
			return false
		}
	}
	return r.form.products[0].at == 0
}

// alone reports whether the one row that still runs does so for long, and has
// the memory that this takes.
func (s *strand[T]) alone() bool {
	return len(s.rows) == 1 && s.team == nil && s.length(int(s.rows[0]))-s.step >= besideSteps &&
		s.block*cap(s.rows) >= besideBlock*dealt && s.hasBeside()
}

// walkAlone computes all steps of the one row that still runs, in blocks of
// kernel.BesideRows. A single row's steps wait for R, the product of a block
// with W for nothing: that of the next block is computed beside the steps of
// the one before.
func (s *strand[T]) walkAlone() bool {
	left := s.length(int(s.rows[0])) - s.step
	s.bringBlock(0, s.step, min(left, kernel.BesideRows))
	for half := 0; left > 0; half = 1 - half {
		s.beside.Rest()
		n := min(left, kernel.BesideRows)
		if left -= n; left > 0 {
			s.bringBlock(1-half, s.step+n, min(left, kernel.BesideRows))
		}
		for i := range n {
			if !s.advance(half*kernel.BesideRows+i, 1) {
				return false
			}
		}
	}
	return true
}

// bringBlock lets the product with W of n steps from step on be what is computed
// beside others, into a half of the sums. Its rows past n come to nothing.
func (s *strand[T]) bringBlock(half, step, n int) {
	w, input, product := s.weights, s.size[dimI], &s.form.products[0]
	line, gap := s.x[:input], w.row
	x := s.x[(1+half*kernel.BesideRows)*input:][:kernel.BesideRows*input]
	sums := s.sums[half*kernel.BesideRows*gap:][:kernel.BesideRows*gap]
	for i := range n {
		s.codec.load(line, s.in[inX], s.time(s.rows[0], step+i)*s.xTime+int(s.rows[0])*s.xRow)
		for k, v := range line {
			x[k*kernel.BesideRows+i] = v
		}
		copy(sums[i*gap:], w.bias[s.d*w.panels*w.span:][:w.panels*w.span])
	}
	last := 0
	if w.full() < w.panels {
		last = len(product.gates) * w.last
	}
	s.beside = kernel.Beside{Sums: any(sums).([]float32), Span: gap, Gap: w.span, X: any(x).([]float32), Depth: input,
		W: any(w.of(s.d, 0, 0)).([]float32), Width: len(product.gates) * w.lanes, Panels: w.full(), Last: last}
}
