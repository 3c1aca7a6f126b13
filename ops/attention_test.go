package ops

import (
	"errors"
	"math"
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// naiveAttention computes one head: q is [s][d], k [t][d], v [t][e], sight says
// which keys a query sees.
func naiveAttention(q, k, v [][]float64, scale, softcap float64, bias func(i, j int) float64) [][]float64 {
	var out [][]float64
	for i := range q {
		p, sum := make([]float64, len(k)), 0.0
		for j := range k {
			x := 0.0
			for d := range q[i] {
				x += q[i][d] * k[j][d]
			}
			x *= scale
			if softcap != 0 {
				x = softcap * math.Tanh(x/softcap)
			}
			p[j] = math.Exp(x + bias(i, j))
			sum += p[j]
		}
		row := make([]float64, len(v[0]))
		for j := range k {
			for e := range row {
				if sum > 0 {
					row[e] += p[j] / sum * v[j][e]
				}
			}
		}
		out = append(out, row)
	}
	return out
}

// rowsOf takes the rows of a head of a [batch, heads, length, size] tensor.
func rowsOf(t *onnx.Tensor, batch, head int) [][]float64 {
	s := t.Shape()
	f := toReal(t)[(batch*s[1]+head)*s[2]*s[3]:]
	var out [][]float64
	for i := range s[2] {
		out = append(out, f[i*s[3]:][:s[3]])
	}
	return out
}

func TestAttention(t *testing.T) {
	inf := math.Inf(-1)
	for _, d := range []onnx.DataType{onnx.Float, onnx.Double} {
		q, k, v := as(small(1, 2, 4, 3, 2), d), as(small(2, 2, 2, 5, 2), d), as(small(3, 2, 2, 5, 3), d)
		none := func(_, _, _, _ int) float64 { return 0 }
		lengths := onnx.MustTensor([]int{2}, []int64{4, 2})
		mask := as(small(4, 3, 4), d)
		for i, c := range []struct {
			n       *onnx.Node
			opset   int
			extra   []onnx.Value
			scale   float64
			softcap float64
			bias    func(b, h, i, j int) float64
		}{
			{node("Attention", 1), 23, nil, 1 / math.Sqrt2, 0, none},
			{node("Attention", 1, "scale", 0.25, "softcap", 2.0), 23, nil, 0.25, 2, none},
			{node("Attention", 1, "is_causal", 1), 23, nil, 1 / math.Sqrt2, 0, func(_, _, i, j int) float64 {
				if j > i {
					return inf
				}
				return 0
			}},
			{node("Attention", 1), 24, []onnx.Value{mask}, 1 / math.Sqrt2, 0, func(_, _, i, j int) float64 {
				if j >= 4 {
					return inf
				}
				return toReal(mask)[i*4+j]
			}},
			{node("Attention", 1, "is_causal", 1), 24, []onnx.Value{nil, nil, nil, lengths}, 1 / math.Sqrt2, 0, func(b, _, i, j int) float64 {
				n := []int{4, 2}[b]
				if j >= n || j > i+n-3 {
					return inf // the first query of item 1 sees nothing
				}
				return 0
			}},
			{node("Attention", 1, "left_window_size", 1, "right_window_size", 2), 25, nil, 1 / math.Sqrt2, 0, func(_, _, i, j int) float64 {
				if j < i-1 || j > i+2 {
					return inf
				}
				return 0
			}},
		} {
			out, err := compute(t, c.n, c.opset, append([]onnx.Value{q, k, v}, c.extra...)...)
			if err != nil {
				t.Fatalf("case %d: %v", i, err)
			}
			var want []float64
			for b := range 2 {
				for h := range 4 {
					for _, row := range naiveAttention(rowsOf(q, b, h), rowsOf(k, b, h/2), rowsOf(v, b, h/2), c.scale, c.softcap, func(i, j int) float64 { return c.bias(b, h, i, j) }) {
						want = append(want, row...)
					}
				}
			}
			near(t, out[0], []int{2, 4, 3, 3}, want, 1e-5)
		}
	}
	// three dimensions, with a past: the keys are those of both
	q, k, v := small(1, 1, 2, 4), small(2, 1, 2, 4), small(3, 1, 2, 2)
	past, pastV := small(4, 1, 2, 1, 2), small(5, 1, 2, 1, 1)
	out, err := compute(t, node("Attention", 3, "q_num_heads", 2, "kv_num_heads", 2, "is_causal", 1), 23, q, k, v, nil, past, pastV)
	if err != nil {
		t.Fatal(err)
	}
	fq, fk, fv, fp, fpv := toReal(q), toReal(k), toReal(v), toReal(past), toReal(pastV)
	want := make([]float64, 4)
	var keys []float64
	for h := range 2 {
		ks := [][]float64{fp[2*h:][:2], fk[2*h:][:2], fk[4+2*h:][:2]}
		vs := [][]float64{fpv[h:][:1], fv[h:][:1], fv[2+h:][:1]}
		qs := [][]float64{fq[2*h:][:2], fq[4+2*h:][:2]}
		for i, row := range naiveAttention(qs, ks, vs, 1/math.Sqrt2, 0, func(i, j int) float64 {
			if j > i+1 {
				return inf
			}
			return 0
		}) {
			want[2*i+h] = row[0]
		}
		for _, r := range ks {
			keys = append(keys, r...)
		}
	}
	near(t, out[0], []int{1, 2, 2}, want, 1e-5)
	near(t, out[1], []int{1, 2, 3, 2}, keys, 0)
	for i, in := range [][]onnx.Value{
		{small(1, 1, 2, 4), k, v},
		{small(1, 1, 3, 2, 2), small(2, 1, 2, 2, 2), small(3, 1, 2, 2, 2)},
		{small(1, 1, 2, 2, 2), small(2, 1, 2, 2, 3), small(3, 1, 2, 2, 2)},
		{small(1, 1, 2, 2, 2), small(2, 1, 2, 2, 2), small(3, 1, 2, 2, 2), small(4, 3, 2)},
	} {
		if _, err := compute(t, node("Attention", 1), 23, in...); !errors.Is(err, onnx.ErrShape) {
			t.Errorf("case %d: error %v, want ErrShape", i, err)
		}
	}
	// no keys, no queries
	for _, s := range [][2]int{{0, 2}, {2, 0}} {
		out, err := compute(t, node("Attention", 1), 23, small(1, 1, 1, s[0], 2), small(2, 1, 1, s[1], 2), small(3, 1, 1, s[1], 2))
		if err != nil {
			t.Fatal(err)
		}
		near(t, out[0], []int{1, 1, s[0], 2}, make([]float64, 4), 0)
	}
}

func TestRotaryEmbedding(t *testing.T) {
	x := onnx.MustTensor([]int{1, 1, 2, 4}, []float32{1, 2, 3, 4, 5, 6, 7, 8})
	cos := onnx.MustTensor([]int{2, 2}, []float32{1, 1, 0, 1})
	sin := onnx.MustTensor([]int{2, 2}, []float32{0, 0, 1, 0})
	ids := onnx.MustTensor([]int{1, 2}, []int64{1, 0})
	for i, c := range []struct {
		n    *onnx.Node
		want []float64
	}{
		{node("RotaryEmbedding", 1), []float64{-3, 2, 1, 4, 5, 6, 7, 8}},
		{node("RotaryEmbedding", 1, "interleaved", 1), []float64{-2, 1, 3, 4, 5, 6, 7, 8}},
	} {
		out, err := compute(t, c.n, 23, x, cos, sin, ids)
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		near(t, out[0], []int{1, 1, 2, 4}, c.want, 0)
	}
	one := onnx.MustTensor([]int{2, 1}, []float32{1, 0})
	zero := onnx.MustTensor([]int{2, 1}, []float32{0, 1})
	out, err := compute(t, node("RotaryEmbedding", 1, "rotary_embedding_dim", 2), 23, x, one, zero, ids)
	if err != nil {
		t.Fatal(err)
	}
	near(t, out[0], []int{1, 1, 2, 4}, []float64{-2, 1, 3, 4, 5, 6, 7, 8}, 0)
	for i, in := range [][]onnx.Value{
		{x, cos, sin},
		{x, cos, sin, onnx.MustTensor([]int{1, 2}, []int64{2, 0})},
		{small(1, 1, 2, 4), cos, sin, ids},
		{x, cos, one, ids},
	} {
		if _, err := compute(t, node("RotaryEmbedding", 1), 23, in...); !errors.Is(err, onnx.ErrShape) {
			t.Errorf("case %d: error %v, want ErrShape", i, err)
		}
	}
}
