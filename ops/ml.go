package ops

import (
	"math"
	"slices"

	"github.com/recur-ml/recur/onnx"
)

// mlDomain is the domain of the operators for classical machine learning.
const mlDomain = "ai.onnx.ml"

func init() {
	ml := func(name string, since []int, infer func(*Node) error, build func(*Node) (Kernel, error)) {
		register(Op{Domain: mlDomain, Name: name, Since: since, Infer: infer, Build: build})
	}
	one := []int{1}
	ml("ArrayFeatureExtractor", one, inferArrayFeatureExtractor, plainBuild(runArrayFeatureExtractor))
	ml("Binarizer", one, inferMLSame, buildBinarizer)
	ml("FeatureVectorizer", one, inferFeatureVectorizer, buildFeatureVectorizer)
	ml("Imputer", one, inferMLSame, buildImputer)
	ml("Normalizer", one, inferMLFloat, buildNormalizer)
	ml("OneHotEncoder", one, inferOneHotEncoder, buildOneHotEncoder)
	ml("Scaler", one, inferMLFloat, buildScaler)
}

func inferMLSame(n *Node) error {
	n.SetTensor(0, n.Elem(0), n.Shape(0).Clone())
	return nil
}

func inferMLFloat(n *Node) error {
	n.SetTensor(0, onnx.Float, n.Shape(0).Clone())
	return nil
}

// mlNumber has the element types that these operators compute with.
type mlNumber interface {
	float32 | float64 | int32 | int64
}

// mlDoubles writes the elements of a tensor as float64.
func mlDoubles(dst []float64, t *onnx.Tensor) error {
	switch t.DataType() {
	case onnx.Float:
		widenFeatures(dst, onnx.Elements[float32](t))
	case onnx.Double:
		copy(dst, onnx.Elements[float64](t))
	case onnx.Int32:
		widenFeatures(dst, onnx.Elements[int32](t))
	case onnx.Int64:
		widenFeatures(dst, onnx.Elements[int64](t))
	default:
		return onnx.Errorf(onnx.ErrType, "elements are of %v, want float, double, int32 or int64", t.DataType())
	}
	return nil
}

func widenFeatures[T mlNumber](dst []float64, src []T) {
	for i, v := range src {
		dst[i] = float64(v)
	}
}

// mlFloats gives the elements of a tensor as float32, each rounded once.
func mlFloats(c *Ctx, t *onnx.Tensor) ([]float32, error) {
	if t.DataType() == onnx.Float {
		return onnx.Elements[float32](t), nil
	}
	wide, err := Scratch[float64](c, t.Len())
	if err != nil {
		return nil, err
	}
	if err := mlDoubles(wide, t); err != nil {
		return nil, err
	}
	out, err := Scratch[float32](c, t.Len())
	for i, v := range wide {
		out[i] = float32(v)
	}
	return out, err
}

// mlRows gives the rows of a tensor [N C], or [C] for one row, and their
// length.
func mlRows(t *onnx.Tensor) (rows, length int, err error) {
	switch t.Rank() {
	case 1:
		return 1, t.Shape()[0], nil
	case 2:
		return t.Shape()[0], t.Shape()[1], nil
	}
	return 0, 0, onnx.Errorf(onnx.ErrShape, "the input is %v, want the shape [N C] or [C]", t)
}

// inferRows gives the first dimension of a tensor [N C], or 1 for [C].
func inferRows(n *Node, i int) (onnx.Dim, error) {
	switch s := n.Shape(i); {
	case !s.Ranked():
		return onnx.UnknownDim, nil
	case len(s) == 1:
		return onnx.Fixed(1), nil
	case len(s) == 2:
		return s[0], nil
	default:
		return onnx.UnknownDim, onnx.Errorf(onnx.ErrShape, "input %d has the shape %v, want [N C] or [C]", i, s)
	}
}

func inferArrayFeatureExtractor(n *Node) error {
	x, y := n.Shape(0), n.Shape(1)
	if !x.Ranked() {
		n.SetTensor(0, n.Elem(0), nil)
		return nil
	}
	if len(x) == 0 {
		return onnx.Errorf(onnx.ErrShape, "X is a scalar")
	}
	count := onnx.UnknownDim
	if len(y) == 1 {
		count = y[0]
	} else if dims, ok := y.Ints(); ok {
		if k, err := onnx.NumElements(dims); err == nil {
			count = onnx.Fixed(k)
		}
	}
	shape := onnx.Shape{onnx.Fixed(1)}
	if len(x) > 1 {
		shape = x[:len(x)-1].Clone()
	}
	n.SetTensor(0, n.Elem(0), append(shape, count))
	return nil
}

