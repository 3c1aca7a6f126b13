package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	arithmetic := []int{1, 6, 7, 13, 14}
	register(
		Op{Name: "Add", Since: arithmetic, Infer: inferBinary, Build: buildBinary},
		Op{Name: "Sub", Since: arithmetic, Infer: inferBinary, Build: buildBinary},
		Op{Name: "Mul", Since: arithmetic, Infer: inferBinary, Build: buildBinary},
		Op{Name: "Div", Since: arithmetic, Infer: inferBinary, Build: buildBinary},
		Op{Name: "Mod", Since: []int{10, 13, 28}, Infer: inferMod, Build: buildMod},
		Op{Name: "Pow", Since: []int{1, 7, 12, 13, 15}, Infer: inferPow, Build: buildPow},
		Op{Name: "PRelu", Since: []int{1, 6, 7, 9, 16}, Infer: inferPRelu, Build: buildPRelu},
		Op{Name: "BitShift", Since: []int{11, 28}, Infer: inferBinary, Build: buildBitShift},
		Op{Name: "BitwiseAnd", Since: []int{18}, Infer: inferBinary, Build: buildBinary},
		Op{Name: "BitwiseOr", Since: []int{18}, Infer: inferBinary, Build: buildBinary},
		Op{Name: "BitwiseXor", Since: []int{18}, Infer: inferBinary, Build: buildBinary},

		Op{Name: "Min", Since: []int{1, 6, 8, 12, 13}, Infer: inferVariadic, Build: buildVariadic},
		Op{Name: "Max", Since: []int{1, 6, 8, 12, 13}, Infer: inferVariadic, Build: buildVariadic},
		Op{Name: "Sum", Since: []int{1, 6, 8, 13}, Infer: inferVariadic, Build: buildVariadic},
		Op{Name: "Mean", Since: []int{1, 6, 8, 13}, Infer: inferVariadic, Build: buildVariadic},
	)
}

// zips gives the loops of an operator of two operands. The names are those of
// the operators, but for the two kinds of Mod and BitShift.
func zips(l Level, op string) *byType[zipper] {
	switch op {
	case "And", "Or", "Xor":
		return &byType[zipper]{onnx.Bool: boolZip(op)}
	}
	t := &byType[zipper]{
		onnx.Float: numberZip[float32](op), onnx.Double: numberZip[float64](op),
		onnx.Int8: numberZip[int8](op), onnx.Int16: numberZip[int16](op), onnx.Int32: numberZip[int32](op), onnx.Int64: numberZip[int64](op),
		onnx.Uint8: numberZip[uint8](op), onnx.Uint16: numberZip[uint16](op), onnx.Uint32: numberZip[uint32](op), onnx.Uint64: numberZip[uint64](op),
	}
	if t[onnx.Float] == nil {
		t = &byType[zipper]{
			onnx.Float: floatZip[float32](op), onnx.Double: floatZip[float64](op),
			onnx.Int8: integerZip[int8](op), onnx.Int16: integerZip[int16](op), onnx.Int32: integerZip[int32](op), onnx.Int64: integerZip[int64](op),
			onnx.Uint8: integerZip[uint8](op), onnx.Uint16: integerZip[uint16](op), onnx.Uint32: integerZip[uint32](op), onnx.Uint64: integerZip[uint64](op),
		}
	}
	if z := vectorZip(l, op); z != nil {
		t[onnx.Float] = z
	}
	if how, ok := arithmetic[op]; ok && l != kernel.Go {
		t[onnx.Int32], t[onnx.Int64] = arithmeticZip[int32](l, how), arithmeticZip[int64](l, how)
		t[onnx.Uint32], t[onnx.Uint64] = arithmeticZip[uint32](l, how), arithmeticZip[uint64](l, how)
	}
	if c, ok := comparisons[op]; ok && l != kernel.Go {
		t[onnx.Float], t[onnx.Int32], t[onnx.Int64] = compareZip[float32](l, c), compareZip[int32](l, c), compareZip[int64](l, c)
	}
	if op == "Equal" {
		t[onnx.Bool] = &zip[bool, bool]{vv: kernel.Equal[bool], grain: cheapGrain}
		t[onnx.String] = &zip[string, bool]{kernel.Equal[string], kernel.EqualVS[string], swapped(kernel.EqualVS[string]), cheapGrain}
	}
	return t
}

