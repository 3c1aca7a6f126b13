package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	table := file("x.csv", "a,b,c\n# a comment\n1,2,3\n4,5,6\n")
	nested := file("y.json", "[[10,20,30],[40,50,60]]")
	both := file("both.json", `{"x": [[1,2,3]], "y": {"type": "float", "shape": [1,3], "data": [4,5,"NaN"]}}`)
	ragged := file("ragged.json", "[[1,2],[3]]")
	add, types := "testdata/add.onnx", "testdata/types.onnx"
	runCases(t, []commandCase{
		{name: "CSV and JSON", args: []string{"run", add, "-i", "x=" + table, "-i", "y=" + nested},
			out: []string{"sum  float[2 3]", "min 11  max 66  mean 38.5", "[[11 22 33]", "[44 55 66]]"}},
		{name: "inputs on the command line", args: []string{"run", add, "-i", "x=[[1,2,3]]", "-i", "y=[[1,1,1]]"}, out: []string{"[[2 3 4]]"}},
		{name: "stdin", stdin: "[[1,2,3]]", args: []string{"run", add, "-i", "x=-", "-i", "y=[[1,1,1]]"}, out: []string{"[[2 3 4]]"}},
		{name: "a file that names the inputs", args: []string{"run", add, "-i", both, "--json"},
			out: []string{`"schema_version": 1`, `"sum"`, `"data": [`, "5,", "7,", `"NaN"`, `"shape": [`, `"type": "float"`}},
		{name: "npz", args: []string{"run", "testdata/tagger.onnx", "-i", "testdata/tagger.npz"},
			out: []string{"state  float[2 2 3]"}, err: []string{`passed over "state"`}},
		{name: "npz by key", args: []string{"run", "testdata/tagger.onnx", "-i", "tokens=testdata/tagger.npz:tokens", "-i", "lengths=testdata/tagger.npz"},
			out: []string{"state  float[2 2 3]"}},
		{name: "npz, wrong key", args: []string{"run", "testdata/tagger.onnx", "-i", "tokens=testdata/tagger.npz:nope"}, code: exitUsage, silent: true,
			err: []string{`no array "nope"; there are "lengths", "state", "tokens"`}},
		{name: "npz, which array", args: []string{"run", add, "-i", "x=testdata/tagger.npz"}, code: exitUsage, silent: true, err: []string{"which array?"}},
		{name: "npz without an input", args: []string{"run", add, "-i", "testdata/tagger.npz"}, code: exitUsage, silent: true,
			err: []string{"is an input", `"x", "y"`}},
		{name: "unknown input", args: []string{"run", add, "-i", "z=1.npy"}, code: exitUsage, silent: true,
			err: []string{`input "z": no such input; the model has "x", "y"`}},
		{name: "missing input", args: []string{"run", add, "-i", "x=[[1,2,3]]"}, code: exitUsage, silent: true,
			err: []string{`input "y"`, "tensor(float) [batch 3]", "--random"}},
		{name: "input twice", args: []string{"run", add, "-i", "x=[[1,2,3]]", "-i", "x=[[1,2,3]]"}, code: exitUsage, silent: true, err: []string{"twice"}},
		{name: "ragged", args: []string{"run", add, "-i", "x=" + ragged}, code: exitMismatch, silent: true, err: []string{`input "x"`, "different lengths"}},
		{name: "wrong shape", args: []string{"run", add, "-i", "x=[[1,2]]", "-i", "y=[[1,2,3]]"}, code: exitMismatch, silent: true, err: []string{"x", "[1 2]"}},
		{name: "wrong type", args: []string{"run", add, "-i", "x=testdata/tagger.npz:tokens", "-i", "y=[[1,2,3]]"}, code: exitMismatch, silent: true,
			err: []string{`input "x": element type int64, model wants float (--cast converts)`}},
		{name: "cast", args: []string{"run", "testdata/scalar.onnx", "-i", `x={"type":"int32","data":7}`, "--cast"}, out: []string{"y  double[]", "7"}},
		{name: "cast, no integer", args: []string{"run", types, "--random", "1", "-i", `int={"type":"float","data":[1.5]}`, "--cast"}, code: exitMismatch,
			silent: true, err: []string{`"1.5" is no int64`}},
		{name: "every type", args: []string{"run", types, "-i", "half=[0.1]", "-i", "int=[9007199254740993]", "-i", "flag=[true]", "-i", `text=["é"]`, "-i", "small=[-3]", "--json"},
			out: []string{`"flag_out"`, "true", `"half_out"`, "0.099975586", `"int_out"`, "9007199254740993", `"small_out"`, "-3", `"text_out"`, `"é"`}},
		{name: "out of range", args: []string{"run", types, "--random", "1", "-i", "small=[128]"}, code: exitMismatch, silent: true, err: []string{`"128" is no int8`}},
		{name: "sequence", args: []string{"run", "testdata/sequence.onnx", "-i", "list=[[1,2],[3]]", "-i", "at=1"}, out: []string{"item  float[1]", "[3]"}},
		{name: "scalar", args: []string{"run", "testdata/scalar.onnx", "-i", "x=2.5"}, out: []string{"y  double[]", "2.5"}},
		{name: "unknown output", args: []string{"run", add, "--random", "1", "--output", "nope"}, code: exitUsage, silent: true, err: []string{`"nope"`, `"sum"`}},
		{name: "wanted output", args: []string{"run", types, "--random", "1", "--output", "int_out"}, out: []string{"int_out"}},
		{name: "nothing for an input", args: []string{"run", add, "-i", "x="}, code: exitUsage, silent: true, err: []string{"-i x=: nothing after the ="}},
		{name: "file that is not there", args: []string{"run", add, "-i", "x=nowhere.npy"}, code: exitUsage, silent: true, err: []string{`input "x": open nowhere.npy: `}},
		{name: "long stdin", args: []string{"run", add, "-i", "x=-", "--max-file", "1000"}, stdin: strings.Repeat(" ", 1001), code: exitLimit, silent: true, err: []string{"bytes of a file: 1001"}},
		{name: "unknown pass", args: []string{"run", add, "--random", "1", "--passes", "nope"}, code: exitUsage, silent: true, err: []string{`no pass "nope"`}},
		{name: "no passes", args: []string{"run", add, "--random", "1", "--passes", "none"}, out: []string{"sum"}},
		{name: "unknown dimension", args: []string{"run", add, "--random", "1", "--shape", "time=3"}, code: exitUsage, silent: true,
			err: []string{`inputs "x", "y" and dimensions "batch"`}},
		{name: "unsupported", args: []string{"run", "testdata/foreign.onnx", "--random", "1"}, code: exitUnsupported, silent: true, err: []string{"com.acme:Foo", "foo_1"}},
		{name: "invalid model", args: []string{"run", "testdata/invalid.onnx", "--random", "1"}, code: exitMismatch, silent: true, err: []string{"plus", "nowhere"}},
		{name: "not a model", args: []string{"run", "testdata/make.py", "--random", "1"}, code: exitMismatch, silent: true, err: []string{"make.py"}},
		{name: "loop", args: []string{"run", "testdata/loop.onnx", "-i", "n=100"}, out: []string{"total  int64[]", "5050"}},
		{name: "iterations", args: []string{"run", "testdata/loop.onnx", "-i", "n=100", "--max-iterations", "99"}, code: exitLimit, silent: true, err: []string{"99"}},
		{name: "memory", args: []string{"run", add, "--random", "1", "--shape", "batch=1000", "--max-memory", "1KiB"}, code: exitLimit, silent: true, err: []string{"1024"}},
		{name: "file size", args: []string{"run", add, "--max-file", "10"}, code: exitLimit, silent: true, err: []string{"10"}},
		{name: "absurd shape", args: []string{"run", add, "--random", "1", "--shape", "batch=9999999999999999"}, code: exitLimit, silent: true, err: []string{"limit"}},
		{name: "bad size", args: []string{"run", add, "--max-memory", "much"}, code: exitUsage, silent: true, err: []string{"512MiB"}},
		{name: "timeout", args: []string{"run", "testdata/loop.onnx", "-i", "n=9000000", "--timeout", "20ms"}, code: exitLimit, silent: true, err: []string{"--timeout"}},
		{name: "two outputs into an npy", args: []string{"run", types, "--random", "1", "-o", filepath.Join(dir, "o.npy")}, code: exitUsage, silent: true, err: []string{"--output NAME"}},
		{name: "unknown kind of output", args: []string{"run", add, "--random", "1", "-o", "o.xyz"}, code: exitUsage, silent: true, err: []string{".npz"}},
	})
}

