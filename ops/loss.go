package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "NegativeLogLikelihoodLoss", Since: []int{12, 13, 22}, Infer: inferLoss,
			Build: func(n *Node) (Kernel, error) { return buildLoss(n, false) }},
		Op{Name: "SoftmaxCrossEntropyLoss", Since: []int{12, 13}, Infer: inferLoss,
			Build: func(n *Node) (Kernel, error) { return buildLoss(n, true) }},
	)
}

// lossKernel computes, of scores x [N, C, d...] and labels t [N, d...],
//
//	loss[n, d...] = -weight[t] * logp[n, t, d...]
//
// where logp is x itself, or with normalize its logarithmic softmax over C. A
// label of ignore gives 0 and weighs nothing. The mean is the sum divided by
// the sum of the weights. Sums run over all losses in order, in float64.
type lossKernel struct {
	normalize bool
	reduction string
	ignore    *int64
	logProb   bool // output 1
}

func inferLoss(n *Node) error {
	x, t := n.Shape(0), n.Shape(1)
	if x.Ranked() && len(x) < 2 {
		return onnx.Errorf(onnx.ErrShape, "scores are of shape %v, want [batch classes ...]", x)
	}
	if x.Ranked() && t.Ranked() && len(t) != len(x)-1 {
		return onnx.Errorf(onnx.ErrShape, "labels are of shape %v, scores of %v", t, x)
	}
	out := onnx.Shape{}
	if n.Str("reduction", "mean") == "none" {
		if out = t; !t.Ranked() && x.Ranked() {
			out = append(x[:1:1], x[2:]...)
		}
	}
	n.SetTensor(0, n.Elem(0), out)
	n.SetTensor(1, n.Elem(0), x)
	return nil
}

func buildLoss(n *Node, normalize bool) (Kernel, error) {
	k := &lossKernel{normalize: normalize, reduction: n.Str("reduction", "mean")}
	switch k.reduction {
	case "none", "sum", "mean":
	default:
		return nil, onnx.Errorf(onnx.ErrMalformed, "reduction is %q, want none, sum or mean", k.reduction)
	}
	if n.HasAttr("ignore_index") {
		ignore := n.Int("ignore_index", 0)
		k.ignore = &ignore
	}
	n.Has(2)
	k.logProb = normalize && n.Wants(1)
	return widenFrom(n, 0, k), nil
}

func (k *lossKernel) Run(c *Ctx, in, out []onnx.Value) error {
	x, t := in[0].(*onnx.Tensor), in[1].(*onnx.Tensor)
	if x.Rank() < 2 || t.Rank() != x.Rank()-1 || t.Shape()[0] != x.Shape()[0] || !slices.Equal(t.Shape()[1:], x.Shape()[2:]) {
		return onnx.Errorf(onnx.ErrShape, "scores %v and labels %v, want [batch classes ...] and [batch ...]", x, t)
	}
	if len(in) > 2 && in[2] != nil {
		w := in[2].(*onnx.Tensor)
		if w.Rank() != 1 || w.Len() != x.Shape()[1] {
			return onnx.Errorf(onnx.ErrShape, "weights %v, want one for each of %d classes", w, x.Shape()[1])
		}
	}
	switch x.DataType() {
	case onnx.Float:
		return lossRun[float32](c, k, x, t, in)
	case onnx.Double:
		return lossRun[float64](c, k, x, t, in)
	}
	return onnx.Errorf(onnx.ErrType, "element type %v", x.DataType())
}

func lossRun[T float32 | float64](c *Ctx, k *lossKernel, x, t *onnx.Tensor, in []onnx.Value) error {
	e := extentAt(x.Shape(), 1)
	logp := onnx.Elements[T](x)
	if k.normalize {
		var err error
		if logp, err = logProbabilities(c, k, x, logp, e); err != nil {
			return err
		}
	}
	labels := labelsOf(t)
	shape := t.Shape()
	if k.reduction != "none" {
		shape = nil
	}
	y, err := c.New(0, x.DataType(), shape)
	if err != nil {
		return err
	}
	var weights []T
	if len(in) > 2 && in[2] != nil {
		weights = onnx.Elements[T](in[2].(*onnx.Tensor))
	}
	losses := onnx.Elements[T](y)
	sum, total := 0.0, 0.0
	p := pace{c: c}
	for i := range t.Len() {
		label := labels(i)
		if k.ignore != nil && label == *k.ignore {
			if k.reduction == "none" {
				losses[i] = 0
			}
			continue
		}
		if label < 0 || label >= int64(e.red) {
			return onnx.Errorf(onnx.ErrShape, "label %d is %d, want 0..%d", i, label, e.red-1)
		}
		w := 1.0
		if weights != nil {
			w = float64(weights[label])
		}
		loss := -w * float64(logp[(i/e.inner*e.red+int(label))*e.inner+i%e.inner])
		if k.reduction == "none" {
			losses[i] = T(loss)
		}
		sum, total = sum+loss, total+w
		if p.Stop(8) {
			return c.Err()
		}
	}
	switch k.reduction {
	case "sum":
		losses[0] = T(sum)
	case "mean":
		losses[0] = T(sum / total)
	}
	return nil
}

// logProbabilities computes the logarithmic softmax, into output 1 if that is
// wanted.
func logProbabilities[T float32 | float64](c *Ctx, k *lossKernel, x *onnx.Tensor, scores []T, e reduceExtent) ([]T, error) {
	var logp []T
	if k.logProb && c.Wants(1) {
		y, err := c.New(1, x.DataType(), x.Shape())
		if err != nil {
			return nil, err
		}
		logp = onnx.Elements[T](y)
	} else {
		var err error
		if logp, err = Scratch[T](c, x.Len()); err != nil {
			return nil, err
		}
	}
	if x.Len() == 0 {
		return logp, nil
	}
	return logp, softmaxRun(c, &logSoftmax, scores, logp, e)
}

// labelsOf gives the elements of an int32 or int64 tensor.
func labelsOf(t *onnx.Tensor) func(i int) int64 {
	if t.DataType() == onnx.Int32 {
		d := onnx.Elements[int32](t)
		return func(i int) int64 { return int64(d[i]) }
	}
	d := onnx.Elements[int64](t)
	return func(i int) int64 { return d[i] }
}

// logSoftmax is what softmaxRun is to do.
var logSoftmax = softmaxKernel{kind: toLogSoftmax}
