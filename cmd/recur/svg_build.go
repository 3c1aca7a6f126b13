package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/rewrite"
)

// diagram is a graph to be drawn.
type diagram struct {
	boxes           []*box
	edges           []*edge
	states          []*edge // from an output state to the input state that it becomes
	inputs, outputs map[string]*box
	w, h            float64
}

// box is what is drawn of a node, of several, or of an input or output.
type box struct {
	kind       string // a category
	lines      []string
	tip        string
	panels     []*panel
	x, y, w, h float64
	nodes      []*viewedNode
}

// panel is a graph within a box.
type panel struct {
	title      string
	inner      *diagram
	x, y, w, h float64
}

type edge struct {
	from, to *box
	tip      string
	path     [][2]float64
}

func (d *diagram) eachDiagram(f func(*diagram)) {
	f(d)
	for _, b := range d.boxes {
		for _, p := range b.panels {
			p.inner.eachDiagram(f)
		}
	}
}

func (d *diagram) eachBox(f func(*box)) {
	d.eachDiagram(func(d *diagram) {
		for _, b := range d.boxes {
			f(b)
		}
	})
}

// A graph of more than manyNodes has its chains of small nodes drawn as one
// box each; one of more than tooManyNodes is drawn as about manyParts parts.
// What nests deeper than maxNesting, or comes after maxBoxes, is counted only.
const (
	fewNodes     = 12
	manyNodes    = 22
	tooManyNodes = 160
	manyParts    = 60
	maxNesting   = 6
	maxBoxes     = 700
)

// drawModel writes the picture of a model.
func drawModel(w io.Writer, m *onnx.Model, v *view, path string) error {
	d := &drawer{names: shorten(m), left: maxBoxes}
	top := d.graph(v, 0, nil)
	d.statePairs(m, v, top)
	top.arrange()
	p := countParameters(m)
	nodes := 0
	walk(m, func(placed) { nodes++ })
	opset := opsetsOf(m.OpsetImports)[""]
	remarks := []string{fmt.Sprintf("%s nodes, %s parameters, opset %d", grouped(int64(nodes)), grouped(p.Elements), opset)}
	if c := costOf(v); len(c.total) > 0 {
		remarks = append(remarks, "multiply-adds: "+shortened(costRow{Formula: c.total.String()}.text(), 90))
	}
	var not []string
	if d.hidden > 0 {
		not = append(not, plural(d.hidden, "node")+" that compute shapes")
	}
	if d.dead > 0 {
		not = append(not, plural(d.dead, "node")+" that no output needs")
	}
	if len(not) > 0 {
		remarks = append(remarks, "not drawn: constants, "+strings.Join(not, ", "))
	}
	title := filepath.Base(path)
	if m.Graph.Name != "" {
		title += ": " + shortened(m.Graph.Name, 40)
	}
	return writeSVG(w, top, title, remarks)
}

