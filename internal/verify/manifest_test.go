package verify

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// manifestOf puts cases into a manifest.
func manifestOf(cases string) string {
	return `{"version": 1, "about": "tests", "rtol": 0.01, "atol": 0.5, "cases": [` + cases + `]}`
}

// caseOf is a valid case with more keys.
func caseOf(more string) string {
	if more != "" {
		more = ", " + more
	}
	return `{"id": "a", "model": "a/m.onnx", "format": "onnx", "runs": [{"in": {"x": "x.npy"}, "out": {"y": "y.npy"}}]` + more + `}`
}

func withRuns(runs, more string) string {
	return strings.Replace(caseOf(more), `[{"in": {"x": "x.npy"}, "out": {"y": "y.npy"}}]`, runs, 1)
}

func TestParse(t *testing.T) {
	m, err := parse([]byte(manifestOf(caseOf("")+`, {
	 "id": "lstm/keras", "model": "lstm", "format": "saved_model", "weights": "w/ckpt", "tags": ["lstm", "opset14"], "rtol": 0, "atol": 1e-9,
	 "int_atol": 3, "sequence": true, "carry": {"stateN": "state"}, "options": {"signature": "twice", "keras": true}, "expect": "error",
	 "may_refuse": "why", "skip_numbers": "random", "note": "for people",
	 "runs": [{"in": {"state": {"file": "a.npz", "key": "s", "row": 2}, "b": {"file": "b.pb", "kind": "sequence"}, "a": {"file": "b.pb", "kind": "optional"}}, "out": {}},
	          {"in": {}}]}`)), "dir")
	if err != nil {
		t.Fatal(err)
	}
	tensor := func(file string) Ref { return Ref{File: file, Row: -1, Kind: onnx.KindTensor} }
	want := []*Case{{Manifest: m, Dir: "dir", ID: "a", Model: "a/m.onnx", Format: "onnx", Rtol: 0.01, Atol: 0.5,
		Runs: []Call{{In: []Named{{"x", tensor("x.npy")}}, Out: []Named{{"y", tensor("y.npy")}}}}},
		{Manifest: m, Dir: "dir", ID: "lstm/keras", Model: "lstm", Format: "saved_model", Weights: "w/ckpt", Tags: []string{"lstm", "opset14"},
			Atol: 1e-9, IntAtol: 3, Sequence: true, Carry: map[string]string{"stateN": "state"}, Options: map[string]any{"signature": "twice", "keras": true},
			ExpectError: true, MayRefuse: "why", SkipNumbers: "random", Note: "for people",
			Runs: []Call{{In: []Named{{"state", Ref{"a.npz", "s", 2, onnx.KindTensor}}, {"b", Ref{"b.pb", "", -1, onnx.KindSequence}}, {"a", Ref{"b.pb", "", -1, onnx.KindOptional}}}}, {}}}}
	if m.About != "tests" || len(m.Cases) != len(want) {
		t.Fatalf("manifest %+v", m)
	}
	for i := range want {
		if !reflect.DeepEqual(m.Cases[i], want[i]) {
			t.Errorf("case %d: %+v, want %+v", i, m.Cases[i], want[i])
		}
	}
}

func TestParseToleranceByDefault(t *testing.T) {
	m, err := parse([]byte(`{"version": 1, "cases": [`+caseOf("")+`], "left_out": [{"id": "b", "reason": "large"}]}`), ".")
	if err != nil {
		t.Fatal(err)
	}
	if c := m.Cases[0]; c.Rtol != DefaultRtol || c.Atol != DefaultAtol || c.IntAtol != 0 {
		t.Errorf("tolerances %v, %v and %v", c.Rtol, c.Atol, c.IntAtol)
	}
}

