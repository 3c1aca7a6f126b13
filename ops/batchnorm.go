package ops

import (
	"math"
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(
		Op{Name: "BatchNormalization", Since: []int{1, 6, 7, 9, 14, 15}, Infer: inferBatchNorm, Build: buildBatchNorm},
	)
}

// BatchNormalization: X is [batch, channels, spatial...], the others are
// [channels], or where spatial is 0, [channels, spatial...]:
//
//	Y = (X - mean) / sqrt(var + epsilon) * scale + B
//
// In training mode mean and var are those of the batch (the population
// variance), and the outputs behind Y are
//
//	running = input*momentum + batch*(1 - momentum)
//
// and before version 14 also the batch's own. Before version 14 a node trains
// where it has outputs behind Y, and up to version 6 also by is_test.

func batchNormTrains(n *Node) bool {
	if n.Since >= 14 {
		return n.Bool("training_mode", false)
	}
	outputs := false
	for i := 1; i < n.NumOutputs(); i++ {
		outputs = n.Wants(i) || outputs
	}
	if n.Since < 7 {
		return !n.Bool("is_test", false) || outputs
	}
	return outputs
}

func inferBatchNorm(n *Node) error {
	x := n.Shape(0)
	if x != nil && (len(x) == 0 || len(x) < 2 && n.Since < 9) {
		return onnx.Errorf(onnx.ErrShape, "X is %v, want [batch, channels, ...]", x)
	}
	perElement := n.Since < 9 && n.Int("spatial", 1) == 0
	channels := onnx.UnknownDim
	if len(x) > 1 {
		channels = x[1]
	} else if x != nil {
		channels = onnx.Fixed(1)
	}
	var stat onnx.Shape
	for i := 1; i < 5; i++ {
		s := n.Shape(i)
		if s == nil {
			continue
		}
		if !perElement && (len(s) != 1 || channels.Known() && s[0].Known() && s[0].Value != channels.Value) {
			return onnx.Errorf(onnx.ErrShape, "%s is %v, want one element for each of the %v channels of X %v", n.formal(i, true), s, channels, x)
		}
		if i == 3 {
			stat = s
		}
	}
	if stat == nil && !perElement {
		stat = onnx.Shape{channels}
	}
	n.SetTensor(0, n.Elem(0), x)
	for i := 1; i < n.NumOutputs(); i++ {
		n.SetTensor(i, n.Elem(3), stat)
	}
	return nil
}

func buildBatchNorm(n *Node) (Kernel, error) {
	b := batchNorm{eps: float64(n.Float("epsilon", 1e-5)), momentum: float64(n.Float("momentum", 0.9)), train: batchNormTrains(n), level: n.Level()}
	b.elem, b.stat = n.Elem(0), n.Elem(3)
	if n.Since < 9 {
		b.perElement = n.Int("spatial", 1) == 0
	}
	if n.Since == 1 {
		n.Ints("consumed_inputs")
	}
	if mean, variance := n.Wants(1), n.Wants(2); n.Since >= 14 && !b.train && (mean || variance) {
		return nil, onnx.Errorf(onnx.ErrMalformed, "outputs behind Y are given in training mode only")
	}
	if anyDouble(n) {
		return &batchNormKernel[float64]{b}, nil
	}
	return &batchNormKernel[float32]{b}, nil
}

type batchNorm struct {
	eps, momentum float64
	train         bool
	perElement    bool
	elem, stat    onnx.DataType
	level         Level
}

type batchNormKernel[T floating] struct{ batchNorm }

// batchNormLocal is a BatchNormalization while it runs, kept for a frame.
type batchNormLocal[T floating] struct {
	x, y            []T
	factor, offset  []T // for each channel: y = x*factor + offset
	channels, plane int
	level           Level
	rows            func(lo, hi int)
}

func (k *batchNormKernel[T]) Run(c *Ctx, in, out []onnx.Value) error {
	xt := in[0].(*onnx.Tensor)
	loc := Local[batchNormLocal[T]](c)
	batch, err := loc.fit(&k.batchNorm, xt, in)
	if err != nil {
		return err
	}
	var p [4][]T // scale, B, mean, var
	for i := range p {
		if p[i], err = readReal[T](c, in[1+i].(*onnx.Tensor)); err != nil {
			return err
		}
	}
	if loc.x, err = readReal[T](c, xt); err != nil {
		return err
	}
	if k.train {
		var mean, variance []T
		if mean, variance, err = loc.moments(c, batch); err != nil {
			return err
		}
		if err := k.statistics(c, in, out, p[2:], [2][]T{mean, variance}); err != nil {
			return err
		}
		p[2], p[3] = mean, variance
	}
	if loc.factor, err = Scratch[T](c, loc.channels); err != nil {
		return err
	}
	if loc.offset, err = Scratch[T](c, loc.channels); err != nil {
		return err
	}
	for i := range loc.factor {
		f := float64(p[0][i]) / math.Sqrt(float64(p[3][i])+k.eps)
		loc.factor[i] = T(f)
		loc.offset[i] = T(float64(p[1][i]) - float64(p[2][i])*f)
	}
	t, y, err := newReal[T](c, 0, k.elem, xt.Shape(), 0)
	if err != nil {
		return err
	}
	loc.y, loc.level = y, k.level
	if loc.rows == nil {
		loc.rows = loc.doRows
	}
	c.Parallel(batch, grainOf(4*loc.channels*loc.plane), loc.rows)
	loc.x, loc.y, loc.factor, loc.offset = nil, nil, nil, nil
	return storeReal(c, t, y)
}

