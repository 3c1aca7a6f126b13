package verify

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/recur-ml/recur/onnx"
)

// fileName is the name of manifests that a folder is searched for.
const fileName = "verify.json"

// Discover reads the manifests that a path means: a manifest itself, or all
// below a folder, folders in name order. Where there is none, folders with a
// model.onnx (or any single .onnx) beside test_data_set_N/{input,output}_K.pb
// are the cases, their values matched to the model's inputs and outputs by
// order; of an input, those that are not initializers.
//
// The error tells every manifest that cannot be read. No case is no error.
func Discover(path string) ([]*Manifest, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		m, err := Read(path)
		if err != nil {
			return nil, err
		}
		return []*Manifest{m}, nil
	}
	var found []*Manifest
	var failed []error
	err = folders(path, 0, func(dir string, files []fs.DirEntry) error {
		if !slices.ContainsFunc(files, func(f fs.DirEntry) bool { return f.Name() == fileName && !f.IsDir() }) {
			return nil
		}
		m, err := Read(filepath.Join(dir, fileName))
		if err != nil {
			failed = append(failed, err)
			return nil
		}
		found = append(found, m)
		return nil
	})
	if err = errors.Join(append(failed, err)...); err != nil || len(found) > 0 {
		return found, err
	}
	return discoverPlain(path)
}

// maxFolders bounds the nesting of folders that are searched.
const maxFolders = 64

// folders visits a folder and those in it, in name order, a folder before what
// is in it. Links to folders are not followed.
func folders(dir string, depth int, visit func(dir string, files []fs.DirEntry) error) error {
	if depth > maxFolders {
		return fmt.Errorf("%s: %w", dir, &onnx.LimitError{What: "nesting of folders", Got: int64(depth), Max: maxFolders})
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if err := visit(dir, entries); err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := folders(filepath.Join(dir, e.Name()), depth+1, visit); err != nil {
				return err
			}
		}
	}
	return nil
}

// discoverPlain makes cases of folders in the layout of ONNX's own test data.
func discoverPlain(root string) ([]*Manifest, error) {
	m := &Manifest{Path: root, About: "ONNX test data"}
	err := folders(root, 0, func(dir string, entries []fs.DirEntry) error {
		c, err := plainCase(dir, entries)
		if err != nil || c == nil {
			return err
		}
		name, err := filepath.Rel(root, dir)
		if err != nil {
			return err
		}
		if c.ID = filepath.ToSlash(name); c.ID == "." {
			c.ID = filepath.Base(dir)
		}
		c.Manifest = m
		m.Cases = append(m.Cases, c)
		return nil
	})
	if err != nil || len(m.Cases) == 0 {
		return nil, err
	}
	return []*Manifest{m}, nil
}

// plainCase makes a case of a folder that has a model and its data; nil for
// any other folder.
func plainCase(dir string, entries []fs.DirEntry) (*Case, error) {
	c := &Case{Dir: dir, Format: "onnx", Rtol: DefaultRtol, Atol: DefaultAtol, Positional: true}
	models := 0
	var sets []string
	for _, e := range entries {
		switch {
		case e.IsDir() && strings.HasPrefix(e.Name(), "test_data_set_"):
			sets = append(sets, e.Name())
		case e.IsDir():
		case e.Name() == "model.onnx":
			c.Model, models = e.Name(), -1
		case models >= 0 && path.Ext(e.Name()) == ".onnx":
			c.Model = e.Name()
			models++
		}
	}
	if models != -1 && models != 1 {
		return nil, nil
	}
	sortNumbered(sets)
	for _, set := range sets {
		files, err := os.ReadDir(filepath.Join(dir, set))
		if err != nil {
			return nil, err
		}
		call := Call{In: testData(set, files, "input_"), Out: testData(set, files, "output_")}
		if len(call.In)+len(call.Out) > 0 {
			c.Runs = append(c.Runs, call)
		}
	}
	if len(c.Runs) == 0 {
		return nil, nil
	}
	return c, nil
}

func testData(set string, files []fs.DirEntry, prefix string) []Named {
	var names []string
	for _, f := range files {
		if _, ok := isTestData(f.Name(), prefix); ok {
			names = append(names, f.Name())
		}
	}
	sortNumbered(names)
	var out []Named
	for _, n := range names {
		number, _ := isTestData(n, prefix)
		k, _ := strconv.Atoi(number)
		out = append(out, Named{strconv.Itoa(k), Ref{File: path.Join(set, n), Row: -1, Kind: onnx.KindTensor}})
	}
	return out
}

// sortNumbered sorts names of equal prefixes by their number: 2 before 10.
func sortNumbered(names []string) {
	slices.SortFunc(names, func(a, b string) int {
		if d := len(a) - len(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}