func TestParseRefuses(t *testing.T) {
	in := func(ref string) string {
		return manifestOf(withRuns(`[{"in": {"x": `+ref+`}, "out": {}}]`, ""))
	}
	for _, c := range []struct {
		name, text, want string
		kind             error
	}{
		{"no JSON", `version: 1`, "line 1", nil},
		{"truncated", "{\"version\": 1,\n\"cases\": [", "line 2: unexpected EOF", nil},
		{"more after the end", manifestOf("") + "{}", "more follows", nil},
		{"nested too deep", strings.Repeat("[", 40), "nested deeper", nil},
		{"not an object", `[]`, "an array, want an object", nil},
		{"no version", `{"cases": []}`, `no "version"`, nil},
		{"another version", `{"version": 2, "cases": []}`, "version 2", onnx.ErrUnsupported},
		{"a version that is no number", `{"version": true, "cases": []}`, "version true", onnx.ErrUnsupported},
		{"no cases", `{"version": 1}`, `no "cases"`, nil},
		{"key of the manifest", `{"version": 1, "cases": [], "rtoll": 1}`, `unknown key "rtoll"`, nil},
		{"key of the manifest in capitals", `{"version": 1, "cases": [], "RTOL": 1}`, `unknown key "RTOL"`, nil},
		{"key of the manifest twice", `{"version": 1, "cases": [], "cases": []}`, `"cases" twice`, nil},
		{"cases of another kind", `{"version": 1, "cases": {}}`, "an object, want an array", nil},
		{"a case of another kind", manifestOf(`"a"`), `case 0: a case is the string "a"`, nil},
		{"key of a case", manifestOf(caseOf(`"int_tol": 1`)), `case "a": unknown key "int_tol"; a case has id, model`, nil},
		{"key of a case in capitals", manifestOf(caseOf(`"Sequence": true`)), `unknown key "Sequence"`, nil},
		{"key of a case twice", manifestOf(caseOf(`"id": "b"`)), `"id" twice`, nil},
		{"null", manifestOf(caseOf(`"expect": null`)), `"expect" is null, want a string`, nil},
		{"no id", manifestOf(`{"model": "m", "format": "onnx", "runs": [{"in": {}, "out": {}}]}`), `case 0: no "id"`, nil},
		{"no model", manifestOf(`{"id": "i", "format": "onnx", "runs": [{"in": {}, "out": {}}]}`), `case "i": no "model"`, nil},
		{"no format", manifestOf(`{"id": "i", "model": "m", "runs": [{"in": {}, "out": {}}]}`), `no "format"`, nil},
		{"no runs", manifestOf(`{"id": "i", "model": "m", "format": "onnx"}`), `no "runs"`, nil},
		{"empty runs", manifestOf(withRuns("[]", "")), `"runs" is empty`, nil},
		{"empty id", manifestOf(`{"id": "", "model": "m", "format": "onnx", "runs": [{"in": {}, "out": {}}]}`), `"id" is empty`, nil},
		{"an id twice", manifestOf(caseOf("") + "," + caseOf("")), `case "a": another case has this id`, nil},
		{"negative tolerance", manifestOf(caseOf(`"rtol": -1`)), `"rtol" is -1`, nil},
		{"endless tolerance", manifestOf(caseOf(`"atol": 1e999`)), `"atol" is 1e999`, nil},
		{"tolerance as a string", manifestOf(caseOf(`"atol": "1"`)), `want a number`, nil},
		{"int_atol that is no integer", manifestOf(caseOf(`"int_atol": 0.5`)), "want an integer", nil},
		{"negative int_atol", manifestOf(caseOf(`"int_atol": -1`)), "at least 0", nil},
		{"another expectation", manifestOf(caseOf(`"expect": "refusal"`)), `want "error"`, nil},
		{"empty reason to refuse", manifestOf(caseOf(`"may_refuse": ""`)), `"may_refuse" is empty`, nil},
		{"empty reason to skip", manifestOf(caseOf(`"skip_numbers": ""`)), `"skip_numbers" is empty`, nil},
		{"skip_numbers as a flag", manifestOf(caseOf(`"skip_numbers": true`)), "true, want a string", nil},
		{"tags of another kind", manifestOf(caseOf(`"tags": ["a", 1]`)), "want strings", nil},
		{"sequence of another kind", manifestOf(caseOf(`"sequence": 1`)), "want true or false", nil},
		{"carry without a sequence", manifestOf(caseOf(`"carry": {"y": "x"}`)), `without "sequence"`, nil},
		{"carry to an input that begins with nothing", manifestOf(caseOf(`"sequence": true, "carry": {"y": "z"}`)), `does not name the carried input "z"`, nil},
		{"carry of two outputs to one input", manifestOf(caseOf(`"sequence": true, "carry": {"y": "x", "w": "x"}`)), `two outputs for the input "x"`, nil},
		{"carry of another kind", manifestOf(caseOf(`"sequence": true, "carry": {"y": 1}`)), "want a string", nil},
		{"key of the options", manifestOf(caseOf(`"options": {"signatur": "x"}`)), `unknown key "signatur"`, nil},
		{"key of a run", manifestOf(withRuns(`[{"in": {}, "out": {}, "outt": {}}]`, "")), `run 0: unknown key "outt"`, nil},
		{"run without inputs", manifestOf(withRuns(`[{"out": {}}]`, "")), `run 0: no "in"`, nil},
		{"run without outputs", manifestOf(withRuns(`[{"in": {}}]`, "")), `run 0: no "out"`, nil},
		{"inputs of another kind", manifestOf(withRuns(`[{"in": [], "out": {}}]`, "")), `"in" is an array`, nil},
		{"an output twice", manifestOf(withRuns(`[{"in": {}, "out": {"y": "y.npy", "y": "z.npy"}}]`, "")), `"y" twice`, nil},
		{"model elsewhere", manifestOf(strings.Replace(caseOf(""), "a/m.onnx", "../m.onnx", 1)), "leads out", nil},
		{"model by way of elsewhere", manifestOf(strings.Replace(caseOf(""), "a/m.onnx", "a/../../b/m.onnx", 1)), "leads out", nil},
		{"absolute model", manifestOf(strings.Replace(caseOf(""), "a/m.onnx", "/m.onnx", 1)), "leads out", nil},
		{"backslashes", manifestOf(strings.Replace(caseOf(""), "a/m.onnx", `a\\m.onnx`, 1)), "want /", nil},
		{"weights elsewhere", manifestOf(caseOf(`"weights": "../w"`)), "leads out", nil},
		{"data elsewhere", in(`"../x.npy"`), `in "x": path "../x.npy" leads out`, nil},
		{"data of another kind", in(`1`), "the number 1, want an object", nil},
		{"data without a file", in(`{"key": "x"}`), `no "file"`, nil},
		{"key of data", in(`{"file": "x.npz", "key": "x", "rows": 1}`), `unknown key "rows"`, nil},
		{"unknown file", in(`"x.csv"`), "want a file of .npy", nil},
		{"npz without a key", in(`"x.npz"`), `no "key"`, nil},
		{"key of an npy", in(`{"file": "x.npy", "key": "x"}`), `"key" is for .npz`, nil},
		{"kind of an npy", in(`{"file": "x.npy", "kind": "sequence"}`), `"kind" is for .pb`, nil},
		{"another kind", in(`{"file": "x.pb", "kind": "map"}`), `"kind" is "map"`, nil},
		{"negative row", in(`{"file": "x.npy", "row": -1}`), "at least 0", nil},
		{"endless row", in(`{"file": "x.npy", "row": 4294967295}`), "beyond any array", nil},
		{"row of a sequence", in(`{"file": "x.pb", "kind": "sequence", "row": 0}`), `"row" of a sequence`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.kind == nil {
				c.kind = onnx.ErrMalformed
			}
			_, err := parse([]byte(c.text), ".")
			if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, c.kind) {
				t.Errorf("error %v, want one with %q that matches %v", err, c.want, c.kind)
			}
		})
	}
}

