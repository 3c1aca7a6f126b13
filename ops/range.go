package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(Op{Name: "Range", Since: []int{11, 27}, Infer: inferRange, Build: buildRange})
}

// Range: output[i] = start + i * delta, for all i from 0 on for which that has
// not reached limit. Floating-point elements are computed in float64 and
// rounded once; so are those of 16 bits, whatever the intermediate type that
// stash_type asks for.

// readRange checks stash_type, which has two legal values.
func readRange(n *Node) error {
	if n.Since >= 27 {
		if s := onnx.DataType(n.Int("stash_type", int64(onnx.Float))); s != onnx.Float && s != onnx.Double {
			return onnx.Errorf(onnx.ErrMalformed, "stash_type is %d, want 1 (float) or 11 (double)", s)
		}
	}
	return n.Err()
}

func inferRange(n *Node) error {
	if err := readRange(n); err != nil {
		return err
	}
	d := n.Elem(0)
	for i := range 3 {
		if s := n.Shape(i); len(s) > 1 || len(s) == 1 && s[0].Known() && s[0].Value != 1 {
			return onnx.Errorf(onnx.ErrShape, "%s is of shape %v, want a scalar", n.formal(i, true), s)
		}
		if d == onnx.Undefined {
			d = n.Elem(i)
		}
	}
	size, content, err := rangeKnown(n, d)
	if err != nil {
		return err
	}
	n.SetTensor(0, d, onnx.Shape{size})
	n.SetContent(0, content)
	return nil
}

// rangeKnown gives the number of elements, and the elements when they are few.
// A symbol as the limit survives where the range counts from 0.
func rangeKnown(n *Node, d onnx.DataType) (onnx.Dim, *Content, error) {
	var v [3]Sym
	for i := range v {
		if t := n.Const(i); t != nil && d.IsFloat() {
			if t.Len() != 1 {
				return onnx.UnknownDim, nil, nil
			}
			continue
		}
		c := n.Content(i)
		if d.IsFloat() || d == onnx.Int16 {
			c = contentAt(n, i)
		}
		if c == nil || len(c.Elems) != 1 {
			return onnx.UnknownDim, nil, nil
		}
		v[i] = c.Elems[0]
	}
	if a, b, c := n.Const(0), n.Const(1), n.Const(2); d.IsFloat() && a != nil && b != nil && c != nil {
		start, _ := numberAt(a, 0)
		limit, _ := numberAt(b, 0)
		delta, _ := numberAt(c, 0)
		count, err := rangeCount(start, limit, delta)
		return onnx.Fixed(count), nil, err
	}
	if d.IsFloat() {
		return onnx.UnknownDim, nil, nil
	}
	start, limit, delta := v[0], v[1], v[2]
	if !start.Known || !limit.Known || !delta.Known {
		if start.Known && start.Value == 0 && delta.Known && delta.Value == 1 {
			return limit.Dim(), nil, nil
		}
		return onnx.UnknownDim, nil, nil
	}
	count, err := rangeCountInt(start.Value, limit.Value, delta.Value)
	if err != nil || count > maxContent {
		return onnx.Fixed(count), nil, err
	}
	content := &Content{Elems: make([]Sym, count)}
	for i := range content.Elems {
		content.Elems[i] = Int(start.Value + int64(i)*delta.Value)
	}
	return onnx.Fixed(count), content, nil
}

// rangeCount gives the number of elements: (limit-start)/delta rounded up.
func rangeCount(start, limit, delta float64) (int, error) {
	if delta == 0 || delta != delta {
		return 0, onnx.Errorf(onnx.ErrMalformed, "delta is %v", delta)
	}
	n := math.Ceil((limit - start) / delta)
	if n != n || n >= math.MaxInt64/16 {
		return 0, onnx.Errorf(onnx.ErrShape, "a range from %v to %v by %v has no size", start, limit, delta)
	}
	return rangeSize(uint64(max(n, 0)))
}

func rangeCountInt(start, limit, delta int64) (int, error) {
	switch {
	case delta == 0:
		return 0, onnx.Errorf(onnx.ErrMalformed, "delta is 0")
	case delta > 0 && start < limit:
		return rangeSize((uint64(limit)-uint64(start)-1)/uint64(delta) + 1)
	case delta < 0 && start > limit:
		return rangeSize((uint64(start)-uint64(limit)-1)/-uint64(delta) + 1)
	}
	return 0, nil
}

func rangeSize(n uint64) (int, error) {
	if n > uint64(^uint(0)>>1)/16 {
		return 0, onnx.Errorf(onnx.ErrShape, "a range of %d elements is too large", n)
	}
	return int(n), nil
}

func buildRange(n *Node) (Kernel, error) { return KernelFunc(runRange), readRange(n) }

var rangeLoops = byType[func(c *Ctx, in []onnx.Value, d onnx.DataType) error]{
	onnx.Float:    rangeFloat(func(v float32) float64 { return float64(v) }, func(x float64) float32 { return float32(x) }),
	onnx.Double:   rangeFloat(func(v float64) float64 { return v }, func(x float64) float64 { return x }),
	onnx.Float16:  rangeFloat(func(v onnx.F16) float64 { return float64(v.Float32()) }, func(x float64) onnx.F16 { return onnx.ToF16(kernel.Odd32(x)) }),
	onnx.BFloat16: rangeFloat(func(v onnx.BF16) float64 { return float64(v.Float32()) }, func(x float64) onnx.BF16 { return onnx.ToBF16(kernel.Odd32(x)) }),
	onnx.Int16:    rangeInt[int16],
	onnx.Int32:    rangeInt[int32],
	onnx.Int64:    rangeInt[int64],
}

func runRange(c *Ctx, in, _ []onnx.Value) error {
	t, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	loop := rangeLoops[t.DataType()]
	if loop == nil {
		return noLoop(t.DataType())
	}
	return loop(c, in, t.DataType())
}

// rangeBounds reads the three inputs.
func rangeBounds[T onnx.Element](in []onnx.Value) (v [3]T, err error) {
	for i, name := range [...]string{"start", "limit", "delta"} {
		if v[i], err = scalarOf[T](in[i], name); err != nil {
			return v, err
		}
	}
	return v, nil
}

func rangeFloat[T onnx.Element](widen func(T) float64, round func(float64) T) func(c *Ctx, in []onnx.Value, d onnx.DataType) error {
	return func(c *Ctx, in []onnx.Value, d onnx.DataType) error {
		v, err := rangeBounds[T](in)
		if err != nil {
			return err
		}
		start, delta := widen(v[0]), widen(v[2])
		n, err := rangeCount(start, widen(v[1]), delta)
		if err != nil {
			return err
		}
		y, err := c.New(0, d, []int{n})
		if err != nil {
			return err
		}
		dst := onnx.Elements[T](y)
		for i := range dst {
			dst[i] = round(start + float64(float64(i)*delta))
			if i%cancelEvery == cancelEvery-1 {
				if err := c.Err(); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func rangeInt[T integer](c *Ctx, in []onnx.Value, d onnx.DataType) error {
	v, err := rangeBounds[T](in)
	if err != nil {
		return err
	}
	n, err := rangeCountInt(int64(v[0]), int64(v[1]), int64(v[2]))
	if err != nil {
		return err
	}
	y, err := c.New(0, d, []int{n})
	if err != nil {
		return err
	}
	x := v[0]
	for i, dst := 0, onnx.Elements[T](y); i < len(dst); i++ {
		dst[i] = x
		x += v[2]
		if i%cancelEvery == cancelEvery-1 {
			if err := c.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}