// arithmetic has the operators of integers whose loops have vectors.
var arithmetic = map[string]kernel.Arithmetic{
	"Add": kernel.Plus, "Sub": kernel.Minus, "Mul": kernel.Times, "Max": kernel.Greatest, "Min": kernel.Least, "Div": kernel.Quotient,
}

// arithmeticZip gives the loops of an operator of integers at a level of vectors.
func arithmeticZip[T interface {
	kernel.Word
	onnx.Element
}](l Level, how kernel.Arithmetic) zipper {
	return &zip[T, T]{
		vv:    func(dst, a, b []T) { kernel.ArithmeticVector(l, how, dst, a, b) },
		vs:    func(dst, a []T, s T) { kernel.ArithmeticVectorVS(l, how, dst, a, s) },
		sv:    func(dst []T, s T, b []T) { kernel.ArithmeticVectorSV(l, how, dst, s, b) },
		grain: cheapGrain,
	}
}

// comparisons has for each operator that compares how it does, and how it does
// when its operands change places.
var comparisons = map[string][2]kernel.Comparison{
	"Equal":          {kernel.IsEqual, kernel.IsEqual},
	"Less":           {kernel.IsLess, kernel.IsGreater},
	"LessOrEqual":    {kernel.IsLessOrEqual, kernel.IsGreaterOrEqual},
	"Greater":        {kernel.IsGreater, kernel.IsLess},
	"GreaterOrEqual": {kernel.IsGreaterOrEqual, kernel.IsLessOrEqual},
}

// compareZip gives the loops of a comparison at a level of vectors.
func compareZip[T interface {
	kernel.Comparable
	onnx.Element
}](l Level, c [2]kernel.Comparison) zipper {
	return &zip[T, bool]{
		vv:    func(dst []bool, a, b []T) { kernel.CompareVector(l, c[0], dst, a, b) },
		vs:    func(dst []bool, a []T, s T) { kernel.CompareVectorVS(l, c[0], dst, a, s) },
		sv:    func(dst []bool, s T, b []T) { kernel.CompareVectorVS(l, c[1], dst, b, s) },
		grain: cheapGrain,
	}
}

// swapped makes a loop whose first operand is the scalar out of one whose
// second is, of an operator that gives the same when they change places.
func swapped[T, U any](vs func(dst []U, a []T, s T)) func(dst []U, s T, b []T) {
	return func(dst []U, s T, b []T) { vs(dst, b, s) }
}

// vectorZip gives the loops of float32 at a level of vectors, nil where there
// is none.
func vectorZip(l Level, op string) zipper {
	if l == kernel.Go {
		return nil
	}
	loops := func(vv func(l Level, dst, a, b []float32), vs func(l Level, dst, a []float32, s float32)) *zip[float32, float32] {
		z := &zip[float32, float32]{grain: cheapGrain}
		z.vv = func(dst, a, b []float32) { vv(l, dst, a, b) }
		z.vs = func(dst, a []float32, s float32) { vs(l, dst, a, s) }
		z.sv = swapped(z.vs)
		return z
	}
	switch op {
	case "Add", "Sum":
		return loops(kernel.AddVector, kernel.AddVectorVS)
	case "Mul":
		return loops(kernel.MulVector, kernel.MulVectorVS)
	case "Max":
		return loops(kernel.MaxVector, kernel.MaxVectorVS)
	case "Min":
		return loops(kernel.MinVector, kernel.MinVectorVS)
	case "Sub":
		z := loops(kernel.SubVector, kernel.SubVectorVS)
		z.sv = func(dst []float32, s float32, b []float32) { kernel.SubVectorSV(l, dst, s, b) }
		return z
	case "Div":
		z := loops(kernel.DivVector, kernel.DivVectorVS)
		z.sv = func(dst []float32, s float32, b []float32) { kernel.DivVectorSV(l, dst, s, b) }
		return z
	case "PRelu":
		z := loops(kernel.PReluVector, kernel.PReluVectorVS)
		z.sv = func(dst []float32, s float32, b []float32) { kernel.PReluVectorSV(l, dst, s, b) }
		return z
	}
	return nil
}

