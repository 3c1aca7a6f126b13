// Package ops has the operators of ONNX, one file a family, and what it takes
// to add one's own.
//
// An operator is a row of a table, an [Op]: a name, the versions that the row
// serves, and two functions that are called when a model is loaded. Infer gives
// the types and shapes of a node's outputs, as far as they are known; Build reads
// the attributes and gives the [Kernel], which computes the node in each run.
// What a row means is in ONNX's specification of the operator in that version
// (https://onnx.ai/onnx/operators); where it leaves a choice, the code says what
// was chosen, and RATIONALE.md why.
//
// Rows are looked up in a [Registry] by domain, name and imported opset. One's
// own operators go into a Clone of Default, which the runtime's WithRegistry
// takes:
//
//	r := ops.Default().Clone()
//	err := r.Register(ops.Op{Domain: "com.example", Name: "Twice", Since: []int{1},
//		Infer: func(n *ops.Node) error { n.Set(0, n.In(0).Type); return nil },
//		Build: func(n *ops.Node) (ops.Kernel, error) { return ops.KernelFunc(twice), nil }})
//
// # The contract of a kernel
//
//   - It is shared by all runs of a session, at a time, and holds no state of
//     one. [Local] is what it may keep for a frame of a run.
//   - Its inputs are read-only. It checks shapes and indices, whatever Infer
//     checked: nothing that comes from a file or a caller is trusted.
//   - Memory comes from the [Ctx]: New and View for outputs, [Scratch] and Temp
//     for the rest. It is charged to the run's budget before it is taken.
//   - Threads come from Parallel, and the results do not depend on how many.
//   - Errors match the sentinels of package onnx and need not name the node: the
//     runtime does. A panic, or an output that contradicts what was inferred,
//     ends the run with the runtime's ErrInternal.
//
// Scope, Analysis, Engine and what belongs to them are for packages that run or
// rewrite models, such as runtime and rewrite.
package ops
