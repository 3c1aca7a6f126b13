package ops

import (
	"math"
	"slices"

	"github.com/recur-ml/recur/onnx"
)

const previewTraining = "ai.onnx.preview.training"

func init() {
	register(
		Op{Domain: previewTraining, Name: "Adagrad", Since: []int{1},
			Infer: func(n *Node) error { return inferOptimizer(n, 1) }, Build: buildAdagrad},
		Op{Domain: previewTraining, Name: "Adam", Since: []int{1},
			Infer: func(n *Node) error { return inferOptimizer(n, 2) }, Build: buildAdam},
		Op{Domain: previewTraining, Name: "Momentum", Since: []int{1},
			Infer: func(n *Node) error { return inferOptimizer(n, 1) }, Build: buildMomentum},
	)
}

// optimizerKernel updates tensors X by their gradients G. The inputs are the
// learning rate R, the number T of updates before, then for n tensors the
// lists X, G and each of the states; the outputs are the lists of the new X and
// of the new states. Elements are computed in float64 and rounded once.
type optimizerKernel struct {
	states int
	// step gives the function for one element: the new x and states of x, the
	// gradient and the states.
	step func(r float64, t int64) func(x, g, s1, s2 float64) (float64, float64, float64)
}

// optimizerTensors counts the tensors that a node updates.
func optimizerTensors(inputs, outputs, states int) (int, error) {
	n := (inputs - 2) / (2 + states)
	if n < 1 || inputs != 2+n*(2+states) || outputs > n*(1+states) {
		return 0, onnx.Errorf(onnx.ErrMalformed, "%d inputs and %d outputs, want 2 + n*%d and n*%d", inputs, outputs, 2+states, 1+states)
	}
	return n, nil
}

func inferOptimizer(n *Node, states int) error {
	tensors, err := optimizerTensors(n.NumInputs(), n.NumOutputs(), states)
	if err != nil {
		return err
	}
	for i := range n.NumOutputs() {
		n.SetTensor(i, n.Elem(2+i%tensors), n.Shape(2+i%tensors))
	}
	return nil
}

// buildAdagrad reads the update
//
//	r  = R / (1 + T*decay_factor)
//	g  = norm_coefficient*X + G
//	H' = H + g*g
//	X' = X - r * g / (sqrt(H') + epsilon)
func buildAdagrad(n *Node) (Kernel, error) {
	decay, epsilon, norm := float64(n.Float("decay_factor", 0)), float64(n.Float("epsilon", 1e-6)), float64(n.Float("norm_coefficient", 0))
	return &optimizerKernel{states: 1, step: func(r float64, t int64) func(x, g, s1, s2 float64) (float64, float64, float64) {
		r /= 1 + float64(t)*decay
		return func(x, g, h, _ float64) (float64, float64, float64) {
			g += norm * x
			h += g * g
			return x - r*g/(math.Sqrt(h)+epsilon), h, 0
		}
	}}, nil
}

// buildAdam reads the update
//
//	r  = R * sqrt(1 - beta^T) / (1 - alpha^T) for T > 0, else R
//	g  = norm_coefficient*X + G
//	V' = alpha*V + (1-alpha)*g
//	H' = beta*H + (1-beta)*g*g
//	X' = (1 - norm_coefficient_post) * (X - r * V' / (sqrt(H') + epsilon))
func buildAdam(n *Node) (Kernel, error) {
	alpha, beta := float64(n.Float("alpha", 0.9)), float64(n.Float("beta", 0.999))
	epsilon, norm, post := float64(n.Float("epsilon", 1e-6)), float64(n.Float("norm_coefficient", 0)), float64(n.Float("norm_coefficient_post", 0))
	return &optimizerKernel{states: 2, step: func(r float64, t int64) func(x, g, s1, s2 float64) (float64, float64, float64) {
		if t > 0 {
			r *= math.Sqrt(1-math.Pow(beta, float64(t))) / (1 - math.Pow(alpha, float64(t)))
		}
		return func(x, g, v, h float64) (float64, float64, float64) {
			g += norm * x
			v = alpha*v + (1-alpha)*g
			h = beta*h + (1-beta)*g*g
			return (1 - post) * (x - r*v/(math.Sqrt(h)+epsilon)), v, h
		}
	}}, nil
}

