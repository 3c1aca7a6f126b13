// Command regress compares the benchmarks of two commits:
//
//	go run ./cmd/regress [flags] BASE HEAD
//
// It builds the test binaries of both in temporary working trees, "." being the
// working tree as it is, and runs them in turn, round after round, so that both
// see the same machine. The figure of a benchmark is the median, over the
// rounds, of HEAD's time divided by BASE's. Those beyond the threshold are
// measured once more, and the rounds taken together. Exit codes: 0 fine, 1 a
// benchmark is slower than the threshold allows, 2 it could not be measured.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/recur-ml/recur/bench/internal/timing"
)

func main() {
	slower, err := regress(os.Args[1:])
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "regress:", err)
		os.Exit(2)
	case slower:
		os.Exit(1)
	}
}

// plan is what to run.
type plan struct {
	packages  []string
	pattern   string
	rounds    int
	benchtime string
	cpus      int
	threshold float64
}

func regress(args []string) (slower bool, err error) {
	p := &plan{}
	flags := flag.NewFlagSet("regress", flag.ContinueOnError)
	packages := flags.String("packages", "./runtime", "packages with benchmarks, separated by commas")
	flags.StringVar(&p.pattern, "bench", "^Benchmark(LSTM|GRU|GRUReset|RNN|Demo|Silero|Load)$", "which benchmarks, as go test -bench has it")
	flags.IntVar(&p.rounds, "rounds", 5, "how often both run")
	flags.StringVar(&p.benchtime, "benchtime", "50ms", "time of a benchmark in a round")
	flags.IntVar(&p.cpus, "cpu", 1, "GOMAXPROCS")
	flags.Float64Var(&p.threshold, "threshold", 1.15, "greatest time of HEAD divided by that of BASE")
	if err := flags.Parse(args); err != nil {
		return false, err
	}
	if flags.NArg() != 2 {
		return false, errors.New("want two commits, BASE and HEAD")
	}
	if p.rounds < 1 || p.threshold <= 0 {
		return false, errors.New("want one round or more, and a threshold above 0")
	}
	p.packages = strings.Split(*packages, ",")
	dir, err := os.MkdirTemp("", "recur-regress-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	base, err := newSide(p, dir, "base", flags.Arg(0))
	if err != nil {
		return false, err
	}
	defer base.remove()
	head, err := newSide(p, dir, "head", flags.Arg(1))
	if err != nil {
		return false, err
	}
	defer head.remove()
	return p.compare(base, head)
}

// compare measures and prints a table.
func (p *plan) compare(base, head *side) (slower bool, err error) {
	a, b := samples{}, samples{}
	if err := p.measure(base, head, p.pattern, a, b); err != nil {
		return false, err
	}
	names := shared(a, b)
	if len(names) == 0 {
		return false, fmt.Errorf("no benchmark that both have matches %q", p.pattern)
	}
	if suspects := p.beyond(names, a, b); len(suspects) > 0 {
		if err := p.measure(base, head, only(suspects), a, b); err != nil {
			return false, err
		}
	}
	bad := p.beyond(names, a, b)
	fmt.Printf("%-44s %12s %12s  %s\n", "benchmark", "BASE ns", "HEAD ns", "HEAD / BASE")
	for _, name := range names {
		ratio, least, most := timing.Pair{A: a[name], B: b[name]}.Ratio()
		mark := ""
		if slices.Contains(bad, name) {
			mark = "  slower"
		}
		fmt.Printf("%-44s %12.0f %12.0f  %.2f (%.2f to %.2f)%s\n", name, timing.Median(a[name]), timing.Median(b[name]), ratio, least, most, mark)
	}
	for name := range a {
		if b[name] == nil {
			fmt.Printf("%s: only in BASE\n", name)
		}
	}
	if len(bad) > 0 {
		fmt.Printf("%d of %d benchmarks take more than %.2f times as long\n", len(bad), len(names), p.threshold)
	}
	return len(bad) > 0, nil
}

// samples holds the nanoseconds of an operation in each round, by benchmark.
type samples map[string][]float64

// measure runs both sides in turn. Who comes first changes.
func (p *plan) measure(base, head *side, pattern string, a, b samples) error {
	for round := range p.rounds {
		turns := []func() error{func() error { return base.run(p, pattern, a) }, func() error { return head.run(p, pattern, b) }}
		if round%2 == 1 {
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			if err := turn(); err != nil {
				return err
			}
		}
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, p.rounds)
	}
	return nil
}

