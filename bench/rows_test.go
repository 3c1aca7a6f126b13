package bench

import (
	"slices"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

func TestRows(t *testing.T) {
	seen := map[string]bool{}
	small := 0
	for _, row := range Rows("") {
		if seen[row.Name] {
			t.Errorf("two rows %q", row.Name)
		}
		seen[row.Name] = true
		if row.Small {
			small++
		}
		data, err := row.Model()
		if row.Group == Models {
			if !Missing(err) {
				t.Errorf("%s without a corpus: %v", row.Name, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 4<<20 {
			continue
		}
		m, err := onnx.Decode(data, nil)
		if err != nil {
			t.Fatalf("%s: %v", row.Name, err)
		}
		if err := onnx.Check(m); err != nil {
			t.Errorf("%s: %v", row.Name, err)
		}
		in := row.Inputs(m)
		for _, v := range m.Graph.Inputs {
			if x, ok := in[v.Name].(*onnx.Tensor); !ok || !slices.EqualFunc(x.Shape(), v.Type.Shape, func(n int, d onnx.Dim) bool { return n == d.Value }) {
				t.Errorf("%s: input %q is %v, want %v", row.Name, v.Name, in[v.Name], v.Type)
			}
		}
	}
	if small == 0 {
		t.Error("no row for a smoke test")
	}
	for _, name := range []string{"lstm/T28_B150_I28_H150", "gru/T100_B32_I128_H256_lbr0", "lstm/T100_B1_I128_H256_peepholes", "rnn/T1_B1_I128_H128_bi", "gru/T100_B32_I128_H256_ragged", "lstm/T200_B1_I512_H1024_half", "growth/lstm/B=128",
		"conv/C64_O64_56x56_K3x3_S2_G64", "convtranspose/C32_O32_28x28_K2x2_S2"} {
		if !seen[name] {
			t.Errorf("no row %q", name)
		}
	}
}

func TestSequenceLens(t *testing.T) {
	r := recurrent{op: "GRU", t: 100, b: 32, i: 8, h: 8, lengths: true}
	lengths := r.sequenceLens()
	if slices.Max(lengths) != 100 || slices.Min(lengths) < 1 || lengths[0] != 100 {
		t.Errorf("lengths %v, want 1..100, the first row the longest", lengths)
	}
	if mean := float64(r.steps()) / 32; mean < 45 || mean > 55 {
		t.Errorf("mean length %v, want half of the longest", mean)
	}
	if slices.IsSorted(lengths) {
		t.Errorf("lengths %v are in order", lengths)
	}
}

func TestFLOP(t *testing.T) {
	r := recurrent{op: "LSTM", t: 2, b: 3, i: 5, h: 7}
	if got, want := r.flop(), 2.0*2*3*(4*7*(5+7)); got != want {
		t.Errorf("%v operations, want %v", got, want)
	}
	r.both = true
	if got, want := r.flop(), 2*2.0*2*3*(4*7*(5+7)); got != want {
		t.Errorf("%v operations of two directions, want %v", got, want)
	}
}
