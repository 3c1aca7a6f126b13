package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "Det", Since: []int{11, 22}, Infer: inferDet, Build: buildDet},
	)
}

func inferDet(n *Node) error {
	s := n.Shape(0)
	if s != nil {
		if len(s) < 2 || s[len(s)-1].Known() && s[len(s)-2].Known() && s[len(s)-1].Value != s[len(s)-2].Value {
			return onnx.Errorf(onnx.ErrShape, "X is %v, want square matrices", s)
		}
		s = s[:len(s)-2]
	}
	n.SetTensor(0, n.Elem(0), s)
	return nil
}

func buildDet(n *Node) (Kernel, error) {
	if n.Elem(0) == onnx.Double {
		return KernelFunc(runDet[float64]), nil
	}
	return KernelFunc(runDet[float32]), nil
}

func runDet[T floating](c *Ctx, in, _ []onnx.Value) error {
	t := in[0].(*onnx.Tensor)
	s := t.Shape()
	if len(s) < 2 || s[len(s)-1] != s[len(s)-2] {
		return onnx.Errorf(onnx.ErrShape, "X is %v, want square matrices", t)
	}
	n := s[len(s)-1]
	x, err := readReal[T](c, t)
	if err != nil {
		return err
	}
	out, y, err := newReal[T](c, 0, t.DataType(), s[:len(s)-2])
	if err != nil {
		return err
	}
	m, err := Scratch[float64](c, n*n)
	if err != nil {
		return err
	}
	for i := range y {
		if err := c.Err(); err != nil {
			return err
		}
		castReal(m, x[i*n*n:][:n*n])
		y[i] = T(determinant(m, n))
	}
	return storeReal(c, out, y)
}

// determinant eliminates in place, with the greatest element of a column as
// its pivot. That of no rows is 1.
func determinant(m []float64, n int) float64 {
	det := 1.0
	for k := range n {
		p := k
		for i := k + 1; i < n; i++ {
			if math.Abs(m[i*n+k]) > math.Abs(m[p*n+k]) {
				p = i
			}
		}
		if p != k {
			det = -det
			for j := range n {
				m[k*n+j], m[p*n+j] = m[p*n+j], m[k*n+j]
			}
		}
		pivot := m[k*n+k]
		if det *= pivot; pivot == 0 {
			return det
		}
		for i := k + 1; i < n; i++ {
			f := m[i*n+k] / pivot
			for j := k + 1; j < n; j++ {
				m[i*n+j] -= f * m[k*n+j]
			}
		}
	}
	return det
}
