package ops

import (
	"math"
	"math/bits"
	"math/cmplx"

	"github.com/recur-ml/recur/onnx"
)

func init() {
	register(
		Op{Name: "DFT", Since: []int{17, 20}, Infer: inferDFT, Build: buildDFT},
		Op{Name: "STFT", Since: []int{17}, Infer: inferSTFT, Build: buildSTFT},
	)
}

// Signals are [batch, ..., 1] where real and [batch, ..., 2] where complex.
// Transforms run in float64:
//
//	X[k] = sum over n of x[n] * exp(-2*pi*i*k*n/N)
//
// and the inverse with exp(+...) and a factor of 1/N.

// transform is a plan for signals of n elements: by halving where n is a power
// of two, else as a convolution of such a length.
type transform struct {
	n       int
	inverse bool
	twiddle []complex128 // of a power of two: exp(-+2*pi*i*k/n), k < n/2
	// the convolution: chirp[k] = exp(-+pi*i*k*k/n), the transform of its
	// conjugate, and both directions of the length that is a power of two
	chirp, spectrum, work []complex128
	there, back           *transform
}

func newTransform(n int, inverse bool) *transform {
	t := &transform{n: n, inverse: inverse}
	sign := -1.0
	if inverse {
		sign = 1
	}
	if n&(n-1) == 0 {
		t.twiddle = make([]complex128, n/2)
		for k := range t.twiddle {
			t.twiddle[k] = cmplx.Rect(1, sign*2*math.Pi*float64(k)/float64(n))
		}
		return t
	}
	size := 1 << bits.Len(uint(2*n-2))
	t.chirp, t.spectrum, t.work = make([]complex128, n), make([]complex128, size), make([]complex128, size)
	t.there, t.back = newTransform(size, false), newTransform(size, true)
	for k := range t.chirp {
		hi, lo := bits.Mul64(uint64(k), uint64(k))
		_, rest := bits.Div64(hi%uint64(2*n), lo, uint64(2*n))
		t.chirp[k] = cmplx.Rect(1, sign*math.Pi*float64(rest)/float64(n))
		c := cmplx.Conj(t.chirp[k])
		t.spectrum[k] = c
		if k > 0 {
			t.spectrum[size-k] = c
		}
	}
	t.there.run(t.spectrum)
	return t
}

// run transforms x in place, without the factor of the inverse.
func (t *transform) run(x []complex128) {
	if t.chirp == nil {
		t.halve(x)
		return
	}
	clear(t.work)
	for k, c := range t.chirp {
		t.work[k] = x[k] * c
	}
	t.there.run(t.work)
	for k, s := range t.spectrum {
		t.work[k] *= s
	}
	t.back.run(t.work)
	scale := complex(1/float64(len(t.work)), 0)
	for k, c := range t.chirp {
		x[k] = t.work[k] * c * scale
	}
}

// halve is the transform of a power of two: elements in the order of their
// reversed bits, then butterflies of growing width.
func (t *transform) halve(x []complex128) {
	n := t.n
	shift := 64 - bits.TrailingZeros(uint(n))
	for i := range x {
		if j := int(bits.Reverse64(uint64(i)) >> shift); n > 1 && i < j {
			x[i], x[j] = x[j], x[i]
		}
	}
	for half := 1; half < n; half *= 2 {
		step := n / (2 * half)
		for i := 0; i < n; i += 2 * half {
			a, b := x[i:i+half], x[i+half:i+2*half]
			for k := range a {
				v := b[k] * t.twiddle[k*step]
				a[k], b[k] = a[k]+v, a[k]-v
			}
		}
	}
}

// transformCost is what a plan takes, in numbers of float64.
func transformCost(n int) int { return 24*n + 64 }

// dft are the attributes of a DFT.
type dft struct {
	inverse, onesided bool
	axis              int64 // where it is an attribute
	axisIn            bool  // input 2, -2 where it is absent
}

func readDFT(n *Node) dft {
	d := dft{inverse: n.Bool("inverse", false), onesided: n.Bool("onesided", false), axis: -2, axisIn: n.Since >= 20}
	if !d.axisIn {
		d.axis = n.Int("axis", 1)
	}
	return d
}

// place brings the axis to 0..rank-2: the last dimension holds the parts.
func (d *dft) place(axis int64, rank int) (int, error) {
	a, err := Axis(axis, rank)
	if err == nil && a == rank-1 {
		err = onnx.Errorf(onnx.ErrShape, "axis %d is the last one, which holds real and imaginary parts", axis)
	}
	return a, err
}

// bins gives the length of the transform, the size of the output's axis and its
// number of parts, for an input of the given size along the axis; length is -1
// where dft_length is absent.
func (d *dft) bins(size, length int) (n, out, parts int) {
	n = length
	if n < 0 {
		n = size
		if d.inverse && d.onesided {
			n = 2 * (size - 1)
		}
	}
	switch {
	case !d.onesided:
		return n, n, 2
	case d.inverse:
		return n, n, 1
	}
	return n, n/2 + 1, 2
}

