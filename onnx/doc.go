// Package onnx holds the ONNX format: models as they stand in .onnx files, the
// values that flow through them, and what the format says of both.
//
// Load reads a model, with the data that it keeps in other files of its folder;
// Decode reads one from memory, Encode writes one. Check compares a model with
// the format's rules and the schemas of its operators, which LookupSchema
// gives. To run a model, see package runtime.
//
// A value is a *Tensor, *Sequence, *Optional, *Map or *SparseTensor. Tensors are
// made from slices and read as slices:
//
//	x, err := onnx.NewTensor([]int{2, 3}, []float32{1, 2, 3, 4, 5, 6})
//	y, err := onnx.Data[float32](x)
//
// DecodeTensor, DecodeSequence and DecodeOptional read values as ONNX's test
// data has them, EncodeValue writes them; ReadNPY, WriteNPY, ReadNPZ and
// WriteNPZ do NumPy's files.
//
// # Ownership
//
//   - NewTensor aliases the slice that it is given. The slice must not be
//     written to while the tensor is in use.
//   - Data, Tensor.Bytes and Tensor.Strings give views, which are read-only:
//     the same memory may back other tensors. Clone makes a copy.
//   - Decode's tensors view the bytes that it is given, which must not be
//     written to. Elements are looked at when they are first asked for. Load
//     maps files of 64 MiB and more into memory, where the platform can: such a
//     file must not be truncated while the model, or a tensor of it, is in use.
//
// # Concurrency
//
// Values and models are safe for concurrent readers. Whoever changes a model
// must be the only one who uses it.
//
// # Untrusted files
//
// Decode, Load, Check and the readers of values give an error for any bytes
// that are no model or value, and do not panic. What a file may cost is bounded
// by Limits; those of DecodeOptions that are zero have defaults. Errors match
// ErrMalformed, ErrUnsupported, ErrShape, ErrType or ErrLimit, by errors.Is, and
// say where the fault lies.
package onnx
