package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/ops"
	rt "github.com/recur-ml/recur/runtime"
)

// The tests of control flow use operators of their own, in the domain test:
// Add overwrites its inputs where it may, Same passes its input on.

func testRegistry() *ops.Registry {
	r := ops.Default().Clone()
	like := func(i int) func(*ops.Node) error {
		return func(n *ops.Node) error { n.Set(0, n.In(i).Type); return nil }
	}
	fixed := func(d onnx.DataType) func(*ops.Node) error {
		return func(n *ops.Node) error { n.SetTensor(0, d, onnx.Shape{}); return nil }
	}
	for name, o := range map[string]struct {
		infer func(*ops.Node) error
		run   ops.KernelFunc
	}{
		"Add":  {like(0), runTestAdd},
		"Same": {like(0), func(_ *ops.Ctx, in, out []onnx.Value) error { out[0] = in[0]; return nil }},
		"Copy": {like(0), func(c *ops.Ctx, in, _ []onnx.Value) error {
			x := in[0].(*onnx.Tensor)
			y, err := c.New(0, x.DataType(), x.Shape())
			if err == nil {
				copy(y.Bytes(), x.Bytes())
			}
			return err
		}},
		"Twice": {func(n *ops.Node) error {
			s := n.Shape(0).Clone()
			if s.Ranked() {
				s[0] = onnx.UnknownDim
			}
			n.SetTensor(0, n.Elem(0), s)
			return nil
		}, func(c *ops.Ctx, in, _ []onnx.Value) error {
			x := in[0].(*onnx.Tensor)
			shape := append([]int{}, x.Shape()...)
			shape[0] *= 2
			y, err := c.New(0, x.DataType(), shape)
			if err == nil {
				copy(y.Bytes()[copy(y.Bytes(), x.Bytes()):], x.Bytes())
			}
			return err
		}},
		"Less": {fixed(onnx.Bool), func(c *ops.Ctx, in, _ []onnx.Value) error {
			y, err := c.New(0, onnx.Bool, nil)
			if err == nil {
				onnx.Elements[bool](y)[0] = onnx.Elements[int64](in[0].(*onnx.Tensor))[0] < onnx.Elements[int64](in[1].(*onnx.Tensor))[0]
			}
			return err
		}},
		"Text": {fixed(onnx.String), func(c *ops.Ctx, in, _ []onnx.Value) error {
			y, err := c.New(0, onnx.String, nil)
			if err == nil {
				y.Strings()[0] = strconv.FormatInt(onnx.Elements[int64](in[0].(*onnx.Tensor))[0], 10)
			}
			return err
		}},
	} {
		if err := r.Register(ops.Op{Domain: "test", Name: name, Since: []int{1}, Infer: o.infer,
			Build: func(*ops.Node) (ops.Kernel, error) { return o.run, nil }}); err != nil {
			panic(err)
		}
	}
	return r
}

// runTestAdd adds a tensor of the same shape, or a tensor of one element.
func runTestAdd(c *ops.Ctx, in, _ []onnx.Value) error {
	a, b := in[0].(*onnx.Tensor), in[1].(*onnx.Tensor)
	reuse := []int{0}
	if a.Len() == b.Len() {
		reuse = append(reuse, 1)
	}
	y, err := c.New(0, a.DataType(), a.Shape(), reuse...)
	if err != nil {
		return err
	}
	switch a.DataType() {
	case onnx.Float:
		sum(onnx.Elements[float32](y), onnx.Elements[float32](a), onnx.Elements[float32](b))
	case onnx.Int64:
		sum(onnx.Elements[int64](y), onnx.Elements[int64](a), onnx.Elements[int64](b))
	default:
		return errors.New("element type")
	}
	return nil
}

func sum[T float32 | int64](y, a, b []T) {
	for i := range y {
		if len(b) == 1 {
			y[i] = a[i] + b[0]
		} else {
			y[i] = a[i] + b[i]
		}
	}
}

// top makes an operator of the domain test.
func top(name, in, out string) *onnx.Node {
	n := op(name, in, out)
	n.Domain = "test"
	return n
}

func f32(shape []int, data ...float32) *onnx.Tensor { return onnx.MustTensor(shape, data) }
func i64(shape []int, data ...int64) *onnx.Tensor   { return onnx.MustTensor(shape, data) }

// anyOf declares values of unknown type, as bodies may leave them.
func anyOf(names string) []onnx.ValueInfo {
	var out []onnx.ValueInfo
	for _, n := range strings.Fields(names) {
		out = append(out, onnx.ValueInfo{Name: n})
	}
	return out
}

func initOf(name string, t *onnx.Tensor) *onnx.Initializer {
	return &onnx.Initializer{Name: name, Tensor: t}
}

func body(in, out string, nodes ...*onnx.Node) *onnx.Graph {
	return &onnx.Graph{Name: "body", Inputs: anyOf(in), Outputs: anyOf(out), Nodes: nodes}
}

func withInits(g *onnx.Graph, inits ...*onnx.Initializer) *onnx.Graph {
	g.Initializers = inits
	return g
}

// declare gives the graph's inputs the types of values: with knowledge 0 the
// element type alone, with 1 dimensions by name, with 2 sizes.
func declare(in onnx.Values, order []string, knowledge int) []onnx.ValueInfo {
	var out []onnx.ValueInfo
	for _, name := range order {
		t := in[name].Type()
		switch {
		case t.Kind != onnx.KindTensor:
		case knowledge == 0:
			t.Shape = nil
		case knowledge == 1:
			for i := range t.Shape {
				t.Shape[i] = onnx.Dim{Value: -1, Name: fmt.Sprintf("%s%d", name, i)}
			}
		}
		out = append(out, onnx.ValueInfo{Name: name, Type: t})
	}
	return out
}

type controlCase struct {
	name   string
	opset  int64
	in     onnx.Values
	inits  []*onnx.Initializer
	nodes  []*onnx.Node
	want   onnx.Values
	err    error // of the load or the run
	limits onnx.Limits
}

