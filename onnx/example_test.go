package onnx_test

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/recur-ml/recur/onnx"
)

func ExampleNewTensor() {
	x, err := onnx.NewTensor([]int{2, 3}, []float32{1, 2, 3, 4, 5, 6})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(x, x.Rank(), x.Len())

	_, err = onnx.NewTensor([]int{2, 3}, []float32{1, 2})
	fmt.Println(err, errors.Is(err, onnx.ErrShape))
	// Output:
	// float[2 3] 2 6
	// shape [2 3] has 6 elements, data has 2 true
}

func ExampleData() {
	var y onnx.Value = onnx.MustTensor([]int{3}, []int64{7, 8, 9})

	ints, err := onnx.Data[int64](y)
	fmt.Println(ints, err)

	_, err = onnx.Data[float32](y)
	fmt.Println(err, errors.Is(err, onnx.ErrType))
	// Output:
	// [7 8 9] <nil>
	// want a tensor of float, have one of int64 true
}

// A 16-bit float is read through its Float32 method.
func ExampleF16() {
	x := onnx.MustTensor([]int{2}, []onnx.F16{onnx.ToF16(0.5), onnx.ToF16(1e6)})
	data, _ := onnx.Data[onnx.F16](x)
	for _, v := range data {
		fmt.Println(v.Float32())
	}
	// Output:
	// 0.5
	// +Inf
}

// A server that takes models from strangers allows them less than the defaults.
func ExampleLimits() {
	model := &onnx.Model{
		IRVersion: 10,
		Graph:     &onnx.Graph{Initializers: []*onnx.Initializer{{Name: "w", Tensor: onnx.MustTensor([]int{1000}, make([]float32, 1000))}}},
	}
	file, err := onnx.Encode(model)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = onnx.Decode(file, &onnx.DecodeOptions{Limits: onnx.Limits{InitializerBytes: 1000}})
	fmt.Println(errors.Is(err, onnx.ErrLimit))

	var limit *onnx.LimitError
	if errors.As(err, &limit) {
		fmt.Println(limit.What, limit.Got, limit.Max)
	}
	// Output:
	// true
	// bytes of tensors 4000 1000
}

func ExampleWriteNPZ() {
	var file bytes.Buffer
	err := onnx.WriteNPZ(&file, map[string]*onnx.Tensor{"x": onnx.Scalar(float32(2.5)), "names": onnx.MustTensor([]int{2}, []string{"a", "b"})})
	if err != nil {
		fmt.Println(err)
		return
	}
	arrays, err := onnx.ReadNPZ(bytes.NewReader(file.Bytes()), int64(file.Len()))
	fmt.Println(len(arrays), arrays["x"], arrays["names"], err)
	// Output:
	// 2 float[] string[2] <nil>
}
