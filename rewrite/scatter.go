package rewrite

import (
	"math"
	"slices"

	"github.com/recur-ml/recur/onnx"
)

// Bounds on a ScatterND that becomes a Concat. What it overwrites is a part of
// its data that is worth a copy of the rest.
const (
	minTuples = 64
	maxTuples = 1 << 20
	maxCopied = 32 // elements copied a tuple
)

// scatter writes a ScatterND whose constant indices list a range of one axis,
// element after element, as the Concat of what lies before the range, the
// updates, and what lies behind. Exporters make it of an assignment to a slice,
// such as the roll of a cache.
func (t *tidier) scatter(n *onnx.Node) {
	if n.OpType != "ScatterND" || len(n.Inputs) != 3 || attrString(n, "reduction", "none") != "none" {
		return
	}
	data, ok1 := t.typeOf(n.Inputs[0]).Shape.Ints()
	updates, ok2 := t.typeOf(n.Inputs[2]).Shape.Ints()
	if !ok1 || !ok2 {
		return
	}
	axis, lo, hi, ok := rangeOf(t.info(n.Inputs[1]).Tensor(), data)
	if !ok {
		return
	}
	e := t.emitter(t.graph, n)
	middle, part := n.Inputs[2], slices.Clone(data)
	if part[axis] = hi - lo; !slices.Equal(part, updates) {
		middle = e.node("Reshape", []string{middle, e.int64s(int64s(part)...)})
	}
	var parts []string
	if lo > 0 {
		parts = append(parts, e.slice(n.Inputs[0], int64(axis), 0, int64(lo)))
	}
	parts = append(parts, middle)
	if hi < data[axis] {
		parts = append(parts, e.slice(n.Inputs[0], int64(axis), int64(hi), int64(data[axis])))
	}
	t.more = append(t.more, e.finish()...)
	if n.OpType, n.Inputs, n.Attributes = "Concat", parts, []*onnx.Attribute{attrI("axis", int64(axis))}; len(parts) == 1 {
		t.forward(t.graph, n)
	}
}

func int64s(list []int) []int64 {
	out := make([]int64, len(list))
	for i, v := range list {
		out[i] = int64(v)
	}
	return out
}

// rangeOf reads indices into data of a shape: false unless they list, in order,
// all elements of which the index along one axis is in lo..hi-1.
func rangeOf(indices *onnx.Tensor, shape []int) (axis, lo, hi int, ok bool) {
	if indices == nil || indices.External() != nil || indices.DataType() != onnx.Int64 || indices.Rank() == 0 || indices.Len() == 0 {
		return 0, 0, 0, false
	}
	q := indices.Shape()[indices.Rank()-1]
	v := onnx.Elements[int64](indices)
	tuples := len(v) / q
	size := 1
	for _, d := range shape {
		if d == 0 || size > math.MaxInt32/d {
			return 0, 0, 0, false
		}
		size *= d
	}
	if q > len(shape) || tuples < minTuples || tuples > maxTuples || size/maxCopied > tuples {
		return 0, 0, 0, false
	}
	// The first and the last tuple tell which range it must be.
	first, last := v[:q], v[len(v)-q:]
	axis = -1
	for i := range q {
		if first[i] < 0 || last[i] < first[i] || last[i] >= int64(shape[i]) {
			return 0, 0, 0, false
		}
		if first[i] == 0 && last[i] == int64(shape[i])-1 {
			continue
		}
		if axis >= 0 {
			return 0, 0, 0, false
		}
		axis = i
	}
	axis = max(axis, 0)
	at := slices.Clone(first)
	for k := range tuples {
		if !slices.Equal(v[k*q:(k+1)*q], at) {
			return 0, 0, 0, false
		}
		for i := q - 1; i >= 0; i-- {
			if at[i]++; at[i] <= last[i] {
				break
			}
			at[i] = first[i]
		}
	}
	return axis, int(first[axis]), int(last[axis]) + 1, slices.Equal(at, first)
}