// numberZip gives the loops that are written alike for all numbers.
func numberZip[T number](op string) zipper {
	switch op {
	case "Add", "Sum":
		return &zip[T, T]{kernel.Add[T], kernel.AddVS[T], swapped(kernel.AddVS[T]), cheapGrain}
	case "Sub":
		return &zip[T, T]{kernel.Sub[T], kernel.SubVS[T], kernel.SubSV[T], cheapGrain}
	case "Mul":
		return &zip[T, T]{kernel.Mul[T], kernel.MulVS[T], swapped(kernel.MulVS[T]), cheapGrain}
	case "Div":
		return &zip[T, T]{kernel.Div[T], kernel.DivVS[T], kernel.DivSV[T], cheapGrain}
	case "Min":
		return &zip[T, T]{kernel.Min[T], kernel.MinVS[T], swapped(kernel.MinVS[T]), cheapGrain}
	case "Max":
		return &zip[T, T]{kernel.Max[T], kernel.MaxVS[T], swapped(kernel.MaxVS[T]), cheapGrain}
	case "PRelu":
		return &zip[T, T]{kernel.PRelu[T], kernel.PReluVS[T], kernel.PReluSV[T], cheapGrain}
	case "Equal":
		return &zip[T, bool]{kernel.Equal[T], kernel.EqualVS[T], swapped(kernel.EqualVS[T]), cheapGrain}
	case "Less":
		return &zip[T, bool]{kernel.Less[T], kernel.LessVS[T], swapped(kernel.GreaterVS[T]), cheapGrain}
	case "LessOrEqual":
		return &zip[T, bool]{kernel.LessOrEqual[T], kernel.LessOrEqualVS[T], swapped(kernel.GreaterOrEqualVS[T]), cheapGrain}
	case "Greater":
		return &zip[T, bool]{kernel.Greater[T], kernel.GreaterVS[T], swapped(kernel.LessVS[T]), cheapGrain}
	case "GreaterOrEqual":
		return &zip[T, bool]{kernel.GreaterOrEqual[T], kernel.GreaterOrEqualVS[T], swapped(kernel.LessOrEqualVS[T]), cheapGrain}
	}
	return nil
}

func floatZip[T float](op string) zipper {
	switch op {
	case "FloorMod":
		return &zip[T, T]{vv: kernel.FloorModFloat[T], grain: costlyGrain}
	case "TruncMod":
		return &zip[T, T]{vv: kernel.TruncModFloat[T], grain: costlyGrain}
	}
	return nil
}

func integerZip[T integer](op string) zipper {
	switch op {
	case "FloorMod":
		return &zip[T, T]{vv: kernel.FloorMod[T], grain: cheapGrain}
	case "TruncMod":
		return &zip[T, T]{vv: kernel.TruncMod[T], grain: cheapGrain}
	case "BitwiseAnd":
		return &zip[T, T]{vv: kernel.BitAnd[T], grain: cheapGrain}
	case "BitwiseOr":
		return &zip[T, T]{vv: kernel.BitOr[T], grain: cheapGrain}
	case "BitwiseXor":
		return &zip[T, T]{vv: kernel.BitXor[T], grain: cheapGrain}
	case "ShiftLeft":
		return &zip[T, T]{vv: kernel.ShiftLeft[T], grain: cheapGrain}
	case "ShiftRight":
		return &zip[T, T]{vv: kernel.ShiftRight[T], grain: cheapGrain}
	}
	return nil
}

func boolZip(op string) zipper {
	z := &zip[bool, bool]{grain: cheapGrain}
	switch op {
	case "And":
		z.vv = kernel.And
	case "Or":
		z.vv = kernel.Or
	default:
		z.vv = kernel.Xor
	}
	return z
}

// elemOf gives the element type of a node's first inputs, which agree.
func elemOf(n *Node) onnx.DataType {
	for i := range n.NumInputs() {
		if d := n.Elem(i); d != onnx.Undefined {
			return d
		}
	}
	return onnx.Undefined
}

// inferBinary serves the operators of two operands whose result has their
// element type.
func inferBinary(n *Node) error {
	shape, err := binaryShape(n)
	if err != nil {
		return err
	}
	d := elemOf(n)
	n.SetTensor(0, d, shape)
	n.SetContent(0, zipContent(func(e []Sym) Sym { return symArith(n.Proto.OpType, e[0], e[1], d) }, contentAt(n, 0), contentAt(n, 1)))
	return nil
}

// binaryShape infers the shape of an operator of two operands.
func binaryShape(n *Node) (onnx.Shape, error) {
	if n.Since >= 7 {
		return BroadcastShapes(n.Shape(0), n.Shape(1))
	}
	a, b := n.Shape(0), n.Shape(1)
	if n.Bool("broadcast", false) {
		return a, suffixFits(a, b, n.HasAttr("axis"), n.Int("axis", 0))
	}
	return sameShapes(a, b)
}

