package ops

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// drawTwice builds a node and runs it twice.
func drawTwice(t *testing.T, n *onnx.Node, opset int, in ...onnx.Value) (first, second *onnx.Tensor) {
	t.Helper()
	scope := (&Analysis{Registry: Default(), Opsets: map[string]int{"": opset}, Limits: onnx.Limits{}.WithDefaults(), Level: testLevel}).NewScope(nil)
	c := *n
	c.Inputs = nil
	for _, v := range in {
		c.Inputs = append(c.Inputs, "x")
		scope.Set("x", Info{Type: onnx.Type{Kind: onnx.KindTensor, Elem: v.Type().Elem}})
	}
	nd, err := scope.Node(&c)
	if err != nil {
		t.Fatal(err)
	}
	k, err := nd.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	var out [2]*onnx.Tensor
	for i := range out {
		v, err := Exec(t.Context(), nd, k, in, onnx.Limits{}.WithDefaults())
		if err != nil {
			t.Fatal(err)
		}
		checkInferred(t, n.OpType, 0, nd.Out(0), v[0])
		out[i] = v[0].(*onnx.Tensor)
	}
	return out[0], out[1]
}

func TestRandomSeeds(t *testing.T) {
	for _, op := range []string{"RandomNormal", "RandomUniform"} {
		make := func(name string, attrs ...any) *onnx.Node {
			n := node(op, 1, append(attrs, "shape", []int64{4, 5})...)
			n.Name = name
			return n
		}
		a1, a2 := drawTwice(t, make("a", "seed", 3.0), 22)
		again1, again2 := drawTwice(t, make("a", "seed", 3.0), 22)
		if differ(a1, again1, 0, 0) != "" || differ(a2, again2, 0, 0) != "" {
			t.Errorf("%s: the same seed gives another sequence", op)
		}
		if d := differ(a1, a2, 0, 0); d != "" {
			t.Errorf("%s: two runs give different numbers: %s", op, d)
		}
		b, _ := drawTwice(t, make("b", "seed", 3.0), 22)
		other, _ := drawTwice(t, make("a", "seed", 4.0), 22)
		free1, free2 := drawTwice(t, make("a"), 22)
		if differ(free1, free2, 0, 0) == "" {
			t.Errorf("%s: two runs without a seed give the same numbers", op)
		}
		for _, x := range []*onnx.Tensor{b, other, free1, free2} {
			if differ(a1, x, 0, 0) == "" {
				t.Errorf("%s: different nodes, seeds or none give the same numbers", op)
			}
		}
	}
}

func TestRandomDistributions(t *testing.T) {
	const n = 20000
	for _, c := range []struct {
		op         string
		attrs      []any
		mean, sdev float64
	}{
		{"RandomNormal", []any{"mean", 3.0, "scale", 2.0}, 3, 2},
		{"RandomUniform", []any{"low", -1.0, "high", 3.0}, 1, 4 / math.Sqrt(12)},
	} {
		for _, d := range []onnx.DataType{onnx.Float, onnx.Double, onnx.Float16, onnx.BFloat16} {
			for _, like := range []bool{false, true} {
				attrs := append([]any{"seed", 1.0, "dtype", int(d)}, c.attrs...)
				op, in := c.op, []onnx.Value(nil)
				if like {
					op, in = op+"Like", []onnx.Value{onnx.MustTensor([]int{n, 1}, make([]int32, n))}
				} else {
					attrs = append(attrs, "shape", []int64{n, 1})
				}
				y, _ := drawTwice(t, node(op, 1, attrs...), 22, in...)
				if y.DataType() != d || !slices.Equal(y.Shape(), []int{n, 1}) {
					t.Fatalf("%s gives %v, want %v[%d 1]", op, y, d, n)
				}
				mean, square := 0.0, 0.0
				for _, v := range float64s(y) {
					mean += v / n
					square += v * v / n
				}
				if sdev := math.Sqrt(square - mean*mean); math.Abs(mean-c.mean) > 0.06 || math.Abs(sdev-c.sdev) > 0.06 {
					t.Errorf("%s of %v: mean %v, deviation %v, want %v, %v", op, d, mean, sdev, c.mean, c.sdev)
				}
			}
		}
	}
}

