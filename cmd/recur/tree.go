package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/rewrite"
)

// show prints the tree of a model, or draws it.
func (c *cli) show(m *onnx.Model, path string, given map[string]onnx.Type, f *inspectFlags) error {
	if f.rewritten {
		if err := onnx.Check(m, onnx.CheckLimits(f.limits())); err != nil {
			return err
		}
		var err error
		if m, err = rewrite.Apply(m, rewrite.Options{Limits: f.limits()}); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	v := viewModel(m, f.limits(), given)
	if f.svg != "" {
		if f.svg == "-" {
			return drawModel(c.out, m, v, path)
		}
		if err := writeFile(f.svg, func(w io.Writer) error { return drawModel(w, m, v, path) }); err != nil {
			return err
		}
		c.logf("wrote %s", f.svg)
	}
	if f.tree {
		return c.printTree(m, v)
	}
	return nil
}

// treePrinter writes nodes, indented by the graphs that they stand in.
type treePrinter struct {
	w               *bufio.Writer
	tee, last, bar  string
	multiply, arrow string
	names           shortNames
}

func (c *cli) printTree(m *onnx.Model, v *view) error {
	p := &treePrinter{w: bufio.NewWriter(c.out), tee: "|- ", last: "`- ", bar: "|  ", multiply: "x", arrow: "->", names: shorten(m)}
	if c.utf8() {
		p.tee, p.last, p.bar, p.multiply, p.arrow = "├─ ", "└─ ", "│  ", "×", "→"
	}
	p.graph(v, "")
	for _, fn := range m.Functions {
		fmt.Fprintf(p.w, "function %s(%s) %s %s\n", clean(qualified(fn.Domain, fn.Name)), clean(strings.Join(fn.Inputs, ", ")), p.arrow, clean(strings.Join(fn.Outputs, ", ")))
		body := &view{graph: &onnx.Graph{Nodes: fn.Nodes}, scope: v.scope}
		opsets := opsetsOf(fn.OpsetImports)
		for _, n := range fn.Nodes {
			body.nodes = append(body.nodes, &viewedNode{Node: n, label: opLabel(qualified(n.Domain, n.OpType), sinceOf(placed{Node: n, opset: opsets[n.Domain]}))})
		}
		p.nodes(body, "")
	}
	return p.w.Flush()
}

// graph writes a graph's inputs and outputs in a line, then its nodes.
func (p *treePrinter) graph(v *view, indent string) {
	var in, out []string
	for _, x := range v.graph.Inputs {
		if info, _ := v.scope.Lookup(x.Name); info.Const == nil {
			in = append(in, p.value(v, x.Name))
		}
	}
	for _, x := range v.graph.Outputs {
		out = append(out, p.value(v, x.Name))
	}
	fmt.Fprintf(p.w, "(%s) %s %s\n", strings.Join(in, ", "), p.arrow, strings.Join(out, ", "))
	p.nodes(v, indent)
}

// value writes a value's name with its shape.
func (p *treePrinter) value(v *view, name string) string {
	text := clean(p.names.short(name))
	if t := v.typeOf(name); t.Kind == onnx.KindTensor && t.Shape.Ranked() {
		text += " " + clean(t.Shape.String())
	}
	return text
}

// nodes writes nodes, constants excepted: those stand where they are read.
func (p *treePrinter) nodes(v *view, indent string) {
	list := slices.DeleteFunc(slices.Clone(v.nodes), func(n *viewedNode) bool { return constantOf(n.Node) != nil })
	for i, n := range list {
		branch, under := p.tee, indent+p.bar
		if i == len(list)-1 {
			branch, under = p.last, indent+strings.Repeat(" ", len([]rune(p.bar)))
		}
		fmt.Fprintf(p.w, "%s%s%s%s\n", indent, branch, n.label, p.describe(v, n))
		for k, b := range n.bodies {
			branch, inner := p.tee, under+p.bar
			if k == len(n.bodies)-1 {
				branch, inner = p.last, under+strings.Repeat(" ", len([]rune(p.bar)))
			}
			fmt.Fprintf(p.w, "%s%s%s ", under, branch, clean(b.name))
			p.graph(b.view, inner)
		}
	}
}

// describe writes what a node reads and gives, and what it costs.
func (p *treePrinter) describe(v *view, n *viewedNode) string {
	var in, out []string
	for _, name := range n.Inputs {
		in = append(in, p.input(v, name))
	}
	for _, name := range n.Outputs {
		if name == "" {
			out = append(out, "-")
		} else {
			out = append(out, p.value(v, name))
		}
	}
	text := fmt.Sprintf("(%s) %s %s", strings.Join(in, ", "), p.arrow, strings.Join(out, ", "))
	if count, ok := multiplyAdds(v, n); ok && len(count) > 0 {
		text += "  " + p.multiply + "+ " + clean(count.String())
	}
	return text
}

// input writes a value that is read: a small constant as its elements, a large
// one as its shape.
func (p *treePrinter) input(v *view, name string) string {
	if name == "" {
		return "-"
	}
	info, _ := v.scope.Lookup(name)
	if t := info.Tensor(); t != nil {
		return clean(literal(t))
	}
	return clean(p.names.short(name))
}

// literal writes a constant in a few characters.
func literal(t *onnx.Tensor) string {
	e, err := elementsOf(t.DataType())
	if err != nil || t.External() != nil || t.Rank() > 1 || t.Len() > 4 {
		return "#" + onnx.FixedShape(t.Shape()...).String()
	}
	var list []string
	for i := range t.Len() {
		list = append(list, elementText(t, e, i))
	}
	if t.Rank() == 0 {
		return strings.Join(list, "")
	}
	return "[" + strings.Join(list, " ") + "]"
}

// elementText writes an element; the extremes of int64, which mean "to the end",
// by name.
func elementText(t *onnx.Tensor, e *elements, i int) string {
	if t.DataType() == onnx.Int64 {
		switch v := onnx.Elements[int64](t)[i]; {
		case v >= math.MaxInt64-1:
			return "max"
		case v <= math.MinInt64+1:
			return "min"
		}
	}
	return abridge(shortText(t, e, i), 20)
}

// shortNames abridges names such as "model/layer_1/MatMul:0" to as many of
// their last parts as tell them apart.
type shortNames map[string]string

func (s shortNames) short(name string) string {
	if x, ok := s[name]; ok {
		return x
	}
	return name
}

// shorten makes the short names of a model's values.
func shorten(m *onnx.Model) shortNames {
	all := map[string]bool{}
	add := func(g *onnx.Graph) {
		if g == nil {
			return
		}
		for _, v := range g.Inputs {
			all[v.Name] = true
		}
	}
	add(m.Graph)
	walk(m, func(p placed) {
		add(p.graph)
		for _, o := range p.Outputs {
			all[o] = true
		}
	})
	claims := map[string]int{} // how many names end in a text
	for name := range all {
		for _, s := range suffixes(name) {
			claims[s]++
		}
	}
	short := shortNames{}
	for name := range all {
		for _, s := range suffixes(name) {
			if claims[s] == 1 {
				short[name] = s
				break
			}
		}
	}
	return short
}

// suffixes gives the last part of a path, the last two, and so on.
func suffixes(name string) []string {
	var out []string
	for i := len(name) - 1; i > 0 && len(out) < 16; i-- {
		if name[i-1] == '/' && i < len(name) {
			out = append(out, name[i:])
		}
	}
	return append(out, name)
}
