package verify

import (
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/recur-ml/recur/onnx"
)

// Ref says where a value is kept.
type Ref struct {
	File string // path, with slashes: .npy, .npz or .pb
	Key  string // the array in an .npz
	// Row is the element along the first axis that is taken, -1 for the whole.
	Row int
	// Kind is what a .pb holds: KindTensor, KindSequence or KindOptional.
	Kind onnx.Kind
}

// parseRef reads a path, or an object with a path.
func parseRef(v any) (Ref, error) {
	ref := Ref{Row: -1, Kind: onnx.KindTensor}
	kind := ""
	if s, ok := v.(string); ok {
		ref.File = s
	} else {
		f := fieldsOf("a value", v)
		f.require("file")
		ref.File, ref.Key = f.text("file"), field[string](f, "key", "a string")
		k := f.integer("row", -1)
		if k > math.MaxInt32 {
			f.fail(`"row" is %d, beyond any array`, k)
		}
		ref.Row = int(k)
		kind = f.text("kind")
		if err := f.done(); err != nil {
			return ref, err
		}
	}
	if err := checkPath(ref.File); err != nil {
		return ref, err
	}
	ext := path.Ext(ref.File)
	switch kind {
	case "":
	case "sequence":
		ref.Kind = onnx.KindSequence
	case "optional":
		ref.Kind = onnx.KindOptional
	default:
		return ref, onnx.Errorf(onnx.ErrMalformed, `"kind" is %q, want "sequence" or "optional"`, kind)
	}
	switch {
	case ext != ".npy" && ext != ".npz" && ext != ".pb":
		return ref, onnx.Errorf(onnx.ErrMalformed, "%q: want a file of .npy, .npz or .pb", ref.File)
	case ext == ".npz" && ref.Key == "":
		return ref, onnx.Errorf(onnx.ErrMalformed, `%q: no "key" says which array`, ref.File)
	case ext != ".npz" && ref.Key != "":
		return ref, onnx.Errorf(onnx.ErrMalformed, `%q: "key" is for .npz`, ref.File)
	case ext != ".pb" && kind != "":
		return ref, onnx.Errorf(onnx.ErrMalformed, `%q: "kind" is for .pb`, ref.File)
	case ref.Row >= 0 && kind != "":
		return ref, onnx.Errorf(onnx.ErrMalformed, `"row" of a %s`, kind)
	}
	return ref, nil
}

// maxKept bounds the bytes of the decoded files that are kept for later values
// of a case.
const maxKept = 256 << 20

// store reads the values of one case. Files that hold several values, .npz and
// those of which rows are taken, are read once.
type store struct {
	root  *os.Root
	limit int64 // of a file, in bytes
	kept  map[string]map[string]*onnx.Tensor
	bytes int64 // of kept
}

func openStore(dir string, limits onnx.Limits) (*store, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &store{root: root, limit: limits.WithDefaults().FileBytes, kept: map[string]map[string]*onnx.Tensor{}}, nil
}

func (s *store) close() { s.root.Close() }

// open opens a regular file that is not too large.
func (s *store) open(name string) (*os.File, int64, error) {
	name = filepath.FromSlash(name)
	info, err := s.root.Stat(name)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, onnx.Errorf(onnx.ErrMalformed, "not a regular file")
	}
	if info.Size() > s.limit {
		return nil, 0, &onnx.LimitError{What: "bytes of a file", Got: info.Size(), Max: s.limit}
	}
	f, err := s.root.Open(name)
	return f, info.Size(), err
}

// value reads a value.
func (s *store) value(ref Ref) (onnx.Value, error) {
	v, err := s.read(ref)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref.File, err)
	}
	return v, nil
}

func (s *store) read(ref Ref) (onnx.Value, error) {
	if path.Ext(ref.File) == ".pb" && ref.Kind != onnx.KindTensor {
		return s.proto(ref)
	}
	t, err := s.tensor(ref)
	if err != nil || ref.Row < 0 {
		return t, err
	}
	return row(t, ref.Row)
}

