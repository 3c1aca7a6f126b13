package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func TestConvert(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.onnx")
	runCases(t, []commandCase{
		{name: "down", args: []string{"convert", "testdata/tagger.onnx", "-o", out, "--opset", "9"}, silent: true,
			err: []string{"tagger.onnx: wrote", "out.onnx", "opset 17 -> 9", "IR version 8 -> 4"}},
		{name: "what was written runs", args: []string{"run", out, "-i", "testdata/tagger.npz"}, out: []string{"state"}, err: []string{"passed over"}},
		{name: "functions stay", args: []string{"convert", "testdata/function.onnx", "-o", out}, silent: true, err: []string{"wrote"}},
		{name: "and are there", args: []string{"inspect", out}, out: []string{"functions", "local:Gate"}},
		{name: "inlined", args: []string{"convert", "testdata/function.onnx", "-o", out, "--passes", "all"}, silent: true, err: []string{"functions 1 -> 0"}},
		{name: "JSON", args: []string{"convert", "testdata/loop.onnx", "-o", out, "--opset", "21", "--json"},
			out: []string{`"schema_version": 1`, `"command": "convert"`, `"before"`, `"opset": 17`, `"after"`, `"opset": 21`, `"bytes"`, `"changes": []`}, err: []string{"wrote"}},
		{name: "refused", args: []string{"convert", "testdata/loop.onnx", "-o", filepath.Join(t.TempDir(), "x", "never.onnx"), "--opset", "1"}, code: exitUnsupported, silent: true,
			err: []string{"loop.onnx", "no form in opset 1", "Add"}},
		{name: "invalid", args: []string{"convert", "testdata/invalid.onnx", "-o", out}, code: exitMismatch, silent: true, err: []string{"nowhere"}},
		{name: "no output", args: []string{"convert", "testdata/add.onnx"}, code: exitUsage, silent: true, err: []string{"want -o OUT.onnx"}},
		{name: "no such opset", args: []string{"convert", "testdata/add.onnx", "-o", out, "--opset", "99"}, code: exitUsage, silent: true, err: []string{"--opset 99, want 1.."}},
		{name: "no such pass", args: []string{"convert", "testdata/add.onnx", "-o", out, "--passes", "magic"}, code: exitUsage, silent: true, err: []string{`no pass "magic"`}},
	})
}

// TestConvertToStdout: the bytes are the model, and nothing else.
func TestConvertToStdout(t *testing.T) {
	code, out, err := command(t, "", "convert", "testdata/add.onnx", "-o", "-", "--opset", "13")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, err)
	}
	m, e := onnx.Decode([]byte(out), nil)
	if e != nil || m.OpsetImports[0].Version != 13 {
		t.Errorf("%v, %v", m, e)
	}
	if code, _, err := command(t, "", "convert", "testdata/add.onnx", "-o", "-", "--json"); code != exitUsage {
		t.Errorf("exit code %d: %s", code, err)
	}
}

// TestConvertKeepsTheFile: a refusal leaves what is there.
func TestConvertKeepsTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.onnx")
	if err := os.WriteFile(path, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := command(t, "", "convert", "testdata/loop.onnx", "-o", path, "--opset", "1"); code != exitUnsupported {
		t.Errorf("exit code %d, want %d", code, exitUnsupported)
	}
	if data, _ := os.ReadFile(path); string(data) != "precious" {
		t.Errorf("the file holds %q", data)
	}
}

func TestConvertReport(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.onnx")
	code, text, err := command(t, "", "convert", "testdata/tagger.onnx", "-o", out, "--opset", "6", "--json")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, err)
	}
	var r conversion
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	if r.Before.Opset != 17 || r.After.Opset != 6 || r.After.Nodes != 2 || r.After.Bytes == 0 || r.SchemaVersion != schemaVersion {
		t.Errorf("%+v", r)
	}
}

// TestConvertInterrupted: what was interrupted before it was written is not.
func TestConvertInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := filepath.Join(t.TempDir(), "x.onnx")
	if code, _, err := commandIn(ctx, "", nil, "convert", "testdata/add.onnx", "-o", path); code != exitInterrupted {
		t.Errorf("exit code %d, %s", code, err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the file was written")
	}
}
