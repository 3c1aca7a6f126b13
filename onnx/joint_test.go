package onnx

import (
	"slices"
	"sync"
	"testing"
)

// TestJoined puts elements together row by row, when they are looked at.
func TestJoined(t *testing.T) {
	a, b := MustTensor([]int{2, 2}, []int16{1, 2, 3, 4}), MustTensor([]int{2, 1}, []int16{5, 6})
	empty := MustTensor([]int{2, 0}, []int16{})
	for _, c := range []struct {
		name  string
		shape []int
		rows  int
		parts []*Tensor
		want  []int16
	}{
		{"rows", []int{2, 3}, 2, []*Tensor{a, b}, []int16{1, 2, 5, 3, 4, 6}},
		{"one row", []int{6}, 1, []*Tensor{b, a}, []int16{5, 6, 1, 2, 3, 4}},
		{"an empty part", []int{2, 3}, 2, []*Tensor{empty, a, empty, b}, []int16{1, 2, 5, 3, 4, 6}},
		{"no elements", []int{0, 3}, 0, []*Tensor{MustTensor([]int{0, 3}, []int16{})}, nil},
		{"no parts", []int{0}, 1, nil, nil},
	} {
		x := Joined(Int16, c.shape, c.rows, c.parts)
		if x.lazy.raw != nil {
			t.Errorf("%s: joined before anybody looks", c.name)
		}
		for at := range len(c.want) + 1 {
			got := make([]int16, 3)
			CopyElements(got, x, at)
			want := make([]int16, 3)
			copy(want, c.want[at:])
			if !slices.Equal(got, want) {
				t.Errorf("%s: from %d: copied %v, want %v", c.name, at, got, want)
			}
		}
		runs := slices.Concat(x.Runs()...)
		if c.rows == 1 && len(c.parts) > 0 && x.lazy.join.joined.Load() {
			t.Errorf("%s: joined by those who read the parts", c.name)
		}
		if got := Elements[int16](x); !slices.Equal(got, c.want) || !slices.Equal(x.Shape(), c.shape) || x.Len() != len(c.want) {
			t.Errorf("%s: %v %v, want %v %v", c.name, x, got, c.shape, c.want)
		}
		if !slices.Equal(runs, slices.Concat(x.Runs()...)) || !slices.Equal(runs, x.ElementBytes()) {
			t.Errorf("%s: runs %v", c.name, runs)
		}
		if x.lazy.join.parts != nil {
			t.Errorf("%s: the parts are kept", c.name)
		}
		data, err := EncodeTensor(x, "x")
		if err != nil {
			t.Fatal(err)
		}
		if y := must(DecodeTensor(data)); !slices.Equal(Elements[int16](y), c.want) {
			t.Errorf("%s: decoded %v, want %v", c.name, Elements[int16](y), c.want)
		}
	}
	x := Joined(Int16, []int{6}, 1, []*Tensor{a, b})
	view, err := x.WithShape([]int{3, 2})
	if err != nil {
		t.Fatal(err)
	}
	twice := Joined(Int16, []int{8}, 1, []*Tensor{view, b})
	if got := Elements[int16](twice.Part(3, []int{5})); !slices.Equal(got, []int16{4, 5, 6, 5, 6}) {
		t.Errorf("part of joined twice: %v", got)
	}
	if got := x.Clone().Bytes(); len(got) != 12 || got[8] != 5 {
		t.Errorf("cloned: %v", got)
	}
}

// TestJoinedNot asks for what is copied at once.
func TestJoinedNot(t *testing.T) {
	outside := &Tensor{dtype: Float, ext: &ExternalData{}}
	for _, p := range []*Tensor{MustTensor([]int{1}, []U4{1}), Scalar("a"), outside, Scalar(1.0)} {
		d := p.dtype
		if d == Double {
			d = Float // not the part's
		}
		if x := Joined(d, []int{1}, 1, []*Tensor{p}); x != nil {
			t.Errorf("%v joined from %v", x, p)
		}
	}
}

// TestJoinedConcurrent has many readers of a tensor that nobody has looked at.
func TestJoinedConcurrent(t *testing.T) {
	part := MustTensor([]int{1000}, make([]float32, 1000))
	part.Bytes()[4*999+3] = 0x40 // 2
	x := Joined(Float, []int{2000}, 1, []*Tensor{part, part})
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			part, runs := make([]float32, 1), x.Runs()
			if CopyElements(part, x, 999); part[0] != 2 || len(runs) > 2 {
				t.Errorf("copied %v, %d runs", part, len(runs))
			}
			if v, err := Data[float32](x); err != nil || v[1999] != 2 || v[1998] != 0 {
				t.Errorf("%v, %v", v[1998:], err)
			}
		})
	}
	wait.Wait()
}