// fit checks the shapes and gives the batch size.
func (l *batchNormLocal[T]) fit(k *batchNorm, x *onnx.Tensor, in []onnx.Value) (int, error) {
	s := x.Shape()
	if len(s) == 0 {
		return 0, onnx.Errorf(onnx.ErrShape, "X is a scalar, want [batch, channels, ...]")
	}
	l.channels, l.plane = 1, 1
	if len(s) > 1 {
		l.channels = s[1]
		l.plane = elements(s[2:])
	}
	if k.perElement {
		l.channels, l.plane = l.channels*l.plane, 1
	}
	for i := 1; i < 5; i++ {
		t := in[i].(*onnx.Tensor)
		if t.Len() != l.channels || t.Rank() != 1 && !(k.perElement && slices.Equal(t.Shape(), s[1:])) {
			return 0, onnx.Errorf(onnx.ErrShape, "scale, B, mean and var: one is %v, want [%d] for X %v", t, l.channels, x)
		}
	}
	if x.Len() == 0 {
		return 0, nil
	}
	return s[0], nil
}

// moments gives the mean and variance of each channel.
func (l *batchNormLocal[T]) moments(c *Ctx, batch int) (mean, variance []T, err error) {
	if mean, err = Scratch[T](c, l.channels); err != nil {
		return nil, nil, err
	}
	if variance, err = Scratch[T](c, l.channels); err != nil {
		return nil, nil, err
	}
	count := float64(batch * l.plane)
	for ch := range l.channels {
		s := 0.0
		for b := range batch {
			s += kernel.Sum(l.x[(b*l.channels+ch)*l.plane:][:l.plane])
		}
		m, v := s/count, 0.0
		for b := range batch {
			v += kernel.SumSquares(l.x[(b*l.channels+ch)*l.plane:][:l.plane], m)
		}
		mean[ch], variance[ch] = T(m), T(v/count)
		if err := c.Err(); err != nil {
			return nil, nil, err
		}
	}
	return mean, variance, nil
}

// statistics makes the outputs behind Y: running mean and variance, then the
// batch's.
func (k *batchNormKernel[T]) statistics(c *Ctx, in, out []onnx.Value, running [][]T, batch [2][]T) error {
	for i := 1; i < len(out); i++ {
		if !c.Wants(i) {
			continue
		}
		t, dst, err := newReal[T](c, i, k.stat, in[3].(*onnx.Tensor).Shape())
		if err != nil {
			return err
		}
		for j := range dst {
			b := batch[(i-1)%2][j]
			if i < 3 {
				b = T(float64(running[i-1][j])*k.momentum + float64(b)*(1-k.momentum))
			}
			dst[j] = b
		}
		if err := storeReal(c, t, dst); err != nil {
			return err
		}
	}
	return nil
}

func (l *batchNormLocal[T]) doRows(lo, hi int) {
	if f, ok := any(l).(*batchNormLocal[float32]); ok {
		scaleRows(f, lo, hi)
		return
	}
	for b := lo; b < hi; b++ {
		x, y := l.x[b*l.channels*l.plane:], l.y[b*l.channels*l.plane:]
		if l.plane == 1 {
			kernel.AffineRows(y[:l.channels], x, l.factor, l.offset)
			continue
		}
		for ch := range l.channels {
			kernel.Affine(y[ch*l.plane:][:l.plane], x[ch*l.plane:], l.factor[ch], l.offset[ch])
		}
	}
}

// scaleRows is doRows of float32, in which levels have vectors.
func scaleRows(l *batchNormLocal[float32], lo, hi int) {
	for b := lo; b < hi; b++ {
		x, y := l.x[b*l.channels*l.plane:], l.y[b*l.channels*l.plane:]
		if l.plane == 1 {
			kernel.AffineVector(l.level, y[:l.channels], x, l.factor, l.offset)
			continue
		}
		for ch := 0; ch < l.channels; ch += kernel.RowsMost {
			end := min(ch+kernel.RowsMost, l.channels)
			kernel.AffineChannels(l.level, y[ch*l.plane:], x[ch*l.plane:], l.plane, l.factor[ch:end], l.offset[ch:end])
		}
	}
}
