package ops

import "github.com/recur-ml/recur/onnx"

// Widen makes a kernel for 16-, 8- and 4-bit floating-point tensors out of one
// for float32: inputs of such a type are converted, and outputs that the
// kernel makes as float32 are rounded once to the type of the first of those
// inputs. Everything else passes unchanged.
func Widen(k Kernel) Kernel { return &widened{k} }

type widened struct{ k Kernel }

func (w *widened) Run(c *Ctx, in, out []onnx.Value) error {
	e := &wideEngine{Engine: c.eng, made: make([]*onnx.Tensor, len(out))}
	wide := make([]onnx.Value, len(in))
	narrow := onnx.Undefined
	for i, v := range in {
		wide[i] = v
		t, ok := v.(*onnx.Tensor)
		if !ok || !isNarrow(t.DataType()) {
			continue
		}
		if narrow == onnx.Undefined {
			narrow = t.DataType()
		}
		f, err := scratchTensor(c, onnx.Float, t.Shape())
		if err != nil {
			return err
		}
		WidenTo(onnx.Elements[float32](f), t)
		wide[i] = f
	}
	sub := NewCtx(e)
	sub.Bind(out)
	if err := w.k.Run(sub, wide, out); err != nil {
		return err
	}
	for i, f := range e.made {
		if f == nil {
			continue
		}
		t, err := c.New(i, narrow, f.Shape())
		if err != nil {
			return err
		}
		NarrowTo(t, onnx.Elements[float32](f))
	}
	return nil
}

// isNarrow reports whether elements of the type are computed in float32.
func isNarrow(d onnx.DataType) bool {
	return d.IsFloat() && d != onnx.Float && d != onnx.Double
}

// wideEngine keeps float32 outputs aside, in scratch memory.
type wideEngine struct {
	Engine
	made []*onnx.Tensor
}

func (e *wideEngine) New(i int, d onnx.DataType, shape []int, reuse uint64) (*onnx.Tensor, error) {
	if d != onnx.Float {
		e.made[i] = nil
		return e.Engine.New(i, d, shape, 0)
	}
	t, err := scratchTensor(NewCtx(e.Engine), onnx.Float, shape)
	e.made[i] = t
	return t, err
}

func (e *wideEngine) View(i int, t *onnx.Tensor, shape []int) (*onnx.Tensor, error) {
	if t.DataType() != onnx.Float {
		return e.Engine.View(i, t, shape)
	}
	v, err := t.WithShape(shape)
	e.made[i] = v
	return v, err
}

// WidenTo converts the elements of a floating-point tensor of at most 16 bits
// to float32, exactly. dst has t.Len() elements.
func WidenTo(dst []float32, t *onnx.Tensor) {
	switch t.DataType() {
	case onnx.Float16:
		widen(dst, onnx.Elements[onnx.F16](t))
	case onnx.BFloat16:
		widen(dst, onnx.Elements[onnx.BF16](t))
	case onnx.Float8E4M3FN:
		widen(dst, onnx.Elements[onnx.F8E4M3](t))
	case onnx.Float8E4M3FNUZ:
		widen(dst, onnx.Elements[onnx.F8E4M3UZ](t))
	case onnx.Float8E5M2:
		widen(dst, onnx.Elements[onnx.F8E5M2](t))
	case onnx.Float8E5M2FNUZ:
		widen(dst, onnx.Elements[onnx.F8E5M2UZ](t))
	case onnx.Float8E8M0:
		widen(dst, onnx.Elements[onnx.F8E8M0](t))
	case onnx.Float4E2M1:
		widen(dst, onnx.Elements[onnx.F4E2M1](t))
	}
}

func widen[T interface{ Float32() float32 }](dst []float32, src []T) {
	for i, v := range src {
		dst[i] = v.Float32()
	}
}

// NarrowTo rounds float32 elements to those of a tensor of at most 16 bits: to
// nearest, ties to even; 8-bit types saturate.
func NarrowTo(t *onnx.Tensor, src []float32) {
	switch t.DataType() {
	case onnx.Float16:
		narrow(onnx.Elements[onnx.F16](t), src, onnx.ToF16)
	case onnx.BFloat16:
		narrow(onnx.Elements[onnx.BF16](t), src, onnx.ToBF16)
	case onnx.Float8E4M3FN:
		narrow(onnx.Elements[onnx.F8E4M3](t), src, saturate(onnx.ToF8E4M3))
	case onnx.Float8E4M3FNUZ:
		narrow(onnx.Elements[onnx.F8E4M3UZ](t), src, saturate(onnx.ToF8E4M3UZ))
	case onnx.Float8E5M2:
		narrow(onnx.Elements[onnx.F8E5M2](t), src, saturate(onnx.ToF8E5M2))
	case onnx.Float8E5M2FNUZ:
		narrow(onnx.Elements[onnx.F8E5M2UZ](t), src, saturate(onnx.ToF8E5M2UZ))
	case onnx.Float4E2M1:
		narrow(onnx.Elements[onnx.F4E2M1](t), src, onnx.ToF4E2M1)
	}
}

func narrow[T any](dst []T, src []float32, round func(float32) T) {
	for i, v := range src {
		dst[i] = round(v)
	}
}

func saturate[T any](round func(float32, bool) T) func(float32) T {
	return func(x float32) T { return round(x, true) }
}