// tensor gives the tensor that a reference means, before the choice of a row.
func (s *store) tensor(ref Ref) (*onnx.Tensor, error) {
	arrays, ok := s.kept[ref.File]
	if !ok {
		var err error
		if arrays, err = s.arrays(ref); err != nil {
			return nil, err
		}
		if ref.Row >= 0 || ref.Key != "" {
			s.keep(ref.File, arrays)
		}
	}
	t := arrays[ref.Key]
	if t == nil {
		return nil, onnx.Errorf(onnx.ErrMalformed, "no array %q", ref.Key)
	}
	return t, nil
}

// arrays reads a file; the array of one that has no names is called "".
func (s *store) arrays(ref Ref) (map[string]*onnx.Tensor, error) {
	if path.Ext(ref.File) == ".pb" {
		v, err := s.proto(ref)
		if err != nil {
			return nil, err
		}
		return map[string]*onnx.Tensor{"": v.(*onnx.Tensor)}, nil
	}
	f, size, err := s.open(ref.File)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if path.Ext(ref.File) == ".npz" {
		return onnx.ReadNPZ(f, size)
	}
	t, err := onnx.ReadNPY(f)
	return map[string]*onnx.Tensor{"": t}, err
}

// keep remembers a file's arrays, and forgets the others before it holds too
// many bytes.
func (s *store) keep(name string, arrays map[string]*onnx.Tensor) {
	size := int64(0)
	for _, t := range arrays {
		size += int64(len(t.Bytes()))
	}
	if s.bytes+size > maxKept {
		clear(s.kept)
		s.bytes = 0
	}
	s.kept[name] = arrays
	s.bytes += size
}

// proto reads a .pb file as what the reference says that it holds.
func (s *store) proto(ref Ref) (onnx.Value, error) {
	f, size, err := s.open(ref.File)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := onnx.AlignedBytes(int(size))
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, err
	}
	var v onnx.Value
	switch ref.Kind {
	case onnx.KindSequence:
		v, err = onnx.DecodeSequence(data)
	case onnx.KindOptional:
		v, err = onnx.DecodeOptional(data)
	default:
		v, err = onnx.DecodeTensor(data)
	}
	if err != nil {
		return nil, err
	}
	return v, checkInside(v)
}

// checkInside refuses tensors that keep their elements in another file.
func checkInside(v onnx.Value) error {
	switch v := v.(type) {
	case *onnx.Tensor:
		if v.External() != nil {
			return onnx.Errorf(onnx.ErrUnsupported, "a value with external data, %q", v.External().Location)
		}
	case *onnx.Sequence:
		for _, item := range v.Items {
			if err := checkInside(item); err != nil {
				return err
			}
		}
	case *onnx.Optional:
		return checkInside(v.Value)
	}
	return nil
}

// row gives element k along the first axis, without that axis.
func row(t *onnx.Tensor, k int) (*onnx.Tensor, error) {
	if t.Rank() == 0 || k >= t.Shape()[0] {
		return nil, onnx.Errorf(onnx.ErrShape, "row %d of an array of shape %v", k, t.Shape())
	}
	out, err := onnx.NewZeros(t.DataType(), t.Shape()[1:])
	if err != nil {
		return nil, err
	}
	if n := out.Len(); t.DataType() == onnx.String {
		copy(out.Strings(), t.Strings()[k*n:(k+1)*n])
	} else {
		n *= t.DataType().Size()
		copy(out.Bytes(), t.Bytes()[k*n:(k+1)*n])
	}
	return out, nil
}

// isTestData reports whether a name is one of ONNX's test data, such as
// input_3.pb for the prefix "input_", and gives its number.
func isTestData(name, prefix string) (number string, ok bool) {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return "", false
	}
	number, ok = strings.CutSuffix(rest, ".pb")
	return number, ok && isDecimal(number)
}

func isDecimal(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != "" && len(s) < 9
}

// path gives the path of a file or folder that can be opened and is below the
// folder, also after links.
func (s *store) path(name string) (string, error) {
	name = filepath.FromSlash(name)
	f, err := s.root.Open(name)
	if err != nil {
		return "", err
	}
	return filepath.Join(s.root.Name(), name), f.Close()
}
