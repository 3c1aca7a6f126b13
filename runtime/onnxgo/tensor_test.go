package onnxgo_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	gonum "gonum.org/v1/gonum/graph"

	goonnx "github.com/owulveryck/onnx-go"

	"github.com/recur-ml/recur/onnx"
	"github.com/recur-ml/recur/runtime/onnxgo"
)

// identity runs a tensor through an Identity that no decoder has typed.
func identity(t *testing.T, x tensor.Tensor) (tensor.Tensor, error) {
	t.Helper()
	b := onnxgo.New(onnxgo.Opset(onnx.LatestOpset("")))
	var n [2]gonum.Node
	for i := range n {
		n[i] = b.NewNode()
		b.AddNode(n[i])
	}
	b.SetWeightedEdge(b.NewWeightedEdge(n[1], n[0], 0))
	if err := b.ApplyOperation(goonnx.Operation{Name: "Identity"}, n[1]); err != nil {
		t.Fatal(err)
	}
	if err := n[0].(goonnx.DataCarrier).SetTensor(x); err != nil {
		t.Fatal(err)
	}
	err := b.Run()
	return n[1].(goonnx.DataCarrier).GetTensor(), err
}

func TestRoundTrips(t *testing.T) {
	roundTrip(t, []float32{1.5, float32(math.Inf(-1)), -0})
	roundTrip(t, []float64{1e300, 2, 3})
	roundTrip(t, []int8{-128, 0, 127})
	roundTrip(t, []int16{-32768, 0, 32767})
	roundTrip(t, []int32{math.MinInt32, 0, math.MaxInt32})
	roundTrip(t, []int64{math.MinInt64, 0, math.MaxInt64})
	roundTrip(t, []uint8{0, 1, 255})
	roundTrip(t, []uint16{0, 1, 65535})
	roundTrip(t, []uint32{0, 1, math.MaxUint32})
	roundTrip(t, []uint64{0, 1, math.MaxUint64})
	roundTrip(t, []bool{true, false, true})
	roundTrip(t, []string{"", "a", "été"})
	roundTrip(t, []complex64{1i, 2, 3})
	roundTrip(t, []complex128{1i, 2, 3})
	roundTrip(t, []onnx.F16{0x3c00, 0x7e01, 1})
	roundTrip(t, []onnx.BF16{0x3f80, 0x7fc1, 1})
	roundTrip(t, []onnx.F8E4M3{1, 2, 0xff})
	roundTrip(t, []onnx.F8E4M3UZ{1, 2, 0x80})
	roundTrip(t, []onnx.F8E5M2{1, 2, 0xff})
	roundTrip(t, []onnx.F8E5M2UZ{1, 2, 0x80})
	roundTrip(t, []onnx.F8E8M0{1, 2, 0xff})
	roundTrip(t, []onnx.F4E2M1{1, 2, 15})
	roundTrip(t, []onnx.U4{1, 2, 15})
	roundTrip(t, []onnx.I4{-8, 0, 7})
	roundTrip(t, []onnx.U2{1, 2, 3})
	roundTrip(t, []onnx.I2{-2, 0, 1})
}

func roundTrip[T onnx.Element](t *testing.T, data []T) {
	t.Run(onnx.TypeOf[T]().String(), func(t *testing.T) {
		for _, shape := range [][]int{{3}, {1, 3}, {3, 1, 1}, {1}, {}, {0}, {0, 2}} {
			n, err := onnx.NumElements(shape)
			if err != nil {
				t.Fatal(err)
			}
			got, err := identity(t, dense(shape, slices.Clone(data[:n])))
			if err != nil {
				t.Fatalf("shape %v: %v", shape, err)
			}
			want := dense(shape, data[:n])
			if !slices.Equal(got.Shape(), shape) || got.Dtype() != want.Dtype() || fmt.Sprintf("%#v", got.Data()) != fmt.Sprintf("%#v", want.Data()) {
				t.Errorf("%v %v %#v, want %v %v %#v", got.Shape(), got.Dtype(), got.Data(), shape, want.Dtype(), want.Data())
			}
		}
	})
}

// span is a slice of an axis.
type span struct{ start, end, step int }

func (s span) Start() int { return s.start }
func (s span) End() int   { return s.end }
func (s span) Step() int  { return s.step }

