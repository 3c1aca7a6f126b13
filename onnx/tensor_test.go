package onnx

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"testing"
	"unsafe"
)

func TestNumElements(t *testing.T) {
	const most = math.MaxInt
	for _, c := range []struct {
		shape []int
		want  int
		ok    bool
	}{
		{nil, 1, true},
		{[]int{}, 1, true},
		{[]int{0}, 0, true},
		{[]int{2, 3, 4}, 24, true},
		{[]int{most}, most, true},
		{[]int{most, 1, 1}, most, true},
		{[]int{most/2 + 1, 2}, 0, false},
		{[]int{most, most, most}, 0, false},
		{[]int{1 << 16, 1 << 16, 1 << 16, 1 << 16}, 0, false}, // 2^64
		{[]int{most, most, 0}, 0, true},
		{[]int{0, most, most}, 0, true},
		{[]int{-1}, 0, false},
		{[]int{0, -1}, 0, false},
		{[]int{math.MinInt, 2}, 0, false},
	} {
		got, err := NumElements(c.shape)
		if got != c.want || (err == nil) != c.ok || err != nil && !errors.Is(err, ErrShape) {
			t.Errorf("NumElements(%v) = %d, %v; want %d, no error: %v", c.shape, got, err, c.want, c.ok)
		}
	}
}

func TestNewTensor(t *testing.T) {
	data := []float32{1, 2, 3, 4, 5, 6}
	x, err := NewTensor([]int{2, 3}, data)
	if err != nil {
		t.Fatal(err)
	}
	data[4] = 9 // the tensor aliases it
	got, err := Data[float32](x)
	if err != nil || !reflect.DeepEqual(got, data) || &got[0] != &data[0] {
		t.Errorf("elements %v, %v; want %v, the same memory", got, err, data)
	}
	if x.Rank() != 2 || x.Len() != 6 || x.String() != "float[2 3]" || x.Type().String() != "tensor(float) [2 3]" || x.External() != nil || x.Buffer() != nil {
		t.Errorf("tensor %v of type %v", x, x.Type())
	}
	shape := []int{1, 1, 1, 1, 1, 1, 1, 6} // longer than what the header has room for
	long, err := NewTensor(shape, data)
	shape[7] = 5
	if err != nil || long.Shape()[7] != 6 {
		t.Errorf("shape %v, %v; want one of its own", long.Shape(), err)
	}
	for _, shape := range [][]int{{2, 2}, {7}, nil, {-1, 6}, {math.MaxInt, 2}} {
		if _, err := NewTensor(shape, data); !errors.Is(err, ErrShape) {
			t.Errorf("shape %v: %v, want an error that matches ErrShape", shape, err)
		}
	}
	empty := MustTensor([]int{0, 4}, []int64{})
	if v, err := Data[int64](empty); len(v) != 0 || err != nil || empty.Bytes() == nil {
		t.Errorf("an empty tensor has %v, %v, bytes %v", v, err, empty.Bytes())
	}
	defer func() {
		if recover() == nil {
			t.Error("MustTensor takes a shape that does not fit")
		}
	}()
	MustTensor([]int{2}, []bool{true})
}

func TestDataErrors(t *testing.T) {
	for _, v := range []Value{nil, (*Tensor)(nil), Scalar(1.0), NewSequence(), &Optional{}} {
		if _, err := Data[float32](v); !errors.Is(err, ErrType) {
			t.Errorf("%v: %v, want an error that matches ErrType", v, err)
		}
	}
	if _, err := Data[int8](MustTensor([]int{1}, []I4{1})); !errors.Is(err, ErrType) {
		t.Errorf("int4 as int8: %v", err)
	}
	if _, err := Data[float32](outside(Float, []int{2}, ExternalData{Location: "w.bin"})); !errors.Is(err, ErrMalformed) {
		t.Errorf("external data: %v", err)
	}
}

