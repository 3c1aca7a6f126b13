package ops

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"sort"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "RandomNormal", Since: []int{1, 22}, Random: true, Infer: inferRandom, Build: buildRandomNormal},
		Op{Name: "RandomNormalLike", Since: []int{1, 22}, Random: true, Infer: inferRandom, Build: buildRandomNormal},
		Op{Name: "RandomUniform", Since: []int{1, 22}, Random: true, Infer: inferRandom, Build: buildRandomUniform},
		Op{Name: "RandomUniformLike", Since: []int{1, 22}, Random: true, Infer: inferRandom, Build: buildRandomUniform},
		Op{Name: "Bernoulli", Since: []int{15, 22}, Random: true, Infer: inferBernoulli, Build: buildBernoulli},
		Op{Name: "Multinomial", Since: []int{7, 22}, Random: true, Infer: inferMultinomial, Build: buildMultinomial},
	)
}

// generator gives the random numbers of a node. With the attribute seed they
// are determined by the seed, by the node's name and outputs, by the number of
// the run's step, and by how many times the run has computed the node before:
// a loop's iterations get different numbers, two runs of one step the same,
// whatever else a session computes. Without it they are different every time.
type generator struct {
	seeded bool
	seed   uint64
	key    uint64 // of the node
}

func newGenerator(n *Node) *generator {
	g := &generator{seeded: n.HasAttr("seed")}
	if a := n.Attr("seed"); a != nil && a.Type == onnx.AttrInt { // Dropout's
		g.seed = uint64(a.Int)
	} else {
		g.seed = uint64(math.Float32bits(n.Float("seed", 0)))
	}
	h := fnv.New64a()
	h.Write([]byte(n.Proto.Name))
	for _, o := range n.Proto.Outputs {
		h.Write([]byte{0})
		h.Write([]byte(o))
	}
	g.key = h.Sum64()
	return g
}

// source is a frame's source of random numbers, which is seeded anew at each
// run of the node.
type source struct {
	pcg  rand.PCG
	rand *rand.Rand
}

// next gives the numbers of one run of the node.
func (g *generator) next(c *Ctx) *rand.Rand {
	s := Local[source](c)
	if s.rand == nil {
		s.rand = rand.New(&s.pcg)
	}
	if !g.seeded {
		s.pcg.Seed(rand.Uint64(), rand.Uint64())
		return s.rand
	}
	step, n := c.eng.Draw()
	s.pcg.Seed(scatter(scatter(g.seed)^step), scatter(scatter(g.key)^n))
	return s.rand
}

