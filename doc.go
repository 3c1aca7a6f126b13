// Package recur is the front page of a Go module that runs ONNX models,
// recurrent ones above all, without cgo and without Python.
//
// It holds no code. The packages are:
//
//   - [github.com/recur-ml/recur/onnx]: the format: models, tensors and other
//     values, decoding, encoding, the checker, the operators' schemas, limits.
//   - [github.com/recur-ml/recur/runtime]: load a model, run it. Import it as
//     rt, since it shares its name with a package of Go.
//   - [github.com/recur-ml/recur/ops]: the operators, and how to add one's own.
//   - [github.com/recur-ml/recur/rewrite]: passes from model to model.
//   - [github.com/recur-ml/recur/cmd/recur]: the command.
//
// A model is loaded once and run from any number of goroutines:
//
//	s, err := rt.Load("sentiment.onnx")
//	x, err := onnx.NewTensor([]int{2, 20}, tokens)
//	out, err := s.Run(ctx, onnx.Values{"tokens": x})
//	p, err := onnx.Data[float32](out["score"])
//
// What the engine cannot honour it refuses at load, naming each node and the
// reason; what it loads, it computes as the specification says.
package recur
