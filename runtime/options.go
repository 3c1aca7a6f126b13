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
	// see WithHalfWeights, WithLazyPacking
	halfWeights, lazyPacking bool
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

// WithHalfWeights stores the recurrent weights R of LSTM, GRU and RNN as
// float16, which is half the memory to keep and to read: for a batch of 1 or 2 and
// layers that no cache holds that is most of the time. It is for nodes that
// compute in float32, those of float16 and bfloat16 among them. A node with a
// weight in R that is not a number, or beyond ±65504, keeps its float32. Weights
// that are no constants are rounded too, in each run, which then saves nothing.
//
// The weights are rounded to the nearest of 11 bits, a relative error of at
// most 2^-11 (below 2^-14 an absolute one of 2^-25); all sums and states stay
// float32. States so differ from those of the exact weights by some 1e-4 where
// a layer forgets, more where it amplifies: judge it on the model's own data.
// On one engine the results are to the bit those of a model whose R has been
// rounded so, for any batch. An engine without instructions for float16, plain
// Go for one, rounds too, but keeps float32.
func WithHalfWeights() Option { return func(o *options) { o.halfWeights = true } }

// WithLazyPacking brings a weight into the layout of its kernel when a run first
// needs it: the load takes less time, and the first run more. Without it that
// happens at load, on as many goroutines as WithThreads allows; weights of bodies,
// such as the branches of an If, wait for the first run either way. Results do
// not depend on it.
func WithLazyPacking() Option { return func(o *options) { o.lazyPacking = true } }

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
