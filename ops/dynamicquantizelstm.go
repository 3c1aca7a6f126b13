package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
)

// DynamicQuantizeLSTM of com.microsoft is an LSTM with 8-bit W and R, scaled
// and shifted, that quantizes X and the state as it goes:
//
//	lo = min(0, min A), hi = max(0, max A), s = (hi − lo)/255 or 1 where that is 0
//	z = clamp(round(−lo/s), 0, 255)
//	q = clamp(round(A/s) + z, 0, 255)                     halves to even
//
//	X_t·Wᵀ     = (q_X − z_X)·(W − W_zero_point) · s_X · W_scale
//	H_{t-1}·Rᵀ = (q_H − z_H)·(R − R_zero_point) · s_H · R_scale
//
// X is quantized once, over the steps that the longest row has, padding
// included; H anew in each step, over all rows, of which the
// finished ones keep their last state. A row's result therefore depends on its
// neighbours, and on the padding.
//
// The products are integers, which the core adds up exactly in float64: it
// runs with quantized operands and integer weights, and the cell brings the
// scales in.
var dynamicQuantizeLSTM = recurrentOp{
	name:        "DynamicQuantizeLSTM",
	gates:       lstmOp.gates,
	activations: lstmOp.activations,
	cellState:   true,
	transposed:  true,
	attributes:  lstmAttributes,
}

// The inputs beyond LSTM's.
const (
	inWScale = recurrentInputs + iota
	inWZero
	inRScale
	inRZero
	quantizeInputs
)

var quantizeInputNames = [...]string{inWScale: "W_scale", inWZero: "W_zero_point", inRScale: "R_scale", inRZero: "R_zero_point"}

func init() {
	register(Op{
		Domain: "com.microsoft", Name: dynamicQuantizeLSTM.name, Since: []int{1},
		Infer: inferQuantizeLSTM, Build: buildQuantizeLSTM, Schema: quantizeLSTMSchema(),
	})
}

func quantizeLSTMSchema() *onnx.Schema {
	float, lengths, weights := onnx.TensorTypes(onnx.Float), onnx.TensorTypes(onnx.Int32), onnx.TensorTypes(onnx.Uint8, onnx.Int8)
	s := &onnx.Schema{
		Domain: "com.microsoft", Name: dynamicQuantizeLSTM.name, Since: 1,
		MinInputs: quantizeInputs, MaxInputs: quantizeInputs, MaxOutputs: recurrentOutputs,
		TypeVars: []onnx.TypeConstraint{{Name: "T", Types: float}, {Name: "T1", Types: lengths}, {Name: "T2", Types: weights}},
		Attributes: []onnx.AttrSchema{
			{Name: "activation_alpha", Type: onnx.AttrFloats},
			{Name: "activation_beta", Type: onnx.AttrFloats},
			{Name: "activations", Type: onnx.AttrStrings},
			{Name: "clip", Type: onnx.AttrFloat},
			{Name: "direction", Type: onnx.AttrString},
			{Name: "hidden_size", Type: onnx.AttrInt},
			{Name: "input_forget", Type: onnx.AttrInt},
		},
	}
	for i := range quantizeInputs {
		f := onnx.Formal{TypeVar: "T", Types: float}
		switch i {
		case inW, inR, inWZero, inRZero:
			f.TypeVar, f.Types = "T2", weights
		case inLens:
			f.TypeVar, f.Types = "T1", lengths
		}
		if i < recurrentInputs {
			f.Name = recurrentInputNames[i]
		} else {
			f.Name = quantizeInputNames[i]
		}
		if i >= inB && i <= inP {
			f.Option = onnx.OptionalFormal
		}
		s.Inputs = append(s.Inputs, f)
	}
	for _, name := range recurrentOutputNames {
		s.Outputs = append(s.Outputs, onnx.Formal{Name: name, Option: onnx.OptionalFormal, TypeVar: "T", Types: float})
	}
	return s
}

func inferQuantizeLSTM(n *Node) error { return dynamicQuantizeLSTM.infer(n) }