// element checks what the package knows of a type against Go's.
func element[T Element](t *testing.T, want DataType) {
	t.Helper()
	d := TypeOf[T]()
	var z T
	size := int(unsafe.Sizeof(z))
	if d == String {
		size = 0
	}
	if d != want || d.Size() != size {
		t.Errorf("%T stands for %v of %d bytes, want %v of %d", z, d, d.Size(), want, size)
	}
	zeros, err := NewZeros(d, []int{2, 2})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := Data[T](zeros); err != nil || !reflect.DeepEqual(v, make([]T, 4)) {
		t.Errorf("zeros of %v: %v, %v", d, v, err)
	}
	if s := Scalar(z); s.Rank() != 0 || s.Len() != 1 || s.DataType() != d {
		t.Errorf("scalar of %v: %v", d, s)
	}
	if parsed, err := ParseDataType(d.String()); parsed != d || err != nil {
		t.Errorf("%q is %v, %v", d.String(), parsed, err)
	}
}

func TestElementTypes(t *testing.T) {
	element[float32](t, Float)
	element[float64](t, Double)
	element[int8](t, Int8)
	element[int16](t, Int16)
	element[int32](t, Int32)
	element[int64](t, Int64)
	element[uint8](t, Uint8)
	element[uint16](t, Uint16)
	element[uint32](t, Uint32)
	element[uint64](t, Uint64)
	element[bool](t, Bool)
	element[string](t, String)
	element[complex64](t, Complex64)
	element[complex128](t, Complex128)
	element[F16](t, Float16)
	element[BF16](t, BFloat16)
	element[F8E4M3](t, Float8E4M3FN)
	element[F8E4M3UZ](t, Float8E4M3FNUZ)
	element[F8E5M2](t, Float8E5M2)
	element[F8E5M2UZ](t, Float8E5M2FNUZ)
	element[F8E8M0](t, Float8E8M0)
	element[F4E2M1](t, Float4E2M1)
	element[U4](t, Uint4)
	element[I4](t, Int4)
	element[U2](t, Uint2)
	element[I2](t, Int2)
	for _, d := range []DataType{Undefined, -1, 27, 1 << 30} {
		if _, err := NewZeros(d, nil); !errors.Is(err, ErrType) || d.Valid() {
			t.Errorf("%v: %v, valid %v; want an error that matches ErrType", d, err, d.Valid())
		}
	}
	for _, d := range []DataType{Uint8, Int64, String} { // what an int holds, and no memory does
		if _, err := NewZeros(d, []int{math.MaxInt / 16}); strconv.IntSize == 64 && !errors.Is(err, ErrShape) {
			t.Errorf("zeros of %v beyond any memory: %v", d, err)
		}
	}
	if _, err := NewZeros(Complex128, []int{math.MaxInt / 8}); !errors.Is(err, ErrShape) {
		t.Errorf("more bytes than there are: %v, want an error that matches ErrShape", err)
	}
	for name, want := range map[string]DataType{"float32": Float, "FLOAT64": Double, "Int4": Int4} {
		if got, err := ParseDataType(name); got != want || err != nil {
			t.Errorf("%q is %v, %v; want %v", name, got, err, want)
		}
	}
	for _, name := range []string{"", "undefined", "half"} {
		if _, err := ParseDataType(name); !errors.Is(err, ErrType) {
			t.Errorf("%q: %v, want an error that matches ErrType", name, err)
		}
	}
}

func TestWithShape(t *testing.T) {
	x := MustTensor([]int{2, 3}, []int32{1, 2, 3, 4, 5, 6})
	y, err := x.WithShape([]int{3, 1, 2})
	if err != nil || y.String() != "int32[3 1 2]" || &y.Bytes()[0] != &x.Bytes()[0] || x.String() != "int32[2 3]" {
		t.Errorf("%v of %v: %v; want the same elements", y, x, err)
	}
	for _, shape := range [][]int{{5}, {-2, -3}, {math.MaxInt, 4}} {
		if _, err := x.WithShape(shape); !errors.Is(err, ErrShape) {
			t.Errorf("shape %v: %v, want an error that matches ErrShape", shape, err)
		}
	}
	s, err := Scalar("a").WithShape([]int{1})
	if err != nil || s.Strings()[0] != "a" {
		t.Errorf("strings: %v, %v", s, err)
	}
	file := &Tensor{dtype: Int4, lazy: &lazyData{raw: []byte{0x21, 0x43}}} // before anybody looked at it
	file.setShape([]int{4}, 4)
	v, err := file.WithShape([]int{2, 2})
	if err != nil || !reflect.DeepEqual(Elements[I4](v), []I4{1, 2, 3, 4}) || &v.Bytes()[0] != &file.Bytes()[0] {
		t.Errorf("a tensor of a file: %v, %v", v, err)
	}
}

