package ops

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/recur-ml/recur/internal/fault"
	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops/internal/kernel"
)

// recurrentCase is a node with inputs, made of float64 numbers that the
// element type holds exactly.
type recurrentCase struct {
	op          string
	opset       int
	elem        onnx.DataType
	t, b, i, h  int
	direction   string // "" leaves the attribute out
	layout      int
	activations []string
	alpha, beta []float32
	clip        float32
	lbr, forget bool
	lens        []int32
	x, w, r     []float64 // layout 0
	bias, h0    []float64 // nil: absent
	c0, p       []float64
	outputs     []bool // which of Y, Y_h, Y_c are wanted
}

func (c *recurrentCase) directions() int {
	if c.direction == "bidirectional" {
		return 2
	}
	return 1
}

var gatesOf = map[string]int{"RNN": 1, "GRU": 3, "LSTM": 4}

// reference computes a case in float64, one row, unit and time step after the
// other, straight from the equations. It gives Y, Y_h and Y_c in layout 0.
func (c *recurrentCase) reference() [3][]float64 {
	D, T, B, I, H, G := c.directions(), c.t, c.b, c.i, c.h, gatesOf[c.op]
	out := [3][]float64{make([]float64, T*D*B*H), make([]float64, D*B*H), make([]float64, D*B*H)}
	perDirection := map[string]int{"RNN": 1, "GRU": 2, "LSTM": 3}[c.op]
	names := c.activations
	if names == nil {
		for range D {
			names = append(names, map[string][]string{"RNN": {"Tanh"}, "GRU": {"Sigmoid", "Tanh"}, "LSTM": {"Sigmoid", "Tanh", "Tanh"}}[c.op]...)
		}
	}
	functions := referenceActivations(names, c.alpha, c.beta)
	for d := range D {
		f := functions[d*perDirection:]
		clip := func(x float64) float64 {
			if c.clip > 0 {
				x = math.Max(-float64(c.clip), math.Min(float64(c.clip), x))
			}
			return x
		}
		at := func(m []float64, i int) float64 {
			if m == nil {
				return 0
			}
			return m[i]
		}
		// dots is the row of sums of a gate without bias.
		dotX := func(gate, u, t, b int) (s float64) {
			for k := range I {
				s += c.x[(t*B+b)*I+k] * c.w[((d*G+gate)*H+u)*I+k]
			}
			return s
		}
		dotH := func(gate, u int, h []float64) (s float64) {
			for k := range H {
				s += h[k] * c.r[((d*G+gate)*H+u)*H+k]
			}
			return s
		}
		wb := func(gate, u int) float64 { return at(c.bias, (d*2*G+gate)*H+u) }
		rb := func(gate, u int) float64 { return at(c.bias, ((d*2+1)*G+gate)*H+u) }
		peep := func(part, u int) float64 { return at(c.p, (d*3+part)*H+u) }
		for b := range B {
			length := T
			if c.lens != nil {
				length = int(c.lens[b])
			}
			h, cell := make([]float64, H), make([]float64, H)
			for u := range H {
				h[u], cell[u] = at(c.h0, (d*B+b)*H+u), at(c.c0, (d*B+b)*H+u)
			}
			for s := range length {
				t := s
				if c.direction == "reverse" || d == 1 {
					t = length - 1 - s
				}
				full := func(gate, u int) float64 { return dotX(gate, u, t, b) + dotH(gate, u, h) + wb(gate, u) + rb(gate, u) }
				newH, newC := make([]float64, H), make([]float64, H)
				switch c.op {
				case "RNN":
					for u := range H {
						newH[u] = f[0](clip(full(0, u)))
					}
				case "GRU":
					rh := make([]float64, H)
					reset := make([]float64, H)
					for u := range H {
						reset[u] = f[0](clip(full(1, u)))
						rh[u] = reset[u] * h[u]
					}
					for u := range H {
						z := f[0](clip(full(0, u)))
						var n float64
						if c.lbr {
							n = f[1](clip(dotX(2, u, t, b) + wb(2, u) + reset[u]*(dotH(2, u, h)+rb(2, u))))
						} else {
							n = f[1](clip(dotX(2, u, t, b) + wb(2, u) + dotH(2, u, rh) + rb(2, u)))
						}
						newH[u] = (1-z)*n + z*h[u]
					}
				case "LSTM":
					for u := range H {
						i := f[0](clip(full(0, u) + peep(0, u)*cell[u]))
						forget := 1 - i
						if !c.forget {
							forget = f[0](clip(full(2, u) + peep(2, u)*cell[u]))
						}
						g := f[1](clip(full(3, u)))
						newC[u] = forget*cell[u] + i*g
						o := f[0](clip(full(1, u) + peep(1, u)*newC[u]))
						newH[u] = o * f[2](newC[u])
					}
				}
				h, cell = newH, newC
				copy(out[0][((t*D+d)*B+b)*H:], h)
			}
			if length > 0 {
				copy(out[1][(d*B+b)*H:], h)
				copy(out[2][(d*B+b)*H:], cell)
			}
		}
	}
	return out
}

func referenceActivations(names []string, alpha, beta []float32) (out []func(float64) float64) {
	take := func(list *[]float32, def float32) float64 {
		if len(*list) == 0 {
			return float64(def)
		}
		v := (*list)[0]
		*list = (*list)[1:]
		return float64(v)
	}
	for _, name := range names {
		var f func(float64) float64
		switch strings.ToLower(name) {
		case "relu":
			f = func(x float64) float64 { return math.Max(0, x) }
		case "tanh":
			f = math.Tanh
		case "sigmoid":
			f = func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
		case "affine":
			a, b := take(&alpha, 1), take(&beta, 0)
			f = func(x float64) float64 { return a*x + b }
		case "leakyrelu":
			a := take(&alpha, 0.01)
			f = func(x float64) float64 { return math.Max(x, 0) + a*math.Min(x, 0) }
		case "thresholdedrelu":
			a := take(&alpha, 1)
			f = func(x float64) float64 {
				if x > a {
					return x
				}
				return 0
			}
		case "scaledtanh":
			a, b := take(&alpha, 1), take(&beta, 1)
			f = func(x float64) float64 { return a * math.Tanh(b*x) }
		case "hardsigmoid":
			a, b := take(&alpha, 0.2), take(&beta, 0.5)
			f = func(x float64) float64 { return math.Min(math.Max(a*x+b, 0), 1) }
		case "elu":
			a := take(&alpha, 1)
			f = func(x float64) float64 {
				if x >= 0 {
					return x
				}
				return a * (math.Exp(x) - 1)
			}
		case "softsign":
			f = func(x float64) float64 { return x / (1 + math.Abs(x)) }
		case "softplus":
			f = func(x float64) float64 { return math.Log(1 + math.Exp(x)) }
		}
		out = append(out, f)
	}
	return out
}

