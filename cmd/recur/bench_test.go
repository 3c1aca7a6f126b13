package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestBench(t *testing.T) {
	short := func(args ...string) []string {
		return append([]string{"bench", "--duration", "20ms", "--warmup", "1ms"}, args...)
	}
	add := "testdata/add.onnx"
	runCases(t, []commandCase{
		{name: "for people", args: short(add, "--threads", "1", "--shape", "batch=4"),
			out: []string{"engine", "threads 1, callers 1", "x  tensor(float) [4 3]", "load", "runs", "throughput", "latency", "min", "p50", "p99", "allocations  0 a run", "SHARE", "Add-", "NODE"}},
		{name: "full lengths", args: short("testdata/tagger.onnx"), out: []string{"lengths", "LSTM-"}},
		{name: "a given input", args: short("testdata/scalar.onnx", "-i", "x=2.5"), out: []string{"x  tensor(double) []"}},
		{name: "half weights", args: short("testdata/tagger.onnx", "--half-weights"), out: []string{"latency", "LSTM-"}},
		{name: "plain Go", args: short(add, "--engine", "go"), out: []string{"engine", "go, threads"}},
		{name: "without a profile", args: short(add, "--no-profile"), out: []string{"latency"}},
		{name: "sequence", args: short("testdata/sequence.onnx", "-i", "list=[[1,2],[3]]", "-i", "at=1"), out: []string{"latency"}},
		{name: "unknown shape", args: short(add, "--shape", "z=1,2"), code: exitUsage, silent: true,
			err: []string{`--shape "z": no input or dimension of that name; the model has inputs "x", "y" and dimensions "batch"`}},
		{name: "unknown input", args: short(add, "-i", "z=[1]"), code: exitUsage, silent: true, err: []string{`input "z": no such input; the model has "x", "y"`}},
		{name: "wrong shape", args: short(add, "--shape", "x=2,5"), code: exitMismatch, silent: true, err: []string{`input "x": shape [2 5]`}},
		{name: "unknown engine", args: short(add, "--engine", "abacus"), code: exitUsage, silent: true, err: []string{`--engine "abacus": there is`, `"go"`}},
		{name: "no time", args: []string{"bench", add, "--duration", "0s"}, code: exitUsage, silent: true, err: []string{"--duration 0s"}},
		{name: "no callers", args: short(add, "--concurrency", "0"), code: exitUsage, silent: true, err: []string{"--concurrency 0, want 1 or more"}},
		{name: "negative threads", args: short(add, "--threads", "-1"), code: exitUsage, silent: true, err: []string{"--threads -1"}},
		{name: "no such file", args: short("testdata/nowhere.onnx"), code: exitUsage, silent: true, err: []string{"nowhere.onnx"}},
		{name: "unsupported", args: short("testdata/foreign.onnx"), code: exitUnsupported, silent: true, err: []string{"refused"}},
		{name: "invalid", args: short("testdata/invalid.onnx"), code: exitMismatch, silent: true, err: []string{"invalid.onnx"}},
		{name: "a limit", args: short(add, "--shape", "batch=1000", "--max-memory", "1KiB"), code: exitLimit, silent: true, err: []string{"memory"}},
	})
}

