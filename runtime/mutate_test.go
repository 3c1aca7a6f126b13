package runtime_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
)

var (
	mutations  = flag.Int("mutations", 2, "mutations of each golden")
	mutateOnly = flag.String("mutate", "", "the goldens to mutate, by a part of the name; and a seed after #")
)

// golden is a case of the repository's goldens with its first inputs.
type golden struct {
	name   string
	model  []byte
	inputs [][]byte
}

// readGoldens gives the cases of which all files are small.
func readGoldens(t testing.TB) []*golden {
	t.Helper()
	paths, err := filepath.Glob("../testdata/goldens/*.tar.gz")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	byName := map[string]*golden{}
	large := map[string]bool{}
	for _, file := range paths {
		archive := strings.TrimSuffix(filepath.Base(file), ".tar.gz")
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		for r := tar.NewReader(z); ; {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			dir, base := path.Split(h.Name)
			data, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			model := base == "model.onnx"
			if !model {
				dir = path.Dir(path.Clean(dir)) + "/"
			}
			name := archive + "/" + strings.TrimSuffix(dir, "/")
			if len(data) > 1<<16 {
				large[name] = true
				continue
			}
			g := byName[name]
			if g == nil {
				g = &golden{name: name}
				byName[name] = g
			}
			number, isInput := strings.CutPrefix(strings.TrimSuffix(base, ".pb"), "input_")
			switch {
			case model:
				g.model = data
			case isInput && strings.HasSuffix(h.Name, "test_data_set_0/"+base):
				i, err := strconv.Atoi(number)
				if err != nil {
					t.Fatal(err)
				}
				for len(g.inputs) <= i {
					g.inputs = append(g.inputs, nil)
				}
				g.inputs[i] = data
			}
		}
		f.Close()
	}
	var list []*golden
	for name, g := range byName {
		if g.model != nil && !large[name] {
			list = append(list, g)
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].name < list[j].name })
	return list
}

// decode gives the model and its inputs, afresh.
func (g *golden) decode() (*onnx.Model, onnx.Values, error) {
	m, err := onnx.Decode(g.model, nil)
	if err != nil {
		return nil, nil, err
	}
	in := onnx.Values{}
	for i, data := range g.inputs {
		if i >= len(m.Graph.Inputs) {
			break
		}
		v := m.Graph.Inputs[i]
		var x onnx.Value
		switch v.Type.Kind {
		case onnx.KindSequence:
			x, err = onnx.DecodeSequence(data)
		case onnx.KindOptional:
			x, err = onnx.DecodeOptional(data)
		default:
			x, err = onnx.DecodeTensor(data)
		}
		if err != nil {
			return nil, nil, err
		}
		in[v.Name] = x
	}
	return m, in, nil
}

// mutator spoils models and inputs.
type mutator struct {
	*rand.Rand
	m  *onnx.Model
	in onnx.Values
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

var hostileInts = []int64{math.MinInt64, math.MinInt64 + 1, math.MinInt32, -1 << 20, -100, -3, -2, -1, 0, 1, 2, 3, 4, 5, 7, 100, 1 << 20, math.MaxInt32, math.MaxInt32 + 1, 1 << 40, 1 << 62, math.MaxInt64 - 1, math.MaxInt64}

var hugeDims = []int{1 << 20, math.MaxInt32, math.MaxInt / 8, math.MaxInt / 2, math.MaxInt}

var hostileFloats = []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1, -1, 0.5, 2, 3, 1e-45, 1e-300, 1e10, 1e18, 1e19, -1e19, 1e30, -1e30, math.MaxFloat32, math.MaxFloat64}

var hostileStrings = []string{"", "linear", "nearest", "cubic", "edge", "wrap", "reflect", "constant", "SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET", "add", "mul", "max", "min", "none", "sum", "mean",
	"forward", "reverse", "bidirectional", "Tanh", "Relu", "Affine", "CRD", "DCR", "half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize", "[", "(a+)+$", "a,b->c", "...->...", "ii->i", "\xff", strings.Repeat("x", 1000)}

func (m *mutator) element(x *onnx.Tensor, i int) {
	switch x.DataType() {
	case onnx.String:
		x.Strings()[i] = pick(m.Rand, hostileStrings)
	case onnx.Float:
		onnx.Elements[float32](x)[i] = float32(pick(m.Rand, hostileFloats))
	case onnx.Double:
		onnx.Elements[float64](x)[i] = pick(m.Rand, hostileFloats)
	case onnx.Bool:
		onnx.Elements[bool](x)[i] = m.IntN(2) == 0
	case onnx.Int64:
		onnx.Elements[int64](x)[i] = m.integer(x.Len())
	case onnx.Int32:
		onnx.Elements[int32](x)[i] = int32(m.integer(x.Len()))
	default:
		size := x.DataType().Size()
		for k := range size {
			x.Bytes()[i*size+k] = byte(pick(m.Rand, []int{0, 1, 0x7f, 0x80, 0xff, 0x7c, 0xfc, m.IntN(256)}))
		}
		maskPacked(x, i)
	}
}

