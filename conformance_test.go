package recur_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/recur-ml/recur/internal/fault"
	"github.com/recur-ml/recur/internal/verify"
	rt "github.com/recur-ml/recur/runtime"
)

// The suites of this file are lists of cases (verify.json), run on every
// engine, with all optional passes and with none. The goldens lie in the
// repository; RECUR_CORPUS names a tree with more.

var update = flag.Bool("update", false, "rewrite OPERATORS.md and the list of known refusals")

// suite is a list of cases.
type suite struct {
	name  string
	cases []*verify.Case
}

// config is a way to run a suite.
type config struct {
	name    string
	options []rt.Option
	again   int // see verify.Runner
}

// configs crosses the engines with the passes. On the best engine each case is
// run again from 8 goroutines, with two threads.
func configs() []config {
	var out []config
	for i, engine := range rt.Engines() {
		e := rt.WithEngine(engine)
		all := config{engine + ", all passes", []rt.Option{e, rt.WithThreads(1)}, 1}
		if i == 0 {
			all = config{engine + ", all passes, 2 threads, 8 goroutines", []rt.Option{e, rt.WithThreads(2)}, 8}
		}
		out = append(out, all, config{engine + ", no passes", []rt.Option{e, rt.WithThreads(1), rt.WithPasses()}, 1})
	}
	return out
}

// unpacked is the folder of the unpacked goldens, "" while nobody wanted them.
var unpacked string

var goldensDir = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "recur-goldens-")
	if err != nil {
		return "", err
	}
	unpacked = dir
	archives, err := filepath.Glob("testdata/goldens/*.tar.gz")
	if err != nil || len(archives) == 0 {
		return "", fmt.Errorf("no goldens in testdata/goldens: %v", err)
	}
	for _, a := range archives {
		if err := unpack(a, filepath.Join(dir, strings.TrimSuffix(filepath.Base(a), ".tar.gz"))); err != nil {
			return dir, fmt.Errorf("%s: %w", a, err)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if unpacked != "" {
		os.RemoveAll(unpacked)
	}
	os.Exit(code)
}

func unpack(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	r := tar.NewReader(z)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.FromSlash(h.Name)
		if !filepath.IsLocal(name) {
			return fmt.Errorf("entry %q", h.Name)
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
}

// goldens gives the suites of the repository.
func goldens(t testing.TB) []suite {
	t.Helper()
	dir, err := goldensDir()
	if err != nil {
		t.Fatal(err)
	}
	return suitesIn(t, dir, dir)
}

// suitesIn finds the suites below a folder, cases of .onnx models alone, and
// wants there to be some.
func suitesIn(t testing.TB, root, dir string) []suite {
	t.Helper()
	manifests, err := verify.Discover(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []suite
	for _, m := range manifests {
		rel, err := filepath.Rel(root, filepath.Dir(m.Path))
		if err != nil {
			t.Fatal(err)
		}
		s := suite{name: filepath.ToSlash(rel)}
		for _, c := range m.Cases {
			if c.Format == "onnx" {
				s.cases = append(s.cases, c)
			}
		}
		if len(s.cases) > 0 {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s has no case", dir)
	}
	return out
}

// outcome is what became of a suite.
type outcome struct {
	passed, failed, refused int
	results                 []verify.Result
}

// run runs a suite. Cases that are tagged slow are run once only.
func (s suite) run(ctx context.Context, c config) outcome {
	results := make([]verify.Result, len(s.cases))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 2)
	for i, cs := range s.cases {
		slots <- struct{}{}
		wg.Go(func() {
			r := verify.Runner{Options: c.options, Again: c.again}
			if slices.Contains(cs.Tags, "slow") {
				r.Again = -1
			}
			results[i] = r.Run(ctx, cs)
			<-slots
		})
	}
	wg.Wait()
	o := outcome{results: results}
	for _, r := range results {
		switch r.Verdict {
		case verify.Passed:
			o.passed++
		case verify.Failed:
			o.failed++
		default:
			o.refused++
		}
	}
	return o
}

func (o outcome) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d refused", o.passed, o.failed, o.refused)
}

// TestGoldens runs the goldens. What is refused is listed, with the reason, in
// testdata/refused.txt: the list may only shrink.
func TestGoldens(t *testing.T) {
	all := goldens(t)
	refused := map[string]bool{}
	for _, c := range configs() {
		for _, s := range all {
			o := s.run(t.Context(), c)
			t.Logf("%s, %s: %v", s.name, c.name, o)
			for _, r := range o.results {
				switch {
				case r.Verdict == verify.Failed:
					t.Errorf("%s %s, %s: %s", s.name, r.Case.ID, c.name, r.Reason)
				case r.Verdict == verify.Refused:
					refused[s.name+" "+r.Case.ID+": "+firstLine(r.Reason)] = true
				}
			}
		}
	}
	checkRefused(t, refused)
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

const refusedFile = "testdata/refused.txt"

func checkRefused(t *testing.T, refused map[string]bool) {
	t.Helper()
	var lines []string
	for l := range refused {
		lines = append(lines, l)
	}
	slices.Sort(lines)
	text := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(refusedFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	known, err := os.ReadFile(refusedFile)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for l := range strings.Lines(string(known)) {
		listed[strings.TrimSuffix(l, "\n")] = true
	}
	for _, l := range lines {
		if !listed[l] {
			t.Errorf("refused, and not in %s: %s", refusedFile, l)
		}
		delete(listed, l)
	}
	for l := range listed {
		if l != "" {
			t.Errorf("not refused any more; take it out of %s: %s", refusedFile, l)
		}
	}
}

// TestCorpus runs every suite of the tree that RECUR_CORPUS names.
func TestCorpus(t *testing.T) {
	root := os.Getenv("RECUR_CORPUS")
	if root == "" {
		t.Skip("RECUR_CORPUS is not set: goldens only")
	}
	for _, part := range []string{"conformance", "corpus"} {
		for _, s := range suitesIn(t, root, filepath.Join(root, part)) {
			t.Run(s.name, func(t *testing.T) {
				for _, c := range configs() {
					o := s.run(t.Context(), c)
					t.Logf("%s, %s: %v", s.name, c.name, o)
					for _, r := range o.results {
						if r.Verdict == verify.Failed {
							t.Errorf("%s, %s: %s", r.Case.ID, c.name, r.Reason)
						}
					}
				}
			})
		}
	}
}

// TestEveryBehaviourCounts switches the behaviours of the recurrent operators
// off, one at a time: for each of them a golden of the matrix must go red.
func TestEveryBehaviourCounts(t *testing.T) {
	var matrix suite
	for _, s := range goldens(t) {
		if s.name == "rnn-matrix" {
			matrix = s
		}
	}
	if len(matrix.cases) != 400 {
		t.Fatalf("the matrix has %d cases, want 400", len(matrix.cases))
	}
	for _, f := range fault.Recurrent() {
		red := redCase(t.Context(), matrix, f)
		if red == "" {
			t.Errorf("no golden depends on %q", f)
		} else {
			t.Logf("without %q: %s", f, red)
		}
	}
}

// redCase finds a case that does not pass while a behaviour is switched off.
func redCase(ctx context.Context, s suite, f fault.Switch) string {
	defer fault.Throw(f)()
	r := verify.Runner{Again: -1}
	for _, c := range s.cases {
		if res := r.Run(ctx, c); res.Verdict != verify.Passed {
			return fmt.Sprintf("%s is %s: %s", c.ID, res.Verdict, firstLine(res.Reason))
		}
	}
	return ""
}
