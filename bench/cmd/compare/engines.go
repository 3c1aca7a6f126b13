package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/recur-ml/recur/bench"
	"github.com/recur-ml/recur/bench/internal/ort"
	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// engine is a loaded model with its inputs and with outputs that are allocated
// once. run computes the outputs.
type engine interface {
	run() error
	output(name string) ([]float32, error)
	close()
}

// subject is a model to run, as both engines take it.
type subject struct {
	data            []byte
	inputs, outputs []string
	values          onnx.Values
	half            bool // recur has half weights
}

// options are those of our sessions.
func (s *subject) options(threads int) []rt.Option {
	opts := []rt.Option{rt.WithThreads(threads)}
	if s.half {
		opts = append(opts, rt.WithHalfWeights())
	}
	return opts
}

func newSubject(data []byte, row *bench.Row) (*subject, error) {
	m, err := onnx.Decode(data, nil)
	if err != nil {
		return nil, err
	}
	s := &subject{data: data, values: row.Inputs(m), half: row.Half}
	for name := range s.values {
		s.inputs = append(s.inputs, name)
	}
	slices.Sort(s.inputs)
	for _, o := range m.Graph.Outputs {
		s.outputs = append(s.outputs, o.Name)
	}
	return s, nil
}

// recurEngine is a session of ours.
type recurEngine struct {
	session *rt.Session
	in, out onnx.Values
	load    time.Duration
}

func newRecur(s *subject, threads int, engine string) (*recurEngine, error) {
	start := time.Now()
	session, err := rt.LoadBytes(s.data, append(s.options(threads), rt.WithEngine(engine))...)
	if err != nil {
		return nil, err
	}
	e := &recurEngine{session: session, load: time.Since(start)}
	return e, e.bind(s)
}

// another is the same session with outputs of its own, for another caller.
func (e *recurEngine) another(s *subject) (*recurEngine, error) {
	other := &recurEngine{session: e.session}
	return other, other.bind(s)
}

func (e *recurEngine) bind(s *subject) (err error) {
	e.in = s.values
	e.out, err = e.session.Run(context.Background(), e.in)
	return err
}

func (e *recurEngine) run() error { return e.session.RunInto(context.Background(), e.in, e.out) }
func (e *recurEngine) close()     { e.session.Close() }

func (e *recurEngine) output(name string) ([]float32, error) {
	return onnx.Data[float32](e.out[name])
}

// ortEngine is a session of ONNX Runtime.
type ortEngine struct {
	session *ort.Session
	call    *ort.Call
}

func newORT(s *subject, threads int) (*ortEngine, error) {
	session, err := ort.Load(s.data, s.inputs, s.outputs, threads)
	if err != nil {
		return nil, err
	}
	e := &ortEngine{session: session}
	e.call, err = session.Call(s.values)
	return e, err
}

// another is the same session with outputs of its own, for another caller.
func (e *ortEngine) another(s *subject) (*ortEngine, error) {
	call, err := e.session.Call(s.values)
	return &ortEngine{e.session, call}, err
}

func (e *ortEngine) run() error                            { return e.call.Run() }
func (e *ortEngine) output(name string) ([]float32, error) { return e.call.Output(name) }

func (e *ortEngine) close() {
	e.call.Close()
	e.session.Close()
}

// difference gives the greatest absolute difference of the outputs, and an
// error where one is beyond the tolerance, a number is NaN on one side alone or
// the sizes differ.
func difference(s *subject, a, b engine, tolerance float64) (float64, error) {
	most := 0.0
	for _, name := range s.outputs {
		x, err := a.output(name)
		if err != nil {
			return 0, err
		}
		y, err := b.output(name)
		if err != nil {
			return 0, err
		}
		if len(x) != len(y) {
			return 0, fmt.Errorf("output %q has %d elements, ONNX Runtime's has %d", name, len(x), len(y))
		}
		for i := range x {
			u, v := float64(x[i]), float64(y[i])
			if u == v || u != u && v != v {
				continue
			}
			d := math.Abs(u - v)
			most = max(most, d)
			if math.IsInf(d, 0) || !(d <= tolerance*(1+math.Abs(v))) {
				return most, fmt.Errorf("output %q, element %d: %v, ONNX Runtime gives %v", name, i, x[i], y[i])
			}
		}
	}
	return most, nil
}