// runArrayFeatureExtractor takes elements of the last axis.
func runArrayFeatureExtractor(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	index, err := onnx.Data[int64](in[1])
	if err != nil {
		return err
	}
	if x.Rank() == 0 {
		return onnx.Errorf(onnx.ErrShape, "X is a scalar")
	}
	outer, size, _ := split3(x.Shape(), x.Rank()-1)
	for k, i := range index {
		if i < 0 || i >= int64(size) {
			return onnx.Errorf(onnx.ErrShape, "Y[%d] is %d, want 0..%d", k, i, size-1)
		}
	}
	shape := []int{1}
	if x.Rank() > 1 {
		shape = slices.Clone(x.Shape()[:x.Rank()-1])
	}
	y, err := c.New(0, x.DataType(), append(shape, len(index)))
	if err != nil {
		return err
	}
	for r := range outer {
		if err := c.Err(); err != nil {
			return err
		}
		for k, i := range index {
			copyElements(y, r*len(index)+k, x, r*size+int(i), 1)
		}
	}
	return nil
}

func buildBinarizer(n *Node) (Kernel, error) {
	threshold := n.Float("threshold", 0)
	return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error {
		x, err := inputTensor(in, 0)
		if err != nil {
			return err
		}
		y, err := c.New(0, x.DataType(), x.Shape(), 0)
		if err != nil {
			return err
		}
		switch x.DataType() {
		case onnx.Float:
			binarize[float32](y, x, threshold)
		case onnx.Double:
			binarize[float64](y, x, threshold)
		case onnx.Int32:
			binarize[int32](y, x, threshold)
		case onnx.Int64:
			binarize[int64](y, x, threshold)
		}
		return nil
	}), nil
}

func binarize[T interface {
	mlNumber
	onnx.Element
}](y, x *onnx.Tensor, threshold float32) {
	out := onnx.Elements[T](y)
	for i, v := range onnx.Elements[T](x) {
		if out[i] = 0; float64(v) > float64(threshold) {
			out[i] = 1
		}
	}
}

// featureWidths gives the columns that each input contributes: what
// inputdimensions says, else what the input has.
func featureWidths(n *Node) ([]int64, error) {
	widths := n.Ints("inputdimensions")
	if widths != nil && len(widths) != n.NumInputs() {
		return nil, onnx.Errorf(onnx.ErrMalformed, "inputdimensions has %d entries for %d inputs", len(widths), n.NumInputs())
	}
	for i, w := range widths {
		if w < 0 || w > math.MaxInt32 {
			return nil, onnx.Errorf(onnx.ErrMalformed, "inputdimensions[%d] is %d", i, w)
		}
	}
	return widths, n.Err()
}

func inferFeatureVectorizer(n *Node) error {
	widths, err := featureWidths(n)
	if err != nil {
		return err
	}
	rows, total := onnx.UnknownDim, onnx.Fixed(0)
	for i := range n.NumInputs() {
		d, err := inferRows(n, i)
		if err != nil {
			return err
		}
		if !rows.Known() && (d.Known() || rows.Name == "") {
			rows = d
		}
		columns := onnx.UnknownDim
		if widths != nil {
			columns = onnx.Fixed(int(widths[i]))
		} else if s := n.Shape(i); s.Ranked() {
			columns = s[len(s)-1]
		}
		if !total.Known() || !columns.Known() {
			total = onnx.UnknownDim
			continue
		}
		total.Value += columns.Value
	}
	n.SetTensor(0, onnx.Float, onnx.Shape{rows, total})
	return nil
}

