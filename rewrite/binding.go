package rewrite

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/recur-ml/recur/onnx"
)

// BindingKey is the metadata key under which an initializer that a pass put
// together from others keeps how: a Binding in JSON.
const BindingKey = "recur.binding"

// A Binding says of which parts of other initializers an initializer consists.
// What no block covers is zero.
type Binding struct {
	Blocks []Block `json:"blocks"`
}

// A Block is a part of an initializer that is a part of a source, negated or
// transposed where that is said, or a constant.
type Block struct {
	// To gives the block's range on each axis, the end excluded.
	To [][2]int `json:"to"`
	// Source names the initializer that the block comes from; "" for one that
	// no initializer of the original model holds.
	Source string   `json:"source,omitempty"`
	From   [][2]int `json:"from,omitempty"` // range on each axis of the source
	// Transposed says that the source's last two axes are exchanged. Axes of
	// size 1 may be added and left out beside.
	Transposed bool `json:"transposed,omitempty"`
	Negated    bool `json:"negated,omitempty"`
}

// BindingOf reads the binding of an initializer, nil when it has none.
func BindingOf(i *onnx.Initializer) (*Binding, error) {
	for _, p := range i.Metadata {
		if p.Key != BindingKey {
			continue
		}
		b := &Binding{}
		if err := json.Unmarshal([]byte(p.Value), b); err != nil {
			return nil, onnx.Errorf(onnx.ErrMalformed, "initializer %q: metadata %s: %v", i.Name, BindingKey, err)
		}
		return b, nil
	}
	return nil, nil
}

// Restore writes the elements that came from source back into it: into a
// tensor of the source's type and shape.
func (b *Binding) Restore(from *onnx.Tensor, source string, into *onnx.Tensor) error {
	for _, k := range b.Blocks {
		if k.Source != source {
			continue
		}
		if !fits(k.To, from.Shape()) || !fits(k.From, into.Shape()) || volume(k.To) != volume(k.From) || from.DataType() != into.DataType() {
			return onnx.Errorf(onnx.ErrShape, "binding: block %v of %v does not fit %v of %v", k.To, from, k.From, into)
		}
		part := &view{tensor: from, ranges: k.To, axes: allAxes(len(k.To)), negated: k.Negated}
		if k.Transposed {
			part = part.swapLast()
		}
		part.copyTo(into, k.From)
	}
	return nil
}

func fits(ranges [][2]int, shape []int) bool {
	if len(ranges) != len(shape) {
		return false
	}
	for i, r := range ranges {
		if r[0] < 0 || r[0] > r[1] || r[1] > shape[i] {
			return false
		}
	}
	return true
}

func volume(ranges [][2]int) int {
	n := 1
	for _, r := range ranges {
		n *= r[1] - r[0]
	}
	return n
}

func allAxes(n int) []int {
	axes := make([]int, n)
	for i := range axes {
		axes[i] = i
	}
	return axes
}

// view is a part of a constant, with its axes exchanged, left out or added.
type view struct {
	source  string // the initializer's name; "" for a constant of a pass's own
	tensor  *onnx.Tensor
	ranges  [][2]int // on each axis of the tensor
	axes    []int    // the view's axes: axes of the tensor, -1 for one of size 1
	negated bool
	inner   bool // the source is an initializer of a nested graph
}

func viewOf(source string, t *onnx.Tensor) *view {
	v := &view{source: source, tensor: t, axes: allAxes(t.Rank())}
	for _, n := range t.Shape() {
		v.ranges = append(v.ranges, [2]int{0, n})
	}
	return v
}

// innerView is viewOf for an initializer of a nested graph.
func innerView(source string, t *onnx.Tensor) *view {
	v := viewOf(source, t)
	v.inner = true
	return v
}

func (v *view) rank() int { return len(v.axes) }

func (v *view) size(axis int) int {
	if a := v.axes[axis]; a >= 0 {
		return v.ranges[a][1] - v.ranges[a][0]
	}
	return 1
}

func (v *view) len() int { return volume(v.ranges) }

// last is the size of the last axis, 1 for a scalar.
func (v *view) last() int {
	if len(v.axes) == 0 {
		return 1
	}
	return v.size(len(v.axes) - 1)
}

func (v *view) clone() *view {
	c := *v
	c.ranges = slices.Clone(v.ranges)
	c.axes = slices.Clone(v.axes)
	return &c
}

// slice takes a range of an axis.
func (v *view) slice(axis, lo, hi int) *view {
	c := v.clone()
	if a := c.axes[axis]; a >= 0 {
		c.ranges[a] = [2]int{c.ranges[a][0] + lo, c.ranges[a][0] + hi}
	}
	return c
}

// squeeze leaves out an axis of size 1.
func (v *view) squeeze(axis int) *view {
	c := v.clone()
	c.axes = slices.Delete(c.axes, axis, axis+1)
	return c
}

func (v *view) unsqueeze(axis int) *view {
	c := v.clone()
	c.axes = slices.Insert(c.axes, axis, -1)
	return c
}

func (v *view) permute(perm []int64) *view {
	c := v.clone()
	for i, p := range perm {
		c.axes[i] = v.axes[p]
	}
	return c
}

