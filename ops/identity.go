package ops

import "github.com/recur-ml/recur/onnx"

func init() {
	register(Op{Name: "Identity", Since: []int{1, 13, 14, 16, 19, 21, 23, 24, 25}, Infer: inferIdentity, Build: plainBuild(runIdentity)})
}

func inferIdentity(n *Node) error {
	n.SetInfo(0, n.In(0))
	return nil
}

func runIdentity(_ *Ctx, in, out []onnx.Value) error {
	out[0] = in[0]
	return nil
}
