package verify

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// outcome is an end before all was right. It serves as an error among the
// functions below.
type outcome struct {
	verdict Verdict
	reason  string
}

func (o *outcome) Error() string { return o.reason }

func failf(format string, args ...any) error { return &outcome{Failed, fmt.Sprintf(format, args...)} }

func refusef(format string, args ...any) error {
	return &outcome{Refused, fmt.Sprintf(format, args...)}
}

// trial is a case being run.
type trial struct {
	r          *Runner
	c          *Case
	store      *store
	path       string // of the model
	session    Session
	random     bool // the outputs differ from run to run
	run        int
	mismatches []*Mismatch
}

// result makes a Result of how the trial ended; nil is well.
func (t *trial) result(err error) Result {
	res := Result{Case: t.c, Verdict: Passed, Run: -1}
	var end *outcome
	switch {
	case err == nil:
		return res
	case errors.As(err, &end):
		res.Verdict, res.Reason = end.verdict, end.reason
	default:
		res.Verdict, res.Reason = Failed, err.Error()
	}
	if res.Verdict != Passed {
		res.Run, res.Mismatches = t.run, t.mismatches
	}
	return res
}

func (t *trial) do(ctx context.Context) error {
	if err := checkFormat(t.c); err != nil {
		return err
	}
	store, err := openStore(t.c.Dir, t.r.Limits)
	if err != nil {
		return err
	}
	defer store.close()
	t.store = store
	if err := t.load(); err != nil {
		return t.expected(err)
	}
	defer t.session.Close()
	t.random = t.c.SkipNumbers != "" || isRandom(t.session)
	var carried onnx.Values
	for i, call := range t.c.Runs {
		t.run = i
		out, err := t.call(ctx, call, carried)
		if err != nil {
			return t.expected(err)
		}
		if t.c.ExpectError {
			return failf("ran, but must be refused")
		}
		if carried, err = t.carry(out); err != nil {
			return err
		}
	}
	return nil
}

// checkFormat refuses what this package cannot load.
func checkFormat(c *Case) error {
	switch {
	case !slices.Contains(formats, c.Format):
		return refusef("unknown format %q; there are %s", c.Format, strings.Join(formats, ", "))
	case c.Format != "onnx":
		return refusef("format %q: there is no converter from it", c.Format)
	case c.Weights != "":
		return refusef(`format "onnx" with a second file of weights, %q`, c.Weights)
	case len(c.Options) > 0:
		return refusef(`format "onnx" with options: it has none`)
	}
	return nil
}

// expected turns a refusal into what the case expects, if it does.
func (t *trial) expected(err error) error {
	var end *outcome
	if t.c.ExpectError && errors.As(err, &end) && end.verdict == Refused {
		return &outcome{Passed, end.reason}
	}
	return err
}

func (t *trial) load() error {
	path, err := t.store.path(t.c.Model)
	if err != nil {
		return failf("%s: %v", t.c.Model, err)
	}
	t.path = path
	if t.r.Load != nil {
		t.session, err = t.r.Load(path)
	} else {
		t.session, err = rt.Load(path, t.r.Options...)
	}
	return t.judge(err)
}

// judge tells a refusal from a fault of the engine.
func (t *trial) judge(err error) error {
	if err == nil {
		return nil
	}
	reason := strings.ReplaceAll(err.Error(), t.path+": ", "")
	switch {
	case errors.Is(err, rt.ErrInternal):
		return failf("%s", reason)
	case errors.Is(err, context.DeadlineExceeded):
		return failf("took more than %v", t.r.Timeout)
	case errors.Is(err, context.Canceled):
		return failf("interrupted")
	}
	return refusef("%s", reason)
}

// call makes one call of the model, again if that is to give the same, and
// compares the outputs.
func (t *trial) call(ctx context.Context, call Call, carried onnx.Values) (onnx.Values, error) {
	in := onnx.Values{}
	for name, v := range carried {
		in[name] = v
	}
	for _, n := range call.In {
		name, v, err := t.value(n, t.inputs())
		if err != nil {
			return nil, failf("input %q: %v", n.Name, err)
		}
		in[name] = v
	}
	out, err := t.compute(ctx, in)
	if err != nil {
		return nil, err
	}
	if t.c.ExpectError {
		return out, nil
	}
	if err := t.compare(out, call.Out); err != nil {
		return nil, err
	}
	return out, t.again(ctx, in, out)
}

// inputs are all that the model takes, those with a default included.
func (t *trial) inputs() []onnx.ValueInfo {
	list := t.session.Inputs()
	if s, ok := t.session.(*rt.Session); ok && !t.c.Positional {
		return append(slices.Clip(list), s.Model().Graph.Inputs...)
	}
	return list
}