func buildQuantizeLSTM(n *Node) (Kernel, error) {
	outer, err := dynamicQuantizeLSTM.decode(n)
	if err != nil {
		return nil, err
	}
	var in [quantizeInputs]*onnx.Tensor
	for _, i := range [...]int{inW, inR, inWZero, inRZero} {
		if in[i] = n.Const(i); in[i] == nil || in[i].External() != nil {
			return nil, onnx.Errorf(onnx.ErrUnsupported, "%s is not a constant", n.formal(i, true))
		}
	}
	return newQuantizeKernel(outer, &in)
}

// lstmQuantized runs an LSTM core on integers.
type lstmQuantized struct {
	*recurrent                         // the node
	core       *recurrentCore[float64] // with packed weights, without cells
}

func newQuantizeKernel(outer *recurrent, in *[quantizeInputs]*onnx.Tensor) (*lstmQuantized, error) {
	var shapes [recurrentInputs][]int
	shapes[inW], shapes[inR] = in[inW].Shape(), in[inR].Shape()
	size, err := outer.measure(&shapes)
	if err != nil {
		return nil, err
	}
	var plain [recurrentInputs]*onnx.Tensor
	for _, m := range [...]struct{ of, zero int }{{inW, inWZero}, {inR, inRZero}} {
		if plain[m.of], err = integerWeights(in[m.of], in[m.zero], quantizeInputNames[m.zero]); err != nil {
			return nil, err
		}
	}
	inner := *outer
	inner.hidden = size[dimH] // W and R are not given to the core's runs
	op := lstmOp
	op.form = quantizeForm
	inner.recurrentOp = &op
	inner.has[inB], inner.has[inP] = false, false // they are the cell's
	inner.declare()
	core := newRecurrentCore(&inner, func(r *recurrent, f []activation) recurrentCell[float64] { return nil })
	core.quantizing = true
	core.packed = packedAlready(core.packWeights(&plain, &size))
	return &lstmQuantized{recurrent: outer, core: core}, nil
}

// quantizeForm is LSTM's with a sum of its own for each of the two products,
// whose scales differ, and no bias.
func quantizeForm(r *recurrent) gateForm {
	form := lstmForm(r)
	gates := form.products[0].gates
	form.products[1] = gateProduct{of: ofReset, gates: gates, at: len(gates)}
	form.sums = form.sums[:0]
	for range 2 * len(gates) {
		form.sums = append(form.sums, gateSum{-1, -1})
	}
	return form
}

// quantizeCell brings the scales and the bias in, and is an LSTM then.
type quantizeCell struct {
	lstmCell[float64]
	gates          []int
	xScale         float64   // of X
	wScale, rScale []float64 // [4*H]
	bias           []float64 // [4*H], Wb + Rb
	peepholes      []float64 // [3*H] or nil
}

// quantize fills reset with what stands for h, less the zero point.
func (l *quantizeCell) quantize(reset, h []float64) float64 {
	q := affineRange{}
	for _, v := range h {
		q.see(float32(v))
	}
	q.finish()
	for i, v := range h[:len(reset)] {
		reset[i] = q.integer(float32(v))
	}
	return float64(q.scale)
}

func (l *quantizeCell) point(_ int, p gatePanel[float64]) {
	for row := range p.rows {
		for j, gate := range l.gates {
			x, h := p.sum(row, j), p.sum(row, len(l.gates)+j)
			at := gate*p.all + p.first
			for u := range x {
				input, state := x[u]*(l.xScale*l.wScale[at+u]), h[u]*(p.scale*l.rScale[at+u])
				x[u] = float64(input) + float64(state) + l.bias[at+u]
			}
		}
	}
	p.peepholes = l.peepholes
	l.lstmCell.point(0, p)
}

// affineRange finds scale and zero point of dynamic quantization to uint8, in
// float32.
type affineRange struct{ lo, hi, scale, zero float32 }

func (q *affineRange) see(v float32) {
	if v < q.lo {
		q.lo = v
	}
	if v > q.hi {
		q.hi = v
	}
}

func (q *affineRange) finish() {
	if q.scale = (q.hi - q.lo) / 255; q.scale == 0 {
		q.scale = 1
	}
	q.zero = clampByte(-q.lo / q.scale)
}

// integer gives the quantized value less the zero point.
func (q *affineRange) integer(v float32) float64 {
	return float64(min(max(roundEven(v/q.scale)+q.zero, 0), 255) - q.zero)
}

