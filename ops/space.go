package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "DepthToSpace", Since: []int{1, 11, 13, 28}, Infer: inferSpace, Build: buildSpace},
		Op{Name: "SpaceToDepth", Since: []int{1, 13, 28}, Infer: inferSpace, Build: buildSpace},
	)
}

// spaceKernel moves elements between the channels and blocks of the image.
// Seen as [N, C, H, b, W, b], the image's element (n, c, h, i, w, j) is that of
// channel (i*b+j)*C+c, or c*b*b+i*b+j where the blocks come last, at (h, w).
type spaceKernel struct {
	block     int
	toDepth   bool
	blockLast bool // mode CRD: column, row, depth
}

func readSpace(n *Node) (*spaceKernel, error) {
	k := &spaceKernel{toDepth: n.Proto.OpType == "SpaceToDepth"}
	b := n.Int("blocksize", 0)
	if b < 1 || b > 1<<15 {
		return nil, onnx.Errorf(onnx.ErrMalformed, "blocksize is %d, want at least 1", b)
	}
	k.block = int(b)
	if n.Since >= 28 || n.Since >= 11 && !k.toDepth {
		switch mode := n.Str("mode", "DCR"); mode {
		case "DCR":
		case "CRD":
			k.blockLast = true
		default:
			return nil, onnx.Errorf(onnx.ErrMalformed, "mode %q, want DCR or CRD", mode)
		}
	}
	// SpaceToDepth-13 has the block before the channel, as DCR.
	return k, n.Err()
}

func inferSpace(n *Node) error {
	k, err := readSpace(n)
	if err != nil {
		return err
	}
	in := n.Shape(0)
	out := onnx.UnknownShape(4)
	if in.Ranked() {
		if len(in) != 4 {
			return onnx.Errorf(onnx.ErrShape, "input is of shape %v, want rank 4", in)
		}
		out[0] = in[0]
		for i := 1; i < 4; i++ {
			by := k.block
			if i == 1 {
				by *= k.block
			}
			switch d := in[i]; {
			case k.block == 1:
				out[i] = d
			case !d.Known():
			case (i == 1) != k.toDepth:
				if d.Value%by != 0 {
					return onnx.Errorf(onnx.ErrShape, "dimension %d of %v is not a multiple of %d", i, in, by)
				}
				out[i] = onnx.Fixed(d.Value / by)
			default:
				size, err := mulSizes(by, int64(d.Value), "the size")
				if err != nil {
					return err
				}
				out[i] = onnx.Fixed(size)
			}
		}
	}
	n.SetTensor(0, n.Elem(0), out)
	return nil
}

func buildSpace(n *Node) (Kernel, error) { return readSpace(n) }

func (k *spaceKernel) Run(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	s, b := x.Shape(), k.block
	if len(s) != 4 {
		return onnx.Errorf(onnx.ErrShape, "input is of shape %v, want rank 4", slices.Clone(s))
	}
	m := moverOf(c)
	n, ch, h, w := s[0], s[1], s[2], s[3] // ch, h, w: channels of the image, blocks in it
	if k.toDepth {
		if h%b != 0 || w%b != 0 {
			return onnx.Errorf(onnx.ErrShape, "input is of shape %v, want height and width to be multiples of %d", slices.Clone(s), b)
		}
		h, w = h/b, w/b
		m.shape = append(m.shape[:0], n, ch*b*b, h, w)
	} else {
		if ch%(b*b) != 0 {
			return onnx.Errorf(onnx.ErrShape, "input is of shape %v, want channels to be a multiple of %d", slices.Clone(s), b*b)
		}
		ch /= b * b
		m.shape = append(m.shape[:0], n, ch, h*b, w*b)
	}
	y, err := c.New(0, x.DataType(), m.shape)
	if err != nil || y.Len() == 0 {
		return err
	}
	// Strides in the image, and in the channels of blocks.
	image := [6]int{ch * h * b * w * b, h * b * w * b, b * w * b, w * b, b, 1} // n, c, h, i, w, j
	depth := [6]int{ch * b * b * h * w, h * w, w, b * ch * h * w, 1, ch * h * w}
	if k.blockLast {
		depth[1], depth[3], depth[5] = b*b*h*w, b*h*w, h*w
	}
	size := [6]int{n, ch, h, b, w, b}
	m.start()
	if !k.toDepth {
		for i := range size {
			m.add(size[i], image[i], depth[i])
		}
		return m.copy(y, 0, x, 0)
	}
	order := [6]int{0, 3, 5, 1, 2, 4} // the output's
	if k.blockLast {
		order = [6]int{0, 1, 3, 5, 2, 4}
	}
	for _, i := range order {
		m.add(size[i], depth[i], image[i])
	}
	return m.copy(y, 0, x, 0)
}
