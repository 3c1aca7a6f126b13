package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// fake is a session that a function computes.
type fake struct {
	inputs, outputs []string
	run             func(call int, in onnx.Values) (onnx.Values, error)
	calls           *atomic.Int32
}

func declared(names []string) []onnx.ValueInfo {
	var list []onnx.ValueInfo
	for _, n := range names {
		list = append(list, onnx.ValueInfo{Name: n, Type: onnx.TensorType(onnx.Double, nil)})
	}
	return list
}

func (f *fake) Inputs() []onnx.ValueInfo  { return declared(f.inputs) }
func (f *fake) Outputs() []onnx.ValueInfo { return declared(f.outputs) }
func (f *fake) Close() error              { return nil }
func (f *fake) Run(ctx context.Context, in onnx.Values, _ ...string) (onnx.Values, error) {
	call := f.calls.Add(1) - 1
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return f.run(int(call), in)
}

// trialCase is a case against a fake session with the input x and the output
// y, and what must come of it. Files 0.npy to 9.npy hold the scalars 0 to 9.
type trialCase struct {
	name  string
	runs  string // as in a manifest; "": x 1, y 2
	keys  string // more keys of the case
	load  error
	run   func(call int, in onnx.Values) (onnx.Values, error) // nil: y = 2x
	again int

	verdict Verdict
	reason  string
	at      int // the run, counted from 1
	calls   int // 0: any number
}

// double computes y = 2x.
func double(_ int, in onnx.Values) (onnx.Values, error) {
	x, err := onnx.Data[float64](in["x"])
	if err != nil {
		return nil, err
	}
	return onnx.Values{"y": onnx.Scalar(2 * x[0])}, nil
}

// add is a double that also takes and gives a state: y is 2x plus the state,
// which becomes y.
func add(_ int, in onnx.Values) (onnx.Values, error) {
	x, _ := onnx.Data[float64](in["x"])
	s, _ := onnx.Data[float64](in["s"])
	if len(x) == 0 || len(s) == 0 {
		return nil, errors.New("an input is missing")
	}
	y := onnx.Scalar(2*x[0] + s[0])
	return onnx.Values{"y": y, "t": y}, nil
}

func always(v onnx.Values, err error) func(int, onnx.Values) (onnx.Values, error) {
	return func(int, onnx.Values) (onnx.Values, error) { return v, err }
}

const (
	right = `{"in": {"x": "1.npy"}, "out": {"y": "2.npy"}}`
	wrong = `{"in": {"x": "1.npy"}, "out": {"y": "3.npy"}}`
)

