package runtime

import (
	goruntime "runtime"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// Option changes how a model is loaded and run.
type Option func(*options)

type options struct {
	threads  int
	passes   []string // of those that are optional; nil: all
	limits   onnx.Limits
	registry *ops.Registry
	engine   string
	level    ops.Level // of the engine
	programs int
	profile  *Profile
}

// WithThreads bounds the goroutines that one Run computes on, the caller's
// own included. The default, 0, is GOMAXPROCS; with 1 no goroutine is started.
// All runs of a process together stay within GOMAXPROCS. The results do not
// depend on the number.
func WithThreads(n int) Option { return func(o *options) { o.threads = n } }

// WithPasses names the optional rewrite passes that are applied; with no name,
// none is. Without this option all are. An unknown name fails the load.
func WithPasses(names ...string) Option {
	return func(o *options) { o.passes = append([]string{}, names...) }
}

// WithLimits sets limits for the model and its runs. Fields that are zero
// keep their defaults.
func WithLimits(l onnx.Limits) Option { return func(o *options) { o.limits = l } }

// WithRegistry gives the operators that the model may use; a Clone of
// ops.Default with more rows, most often.
func WithRegistry(r *ops.Registry) Option { return func(o *options) { o.registry = r } }

// WithPrograms bounds the programs that a session makes, and keeps, for shapes
// of inputs that it sees again: shape arithmetic is then computed once, and an
// If that hangs on shapes, or on an input of a few integers, is decided. The
// default is DefaultPrograms; with 0 none is made. Results do not depend on it.
func WithPrograms(n int) Option { return func(o *options) { o.programs = max(n, 0) } }

func newOptions(opts []Option) *options {
	o := &options{programs: DefaultPrograms}
	for _, opt := range opts {
		if opt != nil {
			opt(o)
		}
	}
	if o.threads <= 0 {
		o.threads = goruntime.GOMAXPROCS(0)
	}
	if o.registry == nil {
		o.registry = ops.Default()
	}
	o.limits = o.limits.WithDefaults()
	if o.limits.RunBytes == 0 {
		o.limits.RunBytes = DefaultRunBytes()
	}
	return o
}