// buildFeatureVectorizer puts the columns of its inputs side by side; an input
// that has fewer than inputdimensions says is filled up with zeros, one that
// has more is cut.
func buildFeatureVectorizer(n *Node) (Kernel, error) {
	widths, err := featureWidths(n)
	if err != nil {
		return nil, err
	}
	return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error {
		rows, total := -1, 0
		width := make([]int, len(in))
		for i := range in {
			x, err := inputTensor(in, i)
			if err != nil {
				return err
			}
			r, length, err := mlRows(x)
			if err != nil {
				return onnx.Errorf(err, "input %d: %v", i, err)
			}
			if rows >= 0 && rows != r {
				return onnx.Errorf(onnx.ErrShape, "input %d has %d rows, input 0 %d", i, r, rows)
			}
			rows, width[i] = r, length
			if widths != nil {
				width[i] = int(widths[i])
			}
			total += width[i]
		}
		y, err := c.New(0, onnx.Float, []int{rows, total})
		if err != nil {
			return err
		}
		out := onnx.Elements[float32](y)
		clear(out)
		at := 0
		for i := range in {
			x, _ := inputTensor(in, i)
			data, err := mlFloats(c, x)
			if err != nil {
				return err
			}
			_, length, _ := mlRows(x)
			for r := range rows {
				copy(out[r*total+at:r*total+at+width[i]], data[r*length:(r+1)*length])
			}
			at += width[i]
		}
		return c.Err()
	}), nil
}

// buildImputer replaces one value, which may be NaN, by another: the same for
// all columns, or one for each.
func buildImputer(n *Node) (Kernel, error) {
	floats, ints := n.Floats("imputed_value_floats"), n.Ints("imputed_value_int64s")
	oldFloat, oldInt := n.Float("replaced_value_float", 0), n.Int("replaced_value_int64", 0)
	return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error {
		x, err := inputTensor(in, 0)
		if err != nil {
			return err
		}
		y, err := c.New(0, x.DataType(), x.Shape(), 0)
		if err != nil {
			return err
		}
		switch x.DataType() {
		case onnx.Float:
			return impute[float32](y, x, oldFloat, floats)
		case onnx.Double:
			return impute[float64](y, x, oldFloat, floats)
		case onnx.Int32:
			return impute[int32](y, x, oldInt, ints)
		}
		return impute[int64](y, x, oldInt, ints)
	}), nil
}

func impute[T interface {
	mlNumber
	onnx.Element
}, A float32 | int64](y, x *onnx.Tensor, old A, values []A) error {
	columns := 1
	if x.Rank() > 0 {
		columns = x.Shape()[x.Rank()-1]
	}
	if len(values) != 1 && len(values) != columns {
		return onnx.Errorf(onnx.ErrShape, "there are %d imputed values of the kind of %v, want 1 or %d", len(values), x.DataType(), columns)
	}
	out, from := onnx.Elements[T](y), T(old)
	for i, v := range onnx.Elements[T](x) {
		if out[i] = v; v == from || v != v && from != from {
			out[i] = T(values[i%len(values)])
		}
	}
	return nil
}

// buildNormalizer divides each row by its largest element (MAX), the sum of
// the magnitudes (L1) or the square root of the sum of squares (L2); a row for
// which that is 0 stays.
func buildNormalizer(n *Node) (Kernel, error) {
	norm := n.Str("norm", "MAX")
	if norm != "MAX" && norm != "L1" && norm != "L2" {
		return nil, onnx.Errorf(onnx.ErrMalformed, "norm is %q, want MAX, L1 or L2", norm)
	}
	return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error {
		x, err := inputTensor(in, 0)
		if err != nil {
			return err
		}
		rows, length, err := mlRows(x)
		if err != nil {
			return err
		}
		y, err := c.New(0, onnx.Float, x.Shape())
		if err != nil {
			return err
		}
		wide, err := Scratch[float64](c, x.Len())
		if err != nil {
			return err
		}
		if err := mlDoubles(wide, x); err != nil {
			return err
		}
		out := onnx.Elements[float32](y)
		for r := range rows {
			row := wide[r*length : (r+1)*length]
			by := featureNorm(norm, row)
			if by == 0 {
				by = 1
			}
			for i, v := range row {
				out[r*length+i] = float32(v / by)
			}
		}
		return c.Err()
	}), nil
}

func featureNorm(norm string, row []float64) float64 {
	sum, top := 0.0, math.Inf(-1)
	for _, v := range row {
		switch norm {
		case "MAX":
			top = max(top, v)
		case "L1":
			sum += math.Abs(v)
		default:
			sum += v * v
		}
	}
	switch norm {
	case "MAX":
		return top
	case "L2":
		return math.Sqrt(sum)
	}
	return sum
}

