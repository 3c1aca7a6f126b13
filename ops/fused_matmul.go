package ops

import (
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

// Products with what follows them: the forms that the pass fuse writes. They
// give the bits of the operators that they stand for.
func init() {
	float := []onnx.DataType{onnx.Float}
	register(
		Op{Domain: fusedDomain, Name: "FusedMatMul", Since: []int{1}, Types: float, Infer: inferFusedMatMul, Build: buildFusedMatMul},
		Op{Domain: fusedDomain, Name: "FusedGemm", Since: []int{1}, Types: float, Infer: inferFusedGemm, Build: buildFusedGemm},
	)
}

// fusedInputs checks the inputs of a fused product: A and B, and C optionally.
func fusedInputs(n *Node) error {
	if n.NumInputs() < 2 || n.NumInputs() > 3 || n.NumOutputs() != 1 {
		return onnx.Errorf(onnx.ErrMalformed, "%d inputs and %d outputs, want 2 or 3 and 1", n.NumInputs(), n.NumOutputs())
	}
	for i := range n.NumInputs() {
		if !n.Has(i) && i < 2 {
			return onnx.Errorf(onnx.ErrMalformed, "input %d is missing", i)
		}
		if d := n.Elem(i); d != onnx.Float && d != onnx.Undefined {
			return onnx.Errorf(onnx.ErrType, "input %d is of %v, want float", i, d)
		}
	}
	return nil
}

// inferFusedMatMul: Y = activation(A*B + C), where C, which is optional, has a
// number for each column of the products.
func inferFusedMatMul(n *Node) error {
	if err := fusedInputs(n); err != nil {
		return err
	}
	shape, err := matmulShape(n.Shape(0), n.Shape(1))
	n.SetTensor(0, onnx.Float, shape)
	if err != nil {
		return err
	}
	c, b := n.Shape(2), n.Shape(1)
	for i, d := range c {
		want := onnx.Fixed(1)
		if i == len(c)-1 && len(b) > 1 {
			want = b[len(b)-1]
		}
		if d.Known() && want.Known() && d.Value != want.Value && b != nil {
			return onnx.Errorf(onnx.ErrShape, "C is %v, want a number for each column of B %v", c, b)
		}
	}
	return nil
}

func buildFusedMatMul(n *Node) (Kernel, error) {
	f, err := readFusedActivation(n)
	if err != nil {
		return nil, err
	}
	n.Has(2)
	return &fusedMatmul{matmul[float32]{level: n.Level(), packed: packedB(n, false)}, f}, nil
}

type fusedMatmul struct {
	matmul     matmul[float32]
	activation fusedActivation
}

// fusedMatmulLocal is what a FusedMatMul keeps for a frame.
type fusedMatmulLocal struct {
	matmulLocal[float32]
	k        *fusedMatmul
	bias     []float32 // nil where there is none
	finished func(i, j, w int, y []float32)
}

func (k *fusedMatmul) Run(c *Ctx, in, _ []onnx.Value) error {
	l, bias := Local[fusedMatmulLocal](c), tensorIn(in, 2)
	if l.finished == nil {
		l.finished = l.finishRows
	}
	l.k, l.product.finish = k, l.finished
	if bias != nil {
		l.bias = onnx.Elements[float32](bias)
	}
	err := k.matmul.run(c, &l.matmulLocal, in, bias)
	l.k, l.bias = nil, nil
	return err
}

// finishRows makes results of sums of rows of w columns, from column j on.
func (l *fusedMatmulLocal) finishRows(_, j, w int, y []float32) {
	if l.bias != nil {
		kernel.AddRows(l.k.matmul.level, y, y, l.bias[j:][:w])
	}
	l.k.activation.apply(y)
}

func inferFusedGemm(n *Node) error {
	if err := fusedInputs(n); err != nil {
		return err
	}
	return inferGemm(n)
}

func buildFusedGemm(n *Node) (Kernel, error) {
	f, err := readFusedActivation(n)
	if err != nil {
		return nil, err
	}
	g := newGemm32(n, readGemm(n))
	if f.loop != nil {
		g.activation = f.apply
	}
	return g, nil
}
