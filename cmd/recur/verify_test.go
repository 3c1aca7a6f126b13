package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/recur-ml/recur/internal/verify"
	"github.com/recur-ml/recur/onnx"
)

// suite makes a folder with a verify.json of these cases, a model relu.onnx
// (x to y, two floats) and the values minus, zero and one of it.
func suite(t *testing.T, cases ...string) string {
	t.Helper()
	dir := t.TempDir()
	save := func(name string, data []byte, err error) {
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	f := onnx.TensorType(onnx.Float, onnx.FixedShape(2))
	model := func(op string) ([]byte, error) {
		return onnx.Encode(&onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 14}}, Graph: &onnx.Graph{Name: "g",
			Nodes:   []*onnx.Node{{Name: "n", OpType: op, Inputs: []string{"x"}, Outputs: []string{"y"}}},
			Inputs:  []onnx.ValueInfo{{Name: "x", Type: f}},
			Outputs: []onnx.ValueInfo{{Name: "y", Type: f}}}})
	}
	data, err := model("Relu")
	save("relu.onnx", data, err)
	data, err = model("Foo")
	save("foo.onnx", data, err)
	for name, v := range map[string]float32{"minus": -1, "zero": 0, "one": 1} {
		var b bytes.Buffer
		err := onnx.WriteNPY(&b, onnx.MustTensor([]int{2}, []float32{v, 0}))
		save(name+".npy", b.Bytes(), err)
	}
	save("verify.json", []byte(`{"version": 1, "rtol": 0, "atol": 1e-6, "cases": [`+strings.Join(cases, ",\n")+`]}`), nil)
	return dir
}

// reluCase is a case of suite that gives zero.
func reluCase(id, want, more string) string { return caseWith(id, "relu", "onnx", want, more) }

func caseWith(id, model, format, want, more string) string {
	if more != "" {
		more = ", " + more
	}
	return `{"id": "` + id + `", "model": "` + model + `.onnx", "format": "` + format + `", "runs": [{"in": {"x": "minus.npy"}, "out": {"y": "` + want + `.npy"}}]` + more + `}`
}

func TestVerifyExitCodes(t *testing.T) {
	good, bad := reluCase("good", "zero", ""), reluCase("bad", "one", "")
	refuses, may := caseWith("no", "foo", "onnx", "zero", ""), caseWith("may", "foo", "onnx", "zero", `"may_refuse": "no Foo"`)
	expected := caseWith("expected", "foo", "onnx", "zero", `"expect": "error"`)
	keras := caseWith("keras", "relu", "keras", "zero", "")
	closing := func(passed, failed, refused string) []string {
		return []string{passed + " passed, " + failed + " failed, " + refused + " refused\n"}
	}
	var cases []commandCase
	for _, c := range []struct {
		name  string
		cases []string
		code  int
		out   []string
		err   []string
	}{
		{"all passed", []string{good, expected}, exitOK, closing("2", "0", "0"), nil},
		{"one failed", []string{good, bad}, exitMismatch, append([]string{`failed   bad: run 0, output "y": [0] is 0, want 1; 1 of 2 differ` + "\n"}, closing("1", "1", "0")...), nil},
		{"one refused", []string{good, refuses}, exitUnsupported, append([]string{"refused  no: ", "Foo", "\n"}, closing("1", "0", "1")...), nil},
		{"one may refuse", []string{good, may}, exitOK, append([]string{"refused  may: ", "(may refuse: no Foo)\n"}, closing("1", "0", "1")...), nil},
		{"failed and refused", []string{bad, refuses}, exitMismatch, closing("0", "1", "1"), nil},
		{"only allowed refusals", []string{may}, exitUnsupported, closing("0", "0", "1"), []string{"no case ran"}},
		{"only a failure", []string{bad, may}, exitMismatch, closing("0", "1", "1"), nil},
		{"only an expected error", []string{expected}, exitOK, closing("1", "0", "0"), nil},
		{"expected error that does not come", []string{reluCase("a", "zero", `"expect": "error"`)}, exitMismatch, append([]string{"must be refused"}, closing("0", "1", "0")...), nil},
		{"format without a converter", []string{good, keras}, exitUnsupported, append([]string{`refused  keras: format "keras"`}, closing("1", "0", "1")...), nil},
		{"data that is not there", []string{reluCase("a", "two", "")}, exitMismatch, append([]string{"two.npy"}, closing("0", "1", "0")...), nil},
		{"no case in the file", nil, exitUsage, nil, []string{"no case found"}},
	} {
		cases = append(cases, commandCase{name: c.name, args: []string{"verify", suite(t, c.cases...)}, code: c.code, out: c.out, err: c.err, silent: c.out == nil})
	}
	runCases(t, cases)
}

