package onnx

import (
	"maps"

	"google.golang.org/protobuf/encoding/protowire"
)

// Encode writes a model as the bytes of a .onnx file. The same model gives the
// same bytes. Elements stand in raw_data, strings excepted; those that lie in
// other files and have not been read stay there. A model that Decode read is
// written with the fields of its file that are not known here.
//
// An error matches ErrMalformed when the model lacks a part that a file must
// have, ErrUnsupported when a file cannot hold one, and ErrLimit above 2 GiB,
// which readers of the format do not take, or for what holds itself.
func Encode(m *Model) ([]byte, error) {
	return encode(func(e *encoder) { e.model(m) })
}

func (e *encoder) opsetImports(num protowire.Number, list []OpsetImport) {
	for _, o := range list {
		e.message(num, func() {
			e.text(1, o.Domain)
			e.int(2, o.Version)
		})
	}
}

func importsOf(list []OpsetImport) map[string]int64 {
	out := make(map[string]int64, len(list))
	for _, o := range list {
		out[canonicalDomain(o.Domain)] = o.Version
	}
	return out
}

func (e *encoder) model(m *Model) {
	if m == nil {
		e.fail(Errorf(ErrMalformed, "no model"))
		return
	}
	e.imports = importsOf(m.OpsetImports)
	e.number(1, m.IRVersion)
	e.text(2, m.ProducerName)
	e.text(3, m.ProducerVersion)
	e.text(4, m.Domain)
	e.number(5, m.ModelVersion)
	e.text(6, m.Doc)
	if m.Graph != nil {
		e.message(7, func() { e.graph(m.Graph) })
	}
	e.opsetImports(8, m.OpsetImports)
	e.properties(14, m.Metadata)
	e.messages(20, m.TrainingInfo)
	for i, f := range m.Functions {
		if f == nil {
			e.fail(Errorf(ErrMalformed, "function %d is missing", i))
			return
		}
		e.within(place{kind: "function", name: idOf(f).String()}, func() {
			e.message(25, func() { e.function(f) })
		})
	}
	e.messages(26, m.Configuration)
	e.unknown(m.Unknown)
}

func (e *encoder) graph(g *Graph) {
	e.nodes(1, g.Nodes)
	e.text(2, g.Name)
	for i, init := range g.Initializers {
		if init == nil {
			e.fail(Errorf(ErrMalformed, "initializer %d is missing", i))
			return
		}
		e.within(place{kind: "initializer", name: init.Name}, func() {
			e.message(5, func() { e.initializer(init) })
		})
	}
	e.text(10, g.Doc)
	e.valueInfos(11, g.Inputs)
	e.valueInfos(12, g.Outputs)
	e.valueInfos(13, g.ValueInfos)
	e.messages(14, g.QuantizationAnnotations)
	for i, init := range g.SparseInitializers {
		if init == nil {
			e.fail(Errorf(ErrMalformed, "sparse initializer %d is missing", i))
			return
		}
		e.within(place{kind: "sparse initializer", name: init.Name}, func() {
			e.message(15, func() {
				e.sparse(init.Tensor, init.Name)
				e.unknown(init.Unknown)
			})
		})
	}
	e.properties(16, g.Metadata)
	e.unknown(g.Unknown)
}

func (e *encoder) nodes(num protowire.Number, nodes []*Node) {
	for i, n := range nodes {
		if n == nil {
			e.fail(Errorf(ErrMalformed, "node %d is missing", i))
			return
		}
		e.within(place{node: n}, func() { e.message(num, func() { e.node(n) }) })
	}
}

func (e *encoder) node(n *Node) {
	domain := canonicalDomain(n.Domain)
	if v := e.imports[domain]; n.Opset != 0 && n.Opset != v {
		e.fail(Errorf(ErrUnsupported, "version %d of domain %q, the model imports %d", n.Opset, domainTitle(domain), v))
	}
	e.strings(1, n.Inputs)
	e.strings(2, n.Outputs)
	e.text(3, n.Name)
	e.text(4, n.OpType)
	e.attributes(5, n.Attributes)
	e.text(6, n.Doc)
	e.text(7, n.Domain)
	e.text(8, n.Overload)
	e.properties(9, n.Metadata)
	e.messages(10, n.DeviceConfigurations)
	e.unknown(n.Unknown)
}

func (e *encoder) attributes(num protowire.Number, list []*Attribute) {
	for i, a := range list {
		if a == nil {
			e.fail(Errorf(ErrMalformed, "attribute %d is missing", i))
			return
		}
		e.within(place{kind: "attribute", name: a.Name}, func() {
			e.message(num, func() { e.attribute(a) })
		})
	}
}

