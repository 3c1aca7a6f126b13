// Package bench holds the models that are compared with other engines, and
// their inputs: generated ones, and those of a corpus.
package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/recur-ml/recur/onnx"
)

// Row is a model and its inputs: a row of the table.
type Row struct {
	Name    string
	What    string  // the model, where the name does not tell
	Group   string  // the part of the table
	FLOP    float64 // floating-point operations of a run, 0: not counted
	Small   bool    // quick enough for a smoke test
	Threads bool    // worth measuring on several threads
	Callers bool    // worth measuring with several callers

	// Half is for recur with its option WithHalfWeights. Its results are then
	// those of other weights, and differ by up to Tolerance, times 1+|b|.
	Half      bool
	Tolerance float64 // 0: the usual one

	model  func() ([]byte, error)
	inputs func(*onnx.Model) onnx.Values
}

// Model gives the encoded model. It matches fs.ErrNotExist when there is no
// corpus, or no such model in it.
func (r *Row) Model() ([]byte, error) { return r.model() }

// Inputs gives the inputs of the decoded model.
func (r *Row) Inputs(m *onnx.Model) onnx.Values { return r.inputs(m) }

// The groups of rows.
const (
	Operators = "operators"
	Forms     = "forms" // less common forms of the recurrent operators
	Models    = "models"
	Growth    = "growth"
	Images    = "images" // convolutions
)

var shapes = [][4]int{{28, 150, 28, 150}, {100, 32, 128, 256}, {50, 64, 512, 512}, {1, 1, 128, 128}, {100, 1, 128, 256}, {200, 1, 512, 1024}}

// Rows lists all rows. corpus is the folder of the corpus, "" for none.
func Rows(corpus string) []*Row {
	var rows []*Row
	for _, both := range []bool{false, true} {
		group := Operators
		if both {
			group = Forms
		}
		for _, op := range []string{"LSTM", "GRU", "RNN"} {
			for _, s := range shapes {
				rows = append(rows, recurrentRow(group, recurrent{op: op, t: s[0], b: s[1], i: s[2], h: s[3], both: both}))
			}
		}
	}
	for _, s := range [][4]int{{28, 150, 28, 150}, {100, 32, 128, 256}, {100, 1, 128, 256}} {
		lstm, gru := recurrent{op: "LSTM", t: s[0], b: s[1], i: s[2], h: s[3]}, recurrent{op: "GRU", t: s[0], b: s[1], i: s[2], h: s[3]}
		gru.reset = true
		peep, clip := lstm, lstm
		peep.peepholes, clip.clip = true, 1
		rows = append(rows, recurrentRow(Forms, gru), recurrentRow(Forms, peep), recurrentRow(Forms, clip))
	}
	for _, op := range []string{"LSTM", "GRU"} {
		rows = append(rows, recurrentRow(Forms, recurrent{op: op, t: 100, b: 32, i: 128, h: 256, lengths: true}))
	}
	for _, op := range []string{"LSTM", "GRU", "RNN"} {
		rows = append(rows, halfRow(recurrent{op: op, t: 200, b: 1, i: 512, h: 1024}))
	}
	for _, n := range []int{512, 1024} {
		row := generated(Operators, fmt.Sprintf("matmul/%d", n), 2*float64(n)*float64(n)*float64(n), func() *onnx.Model { return matMul(n) })
		row.Threads = true
		rows = append(rows, row)
	}
	for _, f := range []struct{ op, name string }{{"Sigmoid", "sigmoid"}, {"Tanh", "tanh"}, {"Exp", "exp"}} {
		rows = append(rows, generated(Operators, f.name+"/1Mi", 0, func() *onnx.Model { return elementwise(f.op, 1<<20) }))
	}
	rows = append(rows, corpusRows(corpus)...)
	return append(append(rows, growthRows()...), imageRows()...)
}

// imageRows are convolutions of images, of the kinds that nets for images are
// made of.
func imageRows() []*Row {
	var rows []*Row
	for _, c := range []convolution{
		{channels: 64, outputs: 64, size: 56, kernel: 3, group: 64},
		{channels: 64, outputs: 64, size: 56, kernel: 3, group: 64, stride: 2},
		{channels: 64, outputs: 64, size: 28, kernel: 5, group: 64},
		{channels: 16, outputs: 64, size: 28, kernel: 3},
		{channels: 16, outputs: 64, size: 56, kernel: 3},
		{channels: 64, outputs: 64, size: 56, kernel: 3},
		{channels: 64, outputs: 64, size: 56, kernel: 3, stride: 2},
		{channels: 64, outputs: 64, size: 28, kernel: 3, group: 8},
		{channels: 64, outputs: 128, size: 28, kernel: 1},
		{channels: 32, outputs: 32, size: 28, kernel: 2, stride: 2, transpose: true},
	} {
		rows = append(rows, generated(Images, c.String(), c.flop(), c.model))
	}
	return rows
}

