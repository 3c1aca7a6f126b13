package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(
		Op{Name: "Gemm", Since: []int{1, 6, 7, 9, 11, 13}, Infer: inferGemm, Build: buildGemm},
	)
}

func inferGemm(n *Node) error {
	a, b := n.Shape(0), n.Shape(1)
	out := onnx.UnknownShape(2)
	if a != nil && len(a) != 2 || b != nil && len(b) != 2 {
		return onnx.Errorf(onnx.ErrShape, "A is %v, B is %v, want matrices", a, b)
	}
	ka, kb := onnx.UnknownDim, onnx.UnknownDim
	if a != nil {
		out[0], ka = a[0], a[1]
		if n.Bool("transA", false) {
			out[0], ka = ka, out[0]
		}
	}
	if b != nil {
		kb, out[1] = b[0], b[1]
		if n.Bool("transB", false) {
			out[1], kb = kb, out[1]
		}
	}
	if ka.Known() && kb.Known() && ka.Value != kb.Value {
		return onnx.Errorf(onnx.ErrShape, "A gives %v terms for a sum, B gives %v (A %v, B %v)", ka, kb, a, b)
	}
	n.SetTensor(0, n.Elem(0), out)
	if c := n.Shape(2); c != nil && n.Float("beta", 1) != 0 {
		if len(c) > 2 {
			return onnx.Errorf(onnx.ErrShape, "C is %v, want at most two dimensions", c)
		}
		for i, d := range c {
			o := out[2-len(c)+i]
			if d.Known() && d.Value != 1 && o.Known() && o.Value != d.Value {
				return onnx.Errorf(onnx.ErrShape, "C is %v, which cannot be broadcast to %v", c, out)
			}
		}
	}
	return nil
}

func buildGemm(n *Node) (Kernel, error) {
	g := readGemm(n)
	switch n.Elem(0) {
	case onnx.Double:
		return &gemm[float64]{gemmAttrs: g, scale: scaleFloat[float64]}, nil
	case onnx.Int32:
		return &gemm[int32]{gemmAttrs: g, scale: scaleInt[int32]}, nil
	case onnx.Int64:
		return &gemm[int64]{gemmAttrs: g, scale: scaleInt[int64]}, nil
	case onnx.Uint32:
		return &gemm[uint32]{gemmAttrs: g, scale: scaleInt[uint32]}, nil
	case onnx.Uint64:
		return &gemm[uint64]{gemmAttrs: g, scale: scaleInt[uint64]}, nil
	case onnx.Float:
		return newGemm32(n, g), nil
	}
	return Widen(&gemm[float32]{gemmAttrs: g, scale: scale32(n.Level())}), nil
}

// newGemm32 makes the kernel of float32, which has B packed where that is a
// constant.
func newGemm32(n *Node, g gemmAttrs) *gemm[float32] {
	addRows := func(y, c []float32) { kernel.AddRows(g.level, y, y, c) }
	return &gemm[float32]{gemmAttrs: g, scale: scale32(g.level), addRows: addRows, packed: packedB(n, g.transB)}
}

type gemmAttrs struct {
	level          Level
	alpha, beta    float32
	transA, transB bool
	broadcast      bool // C may be of fewer or smaller dimensions
}

// readGemm reads the attributes, and asks for C.
func readGemm(n *Node) gemmAttrs {
	g := gemmAttrs{level: n.Level(), alpha: n.Float("alpha", 1), beta: n.Float("beta", 1), transA: n.Bool("transA", false), transB: n.Bool("transB", false), broadcast: true}
	if n.Since < 7 && n.Proto.OpType == "Gemm" {
		g.broadcast = n.Bool("broadcast", false)
	}
	n.Has(2)
	return g
}

type gemm[T element] struct {
	gemmAttrs
	// scale is y = alpha*y + beta*c; c has a stride of 0 or 1, and is nil
	// where there is no C.
	scale func(y, c []T, step int, alpha, beta float32)
	// addRows, of float32, is scale of rows one after the other, where alpha and
	// beta are 1 and c is of each.
	addRows    func(y, c []T)
	packed     *packed[kernel.PackedB] // nil where B is no constant, and for other types
	activation func(y []T)             // of a fused operator, nil for none
}

// gemmLocal is what a Gemm keeps for a frame.
type gemmLocal[T element] struct {
	product[T]
	g          *gemm[T]
	bias       []T // nil where there is none
	rows, cols int // strides of bias
	finished   func(i, j, w int, y []T)
}