// attribute writes the field that the type names, also when it is zero, since
// its presence counts.
func (e *encoder) attribute(a *Attribute) {
	e.text(1, a.Name)
	set := a.Type
	if a.RefName != "" {
		set = AttrUndefined
	}
	low := set <= AttrGraphs && set != AttrUndefined // fields below doc_string
	if low {
		e.attributeValue(a)
	}
	e.text(13, a.Doc)
	if set == AttrTypeProto || set == AttrTypeProtos {
		e.attributeValue(a)
	}
	e.number(20, int64(a.Type))
	e.text(21, a.RefName)
	if set == AttrSparseTensor || set == AttrSparseTensors {
		e.attributeValue(a)
	}
	if a.Type < AttrUndefined || a.Type > AttrTypeProtos {
		e.fail(Errorf(ErrMalformed, "attribute type %d", a.Type))
	}
	e.unknown(a.Unknown)
}

func (e *encoder) attributeValue(a *Attribute) {
	switch a.Type {
	case AttrFloat:
		e.float(2, a.Float)
	case AttrInt:
		e.int(3, a.Int)
	case AttrString:
		e.string(4, a.String)
	case AttrTensor:
		e.message(5, func() { e.tensor(a.Tensor, "") })
	case AttrGraph:
		e.subgraph(6, a.Graph)
	case AttrFloats:
		for _, v := range a.Floats {
			e.float(7, v)
		}
	case AttrInts:
		for _, v := range a.Ints {
			e.int(8, v)
		}
	case AttrStrings:
		e.strings(9, a.Strings)
	case AttrTensors:
		for _, t := range a.Tensors {
			e.message(10, func() { e.tensor(t, "") })
		}
	case AttrGraphs:
		for _, g := range a.Graphs {
			e.subgraph(11, g)
		}
	case AttrTypeProto:
		e.attributeType(14, a.TypeProto)
	case AttrTypeProtos:
		for _, t := range a.TypeProtos {
			e.attributeType(15, t)
		}
	case AttrSparseTensor:
		e.message(22, func() { e.sparse(a.SparseTensor, "") })
	case AttrSparseTensors:
		for _, s := range a.SparseTensors {
			e.message(23, func() { e.sparse(s, "") })
		}
	}
}

func (e *encoder) subgraph(num protowire.Number, g *Graph) {
	if g == nil {
		e.fail(Errorf(ErrMalformed, "no graph"))
		return
	}
	e.message(num, func() { e.graph(g) })
}

func (e *encoder) attributeType(num protowire.Number, t *Type) {
	if t == nil {
		e.fail(Errorf(ErrMalformed, "no type"))
		return
	}
	e.message(num, func() { e.typeProto(*t) })
}

func (e *encoder) function(f *Function) {
	model := e.imports
	e.imports = maps.Clone(model) // as the checker reads them
	maps.Copy(e.imports, importsOf(f.OpsetImports))
	defer func() { e.imports = model }()
	e.text(1, f.Name)
	e.strings(4, f.Inputs)
	e.strings(5, f.Outputs)
	e.strings(6, f.Attributes)
	e.nodes(7, f.Nodes)
	e.text(8, f.Doc)
	e.opsetImports(9, f.OpsetImports)
	e.text(10, f.Domain)
	e.attributes(11, f.Defaults)
	e.valueInfos(12, f.ValueInfos)
	e.text(13, f.Overload)
	e.properties(14, f.Metadata)
	e.unknown(f.Unknown)
}

func (e *encoder) valueInfos(num protowire.Number, list []ValueInfo) {
	for _, v := range list {
		e.message(num, func() {
			e.text(1, v.Name)
			if v.Type.Known() || v.Type.Denotation != "" {
				e.message(2, func() { e.typeProto(v.Type) })
			}
			e.text(3, v.Doc)
			e.properties(4, v.Metadata)
			e.unknown(v.Unknown)
		})
	}
}

func (e *encoder) typeProto(t Type) {
	switch t.Kind {
	case KindTensor:
		e.tensorType(1, t)
	case KindSequence:
		e.message(4, func() { e.elemType(1, t.Of) })
	case KindMap:
		e.message(5, func() {
			e.number(1, int64(t.Elem))
			e.elemType(2, t.Of)
		})
	}
	e.text(6, t.Denotation)
	switch t.Kind {
	case KindSparseTensor:
		e.tensorType(8, t)
	case KindOptional:
		e.message(9, func() { e.elemType(1, t.Of) })
	}
}

func (e *encoder) tensorType(num protowire.Number, t Type) {
	e.message(num, func() {
		e.number(1, int64(t.Elem))
		if t.Shape != nil {
			e.message(2, func() { e.shape(t.Shape) })
		}
	})
}

func (e *encoder) elemType(num protowire.Number, t *Type) {
	if t != nil && (t.Known() || t.Denotation != "") {
		e.message(num, func() { e.typeProto(*t) })
	}
}

func (e *encoder) shape(s Shape) {
	for _, d := range s {
		e.message(1, func() {
			if d.Known() {
				e.int(1, int64(d.Value))
				return
			}
			e.text(2, d.Name)
		})
	}
}
