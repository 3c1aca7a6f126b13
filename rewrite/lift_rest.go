package rewrite

import (
	"slices"

	"github.com/recur-ml/recur/onnx"
)

// leftover is what a loop gives of each step beyond its cells, and what the
// states do not depend on: a part of its body that reads the cells' outputs, the
// sequences and the number of the step. It becomes a Scan of its own behind the
// operators. Its nodes keep their names, and are computed once a step in the
// order of the steps as before, so that random numbers stay the same.
type leftover struct {
	outs    []int // of the loop's outputs of the steps
	nodes   []*onnx.Node
	inits   []*onnx.Initializer
	read    []string // values of the body that the operators give for all steps
	seqs    []int    // scan inputs of the loop
	states  []int    // counters that the loop carries
	fixed   []int    // states that never change
	counts  bool     // the number of the step that a Loop tells is read
	goes    bool     // the condition that a Loop tells is read
	written *onnx.Node
}

// rest finds what is to be computed of the given outputs of the steps; nil when
// they depend on a state other than through what the operators give.
func (r *recurrence) rest(outs []int) *leftover {
	if r.opset < 9 { // a Scan before has another form
		return nil
	}
	c := &restFinder{recurrence: r, leftover: &leftover{outs: outs}, makers: producers(r.loop.body), seen: map[string]bool{}, chosen: map[*onnx.Node]bool{}}
	for _, k := range outs {
		if !c.need(r.loop.body.Outputs[r.loop.bodyOut+r.loop.states+k].Name) {
			return nil
		}
	}
	for _, n := range r.loop.body.Nodes {
		if c.chosen[n] {
			c.nodes = append(c.nodes, n)
		}
	}
	c.read = slices.DeleteFunc(c.read, func(name string) bool { return c.chosen[c.makers[name]] })
	if len(c.read)+len(c.seqs) == 0 {
		return nil // nothing tells a Scan how many steps there are
	}
	return c.leftover
}

type restFinder struct {
	*recurrence
	*leftover
	makers map[string]*onnx.Node
	seen   map[string]bool
	chosen map[*onnx.Node]bool
}

// need takes in what a value of the body is computed from, and reports whether
// that can be had outside the loop.
func (c *restFinder) need(name string) bool {
	if name == "" || c.seen[name] {
		return true
	}
	c.seen[name] = true
	lp := c.loop
	if i := slices.IndexFunc(lp.body.Inputs, func(v onnx.ValueInfo) bool { return v.Name == name }); i >= 0 {
		return c.input(i)
	}
	n := c.makers[name]
	if n == nil {
		if i := slices.IndexFunc(lp.body.Initializers, func(i *onnx.Initializer) bool { return i.Name == name }); i >= 0 {
			c.inits = append(c.inits, lp.body.Initializers[i])
		}
		return true // or a value from outside
	}
	if c.chosen[n] {
		return true
	}
	if e := c.env[name]; e != nil && c.expressible(e) {
		c.read = append(c.read, name)
		return true
	}
	if hasLoop(&onnx.Graph{Nodes: []*onnx.Node{n}}) {
		return false // which is better looked at where it stands
	}
	c.chosen[n] = true
	for _, in := range n.Inputs {
		if !c.need(in) {
			return false
		}
	}
	for _, sub := range n.Subgraphs() {
		for _, in := range captures(sub) {
			if !c.need(in) {
				return false
			}
		}
	}
	return true
}

// input takes in an input of the body.
func (c *restFinder) input(i int) bool {
	lp := c.loop
	if lp.node.OpType == "Loop" && i < lp.bodyIn {
		c.counts, c.goes = c.counts || i == 0, c.goes || i == 1
		return true
	}
	if k := i - lp.bodyIn; k < lp.states {
		switch c.vars[k].role {
		case stateCounter:
			c.states = append(c.states, k)
			return c.need(lp.body.Outputs[lp.bodyOut+k].Name)
		case stateConstant:
			c.fixed = append(c.fixed, k)
			return !lp.body.Defined()[c.vars[k].initial]
		}
		return false
	}
	c.seqs = append(c.seqs, i-lp.scanInIdx)
	return true
}