// Run computes alpha*A*B + beta*C: first each sum, then the rest. A beta of 0
// leaves C out, whatever it holds.
func (g *gemm[T]) Run(c *Ctx, in, _ []onnx.Value) error {
	a, b, bias := in[0].(*onnx.Tensor), in[1].(*onnx.Tensor), tensorIn(in, 2)
	if a.Rank() != 2 || b.Rank() != 2 {
		return onnx.Errorf(onnx.ErrShape, "A is %v, B is %v, want matrices", a, b)
	}
	l := Local[gemmLocal[T]](c)
	p := &l.product
	p.level = g.level
	p.m, p.k, p.ars, p.acs = a.Shape()[0], a.Shape()[1], a.Shape()[1], 1
	if g.transA {
		p.m, p.k, p.ars, p.acs = p.k, p.m, 1, p.ars
	}
	kb, n := b.Shape()[0], b.Shape()[1]
	p.ldb, p.transB = n, g.transB
	if g.transB {
		kb, n = n, kb
	}
	if p.n, p.ldy = n, n; p.k != kb {
		return onnx.Errorf(onnx.ErrShape, "A gives %d terms for a sum, B gives %d (A %v, B %v)", p.k, kb, a, b)
	}
	if g.beta == 0 {
		bias = nil
	}
	var err error
	if l.rows, l.cols, err = g.biasSteps(bias, p.m, p.n); err != nil {
		return err
	}
	shape := [2]int{p.m, p.n}
	t, err := c.New(0, onnx.TypeOf[T](), shape[:])
	if err != nil {
		return err
	}
	p.y, p.a, p.b = onnx.Elements[T](t), onnx.Elements[T](a), onnx.Elements[T](b)
	if p.fresh = true; g.packed != nil {
		p.packed = g.packed.get()
	}
	if g.transA && g.transB && p.packed == nil {
		if p.a, err = transposed(c, p.a, p.k, p.m); err != nil {
			return err
		}
		p.ars, p.acs = p.k, 1
	}
	l.finishWith(g, bias)
	err = p.run(c)
	l.g, l.bias = nil, nil
	return err
}

// finishWith sets what follows the sums, if anything does.
func (l *gemmLocal[T]) finishWith(g *gemm[T], bias *onnx.Tensor) {
	l.finish = nil
	if bias == nil && g.alpha == 1 && g.activation == nil {
		return
	}
	if l.g = g; bias != nil {
		l.bias = onnx.Elements[T](bias)
	}
	if l.finished == nil {
		l.finished = l.finishRows
	}
	l.finish = l.finished
}

// finishRows makes results of sums of rows of w columns one after the other, from
// row i and column j on.
func (l *gemmLocal[T]) finishRows(i, j, w int, y []T) {
	switch {
	case l.g.addRows != nil && l.bias != nil && l.rows == 0 && l.cols == 1 && l.g.alpha == 1 && l.g.beta == 1:
		l.g.addRows(y, l.bias[j:][:w])
	case l.bias != nil || l.g.alpha != 1:
		for r := 0; r < len(y); i, r = i+1, r+w {
			var c []T
			if l.bias != nil {
				c = l.bias[i*l.rows+j*l.cols:]
			}
			l.g.scale(y[r:r+w], c, l.cols, l.g.alpha, l.g.beta)
		}
	}
	if l.g.activation != nil {
		l.g.activation(y)
	}
}

// biasSteps gives the strides of C along the rows and columns of the result.
func (g *gemmAttrs) biasSteps(bias *onnx.Tensor, m, n int) (rows, cols int, err error) {
	if bias == nil {
		return 0, 0, nil
	}
	s := bias.Shape()
	if !g.broadcast && (len(s) != 2 || s[0] != m || s[1] != n) {
		return 0, 0, onnx.Errorf(onnx.ErrShape, "C is %v, want [%d %d] when broadcast is not set", bias, m, n)
	}
	h, w := 1, 1
	switch len(s) {
	case 0:
	case 1:
		w = s[0]
	case 2:
		h, w = s[0], s[1]
	default:
		return 0, 0, onnx.Errorf(onnx.ErrShape, "C is %v, want at most two dimensions", bias)
	}
	if h != 1 && h != m || w != 1 && w != n {
		return 0, 0, onnx.Errorf(onnx.ErrShape, "C is %v, which cannot be broadcast to [%d %d]", bias, m, n)
	}
	if h != 1 {
		rows = w
	}
	if w != 1 {
		cols = 1
	}
	return rows, cols, nil
}

// transposed copies a matrix of the given rows and columns the other way.
func transposed[T element](c *Ctx, a []T, rows, cols int) ([]T, error) {
	out, err := Scratch[T](c, rows*cols)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		for j, v := range a[i*cols:][:cols] {
			out[j*rows+i] = v
		}
	}
	return out, nil
}

// scale32 is scaleFloat at a level.
func scale32(level Level) func(y, c []float32, step int, alpha, beta float32) {
	return func(y, c []float32, step int, alpha, beta float32) {
		if alpha == 1 && beta == 1 && step == 1 && c != nil {
			kernel.AddVector(level, y, y, c[:len(y)])
			return
		}
		scaleFloat(y, c, step, alpha, beta)
	}
}

func scaleFloat[T floating](y, c []T, step int, alpha, beta float32) {
	if alpha != 1 {
		for j := range y {
			y[j] *= T(alpha)
		}
	}
	if c == nil {
		return
	}
	if beta == 1 && step == 1 {
		kernel.Add(y, y, c[:len(y)])
		return
	}
	for j := range y {
		y[j] += T(T(beta) * c[j*step])
	}
}

// scaleInt computes in the integers, which wrap, where both factors are
// integers; else in float64, truncated.
func scaleInt[T kernel.Integer](y, c []T, step int, alpha, beta float32) {
	whole := func(f float32) bool { return f == float32(math.Trunc(float64(f))) && math.Abs(float64(f)) < 1<<31 }
	if whole(alpha) && whole(beta) {
		al, be := T(int64(alpha)), T(int64(beta))
		for j := range y {
			y[j] *= al
			if c != nil {
				y[j] += be * c[j*step]
			}
		}
		return
	}
	for j := range y {
		v := float64(alpha) * float64(y[j])
		if c != nil {
			v += float64(beta) * float64(c[j*step])
		}
		y[j] = kernel.ToInteger[T](v)
	}
}
