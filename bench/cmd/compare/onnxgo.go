package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/recur-ml/recur/bench"
)

// measureOnnxGo runs the rows that were measured in onnx-go's own backend too,
// on one thread: cmd/onnxgo, a process for each row. A note says what it cannot
// run, and why.
func (q *request) measureOnnxGo(r *report, rows []*bench.Row) error {
	if !q.onnxgo || q.cpu {
		return nil
	}
	dir, err := os.MkdirTemp("", "recur-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "onnxgo")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/recur-ml/recur/bench/cmd/onnxgo").CombinedOutput(); err != nil {
		r.Notes = append(r.Notes, "onnx-go was left out, as it did not build: "+firstLine(string(out)))
		return nil
	}
	refused := map[string]int{}
	for _, x := range r.Results {
		for _, row := range rows {
			if row.Name != x.Name || row.Group == bench.Growth {
				continue
			}
			why, err := q.oneOnnxGo(program, row, x)
			if err != nil {
				return fmt.Errorf("%s: %w", row.Name, err)
			}
			if why != "" {
				refused[why]++
			}
		}
	}
	var reasons []string
	for why, n := range refused {
		reasons = append(reasons, fmt.Sprintf("%d for \"%s\"", n, why))
	}
	slices.Sort(reasons)
	if len(reasons) > 0 {
		r.Notes = append(r.Notes, "onnx-go's backend cannot run the rows without a time: "+strings.Join(reasons, "; ")+".")
	}
	return nil
}

// oneOnnxGo measures one row; why is the reason for which it cannot.
func (q *request) oneOnnxGo(program string, row *bench.Row, x *result) (why string, err error) {
	data, err := row.Model()
	if err != nil {
		return "", err
	}
	s, err := newSubject(data, row)
	if err != nil {
		return "", err
	}
	f, err := newFamily(s)
	if err != nil {
		return "", err
	}
	defer f.remove()
	cmd := exec.Command(program, f.model(), f.arrays(), strconv.FormatFloat(5*q.effort.Slice, 'g', -1, 64))
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	var out, message bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &message
	if err := cmd.Run(); err != nil {
		return firstLine(message.String()), nil
	}
	var o struct{ MS, Difference float64 }
	if err := json.Unmarshal(out.Bytes(), &o); err != nil {
		return "", err
	}
	if o.Difference > q.tolerance {
		return fmt.Sprintf("its result differs by %.1g", o.Difference), nil
	}
	x.OnnxGo = o.MS
	return "", nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
