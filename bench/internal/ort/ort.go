// Package ort runs models with ONNX Runtime, on values of package onnx, so that
// one program can compare both. It needs cgo and ONNX Runtime's shared library.
package ort

import (
	"errors"
	"fmt"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/recur-ml/recur/onnx"
)

// Init loads the shared library at path. It is called once in a process.
func Init(path string) error {
	if path == "" {
		return errors.New("no path of ONNX Runtime's shared library")
	}
	ort.SetSharedLibraryPath(path)
	return ort.InitializeEnvironment(ort.WithLogLevelError())
}

// Version is the version of the library.
func Version() string { return ort.GetVersion() }

// Session is a loaded model. Any number of Calls may use it at a time.
type Session struct {
	s               *ort.DynamicAdvancedSession
	inputs, outputs []string
	// LoadTime is what the creation of the session took.
	LoadTime time.Duration
}

// Load makes a session of an encoded model whose inputs and outputs have the
// given names. It computes on the given number of threads.
func Load(model []byte, inputs, outputs []string, threads int) (*Session, error) {
	return load(inputs, outputs, threads, func(o *ort.SessionOptions) (*ort.DynamicAdvancedSession, error) {
		return ort.NewDynamicAdvancedSessionWithONNXData(model, inputs, outputs, o)
	})
}

// LoadFile is Load from a file.
func LoadFile(path string, inputs, outputs []string, threads int) (*Session, error) {
	return load(inputs, outputs, threads, func(o *ort.SessionOptions) (*ort.DynamicAdvancedSession, error) {
		return ort.NewDynamicAdvancedSession(path, inputs, outputs, o)
	})
}

func load(inputs, outputs []string, threads int, create func(*ort.SessionOptions) (*ort.DynamicAdvancedSession, error)) (*Session, error) {
	o, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer o.Destroy()
	if err := errors.Join(o.SetIntraOpNumThreads(threads), o.SetInterOpNumThreads(1)); err != nil {
		return nil, err
	}
	s := &Session{inputs: inputs, outputs: outputs}
	start := time.Now()
	s.s, err = create(o)
	s.LoadTime = time.Since(start)
	return s, err
}

// Close releases the session.
func (s *Session) Close() error { return s.s.Destroy() }

// Call is a session with inputs and with outputs that are allocated once, so
// that Run is a run and nothing else.
type Call struct {
	session *Session
	in, out []ort.Value
}

// Call binds the inputs, which are kept, and runs the model once to learn the
// outputs' shapes.
func (s *Session) Call(inputs onnx.Values) (*Call, error) {
	c := &Call{session: s, out: make([]ort.Value, len(s.outputs))}
	for _, name := range s.inputs {
		v, err := value(inputs[name])
		if err != nil {
			c.Close()
			return nil, fmt.Errorf("input %q: %w", name, err)
		}
		c.in = append(c.in, v)
	}
	if err := c.Run(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Run computes the outputs.
func (c *Call) Run() error { return c.session.s.Run(c.in, c.out) }

// Output gives the elements of a float32 output after a run.
func (c *Call) Output(name string) ([]float32, error) {
	for i, n := range c.session.outputs {
		if n != name {
			continue
		}
		switch t := c.out[i].(type) {
		case *ort.Tensor[float32]:
			return t.GetData(), nil
		case *ort.Scalar[float32]:
			return []float32{t.GetData()}, nil
		default:
			return nil, fmt.Errorf("output %q is a %T, want float32", name, t)
		}
	}
	return nil, fmt.Errorf("no output %q", name)
}

// Close releases the inputs and outputs.
func (c *Call) Close() error {
	var err error
	for _, v := range append(append([]ort.Value{}, c.in...), c.out...) {
		if v != nil {
			err = errors.Join(err, v.Destroy())
		}
	}
	return err
}

// value makes ORT's view of a tensor.
func value(v onnx.Value) (ort.Value, error) {
	t, ok := v.(*onnx.Tensor)
	if !ok {
		return nil, fmt.Errorf("want a tensor, have %v", v)
	}
	switch t.DataType() {
	case onnx.Float:
		return tensor[float32](t)
	case onnx.Int32:
		return tensor[int32](t)
	case onnx.Int64:
		return tensor[int64](t)
	}
	return nil, fmt.Errorf("element type %v is not handled", t.DataType())
}

func tensor[T interface {
	onnx.Element
	float32 | int32 | int64
}](t *onnx.Tensor) (ort.Value, error) {
	data, err := onnx.Data[T](t)
	if err != nil {
		return nil, err
	}
	if t.Rank() == 0 {
		return ort.NewScalar(data[0])
	}
	shape := make(ort.Shape, t.Rank())
	for i, d := range t.Shape() {
		shape[i] = int64(d)
	}
	return ort.NewTensor(shape, data)
}
