package onnx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

func must(t *Tensor, err error) *Tensor {
	if err != nil {
		panic(err)
	}
	return t
}

// npyArrays are the arrays that testdata/npy/make.py writes in several ways.
func npyArrays() map[string]*Tensor {
	grid := []int{2, 3}
	inf32 := float32(math.Inf(1))
	negative := math.Copysign(0, -1)
	return map[string]*Tensor{
		"b1":  MustTensor(grid, []bool{true, false, true, false, false, true}),
		"i1":  MustTensor(grid, []int8{-128, 1, 2, 3, 4, 127}),
		"i2":  MustTensor(grid, []int16{math.MinInt16, 1, 2, 3, 4, math.MaxInt16}),
		"i4":  MustTensor(grid, []int32{math.MinInt32, 1, 2, 3, 4, math.MaxInt32}),
		"i8":  MustTensor(grid, []int64{math.MinInt64, 1, 2, 3, 4, math.MaxInt64}),
		"u1":  MustTensor(grid, []uint8{0, 1, 2, 3, 4, 255}),
		"u2":  MustTensor(grid, []uint16{0, 1, 2, 3, 4, math.MaxUint16}),
		"u4":  MustTensor(grid, []uint32{0, 1, 2, 3, 4, math.MaxUint32}),
		"u8":  MustTensor(grid, []uint64{0, 1, 2, 3, 4, math.MaxUint64}),
		"f2":  MustTensor(grid, []F16{0x8000, 0x3c00, 0x0400, 0x7c00, 0x2e66, 0x7bff}),
		"f4":  MustTensor(grid, []float32{float32(negative), 1, 0x1p-126, inf32, 0.1, math.MaxFloat32}),
		"f8":  MustTensor(grid, []float64{negative, 1, 0x1p-1022, math.Inf(1), 0.1, math.MaxFloat64}),
		"c8":  MustTensor(grid, []complex64{1 - 2i, 0, 3i, 4, 5 + 1i, -6}),
		"c16": MustTensor(grid, []complex128{1 - 2i, 0, 3i, 4, 5 + 1i, -6}),
		"U":   MustTensor(grid, []string{"a", "", "b\x00c", "é😀", "xxxxx", " "}),
		"S":   MustTensor(grid, []string{"a", "", "b\x00c", "\xff\xfe", "xxxxx", " "}),
	}
}

func npyFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "npy", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestReadNPY(t *testing.T) {
	want := map[string]*Tensor{}
	for name, x := range npyArrays() {
		want[name], want[name+"-fortran"] = x, x
		if strings.TrimLeft(name, "bS") == name && name[1:] != "1" {
			want[name+"-big"] = x
		}
	}
	cube, bits := make([]int16, 24), make([]uint8, 64)
	for i := range cube {
		cube[i] = int16(i)
	}
	for i := range bits { // transposed: the index read backwards
		for b := range 6 {
			bits[i] |= uint8(i>>b&1) << (5 - b)
		}
	}
	want["v2"] = MustTensor([]int{2, 3, 4}, cube)
	want["v3"] = want["v2"]
	want["scalar"] = Scalar(float32(2.5))
	want["vector"] = MustTensor([]int{3}, []float64{0, 1, 2})
	want["empty"] = MustTensor([]int{0, 3}, []int64{})
	want["rank6"] = MustTensor([]int{2, 2, 2, 2, 2, 2}, bits)
	for name, x := range want {
		data := npyFile(t, name+".npy")
		r := bytes.NewReader(append(data, "and more"...))
		got, err := ReadNPY(iotest.OneByteReader(r))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := unlikeTensors(name, got, x); d != "" {
			t.Errorf("%s: %v", d, got)
		}
		if rest, _ := io.ReadAll(r); string(rest) != "and more" {
			t.Errorf("%s: %q is left, want what follows the array", name, rest)
		}
		for end := range len(data) {
			if _, err := ReadNPY(bytes.NewReader(data[:end])); !errors.Is(err, ErrMalformed) {
				t.Fatalf("%s: the first %d bytes: %v, want an error that matches ErrMalformed", name, end, err)
			}
		}
	}
}

// npyBytes makes an array of a header, which is padded, and elements.
func npyBytes(header, elements string) []byte {
	b := append([]byte(npyMagic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(header)+1))
	return []byte(string(b) + header + "\n" + elements)
}