// run computes a case with more and more known of the inputs, with and
// without passes, several times: the outputs are the same, those of earlier
// runs do not change, and nothing is held when a run has ended.
func (c controlCase) run(t *testing.T) {
	var ins, outs []string
	for name := range c.in {
		ins = append(ins, name)
	}
	for name := range c.want {
		outs = append(outs, name)
	}
	opset := c.opset
	if opset == 0 {
		opset = 25
	}
	if c.err != nil && outs == nil {
		outs = c.nodes[len(c.nodes)-1].Outputs
	}
	for knowledge := range 3 {
		for _, passes := range []rt.Option{rt.WithPasses(), rt.WithThreads(1)} {
			m := &onnx.Model{IRVersion: 10, OpsetImports: []onnx.OpsetImport{{Version: opset}, {Domain: "test", Version: 1}},
				Graph: &onnx.Graph{Name: "main", Inputs: declare(c.in, ins, knowledge), Outputs: anyOf(strings.Join(outs, " ")), Initializers: c.inits, Nodes: c.nodes}}
			s, err := rt.LoadModel(m, rt.WithRegistry(testRegistry()), rt.WithLimits(c.limits), passes)
			if err == nil && c.err != nil {
				_, err = s.Run(t.Context(), c.in)
			}
			if c.err != nil {
				if !errors.Is(err, c.err) || errors.Is(err, rt.ErrInternal) {
					t.Errorf("error %v, want one that matches %v", err, c.err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("inputs known to degree %d: %v", knowledge, err)
			}
			var kept []onnx.Values
			for range 3 {
				out, err := s.Run(t.Context(), c.in)
				if err != nil {
					t.Fatalf("inputs known to degree %d: %v", knowledge, err)
				}
				kept = append(kept, out)
			}
			for i, out := range kept {
				for name, w := range c.want {
					if got := plain(out[name]); !reflect.DeepEqual(got, plain(w)) {
						t.Errorf("run %d, inputs known to degree %d: %s is %v, want %v", i, knowledge, name, got, plain(w))
					}
				}
			}
			if n := rt.LiveBuffers(s); n > 0 {
				t.Errorf("%d buffers are held after a run", n)
			}
			if n := rt.UsedBytes(s); n > 0 {
				t.Errorf("%d bytes are charged after a run", n)
			}
		}
	}
}

// plain turns a value into something that prints and compares.
func plain(v onnx.Value) any {
	switch v := v.(type) {
	case *onnx.Tensor:
		head := v.String() + " "
		switch v.DataType() {
		case onnx.Float:
			return head + fmt.Sprint(onnx.Elements[float32](v))
		case onnx.Int64:
			return head + fmt.Sprint(onnx.Elements[int64](v))
		case onnx.Bool:
			return head + fmt.Sprint(onnx.Elements[bool](v))
		case onnx.String:
			return head + fmt.Sprintf("%q", v.Strings())
		}
		return head + fmt.Sprint(v.Bytes())
	case *onnx.Sequence:
		out := []any{v.Elem.Name()}
		for _, item := range v.Items {
			out = append(out, plain(item))
		}
		return out
	case *onnx.Optional:
		if v.Value == nil {
			return "none of " + v.Elem.Name()
		}
		return []any{"some", plain(v.Value)}
	}
	return fmt.Sprint(v)
}

func runControl(t *testing.T, cases []controlCase) {
	for _, c := range cases {
		t.Run(c.name, c.run)
	}
}

func loopOf(in, out string, b *onnx.Graph) *onnx.Node {
	return op("Loop", in, out, graphAttr("body", b))
}

func TestLoop(t *testing.T) {
	x := f32([]int{2}, 0, 1)
	step := f32([]int{2}, 1, 2)
	one := initOf("one", i64(nil, 1))
	sums := body("i c s", "c s2 s2 i", top("Add", "s step", "s2"))
	runControl(t, []controlCase{
		{name: "trip count", in: onnx.Values{"x": x, "step": step, "M": i64(nil, 4)},
			nodes: []*onnx.Node{loopOf("M _ x", "last all count", sums)},
			want:  onnx.Values{"last": f32([]int{2}, 4, 9), "all": f32([]int{4, 2}, 1, 3, 2, 5, 3, 7, 4, 9), "count": i64([]int{4}, 0, 1, 2, 3)}},
		{name: "versions", opset: 11, in: onnx.Values{"x": x, "step": step, "M": i64([]int{1}, 2), "c": onnx.MustTensor([]int{1}, []bool{true})},
			nodes: []*onnx.Node{loopOf("M c x", "last all count", body("i k s", "k s2 s2 i", top("Add", "s step", "s2")))},
			want:  onnx.Values{"last": f32([]int{2}, 2, 5), "all": f32([]int{2, 2}, 1, 3, 2, 5), "count": i64([]int{2}, 0, 1)}},
		{name: "version 1", opset: 1, in: onnx.Values{"x": x, "step": step, "M": i64(nil, 1)},
			nodes: []*onnx.Node{loopOf("M _ x", "last", body("i k s", "k s2 s2 i", top("Add", "s step", "s2")))},
			want:  onnx.Values{"last": f32([]int{2}, 1, 3)}},
		{name: "negative trip count", in: onnx.Values{"x": x, "step": step, "M": i64(nil, -3)},
			nodes: []*onnx.Node{loopOf("M _ x", "last", sums)},
			want:  onnx.Values{"last": x}},
		{name: "M with two elements", in: onnx.Values{"x": x, "step": step, "M": i64([]int{2}, 1, 2)},
			nodes: []*onnx.Node{loopOf("M _ x", "last", sums)}, err: onnx.ErrShape},
		{name: "condition", in: onnx.Values{"k": i64(nil, 0), "n": i64(nil, 3), "c": onnx.Scalar(true)}, inits: []*onnx.Initializer{one},
			nodes: []*onnx.Node{loopOf("_ c k", "last", body("i c0 k0", "c1 k1", top("Add", "k0 one", "k1"), top("Less", "k1 n", "c1")))},
			want:  onnx.Values{"last": i64(nil, 3)}},
		{name: "condition false at first", in: onnx.Values{"x": x, "step": step, "c": onnx.Scalar(false), "M": i64(nil, 7)},
			nodes: []*onnx.Node{loopOf("M c x", "last", body("i c0 s", "c0 s2", top("Add", "s step", "s2")))},
			want:  onnx.Values{"last": x}},
		{name: "condition ends before the trip count", in: onnx.Values{"k": i64(nil, 0), "n": i64(nil, 3), "M": i64(nil, 10)}, inits: []*onnx.Initializer{one},
			nodes: []*onnx.Node{loopOf("M _ k", "last all", body("i c0 k0", "c1 k1 k0", top("Add", "k0 one", "k1"), top("Less", "k1 n", "c1")))},
			want:  onnx.Values{"last": i64(nil, 3), "all": i64([]int{3}, 0, 1, 2)}},
		{name: "no states", in: onnx.Values{"M": i64(nil, 3)},
			nodes: []*onnx.Node{loopOf("M _", "all", body("i c", "c i"))},
			want:  onnx.Values{"all": i64([]int{3}, 0, 1, 2)}},
		{name: "unwanted outputs", in: onnx.Values{"x": x, "step": step, "M": i64(nil, 2)},
			nodes: []*onnx.Node{loopOf("M _ x", "_ _ count", sums)},
			want:  onnx.Values{"count": i64([]int{2}, 0, 1)}},
		{name: "a state that grows", in: onnx.Values{"x": x, "M": i64(nil, 2)},
			nodes: []*onnx.Node{loopOf("M _ x", "last", body("i c s", "c s2", top("Twice", "s", "s2")))},
			want:  onnx.Values{"last": f32([]int{8}, 0, 1, 0, 1, 0, 1, 0, 1)}},
		{name: "a scan output that grows", in: onnx.Values{"x": x, "M": i64(nil, 2)},
			nodes: []*onnx.Node{loopOf("M _ x", "last all", body("i c s", "c s2 s", top("Twice", "s", "s2")))}, err: onnx.ErrShape},
		{name: "states change places", in: onnx.Values{"x": x, "step": step, "M": i64(nil, 3)},
			nodes: []*onnx.Node{loopOf("M _ x step", "a b", body("i c a0 b0", "c b0 a0"))},
			want:  onnx.Values{"a": step, "b": x}},
		{name: "computed states change places", in: onnx.Values{"x": x, "step": step, "M": i64(nil, 3)},
			nodes: []*onnx.Node{top("Add", "x step", "p"), top("Add", "p step", "q"), loopOf("M _ p q", "a b", body("i c a0 b0", "c b0 a1", top("Add", "a0 step", "a1")))},
			want:  onnx.Values{"a": f32([]int{2}, 3, 7), "b": f32([]int{2}, 3, 7)}},
		{name: "one tensor, two states", in: onnx.Values{"x": x, "step": step, "M": i64(nil, 2)},
			nodes: []*onnx.Node{top("Add", "x step", "p"), loopOf("M _ p p", "a b", body("i c a0 b0", "c a1 b0", top("Add", "a0 step", "a1"))), top("Add", "b step", "b2"), top("Add", "p step", "p2")},
			want:  onnx.Values{"a": f32([]int{2}, 3, 7), "b": f32([]int{2}, 1, 3), "b2": f32([]int{2}, 2, 5), "p2": f32([]int{2}, 2, 5)}},
		{name: "one result, two states", in: onnx.Values{"x": x, "step": step, "M": i64(nil, 3)},
			nodes: []*onnx.Node{loopOf("M _ x step", "a b", body("i c a0 b0", "c y y", top("Add", "a0 b0", "y"))), top("Add", "a step", "a2"), top("Add", "b step", "b2")},
			want:  onnx.Values{"a": f32([]int{2}, 4, 12), "a2": f32([]int{2}, 5, 14), "b2": f32([]int{2}, 5, 14)}},
		{name: "a captured value comes out", in: onnx.Values{"x": x, "step": step, "M": i64(nil, 2)},
			nodes: []*onnx.Node{top("Add", "x step", "p"), loopOf("M _ x", "a all", body("i c a0", "c p p")), top("Add", "p step", "p2")},
			want:  onnx.Values{"a": f32([]int{2}, 1, 3), "all": f32([]int{2, 2}, 1, 3, 1, 3), "p2": f32([]int{2}, 2, 5)}},
		{name: "an initializer of the body comes out", in: onnx.Values{"x": x, "M": i64(nil, 2)},
			nodes: []*onnx.Node{loopOf("M _ x", "a all", withInits(body("i c a0", "c w a0"), initOf("w", step)))},
			want:  onnx.Values{"a": step, "all": f32([]int{2, 2}, 0, 1, 1, 2)}},
		{name: "passed on within the body", in: onnx.Values{"x": x, "step": step, "M": i64(nil, 3)},
			nodes: []*onnx.Node{loopOf("M _ x", "a all", body("i c a0", "c a2 a1", top("Same", "a0", "a1"), top("Add", "a1 step", "y"), top("Same", "y", "a2"))), top("Same", "all", "all2")},
			want:  onnx.Values{"a": f32([]int{2}, 3, 7), "all2": f32([]int{3, 2}, 0, 1, 1, 3, 2, 5)}},
		{name: "strings and bools", in: onnx.Values{"M": i64(nil, 3), "n": i64(nil, 2)},
			nodes: []*onnx.Node{loopOf("M _", "names small", body("i c", "c t b", top("Text", "i", "t"), top("Less", "i n", "b")))},
			want:  onnx.Values{"names": onnx.MustTensor([]int{3}, []string{"0", "1", "2"}), "small": onnx.MustTensor([]int{3}, []bool{true, true, false})}},
		{name: "nested, capturing from two levels out", in: onnx.Values{"x": x, "step": step, "M": i64(nil, 2)},
			nodes: []*onnx.Node{top("Add", "x step", "p"), loopOf("M _ x", "a all",
				body("i c a0", "c a2 r", top("Add", "a0 step", "q"),
					loopOf("M _ q", "a2 r", body("i2 c2 b0", "c2 b1 i2", top("Add", "b0 p", "b01"), top("Add", "b01 q", "b1")))))},
			// p = [1 3]; a -> 3(a + step) + 2p
			want: onnx.Values{"a": f32([]int{2}, 3*(1+5)+2, 3*(2+15)+6), "all": i64([]int{2, 2}, 0, 1, 0, 1)}},
		{name: "no step that ends it", in: onnx.Values{"x": x}, limits: onnx.Limits{LoopIterations: 100},
			nodes: []*onnx.Node{loopOf("_ _ x", "a", body("i c a0", "c a0"))}, err: onnx.ErrLimit},
		{name: "exactly the limit", in: onnx.Values{"M": i64(nil, 5)}, limits: onnx.Limits{LoopIterations: 5},
			nodes: []*onnx.Node{loopOf("M _", "a", body("i c", "c i"))}, want: onnx.Values{"a": i64([]int{5}, 0, 1, 2, 3, 4)}},
		{name: "strings without end", in: onnx.Values{"M": i64(nil, 1_000_000)}, limits: onnx.Limits{RunBytes: 1 << 20},
			nodes: []*onnx.Node{loopOf("M _", "a", withInits(body("i c", "c w"), initOf("w", onnx.MustTensor([]int{1024}, make([]string, 1024)))))}, err: onnx.ErrLimit},
		{name: "an absent state", in: onnx.Values{"x": x, "M": i64(nil, 2)},
			nodes: []*onnx.Node{loopOf("M _ _ x", "a b", body("i c a0 b0", "c a0 b0"))}, err: onnx.ErrMalformed},
		{name: "another element type comes out", in: onnx.Values{"x": x, "M": i64(nil, 2)},
			nodes: []*onnx.Node{loopOf("M _ x", "a", body("i c a0", "c i"))}, err: onnx.ErrType},
	})
}

// TestLoopWithoutIterations: scan outputs have the inferred shape, or what the
// body declares, and 0 for what nobody knows.
func TestLoopWithoutIterations(t *testing.T) {
	declared := body("i c", "c y", top("Same", "x", "y"))
	declared.Outputs[1] = value("y", onnx.Float, 3, "n")
	zero := initOf("zero", i64(nil, 0))
	for _, c := range []struct {
		name string
		in   onnx.ValueInfo
		body *onnx.Graph
		want string
	}{
		{"known", value("x", onnx.Float, 3, 4), body("i c", "c y", top("Same", "x", "y")), "float[0 3 4]"},
		{"in part", value("x", onnx.Float, "n", 4), body("i c", "c y", top("Same", "x", "y")), "float[0 3 4]"},
		{"declared", onnx.ValueInfo{Name: "x", Type: onnx.TensorType(onnx.Float, nil)}, declared, "float[0 3 0]"},
	} {
		m := &onnx.Model{IRVersion: 10, OpsetImports: []onnx.OpsetImport{{Version: 21}, {Domain: "test", Version: 1}},
			Graph: &onnx.Graph{Inputs: []onnx.ValueInfo{c.in}, Outputs: anyOf("all"), Initializers: []*onnx.Initializer{zero}, Nodes: []*onnx.Node{loopOf("zero _", "all", c.body)}}}
		out, err := load(t, m, rt.WithRegistry(testRegistry())).Run(t.Context(), onnx.Values{"x": f32([]int{3, 4}, make([]float32, 12)...)})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := out["all"].(*onnx.Tensor).String(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestLoopCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := testRegistry()
	calls := 0
	if err := r.Register(ops.Op{Domain: "test", Name: "Stop", Since: []int{1},
		Infer: func(n *ops.Node) error { n.Set(0, n.In(0).Type); return nil },
		Build: func(*ops.Node) (ops.Kernel, error) {
			return ops.KernelFunc(func(_ *ops.Ctx, in, out []onnx.Value) error {
				if calls++; calls == 5 {
					cancel()
				}
				out[0] = in[0]
				return nil
			}), nil
		}}); err != nil {
		t.Fatal(err)
	}
	m := &onnx.Model{IRVersion: 10, OpsetImports: []onnx.OpsetImport{{Version: 21}, {Domain: "test", Version: 1}},
		Graph: &onnx.Graph{Inputs: []onnx.ValueInfo{value("x", onnx.Float, 2)}, Outputs: anyOf("a"),
			Nodes: []*onnx.Node{loopOf("_ _ x", "a", body("i c s", "c s2", top("Stop", "s", "s2")))}}}
	_, err := load(t, m, rt.WithRegistry(r)).Run(ctx, onnx.Values{"x": f32([]int{2}, 1, 2)})
	if !errors.Is(err, context.Canceled) || calls != 5 {
		t.Errorf("after %d iterations: %v", calls, err)
	}
}

func ifOf(in, out string, then, other *onnx.Graph) *onnx.Node {
	return op("If", in, out, graphAttr("then_branch", then), graphAttr("else_branch", other))
}

func TestIf(t *testing.T) {
	x := f32([]int{2}, 0, 1)
	step := f32([]int{2}, 1, 2)
	for _, yes := range []bool{true, false} {
		pick := func(a, b onnx.Value) onnx.Value {
			if yes {
				return a
			}
			return b
		}
		var c onnx.Value = onnx.Scalar(yes)
		c1 := onnx.MustTensor([]int{1}, []bool{yes})
		runControl(t, []controlCase{
			{name: "computed or captured", in: onnx.Values{"x": x, "step": step, "c": c},
				nodes: []*onnx.Node{top("Add", "x step", "p"), ifOf("c", "y", body("", "q", top("Add", "p step", "q")), body("", "p")), top("Add", "y step", "z"), top("Add", "p step", "p2")},
				want:  onnx.Values{"y": pick(f32([]int{2}, 2, 5), f32([]int{2}, 1, 3)), "z": pick(f32([]int{2}, 3, 7), f32([]int{2}, 2, 5)), "p2": f32([]int{2}, 2, 5)}},
			{name: "version 1, condition of one element", opset: 1, in: onnx.Values{"x": x, "step": step, "c": c1},
				nodes: []*onnx.Node{ifOf("c", "y z", body("", "q x", top("Add", "x step", "q")), body("", "x x"))},
				want:  onnx.Values{"y": pick(f32([]int{2}, 1, 3), x), "z": x}},
			{name: "different ranks", in: onnx.Values{"x": x, "c": c},
				nodes: []*onnx.Node{ifOf("c", "y", withInits(body("", "w"), initOf("w", f32([]int{1, 1}, 9))), body("", "x")), top("Same", "y", "z")},
				want:  onnx.Values{"z": pick(f32([]int{1, 1}, 9), x)}},
			{name: "the value dies in the branch", in: onnx.Values{"x": x, "step": step, "c": c},
				nodes: []*onnx.Node{top("Add", "x step", "p"), ifOf("c", "y", body("", "q", top("Same", "p", "p1"), top("Add", "p1 p", "q")), body("", "q", top("Add", "p p", "q")))},
				want:  onnx.Values{"y": f32([]int{2}, 2, 6)}},
			{name: "in a loop", in: onnx.Values{"x": x, "step": step, "M": i64(nil, 3), "one": i64(nil, 1)},
				nodes: []*onnx.Node{loopOf("M _ x", "y all", body("i k s", "k s2 s2", top("Less", "i one", "first"),
					ifOf("first", "s2", body("", "s"), body("", "q", top("Add", "s step", "q")))))},
				want: onnx.Values{"y": f32([]int{2}, 2, 5), "all": f32([]int{3, 2}, 0, 1, 1, 3, 2, 5)}},
			{name: "condition of two elements", in: onnx.Values{"x": x, "c": onnx.MustTensor([]int{2}, []bool{true, true})},
				nodes: []*onnx.Node{ifOf("c", "y", body("", "x"), body("", "x"))}, err: onnx.ErrShape},
			{name: "different types", in: onnx.Values{"x": x, "n": i64(nil, 1), "c": c},
				nodes: []*onnx.Node{ifOf("c", "y", body("", "x"), body("", "n"))}, err: onnx.ErrType},
			{name: "branches of sequences", in: onnx.Values{"x": x, "step": step, "c": c},
				nodes: []*onnx.Node{top("Add", "x step", "p"), ifOf("c", "y",
					body("", "s", op("SequenceConstruct", "p x", "s")),
					body("", "s", top("Add", "p step", "q"), op("SequenceConstruct", "q", "s")))},
				want: onnx.Values{"y": pick(onnx.NewSequence(f32([]int{2}, 1, 3), x), onnx.NewSequence(f32([]int{2}, 2, 5)))}},
		})
	}
}

func TestSequencesInLoops(t *testing.T) {
	x := f32([]int{2}, 0, 1)
	step := f32([]int{2}, 1, 2)
	float := onnx.TensorType(onnx.Float, nil)
	collect := func(out string) []*onnx.Node {
		return []*onnx.Node{op("SequenceEmpty", "", "e"),
			loopOf("M _ x e", "last "+out, body("i c s q", "c s2 q2", top("Add", "s step", "s2"), op("SequenceInsert", "q s2", "q2")))}
	}
	in := onnx.Values{"x": x, "step": step, "M": i64(nil, 3)}
	three := onnx.NewSequence(f32([]int{2}, 1, 3), f32([]int{2}, 2, 5), f32([]int{2}, 3, 7))
	first := initOf("first", i64(nil, 0))
	runControl(t, []controlCase{
		{name: "collected", opset: 13, in: in, nodes: collect("all"), want: onnx.Values{"all": three, "last": f32([]int{2}, 3, 7)}},
		{name: "collected and joined", in: in, nodes: append(collect("all"), op("ConcatFromSequence", "all", "y", intAttr("axis", 0), intAttr("new_axis", 1)), top("Add", "last step", "z")),
			want: onnx.Values{"y": f32([]int{3, 2}, 1, 3, 2, 5, 3, 7), "z": f32([]int{2}, 4, 9)}},
		{name: "no iteration", in: onnx.Values{"x": x, "step": step, "M": i64(nil, 0)}, nodes: collect("all"), want: onnx.Values{"all": &onnx.Sequence{Elem: float}, "last": x}},
		{name: "an element is overwritten elsewhere", in: in, inits: []*onnx.Initializer{first},
			nodes: append(collect("all"), op("SequenceAt", "all first", "a"), top("Add", "a step", "b"), top("Add", "b step", "d")),
			want:  onnx.Values{"all": three, "d": f32([]int{2}, 3, 7)}},
		{name: "constructed, then its parts die", in: in, inits: []*onnx.Initializer{first},
			nodes: []*onnx.Node{top("Add", "x step", "p"), top("Add", "p step", "q"), op("SequenceConstruct", "p q p", "s"), top("Add", "q p", "r"),
				op("SequenceAt", "s first", "a"), op("SequenceErase", "s first", "s2"), top("Add", "a step", "b")},
			want: onnx.Values{"r": f32([]int{2}, 3, 8), "b": f32([]int{2}, 2, 5), "s2": onnx.NewSequence(f32([]int{2}, 2, 5), f32([]int{2}, 1, 3))}},
		{name: "split of a computed tensor", in: onnx.Values{"x": f32([]int{2, 2}, 1, 2, 3, 4), "y": f32([]int{2, 2}, 1, 1, 1, 1)}, inits: []*onnx.Initializer{first},
			nodes: []*onnx.Node{top("Add", "x y", "p"), op("SplitToSequence", "p", "rows", intAttr("keepdims", 0)), op("SplitToSequence", "p", "cols", intAttr("axis", 1), intAttr("keepdims", 0)),
				op("SequenceAt", "rows first", "a"), op("SequenceAt", "cols first", "b"), top("Add", "a b", "c"), top("Add", "c b", "d"), top("Copy", "b", "b2")},
			want: onnx.Values{"cols": onnx.NewSequence(f32([]int{2}, 2, 4), f32([]int{2}, 3, 5)), "d": f32([]int{2}, 6, 11), "b2": f32([]int{2}, 2, 4)}},
		{name: "consumed in a loop", in: onnx.Values{"x": f32([]int{3, 2}, 1, 2, 3, 4, 5, 6), "s0": x},
			nodes: []*onnx.Node{top("Add", "x x", "p"), op("SplitToSequence", "p", "rows", intAttr("keepdims", 0)), op("SequenceLength", "rows", "n"),
				loopOf("n _ s0", "total all", body("i c s", "c s2 r", op("SequenceAt", "rows i", "r"), top("Add", "s r", "s2")))},
			want: onnx.Values{"total": f32([]int{2}, 18, 25), "all": f32([]int{3, 2}, 2, 4, 6, 8, 10, 12)}},
		{name: "taken apart in a loop", in: onnx.Values{"x": f32([]int{3, 2}, 1, 2, 3, 4, 5, 6), "M": i64(nil, 2)},
			nodes: []*onnx.Node{top("Add", "x x", "p"), op("SplitToSequence", "p", "rows", intAttr("axis", 1)),
				loopOf("M _ rows x", "rest last", body("i c s v", "c s2 v", op("SequenceErase", "s", "s2")))},
			want: onnx.Values{"rest": &onnx.Sequence{Elem: float}, "last": f32([]int{3, 2}, 1, 2, 3, 4, 5, 6)}},
		{name: "an optional state", opset: 16, in: in, inits: []*onnx.Initializer{first},
			nodes: []*onnx.Node{{OpType: "Optional", Outputs: []string{"o"}, Attributes: []*onnx.Attribute{{Name: "type", Type: onnx.AttrTypeProto, TypeProto: &float}}},
				loopOf("M _ x o", "last opt had", body("i c s q", "c s2 q2 h", top("Add", "s step", "s2"), op("OptionalHasElement", "q", "h"), op("Optional", "s2", "q2"))),
				op("OptionalGetElement", "opt", "got"), top("Add", "got step", "y")},
			want: onnx.Values{"had": onnx.MustTensor([]int{3}, []bool{false, true, true}), "y": f32([]int{2}, 4, 9), "last": f32([]int{2}, 3, 7)}},
		{name: "an optional state that the body fills", opset: 16, in: onnx.Values{"x": x, "step": step, "M": i64(nil, 3), "o": &onnx.Optional{Elem: float}},
			nodes: []*onnx.Node{loopOf("M _ o", "last had", body("i c q", "c s2 h", op("OptionalHasElement", "q", "h"),
				ifOf("h", "s", body("", "g", op("OptionalGetElement", "q", "g")), body("", "x")), top("Add", "s step", "s2"))), top("Add", "last step", "y")},
			want: onnx.Values{"last": f32([]int{2}, 3, 7), "y": f32([]int{2}, 4, 9), "had": onnx.MustTensor([]int{3}, []bool{false, true, true})}},
		{name: "an optional state that nobody fills", opset: 16, in: onnx.Values{"x": x, "M": i64(nil, 0), "o": &onnx.Optional{Elem: float}},
			nodes: []*onnx.Node{loopOf("M _ o", "last", body("i c q", "c x"))}, err: onnx.ErrMalformed},
		{name: "an optional comes out", in: in,
			nodes: []*onnx.Node{top("Add", "x step", "p"), op("Optional", "p", "o"), op("OptionalHasElement", "_", "h")},
			want:  onnx.Values{"o": &onnx.Optional{Elem: float, Value: f32([]int{2}, 1, 3)}, "h": onnx.Scalar(false)}},
		{name: "given by the caller", in: onnx.Values{"s": onnx.NewSequence(x, f32([]int{1}, 7)), "step": step}, inits: []*onnx.Initializer{first},
			nodes: []*onnx.Node{op("SequenceAt", "s first", "a"), top("Add", "a step", "b"), op("SequenceInsert", "s b", "s2")},
			want:  onnx.Values{"s2": onnx.NewSequence(x, f32([]int{1}, 7), f32([]int{2}, 1, 3))}},
	})
}

// TestDeclaredElements: what a model declares of the elements of its inputs
// binds neither them nor what is computed from them; their element types do.
func TestDeclaredElements(t *testing.T) {
	of := onnx.TensorType(onnx.Float, onnx.Shape{onnx.Fixed(2), {Value: -1, Name: "n"}})
	m := &onnx.Model{IRVersion: 10, OpsetImports: []onnx.OpsetImport{{Version: 21}},
		Graph: &onnx.Graph{Inputs: []onnx.ValueInfo{
			{Name: "s", Type: onnx.SequenceType(of)}, {Name: "o", Type: onnx.OptionalType(of)}, {Name: "p", Type: onnx.TensorType(onnx.Int64, onnx.Shape{})}, value("x", onnx.Float, "n")},
			Outputs: anyOf("a b"), Nodes: []*onnx.Node{op("SequenceAt", "s p", "a"), op("OptionalGetElement", "o", "b")}}}
	s := load(t, m)
	float := onnx.TensorType(onnx.Float, nil)
	in := onnx.Values{"s": onnx.NewSequence(f32([]int{1, 2}, 1, 2), f32([]int{2}, 3, 4)), "o": &onnx.Optional{Elem: float, Value: f32([]int{3}, 1, 2, 3)}, "p": i64(nil, 1), "x": f32([]int{5}, 0, 0, 0, 0, 0)}
	out, err := s.Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if plain(out["a"]) != "float[2] [3 4]" || plain(out["b"]) != "float[3] [1 2 3]" {
		t.Errorf("%v, %v", plain(out["a"]), plain(out["b"]))
	}
	for _, bad := range []onnx.Value{
		&onnx.Sequence{Elem: float, Items: []onnx.Value{f32([]int{1}, 1), i64([]int{1}, 1)}},
		&onnx.Sequence{Elem: float, Items: []onnx.Value{f32([]int{1}, 1), nil}},
		&onnx.Sequence{Elem: float, Items: []onnx.Value{f32([]int{1}, 1), &onnx.Sequence{Elem: float}}},
	} {
		in["s"] = bad
		if _, err := s.Run(t.Context(), in); !errors.Is(err, onnx.ErrType) || errors.Is(err, rt.ErrInternal) {
			t.Errorf("%v: error %v", bad, err)
		}
	}
	in["s"] = &onnx.Map{}
	if _, err := s.Run(t.Context(), in); err == nil {
		t.Error("a map without keys passes")
	}
}

func TestSequenceMap(t *testing.T) {
	x := onnx.NewSequence(f32([]int{2}, 0, 1), f32([]int{1}, 5), f32([]int{0}))
	y := onnx.NewSequence(f32([]int{2}, 1, 2), f32([]int{1}, 6), f32([]int{0}))
	step := f32([]int{1}, 3)
	mapOf := func(in, out string, g *onnx.Graph) *onnx.Node {
		return op("SequenceMap", in, out, graphAttr("body", g))
	}
	runControl(t, []controlCase{
		{name: "two sequences and a tensor", in: onnx.Values{"x": x, "y": y, "step": step},
			nodes: []*onnx.Node{mapOf("x y step", "a b", body("x0 y0 s", "p y0", top("Add", "x0 y0", "p0"), top("Add", "p0 s", "p")))},
			want:  onnx.Values{"a": onnx.NewSequence(f32([]int{2}, 4, 6), f32([]int{1}, 14), f32([]int{0})), "b": y}},
		{name: "captured", in: onnx.Values{"x": x, "step": step},
			nodes: []*onnx.Node{top("Add", "step step", "s"), mapOf("x", "a", body("x0", "p", top("Add", "x0 s", "p"))), mapOf("a", "b", body("x0", "p", top("Add", "x0 s", "p")))},
			want:  onnx.Values{"a": onnx.NewSequence(f32([]int{2}, 6, 7), f32([]int{1}, 11), f32([]int{0})), "b": onnx.NewSequence(f32([]int{2}, 12, 13), f32([]int{1}, 17), f32([]int{0}))}},
		{name: "the tensor each time", in: onnx.Values{"x": x, "step": step},
			nodes: []*onnx.Node{top("Add", "step step", "s"), mapOf("x s", "a", body("x0 s0", "s0"))},
			want:  onnx.Values{"a": onnx.NewSequence(f32([]int{1}, 6), f32([]int{1}, 6), f32([]int{1}, 6))}},
		{name: "nothing", in: onnx.Values{"x": &onnx.Sequence{Elem: onnx.TensorType(onnx.Float, nil)}, "step": step},
			nodes: []*onnx.Node{mapOf("x", "a", body("x0", "p", top("Add", "x0 step", "p")))},
			want:  onnx.Values{"a": &onnx.Sequence{Elem: onnx.TensorType(onnx.Float, nil)}}},
		{name: "different lengths", in: onnx.Values{"x": x, "y": onnx.NewSequence(f32([]int{2}, 1, 2))},
			nodes: []*onnx.Node{mapOf("x y", "a", body("x0 y0", "x0"))}, err: onnx.ErrShape},
		{name: "a body with too few inputs", in: onnx.Values{"x": x, "y": y},
			nodes: []*onnx.Node{mapOf("x y", "a", body("x0", "x0"))}, err: onnx.ErrMalformed},
	})
}

func TestNestedBodies(t *testing.T) {
	x := f32([]int{2}, 0, 1)
	step := f32([]int{2}, 1, 2)
	mapOf := func(in, out string, g *onnx.Graph) *onnx.Node {
		return op("SequenceMap", in, out, graphAttr("body", g))
	}
	in := onnx.Values{"x": x, "step": step, "M": i64(nil, 2)}
	first := initOf("first", i64(nil, 0))
	// After k insertions by the inner loop the sequence has x + step, ... x + k step.
	nested := []*onnx.Node{op("SequenceEmpty", "", "e"),
		loopOf("M _ x e", "last all", body("i c s q", "c s2 q2",
			loopOf("M _ s q", "s2 q2", body("i2 c2 t r", "c2 t2 r2", top("Add", "t step", "t2"), op("SequenceInsert", "r t2", "r2")))))}
	four := onnx.NewSequence(f32([]int{2}, 1, 3), f32([]int{2}, 2, 5), f32([]int{2}, 3, 7), f32([]int{2}, 4, 9))
	runControl(t, []controlCase{
		{name: "a sequence through two loops", in: in, nodes: nested, want: onnx.Values{"all": four, "last": f32([]int{2}, 4, 9)}},
		{name: "mapped in a loop", in: in,
			nodes: []*onnx.Node{top("Add", "x step", "p"), op("SequenceConstruct", "p x", "q0"),
				loopOf("M _ q0", "q", body("i c s", "c s2", mapOf("s p", "s2", body("e t", "e2", top("Add", "e t", "e2")))))},
			want: onnx.Values{"q": onnx.NewSequence(f32([]int{2}, 3, 9), f32([]int{2}, 2, 7))}},
		{name: "loops in a map", in: in,
			nodes: []*onnx.Node{top("Add", "x step", "p"), op("SequenceConstruct", "p x", "q0"),
				mapOf("q0", "q h", body("e", "e2 all", loopOf("M _ e", "e2 all", body("i c s", "c s2 s2", top("Add", "s p", "s2")))))},
			want: onnx.Values{"q": onnx.NewSequence(f32([]int{2}, 3, 9), f32([]int{2}, 2, 7)),
				"h": onnx.NewSequence(f32([]int{2, 2}, 2, 6, 3, 9), f32([]int{2, 2}, 1, 4, 2, 7))}},
		{name: "a scan in a loop, over what the loop made", in: in,
			nodes: []*onnx.Node{loopOf("M _ x", "s ys", body("i c a", "c a2 y", top("Add", "a step", "b"),
				loopOf("M _ b", "b2 rows", body("i2 c2 t", "c2 t2 t2", top("Add", "t step", "t2"))),
				scanOf("a rows", "a2 y", 1, body("s e", "s2 s2", top("Add", "s e", "s2")))))},
			// a -> a + (a+2 step) + (a+3 step) = 3a + 5 step
			want: onnx.Values{"s": f32([]int{2}, 20, 49), "ys": f32([]int{2, 2, 2}, 2, 6, 5, 13, 12, 30, 20, 49)}},
		{name: "taken or not, in a loop", in: in, inits: []*onnx.Initializer{first, initOf("one", i64(nil, 1))},
			nodes: []*onnx.Node{op("SequenceConstruct", "x step", "q0"), top("Add", "x step", "p"),
				loopOf("M _ q0", "q heads", body("i c s", "c s2 h", op("SequenceAt", "s first", "h"), top("Less", "i one", "early"),
					ifOf("early", "s2", body("", "t", op("SequenceInsert", "s p first", "t")), body("", "t", op("SequenceErase", "s first", "t")))))},
			want: onnx.Values{"q": onnx.NewSequence(x, step), "heads": f32([]int{2, 2}, 0, 1, 1, 3)}},
	})
}

func intsAttr(name string, v ...int64) *onnx.Attribute {
	return &onnx.Attribute{Name: name, Type: onnx.AttrInts, Ints: v}
}

func scanOf(in, out string, scanned int64, b *onnx.Graph, attrs ...*onnx.Attribute) *onnx.Node {
	return op("Scan", in, out, append(attrs, graphAttr("body", b), intAttr("num_scan_inputs", scanned))...)
}

func TestScan(t *testing.T) {
	s0 := f32([]int{2}, 0, 0)
	x := f32([]int{3, 2}, 1, 2, 3, 4, 5, 6)
	xt := f32([]int{2, 3}, 1, 3, 5, 2, 4, 6)
	sums := body("s e", "s2 s2", top("Add", "s e", "s2"))
	in := onnx.Values{"s0": s0, "x": x}
	var cases []controlCase
	for _, opset := range []int64{9, 11, 16, 19, 21, 23, 24, 25} {
		cases = append(cases, controlCase{name: fmt.Sprintf("version %d", opset), opset: opset, in: in,
			nodes: []*onnx.Node{scanOf("s0 x", "s y", 1, sums)},
			want:  onnx.Values{"s": f32([]int{2}, 9, 12), "y": f32([]int{3, 2}, 1, 2, 4, 6, 9, 12)}})
	}
	runControl(t, append(cases, []controlCase{
		{name: "input backwards", in: in, nodes: []*onnx.Node{scanOf("s0 x", "s y", 1, sums, intsAttr("scan_input_directions", 1))},
			want: onnx.Values{"s": f32([]int{2}, 9, 12), "y": f32([]int{3, 2}, 5, 6, 8, 10, 9, 12)}},
		{name: "output backwards", in: in, nodes: []*onnx.Node{scanOf("s0 x", "s y", 1, sums, intsAttr("scan_output_directions", 1))},
			want: onnx.Values{"s": f32([]int{2}, 9, 12), "y": f32([]int{3, 2}, 9, 12, 4, 6, 1, 2)}},
		{name: "along axis 1, stacked along -1", in: onnx.Values{"s0": s0, "x": xt},
			nodes: []*onnx.Node{top("Add", "x x", "p"), scanOf("s0 p", "s y", 1, sums, intsAttr("scan_input_axes", -1), intsAttr("scan_output_axes", -1))},
			want:  onnx.Values{"s": f32([]int{2}, 18, 24), "y": f32([]int{2, 3}, 2, 8, 18, 4, 12, 24)}},
		{name: "two inputs, both ways", in: onnx.Values{"s0": s0, "x": x, "z": xt},
			nodes: []*onnx.Node{scanOf("s0 x z", "s y w", 2, body("s a b", "s2 s2 b", top("Add", "s a", "s1"), top("Add", "s1 b", "s2")),
				intsAttr("scan_input_axes", 0, 1), intsAttr("scan_input_directions", 0, 1), intsAttr("scan_output_axes", 1, -2), intsAttr("scan_output_directions", 1, 0))},
			want: onnx.Values{"s": f32([]int{2}, 18, 24), "y": f32([]int{2, 3}, 18, 12, 6, 24, 16, 8), "w": f32([]int{3, 2}, 5, 6, 3, 4, 1, 2)}},
		{name: "the element itself, twice", in: in,
			nodes: []*onnx.Node{top("Add", "x x", "p"), scanOf("s0 p", "s y z", 1, body("s e", "e e s")), top("Add", "s s0", "s1"), top("Add", "p x", "q")},
			want:  onnx.Values{"s1": f32([]int{2}, 10, 12), "y": f32([]int{3, 2}, 2, 4, 6, 8, 10, 12), "z": f32([]int{3, 2}, 0, 0, 2, 4, 6, 8), "q": f32([]int{3, 2}, 3, 6, 9, 12, 15, 18)}},
		{name: "no states", in: in, nodes: []*onnx.Node{scanOf("x", "y", 1, body("e", "e2", top("Add", "e e", "e2")))},
			want: onnx.Values{"y": f32([]int{3, 2}, 2, 4, 6, 8, 10, 12)}},
		{name: "strings", in: onnx.Values{"s0": s0, "x": onnx.MustTensor([]int{2, 2}, []string{"a", "b", "c", "d"})},
			nodes: []*onnx.Node{scanOf("x", "y", 1, body("e", "e"), intsAttr("scan_input_axes", 1))},
			want:  onnx.Values{"y": onnx.MustTensor([]int{2, 2}, []string{"a", "c", "b", "d"})}},
		{name: "a sequence as state", in: in,
			nodes: []*onnx.Node{op("SequenceEmpty", "", "q0"), top("Add", "x x", "p"), scanOf("p", "y", 1, body("e", "e2", top("Add", "e s0", "e2")))},
			want:  onnx.Values{"y": f32([]int{3, 2}, 2, 4, 6, 8, 10, 12)}},
		{name: "different lengths", in: onnx.Values{"x": x, "z": f32([]int{2, 2}, 1, 2, 3, 4)},
			nodes: []*onnx.Node{scanOf("x z", "y", 2, body("a b", "a"))}, err: onnx.ErrShape},
		{name: "axis", in: in, nodes: []*onnx.Node{scanOf("x", "y", 1, body("a", "a"), intsAttr("scan_input_axes", 2))}, err: onnx.ErrShape},
		{name: "output axis", in: in, nodes: []*onnx.Node{scanOf("x", "y", 1, body("a", "a"), intsAttr("scan_output_axes", -3))}, err: onnx.ErrShape},
		{name: "direction", in: in, nodes: []*onnx.Node{scanOf("x", "y", 1, body("a", "a"), intsAttr("scan_input_directions", 2))}, err: onnx.ErrMalformed},
		{name: "a scan output that grows", in: in, nodes: []*onnx.Node{scanOf("s0 x", "s y", 1, body("s a", "s2 s", top("Twice", "s", "s2")))}, err: onnx.ErrShape},
		{name: "limit", in: in, nodes: []*onnx.Node{scanOf("x", "y", 1, body("a", "a"))}, limits: onnx.Limits{LoopIterations: 2}, err: onnx.ErrLimit},
		{name: "no elements", in: onnx.Values{"s0": s0, "x": f32([]int{0, 2})},
			nodes: []*onnx.Node{scanOf("s0 x", "s", 1, sums)}, want: onnx.Values{"s": s0}},
	}...))
}

// TestScanWithoutElements: the scan output has the body's shape as far as it
// is known.
func TestScanWithoutElements(t *testing.T) {
	for _, c := range []struct {
		in   onnx.ValueInfo
		axis int64
		want string
	}{
		{value("x", onnx.Float, "t", 4, "n"), 0, "float[0 4 5]"},
		{value("x", onnx.Float, 0, 4, 5), 1, "float[4 0 5]"},
		{value("x", onnx.Float, 0, 4, 5), -1, "float[4 5 0]"},
		{onnx.ValueInfo{Name: "x", Type: onnx.TensorType(onnx.Float, nil)}, 1, "float[0 0]"},
		{onnx.ValueInfo{Name: "x", Type: onnx.TensorType(onnx.Float, nil)}, -2, "float[0 0]"},
	} {
		m := &onnx.Model{IRVersion: 10, OpsetImports: []onnx.OpsetImport{{Version: 21}},
			Graph: &onnx.Graph{Inputs: []onnx.ValueInfo{c.in}, Outputs: anyOf("y"), Nodes: []*onnx.Node{scanOf("x", "y", 1, body("e", "e"), intsAttr("scan_output_axes", c.axis))}}}
		out, err := load(t, m).Run(t.Context(), onnx.Values{"x": f32([]int{0, 4, 5})})
		if err != nil {
			t.Errorf("%v along %d: %v", c.in.Type, c.axis, err)
			continue
		}
		if got := out["y"].(*onnx.Tensor).String(); got != c.want {
			t.Errorf("%v along %d: %v, want %v", c.in.Type, c.axis, got, c.want)
		}
	}
}

func TestScan8(t *testing.T) {
	s0 := f32([]int{2, 1}, 0, 100)
	x := f32([]int{2, 3, 1}, 1, 2, 3, 4, 5, 6)
	sums := body("s e", "s2 s2", top("Add", "s e", "s2"))
	runControl(t, []controlCase{
		{name: "batch", opset: 8, in: onnx.Values{"s0": s0, "x": x}, nodes: []*onnx.Node{scanOf("_ s0 x", "s y", 1, sums)},
			want: onnx.Values{"s": f32([]int{2, 1}, 6, 115), "y": f32([]int{2, 3, 1}, 1, 3, 6, 104, 109, 115)}},
		{name: "lengths", opset: 8, in: onnx.Values{"s0": s0, "x": x, "n": i64([]int{2}, 3, 1)}, nodes: []*onnx.Node{top("Add", "s0 s0", "p"), scanOf("n p x", "s y", 1, sums)},
			want: onnx.Values{"s": f32([]int{2, 1}, 6, 204), "y": f32([]int{2, 3, 1}, 1, 3, 6, 204, 0, 0)}},
		{name: "backwards", opset: 8, in: onnx.Values{"s0": s0, "x": x, "n": i64([]int{2}, 3, 2)}, nodes: []*onnx.Node{scanOf("n s0 x", "s y", 1, sums, intsAttr("directions", 1))},
			want: onnx.Values{"s": f32([]int{2, 1}, 6, 109), "y": f32([]int{2, 3, 1}, 3, 5, 6, 105, 109, 0)}},
		{name: "lengths of 0", opset: 8, in: onnx.Values{"s0": s0, "x": x, "n": i64([]int{2}, 0, 0)}, nodes: []*onnx.Node{scanOf("n s0 x", "s", 1, sums)},
			want: onnx.Values{"s": s0}},
		{name: "a length too large", opset: 8, in: onnx.Values{"s0": s0, "x": x, "n": i64([]int{2}, 3, 4)}, nodes: []*onnx.Node{scanOf("n s0 x", "s", 1, sums)}, err: onnx.ErrShape},
		{name: "another batch", opset: 8, in: onnx.Values{"s0": f32([]int{3, 1}, 1, 2, 3), "x": x}, nodes: []*onnx.Node{scanOf("_ s0 x", "s", 1, sums)}, err: onnx.ErrShape},
	})
}

// TestControlAllocations: iterations take their memory from the run.
func TestControlAllocations(t *testing.T) {
	for name, n := range map[string]*onnx.Node{
		"loop":           loopOf("M _ s0", "s y", body("i c s", "c s2 s2", top("Copy", "s", "s2"))),
		"if":             loopOf("M _ s0", "s y", body("i c s", "c s2 s2", top("Less", "i M", "b"), ifOf("b", "s2", body("", "p", top("Copy", "s", "p")), body("", "s")))),
		"scan":           scanOf("s0 x", "s y", 1, body("s e", "s2 s2", top("Copy", "e", "s2"))),
		"scan to axis 1": scanOf("s0 x", "s y", 1, body("s e", "s2 s2", top("Copy", "e", "s2")), intsAttr("scan_output_axes", 1)),
	} {
		m := &onnx.Model{IRVersion: 10, OpsetImports: []onnx.OpsetImport{{Version: 21}, {Domain: "test", Version: 1}},
			Graph: &onnx.Graph{Inputs: []onnx.ValueInfo{value("s0", onnx.Float, 2), value("x", onnx.Float, "t", 2), value("M", onnx.Int64)}, Outputs: anyOf("s y"), Nodes: []*onnx.Node{n}}}
		s := load(t, m, rt.WithRegistry(testRegistry()), rt.WithThreads(1))
		in := onnx.Values{"s0": f32([]int{2}, 1, 2), "x": f32([]int{50, 2}, make([]float32, 100)...), "M": i64(nil, 50)}
		out, err := s.Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if got := testing.AllocsPerRun(20, func() {
			if err := s.RunInto(t.Context(), in, out); err != nil {
				t.Fatal(err)
			}
		}); got >= 40 { // the pool may lose a run, which is then made anew
			t.Errorf("%s: %v allocations for 50 iterations, want less than one for each", name, got)
		}
	}
}
