// Command pack makes the archives of golden cases in testdata/goldens from
// folders that hold a verify.json: it keeps the cases whose files are small,
// with their verify.json cut to them. Equal folders give equal bytes.
//
//	go run testdata/_gen/pack.go CORPUS testdata/goldens
//
// CORPUS has the folder conformance with the suites that are named below: the
// matrix of recurrent operators, whose expected values are ONNX Runtime's, and
// the backend test data of ONNX releases (Apache-2.0, see NOTICE).
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"sort"
)

// suite is a folder of the corpus and the largest file that a case may have.
type suite struct {
	folder string
	most   int64
}

var suites = []suite{
	{"conformance/rnn-matrix", 1 << 20},
	{"conformance/onnx-1.22.0", 48 << 10},
	{"conformance/onnx-1.23.0-dev-delta", 48 << 10},
	{"conformance/onnx-old-opsets", 48 << 10},
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("want CORPUS and the folder to write to")
	}
	for _, s := range suites {
		if err := pack(os.Args[1], os.Args[2], s); err != nil {
			log.Fatalf("%s: %v", s.folder, err)
		}
	}
}

func pack(corpus, out string, s suite) error {
	root := filepath.Join(corpus, filepath.FromSlash(s.folder))
	text, err := os.ReadFile(filepath.Join(root, "verify.json"))
	if err != nil {
		return err
	}
	var manifest map[string]json.RawMessage
	if err := json.Unmarshal(text, &manifest); err != nil {
		return err
	}
	var cases []json.RawMessage
	if err := json.Unmarshal(manifest["cases"], &cases); err != nil {
		return err
	}
	files := map[string]bool{}
	var kept []json.RawMessage
	for _, c := range cases {
		names, err := filesOf(c)
		if err != nil {
			return err
		}
		if !small(root, names, s.most) {
			continue
		}
		kept = append(kept, c)
		for _, n := range names {
			files[n] = true
		}
	}
	if manifest["cases"], err = json.Marshal(kept); err != nil {
		return err
	}
	delete(manifest, "left_out")
	cut, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	name := filepath.Join(out, filepath.Base(root)+".tar.gz")
	n, err := write(name, root, cut, files)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d of %d cases, %d files, %d bytes\n", name, len(kept), len(cases), len(files), n)
	return nil
}

// filesOf lists the paths that a case names.
func filesOf(c json.RawMessage) ([]string, error) {
	var v struct {
		Model string
		Runs  []struct{ In, Out map[string]any }
	}
	if err := json.Unmarshal(c, &v); err != nil {
		return nil, err
	}
	out := []string{v.Model}
	for _, r := range v.Runs {
		for _, values := range []map[string]any{r.In, r.Out} {
			for _, value := range values {
				if o, ok := value.(map[string]any); ok {
					value = o["file"]
				}
				if s, ok := value.(string); ok && !slices.Contains(out, s) {
					out = append(out, s)
				}
			}
		}
	}
	return out, nil
}

func small(root string, names []string, most int64) bool {
	for _, n := range names {
		info, err := os.Stat(filepath.Join(root, filepath.FromSlash(n)))
		if err != nil || !info.Mode().IsRegular() || info.Size() > most {
			return false
		}
	}
	return true
}

func write(name, root string, manifest []byte, files map[string]bool) (int, error) {
	var buf bytes.Buffer
	z, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return 0, err
	}
	t := tar.NewWriter(z)
	add := func(name string, data []byte) error {
		if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data)), Format: tar.FormatUSTAR}); err != nil {
			return err
		}
		_, err := t.Write(data)
		return err
	}
	if err := add("verify.json", manifest); err != nil {
		return 0, err
	}
	var names []string
	for n := range files {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(n)))
		if err != nil {
			return 0, err
		}
		if err := add(n, data); err != nil {
			return 0, err
		}
	}
	if err := t.Close(); err != nil {
		return 0, err
	}
	if err := z.Close(); err != nil {
		return 0, err
	}
	return buf.Len(), os.WriteFile(name, buf.Bytes(), 0o644)
}
