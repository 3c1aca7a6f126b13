package onnxgo

import (
	"math"
	"reflect"
	"slices"
	"unsafe"

	"gorgonia.org/tensor"

	"github.com/recur-ml/recur/onnx"
)

// codec converts the tensors of one Go element type.
type codec struct {
	dtype tensor.Dtype
	elem  onnx.DataType
	in    func(d *tensor.Dense) (*onnx.Tensor, error)
	out   func(t *onnx.Tensor) tensor.Tensor
}

func same[T onnx.Element]() codec {
	return codec{tensor.Dtype{Type: reflect.TypeFor[T]()}, onnx.TypeOf[T](), read[T], write[T]}
}

// codecs has a line for each element type of ONNX. gorgonia.org/tensor stores
// those that it does not know, as Go's types of package onnx.
var codecs = []codec{
	same[float32](), same[float64](),
	same[int8](), same[int16](), same[int32](), same[int64](),
	same[uint8](), same[uint16](), same[uint32](), same[uint64](),
	same[bool](), same[string](), same[complex64](), same[complex128](),
	same[onnx.F16](), same[onnx.BF16](),
	same[onnx.F8E4M3](), same[onnx.F8E4M3UZ](), same[onnx.F8E5M2](), same[onnx.F8E5M2UZ](), same[onnx.F8E8M0](),
	same[onnx.F4E2M1](), same[onnx.U4](), same[onnx.I4](), same[onnx.U2](), same[onnx.I2](),
	{dtype: tensor.Int, in: widen[int, int64]},
	{dtype: tensor.Uint, in: widen[uint, uint64]},
}

// toONNX gives a tensor's elements in row-major order. The result is a view
// where they already lie so, and a copy otherwise. int and uint become int64
// and uint64. An error matches onnx.ErrType or onnx.ErrShape.
func toONNX(t tensor.Tensor) (*onnx.Tensor, error) {
	var d *tensor.Dense
	switch t := t.(type) {
	case *tensor.Dense:
		d = t
	case *tensor.CS:
		d = t.Dense()
	}
	if d == nil {
		return nil, onnx.Errorf(onnx.ErrType, "a tensor of Go type %T", t)
	}
	if !d.IsNativelyAccessible() {
		return nil, onnx.Errorf(onnx.ErrType, "a tensor in memory that Go cannot read")
	}
	if slices.Contains(d.Mask(), true) {
		return nil, onnx.Errorf(onnx.ErrType, "a tensor with masked elements")
	}
	for _, c := range codecs {
		if c.dtype == d.Dtype() {
			return c.in(d)
		}
	}
	return nil, onnx.Errorf(onnx.ErrType, "a tensor of %v", d.Dtype())
}

// toGorgonia gives a tensor over the same elements.
func toGorgonia(t *onnx.Tensor) (tensor.Tensor, error) {
	for _, c := range codecs {
		if c.elem == t.DataType() && c.out != nil {
			return c.out(t), nil
		}
	}
	return nil, onnx.Errorf(onnx.ErrType, "a tensor of %v", t.DataType())
}

func write[T onnx.Element](t *onnx.Tensor) tensor.Tensor {
	data := onnx.Elements[T](t)
	if data == nil {
		data = []T{} // gorgonia.org/tensor takes nil for a wish for memory
	}
	return tensor.New(tensor.WithShape(t.Shape()...), tensor.WithBacking(data))
}

func read[T onnx.Element](d *tensor.Dense) (*onnx.Tensor, error) {
	data, err := rowMajor[T](d)
	if err != nil {
		return nil, err
	}
	return onnx.NewTensor(d.Shape(), data)
}

func widen[From int | uint, To int64 | uint64](d *tensor.Dense) (*onnx.Tensor, error) {
	data, err := rowMajor[From](d)
	if err != nil {
		return nil, err
	}
	wide := make([]To, len(data))
	for i, v := range data {
		wide[i] = To(v)
	}
	return onnx.NewTensor(d.Shape(), wide)
}