// write makes files below a folder; the content of a name that ends in / is
// left out.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// ids lists manifests' cases with their folders below root.
func ids(t *testing.T, root string, manifests []*Manifest) []string {
	t.Helper()
	var out []string
	for _, m := range manifests {
		for _, c := range m.Cases {
			dir, err := filepath.Rel(root, c.Dir)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, filepath.ToSlash(dir)+" "+c.ID)
		}
	}
	return out
}

func TestDiscoverOrder(t *testing.T) {
	root := t.TempDir()
	one := func(ids ...string) string {
		var list []string
		for _, id := range ids {
			list = append(list, strings.Replace(caseOf(""), `"a"`, fmt.Sprintf("%q", id), 1))
		}
		return manifestOf(strings.Join(list, ","))
	}
	write(t, root, map[string]string{
		"verify.json": one("z", "a"), "b/verify.json": one("1"), "a/deep/er/verify.json": one("1"), "a/x.json": one("no"),
		"zoo/verify.json": one("2", "10"), "c/model.onnx": "", "c/test_data_set_0/input_0.pb": "",
	})
	got, err := Discover(root)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{". z", ". a", "a/deep/er 1", "b 1", "zoo 2", "zoo 10"}
	if ids := ids(t, root, got); !reflect.DeepEqual(ids, want) {
		t.Errorf("cases %q, want %q", ids, want)
	}
	if got, err = Discover(filepath.Join(root, "a", "x.json")); err != nil || len(got) != 1 || got[0].Cases[0].ID != "no" {
		t.Errorf("a file of another name: %v, %v", got, err)
	}
}

