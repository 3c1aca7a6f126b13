package ops

import "github.com/recur-ml/recur/onnx"

// FusedConv is a Conv with an activation: a form that the pass fuse writes. It
// gives the bits of the operators that it stands for.
func init() {
	register(Op{Domain: fusedDomain, Name: "FusedConv", Since: []int{1}, Types: []onnx.DataType{onnx.Float}, Infer: inferFusedConv, Build: buildFusedConv})
}

func inferFusedConv(n *Node) error {
	if err := fusedInputs(n); err != nil {
		return err
	}
	return inferConv(n)
}

func buildFusedConv(n *Node) (Kernel, error) {
	f, err := readFusedActivation(n)
	if err != nil {
		return nil, err
	}
	k, err := buildConvOf(n)
	if err != nil {
		return nil, err
	}
	k.activation = f
	return k, nil
}
