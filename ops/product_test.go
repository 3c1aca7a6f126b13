package ops

import (
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// TestProductAllocations wants none in a run after the first.
func TestProductAllocations(t *testing.T) {
	c4 := zeros32(4)
	for _, c := range []struct {
		name  string
		opset int
		node  *onnx.Node
		in    []onnx.Value
	}{
		{"MatMul", 13, node("MatMul", 1), []onnx.Value{zeros32(2, 8, 16), zeros32(16, 4)}},
		{"MatMul/batch", 13, node("MatMul", 1), []onnx.Value{zeros32(2, 3, 8, 16), zeros32(3, 16, 4)}},
		{"Gemm", 13, node("Gemm", 1, "transB", 1), []onnx.Value{zeros32(8, 16), zeros32(4, 16), c4}},
		{"Gemm/transposed", 13, node("Gemm", 1, "transA", 1, "transB", 1), []onnx.Value{zeros32(16, 8), zeros32(4, 16), c4}},
		{"Conv", 11, node("Conv", 1, "pads", []int64{1, 1}), []onnx.Value{zeros32(2, 3, 20), zeros32(4, 3, 3), c4}},
		{"Conv/depthwise", 11, node("Conv", 1, "group", 4), []onnx.Value{zeros32(2, 4, 5, 5), zeros32(4, 1, 3, 3), c4}},
		{"ConvTranspose", 11, node("ConvTranspose", 1), []onnx.Value{zeros32(2, 3, 20), zeros32(3, 4, 3), c4}},
		{"MaxPool", 11, node("MaxPool", 1, "kernel_shape", []int64{2, 2}), []onnx.Value{zeros32(2, 3, 8, 8)}},
		{"AveragePool", 11, node("AveragePool", 1, "kernel_shape", []int64{2}), []onnx.Value{zeros32(2, 3, 8)}},
		{"GlobalAveragePool", 11, node("GlobalAveragePool", 1), []onnx.Value{zeros32(2, 3, 8)}},
		{"BatchNormalization", 15, node("BatchNormalization", 1), []onnx.Value{zeros32(3, 4, 5), c4, c4, c4, c4}},
		{"LayerNormalization", 17, node("LayerNormalization", 1), []onnx.Value{zeros32(3, 5, 4), c4, c4}},
		{"InstanceNormalization", 6, node("InstanceNormalization", 1), []onnx.Value{zeros32(3, 4, 5), c4, c4}},
		{"MatMulInteger", 10, node("MatMulInteger", 1), []onnx.Value{as(zeros32(2, 8), onnx.Uint8), as(zeros32(8, 4), onnx.Int8)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if n := testing.AllocsPerRun(5, repeatRun(t, c.node, c.opset, c.in...)); n != 0 {
				t.Errorf("%v allocations a run", n)
			}
		})
	}
}
