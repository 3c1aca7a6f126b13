package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// picture draws a model and wants well-formed XML that needs nothing from
// outside.
func picture(t *testing.T, m *onnx.Model) string {
	t.Helper()
	var b bytes.Buffer
	if err := drawModel(&b, m, viewModel(m, onnx.Limits{}, nil), "some/model.onnx"); err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(bytes.NewReader(b.Bytes()))
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%.2000s", err, b.String())
		}
		e, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		if e.Name.Local == "script" || e.Name.Local == "image" || e.Name.Local == "foreignObject" {
			t.Errorf("element %s", e.Name.Local)
		}
		for _, a := range e.Attr {
			if a.Name.Local == "href" || strings.HasPrefix(a.Name.Local, "on") || strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
				t.Errorf("%s: attribute %s=%q", e.Name.Local, a.Name.Local, a.Value)
			}
		}
	}
	if strings.Contains(b.String(), "@import") || strings.Contains(b.String(), "url(http") {
		t.Error("the style sheet loads something")
	}
	return b.String()
}

// chainModel makes a model of n nodes, each of which also reads one far before.
func chainModel(n int, name func(int) string) *onnx.Model {
	g := &onnx.Graph{Name: "chain", Inputs: []onnx.ValueInfo{{Name: "x", Type: onnx.TensorType(onnx.Float, onnx.FixedShape(2))}}}
	last := []string{"x", "x"}
	for i := range n {
		out := fmt.Sprintf("v%d", i)
		op, in := "Tanh", []string{last[1]}
		if i%7 == 3 {
			op, in = "Add", last
		}
		g.Nodes = append(g.Nodes, &onnx.Node{Name: name(i), OpType: op, Inputs: in, Outputs: []string{out}})
		if last[1] = out; i%11 == 0 {
			last = []string{out, out}
		}
	}
	g.Outputs = []onnx.ValueInfo{{Name: last[1], Type: onnx.TensorType(onnx.Float, nil)}}
	return &onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 17}}, Graph: g}
}

