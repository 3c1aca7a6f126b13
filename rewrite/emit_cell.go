package rewrite

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
)

// cellInputs are the values that a cell's operator is connected to; "" where
// there is none.
type cellInputs struct {
	x                  string // [T, B, I]
	lengths            string // [B], int32
	initialH, initialC string // [1, B, H]
}

// cellOutputs are the operator's: y of [T, 1, B, H], the others of [1, B, H].
type cellOutputs struct{ y, h, c string }

// cell adds the operator of a cell.
func (e *emitter) cell(c *cell, elem onnx.DataType, in cellInputs, direction string) (cellOutputs, error) {
	w, r, b, p, err := e.weights(c, elem)
	if err != nil {
		return cellOutputs{}, err
	}
	inputs := []string{in.x, w, r, b, in.lengths, in.initialH}
	outputs := 2
	if c.op == "LSTM" {
		inputs = append(inputs, in.initialC, p)
		outputs = 3
	}
	attrs := []*onnx.Attribute{attrI("hidden_size", int64(c.hidden))}
	if direction != "forward" {
		attrs = append(attrs, attrS("direction", direction))
	}
	attrs = append(attrs, functionAttrs(c.functions)...)
	if c.afterReset {
		attrs = append(attrs, attrI("linear_before_reset", 1))
	}
	if c.inputForget {
		attrs = append(attrs, attrI("input_forget", 1))
	}
	out := e.multi(c.op, outputs, inputs, attrs...)
	res := cellOutputs{y: out[0], h: out[1]}
	if outputs == 3 {
		res.c = out[2]
	}
	return res, nil
}

// takesAlpha and takesBeta list the functions that consume an entry of
// activation_alpha and activation_beta.
var (
	takesAlpha = []string{"Affine", "LeakyRelu", "ThresholdedRelu", "ScaledTanh", "HardSigmoid", "Elu"}
	takesBeta  = []string{"Affine", "ScaledTanh", "HardSigmoid"}
)

// functionAttrs names activation functions with their numbers. An entry of the
// lists is consumed by each function that takes one, in order.
func functionAttrs(list []function) []*onnx.Attribute {
	names := &onnx.Attribute{Name: "activations", Type: onnx.AttrStrings}
	alpha := &onnx.Attribute{Name: "activation_alpha", Type: onnx.AttrFloats}
	beta := &onnx.Attribute{Name: "activation_beta", Type: onnx.AttrFloats}
	for _, f := range list {
		names.Strings = append(names.Strings, f.name)
		if slices.Contains(takesAlpha, f.name) {
			alpha.Floats = append(alpha.Floats, float32(f.alpha))
		}
		if slices.Contains(takesBeta, f.name) {
			beta.Floats = append(beta.Floats, float32(f.beta))
		}
	}
	attrs := []*onnx.Attribute{names}
	if alpha.Floats != nil {
		attrs = append(attrs, alpha)
	}
	if beta.Floats != nil {
		attrs = append(attrs, beta)
	}
	return attrs
}

// weights makes W, R, B and P of a cell; b and p are "" when all zero.
func (e *emitter) weights(c *cell, elem onnx.DataType) (w, r, b, p string, err error) {
	hidden, width := c.hidden, 0
	from := make([]int, len(c.inputs))
	for i, x := range c.inputs {
		from[i] = width
		width += c.inputWidth(x)
	}
	rows := len(c.gates) * hidden
	wt, err := assemble(elem, 1, rows, width)
	if err != nil {
		return "", "", "", "", err
	}
	rt, err := assemble(elem, 1, rows, hidden)
	if err != nil {
		return "", "", "", "", err
	}
	bt, err := assemble(elem, 1, 2*rows)
	if err != nil {
		return "", "", "", "", err
	}
	first := [2]int{0, 1}
	peepholes := false
	for g := range c.gates {
		gate := &c.gates[g]
		at := [2]int{g * hidden, (g + 1) * hidden}
		for i, x := range c.inputs {
			if k := gate.inputs[x]; k != nil {
				wt.put(k.swapLast().unsqueeze(0), false, first, at, [2]int{from[i], from[i] + k.size(0)})
			}
		}
		if gate.state != nil {
			rt.put(gate.state.swapLast().unsqueeze(0), false, first, at, [2]int{0, hidden})
		}
		recurrent := [2]int{rows + at[0], rows + at[1]}
		input := gate.bias
		if c.afterReset && g == 2 {
			bt.bias(gate.inner, recurrent)
			bt.bias(input, at)
			continue
		}
		// A vector goes to the input's half, what is added to it to the
		// recurrent one, so that each is kept to the bit.
		if i := slices.IndexFunc(input, func(x *expr) bool { return x.k != nil }); i >= 0 && len(input) > 1 {
			bt.bias(input[i:i+1], at)
			bt.bias(slices.Delete(slices.Clone(input), i, i+1), recurrent)
		} else {
			bt.bias(input, at)
		}
		peepholes = peepholes || gate.peephole != nil
	}
	if len(bt.binding.Blocks) > 0 {
		b = e.assembly("B", bt)
	}
	if peepholes {
		pt, err := assemble(elem, 1, 3*hidden)
		if err != nil {
			return "", "", "", "", err
		}
		for g := range 3 {
			if k := c.gates[g].peephole; k != nil {
				pt.put(k.unsqueeze(0), false, first, [2]int{g * hidden, (g + 1) * hidden})
			}
		}
		p = e.assembly("P", pt)
	}
	return e.assembly("W", wt), e.assembly("R", rt), b, p, nil
}

func (c *cell) inputWidth(x *expr) int {
	for _, g := range c.gates {
		if k := g.inputs[x]; k != nil {
			return k.size(0)
		}
	}
	return 0
}

func (e *emitter) assembly(wish string, a *assembly) string {
	i := a.initializer(e.fresh(e.prefix + "/" + wish))
	e.inits = append(e.inits, i)
	return i.Name
}

// bias writes a sum of constants into a range of B. One vector is copied; a
// sum of several is a constant of its own.
func (a *assembly) bias(list []*expr, to [2]int) {
	first := [2]int{0, 1}
	if len(list) == 1 && list[0].k != nil && list[0].k.len() == to[1]-to[0] {
		k := list[0].k
		for k.rank() > 1 {
			k = k.squeeze(0)
		}
		a.put(k.unsqueeze(0), false, first, to)
		return
	}
	sum := make([]float64, to[1]-to[0])
	any := false
	for _, x := range list {
		if x.k == nil {
			for i := range sum {
				sum[i] += x.alpha
			}
			any = any || x.alpha != 0
			continue
		}
		values := x.k.floats()
		for i := range sum {
			sum[i] += values[i%len(values)]
		}
		any = true
	}
	if !any {
		return
	}
	t := floatTensor(a.tensor.DataType(), []int{1, len(sum)}, 0)
	for i, v := range sum {
		setFloat(t, i, v)
	}
	a.put(viewOf("", t), false, first, to)
}
