package main

import (
	"io"

	"github.com/recur-ml/recur/onnx"
)

// decodeProto reads a value as ONNX's test data has it: a TensorProto, or what
// the kind of the input demands.
func decodeProto(kind onnx.Kind, data []byte) (onnx.Value, error) {
	switch kind {
	case onnx.KindSequence:
		return onnx.DecodeSequence(data)
	case onnx.KindOptional:
		return onnx.DecodeOptional(data)
	}
	return onnx.DecodeTensor(data)
}

// writeProto is the inverse of decodeProto.
func writeProto(w io.Writer, v onnx.Value) error {
	data, err := onnx.EncodeValue(v)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}
