package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "GridSample", Since: []int{16, 20, 22}, Infer: inferGridSample, Build: buildGridSample},
		Op{Name: "AffineGrid", Since: []int{20}, Infer: inferAffineGrid, Build: buildAffineGrid},
	)
}

// GridSample: X is [batch, channels, spatial...], grid is [batch, places...,
// rank] of coordinates in -1..1, the last spatial dimension's first; the output
// is [batch, channels, places...].
type gridSample struct {
	mode    string // nearest, linear or cubic
	padding string
	corners bool // -1 and 1 are the centres of the outermost elements, else their edges
}

func readGridSample(n *Node) (g gridSample, err error) {
	def := "linear"
	if n.Since == 16 {
		def = "bilinear"
	}
	g = gridSample{mode: n.Str("mode", def), padding: n.Str("padding_mode", "zeros"), corners: n.Bool("align_corners", false)}
	switch {
	case g.mode == "nearest":
	case n.Since == 16 && g.mode == "bilinear":
		g.mode = "linear"
	case n.Since == 16 && g.mode == "bicubic":
		g.mode = "cubic"
	case n.Since > 16 && (g.mode == "linear" || g.mode == "cubic"):
	default:
		return g, onnx.Errorf(onnx.ErrMalformed, "mode %q, want nearest, (bi)linear or (bi)cubic", g.mode)
	}
	if g.padding != "zeros" && g.padding != "border" && g.padding != "reflection" {
		return g, onnx.Errorf(onnx.ErrMalformed, "padding_mode %q, want zeros, border or reflection", g.padding)
	}
	if d := n.Elem(0); g.mode != "nearest" && (d == onnx.String || d == onnx.Bool) {
		return g, onnx.Errorf(onnx.ErrUnsupported, "mode %s for elements of %v: there is nothing between two of them", g.mode, d)
	}
	return g, n.Err()
}

func inferGridSample(n *Node) error {
	if _, err := readGridSample(n); err != nil {
		return err
	}
	x, grid := n.Shape(0), n.Shape(1)
	rank := max(len(x), len(grid))
	if x == nil && grid == nil {
		n.SetTensor(0, n.Elem(0), nil)
		return nil
	}
	if rank < 3 || x != nil && grid != nil && len(x) != len(grid) || grid != nil && grid[rank-1].Known() && grid[rank-1].Value != rank-2 {
		return onnx.Errorf(onnx.ErrShape, "X is %v, grid is %v, want equal ranks and a coordinate for each spatial dimension", x, grid)
	}
	out := onnx.UnknownShape(rank)
	if x != nil {
		copy(out, x[:2])
	}
	if grid != nil {
		copy(out[2:], grid[1:rank-1])
	}
	n.SetTensor(0, n.Elem(0), out)
	return nil
}

func buildGridSample(n *Node) (Kernel, error) {
	g, err := readGridSample(n)
	return &g, err
}

func (k *gridSample) Run(c *Ctx, in, _ []onnx.Value) error {
	x, gt := in[0].(*onnx.Tensor), in[1].(*onnx.Tensor)
	s, gs := x.Shape(), gt.Shape()
	rank := len(s) - 2
	if rank < 1 || len(gs) != len(s) || gs[0] != s[0] || gs[rank+1] != rank {
		return onnx.Errorf(onnx.ErrShape, "X is %v, grid is %v, want one batch, equal ranks and %d coordinates", x, gt, max(rank, 1))
	}
	shape := append(append([]int(nil), s[:2]...), gs[1:rank+1]...)
	out, err := c.New(0, x.DataType(), shape)
	if err != nil || out.Len() == 0 {
		return err
	}
	if x.Len() == 0 {
		return onnx.Errorf(onnx.ErrShape, "X is %v, which has no elements to sample", x)
	}
	grid, err := readReal[float64](c, gt)
	if err != nil {
		return err
	}
	if k.mode == "nearest" {
		return k.pick(c, out, x, grid)
	}
	return k.interpolate(c, out, x, grid)
}

// position turns a coordinate into a position along an axis, which is brought
// inside where the padding says so.
func (k *gridSample) position(v float64, size int) float64 {
	p := ((v+1)*float64(size) - 1) / 2
	if k.corners {
		p = (v + 1) / 2 * float64(size-1)
	}
	if p != p {
		p = -2
	}
	return min(max(p, -1<<40), 1<<40)
}