func inferDFT(n *Node) error {
	d := readDFT(n)
	x := n.Shape(0)
	if x == nil {
		n.SetTensor(0, n.Elem(0), nil)
		return nil
	}
	if len(x) < 2 {
		return onnx.Errorf(onnx.ErrShape, "the input is %v, want [batch, ..., 1 or 2]", x)
	}
	out := x.Clone()
	_, _, parts := d.bins(1, 1)
	out[len(x)-1] = onnx.Fixed(parts)
	axis, known := d.axis, true
	if d.axisIn && n.Has(2) {
		var list []int64
		if list, known = n.ConstInts(2); known && len(list) == 1 {
			axis = list[0]
		} else {
			known = false
		}
	}
	if !known {
		for i := range len(x) - 1 {
			out[i] = onnx.UnknownDim
		}
		n.SetTensor(0, n.Elem(0), out)
		return nil
	}
	a, err := d.place(axis, len(x))
	if err != nil {
		return err
	}
	length, given := -1, n.Has(1)
	if list, ok := n.ConstInts(1); ok && len(list) == 1 && list[0] > 0 && list[0] <= maxWindow {
		length = int(list[0])
	}
	switch {
	case length > 0 || !given && x[a].Known():
		_, size, _ := d.bins(x[a].Value, length)
		out[a] = onnx.Dim{Value: max(size, -1)}
	case given || d.onesided:
		out[a] = onnx.UnknownDim
	}
	n.SetTensor(0, n.Elem(0), out)
	return nil
}

func buildDFT(n *Node) (Kernel, error) {
	d := readDFT(n)
	n.Has(1)
	if d.axisIn {
		n.Has(2)
	}
	if n.Elem(0) == onnx.Double {
		return &dftKernel[float64]{d}, nil
	}
	return &dftKernel[float32]{d}, nil
}

type dftKernel[T floating] struct{ dft }

// lengthOf reads a length of 1..maxWindow from a tensor of one integer, -1 when
// it is absent.
func lengthOf(v onnx.Value, name string) (int, error) {
	if v == nil {
		return -1, nil
	}
	n, err := integerOf(v, name)
	if err == nil && (n < 1 || n > maxWindow) {
		err = onnx.Errorf(onnx.ErrShape, "%s is %d, want 1..%d", name, n, maxWindow)
	}
	return int(n), err
}

func (k *dftKernel[T]) Run(c *Ctx, in, _ []onnx.Value) error {
	t := in[0].(*onnx.Tensor)
	s := t.Shape()
	if len(s) < 2 || s[len(s)-1] != 1 && s[len(s)-1] != 2 {
		return onnx.Errorf(onnx.ErrShape, "the input is %v, want [batch, ..., 1 or 2]", t)
	}
	axisAt := k.axis
	if at := tensorIn(in, 2); at != nil {
		v, err := scalarOf[int64](at, "axis")
		if err != nil {
			return err
		}
		axisAt = v
	}
	axis, err := k.place(axisAt, len(s))
	if err != nil {
		return err
	}
	length := -1
	if len(in) > 1 {
		if length, err = lengthOf(in[1], "dft_length"); err != nil {
			return err
		}
	}
	parts := s[len(s)-1]
	if k.onesided && !k.inverse && parts == 2 {
		return onnx.Errorf(onnx.ErrShape, "the input is %v, want real numbers where onesided is set", t)
	}
	n, size, outParts := k.bins(s[axis], length)
	if n < 1 {
		return onnx.Errorf(onnx.ErrShape, "the input %v has %d elements along axis %d, want some to transform", t, s[axis], axis)
	}
	shape := append([]int(nil), s...)
	shape[axis], shape[len(s)-1] = size, outParts
	x, err := readReal[T](c, t)
	if err != nil {
		return err
	}
	out, y, err := newReal[T](c, 0, t.DataType(), shape)
	if err != nil {
		return err
	}
	if len(y) == 0 {
		return nil
	}
	if _, err := Scratch[float64](c, transformCost(n)); err != nil { // charged: the plan is as large
		return err
	}
	plan, line := newTransform(n, k.inverse), make([]complex128, n)
	outer, inner := elements(s[:axis]), elements(s[axis+1:len(s)-1])
	for o := range outer {
		for i := range inner {
			if err := c.Err(); err != nil {
				return err
			}
			for j := range line {
				line[j] = 0
				if j < s[axis] {
					p := ((o*s[axis]+j)*inner + i) * parts
					line[j] = complex(float64(x[p]), 0)
					if parts == 2 {
						line[j] = complex(float64(x[p]), float64(x[p+1]))
					}
				}
			}
			if k.inverse && k.onesided {
				mirror(line, s[axis])
			}
			plan.run(line)
			scale := 1.0
			if k.inverse {
				scale = 1 / float64(n)
			}
			for j := range size {
				p := ((o*size+j)*inner + i) * outParts
				y[p] = T(real(line[j]) * scale)
				if outParts == 2 {
					y[p+1] = T(imag(line[j]) * scale)
				}
			}
		}
	}
	return storeReal(c, out, y)
}

