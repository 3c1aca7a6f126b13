package runtime

import (
	"strings"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
)

// Engines lists the names of the engines that this machine can use, the
// fastest and default one first: "avx512" and "avx2" are assembly, "go" is
// plain Go on any machine. All give results within the suites' tolerances.
func Engines() []string {
	var names []string
	for _, l := range ops.Levels() {
		names = append(names, l.String())
	}
	return names
}

// WithEngine chooses the engine by name, as Engines lists them. An unknown name
// fails the load.
func WithEngine(name string) Option { return func(o *options) { o.engine = name } }

// chooseLevel finds the level of the engine that the options name.
func (o *options) chooseLevel() error {
	levels := ops.Levels()
	if o.engine == "" {
		o.level = levels[0]
		return nil
	}
	for _, o.level = range levels {
		if o.level.String() == o.engine {
			return nil
		}
	}
	return onnx.Errorf(onnx.ErrUnsupported, "engine %q: there is %s", o.engine, strings.Join(Engines(), ", "))
}
