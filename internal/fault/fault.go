// Package fault switches behaviours of operators off, one at a time, so that
// a test can show that some expected value depends on each of them. Only tests
// import it besides package ops; nothing outside the module can.
//
// A switch is looked at while a node is inferred and built, never while it
// runs: what was loaded before a switch was thrown keeps its behaviour.
package fault

import "sync/atomic"

// Switch names a behaviour.
type Switch string

// The behaviours of the recurrent operators that are not an input, an output
// or an activation function.
const (
	Direction     Switch = "direction"           // off: reverse is computed forward
	Start         Switch = "start of reverse"    // off: reverse starts in the padding
	Clip          Switch = "clip"                // off: nothing is clipped
	InputForget   Switch = "input_forget"        // off: as 0
	Reset         Switch = "linear_before_reset" // off: as 0
	Layout        Switch = "layout"              // off: as 0
	Alpha         Switch = "activation_alpha"    // off: the defaults
	Beta          Switch = "activation_beta"     // off: the defaults
	SecondWeights Switch = "second direction"    // off: it uses the first one's weights
)

// Activation is the switch of an activation function; off, it gives its
// argument.
func Activation(name string) Switch { return Switch("activation " + name) }

// Input is the switch of an optional input of a recurrent operator; off, it
// counts as absent.
func Input(name string) Switch { return Switch("input " + name) }

// Output is the switch of an output of a recurrent operator; off, it is zero.
func Output(name string) Switch { return Switch("output " + name) }

// Recurrent lists every switch of the recurrent operators. Input P stands for
// the peepholes, input sequence_lens for the lengths.
func Recurrent() []Switch {
	all := []Switch{Direction, Start, Clip, InputForget, Reset, Layout, Alpha, Beta, SecondWeights}
	for _, name := range []string{"Relu", "Tanh", "Sigmoid", "Affine", "LeakyRelu", "ThresholdedRelu", "ScaledTanh", "HardSigmoid", "Elu", "Softsign", "Softplus"} {
		all = append(all, Activation(name))
	}
	for _, name := range []string{"B", "sequence_lens", "initial_h", "initial_c", "P"} {
		all = append(all, Input(name))
	}
	for _, name := range []string{"Y", "Y_h", "Y_c"} {
		all = append(all, Output(name))
	}
	return all
}

var off atomic.Pointer[Switch]

// Throw switches one behaviour off, and every other one on, until the function
// that it returns is called.
func Throw(s Switch) (restore func()) {
	off.Store(&s)
	return func() { off.Store(nil) }
}

// Is reports whether a behaviour is switched off.
func Is(s Switch) bool {
	p := off.Load()
	return p != nil && *p == s
}