func TestReadNPYHeader(t *testing.T) {
	for _, header := range []string{
		`{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }`,
		`{"shape":(2,),"fortran_order":True,"descr":"<f4"}`,
		`{ 'shape' : ( 2L , ) , 'descr' : '<f4' , 'fortran_order' : False }   `,
	} {
		got, err := ReadNPY(bytes.NewReader(npyBytes(header, "\x00\x00\x80\x3f\x00\x00\x00\x40")))
		if err != nil {
			t.Errorf("%s: %v", header, err)
		} else if d := unlikeTensors(header, got, MustTensor([]int{2}, []float32{1, 2})); d != "" {
			t.Error(d)
		}
	}
	rank := func(n int) string { return strings.Repeat("1,", n) }
	for _, c := range []struct {
		header string
		kind   error
		text   string
	}{
		{``, ErrMalformed, `want "{"`},
		{`{}`, ErrMalformed, "keys [] only"},
		{`{,}`, ErrMalformed, "want a string"},
		{`{'descr': '<f4', 'fortran_order': False}`, ErrMalformed, "only"},
		{`{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}`, ErrMalformed, `the key "x"`},
		{`{'descr': '<f4', 'descr': '<f4', 'shape': (2,)}`, ErrMalformed, `"descr" twice`},
		{`{'descr': '<f4', 'fortran_order': False, 'shape': (2)}`, ErrMalformed, "want a tuple"},
		{`{'descr': '<f4', 'fortran_order': False, 'shape': 2}`, ErrMalformed, `want "("`},
		{`{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}`, ErrMalformed, "want a size"},
		{`{'descr': '<f4', 'fortran_order': False, 'shape': (02,)}`, ErrMalformed, "want a size"},
		{`{'descr': '<f4', 'fortran_order': False, 'shape': (2.0,)}`, ErrMalformed, `want ")"`},
		{`{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}`, ErrMalformed, "want a size"},
		{`{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}`, ErrMalformed, `want "False"`},
		{`{'descr': '<f4, 'fortran_order': False, 'shape': (2,)}`, ErrType, "type"},
		{`{'descr': '\x3cf4', 'fortran_order': False, 'shape': (2,)}`, ErrMalformed, "escapes"},
		{`{'descr': '<>f4', 'fortran_order': False, 'shape': (2,)}`, ErrMalformed, `type "<>f4"`},
		{`{'descr': '<', 'fortran_order': False, 'shape': (2,)}`, ErrMalformed, `type "<"`},
		{`{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} f()`, ErrMalformed, "after the dictionary"},
		{`{'descr': '<f4', 'fortran_order': False, 'shape': (2,)`, ErrMalformed, `want "}"`},
		{`{'descr': '<f3', 'fortran_order': False, 'shape': (2,)}`, ErrType, `type "<f3"`},
		{`{'descr': '<S99999999999', 'fortran_order': False, 'shape': (2,)}`, ErrType, "type"},
		{`{'descr': '<S0', 'fortran_order': False, 'shape': (9000000000000000,)}`, ErrLimit, "bytes of the array"},
		{`{'descr': '<S0', 'fortran_order': False, 'shape': (3,)}`, ErrType, "no bytes"},
		{`{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4)}`, ErrShape, "too many"},
		{`{'descr': '<f8', 'fortran_order': False, 'shape': (2305843009213693952,)}`, ErrLimit, "bytes of the array"},
		{`{'descr': '|u1', 'fortran_order': False, 'shape': (1073741824,)}`, ErrMalformed, "truncated: 4 bytes"},
		{`{'descr': '|u1', 'fortran_order': False, 'shape': (` + rank(33) + `)}`, ErrLimit, "rank"},
		{`{'descr': '<U1', 'fortran_order': False, 'shape': (1,)}`, ErrMalformed, "element 0: 0x78787878 is no character"},
	} {
		if strconv.IntSize == 32 && c.kind != ErrMalformed {
			continue // a size of more than 32 bits is refused as such
		}
		_, err := ReadNPY(bytes.NewReader(npyBytes(c.header, "xxxx")))
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %v and %q", c.header, err, c.kind, c.text)
		}
	}
	got, err := ReadNPY(bytes.NewReader(npyBytes(`{'descr': '|b1', 'fortran_order': False, 'shape': (`+rank(32)+`)}`, "\x02")))
	if err != nil || got.Rank() != 32 || got.Bytes()[0] != 1 {
		t.Errorf("rank 32: %v, %v", got, err)
	}
}

func TestReadNPYRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"date": `type "<M8[D]"`, "void": `type "|V2"`, "record": "several fields", "long": "type", "object": "pickled objects",
	} {
		_, err := ReadNPY(bytes.NewReader(npyFile(t, name+".npy")))
		if !errors.Is(err, ErrType) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want ErrType and %q", name, err, text)
		}
	}
	for _, c := range []struct {
		data string
		kind error
	}{
		{"", ErrMalformed},
		{"PK\x03\x04aaaaaaa", ErrMalformed},
		{npyMagic + "\x04\x00\x10\x00\x00\x00", ErrUnsupported},
		{npyMagic + "\x01\x01\x10\x00\x00\x00", ErrUnsupported},
		{npyMagic + "\x02\x00\x01\x00\x01\x00", ErrLimit},
		{npyMagic + "\x03\x00\xff\xff\xff\xff", ErrLimit},
		{npyMagic + "\x01\x00\xff\xff{", ErrMalformed},
	} {
		if _, err := ReadNPY(strings.NewReader(c.data)); !errors.Is(err, c.kind) {
			t.Errorf("%q: %v, want %v", c.data, err, c.kind)
		}
	}
	broken := errors.New("disk on fire")
	if _, err := ReadNPY(iotest.ErrReader(broken)); !errors.Is(err, broken) || errors.Is(err, ErrMalformed) {
		t.Errorf("a reader that fails: %v", err)
	}
}