// rowMajor gives the elements in row-major order of the shape: those of a
// slice, a transposed tensor or one in column-major order are gathered.
func rowMajor[T any](d *tensor.Dense) ([]T, error) {
	var z T
	raw := unsafe.Slice((*T)(d.Pointer()), d.MemSize()/unsafe.Sizeof(z))
	shape := d.Shape()
	n, err := onnx.NumElements(shape)
	if err != nil {
		return nil, err
	}
	strides, err := fullStrides(shape, d.Strides())
	if err != nil || n == 0 {
		return nil, err
	}
	last := 0
	inOrder := true
	size := 1 // of what an axis steps over in row-major order
	for i := len(shape) - 1; i >= 0; i-- {
		last += (shape[i] - 1) * strides[i]
		inOrder = inOrder && (shape[i] == 1 || strides[i] == size)
		size *= shape[i]
	}
	if last >= len(raw) {
		return nil, onnx.Errorf(onnx.ErrShape, "shape %v with strides %v needs %d elements, the tensor has %d", shape, strides, last+1, len(raw))
	}
	if inOrder {
		return raw[:n], nil
	}
	out := make([]T, 0, n)
	index := make([]int, len(shape))
	for at := 0; ; {
		out = append(out, raw[at])
		i := len(shape) - 1
		for ; i >= 0; i-- {
			index[i]++
			at += strides[i]
			if index[i] < shape[i] {
				break
			}
			at -= index[i] * strides[i]
			index[i] = 0
		}
		if i < 0 {
			return out, nil
		}
	}
}

// fullStrides gives a stride for each axis. gorgonia.org/tensor keeps none for
// a scalar, and only one for some vectors.
func fullStrides(shape, strides []int) ([]int, error) {
	full := slices.Clone(strides)
	if len(strides) < len(shape) {
		full = make([]int, len(shape))
		long := 0 // axes with more than one element
		for i, size := range shape {
			if size != 1 {
				long++
				if len(strides) == 1 {
					full[i] = strides[0]
				}
			}
		}
		if long > len(strides) || long > 1 {
			return nil, onnx.Errorf(onnx.ErrShape, "shape %v with strides %v", shape, strides)
		}
	}
	for i := range shape {
		if full[i] < 0 {
			return nil, onnx.Errorf(onnx.ErrShape, "shape %v with strides %v", shape, strides)
		}
	}
	return full, nil
}

// asDeclared gives an input the element type of its declaration, which may be
// nil. Where they differ, t must be a single number that the declared type
// holds exactly; see the package's notes.
func asDeclared(t *onnx.Tensor, declared tensor.Tensor) (*onnx.Tensor, error) {
	if declared == nil {
		return t, nil
	}
	want := onnx.Undefined
	for _, c := range codecs {
		if c.dtype == declared.Dtype() {
			want = c.elem
		}
	}
	if want == onnx.Undefined || want == t.DataType() {
		return t, nil
	}
	from, to := numbers[t.DataType()], numbers[want]
	if t.Len() == 1 && from.get != nil && to.put != nil {
		x, exact := from.get(t)
		if c := to.put(x, t.Shape()); exact && c != nil {
			return c, nil
		}
	}
	return nil, onnx.Errorf(onnx.ErrType, "a tensor of %v, the model declares %v", t, want)
}

// number converts single numbers by way of float64.
type number struct {
	get func(t *onnx.Tensor) (x float64, exact bool)
	put func(x float64, shape []int) *onnx.Tensor // nil when x is not in the type's range or between its numbers
}

var numbers = map[onnx.DataType]number{
	onnx.Float: numberOf[float32](), onnx.Double: numberOf[float64](),
	onnx.Int8: numberOf[int8](), onnx.Int16: numberOf[int16](), onnx.Int32: numberOf[int32](), onnx.Int64: numberOf[int64](),
	onnx.Uint8: numberOf[uint8](), onnx.Uint16: numberOf[uint16](), onnx.Uint32: numberOf[uint32](), onnx.Uint64: numberOf[uint64](),
}

func numberOf[T interface {
	float32 | float64 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
	onnx.Element
}]() number {
	// back converts what is in the range of T, or of an int64 or uint64 at
	// least: beyond that Go leaves the result open.
	back := func(x float64) (v T, ok bool) {
		isFloat := onnx.TypeOf[T]().IsFloat()
		if !isFloat && !(x > -math.MaxInt64 && x < math.MaxInt64) {
			return 0, false
		}
		if !isFloat && x < 0 {
			v = T(int64(x))
		} else {
			v = T(x)
		}
		return v, float64(v) == x
	}
	return number{
		get: func(t *onnx.Tensor) (float64, bool) {
			v := onnx.Elements[T](t)[0]
			w, ok := back(float64(v))
			return float64(v), ok && w == v
		},
		put: func(x float64, shape []int) *onnx.Tensor {
			if v, ok := back(x); ok {
				return onnx.MustTensor(shape, []T{v})
			}
			return nil
		},
	}
}
