package ops

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// softmaxReference works on rows: x has the elements of all rows, stride apart
// within a row.
func softmaxReference(op string, x []float64, outer, n, inner int) []float64 {
	y := make([]float64, len(x))
	for o := range outer {
		for i := range inner {
			at := func(r int) int { return (o*n+r)*inner + i }
			sum, best := 0.0, 0
			for r := range n {
				sum += math.Exp(x[at(r)])
				if x[at(r)] > x[at(best)] {
					best = r
				}
			}
			for r := range n {
				switch op {
				case "Softmax":
					y[at(r)] = math.Exp(x[at(r)]) / sum
				case "LogSoftmax":
					y[at(r)] = math.Log(math.Exp(x[at(r)]) / sum)
				}
			}
			if op == "Hardmax" {
				y[at(best)] = 1
			}
		}
	}
	return y
}

func TestSoftmaxFamily(t *testing.T) {
	shape := []int{3, 5, 2, 41}
	r := rand.New(rand.NewPCG(5, 6))
	x := make([]float64, 3*5*2*41)
	x32 := make([]float32, len(x))
	bf := make([]onnx.BF16, len(x))
	for i := range x {
		bf[i] = onnx.ToBF16(float32(r.NormFloat64() * 3))
		x32[i] = bf[i].Float32()
		x[i] = float64(x32[i])
	}
	product := func(s []int) int {
		n, _ := onnx.NumElements(s)
		return n
	}
	for _, op := range []string{"Softmax", "LogSoftmax", "Hardmax"} {
		for _, opset := range []int{1, 11, 13} {
			for axis := -4; axis <= 4; axis++ {
				a, attrs := axis, []any{"axis", axis}
				if axis == 4 { // the default
					attrs = nil
					if a = 1; opset == 13 {
						a = 3
					}
				}
				if a < 0 {
					a += 4
				}
				outer, n, inner := product(shape[:a]), shape[a], product(shape[a+1:])
				if opset < 13 {
					n, inner = n*inner, 1
				}
				want := softmaxReference(op, x, outer, n, inner)
				for _, in := range []*onnx.Tensor{onnx.MustTensor(shape, x), onnx.MustTensor(shape, x32), onnx.MustTensor(shape, bf)} {
					tol, ref := 1e-13, onnx.MustTensor(shape, want)
					switch in.DataType() {
					case onnx.Float:
						tol, ref = 1e-6, onnx.MustTensor(shape, narrowTo32(want))
					case onnx.BFloat16:
						if opset < 13 {
							continue
						}
						tol, ref = 8e-3, onnx.MustTensor(shape, bf)
						ref = ref.Clone()
						NarrowTo(ref, narrowTo32(want))
					}
					out, err := compute(t, node(op, 1, attrs...), opset, in)
					if err != nil {
						t.Fatalf("%s-%d axis %d: %v", op, opset, axis, err)
					}
					if d := differ(out[0], ref, tol, tol); d != "" {
						t.Errorf("%s-%d axis %d of %v: %s", op, opset, axis, in.DataType(), d)
					}
				}
			}
		}
	}
}

