package ops

import (
	"testing"

	"github.com/recur-ml/recur/onnx"
)

// TestProductBits: every level gives the bits of plain Go, whichever way a
// product of such a shape is computed, and none but the first run allocates.
func TestProductBits(t *testing.T) {
	for _, c := range []struct {
		op    string
		a, b  []int
		attrs []any
	}{
		{"MatMul", []int{3, 5}, []int{5, 7}, nil},
		{"MatMul", []int{1, 300}, []int{300, 500}, nil},
		{"MatMul", []int{7, 70}, []int{70, 45}, nil},
		{"MatMul", []int{100, 33}, []int{33, 65}, nil},
		{"MatMul", []int{9, 20}, []int{20, 1}, nil},
		{"MatMul", []int{7, 20}, []int{20, 1}, nil},
		{"MatMul", []int{20}, []int{20, 9}, nil},
		{"MatMul", []int{9, 20}, []int{20}, nil},
		{"MatMul", []int{2, 3, 9, 20}, []int{3, 20, 1}, nil},
		{"MatMul", []int{4, 9, 20}, []int{20, 1}, nil},
		{"MatMul", []int{9, 20}, []int{4, 20, 1}, nil},
		{"MatMul", []int{3, 1, 2, 18}, []int{4, 18, 50}, nil},
		{"MatMul", []int{3, 100, 18}, []int{3, 18, 5}, nil},
		{"MatMul", []int{2, 300}, []int{300, 7100}, nil},
		{"Gemm", []int{30, 12}, []int{12, 1}, nil},
		{"Gemm", []int{30, 12}, []int{1, 12}, []any{"transB", 1}},
		{"Gemm", []int{12, 30}, []int{12, 9}, []any{"transA", 1, "alpha", float32(0.5)}},
	} {
		a, b := random32(1, c.a...), random32(2, c.b...)
		n := node(c.op, 1, c.attrs...)
		in := []onnx.Value{a, b}
		known := []Info{{Type: a.Type()}, {Type: b.Type()}}
		plain := frameOf(t, Level(0), n, 13, known...)(a, b).(*onnx.Tensor).Clone()
		for _, l := range Levels() {
			for i, info := range []Info{known[1], ConstInfo(b)} {
				run := frameOf(t, l, n, 13, known[0], info)
				for range 2 {
					if got := run(a, b).(*onnx.Tensor); string(got.Bytes()) != string(plain.Bytes()) {
						t.Errorf("%s %v * %v at %v, constant %v: not the bits of plain Go", c.op, c.a, c.b, l, i == 1)
					}
				}
				if l == Levels()[0] {
					if allocs := testing.AllocsPerRun(3, func() { run(in...) }); allocs != 0 {
						t.Errorf("%s %v * %v, constant %v: %v allocations a run", c.op, c.a, c.b, i == 1, allocs)
					}
				}
			}
		}
	}
}

// TestColumnFinished: a column of results to which something is added has the
// bits of plain Go.
func TestColumnFinished(t *testing.T) {
	a, b := random32(1, 30, 12), random32(2, 12, 1)
	for _, shape := range [][]int{{1}, {30, 1}} {
		in := []onnx.Value{a, b, random32(3, shape...)}
		n := node("Gemm", 1, "beta", float32(2))
		want, err := computeAt(t, Level(0), n, 13, in...)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range Levels() {
			got, err := computeAt(t, l, n, 13, in...)
			if err != nil {
				t.Fatal(err)
			}
			if string(tensorOf(got[0]).Bytes()) != string(tensorOf(want[0]).Bytes()) {
				t.Errorf("C %v at %v: not the bits of plain Go", shape, l)
			}
		}
	}
}
