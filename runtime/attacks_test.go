package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	goruntime "runtime"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

// The tests of this file are attacks by models and their inputs, a class of
// attack each: an error or a result, in bounded time and memory.

const attackBytes = 64 << 20 // what a run of an attack may take

var attackLimits = onnx.Limits{RunBytes: attackBytes}

// attack is a model of which the tensors are constants, or inputs.
type attack struct {
	name   string
	opset  int64
	values onnx.Values
	nodes  []*onnx.Node
	want   error // the error matches it; nil: a result is fine too
	more   error // or this
}

func strAttr(name, v string) *onnx.Attribute {
	return &onnx.Attribute{Name: name, Type: onnx.AttrString, String: v}
}

func floatsAttr(name string, v ...float32) *onnx.Attribute {
	return &onnx.Attribute{Name: name, Type: onnx.AttrFloats, Floats: v}
}

func floatAttr(name string, v float32) *onnx.Attribute {
	return &onnx.Attribute{Name: name, Type: onnx.AttrFloat, Float: v}
}

func ml(n *onnx.Node) *onnx.Node { n.Domain = "ai.onnx.ml"; return n }

// model makes the attack's model: constants, or inputs of which nothing is
// said but the type.
func (a attack) model(constant bool) (*onnx.Model, onnx.Values) {
	opset := a.opset
	if opset == 0 {
		opset = 22
	}
	g := &onnx.Graph{Name: "g", Nodes: a.nodes}
	in := onnx.Values{}
	var names []string
	for name := range a.values {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		v := a.values[name]
		t, ok := v.(*onnx.Tensor)
		if constant && ok && name != "x" {
			g.Initializers = append(g.Initializers, initOf(name, t))
			continue
		}
		typ := v.Type()
		typ.Shape = nil
		g.Inputs = append(g.Inputs, onnx.ValueInfo{Name: name, Type: typ})
		in[name] = v
	}
	last := a.nodes[len(a.nodes)-1]
	for _, o := range last.Outputs {
		if o != "" {
			g.Outputs = append(g.Outputs, onnx.ValueInfo{Name: o})
		}
	}
	return &onnx.Model{IRVersion: 10, OpsetImports: []onnx.OpsetImport{{Version: opset}, {Domain: "ai.onnx.ml", Version: 4}}, Graph: g}, in
}

// run mounts the attack, with constants and with inputs.
func (a attack) run(t *testing.T) {
	t.Run(a.name, func(t *testing.T) {
		for _, constant := range []bool{true, false} {
			m, in := a.model(constant)
			var err error
			inBounds(t, func(ctx context.Context) {
				var s *rt.Session
				if s, err = rt.LoadModel(m, rt.WithLimits(attackLimits), rt.WithThreads(1)); err == nil {
					_, err = s.Run(ctx, in)
				}
			})
			if err != nil {
				wantNoFault(t, err)
				if errors.Is(err, onnx.ErrUnsupported) && !errors.Is(a.want, onnx.ErrUnsupported) && !errors.Is(a.more, onnx.ErrUnsupported) {
					t.Errorf("constant %v: the model was refused, so this tests nothing: %v", constant, err)
					continue
				}
			}
			if a.want != nil && !errors.Is(err, a.want) && (a.more == nil || !errors.Is(err, a.more)) {
				t.Errorf("constant %v: got error %.300v, want %v", constant, err, a.want)
			}
		}
	})
}