func TestBenchJSON(t *testing.T) {
	code, out, errText := command(t, "", "bench", "testdata/tagger.onnx", "--json", "--duration", "30ms", "--warmup", "1ms", "--concurrency", "2", "--threads", "1")
	if code != 0 || errText != "" {
		t.Fatalf("exit code %d, stderr %q", code, errText)
	}
	var r map[string]any
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	number := func(key string) float64 {
		v, ok := r[key].(float64)
		if !ok {
			t.Errorf("%s: %v, want a number", key, r[key])
		}
		return v
	}
	order := []string{"min_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "p999_ms", "max_ms"}
	for i, key := range order[1:] {
		if number(order[i]) > number(key) {
			t.Errorf("%s is %v, %s is %v", order[i], r[order[i]], key, r[key])
		}
	}
	for _, key := range []string{"schema_version", "load_ms", "first_ms", "runs", "seconds", "throughput", "min_ms", "mean_ms"} {
		if number(key) <= 0 {
			t.Errorf("%s: %v, want more than 0", key, r[key])
		}
	}
	number("allocs")
	number("alloc_bytes")
	if got := number("throughput") * number("seconds"); got < number("runs")*0.99 || got > number("runs")*1.01 {
		t.Errorf("throughput by seconds: %v, runs: %v", got, r["runs"])
	}
	if r["command"] != "bench" || r["concurrency"] != 2.0 || r["threads"] != 1.0 {
		t.Errorf("command %v, concurrency %v, threads %v", r["command"], r["concurrency"], r["threads"])
	}
	profile := r["profile"].(map[string]any)
	share := 0.0
	for _, o := range profile["operators"].([]any) {
		share += o.(map[string]any)["share"].(float64)
	}
	if share < 0.999 || share > 1.001 {
		t.Errorf("the operators' shares add up to %v, want 1", share)
	}
}

func TestPercentile(t *testing.T) {
	list := func(n int) []time.Duration {
		times := make([]time.Duration, n)
		for i := range times {
			times[i] = time.Duration(i+1) * time.Millisecond
		}
		return times
	}
	for _, c := range []struct{ n, permille, want int }{
		{1, 500, 1}, {1, 999, 1}, {2, 500, 1}, {2, 501, 2}, {3, 500, 2}, {4, 500, 2}, {10, 900, 9}, {10, 901, 10},
		{100, 990, 99}, {100, 999, 100}, {1000, 999, 999}, {1000, 990, 990}, {101, 990, 100},
	} {
		if got := percentile(list(c.n), c.permille); got != time.Duration(c.want)*time.Millisecond {
			t.Errorf("%d thousandths of 1..%d ms: %v, want %d ms", c.permille, c.n, got, c.want)
		}
	}
	times := list(4)
	times[0], times[3] = times[3], times[0]
	if l := summarize(times); l.Min != 1 || l.Max != 4 || l.Mean != 2.5 || l.P50 != 2 {
		t.Errorf("%+v", l)
	}
}

func TestBenchInterrupted(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, nil)
	defer cancel()
	inner, stop := context.WithCancel(t.Context())
	context.AfterFunc(ctx, stop)
	code, _, _ := commandIn(inner, "", nil, "bench", "testdata/tagger.onnx", "--duration", "1h")
	if code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
}

func TestRunProfile(t *testing.T) {
	code, out, errText := command(t, "", "run", "testdata/loop.onnx", "--random", "1", "--profile", "--passes", "none")
	if code != 0 || out == "" {
		t.Fatalf("exit code %d, stdout %q, stderr %q", code, out, errText)
	}
	wantParts(t, "stderr", errText, []string{"SHARE", "NODE"})
	if strings.Contains(out, "SHARE") {
		t.Errorf("stdout has the profile:\n%s", out)
	}
	_, plain, _ := command(t, "", "run", "testdata/loop.onnx", "--random", "1", "--passes", "none")
	if plain != out {
		t.Errorf("outputs with a profile\n%s\nand without\n%s", out, plain)
	}
}

func TestPprof(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"run", "testdata/add.onnx", "--random", "1", "--pprof"},
		{"bench", "testdata/add.onnx", "--duration", "10ms", "--pprof"},
	} {
		path := filepath.Join(dir, args[0]+".prof")
		if code, _, errText := command(t, "", append(args, path)...); code != 0 {
			t.Fatalf("exit code %d: %s", code, errText)
		}
		if b, err := os.ReadFile(path); err != nil || len(b) < 2 || b[0] != 0x1f || b[1] != 0x8b {
			t.Errorf("%s: %d bytes, %v; want a gzipped profile", path, len(b), err)
		}
	}
	if code, _, _ := command(t, "", "run", "testdata/add.onnx", "--random", "1", "--pprof", filepath.Join(dir, "no", "folder")); code == 0 {
		t.Error("a profile that cannot be written is no error")
	}
}