// readOneHot gives the categories' places by integer or by string.
func readOneHot(n *Node) (ints map[int64]int, words map[string]int, err error) {
	cats, strs := n.Ints("cats_int64s"), n.Strs("cats_strings")
	if (len(cats) == 0) == (len(strs) == 0) {
		return nil, nil, onnx.Errorf(onnx.ErrMalformed, "there are %d cats_int64s and %d cats_strings: want one of them", len(cats), len(strs))
	}
	if d := n.Elem(0); d != onnx.Undefined && (d == onnx.String) != (len(strs) > 0) {
		return nil, nil, onnx.Errorf(onnx.ErrType, "X is of %v, the categories are of another kind", d)
	}
	ints, words = map[int64]int{}, map[string]int{}
	for i, v := range cats {
		ints[v] = i
	}
	for i, v := range strs {
		words[v] = i
	}
	return ints, words, n.Err()
}

func inferOneHotEncoder(n *Node) error {
	if _, _, err := readOneHot(n); err != nil {
		return err
	}
	shape := n.Shape(0).Clone()
	if shape.Ranked() {
		shape = append(shape, onnx.Fixed(len(n.Ints("cats_int64s"))+len(n.Strs("cats_strings"))))
	}
	n.SetTensor(0, onnx.Float, shape)
	return nil
}

func buildOneHotEncoder(n *Node) (Kernel, error) {
	ints, words, err := readOneHot(n)
	if err != nil {
		return nil, err
	}
	zeros := n.Bool("zeros", true)
	columns := len(n.Ints("cats_int64s")) + len(n.Strs("cats_strings"))
	return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error {
		x, err := inputTensor(in, 0)
		if err != nil {
			return err
		}
		y, err := c.New(0, onnx.Float, append(slices.Clone(x.Shape()), columns))
		if err != nil {
			return err
		}
		out := onnx.Elements[float32](y)
		clear(out)
		set := func(i, at int, ok bool) error {
			if ok {
				out[i*columns+at] = 1
			} else if !zeros {
				return onnx.Errorf(onnx.ErrMalformed, "element %d of X is none of the categories", i)
			}
			return nil
		}
		if x.DataType() == onnx.String {
			for i, w := range x.Strings() {
				at, ok := words[w]
				if err := set(i, at, ok); err != nil {
					return err
				}
			}
			return nil
		}
		if x.DataType() == onnx.Int64 {
			for i, v := range onnx.Elements[int64](x) {
				at, ok := ints[v]
				if err := set(i, at, ok); err != nil {
					return err
				}
			}
			return nil
		}
		wide, err := Scratch[float64](c, x.Len())
		if err != nil {
			return err
		}
		if err := mlDoubles(wide, x); err != nil {
			return err
		}
		for i, v := range wide {
			at, ok := 0, v > -(1<<63) && v < 1<<63
			if ok {
				at, ok = ints[int64(v)] // truncated, as a cast does
			}
			if err := set(i, at, ok); err != nil {
				return err
			}
		}
		return nil
	}), nil
}

// buildScaler computes (X - offset) * scale, with numbers for all columns or
// one for each.
func buildScaler(n *Node) (Kernel, error) {
	offset, scale := n.Floats("offset"), n.Floats("scale")
	if len(offset) == 0 {
		offset = []float32{0}
	}
	if len(scale) == 0 {
		scale = []float32{1}
	}
	return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error {
		x, err := inputTensor(in, 0)
		if err != nil {
			return err
		}
		columns := 1
		if x.Rank() > 0 {
			columns = x.Shape()[x.Rank()-1]
		}
		if len(offset) != 1 && len(offset) != columns || len(scale) != 1 && len(scale) != columns {
			return onnx.Errorf(onnx.ErrShape, "%d offsets and %d scales, want 1 or %d", len(offset), len(scale), columns)
		}
		y, err := c.New(0, onnx.Float, x.Shape(), 0)
		if err != nil {
			return err
		}
		out := onnx.Elements[float32](y)
		if x.DataType() == onnx.Float {
			for i, v := range onnx.Elements[float32](x) {
				out[i] = (v - offset[i%len(offset)]) * scale[i%len(scale)]
			}
			return nil
		}
		wide, err := Scratch[float64](c, x.Len())
		if err != nil {
			return err
		}
		if err := mlDoubles(wide, x); err != nil {
			return err
		}
		for i, v := range wide {
			out[i] = float32((v - float64(offset[i%len(offset)])) * float64(scale[i%len(scale)]))
		}
		return nil
	}), nil
}
