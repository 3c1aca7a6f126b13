package onnx

// Limits bounds what an untrusted model may cost. The zero value of a field
// means the default; a negative value means no limit.
type Limits struct {
	FileBytes        int64 // size of a model file; default 2 GiB
	Nodes            int   // nodes of all graphs and functions; default 1,000,000
	Attributes       int   // attributes of one node; default 256
	Depth            int   // nesting of subgraphs, and of functions called by functions; default 32
	Functions        int   // default 4,096
	InitializerBytes int64 // bytes of all tensors in the model, in memory; default 8 GiB
	StringBytes      int   // length of a name or string attribute; default 1 MiB
	Rank             int   // rank of any tensor; default 32
	RunBytes         int64 // memory of one run; default: see DefaultRunBytes in package runtime
	LoopIterations   int64 // iterations of one Loop or Scan; default 10,000,000
	TimeSteps        int   // time steps of a recurrent operator; default 10,000,000
}

// DefaultLimits gives the limits that apply where none are set.
func DefaultLimits() Limits { return Limits{}.WithDefaults() }

// WithDefaults replaces zero fields by their defaults and negative ones by
// the largest value of their type. RunBytes stays zero when it is zero: its
// default depends on the machine.
func (l Limits) WithDefaults() Limits {
	def(&l.FileBytes, 2<<30)
	def(&l.Nodes, 1_000_000)
	def(&l.Attributes, 256)
	def(&l.Depth, 32)
	def(&l.Functions, 4096)
	def(&l.InitializerBytes, 8<<30)
	def(&l.StringBytes, 1<<20)
	def(&l.Rank, 32)
	def(&l.RunBytes, 0)
	def(&l.LoopIterations, 10_000_000)
	def(&l.TimeSteps, 10_000_000)
	return l
}

func def[T int | int64](field *T, value int64) {
	switch {
	case *field == 0:
		if T(value) >= 0 && int64(T(value)) == value {
			*field = T(value)
		} else {
			*field = maxOf[T]()
		}
	case *field < 0:
		*field = maxOf[T]()
	}
}

func maxOf[T int | int64]() T {
	v := T(1)
	for v<<1 > v {
		v = v<<1 | 1
	}
	return v
}
