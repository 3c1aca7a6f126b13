package ops

import "github.com/recur-ml/recur/onnx"

// Reading of inputs, and handling of whole tensors, for all families.

// inputTensor gives an input that must be there.
func inputTensor(in []onnx.Value, i int) (*onnx.Tensor, error) {
	if t, ok := in[i].(*onnx.Tensor); ok && t != nil {
		return t, nil
	}
	return nil, onnx.Errorf(onnx.ErrType, "input %d is no tensor", i)
}

// tensorIn gives input i of a run as a tensor, nil when it is absent.
func tensorIn(in []onnx.Value, i int) *onnx.Tensor {
	if i >= len(in) {
		return nil
	}
	t, _ := in[i].(*onnx.Tensor)
	return t
}

// scalarOf reads a tensor of one element.
func scalarOf[T onnx.Element](v onnx.Value, name string) (T, error) {
	var zero T
	d, err := onnx.Data[T](v)
	if err != nil {
		return zero, onnx.Errorf(onnx.ErrType, "%s: %v", name, err)
	}
	if len(d) != 1 {
		return zero, onnx.Errorf(onnx.ErrShape, "%s has %d elements, want 1", name, len(d))
	}
	return d[0], nil
}

// optionalScalar reads an optional input of one element.
func optionalScalar[T onnx.Element](in []onnx.Value, i int, name string, def T) (T, error) {
	if i >= len(in) || in[i] == nil {
		return def, nil
	}
	return scalarOf[T](in[i], name)
}

// integerOf reads a tensor of one int32 or int64.
func integerOf(v onnx.Value, name string) (int64, error) {
	if t, ok := v.(*onnx.Tensor); ok && t.DataType() == onnx.Int32 {
		i, err := scalarOf[int32](t, name)
		return int64(i), err
	}
	return scalarOf[int64](v, name)
}

// copyElements copies n elements between tensors of one type.
func copyElements(dst *onnx.Tensor, to int, src *onnx.Tensor, from, n int) {
	if dst.DataType() == onnx.String {
		copy(dst.Strings()[to:to+n], src.Strings()[from:from+n])
		return
	}
	size := dst.DataType().Size()
	copy(dst.Bytes()[to*size:(to+n)*size], src.ElementBytes()[from*size:(from+n)*size])
}

// scratchTensor makes a tensor in memory that is the kernel's until it
// returns.
func scratchTensor(c *Ctx, d onnx.DataType, shape []int) (*onnx.Tensor, error) {
	bytes, err := TensorBytes(d, shape)
	if err != nil {
		return nil, err
	}
	b, err := Scratch[uint8](c, bytes)
	if err != nil {
		return nil, err
	}
	t := &onnx.Tensor{}
	t.Reset(d, shape, b, nil, nil)
	return t, nil
}