func TestVerdicts(t *testing.T) {
	unsupported := onnx.Errorf(onnx.ErrUnsupported, "operator Foo")
	internal := fmt.Errorf("load: %w: index out of range", rt.ErrInternal)
	runTrials(t, []trialCase{
		{name: "right", verdict: Passed, calls: 2},
		{name: "wrong", runs: wrong, verdict: Failed, reason: `output "y": [] is 2, want 3; 1 of 1 differ`, at: 1, calls: 1},
		{name: "no outputs named", runs: `{"in": {"x": "1.npy"}, "out": {}}`, verdict: Passed, calls: 2},
		{name: "the second run", runs: right + "," + wrong, verdict: Failed, reason: "want 3", at: 2, calls: 3},
		{name: "output that is missing", runs: `{"in": {"x": "1.npy"}, "out": {"z": "2.npy"}}`, verdict: Failed, reason: `output "z": output is missing, want one of "y"`, at: 1},
		{name: "declared but not given", run: always(onnx.Values{}, nil), verdict: Failed, reason: "is missing", at: 1},
		{name: "type", run: always(onnx.Values{"y": onnx.Scalar[float32](2)}, nil), verdict: Failed, reason: "type float, want double", at: 1},
		{name: "shape", run: always(onnx.Values{"y": vector(2.0)}, nil), verdict: Failed, reason: "shape [1], want []", at: 1},
		{name: "two outputs", runs: `{"in": {"x": "1.npy"}, "out": {"y": "3.npy", "z": "3.npy"}}`, verdict: Failed, reason: "1 more outputs are wrong", at: 1},
		{name: "the case's tolerance", runs: wrong, keys: `"atol": 1`, verdict: Passed},
		{name: "input that the model lacks", runs: `{"in": {"x": "1.npy", "z": "1.npy"}, "out": {}}`, verdict: Failed, reason: `input "z": no such input; the model has "x", "s"`, at: 1, calls: -1},

		{name: "refused at load", load: unsupported, verdict: Refused, reason: "operator Foo"},
		{name: "refused at run", run: always(nil, onnx.Errorf(onnx.ErrShape, "axis 3")), verdict: Refused, reason: "axis 3", at: 1},
		{name: "refused at the second run", runs: right + "," + right, run: func(call int, in onnx.Values) (onnx.Values, error) {
			if call == 2 {
				return nil, unsupported
			}
			return double(call, in)
		}, verdict: Refused, reason: "operator Foo", at: 2},
		{name: "allowed refusal", keys: `"may_refuse": "why"`, load: unsupported, verdict: Refused, reason: "operator Foo"},
		{name: "allowed to refuse, but wrong", keys: `"may_refuse": "why"`, runs: wrong, verdict: Failed, reason: "want 3", at: 1},
		{name: "internal error at load", load: internal, verdict: Failed, reason: "index out of range"},
		{name: "internal error at load, allowed to refuse", keys: `"may_refuse": "why"`, load: internal, verdict: Failed, reason: "index out of range"},
		{name: "panic", run: func(int, onnx.Values) (onnx.Values, error) { panic("boom") }, verdict: Failed, reason: "panic: boom", at: 1},
		{name: "time-out", run: always(nil, context.DeadlineExceeded), verdict: Failed, reason: "took more than", at: 1},

		{name: "expected error at load", keys: `"expect": "error"`, load: unsupported, verdict: Passed, reason: "operator Foo"},
		{name: "expected error at run", keys: `"expect": "error"`, run: always(nil, unsupported), verdict: Passed, reason: "operator Foo", calls: 1},
		{name: "expected error that does not come", keys: `"expect": "error"`, verdict: Failed, reason: "must be refused", at: 1, calls: 1},
		{name: "expected error that comes too late", keys: `"expect": "error"`, runs: right + "," + right, run: func(call int, in onnx.Values) (onnx.Values, error) {
			if call > 0 {
				return nil, unsupported
			}
			return double(call, in)
		}, verdict: Failed, reason: "must be refused", at: 1},
		{name: "expected error, outputs ignored", keys: `"expect": "error"`, runs: wrong, load: unsupported, verdict: Passed, reason: "Foo"},
		{name: "a fault is no expected error", keys: `"expect": "error"`, load: internal, verdict: Failed, reason: "index out of range"},
		{name: "a panic is no expected error", keys: `"expect": "error"`, run: func(int, onnx.Values) (onnx.Values, error) { panic("boom") }, verdict: Failed, reason: "boom", at: 1},
		{name: "missing data is no expected error", keys: `"expect": "error"`, runs: `{"in": {"x": "none.npy"}, "out": {}}`, verdict: Failed, reason: "none.npy", at: 1},
		{name: "a misspelt input is no expected error", keys: `"expect": "error"`, runs: `{"in": {"X": "1.npy"}, "out": {}}`, verdict: Failed, reason: `"X"`, at: 1, calls: -1},
		{name: "missing expected data", runs: `{"in": {"x": "1.npy"}, "out": {"y": "none.npy"}}`, verdict: Failed, reason: `output "y": none.npy`, at: 1},

		{name: "skip numbers", runs: wrong, keys: `"skip_numbers": "random"`, verdict: Passed, calls: 2},
		{name: "skip numbers, not shapes", keys: `"skip_numbers": "random"`, run: always(onnx.Values{"y": vector(2.0)}, nil), verdict: Failed, reason: "shape", at: 1},
		{name: "skip numbers, not names", keys: `"skip_numbers": "random"`, run: always(onnx.Values{}, nil), verdict: Failed, reason: "missing", at: 1},

		{name: "unknown format", keys: `"FORMAT": "caffe"`, verdict: Refused, reason: `unknown format "caffe"`, calls: -1},
		{name: "format without a converter", keys: `"FORMAT": "keras_h5"`, verdict: Refused, reason: `format "keras_h5"`, calls: -1},
		{name: "another format is no expected error", keys: `"FORMAT": "keras", "expect": "error"`, verdict: Refused, reason: `format "keras"`, calls: -1},
		{name: "weights beside ONNX", keys: `"weights": "w.h5"`, verdict: Refused, reason: "w.h5", calls: -1},
		{name: "options with ONNX", keys: `"options": {"signature": "s"}`, verdict: Refused, reason: "options", calls: -1},
	})
}

