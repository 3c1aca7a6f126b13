package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

// fusedActivation is the activation of a fused operator; the zero value leaves
// elements as they are. It gives the bits of the operator of its name.
type fusedActivation struct {
	loop func(dst, src []float32) // nil for none
}

// readFusedActivation reads the attributes activation, activation_alpha and
// activation_beta. A number that is not set has the default that the operator
// of that name has; Clip's bounds are then infinite.
func readFusedActivation(n *Node) (fusedActivation, error) {
	name := n.Str("activation", "")
	numbers, known := fusedNumbers[name]
	if !known {
		return fusedActivation{}, onnx.Errorf(onnx.ErrUnsupported, "activation %q in a fused operator", name)
	}
	alpha, beta := n.Float("activation_alpha", numbers[0]), n.Float("activation_beta", numbers[1])
	if err := n.Err(); err != nil {
		return fusedActivation{}, err
	}
	l := n.Level()
	switch name {
	case "":
		return fusedActivation{}, nil
	case "Clip":
		return fusedActivation{func(dst, src []float32) { kernel.ClipVector(l, dst, src, alpha, beta) }}, nil
	case "LeakyRelu", "Elu", "HardSigmoid":
		return fusedActivation{activationMap[float32](l, name, alpha, beta).f}, nil
	}
	return fusedActivation{maps(l, name)[onnx.Float].(*mapping[float32, float32]).f}, nil
}

// fusedNumbers are the activations of fused operators, with the defaults of
// alpha and beta.
var fusedNumbers = map[string][2]float32{
	"": {}, "Relu": {}, "Sigmoid": {}, "Tanh": {}, "Softplus": {}, "Softsign": {}, "HardSwish": {},
	"LeakyRelu": {0.01}, "Elu": {1}, "HardSigmoid": {0.2, 0.5},
	"Clip": {float32(math.Inf(-1)), float32(math.Inf(1))},
}

// apply computes the function of each element, in place. Where dst is cut into
// parts changes no bit.
func (f *fusedActivation) apply(dst []float32) {
	if f.loop != nil {
		f.loop(dst, dst)
	}
}