// numbers makes a tensor of the case's element type.
func (c *recurrentCase) tensor(data []float64, shape ...int) onnx.Value {
	if data == nil {
		return nil
	}
	t, err := onnx.NewZeros(c.elem, shape)
	if err != nil {
		panic(err)
	}
	switch c.elem {
	case onnx.Double:
		copy(onnx.Elements[float64](t), data)
	case onnx.Float:
		for i, v := range data {
			onnx.Elements[float32](t)[i] = float32(v)
		}
	default:
		f := make([]float32, len(data))
		for i, v := range data {
			f[i] = float32(v)
		}
		NarrowTo(t, f)
	}
	return t
}

// swap moves data of shape [a, b, n] to [b, a, n].
func swap(data []float64, a, b, n int) []float64 {
	if data == nil {
		return nil
	}
	out := make([]float64, len(data))
	for i := range a {
		for j := range b {
			copy(out[(j*a+i)*n:][:n], data[(i*b+j)*n:])
		}
	}
	return out
}

// node gives the case as a node and its inputs.
func (c *recurrentCase) node() (*onnx.Node, []onnx.Value) {
	D, G := c.directions(), gatesOf[c.op]
	attrs := []any{"hidden_size", c.h}
	set := func(ok bool, name string, v any) {
		if ok {
			attrs = append(attrs, name, v)
		}
	}
	set(c.direction != "", "direction", c.direction)
	set(c.layout != 0, "layout", c.layout)
	set(c.activations != nil, "activations", c.activations)
	set(c.alpha != nil, "activation_alpha", c.alpha)
	set(c.beta != nil, "activation_beta", c.beta)
	set(c.clip > 0, "clip", c.clip)
	set(c.lbr, "linear_before_reset", 7)
	set(c.forget, "input_forget", 1)
	n := node(c.op, len(c.outputs), attrs...)
	for i, want := range c.outputs {
		if !want {
			n.Outputs[i] = ""
		}
	}
	x, h0, c0 := c.tensor(c.x, c.t, c.b, c.i), c.tensor(c.h0, D, c.b, c.h), c.tensor(c.c0, D, c.b, c.h)
	if c.layout == 1 {
		x = c.tensor(swap(c.x, c.t, c.b, c.i), c.b, c.t, c.i)
		h0 = c.tensor(swap(c.h0, D, c.b, c.h), c.b, D, c.h)
		c0 = c.tensor(swap(c.c0, D, c.b, c.h), c.b, D, c.h)
	}
	in := []onnx.Value{x, c.tensor(c.w, D, G*c.h, c.i), c.tensor(c.r, D, G*c.h, c.h), c.tensor(c.bias, D, 2*G*c.h), nil, h0}
	if c.lens != nil {
		in[inLens] = onnx.MustTensor([]int{c.b}, c.lens)
	}
	if c.op == "LSTM" {
		in = append(in, c0, c.tensor(c.p, D, 3*c.h))
	}
	return n, in
}

// want gives the expected outputs as tensors.
func (c *recurrentCase) want() []onnx.Value {
	ref, D := c.reference(), c.directions()
	var out []onnx.Value
	for i, wanted := range c.outputs {
		var v onnx.Value
		switch {
		case !wanted:
		case i == outY && c.layout == 1: // [T, D, B, H] to [B, T, D, H]
			v = c.tensor(swap(ref[i], c.t*D, c.b, c.h), c.b, c.t, D, c.h)
		case i == outY:
			v = c.tensor(ref[i], c.t, D, c.b, c.h)
		case c.layout == 1:
			v = c.tensor(swap(ref[i], D, c.b, c.h), c.b, D, c.h)
		default:
			v = c.tensor(ref[i], D, c.b, c.h)
		}
		out = append(out, v)
	}
	return out
}