// swapLast exchanges the last two axes.
func (v *view) swapLast() *view {
	c := v.clone()
	n := len(c.axes)
	c.axes[n-1], c.axes[n-2] = c.axes[n-2], c.axes[n-1]
	return c
}

func (v *view) negate() *view {
	c := v.clone()
	c.negated = !c.negated
	return c
}

// key tells views of different elements apart.
func (v *view) key() string {
	return fmt.Sprintf("%p %v %v %v", v.tensor, v.ranges, v.axes, v.negated)
}

// offsets gives where the view's elements lie in its tensor, in the view's
// order.
func (v *view) offsets() []int {
	if slices.ContainsFunc(v.ranges, func(r [2]int) bool { return r[0] >= r[1] }) {
		return nil // the other axes may be as long as they like
	}
	strides := make([]int, v.tensor.Rank())
	step := 1
	for i := len(strides) - 1; i >= 0; i-- {
		strides[i] = step
		step *= v.tensor.Shape()[i]
	}
	base := 0
	for i, r := range v.ranges {
		base += r[0] * strides[i]
	}
	out := []int{base}
	for _, a := range v.axes {
		if a < 0 {
			continue
		}
		n := v.ranges[a][1] - v.ranges[a][0]
		next := make([]int, 0, len(out)*n)
		for _, o := range out {
			for i := range n {
				next = append(next, o+i*strides[a])
			}
		}
		out = next
	}
	return out
}

// floats gives the elements of a view of a floating-point tensor.
func (v *view) floats() []float64 {
	offs := v.offsets()
	out := make([]float64, len(offs))
	for i, o := range offs {
		if out[i] = v.float(o); v.negated {
			out[i] = -out[i]
		}
	}
	return out
}

// float gives the element at a place of the tensor.
func (v *view) float(at int) float64 {
	switch v.tensor.DataType() {
	case onnx.Float:
		return float64(onnx.Elements[float32](v.tensor)[at])
	case onnx.Double:
		return onnx.Elements[float64](v.tensor)[at]
	case onnx.Float16:
		return float64(onnx.Elements[onnx.F16](v.tensor)[at].Float32())
	case onnx.BFloat16:
		return float64(onnx.Elements[onnx.BF16](v.tensor)[at].Float32())
	}
	return 0
}

// scalar gives the element of a view of one element.
func (v *view) scalar() (float64, bool) {
	if v.len() != 1 {
		return 0, false
	}
	return v.floats()[0], true
}

// zero reports whether all elements are 0.
func (v *view) zero() bool {
	one := v.clone() // most weights begin with something, and may be large
	for i, r := range one.ranges {
		one.ranges[i][1] = min(r[0]+1, r[1])
	}
	if offs := one.offsets(); len(offs) > 0 && v.float(offs[0]) != 0 {
		return false
	}
	for _, o := range v.offsets() {
		if v.float(o) != 0 {
			return false
		}
	}
	return true
}

// copyTo writes the view's elements, in its order, into a part of a tensor
// of the same element type.
func (v *view) copyTo(t *onnx.Tensor, to [][2]int) {
	dst := (&view{tensor: t, ranges: to, axes: allAxes(len(to))}).offsets()
	src := v.offsets()
	size := t.DataType().Size()
	from, into := v.tensor.ElementBytes(), t.Bytes()
	for i := range dst {
		copy(into[dst[i]*size:][:size], from[src[i]*size:][:size])
	}
	if v.negated {
		for _, o := range dst {
			flipSign(t, o)
		}
	}
}

// flipSign negates an element of a floating-point tensor, whatever it is.
func flipSign(t *onnx.Tensor, i int) {
	switch t.DataType().Size() {
	case 2:
		onnx.Elements[uint16](t)[i] ^= 1 << 15
	case 4:
		onnx.Elements[uint32](t)[i] ^= 1 << 31
	case 8:
		onnx.Elements[uint64](t)[i] ^= 1 << 63
	}
}

// assembly is an initializer in the making.
type assembly struct {
	tensor  *onnx.Tensor
	binding Binding
}

func assemble(elem onnx.DataType, shape ...int) (*assembly, error) {
	t, err := onnx.NewZeros(elem, shape)
	return &assembly{tensor: t}, err
}

// put writes a view of at most two axes; transposed, where it has two and
// that is asked for.
func (a *assembly) put(v *view, transposed bool, to ...[2]int) {
	if transposed {
		v = v.swapLast()
	}
	v.copyTo(a.tensor, to)
	b := Block{To: to, Source: v.source, Negated: v.negated}
	if v.source != "" {
		b.From = v.ranges
		last := -1
		for _, x := range v.axes {
			b.Transposed = b.Transposed || x >= 0 && x < last
			last = max(last, x)
		}
	}
	a.binding.Blocks = append(a.binding.Blocks, b)
}

// initializer gives the finished initializer.
func (a *assembly) initializer(name string) *onnx.Initializer {
	i := &onnx.Initializer{Name: name, Tensor: a.tensor}
	if text, err := json.Marshal(a.binding); err == nil {
		i.Metadata = []onnx.Property{{Key: BindingKey, Value: string(text)}}
	}
	return i
}
