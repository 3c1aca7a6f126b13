package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// command runs a command line and gives exit code, stdout and stderr.
func command(t *testing.T, stdin string, args ...string) (code int, out, err string) {
	t.Helper()
	return commandIn(t.Context(), stdin, nil, args...)
}

func commandIn(ctx context.Context, stdin string, env map[string]string, args ...string) (int, string, string) {
	var out, err bytes.Buffer
	c := newCLI(strings.NewReader(stdin), &out, &err, func(k string) string { return env[k] })
	return c.run(ctx, args), out.String(), err.String()
}

// commandCase is a command line and what it must give.
type commandCase struct {
	name   string
	args   []string
	stdin  string
	code   int
	out    []string // parts of stdout, in order
	err    []string // parts of stderr, in order
	silent bool     // nothing on stdout
}

func runCases(t *testing.T, cases []commandCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			code, out, err := command(t, c.stdin, c.args...)
			if code != c.code {
				t.Errorf("exit code %d, want %d\nstdout: %s\nstderr: %s", code, c.code, out, err)
			}
			wantParts(t, "stdout", out, c.out)
			wantParts(t, "stderr", err, c.err)
			if c.silent && out != "" {
				t.Errorf("stdout: %q, want nothing", out)
			}
			if c.code == 0 && c.err == nil && err != "" {
				t.Errorf("stderr: %q, want nothing", err)
			}
		})
	}
}

// wantParts looks for the parts one after the other.
func wantParts(t *testing.T, where, text string, parts []string) {
	t.Helper()
	rest := text
	for _, p := range parts {
		i := strings.Index(rest, p)
		if i < 0 {
			t.Errorf("%s: want %q in\n%s", where, p, text)
			return
		}
		rest = rest[i+len(p):]
	}
}

func TestRoot(t *testing.T) {
	runCases(t, []commandCase{
		{name: "no command", out: []string{"Exit codes:", "130  interrupted", "Available Commands:", "demo", "verify"}},
		{name: "help", args: []string{"--help"}, out: []string{"recur runs ONNX models", "Examples:"}},
		{name: "help of a command", args: []string{"run", "--help"}, out: []string{"-i NAME=x.npy", "Examples:", "--random", "Exit codes:"}},
		{name: "unknown command", args: []string{"insepct", "x"}, code: exitUsage, silent: true,
			err: []string{`unknown command "insepct"; did you mean "inspect"?`, "recur --help"}},
		{name: "unknown flag", args: []string{"run", "--frobnicate"}, code: exitUsage, silent: true,
			err: []string{"unknown flag: --frobnicate", `"recur run --help"`}},
		{name: "too few arguments", args: []string{"inspect"}, code: exitUsage, silent: true, err: []string{"want one MODEL, have 0"}},
		{name: "no such file", args: []string{"inspect", "testdata/nowhere.onnx"}, code: exitUsage, silent: true, err: []string{"nowhere.onnx"}},
		{name: "completion", args: []string{"completion", "bash"}, out: []string{"bash completion"}},
		{name: "version", args: []string{"version"}, out: []string{"recur ", "ONNX ", "of ai.onnx"}},
		{name: "version as JSON", args: []string{"version", "--json"}, out: []string{`"schema_version": 1`, `"opsets"`}},
	})
}

func TestEveryCommandTeaches(t *testing.T) {
	c := newCLI(nil, nil, nil, func(string) string { return "" })
	for _, cmd := range c.root().Commands() {
		if cmd.Long == "" || cmd.Example == "" {
			t.Errorf("%s: want a long help and an example", cmd.Name())
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestLostOutputIsAFailure(t *testing.T) {
	var err bytes.Buffer
	c := newCLI(strings.NewReader(""), fullDisk{}, &err, func(string) string { return "" })
	if code := c.run(t.Context(), []string{"version"}); code != exitMismatch {
		t.Errorf("exit code %d, want %d", code, exitMismatch)
	}
	wantParts(t, "stderr", err.String(), []string{"no space left"})
}

// TestWriteFileThroughLinks: a link stays, and what it names is written, though
// it was not there before.
func TestWriteFileThroughLinks(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.Mkdir(at("sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("old"), []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	links := [][2]string{{"old", at("to-old")}, {"new", at("to-new")}, {at("to-old"), at("chain")}, {"sub", at("folder")}, {"../up", at("sub/to-up")}, {"round", at("round")}}
	for _, l := range links {
		if err := os.Symlink(l[0], l[1]); err != nil {
			t.Skip(err)
		}
	}
	for _, c := range []struct{ path, file string }{{"to-old", "old"}, {"to-new", "new"}, {"chain", "old"}, {"folder/to-up", "up"}} {
		if err := writeFile(at(c.path), func(w io.Writer) error { _, err := io.WriteString(w, c.path); return err }); err != nil {
			t.Errorf("%s: %v", c.path, err)
		}
		info, err := os.Lstat(at(c.path))
		if got, _ := os.ReadFile(at(c.file)); string(got) != c.path || err != nil || info.Mode()&os.ModeSymlink == 0 {
			t.Errorf("%s: %s holds %q, and the link is %v, %v", c.path, c.file, got, info, err)
		}
	}
	if err := writeFile(at("round"), func(io.Writer) error { return nil }); err == nil {
		t.Error("a link to itself was written")
	}
}

// TestWriteFileNamesIt: an error names the file that was asked for, and a folder
// that is not there is found before anything is computed.
func TestWriteFileNamesIt(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "none", "x.npz"), dir} {
		err := writeFile(path, func(io.Writer) error { return nil })
		if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), ".tmp-") {
			t.Errorf("%s: %v", path, err)
		}
	}
	none := filepath.Join(dir, "none", "x")
	for _, args := range [][]string{
		{"run", "testdata/add.onnx", "-o", none + ".npz"}, // without inputs, which it would miss next
		{"run", "testdata/add.onnx", "--random", "1", "--pprof", none},
		{"bench", "testdata/add.onnx", "--duration", "1ms", "--warmup", "0", "--pprof", none},
	} {
		code, out, err := command(t, "", args...)
		if code != exitUsage || out != "" || !strings.Contains(err, none) || strings.Contains(err, "missing") {
			t.Errorf("%v: exit code %d, stdout %q, stderr %q", args, code, out, err)
		}
	}
}

// TestWriteFileProtected: a file that may not be written is not replaced, though
// its folder would allow that.
func TestWriteFileProtected(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("old"), 0o400); err != nil {
		t.Fatal(err)
	}
	if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
		f.Close()
		t.Skip("this user may write anything")
	}
	err := writeFile(path, func(w io.Writer) error { _, err := io.WriteString(w, "new"); return err })
	if got, _ := os.ReadFile(path); !errors.Is(err, fs.ErrPermission) || string(got) != "old" {
		t.Errorf("%v, and the file holds %q", err, got)
	}
}

func TestWriteFileIsAtomic(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	fail := errors.New("broken")
	err := writeFile(path, func(w io.Writer) error {
		w.Write([]byte("half"))
		return fail
	})
	if !errors.Is(err, fail) {
		t.Errorf("error %v, want %v", err, fail)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("file %q after a failure, want the old one", got)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%d files are left, want 1", len(left))
	}
}
