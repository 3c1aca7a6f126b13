package ops

import (
	"fmt"
	"slices"
	"sort"

	"github.com/recur-ml/recur/internal/brief"
	"github.com/recur-ml/recur/onnx"
)

// Op is a row of the table of operators: one operator in one or several of
// its versions.
//
// Infer gives types and shapes of the outputs before a run; Build reads the
// attributes once and returns the kernel that computes the node. Both are
// called at load. A Build that leaves an attribute, or a connected optional
// input or output, unread fails the load: nothing is ignored in silence.
type Op struct {
	Domain string // "" for ai.onnx
	Name   string
	// Since lists the versions that the row serves, in ascending order: the
	// opsets in which the operator's definition changed. A model that imports
	// opset n gets the greatest one not above n.
	Since []int
	// Types lists the element types that the kernels take where the first
	// input's type varies; nil means all that the schema allows.
	Types []onnx.DataType
	// Random says that the outputs depend on more than the inputs, so that a
	// node with constant inputs is not a constant.
	Random bool
	Infer  func(n *Node) error
	Build  func(n *Node) (Kernel, error)
	// Schema describes an operator that is not part of ONNX, for the checks
	// that ONNX's own schemas serve for its operators. It may be nil: then
	// inputs and outputs are not checked, and attributes only for being read.
	Schema *onnx.Schema
}

// Registry finds operators by domain, name and version. Default has the ones
// of this package; a user's own are added to a Clone of it. A Registry must
// not be changed once a model has been loaded with it.
type Registry struct {
	rows map[opKey][]registered
}

type opKey struct{ domain, name string }

type registered struct {
	since int
	op    *Op
}

// NewRegistry makes an empty registry.
func NewRegistry() *Registry { return &Registry{rows: map[opKey][]registered{}} }

var standard = NewRegistry()

// Default gives the registry of all operators of this package. It is shared:
// Clone it to add to it.
func Default() *Registry { return standard }

// register adds rows of this package; a duplicate is a programmer's error.
func register(ops ...Op) {
	for i := range ops {
		if err := standard.Register(ops[i]); err != nil {
			panic(err)
		}
	}
}

// Clone copies the registry.
func (r *Registry) Clone() *Registry {
	c := NewRegistry()
	for k, v := range r.rows {
		c.rows[k] = slices.Clone(v)
	}
	return c
}

// Register adds an operator. An error matches onnx.ErrMalformed when the row
// is incomplete or a version of the operator is there already.
func (r *Registry) Register(op Op) error {
	if op.Name == "" || len(op.Since) == 0 || op.Infer == nil || op.Build == nil {
		return onnx.Errorf(onnx.ErrMalformed, "operator %q: want a name, versions, Infer and Build", op.Name)
	}
	if op.Domain == "ai.onnx" {
		op.Domain = ""
	}
	key := opKey{op.Domain, op.Name}
	rows := r.rows[key]
	for _, since := range op.Since {
		if since < 1 {
			return onnx.Errorf(onnx.ErrMalformed, "operator %s: version %d, want 1 or more", opName(op.Domain, op.Name, 0), since)
		}
		if slices.ContainsFunc(rows, func(h registered) bool { return h.since == since }) {
			return onnx.Errorf(onnx.ErrMalformed, "operator %s is registered twice", opName(op.Domain, op.Name, since))
		}
		rows = append(rows, registered{since, &op})
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i].since < rows[j].since })
	if r.rows == nil {
		r.rows = map[opKey][]registered{}
	}
	r.rows[key] = rows
	return nil
}

// Lookup finds the row that serves an operator under an imported opset, and
// its version. An error matches onnx.ErrUnsupported and says what is missing.
func (r *Registry) Lookup(domain, name string, opset int) (*Op, int, error) {
	rows := r.rows[opKey{domain, name}]
	since := 0
	if s := onnx.LookupSchema(domain, name, opset); s != nil {
		if s.Deprecated {
			return nil, 0, onnx.Errorf(onnx.ErrUnsupported, "%s is deprecated in opset %d", opName(domain, name, s.Since), opset)
		}
		since = s.Since
	}
	if len(rows) == 0 {
		if since > 0 {
			return nil, 0, onnx.Errorf(onnx.ErrUnsupported, "operator %s", opName(domain, name, since))
		}
		return nil, 0, onnx.Errorf(onnx.ErrUnsupported, "operator %s in opset %d", opName(domain, name, 0), opset)
	}
	if latest := onnx.LatestOpset(domain); latest > 0 && opset > latest {
		return nil, 0, onnx.Errorf(onnx.ErrUnsupported, "opset %d of domain %q is newer than the newest one known, %d", opset, domainName(domain), latest)
	}
	for i := len(rows) - 1; i >= 0; i-- {
		if rows[i].since > opset {
			continue
		}
		if since > 0 && rows[i].since != since {
			break // ours is older than the version that the model means
		}
		return rows[i].op, rows[i].since, nil
	}
	var have []int
	for _, h := range rows {
		have = append(have, h.since)
	}
	return nil, 0, onnx.Errorf(onnx.ErrUnsupported, "operator %s in opset %d (there are versions %v)", opName(domain, name, since), opset, have)
}

// Entry is a version of an operator in a Registry.
type Entry struct {
	Domain, Name string
	Since        int
	Op           *Op
}

// Entries lists everything in the registry, by domain, name and version.
func (r *Registry) Entries() []Entry {
	var out []Entry
	for k, rows := range r.rows {
		for _, h := range rows {
			out = append(out, Entry{k.domain, k.name, h.since, h.op})
		}
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		if a.Domain != b.Domain {
			return a.Domain < b.Domain
		}
		if a.Name != b.Name {
			return a.Name < b.Name
		}
		return a.Since < b.Since
	})
	return out
}

// opName writes "LSTM-14" or "ai.onnx.ml:Scaler-1"; a version of 0 is left out.
func opName(domain, name string, since int) string {
	domain, name = brief.Word(domain), brief.Word(name)
	if domain != "" {
		name = domain + ":" + name
	}
	if since > 0 {
		name = fmt.Sprintf("%s-%d", name, since)
	}
	return name
}

func domainName(d string) string {
	if d == "" {
		return "ai.onnx"
	}
	return d
}