func clampByte(v float32) float32 { return min(max(roundEven(v), 0), 255) }

func roundEven(v float32) float32 { return float32(math.RoundToEven(float64(v))) }

// Run computes the node.
func (k *lstmQuantized) Run(c *Ctx, in, _ []onnx.Value) error {
	t, size, err := k.bind(in)
	if err != nil {
		return err
	}
	inner := make([]onnx.Value, recurrentInputs)
	x, scale, err := quantizeX(c, t[inX], longest(t[inLens], size[dimT]))
	if err != nil {
		return err
	}
	inner[inX] = x
	for _, i := range [...]int{inH, inC} {
		if t[i] == nil {
			continue
		}
		d, err := scratchTensor(c, onnx.Double, t[i].Shape())
		if err != nil {
			return err
		}
		toDoubles(onnx.Elements[float64](d), t[i])
		inner[i] = d
	}
	if t[inLens] != nil {
		inner[inLens] = t[inLens]
	}
	core := *k.core
	if core.cells, err = k.cells(t, &size, scale); err != nil {
		return err
	}
	e := &doubleEngine{Engine: c.eng}
	sub := NewCtx(e)
	sub.Bind(make([]onnx.Value, recurrentOutputs))
	if err := core.Run(sub, inner, nil); err != nil {
		return err
	}
	for i, d := range e.made {
		if d == nil {
			continue
		}
		out, err := c.New(i, onnx.Float, d.Shape())
		if err != nil {
			return err
		}
		to := onnx.Elements[float32](out)
		for j, v := range onnx.Elements[float64](d) {
			to[j] = float32(v)
		}
	}
	return nil
}

// bind takes the inputs and checks types and shapes of LSTM's.
func (k *lstmQuantized) bind(in []onnx.Value) (t [quantizeInputs]*onnx.Tensor, size recurrentSizes, err error) {
	var shapes [recurrentInputs][]int
	for i := range min(len(in), quantizeInputs) {
		if in[i] == nil || i < recurrentInputs && !k.has[i] {
			continue
		}
		v, ok := in[i].(*onnx.Tensor)
		if !ok {
			return t, size, onnx.Errorf(onnx.ErrType, "input %d is %s, want a tensor", i, in[i].Type().Name())
		}
		t[i] = v
		if i < recurrentInputs {
			if shapes[i] = v.Shape(); shapes[i] == nil {
				shapes[i] = []int{}
			}
		}
		want := onnx.Float
		switch i {
		case inW, inR, inWZero, inRZero: // constants, looked at when they were packed
			continue
		case inLens:
			want = onnx.Int32
		}
		if v.DataType() != want {
			return t, size, onnx.Errorf(onnx.ErrType, "input %d has elements of %v, want %v", i, v.DataType(), want)
		}
	}
	if size, err = k.measure(&shapes); err != nil {
		return t, size, err
	}
	if t[inX] == nil || t[inWScale] == nil || t[inRScale] == nil {
		return t, size, onnx.Errorf(onnx.ErrMalformed, "X or a scale is missing")
	}
	return t, size, nil
}

// longest is the number of steps that the longest row has. The core checks the
// lengths.
func longest(lens *onnx.Tensor, steps int) int {
	if lens == nil {
		return steps
	}
	most := 0
	for _, l := range onnx.Elements[int32](lens) {
		most = max(most, int(l))
	}
	return min(most, steps)
}

// quantizeX gives X as integers, and its scale. The range is that of the
// first steps.
func quantizeX(c *Ctx, x *onnx.Tensor, steps int) (*onnx.Tensor, float64, error) {
	d, err := scratchTensor(c, onnx.Double, x.Shape())
	if err != nil {
		return nil, 0, err
	}
	values := onnx.Elements[float32](x)
	q := affineRange{}
	if all := x.Shape()[0]; all > 0 {
		for _, v := range values[:len(values)/all*steps] {
			q.see(v)
		}
	}
	q.finish()
	to := onnx.Elements[float64](d)
	for i, v := range values {
		to[i] = q.integer(v)
	}
	return d, float64(q.scale), nil
}