// bring applies the padding to a position outside.
func (k *gridSample) bring(p float64, size int) float64 {
	lo, hi := -0.5, float64(size)-0.5
	if k.corners {
		lo, hi = 0, float64(size-1)
	}
	switch {
	case p >= lo && p <= hi || k.padding == "zeros":
		return p
	case k.padding == "border":
		return min(max(p, 0), float64(size-1))
	}
	return reflected(p, lo, hi)
}

// reflected mirrors a position at the borders as often as it takes.
func reflected(p, lo, hi float64) float64 {
	span := hi - lo
	if span <= 0 {
		return lo
	}
	d := math.Mod(math.Abs(p-lo), 2*span)
	if d > span {
		d = 2*span - d
	}
	return lo + d
}

// pixel gives the index for a whole position, -1 where it is zero.
func (k *gridSample) pixel(p float64, size int) int {
	if p >= 0 && p < float64(size) {
		return int(p)
	}
	if k.padding == "zeros" {
		return -1
	}
	return int(min(max(k.bring(p, size), 0), float64(size-1)))
}

// pick copies the nearest elements, bit by bit.
func (k *gridSample) pick(c *Ctx, out, x *onnx.Tensor, grid []float64) error {
	s := x.Shape()
	rank := len(s) - 2
	plane, places := x.Len()/(s[0]*s[1]), out.Len()/(s[0]*s[1])
	width := x.DataType().Size()
	words := x.DataType() == onnx.String
	for b := range s[0] {
		if err := c.Err(); err != nil {
			return err
		}
		for i := range places {
			at := 0
			for d, size := range s[2:] {
				v := grid[(b*places+i)*rank+rank-1-d]
				p := k.pixel(k.bring(math.RoundToEven(k.position(v, size)), size), size)
				if at < 0 || p < 0 {
					at = -1
					continue
				}
				at = at*size + p
			}
			for ch := range s[1] {
				to, from := (b*s[1]+ch)*places+i, (b*s[1]+ch)*plane+at
				switch {
				case words && at < 0:
					out.Strings()[to] = ""
				case words:
					out.Strings()[to] = x.Strings()[from]
				case at < 0:
					clear(out.Bytes()[to*width:][:width])
				default:
					copy(out.Bytes()[to*width:][:width], x.Bytes()[from*width:])
				}
			}
		}
	}
	return nil
}

// weights gives the first of the elements around a position and the weights of
// these.
func (k *gridSample) weights(p float64, dst []float64) (first float64) {
	base := math.Floor(p)
	f := p - base
	if k.mode == "linear" {
		dst[0], dst[1] = 1-f, f
		return base
	}
	const a = -0.75
	near := func(x float64) float64 { return ((a+2)*x-(a+3))*x*x + 1 }
	far := func(x float64) float64 { return ((a*x-5*a)*x+8*a)*x - 4*a }
	dst[0], dst[1], dst[2], dst[3] = far(f+1), near(f), near(1-f), far(2-f)
	return base - 1
}

// interpolate weighs 2 or 4 elements along each axis.
func (k *gridSample) interpolate(c *Ctx, out, x *onnx.Tensor, grid []float64) error {
	s := x.Shape()
	rank, io := len(s)-2, realIO[x.DataType()]
	taps := 2
	if k.mode == "cubic" {
		taps = 4
	}
	if rank > 8 {
		return onnx.Errorf(onnx.ErrUnsupported, "interpolation in %d spatial dimensions, want at most 8", rank)
	}
	src, err := Scratch[float64](c, io.parts*x.Len())
	if err != nil {
		return err
	}
	dst, err := Scratch[float64](c, io.parts*out.Len())
	if err != nil {
		return err
	}
	io.load(src, x)
	plane, places := x.Len()/(s[0]*s[1]), out.Len()/(s[0]*s[1])
	around := 1
	for range rank {
		around *= taps
	}
	weight, index := make([]float64, rank*taps), make([]int, rank*taps)
	at, w, pos, dims := make([]int, around), make([]float64, around), make([]int, rank), make([]int, rank)
	for d := range dims {
		dims[d] = taps
	}
	for b := range s[0] {
		for i := range places {
			if i%256 == 0 {
				if err := c.Err(); err != nil {
					return err
				}
			}
			for d, size := range s[2:] {
				p := k.bring(k.position(grid[(b*places+i)*rank+rank-1-d], size), size)
				first := k.weights(p, weight[d*taps:])
				for q := range taps {
					index[d*taps+q] = k.pixel(first+float64(q), size)
				}
			}
			for j := range around {
				split(pos, dims, j)
				at[j], w[j] = 0, 1
				for d, q := range pos {
					p := index[d*taps+q]
					if at[j] < 0 || p < 0 {
						at[j] = -1
						continue
					}
					at[j] = at[j]*s[2+d] + p
					w[j] *= weight[d*taps+q]
				}
			}
			for ch := range s[1] {
				for part := range io.parts {
					v := 0.0
					for j, p := range at {
						if p >= 0 {
							v += w[j] * src[((b*s[1]+ch)*plane+p)*io.parts+part]
						}
					}
					dst[((b*s[1]+ch)*places+i)*io.parts+part] = v
				}
			}
		}
	}
	io.store(out, dst)
	return nil
}