// maskPacked keeps an element of fewer than 8 bits within them.
func maskPacked(x *onnx.Tensor, i int) {
	if bits := x.DataType().Bits(); bits < 8 {
		v := x.Bytes()[i] & (1<<bits - 1)
		if (x.DataType() == onnx.Int4 || x.DataType() == onnx.Int2) && v>>(bits-1) == 1 {
			v |= 0xff << bits
		}
		x.Bytes()[i] = v
	}
}

func (m *mutator) integer(n int) int64 {
	if m.IntN(2) == 0 {
		return int64(m.IntN(2*n+3) - n - 1)
	}
	return pick(m.Rand, hostileInts)
}

// values spoils elements of a copy of x.
func (m *mutator) values(x *onnx.Tensor) *onnx.Tensor {
	x = x.Clone()
	if x.Len() == 0 {
		return x
	}
	if m.IntN(4) == 0 { // all of them, alike
		m.element(x, 0)
		for i := 1; i < x.Len(); i++ {
			copyElement(x, i, x, 0)
		}
		return x
	}
	for range 1 + m.IntN(3) {
		m.element(x, m.IntN(x.Len()))
	}
	return x
}

func copyElement(dst *onnx.Tensor, i int, src *onnx.Tensor, k int) {
	if dst.DataType() == onnx.String {
		dst.Strings()[i] = src.Strings()[k]
		return
	}
	size := dst.DataType().Size()
	copy(dst.Bytes()[i*size:(i+1)*size], src.Bytes()[k*size:(k+1)*size])
}

// reshaped gives x another shape, with its elements repeated.
func (m *mutator) reshaped(x *onnx.Tensor) *onnx.Tensor {
	shape := append([]int{}, x.Shape()...)
	switch k := m.IntN(9); {
	case k > 6 && len(shape) > 1: // no elements, and many of them in one direction
		shape[m.IntN(len(shape))] = pick(m.Rand, hugeDims)
		shape[m.IntN(len(shape))] = 0
		if slices.Index(shape, 0) < 0 {
			shape[0] = 0
		}
	case k == 0 || len(shape) == 0:
		at := m.IntN(len(shape) + 1)
		shape = append(shape[:at], append([]int{1 + m.IntN(2)}, shape[at:]...)...)
	case k == 1:
		at := m.IntN(len(shape))
		shape = append(shape[:at], shape[at+1:]...)
	case k == 2:
		shape = []int{}
	case k == 3:
		shape[m.IntN(len(shape))] = 0
	default:
		at := m.IntN(len(shape))
		shape[at] = max(0, pick(m.Rand, []int{1, shape[at] - 1, shape[at] + 1, 2 * shape[at], 7}))
	}
	n, err := onnx.NumElements(shape)
	if err != nil || n > 1<<16 {
		return x
	}
	y, err := onnx.NewZeros(x.DataType(), shape)
	if err != nil {
		return x
	}
	if x.Len() == 0 {
		return y
	}
	for i := range n {
		copyElement(y, i, x, i%x.Len())
	}
	return y
}