func TestRunsAreMadeAgain(t *testing.T) {
	drift := func(call int, in onnx.Values) (onnx.Values, error) {
		return onnx.Values{"y": onnx.Scalar(2 + float64(call)*1e-9)}, nil
	}
	runTrials(t, []trialCase{
		{name: "within the tolerance, other bits", run: drift, verdict: Failed, reason: `output "y": made again, [] is 2.000000001, want 2`, at: 1, calls: 2},
		{name: "an output that is not named", run: func(call int, in onnx.Values) (onnx.Values, error) {
			return onnx.Values{"y": onnx.Scalar(2.0), "z": onnx.Scalar(int64(call))}, nil
		}, verdict: Failed, reason: `output "z": made again`, at: 1},
		{name: "random", keys: `"skip_numbers": "random"`, run: drift, verdict: Passed, calls: 2},
		{name: "never", run: drift, again: -1, verdict: Passed, calls: 1},
		{name: "from several goroutines", again: 8, verdict: Passed, calls: 9},
		{name: "from several goroutines, one differs", again: 8, run: func(call int, in onnx.Values) (onnx.Values, error) {
			return onnx.Values{"y": onnx.Scalar(2 + float64(call/8)*1e-9)}, nil
		}, verdict: Failed, reason: "made again", at: 1},
		{name: "a panic in a goroutine", again: 3, run: func(call int, in onnx.Values) (onnx.Values, error) {
			if call == 2 {
				panic("boom")
			}
			return double(call, in)
		}, verdict: Failed, reason: "panic: boom", at: 1},
		{name: "an error the second time", run: func(call int, in onnx.Values) (onnx.Values, error) {
			if call == 1 {
				return nil, onnx.Errorf(onnx.ErrLimit, "memory")
			}
			return double(call, in)
		}, verdict: Failed, reason: "made again: memory", at: 1},
		{name: "not in a sequence", keys: `"sequence": true`, run: drift, verdict: Passed, calls: 1},
	})
}

func TestSequences(t *testing.T) {
	carry := `"sequence": true, "carry": {"t": "s"}`
	first := `{"in": {"x": "1.npy", "s": "0.npy"}, "out": {"y": "2.npy"}}`
	runTrials(t, []trialCase{
		{name: "carried", runs: first + `, {"in": {"x": "1.npy"}, "out": {"y": "4.npy"}}, {"in": {"x": "2.npy"}, "out": {"y": "8.npy"}}`, keys: carry, run: add, verdict: Passed, calls: 3},
		{name: "named again", runs: first + `, {"in": {"x": "1.npy", "s": "5.npy"}, "out": {"y": "7.npy"}}`, keys: carry, run: add, verdict: Passed},
		{name: "wrong, and the rest is not run", runs: first + `, {"in": {"x": "1.npy"}, "out": {"y": "2.npy"}}, {"in": {"x": "1.npy"}, "out": {"y": "6.npy"}}`, keys: carry, run: add, verdict: Failed, reason: "is 4, want 2", at: 2, calls: 2},
		{name: "nothing to carry", runs: first + `, {"in": {"x": "1.npy"}, "out": {"y": "4.npy"}}`, keys: `"sequence": true, "carry": {"u": "s"}`, run: add, verdict: Failed, reason: `output "u", which is carried to "s", is missing`, at: 1},
		{name: "state in the model", runs: right + `, {"in": {"x": "1.npy"}, "out": {"y": "3.npy"}}`, keys: `"sequence": true`, run: func(call int, in onnx.Values) (onnx.Values, error) {
			return onnx.Values{"y": onnx.Scalar(2 + float64(call))}, nil
		}, verdict: Passed, calls: 2},
		{name: "not carried without a sequence", runs: first + `, {"in": {"x": "1.npy"}, "out": {"y": "4.npy"}}`, run: add, verdict: Refused, reason: "an input is missing", at: 2},
	})
}