func decodeModel(t *testing.T, path string) *onnx.Model {
	t.Helper()
	m, err := onnx.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestPicture(t *testing.T) {
	for _, c := range []struct {
		file  string
		parts []string
	}{
		{"tagger", []string{"model.onnx: tagger", "2 nodes, 204 parameters, opset 17", "multiply-adds: 138*batch*steps", "tokens", "Gather", "LSTM", "2 → 3, bidirectional", "recurrent layer"}},
		{"loop", []string{"Loop", ">body<", "sum", ">state<", "becomes", "state, carried"}},
		{"function", []string{"local:Gate"}},
		{"foreign", []string{"com.acme:Foo", ">other<"}},
		{"invalid", nil},
		{"sequence", nil},
	} {
		t.Run(c.file, func(t *testing.T) {
			m := decodeModel(t, "testdata/"+c.file+".onnx")
			text := picture(t, m)
			wantParts(t, "the picture", text, c.parts)
			if again := picture(t, m); again != text {
				t.Error("a second picture differs")
			}
		})
	}
}

// TestPictureIsBounded: a large model is drawn as its parts, in a second.
func TestPictureIsBounded(t *testing.T) {
	for _, n := range []int{100, 3000, 40000} {
		text := picture(t, chainModel(n, func(i int) string { return fmt.Sprintf("block_%d/layer_%d/op", i/500, i/50) }))
		if boxes := strings.Count(text, "<rect "); boxes > 3*manyParts {
			t.Errorf("%d nodes: %d boxes", n, boxes)
		}
	}
	m := chainModel(1, func(int) string { return "n" }) // branches within branches
	for i := range 30 {
		inner := &onnx.Graph{Name: "b", Nodes: m.Graph.Nodes, Outputs: m.Graph.Outputs}
		out := fmt.Sprintf("w%d", i)
		m.Graph = &onnx.Graph{Name: "g", Inputs: append(m.Graph.Inputs, onnx.ValueInfo{Name: fmt.Sprintf("c%d", i), Type: onnx.TensorType(onnx.Bool, onnx.FixedShape())}),
			Nodes: []*onnx.Node{{OpType: "If", Inputs: []string{fmt.Sprintf("c%d", i)}, Outputs: []string{out},
				Attributes: []*onnx.Attribute{{Name: "then_branch", Type: onnx.AttrGraph, Graph: inner}, {Name: "else_branch", Type: onnx.AttrGraph, Graph: inner}}}},
			Outputs: []onnx.ValueInfo{{Name: out, Type: onnx.TensorType(onnx.Float, nil)}}}
		if i == 8 {
			break
		}
	}
	if boxes := strings.Count(picture(t, m), "<rect "); boxes > 2*maxBoxes {
		t.Errorf("nested branches: %d boxes", boxes)
	}
}

// TestPictureEscapes: names are the file's, and may be anything.
func TestPictureEscapes(t *testing.T) {
	text := picture(t, chainModel(3, func(int) string { return "<script>\x00\xff]]>&\"'\u202e" }))
	if strings.Contains(text, "<script") {
		t.Error("a name became an element")
	}
}

// TestLayout: boxes of a diagram do not overlap, lie within it, and edges
// point down.
func TestLayout(t *testing.T) {
	d := &drawer{left: maxBoxes}
	top := d.graph(viewModel(chainModel(90, func(i int) string { return "" }), onnx.Limits{}, nil), 0, nil)
	top.arrange()
	if len(top.boxes) < 10 || len(top.edges) < 10 {
		t.Fatalf("%d boxes, %d edges", len(top.boxes), len(top.edges))
	}
	for i, a := range top.boxes {
		if a.x < -0.01 || a.y < 0 || a.x+a.w > top.w+0.01 || a.y+a.h > top.h+0.01 {
			t.Errorf("box %q lies outside", a.lines[0])
		}
		for _, b := range top.boxes[i+1:] {
			if a.x < b.x+b.w && b.x < a.x+a.w && a.y < b.y+b.h && b.y < a.y+a.h {
				t.Errorf("boxes %q and %q overlap", a.lines[0], b.lines[0])
			}
		}
	}
	for _, e := range top.edges {
		if e.from.y+e.from.h > e.to.y {
			t.Errorf("an edge goes up from %q to %q", e.from.lines[0], e.to.lines[0])
		}
	}
}

func TestShow(t *testing.T) {
	svg := filepath.Join(t.TempDir(), "m.svg")
	runCases(t, []commandCase{
		{name: "tree", args: []string{"inspect", "testdata/tagger.onnx", "--tree"},
			out: []string{"(tokens [steps batch], lengths [batch]) -> state [2 batch 3]", "|- Gather-13(#[9 2], tokens) -> embedded [steps batch 2]", "`- LSTM-14(embedded, #", "x+ 138*batch*steps"}},
		{name: "tree of a loop, sizes given", args: []string{"inspect", "testdata/loop.onnx", "--tree", "--shape", "n="},
			out: []string{"`- Loop-16(", "body (i [], cond [], sum []) -> cond_out [], sum_out []", "Add-14("}},
		{name: "tree of functions", args: []string{"inspect", "testdata/function.onnx", "--tree"}, out: []string{"local:Gate(", "function local:Gate("}},
		{name: "tree as it runs", args: []string{"inspect", "testdata/function.onnx", "--tree", "--rewritten"}, out: []string{"Relu-14("}},
		{name: "picture", args: []string{"inspect", "testdata/loop.onnx", "--svg", svg}, silent: true, err: []string{"wrote"}},
		{name: "picture to stdout", args: []string{"inspect", "testdata/loop.onnx", "--svg", "-"}, out: []string{"<svg ", "</svg>"}},
		{name: "two on stdout", args: []string{"inspect", "testdata/loop.onnx", "--json", "--tree"}, code: exitUsage, silent: true, err: []string{"stdout"}},
		{name: "invalid as it runs", args: []string{"inspect", "testdata/invalid.onnx", "--tree", "--rewritten"}, code: exitMismatch, silent: true, err: []string{"nowhere"}},
		{name: "sizes", args: []string{"inspect", "testdata/tagger.onnx", "--shape", "steps=10", "--shape", "batch=2"},
			out: []string{"multiply-adds", "2 760\n", "values: ", "B at most, in node"}},
		{name: "sizes of another rank", args: []string{"inspect", "testdata/tagger.onnx", "--shape", "lengths=1,2"}, code: exitUsage, silent: true, err: []string{"2 sizes, the model wants [batch]"}},
		{name: "no such dimension", args: []string{"inspect", "testdata/tagger.onnx", "--shape", "rows=1"}, code: exitUsage, silent: true, err: []string{"no input or dimension"}},
	})
	if data, err := os.ReadFile(svg); err != nil || !bytes.HasPrefix(data, []byte("<svg ")) {
		t.Errorf("%.20s, %v", data, err)
	}
}

func TestPoly(t *testing.T) {
	batch, steps := poly{"batch": 1}, poly{"steps": 1}
	p, _ := steps.times(batch)
	p, _ = p.times(constant(1200))
	p, _ = p.plus(constant(12))
	p, _ = p.plus(batch)
	if got := p.String(); got != "1 200*batch*steps + batch + 12" {
		t.Errorf("got %s", got)
	}
	if _, ok := p.number(); ok {
		t.Error("a number")
	}
	if n, ok := constant(7).number(); !ok || n != 7 {
		t.Errorf("%d, %v", n, ok)
	}
	if _, ok := constant(1 << 40).times(constant(1 << 40)); ok {
		t.Error("an overflow went unnoticed")
	}
	if _, ok := constant(1<<63 - 1).plus(constant(1)); ok {
		t.Error("an overflow went unnoticed")
	}
	if got := poly(nil).String(); got != "0" {
		t.Errorf("got %s", got)
	}
}

// TestViewOfNestedLoops: a body is viewed again when a state changes its shape,
// which must not double at each level.
func TestViewOfNestedLoops(t *testing.T) {
	g := &onnx.Graph{Name: "inner", Nodes: []*onnx.Node{{OpType: "Concat", Inputs: []string{"s", "s"}, Outputs: []string{"t"},
		Attributes: []*onnx.Attribute{{Name: "axis", Type: onnx.AttrInt}}}}}
	float := func(name string) onnx.ValueInfo {
		return onnx.ValueInfo{Name: name, Type: onnx.TensorType(onnx.Float, onnx.UnknownShape(1))}
	}
	m := &onnx.Model{IRVersion: 8, OpsetImports: []onnx.OpsetImport{{Version: 17}}}
	for range 24 {
		g.Inputs = []onnx.ValueInfo{{Name: "i", Type: onnx.TensorType(onnx.Int64, onnx.FixedShape())}, {Name: "c", Type: onnx.TensorType(onnx.Bool, onnx.FixedShape())}, float("s")}
		g.Outputs = []onnx.ValueInfo{{Name: "c", Type: g.Inputs[1].Type}, float("t")}
		g = &onnx.Graph{Name: "outer", Nodes: []*onnx.Node{{OpType: "Loop", Inputs: []string{"", "c", "s"}, Outputs: []string{"t"},
			Attributes: []*onnx.Attribute{{Name: "body", Type: onnx.AttrGraph, Graph: g}}}}}
	}
	g.Inputs = []onnx.ValueInfo{{Name: "c", Type: onnx.TensorType(onnx.Bool, onnx.FixedShape())}, {Name: "s", Type: onnx.TensorType(onnx.Float, onnx.FixedShape(3))}}
	g.Outputs = []onnx.ValueInfo{float("t")}
	m.Graph = g
	v := viewModel(m, onnx.Limits{}, nil)
	if d := v.nodes[0].bodies[0].view.typeOf("s").Shape; len(d) != 1 || d[0].Known() {
		t.Errorf("the state is of shape %v, which grows", d)
	}
	picture(t, m)
}
