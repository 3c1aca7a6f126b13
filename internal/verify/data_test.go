package verify

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func npy(t *testing.T, v *onnx.Tensor) string {
	t.Helper()
	var b bytes.Buffer
	if err := onnx.WriteNPY(&b, v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func npz(t *testing.T, arrays map[string]*onnx.Tensor) string {
	t.Helper()
	var b bytes.Buffer
	if err := onnx.WriteNPZ(&b, arrays); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func pb(t *testing.T, v onnx.Value) string {
	t.Helper()
	data, err := onnx.EncodeValue(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func newStore(t *testing.T, dir string) *store {
	t.Helper()
	s, err := openStore(dir, onnx.Limits{FileBytes: 4096})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

func TestValues(t *testing.T) {
	dir := t.TempDir()
	matrix := onnx.MustTensor([]int{2, 3}, []int64{1, 2, 3, 4, 5, 6})
	words := onnx.MustTensor([]int{2, 1}, []string{"a", "\xff"})
	write(t, dir, map[string]string{
		"d/m.npy": npy(t, matrix), "s.npy": npy(t, onnx.Scalar[float32](2)), "z.npz": npz(t, map[string]*onnx.Tensor{"m": matrix, "v": vector(true)}),
		"m.pb": pb(t, matrix), "w.pb": pb(t, words), "list.pb": pb(t, onnx.NewSequence(matrix, matrix)),
		"some.pb": pb(t, &onnx.Optional{Value: words}), "none.pb": "", "none1.pb": "\x10\x00", "none2.pb": "\x10\x01\x1a\x00",
	})
	ref := func(file, key string, row int, kind onnx.Kind) Ref { return Ref{file, key, row, kind} }
	const tensor, sequence, optional = onnx.KindTensor, onnx.KindSequence, onnx.KindOptional
	for _, c := range []struct {
		name string
		ref  Ref
		want onnx.Value
	}{
		{"npy", ref("d/m.npy", "", -1, tensor), matrix},
		{"npy of a scalar", ref("s.npy", "", -1, tensor), onnx.Scalar[float32](2)},
		{"npz", ref("z.npz", "m", -1, tensor), matrix},
		{"another array of it", ref("z.npz", "v", -1, tensor), vector(true)},
		{"a row", ref("d/m.npy", "", 1, tensor), vector[int64](4, 5, 6)},
		{"a row of an npz", ref("z.npz", "m", 0, tensor), vector[int64](1, 2, 3)},
		{"a row that is a scalar", ref("z.npz", "v", 0, tensor), onnx.Scalar(true)},
		{"pb", ref("m.pb", "", -1, tensor), matrix},
		{"a row of a pb", ref("m.pb", "", 0, tensor), vector[int64](1, 2, 3)},
		{"strings", ref("w.pb", "", -1, tensor), words},
		{"a row of strings", ref("w.pb", "", 1, tensor), vector("\xff")},
		{"sequence", ref("list.pb", "", -1, sequence), onnx.NewSequence(matrix, matrix)},
		{"optional", ref("some.pb", "", -1, optional), &onnx.Optional{Value: words}},
		{"absent optional", ref("none.pb", "", -1, optional), &onnx.Optional{}},
		{"absent optional of no kind", ref("none1.pb", "", -1, optional), &onnx.Optional{}},
		{"absent optional with an undefined tensor", ref("none2.pb", "", -1, optional), &onnx.Optional{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := newStore(t, dir).value(c.ref)
			if err != nil {
				t.Fatal(err)
			}
			if m := identical(got, c.want); m != nil {
				t.Error(m)
			}
		})
	}
}

func TestValuesRefused(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	matrix := onnx.MustTensor([]int{2, 3}, []int64{1, 2, 3, 4, 5, 6})
	write(t, outside, map[string]string{"m.npy": npy(t, matrix)})
	write(t, dir, map[string]string{
		"m.npy": npy(t, matrix), "s.npy": npy(t, onnx.Scalar[float32](2)), "z.npz": npz(t, map[string]*onnx.Tensor{"m": matrix}), "short.npy": npy(t, matrix)[:100],
		"large.npy": npy(t, vector(make([]float64, 600)...)), "f/x.npy": "",
		"far.pb": "\x08\x01\x10\x01\x6a\x0d\x0a\x08location\x12\x01x\x70\x01",
	})
	links := map[string]string{"link.npy": filepath.Join(outside, "m.npy"), "up.npy": "../" + filepath.Base(outside) + "/m.npy", "dir": outside}
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
	}
	for _, c := range []struct {
		name string
		ref  Ref
		want string
		kind error
	}{
		{"not there", Ref{File: "no.npy", Row: -1, Kind: onnx.KindTensor}, "no.npy", os.ErrNotExist},
		{"a folder", Ref{File: "f", Row: -1, Kind: onnx.KindTensor}, "not a regular file", onnx.ErrMalformed},
		{"truncated", Ref{File: "short.npy", Row: -1, Kind: onnx.KindTensor}, "short.npy", onnx.ErrMalformed},
		{"too large", Ref{File: "large.npy", Row: -1, Kind: onnx.KindTensor}, "limit of 4096", onnx.ErrLimit},
		{"no such array", Ref{File: "z.npz", Key: "n", Row: -1, Kind: onnx.KindTensor}, `no array "n"`, onnx.ErrMalformed},
		{"no such row", Ref{File: "m.npy", Row: 2, Kind: onnx.KindTensor}, "row 2 of an array of shape [2 3]", onnx.ErrShape},
		{"row of a scalar", Ref{File: "s.npy", Row: 0, Kind: onnx.KindTensor}, "row 0", onnx.ErrShape},
		{"external data", Ref{File: "far.pb", Row: -1, Kind: onnx.KindTensor}, "external", nil},
		{"link to the outside", Ref{File: "link.npy", Row: -1, Kind: onnx.KindTensor}, "escapes", nil},
		{"relative link to the outside", Ref{File: "up.npy", Row: -1, Kind: onnx.KindTensor}, "escapes", nil},
		{"below a link to the outside", Ref{File: "dir/m.npy", Row: -1, Kind: onnx.KindTensor}, "escapes", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := newStore(t, dir).value(c.ref)
			if err == nil || !strings.Contains(err.Error(), c.want) || c.kind != nil && !errors.Is(err, c.kind) {
				t.Errorf("%v, %v, want an error with %q that matches %v", v, err, c.want, c.kind)
			}
		})
	}
}

// TestFilesAreReadOnce removes files of several values after the first one.
func TestFilesAreReadOnce(t *testing.T) {
	dir := t.TempDir()
	matrix := onnx.MustTensor([]int{2, 1}, []int64{1, 2})
	write(t, dir, map[string]string{"z.npz": npz(t, map[string]*onnx.Tensor{"a": matrix, "b": matrix}), "m.npy": npy(t, matrix), "once.npy": npy(t, matrix)})
	s := newStore(t, dir)
	get := func(ref Ref) error {
		ref.Kind = onnx.KindTensor
		_, err := s.value(ref)
		return err
	}
	for _, ref := range []Ref{{File: "z.npz", Key: "a", Row: -1}, {File: "m.npy", Row: 0}, {File: "once.npy", Row: -1}} {
		if err := get(ref); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, ref.File)); err != nil {
			t.Fatal(err)
		}
	}
	for _, ref := range []Ref{{File: "z.npz", Key: "b", Row: 1}, {File: "m.npy", Row: 1}} {
		if err := get(ref); err != nil {
			t.Error(err)
		}
	}
	if len(s.kept) != 2 {
		t.Errorf("%d files are kept, want those two alone", len(s.kept))
	}
	s.keep("more", map[string]*onnx.Tensor{"": matrix})
	s.bytes = maxKept
	s.keep("last", map[string]*onnx.Tensor{"": matrix})
	if len(s.kept) != 1 || s.bytes != 16 {
		t.Errorf("%d files of %d bytes are kept beyond the bound, want 1 of 16", len(s.kept), s.bytes)
	}
}