// Tensors that are not in row-major order are read in the order of their shape.
func TestLayouts(t *testing.T) {
	block := func() *tensor.Dense { return dense([]int{2, 3, 4}, tensor.Range(tensor.Float32, 0, 24).([]float32)) }
	slice := func(x *tensor.Dense, s ...tensor.Slice) tensor.Tensor {
		v, err := x.Slice(s...)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	turned := func(x *tensor.Dense, axes ...int) *tensor.Dense {
		if err := x.T(axes...); err != nil {
			t.Fatal(err)
		}
		return x
	}
	tests := []struct {
		name  string
		x     tensor.Tensor
		shape []int
		want  any
	}{
		{"rows", slice(block(), span{1, 2, 1}), []int{3, 4}, []float32{12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}},
		{"middle axis", slice(block(), nil, span{1, 2, 1}), []int{2, 4}, []float32{4, 5, 6, 7, 16, 17, 18, 19}},
		{"last axis", slice(block(), span{1, 2, 1}, nil, span{2, 3, 1}), []int{3}, []float32{14, 18, 22}},
		{"part of the last axis", slice(block(), span{1, 2, 1}, nil, span{0, 2, 1}), []int{3, 2}, []float32{12, 13, 16, 17, 20, 21}},
		{"every other", slice(block(), span{1, 2, 1}, span{0, 1, 1}, span{0, 4, 2}), []int{2}, []float32{12, 14}},
		{"one element", slice(block(), span{1, 2, 1}, span{1, 2, 1}, span{2, 3, 1}), []int{}, float32(18)},
		{"turned", turned(dense([]int{2, 3}, []float32{0, 1, 2, 3, 4, 5})), []int{3, 2}, []float32{0, 3, 1, 4, 2, 5}},
		{"turned about", turned(block(), 2, 0, 1), []int{4, 2, 3}, []float32{0, 4, 8, 12, 16, 20, 1, 5, 9, 13, 17, 21, 2, 6, 10, 14, 18, 22, 3, 7, 11, 15, 19, 23}},
		{"slice of a turned one", slice(turned(dense([]int{2, 3}, []float32{0, 1, 2, 3, 4, 5})), nil, span{1, 2, 1}), []int{3}, []float32{3, 4, 5}},
		{"turned column", turned(dense([]int{3, 1}, []float32{0, 1, 2})), []int{1, 3}, []float32{0, 1, 2}},
		{"by columns", tensor.New(tensor.WithShape(2, 3), tensor.AsFortran([]float32{0, 3, 1, 4, 2, 5})), []int{2, 3}, nil},
		{"vector by columns", tensor.New(tensor.WithShape(3), tensor.AsFortran([]float32{0, 1, 2})), []int{3}, []float32{0, 1, 2}},
		{"column by columns", tensor.New(tensor.WithShape(3, 1), tensor.AsFortran([]float32{0, 1, 2})), []int{3, 1}, []float32{0, 1, 2}},
		{"row by columns", tensor.New(tensor.WithShape(1, 3), tensor.AsFortran([]float32{0, 1, 2})), []int{1, 3}, []float32{0, 1, 2}},
		{"sparse", tensor.CSCFromCoord(tensor.Shape{2, 3}, []int{0, 1}, []int{1, 2}, []float32{5, 6}), []int{2, 3}, []float32{0, 5, 0, 0, 0, 6}},
		{"unmasked", tensor.New(tensor.WithShape(2), tensor.WithBacking([]float32{1, 2}, []bool{false, false})), []int{2}, []float32{1, 2}},
		{"int", dense([]int{2}, []int{-1, 2}), []int{2}, []int64{-1, 2}},
		{"uint", dense([]int{2}, []uint{1, 2}), []int{2}, []uint64{1, 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := identity(t, tt.x)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == nil { // as its own At has it
				var want []float32
				for i := range tt.shape[0] {
					for j := range tt.shape[1] {
						v, err := tt.x.At(i, j)
						if err != nil {
							t.Fatal(err)
						}
						want = append(want, v.(float32))
					}
				}
				tt.want = want
			}
			if !slices.Equal(got.Shape(), tt.shape) || fmt.Sprintf("%#v", got.Data()) != fmt.Sprintf("%#v", tt.want) {
				t.Errorf("%v %#v, want %v %#v", got.Shape(), got.Data(), tt.shape, tt.want)
			}
		})
	}
}

// A single number becomes what the model declares when that loses nothing.
func TestNumberOfAnotherType(t *testing.T) {
	tests := []struct {
		declared onnx.DataType
		x        *tensor.Dense
		want     any // nil: refused
	}{
		{onnx.Int64, vec(7), int64(7)},
		{onnx.Int64, vec(-7), int64(-7)},
		{onnx.Int64, vec(0.5), nil},
		{onnx.Int64, vec(1e30), nil},
		{onnx.Int64, vec(float32(math.NaN())), nil},
		{onnx.Uint64, vec(-1), nil},
		{onnx.Uint8, vec(255), uint8(255)},
		{onnx.Uint8, vec(256), nil},
		{onnx.Int8, vec(-128), int8(-128)},
		{onnx.Double, vec(0.1), float64(float32(0.1))},
		{onnx.Float, dense([]int{1}, []float64{0.1}), nil},
		{onnx.Float, dense([]int{1}, []float64{0.5}), float32(0.5)},
		{onnx.Double, dense([]int{1}, []int64{1<<53 + 1}), nil},
		{onnx.Double, dense([]int{1}, []int64{1 << 53}), float64(1 << 53)},
		{onnx.Double, dense([]int{1}, []int64{math.MaxInt64}), nil},
		{onnx.Bool, vec(1), nil},
		{onnx.Float, dense([]int{1}, []string{"1"}), nil},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%v as %v", tt.x.Data(), tt.declared), func(t *testing.T) {
			of := func(name string) []onnx.ValueInfo {
				return []onnx.ValueInfo{{Name: name, Type: onnx.TensorType(tt.declared, onnx.FixedShape(1))}}
			}
			g, b := decode(t, model(9, of("x"), of("y"), op("Identity", "x", "y")))
			set(t, g, "x", tt.x)
			err := b.Run()
			if tt.want == nil {
				if err == nil {
					t.Errorf("accepted as %v", carrier(t, g, "y").GetTensor().Data())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := carrier(t, g, "y").GetTensor(); got.Data() != tt.want || !slices.Equal(got.Shape(), []int{1}) {
				t.Errorf("%v %#v, want %#v", got.Shape(), got.Data(), tt.want)
			}
		})
	}
}
