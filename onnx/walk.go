package onnx

import "fmt"

// eachTensor calls f for every tensor that the model holds: initializers, the
// values and indices of sparse ones, and attributes, in the graph, its subgraphs
// and the functions. Training information is not looked into. An error of f
// ends the walk and comes back with the tensor's place before it.
func (m *Model) eachTensor(f func(*Tensor) error) error {
	w := tensorWalk{f}
	if err := w.graph(m.Graph); err != nil {
		return err
	}
	for _, fn := range m.Functions {
		err := w.attributes(fn.Defaults)
		if err == nil {
			err = w.nodes(fn.Nodes)
		}
		if err != nil {
			return &placedError{fmt.Sprintf("function %q", idOf(fn)), err}
		}
	}
	return nil
}

type tensorWalk struct{ f func(*Tensor) error }

func (w tensorWalk) graph(g *Graph) error {
	if g == nil {
		return nil
	}
	for _, init := range g.Initializers {
		if err := w.tensor(init.Tensor); err != nil {
			return &placedError{fmt.Sprintf("initializer %q", init.Name), err}
		}
	}
	for _, init := range g.SparseInitializers {
		if err := w.sparse(init.Tensor); err != nil {
			return &placedError{fmt.Sprintf("sparse initializer %q", init.Name), err}
		}
	}
	return w.nodes(g.Nodes)
}

func (w tensorWalk) nodes(nodes []*Node) error {
	for _, n := range nodes {
		if err := w.attributes(n.Attributes); err != nil {
			return &placedError{n.Describe(0), err}
		}
	}
	return nil
}

func (w tensorWalk) attributes(list []*Attribute) error {
	for _, a := range list {
		if err := w.attribute(a); err != nil {
			return &placedError{fmt.Sprintf("attribute %q", a.Name), err}
		}
	}
	return nil
}

// attribute walks over all fields, whichever of them counts.
func (w tensorWalk) attribute(a *Attribute) error {
	if err := w.tensor(a.Tensor); err != nil {
		return err
	}
	for _, t := range a.Tensors {
		if err := w.tensor(t); err != nil {
			return err
		}
	}
	if err := w.sparse(a.SparseTensor); err != nil {
		return err
	}
	for _, s := range a.SparseTensors {
		if err := w.sparse(s); err != nil {
			return err
		}
	}
	for _, g := range a.subgraphs() {
		if err := w.graph(g); err != nil {
			return err
		}
	}
	return nil
}

func (w tensorWalk) sparse(s *SparseTensor) error {
	if s == nil {
		return nil
	}
	if err := w.tensor(s.Values); err != nil {
		return &placedError{"values", err}
	}
	if err := w.tensor(s.Indices); err != nil {
		return &placedError{"indices", err}
	}
	return nil
}

func (w tensorWalk) tensor(t *Tensor) error {
	if t == nil {
		return nil
	}
	return w.f(t)
}
