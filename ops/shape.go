package ops

import "github.com/recur-ml/recur/onnx"

func init() {
	register(
		Op{Name: "Shape", Since: []int{1, 13, 15, 19, 21, 23, 24, 25}, Infer: inferShape, Build: buildShape},
		Op{Name: "Size", Since: []int{1, 13, 19, 21, 23, 24, 25}, Infer: inferSize, Build: plainBuild(runSize)},
	)
}

// shapeKernel gives the sizes of the axes start..end-1.
type shapeKernel struct {
	start, end int64
	toEnd      bool // there is no end
}

func readShape(n *Node) *shapeKernel {
	if n.Since < 15 {
		return &shapeKernel{toEnd: true}
	}
	return &shapeKernel{n.Int("start", 0), n.Int("end", 0), !n.HasAttr("end")}
}

// axes gives the range of axes for a rank.
func (k *shapeKernel) axes(rank int) (lo, hi int) {
	lo = clampAxis(k.start, rank)
	hi = rank
	if !k.toEnd {
		hi = clampAxis(k.end, rank)
	}
	return lo, max(lo, hi)
}

// clampAxis brings an axis that may be negative to 0..rank.
func clampAxis(a int64, rank int) int {
	if a < 0 {
		a += int64(rank)
	}
	return int(min(max(a, 0), int64(rank)))
}

func inferShape(n *Node) error {
	k := readShape(n)
	s := n.Shape(0)
	if !s.Ranked() {
		n.SetTensor(0, onnx.Int64, onnx.UnknownShape(1))
		return n.Err()
	}
	lo, hi := k.axes(len(s))
	c := &Content{}
	for _, d := range s[lo:hi] {
		c.Elems = append(c.Elems, SymOf(d))
	}
	n.SetTensor(0, onnx.Int64, onnx.FixedShape(hi-lo))
	n.SetContent(0, c)
	return n.Err()
}

func buildShape(n *Node) (Kernel, error) { return readShape(n), nil }

func (k *shapeKernel) Run(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	lo, hi := k.axes(x.Rank())
	shape := [1]int{hi - lo}
	y, err := c.New(0, onnx.Int64, shape[:])
	if err != nil {
		return err
	}
	sizes := onnx.Elements[int64](y)
	for i, d := range x.Shape()[lo:hi] {
		sizes[i] = int64(d)
	}
	return nil
}

func inferSize(n *Node) error {
	n.SetTensor(0, onnx.Int64, onnx.Shape{})
	if s := n.Shape(0); s.Ranked() {
		d := productDim(s)
		n.SetContent(0, &Content{Scalar: true, Elems: []Sym{SymOf(d)}})
	}
	return nil
}

// productDim multiplies dimensions. A single symbol survives among ones.
func productDim(dims []onnx.Dim) onnx.Dim {
	known, rest := 1, onnx.Fixed(1)
	unknown := 0
	for _, d := range dims {
		switch {
		case !d.Known():
			rest = d
			unknown++
		case d.Value == 0:
			return onnx.Fixed(0)
		case known > int(^uint(0)>>1)/d.Value:
			return onnx.UnknownDim
		default:
			known *= d.Value
		}
	}
	switch {
	case unknown == 0:
		return onnx.Fixed(known)
	case unknown == 1 && known == 1:
		return rest
	}
	return onnx.UnknownDim
}

func runSize(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	y, err := c.New(0, onnx.Int64, nil)
	if err != nil {
		return err
	}
	onnx.Elements[int64](y)[0] = int64(x.Len())
	return nil
}
