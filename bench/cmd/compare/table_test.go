package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/recur-ml/recur/bench"
)

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		ratio float64
		want  string
	}{{1.09, "equal (1.00 to 2.00)"}, {0.91, "equal (1.00 to 2.00)"}, {1.1, "1.10 (1.00 to 2.00)"}, {0.9, "0.90 (1.00 to 2.00)"}, {2, "2.00 (1.00 to 2.00)"}} {
		r := &result{Ratio: c.ratio, Least: 1, Most: 2}
		if got := r.verdict(); got != c.want {
			t.Errorf("ratio %v: %q, want %q", c.ratio, got, c.want)
		}
	}
}

func TestMarkdown(t *testing.T) {
	r := &report{CPU: "Abacus", Peak: 100, Clock: "cpu", Results: []*result{
		{Name: "a", Group: bench.Operators, Threads: 1, Recur: 1.5, ORT: 3, Ratio: 2, Least: 1.9, Most: 2.1, GFLOPS: 50, OfPeak: 0.5, Difference: 1e-7},
		{Name: "b", Group: threadsGroup, Threads: 2, Recur: 0.01, ORT: 0.01, Ratio: 1, Least: 0.9, Most: 1.1},
		{Name: "c", Group: enginesGroup, Engine: "slow", Threads: 1, Recur: 1, ORT: 2, Ratio: 2, Least: 2, Most: 2, Difference: 1e-7},
	}, Notes: []string{"A note."}}
	text := r.markdown()
	for _, want := range []string{"Abacus", "processor time", "Peak: 100", "| a | 1.50 | 3.00 | 2.00 (1.90 to 2.10) | 50 | 50 % | 1e-07 | 0 |\n",
		"| b, 2 threads | 0.0100 | 0.0100 | equal (0.90 to 1.10) |\n", "| c, slow | 1.00 | 2.00 | 2.00 (2.00 to 2.00) | 1e-07 | 0 |\n", "\nA note.\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in\n%s", want, text)
		}
	}
}

func TestRewrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "README.md")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("before\n" + beginMark + "\nold\n" + endMark + "\nafter\n")
	for range 2 {
		if err := rewrite(path, "new\n"); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if want := "before\n" + beginMark + "\nnew\n" + endMark + "\nafter\n"; err != nil || string(got) != want {
			t.Errorf("%q, want %q; %v", got, want, err)
		}
	}
	write("no marks")
	if err := rewrite(path, "new\n"); err == nil {
		t.Error("a file without marks is no error")
	}
}

// stub is an engine that gives what it is told.
type stub map[string][]float32

func (stub) run() error                              { return nil }
func (stub) close()                                  {}
func (s stub) output(name string) ([]float32, error) { return s[name], nil }

func TestDifference(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		a, b []float32
		want float64
		bad  bool
	}{
		{[]float32{1, 2}, []float32{1, 2.0001}, 1e-4, false},
		{[]float32{1}, []float32{1.001}, 1e-3, true},
		{[]float32{1000}, []float32{1000.05}, 0.05, false},
		{[]float32{nan, inf}, []float32{nan, inf}, 0, false},
		{[]float32{nan}, []float32{1}, 0, true},
		{[]float32{inf}, []float32{-inf}, 0, true},
		{[]float32{1}, []float32{1, 2}, 0, true},
	} {
		got, err := difference(&subject{outputs: []string{"y"}}, stub{"y": c.a}, stub{"y": c.b}, 1e-4)
		if (err != nil) != c.bad || !c.bad && math.Abs(got-c.want) > 1e-2*c.want {
			t.Errorf("%v and %v: %v, %v; want %v, an error: %v", c.a, c.b, got, err, c.want, c.bad)
		}
	}
}
