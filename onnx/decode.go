package onnx

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/recur-ml/recur/internal/brief"
)

// DecodeOptions says how to read a model.
type DecodeOptions struct {
	// Limits bounds what an untrusted file may cost; zero fields mean the
	// defaults.
	Limits Limits
}

// Decode reads a model from the bytes of a .onnx file. Tensors view data where
// it lies, so data must not be modified while the model is in use. o may be
// nil. External data is not read: Load does that.
//
// An error matches ErrMalformed, ErrType, ErrShape, ErrUnsupported or
// ErrLimit, and says in which part of the model the fault lies.
func Decode(data []byte, o *DecodeOptions) (*Model, error) {
	d := newDecoder(data, o)
	if int64(len(data)) > d.limits.FileBytes {
		return nil, &LimitError{What: "file bytes", Got: int64(len(data)), Max: d.limits.FileBytes}
	}
	if len(data) == 0 {
		return nil, Errorf(ErrMalformed, "the file is empty")
	}
	return d.model(data)
}

// decoder reads one file, counting what it costs.
type decoder struct {
	file   []byte
	limits Limits
	nodes  int
	bytes  int64       // of tensors
	heap   int64       // of structures, by estimate
	most   int64       // bound on heap
	recent [256]string // names read lately, one of each hash
	names  []byte      // room for names
	dims   []int64     // of the tensor that is read
}

func newDecoder(data []byte, o *DecodeOptions) *decoder {
	if o == nil {
		o = &DecodeOptions{}
	}
	return &decoder{file: data, limits: o.Limits.WithDefaults(), most: heapBase + heapRatio*int64(len(data))}
}

// A file may not make more of itself in memory than this: an empty message
// takes two bytes in the file and hundreds as a structure. Real models stay
// below a third of the ratio.
const (
	heapBase  = 16 << 20
	heapRatio = 48
)

// charge counts structures of n bytes.
func (d *decoder) charge(n uintptr) error {
	d.heap += int64(n)
	if d.heap > d.most {
		return &LimitError{What: "memory for the model's structure", Got: d.heap, Max: d.most}
	}
	return nil
}

// span is where a part of the file lies in it.
func (d *decoder) span(part []byte) Span {
	start := int64(cap(d.file) - cap(part))
	return Span{start, start + int64(len(part))}
}

// str reads a name.
func (d *decoder) str(w *wire) string {
	b := w.message()
	if len(b) > d.limits.StringBytes {
		w.fault(&LimitError{What: "bytes of a string", Got: int64(len(b)), Max: int64(d.limits.StringBytes)})
		return ""
	}
	if err := d.charge(unsafe.Sizeof("") + uintptr(len(b))); err != nil {
		w.fault(err)
	}
	return d.name(b)
}

// name makes a string, or gives one that was read lately: most names come
// several times, the inputs of nodes soon after the outputs.
func (d *decoder) name(b []byte) string {
	if len(b) == 0 || len(b) > 64 {
		return string(b)
	}
	hash := uint32(len(b))
	for _, c := range b[max(0, len(b)-8):] {
		hash = hash*31 + uint32(c)
	}
	s := &d.recent[(hash^hash>>8)%uint32(len(d.recent))]
	if *s != string(b) {
		*s = d.copyName(b)
	}
	return *s
}

// copyName makes a string in memory that it shares with others.
func (d *decoder) copyName(b []byte) string {
	if len(b) > cap(d.names)-len(d.names) {
		d.names = make([]byte, 0, min(namesTogether, max(len(b), len(d.file)/8)))
	}
	at := len(d.names)
	d.names = append(d.names, b...)
	return unsafe.String(&d.names[at], len(b))
}

// namesTogether is how many bytes of names are in one piece of memory, which one
// name keeps.
const namesTogether = 2 << 10

// text reads what only people read, at any length.
func (d *decoder) text(w *wire) string { return string(w.message()) }

// keep copies a message that is not interpreted.
func keep(list [][]byte, w *wire) [][]byte { return append(list, append([]byte(nil), w.message()...)) }

// once notes an error when a message that may come once comes again.
func once(w *wire, have bool, what string) {
	if have {
		w.fault(Errorf(ErrMalformed, "%s is given twice", what))
	}
}

