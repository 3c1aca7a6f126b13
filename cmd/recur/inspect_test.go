package main

import (
	"encoding/json"
	"testing"
)

func TestInspect(t *testing.T) {
	runCases(t, []commandCase{
		{name: "recurrent", args: []string{"inspect", "testdata/tagger.onnx"},
			out: []string{"producer", "make.py", "ai.onnx 17", "204 in 5 tensors, 816 B", "138*batch*steps", "tokens", "tensor(int64)", "[steps batch]",
				"state", "[2 batch 3]", "Gather-13  1", "18", "LSTM-14    1      186         138*batch*steps", "recurrence", "LSTM  1            1", "lstm_1", "bidirectional", "Sigmoid Tanh Tanh Sigmoid Tanh Tanh", "Y_h", `peephole, clip 5, lengths "lengths"`, "supported", "yes"}},
		{name: "shapes", args: []string{"inspect", "testdata/tagger.onnx", "--shapes"}, out: []string{"values", "embedded", "tensor(float)", "[steps batch 2]"}},
		{name: "shapes in a function", args: []string{"inspect", "testdata/function.onnx", "--shapes"},
			out: []string{"Relu-14", "local:Gate", "functions", "local:Gate", "values", "y", "tensor(float)", "[n]"}},
		{name: "body", args: []string{"inspect", "testdata/loop.onnx"}, out: []string{"nodes", "4", "Add-14", "2", "Loop-16", "1"}},
		{name: "unsupported", args: []string{"inspect", "testdata/foreign.onnx"}, out: []string{"com.acme 1", "com.acme:Foo", "supported", "no, 1 node is refused", "foo_1"}},
		{name: "invalid", args: []string{"inspect", "testdata/invalid.onnx"}, out: []string{"supported", "no", "nowhere"}},
	})
}

func TestInspectJSON(t *testing.T) {
	code, out, stderr := command(t, "", "inspect", "testdata/tagger.onnx", "--json", "--shapes")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if r.SchemaVersion != schemaVersion || !r.Supported || r.Nodes != 2 || len(r.Values) != 2 || len(r.Recurrent) != 1 {
		t.Fatalf("got %+v", r)
	}
	l := r.Recurrent[0]
	if l.Input != 2 || l.Hidden != 3 || !l.Peephole || l.Lengths != "lengths" || l.InitialH != "" || *l.Clip != 5 || l.Version != 14 {
		t.Errorf("layer %+v", l)
	}
}

func TestCheck(t *testing.T) {
	runCases(t, []commandCase{
		{name: "fine", args: []string{"check", "testdata/add.onnx", "testdata/tagger.onnx"}, out: []string{"add.onnx: ok", "tagger.onnx: ok"}},
		{name: "invalid", args: []string{"check", "testdata/add.onnx", "testdata/invalid.onnx"}, code: exitMismatch,
			out: []string{"add.onnx: ok", "invalid.onnx: invalid", "plus", "nowhere"}, err: []string{"1 of 2 models"}},
		{name: "malformed", args: []string{"check", "testdata/make.py"}, code: exitMismatch, out: []string{"make.py: malformed"}, err: []string{"1 of 1"}},
		{name: "unsupported", args: []string{"check", "testdata/foreign.onnx"}, code: exitUnsupported, out: []string{"unsupported", "com.acme:Foo"}, err: []string{"1 of 1"}},
		{name: "invalid before unsupported", args: []string{"check", "testdata/foreign.onnx", "testdata/invalid.onnx"}, code: exitMismatch, err: []string{"2 of 2"}},
		{name: "limit", args: []string{"check", "testdata/tagger.onnx", "--max-nodes", "1"}, code: exitLimit, out: []string{"tagger.onnx: limit"}, err: []string{"1 of 1"}},
		{name: "JSON", args: []string{"check", "testdata/add.onnx", "--json"}, out: []string{`"schema_version": 1`, `"verdict": "ok"`}},
		{name: "no model", args: []string{"check"}, code: exitUsage, silent: true, err: []string{"MODEL"}},
	})
}

func TestOps(t *testing.T) {
	runCases(t, []commandCase{
		{name: "one", args: []string{"ops", "ai.onnx:lstm"}, out: []string{"OPERATOR", "LSTM", "1 7 14 22", "-", "1 operators, 4 of 4 versions supported"}},
		{name: "all", args: []string{"ops"}, out: []string{"Abs", "ai.onnx.ml:Scaler", "operators"}},
		{name: "unknown and unlike any", args: []string{"ops", "foo"}, code: exitUsage, silent: true, err: []string{`no operator "foo"; recur ops lists all`}},
		{name: "unknown", args: []string{"ops", "lstn"}, code: exitUsage, silent: true, err: []string{`did you mean "LSTM"?`}},
		{name: "JSON", args: []string{"ops", "ai.onnx:gru", "--json"}, out: []string{`"domain": "ai.onnx"`, `"name": "GRU"`, `"supported": [`, "22"}},
	})
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"lstm", "lstn", 1}, {"kitten", "sitting", 3}, {"gru", "gru", 0}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestDemo(t *testing.T) {
	code, out, err := command(t, "", "demo", "--json")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, err)
	}
	var r demoResult
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if r.Digits != 100 || r.Correct != 97 || r.Accuracy != 0.97 {
		t.Errorf("%d of %d, accuracy %v; want 97 of 100", r.Correct, r.Digits, r.Accuracy)
	}
	ascii := []string{"read 1", "WRONG, is", "97 of 100 digits read correctly: accuracy 0.97", "us a digit"}
	_, plain, _ := command(t, "", "demo")
	wantParts(t, "stdout", plain, ascii)
	for _, r := range plain {
		if r > 126 || r == 27 {
			t.Fatalf("character %q without a UTF-8 locale or a terminal", r)
		}
	}
	_, blocks, _ := commandIn(t.Context(), "", map[string]string{"LANG": "en_US.UTF-8"}, "demo", "--show", "3")
	wantParts(t, "stdout", blocks, []string{"█", "read 1", "µs a digit"})
}

func TestByteSize(t *testing.T) {
	for text, want := range map[string]byteSize{"1": 1, "10B": 10, "1KiB": 1024, "1kb": 1000, "1.5GiB": 3 << 29, "2 MB": 2e6, "3g": 3 << 30} {
		var b byteSize
		if err := b.Set(text); err != nil || b != want {
			t.Errorf("%q: %d, %v; want %d", text, b, err, want)
		}
	}
	for _, text := range []string{"", "x", "-1", "0", "1XB", "1e30", "NaN"} {
		var b byteSize
		if err := b.Set(text); err == nil {
			t.Errorf("%q: %d, want an error", text, b)
		}
	}
}