// randomCase draws a case over the whole contract.
func randomCase(rng *rand.Rand) *recurrentCase {
	maybe := func() bool { return rng.IntN(2) == 0 }
	pick := func(s ...string) string { return s[rng.IntN(len(s))] }
	c := &recurrentCase{
		op: pick("RNN", "GRU", "LSTM"), opset: []int{1, 7, 14, 22}[rng.IntN(4)],
		elem: []onnx.DataType{onnx.Float, onnx.Float, onnx.Double, onnx.Double, onnx.Float16, onnx.BFloat16}[rng.IntN(6)],
		t:    rng.IntN(7), b: rng.IntN(11), i: rng.IntN(9), h: 1 + rng.IntN(20),
		direction: pick("", "forward", "reverse", "bidirectional"),
	}
	if rng.IntN(20) > 0 {
		c.t, c.b = 1+c.t, 1+c.b
	}
	if c.op == "GRU" && c.opset == 1 && maybe() {
		c.opset = 3
	}
	if c.elem == onnx.BFloat16 {
		c.opset = 22
	}
	c.layout = rng.IntN(2)
	if c.opset < 14 {
		c.layout = 0
	}
	D, G := c.directions(), gatesOf[c.op]
	if maybe() {
		n := D * map[string]int{"RNN": 1, "GRU": 2, "LSTM": 3}[c.op]
		for range n {
			c.activations = append(c.activations, pick("Relu", "Tanh", "Sigmoid", "Affine", "LeakyRelu", "ThresholdedRelu", "ScaledTanh", "HardSigmoid", "Elu", "Softsign", "Softplus", "tanh", "SIGMOID"))
		}
		for range rng.IntN(n + 2) {
			c.alpha = append(c.alpha, rng.Float32())
		}
		for range rng.IntN(n + 2) {
			c.beta = append(c.beta, rng.Float32()/2)
		}
	}
	if maybe() {
		c.clip = 0.1 + rng.Float32()
	}
	c.lbr = c.op == "GRU" && c.opset >= 3 && maybe()
	c.forget = c.op == "LSTM" && maybe()
	random := func(n int, scale float64) []float64 {
		s := make([]float64, n)
		for i := range s {
			v := float32(rng.NormFloat64() * scale)
			s[i] = float64(onnx.ToBF16(v).Float32()) // what every type holds
			if c.elem == onnx.Double {
				s[i] = rng.NormFloat64() * scale
			}
		}
		return s
	}
	scale := 1 / math.Sqrt(float64(c.i+c.h))
	c.x, c.w, c.r = random(c.t*c.b*c.i, 1), random(D*G*c.h*c.i, scale), random(D*G*c.h*c.h, scale)
	if maybe() {
		c.bias = random(D*2*G*c.h, 0.5)
	}
	if maybe() {
		c.h0 = random(D*c.b*c.h, 1)
	}
	if c.op == "LSTM" && maybe() {
		c.c0 = random(D*c.b*c.h, 1)
	}
	if c.op == "LSTM" && maybe() {
		c.p = random(D*3*c.h, 0.5)
	}
	if maybe() {
		c.lens = make([]int32, c.b)
		for b := range c.lens {
			c.lens[b] = int32(rng.IntN(c.t + 1))
			for t := int(c.lens[b]); t < c.t; t++ {
				for k := range c.i {
					c.x[(t*c.b+b)*c.i+k] = []float64{math.NaN(), math.Inf(1), math.Inf(-1)}[rng.IntN(3)]
				}
			}
		}
	}
	c.outputs = make([]bool, map[string]int{"RNN": 2, "GRU": 2, "LSTM": 3}[c.op])
	for i := range c.outputs {
		c.outputs[i] = rng.IntN(4) > 0
	}
	c.outputs[rng.IntN(len(c.outputs))] = true
	if c.op == "GRU" && c.opset == 1 {
		c.outputs[outH] = true
	}
	return c
}

func (c *recurrentCase) String() string {
	return fmt.Sprintf("%s-%d %v T=%d B=%d I=%d H=%d %s layout=%d activations=%v alpha=%v beta=%v clip=%v lbr=%v forget=%v lens=%v bias=%v h0=%v c0=%v p=%v outputs=%v",
		c.op, c.opset, c.elem, c.t, c.b, c.i, c.h, c.direction, c.layout, c.activations, c.alpha, c.beta, c.clip, c.lbr, c.forget, c.lens,
		c.bias != nil, c.h0 != nil, c.c0 != nil, c.p != nil, c.outputs)
}

// tolerance is relative and absolute: what the activations' jumps and slopes
// make of rounding.
func (c *recurrentCase) tolerance() float64 {
	switch c.elem {
	case onnx.Double:
		return 1e-9
	case onnx.Float:
		return 1e-4
	case onnx.Float16:
		return 4e-3
	}
	return 2e-2
}

// TestRecurrent holds random cases against the reference, and the inputs
// against what they were.
func TestRecurrent(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 11))
	compared := 0
	for compared < 1000 {
		c := randomCase(rng)
		n, in := c.node()
		before := make([][]byte, len(in))
		for i, v := range in {
			if v != nil {
				before[i] = slices.Clone(tensorOf(v).Bytes())
			}
		}
		got, err := compute(t, n, c.opset, in...)
		if err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		if c.unsteady() {
			continue
		}
		compared++
		for i, want := range c.want() {
			if want == nil {
				if got[i] != nil {
					t.Errorf("%v: output %d was computed", c, i)
				}
				continue
			}
			if d := differ(got[i], want, c.tolerance(), c.tolerance()); d != "" {
				t.Errorf("%v: output %d: %s", c, i, d)
			}
		}
		for i, v := range in {
			if v != nil && string(tensorOf(v).Bytes()) != string(before[i]) {
				t.Errorf("%v: input %d was written to", c, i)
			}
		}
		if t.Failed() {
			return
		}
	}
}

// unsteady reports whether rounding may change more than the last digits: at
// the jump of ThresholdedRelu, and where the states grow from step to step.
func (c *recurrentCase) unsteady() bool {
	for _, out := range c.reference() {
		for _, v := range out {
			if !(math.Abs(v) < 100) {
				return true
			}
		}
	}
	return c.elem != onnx.Double && slices.Contains(c.activations, "ThresholdedRelu")
}

// runner runs a built node again and again on one engine, as a session does.
type runner struct {
	n *Node
	k Kernel
	e *heap
	c *Ctx
}

// TestRecurrentUnfitting: what does not fit weights packed at load is refused as
// it is beside others, and the next run is right.
func TestRecurrentUnfitting(t *testing.T) {
	f := func(shape ...int) onnx.Value { return random32(1, shape...) }
	in := append(benchmarkInputs("LSTM", 5, 3, 4, 6), onnx.MustTensor([]int{3}, []int32{5, 2, 1}), f(1, 3, 6), f(1, 3, 6))
	r := newRunner(t, node("LSTM", 3, "hidden_size", 6), 14, in, true)
	want := r.run(t, in)
	half, _ := onnx.NewZeros(onnx.Float16, []int{5, 3, 4})
	for _, c := range []struct {
		at   int
		v    onnx.Value
		want error
	}{
		{inX, f(5, 3, 7), onnx.ErrShape},
		{inX, f(5, 3), onnx.ErrShape},
		{inX, half, onnx.ErrType},
		{inLens, onnx.MustTensor([]int{3}, []int64{5, 2, 1}), onnx.ErrType},
		{inLens, onnx.MustTensor([]int{2}, []int32{5, 2}), onnx.ErrShape},
		{inLens, onnx.MustTensor([]int{3, 1}, []int32{5, 2, 1}), onnx.ErrShape},
		{inH, f(1, 2, 6), onnx.ErrShape},
		{inH, f(3, 1, 6), onnx.ErrShape},
		{inC, f(1, 3, 5), onnx.ErrShape},
		{inC, onnx.MustTensor([]int{1, 3, 6}, make([]float64, 18)), onnx.ErrType},
	} {
		bad := append([]onnx.Value(nil), in...)
		bad[c.at] = c.v
		r.c.Bind(make([]onnx.Value, 3))
		if err := r.k.Run(r.c, bad, nil); !errors.Is(err, c.want) {
			t.Errorf("%s %v: error %v, want %v", recurrentInputNames[c.at], c.v, err, c.want)
		}
		for k, got := range r.run(t, in) {
			if string(tensorOf(got).Bytes()) != string(tensorOf(want[k]).Bytes()) {
				t.Errorf("after %s %v: output %d: not the same bits", recurrentInputNames[c.at], c.v, k)
			}
		}
	}
}