func TestClone(t *testing.T) {
	x := MustTensor([]int{2}, []float64{1, 2})
	c := x.Clone()
	Elements[float64](c)[0] = 7
	if got := Elements[float64](x); got[0] != 1 || Elements[float64](c)[1] != 2 {
		t.Errorf("%v after a change of the clone %v", got, Elements[float64](c))
	}
	s := MustTensor([]int{2}, []string{"a", "b"})
	d := s.Clone()
	d.Strings()[0] = "z"
	if s.Strings()[0] != "a" || d.Strings()[1] != "b" {
		t.Errorf("%q after a change of the clone %q", s.Strings(), d.Strings())
	}
}

// TestPacked packs 2- and 4-bit elements of every value, at lengths that do not
// fill a byte too.
func TestPacked(t *testing.T) {
	for d, values := range map[DataType][]byte{
		Uint4:      {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
		Float4E2M1: {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
		Int4:       {0, 1, 2, 3, 4, 5, 6, 7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff},
		Uint2:      {0, 1, 2, 3, 3, 2, 1, 0, 2, 2},
		Int2:       {0, 1, 0xfe, 0xff, 0xff, 0xfe, 1, 0, 0xfe, 1},
	} {
		for n := range len(values) + 1 {
			x := &Tensor{dtype: d, data: values[:n]}
			x.setShape([]int{n}, n)
			file := x.FileBytes()
			if len(file) != int(rawLen(d, n)) {
				t.Errorf("%d of %v take %d bytes, want %d", n, d, len(file), rawLen(d, n))
			}
			y := &Tensor{dtype: d, lazy: &lazyData{raw: file}}
			y.setShape([]int{n}, n)
			if !bytes.Equal(y.Bytes(), values[:n]) {
				t.Errorf("%d of %v: %v, want %v", n, d, y.Bytes(), values[:n])
			}
		}
	}
	first := MustTensor([]int{3}, []U4{1, 2, 3}) // low bits first
	if got := first.FileBytes(); !bytes.Equal(got, []byte{0x21, 0x03}) {
		t.Errorf("1, 2, 3 packed: %#x, want 0x2103", got)
	}
}

// TestFileBytes has numbers that tell the order of bytes, at every alignment.
func TestFileBytes(t *testing.T) {
	x := MustTensor([]int{2}, []complex64{complex(1, 2), complex(3, 4)})
	want := []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 0, 0, 0x40, 0x40, 0, 0, 0x80, 0x40}
	if got := x.FileBytes(); !bytes.Equal(got, want) {
		t.Errorf("%#x, want %#x", got, want)
	}
	for offset := range 16 {
		file := append(AlignedBytes(offset), want...)[offset:]
		y := &Tensor{dtype: Complex64, lazy: &lazyData{raw: file}}
		y.setShape([]int{2}, 2)
		got := Elements[complex64](y)
		if got[0] != 1+2i || got[1] != 3+4i {
			t.Errorf("at offset %d: %v, want [1+2i 3+4i]", offset, got)
		}
		if at := unsafe.Pointer(&got[0]); readsAnywhere && at != unsafe.Pointer(&file[0]) {
			t.Errorf("at offset %d the elements were copied", offset)
		} else if at != unsafe.Pointer(&y.ElementBytes()[0]) {
			t.Errorf("at offset %d the elements and their bytes are not in one place", offset)
		}
		var err error
		if got, err = Data[complex64](y); err != nil || uintptr(unsafe.Pointer(&got[0]))%8 != 0 || got[1] != 3+4i {
			t.Errorf("at offset %d: data %v, %v, want them aligned", offset, got, err)
		}
		if uintptr(unsafe.Pointer(&y.Bytes()[0]))%8 != 0 {
			t.Errorf("at offset %d the view is not aligned", offset)
		}
		if &Elements[complex64](y)[0] != &got[0] {
			t.Errorf("at offset %d the elements stay where they are not aligned", offset)
		}
	}
	if Scalar("x").FileBytes() != nil {
		t.Error("a string tensor has bytes")
	}
	swapped := []byte{1, 2, 3, 4, 5, 6, 7, 8}
	swapBytes(Complex64, swapped)
	if want := []byte{4, 3, 2, 1, 8, 7, 6, 5}; !bytes.Equal(swapped, want) {
		t.Errorf("swapped %v, want %v", swapped, want)
	}
}

// TestPart takes a run of elements of a file, and of what no part is taken of.
func TestPart(t *testing.T) {
	decoded := func(t *Tensor) *Tensor {
		data, err := EncodeTensor(t, "x")
		if err != nil {
			panic(err)
		}
		return must(DecodeTensor(data))
	}
	x := decoded(MustTensor([]int{3, 2}, []int16{1, 2, 3, 4, 5, 6}))
	p := x.Part(2, []int{1, 2})
	if got := Elements[int16](p); !slices.Equal(got, []int16{3, 4}) || p.String() != "int16[1 2]" {
		t.Errorf("%v of %v, want [3 4]", got, p)
	}
	if &p.FileBytes()[0] != &x.FileBytes()[4] || cap(p.FileBytes()) != 4 {
		t.Error("the part lies elsewhere")
	}
	if p := x.Part(6, []int{0, 2}); p.Len() != 0 || len(p.Bytes()) != 0 {
		t.Errorf("an empty part is %v", p)
	}
	for _, y := range []*Tensor{decoded(MustTensor([]int{4}, []U4{1, 2, 3, 4})), MustTensor([]int{2}, []int16{1, 2}), Scalar("a")} {
		if p := y.Part(0, []int{1}); p != nil {
			t.Errorf("%v gives a part, %v", y, p)
		}
	}
}

// TestLazyConcurrent has many readers of a tensor that nobody has looked at.
func TestLazyConcurrent(t *testing.T) {
	x := &Tensor{dtype: Int2, lazy: &lazyData{raw: bytes.Repeat([]byte{0b11_10_01_00}, 1000)}}
	x.setShape([]int{4000}, 4000)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if v, err := Data[I2](x); err != nil || v[3999] != -1 || v[3998] != -2 {
				t.Errorf("%v, %v", v[3996:], err)
			}
		})
	}
	wait.Wait()
}

func TestReset(t *testing.T) {
	var x Tensor
	x.Reset(Float, []int{2, 1}, AlignedBytes(8), nil, nil)
	if x.String() != "float[2 1]" || x.Len() != 2 || len(Elements[float32](&x)) != 2 {
		t.Errorf("reset to %v", &x)
	}
	var y Tensor
	y.ResetView(&x, []int{2})
	if y.String() != "float[2]" || &y.Bytes()[0] != &x.Bytes()[0] {
		t.Errorf("view %v", &y)
	}
	y.ResetView(&y, []int{1, 2})
	if y.String() != "float[1 2]" || &y.Bytes()[0] != &x.Bytes()[0] {
		t.Errorf("view of itself %v", &y)
	}
	x.Reset(String, nil, nil, []string{"a"}, nil)
	if x.String() != "string[]" || x.Strings()[0] != "a" || x.Bytes() != nil {
		t.Errorf("reset to %v", &x)
	}
	if n := testing.AllocsPerRun(10, func() { x.Reset(Float, []int{1, 1, 1, 1, 1, 2}, nil, nil, nil) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
