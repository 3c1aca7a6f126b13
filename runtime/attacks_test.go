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
	ctx, cancel := context.WithTimeout(t.Context(), patience*5*time.Second)
	defer cancel()
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	start := time.Now()
	f(ctx)
	d := time.Since(start)
	goruntime.ReadMemStats(&after)
	if d > patience*30*time.Second {
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
	if d := time.Since(start); d > patience*60*time.Second {
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
				if d := time.Since(start); d > patience*30*time.Second {
					t.Errorf("loading took %v", d)
				}
			})
		}
	}
}

// TestAttackIndices has indices, lengths and weights that lie outside of what
// they point into, in every operator that takes some.
func TestAttackIndices(t *testing.T) {
	x3 := f32([]int{3}, 1, 2, 3)
	x23 := f32([]int{2, 3}, 1, 2, 3, 4, 5, 6)
	img := f32([]int{1, 1, 2, 2}, 1, 2, 3, 4)
	s := func(v ...int64) *onnx.Tensor { return i64([]int{len(v)}, v...) }
	bad := []int64{3, -4, 100, -100, math.MaxInt32, math.MaxInt64, math.MinInt64, math.MinInt32, 1 << 32}
	var cases []attack
	add := func(name string, values onnx.Values, nodes ...*onnx.Node) {
		cases = append(cases, attack{name: name, values: values, nodes: nodes})
	}
	for _, v := range bad {
		with := func(name string) string { return fmt.Sprint(name, " ", v) }
		add(with("Gather"), onnx.Values{"x": x3, "i": s(0, v)}, op("Gather", "x i", "y"))
		add(with("Gather, axis 1"), onnx.Values{"x": x23, "i": s(v)}, op("Gather", "x i", "y", intAttr("axis", 1)))
		add(with("Gather, strings"), onnx.Values{"x": onnx.MustTensor([]int{3}, []string{"a", "b", "c"}), "i": s(v)}, op("Gather", "x i", "y"))
		add(with("GatherElements"), onnx.Values{"x": x3, "i": s(0, v)}, op("GatherElements", "x i", "y"))
		add(with("GatherND"), onnx.Values{"x": x23, "i": i64([]int{1, 2}, 0, v)}, op("GatherND", "x i", "y"))
		add(with("GatherND, slice"), onnx.Values{"x": f32([]int{3, 2}, 1, 2, 3, 4, 5, 6), "i": i64([]int{2, 1}, 0, v)}, op("GatherND", "x i", "y"))
		add(with("Scatter"), onnx.Values{"x": x3, "i": s(v), "u": f32([]int{1}, 9)}, op("ScatterElements", "x i u", "y"))
		add(with("ScatterElements, add"), onnx.Values{"x": x3, "i": s(v), "u": f32([]int{1}, 9)}, op("ScatterElements", "x i u", "y", strAttr("reduction", "add")))
		add(with("ScatterND"), onnx.Values{"x": x3, "i": i64([]int{1, 1}, v), "u": f32([]int{1}, 9)}, op("ScatterND", "x i u", "y"))
		add(with("ScatterND, max"), onnx.Values{"x": x3, "i": i64([]int{1, 1}, v), "u": f32([]int{1}, 9)}, op("ScatterND", "x i u", "y", strAttr("reduction", "max")))
		add(with("SequenceAt"), onnx.Values{"x": x3, "i": i64(nil, v)}, op("SequenceConstruct", "x x x", "q"), op("SequenceAt", "q i", "y"))
		add(with("SequenceErase"), onnx.Values{"x": x3, "i": i64(nil, v)}, op("SequenceConstruct", "x x x", "q"), op("SequenceErase", "q i", "y"))
		if v != 3 && v != -4 {
			add(with("Resize, axis"), onnx.Values{"x": img, "z": s(2)}, op("Resize", "x _ _ z", "y", intsAttr("axes", v)))
			add(with("MaxUnpool"), onnx.Values{"x": img, "i": i64([]int{1, 1, 2, 2}, 0, 1, 2, v)}, op("MaxUnpool", "x i", "y", intsAttr("kernel_shape", 1, 1)))
			add(with("SequenceInsert"), onnx.Values{"x": x3, "i": i64(nil, v)}, op("SequenceConstruct", "x x x", "q"), op("SequenceInsert", "q x i", "y"))
			add(with("ArrayFeatureExtractor"), onnx.Values{"x": x3, "i": s(0, v)}, ml(op("ArrayFeatureExtractor", "x i", "y")))
		}
		add(with("CumSum"), onnx.Values{"x": x3, "i": i64(nil, v)}, op("CumSum", "x i", "y"))
		add(with("Squeeze"), onnx.Values{"x": x3, "i": s(v)}, op("Squeeze", "x i", "y"))
		add(with("ReduceSum"), onnx.Values{"x": x3, "i": s(v)}, op("ReduceSum", "x i", "y"))
		add(with("Slice, axis"), onnx.Values{"x": x3, "b": s(0), "e": s(1), "a": s(v)}, op("Slice", "x b e a", "y"))
		add(with("Pad, axis"), onnx.Values{"x": x3, "p": s(0, 1), "a": s(v)}, op("Pad", "x p _ a", "y"))
		add(with("Concat, axis"), onnx.Values{"x": x3}, op("Concat", "x x", "y", intAttr("axis", v)))
		add(with("Transpose"), onnx.Values{"x": x23}, op("Transpose", "x", "y", intsAttr("perm", 0, v)))
		add(with("TopK, axis"), onnx.Values{"x": x3, "k": s(1)}, op("TopK", "x k", "y z", intAttr("axis", v)))
		add(with("ArgMax"), onnx.Values{"x": x3}, op("ArgMax", "x", "y", intAttr("axis", v)))
		add(with("Unique"), onnx.Values{"x": x3}, op("Unique", "x", "y _ z", intAttr("axis", v)))
		add(with("Compress"), onnx.Values{"x": x3, "c": onnx.MustTensor([]int{1}, []bool{true})}, op("Compress", "x c", "y", intAttr("axis", v)))
		add(with("LogSoftmax"), onnx.Values{"x": x3}, op("LogSoftmax", "x", "y", intAttr("axis", v)))
		add(with("RoiAlign"), onnx.Values{"x": img, "r": f32([]int{1, 4}, 0, 0, 1, 1), "i": s(v)}, op("RoiAlign", "x r i", "y"))
		add(with("NegativeLogLikelihoodLoss"), onnx.Values{"x": f32([]int{1, 3}, 1, 2, 3), "i": s(v)}, op("NegativeLogLikelihoodLoss", "x i", "y"))
		add(with("SoftmaxCrossEntropyLoss"), onnx.Values{"x": f32([]int{1, 3}, 1, 2, 3), "i": s(v)}, op("SoftmaxCrossEntropyLoss", "x i", "y"))
		add(with("ReverseSequence"), onnx.Values{"x": f32([]int{3, 1}, 1, 2, 3), "l": s(v + b2i(v == 3))}, op("ReverseSequence", "x l", "y"))
	}
	add("GatherND, batch_dims", onnx.Values{"x": x23, "i": i64([]int{2, 1}, 0, 1)}, op("GatherND", "x i", "y", intAttr("batch_dims", 2)))
	add("GatherND, too deep", onnx.Values{"x": x23, "i": i64([]int{1, 3}, 0, 0, 0)}, op("GatherND", "x i", "y"))
	add("GatherElements, shape", onnx.Values{"x": x23, "i": i64([]int{3, 1}, 0, 0, 0)}, op("GatherElements", "x i", "y", intAttr("axis", 1)))
	add("ScatterElements, shape", onnx.Values{"x": x23, "i": i64([]int{1, 1}, 0), "u": f32([]int{1, 2}, 1, 2)}, op("ScatterElements", "x i u", "y"))
	add("ScatterND, shape", onnx.Values{"x": x23, "i": i64([]int{1, 1}, 0), "u": f32([]int{1, 2}, 1, 2)}, op("ScatterND", "x i u", "y"))
	add("NonMaxSuppression, boxes", onnx.Values{"b": f32([]int{1, 2, 3}, 0, 0, 1, 1, 1, 1), "s": f32([]int{1, 1, 2}, 1, 2), "k": i64([]int{1}, 3)}, op("NonMaxSuppression", "b s k", "y"))
	add("NonMaxSuppression, scores", onnx.Values{"b": f32([]int{1, 1, 4}, 0, 0, 1, 1), "s": f32([]int{1, 1, 2}, 1, 2), "k": i64([]int{1}, 3)}, op("NonMaxSuppression", "b s k", "y"))
	add("NonMaxSuppression, batches", onnx.Values{"b": f32([]int{1, 1, 4}, 0, 0, 1, 1), "s": f32([]int{2, 1, 1}, 1, 2), "k": i64([]int{1}, 3)}, op("NonMaxSuppression", "b s k", "y"))
	add("TopK, k", onnx.Values{"x": x3, "k": s(4)}, op("TopK", "x k", "y z"))
	add("TopK, negative k", onnx.Values{"x": x3, "k": s(-1)}, op("TopK", "x k", "y z"))
	add("Split", onnx.Values{"x": x3, "p": s(2, 2)}, op("Split", "x p", "y z"))
	add("Split, negative", onnx.Values{"x": x3, "p": s(4, -1)}, op("Split", "x p", "y z"))
	add("Split, overflow", onnx.Values{"x": x3, "p": s(math.MaxInt64, math.MaxInt64)}, op("Split", "x p", "y z"))
	add("Slice, no step", onnx.Values{"x": x3, "b": s(0), "e": s(3), "a": s(0), "t": s(0)}, op("Slice", "x b e a t", "y"))
	add("Conv, rank", onnx.Values{"x": x23, "w": img}, op("Conv", "x w", "y"))
	add("Conv, channels", onnx.Values{"x": img, "w": f32([]int{1, 2, 1, 1}, 1, 2)}, op("Conv", "x w", "y"))
	add("Conv, group", onnx.Values{"x": img, "w": img}, op("Conv", "x w", "y", intAttr("group", math.MaxInt64)))
	add("Conv, no group", onnx.Values{"x": img, "w": img}, op("Conv", "x w", "y", intAttr("group", 0)))
	add("Conv, stride", onnx.Values{"x": img, "w": img}, op("Conv", "x w", "y", intsAttr("strides", 0, 1)))
	add("Conv, kernel_shape", onnx.Values{"x": img, "w": img}, op("Conv", "x w", "y", intsAttr("kernel_shape", 3, 3)))
	add("MaxPool, stride", onnx.Values{"x": img}, op("MaxPool", "x", "y", intsAttr("kernel_shape", 1, 1), intsAttr("strides", 0, -1)))
	add("Col2Im, blocks", onnx.Values{"x": f32([]int{1, 1, 2}, 1, 2), "i": s(5, 5), "b": s(1, 1)}, op("Col2Im", "x i b", "y"))
	add("Col2Im, negative", onnx.Values{"x": f32([]int{1, 1, 1}, 1), "i": s(-1, -1), "b": s(1, 1)}, op("Col2Im", "x i b", "y"))
	add("BatchNormalization", onnx.Values{"x": img, "a": f32([]int{2}, 1, 2)}, op("BatchNormalization", "x a a a a", "y"))
	add("LayerNormalization", onnx.Values{"x": x23, "a": f32([]int{2}, 1, 2)}, op("LayerNormalization", "x a", "y"))
	add("MatMul", onnx.Values{"x": x23, "w": x23}, op("MatMul", "x w", "y"))
	add("Gemm, bias", onnx.Values{"x": x23, "w": f32([]int{3, 1}, 1, 2, 3), "c": x23}, op("Gemm", "x w c", "y"))
	add("DequantizeLinear", onnx.Values{"x": onnx.MustTensor([]int{3}, []uint8{1, 2, 3}), "s": f32([]int{2}, 1, 2)}, op("DequantizeLinear", "x s", "y", intAttr("axis", 0)))
	add("QuantizeLinear, block", onnx.Values{"x": x3, "s": f32([]int{2}, 1, 2)}, op("QuantizeLinear", "x s", "y", intAttr("axis", 0), intAttr("block_size", math.MaxInt64)))
	add("DepthToSpace", onnx.Values{"x": img}, op("DepthToSpace", "x", "y", intAttr("blocksize", math.MaxInt64)))
	add("SpaceToDepth", onnx.Values{"x": img}, op("SpaceToDepth", "x", "y", intAttr("blocksize", 0)))
	add("Reshape, two unknown", onnx.Values{"x": x3, "s": s(-1, -1)}, op("Reshape", "x s", "y"))
	add("Reshape, beyond", onnx.Values{"x": x3, "s": s(3, 0)}, op("Reshape", "x s", "y"))
	add("Reshape, negative", onnx.Values{"x": x3, "s": s(-3, -1)}, op("Reshape", "x s", "y"))
	add("Range, no step", onnx.Values{"a": i64(nil, 0), "b": i64(nil, 3), "c": i64(nil, 0)}, op("Range", "a b c", "y"))
	add("Tile, negative", onnx.Values{"x": x3, "s": s(-2)}, op("Tile", "x s", "y"))
	add("Pad, odd", onnx.Values{"x": x3, "s": s(1)}, op("Pad", "x s", "y"))
	add("Pad, beyond", onnx.Values{"x": x3, "s": s(-2, -2)}, op("Pad", "x s", "y"))
	add("Pad, reflect", onnx.Values{"x": f32([]int{0}), "s": s(1, 0)}, op("Pad", "x s", "y", strAttr("mode", "reflect")))
	add("OneHot, depth", onnx.Values{"i": s(0), "d": i64(nil, -1), "v": f32([]int{2}, 0, 1)}, op("OneHot", "i d v", "y"))
	add("OneHot, values", onnx.Values{"i": s(0), "d": i64(nil, 3), "v": f32([]int{1}, 0)}, op("OneHot", "i d v", "y"))
	add("ArgMax of nothing", onnx.Values{"x": f32([]int{0})}, op("ArgMax", "x", "y"))
	add("Div by zero", onnx.Values{"x": s(1), "z": s(0)}, op("Div", "x z", "y"))
	add("Mod by zero", onnx.Values{"x": s(math.MinInt64), "z": s(0)}, op("Mod", "x z", "y"))
	add("SVMRegressor", onnx.Values{"x": x23}, ml(op("SVMRegressor", "x", "y", intAttr("n_supports", math.MaxInt32), floatsAttr("support_vectors", 1, 2, 3), floatsAttr("coefficients", 1), floatsAttr("rho", 1))))
	add("SVMClassifier", onnx.Values{"x": x23}, ml(op("SVMClassifier", "x", "y z", intsAttr("vectors_per_class", 1, 1<<40), floatsAttr("support_vectors", 1, 2, 3), floatsAttr("coefficients", 1), floatsAttr("rho", 1), intsAttr("classlabels_ints", 0, 1))))
	add("LinearClassifier", onnx.Values{"x": x23}, ml(op("LinearClassifier", "x", "y z", floatsAttr("coefficients", 1), intsAttr("classlabels_ints", 0, 1))))
	add("Scaler", onnx.Values{"x": x23}, ml(op("Scaler", "x", "y", floatsAttr("scale", 1, 2), floatsAttr("offset", 1, 2))))
	add("TreeEnsembleRegressor", onnx.Values{"x": x23}, ml(op("TreeEnsembleRegressor", "x", "y", intAttr("n_targets", 1), intsAttr("nodes_treeids", 0, 0), intsAttr("nodes_nodeids", 0, 1), intsAttr("nodes_featureids", 100, 0), floatsAttr("nodes_values", 1, 0),
		&onnx.Attribute{Name: "nodes_modes", Type: onnx.AttrStrings, Strings: []string{"BRANCH_LEQ", "LEAF"}}, intsAttr("nodes_truenodeids", 1, 0), intsAttr("nodes_falsenodeids", 7, 0), intsAttr("target_treeids", 0), intsAttr("target_nodeids", 1), intsAttr("target_ids", 5), floatsAttr("target_weights", 1))))
	for _, a := range cases {
		t.Run(a.name, func(t *testing.T) {
			for _, constant := range []bool{true, false} {
				m, in := a.model(constant)
				inBounds(t, func(ctx context.Context) {
					s, err := rt.LoadModel(m, rt.WithLimits(attackLimits), rt.WithThreads(1))
					if err == nil {
						_, err = s.Run(ctx, in)
					}
					if err == nil || !isSentinel(err) || errors.Is(err, onnx.ErrUnsupported) {
						t.Errorf("constant %v: got error %.2000v, want one about the index", constant, err)
					}
				})
			}
		})
	}
}

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// TestAttackRecurrent has recurrent operators whose weights, states and lengths
// do not fit each other or hidden_size.
func TestAttackRecurrent(t *testing.T) {
	const T, B, I, H = 3, 2, 2, 2
	zeros := func(shape ...int) *onnx.Tensor {
		n, _ := onnx.NumElements(shape)
		return f32(shape, make([]float32, n)...)
	}
	lens := func(v ...int32) *onnx.Tensor { return onnx.MustTensor([]int{len(v)}, v) }
	for kind, gates := range map[string]int{"RNN": 1, "GRU": 3, "LSTM": 4} {
		good := func() onnx.Values {
			v := onnx.Values{"x": zeros(T, B, I), "W": zeros(1, gates*H, I), "R": zeros(1, gates*H, H), "B": zeros(1, 2*gates*H), "L": lens(3, 1), "h": zeros(1, B, H)}
			if kind == "LSTM" {
				v["c"], v["P"] = zeros(1, B, H), zeros(1, 3*H)
			}
			return v
		}
		in := "x W R B L h"
		if kind == "LSTM" {
			in += " c P"
		}
		hidden := intAttr("hidden_size", H)
		for _, c := range []struct {
			name  string
			attrs []*onnx.Attribute
			spoil func(v onnx.Values)
			good  bool
		}{
			{"fitting", nil, func(v onnx.Values) {}, true},
			{"no time", nil, func(v onnx.Values) { v["x"], v["L"] = zeros(0, B, I), lens(0, 0) }, true},
			{"no batch", nil, func(v onnx.Values) {
				v["x"], v["L"], v["h"] = zeros(T, 0, I), lens(), zeros(1, 0, H)
				if v["c"] != nil {
					v["c"] = zeros(1, 0, H)
				}
			}, true},
			{"lengths of zero", nil, func(v onnx.Values) { v["L"] = lens(0, 0) }, true},
			{"long", nil, func(v onnx.Values) { v["L"] = lens(3, 4) }, false},
			{"very long", nil, func(v onnx.Values) { v["L"] = lens(3, math.MaxInt32) }, false},
			{"negative length", nil, func(v onnx.Values) { v["L"] = lens(-1, 1) }, false},
			{"least length", nil, func(v onnx.Values) { v["L"] = lens(math.MinInt32, 1) }, false},
			{"few lengths", nil, func(v onnx.Values) { v["L"] = lens(3) }, false},
			{"many lengths", nil, func(v onnx.Values) { v["L"] = lens(3, 3, 3) }, false},
			{"lengths of rank 2", nil, func(v onnx.Values) { v["L"] = onnx.MustTensor([]int{2, 1}, []int32{1, 1}) }, false},
			{"W rows", nil, func(v onnx.Values) { v["W"] = zeros(1, gates*H-1, I) }, false},
			{"W columns", nil, func(v onnx.Values) { v["W"] = zeros(1, gates*H, I-1) }, false},
			{"W directions", nil, func(v onnx.Values) { v["W"] = zeros(2, gates*H, I) }, false},
			{"W rank", nil, func(v onnx.Values) { v["W"] = zeros(gates*H, I) }, false},
			{"W empty", nil, func(v onnx.Values) { v["W"] = zeros(1, 0, I) }, false},
			{"R rows", nil, func(v onnx.Values) { v["R"] = zeros(1, gates*H-1, H) }, false},
			{"R columns", nil, func(v onnx.Values) { v["R"] = zeros(1, gates*H, H+1) }, false},
			{"R rank", nil, func(v onnx.Values) { v["R"] = zeros(1, gates*H*H) }, false},
			{"R scalar", nil, func(v onnx.Values) { v["R"] = zeros() }, false},
			{"B short", nil, func(v onnx.Values) { v["B"] = zeros(1, gates*H) }, false},
			{"B directions", nil, func(v onnx.Values) { v["B"] = zeros(2, 2*gates*H) }, false},
			{"h batch", nil, func(v onnx.Values) { v["h"] = zeros(1, B+1, H) }, false},
			{"h hidden", nil, func(v onnx.Values) { v["h"] = zeros(1, B, H-1) }, false},
			{"h rank", nil, func(v onnx.Values) { v["h"] = zeros(B, H) }, false},
			{"x rank", nil, func(v onnx.Values) { v["x"] = zeros(T, B*I) }, false},
			{"x scalar", nil, func(v onnx.Values) { v["x"] = zeros() }, false},
			{"x features", nil, func(v onnx.Values) { v["x"] = zeros(T, B, I+1) }, false},
			{"c batch", nil, func(v onnx.Values) { v["c"] = zeros(1, B+1, H) }, false},
			{"P short", nil, func(v onnx.Values) { v["P"] = zeros(1, 3*H-1) }, false},
			{"hidden_size more", []*onnx.Attribute{intAttr("hidden_size", H+1)}, func(v onnx.Values) {}, false},
			{"hidden_size huge", []*onnx.Attribute{intAttr("hidden_size", math.MaxInt64)}, func(v onnx.Values) {}, false},
			{"hidden_size overflowing", []*onnx.Attribute{intAttr("hidden_size", 1<<62+H)}, func(v onnx.Values) {}, false},
			{"hidden_size 0", []*onnx.Attribute{intAttr("hidden_size", 0)}, func(v onnx.Values) {}, false},
			{"hidden_size negative", []*onnx.Attribute{intAttr("hidden_size", -H)}, func(v onnx.Values) {}, false},
			{"direction", []*onnx.Attribute{hidden, strAttr("direction", "bidirectional")}, func(v onnx.Values) {}, false},
			{"no direction", []*onnx.Attribute{hidden, strAttr("direction", "sideways")}, func(v onnx.Values) {}, false},
			{"layout", []*onnx.Attribute{hidden, intAttr("layout", 1)}, func(v onnx.Values) {}, false},
			{"layout 2", []*onnx.Attribute{hidden, intAttr("layout", 2)}, func(v onnx.Values) {}, false},
			{"activations", []*onnx.Attribute{hidden, {Name: "activations", Type: onnx.AttrStrings, Strings: []string{"Tanh", "Tanh", "Tanh", "Tanh", "Tanh"}}}, func(v onnx.Values) {}, false},
			{"clip", []*onnx.Attribute{hidden, floatAttr("clip", -1)}, func(v onnx.Values) {}, false},
		} {
			if kind != "LSTM" && (c.name == "c batch" || c.name == "P short") {
				continue
			}
			v := good()
			c.spoil(v)
			attrs := c.attrs
			if attrs == nil {
				attrs = []*onnx.Attribute{hidden}
			}
			outputs := "y yh"
			a := attack{name: kind, values: v, nodes: []*onnx.Node{op(kind, in, outputs, attrs...)}}
			for _, constant := range []bool{true, false} {
				m, in := a.model(constant)
				s, err := rt.LoadModel(m, rt.WithLimits(attackLimits), rt.WithThreads(1))
				if err == nil {
					_, err = s.Run(t.Context(), in)
				}
				if c.good && err != nil || !c.good && (err == nil || !isSentinel(err)) {
					t.Errorf("%s, %s, constant %v: got error %.2000v", kind, c.name, constant, err)
				}
			}
		}
	}
}

