package ops

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Domain: mlDomain, Name: "LabelEncoder", Since: []int{1, 2, 4}, Infer: inferLabelEncoder, Build: buildLabelEncoder},
		Op{Domain: mlDomain, Name: "CategoryMapper", Since: []int{1}, Infer: inferCategoryMapper, Build: buildCategoryMapper},
		Op{Domain: mlDomain, Name: "DictVectorizer", Since: []int{1}, Infer: inferDictVectorizer, Build: buildDictVectorizer},
		Op{Domain: mlDomain, Name: "ZipMap", Since: []int{1}, Infer: inferZipMap, Build: buildZipMap},
		Op{Domain: mlDomain, Name: "CastMap", Since: []int{1}, Infer: inferCastMap, Build: buildCastMap},
	)
}

// labelLookup replaces each key by a value of another tensor: element at of values,
// or the fallback for a key that is not there. Of a key that is there twice
// the last value counts.
type labelLookup struct {
	keys     onnx.DataType
	words    map[string]int
	bits     map[uint64]int // keys of other types, see keyBits
	values   *onnx.Tensor
	fallback *onnx.Tensor
}

// newLabelLookup makes one from tensors of equal length.
func newLabelLookup(keys, values, fallback *onnx.Tensor) (*labelLookup, error) {
	if keys.Len() != values.Len() {
		return nil, onnx.Errorf(onnx.ErrMalformed, "%d keys and %d values", keys.Len(), values.Len())
	}
	l := &labelLookup{keys: keys.DataType(), values: values, fallback: fallback}
	if l.keys == onnx.String {
		l.words = map[string]int{}
		for i, w := range keys.Strings() {
			l.words[w] = i
		}
		return l, nil
	}
	l.bits = map[uint64]int{}
	return l, eachKey(keys, func(i int, b uint64) { l.bits[b] = i })
}

// eachKey gives each element as bits that are equal for equal elements: the
// two zeros are, and one NaN is like another.
func eachKey(t *onnx.Tensor, f func(i int, b uint64)) error {
	switch t.DataType() {
	case onnx.Int64:
		for i, v := range onnx.Elements[int64](t) {
			f(i, uint64(v))
		}
	case onnx.Int32:
		for i, v := range onnx.Elements[int32](t) {
			f(i, uint64(v))
		}
	case onnx.Int16:
		for i, v := range onnx.Elements[int16](t) {
			f(i, uint64(v))
		}
	case onnx.Float:
		for i, v := range onnx.Elements[float32](t) {
			f(i, floatKey(float64(v)))
		}
	case onnx.Double:
		for i, v := range onnx.Elements[float64](t) {
			f(i, floatKey(v))
		}
	default:
		return onnx.Errorf(onnx.ErrType, "keys of %v", t.DataType())
	}
	return nil
}

func floatKey(v float64) uint64 {
	switch {
	case v == 0:
		return 0
	case v != v:
		return math.Float64bits(math.NaN())
	}
	return math.Float64bits(v)
}

func (l *labelLookup) infer(n *Node) error {
	if d := n.Elem(0); d != onnx.Undefined && d != l.keys {
		return onnx.Errorf(onnx.ErrType, "X is of %v, the keys of %v", d, l.keys)
	}
	n.SetTensor(0, l.values.DataType(), n.Shape(0).Clone())
	return nil
}

func (l *labelLookup) Run(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	if x.DataType() != l.keys {
		return onnx.Errorf(onnx.ErrType, "X is of %v, the keys of %v", x.DataType(), l.keys)
	}
	y, err := c.New(0, l.values.DataType(), x.Shape())
	if err != nil {
		return err
	}
	put := func(i, at int, ok bool) {
		if ok {
			copyElements(y, i, l.values, at, 1)
		} else {
			copyElements(y, i, l.fallback, 0, 1)
		}
	}
	if l.keys == onnx.String {
		for i, w := range x.Strings() {
			at, ok := l.words[w]
			put(i, at, ok)
		}
		return nil
	}
	return eachKey(x, func(i int, b uint64) {
		at, ok := l.bits[b]
		put(i, at, ok)
	})
}

