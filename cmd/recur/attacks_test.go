package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/recur-ml/recur/onnx"
)

// The tests of this file are attacks on the command: by names in a model that
// would steer a terminal or a browser, by inputs in text, by claims.

// evil is a name that clears a terminal, changes its title, ends a line and
// speaks HTML; it has no valid UTF-8 either.
const evil = "\x1b[2J\x1b]0;owned\x07\r\nrecur: all is well\u009b31m\u202e<script>alert(1)</script>\"'&\xff"

// evilModel has that name wherever a model can have one.
func evilModel(t *testing.T, spoil func(*onnx.Model)) string {
	t.Helper()
	name := func(s string) string { return evil + s }
	value := func(s string) onnx.ValueInfo {
		return onnx.ValueInfo{Name: name(s), Type: onnx.TensorType(onnx.Float, onnx.Shape{{Value: -1, Name: name("n")}, onnx.Fixed(2)}), Doc: evil}
	}
	node := func(op, in, out string) *onnx.Node {
		return &onnx.Node{Name: name(op), OpType: op, Inputs: []string{name(in)}, Outputs: []string{name(out)}, Doc: evil, Metadata: []onnx.Property{{Key: evil, Value: evil}}}
	}
	weights := func(shape ...int) *onnx.Tensor {
		x, err := onnx.NewZeros(onnx.Float, shape)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	rnn := node("RNN", "r", "h")
	rnn.Inputs = append(rnn.Inputs, name("W"), name("R"))
	rnn.Attributes = []*onnx.Attribute{{Name: "hidden_size", Type: onnx.AttrInt, Int: 2}}
	three := node("Reshape", "x", "r")
	three.Inputs = append(three.Inputs, name("s"))
	m := &onnx.Model{IRVersion: 8, ProducerName: evil, ProducerVersion: evil, Domain: evil, Doc: evil, OpsetImports: []onnx.OpsetImport{{Version: 17}}, Metadata: []onnx.Property{{Key: evil, Value: evil}},
		Graph: &onnx.Graph{Name: evil, Doc: evil, Inputs: []onnx.ValueInfo{value("x")}, Outputs: []onnx.ValueInfo{value("y"), {Name: name("h")}}, Nodes: []*onnx.Node{node("Relu", "x", "y"), three, rnn},
			Initializers: []*onnx.Initializer{{Name: name("W"), Tensor: weights(1, 2, 2)}, {Name: name("R"), Tensor: weights(1, 2, 2)}, {Name: name("s"), Tensor: onnx.MustTensor([]int{3}, []int64{1, -1, 2})}}}}
	if spoil != nil {
		spoil(m)
	}
	data, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "evil.onnx")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// steers tells what in a text would steer a terminal, "" when nothing does.
func steers(text string) string {
	if !utf8.ValidString(text) {
		return "bytes that are no UTF-8"
	}
	for _, r := range text {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return fmt.Sprintf("the character %U", r)
		}
	}
	if strings.Contains(text, "\nrecur: all is well") {
		return "a line of its own"
	}
	return ""
}

func TestAttackNames(t *testing.T) {
	good := evilModel(t, nil)
	broken := evilModel(t, func(m *onnx.Model) { m.Graph.Nodes[0].Inputs[0] = evil + "?" })
	unknown := evilModel(t, func(m *onnx.Model) { m.Graph.Nodes[0].OpType = evil })
	domain := evilModel(t, func(m *onnx.Model) { m.Graph.Nodes[0].Domain = evil })
	imported := evilModel(t, func(m *onnx.Model) {
		m.OpsetImports = append(m.OpsetImports, onnx.OpsetImport{Domain: evil, Version: 1})
		m.Graph.Nodes[0].Domain = evil
	})
	attribute := evilModel(t, func(m *onnx.Model) {
		m.Graph.Nodes[0].Attributes = []*onnx.Attribute{{Name: evil, Type: onnx.AttrString, String: evil}}
	})
	cycle := evilModel(t, func(m *onnx.Model) { m.Graph.Nodes[0].Inputs[0] = m.Graph.Nodes[0].Outputs[0] })
	text := evilModel(t, func(m *onnx.Model) {
		m.Graph.Nodes = append(m.Graph.Nodes, &onnx.Node{OpType: "Constant", Outputs: []string{evil + "t"}, Attributes: []*onnx.Attribute{{Name: "value_strings", Type: onnx.AttrStrings, Strings: []string{evil, evil}}}})
		m.Graph.Outputs = append(m.Graph.Outputs, onnx.ValueInfo{Name: evil + "t"})
	})
	external := evilModel(t, func(m *onnx.Model) {
		m.Graph.Initializers[0].Name = evil
		m.Graph.Inputs[0].Type.Elem = 99
	})
	svg := filepath.Join(t.TempDir(), "m.svg")
	for _, model := range []string{good, broken, unknown, domain, imported, attribute, cycle, text, external} {
		for _, args := range [][]string{
			{"inspect"}, {"inspect", "--shapes"}, {"inspect", "--tree"}, {"inspect", "--tree", "--rewritten"}, {"inspect", "--json"}, {"inspect", "--shape", "q=1"},
			{"check"}, {"check", "--json"}, {"run", "--random", "1"}, {"run", "--random", "1", "--full"}, {"run", "--random", "1", "--json"}, {"run"}, {"run", "-i", "z=1"}, {"run", "--random", "1", "--output", "q"},
			{"run", "--random", "1", "-o", filepath.Join(t.TempDir(), "x.npy")}, {"run", "--stream", "--random", "1"}, {"run", "--stream", "--state", "a=b", "--random", "1"},
			{"convert", "-o", filepath.Join(t.TempDir(), "out.onnx"), "--opset", "19"}, {"convert", "-o", filepath.Join(t.TempDir(), "out.onnx"), "--passes", "all"}, {"convert", "-o", filepath.Join(t.TempDir(), "out.onnx"), "--json"},
			{"verify"}, {"inspect", "--svg", svg}, {"inspect", "--rewritten", "--svg", svg},
		} {
			args := append([]string{args[0], model}, args[1:]...)
			code, out, err := command(t, "", args...)
			if s := steers(out); s != "" {
				t.Errorf("%q: stdout has %s: %.300q", args, s, out)
			}
			if s := steers(err); s != "" {
				t.Errorf("%q: stderr has %s: %.300q", args, s, err)
			}
			if strings.Contains(err, "internal error") || strings.Contains(out, "internal error") {
				t.Errorf("%q: a fault: %s%s", args, out, err)
			}
			if code == exitUsage && !strings.Contains(err, "shape") && args[0] != "verify" && !strings.Contains(err, "no such") && !strings.Contains(err, "state") && !strings.Contains(err, "holds one output") && !strings.Contains(err, "missing") {
				t.Errorf("%q was not understood: %s", args, err)
			}
		}
		if data, err := os.ReadFile(svg); err == nil {
			if s := steers(string(data)); s != "" || strings.Contains(strings.ToLower(string(data)), "<script") {
				t.Errorf("the drawing of %s has %s or a script", filepath.Base(model), s)
			}
			os.Remove(svg)
		}
	}
}

