package ops

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// reduceNode makes a Reduce node and its inputs for an opset, whichever way
// that takes the axes; nil axes are left out.
func reduceNode(op string, opset int, keep int, axes []int64, x *onnx.Tensor) (*onnx.Node, []onnx.Value) {
	n := node(op, 1, "keepdims", keep)
	in := []onnx.Value{x}
	if fromInput := opset >= 18 || op == "ReduceSum" && opset >= 13; axes != nil && fromInput {
		in = append(in, onnx.MustTensor([]int{len(axes)}, axes))
	} else if axes != nil {
		n.Attributes = append(n.Attributes, attr("axes", axes))
	}
	return n, in
}

// naiveReduce groups the elements by their place in the output, computed from
// coordinates, and gives each group to f.
func naiveReduce(x []float64, shape []int, axes []int64, f func([]float64) float64) []float64 {
	reduced := map[int]bool{}
	for _, a := range axes {
		reduced[int(a+int64(len(shape)))%len(shape)] = true
	}
	outLen := 1
	for i, d := range shape {
		if !reduced[i] && axes != nil {
			outLen *= d
		}
	}
	groups := make([][]float64, outLen)
	for i, v := range x {
		rest, at, scale := i, 0, 1
		for k := len(shape) - 1; k >= 0; k-- {
			if pos := rest % shape[k]; !reduced[k] && axes != nil {
				at += pos * scale
				scale *= shape[k]
			}
			rest /= shape[k]
		}
		groups[at] = append(groups[at], v)
	}
	out := make([]float64, outLen)
	for i, g := range groups {
		out[i] = f(g)
	}
	return out
}

var reduceReferences = map[string]func([]float64) float64{
	"ReduceSum":       func(g []float64) float64 { return bigSum(g, func(v float64) float64 { return v }) },
	"ReduceMean":      func(g []float64) float64 { return bigSum(g, func(v float64) float64 { return v }) / float64(len(g)) },
	"ReduceSumSquare": func(g []float64) float64 { return bigSum(g, func(v float64) float64 { return v * v }) },
	"ReduceL1":        func(g []float64) float64 { return bigSum(g, math.Abs) },
	"ReduceL2": func(g []float64) float64 {
		return math.Sqrt(bigSum(g, func(v float64) float64 { return v * v }))
	},
	"ReduceLogSum":    func(g []float64) float64 { return math.Log(bigSum(g, func(v float64) float64 { return v })) },
	"ReduceLogSumExp": func(g []float64) float64 { return math.Log(bigSum(g, math.Exp)) },
	"ReduceProd": func(g []float64) float64 {
		p := 1.0
		for _, v := range g {
			p *= v
		}
		return p
	},
	"ReduceMax": func(g []float64) float64 {
		m := math.Inf(-1)
		for _, v := range g {
			if v > m {
				m = v
			}
		}
		return m
	},
	"ReduceMin": func(g []float64) float64 {
		m := math.Inf(1)
		for _, v := range g {
			if v < m {
				m = v
			}
		}
		return m
	},
}

func bigSum(g []float64, f func(float64) float64) float64 {
	s := new(big.Float).SetPrec(300)
	for _, v := range g {
		s.Add(s, big.NewFloat(f(v)))
	}
	r, _ := s.Float64()
	return r
}