// value reads a value and gives its name in the model, which must be one of
// the declared.
func (t *trial) value(n Named, declared []onnx.ValueInfo) (string, onnx.Value, error) {
	info, ok := t.find(n.Name, declared)
	if !ok {
		return "", nil, fmt.Errorf("no such input; the model has %s", names(declared))
	}
	ref := n.Ref
	if t.c.Positional {
		ref.Kind = info.Type.Kind
	}
	v, err := t.store.value(ref)
	return info.Name, v, err
}

// find looks a name, or a place, up in a list of declarations.
func (t *trial) find(name string, declared []onnx.ValueInfo) (onnx.ValueInfo, bool) {
	for i, d := range declared {
		if t.c.Positional && fmt.Sprint(i) == name || !t.c.Positional && d.Name == name {
			return d, true
		}
	}
	return onnx.ValueInfo{}, false
}

func names(list []onnx.ValueInfo) string {
	var quoted []string
	for _, v := range list {
		if q := fmt.Sprintf("%q", v.Name); !slices.Contains(quoted, q) {
			quoted = append(quoted, q)
		}
	}
	if quoted == nil {
		return "none"
	}
	return strings.Join(quoted, ", ")
}

func (t *trial) compute(ctx context.Context, in onnx.Values) (out onnx.Values, err error) {
	defer func() {
		if p := recover(); p != nil { // also in the goroutines of again
			err = failf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if t.r.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.r.Timeout)
		defer cancel()
	}
	out, err = t.session.Run(ctx, in)
	return out, t.judge(err)
}

// compare holds the outputs against those that the run names.
func (t *trial) compare(out onnx.Values, want []Named) error {
	tol := Tolerance{Rtol: t.c.Rtol, Atol: t.c.Atol, Int: t.c.IntAtol, SkipNumbers: t.c.SkipNumbers != ""}
	if t.r.Rtol != nil {
		tol.Rtol = *t.r.Rtol
	}
	if t.r.Atol != nil {
		tol.Atol = *t.r.Atol
	}
	for _, n := range want {
		info, declared := t.find(n.Name, t.session.Outputs())
		got := out[info.Name]
		if !declared || got == nil {
			m := &Mismatch{Output: n.Name, What: "output", Got: "is missing", Want: "one of " + names(t.session.Outputs())}
			t.mismatches = append(t.mismatches, m)
			continue
		}
		_, v, err := t.value(n, t.session.Outputs())
		if err != nil {
			return failf("output %q: %v", n.Name, err)
		}
		if m := Compare(got, v, tol); m != nil {
			m.Output = info.Name
			t.mismatches = append(t.mismatches, m)
		}
	}
	return t.mismatched("")
}

// mismatched makes an error of the outputs that are wrong, if there are.
func (t *trial) mismatched(note string) error {
	if len(t.mismatches) == 0 {
		return nil
	}
	reason := fmt.Sprintf("output %q: %s%v", t.mismatches[0].Output, note, t.mismatches[0])
	if more := len(t.mismatches) - 1; more > 0 {
		reason += fmt.Sprintf("; %d more outputs are wrong", more)
	}
	return failf("%s", reason)
}

// again makes an independent run more often on the same session. The results
// must be the same bits, unless the model draws random numbers.
func (t *trial) again(ctx context.Context, in, first onnx.Values) error {
	times := t.r.Again
	if times == 0 {
		times = 1
	}
	if t.c.Sequence || times < 0 {
		return nil
	}
	results := make([]onnx.Values, times)
	errs := make([]error, times)
	var wg sync.WaitGroup
	for i := 1; i < times; i++ {
		wg.Go(func() { results[i], errs[i] = t.compute(ctx, in) })
	}
	results[0], errs[0] = t.compute(ctx, in)
	wg.Wait()
	for i, out := range results {
		if errs[i] != nil {
			return failf("the same run, made again: %v", errs[i])
		}
		if t.random {
			continue
		}
		for _, name := range sortedNames(first) {
			if out[name] == nil {
				return failf("the same run, made again: output %q is missing", name)
			}
			if m := identical(out[name], first[name]); m != nil {
				m.Output = name
				t.mismatches = append(t.mismatches, m)
			}
		}
		if err := t.mismatched("made again, "); err != nil {
			return err
		}
	}
	return nil
}

func sortedNames(values onnx.Values) []string {
	var list []string
	for name := range values {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// carry picks the outputs that are inputs of the next run.
func (t *trial) carry(out onnx.Values) (onnx.Values, error) {
	next := onnx.Values{}
	for from, to := range t.c.Carry {
		if out[from] == nil {
			return nil, failf("output %q, which is carried to %q, is missing; the model has %s", from, to, names(t.session.Outputs()))
		}
		next[to] = out[from]
	}
	return next, nil
}
