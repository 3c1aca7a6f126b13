package onnxgo_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	goonnx "github.com/owulveryck/onnx-go"
	"github.com/owulveryck/onnx-go/backend"
	"github.com/owulveryck/onnx-go/backend/testbackend"
	_ "github.com/owulveryck/onnx-go/backend/testbackend/onnx" // registers the vectors
	gonum "gonum.org/v1/gonum/graph"
	"gorgonia.org/tensor"

	"github.com/recur-ml/recur/internal/verify"
	"github.com/recur-ml/recur/onnx"
	rt "github.com/recur-ml/recur/runtime"
	"github.com/recur-ml/recur/runtime/onnxgo"
)

var (
	_ backend.ComputationBackend = (*onnxgo.Backend)(nil)
	_ gonum.WeightedBuilder      = (*onnxgo.Backend)(nil)
)

// reason tells why onnx-go's own comparison, of slices and within 1e-6,
// cannot judge a vector. It fails when that is not so, and gives the tolerance
// that ours applies.
type reason func(t *testing.T, tc *testbackend.TestCase) verify.Tolerance

var close = verify.Tolerance{Rtol: 1e-6, Atol: 1e-6}

// ours lists the vectors that our comparison judges.
var ours = map[string]reason{
	"TestScan9Sum":    refusesSubgraph,
	"TestSize":        expectsScalar,
	"TestSizeExample": expectsScalar,
	"TestRoialign":    fourDigits,

	"TestPow":                                      belowStep,
	"TestReduceL1DefaultAxesKeepdimsRandom":        belowStep,
	"TestReduceProdDefaultAxesKeepdimsRandom":      belowStep,
	"TestReduceSumDefaultAxesKeepdimsRandom":       belowStep,
	"TestReduceSumSquareDefaultAxesKeepdimsRandom": belowStep,
}

// TestVectors runs all of onnx-go's test vectors.
func TestVectors(t *testing.T) {
	var list []*testbackend.TestCase
	for _, make := range testbackend.GetAllRegisteredTests() {
		list = append(list, make())
	}
	if len(list) != 348 {
		t.Errorf("onnx-go has %d test vectors, want 348", len(list))
	}
	slices.SortFunc(list, func(a, b *testbackend.TestCase) int { return strings.Compare(a.Title, b.Title) })
	judged := 0
	for _, tc := range list {
		if why := ours[tc.Title]; why != nil {
			judged++
			t.Run(tc.Title, func(t *testing.T) {
				judge(t, tc, why(t, tc))
			})
			continue
		}
		t.Run(tc.Title, tc.RunTest(onnxgo.New(onnxgo.Opset(opsetOf(t, tc))), false))
		if !tc.Tested || tc.Skipped || tc.Failed {
			t.Errorf("%s: tested %v, skipped %v, failed %v", tc.Title, tc.Tested, tc.Skipped, tc.Failed)
		}
	}
	if judged != len(ours) {
		t.Errorf("%d vectors judged by our comparison, want %d", judged, len(ours))
	}
}

func opsetOf(t *testing.T, tc *testbackend.TestCase) int {
	t.Helper()
	m, err := onnx.Decode(tc.ModelB, nil)
	if err != nil || len(m.OpsetImports) != 1 || m.OpsetImports[0].Domain != "" {
		t.Fatalf("%s: %v", tc.Title, err)
	}
	return int(m.OpsetImports[0].Version)
}

// refusesSubgraph: onnx-go's decoder gives the backend no subgraph.
func refusesSubgraph(t *testing.T, tc *testbackend.TestCase) verify.Tolerance {
	var is *goonnx.ErrNotImplemented
	if err := goonnx.NewModel(onnxgo.New()).UnmarshalBinary(tc.ModelB); !errors.As(err, &is) {
		t.Errorf("the decoder's error is %v, want one about a subgraph", err)
	}
	return close
}

// expectsScalar: what the vector expects is no slice, which the comparison wants.
func expectsScalar(t *testing.T, tc *testbackend.TestCase) verify.Tolerance {
	if reflect.TypeOf(tc.ExpectedOutput[0].Data()).Kind() == reflect.Slice {
		t.Error("the expected output is a slice")
	}
	return close
}

// belowStep: float32 has no other number within the comparison's absolute
// tolerance of an expected one, so that it asks for the last bit.
func belowStep(t *testing.T, tc *testbackend.TestCase) verify.Tolerance {
	want := onnx.Elements[float32](toONNX(t, tc.ExpectedOutput[0]))
	for _, x := range want {
		if x = float32(math.Abs(float64(x))); math.Nextafter32(x, float32(math.Inf(1)))-x > 1e-6 {
			return close
		}
	}
	t.Error("no expected number is so large")
	return close
}