func TestVerifyChoices(t *testing.T) {
	dir := suite(t, reluCase("a_1", "zero", `"tags": ["lstm", "reverse"]`), reluCase("a_2", "one", `"tags": ["lstm"]`), caseWith("k", "relu", "keras", "zero", `"may_refuse": "x"`))
	v := func(args ...string) []string { return append([]string{"verify", dir}, args...) }
	runCases(t, []commandCase{
		{name: "run", args: v("--run", "_1$"), out: []string{"1 passed, 0 failed, 0 refused"}},
		{name: "run, anywhere in the id", args: v("--run", "a"), code: exitMismatch, out: []string{"1 passed, 1 failed, 0 refused"}},
		{name: "tags", args: v("--tags", "reverse,lstm"), out: []string{"1 passed, 0 failed, 0 refused"}},
		{name: "tags in two flags", args: v("--tags", "lstm", "--tags", "reverse"), out: []string{"1 passed, 0 failed, 0 refused"}},
		{name: "one tag", args: v("--tags", "lstm"), code: exitMismatch, out: []string{"1 passed, 1 failed, 0 refused"}},
		{name: "format", args: v("--format", "keras"), code: exitUnsupported, out: []string{"0 passed, 0 failed, 1 refused"}, err: []string{"no case ran"}},
		{name: "nothing", args: v("--tags", "LSTM", "--run", "a"), code: exitUsage, silent: true, err: []string{"none of 3 cases is chosen by --run a --tags LSTM; did you mean \"lstm\"?"}},
		{name: "the same path twice", args: append(v("--run", "_1$"), filepath.Join(dir, "verify.json")), out: []string{"1 passed, 0 failed, 0 refused"}},
		{name: "looser", args: v("--run", "a", "--atol", "1"), out: []string{"2 passed, 0 failed, 0 refused"}},
		{name: "relatively looser", args: v("--run", "a", "--rtol", "1"), out: []string{"2 passed, 0 failed, 0 refused"}},
		{name: "no passes", args: v("--run", "_1$", "--passes", "none", "--threads", "1", "--engine", "go"), out: []string{"1 passed"}},
		{name: "negative tolerance", args: v("--atol", "-1"), code: exitUsage, silent: true, err: []string{"--atol -1"}},
		{name: "tolerance that is no number", args: v("--rtol", "NaN"), code: exitUsage, silent: true, err: []string{"--rtol NaN"}},
		{name: "expression", args: v("--run", "("), code: exitUsage, silent: true, err: []string{"--run: error parsing regexp"}},
		{name: "engine", args: v("--engine", "abacus"), code: exitUsage, silent: true, err: []string{`no engine "abacus"; there is `}},
		{name: "pass", args: v("--passes", "magic"), code: exitUsage, silent: true, err: []string{`no pass "magic"`}},
		{name: "unknown format", args: v("--format", "caffe"), code: exitUsage, silent: true, err: []string{`no format "caffe"; there are onnx, `}},
		{name: "time", args: v("--timeout", "-1s"), code: exitUsage, silent: true, err: []string{"--timeout -1s"}},
		{name: "no path", args: []string{"verify"}, code: exitUsage, silent: true, err: []string{"one or more PATH"}},
		{name: "no such path", args: []string{"verify", filepath.Join(dir, "nowhere")}, code: exitUsage, silent: true, err: []string{"nowhere"}},
		{name: "empty folder", args: []string{"verify", t.TempDir()}, code: exitUsage, silent: true, err: []string{"no case found in"}},
		{name: "a limit", args: v("--run", "_1$", "--max-file", "10B"), code: exitUnsupported, out: []string{"refused  a_1: ", "limit", "0 passed, 0 failed, 1 refused"}},
	})
}

