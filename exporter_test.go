package recur_test

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/recur-ml/recur/internal/verify"
	"github.com/recur-ml/recur/onnx"
)

// exported lists the operators of ai.onnx that tf2onnx writes, with those of
// its older opsets.
const exported = `
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast
Ceil Clip Compress Concat ConcatFromSequence ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DepthToSpace DequantizeLinear Det Div Dropout
DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gemm GlobalAveragePool GlobalMaxPool
Greater GreaterOrEqual HardSwish Identity If InstanceNormalization IsInf IsNaN LRN LSTM LeakyRelu Less LessOrEqual Log LogSoftmax Loop LpNormalization
MatMul MatMulInteger Max MaxPool Min Mod Mul Multinomial Neg NonMaxSuppression NonZero Not OneHot Or PRelu Pad Pow QuantizeLinear RandomNormal
RandomNormalLike RandomUniform RandomUniformLike Range Reciprocal ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape
Resize ReverseSequence RoiAlign Round Scan Scatter ScatterElements ScatterND Selu SequenceEmpty SequenceInsert Shape Sigmoid Sign Sin Sinh Size Slice
Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze StringNormalizer Sub Sum Tan Tanh ThresholdedRelu Tile TopK Transpose Unique Unsqueeze
Upsample Where Xor
`

// drawn lists those that no golden has, for their results are random: the tests
// of package ops hold their seeds, types, shapes and distributions.
const drawn = "Multinomial RandomNormal RandomNormalLike RandomUniform"

// TestExportedOperators: each operator that tf2onnx writes is in the graph of a
// golden that passes, but for those in drawn.
func TestExportedOperators(t *testing.T) {
	list := strings.Fields(exported)
	if len(list) != 140 {
		t.Errorf("%d operators, want 140", len(list))
	}
	covered := map[string]bool{}
	for _, s := range goldens(t) {
		for _, c := range s.cases {
			m, err := onnx.Load(filepath.Join(c.Dir, filepath.FromSlash(c.Model)), nil)
			if err != nil || c.ExpectError {
				continue
			}
			used := map[string]bool{}
			countOperators(m.Graph, used)
			for op := range covered {
				delete(used, op)
			}
			if len(used) == 0 {
				continue
			}
			runner := verify.Runner{Options: configs()[0].options}
			if r := runner.Run(t.Context(), c); r.Verdict == verify.Passed {
				maps.Copy(covered, used)
			}
		}
	}
	for _, op := range list {
		if random := slices.Contains(strings.Fields(drawn), op); random == covered[op] {
			t.Errorf("%s: a golden has it: %v; its results are random: %v", op, covered[op], random)
		}
	}
}

// countOperators collects the operators of ai.onnx in a graph and those within.
func countOperators(g *onnx.Graph, used map[string]bool) {
	for _, n := range g.Nodes {
		if n.Domain == "" || n.Domain == "ai.onnx" {
			used[n.OpType] = true
		}
		for _, sub := range n.Subgraphs() {
			countOperators(sub, used)
		}
	}
}
