package ops

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

// Tap k of a ConvTranspose takes element q of the input to index q*s + k*d of a
// row that begins with what is cut off, for stride s and dilation d. So the
// indices that leave the same rest of s meet the same taps, those for which
// k*d leaves it too; and with Q for an index divided by s, tap k meets element
// Q - k*d/s. The results of one rest are a convolution of stride 1.

// phase is the results that meet the taps of one rest in each dimension; along
// the last one, those of a few rests that follow each other and whose taps meet
// the same elements.
type phase struct {
	rest  []int // in each dimension, in the last one the least
	rests int   // how many along the last dimension
	terms int   // the taps that a result meets
	taps  []int // [rests, terms]: in the order of the kernel
	back  []int // [terms, rank]: how far before Q a tap's element lies
}

// rest is the taps that indices of one rest meet in one dimension.
type rest struct {
	rest       int
	taps, back []int
}

// restsOf lists the rests that have taps, in order.
func restsOf(kernel, stride, dilate int) []rest {
	taps := make([]int, kernel)
	for k := range taps {
		taps[k] = k
	}
	slices.SortStableFunc(taps, func(a, b int) int { return cmp.Compare(a*dilate%stride, b*dilate%stride) })
	back := make([]int, kernel)
	for i, k := range taps {
		back[i] = k * dilate / stride
	}
	var out []rest
	for i := 0; i < kernel; {
		r, n := taps[i]*dilate%stride, i+1
		for n < kernel && taps[n]*dilate%stride == r {
			n++
		}
		out = append(out, rest{r, taps[i:n], back[i:n]})
		i = n
	}
	return out
}

// follows reports whether b's results can be computed along with those of a,
// which is n rests before it.
func (a rest) follows(b rest, n int) bool {
	return b.rest == a.rest+n && slices.Equal(a.back, b.back)
}

// phasesOf lists the phases of a kernel; those of single have one rest along the
// last dimension. Each tap is in one of them.
func phasesOf(kernel, stride, dilate []int, single bool) []phase {
	last := len(kernel) - 1
	dims, sizes, count := make([][]rest, last), make([]int, last), 1
	for d := range dims {
		dims[d] = restsOf(kernel[d], stride[d], dilate[d])
		sizes[d] = len(dims[d])
		count *= sizes[d]
	}
	along := restsOf(kernel[last], stride[last], dilate[last])
	outer := make([]rest, last)
	index := make([]int, last)
	var out []phase
	for i := range count {
		split(index, sizes, i)
		for d, r := range index {
			outer[d] = dims[d][r]
		}
		for r := 0; r < len(along); {
			n := 1
			for !single && r+n < len(along) && along[r].follows(along[r+n], n) {
				n++
			}
			out = append(out, newPhase(kernel, outer, along[r:r+n]))
			r += n
		}
	}
	return out
}

func newPhase(kernel []int, outer, along []rest) phase {
	rank := len(kernel)
	sizes, index := make([]int, rank), make([]int, rank)
	p := phase{rests: len(along), terms: len(along[0].taps)}
	for d, r := range outer {
		p.rest = append(p.rest, r.rest)
		sizes[d] = len(r.taps)
		p.terms *= sizes[d]
	}
	p.rest = append(p.rest, along[0].rest)
	sizes[rank-1] = len(along[0].taps)
	for i, a := range along {
		for t := range p.terms {
			split(index, sizes, t)
			tap := 0
			for d, r := range outer {
				tap = tap*kernel[d] + r.taps[index[d]]
				if i == 0 {
					p.back = append(p.back, r.back[index[d]])
				}
			}
			p.taps = append(p.taps, tap*kernel[rank-1]+a.taps[index[rank-1]])
			if i == 0 {
				p.back = append(p.back, a.back[index[rank-1]])
			}
		}
	}
	return p
}

// phaseWeights are weights in the order of phases, in each group by group: rows
// for each output and rest, of terms for each channel and tap.
type phaseWeights struct {
	rows   []float32
	finite bool
}

// arrange lays the weights [group*channels, outputs, taps] out in rows, which is
// as long.
func (w *phaseWeights) arrange(phases []phase, from []float32, group, channels, outputs, taps int) {
	w.finite = allFinite(from)
	rows := w.rows
	for i := range phases {
		p := &phases[i]
		for g := range group {
			for o := range outputs {
				for r := range p.rests {
					for ch := range channels {
						of := from[((g*channels+ch)*outputs+o)*taps:][:taps]
						to := rows[:p.terms]
						for t, tap := range p.taps[r*p.terms:][:p.terms] {
							to[t] = of[tap]
						}
						rows = rows[p.terms:]
					}
				}
			}
		}
	}
}

// allFinite reports whether there is neither NaN nor an infinity.
func allFinite(x []float32) bool {
	for _, v := range x {
		if math.Float32bits(v)<<1 >= 0xff<<24 {
			return false
		}
	}
	return true
}

// transposePacked are constant weights in the layouts that a run may want; nil
// where they are no constants.
type transposePacked struct {
	rows   *packed[phaseWeights]
	points *packed[phasePoints]
}

// phasePoints are weights of each phase and group in turn, as kernel.PackPoints
// lays them out: outputs and rests side by side.
type phasePoints struct{ groups [][]float32 }

// packPhases is for Build: it lays constant weights out when a run first wants
// them so, which depends on the input.
func packPhases(n *Node, a *transposeAttrs) (p transposePacked) {
	of := n.constants(1)
	if of == nil || of[0].DataType() != onnx.Float || of[0].Len() == 0 || n.Level() == kernel.Go {
		return p
	}
	w, rank, level := of[0], of[0].Rank()-2, n.Level()
	if rank < 1 || a.check(rank) != nil || a.group < 1 || int64(w.Shape()[0])%a.group != 0 {
		return p
	}
	group, channels, outputs, sizes := int(a.group), w.Shape()[0]/int(a.group), w.Shape()[1], w.Shape()[2:]
	strides, dilations := make([]int, rank), make([]int, rank)
	for d := range rank {
		strides[d], dilations[d] = at(a.win.strides, d, 1), at(a.win.dilations, d, 1)
	}
	layout := fmt.Sprintf("phases of %d groups, strides %v, dilations %v", group, strides, dilations)
	arranged := func() ([]phase, *phaseWeights) {
		phases := phasesOf(sizes, strides, dilations, deepTranspose(group, outputs))
		rows := &phaseWeights{rows: make([]float32, w.Len())}
		rows.arrange(phases, onnx.Elements[float32](w), group, channels, outputs, w.Len()/w.Shape()[0]/outputs)
		return phases, rows
	}
	p.rows = newPackedLater(n, layout, func() *phaseWeights {
		_, rows := arranged()
		return rows
	}, w)
	p.points = newPackedLater(n, "points of "+layout, func() *phasePoints {
		p := &phasePoints{}
		phases, rows := arranged()
		if !rows.finite {
			return p
		}
		for i := range phases {
			n := outputs * phases[i].rests
			depth := channels * phases[i].terms
			full, width, last := level.PointStrips(n)
			for range group {
				to := make([]float32, (full*width+last)*depth)
				kernel.PackPoints(level, to, rows.rows[:n*depth], n)
				p.groups, rows.rows = append(p.groups, to), rows.rows[n*depth:]
			}
		}
		return p
	}, w)
	return p
}

// deepTranspose reports whether each of several groups has one output, so that
// planes are computed rather than rows of outputs.
func deepTranspose(group, outputs int) bool { return outputs == 1 && group > 1 }