// sameShapes gives what is known of a shape that all of the given are; nil
// shapes are not known.
func sameShapes(shapes ...onnx.Shape) (onnx.Shape, error) {
	var out onnx.Shape
	for _, s := range shapes {
		switch {
		case !s.Ranked():
		case !out.Ranked():
			out = s.Clone()
		case len(s) != len(out):
			return nil, onnx.Errorf(onnx.ErrShape, "shapes %v, want equal ones", shapes)
		default:
			for i, d := range s {
				if d.Known() && out[i].Known() && d.Value != out[i].Value {
					return nil, onnx.Errorf(onnx.ErrShape, "shapes %v, want equal ones", shapes)
				}
				if d.Known() {
					out[i] = d
				}
			}
		}
	}
	return out, nil
}

// suffixFits tells whether b broadcasts to a as the operators before opset 7
// have it: b has one element, or its shape is a part of a's that begins at
// axis, by default the last part.
func suffixFits(a, b onnx.Shape, hasAxis bool, axis int64) error {
	if !a.Ranked() || !b.Ranked() {
		return nil
	}
	one := true
	for _, d := range b {
		one = one && (!d.Known() || d.Value == 1)
	}
	if one {
		return nil
	}
	start, err := suffixStart(len(a), len(b), hasAxis, axis)
	if err != nil {
		return err
	}
	for i, d := range b {
		if w := a[start+i]; d.Known() && d.Value != 1 && w.Known() && d.Value != w.Value {
			return onnx.Errorf(onnx.ErrShape, "shape %v does not fit %v at axis %d", b, a, start)
		}
	}
	return nil
}

func suffixStart(rankA, rankB int, hasAxis bool, axis int64) (int, error) {
	start := rankA - rankB
	if hasAxis && axis != -1 { // -1 stands for an axis that is not set
		start = int(max(min(axis, int64(rankA)+1), -1))
	}
	if start < 0 || start+rankB > rankA {
		return 0, onnx.Errorf(onnx.ErrShape, "an operand of rank %d does not fit one of rank %d at axis %d", rankB, rankA, start)
	}
	return start, nil
}

// binary is the kernel of an operator of two operands.
type binary struct {
	loops   *byType[zipper]
	out     onnx.DataType // of the result; Undefined for that of the operands
	fit     fitting
	axis    int64
	axisOn  bool
	nonzero bool // the second operand must not be zero where it is an integer
}

// fitting says how the shapes of two operands come together.
type fitting uint8

const (
	fitBroadcast fitting = iota // multidirectional
	fitLeft                     // the second is broadcast to the first
	fitEqual                    // they are equal
	fitSuffix                   // the second is as suffixFits has it
	fitChannel                  // the second has one element, or one for each of the first's dimension 1, or its shape
)

func buildBinary(n *Node) (Kernel, error) {
	return newBinary(n, n.Proto.OpType)
}

// newBinary makes a kernel of the loops of that name.
func newBinary(n *Node, loops string) (Kernel, error) {
	k := &binary{loops: zips(n.Level(), loops)}
	switch loops {
	case "Div", "FloorMod", "TruncMod":
		k.nonzero = true
	case "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual":
		k.out = onnx.Bool
	}
	if n.Since < 7 {
		n.HasAttr("consumed_inputs") // says what may be overwritten
		k.axis, k.axisOn = n.Int("axis", 0), n.HasAttr("axis")
		k.fit = fitEqual
		if n.Bool("broadcast", false) {
			k.fit = fitSuffix
		}
	}
	return newNarrowable(k), nil
}

func (k *binary) Run(c *Ctx, in, out []onnx.Value) error {
	a, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	b, err := inputTensor(in, 1)
	if err != nil {
		return err
	}
	d := a.DataType()
	if b.DataType() != d {
		return onnx.Errorf(onnx.ErrType, "element types %v and %v, want equal ones", d, b.DataType())
	}
	loop := k.loops[d]
	if loop == nil {
		return noLoop(d)
	}
	var dims [8]int
	shape, tail, err := k.fit.shape(dims[:0], a, b, k.axisOn, k.axis)
	if err != nil {
		return err
	}
	var t *onnx.Tensor
	if k.out != onnx.Undefined && k.out != d {
		t, err = c.New(0, k.out, shape)
	} else {
		t, err = c.New(0, d, shape, 0, 1)
	}
	if err != nil {
		return err
	}
	if k.nonzero && t.Len() > 0 {
		if err := checkNonzero(b); err != nil {
			return err
		}
	}
	return loop.zip(c, t, a, b, tail)
}