// tensor applies f to an input or initializer.
func (m *mutator) tensor(f func(*onnx.Tensor) *onnx.Tensor) {
	var names []string
	for name, v := range m.in {
		if _, ok := v.(*onnx.Tensor); ok {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	k := m.IntN(len(names) + len(m.m.Graph.Initializers) + 1)
	switch {
	case k < len(names):
		m.in[names[k]] = f(m.in[names[k]].(*onnx.Tensor))
	case k < len(names)+len(m.m.Graph.Initializers):
		init := m.m.Graph.Initializers[k-len(names)]
		init.Tensor = f(init.Tensor)
	}
}

// node gives a node, of a body too.
func (m *mutator) node() *onnx.Node {
	var all []*onnx.Node
	var collect func(g *onnx.Graph)
	collect = func(g *onnx.Graph) {
		for _, n := range g.Nodes {
			all = append(all, n)
			for _, a := range n.Attributes {
				if a.Graph != nil {
					collect(a.Graph)
				}
			}
		}
	}
	collect(m.m.Graph)
	for _, f := range m.m.Functions {
		all = append(all, f.Nodes...)
	}
	if len(all) == 0 {
		return &onnx.Node{}
	}
	return pick(m.Rand, all)
}

func (m *mutator) attribute() {
	n := m.node()
	if n.OpType == "" {
		return
	}
	schema := onnx.LookupSchema(n.Domain, n.OpType, int(m.opset(n.Domain)))
	if schema != nil && len(schema.Attributes) > 0 && m.IntN(3) == 0 { // one that is not set
		s := schema.Attributes[m.IntN(len(schema.Attributes))]
		if n.Attr(s.Name) == nil {
			n.Attributes = append(n.Attributes, &onnx.Attribute{Name: s.Name, Type: s.Type})
		}
	}
	if len(n.Attributes) == 0 {
		return
	}
	i := m.IntN(len(n.Attributes))
	a := n.Attributes[i]
	if m.IntN(8) == 0 {
		n.Attributes = append(n.Attributes[:i], n.Attributes[i+1:]...)
		return
	}
	switch a.Type {
	case onnx.AttrInt:
		a.Int = m.integer(4)
	case onnx.AttrFloat:
		a.Float = float32(pick(m.Rand, hostileFloats))
	case onnx.AttrString:
		a.String = pick(m.Rand, hostileStrings)
	case onnx.AttrInts:
		a.Ints = spoilList(m, a.Ints, func() int64 { return m.integer(4) })
	case onnx.AttrFloats:
		a.Floats = spoilList(m, a.Floats, func() float32 { return float32(pick(m.Rand, hostileFloats)) })
	case onnx.AttrStrings:
		a.Strings = spoilList(m, a.Strings, func() string { return pick(m.Rand, hostileStrings) })
	case onnx.AttrTensor:
		if a.Tensor == nil {
			a.Tensor = onnx.MustTensor([]int{1}, []float32{1})
		} else if m.IntN(2) == 0 {
			a.Tensor = m.values(a.Tensor)
		} else {
			a.Tensor = m.reshaped(a.Tensor)
		}
	}
}

func spoilList[T any](m *mutator, list []T, one func() T) []T {
	list = append([]T(nil), list...)
	switch k := m.IntN(4); {
	case k == 0 || len(list) == 0:
		return append(list, one())
	case k == 1:
		return list[:len(list)-1]
	}
	list[m.IntN(len(list))] = one()
	return list
}

func (m *mutator) opset(domain string) int64 {
	for _, imp := range m.m.OpsetImports {
		if imp.Domain == domain {
			return imp.Version
		}
	}
	return 0
}

func (m *mutator) connections() {
	n := m.node()
	switch m.IntN(5) {
	case 0:
		if len(n.Inputs) > 0 {
			n.Inputs[m.IntN(len(n.Inputs))] = ""
		}
	case 1:
		if len(n.Inputs) > 0 {
			n.Inputs[m.IntN(len(n.Inputs))] = pick(m.Rand, n.Inputs)
		}
	case 2:
		if len(n.Inputs) > 0 {
			n.Inputs = n.Inputs[:len(n.Inputs)-1]
		}
	case 3:
		if len(n.Inputs) > 0 {
			n.Inputs = append(n.Inputs, pick(m.Rand, n.Inputs))
		}
	case 4:
		if len(n.Outputs) > 1 {
			n.Outputs[m.IntN(len(n.Outputs))] = ""
		}
	}
}

// relax takes away what declares shapes, so that what the inputs have reaches
// the operators.
func (m *mutator) relax() {
	for i := range m.m.Graph.Inputs {
		m.m.Graph.Inputs[i].Type.Shape = nil
	}
	for i := range m.m.Graph.Outputs {
		m.m.Graph.Outputs[i].Type = onnx.Type{}
	}
	m.m.Graph.ValueInfos = nil
}

// constants makes initializers of the inputs; of about that share of them.
func (m *mutator) constants(share float64) {
	var left []onnx.ValueInfo
	for _, v := range m.m.Graph.Inputs {
		t, ok := m.in[v.Name].(*onnx.Tensor)
		if !ok || m.Float64() >= share {
			left = append(left, v)
			continue
		}
		delete(m.in, v.Name)
		m.m.Graph.Initializers = append(m.m.Graph.Initializers, initOf(v.Name, t))
	}
	m.m.Graph.Inputs = left
}

// mutate spoils a golden in a way that the seed determines; with constant, what
// were its inputs are constants.
func (g *golden) mutate(seed uint64, constant bool) (*onnx.Model, onnx.Values, error) {
	model, in, err := g.decode()
	if err != nil {
		return nil, nil, err
	}
	m := &mutator{rand.New(rand.NewPCG(seed, uint64(len(g.name)))), model, in}
	if m.IntN(8) > 0 {
		m.relax()
	}
	for range 1 + m.IntN(3) {
		switch m.IntN(8) {
		case 0, 1, 2:
			m.tensor(m.values)
		case 3, 4:
			m.tensor(m.reshaped)
		case 5, 6:
			m.attribute()
		case 7:
			m.connections()
		}
	}
	share := float64(m.IntN(3)) / 2
	if constant {
		share = 1
	}
	m.constants(share)
	return m.m, m.in, nil
}

// random reports whether a model's results differ from run to run.
func isRandom(m *onnx.Model) bool {
	random := false
	var look func(nodes []*onnx.Node)
	look = func(nodes []*onnx.Node) {
		for _, n := range nodes {
			switch n.OpType {
			case "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial", "Dropout":
				random = true
			}
			for _, a := range n.Attributes {
				if a.Graph != nil {
					look(a.Graph.Nodes)
				}
			}
		}
	}
	look(m.Graph.Nodes)
	for _, f := range m.Functions {
		look(f.Nodes)
	}
	return random
}

// sameValue compares to the last bit.
func sameValue(a, b onnx.Value) bool {
	switch x := a.(type) {
	case *onnx.Tensor:
		y, ok := b.(*onnx.Tensor)
		if ok && x.Len() == 0 && y.Len() == 0 { // of a loop without iterations, shapes may be known or not
			return x.DataType() == y.DataType()
		}
		return ok && x.DataType() == y.DataType() && slices.Equal(x.Shape(), y.Shape()) && string(x.Bytes()) == string(y.Bytes()) && slices.Equal(x.Strings(), y.Strings())
	case *onnx.Sequence:
		y, ok := b.(*onnx.Sequence)
		return ok && slices.EqualFunc(x.Items, y.Items, sameValue)
	case *onnx.Optional:
		y, ok := b.(*onnx.Optional)
		return ok && (x.Value == nil) == (y.Value == nil) && (x.Value == nil || sameValue(x.Value, y.Value))
	case *onnx.Map:
		y, ok := b.(*onnx.Map)
		return ok && sameValue(x.Keys, y.Keys) && sameValue(x.Values, y.Values)
	}
	return a == nil && b == nil
}

// TestMutatedGoldens runs valid cases after they have been spoiled, in values,
// shapes, attributes and connections: errors that match a sentinel, or results,
// never a fault, in bounded time; the same result, to the last bit, when the
// inputs are constants that are computed with at load. -mutations N tries more of them.
func TestMutatedGoldens(t *testing.T) {
	only, fixed, _ := strings.Cut(*mutateOnly, "#")
	limits := onnx.Limits{RunBytes: 32 << 20, LoopIterations: 2000, TimeSteps: 2000}
	ran, failed := 0, 0
	for _, g := range readGoldens(t) {
		if !strings.Contains(g.name, only) {
			continue
		}
		for i := range *mutations {
			seed := uint64(i)
			if fixed != "" {
				seed, _ = strconv.ParseUint(fixed, 10, 64)
			}
			var results [2]onnx.Values
			for k := range results {
				m, in, err := g.mutate(seed, k > 0)
				if err != nil {
					break // the few that cannot be decoded
				}
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				stuck := time.AfterFunc(patience*10*time.Second, func() { panic(fmt.Sprintf("%s#%d does not end", g.name, seed)) })
				s, err := rt.LoadModel(m, rt.WithLimits(limits))
				if err == nil {
					results[k], err = s.Run(ctx, in)
				}
				cancel()
				stuck.Stop()
				if d := time.Since(start); d > patience*10*time.Second {
					t.Errorf("%s#%d: it took %v", g.name, seed, d)
				}
				switch {
				case err == nil && isRandom(m):
					results[k] = nil
				case err == nil:
					ran++
				case !isSentinel(err):
					t.Errorf("%s#%d: the error matches no sentinel: %.3000v", g.name, seed, err)
				default:
					failed++
				}
			}
			if results[0] == nil || results[1] == nil {
				continue
			}
			for name, v := range results[0] {
				if !sameValue(v, results[1][name]) {
					t.Errorf("%s#%d: output %q is other when the inputs are constants", g.name, seed, name)
				}
			}
		}
	}
	t.Logf("%d mutated models ran to the end, %d ended in an error", ran, failed)
}

func isSentinel(err error) bool {
	if errors.Is(err, rt.ErrInternal) || strings.Contains(err.Error(), "internal error") {
		return false
	}
	for _, kind := range []error{onnx.ErrMalformed, onnx.ErrUnsupported, onnx.ErrShape, onnx.ErrType, onnx.ErrLimit, context.DeadlineExceeded} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