func newRunner(t testing.TB, p *onnx.Node, opset int, in []onnx.Value, constants bool) *runner {
	t.Helper()
	a := &Analysis{Registry: Default(), Opsets: map[string]int{p.Domain: opset, "": opset}, Limits: onnx.Limits{}.WithDefaults(), Level: testLevel, HalfWeights: testHalf}
	scope := a.NewScope(nil)
	c := *p
	c.Inputs = nil
	for i, v := range in {
		if v == nil {
			c.Inputs = append(c.Inputs, "")
			continue
		}
		c.Inputs = append(c.Inputs, fmt.Sprintf("i%d", i))
		info := Info{Type: v.Type()}
		if constants && (i >= inW && i <= inB || i >= inP) {
			info = ConstInfo(v)
		}
		scope.Set(c.Inputs[i], info)
	}
	n, err := scope.Node(&c)
	if err != nil {
		t.Fatal(err)
	}
	k, err := n.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &runner{n: n, k: k}
	r.e = &heap{ctx: context.Background(), node: n, stacks: map[int]*Stack{}}
	r.c = NewCtx(r.e)
	return r
}

func (r *runner) run(t testing.TB, in []onnx.Value) []onnx.Value {
	t.Helper()
	out := make([]onnx.Value, len(r.n.out))
	r.c.Bind(out)
	if err := r.k.Run(r.c, in, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// cutting is an engine whose Parallel cuts as finely as it may and runs the
// parts at the same time.
type cutting struct{ *heap }

func (cutting) Parallel(n, _ int, f func(lo, hi int)) {
	done := make(chan struct{})
	for i := range n {
		go func() { f(i, i+1); done <- struct{}{} }()
	}
	for range n {
		<-done
	}
}

// full draws a case with every feature that its operator has, large enough for
// tiles, tails and several blocks.
func full(op string, elem onnx.DataType, rng *rand.Rand, t, b int) *recurrentCase {
	for {
		c := randomCase(rng)
		if c.op != op || c.elem != elem || c.bias == nil || c.h0 == nil || c.t == 0 || c.lens != nil {
			continue
		}
		if op == "LSTM" && (c.c0 == nil || c.p == nil) {
			continue
		}
		for i := range c.outputs {
			c.outputs[i] = true
		}
		grow := func(s []float64, n int) []float64 {
			s = s[:0]
			for range n {
				s = append(s, float64(float32(rng.NormFloat64())))
			}
			return s
		}
		c.t, c.b = t, b
		D := c.directions()
		c.x, c.h0 = grow(c.x, t*b*c.i), grow(c.h0, D*b*c.h)
		if op == "LSTM" {
			c.c0 = grow(c.c0, D*b*c.h)
		}
		return c
	}
}

// forEachFull runs a test for each operator in float32 and float64, several
// times.
func forEachFull(t *testing.T, f func(t *testing.T, op string, elem onnx.DataType, rng *rand.Rand)) {
	for _, op := range []string{"RNN", "GRU", "LSTM"} {
		for _, elem := range []onnx.DataType{onnx.Float, onnx.Double} {
			t.Run(fmt.Sprintf("%s/%v", op, elem), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(3, 5))
				for range 12 {
					f(t, op, elem, rng)
				}
			})
		}
	}
}

func (c *recurrentCase) run(t *testing.T) []onnx.Value {
	t.Helper()
	n, in := c.node()
	return newRunner(t, n, c.opset, in, true).run(t, in)
}

// TestRecurrentSteps: one call of T steps is T calls of one step, to the bit.
func TestRecurrentSteps(t *testing.T) {
	forEachFull(t, func(t *testing.T, op string, elem onnx.DataType, rng *rand.Rand) {
		c := full(op, elem, rng, 1+rng.IntN(9), 1+rng.IntN(6))
		c.direction, c.layout = []string{"forward", "reverse"}[rng.IntN(2)], 0
		c.activations = nil
		c.w, c.r = c.w[:gatesOf[op]*c.h*c.i], c.r[:gatesOf[op]*c.h*c.h]
		c.bias, c.h0 = c.bias[:2*gatesOf[op]*c.h], c.h0[:c.b*c.h]
		if op == "LSTM" {
			c.c0, c.p = c.c0[:c.b*c.h], c.p[:3*c.h]
		}
		whole := c.run(t)
		step := *c
		step.t = 1
		state := []onnx.Value{nil, nil}
		for s := range c.t {
			at := s
			if c.direction == "reverse" {
				at = c.t - 1 - s
			}
			step.x = c.x[at*c.b*c.i:][:c.b*c.i]
			n, in := step.node()
			if s > 0 {
				in[inH] = state[0]
				if op == "LSTM" {
					in[inC] = state[1]
				}
			}
			out := newRunner(t, n, c.opset, in, true).run(t, in)
			copy(state, out[1:])
			y, _ := onnx.NewZeros(elem, []int{1, 1, c.b, c.h})
			size := len(y.Bytes())
			copy(y.Bytes(), tensorOf(whole[outY]).Bytes()[at*size:])
			sameBits(t, c, fmt.Sprintf("Y of step %d", s), out[outY], y)
		}
		for i := range state[:len(whole)-1] {
			sameBits(t, c, fmt.Sprintf("state %d", i), state[i], whole[1+i])
		}
	})
}