// TestAttackLoops has loops that would not end, in trips or in what they
// gather: limits end them, and the context at any time.
func TestAttackLoops(t *testing.T) {
	always := initOf("always", onnx.Scalar(true))
	most := initOf("most", i64(nil, math.MaxInt64))
	one := initOf("one", f32([]int{1}, 1))
	loopWith := func(in string, b *onnx.Graph, out string) *onnx.Node {
		return op("Loop", in, out, graphAttr("body", b))
	}
	same := func(more ...*onnx.Node) []*onnx.Node { return append(more, op("Identity", "c", "c2")) }
	inner := loopWith("most always s", body("i1 d s1", "d2 s2", op("Identity", "d", "d2"), op("Neg", "s1", "s2")), "t")
	for _, c := range []struct {
		name string
		node *onnx.Node
		grow bool // it ends by memory
	}{
		{"trips", loopWith("most _ x", body("i c s", "c2 t", same(op("Neg", "s", "t"))...), "y"), false},
		{"a condition", loopWith("_ always x", body("i c s", "c2 t", same(op("Neg", "s", "t"))...), "y"), false},
		{"neither", loopWith("_ _ x", body("i c s", "c2 t", same(op("Neg", "s", "t"))...), "y"), false},
		{"nothing in it", loopWith("most always x", body("i c s", "c s"), "y"), false},
		{"nested", loopWith("most always x", body("i c s", "c2 t", same(inner)...), "y"), false},
		{"scan outputs", loopWith("most always x", body("i c s", "c2 t t", same(op("Neg", "s", "t"))...), "y z"), true},
		{"a state that doubles", loopWith("most always x", body("i c s", "c2 t", same(op("Concat", "s s", "t", intAttr("axis", 0)))...), "y"), true},
		{"a state that grows", loopWith("most always x", body("i c s", "c2 t", same(op("Concat", "s big", "t", intAttr("axis", 0)))...), "y"), true},
		{"a rank that grows", loopWith("most always x", body("i c s", "c2 t", same(op("Unsqueeze", "s zero", "t"))...), "y"), true},
		{"a sequence that grows", loopWith("most always q", body("i c s", "c2 t", same(op("SequenceInsert", "s big", "t"))...), "y"), false}, // without a copy of big: slow before it is large
		{"strings that double", loopWith("most always text", body("i c s", "c2 t", same(op("StringConcat", "s s", "t"))...), "y"), true},
		{"strings that gather", loopWith("most always text", body("i c s", "c2 t", same(op("Concat", "s s", "t", intAttr("axis", 0)))...), "y"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := &onnx.Graph{Name: "g", Inputs: []onnx.ValueInfo{value("x", onnx.Float, "n"), value("text", onnx.String, "m"), value("big", onnx.Float, "b")}, Outputs: []onnx.ValueInfo{{Name: "y"}},
				Initializers: []*onnx.Initializer{always, most, one, initOf("zero", i64([]int{1}, 0))},
				Nodes:        []*onnx.Node{op("SequenceConstruct", "x", "q"), c.node}}
			if len(c.node.Outputs) > 1 {
				g.Outputs = append(g.Outputs, onnx.ValueInfo{Name: "z"})
			}
			in := onnx.Values{"x": f32([]int{1000}, make([]float32, 1000)...), "text": onnx.MustTensor([]int{1}, []string{"0123456789"}), "big": f32([]int{400_000}, make([]float32, 400_000)...)}
			m := modelOf(g)
			m.OpsetImports[0].Version = 21
			for name, l := range map[string]onnx.Limits{"memory": {RunBytes: attackBytes}, "iterations": {LoopIterations: 500, RunBytes: attackBytes}} {
				s, err := rt.LoadModel(m, rt.WithLimits(l), rt.WithThreads(1))
				if err != nil {
					t.Fatalf("%.300v", err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				if c.grow || name == "iterations" {
					ctx, cancel = context.WithTimeout(t.Context(), patience*20*time.Second)
				}
				start := time.Now()
				_, err = s.Run(ctx, in)
				cancel()
				if err == nil && c.name == "nothing in it" {
					continue // what it gives is known without going through it
				}
				if want := onnx.ErrLimit; (c.grow || name == "iterations") && c.name != "nested" && !errors.Is(err, want) {
					t.Errorf("under a limit of %s: got error %.300v, want %v", name, err, want)
				} else if err == nil || !isSentinel(err) {
					t.Errorf("under a limit of %s: got error %.300v", name, err)
				}
				if d := time.Since(start); d > patience*30*time.Second {
					t.Errorf("it took %v", d)
				}
			}
		})
	}
}

// TestAttackScans has scans and recurrences over very many steps of nothing.
func TestAttackScans(t *testing.T) {
	nothing, err := onnx.NewZeros(onnx.Float, []int{math.MaxInt / 8, 0})
	if err != nil {
		t.Fatal(err)
	}
	sequence, err := onnx.NewZeros(onnx.Float, []int{math.MaxInt / 8, 0, 2})
	if err != nil {
		t.Fatal(err)
	}
	step := body("s e", "s2 e2", op("Add", "s e", "s2"), op("Neg", "e", "e2"))
	hidden := intAttr("hidden_size", 2)
	for _, c := range []struct {
		name string
		in   onnx.Values
		node *onnx.Node
	}{
		{"Scan", onnx.Values{"x": nothing, "s": f32([]int{0})}, op("Scan", "s x", "_ y", graphAttr("body", step), intAttr("num_scan_inputs", 1))},
		{"Scan, backwards", onnx.Values{"x": nothing, "s": f32([]int{0})}, op("Scan", "s x", "y _", graphAttr("body", step), intAttr("num_scan_inputs", 1), intsAttr("scan_input_directions", 1))},
		{"RNN", onnx.Values{"x": sequence, "w": f32([]int{1, 2, 2}, 1, 2, 3, 4)}, op("RNN", "x w w", "y", hidden)},
		{"LSTM", onnx.Values{"x": sequence, "w": f32([]int{1, 8, 2}, make([]float32, 16)...)}, op("LSTM", "x w w", "y", hidden)},
		{"GRU", onnx.Values{"x": sequence, "w": f32([]int{1, 6, 2}, make([]float32, 12)...)}, op("GRU", "x w w", "y", hidden)},
		{"SplitToSequence", onnx.Values{"x": nothing}, op("SplitToSequence", "x", "y")},
		{"SequenceMap", onnx.Values{"x": nothing}, op("SequenceMap", "x", "y", graphAttr("body", body("e", "f", op("Neg", "e", "f"))))},
		{"ReverseSequence", onnx.Values{"x": nothing, "l": i64([]int{0})}, op("ReverseSequence", "x l", "y")},
		{"NonZero", onnx.Values{"x": nothing}, op("NonZero", "x", "y")},
		{"EyeLike", onnx.Values{"x": nothing}, op("EyeLike", "x", "y")},
		{"ReduceSum", onnx.Values{"x": nothing}, op("ReduceSum", "x", "y", intAttr("keepdims", 0))},
		{"TopK", onnx.Values{"x": nothing, "k": i64([]int{1}, 0)}, op("TopK", "x k", "y z")},
		{"ArgMax", onnx.Values{"x": nothing}, op("ArgMax", "x", "y", intAttr("axis", 0))},
		{"Unique", onnx.Values{"x": nothing}, op("Unique", "x", "y", intAttr("axis", 0))},
		{"Softmax", onnx.Values{"x": nothing}, op("Softmax", "x", "y")},
		{"Transpose", onnx.Values{"x": nothing}, op("Transpose", "x", "y")},
		{"MatMul", onnx.Values{"x": nothing, "w": f32([]int{0, 0})}, op("MatMul", "x w", "y")},
		{"Split", onnx.Values{"x": nothing}, op("Split", "x", "y z")},
		{"Concat", onnx.Values{"x": nothing}, op("Concat", "x x", "y", intAttr("axis", 0))},
		{"OneHot", onnx.Values{"x": nothing, "d": i64(nil, 3), "v": f32([]int{2}, 0, 1)}, op("OneHot", "x d v", "y")},
		{"CumSum", onnx.Values{"x": nothing, "a": i64(nil, 0)}, op("CumSum", "x a", "y")},
		{"LayerNormalization", onnx.Values{"x": nothing, "w": f32([]int{0})}, op("LayerNormalization", "x w", "y")},
		{"Compress", onnx.Values{"x": nothing, "c": onnx.MustTensor([]int{1}, []bool{true})}, op("Compress", "x c", "y", intAttr("axis", 0))},
		{"Slice", onnx.Values{"x": nothing, "b": i64([]int{1}, 0), "e": i64([]int{1}, math.MaxInt64), "a": i64([]int{1}, 0), "t": i64([]int{1}, 2)}, op("Slice", "x b e a t", "y")},
		{"Gather", onnx.Values{"x": nothing, "i": i64([]int{2}, 0, 1)}, op("Gather", "x i", "y", intAttr("axis", 0))},
		{"Pad", onnx.Values{"x": nothing, "p": i64([]int{4}, 1, 0, 1, 0)}, op("Pad", "x p", "y")},
		{"Tile", onnx.Values{"x": nothing, "p": i64([]int{2}, 2, 2)}, op("Tile", "x p", "y")},
	} {
		t.Run(c.name, func(t *testing.T) {
			done := make(chan error, 1)
			a := attack{values: c.in, nodes: []*onnx.Node{c.node}}
			m, in := a.model(false)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			go func() {
				s, err := rt.LoadModel(m, rt.WithThreads(1), rt.WithLimits(attackLimits))
				if err == nil {
					_, err = s.Run(ctx, in)
				}
				done <- err
			}()
			select {
			case err := <-done:
				if err != nil && (!isSentinel(err) || errors.Is(err, onnx.ErrUnsupported)) {
					t.Errorf("%.2000v", err)
				}
			case <-time.After(patience * 20 * time.Second):
				t.Fatal("it does not end")
			}
		})
	}
}

// TestAttackLoadTime has models of many nodes, each of which the rewriting may
// look at again and again.
func TestAttackLoadTime(t *testing.T) {
	const n = 10_000
	weights := func(shape ...int) *onnx.Tensor {
		k, _ := onnx.NumElements(shape)
		return f32(shape, floats(k, func(i int) float32 { return float32(i%7) - 3 })...)
	}
	for name, node := range map[string]func(i int, in, out string) []*onnx.Node{
		"a chain":       func(_ int, in, out string) []*onnx.Node { return []*onnx.Node{op("Tanh", in, out)} },
		"sums":          func(_ int, in, out string) []*onnx.Node { return []*onnx.Node{op("Add", in+" b", out)} },
		"doubling sums": func(_ int, in, out string) []*onnx.Node { return []*onnx.Node{op("Add", in+" "+in, out)} },
		"doubled terms": func(_ int, in, out string) []*onnx.Node { return []*onnx.Node{op("Mul", in+" "+in, out)} },
		"products":      func(_ int, in, out string) []*onnx.Node { return []*onnx.Node{op("MatMul", in+" w", out)} },
		"transpositions": func(_ int, in, out string) []*onnx.Node {
			return []*onnx.Node{op("Transpose", in, out, intsAttr("perm", 1, 0))}
		},
		"slices and joins": func(i int, in, out string) []*onnx.Node {
			a, b := fmt.Sprint("a", i), fmt.Sprint("b", i)
			return []*onnx.Node{op("Split", in, a+" "+b, intAttr("axis", 1)), op("Concat", b+" "+a, out, intAttr("axis", 1))}
		},
		"gates": func(i int, in, out string) []*onnx.Node {
			g, s, h := fmt.Sprint("g", i), fmt.Sprint("s", i), fmt.Sprint("h", i)
			return []*onnx.Node{op("MatMul", in+" w", g), op("Sigmoid", g, s), op("Tanh", in, h), op("Mul", s+" "+h, out)}
		},
		"recurrent operators": func(i int, in, out string) []*onnx.Node {
			u, y := fmt.Sprint("u", i), fmt.Sprint("y", i)
			if i%10 != 0 {
				return []*onnx.Node{op("Neg", in, out)}
			}
			return []*onnx.Node{op("Unsqueeze", in+" zero", u), op("RNN", u+" W W", "_ "+y, intAttr("hidden_size", 4)), op("Squeeze", y+" zero", out)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := &onnx.Graph{Name: "g", Inputs: []onnx.ValueInfo{value("x", onnx.Float, 4, 4)}, Outputs: []onnx.ValueInfo{{Name: "y"}},
				Initializers: []*onnx.Initializer{initOf("b", weights(4)), initOf("w", weights(4, 4)), initOf("W", weights(1, 4, 4)), initOf("zero", i64([]int{1}, 0))}}
			in := "x"
			for i := range n {
				out := fmt.Sprint("v", i)
				if i == n-1 {
					out = "y"
				}
				g.Nodes = append(g.Nodes, node(i, in, out)...)
				in = out
			}
			start := time.Now()
			if _, err := rt.LoadModel(modelOf(g)); err != nil {
				t.Errorf("%.300v", err)
			}
			if d := time.Since(start); d > patience*30*time.Second {
				t.Errorf("loading %d nodes took %v", len(g.Nodes), d)
			} else {
				t.Logf("%d nodes in %v", len(g.Nodes), d)
			}
		})
	}
}
