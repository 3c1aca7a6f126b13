package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/recur-ml/recur/onnx"
)

// costs are the multiply-adds of a model: those of products of matrices,
// convolutions and recurrent layers, which outweigh all else.
type costs struct {
	total poly
	byOp  map[string]poly // by label
	// unknown counts the nodes whose number hangs on a shape that is not known;
	// they are left out.
	unknown int
}

// costOf adds up a graph. Of an If the costlier branch counts; the body of a
// loop counts as often as it runs, and as a dimension of its own, named after
// the node, where that is not known.
func costOf(v *view) costs {
	c := costs{byOp: map[string]poly{}}
	for _, n := range v.nodes {
		var own costs
		switch {
		case n.OpType == "If" && len(n.bodies) > 0:
			own = costOf(n.bodies[0].view)
			for _, b := range n.bodies[1:] {
				if other := costOf(b.view); other.total.atOnes() > own.total.atOnes() {
					own = other
				}
			}
		case len(n.bodies) > 0:
			own = costOf(n.bodies[0].view)
			steps, ok := v.steps(n)
			if !ok {
				steps = poly{"iterations(" + n.Node.Label() + ")": 1}
			}
			own.scale(steps)
		default:
			own = nodeCost(v, n)
		}
		c.add(own)
	}
	return c
}

func (c *costs) add(o costs) {
	c.unknown += o.unknown
	sum, ok := c.total.plus(o.total)
	if !ok {
		c.unknown++
		return
	}
	c.total = sum
	for op, p := range o.byOp {
		c.byOp[op], _ = c.byOp[op].plus(p)
	}
}

func (c *costs) scale(by poly) {
	total, ok := c.total.times(by)
	if !ok {
		*c = costs{byOp: map[string]poly{}, unknown: c.unknown + 1}
		return
	}
	c.total = total
	scaled := map[string]poly{}
	for op, p := range c.byOp {
		scaled[op], _ = p.times(by)
	}
	c.byOp = scaled
}

// nodeCost gives the multiply-adds of a node without bodies.
func nodeCost(v *view, n *viewedNode) costs {
	c := costs{byOp: map[string]poly{}}
	count, ok := multiplyAdds(v, n)
	switch {
	case !ok:
		c.unknown = 1
	case len(count) > 0:
		c.total = count
		c.byOp[n.label] = count
	}
	return c
}

// multiplyAdds counts those of a node; ok is false when a shape is not known.
func multiplyAdds(v *view, n *viewedNode) (count poly, ok bool) {
	shape := func(i int) onnx.Shape { return v.shape(n, i) }
	out := func() onnx.Shape {
		if len(n.Outputs) == 0 {
			return nil
		}
		return v.typeOf(n.Outputs[0]).Shape
	}
	switch n.OpType {
	case "MatMul", "MatMulInteger", "FusedMatMul":
		return product(out(), tail(shape(0), 1))
	case "QLinearMatMul":
		return product(out(), tail(shape(0), 1))
	case "Gemm", "FusedGemm":
		s := shape(0)
		if len(s) != 2 {
			return nil, false
		}
		k := s[1:]
		if a := n.Attr("transA"); a != nil && a.Int != 0 {
			k = s[:1]
		}
		return product(out(), k)
	case "Conv", "ConvInteger", "DeformConv", "FusedConv":
		return product(out(), from(shape(1), 1))
	case "QLinearConv":
		return product(out(), from(shape(3), 1))
	case "ConvTranspose":
		return product(shape(0), from(shape(1), 1))
	case "RNN", "GRU", "LSTM", "DynamicQuantizeLSTM":
		return recurrentCost(v, n)
	case "Einsum":
		return einsumCost(v, n)
	}
	return nil, true
}

// tail gives the last n dimensions, from those from n on; nil when there are
// none.
func tail(s onnx.Shape, n int) onnx.Shape {
	if len(s) < n {
		return nil
	}
	return s[len(s)-n:]
}

func from(s onnx.Shape, n int) onnx.Shape {
	if len(s) < n {
		return nil
	}
	return s[n:]
}

// product multiplies the sizes of shapes.
func product(shapes ...onnx.Shape) (poly, bool) {
	p := constant(1)
	for _, s := range shapes {
		q, ok := elementsIn(s)
		if !ok {
			return nil, false
		}
		if p, ok = p.times(q); !ok {
			return nil, false
		}
	}
	return p, true
}

// recurrentCost counts, for each step, row and direction, the products of the
// gates with x and h, and the peepholes.
func recurrentCost(v *view, n *viewedNode) (poly, bool) {
	x, w, r := v.shape(n, 0), v.shape(n, 1), v.shape(n, 2)
	if n.OpType == "DynamicQuantizeLSTM" { // W and R lie transposed: [directions, input, gates*hidden]
		if len(w) == 3 && len(r) == 3 {
			w, r = onnx.Shape{w[0], w[2], w[1]}, onnx.Shape{r[0], r[2], r[1]}
		}
	}
	if len(x) != 3 || len(w) != 3 || len(r) != 3 {
		return nil, false
	}
	inputs, ok1 := product(x[:2], w)
	states, ok2 := product(x[:2], r)
	if !ok1 || !ok2 {
		return nil, false
	}
	sum, ok := inputs.plus(states)
	if peep := v.shape(n, 7); ok && n.OpType == "LSTM" && len(n.Inputs) > 7 && n.Inputs[7] != "" {
		p, known := product(x[:2], peep)
		if !known {
			return nil, false
		}
		sum, ok = sum.plus(p)
	}
	return sum, ok
}

// einsumCost is the product of all sizes that the equation names.
func einsumCost(v *view, n *viewedNode) (poly, bool) {
	a := n.Attr("equation")
	if a == nil || len(n.Inputs) < 2 {
		return nil, true
	}
	left, _, _ := strings.Cut(strings.ReplaceAll(a.String, " ", ""), "->")
	sizes := map[rune]onnx.Dim{}
	for i, term := range strings.Split(left, ",") {
		s := v.shape(n, i)
		if strings.Contains(term, ".") || len(s) != len([]rune(term)) {
			return nil, false
		}
		for k, letter := range []rune(term) {
			if old, ok := sizes[letter]; !ok || old.Value == 1 {
				sizes[letter] = s[k]
			}
		}
	}
	letters := slices.Sorted(maps.Keys(sizes))
	var all onnx.Shape
	for _, l := range letters {
		all = append(all, sizes[l])
	}
	return product(all)
}