func sameBits(t *testing.T, c *recurrentCase, what string, got, want onnx.Value) {
	t.Helper()
	if string(tensorOf(got).Bytes()) != string(tensorOf(want).Bytes()) {
		t.Errorf("%v: %s: not the same bits", c, what)
	}
}

// TestRecurrentRows: a row of a ragged batch of 32 gives what it gives alone,
// to the bit.
func TestRecurrentRows(t *testing.T) {
	forEachFull(t, func(t *testing.T, op string, elem onnx.DataType, rng *rand.Rand) {
		c := full(op, elem, rng, 1+rng.IntN(12), 32)
		c.layout = 0
		c.lens = make([]int32, c.b)
		for b := range c.lens {
			c.lens[b] = int32(rng.IntN(c.t + 1))
		}
		batch := c.run(t)
		D := c.directions()
		column := func(data []float64, outer, n, b int) []float64 {
			out := []float64{}
			for i := range outer {
				out = append(out, data[(i*c.b+b)*n:][:n]...)
			}
			return out
		}
		for b := range c.b {
			row := *c
			row.b, row.lens = 1, c.lens[b:b+1]
			row.x, row.h0 = column(c.x, c.t, c.i, b), column(c.h0, D, c.h, b)
			if op == "LSTM" {
				row.c0 = column(c.c0, D, c.h, b)
			}
			for i, got := range row.run(t) {
				outer := D
				if i == outY {
					outer *= c.t
				}
				all := float64s(tensorOf(batch[i]))
				sameBits(t, c, fmt.Sprintf("output %d of row %d", i, b), got, c.tensor(column(all, outer, c.h, b), tensorOf(got).Shape()...))
			}
		}
	})
}

// TestRecurrentThreads: however the work is cut, the bits are the same.
func TestRecurrentThreads(t *testing.T) {
	defer func(n int) { threadWork = n }(threadWork)
	threadWork = 0
	forEachFull(t, func(t *testing.T, op string, elem onnx.DataType, rng *rand.Rand) {
		c := full(op, elem, rng, 1+rng.IntN(12), 1+rng.IntN(30))
		if rng.IntN(2) == 0 {
			c.lens = make([]int32, c.b)
			for b := range c.lens {
				c.lens[b] = int32(rng.IntN(c.t + 1))
			}
		}
		n, in := c.node()
		one := newRunner(t, n, c.opset, in, true).run(t, in)
		cut := newRunner(t, n, c.opset, in, true)
		cut.c = NewCtx(&cutting{cut.e})
		many := cut.run(t, in)
		for i := range one {
			sameBits(t, c, fmt.Sprintf("output %d", i), many[i], one[i])
		}
	})
}

// TestRecurrentBlocks: a run of many blocks of time steps gives what the
// reference gives, and a second run on the same frame gives the same.
func TestRecurrentBlocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 17))
	for _, op := range []string{"RNN", "GRU", "LSTM"} {
		c := full(op, onnx.Double, rng, 700, 3)
		c.activations, c.layout = nil, 0
		c.lens = []int32{650, 0, 690}
		n, in := c.node()
		r := newRunner(t, n, c.opset, in, true)
		first := r.run(t, in)
		for i, want := range c.want() {
			if d := differ(first[i], want, 1e-9, 1e-9); d != "" {
				t.Errorf("%v: output %d: %s", c, i, d)
			}
		}
		for i, again := range r.run(t, in) {
			sameBits(t, c, fmt.Sprintf("output %d of a second run", i), again, first[i])
		}
	}
}

// TestRecurrentForgetRows: with input_forget nobody reads the f rows of W, R, B
// and P.
func TestRecurrentForgetRows(t *testing.T) {
	c := full("LSTM", onnx.Double, rand.New(rand.NewPCG(2, 3)), 4, 3)
	c.forget, c.activations = true, nil
	want := c.want()
	for d := range c.directions() {
		spoil := func(m []float64, at, n int) {
			for i := range m[at:][:n] {
				m[at+i] = math.NaN()
			}
		}
		spoil(c.w, (d*4+lstmF)*c.h*c.i, c.h*c.i)
		spoil(c.r, (d*4+lstmF)*c.h*c.h, c.h*c.h)
		spoil(c.bias, (d*8+lstmF)*c.h, c.h)
		spoil(c.bias, (d*8+4+lstmF)*c.h, c.h)
		spoil(c.p, (d*3+lstmPf)*c.h, c.h)
	}
	for i, got := range c.run(t) {
		if d := differ(got, want[i], 1e-9, 1e-9); d != "" {
			t.Errorf("output %d: %s", i, d)
		}
	}
}

// TestRecurrentDefaults works a few values by hand: absent hidden_size, RNN's
// two default names, letter case, the misspelt direction, lists of numbers
// that are too long.
func TestRecurrentDefaults(t *testing.T) {
	x := onnx.MustTensor([]int{1, 1, 1}, []float32{2})
	w := onnx.MustTensor([]int{1, 1, 1}, []float32{0.5})
	zero := onnx.MustTensor([]int{1, 1, 1}, []float32{0})
	tests := []struct {
		name  string
		opset int
		attrs []any
		want  float32
	}{
		{"defaults", 22, nil, float32(math.Tanh(1))},
		{"two names", 7, []any{"activations", []string{"Relu", "Tanh"}}, 1},
		{"affine without numbers", 14, []any{"activations", []string{"affine"}}, 1},
		{"affine", 14, []any{"activations", []string{"AFFINE"}, "activation_alpha", []float32{3, 9}, "activation_beta", []float32{0.5, 9, 9}}, 3.5},
		{"no alpha for tanh", 14, []any{"activations", []string{"Tanh", "LeakyRelu"}, "activation_alpha", []float32{3}}, float32(math.Tanh(1))},
		{"threshold is not above itself", 22, []any{"activations", []string{"ThresholdedRelu"}}, 0},
		{"output_sequence", 1, []any{"output_sequence", 1}, float32(math.Tanh(1))},
		{"clip", 1, []any{"clip", 0.25, "activations", []string{"Relu"}}, 0.25},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := compute(t, node("RNN", 2, tt.attrs...), tt.opset, x, w, zero)
			if err != nil {
				t.Fatal(err)
			}
			want := onnx.MustTensor([]int{1, 1, 1, 1}, []float32{tt.want})
			if d := differ(out[0], want, 1e-6, 0); d != "" {
				t.Error(d)
			}
		})
	}
	gates := onnx.MustTensor([]int{1, 3, 1}, []float32{0, 0, 1})
	if _, err := compute(t, node("GRU", 2, "direction", "foward"), 1, x, gates, gates); err != nil {
		t.Errorf("GRU-1, direction foward: %v", err)
	}
	if _, err := compute(t, node("GRU", 2, "direction", "foward"), 3, x, gates, gates); err == nil {
		t.Error("GRU-3, direction foward: want an error")
	}
}