// cells makes the cells of a run, one a direction.
func (k *lstmQuantized) cells(t [quantizeInputs]*onnx.Tensor, size *recurrentSizes, xScale float64) ([]recurrentCell[float64], error) {
	hidden, directions := size[dimH], size[dimD]
	width := k.gates * hidden
	wScale, err := perChannel(t[inWScale], directions, width, quantizeInputNames[inWScale])
	if err != nil {
		return nil, err
	}
	rScale, err := perChannel(t[inRScale], directions, width, quantizeInputNames[inRScale])
	if err != nil {
		return nil, err
	}
	var cells []recurrentCell[float64]
	for d := range directions {
		l := &quantizeCell{
			lstmCell: *newLSTM[float64](k.recurrent, k.activations[d*len(k.recurrentOp.activations):]).(*lstmCell[float64]),
			gates:    k.core.form.products[0].gates,
			xScale:   xScale,
			wScale:   wScale[d*width:][:width],
			rScale:   rScale[d*width:][:width],
			bias:     make([]float64, width),
		}
		if t[inB] != nil {
			b := asDoubles(t[inB])[d*2*width:]
			for i := range l.bias {
				l.bias[i] = b[i] + b[width+i]
			}
		}
		if t[inP] != nil {
			l.peepholes = asDoubles(t[inP])[d*3*hidden:][:3*hidden]
		}
		cells = append(cells, l)
	}
	return cells, nil
}

// doubleEngine keeps float64 outputs aside, in scratch memory.
type doubleEngine struct {
	Engine
	made [recurrentOutputs]*onnx.Tensor
}

func (e *doubleEngine) New(i int, _ onnx.DataType, shape []int, _ uint64) (t *onnx.Tensor, err error) {
	e.made[i], err = scratchTensor(NewCtx(e.Engine), onnx.Double, shape)
	return e.made[i], err
}

// integerWeights gives m [D, K, 4*H] less its zero points as [D, 4*H, K].
func integerWeights(m, zero *onnx.Tensor, name string) (*onnx.Tensor, error) {
	if m.DataType() != zero.DataType() {
		return nil, onnx.Errorf(onnx.ErrType, "%s has elements of %v, the weights are %v", name, zero.DataType(), m.DataType())
	}
	directions, depth, width := m.Shape()[0], m.Shape()[1], m.Shape()[2]
	zeros, err := perChannel(zero, directions, width, name)
	if err != nil {
		return nil, err
	}
	out := make([]float64, m.Len())
	values := asDoubles(m)
	for d := range directions {
		for k := range depth {
			for j := range width {
				out[(d*width+j)*depth+k] = values[(d*depth+k)*width+j] - zeros[d*width+j]
			}
		}
	}
	return onnx.NewTensor([]int{directions, width, depth}, out)
}

// perChannel gives a tensor of [D] or [D, width] as [D, width].
func perChannel(t *onnx.Tensor, directions, width int, name string) ([]float64, error) {
	s := t.Shape()
	whole := len(s) == 1 || len(s) == 2 && s[1] == 1
	if len(s) < 1 || len(s) > 2 || s[0] != directions || !whole && s[1] != width {
		return nil, onnx.Errorf(onnx.ErrShape, "%s has shape %v, want [%d] or [%d %d]", name, append([]int(nil), s...), directions, directions, width)
	}
	values := asDoubles(t)
	out := make([]float64, 0, directions*width)
	for d := range directions {
		for j := range width {
			if whole {
				out = append(out, values[d])
			} else {
				out = append(out, values[d*width+j])
			}
		}
	}
	return out, nil
}

// asDoubles gives the elements of a tensor of uint8, int8 or float.
func asDoubles(t *onnx.Tensor) []float64 {
	out := make([]float64, t.Len())
	toDoubles(out, t)
	return out
}

// toDoubles converts as many elements.
func toDoubles(dst []float64, t *onnx.Tensor) {
	switch t.DataType() {
	case onnx.Uint8:
		for i, v := range onnx.Elements[uint8](t) {
			dst[i] = float64(v)
		}
	case onnx.Int8:
		for i, v := range onnx.Elements[int8](t) {
			dst[i] = float64(v)
		}
	case onnx.Float:
		for i, v := range onnx.Elements[float32](t) {
			dst[i] = float64(v)
		}
	}
}