// shared lists the benchmarks that were measured as often on both sides.
func shared(a, b samples) []string {
	var names []string
	for name := range a {
		if len(a[name]) == len(b[name]) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// beyond lists those that are slower than the threshold allows.
func (p *plan) beyond(names []string, a, b samples) []string {
	var out []string
	for _, name := range names {
		if ratio, _, _ := (timing.Pair{A: a[name], B: b[name]}).Ratio(); ratio > p.threshold {
			out = append(out, name)
		}
	}
	return out
}

// only is a pattern for go test -bench that matches the given benchmarks and,
// as it goes level by level, perhaps some of their siblings.
func only(names []string) string {
	var levels [][]string
	for _, name := range names {
		for i, part := range strings.Split(name, "/") {
			if i == len(levels) {
				levels = append(levels, nil)
			}
			if part = "^" + regexp.QuoteMeta(part) + "$"; !slices.Contains(levels[i], part) {
				levels[i] = append(levels[i], part)
			}
		}
	}
	parts := make([]string, len(levels))
	for i, l := range levels {
		parts[i] = "(" + strings.Join(l, "|") + ")"
	}
	return strings.Join(parts, "/")
}

// side is one of the two commits.
type side struct {
	tree     string // where its files are
	added    bool   // as a working tree of git's, to be removed
	binaries map[string]string
}

// newSide checks a commit out and builds its test binaries.
func newSide(p *plan, dir, name, commit string) (s *side, err error) {
	root, err := output("git", "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, err
	}
	s = &side{tree: root, binaries: map[string]string{}}
	if commit != "." {
		s.tree, s.added = filepath.Join(dir, name), true
		if _, err := output("git", "-C", root, "worktree", "add", "--detach", s.tree, commit); err != nil {
			return nil, err
		}
	}
	for i, pkg := range p.packages {
		binary := filepath.Join(dir, fmt.Sprintf("%s-%d.test", name, i))
		cmd := exec.Command("go", "test", "-c", "-o", binary, pkg)
		cmd.Dir = s.tree
		if out, err := cmd.CombinedOutput(); err != nil {
			s.remove()
			return nil, fmt.Errorf("%s: go test -c %s: %w\n%s", commit, pkg, err, out)
		}
		s.binaries[pkg] = binary
	}
	return s, nil
}

func (s *side) remove() {
	if s.added {
		if _, err := output("git", "worktree", "remove", "--force", s.tree); err != nil {
			fmt.Fprintln(os.Stderr, "regress:", err)
		}
	}
}

// line is a result of a benchmark, less the suffix of GOMAXPROCS.
var line = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([0-9.e+]+) ns/op`)

// run runs the benchmarks once and appends what they took.
func (s *side) run(p *plan, pattern string, to samples) error {
	for pkg, binary := range s.binaries {
		cmd := exec.Command(binary, "-test.run=^$", "-test.bench="+pattern, "-test.benchtime="+p.benchtime, "-test.cpu="+strconv.Itoa(p.cpus))
		cmd.Dir = filepath.Join(s.tree, pkg)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("benchmarks of %s: %w\n%s", pkg, err, out)
		}
		record(string(out), to)
	}
	return nil
}

// record reads the lines of results. Names get "Benchmark" back.
func record(out string, to samples) {
	for _, m := range line.FindAllStringSubmatch(out, -1) {
		if ns, err := strconv.ParseFloat(m[2], 64); err == nil {
			to["Benchmark"+m[1]] = append(to["Benchmark"+m[1]], ns)
		}
	}
}

func output(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(append([]string{name}, args...), " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}
