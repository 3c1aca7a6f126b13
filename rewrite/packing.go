package rewrite

import (
	"math"

	"github.com/recur-ml/recur/onnx"
)

// packing moves the steps that a mask or lengths let count to the front of a
// sequence, and what an operator gives for them back to their places.
//
// Where only lengths are given, the steps that count are at the front already,
// and goal is "".
type packing struct {
	*emitter
	count    string // steps that count, [B], int32
	total    string // the same, int64, where there is a mask
	backward bool   // the operator goes backward: it holds a step until an earlier one
	place    string // number of each step, [T, 1]
	mask3    string // [T, B, 1]
	held     string // place among the packed steps of the one that is held at each step, [T, B]
	none     string // where none is held, [T, B]
	goal     string // where packing moves each step, [T, B]
	noSteps  string // rows without any step that counts, [B, 1]
}

// prepare makes what packing takes from a mask of [T, B].
func (p *packing) prepare(mask string, backward bool) {
	p.backward = backward
	p.mask3 = p.unsqueeze(mask, 2)
	counts := p.cast(mask, onnx.Int64)
	p.total = p.sumOver(counts, 0)
	p.count = p.cast(p.total, onnx.Int32)
	axis := p.tensor("axis", onnx.Scalar[int64](0))
	one := p.tensor("one", onnx.Scalar[int64](1))
	until := p.node("CumSum", []string{counts, axis})
	before := p.node("Sub", []string{until, one})
	others := p.node("CumSum", []string{p.cast(p.node("Not", []string{mask}), onnx.Int64), axis})
	after := p.node("Sub", []string{p.node("Add", []string{p.total, others}), one})
	// Steps that count move to the front, the others behind them.
	p.goal = p.node("Where", []string{mask, before, after})
	zero := p.tensor("none", onnx.Scalar[int64](0))
	if backward { // the first step that counts at or after each
		p.held = p.node("Sub", []string{until, counts})
		p.none = p.node("Not", []string{p.node("Less", []string{p.held, p.total})})
		return
	}
	p.held = before // the last one at or before each
	p.none = p.node("Less", []string{before, zero})
}

// pack moves the steps of a sequence that count to its front.
func (p *packing) pack(x string) string {
	if p.goal == "" {
		return x
	}
	at := p.node("Expand", []string{p.unsqueeze(p.goal, 2), p.node("Shape", []string{x})})
	return p.node("ScatterElements", []string{x, at, x}, attrI("axis", 0))
}

// counting is the mask as [T, B, 1].
func (p *packing) counting(x string) string {
	if p.mask3 == "" {
		p.mask3 = p.unsqueeze(p.node("Less", []string{p.places(x), p.cast(p.count, onnx.Int64)}), 2)
	}
	return p.mask3
}

// places numbers the steps of x, [T, 1].
func (p *packing) places(x string) string {
	if p.place == "" {
		steps := p.slice(p.node("Shape", []string{x}), 0, 0, 1)
		ones := p.node("ConstantOfShape", []string{steps}, &onnx.Attribute{Name: "value", Type: onnx.AttrTensor, Tensor: onnx.MustTensor([]int{1}, []int64{1})})
		axis := p.tensor("axis", onnx.Scalar[int64](0))
		one := p.tensor("one", onnx.Scalar[int64](1))
		p.place = p.unsqueeze(p.node("Sub", []string{p.node("CumSum", []string{ones, axis}), one}), 1)
	}
	return p.place
}

// holding makes held and none of lengths: of x's steps the last one that counts
// at or before each.
func (p *packing) holding(x string) {
	if p.held != "" {
		return
	}
	place := p.places(x)
	one := p.tensor("one", onnx.Scalar[int64](1))
	end := p.node("Sub", []string{p.cast(p.count, onnx.Int64), one})
	p.held = p.node("Where", []string{p.node("Less", []string{place, end}), place, end})
	p.none = p.node("Less", []string{p.held, p.tensor("none", onnx.Scalar[int64](0))})
}

// spread moves packed steps back: to each step what belongs to the one that is
// held there.
func (p *packing) spread(packed string) string {
	if p.goal == "" {
		return packed
	}
	return p.gathered(packed)
}

func (p *packing) gathered(packed string) string {
	p.holding(packed)
	at := p.node("Where", []string{p.none, p.tensor("none", onnx.Scalar[int64](0)), p.held})
	at = p.node("Expand", []string{p.unsqueeze(at, 2), p.node("Shape", []string{packed})})
	return p.node("GatherElements", []string{packed, at}, attrI("axis", 0))
}

// hold gives at each step what belongs to the step that is held there, and
// initial where there is none.
func (p *packing) hold(packed, initial string) string {
	v := p.gathered(packed)
	return p.node("Where", []string{p.unsqueeze(p.none, 2), initial, v})
}

// rowsWithout marks the rows without any step that counts, [B, 1].
func (p *packing) rowsWithout() string {
	if p.noSteps == "" {
		one := p.tensor("one", onnx.Scalar[int64](1))
		p.noSteps = p.unsqueeze(p.node("Less", []string{p.cast(p.count, onnx.Int64), one}), 1)
	}
	return p.noSteps
}

// flip reverses an axis; it takes opset 10.
func (e *emitter) flip(x string, axis int64) string {
	return e.node("Slice", []string{x, e.int64s(-1), e.int64s(math.MinInt32), e.int64s(axis), e.int64s(-1)})
}

// clipLengths bounds lengths to 0..T, as the operator wants them, where T is
// the number of steps of x, looked up where it is not known; longer ones mean
// all steps.
func (e *emitter) clipLengths(lengths, x string, t onnx.Dim) string {
	steps := ""
	if t.Known() {
		steps = e.tensor("steps", onnx.Scalar(int64(t.Value)))
	} else {
		steps = e.node("Gather", []string{e.node("Shape", []string{x}), e.tensor("zero", onnx.Scalar[int64](0))}, attrI("axis", 0))
	}
	n := e.cast(lengths, onnx.Int64)
	zero := e.tensor("none", onnx.Scalar[int64](0))
	n = e.node("Where", []string{e.node("Less", []string{n, zero}), zero, n})
	n = e.node("Where", []string{e.node("Less", []string{steps, n}), steps, n})
	return e.cast(n, onnx.Int32)
}