func (d *decoder) model(b []byte) (*Model, error) {
	m := &Model{}
	w := &wire{rest: b}
	for w.next() {
		switch w.num {
		case 1:
			m.IRVersion = w.varint()
		case 2:
			m.ProducerName = d.str(w)
		case 3:
			m.ProducerVersion = d.str(w)
		case 4:
			m.Domain = d.str(w)
		case 5:
			m.ModelVersion = w.varint()
		case 6:
			m.Doc = d.text(w)
		case 7:
			once(w, m.Graph != nil, "the graph")
			g, err := d.graph(w.message(), 0)
			w.fault(err)
			m.Graph = g
		case 8:
			m.OpsetImports = d.opsetImport(w, m.OpsetImports)
		case 14:
			m.Metadata = d.property(w, m.Metadata)
		case 20:
			m.TrainingInfo = keep(m.TrainingInfo, w)
		case 25:
			if len(m.Functions) >= d.limits.Functions {
				w.fault(&LimitError{What: "functions", Got: int64(len(m.Functions)) + 1, Max: int64(d.limits.Functions)})
				break
			}
			f, err := d.function(w.message())
			w.in(err, "function %d", len(m.Functions))
			m.Functions = append(m.Functions, f)
		case 26:
			m.Configuration = keep(m.Configuration, w)
		default:
			m.Unknown = append(m.Unknown, w.raw...)
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	return m, nil
}

func (d *decoder) opsetImport(w *wire, list []OpsetImport) []OpsetImport {
	if len(list) >= d.limits.Functions { // as if each function had a domain of its own
		w.fault(&LimitError{What: "domains imported", Got: int64(len(list)) + 1, Max: int64(d.limits.Functions)})
		return list
	}
	var o OpsetImport
	in := &wire{rest: w.message()}
	for in.next() {
		switch in.num {
		case 1:
			o.Domain = canonicalDomain(d.str(in))
		case 2:
			o.Version = in.varint()
		}
	}
	w.in(in.err, "opset_import %d", len(list))
	w.fault(d.charge(unsafe.Sizeof(o)))
	return append(list, o)
}

func (d *decoder) property(w *wire, list []Property) []Property {
	var p Property
	in := &wire{rest: w.message()}
	for in.next() {
		switch in.num {
		case 1:
			p.Key = d.str(in)
		case 2:
			p.Value = d.text(in)
		}
	}
	w.in(in.err, "metadata_props %d", len(list))
	w.fault(d.charge(unsafe.Sizeof(p)))
	return append(list, p)
}

func (d *decoder) graph(b []byte, depth int) (*Graph, error) {
	if depth > d.limits.Depth {
		return nil, &LimitError{What: "depth of subgraphs", Got: int64(depth), Max: int64(d.limits.Depth)}
	}
	g := &Graph{}
	w := &wire{rest: b}
	w.fault(d.charge(unsafe.Sizeof(*g)))
	for w.next() {
		switch w.num {
		case 1:
			n, err := d.node(w.message(), depth)
			w.in(err, "node %d", len(g.Nodes))
			g.Nodes = append(g.Nodes, n)
		case 2:
			g.Name = d.str(w)
		case 5:
			init, err := d.initializer(w.message())
			w.in(err, "initializer %d", len(g.Initializers))
			g.Initializers = append(g.Initializers, init)
		case 10:
			g.Doc = d.text(w)
		case 11:
			g.Inputs = d.valueInfo(w, g.Inputs, "input")
		case 12:
			g.Outputs = d.valueInfo(w, g.Outputs, "output")
		case 13:
			g.ValueInfos = d.valueInfo(w, g.ValueInfos, "value_info")
		case 14:
			g.QuantizationAnnotations = keep(g.QuantizationAnnotations, w)
		case 15:
			s, err := d.sparseInitializer(w.message())
			w.in(err, "sparse_initializer %d", len(g.SparseInitializers))
			g.SparseInitializers = append(g.SparseInitializers, s)
		case 16:
			g.Metadata = d.property(w, g.Metadata)
		default:
			g.Unknown = append(g.Unknown, w.raw...)
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	return g, nil
}

func (d *decoder) node(b []byte, depth int) (*Node, error) {
	if d.nodes++; d.nodes > d.limits.Nodes {
		return nil, &LimitError{What: "nodes", Got: int64(d.nodes), Max: int64(d.limits.Nodes)}
	}
	n := &Node{}
	w := &wire{rest: b}
	w.fault(d.charge(unsafe.Sizeof(*n)))
	var buf struct { // of most nodes
		in, out [4]string
		attrs   [4]*Attribute
	}
	in, out, attrs := buf.in[:0], buf.out[:0], buf.attrs[:0]
	for w.next() {
		switch w.num {
		case 1:
			in = append(in, d.str(w))
		case 2:
			out = append(out, d.str(w))
		case 3:
			n.Name = d.str(w)
		case 4:
			n.OpType = d.str(w)
		case 5:
			if len(attrs) >= d.limits.Attributes {
				w.fault(&LimitError{What: "attributes", Got: int64(len(attrs)) + 1, Max: int64(d.limits.Attributes)})
				break
			}
			a, err := d.attribute(w.message(), depth)
			w.in(err, "attribute %d", len(attrs))
			attrs = append(attrs, a)
		case 6:
			n.Doc = d.text(w)
		case 7:
			n.Domain = canonicalDomain(d.str(w))
		case 8:
			n.Overload = d.str(w)
		case 9:
			n.Metadata = d.property(w, n.Metadata)
		case 10:
			n.DeviceConfigurations = keep(n.DeviceConfigurations, w)
		default:
			n.Unknown = append(n.Unknown, w.raw...)
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	n.Inputs, n.Outputs = together(in, out)
	n.Attributes = slices.Clone(attrs)
	return n, nil
}

// together copies two lists into one piece of memory. One that is empty is nil.
func together(a, b []string) ([]string, []string) {
	all := append(append(make([]string, 0, len(a)+len(b)), a...), b...)
	first, rest := all[:len(a):len(a)], all[len(a):]
	if len(first) == 0 {
		first = nil
	}
	if len(rest) == 0 {
		rest = nil
	}
	return first, rest
}

func (d *decoder) attribute(b []byte, depth int) (*Attribute, error) {
	a := &Attribute{}
	w := &wire{rest: b}
	w.fault(d.charge(unsafe.Sizeof(*a)))
	kind := AttrUndefined // of the fields that are there
	for w.next() {
		is := AttrUndefined
		switch w.num {
		case 1:
			a.Name = d.str(w)
		case 2:
			a.Float, is = w.float(), AttrFloat
		case 3:
			a.Int, is = w.varint(), AttrInt
		case 4:
			a.String, is = d.str(w), AttrString
		case 5:
			once(w, a.Tensor != nil, "the tensor")
			t, err := d.tensor(w.message())
			w.fault(err)
			if err == nil {
				a.Tensor, is = t.tensor, AttrTensor
			}
		case 6:
			once(w, a.Graph != nil, "the graph")
			g, err := d.graph(w.message(), depth+1)
			w.fault(err)
			a.Graph, is = g, AttrGraph
		case 7:
			a.Floats, is = d.floats(w, a.Floats), AttrFloats
		case 8:
			w.fault(d.charge(uintptr(len(w.val)) * 8))
			a.Ints, is = w.varints(a.Ints), AttrInts
		case 9:
			a.Strings, is = append(a.Strings, d.str(w)), AttrStrings
		case 10:
			t, err := d.tensor(w.message())
			w.in(err, "tensor %d", len(a.Tensors))
			if err == nil {
				a.Tensors, is = append(a.Tensors, t.tensor), AttrTensors
			}
		case 11:
			g, err := d.graph(w.message(), depth+1)
			w.in(err, "graph %d", len(a.Graphs))
			a.Graphs, is = append(a.Graphs, g), AttrGraphs
		case 13:
			a.Doc = d.text(w)
		case 14:
			t, err := d.typeProto(w.message(), 0)
			w.fault(err)
			a.TypeProto, is = &t, AttrTypeProto
		case 15:
			t, err := d.typeProto(w.message(), 0)
			w.in(err, "type %d", len(a.TypeProtos))
			a.TypeProtos, is = append(a.TypeProtos, &t), AttrTypeProtos
		case 20:
			a.Type = AttributeType(w.varint())
		case 21:
			a.RefName = d.str(w)
		case 22:
			s, err := d.sparse(w.message())
			w.fault(err)
			a.SparseTensor, is = s.tensor, AttrSparseTensor
		case 23:
			s, err := d.sparse(w.message())
			w.in(err, "sparse tensor %d", len(a.SparseTensors))
			a.SparseTensors, is = append(a.SparseTensors, s.tensor), AttrSparseTensors
		default:
			a.Unknown = append(a.Unknown, w.raw...)
		}
		if is != AttrUndefined {
			kind = is
		}
	}
	if w.err != nil {
		return nil, &placedError{fmt.Sprintf("%q", brief.Name(a.Name)), w.err}
	}
	if a.Type == AttrUndefined && a.RefName == "" { // files before IR version 2 do not say
		a.Type = kind
	}
	return a, nil
}

func (d *decoder) floats(w *wire, dst []float32) []float32 {
	b := w.fixed32(nil)
	w.fault(d.charge(uintptr(len(b))))
	v := make([]byte, len(b))
	copy(v, b)
	if !littleEndian {
		swapBytes(Float, v)
	}
	for i := 0; i+4 <= len(v); i += 4 {
		dst = append(dst, *(*float32)(unsafe.Pointer(&v[i])))
	}
	return dst
}

func (d *decoder) valueInfo(w *wire, list []ValueInfo, what string) []ValueInfo {
	var v ValueInfo
	in := &wire{rest: w.message()}
	in.fault(d.charge(unsafe.Sizeof(v)))
	for in.next() {
		switch in.num {
		case 1:
			v.Name = d.str(in)
		case 2:
			t, err := d.typeProto(in.message(), 0)
			in.fault(err)
			v.Type = t
		case 3:
			v.Doc = d.text(in)
		case 4:
			v.Metadata = d.property(in, v.Metadata)
		default:
			v.Unknown = append(v.Unknown, in.raw...)
		}
	}
	w.in(in.err, "%s %d %q", what, len(list), brief.Name(v.Name))
	return append(list, v)
}

// typeProto reads a type. What it does not know (opaque types) stays unknown.
func (d *decoder) typeProto(b []byte, depth int) (Type, error) {
	var t Type
	if depth > d.limits.Depth {
		return t, &LimitError{What: "depth of a type", Got: int64(depth), Max: int64(d.limits.Depth)}
	}
	w := &wire{rest: b}
	w.fault(d.charge(unsafe.Sizeof(t)))
	for w.next() {
		switch w.num {
		case 1, 8:
			t.Kind = KindTensor
			if w.num == 8 {
				t.Kind = KindSparseTensor
			}
			in := &wire{rest: w.message()}
			for in.next() {
				switch in.num {
				case 1:
					t.Elem = DataType(in.varint())
				case 2:
					s, err := d.shape(in.message())
					in.fault(err)
					t.Shape = s
				}
			}
			w.fault(in.err)
		case 4, 9:
			t.Kind = KindSequence
			if w.num == 9 {
				t.Kind = KindOptional
			}
			t.Of = &Type{}
			in := &wire{rest: w.message()}
			for in.next() {
				if in.num == 1 {
					of, err := d.typeProto(in.message(), depth+1)
					in.fault(err)
					t.Of = &of
				}
			}
			w.fault(in.err)
		case 5:
			t.Kind = KindMap
			t.Of = &Type{}
			in := &wire{rest: w.message()}
			for in.next() {
				switch in.num {
				case 1:
					t.Elem = DataType(in.varint())
				case 2:
					of, err := d.typeProto(in.message(), depth+1)
					in.fault(err)
					t.Of = &of
				}
			}
			w.fault(in.err)
		case 6:
			t.Denotation = d.str(w)
		}
	}
	return t, w.err
}

func (d *decoder) shape(b []byte) (Shape, error) {
	s := Shape{}
	w := &wire{rest: b}
	for w.next() {
		if w.num != 1 {
			continue
		}
		dim := UnknownDim
		in := &wire{rest: w.message()}
		for in.next() {
			switch in.num {
			case 1:
				v := in.varint()
				if v < 0 || int64(int(v)) != v {
					v = -1 // some producers write -1 for a dimension that is not known
				}
				dim = Fixed(int(v))
			case 2:
				dim = Dim{Value: -1, Name: d.str(in)}
			}
		}
		w.fault(in.err)
		w.fault(d.charge(unsafe.Sizeof(dim)))
		if len(s) >= d.limits.Rank {
			w.fault(&LimitError{What: "rank", Got: int64(len(s)) + 1, Max: int64(d.limits.Rank)})
		}
		s = append(s, dim)
	}
	return s, w.err
}

func (d *decoder) function(b []byte) (*Function, error) {
	f := &Function{}
	w := &wire{rest: b}
	w.fault(d.charge(unsafe.Sizeof(*f)))
	for w.next() {
		switch w.num {
		case 1:
			f.Name = d.str(w)
		case 4:
			f.Inputs = append(f.Inputs, d.str(w))
		case 5:
			f.Outputs = append(f.Outputs, d.str(w))
		case 6:
			if len(f.Attributes) >= d.limits.Attributes {
				w.fault(&LimitError{What: "attributes", Got: int64(len(f.Attributes)) + 1, Max: int64(d.limits.Attributes)})
				break
			}
			f.Attributes = append(f.Attributes, d.str(w))
		case 7:
			n, err := d.node(w.message(), 0)
			w.in(err, "node %d", len(f.Nodes))
			f.Nodes = append(f.Nodes, n)
		case 8:
			f.Doc = d.text(w)
		case 9:
			f.OpsetImports = d.opsetImport(w, f.OpsetImports)
		case 10:
			f.Domain = canonicalDomain(d.str(w))
		case 11:
			if len(f.Defaults) >= d.limits.Attributes {
				w.fault(&LimitError{What: "attributes", Got: int64(len(f.Defaults)) + 1, Max: int64(d.limits.Attributes)})
				break
			}
			a, err := d.attribute(w.message(), 0)
			w.in(err, "attribute %d", len(f.Defaults))
			f.Defaults = append(f.Defaults, a)
		case 12:
			f.ValueInfos = d.valueInfo(w, f.ValueInfos, "value_info")
		case 13:
			f.Overload = d.str(w)
		case 14:
			f.Metadata = d.property(w, f.Metadata)
		default:
			f.Unknown = append(f.Unknown, w.raw...)
		}
	}
	if w.err != nil {
		return nil, &placedError{fmt.Sprintf("%q", brief.Name(f.Name)), w.err}
	}
	return f, nil
}
