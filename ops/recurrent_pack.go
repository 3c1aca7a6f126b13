package ops

import (
	"fmt"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

// gateForm says which sums an operator forms for a unit, and by which products.
// The sums of a panel of units lie side by side, lanes of the first, lanes of
// the second, and so on, and each product adds to a window of neighbours. That
// is why GRU puts the candidate's two sums at the ends: x adds to the first
// three, h to the last three.
type gateForm struct {
	lanes    int // units of a panel, a multiple of 8; less where H is less
	sums     []gateSum
	products []gateProduct // product 0 is that of X
}

// gateSum names the gates whose halves of B a sum starts from, -1 for none.
type gateSum struct{ w, r int }

// gateProduct multiplies an operand with rows of W (for X) or R (for a state) and
// adds to as many sums from number at on.
type gateProduct struct {
	of    gateOperand
	gates []int
	at    int
}

type gateOperand int

const (
	ofX     gateOperand = iota // X at the step's time
	ofH                        // the state before the step
	ofReset                    // what phase 0 made of it, GRU's r⊙h
)

// depth is the length of a product's operand.
func (p *gateProduct) depth(size *recurrentSizes) int {
	if p.of == ofX {
		return size[dimI]
	}
	return size[dimH]
}

// gateWeights are W, R, B and P in the order in which a step reads them, as T.
//
// A panel is a product's weights of lanes units: for each element k of its
// operand, for each of its gates, the units' weights, cut into the strips that
// kernel.MulAdd wants. Units past H have zeros; where half the lanes do for the
// units of the last panel, it has no more. Of half weights those that
// multiply a state are in halves in the same way, and not in panel.
type gateWeights[T singleOrDouble] struct {
	level     kernel.Level
	lanes     int
	last      int    // lanes of the last panel
	span      int    // sums of a panel: lanes of each sum of the form
	panels    int    // of a direction
	row       int    // from one row of sums, those of all panels, to the next
	units     int    // of a row of a state: H, or at a level of vectors those of all panels
	stride    [2]int // elements of a direction in panel and in halves
	at        [3]int // where in a direction each product's panels begin
	size      [3]int // of a panel of each product, but for the last
	panel     []T    // for each direction, for each product, [panels, depth, width]
	rounded   bool   // the weights that multiply a state are rounded to float16
	half      bool   // and are in halves
	halves    []uint16
	bias      []T // [D, panels, span]: what the sums start from
	peepholes []T // [D, 3, units] as in P, nil when absent
}

// lay fixes the layout for sizes; the slices are not made.
func (w *gateWeights[T]) lay(f *gateForm, size *recurrentSizes, level kernel.Level) {
	if w.level = kernel.Go; onnx.TypeOf[T]() == onnx.Float {
		w.level = level
	}
	w.lanes = w.fit(f, size[dimH])
	w.span = len(f.sums) * w.lanes
	w.panels = (size[dimH] + w.lanes - 1) / w.lanes
	if w.row = w.panels * w.span; w.level != kernel.Go {
		w.row = apart(w.row)
	}
	w.last = w.fitLast(f, size[dimH]-(w.panels-1)*w.lanes)
	lanes := (w.panels-1)*w.lanes + w.last
	if w.units = size[dimH]; w.level != kernel.Go {
		w.units = lanes
	}
	w.half = w.rounded && w.level.HasHalf()
	w.stride = [2]int{}
	for i, p := range f.products {
		in := w.kept(&p)
		w.at[i], w.size[i] = w.stride[in], p.depth(size)*len(p.gates)*w.lanes
		w.stride[in] += p.depth(size) * len(p.gates) * lanes
	}
}

// kept is where a product's weights are: 0 in panel, 1 in halves.
func (w *gateWeights[T]) kept(p *gateProduct) int {
	if w.half && p.of != ofX {
		return 1
	}
	return 0
}

// work is the number of weights of a direction.
func (w *gateWeights[T]) work() int { return w.stride[0] + w.stride[1] }

// fit chooses the lanes: of vectors as many as fill strips.
func (w *gateWeights[T]) fit(f *gateForm, hidden int) int {
	if w.level == kernel.Go {
		return min(f.lanes, hidden)
	}
	lanes := w.level.Lanes()
	for _, p := range f.products {
		for len(p.gates)*lanes%16 != 0 {
			lanes *= 2
		}
	}
	if w.level == kernel.AVX2 && lanes < 16 && (hidden+lanes-1)/lanes%2 == 0 {
		lanes = 16 // half the panels, and no more units
	}
	if len(f.sums) == 1 && hidden > lanes {
		lanes = 2 * w.level.Lanes() // one vector a row keeps the unit waiting for weights
	}
	return lanes
}

// fitLast chooses the lanes of the last panel, which has some units.
func (w *gateWeights[T]) fitLast(f *gateForm, units int) int {
	half := w.lanes / 2
	if w.level == kernel.Go || half < units || half%8 != 0 {
		return w.lanes
	}
	for _, p := range f.products {
		if len(p.gates)*half%16 != 0 {
			return w.lanes
		}
	}
	return half
}

// lanesOf is the lanes of panel p.
func (w *gateWeights[T]) lanesOf(p int) int {
	if p == w.panels-1 {
		return w.last
	}
	return w.lanes
}

// full is the number of panels with all lanes, the first ones.
func (w *gateWeights[T]) full() int {
	if w.last < w.lanes {
		return w.panels - 1
	}
	return w.panels
}

// of gives the weights of product k for panel p of direction d and those after it.
func (w *gateWeights[T]) of(d, k, p int) []T {
	return w.panel[d*w.stride[0]+w.at[k]+p*w.size[k]:]
}

// halfOf is of for a product whose weights are in halves.
func (w *gateWeights[T]) halfOf(d, k, p int) []uint16 {
	return w.halves[d*w.stride[1]+w.at[k]+p*w.size[k]:]
}

// gatePacking is the source of weights.
type gatePacking[T singleOrDouble] struct {
	form       *gateForm
	size       *recurrentSizes
	gates      int
	codec      floatCodec[T]
	w, r, b, p *onnx.Tensor // b and p may be nil
	line       []T          // room for a row of W, R or B
	shared     bool         // a test wants the second direction to be the first
}

// pack fills panel number p of direction d, and its bias.
func (s *gatePacking[T]) pack(dst *gateWeights[T], d, p int) {
	from := d
	if s.shared {
		from = 0
	}
	lanes, hidden, first := dst.lanesOf(p), s.size[dimH], p*dst.lanes
	units := min(lanes, hidden-first)
	for i, product := range s.form.products {
		m := s.r
		if product.of == ofX {
			m = s.w
		}
		depth, width := product.depth(s.size), len(product.gates)*lanes
		line, strip := s.line[:depth], dst.level.Strip(width)
		var part []T
		var half []uint16
		if dst.kept(&product) == 1 {
			half = dst.halfOf(d, i, p)[:depth*width]
		} else {
			part = dst.of(d, i, p)[:depth*width]
		}
		clear(part)
		for g, gate := range product.gates {
			for u := range units {
				s.codec.load(line, m, ((from*s.gates+gate)*hidden+first+u)*depth)
				at := g*lanes + u
				at = at/strip*strip*depth + at%strip
				switch {
				case half != nil:
					for k, v := range line {
						half[at+k*strip] = uint16(onnx.ToF16(float32(v)))
					}
					continue
				case dst.rounded && product.of != ofX:
					for k, v := range line {
						line[k] = T(onnx.ToF16(float32(v)).Float32())
					}
				}
				for k, v := range line {
					part[at+k*strip] = v
				}
			}
		}
	}
	bias := dst.bias[(d*dst.panels+p)*dst.span:][:dst.span]
	clear(bias)
	if s.b == nil {
		return
	}
	half := s.line[:units]
	for j, sum := range s.form.sums {
		for k, gate := range [...]int{sum.w, sum.r} {
			if gate < 0 {
				continue
			}
			s.codec.load(half, s.b, ((from*2+k)*s.gates+gate)*hidden+first)
			for u, v := range half {
				bias[j*lanes+u] += v
			}
		}
	}
}

// halfMost is the greatest number of float16.
const halfMost = 65504

// fitHalf reports whether float16 has a number near each weight of R.
func (s *gatePacking[T]) fitHalf() bool {
	if onnx.TypeOf[T]() != onnx.Float {
		return false
	}
	line := s.line[:s.size[dimH]]
	for i := range s.size[dimD] * s.gates * s.size[dimH] {
		s.codec.load(line, s.r, i*len(line))
		for _, v := range line {
			if !(v >= -halfMost && v <= halfMost) {
				return false
			}
		}
	}
	return true
}

// packPeepholes copies P.
func (s *gatePacking[T]) packPeepholes(dst *gateWeights[T]) {
	hidden := s.size[dimH]
	clear(dst.peepholes)
	for i := range 3 * s.size[dimD] {
		s.codec.load(dst.peepholes[i*dst.units:][:hidden], s.p, i*hidden)
	}
	if s.shared {
		n := len(dst.peepholes) / s.size[dimD]
		copy(dst.peepholes[n:], dst.peepholes[:n])
	}
}

// packing prepares the packing of a node's inputs; line is still to be made,
// of max(I, H) elements.
func (k *recurrentCore[T]) packing(in *[recurrentInputs]*onnx.Tensor, size *recurrentSizes) gatePacking[T] {
	return gatePacking[T]{form: &k.form, size: size, gates: k.gates, codec: k.codecFor(in[inW].DataType()),
		w: in[inW], r: in[inR], b: in[inB], p: in[inP], shared: k.shared}
}

// packConstants has the weights packed, once in the process for all nodes that
// have the same ones, when all of them are constants; else each run does it.
func (k *recurrentCore[T]) packConstants(n *Node) error {
	var shapes [recurrentInputs][]int
	var in [recurrentInputs]*onnx.Tensor
	var of []*onnx.Tensor
	for _, i := range [...]int{inW, inR, inB, inP} {
		if !k.has[i] {
			continue
		}
		t := n.Const(i)
		if t == nil || t.External() != nil {
			return nil
		}
		in[i], shapes[i] = t, t.Shape()
		of = append(of, t)
	}
	size, err := k.measure(&shapes)
	if err != nil {
		return err
	}
	k.elem, k.fixed = in[inW].DataType(), size
	k.packed = newPacked(n, k.layoutName(&size), func() *gateWeights[T] { return k.packWeights(&in, &size) }, of...)
	return nil
}

// layoutName names all that packWeights depends on beside level and content.
func (k *recurrentCore[T]) layoutName(size *recurrentSizes) string {
	return fmt.Sprintf("recurrent %v %+v gates %d sizes %v B %v P %v shared %v half %v",
		onnx.TypeOf[T](), k.form, k.gates, *size, k.has[inB], k.has[inP], k.shared, k.half)
}

// packWeights packs in memory of its own.
func (k *recurrentCore[T]) packWeights(in *[recurrentInputs]*onnx.Tensor, size *recurrentSizes) *gateWeights[T] {
	src, w := k.packing(in, size), &gateWeights[T]{}
	src.line = make([]T, max(size[dimI], size[dimH]))
	w.rounded = k.half && src.fitHalf()
	w.lay(&k.form, size, k.level)
	w.panel = kernel.Weights[T](size[dimD] * w.stride[0])
	w.halves = kernel.Weights[uint16](size[dimD] * w.stride[1])
	w.bias = make([]T, size[dimD]*w.panels*w.span)
	for i := range size[dimD] * w.panels {
		src.pack(w, i/w.panels, i%w.panels)
	}
	if src.p != nil {
		w.peepholes = make([]T, size[dimD]*3*w.units)
		src.packPeepholes(w)
	}
	return w
}

// floatCodec reads and writes elements of a tensor of some type as T.
type floatCodec[T singleOrDouble] struct {
	load  func(dst []T, src *onnx.Tensor, at int)
	store func(dst *onnx.Tensor, at int, src []T)
}

// codecOf gives the codec of a 16-bit type, or of T itself.
func codecOf[T singleOrDouble](d onnx.DataType) floatCodec[T] {
	switch d {
	case onnx.Float16:
		return halfCodec[T](onnx.ToF16)
	case onnx.BFloat16:
		return halfCodec[T](onnx.ToBF16)
	}
	return floatCodec[T]{
		load: func(dst []T, src *onnx.Tensor, at int) {
			onnx.CopyElements(dst, src, at)
		},
		store: func(dst *onnx.Tensor, at int, src []T) {
			copy(onnx.Elements[T](dst)[at:], src)
		},
	}
}

func halfCodec[T singleOrDouble, E interface {
	onnx.F16 | onnx.BF16
	Float32() float32
}](round func(float32) E) floatCodec[T] {
	return floatCodec[T]{
		load: func(dst []T, src *onnx.Tensor, at int) {
			for i, v := range onnx.Elements[E](src)[at:][:len(dst)] {
				dst[i] = T(v.Float32())
			}
		},
		store: func(dst *onnx.Tensor, at int, src []T) {
			to := onnx.Elements[E](dst)[at:]
			for i, v := range src {
				to[i] = round(float32(v))
			}
		},
	}
}