// TestWriteNPY wants what NumPy writes, byte for byte.
func TestWriteNPY(t *testing.T) {
	want := npyArrays()
	delete(want, "S") // bytes are written as unicode
	cube := must(ReadNPY(bytes.NewReader(npyFile(t, "v2.npy"))))
	for name, x := range map[string]*Tensor{"scalar": Scalar(float32(2.5)), "vector": MustTensor([]int{3}, []float64{0, 1, 2}), "empty": MustTensor([]int{0, 3}, []int64{})} {
		want[name] = x
	}
	for name, x := range want {
		var b bytes.Buffer
		if err := WriteNPY(&b, x); err != nil || !bytes.Equal(b.Bytes(), npyFile(t, name+".npy")) {
			t.Errorf("%s: %q, want what NumPy writes; %v", name, b.Bytes(), err)
		}
	}
	var b bytes.Buffer
	for range 2 {
		if err := WriteNPY(&b, cube); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // one after the other
		if got, err := ReadNPY(&b); err != nil || unlikeTensors("", got, cube) != "" {
			t.Errorf("read back %v, %v", got, err)
		}
	}
	nothing := MustTensor([]int{2}, []string{"", ""})
	if err := WriteNPY(&b, nothing); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadNPY(&b); err != nil || unlikeTensors("", got, nothing) != "" {
		t.Errorf("read back %v, %v", got, err)
	}
}

func TestWriteNPYRefuses(t *testing.T) {
	for d := Float; d.Valid(); d++ {
		known := d == String
		for _, e := range npyTypes {
			known = known || e == d
		}
		err := WriteNPY(io.Discard, must(NewZeros(d, []int{3})))
		if known && err != nil || !known && !errors.Is(err, ErrType) {
			t.Errorf("%v: %v", d, err)
		}
	}
	deep := make([]int, npyMaxRank+1)
	for i := range deep {
		deep[i] = 1
	}
	for _, c := range []struct {
		t    *Tensor
		kind error
	}{
		{nil, ErrType},
		{outside(Float, []int{1}, ExternalData{Location: "w"}), ErrMalformed},
		{Scalar("\xff"), ErrType},
		{Scalar("a\x00"), ErrType},
		{MustTensor(deep, []uint8{1}), ErrShape},
	} {
		var b bytes.Buffer
		if err := WriteNPY(&b, c.t); !errors.Is(err, c.kind) || b.Len() > 0 {
			t.Errorf("%v: %v and %d bytes, want %v and none", c.t, err, b.Len(), c.kind)
		}
	}
}

// TestReadNPYLarge reads more than the first block, from a reader that gives
// all of it, and less.
func TestReadNPYLarge(t *testing.T) {
	x := must(NewZeros(Uint8, []int{3<<20 + 5}))
	for i := range x.Bytes() {
		x.Bytes()[i] = byte(i * 7)
	}
	var b bytes.Buffer
	if err := WriteNPY(&b, x); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadNPY(bytes.NewReader(b.Bytes())); err != nil || unlikeTensors("", got, x) != "" {
		t.Errorf("read back %v, %v", got, err)
	}
	if _, err := ReadNPY(bytes.NewReader(b.Bytes()[:b.Len()-1])); !errors.Is(err, ErrMalformed) {
		t.Errorf("one byte less: %v", err)
	}
	claim := npyBytes(fmt.Sprintf("{'descr': '|u1', 'fortran_order': True, 'shape': (%d, 2)}", 1<<29), "few")
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	_, err := ReadNPY(bytes.NewReader(claim))
	goruntime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 2<<20 || !errors.Is(err, ErrMalformed) {
		t.Errorf("a claim of 1 GiB took %d bytes, want 1 MiB; %v", n, err)
	}
}

// FuzzNPY wants an error or an array from any bytes, never a panic, and the
// same array after it was written.
func FuzzNPY(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "npy", "*.np[yz]"))
	if err != nil || len(files) < 50 {
		f.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		f.Add(npyFile(f, filepath.Base(path)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		limits := DefaultLimits()
		limits.InitializerBytes = 1 << 22
		if arrays, err := readNPZ(bytes.NewReader(data), int64(len(data)), limits); err == nil {
			var b bytes.Buffer
			if err := WriteNPZ(&b, arrays); err != nil && !errors.Is(err, ErrType) {
				t.Errorf("read, not written: %v", err)
			}
		}
		x, err := ReadNPY(bytes.NewReader(data))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := WriteNPY(&b, x); err != nil {
			if !errors.Is(err, ErrType) {
				t.Errorf("read, not written: %v", err)
			}
			return
		}
		if y, err := ReadNPY(&b); err != nil || unlikeTensors("", x, y) != "" {
			t.Errorf("read %v, written and read again %v, %v", x, y, err)
		}
	})
}