// TestRecurrentMixedNumbers: alphas and betas go to those that take them, over
// both directions.
func TestRecurrentMixedNumbers(t *testing.T) {
	n := &Node{Proto: node("RNN", 1, "activations", []string{"Tanh", "LeakyRelu", "Affine", "HardSigmoid"},
		"activation_alpha", []float32{0.5, 2}, "activation_beta", []float32{0.25})}
	got, err := parseActivations(n, []string{"Sigmoid", "Tanh"}, 2)
	want := []activation{{"Tanh", 0, 0}, {"LeakyRelu", 0.5, 0}, {"Affine", 2, 0.25}, {"HardSigmoid", 0.2, 0.5}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestRecurrentRefusals(t *testing.T) {
	zeros := func(d onnx.DataType, shape ...int) onnx.Value {
		v, err := onnx.NewZeros(d, shape)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	f := func(shape ...int) onnx.Value { return zeros(onnx.Float, shape...) }
	lens := func(v ...int32) onnx.Value { return onnx.MustTensor([]int{len(v)}, v) }
	lstm := func(change map[int]onnx.Value) []onnx.Value {
		in := []onnx.Value{f(7, 4, 2), f(1, 12, 2), f(1, 12, 3), f(1, 24), lens(7, 0, 3, 7), f(1, 4, 3), f(1, 4, 3), f(1, 9)}
		for i, v := range change {
			in[i] = v
		}
		return in
	}
	tests := []struct {
		name  string
		attrs []any
		in    map[int]onnx.Value
		kind  error
		text  string
	}{
		{"W", []any{"hidden_size", 3}, map[int]onnx.Value{inW: f(1, 8, 2)}, onnx.ErrShape, "W has shape [1 8 2], want [1 12 2] (4*hidden_size=12, input_size=2)"},
		{"W's input size", nil, map[int]onnx.Value{inW: f(1, 12, 5)}, onnx.ErrShape, "W has shape [1 12 5], want [1 12 2] (4*hidden_size=12, input_size=2)"},
		{"W's rank", nil, map[int]onnx.Value{inW: f(12, 2)}, onnx.ErrShape, "W has shape [12 2], want [1 12 2] (num_directions=1, 4*hidden_size=12, input_size=2)"},
		{"R", []any{"hidden_size", 3}, map[int]onnx.Value{inR: f(1, 12, 2)}, onnx.ErrShape, "R has shape [1 12 2], want [1 12 3] (4*hidden_size=12, hidden_size=3)"},
		{"hidden_size against R", []any{"hidden_size", 2}, nil, onnx.ErrShape, "W has shape [1 12 2], want [1 8 2] (4*hidden_size=8, input_size=2)"},
		{"B", nil, map[int]onnx.Value{inB: f(1, 12)}, onnx.ErrShape, "B has shape [1 12], want [1 24] (8*hidden_size=24)"},
		{"P", nil, map[int]onnx.Value{inP: f(1, 8)}, onnx.ErrShape, "P has shape [1 8], want [1 9] (3*hidden_size=9)"},
		{"lengths", nil, map[int]onnx.Value{inLens: lens(7, 0, 3, 9)}, onnx.ErrShape, "sequence_lens[3] = 9, want 0..7"},
		{"negative length", nil, map[int]onnx.Value{inLens: lens(7, -1, 3, 7)}, onnx.ErrShape, "sequence_lens[1] = -1, want 0..7"},
		{"number of lengths", nil, map[int]onnx.Value{inLens: lens(7, 7)}, onnx.ErrShape, "sequence_lens has shape [2], want [4] (batch_size=4)"},
		{"type of lengths", nil, map[int]onnx.Value{inLens: zeros(onnx.Int64, 4)}, onnx.ErrType, "int64"},
		{"initial_h", nil, map[int]onnx.Value{inH: f(4, 1, 3)}, onnx.ErrShape, "initial_h has shape [4 1 3], want [1 4 3] (num_directions=1, batch_size=4, hidden_size=3)"},
		{"initial_c", nil, map[int]onnx.Value{inC: f(1, 4, 4)}, onnx.ErrShape, "initial_c has shape [1 4 4], want [1 4 3] (batch_size=4, hidden_size=3)"},
		{"initial_h in layout 1", []any{"layout", 1}, map[int]onnx.Value{inLens: zeros(onnx.Int32, 7)}, onnx.ErrShape, "initial_h has shape [1 4 3], want [7 1 3] (batch_size=7, num_directions=1, hidden_size=3)"},
		{"directions", []any{"direction", "bidirectional"}, nil, onnx.ErrShape, "W has shape [1 12 2], want [2 12 2] (num_directions=2, 4*hidden_size=12, input_size=2)"},
		{"types", nil, map[int]onnx.Value{inR: zeros(onnx.Double, 1, 12, 3)}, onnx.ErrType, ""},
		{"scalar", nil, map[int]onnx.Value{inX: f()}, onnx.ErrShape, "X has shape []"},
		{"no units", nil, map[int]onnx.Value{inW: f(1, 0, 2), inR: f(1, 0, 0), inB: f(1, 0)}, onnx.ErrShape, "want a hidden_size of 1.."},
		{"absurd units", nil, map[int]onnx.Value{inR: f(1, 0, math.MaxInt/2+1)}, onnx.ErrShape, "want a hidden_size of 1.."},
		{"hidden_size", []any{"hidden_size", 0}, nil, onnx.ErrMalformed, "hidden_size is 0"},
		{"clip", []any{"clip", 0.0}, nil, onnx.ErrMalformed, "clip is 0, want a number above 0"},
		{"clip NaN", []any{"clip", math.NaN()}, nil, onnx.ErrMalformed, "clip is NaN"},
		{"layout", []any{"layout", 2}, nil, onnx.ErrMalformed, "layout is 2"},
		{"direction", []any{"direction", "Forward"}, nil, onnx.ErrMalformed, `direction is "Forward", want forward, reverse or bidirectional`},
		{"few activations", []any{"activations", []string{"Tanh"}}, nil, onnx.ErrMalformed, "activations has 1 names, want 3 (3 for each direction)"},
		{"many activations", []any{"activations", []string{"Tanh", "Tanh", "Tanh", "Tanh"}}, nil, onnx.ErrMalformed, "activations has 4 names"},
		{"unknown activation", []any{"activations", []string{"Tanh", "Swish", "Tanh"}}, nil, onnx.ErrMalformed, `activations: "Swish", want one of Relu, Tanh, Sigmoid, Affine`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := compute(t, node("LSTM", 3, tt.attrs...), 14, lstm(tt.in)...)
			if err == nil || !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v, want %v: %q", err, tt.kind, tt.text)
			}
		})
	}
	if _, err := compute(t, node("LSTM", 3), 14, lstm(nil)...); err != nil {
		t.Errorf("without a change: %v", err)
	}
}

func TestRecurrentLimits(t *testing.T) {
	c := full("GRU", onnx.Float, rand.New(rand.NewPCG(1, 1)), 9, 2)
	n, in := c.node()
	r := newRunner(t, n, c.opset, in, true)
	out := make([]onnx.Value, 2)
	r.c.Bind(out)
	r.e.limits.TimeSteps = 8
	if err := r.k.Run(r.c, in, out); !errors.Is(err, onnx.ErrLimit) || !strings.Contains(err.Error(), "time steps: 9 exceeds the limit of 8") {
		t.Errorf("got %v, want a limit of 8 time steps", err)
	}
	r.e.limits.TimeSteps, r.e.limits.RunBytes = 0, 100
	if err := r.k.Run(r.c, in, out); !errors.Is(err, onnx.ErrLimit) {
		t.Errorf("got %v, want the memory limit", err)
	}
	r.e.limits.RunBytes = 0
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.e.ctx = ctx
	if err := r.k.Run(r.c, in, out); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// impatient is an engine whose run is cancelled after some looks.
type impatient struct {
	*pooled
	left int
}

func (e *impatient) Err() error {
	if e.left--; e.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestRecurrentCancel: a run stops between two steps.
func TestRecurrentCancel(t *testing.T) {
	f := func(shape ...int) onnx.Value {
		v, err := onnx.NewZeros(onnx.Float, shape)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	in := []onnx.Value{f(100_000, 2, 32), f(1, 128, 32), f(1, 128, 32)}
	r := newRunner(t, node("LSTM", 0), 14, in, true)
	e := &impatient{pooled: &pooled{heap: r.e}, left: 10}
	if err := r.k.Run(NewCtx(e), in, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if e.left < -3 {
		t.Errorf("%d looks after the cancellation", -e.left-1)
	}
}

// TestRecurrentEmpty: no steps, no rows, no inputs.
func TestRecurrentEmpty(t *testing.T) {
	for _, op := range []string{"RNN", "GRU", "LSTM"} {
		for _, size := range [][3]int{{0, 3, 2}, {4, 0, 2}, {0, 0, 0}, {4, 3, 0}} {
			for layout := range 2 {
				T, B, I := size[0], size[1], size[2]
				rng := rand.New(rand.NewPCG(1, 9))
				c := full(op, onnx.Float, rng, T, B)
				c.opset, c.layout, c.i, c.activations = 14, layout, I, nil
				c.x, c.w = make([]float64, T*B*I), make([]float64, c.directions()*gatesOf[op]*c.h*I)
				n, in := c.node()
				got, err := compute(t, n, c.opset, in...)
				if err != nil {
					t.Fatalf("%v: %v", c, err)
				}
				for i, want := range c.want() {
					if d := differ(got[i], want, 1e-5, 1e-5); d != "" {
						t.Errorf("%v: output %d: %s", c, i, d)
					}
				}
			}
		}
	}
}

// TestRecurrentSwitches: with a behaviour switched off, random cases differ.
func TestRecurrentSwitches(t *testing.T) {
	for _, s := range fault.Recurrent() {
		t.Run(string(s), func(t *testing.T) {
			restore := fault.Throw(s)
			defer restore()
			rng := rand.New(rand.NewPCG(7, 11))
			for range 300 {
				c := randomCase(rng)
				if c.elem != onnx.Double || c.unsteady() {
					continue
				}
				n, in := c.node()
				out, err := computeKnowing(t, n, c.opset, knowValue, in)
				if err != nil {
					return
				}
				for i, want := range c.want() {
					if want != nil && differ(out[i], want, 1e-6, 1e-6) != "" {
						return
					}
				}
			}
			t.Error("no case differs")
		})
	}
}

// TestRecurrentAllocations: a run takes nothing from the garbage collector but
// what the engine gives it.
func TestRecurrentAllocations(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 4))
	for _, op := range []string{"RNN", "GRU", "LSTM"} {
		for i := range 4 {
			ragged, constants := i%2 == 1, i/2 == 1
			c := full(op, onnx.Float, rng, 6, 9)
			if ragged {
				c.lens = []int32{6, 2, 0, 6, 1, 3, 4, 5, 6}
			}
			n, in := c.node()
			r := newRunner(t, n, c.opset, in, constants)
			pool := &pooled{heap: r.e}
			r.c = NewCtx(pool)
			out := make([]onnx.Value, len(n.Outputs))
			r.c.Bind(out)
			run := func() {
				pool.next = 0
				if err := r.k.Run(r.c, in, out); err != nil {
					t.Fatal(err)
				}
			}
			run()
			if n := testing.AllocsPerRun(20, run); n != 0 {
				t.Errorf("%s, ragged %v, constant weights %v: %v allocations a run", op, ragged, constants, n)
			}
		}
	}
}

// pooled is an engine that gives the same memory in every run.
type pooled struct {
	*heap
	next    int
	blocks  [][]byte
	tensors [recurrentOutputs]onnx.Tensor
}

func (p *pooled) block(bytes int) []byte {
	if p.next == len(p.blocks) {
		p.blocks = append(p.blocks, onnx.AlignedBytes(bytes))
	}
	p.next++
	return p.blocks[p.next-1][:bytes]
}

func (p *pooled) New(i int, d onnx.DataType, shape []int, _ uint64) (*onnx.Tensor, error) {
	n, err := TensorBytes(d, shape)
	if err == nil {
		p.tensors[i].Reset(d, shape, p.block(n), nil, nil)
	}
	return &p.tensors[i], err
}

func (p *pooled) Scratch(bytes int) ([]byte, error) { return p.block(bytes), nil }

// benchmarkInputs are X, W, R and B of a node of the shapes, random numbers.
func benchmarkInputs(op string, t, b, i, h int) []onnx.Value {
	rng, G := rand.New(rand.NewPCG(1, 4)), gatesOf[op]
	random := func(scale float64, shape ...int) onnx.Value {
		v, _ := onnx.NewZeros(onnx.Float, shape)
		for i := range onnx.Elements[float32](v) {
			onnx.Elements[float32](v)[i] = float32((2*rng.Float64() - 1) * scale)
		}
		return v
	}
	k := 1 / math.Sqrt(float64(h))
	return []onnx.Value{random(1, t, b, i), random(k, 1, G*h, i), random(k, 1, G*h, h), random(k, 1, 2*G*h)}
}

// TestRecurrentLevels holds each level against plain Go at the sizes of the
// benchmarks.
func TestRecurrentLevels(t *testing.T) {
	defer func(l Level) { testLevel = l }(testLevel)
	for _, op := range []string{"RNN", "GRU", "LSTM"} {
		for _, s := range []struct{ t, b, i, h int }{{28, 5, 28, 150}, {1, 1, 128, 128}, {100, 1, 128, 256}, {30, 4, 512, 512}} {
			for lbr := range 2 {
				attrs := []any{"hidden_size", s.h}
				if op == "GRU" {
					attrs = append(attrs, "linear_before_reset", lbr)
				}
				in := benchmarkInputs(op, s.t, s.b, s.i, s.h)
				var plain []onnx.Value
				levels := Levels()
				slices.Reverse(levels)
				for _, testLevel = range levels {
					out := newRunner(t, node(op, 2, attrs...), 14, in, true).run(t, in)
					if plain == nil {
						plain = out
					}
					for i := range out {
						if d := differ(out[i], plain[i], 0, 2e-6); d != "" {
							t.Errorf("%s %v linear_before_reset %d at level %v: output %d: %s", op, s, lbr, testLevel, i, d)
						}
					}
				}
			}
		}
	}
}

// TestRecurrentTurns: rows of a layer whose weights are read in several pieces,
// in turn from the first and from the last, have the bits that they have in a
// batch, which reads them panel by panel. Its last panel has half the lanes.
func TestRecurrentTurns(t *testing.T) {
	defer func(l Level) { testLevel = l }(testLevel)
	const steps, batch, input, hidden = 4, 5, 8, 421
	for _, testLevel = range Levels() {
		for _, op := range []string{"RNN", "GRU", "LSTM"} {
			p := node(op, 2, "hidden_size", hidden)
			in := benchmarkInputs(op, steps, batch, input, hidden)
			all := onnx.Elements[float32](newRunner(t, p, 14, in, true).run(t, in)[outY].(*onnx.Tensor))
			for _, rows := range []int{1, 2} {
				some := slices.Clone(in)
				var x, want []float32
				for s := range steps {
					x = append(x, onnx.Elements[float32](in[inX].(*onnx.Tensor))[s*batch*input:][:rows*input]...)
					want = append(want, all[s*batch*hidden:][:rows*hidden]...)
				}
				some[inX] = onnx.MustTensor([]int{steps, rows, input}, x)
				got := newRunner(t, p, 14, some, true).run(t, some)[outY]
				if d := differ(got, onnx.MustTensor([]int{steps, 1, rows, hidden}, want), 0, 0); d != "" {
					t.Errorf("%s at %v, %d rows: %s", op, testLevel, rows, d)
				}
			}
		}
	}
}

func benchmarkRecurrent(b *testing.B, op string, attrs ...any) {
	defer func(l Level) { testLevel = l }(testLevel)
	for _, s := range []struct{ t, b, i, h int }{{28, 150, 28, 150}, {1, 1, 128, 128}, {100, 1, 128, 256}, {100, 32, 128, 256}, {50, 64, 512, 512}, {200, 1, 512, 1024}} {
		for _, testLevel = range Levels() {
			if testLevel == kernel.Go && s.h > 256 {
				continue // takes seconds
			}
			b.Run(fmt.Sprintf("T=%d/B=%d/I=%d/H=%d/%v", s.t, s.b, s.i, s.h, testLevel), func(b *testing.B) {
				in := benchmarkInputs(op, s.t, s.b, s.i, s.h)
				r := newRunner(b, node(op, 2, append(attrs, "hidden_size", s.h)...), 14, in, true)
				pool := &pooled{heap: r.e}
				r.c = NewCtx(pool)
				b.ReportAllocs()
				out := make([]onnx.Value, 2)
				r.c.Bind(out)
				run := func() {
					pool.next = 0
					if err := r.k.Run(r.c, in, out); err != nil {
						b.Fatal(err)
					}
				}
				run()
				for b.Loop() {
					run()
				}
				flops := 2 * gatesOf[op] * s.t * s.b * s.h * (s.i + s.h)
				b.ReportMetric(float64(flops)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GF/s")
			})
		}
	}
}

func BenchmarkRNN(b *testing.B)  { benchmarkRecurrent(b, "RNN") }
func BenchmarkGRU(b *testing.B)  { benchmarkRecurrent(b, "GRU", "linear_before_reset", 1) }
func BenchmarkGRU0(b *testing.B) { benchmarkRecurrent(b, "GRU") }
func BenchmarkLSTM(b *testing.B) { benchmarkRecurrent(b, "LSTM") }
