package runtime

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/rewrite"
)

// A session makes programs for the shapes of inputs that it sees again: shape
// arithmetic is computed, Ifs that hang on shapes or on a small input are
// decided, and kernels know all sizes. Such a program gives the bits that the
// general one gives, and the general one says what is wrong when it fails.

const (
	// DefaultPrograms is how many programs for certain shapes a session keeps.
	DefaultPrograms = 8

	maxSightings = 32 // keys that are remembered before they have a program
	// Inputs of so few elements, all integers or booleans on no axis or one, are
	// part of a key with their values: a rate, a mode, a number of steps. More
	// axes are data, such as the words of a batch.
	maxKeyElements = 4
	maxChanges     = 8 // of an input's values, before they are left out of keys
	// Once so many programs have been made, the time for more may be at most
	// this part of the time that general runs took, and a key must have come so
	// often.
	freePrograms = DefaultPrograms
	runsPerMake  = 10
	oftenSeen    = 4
)

// variant is a program for inputs of certain shapes and values.
type variant struct {
	key   []uint64
	prog  *program // nil: there is none for this key, the general one serves
	slots []int    // by parameter, -1 for one that is a constant here
	gone  atomic.Bool
	hits  atomic.Int64

	layout  atomic.Pointer[layout] // of the memory of a run, nil while it is not known
	layouts atomic.Int32           // that were made
}

// variants are the programs of a session.
type variants struct {
	most    int // to be kept; 0: none is made
	general *variant
	list    atomic.Pointer[[]*variant]
	loose   []atomic.Bool // by parameter: the values are not part of keys

	mu      sync.Mutex
	seen    []sighting // the latest last
	changes []int      // by parameter
	making  bool
	made    int
	spent   time.Duration // on making programs
	ran     atomic.Int64  // nanoseconds in general runs
}

// sighting is a key that came lately.
type sighting struct {
	key   []uint64
	count int
}

// begin finds out whether there is anything to be gained.
func (vs *variants) begin(s *Session, most int) {
	vs.general = &variant{prog: s.prog}
	vs.loose = make([]atomic.Bool, len(s.params))
	vs.changes = make([]int, len(s.params))
	for i := range s.params {
		p := &s.params[i]
		vs.general.slots = append(vs.general.slots, p.slot)
		if _, known := p.Type.Shape.Ints(); !known || !p.Type.Shape.Ranked() || p.optional || smallElements(p.Type.Elem) {
			vs.most = most
		}
	}
	if vs.most > 0 { // the programs for shapes have layouts
		vs.general.refuseLayout()
	}
}

// smallElements reports whether values of an element type may be part of a key.
func smallElements(d onnx.DataType) bool {
	switch d {
	case onnx.Bool, onnx.Int8, onnx.Int16, onnx.Int32, onnx.Int64, onnx.Uint8, onnx.Uint16, onnx.Uint32, onnx.Uint64:
		return true
	}
	return false
}

// valued reports whether a tensor's elements are part of the key.
func (vs *variants) valued(param int, t *onnx.Tensor) bool {
	return t.Rank() <= 1 && t.Len() <= maxKeyElements && smallElements(t.DataType()) && !vs.loose[param].Load()
}

// Kinds of inputs in a key: the two low bits of the first word. The others say
// of how many words the input's part is.
const (
	keyAbsent = iota
	keyOther  // no tensor: the declaration says what is known
	keyShape
	keyValues
)

// appendKey writes down what a program may take for granted of an input.
func (vs *variants) appendKey(key []uint64, param int, v onnx.Value) []uint64 {
	if v == nil {
		return append(key, keyAbsent)
	}
	t, ok := v.(*onnx.Tensor)
	if !ok {
		return append(key, keyOther)
	}
	kind := uint64(keyShape)
	if vs.valued(param, t) {
		kind = keyValues
	}
	head := len(key)
	key = append(key, 0)
	for _, d := range t.Shape() {
		key = append(key, uint64(d))
	}
	if kind == keyValues {
		key = appendBytes(key, t.Bytes())
	}
	key[head] = kind | uint64(len(key)-head)<<2
	return key
}

func appendBytes(key []uint64, b []byte) []uint64 {
	word := uint64(0)
	for i, x := range b {
		word |= uint64(x) << (i % 8 * 8)
		if i%8 == 7 || i == len(b)-1 {
			key = append(key, word)
			word = 0
		}
	}
	return key
}

// choose gives the program for the inputs of a run. It may make one.
func (s *Session) choose(r *run) *variant {
	vs := &s.variants
	if vs.most == 0 {
		return vs.general
	}
	r.key = r.key[:0]
	for i, v := range r.given {
		if t, ok := v.(*onnx.Tensor); ok && t.Len() == 0 {
			// There is little to be gained, and a size of 0 that is known
			// means another thing to Reshape than one that is computed.
			if _, declared := s.params[i].Type.Shape.Ints(); !declared {
				return vs.general
			}
		}
		r.key = vs.appendKey(r.key, i, v)
	}
	if v := vs.find(r.key); v != nil {
		if v.prog == nil {
			return vs.general
		}
		v.hits.Add(1)
		return v
	}
	if vs.sighted(r.key) {
		if v := s.makeVariant(r); v.prog != nil {
			return v
		}
	}
	return vs.general
}