func runTrials(t *testing.T, cases []trialCase) {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"m.onnx": ""}
	for i := range 10 {
		files[fmt.Sprintf("%d.npy", i)] = npy(t, onnx.Scalar(float64(i)))
	}
	write(t, dir, files)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			k := c.parse(t, dir)
			calls := &atomic.Int32{}
			r := &Runner{Again: c.again, Load: func(string) (Session, error) {
				s := &fake{inputs: []string{"x", "s"}, outputs: []string{"y"}, run: c.run, calls: calls}
				if s.run == nil {
					s.run = double
				}
				return s, c.load
			}}
			got := r.Run(t.Context(), k)
			if got.Verdict != c.verdict || !strings.Contains(got.Reason, c.reason) || got.Run != c.at-1 {
				t.Errorf("%v, run %d: %q; want %v, run %d: %q", got.Verdict, got.Run, got.Reason, c.verdict, c.at-1, c.reason)
			}
			if n := int(calls.Load()); c.calls != 0 && n != max(c.calls, 0) {
				t.Errorf("%d calls, want %d", n, max(c.calls, 0))
			}
			if got.Allowed() != (c.verdict == Refused && k.MayRefuse != "") {
				t.Errorf("allowed: %v", got.Allowed())
			}
		})
	}
}

// parse makes the case that the keys describe.
func (c trialCase) parse(t *testing.T, dir string) *Case {
	t.Helper()
	runs, keys, format := c.runs, c.keys, "onnx"
	if runs == "" {
		runs = right
	}
	if rest, ok := strings.CutPrefix(keys, `"FORMAT": "`); ok { // in place of the format that is there
		format, keys, _ = strings.Cut(rest, `"`)
		keys = strings.TrimPrefix(keys, ", ")
	}
	if keys != "" {
		keys = ", " + keys
	}
	m, err := parse([]byte(fmt.Sprintf(`{"version": 1, "rtol": 0, "atol": 1e-6, "cases": [{"id": "a", "model": "m.onnx", "format": %q, "runs": [%s]%s}]}`, format, runs, keys)), dir)
	if err != nil {
		t.Fatal(err)
	}
	return m.Cases[0]
}

func TestModelThatIsNotThere(t *testing.T) {
	for _, expect := range []bool{false, true} {
		c := &Case{ID: "a", Dir: t.TempDir(), Model: "no.onnx", Format: "onnx", Runs: []Call{{}}, ExpectError: expect}
		if got := new(Runner).Run(t.Context(), c); got.Verdict != Failed || !strings.Contains(got.Reason, "no.onnx") {
			t.Errorf("expect error %v: %v: %q, want it failed", expect, got.Verdict, got.Reason)
		}
	}
}

func TestTolerancesAreReplaced(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"m.onnx": "", "1.npy": npy(t, onnx.Scalar(1.0)), "3.npy": npy(t, onnx.Scalar(3.0))})
	loose, strict := 1.0, 0.0
	for _, c := range []struct {
		name       string
		rtol, atol *float64
		keys       string
		want       Verdict
	}{
		{"looser", nil, &loose, "", Passed},
		{"relative", &loose, nil, "", Passed},
		{"stricter than the case", nil, &strict, `"atol": 5`, Failed},
		{"stricter than the case's rtol", &strict, nil, `"rtol": 5`, Failed},
		{"only the other", nil, &strict, `"rtol": 5`, Passed},
	} {
		k := trialCase{runs: wrong, keys: c.keys}.parse(t, dir)
		r := &Runner{Rtol: c.rtol, Atol: c.atol, Load: func(string) (Session, error) {
			return &fake{inputs: []string{"x"}, outputs: []string{"y"}, run: double, calls: &atomic.Int32{}}, nil
		}}
		if got := r.Run(t.Context(), k); got.Verdict != c.want {
			t.Errorf("%s: %v: %q, want %v", c.name, got.Verdict, got.Reason, c.want)
		}
	}
}

