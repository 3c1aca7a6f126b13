package onnx

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func readNPZBytes(data []byte) (map[string]*Tensor, error) {
	return ReadNPZ(bytes.NewReader(data), int64(len(data)))
}

func TestReadNPZ(t *testing.T) {
	w := MustTensor([]int{5}, []float32{-1, -0.5, 0, 0.5, 1})
	cube := must(ReadNPY(bytes.NewReader(npyFile(t, "v2.npy"))))
	for name, want := range map[string]map[string]*Tensor{
		"stored.npz":   {"w": w, "in:x/y": cube},
		"deflated.npz": {"w": w, "zeros": must(NewZeros(Double, []int{10000}))},
	} {
		got, err := readNPZBytes(npyFile(t, name))
		if err != nil || len(got) != len(want) {
			t.Errorf("%s: %d arrays, want %d; %v", name, len(got), len(want), err)
			continue
		}
		for key, x := range want {
			if d := unlikeTensors(name+" "+key, got[key], x); d != "" {
				t.Error(d)
			}
		}
	}
	if _, err := readNPZBytes(npyFile(t, "bomb.npz")); !errors.Is(err, ErrLimit) {
		t.Errorf("an array that was compressed 700 times: %v, want an error that matches ErrLimit", err)
	}
}

func TestWriteNPZ(t *testing.T) {
	tensors := map[string]*Tensor{"../up": Scalar(int8(1)), "b": Scalar("text"), "a.npy": MustTensor([]int{0}, []F16{}), "": Scalar(2i)}
	write := func() []byte {
		var b bytes.Buffer
		if err := WriteNPZ(&b, tensors); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	data := write()
	for range 5 {
		if !bytes.Equal(write(), data) {
			t.Fatal("the bytes differ from one time to the next")
		}
	}
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range r.File {
		names = append(names, f.Name)
	}
	if want := []string{".npy", "../up.npy", "a.npy.npy", "b.npy"}; fmt.Sprint(names) != fmt.Sprint(want) {
		t.Errorf("entries %q, want %q", names, want)
	}
	got, err := readNPZBytes(data)
	if err != nil || len(got) != len(tensors) {
		t.Fatalf("read back %v, %v", got, err)
	}
	for name, x := range tensors {
		if d := unlikeTensors(name, got[name], x); d != "" {
			t.Error(d)
		}
	}
	if err := WriteNPZ(io.Discard, map[string]*Tensor{"w": Scalar(BF16(0))}); !errors.Is(err, ErrType) || !strings.Contains(err.Error(), `"w"`) {
		t.Errorf("bfloat16: %v", err)
	}
}

// zipOf makes an archive; pairs of name and content.
func zipOf(t *testing.T, method uint16, pairs ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		f, err := w.CreateHeader(&zip.FileHeader{Name: pairs[i], Method: method})
		if err == nil {
			_, err = io.WriteString(f, pairs[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadNPZRejects(t *testing.T) {
	one := string(npyBytes(`{'descr': '|u1', 'fortran_order': False, 'shape': (1,)}`, "x"))
	got, err := readNPZBytes(zipOf(t, zip.Deflate, "notes.txt", "not an array", "folder/", "", "x.npy", one, "x", "other", "x.NPY", "other"))
	if err != nil || len(got) != 1 || got["x"] == nil {
		t.Errorf("an archive with other entries: %v, %v; want x alone", got, err)
	}
	corrupt := zipOf(t, zip.Store, "x.npy", one)
	i := bytes.Index(corrupt, []byte("\nx")) + 1
	corrupt[i] = 'y'
	encrypted := zipOf(t, zip.Store, "x.npy", one)
	encrypted[bytes.Index(encrypted, []byte("PK\x01\x02"))+8] |= 1
	unknown := zipOf(t, zip.Store, "x.npy", one)
	unknown[bytes.Index(unknown, []byte("PK\x01\x02"))+10] = 99
	claims := zipOf(t, zip.Store, "x.npy", one)
	copy(claims[bytes.Index(claims, []byte("PK\x01\x02"))+20:], "\xff\xff\xff\x0f")
	many := make([]string, 0, 2*npzMaxEntries+2)
	for i := range npzMaxEntries + 1 {
		many = append(many, fmt.Sprint(i), "")
	}
	for _, c := range []struct {
		name string
		data []byte
		kind error
		text string
	}{
		{"empty", nil, ErrMalformed, "not a valid zip"},
		{"text", []byte("text"), ErrMalformed, "not a valid zip"},
		{"twice", zipOf(t, zip.Store, "x.npy", one, "x.npy", one), ErrMalformed, `two entries "x.npy"`},
		{"no array", zipOf(t, zip.Store, "x.npy", "text"), ErrMalformed, `entry "x.npy"`},
		{"corrupt", corrupt, ErrMalformed, "checksum"},
		{"encrypted", encrypted, ErrUnsupported, "encrypted"},
		{"method", unknown, ErrUnsupported, "algorithm"},
		{"claims", claims, ErrMalformed, "in an archive of"},
		{"entries", zipOf(t, zip.Store, many...), ErrLimit, "entries"},
		{"ratio", zipOf(t, zip.Deflate, "x.npy", string(npyBytes(`{'descr': '|u1', 'fortran_order': False, 'shape': (2097152,)}`, strings.Repeat("\x00", 2<<20)))), ErrLimit, "ratio"},
	} {
		_, err := readNPZBytes(c.data)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %v and %q", c.name, err, c.kind, c.text)
		}
	}
	limits := DefaultLimits()
	data := zipOf(t, zip.Store, "x.npy", one, "y.npy", one)
	limits.InitializerBytes = int64(2 * len(one))
	if _, err := readNPZ(bytes.NewReader(data), int64(len(data)), limits); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	limits.InitializerBytes--
	if _, err := readNPZ(bytes.NewReader(data), int64(len(data)), limits); !errors.Is(err, ErrLimit) {
		t.Errorf("above the limit: %v", err)
	}
}

// TestReadNPZShared has entries that share the compressed bytes, so that a
// small archive claims much.
func TestReadNPZShared(t *testing.T) {
	var entries []*zip.File
	for i := range 300 {
		entries = append(entries, &zip.File{FileHeader: zip.FileHeader{Name: fmt.Sprint(i, ".npy"), CompressedSize64: 6000, UncompressedSize64: 1 << 20}})
	}
	if _, err := npzEntries(&zip.Reader{File: entries}, 1<<20, DefaultLimits()); !errors.Is(err, ErrLimit) {
		t.Errorf("300 entries of 1 MiB in 1 MiB: %v, want an error that matches ErrLimit", err)
	}
	if _, err := npzEntries(&zip.Reader{File: entries[:199]}, 1<<20, DefaultLimits()); err != nil {
		t.Errorf("199 entries of 1 MiB in 1 MiB: %v", err)
	}
}
