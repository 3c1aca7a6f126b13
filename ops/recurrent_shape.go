package ops

import (
	"fmt"
	"strings"

	"github.com/recur-ml/recur/onnx"
)

// recurrentSymbol is a dimension that several inputs share.
type recurrentSymbol int

const (
	dimT recurrentSymbol = iota
	dimB
	dimI
	dimH
	dimD
	symbols
)

var symbolNames = [symbols]string{"seq_length", "batch_size", "input_size", "hidden_size", "num_directions"}

// recurrentDim is a dimension of an input: a symbol, times a number.
type recurrentDim struct {
	of    recurrentSymbol
	times int
}

// recurrentSizes gives the symbols' values, -1 where not known.
type recurrentSizes [symbols]int

func (s *recurrentSizes) of(e recurrentDim) int {
	if s[e.of] < 0 {
		return -1
	}
	return s[e.of] * e.times
}

// declare writes down the inputs' shapes.
func (r *recurrent) declare() {
	one := func(s recurrentSymbol) recurrentDim { return recurrentDim{s, 1} }
	x := []recurrentDim{one(dimT), one(dimB), one(dimI)}
	state := []recurrentDim{one(dimD), one(dimB), one(dimH)}
	if r.batchFirst {
		x[0], x[1] = x[1], x[0]
		state[0], state[1] = state[1], state[0]
	}
	r.formals = [recurrentInputs][]recurrentDim{
		inX:    x,
		inW:    {one(dimD), {dimH, r.gates}, one(dimI)},
		inR:    {one(dimD), {dimH, r.gates}, one(dimH)},
		inB:    {one(dimD), {dimH, 2 * r.gates}},
		inLens: {one(dimB)},
		inH:    state,
		inC:    state,
		inP:    {one(dimD), {dimH, 3}},
	}
	if r.transposed {
		for _, i := range [...]int{inW, inR} {
			f := r.formals[i]
			f[1], f[2] = f[2], f[1]
		}
	}
}

// measure finds the sizes from the shapes of the inputs and holds all shapes
// against them. A shape is nil where the input is absent or its rank is not
// known, a dimension negative where it is not known. R tells hidden_size
// before W does, which has a multiple of it.
func (r *recurrent) measure(shapes *[recurrentInputs][]int) (recurrentSizes, error) {
	size := recurrentSizes{-1, -1, -1, -1, r.directions()}
	if r.hidden > 0 {
		size[dimH] = r.hidden
	}
	for _, i := range [...]int{inX, inR, inW, inB, inLens, inH, inC, inP} {
		if len(shapes[i]) != len(r.formals[i]) {
			continue
		}
		for k := len(shapes[i]) - 1; k >= 0; k-- {
			if e := r.formals[i][k]; size[e.of] < 0 && e.times == 1 {
				size[e.of] = shapes[i][k]
			}
		}
	}
	if h := size[dimH]; h == 0 || h > maxHidden {
		return size, onnx.Errorf(onnx.ErrShape, "R has shape %v, want a hidden_size of 1..%d", append([]int(nil), shapes[inR]...), maxHidden)
	}
	for i := range r.inputs() {
		if shapes[i] != nil && !size.fit(r.formals[i], shapes[i]) {
			return size, size.mismatch(recurrentInputNames[i], r.formals[i], shapes[i])
		}
	}
	return size, nil
}

func (s *recurrentSizes) fit(formal []recurrentDim, shape []int) bool {
	if len(shape) != len(formal) {
		return false
	}
	for k, e := range formal {
		if want := s.of(e); want >= 0 && shape[k] >= 0 && want != shape[k] {
			return false
		}
	}
	return true
}

// mismatch tells what an input's shape should be and where that comes from:
// "W has shape [1 8 2], want [1 12 2] (4*hidden_size=12, input_size=2)".
func (s *recurrentSizes) mismatch(name string, formal []recurrentDim, shape []int) error {
	have, want := make(onnx.Shape, len(shape)), make(onnx.Shape, len(formal))
	for k, d := range shape {
		have[k] = onnx.Dim{Value: d}
	}
	var why []string
	for k, e := range formal {
		want[k] = onnx.Dim{Value: s.of(e)}
		term := symbolNames[e.of]
		if e.times > 1 {
			term = fmt.Sprintf("%d*%s", e.times, term)
		}
		if want[k].Known() {
			term = fmt.Sprintf("%s=%d", term, want[k].Value)
		}
		// num_directions is evident, unless it is what differs.
		if e.of != dimD || k < len(shape) && shape[k] >= 0 && shape[k] != want[k].Value {
			why = append(why, term)
		}
	}
	return onnx.Errorf(onnx.ErrShape, "%s has shape %v, want %v (%s)", name, have, want, strings.Join(why, ", "))
}

// checkRowLength holds a row's length against seq_length.
func checkRowLength(row int, length int64, steps int) error {
	if length < 0 || length > int64(steps) {
		return onnx.Errorf(onnx.ErrShape, "sequence_lens[%d] = %d, want 0..%d", row, length, steps)
	}
	return nil
}
