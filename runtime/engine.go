package runtime

import (
	"slices"
	"strings"

	"github.com/recur-ml/recur/onnx"
)

// engines are the ways to compute, the default first.
var engines = []string{"go"} // plain Go loops, on any machine

// Engines lists the names of the engines that this machine can use, the
// default first. All give results within the suites' tolerances.
func Engines() []string { return slices.Clone(engines) }

// WithEngine chooses the engine by name, as Engines lists them. An unknown name
// fails the load.
func WithEngine(name string) Option { return func(o *options) { o.engine = name } }

func (o *options) checkEngine() error {
	if o.engine == "" || slices.Contains(engines, o.engine) {
		return nil
	}
	return onnx.Errorf(onnx.ErrUnsupported, "engine %q: there is %s", o.engine, strings.Join(engines, ", "))
}