// labelTable makes a tensor of the one list that is set: floats, ints or strings,
// or in version 4 a tensor.
func labelTable(n *Node, what string) (*onnx.Tensor, error) {
	var found []*onnx.Tensor
	if v := n.Floats(what + "_floats"); v != nil {
		found = append(found, onnx.MustTensor([]int{len(v)}, v))
	}
	if v := n.Ints(what + "_int64s"); v != nil {
		found = append(found, onnx.MustTensor([]int{len(v)}, v))
	}
	if v := n.Strs(what + "_strings"); v != nil {
		found = append(found, onnx.MustTensor([]int{len(v)}, v))
	}
	if n.Since >= 4 {
		if t := n.TensorAttr(what + "_tensor"); t != nil {
			found = append(found, t)
		}
	}
	if err := n.Err(); err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, onnx.Errorf(onnx.ErrMalformed, "%d lists of %s are set, want 1", len(found), what)
	}
	return found[0], nil
}

// labelDefault gives the value for unknown keys.
func labelDefault(n *Node, d onnx.DataType) (*onnx.Tensor, error) {
	f, i, s := n.Float("default_float", float32(math.Copysign(0, -1))), n.Int("default_int64", -1), n.Str("default_string", "_Unused")
	if n.Since >= 4 {
		if t := n.TensorAttr("default_tensor"); t != nil {
			if t.DataType() != d || t.Len() != 1 {
				return nil, onnx.Errorf(onnx.ErrMalformed, "default_tensor is %v, want one element of %v", t, d)
			}
			return t, nil
		}
	}
	switch d {
	case onnx.Float:
		return onnx.Scalar(f), nil
	case onnx.Double:
		return onnx.Scalar(float64(f)), nil
	case onnx.Int64:
		return onnx.Scalar(i), nil
	case onnx.Int32:
		return onnx.Scalar(int32(i)), nil
	case onnx.Int16:
		return onnx.Scalar(int16(i)), nil
	case onnx.String:
		return onnx.Scalar(s), nil
	}
	return nil, onnx.Errorf(onnx.ErrType, "values of %v", d)
}

func readLabelEncoder(n *Node) (*labelLookup, error) {
	if n.Since == 1 {
		classes := n.Strs("classes_strings")
		if len(classes) == 0 {
			return nil, onnx.Errorf(onnx.ErrMalformed, "classes_strings is empty")
		}
		return stringsAndInts(n, classes, firstInts(len(classes)))
	}
	keys, err := labelTable(n, "keys")
	if err != nil {
		return nil, err
	}
	values, err := labelTable(n, "values")
	if err != nil {
		return nil, err
	}
	fallback, err := labelDefault(n, values.DataType())
	if err != nil {
		return nil, err
	}
	return newLabelLookup(keys, values, fallback)
}

func firstInts(n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(i)
	}
	return out
}

// stringsAndInts maps strings to integers, or the other way round, as the
// input's type demands.
func stringsAndInts(n *Node, strs []string, ints []int64) (*labelLookup, error) {
	noString, noInt := n.Str("default_string", "_Unused"), n.Int("default_int64", -1)
	if err := n.Err(); err != nil {
		return nil, err
	}
	if len(strs) != len(ints) {
		return nil, onnx.Errorf(onnx.ErrMalformed, "%d strings and %d integers", len(strs), len(ints))
	}
	s, i := onnx.MustTensor([]int{len(strs)}, strs), onnx.MustTensor([]int{len(ints)}, ints)
	if n.Elem(0) == onnx.Int64 {
		return newLabelLookup(i, s, onnx.Scalar(noString))
	}
	return newLabelLookup(s, i, onnx.Scalar(noInt))
}

func inferLabelEncoder(n *Node) error {
	l, err := readLabelEncoder(n)
	if err != nil {
		return err
	}
	return l.infer(n)
}

func buildLabelEncoder(n *Node) (Kernel, error) {
	if n.Since == 1 && n.Elem(0) == onnx.Undefined {
		return nil, onnx.Errorf(onnx.ErrUnsupported, "the element type of X is not known")
	}
	return readLabelEncoder(n)
}

func readCategoryMapper(n *Node) (*labelLookup, error) {
	return stringsAndInts(n, n.Strs("cats_strings"), n.Ints("cats_int64s"))
}

func inferCategoryMapper(n *Node) error {
	l, err := readCategoryMapper(n)
	if err != nil {
		return err
	}
	return l.infer(n)
}

func buildCategoryMapper(n *Node) (Kernel, error) {
	if n.Elem(0) == onnx.Undefined {
		return nil, onnx.Errorf(onnx.ErrUnsupported, "the element type of X is not known")
	}
	return readCategoryMapper(n)
}