// buildMomentum reads the update
//
//	g  = norm_coefficient*X + G
//	V' = alpha*V + b*g, where b is beta for T > 0, else 1
//	X' = X - R*V', with mode "nesterov" X - R*(g + alpha*V')
func buildMomentum(n *Node) (Kernel, error) {
	alpha, beta, norm := float64(n.Float("alpha", 0)), float64(n.Float("beta", 0)), float64(n.Float("norm_coefficient", 0))
	mode := n.Str("mode", "")
	if mode != "standard" && mode != "nesterov" {
		return nil, onnx.Errorf(onnx.ErrMalformed, "mode is %q, want standard or nesterov", mode)
	}
	return &optimizerKernel{states: 1, step: func(r float64, t int64) func(x, g, s1, s2 float64) (float64, float64, float64) {
		b := beta
		if t <= 0 {
			b = 1
		}
		return func(x, g, v, _ float64) (float64, float64, float64) {
			g += norm * x
			v = alpha*v + b*g
			if mode == "nesterov" {
				return x - r*(g+alpha*v), v, 0
			}
			return x - r*v, v, 0
		}
	}}, nil
}

func (k *optimizerKernel) Run(c *Ctx, in, out []onnx.Value) error {
	n, err := optimizerTensors(len(in), len(out), k.states)
	if err != nil {
		return err
	}
	rate := 0.0
	if r := in[0].(*onnx.Tensor); r.DataType() == onnx.Double {
		rate, err = scalarOf[float64](r, "R")
	} else {
		var r32 float32
		r32, err = scalarOf[float32](r, "R")
		rate = float64(r32)
	}
	if err != nil {
		return err
	}
	t, err := scalarOf[int64](in[1], "T")
	if err != nil {
		return err
	}
	step := k.step(rate, t)
	for i := range n {
		x := in[2+i].(*onnx.Tensor)
		for j := 1; j < 2+k.states; j++ {
			if o := in[2+j*n+i].(*onnx.Tensor); o.DataType() != x.DataType() || !slices.Equal(o.Shape(), x.Shape()) {
				return onnx.Errorf(onnx.ErrShape, "tensor %d is %v, its gradient or state %v", i, x, o)
			}
		}
		switch x.DataType() {
		case onnx.Float:
			err = optimize[float32](c, k, in, len(out), i, n, step)
		case onnx.Double:
			err = optimize[float64](c, k, in, len(out), i, n, step)
		default:
			err = onnx.Errorf(onnx.ErrType, "element type %v", x.DataType())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// optimize updates tensor i of n.
func optimize[T float32 | float64](c *Ctx, k *optimizerKernel, in []onnx.Value, outputs, i, n int, step func(x, g, s1, s2 float64) (float64, float64, float64)) error {
	x := in[2+i].(*onnx.Tensor)
	var from [4][]T // X, G and the states
	var to [3][]T   // X and the states
	for j := range 2 + k.states {
		from[j] = onnx.Elements[T](in[2+j*n+i].(*onnx.Tensor))
	}
	for j := range 1 + k.states {
		if j*n+i >= outputs {
			continue
		}
		y, err := c.New(j*n+i, x.DataType(), x.Shape())
		if err != nil {
			return err
		}
		to[j] = onnx.Elements[T](y)
	}
	p := pace{c: c}
	for e := range x.Len() {
		s2 := 0.0
		if k.states == 2 {
			s2 = float64(from[3][e])
		}
		var new [3]float64
		new[0], new[1], new[2] = step(float64(from[0][e]), float64(from[1][e]), float64(from[2][e]), s2)
		for j, y := range to {
			if y != nil {
				y[e] = T(new[j])
			}
		}
		if p.Stop(8) {
			return c.Err()
		}
	}
	return nil
}
