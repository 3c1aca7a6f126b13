package kernel

import (
	"math"
	"testing"
)

// TestActivations works each function at the edges, for both types; NaN gives
// NaN everywhere.
func TestActivations(t *testing.T) {
	testActivations[float32](t)
	testActivations[float64](t)
}

func testActivations[T Float](t *testing.T) {
	inf := math.Inf(1)
	f := Activation[T]{Alpha: 0.5, Beta: 0.25}
	x := []float64{-inf, -2, 0, 0.5, 2, inf}
	tests := []struct {
		name string
		f    func([]T)
		want []float64
	}{
		{"Relu", f.Relu, []float64{0, 0, 0, 0.5, 2, inf}},
		{"Tanh", f.Tanh, []float64{-1, math.Tanh(-2), 0, math.Tanh(0.5), math.Tanh(2), 1}},
		{"Sigmoid", f.Sigmoid, []float64{0, 1 / (1 + math.Exp(2)), 0.5, 1 / (1 + math.Exp(-0.5)), 1 / (1 + math.Exp(-2)), 1}},
		{"Affine", f.Affine, []float64{-inf, -0.75, 0.25, 0.5, 1.25, inf}},
		{"LeakyRelu", f.LeakyRelu, []float64{-inf, -1, 0, 0.5, 2, inf}},
		{"ThresholdedRelu", f.ThresholdedRelu, []float64{0, 0, 0, 0, 2, inf}},
		{"ScaledTanh", f.ScaledTanh, []float64{-0.5, 0.5 * math.Tanh(-0.5), 0, 0.5 * math.Tanh(0.125), 0.5 * math.Tanh(0.5), 0.5}},
		{"HardSigmoid", f.HardSigmoid, []float64{0, 0, 0.25, 0.5, 1, 1}},
		{"Elu", f.Elu, []float64{-0.5, 0.5 * (math.Exp(-2) - 1), 0, 0.5, 2, inf}},
		{"Softsign", f.Softsign, []float64{-1, -2. / 3, 0, 1. / 3, 2. / 3, 1}},
		{"Softplus", f.Softplus, []float64{0, math.Log(1 + math.Exp(-2)), math.Ln2, math.Log(1 + math.Exp(0.5)), math.Log(1 + math.Exp(2)), inf}},
	}
	for _, tt := range tests {
		got := make([]T, len(x))
		for i, v := range x {
			got[i] = T(v)
		}
		tt.f(got)
		for i, w := range tt.want {
			if g := float64(got[i]); g != w && !(math.Abs(g-w) <= 1e-7*math.Abs(w)) {
				t.Errorf("%T: %s(%v) is %v, want %v", got, tt.name, x[i], g, w)
			}
		}
		nan := []T{T(math.NaN())}
		if tt.f(nan); nan[0] == nan[0] {
			t.Errorf("%T: %s(NaN) is %v", got, tt.name, nan[0])
		}
	}
}
