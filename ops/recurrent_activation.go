package ops

import (
	"strings"

	"github.com/recur-ml/recur/internal/fault"
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

// An activationFunc is one of the functions that the recurrent operators may
// name. A function that takes an alpha or a beta has its default: that of the
// operator of the same name where there is one.
type activationFunc struct {
	name        string
	alpha, beta *float32
}

func defaultOf(x float32) *float32 { return &x }

var activationFuncs = []activationFunc{
	{name: "Relu"},
	{name: "Tanh"},
	{name: "Sigmoid"},
	{name: "Affine", alpha: defaultOf(1), beta: defaultOf(0)},
	{name: "LeakyRelu", alpha: defaultOf(0.01)},
	{name: "ThresholdedRelu", alpha: defaultOf(1)},
	{name: "ScaledTanh", alpha: defaultOf(1), beta: defaultOf(1)},
	{name: "HardSigmoid", alpha: defaultOf(0.2), beta: defaultOf(0.5)},
	{name: "Elu", alpha: defaultOf(1)},
	{name: "Softsign"},
	{name: "Softplus"},
}

// activation is a function with its numbers.
type activation struct {
	name        string
	alpha, beta float32
}

// areFused reports whether a cell of T has its functions, names, in one loop with
// all that it does between sums and states.
func areFused[T singleOrDouble](l Level, f []activation, names ...string) bool {
	for i, name := range names {
		if f[i].name != name || fault.Is(fault.Activation(name)) {
			return false
		}
	}
	return l != kernel.Go && onnx.TypeOf[T]() == onnx.Float
}

// activationLoop gives the function as a loop over elements, in place.
func activationLoop[T singleOrDouble](l Level, a activation) func([]T) {
	f := kernel.Activation[T]{Alpha: T(a.alpha), Beta: T(a.beta), Level: l}
	if fault.Is(fault.Activation(a.name)) {
		return func([]T) {}
	}
	switch a.name {
	case "Relu":
		return f.Relu
	case "Tanh":
		return f.Tanh
	case "Sigmoid":
		return f.Sigmoid
	case "Affine":
		return f.Affine
	case "LeakyRelu":
		return f.LeakyRelu
	case "ThresholdedRelu":
		return f.ThresholdedRelu
	case "ScaledTanh":
		return f.ScaledTanh
	case "HardSigmoid":
		return f.HardSigmoid
	case "Elu":
		return f.Elu
	case "Softsign":
		return f.Softsign
	case "Softplus":
		return f.Softplus
	}
	panic("activation " + a.name)
}

// parseActivations reads the attributes activations, activation_alpha and
// activation_beta. defaults names one direction's functions. The result has
// those of direction 0, then those of direction 1.
//
// The two lists of numbers are consumed in the order of the functions: one
// that takes an alpha takes the next alpha, one that takes a beta the next
// beta, and others take nothing. Where a list is exhausted the defaults serve;
// what is left over of it is not used.
func parseActivations(n *Node, defaults []string, directions int) ([]activation, error) {
	var names []string
	for range directions {
		names = append(names, defaults...)
	}
	if given := n.Strs("activations"); given != nil {
		want := len(names)
		// RNN's schema gives two names for any number of directions.
		if len(given) != want && (len(defaults) != 1 || len(given) != 2) {
			return nil, onnx.Errorf(onnx.ErrMalformed, "activations has %d names, want %d (%d for each direction)", len(given), want, len(defaults))
		}
		names = given[:want]
	}
	alphas, betas := n.Floats("activation_alpha"), n.Floats("activation_beta")
	if fault.Is(fault.Alpha) {
		alphas = nil
	}
	if fault.Is(fault.Beta) {
		betas = nil
	}
	var out []activation
	for _, name := range names {
		f, err := findActivation(name)
		if err != nil {
			return nil, err
		}
		out = append(out, activation{f.name, nextNumber(&alphas, f.alpha), nextNumber(&betas, f.beta)})
	}
	return out, nil
}

// nextNumber takes the next of a list of numbers, for a function whose default for
// it is def; nil means that the function takes none.
func nextNumber(list *[]float32, def *float32) float32 {
	switch {
	case def == nil:
		return 0
	case len(*list) == 0:
		return *def
	}
	x := (*list)[0]
	*list = (*list)[1:]
	return x
}

// findActivation finds a function by its name, in upper or lower case.
func findActivation(name string) (activationFunc, error) {
	var all []string
	for _, f := range activationFuncs {
		if strings.EqualFold(f.name, name) {
			return f, nil
		}
		all = append(all, f.name)
	}
	return activationFunc{}, onnx.Errorf(onnx.ErrMalformed, "activations: %q, want one of %s", name, strings.Join(all, ", "))
}
