package onnx

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The tests of this file are attacks on what reads files, a class of attack
// each; external_test.go has those on external data, npz_test.go those on the
// structure of archives. Each ends in an error or a result, in little time and
// memory.

// bounded runs f, which may take so many seconds and allocate so many bytes,
// garbage included.
func bounded(t *testing.T, seconds float64, most uint64, f func()) {
	t.Helper()
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	start := time.Now()
	f()
	d := time.Since(start)
	goruntime.ReadMemStats(&after)
	if d.Seconds() > 30*seconds { // machines differ, and may be busy
		t.Errorf("it took %v, want about %v s at most", d, seconds)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > most {
		t.Errorf("it allocated %d bytes, want at most %d", n, most)
	}
}

// TestAttackDimensions has shapes that do not fit the elements, in every type
// and in raw and typed fields: by one element, by overflow, by sign.
func TestAttackDimensions(t *testing.T) {
	for dtype := Float; dtype.Valid(); dtype++ {
		for _, dims := range [][]int64{{1_000_000}, {1 << 31}, {1 << 62}, {math.MaxInt64}, {-1}, {math.MinInt64}, {1 << 32, 1 << 32}, {1 << 33, 1 << 31},
			{0x5555555555555556, 3}, {math.MaxInt64, math.MaxInt64, 2}, {1 << 40, 0, 1 << 40}, {3, 0x8000000000000000 >> 1, 4}} {
			var head []byte
			for _, d := range dims {
				head = append(head, msg(1, d)...)
			}
			head = append(head, msg(2, int(dtype))...)
			for field, body := range map[int][]byte{0: nil, 4: msg(4, "\x00\x00\x80\x3f"), 5: msg(5, 1), 6: msg(6, "s"), 7: msg(7, 1), 9: msg(9, "\x01\x00\x00\x00"), 10: msg(10, "\x00\x00\x00\x00\x00\x00\x00\x00"), 11: msg(11, 1)} {
				bounded(t, 0.1, 1<<20, func() {
					if _, err := DecodeTensor(append(head[:len(head):len(head)], body...)); err == nil && (field != 0 && field != 9 || dims[1%len(dims)] != 0) {
						t.Errorf("%v of %v with elements in field %d was read", dims, dtype, field)
					}
				})
			}
		}
		if dtype == String {
			continue
		}
		for n := range 5 { // raw_data one byte short, and one too long
			size := int(rawLen(dtype, n))
			for _, off := range []int{-1, 0, 1} {
				if size+off < 0 {
					continue
				}
				_, err := DecodeTensor(msg(1, n, 2, int(dtype), 9, make([]byte, size+off)))
				if (err == nil) != (off == 0) {
					t.Errorf("%v[%d] with %d bytes instead of %d: %v", dtype, n, size+off, size, err)
				}
			}
		}
	}
}

// TestAttackPackedThenSingle: elements in a packed entry and then in single
// ones must not be joined in the file's own memory, which may be mapped.
func TestAttackPackedThenSingle(t *testing.T) {
	single := func(v float32) []byte {
		return protowire.AppendFixed32(protowire.AppendTag(nil, 4, protowire.Fixed32Type), math.Float32bits(v))
	}
	packed := msg(4, "\x00\x00\x80\x3f\x00\x00\x00\x40") // 1, 2
	for _, parts := range [][][]byte{{packed, single(3), single(4)}, {packed, packed, single(3)}, {single(3), packed}, {packed, single(3), packed}} {
		data := msg(1, 0, 2, int(Float))
		want := 0
		for _, p := range parts {
			data = append(data, p...)
			want += (len(p) - 1) / 4
		}
		data[1] = byte(want)
		data = append(data, msg(8, "name", 12, "a text after the elements")...)
		before := bytes.Clone(data)
		x, err := DecodeTensor(data[:len(data):len(data)])
		if err != nil {
			t.Errorf("%q: %v", parts, err)
			continue
		}
		if !bytes.Equal(data, before) {
			t.Errorf("decoding changed the file: %q, was %q", data, before)
		}
		var wanted []float32
		for _, p := range parts {
			if len(p) > 5 {
				wanted = append(wanted, 1, 2)
			} else {
				wanted = append(wanted, math.Float32frombits(binary.LittleEndian.Uint32(p[1:])))
			}
		}
		if got := fmt.Sprint(Elements[float32](x)); got != fmt.Sprint(wanted) {
			t.Errorf("read %s, want %v", got, wanted)
		}
	}
}

// TestAttackPieces has elements in very many pieces: the time grows with the
// file, not with its square.
func TestAttackPieces(t *testing.T) {
	const n = 200_000
	for name, piece := range map[string][]byte{"floats": msg(4, "1234"), "doubles": msg(10, "12345678"), "ints": msg(5, "\x01")} {
		data := append(msg(1, n, 2, map[string]int{"floats": int(Float), "doubles": int(Double), "ints": int(Int32)}[name]), bytes.Repeat(piece, n)...)
		bounded(t, 1, 100<<20, func() {
			if x, err := DecodeTensor(data); err != nil || x.Len() != n {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	attribute := append(msg(1, "a"), bytes.Repeat(msg(7, "1234", 8, "\x01"), n)...)
	bounded(t, 1, 100<<20, func() {
		if _, err := Decode(modelOf(msg(1, msg(4, "Foo", 5, attribute))), nil); err != nil {
			t.Error(err)
		}
	})
}

// TestAttackAmplification repeats each repeated field of the format with as
// little in it as can be: what it makes of itself is bounded by the file's
// size, and the limit speaks before the memory is gone.
func TestAttackAmplification(t *testing.T) {
	const n = 500_000
	repeat := func(entry []byte) []byte { return bytes.Repeat(entry, n) }
	node := func(b []byte) []byte { return modelOf(msg(1, b)) }
	attr := func(b []byte) []byte { return node(msg(5, append(msg(1, "a"), b...))) }
	tensor := func(b []byte) []byte { return modelOf(msg(5, append(msg(2, 1), b...))) }
	typ := func(b []byte) []byte { return modelOf(msg(11, msg(1, "x", 2, b))) }
	function := func(b []byte) []byte { return msg(1, 8, 25, b) }
	sparse := msg(15, msg(1, msg(1, 0, 2, 1), 2, msg(1, 0, 2, 7), 3, 1))
	for name, data := range map[string][]byte{
		"nodes":                      modelOf(repeat(msg(1, ""))),
		"initializers":               modelOf(repeat(msg(5, msg(2, 1, 1, 0)))),
		"sparse initializers":        modelOf(repeat(sparse)),
		"inputs":                     modelOf(repeat(msg(11, ""))),
		"outputs":                    modelOf(repeat(msg(12, ""))),
		"value_infos":                modelOf(repeat(msg(13, ""))),
		"quantization":               modelOf(repeat(msg(14, ""))),
		"graph metadata":             modelOf(repeat(msg(16, ""))),
		"unknown fields":             modelOf(repeat(msg(99, ""))),
		"imports":                    repeat(msg(8, "")),
		"metadata":                   repeat(msg(14, "")),
		"training":                   repeat(msg(20, "")),
		"functions":                  repeat(msg(25, "")),
		"configuration":              repeat(msg(26, "")),
		"node inputs":                node(repeat(msg(1, ""))),
		"node outputs":               node(repeat(msg(2, ""))),
		"attributes":                 node(repeat(msg(5, ""))),
		"node metadata":              node(repeat(msg(9, ""))),
		"devices":                    node(repeat(msg(10, ""))),
		"floats":                     attr(repeat(msg(7, ""))),
		"ints":                       attr(repeat(msg(8, "\x00"))),
		"strings":                    attr(repeat(msg(9, ""))),
		"tensors":                    attr(repeat(msg(10, msg(2, 1, 1, 0)))),
		"graphs":                     attr(repeat(msg(11, ""))),
		"types":                      attr(repeat(msg(15, ""))),
		"sparse tensors":             attr(repeat(msg(23, msg(1, msg(1, 0, 2, 1), 2, msg(1, 0, 2, 7), 3, 1)))),
		"dims":                       tensor(msg(1, strings.Repeat("\x01", n))),
		"single dims":                tensor(repeat(msg(1, 1))),
		"string elements":            modelOf(msg(5, append(msg(2, 8, 1, n), repeat(msg(6, ""))...))),
		"external entries":           tensor(repeat(msg(13, msg(1, "location", 2, "x")))),
		"tensor metadata":            tensor(repeat(msg(16, ""))),
		"shape":                      typ(msg(1, msg(2, repeat(msg(1, ""))))),
		"shapes":                     typ(msg(1, repeat(msg(2, "")))),
		"tensor types":               typ(repeat(msg(1, ""))),
		"sequence types":             typ(repeat(msg(4, ""))),
		"map types":                  typ(repeat(msg(5, ""))),
		"elements of sequence types": typ(msg(4, repeat(msg(1, "")))),
		"function inputs":            function(repeat(msg(4, ""))),
		"function outputs":           function(repeat(msg(5, ""))),
		"function attributes":        function(repeat(msg(6, ""))),
		"function nodes":             function(repeat(msg(7, ""))),
		"function imports":           function(repeat(msg(9, ""))),
		"function defaults":          function(repeat(msg(11, ""))),
		"function value_infos":       function(repeat(msg(12, ""))),
		"function metadata":          function(repeat(msg(14, ""))),
	} {
		t.Run(name, func(t *testing.T) {
			// The garbage of growing lists comes on top of what is kept.
			bounded(t, 2, 6*uint64(heapBase+heapRatio*len(data)), func() {
				_, err := Decode(data, nil)
				if err != nil && !errors.Is(err, ErrLimit) && !errors.Is(err, ErrMalformed) {
					t.Errorf("%d bytes: %v", len(data), err)
				}
			})
		})
	}
}

// nested wraps a message in itself.
func nested(depth int, inner []byte, wrap func([]byte) []byte) []byte {
	for range depth {
		inner = wrap(inner)
	}
	return inner
}

// TestAttackDepth nests everything that can stand in itself, up to the limit
// and one beyond, and far beyond.
func TestAttackDepth(t *testing.T) {
	const most = 32
	typ := func(depth int) []byte { return nested(depth, nil, func(b []byte) []byte { return msg(4, msg(1, b)) }) }
	graph := func(field, depth int) []byte {
		return nested(depth, nil, func(b []byte) []byte { return msg(1, msg(5, msg(1, "g", field, b))) })
	}
	model := func(b []byte) error {
		_, err := Decode(b, nil)
		return err
	}
	sequence := func(b []byte) error { _, err := DecodeSequence(b); return err }
	optional := func(b []byte) error { _, err := DecodeOptional(b); return err }
	for _, c := range []struct {
		name   string
		build  func(depth int) []byte
		decode func([]byte) error
		most   int
	}{
		{"graph", func(d int) []byte { return modelOf(graph(6, d)) }, model, most},
		{"graphs", func(d int) []byte { return modelOf(graph(11, d)) }, model, most},
		{"function", func(d int) []byte { return msg(1, 8, 25, msg(7, msg(5, msg(1, "g", 6, graph(6, d-1))))) }, model, most},
		{"default", func(d int) []byte { return msg(1, 8, 25, msg(11, msg(1, "g", 6, graph(6, d-1)))) }, model, most},
		{"type", func(d int) []byte { return modelOf(msg(11, msg(1, "x", 2, typ(d)))) }, model, most},
		{"attribute type", func(d int) []byte { return modelOf(msg(1, msg(5, msg(1, "t", 14, typ(d))))) }, model, most},
		{"sequence", func(d int) []byte { return nested(d, nil, func(b []byte) []byte { return msg(5, b) }) }, sequence, most},
		{"optional", func(d int) []byte { return nested(d, nil, func(b []byte) []byte { return msg(7, b) }) }, optional, most},
		{"map", func(d int) []byte { return nested(d, nil, func(b []byte) []byte { return msg(6, msg(2, 7, 5, b)) }) }, sequence, 0},
		{"unknown group", func(d int) []byte {
			open := protowire.AppendTag(nil, 99, protowire.StartGroupType)
			end := protowire.AppendTag(nil, 99, protowire.EndGroupType)
			return append(bytes.Repeat(open, d), bytes.Repeat(end, d)...)
		}, model, most},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.most > 0 {
				if err := c.decode(c.build(c.most)); errors.Is(err, ErrLimit) {
					t.Errorf("at the limit: %v", err)
				}
				if err := c.decode(c.build(c.most + 1)); c.name != "unknown group" && !errors.Is(err, ErrLimit) {
					t.Errorf("above the limit: %v", err)
				}
			}
			depth := 3000 // each level copies the ones within
			if c.name == "unknown group" {
				depth = 1_000_000
			}
			data := c.build(depth)
			bounded(t, 1, 64<<20, func() {
				if err := c.decode(data); !errors.Is(err, ErrLimit) && !errors.Is(err, ErrMalformed) {
					t.Errorf("far above the limit: %v", err)
				}
			})
		})
	}
}

// TestAttackFunctionCalls has functions that call themselves, also through the
// graphs in their nodes and through others, and calls that multiply.
func TestAttackFunctionCalls(t *testing.T) {
	function := func(name string, nodes ...*Node) *Function {
		return &Function{Domain: "my", Name: name, Inputs: []string{"a"}, Outputs: []string{"b"}, OpsetImports: []OpsetImport{{"", 17}, {"my", 1}}, Nodes: nodes}
	}
	call := func(name, in, out string) *Node {
		n := opNode(name, in, out)
		n.Domain = "my"
		return n
	}
	within := func(n *Node) *Node {
		return ifNode("b", testBranch("r", n), testBranch("s", opNode("Identity", "a", "s")))
	}
	model := func(functions ...*Function) *Model {
		m := testModel(call(functions[0].Name, "x", "y"))
		m.OpsetImports = append(m.OpsetImports, OpsetImport{"my", 1})
		m.Functions = functions
		return m
	}
	inIf := within(call("F", "a", "r"))
	inIf.Inputs[0] = "a"
	deep := within(call("F", "a", "r"))
	deep.Inputs[0] = "a"
	deepest := ifNode("b", testBranch("q", ifNode("q", testBranch("r", call("F", "a", "r")), testBranch("s", opNode("Identity", "a", "s")))), testBranch("u", opNode("Identity", "a", "u")))
	deepest.Inputs[0] = "a"
	deepest.Attributes[0].Graph.Nodes[0].Inputs[0] = "a"
	for name, m := range map[string]*Model{
		"itself":              model(function("F", call("F", "a", "b"))),
		"each other":          model(function("F", call("G", "a", "b")), function("G", call("F", "a", "b"))),
		"in a branch":         model(function("F", inIf)),
		"deep in branches":    model(function("F", deepest)),
		"other, in a branch":  model(function("F", call("G", "a", "b")), function("G", deep)),
		"a cycle of nobody's": model(function("E", opNode("Relu", "a", "b")), function("F", call("F", "a", "b"))),
	} {
		if err := Check(m); !errors.Is(err, ErrMalformed) || !strings.Contains(fmt.Sprint(err), "call themselves") {
			t.Errorf("%s: %v", name, err)
		}
	}
	var doubling []*Function // 2^31 nodes if written out
	for i := range 31 {
		doubling = append(doubling, function(fmt.Sprint("F", i), call(fmt.Sprint("F", i+1), "a", "c"), call(fmt.Sprint("F", i+1), "c", "b")))
	}
	doubling = append(doubling, function("F31", opNode("Relu", "a", "b")))
	bounded(t, 0.1, 32<<20, func() {
		if err := Check(model(doubling...)); err != nil {
			t.Errorf("doubling: %v", err) // what is too much is the rewriting's to say
		}
	})
}

// TestAttackNames has names that are long, taken, or empty.
func TestAttackNames(t *testing.T) {
	long := strings.Repeat("n", 1<<20)
	for _, c := range []struct {
		name  string
		build func(string) []byte
	}{
		{"node", func(s string) []byte { return modelOf(msg(1, msg(3, s))) }},
		{"operator", func(s string) []byte { return modelOf(msg(1, msg(4, s))) }},
		{"domain", func(s string) []byte { return modelOf(msg(1, msg(7, s))) }},
		{"input", func(s string) []byte { return modelOf(msg(1, msg(1, s))) }},
		{"output", func(s string) []byte { return modelOf(msg(1, msg(2, s))) }},
		{"attribute", func(s string) []byte { return modelOf(msg(1, msg(5, msg(1, s)))) }},
		{"string", func(s string) []byte { return modelOf(msg(1, msg(5, msg(1, "a", 4, s)))) }},
		{"reference", func(s string) []byte { return modelOf(msg(1, msg(5, msg(1, "a", 21, s)))) }},
		{"graph", func(s string) []byte { return modelOf(msg(2, s)) }},
		{"graph input", func(s string) []byte { return modelOf(msg(11, msg(1, s))) }},
		{"dimension", func(s string) []byte { return modelOf(msg(11, msg(1, "x", 2, msg(1, msg(2, msg(1, msg(2, s))))))) }},
		{"initializer", func(s string) []byte { return modelOf(msg(5, msg(2, 1, 1, 0, 8, s))) }},
		{"location", func(s string) []byte { return modelOf(msg(5, msg(2, 1, 1, 0, 14, 1, 13, msg(1, "location", 2, s)))) }},
		{"element", func(s string) []byte { return modelOf(msg(5, msg(2, 8, 6, s))) }},
		{"function", func(s string) []byte { return msg(1, 8, 25, msg(1, s)) }},
		{"import", func(s string) []byte { return msg(1, 8, 8, msg(1, s)) }},
	} {
		if _, err := Decode(c.build(long), nil); err != nil {
			t.Errorf("%s of 1 MiB: %.100v", c.name, err)
		}
		if _, err := Decode(c.build(long+"n"), nil); !errors.Is(err, ErrLimit) {
			t.Errorf("%s of 1 MiB and a byte: %v", c.name, err)
		}
	}
	two := testModel(opNode("Relu", "x", "y"), opNode("Tanh", "x", "y"))
	if err := Check(two); !errors.Is(err, ErrMalformed) {
		t.Errorf("two outputs of one name: %v", err)
	}
	same := testModel(opNode("Split", "x", "y y", intAttr("axis", 0)))
	if err := Check(same); !errors.Is(err, ErrMalformed) {
		t.Errorf("two outputs of one node of one name: %v", err)
	}
	for name, spoil := range map[string]func(g *Graph){
		"graph input":        func(g *Graph) { g.Inputs[0].Name = "" },
		"graph output":       func(g *Graph) { g.Outputs[0].Name = "" },
		"initializer":        func(g *Graph) { g.Initializers[0].Name = "" },
		"input twice":        func(g *Graph) { g.Inputs = append(g.Inputs, g.Inputs[0]) },
		"initializer twice":  func(g *Graph) { g.Initializers = append(g.Initializers, g.Initializers[0]) },
		"output of an input": func(g *Graph) { g.Nodes[0].Outputs[0] = "x"; g.Outputs[0].Name = "x" },
		"output of a weight": func(g *Graph) { g.Nodes[0].Outputs[0] = "w"; g.Outputs[0].Name = "w" },
		"operator":           func(g *Graph) { g.Nodes[0].OpType = "" },
		"missing input":      func(g *Graph) { g.Nodes[0].Inputs[0] = "" },
	} {
		m := testModel(opNode("Relu", "x", "y"))
		spoil(m.Graph)
		if err := Check(m); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAttackMessages: an error does not repeat long names in full.
func TestAttackMessages(t *testing.T) {
	long := strings.Repeat("\x00", 1<<20) // four times as long when quoted
	inner := testBranch("out", func() (list []*Node) {
		for i := range 30 {
			list = append(list, &Node{Name: long, OpType: "Relu", Inputs: []string{fmt.Sprint(long, i)}, Outputs: []string{fmt.Sprint(i)}})
		}
		return list
	}()...)
	for range 30 {
		n := ifNode("out", inner, testBranch("e", opNode("Relu", "x", "e")))
		n.Name = long
		inner = testBranch("out", n)
	}
	m := withCondition(testModel(inner.Nodes...))
	m.Graph.Outputs[0].Name = "out"
	bounded(t, 1, 64<<20, func() {
		err := Check(m)
		if !errors.Is(err, ErrMalformed) {
			t.Fatalf("%.200v", err)
		}
		if n := len(err.Error()); n > 1<<20 {
			t.Errorf("a message of %d bytes", n)
		}
	})
}

// TestAttackCheckTime has models of a few megabytes in which something is
// looked up or walked over many times.
func TestAttackCheckTime(t *testing.T) {
	const n = 50_000
	many := func(prefix string) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprint(prefix, i)
		}
		return out
	}
	t.Run("attributes of functions", func(t *testing.T) {
		data := msg(1, "f", 10, "my")
		for _, name := range many("a") {
			data = append(data, msg(6, name)...)
		}
		m, err := Decode(append(modelOf(nil), msg(25, data)...), nil)
		if err == nil {
			err = Check(m)
		}
		if !errors.Is(err, ErrLimit) {
			t.Errorf("%d attributes: %v", n, err)
		}
	})
	t.Run("names", func(t *testing.T) {
		var nodes []*Node
		for i := range n {
			nodes = append(nodes, opNode("Relu", fmt.Sprint("v", i), fmt.Sprint("v", i+1)))
		}
		m := testModel(append(nodes, opNode("Relu", "x", "v0"), opNode("Relu", fmt.Sprint("v", n), "y"))...)
		bounded(t, 2, 256<<20, func() { wantError(t, Check(m), nil, "") })
	})
	t.Run("captures", func(t *testing.T) {
		// A body in a body and so on; all that is within is walked over for
		// each level, once.
		var nodes []*Node
		for i := range 1000 {
			nodes = append(nodes, opNode("Relu", "x", fmt.Sprint("v", i)))
		}
		g := testBranch("v0", nodes...)
		for i := range 31 {
			g = testBranch(fmt.Sprint("o", i), ifNode(fmt.Sprint("o", i), g, testBranch(fmt.Sprint("e", i), opNode("Relu", "x", fmt.Sprint("e", i)))))
		}
		m := withCondition(testModel(g.Nodes...))
		m.Graph.Outputs[0].Name = "o30"
		bounded(t, 2, 512<<20, func() { wantError(t, Check(m), nil, "") })
	})
	t.Run("wide captures", func(t *testing.T) {
		// Each of many bodies reads every value of a large graph.
		var nodes []*Node
		for i := range 300 {
			var in []string
			for k := range 300 {
				in = append(in, fmt.Sprint("v", k))
			}
			sum := &Node{OpType: "Sum", Inputs: in, Outputs: []string{fmt.Sprint("s", i)}}
			nodes = append(nodes, opNode("Relu", "x", fmt.Sprint("v", i)),
				ifNode(fmt.Sprint("o", i), testBranch(fmt.Sprint("s", i), sum), testBranch(fmt.Sprint("e", i), opNode("Relu", "x", fmt.Sprint("e", i)))))
		}
		m := withCondition(testModel(append(nodes, opNode("Relu", "o0", "y"))...))
		bounded(t, 2, 256<<20, func() { wantError(t, Check(m), nil, "") })
	})
}

// TestAttackSparse has sparse tensors whose indices are wrong in every way, as
// initializers and as attributes, and dense forms that are large.
func TestAttackSparse(t *testing.T) {
	ints := func(v ...int64) *Tensor { return MustTensor([]int{len(v)}, v) }
	pairs := func(v ...int64) *Tensor { return MustTensor([]int{len(v) / 2, 2}, v) }
	two := MustTensor([]int{2}, []float32{1, 2})
	for name, s := range map[string]*SparseTensor{
		"beyond":            {two, ints(0, 6), []int{2, 3}},
		"far beyond":        {two, ints(0, math.MaxInt64), []int{2, 3}},
		"negative":          {two, ints(-1, 0), []int{2, 3}},
		"least":             {two, ints(math.MinInt64, 0), []int{2, 3}},
		"descending":        {two, ints(1, 0), []int{2, 3}},
		"twice":             {two, ints(1, 1), []int{2, 3}},
		"row beyond":        {two, pairs(0, 0, 2, 0), []int{2, 3}},
		"column beyond":     {two, pairs(0, 0, 0, 3), []int{2, 3}},
		"columns overflow":  {two, pairs(0, 0, 0, math.MaxInt64), []int{2, 3}},
		"rows descending":   {two, pairs(1, 0, 0, 2), []int{2, 3}},
		"rows twice":        {two, pairs(1, 0, 1, 0), []int{2, 3}},
		"none":              {two, ints(), []int{2, 3}},
		"more":              {two, ints(0, 1, 2), []int{2, 3}},
		"rank":              {two, pairs(0, 0, 1, 1), []int{2, 3, 1}},
		"empty":             {two, ints(0, 1), []int{2, 0}},
		"overflow":          {two, ints(0, 1), []int{1 << 30, 1 << 30, 1 << 30, 1 << 30}},
		"negative size":     {two, ints(0, 1), []int{-2, 3}},
		"type of indices":   {two, MustTensor([]int{2}, []int32{0, 1}), []int{2, 3}},
		"values of rank 2":  {MustTensor([]int{1, 2}, []float32{1, 2}), ints(0, 1), []int{2, 3}},
		"indices of rank 3": {two, MustTensor([]int{2, 1, 2}, []int64{0, 0, 0, 1}), []int{2, 3}},
	} {
		for where, m := range map[string]*Model{
			"initializer": {IRVersion: 8, OpsetImports: []OpsetImport{{"", 17}}, Graph: &Graph{SparseInitializers: []*SparseInitializer{{Name: "s", Tensor: s}}}},
			"attribute":   testModel(opNode("Constant", "", "y", &Attribute{Name: "sparse_value", Type: AttrSparseTensor, SparseTensor: s})),
			"attributes":  testModel(&Node{OpType: "Foo", Domain: "my", Outputs: []string{"y"}, Attributes: []*Attribute{{Name: "s", Type: AttrSparseTensors, SparseTensors: []*SparseTensor{s}}}}),
		} {
			m.OpsetImports = append(m.OpsetImports, OpsetImport{"my", 1})
			if err := Check(m); err == nil {
				t.Errorf("%s, as %s: accepted", name, where)
			}
		}
		if _, err := s.Dense(); err == nil {
			t.Errorf("%s: made dense", name)
		}
	}
	claim := func(dims ...int) []byte {
		b := msg(1, msg(1, 0, 2, 1, 8, "s"), 2, msg(1, 0, 2, 7))
		for _, d := range dims {
			b = append(b, msg(3, d)...)
		}
		return modelOf(msg(15, b))
	}
	for _, dims := range [][]int{{math.MaxInt - 1}, {1 << 20, 1 << 20, 1 << 20, 1}, {math.MaxInt/2 + 1, 4}, {math.MaxInt}} {
		bounded(t, 0.1, 1<<20, func() {
			m, err := Decode(claim(dims...), nil)
			if err == nil { // within the limit, and more than 32 bits address
				_, err = m.Graph.SparseInitializers[0].Tensor.Dense()
			}
			if !errors.Is(err, ErrLimit) && !errors.Is(err, ErrShape) {
				t.Errorf("a sparse tensor of no values and dims %v: %v", dims, err)
			}
		})
	}
}

// TestAttackArchives has archives and arrays whose headers promise more than
// they hold.
func TestAttackArchives(t *testing.T) {
	header := func(shape string) string {
		return string(npyBytes(`{'descr': '<f4', 'fortran_order': False, 'shape': `+shape+`}`, "1234"))
	}
	for _, shape := range []string{"(1000000000,)", "(4611686018427387904, 4)", "(9223372036854775807,)", "(99999999999999999999,)", "(2147483648, 2147483648, 2)", "(-1,)", "(1000000000, 0, 1000000000, 7)"} {
		for _, deflate := range []uint16{zip.Store, zip.Deflate} {
			data := zipOf(t, deflate, "x.npy", header(shape))
			bounded(t, 0.5, 8<<20, func() {
				if _, err := readNPZBytes(data); err == nil && !strings.Contains(shape, " 0,") {
					t.Errorf("an array of shape %s in %d bytes was read", shape, len(data))
				}
			})
		}
		bounded(t, 0.5, 8<<20, func() {
			if _, err := ReadNPY(strings.NewReader(header(shape))); err == nil && !strings.Contains(shape, " 0,") {
				t.Errorf("an array of shape %s in a few bytes was read", shape)
			}
		})
	}
	// Of a stream that never ends, no more is read than the limit allows.
	if math.MaxInt > math.MaxInt32 { // 32 bits address less than the limit
		bounded(t, 0.5, 8<<20, func() {
			head := npyBytes(fmt.Sprintf(`{'descr': '<f4', 'fortran_order': False, 'shape': (%d,)}`, math.MaxInt/4), "")
			if _, err := ReadNPY(io.MultiReader(bytes.NewReader(head), zeros{})); !errors.Is(err, ErrLimit) {
				t.Errorf("an endless array: %v", err)
			}
		})
	}
	// Names never become paths: they are keys, whatever they hold.
	dir := t.TempDir()
	outside := filepath.Join(dir, "..", "escaped.npy")
	got, err := readNPZBytes(zipOf(t, zip.Store, "../escaped.npy", string(npyBytes(`{'descr': '|u1', 'fortran_order': False, 'shape': (1,)}`, "x")), "/etc/x.npy", string(npyBytes(`{'descr': '|u1', 'fortran_order': False, 'shape': (1,)}`, "y"))))
	if err != nil || got["../escaped"] == nil || got["/etc/x"] == nil {
		t.Errorf("names with paths: %v, %v", got, err)
	}
	if _, err := os.Stat(outside); err == nil {
		t.Errorf("%s was written", outside)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestAttackImports has very many domains, and functions that each see them.
func TestAttackImports(t *testing.T) {
	many := func(field, n int) []byte {
		var b []byte
		for i := range n {
			b = append(b, msg(field, msg(1, fmt.Sprint("d", i), 2, 1))...)
		}
		return b
	}
	function := func(i int) []byte { return msg(25, msg(1, fmt.Sprint("f", i), 10, "my")) }
	data := append(modelOf(nil), many(8, 4000)...)
	for i := range 4000 {
		data = append(data, function(i)...)
	}
	m, err := Decode(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	bounded(t, 0.2, 64<<20, func() { wantError(t, Check(m), nil, "") })
	if _, err := Decode(append(modelOf(nil), many(8, 4096)...), nil); !errors.Is(err, ErrLimit) {
		t.Errorf("4,097 domains: %v", err)
	}
	if _, err := Decode(append(modelOf(nil), msg(25, append(msg(1, "f"), many(9, 4097)...))...), nil); !errors.Is(err, ErrLimit) {
		t.Errorf("4,097 domains of a function: %v", err)
	}
	m.OpsetImports = append(m.OpsetImports, make([]OpsetImport, 100)...)
	if err := Check(m); !errors.Is(err, ErrLimit) {
		t.Errorf("4,101 domains of a model that was not read: %v", err)
	}
}

// TestAttackDecodeMessages: the errors of decoding do not grow with depth and
// length of the names around.
func TestAttackDecodeMessages(t *testing.T) {
	long := strings.Repeat("\x00", 1<<20)
	data := nested(31, msg(1, "x"), func(b []byte) []byte { return msg(1, msg(5, msg(1, long, 6, b))) })
	bounded(t, 1, 256<<20, func() {
		_, err := Decode(modelOf(data), nil)
		if err == nil || len(err.Error()) > 1<<16 {
			t.Errorf("an error of %d bytes", len(fmt.Sprint(err)))
		}
	})
}