// mirror completes the spectrum of a real signal of which the first elements
// are given: what is above the middle is the conjugate of what is below, and
// first and middle have no imaginary part.
func mirror(x []complex128, given int) {
	n := len(x)
	for k := range n/2 + 1 {
		if k >= given {
			x[k] = 0
		}
		if k == 0 || 2*k == n {
			x[k] = complex(real(x[k]), 0)
			continue
		}
		x[n-k] = cmplx.Conj(x[k])
	}
}

// STFT: signal is [batch, length, 1 or 2], or [batch, length]; the output is
// [batch, frames, bins, 2].

func inferSTFT(n *Node) error {
	x := n.Shape(0)
	if x != nil && len(x) != 2 && len(x) != 3 {
		return onnx.Errorf(onnx.ErrShape, "signal is %v, want [batch, length, 1 or 2]", x)
	}
	out := onnx.UnknownShape(4)
	out[3] = onnx.Fixed(2)
	if x != nil {
		out[0] = x[0]
	}
	frame := -1
	if list, ok := n.ConstInts(3); ok && len(list) == 1 && list[0] > 0 && list[0] <= maxWindow {
		frame = int(list[0])
	} else if w := n.Shape(2); len(w) == 1 && w[0].Known() {
		frame = w[0].Value
	}
	if frame > 0 {
		out[2] = onnx.Fixed(frame)
		if n.Bool("onesided", true) {
			out[2] = onnx.Fixed(frame/2 + 1)
		}
		step, ok := n.ConstInts(1)
		if ok && len(step) == 1 && step[0] > 0 && x != nil && x[1].Known() && x[1].Value >= frame {
			out[1] = onnx.Fixed((x[1].Value-frame)/int(min(step[0], maxWindow)) + 1)
		}
	}
	n.SetTensor(0, n.Elem(0), out)
	return nil
}

func buildSTFT(n *Node) (Kernel, error) {
	n.Has(2)
	n.Has(3)
	onesided := n.Bool("onesided", true)
	if n.Elem(0) == onnx.Double {
		return stft[float64]{onesided}, nil
	}
	return stft[float32]{onesided}, nil
}

type stft[T floating] struct{ onesided bool }

func (k stft[T]) Run(c *Ctx, in, _ []onnx.Value) error {
	t := in[0].(*onnx.Tensor)
	s, parts := t.Shape(), 1
	if len(s) == 3 {
		parts = s[2]
	}
	if len(s) != 2 && len(s) != 3 || parts != 1 && parts != 2 {
		return onnx.Errorf(onnx.ErrShape, "signal is %v, want [batch, length, 1 or 2]", t)
	}
	if k.onesided && parts == 2 {
		return onnx.Errorf(onnx.ErrShape, "signal is %v, want real numbers where onesided is set", t)
	}
	step, err := lengthOf(in[1], "frame_step")
	if err != nil {
		return err
	}
	frame := -1
	if len(in) > 3 {
		if frame, err = lengthOf(in[3], "frame_length"); err != nil {
			return err
		}
	}
	var window []T
	if w := tensorIn(in, 2); w != nil {
		if w.Rank() != 1 || w.Len() == 0 || frame >= 0 && w.Len() != frame {
			return onnx.Errorf(onnx.ErrShape, "window is %v, want one dimension of the frame's length (frame_length is %d)", w, frame)
		}
		if window, err = readReal[T](c, w); err != nil {
			return err
		}
		frame = len(window)
	}
	if frame < 1 || frame > s[1] {
		return onnx.Errorf(onnx.ErrShape, "frames of %d elements of signal %v, want window or frame_length to give a length that fits", frame, t)
	}
	frames, bins := (s[1]-frame)/step+1, frame
	if k.onesided {
		bins = frame/2 + 1
	}
	shape := [4]int{s[0], frames, bins, 2}
	out, y, err := newReal[T](c, 0, t.DataType(), shape[:])
	if err != nil || len(y) == 0 {
		return err
	}
	x, err := readReal[T](c, t)
	if err != nil {
		return err
	}
	if _, err := Scratch[float64](c, transformCost(frame)); err != nil { // charged: the plan is as large
		return err
	}
	plan, line := newTransform(frame, false), make([]complex128, frame)
	for f := range s[0] * frames {
		if err := c.Err(); err != nil {
			return err
		}
		src := x[(f/frames*s[1]+f%frames*step)*parts:]
		for j := range line {
			v := complex(float64(src[j*parts]), 0)
			if parts == 2 {
				v = complex(float64(src[2*j]), float64(src[2*j+1]))
			}
			if window != nil {
				v *= complex(float64(window[j]), 0)
			}
			line[j] = v
		}
		plan.run(line)
		for j, v := range line[:bins] {
			y[(f*bins+j)*2], y[(f*bins+j)*2+1] = T(real(v)), T(imag(v))
		}
	}
	return storeReal(c, out, y)
}