// AffineGrid: theta is [batch, rank, rank+1], size is [batch, channels,
// spatial...]; the output is [batch, spatial..., rank]: theta times (x, y, 1) or
// (x, y, z, 1) of each place, in -1..1, the last dimension's first.

func inferAffineGrid(n *Node) error {
	theta := n.Shape(0)
	if theta != nil && (len(theta) != 3 || theta[1].Known() && theta[1].Value != 2 && theta[1].Value != 3) {
		return onnx.Errorf(onnx.ErrShape, "theta is %v, want [batch 2 3] or [batch 3 4]", theta)
	}
	c := n.Content(1)
	if c == nil || len(c.Elems) != 4 && len(c.Elems) != 5 {
		n.SetTensor(0, n.Elem(0), nil)
		return nil
	}
	out := onnx.Shape{c.Elems[0].Dim()}
	for _, e := range c.Elems[2:] {
		out = append(out, e.Dim())
	}
	n.SetTensor(0, n.Elem(0), append(out, onnx.Fixed(len(c.Elems)-2)))
	return nil
}

func buildAffineGrid(n *Node) (Kernel, error) {
	corners := n.Bool("align_corners", false)
	if n.Elem(0) == onnx.Double {
		return affineGrid[float64]{corners}, nil
	}
	return affineGrid[float32]{corners}, nil
}

type affineGrid[T floating] struct{ corners bool }

func (k affineGrid[T]) Run(c *Ctx, in, _ []onnx.Value) error {
	tt, size := in[0].(*onnx.Tensor), onnx.Elements[int64](in[1].(*onnx.Tensor))
	rank := len(size) - 2
	if s := tt.Shape(); rank != 2 && rank != 3 || len(s) != 3 || int64(s[0]) != size[0] || s[1] != rank || s[2] != rank+1 {
		return onnx.Errorf(onnx.ErrShape, "theta is %v, size is %v, want [batch 2 3] and four sizes, or [batch 3 4] and five", tt, size)
	}
	shape := []int{tt.Shape()[0]}
	for _, v := range size[2:] {
		if v < 0 || int64(int(v)) != v {
			return onnx.Errorf(onnx.ErrShape, "size is %v, want none below 0", size)
		}
		shape = append(shape, int(v))
	}
	theta, err := readReal[T](c, tt)
	if err != nil {
		return err
	}
	out, y, err := newReal[T](c, 0, tt.DataType(), append(shape, rank))
	if err != nil || len(y) == 0 {
		return err
	}
	places := len(y) / rank / shape[0]
	var pos [3]int
	var at [3]float64
	for i := range len(y) / rank {
		if i&0xffff == 0 {
			if err := c.Err(); err != nil {
				return err
			}
		}
		split(pos[:rank], shape[1:], i%places)
		for d, p := range pos[:rank] {
			at[rank-1-d] = k.coordinate(p, shape[1+d])
		}
		m := theta[i/places*rank*(rank+1):]
		for r := range rank {
			v := float64(m[r*(rank+1)+rank])
			for q, x := range at[:rank] {
				v += float64(m[r*(rank+1)+q]) * x
			}
			y[i*rank+r] = T(v)
		}
	}
	return storeReal(c, out, y)
}

// coordinate is that of element p of a dimension; the middle where there is one
// element.
func (k affineGrid[T]) coordinate(p, size int) float64 {
	if !k.corners {
		return float64(2*p+1)/float64(size) - 1
	}
	if size == 1 {
		return 0
	}
	return 2*float64(p)/float64(size-1) - 1
}
