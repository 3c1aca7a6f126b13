package ops

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(Op{Name: "Col2Im", Since: []int{18}, Types: numericTypes, Infer: inferCol2Im, Build: buildCol2Im})
}

// numericTypes are those that can be added up.
var numericTypes = []onnx.DataType{
	onnx.Float, onnx.Double, onnx.Float16, onnx.BFloat16,
	onnx.Int8, onnx.Int16, onnx.Int32, onnx.Int64, onnx.Uint8, onnx.Uint16, onnx.Uint32, onnx.Uint64,
	onnx.Complex64, onnx.Complex128,
}

// colToImage puts the columns of blocks, which an image was cut into, back
// where they were; where blocks overlap, their elements are added, in the
// order of the places within a block. The input is [N, C*block, L], a column
// for each of the L blocks.
type colToImage struct{ dilations, pads, strides []int64 }

func readCol2Im(n *Node) *colToImage {
	return &colToImage{n.Ints("dilations"), n.Ints("pads"), n.Ints("strides")}
}

func inferCol2Im(n *Node) error {
	readCol2Im(n)
	in := n.Shape(0)
	if in.Ranked() && len(in) != 3 {
		return onnx.Errorf(onnx.ErrShape, "input is of shape %v, want rank 3", in)
	}
	n.SetTensor(0, n.Elem(0), nil)
	image, err := shapeFrom(n, 1)
	if err != nil || !image.Ranked() {
		return err
	}
	out := append(onnx.Shape{onnx.UnknownDim, onnx.UnknownDim}, image...)
	if in.Ranked() {
		out[0] = in[0]
		if block, ok := n.ConstInts(2); ok && in[1].Known() {
			size := 1
			for _, b := range block {
				if size, err = mulSizes(size, b, "block_shape"); err != nil {
					return err
				}
			}
			if size == 0 || in[1].Value%size != 0 {
				return onnx.Errorf(onnx.ErrShape, "input is of shape %v, want dimension 1 to be a multiple of %d", in, size)
			}
			out[1] = onnx.Fixed(in[1].Value / size)
		}
	}
	n.SetTensor(0, n.Elem(0), out)
	return n.Err()
}

func buildCol2Im(n *Node) (Kernel, error) {
	k := readCol2Im(n)
	return widenFrom(n, 0, k), nil
}

// colGeometry is the sizes that a Col2Im works with.
type colGeometry struct {
	image, block, cols      []int // sizes; cols counts the blocks along each axis
	step, dilation, pad     []int
	imageN, blockN, columns int // their products
}

// axisValue gives an attribute's value for an axis.
func axisValue(list []int64, i int, def int64) int64 {
	if i < len(list) {
		return list[i]
	}
	return def
}

// measure checks the sizes against each other and the input's shape.
func (k *colToImage) measure(image, block []int64, shape []int) (*colGeometry, error) {
	rank := len(image)
	fits := func(list []int64, n int) bool { return list == nil || len(list) == n }
	if rank == 0 || len(block) != rank || !fits(k.dilations, rank) || !fits(k.strides, rank) || !fits(k.pads, 2*rank) {
		return nil, onnx.Errorf(onnx.ErrShape, "image_shape has %d entries, block_shape %d, dilations %d, strides %d, pads %d: want the same number, and twice that of pads",
			rank, len(block), len(k.dilations), len(k.strides), len(k.pads))
	}
	const most = 1 << 30
	g := &colGeometry{imageN: 1, blockN: 1, columns: 1}
	for i := range rank {
		step, dilation := axisValue(k.strides, i, 1), axisValue(k.dilations, i, 1)
		begin, end := axisValue(k.pads, i, 0), axisValue(k.pads, rank+i, 0)
		for _, v := range []int64{image[i], block[i], step, dilation} {
			if v < 1 || v > most {
				return nil, onnx.Errorf(onnx.ErrShape, "axis %d: an image of %d, blocks of %d, a stride of %d, a dilation of %d: want at least 1", i, image[i], block[i], step, dilation)
			}
		}
		if begin < 0 || end < 0 || begin > most || end > most {
			return nil, onnx.Errorf(onnx.ErrShape, "axis %d: pads %d and %d, want at least 0", i, begin, end)
		}
		room := image[i] + begin + end - dilation*(block[i]-1) - 1
		if room < 0 {
			return nil, onnx.Errorf(onnx.ErrShape, "axis %d: a block of %d does not fit into an image of %d", i, block[i], image[i])
		}
		g.image, g.block, g.cols = append(g.image, int(image[i])), append(g.block, int(block[i])), append(g.cols, int(room/step)+1)
		g.step, g.dilation, g.pad = append(g.step, int(step)), append(g.dilation, int(dilation)), append(g.pad, int(begin))
		var err error
		if g.imageN, err = mulSizes(g.imageN, image[i], "image_shape"); err != nil {
			return nil, err
		}
		if g.blockN, err = mulSizes(g.blockN, block[i], "block_shape"); err != nil {
			return nil, err
		}
		if g.columns, err = mulSizes(g.columns, room/step+1, "the number of blocks"); err != nil {
			return nil, err
		}
	}
	if len(shape) != 3 || shape[1]%g.blockN != 0 || shape[2] != g.columns {
		return nil, onnx.Errorf(onnx.ErrShape, "input is of shape %v, want [N, C*%d, %d]", slices.Clone(shape), g.blockN, g.columns)
	}
	return g, nil
}