func TestReduceAgainstReference(t *testing.T) {
	shapes := []struct {
		shape []int
		axes  [][]int64
	}{
		{[]int{7}, [][]int64{nil, {0}, {-1}}},
		{[]int{2, 1, 3}, [][]int64{nil, {0}, {1}, {2}, {-2, 0}}},
		{[]int{3, 19, 70}, [][]int64{{0}, {1}, {2}, {0, 1}, {1, 2}, {0, -1}}},
		{[]int{2, 3, 4, 5, 6}, [][]int64{{0, 2, 4}, {1, 3}, {3, 1}, {0, 4}, {2, 3}, nil}},
		{[]int{0, 3}, [][]int64{{1}}},
	}
	r := rand.New(rand.NewPCG(1, 2))
	for op, f := range reduceReferences {
		for _, s := range shapes {
			n, _ := onnx.NumElements(s.shape)
			x := make([]float64, n)
			x32 := make([]float32, n)
			for i := range x {
				x32[i] = float32(r.Float64()*2 + 0.05)
				x[i] = float64(x32[i])
			}
			for _, axes := range s.axes {
				for _, opset := range []int{9, 11, 13, 18, 22} {
					want := naiveReduce(x, s.shape, axes, f)
					for keep := range 2 {
						nd, in := reduceNode(op, opset, keep, axes, onnx.MustTensor(s.shape, x32))
						if opset < 11 && len(axes) > 0 && axes[0] < 0 {
							continue
						}
						out, err := compute(t, nd, opset, in...)
						if err != nil {
							t.Fatalf("%s-%d axes %v of %v: %v", op, opset, axes, s.shape, err)
						}
						y := out[0].(*onnx.Tensor)
						if d := differ(y, onnx.MustTensor(y.Shape(), narrowTo32(want)), 1e-6, 1e-7); d != "" {
							t.Errorf("%s-%d axes %v of %v: %s", op, opset, axes, s.shape, d)
						}
						nd, in = reduceNode(op, opset, keep, axes, onnx.MustTensor(s.shape, x))
						out, err = compute(t, nd, opset, in...)
						if err != nil {
							t.Fatal(err)
						}
						if d := differ(out[0], onnx.MustTensor(y.Shape(), want), 1e-13, 1e-13); d != "" {
							t.Errorf("%s-%d double, axes %v of %v: %s", op, opset, axes, s.shape, d)
						}
					}
				}
			}
		}
	}
}

func narrowTo32(x []float64) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}