func TestBernoulli(t *testing.T) {
	const n = 20000
	p := make([]float32, n)
	for i := range p {
		p[i] = []float32{0, 0.3, 1}[i%3]
	}
	for d, one := range bernoulliOne {
		y, _ := drawTwice(t, node("Bernoulli", 1, "seed", 7.0, "dtype", int(d)), 22, onnx.MustTensor([]int{n}, p))
		if y.DataType() != d {
			t.Fatalf("type %v, want %v", y.DataType(), d)
		}
		var count [3]int
		w := len(one.Bytes())
		for i := range n {
			switch e := y.Bytes()[i*w:][:w]; {
			case string(e) == string(one.Bytes()):
				count[i%3]++
			case string(e) != string(make([]byte, w)):
				t.Fatalf("%v: an element of %x", d, e)
			}
		}
		if count[0] != 0 || count[1] < n/3*27/100 || count[1] > n/3*33/100 || count[2] != n/3 {
			t.Errorf("%v: ones %v of %d each", d, count, n/3)
		}
	}
	y, _ := drawTwice(t, node("Bernoulli", 1), 15, onnx.MustTensor([]int{2}, []float64{0, 1}))
	if d := differ(y, onnx.MustTensor([]int{2}, []float64{0, 1}), 0, 0); d != "" {
		t.Error(d)
	}
}

func TestMultinomial(t *testing.T) {
	inf := float32(math.Inf(-1))
	x := onnx.MustTensor([]int{2, 3}, []float32{float32(math.Log(0.2)), inf, float32(math.Log(0.6)), inf, 100, inf})
	y, _ := drawTwice(t, node("Multinomial", 1, "sample_size", 4000, "seed", 1.0, "dtype", int(onnx.Int64)), 22, x)
	if y.DataType() != onnx.Int64 || !slices.Equal(y.Shape(), []int{2, 4000}) {
		t.Fatalf("got %v", y)
	}
	var count [2][3]int
	for i, v := range onnx.Elements[int64](y) {
		count[i/4000][v]++
	}
	if count[0][1] != 0 || count[0][0] < 900 || count[0][0] > 1100 || count[1] != [3]int{0, 4000, 0} {
		t.Errorf("counts %v, want about [[1000 0 3000] [0 4000 0]]", count)
	}
	for _, c := range []struct {
		x    *onnx.Tensor
		want error
	}{
		{onnx.MustTensor([]int{3}, []float32{1, 2, 3}), onnx.ErrShape},
		{onnx.MustTensor([]int{1, 2}, []float32{inf, inf}), onnx.ErrMalformed},
		{onnx.MustTensor([]int{1, 0}, []float32{}), onnx.ErrMalformed},
	} {
		if _, err := compute(t, node("Multinomial", 1), 7, c.x); !errors.Is(err, c.want) {
			t.Errorf("%v: error %v, want %v", c.x, err, c.want)
		}
	}
}

func TestRandomErrors(t *testing.T) {
	for _, c := range []struct {
		n    *onnx.Node
		in   []onnx.Value
		want error
	}{
		{node("RandomNormal", 1, "shape", []int64{-1}), nil, onnx.ErrShape},
		{node("RandomNormal", 1, "shape", []int64{1 << 40, 1 << 40}), nil, onnx.ErrShape},
		{node("RandomUniform", 1, "shape", []int64{1}, "dtype", int(onnx.Int32)), nil, onnx.ErrType},
		{node("RandomUniformLike", 1), []onnx.Value{onnx.Scalar(int32(1))}, onnx.ErrType},
	} {
		if _, err := compute(t, c.n, 21, c.in...); !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", c.n.OpType, err, c.want)
		}
	}
}
