package kernel

import "math"

// Activation is an activation function of a recurrent operator with its two
// numbers, at a level. Its methods apply one function each, in place; NaN gives NaN, and a
// value gives the same result wherever in a slice it stands.
type Activation[T Float] struct {
	Alpha, Beta T
	Level       Level
}

// Sigmoid is 1 / (1 + e^-x).
func (a Activation[T]) Sigmoid(v []T) {
	switch v := any(v).(type) {
	case []float32:
		Sigmoid(a.Level, v, v)
	case []float64:
		for i, x := range v {
			v[i] = Sigmoid64(x)
		}
	}
}

// Tanh is (1 - e^-2x) / (1 + e^-2x).
func (a Activation[T]) Tanh(v []T) {
	switch v := any(v).(type) {
	case []float32:
		Tanh(a.Level, v, v)
	case []float64:
		for i, x := range v {
			v[i] = Tanh64(x)
		}
	}
}

// Relu is max(0, x).
func (Activation[T]) Relu(v []T) { Relu(v, v) }

// Affine is alpha*x + beta.
func (a Activation[T]) Affine(v []T) {
	for i, x := range v {
		v[i] = T(a.Alpha*x) + a.Beta
	}
}

// LeakyRelu is x where x >= 0, else alpha*x.
func (a Activation[T]) LeakyRelu(v []T) {
	for i, x := range v {
		if x < 0 {
			v[i] = a.Alpha * x
		}
	}
}

// ThresholdedRelu is x where x > alpha, else 0.
func (a Activation[T]) ThresholdedRelu(v []T) {
	for i, x := range v {
		if x <= a.Alpha {
			v[i] = 0
		}
	}
}

// ScaledTanh is alpha*tanh(beta*x).
func (a Activation[T]) ScaledTanh(v []T) {
	for i := range v {
		v[i] *= a.Beta
	}
	a.Tanh(v)
	for i := range v {
		v[i] *= a.Alpha
	}
}

// HardSigmoid is min(max(alpha*x + beta, 0), 1).
func (a Activation[T]) HardSigmoid(v []T) {
	for i, x := range v {
		v[i] = min(max(T(a.Alpha*x)+a.Beta, 0), 1)
	}
}

// Elu is x where x >= 0, else alpha*(e^x - 1).
func (a Activation[T]) Elu(v []T) {
	for i, x := range v {
		if x < 0 {
			v[i] = T(float64(a.Alpha) * math.Expm1(float64(x)))
		}
	}
}

// Softsign is x / (1 + |x|); of an infinity it is its limit, 1 or -1.
func (Activation[T]) Softsign(v []T) {
	for i, x := range v {
		if math.IsInf(float64(x), 0) {
			v[i] = T(math.Copysign(1, float64(x)))
			continue
		}
		v[i] = x / (1 + T(math.Abs(float64(x))))
	}
}

// Softplus is log(1 + e^x), as log1p(e^-|x|) + max(x, 0).
func (Activation[T]) Softplus(v []T) {
	for i, x := range v {
		y := float64(x)
		v[i] = T(math.Log1p(math.Exp(-math.Abs(y))) + max(y, 0))
	}
}