func TestReduceByHand(t *testing.T) {
	inf := float32(math.Inf(1))
	nan := float32(math.NaN())
	f16 := func(v ...float32) []onnx.F16 {
		out := make([]onnx.F16, len(v))
		for i := range v {
			out[i] = onnx.ToF16(v[i])
		}
		return out
	}
	for _, c := range []struct {
		op    string
		opset int
		attrs []any
		x     *onnx.Tensor
		axes  []int64
		want  *onnx.Tensor
	}{
		{"ReduceSum", 13, nil, onnx.MustTensor([]int{2, 2}, []int32{math.MaxInt32, 1, 5, 6}), []int64{1}, onnx.MustTensor([]int{2, 1}, []int32{math.MinInt32, 11})},
		{"ReduceSum", 13, []any{"keepdims", 0}, onnx.MustTensor([]int{3}, []uint64{1 << 63, 2, 3}), nil, onnx.Scalar(uint64(1<<63 + 5))},
		{"ReduceSum", 13, []any{"noop_with_empty_axes", 1}, onnx.MustTensor([]int{2, 1}, []float32{-1, 2}), nil, onnx.MustTensor([]int{2, 1}, []float32{-1, 2})},
		{"ReduceSum", 13, []any{"noop_with_empty_axes", 1}, onnx.MustTensor([]int{2}, []float32{-1, 2}), []int64{}, onnx.MustTensor([]int{2}, []float32{-1, 2})},
		{"ReduceSum", 13, nil, onnx.MustTensor([]int{2}, []float32{-1, 3}), []int64{}, onnx.MustTensor([]int{1}, []float32{2})},
		{"ReduceSum", 13, nil, onnx.Scalar(float32(4)), nil, onnx.Scalar(float32(4))},
		{"ReduceSumSquare", 18, []any{"noop_with_empty_axes", 1}, onnx.MustTensor([]int{2}, []float32{-3, 2}), nil, onnx.MustTensor([]int{2}, []float32{9, 4})},
		{"ReduceLogSum", 18, []any{"noop_with_empty_axes", 1}, onnx.MustTensor([]int{2}, []float32{1, 0}), nil, onnx.MustTensor([]int{2}, []float32{0, -inf})},
		{"ReduceL1", 18, []any{"noop_with_empty_axes", 1}, onnx.MustTensor([]int{2}, []int64{-3, 2}), nil, onnx.MustTensor([]int{2}, []int64{3, 2})},
		{"ReduceMean", 18, []any{"keepdims", 0}, onnx.MustTensor([]int{2, 2}, []int32{1, 2, -1, -2}), []int64{1}, onnx.MustTensor([]int{2}, []int32{1, -1})},
		{"ReduceMean", 18, []any{"keepdims", 0}, onnx.MustTensor([]int{2}, []uint64{1<<64 - 1, 0}), nil, onnx.Scalar(uint64(1<<63 - 1))},
		{"ReduceL2", 18, []any{"keepdims", 0}, onnx.MustTensor([]int{2}, []int32{100000, 100000}), nil, onnx.Scalar(int32(141421))},
		{"ReduceLogSum", 18, []any{"keepdims", 0}, onnx.MustTensor([]int{2}, []int32{50, 60}), nil, onnx.Scalar(int32(4))},
		{"ReduceLogSumExp", 18, []any{"keepdims", 0}, onnx.MustTensor([]int{1}, []int64{5}), nil, onnx.Scalar(int64(5))},
		{"ReduceLogSumExp", 18, []any{"keepdims", 0}, onnx.MustTensor([]int{2}, []float32{1000, 1000}), nil, onnx.Scalar(float32(1000.6931))},
		{"ReduceLogSumExp", 18, []any{"keepdims", 0}, onnx.MustTensor([]int{3, 2}, []float32{-inf, inf, -inf, 1, nan, 2}), []int64{1}, onnx.MustTensor([]int{3}, []float32{inf, 1, nan})},
		{"ReduceLogSumExp", 18, []any{"keepdims", 0}, onnx.MustTensor([]int{2, 3}, []float32{-inf, inf, -inf, -inf, 1, nan}), []int64{0}, onnx.MustTensor([]int{3}, []float32{-inf, inf, nan})},
		{"ReduceMax", 18, []any{"keepdims", 0}, onnx.MustTensor([]int{2, 2}, []float32{1, nan, -inf, -3}), []int64{1}, onnx.MustTensor([]int{2}, []float32{nan, -3})},
		{"ReduceMax", 20, []any{"keepdims", 0}, onnx.MustTensor([]int{2, 2}, []bool{true, false, false, false}), []int64{1}, onnx.MustTensor([]int{2}, []bool{true, false})},
		{"ReduceMin", 20, []any{"keepdims", 0}, onnx.MustTensor([]int{2, 2}, []bool{true, false, true, true}), []int64{1}, onnx.MustTensor([]int{2}, []bool{false, true})},
		{"ReduceMin", 12, []any{"keepdims", 0}, onnx.MustTensor([]int{2, 2}, []int8{-128, 3, 7, 9}), []int64{0}, onnx.MustTensor([]int{2}, []int8{-128, 3})},
		{"ReduceMax", 18, []any{"keepdims", 0}, onnx.MustTensor([]int{2}, []uint8{200, 3}), nil, onnx.Scalar(uint8(200))},
		{"ReduceProd", 18, []any{"keepdims", 0}, onnx.MustTensor([]int{3}, []int64{-2, 3, 4}), nil, onnx.Scalar(int64(-24))},
		{"ReduceMean", 18, []any{"keepdims", 0}, onnx.MustTensor([]int{2, 2}, f16(1, 2, 65504, 65504)), []int64{1}, onnx.MustTensor([]int{2}, f16(1.5, 65504))},
		// no elements
		{"ReduceSum", 13, nil, onnx.MustTensor([]int{2, 0}, []float32{}), []int64{1}, onnx.MustTensor([]int{2, 1}, []float32{0, 0})},
		{"ReduceSum", 13, nil, onnx.MustTensor([]int{0, 2}, []float32{}), []int64{0}, onnx.MustTensor([]int{1, 2}, []float32{0, 0})},
		{"ReduceSum", 13, nil, onnx.MustTensor([]int{2, 0, 3}, []float32{}), []int64{0}, onnx.MustTensor([]int{1, 0, 3}, []float32{})},
		{"ReduceProd", 18, nil, onnx.MustTensor([]int{0, 2}, []float32{}), []int64{0}, onnx.MustTensor([]int{1, 2}, []float32{1, 1})},
		{"ReduceProd", 18, nil, onnx.MustTensor([]int{0}, []int32{}), []int64{0}, onnx.MustTensor([]int{1}, []int32{1})},
		{"ReduceMax", 20, nil, onnx.MustTensor([]int{0}, []float32{}), []int64{0}, onnx.MustTensor([]int{1}, []float32{-inf})},
		{"ReduceMax", 20, nil, onnx.MustTensor([]int{0}, []int8{}), []int64{0}, onnx.MustTensor([]int{1}, []int8{-128})},
		{"ReduceMax", 20, nil, onnx.MustTensor([]int{0}, []bool{}), []int64{0}, onnx.MustTensor([]int{1}, []bool{false})},
		{"ReduceMin", 20, nil, onnx.MustTensor([]int{0}, []uint32{}), []int64{0}, onnx.MustTensor([]int{1}, []uint32{math.MaxUint32})},
		{"ReduceMin", 20, nil, onnx.MustTensor([]int{0}, []bool{}), []int64{0}, onnx.MustTensor([]int{1}, []bool{true})},
		{"ReduceMean", 18, nil, onnx.MustTensor([]int{0, 1}, []float32{}), []int64{0}, onnx.MustTensor([]int{1, 1}, []float32{nan})},
		{"ReduceL2", 18, nil, onnx.MustTensor([]int{0}, []float32{}), []int64{0}, onnx.MustTensor([]int{1}, []float32{0})},
		{"ReduceLogSum", 18, nil, onnx.MustTensor([]int{0}, []float32{}), []int64{0}, onnx.MustTensor([]int{1}, []float32{-inf})},
		{"ReduceLogSumExp", 18, nil, onnx.MustTensor([]int{0, 2}, []float32{}), []int64{0}, onnx.MustTensor([]int{1, 2}, []float32{-inf, -inf})},
		{"ReduceSum", 13, nil, onnx.MustTensor([]int{2, 0, 3, 2}, []float32{}), []int64{1, 3}, onnx.MustTensor([]int{2, 1, 3, 1}, make([]float32, 6))},
	} {
		nd := node(c.op, 1, c.attrs...)
		in := []onnx.Value{c.x}
		if c.axes != nil && c.opset < 18 && c.op != "ReduceSum" {
			nd.Attributes = append(nd.Attributes, attr("axes", c.axes))
		} else if c.axes != nil {
			in = append(in, onnx.MustTensor([]int{len(c.axes)}, c.axes))
		}
		out, err := compute(t, nd, c.opset, in...)
		if err != nil {
			t.Errorf("%s of %v axes %v: %v", c.op, c.x, c.axes, err)
			continue
		}
		if d := differ(out[0], c.want, 1e-6, 0); d != "" {
			t.Errorf("%s of %v axes %v: %s", c.op, c.x, c.axes, d)
		}
	}
}

