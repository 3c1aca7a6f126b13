package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

func init() {
	register(Op{Name: "NonMaxSuppression", Since: []int{10, 11}, Infer: inferNMS, Build: buildNMS})
}

// nmsKernel chooses boxes, the one with the highest score first, that do not
// overlap one chosen before by more than a threshold: for each batch and class
// by itself. Of equal scores the lower index comes first.
type nmsKernel struct{ center bool }

func inferNMS(n *Node) error {
	if s := n.Shape(0); s.Ranked() && (len(s) != 3 || s[2].Known() && s[2].Value != 4) {
		return onnx.Errorf(onnx.ErrShape, "boxes are of shape %v, want [batch boxes 4]", s)
	}
	if s := n.Shape(1); s.Ranked() && len(s) != 3 {
		return onnx.Errorf(onnx.ErrShape, "scores are of shape %v, want [batch classes boxes]", s)
	}
	n.SetTensor(0, onnx.Int64, onnx.Shape{onnx.UnknownDim, onnx.Fixed(3)})
	return nil
}

func buildNMS(n *Node) (Kernel, error) {
	k := &nmsKernel{}
	switch p := n.Int("center_point_box", 0); p {
	case 0, 1:
		k.center = p == 1
	default:
		return nil, onnx.Errorf(onnx.ErrMalformed, "center_point_box is %d, want 0 or 1", p)
	}
	for i := 2; i <= 4; i++ {
		n.Has(i)
	}
	return k, nil
}

func (k *nmsKernel) Run(c *Ctx, in, out []onnx.Value) error {
	boxes, scores := in[0].(*onnx.Tensor), in[1].(*onnx.Tensor)
	b, s := boxes.Shape(), scores.Shape()
	if len(b) != 3 || b[2] != 4 || len(s) != 3 || s[0] != b[0] || s[2] != b[1] {
		return onnx.Errorf(onnx.ErrShape, "boxes %v and scores %v, want [batch boxes 4] and [batch classes boxes]", boxes, scores)
	}
	limit, err := optionalScalar[int64](in, 2, "max_output_boxes_per_class", 0)
	if err != nil {
		return err
	}
	overlap, err := optionalScalar[float32](in, 3, "iou_threshold", 0)
	if err != nil {
		return err
	}
	least, err := optionalScalar(in, 4, "score_threshold", float32(math.Inf(-1)))
	if err != nil {
		return err
	}
	classes, n := s[1], s[2]
	if scores.Len() == 0 {
		_, err := c.New(0, onnx.Int64, []int{0, 3})
		return err
	}
	most := int(max(0, min(limit, int64(n))))
	chosen, err := Scratch[int64](c, b[0]*classes*most)
	if err != nil {
		return err
	}
	counts, err := Scratch[int64](c, b[0]*classes)
	if err != nil {
		return err
	}
	f := nmsFrame{p: &pace{c: c}, center: k.center, overlap: overlap, least: least}
	f.candidates, err = Scratch[int64](c, n)
	if err != nil {
		return err
	}
	f.order, err = Scratch[int64](c, n)
	if err != nil {
		return err
	}
	f.kept, err = Scratch[float32](c, n)
	if err != nil {
		return err
	}
	total := 0
	all, score := onnx.Elements[float32](boxes), onnx.Elements[float32](scores)
	for i := range counts {
		batch := i / classes
		f.boxes = all[batch*n*4:][:n*4]
		count, ok := f.choose(chosen[i*most:][:most], score[i*n:][:n])
		if !ok {
			return c.Err()
		}
		counts[i] = int64(count)
		total += count
	}
	y, err := c.New(0, onnx.Int64, []int{total, 3})
	if err != nil {
		return err
	}
	d := onnx.Elements[int64](y)
	for i, count := range counts {
		for _, box := range chosen[i*most:][:count] {
			d[0], d[1], d[2] = int64(i/classes), int64(i%classes), box
			d = d[3:]
		}
	}
	return nil
}

// nmsFrame is what the choice among the boxes of one class needs.
type nmsFrame struct {
	p                 *pace
	center            bool
	overlap, least    float32
	boxes             []float32 // [n, 4]
	candidates, order []int64
	kept              []float32 // scores of the candidates
}

// choose writes the chosen boxes and gives their number; false when the run
// was cancelled.
func (f *nmsFrame) choose(chosen []int64, scores []float32) (int, bool) {
	n := 0
	for i, s := range scores {
		if s > f.least || s == f.least && math.IsInf(float64(s), -1) {
			f.candidates[n], f.kept[n] = int64(i), s
			n++
		}
	}
	if len(chosen) == 0 {
		return 0, true
	}
	order := f.order[:n]
	if !kernel.TopK(order, f.kept[:n], true, f.p) {
		return 0, false
	}
	count := 0
	for _, o := range order {
		box := f.candidates[o]
		free := true
		for _, other := range chosen[:count] {
			if free = !f.overlaps(int(box), int(other)); !free {
				break
			}
		}
		if f.p.Stop(8 * count) {
			return 0, false
		}
		if !free {
			continue
		}
		chosen[count] = box
		if count++; count == len(chosen) {
			break
		}
	}
	return count, true
}

// overlaps reports whether the intersection of two boxes, divided by their
// union, is above the threshold.
func (f *nmsFrame) overlaps(i, j int) bool {
	a, b := f.corners(i), f.corners(j)
	w := min(a[2], b[2]) - max(a[0], b[0])
	h := min(a[3], b[3]) - max(a[1], b[1])
	if !(w > 0 && h > 0) {
		return false
	}
	inter := w * h
	union := (a[2]-a[0])*(a[3]-a[1]) + (b[2]-b[0])*(b[3]-b[1]) - inter
	return union > 0 && inter/union > f.overlap
}

// corners gives the lower and the upper corner of a box, whichever two
// opposite ones, or centre and size, the input has.
func (f *nmsFrame) corners(i int) [4]float32 {
	v := f.boxes[4*i:][:4]
	if f.center {
		w, h := v[2]/2, v[3]/2
		return [4]float32{v[0] - w, v[1] - h, v[0] + w, v[1] + h}
	}
	return [4]float32{min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3])}
}
