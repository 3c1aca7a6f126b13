// Package runtime loads ONNX models and runs them. It shares its name with a
// package of Go, so import it as rt:
//
//	import rt "github.com/recur-ml/recur/runtime"
//
//	s, err := rt.Load("sentiment.onnx")
//	x, err := onnx.NewTensor([]int{2, 20}, tokens)
//	out, err := s.Run(ctx, onnx.Values{"tokens": x})
//	p, err := onnx.Data[float32](out["score"])
//
// Load decodes and checks a model, rewrites it, and builds the kernel of each
// node. What would not be honoured is refused there, every such node in one
// [RefusalError]. Run computes; RunInto does so without allocating. A [Stream]
// carries the state of a recurrent model from frame to frame. What operators
// compute is what ONNX's specification says of them, in the version that the
// model imports; OPERATORS.md lists them, and package ops adds one's own.
//
// # Values
//
// Tensors are dense and row-major; sizes count elements, limits bytes. Inputs
// are only read. Outputs belong to the caller, and nothing that a caller holds
// changes later.
//
// # Concurrency
//
//   - Any number of goroutines may use one Session at a time; it is immutable.
//   - A Stream belongs to one goroutine at a time.
//   - The threads of all runs together stay within GOMAXPROCS, those of one run
//     within WithThreads; none outlives its run. The results do not depend on
//     how many there are.
//   - The context cancels a run between nodes, iterations of loops and blocks
//     of time steps.
//
// # Errors
//
// An error says where and what was wanted, and matches one of onnx.ErrMalformed,
// ErrUnsupported, ErrShape, ErrType and ErrLimit, the context's error, an error
// of package fs, or one of this package. ErrInternal is a fault of the engine
// or of an operator of one's own: a panic does not leave this package.
//
// # Untrusted models and inputs
//
// Memory and work are bounded by onnx.Limits: those of the file while it is
// loaded, and for a run RunBytes, LoopIterations and TimeSteps. SECURITY.md says
// what is promised.
package runtime