func TestReduceErrors(t *testing.T) {
	x := onnx.MustTensor([]int{2, 2}, make([]float32, 4))
	for _, c := range []struct {
		op   string
		x    *onnx.Tensor
		axes []int64
		want error
	}{
		{"ReduceSum", x, []int64{2}, onnx.ErrShape},
		{"ReduceSum", x, []int64{-3}, onnx.ErrShape},
		{"ReduceMax", x, []int64{0, -2}, onnx.ErrShape},
		{"ReduceMean", onnx.MustTensor([]int{0, 1}, []int64{}), []int64{0}, onnx.ErrMalformed},
	} {
		n, in := reduceNode(c.op, 18, 1, c.axes, c.x)
		if _, err := compute(t, n, 18, in...); !errors.Is(err, c.want) {
			t.Errorf("%s of %v axes %v: error %v, want %v", c.op, c.x, c.axes, err, c.want)
		}
	}
}

// The sum of a row is the same wherever the row lies: alone, among others,
// and with its elements apart.
func TestReduceRowAlone(t *testing.T) {
	const rows, n = 70, 1003
	r := rand.New(rand.NewPCG(3, 4))
	x := make([]float32, rows*n)
	xT := make([]float32, rows*n)
	for i := range x {
		x[i] = float32(math.Exp(r.NormFloat64() * 20))
		xT[i%n*rows+i/n] = x[i]
	}
	for op := range reduceReferences {
		all := reduceOf(t, op, onnx.MustTensor([]int{rows, n}, x), 1)
		apart := reduceOf(t, op, onnx.MustTensor([]int{n, rows}, xT), 0)
		gathered := reduceOf(t, op, onnx.MustTensor([]int{1, 17, rows, 59}, interleave(x, rows, 17, 59)), 1, 3)
		for i := range rows {
			alone := reduceOf(t, op, onnx.MustTensor([]int{n}, x[i*n:][:n]), 0)[0]
			if math.Float32bits(alone) != math.Float32bits(all[i]) || math.Float32bits(alone) != math.Float32bits(apart[i]) || math.Float32bits(alone) != math.Float32bits(gathered[i]) {
				t.Fatalf("%s: row %d is %v alone, %v among others, %v with its elements apart, %v in two dimensions", op, i, alone, all[i], apart[i], gathered[i])
			}
		}
	}
}