// scatter maps neighbouring numbers to distant ones, one to one: the last step
// of SplitMix64.
func scatter(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// outputType reads the attribute dtype, def when it is not set.
func outputType(n *Node, def onnx.DataType) onnx.DataType {
	if !n.HasAttr("dtype") {
		return def
	}
	return typeAttr(n, "dtype")
}

// randomType gives the type of the numbers of a Random operator.
func randomType(n *Node) (onnx.DataType, error) {
	def := onnx.Float
	if n.NumInputs() > 0 {
		def = n.Elem(0)
	}
	d := outputType(n, def)
	switch d {
	case onnx.Float, onnx.Double, onnx.Float16:
		return d, nil
	case onnx.Undefined:
		if n.NumInputs() > 0 {
			return d, nil
		}
	case onnx.BFloat16:
		if n.Since >= 22 {
			return d, nil
		}
	}
	return d, onnx.Errorf(onnx.ErrType, "random numbers of type %v, want a floating-point type", d)
}

func inferRandom(n *Node) error {
	d, err := randomType(n)
	if err != nil {
		return err
	}
	if n.NumInputs() > 0 {
		n.SetTensor(0, d, n.Shape(0))
		return nil
	}
	shape, err := shapeAttr(n)
	if err != nil {
		return err
	}
	n.SetTensor(0, d, onnx.FixedShape(shape...))
	return nil
}

// shapeAttr reads the attribute shape.
func shapeAttr(n *Node) ([]int, error) {
	shape := []int{}
	for _, d := range n.Ints("shape") {
		if d < 0 || int64(int(d)) != d {
			return nil, onnx.Errorf(onnx.ErrShape, "attribute \"shape\" has a size of %d", d)
		}
		shape = append(shape, int(d))
	}
	_, err := onnx.NumElements(shape)
	return shape, err
}

// randomKernel fills a tensor with numbers that draw gives.
type randomKernel struct {
	gen   *generator
	to    onnx.DataType // Undefined: that of the input
	shape []int         // where there is no input
	draw  func(r *rand.Rand) float64
}

func buildRandom(n *Node, draw func(r *rand.Rand) float64) (Kernel, error) {
	d, err := randomType(n)
	if err != nil {
		return nil, err
	}
	k := &randomKernel{gen: newGenerator(n), to: d, draw: draw}
	if n.NumInputs() == 0 {
		k.shape, err = shapeAttr(n)
	}
	return k, err
}

func buildRandomNormal(n *Node) (Kernel, error) {
	mean, scale := float64(n.Float("mean", 0)), float64(n.Float("scale", 1))
	return buildRandom(n, func(r *rand.Rand) float64 { return mean + scale*r.NormFloat64() })
}

func buildRandomUniform(n *Node) (Kernel, error) {
	low, high := float64(n.Float("low", 0)), float64(n.Float("high", 1))
	return buildRandom(n, func(r *rand.Rand) float64 { return low + (high-low)*r.Float64() })
}

func (k *randomKernel) Run(c *Ctx, in, out []onnx.Value) error {
	shape, to := k.shape, k.to
	if len(in) > 0 {
		t := in[0].(*onnx.Tensor)
		shape = t.Shape()
		if to == onnx.Undefined {
			to = t.DataType()
		}
	}
	y, err := c.New(0, to, shape)
	if err != nil {
		return err
	}
	r := k.gen.next(c)
	switch to {
	case onnx.Float:
		return drawInto(c, r, k.draw, onnx.Elements[float32](y))
	case onnx.Double:
		return drawInto(c, r, k.draw, onnx.Elements[float64](y))
	case onnx.Float16, onnx.BFloat16:
		wide, err := Scratch[float32](c, y.Len())
		if err != nil {
			return err
		}
		if err := drawInto(c, r, k.draw, wide); err != nil {
			return err
		}
		NarrowTo(y, wide)
		return nil
	}
	return onnx.Errorf(onnx.ErrType, "random numbers of type %v, want a floating-point type", to)
}

func drawInto[T float32 | float64](c *Ctx, r *rand.Rand, draw func(r *rand.Rand) float64, dst []T) error {
	p := pace{c: c}
	for i := range dst {
		dst[i] = T(draw(r))
		if p.Stop(8) {
			return c.Err()
		}
	}
	return nil
}

func inferBernoulli(n *Node) error {
	n.SetTensor(0, outputType(n, n.Elem(0)), n.Shape(0))
	return nil
}

// bernoulliKernel gives 1 with the probability that the input has, else 0.
type bernoulliKernel struct {
	gen *generator
	to  onnx.DataType // Undefined: that of the input
}

func buildBernoulli(n *Node) (Kernel, error) {
	k := &bernoulliKernel{gen: newGenerator(n), to: outputType(n, n.Elem(0))}
	if k.to != onnx.Undefined && bernoulliOne[k.to] == nil {
		return nil, onnx.Errorf(onnx.ErrType, "dtype %v, want a numeric type or bool", k.to)
	}
	return k, nil
}

// bernoulliOne has 1 in each type.
var bernoulliOne = map[onnx.DataType]*onnx.Tensor{
	onnx.Float:    onnx.Scalar(float32(1)),
	onnx.Double:   onnx.Scalar(float64(1)),
	onnx.Float16:  onnx.Scalar(onnx.ToF16(1)),
	onnx.BFloat16: onnx.Scalar(onnx.ToBF16(1)),
	onnx.Int8:     onnx.Scalar(int8(1)),
	onnx.Int16:    onnx.Scalar(int16(1)),
	onnx.Int32:    onnx.Scalar(int32(1)),
	onnx.Int64:    onnx.Scalar(int64(1)),
	onnx.Uint8:    onnx.Scalar(uint8(1)),
	onnx.Uint16:   onnx.Scalar(uint16(1)),
	onnx.Uint32:   onnx.Scalar(uint32(1)),
	onnx.Uint64:   onnx.Scalar(uint64(1)),
	onnx.Bool:     onnx.Scalar(true),
}

func (k *bernoulliKernel) Run(c *Ctx, in, out []onnx.Value) error {
	x, to := in[0].(*onnx.Tensor), k.to
	if to == onnx.Undefined {
		to = x.DataType()
	}
	y, err := c.New(0, to, x.Shape())
	if err != nil || y.Len() == 0 {
		return err
	}
	one := bernoulliOne[to].Bytes()
	data := y.Bytes()
	clear(data)
	r := k.gen.next(c)
	if x.DataType() == onnx.Double {
		return flip(c, r, data, one, onnx.Elements[float64](x))
	}
	p, err := float32Of(c, x)
	if err != nil {
		return err
	}
	return flip(c, r, data, one, p)
}

// flip writes one, of some bytes, with probability p[i] at place i of data.
func flip[T float32 | float64](c *Ctx, r *rand.Rand, data, one []byte, p []T) error {
	w := pace{c: c}
	for i, v := range p {
		if r.Float64() < float64(v) {
			copy(data[i*len(one):], one)
		}
		if w.Stop(8) {
			return c.Err()
		}
	}
	return nil
}

// multinomialKernel draws classes from rows of logarithms of probabilities,
// which need not add up to 1.
type multinomialKernel struct {
	gen     *generator
	to      onnx.DataType
	samples int
}

func inferMultinomial(n *Node) error {
	s := n.Shape(0)
	if s.Ranked() && len(s) != 2 {
		return onnx.Errorf(onnx.ErrShape, "the input is of shape %v, want [batch classes]", s)
	}
	samples, to, err := multinomialOptions(n)
	if err != nil {
		return err
	}
	batch := onnx.UnknownDim
	if s.Ranked() {
		batch = s[0]
	}
	n.SetTensor(0, to, onnx.Shape{batch, onnx.Fixed(samples)})
	return nil
}

func multinomialOptions(n *Node) (samples int, to onnx.DataType, err error) {
	size := n.Int("sample_size", 1)
	if size < 0 || int64(int(size)) != size {
		return 0, 0, onnx.Errorf(onnx.ErrShape, "sample_size is %d, want 0 or more", size)
	}
	if to = outputType(n, onnx.Int32); to != onnx.Int32 && to != onnx.Int64 {
		return 0, 0, onnx.Errorf(onnx.ErrType, "dtype is %v, want int32 or int64", to)
	}
	return int(size), to, nil
}

func buildMultinomial(n *Node) (Kernel, error) {
	samples, to, err := multinomialOptions(n)
	return &multinomialKernel{gen: newGenerator(n), to: to, samples: samples}, err
}

func (k *multinomialKernel) Run(c *Ctx, in, out []onnx.Value) error {
	x := in[0].(*onnx.Tensor)
	if x.Rank() != 2 {
		return onnx.Errorf(onnx.ErrShape, "the input is %v, want [batch classes]", x)
	}
	batch, classes := x.Shape()[0], x.Shape()[1]
	y, err := c.New(0, k.to, []int{batch, k.samples})
	if err != nil || y.Len() == 0 {
		return err
	}
	r := k.gen.next(c)
	var row func(dst []float64, i int) []float64
	if x.DataType() == onnx.Double {
		row = logRow(onnx.Elements[float64](x))
	} else {
		f, err := float32Of(c, x)
		if err != nil {
			return err
		}
		row = logRow(f)
	}
	sums, err := Scratch[float64](c, classes)
	if err != nil {
		return err
	}
	p := pace{c: c}
	for b := range batch {
		if row(sums, b); classes == 0 || !(sums[classes-1] > 0) || math.IsInf(sums[classes-1], 0) {
			return onnx.Errorf(onnx.ErrMalformed, "row %d of the input is no distribution: its probabilities add up to nothing finite above zero", b)
		}
		for i := range k.samples {
			u := r.Float64() * sums[classes-1]
			class := sort.Search(classes-1, func(j int) bool { return sums[j] > u })
			if k.to == onnx.Int32 {
				onnx.Elements[int32](y)[b*k.samples+i] = int32(class)
			} else {
				onnx.Elements[int64](y)[b*k.samples+i] = int64(class)
			}
			if p.Stop(32) {
				return c.Err()
			}
		}
		if p.Stop(8 * classes) {
			return c.Err()
		}
	}
	return nil
}

// logRow makes the running sums of e^(x-max) of a row of x.
func logRow[T float32 | float64](x []T) func(dst []float64, i int) []float64 {
	return func(dst []float64, i int) []float64 {
		row := x[i*len(dst):][:len(dst)]
		most := math.Inf(-1)
		for _, v := range row {
			most = max(most, float64(v))
		}
		sum := 0.0
		for j, v := range row {
			sum += math.Exp(float64(v) - most)
			dst[j] = sum
		}
		return dst
	}
}