// scan emits a loop's leftover.
func (w *writer) scan(l *leftover) error {
	lp := w.loop
	body := &onnx.Graph{Name: lp.body.Name, Initializers: slices.Clone(l.inits)}
	var in []string
	for _, i := range l.fixed {
		body.Nodes = append(body.Nodes, w.identity(w.vars[i].initial, lp.body.Inputs[lp.bodyIn+i].Name))
	}
	if l.goes { // it does where a step is made
		body.Initializers = append(body.Initializers, &onnx.Initializer{Name: lp.body.Inputs[1].Name, Tensor: onnx.Scalar(true)})
	}
	if l.counts {
		count := lp.body.Inputs[0]
		one, next := w.fresh(count.Name+"/one"), w.fresh(count.Name+"/next")
		body.Initializers = append(body.Initializers, &onnx.Initializer{Name: one, Tensor: onnx.Scalar(int64(1))})
		body.Nodes = append(body.Nodes, &onnx.Node{Name: w.fresh(w.prefix + "/Add"), OpType: "Add", Inputs: []string{count.Name, one}, Outputs: []string{next}, Opset: w.mark})
		body.Inputs = append(body.Inputs, count)
		body.Outputs = append(body.Outputs, onnx.ValueInfo{Name: next, Type: count.Type})
		in = append(in, w.tensor("count", onnx.Scalar(int64(0))))
	}
	for _, i := range l.states {
		body.Inputs = append(body.Inputs, lp.body.Inputs[lp.bodyIn+i])
		body.Outputs = append(body.Outputs, lp.body.Outputs[lp.bodyOut+i])
		in = append(in, w.vars[i].initial)
	}
	states := len(in)
	for _, name := range l.read {
		v, err := w.output(w.env[name])
		if err != nil {
			return err
		}
		body.Inputs = append(body.Inputs, onnx.ValueInfo{Name: name, Type: onnx.TensorType(w.elem, nil)})
		in = append(in, v)
	}
	for _, k := range l.seqs {
		body.Inputs = append(body.Inputs, lp.body.Inputs[lp.scanInIdx+k])
		in = append(in, lp.node.Inputs[lp.states+k])
	}
	made := map[string]bool{}
	for _, n := range l.nodes {
		body.Nodes = append(body.Nodes, cloneNode(n))
		for _, o := range n.Outputs {
			made[o] = true
		}
	}
	for _, v := range lp.body.ValueInfos {
		if made[v.Name] {
			body.ValueInfos = append(body.ValueInfos, v)
		}
	}
	for _, k := range l.outs {
		o := lp.body.Outputs[lp.bodyOut+lp.states+k]
		if !made[o.Name] {
			n := w.identity(o.Name, w.fresh(o.Name+"/step"))
			body.Nodes = append(body.Nodes, n)
			o.Name = n.Outputs[0]
		}
		body.Outputs = append(body.Outputs, o)
	}
	attrs := []*onnx.Attribute{{Name: "body", Type: onnx.AttrGraph, Graph: body}, attrI("num_scan_inputs", int64(len(in)-states))}
	if w.reverse {
		attrs = append(attrs, attrInts("scan_input_directions", ones(len(in)-states)...), attrInts("scan_output_directions", ones(len(l.outs))...))
	}
	out := w.multi("Scan", states+len(l.outs), in, attrs...)
	l.written = w.nodes[len(w.nodes)-1]
	for i, k := range l.outs {
		w.name(out[states+i], w.outName(k))
	}
	return nil
}

// identity makes a node of a body that gives a value another name.
func (e *emitter) identity(from, to string) *onnx.Node {
	return &onnx.Node{Name: e.fresh(e.prefix + "/Identity"), OpType: "Identity", Inputs: []string{from}, Outputs: []string{to}, Opset: e.mark}
}

func ones(n int) []int64 {
	list := make([]int64, n)
	for i := range list {
		list[i] = 1
	}
	return list
}
