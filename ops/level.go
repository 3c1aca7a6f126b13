package ops

import "github.com/recur-ml/recur/ops/internal/kernel"

// Level is a set of instructions for the loops of float32: plain Go, or what
// the processor has beyond. Its String is the name of the engine. Results of
// different levels differ in roundings; within one, a row's result depends on
// its own data alone.
type Level = kernel.Level

// Levels lists the levels that this machine has, the best first. The last,
// which is Level's zero value, is plain Go.
func Levels() []Level { return kernel.Levels() }

// Level is what the node's kernel may use.
func (n *Node) Level() Level { return n.scope.analysis.Level }