func (vs *variants) find(key []uint64) *variant {
	list := vs.list.Load()
	if list == nil {
		return nil
	}
	for _, v := range *list {
		if slices.Equal(v.key, key) {
			return v
		}
	}
	return nil
}

// sighted notes that a key came which has no program, and reports whether one
// is to be made now: the key came before, and the time is in proportion.
func (vs *variants) sighted(key []uint64) bool {
	if !vs.mu.TryLock() {
		return false // another run is at it
	}
	defer vs.mu.Unlock()
	if vs.making {
		return false
	}
	for i := range vs.seen {
		if !slices.Equal(vs.seen[i].key, key) {
			continue
		}
		c := vs.seen[i]
		c.count++
		vs.seen = append(slices.Delete(vs.seen, i, i+1), c)
		if vs.made >= freePrograms && (c.count < oftenSeen || int64(vs.spent)*runsPerMake > vs.ran.Load()) {
			return false
		}
		vs.making = true
		return true
	}
	vs.compareValues(key)
	if len(vs.seen) >= maxSightings {
		c := vs.seen[0]
		vs.seen = append(slices.Delete(vs.seen, 0, 1), sighting{append(c.key[:0], key...), 1})
		return false
	}
	vs.seen = append(vs.seen, sighting{slices.Clone(key), 1})
	return false
}

// compareValues holds a new key against the latest one, and leaves those
// values out of keys from now on that change again and again.
func (vs *variants) compareValues(key []uint64) {
	if len(vs.seen) == 0 {
		return
	}
	was := vs.seen[len(vs.seen)-1].key
	i, k := 0, 0
	for param := range vs.changes {
		a, b := keyPart(was[i:]), keyPart(key[k:])
		i, k = i+len(a), k+len(b)
		if a[0]&3 != keyValues || b[0]&3 != keyValues || slices.Equal(a, b) {
			continue
		}
		if vs.changes[param]++; vs.changes[param] >= maxChanges {
			vs.loose[param].Store(true)
		}
	}
}

// keyPart gives the part of a key that is about its first input.
func keyPart(key []uint64) []uint64 {
	return key[:max(1, key[0]>>2)]
}

// makeVariant makes the program for the inputs of a run, and puts it into the
// place of the one that was used least where there are enough.
func (s *Session) makeVariant(r *run) *variant {
	vs := &s.variants
	start := time.Now()
	v := &variant{key: slices.Clone(r.key)}
	var err error
	func() {
		defer contain(&err, func() string { return "specialise" })
		v.prog, v.slots, err = s.specialise(r.given)
	}()
	if err != nil {
		v.prog = nil
	}
	vs.mu.Lock()
	defer vs.mu.Unlock()
	vs.making = false
	vs.made++
	vs.spent += time.Since(start)
	vs.seen = slices.DeleteFunc(vs.seen, func(c sighting) bool { return slices.Equal(c.key, v.key) })
	vs.add(v)
	return v
}

// add puts a variant into the list.
func (vs *variants) add(v *variant) {
	var list []*variant
	if old := vs.list.Load(); old != nil {
		list = slices.Clone(*old)
	}
	if len(list) >= vs.most {
		least := 0
		for i, o := range list {
			if o.hits.Load() < list[least].hits.Load() {
				least = i
			}
		}
		list[least].gone.Store(true)
		list = slices.Delete(list, least, least+1)
		for _, o := range list { // what was used long ago counts less and less
			o.hits.Store(o.hits.Load() / 2)
		}
	}
	list = append(list, v)
	vs.list.Store(&list)
}

// fail keeps a key to the general program from now on.
func (vs *variants) fail(v *variant) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	list := *vs.list.Load()
	if i := slices.Index(list, v); i >= 0 {
		list = slices.Clone(list)
		list[i] = &variant{key: v.key}
		v.gone.Store(true)
		vs.list.Store(&list)
	}
}

// specialise compiles the model for inputs, by parameter.
func (s *Session) specialise(given []onnx.Value) (*program, []int, error) {
	m := *s.model
	g := *m.Graph
	m.Graph = &g
	g.Inputs = slices.Clone(g.Inputs)
	values := map[string]*onnx.Tensor{}
	types := map[string]onnx.Shape{}
	for i := range s.params {
		p := &s.params[i]
		t, ok := given[i].(*onnx.Tensor)
		switch {
		case given[i] == nil:
			values[p.Name] = nil
		case ok && s.variants.valued(i, t):
			values[p.Name] = t.Clone()
		case ok:
			types[p.Name] = onnx.FixedShape(t.Shape()...)
		}
	}
	for i := range g.Inputs {
		if shape, ok := types[g.Inputs[i].Name]; ok {
			g.Inputs[i].Type.Shape = shape
		}
	}
	special, err := rewrite.Specialise(&m, rewrite.Options{Passes: s.opts.passes, Registry: s.opts.registry, Limits: s.opts.limits, Level: s.opts.level, HalfWeights: s.opts.halfWeights}, values)
	if err != nil {
		return nil, nil, err
	}
	prog, symbols, err := compile(special, s.opts)
	if err != nil {
		return nil, nil, err
	}
	if len(symbols) > 0 {
		return nil, nil, errors.New("a dimension is left open")
	}
	slots := make([]int, len(s.params))
	for i := range s.params {
		slots[i] = -1
		for k, v := range special.Graph.Inputs {
			if v.Name == s.params[i].Name {
				slots[i] = prog.inputs[k]
			}
		}
	}
	return prog, slots, nil
}