func TestVerifyManifests(t *testing.T) {
	file := func(text string) []string {
		path := filepath.Join(t.TempDir(), "verify.json")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return []string{"verify", path}
	}
	runCases(t, []commandCase{
		{name: "not JSON", args: file("cases:"), code: exitMismatch, silent: true, err: []string{"verify.json: line 1"}},
		{name: "misspelt key", args: file(`{"version": 1, "cases": [` + reluCase("a", "zero", `"int_tol": 1`) + `]}`), code: exitMismatch, silent: true,
			err: []string{`verify.json: case "a": unknown key "int_tol"`}},
		{name: "version", args: file(`{"version": 2, "cases": []}`), code: exitUnsupported, silent: true, err: []string{"version 2"}},
	})
}

func TestVerifySeveralManifests(t *testing.T) {
	a, b := suite(t, reluCase("x", "one", "")), suite(t, reluCase("x", "zero", ""))
	code, out, err := command(t, "", "verify", a, b)
	if code != exitMismatch || err != "" {
		t.Errorf("exit code %d, stderr %q", code, err)
	}
	wantParts(t, "stdout", out, []string{"failed   " + filepath.ToSlash(a) + "/x: run 0", "1 passed, 1 failed, 0 refused\n"})
}

func TestVerifyTestData(t *testing.T) {
	from, dir := suite(t), filepath.Join(t.TempDir(), "test_relu")
	if err := os.MkdirAll(filepath.Join(dir, "test_data_set_0"), 0o755); err != nil {
		t.Fatal(err)
	}
	model, err := os.ReadFile(filepath.Join(from, "relu.onnx"))
	for name, v := range map[string]float32{"input_0": -1, "output_0": 0} {
		data, err := onnx.EncodeTensor(onnx.MustTensor([]int{2}, []float32{v, 0}), "")
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "test_data_set_0", name+".pb"), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "model.onnx"), model, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	runCases(t, []commandCase{
		{name: "the folder above", args: []string{"verify", filepath.Dir(dir)}, out: []string{"1 passed, 0 failed, 0 refused\n"}},
		{name: "by name", args: []string{"verify", filepath.Dir(dir), "--run", "^test_relu$"}, out: []string{"1 passed, 0 failed, 0 refused\n"}},
		{name: "the folder", args: []string{"verify", dir}, out: []string{"1 passed, 0 failed, 0 refused\n"}},
	})
}

// verifyReport is what --json writes, read strictly.
type verifyReport struct {
	header
	Passed, Failed, Refused int
	Cases                   []verifyRow
}

func TestVerifyJSON(t *testing.T) {
	dir := suite(t, reluCase("good", "zero", `"tags": ["t"]`), reluCase("bad", "one", ""), caseWith("may", "foo", "onnx", "zero", `"may_refuse": "no Foo"`))
	path := filepath.Join(t.TempDir(), "r.json")
	code, out, _ := command(t, "", "verify", dir, "--json", path)
	wantParts(t, "stdout", out, []string{"failed   bad", "refused  may", "1 passed, 1 failed, 1 refused\n"})
	data, err := os.ReadFile(path)
	if err != nil || code != exitMismatch {
		t.Fatal(code, err)
	}
	codeToo, toStdout, stderr := command(t, "", "verify", dir, "--json", "-")
	wantParts(t, "stderr", stderr, []string{"failed   bad", "1 passed, 1 failed, 1 refused\n"})
	if codeToo != code {
		t.Errorf("exit code %d with --json -, want %d", codeToo, code)
	}
	seconds := regexp.MustCompile(`"seconds": [^\n]*`)
	if a, b := seconds.ReplaceAllString(string(data), ""), seconds.ReplaceAllString(toStdout, ""); a != b {
		t.Errorf("the file has\n%s\nstdout\n%s", a, b)
	}
	var r verifyReport
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatal(err)
	}
	if r.SchemaVersion != schemaVersion || r.Command != "verify" || r.Passed != 1 || r.Failed != 1 || r.Refused != 1 || len(r.Cases) != 3 {
		t.Fatalf("report %+v", r)
	}
	good, bad, may := r.Cases[0], r.Cases[1], r.Cases[2]
	if good.ID != "good" || good.Verdict != "passed" || good.Run != nil || len(good.Tags) != 1 || good.Manifest != filepath.Join(dir, "verify.json") {
		t.Errorf("passed: %+v", good)
	}
	if bad.Verdict != "failed" || bad.Run == nil || *bad.Run != 0 || len(bad.Outputs) != 1 {
		t.Fatalf("failed: %+v", bad)
	}
	if w := bad.Outputs[0]; w.Output != "y" || w.What != "element" || len(w.Index) != 1 || w.Index[0] != 0 || w.Got != "0" || w.Want != "1" || w.Differ != 1 || w.Of != 2 {
		t.Errorf("output: %+v", w)
	}
	if may.Verdict != "refused" || may.MayRefuse != "no Foo" || !strings.Contains(may.Reason, "Foo") {
		t.Errorf("refused: %+v", may)
	}
}