// mlKeys makes a tensor of the one list of keys that is set.
func mlKeys(n *Node, ints, strs string) (*onnx.Tensor, error) {
	i, s := n.Ints(ints), n.Strs(strs)
	if err := n.Err(); err != nil {
		return nil, err
	}
	if (len(i) == 0) == (len(s) == 0) {
		return nil, onnx.Errorf(onnx.ErrMalformed, "%s has %d entries and %s %d: want one of them", ints, len(i), strs, len(s))
	}
	if len(s) > 0 {
		return onnx.MustTensor([]int{len(s)}, s), nil
	}
	return onnx.MustTensor([]int{len(i)}, i), nil
}

func mlMap(v onnx.Value) (*onnx.Map, error) {
	m, ok := v.(*onnx.Map)
	if !ok || m.Keys == nil || m.Values == nil || m.Keys.Len() != m.Values.Len() {
		return nil, onnx.Errorf(onnx.ErrType, "X is no map")
	}
	return m, nil
}

func inferDictVectorizer(n *Node) error {
	keys, err := mlKeys(n, "int64_vocabulary", "string_vocabulary")
	if err != nil {
		return err
	}
	elem := onnx.Undefined
	if t := n.In(0).Type; t.Kind == onnx.KindMap {
		if t.Elem != onnx.Undefined && t.Elem != keys.DataType() {
			return onnx.Errorf(onnx.ErrType, "the map's keys are of %v, the vocabulary of %v", t.Elem, keys.DataType())
		}
		if t.Of != nil {
			elem = t.Of.Elem
		}
	}
	n.SetTensor(0, elem, onnx.FixedShape(1, keys.Len()))
	return nil
}

// buildDictVectorizer gives a row of the values of a map in the order of a
// vocabulary: 0, or "", for keys that the map lacks; its other keys are left
// out.
func buildDictVectorizer(n *Node) (Kernel, error) {
	vocabulary, err := mlKeys(n, "int64_vocabulary", "string_vocabulary")
	if err != nil {
		return nil, err
	}
	l, err := newLabelLookup(vocabulary, vocabulary, nil)
	if err != nil {
		return nil, err
	}
	return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error {
		m, err := mlMap(in[0])
		if err != nil {
			return err
		}
		if m.Keys.DataType() != l.keys {
			return onnx.Errorf(onnx.ErrType, "the map's keys are of %v, the vocabulary of %v", m.Keys.DataType(), l.keys)
		}
		y, err := c.New(0, m.Values.DataType(), []int{1, vocabulary.Len()})
		if err != nil {
			return err
		}
		clear(y.Bytes())
		if l.keys == onnx.String {
			for i, w := range m.Keys.Strings() {
				if at, ok := l.words[w]; ok {
					copyElements(y, at, m.Values, i, 1)
				}
			}
			return nil
		}
		return eachKey(m.Keys, func(i int, b uint64) {
			if at, ok := l.bits[b]; ok {
				copyElements(y, at, m.Values, i, 1)
			}
		})
	}), nil
}

func inferZipMap(n *Node) error {
	keys, err := mlKeys(n, "classlabels_int64s", "classlabels_strings")
	if err != nil {
		return err
	}
	if _, err := inferRows(n, 0); err != nil {
		return err
	}
	if s := n.Shape(0); s.Ranked() && s[len(s)-1].Known() && s[len(s)-1].Value != keys.Len() {
		return onnx.Errorf(onnx.ErrShape, "X has %v columns for %d labels", s[len(s)-1], keys.Len())
	}
	n.Set(0, onnx.SequenceType(onnx.MapType(keys.DataType(), onnx.TensorType(onnx.Float, onnx.Shape{}))))
	return nil
}

// buildZipMap makes a map from labels to values of each row.
func buildZipMap(n *Node) (Kernel, error) {
	keys, err := mlKeys(n, "classlabels_int64s", "classlabels_strings")
	if err != nil {
		return nil, err
	}
	elem := onnx.MapType(keys.DataType(), onnx.TensorType(onnx.Float, onnx.Shape{}))
	return KernelFunc(func(c *Ctx, in, out []onnx.Value) error {
		x, err := inputTensor(in, 0)
		if err != nil {
			return err
		}
		rows, columns, err := mlRows(x)
		if err != nil {
			return err
		}
		if columns != keys.Len() {
			return onnx.Errorf(onnx.ErrShape, "X has %d columns for %d labels", columns, keys.Len())
		}
		if err := reserveItems(c, rows); err != nil {
			return err
		}
		s := &onnx.Sequence{Elem: elem, Items: make([]onnx.Value, rows)}
		flat := &onnx.Tensor{}
		flat.ResetView(x, []int{1, x.Len()})
		for r := range rows {
			row, err := sequencePart(c, flat, 1, r*columns, columns, true)
			if err != nil {
				return err
			}
			values := &onnx.Tensor{}
			values.ResetView(row, []int{columns})
			s.Items[r] = &onnx.Map{Keys: keys, Values: values}
		}
		out[0] = s
		return nil
	}), nil
}

