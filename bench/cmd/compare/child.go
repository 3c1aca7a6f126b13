package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/recur-ml/recur/bench/internal/ort"
	"github.com/recur-ml/recur/bench/internal/timing"
	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// spec is what a process of its own is to run: one engine on one model. What
// the engines share, the model and its inputs, it reads from files.
type spec struct {
	Engine  string // "recur" or "ort"
	Model   string
	Arrays  string // .npz of the inputs
	Inputs  []string
	Outputs []string
	Threads int
	Slice   float64 // seconds to measure; 0: one run alone
	Library string
	Half    bool
}

// outcome is what it found.
type outcome struct {
	MS  float64 // the median of a run's times that pass
	RSS float64 // MiB, after the first run; 0 where the system does not tell
}

// family is a row's model and inputs in files, for processes that run them.
type family struct {
	dir string
	s   *subject
}

func newFamily(s *subject) (*family, error) {
	dir, err := os.MkdirTemp("", "recur-bench-")
	if err != nil {
		return nil, err
	}
	f := &family{dir, s}
	if err := os.WriteFile(f.model(), s.data, 0o600); err != nil {
		return nil, errors.Join(err, f.remove())
	}
	arrays := map[string]*onnx.Tensor{}
	for name, v := range s.values {
		arrays[name] = v.(*onnx.Tensor)
	}
	file, err := os.Create(f.arrays())
	if err != nil {
		return nil, errors.Join(err, f.remove())
	}
	if err := errors.Join(onnx.WriteNPZ(file, arrays), file.Close()); err != nil {
		return nil, errors.Join(err, f.remove())
	}
	return f, nil
}

func (f *family) model() string  { return filepath.Join(f.dir, "model.onnx") }
func (f *family) arrays() string { return filepath.Join(f.dir, "inputs.npz") }
func (f *family) remove() error  { return os.RemoveAll(f.dir) }

// run starts this program once more, for one engine.
func (f *family) run(engine, library string, threads int, slice float64) (*outcome, error) {
	data, err := json.Marshal(spec{engine, f.model(), f.arrays(), f.s.inputs, f.s.outputs, threads, slice, library, f.s.half})
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-child", string(data))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s in a process of its own: %w", engine, err)
	}
	o := &outcome{}
	return o, json.Unmarshal(out, o)
}

// child does what a spec says and prints the outcome.
func child(text string) error {
	var p spec
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
	e, err := p.load()
	if err != nil {
		return err
	}
	defer e.close()
	if err := e.run(); err != nil {
		return err
	}
	o := outcome{RSS: residentMiB()}
	if p.Slice > 0 {
		o.MS = timing.Effort{Slice: p.Slice, Calls: 5}.Time(timing.Wall, must(e.run)) * 1e3
	}
	return json.NewEncoder(os.Stdout).Encode(o)
}

func (p *spec) load() (engine, error) {
	file, err := os.ReadFile(p.Arrays)
	if err != nil {
		return nil, err
	}
	arrays, err := onnx.ReadNPZ(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, err
	}
	values := onnx.Values{}
	for name, t := range arrays {
		values[name] = t
	}
	s := &subject{inputs: p.Inputs, outputs: p.Outputs, values: values, half: p.Half}
	if p.Engine == "recur" {
		session, err := rt.Load(p.Model, s.options(p.Threads)...)
		if err != nil {
			return nil, err
		}
		e := &recurEngine{session: session}
		return e, e.bind(s)
	}
	if err := ort.Init(p.Library); err != nil {
		return nil, err
	}
	session, err := ort.LoadFile(p.Model, p.Inputs, p.Outputs, p.Threads)
	if err != nil {
		return nil, err
	}
	e := &ortEngine{session: session}
	e.call, err = session.Call(values)
	return e, err
}

// residentMiB is the memory of this process that is in the machine's, in MiB; 0
// where the system does not tell.
func residentMiB() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return kib / 1024
		}
	}
	return 0
}
