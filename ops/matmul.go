package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(
		Op{Name: "MatMul", Since: []int{1, 9, 13}, Infer: inferMatMul, Build: buildMatMul},
	)
}

func inferMatMul(n *Node) error {
	shape, err := matmulShape(n.Shape(0), n.Shape(1))
	n.SetTensor(0, n.Elem(0), shape)
	return err
}

// matmulShape gives the shape of NumPy's matmul: the last two dimensions are
// matrices, those before them broadcast; a vector is a row on the left, a
// column on the right, and its dimension is dropped from the result.
func matmulShape(a, b onnx.Shape) (onnx.Shape, error) {
	if a != nil && len(a) == 0 || b != nil && len(b) == 0 {
		return nil, onnx.Errorf(onnx.ErrShape, "A is %v, B is %v, want at least one dimension each", a, b)
	}
	if a == nil || b == nil {
		return nil, nil
	}
	rowA, colB := len(a) == 1, len(b) == 1
	if rowA {
		a = onnx.Shape{onnx.Fixed(1), a[0]}
	}
	if colB {
		b = onnx.Shape{b[0], onnx.Fixed(1)}
	}
	ra, rb := len(a), len(b)
	if ka, kb := a[ra-1], b[rb-2]; ka.Known() && kb.Known() && ka.Value != kb.Value {
		return nil, onnx.Errorf(onnx.ErrShape, "A has %v columns, B has %v rows, want as many", ka, kb)
	}
	out, err := BroadcastShapes(a[:ra-2], b[:rb-2])
	if err != nil {
		return nil, err
	}
	if !rowA {
		out = append(out, a[ra-2])
	}
	if !colB {
		out = append(out, b[rb-1])
	}
	return out, nil
}

func buildMatMul(n *Node) (Kernel, error) {
	switch n.Elem(0) {
	case onnx.Double:
		return &matmul[float64]{level: n.Level()}, nil
	case onnx.Int32:
		return &matmul[int32]{level: n.Level()}, nil
	case onnx.Int64:
		return &matmul[int64]{level: n.Level()}, nil
	case onnx.Uint32:
		return &matmul[uint32]{level: n.Level()}, nil
	case onnx.Uint64:
		return &matmul[uint64]{level: n.Level()}, nil
	case onnx.Float:
		return &matmul[float32]{level: n.Level(), packed: packedB(n, false)}, nil
	}
	return Widen(&matmul[float32]{level: n.Level()}), nil
}

// element is a type that products are computed in.
type element interface {
	float32 | float64 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
}

// packedB packs input 1 of a product of float32, where it is a constant matrix
// and the loops are those of vectors; else it is nil.
func packedB(n *Node, transposed bool) *packed[kernel.PackedB] {
	of := n.constants(1)
	if of == nil || n.Level() == kernel.Go || of[0].DataType() != onnx.Float || of[0].Rank() != 2 {
		return nil
	}
	b, layout := of[0], "product"
	depth, columns := b.Shape()[0], b.Shape()[1]
	ldb := columns
	if transposed {
		depth, columns, layout = columns, depth, "transposed product"
	}
	level := n.Level()
	return newPacked(n, layout, func() *kernel.PackedB {
		return kernel.PackB(level, onnx.Elements[float32](b), ldb, depth, columns, transposed)
	}, b)
}

type matmul[T element] struct {
	level  Level
	packed *packed[kernel.PackedB] // nil where B is no constant
}

func (k *matmul[T]) Run(c *Ctx, in, _ []onnx.Value) error {
	return k.run(c, Local[matmulLocal[T]](c), in, nil)
}

// run computes the products. bias, which may be nil, must have a number for
// each of their columns; the local's finish adds it.
func (k *matmul[T]) run(c *Ctx, loc *matmulLocal[T], in []onnx.Value, bias *onnx.Tensor) error {
	a, b := in[0].(*onnx.Tensor), in[1].(*onnx.Tensor)
	if err := loc.fit(a.Shape(), b.Shape()); err != nil {
		return err
	}
	p := &loc.product
	if bias != nil && (bias.Len() != p.n || bias.Rank() > 0 && bias.Shape()[bias.Rank()-1] != p.n) {
		return onnx.Errorf(onnx.ErrShape, "C is %v, want a number for each of %d columns", bias, p.n)
	}
	t, err := c.New(0, onnx.TypeOf[T](), loc.shape)
	if err != nil {
		return err
	}
	p.level = k.level
	p.y, p.a, p.b = onnx.Elements[T](t), onnx.Elements[T](a), onnx.Elements[T](b)
	if p.fresh = true; k.packed != nil {
		p.packed = k.packed.get()
	}
	return p.run(c)
}

// matmulLocal is what a MatMul keeps for a frame.
type matmulLocal[T element] struct {
	product product[T]
	shape   []int
}

// fit works out the product of tensors of the given shapes, and its shape.
func (l *matmulLocal[T]) fit(a, b []int) error {
	ra, rb := len(a), len(b)
	if ra == 0 || rb == 0 {
		return onnx.Errorf(onnx.ErrShape, "A has rank %d, B rank %d, want at least 1 each", ra, rb)
	}
	p := &l.product
	p.m, p.n, p.k = 1, 1, a[ra-1]
	var batchA, batchB []int
	if ra > 1 {
		p.m, batchA = a[ra-2], a[:ra-2]
	}
	kb := b[0]
	if rb > 1 {
		kb, p.n, batchB = b[rb-2], b[rb-1], b[:rb-2]
	}
	if p.k != kb {
		return onnx.Errorf(onnx.ErrShape, "A %v has %d columns, B %v has %d rows, want as many", slices.Clone(a), p.k, slices.Clone(b), kb)
	}
	p.ldy, p.ars, p.acs, p.ldb, p.transB = p.n, p.k, 1, p.n, false
	rank := max(len(batchA), len(batchB))
	p.dims, p.as, p.bs, l.shape = grow(p.dims, rank), grow(p.as, rank), grow(p.bs, rank), grow(l.shape, rank)
	stepA, stepB := p.m*p.k, p.k*p.n
	shared := true // b is one matrix: all rows of a are one product's
	for d := rank - 1; d >= 0; d-- {
		na, nb := 1, 1
		if i := d - rank + len(batchA); i >= 0 {
			na = batchA[i]
		}
		if i := d - rank + len(batchB); i >= 0 {
			nb = batchB[i]
		}
		size := na
		if na == 1 {
			size = nb
		} else if nb != 1 && nb != na {
			return onnx.Errorf(onnx.ErrShape, "batches of A %v and B %v cannot be broadcast together", slices.Clone(a), slices.Clone(b))
		}
		p.dims[d], l.shape[d], p.as[d], p.bs[d] = size, size, 0, 0
		if na != 1 {
			p.as[d] = stepA
		}
		if nb != 1 {
			p.bs[d] = stepB
			shared = false
		}
		stepA *= na
		stepB *= nb
	}
	if ra > 1 {
		l.shape = append(l.shape, p.m)
	}
	if rb > 1 {
		l.shape = append(l.shape, p.n)
	}
	if shared {
		p.m *= elements(p.dims)
		p.dims, p.as, p.bs = p.dims[:0], p.as[:0], p.bs[:0]
	}
	return nil
}

// grow gives a slice of n elements in the memory of s where that suffices.
func grow(s []int, n int) []int {
	if n <= cap(s) {
		return s[:n]
	}
	return make([]int, n, n+2)
}