// statePairs draws the states that a stream carries from call to call.
func (d *drawer) statePairs(m *onnx.Model, v *view, top *diagram) {
	if len(m.Functions) > 0 || onnx.Check(m) != nil {
		return // FindPairs wants a valid model without functions
	}
	types := make([]onnx.Type, len(m.Graph.Outputs))
	for i, o := range m.Graph.Outputs {
		if types[i] = v.typeOf(o.Name); !types[i].Shape.Ranked() {
			types[i] = o.Type
		}
	}
	pairs, err := rewrite.FindPairs(m, types)
	if err != nil {
		return // ambiguous
	}
	for _, p := range pairs {
		if from, to := top.outputs[p.Output], top.inputs[p.Input]; from != nil && to != nil {
			top.states = append(top.states, &edge{from: from, to: to, tip: "state: " + p.Output + " becomes " + p.Input + " of the next call"})
		}
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return grouped(int64(n)) + " " + what + "s"
}

// drawer makes diagrams of the views of one model.
type drawer struct {
	names  shortNames
	left   int // boxes that may still be drawn
	hidden int // nodes that compute shapes
	dead   int // nodes that no output depends on
}

// graph makes the diagram of a graph; body says what the graph is the body of.
func (d *drawer) graph(v *view, depth int, body *viewedBody) *diagram {
	out := &diagram{}
	kept := keptStates(v, body)
	nodes := d.drawn(v, kept)
	boxes := map[*viewedNode]*box{}
	for _, group := range d.groups(v, nodes) {
		b := d.box(v, group, depth)
		for _, n := range group {
			boxes[n] = b
		}
		out.boxes = append(out.boxes, b)
	}
	d.connect(v, out, nodes, boxes, body, kept)
	d.left -= len(out.boxes)
	return out
}

// connect adds the inputs, the outputs and the edges.
func (d *drawer) connect(v *view, out *diagram, nodes []*viewedNode, boxes map[*viewedNode]*box, body *viewedBody, kept map[int]bool) {
	maker := map[string]*box{}
	for _, n := range v.nodes {
		for _, o := range n.Outputs {
			if b := boxes[n]; b != nil {
				maker[o] = b
			}
		}
	}
	made := map[string]bool{} // by a node that is not drawn
	for _, n := range v.nodes {
		if boxes[n] == nil {
			for _, o := range n.Outputs {
				made[o] = true
			}
		}
	}
	inputs := map[string]*box{}
	for i, x := range v.graph.Inputs {
		if info, _ := v.scope.Lookup(x.Name); info.Const == nil {
			inputs[x.Name] = d.value(v, x.Name, inputRole(body, kept, i))
		}
	}
	seen := map[[2]*box]bool{}
	used := map[*box]bool{}
	link := func(name string, to *box) {
		from := maker[name]
		if from == nil {
			from = inputs[name]
		}
		if from == nil && !made[name] {
			if info, _ := v.scope.Lookup(name); info.Const != nil || name == "" {
				return
			}
			from = d.value(v, name, "from outside")
			inputs[name] = from
		}
		if from == nil || from == to || seen[[2]*box{from, to}] {
			return
		}
		seen[[2]*box{from, to}], used[from] = true, true
		out.edges = append(out.edges, &edge{from: from, to: to})
	}
	var order []string // of the inputs that are used
	for _, n := range nodes {
		for _, name := range reads(n.Node) {
			link(name, boxes[n])
			order = append(order, name)
		}
	}
	outputs := make([]*box, len(v.graph.Outputs))
	for i, o := range v.graph.Outputs {
		info, _ := v.scope.Lookup(o.Name)
		if kept[i] || info.Const != nil && body != nil && body.of != nil && i == 0 && body.of[0] == -1 {
			continue // a state that stays, or a condition that is always true
		}
		outputs[i] = d.value(v, o.Name, outputRole(body, i))
		link(o.Name, outputs[i])
		order = append(order, o.Name)
	}
	var pills []*box
	for i, x := range v.graph.Inputs {
		if b := inputs[x.Name]; b != nil && (used[b] || body == nil || body.of == nil || isTarget(body, kept, i)) {
			pills = append(pills, b)
		} else {
			delete(inputs, x.Name)
		}
	}
	for _, name := range order {
		if b := inputs[name]; b != nil && !slices.Contains(pills, b) {
			pills = append(pills, b)
		}
	}
	out.boxes = append(pills, out.boxes...)
	out.inputs, out.outputs = inputs, map[string]*box{}
	for i, b := range outputs {
		if b != nil {
			out.outputs[v.graph.Outputs[i].Name] = b
			out.boxes = append(out.boxes, b)
		}
	}
	if body != nil {
		for _, s := range body.states {
			if from, to := at(outputs, s[1]), inputs[v.graph.Inputs[s[0]].Name]; from != nil && to != nil {
				out.states = append(out.states, &edge{from: from, to: to, tip: "state: " + v.graph.Outputs[s[1]].Name + " becomes " + v.graph.Inputs[s[0]].Name})
			}
		}
	}
}

// keptStates finds the outputs of a loop's body that are states which stay as
// they are.
func keptStates(v *view, body *viewedBody) map[int]bool {
	kept := map[int]bool{}
	if body == nil {
		return kept
	}
	for _, s := range body.states {
		if s[1] < len(v.graph.Outputs) && origin(v, v.graph.Outputs[s[1]].Name) == v.graph.Inputs[s[0]].Name {
			kept[s[1]] = true
		}
	}
	return kept
}

// origin follows a value back through nodes that pass it on.
func origin(v *view, name string) string {
	for i := len(v.nodes) - 1; i >= 0; i-- {
		if n := v.nodes[i]; n.OpType == "Identity" && slices.Contains(n.Outputs, name) {
			name = n.Inputs[0]
		}
	}
	return name
}

func at(list []*box, i int) *box {
	if i < 0 || i >= len(list) {
		return nil
	}
	return list[i]
}

// isTarget reports whether input i of a body is a state that changes.
func isTarget(body *viewedBody, kept map[int]bool, i int) bool {
	return slices.ContainsFunc(body.states, func(s [2]int) bool { return s[0] == i && !kept[s[1]] })
}

func inputRole(body *viewedBody, kept map[int]bool, i int) string {
	switch {
	case body == nil || body.of == nil:
		return ""
	case i < len(body.of) && body.of[i] < 0:
		return [...]string{"iteration", "condition"}[min(i, 1)]
	case isTarget(body, kept, i):
		return "state"
	case slices.ContainsFunc(body.states, func(s [2]int) bool { return s[0] == i }):
		return "the same each step"
	}
	return "each step"
}

func outputRole(body *viewedBody, i int) string {
	switch {
	case body == nil || body.of == nil:
		return ""
	case slices.ContainsFunc(body.states, func(s [2]int) bool { return s[1] == i }):
		return "state"
	case i == 0 && len(body.of) > 0 && body.of[0] < 0:
		return "condition"
	}
	return "stacked"
}

// value makes the box of an input or output.
func (d *drawer) value(v *view, name, role string) *box {
	t := v.typeOf(name)
	b := &box{kind: "value", lines: []string{shortened(d.names.short(name), 24)}, tip: name + "\n" + t.String()}
	if t.Known() {
		text := t.Name()
		if t.Kind == onnx.KindTensor {
			text = t.Elem.String()
			if t.Shape.Ranked() {
				text += " " + t.Shape.String()
			}
		}
		b.lines = append(b.lines, shortened(text, 34))
	}
	if role != "" {
		b.lines = append(b.lines, role)
	}
	return b
}

// reads lists what a node needs, what the graphs within capture included.
func reads(n *onnx.Node) []string {
	out := slices.Clone(n.Inputs)
	listed := map[string]bool{}
	for name := range n.Reads() {
		if !listed[name] && !slices.Contains(n.Inputs, name) {
			listed[name] = true
			out = append(out, name)
		}
	}
	return out
}

// drawn lists the nodes of a view that are drawn: not constants, nor, in
// larger graphs, what computes shapes.
func (d *drawer) drawn(v *view, kept map[int]bool) []*viewedNode {
	var out []*viewedNode
	for _, n := range v.nodes {
		known := len(n.Outputs) > 0
		for _, o := range n.Outputs {
			info, _ := v.scope.Lookup(o)
			known = known && (o == "" || info.Const != nil)
		}
		if !known {
			out = append(out, n)
		}
	}
	out = d.living(v, out, kept)
	if len(out) <= fewNodes {
		return out
	}
	shapes := d.shapeNodes(v, out)
	d.hidden += len(shapes)
	return slices.DeleteFunc(out, func(n *viewedNode) bool { return shapes[n] })
}

// living drops the nodes that no output of the graph depends on.
func (d *drawer) living(v *view, nodes []*viewedNode, kept map[int]bool) []*viewedNode {
	needed := map[string]bool{}
	for i, o := range v.graph.Outputs {
		if !kept[i] {
			needed[o.Name] = true
		}
	}
	var out []*viewedNode
	for i := len(nodes) - 1; i >= 0; i-- {
		n := nodes[i]
		if !slices.ContainsFunc(n.Outputs, func(o string) bool { return o != "" && needed[o] }) {
			d.dead++
			continue
		}
		for _, name := range reads(n.Node) {
			needed[name] = true
		}
		out = append(out, n)
	}
	slices.Reverse(out)
	return out
}

// shapeInputs are the inputs that say sizes and places, by operator.
var shapeInputs = map[string][]int{"Reshape": {1}, "Expand": {1}, "ConstantOfShape": {0}, "Slice": {1, 2, 3, 4}, "Tile": {1}, "Pad": {1}, "Resize": {1, 2, 3},
	"Range": {0, 1, 2}, "Unsqueeze": {1}, "Squeeze": {1}, "Split": {1}, "TopK": {1}, "OneHot": {1}, "RandomUniformLike": {0}, "Loop": {0}}

// shapeNodes finds the nodes whose outputs only serve to say sizes and places.
func (d *drawer) shapeNodes(v *view, nodes []*viewedNode) map[*viewedNode]bool {
	out := map[*viewedNode]bool{}
	needed := map[string]bool{} // values that something drawn reads as data
	for _, o := range v.graph.Outputs {
		needed[o.Name] = true
	}
	for i := len(nodes) - 1; i >= 0; i-- {
		n := nodes[i]
		if len(n.bodies) == 0 && !slices.ContainsFunc(n.Outputs, func(o string) bool { return needed[o] }) {
			out[n] = true
			continue
		}
		for k, name := range reads(n.Node) {
			if !slices.Contains(shapeInputs[n.OpType], k) {
				needed[name] = true
			}
		}
	}
	return out
}

// groups says which nodes are drawn as one box.
func (d *drawer) groups(v *view, nodes []*viewedNode) [][]*viewedNode {
	switch {
	case len(nodes) > tooManyNodes:
		return runs(nodes)
	case len(nodes) > manyNodes:
		return chains(v, nodes)
	}
	out := make([][]*viewedNode, len(nodes))
	for i, n := range nodes {
		out[i] = []*viewedNode{n}
	}
	return out
}

// minor reports whether a node may disappear in a box of several.
func minor(n *viewedNode) bool {
	switch category(n) {
	case "movement", "elementwise", "activation":
		return true
	}
	return false
}

// chains joins minor nodes of which each feeds the next one alone, and that
// one reads nothing else that is drawn.
func chains(v *view, nodes []*viewedNode) [][]*viewedNode {
	index := map[*viewedNode]int{}
	maker := map[string]*viewedNode{}
	for i, n := range nodes {
		index[n] = i
		for _, o := range n.Outputs {
			if o != "" {
				maker[o] = n
			}
		}
	}
	readers := map[*viewedNode][]*viewedNode{}
	feeds := map[*viewedNode][]*viewedNode{}
	outside := map[*viewedNode]bool{} // reads an input or a captured value
	for _, n := range nodes {
		for _, name := range reads(n.Node) {
			from := maker[name]
			switch info, _ := v.scope.Lookup(name); {
			case from != nil:
				readers[from] = append(readers[from], n)
				feeds[n] = append(feeds[n], from)
			case name != "" && info.Const == nil:
				outside[n] = true
			}
		}
	}
	ends := map[*viewedNode]bool{}
	for _, o := range v.graph.Outputs {
		if n := maker[o.Name]; n != nil {
			ends[n] = true
		}
	}
	same := func(list []*viewedNode) *viewedNode {
		for _, n := range list {
			if n != list[0] {
				return nil
			}
		}
		if len(list) == 0 {
			return nil
		}
		return list[0]
	}
	var out [][]*viewedNode
	taken := map[*viewedNode]bool{}
	for _, n := range nodes {
		if taken[n] {
			continue
		}
		group := []*viewedNode{n}
		for last := n; minor(last) && !ends[last]; {
			next := same(readers[last])
			if next == nil || !minor(next) || outside[next] || same(feeds[next]) != last {
				break
			}
			group = append(group, next)
			taken[next] = true
			last = next
		}
		out = append(out, group)
	}
	return out
}

// runs cuts the order of the nodes into parts, preferably where the names'
// scopes change, with recurrent layers and loops on their own. Parts of an
// order cannot form a cycle.
func runs(nodes []*viewedNode) [][]*viewedNode {
	length := (len(nodes) + manyParts - 1) / manyParts
	alone := 0
	for _, n := range nodes {
		if category(n) == "recurrent" || len(n.bodies) > 0 {
			alone++
		}
	}
	single := func(n *viewedNode) bool {
		return alone <= manyParts && (category(n) == "recurrent" || len(n.bodies) > 0)
	}
	var out [][]*viewedNode
	for i, n := range nodes {
		last := len(out) - 1
		cut := i == 0 || single(n) || single(nodes[i-1]) || len(out[last]) >= 2*length ||
			len(out[last]) >= length && scopeOf(n) != scopeOf(nodes[i-1])
		if cut {
			out = append(out, nil)
			last++
		}
		out[last] = append(out[last], n)
	}
	return out
}

// scopeOf is the path in a node's name, without its last part.
func scopeOf(n *viewedNode) string {
	name := n.Node.Label()
	if i := strings.LastIndexByte(name, '/'); i > 0 {
		return name[:i]
	}
	return ""
}

// box makes the box of one node or of several.
func (d *drawer) box(v *view, group []*viewedNode, depth int) *box {
	last := group[len(group)-1]
	b := &box{nodes: group, kind: category(last), tip: d.tip(v, group)}
	if len(group) > 1 {
		b.lines = groupLines(group)
		if kind := category(group[0]); slices.ContainsFunc(group, func(n *viewedNode) bool { return category(n) != kind }) {
			b.kind = "group"
		}
	} else {
		op, _, _ := strings.Cut(last.label, "-")
		b.lines = []string{op}
		if text := d.details(v, last); text != "" {
			b.lines = append(b.lines, shortened(text, 40))
		}
	}
	if len(group) == 1 && len(last.bodies) > 0 {
		d.bodies(v, b, last, depth)
	}
	for _, o := range last.Outputs {
		if t := v.typeOf(o); o != "" && t.Kind == onnx.KindTensor && t.Shape.Ranked() && len(t.Shape) > 0 {
			b.lines = append(b.lines, shortened(t.Shape.String(), 40))
			break
		}
	}
	return b
}

// groupLines names the operators of several nodes.
func groupLines(group []*viewedNode) []string {
	var names []string
	for _, n := range group {
		op, _, _ := strings.Cut(n.label, "-")
		names = append(names, op)
	}
	if len(group) <= 3 {
		return []string{strings.Join(names, " → ")}
	}
	counts := map[string]int{}
	var kinds []string
	for _, n := range names {
		if counts[n]++; counts[n] == 1 {
			kinds = append(kinds, n)
		}
	}
	slices.SortStableFunc(kinds, func(a, b string) int { return counts[b] - counts[a] })
	var parts []string
	for _, k := range kinds[:min(len(kinds), 4)] {
		if counts[k] > 1 {
			k = strconv.Itoa(counts[k]) + " " + k
		}
		parts = append(parts, k)
	}
	if len(kinds) > 4 {
		parts = append(parts, "…")
	}
	lines := []string{plural(len(group), "node"), shortened(strings.Join(parts, ", "), 44)}
	if scope := scopeOf(group[0]); scope != "" {
		lines = append(lines, shortened(scope, 40))
	}
	return lines
}

// bodies puts the graphs of a node into its box; small ones as a line.
func (d *drawer) bodies(v *view, b *box, n *viewedNode, depth int) {
	b.kind = "control"
	if steps, ok := v.steps(n); ok {
		b.lines = append(b.lines, shortened(steps.String(), 40)+" steps")
	}
	for i := range n.bodies {
		if n.OpType == "If" && n.bodies[0].name == "else_branch" {
			i = len(n.bodies) - 1 - i // then comes first
		}
		body := &n.bodies[i]
		count := countViewed(body.view)
		if small := smallBody(body.view); n.OpType == "If" && small != "" {
			b.lines = append(b.lines, strings.TrimSuffix(body.name, "_branch")+": "+small)
			continue
		}
		if depth >= maxNesting || d.left <= 0 {
			b.lines = append(b.lines, body.name+": "+plural(count, "node"))
			continue
		}
		b.panels = append(b.panels, &panel{title: strings.ReplaceAll(body.name, "_", " "), inner: d.graph(body.view, depth+1, body)})
	}
}

func countViewed(v *view) int {
	total := 0
	for _, n := range v.nodes {
		total++
		for _, b := range n.bodies {
			total += countViewed(b.view)
		}
	}
	return total
}

// smallBody writes a branch of few minor nodes in a line, "" for another.
func smallBody(v *view) string {
	var names []string
	for _, n := range v.nodes {
		if constantOf(n.Node) != nil {
			continue
		}
		if !minor(n) {
			return ""
		}
		op, _, _ := strings.Cut(n.label, "-")
		names = append(names, op)
	}
	switch {
	case len(names) == 0:
		return "a value from outside"
	case len(names) > 3:
		return ""
	}
	return strings.Join(names, " → ")
}

// tip tells a box in full, for the pointer that rests on it.
func (d *drawer) tip(v *view, group []*viewedNode) string {
	var lines []string
	for i, n := range group {
		if i == 12 {
			lines = append(lines, fmt.Sprintf("and %d more", len(group)-i))
			break
		}
		line := n.label + " " + n.Name
		for _, o := range n.Outputs {
			if o != "" {
				line += "\n    " + o + " " + v.typeOf(o).String()
			}
		}
		if count, ok := multiplyAdds(v, n); ok && len(count) > 0 {
			line += "\n    multiply-adds " + count.String()
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// details says in a few words how a node does what it does.
func (d *drawer) details(v *view, n *viewedNode) string {
	switch {
	case isRecurrent(n.Node):
		return layerDetails(v, n)
	case n.OpType == "Conv" || n.OpType == "ConvTranspose":
		return convDetails(v, n)
	}
	for _, a := range n.Attributes {
		switch a.Name {
		case "perm":
			return "axes " + joinInts(a.Ints, " ")
		case "axis":
			return "axis " + strconv.FormatInt(a.Int, 10)
		case "to":
			return onnx.DataType(a.Int).String()
		case "equation":
			return a.String
		}
	}
	for i, name := range n.Inputs { // a constant operand
		info, _ := v.scope.Lookup(name)
		t := info.Tensor()
		if t == nil || name == "" {
			continue
		}
		switch category(n) {
		case "product":
			return "weights " + joinInts(t.Shape(), "×")
		case "elementwise", "movement":
			if text := literal(t); i == 1 && !strings.HasPrefix(text, "#") {
				return text
			}
			if n.OpType == "Gather" && i == 0 {
				return "table " + joinInts(t.Shape(), "×")
			}
		}
	}
	return ""
}

func layerDetails(v *view, n *viewedNode) string {
	l := describeLayer(placed{Node: n.Node}, v.scope)
	if w := v.shape(n, 1); len(w) == 3 {
		l.Input = w[2].Value
	}
	if r := v.shape(n, 2); len(r) == 3 {
		l.Hidden = r[2].Value
	}
	text := size(l.Input) + " → " + size(l.Hidden)
	if l.Direction != "forward" {
		text += ", " + l.Direction
	}
	return text
}

func convDetails(v *view, n *viewedNode) string {
	w := v.shape(n, 1)
	if len(w) < 3 {
		return ""
	}
	var kernel []string
	for _, k := range w[2:] {
		kernel = append(kernel, k.String())
	}
	text := strings.Join(kernel, "×")
	if n.OpType == "Conv" {
		text += ", " + w[1].String() + " → " + w[0].String()
	}
	if a := n.Attr("group"); a != nil && a.Int > 1 {
		text += fmt.Sprintf(", %d groups", a.Int)
	}
	if a := n.Attr("strides"); a != nil && slices.ContainsFunc(a.Ints, func(s int64) bool { return s != 1 }) {
		text += ", stride " + joinInts(a.Ints, "×")
	}
	return text
}

func joinInts[T int | int64](list []T, sep string) string {
	parts := make([]string, len(list))
	for i, v := range list {
		parts[i] = fmt.Sprint(v)
	}
	return strings.Join(parts, sep)
}

// opCategories sorts operators into the categories of the drawing.
var opCategories = func() map[string]string {
	out := map[string]string{}
	for kind, list := range map[string]string{
		"recurrent":   "RNN GRU LSTM DynamicQuantizeLSTM LinearAttention CausalConvWithState",
		"product":     "MatMul Gemm Conv ConvTranspose Einsum MatMulInteger QLinearMatMul QLinearConv ConvInteger DeformConv Attention",
		"activation":  "Relu Sigmoid Tanh Softmax LogSoftmax Hardmax Elu Selu Celu LeakyRelu PRelu Softplus Softsign HardSigmoid HardSwish Gelu Mish ThresholdedRelu Swish Clip Erf ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum ReduceLogSumExp ArgMax ArgMin TopK CumSum MaxPool AveragePool GlobalAveragePool GlobalMaxPool LpPool GlobalLpPool",
		"elementwise": "Add Sub Mul Div Pow Sqrt Exp Log Neg Abs Reciprocal Min Max Sum Mean Where Equal Less Greater LessOrEqual GreaterOrEqual And Or Not Xor Mod Floor Ceil Round Sign Sin Cos Tan Atan IsNaN IsInf Dropout BitShift",
		"movement":    "Identity Cast CastLike Reshape Transpose Squeeze Unsqueeze Flatten Concat Split Slice Gather GatherElements GatherND Scatter ScatterElements ScatterND Expand Tile Pad Shape Size ConstantOfShape Range Constant ReverseSequence DepthToSpace SpaceToDepth OneHot NonZero Compress Trilu EyeLike Resize Upsample",
		"norm":        "BatchNormalization LayerNormalization InstanceNormalization GroupNormalization RMSNormalization LRN LpNormalization MeanVarianceNormalization",
		"control":     "If Loop Scan SequenceMap",
	} {
		for _, op := range strings.Fields(list) {
			out[op] = kind
		}
	}
	return out
}()

func category(n *viewedNode) string {
	if len(n.bodies) > 0 {
		return "control"
	}
	if kind, ok := opCategories[n.OpType]; ok {
		return kind
	}
	return "other"
}