// shape gives the shape of the result, perhaps in dst's memory, and how many
// dimensions of size 1 b's shape lacks at its end.
func (f fitting) shape(dst []int, a, b *onnx.Tensor, axisOn bool, axis int64) (shape []int, tail int, err error) {
	sa, sb := a.Shape(), b.Shape()
	switch f {
	case fitBroadcast, fitLeft:
		dst, err := Broadcast(dst, a, b)
		if err == nil && f == fitLeft && !slices.Equal(dst, sa) {
			err = onnx.Errorf(onnx.ErrShape, "shape %v cannot be broadcast to %v", slices.Clone(sb), slices.Clone(sa))
		}
		return dst, 0, err
	case fitEqual:
		if !slices.Equal(sa, sb) {
			err = onnx.Errorf(onnx.ErrShape, "shapes %v and %v, want equal ones", slices.Clone(sa), slices.Clone(sb))
		}
		return sa, 0, err
	}
	start := 0
	switch {
	case b.Len() == 1:
		return sa, 0, nil
	case f == fitSuffix:
		if start, err = suffixStart(len(sa), len(sb), axisOn, axis); err != nil {
			return nil, 0, err
		}
	case len(sb) == 1 && len(sa) >= 2:
		start = 1
	case len(sb) != len(sa):
		start = len(sa) // does not fit
	}
	for i, n := range sb {
		if start+i >= len(sa) || n != 1 && n != sa[start+i] {
			return nil, 0, onnx.Errorf(onnx.ErrShape, "shape %v does not fit %v at axis %d", slices.Clone(sb), slices.Clone(sa), start)
		}
	}
	return sa, len(sa) - start - len(sb), nil
}

// checkNonzero looks for zeros in an integer tensor.
func checkNonzero(t *onnx.Tensor) error {
	zero := -1
	switch {
	case t.DataType().IsFloat():
	case t.DataType().Size() == 1:
		zero = firstZero(onnx.Elements[uint8](t))
	case t.DataType().Size() == 2:
		zero = firstZero(onnx.Elements[uint16](t))
	case t.DataType().Size() == 4:
		zero = firstZero(onnx.Elements[uint32](t))
	default:
		zero = firstZero(onnx.Elements[uint64](t))
	}
	if zero < 0 {
		return nil
	}
	return onnx.Errorf(onnx.ErrMalformed, "division by zero: element %d of the divisor, a tensor of shape %v", zero, slices.Clone(t.Shape()))
}

func firstZero[T comparable](s []T) int {
	var zero T
	for i, v := range s {
		if v == zero {
			return i
		}
	}
	return -1
}

// inferMod refuses floating point without fmod before opset 28, as the
// specification did.
func inferMod(n *Node) error {
	fmod := n.Int("fmod", 0)
	if fmod != 0 && fmod != 1 {
		return onnx.Errorf(onnx.ErrMalformed, "fmod is %d, want 0 or 1", fmod)
	}
	if fmod == 0 && n.Since < 28 && elemOf(n).IsFloat() {
		return onnx.Errorf(onnx.ErrMalformed, "fmod is 0, want 1 for element type %v before opset 28", elemOf(n))
	}
	if fmod == 1 {
		shape, err := binaryShape(n)
		n.SetTensor(0, n.Elem(0), shape)
		return err
	}
	return inferBinary(n)
}

func buildMod(n *Node) (Kernel, error) {
	if n.Int("fmod", 0) == 1 {
		return newBinary(n, "TruncMod")
	}
	return newBinary(n, "FloorMod")
}

func buildBitShift(n *Node) (Kernel, error) {
	switch d := n.Str("direction", ""); d {
	case "LEFT":
		return newBinary(n, "ShiftLeft")
	case "RIGHT":
		return newBinary(n, "ShiftRight")
	default:
		return nil, onnx.Errorf(onnx.ErrMalformed, "direction is %q, want LEFT or RIGHT", d)
	}
}

