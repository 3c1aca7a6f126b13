// Package onnxgo runs models of github.com/owulveryck/onnx-go on recur: a
// program that decodes them with onnx-go's Model takes a [Backend] for its
// own and keeps the rest.
//
//	backend := onnxgo.New(onnxgo.Opset(9))
//	model := onnx.NewModel(backend) // of onnx-go
//	err := model.UnmarshalBinary(data)
//	...
//	err = model.SetInput(0, x)
//	err = backend.Run()
//	out, err := model.GetOutputTensors()
//
// What onnx-go's decoder does not read stays out of reach: subgraphs (If, Loop,
// Scan), half-precision floats, and initializers of types other than float32,
// float64, int32, int64. Package runtime loads such models.
//
// # Notes
//
//   - onnx-go does not hand over the opset that a model imports, and an
//     operator's meaning depends on it. Give the model's own with [Opset].
//   - Neither does it hand over domains. A name that ai.onnx has no operator
//     for in the opset is looked up in ai.onnx.ml.
//   - Model.SetInput(i, t) sets the node that was decoded i-th, which is the
//     model's i-th input with initializers counted. Where they come first, ask
//     Model.GetNodeByName for the node and set its tensor.
//   - gorgonia.org/tensor does not tell a tensor of shape (1) from a scalar in
//     all respects, and onnx-go's own test vectors hold both as float32. So an
//     input of one element may have another number type than the model
//     declares, as long as the declared type holds that number exactly.
package onnxgo

import (
	"errors"
	"fmt"

	goonnx "github.com/owulveryck/onnx-go"
	"gorgonia.org/tensor"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// defaultOpset is the opset of onnx-go's test vectors, most of them.
const defaultOpset = 9

// Backend is a computation backend for one model of onnx-go. Run loads the
// model that was decoded into it and computes its outputs.
//
// A Backend is to be used by one goroutine at a time. For many, load the model
// with package runtime, or give each a Backend.
type Backend struct {
	graph
	opset   int
	options []rt.Option

	session *rt.Session
	loaded  signature // of what session was made from
}

// Option changes how a Backend loads its model.
type Option func(*Backend)

// Opset says which version of ai.onnx's operators the model imports. The
// default is 9. A version that ONNX does not have fails Run.
func Opset(version int) Option { return func(b *Backend) { b.opset = version } }

// Runtime passes options on to the runtime: threads, limits, passes.
func Runtime(options ...rt.Option) Option {
	return func(b *Backend) { b.options = append(b.options, options...) }
}

// New makes a backend that holds no model yet.
func New(options ...Option) *Backend {
	b := &Backend{opset: defaultOpset}
	b.graph.init()
	for _, o := range options {
		o(b)
	}
	return b
}

// Run computes the model's outputs from the tensors that were set. They are
// read from their nodes, as Model.GetOutputTensors does. Each Run gives new
// tensors; those of the runs before stay as they are. Inputs are only read,
// and only while Run runs; initializers are read once.
//
// An error matches the sentinels of recur's package onnx. For an operator that
// is not computed, it is a *runtime.RefusalError and an *onnx.ErrNotImplemented
// of onnx-go to errors.As.
func (b *Backend) Run() (err error) {
	defer func() {
		if r := recover(); r != nil { // gorgonia.org/tensor panics on wrong use
			err = fmt.Errorf("onnxgo: %w: %v", rt.ErrInternal, r)
		}
	}()
	b.forget()
	if err := b.prepare(); err != nil {
		return wrap(err)
	}
	inputs, err := b.feed()
	if err != nil {
		return wrap(err)
	}
	if err := b.load(inputs); err != nil {
		return wrap(err)
	}
	out, err := b.session.Run(nil, inputs)
	if err != nil {
		return wrap(err)
	}
	results := make(map[string]tensor.Tensor, len(out))
	for name, v := range out {
		t, ok := v.(*onnx.Tensor)
		if !ok {
			return wrap(onnx.Errorf(onnx.ErrType, "output %q is a %s, which onnx-go has no value for", name, v.Type().Name()))
		}
		if results[name], err = toGorgonia(t); err != nil {
			return wrap(fmt.Errorf("output %q: %w", name, err))
		}
	}
	for name, t := range results {
		b.byName[name].result = t
	}
	return nil
}

// load makes a session of the graph, unless the one at hand was made from the
// same graph for inputs of the same types and ranks.
func (b *Backend) load(inputs onnx.Values) error {
	sig := b.signature(inputs)
	if b.session != nil && sig == b.loaded {
		return nil
	}
	m, err := b.model(inputs, b.opset)
	if err != nil {
		return err
	}
	s, err := rt.LoadModel(m, b.options...)
	if err != nil {
		return err
	}
	b.session, b.loaded = s, sig
	return nil
}

// wrap says where an error comes from, and gives a refused operator the form
// that users of onnx-go ask for.
func wrap(err error) error {
	var refusal *rt.RefusalError
	if errors.As(err, &refusal) && errors.Is(err, onnx.ErrUnsupported) {
		for _, r := range refusal.Refusals {
			if errors.Is(r.Err, onnx.ErrUnsupported) {
				return &notImplemented{err, &goonnx.ErrNotImplemented{Operator: r.Op, Message: r.Reason}}
			}
		}
	}
	return fmt.Errorf("onnxgo: %w", err)
}

// notImplemented is an error of recur that is one of onnx-go as well.
type notImplemented struct {
	err error
	is  *goonnx.ErrNotImplemented
}

func (e *notImplemented) Error() string   { return "onnxgo: " + e.err.Error() }
func (e *notImplemented) Unwrap() []error { return []error{e.err, e.is} }
