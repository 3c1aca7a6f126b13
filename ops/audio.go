package ops

import (
	"math"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "HannWindow", Since: []int{17}, Infer: inferWindow, Build: buildWindow(0.5, 0.5, 0)},
		Op{Name: "HammingWindow", Since: []int{17}, Infer: inferWindow, Build: buildWindow(25./46, 21./46, 0)},
		Op{Name: "BlackmanWindow", Since: []int{17}, Infer: inferWindow, Build: buildWindow(0.42, 0.5, 0.08)},
		Op{Name: "MelWeightMatrix", Since: []int{17}, Infer: inferMel, Build: buildMel},
	)
}

// audioType reads output_datatype.
func audioType(n *Node) (onnx.DataType, error) {
	d := onnx.DataType(n.Int("output_datatype", 1))
	if _, ok := realIO[d]; !ok || d == onnx.Complex64 || d == onnx.Complex128 {
		return d, onnx.Errorf(onnx.ErrType, "output_datatype is %v, want a type of numbers", d)
	}
	return d, nil
}

// Windows: a0 - a1*cos(2*pi*n/N) + a2*cos(4*pi*n/N) for n = 0..size-1, where N is
// size for a periodic window, else size-1. A symmetric one of one element is 1.

func inferWindow(n *Node) error {
	d, err := audioType(n)
	shape := onnx.UnknownShape(1)
	if c := n.Content(0); c != nil && len(c.Elems) == 1 {
		shape[0] = c.Elems[0].Dim()
	}
	n.SetTensor(0, d, shape)
	return err
}

func buildWindow(a0, a1, a2 float64) func(*Node) (Kernel, error) {
	return func(n *Node) (Kernel, error) {
		d, err := audioType(n)
		if err != nil {
			return nil, err
		}
		periodic := n.Bool("periodic", true)
		return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error {
			size, err := integerOf(in[0], "size")
			if err != nil {
				return err
			}
			if size < 0 || int64(int(size)) != size {
				return onnx.Errorf(onnx.ErrShape, "size is %d, want 0 or more", size)
			}
			t, err := c.New(0, d, []int{int(size)})
			if err != nil {
				return err
			}
			w, err := Scratch[float64](c, int(size))
			if err != nil {
				return err
			}
			span := float64(size)
			if !periodic {
				span--
			}
			for i := range w {
				x := 2 * math.Pi * float64(i) / span
				if w[i] = a0 - a1*math.Cos(x) + a2*math.Cos(2*x); span == 0 {
					w[i] = 1
				}
			}
			realIO[d].store(t, w)
			return nil
		}), nil
	}
}

// MelWeightMatrix: triangles of equal width on the mel scale,
//
//	mel(f) = 2595 * log10(1 + f/700)
//
// over the bins of a transform: output is [dft_length/2 + 1, num_mel_bins].

func inferMel(n *Node) error {
	d, err := audioType(n)
	shape := onnx.UnknownShape(2)
	if list, ok := n.ConstInts(1); ok && len(list) == 1 && list[0] >= 0 {
		shape[0] = Int(list[0]/2 + 1).Dim()
	}
	if c := n.Content(0); c != nil && len(c.Elems) == 1 {
		shape[1] = c.Elems[0].Dim()
	}
	n.SetTensor(0, d, shape)
	return err
}

func buildMel(n *Node) (Kernel, error) {
	d, err := audioType(n)
	return KernelFunc(func(c *Ctx, in, _ []onnx.Value) error { return runMel(c, in, d) }), err
}

func runMel(c *Ctx, in []onnx.Value, d onnx.DataType) error {
	var size [3]int64 // num_mel_bins, dft_length, sample_rate
	for i, name := range []string{"num_mel_bins", "dft_length", "sample_rate"} {
		var err error
		if size[i], err = integerOf(in[i], name); err != nil {
			return err
		}
		if size[i] < 0 || size[i] > maxWindow || i == 2 && size[i] == 0 {
			return onnx.Errorf(onnx.ErrShape, "%s is %d, want a positive number of at most %d", name, size[i], maxWindow)
		}
	}
	var mel [2]float64 // of the edges
	for i, name := range []string{"lower_edge_hertz", "upper_edge_hertz"} {
		f, err := readReal[float64](c, in[3+i].(*onnx.Tensor))
		if err != nil {
			return err
		}
		if len(f) != 1 {
			return onnx.Errorf(onnx.ErrShape, "%s has %d elements, want 1", name, len(f))
		}
		mel[i] = 2595 * math.Log10(1+f[0]/700)
	}
	bins, rows := int(size[0]), int(size[1])/2+1
	t, err := c.New(0, d, []int{rows, bins})
	if err != nil {
		return err
	}
	w, err := Scratch[float64](c, rows*bins)
	if err != nil {
		return err
	}
	clear(w)
	step := (mel[1] - mel[0]) / float64(bins+2)
	bin := func(i int) int {
		hertz := 700 * (math.Pow(10, (float64(i)*step+mel[0])/2595) - 1)
		b := math.Floor(float64(size[1]+1) * hertz / float64(size[2]))
		if !(b > -maxWindow && b < maxWindow) {
			return -maxWindow
		}
		return int(b)
	}
	for i := range bins {
		lower, center, higher := bin(i), bin(i+1), bin(i+2)
		if lower == center && center >= 0 && center < rows {
			w[center*bins+i] = 1
		}
		for j := max(lower, 0); j <= center && j < rows && lower < center; j++ {
			w[j*bins+i] = float64(j-lower) / float64(center-lower)
		}
		for j := max(center, 0); j < higher && j < rows; j++ {
			w[j*bins+i] = float64(higher-j) / float64(higher-center)
		}
	}
	realIO[d].store(t, w)
	return nil
}