// fourDigits: the numbers of input and output are rounded to four decimals
// each. The output averages the input, so that either is off by half a unit.
func fourDigits(t *testing.T, tc *testbackend.TestCase) verify.Tolerance {
	for _, x := range []tensor.Tensor{tc.Input[0], tc.ExpectedOutput[0]} {
		for _, x := range onnx.Elements[float32](toONNX(t, x)) {
			if float32(math.Round(float64(x)*1e4)/1e4) != x {
				t.Errorf("%v has more decimals", x)
			}
		}
	}
	return verify.Tolerance{Atol: 1e-4 + 1e-6}
}

// judge runs a vector, through the backend where onnx-go decodes it, and
// compares.
func judge(t *testing.T, tc *testbackend.TestCase, tol verify.Tolerance) {
	b := onnxgo.New(onnxgo.Opset(opsetOf(t, tc)))
	m := goonnx.NewModel(b)
	var got []*onnx.Tensor
	if err := m.UnmarshalBinary(tc.ModelB); err == nil {
		for i, x := range tc.Input {
			if err := m.SetInput(i, x); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Run(); err != nil {
			t.Fatal(err)
		}
		out, err := m.GetOutputTensors()
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range out {
			got = append(got, toONNX(t, x))
		}
	} else {
		got = direct(t, tc)
	}
	if len(got) != len(tc.ExpectedOutput) {
		t.Fatalf("%d outputs, want %d", len(got), len(tc.ExpectedOutput))
	}
	for i, x := range tc.ExpectedOutput {
		want := toONNX(t, x)
		if want.Len() == 1 && want.DataType() == onnx.Float && got[i].DataType() == onnx.Int64 { // the vectors' form of a scalar
			want = onnx.MustTensor(got[i].Shape(), []int64{int64(onnx.Elements[float32](want)[0])})
		}
		if d := verify.Compare(got[i], want, tol); d != nil {
			t.Errorf("output %d: %v", i, d)
		}
	}
}

// direct runs a vector's model without onnx-go.
func direct(t *testing.T, tc *testbackend.TestCase) []*onnx.Tensor {
	s, err := rt.LoadBytes(tc.ModelB)
	if err != nil {
		t.Fatal(err)
	}
	inputs := onnx.Values{}
	for i, v := range s.Inputs() {
		inputs[v.Name] = toONNX(t, tc.Input[i])
	}
	out, err := s.Run(nil, inputs)
	if err != nil {
		t.Fatal(err)
	}
	var list []*onnx.Tensor
	for _, v := range s.Outputs() {
		list = append(list, out[v.Name].(*onnx.Tensor))
	}
	return list
}

func toONNX(t *testing.T, x tensor.Tensor) *onnx.Tensor {
	t.Helper()
	var out *onnx.Tensor
	var err error
	switch data := x.Data().(type) {
	case []float32:
		out, err = onnx.NewTensor(x.Shape(), data)
	case []float64:
		out, err = onnx.NewTensor(x.Shape(), data)
	case []int32:
		out, err = onnx.NewTensor(x.Shape(), data)
	case []int64:
		out, err = onnx.NewTensor(x.Shape(), data)
	case float32:
		out, err = onnx.NewTensor(x.Shape(), []float32{data})
	case int64:
		out, err = onnx.NewTensor(x.Shape(), []int64{data})
	default:
		t.Fatalf("data of type %T", data)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func Example() {
	data, err := onnx.Encode(squares()) // a file's bytes, in a program
	if err != nil {
		fmt.Println(err)
		return
	}
	backend := onnxgo.New(onnxgo.Opset(9)) // was: gorgonnx.NewGraph()
	model := goonnx.NewModel(backend)
	if err := model.UnmarshalBinary(data); err != nil {
		fmt.Println(err)
		return
	}
	x := tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]float32{1, 2, 3, 4}))
	if err := model.SetInput(0, x); err != nil {
		fmt.Println(err)
		return
	}
	if err := backend.Run(); err != nil {
		fmt.Println(err)
		return
	}
	out, err := model.GetOutputTensors()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(out[0].Shape(), out[0].Data())
	// Output: (2, 2) [11 24 19 36]
}

// squares is the model y = x*x + [10 20], for any number of rows.
func squares() *onnx.Model {
	rows := onnx.TensorType(onnx.Float, onnx.Shape{{Value: -1, Name: "rows"}, {Value: 2}})
	return &onnx.Model{
		IRVersion: 4, OpsetImports: []onnx.OpsetImport{{Version: 9}},
		Graph: &onnx.Graph{
			Name:         "squares",
			Inputs:       []onnx.ValueInfo{{Name: "x", Type: rows}},
			Outputs:      []onnx.ValueInfo{{Name: "y", Type: rows}},
			Initializers: []*onnx.Initializer{{Name: "b", Tensor: onnx.MustTensor([]int{2}, []float32{10, 20})}},
			Nodes: []*onnx.Node{
				{OpType: "Mul", Inputs: []string{"x", "x"}, Outputs: []string{"xx"}},
				{OpType: "Add", Inputs: []string{"xx", "b"}, Outputs: []string{"y"}},
			},
		},
	}
}