// inferPRelu gives the output the input's shape.
func inferPRelu(n *Node) error {
	x, slope := n.Shape(0), n.Shape(1)
	n.SetTensor(0, n.Elem(0), x)
	if n.Since < 7 || !x.Ranked() || !slope.Ranked() {
		return nil
	}
	all, err := BroadcastShapes(x, slope)
	if err == nil && len(all) > len(x) {
		err = onnx.Errorf(onnx.ErrShape, "slope of shape %v cannot be broadcast to %v", slope, x)
	}
	for i, d := range x {
		if err == nil && d.Known() && all[i].Value != d.Value {
			err = onnx.Errorf(onnx.ErrShape, "slope of shape %v cannot be broadcast to %v", slope, x)
		}
	}
	return err
}

func buildPRelu(n *Node) (Kernel, error) {
	n.HasAttr("consumed_inputs")
	k := &binary{loops: zips(n.Level(), "PRelu"), fit: fitLeft}
	if n.Since < 7 {
		k.fit = fitChannel
	}
	return newNarrowable(k), nil
}

// inferVariadic serves Min, Max, Sum and Mean.
func inferVariadic(n *Node) error {
	shapes := make([]onnx.Shape, n.NumInputs())
	contents := make([]*Content, n.NumInputs())
	for i := range shapes {
		shapes[i], contents[i] = n.Shape(i), contentAt(n, i)
	}
	fit := BroadcastShapes
	if n.Since < 8 {
		fit = sameShapes
	}
	shape, err := fit(shapes...)
	if err != nil {
		return err
	}
	d := elemOf(n)
	n.SetTensor(0, d, shape)
	op := n.Proto.OpType
	if op == "Mean" {
		return nil
	}
	if op == "Sum" {
		op = "Add"
	}
	n.SetContent(0, zipContent(func(e []Sym) Sym {
		s := e[0]
		for _, x := range e[1:] {
			s = symArith(op, s, x, d)
		}
		return s
	}, contents...))
	return nil
}

// variadic folds its inputs from the left.
type variadic struct {
	loops *byType[zipper]
	div   *byType[zipper] // for the mean: nil otherwise
	count byType[*onnx.Tensor]
	equal bool // shapes must be equal
	wide  Kernel
}

func buildVariadic(n *Node) (Kernel, error) {
	n.HasAttr("consumed_inputs")
	k := &variadic{equal: n.Since < 8}
	switch n.Proto.OpType {
	case "Mean":
		k.loops, k.div = zips(n.Level(), "Add"), zips(n.Level(), "Div")
		k.count[onnx.Float] = onnx.Scalar(float32(n.NumInputs()))
		k.count[onnx.Double] = onnx.Scalar(float64(n.NumInputs()))
	case "Sum":
		k.loops = zips(n.Level(), "Add")
	default:
		k.loops = zips(n.Level(), n.Proto.OpType)
	}
	k.wide = Widen(KernelFunc(k.fold))
	return k, nil
}

func (k *variadic) Run(c *Ctx, in, out []onnx.Value) error {
	first, err := inputTensor(in, 0)
	switch {
	case err != nil:
		return err
	case len(in) == 1:
		out[0] = first
		return nil
	case isNarrow(first.DataType()):
		return k.wide.Run(c, in, out)
	}
	return k.fold(c, in, out)
}

// fold computes two or more inputs.
func (k *variadic) fold(c *Ctx, in, out []onnx.Value) error {
	var dims [8]int
	first := in[0].(*onnx.Tensor)
	d := first.DataType()
	loop := k.loops[d]
	if loop == nil {
		return noLoop(d)
	}
	shape := append(dims[:0], first.Shape()...)
	for i := range in {
		t, err := inputTensor(in, i)
		if err != nil {
			return err
		}
		if t.DataType() != d {
			return onnx.Errorf(onnx.ErrType, "input 0 is of %v, input %d of %v, want equal types", d, i, t.DataType())
		}
		if k.equal && !slices.Equal(shape, t.Shape()) {
			return onnx.Errorf(onnx.ErrShape, "input 0 has shape %v, input %d %v, want equal ones", slices.Clone(shape), i, slices.Clone(t.Shape()))
		}
		if shape, err = broadcastTo(shape, t.Shape()); err != nil {
			return onnx.Errorf(onnx.ErrShape, "input %d: %v", i, err)
		}
	}
	t, err := c.New(0, d, shape, 0, 1)
	if err != nil {
		return err
	}
	a := first
	for i := 1; i < len(in); i++ {
		b := in[i].(*onnx.Tensor)
		if err := loop.zip(c, t, a, b, 0); err != nil {
			return err
		}
		a = t
	}
	if k.div == nil {
		return nil
	}
	return k.div[d].zip(c, t, t, k.count[d], 0)
}