// castMap gives the values of a map from integers as a row, ordered by their
// keys: all of them, or with map_form SPARSE value k at column k of maxMap.
type castMap struct {
	to     onnx.DataType
	sparse bool
	maxMap int
}

func readCastMap(n *Node) (*castMap, error) {
	m := &castMap{}
	to, form, columns := n.Str("cast_to", "TO_FLOAT"), n.Str("map_form", "DENSE"), n.Int("max_map", 1)
	switch to {
	case "TO_FLOAT":
		m.to = onnx.Float
	case "TO_STRING":
		m.to = onnx.String
	case "TO_INT64":
		m.to = onnx.Int64
	default:
		return nil, onnx.Errorf(onnx.ErrMalformed, "cast_to is %q, want TO_FLOAT, TO_STRING or TO_INT64", to)
	}
	if form != "DENSE" && form != "SPARSE" {
		return nil, onnx.Errorf(onnx.ErrMalformed, "map_form is %q, want DENSE or SPARSE", form)
	}
	m.sparse = form == "SPARSE"
	if m.sparse && (columns < 1 || columns > math.MaxInt32) {
		return nil, onnx.Errorf(onnx.ErrMalformed, "max_map is %d, want at least 1", columns)
	}
	m.maxMap = int(columns)
	return m, n.Err()
}

func inferCastMap(n *Node) error {
	m, err := readCastMap(n)
	if err != nil {
		return err
	}
	columns := onnx.UnknownDim
	if m.sparse {
		columns = onnx.Fixed(m.maxMap)
	}
	n.SetTensor(0, m.to, onnx.Shape{onnx.Fixed(1), columns})
	return nil
}

func buildCastMap(n *Node) (Kernel, error) { return readCastMap(n) }

func (m *castMap) Run(c *Ctx, in, _ []onnx.Value) error {
	x, err := mlMap(in[0])
	if err != nil {
		return err
	}
	keys, err := onnx.Data[int64](x.Keys)
	if err != nil {
		return err
	}
	columns := len(keys)
	if m.sparse {
		columns = m.maxMap
	}
	y, err := c.New(0, m.to, []int{1, columns})
	if err != nil {
		return err
	}
	clear(y.Bytes())
	if m.to == onnx.String {
		for i := range y.Strings() {
			y.Strings()[i] = ""
			if m.sparse {
				y.Strings()[i] = "0"
			}
		}
	}
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case keys[a] < keys[b]:
			return -1
		case keys[a] > keys[b]:
			return 1
		}
		return 0
	})
	for at, i := range order {
		if m.sparse {
			if keys[i] < 0 || keys[i] >= int64(columns) {
				return onnx.Errorf(onnx.ErrShape, "key %d, want 0..%d", keys[i], columns-1)
			}
			at = int(keys[i])
		}
		if err := m.cast(y, at, x.Values, i); err != nil {
			return err
		}
	}
	return nil
}

func (m *castMap) cast(y *onnx.Tensor, at int, values *onnx.Tensor, i int) error {
	if values.DataType() == m.to {
		copyElements(y, at, values, i, 1)
		return nil
	}
	switch values.DataType() {
	case onnx.Float:
		v := onnx.Elements[float32](values)[i]
		if m.to == onnx.String {
			y.Strings()[at] = strconv.FormatFloat(float64(v), 'g', -1, 32)
		} else {
			if !(v >= -(1<<63) && v < 1<<63) {
				return onnx.Errorf(onnx.ErrMalformed, "value %v is no int64", v)
			}
			onnx.Elements[int64](y)[at] = int64(v)
		}
	case onnx.String:
		text := strings.TrimSpace(values.Strings()[i])
		v, err := strconv.ParseFloat(text, 64)
		if m.to == onnx.Float {
			onnx.Elements[float32](y)[at] = float32(v)
		} else {
			onnx.Elements[int64](y)[at], err = strconv.ParseInt(text, 10, 64)
		}
		if err != nil {
			return onnx.Errorf(onnx.ErrMalformed, "value %q is no number", text)
		}
	default:
		return onnx.Errorf(onnx.ErrType, "the map's values are of %v", values.DataType())
	}
	return nil
}