// inBounds runs f, which may take a few seconds and a small multiple of the
// budget of attacks.
func inBounds(t *testing.T, f func(ctx context.Context)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	start := time.Now()
	f(ctx)
	d := time.Since(start)
	goruntime.ReadMemStats(&after)
	if d > 20*time.Second {
		t.Errorf("it took %v", d)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 4*attackBytes+64<<20 {
		t.Errorf("it allocated %d MB", n>>20)
	}
}

// TestAttackShapes has models of a few bytes that ask for petabytes.
func TestAttackShapes(t *testing.T) {
	const huge = 100_000_000_000_000_000
	s := func(v ...int64) *onnx.Tensor { return i64([]int{len(v)}, v...) }
	f1 := f32([]int{1}, 1)
	b1 := onnx.MustTensor([]int{1}, []bool{true})
	scalar := func(v int64) *onnx.Tensor { return i64(nil, v) }
	x2 := f32([]int{1, 1, 1, 1}, 1)
	limitOrShape := func(a attack) attack { a.want, a.more = onnx.ErrLimit, onnx.ErrShape; return a }
	cases := []attack{
		{name: "ConstantOfShape", values: onnx.Values{"s": s(huge)}, nodes: []*onnx.Node{op("ConstantOfShape", "s", "y")}},
		{name: "ConstantOfShape, product", values: onnx.Values{"s": s(1<<31, 1<<31, 1<<31)}, nodes: []*onnx.Node{op("ConstantOfShape", "s", "y")}},
		{name: "ConstantOfShape, int8", values: onnx.Values{"s": s(math.MaxInt64)}, nodes: []*onnx.Node{op("ConstantOfShape", "s", "y", tensorAttr("value", onnx.MustTensor([]int{1}, []int8{1})))}},
		{name: "ConstantOfShape, negative", values: onnx.Values{"s": s(-1)}, nodes: []*onnx.Node{op("ConstantOfShape", "s", "y")}},
		{name: "after another", values: onnx.Values{"s": s(math.MaxInt64), "x": f1}, nodes: []*onnx.Node{op("Neg", "x", "n"), op("Cast", "n", "c", intAttr("to", int64(onnx.Int8))), op("Expand", "c s", "y")}},
		{name: "Expand", values: onnx.Values{"x": f1, "s": s(huge)}, nodes: []*onnx.Node{op("Expand", "x s", "y")}},
		{name: "Expand, overflow", values: onnx.Values{"x": f1, "s": s(1<<33, 1<<33)}, nodes: []*onnx.Node{op("Expand", "x s", "y")}},
		{name: "Expand, strings", values: onnx.Values{"x": onnx.MustTensor([]int{1}, []string{"s"}), "s": s(huge)}, nodes: []*onnx.Node{op("Expand", "x s", "y")}},
		{name: "Expand, rank", values: onnx.Values{"x": f1, "s": ones(100_000)}, nodes: []*onnx.Node{op("Expand", "x s", "y")}},
		{name: "Tile", values: onnx.Values{"x": f1, "s": s(huge)}, nodes: []*onnx.Node{op("Tile", "x s", "y")}},
		{name: "Tile, overflow", values: onnx.Values{"x": f32([]int{2, 2}, 1, 2, 3, 4), "s": s(math.MaxInt64, math.MaxInt64)}, nodes: []*onnx.Node{op("Tile", "x s", "y")}},
		{name: "Pad", values: onnx.Values{"x": f1, "s": s(0, huge)}, nodes: []*onnx.Node{op("Pad", "x s", "y")}},
		{name: "Pad, edge", values: onnx.Values{"x": f1, "s": s(0, huge)}, nodes: []*onnx.Node{op("Pad", "x s", "y", strAttr("mode", "edge"))}},
		{name: "Pad, overflow", values: onnx.Values{"x": f1, "s": s(math.MaxInt64, math.MaxInt64)}, nodes: []*onnx.Node{op("Pad", "x s", "y")}},
		{name: "Pad, wrap", values: onnx.Values{"x": f1, "s": s(0, huge)}, nodes: []*onnx.Node{op("Pad", "x s", "y", strAttr("mode", "wrap"))}},
		{name: "Range", values: onnx.Values{"a": scalar(0), "b": scalar(huge), "c": scalar(1)}, nodes: []*onnx.Node{op("Range", "a b c", "y")}},
		{name: "Range, whole", values: onnx.Values{"a": scalar(math.MinInt64), "b": scalar(math.MaxInt64), "c": scalar(1)}, nodes: []*onnx.Node{op("Range", "a b c", "y")}},
		{name: "Range, down", values: onnx.Values{"a": scalar(math.MaxInt64), "b": scalar(math.MinInt64), "c": scalar(-1)}, nodes: []*onnx.Node{op("Range", "a b c", "y")}},
		{name: "Range, tiny steps", values: onnx.Values{"a": f32(nil, 0), "b": f32(nil, 1e30), "c": f32(nil, 1e-30)}, nodes: []*onnx.Node{op("Range", "a b c", "y")}},
		{name: "OneHot", values: onnx.Values{"i": s(0), "d": scalar(huge), "v": f32([]int{2}, 0, 1)}, nodes: []*onnx.Node{op("OneHot", "i d v", "y")}},
		{name: "Resize, sizes", values: onnx.Values{"x": x2, "s": s(1, 1, huge, 1)}, nodes: []*onnx.Node{op("Resize", "x _ _ s", "y")}},
		{name: "Resize, scales", values: onnx.Values{"x": x2, "s": f32([]int{4}, 1, 1, 1e17, 1)}, nodes: []*onnx.Node{op("Resize", "x _ s", "y")}},
		{name: "Resize, infinite", values: onnx.Values{"x": x2, "s": f32([]int{4}, 1, 1, float32(math.Inf(1)), 1)}, nodes: []*onnx.Node{op("Resize", "x _ s", "y")}},
		{name: "Resize, cubic", values: onnx.Values{"x": x2, "s": s(1, 1, huge, 1)}, nodes: []*onnx.Node{op("Resize", "x _ _ s", "y", strAttr("mode", "cubic"))}},
		{name: "Upsample", opset: 9, values: onnx.Values{"x": x2, "s": f32([]int{4}, 1, 1, 1e17, 1)}, nodes: []*onnx.Node{op("Upsample", "x s", "y")}},
		{name: "EyeLike", values: onnx.Values{"x": f32([]int{1, 1}, 1), "s": s(1<<40, 1<<20)}, nodes: []*onnx.Node{op("Expand", "x s", "e"), op("EyeLike", "e", "y")}},
		{name: "RandomNormal", values: onnx.Values{"x": f1}, nodes: []*onnx.Node{op("RandomNormal", "", "y", intsAttr("shape", huge))}},
		{name: "RandomUniform", values: onnx.Values{"x": f1}, nodes: []*onnx.Node{op("RandomUniform", "", "y", intsAttr("shape", 1<<40, 1<<40))}},
		{name: "Multinomial", values: onnx.Values{"x": f32([]int{1, 2}, 1, 1)}, nodes: []*onnx.Node{op("Multinomial", "x", "y", intAttr("sample_size", huge))}},
		{name: "HannWindow", values: onnx.Values{"s": scalar(huge)}, nodes: []*onnx.Node{op("HannWindow", "s", "y")}},
		{name: "MelWeightMatrix", values: onnx.Values{"a": scalar(1 << 40), "b": scalar(1 << 40), "c": scalar(16000), "d": f32(nil, 0), "e": f32(nil, 8000)}, nodes: []*onnx.Node{op("MelWeightMatrix", "a b c d e", "y")}},
		{name: "DFT", values: onnx.Values{"x": f32([]int{1, 1, 1}, 1), "n": scalar(huge)}, nodes: []*onnx.Node{op("DFT", "x n", "y")}},
		{name: "MaxUnpool", values: onnx.Values{"x": x2, "i": i64([]int{1, 1, 1, 1}, 0), "s": s(1, 1, huge, 1)}, nodes: []*onnx.Node{op("MaxUnpool", "x i s", "y", intsAttr("kernel_shape", 1, 1))}},
		{name: "ConvTranspose", values: onnx.Values{"x": f32([]int{1, 1, 2, 2}, 1, 2, 3, 4), "w": x2}, nodes: []*onnx.Node{op("ConvTranspose", "x w", "y", intsAttr("strides", 1<<55, 1))}},
		{name: "ConvTranspose, output_shape", values: onnx.Values{"x": x2, "w": x2}, nodes: []*onnx.Node{op("ConvTranspose", "x w", "y", intsAttr("output_shape", huge, 1))}},
		{name: "Conv, pads", values: onnx.Values{"x": x2, "w": x2}, nodes: []*onnx.Node{op("Conv", "x w", "y", intsAttr("pads", huge, 0, huge, 0))}},
		{name: "Conv, dilations", values: onnx.Values{"x": x2, "w": f32([]int{1, 1, 2, 2}, 1, 2, 3, 4)}, nodes: []*onnx.Node{op("Conv", "x w", "y", intsAttr("dilations", math.MaxInt64, math.MaxInt64), intsAttr("pads", math.MaxInt64, 0, math.MaxInt64, 0))}},
		{name: "MaxPool, pads", values: onnx.Values{"x": x2}, nodes: []*onnx.Node{op("MaxPool", "x", "y", intsAttr("kernel_shape", 1<<40, 1<<40), intsAttr("pads", 1<<39, 1<<39, 1<<40, 1<<40))}},
		{name: "AveragePool, pads", values: onnx.Values{"x": x2}, nodes: []*onnx.Node{op("AveragePool", "x", "y", intsAttr("kernel_shape", math.MaxInt64, 1), intsAttr("pads", math.MaxInt64-1, 0, math.MaxInt64-1, 0))}},
		{name: "Col2Im", values: onnx.Values{"x": f32([]int{1, 1, 1}, 1), "i": s(huge, 1), "b": s(1, 1)}, nodes: []*onnx.Node{op("Col2Im", "x i b", "y")}},
		{name: "CenterCropPad", values: onnx.Values{"x": f1, "s": s(huge)}, nodes: []*onnx.Node{op("CenterCropPad", "x s", "y")}},
		{name: "AffineGrid", values: onnx.Values{"x": f32([]int{1, 2, 3}, 1, 0, 0, 0, 1, 0), "s": s(1, 1, huge, 1)}, nodes: []*onnx.Node{op("AffineGrid", "x s", "y")}},
		{name: "RoiAlign", values: onnx.Values{"x": x2, "r": f32([]int{1, 4}, 0, 0, 1, 1), "i": s(0)}, nodes: []*onnx.Node{op("RoiAlign", "x r i", "y", intAttr("output_height", huge))}},
		{name: "RoiAlign, sampling", values: onnx.Values{"x": x2, "r": f32([]int{1, 4}, 0, 0, 1, 1), "i": s(0)}, nodes: []*onnx.Node{op("RoiAlign", "x r i", "y", intAttr("sampling_ratio", 1<<31-1))}},
		{name: "RoiAlign, adaptive", values: onnx.Values{"x": x2, "r": f32([]int{1, 4}, 0, 0, 1e30, 1e30), "i": s(0)}, nodes: []*onnx.Node{op("RoiAlign", "x r i", "y")}},
		{name: "MaxRoiPool", values: onnx.Values{"x": x2, "r": f32([]int{1, 5}, 0, 0, 0, 1, 1)}, nodes: []*onnx.Node{op("MaxRoiPool", "x r", "y", intsAttr("pooled_shape", huge, 1))}},
		{name: "Einsum", values: onnx.Values{"x": wave(64)}, nodes: []*onnx.Node{op("Einsum", "x x x x x x", "y", strAttr("equation", "a,b,c,d,e,f->abcdef"))}},
		{name: "MatMul", values: onnx.Values{"x": f32([]int{100_000, 1}, make([]float32, 100_000)...), "w": f32([]int{1, 100_000}, make([]float32, 100_000)...)}, nodes: []*onnx.Node{op("MatMul", "x w", "y")}},
		{name: "broadcast", values: onnx.Values{"x": f32([]int{100_000, 1}, make([]float32, 100_000)...), "w": f32([]int{1, 100_000}, make([]float32, 100_000)...)}, nodes: []*onnx.Node{op("Add", "x w", "y")}},
		{name: "Where", values: onnx.Values{"c": onnx.MustTensor([]int{1, 1}, []bool{true}), "x": f32([]int{100_000, 1}, make([]float32, 100_000)...), "w": f32([]int{1, 100_000}, make([]float32, 100_000)...)}, nodes: []*onnx.Node{op("Where", "c x w", "y")}},
		{name: "Gather", values: onnx.Values{"x": f32([]int{1, 100_000}, make([]float32, 100_000)...), "i": i64([]int{100_000}, make([]int64, 100_000)...)}, nodes: []*onnx.Node{op("Gather", "x i", "y")}},
		{name: "GatherND", values: onnx.Values{"x": f32([]int{1, 100_000}, make([]float32, 100_000)...), "i": i64([]int{100_000, 1}, make([]int64, 100_000)...)}, nodes: []*onnx.Node{op("GatherND", "x i", "y")}},
		{name: "Concat doubling", values: onnx.Values{"x": f1}, nodes: doubling(60, func(in, out string) *onnx.Node { return op("Concat", in+" "+in, out, intAttr("axis", 0)) })},
		{name: "Sum of products", values: onnx.Values{"x": wave(2)}, nodes: doubling(60, func(in, out string) *onnx.Node {
			return op("Einsum", in+" "+in, out, strAttr("equation", "...,...->..."))
		}), want: nil},
		{name: "Compress", values: onnx.Values{"x": f1, "c": b1, "s": s(huge)}, nodes: []*onnx.Node{op("Expand", "x s", "e"), op("Compress", "e c", "y")}},
		{name: "Reshape, overflow", values: onnx.Values{"x": f1, "s": s(1<<32, 1<<32)}, nodes: []*onnx.Node{op("Reshape", "x s", "y")}},
		{name: "Reshape, empty", values: onnx.Values{"x": f32([]int{0}), "s": s(math.MaxInt64, 0, math.MaxInt64)}, nodes: []*onnx.Node{op("Reshape", "x s", "y", intAttr("allowzero", 1))}},
		{name: "Reshape, rank", values: onnx.Values{"x": f1, "s": ones(100_000)}, nodes: []*onnx.Node{op("Reshape", "x s", "y")}},
		{name: "Unsqueeze, rank", values: onnx.Values{"x": f1, "s": counting(1000)}, nodes: []*onnx.Node{op("Unsqueeze", "x s", "y")}},
		{name: "Unsqueeze, far axis", values: onnx.Values{"x": f1, "s": s(huge)}, nodes: []*onnx.Node{op("Unsqueeze", "x s", "y")}},
		{name: "ConstantOfShape, rank", values: onnx.Values{"s": ones(100_000)}, nodes: []*onnx.Node{op("ConstantOfShape", "s", "y")}},
		{name: "Tile, rank", values: onnx.Values{"x": f1, "s": ones(100_000)}, nodes: []*onnx.Node{op("Tile", "x s", "y")}},
		{name: "Unsqueeze, often", values: onnx.Values{"x": f1, "s": s(0)}, nodes: doubling(200, func(in, out string) *onnx.Node { return op("Unsqueeze", in+" s", out) })},
		{name: "GatherND, rank", values: onnx.Values{"x": f32([]int{1, 1}, 1), "i": zerosOf(31)}, nodes: []*onnx.Node{op("Gather", "x i", "y", intAttr("axis", 0)), op("Gather", "y i", "z", intAttr("axis", 0))}},
		{name: "OneHot, rank", values: onnx.Values{"i": zerosOf(32), "d": scalar(2), "v": f32([]int{2}, 0, 1)}, nodes: []*onnx.Node{op("OneHot", "i d v", "y")}},
		{name: "Einsum, rank", values: onnx.Values{"x": zerosOfFloat(30)}, nodes: []*onnx.Node{op("Einsum", "x x", "y", strAttr("equation", "abcdefghijklmnopqrstuvwxyzABCD,EFGHIJKLMNOPQRSTUVWXYZabcdefgh->"+"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"))}},
		{name: "StringConcat doubling", values: onnx.Values{"x": onnx.MustTensor([]int{1}, []string{"0123456789abcdef"})}, nodes: doubling(50, func(in, out string) *onnx.Node { return op("StringConcat", in+" "+in, out) })},
		{name: "SplitToSequence", values: onnx.Values{"x": onnx.MustTensor([]int{3_000_000}, make([]int8, 3_000_000))}, nodes: []*onnx.Node{op("SplitToSequence", "x", "y")}},
		{name: "SequenceConstruct doubling", values: onnx.Values{"x": f1}, nodes: append([]*onnx.Node{op("SequenceConstruct", "x", "q0")}, sequenceDoubling(40)...)},
	}
	for _, a := range cases {
		if a.name != "Sum of products" && a.name != "Reshape, empty" {
			a = limitOrShape(a)
		}
		if strings.HasPrefix(a.name, "RoiAlign, ") { // these may be slow, not large
			a.want, a.more = nil, nil
		}
		a.run(t)
	}
}

func tensorAttr(name string, v *onnx.Tensor) *onnx.Attribute {
	return &onnx.Attribute{Name: name, Type: onnx.AttrTensor, Tensor: v}
}

func ones(n int) *onnx.Tensor {
	v := make([]int64, n)
	for i := range v {
		v[i] = 1
	}
	return i64([]int{n}, v...)
}

func counting(n int) *onnx.Tensor {
	v := make([]int64, n)
	for i := range v {
		v[i] = int64(i)
	}
	return i64([]int{n}, v...)
}

func zerosOf(rank int) *onnx.Tensor {
	shape := make([]int, rank)
	for i := range shape {
		shape[i] = 1
	}
	return i64(shape, 0)
}

func zerosOfFloat(rank int) *onnx.Tensor {
	shape := make([]int, rank)
	for i := range shape {
		shape[i] = 1
	}
	return f32(shape, 0)
}

func wave(n int) *onnx.Tensor {
	return f32([]int{n}, floats(n, func(i int) float32 { return float32(math.Sin(float64(i))) })...)
}

// doubling chains n nodes from x to y.
func doubling(n int, node func(in, out string) *onnx.Node) []*onnx.Node {
	var nodes []*onnx.Node
	in := "x"
	for i := range n {
		out := fmt.Sprint("v", i)
		if i == n-1 {
			out = "y"
		}
		nodes = append(nodes, node(in, out))
		in = out
	}
	return nodes
}

// sequenceDoubling joins a sequence and splits the result again, twice as
// long each time.
func sequenceDoubling(n int) []*onnx.Node {
	var nodes []*onnx.Node
	for i := range n {
		nodes = append(nodes, op("ConcatFromSequence", fmt.Sprint("q", i), fmt.Sprint("c", i), intAttr("axis", 0)),
			op("Concat", fmt.Sprint("c", i, " c", i), fmt.Sprint("d", i), intAttr("axis", 0)),
			op("SplitToSequence", fmt.Sprint("d", i), fmt.Sprint("q", i+1)))
	}
	return nodes
}

// heapDuring gives the bytes that f's result keeps alive.
func heapDuring(f func() any) int64 {
	var before, after goruntime.MemStats
	goruntime.GC()
	goruntime.ReadMemStats(&before)
	v := f()
	goruntime.GC()
	goruntime.ReadMemStats(&after)
	goruntime.KeepAlive(v)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// TestAttackFolding has constants that become large when they are computed at
// load, where no run's budget watches.
func TestAttackFolding(t *testing.T) {
	var nodes []*onnx.Node
	var sums string
	g := &onnx.Graph{Name: "g", Outputs: []onnx.ValueInfo{{Name: "y"}}}
	for i := range 100 {
		name := fmt.Sprint("c", i)
		g.Initializers = append(g.Initializers, initOf("s"+name, i64([]int{1}, int64(5_000_000+i))))
		nodes = append(nodes, op("ConstantOfShape", "s"+name, name), op("RandomNormalLike", name, "r"+name), op("Add", name+" r"+name, "a"+name),
			op("ReduceSum", "a"+name, "z"+name))
		sums += " z" + name
	}
	g.Nodes = append(nodes, op("Sum", strings.TrimSpace(sums), "y"))
	m := modelOf(g)
	var err error
	if n := heapDuring(func() any {
		s, e := rt.LoadModel(m)
		err = e
		return s
	}); n > 300<<20 {
		t.Errorf("a model of %d nodes keeps %d MB", len(g.Nodes), n>>20)
	}
	if err != nil {
		t.Error(err)
	}
	if testing.Short() {
		return
	}
	// A chain of much work: the time is bounded.
	g = &onnx.Graph{Name: "g", Outputs: []onnx.ValueInfo{{Name: "y"}}, Initializers: []*onnx.Initializer{initOf("s", i64([]int{2}, 1000, 1000)), initOf("x", f32(nil, 1))}}
	g.Nodes = append([]*onnx.Node{op("Expand", "x s", "e")}, doubling(300, func(in, out string) *onnx.Node {
		if in == "x" {
			in = "e"
		}
		return op("MatMul", in+" "+in, out)
	})...)
	start := time.Now()
	if _, err := rt.LoadModel(modelOf(g)); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > 60*time.Second {
		t.Errorf("loading took %v", d)
	}
}

// TestAttackInlining has functions that call others several times each: what
// comes out has a limit, whatever the functions at the end hold.
func TestAttackInlining(t *testing.T) {
	function := func(name string, nodes ...*onnx.Node) *onnx.Function {
		return &onnx.Function{Domain: "my", Name: name, Inputs: []string{"a"}, Outputs: []string{"b"}, OpsetImports: []onnx.OpsetImport{{Version: 17}, {Domain: "my", Version: 1}}, Nodes: nodes}
	}
	call := func(name, in, out string) *onnx.Node {
		n := op(name, in, out)
		n.Domain = "my"
		return n
	}
	model := func(functions ...*onnx.Function) *onnx.Model {
		m := modelOf(&onnx.Graph{Name: "g", Inputs: []onnx.ValueInfo{value("x", onnx.Float, 1)}, Outputs: []onnx.ValueInfo{{Name: "y"}}, Nodes: []*onnx.Node{call("F0", "x", "y")}})
		m.OpsetImports = append(m.OpsetImports, onnx.OpsetImport{Domain: "my", Version: 1})
		m.Functions = functions
		return m
	}
	chain := func(last *onnx.Function, node func(i int) []*onnx.Node) []*onnx.Function {
		var list []*onnx.Function
		for i := range 30 {
			list = append(list, function(fmt.Sprint("F", i), node(i)...))
		}
		last.Name = "F30"
		return append(list, last)
	}
	twice := func(i int) []*onnx.Node {
		next := fmt.Sprint("F", i+1)
		return []*onnx.Node{call(next, "a", "c"), call(next, "c", "b")}
	}
	same := &onnx.Function{Domain: "my", Inputs: []string{"a"}, Outputs: []string{"a"}, OpsetImports: []onnx.OpsetImport{{Version: 17}}}
	dropped := func(i int) []*onnx.Node { // what calls give is not used
		next := fmt.Sprint("F", i+1)
		return []*onnx.Node{call(next, "a", ""), call(next, "a", ""), op("Relu", "a", "b")}
	}
	inBranch := func(i int) []*onnx.Node {
		next := fmt.Sprint("F", i+1)
		return []*onnx.Node{op("ReduceMax", "a", "m"), op("Cast", "m", "k", intAttr("to", int64(onnx.Bool))), op("If", "k", "b",
			graphAttr("then_branch", &onnx.Graph{Name: "t", Outputs: []onnx.ValueInfo{{Name: "t"}}, Nodes: []*onnx.Node{call(next, "a", "t")}}),
			graphAttr("else_branch", &onnx.Graph{Name: "e", Outputs: []onnx.ValueInfo{{Name: "e"}}, Nodes: []*onnx.Node{call(next, "a", "e")}}))}
	}
	limits := onnx.Limits{Nodes: 10_000}
	for name, m := range map[string]*onnx.Model{
		"one node at the end": model(chain(function("", op("Relu", "a", "b")), twice)...),
		"no node at the end":  model(chain(same, dropped)...),
		"not used":            model(chain(function("", op("Relu", "a", "b")), dropped)...),
		"in branches":         model(chain(function("", op("Relu", "a", "b")), inBranch)...),
		"outputs that are none": model(chain(&onnx.Function{Domain: "my", Inputs: []string{"a"}, OpsetImports: []onnx.OpsetImport{{Version: 17}}}, func(i int) []*onnx.Node {
			next := fmt.Sprint("F", i+1)
			return []*onnx.Node{call(next, "a", ""), call(next, "a", ""), op("Relu", "a", "b")}
		})...),
	} {
		t.Run(name, func(t *testing.T) {
			inBounds(t, func(context.Context) {
				_, err := rt.LoadModel(m, rt.WithLimits(limits))
				if !errors.Is(err, onnx.ErrLimit) {
					t.Errorf("got error %.1900v, want one that matches ErrLimit", err)
				}
			})
		})
	}
	calls := make([]*onnx.Node, 0, 2000)
	for range 2000 {
		calls = append(calls, call("F1", "a", ""))
	}
	t.Run("calls of nothing", func(t *testing.T) {
		// 2,000 calls of 2,000 calls of 2,000 calls of a function without nodes
		inBounds(t, func(context.Context) {
			f := []*onnx.Function{function("F0", append(calls, op("Relu", "a", "b"))...)}
			for i := 1; i < 4; i++ {
				list := make([]*onnx.Node, len(calls))
				for k := range list {
					list[k] = call(fmt.Sprint("F", i+1), "a", "")
				}
				f = append(f, function(fmt.Sprint("F", i), append(list, op("Relu", "a", "b"))...))
			}
			empty := *same
			empty.Name = "F4"
			_, err := rt.LoadModel(model(append(f, &empty)...), rt.WithLimits(onnx.Limits{Nodes: 20_000}))
			if !errors.Is(err, onnx.ErrLimit) {
				t.Errorf("got error %.1900v, want one that matches ErrLimit", err)
			}
		})
	})
	t.Run("long names", func(t *testing.T) {
		// A long name of a call, which stands before those of the nodes within.
		var nodes []*onnx.Node
		in := "a"
		for i := range 5000 {
			out := fmt.Sprint("v", i)
			if i == 4999 {
				out = "b"
			}
			n := op("Relu", in, out)
			n.Name = out
			nodes = append(nodes, n)
			in = out
		}
		m := model(function("F0", nodes...))
		m.Graph.Nodes[0].Name = strings.Repeat("n", 1<<20)
		inBounds(t, func(context.Context) {
			if _, err := rt.LoadModel(m); err != nil {
				t.Errorf("%.300v", err)
			}
		})
		m = modelOf(&onnx.Graph{Name: "g", Inputs: []onnx.ValueInfo{value("x", onnx.Float, 1)}, Outputs: []onnx.ValueInfo{{Name: "y"}},
			Initializers: []*onnx.Initializer{initOf("c", onnx.Scalar(true))}})
		for _, n := range nodes {
			if n.Inputs[0] == "a" {
				n.Inputs[0] = "x"
			}
		}
		m.Graph.Nodes = []*onnx.Node{op("If", "c", "y",
			graphAttr("then_branch", &onnx.Graph{Name: "t", Outputs: []onnx.ValueInfo{{Name: "b"}}, Nodes: nodes}),
			graphAttr("else_branch", &onnx.Graph{Name: "e", Outputs: []onnx.ValueInfo{{Name: "e"}}, Nodes: []*onnx.Node{op("Relu", "x", "e")}}))}
		m.Graph.Nodes[0].Name = strings.Repeat("n", 1<<20)
		inBounds(t, func(context.Context) {
			if _, err := rt.LoadModel(m); err != nil {
				t.Errorf("%.300v", err)
			}
		})
	})
	t.Run("names in bodies", func(t *testing.T) {
		// Each of many bodies has a name of its own that the function has too.
		var nodes []*onnx.Node
		for i := range 2000 {
			v := fmt.Sprint("v", i)
			nodes = append(nodes, op("Relu", "a", v), op("If", "k", fmt.Sprint("o", i),
				graphAttr("then_branch", &onnx.Graph{Name: "t", Outputs: []onnx.ValueInfo{{Name: "t"}}, Nodes: []*onnx.Node{op("Relu", v, "t")}}),
				graphAttr("else_branch", &onnx.Graph{Name: "e", Outputs: []onnx.ValueInfo{{Name: "t"}}, Nodes: []*onnx.Node{op("Relu", "a", "t")}})))
		}
		nodes = append([]*onnx.Node{op("ReduceMax", "a", "m"), op("Cast", "m", "k", intAttr("to", int64(onnx.Bool)))}, nodes...)
		m := model(function("F0", append(nodes, op("Relu", "o0", "b"))...))
		inBounds(t, func(context.Context) {
			if _, err := rt.LoadModel(m); err != nil {
				t.Errorf("%.300v", err)
			}
		})
	})
}

// TestAttackNesting has bodies in bodies, as deep as may be: inferring each
// several times at each level would take 2 to the 32nd visits.
func TestAttackNesting(t *testing.T) {
	loop := func(depth int, in, out string, inner *onnx.Node) *onnx.Node {
		p := fmt.Sprint("d", depth, "_")
		b := &onnx.Graph{Name: "b", Inputs: anyOf(p + "i " + p + "c " + p + "s"), Outputs: anyOf(p + "c2 " + p + "s2"), Nodes: []*onnx.Node{op("Identity", p+"c", p+"c2"), inner}}
		return op("Loop", "n _ "+in, out, graphAttr("body", b))
	}
	scan := func(depth int, in, out string, inner *onnx.Node) *onnx.Node {
		p := fmt.Sprint("d", depth, "_")
		b := &onnx.Graph{Name: "b", Inputs: anyOf(p + "s " + p + "e"), Outputs: anyOf(p + "s2"), Nodes: []*onnx.Node{inner}}
		return op("Scan", in+" list", out, graphAttr("body", b), intAttr("num_scan_inputs", 1))
	}
	branch := func(depth int, in, out string, inner *onnx.Node) *onnx.Node {
		p := fmt.Sprint("d", depth, "_")
		pre := op("Identity", in, p+"s")
		return op("If", "c", out, graphAttr("then_branch", &onnx.Graph{Name: "t", Outputs: anyOf(p + "s2"), Nodes: []*onnx.Node{pre, inner}}),
			graphAttr("else_branch", &onnx.Graph{Name: "e", Outputs: anyOf(p + "o"), Nodes: []*onnx.Node{op("Identity", in, p+"o")}}))
	}
	for name, around := range map[string]func(int, string, string, *onnx.Node) *onnx.Node{"loops": loop, "scans": scan, "branches": branch} {
		for _, depth := range []int{4, 31} {
			t.Run(fmt.Sprint(name, " ", depth), func(t *testing.T) {
				p := func(d int) string { return fmt.Sprint("d", d, "_") }
				n := op("Neg", p(depth-1)+"s", p(depth-1)+"s2")
				for d := depth - 1; d >= 0; d-- {
					in, out := "x", "y"
					if d > 0 {
						in, out = p(d-1)+"s", p(d-1)+"s2"
					}
					n = around(d, in, out, n)
				}
				m := modelOf(&onnx.Graph{Name: "g", Inputs: []onnx.ValueInfo{value("x", onnx.Float, "n"), value("list", onnx.Float, 1), value("c", onnx.Bool), value("n", onnx.Int64)}, Outputs: []onnx.ValueInfo{{Name: "y"}}, Nodes: []*onnx.Node{n}})
				inBounds(t, func(ctx context.Context) {
					s, err := rt.LoadModel(m)
					if err == nil {
						_, err = s.Run(ctx, onnx.Values{"x": f32([]int{1}, 1), "list": f32([]int{1}, 1), "c": onnx.Scalar(true), "n": i64(nil, 1)})
					}
					if err != nil && !errors.Is(err, onnx.ErrLimit) || err != nil && depth == 4 {
						t.Errorf("%.300v", err)
					}
				})
			})
		}
	}
}

// TestAttackNestedInference has loops whose states begin anew at each level and
// change their shape, so that each level is inferred several times.
func TestAttackNestedInference(t *testing.T) {
	for _, width := range []int{1, 2000} { // nodes of the innermost body
		for _, depth := range []int{3, 31} {
			t.Run(fmt.Sprint(depth, " ", width), func(t *testing.T) {
				var inner []*onnx.Node
				in := "one"
				for i := range width {
					inner = append(inner, op("Neg", in, fmt.Sprint("w", i)))
					in = fmt.Sprint("w", i)
				}
				for d := depth - 1; d >= 0; d-- {
					p := fmt.Sprint("d", d, "_")
					grow := op("Concat", p+"s one", p+"s2", intAttr("axis", 0))
					b := &onnx.Graph{Name: "b", Inputs: anyOf(p + "i " + p + "c " + p + "s"), Outputs: anyOf(p + "c2 " + p + "s2"), Nodes: append([]*onnx.Node{op("Identity", p+"c", p+"c2"), grow}, inner...)}
					inner = []*onnx.Node{op("Loop", "n _ one", p+"y", graphAttr("body", b))}
				}
				m := modelOf(&onnx.Graph{Name: "g", Inputs: []onnx.ValueInfo{value("n", onnx.Int64), value("one", onnx.Float, 1)}, Outputs: []onnx.ValueInfo{{Name: "d0_y"}}, Nodes: inner})
				start := time.Now()
				_, err := rt.LoadModel(m)
				if err != nil && (!errors.Is(err, onnx.ErrLimit) || depth == 3) {
					t.Errorf("%.300v", err)
				}
				if d := time.Since(start); d > 30*time.Second {
					t.Errorf("loading took %v", d)
				}
			})
		}
	}
}