func (k *colToImage) Run(c *Ctx, in, _ []onnx.Value) error {
	x, err := inputTensor(in, 0)
	if err != nil {
		return err
	}
	m := moverOf(c)
	image, err := m.list(0, in[1], "image_shape")
	if err != nil {
		return err
	}
	block, err := m.list(1, in[2], "block_shape")
	if err != nil {
		return err
	}
	g, err := k.measure(image, block, x.Shape())
	if err != nil {
		return err
	}
	m.shape = append(append(m.shape[:0], x.Shape()[0], x.Shape()[1]/g.blockN), g.image...)
	y, err := c.New(0, x.DataType(), m.shape)
	if err != nil {
		return err
	}
	zeroElements(y)
	add := columnLoops[x.DataType()]
	if add == nil {
		return noLoop(x.DataType())
	}
	buf, err := Scratch[int64](c, g.columns)
	if err != nil || y.Len() == 0 {
		return err
	}
	places := intsOver(buf)
	p := pace{c: c}
	for b := range g.blockN {
		g.place(b, places)
		for plane := range x.Shape()[0] * m.shape[1] {
			add(y, plane*g.imageN, x, (plane*g.blockN+b)*g.columns, places)
			if p.Stop(g.columns) {
				return c.Err()
			}
		}
	}
	return nil
}

// place gives, for element b of every block, its place in the image, -1 where
// that lies in the padding.
func (g *colGeometry) place(b int, places []int) {
	for col := range places {
		rest, at, stride := col, 0, 1
		inBlock := b
		for i := len(g.image) - 1; i >= 0; i-- {
			pos := rest%g.cols[i]*g.step[i] - g.pad[i] + inBlock%g.block[i]*g.dilation[i]
			rest, inBlock = rest/g.cols[i], inBlock/g.block[i]
			if pos < 0 || pos >= g.image[i] {
				at = -1
				break
			}
			at += pos * stride
			stride *= g.image[i]
		}
		places[col] = at
	}
}

var columnLoops = byType[func(y *onnx.Tensor, to int, x *onnx.Tensor, from int, places []int)]{
	onnx.Float: addColumn[float32], onnx.Double: addColumn[float64],
	onnx.Int8: addColumn[int8], onnx.Int16: addColumn[int16], onnx.Int32: addColumn[int32], onnx.Int64: addColumn[int64],
	onnx.Uint8: addColumn[uint8], onnx.Uint16: addColumn[uint16], onnx.Uint32: addColumn[uint32], onnx.Uint64: addColumn[uint64],
	onnx.Complex64: addColumn[complex64], onnx.Complex128: addColumn[complex128],
}

func addColumn[T kernel.Number | complex64 | complex128](y *onnx.Tensor, to int, x *onnx.Tensor, from int, places []int) {
	dst, src := cells[T](y)[to:], cells[T](x)[from:]
	for j, at := range places {
		if at >= 0 {
			dst[at] += src[j]
		}
	}
}