// TestAttackInputs gives inputs in text that are deep, long, or claim much.
func TestAttackInputs(t *testing.T) {
	const model = "testdata/add.onnx"
	deep := strings.Repeat("[", 200_000)
	names := map[string]string{
		"deep":               deep,
		"deep and closed":    deep + strings.Repeat("]", 200_000),
		"deep with numbers":  strings.Repeat("[1,", 100_000),
		"deep objects":       strings.Repeat(`{"a":`, 200_000),
		"many lists":         "[" + strings.Repeat("[],", 500_000) + "[]]",
		"ragged":             "[[1,2],[3]]",
		"a huge number":      "[1" + strings.Repeat("0", 1_000_000) + "]",
		"exponent":           "[1e999999999]",
		"nothing":            "",
		"a null":             "null",
		"two values":         "[1] [2]",
		"a list of nothings": "[null]",
		"bytes":              "\x00\xff\xfe",
	}
	for name, text := range names {
		for _, input := range []string{"x", "a"} {
			file := filepath.Join(t.TempDir(), "in.json")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			code, out, err := command(t, text, "run", model, "-i", input+"="+file)
			if code == exitOK {
				t.Errorf("%s: %s", name, out)
			}
			if strings.Contains(err, "internal error") || len(err) > 10_000 {
				t.Errorf("%s: %.1000s", name, err)
			}
			if d := time.Since(start); d > 60*time.Second {
				t.Errorf("%s: it took %v", name, d)
			}
		}
	}
	for _, args := range [][]string{
		{"run", model, "--random", "1", "--shape", "x=99999999999,99999999999"},
		{"run", model, "--random", "1", "--shape", "x=9223372036854775807"},
		{"run", model, "--random", "1", "--shape", "x=-1"},
		{"run", model, "--random", "1", "--shape", "x=" + strings.Repeat("1,", 100_000) + "1"},
		{"inspect", model, "--shape", "x=9223372036854775807,9223372036854775807"},
	} {
		code, _, err := command(t, "", args...)
		if code == exitOK && args[0] == "run" || strings.Contains(err, "internal error") {
			t.Errorf("%.100q: exit code %d, %.300s", args, code, err)
		}
	}
}

// TestAttackFiles runs the commands on files that are no models, or that only
// claim to be large.
func TestAttackFiles(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string]string{"empty.onnx": "", "text.onnx": "hello", "zeros.onnx": strings.Repeat("\x00", 1000), "bomb.npz": "PK\x05\x06" + strings.Repeat("\xff", 18),
		"sparse.onnx": "\x08\x08\x3a\x20\x7a\x1e\x0a\x08\x08\x00\x10\x01\x42\x01sA\x12\x04\x08\x00\x10\x07\x18\x80\x80\x80\x80\x80\x80\x80\x80\x40"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, cmd := range []string{"inspect", "check", "run", "verify"} {
			code, out, err := command(t, "", cmd, path)
			if code == exitOK || strings.Contains(err+out, "internal error") {
				t.Errorf("%s %s: exit code %d, %s%s", cmd, name, code, out, err)
			}
		}
		if code, _, err := command(t, "", "run", "testdata/add.onnx", "-i", path); code == exitOK || strings.Contains(err, "internal error") {
			t.Errorf("inputs from %s: exit code %d, %s", name, code, err)
		}
	}
}