func TestRunModelFromStdin(t *testing.T) {
	model, err := os.ReadFile("testdata/add.onnx")
	if err != nil {
		t.Fatal(err)
	}
	code, out, stderr := command(t, string(model), "run", "-", "-i", "x=[[1,2,3]]", "-i", "y=[[1,1,1]]")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	wantParts(t, "stdout", out, []string{"[[2 3 4]]"})
}

func TestRunInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code, out, err := commandIn(ctx, "", nil, "run", "testdata/loop.onnx", "-i", "n=9000000")
	if code != exitInterrupted || out != "" {
		t.Errorf("exit code %d, stdout %q; want %d and nothing", code, out, exitInterrupted)
	}
	wantParts(t, "stderr", err, []string{"recur: interrupted"})
}

// What -o writes, -i reads back: with an Identity, to the same outputs.
func TestOutputsAreInputs(t *testing.T) {
	for _, ext := range []string{".npz", ".json", ".npy", ".pb"} {
		t.Run(ext, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "sum"+ext)
			code, out, err := command(t, "", "run", "testdata/add.onnx", "--random", "3", "--shape", "batch=2", "-o", path)
			if code != 0 || out != "" {
				t.Fatalf("exit code %d, stdout %q, stderr %q", code, out, err)
			}
			source := "x=" + path
			if ext == ".npz" {
				source += ":sum"
			}
			if ext == ".json" {
				var all map[string]json.RawMessage
				data, _ := os.ReadFile(path)
				if err := json.Unmarshal(data, &all); err != nil {
					t.Fatal(err)
				}
				source = "x=" + string(all["sum"])
			}
			_, want, _ := command(t, "", "run", "testdata/add.onnx", "--random", "3", "--shape", "batch=2", "--full")
			code, got, err := command(t, "", "run", "testdata/add.onnx", "-i", source, "-i", "y=[[0,0,0],[0,0,0]]", "--full")
			if code != 0 || got != want {
				t.Errorf("exit code %d, stderr %q\ngot  %s\nwant %s", code, err, got, want)
			}
		})
	}
}