// interleave brings rows of a*b elements to the order [a, rows, b].
func interleave(x []float32, rows, a, b int) []float32 {
	out := make([]float32, len(x))
	for r := range rows {
		for i := range a {
			copy(out[(i*rows+r)*b:][:b], x[(r*a+i)*b:][:b])
		}
	}
	return out
}

func reduceOf(t *testing.T, op string, x *onnx.Tensor, axes ...int64) []float32 {
	t.Helper()
	n, in := reduceNode(op, 18, 0, axes, x)
	out, err := computeKnowing(t, n, 18, knowValue, in)
	if err != nil {
		t.Fatal(err)
	}
	return onnx.Elements[float32](out[0].(*onnx.Tensor))
}

func TestReduceContent(t *testing.T) {
	sym := func(name string) Sym { return Sym{Name: name} }
	for _, c := range []struct {
		kind reduction
		in   []Sym
		want string
	}{
		{reduceProd, []Sym{Int(2), Int(3), Int(-1)}, "-6"},
		{reduceProd, []Sym{Int(1), sym("N"), Int(1)}, "N"},
		{reduceProd, []Sym{Int(2), sym("N")}, ""},
		{reduceProd, []Sym{sym("N"), sym("N")}, ""},
		{reduceSum, []Sym{Int(0), sym("T")}, "T"},
		{reduceSum, []Sym{Int(1), Int(2)}, "3"},
		{reduceSum, []Sym{Int(1), sym("T")}, ""},
		{reduceMax, []Sym{Int(1), Int(7), Int(2)}, "7"},
		{reduceMin, []Sym{Int(1), Int(7), Int(-2)}, "-2"},
		{reduceMin, []Sym{Int(1), sym("T")}, ""},
		{reduceMin, []Sym{sym("T"), Int(1)}, ""},
		{reduceMax, []Sym{sym("T")}, "T"},
	} {
		got := ""
		if r := reduceContent(c.kind, onnx.Int64, &Content{Elems: c.in}, true); r != nil {
			got = r.Elems[0].String()
		}
		if got != c.want {
			t.Errorf("%d of %v: %q, want %q", c.kind, c.in, got, c.want)
		}
	}
}

// steadyAllocs counts the allocations of a kernel's run on an engine that
// gives the same memory each time.
func steadyAllocs(t *testing.T, p *onnx.Node, opset int, in ...onnx.Value) float64 {
	t.Helper()
	c := *p
	scope := (&Analysis{Registry: Default(), Opsets: map[string]int{"": opset}, Limits: onnx.Limits{}.WithDefaults(), Level: testLevel}).NewScope(nil)
	for i, v := range in {
		name := fmt.Sprintf("i%d", i)
		c.Inputs = append(c.Inputs, name)
		scope.Set(name, Info{Type: v.Type()})
	}
	n, err := scope.Node(&c)
	if err != nil {
		t.Fatal(err)
	}
	k, err := n.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	e := &steadyEngine{heap: heap{ctx: t.Context(), node: n}, made: make([]*onnx.Tensor, len(n.out))}
	ctx := NewCtx(e)
	out := make([]onnx.Value, len(n.out))
	ctx.Bind(out)
	return testing.AllocsPerRun(10, func() {
		e.used = 0
		if err := k.Run(ctx, in, out); err != nil {
			t.Fatal(err)
		}
	})
}

type steadyEngine struct {
	heap
	made    []*onnx.Tensor
	scratch [8][]byte
	used    int
}

func (e *steadyEngine) New(i int, d onnx.DataType, shape []int, reuse uint64) (t *onnx.Tensor, err error) {
	if e.made[i] == nil {
		e.made[i], err = e.heap.New(i, d, shape, reuse)
	}
	return e.made[i], err
}