func TestSoftmaxEdges(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		op   string
		in   []float32
		want []float32
	}{
		{"Softmax", []float32{1e30, 1e30}, []float32{0.5, 0.5}},
		{"Softmax", []float32{-inf, 0}, []float32{0, 1}},
		{"Softmax", []float32{-inf, -inf}, []float32{nan, nan}},
		{"Softmax", []float32{nan, 1}, []float32{nan, nan}},
		{"Softmax", []float32{-7}, []float32{1}},
		{"LogSoftmax", []float32{-1e4, 0}, []float32{-1e4, 0}},
		{"LogSoftmax", []float32{-inf, 2}, []float32{-inf, 0}},
		{"Hardmax", []float32{1, 3, 3}, []float32{0, 1, 0}},
		{"Hardmax", []float32{1, nan, 3}, []float32{0, 1, 0}},
		{"Softmax", nil, nil},
		{"Hardmax", nil, nil},
	} {
		n := len(c.in)
		for _, shape := range [][]int{{n}, {n, 1}} { // rows and columns
			out, err := compute(t, node(c.op, 1, "axis", 0), 13, onnx.MustTensor(shape, c.in))
			if err != nil {
				t.Fatal(err)
			}
			if d := differ(out[0], onnx.MustTensor(shape, c.want), 1e-6, 0); d != "" {
				t.Errorf("%s of %v: %s", c.op, c.in, d)
			}
		}
		twice := make([]float32, 2*n)
		wantTwice := make([]float32, 2*n)
		for i := range twice {
			twice[i], wantTwice[i] = c.in[i/2], c.want[i/2]
		}
		out, err := compute(t, node(c.op, 1, "axis", 0), 13, onnx.MustTensor([]int{n, 2}, twice))
		if err != nil {
			t.Fatal(err)
		}
		if d := differ(out[0], onnx.MustTensor([]int{n, 2}, wantTwice), 1e-6, 0); d != "" {
			t.Errorf("%s of columns of %v: %s", c.op, c.in, d)
		}
	}
	for _, shape := range [][]int{{}, {1}} {
		if _, err := compute(t, node("Softmax", 1), 11, onnx.MustTensor(shape, []float32{1})); !errors.Is(err, onnx.ErrShape) {
			t.Errorf("axis 1 of %v: error %v, want %v", shape, err, onnx.ErrShape)
		}
	}
}

func TestSoftmaxRowAlone(t *testing.T) {
	const rows, n = 5, 77
	r := rand.New(rand.NewPCG(7, 8))
	x, xT := make([]float32, rows*n), make([]float32, rows*n)
	for i := range x {
		x[i] = float32(r.NormFloat64() * 5)
		xT[i%n*rows+i/n] = x[i]
	}
	run := func(op string, x *onnx.Tensor, axis int) []float32 {
		out, err := computeKnowing(t, node(op, 1, "axis", axis), 13, knowShape, []onnx.Value{x})
		if err != nil {
			t.Fatal(err)
		}
		return onnx.Elements[float32](out[0].(*onnx.Tensor))
	}
	for _, op := range []string{"Softmax", "LogSoftmax"} {
		all := run(op, onnx.MustTensor([]int{rows, n}, x), 1)
		apart := run(op, onnx.MustTensor([]int{n, rows}, xT), 0)
		for i := range rows {
			alone := run(op, onnx.MustTensor([]int{n}, x[i*n:][:n]), 0)
			for k := range n {
				if a := math.Float32bits(alone[k]); a != math.Float32bits(all[i*n+k]) || a != math.Float32bits(apart[k*rows+i]) {
					t.Fatalf("%s: element %d of row %d differs between layouts", op, k, i)
				}
			}
		}
	}
}

func TestSoftmaxAllocations(t *testing.T) {
	x := onnx.MustTensor([]int{4, 10, 8}, make([]float32, 320))
	for _, op := range []string{"Softmax", "LogSoftmax", "Hardmax"} {
		for axis := range 3 {
			if a := steadyAllocs(t, node(op, 1, "axis", axis), 13, x); a != 0 {
				t.Errorf("%s along %d: %v allocations", op, axis, a)
			}
		}
	}
}

func BenchmarkSoftmax(b *testing.B) {
	for _, inner := range []int{1, 64} {
		b.Run([]string{"rows", "columns"}[min(inner-1, 1)], func(b *testing.B) {
			x := make([]float32, 64*256)
			y := make([]float32, len(x))
			c := NewCtx(&heap{ctx: b.Context()})
			e := reduceExtent{64 / inner, 256, inner}
			b.SetBytes(int64(4 * len(x)))
			b.ReportAllocs()
			for b.Loop() {
				if err := softmaxRun(c, &softmaxKernel{kind: toSoftmax, level: testLevel}, x, y, e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
