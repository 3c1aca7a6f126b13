package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestRecord(t *testing.T) {
	got := samples{}
	record("goos: linux\nBenchmarkLSTM/T=28/B=150-2         \t       2\t  12989630 ns/op\t        69.06 GF/s\t 0 B/op\n"+
		"BenchmarkA-b \t 1000\t 1.5e+03 ns/op\nBenchmarkFine\t 3 \t 0.25 ns/op\nPASS\n", got)
	want := samples{"BenchmarkLSTM/T=28/B=150": {12989630}, "BenchmarkA-b": {1500}, "BenchmarkFine": {0.25}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestOnly(t *testing.T) {
	got := only([]string{"BenchmarkLSTM/T=1/B=1", "BenchmarkDemo/B=1", "BenchmarkLoad"})
	want := `(^BenchmarkLSTM$|^BenchmarkDemo$|^BenchmarkLoad$)/(^T=1$|^B=1$)/(^B=1$)`
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestBeyond(t *testing.T) {
	p := &plan{threshold: 1.15}
	a := samples{"same": {10, 12, 11}, "slow": {10, 10, 10}, "noisy": {10, 10, 10}, "gone": {1}}
	b := samples{"same": {11, 12, 12}, "slow": {12, 12, 13}, "noisy": {90, 10, 10}, "new": {1}}
	names := shared(a, b)
	if !slices.Equal(names, []string{"noisy", "same", "slow"}) {
		t.Errorf("measured on both sides: %v", names)
	}
	if got := p.beyond(names, a, b); !slices.Equal(got, []string{"slow"}) {
		t.Errorf("beyond the threshold: %v, want slow", got)
	}
}

// TestRegress compares two commits of a module whose benchmark became slower.
func TestRegress(t *testing.T) {
	if testing.Short() {
		t.Skip("builds test binaries")
	}
	dir := t.TempDir()
	t.Chdir(dir)
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bench := func(us int) string {
		return fmt.Sprintf("package x\n\nimport (\n\t\"testing\"\n\t\"time\"\n)\n\nfunc BenchmarkWait(b *testing.B) {\n\tfor b.Loop() {\n\t\tfor t := time.Now(); time.Since(t) < %d*time.Microsecond; {\n\t\t}\n\t}\n}\n", us)
	}
	git("init", "-q")
	write("go.mod", "module x\n\ngo 1.24\n")
	write("x_test.go", bench(100))
	git("add", ".")
	git("commit", "-q", "-m", "fast")
	write("x_test.go", bench(200))
	git("commit", "-q", "-a", "-m", "slow")
	for _, c := range []struct {
		base, head string
		slower     bool
	}{{"HEAD~1", "HEAD", true}, {"HEAD", "HEAD~1", false}, {"HEAD~1", ".", true}} {
		slower, err := regress([]string{"-packages", ".", "-bench", "Wait", "-rounds", "3", "-benchtime", "5ms", c.base, c.head})
		if err != nil || slower != c.slower {
			t.Errorf("%s to %s: slower %v, %v; want %v", c.base, c.head, slower, err, c.slower)
		}
	}
	for _, args := range [][]string{{}, {"HEAD"}, {"nothing", "HEAD"}, {"-packages", ".", "-bench", "Nothing", "HEAD~1", "HEAD"}, {"-rounds", "0", "HEAD", "HEAD"}} {
		if _, err := regress(args); err == nil {
			t.Errorf("regress %q: no error", args)
		}
	}
	out, err := exec.Command("git", "worktree", "list").Output()
	if err != nil || strings.Count(string(out), "\n") != 1 {
		t.Errorf("working trees that are left: %s%v", out, err)
	}
}