func TestVerifyLostJSON(t *testing.T) {
	dir := suite(t, reluCase("good", "zero", ""))
	code, out, err := command(t, "", "verify", dir, "--json", filepath.Join(dir, "nowhere", "r.json"))
	if code == exitOK || !strings.Contains(err, "nowhere") || !strings.Contains(out, "1 passed") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, out, err)
	}
}

func TestVerifyInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code, out, err := commandIn(ctx, "", nil, "verify", suite(t, reluCase("good", "zero", "")))
	if code != exitInterrupted || out != "" || !strings.Contains(err, "interrupted") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, out, err)
	}
}

func TestVerifyLine(t *testing.T) {
	c := &verify.Case{ID: "a\x1b[31m", Dir: filepath.Join("d", "e"), MayRefuse: "x\ny"}
	for _, l := range []struct {
		name   string
		result verify.Result
		many   bool
		want   string
	}{
		{"control characters", verify.Result{Case: c, Verdict: verify.Failed, Run: 2, Reason: "b\a"}, false, "failed   a?[31m: run 2, b?"},
		{"lines", verify.Result{Case: c, Verdict: verify.Refused, Run: -1, Reason: "one\n  two\n"}, true, "refused  d/e/a?[31m: one; two (may refuse: x?y)"},
		{"a stack", verify.Result{Case: c, Verdict: verify.Failed, Run: -1, Reason: "panic: boom\ngoroutine 1 [running]:\nmain"}, false, "failed   a?[31m: panic: boom"},
	} {
		p := &verifyPrinter{many: l.many}
		if got := p.line(&l.result); got != l.want {
			t.Errorf("%s: %q, want %q", l.name, got, l.want)
		}
	}
	p := &verifyPrinter{}
	if got := p.line(&verify.Result{Case: c, Verdict: verify.Failed, Run: -1, Reason: strings.Repeat("x", 5000)}); len(got) > 2*maxReason {
		t.Errorf("a line of %d bytes", len(got))
	}
}

// TestVerifyFiles runs the manifests beside the command's other test data.
func TestVerifyFiles(t *testing.T) {
	runCases(t, []commandCase{
		{name: "good", args: []string{"verify", "testdata/good.json"}, out: []string{"2 passed, 0 failed, 0 refused\n"}},
		{name: "bad", args: []string{"verify", "testdata/bad.json"}, code: exitMismatch,
			out: []string{`failed   tagger/wrong: run 0, output "state": [`, "] is ", ", want ", "; 12 of 12 differ\n", "1 passed, 1 failed, 0 refused\n"}},
		{name: "refused", args: []string{"verify", "testdata/refused.json"}, code: exitUnsupported, out: []string{"refused  foreign: ", "com.acme:Foo", "1 passed, 0 failed, 1 refused\n"}},
		{name: "allowed", args: []string{"verify", "testdata/allowed.json"}, out: []string{"refused  foreign: ", "(may refuse: ", "1 passed, 0 failed, 1 refused\n"}},
	})
}