func TestTimeout(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"m.onnx": "", "1.npy": npy(t, onnx.Scalar(1.0)), "2.npy": npy(t, onnx.Scalar(2.0))})
	k := trialCase{keys: `"expect": "error"`}.parse(t, dir)
	r := &Runner{Timeout: time.Millisecond, Load: func(string) (Session, error) { return slow{}, nil }}
	if got := r.Run(t.Context(), k); got.Verdict != Failed || !strings.Contains(got.Reason, "more than 1ms") {
		t.Errorf("%v: %q, want it failed for its time", got.Verdict, got.Reason)
	}
}

// slow is a session that waits for the end of its time.
type slow struct{}

func (slow) Inputs() []onnx.ValueInfo  { return declared([]string{"x"}) }
func (slow) Outputs() []onnx.ValueInfo { return declared([]string{"y"}) }
func (slow) Close() error              { return nil }
func (slow) Run(ctx context.Context, _ onnx.Values, _ ...string) (onnx.Values, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestRuntime runs real models, by name and by position, random ones too.
func TestRuntime(t *testing.T) {
	dir := t.TempDir()
	x, y := vector[float32](1, -2), vector[float32](1, 0)
	model := func(op string, opset int64, attrs ...*onnx.Attribute) string {
		f := onnx.TensorType(onnx.Float, onnx.FixedShape(2))
		data, err := onnx.Encode(&onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: opset}}, Graph: &onnx.Graph{Name: "g",
			Nodes:        []*onnx.Node{{OpType: op, Inputs: []string{"x"}, Outputs: []string{"y"}, Attributes: attrs}},
			Inputs:       []onnx.ValueInfo{{Name: "w", Type: f}, {Name: "x", Type: f}},
			Outputs:      []onnx.ValueInfo{{Name: "y", Type: f}},
			Initializers: []*onnx.Initializer{{Name: "w", Tensor: x}}}})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	write(t, dir, map[string]string{
		"relu/model.onnx": model("Relu", 14), "relu/test_data_set_0/input_0.pb": pb(t, x), "relu/test_data_set_0/output_0.pb": pb(t, y),
		"m.onnx": model("Relu", 14), "x.npy": npy(t, x), "y.npy": npy(t, y), "bad.onnx": "no model", "foo.onnx": model("Foo", 14),
		"random.onnx": model("RandomUniformLike", 1),
	})
	in := `"format": "onnx", "runs": [{"in": {"x": "x.npy"}, "out": {"y": "y.npy"}}]}`
	manifest, err := parse([]byte(`{"version": 1, "cases": [{"id": "relu", "model": "m.onnx", `+in+`,
	 {"id": "default", "model": "m.onnx", "format": "onnx", "runs": [{"in": {"x": "x.npy", "w": "x.npy"}, "out": {"y": "y.npy"}}]},
	 {"id": "bad", "model": "bad.onnx", "expect": "error", `+in+`, {"id": "foo", "model": "foo.onnx", `+in+`,
	 {"id": "random", "model": "random.onnx", "skip_numbers": "random", `+in+`]}`), dir)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := discoverPlain(dir)
	if err != nil || len(plain) != 1 {
		t.Fatal(plain, err)
	}
	want := map[string]Verdict{"relu": Passed, "default": Passed, "bad": Passed, "foo": Refused, "random": Passed}
	for _, c := range append(manifest.Cases, plain[0].Cases...) {
		got := new(Runner).Run(t.Context(), c)
		if c.ID == "random" && got.Verdict == Refused { // without the operator
			continue
		}
		if got.Verdict != want[c.ID] {
			t.Errorf("%s: %v: %q, want %v", c.ID, got.Verdict, got.Reason, want[c.ID])
		}
		if strings.Contains(got.Reason, dir) {
			t.Errorf("%s: the reason repeats the path: %q", c.ID, got.Reason)
		}
	}
}