func (e *steadyEngine) Scratch(n int) ([]byte, error) {
	k := e.used
	e.used++
	if len(e.scratch[k]) < n {
		e.scratch[k] = onnx.AlignedBytes(n)
	}
	return e.scratch[k][:n], nil
}

func TestReduceAllocations(t *testing.T) {
	x := onnx.MustTensor([]int{4, 100, 8}, make([]float32, 3200))
	for op := range reduceReferences {
		for _, axes := range [][]int64{{2}, {1}, {0}, {1, 2}} {
			n, in := reduceNode(op, 18, 0, axes, x)
			if a := steadyAllocs(t, n, 18, in...); a != 0 {
				t.Errorf("%s along %v: %v allocations", op, axes, a)
			}
		}
	}
}

func BenchmarkReduceSum(b *testing.B) {
	x := make([]float32, 256*1024)
	mask := [][]bool{{false, true}, {true, false}}
	for i, name := range []string{"rows", "columns"} {
		b.Run(name, func(b *testing.B) {
			c := NewCtx(&heap{ctx: context.Background()})
			in := onnx.MustTensor([]int{256, 1024}, x)
			out := onnx.MustTensor([]int{[]int{256, 1024}[i]}, make([]float32, []int{256, 1024}[i]))
			b.SetBytes(int64(4 * len(x)))
			for b.Loop() {
				if err := reduceFloats[float32](c, &reduceLocal{mask: mask[i]}, reduceSum, in, out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// cutEngine cuts Parallel into seven parts, each on a goroutine of its own.
type cutEngine struct{ heap }

func (e *cutEngine) Parallel(n, _ int, f func(lo, hi int)) {
	var wg sync.WaitGroup
	for lo := 0; lo < n; lo += n/7 + 1 {
		wg.Go(func() { f(lo, min(n, lo+n/7+1)) })
	}
	wg.Wait()
}

func TestThreadsChangeNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	x := make([]float32, 70*130*70)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	in := onnx.MustTensor([]int{70, 130, 70}, x)
	nodes := []*onnx.Node{}
	for axis := range 3 {
		for op := range reduceReferences {
			nodes = append(nodes, node(op, 1, "axes", []int64{int64(axis)}))
		}
		nodes = append(nodes, node("Softmax", 1, "axis", axis), node("LogSoftmax", 1, "axis", axis), node("Hardmax", 1, "axis", axis), node("ArgMax", 1, "axis", axis))
	}
	for _, p := range nodes {
		opset := 13
		if p.OpType == "ReduceSum" {
			opset = 11
		}
		scope := (&Analysis{Registry: Default(), Opsets: map[string]int{"": opset}, Limits: onnx.Limits{}.WithDefaults(), Level: testLevel}).NewScope(nil)
		scope.Set("x", Info{Type: in.Type()})
		p.Inputs = []string{"x"}
		n, err := scope.Node(p)
		if err != nil {
			t.Fatal(err)
		}
		k, err := n.Build(nil)
		if err != nil {
			t.Fatal(err)
		}
		var got [2]onnx.Value
		for i, e := range []Engine{&heap{ctx: t.Context(), node: n}, &cutEngine{heap{ctx: t.Context(), node: n}}} {
			c := NewCtx(e)
			out := make([]onnx.Value, 1)
			c.Bind(out)
			if err := k.Run(c, []onnx.Value{in}, out); err != nil {
				t.Fatal(err)
			}
			got[i] = out[0]
		}
		if string(got[0].(*onnx.Tensor).Bytes()) != string(got[1].(*onnx.Tensor).Bytes()) {
			t.Errorf("%s %v: other bits on other threads", p.OpType, p.Attributes[0])
		}
	}
}

func TestReduceCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	x := onnx.MustTensor([]int{2, 1 << 19}, make([]float32, 1<<20))
	for _, mask := range [][]bool{{false, true}, {true, false}, {true, true}} {
		c := NewCtx(&heap{ctx: ctx})
		y := onnx.MustTensor([]int{1 << 19}, make([]float32, 1<<19))
		for _, kind := range []reduction{reduceSum, reduceMax} {
			if err := reduceFloats[float32](c, &reduceLocal{mask: mask}, kind, x, y); !errors.Is(err, context.Canceled) {
				t.Errorf("%v: error %v", mask, err)
			}
		}
	}
}