// growthRows vary one size at a time.
func growthRows() []*Row {
	var rows []*Row
	add := func(what string, n int, r recurrent) {
		row := recurrentRow(Growth, r)
		row.Name = fmt.Sprintf("growth/%s/%s=%d", map[string]string{"LSTM": "lstm", "GRU": "gru"}[r.op], what, n)
		row.What = r.String()
		rows = append(rows, row)
	}
	for _, op := range []string{"LSTM", "GRU"} {
		for b := 1; b <= 128; b *= 2 {
			add("B", b, recurrent{op: op, t: 50, b: b, i: 128, h: 256})
		}
		for _, t := range []int{1, 10, 100, 1000} {
			add("T", t, recurrent{op: op, t: t, b: 1, i: 128, h: 256})
		}
		for _, h := range []int{16, 32, 64, 100, 128, 256, 512, 1024} {
			add("H", h, recurrent{op: op, t: 20, b: 8, i: 64, h: h})
		}
	}
	return rows
}

func recurrentRow(group string, r recurrent) *Row {
	row := generated(group, r.String(), r.flop(), r.model)
	row.inputs = r.inputs
	row.Small = group == Operators && r.t == 1
	row.Threads = group == Operators && r.t > 1
	row.Callers = group == Operators && r.op != "RNN" && r.b == 1 && r.t == 100
	return row
}

// halfTolerance is for states of rows of recurrentRow, whose weights are less
// than 1/sqrt(H) and rounded to 11 bits.
const halfTolerance = 1e-3

func halfRow(r recurrent) *Row {
	row := recurrentRow(Forms, r)
	row.Name += "_half"
	row.Half, row.Tolerance = true, halfTolerance
	return row
}

func generated(group, name string, flop float64, model func() *onnx.Model) *Row {
	return &Row{Name: name, Group: group, FLOP: flop,
		model:  func() ([]byte, error) { return onnx.Encode(model()) },
		inputs: func(m *onnx.Model) onnx.Values { return randomInputs(m.Graph, nil) }}
}

// corpusRows are models of others, which the corpus holds.
func corpusRows(corpus string) []*Row {
	shape := func(name string, dims ...int) func(map[string][]int) {
		return func(m map[string][]int) { m[name] = dims }
	}
	row := func(name, file string, set ...func(map[string][]int)) *Row {
		shapes := map[string][]int{}
		for _, f := range set {
			f(shapes)
		}
		return &Row{Name: name, Group: Models, Threads: name == "demo/B100", Callers: name == "demo/B1" || name == "silero-vad/v5",
			model: func() ([]byte, error) {
				if corpus == "" {
					return nil, fmt.Errorf("RECUR_CORPUS names no corpus: %w", fs.ErrNotExist)
				}
				return os.ReadFile(filepath.Join(corpus, "corpus", filepath.FromSlash(file)))
			},
			inputs: func(m *onnx.Model) onnx.Values {
				v := randomInputs(m.Graph, shapes)
				if _, ok := v["sr"]; ok {
					v["sr"] = onnx.Scalar(int64(16000))
				}
				return v
			}}
	}
	return []*Row{
		row("silero-vad/v4", "zoo/silero-vad/v4.0/model.onnx", shape("input", 1, 512)),
		row("silero-vad/v5", "zoo/silero-vad/v5.0/model.onnx", shape("input", 1, 512)),
		row("silero-vad/v6", "zoo/silero-vad/v6.2_silero_vad_16k_op15/model.onnx", shape("input", 1, 576)),
		row("gtcrn", "zoo/gtcrn/stream__onnx_models__gtcrn/model.onnx"),
		row("keras/gru-loop", "keras/k3_gru_default/tf2onnx.onnx", shape("keras_tensor", 32, 100, 4)),
		row("keras/masked-tagger", "keras/k3_bilstm_tagger/tf2onnx.onnx", shape("keras_tensor", 8, 24)),
		row("demo/B1", "demo/mnist_rows_lstm.onnx", shape("rows", 1, 28, 28)),
		row("demo/B100", "demo/mnist_rows_lstm.onnx", shape("rows", 100, 28, 28)),
	}
}

// Missing reports whether a row's model is not there.
func Missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
