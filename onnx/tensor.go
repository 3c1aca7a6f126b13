package onnx

import (
	"fmt"
	"math"
	"math/bits"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Tensor is a dense, row-major array of elements of one type. Make one with
// NewTensor, read it with Data. A scalar has rank 0 and one element.
//
// A tensor is safe for concurrent readers. It must not be copied by value.
type Tensor struct {
	dtype DataType
	shape []int
	n     int      // number of elements
	data  []byte   // elements in the machine's byte order; nil for strings
	strs  []string // elements of a string tensor
	lazy  *lazyData
	ext   *ExternalData // set until the data has been read
	buf   Buffer
	dims  [6]int // storage of short shapes
}

// lazyData is the data of a tensor that was decoded from a file and has not
// been looked at: little-endian, at any alignment, 2- and 4-bit elements
// packed.
type lazyData struct {
	once    sync.Once
	raw     []byte
	data    []byte
	viewed  atomic.Bool // data is there
	mapping *mapping    // in which raw lies, nil when that is the garbage collector's
	join    *joint      // of which raw is made when somebody looks
}

// NewTensor makes a tensor of the given shape over data, in row-major order.
// The tensor aliases data, which must not be written to while the tensor is in
// use. The element type follows from T. An error matches ErrShape when the
// shape has a negative size or another number of elements than data.
func NewTensor[T Element](shape []int, data []T) (*Tensor, error) {
	n, err := NumElements(shape)
	if err != nil {
		return nil, err
	}
	if n != len(data) {
		return nil, Errorf(ErrShape, "shape %v has %d elements, data has %d", shape, n, len(data))
	}
	t := &Tensor{}
	t.setShape(shape, n)
	t.dtype = TypeOf[T]()
	if s, ok := any(data).([]string); ok {
		t.strs = s
		return t, nil
	}
	t.data = bytesOf(data)
	return t, nil
}

// MustTensor is NewTensor for data that is known to fit; it panics otherwise.
func MustTensor[T Element](shape []int, data []T) *Tensor {
	t, err := NewTensor(shape, data)
	if err != nil {
		panic(err)
	}
	return t
}

// Scalar makes a tensor of rank 0.
func Scalar[T Element](v T) *Tensor { return MustTensor(nil, []T{v}) }

// NewZeros makes a tensor of zeros (empty strings, false) of any element type.
// An error matches ErrShape, for a shape with a negative size or of more bytes
// than the machine addresses, or ErrType.
func NewZeros(dtype DataType, shape []int) (_ *Tensor, err error) {
	defer func() {
		if recover() != nil { // make wants fewer than an int counts
			err = Errorf(ErrShape, "shape %v of %v takes more bytes than the machine addresses", append([]int(nil), shape...), dtype)
		}
	}()
	if !dtype.Valid() {
		return nil, Errorf(ErrType, "%v is no element type", dtype)
	}
	n, err := NumElements(shape)
	if err != nil {
		return nil, err
	}
	t := &Tensor{dtype: dtype}
	t.setShape(shape, n)
	if dtype == String {
		t.strs = make([]string, n)
		return t, nil
	}
	hi, size := bits.Mul64(uint64(n), uint64(dtype.Size()))
	if hi != 0 || size > math.MaxInt {
		return nil, Errorf(ErrShape, "shape %v of %v takes more bytes than the machine addresses", shape, dtype)
	}
	t.data = AlignedBytes(int(size))
	return t, nil
}

// AlignedBytes allocates n zero bytes at an address that suits any element type.
func AlignedBytes(n int) []byte {
	if n == 0 {
		return []byte{}
	}
	words := make([]uint64, (n+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n)
}

// NumElements multiplies the sizes of a shape. An error matches ErrShape when
// a size is negative or the product overflows an int.
func NumElements(shape []int) (int, error) {
	n := 1
	for _, d := range shape {
		if d < 0 {
			return 0, Errorf(ErrShape, "shape %v has a negative size", append([]int(nil), shape...))
		}
		hi, lo := bits.Mul64(uint64(n), uint64(d))
		if hi != 0 || lo > math.MaxInt {
			for _, e := range shape { // an empty tensor may have any other sizes
				if e == 0 {
					return 0, nil
				}
			}
			return 0, Errorf(ErrShape, "shape %v has too many elements", append([]int(nil), shape...))
		}
		n = int(lo)
	}
	return n, nil
}

func (t *Tensor) setShape(shape []int, n int) {
	t.n = n
	if len(shape) <= len(t.dims) {
		t.shape = t.dims[:len(shape)]
	} else {
		t.shape = make([]int, len(shape))
	}
	copy(t.shape, shape)
}

// DataType is the element type.
func (t *Tensor) DataType() DataType { return t.dtype }

// Shape gives the sizes of the dimensions. The slice must not be modified.
func (t *Tensor) Shape() []int { return t.shape }

// Rank is the number of dimensions.
func (t *Tensor) Rank() int { return len(t.shape) }

// Len is the number of elements.
func (t *Tensor) Len() int { return t.n }

// Type gives the tensor's type with its shape.
func (t *Tensor) Type() Type { return TensorType(t.dtype, FixedShape(t.shape...)) }
func (t *Tensor) isValue()   {}

// String describes the tensor without its elements: "float[2 3]".
func (t *Tensor) String() string { return fmt.Sprintf("%v%v", t.dtype, t.shape) }

// Bytes gives the elements as they lie in memory, in the machine's byte order
// and aligned to their size; 2- and 4-bit elements take a byte each. It is nil
// for strings and for external data that was not read. The slice is read-only,
// and valid while the tensor is reachable: it may lie in a mapped file.
func (t *Tensor) Bytes() []byte {
	if t.lazy != nil {
		return t.lazy.view(t)
	}
	return t.data
}

// ElementBytes gives the bytes that Elements views: those of Bytes, or where the
// machine reads at any address, those of a file, which are then not copied for
// the sake of their alignment, until Bytes is asked for.
func (t *Tensor) ElementBytes() []byte {
	if readsAnywhere && t.lazy != nil && liesAsInMemory(t.dtype) && !t.lazy.viewed.Load() {
		return t.lazy.bytes()
	}
	return t.Bytes()
}

// readsAnywhere says that the machine reads numbers at addresses that are no
// multiple of their size.
const readsAnywhere = goruntime.GOARCH == "amd64" || goruntime.GOARCH == "arm64"

// Strings gives the elements of a string tensor, nil for another type. The
// slice is read-only.
func (t *Tensor) Strings() []string { return t.strs }

// Data gives a view of a tensor's elements. It is read-only: the same memory
// may back other tensors. An error matches ErrType when v is not a tensor of
// the element type that T stands for.
func Data[T Element](v Value) ([]T, error) {
	t, ok := v.(*Tensor)
	if !ok || t == nil {
		return nil, Errorf(ErrType, "want a tensor of %v, have %s", TypeOf[T](), describe(v))
	}
	if t.dtype != TypeOf[T]() {
		return nil, Errorf(ErrType, "want a tensor of %v, have one of %v", TypeOf[T](), t.dtype)
	}
	if t.ext != nil {
		return nil, Errorf(ErrMalformed, "external data in %q has not been read", t.ext.Location)
	}
	if t.lazy != nil {
		t.lazy.pin(t.Bytes())
	}
	return Elements[T](t), nil
}

// Elements is Data without the checks, for code that has made them: T must
// have the size of the tensor's elements. The view is valid while the tensor is
// reachable; it is of ElementBytes.
func Elements[T Element](t *Tensor) []T {
	var z T
	if _, ok := any(z).(string); ok {
		return any(t.strs).([]T)
	}
	b := t.data
	if t.lazy != nil {
		b = t.ElementBytes()
	}
	if len(b) == 0 {
		return nil
	}
	if uintptr(t.n)*unsafe.Sizeof(z) > uintptr(len(b)) {
		panic(fmt.Sprintf("onnx: view of %v as %T", t, z))
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), t.n)
}

// Clone copies the tensor and its elements.
func (t *Tensor) Clone() *Tensor {
	c := &Tensor{dtype: t.dtype}
	c.setShape(t.shape, t.n)
	if t.dtype == String {
		c.strs = append([]string(nil), t.strs...)
		return c
	}
	b := t.ElementBytes()
	c.data = AlignedBytes(len(b))
	copy(c.data, b)
	goruntime.KeepAlive(t) // b may lie in a mapped file
	return c
}

// WithShape gives a tensor of another shape over the same elements. An error
// matches ErrShape when the number of elements differs.
func (t *Tensor) WithShape(shape []int) (*Tensor, error) {
	n, err := NumElements(shape)
	if err != nil {
		return nil, err
	}
	if n != t.n {
		return nil, Errorf(ErrShape, "shape %v has %d elements, the tensor %d", shape, n, t.n)
	}
	v := &Tensor{dtype: t.dtype, data: t.data, strs: t.strs, lazy: t.lazy, ext: t.ext, buf: t.buf}
	v.setShape(shape, n)
	return v, nil
}

// Part gives a tensor of the given shape over the elements of t from one on, nil
// when they do not lie in a file as in memory. t has that many.
func (t *Tensor) Part(from int, shape []int) *Tensor {
	if t.lazy == nil || !liesAsInMemory(t.dtype) {
		return nil
	}
	n := 1
	for _, d := range shape {
		n *= d
	}
	size := t.dtype.Size()
	p := &Tensor{dtype: t.dtype, lazy: &lazyData{raw: t.lazy.bytes()[from*size : (from+n)*size : (from+n)*size], mapping: t.lazy.mapping}}
	p.setShape(shape, n)
	return p
}

func describe(v Value) string {
	switch t := v.(type) {
	case nil:
		return "nothing"
	case *Tensor:
		if t == nil {
			return "nothing"
		}
		return t.String()
	}
	return "a " + v.Type().Name()
}

func bytesOf[T any](data []T) []byte {
	if len(data) == 0 {
		return []byte{}
	}
	var z T
	return unsafe.Slice((*byte)(unsafe.Pointer(&data[0])), len(data)*int(unsafe.Sizeof(z)))
}

// view decodes the file's bytes once.
func (l *lazyData) view(t *Tensor) []byte {
	l.once.Do(func() {
		l.data = decodeRaw(t.dtype, t.n, l.bytes())
		l.viewed.Store(true)
	})
	return l.data
}

var littleEndian = func() bool {
	x := uint16(1)
	return *(*byte)(unsafe.Pointer(&x)) == 1
}()

// liesAsInMemory reports whether a file's bytes of elements are those of memory.
func liesAsInMemory(d DataType) bool {
	return d.Bits() >= 8 && (littleEndian || d.Size() == 1)
}

// decodeRaw turns a file's little-endian, packed bytes into elements in
// memory; without a copy where they already lie as they must.
func decodeRaw(d DataType, n int, raw []byte) []byte {
	size := d.Size()
	if liesAsInMemory(d) {
		align := min(size, 8)
		if len(raw) == 0 || uintptr(unsafe.Pointer(&raw[0]))%uintptr(align) == 0 {
			return raw
		}
		out := AlignedBytes(len(raw))
		copy(out, raw)
		return out
	}
	out := AlignedBytes(n * size)
	if d.Bits() < 8 {
		unpackBits(d, out, raw)
		return out
	}
	copy(out, raw)
	swapBytes(d, out)
	return out
}

// swapBytes reverses the bytes of each element (of each half of a complex one).
func swapBytes(d DataType, b []byte) {
	w := d.Size()
	if d == Complex64 || d == Complex128 {
		w /= 2
	}
	for ; len(b) >= w && w > 1; b = b[w:] {
		for i, j := 0, w-1; i < j; i, j = i+1, j-1 {
			b[i], b[j] = b[j], b[i]
		}
	}
}

// unpackBits spreads 2- and 4-bit elements, low bits first, over a byte each.
func unpackBits(d DataType, out, packed []byte) {
	w := d.Bits()
	signed := d == Int4 || d == Int2
	for i := range out {
		bit := i * w
		v := packed[bit/8] >> (bit % 8) & (1<<w - 1)
		if signed && v>>(w-1) != 0 {
			v |= 0xff << w
		}
		out[i] = v
	}
}

// packBits is the inverse of unpackBits.
func packBits(d DataType, elems []byte) []byte {
	w := d.Bits()
	out := make([]byte, (len(elems)*w+7)/8)
	for i, v := range elems {
		bit := i * w
		out[bit/8] |= v & (1<<w - 1) << (bit % 8)
	}
	return out
}

// FileBytes gives the elements as a file's raw_data holds them: little-endian,
// 2- and 4-bit elements packed. It is nil for strings.
func (t *Tensor) FileBytes() []byte {
	if t.dtype == String {
		return nil
	}
	if t.lazy != nil {
		return t.lazy.bytes()
	}
	if t.dtype.Bits() < 8 {
		return packBits(t.dtype, t.data)
	}
	if littleEndian || t.dtype.Size() == 1 {
		return t.data
	}
	out := append([]byte(nil), t.data...)
	swapBytes(t.dtype, out)
	return out
}