func TestRandomInputs(t *testing.T) {
	_, once, _ := command(t, "", "run", "testdata/tagger.onnx", "--random", "5", "--shape", "steps=4", "--shape", "batch=3")
	_, again, _ := command(t, "", "run", "testdata/tagger.onnx", "--random", "5", "--shape", "steps=4", "--shape", "batch=3")
	if once != again || !strings.Contains(once, "state  float[2 3 3]") {
		t.Errorf("the same seed gave\n%s\nand\n%s", once, again)
	}
	_, full, _ := command(t, "", "run", "testdata/tagger.onnx", "--random", "5", "--shape", "steps=4", "--shape", "batch=3", "-i", "lengths=[4,4,4]")
	if full != once {
		t.Errorf("random lengths are not full:\n%s\nwant\n%s", once, full)
	}
	if _, other, _ := command(t, "", "run", "testdata/tagger.onnx", "--random", "6", "--shape", "steps=4", "--shape", "batch=3"); other == once {
		t.Error("another seed gave the same")
	}
}

func TestTableShape(t *testing.T) {
	batch := onnx.Dim{Value: -1, Name: "batch"}
	for _, c := range []struct {
		name       string
		rows, cols int
		want       onnx.Shape
		shape      []int
	}{
		{"unknown rank", 2, 3, nil, []int{2, 3}},
		{"matrix", 2, 3, onnx.Shape{batch, batch}, []int{2, 3}},
		{"row as vector", 1, 3, onnx.UnknownShape(1), []int{3}},
		{"column as vector", 3, 1, onnx.UnknownShape(1), []int{3}},
		{"scalar", 1, 1, onnx.Shape{}, []int{}},
		{"pictures", 5, 784, onnx.Shape{batch, onnx.Fixed(28), onnx.Fixed(28)}, []int{5, 28, 28}},
		{"series", 7, 3, onnx.Shape{batch, batch, onnx.Fixed(3)}, []int{1, 7, 3}},
		{"series, time first", 7, 3, onnx.Shape{batch, onnx.Fixed(1), onnx.Fixed(3)}, []int{7, 1, 3}},
		{"no fit", 7, 3, onnx.Shape{onnx.Fixed(2), batch, onnx.Fixed(3)}, nil},
		{"no vector", 2, 2, onnx.UnknownShape(1), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := tableShape(c.rows, c.cols, c.want)
			if (err != nil) != (c.shape == nil) || !equalInts(got, c.shape) {
				t.Errorf("%v, %v; want %v", got, err, c.shape)
			}
		})
	}
}

func equalInts(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// TestStdinOnce: what the model or an input took is not there for another input.
func TestStdinOnce(t *testing.T) {
	model, err := os.ReadFile("testdata/add.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		stdin string
		args  []string
	}{
		"two inputs":           {"[[1,2,3]]", []string{"run", "testdata/add.onnx", "-i", "x=-", "-i", "y=-"}},
		"the model, an input":  {string(model), []string{"run", "-", "-i", "x=-", "--random", "1"}},
		"bench, with an input": {string(model), []string{"bench", "-", "-i", "x=-"}},
	} {
		code, _, err := command(t, c.stdin, c.args...)
		if code != exitUsage || !strings.Contains(err, "stdin has been read already") {
			t.Errorf("%s: exit code %d, %s", name, code, err)
		}
	}
	if code, out, err := command(t, "1\n2\n", "run", "testdata/function.onnx", "-i", "-"); code != exitOK || !strings.Contains(out, "[2]") {
		t.Errorf("stdin for the only input: exit code %d, %s%s", code, out, err)
	}
	for _, args := range [][]string{{"run", "-", "--random", "1"}, {"run", "testdata/add.onnx", "-i", "x=-", "--random", "1"}} {
		stdin := string(model)
		if args[1] != "-" {
			stdin = "[[1,2,3]]"
		}
		if code, _, err := command(t, stdin, args...); code != exitOK {
			t.Errorf("%v: exit code %d, %s", args, code, err)
		}
	}
}
