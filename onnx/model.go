package onnx

// Model is a decoded .onnx file. Decode makes one, Encode writes one.
type Model struct {
	IRVersion       int64
	OpsetImports    []OpsetImport
	ProducerName    string
	ProducerVersion string
	Domain          string
	ModelVersion    int64
	Doc             string
	Graph           *Graph
	Functions       []*Function
	Metadata        []Property // metadata_props, in the file's order
	// TrainingInfo and Configuration hold the encoded messages of those
	// fields, one each: they are kept, not interpreted.
	TrainingInfo  [][]byte
	Configuration [][]byte
	// Unknown holds the fields of the message that are not known here, as
	// they stood in the file.
	Unknown []byte

	// Path is where the model was read from, "" when it was not a file; it
	// only serves messages.
	Path string
}

// OpsetImport says which version of a domain's operators a model uses.
// "ai.onnx" is written as "".
type OpsetImport struct {
	Domain  string
	Version int64
}

// Property is an entry of metadata_props.
type Property struct{ Key, Value string }

// Graph is a graph of nodes: a model's, or the body of a control-flow operator.
type Graph struct {
	Name               string
	Doc                string
	Nodes              []*Node
	Inputs             []ValueInfo
	Outputs            []ValueInfo
	ValueInfos         []ValueInfo // declared types of other values
	Initializers       []*Initializer
	SparseInitializers []*SparseInitializer
	// QuantizationAnnotations holds encoded messages, one each.
	QuantizationAnnotations [][]byte
	Metadata                []Property
	Unknown                 []byte
}

// ValueInfo names a value and declares its type.
type ValueInfo struct {
	Name     string
	Type     Type
	Doc      string
	Metadata []Property
	Unknown  []byte
}

// Node applies an operator. An empty input name is an absent optional input,
// an empty output name an output that is not wanted.
type Node struct {
	Name       string
	OpType     string
	Domain     string // "" for ai.onnx
	Overload   string // which overload of a function
	Inputs     []string
	Outputs    []string
	Attributes []*Attribute
	Doc        string
	Metadata   []Property
	// Opset is the version of Domain's operators that the node means when it
	// differs from the model's import: a node that came out of a function
	// with imports of its own. 0 otherwise. A file cannot hold it.
	Opset int64
	// DeviceConfigurations holds encoded messages, one each.
	DeviceConfigurations [][]byte
	Unknown              []byte
}

// Attr finds an attribute by name, nil when it is not set.
func (n *Node) Attr(name string) *Attribute {
	for _, a := range n.Attributes {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// AttributeType numbers the types of attributes as AttributeProto does.
type AttributeType int32

// The types of attributes.
const (
	AttrUndefined     AttributeType = 0
	AttrFloat         AttributeType = 1
	AttrInt           AttributeType = 2
	AttrString        AttributeType = 3
	AttrTensor        AttributeType = 4
	AttrGraph         AttributeType = 5
	AttrFloats        AttributeType = 6
	AttrInts          AttributeType = 7
	AttrStrings       AttributeType = 8
	AttrTensors       AttributeType = 9
	AttrGraphs        AttributeType = 10
	AttrSparseTensor  AttributeType = 11
	AttrSparseTensors AttributeType = 12
	AttrTypeProto     AttributeType = 13
	AttrTypeProtos    AttributeType = 14
)

var attrTypeNames = [...]string{"undefined", "float", "int", "string", "tensor", "graph", "floats", "ints",
	"strings", "tensors", "graphs", "sparse_tensor", "sparse_tensors", "type_proto", "type_protos"}

// String gives the type's name in the format's spelling, in lower case.
func (t AttributeType) String() string {
	if t >= 0 && int(t) < len(attrTypeNames) {
		return attrTypeNames[t]
	}
	return "unknown"
}

// Attribute is a named constant of a node. Only the field that Type names
// means anything. Strings may hold any bytes.
type Attribute struct {
	Name string
	Type AttributeType
	Doc  string
	// RefName, inside a function, names the function's attribute that stands
	// here; then no value is set.
	RefName string

	Float         float32
	Int           int64
	String        string
	Tensor        *Tensor
	Graph         *Graph
	SparseTensor  *SparseTensor
	TypeProto     *Type
	Floats        []float32
	Ints          []int64
	Strings       []string
	Tensors       []*Tensor
	Graphs        []*Graph
	SparseTensors []*SparseTensor
	TypeProtos    []*Type

	Unknown []byte
}

// Function is a model-local operator, defined by nodes.
type Function struct {
	Domain       string
	Name         string
	Overload     string
	Inputs       []string
	Outputs      []string
	Attributes   []string     // names of attributes without default
	Defaults     []*Attribute // attributes with their defaults
	Nodes        []*Node
	OpsetImports []OpsetImport
	ValueInfos   []ValueInfo
	Doc          string
	Metadata     []Property
	Unknown      []byte
}

// Initializer is a constant of a graph: a weight, most often.
type Initializer struct {
	Name   string
	Tensor *Tensor
	Doc    string
	// Span is where the TensorProto's encoded bytes stood in the file that
	// was decoded; empty for an initializer made otherwise.
	Span     Span
	Metadata []Property
	Unknown  []byte
}

// Span is a range of bytes of a file.
type Span struct{ Start, End int64 }

// SparseInitializer is a constant of a graph in sparse form.
type SparseInitializer struct {
	Name    string
	Tensor  *SparseTensor
	Span    Span
	Unknown []byte
}

// ExternalData says where a tensor's elements lie outside the model's file.
type ExternalData struct {
	Location string // path relative to the model's folder, with "/"
	Offset   int64
	Length   int64  // -1 when the file does not say
	Checksum string // SHA-1 in hexadecimal, "" when the file does not say
}

// External tells where the tensor's elements lie while they have not been
// read, nil otherwise.
func (t *Tensor) External() *ExternalData { return t.ext }