func TestDiscoverTellsAllThatIsWrong(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{"a/verify.json": "[]", "b/verify.json": manifestOf(""), "c/verify.json": `{"version": 9, "cases": []}`})
	_, err := Discover(root)
	for _, want := range []string{filepath.Join("a", "verify.json"), filepath.Join("c", "verify.json"), "version 9"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	if _, err := Discover(filepath.Join(root, "nowhere")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want one of a path that is not there", err)
	}
	if got, err := Discover(t.TempDir()); got != nil || err != nil {
		t.Errorf("an empty folder: %v, %v, want nothing", got, err)
	}
}

func TestDiscoverTestData(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{
		"b/model.onnx": "", "b/other.onnx": "", "b/test_data_set_10/input_0.pb": "", "b/test_data_set_2/output_0.pb": "", "b/test_data_set_2/input_10.pb": "",
		"b/test_data_set_2/input_9.pb": "", "b/test_data_set_2/input_x.pb": "", "b/test_data_set_2/input_1.npz": "", "b/test_data_set_3/readme": "",
		"a/resnet.onnx": "", "a/test_data_set_0/output_0.pb": "", // the only model, of any name
		"c/one.onnx": "", "c/two.onnx": "", "c/test_data_set_0/output_0.pb": "", // which of them?
		"d/model.onnx": "", "e/test_data_set_0/output_0.pb": "",
	})
	got, err := Discover(root)
	if err != nil {
		t.Fatal(err)
	}
	if ids := ids(t, root, got); !reflect.DeepEqual(ids, []string{"a a", "b b"}) {
		t.Fatalf("cases %q", ids)
	}
	pb := func(name, file string) Named { return Named{name, Ref{file, "", -1, onnx.KindTensor}} }
	c := got[0].Cases[1]
	want := []Call{
		{In: []Named{pb("9", "test_data_set_2/input_9.pb"), pb("10", "test_data_set_2/input_10.pb")}, Out: []Named{pb("0", "test_data_set_2/output_0.pb")}},
		{In: []Named{pb("0", "test_data_set_10/input_0.pb")}},
	}
	if c.Model != "model.onnx" || !c.Positional || c.Format != "onnx" || !reflect.DeepEqual(c.Runs, want) {
		t.Errorf("case %+v, want runs %+v", c, want)
	}
	if one, err := Discover(filepath.Join(root, "a")); err != nil || len(one) != 1 || one[0].Cases[0].ID != "a" {
		t.Errorf("the folder itself: %v, %v", one, err)
	}
}

// FuzzParse looks for text that is taken for a manifest and should not be: with
// a case without a run, or a path that leads elsewhere.
func FuzzParse(f *testing.F) {
	f.Add(manifestOf(caseOf("")))
	f.Add(manifestOf(withRuns(`[{"in": {"x": {"file": "a.npz", "key": "k", "row": 1}}, "out": {}}]`, `"sequence": true, "carry": {"y": "x"}`)))
	f.Add(`{"version": 1, "cases": [{"id": "a", "model": "../b", "format": "onnx", "runs": [{"in": {}}], "expect": "error"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parse([]byte(text), ".")
		if err != nil {
			return
		}
		for _, c := range m.Cases {
			if len(c.Runs) == 0 || c.ID == "" || !filepath.IsLocal(c.Model) || c.Rtol < 0 || c.Atol < 0 {
				t.Errorf("case %+v", c)
			}
			for _, run := range c.Runs {
				for _, n := range append(run.In, run.Out...) {
					if !filepath.IsLocal(n.Ref.File) {
						t.Errorf("path %q", n.Ref.File)
					}
				}
			}
		}
	})
}
