package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(Op{Name: "Clip", Since: []int{1, 6, 11, 12, 13}, Infer: inferClip, Build: buildClip})
}

func inferClip(n *Node) error {
	d := n.Elem(0)
	n.SetTensor(0, d, n.Shape(0))
	if n.Since < 11 {
		return nil
	}
	c := contentAt(n, 0)
	for i, op := range []string{"Max", "Min"} {
		if !n.Has(i + 1) {
			continue
		}
		for _, dim := range n.Shape(i + 1) {
			if dim.Known() && dim.Value != 1 {
				return onnx.Errorf(onnx.ErrShape, "%s has shape %v, want a scalar", boundName(i), n.Shape(i+1))
			}
		}
		bound := contentAt(n, i+1)
		if bound != nil {
			bound = &Content{Scalar: true, Elems: bound.Elems}
		}
		c = zipContent(func(e []Sym) Sym { return symArith(op, e[0], e[1], d) }, c, bound)
	}
	n.SetContent(0, c)
	return nil
}

func boundName(i int) string { return [...]string{"min", "max"}[i] }

// clip is the kernel of Clip. Bounds that are not given are the least and the
// greatest finite number of the type, so that infinities are cut; only the
// first version has none.
type clip struct {
	fixed bool       // the bounds are attributes
	bound [2]float64 // then; infinite where there is none
	// narrow is the type that is computed in float32, Undefined if none is.
	narrow onnx.DataType
	level  Level
}

func buildClip(n *Node) (Kernel, error) {
	k := &clip{fixed: n.Since < 11, level: n.Level()}
	if k.fixed {
		n.HasAttr("consumed_inputs")
		for i, def := range []float64{math.Inf(-1), math.Inf(1)} {
			switch name := boundName(i); {
			case n.Since == 1 && !n.HasAttr(name):
				k.bound[i] = def
			default:
				k.bound[i] = float64(floatOrDefault(n, name))
			}
		}
		return k, nil
	}
	n.Has(1)
	n.Has(2)
	return k, nil
}

// clipLoops are the loops by type.
var clipLoops = byType[func(k *clip, c *Ctx, x *onnx.Tensor, bounds [2]*onnx.Tensor) error]{
	onnx.Float: runClip[float32], onnx.Double: runClip[float64],
	onnx.Int8: runClip[int8], onnx.Int16: runClip[int16], onnx.Int32: runClip[int32], onnx.Int64: runClip[int64],
	onnx.Uint8: runClip[uint8], onnx.Uint16: runClip[uint16], onnx.Uint32: runClip[uint32], onnx.Uint64: runClip[uint64],
}

func (k *clip) Run(c *Ctx, in, out []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	d := x.DataType()
	if isNarrow(d) {
		wide := *k
		wide.narrow = d
		return Widen(&wide).Run(c, in, out)
	}
	loop := clipLoops[d]
	if loop == nil {
		return noLoop(d)
	}
	var bounds [2]*onnx.Tensor
	for i := range bounds {
		if k.fixed || i+1 >= len(in) || in[i+1] == nil {
			continue
		}
		if bounds[i], err = inputTensor(in, i+1); err != nil {
			return err
		}
		if bounds[i].Len() != 1 || bounds[i].DataType() != d {
			return onnx.Errorf(onnx.ErrShape, "%s is %v, want a scalar of %v", boundName(i), bounds[i], d)
		}
	}
	return loop(k, c, x, bounds)
}

// clipRun is the argument block of a clip.
type clipRun[T number] struct {
	c        *Ctx
	dst, src []T
	lo, hi   T
	level    Level
	f        func(lo, hi int)
}

func runClip[T number](k *clip, c *Ctx, x *onnx.Tensor, bounds [2]*onnx.Tensor) error {
	out, err := newOver(c, x.DataType(), x)
	if err != nil {
		return err
	}
	r := Local[clipRun[T]](c)
	if r.f == nil {
		r.f = r.run
	}
	r.lo, r.hi = limitsOf[T](k.narrow)
	if k.fixed {
		r.lo, r.hi = T(k.bound[0]), T(k.bound[1])
	}
	if bounds[0] != nil {
		r.lo = onnx.Elements[T](bounds[0])[0]
	}
	if bounds[1] != nil {
		r.hi = onnx.Elements[T](bounds[1])[0]
	}
	r.c, r.dst, r.src, r.level = c, onnx.Elements[T](out), onnx.Elements[T](x), k.level
	c.Parallel(len(r.dst), cheapGrain, r.f)
	r.c, r.dst, r.src = nil, nil, nil
	return cancelled(c, out.Len())
}

func (r *clipRun[T]) run(lo, hi int) {
	for ; lo < hi; lo += cancelEvery {
		end := min(lo+cancelEvery, hi)
		if f, ok := any(r).(*clipRun[float32]); ok {
			kernel.ClipVector(f.level, f.dst[lo:end], f.src[lo:end], f.lo, f.hi)
		} else {
			kernel.ClipIntegers(r.level, r.dst[lo:end], r.src[lo:end], r.lo, r.hi)
		}
		if end < hi && r.c.Err() != nil {
			return
		}
	}
}

// limitsOf gives the least and the greatest finite number of a type: of T, or
// of the narrow one that is computed in it.
func limitsOf[T number](narrow onnx.DataType) (lo, hi T) {
	switch p := any(&hi).(type) {
	case *float32:
		*p = math.MaxFloat32
		switch narrow {
		case onnx.Float16:
			*p = onnx.F16(0x7bff).Float32()
		case onnx.BFloat16:
			*p = onnx.BF16(0x7f7f).Float32()
		}
		return -hi, hi
	case *float64:
		*p = math.MaxFloat64
		return -hi, hi
	}
	for v := T(1); v > 0; v = v*2 + 1 { // 1, 11, 111, ... up to the sign bit or all of them
		if hi == v {
			break
		}
		hi = v
	}
	if lo = -hi - 1; lo > 0 {
		lo = 0
	}
	return lo, hi
}
